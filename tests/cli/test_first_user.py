"""What a first user ran into: one test each."""

from __future__ import annotations

import contextlib
import io
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest

from cellixir.cli.app import main
from cellixir.cli.response.benchmark import BENCHMARK_HELP
from cellixir.cli.response.benchmark import SHOWN as OF_RESPONSES
from cellixir.cli.response.cross_study import CROSS_STUDY_HELP
from cellixir.cli.shared import names_of, print_board
from cellixir.cli.table.benchmark import SHOWN as OF_TABLES
from cellixir.data.audit.response import audit_response
from cellixir.data.inputs import read_inputs, read_known_views
from cellixir.data.response_data import ResponseData
from cellixir.data.splits import make_folds
from cellixir.exceptions import ConfigurationError, UnknownIds
from cellixir.metrics.catalogue import CLASSIFICATION, REGRESSION
from cellixir.report.page import Report
from cellixir.response.cross_validation.coverage_report import coverage_sentence, write_coverage
from cellixir.response.cross_validation.models import Options, chosen_models
from cellixir.response.cross_validation.option_checks import check_options
from cellixir.response.cross_validation.summary import BenchmarkSummary
from cellixir.runs import Leaderboard


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


def cellixir(*arguments: object) -> Done:
    out, err = io.StringIO(), io.StringIO()
    before = sys.argv[1:]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = 0
        try:
            sys.argv[1:] = [str(a) for a in arguments]
            main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        finally:
            sys.argv[1:] = before
    return Done(code, out.getvalue(), err.getvalue())


@pytest.fixture(scope="module")
def data(simulate_screen: Callable[..., Any]) -> ResponseData:
    return simulate_screen(n_samples=60, n_drugs=6, n_features=25, seed=4)[0]


@pytest.fixture
def files(data: ResponseData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    data.responses.to_csv(tmp_path / "ic50.csv", index=False)
    data.responses.assign(response=3.0).to_csv(tmp_path / "same.csv", index=False)
    data.views["genomic"].to_df().rename_axis("sample").to_csv(tmp_path / "genomic.csv")
    drugs = data.drugs.rename_axis("drug_id")
    drugs.assign(smiles=["C1CC(("] + ["CCO"] * (len(drugs) - 1)).to_csv(tmp_path / "bad_smiles.csv")
    drugs[[]].to_csv(tmp_path / "no_smiles.csv")
    pd.DataFrame({"id": ["X1", "X2"]}).to_csv(tmp_path / "other_drugs.csv", index=False)
    (tmp_path / "sets.gmt").write_text("SET\tna\tFOO\tBAR\tBAZ\n")
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(60, 3)), columns=["a", "b", "noise"])
    table.assign(total=table["a"] + table["b"]).to_csv(tmp_path / "table.csv", index=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


GIVEN = ("--response", "ic50.csv", "--omics", "genomic=genomic.csv")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--models", "network", "--encoder", "rna=conv1d"), "names the view 'rna'; the data have 'genomic'"),
        (
            (
                "--models",
                "network:gin",
            ),
            "'gin' reads smiles, and no drug has any; give them with --drugs FILE",
        ),
        (("--models", "network", "--drugs", "bad_smiles.csv"), "the SMILES 'C1CC((' of drug 'D001' does not parse"),
        (("--models", "network:gin", "--drugs", "bad_smiles.csv"), "'C1CC((' of drug 'D001' does not parse"),
        (("--drugs", "other_drugs.csv"), "no drug of the responses"),
        (("--preprocess", "rna:standard", "--models", "ridge"), "names the view 'rna'"),
        (("--task", "classification", "--label", "zscore=x"), "'x' is not a finite number"),
        (("--task", "classification", "--label", "threshold=1e9"), "are resistant by the rule threshold=1e+09"),
        (("--task", "classification", "--sensitive", "left"), "there is no side 'left'"),
        (("--models", "network", "--gene-sets", "sets.gmt"), "add --encoder transformer"),
        (("--models", "network:transformer", "--gene-sets", "sets.gmt"), "is in one of the 1 gene sets"),
        (("--models", "ridge", "--interval", "0.9"), "--interval is for networks, and none is to be run"),
        (("--models", "ridge", "--encoder", "conv1d"), "--encoder is for networks"),
        (("--label", "zscore=-1"), "--label is for --task classification"),
        (("--split-file", "ic50.csv", "--folds", "3"), "--folds is for folds that are dealt"),
        (("--views", ","), "',' holds no name"),
        (("--models", ","), "',' holds no name"),
    ],
)
def test_what_cannot_work_is_said_before_anything_is_written(files: Path, options: tuple[str, ...], words: str) -> None:
    done = cellixir("response", "benchmark", *GIVEN, *options, "--out", "run")
    assert done.returncode == 2, done
    assert words in done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("error")]) == 1
    assert not (files / "run").exists()


