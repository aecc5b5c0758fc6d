"""Threads of a network: fixed by its work, not by what torch was given."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from cellixir.data.simulate import simulate_bulk, simulate_cohort, simulate_single_cell
from cellixir.embedding.vae import VAE
from cellixir.response.network.predictor import ResponsePredictor
from cellixir.synthesis.gan import GANGenerator
from cellixir.synthesis.vae import VAEGenerator
from cellixir.training import TrainingConfig, threads_for
from cellixir.training.threads import WORTH_IT


@pytest.fixture(autouse=True)
def _threads_are_put_back() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("given", [1, 2, 3])
def test_threads_follow_the_work_alone(given: int) -> None:
    torch.set_num_threads(given)
    network = nn.Linear(99, 100)  # 10,000 parameters
    for rows, expected in ((1, 1), (int(WORTH_IT // 10_000) - 1, 1), (int(WORTH_IT // 10_000), 2)):
        with threads_for(network, rows):
            assert torch.get_num_threads() == expected
        assert torch.get_num_threads() == given
    with pytest.raises(ValueError, match="stop"), threads_for(network, 1):
        raise ValueError("stop")
    assert torch.get_num_threads() == given


def of_responses(encoder: str) -> Callable[[], list[np.ndarray]]:
    """Weights and predictions of a network whose steps are large enough to be shared."""

    def fit() -> list[np.ndarray]:
        from cellixir.response.network.architecture import Architecture

        data = simulate_cohort(n_samples=60, n_drugs=24, n_genes=300, n_mutations=120, seed=3).response_data()
        wide = Architecture(latent=16, encoder=128, sample_encoder=encoder)
        training = TrainingConfig(max_epochs=1, batch_size=1024)
        model = ResponsePredictor("LCO", architecture=wide, training=training, members=1, device="cpu").fit(data)
        return [*(p.numpy() for p in model.members_[0].state_dict().values()), model.predict_members(data)]

    return fit


def of_cells() -> list[np.ndarray]:
    """Latents of cells."""
    cells = simulate_single_cell(600, 400, dropout=0, seed=1)
    model = VAE(hidden=64, max_epochs=2, device="cpu").fit(cells)
    return [model.transform(cells), model.elbo(cells, n_draws=2), model.expression(cells)]


def of_generator(kind: type[Any]) -> Callable[[], list[np.ndarray]]:
    """Samples drawn from a generator."""

    def fit() -> list[np.ndarray]:
        samples = simulate_bulk(n_samples=120, n_genes=150, seed=2)
        made = kind(max_epochs=2, device="cpu").fit(samples).sample(50, seed=1)
        return [pd.DataFrame(made.to_df()).to_numpy()]

    return fit


FITS: dict[str, Callable[[], list[np.ndarray]]] = {
    **{f"response-{e}": of_responses(e) for e in ("dense", "conv1d", "recurrent", "transformer")},
    "vae": of_cells,
    "vae-generator": of_generator(VAEGenerator),
    "gan-generator": of_generator(GANGenerator),
}


@pytest.mark.parametrize("name", FITS)
def test_a_fit_and_its_use_are_the_same_whatever_torch_was_given(name: str) -> None:
    found = []
    for given in (1, 2):
        torch.set_num_threads(given)
        found.append(FITS[name]())
        assert torch.get_num_threads() == given
    assert all(np.array_equal(a, b) for a, b in zip(*found, strict=True))
