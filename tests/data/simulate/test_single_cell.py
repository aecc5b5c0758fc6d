from __future__ import annotations

import tracemalloc
from inspect import signature
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from cellixir.data.expression.matrix import profile
from cellixir.data.simulate.dropout import Dropout
from cellixir.data.simulate.single_cell import expected_counts, simulate_single_cell
from cellixir.data.simulate.single_cell_plan import _rising, plan_single_cells
from cellixir.data.simulate.single_cell_settings import SingleCellSettings
from cellixir.exceptions import ConfigurationError


@pytest.fixture(scope="module")
def whole() -> ad.AnnData:
    """Nothing lost and many counts: 4,000 cells x 200 genes."""
    return simulate_single_cell(
        4000, 200, n_types=3, n_groups=3, library_size=(1500, 0.4), n_de=60, n_up=25, n_modules=3, module_size=10,
        dropout=0, seed=2,
    )  # fmt: skip


@pytest.fixture(scope="module")
def lossy() -> ad.AnnData:
    return simulate_single_cell(1500, 400, keep_before=True, seed=1)


def dense(matrix: sp.csr_matrix) -> np.ndarray:
    return matrix.toarray().astype(float)


def log2_ratio(adata: ad.AnnData, column: str, other: str, first: str) -> np.ndarray:
    """Log2 ratio of the pooled share of each gene in two sets of cells: no estimate, so no library is left out."""
    sums = [dense(adata.X[(adata.obs[column] == name).to_numpy()]).sum(axis=0) for name in (other, first)]
    return np.asarray(np.log2(sums[0] / sums[0].sum()) - np.log2(sums[1] / sums[1].sum()))


def test_counts_have_the_moments_of_the_truth_by_gene(whole: ad.AnnData) -> None:
    mean, dispersion = expected_counts(whole), whole.var["dispersion"].to_numpy()
    counts, variance = dense(whole.X), mean + dispersion * mean**2
    z = (counts - mean).sum(axis=0) / np.sqrt(variance.sum(axis=0))
    assert np.abs(z).max() < 4.5
    assert 0.8 < z.std() < 1.2
    common = mean.mean(axis=0) > 1
    assert common.sum() > 80
    ratio = (np.square(counts - mean) / variance).mean(axis=0)[common]
    assert np.abs(ratio - 1).max() < 0.3
    assert abs(ratio.mean() - 1) < 0.03
    zeros = (1 + dispersion * mean) ** (-1 / dispersion)
    z = ((counts == 0) - zeros).sum(axis=0) / np.sqrt((zeros * (1 - zeros)).sum(axis=0))
    assert np.abs(z).max() < 4.5


def test_library_sizes_are_those_asked_for(whole: ad.AnnData) -> None:
    library = whole.obs["library_size"].to_numpy()
    assert abs(np.log(library).mean() - np.log(1500)) < 4 * 0.4 / np.sqrt(4000)
    assert abs(np.log(library).std() - 0.4) < 4 * 0.4 / np.sqrt(8000)
    np.testing.assert_allclose(expected_counts(whole).sum(axis=1), library)
    assert np.corrcoef(dense(whole.X).sum(axis=1), library)[0, 1] > 0.8
    assert whole.var["mean"].sum() == pytest.approx(1500)


def test_planted_fold_changes_are_found_again(whole: ad.AnnData) -> None:
    planted = whole.varm["log2_fold_change"]
    for number, name in ((1, "group2"), (2, "group3")):
        fold, seen = planted[:, number], log2_ratio(whole, "group", name, "group1")
        differs = fold != 0
        slope = seen[differs] @ fold[differs] / (fold[differs] @ fold[differs])
        assert 0.93 < slope < 1.07
        assert np.corrcoef(seen[differs], fold[differs])[0, 1] > 0.98
        assert abs(np.median(seen[~differs])) < 0.07
        assert seen[~differs].std() < 0.15
        assert (np.abs(fold[differs]) >= 0.75).all()
        assert (np.abs(fold[differs]) <= 2.25).all()
        assert ((fold < 0).sum(), (fold > 0).sum()) == (35, 25)
    assert (planted[:, 0] == 0).all()
    np.testing.assert_array_equal(whole.var["is_de"], planted.any(axis=1))
    most = planted[np.arange(200), np.abs(planted).argmax(axis=1)]
    np.testing.assert_array_equal(whole.var["is_up"], most > 0)


