"""Checkpoint files: they come back as they were, and broken ones are named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from cellixir.exceptions import BundleError
from cellixir.training.checkpoint import (
    load_optimiser,
    nested,
    optimiser_tensors,
    read_checkpoint,
    unnested,
    write_checkpoint,
)

TENSORS = {
    "weight": torch.tensor([[1.0, -0.0], [float("inf"), 1e-45]]),
    "turned": torch.arange(6.0).reshape(2, 3).T,
    "step": torch.tensor(3.0),
    "count": torch.tensor([2**40], dtype=torch.int64),
    "small": torch.tensor([0.1], dtype=torch.bfloat16),
    "none": torch.zeros(0, 4),
}
FACTS = {"history": [{"epoch": 0, "loss": 0.1 + 0.2}], "signature": "μ — 'quoted'", "none": None}


def test_tensors_and_facts_come_back_to_the_bit(tmp_path):
    path = tmp_path / "deep" / "run.safetensors"
    write_checkpoint(path, TENSORS, FACTS)
    tensors, facts = read_checkpoint(path)
    assert facts == FACTS
    assert tensors.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert tensors[name].dtype == tensor.dtype
        assert tensors[name].shape == tensor.shape
        assert torch.equal(tensors[name], tensor)


def test_no_file_is_no_checkpoint(tmp_path):
    assert read_checkpoint(tmp_path / "absent") is None


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def headless(path: Path) -> None:
    path.write_bytes(path.read_bytes()[5:])


BREAKS: dict[str, Callable[[Path], object]] = {
    "truncated": truncated,
    "half": lambda path: path.write_bytes(path.read_bytes()[:100]),
    "headless": headless,
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("epoch,loss\n1,0.5\n" * 50),
    "weights without facts": lambda path: save_file({"weight": torch.zeros(2)}, path),
    "facts that are not JSON": lambda path: save_file({"weight": torch.zeros(2)}, path, metadata={"facts": "{"}),
}


@pytest.mark.parametrize("how", BREAKS)
def test_broken_file_is_named_with_the_way_out(tmp_path, how):
    path = tmp_path / "run.safetensors"
    write_checkpoint(path, TENSORS, FACTS)
    BREAKS[how](path)
    with pytest.raises(BundleError, match=r"run\.safetensors is not a checkpoint .*delete the folder .* to start anew"):
        read_checkpoint(path)


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "run.safetensors"
    write_checkpoint(path, TENSORS, {"epoch": 1})
    with pytest.raises(TypeError):
        write_checkpoint(path, TENSORS, {"epoch": object()})
    assert read_checkpoint(path)[1] == {"epoch": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["run.safetensors"]
    write_checkpoint(path, TENSORS, {"epoch": 2})
    assert read_checkpoint(path)[1] == {"epoch": 2}
    assert [p.name for p in tmp_path.iterdir()] == ["run.safetensors"]


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "run.safetensors"
    write_checkpoint(path, TENSORS, {"epoch": 1})

    def full(tensors: object, target: Path, metadata: object) -> None:
        target.write_bytes(b"half of the tensors")
        message = "no space left on device"
        raise OSError(message)

    monkeypatch.setattr("cellixir.training.checkpoint.save_file", full)
    with pytest.raises(OSError, match="no space left"):
        write_checkpoint(path, TENSORS, {"epoch": 2})
    assert read_checkpoint(path)[1] == {"epoch": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["run.safetensors"]


def test_tied_weights_can_be_written(tmp_path):
    network = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Linear(3, 3))
    network[1].weight = network[0].weight
    write_checkpoint(tmp_path / "run.safetensors", dict(network.state_dict()), {})


def test_names_are_nested_and_unnested():
    state = {"a/b": torch.zeros(1), "c": torch.ones(1)}
    both = nested("best", state) | nested("best2", {"d": torch.ones(2)})
    assert set(both) == {"best/a/b", "best/c", "best2/d"}
    assert unnested("best", both) == state
    assert set(unnested("best2", both)) == {"d"}
    assert unnested("be", both) == {}


@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.AdamW, torch.optim.SGD])
def test_an_optimiser_goes_on_where_it_was(tmp_path, kind):
    options = {"momentum": 0.9} if kind is torch.optim.SGD else {"fused": True}
    x = torch.randn(16, 3, generator=torch.Generator().manual_seed(0))

    def start() -> tuple[torch.nn.Module, torch.optim.Optimizer]:
        network = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))
        return network, kind(network.parameters(), lr=0.01, weight_decay=0.1, **options)

    def step(network: torch.nn.Module, optimiser: torch.optim.Optimizer) -> None:
        optimiser.zero_grad()
        network(x).square().sum().backward()
        optimiser.step()

    network, optimiser = start()
    for _ in range(3):
        step(network, optimiser)
    write_checkpoint(tmp_path / "o", nested("o", optimiser_tensors(optimiser)) | nested("n", network.state_dict()), {})
    tensors, _ = read_checkpoint(tmp_path / "o")

    other, other_optimiser = start()
    other.load_state_dict(unnested("n", tensors))
    load_optimiser(other_optimiser, unnested("o", tensors))
    for _ in range(3):
        step(network, optimiser)
        step(other, other_optimiser)
    for one, two in zip(network.parameters(), other.parameters(), strict=True):
        assert torch.equal(one, two)


def test_a_fresh_optimiser_has_nothing_to_keep():
    optimiser = torch.optim.Adam(torch.nn.Linear(2, 1).parameters())
    assert optimiser_tensors(optimiser) == {}
    load_optimiser(optimiser, {})
