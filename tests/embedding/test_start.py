"""Where a network starts and in which axes latents are handed out: PCA, probabilistic PCA, decoded distances."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp
import torch
from scipy.spatial.distance import pdist
from sklearn.decomposition import PCA

from cellixir.data.expression.alignment import Aligned
from cellixir.data.expression.matrix import profile
from cellixir.embedding.axes import learn_axes
from cellixir.embedding.batches import Cells
from cellixir.embedding.preparation import learn_scaling
from cellixir.embedding.start import linear_start, start_at_data, start_linear
from cellixir.embedding.task import Annotation, Objective, Scaling
from cellixir.nn.vae import VAENetwork, VAEShape
from cellixir.training import LinearStart

N, GENES, LATENT = 300, 20, 3


def log_values(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    signal = rng.normal(size=(N, LATENT)) * [4, 2, 1] @ rng.normal(size=(LATENT, GENES))
    return (signal + 0.3 * rng.normal(size=(N, GENES)) + 5).astype(np.float32)


def count_values(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rate = np.exp(rng.normal(size=(N, LATENT)) @ rng.normal(size=(LATENT, GENES)) * 0.7)
    found = rng.poisson(3 * rate).astype(np.float32)
    found[:, 0] += 1
    return found


def network(**sizes) -> VAENetwork:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return VAENetwork(VAEShape(GENES, latent=LATENT, hidden=8, **sizes)).eval()


def nothing_known(n: int) -> Annotation:
    return Annotation(np.full(n, -1), np.full(n, -1), np.array([[0, 1]], dtype=np.float32))


def cosines(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Of the principal angles between two subspaces with orthonormal bases."""
    return np.linalg.svd(one.T @ other, compute_uv=False)


def test_axes_of_values_are_those_of_pca():
    x = log_values()
    scaling = Scaling(1.0, torch.zeros(GENES), torch.ones(GENES))
    start = linear_start(Aligned(x, np.arange(GENES)), np.arange(N), scaling, "gaussian", LATENT, 0)
    pca = PCA(LATENT, svd_solver="full").fit(x)
    np.testing.assert_allclose(cosines(start.axes, pca.components_.T), 1, atol=1e-4)
    np.testing.assert_allclose(start.sd**2, pca.explained_variance_, rtol=1e-3)


@pytest.mark.parametrize("kind", [np.asarray, sp.csr_matrix])
def test_axes_of_counts_are_those_of_log_normalised_cells_that_train(kind):
    x = count_values()
    matrix, rows = Aligned(kind(x), np.arange(GENES)), np.arange(0, N, 2)
    scaling = learn_scaling(matrix, rows, profile(ad.AnnData(kind(x))), "nb")
    library = x.sum(axis=1, keepdims=True)
    assert scaling.library_size == np.median(library[rows])
    log = np.log1p(x / library * scaling.library_size)[rows]
    np.testing.assert_allclose(scaling.mean.numpy(), log.mean(axis=0), rtol=1e-5)
    floor = np.median(log.std(axis=0)) / 4
    np.testing.assert_allclose(scaling.sd.numpy(), np.maximum(log.std(axis=0), floor), rtol=1e-4)
    start = linear_start(matrix, rows, scaling, "nb", LATENT, 0)
    pca = PCA(LATENT, svd_solver="full").fit(log)
    np.testing.assert_allclose(cosines(start.axes, pca.components_.T), 1, atol=1e-3)


def test_axes_are_blind_to_what_sets_batches_apart():
    x, batch = log_values(), np.arange(N) % 3
    shift = np.random.default_rng(1).normal(size=(3, GENES)).astype(np.float32) * 20
    scaling = Scaling(1.0, torch.zeros(GENES), torch.ones(GENES))
    matrix, rows = Aligned(x + shift[batch], np.arange(GENES)), np.arange(0, N, 2)
    known, unknown = (linear_start(matrix, rows, scaling, "gaussian", LATENT, 0, b) for b in (batch, None))
    means = np.stack([matrix.take(rows[batch[rows] == code]).mean(axis=0) for code in range(3)])
    apart = means[1:] - means[0]
    apart /= np.linalg.norm(apart, axis=1, keepdims=True)
    np.testing.assert_allclose(apart @ known.axes, 0, atol=1e-3)
    assert np.abs(apart @ unknown.axes).max() > 0.5


def test_more_latents_than_the_data_have_axes_are_left_empty():
    x = log_values()[:2]
    scaling = Scaling(1.0, torch.zeros(GENES), torch.ones(GENES))
    start = linear_start(Aligned(x, np.arange(GENES)), np.arange(2), scaling, "gaussian", LATENT, 0)
    assert start.axes.shape == (GENES, LATENT)
    assert (start.axes[:, 2] == 0).all()
    assert np.isfinite(start.residual).all()