def test_drugs_that_an_encoder_cannot_read_are_counted_and_named(data: ResponseData) -> None:
    smiles = np.array([None] + ["CCO"] * (len(data.drugs) - 1), dtype=object)
    given = replace(data, drugs=data.drugs.assign(smiles=smiles))
    notes = check_options(given, chosen_models(["network:gin"], "LPO"), "LPO", Options())
    assert notes[-1] == "1 of 6 drugs have no SMILES for 'gin': 'D001'"
    assert "('D002 = D003 = D004 = D005 = D006')" in notes[0]  # one structure


def test_responses_that_are_all_the_same_are_refused(files: Path) -> None:
    done = cellixir("response", "benchmark", "--response", "same.csv", *GIVEN[2:], "--models", "ridge", "--out", "run")
    assert done.returncode == 2
    assert "every response is 3: there is nothing to predict" in done.stderr


def test_options_of_responses_are_none_of_a_table(files: Path) -> None:
    for command in ("benchmark", "audit"):
        done = cellixir("table", command, "table.csv", "--target", "total", "--views", "genomic", "--out", "run")
        assert (done.returncode, "No such option '--views'" in done.stderr) == (2, True), command


def test_after_a_leak_the_same_folder_can_be_used_without_the_column(files: Path) -> None:
    command = ("table", "benchmark", "table.csv", "--models", "ridge", "--folds", 2, "--out", "run")
    assert cellixir(*command, "--target", "total").returncode == 3
    done = cellixir(*command, "--target", "total", "--drop", "a")
    assert done.returncode == 0, done.stderr
    assert "holds a benchmark of another table" in cellixir(*command, "--target", "noise").stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--external-omics", "genomic=genomic.csv"), "--overlap none"),
        (("--overlap", "lines"), "--overlap 'lines' is unknown; choose one of none, samples, drugs, pairs"),
        (("--models", "rigde"), "no model 'rigde'"),
    ],
)
def test_a_cross_study_that_cannot_work_leaves_nothing(files: Path, options: tuple[str, ...], words: str) -> None:
    done = cellixir("response", "cross-study", *GIVEN, "--external-response", "ic50.csv", *options, "--out", "run")
    assert done.returncode == 2, done
    assert words in done.stderr
    assert not (files / "run").exists()


def test_options_of_another_command_are_unknown_here(files: Path) -> None:
    for option in ("--external-response", "--overlap", "--table", "--target", "--group", "--drop"):
        done = cellixir("response", "benchmark", *GIVEN, option, "ic50.csv", "--out", "run")
        assert (done.returncode, "No such option" in done.stderr) == (2, True), option
    done = cellixir("response", "cross-study", *GIVEN, "--external-response", "ic50.csv", "--folds", 3, "--out", "run")
    assert (done.returncode, "No such option" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("command", "text", "n"), [("benchmark", BENCHMARK_HELP, 7), ("cross-study", CROSS_STUDY_HELP, 2)]
)
def test_help_has_one_example_a_line(command: str, text: str, n: int) -> None:
    block = text.split("Examples:\n")[1].split("\n\n")[0].splitlines()
    commands = [line for line in block if line.startswith("  cellixir ")]
    assert len(commands) == text.count(f"cellixir response {command} --") == n
    assert all("\\" not in line and not re.search(r" {3,}\S", line.strip()) for line in block)


@pytest.mark.parametrize(("option", "value"), [("--max-p", "2"), ("--max-fdr", "-1"), ("--top", "-1")])
def test_anova_refuses_limits_that_mean_nothing(files: Path, option: str, value: str) -> None:
    done = cellixir(
        "response", "anova", "--response", "ic50.csv", "--features", "genomic.csv", option, value, "--out", "run"
    )
    assert done.returncode == 2
    assert not (files / "run").exists()


def test_names() -> None:
    assert names_of(None) is None
    assert names_of(" a,,b ") == ["a", "b"]
    with pytest.raises(ConfigurationError, match="' ,' holds no name"):
        names_of(" ,")


def test_a_table_of_ids_without_those_of_the_responses_is_named(files: Path) -> None:
    pd.DataFrame({"x": ["1", "2"], "y": ["3", "4"]}).to_csv("ids.csv", index=False)
    with pytest.raises(UnknownIds, match=r"ids.csv: none of its columns \('x', 'y'\)"):
        read_known_views({"genomic": Path("genomic.csv")}, pd.Index(["S1"]), "ids.csv")


