"""Ensembles of trees as arrays: the same bits as scikit-learn and XGBoost, through a bundle as well."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cellixir.estimator import Arrays
from cellixir.estimator.values import packed, unpacked
from cellixir.exceptions import BundleError
from cellixir.training.trees import BoostedTrees, Trees, ensemble, kept

SIZES: dict[str, dict[str, Any]] = {
    "random_forest": {"n_estimators": 7, "max_features": 0.5},
    "hist_gradient_boosting": {"max_iter": 9, "early_stopping": False},
    "xgboost": {"n_estimators": 9, "max_depth": 4},
}
kinds = pytest.mark.parametrize("kind", SIZES)


def rows(n: int = 300, seed: int = 0, *, gaps: bool = False) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 6)).astype(np.float32)
    x[rng.random(x.shape) < 0.1] = np.nan if gaps else 0.0
    return x


def target(x: np.ndarray) -> np.ndarray:
    return np.nan_to_num(x[:, 0]) * (np.nan_to_num(x[:, 1]) > 0) + np.nan_to_num(x[:, 2])


def grown(kind: str, *, classes: int = 0, gaps: bool = False) -> Any:
    if kind == "xgboost":
        pytest.importorskip("xgboost")
    x = rows(gaps=gaps)
    y = target(x)
    if classes:
        y = np.digitize(y, np.quantile(y, np.arange(1, classes) / classes))
    return ensemble(kind, 1, classes=bool(classes), **SIZES[kind]).fit(x, y)


@kinds
@pytest.mark.parametrize("gaps", [False, True])
def test_numbers_are_the_same_to_the_bit(kind: str, gaps: bool) -> None:
    model, new = grown(kind, gaps=gaps), rows(200, 1, gaps=gaps)
    np.testing.assert_array_equal(kept(model).predict(new), model.predict(new))


@kinds
@pytest.mark.parametrize("classes", [2, 3])
def test_probabilities_are_the_same_to_the_bit(kind: str, classes: int) -> None:
    model, new = grown(kind, classes=classes), rows(200, 1).astype(np.float64)
    np.testing.assert_array_equal(kept(model).predict_proba(new), model.predict_proba(new))


@kinds
def test_they_come_back_from_a_bundle(kind: str) -> None:
    trees, new = kept(grown(kind)), rows(50, 2)
    arrays: Arrays = {}
    again = unpacked(packed(trees, "trees", arrays), arrays)
    assert type(again) is type(trees)
    np.testing.assert_array_equal(again.predict(new), trees.predict(new))


def test_a_row_alone_is_predicted_as_among_others() -> None:
    trees, new = kept(grown("random_forest")), rows(5, 3)
    np.testing.assert_array_equal(np.concatenate([trees.predict(new[i : i + 1]) for i in range(5)]), trees.predict(new))


def test_trees_that_go_round_are_refused() -> None:
    trees: Trees = kept(grown("random_forest"))
    with pytest.raises(BundleError, match="do not fit 6 features"):
        replace(trees, left=np.zeros_like(trees.left), right=np.zeros_like(trees.right)).predict(rows(5))
    with pytest.raises(BundleError, match="do not fit 6 features"):
        replace(trees, feature=trees.feature + 6).predict(rows(5))


def test_a_name_from_a_bundle_is_not_looked_up_blindly() -> None:
    with pytest.raises(ValueError, match="'Booster' is no ensemble"):
        BoostedTrees("Booster", np.zeros(3, np.uint8)).predict(rows(2))


def test_a_regressor_of_another_kind_is_left_as_it_is() -> None:
    model = object()
    assert kept(model) is model
