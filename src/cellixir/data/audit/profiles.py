"""Samples with nearly the same values, and features that follow the responses, by calls or by correlation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellixir.data.response_data import ResponseData

MIN_LINES = 20  # below that, a perfect correlation is no evidence
#: Classes of a text that are looked at, and samples outside the largest of them.
MOST_CLASSES, FEWEST = 10, 5
#: Last columns of `response_matrix`, in words.
OVER_DRUGS = (
    "all drugs, on average", "all drugs, in the median", "all drugs, as a plain mean", "all drugs, as a plain median",
)  # fmt: skip
NEAR, SAME = 0.95, 0.99  # correlation of two profiles, features standardised: said, refused
MIN_FEATURES = 50  # of a view of numbers, for its correlations to count
SAME_CALLS, MIN_INFORMATION = 0.95, 30.0  # Jaccard index of two samples' rare calls; information in these, in nats
MIN_SAMPLES = 10
_MOST_CALLS = 10  # distinct values of a view of calls, such as 0 and 1
_MOST_PAIRS = 20  # near pairs a sample, from which a view cannot tell samples apart
_PEEK = 20  # features that are looked at before the others, to tell calls from numbers
_Block = tuple[int, "NDArray[np.bool_]", "NDArray[np.bool_]"]  # first row, which are near, which of these tell much


def near_pairs(values: NDArray[np.float32]) -> list[tuple[int, int, int]] | None:
    """Pairs of rows that are nearly the same: ``(i, j, 2 * (that tells something) + (they are identical))``.

    None if so many are that the view cannot tell samples apart.
    """
    calls = np.unique(values[:, :_PEEK])
    calls = np.unique(values) if len(calls) <= _MOST_CALLS else calls
    calls = calls[~np.isnan(calls)]
    found: list[tuple[int, int, int]] = []
    for start, near, telling in _same_calls(values, calls) if len(calls) <= _MOST_CALLS else _correlated(values):
        pairs = np.argwhere(np.triu(near, start + 1))
        if len(pairs) + len(found) > _MOST_PAIRS * len(values):
            return None
        for i, j in pairs:
            difference = values[start + i] - values[j]  # NaN where one of them is missing
            identical = not np.nan_to_num(difference).any()
            found.append((int(start + i), int(j), 2 * bool(telling[i, j]) + identical))
    return found


def _same_calls(values: NDArray[np.float32], calls: NDArray[np.float32]) -> Iterator[_Block]:
    """Blocks of rows x all rows: rare calls in common, weighted by how rare they are (Jaccard index)."""
    masks = [values == call for call in calls]
    usual = np.argmax([mask.sum(axis=0) for mask in masks], axis=0)
    rare = [mask & (usual != number) for number, mask in enumerate(masks)]
    weights = [-np.log(np.maximum(mask.mean(axis=0), 1 / len(values))).astype(np.float32) for mask in rare]
    total = sum((mask @ weight for mask, weight in zip(rare, weights, strict=True)), np.zeros(len(values), np.float32))
    for rows in _blocks(len(values)):
        common = np.zeros((len(total[rows]), len(total)), dtype=np.float32)
        for mask, weight in zip(rare, weights, strict=True):
            common += (mask[rows] * weight) @ mask.T.astype(np.float32)
        near = common >= SAME_CALLS * (total[rows, None] + total - common) - 1e-4
        yield rows.start, near, common >= MIN_INFORMATION


def _correlated(values: NDArray[np.float32]) -> Iterator[_Block]:
    """Blocks of rows x all rows: correlation of the rows, each feature standardised first."""
    scaled, _ = _centred(values.astype(np.float64))
    if scaled.any(axis=0).sum() < MIN_FEATURES or len(values) < MIN_SAMPLES:
        yield from _identical(values)
        return
    scaled -= scaled.mean(axis=1, keepdims=True)
    scaled /= np.maximum(np.linalg.norm(scaled, axis=1, keepdims=True), 1e-12)
    for rows in _blocks(len(values)):
        correlation = scaled[rows] @ scaled.T
        yield rows.start, correlation >= NEAR, correlation >= SAME


def _identical(values: NDArray[np.float32]) -> Iterator[_Block]:
    """Blocks of rows x all rows: the same values, and whether these are rare enough to tell something."""
    codes = pd.factorize(np.array([row.tobytes() for row in values + np.float32(0)], dtype=object))[0]
    share = pd.DataFrame(values).apply(lambda feature: feature.map(feature.value_counts(normalize=True)))
    information = -np.log(share).sum(axis=1).to_numpy()
    for rows in _blocks(len(values)):
        near = codes[rows, None] == codes
        yield rows.start, near, near & (information >= MIN_INFORMATION)


def _blocks(n: int, size: int = 1000) -> Iterator[slice]:
    return (slice(start, min(start + size, n)) for start in range(0, n, size))


def response_matrix(data: ResponseData) -> NDArray[np.float64]:
    """Mean response of samples to drugs, and over all drugs what `OVER_DRUGS` names; NaN: none."""
    shape = len(data.samples), len(data.drugs)
    cells = data.sample_index * shape[1] + data.drug_index
    count = np.bincount(cells, minlength=shape[0] * shape[1])
    total = np.bincount(cells, data.response, minlength=len(count))
    matrix = np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0).reshape(shape)
    table = pd.DataFrame(matrix)
    apart = table - table.mean()
    over = (apart.mean(axis=1), apart.median(axis=1), table.mean(axis=1), table.median(axis=1))
    return np.column_stack([matrix, *over])


def is_cut(classes: NDArray[np.int64], response: NDArray[np.float64]) -> bool:
    """Whether classes (-1: none) of at least `MIN_LINES` samples are stretches of their sorted responses."""
    known = np.flatnonzero((classes >= 0) & ~np.isnan(response))
    codes = classes[known[np.argsort(response[known], kind="stable")]]
    if len(codes) < MIN_LINES or np.bincount(codes).max(initial=0) > len(codes) - FEWEST:
        return False
    return int((np.diff(codes) != 0).sum()) + 1 == len(np.unique(codes)) <= MOST_CLASSES


def numeric_blocks(data: ResponseData) -> Iterator[tuple[str, list[str], NDArray[np.float64]]]:
    """Blocks of numeric columns of views and annotation, rows in the order of the samples."""
    table = data.samples.select_dtypes([np.number])
    if table.shape[1]:
        yield "samples", [str(c) for c in table], table.to_numpy(np.float64)
    for name, view in data.views.items():
        rows = view.obs_names.get_indexer(data.samples.index)
        for columns in _blocks(view.n_vars, 2000):
            values = np.vstack([dense(view.X[:, columns]), np.full((1, columns.stop - columns.start), np.nan)])
            yield name, [str(v) for v in view.var_names[columns]], values[rows].astype(np.float64)  # -1: the NaN


def dense(values: Any) -> NDArray[np.float32]:
    """Values of a view, sparse or not, as a matrix."""
    return np.asarray(values.toarray() if hasattr(values, "toarray") else values, dtype=np.float32)


def squared_correlation(left: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float32]:
    """Squared Pearson correlation of each column with each other one over the rows where both are known."""
    (x, of_x), (y, of_y) = _centred(left), _centred(right)
    n = of_x.T @ of_y
    with np.errstate(invalid="ignore", divide="ignore"):
        sx, sy = x.T @ of_y, of_x.T @ y
        covariance = x.T @ y - sx * sy / n
        variances = ((x**2).T @ of_y - sx**2 / n) * (of_x.T @ y**2 - sy**2 / n)
        r2 = np.where((n >= MIN_LINES) & (variances > 1e-6 * n**2), covariance**2 / variances, 0.0)
    return np.asarray(r2, dtype=np.float32)


def _centred(values: NDArray[np.float64]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Columns with mean 0 and SD 1, missing as 0; and what is known, as 1."""
    known = ~np.isnan(values)
    n = np.maximum(known.sum(axis=0), 1)
    centred = np.where(known, values - np.nansum(values, axis=0) / n, 0.0)
    scale = np.sqrt((centred**2).sum(axis=0) / n)
    return (centred / np.where(scale > 0, scale, 1.0)).astype(np.float32), known.astype(np.float32)


def follows(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[float, int]:
    """Larger of the squared Pearson and Spearman correlations, and the number of rows with both.

    The response farthest from the others is left out: alone it can make any feature that is high there follow it.
    """
    both = pd.DataFrame({"x": x, "y": y}).dropna()
    rest = both.drop(index=(both["y"] - both["y"].median()).abs().idxmax())
    if rest["x"].nunique() < 2 or rest["y"].nunique() < 2:
        return 0.0, len(both)
    r2 = [float(np.corrcoef(table.to_numpy(), rowvar=False)[0, 1] ** 2) for table in (rest, rest.rank())]
    return max(r2), len(both)
