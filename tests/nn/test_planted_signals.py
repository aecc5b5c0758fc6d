"""Signals that each encoder of features is built to find, and a dense layer, or a wrong layout, is not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from cellixir.nn import DenseEncoder
from cellixir.nn.conv import Conv1dEncoder, Conv2dEncoder
from cellixir.nn.recurrent import RecurrentEncoder
from cellixir.nn.transformer import TransformerEncoder

Arrays = tuple[np.ndarray, np.ndarray]


def held_out_r2(
    make_model: Callable[[], nn.Module], data: Arrays, *, n_train: int, steps: int, rate: float = 3e-3, parts: int = 4
) -> float:
    """R2 on the rows after ``n_train`` of a model trained on those before, a part of them a step."""
    x, y = (torch.as_tensor(a, dtype=torch.float32) for a in data)
    y = ((y - y.mean()) / y.std()).view(-1, 1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = make_model()
        optimiser = torch.optim.AdamW(model.parameters(), lr=rate)
        for _ in range(steps):
            rows = torch.randperm(n_train)[: n_train // parts] if parts > 1 else slice(n_train)
            optimiser.zero_grad()
            functional.mse_loss(model(x[rows]), y[rows]).backward()
            optimiser.step()
    with torch.no_grad():
        error = functional.mse_loss(model.eval()(x[n_train:]), y[n_train:])
    return 1 - float(error / y[n_train:].var(correction=0))


def gained_segments(rng: np.random.Generator, n: int, n_genes: int, *, length: int = 6, n_events: int = 6) -> Arrays:
    """How many of the events are a run of neighbours; the others raise as many genes, scattered."""
    x, y = 0.3 * rng.normal(size=(n, n_genes)), rng.integers(0, n_events + 1, n)
    for row, count in zip(x, y, strict=True):
        for start in rng.integers(0, n_genes, count):
            row[(start + np.arange(length)) % n_genes] += 1
        np.add.at(row, rng.integers(0, n_genes, (n_events - count) * length), 1)
    return x, y


def raised_patches(rng: np.random.Generator, n: int, side: int, *, width: int = 3, n_events: int = 6) -> Arrays:
    """As `gained_segments`, in squares of a map."""
    x, y = 0.3 * rng.normal(size=(n, side, side)), rng.integers(0, n_events + 1, n)
    for sample, count in zip(x, y, strict=True):
        for top, left in rng.integers(0, side, (count, 2)):
            sample[np.ix_((top + np.arange(width)) % side, (left + np.arange(width)) % side)] += 1
        np.add.at(sample.reshape(-1), rng.integers(0, side * side, (n_events - count) * width**2), 1)
    return x.reshape(n, -1), y


@pytest.mark.parametrize(
    ("kind", "data", "layout"),
    [
        (Conv1dEncoder, gained_segments(np.random.default_rng(1), 600, 150), np.arange(150)),
        (Conv2dEncoder, raised_patches(np.random.default_rng(2), 600, 12), np.arange(144).reshape(12, 12)),
    ],
    ids=["segments", "patches"],
)
def test_what_neighbours_do_together_is_learned_where_the_layout_shows_it(kind, data, layout):
    n_features = data[0].shape[1]
    scrambled = np.random.default_rng(0).permutation(layout.ravel()).reshape(layout.shape)

    def score(make_model: Callable[[], nn.Module]) -> float:
        return held_out_r2(make_model, data, n_train=400, steps=60, parts=1)

    own, lost = (score(lambda layout=grid: kind(n_features, 32, 1, layout=layout)) for grid in (layout, scrambled))
    dense = score(lambda: DenseEncoder(n_features, 64, 1))
    assert own > 0.5
    assert own > lost + 0.3
    assert own > dense + 0.2


def switched_pulses(rng: np.random.Generator, n: int, n_steps: int) -> Arrays:
    """Sum of pulses, each with the sign of the last switch before it: no gene says anything by itself.

    At each step four genes show the switch (up, down or none) and four the pulse.
    """
    switch = rng.choice([-1, 0, 1], (n, n_steps), p=[0.15, 0.7, 0.15])
    switch[:, 0] = rng.choice([-1, 1], n)
    pulse = rng.choice([-1, 0, 1], (n, n_steps), p=[0.2, 0.6, 0.2])
    last = np.maximum.accumulate(np.where(switch != 0, np.arange(n_steps), 0), axis=1)
    y = (np.take_along_axis(switch, last, axis=1) * pulse).sum(axis=1)
    shown = np.repeat(np.stack([switch, pulse], axis=2), 4, axis=2)  # (n, n_steps, 8)
    return (shown + 0.3 * rng.normal(size=shown.shape)).reshape(n, -1), y


def test_what_hangs_on_earlier_genes_is_learned_where_the_order_is_right():
    n_steps = 8
    n_features = 8 * n_steps
    data = switched_pulses(np.random.default_rng(1), 1100, n_steps)

    def score(make_model: Callable[[], nn.Module]) -> float:
        return held_out_r2(make_model, data, n_train=800, steps=120, rate=1e-2)

    orders = np.arange(n_features), np.random.default_rng(0).permutation(n_features)
    own, lost = (
        score(lambda order=order: RecurrentEncoder(n_features, 0, 1, layout=order, n_steps=n_steps, dropout=0.1))
        for order in orders
    )
    dense = score(lambda: DenseEncoder(n_features, 64, 1))
    assert own > 0.6
    assert own > lost + 0.1
    assert own > dense + 0.1


def two_pathways(rng: np.random.Generator, n: int, n_groups: int, size: int) -> Arrays:
    """Product of two activities of many; each gene is its group's activity and three times its variance in noise."""
    activity = rng.normal(size=(n, n_groups))
    noise = rng.normal(size=(n, n_groups, size))
    return (0.5 * activity[:, :, None] + 0.87 * noise).reshape(n, -1), activity[:, 1] * activity[:, 4]


