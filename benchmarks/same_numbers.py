"""Numbers of small runs of every job, written down and compared, to see what a change of the code changes.

    python benchmarks/same_numbers.py record numbers.json
    python benchmarks/same_numbers.py compare numbers.json
    python benchmarks/same_numbers.py compare numbers.json --only lco,vae-nb

`record` runs every case and writes, for each table column, array and number it gives, the first values and the SHA-256
of all of them (arrays as little-endian bytes in C order, columns value by value as `repr` has it; a single number is
written out). `compare` runs the cases again and prints what differs, with the first values then and now; the exit code
is 1 if anything differs, is gone, or failed. What is new is named and does no harm. Seconds, words and paths are left
out. All data are simulated here; the extras of `pip install '.[all]'` are needed.

The numbers are those of one machine, one set of library versions and one thread (`OMP_NUM_THREADS=2` changes the last
bits of networks): record and compare on the same. All cases take about two minutes of one core. Where commands or
modules have moved, change their names in the first part of this file, and the recorded numbers stay.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("MPLBACKEND", "Agg")

import argparse
import contextlib
import dataclasses
import hashlib
import json
import re
import shlex
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp
import torch
from typer.testing import CliRunner

# -- how each case is run: all names of the package --------------------------------------------------------------------

#: What is imported.
PLACES = {
    "app": "cellixir.cli.app:app",
    "ResponsePredictor": "cellixir:ResponsePredictor",
    "VAE": "cellixir:VAE",
    "Architecture": "cellixir.response.network.architecture:Architecture",
    "TrainingConfig": "cellixir.training:TrainingConfig",
    "Preprocess": "cellixir.data.preprocess.chain:Preprocess",
    "parse_steps": "cellixir.data.preprocess.grammar:parse_steps",
    "make_folds": "cellixir.data.splits:make_folds",
    "split_off": "cellixir.data.splits:split_off",
    "read_inputs": "cellixir.data.inputs:read_inputs",
}
#: Metrics: where they are, and which of `metric_tables` they take.
CLASSES, CLUSTERS = "cellixir.metrics.classification", "cellixir.metrics.clustering"
CONFORMAL, GENERATIVE = "cellixir.metrics.conformal", "cellixir.metrics.generative"
METRICS = {
    "score": ("cellixir.metrics:score", "y p"),
    "normalised": ("cellixir.metrics:normalised", "y p other"),
    "intervals": ("cellixir.metrics:intervals", "y p group"),
    "paired_difference": ("cellixir.metrics:paired_difference", "y p other group"),
    "class_score": (f"{CLASSES}:class_score", "label probability"),
    "confusion_matrix": (f"{CLASSES}:confusion_matrix", "label probability"),
    "calibration_curve": (f"{CLASSES}:calibration_curve", "label probability"),
    "best_f1": (f"{CLASSES}:best_f1", "label probability"),
    "roc_points": (f"{CLASSES}:roc_points", "label probability"),
    "pr_points": (f"{CLASSES}:pr_points", "label probability"),
    "class_intervals": ("cellixir.metrics.class_intervals:class_intervals", "label probability group"),
    "ari": (f"{CLUSTERS}:ari", "kind called"),
    "nmi": (f"{CLUSTERS}:nmi", "kind called"),
    "accuracy": (f"{CLUSTERS}:accuracy", "kind called"),
    "macro_f1": (f"{CLUSTERS}:macro_f1", "kind called"),
    "silhouette": (f"{CLUSTERS}:silhouette", "real kind"),
    "knn_purity": (f"{CLUSTERS}:knn_purity", "real kind"),
    "coverage": (f"{CONFORMAL}:coverage", "y low high group"),
    "benjamini_hochberg": ("cellixir.metrics.fdr:benjamini_hochberg", "p_value"),
    "storey": ("cellixir.metrics.fdr:storey", "p_value"),
    "prdc": (f"{GENERATIVE}:prdc", "real made"),
    "mmd2_with_error": (f"{GENERATIVE}:mmd2_with_error", "real made"),
    "alpha_precision": (f"{GENERATIVE}:alpha_precision", "real made"),
    "beta_recall": (f"{GENERATIVE}:beta_recall", "real made"),
    "authenticity": (f"{GENERATIVE}:authenticity", "real made"),
    "nndr": (f"{GENERATIVE}:nndr", "real made"),
    "c2st": (f"{GENERATIVE}:c2st", "real made"),
    "closest_record": (f"{GENERATIVE}:closest_record", "real held_out made"),
    "membership_interval": (f"{GENERATIVE}:membership_interval", "real held_out made"),
    "reference_attack": (f"{GENERATIVE}:reference_attack", "real held_out made"),
    "tstr": (f"{GENERATIVE}:tstr", "real label made label held_out label"),
    "augmentation_gain": (f"{GENERATIVE}:augmentation_gain", "real label made label held_out label"),
    "differential_expression": (f"{GENERATIVE}:differential_expression", "real side"),
    "gene_statistics": (f"{GENERATIVE}:gene_statistics", "counts made_counts"),
    "correlation_distance": (f"{GENERATIVE}:correlation_distance", "counts made_counts"),
    "library_size_distance": (f"{GENERATIVE}:library_size_distance", "counts made_counts"),
}  # fmt: skip

#: Options that several command lines share.
OPTIONS = {
    name: f"--{prefix}response {name}/responses.csv --{prefix}omics expression={name}/expression.csv "
    f"--{prefix}omics mutations={name}/mutations.csv --{prefix}drugs {name}/drugs.csv "
    f"--{prefix}samples {name}/samples.csv"
    for name, prefix in {"screen": "", "first": "", "second": "external-"}.items()
}
BENCHMARK = ("leaderboard.csv", "overall.csv", "paired.csv", "histories.csv", "predictions.parquet")
STUDY = ("leaderboard.csv", "paired.csv", "per_drug.csv", "matches.csv", "overlap.json", "predictions.parquet")
TABLE = ("leaderboard.csv", "overall.csv", "histories.csv", "predictions.parquet", "audit.json#findings")
COHORT = ("responses.csv", "expression.csv", "mutations.csv", "drugs.csv", "samples.csv")
ANOVA = "response anova --response screen/responses.csv --features features.csv"
SIMS = "bulk/seed0.h5ad bulk/seed1.h5ad"
KEYS = "--contrast-key group --batch-key batch"
SMALL_VAE = "--hidden 16 --epochs 4 --no-maps"

#: Files that the other cases read.
INPUTS = (
    "simulate cohort --n-samples 60 --n-drugs 12 --n-genes 30 --n-mutations 24 --n-targets 4 --n-tissues 4 "
    "--missing 0.1 --out screen",
    "simulate single-cell --n-cells 150 --n-genes 60 --n-types 3 --n-modules 2 --library-size 300 0.3 --out cells.h5ad",
    "simulate bulk --n-samples 90 --n-genes 40 --n-datasets 2 --out bulk",
)


class Commands(NamedTuple):
    """Command lines of a case, ``{out}`` its own folder, and the files in it whose numbers are kept.

    A file that has moved is written ``overall.csv=tables/overall.csv``: its numbers keep the name that they had.
    """

    lines: tuple[str, ...]
    files: tuple[str, ...]


def of_response(options: str, *more: str) -> Commands:
    """Benchmark of the screen in two folds."""
    return Commands((f"response benchmark {OPTIONS['screen']} --folds 2 {options} --out {{out}}",), (*BENCHMARK, *more))


def of_table(options: str) -> Commands:
    """Benchmark of a table in three folds."""
    return Commands((f"table benchmark table.csv --folds 3 {options} --out {{out}}",), TABLE)


def of_generator(model: str, *, epochs: int = 0) -> Commands:
    """Samples of a generator, and how it was trained."""
    trained = f"--epochs {epochs} --history {{out}}/history.csv" if epochs else ""
    fit = f"synthesize fit train.h5ad --model {model} --condition batch,group {trained} --out {{out}}/bundle"
    some = "synthesize sample {out}/bundle -n 20 --given group=group2 --seed 5 --out {out}/some.h5ad"
    return Commands(
        (fit, "synthesize sample {out}/bundle -n 40 --out {out}/made.h5ad", some),
        ("made.h5ad", "some.h5ad", *(["history.csv"] if epochs else [])),
    )


def of_simulator(kind: str, options: str) -> Commands:
    """One simulated data set, with its truth."""
    return Commands((f"simulate {kind} {options} --seed 3 --out {{out}}/made.h5ad",), ("made.h5ad",))


COMMANDS = {
    "simulate-cohort": Commands(
        ("simulate cohort --n-samples 25 --n-drugs 8 --n-genes 20 --n-mutations 16 --n-targets 3 --out {out}",),
        ("responses.csv", "expression.csv#values", "mutations.csv#values", "drugs.csv", "samples.csv",
         "truth/biomarkers.csv", "truth/drug_effects.csv", "truth/sample_effects.csv",
         "truth/tissue_effects.csv#values", "truth/expected.csv#values"),
    ),
    "simulate-bulk": of_simulator(
        "bulk", "--n-samples 30 --n-genes 90 --n-groups 3 --group-shares 2,1,1 --n-modules 1"
    ),
    "simulate-single-cell": of_simulator("single-cell", "--n-cells 80 --n-genes 60 --n-modules 2"),
    "simulate-perturbation": of_simulator("perturbation", "--n-genes 40 --n-drugs 5 --n-pairs 3 --n-replicates 2"),
    "simulate-aging": of_simulator("aging", "--n-samples 30 --n-genes 60 --n-age-genes 20 --n-sex-genes 5"),
    "lco": of_response(
        "--split LCO --models ridge,random_forest,hist_gradient_boosting,xgboost,network", "split.csv.gz"
    ),
    "lco-preprocess": of_response(
        "--split LCO --models ridge,deep:gin --encoder expression=conv1d "
        "--preprocess 'expression:variance=20,standard,pca=5;mutations:variance>0.02'"
    ),
    "lpo": of_response("--split LPO --models ridge,network --seed 1", "split.csv.gz"),
    "ldo": of_response("--split LDO --models random_forest,network --allow scaffold", "split.csv.gz"),
    "lto": of_response("--split LTO --models ridge", "split.csv.gz"),
    "classification": of_response("--split LCO --task classification --label zscore=-0.5 --models ridge,network"),
    "intervals": of_response("--split LCO --models network --interval .8", "coverage.csv"),
    "cross-study": Commands(
        (
            f"response cross-study {OPTIONS['first']} {OPTIONS['second']} --overlap samples --models ridge,network "
            "--interval .8 --out {out}",
        ),
        STUDY,
    ),
    "fit-predict": Commands(
        (
            f"response fit {OPTIONS['first']} --members 2 --seed 4 --out {{out}}/bundle",
            "response predict {out}/bundle --omics expression=second/expression.csv "
            "--omics mutations=second/mutations.csv --samples second/samples.csv --out {out}/ranked.csv",
            "response predict {out}/bundle --omics expression=second/expression.csv --missing mean --interval .5 "
            "--out {out}/half.csv",
        ),
        ("ranked.csv", "half.csv"),
    ),
    "anova": Commands(
        (
            f"{ANOVA} --drugs screen/drugs.csv --out {{out}}",
            f"{ANOVA} --fdr storey --per-drug --tissue tissue1 --out {{out}}/one",
        ),
        ("anova.csv", "one/anova.csv"),
    ),
    "audit-table": Commands(("table audit leaky.csv --target y --out {out}",), ("audit.json#findings",)),
    "audit-responses": Commands(
        (
            f"response audit {OPTIONS['screen']} --split LDO --out {{out}}/ldo",
            f"response audit {OPTIONS['screen'].replace('screen/expression', 'leaky_expression')} --split LCO "
            "--out {out}/lco",
        ),
        ("ldo/audit.json#findings", "lco/audit.json#findings"),
    ),
    "table-regression": of_table(
        "--target y --drop kind --group-key site --preprocess impute=median,standard --interval .8 "
        "--models ridge,random_forest,xgboost,network"
    ),
    "table-classification": of_table(
        "--target kind --drop y --models logistic,random_forest,hist_gradient_boosting,network"
    ),
    "embed-fit": Commands(
        (
            "embed fit cells.h5ad --label-key cell_type --enrich sets.gmt --folds 2 --latent 3 "
            f"{SMALL_VAE} --out {{out}}/run",
            "embed apply {out}/run cells.h5ad --out {out}/applied.h5ad",
        ),
        ("run/metrics.json", "run/cells.h5ad", "run/history.csv", "run/loadings.csv", "run/called.csv",
         "run/enrichment.csv", "applied.h5ad"),
    ),
    "embed-gene-sets": Commands(
        (f"embed fit cells.h5ad --batch-key batch --gene-sets sets.gmt {SMALL_VAE} --out {{out}}",),
        ("metrics.json", "cells.h5ad", "history.csv", "loadings.csv", "enrichment.csv"),
    ),
    "embed-compare": Commands(
        ("embed compare two.toml cells.h5ad --label-key cell_type --no-maps --out {out}",),
        ("experiments.csv", "histories.csv"),
    ),
    "generator-gaussian": of_generator("gaussian"),
    "generator-copula": of_generator("copula"),
    "generator-vae": of_generator("vae", epochs=4),
    "generator-cvae": of_generator("cvae", epochs=4),
    "generator-gan": of_generator("gan", epochs=4),
    "generator-wgan-gp": of_generator("wgan-gp", epochs=4),
    "synthesize-evaluate": Commands(
        (
            "synthesize fit train.h5ad --model copula --condition batch,group --out {out}/bundle",
            "synthesize sample {out}/bundle -n 60 --out {out}/made.h5ad",
            "synthesize evaluate --real train.h5ad --holdout held_out.h5ad --synthetic {out}/made.h5ad "
            f"{KEYS} --no-maps --out {{out}}/judged",
        ),
        ("judged/metrics.json#metrics",),
    ),
    "synthesize-benchmark": Commands(
        (f"synthesize benchmark {SIMS} --models gaussian,cvae --epochs 3 {KEYS} --out {{out}}",),
        ("results.csv", "summary.csv"),
    ),
}  # fmt: skip

#: VAEs: which of `CELLS` they are fitted to, and settings.
VAES: dict[str, tuple[str, dict[str, Any]]] = {
    "vae-nb": ("counts", {"likelihood": "nb"}),
    "vae-zinb": ("counts", {"likelihood": "zinb", "n_layers": 2, "library": "learned", "kl_warmup": 0.5}),
    "vae-gaussian": ("log", {"likelihood": "gaussian", "beta": 2.0}),
    "vae-bernoulli": ("detected", {"likelihood": "bernoulli"}),
    "vae-batches": ("counts", {"likelihood": "nb", "batch_key": "batch", "group_key": "cell_type"}),
    "vae-labels": ("counts", {"likelihood": "nb", "label_key": "cell_type"}),
    "vae-gene-sets": ("counts", {"likelihood": "nb", "gene_sets": {}, "n_free": 2}),
}
#: What cells are made of counts for them.
CELLS: dict[str, Callable[[Any], Any]] = {
    "counts": lambda counts: counts,
    "log": lambda counts: np.log1p(counts.toarray() / counts.toarray().sum(axis=1, keepdims=True) * 1e4),
    "detected": lambda counts: (counts.toarray() > 0).astype(np.float32),
}
#: Encoders of samples and of drugs that the network is fitted with.
ENCODERS = {
    "dense": ("dense", "fingerprint"),
    "conv1d": ("conv1d", "fingerprint"),
    "conv2d": ("conv2d", "smiles-conv"),
    "recurrent": ("recurrent", "smiles-transformer"),
    "transformer": ("transformer", "gat"),
    "gin": ("dense", "gin"),
    "target-graph": ("expression=conv1d", "target-graph"),
}
#: Chains of preprocessing.
CHAINS = (
    "impute=mean,standard",
    "impute=median,variance=12,standard,pca=4",
    "impute=knn,robust",
    "impute=drop,minmax",
    "variance>0.5,impute=median,quantile",
    "impute=mean,rank",
    "impute=mean,anova=6",
    "impute=mean,mutual_info=6,standard",
    "impute=mean,rfe=5",
)

# -- cases in Python ---------------------------------------------------------------------------------------------------


def of(place: str) -> Any:
    """What stands at ``module:name``, or at a name of `PLACES`."""
    module, _, name = PLACES.get(place, place).partition(":")
    return getattr(import_module(module), name)


def screen() -> Any:
    """The screen that the benchmarks read."""
    views = {name: Path(f"screen/{name}.csv") for name in ("expression", "mutations")}
    drugs, samples = Path("screen/drugs.csv"), Path("screen/samples.csv")
    return of("read_inputs")(Path("screen/responses.csv"), omics=views, drugs=drugs, samples=samples)


def predictor(sample_encoder: str, drug_encoder: str) -> dict[str, Any]:
    """Predictions of a short network on samples that it has not seen, before and after it is saved."""
    data = screen()
    fold = of("make_folds")(data, "LCO", n_folds=3)[0]
    architecture = of("Architecture")(
        latent=8, encoder=32, head=8, sample_encoder=sample_encoder, drug_encoder=drug_encoder, linear=False
    )
    training = of("TrainingConfig")(max_epochs=8, batch_size=64, learning_rate=0.01)
    model = of("ResponsePredictor")("LCO", architecture=architecture, training=training, members=2, seed=1)
    model.fit(data.take(np.concatenate([fold.train, fold.validation])))
    test = data.take(fold.test)
    folder = f"{sample_encoder}-{drug_encoder}.bundle"
    model.save(folder)
    return {
        "members": model.predict_members(test),
        "predicted": model.predict(test),
        "loaded": type(model).load(folder).predict(test),
        "half_width": model.half_width(test, 0.8),
        "typical_error": model.typical_error(test),
        "in_domain": model.in_domain(test),
        "share": model.share_,
        "history": model.history_,
    }


def vae(kind: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What a VAE says of the cells that it was fitted to, before and after it is saved."""
    cells = ad.read_h5ad("cells.h5ad")
    cells = ad.AnnData(CELLS[kind](cells.X), obs=cells.obs, var=pd.DataFrame(index=cells.var_names))
    given = dict(settings) | ({"gene_sets": gene_sets(cells.var_names)} if "gene_sets" in settings else {})
    model = of("VAE")(latent=3, hidden=16, max_epochs=4, seed=2, **given).fit(cells)
    model.save(f"{kind}.bundle")
    again = type(model).load(f"{kind}.bundle")
    return {
        "latents": model.transform(cells),
        "elbo": model.elbo(cells, n_draws=2),
        "expression": model.expression(cells),
        "loadings": model.loadings().to_numpy(),
        "history": model.history_,
        "loaded latents": again.transform(cells),
        "loaded elbo": again.elbo(cells, n_draws=2),
        "classes": model.predict(cells).to_numpy() if "label_key" in settings else None,
    }


