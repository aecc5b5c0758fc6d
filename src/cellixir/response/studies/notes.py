"""What the reader has to know of two studies that were brought together, in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cellixir.exceptions import counted, examples
from cellixir.response.studies.agreement import agreement_words
from cellixir.response.studies.studies import NEW_SIDE

if TYPE_CHECKING:
    from cellixir.data.response_data import ResponseData
    from cellixir.response.studies.studies import Studies

FEW_SAMPLES = 50


def study_notes(studies: Studies, train: ResponseData, external: ResponseData, split: str) -> list[str]:
    """What the reader has to know of how two studies were brought together, one sentence each, most weighty first."""
    overlap = studies.overlap
    notes = [*_warnings(studies, split), *_undecided(studies), *studies.samples.notes, *studies.drugs.notes]
    notes += _features(studies, train, external)
    for reason, lost in overlap["excluded"].items():
        side = "drug" if "drugs" in lost else "sample"
        what = f"{lost['measurements']:,} external measurements of {counted(lost[f'{side}s'], side)} were left out"
        notes.append(f"{what} ({reason}): {examples(lost['ids'])}")
    notes += [f"Training study: {note}" for note in train.notes]
    return notes + [f"External study: {note}" for note in external.notes]


def _warnings(studies: Studies, split: str) -> list[str]:
    overlap, notes = studies.overlap, []
    if not studies.one_measure:
        a, b = (" in ".join(filter(None, (d.measure, d.unit))) for d in (studies.train, studies.external))
        text = f"The training study measured {a}, the external one {b}: no error can be taken between them"
        notes.append(f"{text}, so only correlations within and across drugs are given")
    if (found := overlap["agreement"]) and (words := agreement_words(found)):
        notes.append(words)
    if studies.one_measure and overlap["unit"]:
        notes.append(overlap["unit"])
    new = NEW_SIDE[split]
    if leaked := overlap["test"][f"{new}_in_training"]:
        text = (
            f"{leaked:,} of {overlap['test'].get(new, overlap['pairs']['external']):,} test {new} are also in training"
        )
        notes.append(f"{text} (remove='{overlap['removed']['what']}'): scores are too good for {new} that are new")
    if (left := overlap["training"]["samples"]) < FEW_SAMPLES:
        notes.append(f"Only {counted(left, 'sample')} are left to learn from: expect little more than drug means")
    return notes


def _undecided(studies: Studies) -> list[str]:
    notes = []
    for kind, found in (("samples", studies.samples), ("drugs", studies.drugs)):
        rows = found.undecided
        if rows.empty:
            continue
        first = f"{rows['right'].iloc[0]!r} may be {' or '.join(map(repr, rows['candidates'].iloc[0]))}"
        text = f"Of {counted(len(rows), f'external {kind[:-1]}')}, names do not say which of training they are"
        gone = studies.overlap["removed"]["what"] == kind
        tail = "; to be safe, all that they may be were taken out of training" if gone else ""
        notes.append(f"{text}, so they were not matched (e.g. {first}){tail}")
    return notes


def _features(studies: Studies, train: ResponseData, external: ResponseData) -> list[str]:
    notes = []
    for view in studies.overlap["views"]:
        gone, total = view["train"] - view["both"], view["train"]
        if gone and studies.overlap["genes"] == "shared":
            shared = f"{view['both']:,} of {total:,} training features are in the external study"
            notes.append(f"View {view['view']}: {shared}; models learned from these alone ({gone:,} were dropped)")
        elif gone:
            absent = f"{gone:,} of {total:,} training features are not in the external study"
            notes.append(f"View {view['view']}: {absent}; they were set to their training mean there")
        if not view["scale_checked"]:
            notes.append(f"View {view['view']}: one study does not say what its numbers are; scales were not compared")
    if unused := [name for name in train.views if name not in external.views]:
        notes.append(f"The external study has no view {examples(unused)}; it was not used")
    if lost := studies.overlap["removed"]["samples_without_features"]:
        notes.append(f"Training lost {counted(lost, 'sample')} that no view of both studies describes")
    if columns := [str(c) for c in train.samples if c not in external.samples]:
        notes.append(f"Annotation of samples that the external study lacks was not used: {', '.join(columns)}")
    return notes + _strange_tissues(studies)


def _strange_tissues(studies: Studies) -> list[str]:
    """A note where the studies name tissues differently."""
    tested, seen = studies.external.tissue, set(studies.train.tissue)
    new = tested[~tested.isin(seen)]
    if not studies.external.has_tissue or len(new) < 0.2 * len(tested):
        return []
    named = f"{examples(sorted(set(new)))}; training has {examples(sorted(seen))}"
    text = f"{len(new):,} of {len(tested):,} test samples have a tissue that training does not know ({named})"
    return [f"{text}; what uses tissue does without it there"]
