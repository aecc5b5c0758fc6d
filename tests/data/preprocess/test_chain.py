"""Preprocessing: what scikit-learn says, on training rows only, with the right names, and back from a bundle."""

from __future__ import annotations

import json
import re
import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from sklearn.decomposition import PCA
from sklearn.feature_selection import (
    RFE,
    SelectKBest,
    VarianceThreshold,
    f_classif,
    f_regression,
    mutual_info_regression,
)
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.preprocessing import MinMaxScaler, QuantileTransformer, RobustScaler, StandardScaler

from cellixir.data.omics import read_view
from cellixir.data.preprocess.chain import Preprocess
from cellixir.data.preprocess.grammar import (
    DEFAULT,
    STEPS,
    Step,
    chains_of_views,
    describe,
    parse_preprocess,
    parse_steps,
)
from cellixir.exceptions import ConfigurationError, DataError, DuplicateIds, InvalidValues, NotFitted

Matrix = NDArray[np.float64]
PLANTED = [3, 17, 29]
# One chain for every step, each with what it needs.
CHAINS = (
    "none",
    "impute=mean,standard",
    "impute=median,minmax",
    "impute=knn,robust",
    "impute=drop,standard",
    "standard,impute=knn",
    "rank",
    "quantile",
    "variance=7",
    "variance>0.9,standard",
    "impute=mean,standard,anova=5",
    "mutual_info=5",
    "rfe=5,minmax",
    "standard,pca=4",
    "impute=median,variance=20,standard,quantile,anova=10,pca=3",
)
GAPPY = tuple(chain for chain in CHAINS if "impute" in chain)


def names_of(x: Matrix) -> list[str]:
    return [f"g{j}" for j in range(x.shape[1])]


