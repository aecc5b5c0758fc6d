"""External evaluation: what somebody else measured beside what a model, and simple rules, say of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
import pandas as pd

from cellixir.data.expression.matrix import profile
from cellixir.data.expression.scale import guessed_scale
from cellixir.exceptions import InvalidValues, examples
from cellixir.perturbation import evaluation_report
from cellixir.perturbation.controls import effects_of, fingerprint
from cellixir.perturbation.genes import places_of
from cellixir.perturbation.questions import question_of
from cellixir.perturbation.sample_sheet import CONTROL, described_samples, keys_of, read_sheet
from cellixir.perturbation.scores import PER_WELL, Truth, UnitMeans, condition_scores
from cellixir.perturbation.wells import parts_of
from cellixir.runs import RunFolder

if TYPE_CHECKING:
    from collections.abc import Mapping
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
    effects, notes = _effects(cells, table)
    treated = effects[~effects.obs["is_control"].to_numpy(bool)].copy()
    if model is not None:
        treated = _on_genes_of(model, treated, notes)
    truth = Truth.of(treated)
    said, remarks = _simple_rules(truth)
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


def _effects(cells: ad.AnnData, sheet: pd.DataFrame) -> tuple[ad.AnnData, list[str]]:
    """Changes of the samples that the sheet names, against its controls."""
    told, notes = described_samples(sheet, cells.obs_names)
    own = cells[list(told.index)]
    x = np.asarray(own.X.toarray() if hasattr(own.X, "toarray") else own.X, dtype=np.float32)
    if guessed_scale(own, profile(own)) == "counts":
        x = np.log2(1 + x / np.maximum(x.sum(axis=1, keepdims=True), 1) * 1e6).astype(np.float32)
        notes.append("counts were made log2(counts per million + 1), sample by sample")
    if "time" in told and "plate" not in told and _controls_at_each_time(told):
        told = told.assign(plate=told["time"])
        notes.append("samples are set against the controls of the same time")
    samples = ad.AnnData(x, told.astype(object).where(told.notna(), ""), cells.var.copy())
    effects = effects_of(samples, keys_of(told), values="log2")
    notes += [note for note in effects.uns["notes"] if "plate column" not in note]
    return effects, notes


def _controls_at_each_time(told: pd.DataFrame) -> bool:
    control = told["perturbation"].astype(str).str.casefold() == CONTROL
    return set(told.loc[~control, "time"]) <= set(told.loc[control, "time"])


def _on_genes_of(model: PerturbationModel, treated: ad.AnnData, notes: list[str]) -> ad.AnnData:
    """The samples with the model's genes, those that are not there left out, and ``at`` their number in the model."""
    at = places_of(model.genes_, treated, notes)
    found = treated[:, at[at >= 0]].copy()
    found.var = pd.DataFrame({"at": np.flatnonzero(at >= 0)}, index=np.array(model.genes_)[at >= 0])
    return found


def _keys(obs: Mapping[Any, Any]) -> list[tuple[object, ...]]:
    """Context, name and dose of each part of a condition; no dose is 0."""
    context = (str(obs["cell_line"]), str(obs["time"]))
    doses = [float(obs[name]) for name in ("dose_1", "dose_2")]
    parts = parts_of(str(obs["perturbation"]))
    return [(*context, part, 0.0 if np.isnan(dose) else dose) for part, dose in zip(parts, doses, strict=False)]


