"""What a column of responses measures, and its conversion to the scale that is worked in: ln µM, or AUC."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cellixir.data.known_columns import plain
from cellixir.exceptions import ConfigurationError, InvalidValues, counted

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: How many µM one unit is.
_UNITS = {"M": 1e6, "mM": 1e3, "µM": 1.0, "nM": 1e-3, "pM": 1e-6}
_SPELLED = {"m": "M", "molar": "M", "mm": "mM", "um": "µM", "umol": "µM", "micromolar": "µM", "nm": "nM"}
_SPELLED |= {"nmol": "nM", "nanomolar": "nM", "pm": "pM", "umol_l": "µM", "nmol_l": "nM"}
#: ln of a concentration is this times its logarithm.
_TO_LN = {"ln": 1.0, "log2": float(np.log(2)), "log10": float(np.log(10)), "-log10": -float(np.log(10))}
_LOGS = {"ln": "ln", "log2": "log2", "log10": "log10", "p": "-log10", "neglog10": "-log10", "neg_log10": "-log10"}

_AT_HALF = re.compile(
    r"(?:fit_)?(?:(?P<log>neg_?log10|log10|log2|ln|log|p)_?)?(?:abs(?:olute)?_|rel(?:ative)?_|apparent_)?"
    r"(?P<what>[iegl]c50|gi50|ac50)(?:_(?P<unit>umol_l|nmol_l|umol|nmol|um|nm|pm|mm|m|molar|micromolar|nanomolar))?"
    r"(?:_(?:published|recomputed|curvecurator|median|mean|value))?"
)
_AREAS = {"auc": "AUC", "area_under_curve": "AUC", "area_under_the_curve": "AUC", "aac": "AAC", "dss": "DSS"}
_AREAS |= {"actarea": "ActArea", "activity_area": "ActArea", "sdss": "DSS", "aac1": "AAC", "auc1": "AUC"}
_AREA = re.compile(r"(?:fit_)?(?P<what>.+?)(?:_(?:published|recomputed|curvecurator|median|mean|value))?")
#: A raw scale that spans as much has a mean, and an error, of its largest values alone.
_TOO_WIDE = 6
_UNIT_WORDS = "uM, nM, M, mM or pM, or a logarithm of it: 'ln uM', 'log10 nM', 'log2 uM', '-log10 M'"


@dataclass(frozen=True)
class Measure:
    """What a number is: IC50, AUC, ...; its logarithm (``ln``, ``-log10``, ...) and unit, '' where nothing is said."""

    what: str
    log: str = ""
    unit: str = ""

    @property
    def is_concentration(self) -> bool:
        """Whether it is a dose, and has a logarithm and a unit."""
        return self.what.endswith("50")

    @property
    def name(self) -> str:
        """Name after conversion: LN_IC50, AUC, ..."""
        return f"LN_{self.what}" if self.is_concentration and self.log else self.what


def measure_of(column: object) -> Measure | None:
    """What a column measures, told by its name; None where the name says nothing.

    >>> measure_of("IC50 (nM)"), measure_of("pIC50").log, measure_of("aac_recomputed").name
    (Measure(what='IC50', log='', unit='nM'), '-log10', 'AAC')
    """
    name = plain(column)
    half = _AT_HALF.fullmatch(name)
    if half:
        log = "-log10" if str(column).strip().startswith("-") else _LOGS.get(half["log"] or "", half["log"] or "")
        return Measure(half["what"].upper(), log, _SPELLED.get(half["unit"] or "", ""))
    area = _AREA.fullmatch(name)
    return Measure(_AREAS[area["what"]]) if area and area["what"] in _AREAS else None


def with_unit(measure: Measure, words: str) -> Measure:
    """``measure`` in the unit that a user names: 'nM', 'ln uM', '-log10 M'.

    Raises
    ------
    ConfigurationError
        If the words are no unit of a concentration, or the measure is none.
    """
    *log, unit = words.replace("(", " ").replace(")", " ").split() or [""]
    kind, unit = _LOGS.get("".join(log).casefold().replace("-", "neg"), ""), _unit_named(unit)
    if not unit or (log and not kind):
        message = f"--unit '{words}' is not known; write {_UNIT_WORDS}"
        raise ConfigurationError(message)
    if not measure.is_concentration and measure.what != "response":
        message = f"--unit '{words}' is for concentrations, and the responses are {measure.what}; leave it out"
        raise ConfigurationError(message)
    return Measure(measure.what if measure.is_concentration else "IC50", kind or measure.log, unit)


def _unit_named(word: str) -> str:
    spelled = re.sub("[uμ]", "µ", word)
    return spelled if spelled in _UNITS else _SPELLED.get(plain(word), "") if len(word) > 2 else ""


def converted(
    values: NDArray[np.float64], measure: Measure, *, column: str, source: str
) -> tuple[NDArray[np.float64], Measure, list[str]]:
    """Values on the scale that is worked in, what they are then, and notes on what was done.

    A concentration becomes ln µM where its unit or logarithm is known; AAC becomes AUC = 1 - AAC; all else stays.

    Raises
    ------
    InvalidValues
        If a concentration is not above 0, or spans more orders than a raw scale can.
    """
    if measure.what == "AAC":
        return _area_under(values, column)
    if not measure.is_concentration:
        if measure.what == "response":
            check_span(values, column, source)
        notes = [f"column '{column}': more is more sensitive; rankings put the lowest first"]
        return values, measure, notes if measure.what in {"DSS", "ActArea"} else []
    if measure.log and measure.log not in _TO_LN:
        message = (
            f"{source}: column '{column}' is a logarithm without a base; say which by --unit 'ln uM' or 'log10 uM'"
        )
        raise InvalidValues(message)
    if not measure.log:
        _check_positive(values, measure, column, source)
    if not measure.log and not measure.unit:
        check_span(values, column, source)
        note = f"column '{column}' was taken as it stands, on a raw scale: --unit uM or nM takes the logarithm"
        return values, measure, [note]
    return _ln_micromolar(values, measure, column)


def _ln_micromolar(
    values: NDArray[np.float64], measure: Measure, column: str
) -> tuple[NDArray[np.float64], Measure, list[str]]:
    unit = measure.unit or ("M" if measure.log == "-log10" else "µM")
    done = Measure(measure.what, "ln", "µM")
    if (measure.log, unit) == ("ln", "µM"):
        return values, done, []
    natural = values * _TO_LN[measure.log] if measure.log else np.log(values)
    assumed = "" if measure.unit else f" (taken for {unit}; --unit says another one)"
    was = f"{measure.log} {unit}".strip()
    return (
        natural + float(np.log(_UNITS[unit])),
        done,
        [f"column '{column}' is {measure.what} in {was}{assumed}, converted to ln µM"],
    )


def _area_under(values: NDArray[np.float64], column: str) -> tuple[NDArray[np.float64], Measure, list[str]]:
    low, high = np.nanmin(values, initial=np.inf), np.nanmax(values, initial=-np.inf)
    whole = 1.0 if high <= 1 else 100.0
    if low < 0 or high > whole:
        note = f"column '{column}' is no share of an area ({low:.4g} to {high:.4g}) and was taken as it stands"
        return values, Measure("AAC"), [f"{note}; more is more sensitive, and rankings put the lowest first"]
    percent = " / 100" if whole > 1 else ""
    return 1 - values / whole, Measure("AUC"), [f"column '{column}' is AAC, converted to AUC = 1 - AAC{percent}"]


def _check_positive(values: NDArray[np.float64], measure: Measure, column: str, source: str) -> None:
    wrong = values[values <= 0] if measure.unit else values[values < 0]
    if wrong.size:
        seen = f"{wrong[0]:.4g} as {measure.what} ({counted(wrong.size, 'such value')})"
        fault = "a concentration is above 0; if these are logarithms, say so by --unit 'ln uM' or 'log10 uM'"
        message = f"{source}: column '{column}' holds {seen}; {fault}"
        raise InvalidValues(message)


def check_span(values: NDArray[np.float64], column: str, source: str) -> None:
    """Refuse values above 0 that span as many orders as only a logarithm can show."""
    known = values[np.isfinite(values)]
    above = known[known > 0]
    if above.size < 2 or (known < 0).any():
        return
    low, high = float(above.min()), float(above.max())
    orders = int(np.log10(high / low))
    if orders >= _TOO_WIDE and high >= 1e4:
        message = (
            f"{source}: {column} spans {orders} orders ({low:.3g} to {high:.3g}) on a raw scale: take the log; "
            "for concentrations --unit uM (or nM, M) does it"
        )
        raise InvalidValues(message)


def named(measure: Measure) -> tuple[str, str]:
    """Name and unit for titles.

    >>> named(Measure("IC50", "ln", "µM")), named(Measure("AUC"))
    (('LN_IC50', 'ln µM'), ('AUC', ''))
    """
    return measure.name, f"{measure.log} {measure.unit}".strip()
