"""Does a masked VAE find the pathways that are active? On simulated cells with planted pathways, by seed.

    python benchmarks/embedding_pathways.py --seeds 3

3,000 cells x 1,000 genes, 50 gene sets of 15 to 40 genes, 10 of them active; the other 40 share genes with those. A
pathway's importance is the spread of its latent over the cells. The same seed draws the cells and starts the network.
"""

from __future__ import annotations

import argparse

from cellixir.data.simulate.cells import simulate_cells
from cellixir.embedding.faithfulness import faithfulness, recovered, separation, stability
from cellixir.embedding.vae import VAE


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--n-free", type=int, default=4)
    options = parser.parse_args()
    for seed in range(options.seeds):
        cells, truth = simulate_cells(3000, 1000, density=0.1, pathway_size=(15, 40), seed=seed)
        latents = [
            VAE(gene_sets=truth.gene_sets, n_free=options.n_free, seed=start).fit(cells).embed(cells)
            for start in (seed, seed + 100)
        ]
        free = [name for name in latents[0] if name.startswith("free ")]
        ranking = latents[0].drop(columns=free).std().sort_values(ascending=False)
        found = faithfulness(latents[0], truth.activities)
        again = stability([table[list(truth.active)] for table in latents])
        follow = found["spearman"].abs()
        print(
            f"seed {seed}: {recovered(ranking, truth.active)} of 10 in the top 10, AUROC active against decoy "
            f"{separation(ranking, truth.active):.3f}; |Spearman| with the planted activity "
            f"{follow.min():.2f} to {follow.max():.2f}, mean {follow.mean():.2f}; less that of the best other latent "
            f"{found['specificity'].mean():+.2f}; "
            f"same latent of another start: {again.iloc[:, -1].mean():.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
