"""A job of sixty lines has resume, failures, leaderboard, headline, page, manifest and command line from the shell."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import cloudpickle
import pandas as pd
import pytest
from typer.testing import CliRunner

from cellixir.exceptions import ConfigurationError, DataError
from cellixir.runs import read_manifest

SPEC = importlib.util.spec_from_file_location("toy_job", Path(__file__).with_name("toy.py"))
assert SPEC is not None
assert SPEC.loader is not None
toy = importlib.util.module_from_spec(SPEC)
sys.modules["toy_job"] = toy
SPEC.loader.exec_module(toy)
cloudpickle.register_pickle_by_value(toy)  # other processes cannot import it


def test_the_job_is_small() -> None:
    assert len(Path(toy.__file__).read_text().splitlines()) <= 65


def test_command_line_page_manifest_and_headline(tmp_path: Path) -> None:
    said = CliRunner().invoke(toy.app, ["--out", str(tmp_path / "run")]).output
    manifest = read_manifest(tmp_path / "run")
    assert said.strip() == manifest["headline"]
    assert said.startswith("line has the lowest RMSE, 0.")
    assert (manifest["job"], manifest["state"], manifest["failures"]) == ("toy", "done", 0)
    assert manifest["tables"] == ["leaderboard.csv"]
    assert manifest["pages"] == ["report.html"]
    assert manifest["metrics"]["best"]["model"] == "line"
    assert manifest["metrics"]["best"]["value"] < 0.2 < manifest["metrics"]["naive"]["value"]
    page = (tmp_path / "run" / "report.html").read_text()
    assert manifest["headline"].split(",")[0] in page
    assert "The one section of its own." in page


def test_a_finished_piece_is_read_and_the_numbers_stay(tmp_path: Path) -> None:
    first = toy.run_toy(tmp_path, ["mean", "line"]).table
    before = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.npy")}
    second = toy.run_toy(tmp_path, ["mean", "line"]).table
    pd.testing.assert_frame_equal(first, second, check_exact=True)
    assert before == {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.npy")}


def test_another_version_does_every_piece_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = toy.run_toy(tmp_path, ["mean", "line"]).table
    monkeypatch.setattr("cellixir.runs.piece.__version__", "99.0")
    monkeypatch.setattr(toy, "predict", lambda model, x, y: 0 * x)
    new = toy.run_toy(tmp_path, ["mean", "line"]).table
    assert (new["rmse"] != old["rmse"]).all()
    assert new["rmse"].nunique() == 1


def test_a_failure_is_listed_and_loses_no_other(tmp_path: Path) -> None:
    board = toy.run_toy(tmp_path, ["mean", "broken", "line"])
    assert list(board.ranked["model"]) == ["line", "mean"]
    failures = pd.read_csv(tmp_path / "failures.csv")
    assert failures.to_dict("records") == [{"model": "broken", "error": "ValueError: this model does not work"}]
    assert read_manifest(tmp_path)["failures"] == 1
    assert "this model does not work" in (tmp_path / "report.html").read_text()
    toy.run_toy(tmp_path, ["mean", "line"])
    assert not (tmp_path / "failures.csv").exists()


def test_when_all_fail_the_first_error_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="this model does not work"):
        toy.run_toy(tmp_path, ["broken"])
    assert read_manifest(tmp_path)["state"] == "failed"
    assert read_manifest(tmp_path)["error"] == "ValueError: this model does not work"


def test_a_damaged_piece_is_done_again(tmp_path: Path) -> None:
    first = toy.run_toy(tmp_path, ["mean", "line"]).table
    (tmp_path / "pieces" / "line" / "predicted.npy").write_bytes(b"\x93NUMPY")
    (tmp_path / "pieces" / "mean" / "piece.json").write_text("{")
    pd.testing.assert_frame_equal(first, toy.run_toy(tmp_path, ["mean", "line"]).table, check_exact=True)


def test_other_work_other_files_and_another_process_are_refused(tmp_path: Path) -> None:
    toy.run_toy(tmp_path / "run", ["mean", "line"])
    with pytest.raises(ConfigurationError, match=r"holds other work \(toy\); choose another --out"):
        toy.run_toy(tmp_path / "run", ["mean"], seed=1)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(ConfigurationError, match="exists and holds other things"):
        toy.run_toy(tmp_path / "mine", ["mean"])
    with toy.RunFolder(tmp_path / "two", "toy", {}), pytest.raises(ConfigurationError, match="another process"):
        toy.RunFolder(tmp_path / "two", "toy", {}).__enter__()


def test_work_that_left_nothing_holds_no_folder_and_force_takes_any(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), toy.RunFolder(tmp_path / "a", "toy", {"seed": 1}):
        raise KeyboardInterrupt
    with toy.RunFolder(tmp_path / "a", "toy", {"seed": 2}) as run:
        run.json("found.json", {})
    with pytest.raises(ConfigurationError, match="holds a toy of another seed"):
        toy.RunFolder(tmp_path / "a", "toy", {"seed": 3}, what="a toy of another seed").refuse_other_work()
    assert read_manifest(tmp_path / "a")["state"] == "done"
    with toy.RunFolder(tmp_path / "a", "toy", {"seed": 3}, force=True):
        pass
    assert (tmp_path / "a" / "found.json").is_file()


def test_failures_of_several_calls_are_one_list(tmp_path: Path) -> None:
    pieces = [toy.piece(model, toy.np.ones(3), toy.np.ones(3)) for model in ("broken", "mean")]
    later = toy.Piece({"model": "mean", "fold": 1}, {}, pieces[0].work)
    fine = toy.Piece({"model": "mean", "fold": 2}, {}, pieces[1].work)
    with toy.RunFolder(tmp_path, "toy", {}) as run:
        run.pieces(pieces)
        run.pieces([later, fine])
    table = pd.read_csv(tmp_path / "failures.csv")
    assert list(table) == ["model", "fold", "error"]
    assert table["model"].tolist() == ["broken", "mean"]
    assert read_manifest(tmp_path)["failures"] == 2


def test_an_interrupted_run_is_stopped_and_a_dead_one_too(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), toy.RunFolder(tmp_path / "a", "toy", {}):
        raise KeyboardInterrupt
    assert read_manifest(tmp_path / "a")["state"] == "stopped"
    manifest = json.loads((tmp_path / "a" / "run.json").read_text())
    (tmp_path / "a" / "run.json").write_text(json.dumps(manifest | {"state": "running", "pid": 2**22 + 1}))
    assert read_manifest(tmp_path / "a")["state"] == "stopped"


def test_two_processes_give_the_same_table(tmp_path: Path) -> None:
    pieces = [toy.piece(m, toy.np.arange(9.0), toy.np.arange(9.0) ** 2) for m in ("mean", "broken", "line")]
    tables = []
    for jobs in (1, 2):
        with toy.RunFolder(tmp_path / str(jobs), "toy", {}) as run:
            done = run.pieces(pieces, jobs=jobs)
        tables.append([found.arrays["predicted"].tobytes() for _, found in done.found])
        assert list(done.failures["model"]) == ["broken"]
    assert tables[0] == tables[1]


def test_nothing_said_by_a_run_without_pieces_fails(tmp_path: Path) -> None:
    with toy.RunFolder(tmp_path, "toy", {}) as run, pytest.raises(DataError, match="all 2 pieces failed; the first"):
        run.pieces([toy.piece("broken", toy.np.ones(3), toy.np.ones(3)) for _ in range(2)])
