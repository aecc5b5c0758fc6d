"""All tests of many features on many drugs at once: the arithmetic of the pharmacogenomic ANOVA.

The model of a drug is ``response ~ tissue + nuisance columns + feature``. Tissue, MSI and medium are projected out of
the response and of every feature; the F test of a feature is then a matter of two sums (Frisch, Waugh and Lovell).
A binary feature keeps ``sum_t p_t (n_t - p_t) / n_t`` of its sum of squares within tissues (p_t of the n_t lines
of tissue t are positive): whole numbers and no difference of near equals, so that a feature that a tissue
determines is seen as exactly that. What the other nuisance columns take is small and is subtracted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc

Floats = NDArray[np.float64]

#: Of a sum of squares, the part below which nothing is left of a column, a feature or a response.
NOTHING = 1e-10
#: Of the squares of the responses of a drug, the part about their mean below which they are one and the same.
CONSTANT = 1e-24
# Numbers in one matrix of features x drugs; some 25 of them are held at a time.
_CHUNK = 500_000


@dataclass(frozen=True)
class Factor:
    """A nuisance factor beside tissue: its name and columns, shape ``(n_lines, n_columns)``.

    A column that has fewer than `min_lines` lines that are 0 or that are 1 is left out of the model of that drug.
    """

    name: str
    columns: Floats
    min_lines: int = 1


@dataclass(frozen=True)
class Sides:
    """Lines with and without each feature, for each drug: arrays of shape ``(n_features, n_drugs)``."""

    n_pos: Floats
    n_neg: Floats
    mean_pos: Floats
    mean_neg: Floats
    var_pos: Floats
    var_neg: Floats
    effect_size: Floats
    t_pvalue: Floats


@dataclass(frozen=True)
class Scan(Sides):
    """All statistics of every drug and feature, ``(n_features, n_drugs)``; what does not exist is NaN.

    ``pvalue`` is of the feature, ``tissue_pvalue`` and ``factor_pvalue`` (by name) of what stands before it in the
    model. ``determined`` marks features that tissue and factors rebuild exactly, which have no p-value.
    """

    pvalue: Floats
    tissue_pvalue: Floats
    factor_pvalue: dict[str, Floats]
    determined: NDArray[np.bool_]


@dataclass(frozen=True)
class _Model:
    """What the factors leave of the responses of some drugs, shapes ``(n_lines, n_drugs)`` and ``(n_drugs,)``.

    ``basis`` holds orthonormal columns for each factor, zero where a drug's model has none; ``squares`` and
    ``degrees`` stand for tissue first, then for each factor.
    """

    residual: Floats
    total: Floats
    basis: list[list[Floats]]
    squares: list[Floats]
    degrees: list[NDArray[np.int64]]


def scan(
    responses: Floats, features: Floats, tissue: NDArray[np.int64], factors: Sequence[Factor] = ()
) -> Iterator[tuple[slice, Scan]]:
    """Statistics of some drugs at a time, with the columns of `responses` that they belong to.

    Parameters
    ----------
    responses
        Shape ``(n_lines, n_drugs)``; NaN where a line was not measured.
    features
        0 and 1, shape ``(n_lines, n_features)``.
    tissue
        Number of the tissue of each line, from 0; all 0 leaves tissue out of the model.
    factors
        What comes after tissue and before the feature, in this order.

    Notes
    -----
    Sums of squares are sequential and stand over the residual variance of the whole model, so the p-values of
    tissue and factors depend on the feature. p-values are right to 1e-12 (relative) down to 1e-280.
    """
    _, tissue = np.unique(tissue, return_inverse=True)
    order = np.argsort(tissue, kind="stable")
    responses, features, tissue = responses[order], np.ascontiguousarray(features[order]), tissue[order]
    factors = [Factor(f.name, f.columns[order], f.min_lines) for f in factors]
    step = max(1, _CHUNK // max(1, features.shape[1]))
    for start in range(0, responses.shape[1], step):
        part = slice(start, min(start + step, responses.shape[1]))
        yield part, _scan_some(responses[:, part], features, tissue, factors)


def joined(scans: Sequence[Scan]) -> Scan:
    """Scans of several blocks of drugs as one, side by side."""
    parts = {f.name: np.hstack([getattr(s, f.name) for s in scans]) for f in fields(Scan) if f.name != "factor_pvalue"}
    names = scans[0].factor_pvalue
    return Scan(**parts, factor_pvalue={n: np.hstack([s.factor_pvalue[n] for s in scans]) for n in names})


def _scan_some(responses: Floats, features: Floats, tissue: NDArray[np.int64], factors: list[Factor]) -> Scan:
    measured = (~np.isnan(responses)).astype(np.float64)
    mean = _ratio(np.nansum(responses, axis=0), measured.sum(axis=0))
    centred = np.where(measured > 0, responses - mean, 0.0)
    centred *= (centred**2).sum(axis=0) > CONSTANT * np.nansum(responses**2, axis=0)
    model = _nuisance(centred, measured, tissue, factors)
    n_pos = features.T @ measured
    sides = _two_sides(features, centred, n_pos, measured.sum(axis=0), mean)
    return _with_f_tests(sides, features, measured, tissue, factors, model)


def _two_sides(features: Floats, centred: Floats, n_pos: Floats, n: Floats, mean: Floats) -> Sides:
    """Means, variances, Cohen's d and two-sample T test (equal variances) of the lines with and without a feature."""
    n_neg, total = n - n_pos, (centred**2).sum(axis=0)
    sum_pos, squares_pos = features.T @ centred, features.T @ centred**2
    mean_pos, mean_neg = _ratio(sum_pos, n_pos), _ratio(-sum_pos, n_neg)
    # what is left of a difference of near equals is rounding
    within_pos = _positive(squares_pos - sum_pos * mean_pos, squares_pos)
    within_neg = _positive(total - squares_pos + sum_pos * mean_neg, total - squares_pos)
    within = within_pos + within_neg
    pooled = np.sqrt(_ratio(within, n - 2))
    return Sides(
        n_pos=n_pos,
        n_neg=n_neg,
        mean_pos=mean + mean_pos,
        mean_neg=mean + mean_neg,
        var_pos=_ratio(within_pos, n_pos - 1),
        var_neg=_ratio(within_neg, n_neg - 1),
        effect_size=np.where(pooled > 0, _ratio(np.abs(mean_pos - mean_neg), pooled), np.nan),
        t_pvalue=_f_pvalue(sum_pos * (mean_pos - mean_neg), 1, within, n - 2),
    )


