"""One view as the models see it: what the user asked for, then standardised."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from sklearn.preprocessing import StandardScaler

from cellixir.data.preprocess.chain import Preprocess
from cellixir.data.preprocess.grammar import Step
from cellixir.exceptions import InvalidValues

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

VARIANCE_FLOOR = 0.02  # a mutation in 5 of 800 lines would otherwise weigh as much as tissue
FAR = 8.0  # standard deviations of the training samples
FAR_SHARE = 0.1
SCALING = ("standard", "minmax", "robust", "rank", "quantile", "pca")  # after these nothing is scaled again


@dataclass
class ViewFeatures:
    """Columns of one view, learned from training samples.

    A missing value is the training mean unless the chain imputes it; a sample that the view lacks is all zeros.

    Parameters
    ----------
    inputs, names
        Features that come in and that go out.
    centre, spread
        Mean and standard deviation (not below that of a rare mutation) of the features that come in.
    mean, scale
        By which the features that go out are standardised.
    chain
        None: standardised only, rare features less than common ones (``VARIANCE_FLOOR``).
    """

    inputs: list[str]
    names: list[str]
    centre: NDArray[np.float64]
    spread: NDArray[np.float64]
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    chain: Preprocess | None = None

    @classmethod
    def fit(
        cls,
        raw: NDArray[np.float32],
        names: Sequence[str],
        steps: Sequence[Step] | None = None,
        target: NDArray[np.float64] | None = None,
    ) -> Self:
        """Learn from training rows ``raw``, ``(n, p)``, and, for steps that choose by it, ``target``, ``(n,)``."""
        centre, spread = _standard(raw)
        if not steps:
            return cls(list(names), list(names), centre, spread, centre, spread)
        chain = Preprocess(steps).fit(raw, names, target)
        if any(step.name in SCALING for step in steps):
            mean, scale = np.zeros(len(chain.names_)), np.ones(len(chain.names_))
        else:
            mean, scale = _standard(chain.transform(raw))
        return cls(list(names), chain.names_, centre, spread, mean, scale, chain)

    def check_sizes(self) -> None:
        """Refuse parts that do not belong together; of a bundle that was damaged, say.

        Raises
        ------
        ValueError
            With the sizes.
        """
        came, went = {len(self.inputs), *self.centre.shape, *self.spread.shape}, {*self.mean.shape, *self.scale.shape}
        if len(came) > 1 or went != {len(self.names)}:
            message = f"a view of {len(self.inputs):,} and {len(self.names):,} features with statistics of other sizes"
            raise ValueError(message)

    def transform(self, raw: NDArray[np.float32], here: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Shape ``(n, len(names))``; rows that are not ``here`` are zero."""
        out = np.zeros((len(raw), len(self.names)), dtype=np.float32)
        values = self.chain.transform(raw[here]) if self.chain else raw[here]
        out[here] = np.nan_to_num((values - self.mean) / self.scale)
        return out

    def check_scale(self, raw: NDArray[np.float32], name: str, place: str = "") -> None:
        """Refuse values unlike those of training, whatever their scale is called.

        Parameters
        ----------
        raw
            Values of the features that come in, shape ``(n, len(inputs))``, NaN where there is none.
        name, place
            Of the view and of the study, for the message.

        Raises
        ------
        InvalidValues
            If a tenth of the values lie more than ``FAR`` standard deviations from the training mean.
        """
        known = ~np.isnan(raw)
        if not known.any():
            return
        far = (np.abs((raw - self.centre) / self.spread)[known] > FAR).mean()
        if far > FAR_SHARE:
            message = (
                f"view '{name}'{place}: {far:.0%} of the values are more than {FAR:.0f} standard deviations from what "
                f"the model learned (median {np.median(raw[known]):.3g}, learned {np.median(self.centre):.3g}); "
                f"convert them to the same scale, log2(TPM + 1) perhaps"
            )
            raise InvalidValues(message)

    @property
    def notes(self) -> list[str]:
        """What the chain left out."""
        return list(self.chain.notes_) if self.chain else []


def _standard(values: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and floored standard deviation of each column; 0 and the floor where all is missing."""
    empty = np.isnan(values).all(axis=0)
    scaler = StandardScaler().fit(np.where(empty, 0.0, values.astype(np.float64)))
    return scaler.mean_, np.sqrt(scaler.var_ + VARIANCE_FLOOR * max(float(scaler.var_.max()), 1e-12))
