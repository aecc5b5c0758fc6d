"""The GANs: modes kept, conditions met, collapse told, runs resumed, and each part in closed form."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pytest
import torch
from torch import nn

from cellixir.exceptions import ConfigurationError
from cellixir.nn.gan import GANShape, Players
from cellixir.synthesis import load_generator
from cellixir.synthesis.axes import above_noise
from cellixir.synthesis.gan import GANGenerator
from cellixir.synthesis.gan_base import AdversarialGenerator, hold_out
from cellixir.synthesis.gan_components import Components
from cellixir.synthesis.gan_task import GANTask, Nearness, NonSaturating, Rows, Wasserstein, collapse_note
from cellixir.synthesis.wgan import WGANGPGenerator
from cellixir.training import TrainingConfig

TINY: dict[str, Any] = {"hidden": 16, "noise": 4, "max_epochs": 3, "condition": ["group"]}
#: A WGAN that learns a simple table in a second or two.
QUICK: dict[str, Any] = {"hidden": 32, "n_critic": 2, "batch_size": 64, "learning_rate": 3e-3, "penalty": 1.0}
KINDS = pytest.mark.parametrize("kind", [GANGenerator, WGANGPGenerator])


def values(table: np.ndarray, **obs: np.ndarray) -> ad.AnnData:
    found = ad.AnnData(table.astype(np.float32), uns={"scale": "zscore"})
    for column, entries in obs.items():
        found.obs[column] = entries
    return found


def small(count_data: ad.AnnData) -> ad.AnnData:
    return count_data[:60].copy()


def tiny(kind: type[AdversarialGenerator], **settings: Any) -> Any:
    """A generator that is fitted in a fraction of a second, on whatever it learns."""
    fewer = {"n_critic": 1} if kind is WGANGPGenerator else {}
    return kind(**(TINY | fewer | settings))


@pytest.fixture(scope="module")
def fitted(count_data: ad.AnnData) -> dict[type[AdversarialGenerator], Any]:
    return {kind: tiny(kind).fit(small(count_data)) for kind in (GANGenerator, WGANGPGenerator)}


# -- what is learned ---------------------------------------------------------------------------------------------------


def test_wgan_keeps_both_modes_in_their_shares():
    rng = np.random.default_rng(0)
    first = np.arange(600) % 10 < 7
    centre = np.where(first[:, None], [2.0, -1.0], [-2.0, 3.0])
    model = WGANGPGenerator(noise=4, max_epochs=20, **QUICK)
    model.fit(values(centre + 0.3 * rng.standard_normal((600, 2))))
    found = model.sample(2000).X
    distance = np.stack([np.linalg.norm(found - mode, axis=1) for mode in ([2, -1], [-2, 3])], axis=1)
    assert (distance.argmin(axis=1) == 0).mean() == pytest.approx(0.7, abs=0.12)
    near = (distance < 1.5).mean(axis=0)
    assert near.sum() > 0.65  # a Gaussian of the same covariance has half
    assert near[1] > 0.05
    assert model.history_["diversity"].iloc[-1] > 0.5


def test_wgan_recovers_the_means_of_the_conditions(gaussian_data):
    model = WGANGPGenerator(condition=["group"], noise=8, max_epochs=12, **QUICK)
    model.fit(gaussian_data)
    truth = gaussian_data.uns["truth"]
    found = {g: model.sample(600, given={"group": g}).X for g in ("old", "young")}
    shift = (found["old"].mean(axis=0) - found["young"].mean(axis=0)) / truth["sd"]
    planted = truth["shift"] / truth["sd"]
    assert shift[planted > 0].mean() == pytest.approx(2.0, abs=0.5)
    assert abs(shift[planted == 0].mean()) < 0.4
    spread = found["young"].std(axis=0) / truth["sd"]
    assert np.median(spread) == pytest.approx(1.0, abs=0.15)


def test_labels_of_the_vanilla_gan_follow_their_shares_and_belong_to_the_values():
    rng = np.random.default_rng(1)
    old = np.arange(400) % 4 == 0
    table = np.where(old[:, None], 2.0, -1.0) + rng.standard_normal((400, 4)) * 0.5
    samples = values(table, group=np.where(old, "old", "young"))
    found = (
        GANGenerator(condition=["group"], noise=8, hidden=32, batch_size=64, max_epochs=14).fit(samples).sample(1500)
    )
    is_old = (found.obs["group"] == "old").to_numpy()
    assert 0.1 < is_old.mean() < 0.45
    assert found.X[is_old].mean() - found.X[~is_old].mean() > 1.5


@KINDS
def test_counts_in_counts_out(kind, fitted, count_data):
    found = fitted[kind].sample(50, given={"group": "old"})
    assert set(found.obs["group"]) == {"old"}
    assert found.uns["scale"] == "counts"
    assert found.X.data.min() >= 1
    assert np.array_equal(found.X.data, np.rint(found.X.data))
    library = count_data[:60].X.sum(axis=1)
    assert 0.5 * library.min() < found.X.sum(axis=1).min() < found.X.sum(axis=1).max() < 1.5 * library.max()


# -- repeatable, resumable, saved --------------------------------------------------------------------------------------


def bits(model: AdversarialGenerator) -> tuple[bytes, ...]:
    return tuple(array.tobytes() for array in model.state()[0].values())


@KINDS
def test_a_stopped_fit_goes_on_to_the_same_bits(kind, fitted, count_data, tmp_path):
    whole = fitted[kind]
    path = tmp_path / "run.safetensors"

    def stop(member, epoch, n_epochs):
        assert n_epochs == 3
        if epoch.epoch == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tiny(kind).fit(small(count_data), checkpoint=path, on_epoch=stop)
    resumed = tiny(kind).fit(small(count_data), checkpoint=path)
    again = tiny(kind).fit(small(count_data), checkpoint=path)  # nothing is left to do
    for model in (resumed, again):
        assert bits(model) == bits(whole)
        assert model.notes_ == whole.notes_
        assert model.history_.drop(columns="seconds").equals(whole.history_.drop(columns="seconds"))
    with pytest.raises(ConfigurationError, match="other settings or data"):
        tiny(kind, seed=1).fit(small(count_data), checkpoint=path)


@KINDS
def test_a_seed_decides_everything_and_global_generators_nothing(kind, fitted, count_data):
    one = fitted[kind]
    first = one.sample(20).X.toarray()
    with torch.random.fork_rng():
        torch.manual_seed(4711)
        before = torch.get_rng_state()
        other = tiny(kind).fit(small(count_data))
        assert bits(one) == bits(other)
        assert np.array_equal(first, other.sample(20).X.toarray())
        assert torch.equal(before, torch.get_rng_state())
    assert bits(tiny(kind, seed=1, max_epochs=1).fit(small(count_data))) != bits(one)


@KINDS
def test_a_bundle_draws_the_same_bits(kind, fitted, tmp_path: Path):
    model = fitted[kind]
    loaded = load_generator(model.save(tmp_path / "bundle"))
    assert type(loaded) is kind
    assert bits(loaded) == bits(model)
    one, other = (m.sample(30, seed=5) for m in (model, loaded))
    assert np.array_equal(one.X.toarray(), other.X.toarray())
    assert one.obs.equals(other.obs)
    assert loaded.card() == model.card()
    assert "chose the epoch" in model.card()


# -- curves and collapse -----------------------------------------------------------------------------------------------


@KINDS
def test_history_has_the_curves_of_both_players(kind, fitted):
    history = fitted[kind].history_
    wanted = {"epoch", "generator_loss", "critic_loss", "diversity", "validation_loss"}
    assert wanted <= set(history.columns)
    assert len(history) == 3
    assert np.isfinite(history.to_numpy()).all()


class Stuck(Players):
    """Its generator is never given any noise: one point for each condition."""

    def _noise(self, condition: torch.Tensor) -> torch.Tensor:
        return torch.zeros(len(condition), self.shape.noise)


@KINDS
def test_collapse_is_told(kind, count_data, monkeypatch):
    monkeypatch.setattr("cellixir.synthesis.gan_base.Players", Stuck)
    model = tiny(kind, max_epochs=1).fit(small(count_data))
    assert model.history_["diversity"].max() < 0.01
    assert any("mode collapse: generated samples differ 0.00 times" in note for note in model.notes_)
    assert "mode collapse" in model.card()


def test_collapse_notes_name_the_epoch():
    assert collapse_note([0.1, 0.9], 1) is None
    kept = collapse_note([0.1, 0.9, 0.2], 0)
    assert kept is not None
    assert kept.startswith("mode collapse: generated samples differ 0.10 times as much as real ones (epoch 1,")
    late = collapse_note([0.1, 0.9, 0.2], 1)
    assert late is not None
    assert "ended in mode collapse: diversity 0.20 after epoch 3; the weights of epoch 2 (diversity 0.90)" in late


# -- conditions of the vanilla gan -------------------------------------------------------------------------------------


def test_a_combination_that_hardly_comes_is_a_clear_error(count_data, monkeypatch):
    model = tiny(GANGenerator, condition=["group", "batch"], max_epochs=1).fit(small(count_data))
    monkeypatch.setattr(model, "_codes_of", lambda labels: np.where(np.arange(len(labels)) > 0, 1, -1))
    with pytest.raises(ConfigurationError, match=r"0 of [\d,]+ .* as group=young, batch=b1; .*wgan-gp"):
        model.sample(3, given={"group": "young", "batch": "b1"})


def test_a_generator_without_a_known_combination_is_fitted_and_says_so(count_data, monkeypatch):
    monkeypatch.setattr(GANGenerator, "_codes_of", lambda self, labels: np.full(len(labels), -1))
    model = tiny(GANGenerator, condition=["group", "batch"], max_epochs=1).fit(small(count_data))
    assert any("not mapped to those that were seen: " in note and " 0 of " in note for note in model.notes_)


def test_labels_are_read_and_what_was_never_seen_is_none(count_data):
    given = small(count_data)
    given = given[~((given.obs["group"] == "old") & (given.obs["batch"] == "b2"))].copy()
    model = tiny(GANGenerator, condition=["group", "batch"], max_epochs=1).fit(given)
    labels = np.array([[1, 0, 1, 0], [1, 0, 0, 1], [0, 1, 1, 0], [0, 1, 0, 1]], dtype=np.float32)
    assert model._codes_of(labels * 0.9999999).tolist() == [0, -1, 1, 2]
    drawn = model.sample(300).obs
    assert not ((drawn["group"] == "old") & (drawn["batch"] == "b2")).any()
    assert drawn.value_counts().size == 3


# -- components --------------------------------------------------------------------------------------------------------


def planted(n: int, width: int, strength: float, seed: int = 0) -> np.ndarray:
    """Three factors and noise of variance 1."""
    rng = np.random.default_rng(seed)
    factors = rng.standard_normal((n, 3)) @ np.linalg.qr(rng.standard_normal((width, 3)))[0].T
    return (5 + strength * factors + rng.standard_normal((n, width))).astype(np.float32)


@pytest.mark.parametrize(("n", "width"), [(60, 400), (400, 60)])
def test_components_keep_the_variance_of_every_column(n, width):
    table = planted(n, width, 20.0)
    found = Components.learn(table, 5)
    assert found.axes.shape == (5, width)
    np.testing.assert_allclose(found.axes @ found.axes.T, np.eye(5), atol=1e-4)
    scores = found.scores(table)
    np.testing.assert_allclose(scores.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(scores.std(axis=0), 1, atol=1e-3)
    np.testing.assert_allclose(found.sd, np.linalg.svd(table - table.mean(axis=0))[1][:5] / math.sqrt(n), rtol=1e-3)
    explained = (found.sd**2) @ found.axes**2
    np.testing.assert_allclose(explained + found.residual**2, table.var(axis=0), rtol=1e-3)
    drawn = found.table(np.repeat(scores, 3000 // n, axis=0), np.random.default_rng(1))
    assert np.median(drawn.std(axis=0) / table.std(axis=0)) == pytest.approx(1, abs=0.03)


def test_all_components_give_the_table_back():
    table = planted(30, 8, 3.0)
    found = Components.learn(table, 50)
    np.testing.assert_allclose(found.table(found.scores(table), np.random.default_rng(0)), table, atol=0.02)
    assert Components.from_arrays(found.arrays()).axes is found.axes


@pytest.mark.parametrize(("n", "width"), [(100, 1000), (500, 100), (200, 200)])
def test_only_components_above_noise_count(n, width):
    for strength, expected in ((0.0, 0), (60.0, 3)):
        table = planted(n, width, strength)
        singular = np.linalg.svd(table - table.mean(axis=0), compute_uv=False)[: min(n - 1, width)]
        assert above_noise(singular.astype(np.float64) ** 2, n, width) == expected


# -- nearness ----------------------------------------------------------------------------------------------------------


class Fixed(nn.Module):
    """Players whose generated rows are given."""

    def __init__(self, rows: torch.Tensor, width: int, *, conditional: bool = True) -> None:
        super().__init__()
        self.shape = GANShape(width, (2,), conditional=conditional)
        self.rows = rows

    def draw(self, condition: torch.Tensor) -> torch.Tensor:
        return self.rows.repeat(-(-len(condition) // len(self.rows)), 1)[: len(condition)]


def held(n: int = 500, seed: int = 0) -> Rows:
    """Rows of two conditions, two standard deviations apart along the first axis."""
    generator = torch.Generator().manual_seed(seed)
    condition = torch.eye(2)[torch.arange(n) % 2]
    return Rows(torch.randn(n, 3, generator=generator) + 2 * condition[:, :1] * torch.tensor([1.0, 0, 0]), condition)


def test_nearness_is_best_for_the_same_distribution_alone():
    nearness = Nearness(held(), lambda values: values)
    good, diversity = nearness(Fixed(held(seed=1).all(), 3))
    assert good == pytest.approx(0, abs=0.01)
    assert diversity == pytest.approx(1, abs=0.1)
    rows = held(seed=1)
    shifted, _ = nearness(Fixed(torch.cat([rows.values + 1, rows.condition], dim=1), 3))
    swapped, _ = nearness(Fixed(torch.cat([rows.values, rows.condition.flip(1)], dim=1), 3))
    one_point, diversity = nearness(Fixed(torch.cat([torch.zeros(500, 3), rows.condition], dim=1), 3))
    assert min(shifted, swapped, one_point) > 0.05
    assert diversity == pytest.approx(0, abs=1e-6)


def test_energy_distance_and_diversity_in_closed_form():
    # real: 0 and 2; generated: 5 over and over. With the real mean distance 2 as unit: 2 (2.5 + 1.5) / 2 - 1 - 0
    real = Rows(torch.tensor([[0.0], [2.0]]), torch.zeros(2, 0))
    energy, diversity = Nearness(real, lambda values: values)(Fixed(torch.full((1, 1), 5.0), 1, conditional=False))
    assert energy == pytest.approx(3.0)
    assert diversity == pytest.approx(0.0, abs=1e-6)
    _, diversity = Nearness(real, lambda v: v)(Fixed(torch.tensor([[0.0], [6.0]]), 1, conditional=False))
    assert diversity == pytest.approx(3 * 250 / 499)  # of 500 points drawn, 250 of the 499 others are elsewhere


def test_points_within_a_condition_count_where_conditions_are_given():
    rows = torch.cat([held().condition[:, :1] * torch.tensor([2.0, 0, 0]), held().condition], dim=1)
    assert Nearness(held(), lambda v: v)(Fixed(rows, 3))[1] == pytest.approx(0, abs=1e-6)
    assert Nearness(held(), lambda v: v)(Fixed(rows, 3, conditional=False))[1] > 0.3


# -- the task ----------------------------------------------------------------------------------------------------------


class Linear(nn.Module):
    """Score ``3 x1 + 4 x2 + 100 c``: its slope is 5, whatever the condition c weighs."""

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return rows @ torch.tensor([3.0, 4.0, 100.0])


def test_losses_in_closed_form():
    real, fake = torch.tensor([[1.0, 0.0, 1.0]]), torch.tensor([[0.0, 2.0, 1.0]])  # scores 103 and 108
    wasserstein, cross_entropy = Wasserstein(penalty=10.0), NonSaturating()
    critic: Any = Linear()
    assert float(wasserstein.critic_loss(critic, real, fake, 2).detach()) == pytest.approx(108 - 103 + 10 * 16)
    assert float(wasserstein.generator_loss(critic, fake)) == pytest.approx(-108)
    low = torch.tensor([[0.0, 0.0, 0.0]])
    assert float(cross_entropy.critic_loss(critic, low, low, 3)) == pytest.approx(2 * math.log(2))
    assert float(cross_entropy.critic_loss(critic, real, fake, 3)) == pytest.approx(108)
    assert float(cross_entropy.generator_loss(critic, low)) == pytest.approx(math.log(2))


def make_task(rules: NonSaturating | Wasserstein, n: int = 50, n_steps: int = 8) -> GANTask:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        players = Players(GANShape(3, (2,), noise=2, hidden=8))
    return GANTask(players, rules, held(n), Nearness(held(20), lambda v: v), n_steps=n_steps)


def test_all_rows_come_up_equally_often():
    task, config = make_task(Wasserstein(n_critic=5)), TrainingConfig(batch_size=10)
    batches = list(task.batches(config, torch.Generator().manual_seed(0)))
    assert len(batches) == task.n_batches(config) == 8
    assert all(batch.shape == (5, 10) for batch in batches)
    assert torch.bincount(torch.cat(batches).flatten()).tolist() == [8] * 50
    assert next(task.batches(TrainingConfig(batch_size=4096), torch.Generator())).shape == (5, 50)


@pytest.mark.parametrize("rules", [NonSaturating(), Wasserstein()])
def test_a_step_moves_both_players_and_each_by_its_own_loss(rules):
    task, config = make_task(rules), TrainingConfig(batch_size=10, learning_rate=1e-3)
    before = {name: tensor.detach().clone() for name, tensor in task.players.named_parameters()}
    optimisers = task.optimisers(config)
    task.begins(0, config)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        task.step(next(task.batches(config, torch.Generator().manual_seed(0))), optimisers, config)
    moved = {name for name, tensor in task.players.named_parameters() if not torch.equal(tensor, before[name])}
    assert {name.split(".")[0] for name in moved} == {"generator", "critic", "average"}
    # Adam's steps are about the rate: the critic takes n_critic of them, the generator one
    weights = {name: tensor.detach() for name, tensor in task.players.named_parameters()}
    most = {
        player: max(float((weights[name] - before[name]).abs().max()) for name in moved if name.startswith(player))
        for player in ("generator", "critic")
    }
    assert most["generator"] < 4e-3
    assert (most["critic"] > 1.5 * most["generator"]) == (rules.n_critic > 1)


# -- who is held out, what is refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "expected"), [(20, 10), (60, 10), (320, 32), (30_000, 1000)])
def test_rows_are_held_out_from_each_combination_in_proportion(n, expected):
    codes = (np.arange(n) % 10 > 6).astype(np.int64)
    train, validation = hold_out(codes, 3)
    assert sorted([*train, *validation]) == list(range(n))
    assert len(validation) == expected
    assert codes[validation].mean() == pytest.approx(0.3, abs=1 / expected)
    assert np.array_equal(hold_out(codes, 3)[1], validation)
    assert not np.array_equal(hold_out(codes, 4)[1], validation)


@pytest.mark.parametrize(
    ("kind", "given", "message"),
    [
        (WGANGPGenerator, {"n_critic": 0}, "n_critic must be 1 or more, not 0"),
        (WGANGPGenerator, {"n_components": 0}, "n_components must be 1 or more"),
        (WGANGPGenerator, {"average": 1.0}, "average must be from 0 to 0.99999, not 1"),
        (WGANGPGenerator, {"penalty": -1.0}, "penalty must be 0 or more"),
        (GANGenerator, {"dropout": 1.0}, "dropout must be from 0 to 0.99, not 1"),
        (GANGenerator, {"batch_size": 1}, "batch_size must be 2 or more"),
        (GANGenerator, {"learning_rate": 0.0}, "learning_rate must be 1e-12 or more"),
        (GANGenerator, {"hidden": math.nan}, "hidden must be 1 or more"),
    ],
)
def test_settings_that_cannot_work_are_refused(kind, given, message):
    with pytest.raises(ConfigurationError, match=message):
        kind(**given)


def test_a_learning_rate_that_breaks_training_is_a_clear_error(count_data):
    with pytest.raises(ConfigurationError, match="lower the learning rate"):
        tiny(WGANGPGenerator, learning_rate=1e30).fit(small(count_data))
