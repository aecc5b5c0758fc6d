"""Cross-validation and grid search of any estimator, over splits of the package.

scikit-learn's tools index what they are given as arrays. A `ResponseData` is parted by its measurements and an AnnData
by its cells, and folds keep together what the question leaves out: so both are done here.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.model_selection import ParameterGrid

from cellixir import metrics
from cellixir.exceptions import ConfigurationError
from cellixir.runs.own import accepted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    Metric = str | Callable[[NDArray[Any], NDArray[Any]], float]

LOSSES = ("rmse", "mse", "mae")  # lower is better


class Part(NamedTuple):
    """Rows of one fold, by number."""

    learned: NDArray[np.int64]
    stop: NDArray[np.int64] | None  # places in ``learned`` on which a network stops
    test: NDArray[np.int64]


def cross_validate(
    estimator: Any, data: Any, folds: Iterable[Any], *, y: ArrayLike | None = None, metric: Metric = "rmse"
) -> pd.DataFrame:
    """Score of an estimator on the test rows of each fold; each fit is a clone that never sees them.

    Parameters
    ----------
    estimator
        Any model of the package, or any other with ``get_params``, ``fit`` and ``predict``.
    data
        `ResponseData`, AnnData, a DataFrame or an array: what its ``fit`` takes.
    folds
        Of `cellixir.data.splits.make_folds`, whose validation rows networks stop on, or pairs ``(train, test)``.
    y
        Target of each row, where ``data`` does not hold it.
    metric
        ``rmse``, ``mae``, ``r2``, ``pearson``, ``spearman``, ...; ``score``: the estimator's own ``score`` of the
        test rows; or a function of truth and prediction.

    Returns
    -------
    DataFrame
        ``fold, n_train, n_test, score, seconds``, one row a fold.

    Raises
    ------
    ConfigurationError
        If there is no such metric, no target to measure by, or a row is on two sides of a fold.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> x = np.arange(12.0)[:, None]
    >>> halves = [(np.arange(6), np.arange(6, 12)), (np.arange(6, 12), np.arange(6))]
    >>> cross_validate(Ridge(1e-6), x, halves, y=3 * x[:, 0])["score"].round(3).tolist()
    [0.0, 0.0]
    """
    truth = _target(data, y)  # for the judge alone: models are given rows of ``data`` that were asked for
    if truth is None and metric != "score":
        message = f"the metric {metric!r} compares with a target and there is none; give y, or metric='score'"
        raise ConfigurationError(message)
    rows = []
    for number, fold in enumerate(folds):
        part, start = _part(fold), time.perf_counter()
        model = _fitted(clone(estimator), data, None if y is None else np.asarray(y), part)
        score = _score(model, data, truth, y is not None, part.test, metric)
        seconds = time.perf_counter() - start
        rows.append((getattr(fold, "number", number), len(part.learned), len(part.test), score, seconds))
    return pd.DataFrame(rows, columns=["fold", "n_train", "n_test", "score", "seconds"])


def grid_search(
    estimator: Any,
    data: Any,
    folds: Iterable[Any],
    grid: Mapping[str, Sequence[Any]],
    *,
    y: ArrayLike | None = None,
    metric: Metric = "rmse",
    higher_is_better: bool | None = None,
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Best parameters over the folds, and the score of each combination in each fold.

    The folds have chosen: an honest score of the winner needs rows that stand in none of them.

    Parameters
    ----------
    estimator, data, folds, y, metric
        As for `cross_validate`.
    grid
        Values to try of each parameter.
    higher_is_better
        None: what the metric is known for; a function counts as a score.

    Returns
    -------
    tuple of dict and DataFrame
        The table has the columns of ``grid`` and those of `cross_validate`.

    Raises
    ------
    ConfigurationError
        As for `cross_validate`.
    ValueError
        If the estimator has no parameter of a name in ``grid``.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> x = np.arange(12.0)[:, None]
    >>> halves = [(np.arange(6), np.arange(6, 12)), (np.arange(6, 12), np.arange(6))]
    >>> best, table = grid_search(Ridge(), x, halves, {"alpha": [100.0, 0.01]}, y=3 * x[:, 0])
    >>> best, len(table)
    ({'alpha': 0.01}, 4)
    """
    tried, parts, means = list(ParameterGrid(dict(grid))), list(folds), []
    tables = []
    for parameters in tried:
        table = cross_validate(clone(estimator).set_params(**parameters), data, parts, y=y, metric=metric)
        means.append(float(table["score"].mean(skipna=False)))
        tables.append(table.assign(**{name: [value] * len(table) for name, value in parameters.items()}))
    higher = metric not in LOSSES if higher_is_better is None else higher_is_better
    worst = -np.inf if higher else np.inf
    judged = np.nan_to_num(np.array(means), nan=worst, posinf=np.inf, neginf=-np.inf)
    table = pd.concat(tables, ignore_index=True)
    return dict(tried[int(judged.argmax() if higher else judged.argmin())]), table[[*grid, *tables[0].columns[:5]]]


def taken(data: Any, rows: NDArray[np.int64]) -> Any:
    """Some rows of a container: measurements, cells, or rows of a table or array."""
    if hasattr(data, "as_question"):
        return data.take(rows)
    if hasattr(data, "obs_names"):
        return data[rows].copy()
    return data.iloc[rows] if hasattr(data, "iloc") else np.asarray(data)[rows]


def _target(data: Any, y: ArrayLike | None) -> NDArray[Any] | None:
    held = getattr(data, "response", None) if hasattr(data, "as_question") else None
    return held if y is None else np.asarray(y)


def _part(fold: Any) -> Part:
    if hasattr(fold, "validation"):
        learned = np.sort(np.concatenate([fold.train, fold.validation]))
        part = Part(learned, np.searchsorted(learned, np.sort(fold.validation)), np.asarray(fold.test))
    else:
        learned, test = (np.asarray(rows) for rows in fold)
        part = Part(learned, None, test)
    both = np.intersect1d(part.learned, part.test)
    if len(both):
        message = f"row {both[0]} is both learned from and tested on; make the folds again"
        raise ConfigurationError(message)
    return part


def _fitted(model: Any, data: Any, y: NDArray[Any] | None, part: Part) -> Any:
    target = [] if y is None else [y[part.learned]]
    return model.fit(taken(data, part.learned), *target, **accepted(model.fit, validation=part.stop))


def _score(
    model: Any, data: Any, truth: NDArray[Any] | None, beside: bool, rows: NDArray[np.int64], metric: Metric
) -> float:
    """Score on test rows; what is asked of ``predict`` holds no response."""
    asked = taken(data, rows)
    if metric == "score" or truth is None:
        return float(model.score(asked, truth[rows]) if beside and truth is not None else model.score(asked))
    predicted = np.asarray(model.predict(asked.as_question() if hasattr(asked, "as_question") else asked))
    if callable(metric):
        return float(metric(truth[rows], predicted))
    scores = metrics.score(truth[rows], predicted)
    if metric not in scores:
        message = f"there is no metric '{metric}'; choose one of {', '.join(scores)}, score, or give a function"
        raise ConfigurationError(message)
    return scores[metric]
