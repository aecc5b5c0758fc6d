"""How far a latent follows the pathway it is named after: against planted activities, and from seed to seed.

Correlations are Spearman's and without their sign, which the likelihood of a VAE does not fix. A latent that is the
same in all cells follows nothing: its correlation is 0, not missing, so that a collapsed latent lowers a mean.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment
from scipy.stats import rankdata

from cellixir.exceptions import ConfigurationError, DuplicateIds, InvalidValues, UnknownIds, examples
from cellixir.metrics.classification import auroc

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


def faithfulness(latents: pd.DataFrame, activities: pd.DataFrame) -> pd.DataFrame:
    """One row a pathway: how well the latent of the same name follows its activity, and whether it alone does.

    ``spearman`` is the correlation of the latent with its own pathway, ``best_other`` and ``best_other_spearman`` the
    other latent that follows the pathway best, ``specificity`` the difference, ``rank`` the place of the own latent
    among all (ties count against it). ``auc`` says how well the latent tells the cells above the median activity from
    the others, 0.5 to 1. Without another latent what is said of it is missing.

    Parameters
    ----------
    latents
        Cells x latents; may hold more than pathways.
    activities
        Cells x pathways, as planted; the cells in any order.

    Raises
    ------
    UnknownIds
        If the cells are not the same, or a pathway has no latent.
    InvalidValues
        If a value is not finite, or an activity is the same in all cells.
    """
    _refuse_other_cells(_checked(latents, "latents"), _checked(activities, "activities"), "activities")
    _refuse_absent(activities.columns, latents.columns, "latents", "name the latents after their gene sets")
    flat = activities.columns[activities.nunique() < 2]
    if len(flat):
        message = f"the activity of {examples(flat)} is the same in all cells, so nothing can follow it; leave it out"
        raise InvalidValues(message)
    found = latents.loc[activities.index]
    strength = pd.DataFrame(_correlations(found, activities), found.columns, activities.columns)
    rows = [_row(name, strength[name], activities[name], found[name]) for name in map(str, activities.columns)]
    columns = ["spearman", "best_other", "best_other_spearman", "specificity", "rank", "auc"]
    return pd.DataFrame(rows, index=pd.Index(activities.columns, name="pathway"), columns=columns)


def recovered(ranking: pd.Series, active: Collection[str], *, top: int = 10) -> int:
    """Active pathways among the ``top`` most important latents; ties count against them.

    Parameters
    ----------
    ranking
        Importance by latent, higher is more important, in any order.
    active
        Names of the pathways that act.
    top
        Latents that are looked at.

    Raises
    ------
    ConfigurationError
        If ``top`` is below 1.
    UnknownIds
        If an active pathway is not ranked.

    >>> recovered(pd.Series({"a": 3.0, "b": 2.0, "c": 2.0, "d": 1.0}), ["a", "b", "d"], top=2)
    1
    """
    if top < 1:
        message = f"top={top}; give at least 1"
        raise ConfigurationError(message)
    _check_ranking(ranking, active)
    place = rankdata(-ranking.to_numpy(dtype=np.float64), method="max")
    return int((place[ranking.index.isin(list(active))] <= top).sum())


def separation(scores: pd.Series, active: Collection[str]) -> float:
    """AUROC of importance: how often an active pathway is above a decoy, ties count half; NaN without one of them.

    Raises
    ------
    UnknownIds
        If an active pathway has no score.

    >>> separation(pd.Series({"a": 3.0, "b": 1.0, "c": 2.0, "d": 1.0}), ["a", "b"])
    0.625
    """
    _check_ranking(scores, active)
    return auroc(scores.index.isin(list(active)).astype(np.float64), scores.to_numpy(dtype=np.float64))


def stability(latents: Sequence[pd.DataFrame], *, free: Collection[str] | Literal["all"] = ()) -> pd.DataFrame:
    """One row a latent: mean (``correlation``) and ``lowest`` correlation over all pairs of seeds, and ``n_pairs``.

    Latents are matched by name. Those in ``free``, whose numbering says nothing, are matched with the free latents
    of the first seed by the assignment of the highest total correlation (Kuhn 1955). An assignment picks the best of
    chance too: with few cells, compare with that of permuted ones.

    Parameters
    ----------
    latents
        Cells x latents of each seed: the same cells and the same names, in any order.
    free
        Names of the latents that stand for nothing given beforehand; ``all`` for a model without pathways.

    Raises
    ------
    ConfigurationError
        If there are fewer than two seeds.
    UnknownIds
        If cells or names differ between seeds, or a free latent is not there.
    InvalidValues
        If a value is not finite.
    """
    if len(latents) < 2:
        message = f"stability needs the latents of 2 seeds or more; it has those of {len(latents)}"
        raise ConfigurationError(message)
    first, *others = (_checked(frame, f"latents of seed {i}") for i, frame in enumerate(latents, start=1))
    unnamed = list(first.columns) if isinstance(free, str) and free == "all" else _names(free)
    _refuse_absent(unnamed, first.columns, "latents of seed 1", "give names of latents as free")
    for i, frame in enumerate(others, start=2):
        _refuse_other_cells(frame, first, "latents of seed 1", f"latents of seed {i}")
        _refuse_absent(first.columns, frame.columns, f"latents of seed {i}", "fit all seeds with the same gene sets")
        _refuse_absent(frame.columns, first.columns, "latents of seed 1", "fit all seeds with the same gene sets")
    aligned = [first, *(_matched(first, frame.loc[first.index, first.columns], unnamed) for frame in others)]
    ranks = [_standard_ranks(frame) for frame in aligned]
    by_pair = np.abs([(a * b).sum(axis=0) for a, b in combinations(ranks, 2)])  # (n_pairs, n_latents)
    columns = {"correlation": by_pair.mean(axis=0), "lowest": by_pair.min(axis=0), "n_pairs": len(by_pair)}
    return pd.DataFrame(columns, index=pd.Index(first.columns, name="latent"))


def _row(name: str, strength: pd.Series, activity: pd.Series, latent: pd.Series) -> tuple[object, ...]:
    own, others = float(strength[name]), strength.drop(name)
    best = str(others.idxmax()) if len(others) else None
    other = float(others.max()) if len(others) else float("nan")
    area = auroc((activity > activity.median()).astype(np.float64), latent)
    if np.isnan(area):  # half of the cells or more share the highest activity
        area = auroc((activity >= activity.median()).astype(np.float64), latent)
    return own, best, other, own - other, 1 + int((others >= own).sum()), max(area, 1 - area)


def _matched(first: pd.DataFrame, frame: pd.DataFrame, free: list[str]) -> pd.DataFrame:
    """Latents of another seed under the names that those most like them have in the first."""
    if not free:
        return frame
    _, partner = linear_sum_assignment(_correlations(first[free], frame[free]), maximize=True)
    renamed = frame.copy()
    renamed[free] = frame[free].to_numpy()[:, partner]
    return renamed


def _correlations(a: pd.DataFrame, b: pd.DataFrame) -> Floats:
    """Spearman correlation, without its sign, of each column of ``a`` with each of ``b``."""
    return np.asarray(np.abs(_standard_ranks(a).T @ _standard_ranks(b)), dtype=np.float64)


def _standard_ranks(frame: pd.DataFrame) -> Floats:
    """Ranks of each column with mean 0 and length 1: their products are correlations. All 0 where all are equal."""
    ranks = rankdata(frame.to_numpy(dtype=np.float64), axis=0)
    centred = ranks - ranks.mean(axis=0)
    length = np.sqrt(np.square(centred).sum(axis=0))
    return np.asarray(centred / np.where(length > 0, length, 1), dtype=np.float64)


def _names(free: Collection[str]) -> list[str]:
    return [free] if isinstance(free, str) else list(free)


def _checked(frame: pd.DataFrame, what: str) -> pd.DataFrame:
    for axis, names in (("rows", frame.index), ("columns", frame.columns)):
        repeated = names[names.duplicated()].unique()
        if len(repeated):
            message = f"{what}: {len(repeated)} {axis} stand twice ({examples(repeated)}); keep one of each"
            raise DuplicateIds(message)
    finite = np.isfinite(frame.to_numpy(dtype=np.float64))
    if not finite.all():
        row, column = np.argwhere(~finite)[0]
        message = (
            f"{what}: the value of '{frame.columns[column]}' in row '{frame.index[row]}' is not a finite number "
            f"({(~finite).sum()} such values); leave these rows out"
        )
        raise InvalidValues(message)
    return frame


def _check_ranking(ranking: pd.Series, active: Collection[str]) -> None:
    _checked(ranking.to_frame("importance"), "ranking")
    _refuse_absent(_names(active), ranking.index, "ranking", "give one that the model left out the lowest importance")


def _refuse_absent(wanted: Collection[str], there: pd.Index, what: str, way_out: str) -> None:
    absent = [name for name in wanted if name not in there]
    if absent:
        message = (
            f"{len(absent)} of {len(wanted)} names are not among the {what} ({examples(absent)}; there are "
            f"{examples(there)}); {way_out}"
        )
        raise UnknownIds(message)


def _refuse_other_cells(frame: pd.DataFrame, other: pd.DataFrame, place: str, what: str = "latents") -> None:
    lacking = other.index.difference(frame.index)
    extra = frame.index.difference(other.index)
    if len(lacking) or len(extra):
        message = (
            f"{what} and {place} are not of the same cells: {len(lacking)} are missing and {len(extra)} are only "
            f"there (e.g. {examples([*lacking, *extra])}); compare the same cells"
        )
        raise UnknownIds(message)
