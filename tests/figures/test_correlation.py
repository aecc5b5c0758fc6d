from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from cellixir.exceptions import InvalidValues
from cellixir.figures.correlation import MAX_ROWS, correlation_map, correlations


def planted(n: int = 200) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, n))
    return pd.DataFrame({"a": a, "b": b, "a_again": np.exp(a), "minus_b": -b, "one": 1.0})


def test_correlations_are_those_of_ranks_and_columns_that_go_together_are_neighbours() -> None:
    table = planted()
    values = correlations(table)
    names = list(values.columns)
    assert "one" not in names
    assert values.loc["a", "a_again"] == pytest.approx(1.0)
    assert values.loc["b", "minus_b"] == pytest.approx(-1.0)
    assert values.loc["a", "b"] == pytest.approx(spearmanr(table["a"], table["b"]).statistic)
    assert abs(names.index("a") - names.index("a_again")) == 1
    assert abs(names.index("b") - names.index("minus_b")) == 1


def test_missing_values_are_passed_over_pair_by_pair() -> None:
    table = planted()
    table.loc[:49, "a"] = np.nan
    rows = slice(50, None)
    expected = spearmanr(table["a"].iloc[rows], table["b"].iloc[rows]).statistic
    assert correlations(table).loc["a", "b"] == pytest.approx(expected)


def test_the_target_and_its_nearest_columns_stay_within_the_limit() -> None:
    table = planted().assign(**{f"noise{i}": np.random.default_rng(i + 1).normal(size=200) for i in range(20)})
    values = correlations(table, target="b", limit=3)
    assert {"b", "minus_b"} <= set(values.columns)
    assert len(values) == 3


def test_columns_that_never_meet_are_left_grey() -> None:
    table = pd.DataFrame({"a": [1.0, 2, 3, np.nan, np.nan], "b": [np.nan, np.nan, 1.0, 2, 4], "c": [1.0, 3, 2, 5, 4]})
    assert np.isnan(correlations(table).loc["a", "b"])
    assert correlation_map(table).get_figure() is not None


def test_a_long_table_is_sampled_the_same_way_each_time() -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(MAX_ROWS + 10, 2)), columns=["a", "b"])
    assert correlations(table).equals(correlations(table))


def test_the_map_marks_the_target_and_writes_numbers_of_few_columns() -> None:
    ax = correlation_map(planted(), target="a")
    bold = {tick.get_text() for tick in ax.get_yticklabels() if tick.get_fontweight() == "bold"}
    assert bold == {"a"}
    assert sum(1 for text in ax.texts if str(text.get_gid()).startswith("r-")) == 12
    assert not correlation_map(pd.DataFrame(np.random.default_rng(0).normal(size=(30, 20)))).texts


def test_a_table_without_two_varying_columns_is_refused() -> None:
    with pytest.raises(InvalidValues, match="1 of 2 columns vary"):
        correlation_map(pd.DataFrame({"a": [1.0, 2, 3], "b": [1.0, 1, 1]}))
