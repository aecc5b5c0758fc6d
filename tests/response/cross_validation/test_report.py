from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from cellixir.exceptions import DataError
from cellixir.metrics.catalogue import REGRESSION
from cellixir.response.cross_validation import report as page_of
from cellixir.response.cross_validation.report import benchmark_page
from cellixir.response.cross_validation.summary import BenchmarkSummary, drug_scores
from cellixir.runs import Leaderboard

PICTURES = True  # every figure is drawn

KINDS = {"net": "network", "forest": "tree", "drug mean": "baseline", "mean": "baseline"}


def make_predictions() -> pd.DataFrame:
    """12 samples x 6 drugs in 2 folds, one pair not measured; the net sees half of the residual effects."""
    rng = np.random.default_rng(7)
    effect = 2.0 * rng.normal(size=(12, 6))
    pairs = pd.DataFrame(
        [(f"s{i}", f"d{j}", i % 2, 3.0 * j, effect[i, j]) for i in range(12) for j in range(6)][:-1],
        columns=["sample", "drug", "fold", "expected", "effect"],
    )
    pairs["observed"] = pairs["expected"] + pairs["effect"]
    predicted = {
        "net": pairs["expected"] + 0.5 * pairs["effect"],
        "forest": pairs["expected"] + 0.2 * pairs["effect"],
        "drug mean": pairs["expected"],
        "mean": pairs["expected"].mean(),
    }
    tables = [pairs.assign(model=model, predicted=values) for model, values in predicted.items()]
    return pd.concat(tables, ignore_index=True).drop(columns=["expected", "effect"])


def make_overall(predictions: pd.DataFrame) -> pd.DataFrame:
    error = (predictions["observed"] - predictions["predicted"]) ** 2
    rmse = np.sqrt(error.groupby(predictions["model"]).mean())
    rows = {"model": list(KINDS), "kind": list(KINDS.values()), "rmse": [rmse[model] for model in KINDS]}
    table = pd.DataFrame(rows)
    table["rmse_low"], table["rmse_high"] = table["rmse"] - 0.05, table["rmse"] + 0.05
    scores = {"r2": 0.9, "pearson": 0.8, "normalised_pearson": [0.91, 0.52, 0.13, 0.04], "seconds": 1234.56}
    return table.assign(**scores, spearman=np.nan)


def make_history() -> pd.DataFrame:
    epochs = pd.DataFrame({"epoch": [1, 2, 3], "train_loss": [3.0, 2.0, 1.0], "validation_loss": [3.0, 2.0, 2.5]})
    runs = [epochs.assign(model="net", fold=fold, member=0, learning_rate=1e-3) for fold in (0, 1)]
    return pd.concat(runs, ignore_index=True)


@pytest.fixture
def summary() -> BenchmarkSummary:
    predictions = make_predictions()
    overall = make_overall(predictions)
    gain = float(overall["rmse"][0] - overall["rmse"][2])
    paired = pd.DataFrame(
        {
            "model": ["net"],
            "reference": ["drug mean"],
            "rmse_difference": [gain],
            "low": [gain - 0.1],
            "high": [gain + 0.1],
        }
    )
    return BenchmarkSummary(
        source="Six drugs",
        split="LCO",
        board=Leaderboard(overall, paired, "rmse", REGRESSION),
        folds=pd.DataFrame({"split": "LCO", "model": list(KINDS), "fold": 0, "rmse": [1.5, 2.5, 3.5, 4.5]}),
        predictions=predictions,
        samples=pd.DataFrame({"tissue": ["lung_small", None] * 6}, index=[f"s{i}" for i in range(12)]),
        drugs=pd.DataFrame(
            {"name": ["<script>", "twin", "twin", "D", None, "F"], "pathway": "kinase"},
            index=[f"d{j}" for j in range(6)],
        ),
        histories=make_history(),
        label="ln IC50 (ln µM)",
        facts={"Seed": "0", "Fingerprint": "abc123"},
        notes=["Two lines were left out."],
        fold_sizes=pd.DataFrame({"fold": [0, 1], "n_train": [30, 31], "n_test": [36, 35]}),
    )


