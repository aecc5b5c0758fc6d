"""``cellixir data``: what is listed, what is fetched, what is refused."""

from __future__ import annotations

import hashlib
import json
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cellixir.cli.data import _GET_HELP, _LIST_HELP, app
from cellixir.exceptions import ConfigurationError, DownloadFailed, HashMismatch, UnknownIds
from cellixir.sources import registry
from cellixir.sources.registry import Source

CONTENT = {"alpha": b"alpha\n" * 100, "beta": b"beta\n" * 100, "gamma": b"gamma\n"}


def _source(key: str) -> Source:
    digest = hashlib.sha256(CONTENT[key]).hexdigest()
    terms = "Beta data: no commercial use" if key == "beta" else ""
    url = f"https://example.org/{key}.csv"
    return Source(key, f"{key}.csv", url, digest, len(CONTENT[key]), "MIT", terms, f"the {key} table", "Nobody")


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder that holds alpha and beta of a registry that also has gamma; downloads are forbidden."""
    folder = tmp_path / "data"
    folder.mkdir()
    for key in ("alpha", "beta"):
        (folder / f"{key}.csv").write_bytes(CONTENT[key])
    monkeypatch.setenv("CELLIXIR_DATA_DIR", str(folder))
    monkeypatch.setenv("CELLIXIR_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("CELLIXIR_OFFLINE", "1")
    monkeypatch.setattr(registry, "sources", lambda: {key: _source(key) for key in CONTENT})
    monkeypatch.setattr(registry, "collections", lambda: {"both": ("alpha", "beta")})
    return folder


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def test_list_has_one_line_a_file(data: Path) -> None:
    result = run("list")
    assert result.exit_code == 0
    lines = {line.split()[0]: line for line in result.stdout.splitlines() if line.strip()}
    assert lines["alpha"].split() == "alpha the alpha table 600 bytes MIT data dir".split()
    assert "MIT ! Beta data: no commercial use" in lines["beta"]
    assert lines["gamma"].rstrip().endswith("to download")
    assert "both = alpha beta" in result.stdout


def test_list_shows_cache_and_wrong_bytes(data: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "gamma.csv").write_bytes(CONTENT["gamma"])
    (data / "alpha.csv").write_bytes(b"?")
    rows = {row["key"]: row for row in json.loads(run("list", "--json").stdout)["files"]}
    assert [rows[k]["at_hand"] for k in CONTENT] == ["wrong bytes in data dir", "data dir", "cache"]


def test_list_as_json_is_the_registry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CELLIXIR_DATA_DIR", "")
    monkeypatch.setenv("CELLIXIR_CACHE_DIR", str(tmp_path))
    content = json.loads(run("list", "--json").stdout)
    assert len(content["files"]) == 26
    assert {row["at_hand"] for row in content["files"]} == {"to download"}
    first = content["files"][0]
    assert first["key"] == "gdsc-v17-ic50"
    assert first["bytes"] == 1_437_973
    assert "no commercial use" in first["terms"]
    assert "gdsc-drug-smiles" in content["collections"]["gdsc-v17"]


def test_get_prints_paths_and_terms(data: Path) -> None:
    result = run("get", "both", "alpha")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [str(data / "alpha.csv"), str(data / "beta.csv")]
    assert result.stderr.splitlines() == ["! Beta data: no commercial use"]
    assert run("get", "alpha").stderr == ""


def test_get_copies_to_a_folder(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "folder"
    result = run("get", "both", "--out", str(out))
    assert result.stdout.splitlines() == [str(out / "alpha.csv"), str(out / "beta.csv")]
    assert {p.name: p.read_bytes() for p in out.iterdir()} == {
        "alpha.csv": CONTENT["alpha"],
        "beta.csv": CONTENT["beta"],
    }


def test_get_replaces_an_old_copy_but_not_the_file_itself(data: Path, tmp_path: Path) -> None:
    (tmp_path / "alpha.csv").write_text("old")
    assert run("get", "alpha", "--out", str(tmp_path)).exit_code == 0
    assert (tmp_path / "alpha.csv").read_bytes() == CONTENT["alpha"]
    assert run("get", "alpha", "--out", str(data)).exit_code == 0
    assert (data / "alpha.csv").read_bytes() == CONTENT["alpha"]


def test_a_failed_copy_leaves_nothing(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: Path, target: Path) -> Path:
        target.write_bytes(b"al")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("cellixir.cli.data.shutil.copyfile", full)
    result = run("get", "alpha", "--out", str(tmp_path / "out"))
    assert isinstance(result.exception, ConfigurationError)
    assert "No space left on device" in str(result.exception)
    assert not list((tmp_path / "out").iterdir())


def test_out_below_a_file_is_one_error(data: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = run("get", "alpha", "--out", str(tmp_path / "file" / "out"))
    assert isinstance(result.exception, ConfigurationError)
    assert "--out" in str(result.exception)


def test_unknown_key_lists_close_matches_and_fetches_nothing(data: Path, tmp_path: Path) -> None:
    result = run("get", "alpha", "gama", "--out", str(tmp_path / "out"))
    assert isinstance(result.exception, UnknownIds)
    assert result.exception.exit_code == 2
    assert "'gama'" in str(result.exception)
    assert "did you mean gamma" in str(result.exception)
    assert "\n" not in str(result.exception)
    assert not (tmp_path / "out").exists()


def test_errors_of_the_registry_come_through(data: Path) -> None:
    assert isinstance(run("get", "gamma").exception, DownloadFailed)
    (data / "alpha.csv").write_bytes(b"?")
    assert isinstance(run("get", "alpha").exception, HashMismatch)


def test_get_without_a_key_is_a_usage_error() -> None:
    assert run("get").exit_code == 2


@pytest.mark.parametrize(("command", "text"), [("list", _LIST_HELP), ("get", _GET_HELP)])
def test_examples_are_shown_and_their_keys_exist(command: str, text: str) -> None:
    shown = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "120"})
    assert shown.exit_code == 0
    examples = [line.strip() for line in text.splitlines() if line.startswith("  cellixir ")]
    assert examples
    for example in examples:
        assert example in shown.stdout
        words = shlex.split(example)
        assert words[:3] == ["cellixir", "data", command]
        keys = [w for w in words[3:] if w != ">"] if command == "get" else []
        registry.expand(keys[: keys.index("--out")] if "--out" in keys else keys)
