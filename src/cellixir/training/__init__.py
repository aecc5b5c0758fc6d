"""The training loop that every network shares."""

from cellixir.training.config import TrainingConfig
from cellixir.training.loop import Epoch, Task, derived_seed, pick_device, train
from cellixir.training.progress import Bars
from cellixir.training.threads import threads_for

__all__ = ["Bars", "Epoch", "Task", "TrainingConfig", "derived_seed", "pick_device", "threads_for", "train"]
