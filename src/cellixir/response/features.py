"""What the models see of a sample and of a drug, learned from training rows only.

A sample is its omics views, standardised, and its annotation (tissue, medium, ...), one-hot. A drug is its Morgan
fingerprint, its targets and its pathway. Both become one float32 matrix with named columns.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.preprocessing import StandardScaler

from cellixir.data.drugs import morgan_fingerprints, target_sets
from cellixir.exceptions import ConfigurationError
from cellixir.response.model import Known

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellixir.data.response_data import ResponseData

MAX_LEVELS = 60  # an annotation with more levels is a name, not a category
VARIANCE_FLOOR = 0.02  # a mutation in 5 of 800 lines would otherwise weigh as much as tissue
FINGERPRINT_BITS = 512
BLOCK_NORM = 4.0  # root mean square length of a row of each block: 27 tissues weigh as much as 678 mutations


@dataclass
class Blocks:
    """Named groups of columns, each scaled so that its rows have the same typical length in training."""

    gain: dict[str, float] = field(default_factory=dict)

    def fit(self, blocks: dict[str, NDArray[np.float32]]) -> Blocks:
        """Learn the gain of each block from training rows; an empty or constant block keeps 1."""
        for name, block in blocks.items():
            length = float(np.sqrt(np.square(block, dtype=np.float64).sum(axis=1).mean())) if block.size else 0.0
            self.gain[name] = BLOCK_NORM / length if length > 0 else 1.0
        return self

    def transform(self, blocks: dict[str, NDArray[np.float32]], n_rows: int) -> NDArray[np.float32]:
        """Scaled blocks side by side, float32; shape ``(n_rows, 0)`` when there are none."""
        scaled = [block * np.float32(self.gain[name]) for name, block in blocks.items()]
        return np.ascontiguousarray(np.hstack(scaled)) if scaled else np.zeros((n_rows, 0), dtype=np.float32)


@dataclass
class OneHot:
    """Levels of annotation columns seen in training; an unseen or missing level is a row of zeros."""

    levels: dict[str, list[str]] = field(default_factory=dict)

    def fit(self, table: pd.DataFrame) -> OneHot:
        """Keep text columns with 2 to ``MAX_LEVELS`` levels and at most half as many levels as rows."""
        for column in table.columns:
            if pd.api.types.is_numeric_dtype(table[column]):
                continue
            found = sorted(set(table[column].dropna().astype(str)))
            if 2 <= len(found) <= min(MAX_LEVELS, len(table) // 2):
                self.levels[str(column)] = found
        return self

    @property
    def names(self) -> list[str]:
        """Column names, ``annotation=level``."""
        return [f"{column}={level}" for column, found in self.levels.items() for level in found]

    def transform(self, table: pd.DataFrame) -> dict[str, NDArray[np.float32]]:
        """One block a column, shape ``(len(table), n_levels)``."""
        blocks = {}
        for column, found in self.levels.items():
            values = table[column].astype(object) if column in table else pd.Series(None, index=table.index)
            codes = pd.Index(found).get_indexer(pd.Index(values.where(values.isna(), values.astype(str))))
            rows = np.vstack([np.eye(len(found)), np.zeros(len(found))])  # -1, an unknown level, is the last row
            blocks[column] = rows[codes].astype(np.float32)
        return blocks


@dataclass
class SampleFeatures:
    """Views (standardised over training samples) and annotation of each sample."""

    views: dict[str, list[str]] = field(default_factory=dict)
    mean: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    scale: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    onehot: OneHot = field(default_factory=OneHot)
    blocks: Blocks = field(default_factory=Blocks)

    def fit(self, data: ResponseData) -> SampleFeatures:
        """Learn from the samples that ``data.responses`` names, each once."""
        seen = np.unique(data.sample_index)
        for name, view in data.views.items():
            scaler = StandardScaler().fit(data.feature_matrix(name)[seen].astype(np.float64))
            self.views[name] = list(view.var_names)
            self.mean[name] = scaler.mean_
            self.scale[name] = np.sqrt(scaler.var_ + VARIANCE_FLOOR * max(float(scaler.var_.max()), 1e-12))
        self.onehot.fit(data.samples.iloc[seen])
        self.blocks.fit({name: block[seen] for name, block in self._blocks(data).items()})
        return self

    @property
    def names(self) -> list[str]:
        """Names of the columns of ``transform``."""
        return [f for features in self.views.values() for f in features] + self.onehot.names

    def transform(self, data: ResponseData, *, missing: str = "error") -> NDArray[np.float32]:
        """Matrix of shape ``(len(data.samples), len(names))``; genes are matched by name."""
        return self.blocks.transform(self._blocks(data, missing=missing), len(data.samples))

    def _blocks(self, data: ResponseData, *, missing: str = "error") -> dict[str, NDArray[np.float32]]:
        blocks = {}
        for name, names in self.views.items():
            raw = data.feature_matrix(name, names, missing="error" if missing == "error" else "zero")
            if missing == "mean":
                absent = ~np.isin(names, data.views[name].var_names)
                raw[:, absent] = self.mean[name][absent]
            blocks[name] = ((raw - self.mean[name]) / self.scale[name]).astype(np.float32)
        return blocks | self.onehot.transform(data.samples)

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Arrays and facts for a bundle."""
        arrays = {f"{part}/{v}": a[v] for part, a in (("mean", self.mean), ("scale", self.scale)) for v in a}
        return arrays, {"views": self.views, "levels": self.onehot.levels, "gain": self.blocks.gain}

    @classmethod
    def from_state(cls, arrays: dict[str, NDArray[Any]], facts: dict[str, Any]) -> SampleFeatures:
        """Rebuild what ``state`` described."""
        mean, scale = ({v: arrays[f"{part}/{v}"] for v in facts["views"]} for part in ("mean", "scale"))
        return cls(facts["views"], mean, scale, OneHot(facts["levels"]), Blocks(facts["gain"]))


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
        self.has_smiles = "smiles" in seen and bool(seen["smiles"].notna().any())
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

    def transform(self, drugs: pd.DataFrame) -> NDArray[np.float32]:
        """Matrix of shape ``(len(drugs), len(names))``; what is not known of a drug is zero."""
        return self.blocks.transform(self._blocks(drugs), len(drugs))

    def _blocks(self, drugs: pd.DataFrame) -> dict[str, NDArray[np.float32]]:
        blocks: dict[str, NDArray[np.float32]] = {}
        if self.has_smiles:
            smiles = drugs["smiles"] if "smiles" in drugs else pd.Series(None, index=drugs.index, dtype=object)
            blocks["morgan"] = morgan_fingerprints(smiles, n_bits=FINGERPRINT_BITS).astype(np.float32)
            blocks["has_smiles"] = smiles.notna().to_numpy().astype(np.float32)[:, None]
        if self.targets:
            sets = target_sets(drugs) if "targets" in drugs else {}
            hits = [[t in sets.get(str(drug), ()) for t in self.targets] for drug in drugs.index]
            blocks["targets"] = np.array(hits, dtype=np.float32).reshape(len(drugs), -1)
        return blocks | self.onehot.transform(drugs)

    def state(self) -> dict[str, Any]:
        """Facts for a bundle."""
        return {
            "targets": self.targets,
            "has_smiles": self.has_smiles,
            "levels": self.onehot.levels,
            "gain": self.blocks.gain,
        }

    @classmethod
    def from_state(cls, facts: dict[str, Any]) -> DrugFeatures:
        """Rebuild what ``state`` described."""
        return cls(facts["targets"], facts["has_smiles"], OneHot(facts["levels"]), Blocks(facts["gain"]))


def require_features(data: ResponseData, split: str) -> None:
    """Refuse data in which nothing is known of what is new under ``split``.

    Raises
    ------
    ConfigurationError
        If new samples have no features, or new drugs no SMILES, targets or pathways.
    """
    known = Known.under(split)
    if not known.samples and not SampleFeatures().fit(data).names:
        message = f"{split} predicts new samples, but the data have no features of samples; give --omics VIEW=FILE"
        raise ConfigurationError(message)
    if not known.drugs and not DrugFeatures().fit(data).names:
        message = f"{split} predicts new drugs, but the data have no SMILES, targets or pathways; give --drugs FILE"
        raise ConfigurationError(message)