def splits() -> dict[str, Any]:
    """Rows of every fold, and of a part that is cut off."""
    data, found = screen(), {}
    for kind in ("LPO", "LCO", "LDO", "LTO"):
        folds = of("make_folds")(data, kind, n_folds=3, seed=5)
        parts = ("train", "validation", "test")
        found[kind] = {part: np.concatenate([getattr(fold, part) for fold in folds]) for part in parts}
        found[kind] |= dict(zip(("kept", "cut"), of("split_off")(data, kind, seed=7), strict=True))
    return found


def preprocess() -> dict[str, Any]:
    """Rows after each chain, learned from other rows."""
    rng = np.random.default_rng(6)
    x = rng.normal(size=(60, 20)) * rng.uniform(0.2, 2.0, 20) + rng.normal(size=20)
    y = x[:, 0] - 2 * x[:, 3] + rng.normal(size=60)
    x[rng.random(x.shape) < 0.04] = np.nan
    x[:, [2, 5, 7, 11, 13]] = np.nan_to_num(x[:, [2, 5, 7, 11, 13]])
    x[40:] = np.nan_to_num(x[40:])  # `impute=drop` takes no gaps later
    names = [f"G{j}" for j in range(20)]
    found = {}
    for chain in CHAINS:
        fitted = of("Preprocess")(of("parse_steps")(chain), seed=0).fit(x[:40], names, y[:40])
        found[chain] = {"rows": fitted.transform(x[40:]), "columns": pd.Series(fitted.names_)}
    return found


