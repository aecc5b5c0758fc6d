"""Every encoder by its name: what it reads, what it learns, and that it comes back from a bundle to the bit."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import torch

from cellixir.data.gene_layout import correlation_order, gene_grid, pathway_tokens, tokens
from cellixir.data.response_data import ResponseData
from cellixir.data.splits import make_folds
from cellixir.exceptions import ConfigurationError, GeneMismatch, InvalidValues
from cellixir.response.cross_validation.models import Options, spec_of
from cellixir.response.cross_validation.pieces import fold_pieces
from cellixir.response.models.drug_features import DrugFeatures
from cellixir.response.models.features import SampleFeatures
from cellixir.response.network.architecture import Architecture
from cellixir.response.network.encoders import (
    DRUG_ENCODERS,
    SAMPLE_ENCODERS,
    DrugEncoding,
    SampleEncoding,
    Shape,
    check_encoders,
    encoders_of_views,
)
from cellixir.response.network.predictor import ResponsePredictor
from cellixir.response.ranking.rank import rank
from cellixir.training import TrainingConfig

TWO_EPOCHS = TrainingConfig(max_epochs=2, batch_size=256)
SHAPE = Shape(hidden=16, latent=5, dropout=0.1, input_dropout=0.1)
GENE_SETS = {
    "first": [f"GENE{i:04d}" for i in range(1, 9)],
    "second": [f"GENE{i:04d}" for i in range(7, 15)],
}


@pytest.fixture(scope="module")
def data(simulate_screen: Callable[..., Any]) -> ResponseData:
    return simulate_screen(n_samples=40, n_drugs=12, n_features=30, seed=1)[0]


def gappy(data: ResponseData) -> ResponseData:
    """Every third drug lacks its SMILES, every fourth its targets."""
    drugs = data.drugs.copy()
    drugs.loc[drugs.index[::3], "smiles"] = [None, "", "  ", None]
    drugs.loc[drugs.index[::4], "targets"] = None
    return replace(data, drugs=drugs)


def fitted(data: ResponseData, split: str = "LCO", *, gene_sets=None, **encoders: str) -> ResponsePredictor:
    shape = Architecture(latent=8, encoder=16, head=8, dropout=0.1, input_dropout=0.1, **encoders)
    model = ResponsePredictor(
        split, architecture=shape, training=TWO_EPOCHS, members=1, gene_sets=gene_sets, device="cpu"
    )
    return model.fit(data)


def deep(model: ResponsePredictor, data: ResponseData) -> np.ndarray:
    """Predictions of the network alone."""
    model.share_ = 1.0
    return model.predict(data)


# --- names -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ("dense", ["dense", "dense"]),
        ("conv1d", ["conv1d", "conv1d"]),
        ("expression=conv1d,methylation=transformer", ["conv1d", "transformer"]),
        (" methylation = recurrent ", ["dense", "recurrent"]),
        ("conv2d,methylation=dense", ["conv2d", "dense"]),
        ("methylation=dense,conv2d", ["conv2d", "dense"]),
    ],
)
def test_an_encoder_for_all_views_or_for_each(chosen: str, expected: list[str]) -> None:
    views = ["expression", "methylation"]
    assert encoders_of_views(chosen, views) == dict(zip(views, expected, strict=True))


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ("conv3d", ("'conv3d'", "conv2d", "transformer")),
        ("expression=", ("''", "conv1d")),
        ("", ("''", "dense")),
        ("expression=dense,,", ("''",)),
        ("gin", ("'gin'", "samples")),
        ("proteome=dense", ("'proteome'", "'expression', 'methylation'")),
    ],
)
def test_what_is_not_known_is_named(chosen: str, words: tuple[str, ...]) -> None:
    with pytest.raises(ConfigurationError) as error:
        encoders_of_views(chosen, ["expression", "methylation"])
    assert all(word in str(error.value) for word in words)


def test_encoders_are_checked_before_there_are_data() -> None:
    check_encoders("expression=conv1d,transformer", "gin")
    for options in ({"encoder": "expression=conv3d"}, {"drug_encoder": "gcn"}, {"preprocess": "pca=x"}):
        with pytest.raises(ConfigurationError):
            Options(**options)
    with pytest.raises(ConfigurationError, match=r"0\.999"):
        Options(interval=0.9999)


def test_every_encoder_is_a_model_by_name() -> None:
    for encoder in SAMPLE_ENCODERS + DRUG_ENCODERS:
        model = spec_of(f"network:{encoder}").make("LCO", 0)
        assert isinstance(model, ResponsePredictor)
        shape = model.preset.architecture
        assert encoder in (shape.sample_encoder, shape.drug_encoder)
    for wrong in ("network:conv3d", "ridge:conv1d", "network:"):
        with pytest.raises(ConfigurationError, match=wrong):
            spec_of(wrong)


def test_other_gene_sets_are_another_model(data: ResponseData) -> None:
    """A piece of a benchmark that was done with other tokens is not taken for this one's."""
    folds = make_folds(data, "LCO", n_folds=2)

    def settings(**options: object) -> dict[str, object]:
        chosen = Options(**options)  # type: ignore[arg-type]
        return dict(fold_pieces(data, folds, "LCO", 0, chosen)(spec_of("network"))[0].settings)

    found = [settings(encoder="transformer", gene_sets=sets) for sets in ({"a": ["TP53"]}, {"a": ["KRAS"]}, None)]
    assert len({repr(each) for each in found}) == 3
    assert settings(gene_sets={"a": ["TP53"]}) == settings()  # no encoder reads them