def test_the_encoder_starts_at_the_posterior_of_probabilistic_pca():
    x, variance = log_values(), 2.0
    pca = PCA(LATENT).fit(x)
    sd = np.sqrt(pca.explained_variance_).astype(np.float32)
    start = LinearStart(pca.components_.T.astype(np.float32), sd, np.full(GENES, variance, dtype=np.float32))
    scaling = Scaling(1.0, torch.from_numpy(x.mean(axis=0)), torch.from_numpy(x.std(axis=0)))
    found = network()
    start_linear(found, start, scaling)
    with torch.no_grad():
        mean, log_variance = found.encode(torch.from_numpy(x) / scaling.sd)
    # Tipping and Bishop 1999, eq. 7: M = W'W + variance I, mean M^-1 W'(x - mu), covariance variance M^-1
    w = start.axes * start.sd
    inverse = np.linalg.inv(w.T @ w + variance * np.eye(LATENT))
    np.testing.assert_allclose(mean.numpy(), (x - x.mean(axis=0)) @ w @ inverse, atol=1e-3)
    wanted = np.log(variance * np.diag(inverse))
    np.testing.assert_allclose(log_variance.numpy(), np.tile(np.maximum(wanted, -4), (N, 1)), atol=1e-3)
    with torch.no_grad():
        out, _ = found.decode(torch.eye(LATENT), torch.ones(LATENT, 1))
    np.testing.assert_allclose((out - found.output.bias.detach()).numpy(), w.T, atol=1e-5)


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("likelihood", ["nb", "gaussian", "bernoulli"])
def test_the_decoder_starts_at_the_mean_of_the_data(likelihood, masked):
    x = {"nb": count_values(), "gaussian": log_values(), "bernoulli": (count_values() > 2).astype(np.float32)}
    seen = profile(ad.AnnData(x[likelihood]))
    found = network(masked=masked)
    start_at_data(found, likelihood, seen, None)
    if not masked:
        torch.nn.init.zeros_(found.output.weight)
    with torch.no_grad():
        out, _ = found.decode(torch.zeros(1, LATENT), torch.ones(1, 1))
    made = {"nb": out.softmax(1) * seen.mean.sum(), "gaussian": out, "bernoulli": out.sigmoid()}[likelihood]
    np.testing.assert_allclose(made[0].numpy(), seen.mean.clip(1e-4, None), rtol=1e-3, atol=2e-4)
    assert torch.isfinite(found.log_scale).all()


def test_a_start_bears_genes_without_counts_and_without_spread():
    x = count_values()
    x[:, 1], x[:, 2] = 0, 4
    seen = profile(ad.AnnData(x))
    for likelihood in ("nb", "gaussian", "bernoulli"):
        found = network()
        start_at_data(found, likelihood, seen, None)
        assert torch.isfinite(found.output.bias).all()
        assert torch.isfinite(found.log_scale).all()


def fitted_line(seed: int = 0) -> tuple[Objective, Cells, np.ndarray]:
    """A network whose encoder and decoder are linear and neither orthogonal nor in order."""
    x = log_values()
    found = network()
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        found.output.weight.zero_()
        found.output.weight[:, 8:] = torch.randn(GENES, LATENT, generator=draw) * torch.tensor([0.1, 3.0, 1.0])
        found.posterior.weight.zero_()
        found.input.weight[:, 8:] = torch.randn(GENES, LATENT, generator=draw)
    scaling = Scaling(1.0, torch.zeros(GENES), torch.ones(GENES))
    cells = Cells(Aligned(x, np.arange(GENES)), np.arange(N), on_disk=False)
    return Objective(found, scaling, "gaussian", nothing_known(N)), cells, x


def test_distances_between_latents_are_those_between_decoded_cells():
    objective, cells, x = fitted_line()
    axes = learn_axes(objective, cells, 0)
    loadings = axes.loadings
    with torch.no_grad():
        mean = objective.network.encode(torch.from_numpy(x)).mean
        decoded = objective.network.decode(mean, torch.ones(N, 1))[0].numpy()
    with torch.no_grad():
        latents = axes.of(objective, mean)
    np.testing.assert_allclose(pdist(latents[:50]), pdist(decoded[:50]), rtol=1e-3)
    variance = latents.var(axis=0)
    assert (np.diff(variance) < 0).all()
    np.testing.assert_allclose(variance, PCA(LATENT).fit(decoded).explained_variance_ * (N - 1) / N, rtol=1e-3)
    # loadings: of length one, the strongest above zero, and they lead from latents to decoded cells
    np.testing.assert_allclose(loadings.T @ loadings, np.eye(LATENT), atol=1e-4)
    assert (loadings[np.abs(loadings).argmax(axis=0), range(LATENT)] > 0).all()
    centred = latents - latents.mean(axis=0)
    np.testing.assert_allclose(centred @ loadings.T, decoded - decoded.mean(axis=0), atol=1e-2)


def test_a_pathway_keeps_its_axis_and_rises_with_its_genes():
    found = network(masked=True)
    weights = torch.zeros(GENES, LATENT)
    weights[:6, 0], weights[6:12, 1], weights[12:, 2] = 2.0, -0.5, 1.0
    with torch.no_grad():
        found.weight.copy_(weights)
    x = log_values()
    scaling = Scaling(1.0, torch.zeros(GENES), torch.ones(GENES))
    objective = Objective(found, scaling, "gaussian", nothing_known(N))
    axes = learn_axes(objective, Cells(Aligned(x, np.arange(GENES)), np.arange(N), on_disk=False), 0)
    lengths = np.linalg.norm(weights.numpy(), axis=0)
    loadings = axes.loadings
    np.testing.assert_allclose(axes.scale, lengths * [1, -1, 1], rtol=1e-2, atol=1e-6)
    z = torch.from_numpy(log_values()[:5, :LATENT])
    np.testing.assert_allclose(axes.of(objective, z), z.numpy() * axes.scale)
    np.testing.assert_allclose(loadings, weights.numpy() / lengths * [1, -1, 1], rtol=1e-5)
    assert (loadings[weights.numpy() != 0] > 0).all()
