"""What the models see of a drug, learned from training rows only: its Morgan fingerprint, targets and pathway."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cellixir.data.drugs import morgan_fingerprints, target_sets
from cellixir.data.tables import as_text
from cellixir.response.models.blocks import Blocks, OneHot

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellixir.data.response_data import ResponseData

FINGERPRINT_BITS = 512


@dataclass
class DrugFeatures:
    """Fingerprint, targets (those of two or more training drugs) and pathway of each drug."""

    targets: list[str] = field(default_factory=list)
    has_smiles: bool = False
    onehot: OneHot = field(default_factory=OneHot)
    blocks: Blocks = field(default_factory=Blocks)

    def fit(self, data: ResponseData) -> DrugFeatures:
        """Learn from the drugs that ``data.responses`` names."""
        seen = data.drugs.iloc[np.unique(data.drug_index)]
        self.has_smiles = "smiles" in seen and bool(as_text(seen["smiles"]).notna().any())
        if "targets" in seen:
            counts = Counter(t for targets in target_sets(seen).values() for t in targets)
            self.targets = sorted(t for t, n in counts.items() if n > 1)
        self.onehot.fit(seen[[c for c in ("pathway",) if c in seen]])
        self.blocks.fit(self._blocks(seen))
        return self

    @property
    def names(self) -> list[str]:
        """Names of the columns of ``transform``."""
        bits = [f"morgan_{i}" for i in range(FINGERPRINT_BITS)] if self.has_smiles else []
        known = ["has_smiles"] if self.has_smiles else []
        return bits + known + [f"target={t}" for t in self.targets] + self.onehot.names

    @property
    def widths(self) -> dict[str, int]:
        """Number of columns of structure, targets and pathway."""
        widths = {"structure": (FINGERPRINT_BITS + 1) * self.has_smiles, "targets": len(self.targets)}
        return {name: n for name, n in (widths | {"pathway": len(self.onehot.names)}).items() if n}

    def transform(self, drugs: pd.DataFrame) -> NDArray[np.float32]:
        """Matrix of shape ``(len(drugs), len(names))``; what is not known of a drug is zero."""
        return self.blocks.transform(self._blocks(drugs), len(drugs))

    def _blocks(self, drugs: pd.DataFrame) -> dict[str, NDArray[np.float32]]:
        blocks: dict[str, NDArray[np.float32]] = {}
        if self.has_smiles:
            smiles = as_text(drugs["smiles"] if "smiles" in drugs else pd.Series(None, index=drugs.index, dtype=object))
            blocks["morgan"] = morgan_fingerprints(smiles, n_bits=FINGERPRINT_BITS).astype(np.float32)
            blocks["has_smiles"] = smiles.notna().to_numpy().astype(np.float32)[:, None]
        if self.targets:
            sets = target_sets(drugs) if "targets" in drugs else {}
            hits = [[t in sets.get(str(drug), ()) for t in self.targets] for drug in drugs.index]
            blocks["targets"] = np.array(hits, dtype=np.float32).reshape(len(drugs), -1)
        return blocks | self.onehot.transform(drugs)
