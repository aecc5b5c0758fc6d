"""``cellixir synthesize sample``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cellixir.cli.simulate_files import MARK
from cellixir.cli.synthesize.options import values_of
from cellixir.exceptions import ConfigurationError

if TYPE_CHECKING:
    from anndata import AnnData

SAMPLE_HELP = """Draw synthetic samples from a bundle.

They have the genes and the scale of the data that the generator was fitted on, and the condition columns. Conditions
that are not asked for come as often as they did there. Another --seed gives other samples.

\b
Examples:
  cellixir synthesize sample tumours.bundle -n 300 --out synthetic.h5ad
  cellixir synthesize sample tumours.bundle -n 100 --condition group=group2 --condition batch=batch1 --out g2.h5ad
"""
#: What marks a file as one that may be written over.
OURS = "cellixir synthesize"


def sample(
    bundle: Annotated[Path, typer.Argument(help="Folder that 'fit' wrote.")],
    out: Annotated[Path, typer.Option(help="File to write, .h5ad.")],
    n: Annotated[int, typer.Option("--n-samples", "-n", help="Samples to draw.")],
    condition: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN=VALUE", help="Only such samples; may be given more than once.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of the draw. Default: that of the fit.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Also overwrite what this command has not written.")] = False,
) -> None:
    """Load, draw, write, and say what was drawn."""
    fixed = values_of(condition)
    _check(bundle, out, force=force)

    from cellixir.synthesis import load_generator

    made = load_generator(bundle).sample(n, condition=fixed, seed=seed)
    _write(made, out)
    counts = "; ".join(
        f"{column}: {', '.join(f'{name} {n:,}' for name, n in made.obs[column].value_counts().items() if n)}"
        for column in made.obs
    )
    typer.echo(f"{made.n_obs:,} samples x {made.n_vars:,} genes{f' ({counts})' if counts else ''}: {out}")


def _check(bundle: Path, out: Path, *, force: bool) -> None:
    """Refuse a place that cannot be written or is somebody else's, before the bundle is read."""
    from cellixir.files import require_writable

    if out.suffix != ".h5ad":
        message = f"--out {out} must end in .h5ad, such as {out}.h5ad"
        raise ConfigurationError(message)
    if out.resolve().is_relative_to(bundle.resolve()):
        message = f"--out {out} would stand in the bundle {bundle}; choose another --out"
        raise ConfigurationError(message)
    if not force and out.is_file() and not _is_ours(out):
        message = (
            f"{out} exists and 'cellixir synthesize' did not write it; choose another --out, or give --force to write "
            "over it"
        )
        raise ConfigurationError(message)
    require_writable(out)


def _is_ours(file: Path) -> bool:
    import h5py

    try:
        with h5py.File(file) as opened:
            return bool(opened.attrs.get(MARK) == OURS)
    except OSError:  # no HDF5 file
        return False


def _write(made: AnnData, out: Path) -> None:
    import h5py

    from cellixir.files import whole

    with whole(out) as partial:
        made.write_h5ad(partial, compression="gzip")
        with h5py.File(partial, "r+") as file:
            file.attrs[MARK] = OURS
