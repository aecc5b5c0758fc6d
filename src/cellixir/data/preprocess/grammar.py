"""Grammar of preprocessing: steps, chains of steps such as ``impute=mean,standard``, and the chain of each view."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cellixir.exceptions import ConfigurationError, examples

STEPS: dict[str, str] = {  # what stands behind the name
    "impute": "mean|median|knn|drop",
    "standard": "",
    "minmax": "",
    "robust": "",
    "rank": "",
    "quantile": "",
    "variance": "K",
    "variance>": "T",
    "anova": "K",
    "mutual_info": "K",
    "rfe": "K",
    "pca": "K",
}
SUPERVISED = ("anova", "mutual_info", "rfe")
GAPS_PASS = ("impute", "standard", "minmax", "robust", "variance", "variance>")  # a missing value stays missing
EQUALISING = ("standard", "quantile")
_STEP = re.compile(r"([a-z_]+)\s*(?:([=>])\s*(\S+))?")


@dataclass(frozen=True)
class Step:
    """One step: a name of `STEPS`, and what stands behind it.

    >>> str(Step("pca", 50)), str(Step("variance>", 0.1)), str(Step("standard"))
    ('pca=50', 'variance>0.1', 'standard')
    """

    name: str
    value: str | int | float | None = None

    def __post_init__(self) -> None:
        if self.name not in STEPS:
            message = f"there is no preprocessing step '{self}'; choose from {', '.join(map(_form, STEPS))}, or none"
            raise ConfigurationError(message)
        if not self._value_fits():
            number = ", K a whole number from 1 up" if STEPS[self.name] == "K" else ""
            other = f", or {_form('variance>')} for a threshold" if self.name == "variance" else ""
            message = f"preprocessing step '{self}' cannot be understood; write {_form(self.name)}{number}{other}"
            raise ConfigurationError(message)

    def _value_fits(self) -> bool:
        value, what = self.value, STEPS[self.name]
        if what == "K":
            return isinstance(value, int) and not isinstance(value, bool) and value > 0
        if what == "T":
            return isinstance(value, int | float) and 0 <= value < np.inf
        return value in what.split("|") if what else value is None

    def __str__(self) -> str:
        return _written(self.name, "" if self.value is None else str(self.value))


def _form(name: str) -> str:
    return _written(name, STEPS[name])


def _written(name: str, value: str) -> str:
    return f"{name}{'' if name.endswith('>') or not value else '='}{value}"


DEFAULT = (Step("impute", "mean"), Step("standard"))


def parse_preprocess(text: str) -> dict[str, tuple[Step, ...]]:
    """Chain of each view; the key ``''`` is for every view that has none of its own.

    ``none`` is a chain without steps.

    >>> {view: [str(s) for s in steps] for view, steps in parse_preprocess("standard; mutation: variance=100").items()}
    {'': ['standard'], 'mutation': ['variance=100']}

    Raises
    ------
    ConfigurationError
        If a step is unknown, has a value that it cannot have or stands where it cannot; names the step and the
        choices.
    """
    chains: dict[str, tuple[Step, ...]] = {}
    for part in filter(None, map(str.strip, text.split(";"))):
        view, colon, steps = part.rpartition(":")
        view = view.strip()
        if view in chains or (colon and not view):
            fault = f"names the view '{view}' twice" if view else "has two chains for all views, or ':' without a view"
            message = f"--preprocess '{text}' {fault}; write one chain a view, such as 'standard;mutation:variance=100'"
            raise ConfigurationError(message)
        chains[view] = parse_steps(steps)
    if not chains:
        message = f"--preprocess holds no step; choose from {', '.join(map(_form, STEPS))}, or none"
        raise ConfigurationError(message)
    return chains


def parse_steps(text: str) -> tuple[Step, ...]:
    """Steps of one chain, checked in their order."""
    if text.strip().casefold() == "none":
        return ()
    parts = [part.strip() for part in text.split(",")]
    if "" in parts:
        message = f"the preprocessing chain '{text}' has an empty step; write one step between two commas"
        raise ConfigurationError(message)
    steps = tuple(map(_step, parts))
    check_order(steps)
    return steps


def _step(text: str) -> Step:
    match = _STEP.fullmatch(text.casefold())
    if not match:
        return Step(text)  # says what is wrong
    name, mark, value = match.groups()
    name = f"{name}>" if mark == ">" else name
    return Step(name, _value(value, STEPS.get(name, "")))


def _value(text: str | None, what: str) -> str | int | float | None:
    try:
        return text if text is None or what not in ("K", "T") else int(text) if what == "K" else float(text)
    except ValueError:
        return text


def check_order(steps: Sequence[Step]) -> None:
    """Refuse an order of steps that cannot work, or that would mean nothing.

    Raises
    ------
    ConfigurationError
        If imputation follows a step that needs complete numbers, a choice by variance follows a step that makes all
        variances equal, or ``pca`` stands twice.
    """
    needs_all = equal = None
    for step in steps:
        if step.name == "impute" and needs_all:
            message = f"'{step}' stands after '{needs_all}', which needs complete numbers; put {step} first"
            raise ConfigurationError(message)
        if step.name.startswith("variance") and equal:
            message = f"'{step}' stands after '{equal}', which makes all variances equal; put {step} before it"
            raise ConfigurationError(message)
        if step.name == "pca" and any(s.name == "pca" for s in steps if s is not step):
            message = "pca stands twice in one chain; keep one"
            raise ConfigurationError(message)
        needs_all = needs_all if step.name in GAPS_PASS else needs_all or step
        equal = step if step.name in EQUALISING else None if step.name in ("minmax", "robust", "rank", "pca") else equal


def chains_of_views(parsed: Mapping[str, tuple[Step, ...]], views: Iterable[str]) -> dict[str, tuple[Step, ...]]:
    """Chain of each view: its own, else the one for all views, else `DEFAULT`.

    Raises
    ------
    ConfigurationError
        If a chain names a view that is not there.
    """
    known = list(views)
    for view in parsed:
        if view and view not in known:
            message = f"--preprocess names the view '{view}', which is not there; the views are {examples(known, 8)}"
            raise ConfigurationError(message)
    return {view: parsed.get(view, parsed.get("", DEFAULT)) for view in known}


def describe(steps: Sequence[Step]) -> str:
    """Text of a chain, as `parse_steps` reads it."""
    return ",".join(map(str, steps)) or "none"