def metrics() -> dict[str, Any]:
    """Every metric of fixed tables."""
    tables = metric_tables()
    there = {name: (place, taken) for name, (place, taken) in METRICS.items() if exists(place)}
    return {
        name: of(place)(*(tables[argument] for argument in taken.split())) for name, (place, taken) in there.items()
    }


def exists(place: str) -> bool:
    """Whether something stands at ``module:name``: a metric that was deleted is gone, and the others are compared."""
    module, _, name = place.partition(":")
    return hasattr(import_module(module), name)


def metric_tables() -> dict[str, Any]:
    """Tables of 120 rows."""
    rng, n = np.random.default_rng(8), 120
    y, code = rng.normal(size=n), rng.integers(3, size=n)
    p, label = y + rng.normal(size=n), (y + rng.normal(size=n) > 0).astype(np.float64)
    real, held_out, made = (rng.normal(loc=shift, size=(n, 5)) + code[:, None] for shift in (0.0, 0.0, 0.2))
    return {
        "y": y, "p": p, "other": y + 2 * rng.normal(size=n), "low": p - 1.0, "high": p + 1.5,
        "group": rng.integers(10, size=n), "label": label, "probability": 1 / (1 + np.exp(-p)),
        "guess": rng.random(n), "side": np.where(label > 0, "right", "left"), "kind": np.array(["a", "b", "c"])[code],
        "called": np.array(["a", "b", "c"])[np.where(rng.random(n) < 0.7, code, rng.integers(3, size=n))],
        "p_value": np.append(rng.random(n) ** 3, np.nan), "real": real, "held_out": held_out, "made": made,
        "counts": rng.poisson(np.exp(real)) * 1.0, "made_counts": rng.poisson(np.exp(made)) * 1.0,
    }  # fmt: skip


