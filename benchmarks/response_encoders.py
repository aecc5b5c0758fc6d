"""Every encoder and view set of the response job, beside ridge and trees, on the same folds.

python benchmarks/response_encoders.py views OUT --data DIR     LCO, the 514 lines of GDSC v17 with expression
python benchmarks/response_encoders.py drugs OUT                LDO, GDSC v17
python benchmarks/response_encoders.py views OUT --table        the table of what is there, in Markdown

DIR holds the CCLE tables of expression, copy number and methylation and the table of cell-line ids. A piece is written
when it is done; the same command goes on where it was. Networks are trained once: 'deep' is the same network with its
share set to 1, so without the linear part.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from cellixir import metrics
from cellixir.data.gene_sets import read_gene_sets
from cellixir.data.inputs import add_views
from cellixir.data.response_data import ResponseData
from cellixir.data.splits import Fold, make_folds, split_groups
from cellixir.files import whole
from cellixir.response.cross_validation.models import MODELS
from cellixir.response.models.effects import Effects
from cellixir.response.models.model import Known
from cellixir.response.network.architecture import PRESETS
from cellixir.response.network.predictor import ResponsePredictor
from cellixir.sources.gdsc import load_gdsc_v17
from cellixir.sources.registry import fetch
from response_table import markdown

FILES = {
    "expression": "derived/ccle_expression_525x697.csv.gz",
    "copy_number": "derived/ccle_copynumber_525x697.csv.gz",
    "methylation": "ccle_methylation_561x808.csv",
}
IDS = "derived/cellline_map_cosmic_depmap.csv"
SETS = {
    "genomic": ["genomic"],
    "copy_number": ["copy_number"],
    "methylation": ["methylation"],
    "expression": ["expression"],
    "genomic+expression": ["genomic", "expression"],
    "all": ["genomic", "expression", "copy_number", "methylation"],
}
ENCODERS = ("dense", "conv1d", "conv2d", "recurrent", "transformer", "pathways")
VIEW_JOBS = [
    *((views, "network") for views in SETS),
    *(("expression", f"{name} x1") for name in ENCODERS),
    ("methylation", "dense x1"),
    ("methylation", "conv1d x1"),
    ("expression", "ridge"),
]
DRUG_JOBS = [
    ("v17", f"{name} x1") for name in ("fingerprint", "target-graph", "gin", "gat", "smiles-conv", "smiles-transformer")
]


def predictor(job: str, split: str) -> ResponsePredictor:
    """``network``, or ``ENCODER xMEMBERS``."""
    if job == "network":
        return ResponsePredictor(split)
    name, members = job.split(" x")
    shape = PRESETS[split].architecture
    if split == "LDO":
        return ResponsePredictor(split, architecture=replace(shape, drug_encoder=name), members=int(members))
    sets = read_gene_sets(fetch("genesets-reactome")) if name == "pathways" else None
    shape = replace(shape, sample_encoder="transformer" if name == "pathways" else name)
    return ResponsePredictor(split, architecture=shape, gene_sets=sets, members=int(members))


def run(data: ResponseData, split: str, job: str, fold: Fold, file: Path) -> None:
    rows = np.sort(np.concatenate([fold.train, fold.validation]))
    known, asked = data.take(rows), data.take(fold.test).as_question()
    validation, start = np.searchsorted(rows, fold.validation), time.perf_counter()
    found: dict[str, np.ndarray] = {}
    if job in MODELS and job != "network":
        found["network"] = MODELS[job].make(split, 0).fit(known, validation=validation).predict(asked)
    else:
        model = predictor(job, split).fit(known, validation=validation)
        found["network"], found["share"] = model.predict(asked), np.array(model.share_)
        found["half_width"] = model.half_width(asked, 0.9)
        model.share_ = 1.0
        found["deep"] = model.predict(asked)
    found["seconds"] = np.array(time.perf_counter() - start)
    side = Known.under(split)
    found["effects"] = Effects.fit(known, samples=side.samples, drugs=side.drugs, tissue=False).predict(asked)
    with whole(file) as partial:
        np.savez(partial.with_suffix(".npz"), **found)
        partial.with_suffix(".npz").replace(partial)


def gathered(data: ResponseData, folds: list[Fold], folder: Path) -> dict[str, np.ndarray] | None:
    """Predictions of all folds; None while one is missing."""
    files = [folder / f"fold-{fold.number}.npz" for fold in folds]
    if not all(file.is_file() for file in files):
        return None
    out: dict[str, np.ndarray] = {}
    for fold, file in zip(folds, files, strict=True):
        with np.load(file) as found:
            for name in found.files:
                if found[name].ndim:
                    out.setdefault(name, np.full(len(data), np.nan))[fold.test] = found[name]
                else:
                    out[name] = np.append(out.get(name, []), found[name])
    return out


def table(data: ResponseData, folds: list[Fold], split: str, out: Path) -> str:
    units, y, rows, lines = split_groups(data, split), data.response, [], []
    for folder in sorted(out.glob("*/*")):
        found = gathered(data, folds, folder)
        if found is None:
            continue
        expected = found["effects"]
        for part in ("network", "deep"):
            if part not in found or (part == "deep" and folder.name == "network"):
                continue
            scores = metrics.intervals(y, found[part], units)
            normalised = metrics.intervals(y - expected, found[part] - expected, units)["pearson"]
            tested = [(y[f.test], found[part][f.test], data.drug_index[f.test]) for f in folds]
            within = np.nanmean([metrics.mean_within(*one) for one in tested])
            name = folder.name if part == "network" else f"{folder.name}, deep part alone"
            whole_model = part == "network"
            covered = np.mean(np.abs(y - found[part]) <= found["half_width"]) if "half_width" in found else np.nan
            rows.append({
                "views": folder.parent.name, "model": name, "rmse": scores["rmse"].value,
                "RMSE [95 %]": f"{scores['rmse'].value:.3f} [{scores['rmse'].low:.3f}, {scores['rmse'].high:.3f}]",
                "normalised Pearson [95 %]": f"{normalised.value:.3f} [{normalised.low:.3f}, {normalised.high:.3f}]",
                "per-drug Pearson": f"{within:.3f}",
                "share of the deep part": f"{found['share'].mean():.2f}" if whole_model and "share" in found else "",
                "90 % intervals hold": f"{covered:.1%}" if whole_model and np.isfinite(covered) else "",
                "seconds": f"{found['seconds'].sum():,.0f}",
            })  # fmt: skip
    board = pd.DataFrame(rows).sort_values("rmse").drop(columns="rmse")
    lines.append(markdown(list(board.columns), board.astype(str).to_numpy().tolist()))
    return "\n".join(lines)


def differences(data: ResponseData, folds: list[Fold], split: str, out: Path, pairs: list[tuple[str, str]]) -> str:
    """Difference of RMSE of two jobs on the same rows, with its interval."""
    units, rows = split_groups(data, split), []
    for first, second in pairs:
        one, other = (gathered(data, folds, out / name) for name in (first, second))
        if one is not None and other is not None:
            drawn = metrics.paired_difference(data.response, one["network"], other["network"], units)
            rows.append([first, second, f"{drawn.value:+.4f} [{drawn.low:+.4f}, {drawn.high:+.4f}]"])
    return markdown(["model", "less", "difference of RMSE [95 %]"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["views", "drugs"])
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", type=Path, default=Path())
    parser.add_argument("--jobs", nargs="*", help="VIEWS:MODEL, for example all:random_forest; default: all networks")
    parser.add_argument("--table", action="store_true")
    arguments = parser.parse_args()
    split = "LCO" if arguments.what == "views" else "LDO"
    data = load_gdsc_v17(progress=False)
    if split == "LCO":
        files = {name: arguments.data / file for name, file in FILES.items()}
        data = add_views(data, files, ids=arguments.data / IDS, require=["expression"])
    folds = make_folds(data, split, seed=0)
    if arguments.table:
        print(table(data, folds, split, arguments.out))
        best = ("expression/network", "genomic+expression/network", "all/network")
        there = [str(p.relative_to(arguments.out)) for p in sorted(arguments.out.glob("*/*"))]
        against = [best[0], *(name for name in there if name.endswith(("ridge", "forest", "boost", "boosting")))]
        if split == "LDO":
            best, against = tuple(name for name in there if "fingerprint" not in name), ["v17/fingerprint x1"]
        print("\n" + differences(data, folds, split, arguments.out, [(a, b) for a in best for b in against if a != b]))
        return
    default = VIEW_JOBS if split == "LCO" else DRUG_JOBS
    jobs = [tuple(job.split(":", 1)) for job in arguments.jobs] if arguments.jobs else default
    for views, job in jobs:
        chosen = data.only_views(SETS[views]) if split == "LCO" else data
        for fold in folds:
            file = arguments.out / views / job / f"fold-{fold.number}.npz"
            if not file.is_file():
                run(chosen, split, job, fold, file)
                with np.load(file) as done:
                    print(views, job, fold.number, f"{float(done['seconds']):.0f} s", done.get("share", ""), flush=True)


if __name__ == "__main__":
    main()
