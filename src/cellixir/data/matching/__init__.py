"""Drugs, samples and features of two studies that are the same.

Ids are tried first, then names, then structures. A key counts where one row of each table has it and no other row
does. What a key leaves open is decided by structure (drugs) or by spelling (samples), else it is not matched and is
counted: a wrong match would rename one drug to another, or hide that a test line was trained on.
"""

from cellixir.data.matching.drugs import match_drugs
from cellixir.data.matching.samples import match_samples
from cellixir.data.matching.stages import Matches
from cellixir.data.matching.views import shared_views

__all__ = ["Matches", "match_drugs", "match_samples", "shared_views"]