PYTHON: dict[str, Callable[[], dict[str, Any]]] = {
    "splits": splits,
    "preprocess": preprocess,
    "metrics": metrics,
    **{f"network-{n}": partial(predictor, *encoders) for n, encoders in ENCODERS.items()},
    **{name: partial(vae, *given) for name, given in VAES.items()},
}

# -- data --------------------------------------------------------------------------------------------------------------


def prepare() -> None:
    """Write what the cases read to the working folder."""
    for line in INPUTS:
        command(line)
    cells = ad.read_h5ad("cells.h5ad")
    sets = [f"{name}\t{name}\t" + "\t".join(genes) for name, genes in gene_sets(cells.var_names).items()]
    Path("sets.gmt").write_text("\n".join(sets) + "\n", encoding="utf-8")
    Path("two.toml").write_text(
        "[defaults]\nepochs = 3\nlatent = 3\n[experiment.wide]\nhidden = 32\n[experiment.narrow]\nhidden = 8\n",
        encoding="utf-8",
    )
    bulk = ad.read_h5ad("bulk/seed0.h5ad")
    held = np.arange(bulk.n_obs) % 3 == 0
    bulk[~held].copy().write_h5ad("train.h5ad")
    bulk[held].copy().write_h5ad("held_out.h5ad")
    write_studies()
    write_tables()


