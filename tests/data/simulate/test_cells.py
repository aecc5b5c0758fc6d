from __future__ import annotations

import tracemalloc
from itertools import pairwise
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from cellixir.data.expression.matrix import profile
from cellixir.data.omics import guess_scale
from cellixir.data.simulate.cell_plan import CellSettings, plan_cells
from cellixir.data.simulate.cells import CellTruth, simulate_cells
from cellixir.data.simulate.large import write_large_h5ad
from cellixir.exceptions import ConfigurationError, WriteError

Simulated = tuple[ad.AnnData, CellTruth]


@pytest.fixture(scope="module")
def many() -> Simulated:
    """Enough counts to see moments: 4,000 cells x 200 genes, three types."""
    return simulate_cells(4000, 200, n_types=3, library_size=(400, 0.4), n_pathways=12, n_active=4, seed=2)


@pytest.fixture(scope="module")
def default() -> Simulated:
    return simulate_cells(seed=1)


def dense(adata: ad.AnnData) -> np.ndarray:
    return adata.X.toarray().astype(float)


def test_counts_have_the_mean_of_the_truth_by_gene(many: Simulated) -> None:
    adata, truth = many
    mean = truth.expected_counts().to_numpy()
    variance = mean + truth.dispersions.to_numpy() * mean**2
    z = (dense(adata) - mean).sum(axis=0) / np.sqrt(variance.sum(axis=0))
    assert np.abs(z).max() < 4.5
    assert 0.8 < z.std() < 1.2


def test_counts_have_the_variance_of_a_negative_binomial_by_gene(many: Simulated) -> None:
    adata, truth = many
    mean, dispersion = truth.expected_counts().to_numpy(), truth.dispersions.to_numpy()
    squares = np.square(dense(adata) - mean).sum(axis=0)
    seen = (squares - mean.sum(axis=0)) / np.square(mean).sum(axis=0)  # moment estimate of the dispersion
    common = mean.mean(axis=0) > 1
    assert common.sum() > 30
    ratio = seen[common] / dispersion[common]
    assert abs(ratio.mean() - 1) < 0.1
    assert np.corrcoef(np.log(seen[common].clip(1e-3)), np.log(dispersion[common]))[0, 1] > 0.85


def test_counts_have_the_zeros_of_a_negative_binomial(many: Simulated) -> None:
    adata, truth = many
    mean, dispersion = truth.expected_counts().to_numpy(), truth.dispersions.to_numpy()
    expected = (1 + dispersion * mean) ** (-1 / dispersion)
    z = ((dense(adata) == 0) - expected).sum(axis=0) / np.sqrt((expected * (1 - expected)).sum(axis=0))
    assert np.abs(z).max() < 4.5


def test_library_sizes_are_those_asked_for(many: Simulated) -> None:
    adata, truth = many
    log = np.log(truth.library_sizes)
    assert abs(log.mean() - np.log(400)) < 4 * 0.4 / np.sqrt(4000)
    assert abs(log.std() - 0.4) < 4 * 0.4 / np.sqrt(8000)
    np.testing.assert_allclose(truth.expected_counts().sum(axis=1), truth.library_sizes)
    assert np.corrcoef(dense(adata).sum(axis=1), truth.library_sizes)[0, 1] > 0.9


def test_types_differ_by_their_planted_effects() -> None:
    """Without batches and pathways, log ratios of mean shares are differences of effects, up to a constant."""
    adata, truth = simulate_cells(
        3000, 150, n_types=2, batch_strength=0, pathway_strength=0, library_size=(1500, 0.2), seed=4
    )
    total = {
        name: dense(adata[rows]).sum(axis=0)
        for name, rows in adata.obs.groupby("cell_type", observed=True).groups.items()
    }
    ratio = np.log(total["type 1"] / total["type 1"].sum()) - np.log(total["type 2"] / total["type 2"].sum())
    planted = np.log(truth.type_means.loc["type 1"] / truth.type_means.loc["type 2"]).to_numpy()
    assert planted.std() > 0.3
    # variance of a log mean over n cells (delta method): (1 / mean + dispersion) / n, widened by the spread of sizes
    mean = np.stack([total["type 1"], total["type 2"]]) / 1500
    error = np.sqrt(((1 / mean + truth.dispersions.to_numpy()) * np.exp(0.2**2) / 1500).sum(axis=0))
    assert np.abs((ratio - planted) / error).max() < 4.5
    effects = truth.type_effects.loc["type 1"] - truth.type_effects.loc["type 2"]
    assert np.ptp(effects.to_numpy() - planted) < 1e-9


