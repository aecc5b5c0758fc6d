from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from cellixir.data.audit.findings import Audit, Finding
from cellixir.data.audit.table import audit_table
from cellixir.exceptions import ConfigurationError, DuplicateIds, InvalidValues


def noise(n: int = 400, p: int = 8, seed: int = 0) -> pd.DataFrame:
    values = np.random.default_rng(seed).normal(size=(n, p))
    return pd.DataFrame(values, columns=[f"x{i}" for i in range(p)])


def leaks(table: pd.DataFrame, target: str = "y", *, groups: str | None = None) -> dict[str, list[tuple[str, ...]]]:
    found: dict[str, list[tuple[str, ...]]] = {}
    for finding in audit_table(table, target, groups=groups).leaks():
        found.setdefault(finding.kind, []).append(finding.ids)
    return found


def only(audit: Audit, kind: str) -> Finding:
    (finding,) = (f for f in audit.findings if f.kind == kind)
    return finding


def anova_like(n: int = 3_000, seed: int = 0) -> pd.DataFrame:
    """The 22 columns of GDSC's PANCANCER_ANOVA with their arithmetic; drugs and features are made up."""
    rng = np.random.default_rng(seed)
    drug, feature = rng.integers(0, 265, n), rng.integers(0, 677, n)
    level, spread = rng.normal(2.5, 2.0, 265), rng.uniform(0.7, 1.6, 265)
    positive = rng.integers(3, 200, 677)[feature]
    negative = rng.integers(500, 900, 265)[drug] - positive
    delta = rng.normal(0, 0.5, n)
    below = level[drug] + rng.normal(0, 0.05, n)
    var_pos = spread[drug] ** 2 * rng.chisquare(positive - 1) / (positive - 1)
    var_neg = spread[drug] ** 2 * rng.chisquare(negative - 1) / (negative - 1)
    pooled = np.sqrt(((positive - 1) * var_pos + (negative - 1) * var_neg) / (positive + negative - 2))
    t = delta / (pooled * np.sqrt(1 / positive + 1 / negative))
    t_pval = 2 * stats.t.sf(np.abs(t), positive + negative - 2)
    pval = np.minimum(t_pval * rng.lognormal(0, 1.5, n), 1.0)
    return pd.DataFrame(
        {
            "drug_name": [f"drug {d}" for d in drug],
            "drug_id": drug + 1000,
            "drug_target": [f"target {d % 40}" for d in drug],
            "target_pathway": [f"pathway {d % 20}" for d in drug],
            "feature_name": [f"gene {f}_mut" for f in feature],
            "n_feature_pos": positive,
            "n_feature_neg": negative,
            "ic50_effect_size": np.abs(delta) / pooled,
            "log_ic50_mean_pos": below + delta,
            "log_ic50_mean_neg": below,
            "log_max_conc_tested": np.log(rng.choice([0.1, 1, 10], 265))[drug],
            "log_max_conc_tested_2": np.where(drug % 9 == 0, 2.3, np.nan),
            "feature_ic50_t_pval": t_pval,
            "feature_delta_mean_ic50": delta,
            "feature_pos_ic50_var": var_pos,
            "feature_neg_ic50_var": var_neg,
            "feature_pval": pval,
            "tissue_pval": rng.uniform(0, 1e-3, 265)[drug],
            "msi_pval": rng.uniform(0, 1, 265)[drug],
            "fdr": 100 * stats.false_discovery_control(pval),
            "tissue_type": "PANCANCER",
            "dataset_version": "v17",
        }
    )


# ---- PANCANCER_ANOVA


def test_the_mean_of_the_anova_table_is_named_as_the_minimal_pair() -> None:
    audit = audit_table(anova_like(), "log_ic50_mean_pos")
    (finding,) = audit.leaks()
    assert (finding.kind, finding.ids) == ("rebuild", ("log_ic50_mean_neg", "feature_delta_mean_ic50"))
    assert (
        "log_ic50_mean_pos = log_ic50_mean_neg + feature_delta_mean_ic50 (R2 1 on 1,500 held-out rows)" in finding.what
    )
    assert "leave out one of" in finding.what
    assert audit.checks["rows"] == 3_000
    assert audit.checks["columns"] == 21


