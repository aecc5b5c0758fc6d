"""What commands print reaches any stream: closed pipes, full disks, ASCII terminals; names from data are harmless."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from cellixir.files import harmless, write_csv
from cellixir.terminal import printable

COMMAND = [sys.executable, "-m", "cellixir.cli.app"]


def run(*words: object, **options: object) -> subprocess.CompletedProcess[str]:
    found: subprocess.CompletedProcess[str] = subprocess.run(
        [*COMMAND, *map(str, words)], text=True, check=False, **{"stderr": subprocess.PIPE, **options}
    )  # type: ignore[call-overload]
    return found


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_full_standard_output_is_one_sentence() -> None:
    with Path("/dev/full").open("w") as full:
        done = run("data", "list", stdout=full)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "cannot be written (No space left on device)" in done.stderr


def test_a_closed_pipe_is_no_error_worth_a_word() -> None:
    ends = os.pipe()
    os.close(ends[0])
    with os.fdopen(ends[1], "w") as pipe:
        done = run("data", "list", stdout=pipe)
    assert done.returncode == 1
    assert done.stderr == ""


@pytest.mark.parametrize("closing", ["1>&-", "2>&-", "1>&- 2>&-"])
def test_streams_that_are_closed(closing: str) -> None:
    command = f"{' '.join(COMMAND)} data list {closing}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


def test_an_ascii_terminal_shows_what_it_can(tmp_path: Path) -> None:
    out = tmp_path / "cohort"
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    small = ("--n-samples", 20, "--n-drugs", 4, "--n-genes", 10, "--n-mutations", 6, "--n-targets", 2)
    done = run("simulate", "cohort", *small, "--out", out, env=environment, stdout=subprocess.PIPE)
    assert done.returncode == 0, done.stderr
    assert "noise with an SD of 0.5 ln" in done.stdout


def test_names_move_no_cursor(tmp_path: Path) -> None:
    pd.DataFrame({"sample": ["a"], "drug": ["\x1b[31mred\x07"], "LN_IC50": ["text\x1b]0;title\x07"]}).to_csv(
        tmp_path / "ic50.csv", index=False
    )
    (tmp_path / "x.csv").write_text("sample,TP53\na,1\nb,2\n")
    done = run("response", "audit", "--response", tmp_path / "ic50.csv", "--omics", f"x={tmp_path / 'x.csv'}")
    assert done.returncode
    assert "\x1b" not in done.stderr
    assert printable("\x1b[31mred\u202e\x9b\ttab\n") == "\\x1b[31mred\\u202e\\x9b\ttab\n"


def test_names_are_no_formulas_in_a_table_for_people(tmp_path: Path) -> None:
    names = ['=HYPERLINK("http://x","y")', "+1+cmd", "-5", "@sum", "\t=1", "(-)-JQ1", "Imatinib", None, "-1e5", "-x"]
    table = pd.DataFrame({"drug": names, "=evil": range(10), "kind": pd.Categorical(["=a", "b"] * 5)})
    write_csv(table, tmp_path / "a.csv")
    found = pd.read_csv(tmp_path / "a.csv")
    assert found["drug"].fillna("").tolist() == [
        '\'=HYPERLINK("http://x","y")', "'+1+cmd", "-5", "'@sum", "'\t=1", "(-)-JQ1", "Imatinib", "", "-1e5", "'-x"
    ]  # fmt: skip
    assert list(found.columns) == ["drug", "'=evil", "kind"]
    assert found["kind"].tolist() == ["'=a", "b"] * 5
    assert table["drug"].tolist() == names  # what was given is not changed
    write_csv(table, tmp_path / "a.csv.gz")
    assert pd.read_csv(tmp_path / "a.csv.gz")["drug"].tolist()[0] == names[0]


def test_numbers_stay_as_they_are() -> None:
    table = pd.DataFrame({"x": [-1.5, 2.0], "y": [1, -2]}, index=pd.Index(["a", "b"], name="id"))
    assert harmless(table).to_csv() == table.to_csv()
