"""Models of any table, by name: naive baselines, linear models, trees, and the project's own network."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from sklearn.linear_model import LogisticRegression, Ridge, RidgeCV

from cellixir.exceptions import ConfigurationError
from cellixir.metrics.classification import log_loss
from cellixir.tables.baselines import TableGroupMean
from cellixir.tables.folds import inner_part
from cellixir.tables.goal import TaskName
from cellixir.tables.model import Stopping, TableModel
from cellixir.tables.network import TableNetwork
from cellixir.training.trees import ENSEMBLES, ensemble, kept

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellixir.tables.features import Rows
    from cellixir.tables.goal import Codes, Floats, Goal

PENALTIES = (0.001, 0.01, 0.1, 1.0, 10.0)
#: Leaves and features that a narrow table needs.
OPTIONS: dict[str, dict[str, Any]] = {
    "random_forest": {"n_estimators": 100, "min_samples_leaf": 2, "n_jobs": -1},
    "hist_gradient_boosting": {"max_iter": 150, "learning_rate": 0.1, "early_stopping": False},
    "xgboost": {
        "n_estimators": 200, "max_depth": 5, "learning_rate": 0.1, "subsample": 0.8, "colsample_bynode": 0.5
    },
}  # fmt: skip


@dataclass(frozen=True)
class Linear:
    """Linear model as a bundle holds it."""

    coef: NDArray[np.float64]
    intercept: NDArray[np.float64] | float

    def predict(self, x: Floats) -> Floats:
        """Number of each row."""
        return np.asarray(self._filled(Ridge()).predict(x))

    def predict_proba(self, x: Floats) -> Floats:
        """Probability of each class."""
        model = self._filled(LogisticRegression())
        model.classes_ = np.arange(max(2, len(self.coef)))
        return np.asarray(model.predict_proba(x))

    def _filled(self, model: Any) -> Any:
        model.coef_, model.intercept_, model.n_features_in_ = self.coef, self.intercept, self.coef.shape[-1]
        return model


class Estimated(TableModel):
    """A regressor or classifier of scikit-learn's kind."""

    def _learn(self, goal: Goal, rows: Rows, y: Floats, stopping: Stopping) -> None:
        """Classes that no training row has get the probability 0."""
        seen, code = np.unique(y, return_inverse=True) if goal.classes else (np.empty(0), y)
        self.seen_: Codes = seen.astype(np.int64)
        x = rows.x.astype(np.float64)
        self.model_: Any = self._fitted(goal, x, code, rows) if len(seen) != 1 else None

    def _fitted(self, goal: Goal, x: Floats, y: Any, rows: Rows) -> Any:
        """Fitted model that a bundle can hold, with ``predict`` or ``predict_proba``."""
        raise NotImplementedError

    def _predicted(self, rows: Rows) -> Floats:
        """Numbers or probabilities, shape ``(n, width)``."""
        x = rows.x.astype(np.float64)
        if not self.goal_.classes:
            return np.asarray(self.model_.predict(x), dtype=np.float64).reshape(-1, 1)
        told = np.zeros((len(x), self.goal_.width))
        told[:, self.seen_] = 1.0 if self.model_ is None else self.model_.predict_proba(x)
        return np.asarray(told / told.sum(axis=1, keepdims=True))  # float32 probabilities do not add up to 1 exactly


class TableRidge(Estimated):
    """Ridge regression; the penalty by leave-one-out error."""

    def _fitted(self, goal: Goal, x: Floats, y: Any, rows: Rows) -> Linear:
        if goal.classes:
            message = "ridge regression predicts numbers; use TableLogistic for classes"
            raise ConfigurationError(message)
        model = RidgeCV(alphas=np.logspace(-2, 5, 15)).fit(x, y)
        return Linear(model.coef_, model.intercept_)


