"""Encoders by name: what each reads, how its genes are laid out, and how it is built.

Every view has an encoder of its own, and so has the annotation; what they say of a sample is added up. A drug has
one for its structure and one for targets and pathway; ``fingerprint`` reads all of it at once, ``target-graph`` passes
messages between drugs and the genes that they hit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, cast

import numpy as np
import pandas as pd
import torch
from torch import nn

from cellixir import nn as networks
from cellixir.data.drugs import target_sets
from cellixir.data.gene_layout import correlation_order, gene_grid, genomic_order, pathway_tokens, tokens
from cellixir.data.molecules import ATOM_FEATURES, BOND_FEATURES, molecule_graphs, tokenize_smiles
from cellixir.data.tables import as_text
from cellixir.exceptions import ConfigurationError, examples
from cellixir.response.models.features import ANNOTATION

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from cellixir.nn import GraphBatch
    from cellixir.response.models.drug_features import DrugFeatures
    from cellixir.response.models.features import SampleFeatures

SAMPLE_ENCODERS = ("dense", "conv1d", "conv2d", "recurrent", "transformer")
DRUG_ENCODERS = ("fingerprint", "smiles-conv", "smiles-transformer", "gin", "gat", "target-graph")
GeneSets = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Shape:
    """Widths and dropout of every encoder."""

    hidden: int
    latent: int
    dropout: float
    input_dropout: float


@dataclass
class SampleEncoding:
    """Encoder of each block of sample features, with the layout that it learned from training samples."""

    encoders: dict[str, str] = field(default_factory=dict)
    widths: dict[str, int] = field(default_factory=dict)
    layouts: dict[str, NDArray[np.int64]] = field(default_factory=dict)

    @classmethod
    def fit(
        cls,
        features: SampleFeatures,
        flat: NDArray[np.float32],
        chosen: str,
        gene_sets: GeneSets | None = None,
    ) -> SampleEncoding:
        """Lay out the columns of ``flat``, training samples x features, for the encoder of each view."""
        encoders = encoders_of_views(chosen, list(features.views))
        plan = cls(encoders | ({ANNOTATION: "dense"} if ANNOTATION in features.widths else {}), features.widths)
        for name, block in plan._split(flat).items():
            if plan.encoders[name] != "dense":
                plan.layouts[name] = _layout(plan.encoders[name], block, features.views[name].names, gene_sets)
        return plan

    def _split(self, flat: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        ends = np.cumsum(list(self.widths.values()))[:-1]
        return dict(zip(self.widths, np.split(flat, ends, axis=1), strict=True)) if self.widths else {}

    def blocks(self, flat: NDArray[np.float32], gains: NDArray[np.float64]) -> tuple[Tensor, ...]:
        """What each encoder reads, from the matrix of features; each block times its gain."""
        pairs = zip(self._split(flat).values(), gains, strict=True)
        return tuple(torch.from_numpy(np.ascontiguousarray(block * np.float32(gain))) for block, gain in pairs)

    def modules(self, shape: Shape) -> list[nn.Module]:
        """New encoders, in the order of ``blocks``."""
        return [_sample_module(e, self.widths[n], shape, self.layouts.get(n)) for n, e in self.encoders.items()]


def encoders_of_views(chosen: str, views: Sequence[str]) -> dict[str, str]:
    """Encoder of each view, from one name for all or ``VIEW=NAME,VIEW=NAME``; views left out are dense.

    With both, ``dense,VIEW=NAME``, the name without a view is for the others.

    >>> encoders_of_views("expression=conv1d", ["genomic", "expression"])
    {'genomic': 'dense', 'expression': 'conv1d'}

    Raises
    ------
    ConfigurationError
        If an encoder or a view is not known.
    """
    given: dict[str, str] = {}
    check_encoders(chosen)
    for part in chosen.split(","):
        view, found, name = (piece.strip() for piece in part.rpartition("="))
        if found and view not in views:
            message = f"--encoder names the view '{view}'; the data have {examples(views, 8) or 'no views'}"
            raise ConfigurationError(message)
        given = given | {view: name} if found else dict.fromkeys(views, name) | given
    return {view: given.get(view, "dense") for view in views}


def check_encoders(chosen: str, drug: str = "fingerprint") -> None:
    """Refuse an encoder that is not known, before there are data to encode.

    Raises
    ------
    ConfigurationError
        Names the encoder and the choices.
    """
    names = [part.rpartition("=")[2].strip() for part in chosen.split(",")]
    for names_given, known, what in ((names, SAMPLE_ENCODERS, "samples"), ([drug], DRUG_ENCODERS, "drugs")):
        unknown = [name for name in names_given if name not in known]
        if unknown:
            message = f"there is no encoder '{unknown[0]}' of {what}; choose one of {', '.join(known)}"
            raise ConfigurationError(message)


def _layout(
    encoder: str, x: NDArray[np.float32], names: Sequence[str], gene_sets: GeneSets | None
) -> NDArray[np.int64]:
    if encoder == "conv2d":
        return gene_grid(x)
    if encoder == "transformer" and gene_sets:
        return pathway_tokens(names, gene_sets).layout
    along = genomic_order(names)
    order = correlation_order(x) if along is None else along
    return tokens(order) if encoder == "transformer" else order


def _sample_module(encoder: str, n_features: int, shape: Shape, layout: NDArray[np.int64] | None) -> nn.Module:
    dropout = {"dropout": shape.dropout, "input_dropout": shape.input_dropout}
    if encoder == "dense" or layout is None:
        return networks.DenseEncoder(n_features, shape.hidden, shape.latent, **dropout)
    kinds: dict[str, Callable[..., nn.Module]] = {
        "conv1d": networks.Conv1dEncoder,
        "conv2d": networks.Conv2dEncoder,
        "recurrent": networks.RecurrentEncoder,
        "transformer": networks.TransformerEncoder,
    }
    return kinds[encoder](n_features, shape.hidden, shape.latent, layout=layout, **dropout)


@dataclass
class DrugEncoding:
    """Encoder of the drugs, with the vocabulary or the genes that it learned from training drugs."""

    encoder: str = "fingerprint"
    widths: dict[str, int] = field(default_factory=dict)
    vocabulary: tuple[str, ...] = ()
    genes: list[str] = field(default_factory=list)
    n_train: int = 0

    @classmethod
    def fit(cls, features: DrugFeatures, drugs: pd.DataFrame, encoder: str) -> DrugEncoding:
        """Learn from the training drugs.

        Raises
        ------
        ConfigurationError
            If the encoder is not known, or no drug has the SMILES or targets that it reads.
        """
        check_encoders("dense", encoder)
        plan = cls(encoder, features.widths, n_train=len(drugs))
        needs = "targets" if encoder == "target-graph" else "smiles"
        if encoder != "fingerprint" and not (needs in drugs and as_text(drugs[needs]).notna().any()):
            message = f"the drug encoder '{encoder}' reads {needs}, and no drug has any; give them with --drugs FILE"
            raise ConfigurationError(message)
        if encoder.startswith("smiles"):
            plan.vocabulary = tokenize_smiles(drugs["smiles"]).vocabulary
        if encoder == "target-graph":
            plan.genes = sorted({target for targets in target_sets(drugs).values() for target in targets})
        return plan

    def notes(self, drugs: pd.DataFrame) -> list[str]:
        """Drugs that lack what the encoder reads."""
        lacking = drugs.index[~self._readable(drugs)]
        what = "targets" if self.encoder == "target-graph" else "SMILES"
        if self.encoder == "fingerprint" or not len(lacking):
            return []
        return [f"{len(lacking)} of {len(drugs)} drugs have no {what} for '{self.encoder}': {examples(lacking)}"]

    def blocks(self, drugs: pd.DataFrame, flat: NDArray[np.float32]) -> tuple[Tensor | GraphBatch, ...]:
        """What each encoder reads of each drug."""
        if not flat.shape[1]:
            return ()
        if self.encoder == "fingerprint":
            return (torch.from_numpy(flat),)
        if self.encoder == "target-graph":
            return (torch.from_numpy(np.hstack([flat, self._hits(drugs)])),)
        rest = flat[:, self.widths.get("structure", 0) :]
        beside = (torch.from_numpy(np.ascontiguousarray(rest)),) if rest.shape[1] else ()
        return (self._structure(drugs), *beside)

    def _structure(self, drugs: pd.DataFrame) -> Tensor | GraphBatch:
        smiles = drugs["smiles"] if "smiles" in drugs else drugs.index.to_series().map(lambda _: None)
        if self.encoder in ("gin", "gat"):
            return networks.GraphBatch.from_arrays(molecule_graphs(smiles))
        return torch.from_numpy(tokenize_smiles(smiles, self.vocabulary).tokens.astype(np.int64))

    def _hits(self, drugs: pd.DataFrame) -> NDArray[np.float32]:
        sets = target_sets(drugs) if "targets" in drugs else {}
        hits = [[gene in sets.get(str(drug), ()) for gene in self.genes] for drug in drugs.index]
        return np.array(hits, dtype=np.float32).reshape(len(drugs), -1)

    def _readable(self, drugs: pd.DataFrame) -> NDArray[np.bool_]:
        if self.encoder == "target-graph":
            return np.asarray(self._hits(drugs).any(axis=1))
        return (
            as_text(drugs["smiles"]).notna().to_numpy(dtype=bool)
            if "smiles" in drugs
            else np.zeros(len(drugs), dtype=bool)
        )

    def present(self, drugs: pd.DataFrame, n_blocks: int) -> NDArray[np.bool_]:
        """Which blocks each drug has, shape ``(n_drugs, n_blocks)``."""
        here = np.ones((len(drugs), n_blocks), dtype=bool)
        if n_blocks and self.encoder not in ("fingerprint", "target-graph"):
            here[:, 0] = self._readable(drugs)
        return here

    def modules(self, shape: Shape) -> list[nn.Module]:
        """New encoders, in the order of ``blocks``."""
        n_flat = sum(self.widths.values())
        if not n_flat:
            return []
        if self.encoder == "fingerprint":
            return [_dense(n_flat, shape)]
        if self.encoder == "target-graph":
            return [
                networks.TargetGraphEncoder(
                    n_flat,
                    len(self.genes),
                    shape.hidden,
                    shape.latent,
                    n_train=self.n_train,
                    dropout=shape.dropout,
                    input_dropout=shape.input_dropout,
                )
            ]
        rest = n_flat - self.widths.get("structure", 0)
        return [self._structure_module(shape), *([_dense(rest, shape)] if rest else [])]

    def _structure_module(self, shape: Shape) -> nn.Module:
        hidden = max(shape.hidden // 4, 8) // 4 * 4
        if self.encoder in ("gin", "gat"):
            kind = cast('Literal["gin", "gat"]', self.encoder)
            sizes = (len(ATOM_FEATURES), len(BOND_FEATURES), hidden, shape.latent)
            return networks.MoleculeEncoder(kind, *sizes, dropout=shape.dropout)
        of = networks.SmilesConvEncoder if self.encoder == "smiles-conv" else networks.SmilesTransformerEncoder
        return of(len(self.vocabulary) + 2, hidden, shape.latent, dropout=shape.dropout)


def _dense(n_features: int, shape: Shape) -> nn.Module:
    return networks.DenseEncoder(
        n_features, shape.hidden, shape.latent, dropout=shape.dropout, input_dropout=shape.input_dropout
    )
