from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from cellixir.data.domain import LEAST_SIMILARITY, FeatureDomain, MoleculeDomain
from cellixir.data.drugs import attach_smiles, morgan_fingerprints, read_drugs
from cellixir.data.tables import read_table
from cellixir.exceptions import InvalidValues

Floats = NDArray[np.float64]


class Cells:
    """Log expression of cell lines: programmes of genes, a baseline of each gene, noise."""

    def __init__(self, n_genes: int = 300, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.programmes = rng.normal(size=(12, n_genes)) * np.geomspace(1, 0.2, 12)[:, None]
        self.baseline = rng.gamma(4, 1, n_genes)

    def draw(self, n: int, seed: int) -> Floats:
        rng = np.random.default_rng(seed)
        x = self.baseline + rng.normal(size=(n, 12)) @ self.programmes + 0.3 * rng.normal(size=(n, len(self.baseline)))
        return np.asarray(np.maximum(x, 0.0))


@pytest.fixture(scope="module")
def cells() -> Cells:
    return Cells()


@pytest.fixture(scope="module")
def domain(cells: Cells) -> FeatureDomain:
    return FeatureDomain.fit(cells.draw(400, seed=1))


def test_cells_of_the_same_kind_are_flagged_at_the_nominal_rate(cells: Cells, domain: FeatureDomain) -> None:
    assert 0.002 < domain.outside(cells.draw(4000, seed=2)).mean() < 0.025


def test_typical_rows_score_about_one(cells: Cells, domain: FeatureDomain) -> None:
    assert 0.9 < np.median(domain.score(cells.draw(500, seed=2))) < 1.2


@pytest.mark.parametrize(
    "change",
    [
        lambda x: 2**x - 1,
        lambda x: x / np.log2(10),
        lambda x: (x - x.mean(axis=0)) / x.std(axis=0),
        lambda x: (x - x.mean(axis=1, keepdims=True)) / x.std(axis=1, keepdims=True),
        lambda x: x[:, ::-1],
        lambda x: np.where(np.arange(x.shape[1]) % 2, x, 0.0),
        lambda x: x + 1.5,
        lambda x: x + np.random.default_rng(9).normal(size=x.shape),
        lambda x: 1e30 * x,
        lambda x: np.zeros_like(x),
    ],
    ids=["counts", "log10", "z", "z of a row", "permuted", "half missing", "shift", "noise", "huge", "zeros"],
)
def test_another_scale_or_a_shift_is_outside(cells: Cells, domain: FeatureDomain, change: object) -> None:
    assert callable(change)
    assert domain.outside(change(cells.draw(200, seed=3))).mean() > 0.98


def test_another_tissue_is_outside(cells: Cells) -> None:
    rng = np.random.default_rng(4)
    marker = rng.permutation(300)[:40]
    blood = cells.draw(100, seed=5)
    blood[:, marker] += 3.0
    assert FeatureDomain.fit(cells.draw(400, seed=1)).outside(blood).mean() > 0.98
    # and inside where some of it was seen
    seen = np.vstack([cells.draw(360, seed=1), blood[:40]])
    assert FeatureDomain.fit(seen).outside(blood[40:]).mean() < 0.1


def test_between_two_clusters_is_outside() -> None:
    """Near the mean of all rows, but far from each of them."""
    rng = np.random.default_rng(6)
    x = rng.normal(size=(300, 5)) + np.repeat([-20.0, 20.0], 150)[:, None]
    domain = FeatureDomain.fit(x)
    assert domain.outside(rng.normal(size=(50, 5))).all()
    assert not domain.outside(rng.normal(size=(200, 5)) * 0.5 + 20).any()


def test_what_no_component_holds_is_outside() -> None:
    rng = np.random.default_rng(7)
    plane = rng.normal(size=(200, 2)) @ rng.normal(size=(2, 400))
    x = plane + 0.1 * rng.normal(size=plane.shape)
    off = rng.normal(size=400)
    inside = x[:100] + 0.1 * rng.normal(size=(100, 400))
    domain = FeatureDomain.fit(x)
    assert domain.outside(inside + 20 * off / np.linalg.norm(off)).all()


def test_mutations_of_other_frequencies_are_outside() -> None:
    rng = np.random.default_rng(8)
    rate = rng.beta(0.3, 6, 600)
    domain = FeatureDomain.fit(rng.random((500, 600)) < rate)
    assert domain.outside(rng.random((2000, 600)) < rate).mean() < 0.03
    assert domain.outside(rng.random((200, 600)) < rng.permutation(rate)).mean() > 0.5
    assert domain.outside(rng.random((200, 600)) < 0.5).all()


@settings(deadline=None, max_examples=60)
@given(
    hnp.arrays(
        np.float64,
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=14),
        elements=st.one_of(st.sampled_from([0.0, 1.0]), st.floats(-1e6, 1e6, width=32, allow_subnormal=False)),
    ),
    st.integers(0, 99),
)
def test_scores_are_never_nan_and_the_state_comes_back_to_the_bit(
    through_a_bundle: Callable[[FeatureDomain], FeatureDomain], x: Floats, seed: int
) -> None:
    domain = FeatureDomain.fit(x)
    new = np.vstack([x, np.random.default_rng(seed).normal(size=(3, x.shape[1])), np.full((1, x.shape[1]), 1e300)])
    scores = domain.score(new)
    assert np.isfinite(scores).all()
    assert (scores >= 0).all()
    again = through_a_bundle(domain)
    np.testing.assert_array_equal(again.score(new), scores)
    np.testing.assert_array_equal(again.outside(new), domain.outside(new))
    np.testing.assert_array_equal(FeatureDomain.fit(x).score(new), scores)
    assert all(a.dtype == np.float32 for a in (again.mean, again.components, again.rows))


