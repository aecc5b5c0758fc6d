"""What the bundle of a VAE holds, and the model made of it again."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch

from cellixir.embedding.axes import Axes
from cellixir.embedding.parameters import parameters_of
from cellixir.embedding.task import Scaling
from cellixir.estimator import under
from cellixir.nn.vae import VAENetwork, VAEShape
from cellixir.training import TrainingConfig, pick_device

if TYPE_CHECKING:
    from cellixir.embedding.vae import VAE
    from cellixir.estimator import Arrays

AXES = ("loadings", "centre", "scale")


def state_of(model: VAE) -> tuple[Arrays, dict[str, Any]]:
    """All arrays of a fitted model, and all that JSON holds."""
    arrays: Arrays = {f"network/{name}": t.cpu().numpy() for name, t in model.network_.state_dict().items()}
    arrays |= {f"scaling/{name}": getattr(model.scaling_, name).cpu().numpy() for name in ("mean", "sd")}
    arrays |= {"library_prior": model.library_prior_}
    arrays |= {f"axes/{name}": getattr(model.axes_, name) for name in AXES}
    facts = {
        "parameters": parameters_of(model),
        "likelihood": model.likelihood_,
        "scale": model.scale_,
        "genes": model.genes_,
        "latent_names": model.latent_names_,
        "batches": model.batches_,
        "classes": model.classes_,
        "shape": asdict(model.network_.shape),
        "library_size": model.scaling_.library_size,
        "fingerprint": model.fingerprint_,
        "n_cells": model.n_cells_,
        "notes": model.notes_,
        "history": model.history_.to_dict("list"),
    }
    return arrays, facts


def parameters_in(facts: dict[str, Any]) -> dict[str, Any]:
    """Parameters that the model was made with."""
    parameters: dict[str, Any] = facts["parameters"]
    return parameters | {"training": TrainingConfig(**parameters["training"])}


def restore(model: VAE, arrays: Arrays, facts: dict[str, Any]) -> None:
    """Give a model all that it had learned."""
    model.likelihood_, model.scale_ = facts["likelihood"], facts["scale"]
    model.genes_, model.latent_names_ = list(facts["genes"]), list(facts["latent_names"])
    model.batches_, model.classes_ = list(facts["batches"]), list(facts["classes"])
    model.fingerprint_, model.n_cells_, model.notes_ = facts["fingerprint"], facts["n_cells"], list(facts["notes"])
    model.history_ = pd.DataFrame(facts["history"])
    model.library_prior_ = arrays["library_prior"]
    model.axes_ = Axes(*(arrays[f"axes/{name}"] for name in AXES))
    device = pick_device(model.device)
    model.network_ = VAENetwork(VAEShape(**facts["shape"])).to(device)
    weights = under("network", arrays)
    model.network_.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in weights.items()})
    model.network_.eval()
    mean, sd = (torch.from_numpy(arrays[f"scaling/{name}"].copy()) for name in ("mean", "sd"))
    model.scaling_ = Scaling(float(facts["library_size"]), mean, sd).to(device)
