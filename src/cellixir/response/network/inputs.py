"""Inputs of the response network: what it reads of samples and drugs, learned from the training pairs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
import torch

from cellixir.nn import Tower, TwoTower
from cellixir.response.models.drug_features import DrugFeatures
from cellixir.response.models.features import SampleFeatures
from cellixir.response.models.model import Known
from cellixir.response.network.encoders import DrugEncoding, SampleEncoding, Shape
from cellixir.response.network.pair_task import Pairs, SideTable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellixir.data.missing_genes import Missing
    from cellixir.data.response_data import ResponseData
    from cellixir.nn import GraphBatch
    from cellixir.response.network.architecture import Architecture
    from cellixir.response.network.encoders import GeneSets


class Matrices(NamedTuple):
    """Features of every sample and of every drug."""

    samples: NDArray[np.float32]
    drugs: NDArray[np.float32]


@dataclass
class Inputs:
    """Features and encodings of both sides, and the ids that have an embedding of their own.

    Parameters
    ----------
    samples, drugs
        Features.
    sample_encoding, drug_encoding
        How encoders read them.
    known_samples, known_drugs
        Ids that will be known when a pair is predicted; empty on the side that is new.
    gains
        By which the block of each view is multiplied, shape ``(n_blocks,)``.
    """

    samples: SampleFeatures
    drugs: DrugFeatures
    sample_encoding: SampleEncoding
    drug_encoding: DrugEncoding
    known_samples: pd.Index
    known_drugs: pd.Index
    gains: NDArray[np.float64]

    @classmethod
    def fit(
        cls, data: ResponseData, split: str, shape: Architecture, preprocess: str, gene_sets: GeneSets | None
    ) -> Inputs:
        """Learn from the samples and drugs of the training pairs."""
        known = Known.under(split)
        samples, drugs = SampleFeatures(preprocess).fit(data), DrugFeatures().fit(data)
        seen, hit = np.unique(data.sample_index), np.unique(data.drug_index)
        flat = samples.transform(data)[seen]
        return cls(
            samples,
            drugs,
            SampleEncoding.fit(samples, flat, shape.sample_encoder, gene_sets),
            DrugEncoding.fit(drugs, data.drugs.iloc[hit], shape.drug_encoder),
            data.samples.index[seen] if known.samples else pd.Index([]),
            data.drugs.index[hit] if known.drugs else pd.Index([]),
            np.ones(len(samples.widths)),
        )

    @property
    def names(self) -> list[str]:
        """Names of the columns of both matrices side by side."""
        return self.samples.names + self.drugs.names

    def matrices(self, data: ResponseData, missing: Missing = "refuse") -> Matrices:
        """Features of the samples and the drugs of ``data``."""
        return Matrices(self.samples.transform(data, missing=missing), self.drugs.transform(data.drugs))

    def pairs(
        self,
        data: ResponseData,
        matrices: Matrices,
        device: torch.device,
        target: NDArray[np.float64] | None = None,
    ) -> Pairs:
        """Pairs of ``data`` as the network takes them; without a target it is 0."""
        sample_blocks = self.sample_encoding.blocks(matrices.samples, self.gains)
        drug_blocks = self.drug_encoding.blocks(data.drugs, matrices.drugs)
        here = self.drug_encoding.present(data.drugs, len(drug_blocks))
        return Pairs(
            _side_table(sample_blocks, self.samples.present(data), self.known_samples, data.samples, device),
            _side_table(drug_blocks, here, self.known_drugs, data.drugs, device),
            torch.from_numpy(data.sample_index).to(device),
            torch.from_numpy(data.drug_index).to(device),
            torch.from_numpy(np.zeros(len(data)) if target is None else target).float().to(device),
        )

    def network(self, a: Architecture, seed: int) -> TwoTower:
        """New network for these inputs; the seed decides its weights."""
        shape = Shape(a.encoder, a.latent + 1, a.dropout, a.input_dropout)  # one column more: the bias of the side
        with torch.random.fork_rng():  # weights are drawn from torch's own generator, which is put back
            torch.manual_seed(seed)
            samples, drugs = self.sample_encoding.modules(shape), self.drug_encoding.modules(shape)
            sample = Tower(samples, len(self.known_samples), a.latent, block_dropout=a.view_dropout)
            drug = Tower(drugs, len(self.known_drugs), a.latent)
            return TwoTower(sample, drug, hidden=a.head, dropout=a.dropout)


def _side_table(
    blocks: tuple[torch.Tensor | GraphBatch, ...],
    present: NDArray[np.bool_],
    known: pd.Index,
    table: pd.DataFrame,
    device: torch.device,
) -> SideTable:
    identity = torch.from_numpy(known.get_indexer(table.index) + 1).to(device)
    here = torch.from_numpy(present.astype(np.float32)).to(device)
    return SideTable(tuple(block.to(device) for block in blocks), here, identity)