def test_batches_differ_by_their_planted_effects() -> None:
    adata, truth = simulate_cells(
        3000,
        150,
        n_types=1,
        n_patients=3,
        n_batches=3,
        batch_strength=0.5,
        pathway_strength=0,
        library_size=(1500, 0.2),
    )
    np.testing.assert_allclose(truth.batch_effects.sum(), 0, atol=1e-12)
    common = dense(adata).mean(axis=0) > 1
    shares = pd.DataFrame(dense(adata)[:, common]).groupby(adata.obs["batch"].to_numpy(), observed=True).mean()
    planted = truth.batch_effects.loc[:, common]
    for one, other in pairwise(planted.index):
        seen = np.log(shares.loc[one] / shares.loc[other]).to_numpy()
        wanted = (planted.loc[one] - planted.loc[other]).to_numpy()
        assert np.corrcoef(seen, wanted)[0, 1] > 0.97
        assert abs(np.polyfit(wanted, seen, 1)[0] - 1) < 0.1


def test_without_strength_there_is_no_effect() -> None:
    settings = {"n_types": 3, "type_strength": 0, "batch_strength": 0, "pathway_strength": 0}
    adata, truth = simulate_cells(2000, 60, library_size=(600, 0.0), seed=3, **settings)  # type: ignore[arg-type]
    for frame in (truth.type_effects, truth.batch_effects, truth.loadings):
        assert (frame.to_numpy() == 0).all()
    mean = truth.expected_counts().to_numpy()
    assert np.ptp(mean, axis=0).max() < 1e-9
    correlation = np.corrcoef(truth.activities.to_numpy().T, dense(adata).T)[:10, 10:]
    assert np.abs(correlation).max() < 4.5 / np.sqrt(2000)
    assert abs(correlation.std() - 1 / np.sqrt(2000)) < 0.15 / np.sqrt(2000)


def test_an_active_pathway_moves_its_genes_and_no_others() -> None:
    """Slope of log counts on activity: the loading in its genes, nothing but the shift of all shares in the others."""
    adata, truth = simulate_cells(
        4000, 120, n_types=1, batch_strength=0, n_pathways=3, n_active=1, pathway_size=(10, 10), pathway_strength=0.5,
        library_size=(3000, 0.1), seed=6,
    )  # fmt: skip
    (name,) = truth.active
    activity, counts = truth.activities[name].to_numpy(), dense(adata)
    high, low = activity > np.quantile(activity, 0.8), activity < np.quantile(activity, 0.2)
    difference = activity[high].mean() - activity[low].mean()
    slope = pd.Series(np.log(counts[high].mean(axis=0) / counts[low].mean(axis=0)) / difference, adata.var_names)
    genes = truth.gene_sets[name]
    assert set(truth.loadings.index[truth.loadings[name] > 0]) == set(genes)
    others = slope.drop(genes)
    assert (slope[genes] - others.median()).min() > 0.15
    assert np.abs(slope[genes] - others.median() - truth.loadings.loc[genes, name]).max() < 0.15
    assert others.std() < 0.1


