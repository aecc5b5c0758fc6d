"""Expression of cells or bulk samples: read, checked, and passed through block by block."""

from cellixir.data.expression.checks import require_counts, require_scale
from cellixir.data.expression.matrix import Profile, blocks, is_backed, profile, take
from cellixir.data.expression.normalise import binarise, log_normalise
from cellixir.data.expression.read import read_expression

__all__ = [
    "Profile",
    "binarise",
    "blocks",
    "is_backed",
    "log_normalise",
    "profile",
    "read_expression",
    "require_counts",
    "require_scale",
    "take",
]
