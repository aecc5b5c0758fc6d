"""External evaluation: what somebody else measured beside what a model, and simple rules, say of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import anndata as ad
import numpy as np
import pandas as pd

from cellixir.data.expression.matrix import profile
from cellixir.data.expression.scale import guessed_scale
from cellixir.exceptions import InvalidValues, counted, examples
from cellixir.perturbation import evaluation_report
from cellixir.perturbation.controls import effects_of, fingerprint
from cellixir.perturbation.genes import places_of
from cellixir.perturbation.questions import question_of
from cellixir.perturbation.sample_sheet import described_samples, keys_of, read_sheet
from cellixir.perturbation.scores import PER_WELL, Truth, UnitMeans, condition_scores
from cellixir.perturbation.singles import simple_rules, unsaid
from cellixir.perturbation.wells import described, parts_of
from cellixir.runs import RunFolder

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from cellixir.perturbation.model import PerturbationModel

    Floats = NDArray[np.float64]

#: What is said of each predictor, in the order of the tables.
PREDICTORS = {
    "model": "the bundle, which saw the external controls alone",
    "mean effect of training": "the model's mean effect, one thing for all",
    "additive": "sum of the external single effects",
    "average": "mean of the external single effects",
    "stronger single": "the external single effect that is larger",
    "no change": "nothing changes",
    "replicate": "another sample of the same condition",
}
METRICS = [*PER_WELL]


@dataclass(frozen=True)
class Evaluation:
    """What an external evaluation found; ``folder`` holds tables and page.

    Attributes
    ----------
    table
        One row a condition and predictor: ``condition, kind, n_samples, predictor``, metrics, ``note``.
    overall
        One row a kind (single, pair) and predictor, with 95 % intervals over conditions where there are three or more.
    notes
        What was assumed or left out.
    """

    folder: Path
    table: pd.DataFrame
    overall: pd.DataFrame
    notes: list[str]
    headline: str


def evaluate(
    cells: ad.AnnData,
    sheet: Path | str | pd.DataFrame,
    out: Path | str,
    *,
    model: PerturbationModel | None = None,
    smiles: pd.Series | None = None,
    source: str = "your data",
    command: str = "",
) -> Evaluation:
    """Judge a model, and the arithmetic of single effects, on combinations that somebody else measured.

    Parameters
    ----------
    cells
        Samples x genes: counts or log2 expression.
    sheet
        As of `read_sheet`.
    out
        Folder for tables and page.
    model
        Fitted; of the samples it sees the controls alone. None: the simple rules only, a two-factor evaluation.
    smiles
        Structures by drug of what was not in training.

    Returns
    -------
    Evaluation
        Table, means with intervals, notes and headline.

    Raises
    ------
    ConfigurationError, InvalidValues, GeneMismatch
        If the sheet does not fit the samples, or these do not fit the model.

    Examples
    --------
    >>> evaluate(cells, "sheet.csv", "external").overall  # doctest: +SKIP
    """
    table = sheet if isinstance(sheet, pd.DataFrame) else read_sheet(sheet)
    effects, notes = _effects(cells, table, natural=model is not None and model.values_ == "counts")
    treated = effects[~effects.obs["is_control"].to_numpy(bool)].copy()
    if model is not None:
        treated = _on_genes_of(model, treated, notes)
    truth = Truth.of(treated)
    notes += _unrepeated(effects, truth)
    said, remarks = simple_rules(truth, list(PREDICTORS))
    notes += unsaid(truth, said["additive"])
    if model is not None:
        said |= _of_model(model, truth, treated, smiles, remarks, notes)
    found = _scored(truth, said, remarks)
    overall = _overall(found)
    headline = _headline(overall)
    identity = {"effects": fingerprint(effects)}
    with RunFolder(
        out, "perturb evaluate", identity, data=identity, what="an evaluation of other samples", command=command,
        replaces=True,
    ) as run:  # fmt: skip
        run.table("evaluation", found)
        run.table("overall", overall)
        page = evaluation_report.page_of(truth, said, found, overall, PREDICTORS, headline, notes, source, run.command)
        run.page(page)
        run.says(headline=headline, metrics={}, notes=notes)
        return Evaluation(run.path, found, overall, notes, headline)


def _effects(cells: ad.AnnData, sheet: pd.DataFrame, *, natural: bool = False) -> tuple[ad.AnnData, list[str]]:
    """Changes of the samples that the sheet names, against its controls; ``natural``: as of a model of counts."""
    told, notes = described_samples(sheet, cells.obs_names)
    told = told.astype(object).where(told.notna(), "")
    own = cells[list(told.index)]
    x = np.asarray(own.X.toarray() if hasattr(own.X, "toarray") else own.X, dtype=np.float32)
    if guessed_scale(own, profile(own)) == "counts":
        x = np.log1p(x / np.maximum(x.sum(axis=1, keepdims=True), 1) * 1e6).astype(np.float32)
        x /= 1 if natural else np.log(2)
        kind = "natural logarithms of" if natural else "log2 of"
        notes.append(f"counts were made {kind} counts per million + 1, sample by sample")
    elif natural:
        message = "the model learned from counts, and the samples are none; give their counts"
        raise InvalidValues(message)
    if "time" in told and "plate" not in told:
        told = _plates_of_times(told, notes)
    effects = effects_of(ad.AnnData(x, told, cells.var.copy()), keys_of(told), values="log2")
    notes += [note for note in effects.uns["notes"] if "plate column" not in note]
    return effects, notes


def _plates_of_times(told: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    """Each time as a plate of its own, where all times have controls."""
    obs = described(told, keys_of(told), [])
    hours, control = obs["time"].map("{:g}".format), obs["is_control"].to_numpy(bool)
    without = sorted(set(hours[~control]) - set(hours[control]), key=float)
    if not without:
        notes.append("samples are set against the controls of the same time")
        return told.assign(plate=hours)
    if hours.nunique() > 1:
        times = ", ".join("an unknown time" if time == "nan" else f"{time} h" for time in without)
        notes.append(f"{times} without controls of their own: all samples are set against the controls of all times")
    return told


def _unrepeated(effects: ad.AnnData, truth: Truth) -> list[str]:
    """Notes on what was measured once."""
    notes, once = [], int((truth.obs["n_wells"] == 1).sum())
    if once:
        which = "no treatment has" if once == len(truth.obs) else f"{once} of {len(truth.obs)} treatments do not have"
        notes.append(f"{which} a second sample: without one there is no ceiling")
    groups = effects.obs[["plate", "cell_line"]].astype(str).agg(tuple, axis=1)
    control = effects.obs["is_control"].to_numpy(bool)
    if not set(groups[~control]) <= set(groups[control]):  # a control alone has no change of its own
        notes.append("some samples are set against a single control, whose noise is in all their effects")
    return notes


def _on_genes_of(model: PerturbationModel, treated: ad.AnnData, notes: list[str]) -> ad.AnnData:
    """The samples with the model's genes, those that are not there left out, and ``at`` their number in the model."""
    at = places_of(model.genes_, treated, notes)
    found = treated[:, at[at >= 0]].copy()
    found.var = pd.DataFrame({"at": np.flatnonzero(at >= 0)}, index=np.array(model.genes_)[at >= 0])
    return found


