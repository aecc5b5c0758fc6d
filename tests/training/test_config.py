"""Training settings: the learning rate of each step, and what is refused."""

from __future__ import annotations

import math
from dataclasses import FrozenInstanceError, asdict
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellixir.exceptions import ConfigurationError
from cellixir.training import TrainingConfig

SCHEDULES = ("constant", "cosine", "one_cycle")


@given(
    schedule=st.sampled_from(SCHEDULES),
    peak=st.floats(1e-6, 1.0),
    warmup=st.floats(0.0, 0.9),
    n_steps=st.integers(1, 500),
    share=st.floats(0, 1),
)
def test_rate_is_between_zero_and_the_peak(schedule, peak, warmup, n_steps, share):
    config = TrainingConfig(learning_rate=peak, schedule=schedule, warmup=warmup)
    rate = config.rate(round(share * (n_steps - 1)), n_steps)
    assert 0.0 <= rate <= peak * (1 + 1e-12)


def rates(n_steps: int, **settings: object) -> list[float]:
    config = TrainingConfig(**settings)  # type: ignore[arg-type]
    return [config.rate(step, n_steps) for step in range(n_steps)]


def test_constant_rate():
    assert rates(7, schedule="constant", learning_rate=0.25, warmup=0.5) == [0.25] * 7


def test_cosine_falls_from_the_peak_to_zero():
    expected = [0.5 * (1 + math.cos(math.pi * step / 10)) for step in range(11)]
    found = rates(11, schedule="cosine", learning_rate=1.0, warmup=0.5)
    assert found == pytest.approx(expected, abs=1e-12)
    assert found[0] == 1.0
    assert found[5] == pytest.approx(0.5)


def test_one_cycle_rises_to_the_peak_and_falls_to_zero():
    found = rates(101, schedule="one_cycle", learning_rate=2.0, warmup=0.3)
    peak = found.index(max(found))
    assert peak == 30
    assert found[peak] == pytest.approx(2.0)
    assert found[0] == pytest.approx(0.04 * 2.0)
    assert found[-1] == pytest.approx(0.0, abs=1e-12)
    assert all(a < b for a, b in pairwise(found[:31]))
    assert all(a > b for a, b in pairwise(found[30:]))
    assert found[15] == pytest.approx(2.0 * 0.52)  # halfway up half a cosine
    assert found[65] == pytest.approx(1.0)


def test_one_cycle_without_warmup_is_cosine():
    assert rates(9, schedule="one_cycle", warmup=0.0) == rates(9, schedule="cosine")


def test_a_run_of_one_step_has_a_rate():
    for schedule in SCHEDULES:
        assert rates(1, schedule=schedule)[0] > 0


@pytest.mark.parametrize("name", ["max_epochs", "batch_size", "learning_rate", "patience"])
@pytest.mark.parametrize("value", [0, -1])
def test_what_must_be_positive_is_refused_by_name(name, value):
    with pytest.raises(ConfigurationError, match=f"{name} must be .* or more, not {value}"):
        TrainingConfig(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("optimiser", "sgd"),
        ("schedule", "onecycle"),
        ("precision", "fp16"),
        ("learning_rate", float("nan")),
        ("warmup", 1.0),
        ("warmup", -0.1),
        ("weight_decay", -1.0),
    ],
)
def test_what_cannot_work_is_refused_by_name(name, value):
    with pytest.raises(ConfigurationError, match=name):
        TrainingConfig(**{name: value})


def test_settings_are_values():
    config = TrainingConfig(max_epochs=3, warmup=0.2)
    assert TrainingConfig(**asdict(config)) == config
    assert TrainingConfig(max_epochs=3, warmup=0.21) != config
    with pytest.raises(FrozenInstanceError):
        config.max_epochs = 4  # type: ignore[misc]
