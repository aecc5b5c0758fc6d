"""``cellixir perturb query``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cellixir.cli.shared import echo, hold, print_table, say
from cellixir.exceptions import ConfigurationError

if TYPE_CHECKING:
    import anndata as ad
    import pandas as pd

    from cellixir.perturbation.queries import Queries

QUERY_HELP = """Find the compounds of a reference that mimic a change of expression, and those that reverse it.

The change is genes up and genes down, a signature, or many of them (a GMT with NAME_UP and NAME_DOWN; a table, h5ad or
GCTX of signatures). Writes the signatures at both ends to --out, and the compounds, over cell lines, beside it
(NAME_compounds.csv). 'ncs' is the weighted connectivity score over the mean of its sign in the cell line; 'p' is that
of random genes of the same numbers. The reference is read in blocks.

\b
Examples:
  cellixir perturb query level5.gctx --up up.txt --down down.txt --out hits.csv
  cellixir perturb query level5.gctx --metadata siginfo_beta.txt --signature aging.csv --column log_fc --out hits.csv
  cellixir perturb query reference.h5ad --signature sets.gmt --top 20 --out hits.csv
"""


def query(
    reference: Annotated[Path, typer.Argument(help="Signatures x genes: GCTX, h5ad; z-scores or changes.")],
    out: Annotated[Path, typer.Option(help="Table to write, .csv; the one of compounds stands beside it.")],
    up: Annotated[Path | None, typer.Option(metavar="FILE", help="Genes that go up, one a line.")] = None,
    down: Annotated[Path | None, typer.Option(metavar="FILE", help="Genes that go down, one a line.")] = None,
    signature: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Signatures: GMT, csv, tsv, parquet, h5ad, GCTX.")
    ] = None,
    column: Annotated[
        str | None, typer.Option(metavar="NAME", help="The column of changes of a table with genes in rows.")
    ] = None,
    genes: Annotated[int, typer.Option(min=5, help="Genes up and down that a signature gives.")] = 50,
    metadata: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Table about signatures of a GCTX (sig_info, siginfo_beta).")
    ] = None,
    perturbation_key: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Column of compounds. Default: pert_iname and the like.")
    ] = None,
    cell_line_key: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Column of cell lines. Default: cell_id and the like.")
    ] = None,
    top: Annotated[int, typer.Option(min=0, help="Signatures and compounds at each end; 0 is all.")] = 50,
    permutations: Annotated[int, typer.Option(min=10, help="Random sets of genes a signature.")] = 100,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same result.")] = 0,
) -> None:
    """Read, score, write."""
    if (signature is None) == (up is None and down is None):
        message = "give --up and --down (or one of them), or --signature, not both"
        raise ConfigurationError(message)
    if column is not None and signature is None:
        message = "--column is for a table of --signature; leave it out"
        raise ConfigurationError(message)
    if out.suffix != ".csv":
        message = f"--out {out} must end in .csv, such as {out.with_suffix('.csv')}"
        raise ConfigurationError(message)
    from cellixir.files import write_csv
    from cellixir.perturbation.connections import query as run

    hold(out)
    signatures = _reference(reference, metadata)
    asked = _queries(signatures, up, down, signature, column, genes)
    found = run(
        signatures, asked, perturbation_key=perturbation_key, cell_line_key=cell_line_key, top=top,
        n_permutations=permutations, seed=seed,
    )  # fmt: skip
    for note in found.notes:
        say(note)
    compounds = out.with_name(f"{out.stem}_compounds.csv")
    write_csv(found.signatures, out)
    write_csv(found.compounds, compounds)
    _print(found.compounds, asked.names[0])
    echo(f"signatures: {out}")
    echo(f"compounds: {compounds}")


def _reference(path: Path, metadata: Path | None) -> ad.AnnData:
    from cellixir.data.expression.formats import format_of
    from cellixir.data.gctx.read import read_gctx
    from cellixir.sources.expression import read_expression

    kind = format_of(path)
    if kind in {"gctx", "gct"}:
        return read_gctx(path, metadata=metadata, backed=kind == "gctx")
    if metadata is not None:
        message = f"--metadata is for GCT and GCTX; {path} holds its own in obs"
        raise ConfigurationError(message)
    return read_expression(path, backed=kind in {"h5ad", "zarr"}, scale="unknown")


def _queries(
    reference: ad.AnnData, up: Path | None, down: Path | None, signature: Path | None, column: str | None, genes: int
) -> Queries:
    from cellixir.perturbation.genes import landmarks
    from cellixir.perturbation.queries import gene_list, of_sets, read_queries
    from cellixir.perturbation.query_genes import ReferenceGenes

    names = ReferenceGenes(reference.var, landmarks())
    if signature is not None:
        return read_queries(signature, names, n_genes=genes, column=column)
    pair = gene_list(up) if up else [], gene_list(down) if down else []
    return of_sets({(up or down or Path("query")).stem: pair}, names)


def _print(compounds: pd.DataFrame, name: str, shown: int = 5) -> None:
    rows = compounds[(compounds["query"] == name) & (compounds["rank"] <= shown)]
    columns = ["direction", "perturbation", "score", "n_cell_lines", "n_signatures"]
    shown_rows = rows[columns].assign(score=rows["score"].map("{:.2f}".format))
    cells = [list(map(str, row)) for row in shown_rows.itertuples(index=False)]
    print_table(["", "compound", "score", "cell lines", "signatures"], cells, f"query {name}", words=2)