def _of_model(
    model: PerturbationModel,
    truth: Truth,
    treated: ad.AnnData,
    smiles: pd.Series | None,
    remarks: pd.DataFrame,
    notes: list[str],
) -> dict[str, Floats]:
    """What the model says, given the external controls as context, and its mean effect."""
    at = treated.var["at"].to_numpy()
    mean = np.tile(model.mean_[at], (len(truth.mean), 1))
    said = mean.copy()
    known = pd.concat([part for part in (smiles, treated.uns["smiles"], model.features_.smiles) if part is not None])
    possible = {*known.index, *model.domain_.drugs}
    strange = [[part for part in parts_of(str(name)) if part not in possible] for name in truth.obs["perturbation"]]
    for row, names in enumerate(strange):
        if names:
            what = f"{examples(names)}: not in training and without structure, the mean effect of training stands in"
            remarks.loc[row, "model"] = what
    asked = np.array([not names for names in strange])
    if not asked.any():
        message = "the model knows none of the treatments: give structures (smiles in the sheet, or --drugs FILE)"
        raise InvalidValues(message)
    control = np.zeros_like(truth.mean)
    np.add.at(control, truth.condition, np.asarray(treated.layers["control"], dtype=np.float64))
    control /= truth.obs["n_wells"].to_numpy()[:, None]
    known = known[~known.index.duplicated()]
    question = _question(model, truth.obs[asked], control[asked], at, known, notes)
    said[asked] = np.asarray(model.predict(question).X)[:, at]
    question.obs["cell_line"] = truth.obs["cell_line"].to_numpy(str)[asked]
    remarks.loc[asked, "model"] = model.reach(question)["outside"].to_numpy()
    if model.values_ == "delta":
        notes.append("the model learned from differences of an unknown unit: RMSE holds where these were of log2")
    if (remarks["model"] != "").any():
        notes.append("some conditions lie outside what the model was trained on: see 'note' in evaluation.csv")
    return {"model": said, "mean effect of training": mean}


