"""Torch modules, and nothing else."""

from cellixir.nn.dense import DenseEncoder
from cellixir.nn.two_tower import Side, Tower, TwoTower

__all__ = ["DenseEncoder", "Side", "Tower", "TwoTower"]
