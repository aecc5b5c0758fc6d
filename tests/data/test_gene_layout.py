"""Orders, maps and groups of features."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellixir.data import gene_layout
from cellixir.data.gene_layout import correlation_order, gene_grid, genomic_order, pathway_tokens, tokens
from cellixir.data.gene_sets import read_gene_sets
from cellixir.data.tables import read_table
from cellixir.exceptions import ConfigurationError, GeneMismatch, InvalidValues

SHAPES = [(1, 1), (2, 1), (5, 1), (2, 2), (1, 4), (2, 7), (3, 30), (30, 3), (9, 10)]


def along_a_line(n: int, n_features: int, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Samples of a chain whose neighbours correlate 0.9, columns shuffled, and the true place of each column."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, n_features))
    for j in range(1, n_features):
        x[:, j] = 0.9 * x[:, j - 1] + (1 - 0.81) ** 0.5 * x[:, j]
    place = rng.permutation(n_features)
    return x[:, place], place


def neighbours(x: np.ndarray, order: np.ndarray) -> float:
    r = np.abs(np.corrcoef(x.T))
    return float(r[order[1:], order[:-1]].mean())


def adjacent(x: np.ndarray, grid: np.ndarray) -> float:
    """Mean correlation of features side by side on a map."""
    r = np.corrcoef(x.T)
    sides = [(grid[1:], grid[:-1]), (grid[:, 1:], grid[:, :-1])]
    return float(np.mean([r[a[k], b[k]].mean() for a, b in sides for k in [(a >= 0) & (b >= 0)]]))


@pytest.mark.parametrize("shape", SHAPES)
def test_every_feature_has_one_place(shape):
    x = np.random.default_rng(0).normal(size=shape)
    everything = np.arange(shape[1])
    order, grid = correlation_order(x), gene_grid(x)
    np.testing.assert_array_equal(np.sort(order), everything)
    np.testing.assert_array_equal(np.sort(grid[grid >= 0]), everything)
    assert order.dtype == grid.dtype == np.int64
    assert grid.shape[0] == grid.shape[1] == np.ceil(np.sqrt(shape[1]))
    np.testing.assert_array_equal(correlation_order(x), order)
    np.testing.assert_array_equal(gene_grid(x), grid)


@pytest.mark.parametrize("value", [1.0, 0.1, 1e300])
def test_constant_columns_have_a_place_too(value):
    x = np.random.default_rng(0).normal(size=(20, 9))
    x[:, [2, 5, 6]] = value
    assert set(correlation_order(x)) == set(gene_grid(x)[gene_grid(x) >= 0]) == set(range(9))
    same = np.full((4, 5), value)
    assert set(correlation_order(same)) == set(gene_grid(same)[gene_grid(same) >= 0]) == set(range(5))


@pytest.mark.parametrize("make", [correlation_order, gene_grid])
def test_neither_scale_nor_shift_nor_precision_moves_a_feature(make):
    x = along_a_line(60, 25)[0]
    np.testing.assert_array_equal(make(x * np.geomspace(1e-3, 1e3, 25) + 7), make(x))
    np.testing.assert_array_equal(make(x.astype(np.float32)), make(x))
    np.testing.assert_array_equal(make(np.asfortranarray(x)), make(x))


@pytest.mark.parametrize("limit", [3000, 20])
def test_order_finds_a_line_again(monkeypatch, limit):
    """Also in pieces: each cut breaks some pairs of neighbours, no more."""
    monkeypatch.setattr(gene_layout, "MAX_CLUSTERED", limit)
    x, place = along_a_line(400, 80)
    order = correlation_order(x)
    steps = np.abs(np.diff(place[order]))
    assert (steps <= 2).mean() > 0.75
    assert neighbours(x, order) > 0.75
    assert neighbours(x, np.arange(80)) < 0.35


def test_order_does_not_look_at_signs():
    x = along_a_line(300, 40)[0]
    signs = np.random.default_rng(1).choice([-1.0, 1.0], 40)
    np.testing.assert_array_equal(correlation_order(x * signs), correlation_order(x))


def test_grid_puts_similar_features_near_each_other():
    """Features at points of a plane, correlated by distance: what is near there is near on the map."""
    rng = np.random.default_rng(0)
    points = rng.uniform(size=(100, 2))
    distance = np.linalg.norm(points[:, None] - points[None], axis=2)
    x = rng.multivariate_normal(np.zeros(100), np.exp(-((distance / 0.4) ** 2)) + 1e-6 * np.eye(100), size=500)
    grid = gene_grid(x)
    assert adjacent(x, grid) > 0.7
    assert adjacent(x, np.arange(100).reshape(10, 10)) < 0.4
    beside = np.mean([distance[grid[1:], grid[:-1]].mean(), distance[grid[:, 1:], grid[:, :-1]].mean()])
    assert beside < 0.6 * distance.mean()


def test_grid_is_filled_evenly():
    grid = gene_grid(np.random.default_rng(0).normal(size=(50, 697)))
    assert grid.shape == (27, 27)
    filled = (grid >= 0).sum(axis=0)
    assert set(filled) <= {25, 26}
    assert all((column[:n] >= 0).all() for column, n in zip(grid.T, filled, strict=True))


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (np.zeros(3), r"not shape \(3,\)"),
        (np.zeros((0, 3)), "at least one of each"),
        (np.zeros((3, 0)), "at least one of each"),
        (np.array([[1.0, np.nan, 2.0], [np.inf, 1.0, 0.0]]), r"2 features hold missing .*columns 0, 1"),
    ],
)
@pytest.mark.parametrize("make", [correlation_order, gene_grid])
def test_what_is_no_table_of_numbers_is_refused(make, x, words):
    with pytest.raises(InvalidValues, match=words):
        make(x)


def test_genomic_order_is_that_of_the_chromosomes():
    names = ["A_Y_1_9", "B_X_7_9", "C_10_5_9", "D_2_500_900", "HLA-A_2_60_90", "F_chr1_10_20", "G_MT_1_2", "H"]
    order = genomic_order(names)
    assert [names[i][0] for i in order] == list("FHDCBAGH")
    assert order.dtype == np.int64


def test_positions_of_a_table_and_features_it_does_not_know():
    positions = pd.DataFrame(
        {"chromosome": ["X", "chr2", 2, "GL000194.1", "1", None], "start": [5, 30, "4", 1, None, 3]},
        index=["a", "b", "c", "d", "e", "f"],
    )
    assert genomic_order(["e", "d", "c", "b", "a", "z"], positions).tolist() == [2, 3, 4, 1, 0, 5]
    assert genomic_order(["e", "f", "a"], positions) is None


def test_whole_numbers_that_a_spreadsheet_made_floats_are_chromosomes():
    positions = pd.DataFrame({"chromosome": [10.0, 9.0], "start": [1, 2]}, index=["a", "b"])
    assert genomic_order(["a", "b"], positions).tolist() == [1, 0]


@pytest.mark.parametrize("names", [["TP53", "KRAS"], ["TP53_mut", "loss_cnaPANCAN1_(A)"], [], ["A_1_2_3", "B", "C"]])
def test_names_without_positions_have_no_genomic_order(names):
    assert genomic_order(names) is None


@pytest.mark.parametrize(
    ("positions", "words"),
    [
        (pd.DataFrame({"chromosome": ["1"]}, index=["a"]), "lack the column 'start'"),
        (pd.DataFrame({"chromosome": ["1", "2"], "start": [1, 2]}, index=["a", "a"]), r"twice \('a'\)"),
        (pd.DataFrame({"chromosome": ["1"], "start": ["p36"]}, index=["a"]), "start of 'a' is not a number"),
    ],
)
def test_positions_that_cannot_be_used_are_refused(positions, words):
    with pytest.raises(InvalidValues, match=words):
        genomic_order(["a"], positions)


@given(n=st.integers(1, 60), width=st.integers(1, 20))
def test_tokens_hold_the_order(n, width):
    order = np.random.default_rng(n).permutation(n)
    table = tokens(order, width)
    assert table.shape == (-(-n // width), width)
    np.testing.assert_array_equal(table.ravel()[:n], order)
    assert (table.ravel()[n:] == -1).all()


def test_tokens_without_genes_are_refused():
    with pytest.raises(ConfigurationError, match="width=0"):
        tokens(np.arange(3), 0)


NAMES = ["TP53_mut", "SKI_1_2159133_2160133", "tp53", "KRAS", "loss_cnaPANCAN1_(CCNE1, EGFR)", "X1", "X2", "BRAF"]
SETS = {
    "cycle": ["TP53", "SKI", "MUT"],
    "mapk": ["KRAS", "BRAF", "EGFR"],
    "small": ["KRAS"],
    "all": ["TP53", "SKI", "KRAS", "CCNE1", "BRAF", "EGFR"],
    "within": ["KRAS", "BRAF", "EGFR", "absent"],
}


def test_sets_cover_features_and_the_rest_stands_in_blocks():
    found = pathway_tokens(NAMES, SETS, max_genes=4)
    assert found.labels == ("cycle", "mapk", "block 1")  # "within" holds the same and comes later in the alphabet
    assert found.layout.tolist() == [[0, 1, 2], [3, 4, 7], [5, 6, -1]]
    assert (found.n_covered, found.n_features, found.coverage) == (6, 8, 0.75)
    assert str(found) == "6 of 8 features (75%) in 2 gene sets, 2 in 1 blocks"


def test_one_large_set_is_enough_where_it_is_allowed():
    found = pathway_tokens(NAMES, SETS, max_genes=6)
    assert found.labels == ("all", "block 1")
    assert found.layout.shape == (2, 6)


def test_features_stand_in_the_given_order():
    order = np.arange(8)[::-1]
    found = pathway_tokens(NAMES, SETS, order=order, max_genes=4)
    assert found.layout.tolist() == [[2, 1, 0], [7, 4, 3], [6, 5, -1]]


def test_the_number_of_sets_is_bounded_and_nothing_is_lost():
    found = pathway_tokens(NAMES, SETS, max_genes=4, max_tokens=1)
    assert found.labels == ("cycle", "block 1", "block 2")
    assert set(found.layout[found.layout >= 0]) == set(range(8))


@given(
    sets=st.dictionaries(
        st.sampled_from("abcdefgh"), st.lists(st.integers(0, 14).map("G{}".format), min_size=1, max_size=9), min_size=1
    ),
    max_genes=st.integers(1, 6),
)
def test_no_feature_is_lost_whatever_the_sets(sets, max_genes):
    names = [f"G{i}" for i in range(15)]
    try:
        found = pathway_tokens(names, sets, max_genes=max_genes, min_genes=1)
    except GeneMismatch:
        assert all(len(set(genes)) > max_genes for genes in sets.values())
        return
    assert set(found.layout[found.layout >= 0]) == set(range(15))
    assert found.layout.shape == (len(found.labels), (found.layout >= 0).sum(axis=1).max())
    for label, row in zip(found.labels, found.layout, strict=True):
        assert not label.startswith("block") or (row >= 0).any()
        assert label.startswith("block") or {f"G{i}" for i in row if i >= 0} == set(sets[label])


@pytest.mark.parametrize(
    ("names", "sets", "words"),
    [
        (["ENSG1", "ENSG2"], SETS, r"none of the 2 features \('ENSG1', 'ENSG2'\) is in one of the 5 gene sets"),
        (["TP53"], {}, "one of the 0 gene sets"),
        (["TP53", "KRAS"], SETS, r"no gene set holds 3 to 32 of the 2 features \(they hold 1 to 2\)"),
    ],
)
def test_features_that_no_set_holds_are_refused(names, sets, words):
    with pytest.raises(GeneMismatch, match=words):
        pathway_tokens(names, sets)


@pytest.mark.parametrize(
    ("names", "settings"),
    [([], {}), (NAMES, {"min_genes": 0}), (NAMES, {"min_genes": 9, "max_genes": 8}), (NAMES, {"max_tokens": 0})],
)
def test_sizes_that_leave_no_room_are_refused(names, settings):
    with pytest.raises(ConfigurationError, match="leave no pathway tokens"):
        pathway_tokens(names, SETS, **settings)


@pytest.mark.real_data
def test_layouts_of_real_expression(data_dir):
    table = read_table(data_dir / "derived" / "ccle_expression_525x697.csv.gz").set_index("depMapID")
    x = table.to_numpy(np.float32)
    r = np.corrcoef(x.T)
    assert neighbours(x, correlation_order(x)) > 2.5 * np.abs(r).mean()
    grid = gene_grid(x)
    assert adjacent(x, grid) > 2.5 * r.mean()
    found = pathway_tokens(list(table.columns), read_gene_sets(data_dir / "reactome_pathways.gmt"))
    assert found.coverage > 0.55
    assert set(found.layout[found.layout >= 0]) == set(range(697))
    assert len(found.labels) <= 52


@pytest.mark.real_data
def test_real_methylation_has_a_genomic_order(data_dir):
    names = list(read_table(data_dir / "ccle_methylation_561x808.csv").columns[1:])
    order = genomic_order(names)
    assert names[order[0]] == "SKI_1_2159133_2160133"
    assert names[order[-1]] == "MTCP1_X_154299547_154300547"
    assert len(order) == len(names) == 808
    features = read_table(data_dir / "genomic_features_v17.csv.gz").columns
    assert genomic_order(list(features)) is None
