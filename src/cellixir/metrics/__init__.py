"""Metrics: arrays in, numbers out."""

from cellixir.metrics.intervals import Interval, bootstrap_weights, intervals, paired_difference
from cellixir.metrics.regression import (
    METRICS,
    mae,
    mean_within,
    mse,
    normalised,
    pearson,
    pearson_within,
    r2,
    rmse,
    score,
    spearman,
)

__all__ = [
    "METRICS",
    "Interval",
    "bootstrap_weights",
    "intervals",
    "mae",
    "mean_within",
    "mse",
    "normalised",
    "paired_difference",
    "pearson",
    "pearson_within",
    "r2",
    "rmse",
    "score",
    "spearman",
]
