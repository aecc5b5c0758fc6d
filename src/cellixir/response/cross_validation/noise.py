"""Noise ceiling: how well one measurement of a pair tells another one, where a molecule was screened twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from cellixir import metrics
from cellixir.data.audit.identity import molecule_groups
from cellixir.exceptions import counted

if TYPE_CHECKING:
    from cellixir.data.response_data import ResponseData

#: Samples measured twice, of a molecule, from which on its correlation is told; and all such pairs.
FEWEST, FEWEST_PAIRS = 10, 30


class NoiseCeiling(NamedTuple):
    """What is known of measurements made twice.

    Attributes
    ----------
    rmse
        Error of a prediction without any error of its own: the standard deviation of one measurement, that of the
        difference of two over the root of 2. The mean shift of a molecule between its screens is not counted.
    pearson
        Median over molecules of the correlation between their screens, over samples.
    n_pairs, n_molecules
        Pairs of measurements, and molecules with `FEWEST` or more.
    """

    rmse: float
    pearson: float
    n_pairs: int
    n_molecules: int

    def sentence(self, unit: str) -> str:
        """What to say beside scores."""
        of = f" over {counted(self.n_molecules, 'molecule')}" if np.isfinite(self.pearson) else ""
        agree = f" and agree over samples with a median Pearson of {self.pearson:.2f}{of}" if of else ""
        return (
            f"Noise ceiling: {self.n_pairs:,} pairs were measured twice{agree}; one measurement is off by "
            f"{self.rmse:.2f}{f' {unit}' if unit else ''}, and a perfect prediction would have that RMSE"
        )


def noise_ceiling(data: ResponseData) -> NoiseCeiling | None:
    """Agreement of measurements of one sample and molecule, replicates or twin drugs; None where they are too few.

    Examples
    --------
    >>> from cellixir.data.simulate import simulate_cohort
    >>> noise_ceiling(simulate_cohort(n_samples=20, n_drugs=4, n_genes=9, n_mutations=8, n_targets=2).response_data())
    """
    molecule = molecule_groups(data.drugs)[data.drug_index]
    table = pd.DataFrame({"sample": data.sample_index, "molecule": molecule, "y": data.response})
    table = table[table.duplicated(["sample", "molecule"], keep=False)]
    order = data.drug_index[table.index.to_numpy()]
    table = table.assign(screen=order).sort_values(["molecule", "sample", "screen"], kind="stable")
    table["turn"] = table.groupby(["molecule", "sample"]).cumcount()
    both = table[table["turn"] < 2].pivot(index=["molecule", "sample"], columns="turn", values="y")
    if len(both) < FEWEST_PAIRS:
        return None
    difference = (both[0] - both[1]).groupby(level="molecule")
    apart = (both[0] - both[1]) - difference.transform("mean")
    freedom = len(both) - difference.ngroups
    rmse = float(np.sqrt((apart**2).sum() / max(freedom, 1) / 2))
    found = [metrics.pearson(g[0], g[1]) for _, g in both.groupby(level="molecule") if len(g) >= FEWEST]
    return NoiseCeiling(rmse, float(np.median(found)) if found else float("nan"), len(both), len(found))
