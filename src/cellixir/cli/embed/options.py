"""Options that several commands of ``cellixir embed`` share, and the cells that they name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import anndata as ad

Data = Annotated[
    Path,
    typer.Argument(help="Cells x genes: h5ad, zarr, 10x .h5, a 10x folder, loom; csv or tsv (also .gz)."),
]
Layer = Annotated[str | None, typer.Option(metavar="NAME", help="Layer of the file instead of X; raw is its raw.")]
Backed = Annotated[bool, typer.Option("--backed", help="Leave the matrix on disk (h5ad, zarr) and stream it.")]
BatchKey = Annotated[
    str | None, typer.Option(metavar="COLUMN", help="Column of batches that the decoder corrects for.")
]
LabelKey = Annotated[
    str | None, typer.Option(metavar="COLUMN", help="Column of cell types; cells without one are left unlabelled.")
]
GroupKey = Annotated[
    str | None, typer.Option(metavar="COLUMN", help="Column of patients: none is on both sides of a split.")
]
GeneSets = Annotated[
    Path | None, typer.Option(metavar="GMT", help="Pathways: each is a latent, and the decoder is masked by them.")
]
Enrich = Annotated[
    Path | None, typer.Option("--enrich", metavar="GMT", help="Pathways to test the genes of each latent for.")
]
Maps = Annotated[bool, typer.Option("--no-maps", help="No t-SNE, UMAP or Leiden clusters.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Seed = Annotated[int, typer.Option(min=0, help="Same seed, same result.")]


def cells_of(path: Path, layer: str | None = None, *, backed: bool = False) -> ad.AnnData:
    """Cells of the file; what was left out or assumed is said on standard error."""
    from cellixir.sources.expression import read_expression

    cells = read_expression(path, layer=layer, backed=backed)
    for note in cells.uns.get("notes", []):
        say(str(note))
    return cells


def say(note: str) -> None:
    """Write a note on standard error."""
    typer.echo(f"note: {note}", err=True)
