"""Runs: pieces of work that resume, the folder with its manifest, the leaderboard and its headline.

A job brings its pieces (what is computed) and its sections (what only it says); everything else stands here.
"""

from cellixir.runs.folder import MANIFEST, RunFolder, read_manifest
from cellixir.runs.leaderboard import Leaderboard
from cellixir.runs.piece import Found, Piece
from cellixir.runs.progress import Progress
from cellixir.runs.work import Outcomes, earlier, run_pieces

__all__ = [
    "MANIFEST",
    "Found",
    "Leaderboard",
    "Outcomes",
    "Piece",
    "Progress",
    "RunFolder",
    "earlier",
    "read_manifest",
    "run_pieces",
]
