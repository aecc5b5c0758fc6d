from __future__ import annotations

import numpy as np
import pytest

from cellixir.exceptions import ConfigurationError, InvalidValues, UnknownIds
from cellixir.metrics.generative.utility import augmentation_gain, tstr

TYPES = np.array(["B", "NK", "T"])
Cells = tuple[np.ndarray, np.ndarray]


def cells(n: int, seed: int, apart: float = 1.5, n_types: int = 3) -> Cells:
    """Samples around one centre a class, ``apart`` from the origin on an axis of its own."""
    rng = np.random.default_rng(seed)
    code = np.arange(n) % n_types
    return rng.normal(size=(n, 5)) + apart * np.eye(5)[code], TYPES[code]


def test_synthetic_samples_of_the_same_distribution_are_worth_as_much():
    found = tstr(*cells(300, 0), *cells(300, 1), *cells(300, 2), n=200)
    assert found.ratio == pytest.approx(found.tstr / found.trtr)
    assert found.ratio == pytest.approx(1, abs=0.1)
    assert found.interval.low < found.ratio < found.interval.high
    assert found.interval.value == found.ratio
    assert found.auroc_ratio == pytest.approx(found.tstr_auroc / found.trtr_auroc)
    assert found.missing == ()


def test_the_real_samples_themselves_have_the_ratio_one():
    real = cells(90, 0)
    found = tstr(*real, *real, *cells(90, 2), n=50)
    assert found.ratio == found.auroc_ratio == 1
    assert tuple(found.interval) == (1, 1, 1)


def test_classes_that_lie_apart_are_all_told():
    found = tstr(*cells(60, 0, apart=20), *cells(60, 1, apart=20), *cells(60, 2, apart=20), n=50)
    assert found[:3] == (1, 1, 1)
    assert (found.tstr_auroc, found.trtr_auroc) == (1, 1)


def test_shuffled_labels_are_chance():
    values, labels = cells(150, 1)
    rng = np.random.default_rng(0)
    found = [tstr(*cells(60, 0), values, rng.permutation(labels), *cells(150, 2), n=1) for _ in range(30)]
    assert np.mean([f.tstr for f in found]) == pytest.approx(1 / 3, abs=0.1)
    assert np.mean([f.tstr_auroc for f in found]) == pytest.approx(1 / 2, abs=0.1)


def test_turned_labels_are_worse_than_chance():
    values, labels = cells(200, 1, n_types=2)
    turned = np.where(labels == "B", "NK", "B")
    found = tstr(*cells(200, 0, n_types=2), values, turned, *cells(200, 2, n_types=2), n=50)
    assert found.tstr < 0.2
    assert found.tstr_auroc < 0.2


def test_the_units_of_a_gene_do_not_matter():
    scale = np.array([1e-6, 1, 1e3, 1e6, 1])
    tables = [cells(90, seed) for seed in range(3)]
    plain = tstr(*tables[0], *tables[1], *tables[2], n=10)
    scaled = tstr(*(part for values, labels in tables for part in (values * scale + 7 * scale, labels)), n=10)
    assert scaled.tstr == pytest.approx(plain.tstr, abs=0.02)
    assert scaled.trtr_auroc == pytest.approx(plain.trtr_auroc, abs=0.01)


def test_a_gene_that_is_constant_in_training_says_nothing_about_the_test():
    tables = [cells(90, seed) for seed in range(3)]
    plain = tstr(*tables[0], *tables[1], *tables[2], n=10)
    wide = [(np.column_stack([v, np.full(len(v), 0.1 + (at == 2))]), y) for at, (v, y) in enumerate(tables)]
    assert tstr(*wide[0], *wide[1], *wide[2], n=10)[:3] == plain[:3]


def test_a_class_that_the_synthetic_data_lack_is_named_and_never_called():
    values, labels = cells(300, 1, apart=20)
    there = labels != "NK"
    found = tstr(*cells(60, 0, apart=20), values[there], labels[there], *cells(60, 2, apart=20), n=50)
    assert found.missing == ("NK",)
    assert found.tstr == pytest.approx(2 / 3)
    assert found.trtr == 1
    assert found.tstr_auroc < 1


def test_a_generator_of_one_class_is_chance():
    values, labels = cells(90, 1)
    one = labels == "T"
    found = tstr(*cells(90, 0), values[one], labels[one], *cells(90, 2), n=50)
    assert found.missing == ("B", "NK")
    assert found.tstr == pytest.approx(1 / 3)
    assert found.tstr_auroc == 0.5