def _question(
    model: PerturbationModel,
    obs: pd.DataFrame,
    control: Floats,
    at: NDArray[np.intp],
    smiles: pd.Series,
    notes: list[str],
) -> ad.AnnData:
    """Treatments as a model takes them, in the context of the external controls; other genes are as in training."""
    lines = obs["cell_line"].to_numpy(str)
    seen = np.isin(lines, model.domain_.lines)
    named = np.where(seen, lines, model.domain_.lines[0])
    question = question_of(model, obs[["perturbation"]].assign(cell_line=named), smiles=smiles)
    for name in ("dose_1", "dose_2", "time"):
        question.obs[name] = obs[name].to_numpy(np.float64)
    if len(model.domain_.contexts):
        context = np.tile(model.domain_.contexts.mean(axis=0), (len(obs), 1))
        context[:, at] = control
        question.layers["control"], question.obs["cell_line"] = context.astype(np.float32), lines
    elif not seen.all() and len(set(model.domain_.lines)) > 1:
        strange = examples(sorted(set(lines[~seen].tolist())))
        notes.append(f"the model knows cells by name, and not {strange}: it answers as for {named[~seen][0]}")
    return question


def _scored(truth: Truth, said: dict[str, Floats], remarks: pd.DataFrame) -> pd.DataFrame:
    rows = np.arange(len(truth.effect))
    told = {name: values[truth.condition] for name, values in said.items()} | {"replicate": truth.replicate()}
    tables = []
    for name in PREDICTORS:
        if name not in told:
            continue
        scores = condition_scores(truth, rows, told[name])
        if name == "replicate":  # its rows differ from sample to sample: what is told of a condition is not one thing
            scores = scores[["condition", *METRICS]]
        obs = truth.obs.iloc[scores["condition"]].reset_index(drop=True)
        pair = obs["perturbation"].map(lambda text: len(parts_of(str(text))) > 1)
        head = obs.assign(kind=np.where(pair, "pair", "single"), predictor=name)
        note = remarks[name].iloc[scores["condition"]].to_numpy() if name in remarks else ""
        tables.append(pd.concat([head, scores[METRICS]], axis=1).assign(note=note))
    found = pd.concat(tables, ignore_index=True).rename(columns={"n_wells": "n_samples"})
    return found.drop(columns="plate").dropna(subset=METRICS[:1]).dropna(axis=1, how="all")


def _overall(found: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for kind in ("single", "pair"):
        for name in PREDICTORS:
            own = found[(found["kind"] == kind) & (found["predictor"] == name)]
            if not len(own):
                continue
            means = UnitMeans(np.arange(len(own)))
            row: dict[str, object] = {"kind": kind, "predictor": name, "n_conditions": len(own)}
            for metric in METRICS:
                told = means.interval(own[metric].to_numpy(np.float64))
                row |= {metric: told.value, f"{metric}_low": told.low, f"{metric}_high": told.high}
            rows.append(row)
    return pd.DataFrame(rows)


def _headline(overall: pd.DataFrame) -> str:
    """Best predictor of the pairs, or of the singles where there are none, beside the replicate."""
    kind = "pair" if (overall["kind"] == "pair").any() else "single"
    own = overall[(overall["kind"] == kind) & (overall["predictor"] != "replicate")]
    # a mean over fewer treatments is no rival of one over all; sum and mean of two effects have one correlation
    own = own[own["n_conditions"] == own["n_conditions"].max()].round({"pearson_delta": 9})
    own = own.sort_values("pearson_delta", ascending=False, kind="stable")
    best, ceiling = own.iloc[0], overall[(overall["kind"] == kind) & (overall["predictor"] == "replicate")]
    text = f"Of {counted(int(best['n_conditions']), kind)}, '{best['predictor']}' says most: "
    text += f"Pearson {best['pearson_delta']:.3f}"
    rivals = own[own["pearson_delta"] < best["pearson_delta"]]
    if len(rivals):
        text += f", before '{rivals.iloc[0]['predictor']}' with {rivals.iloc[0]['pearson_delta']:.3f}"
    if len(ceiling):
        text += f"; a replicate reaches {ceiling['pearson_delta'].iloc[0]:.3f}"
    return text + "."
