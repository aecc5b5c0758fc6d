"""Features: learned from training rows only, matched by name, of one typical length a block."""

from __future__ import annotations

import json
from dataclasses import replace

import anndata as ad
import mudata
import numpy as np
import pandas as pd
import pytest

from cellixir.data.response_data import ResponseData
from cellixir.estimator import Arrays
from cellixir.estimator.values import packed
from cellixir.exceptions import ConfigurationError, GeneMismatch, InvalidValues
from cellixir.response.models.blocks import BLOCK_NORM, MAX_LEVELS, Blocks, OneHot
from cellixir.response.models.drug_features import DrugFeatures
from cellixir.response.models.features import SampleFeatures


def with_view(data: ResponseData, values: np.ndarray, genes: list[str] | None = None) -> ResponseData:
    """The same samples and pairs with other features."""
    names = genes or list(data.views["mutations"].var_names)
    view = ad.AnnData(values.astype(np.float32), pd.DataFrame(index=data.samples.index), pd.DataFrame(index=names))
    with mudata.set_options(pull_on_update=False):
        return replace(data, omics=mudata.MuData({"mutations": view}))


def kept(features: SampleFeatures | DrugFeatures) -> tuple[str, Arrays]:
    """What a bundle holds of them."""
    arrays: Arrays = {}
    return json.dumps(packed(features, "features", arrays)), arrays


@pytest.fixture(scope="module")
def train(screen: ResponseData) -> ResponseData:
    """Without the last ten samples and drug d03, which stay in the tables."""
    kept = (screen.sample_index < 50) & (screen.responses["drug"] != "d03").to_numpy()
    return screen.take(kept)


# --- blocks and levels -------------------------------------------------------------------------------------------


def test_rows_of_a_block_have_one_typical_length():
    rng = np.random.default_rng(0)
    blocks = {"wide": rng.normal(3, 5, (40, 300)).astype(np.float32), "narrow": np.eye(40, 2, dtype=np.float32)}
    scaled = Blocks().fit(blocks).transform(blocks, 40)
    assert scaled.dtype == np.float32
    for block in (scaled[:, :300], scaled[:, 300:]):
        assert np.sqrt((block.astype(float) ** 2).sum(axis=1).mean()) == pytest.approx(BLOCK_NORM, rel=1e-5)


def test_blocks_of_nothing_stay_as_they_are():
    zeros = {"zero": np.zeros((3, 2), dtype=np.float32), "none": np.zeros((3, 0), dtype=np.float32)}
    fitted = Blocks().fit(zeros)
    assert fitted.gain == {"zero": 1.0, "none": 1.0}
    np.testing.assert_array_equal(fitted.transform(zeros, 3), np.zeros((3, 2)))
    assert Blocks().transform({}, 5).shape == (5, 0)


def test_unseen_and_missing_levels_are_rows_of_zeros():
    table = pd.DataFrame({"tissue": ["lung", "skin", "lung", "skin", None, "lung"]})
    onehot = OneHot().fit(table)
    assert onehot.names == ["tissue=lung", "tissue=skin"]
    asked = pd.DataFrame({"tissue": pd.Categorical(["skin", "bone", None, "lung"])})
    np.testing.assert_array_equal(onehot.transform(asked)["tissue"], [[0, 1], [0, 0], [0, 0], [1, 0]])
    np.testing.assert_array_equal(onehot.transform(pd.DataFrame(index=[0, 1]))["tissue"], np.zeros((2, 2)))


