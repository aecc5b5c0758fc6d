"""What was done to each well: drugs, doses, time, cell line and plate, read from the columns that a user names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cellixir.exceptions import ConfigurationError, InvalidValues, counted, examples

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

#: Columns of what was done; those of one condition are ``CONDITION``, whose wells are replicates.
CONDITION = ["perturbation", "dose_1", "dose_2", "time", "cell_line"]
#: A plus between names, not one inside brackets such as that of (+)-JQ1.
_PLUS = re.compile(r"(?<=[^\s(+])\s*\+\s*(?=[^\s)+])")
_DOSE = re.compile(r"\s*([-+]?[\d.]+(?:[eE][-+]?\d+)?)\s*([^\d\s+][^+]*?)?\s*")
_MICROMOLAR = {"um": 1.0, "nm": 1e-3, "mm": 1e3, "pm": 1e-6, "m": 1e6}
_HOURS = {
    "h": 1.0,
    "hr": 1.0,
    "hrs": 1.0,
    "hour": 1.0,
    "hours": 1.0,
    "min": 1 / 60,
    "d": 24.0,
    "day": 24.0,
    "days": 24.0,
}
_MISSING = {"", "-666", "-666.0", "nan", "none", "na", "n/a"}
#: Share of wells whose time may be unreadable.
FEW = 0.05
ONE_LINE, ONE_PLATE = "one line", "one plate"


@dataclass(frozen=True)
class Keys:
    """Columns of ``obs`` that say what was done to a well.

    Parameters
    ----------
    perturbation
        Name of the drug, or of a pair of drugs, written ``A+B``.
    control
        Values of that column that are controls, such as ``DMSO``; none where the values are differences already.
    plate, cell_line, time
        Where, in which cells, and for how long; without a column all wells have the same. A plate may be several
        columns with commas between them, such as ``donor,batch``.
    dose
        Numbers, or texts such as ``10 uM`` and, of a pair, ``1.1+10``. A column of the same name with ``_unit`` at its
        end says the unit; without any unit numbers are taken as µM.
    smiles
        Structure of a single drug.

    Examples
    --------
    >>> Keys("pert_iname", ("DMSO",), plate="rna_plate", dose="pert_dose").control
    ('DMSO',)
    """

    perturbation: str
    control: tuple[str, ...] = ()
    plate: str | None = None
    dose: str | None = None
    time: str | None = None
    cell_line: str | None = None
    smiles: str | None = None

    def plates(self, obs: pd.DataFrame) -> list[str]:
        """Columns that tell plates apart."""
        if self.plate is None or self.plate in obs:
            return [] if self.plate is None else [self.plate]
        return [name.strip() for name in self.plate.split(",")]

    def check(self, obs: pd.DataFrame) -> None:
        """Refuse a column that is not there.

        Raises
        ------
        ConfigurationError
            With the columns that are.
        """
        named = {k: v for k, v in vars(self).items() if k not in ("control", "plate") and v is not None}
        for what, column in [*named.items(), *(("plate", column) for column in self.plates(obs))]:
            if column not in obs:
                message = f"--{what.replace('_', '-')}-key {column}: there is no such column; the data have "
                raise ConfigurationError(message + examples(obs.columns, 20))


def _joined(obs: pd.DataFrame, columns: Sequence[str]) -> pd.Series:
    return obs[list(columns)].astype(str).agg(", ".join, axis=1) if len(columns) > 1 else obs[columns[0]].astype(str)


def parts_of(name: str) -> tuple[str, ...]:
    """Drugs of a perturbation.

    >>> parts_of("tamoxifen + mefloquine"), parts_of("(+)-JQ1"), parts_of("A+B")
    (('tamoxifen', 'mefloquine'), ('(+)-JQ1',), ('A', 'B'))
    """
    return tuple(part.strip() for part in _PLUS.split(name))


def described(obs: pd.DataFrame, keys: Keys, notes: list[str]) -> pd.DataFrame:
    """What was done to each well, in one set of columns, the drugs of a pair in alphabetical order.

    Returns
    -------
    DataFrame
        ``perturbation``, ``dose_1``, ``dose_2`` (µM; NaN where unknown or no such drug), ``time`` (hours),
        ``cell_line``, ``plate``, ``is_control``, ``smiles``; the index is that of ``obs``.

    Raises
    ------
    ConfigurationError
        If a column is not there, or no well is a control where some should be.
    InvalidValues
        If a dose or a time cannot be read, units cannot be brought together, or three drugs are given at once.
    """
    keys.check(obs)
    names = obs[keys.perturbation].astype(str).str.strip()
    if names.str.casefold().isin(_MISSING).any():
        at = obs.index[names.str.casefold().isin(_MISSING)]
        message = f"no perturbation in '{keys.perturbation}' of {counted(len(at), 'well')} ({examples(at)}); name it"
        raise InvalidValues(message)
    control = names.str.casefold().isin({c.strip().casefold() for c in keys.control})
    if keys.control and not control.any():
        message = f"no well of '{keys.perturbation}' is {examples(keys.control)}; it has {examples(names.unique(), 12)}"
        raise ConfigurationError(message)
    doses = _doses(obs, keys, names, control.to_numpy(), notes)
    table = pd.DataFrame(index=obs.index)
    table["perturbation"], table["dose_1"], table["dose_2"] = _sorted(names, doses)
    table.loc[control, ["dose_1", "dose_2"]] = np.nan
    table["time"] = _times(obs, keys, notes)
    table["cell_line"] = ONE_LINE if keys.cell_line is None else obs[keys.cell_line].astype(str)
    table["plate"] = ONE_PLATE if keys.plate is None else _joined(obs, keys.plates(obs))
    table["is_control"] = control
    table["smiles"] = "" if keys.smiles is None else obs[keys.smiles].astype(object).fillna("").astype(str)
    table.loc[table["smiles"].str.casefold().isin(_MISSING | {"restricted"}), "smiles"] = ""
    return table


def conditions_of(obs: pd.DataFrame) -> NDArray[np.int64]:
    """Code of each well's condition, shape ``(n_wells,)``: wells of one condition are replicates."""
    return np.asarray(obs.groupby(CONDITION, dropna=False, observed=True, sort=False).ngroup(), dtype=np.int64)


