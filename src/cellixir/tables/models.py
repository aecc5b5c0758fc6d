"""Models of any table: naive baselines, linear models, trees, and the project's own network.

All predict a matrix: one column for a regression, the probability of each class for a classification.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib.util import find_spec
from typing import Any, Literal, NamedTuple, Protocol, Self

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.preprocessing import OneHotEncoder
from torch import Tensor, nn
from torch.nn import functional

from cellixir.data.preprocess.chain import Preprocess
from cellixir.data.preprocess.grammar import chains_of_views, parse_preprocess
from cellixir.exceptions import ConfigurationError, InvalidValues, MissingExtra
from cellixir.metrics.classification import log_loss
from cellixir.nn import DenseEncoder, Dropout
from cellixir.training import Task, TrainingConfig, derived_seed, pick_device, train

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
TaskName = Literal["regression", "classification"]

MAX_LEVELS = 30  # one-hot columns of a category; its rarest levels share the last one
REACH = 0.5  # of the training range: how far beyond it a feature may lie
SHRINK = 1.0  # pseudo-rows with the mean of all, in the mean of a group
ROWS_A_LEVEL = 5  # a column of whole numbers with as many rows a value may be a category in disguise
PENALTIES = (0.001, 0.01, 0.1, 1.0, 10.0)
MEMBERS, HIDDEN = 3, (256, 64)
FORWARD_ROWS = 1 << 16


@dataclass(frozen=True)
class Goal:
    """What is predicted: a number, or one of ``classes`` (the target is then their position)."""

    task: TaskName
    classes: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        """Columns of a prediction."""
        return max(1, len(self.classes))

    def columns(self, y: Floats) -> Floats:
        """Target as a prediction would be: numbers, or 1 for the class of the row, shape ``(n, width)``."""
        return np.eye(self.width)[y.astype(np.int64)] if self.classes else y[:, None]


class Rows(NamedTuple):
    """Rows as the models read them: features, the columns they came from, and what must stay together."""

    x: NDArray[np.float32]
    table: pd.DataFrame
    groups: Codes | None = None


def deal(n: int, k: int, seed: int, strata: Codes | None = None, groups: Codes | None = None) -> Codes:
    """Number of the fold of each row, shape ``(n,)``: folds of equal size, and equal shares of ``strata`` in each.

    Rows of one of ``groups`` come into one fold: the largest group first, each to the fold that it fills most evenly.
    """
    rng = np.random.default_rng(seed)
    fold = np.empty(n, dtype=np.int64)
    kinds = np.zeros(n, dtype=np.int64) if strata is None else np.unique(strata, return_inverse=True)[1]
    if groups is None:
        order = rng.permutation(n)
        fold[order[np.argsort(kinds[order], kind="stable")]] = np.arange(n) % k
        return fold
    code = np.unique(groups, return_inverse=True)[1]
    counts = np.zeros((code.max() + 1, kinds.max() + 1))
    np.add.at(counts, (code, kinds), 1.0)
    order = rng.permutation(len(counts))
    filled, where, share = np.zeros((k, counts.shape[1])), np.empty(len(counts), np.int64), counts.sum(axis=0)
    for group in order[np.argsort(-counts[order].sum(axis=1), kind="stable")]:
        crowding = ((2 * filled + counts[group]) * counts[group] / share).sum(axis=1)
        where[group] = np.lexsort((filled.sum(axis=1), crowding))[0]
        filled[where[group]] += counts[group]
    return where[code]


class TableFeatures:
    """Numbers through a chain of `Preprocess`, categories one-hot; both learned from training rows.

    A level that was not seen in training is all zeros; a missing category is a level of its own. A number is held to
    the training range and half of it more on each side: a line through an id or a date must not run on for ever.
    """

    def __init__(self, goal: Goal, preprocess: str = "", seed: int = 0) -> None:
        self.goal = goal
        self.preprocess = preprocess
        self.seed = seed

    def fit(self, table: pd.DataFrame, y: Floats) -> Self:
        """Learn from training rows; a number that does not vary among them is left out."""
        numbers = table.select_dtypes("number")
        self.numbers_ = [str(name) for name in numbers if numbers[name].nunique() > 1]
        self.categories_ = [name for name in table if name not in numbers]
        if not self.numbers_ and not self.categories_:
            message = f"no column varies among {len(table):,} training rows; take fewer folds, or more rows"
            raise InvalidValues(message)
        steps = chain_of(self.preprocess)
        self.chain_ = Preprocess(steps, task=self.goal.task, seed=self.seed) if self.numbers_ else None
        self.encoder_ = OneHotEncoder(
            handle_unknown="ignore", max_categories=MAX_LEVELS, min_frequency=2, sparse_output=False, dtype=np.float32
        )
        self.names_: list[str] = []
        if self.chain_ is not None:
            self.names_ += self.chain_.fit(table[self.numbers_].to_numpy(np.float64), self.numbers_, y).names_
        if self.categories_:
            self.names_ += list(self.encoder_.fit(self._words(table)).get_feature_names_out(self.categories_))
        x = self._matrix(table)
        room = REACH * (x.max(axis=0) - x.min(axis=0))
        self.low_, self.high_ = x.min(axis=0) - room, x.max(axis=0) + room
        return self

    def transform(self, table: pd.DataFrame) -> NDArray[np.float32]:
        """Features of rows, shape ``(n, len(names_))``."""
        return np.clip(self._matrix(table), self.low_, self.high_)

    def _matrix(self, table: pd.DataFrame) -> NDArray[np.float32]:
        parts = [] if self.chain_ is None else [self.chain_.transform(table[self.numbers_].to_numpy(np.float64))]
        if self.categories_:
            parts.append(self.encoder_.transform(self._words(table)))
        return np.hstack(parts).astype(np.float32)

    def _words(self, table: pd.DataFrame) -> NDArray[np.object_]:
        return table[self.categories_].astype(object).fillna("(missing)").to_numpy(object)


def chain_of(preprocess: str) -> Any:
    """Steps for the numbers of a table, as ``--preprocess`` says them.

    Raises
    ------
    ConfigurationError
        If a step is unknown, or the chain is for a view.
    """
    return chains_of_views(parse_preprocess(preprocess) if preprocess.strip() else {}, ["numbers"])["numbers"]


class TableModel(Protocol):
    """What every model of a table can do."""

    def fit(self, rows: Rows, y: Floats) -> object:
        """Learn from training rows."""
        ...

    def predict(self, rows: Rows) -> Floats:
        """Prediction of each row, shape ``(n, width)``."""
        ...


class GroupMean:
    """Mean of the rows with the same value of one column, shrunk towards the mean of all.

    The column is the category (or whole number with few values) with the smallest squared leave-one-out error; where
    none beats the mean of all rows, that is predicted. Of classes it is their shares, and their most frequent one.
    """

    def __init__(self, goal: Goal, *, grouped: bool) -> None:
        self.goal = goal
        self.grouped = grouped

    def fit(self, rows: Rows, y: Floats) -> Self:
        """Choose the column and average."""
        target = self.goal.columns(y)
        self.mean_ = target.mean(axis=0)
        self.column_, self.levels_, self.means_ = None, pd.Index([]), np.empty((0, self.goal.width))
        least = float(np.square((target - self.mean_) * len(y) / max(len(y) - 1, 1)).sum())
        for name in candidates(rows.table) if self.grouped else []:
            code, levels = pd.factorize(rows.table[name])
            sums, n = (np.zeros((len(levels) + 1, w)) for w in (self.goal.width, 1))  # the last is for what is missing
            np.add.at(sums, code, target)
            np.add.at(n, code, 1.0)
            without = (sums[code] - target + SHRINK * self.mean_) / (n[code] - 1 + SHRINK)
            error = float(np.square(target - without).sum())
            if error < least:
                least, self.column_, self.levels_ = error, name, pd.Index(levels)
                self.means_ = ((sums + SHRINK * self.mean_) / (n + SHRINK))[:-1]
        return self

    def predict(self, rows: Rows) -> Floats:
        """Mean of each row's group; the mean of all where the value is new or missing."""
        means = np.vstack([self.means_, self.mean_])  # -1, not found, is the last
        found = np.full(len(rows.table), -1)
        if self.column_ is not None:
            found = self.levels_.get_indexer(pd.Index(rows.table[self.column_]))
        return np.asarray(means[found])


