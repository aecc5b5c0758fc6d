"""Files that appear whole or not at all."""

from __future__ import annotations

import pandas as pd
import pytest

from cellixir.exceptions import WriteError
from cellixir.files import whole


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
