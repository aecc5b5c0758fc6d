"""Does a masked VAE find the pathways that are active? On simulated cells with planted modules, by seed.

    python benchmarks/embedding_pathways.py --seeds 3

3,000 cells x 1,000 genes and 50 gene sets: ten modules of 27 genes that act, and 40 decoys of 15 to 40 genes, a quarter
of them taken from one module. A pathway's importance is the spread of its latent over the cells. The same seed draws
the cells and starts the network.
"""

from __future__ import annotations

import argparse

import anndata as ad
import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from cellixir.data.simulate import simulate_single_cell
from cellixir.embedding.vae import VAE

ACTIVE, DECOYS, SIZES, SHARED = 10, 40, (15, 40), 0.25


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--n-free", type=int, default=4)
    options = parser.parse_args()
    for seed in range(options.seeds):
        cells = simulate_single_cell(
            3000, 1000, n_types=5, n_groups=1, library_size=(150, 0.4), n_modules=ACTIVE, module_size=27, dropout=0,
            seed=seed,
        )  # fmt: skip
        sets = gene_sets(cells, np.random.default_rng(seed))
        models = (VAE(gene_sets=sets, n_free=options.n_free, seed=start) for start in (seed, seed + 100))
        print(f"seed {seed}: {words(cells, *(model.fit(cells).embed(cells) for model in models))}", flush=True)


def gene_sets(cells: ad.AnnData, rng: np.random.Generator) -> dict[str, list[str]]:
    """Genes of the modules, and of decoys that share genes with them."""
    module = cells.var["module"].astype(str)
    sets = {f"module{i + 1}": list(module.index[module == f"module{i + 1}"]) for i in range(ACTIVE)}
    for i in range(DECOYS):
        size = int(rng.integers(*SIZES, endpoint=True))
        shared = rng.choice(sets[f"module{i % ACTIVE + 1}"], round(SHARED * size), replace=False)
        others = rng.choice(np.setdiff1d(cells.var_names, shared), size - len(shared), replace=False)
        sets[f"decoy{i + 1}"] = [*shared, *others]
    return sets


def words(cells: ad.AnnData, latents: pd.DataFrame, again: pd.DataFrame) -> str:
    """How many modules lead, how well their latents follow them and no others, and what another start says."""
    active = [f"module{i + 1}" for i in range(ACTIVE)]
    spread = latents.drop(columns=[name for name in latents if name.startswith("free ")]).std()
    activities = pd.DataFrame(cells.obsm["module_activity"], cells.obs_names, active)
    strength = latents.apply(lambda latent: activities.corrwith(latent, method="spearman")).abs()
    own = pd.Series({name: strength.loc[name, name] for name in active})
    others = pd.Series({name: strength.loc[name].drop(name).max() for name in active})
    same = latents[active].corrwith(again[active], method="spearman").abs()
    return (
        f"{spread.nlargest(ACTIVE).index.isin(active).sum()} of {ACTIVE} in the top, AUROC active against decoy "
        f"{roc_auc_score(spread.index.isin(active), spread):.3f}; |Spearman| with the planted activity "
        f"{own.min():.2f} to {own.max():.2f}, mean {own.mean():.2f}; less that of the best other latent "
        f"{(own - others).mean():+.2f}; same latent of another start: {same.mean():.2f}"
    )


if __name__ == "__main__":
    main()
