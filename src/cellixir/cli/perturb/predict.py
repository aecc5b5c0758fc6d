"""``cellixir perturb predict``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cellixir.cli import shared
from cellixir.cli.perturb import options
from cellixir.exceptions import ConfigurationError, counted

if TYPE_CHECKING:
    import anndata as ad

PREDICT_HELP = """Say what drugs, doses and pairs of drugs change, with a bundle of 'perturb fit'.

The table of conditions has a row each: perturbation (a drug, or a pair A+B; not needed beside smiles), dose (µM, or
with a unit; of a pair 1+10), time, cell_line (of training, or a row of --context), smiles (of a pair also smiles_2).
X of the file is the change; layers 'profile', 'low' and 'high' (--interval); columns of obs say how far each
condition lies from training: nearest_drug, similarity, in_domain and what is outside.

\b
Examples:
  cellixir perturb predict l1000.bundle --conditions conditions.csv --out predicted.h5ad
  cellixir perturb predict l1000.bundle --conditions conditions.csv --context my_controls.csv --out predicted.h5ad
"""


def predict(
    bundle: Annotated[Path, typer.Argument(help="Folder that 'fit' wrote.")],
    conditions: Annotated[Path, typer.Option(metavar="FILE", help="Table of conditions, one row each.")],
    out: Annotated[Path, typer.Option(metavar="FILE.h5ad", help="File to write.")],
    context: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Control profiles of your own cells: a row a cell line, log2 as in training."
        ),
    ] = None,
    drugs: options.Drugs = None,
    interval: Annotated[float, typer.Option(help="Probability with which low and high hold the mean change.")] = 0.9,
    top: Annotated[int, typer.Option(min=0, help="Genes up and down that are printed of the first conditions.")] = 2,
) -> None:
    """Predict each condition, write the file, and print what changes most."""
    if not 0 < interval < 1:
        message = f"--interval {interval} is no probability; write 0.9 for 90 %"
        raise ConfigurationError(message)
    if out.suffix != ".h5ad":
        message = f"--out {out} must end in .h5ad, such as {out.with_suffix('.h5ad')}"
        raise ConfigurationError(message)
    from cellixir.data.expression.write import write_cells
    from cellixir.data.tables import read_table
    from cellixir.perturbation.model import PerturbationModel
    from cellixir.perturbation.questions import question_of

    shared.hold(out)
    model = PerturbationModel.load(bundle)
    table = read_table(conditions, dtype_text="all")
    cells = shared.cells_of(context, scale="unknown", cells_are="rows") if context else None
    question = question_of(model, table, context=cells, smiles=options.structures_of(drugs))
    for note in question.uns["notes"]:
        shared.say(note)
    found = model.predict(question, level=interval)
    reach = model.reach(question)
    found.obs = found.obs.drop(columns=["is_control", "plate", "smiles"]).join(reach)
    found.uns |= {"model": model.card(), "interval": interval}
    write_cells(found, out)
    _say(model, reach, found, interval)
    _print(found, top)
    shared.echo(f"{counted(found.n_obs, 'condition')}: {out}")


def _say(model: object, reach: object, found: ad.AnnData, interval: float) -> None:
    import numpy as np

    calibration = getattr(model, "calibration_", None)
    outside = int((~found.obs["in_domain"].to_numpy(bool)).sum())
    if outside:
        first = found.obs["outside"][~found.obs["in_domain"].to_numpy(bool)].iloc[0]
        shared.say(f"{outside:,} of {found.n_obs:,} conditions lie outside training ({first}); see 'outside' in obs")
    if calibration is None:
        shared.say("the bundle has no intervals: it was fitted with --folds 0")
        return
    shared.say(calibration.said())
    if not np.isfinite(found.layers["low"]).all():
        shared.say(f"intervals are infinite: {calibration.n_units} held-out units do not tell of {interval:.3g}")


def _print(found: ad.AnnData, top: int, shown: int = 10) -> None:
    import numpy as np

    x, genes = np.asarray(found.X), found.var_names.to_numpy()
    order = np.argsort(x, axis=1)
    cells = []
    for row in range(min(shown, found.n_obs)):
        obs = found.obs.iloc[row]
        doses = [f"{obs[name]:.3g}" for name in ("dose_1", "dose_2") if np.isfinite(obs[name])]
        high, low = ([f"{genes[at]} {x[row, at]:+.2f}" for at in part] for part in (order[row, ::-1], order[row]))
        near = f"{obs['nearest_drug']} ({obs['similarity']:.2f})" if obs["similarity"] < 1 else "itself"
        cells.append(
            [
                str(obs["perturbation"]), "+".join(doses), near,
                "yes" if obs["in_domain"] else "no", ", ".join(high[:top]), ", ".join(low[:top]),
            ]
        )  # fmt: skip
    head = ["perturbation", "µM", "nearest drug", "in domain", "most up", "most down"]
    shared.print_table(head, cells, "Predicted changes", words=6)
