from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from cellixir.exceptions import InvalidValues
from cellixir.metrics.generative.membership import membership_inference, reference_attack
from cellixir.metrics.generative.privacy import closest_record, near_copies, nndr


def cloud(n: int, seed: int, d: int = 4) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d))


def column(*values: float) -> np.ndarray:
    return np.array(values)[:, None]


# -- closest record ----------------------------------------------------------------------------------------------------


def test_closest_record_by_hand():
    train, holdout = column(0, 10), column(4, 20)
    found = closest_record(train, holdout, column(1, 2, 5, 19), n=50)
    assert found.share_closer_to_train == pytest.approx((1 + 0.5 + 0 + 0) / 4)  # 2 lies between 0 and 4
    assert found.quantiles.loc[1.0].tolist() == [9, 3]
    assert found.quantiles.loc[0.0].tolist() == [1, 1]
    assert found.quantiles.loc[0.5].tolist() == [(2 + 5) / 2, (1 + 2) / 2]


def test_copies_of_training_samples_have_the_share_one():
    train, holdout = cloud(50, 0), cloud(50, 1)
    assert closest_record(train, holdout, train[::-1], n=50).share_closer_to_train == 1
    assert closest_record(train, holdout, holdout, n=50).share_closer_to_train == 0
    interval = closest_record(train, holdout, train).interval
    assert (interval.value, interval.high) == (1, 1)
    assert interval.low > 0.8


def test_fresh_draws_have_the_share_one_half():
    found = closest_record(cloud(200, 0), cloud(200, 1), cloud(600, 2))
    assert found.share_closer_to_train == pytest.approx(0.5, abs=0.1)
    assert found.interval.value == found.share_closer_to_train
    assert found.interval.low < 0.5 < found.interval.high


def test_the_interval_holds_one_half_of_fresh_draws_though_few_records_are_nearest_to_most():
    def hubs(n: int, seed: int) -> np.ndarray:  # samples of little spread are near to all
        rng = np.random.default_rng(seed)
        return rng.normal(size=(n, 50)) * np.exp(0.3 * rng.normal(size=(n, 1)))

    found = [closest_record(hubs(240, 3 * i), hubs(80, 3 * i + 1), hubs(200, 3 * i + 2), n=60) for i in range(30)]
    assert sum(f.interval.low <= 0.5 <= f.interval.high for f in found) >= 25
    spread = np.std([f.share_closer_to_train for f in found])
    width = np.mean([f.interval.high - f.interval.low for f in found])
    assert width == pytest.approx(2 * 1.96 * spread, rel=0.35)


def test_few_records_say_little():
    train, holdout = 10 * cloud(40, 0), 10 * cloud(40, 1)
    few = closest_record(train, holdout, np.repeat(train[:4], 100, axis=0)).interval
    assert few.value == 1
    assert few.low < 0.65


def test_more_training_samples_do_not_bring_the_nearest_one_nearer():
    found = closest_record(cloud(1000, 0), cloud(100, 1), cloud(500, 2), n=50)
    assert found.share_closer_to_train == pytest.approx(0.5, abs=0.12)  # 10 / 11 of all 1000


def test_of_the_larger_table_as_many_count_as_the_smaller_has():
    # of 0, 10 and 30 one is drawn: closer to 1 than 4 is 0 alone; 0 ties with 4 at 2; to 8, 10 is closer than 4
    found = closest_record(column(0, 10, 30), column(4), column(1, 2, 8), n=50)
    assert found.share_closer_to_train == pytest.approx((1 / 3 + 1 / 6 + 1 / 3) / 3)
    swapped = closest_record(column(4), column(0, 10, 30), column(1, 2, 8), n=50)
    assert swapped.share_closer_to_train == pytest.approx(1 - (1 / 3 + 1 / 6 + 1 / 3) / 3)


def test_the_share_is_the_mean_over_all_ways_to_draw():
    train, holdout, made = cloud(7, 0), cloud(3, 1), cloud(15, 2)
    drawn = [closest_record(train[list(rows)], holdout, made, n=2)[0] for rows in combinations(range(7), 3)]
    assert closest_record(train, holdout, made, n=2).share_closer_to_train == pytest.approx(np.mean(drawn))


