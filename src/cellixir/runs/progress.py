"""Progress of long work: bars on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichProgress

from cellixir.terminal import printable

if TYPE_CHECKING:
    from types import TracebackType

    from cellixir.training import Epoch

#: Seconds between two lines where there is no terminal (a log of a cluster, a notebook).
EVERY = 20.0


class Progress:
    """Pieces of work with the time that is left, and the epochs of the network that is being trained.

    On a terminal two bars; elsewhere a line on standard error every ``EVERY`` seconds, so that a short run prints none.

    Parameters
    ----------
    title
        What is under way.
    n_pieces
        Pieces of work in all.
    quiet
        Show nothing.
    """

    def __init__(self, title: str, n_pieces: int, *, quiet: bool = False) -> None:
        console = Console(stderr=True)
        self._lines = not quiet and not console.is_terminal
        columns = (
            TextColumn("{task.description}"), BarColumn(bar_width=28), MofNCompleteColumn(), TimeElapsedColumn(),
            TextColumn("left"), TimeRemainingColumn(),
        )  # fmt: skip
        self._bars = RichProgress(*columns, console=console, disable=quiet or self._lines, transient=True)
        self._pieces = self._bars.add_task(title, total=n_pieces)
        self._epochs = self._bars.add_task("", total=None, visible=False)
        self._title, self._total, self._done, self._piece, self._network = title, n_pieces, 0, "", ""
        # what was read from an earlier run took no time: the rest is estimated from the pieces done here
        self._worked, self._start, self._said = 0, time.monotonic(), time.monotonic()
        self._ended, self._gap = self._start, 0.0  # of the last piece, and how long after the one before

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def starts(self, piece: str) -> None:
        """Name the piece that is under way."""
        piece = printable(piece)
        self._piece, self._network = piece, ""
        self._bars.update(self._pieces, description=piece)
        self._say()

    def done(self, *, worked: bool = True) -> None:
        """Count one piece as done; ``worked`` is False where an earlier run had done it."""
        self._done += 1
        self._worked += worked
        now = time.monotonic()
        self._ended, self._gap = now, now - self._ended
        self._bars.advance(self._pieces)
        self._bars.update(self._epochs, visible=False)
        self._say()

    def epoch(self, member: int, epoch: Epoch, of: int) -> None:
        """Show an epoch and its validation loss."""
        self._network = f"network {member + 1}, epoch {epoch.epoch + 1} of {of}"
        text = f"  network {member + 1}, validation loss {epoch.validation_loss:.4f}"
        self._bars.update(self._epochs, description=text, completed=epoch.epoch + 1, total=of, visible=True)
        self._say()

    def _say(self) -> None:
        now = time.monotonic()
        if not self._lines or now - self._said < EVERY:
            return
        self._said = now
        spent = now - self._start
        # cheap pieces come first: the next lasts at least as long as the last one, or the one under way
        each = max(spent / max(self._worked, 1), self._gap, now - self._ended)
        left = f", about {_spoken(each * (self._total - self._done))} left" if self._worked else ""
        under_way = ", ".join(text for text in (self._piece, self._network) if text)
        line = f"{self._title}: {self._done} of {self._total} done in {_spoken(spent)}{left}; {under_way}"
        print(line, file=sys.stderr, flush=True)


def _spoken(seconds: float) -> str:
    """Seconds, minutes or hours, as one says them.

    >>> _spoken(42), _spoken(192), _spoken(7260)
    ('42 s', '3 min 12 s', '2 h 1 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
