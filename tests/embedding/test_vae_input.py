"""What a VAE takes: sparse, dense or on disk, genes in any order; and what it refuses."""

from __future__ import annotations

import warnings

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp

from cellixir.data.expression.read import read_expression
from cellixir.embedding.vae import VAE
from cellixir.exceptions import (
    ConfigurationError,
    DuplicateIds,
    GeneMismatch,
    InvalidValues,
    NotFitted,
    UnknownIds,
)
from cellixir.training import TrainingConfig

SMALL = {"latent": 4, "hidden": 16, "max_epochs": 3, "device": "cpu"}


# -- storage -----------------------------------------------------------------------------------------------------------


def test_sparse_cells_and_dense_ones_make_the_same_model(cells, dense_cells, model):
    np.testing.assert_allclose(model.transform(dense_cells), model.transform(cells), atol=1e-4)
    np.testing.assert_allclose(model.elbo(dense_cells), model.elbo(cells), rtol=1e-5)
    np.testing.assert_allclose(VAE(**SMALL).fit(dense_cells).transform(cells), model.transform(cells), atol=1e-2)


@pytest.mark.parametrize("kind", ["h5ad", "zarr"])
def test_cells_on_disk_are_embedded_and_learned_from_as_in_memory(cells, model, tmp_path, kind):
    path = tmp_path / f"cells.{kind}"
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Writing zarr v2|zarr v3 autosharding|Consolidated metadata")
        (cells.write_h5ad if kind == "h5ad" else cells.write_zarr)(path)
    backed = read_expression(path, backed=True)
    np.testing.assert_allclose(model.transform(backed), model.transform(cells), atol=1e-6)
    fitted = VAE(**SMALL).fit(backed)
    assert fitted.score(cells) == pytest.approx(model.score(cells), rel=0.01)
    assert fitted.history_["train_loss"].iloc[-1] < fitted.history_["train_loss"].iloc[0]


# -- genes -------------------------------------------------------------------------------------------------------------


def test_permuted_and_extra_genes_change_nothing(cells, dense_cells, model):
    order = np.random.default_rng(0).permutation(cells.n_vars)
    np.testing.assert_allclose(model.transform(cells[:, order]), model.transform(cells), atol=1e-5)
    assert np.array_equal(model.transform(dense_cells[:, order]), model.transform(dense_cells))
    extra = ad.AnnData(sp.csr_matrix(np.ones((cells.n_obs, 3), dtype=np.float32)), obs=cells.obs)
    extra.var_names = ["A", "B", "C"]
    both = ad.concat([extra, cells], axis=1)
    np.testing.assert_allclose(model.transform(both), model.transform(cells), atol=1e-5)


def test_a_query_without_a_third_of_the_genes_is_refused_and_a_tenth_is_filled_when_asked(cells, model):
    with pytest.raises(GeneMismatch, match=r"60 of the model's 200 genes \(30%\)"):
        model.transform(cells[:, 60:])
    fewer = cells[:, 20:]
    with pytest.raises(GeneMismatch, match='missing="zero"'):
        model.transform(fewer)
    found = model.transform(fewer, missing="zero")
    assert "20 of the model's 200 genes" in model.query_notes_[0]
    assert np.corrcoef(found[:, 0], model.transform(cells)[:, 0])[0, 1] > 0.8


def test_genes_that_are_filled_in_stand_at_their_mean_in_values(log_cells):
    fitted = VAE(**SMALL).fit(log_cells)
    fewer = log_cells[:, 15:]
    filled = log_cells.copy()
    filled.X[:, :15] = fitted.scaling_.mean.numpy()[:15]
    np.testing.assert_allclose(fitted.transform(fewer, missing="mean"), fitted.transform(filled), atol=1e-6)


def test_repeated_genes_are_refused(cells, model):
    twice = cells.copy()
    twice.var_names = [*cells.var_names[:-1], cells.var_names[0]]
    for action in (VAE(**SMALL).fit, model.transform):
        with pytest.raises(DuplicateIds, match=cells.var_names[0]):
            action(twice)


# -- values ------------------------------------------------------------------------------------------------------------


def test_a_likelihood_that_the_data_are_not_about_is_refused(cells, log_cells, model):
    for likelihood in ("nb", "zinb"):
        with pytest.raises(InvalidValues, match="gaussian"):
            VAE(likelihood, **SMALL).fit(log_cells)
    with pytest.raises(InvalidValues, match="nb"):
        VAE("gaussian", **SMALL).fit(cells)
    with pytest.raises(InvalidValues, match="bernoulli"):
        VAE("bernoulli", **SMALL).fit(cells)
    with pytest.raises(InvalidValues, match="log1p_cpm"):
        model.transform(log_cells)
    del log_cells.uns["scale"]
    with pytest.raises(InvalidValues, match=r"gene 'GENE.*' in cell 'CELL.*' is .* counts"):
        model.transform(log_cells)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_values_that_are_no_numbers_are_refused_with_cell_and_gene(dense_cells, model, wrong):
    dense_cells.X[7, 11] = wrong
    where = f"gene '{dense_cells.var_names[11]}' in cell '{dense_cells.obs_names[7]}'"
    for action in (VAE(**SMALL).fit, model.transform):
        with pytest.raises(InvalidValues, match=where):
            action(dense_cells)


# -- parameters --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {"latent": 0},
        {"hidden": 0},
        {"dropout": 1.5},
        {"beta": -1},
        {"kl_warmup": 2},
        {"likelihood": "poisson"},
        {"library": "guessed"},
        {"activation": "sine"},
        {"max_epochs": 0},
        {"latent": float("nan")},
        {"device": "tpu"},
    ],
    ids=str,
)
def test_parameters_that_cannot_work_are_refused(wrong, cells):
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        VAE(**SMALL | wrong).fit(cells)


def test_a_batch_of_one_cell_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="batch_size must be 2 or more"):
        VAE(training=TrainingConfig(batch_size=1))


def test_more_latents_than_genes_are_refused(cells):
    with pytest.raises(ConfigurationError, match="latent=4 is more than the 3 genes"):
        VAE(**SMALL).fit(cells[:, np.argsort(-np.asarray(cells.X.sum(axis=0)).ravel())[:3]].copy())


def test_what_a_model_cannot_do_yet_is_said(cells, model):
    with pytest.raises(NotFitted, match="fit"):
        VAE().transform(cells)
    with pytest.raises(ConfigurationError, match="label_key"):
        model.predict(cells)
    for key in ("batch_key", "label_key", "group_key"):
        with pytest.raises(UnknownIds, match="there is no column 'donor'"):
            VAE(**SMALL, **{key: "donor"}).fit(cells)
