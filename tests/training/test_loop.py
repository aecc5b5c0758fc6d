"""The training loop: the same numbers whether it was stopped or not, and the best weights at the end."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from cellixir.exceptions import BundleError, ConfigurationError
from cellixir.training import Epoch, Task, TrainingConfig, derived_seed, pick_device, train
from cellixir.training.checkpoint import write_checkpoint
from cellixir.training.loop import make_optimiser

CONFIG = TrainingConfig(max_epochs=8, batch_size=10, learning_rate=0.01, patience=8)


class Regression(Task):
    """Forty rows, a network with dropout; ``fail_at`` is the step (from 0) in which it breaks."""

    def __init__(self, *, start: int = 0, dropout: float = 0.3, fail_at: int | None = None) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(start)
            self.network = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Dropout(dropout), nn.Linear(16, 1))
        generator = torch.Generator().manual_seed(99)
        self.x = torch.randn(40, 4, generator=generator)
        self.y = self.x @ torch.tensor([1.0, -2.0, 0.5, 0.0])
        self.n_steps = 0
        self.fail_at = fail_at
        self.orders: list[list[int]] = []

    def n_batches(self, config: TrainingConfig) -> int:
        return -(-len(self.x) // config.batch_size)

    def batches(self, config: TrainingConfig, generator: torch.Generator) -> Iterator[Tensor]:
        order = torch.randperm(len(self.x), generator=generator)
        self.orders.append(order.tolist())
        yield from torch.split(order, config.batch_size)

    def loss(self, batch: Tensor) -> Tensor:
        if self.n_steps == self.fail_at:
            message = "the machine went away"
            raise OSError(message)
        self.n_steps += 1
        return (self.network(self.x[batch]).squeeze(1) - self.y[batch]).square().mean()

    @torch.no_grad()
    def validation_loss(self) -> float:
        return float((self.network(self.x).squeeze(1) - self.y).square().mean())


class TwoPlayers(Regression):
    """An optimiser for each layer, stepped in turn, as a GAN does."""

    def optimisers(self, config: TrainingConfig) -> list[Optimizer]:
        return [make_optimiser(self.network[0], config), make_optimiser(self.network[3], config)]

    def step(self, batch: Any, optimisers: list[Optimizer], config: TrainingConfig) -> Tensor:
        for optimiser in optimisers:
            self.network.zero_grad()
            loss = self.loss(batch)
            loss.backward()
            optimiser.step()
        return loss.detach()


class Scripted(Regression):
    """Trains as usual, but its validation losses are given."""

    def __init__(self, losses: list[float], **options: Any) -> None:
        super().__init__(**options)
        self.losses = list(losses)

    def validation_loss(self) -> float:
        return self.losses.pop(0)


def weights(task: Task) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in task.network.state_dict().items()}


def assert_equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    for name in one:
        assert torch.equal(one[name], other[name]), name


def untimed(history: list[Epoch]) -> list[Epoch]:
    return [replace(epoch, seconds=0.0) for epoch in history]


def test_training_learns():
    task = Regression(dropout=0.0)
    before = task.validation_loss()
    history = train(task, replace(CONFIG, max_epochs=60, learning_rate=0.03, patience=60), seed=0)
    assert task.validation_loss() < 0.05 * before
    assert history[-1].train_loss < 0.2 * history[0].train_loss
    assert [epoch.epoch for epoch in history] == list(range(60))


# --- resuming ----------------------------------------------------------------------------------------------------


def stop_at(number: int, error: type[BaseException]) -> Any:
    def on_epoch(epoch: Epoch) -> None:
        if epoch.epoch == number:
            raise error

    return on_epoch


@pytest.mark.parametrize(
    ("kind", "optimiser", "schedule", "error"),
    [
        (Regression, "adam", "one_cycle", KeyboardInterrupt),
        (Regression, "adamw", "one_cycle", RuntimeError),
        (Regression, "adamw", "constant", KeyboardInterrupt),
        (TwoPlayers, "adam", "cosine", RuntimeError),
        (TwoPlayers, "adamw", "one_cycle", KeyboardInterrupt),
    ],
)
def test_a_stopped_run_ends_as_one_that_was_not(tmp_path, kind, optimiser, schedule, error):
    config = replace(CONFIG, optimiser=optimiser, schedule=schedule, weight_decay=0.05)
    whole = kind()
    expected = train(whole, config, seed=5)

    path = tmp_path / "run.safetensors"
    with pytest.raises(error):
        train(kind(), config, seed=5, checkpoint=path, on_epoch=stop_at(2, error))
    resumed = kind(start=123)  # other initial weights: all that matters is in the file
    seen: list[int] = []
    history = train(resumed, config, seed=5, checkpoint=path, on_epoch=lambda epoch: seen.append(epoch.epoch))
    assert seen == [3, 4, 5, 6, 7]
    assert untimed(history) == untimed(expected)
    assert_equal(weights(resumed), weights(whole))


@pytest.mark.parametrize("step", [0, 3, 4, 6, 30])
def test_a_run_that_broke_within_an_epoch_repeats_that_epoch(tmp_path, step):
    whole = Regression()
    expected = train(whole, CONFIG, seed=1)
    path = tmp_path / "run.safetensors"
    with pytest.raises(OSError, match="went away"):
        train(Regression(fail_at=step), CONFIG, seed=1, checkpoint=path)
    resumed = Regression()
    history = train(resumed, CONFIG, seed=1, checkpoint=path)
    assert resumed.n_steps == 4 * (8 - step // 4)
    assert untimed(history) == untimed(expected)
    assert_equal(weights(resumed), weights(whole))


def test_a_run_stopped_after_every_epoch_ends_the_same(tmp_path):
    whole = Regression()
    expected = train(whole, CONFIG, seed=2)
    for number in range(8):
        with pytest.raises(KeyboardInterrupt):
            train(
                Regression(), CONFIG, seed=2, checkpoint=tmp_path / "run", on_epoch=stop_at(number, KeyboardInterrupt)
            )
    task = Regression()
    assert untimed(train(task, CONFIG, seed=2, checkpoint=tmp_path / "run")) == untimed(expected)
    assert task.n_steps == 0
    assert_equal(weights(task), weights(whole))


def test_a_large_checkpoint_is_written_less_often_and_at_the_end(tmp_path, monkeypatch):
    written: list[int] = []

    def slow(path, tensors, facts):
        written.append(len(facts["history"]))
        time.sleep(0.2)
        write_checkpoint(path, tensors, facts)

    monkeypatch.setattr("cellixir.training.loop.write_checkpoint", slow)
    whole = Regression()
    expected = train(whole, CONFIG, seed=2, checkpoint=tmp_path / "small")
    assert written == list(range(1, 9))
    written.clear()
    monkeypatch.setattr("cellixir.training.loop.LARGE", 100)
    with pytest.raises(KeyboardInterrupt):
        train(Regression(), CONFIG, seed=2, checkpoint=tmp_path / "run", on_epoch=stop_at(4, KeyboardInterrupt))
    assert written == [1]
    resumed = Regression()
    assert untimed(train(resumed, CONFIG, seed=2, checkpoint=tmp_path / "run")) == untimed(expected)
    assert written[0] == 1
    assert written[-1] == 8
    assert_equal(weights(resumed), weights(whole))


def test_a_finished_run_is_not_run_again(tmp_path):
    losses = [3.0, 1.0, 2.0, 2.0, 2.0]
    config = replace(CONFIG, patience=3)
    first = Scripted(losses)
    history = train(first, config, seed=0, checkpoint=tmp_path / "run")
    assert len(history) == 5
    again = Scripted([])
    assert train(again, config, seed=0, checkpoint=tmp_path / "run") == history
    assert again.n_steps == 0
    assert_equal(weights(again), weights(first))


def test_patience_counts_across_an_interruption(tmp_path):
    losses = [3.0, 1.0, 2.0, 2.0, 2.0, 0.5]
    config = replace(CONFIG, patience=3)
    with pytest.raises(KeyboardInterrupt):
        train(Scripted(losses), config, seed=0, checkpoint=tmp_path / "run", on_epoch=stop_at(3, KeyboardInterrupt))
    resumed = Scripted(losses[4:])
    assert len(train(resumed, config, seed=0, checkpoint=tmp_path / "run")) == 5
    straight = Scripted(losses)
    train(straight, config, seed=0)
    assert_equal(weights(resumed), weights(straight))


def test_a_checkpoint_does_not_change_a_run(tmp_path):
    with_file, without = Regression(), Regression()
    one = train(with_file, CONFIG, seed=3, checkpoint=tmp_path / "run")
    assert untimed(one) == untimed(train(without, CONFIG, seed=3))
    assert_equal(weights(with_file), weights(without))


def test_a_checkpoint_of_another_run_is_refused(tmp_path):
    path = tmp_path / "run.safetensors"
    train(Regression(), CONFIG, seed=0, checkpoint=path, signature="these data")
    before = path.read_bytes()
    task = Regression()
    start = weights(task)
    with pytest.raises(ConfigurationError, match=r"run\.safetensors belongs to a run with other settings"):
        train(task, CONFIG, seed=0, checkpoint=path, signature="other data")
    assert_equal(weights(task), start)
    assert path.read_bytes() == before


class Reordered(Regression):
    """The same network, whose optimiser has the last layer first."""

    def optimisers(self, config: TrainingConfig) -> list[Optimizer]:
        return [torch.optim.AdamW([*self.network[3].parameters(), *self.network[0].parameters()], fused=True)]


class Wider(Regression):
    """Another network."""

    def __init__(self) -> None:
        super().__init__()
        self.network = nn.Sequential(nn.Linear(4, 17), nn.ReLU(), nn.Dropout(0.3), nn.Linear(17, 1))


@pytest.mark.parametrize("changed", [Reordered, Wider])
def test_a_checkpoint_of_another_network_or_optimiser_is_refused(tmp_path, changed):
    path = tmp_path / "run.safetensors"
    train(Regression(), replace(CONFIG, max_epochs=1), seed=0, checkpoint=path)
    with pytest.raises(
        ConfigurationError, match=r"run\.safetensors was written by another version of cellixir; delete"
    ):
        train(changed(), CONFIG, seed=0, checkpoint=path)


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", None])
def test_a_broken_checkpoint_is_refused(tmp_path, content):
    path = tmp_path / "run.safetensors"
    train(Regression(), CONFIG, seed=0, checkpoint=path)
    path.write_bytes(path.read_bytes()[:-10] if content is None else content)
    with pytest.raises(BundleError, match=r"run\.safetensors"):
        train(Regression(), CONFIG, seed=0, checkpoint=path)


# --- early stopping ----------------------------------------------------------------------------------------------


def run_scripted(losses: list[float], patience: int) -> tuple[Scripted, list[Epoch], list[dict[str, Tensor]]]:
    task = Scripted(losses)
    after: list[dict[str, Tensor]] = []
    history = train(
        task,
        replace(CONFIG, patience=patience, max_epochs=len(losses)),
        seed=0,
        on_epoch=lambda epoch: after.append(weights(task)),
    )
    return task, history, after


@pytest.mark.parametrize(
    ("losses", "patience", "n_epochs", "best"),
    [
        ([5.0, 4.0, 3.0, 3.5, 3.2, 9.0, 1.0], 2, 5, 2),
        ([5.0, 4.0, 3.0, 3.5, 2.0, 9.0, 1.0], 2, 7, 6),
        ([1.0, 1.0, 1.0, 1.0, 0.5], 3, 4, 0),  # equal is not better
        ([4.0, 3.0, 2.0], 1, 3, 2),
    ],
)
def test_the_best_weights_come_back(losses, patience, n_epochs, best):
    task, history, after = run_scripted(losses, patience)
    assert [epoch.validation_loss for epoch in history] == losses[:n_epochs]
    assert_equal(weights(task), after[best])
    assert not any(torch.equal(after[i]["0.weight"], after[best]["0.weight"]) for i in range(n_epochs) if i != best)


def test_the_network_is_ready_to_predict():
    task = Regression()
    train(task, CONFIG, seed=0)
    assert not any(module.training for module in task.network.modules())


# --- randomness --------------------------------------------------------------------------------------------------


def global_state() -> tuple[bytes, bytes]:
    return torch.get_rng_state().numpy().tobytes(), np.random.get_state()[1].tobytes()  # noqa: NPY002


def test_global_generators_are_left_as_they_were():
    before = global_state()
    train(Regression(), CONFIG, seed=0)
    assert global_state() == before
    with pytest.raises(KeyboardInterrupt):
        train(Regression(), CONFIG, seed=0, on_epoch=stop_at(1, KeyboardInterrupt))
    assert global_state() == before


def test_global_generators_do_not_matter():
    one, other = Regression(), Regression()
    train(one, CONFIG, seed=0)
    with torch.random.fork_rng():
        torch.manual_seed(4711)
        train(other, CONFIG, seed=0)
    assert_equal(weights(one), weights(other))


def test_the_seed_decides_the_order_of_rows_and_dropout():
    one, other = Regression(), Regression()
    train(one, CONFIG, seed=0)
    train(other, CONFIG, seed=1)
    assert one.orders[0] != other.orders[0]
    assert len({tuple(order) for order in one.orders}) == CONFIG.max_epochs
    assert all(sorted(order) == list(range(40)) for order in one.orders)
    still, other_still = (Regression(dropout=0.3) for _ in range(2))
    one_batch = replace(CONFIG, batch_size=40)  # the order of the rows does not matter now
    train(still, one_batch, seed=0)
    train(other_still, one_batch, seed=1)
    assert not torch.allclose(weights(still)["0.weight"], weights(other_still)["0.weight"])


def test_derived_seeds_differ_and_repeat():
    assert len({derived_seed(s, member) for s in range(5) for member in range(50)}) == 250
    assert (
        len({derived_seed(derived_seed(s, member), epoch) for s in (0, 1) for member in (0, 1) for epoch in (0, 1)})
        == 8
    )
    assert derived_seed(7, 3, 2) == derived_seed(7, 3, 2)


# --- steps -------------------------------------------------------------------------------------------------------


def test_a_loss_that_grows_without_end_stops_the_fit():
    with pytest.raises(ConfigurationError, match=r"the loss has grown from 2 to 4e\+11 by epoch 3; lower the learning"):
        train(Scripted([2.0, 3.0, 4e11, 1.0]), CONFIG, seed=0)
    assert len(train(Scripted([-2.0, 900.0, -3.0]), replace(CONFIG, max_epochs=3), seed=0)) == 3  # it may come back


class Broken(Regression):
    """Its loss is no number from the second epoch on."""

    def loss(self, batch: Tensor) -> Tensor:
        return super().loss(batch) * (float("nan") if self.n_steps > 4 else 1.0)


def test_a_loss_that_is_no_number_is_a_clear_error(tmp_path):
    with pytest.raises(ConfigurationError, match=r"the loss is nan after epoch 2; lower the learning rate \(0\.01\)"):
        train(Broken(), CONFIG, seed=0, checkpoint=tmp_path / "run")
    task = Scripted([float("inf")])
    with pytest.raises(ConfigurationError, match="the loss is inf after epoch 1"):
        train(task, CONFIG, seed=0)


def test_history_tells_the_rate_of_the_last_step():
    history = train(Regression(), CONFIG, seed=0)
    assert [epoch.learning_rate for epoch in history] == [CONFIG.rate(4 * n + 3, 32) for n in range(8)]


def test_train_loss_is_the_mean_over_batches():
    class Counting(Regression):
        def step(self, batch: Any, optimisers: list[Optimizer], config: TrainingConfig) -> Tensor:
            self.n_steps += 1
            return torch.tensor(float(self.n_steps))

    history = train(Counting(), replace(CONFIG, max_epochs=2), seed=0)
    assert [epoch.train_loss for epoch in history] == [2.5, 6.5]


@pytest.mark.parametrize("clip", [0.0, 0.01])
def test_gradients_are_clipped_to_the_norm(clip):
    task = Regression(dropout=0.0)
    before = weights(task)
    task.step(torch.arange(40), [torch.optim.SGD(task.network.parameters(), lr=1.0)], replace(CONFIG, clip_norm=clip))
    moved = torch.sqrt(sum((weights(task)[name] - before[name]).square().sum() for name in before))
    assert (float(moved) == pytest.approx(0.01, rel=1e-3)) == (clip > 0)


def test_weight_decay_is_decoupled_for_adamw_alone():
    def one_step(kind: str) -> Tensor:
        layer = nn.Linear(1, 1, bias=False)
        layer.weight.data.fill_(2.0)
        config = TrainingConfig(optimiser=kind, learning_rate=0.1, weight_decay=0.5)  # type: ignore[arg-type]
        optimiser = make_optimiser(layer, config)
        (layer.weight * 3.0).sum().backward()
        optimiser.step()
        return layer.weight.detach().squeeze()

    # Adam's first step is the sign of the gradient; AdamW shrinks by lr * decay besides
    assert float(one_step("adam")) == pytest.approx(2.0 - 0.1)
    assert float(one_step("adamw")) == pytest.approx(2.0 * (1 - 0.1 * 0.5) - 0.1)


def test_slow_parameters_move_by_their_share_of_the_rate_throughout():
    class Slow(Regression):
        def optimisers(self, config: TrainingConfig) -> list[Optimizer]:
            return [make_optimiser(self.network, config, slow={"0.": 0.01})]

    def first_step(kind: type[Regression]) -> dict[str, float]:
        task = kind()
        before = weights(task)
        train(task, replace(CONFIG, max_epochs=1, batch_size=len(task.x), weight_decay=0.0), seed=0)
        return {name: float((weights(task)[name] - before[name]).abs().max()) for name in before}

    slow, full = first_step(Slow), first_step(Regression)
    assert slow["0.weight"] == pytest.approx(0.01 * full["0.weight"], rel=1e-3)  # Adam's first step is the rate itself
    assert slow["3.weight"] == pytest.approx(full["3.weight"], rel=1e-3)


def test_a_device_that_is_not_there_is_refused():
    assert pick_device("cpu") == torch.device("cpu")
    if torch.cuda.is_available():
        assert pick_device("auto").type == "cuda"
        return
    assert pick_device("auto") == torch.device("cpu")
    with pytest.raises(ConfigurationError, match="device 'cuda:1' was asked for, but torch sees no GPU"):
        pick_device("cuda:1")


def test_half_precision_on_request():
    seen: list[torch.dtype] = []

    class Watching(Regression):
        def loss(self, batch: Tensor) -> Tensor:
            seen.append(self.network(self.x[batch]).dtype)
            return super().loss(batch)

    for precision in ("full", "auto", "bfloat16"):
        train(Watching(), replace(CONFIG, max_epochs=1, batch_size=40, precision=precision), seed=0)
    assert seen == [torch.float32, torch.float32, torch.bfloat16]


def test_the_checkpoint_folder_is_made(tmp_path: Path):
    train(Regression(), CONFIG, seed=0, checkpoint=tmp_path / "new" / "run.safetensors")
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["run.safetensors"]