def test_activities_are_standard_and_partly_of_the_type() -> None:
    _, truth = simulate_cells(5000, 100, library_size=(10, 0), pathway_size=(5, 20), seed=8)
    activities = truth.activities
    assert activities.shape == (5000, 10)
    assert np.abs(activities.mean()).max() < 4 / np.sqrt(5000)
    np.testing.assert_allclose(activities.var(), 1, atol=0.1)
    between = activities.groupby(truth.cell_types).transform("mean").var() / activities.var()
    np.testing.assert_allclose(between, 0.3, atol=0.04)


@pytest.mark.parametrize("n_genes", [100, 500, 1500])
@pytest.mark.parametrize("density", [None, 0.1])
def test_zeros_are_as_many_as_asked_for(n_genes: int, density: float | None) -> None:
    adata, _ = simulate_cells(600, n_genes, density=density, seed=5)
    wanted = density or 0.07
    assert abs(adata.X.nnz / (600 * n_genes) - wanted) < 0.1 * wanted
    assert 0.9 - 0.01 <= 1 - adata.X.nnz / (600 * n_genes) <= 0.95


def test_decoys_share_genes_with_active_pathways(default: Simulated) -> None:
    _, truth = default
    active = [set(truth.gene_sets[name]) for name in truth.active]
    decoys = [set(genes) for name, genes in truth.gene_sets.items() if name not in truth.active]
    assert (len(active), len(decoys)) == (10, 40)
    for decoy in decoys:
        assert max(len(decoy & genes) for genes in active) >= round(0.25 * len(decoy))
        assert decoy not in active
    sizes = [len(set(genes)) for genes in truth.gene_sets.values()]
    assert sizes == [len(genes) for genes in truth.gene_sets.values()]
    assert 10 <= min(sizes) < 15
    assert 35 < max(sizes) <= 40


def test_active_pathways_stand_anywhere_among_the_names() -> None:
    chosen = {simulate_cells(20, 100, pathway_size=(3, 5), seed=seed)[1].active for seed in range(5)}
    assert len(chosen) == 5
    assert all(list(names) == sorted(names) for names in chosen)


def test_the_table_is_what_other_rooms_expect(default: Simulated) -> None:
    adata, truth = default
    assert isinstance(adata.X, sp.csr_matrix)
    assert adata.X.dtype == np.float32
    assert adata.X.has_canonical_format
    assert (adata.uns["scale"], adata.uns["scale_guessed"]) == ("counts", False)
    assert profile(adata).counts
    assert list(adata.obs) == ["cell_type", "patient", "batch"]
    assert adata.obs_names.equals(truth.activities.index)
    assert adata.var_names.equals(truth.loadings.index)
    assert adata.var_names.is_unique
    assert adata.obs["cell_type"].astype(str).equals(truth.cell_types)
    assert adata.obs["batch"].astype(str).equals(truth.batches)
    assert adata.obs["cell_type"].value_counts().to_list() == [200] * 5
    assert adata.obs.groupby("patient", observed=True)["batch"].nunique().eq(1).all()
    assert adata.obs["patient"].nunique() == 6
    assert (pd.crosstab(adata.obs["patient"], adata.obs["cell_type"]) > 10).all().all()


@pytest.mark.parametrize(
    ("share", "n_cells", "missing"), [(0.0, 1000, 0), (0.37, 1000, 370), (0.37, 1203, 445), (1.0, 700, 700)]
)
def test_unlabelled_cells_keep_their_type_in_the_truth(share: float, n_cells: int, missing: int) -> None:
    adata, truth = simulate_cells(n_cells, 80, unlabelled=share, pathway_size=(5, 10))
    labels = adata.obs["cell_type"]
    assert labels.isna().sum() == missing
    assert truth.cell_types.notna().all()
    known = labels.notna()
    assert labels[known].astype(str).equals(truth.cell_types[known])
    labelled, _ = simulate_cells(n_cells, 80, pathway_size=(5, 10))
    assert (adata.X != labelled.X).nnz == 0


