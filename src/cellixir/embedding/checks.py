"""Whether the data are what a likelihood is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import anndata as ad

    from cellixir.data.expression.matrix import Profile


def chosen_likelihood(wanted: str, cells: ad.AnnData, seen: Profile) -> str:
    """Likelihood to use."""
    if wanted == "auto":
        return "nb" if seen.counts else "bernoulli" if seen.binary else "gaussian"
    return wanted


def require_same_scale(likelihood: str, scale: str, cells: ad.AnnData) -> None:
    """Refuse a query whose values are of another kind than those of the fit."""