def _sorted(names: pd.Series, doses: NDArray[np.float64]) -> tuple[list[str], NDArray[np.float64], NDArray[np.float64]]:
    """Pairs with their drugs, and the doses with them, in alphabetical order."""
    told, turned = {}, {}
    for name in names.unique():
        parts = parts_of(name)
        if len(parts) > 2:
            message = f"'{name}' names {len(parts)} drugs, and at most two are understood; leave such wells out"
            raise InvalidValues(message)
        told[name], turned[name] = "+".join(sorted(parts)), list(parts) != sorted(parts)
    swap = names.map(turned).to_numpy(bool)
    first, second = np.where(swap, doses[:, 1], doses[:, 0]), np.where(swap, doses[:, 0], doses[:, 1])
    return list(names.map(told)), first, second


def _doses(
    obs: pd.DataFrame, keys: Keys, names: pd.Series, control: NDArray[np.bool_], notes: list[str]
) -> NDArray[np.float64]:
    """Doses of the first and second drug in µM, shape ``(n_wells, 2)``."""
    found = np.full((len(obs), 2), np.nan)
    if keys.dose is None:
        return found
    beside = f"{keys.dose}_unit"
    texts = obs[keys.dose].astype(object).map(lambda v: "" if pd.isna(v) else f"{v}".strip())
    of_unit = obs[beside].astype(object).map(str) if beside in obs else pd.Series("", index=obs.index)
    read: dict[tuple[str, str, int], tuple[float, float]] = {}
    seen: set[str] = set()
    for row, (text, unit, name) in enumerate(zip(texts, of_unit, names, strict=True)):
        if control[row] or text.casefold() in _MISSING:
            continue
        key = text, unit, len(parts_of(name))
        if key not in read:
            read[key] = _dose(text, unit, key[2], obs.index[row], keys.dose, seen)
        found[row] = read[key]
    foreign = seen - {""} - set(_MICROMOLAR)
    if foreign and len(seen) > 1:
        message = (
            f"doses of '{keys.dose}' are in several units ({examples(sorted(seen))}) that cannot be brought together; "
        )
        raise InvalidValues(message + "give one unit, or µM, nM, mM")
    if len(seen & set(_MICROMOLAR)) > 1:
        notes.append(f"Doses of '{keys.dose}' were given in {examples(sorted(seen))} and brought to µM.")
    if (found < 0).any():
        row = np.flatnonzero((found < 0).any(axis=1))[0]
        message = f"the dose of well '{obs.index[row]}' is {texts.iloc[row]}: a dose cannot be negative; correct it"
        raise InvalidValues(message)
    return found


