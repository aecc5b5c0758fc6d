"""An embedding's numbers as a sentence, a table and JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from cellixir.embedding.judging import Beside
from cellixir.metrics.words import banded


def headline(scores: pd.DataFrame, metrics: Mapping[str, Any], n_clusters: int) -> str:
    """One sentence: what was found, beside PCA, with the interval; no difference is said as such."""
    if scores.empty:
        clusters = f", in {n_clusters} Leiden clusters" if n_clusters else ""
        elbo = f"{metrics['held_out_elbo']:,.1f}".replace("-", "−")
        return (
            f"{metrics['cells']:,} cells in {metrics['latent']} dimensions{clusters}; held-out evidence lower bound "
            f"{elbo} nats a cell."
        )
    name = "accuracy" if "accuracy" in set(scores["metric"]) else "ari"
    row = scores.set_index("metric").loc[name]
    what = {"accuracy": "Cell types are called with an accuracy of", "ari": "Clusters and types agree, with an ARI of"}
    low, high = row["difference_low"], row["difference_high"]
    verdict = "better than" if low > 0 else "worse than" if high < 0 else "no different from"
    numbers = f"difference {row['difference']:+.3f} [{low:+.3f}, {high:+.3f}]".replace("-", "−")
    return (
        f"{what[name]} {row['vae']:.3f} [{row['vae_low']:.3f}, {row['vae_high']:.3f}] from {metrics['latent']} "
        f"latents: {verdict} PCA of the same dimension, {row['pca']:.3f} ({numbers})."
        f"{_others(scores, name)}{_advice(scores, name)}"
    )


def _others(scores: pd.DataFrame, name: str) -> str:
    """What the metrics beside the first say, so that a headline about one does not hide the rest."""
    rest = scores[scores["metric"] != name]
    if rest.empty:
        return ""
    better, worse = int((rest["difference_low"] > 0).sum()), int((rest["difference_high"] < 0).sum())
    if not better and not worse:
        return f" The other {len(rest)} metrics show no difference either way."
    return f" Of {len(rest)} other metrics the VAE is better by {better}, PCA by {worse}."


def _advice(scores: pd.DataFrame, name: str) -> str:
    """PCA recommended where it is ahead beyond the interval by the first metric or by two others, and never behind."""
    ahead = scores["difference_high"] < 0
    # eight intervals of 95 % hold one false difference often enough: a single one beside the first metric is too few
    enough = bool(ahead[scores["metric"] == name].any()) or int(ahead.sum()) > 1
    if not enough or (scores["difference_low"] > 0).any():
        return ""
    return " For these cells PCA is recommended; the file of cells holds it too."


def score_table(beside: dict[str, Beside]) -> pd.DataFrame:
    """One row a metric: ``metric``, then ``vae``, ``pca`` and ``difference``, each with ``_low`` and ``_high``."""
    rows: list[dict[str, Any]] = []
    for metric, values in beside.items():
        rows.append({"metric": metric})
        for name, interval in values._asdict().items():
            rows[-1] |= banded(name, interval)
    return pd.DataFrame(rows)


def scores_as_json(beside: dict[str, Beside]) -> dict[str, Any]:
    """Metrics by embedding: value, and ends of the interval."""
    return {
        name: {metric: getattr(values, name)._asdict() for metric, values in beside.items()} for name in Beside._fields
    }
