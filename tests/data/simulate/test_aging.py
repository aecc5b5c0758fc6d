"""Simulated donors: slopes come back as planted, other genes stay flat, and age hangs together with nothing else."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy import stats

from cellixir.data.omics import guess_scale
from cellixir.data.simulate.aging import simulate_aging
from cellixir.exceptions import ConfigurationError

Floats = NDArray[np.float64]
SMALL = {"n_samples": 30, "n_genes": 60, "n_age_genes": 20, "n_sex_genes": 5}


@pytest.fixture(scope="module")
def donors() -> ad.AnnData:
    return simulate_aging(n_samples=500, n_genes=1500, n_age_genes=200, seed=4)


def per_library(adata: ad.AnnData) -> Floats:
    """Log2 of counts over the planted library size."""
    return np.asarray(np.log2((adata.X.astype(np.float64) + 0.5) / adata.obs["library_size"].to_numpy()[:, None]))


def regressed(adata: ad.AnnData, values: Floats, late: bool = False) -> Floats:
    """Least-squares coefficients of each gene: decades of age, male, second batch; shape (3, n_genes)."""
    age = adata.obs["age"].to_numpy()
    decades = np.maximum(age - 60, 0) / 10 if late else age / 10
    columns = [decades, adata.obs["sex"] == "male", adata.obs["batch"] == "batch2", np.ones(len(age))]
    return np.linalg.lstsq(np.column_stack(columns).astype(float), values, rcond=None)[0][:3]


def slope(found: Floats, planted: Floats) -> float:
    return float((found * planted).sum() / (planted**2).sum())


def test_slopes_come_back_and_other_genes_stay_flat(donors: ad.AnnData) -> None:
    var, values = donors.var, per_library(donors)
    linear = (var["is_age"] & ~var["is_late"]).to_numpy()
    flat = ~var["is_age"].to_numpy()
    planted = var["log2_slope_per_decade"].to_numpy()
    found = regressed(donors, values)[0]
    assert slope(found[linear], planted[linear]) == pytest.approx(1, abs=0.03)
    assert np.corrcoef(found[linear], planted[linear])[0, 1] > 0.99
    assert not planted[flat].any()
    assert np.abs(found[flat]).max() < 0.1
    assert np.abs(planted[var["is_age"]]).min() >= 0.1


def test_genes_that_do_not_age_are_called_as_often_as_chance_says(donors: ad.AnnData) -> None:
    """Least squares with a t-test at 5 %: as many false calls as the level allows, and all that age."""
    age = donors.obs["age"].to_numpy()
    rest = np.column_stack([donors.obs["sex"] == "male", donors.obs["batch"] == "batch2", np.ones(len(age))])
    design = np.column_stack([age, rest]).astype(float)
    values = per_library(donors)
    left = values - design @ np.linalg.lstsq(design, values, rcond=None)[0]
    error = np.sqrt((left**2).sum(axis=0) / (len(age) - 4) * np.linalg.inv(design.T @ design)[0, 0])
    called = np.abs(regressed(donors, values)[0] / 10 / error) > stats.t.isf(0.025, len(age) - 4)
    is_age = donors.var["is_age"].to_numpy()
    assert called[~is_age].mean() == pytest.approx(0.05, abs=4 * np.sqrt(0.05 * 0.95 / (~is_age).sum()))
    assert called[is_age].mean() > 0.98


def test_other_genes_can_have_a_background() -> None:
    var = simulate_aging(**SMALL, background=0.05).var
    flat = var.loc[~var["is_age"], "log2_slope_per_decade"].abs()
    assert 0.04 < flat.max() <= 0.05


def test_late_genes_are_flat_until_the_breakpoint(donors: ad.AnnData) -> None:
    late = donors.var["is_late"].to_numpy()
    planted = donors.var["log2_slope_per_decade"].to_numpy()[late]
    values = per_library(donors)[:, late]
    assert slope(regressed(donors, values, late=True)[0], planted) == pytest.approx(1, abs=0.05)
    young = donors[donors.obs["age"] < 60]
    before = regressed(young, per_library(young)[:, late])[0]
    assert abs(slope(before, planted)) < 0.05


def test_sex_genes_differ_between_sexes_and_batches_by_their_shift(donors: ad.AnnData) -> None:
    _, male, second = regressed(donors, per_library(donors))
    planted = donors.var["log2_sex_shift"].to_numpy()
    shift = donors.varm["log2_batch_shift"]
    assert slope(male, planted) == pytest.approx(1, abs=0.03)
    assert np.abs(male[planted == 0]).max() < 0.25
    assert slope(second, shift[:, 1]) == pytest.approx(1, abs=0.05)
    assert not shift[:, 0].any()
    assert not (donors.var["is_sex"] & donors.var["is_age"]).any()


def test_counts_have_the_planted_mean_and_dispersion() -> None:
    """Without any effect, over the library sizes: mean mu and variance mu E[s] + (1 + phi) ... by hand below."""
    flat = {"n_age_genes": 0, "n_sex_genes": 0, "late": 0.0, "slope": (0.0, 0.0), "n_batches": 1}
    adata = simulate_aging(n_samples=3000, n_genes=40, **flat, seed=1)
    size = adata.obs["library_size"].to_numpy()[:, None] / (1000 * 40)
    mean, dispersion = adata.var["mean"].to_numpy(), adata.var["dispersion"].to_numpy()
    expected = size * mean
    left = adata.X.astype(np.float64) - expected
    ratio = (left**2 / (expected + dispersion * expected**2)).mean(axis=0)
    np.testing.assert_allclose(ratio, 1, atol=0.25)
    assert ratio.mean() == pytest.approx(1, abs=0.03)
    np.testing.assert_allclose(left.mean(axis=0) / mean, 0, atol=0.03)


def test_ages_are_spread_evenly_whatever_the_sex_and_batch(donors: ad.AnnData) -> None:
    age = np.sort(donors.obs["age"].to_numpy())
    even = np.linspace(20, 90, 501)
    assert np.all((age >= even[:-1]) & (age <= even[1:]))
    assert donors.obs["sex"].value_counts().to_dict() == {"female": 250, "male": 250}
    assert donors.obs["batch"].value_counts().to_dict() == {"batch1": 250, "batch2": 250}
    for column in ("sex", "batch"):
        means = donors.obs.groupby(column, observed=True)["age"].mean()
        assert np.abs(means - 55).max() < 4 * 20.2 / np.sqrt(250)


def test_as_many_genes_as_asked_age_in_each_direction() -> None:
    var = simulate_aging(n_samples=10, n_genes=300, n_age_genes=100, up=0.7, late=0.3, n_sex_genes=20).var
    assert (var["is_age"].sum(), var["is_up"].sum(), var["is_late"].sum(), var["is_sex"].sum()) == (100, 70, 30, 20)
    assert (var.loc[var["is_up"], "log2_slope_per_decade"] > 0).all()
    assert (var.loc[var["is_age"] & ~var["is_up"], "log2_slope_per_decade"] < 0).all()
    assert var.loc[var["is_age"], "log2_slope_per_decade"].abs().between(0.1, 0.4).all()
    assert (var["is_age"] | ~(var["is_up"] | var["is_late"])).all()


def test_log2_tpm_are_those_of_the_counts() -> None:
    counts = simulate_aging(**SMALL)
    logs = simulate_aging(**SMALL, scale="log2_tpm")
    dense = counts.X.astype(float)
    np.testing.assert_allclose(logs.X, np.log2(1e6 * dense / dense.sum(axis=1, keepdims=True) + 1), rtol=1e-5)
    assert logs.uns["scale"] == guess_scale(logs.X) == "log2_tpm"
    assert counts.uns["scale"] == guess_scale(dense) == "counts"
    assert counts.X.dtype == logs.X.dtype == np.float32


def test_the_truth_survives_h5ad(tmp_path: Path) -> None:
    adata = simulate_aging(**SMALL)
    adata.write_h5ad(tmp_path / "donors.h5ad")
    again = ad.read_h5ad(tmp_path / "donors.h5ad")
    assert again.uns["truth"]["kind"] == "aging"
    assert again.uns["truth"]["breakpoint"] == 60.0
    assert again.uns["truth"]["ages"].tolist() == [20.0, 90.0]
    pd.testing.assert_frame_equal(again.var, adata.var)
    pd.testing.assert_frame_equal(again.obs, adata.obs)
    np.testing.assert_array_equal(again.varm["log2_batch_shift"], adata.varm["log2_batch_shift"])


def test_equal_seeds_give_equal_bytes() -> None:
    first, again, other = (simulate_aging(**SMALL, seed=seed) for seed in (1, 1, 2))
    assert first.X.tobytes() == again.X.tobytes() != other.X.tobytes()
    pd.testing.assert_frame_equal(first.var, again.var)
    pd.testing.assert_frame_equal(first.obs, again.obs)


def test_one_sample_of_one_gene_is_enough() -> None:
    assert simulate_aging(n_samples=1, n_genes=1, n_age_genes=1, n_sex_genes=0, n_batches=1).shape == (1, 1)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"n_samples": 0}, "n_samples=0; give a whole number of 1 or more"),
        ({"n_age_genes": 4960}, "n_age_genes=4960 and n_sex_genes=50; no gene is both"),
        ({"n_age_genes": -1}, "n_age_genes=-1"),
        ({"n_samples": 4, "n_batches": 5}, "n_batches=5; 4 samples"),
        ({"ages": (90.0, 20.0)}, "ages=(90.0, 20.0); give the least and the greatest value"),
        ({"ages": (20.0, 200.0)}, "up to 130"),
        ({"slope": (0.4, 0.1)}, "slope=(0.4, 0.1)"),
        ({"background": 0.2}, "background=0.2; genes that do not age change less"),
        ({"breakpoint": 95.0}, "breakpoint=95.0; give an age within ages=(20.0, 90.0), or late=0"),
        ({"up": 1.5}, "up=1.5; give a share of the age genes from 0 to 1"),
        ({"late": float("nan")}, "late=nan"),
        ({"sex_effect": (0.0, 11.0)}, "sex_effect=(0.0, 11.0)"),
        ({"batch_sd": -1.0}, "batch_sd=-1.0"),
        ({"scale": "zscore"}, "scale='zscore'; use 'counts' or 'log2_tpm'"),
        ({"seed": -1}, "seed=-1"),
    ],
)
def test_impossible_requests_are_refused(arguments: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigurationError, match="aging cannot be simulated with") as caught:
        simulate_aging(**arguments)  # type: ignore[arg-type]
    assert said in str(caught.value)
