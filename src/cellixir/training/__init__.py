"""The training loop that every network shares."""

from cellixir.training.config import TrainingConfig, require_within
from cellixir.training.linear import LinearStart, softmax_regression
from cellixir.training.loop import Epoch, Task, derived_seed, pick_device, train
from cellixir.training.threads import threads_for
from cellixir.training.weights import load_weights, network_of, weights_of

__all__ = [
    "Epoch",
    "LinearStart",
    "Task",
    "TrainingConfig",
    "derived_seed",
    "load_weights",
    "network_of",
    "pick_device",
    "require_within",
    "softmax_regression",
    "threads_for",
    "train",
    "weights_of",
]