def test_rare_classes_count_as_much_as_common_ones():
    values, labels = cells(400, 1, n_types=2, apart=2)
    rare = np.flatnonzero(labels == "NK")
    kept = np.concatenate([np.flatnonzero(labels == "B"), rare[:20]])
    balanced = tstr(values[kept], labels[kept], values, labels, *cells(400, 2, n_types=2, apart=2), n=10)
    test_values, test_labels = cells(400, 2, n_types=2, apart=2)
    few = np.concatenate([np.flatnonzero(test_labels == "B"), np.flatnonzero(test_labels == "NK")[:50]])
    skewed = tstr(values[kept], labels[kept], values, labels, test_values[few], test_labels[few], n=10)
    assert skewed.trtr == pytest.approx(balanced.trtr, abs=0.07)
    assert balanced.trtr > 0.85


# -- augmentation ------------------------------------------------------------------------------------------------------


def test_more_of_the_same_helps_few_samples():
    found = augmentation_gain(*cells(6, 0), *cells(400, 1), *cells(300, 2), n_repeats=20)
    assert found.gain.value == pytest.approx(found.augmented - found.real)
    assert found.gain.value > 0.05
    assert found.gain.low < found.gain.value < found.gain.high


def test_copies_of_the_training_samples_gain_nothing():
    real, test = cells(24, 3), cells(600, 53)
    copies = np.tile(real[0], (10, 1)), np.tile(real[1], 10)
    found = augmentation_gain(*real, *copies, *test)
    assert found.real == pytest.approx(tstr(*real, *copies, *test, n=1).trtr)
    assert found.gain.value == pytest.approx(0, abs=0.03)  # only the penalty weighs less
    half = augmentation_gain(*(part[::2] for part in real), *real, *test)
    assert half.gain.value > 0.05  # as much as those copies would seem to bring, were half the samples left out


def test_wrong_samples_harm_and_enough_real_ones_gain_nothing():
    values, labels = cells(400, 1)
    turned = np.roll(labels, 1)
    harmed = augmentation_gain(*cells(60, 0), values, turned, *cells(300, 2), n_repeats=6)
    assert harmed.gain.high < 0
    enough = augmentation_gain(*cells(900, 0), values[:30], labels[:30], *cells(300, 2), n_repeats=6)
    assert enough.gain.low < 0.02
    assert enough.gain.value == pytest.approx(0, abs=0.03)


def test_the_interval_is_that_of_t_and_the_seed_repeats_it():
    tables = (*cells(30, 0), *cells(60, 1), *cells(60, 2))
    found = augmentation_gain(*tables, n_repeats=2, seed=1)
    assert found == augmentation_gain(*tables, n_repeats=2, seed=1)
    assert found.gain.high - found.gain.value == pytest.approx(found.gain.value - found.gain.low)
    wide = augmentation_gain(*tables, n_repeats=2, seed=1, level=0.99)
    # t of one degree of freedom: 63.66 at .995, 12.71 at .975
    reach = [f.gain.high - f.gain.value for f in (wide, found)]
    assert reach[0] == pytest.approx(reach[1] * 63.6567 / 12.7062, rel=1e-4)
    assert reach[1] > 0


# -- wrong input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", [tstr, augmentation_gain])
@pytest.mark.parametrize(
    ("place", "change", "error", "said"),
    [
        (1, lambda y: np.full(len(y), "T"), InvalidValues, "real training data: all 30 samples are of the class 'T'"),
        (5, lambda y: np.full(len(y), "T"), InvalidValues, "test data: all 30 samples are of the class 'T'"),
        (3, lambda y: np.where(y == "T", "mast", y), UnknownIds, "synthetic data: the classes 'mast' have no real"),
        (5, lambda y: np.where(y == "T", "mast", y), UnknownIds, "test data: the classes 'mast'"),
        (3, lambda y: y[:-1], InvalidValues, "synthetic data: classes have the shape .29,., 0 missing; give one"),
        (1, lambda y: [None, *y[1:]], InvalidValues, "real training data: classes have the shape .30,., 1 missing"),
        (2, lambda x: x[:, :3], InvalidValues, "real training data has 5 columns and synthetic data 3"),
        (4, lambda x: x * np.nan, InvalidValues, "test data holds 150 values"),
        (0, lambda x: x[:0], InvalidValues, "real training data has shape"),
    ],
)
def test_wrong_tables_are_refused(metric, place, change, error, said):
    tables = [part for seed in range(3) for part in cells(30, seed)]
    tables[place] = change(tables[place])
    with pytest.raises(error, match=said):
        metric(*tables)


def test_halves_need_two_samples_of_a_class():
    few, rest = cells(30, 0), (*cells(30, 1), *cells(30, 2))
    kept = [*np.flatnonzero(few[1] != "T"), 2]
    with pytest.raises(InvalidValues, match="real training data: the classes 'T' have one sample"):
        augmentation_gain(few[0][kept], few[1][kept], *rest)
    with pytest.raises(ConfigurationError, match="n_repeats=1 gives no interval"):
        augmentation_gain(*few, *rest, n_repeats=1)