# --- layouts -----------------------------------------------------------------------------------------------------


def flat_of(data: ResponseData) -> tuple[SampleFeatures, np.ndarray]:
    features = SampleFeatures().fit(data)
    return features, features.transform(data)[np.unique(data.sample_index)]


@pytest.mark.parametrize("encoder", SAMPLE_ENCODERS)
def test_a_layout_holds_every_feature_once_and_is_that_of_the_training_rows(data: ResponseData, encoder: str) -> None:
    features, flat = flat_of(data)
    plan = SampleEncoding.fit(features, flat, encoder)
    assert plan.encoders == {"genomic": encoder, "annotation": "dense"}
    x = flat[:, : features.widths["genomic"]]
    expected = {
        "dense": None,
        "conv1d": correlation_order(x),
        "recurrent": correlation_order(x),
        "conv2d": gene_grid(x),
        "transformer": tokens(correlation_order(x)),
    }[encoder]
    assert (plan.layouts == {}) == (expected is None)
    if expected is not None:
        np.testing.assert_array_equal(plan.layouts["genomic"], expected)
        assert sorted(expected[expected >= 0]) == list(range(30))


def test_rows_that_are_not_trained_on_do_not_change_a_layout(data: ResponseData) -> None:
    kept = data.take(data.sample_index < 30)
    values = data.views["genomic"].X.copy()
    values[30:] = np.random.default_rng(0).permutation(values[30:].ravel()).reshape(values[30:].shape)
    other = data.views["genomic"].copy()
    other.X = values
    changed = replace(kept, omics=ResponseData.join(data.responses, views={"genomic": other}).omics)
    layouts = [fitted(d, sample_encoder="conv1d").inputs_.sample_encoding.layouts["genomic"] for d in (kept, changed)]
    np.testing.assert_array_equal(*layouts)


def test_genes_with_positions_stand_along_the_genome(data: ResponseData) -> None:
    view = data.views["genomic"].copy()
    view.var_names = [f"G{i}_1_{1000 - i}_{1001 - i}" for i in range(30)]  # the last gene comes first
    features, flat = flat_of(ResponseData.join(data.responses, views={"genomic": view}))
    plan = SampleEncoding.fit(features, flat, "conv1d")
    assert plan.layouts["genomic"].tolist() == list(range(29, -1, -1))


