from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy.stats import binomtest, norm
from scipy.stats import t as student

from cellixir.data.splits import make_folds, split_groups, split_off
from cellixir.exceptions import ConfigurationError, InvalidValues
from cellixir.metrics.conformal import LEVELS, OVERALL, Conformal, coverage, interval_score, units_needed
from cellixir.response.models.baselines import EffectsBaseline
from cellixir.sources.gdsc import load_gdsc_v17

UNSEEN = np.array(["never seen"])


def pooled(scores: NDArray[np.float64], level: float, units: NDArray[np.int64] | None = None) -> float:
    """Half width of a group without errors: the plain conformal quantile of all scores."""
    return float(Conformal.fit(scores, np.zeros(len(scores)), units=units).half_width(UNSEEN, level)[0])


# the closed form


@pytest.mark.parametrize(
    ("level", "rank"),
    [(0.5, 5), (0.51, 6), (0.8, 8), (0.81, 9), (0.9, 9), (0.1, 1), (0.01, 1)],  # ceil(10 level) of 9 scores
)
def test_half_width_is_the_conformal_rank(level: float, rank: int) -> None:
    errors = np.array([30.0, -10, 20, -90, 50, 60, 70, -80, 40])
    assert pooled(errors, level) == 10.0 * rank


def test_too_few_errors_for_the_level_are_an_infinite_width() -> None:
    errors = np.arange(1.0, 10)
    assert pooled(errors[:8], 0.9) == np.inf
    assert pooled(errors, 0.9) == 9
    assert pooled(errors, 0.91) == np.inf
    assert pooled(np.array([2.0]), 0.5) == 2
    assert pooled(np.array([2.0]), 0.51) == np.inf


@given(st.floats(0.01, 0.999))
def test_units_needed_are_the_fewest_with_a_finite_width(level: float) -> None:
    asked = float(LEVELS[np.searchsorted(LEVELS, level)])
    n = units_needed(asked)
    assert np.isfinite(pooled(np.arange(n) + 1.0, asked))
    assert n == 1 or pooled(np.arange(n - 1) + 1.0, asked) == np.inf


def test_ties_stand_for_as_many_errors() -> None:
    errors = np.array([1.0] * 8 + [7.0])
    assert [pooled(errors, level) for level in (0.1, 0.8, 0.9)] == [1, 1, 7]


def test_each_unit_weighs_the_same_however_many_errors_it_has() -> None:
    # nine lines with one error each, 1 to 9; then line 1 is measured a hundred times
    errors, lines = np.arange(1.0, 10), np.arange(9)
    many = np.append(errors, np.ones(99)), np.append(lines, np.zeros(99, dtype=int))
    for level in (0.2, 0.5, 0.9, 0.95):
        assert pooled(many[0], level, many[1]) == pooled(errors, level)
    assert pooled(many[0], 0.9) == 1  # by rows, the hundred decide


def test_shared_weight_of_a_unit_by_hand() -> None:
    # units a: {1, 5}, b: {2}, c: {4}; mass 1/8, 1/8, 1/4, 1/4 of what is needed, and 1/4 at infinity
    errors, units = np.array([1.0, 5, 2, 4]), np.array(["a", "a", "b", "c"])
    widths = Conformal.fit(errors, np.zeros(4), units=units)
    got = [float(widths.half_width(UNSEEN, level)[0]) for level in (0.12, 0.13, 0.37, 0.38, 0.62, 0.63, 0.75, 0.76)]
    assert got == [1, 2, 2, 4, 4, 5, 5, np.inf]


def test_the_half_width_of_a_group_is_the_formula_by_hand() -> None:
    rng = np.random.default_rng(0)
    errors, groups = rng.normal(size=300) * np.repeat([1.0, 3.0], 150), np.repeat(["a", "b"], 150)
    s, level = np.abs(errors), 0.9
    mean = {g: s[groups == g].mean() for g in "ab"}
    m = (mean["a"] + mean["b"]) / 2
    without = np.array([(150 * mean[g] - x + 5 * m) / (149 + 5) for g, x in zip(groups, s, strict=True)])
    shape = np.sort(s / without)[int(np.ceil(301 * level)) - 1]
    widths = Conformal.fit(errors, groups)
    for g in "ab":
        own = np.sort(s[groups == g])[int(np.ceil(151 * level)) - 1]
        scale = (150 * mean[g] + 5 * m) / 155
        expected = 150 / 250 * own + 100 / 250 * scale * shape
        assert widths.half_width(np.array([g]), level)[0] == pytest.approx(expected, rel=1e-12)