def gene_sets(genes: Sequence[str]) -> dict[str, list[str]]:
    """Six sets of ten genes; neighbours share two."""
    return {f"SET {k}": list(genes[8 * k : 8 * k + 10]) for k in range(6)}


def write_studies() -> None:
    """Two studies of the screen that share ten samples, the second with an assay of its own; features with tissue."""
    tables = {name: pd.read_csv(f"screen/{name}", float_precision="round_trip") for name in COHORT}
    samples, rng = tables["samples.csv"]["sample"], np.random.default_rng(1)
    for folder, chosen in (("first", samples[:40]), ("second", samples[30:])):
        Path(folder).mkdir()
        for name, table in tables.items():
            part = table[table["sample"].isin(chosen)].copy() if "sample" in table else table
            if name == "responses.csv" and folder == "second":
                part["ln_ic50"] += 0.4 + 0.3 * rng.normal(size=len(part))
            part.to_csv(f"{folder}/{name}", index=False)
    features = tables["mutations.csv"].assign(
        TISSUE_FACTOR=tables["samples.csv"]["tissue"], MSI_FACTOR=rng.integers(2, size=len(samples))
    )
    features.to_csv("features.csv", index=False)
    to_one = tables["responses.csv"].query("drug == 'D001'").set_index("sample")["ln_ic50"]
    leak = to_one.reindex(samples).fillna(0.0).to_numpy()
    tables["expression.csv"].assign(LEAK=leak).to_csv("leaky_expression.csv", index=False)