@pytest.mark.parametrize("value", [0.0, 0.1, 1e6 + 0.1])
def test_equal_rows_have_themselves_inside_and_all_else_outside(value: float) -> None:
    domain = FeatureDomain.fit(np.full((20, 3), value))
    assert not domain.outside(np.full((1, 3), value)).any()
    assert domain.outside(np.full((1, 3), 2 * value + 1)).all()


def test_one_row_says_nothing(through_a_bundle: Callable[[FeatureDomain], FeatureDomain]) -> None:
    domain = FeatureDomain.fit([[1.0, 2.0]])
    assert not domain.outside([[1e9, 0.0]]).any()
    assert through_a_bundle(domain).limit == np.inf


def test_three_rows_tell_another_scale() -> None:
    cells = Cells(n_genes=1000)
    domain = FeatureDomain.fit(cells.draw(3, seed=1))
    assert domain.outside(2 ** cells.draw(20, seed=2)).all()
    assert domain.outside(cells.draw(200, seed=2)).mean() < 0.7


def test_one_column() -> None:
    rng = np.random.default_rng(9)
    domain = FeatureDomain.fit(rng.normal(size=(300, 1)))
    assert domain.outside(rng.normal(size=(4000, 1))).mean() < 0.03
    assert domain.outside([[-30.0], [30.0]]).all()


def test_a_constant_column_that_moves_a_little_is_inside() -> None:
    rng = np.random.default_rng(10)
    x = np.column_stack([rng.normal(size=(300, 30)), np.zeros(300)])
    new = np.column_stack([rng.normal(size=(300, 30)), np.ones(300)])
    assert FeatureDomain.fit(x).outside(new).mean() < 0.05
    new[:, -1] = 50.0
    assert FeatureDomain.fit(x).outside(new).all()


def test_many_rows_are_thinned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cellixir.data.domain.MAX_ROWS", 100)
    domain = FeatureDomain.fit(np.arange(3000.0).reshape(1000, 3))
    assert domain.rows.shape == (100, 1)
    assert not domain.outside([[0.0, 1, 2], [2997.0, 2998, 2999]]).any()


@pytest.mark.parametrize(
    ("x", "said"),
    [
        (np.zeros((0, 3)), r"shape \(0, 3\)"),
        (np.zeros((3, 0)), r"shape \(3, 0\)"),
        (np.zeros(3), r"shape \(3,\)"),
        ([[0.0, 1.0], [np.nan, np.inf]], "2 features are not finite, the first in row 1, column 0"),
    ],
)
def test_features_without_a_domain_are_refused(x: object, said: str) -> None:
    with pytest.raises(InvalidValues, match=said):
        FeatureDomain.fit(x)  # type: ignore[arg-type]


def test_other_columns_and_gaps_are_refused(domain: FeatureDomain) -> None:
    with pytest.raises(InvalidValues, match="300 columns, here are 299"):
        domain.score(np.zeros((1, 299)))
    with pytest.raises(InvalidValues, match="row 0, column 7"):
        domain.outside(np.where(np.arange(300) == 7, np.nan, 0.0)[None])
    assert domain.score(np.zeros((0, 300))).shape == (0,)


# drugs


def test_similarity_is_tanimoto_to_the_nearest_drug() -> None:
    domain = MoleculeDomain.fit([[1, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 0]])
    new = [[1, 1, 0, 0, 0, 0], [1, 1, 1, 0, 0, 0], [0, 1, 0, 1, 1, 1], [0, 0, 0, 0, 0, 1]]
    np.testing.assert_allclose(domain.similarity(new), [2 / 3, 1, 2 / 4, 0])
    assert domain.outside(new).tolist() == [False, False, False, True]


