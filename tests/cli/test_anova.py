from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from cellixir.cli.response.anova import ANOVA_HELP, anova
from cellixir.exceptions import CellixirError
from cellixir.response.association.table import COLUMNS

app = typer.Typer(rich_markup_mode=None)
app.command("anova", help=ANOVA_HELP)(anova)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder with a screen in which TP53_mut adds 2 to the response to drug 7, and nothing else does."""
    rng = np.random.default_rng(0)
    n = 120
    lines = np.arange(n) + 900_000
    tissue = rng.choice(["lung", "skin", "bone"], n)
    features = pd.DataFrame(
        (rng.random((n, 5)) < 0.3).astype(int), columns=["TP53_mut", "KRAS_mut", "loss_cna1, loss_cna2", "MYC", "RB1"]
    )
    features.insert(0, "MSI_FACTOR", (rng.random(n) < 0.2).astype(int))
    features.insert(0, "TISSUE_FACTOR", tissue)
    features.insert(0, "COSMIC_ID", lines)
    ic50 = pd.DataFrame(rng.normal(size=(n, 3)), columns=[f"Drug_{d}_IC50" for d in (7, 8, 9)])
    ic50["Drug_7_IC50"] += 2 * features["TP53_mut"]
    ic50 = ic50.mask(rng.random(ic50.shape) < 0.1)
    ic50.insert(0, "COSMIC_ID", lines)
    ic50.to_csv(tmp_path / "ic50.csv", index=False)
    features.to_csv(tmp_path / "features.csv.gz", index=False)
    media = pd.DataFrame({"COSMIC_ID": lines, "SCREEN_MEDIUM": rng.choice(["RPMI", "D/F12"], n)})
    media.to_csv(tmp_path / "media.csv", index=False)
    drugs = pd.DataFrame({"drug_id": [7, 8], "Name": ["Nutlin", "Other"], "Targets": ["MDM2", "EGFR"]})
    drugs.assign(**{"Target pathway": "p53"}).to_csv(tmp_path / "drugs.csv", index=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*options: object) -> Result:
    """Exit code, output and exception of one call on the files of the fixture; later options win."""
    given = ["--response", "ic50.csv", "--features", "features.csv.gz", "--out", "run", *map(str, options)]
    return CliRunner().invoke(app, given)


def refused(*options: object) -> str:
    done = run(*options)
    assert isinstance(done.exception, CellixirError), (done.exit_code, done.output, done.exception)
    assert not Path("run").exists()
    return str(done.exception)


def table(folder: str = "run") -> pd.DataFrame:
    return pd.read_csv(Path(folder) / "anova.csv", dtype={"Drug ID": str})


def test_writes_the_22_columns_a_figure_and_a_page(files: Path) -> None:
    done = run("--media", "media.csv", "--drugs", "drugs.csv", "--screening-set", "GDSC1")
    assert done.exit_code == 0, done.output
    found = table()
    assert tuple(found.columns) == COLUMNS
    assert len(found) == 15
    assert found.iloc[0][["Drug name", "Drug ID", "Drug target", "Target Pathway", "Feature Name"]].tolist() == [
        "Nutlin", "7", "MDM2", "p53", "TP53_mut",
    ]  # fmt: skip
    assert found["feature_delta_mean_ic50"][0] == pytest.approx(2, abs=0.6)
    assert found["feature_pval"][0] < 1e-10
    assert set(found["Feature Name"]) >= {"loss_cna1, loss_cna2"}
    assert "MSI_FACTOR" not in set(found["Feature Name"])
    assert (Path("run") / "volcano.png").stat().st_size > 10_000
    page = (Path("run") / "report.html").read_text(encoding="utf-8")
    assert "tissue + MSI + medium + feature" in page
    for words in ("3 drugs, 5 features, 120 lines", "TP53_mut and Nutlin", "report: run/report.html", "1 of 3 drugs"):
        assert words in done.output, words


def test_options_reach_the_analysis(files: Path) -> None:
    assert run().exit_code == 0
    plain = table()
    assert run("--per-drug", "--fdr", "storey", "--min-lines", 5, "--out", "other").exit_code == 0
    other = table("other")
    assert plain["feature_pval"].tolist() == other["feature_pval"].tolist()
    assert plain["fdr"].tolist() != other["fdr"].tolist()
    done = run("--max-p", 0, "--out", "none")
    assert "None of 15 tests is below" in done.output
    assert "There is none." in (Path("none") / "report.html").read_text(encoding="utf-8")


def test_one_tissue(files: Path) -> None:
    done = run("--tissue", "lung")
    assert done.exit_code == 0, done.output
    found = table()
    assert set(found["Tissue Type"]) == {"lung"}
    assert found["tissue_pval"].isna().all()
    assert "response ~ MSI + feature" in done.output


def test_no_tissue_column_is_said(files: Path) -> None:
    pd.read_csv("features.csv.gz").drop(columns=["TISSUE_FACTOR", "RB1"]).to_csv("bare.csv", index=False)
    done = run("--features", "bare.csv")
    assert done.exit_code == 0
    assert "note: tissue is not in the model" in done.output
    assert table()["tissue_pval"].isna().all()


def test_tissue_of_the_response_table_is_used(files: Path) -> None:
    features = pd.read_csv("features.csv.gz")
    ic50 = pd.read_csv("ic50.csv").melt("COSMIC_ID", var_name="drug", value_name="response").dropna()
    ic50 = ic50.merge(features[["COSMIC_ID", "TISSUE_FACTOR"]]).rename(columns={"TISSUE_FACTOR": "tissue"})
    ic50.to_csv("long.csv", index=False)
    features.drop(columns="TISSUE_FACTOR").to_csv("bare.csv", index=False)
    done = run("--response", "long.csv", "--features", "bare.csv")
    assert done.exit_code == 0, done.exception
    assert "response ~ tissue + MSI + feature" in done.output
    assert "not known to be ln IC50" in done.output


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("other ids", ("none of its 120 rows", "same kind of sample ids")),
        ("half", ("'KRAS_mut'", "0.5", "two groups of lines")),
        ("text", ("'MYC'", "'high'")),
        ("empty", ("features.csv.gz", "empty")),
        ("cut off", ("features.csv.gz",)),
        ("missing", ("features.csv.gz", "cannot be read")),
        ("twice", ("900000", "one row a sample")),
        ("one line", ("3 lines on each side", "min_lines")),
    ],
)
def test_feature_files_that_cannot_be_used(change: str, words: tuple[str, ...], files: Path) -> None:
    features = pd.read_csv("features.csv.gz", dtype=object)
    file = files / "features.csv.gz"
    if change == "other ids":
        features["COSMIC_ID"] = "ACH-" + features["COSMIC_ID"].astype(str)
    elif change == "half":
        features.loc[3, "KRAS_mut"] = "0.5"
    elif change == "text":
        features.loc[3, "MYC"] = "high"
    elif change == "twice":
        features = pd.concat([features, features.head(1)])
    elif change == "one line":
        features = features.head(1)
    features.to_csv(file, index=False)
    if change == "empty":
        file.write_bytes(b"")
    elif change == "cut off":
        file.write_bytes(gzip.compress(features.to_csv(index=False).encode())[:-40])
    elif change == "missing":
        file.unlink()
    message = refused()
    for word in words:
        assert word in message


def test_other_options_that_cannot_work(files: Path) -> None:
    pd.DataFrame({"id": ["a", "b"], "medium": ["x", "y"]}).to_csv("odd.csv", index=False)
    assert "has a medium" in refused("--media", "odd.csv")
    assert "no medium column" in refused("--media", "drugs.csv")
    pd.DataFrame({"drug_id": ["a"], "name": ["b"]}).to_csv("odd.csv", index=False)
    assert "none of the 3 drugs" in refused("--drugs", "odd.csv")
    assert "'bone', 'lung', 'skin'" in refused("--tissue", "brain")
    assert "'holm'" in refused("--fdr", "holm")
    assert "min_lines=1" in refused("--min-lines", 1)
    assert "cannot write" in refused("--out", "drugs.csv")
    assert "gone.csv" in refused("--response", "gone.csv")


def test_help_shows_the_model_and_examples() -> None:
    done = CliRunner().invoke(app, ["--help"])
    assert done.exit_code == 0
    assert "response ~ tissue + MSI (+ medium) + feature" in " ".join(done.output.split())
    assert "cellixir response anova --response" in done.output.split("Examples:")[1]


def test_the_module_is_light() -> None:
    code = (
        "import cellixir.cli.response.anova, sys; print({'pandas', 'scipy', 'matplotlib', 'torch'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "set()"
