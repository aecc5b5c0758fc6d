"""Expression as numbers that Gaussians and networks work on, and the way back to a matrix of the fitted scale."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
import scipy.sparse as sp
from scipy.special import ndtri

from cellixir.data.expression.matrix import blocks
from cellixir.estimator import under
from cellixir.exceptions import GeneMismatch, examples
from cellixir.synthesis.calibration import Calibration

if TYPE_CHECKING:
    import anndata as ad
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

#: Values of a block that is written out dense.
BLOCK_VALUES = 4_000_000
#: Scales whose values have a highest one.
BOUNDED = ("binary", "fraction")
#: Values above the median of those above zero by so many times are none of logarithms.
SKEW = 50.0


@dataclass(frozen=True, eq=False)
class Representation:
    """Standardised values of the genes that vary and, for counts, of the log library size.

    Counts ``x`` of a sample with library size ``l`` become ``log(1 + x m / l)``, ``m`` being the median library size
    of the fit. Genes that are constant in the fit are left out of the table and put back by `decode`.

    Attributes
    ----------
    genes
        All genes.
    scale
        One of `cellixir.data.omics.SCALES`.
    constant
        Value of each gene that is constant, NaN for one that varies, shape ``(n_genes,)``.
    mean, sd
        Of each column of the table before it is standardised, shape ``(width,)``.
    library
        Lowest, median and highest library size; ones where there are no counts.
    bounds
        Lowest and highest value.
    calibration
        Map of drawn to real values of genes that are often at their lowest, if there are any.
    """

    genes: pd.Index
    scale: str
    constant: NDArray[np.float32]
    mean: Floats
    sd: Floats
    library: tuple[float, float, float]
    bounds: tuple[float, float]
    calibration: Calibration | None = None

    @classmethod
    def learn(cls, samples: ad.AnnData) -> Self:
        """Learn from samples whose ``uns["scale"]`` says what the values are; if counts, no sample may be empty."""
        scale, constant = str(samples.uns["scale"]), constant_values(samples.X)
        library = (1.0, 1.0, 1.0)
        if scale == "counts":
            sums = np.concatenate([np.asarray(b.sum(axis=1, dtype=np.float64)).ravel() for _, b in blocks(samples.X)])
            library = (float(sums.min()), float(np.median(sums)), float(sums.max()))
        bounds = float(samples.X.min()), float(samples.X.max())
        width = int(np.isnan(constant).sum()) + (scale == "counts")
        start = cls(samples.var_names, scale, constant, np.zeros(width), np.ones(width), library, bounds)
        mean = sum((v.sum(axis=0) for _, v in start._values(samples)), np.zeros(width)) / samples.n_obs
        squares = sum((((v - mean) ** 2).sum(axis=0) for _, v in start._values(samples)), np.zeros(width))
        sd = np.sqrt(squares / samples.n_obs)
        return cls(samples.var_names, scale, constant, mean, np.where(sd > 0, sd, 1.0), library, bounds)

    @property
    def varies(self) -> NDArray[np.bool_]:
        """Which genes have a column in the table."""
        return np.isnan(self.constant)

    @property
    def width(self) -> int:
        """Columns of the table: genes that vary and, for counts, the library size, which is the last."""
        return len(self.mean)

    def encode(self, samples: ad.AnnData) -> NDArray[np.float32]:
        """Table of the samples, shape ``(n_samples, width)``; genes are matched by name.

        Raises
        ------
        GeneMismatch
            If genes are missing.
        """
        found = np.empty((samples.n_obs, self.width), dtype=np.float32)
        for start, values in self._values(samples):
            found[start : start + len(values)] = (values - self.mean) / self.sd
        return found

    def unscaled(self, table: NDArray[Any]) -> Floats:
        """The table before it was standardised."""
        return np.asarray(np.asarray(table, dtype=np.float64) * self.sd + self.mean)

    def calibrated(self, samples: ad.AnnData, draw: Callable[[], NDArray[Any]]) -> Self:
        """The representation that maps values as they are drawn to those of these samples.

        ``draw`` gives a table; it is called only if there is something to map.
        """
        real = np.concatenate([values for _, values in self._values(samples)])
        return replace(self, calibration=Calibration.learn(real, lambda: self.unscaled(draw())))

    def decode(self, table: NDArray[Any], rng: np.random.Generator) -> NDArray[np.float32]:
        """Values of all genes, shape ``(n_samples, n_genes)``.

        Counts add up to the library size that the table says, within the range seen, and are rounded up or down at
        random, so that the mean is kept. Values that were never below zero are cut off at the lowest seen; a one of
        binary values is what lies above the quantile of a standard normal that is as rare.
        """
        values = self.unscaled(table)
        if self.calibration is not None:
            values = self.calibration.apply(values)
        found = np.broadcast_to(self.constant, (len(values), len(self.genes))).copy()
        if self.scale == "counts":
            found[:, self.varies] = self._counts(values, rng)
        elif self.scale == "binary":
            found[:, self.varies] = np.asarray(table) > ndtri(1 - self.mean)
        else:
            low = self.bounds[0] if self.bounds[0] >= 0 else -np.inf
            found[:, self.varies] = np.clip(values, low, self.bounds[1] if self.scale in BOUNDED else np.inf)
        return found

    # -- bundle --------------------------------------------------------------------------------------------------------

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All arrays."""
        found: dict[str, NDArray[Any]] = {"constant": self.constant, "mean": self.mean, "sd": self.sd}
        if self.calibration is None:
            return found
        return found | {f"calibration/{name}": array for name, array in self.calibration.arrays().items()}

    def facts(self) -> dict[str, Any]:
        """What JSON holds, but the genes, which the generator holds."""
        return {"scale": self.scale, "library": list(self.library), "bounds": list(self.bounds)}

    @classmethod
    def from_state(cls, arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any], genes: pd.Index) -> Self:
        """Rebuild what `arrays` and `facts` said."""
        low, median, high = facts["library"]
        constant, mean, sd = (arrays[name] for name in ("constant", "mean", "sd"))
        bounds = facts["bounds"][0], facts["bounds"][1]
        parts = under("calibration", arrays)
        calibration = Calibration.from_arrays(parts) if parts else None
        return cls(genes, facts["scale"], constant, mean, sd, (low, median, high), bounds, calibration)

    # -- parts ---------------------------------------------------------------------------------------------------------

    def _values(self, samples: ad.AnnData) -> Iterator[tuple[int, Floats]]:
        """Table before it is standardised, block by block."""
        columns = _columns(samples.var_names, self.genes)
        for start, block in blocks(samples.X, max(BLOCK_VALUES // samples.n_vars, 1)):
            every = written_out(block) if columns is None else written_out(block)[:, columns]
            varying = every[:, self.varies].astype(np.float64)
            if self.scale != "counts":
                yield start, varying
                continue
            library = np.maximum(every.sum(axis=1, keepdims=True, dtype=np.float64), 1)
            yield start, np.hstack([np.log1p(varying * (self.library[1] / library)), np.log(library)])

    def _counts(self, values: Floats, rng: np.random.Generator) -> Floats:
        level = np.expm1(np.clip(values[:, :-1], 0, np.log1p(self.library[1])))  # no gene has more than a whole library
        total = level.sum(axis=1, keepdims=True)
        library = np.exp(np.clip(values[:, -1:], np.log(self.library[0]), np.log(self.library[2])))
        library = np.maximum(library - np.nansum(self.constant), 0)
        expected = level * np.divide(library, total, out=np.zeros_like(total), where=total > 0)
        return round_at_random(expected, rng)


def skewed(values: Any) -> bool:
    """Whether values that are not negative have a tail as linear expression has it: one in a thousand is far up."""
    stored = values.data if sp.issparse(values) else np.asarray(values)
    some = stored.ravel()[:: max(1, stored.size // BLOCK_VALUES)]
    some = some[some != 0]
    if not len(some) or some.min() < 0:
        return False
    middle, high = np.quantile(some, [0.5, 0.999])
    return bool(high > SKEW * middle)


def constant_values(x: Any) -> NDArray[np.float32]:
    """Value of each gene that is the same in all samples, NaN for one that varies."""
    low, high = ((e.toarray() if sp.issparse(e) else np.asarray(e)).ravel() for e in (x.min(axis=0), x.max(axis=0)))
    return np.where(low == high, low, np.nan).astype(np.float32)


def written_out(rows: Any) -> NDArray[np.float32]:
    """Rows as a dense float32 matrix."""
    return np.asarray(rows.toarray() if sp.issparse(rows) else rows, dtype=np.float32)


def round_at_random(expected: Floats, rng: np.random.Generator) -> Floats:
    """Whole numbers whose means are ``expected``: up as often as the fraction says, else down."""
    return np.floor(expected + rng.random(expected.shape))


def _columns(given: pd.Index, genes: pd.Index) -> NDArray[np.int64] | None:
    """Column of each gene; None where they stand in order."""
    if given.equals(genes):
        return None
    found = given.get_indexer(genes).astype(np.int64)
    if (found < 0).any():
        lost = genes[found < 0]
        message = f"{len(lost):,} of the generator's {len(genes):,} genes are not in the data ({examples(lost)})"
        raise GeneMismatch(message)
    return found
