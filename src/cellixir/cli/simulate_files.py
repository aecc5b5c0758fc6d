"""Simulated data sets as files: where they go, what may be overwritten, and what is said about them."""

from __future__ import annotations

import shutil
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cellixir.cli.shared import command_line, echo, say
from cellixir.exceptions import ConfigurationError, WriteError

if TYPE_CHECKING:
    from anndata import AnnData

    from cellixir.data.simulate.cohort import Cohort

#: In the attributes of a .h5ad file. Whoever reads the file and writes it again loses them: then it is theirs.
MARK, OURS = "written-by", "cellixir simulate"
#: Where a cohort is written first, in its own folder; one that was killed leaves it behind.
WORK = ".cellixir-simulate"

_ROWS = {"single-cell": "cells", "perturbation": "wells"}
# What is said about the truth, each where the number it is about is not 0.
_PLANTED = {
    "bulk": {
        "n_de": "{n_de:,} genes differ in each group from group1 ({n_up:,} up, mean |log2 fold change| "
        "{mean_log2_fold_change:g})",
        "n_shifted": "{n_shifted:,} genes shift between batches by a log2 of {batch_shift:g} or more",
        "n_modules": "{n_modules} modules of genes",
    },
    "single-cell": {
        "n_de": "{n_de:,} genes differ between groups ({n_up:,} up, mean |log2 fold change| {mean_log2_fold_change:g})",
        "n_types": "{n_types} cell types",
        "n_modules": "{n_modules} modules of genes",
        "dropout": "{dropout:.0%} of the counts above zero are lost",
    },
    "cohort": {
        "n_biomarkers": "{n_biomarkers} biomarkers of {n_drugs} drugs with {n_targets} targets",
        "noise_sd": "noise with an SD of {noise_sd:g} ln µM",
    },
    "perturbation": {
        "n_drugs": "{n_drugs} drugs move {modules_per_drug} of {n_modules} modules each",
        "n_pairs": "{n_interacting} of {n_pairs} pairs interact",
    },
    "aging": {
        "n_age_genes": "{n_age_genes:,} genes age ({up:.0%} up, {late:.0%} late)",
        "n_sex_genes": "{n_sex_genes} genes differ between the sexes",
    },
}


def simulate(kind: str, out: Path, seed: int, n_datasets: int, *, force: bool, **settings: object) -> None:
    """Simulate, write, and print what was written and what is planted in it.

    Parameters
    ----------
    kind
        Of the data, as the command calls it: bulk, single-cell, ...
    out
        File, or folder for several data sets or a cohort.
    seed
        Of the first data set; the others count up.
    force
        Whether files that this command has not written may be overwritten.
    settings
        Passed on to the function ``simulate_<kind>``.

    Raises
    ------
    ConfigurationError
        If `out` does not fit, something else stands there, or the settings are refused; nothing is written then.
    WriteError
        If a file cannot be written.
    """
    import cellixir.data.simulate
    from cellixir.runs import Progress, RunFolder

    function = getattr(cellixir.data.simulate, f"simulate_{kind.replace('-', '_')}")
    settings = {n: _numbers(v, n) if n.endswith("_shares") else v for n, v in settings.items()}
    places, asked = _places(kind, out, seed, n_datasets), settings | {"seed": seed}
    # no run in a folder is another one: later data of the kind may stand beside these, or in their place
    run = RunFolder(out, f"simulate {kind}", {}, settings=asked, command=command_line(), force=force)
    in_folder = out.suffix != ".h5ad"
    if not force:
        _refuse_foreign(places)
        if in_folder:
            run.refuse_other_work()
    made = function(seed=seed, **settings)  # first, so that settings that are refused leave nothing behind
    with run if in_folder else nullcontext(), Progress("simulate", n_datasets) as progress:
        for number, place in enumerate(places):
            made = function(seed=seed + number, **settings) if number else made
            files = _write(made, place)
            progress.done()
            if in_folder:
                run.wrote("tables", *files)
        planted = f"planted: {_planted(kind, made)}"
        run.says(headline=f"{_size(kind, made)}; {planted}")
    named = f"{places[0]} to {places[-1].name}: {n_datasets} data sets, each" if n_datasets > 1 else f"{out}:"
    echo(f"{named} {_size(kind, made)}\n{planted}")
    others = sorted(set(out.glob("seed*")) - set(places)) if n_datasets > 1 else []
    if others:
        say(f"{out} also holds what was there before, such as {others[0].name}")