def test_columns_that_are_no_categories_are_left_out():
    n = 2 * MAX_LEVELS + 4
    table = pd.DataFrame(
        {
            "name": [f"line {i}" for i in range(n)],
            "lot": [f"lot {i % (MAX_LEVELS + 1)}" for i in range(n)],
            "age": np.arange(n),
            "site": "Basel",
            "none": pd.Series([None] * n, dtype=object),
            "medium": ["R", "D"] * (n // 2),
        }
    )
    assert list(OneHot().fit(table).levels) == ["medium"]


# --- samples -----------------------------------------------------------------------------------------------------


def test_samples_are_standardised_genes_and_annotation(train):
    features = SampleFeatures().fit(train)
    matrix = features.transform(train)
    assert features.names == [
        *train.views["mutations"].var_names,
        "tissue=blood", "tissue=lung", "tissue=skin", "medium=D", "medium=R",
    ]  # fmt: skip
    assert matrix.shape == (60, len(features.names))
    assert matrix.dtype == np.float32
    seen = matrix[:50].astype(float)
    np.testing.assert_allclose(seen[:, :12].mean(axis=0), 0, atol=1e-5)
    for block in (seen[:, :12], seen[:, 12:15], seen[:, 15:]):
        assert np.sqrt((block**2).sum(axis=1).mean()) == pytest.approx(BLOCK_NORM, rel=1e-5)
    raw = train.feature_matrix("mutations")[:50, 0]
    assert np.corrcoef(raw, seen[:, 0])[0, 1] == pytest.approx(1.0)


def test_nothing_is_learned_from_samples_without_training_pairs(train):
    """Absurd features and new tissues in the ten held-out samples change nothing that is learned."""
    values = train.feature_matrix("mutations")
    values[50:] = 1e6
    samples = train.samples.copy()
    samples.loc[samples.index[50:], ["tissue", "medium"]] = ["moon", "cheese"]
    other = with_view(replace(train, samples=samples), values)
    one, two = SampleFeatures().fit(train), SampleFeatures().fit(other)
    (facts, arrays), (other_facts, other_arrays) = kept(one), kept(two)
    assert facts == other_facts
    assert arrays.keys() == other_arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, other_arrays[name])
    np.testing.assert_array_equal(one.transform(train)[:50], two.transform(other)[:50])
    assert len(other.samples) == 60
    assert not two.transform(other)[50:, 12:].any()  # moon and cheese
    seen_by_itself = SampleFeatures().fit(screen_of_seen(train))
    np.testing.assert_allclose(seen_by_itself.views["mutations"].mean, one.views["mutations"].mean)


def screen_of_seen(train: ResponseData) -> ResponseData:
    """The same pairs, with only the samples that they name in the tables."""
    view = train.views["mutations"][train.samples.index[:50]].copy()
    return ResponseData.join(train.responses, views={"mutations": view}, samples=train.samples, drugs=train.drugs)


def test_a_sample_counts_once_however_often_it_was_measured(train):
    once = train.take(np.unique(train.sample_index, return_index=True)[1])
    np.testing.assert_array_equal(
        SampleFeatures().fit(once).transform(train), SampleFeatures().fit(train).transform(train)
    )


def test_permuted_genes_give_the_same_matrix(train):
    features = SampleFeatures().fit(train)
    order = np.random.default_rng(1).permutation(12)
    shuffled = with_view(train, train.feature_matrix("mutations")[:, order], [f"GENE{i}" for i in order])
    np.testing.assert_array_equal(features.transform(shuffled), features.transform(train))


def test_more_genes_than_were_learned_do_not_matter(train):
    features = SampleFeatures().fit(train)
    values = np.hstack([np.full((60, 3), 7.0), train.feature_matrix("mutations")])
    wider = with_view(train, values, ["X1", "X2", "X3", *train.views["mutations"].var_names])
    np.testing.assert_array_equal(features.transform(wider), features.transform(train))


def test_missing_genes_are_refused_or_zero(train):
    features = SampleFeatures().fit(train)
    values = train.feature_matrix("mutations")
    narrow = with_view(train, values[:, 1:], [f"GENE{i}" for i in range(1, 12)])
    with pytest.raises(GeneMismatch, match=r"1 of 12 features are missing in mutations \('GENE0'"):
        features.transform(narrow)
    values[:, 0] = 0
    filled = features.transform(narrow, missing="zero")
    np.testing.assert_array_equal(filled, features.transform(with_view(train, values)))


