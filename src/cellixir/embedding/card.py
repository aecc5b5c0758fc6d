"""The model card of a VAE."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cellixir.embedding.vae import VAE


def write_card(model: VAE) -> str:
    """Return what the model is, was fitted on and is not validated for, in Markdown."""
    shape, best = model.network_.shape, model.history_["validation_loss"].min()
    latent = f"{shape.latent} latent dimensions" + (" (pathways)" if shape.masked else "")
    lines = [
        "# VAE of cells",
        "",
        f"* {model.likelihood_} likelihood on {model.scale_}; {len(model.genes_):,} genes; {latent}; "
        f"hidden {shape.hidden}",
        f"* fitted on {model.n_cells_['train']:,} cells, stopped by {model.n_cells_['validation']:,} others"
        + (f" of other {model.group_key}s" if model.group_key else ""),
        f"* loss of the validation cells {best:.3f} nats a cell (negative evidence lower bound"
        + (" and cross-entropy of the head)" if model.classes_ else ")"),
        f"* batches: {', '.join(model.batches_) or 'none'}; classes: {', '.join(model.classes_) or 'none'}",
        *(f"* {note}" for note in model.notes_),
        "",
        "Genes are matched by name. Latents of cells from another protocol or tissue are not validated.",
        "",
    ]
    return "\n".join(lines)
