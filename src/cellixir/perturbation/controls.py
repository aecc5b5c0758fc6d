"""From wells to effects: what a treatment changed against the controls of its own plate."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Literal, get_args

import anndata as ad
import numpy as np
import pandas as pd

from cellixir.data.expression.matrix import profile
from cellixir.data.expression.scale import guessed_scale, recorded_scale
from cellixir.exceptions import ConfigurationError, InvalidValues, counted, examples
from cellixir.perturbation.wells import CONDITION, Keys, conditions_of, described, structures

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

Values = Literal["auto", "log2", "counts", "delta"]
#: Weight of a replicate that agrees with no other (Subramanian et al. 2017, "MODZ").
LEAST_WEIGHT = 0.01


def effects_of(wells: ad.AnnData, keys: Keys, *, values: str = "auto", smiles: pd.Series | None = None) -> ad.AnnData:
    """Change of every gene in every well against the mean of the controls of its plate and cell line.

    Parameters
    ----------
    wells
        Wells x genes: log2 expression (level 3 of L1000), counts of cells or samples, or differences already (z-scores
        of level 4 and 5).
    keys
        Columns of ``obs``.
    values
        ``log2``, ``counts`` (summed by condition and plate, then log1p of counts per million), ``delta`` (taken as they
        are) or ``auto``: by the values, and ``delta`` where no control is named.
    smiles
        Structures by drug, beside those of ``keys.smiles``.

    Returns
    -------
    AnnData
        ``X`` is the change (float32). ``obs`` is as of `described`. The layer ``control`` is the mean of the controls
        that a well was set against (absent for ``delta``). Control wells stay, each set against the others of its
        group: they show the noise. ``uns``: ``smiles`` (structure by drug), ``values`` (their kind), ``notes``.

    Raises
    ------
    ConfigurationError, InvalidValues
        If a column or a control is not there, a value is missing, the values are not what they should be, or no treated
        well has a control on its plate.

    Examples
    --------
    >>> import anndata, numpy, pandas
    >>> obs = pd.DataFrame({"drug": ["DMSO", "DMSO", "A"]}, index=["w1", "w2", "w3"])
    >>> wells = anndata.AnnData(numpy.array([[1.5, 8], [3.5, 8], [5.5, 8]], dtype="float32"), obs)
    >>> effects_of(wells, Keys("drug", ("DMSO",)), values="log2").X.tolist()
    [[-2.0, 0.0], [2.0, 0.0], [3.0, 0.0]]
    """
    notes: list[str] = [str(note) for note in wells.uns.get("notes", [])]
    obs = described(wells.obs, keys, notes)
    kind = _kind(wells, keys, values)
    x = _dense(wells)
    _require_known(x, wells)
    if kind == "counts":
        x, obs = _pseudobulk(x, obs, notes)
    if kind == "delta":
        kept = ~obs["is_control"].to_numpy(bool)
        if not kept.all():
            notes.append(f"{counted(int((~kept).sum()), 'control well')} are left out: differences need none.")
        found = ad.AnnData(x[kept], obs[kept].copy(), wells.var.copy())
    else:
        found = _against_controls(x, obs, wells.var, keys, notes)
    found.uns["smiles"], found.uns["notes"] = structures(obs, _known_structures(wells, smiles), notes), notes
    found.uns["values"] = kind
    return found


def checked_profiles(wells: ad.AnnData, values: str) -> Floats:
    """Control profiles on the scale that effects of ``values`` (``log2`` or ``counts``) were set against.

    Raises
    ------
    InvalidValues
        If a value is missing, or the values are on another scale.
    """
    x = _dense(wells)
    _require_known(x, wells)
    seen = profile(wells)
    if _is_centred(wells):
        message = f"the control profiles look like z-scores or differences (from {seen.minimum:.3g}): give expression"
        raise InvalidValues(message)
    if values == "counts":
        if guessed_scale(wells, seen) != "counts":
            message = f"the model learned from counts, and the control profiles ({seen.maximum:.3g} at most) are none"
            raise InvalidValues(message)
        return np.asarray(np.log1p(x / np.maximum(x.sum(axis=1, keepdims=True), 1) * 1e6), dtype=np.float32)
    if seen.maximum > 50:
        message = f"the control profiles reach {seen.maximum:.3g}, which no log2 expression does; give logarithms"
        raise InvalidValues(message)
    return x


def _known_structures(wells: ad.AnnData, given: pd.Series | None) -> pd.Series | None:
    table = wells.uns.get("drugs")
    if given is None and isinstance(table, pd.DataFrame) and "smiles" in table:
        return table["smiles"].astype(object)
    return given


def _kind(wells: ad.AnnData, keys: Keys, values: str) -> str:
    """What the values are; refused where they look like something else."""
    if values not in get_args(Values):
        message = f"--values {values} is not known; choose one of {', '.join(get_args(Values))}"
        raise ConfigurationError(message)
    if values == "auto" and not keys.control:
        values = "delta"
    if values == "delta":
        return values
    if not keys.control:
        message = (
            f"--values {values} needs controls to set wells against; name them (--control DMSO), or give --values delta"
        )
        raise ConfigurationError(message)
    seen = profile(wells)
    recorded = recorded_scale(wells)
    scale = guessed_scale(wells, seen) if recorded in (None, "unknown") else recorded
    if values == "auto":
        values = "counts" if scale == "counts" else "log2"
    if values == "log2" and (scale == "zscore" or _is_centred(wells)):
        message = (
            f"the values look like z-scores or differences (from {seen.minimum:.3g} to {seen.maximum:.3g}, around 0), "
            "not like log2 expression: give --values delta, or level 3"
        )
        raise InvalidValues(message)
    if values == "log2" and (scale == "counts" or seen.maximum > 50):
        what = "are whole numbers" if scale == "counts" else f"reach {seen.maximum:.3g}"
        message = f"the values {what}, as no log2 expression does; give --values counts for counts, or their logarithms"
        raise InvalidValues(message)
    if values == "counts" and scale != "counts":
        message = f"--values counts, but the values (from {seen.minimum:.3g} to {seen.maximum:.3g}) are no counts"
        raise InvalidValues(message)
    return values


def _is_centred(wells: ad.AnnData) -> bool:
    part = _dense(wells[:200])
    return bool((part < 0).mean() > 0.2)


def _dense(wells: ad.AnnData) -> Floats:
    x = wells.X
    return np.asarray(x.toarray() if hasattr(x, "toarray") else x, dtype=np.float32)


def _require_known(x: Floats, wells: ad.AnnData) -> None:
    bad = ~np.isfinite(x)
    if bad.any():
        row, gene = (int(i[0]) for i in np.nonzero(bad))
        message = (
            f"{counted(int(bad.sum()), 'value')} are missing or infinite, the first in well '{wells.obs_names[row]}', "
            f"gene '{wells.var_names[gene]}'; leave such wells or genes out"
        )
        raise InvalidValues(message)


def _pseudobulk(x: Floats, obs: pd.DataFrame, notes: list[str]) -> tuple[Floats, pd.DataFrame]:
    """Counts summed by condition and plate, as log1p of counts per million."""
    code, first = pd.factorize(pd.MultiIndex.from_frame(obs[[*CONDITION, "plate"]].astype(str)))[0], None
    total = np.zeros((code.max() + 1, x.shape[1]), dtype=np.float64)
    np.add.at(total, code, x)
    first = np.unique(code, return_index=True)[1]
    sizes = total.sum(axis=1, keepdims=True)
    if (sizes == 0).any():
        message = f"well '{obs.index[first[np.flatnonzero(sizes == 0)[0]]]}' has no counts at all; leave it out"
        raise InvalidValues(message)
    if len(first) < len(obs):
        notes.append(f"{len(obs):,} rows of counts were summed to {len(first):,} pseudobulks by condition and plate.")
    return np.log1p(total / sizes * 1e6).astype(np.float32), obs.iloc[first].copy()


def _against_controls(x: Floats, obs: pd.DataFrame, var: pd.DataFrame, keys: Keys, notes: list[str]) -> ad.AnnData:
    """Every well less the controls of its plate and cell line; a control less the others."""
    place = obs["plate"].astype(str) + "\x1f" + obs["cell_line"].astype(str)
    code, places = pd.factorize(place)
    control = obs["is_control"].to_numpy(bool)
    n = np.bincount(code[control], minlength=len(places)).astype(np.float64)
    total = np.zeros((len(places), x.shape[1]))
    np.add.at(total, code[control], x[control])
    mean = total / np.maximum(n, 1)[:, None]
    lonely = (n == 0)[code]
    if lonely.any():
        named = pd.unique(obs.loc[lonely, "plate"] if keys.plate else obs.loc[lonely, "cell_line"])
        what = "plates" if keys.plate else "cell lines"
        notes.append(
            f"{counted(int(lonely.sum()), 'well')} are left out: their {what} have no control "
            f"({examples(named)}; control is {examples(keys.control)})."
        )
    if keys.plate is None:
        notes.append(
            "No plate column was named: wells are set against the controls of all plates (--plate-key COLUMN)."
        )
    if not (~lonely & ~control).any():
        message = (
            f"no treated well has a control ({examples(keys.control)}) on its plate; name another --control or key"
        )
        raise InvalidValues(message)
    against = mean[code].astype(np.float32)
    several = control & (n[code] > 1)
    others = (total[code[several]] - x[several]) / (n[code[several]] - 1)[:, None]
    against[several] = others
    kept = np.flatnonzero(~lonely & ~(control & ~several))
    found = ad.AnnData((x - against)[kept], obs.iloc[kept].copy(), var.copy())
    found.layers["control"] = against[kept]
    return found


def consensus(effects: ad.AnnData, *, method: str = "mean") -> ad.AnnData:
    """One row a condition: the mean of its wells, or their weighted mean as in level 5 of L1000.

    Parameters
    ----------
    effects
        As of `effects_of`; control wells are passed over.
    method
        ``mean``, or ``modz``: a replicate weighs as much as it correlates (Spearman) with the others, at least .01
        (Subramanian et al., Cell 171:1437, 2017, STAR Methods, "level 5").

    Returns
    -------
    AnnData
        ``obs`` of the first well of each condition, with ``n_wells``.

    Raises
    ------
    ConfigurationError
        If there is no such method.

    Examples
    --------
    >>> consensus(effects_of(wells, keys), method="modz")  # doctest: +SKIP
    """
    if method not in ("mean", "modz"):
        message = f"the consensus '{method}' is not known; choose mean or modz"
        raise ConfigurationError(message)
    treated = effects[~effects.obs["is_control"].to_numpy(bool)]
    code = conditions_of(treated.obs)
    n = np.bincount(code)
    weight = np.ones(len(code)) if method == "mean" else _modz_weights(np.asarray(treated.X), code)
    share = (weight / np.bincount(code, weight)[code])[:, None].astype(np.float32)
    first = np.unique(code, return_index=True)[1]

    def mean(values: NDArray[np.float32]) -> Floats:
        out = np.zeros((len(n), values.shape[1]), dtype=np.float32)
        np.add.at(out, code, values * share)
        return out

    obs = treated.obs.iloc[first].assign(n_wells=n)
    found = ad.AnnData(mean(np.asarray(treated.X)), obs, effects.var.copy(), uns=dict(effects.uns))
    if "control" in treated.layers:
        found.layers["control"] = mean(np.asarray(treated.layers["control"]))
    return found


def _modz_weights(x: Floats, code: NDArray[np.int64]) -> NDArray[np.float64]:
    ranks = pd.DataFrame(x).rank(axis=1).to_numpy()
    ranks -= ranks.mean(axis=1, keepdims=True)
    ranks /= np.maximum(np.linalg.norm(ranks, axis=1, keepdims=True), 1e-12)
    weight = np.ones(len(code))
    order = np.argsort(code, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(code[order])) + 1):
        if len(rows) > 2:  # of two, both weigh the same
            agreement = ranks[rows] @ ranks[rows].T
            np.fill_diagonal(agreement, 0.0)
            weight[rows] = np.maximum(agreement.sum(axis=1) / (len(rows) - 1), LEAST_WEIGHT)
    return weight


def fingerprint(effects: ad.AnnData) -> str:
    """SHA-256 of effects, controls, conditions and structures."""
    digest = hashlib.sha256(np.ascontiguousarray(effects.X).tobytes())
    if "control" in effects.layers:
        digest.update(np.ascontiguousarray(effects.layers["control"]).tobytes())
    digest.update(pd.util.hash_pandas_object(effects.obs.astype(str)).to_numpy().tobytes())
    digest.update("\x1f".join([*map(str, effects.var_names), *map(str, effects.uns["smiles"].items())]).encode())
    return digest.hexdigest()