def titles(page: str) -> list[str]:
    return re.findall(r"<h2>(.*?)</h2>", page)


def written(path: Path, summary: BenchmarkSummary) -> str:
    return benchmark_page(summary).write(path).read_text(encoding="utf-8")


def changed(summary: BenchmarkSummary, **tables: pd.DataFrame) -> BenchmarkSummary:
    """The summary with another table of models or of paired differences."""
    return replace(summary, board=replace(summary.board, **tables))


def headline(summary: BenchmarkSummary) -> str:
    return summary.board.headline()


def test_page_has_every_section_and_fetches_nothing(tmp_path: Path, summary: BenchmarkSummary):
    page = written(tmp_path / "report.html", summary)
    assert titles(page) == [
        "Headline",
        "Leaderboard",
        "How it was split",
        "Learning curves",
        "Observed versus predicted",
        "Residuals",
        "Per-drug performance",
        "Missing values",
        "Data and reproducibility",
    ]
    assert not re.search(r"https?:", page)
    assert "98.6% of 72 pairs measured" in page
    assert "Two lines were left out." in page
    assert "lung small · 36" in page
    assert "abc123" in page
    assert plt.get_fignums() == []


def test_names_of_drugs_are_escaped_and_twins_told_apart(tmp_path: Path, summary: BenchmarkSummary):
    page = written(tmp_path / "report.html", summary)
    assert page.count("<script") == 1  # the page's own
    assert ">&lt;script&gt;</text>" in page
    assert "twin (d1)" in page
    assert "twin (d2)" in page


def test_table_holds_the_numbers_given(tmp_path: Path, summary: BenchmarkSummary):
    page = written(tmp_path / "report.html", summary)
    board = page[page.index("All folds together") : page.index("Paired differences")]
    values = [float(value) for value in re.findall(r'data-v="([^"]*)"', board)]
    ranked = summary.board.table.sort_values("rmse")
    expected = ranked[["rmse", "r2", "pearson", "normalised_pearson", "seconds"]].to_numpy()
    np.testing.assert_array_equal(np.reshape(values, expected.shape), expected)
    assert "1,234.6" in board
    assert "Spearman" not in board  # no value in the column


def test_headline_tells_the_gain_with_its_paired_interval(summary: BenchmarkSummary):
    gain = -summary.board.paired.loc[0, "rmse_difference"]
    share = gain / summary.board.table.loc[2, "rmse"]
    text = headline(summary)
    assert text.startswith(f"net has the lowest RMSE, {summary.board.table.loc[0, 'rmse']:.3f} (95% interval")
    assert f"{gain:.3f} ({gain - 0.1:.3f} to {gain + 0.1:.3f}), or {share:.1%}, lower than" in text
    assert text.endswith("the strongest naive baseline, drug mean.")


def test_headline_reads_a_difference_taken_the_other_way(summary: BenchmarkSummary):
    turned = summary.board.paired.rename(
        columns={"model": "reference", "reference": "model", "low": "high", "high": "low"}
    )
    turned[["rmse_difference", "low", "high"]] *= -1
    assert headline(changed(summary, paired=turned)) == headline(summary)


def test_headline_does_not_claim_a_gain_whose_interval_includes_zero(summary: BenchmarkSummary):
    paired = summary.board.paired.assign(rmse_difference=-0.01, low=-0.03, high=0.02)
    text = headline(changed(summary, paired=paired))
    assert "not shown to be better" in text
    assert "is 0.010 and its interval (−0.020 to 0.030) includes zero" in text