def test_a_tiny_group_borrows_its_shape_and_a_large_one_keeps_its_own() -> None:
    rng = np.random.default_rng(1)
    large = rng.choice([-1.0, 1.0], 4000) * 2.0  # always missed by 2
    tiny = np.array([1.0, -1.0, 1.0])
    widths = Conformal.fit(np.append(large, tiny), np.repeat(["large", "tiny"], [4000, 3]))
    assert widths.half_width(np.array(["large"]), 0.9)[0] == pytest.approx(2.0, rel=1e-3)
    # three errors of 1 beside a mean of (2 + 1) / 2
    assert widths.half_width(np.array(["tiny"]), 0.9)[0] == pytest.approx((3 * 1 + 5 * 1.5) / 8, rel=1e-3)
    assert widths.half_width(np.array(["tiny"]), 0.99)[0] < np.inf


# coverage of what is new


@pytest.mark.parametrize("n", [1, 2, 9, 19, 60])
def test_pooled_coverage_is_exact(n: int) -> None:
    """P(new score <= the k-th of n) is k / (n + 1), whatever the distribution."""
    draws, levels = np.exp(np.random.default_rng(n).normal(size=(500, n + 1))), (0.5, 0.8, 0.9, 0.95)
    inside = np.array([[row[-1] <= h for h in widths_of_all(row[:-1], levels)] for row in draws])
    for level, covered in zip(levels, inside.sum(axis=0), strict=True):
        expected = min(1.0, np.ceil((n + 1) * level - 1e-9) / (n + 1))
        assert covered == 500 if expected == 1 else binomtest(int(covered), 500, expected).pvalue > 1e-3


def widths_of_all(scores: NDArray[np.float64], levels: tuple[float, ...]) -> list[float]:
    widths = Conformal.fit(scores, np.zeros(len(scores)))
    return [float(widths.half_width(UNSEEN, level)[0]) for level in levels]


def simulated(
    rng: np.random.Generator, sizes: NDArray[np.int64], scales: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.str_]]:
    groups = np.repeat([f"drug{i:02d}" for i in range(len(sizes))], sizes)
    return rng.standard_t(5, len(groups)) * np.repeat(scales, sizes), groups