def test_a_view_that_is_missing_is_named(train):
    features = SampleFeatures().fit(train)
    with pytest.raises(ConfigurationError, match=r"knows the views 'mutations', the data have none; give --omics"):
        features.transform(replace(train, omics=None))


# --- several views -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def two_views(train: ResponseData) -> ResponseData:
    """A second view of the first forty and the last five samples, with one value missing."""
    rng = np.random.default_rng(3)
    ids = train.samples.index[[*range(40), *range(55, 60)]]
    values = rng.normal(5, 2, (len(ids), 4)).astype(np.float32)
    values[7, 2] = np.nan
    view = ad.AnnData(values, pd.DataFrame(index=ids), pd.DataFrame(index=["GENE0", "B", "C", "D"]))
    return train.with_views({"expression": view})


def test_columns_are_named_by_their_view(two_views):
    features = SampleFeatures().fit(two_views)
    assert features.names[:1] + features.names[12:16] == [
        "mutations:GENE0",
        *(f"expression:{g}" for g in ("GENE0", *"BCD")),
    ]
    assert features.widths == {"mutations": 12, "expression": 4, "annotation": len(features.names) - 16}


def test_what_a_sample_lacks_is_zero_and_said(two_views):
    features = SampleFeatures().fit(two_views)
    block = features.transform(two_views)[:, 12:16]
    assert not block[40:55].any()
    assert block[:40].any(axis=1).all()
    assert features.present(two_views)[:, 1].tolist() == [True] * 40 + [False] * 10
    used = features.views_used(two_views)
    assert used[0] == "mutations, expression"
    assert used[45] == "mutations"


def test_statistics_are_of_training_samples_that_have_the_view(two_views):
    view = SampleFeatures().fit(two_views).views["expression"]
    raw = two_views.feature_matrix("expression")[:40]
    np.testing.assert_allclose(view.mean, np.nanmean(raw, axis=0), rtol=1e-6)
    assert SampleFeatures().fit(two_views).transform(two_views)[7, 14] == 0  # missing: at the mean


def test_a_whole_view_may_be_missing_when_another_is_there(two_views):
    features = SampleFeatures().fit(two_views)
    alone = features.transform(two_views.only_views(["mutations"]))
    np.testing.assert_array_equal(alone[:, :12], features.transform(two_views)[:, :12])
    assert not alone[:, 12:16].any()


def test_views_survive_their_bundle(two_views, through_a_bundle):
    for preprocess in ("", "expression:impute=median,variance=3,standard;mutations:variance=5"):
        features = SampleFeatures(preprocess).fit(two_views)
        loaded = through_a_bundle(features)
        assert loaded.names == features.names
        np.testing.assert_array_equal(loaded.transform(two_views), features.transform(two_views))


def test_preprocessing_keeps_names_and_counts_what_it_left_out(two_views):
    features = SampleFeatures("expression:impute=mean,anova=2").fit(two_views)
    assert features.widths["expression"] == 2
    assert features.widths["mutations"] == 12
    with pytest.raises(ConfigurationError, match="names the view 'protein'; the data have 'mutations', 'expression'"):
        SampleFeatures("protein:standard").fit(two_views)


def test_supervised_selection_finds_what_drives_response(train):
    """A gene that moves all responses of a sample is among the chosen; the target is of training samples only."""
    planted = train.feature_matrix("mutations")[:, 3][train.sample_index] * 3.0
    moved = replace(train, responses=train.responses.assign(response=train.response + planted))
    features = SampleFeatures("anova=2").fit(moved)
    assert "GENE3" in features.names[:2]