def most_active_pathway(rng: np.random.Generator, n: int, n_groups: int, size: int) -> Arrays:
    """What one half of a group's genes say, of the group whose other half is most active."""
    active, value = rng.normal(size=(2, n, n_groups))
    shown = np.repeat(np.stack([active, value], axis=2), size // 2, axis=2)  # (n, n_groups, size)
    x = (shown + 0.5 * rng.normal(size=shown.shape)).reshape(n, -1)
    return x, np.take_along_axis(value, active.argmax(axis=1)[:, None], axis=1)[:, 0]


def encoder_of(layout: np.ndarray, **settings: float) -> Callable[[], nn.Module]:
    return lambda: TransformerEncoder(layout.size, 32, 1, layout=layout, **settings)


def test_what_two_pathways_do_together_is_learned_better_than_by_a_dense_layer():
    data = two_pathways(np.random.default_rng(1), 900, 8, 16)
    right = np.arange(128).reshape(8, 16)
    own = held_out_r2(encoder_of(right), data, n_train=400, steps=60)
    lost = held_out_r2(
        encoder_of(np.random.default_rng(0).permutation(128).reshape(8, 16)), data, n_train=400, steps=60
    )
    dense = max(
        held_out_r2(lambda: DenseEncoder(128, 64, 1), data, n_train=400, steps=steps) for steps in (40, 60, 80, 160)
    )
    assert own > 0.45
    assert own > lost + 0.1
    assert own > dense + 0.1


def test_the_pathway_that_counts_is_found_by_attention():
    data = most_active_pathway(np.random.default_rng(2), 1600, 8, 8)
    right = np.arange(64).reshape(8, 8)
    scrambled = np.random.default_rng(0).permutation(64).reshape(8, 8)
    light = {"dropout": 0.1, "input_dropout": 0.1}
    own, lost, without = (
        held_out_r2(encoder, data, n_train=1000, steps=200)
        for encoder in (
            encoder_of(right, **light),
            encoder_of(scrambled, **light),
            encoder_of(right, n_layers=0, **light),
        )
    )
    dense = max(held_out_r2(lambda: DenseEncoder(64, 64, 1), data, n_train=1000, steps=steps) for steps in (80, 200))
    assert own > 0.4
    assert own > max(lost, without, dense) + 0.1
