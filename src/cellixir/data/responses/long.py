"""Tables of responses with one row a measurement: as a user writes them, and as publishers do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pandas as pd

from cellixir.data.known_columns import DRUG_IDS, DRUG_NOTES, REPLICATES, SAMPLE_IDS, first_match, plain
from cellixir.data.responses.measures import Measure, measure_of
from cellixir.data.responses.published import LAYOUTS, Published, with_files_beside
from cellixir.data.responses.request import Request, ResponseTable, as_table, described
from cellixir.data.responses.values import numbers
from cellixir.data.tables import as_text, id_index
from cellixir.exceptions import ConfigurationError, DuplicateIds, examples

#: Columns that hold responses whatever they measure.
RESPONSE = ("response", "value", "viability")


def read_long(ask: Request) -> ResponseTable:
    """Table with one row a measurement, its columns called as is usual or as the request says."""
    sample = ask.find("sample", ask.sample, SAMPLE_IDS)
    drug = ask.find("drug", ask.drug, DRUG_IDS)
    response = _response_column(ask, [*_measured(ask.frame), *RESPONSE])
    measure = measure_of(response) or Measure("response")
    if ask.measure and plain(ask.measure) != plain(response) and measure.what == "response":
        measure = measure_of(ask.measure) or Measure(ask.measure)
    table = _stacked(ask, sample, drug, response, measure, "long", {})
    replicate = first_match(ask.frame.columns, REPLICATES)
    if replicate is not None:
        ids = id_index(ask.frame[replicate], source=ask.source, what="replicate")
        table.pairs["replicate"] = ids[table.pairs.index]
    _refuse_repeated_pairs(table.pairs, ask)
    table.pairs.index = pd.RangeIndex(len(table.pairs))
    return table


#: Measures, the preferred first; what a name starts with counts.
_PREFERRED = ("LN_IC50", "IC50", "LN_", "AUC", "AAC", "EC50", "GI50")


def _measured(frame: pd.DataFrame) -> list[str]:
    """Columns that are called like a measure, the preferred first."""
    known = {str(c): m.name for c in frame.columns if (m := measure_of(c))}
    rank = {c: next((i for i, p in enumerate(_PREFERRED) if name.startswith(p)), 99) for c, name in known.items()}
    return sorted(known, key=rank.__getitem__)


def _response_column(ask: Request, known: list[str]) -> str:
    """Column of responses: the one given, the one of the measure asked for, or the first known."""
    there = [str(c) for c in known if first_match(ask.frame.columns, (c,)) is not None]
    if ask.response:
        return ask.find("response", ask.response, ())
    if ask.measure:
        wanted = measure_of(ask.measure)
        same = [c for c in there if wanted and (found := measure_of(c)) and found.name == wanted.name]
        like = [c for c in there if wanted and (found := measure_of(c)) and found.what == wanted.what]
        return ask.find("response", None, (ask.measure, *same, *like, *RESPONSE))
    column = ask.find("response", None, known or RESPONSE)
    others = [c for c in _measured(ask.frame) if plain(c) != plain(column)]
    if others and measure_of(column):
        ask.notes.append(_which(ask.source, column, others))
    return column


def _stacked(
    ask: Request,
    sample: str,
    drug: str,
    response: str,
    measure: Measure,
    layout: str,
    more: Mapping[str, tuple[str, ...]],
) -> ResponseTable:
    """Rows with a response, still with their row number as index; ids and numbers are checked."""
    frame, gone = ask.frame, ask.frame[[sample, drug]].isna().any(axis=1) & ask.frame[response].isna()
    if layout in LAYOUTS and gone.any():  # publishers leave the ids of failed curves empty
        ask = replace(ask, frame=frame[~gone].reset_index(drop=True))
    samples, drugs = ask.ids(sample, "sample"), ask.ids(drug, "drug")
    column = ask.frame[[response]].set_axis(range(1, len(ask.frame) + 1))
    block, signs = numbers(column, source=ask.source)
    values, done = ask.scaled(block[response].to_numpy(), measure, response)
    pairs = pd.DataFrame({"sample": samples, "drug": drugs, "response": values}).dropna(subset="response")
    known = described(ask.frame, drugs, {**DRUG_NOTES, **more})
    return as_table(ask, pairs, signs[pairs.index, 0], (measure, done), samples, known, layout, len(frame))


def _refuse_repeated_pairs(pairs: pd.DataFrame, ask: Request) -> None:
    key = [name for name in pairs.columns if name not in {"response", "censored"}]
    repeated = pairs[pairs.duplicated(key, keep=False)]
    if repeated.empty:
        return
    counts = repeated.groupby(key, sort=False).size()
    first = ", ".join(f"{name} {value!r}" for name, value in zip(key, counts.index[0], strict=True))
    spelled = [note.partition(": ")[2] for note in ask.notes if " joined: " in note]
    joined = f" once spellings are joined ({spelled[0]})" if spelled else ""
    message = (
        f"{ask.source}: {len(counts)} pairs stand more than once{joined} ({first}: {counts.iloc[0]} times); "
        "keep one row of each, or tell them apart in a column `replicate`"
    )
    raise DuplicateIds(message)


def read_published(ask: Request, name: str) -> ResponseTable:
    """Table in a published layout; pairs that stand twice are replicates."""
    layout = LAYOUTS[name]
    ask = _unstacked(ask, layout) if layout.stacked else ask
    frame = with_files_beside(ask.frame, layout, ask.source)
    ask = replace(ask, frame=frame)
    sample, drug = ask.find("sample", ask.sample, layout.sample), ask.find("drug", ask.drug, layout.drug)
    there = [m for m in layout.measures if first_match(ask.frame.columns, (m,)) is not None]
    response = _response_column(ask, there or list(layout.measures))
    measure = measure_of(layout.measures.get(plain(response), response)) or Measure("response")
    table = _stacked(ask, sample, drug, response, measure, name, layout.drug_notes)
    repeats = first_match(ask.frame.columns, (layout.repeats,)) if layout.repeats else None
    return _with_replicates(table, None if repeats is None else as_text(ask.frame[repeats]))


def _unstacked(ask: Request, layout: Published) -> Request:
    """Rows of one measure, of a table that stacks several in one column."""
    kinds = ask.frame[str(first_match(ask.frame.columns, (layout.stacked,)))].astype(str)
    known = [kind for kind in layout.measures if (kinds == kind).any()] or list(pd.unique(kinds))
    named = {kind.casefold(): kind for kind in kinds.unique()}
    asked = (ask.measure or "").casefold()
    taken = named.get(f"fit_{asked}") or named.get(asked, asked) if asked else known[0]
    if not (kinds == taken).any():
        message = f"{ask.source} has no measure '{ask.measure}'; it has {examples(pd.unique(kinds), 12)}"
        raise ConfigurationError(message)
    if len(kinds.unique()) > 1 and not ask.measure:
        ask.notes.append(_which(ask.source, taken, [str(k) for k in pd.unique(kinds) if k != taken]))
    rows = ask.frame[kinds == taken].rename(columns={"dose_response_value": taken}).reset_index(drop=True)
    return replace(ask, frame=rows, measure=taken)


def _which(source: str, taken: str, others: list[str]) -> str:
    return f"{source}: of several measures '{taken}' was taken; --measure takes another one ({', '.join(others[:6])})"


def _with_replicates(table: ResponseTable, dataset: pd.Series | None) -> ResponseTable:
    """Tell apart pairs that stand twice: by screen (GDSC1, GDSC2) where that is enough, else by a number."""
    pairs = table.pairs
    if pairs.duplicated(["sample", "drug"]).any():
        number = pairs.groupby(["sample", "drug"]).cumcount().add(1).astype(str).astype(object)
        screen = number if dataset is None else dataset.loc[pairs.index]
        pairs["replicate"] = screen
        if screen.isna().any() or pairs.duplicated(["sample", "drug", "replicate"]).any():
            pairs["replicate"] = number
    pairs.index = pd.RangeIndex(len(pairs))
    return table