def test_log_values_are_log1p_of_counts_per_million() -> None:
    counts, truth = simulate_cells(300, 100, density=0.3, seed=9)
    logs, same = simulate_cells(300, 100, density=0.3, seed=9, kind="log")
    assert logs.uns["scale"] == "log1p_cpm" == guess_scale(dense(logs))
    x = dense(counts)
    np.testing.assert_allclose(dense(logs), np.log1p(1e6 * x / x.sum(axis=1, keepdims=True)), rtol=1e-6)
    pd.testing.assert_frame_equal(truth.activities, same.activities)


def test_a_cell_without_counts_has_log_values_of_zero() -> None:
    logs, _ = simulate_cells(200, 50, library_size=(0.5, 0), pathway_size=(5, 10), kind="log")
    empty = np.asarray(logs.X.sum(axis=1)).ravel() == 0
    assert 20 < empty.sum() < 190
    assert np.isfinite(logs.X.data).all()


@pytest.mark.parametrize("kind", ["counts", "log"])
def test_equal_seeds_give_equal_data(kind: str) -> None:
    one, truth = simulate_cells(700, 100, kind=kind, seed=11)  # type: ignore[arg-type]
    two, again = simulate_cells(700, 100, kind=kind, seed=11)  # type: ignore[arg-type]
    other, _ = simulate_cells(700, 100, kind=kind, seed=12)  # type: ignore[arg-type]
    for part in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(one.X, part), getattr(two.X, part))
    pd.testing.assert_frame_equal(one.obs, two.obs)
    pd.testing.assert_frame_equal(truth.activities, again.activities, check_exact=True)
    pd.testing.assert_frame_equal(truth.loadings, again.loadings, check_exact=True)
    assert truth.gene_sets == again.gene_sets
    assert (one.X != other.X).nnz > 100


def test_expected_counts_of_some_cells_are_those_of_all(default: Simulated) -> None:
    _, truth = default
    chosen = ["CELL0900", "CELL0003"]
    pd.testing.assert_frame_equal(truth.expected_counts(chosen), truth.expected_counts().loc[chosen])
    np.testing.assert_allclose(truth.type_means.sum(axis=1), 1)


def test_one_of_each_is_enough() -> None:
    adata, truth = simulate_cells(
        1, 1, n_types=1, n_patients=1, n_batches=1, n_pathways=0, n_active=0, pathway_size=(1, 1)
    )
    assert adata.shape == (1, 1)
    assert truth.gene_sets == {}
    assert truth.activities.shape == (1, 0)
    assert (truth.batch_effects.to_numpy() == 0).all()


def test_pathways_need_not_act() -> None:
    _, truth = simulate_cells(10, 60, n_pathways=5, n_active=0)
    assert (len(truth.gene_sets), truth.active, truth.loadings.shape) == (5, (), (60, 0))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"n_cells": 0}, "n_cells=0; give a whole number of 1 or more"),
        ({"n_genes": -1}, "n_genes=-1; give a whole number of 1 or more"),
        ({"n_cells": 5}, "n_cells=5; 5 types and 6 patients need at least 6"),
        ({"n_batches": 7}, "n_batches=7; a patient is in one batch, so 6 patients fill at most 6"),
        ({"n_active": 51}, "n_active=51; give 0 to n_pathways=50"),
        ({"n_active": -1}, "n_active=-1"),
        ({"pathway_size": (0, 5)}, "pathway_size=(0, 5)"),
        ({"pathway_size": (9, 5)}, "pathway_size=(9, 5)"),
        (
            {"n_genes": 30},
            "pathway_size=(10, 40); give the least and the most genes of a pathway, from 1 to n_genes=30",
        ),
        ({"density": 1.0}, "density=1.0"),
        ({"density": float("nan")}, "density=nan"),
        ({"library_size": (0, 0.3)}, "library_size=(0, 0.3)"),
        ({"library_size": (1e9, 0.3)}, "library_size=(1000000000.0, 0.3)"),
        ({"library_size": (100, 0.3), "density": 0.1}, "both library_size and density"),
        ({"type_strength": -1.0}, "type_strength=-1.0"),
        ({"pathway_strength": float("inf")}, "pathway_strength=inf"),
        ({"unlabelled": 1.1}, "unlabelled=1.1"),
        ({"kind": "cpm"}, "kind='cpm'; use 'counts' or 'log'"),
        ({"seed": -1}, "seed=-1"),
    ],
)
def test_impossible_requests_are_refused(arguments: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigurationError, match="cells cannot be simulated with") as caught:
        simulate_cells(**arguments)  # type: ignore[arg-type]
    assert said in str(caught.value)


