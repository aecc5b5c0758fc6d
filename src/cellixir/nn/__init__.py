"""Torch modules, and nothing else."""

from cellixir.nn.dense import DenseEncoder
from cellixir.nn.dropout import Dropout
from cellixir.nn.two_tower import Side, Tower, TwoTower

__all__ = ["DenseEncoder", "Dropout", "Side", "Tower", "TwoTower"]
