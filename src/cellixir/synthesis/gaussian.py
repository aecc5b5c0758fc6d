"""Class-conditional Gaussian with a low-rank correlation: the baseline that a network has to beat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cellixir.exceptions import ConfigurationError
from cellixir.synthesis.correlation import Correlation
from cellixir.synthesis.generator import Generator
from cellixir.synthesis.moments import Moments

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellixir.estimator import Arrays
    from cellixir.synthesis.generator import Fit


class GaussianGenerator(Generator):
    """A Gaussian for each combination of conditions, on standardised (log) values.

    Mean and spread of each gene are the combination's own, moved towards those of all samples where they are few
    (see `cellixir.synthesis.moments`); the correlation has low rank and is pooled within combinations
    (see `cellixir.synthesis.correlation`).

    Parameters
    ----------
    condition, seed
        See `cellixir.synthesis.generator.Generator`.
    rank
        Most factors of the correlation.
    pooling
        Combinations with so many samples get a correlation of their own, mixed half and half with the pooled one;
        those with more trust their own more.

    Examples
    --------
    >>> import anndata as ad
    >>> counts = np.random.default_rng(0).poisson(20.0, (30, 4)).astype("float32")
    >>> model = GaussianGenerator(rank=2).fit(ad.AnnData(counts, uns={"scale": "counts"}))
    >>> model.sample(3).X.shape
    (3, 4)
    """

    name = "gaussian"
    title = "Class-conditional low-rank Gaussian"

    def __init__(self, *, condition: Sequence[str] = (), rank: int = 30, pooling: int = 200, seed: int = 0) -> None:
        super().__init__(condition=condition, seed=seed)
        self.rank, self.pooling = rank, pooling
        self.check_parameters()

    def check_parameters(self) -> None:
        """Refuse parameters that cannot work."""
        super().check_parameters()
        check_sizes(self.rank, self.pooling)

    def _learn(self, table: NDArray[np.float32], codes: NDArray[np.int64], fit: Fit) -> None:
        moments = Moments.of(table, codes, len(self.conditions_))
        self.mean_ = moments.mean.astype(np.float32)
        self.sd_ = np.sqrt(moments.variance).astype(np.float32)
        scores = np.empty_like(table)
        for code, (raw, sd) in enumerate(zip(moments.raw.astype(np.float32), self.sd_, strict=True)):
            rows = np.flatnonzero(codes == code)
            scores[rows] = (table[rows] - raw) / np.where(sd > 0, sd, 1)
        self.correlation_ = Correlation.learn(scores, codes, rank=self.rank, pooling=self.pooling, seed=self.seed)

    def _draw(self, codes: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.float32]:
        return self.mean_[codes] + self.sd_[codes] * self.correlation_.draw(codes, rng)

    def _arrays(self) -> Arrays:
        return {"mean": self.mean_, "sd": self.sd_} | self.correlation_.arrays()

    def _restore(self, arrays: Arrays, facts: dict[str, Any]) -> None:
        self.mean_, self.sd_ = arrays["mean"], arrays["sd"]
        self.correlation_ = Correlation.from_arrays(arrays)

    def _describe(self) -> list[str]:
        return [describe_correlation(self.correlation_)]


def check_sizes(rank: int, pooling: int) -> None:
    """Refuse sizes of a correlation that cannot be.

    Raises
    ------
    ConfigurationError
        If one is below 1.
    """
    for name, value in (("rank", rank), ("pooling", pooling)):
        if value < 1:
            message = f"{name}={value} is not possible; use 1 or more"
            raise ConfigurationError(message)


def describe_correlation(correlation: Correlation) -> str:
    """Sentence for a card."""
    rank = max(loadings.shape[1] for loadings in correlation.loadings.values())
    own = len(correlation.loadings) - 1
    beside = f"; {own} combinations have one of their own beside it" if own else ""
    return f"correlation of up to {rank} factors, pooled within combinations{beside}"