@pytest.mark.parametrize("block", [1, 1000, 5000])
def test_a_large_file_holds_the_same_cells_whatever_the_block(tmp_path: Path, block: int) -> None:
    path = tmp_path / "large.h5ad"
    truth = write_large_h5ad(path, 1700, 90, density=0.12, seed=3, block=block)
    wanted, planted = simulate_cells(1700, 90, density=0.12, seed=3)
    found = ad.read_h5ad(path)
    assert found.X.dtype == np.float32
    for part in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(found.X, part), getattr(wanted.X, part))
    pd.testing.assert_frame_equal(found.obs, wanted.obs)
    assert found.var_names.equals(wanted.var_names)
    assert (found.uns["scale"], bool(found.uns["scale_guessed"])) == ("counts", False)
    pd.testing.assert_frame_equal(truth.activities, planted.activities)
    assert [file.name for file in tmp_path.iterdir()] == ["large.h5ad"]


def test_a_large_file_is_read_from_disk_and_written_again(tmp_path: Path) -> None:
    path = tmp_path / "large.h5ad"
    write_large_h5ad(path, 1200, 60, density=0.1, seed=1)
    cells = ad.read_h5ad(path, backed="r")
    try:
        assert cells.shape == (1200, 60)
        wanted, _ = simulate_cells(1200, 60, density=0.1, seed=1)
        np.testing.assert_array_equal(cells.X[[3, 700, 1199]].toarray(), wanted.X[[3, 700, 1199]].toarray())
        assert profile(cells).fingerprint == profile(wanted).fingerprint
    finally:
        cells.file.close()
    copy = tmp_path / "copy.h5ad"
    ad.read_h5ad(path).write_h5ad(copy)
    assert (ad.read_h5ad(copy).X != ad.read_h5ad(path).X).nnz == 0


def test_memory_follows_the_block_and_not_the_file(tmp_path: Path) -> None:
    """Peak of what Python and NumPy allocate; four times the cells may only add their names and truth."""
    peaks = []
    for n_cells in (4000, 16000):
        tracemalloc.start()
        write_large_h5ad(tmp_path / "large.h5ad", n_cells, 300, density=0.1, block=1000)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    added = (16000 - 4000) * 300 * 0.1 * 8  # bytes of the values and their columns
    assert peaks[1] - peaks[0] < added
    assert peaks[1] < 12e6


def test_a_file_that_cannot_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="block=0"):
        write_large_h5ad(tmp_path / "large.h5ad", 100, 50, block=0)
    with pytest.raises(ConfigurationError, match=r"n_genes=20"):
        write_large_h5ad(tmp_path / "large.h5ad", 100, 20)
    (tmp_path / "folder").mkdir()
    with pytest.raises(WriteError, match="it is a folder"):
        write_large_h5ad(tmp_path / "folder", 100, 50)
    assert [file.name for file in tmp_path.iterdir()] == ["folder"]


def test_a_plan_gives_the_same_pieces_each_time() -> None:
    plan = plan_cells(CellSettings(n_cells=1100, n_genes=60))
    first, second = list(plan.pieces()), list(plan.pieces())
    assert [counts.shape[0] for counts, _ in first] == [500, 500, 100]
    for (one, _), (two, _) in zip(first, second, strict=True):
        assert (one != two).nnz == 0
    assert (first[0][0] != first[1][0]).nnz > 0
