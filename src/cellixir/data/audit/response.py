"""Audit of responses and their folds: whether test responses can be known from training rows.

What a split leaves out must be new. The ids say that it is; this module asks the data: molecules under two ids, lines
of one donor, profiles that are the same, features that are responses. `audit_table` does the same for any table.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from cellixir.data.audit.findings import SHOWN, Audit, Finding, sorted_audit
from cellixir.data.audit.identity import (
    NO_NAME,
    column_texts,
    folded_line,
    joined,
    molecule_groups,
    scaffold,
    structure_key,
)
from cellixir.data.audit.profiles import (
    OVER_DRUGS,
    dense,
    follows,
    is_cut,
    near_pairs,
    numeric_blocks,
    response_matrix,
    squared_correlation,
)
from cellixir.exceptions import ConfigurationError, counted, examples

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellixir.data.response_data import ResponseData
    from cellixir.data.splits import Fold

RESPONSE_R2 = 0.99  # r .995 between a feature and the responses to a drug: no honest feature comes near
COPIED_R2 = 0.998  # of the responses to two drugs; the two screens of one molecule in GDSC v17 have .67 at most
_SPLITS = ("LPO", "LCO", "LDO", "LTO")
_DONOR = re.compile(r"(donor|patient)(_?id)?", re.IGNORECASE)
_LINE_NAME = re.compile(r"(cell_?line|sample|ccle|stripped_cell_line)?_?name|cell_?line", re.IGNORECASE)


def audit_response(data: ResponseData, split: str, folds: Sequence[Fold] | None = None) -> Audit:
    """What lets a test response be known from training rows, when ``data`` is split as ``split`` says.

    Training rows are those of ``train`` and ``validation``. Without folds it is not known who stands where: what would
    leak if it were dealt by id is then a warning.

    Parameters
    ----------
    data
        Measured responses.
    split
        LPO, LCO, LDO or LTO.
    folds
        The folds to be used.

    Returns
    -------
    Audit
        Findings, leaks first, and what was looked at, with counts.

    Raises
    ------
    ConfigurationError
        If there is no such split.

    Examples
    --------
    >>> from cellixir.data.simulate import simulate_cohort
    >>> data = simulate_cohort(n_samples=30, n_drugs=6, n_genes=20, n_mutations=8, n_targets=2).response_data()
    >>> audit_response(data, "LCO").leaks()
    []
    """
    if split not in _SPLITS:
        message = f"there is no split '{split}'; choose one of {', '.join(_SPLITS)}"
        raise ConfigurationError(message)
    audited = _Audited(data, split, folds)
    findings = [finding for check in _CHECKS for finding in check(audited)]
    return sorted_audit(findings, audited.checks)


class _Audited:
    """The data, the sides of the folds, and a count of what was looked at."""

    def __init__(self, data: ResponseData, split: str, folds: Sequence[Fold] | None) -> None:
        self.data, self.split = data, split
        self.sides = [(np.concatenate([f.train, f.validation]), f.test) for f in folds or ()]
        self.checks = {"measurements": len(data), "folds": len(self.sides)}

    @cached_property
    def responses(self) -> tuple[NDArray[np.float64], list[str]]:
        """`response_matrix`, and what each of its columns is, in words."""
        return response_matrix(self.data), [*(f"drug {drug!r}" for drug in self.data.drugs.index), *OVER_DRUGS]

    def tested_twice(self, units: NDArray[np.int64]) -> NDArray[np.int64]:
        """Test rows of each unit (-1: none) whose unit is in training too, shape ``(n_units,)``."""
        count = np.zeros(units.max(initial=-1) + 2, dtype=np.int64)  # the last place is for -1
        for fit, test in self.sides:
            seen = np.zeros(len(count), dtype=bool)
            seen[units[fit]] = True
            tested = units[test]
            count += np.bincount(tested[seen[tested]] % len(count), minlength=len(count))
        return count[:-1]

    def rows_at_stake(self, groups: NDArray[np.int64], side: str) -> NDArray[np.int64]:
        """Rows of each group of ids (-1: none) that are tested with the group in training; without folds, all."""
        index, other = self.data.sample_index, self.data.drug_index
        if side == "drug":
            index, other = other, index
        rows, n_groups = groups[index], groups.max(initial=-1) + 1
        if not self.sides:
            return np.bincount(rows[rows >= 0], minlength=n_groups)
        if self.split != "LPO":
            return self.tested_twice(rows)
        width, units = int(other.max()) + 1, np.full(len(rows), -1)
        pairs, units[rows >= 0] = np.unique((rows * width + other)[rows >= 0], return_inverse=True)
        tested = np.bincount(pairs // width, self.tested_twice(units), minlength=n_groups)
        return np.asarray(tested, dtype=np.int64)

    def groups(
        self, kind: str, codes: NDArray[np.int64], side: str, what: str, *, leak: bool = True
    ) -> Iterator[Finding]:
        """A finding for each code (-1: none) that several ids share, if it stands on two sides."""
        table = self.data.samples if side == "sample" else self.data.drugs
        several = np.bincount(codes[codes >= 0], minlength=1) > 1
        codes = np.where((codes >= 0) & several[codes], codes, -1)
        rows = self.rows_at_stake(codes, side)
        stake = "test rows with another of them in training" if self.sides else "rows; dealt out by id they part"
        for code in np.flatnonzero(rows):
            ids = tuple(table.index[codes == code])
            sentence = f"{side}s {examples(ids, SHOWN)}{_names_of(table, ids)} {what} ({rows[code]:,} {stake})"
            way_out = f"keep one, or deal them out together{' (molecule_groups)' if side == 'drug' else ''}"
            severity: Literal["leak", "warning"] = "leak" if leak and self.sides else "warning"
            yield Finding(kind, severity, f"{sentence}: {way_out}", ids[:SHOWN], int(rows[code]))


def _names_of(table: pd.DataFrame, ids: Sequence[str]) -> str:
    """Names and tissues of the ids, in brackets, where they say more than the ids."""
    rows = table.loc[list(ids)]
    said = [pd.unique(rows[c].dropna().astype(str)) for c in ("name", "cell_line_name", "tissue") if c in rows]
    texts = [", ".join(words[:4]) for words in said if len(words) and set(words) != set(ids)]
    return f" ({'; '.join(texts)})" if texts else ""


def _units(audited: _Audited) -> Iterator[Finding]:
    """Pairs, and what else the split leaves out, on two sides of the folds themselves."""
    data = audited.data
    pairs = np.unique(data.sample_index * len(data.drugs) + data.drug_index, return_inverse=True)[1]
    audited.checks["pairs"] = int(pairs.max()) + 1
    yield from _on_two_sides(audited, "replicate", pairs, "deal out pairs, not measurements (make_folds does)")
    units = {"LCO": data.sample_index, "LDO": data.drug_index}.get(audited.split)
    if audited.split == "LTO":
        units = pd.factorize(data.tissue)[0][data.sample_index]
    if units is not None:
        yield from _on_two_sides(audited, "unit-on-two-sides", units, f"make the folds for {audited.split}")


def _on_two_sides(audited: _Audited, kind: str, units: NDArray[np.int64], way_out: str) -> Iterator[Finding]:
    rows = audited.tested_twice(units)
    if rows.any():
        bad = audited.data.responses[rows[units] > 0]
        side = {"LCO": bad["sample"], "LDO": bad["drug"], "LTO": bad["sample"].map(audited.data.tissue)}
        named = bad["sample"] + " x " + bad["drug"] if kind == "replicate" else side[audited.split]
        ids = tuple(pd.unique(named).astype(str))
        what = f"{len(ids):,} {'pairs' if kind == 'replicate' else 'units'} are in training and test of one fold"
        yield Finding(kind, "leak", f"{what} ({examples(ids)}): {way_out}", ids[:SHOWN], int(rows.sum()))


def _unseen(audited: _Audited) -> Iterator[Finding]:
    """Drugs or samples of test rows that a fold does not train on, although the split says that it does."""
    tables = {"sample": audited.data.samples, "drug": audited.data.drugs}
    for side in {"LPO": ("sample", "drug"), "LDO": ("sample",)}.get(audited.split, ("drug",)):
        index = audited.data.sample_index if side == "sample" else audited.data.drug_index
        unseen = [index[test][~np.isin(index[test], index[fit])] for fit, test in audited.sides]
        if rows := sum(map(len, unseen)):
            ids = tuple(tables[side].index[np.unique(np.concatenate(unseen))])
            what = f"{counted(len(ids), side)} ({examples(ids)}) have {counted(rows, 'test row')}, none in training"
            way_out = f"these rows ask more than {audited.split} says; leave them out to be exact"
            yield Finding("unseen", "warning", f"{what}: {way_out}", ids[:SHOWN], rows)


def _molecules(audited: _Audited) -> Iterator[Finding]:
    drugs = audited.data.drugs
    if audited.split in ("LPO", "LDO"):
        known = sum(bool(structure_key(text)) for text in column_texts(drugs, "smiles"))
        audited.checks |= {"drugs compared by structure": known, "drugs compared by name alone": len(drugs) - known}
        yield from audited.groups("same-molecule", molecule_groups(drugs), "drug", "are one molecule")


def _copied_responses(audited: _Audited) -> Iterator[Finding]:
    """Drugs whose responses are those of another one, but for rounding, a shift or a scale."""
    if audited.split not in ("LPO", "LDO"):
        return
    n = len(audited.data.drugs)
    responses = audited.responses[0][:, :n]
    keys: list[set[str]] = [set() for _ in range(n)]
    for i, j in np.argwhere(np.triu(squared_correlation(responses, responses) > COPIED_R2, 1)):
        if follows(responses[:, i], responses[:, j])[0] > COPIED_R2:
            keys[i].add(f"{i} {j}")
            keys[j].add(f"{i} {j}")
    yield from audited.groups("same-responses", joined(keys), "drug", "have the same responses")


def _scaffolds(audited: _Audited) -> Iterator[Finding]:
    """Test drugs with the scaffold of another molecule in training."""
    if audited.split != "LDO" or not audited.sides:
        return
    drugs, index = audited.data.drugs, audited.data.drug_index
    kinds = pd.DataFrame({"molecule": molecule_groups(drugs), "scaffold": map(scaffold, column_texts(drugs, "smiles"))})
    audited.checks["drugs with a scaffold"] = n = int(kinds["scaffold"].notna().sum())
    shared: set[int] = set()
    for fit, test in audited.sides:
        trained, tested = kinds.loc[np.unique(index[fit])], kinds.loc[np.unique(index[test])]
        new = tested[~tested["molecule"].isin(trained["molecule"])].dropna()
        shared |= set(new.index[new["scaffold"].isin(trained["scaffold"])])
    if shared:
        ids = tuple(drugs.index[sorted(shared)])
        what = f"{len(ids):,} of {n:,} drugs with rings have, when they are tested, the scaffold of a training drug"
        way_out = "usual in LDO; say beside the score that a new drug is seldom new in kind"
        yield Finding("scaffold", "warning", f"{what} ({examples(ids)}): {way_out}", ids[:SHOWN], len(ids))


def _donors(audited: _Audited) -> Iterator[Finding]:
    samples = audited.data.samples
    columns = [c for c in samples if _DONOR.fullmatch(str(c))] if audited.split in ("LCO", "LTO") else []
    for column in columns:
        codes = pd.factorize(samples[column])[0].astype(np.int64)
        audited.checks[f"samples with a {column}"] = int((codes >= 0).sum())
        yield from audited.groups("same-donor", codes, "sample", f"have one {column}")


def _line_names(audited: _Audited) -> Iterator[Finding]:
    """Names that differ in case and punctuation only; KM-H2 and KMH-2 are two lines, so this is only said."""
    samples = audited.data.samples
    if audited.split not in ("LCO", "LTO"):
        return
    columns = [str(c) for c in samples if _LINE_NAME.fullmatch(str(c))]
    texts = [column_texts(samples, c) for c in columns] + [[str(i) for i in samples.index]]
    keys = [
        {f for f in map(folded_line, names) if len(f) > 1 and not f.isdigit()} for names in zip(*texts, strict=True)
    ]
    audited.checks["lines compared by name"] = sum(map(bool, keys))
    codes = joined([own - NO_NAME for own in keys])
    what = "differ in name by case and punctuation only; look whether they are one line"
    yield from audited.groups("line-name", codes, "sample", what, leak=False)


def _profiles(audited: _Audited) -> Iterator[Finding]:
    """Samples that are the same, or nearly, in every view that both have."""
    if audited.split == "LDO":
        return
    samples = audited.data.samples
    alike: dict[tuple[int, int], list[int]] = {}
    shared = np.zeros((len(samples), len(audited.data.views)), dtype=bool)
    for number, (name, view) in enumerate(audited.data.views.items()):
        rows = samples.index.get_indexer(view.obs_names)
        values, rows = dense(view.X)[rows >= 0], rows[rows >= 0]
        found = near_pairs(values) if values.size and not np.isnan(values).all() else None
        told = "compared" if found is not None else "not told apart"
        audited.checks[f"samples {told} in view '{name}'"] = len(rows)
        shared[rows, number] = found is not None
        for i, j, level in found or ():
            alike.setdefault((int(rows[i]), int(rows[j])), []).append(level)
    kinds: dict[tuple[str, bool], list[tuple[int, int]]] = {}
    for (i, j), levels in alike.items():
        if len(levels) == (shared[i] & shared[j]).sum():
            kind = "duplicate-features" if min(level % 2 for level in levels) else "same-profile"
            kinds.setdefault((kind, max(levels) >= 2), []).append((i, j))
    for (kind, leak), pairs in kinds.items():
        keys: list[set[str]] = [set() for _ in range(len(samples))]
        for i, j in pairs:
            keys[i].add(f"{i} {j}")
            keys[j].add(f"{i} {j}")
        what = (
            f"have {'the same features in every view' if kind == 'duplicate-features' else 'nearly the same profile'}"
        )
        what += "" if leak else ", which says little"
        yield from audited.groups(kind, joined(keys), "sample", what, leak=leak)


def _features_that_are_responses(audited: _Audited) -> Iterator[Finding]:
    """Features that follow the responses to a drug, or their mean, in value or in rank."""
    data, (responses, names) = audited.data, audited.responses
    ranks = pd.DataFrame(responses).rank().to_numpy()
    for view, features, values in numeric_blocks(data):
        audited.checks[f"features compared with responses, '{view}'"] = len(features)
        ranked = pd.DataFrame(values).rank().to_numpy()
        likely = (squared_correlation(values, responses) > 0.98) | (squared_correlation(ranked, ranks) > 0.98)
        for column in np.flatnonzero(likely.any(axis=1)):
            best = max((follows(values[:, column], responses[:, d]), d) for d in np.flatnonzero(likely[column]))
            (r2, n), drug = best
            if r2 > RESPONSE_R2:
                what = f"feature '{features[column]}' of '{view}' is the response to {names[drug]}"
                what += f" (r {r2**0.5:.4f}, {n:,} samples): leave it out"
                yield Finding("response-in-features", "leak", what, (features[column],), n)


def _texts_that_are_responses(audited: _Audited) -> Iterator[Finding]:
    """Columns of words about samples whose classes are stretches of the responses, such as sensitive and resistant."""
    data = audited.data
    columns = [str(c) for c in data.samples.select_dtypes(exclude=[np.number])]
    audited.checks["texts compared with responses"] = len(columns)
    responses, names = audited.responses
    for column in columns:
        classes = pd.factorize(data.samples[column])[0].astype(np.int64)
        drug = next((d for d in range(responses.shape[1]) if is_cut(classes, responses[:, d])), None)
        if drug is not None:
            n = int(((classes >= 0) & ~np.isnan(responses[:, drug])).sum())
            what = f"the classes of '{column}' are cut from the response to {names[drug]} ({n:,} samples): leave it out"
            yield Finding("response-in-features", "leak", what, (column,), n)


_CHECKS = (
    _features_that_are_responses,
    _texts_that_are_responses,
    _units,
    _molecules,
    _copied_responses,
    _donors,
    _profiles,
    _line_names,
    _scaffolds,
    _unseen,
)
