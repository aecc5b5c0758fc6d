"""The card of a model: in Markdown, what it is and what it may be used for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

RESEARCH = "For research. Not validated for clinical decisions, nor for data unlike those of the fit."


def written_card(title: str, purpose: str, facts: Sequence[str], limits: str) -> str:
    """Return the card.

    Parameters
    ----------
    title, purpose
        Heading, and a sentence on what the model does.
    facts
        A line each: sizes, data of the fit, what they were noted for.
    limits
        What is to be known before use; a sentence that holds for every model follows it.
    """
    lines = [f"# {title}", "", purpose, "", *(f"* {fact}" for fact in facts), "", "## Limits", ""]
    return "\n".join([*lines, *([limits] if limits else []), RESEARCH, ""])
