"""Effects and folds of a benchmark, and its questions: as they are, for other drugs and in other contexts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import anndata as ad
import numpy as np
import pandas as pd

from cellixir.perturbation.models import ModelSpec
from cellixir.perturbation.splits import Fold
from cellixir.perturbation.wells import parts_of


@dataclass(frozen=True, eq=False)
class Screen:
    """Effects, how they are dealt out, and the models to judge."""

    effects: ad.AnnData
    split: str
    folds: list[Fold]
    seed: int
    specs: dict[str, ModelSpec]
    device: str = "auto"

    @cached_property
    def treated(self) -> ad.AnnData:
        """Wells that are no controls."""
        return self.effects[~self.effects.obs["is_control"].to_numpy(bool)].copy()

    def training(self, fold: Fold) -> ad.AnnData:
        """Training wells and all control wells."""
        control = np.flatnonzero(self.effects.obs["is_control"])
        return self.effects[np.sort(np.concatenate([fold.train, control]))].copy()

    def question(self, fold: Fold) -> ad.AnnData:
        """Test wells without what was measured."""
        asked = self.effects[fold.test].copy()
        asked.X = np.full(asked.shape, np.nan, dtype=np.float32)
        return asked


def other_drugs(screen: Screen, asked: ad.AnnData) -> ad.AnnData | None:
    """The question with every perturbation replaced by another single or pair of the screen; None of only one."""
    found = asked.copy()
    names = found.obs["perturbation"].to_numpy(object)
    every = pd.unique(screen.effects.obs.loc[~screen.effects.obs["is_control"], "perturbation"])
    changed = False
    for size in (1, 2):
        group = [name for name in every if len(parts_of(name)) == size]
        order = np.random.default_rng(screen.seed).permutation(len(group))
        if len(group) > 1:
            to = {group[a]: group[b] for a, b in zip(order, np.roll(order, 1), strict=True)}
            names = np.array([to.get(name, name) for name in names], dtype=object)
            changed = True
    found.obs["perturbation"] = names.astype(str)
    return found if changed else None


def other_contexts(screen: Screen, asked: ad.AnnData) -> ad.AnnData | None:
    """The question with the cell line, and with it the controls, of another one; None of only one line."""
    effects = screen.effects
    lines = pd.unique(effects.obs["cell_line"].astype(str))
    if len(lines) < 2:
        return None
    order = np.random.default_rng(screen.seed).permutation(len(lines))
    to = {lines[a]: lines[b] for a, b in zip(order, np.roll(order, 1), strict=True)}
    found = asked.copy()
    found.obs["cell_line"] = [to[line] for line in asked.obs["cell_line"].astype(str)]
    if "control" in effects.layers:
        own = effects.obs["cell_line"].to_numpy(str)
        controls = {line: np.asarray(effects.layers["control"])[own == line].mean(axis=0) for line in lines}
        found.layers["control"] = np.stack([controls[line] for line in found.obs["cell_line"]])
    return found
