"""Linear models of small sets of log values: one noise variance for all genes, or one for each.

python benchmarks/embedding_noise.py DIR
"""

from __future__ import annotations

import sys
from pathlib import Path

import anndata as ad
import numpy as np
from sklearn.decomposition import PCA, FactorAnalysis
from sklearn.metrics import silhouette_score

from cellixir.data.expression.alignment import dense

SETS = {"puram_GSE103322_180cells": "celltypes", "tirosh_mel80_480cells_91genes": "seurat_clusters"}
MODELS = {"one": PCA(10, random_state=0), "each": FactorAnalysis(10, random_state=0, max_iter=200, tol=1e-3)}


def main() -> None:
    for name, label in SETS.items():
        cells = ad.read_h5ad(Path(sys.argv[1]) / f"{name}.h5ad")
        x = dense(cells.X).astype(float)
        x = x[:, x.std(axis=0) > 0]
        rows = np.random.default_rng(0).permutation(len(x))
        test, train = np.split(rows, [len(x) // 10])
        kept = x[train].std(axis=0) > 1e-3
        for noise, model in MODELS.items():
            held_out = model.fit(x[train][:, kept]).score(x[test][:, kept])
            decoded = model.fit(x).transform(x) @ model.components_
            u, s, _ = np.linalg.svd(decoded - decoded.mean(axis=0), full_matrices=False)
            found = silhouette_score(u[:, :10] * s[:10], cells.obs[label].astype(str))
            print(f"{name} {noise}: silhouette {found:.3f}, held-out log-likelihood {held_out:.1f} nats a cell")


if __name__ == "__main__":
    main()