def test_headline_says_when_the_naive_baseline_wins(tmp_path: Path, summary: BenchmarkSummary):
    overall = summary.board.table.assign(rmse=[2.0, 2.5, 1.5, 3.0])
    paired = summary.board.paired.assign(rmse_difference=0.5, low=0.4, high=0.6)
    worse = changed(summary, table=overall, paired=paired)
    assert headline(worse).startswith("No model beats the naive baseline: drug mean has the lowest RMSE, 1.500")
    assert headline(worse).endswith("the best model, net, is 0.500 higher (0.400 to 0.600).")
    assert "No model beats the naive baseline" in written(tmp_path / "report.html", worse)


def test_headline_without_interval_baseline_or_model(summary: BenchmarkSummary):
    unpaired = changed(summary, paired=summary.board.paired[:0])
    assert "(no interval known)" in headline(unpaired)
    models, naive = summary.board.table[:2], summary.board.table[2:]
    assert "no naive baseline was run" in headline(changed(summary, table=models))
    assert "only naive baselines were run" in headline(changed(summary, table=naive))


def test_sections_without_input_are_left_out(tmp_path: Path, summary: BenchmarkSummary):
    bare = replace(
        changed(summary, paired=pd.DataFrame()),
        samples=summary.samples.drop(columns="tissue"),
        drugs=summary.drugs[[]],
        histories=pd.DataFrame(),
        facts={},
        notes=[],
    )
    page = written(tmp_path / "bare.html", bare)
    assert titles(page) == [
        "Headline",
        "Leaderboard",
        "How it was split",
        "Observed versus predicted",
        "Residuals",
        "Per-drug performance",
        "Missing values",
    ]
    assert "largest tissues" not in page
    empty = replace(bare, predictions=pd.DataFrame(), folds=pd.DataFrame(), fold_sizes=pd.DataFrame())
    assert titles(written(tmp_path / "empty.html", empty)) == ["Headline", "Leaderboard", "How it was split"]


def test_predictions_that_are_not_finite_are_counted(tmp_path: Path, summary: BenchmarkSummary):
    broken = summary.predictions.copy()
    broken.loc[[0, 1], "predicted"] = np.nan
    page = written(tmp_path / "report.html", replace(summary, predictions=broken))
    assert "2 predictions of net are not finite and stand in no figure." in page
    assert "n = 69" in page


def test_failure_in_a_figure_leaves_no_file(tmp_path: Path, summary: BenchmarkSummary, monkeypatch: pytest.MonkeyPatch):
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("a pen broke")

    monkeypatch.setattr(page_of, "missing_map", fail)
    with pytest.raises(RuntimeError, match="a pen broke"):
        benchmark_page(summary).write(tmp_path / "report.html")
    assert list(tmp_path.iterdir()) == []


def test_drug_scores_in_closed_form():
    observed = np.arange(12.0)
    pairs = pd.DataFrame({"drug": "a", "fold": np.repeat([0, 1], 6), "observed": observed, "predicted": observed + 2})
    # a shift between folds spoils a pooled correlation, not the one within folds
    pairs.loc[pairs["fold"] == 1, "predicted"] = -100 + observed[6:]
    few = pairs[:4].assign(drug="few")
    flat = pairs.assign(drug="flat", predicted=observed.mean())
    table = drug_scores(pd.concat([pairs, few, flat]))
    assert table.loc["a", "pearson"] == pytest.approx(1.0)
    assert table.loc["a", "rmse"] == pytest.approx(np.sqrt((4 + 100**2) / 2))
    assert table.loc["few", "n"] == 4
    assert np.isnan(table.loc["few", "pearson"])
    assert np.isnan(table.loc["flat", "pearson"])
    assert table.loc["flat", "normalised_rmse"] == pytest.approx(1.0)


def test_tables_that_lack_a_column_or_a_score_are_refused(summary: BenchmarkSummary):
    with pytest.raises(DataError, match="'predictions' has no column 'observed'"):
        replace(summary, predictions=summary.predictions.drop(columns="observed"))
    with pytest.raises(DataError, match="No model has an RMSE"):
        changed(summary, table=summary.board.table.assign(rmse=np.nan))
    with pytest.raises(DataError, match="the leaderboard has no column"):
        changed(summary, table=pd.DataFrame())