def candidates(table: pd.DataFrame) -> list[str]:
    """Columns that may part the rows: categories, and whole numbers with several rows a value."""
    words = [str(name) for name in table if not pd.api.types.is_numeric_dtype(table[name])]
    numbers = [str(name) for name in table if name not in words and ROWS_A_LEVEL * table[name].nunique() <= len(table)]
    return words + [name for name in numbers if not (table[name].dropna() % 1).any()]


class Estimated:
    """A regressor or classifier of scikit-learn's kind."""

    def __init__(self, goal: Goal, make: Callable[[], Any]) -> None:
        self.goal = goal
        self.make = make

    def fit(self, rows: Rows, y: Floats) -> Self:
        """Learn; classes that no training row has get the probability 0."""
        seen, code = np.unique(y, return_inverse=True) if self.goal.classes else (np.empty(0), y)
        self.seen_: Codes = seen.astype(np.int64)
        self.model_: Any = self._fitted(rows.x.astype(np.float64), code) if len(seen) != 1 else None
        return self

    def _fitted(self, x: Floats, y: Any) -> Any:
        model = self.make().fit(x, y)
        if getattr(model, "n_jobs", None) is not None:
            model.n_jobs = 1  # threads would add up the trees of a forest in any order
        return model

    def predict(self, rows: Rows) -> Floats:
        """Numbers or probabilities, shape ``(n, width)``."""
        x = rows.x.astype(np.float64)
        if not self.goal.classes:
            return np.asarray(self.model_.predict(x), dtype=np.float64).reshape(-1, 1)
        told = np.zeros((len(x), self.goal.width))
        told[:, self.seen_] = 1.0 if self.model_ is None else self.model_.predict_proba(x)
        return np.asarray(told / told.sum(axis=1, keepdims=True))  # float32 probabilities do not add up to 1 exactly


