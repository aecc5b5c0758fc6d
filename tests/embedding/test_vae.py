"""What a VAE finds: the same for the same seed, and what was planted."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from sklearn.neighbors import KNeighborsClassifier

from cellixir.data.simulate import simulate_single_cell
from cellixir.embedding.vae import VAE
from cellixir.exceptions import CellixirError, InvalidValues

SMALL = {"latent": 4, "hidden": 16, "max_epochs": 3, "device": "cpu"}
N, GENES = 800, 200  # of the shared cells


@pytest.fixture(scope="module")
def trained(cells: ad.AnnData) -> VAE:
    """Fitted on three quarters of the cells, for as long as it takes."""
    return VAE(latent=5, hidden=32, max_epochs=30, device="cpu").fit(cells[: 3 * N // 4])


def weights(of: VAE) -> dict[str, np.ndarray]:
    return of.state()[0]


def same(one: VAE, other: VAE) -> bool:
    return all(np.array_equal(a, weights(other)[name]) for name, a in weights(one).items())


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


# -- likelihoods -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("likelihood", ["nb", "zinb", "gaussian", "bernoulli"])
def test_each_likelihood_learns_and_auto_takes_the_one_that_fits(cells, dense_cells, log_cells, likelihood):
    given = {"gaussian": log_cells, "bernoulli": dense_cells}.get(likelihood, cells)
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


def test_the_bound_is_lower_than_its_likelihood_and_repeatable(cells, model):
    assert np.array_equal(model.elbo(cells), model.elbo(cells))
    few, many = model.elbo(cells, n_draws=5, seed=1).mean(), model.elbo(cells, n_draws=40, seed=2).mean()
    assert few == pytest.approx(many, rel=0.01)
    assert -model.history_["validation_loss"].min() == pytest.approx(many, rel=0.1)


# -- batches and library -----------------------------------------------------------------------------------------------


def test_batches_are_mixed_where_the_decoder_knows_them_and_types_are_kept():
    strong = simulate_single_cell(
        800,
        200,
        n_types=3,
        n_groups=1,
        library_size=(300, 0.4),
        type_strength=1.5,
        batch_strength=1.0,
        dropout=0,
        seed=1,
    )
    asked = {"latent": 5, "hidden": 32, "max_epochs": 30, "device": "cpu"}

    def purity(latents: np.ndarray, of: pd.Series) -> float:
        near = KNeighborsClassifier(15).fit(latents, of).kneighbors(return_distance=False)
        return float(np.mean(of.to_numpy()[near] == of.to_numpy()[:, None]))

    plain = VAE(**asked).fit(strong).transform(strong)
    corrected = VAE(**asked, batch_key="batch").fit(strong)
    latents = corrected.transform(strong)
    assert purity(plain, strong.obs["batch"]) > 0.9
    assert purity(latents, strong.obs["batch"]) < 0.7
    assert purity(latents, strong.obs["cell_type"]) > 0.85
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


# -- head and pathways -------------------------------------------------------------------------------------------------


def test_a_head_learns_from_a_fifth_of_the_labels(cells):
    rng = np.random.default_rng(0)
    few = cells.copy()
    few.obs["cell_type"] = few.obs["cell_type"].where(rng.random(N) < 0.2)
    fitted = VAE(latent=5, hidden=32, max_epochs=60, label_key="cell_type", device="cpu").fit(few[: 3 * N // 4])
    assert fitted.classes_ == ["type1", "type2", "type3", "type4"]
    held_out = cells[3 * N // 4 :]
    found = fitted.predict(held_out)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
    assert list(found.index) == list(held_out.obs_names)
    right = np.mean(found.idxmax(axis=1) == held_out.obs["cell_type"].astype(str))
    assert right > held_out.obs["cell_type"].value_counts(normalize=True).max() + 0.4


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
