"""The generating VAEs: planted means, noise and clusters come back, and training adds to the linear model."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest
import torch

from cellixir.exceptions import ConfigurationError
from cellixir.nn.conditional_vae import SEEN, ConditionalVAE, ConditionalVAEShape
from cellixir.synthesis.generator import Generator
from cellixir.synthesis.vae import ConditionalVAEGenerator, VAEGenerator
from cellixir.synthesis.vae_task import Samples, additive_effects, enough_latents, start_at_linear
from cellixir.synthesis.wgan import WGANGPGenerator
from cellixir.training import Epoch

SMALL = {"latent": 4, "hidden": 16, "max_epochs": 8}


def log_values(samples: ad.AnnData) -> np.ndarray:
    counts = samples.X.toarray()
    return np.log2(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1) * 500 + 1)


def fold_changes(samples: ad.AnnData) -> np.ndarray:
    log, old = log_values(samples), (samples.obs["group"] == "old").to_numpy()
    return log[old].mean(axis=0) - log[~old].mean(axis=0)


@pytest.fixture(scope="module")
def counts_model(count_data: ad.AnnData) -> Generator:
    return ConditionalVAEGenerator(condition=["group"], **SMALL).fit(count_data)


def test_fold_changes_means_and_library_sizes_of_counts_come_back(counts_model, count_data):
    found = counts_model.sample(3000, seed=2)
    real, drawn = fold_changes(count_data), fold_changes(found)
    assert (real @ drawn) / (real @ real) == pytest.approx(1, abs=0.1)
    assert np.abs(log_values(found).mean(axis=0) - log_values(count_data).mean(axis=0)).max() < 0.3
    given, new = (np.log(np.maximum(np.asarray(x.X.sum(axis=1)).ravel(), 1)) for x in (count_data, found))
    assert new.mean() == pytest.approx(given.mean(), abs=0.1)
    assert new.std() == pytest.approx(given.std(), rel=0.2)


def test_counts_vary_as_the_data_do(counts_model, count_data):
    found, real = counts_model.sample(3000, seed=3).X.toarray(), count_data.X.toarray()
    varies = real.var(axis=0) > 0
    ratio = found.var(axis=0)[varies] / real.var(axis=0)[varies]
    assert np.median(ratio) == pytest.approx(1, abs=0.2)
    assert (found == 0).mean() == pytest.approx((real == 0).mean(), abs=0.03)
    assert (found[:, 15] == 3).all()
    assert (found[:, 25] == 0).all()


def test_means_spread_and_correlation_of_values_come_back(gaussian_data):
    truth = gaussian_data.uns["truth"]
    model = ConditionalVAEGenerator(condition=["group"], **SMALL).fit(gaussian_data)
    for group, shift in (("young", 0), ("old", truth["shift"])):
        found = model.sample(4000, given={"group": group}, seed=1).X
        assert np.abs((found.mean(axis=0) - truth["mean"] - shift) / truth["sd"]).max() < 0.5
        assert np.median(found.std(axis=0) / truth["sd"]) == pytest.approx(1, abs=0.1)
    upper = np.triu_indices(len(truth["sd"]), 1)
    assert np.corrcoef(np.corrcoef(found.T)[upper], truth["correlation"][upper])[0, 1] > 0.9


def two_moons(n: int, seed: int) -> ad.AnnData:
    """Thirty genes that follow a point on a curve: what no Gaussian can draw."""
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0, 2 * np.pi, n)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1) * 3
    values = circle @ np.random.default_rng(0).normal(0, 1, (2, 30)) + 0.3 * rng.standard_normal((n, 30))
    return ad.AnnData(values.astype(np.float32), uns={"scale": "zscore"})


def test_a_ring_has_a_hole(tmp_path):
    data = two_moons(1500, 1)
    plane = np.linalg.svd(data.X - data.X.mean(axis=0), full_matrices=False)[2][:2].T
    inner = {}
    for name, model in (("vae", VAEGenerator(latent=2, max_epochs=20)), ("one", None)):
        if model is not None:
            points = (model.fit(data).sample(1500, seed=1).X - data.X.mean(axis=0)) @ plane
        else:
            points = np.random.default_rng(0).standard_normal((1500, 2)) * (data.X @ plane).std(axis=0)
        radius = np.linalg.norm(points, axis=1)
        inner[name] = float((radius < 0.5 * np.median(np.linalg.norm(data.X @ plane, axis=1))).mean())
    assert inner["vae"] < 0.3 * inner["one"]


def test_a_vae_that_is_told_nothing_draws_labels_that_fit(count_data):
    model = VAEGenerator(condition=["group"], **SMALL).fit(count_data)
    found = model.sample(2000, seed=1)
    share = (count_data.obs["group"] == "old").mean()
    assert (found.obs["group"] == "old").mean() == pytest.approx(share, abs=0.08)
    real, drawn = fold_changes(count_data), fold_changes(found)
    assert (real @ drawn) / (real @ real) > 0.6
    asked = model.sample(50, given={"group": "old"}, seed=1)
    assert set(asked.obs["group"]) == {"old"}


def far_apart(n_genes: int) -> ad.AnnData:
    """Two groups x two batches, 40 samples each, with noise of standard deviation 1 and means far from each other."""
    rng = np.random.default_rng(0)
    group, batch = np.arange(160) % 2, np.arange(160) // 2 % 2
    values = rng.normal(size=(160, n_genes)).astype(np.float32)
    values[group == 1, : n_genes // 2] += 3
    values[batch == 1, n_genes // 4 :] += 2
    obs = {"group": np.array(["young", "old"])[group], "batch": np.array(["one", "two"])[batch]}
    return ad.AnnData(values, obs=obs, uns={"scale": "zscore"})


def spread_within(samples: ad.AnnData) -> float:
    """Standard deviation within combinations along the direction that the groups differ in."""
    along = samples.X[:, : samples.n_vars // 2].sum(axis=1) / np.sqrt(samples.n_vars // 2)
    codes = (samples.obs["group"].astype(str) + samples.obs["batch"].astype(str)).to_numpy()
    return float(np.sqrt(np.mean([along[codes == code].var() for code in np.unique(codes)])))


def test_training_on_many_genes_does_not_smear_clusters_and_labels_do_not_mix():
    data = far_apart(8_000)
    drawn = VAEGenerator(condition=["group", "batch"], latent=4, hidden=16, max_epochs=20).fit(data).sample(400)
    assert spread_within(data) == pytest.approx(1, abs=0.1)
    # 60 x 3 apart: one sample in a hundred with a wrong label is 19; at the full rate of training it is 8
    assert 0.8 < spread_within(drawn) < 4


def test_the_wasserstein_gan_keeps_combinations_apart_and_tight():
    data = far_apart(2_000)
    model = WGANGPGenerator(condition=["group", "batch"], hidden=32, max_epochs=15)
    assert spread_within(model.fit(data).sample(400)) == pytest.approx(1, abs=0.3)


def test_what_hardly_ever_comes_is_said(count_data):
    model = VAEGenerator(condition=["group"], **SMALL).fit(count_data)
    model.labels_.bias[list(model.conditions_.combinations["group"]).index("old")] -= 1e6
    with pytest.raises(ConfigurationError, match=r"0 of [\d,]+ samples came out as group=old; use one that is told"):
        model.sample(5, given={"group": "old"})


def test_a_stopped_fit_goes_on_to_the_same_bits(count_data, tmp_path):
    def stop(member: int, epoch: Epoch, n: int) -> None:
        if epoch.epoch == 1:
            raise KeyboardInterrupt

    settings = {"condition": ["group"], **SMALL}
    whole = ConditionalVAEGenerator(**settings).fit(count_data)
    with pytest.raises(KeyboardInterrupt):
        ConditionalVAEGenerator(**settings).fit(count_data, checkpoint=tmp_path / "run", on_epoch=stop)
    heard: list[int] = []
    again = ConditionalVAEGenerator(**settings).fit(
        count_data, checkpoint=tmp_path / "run", on_epoch=lambda _, epoch, n: heard.append(epoch.epoch)
    )
    assert heard[0] == 2
    assert np.array_equal(again.sample(20).X.toarray(), whole.sample(20).X.toarray())
    with pytest.raises(ConfigurationError, match="another folder"):
        ConditionalVAEGenerator(**(settings | {"seed": 1})).fit(count_data, checkpoint=tmp_path / "run")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"latent": 0}, "latent must be 1 or more, not 0"),
        ({"dropout": 1.0}, "dropout must be from 0 to 0.99, not 1.0"),
        ({"max_epochs": 0}, "max_epochs must be 1 or more, not 0"),
        ({"batch_size": 1}, "batch_size must be 2 or more, not 1"),
    ],
)
def test_sizes_that_cannot_be_are_refused(wrong, words):
    with pytest.raises(ConfigurationError, match=words):
        ConditionalVAEGenerator(**wrong)


# -- where it starts ---------------------------------------------------------------------------------------------------


def test_as_many_latents_as_the_data_show():
    rng = np.random.default_rng(0)
    label = np.eye(2, dtype=np.float32)[np.arange(200) % 2]
    signs = rng.choice([-1.0, 1.0], size=(4, 500))  # as much of each gene is noise
    factors = rng.normal(size=(200, 3)) @ signs[:3] + 2 * np.outer(label[:, 0], signs[3])

    def latents(table: np.ndarray, told: bool, most: int = 16) -> int:
        standard = ((table - table.mean(axis=0)) / table.std(axis=0)).astype(np.float32)
        return enough_latents(Samples(standard, None, label), np.arange(200), told=told, most=most)

    noise = rng.normal(size=(200, 500))
    assert latents(noise, told=False) == 2
    assert latents(factors + noise, told=False) == 2 * 4
    assert latents(factors + noise, told=True) == 2 * 3  # what the conditions explain needs none
    assert latents(factors + noise, told=False, most=5) == 5


def test_effects_of_crossed_conditions_add_up():
    rng = np.random.default_rng(0)
    one_hot = np.zeros((400, 4), dtype=np.float32)
    batch, group = rng.integers(0, 2, 400), rng.integers(0, 2, 400)
    one_hot[np.arange(400), batch], one_hot[np.arange(400), 2 + group] = 1, 1
    planted = np.array([[1.0, 0], [-1, 0], [0, 3], [0, -3]])
    mean, effect = additive_effects(one_hot @ planted + 5, one_hot)
    assert mean + one_hot @ effect == pytest.approx(one_hot @ planted + 5, abs=0.05)
    assert effect[0] - effect[1] == pytest.approx([2, 0], abs=0.02)


def test_the_start_is_the_low_rank_gaussian_of_the_data():
    rng = np.random.default_rng(1)
    loadings = rng.normal(0, 2, (3, 20))
    table = (rng.standard_normal((600, 3)) @ loadings + 0.1 * rng.standard_normal((600, 20))).astype(np.float32)
    table = np.clip(table / table.std(axis=0), -SEEN, SEEN)
    network = ConditionalVAE(ConditionalVAEShape(20, 20, latent=3, hidden=8, dropout=0.0))
    samples = Samples(table, None, np.zeros((600, 0), dtype=np.float32))
    start_at_linear(network, samples, np.arange(600), np.ones(20), 0)
    network.eval()
    with torch.no_grad():
        nothing = torch.zeros(600, 0)
        posterior = network.encode(torch.from_numpy(table), nothing)
        back = network.decode(posterior.mean, nothing).numpy()
    assert np.abs(posterior.mean.numpy().std(axis=0) - 1).max() < 0.1
    assert ((back - table) ** 2).mean() < 0.01 * table.var()
