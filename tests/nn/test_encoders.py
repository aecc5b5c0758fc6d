"""What every encoder keeps: its seed decides it, rows do not see each other, and every parameter learns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from cellixir.data.molecules import ATOM_FEATURES, BOND_FEATURES, molecule_graphs
from cellixir.nn import DenseEncoder
from cellixir.nn.conv import Conv1dEncoder, Conv2dEncoder
from cellixir.nn.molecule import GraphBatch, MoleculeEncoder
from cellixir.nn.recurrent import RecurrentEncoder
from cellixir.nn.smiles import SmilesConvEncoder, SmilesTransformerEncoder
from cellixir.nn.target_graph import TargetGraphEncoder
from cellixir.nn.transformer import TransformerEncoder

N_FEATURES, N_TOKENS, LATENT = 23, 12, 5
SMILES = ["CC(=O)Oc1ccccc1C(=O)O", None, "C", "[Na+].[Cl-]", "CCO", "N#Cc1ccccc1", "CS(=O)(=O)N"]
HITS = torch.tensor([[1, 1, 0, 0], [0, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1], [0, 0, 0, 0]]).repeat(8, 1).float()
both = pytest.mark.parametrize("hidden", [0, 16])


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


# -- of features -------------------------------------------------------------------------------------------------------


def line(n: int) -> np.ndarray:
    return np.random.default_rng(0).permutation(n)


def filled(shape: tuple[int, int], n: int) -> np.ndarray:
    places = np.full(shape[0] * shape[1], -1)
    places[:n] = line(n)
    return places.reshape(shape)


def square(n: int) -> np.ndarray:
    side = int(np.ceil(np.sqrt(n)))
    return filled((side, side), n)


LAYOUTS: dict[str, tuple[type[nn.Module], Callable[[int], np.ndarray]]] = {
    "conv1d": (Conv1dEncoder, line),
    "conv2d": (Conv2dEncoder, square),
    "recurrent": (RecurrentEncoder, line),
    "transformer": (TransformerEncoder, lambda n: filled((-(-n // 5), 5), n)),
}
laid_out = pytest.mark.parametrize("name", LAYOUTS)


def of_features(name: str, n: int = N_FEATURES, hidden: int = 16, layout: Any = None, **settings: float) -> nn.Module:
    if name == "dense":
        return DenseEncoder(n, hidden, LATENT, **settings)
    kind, usual = LAYOUTS[name]
    return kind(n, hidden, LATENT, layout=usual(n) if layout is None else layout, **settings)


# -- of any kind -------------------------------------------------------------------------------------------------------


class Case(NamedTuple):
    """An encoder, and forty rows or so that it reads."""

    make: Callable[..., nn.Module]
    rows: Callable[[], Any]
    needs: str = "torch"


def tokens() -> Tensor:
    lengths = [5, 0, 31, 33, 60, 3, 12, 60] * 5
    draw, found = torch.Generator().manual_seed(3), torch.zeros(len(lengths), 60, dtype=torch.long)
    for row, length in zip(found, lengths, strict=True):
        row[:length] = torch.randint(1, N_TOKENS, (length,), generator=draw)
    return found


def graph(**settings: float) -> nn.Module:
    encoder = TargetGraphEncoder(6, 4, 16, LATENT, n_train=len(HITS), **settings)
    encoder.connect(hits())
    return encoder


def hits() -> Tensor:
    return torch.cat([drawn(len(HITS), 6), HITS], dim=1)


def molecules() -> GraphBatch:
    return GraphBatch.from_arrays(molecule_graphs(pd.Series(SMILES * 6, dtype=object)))


def features() -> Tensor:
    return drawn(40, N_FEATURES)


ATOMS = len(ATOM_FEATURES), len(BOND_FEATURES)
CASES: dict[str, Case] = {
    **{n: Case(lambda n=n, **asked: of_features(n, **asked), features) for n in ("dense", *LAYOUTS)},
    "smiles-conv": Case(lambda **asked: SmilesConvEncoder(N_TOKENS, 16, LATENT, **asked), tokens),
    "smiles-transformer": Case(lambda **asked: SmilesTransformerEncoder(N_TOKENS, 16, LATENT, **asked), tokens),
    **{
        kind: Case(
            lambda kind=kind, **asked: MoleculeEncoder(kind, *ATOMS, 16, LATENT, **asked), molecules, "torch_geometric"
        )
        for kind in ("gin", "gat")
    },
    "target-graph": Case(graph, hits),
}
every = pytest.mark.parametrize("name", CASES)


def made(name: str, **asked: float) -> tuple[nn.Module, Any]:
    """Encoder of seed 0, with what stands for a missing drug drawn too, and its rows."""
    case = CASES[name]
    pytest.importorskip(case.needs)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = case.make(**asked)
        for vector in ("unknown", "no_target"):
            if hasattr(encoder, vector):
                nn.init.normal_(getattr(encoder, vector))
    return encoder, case.rows()


@every
def test_each_row_has_a_place_of_its_own(name: str) -> None:
    encoder, rows = made(name)
    with torch.no_grad():
        out = encoder.eval()(rows)
    assert out.shape == (len(rows), LATENT)
    assert out.dtype == torch.float32
    assert out.isfinite().all()
    assert out.std(dim=0).min() > 1e-3


@every
def test_rows_do_not_see_each_other_and_may_stand_in_any_order(name: str) -> None:
    encoder, rows = made(name)
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        out = encoder.eval()(rows)
        assert torch.equal(encoder(rows), out)
        torch.testing.assert_close(encoder(rows[order]), out[order])
        alone = [encoder(rows[torch.tensor([i])]) for i in range(8)]
        torch.testing.assert_close(torch.cat(alone), out[:8])


@every
def test_dropout_acts_in_training_only(name: str) -> None:
    encoder, rows = made(name, dropout=0.5)
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(0)
        assert not torch.allclose(encoder.train()(rows), encoder(rows))
        assert torch.equal(encoder.eval()(rows), encoder(rows))


@every
def test_the_seed_decides_what_is_learned(name: str) -> None:
    def trained() -> list[Tensor]:
        encoder, rows = made(name)
        optimiser = torch.optim.Adam(encoder.parameters(), 1e-2)
        with torch.random.fork_rng():
            torch.manual_seed(7)  # of dropout
            for _ in range(4):
                optimiser.zero_grad()
                (encoder(rows)[:, 0] - torch.linspace(-1, 1, len(rows))).square().mean().backward()
                optimiser.step()
        return [parameter.detach() for parameter in encoder.parameters()]

    first, again, untrained = trained(), trained(), made(name)[0].parameters()
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert all(not torch.equal(a, b) for a, b in zip(first, untrained, strict=True))


@every
@both
def test_gradients_reach_every_parameter(name: str, hidden: int) -> None:
    asked = {"dropout": 0.0} | ({"hidden": hidden, "input_dropout": 0.0} if name in ("dense", *LAYOUTS) else {})
    encoder, rows = made(name, **asked)
    encoder(rows).square().sum().backward()
    for parameter, tensor in encoder.named_parameters():
        assert tensor.grad is not None, parameter
        assert tensor.grad.isfinite().all(), parameter
        assert tensor.grad.abs().sum() > 0, parameter


# -- encoders of features ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["dense", *LAYOUTS])
@pytest.mark.parametrize("n", [1, 2, 5, 60])
@pytest.mark.parametrize("m", [1, 3])
@both
def test_any_number_of_features_and_samples(name: str, n: int, m: int, hidden: int) -> None:
    out = of_features(name, n, hidden)(drawn(m, n))
    assert out.shape == (m, LATENT)
    assert out.isfinite().all()


@laid_out
def test_a_layout_that_follows_permuted_features_changes_nothing(name: str) -> None:
    encoder, x = made(name)
    order = torch.randperm(N_FEATURES, generator=torch.Generator().manual_seed(3))
    layout = LAYOUTS[name][1](N_FEATURES)
    moved, _ = made(name, layout=np.where(layout < 0, -1, torch.argsort(order).numpy()[layout]))
    torch.testing.assert_close(moved.eval()(x[:, order]), encoder.eval()(x), rtol=0, atol=0)
    assert not torch.allclose(encoder(x[:, order]), encoder(x))


@laid_out
def test_the_layout_moves_with_the_module_but_is_not_a_weight(name: str) -> None:
    encoder, _ = made(name)
    held = {buffer for buffer in ("layout", "patches") if hasattr(encoder, buffer)}
    assert "layout" in held <= set(dict(encoder.named_buffers()))
    assert not held & set(encoder.state_dict())
    np.testing.assert_array_equal(encoder.layout.numpy(), LAYOUTS[name][1](N_FEATURES))