def _nuisance(centred: Floats, measured: Floats, tissue: NDArray[np.int64], factors: list[Factor]) -> _Model:
    """Tissue and factors projected out of the centred responses, one after the other."""
    total = (centred**2).sum(axis=0)
    n_tissue = _sums(measured, tissue)
    means = _ratio(_sums(centred, tissue), n_tissue)
    residual = (centred - means[tissue]) * measured
    squares, degrees = [(n_tissue * means**2).sum(axis=0)], [(n_tissue > 0).sum(axis=0) - 1]
    basis: list[list[Floats]] = []
    for factor in factors:
        columns = _orthonormal(factor, measured, tissue, n_tissue, [c for block in basis for c in block])
        parts = [(column * residual).sum(axis=0) for column in columns]
        for column, part in zip(columns, parts, strict=True):
            residual = residual - column * part
        basis.append(columns)
        squares.append(np.sum([part**2 for part in parts], axis=0) + np.zeros_like(total))
        degrees.append(np.sum([column.any(axis=0) for column in columns], axis=0, dtype=np.int64) + 0 * degrees[0])
    left = (residual**2).sum(axis=0)
    residual = residual * (left > NOTHING * total)
    return _Model(residual, total, basis, squares, degrees)


def _orthonormal(
    factor: Factor, measured: Floats, tissue: NDArray[np.int64], n_tissue: Floats, before: list[Floats]
) -> list[Floats]:
    """Columns of a factor for each drug, orthogonal to tissue and to what is before, of length 1 or 0."""
    basis: list[Floats] = []
    for values in factor.columns.T:
        column = values[:, None] * measured
        ones = column.sum(axis=0)
        enough = np.minimum(ones, measured.sum(axis=0) - ones) >= factor.min_lines
        column = column - _ratio(_sums(column, tissue), n_tissue)[tissue] * measured
        for other in [*before, *basis] * 2:  # twice is enough (Kahan)
            column = column - other * (other * column).sum(axis=0)
        left = (column**2).sum(axis=0)
        used = enough & (left > NOTHING * ones)
        basis.append(np.where(used, column / np.sqrt(np.where(used, left, 1.0)), 0.0))
    return basis