def write_tables() -> None:
    """A table with numbers, gaps, categories and groups; and one whose target is a sum of two columns."""
    rng, n = np.random.default_rng(2), 150
    table = pd.DataFrame(rng.normal(size=(n, 5)), columns=[f"x{j}" for j in range(5)])
    table["colour"] = rng.choice(["red", "green", "blue"], n)
    table["site"] = [f"site {i % 15}" for i in range(n)]
    score = table["x0"] - 0.5 * table["x1"] * table["x2"] + (table["colour"] == "red") + 0.5 * rng.normal(size=n)
    table.loc[rng.random(n) < 0.1, "x3"] = np.nan
    table["y"], table["kind"] = score, np.where(score > 0.8, "high", np.where(score < -0.3, "low", "middle"))
    table.to_csv("table.csv", index=False)
    leaky = pd.DataFrame(rng.normal(size=(n, 5)), columns=list("abcde")).assign(y=lambda t: t["a"] + t["b"])
    leaky.assign(copy=3 * leaky["y"] - 1, order=np.exp(leaky["y"]), one=1).to_csv("leaky.csv", index=False)


# -- a run -------------------------------------------------------------------------------------------------------------


def command(line: str) -> None:
    """Run one command line in this process; 3 is the exit code of an audit that finds a leak."""
    done = CliRunner().invoke(of("app"), shlex.split(line), catch_exceptions=False)
    if done.exit_code not in (0, 3) or (done.exit_code == 3 and " audit " not in line):
        message = f"exit code {done.exit_code} of 'cellixir {line}': {done.output[-500:]}"
        raise RuntimeError(message)


