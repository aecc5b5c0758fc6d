"""Reading of a user's files into ``ResponseData``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from cellixir.data.crosswalk import Crosswalk, read_crosswalk
from cellixir.data.drugs import read_drugs
from cellixir.data.omics import read_view
from cellixir.data.response_data import ResponseData
from cellixir.data.responses import read_responses
from cellixir.data.tables import id_index, read_table
from cellixir.exceptions import ConfigurationError, UnknownIds, examples

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from anndata import AnnData


def parse_views(arguments: Sequence[str]) -> dict[str, Path]:
    """Files by view name from ``VIEW=FILE`` arguments.

    >>> parse_views(["expression=ccle.csv"])
    {'expression': PosixPath('ccle.csv')}
    """
    views: dict[str, Path] = {}
    for argument in arguments:
        name, found, file = argument.partition("=")
        if not found or not name or not file:
            message = f"--omics '{argument}' is not VIEW=FILE; write for example --omics expression=expression.csv"
            raise ConfigurationError(message)
        if name in views:
            message = f"--omics names the view '{name}' twice; give each view a name of its own"
            raise ConfigurationError(message)
        views[name] = Path(file)
    return views


def read_samples(path: Path | str) -> pd.DataFrame:
    """Annotation by sample id (first column); a ``tissue`` column is what baselines and LTO look for."""
    table = read_table(path)
    first = table.columns[0]
    table = table.set_index(id_index(table[first], source=str(path), what="sample")).drop(columns=first)
    return table.rename(columns={c: c.lower() for c in table.columns if c.lower() == "tissue"})


def read_inputs(
    response: Path | str,
    *,
    omics: Mapping[str, Path] | None = None,
    drugs: Path | str | None = None,
    samples: Path | str | None = None,
    ids: Path | str | None = None,
    require: Sequence[str] = (),
) -> ResponseData:
    """Join a response table with omics, drugs and samples from files.

    Parameters
    ----------
    response
        Wide or long table, or GDSC's fitted dose responses; see ``read_responses``.
    omics
        File of each view, samples in rows (or, if only that matches the response, in columns).
    drugs
        Drug list with any of name, smiles, targets, pathway.
    samples
        Sample annotation with a ``tissue`` column.
    ids
        Table in which a row is a cell line and the columns are its ids, for views that name samples in another way.
    require
        Views without which a sample is left out; otherwise one view is enough, the others are masked.
    """
    table = read_responses(response)
    views, notes = read_known_views(omics or {}, table.samples.index, ids)
    annotation = table.samples if samples is None else _beside(table.samples, read_samples(samples), str(samples))
    drug_list = table.drugs if drugs is None else _match_drugs(read_drugs(drugs), table.drugs)
    data = ResponseData.join(
        table.pairs,
        views=views,
        samples=annotation,
        drugs=drug_list,
        measure=table.measure,
        unit=table.unit,
        source=Path(response).name,
        require=require,
    )
    return replace(data, notes=(*notes, *data.notes, *_constant(data.views)))


def add_views(
    data: ResponseData, omics: Mapping[str, Path], *, ids: Path | str | None = None, require: Sequence[str] = ()
) -> ResponseData:
    """``data`` with more views from files; see ``read_inputs``."""
    views, notes = read_known_views(omics, data.samples.index, ids)
    more = data.with_views(views, require=require)
    return replace(more, notes=(*notes, *more.notes, *_constant({name: more.views[name] for name in views})))


def read_views(files: Mapping[str, Path], samples: Iterable[object] | None = None) -> dict[str, AnnData]:
    """Views by name, gaps kept; ``samples`` are the ids by which a table with genes in rows is recognised."""
    return {name: read_view(file, name=name, samples=samples, gaps="keep") for name, file in files.items()}


def read_known_views(
    files: Mapping[str, Path], samples: pd.Index, ids: Path | str | None = None
) -> tuple[dict[str, AnnData], list[str]]:
    """Views under the ids of ``samples``, translated by the table ``ids``, and what that left out."""
    if ids is None:
        return read_views(files, samples), []
    crosswalk = read_crosswalk(ids)
    crosswalk.translate(samples, samples)  # a table without the ids of the responses is refused here, by its own name
    every = [*samples, *crosswalk.table.stack().astype(str)]
    named = {name: _translated(view, crosswalk, samples) for name, view in read_views(files, every).items()}
    return {name: view for name, (view, _) in named.items()}, [note for _, notes in named.values() for note in notes]


def _constant(views: Mapping[str, AnnData]) -> list[str]:
    """Features that have one value, or none, in the samples of a view: they stay, and no model learns from them."""
    notes = []
    for name, view in views.items():
        table = view.to_df()
        same = table.columns[~(table.min() < table.max())]
        if len(same):
            what = f"{len(same):,} of {table.shape[1]:,} features have one value, or none, in all samples"
            notes.append(f"view '{name}': {what}: {examples(same)}")
    return notes


def _translated(view: AnnData, crosswalk: Crosswalk, samples: pd.Index) -> tuple[AnnData, list[str]]:
    if view.obs_names.isin(samples).any():
        return view, []
    found = crosswalk.translate(view.obs_names, samples).reindex(view.obs_names)
    here = found.notna().to_numpy()
    translated = view[here].copy()
    translated.obs_names = found[here].astype(str).to_numpy()
    name = view.uns["name"]
    return translated, [f"view '{name}': {note}" for note in found.attrs.get("notes", [])]


def _beside(left: pd.DataFrame, right: pd.DataFrame, source: str) -> pd.DataFrame:
    """Annotation of the ids of ``left``; where both tables have a column, ``right`` decides.

    Raises
    ------
    UnknownIds
        If the tables share no id; a column that holds the ids is named.
    """
    if not left.index.isin(right.index).any():
        fitting = [c for c in right if right[c].astype(str).isin(left.index).mean() > 0.5]
        way_out = f"column '{fitting[0]}' holds them: put it first" if fitting else "use the same ids in both"
        message = (
            f"{source}: no id of its first column ({examples(right.index)}) is a sample of the responses "
            f"({examples(left.index)}); {way_out}"
        )
        raise UnknownIds(message)
    return left.drop(columns=[c for c in left.columns if c in right]).join(right)


def _match_drugs(listed: pd.DataFrame, wanted: pd.DataFrame) -> pd.DataFrame:
    """The list by the ids of the responses: by id, or by name where the responses name their drugs."""
    if wanted.index.isin(listed.index).any() or "name" not in listed:
        return listed
    names = listed["name"].astype(str).str.casefold()
    by_name = listed[~names.duplicated()].set_axis(names[~names.duplicated()])
    keys = wanted.index.astype(str).str.casefold()
    return by_name.reindex(keys).set_axis(wanted.index) if keys.isin(by_name.index).any() else listed
