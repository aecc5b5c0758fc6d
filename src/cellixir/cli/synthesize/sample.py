"""``cellixir synthesize sample``."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cellixir.cli.shared import echo
from cellixir.cli.simulate_files import MARK
from cellixir.cli.synthesize.options import values_of
from cellixir.exceptions import ConfigurationError, UnknownIds

if TYPE_CHECKING:
    import anndata as ad

    from cellixir.synthesis import Generator

SAMPLE_HELP = """Draw synthetic samples from a bundle.

They have the genes and the scale of the data that the generator was fitted on, and the condition columns. Conditions
that are not asked for come as often as they did there. Another --seed gives other samples. A csv or tsv file holds
the values; the condition columns stand in NAME.obs.csv beside it.

\b
Examples:
  cellixir synthesize sample tumours.bundle -n 300 --out synthetic.h5ad
  cellixir synthesize sample tumours.bundle -n 100 --given group=group2 --given batch=batch1 --out g2.h5ad
"""
#: What marks a file as one that may be written over.
OURS = "cellixir synthesize"
#: Values from which memory is asked for, and samples that are drawn to tell how much.
MANY, PROBED = 100_000_000, 100
TABLES = (".csv", ".tsv", ".csv.gz", ".tsv.gz")


def sample(
    bundle: Annotated[Path, typer.Argument(help="Folder that 'fit' wrote.")],
    out: Annotated[Path, typer.Option(help="File to write: .h5ad, .csv, .tsv (also .gz).")],
    n: Annotated[int, typer.Option("--n-samples", "-n", help="Samples to draw.")],
    given: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN=VALUE", help="Only such samples; may be given more than once.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of the draw. Default: that of the fit.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Also overwrite what this command has not written.")] = False,
) -> None:
    """Load, draw, write, and say what was drawn."""
    fixed = values_of(given)
    _check(bundle, out, force=force)

    from cellixir.data.expression.write import write_cells
    from cellixir.synthesis import load_generator

    generator = load_generator(bundle)
    _require_memory(generator, n)
    try:
        made = generator.sample(n, given=fixed, seed=seed)
    except UnknownIds as error:
        if any("," in value and "=" in value for value in fixed.values()):
            error.add_note("--given takes one COLUMN=VALUE; give it once for each column")
        raise
    if out.suffix == ".h5ad":
        write_cells(made, out, compression="gzip", attributes={MARK: OURS})
    else:
        _write_tables(made, out)
    counts = "; ".join(
        f"{column}: {', '.join(f'{name} {n:,}' for name, n in made.obs[column].value_counts().items() if n)}"
        for column in made.obs
    )
    echo(f"{made.n_obs:,} samples x {made.n_vars:,} genes{f' ({counts})' if counts else ''}: {out}")


def _check(bundle: Path, out: Path, *, force: bool) -> None:
    """Refuse a place that cannot be written or is somebody else's, before the bundle is read."""
    from cellixir.files import require_writable

    if not out.name.endswith((".h5ad", *TABLES)):
        message = f"--out {out} must end in .h5ad or {', '.join(TABLES)}, such as {out}.h5ad"
        raise ConfigurationError(message)
    if out.resolve().is_relative_to(bundle.resolve()):
        message = f"--out {out} would stand in the bundle {bundle}; choose another --out"
        raise ConfigurationError(message)
    places = [out] if out.suffix == ".h5ad" else [out, _obs_of(out)]
    for place in [] if force else [place for place in places if place.is_file() and not _is_ours(place)]:
        message = (
            f"{place} exists and 'cellixir synthesize' did not write it; choose another --out, or give --force to "
            "write over it"
        )
        raise ConfigurationError(message)
    require_writable(out)


def _write_tables(made: ad.AnnData, out: Path) -> None:
    """Values, and the condition columns in a file beside them: a table of numbers is read as it was written."""
    from cellixir.files import write_csv

    table = made.to_df().rename_axis("sample")
    write_csv(table, out, index=True, sep="\t" if ".tsv" in out.suffixes else ",")
    if len(made.obs.columns):
        write_csv(made.obs.rename_axis("sample"), _obs_of(out), index=True)


def _obs_of(out: Path) -> Path:
    return out.with_name(f"{out.name.split('.')[0]}.obs.csv")


def _require_memory(generator: Generator, n: int) -> None:
    """Refuse more samples than this machine has memory for, by the size of a few."""
    import os

    import scipy.sparse as sp

    if n * len(generator.genes_) < MANY or not hasattr(os, "sysconf"):
        return
    few: Any = generator.sample(PROBED).X
    stored = few.data.nbytes + few.indices.nbytes if sp.issparse(few) else few.nbytes
    each = 2 * stored / PROBED  # parts, and the whole that they are joined to
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if n * each > memory:
        most = 10 ** int(math.log10(0.5 * memory / each))
        message = (
            f"{n:,} samples x {len(generator.genes_):,} genes need about {n * each / 1e9:,.0f} GB of memory, and there "
            f"are {memory / 1e9:,.0f}; draw {most:,} at a time, each file with another --seed"
        )
        raise ConfigurationError(message)


def _is_ours(file: Path) -> bool:
    import h5py

    try:
        with h5py.File(file) as opened:
            return bool(opened.attrs.get(MARK) == OURS)
    except OSError:  # no HDF5 file
        return False
