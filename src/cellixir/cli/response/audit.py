"""``cellixir response audit``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cellixir.cli import shared
from cellixir.cli.audits import AuditAllow, AuditOut, report_audit
from cellixir.cli.response import options
from cellixir.cli.response.options import data_of

AUDIT_HELP = """Say whether test responses can be known without a model, before a score is believed.

Molecules, lines and profiles that are the same on two sides of a split, and features that are responses. Writes
audit.json to --out. Exit code 3 if something leaks, 0 if not; docs/audit.md says what each kind of finding is.
'cellixir table audit' does the same for any table.

\b
Examples:
  cellixir response audit --dataset gdsc-v17 --split LDO --out runs/ldo-audit
  cellixir response audit --response ic50.csv --omics expression=tpm.csv.gz --split LCO --allow line-name
"""


def audit(
    out: AuditOut = None,
    dataset: options.Dataset = None,
    response: options.Response = None,
    omics: options.Omics = None,
    drugs: options.Drugs = None,
    samples: options.Samples = None,
    ids: options.Ids = None,
    require: options.Require = None,
    views: options.Views = None,
    split: options.Split = "LCO",
    folds: shared.Folds = 5,
    split_file: Annotated[Path | None, typer.Option(help="Folds from a file (split.csv.gz of a benchmark).")] = None,
    seed: shared.Seed = 0,
    allow: AuditAllow = None,
) -> None:
    """Audit responses with their folds, print what was found, and write it."""
    from cellixir.data.audit.response import audit_response
    from cellixir.data.splits import make_folds, read_folds

    data = data_of(dataset, response, omics, drugs, samples, ids=ids, require=require, views=views)
    dealt = read_folds(split_file, data, split) if split_file else make_folds(data, split, n_folds=folds, seed=seed)
    settings = {"split": split, "folds": folds, "seed": seed, "data": data.fingerprint}
    report_audit("response audit", lambda: audit_response(data, split, dealt), settings, out, allow or [])
