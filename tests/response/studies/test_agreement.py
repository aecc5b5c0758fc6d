from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cellixir.data.response_data import ResponseData
from cellixir.exceptions import InvalidValues
from cellixir.response.models.view_features import ViewFeatures
from cellixir.response.studies.agreement import agreement, agreement_words, unit_words

NANOMOLAR = np.log(1000)


def study(seed: int = 0, shift: float = 0.0, noise: float = 0.0, sign: float = 1.0) -> ResponseData:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(30, 6)) + np.linspace(-2, 2, 6)
    values = sign * truth + shift + noise * np.random.default_rng(seed).normal(size=truth.shape)
    rows = [(f"s{i}", f"d{j}", values[i, j]) for i in range(30) for j in range(6)]
    table = pd.DataFrame(rows, columns=["sample", "drug", "response"])
    return ResponseData.join(table, views={}, measure="LN_IC50", unit="ln µM")


def told(one: ResponseData, other: ResponseData) -> tuple[str, str]:
    found = agreement(one, other)
    assert found is not None
    return agreement_words(found), unit_words(one, other, found)


def test_a_constant_shift_is_named_and_is_no_perfect_agreement() -> None:
    words, unit = told(study(), study(shift=NANOMOLAR))
    assert "differ by a constant 6.908, near ln(1,000)" in words
    assert "they seem to be in nM where training has µM" in unit
    assert "--external-unit 'ln nM'" in unit


def test_the_same_measurements_agree_perfectly_and_two_laboratories_do_not() -> None:
    assert "agree perfectly" in told(study(), study())[0]
    assert told(study(), study(seed=1, noise=0.5)) == ("", "")
    assert "in nM" in told(study(), study(seed=1, noise=0.5, shift=NANOMOLAR))[1]


@pytest.mark.parametrize(("scale", "decimals"), [(1.0, 2), (0.1, 2)])
def test_a_copy_that_was_rounded_is_no_second_measurement(scale: float, decimals: int) -> None:
    one = study()
    values = one.responses["response"] * scale
    full, rounded = (
        ResponseData.join(one.responses.assign(response=v), views={}, measure="AUC")
        for v in (values, values.round(decimals))
    )
    assert "agree perfectly" in told(full, rounded)[0]
    assert told(study(), study(seed=1, noise=0.1))[0] == ""  # r .997 within a drug: no two laboratories, yet no copy


def test_responses_that_are_turned_round_are_named() -> None:
    assert "run against those of training" in told(study(), study(seed=1, noise=0.3, sign=-1))[1]


def test_features_on_another_scale_are_refused() -> None:
    logs = np.log2(1 + np.random.default_rng(0).lognormal(3, 1, (60, 20))).astype(np.float32)
    learned = ViewFeatures.fit(logs, [f"g{i}" for i in range(20)])
    learned.check_scale(logs[:5], "expression")
    with pytest.raises(InvalidValues, match=r"'expression' of the external study: \d+% of the values are more"):
        learned.check_scale(2 ** logs[:5] - 1, "expression", " of the external study")
