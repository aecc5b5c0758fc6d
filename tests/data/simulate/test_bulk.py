"""Simulated bulk counts: what was asked for is planted, and the counts show it."""

from __future__ import annotations

import dataclasses
import inspect
import re
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from cellixir.data.simulate.bulk import PIECE, simulate_bulk
from cellixir.data.simulate.bulk_settings import BulkSettings
from cellixir.exceptions import ConfigurationError

SMALL: dict[str, Any] = {"n_samples": 40, "n_genes": 300, "n_de": 60}


def dense(adata: ad.AnnData) -> NDArray[np.float64]:
    return np.asarray(adata.X.toarray() if sp.issparse(adata.X) else adata.X, dtype=np.float64)


def expected(adata: ad.AnnData) -> NDArray[np.float64]:
    """Expected counts from the exported truth alone."""
    codes = {name: adata.obs[name].cat.codes.to_numpy() for name in ("batch", "group")}
    log = adata.varm["log2_fold_change"].T[codes["group"]] + adata.varm["log2_batch_shift"].T[codes["batch"]]
    if "module_activity" in adata.obsm:
        loading, module = adata.var["module_loading"].to_numpy(), adata.var["module"].cat.codes.to_numpy() - 1
        activity = np.where(module >= 0, adata.obsm["module_activity"][:, module], 0.0)
        log = log + activity * loading - np.log(2) / 2 * loading**2
    size = adata.obs["library_size"].to_numpy() / adata.uns["truth"]["library_size"]
    return np.asarray(adata.var["mean"].to_numpy() * size[:, None] * 2**log)


@pytest.fixture(scope="module")
def bulk() -> ad.AnnData:
    """The default, with a quarter of the genes."""
    return simulate_bulk(n_genes=2500, n_de=500)


@pytest.fixture(scope="module")
def large() -> ad.AnnData:
    """Few genes in many samples, for moments."""
    return simulate_bulk(n_samples=3000, n_genes=200, n_de=40, library_size=2e5)


def test_the_default_is_what_was_promised() -> None:
    adata = simulate_bulk()
    assert adata.shape == (400, 10_000)
    assert adata.X.dtype == np.float32
    assert adata.uns["scale"] == "counts"
    assert adata.obs.groupby(["batch", "group"], observed=True).size().tolist() == [100] * 4
    fold, shift = adata.varm["log2_fold_change"], adata.varm["log2_batch_shift"]
    assert fold.shape == shift.shape == (10_000, 2)
    assert not fold[:, 0].any()
    assert not shift[:, 0].any()
    is_de, size = adata.var["is_de"].to_numpy(), np.abs(fold[:, 1])
    assert (is_de.sum(), adata.var["is_up"].sum(), (fold[is_de, 1] > 0).sum()) == (2000, 1000, 1000)
    assert size[is_de].mean() == pytest.approx(2, abs=1e-9)
    assert size[is_de].min() >= 1
    assert 0.1 < size[~is_de].max() < 0.25
    assert (np.abs(shift[:, 1]) >= 1).sum() == adata.var["is_shifted"].sum() == 1000
    assert adata.var["mean"].sum() == pytest.approx(1e7)


def test_counts_are_whole_and_not_negative(bulk: ad.AnnData) -> None:
    counts = dense(bulk)
    assert (counts >= 0).all()
    assert (counts == np.round(counts)).all()
    assert isinstance(bulk.X, np.ndarray)


def test_library_sizes_are_log_normal_around_the_median_and_seen_in_the_totals(bulk: ad.AnnData) -> None:
    log = np.log(bulk.obs["library_size"] / 1e7)
    assert abs(log.mean()) < 4 * 0.3 / np.sqrt(400)
    assert log.std() == pytest.approx(0.3, rel=0.2)
    ratio = pd.Series(dense(bulk).sum(axis=1)) / bulk.obs["library_size"].to_numpy()
    by_cell = ratio.groupby([bulk.obs["batch"].to_numpy(), bulk.obs["group"].to_numpy()]).mean()
    assert by_cell.between(0.94, 1.06).all(), by_cell


def test_without_counterweight_the_totals_move() -> None:
    """Genes that only go up cannot be balanced: the test above would see an imbalance."""
    adata = simulate_bulk(**SMALL, n_up=60, n_batches=1)
    weight = adata.var["mean"] @ 2 ** adata.varm["log2_fold_change"] / adata.var["mean"].sum()
    assert weight[1] > 1.08


