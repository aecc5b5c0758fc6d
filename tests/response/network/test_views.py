"""Several views: samples that lack one, views that say nothing, bundles that are given less than they learned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from cellixir.data.response_data import ResponseData
from cellixir.data.splits import split_off
from cellixir.exceptions import ConfigurationError, GeneMismatch, UnknownIds
from cellixir.metrics import rmse
from cellixir.response.models.features import SampleFeatures
from cellixir.response.network.architecture import Architecture
from cellixir.response.network.predictor import ResponsePredictor
from cellixir.response.ranking.rank import rank
from cellixir.training import TrainingConfig

LACKING = 10  # samples at the end of the table that have no profile


def profiles(samples: pd.Index, *, n_genes: int = 20, seed: int = 0, name: str = "expression") -> ad.AnnData:
    """Numbers that say nothing about response."""
    values = np.random.default_rng(seed).normal(5, 1, (len(samples), n_genes)).astype(np.float32)
    view = ad.AnnData(values, pd.DataFrame(index=samples), pd.DataFrame(index=[f"P{i}" for i in range(n_genes)]))
    view.uns.update(name=name, scale="log2")
    return view


@pytest.fixture(scope="module")
def plain(simulate_screen: Callable[..., Any]) -> ResponseData:
    return simulate_screen(n_samples=60, n_drugs=12, n_features=30, seed=3)[0]


@pytest.fixture(scope="module")
def data(plain: ResponseData) -> ResponseData:
    """Two views; the last ten samples lack the second."""
    return plain.with_views({"expression": profiles(plain.samples.index[:-LACKING])})


def fitted(data: ResponseData, *, epochs: int = 2, preprocess: str = "", **shape: object) -> ResponsePredictor:
    small = Architecture(latent=8, encoder=16, head=8, dropout=0.1, input_dropout=0.1, **shape)  # type: ignore[arg-type]
    training = TrainingConfig(max_epochs=epochs, batch_size=256)
    model = ResponsePredictor(
        "LCO", architecture=small, training=training, members=1, preprocess=preprocess, device="cpu"
    )
    return model.fit(data)


@pytest.fixture(scope="module")
def model(data: ResponseData) -> ResponsePredictor:
    """The deep part counts as much as the linear one, so that both are seen."""
    found = fitted(data)
    found.share_ = 0.5
    return found


def only(view: ad.AnnData, samples: pd.Index) -> ad.AnnData:
    return view[samples].copy()


def said(model: ResponsePredictor, views: dict[str, ad.AnnData], **options: object) -> tuple[pd.DataFrame, list[str]]:
    notes: list[str] = []
    table = rank(model, views, on_note=notes.append, **options)  # type: ignore[arg-type]
    return table, notes


# --- in the data -------------------------------------------------------------------------------------------------


def test_what_is_masked_is_counted(data: ResponseData) -> None:
    assert "10 of 60 samples lack view 'expression'; they are masked there" in data.notes
    assert data.in_view("expression").tolist() == [True] * 50 + [False] * 10
    assert np.isnan(data.feature_matrix("expression")[50:]).all()


def test_samples_may_be_required_to_have_a_view(plain: ResponseData, data: ResponseData) -> None:
    strict = plain.with_views({"expression": profiles(plain.samples.index[:50])}, require=["expression"])
    assert len(strict.samples) == 50
    assert strict.in_view("expression").all()
    assert any("10 samples" in note and "view 'expression'" in note for note in strict.notes)
    with pytest.raises(ConfigurationError, match=r"'methylation'.*'genomic', 'expression'"):
        plain.with_views({"expression": profiles(plain.samples.index)}, require=["methylation"])


def test_a_view_of_other_samples_is_refused(plain: ResponseData) -> None:
    with pytest.raises(UnknownIds, match=r"'S001'.*view 'expression' \(e\.g\. 'X1'"):
        plain.with_views({"expression": profiles(pd.Index(["X1", "X2"]))})


def test_views_are_chosen_by_name(data: ResponseData) -> None:
    assert list(data.only_views(["genomic"]).views) == ["genomic"]
    with pytest.raises(UnknownIds, match=r"10 samples are in none of the views expression.*--require expression"):
        data.only_views(["expression"])
    for names in ([], ["proteome"]):
        with pytest.raises(ConfigurationError, match="'genomic', 'expression'"):
            data.only_views(names)


@pytest.mark.parametrize("name", ["tissue", "annotation"])
def test_a_view_is_not_named_as_the_annotation(plain: ResponseData, name: str) -> None:
    both = plain.with_views({name: profiles(plain.samples.index)})
    with pytest.raises(ConfigurationError, match=f"view '{name}' is named as the annotation"):
        SampleFeatures().fit(both)


def test_a_view_that_no_training_sample_has_is_refused(data: ResponseData) -> None:
    with pytest.raises(ConfigurationError, match="no sample to learn from has the view 'expression'"):
        fitted(data.take(data.sample_index >= 50))


# --- in prediction -----------------------------------------------------------------------------------------------


def test_a_sample_without_one_of_the_views_is_predicted(model: ResponsePredictor, data: ResponseData) -> None:
    predicted = model.predict(data)
    assert np.isfinite(predicted).all()
    without = model.predict(data.only_views(["genomic"]))
    lacking = data.sample_index >= 50
    np.testing.assert_array_equal(predicted[lacking], without[lacking])
    assert np.abs(predicted[~lacking] - without[~lacking]).max() > 1e-3


def test_masked_samples_do_not_change_what_is_said_of_others(model: ResponsePredictor, data: ResponseData) -> None:
    whole = data.samples.index[20:30]
    views = {name: only(view, whole) for name, view in data.views.items()}
    some = views | {"genomic": only(data.views["genomic"], whole.union(data.samples.index[50:]))}
    alone, among = (said(model, v, samples=data.samples)[0].set_index(["sample", "drug"]) for v in (views, some))
    assert len(among) == 2 * len(alone)
    np.testing.assert_allclose(among.loc[alone.index, "predicted"], alone["predicted"], rtol=1e-5, atol=1e-5)
    assert (among.loc[alone.index, "in_domain"] == alone["in_domain"]).all()


def test_the_views_that_a_sample_has_stand_beside_it(model: ResponsePredictor, data: ResponseData) -> None:
    views = {"genomic": data.views["genomic"], "expression": only(data.views["expression"], data.samples.index[:5])}
    table, _ = said(model, views, samples=data.samples)
    used = table.groupby("sample")["views"].agg(lambda v: "|".join(sorted(set(v))))
    assert (used[:5] == "genomic, expression").all()
    assert (used[5:] == "genomic").all()


@pytest.mark.parametrize("given", ["genomic", "expression"])
def test_a_bundle_predicts_without_one_of_its_views(
    model: ResponsePredictor, data: ResponseData, given: str, tmp_path: Path
) -> None:
    again = ResponsePredictor.load(model.save(tmp_path / "bundle"))
    other = "expression" if given == "genomic" else "genomic"
    views = {given: only(data.views[given], data.samples.index[:8])}
    table, notes = said(again, views, samples=data.samples)
    assert f"view '{other}' is not given: every sample is predicted without it" in notes
    assert set(table["views"]) == {given}
    assert np.isfinite(table["predicted"]).all()
    pd.testing.assert_frame_equal(table, said(model, views, samples=data.samples)[0])


def test_a_view_that_the_model_does_not_know_is_left_out_and_said(model: ResponsePredictor, data: ResponseData) -> None:
    views = {"genomic": data.views["genomic"], "proteome": profiles(pd.Index(["Z1", "Z2"]))}
    table, notes = said(model, views, samples=data.samples)
    assert set(table["sample"]) == set(data.samples.index)  # of Z1 the model would know nothing
    assert any("no view 'proteome'" in note and "'genomic', 'expression'" in note for note in notes)
    with pytest.raises(GeneMismatch, match=r"needs the view 'genomic'.*--omics genomic=FILE"):
        said(model, {"proteome": views["proteome"]})
    with pytest.raises(ConfigurationError, match="the model knows the views 'genomic', 'expression'"):
        model.predict(ResponseData.join(data.responses))


@pytest.mark.parametrize("chain", ["", "variance=10", "pca=4", "rank", "impute=median,standard"])
def test_features_that_are_missing_are_filled_with_their_training_mean(data: ResponseData, chain: str) -> None:
    model = fitted(data, preprocess=f"expression:{chain}" if chain else "")
    few = {"genomic": data.views["genomic"], "expression": data.views["expression"][:, :15].copy()}
    full = few["expression"].to_df().join(
        pd.DataFrame({f"P{i}": data.views["expression"].to_df()[f"P{i}"].mean() for i in range(15, 20)},
                     index=few["expression"].obs_names)
    )  # fmt: skip
    meant = ad.AnnData(full.astype(np.float32))
    table, notes = said(model, few, missing="mean")
    assert "5 of 20 features of 'expression' are missing and were filled with mean" in notes
    expected, _ = said(model, few | {"expression": meant})
    np.testing.assert_allclose(table["predicted"], expected["predicted"], rtol=1e-4, atol=1e-4)
    with pytest.raises(GeneMismatch):
        said(model, few)


# --- how much a view counts --------------------------------------------------------------------------------------


def test_noise_weighs_little_and_hurts_little(simulate_screen: Callable[..., Any]) -> None:
    plain, expected = simulate_screen(n_samples=120, n_drugs=16, n_features=30, n_targets=6, seed=2)
    noisy = plain.with_views({"expression": profiles(plain.samples.index, n_genes=200, seed=4)})
    train, new = split_off(plain, "LCO", fraction=0.33, seed=1)
    found = {}
    for name, data in (("plain", plain), ("noisy", noisy)):
        model = fitted(data.take(train), epochs=10)
        found[name] = rmse(new_truth := expected.loc[_pairs(data.take(new))].to_numpy(), model.predict(data.take(new)))
    gain = dict(zip(model.inputs_.samples.widths, model.inputs_.gains, strict=True))
    assert gain["genomic"] == pytest.approx(1.0)
    assert gain["expression"] < 0.3
    assert found["noisy"] < 1.1 * found["plain"]
    drug = plain.take(train).responses.groupby("drug")["response"].mean()
    assert found["noisy"] < 0.9 * rmse(new_truth, drug.loc[plain.take(new).responses["drug"]].to_numpy())


def _pairs(data: ResponseData) -> pd.MultiIndex:
    return pd.MultiIndex.from_frame(data.responses[["sample", "drug"]])


def test_gains_come_back_from_a_bundle(model: ResponsePredictor, tmp_path: Path) -> None:
    again = ResponsePredictor.load(model.save(tmp_path / "bundle"))
    np.testing.assert_array_equal(again.inputs_.gains, model.inputs_.gains)
    assert list(model.inputs_.samples.widths) == ["genomic", "expression", "annotation"]


def test_a_masked_view_in_training_is_not_refused(data: ResponseData) -> None:
    """Views may be masked by chance in training as well, and a fit repeats to the bit."""
    models = [fitted(data, view_dropout=0.3) for _ in range(2)]
    for each in models:
        each.share_ = 1.0
    np.testing.assert_array_equal(*(each.predict(data) for each in models))
    unmasked = fitted(data)
    unmasked.share_ = 1.0
    assert not np.array_equal(unmasked.predict(data), models[0].predict(data))
    assert replace(models[0].preset.architecture, view_dropout=0.0) == unmasked.preset.architecture
