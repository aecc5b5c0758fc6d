"""Every metric by name: what it is called, its unit, which way is better, how many decimals, its formula and source.

A name means one thing within a catalogue; ``precision`` of calls (`CLASSIFICATION`) and ``precision`` of generators
(`GENERATIVE`) are two metrics.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Best = Literal["high", "low"] | float

FIDELITY, GENES, EFFECTS = "fidelity", "genes", "differential expression"
UTILITY, PRIVACY, COST = "utility", "privacy", "cost"
FAMILIES = (FIDELITY, GENES, EFFECTS, UTILITY, PRIVACY)
ARROWS = {"high": "↑", "low": "↓"}


@dataclass(frozen=True)
class Metric:
    """What a number of a table means.

    Attributes
    ----------
    words, meaning
        Name for a reader, and one sentence or formula.
    family
        What it is about, such as ``regression`` or one of ``FAMILIES``.
    best
        ``high``, ``low`` or the best number.
    bounds
        Least and greatest value there can be.
    one_sided
        Only values above the best number are bad.
    decimals
        Of the number in a table.
    unit
        Unit in words; ``response`` is that of the response.
    source
        Where the metric is defined, if it is not textbook.
    """

    words: str
    family: str
    best: Best
    meaning: str
    bounds: tuple[float, float] = (0.0, 1.0)
    one_sided: bool = False
    decimals: int = 3
    unit: str = ""
    source: str = ""

    def merit(self, value: float) -> float:
        """The value turned so that more is better; at a best number the merit is 0."""
        if isinstance(self.best, str):
            return value if self.best == "high" else -value
        return -max(value - self.best, 0.0) if self.one_sided else -abs(value - self.best)

    @property
    def lower_is_better(self) -> bool:
        """Whether of two values the lower one is better."""
        return self.best == "low"

    @property
    def heading(self) -> str:
        """Name, and where the best is.

        >>> Metric("RMSE", "regression", "low", "").heading, Metric("C2ST", "fidelity", 0.5, "").heading
        ('RMSE ↓', 'C2ST → 0.5')
        """
        return f"{self.words} {ARROWS.get(str(self.best)) or f'→ {self.best:g}'}"


Catalogue = Mapping[str, Metric]
INFINITE = (0.0, math.inf)
SIGNED = (-1.0, 1.0)
REGRESSION: Catalogue = {
    "rmse": Metric("RMSE", "regression", "low", "sqrt(mean((y - p)²))", INFINITE, unit="response"),
    "rmse_recalibrated": Metric(
        "RMSE, recalibrated", "regression", "low", "RMSE once each drug's mean shift is taken away; no prediction.",
        INFINITE, unit="response",
    ),
    "mse": Metric("MSE", "regression", "low", "mean((y - p)²)", INFINITE, unit="response, squared"),
    "mae": Metric("MAE", "regression", "low", "mean(|y - p|)", INFINITE, unit="response"),
    "r2": Metric("R²", "regression", "high", "1 - sum((y - p)²) / sum((y - mean(y))²)", (-math.inf, 1.0)),
    "pearson": Metric("Pearson", "regression", "high", "Correlation of observed and predicted.", SIGNED),
    "spearman": Metric("Spearman", "regression", "high", "Correlation of the ranks.", SIGNED),
    "normalised_pearson": Metric(
        "Normalised Pearson", "regression", "high",
        "Pearson after the naive mean-effects prediction is subtracted from both sides; none where a prediction does "
        "not hold these effects.", SIGNED,
        source="DrEval, Nat Commun 2026 17:4238",
    ),
    "per_drug_pearson": Metric("Per-drug Pearson", "regression", "high", "Mean over drugs of Pearson within.", SIGNED),
    "per_drug_spearman": Metric(
        "Per-drug Spearman", "regression", "high", "Mean over drugs of Spearman within.", SIGNED
    ),
    "per_sample_pearson": Metric(
        "Per-sample Pearson", "regression", "high", "Mean over samples of Pearson within.", SIGNED
    ),
    "normalised_rmse": Metric(
        "Normalised RMSE", "regression", "low", "RMSE over the standard deviation of the drug.", INFINITE
    ),
    "covered": Metric("Covered", "regression", "high", "Share of responses inside their prediction interval."),
    "coverage": Metric("Coverage", "regression", "high", "Share of responses inside their prediction interval."),
    "width": Metric("Width", "regression", "low", "Mean width of the prediction intervals.", INFINITE, unit="response"),
}  # fmt: skip
CLASSIFICATION: Catalogue = {
    "auroc": Metric(
        "AUROC", "classification", "high", "P(score of a positive > score of a negative), within a fold.",
        source="Hanley and McNeil, Radiology 143:29, 1982",
    ),
    "per_drug_auroc": Metric("Per-drug AUROC", "classification", "high", "Mean over drugs of the AUROC within."),
    "auroc_gain": Metric(
        "AUROC − best baseline", "classification", "high", "On the same draws of test rows.", SIGNED
    ),
    "auprc": Metric("AUPRC", "classification", "high", "Average precision, sum((R_k - R_k-1) P_k)."),
    "accuracy": Metric("Accuracy", "classification", "high", "Share of calls that are right."),
    "balanced_accuracy": Metric("Balanced accuracy", "classification", "high", "Mean of the recalls of the classes."),
    "precision": Metric("Precision", "classification", "high", "TP / (TP + FP) at probability 0.5."),
    "recall": Metric("Recall", "classification", "high", "TP / (TP + FN) at probability 0.5."),
    "f1": Metric("F1", "classification", "high", "2 P R / (P + R) at probability 0.5."),
    "matthews": Metric("Matthews", "classification", "high", "Correlation of calls and classes.", SIGNED),
    "brier": Metric("Brier score", "classification", "low", "mean((y - p)²)", (0.0, 2.0)),
    "log_loss": Metric("Log loss", "classification", "low", "-mean(log(p of the true class))", INFINITE, unit="nats"),
    "calibration_error": Metric(
        "Calibration error", "classification", "low", "Mean |share - probability| over bins of probability."
    ),
}  # fmt: skip
EMBEDDING: Catalogue = {
    "held_out_elbo": Metric(
        "Held-out ELBO", "embedding", "high", "Evidence lower bound of held-out cells.", (-math.inf, math.inf),
        decimals=2, unit="nats a cell",
    ),
    "ari": Metric(
        "ARI", "embedding", "high", "Adjusted Rand index of k-means clusters and labels.", SIGNED,
        source="Hubert and Arabie, J Classif 2:193, 1985",
    ),
    "ari_leiden": Metric(
        "ARI, Leiden", "embedding", "high", "Adjusted Rand index of Leiden clusters and labels.", SIGNED
    ),
    "nmi": Metric("NMI", "embedding", "high", "Normalised mutual information of k-means clusters and labels."),
    "nmi_leiden": Metric("NMI, Leiden", "embedding", "high", "Normalised mutual information of Leiden and labels."),
    "silhouette": Metric(
        "Silhouette", "embedding", "high", "(b - a) / max(a, b) of the labels, mean over cells.", SIGNED,
        source="Rousseeuw, J Comput Appl Math 20:53, 1987",
    ),
    "knn_purity": Metric("kNN purity", "embedding", "high", "Share of the nearest neighbours with the same label."),
    "accuracy": Metric("Accuracy", "embedding", "high", "Share of held-out cells whose type is called right."),
    "macro_f1": Metric("Macro-F1", "embedding", "high", "Mean over types of F1."),
}  # fmt: skip
GENERATIVE: Catalogue = {
    "precision": Metric("Precision", FIDELITY, "high", "Share of synthetic samples among the real ones."),
    "recall": Metric("Recall", FIDELITY, "high", "Share of real samples among the synthetic ones."),
    "density": Metric(
        "Density", FIDELITY, 1.0, "Real neighbourhoods a synthetic sample lies in, against what is expected.", INFINITE
    ),
    "coverage": Metric("Coverage", FIDELITY, "high", "Share of real neighbourhoods with a synthetic sample."),
    "alpha_precision": Metric("α-precision", FIDELITY, "high", "Synthetic samples are as typical as real ones."),
    "beta_recall": Metric("β-recall", FIDELITY, "high", "Real samples, typical or not, are met by synthetic ones."),
    "mmd2": Metric(
        "MMD²", FIDELITY, 0.0, "Squared maximum mean discrepancy, unbiased.", (-math.inf, math.inf), decimals=4,
    ),
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
    "near_copies": Metric(
        "Near copies", PRIVACY, "low", "Share of synthetic samples that point to one training sample (d1 / d2) more "
        "than any held-out sample does; the interval is less what chance gives.",
    ),
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
COSTS: Catalogue = {
    "seconds": Metric("Seconds", COST, "low", "Time of fit and prediction.", INFINITE, decimals=1, unit="s"),
    "fit_seconds": Metric("Fit, s", COST, "low", "Time of the fit.", INFINITE, decimals=1, unit="s"),
    "ms_per_gene": Metric("Fit, ms a gene", COST, "low", "Time of the fit over genes.", INFINITE, decimals=1),
    "sample_seconds": Metric("Drawing, s", COST, "low", "Time to draw as many samples.", INFINITE, decimals=1),
}
#: Columns that are no metric, in words.
COLUMNS = {
    "model": "Model", "kind": "Kind", "split": "Split", "fold": "Fold", "seed": "Seed", "dataset": "Data set",
    "n_train": "Training pairs", "n_validation": "Validation pairs", "n_test": "Test pairs", "drug": "Drug",
    "groups_test": "Groups held out", "name": "Name", "pathway": "Pathway", "n": "Pairs", "sensitive": "Sensitive",
    "prevalence": "Share sensitive", "reference": "Reference", "error": "Error", "gene": "Gene",
    "n_external": "External pairs", "mean_train": "Mean, training", "mean_external": "Mean, external", "shift": "Shift",
    "experiment": "Experiment", "likelihood": "Likelihood", "latent": "Latent", "hidden": "Hidden",
    "n_layers": "Layers", "dropout": "Dropout", "beta": "Beta", "learning_rate": "Learning rate", "batch_size": "Batch",
    "epochs": "Epochs", "best_epoch": "Best epoch", "loss_spread": "Spread of last losses", "converged": "Converged",
}  # fmt: skip
_GROUPS = (REGRESSION, CLASSIFICATION, EMBEDDING, GENERATIVE, COSTS)


def heading_of(column: str, *catalogues: Catalogue) -> str:
    """Head of a column: the metric of the first catalogue that has it, else what the column is, else its name.

    >>> heading_of("rmse"), heading_of("n_test"), heading_of("precision", GENERATIVE), heading_of("drug_id")
    ('RMSE', 'Test pairs', 'Precision', 'drug_id')
    """
    for catalogue in (*catalogues, *_GROUPS):
        if column in catalogue:
            return catalogue[column].words
    return COLUMNS.get(column, column)


__all__ = [
    "CLASSIFICATION",
    "COLUMNS",
    "COSTS",
    "EFFECTS",
    "EMBEDDING",
    "FAMILIES",
    "FIDELITY",
    "GENERATIVE",
    "GENES",
    "PRIVACY",
    "REGRESSION",
    "UTILITY",
    "Best",
    "Catalogue",
    "Metric",
    "heading_of",
]