def test_constant_genes_stay_finite(train):
    values = train.feature_matrix("mutations")
    values[:, 3] = 1.0
    features = SampleFeatures().fit(with_view(train, values))
    assert np.isfinite(features.transform(with_view(train, values))).all()
    all_constant = with_view(train, np.ones_like(values))
    matrix = SampleFeatures().fit(all_constant).transform(all_constant)
    assert not matrix[:, :12].any()


def test_samples_without_views_have_their_annotation(train):
    bare = replace(train, omics=None)
    features = SampleFeatures().fit(bare)
    assert features.transform(bare).shape == (60, 5)
    nothing = replace(bare, samples=bare.samples[[]])
    assert SampleFeatures().fit(nothing).transform(nothing).shape == (60, 0)


def test_sample_features_come_back(train, through_a_bundle):
    features = SampleFeatures().fit(train)
    loaded = through_a_bundle(features)
    assert loaded.names == features.names
    np.testing.assert_array_equal(loaded.transform(train), features.transform(train))


# --- drugs -------------------------------------------------------------------------------------------------------


def column(features: DrugFeatures, drugs: pd.DataFrame, name: str) -> np.ndarray:
    return features.transform(drugs)[:, features.names.index(name)] != 0


def test_drugs_are_bits_targets_and_pathways(screen):
    features = DrugFeatures().fit(screen)
    matrix = features.transform(screen.drugs)
    assert matrix.shape == (12, len(features.names))
    assert column(features, screen.drugs, "target=T1").tolist() == [j % 4 == 1 for j in range(12)]
    assert column(features, screen.drugs, "target=common").all()
    assert column(features, screen.drugs, "pathway=P0").tolist() == [j % 4 < 2 for j in range(12)]
    assert len(np.unique(matrix, axis=0)) == 12


def test_nothing_is_learned_from_drugs_without_training_pairs(train):
    one = DrugFeatures().fit(train)
    other_drugs = train.drugs.copy()
    other_drugs.loc["d03", ["targets", "pathway", "smiles"]] = ["NEW, T1", "PX", "CCCCCCCCCCCCCCCCCCCC"]
    two = DrugFeatures().fit(replace(train, drugs=other_drugs))
    assert kept(one) == kept(two)


def test_targets_of_one_drug_alone_are_no_feature(train):
    drugs = train.drugs.copy()
    drugs.loc["d00", "targets"] = "ONLY, T1"
    drugs.loc["d03", "targets"] = "ONLY, T1"  # d03 has no training pair
    names = DrugFeatures().fit(replace(train, drugs=drugs)).names
    assert "target=ONLY" not in names
    assert "target=T1" in names


def test_what_is_not_known_of_a_drug_is_zero(screen):
    features = DrugFeatures().fit(screen)
    strangers = pd.DataFrame(
        {"smiles": [None, "C1CC1"], "targets": [None, "UNHEARD"], "pathway": ["PX", None]}, index=["a", "b"]
    )
    matrix = features.transform(strangers)
    assert not matrix[0].any()
    assert matrix[1].any()
    assert not matrix[1, features.names.index("has_smiles") + 1 :].any()
    assert not features.transform(pd.DataFrame(index=["c"])).any()


def test_drugs_without_annotation_have_no_columns(screen):
    bare = replace(screen, drugs=screen.drugs[["name"]])
    features = DrugFeatures().fit(bare)
    assert features.names == []
    assert features.transform(bare.drugs).shape == (12, 0)


def test_smiles_that_do_not_parse_are_named(screen):
    drugs = screen.drugs.copy()
    drugs.loc["d02", "smiles"] = "C1CC("
    with pytest.raises(InvalidValues, match="'d02'"):
        DrugFeatures().fit(replace(screen, drugs=drugs))


def test_drug_features_come_back(screen, through_a_bundle):
    features = DrugFeatures().fit(screen)
    loaded = through_a_bundle(features)
    assert loaded.names == features.names
    np.testing.assert_array_equal(loaded.transform(screen.drugs), features.transform(screen.drugs))
