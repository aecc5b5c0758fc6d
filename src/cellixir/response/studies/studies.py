"""Two studies brought together: what one is learned from, what the other is asked, and what both hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

if TYPE_CHECKING:
    from cellixir.data.matching import Matches
    from cellixir.data.response_data import ResponseData

Remove = Literal["none", "samples", "drugs", "pairs"]
Genes = Literal["shared", "filled"]
SIDES = ("sample", "drug")
MIN_PAIRS = 5  # of a drug, for its correlation and its shift
#: What is new in the external study under each split, as ``remove`` names it.
NEW_SIDE = {"LCO": "samples", "LTO": "samples", "LDO": "drugs", "LPO": "pairs"}


@dataclass(frozen=True)
class Studies:
    """Two studies in the ids of the first, without what was removed from training or cannot be predicted.

    Attributes
    ----------
    train, external
        Rows, samples, drugs and features in sorted order.
    samples, drugs
        How ids were matched.
    overlap
        What both studies have and what was left out, as written to ``overlap.json``.
    notes
        What the reader has to know, in words.
    """

    train: ResponseData
    external: ResponseData
    samples: Matches
    drugs: Matches
    overlap: dict[str, Any]
    notes: tuple[str, ...]

    @property
    def one_measure(self) -> bool:
        """Whether both studies measured the same thing in the same unit."""
        return (self.train.measure, self.train.unit) == (self.external.measure, self.external.unit)


def matches_table(studies: Studies) -> pd.DataFrame:
    """One row an external id that was matched, or that could be several: ``kind, external, training, by``."""
    parts = []
    for kind, found in (("sample", studies.samples), ("drug", studies.drugs)):
        parts.append(found.pairs.rename(columns={"left": "training", "right": "external"}).assign(kind=kind))
        open_ = found.undecided
        unsure = [" | ".join(candidates) for candidates in open_["candidates"]]
        by = "undecided: " + open_["by"].astype(str)
        parts.append(pd.DataFrame({"external": open_["right"], "training": unsure, "by": by, "kind": kind}))
    return pd.concat(parts, ignore_index=True)[["kind", "external", "training", "by"]]
