"""Every number of an evaluation: what it is called, what it measures, and what is best."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Best = Literal["high", "low"] | float

FIDELITY, GENES, EFFECTS = "fidelity", "genes", "differential expression"
UTILITY, PRIVACY = "utility", "privacy"
FAMILIES = (FIDELITY, GENES, EFFECTS, UTILITY, PRIVACY)


@dataclass(frozen=True)
class Metric:
    """What a number of the table means.

    Attributes
    ----------
    words, meaning
        Name for a reader, and one sentence.
    family
        One of ``FAMILIES``.
    best
        ``high``, ``low`` or the best number.
    bounds
        Least and greatest value there can be.
    one_sided
        Only values above the best number are bad.
    """

    words: str
    family: str
    best: Best
    meaning: str
    bounds: tuple[float, float] = (0.0, 1.0)
    one_sided: bool = False

    def merit(self, value: float) -> float:
        """The value turned so that more is better; at a best number the merit is 0."""
        if isinstance(self.best, str):
            return value if self.best == "high" else -value
        return -max(value - self.best, 0.0) if self.one_sided else -abs(value - self.best)


INFINITE = (0.0, math.inf)
CATALOGUE = {
    "precision": Metric("Precision", FIDELITY, "high", "Share of synthetic samples among the real ones."),
    "recall": Metric("Recall", FIDELITY, "high", "Share of real samples among the synthetic ones."),
    "density": Metric(
        "Density", FIDELITY, 1.0, "Real neighbourhoods a synthetic sample lies in, against what is expected.", INFINITE
    ),
    "coverage": Metric("Coverage", FIDELITY, "high", "Share of real neighbourhoods with a synthetic sample."),
    "alpha_precision": Metric("α-precision", FIDELITY, "high", "Synthetic samples are as typical as real ones."),
    "beta_recall": Metric("β-recall", FIDELITY, "high", "Real samples, typical or not, are met by synthetic ones."),
    "mmd2": Metric("MMD²", FIDELITY, 0.0, "Squared maximum mean discrepancy, unbiased.", (-math.inf, math.inf)),
    "c2st": Metric(
        "C2ST", FIDELITY, 0.5, "AUROC of a random forest that tells synthetic from real samples.", one_sided=True
    ),
    "composition": Metric(
        "Composition (JS)", FIDELITY, "low", "Divergence of the shares of groups, batches and labels, in nats.",
        (0.0, math.log(2)),
    ),
    "gene_mean": Metric("Gene means", GENES, "low", "Mean absolute log2 ratio of the means of genes.", INFINITE),
    "gene_variance": Metric(
        "Gene variances", GENES, "low", "Mean absolute log2 ratio of the variances of genes.", INFINITE
    ),
    "zero_fraction": Metric("Zero fraction", GENES, "low", "Mean absolute difference of the share of zeros of a gene."),
    "library_size": Metric("Library sizes (KS)", GENES, "low", "Kolmogorov-Smirnov distance of the library sizes."),
    "correlation": Metric(
        "Correlation of genes", GENES, "high", "Correlation, over pairs of genes, of their correlation in both data.",
        (-1.0, 1.0),
    ),
    "de_precision": Metric("DE precision", EFFECTS, "high", "Share of the genes found that truly differ."),
    "de_recall": Metric("DE recall", EFFECTS, "high", "Share of the truly different genes that are found."),
    "de_f1": Metric("DE F1", EFFECTS, "high", "Harmonic mean of both."),
    "de_jaccard": Metric("DE Jaccard", EFFECTS, "high", "Overlap of the first genes of both lists."),
    "lfc_slope": Metric(
        "Log2 fold change slope", EFFECTS, 1.0, "Of found on true log2 fold changes; below 1 is attenuation.",
        (-math.inf, math.inf),
    ),
    "lfc_slope_real": Metric(
        "Slope against real", EFFECTS, 1.0, "The same, on the log2 fold changes of the real training data.",
        (-math.inf, math.inf),
    ),
    "tstr": Metric("TSTR", UTILITY, "high", "Balanced accuracy on real samples of a classifier of synthetic ones."),
    "tstr_ratio": Metric("TSTR / TRTR", UTILITY, 1.0, "The same over that of a classifier of real ones.", INFINITE),
    "augmentation": Metric(
        "Augmentation gain", UTILITY, "high", "Balanced accuracy that synthetic samples add to that of the real ones.",
        (-1.0, 1.0),
    ),
    "copies": Metric("Copies", PRIVACY, "low", "Share of synthetic samples that are a training sample, all values."),
    "dcr_share": Metric(
        "Closer to training", PRIVACY, 0.5, "Share of synthetic samples closer to training than to held-out samples.",
        one_sided=True,
    ),
    "membership": Metric(
        "Membership inference", PRIVACY, 0.5, "AUROC of telling training from held-out samples by synthetic ones.",
        one_sided=True,
    ),
    "reference_attack": Metric(
        "Membership, with a reference", PRIVACY, 0.5, "AUROC of telling members by the means of samples around them, "
        "synthetic ones against real ones that were not in the fit.", one_sided=True,
    ),
    "authenticity": Metric(
        "Authenticity", PRIVACY, "high", "Share of synthetic samples farther from their training sample than it is "
        "from the next one.",
    ),
    "nndr": Metric("NNDR", PRIVACY, "high", "Median ratio of the distances to the two nearest training samples."),
}  # fmt: skip

__all__ = ["CATALOGUE", "EFFECTS", "FAMILIES", "FIDELITY", "GENES", "PRIVACY", "UTILITY", "Best", "Metric"]
