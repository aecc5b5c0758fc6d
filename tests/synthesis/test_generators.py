"""What every generator must do beyond what every estimator must (``tests/test_conformance.py``)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from cellixir.exceptions import (
    BundleError,
    ConfigurationError,
    DataError,
    DuplicateIds,
    InvalidValues,
    NotFitted,
    UnknownIds,
)
from cellixir.synthesis import Generator, load_generator, make_generator

#: Settings with which a generator is fitted in a second.
QUICK: dict[str, dict[str, Any]] = {
    "gaussian": {"rank": 4},
    "copula": {"rank": 4},
    "gan": {"hidden": 16, "max_epochs": 3},
    "wgan-gp": {"hidden": 16, "max_epochs": 3},
    "cvae": {"latent": 3, "hidden": 8, "max_epochs": 3},
    "vae": {"latent": 3, "hidden": 8, "max_epochs": 3},
}
names = pytest.mark.parametrize("name", sorted(QUICK))


def small(count_data: ad.AnnData) -> ad.AnnData:
    return count_data[:120].copy()


def quick(name: str, **settings: Any) -> Generator:
    return make_generator(name, **(QUICK[name] | {"condition": ["group", "batch"]} | settings))


@pytest.fixture(scope="module")
def fitted(count_data: ad.AnnData) -> dict[str, Generator]:
    return {name: quick(name).fit(small(count_data)) for name in QUICK}


def same(one: ad.AnnData, other: ad.AnnData) -> bool:
    a, b = (x.X.toarray() if sp.issparse(x.X) else x.X for x in (one, other))
    return np.array_equal(a, b) and one.obs.equals(other.obs)


def scaled(count_data: ad.AnnData, scale: str) -> ad.AnnData:
    """The samples on another scale, dense."""
    found, counts = small(count_data), small(count_data).X.toarray()
    cpm = counts / counts.sum(axis=1, keepdims=True) * 1e4
    log = np.log1p(cpm)
    by_scale = {
        "log1p_cpm": log,
        "log2_tpm": log / np.log(2),
        "binary": counts > 2,
        "fraction": counts / counts.sum(axis=1, keepdims=True),
        "zscore": (log - log.mean(axis=0)) / (log.std(axis=0) + 1e-3),
        "unknown": log * 10 - 30,
    }
    found.X = by_scale[scale].astype(np.float32)
    found.uns = {"scale": scale}
    return found


# -- what is drawn -----------------------------------------------------------------------------------------------------


@names
def test_samples_are_of_the_kind_of_the_fit(name, fitted, count_data, tmp_path):
    found = fitted[name].sample(30)
    assert found.shape == (30, count_data.n_vars)
    assert list(found.var_names) == list(count_data.var_names)
    assert (list(found.obs_names[:2]), found.obs_names[-1]) == (["synthetic_0", "synthetic_1"], "synthetic_29")
    assert (found.uns["scale"], bool(found.uns["synthetic"]), found.uns["generator"]) == ("counts", True, name)
    assert list(found.obs.columns) == ["group", "batch"]
    assert all(isinstance(found.obs[column].dtype, pd.CategoricalDtype) for column in found.obs)
    found.write_h5ad(tmp_path / "synthetic.h5ad")
    assert same(ad.read_h5ad(tmp_path / "synthetic.h5ad"), found)


@names
def test_counts_are_whole_sparse_and_not_negative(name, fitted):
    values = fitted[name].sample(200).X
    assert isinstance(values, sp.csr_matrix)
    assert values.dtype == np.float32
    assert values.data.min() > 0
    assert np.array_equal(values.data, np.rint(values.data))


@names
def test_constant_genes_are_put_back(name, fitted):
    values = fitted[name].sample(50).X.toarray()
    assert (values[:, 15] == 3).all()
    assert (values[:, 25] == 0).all()
    assert any("2 of 40 genes are constant" in note for note in fitted[name].notes_)


@names
@pytest.mark.parametrize("scale", ["log1p_cpm", "log2_tpm", "binary", "fraction", "zscore", "unknown"])
def test_other_scales_keep_their_limits(name, scale, count_data):
    given = scaled(count_data, scale)
    found = quick(name).fit(given).sample(40)
    assert isinstance(found.X, np.ndarray)
    assert found.uns["scale"] == scale
    assert np.isfinite(found.X).all()
    if scale in {"log1p_cpm", "log2_tpm", "fraction", "binary"}:
        assert found.X.min() >= 0
    if scale in {"fraction", "binary"}:
        assert found.X.max() <= 1
    if scale == "binary":
        assert set(np.unique(found.X)) <= {0, 1}


# -- repeatable --------------------------------------------------------------------------------------------------------


@names
def test_a_seed_of_a_draw_gives_the_same_bytes_and_another_others(name, fitted):
    model = fitted[name]
    assert same(model.sample(20, seed=3), model.sample(20, seed=3))
    assert not same(model.sample(20, seed=3), model.sample(20, seed=4))
    assert same(model.sample(20), model.sample(20, seed=0))


@names
def test_a_bundle_draws_the_same_bits(name, fitted, tmp_path):
    model = fitted[name]
    path = model.save(tmp_path / "bundle")
    loaded = load_generator(path)
    assert type(loaded) is type(model)
    assert same(loaded.sample(25, seed=1), model.sample(25, seed=1))
    assert same(loaded.sample(5, given={"group": "old"}), model.sample(5, given={"group": "old"}))
    assert (loaded.card(), loaded.notes_, loaded.n_samples_) == (model.card(), model.notes_, model.n_samples_)
    pd.testing.assert_frame_equal(loaded.history_, model.history_)
    assert type(model).load(path).seed == model.seed


@names
def test_the_card_says_what_was_learned_and_what_it_may_give_away(name, fitted):
    card = fitted[name].card()
    assert "120 samples x 40 genes: counts" in card
    assert "group (old, young); batch (b1, b2); 4 combinations seen" in card
    assert "may give away" in card
    assert fitted[name].fingerprint_ in card


# -- conditions --------------------------------------------------------------------------------------------------------


@names
def test_conditions_asked_for_are_met(name, fitted):
    found = fitted[name].sample(40, given={"group": "old", "batch": "b2"})
    assert set(found.obs["group"]) == {"old"}
    assert set(found.obs["batch"]) == {"b2"}


@names
def test_what_was_never_seen_is_refused(name, fitted):
    with pytest.raises(UnknownIds, match="no sample of the fit had group=middle; seen were 'old', 'young'"):
        fitted[name].sample(3, given={"group": "middle"})
    with pytest.raises(ConfigurationError, match=r"'tissue' is not a condition .* it knows 'group', 'batch'"):
        fitted[name].sample(3, given={"tissue": "liver"})


@names
def test_a_combination_of_one_sample_can_be_drawn(name, count_data):
    given = small(count_data)
    given.obs.loc["s5", "group"] = "rare"
    found = quick(name, condition=["group"]).fit(given).sample(3, given={"group": "rare"})
    assert set(found.obs["group"]) == {"rare"}
    assert np.isfinite(found.X.toarray()).all()


@names
def test_no_condition_is_fine(name, count_data):
    found = quick(name, condition=[]).fit(small(count_data)).sample(4)
    assert found.obs.shape == (4, 0)


# -- what cannot be learned from ---------------------------------------------------------------------------------------


def spoilt(count_data: ad.AnnData, value: float) -> ad.AnnData:
    found = small(count_data)
    found.X = found.X.toarray()
    found.X[3, 2] = value
    return found


@names
def test_bad_samples_are_refused_with_the_place(name, count_data):
    few = 5
    with pytest.raises(DataError, match=rf"^{few} samples are too few to learn from; give \d+ or more"):
        quick(name).fit(count_data[:few].copy())
    twice = small(count_data)
    twice.var_names = ["g0", *twice.var_names[1:-1], "g0"]
    with pytest.raises(DuplicateIds, match="'g0'"):
        quick(name).fit(twice)
    for value, shown in ((np.nan, "nan"), (np.inf, "inf")):
        with pytest.raises(InvalidValues, match=f"'g2' in cell 's3' is {shown}"):
            quick(name).fit(spoilt(count_data, value))
    for value, shown in ((-1, "-1"), (0.5, "0.5")):
        with pytest.raises(InvalidValues, match=f"says 'counts', but gene 'g2' of sample 's3' is {shown}"):
            quick(name).fit(spoilt(count_data, value))
    flat = small(count_data)
    flat.X = np.full(flat.shape, 2, dtype=np.float32)
    with pytest.raises(InvalidValues, match="no gene varies over the 120 samples"):
        quick(name).fit(flat)
    with pytest.raises(UnknownIds, match="no column 'grup'"):
        quick(name, condition=["grup"]).fit(small(count_data))


@names
def test_bad_requests_are_refused(name, fitted):
    with pytest.raises(NotFitted, match="has not been fitted"):
        quick(name).sample(3)
    for n in (0, -1, 2.5, True):
        with pytest.raises(ConfigurationError, match="cannot be drawn"):
            fitted[name].sample(n)
    with pytest.raises(ConfigurationError, match="seed=-1"):
        fitted[name].sample(3, seed=-1)
    with pytest.raises(ConfigurationError, match="seed=-2"):
        quick(name, seed=-2)


@names
def test_empty_samples_are_left_out_with_a_note(name, count_data):
    given = small(count_data)
    given.X = given.X.toarray()
    given.X[7] = 0
    model = quick(name).fit(given)
    assert model.n_samples_ == 119
    assert "1 of 120 samples have no counts and were left out" in model.notes_
    assert model.sample(100).X.sum(axis=1).min() > 0


@names
def test_a_scale_that_is_not_recorded_is_told_from_the_values(name, count_data):
    given = small(count_data)
    del given.uns["scale"]
    model = quick(name).fit(given)
    assert model.scale_ == model.sample(2).uns["scale"] == "counts"
    assert any("were taken as counts" in note for note in model.notes_)


@names
def test_samples_on_disk_give_the_same(name, fitted, count_data, tmp_path):
    small(count_data).write_h5ad(tmp_path / "samples.h5ad")
    backed = ad.read_h5ad(tmp_path / "samples.h5ad", backed="r")
    try:
        model = quick(name).fit(backed)
    finally:
        backed.file.close()
    assert any("read from disk into memory" in note for note in model.notes_)
    assert same(model.sample(20), fitted[name].sample(20))


@names
def test_a_cut_bundle_is_refused(name, fitted, tmp_path: Path):
    path = fitted[name].save(tmp_path / "bundle")
    facts = json.loads((path / "model.json").read_text())
    del facts["conditions"]
    (path / "model.json").write_text(json.dumps(facts))
    with pytest.raises(BundleError, match="do not belong together"):
        load_generator(path)


@pytest.mark.parametrize("name", ["vae", "cvae"])
def test_one_gene_is_too_few_for_a_vae(name: str, count_data: ad.AnnData) -> None:
    with pytest.raises(InvalidValues, match="1 gene varies over the samples; this model needs 2 or more"):
        quick(name).fit(small(count_data)[:, :1].copy())


def test_linear_values_with_a_long_tail_are_for_the_copula_alone() -> None:
    x = np.exp(np.random.default_rng(0).normal(2, 2.5, (80, 30))).astype(np.float32)
    with pytest.raises(InvalidValues, match=r"give log2\(1 \+ x\), or use the copula"):
        make_generator("gaussian").fit(x)
    made = make_generator("copula").fit(x).sample(200).X
    assert np.median(made) == pytest.approx(np.median(x), rel=0.2)
    assert (made == made.min()).mean() < 0.01
    logs = make_generator("gaussian").fit(np.log2(1 + x)).sample(200).X
    assert np.median(logs) == pytest.approx(np.median(np.log2(1 + x)), rel=0.2)
