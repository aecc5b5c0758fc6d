"""Responses with known truth: what a model should find, and how well it could do at best."""

from __future__ import annotations

from dataclasses import dataclass

import anndata as ad
import numpy as np
import pandas as pd
from numpy.random import Generator
from numpy.typing import NDArray

from cellixir.data.response_data import ResponseData
from cellixir.data.simulate.ranges import wrong_counts, wrong_numbers
from cellixir.data.simulate.truth import numbered, refuse

MEAN = 2.5
DRUG_SD, SAMPLE_SD, TISSUE_SD = 2.0, 0.7, 0.6
BIOMARKERS_PER_TARGET = 2

# A target's drugs share a ring; first substituent, second substituent and chain make each drug another molecule.
_RINGS = (
    "{}c1ccc({})cc1",
    "{}c1ccc({})nc1",
    "{}c1ncc({})cn1",
    "{}c1ccc({})s1",
    "{}c1ccc({})o1",
    "{}C1CCC({})CC1",
    "{}c1ccc2cc({})ccc2c1",
    "{}c1ccc2nc({})ccc2c1",
)
_FIRST = ("F", "Cl", "Br", "CO", "FC(F)(F)", "N#C")
_SECOND = ("N", "O", "N(C)C", "C(N)=O", "C(=O)O", "S(N)(=O)=O")


@dataclass(frozen=True, eq=False)
class Truth:
    """What was planted in simulated responses.

    Attributes
    ----------
    biomarkers
        One row a drug and feature: ``drug``, ``feature``, ``effect`` (added to the response of carriers).
    noiseless
        Expected response of every pair, measured or not, indexed by ``(sample, drug)``.
    noise
        Standard deviation of the noise: the root-mean-square error of a perfect model.
    """

    biomarkers: pd.DataFrame
    noiseless: pd.Series
    noise: float


def simulate_responses(
    *,
    n_samples: int = 200,
    n_drugs: int = 40,
    n_features: int = 120,
    n_tissues: int = 6,
    n_targets: int = 8,
    missing: float = 0.2,
    noise: float = 0.5,
    seed: int = 0,
) -> tuple[ResponseData, Truth]:
    """Simulated ``LN_IC50`` (ln µM) with one binary view, ``genomic``, and the truth behind them.

    The response of sample ``s`` (tissue ``t``) to drug ``d`` (target ``g``) is::

        y(s, d) = 2.5 + a(d) + b(s) + c(t, g) + sum over the biomarkers f of g: x(s, f) e(f, g) + noise

    with ``a``, ``b``, ``c`` normal with mean 0 and SD 2, 0.7 and 0.6. Each target has two biomarkers, of no
    other target, with effects of 1 to 2.5 in either direction. Features are rare mutations whose frequency
    depends on the tissue, and are independent within one.

    Parameters
    ----------
    n_samples, n_drugs, n_features, n_tissues, n_targets
        Sizes. Tissues and targets are dealt out evenly.
    missing
        Fraction of pairs that were not measured, at random.
    noise
        Standard deviation of the normal noise, in ln µM.
    seed
        Equal seeds give equal data.

    Raises
    ------
    ConfigurationError
        If a size is no whole number of 1 or more, the features are too few for the biomarkers, or a share cannot be.
    """
    _Settings(**locals())  # which refuses what cannot be
    rng = np.random.default_rng(seed)
    tissue = rng.permutation(np.arange(n_samples) % n_tissues)
    target = rng.permutation(np.arange(n_drugs) % n_targets)
    samples = pd.DataFrame({"tissue": [f"tissue {t + 1}" for t in tissue]}, index=_ids("S", n_samples))
    drugs = _drugs(target)
    planted = _planted(n_features, n_targets, rng)
    mutated = _mutations(tissue, planted, rng)
    genomic = _view(mutated, samples.index)
    pairs = pd.MultiIndex.from_product([samples.index, drugs.index], names=["sample", "drug"])
    noiseless = pd.Series(_expected(tissue, target, mutated, planted, rng).ravel(), index=pairs, name="expected")
    rows = np.sort(rng.permutation(len(pairs))[_n_missing(len(pairs), missing) :])
    observed = (noiseless + rng.normal(scale=noise, size=len(pairs))).iloc[rows]
    data = ResponseData.join(
        observed.rename("response").reset_index(),
        views={"genomic": genomic},
        samples=samples,
        drugs=drugs,
        measure="LN_IC50",
        unit="ln µM",
        source=f"simulated (seed {seed})",
    )
    return data, Truth(_biomarkers(planted, target, genomic.var_names, drugs.index), noiseless, noise)


