"""Views of two studies with the same features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import anndata as ad
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cellixir.data.omics import align_features
from cellixir.exceptions import ConfigurationError, GeneMismatch, examples

MIN_SHARED = 0.8  # of the training features, where those that are missing are to be filled

_TO_GET = {
    "counts": "take the table of raw counts",
    "log2_tpm": "scale each sample's length-normalised counts to one million (TPM), add 1, take log2",
    "log1p_cpm": "scale each sample's counts to one million (CPM), add 1, take the natural logarithm",
    "zscore": "subtract each feature's mean and divide by its standard deviation",
    "binary": "write 1 where the feature is altered and 0 where it is not",
    "fraction": "divide percentages by 100",
}


def shared_views(
    left: Mapping[str, ad.AnnData],
    right: Mapping[str, ad.AnnData],
    *,
    genes: Literal["shared", "filled"] = "shared",
    places: tuple[str, str] = ("the training study", "the external study"),
) -> tuple[dict[str, ad.AnnData], dict[str, ad.AnnData], pd.DataFrame]:
    """Views of both studies with the same features in the same order, and a table of what was shared.

    Parameters
    ----------
    left, right
        Views by name. One that only one study has is left out.
    genes
        ``shared``: features that both have. ``filled``: all of the left; those that the right lacks get the mean of
        the left.
    places
        What the studies are called in messages.

    Returns
    -------
    left, right, table
        Views with sorted features and without annotation; the table has ``view``, ``n_left``, ``n_right``, ``n_both``,
        ``scale``, and ``scale_checked``, False where one study does not say what its numbers are.

    Raises
    ------
    ConfigurationError
        If both studies have views but none in common, or a view is in two scales.
    GeneMismatch
        If a view shares no feature, or fewer than 80 % of the left ones are there to be filled up.
    """
    names = [name for name in left if name in right]
    if left and not names:
        message = (
            f"the studies have no view in common: {places[0]} has {examples(left)}, {places[1]} "
            f"{examples(right) or 'none'}; call what was measured in the same way by the same name (--omics VIEW=FILE)"
        )
        raise ConfigurationError(message)
    rows, ours, theirs = [], {}, {}
    for name in names:
        a, b = left[name], right[name]
        scale, checked = _common_scale(name, a, b, places)
        both = a.var_names.intersection(b.var_names)
        _require_features(name, a.var_names, b.var_names, both, genes, places)
        wanted = sorted(map(str, both if genes == "shared" else a.var_names))
        values = align_features(a, wanted, source=name)[0]
        other, absent = align_features(b, wanted, missing="zero", source=name)
        if absent:
            at = np.isin(wanted, absent)
            other[:, at] = _means(values[:, at])
        ours[name], theirs[name] = (_view(x, v, wanted, scale) for x, v in ((values, a), (other, b)))
        rows.append((name, a.n_vars, b.n_vars, len(both), scale, checked))
    columns = ["view", "n_left", "n_right", "n_both", "scale", "scale_checked"]
    return ours, theirs, pd.DataFrame(rows, columns=columns)


def _means(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Mean of each column without its gaps; NaN for a column of gaps."""
    known = np.isfinite(values)
    total = np.where(known, values, 0.0).sum(axis=0, dtype=np.float64)
    return np.where(known.any(axis=0), total / np.maximum(known.sum(axis=0), 1), np.nan)


def _view(values: NDArray[np.float32], like: ad.AnnData, names: list[str], scale: str) -> ad.AnnData:
    view = ad.AnnData(values, pd.DataFrame(index=like.obs_names.astype(str)), pd.DataFrame(index=names))
    view.uns.update({"name": like.uns.get("name", ""), "scale": scale, "scale_guessed": False})
    return view


def _common_scale(name: str, left: ad.AnnData, right: ad.AnnData, places: tuple[str, str]) -> tuple[str, bool]:
    """Scale of both, and whether both say so; ``unknown`` on one side is taken for that of the other."""
    a, b = (str(view.uns.get("scale", "unknown")) for view in (left, right))
    if a == b or "unknown" in (a, b):
        return (b if a == "unknown" else a), "unknown" not in (a, b)
    guessed = any(view.uns.get("scale_guessed", False) for view in (left, right))
    doubt = "; or, where the scale was guessed wrongly, write the right one into uns['scale']" if guessed else ""
    message = (
        f"the view '{name}' is {a} in {places[0]} and {b} in {places[1]}; convert the second to {a} "
        f"({_TO_GET.get(a, 'see its source')}){doubt}"
    )
    raise ConfigurationError(message)


def _require_features(
    name: str, left: pd.Index, right: pd.Index, both: pd.Index, genes: str, places: tuple[str, str]
) -> None:
    if not len(both):
        message = (
            f"no feature of the view '{name}' is in both studies: {places[0]} has {examples(left)}, {places[1]} "
            f"{examples(right)}; use the same kind of names in both"
        )
        raise GeneMismatch(message)
    if genes == "filled" and len(both) < MIN_SHARED * len(left):
        message = (
            f"{places[1]} has {len(both):,} of the {len(left):,} features of the view '{name}' "
            f"({len(both) / len(left):.0%}, fewer than {MIN_SHARED:.0%}); train on the shared ones (genes='shared')"
        )
        raise GeneMismatch(message)
