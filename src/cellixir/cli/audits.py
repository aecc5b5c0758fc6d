"""What both commands of the leakage audit print, write and end with."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cellixir.cli.shared import WIDTH, command_line, echo
from cellixir.terminal import printable

if TYPE_CHECKING:
    from cellixir.data.audit.findings import Audit, Finding

FILE = "audit.json"
SHOWN = 5  # findings of a kind on the terminal; the file has them all

AuditOut = Annotated[Path | None, typer.Option("--out", help="Folder of its own for audit.json. Default: here.")]
AuditAllow = Annotated[
    list[str] | None,
    typer.Option("--allow", metavar="KIND[:ID]", help="A finding that shall not count; may be given more than once."),
]


def report_audit(
    job: str, audit: Callable[[], Audit], settings: Mapping[str, Any], out: Path | None, allow: list[str]
) -> None:
    """Do the audit, print what was found, and write it; with a folder of its own, with a manifest.

    Raises
    ------
    typer.Exit
        With code 3 if something leaks.
    """
    from cellixir.data.audit.findings import check_allowed
    from cellixir.exceptions import Leakage, counted
    from cellixir.files import require_writable
    from cellixir.runs import RunFolder

    check_allowed(allow)
    file = (out or Path()) / FILE
    if out is None:
        require_writable(file)
        found = audit()
        found.write(file)
    else:
        with RunFolder(out, job, dict(settings), settings=settings, command=command_line(), replaces=True) as run:
            found = audit()
            found.write(file)
            leaks = found.leaks(allow)
            said = f"{counted(len(leaks), 'leak')} among {counted(len(found.findings), 'finding')}"
            run.says(headline=said, metrics={"leaks": len(leaks), "findings": len(found.findings)})
    _print(found, allow)
    echo(f"audit: {file}")
    if found.leaks(allow):
        raise typer.Exit(Leakage.exit_code)


def _print(found: Audit, allow: list[str]) -> None:
    """Findings by kind, what was looked at, and the verdict."""
    from textwrap import fill

    from rich.console import Console
    from rich.text import Text

    from cellixir.exceptions import counted

    console = Console(width=None if sys.stdout.isatty() else WIDTH, highlight=False)
    kinds: dict[tuple[str, str], list[Finding]] = {}
    for finding in found.findings:
        word: str = "allowed" if finding.severity == "leak" and finding.allowed_by(allow) else finding.severity
        kinds.setdefault((word, finding.kind), []).append(finding)
    for (word, kind), findings in kinds.items():
        color = "red" if word == "leak" else "yellow"
        console.print(f"[bold {color}]{word}[/] {kind}: {len(findings):,}")
        for finding in findings[:SHOWN]:
            console.print(
                Text(fill(printable(finding.what), console.width, initial_indent="  ", subsequent_indent="  "))
            )
        if len(findings) > SHOWN:
            console.print(f"  ... and {len(findings) - SHOWN:,} more")
    looked = "; ".join(f"{name}: {count:,}" for name, count in found.checks.items())
    console.print(Text(printable(f"looked at: {looked}")))
    leaks = found.leaks(allow)
    names = " ".join(f"--allow {kind}" for kind in dict.fromkeys(finding.kind for finding in leaks))
    console.print(f"{counted(len(leaks), 'leak')}; to fit all the same: {names}" if leaks else "nothing leaks")