@pytest.mark.parametrize(("size", "tolerance"), [(4, 0.19), (15, 0.09), (60, 0.045), (400, 0.03)])
def test_coverage_within_groups_of_unequal_errors(size: int, tolerance: float) -> None:
    """Right over all groups at any size; of four errors a group cannot tell that its scale is half of the others'."""
    rng = np.random.default_rng(size)
    scales, levels = np.geomspace(0.5, 2.0, 20), (0.5, 0.8, 0.9, 0.95)
    shares = []
    for _ in range(max(12, 400 // size)):
        widths = Conformal.fit(*simulated(rng, np.full(20, size), scales))
        new, of = simulated(rng, np.full(20, 300), scales)
        shares.append([(np.abs(new) <= widths.half_width(of, b)).reshape(20, 300).mean(axis=1) for b in levels])
    mean = np.mean(shares, axis=0)  # (levels, groups)
    np.testing.assert_allclose(mean.mean(axis=1), levels, atol=0.015)
    assert np.abs(mean - np.array(levels)[:, None]).max() < tolerance


def test_one_width_for_all_would_not_do() -> None:
    rng = np.random.default_rng(2)
    errors, groups = simulated(rng, np.full(30, 200), np.geomspace(0.3, 3.0, 30))
    everything = np.abs(errors) <= pooled(errors, 0.9)
    own = np.abs(errors) <= Conformal.fit(errors, groups).half_width(groups, 0.9)
    spread = [pd.Series(x).groupby(groups).mean().std() for x in (everything, own)]
    assert spread[0] > 0.1
    assert spread[1] < 0.02


def lines(rng: np.random.Generator, sizes: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Errors that share the line's offset and scale."""
    unit = np.repeat(np.arange(len(sizes)), sizes)
    offset, scale = rng.normal(size=len(sizes)), np.exp(0.7 * rng.normal(size=len(sizes)))
    return (offset[unit] + rng.normal(size=len(unit))) * scale[unit], unit


@pytest.mark.parametrize("level", [0.8, 0.9])
def test_a_row_of_a_new_line_is_covered_as_often_as_said(level: float) -> None:
    rng = np.random.default_rng(int(level * 100))
    by_line, by_row = [], []
    for _ in range(600):
        errors, unit = lines(rng, np.append(rng.integers(1, 4, 24), 200))  # one line has most of the rows
        new, _ = lines(rng, np.full(40, 1))
        by_line.append((np.abs(new) <= pooled(errors, level, unit)).mean())
        by_row.append((np.abs(new) <= pooled(errors, level)).mean())
    # the guarantee is at least the level, and the unit at infinity adds at most 1 / 26
    assert level - 0.01 < np.mean(by_line) < level + 1 / 26 + 0.01
    assert np.mean(by_row) < level - 0.05


def test_drugs_within_new_lines_are_covered() -> None:
    rng = np.random.default_rng(5)
    shares = []
    for _ in range(40):
        unit, drug = (x.ravel() for x in np.meshgrid(np.arange(150), np.arange(20), indexing="ij"))
        spread = np.geomspace(0.5, 2, 20)[drug]

        def draw(unit: NDArray[np.int64] = unit, spread: NDArray[np.float64] = spread) -> NDArray[np.float64]:
            return np.asarray(spread * (rng.normal(size=150)[unit] + rng.normal(size=len(unit))))

        widths = Conformal.fit(draw(), drug, units=unit)
        shares.append((np.abs(draw()) <= widths.half_width(drug, 0.9)).reshape(150, 20).mean(axis=0))
    assert np.abs(np.mean(shares, axis=0) - 0.9).max() < 0.02


# properties

errors_strategy = hnp.arrays(
    np.float64, st.integers(1, 60), elements=st.floats(-1e6, 1e6, allow_subnormal=False).map(lambda x: round(x, 3))
)


@settings(deadline=None)
@given(errors_strategy, st.integers(1, 5), st.integers(1, 8), st.integers(0, 1000))
def test_widths_grow_with_the_level_and_scale_with_the_errors(
    errors: NDArray[np.float64], n_groups: int, n_units: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    groups, units = rng.integers(n_groups, size=len(errors)), rng.integers(n_units, size=len(errors))
    widths = Conformal.fit(errors, groups, units=units)
    assert not np.isnan(widths.table).any()
    assert (widths.table >= 0).all()
    assert (widths.table[:, 1:] >= widths.table[:, :-1]).all()
    np.testing.assert_array_equal(Conformal.fit(-4.0 * errors, groups, units=units).table, 4.0 * widths.table)
    order = rng.permutation(len(errors))
    turned = Conformal.fit(errors[order], groups[order], units=units[order]).table
    np.testing.assert_allclose(turned, widths.table, rtol=1e-9)


@settings(deadline=None)
@given(errors_strategy, st.integers(0, 100))
def test_state_comes_back_to_the_bit(
    through_a_bundle: Callable[[Conformal], Conformal], errors: NDArray[np.float64], seed: int
) -> None:
    groups = np.random.default_rng(seed).choice(["1017", "é", "a,b"], len(errors))
    widths = Conformal.fit(errors, groups)
    again = through_a_bundle(widths)
    asked = np.array(["a,b", "1017", "other", "é"])
    for level in (0.05, 0.5, 0.9, 0.999):
        np.testing.assert_array_equal(again.half_width(asked, level), widths.half_width(asked, level))
    assert again.groups == widths.groups


def test_perfect_predictions_have_no_width() -> None:
    widths = Conformal.fit(np.zeros(100), np.repeat(["a", "b"], 50))
    np.testing.assert_array_equal(widths.half_width(np.array(["a", "b", "c"]), 0.9), 0)


def test_one_group_without_error_beside_others() -> None:
    widths = Conformal.fit(np.append(np.zeros(50), np.ones(50)), np.repeat(["a", "b"], 50))
    exact, other = widths.half_width(np.array(["a", "b"]), 0.9)
    assert 0 <= exact < 0.2 * other < np.inf


def test_ids_are_compared_as_text() -> None:
    widths = Conformal.fit(np.arange(40.0), np.repeat([1017, 7], 20))
    np.testing.assert_array_equal(widths.half_width(np.array(["1017", "7"]), 0.8), widths.half_width([1017, 7], 0.8))
    assert widths.groups == ("1017", "7")


def test_table_of_widths_says_how_many_units_stand_behind() -> None:
    units = np.array([0, 0, 1, 2, 2])
    table = Conformal.fit(np.arange(5.0), np.array(["a", "a", "a", "b", "a"]), units=units).by_group(0.5)
    assert table["n_units"].to_dict() == {"a": 3, "b": 1, OVERALL: 3}
    assert np.isfinite(table["half_width"]).all()


def test_levels_between_two_are_served_by_the_upper_one() -> None:
    widths = Conformal.fit(np.arange(1.0, 1000), np.zeros(999))
    assert widths.half_width(UNSEEN, 0.905)[0] == widths.half_width(UNSEEN, 0.91)[0] == 910
    assert widths.half_width(UNSEEN, 0.995)[0] == 995
    assert widths.half_width(UNSEEN, 0.999)[0] == 999


@pytest.mark.parametrize("level", [0.0, -0.1, 1.0, 0.9991, 90, float("nan")])
def test_a_level_that_is_none_is_refused(level: float) -> None:
    with pytest.raises(ConfigurationError, match="at most"):
        Conformal.fit([1.0], ["a"]).half_width(["a"], level)


@pytest.mark.parametrize(
    ("errors", "groups", "units", "said"),
    [
        ([], [], None, "one or more"),
        ([1.0, np.nan, np.inf], ["a"] * 3, None, "2 are not finite, the first in row 1"),
        ([[1.0]], ["a"], None, "shape"),
        ([1.0, 2.0], ["a"], None, "groups: give one id for each of 2 rows"),
        ([1.0, 2.0], ["a", None], None, "1 are missing"),
        ([1.0, 2.0], ["a", "a"], [1.0, np.nan], "units: .* 1 are missing"),
    ],
)
def test_unusable_errors_are_refused(errors: object, groups: object, units: object, said: str) -> None:
    with pytest.raises(InvalidValues, match=said):
        Conformal.fit(errors, groups, units=units)  # type: ignore[arg-type]


def test_widths_of_other_levels_serve_their_own() -> None:
    older = Conformal(("a",), np.array([9, 9]), np.array([[1.0, 2.0], [3.0, 4.0]]), (0.5, 0.9))
    assert [older.half_width(["a"], level)[0] for level in (0.5, 0.7, 0.9)] == [1.0, 2.0, 2.0]
    with pytest.raises(ConfigurationError, match=r"at most 0\.9, such as 0\.9; 0\.95 is not"):
        older.half_width(["a"], 0.95)


# what was covered


def test_coverage_by_group_by_hand() -> None:
    y = np.array([0.0, 1, 2, 3, 10])
    table = coverage(y, y * 0 - 1, [1, 1, 1, np.inf, 12], ["b", "a", "a", "a", "b"], level=0.8)
    assert table.index.tolist() == [OVERALL, "a", "b"]
    assert table["n"].tolist() == [5, 3, 2]
    assert table["covered"].tolist() == pytest.approx([4 / 5, 2 / 3, 1])  # ends count as inside
    assert table["width"].tolist() == pytest.approx([(2 * 3 + 13) / 4, 2, 7.5])
    assert table["unbounded"].tolist() == [1, 1, 0]
    # the one outside, by 1: 2 + 2 / 0.2
    assert table["interval_score"].tolist() == pytest.approx([(2 + 2 + 12 + 13) / 4, 7, 7.5])


@given(st.integers(1, 300), st.data())
def test_shares_of_independent_rows_have_wilsons_interval(n: int, data: st.DataObject) -> None:
    inside = data.draw(st.integers(0, n))
    y = np.repeat([0.0, 5.0], [inside, n - inside])
    row = coverage(y, y * 0 - 1, y * 0 + 1, np.zeros(n)).loc[OVERALL]
    known = binomtest(inside, n).proportion_ci(0.95, method="wilson")
    assert (row["covered_low"], row["covered_high"]) == pytest.approx((known.low, known.high), abs=1e-12)


def test_rows_of_few_lines_tell_less() -> None:
    y = np.repeat([0.0, 0, 0, 5], 50)  # three lines inside, one outside
    alone = coverage(y, y * 0 - 1, y * 0 + 1, np.zeros(200)).loc[OVERALL]
    together = coverage(y, y * 0 - 1, y * 0 + 1, np.zeros(200), np.repeat(np.arange(4), 50)).loc[OVERALL]
    assert together["covered"] == alone["covered"] == 0.75
    assert together["n_units"] == 4
    assert together["covered_high"] - together["covered_low"] > 4 * (alone["covered_high"] - alone["covered_low"])
    # each line counts as one row, and less for 3 degrees of freedom in place of 199
    n, z = 4 * (student.ppf(0.975, 199) / student.ppf(0.975, 3)) ** 2, norm.ppf(0.975)
    centre, half = (0.75 + z**2 / (2 * n)), z * np.sqrt(0.75 * 0.25 / n + z**2 / (4 * n**2))
    assert together["covered_low"] == pytest.approx((centre - half) / (1 + z**2 / n))
    one = coverage(y, y * 0 - 1, y * 0 + 1, np.zeros(200), np.zeros(200)).loc[OVERALL]
    assert (one["covered_low"], one["covered_high"]) == pytest.approx((0, 1), abs=1e-12)


def test_the_interval_of_a_share_over_lines_holds_the_truth() -> None:
    rng = np.random.default_rng(11)
    truth, held = 0.9, 0
    for _ in range(400):
        of_line = rng.beta(9, 1, 60)  # mean 0.9: some lines are missed as a whole
        unit = np.repeat(np.arange(60), 30)
        y = (rng.random(len(unit)) >= of_line[unit]) * 5.0
        row = coverage(y, y * 0 - 1, y * 0 + 1, np.zeros(len(unit)), unit).loc[OVERALL]
        held += row["covered_low"] <= truth <= row["covered_high"]
    assert 365 <= held <= 396  # about 380 of 400


def test_the_true_quantiles_have_the_best_interval_score() -> None:
    y = np.random.default_rng(3).normal(size=20_000)
    z = norm.ppf(0.95)
    means = {h: interval_score(y, y * 0 - h, y * 0 + h, level=0.9).mean() for h in (0.8 * z, z, 1.2 * z)}
    assert min(means, key=lambda h: means[h]) == z


def test_groups_of_infinite_width_have_none_and_are_counted() -> None:
    row = coverage([1.0], [-np.inf], [np.inf], ["a"]).loc["a"]
    assert (row["covered"], row["unbounded"]) == (1, 1)
    assert np.isnan(row["width"])
    assert np.isnan(row["interval_score"])


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        ([0.0, 0.0], [1.0], "the same number"),
        ([0.0, 2.0], [1.0, 1.0], r"1 intervals have no inside, such as \[2.0, 1.0\] in row 1"),
        ([0.0, 0.0], [1.0, np.nan], "1 intervals"),
    ],
)
def test_intervals_without_an_inside_are_refused(low: list[float], high: list[float], said: str) -> None:
    with pytest.raises(InvalidValues, match=said):
        coverage([0.5, 0.5], low, high, ["a", "a"])


@pytest.mark.real_data
@pytest.mark.usefixtures("data_dir")
@pytest.mark.parametrize("split", ["LPO", "LCO"])
def test_held_out_pairs_of_the_screen_are_covered(split: str) -> None:
    """Errors of three models, each on a tenth of its own, make intervals for the mean of the three."""
    data = load_gdsc_v17(progress=False)
    fold = make_folds(data, split)[0]
    rows = np.concatenate([fold.train, fold.validation])
    known, test = data.take(rows), data.take(fold.test)
    held_out, errors, predicted = [], [], []
    for seed in range(3):
        learn, judge = split_off(known, split, seed=seed)
        model = EffectsBaseline(samples=split == "LPO").fit(known.take(learn))
        held_out.append(judge)
        errors.append(known.response[judge] - model.predict(known.take(judge)))
        predicted.append(model.predict(test))
    at = np.concatenate(held_out)
    widths = Conformal.fit(np.concatenate(errors), known.drug_index[at], units=split_groups(known, split)[at])
    p, h = np.mean(predicted, axis=0), widths.half_width(test.drug_index, 0.9)
    table = coverage(test.response, p - h, p + h, test.drug_index, split_groups(test, split))
    assert 0.88 < table.loc[OVERALL, "covered"] < 0.92
    drugs = table.drop(OVERALL)
    assert (np.abs(drugs["covered"] - 0.9) < 0.1).mean() > 0.95
    assert ((drugs["covered_low"] <= 0.9) & (drugs["covered_high"] >= 0.9)).mean() > 0.8