def test_mean_and_variance_follow_the_negative_binomial(large: ad.AnnData) -> None:
    """Over many samples of known expectation: z-scores of residuals and of their squares are standard."""
    mean, dispersion = expected(large), large.var["dispersion"].to_numpy()
    variance = mean + dispersion * mean**2
    residual = dense(large) - mean
    z = residual.sum(axis=0) / np.sqrt(variance.sum(axis=0))
    assert z.std() == pytest.approx(1, abs=0.25)
    assert np.abs(z).max() < 5
    ratio = (residual**2).sum(axis=0) / variance.sum(axis=0)
    assert np.median(ratio) == pytest.approx(1, abs=0.03)
    poisson = (residual**2).sum(axis=0) / mean.sum(axis=0)
    assert np.median(poisson) > 5


def test_dispersion_falls_along_the_trend_with_the_asked_scatter() -> None:
    adata = simulate_bulk(n_samples=4, n_genes=20_000, n_de=0, dispersion=(2.0, 0.05), dispersion_sd=0.4)
    scatter = np.log(adata.var["dispersion"] / (2.0 / adata.var["mean"] + 0.05))
    assert scatter.mean() == pytest.approx(0, abs=0.02)
    assert scatter.std() == pytest.approx(0.4, abs=0.01)
    assert np.log(adata.var["mean"]).std() == pytest.approx(1.7, abs=0.05)


def test_fold_changes_estimated_from_the_counts_lie_on_the_planted_ones(bulk: ad.AnnData) -> None:
    counts = dense(bulk)
    cpm = 1e6 * counts / counts.sum(axis=1, keepdims=True)
    for column, key, other in (("group", "log2_fold_change", "batch1"), ("batch", "log2_batch_shift", "group1")):
        rows = (bulk.obs["batch" if column == "group" else "group"] == other).to_numpy()
        in_second = (bulk.obs[column] == f"{column}2").to_numpy()
        found = np.log2(cpm[rows & in_second].mean(axis=0) / cpm[rows & ~in_second].mean(axis=0))
        true = bulk.varm[key][:, 1]
        slope, shift = np.polyfit(true, found, 1)
        assert slope == pytest.approx(1, abs=0.03)
        assert shift == pytest.approx(0, abs=0.06)
        assert np.corrcoef(true, found)[0, 1] > 0.95


def test_modules_are_correlated_and_keep_the_mean() -> None:
    adata = simulate_bulk(
        n_samples=2000, n_genes=60, n_de=0, n_batches=1, n_modules=3, module_size=10, module_sd=0.8, library_sd=0.0
    )
    module = adata.var["module"].astype(str).to_numpy()
    assert pd.Series(module).value_counts().to_dict() == {"none": 30, "module1": 10, "module2": 10, "module3": 10}
    assert (adata.var["module_loading"] > 0).tolist() == (module != "none").tolist()
    correlation = np.corrcoef(np.log1p(dense(adata)).T) - np.eye(60)
    same = (module[:, None] == module) & (module != "none") & ~np.eye(60, dtype=bool)
    # In one module the correlation is at least the share of the module in the variance of the two.
    assert correlation[same].mean() > 0.4
    assert np.abs(correlation[~same]).max() < 0.15
    # At loadings of .8 a log-normal factor that is not corrected would raise means by 17 %.
    one_group = adata[(adata.obs["group"] == "group1").to_numpy()]
    ratio = dense(one_group).mean(axis=0) / adata.var["mean"]
    assert ratio[module != "none"].mean() == pytest.approx(1, abs=0.06)
    residual = dense(adata) - expected(adata)
    assert abs((residual / expected(adata)).mean()) < 0.01


def test_each_group_and_batch_has_its_own_truth() -> None:
    adata = simulate_bulk(n_samples=90, n_genes=400, n_batches=3, n_groups=4, n_de=50, n_up=10)
    fold, shift = adata.varm["log2_fold_change"], adata.varm["log2_batch_shift"]
    assert fold.shape == (400, 4)
    assert shift.shape == (400, 3)
    for column in fold.T[1:]:
        assert ((column >= 1).sum(), (column <= -1).sum()) == (10, 40)
        assert np.abs(column[np.abs(column) >= 1]).mean() == pytest.approx(2)
    assert adata.var["is_de"].tolist() == (np.abs(fold) >= 1).any(axis=1).tolist()
    assert 50 < adata.var["is_de"].sum() < 150
    assert ((np.abs(shift) >= 1).sum(axis=0)).tolist() == [0, 40, 40]
    assert list(adata.obs["group"].cat.categories) == ["group1", "group2", "group3", "group4"]


@settings(max_examples=15, deadline=None)
@given(
    n_batches=st.integers(1, 4), n_groups=st.integers(1, 4), extra=st.integers(0, 30), seed=st.integers(0, 2**32 - 1)
)
def test_crossed_designs_are_balanced(n_batches: int, n_groups: int, extra: int, seed: int) -> None:
    n = n_batches * n_groups + extra
    obs = simulate_bulk(
        n_samples=n, n_genes=3, n_de=0, n_batches=n_batches, n_groups=n_groups, base_sd=0.1, seed=seed
    ).obs
    for columns in (["batch"], ["group"], ["batch", "group"]):
        counts = obs.groupby(columns, observed=False).size()
        assert counts.max() - counts.min() <= 1 + (len(columns) > 1)