@dataclass(frozen=True, kw_only=True)
class _Settings:
    n_samples: int
    n_drugs: int
    n_features: int
    n_tissues: int
    n_targets: int
    missing: float
    noise: float
    seed: int

    def __post_init__(self) -> None:
        counts = ("n_samples", "n_drugs", "n_features", "n_tissues", "n_targets")
        refuse(
            "responses",
            {
                **wrong_counts(self, *counts),
                **wrong_counts(self, "seed", least=0),
                **wrong_numbers(self, "missing", most=1, what="a share of the pairs"),
                **wrong_numbers(self, "noise", what="a standard deviation"),
            },
        )
        needed, pairs = BIOMARKERS_PER_TARGET * self.n_targets, self.n_samples * self.n_drugs
        few = f"n_features={self.n_features}; {self.n_targets} targets need at least {needed}"
        none = f"missing={self.missing}; no pair would be left, so give a smaller share"
        refuse("responses", {few: self.n_features < needed, none: _n_missing(pairs, self.missing) == pairs})


def _ids(letter: str, count: int) -> pd.Index:
    return pd.Index(numbered(letter, count, width=3), dtype=object)


def _drugs(target: NDArray[np.int64]) -> pd.DataFrame:
    ids = _ids("D", len(target))
    return pd.DataFrame(
        {
            "name": [f"compound {drug[1:]}" for drug in ids],
            "targets": [f"TARGET{t + 1}" for t in target],
            "pathway": [f"pathway {t // 2 + 1}" for t in target],
            "smiles": [_smiles(int(t), number) for number, t in enumerate(target)],
        },
        index=ids,
    )


def _smiles(target: int, number: int) -> str:
    """Disubstituted ring; no two drugs are the same molecule.

    >>> _smiles(0, 0), _smiles(0, 37)
    ('Fc1ccc(N)cc1', 'ClCc1ccc(N)cc1')
    """
    chain, choice = divmod(number, len(_FIRST) * len(_SECOND))
    second, first = divmod(choice, len(_FIRST))
    return _RINGS[target % len(_RINGS)].format(_FIRST[first] + "C" * chain, _SECOND[second])


def _planted(n_features: int, n_targets: int, rng: Generator) -> NDArray[np.float64]:
    """Effect of each feature on the response to drugs of each target, shape ``(n_features, n_targets)``."""
    effects = np.zeros((n_features, n_targets))
    features = rng.choice(n_features, size=(n_targets, BIOMARKERS_PER_TARGET), replace=False)
    sizes = rng.uniform(1.0, 2.5, size=features.shape) * rng.choice([-1.0, 1.0], size=features.shape)
    effects[features, np.arange(n_targets)[:, None]] = sizes
    return effects


def _mutations(tissue: NDArray[np.int64], planted: NDArray[np.float64], rng: Generator) -> NDArray[np.bool_]:
    """Whether each sample carries each feature, shape ``(n_samples, n_features)``.

    Log-odds of a feature differ between tissues by a normal shift with SD 0.7; biomarkers are the more common ones.
    """
    n_features = len(planted)
    rate = np.where(planted.any(axis=1), rng.uniform(0.1, 0.3, n_features), rng.uniform(0.02, 0.15, n_features))
    shift = rng.normal(scale=0.7, size=(tissue.max() + 1, n_features))
    log_odds = np.log(rate / (1 - rate)) + shift
    frequency = 1 / (1 + np.exp(-log_odds))  # (n_tissues, n_features)
    return np.asarray(rng.random((len(tissue), n_features)) < frequency[tissue], dtype=np.bool_)


def _expected(
    tissue: NDArray[np.int64],
    target: NDArray[np.int64],
    mutated: NDArray[np.bool_],
    planted: NDArray[np.float64],
    rng: Generator,
) -> NDArray[np.float64]:
    """Response without noise, shape ``(n_samples, n_drugs)``."""
    drug_effect = rng.normal(scale=DRUG_SD, size=len(target))
    sample_effect = rng.normal(scale=SAMPLE_SD, size=(len(tissue), 1))
    tissue_effect = rng.normal(scale=TISSUE_SD, size=(tissue.max() + 1, planted.shape[1]))
    by_target = tissue_effect[tissue] + mutated @ planted  # (n_samples, n_targets)
    return np.asarray(MEAN + drug_effect + sample_effect + by_target[:, target], dtype=np.float64)


def _n_missing(n_pairs: int, missing: float) -> int:
    return round(missing * n_pairs)


def _view(mutated: NDArray[np.bool_], samples: pd.Index) -> ad.AnnData:
    names = [f"{gene}_mut" for gene in numbered("GENE", mutated.shape[1], width=3)]
    view = ad.AnnData(mutated.astype(np.float32), pd.DataFrame(index=samples), pd.DataFrame(index=names))
    view.uns.update(name="genomic", scale="binary", scale_guessed=False)
    return view


def _biomarkers(
    planted: NDArray[np.float64], target: NDArray[np.int64], features: pd.Index, drugs: pd.Index
) -> pd.DataFrame:
    effects = planted[:, target].T  # (n_drugs, n_features)
    drug, feature = np.nonzero(effects)
    return pd.DataFrame({"drug": drugs[drug], "feature": features[feature], "effect": effects[drug, feature]})
