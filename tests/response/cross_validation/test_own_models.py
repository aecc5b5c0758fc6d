"""Models of one's own beside those of the list, from Python; the command line is in tests/cli."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import pytest

from cellixir.data.response_data import ResponseData
from cellixir.exceptions import ConfigurationError
from cellixir.response.cross_validation.models import BASELINES, chosen_models, kind_of, spec_of
from cellixir.response.cross_validation.run import benchmark
from cellixir.response.models.baselines import GroupMean


class Plain:
    """Predicts a number; nothing of scikit-learn, nor of this package."""

    def __init__(self, number: float = 0.0) -> None:
        self.number = number

    def fit(self, data: ResponseData) -> Self:
        self.n = len(data)
        return self

    def predict(self, data: ResponseData) -> np.ndarray:
        assert np.isnan(data.response).all()
        return np.full(len(data), self.number)


class Asking(Plain):
    """Takes what a benchmark has to give."""

    def __init__(self, split: str, seed: int) -> None:
        super().__init__(float(seed))
        self.split = split

    def fit(self, data: ResponseData, *, validation: Any = None) -> Self:
        assert len(validation) < len(data)
        return self


def test_models_join_by_a_name_as_a_class_and_as_an_instance(screen: ResponseData, tmp_path: Path) -> None:
    models = {"ridge": None, "zero": Plain(), "seven": Asking, "ours": GroupMean("tissue")}
    result = benchmark(screen, "LCO", tmp_path, models=models, n_folds=2, seed=7)
    assert set(result.overall["model"]) == {*BASELINES, *models}
    kinds = result.overall.set_index("model")["kind"]
    assert kinds[["ridge", "zero", "seven", "ours"]].tolist() == ["linear", "own", "own", "own"]
    long = pd.read_parquet(tmp_path / "predictions.parquet").pivot(
        index=["sample", "drug"], columns="model", values="predicted"
    )
    assert set(long["zero"]) == {0.0}
    assert set(long["seven"]) == {7.0}
    np.testing.assert_array_equal(long["ours"], long["tissue_mean"])


def test_what_was_found_before_an_edit_is_found_anew(
    screen: ResponseData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "edited_models.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    predicted = []
    for text in (MODULE, MODULE.replace("1.5", "2.5")):
        (tmp_path / "edited_models.py").write_text(text)
        sys.modules.pop("edited_models", None)
        benchmark(screen, "LCO", tmp_path / "out", models=["edited_models:Mine"], n_folds=2)
        long = pd.read_parquet(tmp_path / "out" / "predictions.parquet")
        predicted.append(set(long.loc[long["model"] == "edited_models:Mine", "predicted"]))
    assert predicted == [{1.5}, {2.5}]


MODULE = """
import numpy as np


class Mine:
    def fit(self, data):
        return self

    def predict(self, data):
        return np.full(len(data), 1.5)
"""


def test_names_are_told_apart() -> None:
    assert spec_of("network:conv1d").kind == "network"
    assert spec_of("cellixir.response.models.ridge:RidgePerDrug").kind == "own"
    assert [kind_of(name) for name in ("deep:gin", "mean_effects", "a:B", "zero")] == [
        "network",
        "baseline",
        "own",
        "own",
    ]
    assert [spec.name for spec in chosen_models([Plain, Asking], "LPO")[-2:]] == ["Plain", "Asking"]


@pytest.mark.parametrize(
    ("models", "says"),
    [
        (["no_such_module:Mine"], "'no_such_module:Mine' cannot be imported"),
        (["networks"], "no model 'networks'; choose among .*module:Class"),
        ({"ridge": Plain()}, "'ridge' is a model of the list; give yours another name"),
        ({"mine": 3}, "'mine' has no method fit and no method predict"),
    ],
)
def test_what_is_no_model_is_refused(models: Any, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        chosen_models(models, "LCO")
