"""Options of ``cellixir response`` for views, encoders, preprocessing, classes, intervals and tables."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest

from cellixir.cli.app import main
from cellixir.data.response_data import ResponseData
from cellixir.response.cross_validation.models import ModelSpec
from cellixir.response.models.ridge import RidgePerDrug
from cellixir.response.network import architecture
from cellixir.response.network.predictor import ResponsePredictor
from cellixir.runs import read_manifest
from cellixir.training import TrainingConfig


class Done(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def notes(self) -> str:
        return "\n".join(line for line in self.err.splitlines() if line.startswith("note: "))


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
    return simulate_screen(n_samples=40, n_drugs=8, n_features=20, n_targets=4, seed=4)[0]


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks of two small members and two epochs."""
    for split, preset in architecture.PRESETS.items():
        shape = replace(preset.architecture, latent=8, encoder=16, head=0)
        training = TrainingConfig(max_epochs=2, batch_size=256)
        monkeypatch.setitem(architecture.PRESETS, split, architecture.Preset(shape, training, 2))


@pytest.fixture(scope="module")
def files(data: ResponseData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Responses and mutations by sample id; a profile of 30 of the lines by their names, with a crosswalk."""
    folder = tmp_path_factory.mktemp("files")
    data.responses.to_csv(folder / "ic50.csv", index=False)
    data.views["genomic"].to_df().rename_axis("sample").to_csv(folder / "genomic.csv")
    data.drugs.rename_axis("drug_id").to_csv(folder / "drugs.csv")
    data.samples[["tissue"]].rename_axis("sample").to_csv(folder / "samples.csv")
    rng = np.random.default_rng(0)
    names = [f"LINE-{i}" for i in range(40)]
    profiles = pd.DataFrame(rng.normal(5, 1, (30, 15)), index=names[:30], columns=[f"P{i}" for i in range(15)])
    profiles.rename_axis("cell_line").to_csv(folder / "expression.csv")
    pd.DataFrame({"id": data.samples.index, "name": names}).to_csv(folder / "ids.csv", index=False)
    (folder / "sets.gmt").write_text("one\t-\t" + "\t".join(f"GENE{i:04d}" for i in range(1, 9)) + "\n")
    return folder


PLAIN = ("--response", "ic50.csv", "--omics", "genomic=genomic.csv", "--drugs", "drugs.csv", "--samples", "samples.csv")
BOTH = (*PLAIN, "--omics", "expression=expression.csv", "--ids", "ids.csv")


def bundle(files: Path, name: str, *arguments: object) -> tuple[ResponsePredictor, Done]:
    done = cellixir("response", "fit", *arguments, "--members", 1, "--out", name, cwd=files)
    assert done.code == 0, done.err
    return ResponsePredictor.load(files / name), done


# --- views -------------------------------------------------------------------------------------------------------


def test_two_views_of_which_one_names_its_samples_otherwise(files: Path) -> None:
    model, done = bundle(files, "both", *BOTH, "--encoder", "expression=conv1d", "--drug-encoder", "smiles-conv")
    assert "10 of 40 samples lack view 'expression'; they are masked there" in done.notes
    assert model.inputs_.sample_encoding.encoders == {
        "genomic": "dense",
        "expression": "conv1d",
        "annotation": "dense",
    }
    done = cellixir(
        "response", "predict", "both", "--omics", "genomic=genomic.csv", "--out", "ranked.csv", "--samples",
        "samples.csv", cwd=files,
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "view 'expression' is not given" in done.notes
    ranked = pd.read_csv(files / "ranked.csv")
    assert set(ranked["views"]) == {"genomic"}
    assert len(ranked) == 40 * 8
    for arguments, words in (
        (("--omics", "proteome=genomic.csv"), ("'genomic'", "--omics genomic=FILE")),
        (("--omics", "genomic=genomic.csv", "--interval", "1.5"), ("--interval 1.5",)),
        (("--omics", "genomic=expression.csv"), ("20 of 20 features are missing in genomic", "--missing")),
    ):
        one_line(cellixir("response", "predict", "both", *arguments, "--out", "no.csv", cwd=files), *words)
    assert not (files / "no.csv").exists()


@pytest.mark.parametrize(
    ("options", "n_samples", "views"),
    [
        (("--require", "expression"), 30, ["genomic", "expression"]),
        (("--require", "expression", "--views", "expression"), 30, ["expression"]),
        (("--views", "genomic"), 40, ["genomic"]),
    ],
)
def test_views_may_be_required_or_chosen(
    files: Path, options: tuple[str, ...], n_samples: int, views: list[str], tmp_path: Path
) -> None:
    model, done = bundle(files, tmp_path / "model", *BOTH, *options)  # type: ignore[arg-type]
    assert model.n_samples_ == n_samples
    assert list(model.inputs_.samples.views) == views
    if n_samples == 30:
        assert "10 samples" in done.notes


def test_preprocessing_and_tokens(files: Path, tmp_path: Path) -> None:
    chain = ("--preprocess", "expression:pca=3;genomic:variance=12", "--gene-sets", "sets.gmt")
    model, _ = bundle(files, tmp_path / "model", *BOTH, *chain, "--encoder", "genomic=transformer")  # type: ignore[arg-type]
    assert model.preprocess == chain[1]
    assert model.inputs_.sample_encoding.widths["expression"] == 3
    assert model.inputs_.sample_encoding.widths["genomic"] == 12


# --- tasks -------------------------------------------------------------------------------------------------------


def test_classes_are_told_apart(files: Path) -> None:
    arguments = (*PLAIN, "--models", "ridge", "--folds", 2, "--task", "classification", "--out", "classes")
    done = cellixir("response", "benchmark", *arguments, "--label", "zscore=-0.5", cwd=files)
    assert done.code == 0, done.err
    assert "AUROC" in done.out
    assert "ridge" in done.out
    one_line(cellixir("response", "benchmark", *arguments, "--label", "median", cwd=files), "classes", "labels")


def test_a_model_of_ones_own_joins_by_the_name_of_its_class(files: Path) -> None:
    (files / "my_response_models.py").write_text(OWN)
    name = "my_response_models:Half"
    given = ("response", "benchmark", *PLAIN, "--folds", 2, "--models", "ridge")
    done = cellixir(*given, "--model", name, "--out", "own", cwd=files)
    assert done.code == 0, done.err
    overall = pd.read_csv(files / "own" / "overall.csv").set_index("model")
    assert overall.loc[name, "kind"] == "own"
    assert overall.loc["ridge", "kind"] == "linear"
    for wrong, words in (
        ("my_response_models:Other", ("'my_response_models:Other'", "cannot be imported")),
        ("my_response_models:Empty", ("has no method predict",)),
        ("Half", ("no model 'Half'", "module:Class")),
    ):
        one_line(cellixir(*given, "--model", wrong, "--out", "wrong", cwd=files), *words)
    assert not (files / "wrong").exists()


OWN = """
class Empty:
    def fit(self, data):
        return self


class Half(Empty):
    def fit(self, data):
        self.half = data.response.mean() / 2
        return self

    def predict(self, data):
        return data.sample_index * 0 + self.half
"""


def test_intervals_and_encoders_of_a_benchmark(files: Path) -> None:
    done = cellixir(
        "response", "benchmark", *BOTH, "--models", "network,network:conv2d", "--folds", 2, "--interval", 0.5,
        "--drug-encoder", "target-graph", "--out", "intervals", cwd=files,
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "network: 50% intervals hold" in done.out
    assert "network:conv2d: 50% intervals hold" in done.out
    assert set(pd.read_csv(files / "intervals" / "coverage.csv")["model"]) == {"network", "network:conv2d"}
    assert "target-graph" in (files / "intervals" / "report.html").read_text()


def test_any_table(files: Path) -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(80, 3)), columns=["a", "b", "noise"])
    table["y"] = table["a"] - table["b"] + rng.normal(0, 0.5, 80)
    table["copy"] = 2 * table["y"]
    table.to_csv(files / "table.csv", index=False)
    arguments = ("table.csv", "--target", "y", "--models", "ridge", "--folds", 2, "--out", "table")
    done = cellixir("table", "benchmark", *arguments, cwd=files)
    assert done.code == 3
    assert "'copy'" in done.err
    done = cellixir("table", "benchmark", *arguments, "--drop", "copy", cwd=files)
    assert done.code == 0, done.err
    assert "y, regression" in done.out


# --- what fails --------------------------------------------------------------------------------------------------


def test_a_model_that_raises_is_listed_and_the_exit_code_is_1(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RidgePerDrug, "fit", lambda *args: 1 / 0)
    done = cellixir("response", "benchmark", *PLAIN, "--models", "ridge", "--folds", 2, "--out", "failed", cwd=files)
    assert done.code == 1
    assert "drug_tissue_shrunken" in done.out
    assert "only naive baselines were run" in done.out
    assert done.out.splitlines()[-1] == "report: failed/report.html"
    failed = [line for line in done.err.splitlines() if line.startswith("failed: ")]
    assert failed == [f"failed: ridge, fold {fold}: ZeroDivisionError: division by zero" for fold in (0, 1)]
    assert "ridge" not in set(pd.read_csv(files / "failed" / "overall.csv")["model"])
    assert list(pd.read_csv(files / "failed" / "failures.csv")["fold"]) == [0, 1]


def test_when_every_piece_fails_it_is_an_error(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ModelSpec, "make", lambda *args: Broken())
    done = cellixir("response", "benchmark", *PLAIN, "--models", "ridge", "--folds", 2, "--out", "broken", cwd=files)
    one_line(done, "all 18 pieces failed", "global_mean, fold 1 of 2", "ZeroDivisionError")
    assert read_manifest(files / "broken")["state"] == "failed"


class Broken:
    """Cannot learn."""

    def fit(self, data: ResponseData) -> None:
        1 / 0  # noqa: B018


def test_another_study(data: ResponseData, files: Path) -> None:
    lines = {i: f"other {i}" for i in data.samples.index}
    data.responses.assign(sample=data.responses["sample"].map(lines)).to_csv(files / "other.csv", index=False)
    data.views["genomic"].to_df().rename(index=lines).rename_axis("sample").to_csv(files / "other_genomic.csv")
    external = ("--external-response", "other.csv", "--external-omics", "genomic=other_genomic.csv")
    arguments = (*PLAIN, *external, "--models", "ridge", "--out", "other")
    done = cellixir("response", "cross-study", *arguments, cwd=files)
    assert done.code == 0, done.err
    assert "recalibrated" in done.out
    assert "external pairs" in done.out
    assert done.out.splitlines()[-1] == "report: other/report.html"
    manifest = read_manifest(files / "other")
    assert (manifest["job"], manifest["state"]) == ("response cross-study", "done")
    assert manifest["command"].startswith("cellixir response cross-study --response ic50.csv")


# --- what cannot work --------------------------------------------------------------------------------------------


def one_line(done: Done, *words: str, code: int = 2) -> None:
    assert done.code == code, (done.code, done.out, done.err)
    # a line that begins with blanks says where: the file, or the fold
    lines = [line for line in done.err.splitlines() if line and not line.startswith(("note: ", "  "))]
    assert len(lines) == 1, done.err
    assert lines[0].startswith("error: ")
    for word in words:
        assert word in lines[0], lines[0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--omics", "genomic=expression.csv"), ("'genomic' twice",)),
        (("--omics", "genomic.csv"), ("VIEW=FILE",)),
        (("--omics", "expression=expression.csv"), ("expression.csv", "'LINE-0'", "'S001'")),
        (("--omics", "expression=nothing.csv"), ("nothing.csv",)),
        (("--ids", "ic50.csv.gz"), ("ic50.csv.gz",)),
        (("--ids", "sets.gmt"), ("sets.gmt",)),
        (("--require", "expression"), ("'expression'", "'genomic'")),
        (("--views", "expression"), ("'expression'", "'genomic'")),
        (("--views", ","), ("','", "name")),
        (("--encoder", "conv3d"), ("'conv3d'", "conv2d")),
        (("--encoder", "expression=dense"), ("'expression'", "'genomic'")),
        (("--drug-encoder", "gcn"), ("'gcn'", "gin")),
        (("--preprocess", "center"), ("center",)),
        (("--preprocess", "expression:standard"), ("'expression'", "'genomic'")),
        (("--encoder", "transformer", "--gene-sets", "nothing.gmt"), ("nothing.gmt",)),
    ],
)
@pytest.mark.parametrize("command", ["benchmark", "fit"])
def test_options_of_both_commands(
    files: Path, command: str, arguments: tuple[str, ...], words: tuple[str, ...], tmp_path: Path
) -> None:
    models = ("--models", "network", "--folds", 2) if command == "benchmark" else ()
    done = cellixir("response", command, *PLAIN, *models, *arguments, "--out", tmp_path / "out", cwd=files)
    one_line(done, *words)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--task", "ranking"), ("'ranking'", "classification")),
        (("--task", "classification", "--label", "tertile"), ("'tertile'", "median")),
        (("--task", "classification", "--label", "threshold=-99"), ("threshold=-99", "sensitive")),
        (("--task", "classification", "--sensitive", "left"), ("'left'", "below")),
        (("--task", "classification", "--interval", "0.9"), ("--interval",)),
        (("--interval", "90"), ("90",)),
        (("--interval", "0.9999"), ("0.999",)),
        (("--models", "network:conv3d"), ("'conv3d'",)),
        (("--models", "ridge:conv1d"), ("'ridge:conv1d'",)),
        (("--allow", "everything"), ("everything", "KIND")),
    ],
)
def test_options_of_the_benchmark(
    files: Path, arguments: tuple[str, ...], words: tuple[str, ...], tmp_path: Path
) -> None:
    models = () if "--models" in arguments else ("--models", "network")
    done = cellixir("response", "benchmark", *PLAIN, *models, *arguments, "--out", tmp_path / "out", cwd=files)
    one_line(done, *words)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("target", ["nothing", "sample"])
def test_targets_of_a_table_that_cannot_be_predicted(files: Path, target: str, tmp_path: Path) -> None:
    done = cellixir("table", "benchmark", "samples.csv", "--target", target, "--out", tmp_path / "out", cwd=files)
    one_line(done, f"'{target}'")
    assert not list(tmp_path.iterdir())


def test_a_leak_ends_with_3_and_passes_when_it_is_allowed(data: ResponseData, files: Path, tmp_path: Path) -> None:
    leaking = data.views["genomic"].to_df()
    wide = data.responses.pivot(index="sample", columns="drug", values="response")
    leaking["GENE001_mut"] = wide["D002"].fillna(wide["D002"].mean())
    leaking.rename_axis("sample").to_csv(files / "leaking.csv")
    inputs = [a if a != "genomic=genomic.csv" else "genomic=leaking.csv" for a in PLAIN]
    for command in (("benchmark", "--models", "global_mean", "--folds", 2), ("fit", "--members", 1)):
        done = cellixir("response", *command, *inputs, "--out", tmp_path / "out", cwd=files)
        one_line(done, "'GENE001_mut'", "--allow response-in-features", code=3)
        assert not list(tmp_path.iterdir())
    done = cellixir("response", "audit", *inputs, "--out", tmp_path, cwd=files)
    assert done.code == 3
    assert json.loads((tmp_path / "audit.json").read_text())["leaks"] == 1
    allowed = ("--allow", "response-in-features")
    done = cellixir("response", "fit", "--members", 1, *inputs, *allowed, "--out", tmp_path / "out", cwd=files)
    assert done.code == 0, done.err


def test_columns_measure_and_unit_of_a_response_table(files: Path) -> None:
    table = pd.read_csv(files / "ic50.csv")
    table = table.rename(columns={"sample": "who", "drug": "what"}).assign(pot=lambda t: 6 - t["response"] / np.log(10))
    table[["who", "what", "pot"]].to_csv(files / "mine.csv", index=False)
    says = ("--sample-column", "who", "--drug-column", "what", "--response-column", "pot", "--unit", "-log10 M")
    base = ("--omics", "genomic=genomic.csv", "--split", "lco", "--folds", 3)
    done = cellixir("response", "audit", "--response", "mine.csv", *says, *base, "--out", "a", cwd=files)
    assert done.code in {0, 3}, done.err
    assert "column 'pot' is IC50 in -log10 M, converted to ln µM" in done.err
    lost = cellixir("response", "audit", "--response", "mine.csv", *base, "--out", "b", cwd=files)
    assert lost.code == 2
    assert "--drug-column" in lost.err
    idle = cellixir("response", "audit", "--dataset", "gdsc-v17", "--unit", "nM", "--out", "c", cwd=files)
    assert (idle.code, "--unit is for --response FILE" in idle.err) == (2, True)


def test_predict_reads_genes_in_rows(files: Path) -> None:
    _, done = bundle(files, "plain", "--response", "ic50.csv", "--omics", "genomic=genomic.csv")
    assert done.code == 0
    genomic = pd.read_csv(files / "genomic.csv", index_col=0)[:5]
    genomic.to_csv(files / "rows.csv")
    genomic.T.to_csv(files / "columns.csv", index_label="gene")
    for name in ("rows", "columns"):
        done = cellixir(
            "response", "predict", "plain", "--omics", f"genomic={name}.csv", "--out", f"{name}-out.csv", cwd=files
        )
        assert done.code == 0, done.err
    assert "genes were taken to be the rows" in done.err
    assert (files / "rows-out.csv").read_text() == (files / "columns-out.csv").read_text()
