"""Models of one's own: found by name, refused in one sentence, given what they take."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from cellixir.exceptions import ConfigurationError
from cellixir.runs.own import accepted, own_class, source_digest

MODULE = """
class Mine:
    def fit(self, data):
        return self

    def predict(self, data):
        return data.response * 0


class Half:
    def fit(self, data):
        return self


mine = Mine()
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a module, which is forgotten afterwards."""
    (tmp_path / "my_own_models.py").write_text(MODULE)
    (tmp_path / "my_broken_models.py").write_text("1 / 0\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "my_own_models", raising=False)
    return tmp_path


def test_a_class_of_the_working_folder_is_found(folder: Path) -> None:
    found = own_class("my_own_models:Mine")
    assert found.__name__ == "Mine"
    assert callable(found().fit(None).predict)


def test_a_class_of_a_package_is_found() -> None:
    assert own_class("sklearn.linear_model:Ridge").__module__.startswith("sklearn.linear_model")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("Mine", "names no class; write module:Class"),
        (":Mine", "names no class"),
        ("my_own_models:a b", "names no class"),
        ("my_own_models:Other", r"cannot be imported \(AttributeError"),
        ("no_such_module:Mine", r"cannot be imported \(ModuleNotFoundError"),
        ("my_broken_models:Mine", r"cannot be imported \(ZeroDivisionError"),
        ("my_own_models:Half", "'my_own_models:Half' has no method predict; a model needs fit, predict"),
        ("my_own_models:mine", "is a Mine, not a class"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_sentence(folder: Path, name: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        own_class(name)


def test_a_job_says_which_methods_it_needs(folder: Path) -> None:
    assert own_class("my_own_models:Half", needs=["fit"]).__name__ == "Half"
    with pytest.raises(ConfigurationError, match="has no method sample; a model needs fit, sample"):
        own_class("my_own_models:Mine", needs=["fit", "sample"])


def test_options_that_a_function_does_not_take_are_left_out() -> None:
    given = {"validation": 1, "checkpoint": 2}
    assert accepted(lambda data, *, checkpoint=None: data, **given) == {"checkpoint": 2}
    assert accepted(lambda data, **others: data, **given) == given
    assert accepted(lambda data: data, **given) == {}


def test_an_edit_of_the_file_changes_the_digest(folder: Path) -> None:
    before = source_digest(own_class("my_own_models:Mine"))
    assert before == source_digest(own_class("my_own_models:Half", needs=["fit"]))  # of one file
    (folder / "my_own_models.py").write_text(MODULE.replace("* 0", "* 1"))
    del sys.modules["my_own_models"]
    assert source_digest(own_class("my_own_models:Mine")) != before
