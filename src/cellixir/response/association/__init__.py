"""Pharmacogenomic ANOVA: which features go with response, for every drug at once."""

from cellixir.response.association.analysis import AnovaResult, anova

__all__ = ["AnovaResult", "anova"]
