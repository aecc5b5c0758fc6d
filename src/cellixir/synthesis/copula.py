"""Gaussian copula: every gene has the values it had, and genes go together as they did."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cellixir.exceptions import ConfigurationError
from cellixir.synthesis.correlation import Correlation
from cellixir.synthesis.gaussian import check_sizes, describe_correlation
from cellixir.synthesis.generator import Generator
from cellixir.synthesis.marginals import Marginals, normal_scores
from cellixir.synthesis.representation import written_out

if TYPE_CHECKING:
    import anndata as ad
    from numpy.typing import NDArray

    from cellixir.data.expression.matrix import Rows
    from cellixir.estimator import Arrays
    from cellixir.synthesis.generator import Fit


class CopulaGenerator(Generator):
    """A Gaussian copula with the empirical distribution of each gene in each combination of conditions.

    Counts are drawn from the counts that were seen, zeros as often as they were. The correlation of the normal scores
    has low rank and is pooled within combinations (see `cellixir.synthesis.correlation`).

    The distributions are values of training samples, gene by gene: a bundle gives them away.

    Parameters
    ----------
    condition, seed
        See `cellixir.synthesis.generator.Generator`.
    rank, pooling
        See `cellixir.synthesis.gaussian.GaussianGenerator`.
    own
        Samples from which on a combination has distributions of its own; with fewer it has those of all samples,
        moved to its mean: logarithms are shifted, at most a tenth of the gene's range beyond it, linear values
        multiplied, up to twice the highest.
    n_quantiles
        Most values that are kept of a gene and combination.

    Examples
    --------
    >>> import anndata as ad
    >>> counts = np.random.default_rng(0).poisson(2.0, (30, 4)).astype("float32")
    >>> model = CopulaGenerator(rank=2).fit(ad.AnnData(counts, uns={"scale": "counts"}))
    >>> bool((model.sample(50).X.max(axis=0) <= counts.max(axis=0)).all())
    True
    """

    name = "copula"
    title = "Gaussian copula with empirical marginals"
    any_shape = True

    def __init__(
        self,
        *,
        condition: Sequence[str] = (),
        rank: int = 30,
        pooling: int = 200,
        own: int = 20,
        n_quantiles: int = 1000,
        seed: int = 0,
    ) -> None:
        super().__init__(condition=condition, seed=seed)
        self.rank, self.pooling, self.own, self.n_quantiles = rank, pooling, own, n_quantiles
        self.check_parameters()

    def check_parameters(self) -> None:
        """Refuse parameters that cannot work."""
        super().check_parameters()
        check_sizes(self.rank, self.pooling)
        if self.own < 2 or self.n_quantiles < 10:
            message = f"own={self.own}, n_quantiles={self.n_quantiles}: use own=2 or more, and 10 quantiles or more"
            raise ConfigurationError(message)

    def _encode(self, samples: ad.AnnData) -> NDArray[np.float32]:
        return written_out(samples.X)

    def _learn(self, table: NDArray[np.float32], codes: NDArray[np.int64], fit: Fit) -> None:
        self.marginals_ = Marginals.learn(table, codes, self.scale_, own=self.own, n_quantiles=self.n_quantiles)
        scores, variance = normal_scores(table, codes)
        self.correlation_ = Correlation.learn(
            scores, codes, rank=self.rank, pooling=self.pooling, seed=self.seed, variance=variance
        )

    def _draw(self, codes: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.float32]:
        return self.marginals_.values(self.correlation_.draw(codes, rng), codes, rng)

    def _decode(self, table: Any, rng: np.random.Generator) -> Rows:
        values: Rows = table
        return values

    def _arrays(self) -> Arrays:
        return self.marginals_.arrays() | self.correlation_.arrays()

    def _facts(self) -> dict[str, Any]:
        return self.marginals_.facts()

    def _restore(self, arrays: Arrays, facts: dict[str, Any]) -> None:
        self.marginals_ = Marginals.from_state(arrays, facts)
        self.correlation_ = Correlation.from_arrays(arrays)

    def _describe(self) -> list[str]:
        own = sum(code >= 0 for code in self.marginals_.quantiles)
        return [
            f"values of each gene as they were in training: own ones in {own} of {len(self.conditions_)} combinations",
            describe_correlation(self.correlation_),
            "the bundle holds these values, sorted by gene: whoever has it can read the values of training samples, "
            "though not which sample had which",
        ]