def test_tokens_of_a_transformer_are_pathways_where_gene_sets_are_given(data: ResponseData, tmp_path: Path) -> None:
    model = fitted(data, sample_encoder="transformer", gene_sets=GENE_SETS)
    names = list(data.views["genomic"].var_names)
    layout = model.inputs_.sample_encoding.layouts["genomic"]
    np.testing.assert_array_equal(layout, pathway_tokens(names, GENE_SETS).layout)
    members = [{names[i] for i in token if i >= 0} for token in layout]
    assert {f"GENE{i:04d}_mut" for i in range(1, 9)} in members
    again = ResponsePredictor.load(model.save(tmp_path / "bundle"))  # the gene sets are not needed any more
    np.testing.assert_array_equal(deep(again, data), deep(model, data))
    with pytest.raises(GeneMismatch):
        fitted(data, sample_encoder="transformer", gene_sets={"other": ["NOSUCH1", "NOSUCH2", "NOSUCH3"]})


def test_blocks_are_views_times_their_gain(data: ResponseData) -> None:
    features, flat = flat_of(data)
    plan = SampleEncoding.fit(features, flat, "dense")
    genomic, annotation = plan.blocks(flat, np.array([0.5, 0.0]))
    np.testing.assert_allclose(genomic.numpy(), 0.5 * flat[:, :30])
    assert annotation.shape == (40, features.widths["annotation"])
    assert not annotation.any()


# --- end to end --------------------------------------------------------------------------------------------------


def same_after_a_bundle(model: ResponsePredictor, data: ResponseData, folder: Path) -> None:
    predicted = deep(model, data)
    assert np.isfinite(predicted).all()
    model.save(folder)
    again = ResponsePredictor.load(folder)
    np.testing.assert_array_equal(again.predict(data), predicted)
    pd.testing.assert_frame_equal(rank(again, data.views), rank(model, data.views), check_exact=True)


@pytest.mark.parametrize("encoder", SAMPLE_ENCODERS)
def test_sample_encoders_come_back_to_the_bit(data: ResponseData, encoder: str, tmp_path: Path) -> None:
    model = fitted(data, sample_encoder=encoder)
    same_after_a_bundle(model, data, tmp_path / "bundle")
    parameters = json.loads((tmp_path / "bundle" / "model.json").read_text())["parameters"]
    assert parameters["architecture"]["sample_encoder"] == encoder


@pytest.mark.parametrize("encoder", DRUG_ENCODERS)
@pytest.mark.parametrize("split", ["LCO", "LDO"])
def test_drug_encoders_come_back_to_the_bit(data: ResponseData, encoder: str, split: str, tmp_path: Path) -> None:
    if encoder in ("gin", "gat"):
        pytest.importorskip("torch_geometric")
    model = fitted(gappy(data), split, drug_encoder=encoder)
    same_after_a_bundle(model, gappy(data), tmp_path / "bundle")


@pytest.mark.parametrize("encoder", [e for e in SAMPLE_ENCODERS if e != "dense"])
def test_a_sample_is_encoded_by_itself_as_among_others(data: ResponseData, encoder: str) -> None:
    model = fitted(data, sample_encoder=encoder)
    rows = np.array([3, 100, 7])
    np.testing.assert_allclose(deep(model, data.take(rows)), deep(model, data)[rows], rtol=1e-5, atol=1e-5)


# --- drugs that lack something -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("encoder", "note"),
    [
        ("fingerprint", None),
        ("smiles-conv", "4 of 12 drugs have no SMILES for 'smiles-conv': 'D001', 'D004', 'D007', ..."),
        ("smiles-transformer", "4 of 12 drugs have no SMILES for 'smiles-transformer'"),
        ("gin", "4 of 12 drugs have no SMILES for 'gin'"),
        ("target-graph", "3 of 12 drugs have no targets for 'target-graph': 'D001', 'D005', 'D009'"),
    ],
)
def test_drugs_without_what_an_encoder_reads_are_counted_and_predicted(
    data: ResponseData, encoder: str, note: str | None
) -> None:
    features = DrugFeatures().fit(gappy(data))
    plan = DrugEncoding.fit(features, gappy(data).drugs, encoder)
    found = plan.notes(gappy(data).drugs)
    assert found == [] if note is None else found[0].startswith(note)
    torch.manual_seed(0)
    blocks = plan.blocks(gappy(data).drugs, features.transform(gappy(data).drugs))
    here = plan.present(gappy(data).drugs, len(blocks))
    for module, block in zip(plan.modules(SHAPE), blocks, strict=True):
        if encoder == "target-graph":
            module.connect(block)
        assert module.eval()(block).shape == (12, 5)
    if encoder not in ("fingerprint", "target-graph"):
        assert here[:, 0].tolist() == [i % 3 != 0 for i in range(12)]