def test_the_pair_is_found_from_each_of_its_sides() -> None:
    table = anova_like()
    found = leaks(table, "feature_delta_mean_ic50")["rebuild"]
    assert ("log_ic50_mean_pos", "log_ic50_mean_neg") in found
    assert leaks(table, "log_ic50_mean_neg")["rebuild"] == [("log_ic50_mean_pos", "feature_delta_mean_ic50")]


def test_leaving_one_of_the_pair_out_is_a_way_out() -> None:
    assert leaks(anova_like().drop(columns="feature_delta_mean_ic50"), "log_ic50_mean_pos") == {}


def test_the_effect_size_is_a_product_of_powers_of_difference_and_variance() -> None:
    finding = only(audit_table(anova_like(), "ic50_effect_size"), "rebuild")
    assert finding.ids == ("feature_delta_mean_ic50", "feature_neg_ic50_var")
    assert "feature_delta_mean_ic50 * feature_neg_ic50_var^-0.4" in finding.what
    assert "≈" in finding.what


def test_a_false_discovery_rate_is_a_monotone_function_of_the_p_value() -> None:
    assert leaks(anova_like(), "feature_pval") == {"monotone": [("fdr",)]}


def test_what_hangs_on_the_drug_alone_is_determined_by_it_unless_drugs_stay_together() -> None:
    found = leaks(anova_like(), "tissue_pval")
    assert {("drug_name",), ("drug_id",)} <= set(found["determined"])
    assert ("drug_target",) not in found["determined"]
    assert leaks(anova_like(), "tissue_pval", groups="drug_id") == {}


def test_two_columns_name_a_unit_in_either_order() -> None:
    table = noise(n=120, p=2)
    first, second = np.divmod(np.arange(120) % 12, 4)
    names = np.array([f"d{i}" for i in range(7)], dtype=object)
    table["a"], table["b"] = names[first], names[3 + second]
    table["fold"] = first
    assert [f.kind for f in audit_table(table, "x0", groups="a+b", folds="fold").leaks()] == []
    table.loc[12, ["a", "b", "fold"]] = ["d3", "d0", 2]  # the pair of row 0, turned
    finding = only(audit_table(table, "x0", groups="a+b", folds="fold"), "unit-on-two-sides")
    assert finding.ids == ("d0 + d3",)
    assert "1 of 12 values of 'a+b' stand in several folds of 'fold'" in finding.what


def test_folds_that_are_given_say_what_they_part() -> None:
    table = noise(n=120, p=2).assign(line=[f"l{i % 12}" for i in range(120)], drug=[f"d{i % 5}" for i in range(120)])
    table["fold"] = [i % 12 % 3 for i in range(120)]
    kept = audit_table(table, "x0", groups="line", folds="fold")
    assert [f.kind for f in kept.findings if f.kind == "unit-on-two-sides"] == []
    table.loc[[0, 13], "fold"] = 2
    finding = only(audit_table(table, "x0", groups="line", folds="fold"), "unit-on-two-sides")
    assert (finding.severity, finding.ids, finding.n) == ("leak", ("l0", "l1"), 2)
    assert "2 of 12 values of 'line' stand in several folds of 'fold'" in finding.what
    unasked = only(audit_table(table, "x0", folds="fold"), "unit-on-two-sides")
    assert unasked.severity == "warning"
    assert "2 of 12 values of 'line'; 5 of 5 values of 'drug'" in unasked.what


def test_repeated_and_constant_columns_are_said() -> None:
    audit = audit_table(anova_like(), "log_ic50_mean_pos")
    assert "'drug_id' as 'drug_name'" in only(audit, "duplicate-columns").what
    assert {"tissue_type", "dataset_version"} <= set(only(audit, "constant").ids)
    assert only(audit, "constant").severity == "warning"


def test_the_table_at_its_size_takes_seconds() -> None:
    table = anova_like(200_920)
    before = time.process_time()
    assert leaks(table, "log_ic50_mean_pos") == {"rebuild": [("log_ic50_mean_neg", "feature_delta_mean_ic50")]}
    assert time.process_time() - before < 20  # measured: 5


# ---- one column


