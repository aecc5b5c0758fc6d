"""Graphs in batches, and encoders that count what stands next to what."""

from __future__ import annotations

import sys
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import RidgeCV
from sklearn.metrics import r2_score
from torch.nn.functional import mse_loss

from cellixir.data.molecules import ATOM_FEATURES, BOND_FEATURES, molecule_graphs
from cellixir.exceptions import ConfigurationError, MissingExtra
from cellixir.nn.molecule import GraphBatch, MoleculeEncoder

SMILES = ["CC(=O)Oc1ccccc1C(=O)O", None, "C", "[Na+].[Cl-]", "CCO", "N#Cc1ccccc1", "CS(=O)(=O)N"]
FRAGMENTS = ("C", "N", "O", "S(=O)(=O)", "C(=O)", "C(F)", "c1ccc(cc1)")
KINDS = pytest.mark.parametrize("kind", ["gin", "gat"])


def batch_of(smiles: list[str | None]) -> GraphBatch:
    return GraphBatch.from_arrays(molecule_graphs(pd.Series(smiles, dtype=object)))


def make_encoder(kind: str, latent: int = 5, **changes) -> MoleculeEncoder:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = MoleculeEncoder(kind, len(ATOM_FEATURES), len(BOND_FEATURES), 16, latent, **changes)
        torch.nn.init.normal_(encoder.unknown)
    return encoder


def same(a: GraphBatch, b: GraphBatch) -> bool:
    return all(torch.equal(getattr(a, name), getattr(b, name)) for name in vars(a))


@pytest.mark.parametrize("index", [[0, 1, 2, 3, 4, 5, 6], [5, 0, 3], [2, 2, 0, 2], [1], [1, 1], []])
def test_a_part_of_a_batch_is_the_batch_of_the_part(index: list[int]) -> None:
    part = batch_of(SMILES)[torch.tensor(index, dtype=torch.long)]
    assert len(part) == len(index)
    assert same(part, batch_of([SMILES[i] for i in index]))


def test_a_part_of_a_part_and_another_device() -> None:
    batch = batch_of(SMILES)
    assert same(batch[torch.tensor([6, 4, 0])][torch.tensor([2, 0])], batch[torch.tensor([0, 6])])
    assert same(batch.to("cpu"), batch)
    assert batch.to("meta").edges.device.type == "meta"
    assert batch.graph.tolist() == molecule_graphs(pd.Series(SMILES, dtype=object)).graph.tolist()


@KINDS
def test_order_of_atoms_does_not_matter_but_bonds_do(kind: str) -> None:
    pytest.importorskip("torch_geometric")
    encoder, batch = make_encoder(kind).eval(), batch_of(["CC(=O)Oc1ccccc1C(=O)O"])
    order = torch.randperm(len(batch.atoms), generator=torch.Generator().manual_seed(0))
    moved = GraphBatch(batch.atoms[order], torch.argsort(order)[batch.edges], batch.bonds, batch.n_atoms, batch.n_edges)
    other = GraphBatch(batch.atoms, batch.edges, batch.bonds.roll(2, dims=0), batch.n_atoms, batch.n_edges)
    with torch.no_grad():
        torch.testing.assert_close(encoder(moved), encoder(batch))
        assert (encoder(other) - encoder(batch)).abs().max() > 1e-4


@KINDS
def test_without_structure_a_vector_is_learned(kind: str) -> None:
    pytest.importorskip("torch_geometric")
    encoder = make_encoder(kind)
    for smiles in ([None, None], [None, "CCO", "C"], []):
        encoder.zero_grad()
        out = encoder(batch_of(smiles))
        out.square().sum().backward()
        assert out.shape == (len(smiles), 5)
        assert torch.isfinite(out).all()
        gradients = [p.grad for p in encoder.parameters() if p.grad is not None]
        assert all(torch.isfinite(g).all() for g in gradients)
        assert (encoder.unknown.grad.abs().sum() > 0) == bool(smiles)
    torch.testing.assert_close(encoder(batch_of([None]))[0], encoder.out(encoder.unknown))


def trained(kind: str, batch: GraphBatch, y: torch.Tensor, *, steps: int, **changes) -> MoleculeEncoder:
    torch.manual_seed(0)
    encoder = MoleculeEncoder(kind, len(ATOM_FEATURES), len(BOND_FEATURES), 32, 1, layers=2, **changes)
    optimiser = torch.optim.Adam(encoder.parameters(), 3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 5e-3, total_steps=steps)
    generator = torch.Generator().manual_seed(1)
    for _ in range(steps):
        rows = torch.randint(len(y), (96,), generator=generator)
        optimiser.zero_grad()
        mse_loss(encoder(batch[rows]).squeeze(1), y[rows]).backward()
        optimiser.step()
        schedule.step()
    return encoder.eval()


@KINDS
def test_counts_amides_of_drugs_it_has_not_seen(kind: str) -> None:
    """C(=O) beside N: atoms and bonds do not say so, only what stands next to what does."""
    pytest.importorskip("torch_geometric")
    rng = np.random.default_rng(0)
    chains = [[FRAGMENTS[i] for i in rng.integers(len(FRAGMENTS), size=rng.integers(4, 9))] for _ in range(1000)]
    amides = [sum({a, b} == {"C(=O)", "N"} for a, b in pairwise(c)) for c in chains]
    batch, y = batch_of(["".join(chain) for chain in chains]), torch.tensor(amides, dtype=torch.float32)
    train, test = torch.arange(800), torch.arange(800, 1000)

    counts = torch.zeros(len(batch), batch.atoms.shape[1]).index_add(0, batch.graph, batch.atoms).numpy()
    bag = RidgeCV(np.logspace(-3, 3, 7)).fit(counts[:800], y[:800]).predict(counts[800:])
    encoder = trained(kind, batch[train], y[train], steps=250, dropout=0.0)
    with torch.no_grad():
        prediction = encoder(batch[test]).squeeze(1)
    assert r2_score(y[test], torch.from_numpy(bag)) < 0.5
    assert r2_score(y[test], prediction) > 0.8


def test_settings_that_cannot_work() -> None:
    with pytest.raises(ConfigurationError, match="no molecule encoder 'gcn'; use 'gin' or 'gat'"):
        make_encoder("gcn")
    with pytest.raises(ConfigurationError, match=r"hidden is 6; .* multiple of the 4 heads"):
        MoleculeEncoder("gat", 3, 3, 6, 2)


def test_without_torch_geometric(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch_geometric.nn", None)
    with pytest.raises(MissingExtra, match=r"pip install 'cellixir\[graph\]'"):
        make_encoder("gin")
