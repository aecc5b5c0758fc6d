from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import Result
from typer.testing import CliRunner

from cellixir.cli.app import app
from cellixir.data.response_data import ResponseData
from cellixir.data.splits import Fold, folds_table
from cellixir.exceptions import CellixirError, ConfigurationError, DataError, InvalidValues, ReadError, WriteError
from cellixir.runs import read_manifest


def run(*arguments: object, job: str = "response") -> Result:
    return CliRunner().invoke(app, [job, "audit", *(str(a) for a in arguments)])


def content(folder: Path) -> dict[str, object]:
    return dict(json.loads((folder / "audit.json").read_text(encoding="utf-8")))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(200, 4)), columns=["mean_neg", "delta", "noise", "other"])
    frame.insert(0, "drug", [f"d{i % 20}" for i in range(200)])
    frame["mean_pos"] = frame["mean_neg"] + frame["delta"]
    frame["per_drug"] = rng.normal(size=20)[np.arange(200) % 20]
    frame.to_csv(tmp_path / "anova.csv", index=False)
    return tmp_path / "anova.csv"


def test_a_table_that_leaks_ends_with_3_and_names_the_columns(table: Path, tmp_path: Path) -> None:
    done = run(table, "--target", "mean_pos", "--out", tmp_path / "out", job="table")
    assert done.exit_code == 3, done.output
    assert "leak rebuild: 1" in done.stdout
    assert "mean_pos = mean_neg + delta" in done.stdout
    assert "--allow rebuild" in done.stdout
    assert "rows: 200" in done.stdout
    found = content(tmp_path / "out")
    assert found["leaks"] == 1
    assert found["findings"][0]["ids"] == ["mean_neg", "delta"]  # type: ignore[index]


def test_a_clean_table_ends_with_0_and_says_what_was_looked_at(table: Path, tmp_path: Path) -> None:
    done = run(table, "--target", "noise", "--out", tmp_path / "out", job="table")
    assert done.exit_code == 0, done.output
    assert "nothing leaks" in done.stdout
    assert content(tmp_path / "out")["leaks"] == 0
    assert content(tmp_path / "out")["checks"]["rows"] == 200  # type: ignore[index]


@pytest.mark.parametrize("override", ["rebuild", "rebuild:delta"])
def test_a_finding_is_overridden_by_name(table: Path, tmp_path: Path, override: str) -> None:
    done = run(table, "--target", "mean_pos", "--out", tmp_path / "out", "--allow", override, job="table")
    assert done.exit_code == 0, done.output
    assert "allowed rebuild" in done.stdout
    assert content(tmp_path / "out")["leaks"] == 1  # the file says what there is, not what was allowed