def planted(n: int = 80, p: int = 40, seed: int = 0) -> tuple[Matrix, NDArray[np.float64]]:
    """Features in different units, three of which make the target."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, p))
    y = z[:, [j % p for j in PLANTED]] @ np.array([2.0, -2.0, 2.0]) + 0.1 * rng.normal(size=n)
    return z * rng.uniform(0.5, 3, p) + rng.normal(size=p), y


def with_gaps(x: Matrix, seed: int = 1) -> Matrix:
    """A tenth of the values of the first ten columns missing."""
    holey = x.copy()
    holey[:, :10][np.random.default_rng(seed).random((len(x), 10)) < 0.1] = np.nan
    return holey


def fitted(text: str, x: Matrix, y: Any = None, **options: Any) -> Preprocess:
    return Preprocess(parse_steps(text), **options).fit(x, names_of(x), y)


def through_a_bundle(chain: Preprocess, folder: Path) -> Preprocess:
    arrays, facts = chain.state()
    save_file({name: np.asarray(a, order="C") for name, a in arrays.items()}, folder / "w.safetensors")
    return Preprocess.from_state(load_file(folder / "w.safetensors"), json.loads(json.dumps(facts)))


# The grammar.


def test_default_is_mean_imputation_and_standardisation():
    assert describe(DEFAULT) == "impute=mean,standard"
    assert Preprocess().steps == DEFAULT


def test_a_chain_for_all_views_and_chains_of_their_own():
    text = " expression : impute=median, variance=500,standard ; mutation:variance>0.05; RANK;"
    assert parse_preprocess(text) == {
        "expression": (Step("impute", "median"), Step("variance", 500), Step("standard")),
        "mutation": (Step("variance>", 0.05),),
        "": (Step("rank"),),
    }


@pytest.mark.parametrize("text", CHAINS)
def test_a_chain_is_written_as_it_is_read(text):
    assert describe(parse_steps(text)) == text


@given(st.lists(st.sampled_from(sorted(STEPS)), min_size=1, max_size=6), st.data())
def test_what_is_refused_is_refused_with_a_reason_and_the_rest_comes_back(names, data):
    values = {"K": st.integers(-1, 50), "T": st.floats(-1, 1), "": st.none()}
    words = [f"{n}{'' if n.endswith('>') else '='}{data.draw(values.get(STEPS[n], st.just('mean')))}" for n in names]
    text = ",".join(word.removesuffix("=None") for word in words)
    refused = ""
    try:
        assert parse_steps(describe(parse_steps(text))) == parse_steps(text)
    except ConfigurationError as error:
        refused = str(error)
    assert not refused or any(name in refused for name in names)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("log", "no preprocessing step 'log'; choose from impute=mean|median|knn|drop, standard, "),
        ("pca>3", "no preprocessing step 'pca>3'"),
        ("pca", "'pca' cannot be understood; write pca=K, K a whole number from 1 up"),
        ("pca=0", "'pca=0' cannot be understood"),
        ("variance=0.5", "or variance>T for a threshold"),
        ("variance>nan", "write variance>T"),
        ("impute=zero", "write impute=mean|median|knn|drop"),
        ("standard=3", "'standard=3' cannot be understood; write standard"),
        ("standard,,minmax", "has an empty step"),
        ("", "holds no step"),
        ("a:standard;a:minmax", "names the view 'a' twice"),
        ("standard;minmax", "two chains for all views"),
        (":standard", "':' without a view"),
        ("rank,impute=mean", "'impute=mean' stands after 'rank', which needs complete numbers"),
        ("standard,variance=9", "'variance=9' stands after 'standard', which makes all variances equal"),
        ("quantile,impute=mean", "'impute=mean' stands after 'quantile'"),
        ("pca=3,pca=2", "pca stands twice"),
    ],
)
def test_a_chain_that_cannot_work_is_refused(text, says):
    with pytest.raises(ConfigurationError, match=re.escape(says)):
        parse_preprocess(text)


def test_minmax_or_pca_after_standard_makes_variances_differ_again():
    assert len(parse_steps("standard,minmax,variance=5")) == len(parse_steps("standard,pca=9,variance=5")) == 3


def test_each_view_gets_its_chain():
    parsed = parse_preprocess("mutation:none")
    assert chains_of_views(parsed, ["expression", "mutation"]) == {"expression": DEFAULT, "mutation": ()}
    with pytest.raises(ConfigurationError, match="the view 'mutaton', which is not there; the views are 'expression'"):
        chains_of_views(parse_preprocess("mutaton:none"), ["expression"])


# What scikit-learn says.


@pytest.mark.parametrize(
    ("text", "transformer"),
    [
        ("standard", StandardScaler()),
        ("minmax", MinMaxScaler()),
        ("robust", RobustScaler()),
        ("quantile", QuantileTransformer(n_quantiles=80, output_distribution="normal")),
        ("impute=mean", SimpleImputer()),
        ("impute=median", SimpleImputer(strategy="median")),
        ("impute=knn", KNNImputer(n_neighbors=5)),
        ("variance>2", VarianceThreshold(2.0)),
    ],
)
def test_equals_scikit_learn(text, transformer):
    x, _ = planted()
    train, test = (with_gaps(x), with_gaps(planted(20, seed=5)[0])) if "impute" in text else (x, planted(20, seed=5)[0])
    test[0, 11], test[1, 11] = 1e3, -1e3  # beyond the training range
    expected = transformer.fit(train).transform(test)
    np.testing.assert_allclose(fitted(text, train).transform(test), expected, rtol=1e-6, atol=1e-6)


def test_quantiles_of_ties_equal_scikit_learn():
    x = np.random.default_rng(0).poisson(1.5, (60, 5)).astype(np.float64)
    expected = QuantileTransformer(n_quantiles=60, output_distribution="normal").fit_transform(x)
    np.testing.assert_allclose(fitted("quantile", x).transform(x), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("classes", [False, True])
def test_anova_keeps_what_select_k_best_keeps(classes):
    x, y = planted()
    target = np.digitize(y, [-1, 1]) if classes else y
    expected = SelectKBest(f_classif if classes else f_regression, k=8).fit(x, target).get_support(indices=True)
    chain = fitted("anova=8", x, target, task="classification" if classes else "regression")
    assert chain.names_ == [f"g{j}" for j in expected]


def test_mutual_information_and_rfe_keep_what_scikit_learn_keeps():
    x, y = planted()
    z = StandardScaler().fit_transform(x)
    best = np.sort(np.argsort(-mutual_info_regression(z, y, random_state=7))[:6])
    assert fitted("mutual_info=6", x, y, seed=7).names_ == [f"g{j}" for j in best]
    kept = RFE(Ridge(), n_features_to_select=6, step=0.1).fit(z, y).get_support(indices=True)
    assert fitted("rfe=6", x, y).names_ == [f"g{j}" for j in kept]


def test_variance_keeps_the_largest_in_their_old_order():
    x, _ = planted()
    expected = np.sort(np.argsort(-x.var(axis=0))[:9])
    assert fitted("variance=9", x).names_ == [f"g{j}" for j in expected]


@pytest.mark.parametrize("shape", [(60, 30), (700, 1500)])  # full and randomised
def test_pca_equals_scikit_learn_up_to_the_sign(shape):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(shape[0], 5)) @ rng.normal(size=(5, shape[1])) * 3 + 0.1 * rng.normal(size=shape)
    reference = PCA(4, svd_solver="full").fit(x)
    chain = fitted("pca=4", x)
    overlap = np.abs((reference.components_ * chain.loadings_.to_numpy().T).sum(axis=1))
    np.testing.assert_allclose(overlap, 1, atol=1e-6)
    assert (chain.loadings_.max() == chain.loadings_.abs().max()).all()  # the sign is fixed
    np.testing.assert_allclose(np.abs(chain.transform(x)), np.abs(reference.transform(x)), rtol=1e-3, atol=1e-2)


def test_ranks_are_those_of_a_row_and_survive_any_monotone_platform():
    x = np.array([[3.0, 1.0, 2.0, 2.0, 9.0], [0.0, 1.0, 2.0, 3.0, 4.0]])
    expected = [[0.75, 0.0, 0.375, 0.375, 1.0], [0.0, 0.25, 0.5, 0.75, 1.0]]
    assert fitted("rank", x).transform(x).tolist() == expected
    assert fitted("rank", x).transform(np.exp(x) + 5).tolist() == expected


# Names.


@pytest.mark.parametrize("step", ["anova=3", "mutual_info=3", "rfe=3"])
def test_the_planted_genes_are_found_whatever_their_units(step):
    x, y = planted(600)
    x[:, PLANTED[0]] *= 1e-4
    assert fitted(step, x, y).names_ == [f"g{j}" for j in PLANTED]
    assert fitted(step, x, y > np.median(y)).names_ == [f"g{j}" for j in PLANTED]


def test_a_planted_mutation_is_found_among_numbers():
    x, _ = planted(200)
    x[:, 8] = np.arange(200) % 7 == 0
    y = 3 * x[:, 8] + np.random.default_rng(0).normal(size=200)
    assert fitted("mutual_info=1", x, y).names_ == fitted("anova=1", x, y).names_ == ["g8"]
    assert fitted("mutual_info=1", x, np.where(x[:, 8] > 0, "sensitive", "resistant")).names_ == ["g8"]


@pytest.mark.parametrize("seed", range(12))
def test_a_feature_that_is_the_target_comes_first(seed):
    """Its residual is 0, which rounding makes negative in a third of the cases; its F is then below all others."""
    rng = np.random.default_rng(seed)
    x, y = planted(int(rng.integers(20, 60)), seed=seed)
    classes = rng.integers(0, 3, len(y))
    x[:, 5], x[:, 6] = y / 3 + 1, classes == 1
    assert fitted("anova=1", x, y).names_ == ["g5"]
    assert fitted("anova=1", x, classes, task="classification").names_ == ["g6"]


def test_loadings_point_to_planted_genes_after_selection():
    x = np.random.default_rng(0).normal(size=(100, 30)) * 0.3
    factor = np.random.default_rng(1).normal(size=100)
    x[:, [4, 9]] += factor[:, None] * [5, -3]
    x[:, 0] = 1.0  # constant, so that positions shift
    chain = fitted("variance=15,pca=3", x)
    assert chain.names_ == ["pca_1", "pca_2", "pca_3"] == list(chain.loadings_.columns)
    assert len(chain.loadings_) == 15
    assert "g0" not in chain.loadings_.index
    assert chain.loadings_["pca_1"].nlargest(1).index[0] == "g4"  # and positive: the sign is fixed
    assert chain.loadings_["pca_1"].idxmin() == "g9"
    assert abs(np.corrcoef(chain.transform(x)[:, 0], factor)[0, 1]) > 0.99


def test_names_are_those_of_the_columns_that_come_out():
    x, _ = planted()
    chain = fitted("variance=9", x)
    assert chain.input_names_ == names_of(x)
    np.testing.assert_array_equal(chain.transform(x), x[:, [int(n[1:]) for n in chain.names_]].astype(np.float32))


# Nothing leaks.


@pytest.mark.parametrize("text", CHAINS)
def test_a_row_does_not_depend_on_its_neighbours(text):
    x, y = planted()
    train, test = x[:60], x[60:].copy()
    if text in GAPPY and "drop" not in text:
        train, test = with_gaps(train), with_gaps(test, seed=2)
    chain = fitted(text, train, y[:60])
    alone = np.vstack([chain.transform(row[None]) for row in test])
    # The linear algebra library may add in another order for another number of rows.
    np.testing.assert_allclose(chain.transform(test), alone, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("text", CHAINS)
def test_transforming_changes_neither_the_chain_nor_the_data(text):
    x, y = planted()
    x = with_gaps(x) if text in GAPPY else x
    kept = x.copy()
    chain = fitted(text, x, y)
    rows = np.nan_to_num(x[::2], nan=0.5) if "drop" in text else x[::2].copy()
    first = chain.transform(rows)
    chain.transform(rows[:5] + 1)
    np.testing.assert_array_equal(chain.transform(rows), first)
    np.testing.assert_array_equal(x, kept)
    x[:] = 0  # what was learned is not a view of the caller's matrix
    np.testing.assert_array_equal(chain.transform(rows), first)


def test_same_seed_same_chain():
    noise = np.random.default_rng(0).normal(size=(700, 2200))  # large enough for the randomised decomposition
    counts = np.random.default_rng(0).poisson(2.0, (60, 40)).astype(float)  # equal values are parted at random
    y = np.random.default_rng(1).normal(size=60)
    for text, x, target in (("pca=3", noise, None), ("mutual_info=9", counts, y)):
        first, again, other = (fitted(text, x, target, seed=seed) for seed in (3, 3, 4))
        assert first.transform(x).tobytes() == again.transform(x).tobytes()
        assert first.transform(x).tobytes() != other.transform(x).tobytes()


# Bundles.


@pytest.mark.parametrize("text", CHAINS)
def test_a_chain_from_a_bundle_gives_the_same_bits(text, tmp_path):
    x, y = planted()
    x = with_gaps(x) if text in GAPPY else x
    chain = fitted(text, x, y)
    back = through_a_bundle(chain, tmp_path)
    rows = np.nan_to_num(x, nan=0.5)[::-1]
    assert back.transform(rows).tobytes() == chain.transform(rows).tobytes()
    assert (back.names_, back.input_names_, back.notes_) == (chain.names_, chain.input_names_, chain.notes_)
    assert (back.steps, back.seed, back.task) == (chain.steps, chain.seed, chain.task)
    if "pca" in text:
        assert back.loadings_.equals(chain.loadings_)


def test_only_numbers_of_kept_features_go_into_the_bundle():
    x, _ = planted()
    arrays, facts = fitted("impute=mean,minmax,variance=5,standard,variance=3".replace("standard,", ""), x).state()
    assert facts["stages"] == ["select", "fill", "affine"]
    assert {a.shape for a in arrays.values()} == {(3,)}


# What is left out, and what is refused.


def test_exclusions_are_counted_and_named():
    x, _ = planted(30, 6)
    x[:, 0], x[:, 1], x[3, 2], x[:, 4] = np.nan, 0.1, np.nan, 0.1
    chain = fitted("impute=mean,standard", x)
    assert chain.names_ == ["g2", "g3", "g5"]
    assert chain.notes_ == [
        "1 entirely missing feature was left out: 'g0'",
        "1 missing value in 1 of 5 features: impute=mean",
        "2 constant features were left out: 'g1', 'g4'",
    ]
    assert fitted("impute=drop,standard", x).names_ == ["g3", "g5"]
    assert "1 incomplete feature was left out: 'g2'" in fitted("impute=drop", x).notes_


def test_more_features_than_there_are_keeps_all_and_says_so():
    x, y = planted(30, 6)
    for step in ("variance=7", "anova=7", "mutual_info=7", "rfe=7"):
        chain = fitted(step, x, y)
        assert chain.names_ == names_of(x)
        assert chain.notes_ == [f"{step} keeps all of 6 features: there are no more"]
        assert fitted(step.replace("7", "6"), x, y).notes_ == []


def test_more_components_than_there_are_is_refused():
    x, _ = planted(6, 30)
    with pytest.raises(ConfigurationError, match=r"pca=6 asks for more .* 6 training rows .*write pca=5 or less"):
        fitted("pca=6", x)
    with pytest.raises(ConfigurationError, match="write pca=3 or less"):
        fitted("variance=3,pca=4", x)
    assert len(fitted("pca=5", x).names_) == 5


def test_components_without_variance_are_left_out():
    x, _ = planted(30, 6)
    chain = fitted("pca=10", np.hstack([x, x]))
    assert len(chain.names_) == 6
    assert "pca=10 found 6 components: training rows vary in no more directions" in chain.notes_


def test_robust_says_what_it_cannot_scale():
    x = np.zeros((40, 3))
    x[:3] = 1
    x[:, 2] = np.arange(40)
    chain = fitted("robust", x)
    assert chain.notes_ == ["2 features with interquartile range 0: robust centred, but did not scale"]
    assert chain.transform(x)[:3, :2].tolist() == [[1, 1]] * 3


def test_a_neighbour_chain_says_that_it_keeps_training_values():
    x, _ = planted(30, 6)
    assert "impute=knn keeps the 30 x 6 training values in the saved model" in fitted("impute=knn", x).notes_


@pytest.mark.parametrize(
    ("text", "where", "value", "says"),
    [
        ("standard", np.s_[3, 1], np.nan, r"1 missing value in 1 of 6 features \('g1'\).*put impute=mean"),
        ("rank", np.s_[3, 1], np.nan, "'rank' needs complete numbers; put impute=mean before it"),
        ("standard", np.s_[3, 1], np.inf, r"feature 'g1' is inf in row 4 \(1 such value\)"),
        ("none", np.s_[3, 1], -1e300, r"feature 'g1' is -1e\+300 in row 4"),
        ("standard", np.s_[:], 2.0, "no feature is left: 6 features .* constant"),
        ("impute=drop", np.s_[2], np.nan, "no feature is left: 6 features .* incomplete"),
        ("impute=mean", np.s_[:], np.nan, "no feature is left: .* entirely missing"),
    ],
)
def test_training_rows_that_cannot_be_used(text, where, value, says):
    x, _ = planted(30, 6)
    x[where] = value
    with pytest.raises(InvalidValues, match=says):
        fitted(text, x)


def test_a_threshold_above_all_variances():
    with pytest.raises(ConfigurationError, match="no feature has a variance above 99; the largest is"):
        fitted("variance>99", planted(30, 6)[0])


def test_matrices_that_are_none():
    x, _ = planted(30, 6)
    cases: list[tuple[Any, list[str], type[Exception], str]] = [
        (x, ["a"] * 6, DuplicateIds, r"1 feature stands more than once \('a'\)"),
        (x, ["a"], DataError, "the matrix has 6 columns, not 1 as there are names"),
        (x[0], ["a"], DataError, r"dense matrix .* of shape \(6,\)"),
        (x[:0], names_of(x), DataError, "nothing to learn from: 0 rows, 6 features"),
        (x[:, :0], [], DataError, "nothing to learn from: 30 rows, 0 features"),
        ([["u", "v"]], ["a", "b"], InvalidValues, "preprocessing needs numbers"),
    ]
    for matrix, names, error, says in cases:
        with pytest.raises(error, match=says):
            Preprocess().fit(matrix, names)
    with pytest.raises(InvalidValues, match="constant in 1 training row;"):
        Preprocess().fit(x[:1], names_of(x))


def test_rows_that_a_chain_cannot_transform():
    x, _ = planted(30, 6)
    chain = fitted("standard", x * 1e-20)
    with pytest.raises(DataError, match="the matrix has 5 columns, not 6 as in training"):
        chain.transform(x[:, :5])
    x[2, 3] = 1e30
    with pytest.raises(InvalidValues, match=r"feature 'g3' is .*e\+\d\d in row 3"):  # would be infinite in float32
        chain.transform(x)
    x[2, 3] = np.nan
    with pytest.raises(InvalidValues, match=r"1 missing value in 1 of 6 features \('g3'\): training had all"):
        chain.transform(x)
    assert fitted("impute=mean,standard", planted(30, 6)[0]).transform(x)[2, 3] == pytest.approx(0, abs=1e-6)
    with pytest.raises(NotFitted, match="call fit first"):
        Preprocess().transform(x)
    with pytest.raises(ConfigurationError, match="'standard' has no pca, so there are no loadings"):
        _ = chain.loadings_


def test_a_gap_in_a_feature_that_was_not_chosen_does_not_matter():
    x, _ = planted(30, 6)
    x[:, 2] *= 50
    chain = fitted("variance=1,standard", x)
    expected = chain.transform(x)
    x[:, [0, 1, 3, 4, 5]] = np.nan
    np.testing.assert_array_equal(chain.transform(x), expected)


@pytest.mark.parametrize("text", CHAINS)
def test_no_rows_give_no_rows(text):
    x, y = planted()
    chain = fitted(text, x, y)
    assert chain.transform(x[:0]).shape == (0, len(chain.names_))


@pytest.mark.parametrize(
    ("target", "says"),
    [
        (None, "'anova=2' chooses features by the target, and no target was given; use variance=2 instead"),
        (np.ones(30), "has one value only"),
        (np.r_[np.nan, np.arange(29)], "has 1 missing value"),
        (np.r_[np.inf, np.arange(29)], "has infinite values"),
        (np.arange(7), "one value a row"),
        (np.arange(30)[:, None], "one value a row"),
        (np.array(["a", None] * 15, dtype=object), "has 15 missing values"),
    ],
)
def test_targets_that_cannot_choose(target, says):
    x, _ = planted(30, 6)
    with pytest.raises((ConfigurationError, DataError), match=says):
        fitted("anova=2", x, target)


def test_target_of_text_is_no_regression_and_four_rows_are_too_few():
    x, y = planted(30, 6)
    with pytest.raises(InvalidValues, match="of a regression holds text \\('no', 'yes'\\)"):
        fitted("anova=2", x, np.where(y > 0, "yes", "no"), task="regression")
    with pytest.raises(ConfigurationError, match="it needs 5 training rows, not 4"):
        fitted("anova=2", x[:4], y[:4])
    assert fitted("standard", x, "never looked at").names_ == names_of(x)


@st.composite
def awkward(draw: st.DrawFn) -> Matrix:
    """Any numbers that float32 holds, with missing values, constant, empty and duplicated columns."""
    shape = draw(st.tuples(st.integers(6, 12), st.integers(1, 6)))
    x = draw(hnp.arrays(np.float32, shape, elements=st.floats(width=32, allow_infinity=False))).astype(np.float64)
    columns = [x, np.full((len(x), 1), draw(st.sampled_from([0.0, 0.1, 1e30]))), np.full((len(x), 1), np.nan), x[:, :1]]
    return np.hstack(columns)


@settings(deadline=None, max_examples=150)
@given(x=awkward(), text=st.sampled_from(CHAINS))
def test_what_comes_out_is_finite_and_named_or_refused_with_a_reason(x, text):
    y = np.arange(len(x)) % 3.0
    try:
        chain = fitted(text, x, y, task="classification")
        out = chain.transform(x)
    except (ConfigurationError, InvalidValues):
        return
    assert out.dtype == np.float32
    assert np.isfinite(out).all()
    assert out.shape == (len(x), len(chain.names_))
    assert len(set(chain.names_)) == len(chain.names_)
    assert f"g{x.shape[1] - 2}" not in chain.names_  # the column without a value


# Size, and real numbers.


def test_a_whole_transcriptome_takes_less_than_a_second_and_little_memory():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((500, 20_000), dtype=np.float32) * rng.gamma(1, size=20_000).astype(np.float32)
    chain, times = Preprocess(parse_steps("variance=1000,standard")), []
    for _ in range(3):  # the best of three: others use this machine too
        start = time.process_time()
        chain.fit(x, names_of(x)).transform(x)
        times.append(time.process_time() - start)
    tracemalloc.start()
    chain.fit(x, names_of(x)).transform(x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert min(times) < 1
    assert peak < 2.5 * x.size * 8
    assert sum(a.nbytes for a in chain.state()[0].values()) < 30_000


@pytest.mark.real_data
def test_real_expression(data_dir, tmp_path):
    view = read_view(data_dir / "derived/ccle_expression_525x697.csv.gz")
    x = np.asarray(view.X, dtype=np.float64)
    chain = Preprocess(parse_steps("impute=median,variance=500,standard,pca=20")).fit(x[:400], list(view.var_names))
    expected = PCA(20, svd_solver="full").fit(
        StandardScaler().fit_transform(x[:400, np.sort(np.argsort(-x[:400].var(axis=0))[:500])])
    )
    np.testing.assert_allclose(chain.transform(x[:400]).var(axis=0, ddof=1), expected.explained_variance_, rtol=1e-4)
    assert through_a_bundle(chain, tmp_path).transform(x).tobytes() == chain.transform(x).tobytes()
    mutated = fitted("anova=1", x, x[:, 123] * 2 + 1)
    assert mutated.names_ == ["g123"]