def families(rng: np.random.Generator, n_families: int, size: int) -> NDArray[np.uint8]:
    """Drugs that share most bits within their family."""
    cores = np.repeat(rng.random((n_families, 512)) < 0.08, size, axis=0)
    return (cores ^ (rng.random(cores.shape) < 0.01)).astype(np.uint8)


def test_new_members_of_a_family_are_inside_and_strangers_are_not() -> None:
    rng = np.random.default_rng(0)
    bits = families(rng, 25, 9)
    new = np.arange(len(bits)) % 9 == 0
    domain = MoleculeDomain.fit(bits[~new])
    assert domain.limit > 0.4
    assert domain.outside(bits[new]).mean() <= 0.2
    assert domain.outside(families(rng, 25, 1)).all()


def test_a_drug_without_structure_is_unknown() -> None:
    domain = MoleculeDomain.fit([[1, 1, 0, 0], [0, 0, 0, 0], [0, 1, 1, 0]])
    assert len(domain.fingerprints) == 2
    assert np.isnan(domain.similarity([[0, 0, 0, 0]])).all()
    assert not domain.outside([[0, 0, 0, 0]]).any()


def test_training_drugs_that_have_nothing_in_common_leave_the_floor() -> None:
    domain = MoleculeDomain.fit(np.eye(6, dtype=np.uint8))
    assert domain.limit == LEAST_SIMILARITY
    assert MoleculeDomain.fit(np.zeros((3, 6), dtype=np.uint8)).similarity([[1, 0, 0, 0, 0, 0]])[0] == 0
    assert MoleculeDomain.fit([[1, 0]]).limit == LEAST_SIMILARITY


def test_drug_state_comes_back(through_a_bundle: Callable[[MoleculeDomain], MoleculeDomain]) -> None:
    domain = MoleculeDomain.fit(families(np.random.default_rng(1), 10, 5))
    again = through_a_bundle(domain)
    new = families(np.random.default_rng(2), 10, 2)
    np.testing.assert_array_equal(again.similarity(new), domain.similarity(new))
    assert again.limit == domain.limit


@pytest.mark.parametrize(
    ("bits", "said"), [([[0, 2]], "table of 0 and 1"), ([0, 1], "shape"), ([[0.5, 1]], "0 and 1"), ([[1, 0, 0]], "3")]
)
def test_what_is_no_fingerprint_is_refused(bits: list[object], said: str) -> None:
    with pytest.raises(InvalidValues, match=said):
        MoleculeDomain.fit([[1, 0]]).similarity(bits)


# published data


@pytest.fixture(scope="module")
def expression(data_dir: Path) -> pd.DataFrame:
    return pd.read_csv(data_dir / "derived/ccle_expression_525x697.csv.gz", index_col=0)


@pytest.mark.real_data
def test_expression_of_lines_that_were_left_out(expression: pd.DataFrame) -> None:
    x = expression.to_numpy(float)
    order = np.random.default_rng(0).permutation(len(x))
    new = x[order[400:]]
    domain = FeatureDomain.fit(x[order[:400]])
    assert domain.outside(new).mean() <= 0.04
    assert domain.outside(2**new - 1).all()
    assert domain.outside((new - new.mean(axis=0)) / new.std(axis=0)).all()
    assert domain.outside(new * np.log10(2)).all()
    assert domain.outside(new[:, ::-1]).all()


@pytest.mark.real_data
def test_blood_is_outside_where_no_blood_was_seen(expression: pd.DataFrame, data_dir: Path) -> None:
    names = pd.read_csv(data_dir / "derived/cellline_map_cosmic_depmap.csv").drop_duplicates("depMapID")
    tissue = names.set_index("depMapID")["CCLE_ID"].reindex(expression.index)
    blood = tissue.str.contains("HAEMATO", na=False).to_numpy()
    x = expression.to_numpy(float)
    assert blood.sum() == 86
    assert FeatureDomain.fit(x[~blood]).outside(x[blood]).mean() > 0.9


@pytest.mark.real_data
def test_drugs_of_the_screen(data_dir: Path) -> None:
    drugs = attach_smiles(
        read_drugs(data_dir / "gdsc_drug_list_2019.csv"), read_table(data_dir / "gdsc_drug_smiles.csv")
    )
    bits = morgan_fingerprints(drugs["smiles"])
    domain = MoleculeDomain.fit(bits)
    known = bits.any(axis=1)
    assert (domain.similarity(bits[known]) == 1).all()
    assert domain.limit == pytest.approx(LEAST_SIMILARITY, abs=0.05)  # drugs of a screen have little in common
    salts = morgan_fingerprints(pd.Series(["O", "[Na+].[Cl-]", "[Pt]"]))
    assert domain.outside(salts).all()
    held_out = bits[known][::5]
    without = MoleculeDomain.fit(np.delete(bits[known], np.s_[::5], axis=0))
    assert 0 < without.outside(held_out).mean() < 0.15