class Logistic(Estimated):
    """Logistic regression; the penalty by the log loss on a fifth of the training rows."""

    def __init__(self, goal: Goal, seed: int) -> None:
        super().__init__(goal, lambda: None)
        self.seed = seed

    def fit(self, rows: Rows, y: Floats) -> Self:
        """Choose the penalty on rows held out, then learn from all."""
        self._held_out = inner_part(rows, y, self.goal, self.seed, parts=5)
        return super().fit(rows, y)

    def _fitted(self, x: Floats, y: Any) -> Any:
        from sklearn.linear_model import LogisticRegression

        out, kinds = self._held_out, len(np.unique(y))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a penalty too weak to converge is judged by its loss like the others
            losses = []
            for c in PENALTIES if len(np.unique(y[~out])) == kinds and out.any() else ():
                p = LogisticRegression(C=c, max_iter=300).fit(x[~out], y[~out]).predict_proba(x[out])
                truth = np.eye(kinds)[y[out]]
                losses.append(sum(log_loss(truth[:, i], p[:, i]) for i in range(kinds)))
            best = PENALTIES[int(np.argmin(losses))] if losses else 1.0
            return LogisticRegression(C=best, max_iter=1000).fit(x, y)


def inner_part(rows: Rows, y: Floats, goal: Goal, seed: int, *, parts: int = 10, number: int = 0) -> NDArray[np.bool_]:
    """Which rows are held out of training to stop or choose by: part ``number`` of about ``parts`` equal ones."""
    n_units = len(y) if rows.groups is None else len(np.unique(rows.groups))
    groups = rows.groups if n_units > 1 else None
    k = min(parts, n_units if groups is not None else len(y))
    fold = deal(len(y), k, seed, y.astype(np.int64) if goal.classes else None, groups)
    return np.asarray(fold == number % k)