def run(name: str) -> dict[str, str]:
    """Numbers of one case by name."""
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))  # other libraries change it
    if name in PYTHON:
        return dict(written("", PYTHON[name]()))
    Path(name).mkdir()
    for line in COMMANDS[name].lines:
        command(line.format(out=name))
    places = {known: now or known for known, _, now in (file.partition("=") for file in COMMANDS[name].files)}
    return {key: text for known, now in places.items() for key, text in written(known, read(f"{name}/{now}"))}


def read(file: str) -> Any:
    """Content of a result file; ``file.json#key`` is one part of it, ``file.csv#values`` all but its first column."""
    path, _, key = file.partition("#")
    if path.endswith(".h5ad"):
        return ad.read_h5ad(path)
    if path.endswith(".parquet"):
        return pd.read_parquet(path)
    if path.endswith(".json"):
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        return content[key] if key else content
    table = pd.read_csv(path, float_precision="round_trip")
    return table.iloc[:, 1:].to_numpy(dtype=np.float64) if key else table


# -- numbers as text ---------------------------------------------------------------------------------------------------

#: Names of what is left out: times, and words that may be said in another way.
LEFT_OUT = re.compile(r"(\w*_)?(seconds|time|version|wall)(_\w+)?|what|family|verdict|reason|names|by|note|notes")


