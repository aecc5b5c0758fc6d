"""Vanilla GAN: the generator of the original comparison, and a baseline to beat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from cellixir.nn.gan import GANShape
from cellixir.synthesis.gan_base import AdversarialGenerator, check_sizes
from cellixir.synthesis.gan_components import Components
from cellixir.synthesis.gan_task import NonSaturating
from cellixir.synthesis.labels import draw_until

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellixir.synthesis.generator import Fit


class GANGenerator(AdversarialGenerator):
    """Vanilla GAN (Goodfellow et al., arXiv 1406.2661) on standardised genes, unconditional.

    The non-saturating loss, one step of each player, no components: every gene is an output of the generator and an
    input of the critic. The layers are those of common practice (Radford et al., arXiv 1511.06434): the generator's are
    normalised over the batch, the critic's drop units. Condition columns are generated as well, one-hot through a
    Gumbel-softmax a column, so that samples come with labels; their shares are the generator's own. A condition that
    is asked for is met by drawing until it comes. With many genes and few samples it tends to collapse: see
    ``history_`` and ``notes_``, and take ``wgan-gp``.

    Parameters
    ----------
    condition, seed
        See `cellixir.synthesis.generator.Generator`.
    noise, hidden, n_layers
        Width of the generator's noise; width and number of hidden layers of both players.
    dropout
        Share of the critic's units that are dropped.
    learning_rate, batch_size
        Of both players; Adam with betas .5 and .999.
    max_epochs, patience
        Epochs of 25 steps at most, and after the best one.
    device
        ``auto`` is the GPU when there is one.

    Examples
    --------
    >>> import anndata as ad
    >>> counts = np.random.default_rng(0).poisson(20.0, (30, 8)).astype("float32")
    >>> model = GANGenerator(hidden=8, max_epochs=1).fit(ad.AnnData(counts, uns={"scale": "counts"}))
    >>> model.sample(3).X.shape
    (3, 8)
    """

    name = "gan"
    title = "Vanilla GAN"

    def __init__(
        self,
        *,
        condition: Sequence[str] = (),
        noise: int = 64,
        hidden: int = 64,
        n_layers: int = 2,
        dropout: float = 0.3,
        learning_rate: float = 2e-3,
        batch_size: int = 32,
        max_epochs: int = 80,
        patience: int = 80,
        seed: int = 0,
        device: str = "auto",
    ) -> None:
        super().__init__(condition=condition, seed=seed)
        self.noise, self.hidden, self.n_layers, self.dropout = noise, hidden, n_layers, dropout
        self.learning_rate, self.batch_size = learning_rate, batch_size
        self.max_epochs, self.patience, self.device = max_epochs, patience, device
        self.check_parameters()

    def check_parameters(self) -> None:
        """Refuse parameters that cannot work."""
        super().check_parameters()
        check_sizes(vars(self), bounds={"dropout": (0, 0.99)})

    def _learn(self, table: NDArray[np.float32], codes: NDArray[np.int64], fit: Fit) -> None:
        seen = Components.learn(table)  # only nearness is measured in components
        axes, mean = torch.from_numpy(seen.axes), torch.from_numpy(seen.mean)
        self._play(
            table,
            codes,
            lambda values: (values - mean.to(values.device)) @ axes.T.to(values.device),
            fit,
            decay=0.0,
        )

    def _draw(self, codes: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.float32]:
        """Table of new samples, of each combination as many as ``codes`` say."""
        found = np.empty((len(codes), self.network_.shape.width), dtype=np.float32)
        for code in np.unique(codes):
            rows = codes == code
            found[rows] = self._drawn_until(int(rows.sum()), np.array([code]), rng)[1]
        return found

    def _draw_labelled(
        self, n: int, rng: np.random.Generator, fixed: Mapping[str, str] | None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Combinations, as the generator labels them, and table of ``n`` new samples."""
        return self._drawn_until(n, self.conditions_.matching(fixed), rng)

    def _drawn_until(
        self, n: int, allowed: NDArray[np.int64], rng: np.random.Generator
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Codes and rows of the first ``n`` samples that come in one of the combinations allowed.

        Raises
        ------
        ConfigurationError
            If they hardly ever come.
        """
        width = self.network_.shape.width

        def draw(size: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
            some = self._generate(np.empty((size, 0), np.float32), rng)
            return some[:, :width], self._codes_of(some[:, width:])

        rows, codes = draw_until(n, draw, allowed, self.conditions_)
        return codes, rows

    def _codes_of(self, labels: NDArray[np.float32]) -> NDArray[np.int64]:
        """Code of each row of one-hot labels, -1 for a combination that was never seen."""
        combinations = self.conditions_.one_hot(np.arange(len(self.conditions_)))
        agree = np.rint(labels) @ combinations.T
        return np.where(agree.max(axis=1) == len(self.conditions_.columns), agree.argmax(axis=1), -1)

    def _shape(self, width: int) -> GANShape:
        levels = tuple(len(values) for values in self.conditions_.levels.values())
        return GANShape(
            width,
            levels,
            conditional=False,
            noise=self.noise,
            hidden=self.hidden,
            n_layers=self.n_layers,
            batch_norm=True,
            dropout=self.dropout,
        )

    def _rules(self) -> NonSaturating:
        return NonSaturating()
