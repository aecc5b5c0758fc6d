"""Files that appear whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from cellixir.exceptions import ConfigurationError, WriteError
from cellixir.files import claim, whole


def test_the_file_is_there_after_the_block_and_not_before(tmp_path):
    target = tmp_path / "table.csv"
    with whole(target) as partial:
        partial.write_text("new")
        assert partial.parent == target.parent
        assert partial != target
        assert not target.exists()
    assert target.read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["table.csv"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_block_that_fails_leaves_the_old_file_alone(tmp_path, error):
    target = tmp_path / "table.csv"
    target.write_text("old")

    def fail() -> None:
        with whole(target) as partial:
            partial.write_text("half of the n")
            raise error

    with pytest.raises(error):
        fail()
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["table.csv"]


def test_a_block_that_fails_leaves_nothing_where_nothing_was(tmp_path):
    def fail() -> None:
        with whole(str(tmp_path / "table.csv")) as partial:
            partial.touch()
            raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        fail()
    assert list(tmp_path.iterdir()) == []


def test_a_block_that_writes_nothing_is_an_error(tmp_path):
    target = tmp_path / "table.csv"
    target.write_text("old")
    with pytest.raises(WriteError, match=r"cannot write .*table\.csv"), whole(target):
        pass
    assert target.read_text() == "old"


def test_readers_of_the_suffix_see_the_right_one_and_folders_are_made(tmp_path):
    target = tmp_path / "new" / "folder" / "table.csv.gz"
    table = pd.DataFrame({"x": [1, 2]})
    with whole(target) as partial:
        table.to_csv(partial, index=False)
    assert target.read_bytes()[:2] == b"\x1f\x8b"
    pd.testing.assert_frame_equal(pd.read_csv(target), table)


def test_a_folder_is_claimed_once_and_goes_on_for_the_same_work(tmp_path: Path) -> None:
    file = tmp_path / "run" / "facts.json"
    claim(file, {"seed": 1}, "a run of another seed")
    claim(file, {"seed": 1}, "a run of another seed")
    with pytest.raises(ConfigurationError, match="holds a run of another seed; choose another --out"):
        claim(file, {"seed": 2}, "a run of another seed")
    assert file.read_text() == '{"seed": 1}'


def test_a_claim_that_was_not_begun_is_written_over(tmp_path: Path) -> None:
    file = tmp_path / "facts.json"
    claim(file, {"seed": 1}, "another run")
    claim(file, {"seed": 2}, "another run", begun=False)
    assert file.read_text() == '{"seed": 2}'


@pytest.mark.parametrize("begun", [True, False])
def test_a_folder_with_other_files_is_not_claimed(tmp_path: Path, begun: bool) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(ConfigurationError, match="holds other things"):
        claim(tmp_path / "facts.json", {}, "another run", begun=begun)
    assert not (tmp_path / "facts.json").exists()
