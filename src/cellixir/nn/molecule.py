"""Encoders of molecule graphs: GIN and GAT of torch-geometric.

Hu et al., ICLR 2020 (GIN that sees bonds); Brody, Alon and Yahav, ICLR 2022 (GATv2).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

import torch
from torch import nn

from cellixir.exceptions import ConfigurationError, MissingExtra
from cellixir.nn.dropout import Dropout

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

HEADS = 4
TYPICAL_ATOMS = 32.0  # of a drug: makes the sum over atoms about as long as their mean


class Graphs(Protocol):
    """Arrays of molecule graphs, such as `cellixir.data.molecules.MoleculeGraphs`."""

    @property
    def node_features(self) -> NDArray[Any]:
        """Shape ``(n_atoms, n_atom_features)``, in order of ``graph``."""

    @property
    def edge_index(self) -> NDArray[Any]:
        """Shape ``(2, n_edges)``: from which node, to which node; in order of their graph."""

    @property
    def edge_features(self) -> NDArray[Any]:
        """Shape ``(n_edges, n_bond_features)``."""

    @property
    def graph(self) -> NDArray[Any]:
        """Shape ``(n_atoms,)``: which drug an atom belongs to."""

    @property
    def n_graphs(self) -> int:
        """Number of drugs."""


@dataclass(frozen=True)
class GraphBatch:
    """Graphs of ``m`` drugs as tensors: atoms and edges stand in order of their drug."""

    atoms: Tensor  # (n_atoms, n_atom_features)
    edges: Tensor  # (2, n_edges), from and to, rows of ``atoms``
    bonds: Tensor  # (n_edges, n_bond_features)
    n_atoms: Tensor  # (m,), 0 for a drug without structure
    n_edges: Tensor  # (m,)

    @classmethod
    def from_arrays(cls, graphs: Graphs) -> GraphBatch:
        """Copy arrays into tensors on the CPU."""
        n_atoms = torch.bincount(torch.tensor(graphs.graph), minlength=graphs.n_graphs)
        n_edges = torch.bincount(torch.tensor(graphs.graph[graphs.edge_index[1]]), minlength=graphs.n_graphs)
        atoms, edges, bonds = (torch.tensor(a) for a in (graphs.node_features, graphs.edge_index, graphs.edge_features))
        return cls(atoms.float(), edges, bonds.float(), n_atoms, n_edges)

    def __len__(self) -> int:
        return len(self.n_atoms)

    def __getitem__(self, index: Tensor) -> GraphBatch:
        """Graphs of some drugs, in the order of ``index``, int64 of shape ``(k,)``; a drug may stand twice."""
        n_atoms, n_edges = self.n_atoms[index], self.n_edges[index]
        atom_start, edge_start = _starts(self.n_atoms)[index], _starts(self.n_edges)[index]
        atoms, edges = _runs(atom_start, n_atoms), _runs(edge_start, n_edges)
        moved = torch.repeat_interleave(_starts(n_atoms) - atom_start, n_edges)  # (k_edges,)
        return GraphBatch(self.atoms[atoms], self.edges[:, edges] + moved, self.bonds[edges], n_atoms, n_edges)

    @property
    def graph(self) -> Tensor:
        """Which drug each atom belongs to, shape ``(n_atoms,)``."""
        return torch.repeat_interleave(torch.arange(len(self), device=self.n_atoms.device), self.n_atoms)

    def to(self, device: torch.device | str) -> GraphBatch:
        """Copy on another device."""
        fields = (self.atoms, self.edges, self.bonds, self.n_atoms, self.n_edges)
        return GraphBatch(*(tensor.to(device) for tensor in fields))


class MoleculeEncoder(nn.Module):
    """Message passing between bonded atoms, then the mean and the sum over atoms; a drug without atoms is learned.

    Each layer adds to what an atom knew: ``h + dropout(conv(norm(h)))``. Norms are those of single atoms, so that a
    drug's latent does not depend on which others are encoded with it.

    Parameters
    ----------
    kind
        ``"gin"`` adds up what the neighbours say, ``"gat"`` weighs it by attention (4 heads).
    n_atom_features, n_bond_features, hidden, latent
        Widths; that of ``"gat"`` is a multiple of 4.
    layers
        How many bonds an atom sees.
    dropout
        Probability.

    Raises
    ------
    MissingExtra
        If torch-geometric is not installed.
    ConfigurationError
        If ``kind`` is not known or ``hidden`` cannot be split among the heads.
    """

    def __init__(
        self,
        kind: Literal["gin", "gat"],
        n_atom_features: int,
        n_bond_features: int,
        hidden: int,
        latent: int,
        *,
        layers: int = 3,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        self.atom_in = nn.Linear(n_atom_features, hidden)
        self.norms = nn.ModuleList(nn.LayerNorm(hidden) for _ in range(layers))
        self.convolutions = nn.ModuleList(_convolution(kind, hidden, n_bond_features) for _ in range(layers))
        self.dropout = Dropout(dropout)
        self.unknown = nn.Parameter(torch.zeros(2 * hidden))
        self.out = nn.Linear(2 * hidden, latent)

    def forward(self, graphs: GraphBatch) -> Tensor:
        """Map ``m`` graphs to ``(m, latent)``."""
        h = self.atom_in(graphs.atoms)  # (n_atoms, hidden)
        for norm, convolution in zip(self.norms, self.convolutions, strict=True):
            h = h + self.dropout(convolution(norm(h), graphs.edges, graphs.bonds))
        n_atoms = graphs.n_atoms.unsqueeze(1)  # (m, 1)
        total = h.new_zeros(len(graphs), h.shape[1]).index_add(0, graphs.graph, h)
        pooled = torch.cat([total / n_atoms.clamp(min=1), total / TYPICAL_ATOMS], dim=1)  # (m, 2 * hidden)
        latent: Tensor = self.out(torch.where(n_atoms > 0, pooled, self.unknown))
        return latent


def _convolution(kind: str, hidden: int, n_bond_features: int) -> nn.Module:
    if kind not in ("gin", "gat"):
        message = f"there is no molecule encoder {kind!r}; use 'gin' or 'gat'"
        raise ConfigurationError(message)
    if kind == "gat" and hidden % HEADS:
        message = f"hidden is {hidden}; for 'gat' it has to be a multiple of the {HEADS} heads"
        raise ConfigurationError(message)
    try:
        with (
            warnings.catch_warnings()
        ):  # torch-geometric scripts functions as it is imported, which torch 2.9 deprecates
            warnings.simplefilter("ignore", DeprecationWarning)
            from torch_geometric.nn import GATv2Conv, GINEConv
    except ImportError as error:
        message = f"molecule graphs ({kind}) need torch-geometric: pip install 'cellixir[graph]'"
        raise MissingExtra(message) from error
    layer: nn.Module
    if kind == "gin":
        network = nn.Sequential(nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, hidden))
        layer = GINEConv(network, edge_dim=n_bond_features)
    else:  # an atom reaches itself by the sum with what it knew, so it needs no edge to itself
        layer = GATv2Conv(hidden, hidden // HEADS, HEADS, edge_dim=n_bond_features, add_self_loops=False)
    return layer


def _starts(counts: Tensor) -> Tensor:
    return counts.cumsum(0) - counts


def _runs(start: Tensor, count: Tensor) -> Tensor:
    """``start, start + 1, ...`` of each run, ``count`` long, one run after the other."""
    total = torch.repeat_interleave(start - _starts(count), count)
    return total + torch.arange(len(total), device=start.device)
