"""Cross-validation and grid search over splits of the package: no test row reaches a fit, whatever the container."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score

from cellixir import VAE
from cellixir.data.response_data import ResponseData
from cellixir.data.splits import Fold, make_folds
from cellixir.exceptions import ConfigurationError
from cellixir.metrics import rmse
from cellixir.response.models.baselines import GroupMean
from cellixir.response.models.ridge import RidgePerDrug
from cellixir.response.network.architecture import Architecture
from cellixir.response.network.predictor import ResponsePredictor
from cellixir.runs.validation import cross_validate, grid_search
from cellixir.tables.models import TableRidge
from cellixir.training import TrainingConfig

COLUMNS = ["fold", "n_train", "n_test", "score", "seconds"]


@pytest.fixture(scope="module")
def screen(simulate_screen: Callable[..., Any]) -> ResponseData:
    data: ResponseData = simulate_screen(n_samples=40, n_drugs=6, n_features=12, n_targets=3, seed=2)[0]
    return data


@pytest.fixture(scope="module")
def folds(screen: ResponseData) -> list[Fold]:
    return make_folds(screen, "LCO", n_folds=3, seed=0)


class Watching(BaseEstimator):
    """Keeps all that it is shown, in a list that clones share."""

    seen: list[tuple[str, Any, Any]] = []  # noqa: RUF012

    def fit(self, X: Any, y: Any = None, *, validation: Any = None) -> Watching:
        self.seen.append(("fit", X, validation))
        return self

    def predict(self, X: Any) -> np.ndarray:
        self.seen.append(("predict", X, None))
        return np.zeros(len(X))


def test_test_rows_never_reach_a_fit_and_test_responses_no_model(screen: ResponseData, folds: list[Fold]) -> None:
    Watching.seen.clear()
    table = cross_validate(Watching(), screen, folds)
    assert table.columns.tolist() == COLUMNS
    assert [what for what, *_ in Watching.seen] == ["fit", "predict"] * 3
    for fold, (_, known, stop), (_, asked, _) in zip(folds, Watching.seen[::2], Watching.seen[1::2], strict=True):
        assert len(known) == len(fold.train) + len(fold.validation)
        assert not set(known.responses["sample"]) & set(asked.responses["sample"])
        assert np.isnan(asked.responses["response"]).all()
        held = known.take(stop).responses[["sample", "drug"]].to_numpy(str)
        assert (held == screen.take(np.sort(fold.validation)).responses[["sample", "drug"]].to_numpy(str)).all()
    assert table["score"].tolist() == pytest.approx([rmse(screen.response[f.test], f.test * 0.0) for f in folds])


def test_the_score_is_that_of_a_fit_by_hand(screen: ResponseData, folds: list[Fold]) -> None:
    by_hand = []
    for fold in folds:
        known, asked = screen.take(np.sort(np.concatenate([fold.train, fold.validation]))), screen.take(fold.test)
        by_hand.append(rmse(asked.response, RidgePerDrug().fit(known).predict(asked.as_question())))
    assert cross_validate(RidgePerDrug(), screen, folds)["score"].tolist() == by_hand


def test_a_network_is_searched_over_its_own_parameters(screen: ResponseData, folds: list[Fold]) -> None:
    shape = Architecture(latent=4, encoder=8, head=0, dropout=0.1, input_dropout=0.1)
    training = TrainingConfig(max_epochs=2, batch_size=128)
    model = ResponsePredictor("LCO", architecture=shape, training=training, members=1, device="cpu")
    grid = {"training__learning_rate": [1e-3, 1e-2], "architecture__linear": [True]}
    best, table = grid_search(model, screen, folds[:2], grid)
    assert table.columns.tolist() == [*grid, *COLUMNS]
    assert len(table) == 4
    means = table.groupby("training__learning_rate")["score"].mean()
    assert best == {"training__learning_rate": means.idxmin(), "architecture__linear": True}
    assert model.training == training
    assert not hasattr(model, "inputs_")
    again = cross_validate(model.set_params(**best), screen, folds[:2])["score"]
    assert again.mean() == means.min()


def test_cells_are_searched_by_the_models_own_score() -> None:
    rng = np.random.default_rng(0)
    cells = ad.AnnData(rng.poisson(2.0, (60, 12)).astype(np.float32))
    parts = [(np.arange(20, 60), np.arange(20)), (np.arange(40), np.arange(40, 60))]
    model = VAE(hidden=8, max_epochs=2)
    best, table = grid_search(model, cells, parts, {"latent": [2, 3]}, metric="score")
    assert best["latent"] == table.groupby("latent")["score"].mean().idxmax()
    by_hand = VAE(latent=2, hidden=8, max_epochs=2).fit(cells[20:].copy()).score(cells[:20].copy())
    assert table["score"].iloc[0] == by_hand


def test_a_table_gives_what_scikit_learn_gives() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(60, 4))
    y = x @ [1.0, -1.0, 0.5, 0.0] + rng.normal(size=60)
    parts = list(KFold(3).split(x))
    ours = cross_validate(Ridge(), x, parts, y=y)["score"]
    assert ours.to_numpy() == pytest.approx(
        -cross_val_score(Ridge(), x, y, cv=3, scoring="neg_root_mean_squared_error")
    )
    grid = {"alpha": [0.1, 1e3]}
    theirs = GridSearchCV(Ridge(), grid, cv=3, scoring="neg_root_mean_squared_error").fit(x, y)
    assert grid_search(Ridge(), x, parts, grid, y=y)[0] == theirs.best_params_
    frame = pd.DataFrame(x, columns=list("abcd"))
    by_function = cross_validate(
        TableRidge(), frame, parts, y=y, metric=lambda truth, told: float(np.ptp(truth - told))
    )
    assert (by_function["score"] > 0).all()


def test_the_direction_of_a_metric_decides_what_is_best(screen: ResponseData, folds: list[Fold]) -> None:
    grid = {"by": ["all", "drug"]}
    for metric in ("rmse", "r2"):
        assert grid_search(GroupMean(), screen, folds, grid, metric=metric)[0] == {"by": "drug"}
    worst = grid_search(GroupMean(), screen, folds, grid, metric=rmse)[0]  # a function counts as a score
    assert worst == {"by": "all"}
    assert grid_search(GroupMean(), screen, folds, grid, metric=rmse, higher_is_better=False)[0] == {"by": "drug"}


def test_a_score_that_is_no_number_never_wins(screen: ResponseData, folds: list[Fold]) -> None:
    def unless_constant(truth: np.ndarray, told: np.ndarray) -> float:
        return np.nan if np.ptp(told) == 0 else 1.0

    for higher in (True, False):
        grid = {"by": ["all", "drug"]}
        best, table = grid_search(GroupMean(), screen, folds, grid, metric=unless_constant, higher_is_better=higher)
        assert table["score"].isna().sum() == 3
        assert best == {"by": "drug"}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"metric": "accuracy"}, "no metric 'accuracy'; choose one of rmse"),
        ({"folds": [(np.arange(5), np.arange(4, 9))]}, "row 4 is both learned from and tested on"),
    ],
)
def test_what_cannot_be_scored_is_refused(screen: ResponseData, options: dict[str, Any], says: str) -> None:
    given = {"folds": [(np.arange(100), np.arange(100, 150))]} | options
    with pytest.raises(ConfigurationError, match=says):
        cross_validate(GroupMean(), screen, **given)


def test_cells_without_a_target_need_a_score() -> None:
    with pytest.raises(ConfigurationError, match="compares with a target and there is none; give y, or metric='score'"):
        cross_validate(VAE(), ad.AnnData(np.ones((9, 2), dtype=np.float32)), [])