@pytest.mark.parametrize(
    ("made", "kind"),
    [
        (lambda y: y, "copy"),
        (lambda y: 1e6 - 0.001 * y, "copy"),
        (lambda y: y + np.random.default_rng(9).normal(scale=0.02, size=len(y)), "copy"),
        (np.exp, "monotone"),
        (lambda y: -(y**3), "monotone"),
        (lambda y: 1 / (1 + np.exp(y)), "monotone"),
        (lambda y: y**2, "monotone"),  # a power, though not a monotone one
        (lambda y: 1 / y, "monotone"),
        (lambda y: y > 0.3, "monotone"),  # sensitive or resistant, by a threshold
        (lambda y: np.round(y, 1), "copy"),
        (lambda y: [f"{v:.6f}" for v in y], "copy"),  # numbers read as text
    ],
)
def test_a_column_made_from_the_target(made: object, kind: str) -> None:
    table = noise()
    y = np.random.default_rng(5).normal(size=len(table))
    table["made"] = made(y)  # type: ignore[operator]
    table["y"] = y
    assert leaks(table) == {kind: [("made",)]}


def test_a_target_made_from_a_column() -> None:
    table = noise()
    assert leaks(table.assign(y=np.log(table["x3"].abs()))) == {"monotone": [("x3",)]}
    assert leaks(table.assign(y=table["x3"] > 0.5)) == {"monotone": [("x3",)]}
    classes = np.where(table["x3"] > 0.5, "resistant", "sensitive")
    assert leaks(table.assign(y=classes)) == {"monotone": [("x3",)]}
    thirds = pd.cut(table["x3"], [-9, -0.5, 0.5, 9], labels=["low", "middle", "high"])
    assert ("x3",) in leaks(table.assign(y=thirds))["monotone"]


def test_one_outlier_in_common_is_no_copy() -> None:
    table = noise().assign(y=np.random.default_rng(1).normal(size=400))
    table.loc[7, ["x2", "y"]] = 1e6
    assert np.corrcoef(table["x2"], table["y"])[0, 1] > 0.999
    assert leaks(table) == {}


# ---- several columns

_FORMULAS = {
    "sum": (lambda t: t["x1"] + t["x4"], ("x1", "x4"), "y = x1 + x4"),
    "weighted": (lambda t: 5 - 2 * t["x1"] + 0.5 * t["x4"], ("x1", "x4"), "y = - 2 x1 + 0.5 x4 + 5"),
    "logarithm of a ratio": (lambda t: np.log(t["x1"].abs() / t["x4"].abs()), ("x1", "x4"), "y = log |x1| - log |x4|"),
    "exponential of a sum": (lambda t: np.exp(t["x1"] + 2 * t["x4"]), ("x1", "x4"), "y = exp(x1 + 2 x4)"),
    "three": (lambda t: t["x1"] - t["x2"] + 3 * t["x4"], ("x1", "x2", "x4"), "y = x1 - x2 + 3 x4"),
    "product": (lambda t: t["x1"] * t["x4"], ("x1", "x4"), "|y| = x1 * x4"),
    "ratio": (lambda t: t["x1"] / t["x4"], ("x1", "x4"), "|y| = x1 * x4^-1"),
    "root": (lambda t: 3 * np.sqrt(t["x1"].abs()) / t["x4"], ("x1", "x4"), "|y| = 3 * x1^0.5 * x4^-1"),
    "shifted product": (lambda t: 7 + t["x1"] * t["x4"], ("x1", "x4"), "x1 * x4"),
    "larger": (lambda t: t[["x1", "x4"]].max(axis=1), ("x1", "x4"), "max(x1, x4)"),
    "distance": (lambda t: 1 - (t["x1"] - t["x4"]).abs(), ("x1", "x4"), "|x1 - x4|"),
    "length": (lambda t: np.hypot(t["x1"], t["x4"]), ("x1", "x4"), "sqrt(x1^2 + x4^2)"),
}


@pytest.mark.parametrize(
    ("name", "p"), [*((name, 8) for name in _FORMULAS), ("sum", 300), ("product", 300), ("distance", 300)]
)
def test_few_columns_that_rebuild_the_target_are_named_and_no_others(name: str, p: int) -> None:
    formula, ids, text = _FORMULAS[name]
    table = noise(p=p)
    finding = only(audit_table(table.assign(y=formula(table)), "y"), "rebuild")  # type: ignore[no-untyped-call]
    assert (finding.ids, finding.severity) == (ids, "leak")
    assert text in finding.what


