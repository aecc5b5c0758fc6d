"""Variational autoencoder over AnnData: what cells are, in a few dimensions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, Self

import anndata as ad
import numpy as np
import pandas as pd
import torch

from cellixir.data.expression.matrix import is_backed, profile
from cellixir.embedding.axes import expected, learn_axes
from cellixir.embedding.batches import Batch, Cells
from cellixir.embedding.bundle import parameters_in, restore, state_of
from cellixir.embedding.card import write_card
from cellixir.embedding.checks import require_same_scale, require_values
from cellixir.embedding.genes import Missing, align
from cellixir.embedding.head import refit_head
from cellixir.embedding.parameters import TRAINING, Library, Likelihood, check_parameters, parameters_of
from cellixir.embedding.preparation import Prepared, annotation_of_query, default_epochs, prepare
from cellixir.embedding.shape import latents_of, shape_of
from cellixir.embedding.start import started_network
from cellixir.embedding.task import COUNTS, WIDE, Objective, VAETask
from cellixir.estimator import Estimator
from cellixir.exceptions import ConfigurationError, DataError, NotFitted
from cellixir.training import Epoch, TrainingConfig, derived_seed, pick_device, threads_for, train

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from cellixir.embedding.genes import Aligned
    from cellixir.estimator import Arrays


class VAE(Estimator):
    """Variational autoencoder of cells or bulk samples (Lopez et al., Nature Methods 2018).

    Parameters
    ----------
    likelihood
        ``nb`` or ``zinb`` for counts, ``gaussian`` for log values, ``bernoulli`` for zeros and ones; ``auto`` takes
        the one that the data allow.
    latent, hidden, n_layers, dropout, activation
        Sizes of the network; encoder and decoder have the same layers.
    beta, kl_warmup
        Weight of the KL divergence, and the share of training over which it is reached.
    batch_key, label_key, group_key
        Columns of ``obs``: batches that the decoder corrects for; cell types for the head, where missing values are
        cells without a label; patients, who are never both in training and in validation.
    library
        ``observed`` takes a cell's library size as it is, ``learned`` infers it.
    gene_sets
        Genes of each pathway: the decoder is linear and masked, so that a latent is a pathway. ``latent`` is ignored.
    n_free
        With ``gene_sets``, latents beside the pathways that may use every gene.
    head_weight
        Weight of the head's cross-entropy beside the evidence lower bound of a cell.
    max_epochs
        Default: 60, and fewer (20 or more) where that makes more than 20,000 steps.
    training
        All other settings of the loop.
    seed, device
        Same seed, same numbers on one machine; ``auto`` is the GPU when there is one.

    Examples
    --------
    >>> cells = ad.AnnData(np.random.default_rng(0).poisson(1.0, (60, 20)).astype("float32"))
    >>> VAE(latent=2, hidden=8, max_epochs=2).fit(cells).transform(cells).shape
    (60, 2)
    """

    def __init__(
        self,
        likelihood: Likelihood = "auto",
        *,
        latent: int = 10,
        hidden: int = 128,
        n_layers: int = 1,
        dropout: float = 0.1,
        activation: str = "relu",
        beta: float = 1.0,
        kl_warmup: float = 0.0,
        batch_key: str | None = None,
        label_key: str | None = None,
        group_key: str | None = None,
        library: Library = "observed",
        gene_sets: Mapping[str, Sequence[str]] | None = None,
        n_free: int = 4,
        min_genes: int = 5,
        head_weight: float = 10.0,
        max_epochs: int | None = None,
        training: TrainingConfig = TRAINING,
        seed: int = 0,
        device: str = "auto",
    ) -> None:
        check_parameters(locals())
        self.likelihood = likelihood
        self.latent, self.hidden, self.n_layers = latent, hidden, n_layers
        self.dropout, self.activation = dropout, activation
        self.beta, self.kl_warmup = beta, kl_warmup
        self.batch_key, self.label_key, self.group_key = batch_key, label_key, group_key
        self.library = library
        self.gene_sets, self.n_free, self.min_genes = gene_sets, n_free, min_genes
        self.head_weight = head_weight
        self.max_epochs, self.training = max_epochs, training
        self.seed, self.device = seed, device

    # -- fit -----------------------------------------------------------------------------------------------------------

    def fit(
        self,
        cells: ad.AnnData,
        *,
        checkpoint: Path | None = None,
        on_epoch: Callable[[Epoch, int], None] | None = None,
    ) -> Self:
        """Learn from all cells but a tenth, which say when to stop.

        Parameters
        ----------
        cells
            Cells x genes, in memory (dense or sparse) or backed.
        checkpoint
            File to write after each epoch and to go on from.
        on_epoch
            Called with each epoch and the number of epochs.

        Raises
        ------
        InvalidValues
            If the values are not what the likelihood is about.
        DataError
            If there are fewer than ten cells with data.
        """
        data = prepare(cells, self)
        self.likelihood_, self.notes_ = data.likelihood, data.notes
        self.scale_ = str(cells.uns.get("scale", "counts" if self.likelihood_ in COUNTS else "unknown"))
        self.genes_, self.fingerprint_ = list(cells.var_names), data.seen.fingerprint
        self.batches_, self.classes_ = data.batches, data.classes
        self.library_prior_ = data.annotation.library_prior
        self.n_cells_ = {"train": len(data.train), "validation": len(data.validation)}
        self.latent_names_, mask = latents_of(self, self.genes_)
        shape = shape_of(self, data, len(self.latent_names_), masked=mask is not None)
        network, device = started_network(shape, mask, data, self.seed), pick_device(self.device)
        self.network_, self.scaling_ = network.to(device), data.scaling.to(device)
        objective = Objective(self.network_, self.scaling_, self.likelihood_, data.annotation)
        task = self._task(objective, data, on_disk=is_backed(cells.X))
        self.history_ = self._trained(task, data, checkpoint, on_epoch)
        if self.classes_:
            refit_head(objective, task.train, WIDE)
        self.axes_ = learn_axes(objective, task.train, derived_seed(self.seed, 4))
        return self

    # -- use -----------------------------------------------------------------------------------------------------------

    def transform(self, cells: ad.AnnData, *, missing: Missing = "refuse") -> NDArray[np.float32]:
        """Latent means, shape ``(n_cells, n_latent)``, in the axes of `cellixir.embedding.axes`.

        Genes are matched by name. Distances between cells are those between their decoded log expressions.

        Raises
        ------
        GeneMismatch
            If genes of the model are missing and ``missing`` does not let them be filled in.
        InvalidValues
            If the values are not what the model was fitted on.
        """
        found = [self.axes_.of(o, o.encode(batch)[0].mean) for o, batch in self._pass(cells, missing)]
        return np.concatenate(found)

    def embed(self, cells: ad.AnnData, *, missing: Missing = "refuse") -> pd.DataFrame:
        """Latent means as a table: one row a cell, one column a latent."""
        return pd.DataFrame(self.transform(cells, missing=missing), index=cells.obs_names, columns=self.latent_names_)

    def predict(self, cells: ad.AnnData, *, missing: Missing = "refuse") -> pd.DataFrame:
        """Probability of each class that the head gives each cell, shape ``(n_cells, n_classes)``."""
        self._require_fitted()
        if not self.classes_:
            message = "this model has no head of classes; fit it with label_key=COLUMN"
            raise ConfigurationError(message)
        found = [
            torch.softmax(o.network.head(o.encode(batch)[0].mean), dim=1).cpu().numpy()
            for o, batch in self._pass(cells, missing)
        ]
        return pd.DataFrame(np.concatenate(found), index=cells.obs_names, columns=self.classes_)

    def elbo(self, cells: ad.AnnData, *, n_draws: int = 10, seed: int = 0) -> NDArray[np.float64]:
        """Evidence lower bound of each cell in nats, the mean over ``n_draws`` of its latent; higher is better."""
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            found = []
            for objective, batch in self._pass(cells, "refuse"):
                draws = [objective.terms(batch)[:2] for _ in range(n_draws)]
                found.append(torch.stack([(likelihood - kl).double() for likelihood, kl in draws]).mean(dim=0))
        return torch.cat(found).cpu().numpy()

    def score(self, cells: ad.AnnData) -> float:
        """Mean evidence lower bound of the cells that have data."""
        values, has_data = self.elbo(cells), profile(cells).library_size != 0
        return float(values[has_data].mean() if self.likelihood_ in COUNTS else values.mean())

    def expression(self, cells: ad.AnnData, *, missing: Missing = "refuse") -> NDArray[np.float32]:
        """Expected value of each gene given the latent mean, shape ``(n_cells, n_genes)``.

        For counts: share of the cell's library, times the median library of training. Batches are averaged over.
        """
        found = [expected(o, o.encode(batch)[0].mean).cpu().numpy() for o, batch in self._pass(cells, missing)]
        return np.concatenate(found)

    def loadings(self) -> pd.DataFrame:
        """Change of each gene's log expression with each latent, shape ``(n_genes, n_latent)``, columns of length 1.

        Of a masked decoder its weights; of any other the principal axes of the decoded training cells.
        """
        self._require_fitted()
        return pd.DataFrame(self.axes_.loadings, index=self.genes_, columns=self.latent_names_)

    # -- bundle --------------------------------------------------------------------------------------------------------

    def state(self) -> tuple[Arrays, dict[str, Any]]:
        """All arrays, and all that JSON holds."""
        self._require_fitted()
        return state_of(self)

    @classmethod
    def from_state(cls, arrays: Arrays, facts: dict[str, Any]) -> Self:
        """Rebuild the fitted model."""
        model = cls(**parameters_in(facts))
        restore(model, arrays, facts)
        return model

    def card(self) -> str:
        """Return the model card, in Markdown."""
        return write_card(self)

    # -- parts ---------------------------------------------------------------------------------------------------------

    def _task(self, objective: Objective, data: Prepared, *, on_disk: bool) -> VAETask:
        sparse = self._sparse(data.matrix)
        return VAETask(
            objective,
            Cells(data.matrix, data.train, on_disk, sparse=sparse),
            Cells(data.matrix, data.validation, on_disk, sparse=sparse).kept(),
            beta=self.beta,
            warmup=self.kl_warmup,
            head_weight=self.head_weight if self.classes_ else 0.0,
        )

    def _trained(
        self, task: VAETask, data: Prepared, checkpoint: Path | None, on_epoch: Callable[[Epoch, int], None] | None
    ) -> pd.DataFrame:
        """Train, and return one row an epoch."""
        epochs = self.max_epochs or default_epochs(len(data.train), self.training.batch_size)
        work = self.training.batch_size * len(self.genes_) * (self.hidden + len(self.latent_names_))
        with threads_for(work if task.train.sparse else math.inf):
            history = train(
                task,
                replace(self.training, max_epochs=epochs),
                seed=derived_seed(self.seed, 2),
                checkpoint=checkpoint,
                signature=f"{parameters_of(self)} {self.fingerprint_} {data.columns}",
                on_epoch=None if on_epoch is None else lambda epoch: on_epoch(epoch, epochs),
            )
        return pd.DataFrame([asdict(epoch) for epoch in history])

    def _pass(self, cells: ad.AnnData, missing: Missing) -> Iterator[tuple[Objective, Batch]]:
        """Batches of a query in its order, in evaluation mode and without gradients."""
        self._require_fitted()
        if not cells.n_obs:
            message = "there are no cells in these data; give at least one"
            raise DataError(message)
        require_same_scale(self.scale_, cells)
        fill = None if self.likelihood_ in COUNTS else self.scaling_.mean.cpu().numpy()
        matrix, self.query_notes_ = align(cells, self.genes_, missing=missing, fill=fill)
        objective = Objective(self.network_, self.scaling_, self.likelihood_, annotation_of_query(cells, self))
        device = next(self.network_.parameters()).device
        rows = np.arange(cells.n_obs, dtype=np.int64)
        self.network_.eval()
        for batch in Cells(matrix, rows, is_backed(cells.X), sparse=self._sparse(matrix)).in_order(WIDE, device):
            require_values(self.likelihood_, batch, cells, self.genes_)
            with torch.no_grad():
                yield objective, batch

    def _sparse(self, matrix: Aligned) -> bool:
        """Whether the network takes counts as they are stored: on a CPU, where that is several times faster."""
        return self.likelihood_ in COUNTS and matrix.sparse and next(self.network_.parameters()).device.type == "cpu"

    def _require_fitted(self) -> None:
        if not hasattr(self, "network_"):
            message = "this VAE has not been fitted; call fit(cells) first, or VAE.load(bundle)"
            raise NotFitted(message)
