"""Fits and maps as pieces of a run: the bundle of a fit stands in the folder of its piece."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np

from cellixir import __version__
from cellixir.data.expression.matrix import is_backed
from cellixir.embedding.settings import vae_of
from cellixir.embedding.vae import VAE
from cellixir.exceptions import ConfigurationError
from cellixir.runs import Found, Piece
from cellixir.runs.piece import CHECKPOINT

if TYPE_CHECKING:
    from pathlib import Path

    import anndata as ad
    from numpy.typing import ArrayLike

    from cellixir.runs.piece import OnEpoch

MODEL = "model"
Settings = Mapping[str, Any]
GeneSets = Mapping[str, Sequence[str]]


def comparable(settings: Settings) -> dict[str, Any]:
    """Settings that change what is found; of gene sets a fingerprint."""
    plain = {name: v for name, v in settings.items() if name not in ("gene_sets", "device") and v is not None}
    return plain | {"gene_sets": sets_fingerprint(settings.get("gene_sets"))}


def sets_fingerprint(sets: GeneSets | None) -> str:
    """SHA-256 of gene sets and their genes; empty without any."""
    text = "" if sets is None else json.dumps(sorted((name, list(genes)) for name, genes in sets.items()))
    return sha256(text.encode()).hexdigest() if text else ""


def fit_piece(labels: Mapping[str, str | int], settings: Settings, cells: Callable[[], ad.AnnData]) -> Piece:
    """Piece that fits a VAE to the cells that a function gives, and saves it."""

    def work(place: Path, on_epoch: OnEpoch) -> Found:
        fit(settings, cells(), place, on_epoch)
        return Found()

    return Piece(labels, comparable(settings), work)


def fit(settings: Settings, cells: ad.AnnData, place: Path, on_epoch: OnEpoch) -> VAE:
    """VAE that is fitted to the cells and saved in the folder of a piece."""
    # named by settings and version: what another version has begun is not gone on with
    begun = sha256(json.dumps([__version__, comparable(settings)], sort_keys=True).encode()).hexdigest()[:12]
    model = vae_of(settings).fit(cells, checkpoint=place / CHECKPOINT / f"{begun}.safetensors", on_epoch=on_epoch)
    model.save(place / MODEL)
    return model


def model_of(piece: Piece, folder: Path) -> VAE:
    """Model that a piece has saved."""
    return VAE.load(piece.place(folder) / MODEL)


def require_models(pieces: Sequence[Piece], folder: Path) -> None:
    """Have pieces done again whose bundle is gone."""
    for piece in pieces:
        place = piece.place(folder)
        if not (place / MODEL / "model.json").is_file():
            (place / "piece.json").unlink(missing_ok=True)


def require_portable(cells: ad.AnnData, jobs: int) -> None:
    """Refuse cells on disk where other processes are to fit to them."""
    if jobs > 1 and is_backed(cells.X):
        message = f"--jobs {jobs} cannot give cells on disk to other processes; leave --backed or --jobs out"
        raise ConfigurationError(message)


def map_piece(name: str, draw: Callable[..., ArrayLike], latent: ArrayLike, seed: int) -> Piece:
    """Piece that draws a map of latents or clusters them; its array is called ``found``."""
    points = np.asarray(latent)
    digest = sha256(points.tobytes()).hexdigest()
    return Piece({"map": name}, {"latent": digest, "seed": seed}, partial(_drawn, draw, points, seed))


def _drawn(draw: Callable[..., ArrayLike], latent: ArrayLike, seed: int, place: Path, on_epoch: OnEpoch) -> Found:
    del place, on_epoch
    found = np.asarray(draw(latent, seed=seed))
    return Found({"found": found.astype(str) if found.dtype == object else found.astype(np.float32)})
