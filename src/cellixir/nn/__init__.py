"""Torch modules, and nothing else."""

from cellixir.nn.conv import Conv1dEncoder, Conv2dEncoder
from cellixir.nn.dense import DenseEncoder
from cellixir.nn.dropout import Dropout
from cellixir.nn.molecule import GraphBatch, MoleculeEncoder
from cellixir.nn.recurrent import RecurrentEncoder
from cellixir.nn.smiles import SmilesConvEncoder, SmilesTransformerEncoder
from cellixir.nn.target_graph import TargetGraphEncoder
from cellixir.nn.transformer import TransformerEncoder
from cellixir.nn.two_tower import Side, Tower, TwoTower

__all__ = [
    "Conv1dEncoder",
    "Conv2dEncoder",
    "DenseEncoder",
    "Dropout",
    "GraphBatch",
    "MoleculeEncoder",
    "RecurrentEncoder",
    "Side",
    "SmilesConvEncoder",
    "SmilesTransformerEncoder",
    "TargetGraphEncoder",
    "Tower",
    "TransformerEncoder",
    "TwoTower",
]
