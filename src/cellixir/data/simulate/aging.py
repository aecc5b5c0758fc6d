"""Simulated expression of donors from young to old, with its truth: age genes, their slopes, their onset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.random import Generator
from numpy.typing import NDArray

from cellixir.data.simulate.counts import Floats, compact, gamma_poisson
from cellixir.data.simulate.ranges import wrong_counts, wrong_numbers, wrong_ranges
from cellixir.data.simulate.truth import labels, numbered, refuse, with_truth

#: Spread of the log2 expression of genes.
BASE_SD = 2.0
#: Dispersion of the counts of a gene: median, and standard deviation of the log.
DISPERSION, DISPERSION_SD = 0.05, 0.4
#: Library sizes: median number of counts for each gene, and standard deviation of the log.
COUNTS_PER_GENE, LIBRARY_SD = 1000, 0.25


@dataclass(frozen=True, kw_only=True)
class AgingSettings:
    """What `simulate_aging` was asked for; its docstring says what each means."""

    n_samples: int
    n_genes: int
    n_age_genes: int
    ages: tuple[float, float]
    slope: tuple[float, float]
    up: float
    late: float
    breakpoint: float
    background: float
    n_sex_genes: int
    sex_effect: tuple[float, float]
    n_batches: int
    batch_sd: float
    scale: Literal["counts", "log2_tpm"]
    seed: int

    def __post_init__(self) -> None:
        # Numbers first: what follows compares them.
        refuse(
            "aging",
            {
                **wrong_counts(self, "n_samples", "n_genes", "n_batches"),
                **wrong_counts(self, "n_age_genes", "n_sex_genes", "seed", least=0),
                **wrong_numbers(self, "up", "late", most=1, what="a share of the age genes"),
                **wrong_numbers(self, "breakpoint", most=130, what="an age"),
                **wrong_numbers(self, "background"),
                **wrong_numbers(self, "batch_sd", most=5, what="a standard deviation"),
                **wrong_ranges(self, "ages", most=130),
                **wrong_ranges(self, "slope", most=5),
                **wrong_ranges(self, "sex_effect", most=10),
            },
        )
        refuse("aging", self._wrong_sizes())

    def _wrong_sizes(self) -> dict[str, bool]:
        low, high = self.ages
        return {
            f"n_age_genes={self.n_age_genes} and n_sex_genes={self.n_sex_genes}; no gene is both, so give together at "
            f"most n_genes={self.n_genes}": self.n_age_genes + self.n_sex_genes > self.n_genes,
            f"n_batches={self.n_batches}; {self.n_samples} samples fill at most {self.n_samples}": (
                self.n_batches > self.n_samples
            ),
            f"background={self.background}; genes that do not age change less than those that do, so give at most "
            f"slope[0]={self.slope[0]}": self.background > self.slope[0],
            f"breakpoint={self.breakpoint}; give an age within ages={self.ages}, or late=0": (
                self.late > 0 and not low < self.breakpoint < high
            ),
            f"scale={self.scale!r}; use 'counts' or 'log2_tpm'": self.scale not in {"counts", "log2_tpm"},
        }


def simulate_aging(
    *,
    n_samples: int = 400,
    n_genes: int = 5000,
    n_age_genes: int = 500,
    ages: tuple[float, float] = (20.0, 90.0),
    slope: tuple[float, float] = (0.1, 0.4),
    up: float = 0.5,
    late: float = 0.2,
    breakpoint: float = 60.0,
    background: float = 0.0,
    n_sex_genes: int = 50,
    sex_effect: tuple[float, float] = (0.5, 2.0),
    n_batches: int = 2,
    batch_sd: float = 0.3,
    scale: Literal["counts", "log2_tpm"] = "counts",
    seed: int = 0,
) -> ad.AnnData:
    """Simulated samples x genes of donors of all ages (counts, float32), with the genes that age as truth.

    The expected count of gene ``g`` in a sample of age ``a``, sex ``s`` and batch ``b`` is::

        mean(g) library / median library * 2^(slope(g) t(a) + sex(g) [male] + batch(g, b))
        t(a) = (a - middle) / 10, or max(0, a - breakpoint) / 10 for genes that change late

    and its variance ``mean + dispersion mean²`` (negative binomial). Ages are spread evenly over their range, whatever
    the sex and the batch.

    Parameters
    ----------
    n_samples, n_genes, n_batches
        Sizes. Batches and sexes are dealt out evenly.
    n_age_genes
        Genes that change with age.
    ages
        The youngest and the oldest donor can be, in years.
    slope
        Least and greatest size of an age gene's log2 change in ten years.
    up
        Share of the age genes that go up.
    late
        Share of the age genes that change from `breakpoint` on only.
    breakpoint
        Age at which late changes begin, in years.
    background
        Greatest size of the slope of all other genes. In hundreds of samples tests see one of .02.
    n_sex_genes
        Genes, none of which ages, that differ between the sexes.
    sex_effect
        Least and greatest size of their log2 fold change, male against female.
    batch_sd
        Standard deviation of the log2 shift of a gene in a batch, against the first one.
    scale
        ``counts``, or ``log2_tpm``: log2(TPM + 1) of these counts, genes being of one length (dense).
    seed
        Equal seeds give equal data.

    Returns
    -------
    AnnData
        ``obs``: ``age`` (years), ``sex``, ``batch``, ``library_size`` (expected counts at middle age, without the other
        effects). ``var``: ``mean`` and ``dispersion`` of the counts (middle age, or before the breakpoint; female,
        first batch, median library), ``is_age``, ``is_up``, ``is_late``, ``log2_slope_per_decade`` (of late genes
        after the breakpoint), ``is_sex`` and ``log2_sex_shift``. ``varm["log2_batch_shift"]`` is genes x batches.

    Raises
    ------
    ConfigurationError
        If a size, a share or a range cannot be, or sizes do not go together.
    """
    settings = AgingSettings(**locals())
    rng = np.random.default_rng(seed)
    obs = _donors(settings, rng)
    var = _genes(settings, rng)
    batch_shift = rng.normal(scale=batch_sd, size=(n_genes, n_batches))
    batch_shift[:, 0] = 0.0
    shift = np.where(var["is_late"], *_decades(settings, obs["age"])) * var["log2_slope_per_decade"].to_numpy()
    shift += np.outer(obs["sex"] == "male", var["log2_sex_shift"]) + batch_shift.T[obs["batch"].cat.codes]
    library = obs["library_size"].to_numpy() / (COUNTS_PER_GENE * n_genes)
    mean = library[:, None] * var["mean"].to_numpy() * np.exp2(shift)
    counts = gamma_poisson(mean, var["dispersion"].to_numpy(), rng)
    adata = ad.AnnData(_on_scale(counts, scale), obs, var)
    adata.varm["log2_batch_shift"] = batch_shift
    adata.uns.update(name="aging", scale=scale, scale_guessed=False)
    return with_truth(adata, settings, kind="aging")


def _donors(settings: AgingSettings, rng: Generator) -> pd.DataFrame:
    """One row a sample: age, sex, batch and library size; each of them independent of the others."""
    n, (low, high) = settings.n_samples, settings.ages
    age = low + (high - low) * (rng.permutation(n) + rng.random(n)) / n
    batch = rng.permutation(np.arange(n) % settings.n_batches)
    median = COUNTS_PER_GENE * settings.n_genes
    columns = {
        "age": age,
        "sex": labels(rng.permutation(np.arange(n) % 2), ["female", "male"]),
        "batch": labels(batch, numbered("batch", settings.n_batches)),
        "library_size": median * np.exp(rng.normal(scale=LIBRARY_SD, size=n)),
    }
    return pd.DataFrame(columns, index=numbered("sample", n, width=3))


def _genes(settings: AgingSettings, rng: Generator) -> pd.DataFrame:
    """What each gene does: its mean and dispersion, its slope, its difference between the sexes."""
    n, n_age, n_sex = settings.n_genes, settings.n_age_genes, settings.n_sex_genes
    base = np.exp2(rng.normal(scale=BASE_SD, size=n))
    order = rng.permutation(n)
    aging, sexed = order[:n_age], order[n_age : n_age + n_sex]
    up = rng.permutation(n_age) < round(settings.up * n_age)
    late = rng.permutation(n_age) < round(settings.late * n_age)
    slope = rng.uniform(-settings.background, settings.background, size=n)
    slope[aging] = np.where(up, 1.0, -1.0) * rng.uniform(*settings.slope, size=n_age)
    sex = np.zeros(n)
    sex[sexed] = rng.choice([-1.0, 1.0], size=n_sex) * rng.uniform(*settings.sex_effect, size=n_sex)
    columns = {
        "mean": COUNTS_PER_GENE * n * base / base.sum(),
        "dispersion": DISPERSION * np.exp(rng.normal(scale=DISPERSION_SD, size=n)),
        "is_age": np.isin(np.arange(n), aging),
        "is_up": np.isin(np.arange(n), aging[up]),
        "is_late": np.isin(np.arange(n), aging[late]),
        "log2_slope_per_decade": slope,
        "is_sex": np.isin(np.arange(n), sexed),
        "log2_sex_shift": sex,
    }
    return pd.DataFrame(columns, index=pd.Index(numbered("GENE", n, width=5), dtype=object))


def _decades(settings: AgingSettings, age: pd.Series) -> tuple[Floats, Floats]:
    """Decades after the breakpoint, and decades from the middle of the ages; columns."""
    years = age.to_numpy(np.float64)[:, None]
    return np.maximum(0.0, years - settings.breakpoint) / 10, (years - sum(settings.ages) / 2) / 10


def _on_scale(counts: NDArray[np.int64], scale: str) -> sp.csr_matrix | NDArray[np.float32]:
    if scale == "counts":
        return compact(counts.astype(np.float32))
    total = np.maximum(counts.sum(axis=1, keepdims=True), 1)  # a sample without counts stays at 0
    return np.log2(1e6 * counts / total + 1).astype(np.float32)
