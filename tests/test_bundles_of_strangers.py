"""Bundles that are damaged or made to harm: one sentence at load, no memory asked for, no output that is not finite."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file, save_file

import cellixir
from cellixir.embedding.pca import PCA
from cellixir.embedding.vae import VAE
from cellixir.exceptions import BundleError
from cellixir.synthesis import make_generator

N_GENES = 12


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundles")
    rng = np.random.default_rng(0)
    obs = pd.DataFrame({"kind": ["x", "y"] * 30}, index=[f"cell{i}" for i in range(60)])
    var = pd.DataFrame(index=[f"G{i}" for i in range(N_GENES)])
    counts = rng.poisson(4.0, (60, N_GENES)).astype("f4")
    cells = ad.AnnData(counts, obs=obs, var=var, uns={"scale": "counts"})
    PCA(3).fit(ad.AnnData(np.log1p(counts), obs=obs, var=var, uns={"scale": "log1p_cpm"})).save(folder / "pca")
    VAE(latent=2, hidden=8, max_epochs=1).fit(cells).save(folder / "vae")
    for kind, settings in (
        ("gaussian", {}),
        ("copula", {}),
        ("cvae", {"max_epochs": 1}),
        ("wgan-gp", {"max_epochs": 1}),
    ):
        make_generator(kind, condition=("kind",), **settings).fit(cells).save(folder / kind)
    return folder


def refused(folder: Path) -> str:
    start = time.monotonic()
    with pytest.raises(BundleError) as caught:
        cellixir.load(folder)
    assert time.monotonic() - start < 10
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1500
    return str(caught.value)


def facts_changed(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    file = folder / "model.json"
    facts = json.loads(file.read_text())
    change(facts)
    file.write_text(json.dumps(facts))


def weights_changed(folder: Path, change: Callable[[dict[str, Any]], object], *, digest: bool = True) -> None:
    """Change arrays; a stranger writes the digest that fits."""
    file = folder / "weights.safetensors"
    arrays = {name: array.copy() for name, array in load_file(file).items()}
    change(arrays)
    save_file(arrays, file)
    if digest:
        facts_changed(folder, lambda facts: facts.update(weights=hashlib.sha256(file.read_bytes()).hexdigest()))


def genes_of(facts: dict[str, Any]) -> list[Any]:
    """PCA keeps what it learned in one place, the others beside it."""
    found: list[Any] = facts["genes"] if "genes" in facts else facts["learned"]["genes_"]
    return found


@pytest.fixture
def copy(bundles: Path, tmp_path: Path) -> Callable[[str], Path]:
    return lambda name: Path(shutil.copytree(bundles / name, tmp_path / name))


ALL = ("pca", "vae", "gaussian", "copula", "cvae", "wgan-gp")


@pytest.mark.parametrize("name", ALL)
def test_sound_bundles_are_loaded(name: str, copy: Callable[[str], Path]) -> None:
    cellixir.load(copy(name))


@pytest.mark.parametrize("name", ALL)
def test_a_gene_too_few(name: str, copy: Callable[[str], Path]) -> None:
    def one_less(facts: dict[str, Any]) -> None:
        del genes_of(facts)[-1]

    folder = copy(name)
    facts_changed(folder, one_less)
    assert "do not belong together" in refused(folder)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite(name: str, value: float, copy: Callable[[str], Path]) -> None:
    def spoil(arrays: dict[str, Any]) -> None:
        for array in arrays.values():
            if array.dtype.kind == "f" and array.size:
                array.flat[0] = value

    folder = copy(name)
    weights_changed(folder, spoil)
    assert "not finite" in refused(folder)


@pytest.mark.parametrize("name", ["vae", "cvae", "wgan-gp"])
def test_a_layer_of_a_trillion_units(name: str, copy: Callable[[str], Path]) -> None:
    folder = copy(name)
    facts_changed(folder, lambda facts: shape_of(facts).update(hidden=10**12))
    assert "do not belong together (" in refused(folder)


def shape_of(facts: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = facts["shape"] if "shape" in facts else facts["model"]["shape"]
    return found


@pytest.mark.parametrize("name", ALL)
def test_json_that_is_deeper_than_the_parser(name: str, copy: Callable[[str], Path]) -> None:
    folder = copy(name)
    (folder / "model.json").write_text("[" * 200_000 + "]" * 200_000)
    assert "nested too deep" in refused(folder)


def test_weights_of_another_bundle(copy: Callable[[str], Path]) -> None:
    folder = copy("pca")
    weights_changed(folder, lambda arrays: arrays["mean_"].__imul__(2), digest=False)
    assert "is not the file that was saved with model.json" in refused(folder)


def test_a_header_that_claims_a_trillion_numbers(copy: Callable[[str], Path]) -> None:
    folder = copy("pca")
    raw = (folder / "weights.safetensors").read_bytes()
    size = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + size])
    header["mean_"]["shape"] = [10**12]
    text = json.dumps(header).encode()
    (folder / "weights.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + raw[8 + size :])
    facts_changed(folder, lambda facts: facts.pop("weights"))
    assert "is not a whole bundle" in refused(folder)


def test_pipes_are_not_waited_for(copy: Callable[[str], Path]) -> None:
    import os

    folder = copy("pca")
    (folder / "model.json").unlink()
    os.mkfifo(folder / "model.json")
    assert "is no ordinary file" in refused(folder)


def test_names_that_are_no_text(copy: Callable[[str], Path]) -> None:
    for name in ("pca", "vae"):
        folder = copy(name)
        facts_changed(
            folder,
            lambda facts: (facts["genes"] if "genes" in facts else facts["learned"]["genes_"]).__setitem__(0, []),
        )
        assert "must be text" in refused(folder)


def test_a_number_of_model_json_that_is_none(copy: Callable[[str], Path]) -> None:
    folder = copy("vae")
    facts_changed(folder, lambda facts: facts.update(library_size=float("nan")))
    assert "model.json holds NaN" in refused(folder)


def test_weights_that_are_finite_and_their_products_not(copy: Callable[[str], Path]) -> None:
    folder = copy("vae")
    weights_changed(folder, lambda arrays: [a.fill(3e38) for a in arrays.values() if a.dtype == "f4" and a.ndim == 2])
    cells = pd.DataFrame(np.full((4, N_GENES), 3.0), columns=[f"G{i}" for i in range(N_GENES)])
    with pytest.raises(BundleError, match="gives numbers that are not finite"):
        cellixir.load(folder).transform(cells)  # type: ignore[attr-defined]


def test_parts_of_a_perturbation_model_that_do_not_fit_each_other(tmp_path: Path) -> None:
    from cellixir.data.simulate.perturbation import simulate_perturbation
    from cellixir.perturbation import Keys, effects_of
    from cellixir.perturbation.models import MODELS

    screen = simulate_perturbation(seed=0, n_genes=10, n_drugs=4, n_pairs=0, n_plates=1, n_modules=2)
    screen.obs["name"] = np.where(screen.obs["is_control"], "DMSO", screen.obs["drug_1"].astype(str))
    model = MODELS["kernel_ridge"].make().fit(effects_of(screen, Keys("name", ("DMSO",))))
    rows = model.described_.row
    for change in (
        lambda arrays: next(a for a in arrays.values() if a.shape == rows.shape and a.dtype == rows.dtype).fill(10**9),
        lambda arrays: arrays.update({k: a[:-1] for k, a in arrays.items() if a.ndim == 2 and len(a) == len(rows)}),
    ):
        folder = model.save(tmp_path / "bundle")
        assert cellixir.load(folder).card()
        weights_changed(folder, change)
        assert "weights and model.json do not belong together" in refused(folder)