def _with_f_tests(
    sides: Sides,
    features: Floats,
    measured: Floats,
    tissue: NDArray[np.int64],
    factors: list[Factor],
    model: _Model,
) -> Scan:
    """p-values of feature, tissue and factors, all over the residual variance of the whole model."""
    squares, within = _left_of_features(features, measured, tissue, model)
    determined = squares <= NOTHING * within
    explained = np.where(determined, 0.0, _ratio((features.T @ model.residual) ** 2, squares))
    left = (model.residual**2).sum(axis=0)
    rest = np.maximum(left - explained, 0.0)
    df = measured.sum(axis=0) - 1 - np.sum(model.degrees, axis=0) - ~determined
    pvalues = [_f_pvalue(s, d, rest, df) for s, d in zip(model.squares, model.degrees, strict=True)]
    pvalue = _f_pvalue(explained, 1, rest, df)
    pvalue[determined | (left == 0)] = np.nan
    return Scan(
        **vars(sides),
        pvalue=pvalue,
        tissue_pvalue=pvalues[0],
        factor_pvalue={factor.name: p for factor, p in zip(factors, pvalues[1:], strict=True)},
        determined=determined,
    )


def _left_of_features(
    features: Floats, measured: Floats, tissue: NDArray[np.int64], model: _Model
) -> tuple[Floats, Floats]:
    """Sums of squares of the features that the factors leave, and those about the mean, ``(n_features, n_drugs)``."""
    within = np.zeros((features.shape[1], measured.shape[1]))
    n_pos = np.zeros_like(within)
    for rows in _blocks(tissue):
        n_tissue = measured[rows].sum(axis=0)
        positive = features[rows].T @ measured[rows]
        n_pos += positive
        within += _ratio(positive * (n_tissue - positive), n_tissue)
    for column in (column for block in model.basis for column in block):
        within -= (features.T @ column) ** 2
    n = measured.sum(axis=0)
    return within, _ratio(n_pos * (n - n_pos), n)


def _f_pvalue(explained: Floats, df: int | NDArray[np.int64], rest: Floats, df_rest: Floats) -> Floats:
    """Upper tail of F from its two sums of squares, without forming F; NaN without degrees of freedom."""
    total = explained + rest
    known = (df_rest > 0) & (np.asarray(df) > 0) & (total > 0)
    share = np.divide(rest, total, out=np.full(total.shape, np.nan), where=known)
    halves = np.where(known, df_rest, 1) / 2, np.where(known, df, 1) / 2
    result: Floats = betainc(*halves, share)
    return result


def _sums(values: Floats, tissue: NDArray[np.int64]) -> Floats:
    """Sums over the lines of each tissue, ``(n_tissues, n_drugs)``; lines stand in the order of their tissue."""
    return np.add.reduceat(values, [rows.start for rows in _blocks(tissue)], axis=0)


def _blocks(tissue: NDArray[np.int64]) -> list[slice]:
    starts = [0, *(np.flatnonzero(np.diff(tissue)) + 1).tolist(), len(tissue)]
    return [slice(start, stop) for start, stop in pairwise(starts)]


def _ratio(above: Floats, below: Floats) -> Floats:
    """Quotient, 0 where nothing stands below."""
    shape = np.broadcast_shapes(above.shape, below.shape)
    return np.divide(above, below, out=np.zeros(shape), where=np.broadcast_to(below > 0, shape))


def _positive(squares: Floats, scale: Floats) -> Floats:
    return np.where(squares > 1e-13 * scale, squares, 0.0)
