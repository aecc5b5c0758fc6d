"""Every predictor of drug effects on every split: real L1000 data and a simulated screen.

python benchmarks/perturbation.py --out runs/perturbation [--only ht115,a375] > perturbation.md

Runs `cellixir.perturbation.benchmark` for each data set and split (a run that was stopped goes on) and prints a table
each: scores with 95 % intervals over what the split leaves out, the difference to the best naive baseline, paired, and
the same model asked for another drug or in another cell line.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd

from cellixir import read_expression, read_gctx
from cellixir.data.simulate import simulate_perturbation
from cellixir.perturbation import Keys, benchmark
from cellixir.perturbation.models import MODELS
from cellixir.sources.registry import fetch

Loaded = tuple[ad.AnnData, Keys, dict[str, object]]


def ht115() -> Loaded:
    """Level 3 of one cell line: 661 treated wells and 20 DMSO on two plates (demo of PRnet)."""
    keys = Keys("pert_iname", ("DMSO",), plate="rna_plate", dose="pert_dose", smiles="canonical_smiles")
    return read_expression(fetch("l1000-ht115-plates", progress=False), scale="unknown"), keys, {}


def a375() -> Loaded:
    """Level 4 (z-scores) of a plate of A375: 6 doses a drug, no structures (test file of cmapPy)."""
    wells = read_gctx(fetch("l1000-a375-gctx", progress=False))
    return wells, Keys("pert_iname", ("DMSO",), dose="pert_dose"), {"values": "delta"}


def pairs() -> Loaded:
    """100 pairs of control and treated profile, 14 drugs in 43 cell lines (example of TranSiGen)."""
    with h5py.File(fetch("l1000-pairs", progress=False)) as file:
        before, after = file["x1"][:], file["x2"][:]
        line, drug, smiles = ([text.decode() for text in file[name][:]] for name in ("sig", "cid", "canonical_smiles"))
    n = len(drug)
    names = pd.Series(smiles).map({text: f"drug {k + 1}" for k, text in enumerate(dict.fromkeys(smiles))}).tolist()
    obs = pd.DataFrame(
        {
            "drug": ["DMSO"] * n + names,
            "line": [text.split("_")[0] for text in line] * 2,
            "plate": list(map(str, range(n))) * 2,
            "smiles": [""] * n + smiles,
        },
        index=[f"{what} {k}" for what in ("control", "treated") for k in range(n)],
    )
    wells = ad.AnnData(np.vstack([before, after]).astype(np.float32), obs)
    return wells, Keys("drug", ("DMSO",), plate="plate", cell_line="line", smiles="smiles"), {"values": "log2"}


def level5() -> Loaded:
    """Level 5 (consensus z-scores) of three drugs in 65 cell lines (example of cmapR)."""
    folder = Path(fetch("l1000-pairs", progress=False)).parent / "derived"
    wells = read_expression(folder / "l1000_cmapr_level5_272x978.h5ad", scale="unknown")
    keys = Keys("pert_iname", (), dose="pert_idose", time="pert_itime", cell_line="cell_id")
    return wells, keys, {"values": "delta"}


def simulated() -> Loaded:
    """Planted effects, dose curves and interactions of pairs."""
    wells = simulate_perturbation(seed=0)
    return wells, Keys("perturbation", ("DMSO",), plate="plate", dose="dose"), {}


RUNS: dict[str, tuple[Callable[[], Loaded], list[str]]] = {
    "ht115": (ht115, ["drug", "scaffold", "plate"]),
    "a375": (a375, ["drug"]),
    "pairs": (pairs, ["drug", "scaffold", "cell-line"]),
    "level5": (level5, ["cell-line", "drug"]),
    "simulated": (simulated, ["pair", "drug", "scaffold", "plate"]),
}
COLUMNS = ("pearson_delta", "spearman_delta", "pearson_top", "sign_agreement", "rmse", "retrieval", "centroid_accuracy")
INPUTS = ("drug_shuffled", "context_shuffled", "other_compound", "alike")


def told(row: pd.Series, name: str) -> str:
    value, low, high = (row.get(f"{name}{end}", np.nan) for end in ("", "_low", "_high"))
    if pd.isna(value):
        return "–"
    return f"{value:.3f}" if pd.isna(low) else f"{value:.3f} [{low:.3f}, {high:.3f}]"


def table(folder: Path) -> str:
    """Markdown of a run."""
    board, paired = pd.read_csv(folder / "overall.csv"), pd.read_csv(folder / "paired.csv")
    best = board[board["kind"] == "baseline"].sort_values("pearson_delta", ascending=False)["model"].iloc[0]
    against = paired[paired["reference"] == best].set_index("model")
    heads = ["model", "Pearson", f"Pearson less {best}", *COLUMNS[1:], *INPUTS, "s"]
    lines = ["| " + " | ".join(heads) + " |", "|---|" + "---:|" * (len(heads) - 1)]
    for _, row in board.sort_values("pearson_delta", ascending=False).iterrows():
        name, less = row["model"], "–"
        if name in against.index:
            one = against.loc[name]
            less = f"{one['pearson_delta_difference']:+.3f}"
            less += f" [{one['low']:+.3f}, {one['high']:+.3f}]" if pd.notna(one["low"]) else ""
        plain = [f"{row[column]:.3f}" if pd.notna(row[column]) else "–" for column in (*COLUMNS[1:], *INPUTS)]
        lines.append(
            "| " + " | ".join([name, told(row, "pearson_delta"), less, *plain, f"{row['seconds']:.0f}"]) + " |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", default=",".join(RUNS))
    given = parser.parse_args()
    for name in given.only.split(","):
        load, splits = RUNS[name]
        for split in splits:
            wells, keys, more = load()
            result = benchmark(wells, keys, given.out / name / split, split=split, models=list(MODELS), **more)
            print(f"\n### {name}, split {split}\n\n{load.__doc__}\n\n{result.headline}\n\n{table(result.folder)}\n")
            print("\n".join(f"* {note}" for note in result.notes), flush=True)


if __name__ == "__main__":
    main()
