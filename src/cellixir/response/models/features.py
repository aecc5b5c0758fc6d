"""What the models see of a sample, learned from training rows only: its omics views and its annotation, one-hot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from cellixir.data.preprocess.grammar import parse_preprocess
from cellixir.exceptions import ConfigurationError, examples
from cellixir.response.models.blocks import Blocks, OneHot
from cellixir.response.models.drug_features import DrugFeatures
from cellixir.response.models.effects import Effects
from cellixir.response.models.model import Known
from cellixir.response.models.view_features import ViewFeatures

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellixir.data.missing_genes import Missing
    from cellixir.data.preprocess.grammar import Step
    from cellixir.data.response_data import ResponseData

ANNOTATION = "annotation"


@dataclass
class SampleFeatures:
    """Views and annotation of each sample, side by side in one float32 matrix with named columns.

    Parameters
    ----------
    preprocess
        Steps for the views, as ``--preprocess`` takes them; empty: standardised only.
    """

    preprocess: str = ""
    views: dict[str, ViewFeatures] = field(default_factory=dict)
    onehot: OneHot = field(default_factory=OneHot)
    blocks: Blocks = field(default_factory=Blocks)

    def fit(self, data: ResponseData) -> SampleFeatures:
        """Learn from the samples that ``data.responses`` names, each once."""
        seen = np.unique(data.sample_index)
        self.onehot.fit(data.samples.iloc[seen])
        _check_names(data.views, self.onehot)
        chains = _chains(self.preprocess, list(data.views))
        target = _sensitivity(data) if any(chains.values()) else None
        for name, view in data.views.items():
            rows = seen[data.in_view(name)[seen]]
            if not len(rows):
                message = f"no sample to learn from has the view '{name}'; leave the view out"
                raise ConfigurationError(message)
            chosen = None if target is None else target[rows]
            raw = data.feature_matrix(name)[rows]
            self.views[name] = ViewFeatures.fit(raw, list(view.var_names), chains.get(name), chosen)
        self.blocks.fit({name: block[seen] for name, block in self._blocks(data).items()})
        return self

    @property
    def names(self) -> list[str]:
        """Names of the columns of ``transform``; with several views ``view:feature``."""
        several = len(self.views) > 1
        return [f"{v}:{n}" if several else n for v, f in self.views.items() for n in f.names] + self.onehot.names

    @property
    def widths(self) -> dict[str, int]:
        """Number of columns of each view, and of the annotation."""
        widths = {name: len(view.names) for name, view in self.views.items()}
        return widths | ({ANNOTATION: len(self.onehot.names)} if self.onehot.names else {})

    @property
    def notes(self) -> list[str]:
        """What preprocessing left out."""
        return [f"view '{name}': {note}" for name, view in self.views.items() for note in view.notes]

    def transform(self, data: ResponseData, *, missing: Missing = "refuse") -> NDArray[np.float32]:
        """Matrix of shape ``(len(data.samples), len(names))``; genes are matched by name."""
        return self.blocks.transform(self._blocks(data, missing=missing), len(data.samples))

    def present(self, data: ResponseData) -> NDArray[np.bool_]:
        """Which blocks of ``widths`` each sample has, shape ``(n_samples, n_blocks)``."""
        nowhere = np.zeros(len(data.samples), dtype=bool)
        columns = [data.in_view(name) if name in data.views else nowhere for name in self.views]
        columns += [~nowhere] if ANNOTATION in self.widths else []
        return np.stack(columns, axis=1) if columns else np.zeros((len(data.samples), 0), dtype=bool)

    def views_used(self, data: ResponseData) -> list[str]:
        """Views that each sample has, ``'expression, genomic'``."""
        here = self.present(data)[:, : len(self.views)]
        return [", ".join(name for name, there in zip(self.views, row, strict=True) if there) for row in here]

    def _blocks(self, data: ResponseData, *, missing: Missing = "refuse") -> dict[str, NDArray[np.float32]]:
        self._require_a_view(data)
        blocks = {}
        for name, view in self.views.items():
            if name not in data.views:  # every sample lacks it
                blocks[name] = np.zeros((len(data.samples), len(view.names)), dtype=np.float32)
                continue
            raw = data.feature_matrix(name, view.inputs, missing="refuse" if missing == "refuse" else "zero")
            if missing == "mean":
                absent = ~np.isin(view.inputs, data.views[name].var_names)
                raw[:, absent] = view.centre[absent] if view.chain else np.nan  # a chain may refuse gaps
            blocks[name] = view.transform(raw, data.in_view(name))
        return blocks | self.onehot.transform(data.samples)

    def _require_a_view(self, data: ResponseData) -> None:
        if self.views and not set(self.views) & set(data.views):
            message = (
                f"the model knows the views {examples(self.views, 8)}, the data have "
                f"{examples(data.views, 8) or 'none'}; give --omics VIEW=FILE with one of those names"
            )
            raise ConfigurationError(message)


def _check_names(views: Mapping[str, object], onehot: OneHot) -> None:
    taken = [name for name in views if name in onehot.levels or (onehot.levels and name == ANNOTATION)]
    if taken:
        message = f"the view '{taken[0]}' is named as the annotation of the samples; give it another name (--omics)"
        raise ConfigurationError(message)


def _chains(preprocess: str, views: Sequence[str]) -> dict[str, tuple[Step, ...]]:
    """Chain of each view that has one; a view that is named but not there is an error."""
    if not preprocess.strip():
        return {}
    parsed = parse_preprocess(preprocess)
    unknown = [name for name in parsed if name and name not in views]
    if unknown:
        message = f"--preprocess names the view '{unknown[0]}'; the data have {examples(views, 8) or 'no views'}"
        raise ConfigurationError(message)
    found = {name: parsed.get(name, parsed.get("")) for name in views}
    return {name: steps for name, steps in found.items() if steps}


def _sensitivity(data: ResponseData) -> NDArray[np.float64]:
    """Mean residual of each sample from the means of its drugs: what supervised selection looks at; NaN if none."""
    residual = data.response - Effects.fit(data, samples=False, drugs=True, tissue=False).predict(data)
    count = np.bincount(data.sample_index, minlength=len(data.samples))
    total = np.bincount(data.sample_index, residual, minlength=len(data.samples))
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def require_features(data: ResponseData, split: str) -> None:
    """Refuse data in which nothing is known of what is new under ``split``.

    Raises
    ------
    ConfigurationError
        If new samples have no features, or new drugs no SMILES, targets or pathways.
    """
    known = Known.under(split)
    if not known.samples and not data.views and not OneHot().fit(data.samples).names:
        message = f"{split} predicts new samples, but the data have no features of samples; give --omics VIEW=FILE"
        raise ConfigurationError(message)
    if not known.drugs and not DrugFeatures().fit(data).names:
        message = f"{split} predicts new drugs, but the data have no SMILES, targets or pathways; give --drugs FILE"
        raise ConfigurationError(message)