def test_fold_changes_can_be_of_a_type() -> None:
    adata = simulate_single_cell(
        3000, 150, n_types=3, n_batches=1, library_size=(3000, 0.2), n_de=60, de_by_type=True, n_modules=0, dropout=0
    )
    planted = np.stack([adata.varm[f"log2_fold_change_type{number}"][:, 1] for number in (1, 2, 3)])
    np.testing.assert_allclose(planted.mean(axis=0), adata.varm["log2_fold_change"][:, 1])
    np.testing.assert_array_equal(adata.var["is_de"], (planted != 0).any(axis=0))
    assert ((planted != 0).sum(axis=1) == 60).all()
    assert 60 < adata.var["is_de"].sum() < 150
    for number, row in zip(("type1", "type2", "type3"), planted, strict=True):
        seen, differs = log2_ratio(adata[adata.obs["cell_type"] == number], "group", "group2", "group1"), row != 0
        slope, shift = np.polyfit(row[differs], seen[differs], 1)
        assert 0.9 < slope < 1.1
        assert abs(np.median(seen[~differs]) - shift) < 0.1


@pytest.mark.parametrize("own", [{"seed": 0}, {"seed": 1, "n_groups": 3}, {"seed": 6, "de_by_type": True}])
def test_genes_that_do_not_differ_stay_where_they_are(own: dict[str, int]) -> None:
    """What some genes gain of a library, others lose: all else keeps its share, here in expectation."""
    adata = simulate_single_cell(400, 1000, n_batches=1, n_modules=0, **own)  # type: ignore[arg-type]
    log2 = np.log2(expected_counts(adata) / adata.obs["library_size"].to_numpy()[:, None])
    same = pd.DataFrame(log2[:, ~adata.var["is_de"].to_numpy()])
    groups = same.groupby(adata.obs["group"].to_numpy(), observed=True).mean()
    assert (groups - groups.loc["group1"]).median(axis=1).abs().max() < 0.025


def test_batch_and_type_shifts_are_found_again() -> None:
    adata = simulate_single_cell(
        4000, 150, n_types=2, n_batches=3, n_groups=1, library_size=(3000, 0.2), type_strength=0.8, batch_strength=0.4,
        n_modules=0, dropout=0, seed=5,
    )  # fmt: skip
    for column, key, names in (
        ("batch", "log2_batch_shift", ["batch2", "batch3"]),
        ("cell_type", "log2_type_shift", ["type2"]),
    ):
        assert (adata.varm[key][:, 0] == 0).all()
        for number, name in enumerate(names, start=1):
            planted, seen = adata.varm[key][:, number], log2_ratio(adata, column, name, f"{name[:-1]}1")
            common = adata.var["mean"].to_numpy() > 2
            slope, _ = np.polyfit(planted[common], seen[common], 1)
            assert planted.std() > 0.3
            assert 0.92 < slope < 1.08
            assert np.corrcoef(planted[common], seen[common])[0, 1] > 0.97


