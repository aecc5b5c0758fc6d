"""``cellixir response audit``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cellixir.cli.response.options import (
    Dataset,
    Drugs,
    Ids,
    Omics,
    Require,
    Response,
    Samples,
    Seed,
    Split,
    Views,
    data_of,
    refuse_given,
)
from cellixir.exceptions import ConfigurationError

if TYPE_CHECKING:
    from cellixir.data.audit.response import Audit, Finding

AUDIT_HELP = """Say whether the answer can be known without a model: before a score is believed.

Of a table: columns that rebuild the target, alone or together, and rows that stand twice. Of responses: molecules,
lines and profiles that are the same on two sides of a split, and features that are responses. Writes audit.json to
--out. Exit code 3 if something leaks, 0 if not; docs/audit.md says what each kind of finding is.

\b
Examples:
  cellixir response audit --table PANCANCER_ANOVA.csv --target log_ic50_mean_pos
  cellixir response audit --table PANCANCER_ANOVA.csv --target tissue_pval --group "Drug ID"
  cellixir response audit --dataset gdsc-v17 --split LDO --out runs/ldo
  cellixir response audit --response ic50.csv --omics expression=tpm.csv.gz --split LCO --allow line-name
"""

FILE = "audit.json"
OF_RESPONSES = ("drugs", "samples", "ids", "require", "views", "split", "folds", "seed")
SHOWN = 5  # findings of a kind on the terminal; the file has them all


def audit(
    out: Annotated[Path, typer.Option(help="Folder for audit.json.")] = Path(),
    table: Annotated[Path | None, typer.Option(help="Any table, with --target. Instead of responses.")] = None,
    target: Annotated[str | None, typer.Option(metavar="COLUMN", help="Column of the table to be predicted.")] = None,
    group: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Column of the table whose values the split keeps together.")
    ] = None,
    dataset: Dataset = None,
    response: Response = None,
    omics: Omics = None,
    drugs: Drugs = None,
    samples: Samples = None,
    ids: Ids = None,
    require: Require = None,
    views: Views = None,
    split: Split = "LCO",
    folds: Annotated[int, typer.Option(help="Number of folds.")] = 5,
    split_file: Annotated[Path | None, typer.Option(help="Folds from a file (split.csv.gz of a benchmark).")] = None,
    seed: Seed = 0,
    allow: Annotated[
        list[str] | None,
        typer.Option(metavar="KIND[:ID]", help="A finding that shall not count; may be given more than once."),
    ] = None,
) -> None:
    """Audit a table or responses, print what was found, and write it."""
    from cellixir.data.audit.response import check_allowed
    from cellixir.files import require_writable

    check_allowed(allow or [])
    require_writable(out / FILE)
    if table is not None:
        given = {"--dataset": dataset, "--response": response, "--omics": omics, "--split-file": split_file}
        others = [name for name, value in given.items() if value]
        if not others:
            refuse_given(OF_RESPONSES, "is for responses and says nothing of --table")
        found = _of_table(table, target, group, others)
    else:
        if target or group:
            message = "--target and --group name columns of a table; give it with --table FILE"
            raise ConfigurationError(message)
        from cellixir.data.audit.response import audit_response
        from cellixir.data.splits import make_folds, read_folds

        data = data_of(dataset, response, omics, drugs, samples, ids=ids, require=require, views=views)
        dealt = read_folds(split_file, data, split) if split_file else make_folds(data, split, n_folds=folds, seed=seed)
        found = audit_response(data, split, dealt)
    found.write(out / FILE)
    _print(found, allow or [])
    typer.echo(f"audit: {out / FILE}")
    if found.leaks(allow or []):
        from cellixir.exceptions import Leakage

        raise typer.Exit(Leakage.exit_code)


def _of_table(table: Path, target: str | None, group: str | None, others: list[str]) -> Audit:
    from cellixir.data.audit.table import audit_table
    from cellixir.data.tables import read_table

    if others:
        message = f"--table and {others[0]} name two things to audit; give one of them"
        raise ConfigurationError(message)
    if target is None:
        message = "--table needs the column to be predicted; add --target COLUMN"
        raise ConfigurationError(message)
    return audit_table(read_table(table), target, groups=group)


def _print(found: Audit, allow: list[str]) -> None:
    """Findings by kind, what was looked at, and the verdict."""
    from textwrap import fill

    from rich.console import Console
    from rich.text import Text

    from cellixir.data.audit.response import counted

    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
    kinds: dict[tuple[str, str], list[Finding]] = {}
    for finding in found.findings:
        word: str = "allowed" if finding.severity == "leak" and finding.allowed_by(allow) else finding.severity
        kinds.setdefault((word, finding.kind), []).append(finding)
    for (word, kind), findings in kinds.items():
        color = "red" if word == "leak" else "yellow"
        console.print(f"[bold {color}]{word}[/] {kind}: {len(findings):,}")
        for finding in findings[:SHOWN]:
            console.print(Text(fill(finding.what, console.width, initial_indent="  ", subsequent_indent="  ")))
        if len(findings) > SHOWN:
            console.print(f"  ... and {len(findings) - SHOWN:,} more")
    looked = "; ".join(f"{name}: {count:,}" for name, count in found.checks.items())
    console.print(Text(f"looked at: {looked}"))
    leaks = found.leaks(allow)
    names = " ".join(f"--allow {kind}" for kind in dict.fromkeys(finding.kind for finding in leaks))
    console.print(f"{counted(len(leaks), 'leak')}; to fit all the same: {names}" if leaks else "nothing leaks")
