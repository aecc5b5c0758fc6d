"""The model card of a generator."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cellixir.data.expression.scale import WORDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cellixir.synthesis.generator import Generator


def write_card(model: Generator, described: Sequence[str]) -> str:
    """Return what the generator is, was fitted on and may give away, in Markdown."""
    conditions = model.conditions_
    levels = [f"{column} ({', '.join(values)})" for column, values in conditions.levels.items()]
    combinations = f"; {len(conditions)} combinations seen" if levels else ""
    lines = [
        f"# {model.title}",
        "",
        "Draws synthetic expression of samples or cells.",
        "",
        f"* fitted on {model.n_samples_:,} samples x {len(model.genes_):,} genes: {WORDS[model.scale_]}",
        f"* conditions: {'; '.join(levels) or 'none'}{combinations}",
        f"* data fingerprint (SHA-256): {model.fingerprint_}",
        *(f"* {sentence}" for sentence in described),
        *(f"* {note}" for note in model.notes_),
        "",
        "This bundle is learned from the training samples and may give away what they were: it holds at least their",
        "conditions and what each gene's values were like. Nothing here is differentially private: evaluate privacy",
        "with samples that were held out before you share the bundle or what is drawn from it.",
        "",
    ]
    return "\n".join(lines)