class TableLogistic(Estimated):
    """Logistic regression; the penalty by the log loss on a fifth of the training rows."""

    def _fitted(self, goal: Goal, x: Floats, y: Any, rows: Rows) -> Linear:
        """Choose the penalty on rows held out, then learn from all."""
        if not goal.classes:
            message = "logistic regression predicts classes; use TableRidge for numbers"
            raise ConfigurationError(message)
        out, kinds = (
            inner_part(self.seen_[y].astype(np.float64), goal, self.seed, rows.groups, parts=5),
            len(self.seen_),
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a penalty too weak to converge is judged by its loss like the others
            losses = []
            for c in PENALTIES if len(np.unique(y[~out])) == kinds and out.any() else ():
                p = LogisticRegression(C=c, max_iter=300).fit(x[~out], y[~out]).predict_proba(x[out])
                truth = np.eye(kinds)[y[out]]
                losses.append(sum(log_loss(truth[:, i], p[:, i]) for i in range(kinds)))
            best = PENALTIES[int(np.argmin(losses))] if losses else 1.0
            model = LogisticRegression(C=best, max_iter=1000).fit(x, y)
        return Linear(model.coef_, model.intercept_)


class TableTrees(Estimated):
    """Ensemble of trees.

    Parameters
    ----------
    kind
        ``random_forest``, ``hist_gradient_boosting`` or ``xgboost``.
    """

    def __init__(
        self,
        kind: str = "random_forest",
        task: TaskName = "regression",
        *,
        classes: Sequence[str] = (),
        preprocess: str = "",
        seed: int = 0,
    ) -> None:
        self.kind = kind
        super().__init__(task, classes=classes, preprocess=preprocess, seed=seed)

    def check_parameters(self) -> None:
        """Refuse an unknown ensemble."""
        super().check_parameters()
        if self.kind not in ENSEMBLES:
            message = f"there is no ensemble '{self.kind}'; choose one of {', '.join(ENSEMBLES)}"
            raise ConfigurationError(message)

    def _fitted(self, goal: Goal, x: Floats, y: Any, rows: Rows) -> Any:
        options = dict(OPTIONS[self.kind])
        if self.kind == "random_forest":
            options["max_features"] = "sqrt" if goal.classes else 1 / 3
        return kept(ensemble(self.kind, self.seed, classes=bool(goal.classes), **options).fit(x, y))


class Spec(NamedTuple):
    """What a model is, how it is made for a goal, a chain and a seed, and for which tasks."""

    kind: Literal["baseline", "linear", "tree", "network"]
    build: Callable[..., TableModel]
    tasks: tuple[TaskName, ...] = ("regression", "classification")

    def make(self, goal: Goal, seed: int, preprocess: str = "") -> TableModel:
        """A new model."""
        return self.build(task=goal.task, classes=goal.classes, preprocess=preprocess, seed=seed)


MODELS: dict[str, Spec] = {
    "mean": Spec("baseline", partial(TableGroupMean, grouped=False), ("regression",)),
    "majority": Spec("baseline", partial(TableGroupMean, grouped=False), ("classification",)),
    "group_mean": Spec("baseline", TableGroupMean),
    "ridge": Spec("linear", TableRidge, ("regression",)),
    "logistic": Spec("linear", TableLogistic, ("classification",)),
    "random_forest": Spec("tree", partial(TableTrees, "random_forest")),
    "hist_gradient_boosting": Spec("tree", partial(TableTrees, "hist_gradient_boosting")),
    "xgboost": Spec("tree", partial(TableTrees, "xgboost")),
    "network": Spec("network", TableNetwork),
}


def chosen_models(names: Sequence[str] | None, task: TaskName) -> list[str]:
    """Models to run: the baselines always, then ``names`` (None: all that can run here).

    Raises
    ------
    ConfigurationError
        If there is no such model for the task.
    """
    known = [name for name, spec in MODELS.items() if task in spec.tasks]
    unknown = [name for name in names or () if name not in known]
    if unknown:
        message = f"there is no model '{unknown[0]}' for a {task} of a table; choose among {', '.join(known)}"
        raise ConfigurationError(message)
    wanted = names or [name for name in known if name != "xgboost" or find_spec("xgboost")]
    return [name for name in known if name in wanted or MODELS[name].kind == "baseline"]
