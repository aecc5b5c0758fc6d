"""``cellixir synthesize split``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cellixir.cli import shared
from cellixir.cli.simulate_files import MARK
from cellixir.cli.synthesize.sample import OURS
from cellixir.exceptions import ConfigurationError, UnknownIds, examples

if TYPE_CHECKING:
    import anndata as ad
    import numpy as np
    from numpy.typing import NDArray

SPLIT_HELP = """Part samples into train.h5ad, to fit a generator on, and held_out.h5ad, to judge it by.

With --condition each combination is held out in proportion, with --group-key whole patients are (at most a third of the
samples): two samples of one patient on both sides would make copies look like chance.

\b
Examples:
  cellixir synthesize split tumours.h5ad --condition group --out parts
  cellixir synthesize split cells.h5ad --group-key patient --holdout 0.3 --out parts
"""
FILES = ("train.h5ad", "held_out.h5ad")


def split(
    data: shared.Samples,
    out: Annotated[Path, typer.Option(help="Folder for train.h5ad and held_out.h5ad.")],
    holdout: Annotated[float, typer.Option(help="Share of the samples that is held out.")] = 0.25,
    condition: shared.Condition = None,
    group_key: shared.GroupKey = None,
    layer: shared.Layer = None,
    scale: shared.Scale = None,
    cells_are: shared.CellsAre = "auto",
    labels: shared.Labels = None,
    seed: shared.Seed = 0,
) -> None:
    """Read, part, write both files, and say how many stand in each."""
    from cellixir.data.expression.write import write_cells

    if not 0 < holdout < 1:
        message = f"--holdout {holdout:g} is no share of the samples; give a number between 0 and 1, such as 0.25"
        raise ConfigurationError(message)
    if group_key is not None and condition is not None:
        message = "--group-key holds out whole patients and --condition a share of each combination; give one of them"
        raise ConfigurationError(message)
    if there := [name for name in FILES if (out / name).exists()]:
        message = f"{out} already holds {' and '.join(there)}; choose another --out"
        raise ConfigurationError(message)
    samples = shared.cells_of(data, layer, scale=scale, cells_are=cells_are, labels=labels)
    chosen = _held_out(samples, holdout, shared.names_of(condition) or [], group_key, seed)
    for name, rows in zip(FILES, (~chosen, chosen), strict=True):
        write_cells(samples[rows].copy(), out / name, compression="gzip", attributes={MARK: OURS})
        shared.echo(f"{int(rows.sum()):,} of {len(rows):,} samples: {out / name}")


def _held_out(
    samples: ad.AnnData, share: float, columns: list[str], group_key: str | None, seed: int
) -> NDArray[np.bool_]:
    import numpy as np

    from cellixir.data.dealing import hold_out
    from cellixir.synthesis.benchmark_pieces import held_out

    if group_key is None:
        chosen = np.zeros(samples.n_obs, dtype=np.bool_)
        chosen[held_out(samples, share, columns, seed)[1]] = True
        return chosen
    if group_key not in samples.obs:
        message = f"there is no column {group_key!r}; obs has {examples(samples.obs.columns, 8) or 'none'}"
        raise UnknownIds(message)
    groups = samples.obs[group_key].astype(str).to_numpy()
    return hold_out(len(groups), round(share * len(groups)), np.random.default_rng(seed), groups=groups)
