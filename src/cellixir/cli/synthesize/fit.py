"""``cellixir synthesize fit``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cellixir.cli.shared import (
    CellsAre,
    Condition,
    Epochs,
    Labels,
    Layer,
    Samples,
    Scale,
    Seed,
    cells_of,
    echo,
    hold,
    names_of,
    say,
)
from cellixir.cli.synthesize.options import epochs_of, takes_epochs
from cellixir.exceptions import BundleError, ConfigurationError

if TYPE_CHECKING:
    from cellixir.synthesis import Generator

FIT_HELP = """Fit a generator of synthetic expression, and write it as a bundle.

Models: gaussian and copula (no network; seconds), vae and gan (draw the conditions themselves), cvae and wgan-gp (are
told them). The fit of a network that was stopped goes on when the command is given again: its checkpoint stands
beside the bundle until it is done.

\b
Examples:
  cellixir synthesize fit tumours.h5ad --model cvae --condition batch,group --out tumours.bundle
  cellixir synthesize fit cells.h5ad --model copula --condition cell_type --layer counts --out cells.bundle
  cellixir synthesize fit tumours.h5ad --model gan --epochs 40 --history gan.csv --out gan.bundle
"""


def fit(
    data: Samples,
    model: Annotated[str, typer.Option(help="gaussian, copula, vae, cvae, gan or wgan-gp.")],
    out: Annotated[Path, typer.Option(help="Folder of the bundle.")],
    condition: Condition = None,
    epochs: Epochs = None,
    layer: Layer = None,
    scale: Scale = None,
    cells_are: CellsAre = "auto",
    labels: Labels = None,
    history: Annotated[
        Path | None, typer.Option(metavar="CSV", help="File for the training curves of a network.")
    ] = None,
    seed: Seed = 0,
) -> None:
    """Read, fit, save, and say what was done."""
    from cellixir.files import write_csv
    from cellixir.runs import Progress
    from cellixir.synthesis import make_generator

    settings = epochs_of([model], epochs).get(model, {})
    generator = make_generator(model, condition=names_of(condition) or (), seed=seed, **settings)
    _check_out(out)
    hold(out)
    _check_history(history, out, generator)
    samples = cells_of(data, layer, scale=scale, cells_are=cells_are, labels=labels)
    checkpoint = out.with_name(f"{out.name}.checkpoint.safetensors")
    start = time.perf_counter()
    with Progress(f"fit of {model}", 1) as progress:
        generator.fit(samples, checkpoint=checkpoint, on_epoch=progress.epoch)
    seconds = time.perf_counter() - start
    generator.save(out)
    if history is not None:
        write_csv(generator.history_, history)
    checkpoint.unlink(missing_ok=True)
    for note in generator.notes_:
        say(note)
    _tell(generator, seconds, out)


def _check_out(out: Path) -> None:
    """Refuse a place that cannot be written, or holds anything but a bundle of a generator."""
    from cellixir.estimator import class_named, read_facts
    from cellixir.synthesis import Generator

    Generator.check_target(out)
    try:
        name = read_facts(out).get("class")
    except BundleError:  # none, or a damaged one, which may be replaced
        return
    if not issubclass(class_named(name) or object, Generator):
        message = f"{out} holds a {name!r}, which is no generator; choose another --out"
        raise ConfigurationError(message)


def _check_history(history: Path | None, out: Path, generator: Generator) -> None:
    """Refuse a history that there will not be, or that would stand in the bundle."""
    from cellixir.files import require_writable

    if history is None:
        return
    if not takes_epochs(type(generator)):
        message = f"--history is for networks, and {generator.name!r} trains none; leave it out"
        raise ConfigurationError(message)
    if history.resolve().is_relative_to(out.resolve()):
        message = f"--history {history} would stand in the bundle {out}; choose a place beside it"
        raise ConfigurationError(message)
    if history.suffix != ".csv" or (history.is_file() and not _is_history(history)):
        message = f"--history {history} must be a new .csv file, or the history of another fit; choose another place"
        raise ConfigurationError(message)
    require_writable(history)


def _is_history(file: Path) -> bool:
    with file.open("rb") as opened:
        return opened.read(6) == b"epoch,"


def _tell(generator: Generator, seconds: float, out: Path) -> None:
    n = len(generator.history_)
    epochs = f", {n} epoch{'s' * (n != 1)}" if n else ""
    data = f"{generator.n_samples_:,} samples x {len(generator.genes_):,} genes"
    conditions = generator.conditions_
    levels = "; ".join(f"{column}: {', '.join(values)}" for column, values in conditions.levels.items())
    echo(f"{generator.title} of {data}, in {seconds:.1f} s{epochs}")
    echo(f"conditions: {levels or 'none'}")
    echo(f"bundle: {out}")