def written(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """Name and text of each column, array and number in a value; texts, but those of columns, are left out."""
    if isinstance(value, pd.DataFrame):
        yield from of_frame(name, value)
    elif isinstance(value, pd.Series):
        yield name, column_text(value)
    elif isinstance(value, ad.AnnData):
        yield from written(name, parts_of(value))
    elif isinstance(value, np.ndarray | torch.Tensor) or sp.issparse(value):
        yield name, array_text(np.asarray(value.toarray() if sp.issparse(value) else value))
    elif isinstance(value, bool | int | float | np.number | np.bool_):
        yield name, repr(value.item() if isinstance(value, np.generic) else value)
    else:
        yield from of_parts(name, value)


def of_parts(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """What stands in a mapping, a named tuple, a dataclass or a list."""
    if isinstance(value, list) and not value:
        yield name, "nothing"
    if isinstance(value, list) and value and isinstance(value[0], Mapping):
        yield from of_frame(name, pd.DataFrame(value))
        return
    if dataclasses.is_dataclass(value):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    elif hasattr(value, "_asdict"):
        value = value._asdict()
    elif isinstance(value, list | tuple):
        value = {str(i): part for i, part in enumerate(value)}
    for key, part in value.items() if isinstance(value, Mapping) else ():
        if not LEFT_OUT.fullmatch(str(key)):
            yield from written(f"{name}/{key}" if name else str(key), part)


def of_frame(name: str, table: pd.DataFrame) -> Iterator[tuple[str, str]]:
    """Each column; an index with names is one too, and rows of times are none."""
    table = table if isinstance(table.index, pd.RangeIndex) else table.reset_index()
    if "metric" in table:
        table = table[~table["metric"].astype(str).str.contains("seconds|ms_per")]
    for column in table:
        if not LEFT_OUT.fullmatch(str(column)):
            yield f"{name}/{column}" if name else str(column), column_text(table[column])


def parts_of(cells: ad.AnnData) -> dict[str, Any]:
    """Values, layers and annotation, and the tables in ``uns``."""
    tables = {key: value for key, value in cells.uns.items() if isinstance(value, pd.DataFrame)}
    slots = {slot: dict(getattr(cells, slot)) for slot in ("layers", "obsm", "varm")}
    return {"X": cells.X, "obs": cells.obs, "var": cells.var, **slots, "uns": tables}


def column_text(values: pd.Series) -> str:
    """Length, first values and hash of a column."""
    texts = [repr(value) for value in values.astype(object).tolist()]
    return text_of(f"{len(texts)}", texts[:3], "\n".join(texts).encode())


def array_text(values: np.ndarray) -> str:
    """Type, shape, first values and hash of an array; all missing values are the same."""
    values = values.astype(np.int64) if values.dtype.kind in "iub" else values.copy()
    if values.dtype.kind == "f":
        values[np.isnan(values)] = np.nan
    plain = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
    shape = f"{plain.dtype.name} {'x'.join(map(str, plain.shape))}"
    return text_of(shape, [repr(value.item()) for value in plain.ravel()[:3]], plain.tobytes())


def text_of(shape: str, first: Sequence[str], content: bytes) -> str:
    return f"{shape}: {', '.join(first)} | {hashlib.sha256(content).hexdigest()}"


# -- record and compare ------------------------------------------------------------------------------------------------


def recorded(names: Sequence[str], *, strict: bool) -> dict[str, dict[str, str]]:
    """Numbers of each case; one that fails stops a record, and has its error as its only number in a comparison."""
    found: dict[str, dict[str, str]] = {}
    for name in names:
        start = time.perf_counter()
        try:
            found[name] = run(name)
        except Exception as error:
            if strict:
                raise
            found[name] = {"failed": f"{type(error).__name__}: {error}"}
        said = f"{len(found[name]):>4} numbers in {time.perf_counter() - start:4.1f} s"
        print(f"{name:<24} {said}", file=sys.stderr, flush=True)
    return found


def as_json(numbers: Mapping[str, Mapping[str, str]]) -> str:
    """One line a number."""
    cases = []
    for name, entries in numbers.items():
        lines = [f"  {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in entries.items()]
        cases.append(f" {json.dumps(name)}: {{\n" + ",\n".join(lines) + "\n }")
    return "{\n" + ",\n".join(cases) + "\n}\n"


def compared(before: Mapping[str, Mapping[str, str]], now: Mapping[str, Mapping[str, str]]) -> int:
    """Print the table, one line a case where all is the same; how many numbers are not."""
    print("| case | what | same? | recorded | now |\n| --- | --- | --- | --- | --- |")
    wrong = 0
    for case, new in now.items():
        old = before.get(case, {})
        if "failed" in new:
            print(f"| {case} | {len(old)} numbers | failed | | {shown(new['failed'])} |")
            wrong += max(len(old), 1)
            continue
        changed = [key for key in old if old[key] != new.get(key)]
        for key in changed:
            state = "different" if key in new else "gone"
            print(f"| {case} | {key} | {state} | {shown(old[key])} | {shown(new.get(key, ''))} |")
        if len(changed) < len(old):
            print(f"| {case} | {len(old) - len(changed)} of {len(old)} numbers | same | | |")
        added = [key for key in new if key not in old]
        if added:
            print(f"| {case} | {', '.join(added)} | new | | {shown(new[added[0]])} |")
        wrong += len(changed) + (not old)
    return wrong


def shown(text: str) -> str:
    """First values without the hash, which a table cell can hold."""
    return " ".join(text.partition(" | ")[0].replace("|", "/").split())[:120]


@contextlib.contextmanager
def workplace() -> Iterator[None]:
    """An empty working folder with the data of the cases."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        prepare()
        yield


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=["record", "compare"])
    parser.add_argument("file", type=Path)
    parser.add_argument("--only", metavar="NAME,...", default="", help="Cases to run. Default: all.")
    options = parser.parse_args()
    cases = [*COMMANDS, *PYTHON]
    names = options.only.split(",") if options.only else cases
    unknown = sorted(set(names) - set(cases))
    if unknown:
        parser.error(f"there is no case '{unknown[0]}'; choose among {', '.join(cases)}")
    file = options.file.resolve()
    before = json.loads(file.read_text(encoding="utf-8")) if options.task == "compare" else {}
    with workplace():
        now = recorded(names, strict=options.task == "record")
    if options.task == "record":
        file.write_text(as_json(now), encoding="utf-8")
        return
    wrong = compared(before, now)
    print(f"\n{wrong} of {sum(len(before.get(name, {})) for name in names)} numbers are not the same")
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
