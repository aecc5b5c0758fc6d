"""``cellixir embed apply``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cellixir.cli.shared import Backed, CellsAre, Device, Layer, Samples, Scale, cells_of, echo, say

APPLY_HELP = """Embed other cells with a bundle: latents, and the types that its head calls.

Genes are matched by name, in any order. Writes the cells with obsm["X_vae"] and, where the model has a head, the
columns predicted and probability (that of the called type).

\b
Examples:
  cellixir embed apply runs/pbmc new_cells.h5ad --out new_embedded.h5ad
  cellixir embed apply runs/pbmc/model counts.csv.gz --missing zero --out embedded.h5ad
"""


def apply(
    bundle: Annotated[Path, typer.Argument(help="Folder that 'fit' wrote, or the model in it.")],
    data: Samples,
    out: Annotated[Path, typer.Option(help="File to write, .h5ad.")],
    missing: Annotated[
        str,
        typer.Option(
            help="Genes of the model that the data lack: refuse, or zero or mean (no counts) for up to a fifth."
        ),
    ] = "refuse",
    layer: Layer = None,
    backed: Backed = False,
    scale: Scale = None,
    cells_are: CellsAre = "auto",
    device: Device = "auto",
) -> None:
    """Load, embed, write."""
    from cellixir.embedding.application import apply as run
    from cellixir.embedding.application import check_apply

    check_apply(bundle, data, out, missing)
    cells = cells_of(data, layer, backed=backed, scale=scale, cells_are=cells_are)
    done = run(bundle, cells, out, missing=missing, device=device)
    for note in done.notes:
        say(note)
    called = f", types called by the head: {done.called}" if done.called else ""
    echo(f"{done.n_cells:,} cells in {done.n_latents} dimensions{called}: {out}")