def test_nearly_is_enough_and_far_is_not() -> None:
    table = noise()
    total = table["x1"] + table["x4"]
    error = np.random.default_rng(3).normal(size=len(table))
    near = only(audit_table(table.assign(y=total + 0.02 * error), "y"), "rebuild")
    assert near.ids == ("x1", "x4")
    assert "y ≈ x1 + x4" in near.what
    assert leaks(table.assign(y=total + 0.1 * error)) == {}


def test_two_formulas_of_one_target_are_both_told() -> None:
    table = noise()
    table["y"] = table["x1"] + table["x4"]
    table["z"] = table["x1"] - 2 * table["x4"]
    table["w"] = table["x6"] - table["y"]
    found = leaks(table)["rebuild"]
    assert ("x1", "x4") in found
    assert ("x6", "w") in found
    assert ("x1", "z") in found


def test_a_total_of_many_columns_is_counted() -> None:
    table = noise(p=40)
    finding = only(audit_table(table.assign(y=table.sum(axis=1)), "y"), "rebuild")
    assert finding.n == 40
    assert len(finding.ids) == 20
    assert "combination of 40 columns" in finding.what


def test_a_difference_of_columns_that_hardly_differ() -> None:
    table = noise(p=6)
    table["before"] = 1e4 + 100 * np.random.default_rng(7).normal(size=len(table))
    table["y"] = 0.01 * np.random.default_rng(8).normal(size=len(table))
    table["after"] = table["before"] + table["y"]
    assert abs(table.corr().loc["y", ["before", "after"]]).max() < 0.2
    assert leaks(table)["rebuild"] == [("before", "after")]


def test_more_columns_than_rows_can_bear() -> None:
    table = noise(n=300, p=2_000)
    y = table["x17"] - 2 * table["x1234"] + table["x5"]
    assert leaks(table.assign(y=y)) == {"rebuild": [("x5", "x17", "x1234")]}


def test_numbers_of_any_size() -> None:
    table = noise(p=5) * 1e150
    assert leaks(table.assign(y=table["x0"] + table["x1"])) == {"rebuild": [("x0", "x1")]}
    assert leaks((table * 1e-300).assign(y=(table["x0"] + table["x1"]) * 1e-300)) == {"rebuild": [("x0", "x1")]}


def gaps(table: pd.DataFrame, share: float) -> pd.DataFrame:
    holes = np.random.default_rng(7).random(table.shape) < share
    return table.mask(pd.DataFrame(holes, table.index, table.columns))


def test_missing_values_are_passed_over_pair_by_pair() -> None:
    table = noise(n=600)
    pair, three = table["x1"] + table["x4"], table["x1"] + table["x4"] - table["x6"]
    assert leaks(gaps(table, 0.3).assign(y=pair)) == {"rebuild": [("x1", "x4")]}
    assert leaks(gaps(table, 0.05).assign(y=three)) == {"rebuild": [("x1", "x4", "x6")]}
    assert leaks(gaps(table, 0.3).assign(y=np.exp(table["x1"]))) == {"monotone": [("x1",)]}


def test_columns_that_are_known_in_few_rows_do_not_hide_the_others() -> None:
    table = noise(n=600)
    table.loc[30:, "x0"] = np.nan
    table.loc[:500, ["x2", "x3"]] = np.nan
    assert leaks(table.assign(y=table["x1"] + table["x4"] - table["x6"])) == {"rebuild": [("x1", "x4", "x6")]}


def test_rows_without_target_are_left_out_and_infinities_are_missing() -> None:
    table = noise()
    table["y"] = table["x1"] + table["x4"]
    table.loc[:49, "y"] = np.nan
    table.loc[60:69, "x1"] = np.inf
    audit = audit_table(table, "y")
    assert audit.checks["rows"] == 350
    assert only(audit, "rebuild").ids == ("x1", "x4")


def test_what_a_tree_computes_is_a_warning() -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.uniform(0, 1, (6_000, 6)).round(2), columns=[f"x{i}" for i in range(6)])
    y = 5 * (table["x0"] > 0.5) + 2 * (table["x1"] > 0.3) * (table["x2"] > 0.6) + 1.0
    audit = audit_table(table.assign(y=y + rng.normal(scale=0.01, size=6_000)), "y")
    assert audit.leaks() == []
    finding = only(audit, "nearly-rebuilt")
    assert finding.severity == "warning"
    assert finding.ids[0] == "x0"
    assert set(finding.ids) == {"x0", "x1", "x2"}