def test_genes_of_a_module_go_together_and_others_do_not() -> None:
    adata = simulate_single_cell(
        3000, 100, n_types=1, n_batches=1, n_groups=1, library_size=(20000, 0.2), n_modules=3, module_size=8,
        module_strength=0.5, dropout=0, seed=4,
    )  # fmt: skip
    module, activity = adata.var["module"].to_numpy().astype(str), adata.obsm["module_activity"]
    assert dict(adata.var["module"].value_counts()) == {"none": 76, "module1": 8, "module2": 8, "module3": 8}
    log = np.log1p(dense(adata.X) / adata.obs["library_size"].to_numpy()[:, None] * 20000)
    common = adata.var["mean"].to_numpy() > 20
    correlation = np.corrcoef(log.T)
    same = (module[:, None] == module) & (module != "none")[:, None] & ~np.eye(100, dtype=bool)
    both = common[:, None] & common
    assert (same & both).sum() > 50
    assert np.median(correlation[same & both]) > 0.25
    assert abs(np.median(correlation[~same & both & ~np.eye(100, dtype=bool)])) < 0.1
    for number in range(3):
        inside = np.flatnonzero((module == f"module{number + 1}") & common)
        slopes = [np.polyfit(activity[:, number], log[:, gene], 1)[0] / np.log(2) for gene in inside]
        np.testing.assert_allclose(slopes, adata.varm["log2_module_loading"][inside, number], atol=0.2)
    assert np.abs(activity.mean(axis=0)).max() < 4.5 / np.sqrt(3000)
    assert np.abs(np.corrcoef(activity.T) - np.eye(3)).max() < 4.5 / np.sqrt(3000)
    np.testing.assert_allclose(activity.std(axis=0), 1, atol=0.06)
    np.testing.assert_array_equal(adata.varm["log2_module_loading"].any(axis=1), module != "none")


@pytest.mark.parametrize("wanted", [{}, {"dropout": 0.5, "dropout_steepness": 3.0}, {"dropout_midpoint": 0.0}])
def test_as_much_is_lost_as_planned(wanted: dict[str, float]) -> None:
    adata = simulate_single_cell(1200, 300, keep_before=True, seed=6, **wanted)  # type: ignore[arg-type]
    before, truth = adata.layers["counts_before_dropout"], adata.uns["truth"]
    share = adata.obs["n_dropped"].sum() / before.nnz
    assert share == pytest.approx(truth["dropout"], rel=0.08)
    assert truth["dropout"] == wanted.get("dropout", 0.2 if not wanted else truth["dropout"])
    assert truth["dropout_midpoint"] == wanted.get("dropout_midpoint", truth["dropout_midpoint"])
    assert truth["dropout_steepness"] == wanted.get("dropout_steepness", 1.0)


def test_more_is_lost_where_less_is_expected(lossy: ad.AnnData) -> None:
    before, after = dense(lossy.layers["counts_before_dropout"]), dense(lossy.X)
    mean, there = expected_counts(lossy), before > 0
    dropout = Dropout(lossy.uns["truth"]["dropout_midpoint"], lossy.uns["truth"]["dropout_steepness"])
    lost, planned = (there & (after == 0))[there], dropout.probability(mean[there])
    bins = pd.qcut(mean[there], 12, labels=False)
    table = pd.DataFrame({"lost": lost, "planned": planned, "spread": planned * (1 - planned)}).groupby(bins).sum()
    assert (np.abs(table["lost"] - table["planned"]) / np.sqrt(table["spread"])).max() < 4.5
    assert (table["lost"].diff().dropna() < 0).all()  # bins hold equally many values
    np.testing.assert_array_equal(lossy.obs["n_dropped"], (there & (after == 0)).sum(axis=1))
    np.testing.assert_array_equal(after[after > 0], before[after > 0])


def test_without_dropout_nothing_is_lost(lossy: ad.AnnData) -> None:
    whole = simulate_single_cell(1500, 400, dropout=0.0, seed=1)
    assert (whole.X != lossy.layers["counts_before_dropout"]).nnz == 0
    assert (whole.obs["n_dropped"] == 0).all()
    assert "counts_before_dropout" not in whole.layers
    assert "dropout_midpoint" not in whole.uns["truth"]
    assert whole.uns["truth"]["dropout"] == 0
    np.testing.assert_array_equal(whole.varm["log2_fold_change"], lossy.varm["log2_fold_change"])


