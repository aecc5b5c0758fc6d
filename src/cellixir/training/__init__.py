"""The training loop that every network shares."""

from cellixir.training.config import TrainingConfig
from cellixir.training.loop import Epoch, Task, derived_seed, pick_device, train

__all__ = ["Epoch", "Task", "TrainingConfig", "derived_seed", "pick_device", "train"]
