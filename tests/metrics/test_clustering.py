from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score, f1_score, normalized_mutual_info_score, silhouette_samples

from cellixir.exceptions import ConfigurationError, InvalidValues
from cellixir.metrics import bootstrap_weights
from cellixir.metrics import clustering as metric

ALL = [*metric.PAIR_METRICS, *metric.LATENT_METRICS]


def blobs(n: int, seed: int = 0, spread: float = 1.0) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n)
    return labels, rng.normal(0, spread, (n, 2)) + 6.0 * np.array([[0, 0], [1, 0], [0, 1]])[labels]


# -- closed forms ------------------------------------------------------------------------------------------------------


def test_ari_of_hand_counted_pairs() -> None:
    # of 15 pairs 2 are together in both, 3 + 3 by label, 1 + 1 + 1 by cluster
    labels, clusters = list("aaabbb"), [0, 0, 1, 1, 2, 2]
    expected = 6 * 3 / 15
    assert metric.ari(labels, clusters) == pytest.approx((2 - expected) / ((6 + 3) / 2 - expected), abs=1e-12)


def test_nmi_of_hand_counted_entropies() -> None:
    # the clusters halve label b: I = H(label) = log 2, H(cluster) = 1.5 log 2
    assert metric.nmi(list("aabb"), [0, 0, 1, 2]) == pytest.approx(2 / 2.5, abs=1e-12)


def test_same_partition_under_other_names_is_one_and_independence_is_nothing() -> None:
    labels = np.repeat(["a", "b", "c"], 12)
    names = np.repeat([7, 5, 6], 12)
    assert metric.ari(labels, names) == metric.nmi(labels, names) == pytest.approx(1)
    crossed = np.tile([0, 1, 2], 12)
    assert metric.nmi(labels, crossed) == pytest.approx(0, abs=1e-12)
    assert metric.ari(labels, crossed) < 0


def test_ari_is_corrected_for_chance_and_nmi_is_not() -> None:
    rng = np.random.default_rng(0)
    labels, many = rng.integers(0, 8, 500), rng.integers(0, 100, 500)
    assert abs(metric.ari(labels, many)) < 0.01
    assert metric.nmi(labels, many) > 0.15


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), min_size=3, max_size=40))
def test_values_are_those_of_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    labels, called = (np.array(side) for side in zip(*pairs, strict=True))
    if not np.isnan(metric.ari(labels, called)):
        assert metric.ari(labels, called) == pytest.approx(adjusted_rand_score(labels, called), abs=1e-9)
    if not np.isnan(metric.nmi(labels, called)):
        assert metric.nmi(labels, called) == pytest.approx(normalized_mutual_info_score(labels, called), abs=1e-9)
    assert metric.macro_f1(labels, called) == pytest.approx(f1_score(labels, called, average="macro", zero_division=0))
    assert metric.accuracy(labels, called) == np.mean(labels == called)


def test_macro_f1_counts_a_rare_type_as_much_as_a_common_one() -> None:
    labels = ["B"] * 98 + ["mast"] * 2
    called = ["B"] * 100
    assert metric.accuracy(labels, called) == 0.98
    assert metric.macro_f1(labels, called) == pytest.approx((2 * 98 / 198 + 0) / 2)


def test_undefined_is_nan() -> None:
    one, alone = ["a"] * 5, list("abcde")
    latent = np.arange(10.0).reshape(5, 2)
    assert np.isnan(metric.ari(one, [0] * 5))
    assert np.isnan(metric.ari(alone, [3, 1, 2, 0, 4]))
    assert np.isnan(metric.nmi(one, [0] * 5))
    assert metric.nmi(one, [0, 0, 1, 1, 1]) == 0
    assert np.isnan(metric.silhouette(latent, one))
    assert np.isnan(metric.silhouette(latent, alone))
    assert np.isnan(metric.knn_purity(latent[:1], one[:1]))


def test_silhouette_of_four_cells_on_a_line() -> None:
    # cell 0: a = 1, b = (10 + 11) / 2; cell 1: a = 1, b = (9 + 10) / 2; and mirrored
    widths = [1 - 1 / 10.5, 1 - 1 / 9.5, 1 - 1 / 9.5, 1 - 1 / 10.5]
    latent = np.array([[0.0], [1.0], [10.0], [11.0]])
    assert metric.silhouette_values(latent, list("aabb"))[1] == pytest.approx(widths)
    assert metric.silhouette(latent, list("aabb")) == pytest.approx(np.mean(widths))


def test_purity_of_cells_on_a_line() -> None:
    latent = np.array([[0.0], [1.0], [2.1], [3.3], [4.6]])
    assert metric.purity_values(latent, list("aabbb"), k=1)[1].tolist() == [1, 1, 0, 1, 1]
    # the two of type a have one other of their type: it alone is looked for
    assert metric.purity_values(latent, list("aabbb"), k=2)[1].tolist() == [1, 1, 0.5, 1, 1]
    assert metric.knn_purity(latent, list("aabbb"), k=50) == pytest.approx(0.9)


