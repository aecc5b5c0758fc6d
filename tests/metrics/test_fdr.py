from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import false_discovery_control

from cellixir.exceptions import ConfigurationError, InvalidValues
from cellixir.metrics.fdr import benjamini_hochberg, method_named, storey, true_null_share

probabilities = st.lists(st.floats(0, 1), min_size=1, max_size=60)


def test_benjamini_hochberg_of_their_own_example():
    # the 15 p-values of their paper (thrombolysis): four are rejected at .05, none more
    p = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528]
    p += [0.7590, 1.0]
    adjusted = benjamini_hochberg(p)
    assert (adjusted < 0.05).sum() == 4
    np.testing.assert_allclose(adjusted[:4], np.array(p[:4]) * 15 / [1, 2, 3, 4])


@given(probabilities)
@settings(max_examples=60, deadline=None)
def test_benjamini_hochberg_agrees_with_scipy(p):
    np.testing.assert_allclose(benjamini_hochberg(p), false_discovery_control(p), rtol=1e-12)


@given(probabilities, st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_order_is_kept_and_no_value_falls_below_its_p(p, shuffle):
    adjusted = benjamini_hochberg(p)
    assert np.all(adjusted >= np.array(p) * (1 - 1e-12))
    order = list(range(len(p)))
    shuffle.shuffle(order)
    np.testing.assert_allclose(benjamini_hochberg(np.array(p)[order]), adjusted[order], rtol=1e-12)


def test_missing_tests_are_not_counted():
    adjusted = benjamini_hochberg([0.01, np.nan, 0.02, np.nan])
    np.testing.assert_allclose(adjusted, [0.02, np.nan, 0.02, np.nan])
    assert np.isnan(benjamini_hochberg([np.nan])).all()
    assert len(benjamini_hochberg([])) == 0
    assert np.isnan(true_null_share([np.nan]))
    assert np.isnan(storey([np.nan])).all()


def test_tiny_values_keep_their_digits():
    np.testing.assert_allclose(benjamini_hochberg([1e-300, 0.5]), [2e-300, 0.5], rtol=1e-14)


@pytest.mark.parametrize("share", [0.3, 0.7, 1.0])
def test_share_of_true_nulls_is_found(share):
    rng = np.random.default_rng(1)
    nulls = rng.uniform(size=round(20_000 * share))
    p = np.concatenate([nulls, rng.beta(0.05, 8, size=20_000 - len(nulls))])
    assert abs(true_null_share(p) - share) < 0.04


def test_share_by_hand():
    # 10 of 20 at 0, the others at .99: #{p >= l} is 10 at every l, so pi0(l) = .5 / (1 - l) and its variance
    # .0125 / (1 - l)^2. The tenth percentile of the 19 values lies .8 of the way from l = .1 to l = .15, at .5817:
    # the error is .0169 at l = .05, .0161 at .1, .0173 at .15, and more from there on
    assert true_null_share([0.0] * 10 + [0.99] * 10) == pytest.approx(0.5 / 0.9)


def test_storey_is_benjamini_hochberg_times_the_share():
    p = np.random.default_rng(0).beta(0.3, 1, size=500)
    np.testing.assert_allclose(storey(p), benjamini_hochberg(p) * true_null_share(p))
    assert true_null_share(p) < 0.8


def test_no_large_p_value_leaves_a_share_above_zero():
    assert 0 < true_null_share([1e-9] * 50) < 0.05
    assert (storey([1e-9] * 50) > 0).all()


def test_storey_controls_the_rate():
    """Of what lies below 10 %, about one in ten is no effect, over many draws."""
    rng = np.random.default_rng(3)
    wrong = []
    for _ in range(30):
        p = np.concatenate([rng.uniform(size=1400), rng.beta(0.1, 40, size=600)])
        hits = np.flatnonzero(storey(p) < 0.1)
        wrong.append((hits < 1400).mean())
    assert 0.07 < np.mean(wrong) < 0.115


@pytest.mark.parametrize("method", [benjamini_hochberg, storey, true_null_share])
@pytest.mark.parametrize("p", [[-0.1, 0.5], [0.2, 1.01], [np.inf]])
def test_what_is_no_p_value_is_refused(method, p):
    with pytest.raises(InvalidValues, match="outside 0 to 1"):
        method(p)


def test_methods_have_names():
    assert method_named("bh") is benjamini_hochberg
    assert method_named("storey") is storey
    with pytest.raises(ConfigurationError, match="'bonferroni' is not known; use bh or storey"):
        method_named("bonferroni")
