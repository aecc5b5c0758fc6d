"""What is unlike training is flagged: samples under LCO, drugs under LDO, nothing under LPO."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from cellixir.data.response_data import ResponseData
from cellixir.response.models.drug_features import DrugFeatures
from cellixir.response.models.features import SampleFeatures
from cellixir.response.models.model import Known
from cellixir.response.network.domain import Domain


def expression(samples: pd.Index, *, shift: float = 0.0, seed: int = 0) -> ad.AnnData:
    """Twenty genes that follow three factors; ``shift`` moves every gene by so many standard deviations."""
    factors = np.random.default_rng(1).normal(size=(3, 20))
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(len(samples), 3)) @ factors + rng.normal(0, 0.5, (len(samples), 20))
    values += shift * np.random.default_rng(2).choice([-2.0, 2.0], 20)
    view = ad.AnnData(
        values.astype(np.float32), pd.DataFrame(index=samples), pd.DataFrame(index=[f"G{i}" for i in range(20)])
    )
    view.uns.update(name="expression", scale="unknown")
    return view


@pytest.fixture(scope="module")
def data(screen: ResponseData) -> ResponseData:
    plain = ResponseData.join(screen.responses, samples=None, drugs=screen.drugs)
    return plain.with_views({"expression": expression(plain.samples.index)})


def learned(data: ResponseData, split: str) -> tuple[SampleFeatures, Domain]:
    samples, drugs = SampleFeatures().fit(data), DrugFeatures().fit(data)
    return samples, Domain.fit(samples, drugs, data, Known.under(split))


def inside(fitted: tuple[SampleFeatures, Domain], data: ResponseData) -> np.ndarray:
    samples, domain = fitted
    return domain.inside(samples.transform(data), data)


def new_samples(data: ResponseData, shift: float) -> ResponseData:
    ids = pd.Index([f"n{i:02d}" for i in range(40)])
    return ResponseData.question({"expression": expression(ids, shift=shift, seed=9)}, data.drugs)


@pytest.mark.parametrize("split", ["LCO", "LTO"])
def test_shifted_samples_are_outside_and_samples_alike_inside(data: ResponseData, split: str) -> None:
    fitted = learned(data, split)
    assert inside(fitted, data).mean() > 0.9
    assert inside(fitted, new_samples(data, 0.0)).mean() > 0.8
    assert not inside(fitted, new_samples(data, 6.0)).any()


def test_it_is_the_sample_that_is_outside_whatever_the_drug(data: ResponseData) -> None:
    question = new_samples(data, 0.4)
    flags = inside(learned(data, "LCO"), question).reshape(40, -1)
    assert (flags == flags[:, :1]).all()


def test_drugs_without_structure_or_unlike_any_are_outside(data: ResponseData) -> None:
    fitted = learned(data, "LDO")
    drugs = data.drugs.iloc[:2].copy()
    drugs.loc["metal", "smiles"] = "[Pt](Cl)(Cl)(N)N"
    drugs.loc["unknown", "pathway"] = "P0"
    drugs.loc["blank", "smiles"] = "  "
    question = ResponseData.question(data.views, drugs)
    flags = inside(fitted, question).reshape(len(data.samples), -1)
    assert flags[0].tolist() == [True, True, False, False, False]
    assert (flags == flags[0]).all()  # samples are known: shifted or not does not matter
    assert inside(fitted, replace(question, drugs=drugs.drop(columns="smiles"))).sum() == 0


def test_known_pairs_are_inside(data: ResponseData) -> None:
    fitted = learned(data, "LPO")
    assert fitted[1] == Domain(None, None)
    assert inside(fitted, new_samples(data, 6.0)).all()


def test_without_features_or_structures_there_is_no_domain(data: ResponseData) -> None:
    bare = ResponseData.join(data.responses)
    assert learned(bare, "LCO")[1].samples is None
    assert learned(bare, "LDO")[1].drugs is None


@pytest.mark.parametrize("split", ["LPO", "LCO", "LDO"])
def test_it_comes_back_from_its_bundle(
    data: ResponseData, split: str, through_a_bundle: Callable[[Domain], Domain]
) -> None:
    samples, domain = learned(data, split)
    again = samples, through_a_bundle(domain)
    for question in (data, new_samples(data, 0.4)):
        np.testing.assert_array_equal(inside(again, question), inside((samples, domain), question))