# ---- categories and rows


def test_a_category_that_determines_the_target() -> None:
    rng = np.random.default_rng(0)
    code = rng.integers(0, 50, 400)
    table = noise(p=3).assign(plate=[f"P{c}" for c in code], y=rng.normal(size=50)[code])
    assert leaks(table) == {"determined": [("plate",)]}
    assert leaks(table, groups="plate") == {}
    table["y"] += rng.normal(scale=0.2, size=400)  # a strong, honest predictor
    assert leaks(table) == {}


def test_ids_of_rows_and_groups_of_two_determine_nothing() -> None:
    table = noise().assign(y=np.random.default_rng(2).normal(size=400), row=[f"r{i}" for i in range(400)])
    table["pair"] = [f"p{i // 2}" for i in range(400)]
    assert leaks(table) == {}


def test_rare_classes_in_small_groups_are_no_evidence() -> None:
    y = np.zeros(400)
    y[[10, 11, 200, 201]] = 1  # two pairs, by chance in two groups
    table = noise().assign(y=y, pair=[f"p{i // 2}" for i in range(400)])
    assert leaks(table) == {}


def test_repeated_rows() -> None:
    table = noise(p=4).assign(y=np.random.default_rng(2).normal(size=400), donor=[f"d{i % 40}" for i in range(400)])
    assert leaks(table) == {}
    twice = pd.concat([table, table.iloc[:15]], ignore_index=True)
    finding = only(audit_table(twice, "y"), "duplicate-rows")
    assert (finding.severity, finding.n) == ("leak", 30)
    assert finding.ids[:4] == ("0", "400", "1", "401")
    assert "(30 of them its target too)" in finding.what
    assert leaks(twice, groups="donor") == {}  # copies of a row share its donor
    other = pd.concat([table, table.iloc[:15].assign(y=0.5)], ignore_index=True)
    assert "(0 of them its target too)" in only(audit_table(other, "y"), "duplicate-rows").what
    numbered = twice.assign(row=range(len(twice)))  # a number of the row does not make it another one
    assert only(audit_table(numbered, "y"), "duplicate-rows").n == 30


def test_few_values_repeat_by_nature() -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.integers(0, 2, (400, 5)), columns=list("abcde")).assign(y=rng.normal(size=400))
    audit = audit_table(table, "y")
    assert audit.leaks() == []
    assert only(audit, "duplicate-rows").severity == "warning"


# ---- it does not cry wolf


@pytest.mark.parametrize("r2", [0.5, 0.7, 0.9, 0.98])
@pytest.mark.parametrize("n", [40, 80, 200])
def test_a_mutation_that_moves_the_target_far_is_no_leak(n: int, r2: float) -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        mutated = (rng.random(n) < 0.2).astype(float)
        if mutated.std() > 0:
            y = np.sqrt(r2) * mutated / mutated.std() + np.sqrt(1 - r2) * rng.normal(size=n)
            assert audit_table(pd.DataFrame({"mutated": mutated, "y": y}), "y").leaks() == [], seed


def test_values_of_which_the_classes_were_cut_are_a_leak() -> None:
    x = np.random.default_rng(0).normal(size=300)
    table = pd.DataFrame({"ic50": x, "y": np.where(x < -0.8, "sensitive", "resistant")})
    assert [f.ids for f in audit_table(table, "y").leaks()] == [("ic50",)]
    cut = pd.DataFrame({"sensitive": (x < -0.8).astype(float), "y": x})
    assert [f.ids for f in audit_table(cut, "y").leaks()] == [("sensitive",)]
    words = pd.DataFrame({"call": np.where(x < -0.8, "sensitive", np.where(x < 0.9, "medium", "resistant")), "y": x})
    words.loc[::50, "call"] = None
    assert [f.ids for f in audit_table(words, "y").leaks()] == [("call",)]
    tissue = pd.DataFrame(
        {"tissue": np.where(x + np.random.default_rng(1).normal(size=300) < 0, "skin", "lung"), "y": x}
    )
    assert audit_table(tissue, "y").leaks() == []


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(40, 200),
    p=st.integers(1, 250),
    r2=st.sampled_from([0.0, 0.5, 0.9, 0.98]),
    form=st.sampled_from(["linear", "squares", "products", "binary features", "classes", "counts"]),
)
def test_strong_honest_predictors_are_no_leak(seed: int, n: int, p: int, r2: float, form: str) -> None:
    rng = np.random.default_rng(seed)
    table = noise(n, p, seed)
    if form == "binary features":
        table = (table > 0.8).astype(float)
    used = table.iloc[:, :6].to_numpy()
    signal = {"squares": used**2, "products": used * used[:, ::-1]}.get(form, used) @ rng.normal(size=used.shape[1])
    if signal.std() == 0:
        signal = rng.normal(size=n)
    y = np.sqrt(r2) * signal / signal.std() + np.sqrt(1 - r2) * rng.normal(size=n)
    if form == "classes":
        y = np.where(y > 0, "yes", "no")
    if form == "counts":
        y = rng.poisson(np.exp(np.clip(y, -3, 3)))
    if len(np.unique(y)) < 2:
        return
    found = [f for f in audit_table(table.assign(y=y), "y").findings if f.severity == "leak" or "rebuilt" in f.kind]
    assert found == []