def test_groups_that_stay_together(table: Path, tmp_path: Path) -> None:
    arguments = (table, "--target", "per_drug", "--out", tmp_path / "out")
    assert run(*arguments, job="table").exit_code == 3
    assert run(*arguments, "--group-key", "drug", job="table").exit_code == 0
    assert read_manifest(tmp_path / "out")["metrics"] == {
        "leaks": 0,
        "findings": content(tmp_path / "out")["findings"].__len__(),
    }
    assert read_manifest(tmp_path / "out")["job"] == "table audit"


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (("table", "anova.csv", "--target", "nothing"), ConfigurationError, "no column 'nothing'"),
        (("response",), ConfigurationError, "--dataset NAME or --response FILE"),
        (("table", "missing.csv", "--target", "noise"), ReadError, "missing.csv"),
        (("table", "empty.csv", "--target", "noise"), ReadError, "empty"),
        (("table", "header.csv", "--target", "a"), ReadError, "no rows"),
        (("table", "one.csv", "--target", "a"), InvalidValues, "nothing to predict"),
        (("table", "anova.csv", "--target", "noise", "--allow", "leaks"), ConfigurationError, "--allow leaks"),
        (("table", "anova.csv", "--target", "noise", "--out", "anova.csv"), WriteError, "anova.csv"),
        (("response", "--response", "ic50.csv", "--split", "LXO"), ConfigurationError, "LXO"),
    ],
)
def test_what_cannot_work_is_one_sentence(
    arguments: tuple[str, ...],
    error: type[CellixirError],
    words: str,
    table: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(table.parent)
    Path("empty.csv").touch()
    Path("header.csv").write_text("id,a\n")
    Path("one.csv").write_text("id,a\nr1,2.0\n")
    Path("ic50.csv").write_text("sample,drug,response\n" + "".join(f"S{i},D{i % 3},{i}\n" for i in range(30)))
    done = run(*arguments[1:], job=arguments[0])
    assert isinstance(done.exception, error), done.output
    assert words in str(done.exception)
    assert "\n" not in str(done.exception)
    assert not Path("audit.json").exists()


@pytest.fixture
def data(simulate_screen: Callable[..., Any]) -> ResponseData:
    return simulate_screen(n_samples=60, n_drugs=10, n_features=25, seed=4)[0]


@pytest.fixture
def files(data: ResponseData, tmp_path: Path) -> list[object]:
    data.responses.to_csv(tmp_path / "ic50.csv", index=False)
    data.views["genomic"].to_df().rename_axis("sample").to_csv(tmp_path / "genomic.csv")
    drugs = data.drugs.copy()
    drugs.loc["D002", "name"] = drugs.loc["D001", "name"].upper()
    drugs.rename_axis("drug_id").to_csv(tmp_path / "drugs.csv")
    names = {"--response": "ic50.csv", "--omics": "genomic=genomic.csv", "--drugs": "drugs.csv"}
    return [a for option, name in names.items() for a in (option, str(name).replace("=", f"={tmp_path}/"))] + [
        "--out",
        tmp_path / "out",
    ]


def test_responses_that_are_clean(files: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = run(*files, "--split", "LCO")
    assert done.exit_code == 0, (done.output, done.exception)
    assert content(tmp_path / "out")["checks"]["folds"] == 5  # type: ignore[index]


def test_a_split_file_that_parts_a_molecule(
    data: ResponseData, files: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    drug = data.responses["drug"].to_numpy()
    folds = []
    for number, tested in enumerate(
        (["D001", "D003", "D004", "D005"], ["D002", "D006", "D007", "D008", "D009", "D010"])
    ):
        test = np.isin(drug, tested)
        validation = ~test & (drug == ("D010" if number == 0 else "D005"))
        folds.append(Fold(number, *(np.flatnonzero(part) for part in (~test & ~validation, validation, test))))
    folds_table(data, folds).to_csv("split.csv", index=False)
    done = run(*files, "--split", "LDO", "--split-file", "split.csv")
    assert isinstance(done.exception, DataError)
    assert "fold 0 has units of LDO on two sides" in str(done.exception)
    assert "a molecule screened twice" in str(done.exception)


def test_help_shows_examples() -> None:
    for job, example in (
        ("response", "cellixir response audit --dataset gdsc-v17 --split LDO --out runs/ldo-audit"),
        ("table", "cellixir table audit PANCANCER_ANOVA.csv --target log_ic50_mean_pos"),
    ):
        done = run("--help", job=job)
        assert done.exit_code == 0
        assert example in done.stdout


def test_nothing_heavy_is_imported_before_the_command_runs() -> None:
    code = "import sys, cellixir.cli.response.audit; print({'numpy', 'pandas', 'rdkit', 'rich'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.real_data
def test_v17_by_cell_lines_does_not_stop(data_dir: Path, tmp_path: Path) -> None:
    done = run("--dataset", "gdsc-v17", "--split", "LCO", "--out", tmp_path)
    assert done.exit_code == 0, (done.output, done.exception)
    assert "nothing leaks" in done.stdout
    assert content(tmp_path)["checks"]["pairs"] == 213_787  # type: ignore[index]