def _simple_rules(truth: Truth) -> tuple[dict[str, Floats], pd.DataFrame]:
    """What the external singles say of each condition, shape ``(n_conditions, n_genes)``, NaN where they do not."""
    shape = truth.mean.shape
    said = {name: np.full(shape, np.nan) for name in ("additive", "average", "stronger single")}
    said["no change"] = np.zeros(shape)
    remarks = pd.DataFrame("", index=range(shape[0]), columns=list(PREDICTORS))
    keys = [_keys(obs) for obs in truth.obs.to_dict("records")]
    alone = {own[0]: truth.mean[row] for row, own in enumerate(keys) if len(own) == 1}
    for row, own in enumerate(keys):
        if len(own) < 2:
            continue
        effects, lent = [], []
        for key in own:
            effect = alone.get(key)
            if effect is None:
                effect = _lent(truth, keys, alone, key, row)
                lent.append(str(key[2]))
            effects.append(effect)
        if all(effect is not None for effect in effects):
            both = np.stack([effect for effect in effects if effect is not None])
            said["additive"][row], said["average"][row] = both.sum(axis=0), both.mean(axis=0)
            if lent:
                remark = f"{examples(lent)} was not measured alone: its effect is taken from other combinations"
                remarks.loc[row, ["additive", "average"]] = remark
        measured = [alone[key] for key in own if key in alone]
        if measured:
            said["stronger single"][row] = max(measured, key=lambda effect: float(np.square(effect).sum()))
    return said, remarks


def _lent(
    truth: Truth,
    keys: list[list[tuple[object, ...]]],
    alone: dict[tuple[object, ...], Floats],
    key: tuple[object, ...],
    row: int,
) -> Floats | None:
    """Effect of a treatment within the other pairs that hold it: what it adds to their other part alone."""
    added = []
    for other, own in enumerate(keys):
        if other != row and len(own) == 2 and key in own:
            rest = own[0] if own[1] == key else own[1]
            if rest in alone:
                added.append(truth.mean[other] - alone[rest])
    return np.asarray(np.mean(added, axis=0)) if added else None


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
    first = np.unique(truth.condition, return_index=True)[1]
    said = np.full(truth.mean.shape, np.nan)
    known = pd.concat([part for part in (smiles, treated.uns["smiles"], model.features_.smiles) if part is not None])
    possible = {*known.index, *model.domain_.drugs}
    for row, obs in enumerate(truth.obs.to_dict("records")):
        strange = [part for part in parts_of(str(obs["perturbation"])) if part not in possible]
        if strange:
            remarks.loc[row, "model"] = f"{examples(strange)}: not in training and without structure"
            continue
        doses = [obs[name] for name in ("dose_1", "dose_2") if np.isfinite(float(obs[name]))]
        asked = pd.DataFrame({"perturbation": [obs["perturbation"]], "cell_line": [str(obs["cell_line"])]})
        if doses:
            asked["dose"] = "+".join(f"{dose:g}" for dose in doses)
        if np.isfinite(float(obs["time"])):
            asked["time"] = f"{obs['time']} h"
        context = None
        if len(model.domain_.contexts):
            control = np.asarray(treated.layers["control"])[[first[row]]]
            context = ad.AnnData(control, pd.DataFrame(index=[str(obs["cell_line"])]), treated.var[[]].copy())
        else:
            asked["cell_line"] = model.domain_.lines[0]
        question = question_of(model, asked, context=context, smiles=known[~known.index.duplicated()])
        said[row] = np.asarray(model.predict(question).X)[0, at]
        reach = model.reach(question).iloc[0]
        if not reach["in_domain"]:
            remarks.loc[row, "model"] = str(reach["outside"])
    if np.isnan(said).all():
        message = "the model knows none of the treatments: give structures (smiles in the sheet, or --drugs FILE)"
        raise InvalidValues(message)
    if (remarks["model"] != "").any():
        notes.append("some conditions lie outside what the model was trained on: see 'note' in evaluation.csv")
    return {"model": said, "mean effect of training": np.tile(model.mean_[at], (len(said), 1))}


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
    own = overall[(overall["kind"] == kind) & (overall["predictor"] != "replicate")].sort_values("pearson_delta")
    best, ceiling = own.iloc[-1], overall[(overall["kind"] == kind) & (overall["predictor"] == "replicate")]
    text = f"Of {best['n_conditions']} {kind}s, '{best['predictor']}' says most: Pearson {best['pearson_delta']:.3f}"
    if len(own) > 1:
        text += f", before '{own.iloc[-2]['predictor']}' with {own.iloc[-2]['pearson_delta']:.3f}"
    if len(ceiling):
        text += f"; a replicate reaches {ceiling['pearson_delta'].iloc[0]:.3f}"
    return text + "."