@pytest.mark.parametrize(("n", "p"), [(300, 290), (300, 299), (200, 1_000), (60, 2_000)])
def test_least_squares_that_fits_everything_proves_nothing(n: int, p: int) -> None:
    table = noise(n, p)
    y = table.iloc[:, :5].sum(axis=1) + np.random.default_rng(1).normal(size=n) * 0.5
    assert np.linalg.lstsq(table, y, rcond=None)[1].sum() < 0.05 * y.var() * n  # in-sample it looks rebuilt
    assert audit_table(table.assign(y=y), "y").findings == ()


def test_a_predictor_below_the_threshold_passes() -> None:
    table = noise(n=2_000)
    y = table["x1"] + np.random.default_rng(1).normal(scale=0.05, size=2_000)  # R2 .9975
    finding = only(audit_table(table.assign(y=y), "y"), "near-copy")
    assert (finding.ids, finding.severity) == (("x1",), "warning")


def test_equal_tables_give_equal_audits() -> None:
    table = anova_like(500)
    assert audit_table(table, "ic50_effect_size") == audit_table(table.copy(), "ic50_effect_size")


# ---- wrong and odd tables


def test_a_column_that_is_not_there() -> None:
    with pytest.raises(ConfigurationError, match=r"no column 'z'; it has 'x0', 'x1'"):
        audit_table(noise(p=2), "z")
    with pytest.raises(ConfigurationError, match="no column 'donor'"):
        audit_table(noise(p=2), "x0", groups="donor")
    with pytest.raises(DuplicateIds, match="'x0'"):
        audit_table(noise(p=2).set_axis(["x0", "x0"], axis=1).assign(y=1.0), "y")
    with pytest.raises(ConfigurationError, match="'x0' is named twice"):
        audit_table(noise(p=2), "x0", groups="x0")


@pytest.mark.parametrize(
    ("values", "words"),
    [([np.nan] * 50, "missing everywhere"), ([2.5] * 50, "is 2.5 in each row"), (["a"] * 50, "'a'")],
)
def test_a_target_that_says_nothing(values: list[object], words: str) -> None:
    with pytest.raises(InvalidValues, match=words):
        audit_table(noise(n=50, p=2).assign(y=values), "y")


def test_too_few_rows_are_said() -> None:
    table = noise(n=10, p=2)
    audit = audit_table(table.assign(y=table["x0"]), "y")
    assert audit.leaks() == []
    assert "10 rows are too few" in only(audit, "few-rows").what
    with pytest.raises(InvalidValues, match="in each row"):
        audit_table(table.assign(y=table["x0"]).head(1), "y")


def test_a_table_of_the_target_alone_and_one_of_words() -> None:
    y = np.random.default_rng(0).normal(size=100)
    assert audit_table(pd.DataFrame({"y": y}), "y").findings == ()
    words = pd.DataFrame({"a": [f"w{i % 7}" for i in range(100)], "b": pd.Categorical(["u", "v"] * 50), "y": y})
    assert audit_table(words, "y").leaks() == []
    times = pd.DataFrame({"when": pd.date_range("2020-01-01", periods=100), "empty": np.nan, "y": y})
    assert only(audit_table(times, "y"), "constant").ids == ("empty",)
