"""Every generator on ten simulated bulk data sets and on mouse cells; on 200 genes beside CTGAN and TVAE too.

    python benchmarks/synthesis.py --data DIR --out runs/synthesis
    python benchmarks/synthesis.py --data DIR --out runs/synthesis --only small --peer ctgan/bin/python

Parts: `bulk` (seeds 0 to 9 of `simulate_bulk`, 10,000 genes x 400 samples, 300 to learn from, 100 held out, batch and
group as conditions, the planted truth), `mouse` (mouse_10x_counts_10000x1000.h5ad in DIR without its empty cell, 9,000
to learn from and 1,000 held out, three times, no conditions) and `small`: the same samples on their 200 most variable
genes, as log values, genes and the library size that counts are scaled to being chosen by the training samples. With
--peer, `small` holds CTGAN and TVAE, in an environment of their own (`pip install ctgan`), conditions as discrete
columns, at their defaults (300 epochs, batches of 500); --peer-batch 50 adds both with smaller batches.

Every piece (a generator on a data set) is written when it is done, so a run can be stopped, and several can run at once
with other --datasets or --models; a last one without these gathers all. Prints Markdown: means over data sets and half
of the 95 % t-interval, with real held-out samples and shuffled genes in the place of synthetic ones.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd

from cellixir.data.expression.matrix import profile
from cellixir.data.expression.normalise import log_normalise
from cellixir.data.simulate import simulate_bulk
from cellixir.exceptions import ConfigurationError
from cellixir.synthesis import GENERATORS
from cellixir.synthesis.benchmark_job import Benchmark, benchmark
from cellixir.synthesis.benchmark_pieces import held_out
from cellixir.synthesis.benchmark_summary import number, paired

PARTS = ("bulk", "mouse", "small")
DATASETS = [*(f"bulk{seed}" for seed in range(10)), "mouse"]
MOUSE = "mouse_10x_counts_10000x1000.h5ad"
KEYS = {"contrast_key": "group", "batch_key": "batch"}
CONDITION = ("batch", "group")
HOLDOUT = {"bulk": 0.25, "mouse": 0.1}
SEEDS = {"bulk": 1, "mouse": 3}  # ten data sets, or one held out anew
N_GENES = 200
PEERS = ("ctgan", "tvae")
TABLES = {
    "Fidelity": ("precision", "recall", "density", "coverage", "c2st", "mmd2", "correlation", "gene_variance"),
    "Differential expression and utility": (
        "de_precision", "de_recall", "de_f1", "de_jaccard", "lfc_slope", "tstr_ratio", "augmentation",
    ),
    "Privacy and cost": ("dcr_share", "membership", "reference_attack", "authenticity", "fit_seconds", "ms_per_gene"),
}  # fmt: skip
CLAIMS = ("recall", "coverage", "c2st", "de_f1", "lfc_slope")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data", type=Path, help="Folder with the mouse cells.")
    parser.add_argument("--only", nargs="+", default=PARTS, choices=PARTS)
    parser.add_argument("--models", nargs="+", default=list(GENERATORS), choices=GENERATORS)
    parser.add_argument("--datasets", nargs="+", default=DATASETS, choices=DATASETS)
    parser.add_argument("--peer", help="Python of an environment that has the package ctgan.")
    parser.add_argument("--peer-epochs", type=int, default=300, help="Of CTGAN and TVAE.")
    parser.add_argument("--peer-batch", nargs="+", type=int, default=[500])
    parser.add_argument("--genes", type=int, default=10_000, help="Fewer, to try.")
    parser.add_argument("--samples", type=int, default=400, help="Fewer, to try.")
    parser.add_argument("--epochs", type=int, help="Fewer, to try.")
    options = parser.parse_args()
    if "mouse" in options.datasets and options.data is None and set(options.only) != {"bulk"}:
        parser.error("the mouse cells need --data; leave mouse out of --datasets, or give it")
    for part in options.only:
        for kind in HOLDOUT if part == "small" else (part,):
            sources = {name: source for name, source in sources_of(options, kind).items() if name in options.datasets}
            if sources:
                run(options, kind, sources, small=part == "small")


def sources_of(options: argparse.Namespace, kind: str) -> dict[str, Callable[[], ad.AnnData]]:
    """What reads each data set."""
    if kind == "mouse":
        return {"mouse": lambda: mouse(options.data)} if options.data else {}
    make = partial(simulate_bulk, n_genes=options.genes, n_samples=options.samples)
    return {f"bulk{seed}": partial(make, seed=seed) for seed in range(10)}


def mouse(data: Path) -> ad.AnnData:
    """Mouse cells that have counts."""
    cells = ad.read_h5ad(data / MOUSE)
    cells.uns["scale"] = "counts"
    return cells[profile(cells).library_size > 0].copy()


def run(options: argparse.Namespace, kind: str, sources: dict[str, Callable[[], ad.AnnData]], *, small: bool) -> None:
    """Do what is not done, and print."""
    condition = CONDITION if kind == "bulk" else ()
    if small:
        sources = {name: partial(most_variable, source, HOLDOUT[kind], condition) for name, source in sources.items()}
    trained = [name for name in options.models if name not in ("gaussian", "copula") and options.epochs]
    found = benchmark(
        sources, options.out / (f"small-{kind}" if small else kind), models=options.models, condition=condition,
        holdout=HOLDOUT[kind], seeds=SEEDS[kind], settings={name: {"max_epochs": options.epochs} for name in trained},
        others=peers(options, condition) if small and options.peer else None,
        quiet=False, **(KEYS if condition else {}),
    )  # fmt: skip
    title = f"{kind}{f', {N_GENES} most variable genes, log values' if small else ''}"
    print(f"\n## {title}: {', '.join(dict.fromkeys(found.results['dataset']))}\n")
    for row in found.failures.to_dict("records"):
        print(f"* failed: {row['model']} on {row['dataset']}: {row['error']}")
    for name, metrics in TABLES.items():
        if set(metrics) & set(found.summary["metric"]):
            print(f"{name}:\n\n{found.markdown(metrics)}\n", flush=True)
    for model in options.models if small else ("cvae",):
        print_differences(found, model, peers_in(found) if small else ("gan",))


def most_variable(source: Callable[[], ad.AnnData], holdout: float, condition: tuple[str, ...]) -> ad.AnnData:
    """Log values of the genes that vary most among the training samples, which also set the library size."""
    counts = source()
    train, _ = held_out(counts, holdout, condition, 0)
    library = profile(counts[train]).library_size
    log = log_normalise(counts, float(np.median(library)))
    genes = np.sort(np.argsort(-profile(log[train]).variance, kind="stable")[:N_GENES])
    found = log[:, genes].copy()
    for name in counts.varm:
        found.varm[name] = (
            counts.varm[name].iloc[genes] if hasattr(counts.varm[name], "iloc") else counts.varm[name][genes]
        )
    return found


def print_differences(found: Benchmark, model: str, others: Sequence[str]) -> None:
    """How much one generator differs from others on the same data sets, and how much faster it is fitted."""
    costs = found.summary[found.summary["metric"] == "ms_per_gene"].set_index("model")["mean"]
    for other in others:
        if not {model, other} <= set(costs.index):
            continue
        said = [f"fitted {costs[other] / costs[model]:.1f} times as fast a gene"]
        for metric in CLAIMS:
            try:
                value, low, high = (number(metric, x) for x in paired(found.results, model, other, metric))
            except ConfigurationError:  # not judged
                continue
            said.append(f"{metric} {value}" + ("" if low == "–" else f" [{low}, {high}]"))
        print(f"* {model} less {other}: {', '.join(said)}")


# -- CTGAN and TVAE ----------------------------------------------------------------------------------------------------


class Peer:
    """A generator of the package ctgan in a process of another Python, which fits and draws in one go."""

    def __init__(self, name: str, python: str, condition: tuple[str, ...], settings: dict[str, int]) -> None:
        self.name, self.python, self.condition, self.settings = name, python, condition, {"peer": name} | settings

    def fit(self, samples: ad.AnnData) -> Peer:
        """Fit and draw as many samples; ``fit_seconds_`` is of the fit alone, in the other process."""
        values = samples.X.toarray() if hasattr(samples.X, "toarray") else samples.X
        with tempfile.TemporaryDirectory() as place:
            train, made = Path(place) / "train.npz", Path(place) / "made.npz"
            columns = {f"column/{name}": samples.obs[name].to_numpy(str) for name in self.condition}
            np.savez(train, values=values, **columns)
            script = Path(__file__).with_name("synthesis_ctgan.py")
            command = [self.python, str(script), str(train), str(made), json.dumps(self.settings)]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                message = f"{self.name} failed: {done.stderr.strip()[-500:]}"
                raise RuntimeError(message)
            with np.load(made, allow_pickle=False) as found:
                self.drawn_, self.fit_seconds_ = found["values"], float(found["seconds"])
                self.columns_ = {name: found[f"column/{name}"] for name in self.condition}
        self.genes_, self.scale_ = samples.var_names, samples.uns["scale"]
        return self

    def sample(self, n: int) -> ad.AnnData:
        """The samples that were drawn; log values are not below 0, as ours are not."""
        assert n == len(self.drawn_)
        obs = pd.DataFrame(self.columns_, index=[f"synthetic_{i}" for i in range(n)])
        values = np.maximum(self.drawn_, 0).astype(np.float32)
        return ad.AnnData(values, obs=obs, var=pd.DataFrame(index=self.genes_), uns={"scale": self.scale_})


def peers(options: argparse.Namespace, condition: tuple[str, ...]) -> dict[str, Callable[[int], Peer]]:
    """Both, with each size of batches."""

    def maker(name: str, kind: str, batch: int) -> Callable[[int], Peer]:
        settings = {"batch_size": batch, "epochs": options.peer_epochs}
        return lambda seed: Peer(name, options.peer, condition, settings | {"seed": seed, "kind": kind})

    names = {
        (kind, batch): kind if batch == 500 else f"{kind}-b{batch}" for batch in options.peer_batch for kind in PEERS
    }
    return {name: maker(name, kind, batch) for (kind, batch), name in names.items()}


def peers_in(found: Benchmark) -> list[str]:
    return [model for model in dict.fromkeys(found.results["model"]) if model not in GENERATORS]


if __name__ == "__main__":
    main()
