"""Synthetic expression: generators that are fitted on samples and draw new ones."""

from cellixir.synthesis.generator import Generator
from cellixir.synthesis.models import GENERATORS, load_generator, make_generator

__all__ = ["GENERATORS", "Generator", "load_generator", "make_generator"]