@pytest.mark.parametrize(("n_batches", "n_groups"), [(3, 3), (4, 3)])
def test_totals_are_within_one_in_designs_of_any_size(n_batches: int, n_groups: int) -> None:
    sizes = {"n_batches": n_batches, "n_groups": n_groups, "n_genes": 3, "n_de": 0, "base_sd": 0.1}
    for n in range(n_batches * n_groups, n_batches * n_groups + 31):
        crossed = pd.crosstab(*(simulate_bulk(n_samples=n, **sizes).obs[c] for c in ("batch", "group")))
        assert np.ptp(crossed.sum(axis=0)) <= 1
        assert np.ptp(crossed.sum(axis=1)) <= 1
        assert np.ptp(crossed.to_numpy()) <= 2


def test_proportions_are_met() -> None:
    adata = simulate_bulk(**SMALL, batch_shares=(0.5, 0.5), group_shares=(7, 3))
    sizes = adata.obs.groupby(["batch", "group"], observed=True).size()
    assert sizes.tolist() == [14, 6, 14, 6]
    with pytest.raises(ConfigurationError, match="none would be of group2 in batch1"):
        simulate_bulk(**SMALL, group_shares=(1000, 1))


@pytest.mark.parametrize(
    "changes",
    [
        {"n_de": 0},
        {"n_de": 300, "n_up": 0},
        {"n_groups": 1, "n_de": None},
        {"n_de": None},
        {"n_batches": 1},
        {"baseline_log2_fold_change": 0.0},
        {"mean_log2_fold_change": 1.0},
        {"batch_shift_share": 0.0, "batch_sd": 0.0},
        {"batch_shift_share": 1.0},
        {"n_samples": PIECE + 3, "library_sd": 0.0, "dispersion_sd": 0.0, "base_sd": 0.0},
        {"n_modules": 6, "module_size": 50},
    ],
)
def test_settings_at_their_edges_work(changes: dict[str, Any]) -> None:
    asked = {**SMALL, **changes}
    adata = simulate_bulk(**asked)
    assert adata.shape == (asked["n_samples"], 300)
    assert np.isfinite(dense(adata)).all()
    n_de = 60 if asked["n_de"] is None else asked["n_de"]
    assert adata.var["is_de"].sum() == (0 if asked.get("n_groups") == 1 else n_de)
    assert (np.abs(adata.varm["log2_fold_change"]) >= 1).sum() == adata.var["is_de"].sum()
    if asked.get("batch_sd") == 0.0:
        assert not adata.varm["log2_batch_shift"].any()


def test_few_counts_are_sparse() -> None:
    adata = simulate_bulk(**SMALL, library_size=60.0)
    assert sp.issparse(adata.X)
    assert adata.X.format == "csr"
    assert adata.X.dtype == np.float32


def test_a_seed_is_one_data_set() -> None:
    first, again, other = (simulate_bulk(**SMALL, n_modules=2, module_size=5, seed=seed) for seed in (3, 3, 4))
    assert first.X.tobytes() == again.X.tobytes()
    pd.testing.assert_frame_equal(first.var, again.var)
    pd.testing.assert_frame_equal(first.obs, again.obs)
    assert (first.X != other.X).mean() > 0.5
    assert (first.var["is_de"] != other.var["is_de"]).any()
    assert first.uns["truth"]["seed"] == 3


