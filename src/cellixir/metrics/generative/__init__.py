"""Metrics of synthetic expression: fidelity, utility and privacy. Arrays in, numbers out.

Real samples stand first in every call. Distances are taken in the coordinates given, such as principal components of
the real samples. No number means much alone: compare with the ceiling (other real samples) and the floor (shuffled
genes).
"""

from cellixir.metrics.generative.alpha_beta import alpha_precision, authenticity, beta_recall
from cellixir.metrics.generative.differential import (
    DERecovery,
    de_recovery,
    differential_expression,
)
from cellixir.metrics.generative.divergence import (
    CorrelationDistance,
    GeneDistances,
    correlation_distance,
    gene_distances,
    gene_statistics,
    jensen_shannon,
    library_size_distance,
)
from cellixir.metrics.generative.membership import (
    membership_inference,
    membership_interval,
    reference_attack,
)
from cellixir.metrics.generative.mmd import MMD, median_bandwidth, mmd2, mmd2_with_error
from cellixir.metrics.generative.neighbours import knn_distances, nearest
from cellixir.metrics.generative.prdc import PRDC, prdc
from cellixir.metrics.generative.privacy import DCR, NNDR, NearCopies, closest_record, near_copies, nndr
from cellixir.metrics.generative.two_sample import c2st, c2st_interval
from cellixir.metrics.generative.utility import Augmentation, Utility, augmentation_gain, tstr

__all__ = [
    "DCR",
    "MMD",
    "NNDR",
    "PRDC",
    "Augmentation",
    "CorrelationDistance",
    "DERecovery",
    "GeneDistances",
    "NearCopies",
    "Utility",
    "alpha_precision",
    "augmentation_gain",
    "authenticity",
    "beta_recall",
    "c2st",
    "c2st_interval",
    "closest_record",
    "correlation_distance",
    "de_recovery",
    "differential_expression",
    "gene_distances",
    "gene_statistics",
    "jensen_shannon",
    "knn_distances",
    "library_size_distance",
    "median_bandwidth",
    "membership_inference",
    "membership_interval",
    "mmd2",
    "mmd2_with_error",
    "near_copies",
    "nearest",
    "nndr",
    "prdc",
    "reference_attack",
    "tstr",
]
