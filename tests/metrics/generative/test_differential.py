from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from scipy.stats import ttest_ind

from cellixir.exceptions import ConfigurationError, DuplicateIds, GeneMismatch, InvalidValues
from cellixir.metrics.fdr import benjamini_hochberg
from cellixir.metrics.generative import gene_tables
from cellixir.metrics.generative.differential import de_recovery, differential_expression


def design(n: int = 24) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values of 30 genes, the last constant, in two groups that the three batches hold unevenly."""
    rng = np.random.default_rng(0)
    group = np.array(["treated", "control"])[rng.integers(0, 2, n)]
    batch = np.array(["b1", "b2", "b3"])[rng.integers(0, 3, n)]
    values = rng.normal(5, 1, (n, 30)) + np.where(group == "treated", 2.0, 0)[:, None] * (np.arange(30) % 2)
    values += np.where(batch == "b2", 3.0, 0)[:, None]
    values[:, -1] = 0.1
    return values, group, batch


# -- tests of genes ----------------------------------------------------------------------------------------------------


def test_without_batch_it_is_students_t_test():
    values, group, _ = design()
    found = differential_expression(values, group, reference="control")
    treated, control = values[group == "treated"][:, :-1], values[group == "control"][:, :-1]
    expected = ttest_ind(treated, control)
    np.testing.assert_allclose(found["t"][:-1], expected.statistic, rtol=1e-9)
    np.testing.assert_allclose(found["p"][:-1], expected.pvalue, rtol=1e-9)
    np.testing.assert_allclose(found["log2_fold_change"][:-1], treated.mean(0) - control.mean(0), rtol=1e-9)
    np.testing.assert_allclose(found["fdr"], benjamini_hochberg(found["p"]))


def test_with_batch_it_is_least_squares_by_hand():
    values, group, batch = design()
    found = differential_expression(values, group, batch=batch)
    columns = [np.ones(24), batch == "b2", batch == "b3", group == "treated"]
    x = np.stack(columns, axis=1).astype(float)
    for gene in (0, 1, 7):
        beta, rss, *_ = np.linalg.lstsq(x, values[:, gene], rcond=None)
        error = np.sqrt(rss[0] / (24 - 4) * np.linalg.inv(x.T @ x)[-1, -1])
        assert found.loc[gene, "log2_fold_change"] == pytest.approx(beta[-1])
        assert found.loc[gene, "t"] == pytest.approx(beta[-1] / error)


def test_with_batch_it_agrees_with_statsmodels():
    api = pytest.importorskip("statsmodels.api")
    values, group, batch = design()
    found = differential_expression(values, group, batch=batch)
    x = np.stack([np.ones(24), batch == "b2", batch == "b3", group == "treated"], axis=1).astype(float)
    for gene in range(5):
        model = api.OLS(values[:, gene], x).fit()
        assert found.loc[gene, "t"] == pytest.approx(model.tvalues[-1])
        assert found.loc[gene, "p"] == pytest.approx(model.pvalues[-1])


def test_the_reference_turns_the_sign_and_nothing_else():
    values, group, batch = design()
    one = differential_expression(values, group, batch=batch)
    other = differential_expression(values, group, batch=batch, reference="treated")
    np.testing.assert_allclose(one[["log2_fold_change", "t"]], -other[["log2_fold_change", "t"]], atol=1e-12)
    np.testing.assert_allclose(one["p"], other["p"])


def test_blocks_and_sparse_matrices_do_not_change_the_result(monkeypatch):
    values, group, batch = design()
    values = np.maximum(values - 4, 0)
    expected = differential_expression(values, group, batch=batch)
    monkeypatch.setattr(gene_tables, "BLOCK_VALUES", 100)
    found = differential_expression(sp.csr_matrix(values), group, batch=batch)
    pd.testing.assert_frame_equal(found, expected, check_exact=False, rtol=1e-9)


def test_genes_without_variance_are_no_finding():
    group, batch = list("aabbaabb"), list("xxxxyyyy")
    by_batch = np.where(np.array(batch) == "y", 0.3, 0.1)  # all that varies is the batch
    by_group = by_batch + np.where(np.array(group) == "b", 0.7, 0)  # without noise
    values = np.stack([np.full(8, 0.1), by_batch, by_group], axis=1)
    found = differential_expression(values, group, batch=batch, genes=["constant", "batch", "group"])
    for gene in ("constant", "batch"):
        assert found.loc[gene, ["log2_fold_change", "standard_error", "t", "p", "fdr"]].tolist() == [0, 0, 0, 1, 1]
    assert found.loc["group", "log2_fold_change"] == pytest.approx(0.7)
    assert found.loc["group", "t"] == np.inf
    assert found.loc["group", "p"] == 0


def test_error_rate_is_kept_without_effects_and_effects_are_found():
    rng = np.random.default_rng(1)
    values = rng.normal(size=(60, 2000))
    group = np.repeat(["a", "b"], 30)
    p = differential_expression(values, group)["p"]
    assert (p < 0.05).mean() == pytest.approx(0.05, abs=0.02)
    values[30:, :200] += 3
    found = differential_expression(values, group)
    assert (found["fdr"] < 0.05)[:200].all()
    assert (found["fdr"] < 0.05)[200:].mean() < 0.02


@pytest.mark.parametrize(
    ("group", "batch", "error", "said"),
    [
        (list("aaaaaa"), None, InvalidValues, "1 groups .'a'. of 6 samples"),
        (list("aabbcc"), None, InvalidValues, "3 groups"),
        (list("aaaaab"), None, InvalidValues, "2 groups .'a', 'b'. of 5, 1 samples"),
        (list("aabb"), None, InvalidValues, "give a name for each of 6 samples"),
        (["a", "a", "b", "b", None, "a"], None, InvalidValues, "group has the shape .6,., 1 missing"),
        (list("aaabbb"), list("xxxyyy"), ConfigurationError, "cannot be told from the batches"),
        (list("aaabbb"), list("xyzxvw"), ConfigurationError, "cannot be told from the batches"),
        (list("aaabbb"), ["x", "x", np.nan, "x", "x", "y"], InvalidValues, "batch has the shape"),
    ],
)
def test_groups_that_cannot_be_compared_are_refused(group, batch, error, said):
    values = np.random.default_rng(0).normal(size=(6, 4))
    with pytest.raises(error, match=said):
        differential_expression(values, group, batch=batch)


def test_wrong_references_and_names_are_refused():
    values, group, _ = design()
    with pytest.raises(ConfigurationError, match="reference 'other' is not a group; use one of 'control', 'treated'"):
        differential_expression(values, group, reference="other")
    with pytest.raises(InvalidValues, match="2 names for 30 genes"):
        differential_expression(values, group, genes=["a", "b"])
    values[3, 2] = np.nan
    with pytest.raises(InvalidValues, match="log values: 1 values are NaN"):
        differential_expression(values, group)


# -- recovery ----------------------------------------------------------------------------------------------------------


def found_table(change, fdr, p=None, genes=None) -> pd.DataFrame:
    genes = genes or [f"g{i}" for i in range(len(change))]
    p = fdr if p is None else p
    return pd.DataFrame({"log2_fold_change": change, "p": p, "fdr": fdr}, index=genes, dtype=float)


def planted(change, is_de) -> pd.DataFrame:
    return pd.DataFrame({"log2_fold_change": change, "is_de": is_de}, index=[f"g{i}" for i in range(len(change))])


def test_recovery_by_hand():
    truth = planted([2.0, -1, 3, 0.1, 0.0], [True, True, True, False, False])
    found = found_table([1.0, 1, 3, -2, 0], [0.01, 0.2, 0.001, 0.04, 0.9])
    recovery = de_recovery(found, truth)
    assert (recovery.n_found, recovery.n_true, recovery.k) == (3, 3, 3)
    assert recovery.precision == recovery.recall == recovery.f1 == pytest.approx(2 / 3)
    assert recovery.jaccard == pytest.approx(2 / 4)  # g2, g0, g3 against g2, g0, g1
    assert recovery.slope == pytest.approx((2 - 1 + 9) / (4 + 1 + 9))
    assert recovery.direction == pytest.approx(2 / 3)
    assert de_recovery(found, truth, k=2).jaccard == 1
    assert de_recovery(found, truth, k=2, rank_by="log2_fold_change").jaccard == pytest.approx(1 / 3)  # g2, g3
    assert de_recovery(found, truth, fdr=0.005).recall == pytest.approx(1 / 3)


def test_small_planted_changes_are_no_false_findings_of_good_data():
    rng = np.random.default_rng(3)
    is_de = np.arange(400) < 40
    truth = planted(
        np.where(is_de, rng.choice([-1, 1], 400) * rng.uniform(1, 2, 400), rng.uniform(-0.3, 0.3, 400)), is_de
    )
    for n in (20, 2000):
        group = np.repeat(["a", "b"], n)
        values = rng.normal(0, 0.5, (2 * n, 400)) + truth["log2_fold_change"].to_numpy() * (group == "b")[:, None]
        found = differential_expression(values, group, genes=list(truth.index))
        recovery = de_recovery(found, truth)
        assert recovery.least == pytest.approx(0.3, abs=0.01)
        assert recovery.precision == 1.0
        assert recovery.recall > 0.9
    assert (found["fdr"] < 0.05).sum() > 200  # against 0 most are found
    as_fdr = found.drop(columns=["standard_error", "df"])
    assert de_recovery(as_fdr, truth).precision < 0.2
    assert de_recovery(found, found).least == 0  # changes of an estimate are no bound


def test_a_test_beyond_a_change_by_hand():
    truth = planted([3.0, 1.0, 0.0], [True, False, False])
    found = found_table([2.0, 0.5, 0.0], [0.01, 0.01, 1.0]).assign(standard_error=[0.25, 0.1, 0.0], df=10)
    from scipy.stats import t

    p = t.sf(4, 10) + t.sf(12, 10)  # (2 - 1) / .25 and (2 + 1) / .25
    for fdr, n in ((3 * p * 1.01, 1), (3 * p * 0.99, 0)):
        assert de_recovery(found, truth, fdr=fdr).n_found == n


def test_rows_may_stand_in_any_order():
    truth = planted([2.0, -1, 3, 0.1, 0.0], [True, True, True, False, False])
    found = found_table([1.0, 1, 3, -2, 0], [0.01, 0.2, 0.001, 0.04, 0.9])
    assert de_recovery(found.iloc[::-1], truth) == de_recovery(found, truth)


def test_half_attenuation_has_the_slope_one_half_on_noiseless_data():
    rng = np.random.default_rng(0)
    is_de = np.arange(40) < 12
    truth = planted(np.where(is_de, rng.normal(0, 2, 40), 0), is_de)
    group = np.repeat(["a", "b"], 4)
    values = rng.uniform(3, 9, 40) + 0.5 * truth["log2_fold_change"].to_numpy() * (group == "b")[:, None]
    found = differential_expression(values, group, genes=list(truth.index))
    recovery = de_recovery(found, truth)
    assert recovery.slope == pytest.approx(0.5, rel=1e-9)
    assert recovery[:4] == (1, 1, 1, 1)
    assert recovery.direction == 1


def test_the_result_on_real_data_can_be_the_truth():
    values, group, batch = design()
    found = differential_expression(values, group, batch=batch)
    recovery = de_recovery(found, found)
    assert recovery.n_true == int((found["fdr"] < 0.05).sum()) > 5
    assert (*recovery[:3], recovery.slope, recovery.direction) == pytest.approx((1, 1, 1, 1, 1))
    flipped = found.assign(log2_fold_change=-found["log2_fold_change"])
    assert de_recovery(flipped, found).slope == pytest.approx(-1)
    assert de_recovery(flipped, found).direction == 0


def test_p_values_that_vanish_are_parted_by_t():
    truth = planted([5.0, 4, 3, 2], [True, True, False, False])
    found = found_table([1.0, 1, 1, 1], [0.0] * 4).assign(t=[40.0, -50, 30, 20])
    assert de_recovery(found, truth).jaccard == 1


def test_lists_hold_no_gene_that_is_not_different_or_did_not_change():
    truth = planted([2.0, 0, 0, 0], [True, False, False, False])
    found = found_table([1.0, 1, 0, 0], [0.001, 0.9, 1, 1])
    assert de_recovery(found, truth, k=2).jaccard == pytest.approx(1 / 2)  # g0, g1 against g0
    # a generator without any difference ties all genes: the first ones of the table are no finding
    nothing = found_table([0.0, 0, 0, 0], [1, 1, 1, 1])
    for rank_by in ("p", "log2_fold_change"):
        assert de_recovery(nothing, truth, rank_by=rank_by).jaccard == 0
        assert de_recovery(nothing, truth, rank_by=rank_by, k=3).jaccard == 0


def test_what_is_not_defined_is_nan():
    nothing = de_recovery(found_table([1.0, 2], [0.9, 0.9]), planted([0.0, 0], [False, False]))
    assert np.isnan(nothing[:6]).all()
    missed = de_recovery(found_table([1.0, 2], [0.9, 0.9]), planted([1.0, 0], [True, False]))
    assert np.isnan(missed.precision)
    assert missed.recall == missed.f1 == 0
    invented = de_recovery(found_table([1.0, 2], [0.0, 0.9]), planted([0.0, 0], [False, False]))
    assert invented.precision == 0
    assert np.isnan(invented.recall)


@pytest.mark.parametrize(
    ("found", "truth", "error", "said"),
    [
        (found_table([1, 2], [0, 0], genes=["g0", "x"]), planted([1, 2], [True] * 2), GeneMismatch, "2 genes are in"),
        (found_table([1, 2], [0, 0], genes=["g0", "g0"]), planted([1, 2], [True] * 2), DuplicateIds, "'g0'"),
        (found_table([1, np.nan], [0, 0]), planted([1, 2], [True] * 2), InvalidValues, "found: needs finite numbers"),
        (found_table([1, 2], [0, 0]), planted([1, np.nan], [True] * 2), InvalidValues, "truth: needs finite numbers"),
        (found_table([1, 2], [0, 0]), planted([1, 2], [True] * 2)[["is_de"]], InvalidValues, "log2_fold_change, is_de"),
        (found_table([], []), planted([], []), InvalidValues, "at least one gene"),
    ],
)
def test_tables_that_do_not_fit_are_refused(found, truth, error, said):
    with pytest.raises(error, match=said):
        de_recovery(found, truth)


@pytest.mark.parametrize("settings", [{"k": 3}, {"k": -1}, {"fdr": 1.5}, {"rank_by": "size"}])
def test_wrong_settings_are_refused(settings):
    with pytest.raises(ConfigurationError, match="use"):
        de_recovery(found_table([1, 2], [0, 0]), planted([1, 2], [True] * 2), **settings)
