"""What is left out really is, and what is scored is what brute force gives."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import pearsonr, spearmanr

from cellixir.data.audit.findings import require_clean
from cellixir.exceptions import ConfigurationError, Leakage
from cellixir.perturbation import Keys, effects_of
from cellixir.perturbation.audit import audit_effects
from cellixir.perturbation.scores import TOP, Truth, UnitMeans, activity, condition_scores, well_scores
from cellixir.perturbation.splits import Fold, inner_units, make_folds, split_units
from cellixir.perturbation.wells import conditions_of, described, parts_of

SMILES = ["CCO", "CCN", "c1ccccc1C", "c1ccccc1CC", "C1CCNCC1", "CC(=O)O"]


def screen(rows: list[tuple[int, int, int, int]], seed: int = 0) -> ad.AnnData:
    """Effects of wells of drugs ``a`` and, if another, ``b``, on a plate, in a line."""
    names = [f"D{a}" if a == b else f"D{a}+D{b}" for a, b, _, _ in rows]
    obs = pd.DataFrame(
        {"drug": names, "plate": [f"p{p}" for *_, p, _ in rows], "line": [f"L{c}" for *_, c in rows]},
        index=[f"w{k}" for k in range(len(rows))],
    )
    x = np.random.default_rng(seed).normal(size=(len(rows), 60)).astype(np.float32)
    smiles = pd.Series(SMILES, index=[f"D{k}" for k in range(len(SMILES))], dtype=object)
    return effects_of(ad.AnnData(x, obs), Keys("drug", plate="plate", cell_line="line"), smiles=smiles)


@settings(max_examples=25, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 3), st.integers(0, 3)), min_size=8, max_size=40
    ),
    split=st.sampled_from(["drug", "scaffold", "cell-line", "pair", "plate"]),
    seed=st.integers(0, 3),
)
def test_no_replicate_and_nothing_new_stands_on_both_sides(
    rows: list[tuple[int, int, int, int]], split: str, seed: int
) -> None:
    effects = screen(rows)
    try:
        folds, _ = make_folds(effects, split, n_folds=3, seed=seed)
    except ConfigurationError:
        return  # too few units
    condition, obs = conditions_of(effects.obs), effects.obs
    tested = np.concatenate([fold.test for fold in folds])
    assert len(tested) == len(set(tested))
    assert set(tested) == set(np.flatnonzero(split_units(effects, split) >= 0))
    for fold in folds:
        assert not set(condition[fold.train]) & set(condition[fold.test])
        column = {"cell-line": "cell_line", "plate": "plate", "pair": "perturbation"}.get(split)
        if column:
            assert not set(obs[column].iloc[fold.train]) & set(obs[column].iloc[fold.test])
        else:
            drugs = [{part for name in obs["perturbation"].iloc[rows] for part in parts_of(name)} for rows in fold[1:]]
            assert not drugs[0] & drugs[1]


def test_drugs_of_one_scaffold_and_two_names_of_one_molecule_go_together() -> None:
    effects = screen([(k, k, 0, 0) for k in range(6)])
    units = split_units(effects, "scaffold")
    assert units[2] == units[3]  # toluene and ethylbenzene
    effects.uns["smiles"]["D1"] = "OCC"
    assert split_units(effects, "drug")[0] == split_units(effects, "drug")[1]


def test_units_within_training_are_those_of_the_split_or_each_condition() -> None:
    effects = screen([(k % 6, k % 6, k % 2, k % 3) for k in range(24)])
    assert inner_units(effects, "drug").max() == 5
    assert inner_units(effects, "plate").max() == effects.n_obs - 1
    assert inner_units(effects[:2], "drug").tolist() == [0, 1]


def test_the_audit_finds_replicates_and_copies_on_both_sides() -> None:
    effects = screen([(k // 2, k // 2, 0, 0) for k in range(8)])
    folds = [Fold(0, np.array([0, 2, 4, 6]), np.array([1, 3, 5, 7]))]
    audit = audit_effects(effects, "drug", folds)
    assert audit.findings[0].kind == "replicate"
    with pytest.raises(Leakage):
        require_clean(audit)
    effects = screen([(k, k, 0, 0) for k in range(6)])
    effects.X[3] = effects.X[0]
    folds, _ = make_folds(effects, "drug", n_folds=6)
    assert any(
        f.kind == "duplicate-features" and "w0" in f.what for f in audit_effects(effects, "drug", folds).findings
    )


@pytest.fixture(scope="module")
def truth() -> Truth:
    return Truth.of(screen([(0, 0, 0, 0), (0, 0, 1, 0), (1, 1, 0, 0), (2, 2, 0, 0), (2, 2, 0, 0), (3, 3, 0, 0)]))


def test_scores_of_wells_are_those_of_scipy(truth: Truth) -> None:
    told = np.random.default_rng(5).normal(size=truth.effect.shape)
    found = well_scores(truth, np.arange(6), told)
    for row in range(6):
        y, p = truth.effect[row], told[row]
        top = np.argsort(-np.abs(truth.mean[truth.condition[row]]))[:TOP]
        assert found.loc[row, "pearson_delta"] == pytest.approx(pearsonr(y, p).statistic)
        assert found.loc[row, "spearman_delta"] == pytest.approx(spearmanr(y, p).statistic)
        assert found.loc[row, "pearson_top"] == pytest.approx(pearsonr(y[top], p[top]).statistic)
        assert found.loc[row, "sign_agreement"] == pytest.approx((np.sign(y[top]) == np.sign(p[top])).mean())
        assert found.loc[row, "rmse"] == pytest.approx(np.sqrt(np.mean((y - p) ** 2)))


def test_nothing_said_is_half_right_and_a_perfect_answer_is_found_again(truth: Truth) -> None:
    rows = np.arange(6)
    nothing = condition_scores(truth, rows, np.zeros_like(truth.effect))
    assert nothing["pearson_delta"].eq(0).all()
    assert nothing["sign_agreement"].eq(0.5).all()
    assert nothing["retrieval"].eq(0.5).all()
    perfect = condition_scores(truth, rows, truth.mean[truth.condition])
    assert perfect["retrieval"].eq(1).all()
    assert perfect["centroid_accuracy"].eq(1).all()
    one = condition_scores(truth, rows, np.tile(truth.mean.mean(axis=0), (6, 1)))
    np.testing.assert_allclose(one["alike"], 1)
    assert one["retrieval"].eq(0.5).all()  # one thing for all tells no drug from another


def test_retrieval_and_centroids_by_hand(truth: Truth) -> None:
    told = np.random.default_rng(7).normal(size=truth.mean.shape) + truth.mean
    found = condition_scores(truth, np.arange(6), told[truth.condition]).set_index("condition")
    n = len(told)
    for i in range(n):
        others = [j for j in range(n) if j != i]
        like = [pearsonr(truth.mean[i], told[j]).statistic for j in range(n)]
        assert found.loc[i, "retrieval"] == pytest.approx(np.mean([like[j] < like[i] for j in others]))
        far = [np.linalg.norm(told[i] - truth.mean[j]) for j in range(n)]
        assert found.loc[i, "centroid_accuracy"] == pytest.approx(np.mean([far[j] > far[i] for j in others]))
        right = [pearsonr(told[i], truth.mean[j]).statistic for j in others]
        assert found.loc[i, "other_compound"] == pytest.approx(np.mean(right))
        mutual = [pearsonr(told[i], told[j]).statistic for j in others]
        assert found.loc[i, "alike"] == pytest.approx(np.mean(mutual))


def test_the_ceiling_is_the_mean_of_the_other_wells_of_a_condition(truth: Truth) -> None:
    other = truth.replicate()
    np.testing.assert_allclose(other[0], truth.effect[1], rtol=1e-6)
    np.testing.assert_allclose(other[4], truth.effect[3], rtol=1e-6)
    assert np.isnan(other[[2, 5]]).all()


def test_means_weigh_units_and_activity(truth: Truth) -> None:
    codes = np.arange(len(truth.mean))
    np.testing.assert_allclose(activity(truth, codes), np.sqrt((truth.mean**2).mean(axis=1)))
    values, weights = np.array([1.0, 2.0, np.nan, 4.0]), np.array([1.0, 3.0, 5.0, 1.0])
    assert UnitMeans(np.arange(4), weights).interval(values).value == pytest.approx((1 + 6 + 4) / 5)
    assert np.isnan(UnitMeans(np.array([0, 0, 1, 1])).interval(values).low)  # two units have no interval


def test_a_split_that_leaves_nothing_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="needs two units, and there is one"):
        make_folds(screen([(0, 0, k, 0) for k in range(4)]), "drug")
    with pytest.raises(ConfigurationError, match="needs two units, and there is none"):
        make_folds(screen([(k, k, 0, 0) for k in range(4)]), "pair")
    with pytest.raises(ConfigurationError, match="there is no split 'lco'"):
        make_folds(screen([(k, k, 0, 0) for k in range(4)]), "lco")
    bare = screen([(k, k, 0, 0) for k in range(4)])
    bare.uns["smiles"] = bare.uns["smiles"][:0]
    with pytest.raises(ConfigurationError, match="needs structures"):
        make_folds(bare, "scaffold")
    assert described(pd.DataFrame({"d": ["A"]}), Keys("d"), [])["plate"].tolist() == ["one plate"]
