"""The contract of every model: parameters, fit, bundle, card."""

from cellixir.estimator.base import Estimator, OnEpoch, load, parameter_types, stopping_rows
from cellixir.estimator.bundle import Arrays, under
from cellixir.estimator.values import plain

__all__ = ["Arrays", "Estimator", "OnEpoch", "load", "parameter_types", "plain", "stopping_rows", "under"]