def test_equal_tables_tie():
    train = cloud(30, 0)
    assert closest_record(train, train, cloud(20, 1), n=50).share_closer_to_train == 0.5


# -- ratios of neighbours ----------------------------------------------------------------------------------------------


def test_ratios_by_hand():
    found = nndr(column(0, 10, 30), column(1, 4, 28, 20))  # 1/9, 4/6, 2/18, 10/10
    assert found.median.value == pytest.approx((1 / 9 + 4 / 6) / 2)
    assert found.fifth_percentile == pytest.approx(1 / 9)
    assert (found.median.low, found.median.high) == pytest.approx((1 / 9, 1))


def test_copies_have_the_ratio_zero_unless_they_are_copies_of_two():
    train = cloud(30, 0)
    assert nndr(train, train).median == (0, 0, 0)
    assert nndr(np.concatenate([train, train]), train).median == (1, 1, 1)


def test_interval_of_the_median_is_that_of_the_sign_test():
    # 10 ratios 0, .1, ... .9: the ranks 2 and 9 hold the median with a probability of 97.9 %
    ratios = np.arange(10) / 10
    train = column(0, 1)
    found = nndr(train, (ratios / (1 + ratios))[:, None])
    assert found.median == pytest.approx((0.45, 0.1, 0.8))


def test_fresh_draws_are_no_nearer_to_training_than_to_holdout_samples():
    made = cloud(400, 2)
    one, other = nndr(cloud(300, 0), made).median, nndr(cloud(300, 1), made).median
    assert one.value == pytest.approx(other.value, abs=0.06)
    assert 0.6 < one.value < 1


# -- wrong input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", [closest_record, membership_inference, reference_attack])
@pytest.mark.parametrize(
    ("place", "values", "said"),
    [
        (0, np.ones((5, 3)), "train has 3 columns and synthetic 4"),
        (1, np.ones((5, 3)), "holdout has 3 columns and synthetic 4"),
        (1, np.ones((0, 4)), "holdout has shape"),
        (2, np.ones((0, 4)), "synthetic has shape"),
        (0, np.full((5, 4), np.inf), "train holds 20 values"),
    ],
)
def test_wrong_tables_are_refused(metric, place, values, said):
    tables = [cloud(20, seed) for seed in range(3)]
    tables[place] = values
    with pytest.raises(InvalidValues, match=said):
        metric(*tables)


def test_too_few_or_equal_samples_have_no_ratio():
    with pytest.raises(InvalidValues, match="train has 1 sample; a ratio"):
        nndr(cloud(1, 0), cloud(5, 1))
    with pytest.raises(InvalidValues, match="train has 4 columns and synthetic 3"):
        nndr(cloud(5, 0), cloud(5, 1, d=3))


# -- near copies -------------------------------------------------------------------------------------------------------


def test_near_copies_by_hand():
    train, holdout = column(0, 10), column(4, 7)  # ratios 4 / 6 and 3 / 7
    found = near_copies(train, holdout, column(1, 5, 9.5, 6))
    assert found.rows.tolist() == [0, 2]  # 1 / 9 and .5 / 9.5
    assert found.records.tolist() == [0, 1]
    assert found.share.value == 0.5
    assert found.ratios.tolist() == pytest.approx([1 / 9, 1, 0.5 / 9.5, 4 / 6])


def test_fresh_samples_are_no_near_copies_beyond_chance():
    low = [near_copies(cloud(60, 3 * i), cloud(40, 3 * i + 1), cloud(80, 3 * i + 2)).share.low for i in range(100)]
    assert sum(value > 0 for value in low) <= 7  # 2.5 % expected


def test_few_near_copies_among_many_fresh_samples_are_found_and_named():
    train, holdout, fresh = cloud(200, 0, 30), cloud(200, 1, 30), cloud(200, 2, 30)
    some = fresh.copy()
    some[:10] = train[50:60] + 0.05
    found = near_copies(train, holdout, some)
    assert 0.02 < found.share.low < found.share.value
    assert found.rows[:10].tolist() == list(range(10))
    assert found.records[:10].tolist() == list(range(50, 60))
    assert near_copies(train, holdout, fresh).share.low == 0