def test_the_table_is_what_other_rooms_expect(lossy: ad.AnnData) -> None:
    for matrix in (lossy.X, lossy.layers["counts_before_dropout"]):
        assert isinstance(matrix, sp.csr_matrix)
        assert matrix.dtype == np.float32
        assert matrix.has_canonical_format
        assert (matrix.data > 0).all()
    assert profile(lossy).counts
    assert (lossy.uns["scale"], lossy.uns["scale_guessed"]) == ("counts", False)
    assert lossy.obs_names.is_unique
    assert lossy.var_names.is_unique
    for column, names in {"cell_type": 4, "batch": 2, "group": 2}.items():
        word = column.removeprefix("cell_")
        assert list(lossy.obs[column].cat.categories) == [f"{word}{number}" for number in range(1, names + 1)]
        assert np.ptp(lossy.obs[column].value_counts()) <= 3
    crossed = lossy.obs.value_counts(["cell_type", "batch", "group"])
    assert len(crossed) == 16
    assert crossed.min() > 50
    assert (lossy.uns["truth"]["kind"], lossy.uns["truth"]["seed"]) == ("single-cell", 1)


@pytest.mark.parametrize("own", [{"de_by_type": True, "keep_before": True, "seed": 3}, {"n_groups": 1, "n_modules": 0}])
def test_all_truth_survives_a_file(tmp_path: Path, own: dict[str, object]) -> None:
    adata = simulate_single_cell(300, 120, **own)  # type: ignore[arg-type]
    adata.write_h5ad(tmp_path / "cells.h5ad")
    again = ad.read_h5ad(tmp_path / "cells.h5ad")
    assert (again.X != adata.X).nnz == 0
    pd.testing.assert_frame_equal(again.obs, adata.obs)
    pd.testing.assert_frame_equal(again.var, adata.var)
    assert set(again.varm) == set(adata.varm)
    assert set(again.layers) == set(adata.layers)
    np.testing.assert_array_equal(expected_counts(again), expected_counts(adata))
    assert set(again.uns["truth"]) == set(adata.uns["truth"])
    for key, value in adata.uns["truth"].items():
        np.testing.assert_array_equal(again.uns["truth"][key], value)


def test_equal_seeds_give_equal_bytes(tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.h5ad" for number in range(3)]
    for file, seed in zip(files, (11, 11, 12), strict=True):
        simulate_single_cell(700, 120, seed=seed, keep_before=True).write_h5ad(file)
    one, two, other = (file.read_bytes() for file in files)
    assert one == two
    assert one != other


def test_a_plan_gives_the_same_blocks_each_time(lossy: ad.AnnData) -> None:
    usual = {name: given.default for name, given in signature(simulate_single_cell).parameters.items()}
    plan = plan_single_cells(SingleCellSettings(**{**usual, "n_cells": 1100, "n_genes": 400, "seed": 1}))
    first, second = list(plan.blocks()), list(plan.blocks())
    assert [block.counts.shape[0] for block in first] == [500, 500, 100]
    for one, two in zip(first, second, strict=True):
        assert (one.counts != two.counts).nnz == 0
    assert (first[0].counts != first[1].counts).nnz > 0
    np.testing.assert_allclose(plan.batch_effects.sum(axis=0), 0, atol=1e-12)
    assert (first[1].counts != lossy.X[500:1000]).nnz == 0  # a block does not depend on how many cells come after it


def test_expected_counts_of_some_cells_are_those_of_all(lossy: ad.AnnData) -> None:
    chosen = (lossy.obs["cell_type"] == "type3") & (lossy.obs["batch"] == "batch2") & (lossy.obs["group"] == "group2")
    some = lossy[chosen].copy()  # leaves categories that nobody has behind
    np.testing.assert_array_equal(expected_counts(some), expected_counts(lossy)[chosen])


def test_expected_counts_need_the_truth_of_all_genes(lossy: ad.AnnData) -> None:
    with pytest.raises(ConfigurationError, match=r"these data have 7, .*knows 400 genes"):
        expected_counts(lossy[:, :7])
    with pytest.raises(ConfigurationError, match="knows nothing"):
        expected_counts(ad.AnnData(np.ones((2, 3), dtype=np.float32)))


def test_one_of_each_is_enough() -> None:
    adata = simulate_single_cell(1, 1, n_types=1, n_batches=1, n_groups=1, n_modules=0, library_size=(50, 0), dropout=0)
    assert adata.shape == (1, 1)
    assert expected_counts(adata)[0, 0] == pytest.approx(50)
    assert adata.varm["log2_fold_change"].shape == (1, 1)
    assert adata.obsm["module_activity"].shape == (1, 0)


def test_without_strength_there_is_no_effect() -> None:
    adata = simulate_single_cell(
        200, 60, type_strength=0, batch_strength=0, mean_log2_fold_change=0, module_strength=0, n_modules=2
    )
    assert not adata.var["is_de"].any()
    assert (adata.var["module"] != "none").sum() == 40
    shares = expected_counts(adata) / adata.obs["library_size"].to_numpy()[:, None]
    assert np.ptp(shares, axis=0).max() < 1e-12


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(1e-6, 1), min_size=1, max_size=30), st.data())
def test_as_many_genes_rise_as_asked_for(shares: list[float], data: st.DataObject) -> None:
    n_up = data.draw(st.integers(0, len(shares)))
    gain = np.array(shares)
    assert _rising(2 * gain, gain, n_up).sum() == n_up


