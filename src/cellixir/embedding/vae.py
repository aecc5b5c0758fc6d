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

from cellixir.data.expression.checks import require_scale
from cellixir.data.expression.matrix import is_backed, profile
from cellixir.embedding.axes import Axes, expected, learn_axes
from cellixir.embedding.batches import Batch, Cells
from cellixir.embedding.card import write_card
from cellixir.embedding.checks import require_same_scale, require_values
from cellixir.embedding.genes import Missing, align, refuse_repeated_genes
from cellixir.embedding.head import refit_head
from cellixir.embedding.parameters import TRAINING, Library, Likelihood, check_parameters
from cellixir.embedding.preparation import (
    codes,
    column_of,
    columns_fingerprint,
    default_epochs,
    learn_scaling,
    library_prior,
    names_of,
    split_validation,
)
from cellixir.embedding.start import StartData, started_network
from cellixir.embedding.task import COUNTS, WIDE, Annotation, Objective, Scaling, VAETask
from cellixir.estimator import Estimator, under
from cellixir.exceptions import ConfigurationError, DataError, NotFitted
from cellixir.nn.vae import VAENetwork, VAEShape
from cellixir.training import Epoch, TrainingConfig, derived_seed, pick_device, threads_for, train

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from cellixir.data.expression.matrix import Profile
    from cellixir.embedding.genes import Aligned


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
        refuse_repeated_genes(cells)
        seen = profile(cells)
        self.likelihood_ = require_scale(cells, self.likelihood, seen)
        self.scale_ = str(cells.uns.get("scale", "counts" if self.likelihood_ in COUNTS else "unknown"))
        self.notes_: list[str] = []
        self.genes_ = list(cells.var_names)
        self.fingerprint_ = seen.fingerprint
        rows = self._rows_with_data(seen)
        batch = None if self.batch_key is None else column_of(cells, self.batch_key)
        label = None if self.label_key is None else column_of(cells, self.label_key)
        groups = None if self.group_key is None else column_of(cells, self.group_key)
        self.batches_ = [] if batch is None else names_of(batch.iloc[rows])
        self.classes_ = [] if label is None else names_of(label.iloc[rows])
        if label is not None and len(self.classes_) < 2:
            message = f"column '{self.label_key}' names {len(self.classes_)} classes; a head needs two or more"
            raise ConfigurationError(message)
        matrix, _ = align(cells, self.genes_)
        train_rows, validation_rows = split_validation(rows, groups, derived_seed(self.seed, 1))
        self.scaling_ = learn_scaling(matrix, train_rows, seen, self.likelihood_)
        annotation = self._annotation(cells, seen, train_rows)
        config = self._config(len(train_rows))
        self.network_ = self._new_network(seen, matrix, train_rows, annotation.batch)
        objective = Objective(self.network_, self.scaling_, self.likelihood_, annotation)
        on_disk = is_backed(cells.X)
        sparse = self._sparse(matrix)
        task = VAETask(
            objective,
            Cells(matrix, train_rows, on_disk, sparse=sparse),
            Cells(matrix, validation_rows, on_disk, sparse=sparse).kept(),
            beta=self.beta,
            warmup=self.kl_warmup,
            head_weight=self.head_weight if self.classes_ else 0.0,
        )
        work = config.batch_size * len(self.genes_) * (self.hidden + len(self.latent_names_))
        with threads_for(work if task.train.sparse else math.inf):
            history = train(
                task,
                config,
                seed=derived_seed(self.seed, 2),
                checkpoint=checkpoint,
                signature=f"{self._settings()} {seen.fingerprint} {columns_fingerprint(batch, label, groups)}",
                on_epoch=None if on_epoch is None else lambda epoch: on_epoch(epoch, config.max_epochs),
            )
        self.history_ = pd.DataFrame([asdict(epoch) for epoch in history])
        if self.classes_:
            refit_head(objective, task.train, WIDE)
        self.axes_ = learn_axes(objective, task.train, derived_seed(self.seed, 4))
        self.n_cells_ = {"train": len(train_rows), "validation": len(validation_rows)}
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

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """All arrays, and all that JSON holds."""
        self._require_fitted()
        arrays = {f"network/{n}": t.cpu().numpy() for n, t in self.network_.state_dict().items()}
        arrays |= {"scaling/mean": self.scaling_.mean.cpu().numpy(), "scaling/sd": self.scaling_.sd.cpu().numpy()}
        arrays |= {"library_prior": self.library_prior_}
        arrays |= {f"axes/{name}": getattr(self.axes_, name) for name in ("loadings", "centre", "scale")}
        facts = {
            "parameters": self._settings(),
            "likelihood": self.likelihood_,
            "scale": self.scale_,
            "genes": self.genes_,
            "latent_names": self.latent_names_,
            "batches": self.batches_,
            "classes": self.classes_,
            "shape": asdict(self.network_.shape),
            "library_size": self.scaling_.library_size,
            "fingerprint": self.fingerprint_,
            "n_cells": self.n_cells_,
            "notes": self.notes_,
            "history": self.history_.to_dict("list"),
        }
        return arrays, facts

    @classmethod
    def from_state(cls, arrays: dict[str, NDArray[Any]], facts: dict[str, Any]) -> Self:
        """Rebuild the fitted model."""
        settings = dict(facts["parameters"])
        model = cls(**(settings | {"training": TrainingConfig(**settings["training"])}))
        model.likelihood_, model.scale_ = facts["likelihood"], facts["scale"]
        model.genes_, model.latent_names_ = list(facts["genes"]), list(facts["latent_names"])
        model.batches_, model.classes_ = list(facts["batches"]), list(facts["classes"])
        model.fingerprint_, model.n_cells_, model.notes_ = facts["fingerprint"], facts["n_cells"], list(facts["notes"])
        model.history_ = pd.DataFrame(facts["history"])
        model.library_prior_ = arrays["library_prior"]
        model.axes_ = Axes(*(arrays[f"axes/{name}"] for name in ("loadings", "centre", "scale")))
        device = pick_device(model.device)
        model.network_ = VAENetwork(VAEShape(**facts["shape"])).to(device)
        weights = under("network", arrays)
        model.network_.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in weights.items()})
        model.network_.eval()
        mean, sd = (torch.from_numpy(arrays[f"scaling/{n}"].copy()).to(device) for n in ("mean", "sd"))
        model.scaling_ = Scaling(float(facts["library_size"]), mean, sd)
        return model

    def card(self) -> str:
        """Return the model card, in Markdown."""
        return write_card(self)

    # -- parts ---------------------------------------------------------------------------------------------------------

    def _rows_with_data(self, seen: Profile) -> NDArray[np.int64]:
        if self.likelihood_ not in COUNTS:
            return np.arange(len(seen.library_size))
        rows = np.flatnonzero(seen.library_size > 0)
        empty = len(seen.library_size) - len(rows)
        if empty:
            self.notes_.append(f"{empty:,} cells without a count were left out of the fit")
        return rows

    def _config(self, n_train: int) -> TrainingConfig:
        epochs = self.max_epochs or default_epochs(n_train, self.training.batch_size)
        return replace(self.training, max_epochs=epochs)

    def _annotation(
        self, cells: ad.AnnData, seen: Profile | None = None, train_rows: NDArray[np.int64] | None = None
    ) -> Annotation:
        """Codes of batch and class of each cell; in a query, columns may be lacking."""
        nothing = np.full(cells.n_obs, -1, dtype=np.int64)
        batch, label = nothing, nothing
        if self.batches_ and self.batch_key in cells.obs:
            batch = codes(column_of(cells, str(self.batch_key)), self.batches_)
        if seen is not None:
            if self.classes_:
                label = codes(column_of(cells, str(self.label_key)), self.classes_)
            log_library = np.log(np.maximum(seen.library_size, 1))[train_rows]
            n_batches = max(len(self.batches_), 1)
            self.library_prior_ = library_prior(log_library, np.maximum(batch, 0)[train_rows], n_batches)
        return Annotation(batch, label, self.library_prior_)

    def _new_network(
        self, seen: Profile, matrix: Aligned, rows: NDArray[np.int64], batch: NDArray[np.int64]
    ) -> VAENetwork:
        mask, names = None, [f"z{i + 1}" for i in range(self.latent)]
        if self.gene_sets is not None:
            from cellixir.data.gene_sets import pathway_mask

            found, pathways, _ = pathway_mask(self.gene_sets, self.genes_, min_genes=self.min_genes)
            names = [*pathways, *(f"free {i + 1}" for i in range(self.n_free))]
            free = np.ones((len(self.genes_), self.n_free), dtype=np.float32)
            mask = torch.from_numpy(np.concatenate([found.astype(np.float32), free], axis=1))
        self.latent_names_ = names
        if mask is None and self.latent > len(self.genes_):
            message = f"latent={self.latent} is more than the {len(self.genes_)} genes of the data; take a smaller one"
            raise ConfigurationError(message)
        shape = VAEShape(
            len(self.genes_),
            latent=len(names),
            hidden=self.hidden,
            n_layers=self.n_layers,
            dropout=self.dropout,
            activation=self.activation,  # type: ignore[arg-type]
            n_batches=max(len(self.batches_), 1),
            n_classes=len(self.classes_),
            zero_inflated=self.likelihood_ == "zinb",
            learned_library=self.library == "learned" and self.likelihood_ in COUNTS,
            masked=mask is not None,
        )
        known = batch if shape.n_batches > 1 else None
        data = StartData(self.likelihood_, self.scaling_, seen, matrix, rows, known, self.library_prior_)
        network = started_network(shape, mask, data, self.seed)
        device = pick_device(self.device)
        self.scaling_ = Scaling(self.scaling_.library_size, self.scaling_.mean.to(device), self.scaling_.sd.to(device))
        return network.to(device)

    def _pass(self, cells: ad.AnnData, missing: Missing) -> Iterator[tuple[Objective, Batch]]:
        """Batches of a query in its order, in evaluation mode and without gradients."""
        self._require_fitted()
        if not cells.n_obs:
            message = "there are no cells in these data; give at least one"
            raise DataError(message)
        require_same_scale(self.scale_, cells)
        fill = None if self.likelihood_ in COUNTS else self.scaling_.mean.cpu().numpy()
        matrix, self.query_notes_ = align(cells, self.genes_, missing=missing, fill=fill)
        objective = Objective(self.network_, self.scaling_, self.likelihood_, self._annotation(cells))
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

    def _settings(self) -> dict[str, Any]:
        names = (
            "likelihood latent hidden n_layers dropout activation beta kl_warmup batch_key label_key group_key library "
            "n_free min_genes head_weight max_epochs seed device"
        )
        found = {name: getattr(self, name) for name in names.split()}
        sets = None if self.gene_sets is None else {name: list(genes) for name, genes in self.gene_sets.items()}
        return found | {"gene_sets": sets, "training": asdict(self.training)}

    def _require_fitted(self) -> None:
        if not hasattr(self, "network_"):
            message = "this VAE has not been fitted; call fit(cells) first, or VAE.load(bundle)"
            raise NotFitted(message)
