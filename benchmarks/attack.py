"""Damaged and hostile files against every reader and bundle: what comes of each.

::

    python benchmarks/attack.py                  # 2,400 files, the table in Markdown
    python benchmarks/attack.py --files 300 --seed 1 --only h5ad,xlsx

Each file is a sound one that was damaged: bytes flipped, cut, put in, set to zero, a block taken twice, or (JSON, HDF5,
safetensors, text) its structure and sizes changed. It is read in a child process with limits of time and memory, many
files a child; a child that dies is replaced. ``refused`` is an error of cellixir, ``same`` and ``changed`` are what was
read beside what the sound file gives (``changed`` cannot be told from other data: a digit of a csv is a digit),
``traceback`` is any other error, numbers that are not finite, or the death of the child; ``hang`` and ``memory`` are
the limits.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

SECONDS, MEMORY, BATCH = 30, 3 * 10**9, 150
EFFECTS = ("kernel_ridge", "boosting", "compositional")  # models of perturbation whose bundles are attacked
COLUMNS = ("refused", "same", "changed", "traceback", "hang", "memory")


# -- sound files ---------------------------------------------------------------------------------------------------


def make_sound(folder: Path) -> dict[str, tuple[str, str]]:
    """Write a sound file, folder or bundle of each kind; by name, which reader takes it and which file is damaged."""
    import anndata as ad
    import h5py
    import pandas as pd
    import scipy.io
    import scipy.sparse as sp

    from cellixir import write_gctx
    from cellixir.embedding.pca import PCA
    from cellixir.embedding.vae import VAE
    from cellixir.perturbation.models import MODELS as PREDICTORS
    from cellixir.runs import RunFolder
    from cellixir.synthesis import make_generator
    from cellixir.tables.models import TableRidge

    rng = np.random.default_rng(0)
    table = pd.DataFrame({"sample": [f"S{i}" for i in range(40)], "drug": ["Imatinib", "Dabrafenib"] * 20})
    table["LN_IC50"] = rng.normal(size=40).round(4)
    table.to_csv(folder / "table.csv", index=False)
    goals = table.assign(dose=rng.gamma(2.0, size=40).round(3), tissue=list("abcd") * 10, fold=[0, 1, 2, 3] * 10)
    goals.to_csv(folder / "goals.csv", index=False)
    table.to_csv(folder / "table.tsv.gz", index=False, sep="\t")
    table.to_excel(folder / "table.xlsx", index=False)
    table.to_parquet(folder / "table.parquet", index=False)
    (folder / "sets.gmt").write_text("".join(f"SET{i}\tR-{i}\tTP53\tKRAS\tG{i}\n" for i in range(30)))
    smiles = ["CCO", "c1ccccc1", "CC(=O)Oc1ccccc1C(=O)O", "CN1C=NC2=C1C(=O)N(C(=O)N2C)C"]
    drugs = pd.DataFrame({"drug_id": range(4), "name": list("abcd"), "smiles": smiles})
    drugs.to_csv(folder / "drugs.csv", index=False)
    counts = rng.poisson(rng.gamma(1.0, 3.0, 24), (60, 24)).astype(np.float32)
    obs = pd.DataFrame({"kind": ["x", "y"] * 30}, index=[f"cell{i}" for i in range(60)])
    genes = pd.DataFrame(index=["TP53", "ACTB", "GAPDH", "KRAS", *(f"ZNF{i}" for i in range(20))])
    cells = ad.AnnData(sp.csr_matrix(counts), obs=obs, var=genes, uns={"scale": "counts"})
    cells.write_h5ad(folder / "sparse.h5ad")
    dense = ad.AnnData(counts, obs=obs, var=genes, uns={"scale": "counts"})
    dense.write_h5ad(folder / "dense.h5ad", compression="gzip")
    dense.write_h5ad(folder / "backed.h5ad")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of zarr, about its own next format
        dense.write_zarr(folder / "cells.zarr")
    shutil.make_archive(str(folder / "cells.zarr"), "zip", folder / "cells.zarr")
    write_gctx(dense, folder / "cells.gctx")
    write_gctx(dense, folder / "cells.gct")
    cells.to_df().to_csv(folder / "cells.csv")
    cells.to_df().T.to_csv(folder / "cells.tsv.gz", sep="\t")
    with h5py.File(folder / "tenx.h5", "w") as file:
        group = file.create_group("matrix")
        for name, values in (("data", cells.X.data.astype("i4")), ("indices", cells.X.indices)):
            group[name] = values
        group["indptr"], group["shape"] = cells.X.indptr, np.array([24, 60])
        group["barcodes"] = [f"AAACCTGAGAAACC{i:02d}-1".encode() for i in range(60)]
        group["features/id"] = group["features/name"] = [g.encode() for g in genes.index]
        group["features/feature_type"] = [b"Gene Expression"] * 24
    run = folder / "mtx"
    run.mkdir()
    scipy.io.mmwrite(run / "matrix.mtx", sp.coo_matrix(counts.T.astype(int)))
    (run / "genes.tsv").write_text("".join(f"{g}\t{g}\n" for g in genes.index))
    (run / "barcodes.tsv").write_text("".join(f"cell{i}\n" for i in range(60)))
    with RunFolder(folder / "run", "toy", {"seed": 0}) as manifest:
        manifest.says(headline="done")
    log = dense.copy()
    log.X = np.log1p(log.X)
    log.uns["scale"] = "log1p_cpm"
    PCA(3).fit(log).save(folder / "pca")
    VAE(latent=2, hidden=8, max_epochs=2).fit(dense).save(folder / "vae")
    generators = ("gaussian", "copula", "cvae", "gan", "wgan-gp")
    for number, kind in enumerate(generators):
        settings = {"max_epochs": 2} if number > 1 else {}
        make_generator(kind, condition=("kind",), seed=0, **settings).fit(dense).save(folder / kind)
    _screen().save(folder / "response")
    for kind in EFFECTS:
        model = PREDICTORS[kind].make("drug", 0, "cpu")
        if "max_epochs" in model.get_params():
            model.set_params(max_epochs=2)
        model.fit(_effects()).save(folder / kind)
    numbers = dense.to_df().assign(kind=obs["kind"])
    TableRidge().fit(numbers.iloc[:, 1:], numbers.iloc[:, 0].to_numpy()).save(folder / "table_ridge")
    bundles = ("pca", "vae", *generators, "response", "table_ridge", *EFFECTS)
    if find_spec("loompy"):
        with h5py.File(folder / "cells.loom", "w") as file:
            file["matrix"] = counts.T
            file["row_attrs/Gene"], file["col_attrs/CellID"] = list(genes.index), list(obs.index)
            for name in ("layers", "row_graphs", "col_graphs", "attrs"):
                file.create_group(name)
            file["attrs/LOOM_SPEC_VERSION"] = "3.0.0"
    return {
        "csv": ("table", "table.csv"), "table of a target": ("goals", "goals.csv"),
        "tsv.gz": ("table", "table.tsv.gz"), "xlsx": ("table", "table.xlsx"),
        "parquet": ("table", "table.parquet"), "gmt": ("sets", "sets.gmt"), "drugs": ("drugs", "drugs.csv"),
        "h5ad sparse": ("cells", "sparse.h5ad"), "h5ad dense": ("cells", "dense.h5ad"),
        "h5ad backed": ("backed", "backed.h5ad"), "cells csv": ("cells", "cells.csv"),
        "cells tsv.gz": ("cells", "cells.tsv.gz"), "10x h5": ("cells", "tenx.h5"),
        "gctx": ("cells", "cells.gctx"), "gctx backed": ("backed", "cells.gctx"), "gctx slice": ("slice", "cells.gctx"),
        "gct": ("cells", "cells.gct"),
        "zarr": ("cells", "cells.zarr/.zmetadata"), "zarr backed": ("backed", "cells.zarr/.zmetadata"),
        "zarr matrix": ("cells", "cells.zarr/X/0.0"), "zarr names": ("cells", "cells.zarr/var/_index/0"),
        "zarr.zip": ("cells", "cells.zarr.zip"),
        **({"loom": ("cells", "cells.loom")} if find_spec("loompy") else {}),
        "mtx": ("cells", "mtx/matrix.mtx"), "mtx names": ("cells", "mtx/genes.tsv"),
        "run.json": ("run", "run/run.json"),
        **{f"{name} model.json": ("bundle", f"{name}/model.json") for name in bundles},
        **{f"{name} weights": ("bundle", f"{name}/weights.safetensors") for name in bundles},
    }  # fmt: skip


def _cohort() -> Any:
    from cellixir.data.simulate import simulate_cohort

    return simulate_cohort(n_samples=30, n_drugs=6, n_genes=12, n_mutations=9, n_targets=3).response_data()


@cache
def _effects() -> Any:
    """Changes by 8 drugs and 4 pairs of them."""
    from cellixir.data.simulate.perturbation import NO_DRUG, simulate_perturbation
    from cellixir.perturbation import Keys, effects_of

    screen = simulate_perturbation(seed=0, n_genes=60, n_drugs=8, n_pairs=4, n_plates=2)
    obs = screen.obs.astype({"drug_1": str, "drug_2": str, "dose_1_um": str, "dose_2_um": str})
    pair = obs["drug_2"] != NO_DRUG
    drugs, doses = (
        obs[a].where(~pair, obs[a] + "+" + obs[b]) for a, b in (("drug_1", "drug_2"), ("dose_1_um", "dose_2_um"))
    )
    screen.obs["perturbation"] = drugs.mask(obs["is_control"], "DMSO")
    screen.obs["dose"] = doses.mask(obs["is_control"], "")
    return effects_of(screen, Keys("perturbation", ("DMSO",), plate="plate", dose="dose"))


def _screen() -> Any:
    from cellixir.response.network.predictor import ResponsePredictor

    return ResponsePredictor("LCO", members=1, device="cpu").fit(_cohort())


# -- readers: what each gives, as a digest -------------------------------------------------------------------------


def _table(path: Path) -> str:
    from cellixir.data.tables import read_table

    return _digest(read_table(path).to_csv())


def _goals(path: Path) -> str:
    from cellixir.data.audit.table import audit_table
    from cellixir.tables.prepare import fingerprint, prepare, read_target_table

    table = read_target_table(path, "LN_IC50")
    audit = audit_table(table, "LN_IC50", groups="sample", folds="fold")
    return _digest(fingerprint(prepare(table, "LN_IC50", group="sample", fold="fold")), audit.findings)


def _sets(path: Path) -> str:
    from cellixir.data.gene_sets import read_gene_sets

    return _digest(read_gene_sets(path))


def _drugs(path: Path) -> str:
    from cellixir.data.drugs import morgan_fingerprints, read_drugs
    from cellixir.data.molecules import molecule_graphs, tokenize_smiles

    drugs = read_drugs(path)
    if "smiles" in drugs:
        bits = morgan_fingerprints(drugs["smiles"]).tobytes()
        return _digest(
            drugs.to_csv(),
            bits,
            tokenize_smiles(drugs["smiles"]).tokens.tobytes(),
            molecule_graphs(drugs["smiles"]).n_graphs,
        )
    return _digest(drugs.to_csv())


def _cells(path: Path, *, backed: bool = False) -> str:
    from cellixir.data.expression import profile, read_expression

    target = next((p for p in path.parents if p.suffix == ".zarr" or p.name == "mtx"), path)
    cells = read_expression(target, backed=backed)
    seen = profile(cells)
    if not np.isfinite(seen.mean).all():
        raise FloatingPointError
    return _digest(seen.fingerprint, cells.obs.to_csv(), list(cells.var_names))


def _backed(path: Path) -> str:
    return _cells(path, backed=True)


def _slice(path: Path) -> str:
    import cellixir

    part = cellixir.read_gctx(path, rows=["KRAS", "TP53"], columns=["cell7", "cell50"])
    if not np.isfinite(part.X).all():
        raise FloatingPointError
    return _digest(part.X.tobytes(), part.obs.to_csv(), part.var.to_csv())


def _run(path: Path) -> str:
    from cellixir.runs import read_manifest

    return _digest(read_manifest(path.parent))


def _bundle(path: Path) -> str:
    import cellixir

    model: Any = cellixir.load(path.parent)
    if hasattr(model, "sample"):
        made = model.sample(5, seed=1)
        values = made.X.toarray() if hasattr(made.X, "toarray") else np.asarray(made.X)
    elif path.parent.name == "response":
        values = model.predict(_cohort())
    elif path.parent.name in EFFECTS:
        asked = _effects()[~_effects().obs["is_control"]][:20].copy()
        model.reach(asked)
        values = model.predict(asked).X
    elif path.parent.name == "table_ridge":
        import anndata as ad

        cells = ad.read_h5ad(path.parents[1] / "dense.h5ad")
        values = np.asarray(model.predict(cells.to_df().assign(kind=cells.obs["kind"]).iloc[:, 1:]))
    else:
        import anndata as ad

        cells = ad.read_h5ad(path.parents[1] / "dense.h5ad")
        if path.parent.name == "pca":
            cells.X, cells.uns["scale"] = np.log1p(cells.X), "log1p_cpm"
        values = np.asarray(model.transform(cells))
    model.card()
    if not np.isfinite(values).all():
        message = "the output is not finite"
        raise FloatingPointError(message)
    return _digest(values.tobytes())


def _digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode("utf-8", "surrogatepass")).hexdigest()


READERS: dict[str, Callable[[Path], str]] = {
    "table": _table, "goals": _goals, "sets": _sets, "drugs": _drugs, "cells": _cells, "backed": _backed,
    "slice": _slice, "run": _run,
    "bundle": _bundle,
}  # fmt: skip


# -- damage ----------------------------------------------------------------------------------------------------------


def damaged(raw: bytes, name: str, rng: np.random.Generator) -> bytes:
    """The file with one kind of damage."""
    own = _structure(name)
    if own is not None and rng.random() < 0.5:
        changed = own(raw, rng)
        if changed is not None:
            return changed
    kind = rng.integers(6)
    at = int(rng.integers(len(raw)))
    length = int(rng.integers(1, min(200, len(raw)) + 1))
    if kind == 0:
        found = bytearray(raw)
        for place in rng.integers(0, len(raw), int(rng.integers(1, 9))):
            found[place] ^= 1 << int(rng.integers(8))
        return bytes(found)
    if kind == 1:
        return raw[:at]
    if kind == 2:
        return raw[:at] + rng.bytes(length) + raw[at:]
    if kind == 3:
        return raw[:at] + bytes(length) + raw[at + length :]
    if kind == 4:
        return raw[: at + length] + raw[at:]
    return raw[:at] + raw[at + length :]


def _structure(name: str) -> Callable[[bytes, np.random.Generator], bytes | None] | None:
    if name.endswith((".json", ".zmetadata")):
        return _json
    if name.endswith((".h5ad", ".h5", ".gctx", ".loom")):
        return _hdf5
    if name.endswith(".safetensors"):
        return _safetensors
    return _text if name.endswith((".csv", ".gmt", ".tsv", ".mtx", ".gct")) else None


STRANGE: tuple[Any, ...] = (
    10**12, -1, 0, 1e308, float("nan"), float("inf"), "", "x" * 100_000, None, [], {}, [[]], True, "\x1b[31m",
    [1e12] * 3, "cellixir.cli.app:main",
)  # fmt: skip


def _json(raw: bytes, rng: np.random.Generator) -> bytes | None:
    content = json.loads(raw)
    places: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
        for key, value in items:
            places.append((node, key))
            walk(value)

    walk(content)
    node, key = places[int(rng.integers(len(places)))]
    if rng.random() < 0.05:
        return b"[" * 200_000 + b"]" * 200_000
    if rng.random() < 0.25:
        del node[key]
    else:
        node[key] = STRANGE[int(rng.integers(len(STRANGE)))]
    return json.dumps(content).encode()


def _text(raw: bytes, rng: np.random.Generator) -> bytes:
    strange = (
        b"\0",
        b"1e999",
        b"-nan",
        b'"',
        b"=1+1",
        b"\xff\xfe",
        b"\r",
        b"9" * 400,
        b"C" * 100_000,
        b"100000000000",
        b"\x1b[2J",
    )
    cells = raw.split(b"\n")
    row = int(rng.integers(len(cells)))
    mark = b"\t" if b"\t" in cells[row] else b"," if b"," in cells[row] else b" "
    parts = cells[row].split(mark)
    parts[int(rng.integers(len(parts)))] = strange[int(rng.integers(len(strange)))]
    cells[row] = mark.join(parts)
    return b"\n".join(cells)


def _hdf5(raw: bytes, rng: np.random.Generator) -> bytes | None:
    import io

    import h5py

    buffer = io.BytesIO(raw)
    with h5py.File(buffer, "r+") as file:
        names: list[str] = []
        file.visit(names.append)
        name = names[int(rng.integers(len(names)))]
        old = file[name]
        kind = rng.integers(7)
        attributes = dict(old.attrs)
        if kind == 0:
            del file[name]
        elif kind == 1 and len(old.attrs):
            key = list(old.attrs)[int(rng.integers(len(old.attrs)))]
            old.attrs[key] = STRANGE[int(rng.integers(3))] if rng.random() < 0.5 else "strange"
        elif kind == 2:
            del file[name]
            file[name] = h5py.ExternalLink("/etc/hostname.h5", "/X")
        elif kind == 3:
            del file[name]
            file.create_dataset(name, shape=(40_000, 30_000), dtype="f4", chunks=(100, 100))
            file[name].attrs.update(attributes)
        elif kind == 4 and isinstance(old, h5py.Dataset) and old.shape:
            values = old[:]
            del file[name]
            file[name] = values[: max(len(values) - 1, 0)]
            file[name].attrs.update(attributes)
        elif kind == 5 and isinstance(old, h5py.Dataset) and old.dtype.kind in "iuf" and old.size:
            values = old[()]
            if old.shape:
                values.flat[int(rng.integers(values.size))] = (
                    [2**30, -5, 127][int(rng.integers(3))] if old.dtype.itemsize > 2 else 77
                )
                old[...] = values
        else:
            file[f"{name}_again"] = h5py.SoftLink("/")
            file[f"{names[0]}_loop"] = file["/"]
    return buffer.getvalue()


def _safetensors(raw: bytes, rng: np.random.Generator) -> bytes | None:
    """Damage to the header, or numbers that are none; model.json is told of it (see `damage_file`)."""
    size = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + size])
    names = [name for name in header if name != "__metadata__"]
    name = names[int(rng.integers(len(names)))]
    body = bytearray(raw[8 + size :])
    start, stop = header[name]["data_offsets"]
    kind = rng.integers(5)
    if kind == 0 and stop - start >= 4:
        body[start : start + 4] = np.array([[np.nan, np.inf, 3e38][int(rng.integers(3))]], dtype="f4").tobytes()
    elif kind == 1:
        header[name]["shape"] = [10**12]
    elif kind == 2:
        header[name]["dtype"] = ["I64", "F64", "BF16", "U8", "F8_E4M3"][int(rng.integers(5))]
    elif kind == 3:
        header[f"{name}x"] = header.pop(name)
    else:
        header[name]["shape"] = header[name]["shape"][::-1]
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + bytes(body)


def damage_file(sound: Path, target: Path, file: str, rng: np.random.Generator) -> Path:
    """Copy what stands around the file, and write it damaged."""
    raw = damaged((sound / file).read_bytes(), file, rng)
    if "/" in file:
        shutil.copytree(sound / Path(file).parts[0], target / Path(file).parts[0])
    path = target / file
    path.write_bytes(raw)
    about = path.parent / "model.json"
    if path.suffix == ".safetensors" and rng.random() < 0.7:  # a stranger would write the digest that fits
        facts = json.loads(about.read_text())
        if "weights" in facts:
            facts["weights"] = hashlib.sha256(raw).hexdigest()
            about.write_text(json.dumps(facts))
    return path


# -- children --------------------------------------------------------------------------------------------------------


def child(tasks: Path, out: Path) -> None:
    """Read each file of the list and append its outcome to ``out``."""
    import torch

    import cellixir.synthesis  # noqa: F401  # what is needed is imported before memory is limited

    torch.set_num_threads(1)
    pages = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (pages + MEMORY, pages + MEMORY))
    with out.open("a") as told:
        for reader, path, sound in json.loads(tasks.read_text()):
            print(json.dumps(_outcome(reader, Path(path), sound)), file=told, flush=True)


def _outcome(reader: str, path: Path, sound: str) -> tuple[str, str]:
    from cellixir.exceptions import CellixirError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = READERS[reader](path)
    except CellixirError as error:
        if "\n" in str(error).strip() or len(str(error)) > 3000:
            return "traceback", f"not one sentence: {str(error)[:300]}"
        return "refused", str(error)
    except MemoryError as error:
        return "memory", repr(error)
    except BaseException as error:  # whatever it is, it is what is looked for
        last = traceback.extract_tb(error.__traceback__)
        ours = [f for f in last if "cellixir" in f.filename]
        return (
            "traceback",
            f"{type(error).__name__}: {str(error)[:200]} at {(ours or last)[-1].filename}:{(ours or last)[-1].lineno}",
        )
    return ("same" if found == sound else "changed"), ""


def run_all(work: list[tuple[str, str, str]], folder: Path) -> list[tuple[str, str]]:
    """Outcome of each file, in order; children read many and are replaced when they die or take too long."""
    outcomes: list[tuple[str, str]] = []
    while len(outcomes) < len(work):
        tasks, out = folder / "tasks.json", folder / "out.jsonl"
        tasks.write_text(json.dumps(work[len(outcomes) : len(outcomes) + BATCH]))
        out.unlink(missing_ok=True)
        out.touch()
        process = subprocess.Popen(
            [sys.executable, __file__, "--child", str(tasks), str(out)],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )
        size, since, ended, hung = 0, time.monotonic(), None, False
        while ended is None:
            try:
                ended = process.wait(timeout=0.2)
            except subprocess.TimeoutExpired:
                if out.stat().st_size > size:
                    size, since = out.stat().st_size, time.monotonic()
                if time.monotonic() - since > SECONDS + (60 if size == 0 else 0):
                    process.kill()
                    hung = True
        found = [tuple(json.loads(line)) for line in out.read_text().splitlines()]
        outcomes += found
        said = process.stderr.read().decode(errors="replace")[-300:] if process.stderr else ""
        if hung:
            outcomes.append(("hang", f"more than {SECONDS} s"))
        elif ended and len(found) < min(BATCH, len(work)):
            outcomes.append(("memory" if ended == -9 else "traceback", f"the child ended with {ended}: {said}"))
    return outcomes


def main() -> None:
    """Make the files, read them, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=2400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="parts of the names of kinds, with commas")
    parser.add_argument("--show", type=int, default=20, help="faults that are printed in full")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(Path(given.child[0]), Path(given.child[1]))
        return
    with tempfile.TemporaryDirectory(prefix="attack-") as scratch:
        folder = Path(scratch)
        (folder / "sound").mkdir()
        kinds = make_sound(folder / "sound")
        wanted = [k for k in kinds if not given.only or any(part in k for part in given.only.split(","))]
        sound = {}
        for kind in wanted:
            reader, file = kinds[kind]
            sound[kind] = READERS[reader](folder / "sound" / file)
        rng, work, names = np.random.default_rng(given.seed), [], []
        for number in range(given.files):
            kind = wanted[number % len(wanted)]
            reader, file = kinds[kind]
            target = folder / f"f{number}"
            target.mkdir()
            if reader == "bundle":
                shutil.copy(folder / "sound" / "dense.h5ad", target)
            path = damage_file(folder / "sound", target, file, rng)
            work.append((reader, str(path), sound[kind]))
            names.append(kind)
        start = time.monotonic()
        outcomes = run_all(work, folder)
        counts = {kind: Counter(o[0] for n, o in zip(names, outcomes, strict=True) if n == kind) for kind in wanted}
        print_table(counts)
        print(f"\n{len(outcomes):,} files, {time.monotonic() - start:.0f} s, seed {given.seed}")
        bad = [(n, o, w) for n, o, w in zip(names, outcomes, work, strict=True) if o[0] in COLUMNS[3:]]
        for name, (what, why), (_, path, _) in bad[: given.show]:
            print(f"{what}: {name}: {why} ({Path(path).parents[0].name})", file=sys.stderr)
        sys.exit(bool(bad))


def print_table(counts: dict[str, Counter[str]]) -> None:
    """Kinds by outcomes, with the sums."""
    print("| file | " + " | ".join(COLUMNS) + " |\n|---|" + "--:|" * len(COLUMNS))
    total: Counter[str] = sum(counts.values(), Counter())
    for kind, found in [*counts.items(), ("all", total)]:
        print(f"| {kind} | " + " | ".join(str(found[c]) for c in COLUMNS) + " |")


if __name__ == "__main__":
    main()
