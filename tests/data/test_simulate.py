from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from rdkit import Chem

from cellixir.data.response_data import ResponseData
from cellixir.data.simulate import DRUG_SD, SAMPLE_SD, Truth, simulate_responses
from cellixir.exceptions import ConfigurationError


@pytest.fixture(scope="module")
def large() -> tuple[ResponseData, Truth]:
    return simulate_responses(n_samples=2000, n_drugs=16, n_features=30, n_targets=4, missing=0.1, seed=3)


def carrier_effects(data: ResponseData, drug: str, features: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Least-squares effect of each feature on the response to a drug given the tissue, and its standard error."""
    rows = data.responses[data.responses["drug"] == drug]
    carried = data.views["genomic"].to_df().loc[rows["sample"], features].to_numpy(float)
    tissue = pd.get_dummies(data.tissue[rows["sample"]]).to_numpy(float)
    design = np.hstack([carried, tissue])
    inverse = np.linalg.inv(design.T @ design)
    effect = inverse @ design.T @ rows["response"].to_numpy()
    left = rows["response"].to_numpy() - design @ effect
    variance = left @ left / (len(rows) - design.shape[1])
    n = len(features)
    return effect[:n], np.sqrt(variance * np.diag(inverse))[:n]


def test_carriers_differ_by_the_planted_effect(large: tuple[ResponseData, Truth]) -> None:
    data, truth = large
    for drug, planted in truth.biomarkers.groupby("drug"):
        effect, error = carrier_effects(data, str(drug), list(planted["feature"]))
        assert error.max() < 0.1
        assert np.all(np.abs(effect - planted["effect"]) < 4 * error)
        assert np.all(np.abs(effect) > 8 * error)


def test_other_features_have_no_effect(large: tuple[ResponseData, Truth]) -> None:
    data, truth = large
    features = list(data.views["genomic"].var_names)
    for drug, planted in truth.biomarkers.groupby("drug"):
        effect, error = carrier_effects(data, str(drug), features)
        idle = ~np.isin(features, planted["feature"])
        assert idle.sum() == len(features) - 2
        assert np.all(np.abs(effect[idle]) < 4 * error[idle])


@pytest.mark.parametrize("noise", [0.25, 1.0])
def test_what_is_left_is_the_noise(noise: float) -> None:
    data, truth = simulate_responses(n_samples=500, n_drugs=40, noise=noise, seed=5)
    keys = pd.MultiIndex.from_frame(data.responses[["sample", "drug"]])
    left = data.response - truth.noiseless.loc[keys].to_numpy()
    assert truth.noise == noise
    assert abs(left.std() - noise) < 4 * noise / np.sqrt(2 * len(left))
    assert abs(left.mean()) < 4 * noise / np.sqrt(len(left))


def test_without_noise_the_response_is_the_expected_one() -> None:
    data, truth = simulate_responses(noise=0.0, missing=0.0)
    np.testing.assert_array_equal(data.response, truth.noiseless)


def test_expected_responses_are_the_sum_of_their_parts() -> None:
    """Within a tissue, after the biomarkers, what is left is additive: drug effect plus sample effect."""
    data, truth = simulate_responses(n_samples=400, n_drugs=400, seed=2)
    carried = data.views["genomic"].to_df()
    effects = truth.biomarkers.pivot(index="feature", columns="drug", values="effect").fillna(0.0)
    planted = carried[effects.index] @ effects
    rest = truth.noiseless.unstack() - planted.loc[data.samples.index]
    for tissue, block in rest.groupby(data.tissue):
        additive = block.sub(block.mean(axis=1), axis=0) - block.mean() + block.to_numpy().mean()
        assert np.abs(additive).max().max() < 1e-5, tissue
    assert rest.mean().std() == pytest.approx(DRUG_SD, rel=0.15)
    assert rest.mean(axis=1).std() == pytest.approx(SAMPLE_SD, rel=0.15)


def test_equal_seeds_give_equal_data() -> None:
    first, truth = simulate_responses(seed=11)
    again, same = simulate_responses(seed=11)
    other, _ = simulate_responses(seed=12)
    assert first.fingerprint == again.fingerprint != other.fingerprint
    pd.testing.assert_series_equal(truth.noiseless, same.noiseless)
    pd.testing.assert_frame_equal(truth.biomarkers, same.biomarkers)


def test_the_global_generator_is_left_alone() -> None:
    np.random.seed(1)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    simulate_responses()
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


@pytest.mark.parametrize("missing", [0.0, 0.2, 0.65])
def test_the_missing_fraction_is_exact_and_spread(missing: float) -> None:
    data, truth = simulate_responses(n_samples=250, n_drugs=40, missing=missing)
    assert len(data) == round((1 - missing) * 10_000)
    assert len(truth.noiseless) == 10_000
    by_drug = data.responses.groupby("drug").size() / 250
    spread = np.sqrt(missing * (1 - missing) / 250)
    assert np.all(np.abs(by_drug - (1 - missing)) <= 4 * spread)


def test_drugs_of_a_target_share_biomarkers_and_no_others() -> None:
    data, truth = simulate_responses(n_drugs=40, n_targets=8)
    found = truth.biomarkers.merge(data.drugs[["targets"]], left_on="drug", right_index=True)
    by_drug = found.groupby("drug")["feature"].agg(frozenset)
    by_target = by_drug.groupby(data.drugs["targets"]).agg(set)
    assert (by_target.map(len) == 1).all()
    assert found.groupby("feature")["targets"].nunique().max() == 1
    assert found.groupby(["targets", "feature"])["effect"].nunique().max() == 1
    assert (data.drugs["targets"].value_counts() == 5).all()
    assert (data.drugs.groupby("targets")["pathway"].nunique() == 1).all()
    assert found["effect"].abs().between(1.0, 2.5).all()


def test_smiles_parse_and_no_two_drugs_are_one_molecule() -> None:
    data, _ = simulate_responses(n_samples=5, n_drugs=600, n_targets=10, missing=0.0)
    molecules = [Chem.MolFromSmiles(text) for text in data.drugs["smiles"]]
    assert None not in molecules
    assert len({Chem.MolToSmiles(m) for m in molecules}) == 600


def test_mutations_are_rare_binary_and_depend_on_the_tissue(large: tuple[ResponseData, Truth]) -> None:
    view = large[0].views["genomic"]
    assert set(np.unique(view.X)) == {0.0, 1.0}
    assert view.X.dtype == np.float32
    assert view.uns["scale"] == "binary"
    assert 0.03 < view.X.mean() < 0.25
    frequency = view.to_df().groupby(large[0].tissue).mean()
    per_tissue = 2000 / 6
    expected = frequency.mean() * (1 - frequency.mean()) / per_tissue
    # Chi-squared of equal frequencies: about n_tissues - 1 = 5 a feature if the tissue meant nothing.
    statistic = ((frequency - frequency.mean()) ** 2).sum() / expected
    assert statistic.mean() > 15


def test_tables_fit_together() -> None:
    data, truth = simulate_responses(n_samples=30, n_drugs=7, n_features=20, n_tissues=4, n_targets=3)
    assert (data.measure, data.unit) == ("LN_IC50", "ln µM")
    assert data.notes == ()
    assert data.tissue.value_counts().to_dict() == {"tissue 1": 8, "tissue 2": 8, "tissue 3": 7, "tissue 4": 7}
    assert list(data.drugs.columns) == ["name", "targets", "pathway", "smiles"]
    assert data.drugs.notna().all().all()
    assert set(truth.biomarkers["drug"]) == set(data.drugs.index)
    assert set(truth.biomarkers["feature"]) <= set(data.views["genomic"].var_names)


def test_one_of_each_is_enough() -> None:
    data, truth = simulate_responses(n_samples=1, n_drugs=1, n_features=2, n_tissues=1, n_targets=1, missing=0.0)
    assert len(data) == 1
    assert len(truth.biomarkers) == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"n_samples": 0}, "n_samples=0; give a whole number of 1 or more"),
        ({"n_drugs": -1}, "n_drugs=-1; give a whole number"),
        ({"n_features": 15}, "n_features=15; 8 targets need at least 16"),
        ({"missing": 1.0}, "missing=1.0"),
        ({"missing": float("nan")}, "missing=nan"),
        ({"n_samples": 1, "n_drugs": 1, "missing": 0.6}, "no pair would be left"),
        ({"missing": "most"}, "missing='most'; give a share of the pairs from 0 to 1"),
        ({"n_drugs": 2.5}, "n_drugs=2.5; give a whole number"),
        ({"seed": -1}, "seed=-1; give a whole number of 0 or more"),
        ({"noise": -0.1}, "noise=-0.1"),
        ({"noise": float("inf")}, "noise=inf"),
    ],
)
def test_impossible_requests_are_refused(arguments: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be simulated") as caught:
        simulate_responses(**arguments)  # type: ignore[arg-type]
    assert said in str(caught.value)
