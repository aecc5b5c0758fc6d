"""VAE beside PCA and scVI on real cells: held-out ELBO, clusters, neighbours and calls of cell types, three seeds.

    python benchmarks/embedding_quality.py prepare --data DIR --cells prepared/
    scvi/bin/python benchmarks/embedding_scvi.py --cells prepared/ --out scvi/
    python benchmarks/embedding_quality.py judge --cells prepared/ --scvi scvi/

`DIR` holds puram_GSE103322_180cells.h5ad and mouse_10x_counts_10000x1000.h5ad; pbmc68k_reduced comes with scanpy: its
counts are read back from log1p of counts per 10,000 and the cells' sums (they come out whole to within 0.09). In each
of three splits a tenth of the cells is held out; every model learns from the rest and embeds all. ELBO is that of the
held-out cells. Clusters are k-means with as many clusters as types; types are called by logistic
regression in five-fold cross-validation on the latents.
"""

from __future__ import annotations

import argparse
import json
import warnings
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp

LATENT = 10
METRICS = ("ari", "nmi", "silhouette", "knn_purity", "accuracy", "macro_f1")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("prepare", "judge"))
    parser.add_argument("--data", type=Path)
    parser.add_argument("--cells", type=Path, required=True)
    parser.add_argument("--scvi", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.what == "prepare":
        prepare(options.data, options.cells, options.seeds)
        return
    for file in sorted(options.cells.glob("*.h5ad")):
        if file.stem.startswith(options.only):
            judge(file, options.scvi, options.seeds)


def prepare(data: Path, out: Path, seeds: int) -> None:
    """Write each data set with a column `test_<seed>` for each split."""
    import scanpy as sc

    out.mkdir(parents=True, exist_ok=True)
    reduced = sc.datasets.pbmc68k_reduced()
    obs = reduced.obs[["bulk_labels"]].rename(columns={"bulk_labels": "label"})
    log = sp.csr_matrix(reduced.raw.X, dtype=np.float64)
    counts = log.copy()
    counts.data = np.expm1(counts.data) * np.repeat(reduced.obs["n_counts"].to_numpy() / 1e4, np.diff(counts.indptr))
    counts.data = counts.data.round()
    names = reduced.raw.var[[]]
    puram = ad.read_h5ad(data / "puram_GSE103322_180cells.h5ad")
    puram.obs = puram.obs.rename(columns={"celltypes": "label"})
    mouse = ad.read_h5ad(data / "mouse_10x_counts_10000x1000.h5ad")
    mouse = mouse[np.asarray(mouse.X.sum(axis=1)).ravel() > 0].copy()
    tables = {
        "pbmc68k_counts": (ad.AnnData(counts.astype(np.float32), obs=obs.copy(), var=names.copy()), "counts"),
        "pbmc68k_log": (ad.AnnData(log.astype(np.float32), obs=obs.copy(), var=names.copy()), "log"),
        "puram_log": (puram, "log"),
        "mouse_counts": (mouse, "counts"),
    }
    for name, (cells, kind) in tables.items():
        cells.uns["kind"] = kind
        for seed in range(seeds):
            chosen = np.random.default_rng(seed).permutation(cells.n_obs)[: cells.n_obs // 10]
            cells.obs[f"test_{seed}"] = np.isin(np.arange(cells.n_obs), chosen)
        cells.write_h5ad(out / f"{name}.h5ad")
        print(name, cells.shape)


def judge(file: Path, scvi: Path | None, seeds: int) -> None:
    """Print held-out ELBO, and for cells with labels every metric, by model and seed."""
    cells = ad.read_h5ad(file)
    labels = cells.obs["label"].astype(str).to_numpy() if "label" in cells.obs else None
    for seed in range(seeds):
        latents, elbo = embed(cells, seed)
        place = None if scvi is None else scvi / f"{file.stem}-{seed}.npz"
        if place is not None and place.exists():
            stored = np.load(place)
            latents["scvi"] = stored["latent"]
            curve = json.loads(str(stored["facts"]))["curve"]
            elbo["scvi"] = curve[-1]["elbo"]
            elbo |= {f"scvi, {point['epoch']} epochs": point["elbo"] for point in curve}
        print(f"{file.stem}, split {seed}: held-out ELBO " + ", ".join(f"{n} {v:.2f}" for n, v in elbo.items()))
        if labels is not None:
            print(scores(latents, labels).to_string(), flush=True)


def embed(cells: ad.AnnData, seed: int) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """Latents of all cells from models fitted on the training cells, and the VAE's ELBO on the others."""
    from cellixir.embedding.pca import PCA
    from cellixir.embedding.vae import VAE

    test = cells.obs[f"test_{seed}"].to_numpy()
    training = cells[~test].copy()
    vae = VAE(latent=LATENT, seed=seed).fit(training)
    pca = PCA(LATENT).fit(training)
    elbo = float(vae.elbo(cells[test].copy()).mean())
    return {"vae": vae.transform(cells), "pca": pca.transform(cells)}, {"vae": elbo}


def scores(latents: dict[str, np.ndarray], labels: np.ndarray) -> pd.DataFrame:
    """Metrics with 95 % intervals by model, and the VAE less each other on the same drawn cells."""
    from cellixir.embedding.maps import kmeans
    from cellixir.metrics.clustering import paired_cell_difference, with_interval

    n_types = len(np.unique(labels))
    seen = {name: {m: z for m in ("silhouette", "knn_purity")} for name, z in latents.items()}
    for name, z in latents.items():
        clusters = np.asarray(kmeans(z, n_types))
        seen[name] |= {"ari": clusters, "nmi": clusters}
        called = call(z, labels)
        seen[name] |= {"accuracy": called, "macro_f1": called}
    rows = {}
    for metric in METRICS:
        row = {name: show(with_interval(metric, labels, of[metric], n=200)) for name, of in seen.items()}
        for other in latents:
            if other != "vae":
                found = paired_cell_difference(metric, labels, seen["vae"][metric], seen[other][metric], n=200)
                row[f"vae - {other}"] = show(found, sign=True)
        rows[metric] = row
    return pd.DataFrame(rows).T


def call(latent: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Types by logistic regression in five-fold cross-validation on the latents."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    return cross_val_predict(model, latent, labels, cv=StratifiedKFold(5, shuffle=True, random_state=0))


def show(interval: object, *, sign: bool = False) -> str:
    form = "{:+.3f}" if sign else "{:.3f}"
    value, low, high = (form.format(v) for v in interval)  # type: ignore[attr-defined]
    return f"{value} [{low}, {high}]"


if __name__ == "__main__":
    main()
