"""Responses with known truth: what a model should find, and how well it could do at best."""

from __future__ import annotations

from dataclasses import dataclass

import anndata as ad
import numpy as np
import pandas as pd
from numpy.random import Generator
from numpy.typing import NDArray

from cellixir.data.response_data import ResponseData
from cellixir.exceptions import ConfigurationError

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
        If a size is below 1, the features are too few for the biomarkers, or a fraction cannot be.
    """
    sizes = {"n_samples": n_samples, "n_drugs": n_drugs, "n_tissues": n_tissues, "n_targets": n_targets}
    _check(sizes, n_features, missing, noise)
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


def _check(sizes: dict[str, int], n_features: int, missing: float, noise: float) -> None:
    needed = BIOMARKERS_PER_TARGET * sizes["n_targets"]
    n_pairs = sizes["n_samples"] * sizes["n_drugs"]
    faults = {
        **{f"{name}={size}; give at least 1": size < 1 for name, size in sizes.items()},
        f"n_features={n_features}; {sizes['n_targets']} targets need at least {needed}": n_features < needed,
        f"noise={noise}; give a standard deviation of 0 or more": not 0 <= noise < np.inf,
        f"missing={missing}; give a fraction from 0 to below 1 that leaves a pair": not (
            0 <= missing < 1 and _n_missing(n_pairs, missing) < n_pairs
        ),
    }
    fault = next((text for text, wrong in faults.items() if wrong), None)
    if fault:
        message = f"responses cannot be simulated with {fault}"
        raise ConfigurationError(message)


def _ids(letter: str, count: int) -> pd.Index:
    """Ids of one width, so that sorting as text keeps their order."""
    width = max(3, len(str(count)))
    return pd.Index([f"{letter}{i:0{width}d}" for i in range(1, count + 1)], dtype=object)


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
    width = max(3, len(str(mutated.shape[1])))
    names = [f"GENE{i:0{width}d}_mut" for i in range(1, mutated.shape[1] + 1)]
    view = ad.AnnData(mutated.astype(np.float32), pd.DataFrame(index=samples), pd.DataFrame(index=names))
    view.uns.update(name="genomic", scale="binary", scale_guessed=False)
    return view


def _biomarkers(
    planted: NDArray[np.float64], target: NDArray[np.int64], features: pd.Index, drugs: pd.Index
) -> pd.DataFrame:
    effects = planted[:, target].T  # (n_drugs, n_features)
    drug, feature = np.nonzero(effects)
    return pd.DataFrame({"drug": drugs[drug], "feature": features[feature], "effect": effects[drug, feature]})