def test_constant_features_are_counted_and_named(files: Path) -> None:
    table = pd.read_csv("genomic.csv", index_col=0)
    table = table.loc[:, table.nunique() > 1].assign(FLAT=1.0, GONE=np.nan)
    table.to_csv("flat.csv")
    notes = read_inputs("ic50.csv", omics={"genomic": Path("flat.csv")}).notes
    said = [note for note in notes if "in all samples" in note]
    features = f"2 of {table.shape[1]} features"
    assert said == [f"view 'genomic': {features} have one value, or none, in all samples: 'FLAT', 'GONE'"]


def test_one_outlier_does_not_make_a_mutation_the_response(data: ResponseData) -> None:
    features = data.views["genomic"].to_df()
    carriers = features.sum()
    rare = carriers[carriers > 0].idxmin()
    sample = features.index[features[rare] > 0][0]
    alone = data.views["genomic"].copy()
    column = list(features.columns).index(rare)
    alone.X[:, column] = (features.index == sample).astype(np.float32)
    responses = data.responses.copy()
    row = np.flatnonzero((responses["sample"] == sample).to_numpy())[0]
    responses.loc[row, "response"] = 1e30
    spoiled = ResponseData.join(responses, views={"genomic": alone}, samples=data.samples, drugs=data.drugs)
    found = audit_response(spoiled, "LCO", make_folds(spoiled, "LCO", n_folds=3))
    assert not [f for f in found.findings if f.kind == "response-in-features"]


def coverage_table() -> pd.DataFrame:
    rows = {"drug": ["(all)", "d1", "d2", "d3"], "n": [100, 50, 46, 4], "covered": [0.9, 0.88, 0.93, 0.5]}
    table = pd.DataFrame(rows).assign(width=2.5, interval_score=3.0, unbounded=0, model="network")
    return table.assign(covered_low=table["covered"] - 0.05, covered_high=table["covered"] + 0.04)


@pytest.mark.parametrize(
    ("low", "high", "unbounded", "words"),
    [
        (0.85, 0.94, 0, "as they claim, as far as these data can tell. Their mean width is 2.50 in ln IC50."),
        (0.70, 0.80, 0, "fewer than they claim"),
        (0.95, 0.99, 0, "more than they claim, so they are wider than they need be"),
        (0.85, 0.94, 12, "12 have no bounds"),
    ],
)
def test_coverage_is_said_in_a_sentence(low: float, high: float, unbounded: int, words: str) -> None:
    row = {"covered": (low + high) / 2, "covered_low": low, "covered_high": high, "n": 1000, "width": 2.5}
    said = coverage_sentence("network", row | {"unbounded": unbounded}, 0.9, "ln IC50")
    assert said.startswith("The 90% intervals of network hold ")
    assert "of 1,000 test pairs" in said
    assert words in said


def test_coverage_has_a_section_with_figure_and_table() -> None:
    empty = pd.DataFrame()
    overall = pd.DataFrame({"model": ["network"], "kind": ["network"], "rmse": [1.0]})
    drugs = pd.DataFrame({"name": ["Nutlin", "PLX", "Rare"]}, index=["d1", "d2", "d3"])
    summary = BenchmarkSummary(
        "t", "LCO", Leaderboard(overall, empty, "rmse", REGRESSION), empty, empty, empty, drugs, empty, "ln IC50", {},
        [], empty,
        coverage=coverage_table(), interval=0.9,
    )  # fmt: skip
    report = Report("t", "s")
    write_coverage(report, summary)
    page = report.render()
    assert "Prediction intervals" in page
    assert "1 with fewer than 10 pairs are in the table alone" in page
    assert page.count("<svg") == 1
    assert all(name in page for name in ("Nutlin", "PLX", "Rare"))
    assert "88.0%" in page


def test_leaderboards_fit_120_columns(capsys: pytest.CaptureFixture[str]) -> None:
    numbers = ("rmse", "mse", "mae", "r2", "pearson", "spearman", "difference", "covered")
    row = {f"{name}{end}": 1.123456 for name in numbers for end in ("", "_low", "_high")}
    models = pd.DataFrame([{"model": "hist_gradient_boosting", "kind": "tree"} | row])
    print_board(Leaderboard(models, pd.DataFrame(), "rmse", REGRESSION), "y", OF_TABLES, banded=["difference"])
    for metric, catalogue in (("rmse", REGRESSION), ("auroc", CLASSIFICATION)):
        names, banded = OF_RESPONSES[metric]
        row = {f"{name}{end}": 0.5 for name in names for end in ("", "_low", "_high")}
        models = pd.DataFrame([{"model": "drug_tissue_shrunken", "kind": "baseline"} | row])
        print_board(Leaderboard(models, pd.DataFrame(), metric, catalogue), "responses", names, banded=banded)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 120
    assert len([line for line in lines if "hist_gradient_boosting" in line and line.count("1.123]") == 2]) == 1
    assert len([line for line in lines if "drug_tissue_shrunken" in line and line.count("0.500]") == 2]) == 2