def test_memory_does_not_hold_all_cells_dense() -> None:
    tracemalloc.start()
    adata = simulate_single_cell(16000, 200, library_size=(20, 0.2), dropout=0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert adata.X.nnz < 0.1 * 16000 * 200
    assert peak < 0.7 * 16000 * 200 * 8


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"n_cells": 0}, "n_cells=0; give a whole number of 1 or more"),
        ({"n_cells": 10.5}, "n_cells=10.5; give a whole number"),
        ({"n_genes": "many"}, "n_genes='many'; give a whole number"),
        ({"n_groups": 0}, "n_groups=0; give a whole number of 1 or more"),
        ({"n_cells": 3}, "n_cells=3; 4 types, 2 batches and 2 groups need at least 4"),
        ({"n_de": 1001}, "n_de=1001; n_genes=1000 genes allow at most that many"),
        ({"n_de": 3, "n_groups": 1}, "n_groups=2 or n_de=0"),
        ({"n_de": 10, "n_up": 11}, "n_up=11; give 0 to n_de=10"),
        ({"n_up": -1}, "n_up=-1; give a whole number of 0 or more"),
        ({"n_modules": 60}, "n_modules=60 and module_size=20; modules share no genes, so they need n_genes=1200"),
        ({"module_size": 0}, "module_size=0"),
        ({"mean_log2_fold_change": -1.0}, "mean_log2_fold_change=-1.0; give a number from 0 to 20"),
        ({"batch_strength": float("nan")}, "batch_strength=nan"),
        ({"library_size": (0, 0.3)}, "library_size=(0, 0.3); give the median"),
        ({"library_size": (1e9, 0.3)}, "library_size=(1000000000.0, 0.3)"),
        ({"library_size": 2000}, "library_size=2000; give the median, above 0 and up to 16,777,216, and the SD"),
        ({"dropout": 1.0}, "dropout=1.0; give the share of the counts above zero that is lost, from 0 to 0.95"),
        ({"dropout": "none"}, "dropout='none'"),
        ({"dropout_midpoint": "low"}, "dropout_midpoint='low'; give the natural log of a mean"),
        ({"library_size": ("all", 0.3)}, "library_size=('all', 0.3)"),
        ({"dropout": -0.1}, "dropout=-0.1"),
        ({"dropout": 0.1, "dropout_midpoint": 1.0}, "both dropout and dropout_midpoint"),
        ({"dropout_midpoint": float("inf")}, "dropout_midpoint=inf"),
        ({"dropout_steepness": 0.0}, "dropout_steepness=0.0; give a number above 0 and up to 100"),
        ({"seed": -1}, "seed=-1"),
    ],
)
def test_impossible_requests_are_refused(arguments: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigurationError, match="single cells cannot be simulated with") as caught:
        simulate_single_cell(**arguments)  # type: ignore[arg-type]
    assert said in str(caught.value)
