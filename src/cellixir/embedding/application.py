"""Embed other cells with a fitted bundle."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import anndata as ad
import pandas as pd

from cellixir.data.expression.write import write_cells
from cellixir.data.missing_genes import Missing, check_missing
from cellixir.embedding.annotated import add, annotated
from cellixir.embedding.pieces import MODEL
from cellixir.embedding.vae import VAE
from cellixir.exceptions import ConfigurationError
from cellixir.files import require_writable


@dataclass(frozen=True)
class Applied:
    """What was done: numbers, the classes that were called most and sentences to know."""

    n_cells: int
    n_latents: int
    called: str = ""
    notes: list[str] = field(default_factory=list)


def check_apply(bundle: Path, data: Path, out: Path, missing: str) -> None:
    """Refuse what cannot work before anything is read.

    Raises
    ------
    ConfigurationError
        If ``out`` is no .h5ad or would overwrite the data or the bundle, or ``missing`` is not known.
    WriteError
        If ``out`` cannot be written.
    """
    check_missing(missing, "--missing")
    if out.suffix != ".h5ad":
        message = f"--out {out} must end in .h5ad"
        raise ConfigurationError(message)
    if out.resolve() == data.resolve() or out.resolve().is_relative_to(bundle.resolve()):
        message = f"--out {out} would write over the data or into the bundle; choose another --out"
        raise ConfigurationError(message)
    require_writable(out)


def load_vae(bundle: Path | str, device: str = "auto") -> VAE:
    """Model of a bundle, or of the folder that ``cellixir embed fit`` wrote."""
    folder = Path(bundle)
    model = VAE.load(folder / MODEL if (folder / MODEL).is_dir() else folder)
    if device != "auto":
        from cellixir.training import pick_device

        model.device = device
        model.network_.to(pick_device(device))
    return model


def apply(
    bundle: Path | str, cells: ad.AnnData, out: Path, *, missing: str = "refuse", device: str = "auto"
) -> Applied:
    """Write the cells with their latents, and with the called types where the model has a head.

    ``obsm["X_vae"]`` holds the latents; ``obs["predicted"]`` and ``obs["probability"]`` the called type and the
    probability that the head gives it. What the cells bring stays, and where they have such a name already, ours ends
    in ``_cellixir``. The matrix of cells on disk is not copied.

    Parameters
    ----------
    bundle
        Folder of a saved `VAE`, or the one that `embed` wrote.
    cells
        Cells x genes, in memory or backed; genes are matched by name.
    out
        The ``.h5ad`` file to write.
    missing
        Genes of the model that the cells lack: ``refuse``, or fill with ``zero`` or ``mean``.
    device
        ``auto`` is the GPU when there is one.

    Returns
    -------
    Applied
        Numbers of cells and latents, the types called most, and notes.

    Raises
    ------
    GeneMismatch
        If genes of the model are missing and may not be filled in.
    InvalidValues
        If the values are not what the model was fitted on.

    Examples
    --------
    >>> apply("my-embedding", cells, Path("embedded.h5ad")).n_cells  # doctest: +SKIP
    """
    model = load_vae(bundle, device)
    how = check_missing(missing)
    latents, notes = model.transform(cells, missing=how), list(model.query_notes_)
    found = annotated(cells, notes)
    add(found, "obsm", "X_vae", latents, notes)
    called = ""
    if model.classes_:
        called = add_calls(found, model, cells, notes, missing=how)
    write_cells(found, out, compression="gzip")
    return Applied(cells.n_obs, len(model.latent_names_), called, notes)


def add_calls(
    found: ad.AnnData, model: VAE, cells: ad.AnnData, notes: list[str], *, missing: Missing = "refuse"
) -> str:
    """Put the head's calls into ``obs`` and return the most frequent, in words."""
    probabilities = model.predict(cells, missing=missing)
    add(found, "obs", "predicted", pd.Categorical(probabilities.idxmax(axis=1)), notes)
    add(found, "obs", "probability", probabilities.max(axis=1).to_numpy(), notes)
    counts = probabilities.idxmax(axis=1).value_counts()
    words = [f"{name} {n:,}" for name, n in counts.head(4).items()]
    return ", ".join(words) + (", ..." if len(counts) > 4 else "")