class Network:
    """Committee of ``MEMBERS`` dense networks, each stopped on a tenth of the training rows of its own.

    Attributes
    ----------
    history_ : DataFrame
        ``member, epoch, train_loss, validation_loss, ...``; mean squared error of the standardised target, or cross
        entropy in nats.
    """

    def __init__(self, goal: Goal, seed: int) -> None:
        self.goal = goal
        self.seed = seed

    def fit(self, rows: Rows, y: Floats) -> Self:
        """Train the members."""
        self.shift_, self.scale_ = (0.0, 1.0) if self.goal.classes else (float(y.mean()), float(y.std()) or 1.0)
        device = pick_device()
        x = torch.from_numpy(rows.x).to(device)
        target = torch.from_numpy((y - self.shift_) / self.scale_).to(device)
        target = target.long() if self.goal.classes else target.float()
        self.members_, history = [], []
        config = TrainingConfig(max_epochs=60, batch_size=min(2048, max(32, len(y) // 20)), learning_rate=2e-3,
                                patience=15, precision="full")  # fmt: skip
        for number in range(MEMBERS):
            out = torch.from_numpy(inner_part(rows, y, self.goal, self.seed, number=number)).to(device)
            seed = derived_seed(self.seed, number)
            task = RowTask(network(x.shape[1], self.goal.width, seed).to(device), (x, target), out)
            history += [{"member": number, **asdict(epoch)} for epoch in train(task, config, seed=seed)]
            self.members_.append(task.network)
        self.history_ = pd.DataFrame(history)
        return self

    def predict(self, rows: Rows) -> Floats:
        """Mean of the members' numbers or probabilities."""
        x = torch.from_numpy(rows.x).to(next(self.members_[0].parameters()).device)
        with torch.inference_mode():
            told = torch.stack([torch.cat([m(b) for b in torch.split(x, FORWARD_ROWS)]) for m in self.members_])
            told = told.double()
            mean = (told.softmax(dim=2) if self.goal.classes else told * self.scale_ + self.shift_).mean(dim=0)
        return np.asarray(mean.cpu().numpy(), dtype=np.float64)


def network(n_features: int, width: int, seed: int) -> nn.Module:
    """Two hidden layers."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        encoder = DenseEncoder(n_features, *HIDDEN, dropout=0.1, input_dropout=0.0)
        return nn.Sequential(encoder, nn.ReLU(), Dropout(0.1), nn.Linear(HIDDEN[1], width))


class RowTask(Task):
    """Rows of a table for the training loop: squared error of one number, or cross entropy of classes."""

    def __init__(self, network: nn.Module, rows: tuple[Tensor, Tensor], held_out: Tensor) -> None:
        self.network = network
        self.train, self.validation = ((rows[0][part], rows[1][part]) for part in (~held_out, held_out))

    def n_batches(self, config: TrainingConfig) -> int:
        """Steps an epoch."""
        return -(-len(self.train[1]) // config.batch_size)

    def batches(self, config: TrainingConfig, generator: torch.Generator) -> Iterator[Tensor]:
        """Row numbers in random order."""
        yield from torch.split(torch.randperm(len(self.train[1]), generator=generator), config.batch_size)

    def loss(self, batch: Tensor) -> Tensor:
        """Loss of one batch."""
        return self._loss(self.network(self.train[0][batch]), self.train[1][batch])

    def _loss(self, told: Tensor, target: Tensor) -> Tensor:
        if target.is_floating_point():
            return functional.mse_loss(told[:, 0], target)
        return functional.cross_entropy(told, target)

    def validation_loss(self) -> float:
        """Loss on the rows held out."""
        return float(self._loss(self.network(self.validation[0]), self.validation[1]))


def _trees(kind: str, goal: Goal, seed: int) -> Estimated:
    """Ensembles of trees as in ``response.trees``, with the leaves and features that a narrow table needs."""
    suffix = "Classifier" if goal.classes else "Regressor"
    options: dict[str, Any] = {"random_state": seed}
    if kind == "RandomForest":
        import sklearn.ensemble as source

        share = "sqrt" if goal.classes else 1 / 3
        options |= {"n_estimators": 100, "max_features": share, "min_samples_leaf": 2, "n_jobs": -1}
    elif kind == "HistGradientBoosting":
        import sklearn.ensemble as source

        options |= {"max_iter": 150, "learning_rate": 0.1, "early_stopping": False}
    else:
        try:
            import xgboost as source
        except ImportError as error:
            message = "the model 'xgboost' needs its extra: pip install 'cellixir[boost]'"
            raise MissingExtra(message) from error
        options |= {"n_estimators": 200, "max_depth": 5, "learning_rate": 0.1, "subsample": 0.8}
        options |= {"colsample_bynode": 0.5, "tree_method": "hist"}
    return Estimated(goal, partial(getattr(source, kind + suffix), **options))


def _ridge(goal: Goal, seed: int) -> Estimated:
    from sklearn.linear_model import RidgeCV

    return Estimated(goal, partial(RidgeCV, alphas=np.logspace(-2, 5, 15)))


class Spec(NamedTuple):
    """What a model is, how it is made for a goal and a seed, and for which tasks."""

    kind: Literal["baseline", "linear", "tree", "network"]
    make: Callable[[Goal, int], TableModel]
    tasks: tuple[TaskName, ...] = ("regression", "classification")


MODELS: dict[str, Spec] = {
    "mean": Spec("baseline", lambda goal, seed: GroupMean(goal, grouped=False), ("regression",)),
    "majority": Spec("baseline", lambda goal, seed: GroupMean(goal, grouped=False), ("classification",)),
    "group_mean": Spec("baseline", lambda goal, seed: GroupMean(goal, grouped=True)),
    "ridge": Spec("linear", _ridge, ("regression",)),
    "logistic": Spec("linear", Logistic, ("classification",)),
    "random_forest": Spec("tree", partial(_trees, "RandomForest")),
    "hist_gradient_boosting": Spec("tree", partial(_trees, "HistGradientBoosting")),
    "xgboost": Spec("tree", partial(_trees, "XGB")),
    "network": Spec("network", Network),
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