def test_purity_can_be_one_of_types_of_few_cells_and_lone_cells_have_none() -> None:
    labels = np.repeat(["B", "mast", "T"], [30, 3, 20])
    latent = np.random.default_rng(0).normal(0, 1, (53, 2)) + 100 * np.repeat([[0, 0], [1, 0], [0, 1]], [30, 3, 20], 0)
    assert metric.with_interval("knn_purity", labels, latent) == (1, 1, 1)
    alone = np.append(labels[:-1], "only one")
    rows, values = metric.purity_values(latent, alone)
    assert rows.tolist() == list(range(52))
    assert values[:33].tolist() == [1] * 33
    assert np.isnan(metric.knn_purity(latent, np.arange(53)))
    assert np.isnan(metric.with_interval("knn_purity", np.arange(53), latent)).all()


def test_a_cell_is_never_its_own_neighbour() -> None:
    """Not even where more cells stand in one place than are looked up."""
    assert metric.knn_purity(np.zeros((40, 3)), ["a"] * 40, k=5) == 1
    assert metric.purity_values(np.zeros((40, 3)), np.arange(40) // 2, k=5)[1].sum() <= 2


def test_well_parted_types_are_pure_and_mixed_ones_are_at_their_share() -> None:
    labels, latent = blobs(600, spread=0.5)
    assert metric.knn_purity(latent, labels) > 0.99
    assert metric.silhouette(latent, labels) > 0.75
    mixed = np.random.default_rng(1).permutation(labels)
    assert metric.knn_purity(latent, mixed) == pytest.approx(1 / 3, abs=0.03)
    assert abs(metric.silhouette(latent, mixed)) < 0.05


# -- many cells --------------------------------------------------------------------------------------------------------


def test_a_subsample_keeps_shares_and_rare_labels() -> None:
    labels = np.array(["a"] * 900 + ["b"] * 97 + ["c"] * 3, dtype=object)
    rows = metric.stratified_rows(labels, 100, seed=3)
    drawn = {name: int((labels[rows] == name).sum()) for name in "abc"}
    assert drawn == {"a": 90, "b": 10, "c": 2}
    assert len(np.unique(rows)) == len(rows)
    assert (np.diff(rows) > 0).all()
    assert np.array_equal(rows, metric.stratified_rows(labels, 100, seed=3))
    assert not np.array_equal(rows, metric.stratified_rows(labels, 100, seed=4))


def test_subsampled_values_are_near_the_exact_ones() -> None:
    labels, latent = blobs(3000, spread=2.5)
    exact = silhouette_samples(latent, labels).mean()
    assert metric.silhouette(latent, labels) == pytest.approx(exact, abs=1e-9)
    drawn = [metric.silhouette(latent, labels, limit=800, seed=seed) for seed in range(5)]
    assert np.mean(drawn) == pytest.approx(exact, abs=0.015)
    assert len(set(drawn)) == 5
    rows, values = metric.purity_values(latent, labels, limit=800)
    everyone = metric.purity_values(latent, labels)[1]
    assert values == pytest.approx(everyone[rows])  # neighbours are still looked up among all cells


# -- intervals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
def test_value_is_the_plain_metric_within_its_interval(name: str) -> None:
    labels, latent = blobs(300, spread=3.0)
    called = np.where(np.random.default_rng(2).random(300) < 0.7, labels, 0)
    seen = latent if name in metric.LATENT_METRICS else called
    groups = np.arange(300) % 12
    plain = {"silhouette": metric.silhouette, "knn_purity": metric.knn_purity}
    value = plain[name](seen, labels) if name in plain else getattr(metric, name)(labels, seen)
    for over in (None, groups):
        drawn = metric.with_interval(name, labels, seen, groups=over, n=200)
        assert drawn.value == pytest.approx(value, abs=1e-12)
        assert drawn.low < drawn.value < drawn.high


@pytest.mark.parametrize("name", ["accuracy", "macro_f1"])
def test_a_replicate_is_the_metric_of_the_drawn_patients(name: str) -> None:
    rng = np.random.default_rng(1)
    labels, called, groups = rng.integers(0, 3, 60), rng.integers(0, 3, 60), np.repeat(np.arange(6), 10)
    times = next(bootstrap_weights(6, 1, seed=7))[0].astype(int)
    rows = np.concatenate([np.flatnonzero(groups == g) for g in range(6) for _ in range(times[g])])
    drawn = metric.cell_draws(name, labels, called, groups=groups, n=1, seed=7)
    assert drawn[1] == pytest.approx(getattr(metric, name)(labels[rows], called[rows]))


def test_a_replicate_of_purity_weighs_the_cells_of_the_drawn_patients() -> None:
    labels, latent = blobs(60, spread=4.0)
    groups = np.repeat(np.arange(6), 10)
    times = next(bootstrap_weights(6, 1, seed=7))[0].astype(int)
    values = metric.purity_values(latent, labels)[1]
    drawn = metric.cell_draws("knn_purity", labels, latent, groups=groups, n=1, seed=7)
    assert drawn[1] == pytest.approx((values * times[groups]).sum() / times[groups].sum())


def test_a_cell_drawn_twice_does_not_agree_with_itself() -> None:
    """Counted as a pair it would raise the ARI of independent partitions in every replicate."""
    rng = np.random.default_rng(3)
    labels, clusters = rng.integers(0, 10, 80), rng.integers(0, 10, 80)
    draws = metric.cell_draws("ari", labels, clusters, n=400)
    assert draws[1:].mean() == pytest.approx(draws[0], abs=0.01)
    plain = [adjusted_rand_score(labels[r], clusters[r]) for r in rng.integers(0, 80, (100, 80))]
    assert np.mean(plain) > draws[0] + 0.05


@pytest.mark.parametrize("name", ["ari", "nmi", "macro_f1"])
def test_the_interval_covers_the_truth_about_as_often_as_it_says(name: str) -> None:
    shares = np.array([[0.3, 0.05, 0.02], [0.04, 0.25, 0.03], [0.03, 0.06, 0.22]])
    many = np.random.default_rng(0).multinomial(1_000_000, shares.ravel())
    truth = getattr(metric, name)(*(np.repeat(side, many) for side in (np.arange(9) // 3, np.arange(9) % 3)))
    inside = 0
    for seed in range(100):
        cell = np.random.default_rng(seed + 1).choice(9, 300, p=shares.ravel())
        drawn = metric.with_interval(name, cell // 3, cell % 3, n=200, seed=seed)
        inside += drawn.low <= truth <= drawn.high
    assert 86 <= inside <= 99


def test_patients_that_share_their_errors_widen_the_interval() -> None:
    rng = np.random.default_rng(2)
    groups = np.repeat(np.arange(20), 40)
    labels = rng.integers(0, 4, 800)
    called = np.where(rng.random(20)[groups] < 0.5, labels, (labels + 1) % 4)
    together = metric.with_interval("accuracy", labels, called, groups=groups)
    alone = metric.with_interval("accuracy", labels, called)
    assert together.high - together.low > 3 * (alone.high - alone.low)


def test_fewer_than_five_patients_are_not_drawn() -> None:
    labels, _ = blobs(100)
    called = np.where(np.arange(100) % 4 == 0, 0, labels)
    few, enough = np.arange(100) % 4, np.arange(100) % 5
    assert not metric.enough_groups(few)
    assert metric.enough_groups(enough)
    assert not metric.enough_groups(None)
    over_few = metric.with_interval("accuracy", labels, called, groups=few)
    assert over_few == metric.with_interval("accuracy", labels, called)
    assert metric.with_interval("accuracy", labels, called, groups=enough) != over_few


@pytest.mark.parametrize("name", ALL)
def test_paired_difference_is_surer_than_the_two_intervals(name: str) -> None:
    labels, latent = blobs(400, spread=3.0)
    rng = np.random.default_rng(5)
    wrong = rng.random(400) < 0.3
    one, other = np.where(wrong, 0, labels), np.where(wrong & (rng.random(400) < 0.9), 0, labels)
    if name in metric.LATENT_METRICS:
        one, other = latent, 0.97 * latent + 0.03 * latent.mean(axis=0) + rng.normal(0, 0.2, latent.shape)
    same = metric.paired_cell_difference(name, labels, one, one, n=100)
    assert tuple(same) == (0, 0, 0)
    a, b = (metric.with_interval(name, labels, v, n=300) for v in (one, other))
    difference = metric.paired_cell_difference(name, labels, other, one, n=300)
    assert difference.value == pytest.approx(b.value - a.value)
    assert difference.high - difference.low < 0.8 * (a.high - a.low)
    reverse = metric.paired_cell_difference(name, labels, one, other, n=300)
    assert (reverse.low, reverse.high) == pytest.approx((-difference.high, -difference.low))


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "labels", "seen", "groups", "words"),
    [
        ("ari", ["a", "b"], [0], None, "2 labels and 1 calls"),
        ("accuracy", ["a", None], ["a", "a"], None, "label of cell 1 is missing"),
        ("accuracy", ["a", "b"], ["a", np.nan], None, "call of cell 1 is missing"),
        ("accuracy", [], [], None, "at least one cell"),
        ("accuracy", list("abcdef"), list("abcdef"), list("12345"), "5 groups for 6 cells"),
        ("silhouette", ["a", "b"], [[1.0], [np.inf]], None, r"1 of 2 cells \(1\): dimension 1 of the first holds inf"),
        ("silhouette", ["a", "b"], [1.0, 2.0], None, r"the shape \(2,\) for 2 cells"),
    ],
)
def test_wrong_input_is_named(name: str, labels: list[str], seen: list[object], groups: object, words: str) -> None:
    with pytest.raises(InvalidValues, match=words):
        metric.with_interval(name, labels, seen, groups=groups, n=10)  # type: ignore[arg-type]


def test_unknown_metric_and_no_neighbour_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="use one of accuracy, macro_f1, ari, nmi, silhouette, knn_purity"):
        metric.with_interval("ami", ["a", "b"], [0, 1])
    with pytest.raises(ConfigurationError, match="k=0"):
        metric.knn_purity(np.zeros((3, 1)), list("aab"), k=0)
