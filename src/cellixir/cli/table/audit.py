"""``cellixir table audit``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cellixir.cli.audits import AuditAllow, AuditOut, report_audit
from cellixir.cli.shared import FoldKey, GroupKey

AUDIT_HELP = """Say whether a column can be computed from the others, before a score is believed.

Columns that rebuild the target, alone or together, and rows that stand twice. Writes audit.json to --out. Exit code 3
if something leaks, 0 if not; docs/audit.md says what each kind of finding is.

\b
Examples:
  cellixir table audit PANCANCER_ANOVA.csv --target log_ic50_mean_pos
  cellixir table audit PANCANCER_ANOVA.csv --target tissue_pval --group-key "Drug ID" --out runs/audit
  cellixir table audit pairs.csv --target synergy --fold-key cl_fold --group-key cell_line
  cellixir table audit pairs.csv --target synergy --fold-key fold --group-key drug_a_name+drug_b_name
"""


def audit(
    table: Annotated[Path, typer.Argument(help="Any table: csv, tsv, gz, xlsx, parquet.")],
    target: Annotated[str, typer.Option(metavar="COLUMN", help="Column to be predicted.")],
    group_key: GroupKey = None,
    fold_key: FoldKey = None,
    out: AuditOut = None,
    allow: AuditAllow = None,
) -> None:
    """Audit a table, print what was found, and write it."""
    from cellixir.data.audit.table import audit_table
    from cellixir.data.tables import read_table

    report_audit(
        "table audit",
        lambda: audit_table(read_table(table), target, groups=group_key, folds=fold_key),
        {"table": str(table), "target": target, "group_key": group_key, "fold_key": fold_key},
        out,
        allow or [],
    )
