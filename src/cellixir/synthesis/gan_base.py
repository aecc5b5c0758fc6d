"""Training and bundle of the adversarial generators."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch

from cellixir.nn.gan import GANShape, GeneratorNetwork, Players
from cellixir.synthesis.gan_task import CURVES, GANTask, Nearness, Rows, collapse_note
from cellixir.synthesis.generator import Generator
from cellixir.training import (
    TrainingConfig,
    derived_seed,
    network_of,
    pick_device,
    require_within,
    threads_for,
    train,
    weights_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray
    from torch import Tensor

    from cellixir.estimator import Arrays
    from cellixir.synthesis.gan_task import NonSaturating, Wasserstein
    from cellixir.synthesis.generator import Fit
    from cellixir.training import Epoch

#: Rows held back to choose the epoch: a tenth, at least (half of fewer than 20) and at most that many.
HELD = (10, 1000)
#: Rows that are drawn at once.
DRAWN = 2048


class AdversarialGenerator(Generator):
    """A generator that learns against a critic.

    An epoch is 25 steps of the generator, however many samples there are. After each, generated rows are compared with
    a tenth of the samples that neither player sees (`cellixir.synthesis.gan_task.Nearness`), and the weights of the
    best epoch are kept. ``history_`` has one row an epoch: losses of both players, the distance
    (``validation_loss``) and the diversity, which falls to 0 when the generator collapses; a note tells when it did.
    """

    noise: int
    hidden: int
    n_layers: int
    learning_rate: float
    batch_size: int
    max_epochs: int
    patience: int
    device: str
    min_samples = 20

    @abstractmethod
    def _shape(self, width: int) -> GANShape:
        """Sizes of the players for rows of ``width`` values."""

    @abstractmethod
    def _rules(self) -> NonSaturating | Wasserstein:
        """What each player wants."""

    def _play(
        self,
        values: NDArray[np.float32],
        codes: NDArray[np.int64],
        project: Callable[[Tensor], Tensor],
        fit: Fit,
        *,
        decay: float,
    ) -> None:
        """Train both players on ``values`` and keep the generator, the curves and what is to be told of them."""
        config, device = self._config(), pick_device(self.device)
        shape = self._shape(values.shape[1])
        with torch.random.fork_rng():
            torch.manual_seed(derived_seed(self.seed, 1))
            players = Players(shape, decay).to(device)
        train_rows, held_rows = fit.parts(len(codes)) or hold_out(codes, derived_seed(self.seed, 2))
        learned, held = (self._rows(values, codes, rows, device) for rows in (train_rows, held_rows))
        task = GANTask(players, self._rules(), learned, Nearness(held, project))
        history = train(
            task,
            config,
            seed=derived_seed(self.seed, 3),
            checkpoint=fit.checkpoint,
            signature=fit.signature,
            on_epoch=fit.heard(config.max_epochs),
        )
        self.network_ = players.average.eval()
        self._tell(history, players.curves.rows)

    def _rows(
        self, values: NDArray[np.float32], codes: NDArray[np.int64], rows: NDArray[np.int64], device: torch.device
    ) -> Rows:
        table, labels = values[rows], self.conditions_.one_hot(codes[rows])
        return Rows(torch.from_numpy(table).to(device), torch.from_numpy(labels).to(device))

    def _config(self) -> TrainingConfig:
        return TrainingConfig(
            max_epochs=self.max_epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            patience=self.patience,
            schedule="constant",
            precision="full",
        )

    def _tell(self, history: list[Epoch], curves: list[list[float]]) -> None:
        """Set ``history_`` and add notes."""
        told = pd.DataFrame([asdict(epoch) for epoch in history]).drop(columns="train_loss")
        self.history_ = told.join(pd.DataFrame(curves, columns=list(CURVES)))
        chosen = int(self.history_["validation_loss"].argmin())
        self.notes_.append(
            f"the weights of epoch {chosen + 1} of {len(history)} are used, the nearest to held-out rows"
        )
        note = collapse_note(self.history_["diversity"].tolist(), chosen)
        self.notes_ += [note] if note else []

    def _generate(self, condition: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        """One generated row (values, then one-hot conditions) for each row of ``condition``."""
        device = next(self.network_.parameters()).device
        noise = rng.standard_normal((len(condition), self.noise), dtype=np.float32)
        found = []
        with torch.no_grad(), torch.random.fork_rng(), threads_for(self.network_, min(len(noise), DRAWN)):
            torch.manual_seed(int(rng.integers(2**63)))  # labels are drawn by torch
            for i in range(0, len(noise), DRAWN):
                given = (torch.from_numpy(part[i : i + DRAWN]).to(device) for part in (noise, condition))
                found.append(self.network_(*given).cpu().numpy())
        return np.concatenate(found)

    # -- bundle --------------------------------------------------------------------------------------------------------

    def _arrays(self) -> Arrays:
        return weights_of(self.network_)

    def _facts(self) -> dict[str, Any]:
        return {"shape": asdict(self.network_.shape)}

    def _restore(self, arrays: Arrays, facts: dict[str, Any]) -> None:
        shape = facts["shape"]
        shape = GANShape(**(shape | {"levels": tuple(shape["levels"])}))
        self.network_ = network_of(lambda: GeneratorNetwork(shape), arrays).to(pick_device(self.device))

    def _describe(self) -> list[str]:
        chosen = int(self.history_["validation_loss"].argmin())
        diversity = self.history_["diversity"].iloc[chosen]
        return [
            f"a tenth of the samples chose the epoch: {chosen + 1} of {len(self.history_)}",
            f"diversity of generated over that of held-out samples: {diversity:.2f}",
        ]


def hold_out(codes: NDArray[np.int64], seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows to learn from and rows that choose the epoch, from each combination in proportion."""
    n = len(codes)
    wanted = min(max(n // 10, HELD[0]), HELD[1], n // 2)
    shuffled = np.random.default_rng(seed).permutation(n)
    ordered = shuffled[np.argsort(codes[shuffled], kind="stable")]
    places = np.linspace(0, n - 1, 2 * wanted + 1).astype(np.int64)[1::2]  # the middles of equal stretches
    held = np.zeros(n, dtype=bool)
    held[ordered[places]] = True
    return np.flatnonzero(~held), np.flatnonzero(held)


def check_sizes(given: Mapping[str, Any], *, bounds: Mapping[str, tuple[float, float]] | None = None) -> None:
    """Refuse settings that cannot work.

    Raises
    ------
    ConfigurationError
        If a number is out of its bounds.
    """
    least = dict.fromkeys(("noise", "hidden", "n_layers", "max_epochs", "patience"), (1, math.inf))
    every = {**least, "batch_size": (2, math.inf), "learning_rate": (1e-12, math.inf), **(bounds or {})}
    require_within(given, {name: ends for name, ends in every.items() if given[name] is not None})
