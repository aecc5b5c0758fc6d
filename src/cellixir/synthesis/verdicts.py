"""What the numbers of an evaluation say: whether the data are faithful, useful and private.

Each question has criteria, and each criterion the answer yes, partly or no by its two limits. A question is answered
yes if all its criteria are, no if one is no, partly otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from cellixir.metrics.catalogue import GENERATIVE, PRIVACY

Answer = Literal["yes", "partly", "no", "not judged"]
#: Metric, value with its interval, ceiling with the lower end of its interval, and floor of a row of the table.
Row = Mapping[str, float]

#: A difference that nobody would act on.
SLIGHT = 0.02
#: Where real and shuffled data are as near as this, a criterion between them says nothing.
NARROW = 0.05


@dataclass(frozen=True)
class Criterion:
    """A metric, how it is judged, and where yes and partly end.

    ``measure`` turns a row of the table into a number: the higher the better if ``yes`` is above ``partly``, else the
    lower.
    """

    metric: str
    measure: Callable[[Row], float]
    yes: float
    partly: float

    def answer(self, row: Row) -> Answer:
        """Answer for one row; ``not judged`` where the number is not known."""
        number = self.measure(row)
        if np.isnan(number):
            return "not judged"
        sign = 1 if self.yes > self.partly else -1
        return "yes" if sign * number >= sign * self.yes else "partly" if sign * number >= sign * self.partly else "no"


@dataclass(frozen=True)
class Verdict:
    """The answer to one question, in a sentence with the numbers it rests on, and what kept it from being yes."""

    question: str
    answer: Answer
    sentence: str
    held_back_by: tuple[str, ...] = ()

    @property
    def advice(self) -> str:
        """What to do, where the answer is partly or no."""
        return ADVICE[self.question] if self.answer in ("partly", "no") else ""


#: What helps against an answer that is not yes.
ADVICE = {
    "Faithful": "Compare the other generators on these data (cellixir synthesize benchmark); fit on more samples.",
    "Useful": "Give the generator the column of groups or labels (--condition); fit on more samples of the rare ones.",
    "Private": (
        "Do not share these samples or the bundle as they are. What lowers the risk: fit on more samples, on fewer "
        "genes, merge rare groups, leave out copies; then evaluate anew. If it stays, do not share."
    ),
}


def of_ceiling(row: Row) -> float:
    """Value over ceiling; unknown unless the interval of the ceiling is above 0: a ratio of two noises says nothing."""
    return row["value"] / row["ceiling"] if row["ceiling_low"] > 0 else float("nan")


def beyond_ceiling(row: Row) -> float:
    """Lower end of the interval, or the value where there is none, less ceiling."""
    return (row["value"] if np.isnan(row["low"]) else row["low"]) - row["ceiling"]


def beyond_chance(row: Row) -> float:
    """Lower end of the interval."""
    return row["low"]


def over_ceiling(row: Row) -> float:
    """Value less ceiling."""
    return row["value"] - row["ceiling"]


def over_chance(row: Row) -> float:
    """Value less the ceiling, which cannot be better than chance."""
    return row["value"] - max(row["ceiling"], 0.5)


def way_up(row: Row) -> float:
    """Share of the way from shuffled genes to real data."""
    way = row["ceiling"] - row["floor"]
    return (row["value"] - row["floor"]) / way if way > NARROW else float("nan")


def stretch(row: Row) -> float:
    """How many times the effects are too small or too large, against real data: 0.5 and 2 are both 2."""
    share = of_ceiling(row)
    return share if np.isnan(share) else float(max(share, 1 / share)) if share > 0 else float("inf")


def at_most(row: Row) -> float:
    """Upper end of the interval over the ceiling."""
    return (row["value"] if np.isnan(row["high"]) else row["high"]) / row["ceiling"] if row["ceiling"] else float("nan")


def least(row: Row) -> float:
    """Lower end of the interval where it reaches below chance, else the value."""
    return row["value"] if np.isnan(row["low"]) or row["low"] > 0.5 else min(row["value"], 0.5)


CRITERIA: dict[str, tuple[Criterion, ...]] = {
    "Faithful": (
        Criterion("precision", of_ceiling, 0.85, 0.5),
        Criterion("recall", of_ceiling, 0.85, 0.5),
        Criterion("c2st", over_chance, 0.15, 0.35),
        Criterion("correlation", of_ceiling, 0.85, 0.5),
        Criterion("gene_variance", over_ceiling, 0.3, 1.0),
    ),
    "Useful": (
        Criterion("tstr", way_up, 0.9, 0.5),
        Criterion("de_f1", of_ceiling, 0.85, 0.5),
        Criterion("lfc_slope", stretch, 1.25, 2.0),
    ),
    "Private": (
        Criterion("copies", beyond_ceiling, 0.001, 0.01),
        Criterion("near_copies", beyond_chance, 0.001, 0.01),
        Criterion("dcr_share", least, 0.55, 0.65),
        Criterion("membership", least, 0.6, 0.7),
        Criterion("reference_attack", least, 0.6, 0.7),
        Criterion("authenticity", at_most, 0.7, 0.4),
    ),
}
NO_PROOF = " Such numbers can show a leak, but none proves privacy."
NOT_JUDGED = "no number it needs could be computed"
WAY_OUT = {"Useful": "; name the column of groups or labels (group key, label key)"}
_PRIVATE = {criterion.metric: criterion for criterion in CRITERIA["Private"]}
_PRIVATE_WORDS = {"yes": "no sign of a leak", "partly": "some sign of a leak", "no": "gives away", "not judged": ""}


def verdict(question: str, rows: Mapping[str, Row]) -> Verdict:
    """Answer to a question of ``CRITERIA`` from rows by metric."""
    answers = {c.metric: c.answer(rows[c.metric]) for c in CRITERIA[question] if c.metric in rows}
    judged = {metric: answer for metric, answer in answers.items() if answer != "not judged"}
    left = "".join(_unclear(metric, rows[metric]) for metric in answers if metric not in judged)
    if not judged:
        why = WAY_OUT.get(question, "") if not answers else ""
        return Verdict(question, "not judged", f"{question}: not judged; {NOT_JUDGED}{why}.{left}")
    answer = _together(list(judged.values()))
    short = tuple(GENERATIVE[metric].words for metric, found in judged.items() if found == answer != "yes")
    numbers = "; ".join(_number(metric, rows[metric]) for metric in judged)
    why = f" Held back by {_listed(short)}." if short else ""
    caveat = _possible(rows) + NO_PROOF if question == "Private" else ""
    return Verdict(question, answer, f"{question}: {answer}. {numbers}.{why}{left}{caveat}", short)


def _unclear(metric: str, row: Row) -> str:
    """Why a number that is known was not judged."""
    if np.isnan(row["value"]):
        return ""
    return (
        f" {GENERATIVE[metric].words} {_short(row['value'])} is not judged: that of real data, "
        f"{_short(row['ceiling'])}, is not clear of 0 (lower end {_short(row['ceiling_low'])})."
    )


def _possible(rows: Mapping[str, Row]) -> str:
    """What too few samples leave possible: intervals that hold chance, and a number that would be a no."""
    known = [(c, rows[c.metric]) for c in CRITERIA["Private"] if c.measure is least and c.metric in rows]
    wide = [
        f"{GENERATIVE[c.metric].words} of {_short(row['high'])}"
        for c, row in known
        if row["low"] <= 0.5 and row["high"] > c.partly
    ]
    return f" So few samples do not rule out {_listed(tuple(wide))}: hold out more." if wide else ""


def row_verdict(metric: str, row: Row) -> str:
    """What one row says against real held-out data and shuffled genes."""
    if metric in _PRIVATE:
        return _PRIVATE_WORDS[_PRIVATE[metric].answer(row)]
    if metric == "augmentation":
        return "gain" if row["low"] > 0 else "loss" if row["high"] < 0 else "no gain"
    if np.isnan(row["value"]) or np.isnan(row["ceiling"]):
        return ""
    merit = GENERATIVE[metric].merit
    value, ceiling, floor = merit(row["value"]), merit(row["ceiling"]), merit(row["floor"])
    if max(value, _best_within(metric, row)) >= ceiling - _tolerance(ceiling, floor):
        return "as real"
    if GENERATIVE[metric].family == PRIVACY or np.isnan(floor) or floor >= ceiling - _tolerance(ceiling, floor):
        return "not as real"
    share = (value - floor) / (ceiling - floor)
    return "close to real" if share >= 0.8 else "between" if share >= 0.2 else "as shuffled genes"


def _together(answers: list[Answer]) -> Answer:
    return "no" if "no" in answers else "partly" if "partly" in answers else "yes"


def _best_within(metric: str, row: Row) -> float:
    """Merit of the best number of the interval."""
    best, low, high = GENERATIVE[metric].best, row["low"], row["high"]
    if np.isnan(low) or np.isnan(high):
        return -np.inf
    ends = [low, high] + ([float(best)] if not isinstance(best, str) and low <= best <= high else [])
    return max(GENERATIVE[metric].merit(end) for end in ends)


def _tolerance(ceiling: float, floor: float) -> float:
    return SLIGHT * (abs(ceiling - floor) if np.isfinite(floor) else 1.0)


def _number(metric: str, row: Row) -> str:
    words, value, ceiling = GENERATIVE[metric].words, _short(row["value"]), _short(row["ceiling"])
    return f"{words} {value} (real {ceiling})"


def _short(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.2f}".replace("-", "−")


def _listed(names: tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
