"""Reading of a user's files into ``ResponseData``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from cellixir.data.crosswalk import Crosswalk, read_crosswalk
from cellixir.data.drugs import read_drugs
from cellixir.data.omics import read_view
from cellixir.data.response_data import ResponseData
from cellixir.data.responses import ResponseTable, read_responses
from cellixir.data.spellings import drug_spelling, said, sample_spelling, spelled_as
from cellixir.data.tables import id_index, read_table
from cellixir.exceptions import ConfigurationError, DataError, UnknownIds, examples

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from anndata import AnnData


@dataclass(frozen=True)
class Reading:
    """What a user says of a table of responses, where its header does not; see `read_responses`."""

    measure: str | None = None
    unit: str | None = None
    sample_column: str | None = None
    drug_column: str | None = None
    response_column: str | None = None
    restore_genes: bool = False

    def responses(self, path: Path | str, *, turn: bool = False) -> ResponseTable:
        """Responses of a file, read so."""
        return read_responses(
            path,
            measure=self.measure,
            unit=self.unit,
            sample_column=self.sample_column,
            drug_column=self.drug_column,
            response_column=self.response_column,
            turn=turn,
        )


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
    reading: Reading | None = None,
) -> ResponseData:
    """Join a response table with omics, drugs and samples from files.

    An id may be spelled in several ways (``LINE-1`` and ``LINE1``), and a view may have another id of the samples that
    the responses hold, too (SANGER_MODEL_ID beside COSMIC_ID). A wide table of responses is turned where only its
    columns are samples that the other files know. ``notes`` say so.

    Parameters
    ----------
    response
        Wide or long table, or a published one; see ``read_responses``.
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
    reading
        Columns, measure and unit of the response table, where its header does not say them.

    Returns
    -------
    ResponseData
        The measurements that could be joined; ``notes`` says what was left out.

    Raises
    ------
    UnknownIds
        If the files share no id, or most samples of both sides would be lost.

    Examples
    --------
    >>> from pathlib import Path
    >>> read_inputs("ic50.csv", omics={"expression": Path("tpm.csv")}, drugs="drugs.csv")  # doctest: +SKIP
    """
    reading = reading or Reading()
    table = reading.responses(response)

    def join(table: ResponseTable) -> ResponseData:
        return _joined(table, Path(response).name, omics or {}, drugs, samples, ids, require, reading)

    try:
        return join(table)
    except UnknownIds:
        if table.layout != "wide":
            raise
        try:
            return join(reading.responses(response, turn=True))
        except DataError:
            pass
        raise


def _joined(
    table: ResponseTable,
    source: str,
    omics: Mapping[str, Path],
    drugs: Path | str | None,
    samples: Path | str | None,
    ids: Path | str | None,
    require: Sequence[str],
    reading: Reading,
) -> ResponseData:
    own = _own_crosswalk(table, source) if ids is None else None
    views, notes = read_known_views(omics, table.samples.index, ids, own=own, restore_genes=reading.restore_genes)
    _refuse_most_lost(table.pairs, views)
    annotation, drug_list = table.samples, table.drugs
    if samples is not None:
        read = _spelled_like(read_samples(samples), table.samples.index, sample_spelling, str(samples), "sample", notes)
        annotation = _beside(table.samples, read, str(samples))
    if drugs is not None:
        drug_list = _match_drugs(read_drugs(drugs), table.drugs, str(drugs), notes)
    data = ResponseData.join(
        table.pairs,
        views=views,
        samples=annotation,
        drugs=drug_list,
        measure=table.measure,
        unit=table.unit,
        source=source,
        require=require,
    )
    return replace(data, notes=(*table.notes, *notes, *data.notes, *_constant(data.views)))


def add_views(
    data: ResponseData,
    omics: Mapping[str, Path],
    *,
    ids: Path | str | None = None,
    require: Sequence[str] = (),
    restore_genes: bool = False,
) -> ResponseData:
    """``data`` with more views from files; see ``read_inputs``."""
    views, notes = read_known_views(omics, data.samples.index, ids, restore_genes=restore_genes)
    _refuse_most_lost(data.responses, data.views | views)
    more = data.with_views(views, require=require)
    return replace(more, notes=(*notes, *more.notes, *_constant({name: more.views[name] for name in views})))


def read_views(
    files: Mapping[str, Path],
    samples: Iterable[object] | None = None,
    *,
    features: Mapping[str, Iterable[object]] | None = None,
    restore_genes: bool = False,
) -> dict[str, AnnData]:
    """Views by name, gaps kept; a table with genes in rows is recognised by the ids ``samples``, or by ``features``."""
    known = features or {}
    return {
        name: read_view(
            file, name=name, samples=samples, gaps="keep", features=known.get(name), restore_genes=restore_genes
        )
        for name, file in files.items()
    }


def read_known_views(
    files: Mapping[str, Path],
    samples: pd.Index,
    ids: Path | str | None = None,
    *,
    own: Crosswalk | None = None,
    restore_genes: bool = False,
) -> tuple[dict[str, AnnData], list[str]]:
    """Views under the ids of ``samples``, and notes: translated by the table ``ids``, or by ``own``, that of a file."""
    crosswalk = own if ids is None else read_crosswalk(ids)
    every: list[object] = list(samples)
    if crosswalk is not None:
        if ids is not None:
            crosswalk.translate(samples, samples)  # a table without the ids of the responses is refused by its own name
        every += list(crosswalk.table.stack().astype(str))
    views, notes = {}, list[str]()
    for name, view in read_views(files, every, restore_genes=restore_genes).items():
        notes += view.uns.get("notes", [])
        found, more = (view, []) if crosswalk is None else _translated(view, crosswalk, samples)
        views[name], spelled = spelled_like(found, samples)
        notes += [*more, *spelled]
    return views, notes


def spelled_like(view: AnnData, samples: pd.Index) -> tuple[AnnData, list[str]]:
    """The view with the ids of ``samples`` where it spells them in another way, and a note on these."""
    renamed = spelled_as(view.obs_names, samples, sample_spelling)
    if not renamed:
        return view, []
    view = view.copy()
    view.obs_names = [renamed.get(name, name) for name in view.obs_names]
    return view, [f"view '{view.uns.get('name', '')}': {said(renamed, 'sample')}"]


def _own_crosswalk(table: ResponseTable, source: str) -> Crosswalk | None:
    """Crosswalk of the ids that the response table itself holds, if it holds several kinds."""
    others = [c for c in table.ids if not (table.ids[c] == table.ids.index).all()]
    if not others:
        return None
    return Crosswalk(table.ids[others].rename_axis("sample").reset_index().astype(object), source)


def _spelled_like(
    table: pd.DataFrame, ids: pd.Index, key: Callable[[str], str], source: str, what: str, notes: list[str]
) -> pd.DataFrame:
    """Annotation under the ids in their own spelling."""
    renamed = spelled_as(table.index, ids, key)
    if renamed:
        notes.append(f"{source}: {said(renamed, what)}")
    return table.rename(index=renamed)


def _refuse_most_lost(pairs: pd.DataFrame, views: Mapping[str, AnnData]) -> None:
    """Refuse views that would lose most measurements while most of their own samples are unknown, too."""
    if not views:
        return
    described = pd.Index(pd.unique(pd.concat([pd.Series(view.obs_names.to_numpy(str)) for view in views.values()])))
    kept = pairs["sample"].astype(str).isin(described)
    known = described.isin(pairs["sample"].astype(str))
    if kept.any() and kept.mean() < 0.5 and known.mean() < 0.5:
        lost, strange = pd.unique(pairs.loc[~kept, "sample"]), described[~known]
        message = (
            f"only {known.sum():,} of {pairs['sample'].nunique():,} samples of the responses are among the "
            f"{len(described):,} of view '{next(iter(views))}', so {(~kept).sum():,} of {len(pairs):,} measurements "
            f"would be lost: {examples(lost)} are not there, {examples(strange)} have no responses; use the same ids "
            "(--ids FILE translates), or leave the samples that are not shared out of both files"
        )
        raise UnknownIds(message)


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
    if view.obs_names.isin(samples).any() or spelled_as(view.obs_names, samples, sample_spelling):
        return view, []
    by_id = crosswalk.translate(view.obs_names, samples)
    found = by_id.reindex(view.obs_names)
    here = found.notna().to_numpy()
    translated = view[here].copy()
    translated.obs_names = found[here].astype(str).to_numpy()
    name = view.uns["name"]
    notes = [f"samples were found by the column '{by_id.index.name}' of {crosswalk.source}", *by_id.attrs["notes"]]
    return translated, [f"view '{name}': {note}" for note in notes]


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


def _match_drugs(listed: pd.DataFrame, wanted: pd.DataFrame, source: str, notes: list[str]) -> pd.DataFrame:
    """The list by the ids of the responses: by id, or by name where the responses name their drugs."""
    if wanted.index.isin(listed.index).any() or "name" not in listed:
        return _spelled_like(listed, wanted.index, drug_spelling, source, "drug", notes)
    names = listed["name"].astype(str).str.casefold()
    by_name = listed[~names.duplicated()].set_axis(names[~names.duplicated()])
    keys = wanted.index.astype(str).str.casefold()
    found = by_name.reindex(keys).set_axis(wanted.index)
    if keys.isin(by_name.index).all():
        return found
    named = listed[~names.duplicated()].set_axis(listed["name"][~names.duplicated()].astype(str))
    spelled = _spelled_like(named, wanted.index, drug_spelling, source, "drug", notes)
    missing = ~keys.isin(by_name.index) & wanted.index.isin(spelled.index)
    if not keys.isin(by_name.index).any() and not missing.any():
        return listed
    return pd.concat([found[~missing], spelled.loc[wanted.index[missing]]]).reindex(wanted.index)
