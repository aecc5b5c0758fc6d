"""Conditions: who stands where, what was seen, and what is drawn."""

from __future__ import annotations

import json

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellixir.exceptions import ConfigurationError, DataError, InvalidValues, UnknownIds
from cellixir.synthesis.conditions import Conditions, check_columns


def samples(**columns: list[object]) -> ad.AnnData:
    n = len(next(iter(columns.values())))
    return ad.AnnData(np.zeros((n, 1)), obs=pd.DataFrame(columns, index=[f"s{i}" for i in range(n)]))


@pytest.fixture
def conditions() -> Conditions:
    """``(a, x)`` six times, ``(a, y)`` three times, ``(b, x)`` once."""
    return Conditions.of(samples(group=["a"] * 9 + ["b"], batch=["x"] * 6 + ["y"] * 3 + ["x"]), ["group", "batch"])


def test_combinations_are_those_seen_with_their_frequencies(conditions):
    assert conditions.combinations.to_numpy().tolist() == [["a", "x"], ["a", "y"], ["b", "x"]]
    assert conditions.frequency.tolist() == [0.6, 0.3, 0.1]
    assert (conditions.columns, len(conditions)) == (("group", "batch"), 3)


def test_rare_combinations_are_named(conditions):
    (warning,) = conditions.warnings()
    assert warning.startswith("2 of 3 combinations of conditions have fewer than 5 samples")
    assert "(group=a, batch=y: 3; group=b, batch=x: 1)" in warning
    assert Conditions.of(samples(group=["a"] * 5 + ["b"] * 5), ["group"]).warnings() == []
    assert Conditions.of(samples(group=["a"] * 3), []).warnings() == []


def test_codes_follow_values_whatever_the_order_of_rows_and_columns(conditions):
    given = samples(batch=["y", "x", "x"], other=[1, 2, 3], group=["a", "b", "a"])
    assert conditions.codes(given).tolist() == [1, 2, 0]
    frame = conditions.frame(conditions.codes(given))
    assert frame.astype(str).to_numpy().tolist() == [["a", "y"], ["b", "x"], ["a", "x"]]


def test_one_hot_stands_column_by_column(conditions):
    assert conditions.one_hot(np.array([1, 2])).tolist() == [[1, 0, 0, 1], [0, 1, 1, 0]]
    assert conditions.width == 4
    assert conditions.one_hot(np.array([1, 2])).dtype == np.float32


def test_frames_are_categories_with_all_levels(conditions):
    frame = conditions.frame(np.array([0, 0]))
    assert frame["group"].cat.categories.tolist() == ["a", "b"]


def test_draws_follow_frequencies_given_what_is_fixed(conditions):
    rng = np.random.default_rng(0)
    free = np.bincount(conditions.draw(20_000, rng), minlength=3) / 20_000
    assert free == pytest.approx([0.6, 0.3, 0.1], abs=0.02)
    in_a = np.bincount(conditions.draw(20_000, rng, {"group": "a"}), minlength=3) / 20_000
    assert in_a == pytest.approx([2 / 3, 1 / 3, 0], abs=0.02)
    assert set(conditions.draw(50, rng, {"group": "a", "batch": "y"})) == {1}


def test_without_columns_there_is_one_combination():
    one = Conditions.of(samples(group=["a", "b"]), [])
    assert (len(one), one.width, one.codes(samples(group=["q"])).tolist()) == (1, 0, [0])
    assert one.draw(3, np.random.default_rng(0)).tolist() == [0, 0, 0]
    assert one.frame(np.zeros(3, dtype=np.int64)).shape == (3, 0)
    assert one.one_hot(np.zeros(3, dtype=np.int64)).shape == (3, 0)
    with pytest.raises(ConfigurationError, match=r"'group' is not a condition .* fitted without any"):
        one.draw(1, np.random.default_rng(0), {"group": "a"})


def test_numbers_and_truth_values_are_text():
    found = Conditions.of(samples(batch=[1, 2] * 4, treated=[True, True, False, False] * 2), ["batch", "treated"])
    assert found.levels == {"batch": ["1", "2"], "treated": ["False", "True"]}
    assert found.matching({"batch": 2, "treated": True}).tolist() == [3]


@pytest.mark.parametrize(
    ("fixed", "error", "words"),
    [
        ({"group": "c"}, UnknownIds, "no sample of the fit had group=c; seen were 'a', 'b'"),
        ({"group": "b", "batch": "y"}, UnknownIds, "group=b, batch=y together; seen were group=a, batch=x; group=a"),
        ({"tissue": "liver"}, ConfigurationError, "'tissue' is not a condition .* it knows 'group', 'batch'"),
    ],
)
def test_what_was_never_seen_is_refused_with_what_was(conditions, fixed, error, words):
    with pytest.raises(error, match=words):
        conditions.draw(1, np.random.default_rng(0), fixed)


def test_codes_of_strange_samples_are_refused(conditions):
    with pytest.raises(UnknownIds, match="batch=z; seen were 'x', 'y'"):
        conditions.codes(samples(group=["a"], batch=["z"]))
    with pytest.raises(UnknownIds, match="group=b, batch=y together"):
        conditions.codes(samples(group=["a", "b"], batch=["x", "y"]))


def test_bad_columns_are_refused():
    with pytest.raises(UnknownIds, match=r"no column 'grup' .* there are 'group'"):
        Conditions.of(samples(group=["a", "b"]), ["grup"])
    with pytest.raises(InvalidValues, match=r"'group' has no value for 2 of 4 samples \('s1', 's3'\)"):
        Conditions.of(samples(group=["a", None, "b", np.nan]), ["group"])
    with pytest.raises(DataError, match="5 samples stand in 5 combinations of 'age'"):
        Conditions.of(samples(age=[1.5, 2.5, 3.5, 4.5, 5.5]), ["age"])
    with pytest.raises(ConfigurationError, match="'a' is named twice"):
        check_columns(["a", "b", "a"])
    assert check_columns("batch") == ("batch",)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xy")), min_size=12, max_size=30))
def test_codes_frames_and_the_bundle_agree(rows):
    given = samples(one=[r[0] for r in rows], two=[r[1] for r in rows])
    found = Conditions.of(given, ["one", "two"])
    back = Conditions.from_state(json.loads(json.dumps(found.facts())))
    codes = back.codes(given)
    assert back.frame(codes).astype(str).to_numpy().tolist() == [list(row) for row in rows]
    assert np.array_equal(np.bincount(codes, minlength=len(found)), found.counts)
    assert np.array_equal(back.one_hot(codes).sum(axis=1), np.full(len(rows), 2))