def _dose(text: str, unit: str, n: int, well: object, column: str, seen: set[str]) -> tuple[float, float]:
    values = []
    for part in re.split(r"(?<![eE])\+", text):
        match = _DOSE.fullmatch(part)
        if match is None:
            message = f"the dose {text!r} of well '{well}' ({column}) is no number with a unit; write 10, 10 uM or 1+10"
            raise InvalidValues(message)
        own = _unit(match[2] or unit)
        seen.add(own or "um")
        values.append(float(match[1]) * _MICROMOLAR.get(own or "um", 1.0))
    if len(values) > n:
        message = f"well '{well}' has {len(values)} doses ({text!r}) of {counted(n, 'drug')}; give as many as drugs"
        raise InvalidValues(message)
    return values[0], (values[-1] if n == 2 else np.nan)


def _unit(text: str) -> str:
    plain = text.strip().casefold().replace("µ", "u").replace("μ", "u").replace("molar", "m").replace("micro", "u")
    return "" if plain in _MISSING else plain


def _times(obs: pd.DataFrame, keys: Keys, notes: list[str]) -> NDArray[np.float64]:
    """Hours of treatment; of few wells a text such as '6 h & 4 h' is unknown, of many it is refused."""
    if keys.time is None:
        return np.full(len(obs), np.nan)
    beside = f"{keys.time}_unit"
    units = obs[beside].astype(str) if beside in obs else pd.Series("h", index=obs.index)
    texts = obs[keys.time].astype(str)
    read = {pair: _hours(*pair) for pair in set(zip(texts, units, strict=True))}
    hours = [read[pair] for pair in zip(texts, units, strict=True)]
    strange = np.flatnonzero([value is None for value in hours])
    if len(strange) > FEW * len(obs):
        row = strange[0]
        which = f"the time {texts.iloc[row]!r} of well '{obs.index[row]}' ({keys.time})"
        message = f"{which} cannot be read; write 24, 24 h or 30 min"
        raise InvalidValues(message)
    if len(strange):
        said = examples(texts.iloc[strange].unique())
        notes.append(f"The time of {counted(len(strange), 'well')} cannot be read ({said}) and counts as unknown.")
    return np.array([np.nan if value is None else value for value in hours], dtype=np.float64)


def _hours(text: str, unit: str) -> float | None:
    """Hours of a text; NaN where it is missing, None where it cannot be read."""
    if text.strip().casefold() in _MISSING:
        return float("nan")
    match = _DOSE.fullmatch(text)
    scale = _HOURS.get((match[2] or unit).strip().casefold()) if match else None
    return float(match[1]) * scale if match and scale is not None else None


def structures(obs: pd.DataFrame, others: pd.Series | None, notes: list[str]) -> pd.Series:
    """SMILES by drug: of the single drugs of ``obs``, of several the one of most wells; then of ``others``."""
    singles = obs.loc[~obs["is_control"] & (obs["smiles"] != ""), ["perturbation", "smiles"]]
    counts = singles.value_counts(sort=False).reset_index().sort_values(["count", "smiles"], ascending=[False, True])
    several = counts["perturbation"][counts["perturbation"].duplicated()].unique()
    if len(several):
        notes.append(
            f"{counted(len(several), 'drug')} have several SMILES ({examples(several)}): that of most wells is used."
        )
    found = counts.drop_duplicates("perturbation").set_index("perturbation")["smiles"].astype(object)
    if others is not None:
        found = pd.concat([found, others[~others.index.isin(found.index)]])
    return found[found.map(lambda text: isinstance(text, str) and bool(text))].sort_index()


def drugs_of(names: Iterable[str]) -> list[str]:
    """Single drugs of perturbations, in alphabetical order."""
    return sorted({part for name in set(names) for part in parts_of(name)})


def code_of(drugs: Sequence[str]) -> dict[str, int]:
    """Number of each drug."""
    return {drug: number for number, drug in enumerate(drugs)}
