"""Findings of an audit, the audit itself, and the refusal to fit while something leaks."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from cellixir.exceptions import ConfigurationError, Leakage
from cellixir.files import whole

KINDS = {
    "copy": "a column is the target, shifted and scaled",
    "near-copy": "a column is nearly the target",
    "monotone": "a column is an increasing or decreasing function, or a power, of the target",
    "rebuild": "a few columns together give the target",
    "nearly-rebuilt": "a boosted tree computes the target from the columns",
    "determined": "rows with the same value of a column have the same target",
    "duplicate-rows": "rows have the same features",
    "duplicate-columns": "columns hold the same",
    "constant": "columns hold one value",
    "few-rows": "there are too few rows to tell",
    "replicate": "measurements of one pair stand on two sides of a fold",
    "unit-on-two-sides": "what the split leaves out is also in training",
    "same-molecule": "drugs with different ids are one molecule",
    "same-responses": "drugs have the same responses",
    "scaffold": "test drugs have the scaffold of a training drug",
    "same-donor": "lines come from one donor",
    "duplicate-features": "samples have the same features in every view",
    "same-profile": "samples have nearly the same profile",
    "line-name": "lines have the same name but for case and punctuation",
    "response-in-features": "a feature is the response",
    "unseen": "a drug or sample of the test rows is in no training row",
}
COLLECTIVE = {"replicate", "unit-on-two-sides", "duplicate-rows"}  # one finding for many groups: one id is not enough
SHOWN = 20  # ids that a finding names at most; ``n`` counts them all


@dataclass(frozen=True)
class Finding:
    """One way in which the answer can be known.

    Attributes
    ----------
    kind
        One of `KINDS`; what ``--allow`` names.
    severity
        ``leak`` stops a fit, ``warning`` is said.
    what
        One sentence that names the columns or ids and the way out.
    ids
        The columns or ids, at most `SHOWN` of them.
    n
        How many columns, ids or rows are concerned.
    """

    kind: str
    severity: Literal["leak", "warning"]
    what: str
    ids: tuple[str, ...] = ()
    n: int = 0

    def allowed_by(self, allow: Collection[str]) -> bool:
        """Whether ``KIND``, or ``KIND:id`` for one of its ids, is in ``allow``; of a `COLLECTIVE` kind for every id.

        >>> Finding("copy", "leak", "...", ("ic50",)).allowed_by(["copy:ic50"])
        True
        """
        named = [f"{self.kind}:{i}" in allow for i in self.ids]
        if self.kind in COLLECTIVE:
            return self.kind in allow or (all(named) and 0 < len(named) < SHOWN)
        return self.kind in allow or any(named)


@dataclass(frozen=True)
class Audit:
    """What was found, leaks first, and what was looked at, with counts."""

    findings: tuple[Finding, ...]
    checks: dict[str, int]

    def leaks(self, ignore: Collection[str] = ()) -> list[Finding]:
        """Findings that stop a fit, without those that ``ignore`` names (``KIND`` or ``KIND:id``).

        Raises
        ------
        ConfigurationError
            If ``ignore`` names a kind that does not exist.
        """
        check_allowed(ignore)
        return [f for f in self.findings if f.severity == "leak" and not f.allowed_by(ignore)]

    def to_json(self) -> str:
        """The audit as JSON: number of leaks, findings, checks."""
        findings = [asdict(finding) for finding in self.findings]
        content = {"leaks": len(self.leaks()), "findings": findings, "checks": self.checks}
        return json.dumps(content, indent=1, ensure_ascii=False) + "\n"

    def write(self, path: Path | str) -> None:
        """Write the JSON to ``path``, whole or not at all."""
        with whole(path) as partial:
            partial.write_text(self.to_json(), encoding="utf-8")


def sorted_audit(findings: Iterable[Finding], checks: dict[str, int]) -> Audit:
    """Audit with the leaks first, otherwise in the order of the checks."""
    return Audit(tuple(sorted(findings, key=lambda f: f.severity != "leak")), checks)


def check_allowed(allow: Collection[str]) -> None:
    """Refuse an entry that is not ``KIND`` or ``KIND:id``, before work is done for it."""
    unknown = [entry for entry in allow if entry.partition(":")[0] not in KINDS]
    if unknown:
        message = f"--allow {unknown[0]} names no kind of finding; write KIND or KIND:id, KIND one of "
        raise ConfigurationError(message + ", ".join(KINDS))


def require_clean(audit: Audit, allow: Collection[str] = ()) -> None:
    """Refuse to go on while something leaks that ``allow`` does not name.

    Parameters
    ----------
    audit
        Of `audit_response` or `audit_table`.
    allow
        ``KIND`` or ``KIND:id``: findings to fit with all the same.

    Raises
    ------
    Leakage
        Names the columns or ids, the way out, and the override.
    """
    leaks = audit.leaks(allow)
    if leaks:
        counts = Counter(finding.kind for finding in leaks)
        first = {finding.kind: finding for finding in reversed(leaks)}
        said = [first[kind].what + _others(leaks, kind) for kind in counts]
        override = f"{' '.join(f'--allow {kind}' for kind in counts)}, or --allow KIND:ID for one of them"
        message = f"{'; '.join(said)}; to fit all the same: {override}"
        raise Leakage(message)


def _others(leaks: Sequence[Finding], kind: str) -> str:
    rest = [" + ".join(f.ids[:4]) for f in leaks if f.kind == kind][1:]
    return f" ({len(rest)} more of this kind: {', '.join(rest[:5])}{', ...' * (len(rest) > 5)})" if rest else ""
