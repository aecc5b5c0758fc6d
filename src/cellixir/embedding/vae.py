"""Variational autoencoder over AnnData: what cells are, in a few dimensions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
import torch

from cellixir.data.expression.alignment import align
from cellixir.data.expression.matrix import is_backed, profile
from cellixir.data.expression.samples import as_anndata
from cellixir.embedding.axes import Axes, expected, learn_axes
from cellixir.embedding.batches import Batch, Cells
from cellixir.embedding.checks import require_same_scale, require_values
from cellixir.embedding.head import refit_head
from cellixir.embedding.latents import pathway_latents, plain_latents
from cellixir.embedding.parameters import TRAINING, Library, Likelihood, check_parameters
from cellixir.embedding.preparation import Keys, Prepared, annotation_of_query, default_epochs, prepare
from cellixir.embedding.start import started_network
from cellixir.embedding.task import COUNTS, WIDE, Objective, Scaling, VAETask
from cellixir.estimator import Estimator, stopping_rows
from cellixir.exceptions import ConfigurationError, DataError
from cellixir.nn.vae import VAENetwork, VAEShape
from cellixir.training import TrainingConfig, derived_seed, network_of, pick_device, threads_for, train, weights_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from cellixir.data.expression.alignment import Aligned
    from cellixir.data.expression.matrix import Rows
    from cellixir.data.expression.samples import Samples
    from cellixir.data.missing_genes import Missing
    from cellixir.estimator import Arrays, OnEpoch

#: What JSON holds as it is of the attributes that end in ``_``.
FACTS = ("likelihood", "scale", "genes", "latent_names", "batches", "classes", "fingerprint", "n_cells", "notes")
AXES = ("loadings", "centre", "scale")


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
    >>> import anndata as ad
    >>> cells = ad.AnnData(np.random.default_rng(0).poisson(1.0, (60, 20)).astype("float32"))
    >>> VAE(latent=2, hidden=8, max_epochs=2).fit(cells).transform(cells).shape
    (60, 2)
    """

    title = "VAE of cells"
    limits = "Genes are matched by name. Latents of cells from another protocol or tissue are not validated."
    learned = "axes_"

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
        self.check_parameters()

    def check_parameters(self) -> None:
        """Refuse parameters that cannot work."""
        check_parameters(vars(self))

    # -- fit -----------------------------------------------------------------------------------------------------------

    def fit(
        self,
        X: Samples,
        y: Any = None,
        *,
        validation: NDArray[Any] | None = None,
        checkpoint: Path | None = None,
        on_epoch: OnEpoch | None = None,
    ) -> Self:
        """Learn from all cells but a tenth, which say when to stop.

        Parameters
        ----------
        X
            Cells x genes, in memory (dense or sparse) or backed; a table has no columns about the cells.
        y
            Not used: labels stand in ``label_key``.
        validation
            Cells that say when to stop, as numbers or a mask.
        checkpoint
            File to write after each epoch and to go on from.
        on_epoch
            Called with 0, each epoch and the number of epochs.

        Raises
        ------
        InvalidValues
            If the values are not what the likelihood is about.
        DataError
            If there are fewer than ten cells with data.
        """
        cells = as_anndata(X)
        stop = stopping_rows(validation, cells.n_obs)
        keys = Keys(self.batch_key, self.label_key, self.group_key)
        data = prepare(cells, keys, likelihood=self.likelihood, seed=self.seed, validation=stop)
        self.likelihood_, self.notes_ = data.likelihood, data.notes
        self.scale_ = str(cells.uns.get("scale", "counts" if self.likelihood_ in COUNTS else "unknown"))
        self.genes_, self.fingerprint_ = list(cells.var_names), data.seen.fingerprint
        self.batches_, self.classes_ = data.batches, data.classes
        self.library_prior_ = data.annotation.library_prior
        self.n_cells_ = {"train": len(data.train), "validation": len(data.validation)}
        network, device = self._started(data), pick_device(self.device)
        self.network_, self.scaling_ = network.to(device), data.scaling.to(device)
        objective = Objective(self.network_, self.scaling_, self.likelihood_, data.annotation)
        task = self._task(objective, data, on_disk=is_backed(cells.X))
        signature = f"{self.parameters()} {self.fingerprint_} {data.columns}"
        signature += "" if stop is None else f" {stop.tolist()}"
        self.history_ = self._trained(task, checkpoint, signature, on_epoch)
        with threads_for(self.network_, WIDE):
            if self.classes_:
                refit_head(objective, task.train, WIDE)
            self.axes_ = learn_axes(objective, task.train, derived_seed(self.seed, 4))
        return self

    # -- use -----------------------------------------------------------------------------------------------------------

    def transform(self, X: Samples, *, missing: Missing = "refuse") -> NDArray[np.float32]:
        """Latent means, shape ``(n_cells, n_latent)``, in the axes of `cellixir.embedding.axes`.

        Genes are matched by name. Distances between cells are those between their decoded log expressions.

        Raises
        ------
        GeneMismatch
            If genes of the model are missing and ``missing`` does not let them be filled in.
        InvalidValues
            If the values are not what the model was fitted on.
        """
        found = [self.axes_.of(o, o.encode(batch)[0].mean) for o, batch in self._pass(X, missing)]
        return self.finite(np.concatenate(found))

    def embed(self, X: Samples, *, missing: Missing = "refuse") -> pd.DataFrame:
        """Latent means as a table: one row a cell, one column a latent."""
        cells = as_anndata(X)
        return pd.DataFrame(self.transform(cells, missing=missing), index=cells.obs_names, columns=self.latent_names_)

    def predict(self, X: Samples, *, missing: Missing = "refuse") -> pd.DataFrame:
        """Probability of each class that the head gives each cell, shape ``(n_cells, n_classes)``."""
        self.check_is_fitted()
        if not self.classes_:
            message = "this model has no head of classes; fit it with label_key=COLUMN"
            raise ConfigurationError(message)
        cells = as_anndata(X)
        found = [
            torch.softmax(o.network.head(o.encode(batch)[0].mean), dim=1).cpu().numpy()
            for o, batch in self._pass(cells, missing)
        ]
        return pd.DataFrame(np.concatenate(found), index=cells.obs_names, columns=self.classes_)

    def elbo(self, X: Samples, *, n_draws: int = 10, seed: int = 0) -> NDArray[np.float64]:
        """Evidence lower bound of each cell in nats, the mean over ``n_draws`` of its latent; higher is better."""
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            found = []
            for objective, batch in self._pass(X, "refuse"):
                draws = [objective.terms(batch)[:2] for _ in range(n_draws)]
                found.append(torch.stack([(likelihood - kl).double() for likelihood, kl in draws]).mean(dim=0))
        return torch.cat(found).cpu().numpy()

    def score(self, X: Samples, y: Any = None) -> float:
        """Mean evidence lower bound, in nats, of the cells that have data; higher is better."""
        cells = as_anndata(X)
        values, has_data = self.elbo(cells), profile(cells).library_size != 0
        return float(values[has_data].mean() if self.likelihood_ in COUNTS else values.mean())

    def expression(self, X: Samples, *, missing: Missing = "refuse") -> NDArray[np.float32]:
        """Expected value of each gene given the latent mean, shape ``(n_cells, n_genes)``.

        For counts: share of the cell's library, times the median library of training. Batches are averaged over.
        """
        found = [expected(o, o.encode(batch)[0].mean).cpu().numpy() for o, batch in self._pass(X, missing)]
        return np.concatenate(found)

    def loadings(self) -> pd.DataFrame:
        """Change of each gene's log expression with each latent, shape ``(n_genes, n_latent)``, columns of length 1.

        Of a masked decoder its weights; of any other the principal axes of the decoded training cells.
        """
        self.check_is_fitted()
        return pd.DataFrame(self.axes_.loadings, index=self.genes_, columns=self.latent_names_)

    def features(self, data: Samples) -> tuple[Rows, list[str]]:
        """Values of the model's genes in its order, shape ``(n_cells, n_genes)``, and the genes."""
        self.check_is_fitted()
        matrix, _ = align(as_anndata(data), self.genes_)
        return matrix.take(np.arange(matrix.shape[0])), list(self.genes_)

    # -- bundle --------------------------------------------------------------------------------------------------------

    def state(self) -> tuple[Arrays, dict[str, Any]]:
        """All arrays, and all that JSON holds."""
        arrays: Arrays = weights_of(self.network_)
        arrays |= {f"scaling/{name}": getattr(self.scaling_, name).cpu().numpy() for name in ("mean", "sd")}
        arrays |= {"library_prior": self.library_prior_}
        arrays |= {f"axes/{name}": getattr(self.axes_, name) for name in AXES}
        facts = {name: getattr(self, f"{name}_") for name in FACTS}
        shape, library_size = asdict(self.network_.shape), self.scaling_.library_size
        return arrays, facts | {
            "shape": shape, "library_size": library_size, "history": self.history_.to_dict("list"),
        }  # fmt: skip

    def restore(self, arrays: Arrays, facts: dict[str, Any]) -> None:
        """Take back what `state` gave."""
        for name in FACTS:
            setattr(self, f"{name}_", facts[name])
        self.history_, self.library_prior_ = pd.DataFrame(facts["history"]), arrays["library_prior"]
        device = pick_device(self.device)
        self.network_ = network_of(lambda: VAENetwork(VAEShape(**facts["shape"])), arrays).to(device)
        mean, sd = (torch.from_numpy(arrays[f"scaling/{name}"].copy()) for name in ("mean", "sd"))
        self.scaling_ = Scaling(float(facts["library_size"]), mean, sd).to(device)
        names = (*self.genes_, *self.latent_names_, *self.batches_, *self.classes_)
        if not all(isinstance(name, str) for name in names):
            message = "names of genes, latents, batches and classes must be text"
            raise ValueError(message)
        if not 0 < self.scaling_.library_size < float("inf"):
            message = f"the library size {self.scaling_.library_size} is not possible"
            raise ValueError(message)
        if self.network_.shape.n_batches != max(1, len(self.batches_)):
            message = f"{len(self.batches_):,} batches for a network of {self.network_.shape.n_batches:,}"
            raise ValueError(message)
        if not len(self.genes_) == len(mean) == len(sd) == self.network_.shape.n_genes:
            message = f"{len(self.genes_):,} genes for a network of {self.network_.shape.n_genes:,}"
            raise ValueError(message)
        self.axes_ = Axes(*(arrays[f"axes/{name}"] for name in AXES))

    def describe(self) -> list[str]:
        """Lines of the card."""
        shape, best = self.network_.shape, self.history_["validation_loss"].min()
        latent = f"{shape.latent} latent dimensions" + (" (pathways)" if shape.masked else "")
        others = f" of other {self.group_key}s" if self.group_key else ""
        head = " and cross-entropy of the head)" if self.classes_ else ")"
        return [
            f"{self.likelihood_} likelihood on {self.scale_}; {len(self.genes_):,} genes; {latent}; "
            f"hidden {shape.hidden}",
            f"fitted on {self.n_cells_['train']:,} cells, stopped by {self.n_cells_['validation']:,} others{others}",
            f"loss of the validation cells {best:.3f} nats a cell (negative evidence lower bound{head}",
            f"batches: {', '.join(self.batches_) or 'none'}; classes: {', '.join(self.classes_) or 'none'}",
        ]

    # -- parts ---------------------------------------------------------------------------------------------------------

    def _started(self, data: Prepared) -> VAENetwork:
        """Network of these sizes and cells at its start; names its latents."""
        mask = None
        if self.gene_sets is None:
            self.latent_names_ = plain_latents(self.latent, self.genes_)
        else:
            self.latent_names_, mask = pathway_latents(
                self.gene_sets, self.genes_, n_free=self.n_free, min_genes=self.min_genes
            )
        shape = VAEShape(
            len(self.genes_),
            latent=len(self.latent_names_),
            hidden=self.hidden,
            n_layers=self.n_layers,
            dropout=self.dropout,
            activation=self.activation,  # type: ignore[arg-type]
            n_batches=max(len(data.batches), 1),
            n_classes=len(data.classes),
            zero_inflated=data.likelihood == "zinb",
            learned_library=self.library == "learned" and data.likelihood in COUNTS,
            masked=mask is not None,
        )
        return started_network(shape, mask, data, self.seed)

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
        self, task: VAETask, checkpoint: Path | None, signature: str, on_epoch: OnEpoch | None
    ) -> pd.DataFrame:
        """Train, and return one row an epoch."""
        epochs = self.max_epochs or default_epochs(len(task.train), self.training.batch_size)
        history = train(
            task,
            replace(self.training, max_epochs=epochs),
            seed=derived_seed(self.seed, 2),
            checkpoint=checkpoint,
            signature=signature,
            on_epoch=None if on_epoch is None else lambda epoch: on_epoch(0, epoch, epochs),
        )
        return pd.DataFrame([asdict(epoch) for epoch in history])

    def _pass(self, X: Samples, missing: Missing) -> Iterator[tuple[Objective, Batch]]:
        """Batches of a query in its order, in evaluation mode and without gradients."""
        self.check_is_fitted()
        cells = as_anndata(X)
        if not cells.n_obs:
            message = "there are no cells in these data; give at least one"
            raise DataError(message)
        require_same_scale(self.scale_, cells)
        mean = None if self.likelihood_ in COUNTS else self.scaling_.mean.cpu().numpy()
        matrix, self.query_notes_ = align(cells, self.genes_, missing=missing, mean=mean)
        annotation = annotation_of_query(cells, self.batch_key, self.batches_, self.library_prior_)
        objective = Objective(self.network_, self.scaling_, self.likelihood_, annotation)
        device = next(self.network_.parameters()).device
        rows = np.arange(cells.n_obs, dtype=np.int64)
        self.network_.eval()
        for batch in Cells(matrix, rows, is_backed(cells.X), sparse=self._sparse(matrix)).in_order(WIDE, device):
            require_values(self.likelihood_, batch, cells, self.genes_)
            with torch.no_grad(), threads_for(self.network_, len(batch.cells)):
                yield objective, batch

    def _sparse(self, matrix: Aligned) -> bool:
        """Whether the network takes counts as they are stored: on a CPU, where that is several times faster."""
        return self.likelihood_ in COUNTS and matrix.sparse and next(self.network_.parameters()).device.type == "cpu"
