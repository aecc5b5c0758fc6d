from __future__ import annotations

import contextlib
import gzip
import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest

from cellixir.cli.app import main
from cellixir.data.response_data import ResponseData


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


def cellixir(*arguments: object, cwd: Path) -> Done:
    """The command line in this process: torch is imported once."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.chdir(cwd), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = 0
        try:
            sys.argv[1:], before = [str(a) for a in arguments], sys.argv[1:]
            main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        finally:
            sys.argv[1:] = before
    return Done(code, out.getvalue(), err.getvalue())


@pytest.fixture(scope="module")
def data(simulate_screen: Callable[..., Any]) -> ResponseData:
    return simulate_screen(n_samples=60, n_drugs=10, n_features=25, seed=4)[0]


@pytest.fixture
def files(data: ResponseData, tmp_path: Path) -> Path:
    """Folder with a long response table, features, tissues and drugs."""
    data.responses.to_csv(tmp_path / "ic50.csv", index=False)
    genomic = data.views["genomic"].to_df()
    genomic.rename_axis("sample").to_csv(tmp_path / "genomic.csv.gz")
    data.samples[["tissue"]].rename_axis("sample").to_csv(tmp_path / "samples.tsv", sep="\t")
    data.drugs.rename_axis("drug_id").to_csv(tmp_path / "drugs.csv")
    return tmp_path


INPUTS = (
    "--response",
    "ic50.csv",
    "--omics",
    "genomic=genomic.csv.gz",
    "--samples",
    "samples.tsv",
    "--drugs",
    "drugs.csv",
)


def test_benchmark_fit_predict_from_files(data: ResponseData, files: Path) -> None:
    done = cellixir("response", "benchmark", *INPUTS, "--models", "ridge", "--folds", 3, "--out", "run", cwd=files)
    assert done.returncode == 0, done.stderr
    assert "drug_tissue_shrunken" in done.stdout
    assert (files / "run" / "report.html").stat().st_size > 10_000

    done = cellixir("response", "fit", *INPUTS, "--members", 1, "--out", "model", cwd=files)
    assert done.returncode == 0, done.stderr
    assert sorted(p.name for p in (files / "model").iterdir()) == ["card.md", "model.json", "weights.safetensors"]
    assert not list(files.glob(".*"))

    shuffled = pd.read_csv(files / "genomic.csv.gz", index_col=0).sample(frac=1, axis=1, random_state=0).head(4)
    shuffled.to_csv(files / "new.csv")
    done = cellixir("response", "predict", "model", "--omics", "genomic=new.csv", "--out", "ranked.csv", cwd=files)
    assert done.returncode == 0, done.stderr
    ranked = pd.read_csv(files / "ranked.csv", dtype={"sample": str, "drug": str})
    assert list(ranked.columns[:2]) == ["sample", "drug"]
    assert len(ranked) == 4 * 10
    for _, part in ranked.groupby("sample"):
        assert list(part["rank"]) == list(range(1, 11))
        assert part["predicted"].is_monotonic_increasing
    # order of genes does not matter, and a known line is predicted near what was measured
    seen = data.responses.merge(ranked, on=["sample", "drug"])
    assert np.corrcoef(seen["response"], seen["predicted"])[0, 1] > 0.7


def one_line_error(done: Done, *words: str) -> None:
    assert done.returncode == 2, (done.returncode, done.stdout, done.stderr)
    lines = [line for line in done.stderr.splitlines() if line and not line.startswith("note:")]
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("error: ")
    for word in words:
        assert word in lines[0], lines[0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--split", "LXO"), ("LXO", "LPO")),
        (("--models", "forest"), ("'forest'", "random_forest")),
        (("--split", "LDO", "--models", "ridge"), ("ridge", "LDO")),
        (("--folds", "100"), ("100 folds", "--folds")),
        (("--dataset", "gdsc-v17"), ("--dataset", "--response")),
    ],
)
def test_options_that_cannot_work(arguments: tuple[str, ...], words: tuple[str, ...], files: Path) -> None:
    done = cellixir("response", "benchmark", *INPUTS, *arguments, "--out", "run", cwd=files)
    one_line_error(done, *words)
    assert not (files / "run").exists()


def test_new_samples_without_features_are_refused_before_anything_is_written(files: Path) -> None:
    done = cellixir("response", "benchmark", "--response", "ic50.csv", "--split", "LCO", "--out", "run", cwd=files)
    one_line_error(done, "no features of samples", "--omics")
    assert not (files / "run").exists()


def spoil(files: Path, how: str) -> None:
    table = pd.read_csv(files / "ic50.csv", dtype=str)
    if how == "text":
        table.loc[5, "response"] = "high"
    elif how == "duplicate":
        table = pd.concat([table, table.iloc[[3]]])
    elif how == "infinite":
        table.loc[2, "response"] = "inf"
    elif how == "unknown samples":
        table["sample"] = "X" + table["sample"]
    table.to_csv(files / "ic50.csv", index=False)
    if how == "empty":
        (files / "ic50.csv").write_bytes(b"")
    if how == "truncated":
        whole = gzip.compress((files / "ic50.csv").read_bytes())
        (files / "ic50.csv").unlink()
        (files / "ic50.csv").write_bytes(whole[: len(whole) // 2])


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("text", ("'high'", "ic50.csv")),
        ("duplicate", ("ic50.csv", "replicate")),
        ("infinite", ("inf",)),
        ("unknown samples", ("genomic", "same kind of sample ids")),
        ("empty", ("ic50.csv", "empty")),
        ("truncated", ("ic50.csv",)),
    ],
)
@pytest.mark.parametrize("command", ["benchmark", "fit"])
def test_bad_responses_leave_nothing_behind(how: str, words: tuple[str, ...], command: str, files: Path) -> None:
    spoil(files, how)
    before = sorted(files.iterdir())
    one_line_error(cellixir("response", command, *INPUTS, "--out", "run", cwd=files), *words)
    assert sorted(files.iterdir()) == before


def test_bad_questions_to_a_bundle(files: Path) -> None:
    assert cellixir("response", "fit", *INPUTS, "--members", 1, "--out", "model", cwd=files).returncode == 0
    genomic = pd.read_csv(files / "genomic.csv.gz", index_col=0).head(3)
    genomic.iloc[:, 2:].to_csv(files / "few.csv")
    genomic.to_csv(files / "new.csv")
    pd.DataFrame({"drug_id": ["aspirin"]}).to_csv(files / "aspirin.csv", index=False)
    predict = ("response", "predict", "model", "--out", "ranked.csv")
    one_line_error(cellixir(*predict, "--omics", "genomic=few.csv", cwd=files), "2 of", "--missing mean")
    one_line_error(cellixir(*predict, "--omics", "rna=new.csv", cwd=files), "'genomic'")
    one_line_error(cellixir(*predict, "--omics", "genomic=gone.csv", cwd=files), "gone.csv")
    one_line_error(cellixir(*predict, "--omics", "genomic=new.csv", "--drugs", "aspirin.csv", cwd=files), "'aspirin'")
    one_line_error(cellixir("response", "predict", "nothing", "--out", "r.csv", cwd=files), "nothing", "bundle")
    assert not (files / "ranked.csv").exists()
    filled = cellixir(*predict, "--omics", "genomic=few.csv", "--missing", "zero", cwd=files)
    assert filled.returncode == 0, filled.stderr
    assert "2 of 25 features of 'genomic' are missing" in filled.stderr
    few = ("--omics", "genomic=few.csv", "--missing", "zero")
    genomic.iloc[:, 20:].to_csv(files / "few.csv")
    one_line_error(cellixir(*predict, *few, cwd=files), "20 of 25", "too few")
    (genomic * 100).to_csv(files / "new.csv")
    one_line_error(cellixir(*predict, "--omics", "genomic=new.csv", cwd=files), "looks like counts")
    (genomic * 37.5 + 12.25).to_csv(files / "new.csv")
    one_line_error(cellixir(*predict, "--omics", "genomic=new.csv", cwd=files), "standard deviations", "median")


def test_annotation_that_a_model_uses_and_a_sample_lacks_is_said(files: Path) -> None:
    assert cellixir("response", "fit", *INPUTS, "--members", 1, "--out", "model", cwd=files).returncode == 0
    predict = ("response", "predict", "model", "--omics", "genomic=genomic.csv.gz", "--out", "ranked.csv")
    without = cellixir(*predict, cwd=files)
    assert "missing or was never seen: tissue (60 of 60 samples)" in without.stderr
    assert "annotation" not in cellixir(*predict, "--samples", "samples.tsv", cwd=files).stderr


def test_drugs_may_be_given_by_name(data: ResponseData, files: Path) -> None:
    assert cellixir("response", "fit", *INPUTS, "--members", 1, "--out", "model", cwd=files).returncode == 0
    data.drugs[["name"]].head(2).to_csv(files / "names.csv", index=False)
    predict = ("response", "predict", "model", "--omics", "genomic=genomic.csv.gz", "--drugs", "names.csv")
    assert cellixir(*predict, "--out", "ranked.xlsx", cwd=files).returncode == 0
    ranked = pd.read_excel(files / "ranked.xlsx", dtype={"drug": str})
    assert set(ranked["drug"]) == set(data.drugs.index[:2])
    assert set(ranked["drug_name"]) == set(data.drugs["name"][:2])


def test_nothing_is_overwritten_and_places_are_checked_first(files: Path) -> None:
    assert cellixir("response", "fit", *INPUTS, "--members", 1, "--out", "model", cwd=files).returncode == 0
    before = (files / "genomic.csv.gz").read_bytes()
    predict = ("response", "predict", "model", "--omics", "genomic=genomic.csv.gz")
    one_line_error(cellixir(*predict, "--out", "genomic.csv.gz", cwd=files), "one of the inputs")
    one_line_error(cellixir(*predict, "--out", "model/r.csv", cwd=files), "lies in the bundle")
    one_line_error(cellixir(*predict, "--out", "r.docx", cwd=files), ".parquet")
    (files / "folder.csv").mkdir()
    one_line_error(cellixir(*predict, "--out", "folder.csv", cwd=files), "it is a folder")
    for command in ("fit", "benchmark"):
        done = cellixir("response", command, *INPUTS, "--out", "ic50.csv/run", cwd=files)
        one_line_error(done, "cannot write", "--out")
    one_line_error(cellixir("response", "fit", *INPUTS, "--device", "tpu", "--out", "m", cwd=files), "'tpu'", "cuda")
    assert (files / "genomic.csv.gz").read_bytes() == before


def test_samples_under_other_ids_are_refused_with_the_column_that_fits(files: Path) -> None:
    samples = pd.read_csv(files / "samples.tsv", sep="\t")
    samples.assign(name=["line " + s for s in samples["sample"]])[["name", "sample", "tissue"]].to_csv(
        files / "named.csv", index=False
    )
    arguments = ("--response", "ic50.csv", "--samples", "named.csv", "--models", "drug_mean", "--out", "run")
    one_line_error(cellixir("response", "benchmark", *arguments, cwd=files), "named.csv", "column 'sample'")


def test_a_second_run_with_other_models_keeps_the_first(files: Path) -> None:
    for model in ("ridge", "drug_mean"):
        done = cellixir("response", "benchmark", *INPUTS, "--models", model, "--folds", 3, "--out", "run", cwd=files)
        assert done.returncode == 0, done.stderr
    assert "ridge" in set(pd.read_csv(files / "run" / "leaderboard.csv")["model"])


def test_damaged_pieces_are_done_again(files: Path) -> None:
    arguments = ("response", "benchmark", *INPUTS, "--models", "ridge", "--folds", 3, "--out", "run")
    assert cellixir(*arguments, cwd=files).returncode == 0
    before = pd.read_parquet(files / "run" / "predictions.parquet")
    for number, name in enumerate(("piece.json", "predicted.npy")):
        piece = files / "run" / "pieces" / "ridge" / f"fold-{number}" / name
        piece.write_bytes(piece.read_bytes()[:20])
    assert cellixir(*arguments, cwd=files).returncode == 0
    pd.testing.assert_frame_equal(pd.read_parquet(files / "run" / "predictions.parquet"), before)


def test_help_shows_examples(tmp_path: Path) -> None:
    for command in ("benchmark", "fit", "predict"):
        done = cellixir("response", command, "--help", cwd=tmp_path)
        assert done.returncode == 0
        assert f"cellixir response {command} " in done.stdout.split("Examples:")[1]


def test_demo_says_plainly_that_data_are_simulated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"OFFLINE": "1", "CACHE_DIR": str(tmp_path / "cache"), "DATA_DIR": ""}.items():
        monkeypatch.setenv(f"CELLIXIR_{name}", value)
    done = cellixir("demo", "--models", "ridge", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "NOT REAL DATA" in done.stderr
    assert "short: 2 folds, 1 network" in done.stdout
    report = Path(done.stdout.strip().splitlines()[-1].removeprefix("report: "))
    assert report.is_file()
    assert "simulated" in report.read_text()
