from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cellixir.data.response_data import ResponseData
from cellixir.data.splits import make_folds
from cellixir.exceptions import ConfigurationError, DataError, InvalidValues
from cellixir.response.cross_validation.labels import Labels, Rule, fold_labels, parse_rule, with_labels
from cellixir.sources.gdsc import load_gdsc_v17


def table(values: dict[str, list[float]]) -> ResponseData:
    """Responses by drug, of samples s0, s1, ..."""
    rows = [(f"s{i}", drug, value) for drug, column in values.items() for i, value in enumerate(column)]
    return ResponseData.join(pd.DataFrame(rows, columns=["sample", "drug", "response"]), measure="AUC", unit="x")


TWO = table({"a": [1.0, 2, 3, 4], "b": [10.0, 20, 30, 40]})


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("median", Rule("median")),
        (" Median ", Rule("median")),
        ("given", Rule("given")),
        ("threshold=0.5", Rule("threshold", 0.5)),
        ("threshold = -2", Rule("threshold", -2.0)),
        ("zscore=-1.5", Rule("zscore", -1.5)),
        ("zscore", Rule("zscore", -1.0)),
    ],
)
def test_rules_are_read_and_written(text: str, rule: Rule) -> None:
    assert parse_rule(text) == rule
    assert parse_rule(str(rule)) == rule


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "there is no rule ''"),
        ("mean", "there is no rule 'mean' for labels; choose one of given, median"),
        ("median=3", "takes no value"),
        ("threshold", "its value is missing"),
        ("threshold=", "its value is missing"),
        ("zscore=", "its value is missing"),
        ("threshold=low", "'low' is not a finite number"),
        ("zscore=nan", "'nan' is not a finite number"),
        ("threshold=1=2", "'1=2' is not a finite number"),
    ],
)
def test_wrong_rules_are_refused(text: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        parse_rule(text)


def test_the_median_is_that_of_each_drug() -> None:
    labels = Labels.fit(TWO, "median")
    assert labels.thresholds.to_dict() == {"a": 2.5, "b": 25.0}
    assert labels.pooled == 7.0  # median of all eight
    assert labels.of(TWO).tolist() == [1, 1, 0, 0, 1, 1, 0, 0]
    assert Labels.fit(TWO, "median", sensitive="above").of(TWO).tolist() == [0, 0, 1, 1, 0, 0, 1, 1]
    assert labels.notes == ()


def test_a_threshold_is_one_line_for_all_drugs_and_equal_is_resistant() -> None:
    labels = Labels.fit(TWO, "threshold=3")
    assert labels.of(TWO).tolist() == [1, 1, 0, 0, 0, 0, 0, 0]
    assert Labels.fit(TWO, "threshold=3", sensitive="above").of(TWO).tolist() == [0, 0, 0, 1, 1, 1, 1, 1]
    assert labels.pooled == 3
    # drug b has no sensitive row: it stays, and is named
    assert "1 of 2 drugs have fewer than 2 sensitive" in labels.notes[0]
    assert "'b'" in labels.notes[0]


def test_a_z_score_is_by_the_drugs_own_mean_and_spread() -> None:
    labels = Labels.fit(TWO, "zscore=-1")
    assert labels.thresholds["a"] == pytest.approx(2.5 - np.sqrt(1.25))
    assert labels.thresholds["b"] == pytest.approx(25 - 10 * np.sqrt(1.25))
    assert labels.pooled == pytest.approx(labels.thresholds.mean())
    assert labels.of(TWO).tolist() == [1, 0, 0, 0, 1, 0, 0, 0]
    assert Labels.fit(TWO, "zscore=1", sensitive="above").of(TWO).tolist() == [0, 0, 0, 1, 0, 0, 0, 1]


@pytest.mark.parametrize("rule", ["median", "zscore=-1", "zscore=1", "zscore=0"])
def test_a_constant_drug_and_one_with_one_row_are_resistant(rule: str) -> None:
    data = table({"a": [1.0, 2, 3, 4] * 3, "constant": [0.1 + 0.2] * 7, "once": [5.0]})
    labels = Labels.fit(data, rule)
    y = pd.Series(labels.of(data)).groupby(data.responses["drug"]).sum()
    assert y["constant"] == y["once"] == 0
    assert "2 of 3 drugs" in labels.notes[0]


def test_a_new_drug_has_the_pooled_threshold_and_is_counted() -> None:
    labels = Labels.fit(TWO, "median")
    new = table({"a": [2.4, 2.6], "c": [6.9, 7.1]})
    labelled = labels.transform(new)
    assert labelled.response.tolist() == [1, 0, 1, 0]
    assert labelled.notes == ("drugs not seen in training: 1 ('c'); their labels use the pooled threshold 7",)
    assert Labels.fit(TWO, "threshold=3").transform(new).notes[-1].startswith("1 of 2 drugs have fewer")


def test_test_rows_never_move_the_line() -> None:
    shifted = table({"a": [-50.0, -60, -70], "b": [-1.0, 99, 5]})
    labels = Labels.fit(TWO, "zscore=-1")
    before = labels.thresholds.copy()
    labels.transform(shifted)
    assert labels.of(shifted).tolist() == [1, 1, 1, 1, 0, 1]
    pd.testing.assert_series_equal(labels.thresholds, before)


def test_transform_keeps_rows_and_changes_measure_and_unit() -> None:
    labelled = Labels.fit(TWO, "median").transform(TWO)
    assert (labelled.measure, labelled.unit) == ("sensitive", "")
    pd.testing.assert_frame_equal(labelled.responses[["sample", "drug"]], TWO.responses[["sample", "drug"]])
    assert set(labelled.response) == {0.0, 1.0}
    assert TWO.response[0] == 1.0
    assert TWO.response[3] == 4.0  # the data given are as they were


def test_a_question_stays_a_question() -> None:
    labels = Labels.fit(TWO, "median")
    question = labels.transform(TWO.as_question())
    assert not question.measured
    assert np.isnan(question.response).all()
    assert question.measure == "sensitive"
    for ask in (labels.of, lambda data: Labels.fit(data, "median")):
        with pytest.raises(DataError, match="without responses"):
            ask(TWO.as_question())


def test_labels_that_are_given_are_kept() -> None:
    binary = table({"a": [0.0, 1, 1, 0], "b": [1.0, 1, 1, 0]})
    for rule in ("given", "median", "threshold=0.5"):
        labels = Labels.fit(binary, rule)
        assert labels.rule == Rule("given")
        np.testing.assert_array_equal(labels.of(binary), binary.response)
        assert any("median was not used" in note for note in labels.notes) == (rule == "median")
    with pytest.raises(InvalidValues, match=r"sample 's1' and drug 'a', 2, is neither 0 nor 1"):
        Labels.fit(binary, "given").of(TWO)
    with pytest.raises(InvalidValues, match="choose another rule"):
        Labels.fit(TWO, "given")


@pytest.mark.parametrize(
    ("data", "rule", "said"),
    [
        (TWO, "threshold=-5", r"0 of 8 responses are sensitive by the rule threshold=-5 .* run from 1 to 40"),
        (TWO, "threshold=2", r"1 of 8 responses are sensitive"),
        (TWO, "threshold=99", r"0 of 8 responses are resistant"),
        (TWO, "zscore=-3", "0 of 8 responses are sensitive"),
        (table({"a": [5.0, 5, 5]}), "median", "0 of 3 responses are sensitive"),
        (table({"a": [5.0]}), "median", "0 of 1 responses are sensitive"),
        (table({"a": [1.0, 1, 0]}), "given", "1 of 3 responses are resistant by the rule given .* give more rows"),
    ],
)
def test_a_class_of_fewer_than_two_is_refused(data: ResponseData, rule: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        Labels.fit(data, rule)


def test_an_unknown_side_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="there is no side 'under'"):
        Labels.fit(TWO, "median", sensitive="under")


@pytest.mark.parametrize("rule", ["median", "zscore=-1", "threshold=3"])
@pytest.mark.parametrize("side", ["below", "above"])
def test_labels_come_back(rule: str, side: str, through_a_bundle: Callable[[Labels], Labels]) -> None:
    labels = Labels.fit(TWO, rule.replace("-", "" if side == "above" else "-"), sensitive=side)
    back = through_a_bundle(labels)
    new = table({"a": [2.0, 2.2, 3.5], "z": [6.0, 8.0, 20.0]})
    np.testing.assert_array_equal(back.of(new), labels.of(new))
    assert (back.rule, back.sensitive, back.notes) == (labels.rule, labels.sensitive, labels.notes)
    assert back.describe() == labels.describe()
    assert f"sensitive is {side}" in labels.describe()


def test_fold_labels_are_those_of_the_fold_that_tests_the_row(screen: ResponseData) -> None:
    folds = make_folds(screen, "LCO", n_folds=3)
    y, learned = fold_labels(screen, folds, "zscore=-0.5")
    for fold, labels in zip(folds, learned, strict=True):
        known = screen.take(np.sort(np.concatenate([fold.train, fold.validation])))
        pd.testing.assert_series_equal(labels.thresholds, Labels.fit(known, "zscore=-0.5").thresholds)
        np.testing.assert_array_equal(y[fold.test], labels.of(screen.take(fold.test)))
    assert not learned[0].thresholds.equals(learned[1].thresholds)
    partial, _ = fold_labels(screen, folds[:1], "median")
    assert np.isnan(partial).sum() == len(screen) - len(folds[0].test)


def test_new_drugs_are_labelled_in_leave_drugs_out(screen: ResponseData) -> None:
    folds = make_folds(screen, "LDO", n_folds=4)
    y, learned = fold_labels(screen, folds, "median")
    assert set(y) == {0.0, 1.0}
    assert not set(learned[0].thresholds.index) & set(screen.responses["drug"].iloc[folds[0].test])


def test_the_fold_that_lacks_a_class_is_named(screen: ResponseData) -> None:
    with pytest.raises(DataError, match="responses are sensitive") as caught:
        fold_labels(screen, make_folds(screen, "LCO", n_folds=3), "threshold=-99")
    assert caught.value.__notes__ == ["in the training rows of fold 0"]


def test_labels_stand_in_for_responses(screen: ResponseData) -> None:
    y = (screen.response < 0).astype(float)
    labelled = with_labels(screen, y)
    np.testing.assert_array_equal(labelled.response, y)
    assert labelled.views.keys() == screen.views.keys()


def test_replicates_are_labelled_one_by_one(make_screen: Callable[..., ResponseData]) -> None:
    data = make_screen(n_samples=12, n_drugs=4)
    twice = pd.concat([data.responses.assign(replicate=i, response=data.response + i) for i in (0, 1)])
    data = ResponseData.join(twice.reset_index(drop=True))
    assert len(Labels.fit(data, "median").of(data)) == len(twice)


@pytest.mark.real_data
def test_gdsc_halves_at_each_drugs_median(data_dir: Path) -> None:
    assert os.environ["CELLIXIR_DATA_DIR"] == str(data_dir)
    gdsc = load_gdsc_v17()
    labels = Labels.fit(gdsc, "median")
    y = labels.of(gdsc)
    by_drug = pd.Series(y).groupby(gdsc.drug_index).mean()
    assert len(labels.thresholds) == 265
    assert by_drug.between(0.49, 0.5).all()
    assert labels.notes == ()
    low = Labels.fit(gdsc, "zscore=-1").of(gdsc).mean()
    assert 0.12 < low < 0.17
    # at 0.14 µM (ln -2) most drugs hardly stop any line: they are counted and named
    assert "drugs have fewer than 2 sensitive" in Labels.fit(gdsc, "threshold=-2").notes[0]