@pytest.mark.parametrize("encoder", ["smiles-conv", "gin"])
def test_new_drugs_that_lack_it_are_said_when_they_are_ranked(data: ResponseData, encoder: str) -> None:
    model = fitted(data, "LDO", drug_encoder=encoder)
    notes: list[str] = []
    drugs = pd.DataFrame({"targets": data.drugs["targets"].unique()[:2]}, index=["new", "newer"])
    table = rank(model, data.views, drugs=drugs, on_note=notes.append)
    assert np.isfinite(table["predicted"]).all()
    assert f"2 of 2 drugs have no SMILES for '{encoder}': 'new', 'newer'" in notes
    assert not table["in_domain"].any()


@pytest.mark.parametrize("encoder", DRUG_ENCODERS)
def test_smiles_that_do_not_parse_name_the_drug(data: ResponseData, encoder: str) -> None:
    drugs = data.drugs.copy()
    drugs.loc["D003", "smiles"] = "c1ccccc"
    with pytest.raises(InvalidValues, match=r"'c1ccccc' of drug 'D003' does not parse"):
        fitted(replace(data, drugs=drugs), drug_encoder=encoder)


@pytest.mark.parametrize(
    ("encoder", "column", "blank"),
    [("gin", "smiles", None), ("smiles-conv", "smiles", " "), ("target-graph", "targets", "")],
)
def test_an_encoder_of_what_no_drug_has_is_refused(
    data: ResponseData, encoder: str, column: str, blank: str | None
) -> None:
    for drugs in (data.drugs.assign(**{column: blank}), data.drugs.drop(columns=column)):
        with pytest.raises(ConfigurationError, match=rf"'{encoder}' reads {column}.*--drugs"):
            fitted(replace(data, drugs=drugs), drug_encoder=encoder)


def test_tokens_of_new_drugs_are_those_of_training(
    data: ResponseData, through_a_bundle: Callable[[DrugEncoding], DrugEncoding]
) -> None:
    features = DrugFeatures().fit(data)
    plan = DrugEncoding.fit(features, data.drugs, "smiles-conv")
    assert plan == through_a_bundle(plan)
    assert "I" not in plan.vocabulary
    new = pd.DataFrame({"smiles": ["ICCI", data.drugs["smiles"].iloc[0]]}, index=["new", "old"])
    block = plan.blocks(new, features.transform(new))[0]
    assert isinstance(block, torch.Tensor)
    assert (block[0] == 1).any()  # unknown token
    old = plan.blocks(data.drugs, features.transform(data.drugs))[0]
    assert torch.equal(block[1], old[0])


def test_two_views_may_have_two_encoders(data: ResponseData, tmp_path: Path) -> None:
    view = ad.AnnData(
        np.random.default_rng(0).normal(size=(40, 20)).astype(np.float32),
        pd.DataFrame(index=data.samples.index),
        pd.DataFrame(index=[f"P{i}" for i in range(20)]),
    )
    both = data.with_views({"proteome": view})
    model = fitted(both, sample_encoder="proteome=conv2d,genomic=transformer", drug_encoder="smiles-conv")
    assert model.inputs_.sample_encoding.encoders == {
        "genomic": "transformer",
        "proteome": "conv2d",
        "annotation": "dense",
    }
    assert {name: layout.shape for name, layout in model.inputs_.sample_encoding.layouts.items()} == {
        "genomic": (2, 16),
        "proteome": (5, 5),
    }
    same_after_a_bundle(model, both, tmp_path / "bundle")
