"""Naive baselines on a table that fits on a hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from cellixir.data.response_data import ResponseData
from cellixir.exceptions import ConfigurationError
from cellixir.response.cross_validation.models import BASELINES, MODELS, chosen_models
from cellixir.response.models.baselines import DrugPlusTissue, DrugTissueMean, EffectsBaseline, GroupMean
from cellixir.response.models.effects import SHRINKAGE

TISSUE = {"l1": "lung", "l2": "lung", "k1": "skin", "k2": "skin", "b1": "bone"}
#         A  B
#  l1     1  0
#  l2     3
#  k1     8  4
TRAIN = [("l1", "A", 1.0), ("l2", "A", 3.0), ("k1", "A", 8.0), ("l1", "B", 0.0), ("k1", "B", 4.0)]
#  l2 B: a pair that is new; k2: a new sample of a known tissue; b1: a new tissue; C: a new drug
ASKED = [("l2", "B"), ("k2", "A"), ("k2", "B"), ("b1", "A"), ("l1", "C"), ("b1", "C"), ("l1", "A")]


def table(rows: list[tuple[str, str, float]]) -> ResponseData:
    responses = pd.DataFrame(rows, columns=["sample", "drug", "response"])
    samples = pd.DataFrame({"tissue": TISSUE})
    return ResponseData(responses, None, samples, pd.DataFrame(index=["C", "B", "A"]))


EXPECTED = {
    "global_mean": [3.2] * 7,
    "drug_mean": [2.0, 4.0, 2.0, 4.0, 3.2, 3.2, 4.0],
    "cell_mean": [3.0, 3.2, 3.2, 3.2, 0.5, 3.2, 0.5],
    "tissue_mean": [4 / 3, 6.0, 6.0, 3.2, 4 / 3, 3.2, 4 / 3],
    "drug_tissue_mean": [0.0, 8.0, 4.0, 4.0, 3.2, 3.2, 2.0],
    # residuals from the drug means: lung -3 -1 -2, skin 4 2
    "drug_plus_tissue": [0.0, 7.0, 5.0, 4.0, 1.2, 3.2, 2.0],
    "drug_tissue_shrunken": [
        2 - 2 / (1 + SHRINKAGE),
        4 + 4 / (1 + SHRINKAGE),
        2 + 2 / (1 + SHRINKAGE),
        4.0,
        3.2,
        3.2,
        4 - 4 / (2 + SHRINKAGE),
    ],
}


def test_every_baseline_has_its_numbers_here():
    assert set(BASELINES) == {*EXPECTED, "mean_effects"}


@pytest.mark.parametrize("name", EXPECTED)
def test_by_hand(name):
    model = MODELS[name].make("LCO", 0).fit(table(TRAIN))
    asked = table([(s, d, 0.0) for s, d in ASKED])
    np.testing.assert_allclose(model.predict(asked), EXPECTED[name])


def test_mean_effects_by_hand():
    # B is below A by 1 in l1 and by 4 in k1: by 2.5 in both; l2 was measured once, so it is fitted exactly
    l1, l2, k1, b = 0.5 + 1.25, 3.0, 6.0 + 1.25, -2.5
    model = EffectsBaseline(samples=True).fit(table(TRAIN))
    asked = table([("l1", "A", 0.0), ("l2", "A", 0.0), ("l2", "B", 0.0), ("k1", "B", 0.0)])
    np.testing.assert_allclose(model.predict(asked), [l1, l2, l2 + b, k1 + b], atol=1e-6)
    # a stranger with a new drug is the mean of all
    assert model.predict(table([("b1", "C", 0.0)]))[0] == pytest.approx(3.2)


@pytest.mark.parametrize("name", BASELINES)
def test_no_baseline_reads_the_responses_it_predicts(name, screen):
    model = MODELS[name].make("LPO", 0).fit(screen.take(np.arange(300)))
    rest = screen.take(np.arange(300, len(screen)))
    predicted = model.predict(rest)
    assert predicted.shape == (len(rest),)
    assert np.isfinite(predicted).all()
    np.testing.assert_array_equal(model.predict(rest.as_question()), predicted)


@pytest.mark.parametrize("name", BASELINES)
def test_baselines_learn_from_all_rows_they_are_given(name, screen):
    with_validation = MODELS[name].make("LPO", 0).fit(screen, validation=np.arange(50)).predict(screen)
    np.testing.assert_array_equal(with_validation, MODELS[name].make("LPO", 0).fit(screen).predict(screen))


@pytest.mark.parametrize("make", [DrugTissueMean, DrugPlusTissue, lambda: EffectsBaseline(samples=False, tissue=True)])
def test_without_tissues_the_drug_mean_is_left(make: Callable[[], GroupMean], screen):
    bare = ResponseData(screen.responses, None, screen.samples[[]], screen.drugs)
    expected = GroupMean("drug").fit(bare).predict(bare)
    np.testing.assert_allclose(make().fit(bare).predict(bare), expected, atol=1e-12)


# --- choosing models ---------------------------------------------------------------------------------------------


def test_baselines_are_always_among_the_models():
    names = [spec.name for spec in chosen_models(["ridge"], "LCO")]
    assert names == [*BASELINES, "ridge"]
    everything = [spec.name for spec in chosen_models(None, "LDO")]
    assert set(BASELINES) < set(everything)
    assert "network" in everything
    assert "ridge" not in everything


def test_what_cannot_be_chosen_is_refused():
    with pytest.raises(ConfigurationError, match=r"no model 'rigde'; choose among .*ridge"):
        chosen_models(["rigde"], "LCO")
    with pytest.raises(ConfigurationError, match="'ridge' cannot predict under LDO"):
        chosen_models(["ridge"], "LDO")