def test_the_truth_survives_a_file(tmp_path: Path) -> None:
    adata = simulate_bulk(**SMALL, n_modules=2, module_size=5, group_shares=(3, 1))
    paths = [tmp_path / "a.h5ad", tmp_path / "b.h5ad"]
    for path in paths:
        adata.write_h5ad(path)
    read = ad.read_h5ad(paths[0])
    np.testing.assert_array_equal(read.X, adata.X)
    pd.testing.assert_frame_equal(read.var, adata.var)
    pd.testing.assert_frame_equal(read.obs, adata.obs)
    for key in ("log2_fold_change", "log2_batch_shift"):
        np.testing.assert_array_equal(read.varm[key], adata.varm[key])
    np.testing.assert_array_equal(read.obsm["module_activity"], adata.obsm["module_activity"])
    truth = read.uns["truth"]
    assert (truth["kind"], truth["seed"], truth["n_de"], truth["n_up"]) == ("bulk", 0, 60, 30)
    assert truth["group_shares"].tolist() == [3, 1]
    assert "batch_shares" not in truth
    assert paths[0].read_bytes() == paths[1].read_bytes()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"n_de": 301}, "n_de=301; .* at most n_genes=300"),
        ({"n_groups": 1}, "n_de=60 and n_groups=1; .* n_groups=2 or n_de=0"),
        ({"n_de": None, "n_up": 61}, "n_up=61; .* at most n_de=60"),
        ({"n_up": 61}, "n_up=61; .* at most n_de=60"),
        ({"n_up": -1}, "n_up=-1"),
        ({"n_samples": 3}, "n_samples=3; 2 batches x 2 groups need .* 4"),
        ({"n_genes": 0}, "n_genes=0; give a whole number of 1 or more"),
        ({"n_genes": 99.5}, "n_genes=99.5; give a whole number"),
        ({"n_batches": -2}, "n_batches=-2"),
        ({"seed": -1}, "seed=-1"),
        ({"mean_log2_fold_change": 0.5}, "mean_log2_fold_change=0.5; .* min_log2_fold_change=1.0"),
        ({"mean_log2_fold_change": float("nan")}, "mean_log2_fold_change=nan"),
        ({"min_log2_fold_change": 0.2}, "min_log2_fold_change=0.2; .* baseline_log2_fold_change=0.25"),
        ({"baseline_log2_fold_change": -0.1}, "baseline_log2_fold_change=-0.1"),
        ({"batch_shift": 0.0}, r"batch_shift=0.0; .*\(n_batches=1 for no shift\) above 0"),
        ({"batch_shift_share": 1.2}, "batch_shift_share=1.2; give a share of the genes from 0 to 1"),
        ({"batch_sd": -0.3}, "batch_sd=-0.3"),
        ({"library_size": 0.0}, "library_size=0.0; give a median above 0"),
        ({"library_size": 1e12}, "up to 1,000,000,000"),
        ({"mean_log2_fold_change": 1e5}, "mean_log2_fold_change=100000.0; give a number from 0 to 20"),
        ({"batch_shift": None}, "batch_shift=None"),
        ({"library_size": "1e7"}, "library_size='1e7'; give a median above 0"),
        ({"dispersion": (1.0, 0.0)}, r"dispersion=\(1.0, 0.0\)"),
        ({"dispersion": 0.1}, "dispersion=0.1; give two numbers"),
        ({"group_shares": 3}, "group_shares=3; give a number above 0 for each of 2"),
        ({"group_shares": "21"}, "group_shares='21'; give a number"),
        ({"n_modules": 7, "module_size": 50}, "n_modules=7 and module_size=50; .* n_genes=300"),
        ({"group_shares": (1, 2, 3)}, r"group_shares=\(1, 2, 3\); give a number above 0 for each of 2"),
        ({"batch_shares": (1, -1)}, r"batch_shares=\(1, -1\); give a number above 0"),
    ],
)
def test_what_cannot_be_is_refused_with_the_value_and_the_way_out(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        simulate_bulk(**{**SMALL, **changes})
    assert re.search(words, str(caught.value))
    assert str(caught.value).startswith("bulk samples cannot be simulated with")


def test_the_docstring_names_every_setting() -> None:
    offered = inspect.signature(simulate_bulk).parameters
    assert list(offered) == [field.name for field in dataclasses.fields(BulkSettings)]
    assert all(name in str(simulate_bulk.__doc__) for name in offered)


def test_other_genes_differ_by_less_than_a_quarter_also_as_estimated(large: ad.AnnData) -> None:
    """In 3,000 samples, by counts per million within batches: what does not differ is told from what does."""
    counts = dense(large)
    cpm = 1e6 * counts / counts.sum(axis=1, keepdims=True)
    group, batch = (large.obs[name].to_numpy() for name in ("group", "batch"))
    means = {(b, g): cpm[(batch == b) & (group == g)].mean(axis=0) for b in ("batch1", "batch2") for g in set(group)}
    found = np.mean([np.log2(means[b, "group2"] / means[b, "group1"]) for b in ("batch1", "batch2")], axis=0)
    is_de, is_up = large.var["is_de"].to_numpy(), large.var["is_up"].to_numpy()
    assert np.abs(found[~is_de]).max() < 0.25
    assert np.abs(found[is_de]).mean() == pytest.approx(2, abs=0.1)
    np.testing.assert_array_equal(found > 0.75, is_up)
    np.testing.assert_array_equal(found < -0.75, is_de & ~is_up)


def test_no_share_of_shifted_genes_is_no_shift_at_all():
    samples = simulate_bulk(n_samples=24, n_genes=50, batch_shift_share=0.0)
    assert not np.asarray(samples.varm["log2_batch_shift"]).any()
    assert not samples.var["is_shifted"].any()
