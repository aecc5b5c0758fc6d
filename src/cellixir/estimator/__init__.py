"""The contract of every model: parameters, fit, bundle, card."""

from cellixir.estimator.base import Estimator, OnEpoch, class_named, load, parameter_types, stopping_rows
from cellixir.estimator.bundle import Arrays, read_facts, under
from cellixir.estimator.values import plain

__all__ = [
    "Arrays",
    "Estimator",
    "OnEpoch",
    "class_named",
    "load",
    "parameter_types",
    "plain",
    "read_facts",
    "stopping_rows",
    "under",
]
