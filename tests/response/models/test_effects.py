"""Naive effects against least squares and against tables worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellixir.data.response_data import ResponseData
from cellixir.response.models.effects import SHRINKAGE, Effects, additive_effects, group_means


def table(rows: list[tuple[str, str, float]], tissues: dict[str, str] | None = None, **ids: list[str]) -> ResponseData:
    responses = pd.DataFrame(rows, columns=["sample", "drug", "response"])
    samples = ids.get("samples", sorted(set(responses["sample"])))
    drugs = ids.get("drugs", sorted(set(responses["drug"])))
    annotation = pd.DataFrame(index=samples)
    if tissues:
        annotation["tissue"] = [tissues[s] for s in samples]
    return ResponseData(responses, None, annotation, pd.DataFrame(index=drugs))


def least_squares(data: ResponseData) -> np.ndarray:
    """Fitted values of a linear model with a dummy for each sample and drug."""
    design = np.hstack([np.eye(len(data.samples))[data.sample_index], np.eye(len(data.drugs))[data.drug_index]])
    return design @ np.linalg.lstsq(design, data.response, rcond=None)[0]


def fitted(data: ResponseData) -> np.ndarray:
    mean, sample, drug = additive_effects(data)
    return mean + sample[data.sample_index] + drug[data.drug_index]


def test_group_means_by_hand():
    found = group_means(np.array([1.0, 2.0, 6.0, -1.0]), np.array([0, 2, 2, 0]), 4)
    np.testing.assert_array_equal(found, [0.0, 0.0, 4.0, 0.0])


def test_additive_effects_of_a_full_table_are_the_marginal_means(make_screen):
    data = make_screen(missing=0.0)
    matrix = data.responses.pivot(index="sample", columns="drug", values="response")
    mean, sample, drug = additive_effects(data)
    total = matrix.to_numpy().mean()
    assert mean == pytest.approx(total)
    np.testing.assert_allclose(sample, matrix.mean(axis=1).reindex(data.samples.index) - total, atol=1e-12)
    np.testing.assert_allclose(drug, matrix.mean(axis=0).reindex(data.drugs.index) - total, atol=1e-12)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10**6), n_samples=st.integers(3, 15), n_drugs=st.integers(3, 10), twice=st.booleans())
def test_additive_effects_are_least_squares_where_pairs_are_missing(seed, n_samples, n_drugs, twice):
    rng = np.random.default_rng(seed)
    kept = rng.random((n_samples, n_drugs)) < 0.8
    kept[0, :] = kept[:, 0] = True  # connected
    rows = [(f"s{i}", f"d{j}", float(rng.normal(i - j, 3))) for i, j in zip(*np.nonzero(kept), strict=True)]
    data = table(rows)
    if twice:  # some pairs measured again
        again = data.responses.iloc[: len(rows) // 2].assign(response=rng.normal(size=len(rows) // 2), replicate=2)
        data = replace(data, responses=pd.concat([data.responses.assign(replicate=1), again], ignore_index=True))
    np.testing.assert_allclose(fitted(data), least_squares(data), atol=1e-4)


def test_additive_effects_are_least_squares_of_a_chain():
    rows = [(f"s{i:02d}", f"d{j:02d}", float(i == 7)) for i in range(12) for j in (i, i + 1)]
    data = table(rows)
    np.testing.assert_allclose(fitted(data), least_squares(data), atol=1e-3)


def test_ids_without_measurements_have_no_effect():
    data = table([("a", "x", 1.0), ("b", "x", 3.0)], samples=["a", "b", "new"], drugs=["x", "new"])
    mean, sample, drug = additive_effects(data)
    assert mean == 2.0
    np.testing.assert_allclose(sample, [-1.0, 1.0, 0.0])
    np.testing.assert_allclose(drug, [0.0, 0.0])
    effects = Effects.fit(data, samples=True, drugs=True, tissue=False)
    assert effects.sample.index.tolist() == ["a", "b"]
    assert effects.drug.index.tolist() == ["x"]


def test_unseen_ids_are_predicted_without_effect(screen):
    train = screen.take(((screen.responses["sample"] != "s000") & (screen.responses["drug"] != "d01")).to_numpy())
    effects = Effects.fit(train, samples=True, drugs=True, tissue=False)
    asked = table(
        [("s000", "d01", 0.0), ("stranger", "d02", 0.0), ("s001", "elixir", 0.0), ("s001", "d02", 0.0)],
        samples=["stranger", "s001", "s000"],
    )
    mean, sample, drug = effects.mean, effects.sample["s001"], effects.drug["d02"]
    assert abs(sample) > 0.01
    assert abs(drug) > 0.01
    np.testing.assert_allclose(effects.predict(asked), [mean, mean + drug, mean + sample, mean + sample + drug])


# --- drug x tissue -----------------------------------------------------------------------------------------------

TISSUES = {"a": "lung", "b": "lung", "c": "lung", "e": "skin", "new": "skin", "odd": "bone"}
ROWS = [("a", "x", 1.0), ("b", "x", 2.0), ("c", "x", 6.0), ("e", "x", 3.0), ("a", "z", 0.0), ("e", "z", 4.0)]


def test_tissue_deviation_by_hand():
    effects = Effects.fit(table(ROWS, TISSUES), samples=False, drugs=True, tissue=True)
    # drug means: x 3, z 2; residuals in (lung, x): -2 -1 +3 = 0; (skin, x): 0; (lung, z): -2; (skin, z): +2
    asked = table([("new", "z", 0.0), ("a", "z", 0.0), ("a", "x", 0.0), ("odd", "z", 0.0)], TISSUES)
    expected = [2 + 2 / (1 + SHRINKAGE), 2 - 2 / (1 + SHRINKAGE), 3.0, 2.0]
    np.testing.assert_allclose(effects.predict(asked), expected)
    np.testing.assert_allclose(effects.count.loc["lung", ["x", "z"]].astype(float), [3, 1])


@pytest.mark.parametrize("samples", [True, False])
def test_tissue_part_is_the_shrunken_mean_residual_of_the_cell(screen, samples):
    full = Effects.fit(screen, samples=samples, drugs=True, tissue=True)
    additive = replace(full, deviation=pd.DataFrame(), count=pd.DataFrame()).predict(screen)
    residual = pd.DataFrame({"r": screen.response - additive, "drug": screen.responses["drug"]})
    residual["tissue"] = screen.tissue.reindex(screen.responses["sample"]).to_numpy()
    cell = residual.groupby(["tissue", "drug"])["r"]
    expected = additive + (cell.transform("sum") / (cell.transform("count") + SHRINKAGE)).to_numpy()
    np.testing.assert_allclose(full.predict(screen), expected, atol=1e-12)
    assert np.abs(expected - additive).max() > 0.1


def test_without_tissues_there_is_no_tissue_part(screen):
    bare = replace(screen, samples=screen.samples[["medium"]])
    effects = Effects.fit(bare, samples=False, drugs=True, tissue=True)
    assert effects.count.empty
    expected = Effects.fit(bare, samples=False, drugs=True, tissue=False).predict(bare)
    np.testing.assert_array_equal(effects.predict(bare), expected)


@pytest.mark.parametrize(("samples", "drugs", "kept"), [(True, False, (60, 0)), (False, True, (0, 12))])
def test_a_side_that_is_new_has_no_effects(screen, samples, drugs, kept):
    effects = Effects.fit(screen, samples=samples, drugs=drugs, tissue=False)
    assert (len(effects.sample), len(effects.drug)) == kept


def test_prediction_reads_no_response(screen):
    effects = Effects.fit(screen, samples=True, drugs=True, tissue=True)
    np.testing.assert_array_equal(effects.predict(screen.as_question()), effects.predict(screen))


@pytest.mark.parametrize("tissue", [True, False])
@pytest.mark.parametrize("samples", [True, False])
def test_state_comes_back(screen, tissue, samples, through_a_bundle):
    effects = Effects.fit(screen, samples=samples, drugs=True, tissue=tissue)
    loaded = through_a_bundle(effects)
    np.testing.assert_array_equal(loaded.predict(screen), effects.predict(screen))