def _refuse_foreign(places: list[Path]) -> None:
    """Refuse files that this command has not written."""
    foreign = [place for place in places if not _may_write(place)]
    if foreign:
        message = (
            f"{foreign[0]} exists and 'cellixir simulate' did not write it; choose another --out, or give --force to "
            "write over it"
        )
        raise ConfigurationError(message)


def _numbers(text: object, name: str) -> tuple[float, ...] | None:
    """Numbers of a list such as ``2,1,1``."""
    try:
        return None if text is None else tuple(float(part) for part in str(text).split(","))
    except ValueError:
        message = f"--{name.replace('_', '-')} {text!r} is no list of numbers; give one such as 2,1,1"
        raise ConfigurationError(message) from None


def _places(kind: str, out: Path, seed: int, n_datasets: int) -> list[Path]:
    """File or, for a cohort, folder of each data set."""
    is_file, one = out.suffix == ".h5ad", n_datasets == 1
    if is_file and (kind == "cohort" or not one):
        what = "a cohort is a folder of tables" if kind == "cohort" else f"--n-datasets {n_datasets} fills a folder"
        message = f"{what}; give --out one, such as {out.with_suffix('')}, and not {out}"
        raise ConfigurationError(message)
    if one and kind != "cohort" and not is_file:
        better = out / "sim.h5ad" if out.is_dir() else out.with_suffix(".h5ad")
        message = f"--out {out} must end in .h5ad, such as {better}; it is a folder with --n-datasets above 1"
        raise ConfigurationError(message)
    end = "" if kind == "cohort" else ".h5ad"
    return [out] if one else [out / f"seed{seed + number}{end}" for number in range(n_datasets)]


def _may_write(place: Path) -> bool:
    """Whether no file is there, or one that this command wrote; a folder is that of a run, which looks itself."""
    import h5py

    if not place.is_file():
        return True
    try:
        with h5py.File(place) as file:
            return bool(file.attrs.get(MARK) == OURS)
    except OSError:  # no HDF5 file
        return False


def _write(made: AnnData | Cohort, place: Path) -> list[Path]:
    """Write a data set, and return its files."""
    if not hasattr(made, "write_h5ad"):
        return _write_tables(made, place)
    from cellixir.data.expression.write import write_cells

    write_cells(made, place, attributes={MARK: OURS})
    return [place]


def _write_tables(cohort: Cohort, folder: Path) -> list[Path]:
    """Write all tables of a cohort to a place beside their own first: seeds do not mix if one cannot be written."""
    work = folder / WORK
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # The settings, written last, go first: they mark the folder as ours if the rest is cut off.
        files = [(file, folder / file.relative_to(work)) for file in reversed(cohort.write(work))]
        for file, target in files:
            target.parent.mkdir(exist_ok=True)
            file.replace(target)
        return [target for _, target in files]
    except OSError as error:
        message = f"cannot write to {folder} ({error.strerror or error}); choose another --out"
        raise WriteError(message) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _size(kind: str, made: Any) -> str:
    if kind != "cohort":
        return f"{made.n_obs:,} {_ROWS.get(kind, 'samples')} x {made.n_vars:,} genes"
    n_samples, n_drugs = made.expected.shape
    return f"{n_samples:,} samples, {n_drugs:,} drugs, {len(made.responses):,} measured pairs"


def _planted(kind: str, made: Any) -> str:
    """Settings, and what is counted in the data, in words."""
    truth: dict[str, Any] = vars(made.settings) if kind == "cohort" else made.uns["truth"]
    counted = {
        "bulk": lambda: {"n_shifted": int(made.var["is_shifted"].sum())},
        "cohort": lambda: {"n_biomarkers": len(made.biomarkers)},
        "perturbation": lambda: {"n_interacting": int((made.uns["pairs"]["interaction"] != "none").sum())},
    }
    truth = {**truth, **counted.get(kind, dict)()}
    return "; ".join(text.format(**truth) for key, text in _PLANTED[kind].items() if truth[key]) or "nothing"
