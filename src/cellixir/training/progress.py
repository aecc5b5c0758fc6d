"""Progress bars on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

if TYPE_CHECKING:
    from types import TracebackType

    from cellixir.training.loop import Epoch


class Bars:
    """Two bars: pieces of work with the time that is left, and the epochs of the network that is being trained.

    Drawn on standard error, and only where that is a terminal.
    """

    def __init__(self, title: str, n_pieces: int, *, quiet: bool = False) -> None:
        console = Console(stderr=True)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=28),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        self._bars = Progress(*columns, console=console, disable=quiet or not console.is_terminal, transient=True)
        self._pieces = self._bars.add_task(title, total=n_pieces)
        self._epochs = self._bars.add_task("", total=None, visible=False)

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def starts(self, piece: str) -> None:
        """Name the piece that is under way."""
        self._bars.update(self._pieces, description=piece)

    def done(self) -> None:
        """Count one piece as done."""
        self._bars.advance(self._pieces)
        self._bars.update(self._epochs, visible=False)

    def epoch(self, member: int, epoch: Epoch, max_epochs: int) -> None:
        """Show an epoch and its validation loss."""
        text = f"  network {member + 1}, validation loss {epoch.validation_loss:.4f}"
        self._bars.update(self._epochs, description=text, completed=epoch.epoch + 1, total=max_epochs, visible=True)
