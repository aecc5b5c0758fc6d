"""The VAE: repeatable, blind to the order of genes, the same from disk, right about what was planted."""

from __future__ import annotations

import warnings
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from scipy import stats
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from sklearn.neighbors import KNeighborsClassifier

from cellixir.data.expression.read import read_expression
from cellixir.data.simulate.cells import simulate_cells
from cellixir.embedding import preparation
from cellixir.embedding.preparation import split_validation
from cellixir.embedding.vae import VAE
from cellixir.exceptions import (
    CellixirError,
    ConfigurationError,
    DataError,
    DuplicateIds,
    GeneMismatch,
    InvalidValues,
    NotFitted,
    UnknownIds,
)
from cellixir.training import TrainingConfig

N, GENES = 800, 200
SMALL = {"latent": 4, "hidden": 16, "max_epochs": 3, "device": "cpu"}


@pytest.fixture(scope="module")
def cells() -> ad.AnnData:
    """Strong types, weak batches."""
    found, _ = simulate_cells(N, GENES, n_types=4, type_strength=1.5, density=0.3, n_pathways=10, n_active=2)
    return found


@pytest.fixture(scope="module")
def model(cells: ad.AnnData) -> VAE:
    return VAE(**SMALL).fit(cells)


@pytest.fixture(scope="module")
def trained(cells: ad.AnnData) -> VAE:
    """Fitted on three quarters of the cells, for as long as it takes."""
    return VAE(latent=5, hidden=32, max_epochs=30, device="cpu").fit(cells[: 3 * N // 4])


def weights(of: VAE) -> dict[str, np.ndarray]:
    return of.state()[0]


def same(one: VAE, other: VAE) -> bool:
    return all(np.array_equal(a, weights(other)[name]) for name, a in weights(one).items())


def dense(cells: ad.AnnData) -> ad.AnnData:
    found = cells.copy()
    found.X = found.X.toarray()
    return found


def log_values(cells: ad.AnnData) -> ad.AnnData:
    found = dense(cells)
    found.X = np.log1p(found.X / found.X.sum(axis=1, keepdims=True) * 1e4)
    found.uns["scale"] = "log1p_cpm"
    return found


# -- repeatable --------------------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_bits_and_another_seed_others(cells, model):
    assert same(model, VAE(**SMALL).fit(cells))
    assert not same(model, VAE(**SMALL, seed=1).fit(cells))


def test_a_fit_leaves_its_input_and_the_global_generators_alone(cells):
    import torch

    before, state = cells.copy(), torch.get_rng_state()
    np_state = np.random.get_state()[1].copy()  # noqa: NPY002
    VAE(**SMALL).fit(cells).transform(cells)
    assert (before.X != cells.X).nnz == 0
    assert torch.equal(state, torch.get_rng_state())
    assert np.array_equal(np_state, np.random.get_state()[1])  # noqa: NPY002


def test_a_bundle_embeds_to_identical_numbers(cells, model, tmp_path):
    loaded = VAE.load(model.save(tmp_path / "bundle"))
    assert np.array_equal(loaded.transform(cells), model.transform(cells))
    assert np.array_equal(loaded.elbo(cells), model.elbo(cells))
    pd.testing.assert_frame_equal(loaded.loadings(), model.loadings())
    pd.testing.assert_frame_equal(loaded.history_, model.history_)
    assert loaded.card() == model.card()


def test_a_bundle_keeps_head_batches_and_pathways(cells, tmp_path):
    sets = {"one": list(cells.var_names[:20]), "two": list(cells.var_names[30:60])}
    fitted = VAE(**SMALL, batch_key="batch", label_key="cell_type", gene_sets=sets, library="learned").fit(cells)
    loaded = VAE.load(fitted.save(tmp_path / "bundle"))
    pd.testing.assert_frame_equal(loaded.predict(cells), fitted.predict(cells))
    pd.testing.assert_frame_equal(loaded.embed(cells), fitted.embed(cells))
    assert np.array_equal(loaded.elbo(cells), fitted.elbo(cells))


class Killed(Exception):
    """Stands for the end of the process."""


@pytest.mark.parametrize("settings", [{}, {"kl_warmup": 0.5, "label_key": "cell_type"}])
def test_a_killed_run_goes_on_to_the_same_bits(cells, tmp_path, settings):
    asked = SMALL | {"max_epochs": 4} | settings

    def kill(epoch, n_epochs) -> None:
        assert n_epochs == 4
        if epoch.epoch == 1:
            raise Killed

    with pytest.raises(Killed):
        VAE(**asked).fit(cells, checkpoint=tmp_path / "run", on_epoch=kill)
    seen = []
    resumed = VAE(**asked).fit(cells, checkpoint=tmp_path / "run", on_epoch=lambda epoch, _: seen.append(epoch.epoch))
    whole = VAE(**asked).fit(cells)
    assert seen == [2, 3]
    assert same(resumed, whole)
    pd.testing.assert_frame_equal(resumed.history_.drop(columns="seconds"), whole.history_.drop(columns="seconds"))
    with pytest.raises(ConfigurationError, match="other settings or data"):
        VAE(**asked | {"hidden": 17}).fit(cells, checkpoint=tmp_path / "run")


# -- storage -----------------------------------------------------------------------------------------------------------


def test_sparse_cells_and_dense_ones_make_the_same_model(cells, model):
    written_out = dense(cells)
    np.testing.assert_allclose(model.transform(written_out), model.transform(cells), atol=1e-4)
    np.testing.assert_allclose(model.elbo(written_out), model.elbo(cells), rtol=1e-5)
    np.testing.assert_allclose(VAE(**SMALL).fit(written_out).transform(cells), model.transform(cells), atol=1e-2)


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


def test_permuted_and_extra_genes_change_nothing(cells, model):
    order = np.random.default_rng(0).permutation(GENES)
    np.testing.assert_allclose(model.transform(cells[:, order]), model.transform(cells), atol=1e-5)
    values = dense(cells)
    assert np.array_equal(model.transform(values[:, order]), model.transform(values))
    extra = ad.AnnData(sp.csr_matrix(np.ones((N, 3), dtype=np.float32)), obs=cells.obs)
    extra.var_names = ["A", "B", "C"]
    both = ad.concat([extra, cells], axis=1)
    np.testing.assert_allclose(model.transform(both), model.transform(cells), atol=1e-5)


def test_a_query_without_a_third_of_the_genes_is_refused_and_a_tenth_is_filled_when_asked(cells, model):
    with pytest.raises(GeneMismatch, match=r"60 of the model's 200 genes \(30%\)"):
        model.transform(cells[:, 60:])
    fewer = cells[:, 20:]
    with pytest.raises(GeneMismatch, match='missing="fill"'):
        model.transform(fewer)
    found = model.transform(fewer, missing="fill")
    assert "20 of the model's 200 genes" in model.query_notes_[0]
    assert np.corrcoef(found[:, 0], model.transform(cells)[:, 0])[0, 1] > 0.8


def test_genes_that_are_filled_in_stand_at_their_mean_in_values(cells):
    values = log_values(cells)
    fitted = VAE(**SMALL).fit(values)
    fewer = values[:, 15:]
    filled = values.copy()
    filled.X[:, :15] = fitted.scaling_.mean.numpy()[:15]
    np.testing.assert_allclose(fitted.transform(fewer, missing="fill"), fitted.transform(filled), atol=1e-6)


def test_repeated_genes_are_refused(cells, model):
    twice = cells.copy()
    twice.var_names = [*cells.var_names[:-1], cells.var_names[0]]
    for action in (VAE(**SMALL).fit, model.transform):
        with pytest.raises(DuplicateIds, match=cells.var_names[0]):
            action(twice)


# -- what data are refused or left out ---------------------------------------------------------------------------------


def test_a_likelihood_that_the_data_are_not_about_is_refused(cells, model):
    values = log_values(cells)
    for likelihood in ("nb", "zinb"):
        with pytest.raises(InvalidValues, match="gaussian"):
            VAE(likelihood, **SMALL).fit(values)
    with pytest.raises(InvalidValues, match="nb"):
        VAE("gaussian", **SMALL).fit(cells)
    with pytest.raises(InvalidValues, match="bernoulli"):
        VAE("bernoulli", **SMALL).fit(cells)
    with pytest.raises(InvalidValues, match="log1p_cpm"):
        model.transform(values)
    del values.uns["scale"]
    with pytest.raises(InvalidValues, match=r"gene 'GENE.*' in cell 'CELL.*' is .* counts"):
        model.transform(values)


@pytest.mark.parametrize("likelihood", ["nb", "zinb", "gaussian", "bernoulli"])
def test_each_likelihood_learns_and_auto_takes_the_one_that_fits(cells, likelihood):
    given = {"gaussian": log_values(cells), "bernoulli": dense(cells)}.get(likelihood, cells)
    if likelihood == "bernoulli":
        given.X = (given.X > 0).astype(np.float32)
        given.uns["scale"] = "binary"
    fitted = VAE(likelihood, **SMALL | {"max_epochs": 12}).fit(given)
    losses = fitted.history_["train_loss"]
    slack = 1e-3 * losses[0] if likelihood == "gaussian" else 0  # it starts at the best linear model
    assert losses.iloc[-1] < losses[0] + slack
    assert np.isfinite(fitted.elbo(given)).all()
    expected = fitted.expression(given)
    assert expected.shape == given.shape
    assert np.corrcoef(expected.mean(axis=0), np.asarray(given.X.mean(axis=0)).ravel())[0, 1] > 0.9
    if likelihood != "zinb":
        assert VAE(**SMALL | {"max_epochs": 1}).fit(given).likelihood_ == likelihood
    if likelihood == "bernoulli":
        given.X[3, 4] = 2
        with pytest.raises(InvalidValues, match=f"gene '{given.var_names[4]}' in cell '{given.obs_names[3]}' is 2"):
            fitted.transform(given)


def test_cells_without_counts_are_left_out_of_the_fit_and_counted(cells):
    holes = dense(cells)
    holes.X[[1, 5, 9]] = 0
    fitted = VAE(**SMALL).fit(holes)
    assert fitted.notes_ == ["3 cells without a count were left out of the fit"]
    assert sum(fitted.n_cells_.values()) == N - 3
    assert np.isfinite(fitted.transform(holes)).all()
    rest = np.setdiff1d(np.arange(N), [1, 5, 9])
    assert fitted.score(holes) == pytest.approx(fitted.elbo(holes)[rest].mean())


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_values_that_are_no_numbers_are_refused_with_cell_and_gene(cells, model, wrong):
    broken = dense(cells)
    broken.X[7, 11] = wrong
    where = f"gene '{cells.var_names[11]}' in cell '{cells.obs_names[7]}'"
    for action in (VAE(**SMALL).fit, model.transform):
        with pytest.raises(InvalidValues, match=where):
            action(broken)


def test_too_few_cells_are_refused(cells, model):
    with pytest.raises(DataError, match="9 cells"):
        VAE(**SMALL).fit(cells[:9])
    assert VAE(**SMALL).fit(cells[:10]).transform(cells).shape == (N, 4)
    with pytest.raises(DataError, match="no cells"):
        model.transform(cells[:0])


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


# -- batches and library -----------------------------------------------------------------------------------------------


def test_batches_are_mixed_where_the_decoder_knows_them_and_types_are_kept():
    strong, truth = simulate_cells(800, 200, n_types=3, type_strength=1.5, batch_strength=1.0, density=0.3, seed=1)
    asked = {"latent": 5, "hidden": 32, "max_epochs": 30, "device": "cpu"}

    def purity(latents: np.ndarray, of: pd.Series) -> float:
        near = KNeighborsClassifier(15).fit(latents, of).kneighbors(return_distance=False)
        return float(np.mean(of.to_numpy()[near] == of.to_numpy()[:, None]))

    plain = VAE(**asked).fit(strong).transform(strong)
    corrected = VAE(**asked, batch_key="batch").fit(strong)
    latents = corrected.transform(strong)
    assert purity(plain, truth.batches) > 0.9
    assert purity(latents, truth.batches) < 0.7
    assert purity(latents, truth.cell_types) > 0.85
    unseen = strong.copy()
    unseen.obs["batch"] = "another"
    assert np.isfinite(corrected.elbo(unseen)).all()
    assert corrected.elbo(unseen).mean() < corrected.elbo(strong).mean()
    del unseen.obs["batch"]
    assert np.array_equal(corrected.transform(unseen), latents)


def test_a_learned_library_is_not_far_from_an_observed_one(cells):
    asked = SMALL | {"max_epochs": 20}
    observed, learned = (VAE(**asked, library=how).fit(cells) for how in ("observed", "learned"))
    found = learned.elbo(cells)
    assert np.isfinite(found).all()
    assert found.mean() > observed.elbo(cells).mean() - 0.1 * abs(observed.elbo(cells).mean())
    assert observed.network_.shape.learned_library is False


# -- head --------------------------------------------------------------------------------------------------------------


def test_a_head_learns_from_a_fifth_of_the_labels(cells):
    rng = np.random.default_rng(0)
    few = cells.copy()
    few.obs["cell_type"] = few.obs["cell_type"].where(rng.random(N) < 0.2)
    fitted = VAE(latent=5, hidden=32, max_epochs=60, label_key="cell_type", device="cpu").fit(few[: 3 * N // 4])
    assert fitted.classes_ == ["type 1", "type 2", "type 3", "type 4"]
    held_out = cells[3 * N // 4 :]
    found = fitted.predict(held_out)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
    assert list(found.index) == list(held_out.obs_names)
    right = np.mean(found.idxmax(axis=1) == held_out.obs["cell_type"].astype(str))
    assert right > held_out.obs["cell_type"].value_counts(normalize=True).max() + 0.4


def test_a_head_needs_two_classes(cells):
    one = cells.copy()
    one.obs["cell_type"] = "T cell"
    with pytest.raises(ConfigurationError, match="'cell_type' names 1 classes"):
        VAE(**SMALL, label_key="cell_type").fit(one)


# -- validation --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_groups", [3, 4, 30])
@pytest.mark.parametrize("most", [10_000, 20])
def test_no_patient_is_on_both_sides(monkeypatch, n_groups, most):
    monkeypatch.setattr(preparation, "MOST_VALIDATION", most)
    rng = np.random.default_rng(0)
    groups = pd.Series(rng.choice([f"p{i}" for i in range(n_groups)], 300)).where(rng.random(300) < 0.95)
    rows = np.flatnonzero(rng.random(300) < 0.9)
    for seed in range(5):
        train, validation = split_validation(rows, groups, seed)
        assert not set(groups.iloc[train].fillna("?")) & set(groups.iloc[validation].fillna("?"))
        assert len(train) > len(validation) > 0
        assert len(validation) <= most
        assert set(train) | set(validation) <= set(rows)


def test_validation_is_a_tenth_and_patients_are_used_by_the_fit(cells):
    train, validation = split_validation(np.arange(N), None, 0)
    assert (len(train), len(validation)) == (720, 80)
    fitted = VAE(**SMALL, group_key="patient").fit(cells)
    sizes = cells.obs["patient"].value_counts()
    assert fitted.n_cells_["validation"] in set(sizes)
    with pytest.raises(ConfigurationError, match="2 groups"):
        VAE(**SMALL, group_key="batch").fit(cells)


# -- pathways ----------------------------------------------------------------------------------------------------------


def test_a_pathway_is_a_latent_with_its_genes_only(cells):
    sets = {"one": list(cells.var_names[:20]), "two": list(cells.var_names[30:60]), "tiny": ["GENE0001", "elsewhere"]}
    fitted = VAE(**SMALL, gene_sets=sets, n_free=2).fit(cells)
    assert fitted.latent_names_ == ["one", "two", "free 1", "free 2"]
    loadings = fitted.loadings()
    outside = loadings.drop(index=sets["one"])["one"]
    assert (outside == 0).all()
    assert (loadings.loc[sets["one"], "one"] != 0).any()
    assert (loadings["free 1"] != 0).mean() > 0.9
    assert list(fitted.embed(cells).columns) == fitted.latent_names_
    none = VAE(**SMALL, gene_sets=sets, n_free=0).fit(cells)
    assert none.latent_names_ == ["one", "two"]
    with pytest.raises(CellixirError):
        VAE(**SMALL, gene_sets={"x": ["elsewhere"] * 9}).fit(cells)


# -- quality -----------------------------------------------------------------------------------------------------------


def test_it_explains_held_out_cells_better_than_gene_means(cells, trained):
    known, held_out = cells[: 3 * N // 4].X.toarray(), cells[3 * N // 4 :]
    share = (known.sum(axis=0) + 0.5) / (known.sum() + 0.5 * GENES)
    x = held_out.X.toarray()
    mean = x.sum(axis=1, keepdims=True) * share

    def log_likelihood(log_theta: float) -> float:
        theta = np.exp(log_theta)
        return stats.nbinom.logpmf(x, theta, theta / (theta + mean)).sum(axis=1).mean()

    of_means = max(log_likelihood(log_theta) for log_theta in np.linspace(-2, 5, 15))
    assert trained.score(held_out) > of_means + 2


def test_planted_types_are_clusters(cells, trained):
    found = KMeans(4, n_init=5, random_state=0).fit_predict(trained.transform(cells))
    assert adjusted_rand_score(cells.obs["cell_type"], found) > 0.8


def test_latents_are_ordered_and_loadings_of_length_one(cells, trained):
    spread = trained.transform(cells[: 3 * N // 4]).var(axis=0)
    assert (np.diff(spread) < 0.02 * spread[0]).all()
    np.testing.assert_allclose(np.linalg.norm(trained.loadings(), axis=0), 1, rtol=1e-4)


def test_the_bound_is_lower_than_its_likelihood_and_repeatable(cells, model):
    assert np.array_equal(model.elbo(cells), model.elbo(cells))
    few, many = model.elbo(cells, n_draws=5, seed=1).mean(), model.elbo(cells, n_draws=40, seed=2).mean()
    assert few == pytest.approx(many, rel=0.01)
    assert -model.history_["validation_loss"].min() == pytest.approx(many, rel=0.1)


def test_paths_may_be_text(cells, tmp_path: Path):
    fitted = VAE(**SMALL | {"max_epochs": 1}).fit(cells, checkpoint=tmp_path / "run")
    assert (tmp_path / "run").is_file()
    assert VAE.load(str(fitted.save(str(tmp_path / "bundle")))).genes_ == fitted.genes_


def test_a_checkpoint_of_other_labels_is_refused(tmp_path: Path) -> None:
    cells = ad.AnnData(np.random.default_rng(0).poisson(2.0, (60, 20)).astype(np.float32))
    cells.obs["type"] = ["a", "b"] * 30
    settings = {"latent": 2, "hidden": 8, "max_epochs": 2, "label_key": "type"}
    VAE("nb", **settings).fit(cells, checkpoint=tmp_path / "checkpoint")
    cells.obs["type"] = ["a"] * 30 + ["b"] * 30
    with pytest.raises(ConfigurationError, match="other settings or data"):
        VAE("nb", **settings).fit(cells, checkpoint=tmp_path / "checkpoint")


def test_a_batch_of_one_cell_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="batch_size must be 2 or more"):
        VAE(training=TrainingConfig(batch_size=1))
