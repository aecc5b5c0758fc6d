"""The page of an external evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cellixir.exceptions import examples
from cellixir.figures.correlation import correlation_map
from cellixir.figures.style import MUTED, new_axes, shortened
from cellixir.perturbation.wells import ONE_LINE, parts_of
from cellixir.report.page import Report
from cellixir.report.sections import facts_section

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from cellixir.perturbation.scores import Truth

#: Predictors of the map and of the slopes: what is judged, and what it is judged beside.
JUDGED = ("model", "additive")
BESIDE = ("mean effect of training", "stronger single", "no change")
#: Treatments of the map, of which pairs come first, and those up to which all slopes are named.
MAPPED, NAMED = 20, 12
COLOURS = {"single": "#3f83ad", "pair": "#cd6b41"}
NAMES = {
    "perturbation": "Perturbation", "dose_1": "Dose, µM", "dose_2": "Dose 2, µM", "time": "Hours",
    "cell_line": "Cells", "n_samples": "Samples", "predictor": "Predictor", "pearson_delta": "Pearson",
    "spearman_delta": "Spearman", "pearson_top": "Pearson, top 50", "sign_agreement": "Sign agreement",
    "rmse": "RMSE",
}  # fmt: skip


def page_of(
    truth: Truth,
    said: Mapping[str, NDArray[np.float64]],
    found: pd.DataFrame,
    overall: pd.DataFrame,
    predictors: Mapping[str, str],
    headline: str,
    notes: list[str],
    source: str,
    command: str,
) -> Report:
    """Headline, tables, slopes from baseline to what is judged, and the map of correlations."""
    page = Report("What others measured", f"{len(truth.obs)} treatments of {source}, none of which a model has seen.")
    page.section("Headline").statement(headline)
    page.notes(
        [
            *notes,
            "Effects share their controls, and so does what is said of combinations: this raises all correlations.",
        ]
    )
    page.section("Overall", "Means over treatments, with 95 % intervals where there are three or more.")
    page.table(_with_intervals(overall))
    page.text("; ".join(f"{name}: {text}" for name, text in predictors.items() if name in set(found["predictor"])))
    judged, beside = _pair_of(said)
    if {judged, beside} <= set(found["predictor"]):
        page.section("From baseline to model", f"Pearson correlation with what was measured: {beside}, and {judged}.")
        caption = "A line is a treatment; blue singles, orange pairs. Upwards is better."
        caption += " Where they are close, not all are named." if len(truth.obs) > NAMED else ""
        page.figure(_slopes(found, beside, judged), caption)
    page.section("How alike", "Correlations (Spearman, over genes) of measured and predicted changes.")
    caption = f"→ is what '{judged}' says. What says one thing for all is one block."
    n = len(truth.obs)
    caption += f" {MAPPED} of {n} treatments are shown, pairs first." if n > MAPPED else ""
    page.figure(correlation_map(_changes(truth, said, judged), limit=2 * MAPPED), caption)
    page.section("By treatment")
    page.table(found[[name for name in NAMES if name in found]].rename(columns=NAMES), formats=_doses(found))
    for remark, rows in found[found["note"] != ""].groupby("note", sort=False):
        page.text(f"{examples(rows['perturbation'].unique(), 6)} ({examples(rows['predictor'].unique())}): {remark}.")
    facts_section(page, _facts(truth, source), command=command)
    return page


def _facts(truth: Truth, source: str) -> dict[str, str]:
    return {"data": source, "samples": f"{len(truth.effect):,}", "genes": f"{truth.effect.shape[1]:,}"}


def _pair_of(said: Mapping[str, NDArray[np.float64]]) -> tuple[str, str]:
    judged = next(name for name in JUDGED if name in said)
    return judged, next(name for name in BESIDE if name in said)


def _with_intervals(overall: pd.DataFrame) -> pd.DataFrame:
    told = overall[["kind", "predictor", "n_conditions"]].copy()
    for name in ("pearson_delta", "pearson_top", "sign_agreement", "rmse"):
        told[NAMES[name]] = [
            f"{row[name]:.3f}" + (f" [{row[f'{name}_low']:.3f}, {row[f'{name}_high']:.3f}]" if known else "")
            for row, known in zip(overall.to_dict("records"), overall[f"{name}_low"].notna(), strict=True)
        ]
    return told.rename(columns={"kind": "Kind", "predictor": "Predictor", "n_conditions": "Treatments"})


def _doses(found: pd.DataFrame) -> dict[str, str]:
    return {NAMES[name]: "{:g}" for name in ("dose_1", "dose_2", "time") if name in found}


def _slopes(found: pd.DataFrame, beside: str, judged: str) -> Axes:
    keys = [name for name in ("perturbation", "dose_1", "dose_2", "time", "cell_line") if name in found]
    wide = found.assign(**{key: found[key].astype(str) for key in keys})
    wide = wide.pivot_table(index=[*keys, "kind"], columns="predictor", values="pearson_delta").reset_index()
    wide = wide.dropna(subset=[name for name in (beside, judged) if name in wide])
    ax = new_axes(6.5, 4.2)
    for row in wide.to_dict("records"):
        colour = COLOURS[row["kind"]]
        ax.plot([0, 1], [row[beside], row[judged]], "-o", color=colour, lw=1.4, ms=4)
    gap, places = 0.045 * max(np.ptp(ax.get_ylim()), 0.1), [-np.inf]
    few = len(wide) <= NAMED
    for row in wide.sort_values(judged if few else ["kind", judged]).to_dict("records"):  # names do not overlap
        place = max(row[judged], places[-1] + gap) if few else row[judged]
        if few or np.abs(np.subtract(places, place)).min() >= gap:
            ax.text(1.03, place, shortened(_name(row, keys), 40), va="center", fontsize=8, color=MUTED)
            places.append(place)
    ax.set_xlim(-0.1, 2.0)
    ax.set_xticks([0, 1], [beside, judged])
    ax.set_ylabel("Pearson of effects")
    return ax


def _changes(truth: Truth, said: Mapping[str, NDArray[np.float64]], judged: str) -> pd.DataFrame:
    """Measured and predicted changes, one column each."""
    columns = {}
    keys = ["perturbation", "dose_1", "dose_2", "time", "cell_line"]
    told = truth.obs[keys].astype(str).to_dict("records")
    pairs_first = sorted(range(len(told)), key=lambda row: len(parts_of(told[row]["perturbation"])), reverse=True)
    for row in pairs_first[:MAPPED]:
        name = _name(told[row], keys)
        columns[name] = truth.mean[row]
        if np.isfinite(said[judged][row]).all():
            columns[f"→ {name}"] = said[judged][row]
    return pd.DataFrame(columns)


def _name(obs: Mapping[Any, Any], keys: list[str]) -> str:
    doses = [f"{float(obs[key]):g}" for key in ("dose_1", "dose_2") if key in keys and float(obs[key]) > 0]
    time, line = str(obs.get("time", "nan")), str(obs.get("cell_line", ONE_LINE))
    said = [f"{'+'.join(doses)} µM" if doses else "", f"{time} h" if time != "nan" else ""]
    return " ".join(part for part in (str(obs["perturbation"]), *said, line if line != ONE_LINE else "") if part)
