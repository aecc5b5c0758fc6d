"""Bundles: what is saved comes back, what is broken is named, what is somebody else's is left alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest
from safetensors.numpy import load_file

from cellixir.estimator import Arrays, Estimator
from cellixir.exceptions import BundleError

FILES = ["card.md", "model.json", "weights.safetensors"]


class Line(Estimator):
    """The smallest model: a slope for each name."""

    def __init__(self, slopes: dict[str, float], name: str = "α") -> None:
        self.slopes = slopes
        self.name = name

    def state(self) -> tuple[Arrays, dict[str, Any]]:
        return {"slope": np.array(list(self.slopes.values()))}, {"names": list(self.slopes), "name": self.name}

    @classmethod
    def from_state(cls, arrays: Arrays, facts: dict[str, Any]) -> Self:
        if len(arrays["slope"]) != len(facts["names"]):
            message = "size mismatch"
            raise RuntimeError(message)
        return cls(dict(zip(facts["names"], arrays["slope"].tolist(), strict=True)), facts["name"])

    def card(self) -> str:
        return f"# Line {self.name}\n"


class Curve(Line):
    """Another class with the same content."""


class Cardless(Line):
    """Fails while it is written."""

    def card(self) -> str:
        message = "no words"
        raise RuntimeError(message)


MODEL = Line({"TP53": 0.1 + 0.2, "β-catenin": -1e-300})


def test_a_model_comes_back(tmp_path):
    folder = MODEL.save(tmp_path / "deep" / "line")
    assert folder == tmp_path / "deep" / "line"
    loaded = Line.load(str(folder))
    assert loaded.slopes == MODEL.slopes
    assert loaded.name == "α"


def test_a_bundle_is_three_files_without_pickle(tmp_path):
    folder = MODEL.save(tmp_path / "line")
    assert sorted(p.name for p in folder.iterdir()) == FILES
    assert (folder / "card.md").read_text(encoding="utf-8") == "# Line α\n"
    facts = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    assert facts["class"] == "Line"
    assert {"python", "cellixir", "torch", "numpy"} <= set(facts["versions"])
    assert load_file(folder / "weights.safetensors")["slope"].dtype == np.float64
    for path in folder.iterdir():
        assert not path.read_bytes().startswith(b"\x80")  # the first byte of a pickle
        assert not path.read_bytes().startswith(b"PK")  # of torch.save


def test_an_older_bundle_is_replaced_as_a_whole(tmp_path):
    folder = MODEL.save(tmp_path / "line")
    Line({"KRAS": 1.0}).save(folder)
    assert Line.load(folder).slopes == {"KRAS": 1.0}
    assert [p.name for p in tmp_path.iterdir()] == ["line"]


def test_a_save_that_fails_leaves_the_old_bundle_and_nothing_else(tmp_path):
    folder = MODEL.save(tmp_path / "line")
    with pytest.raises(RuntimeError, match="no words"):
        Cardless({"KRAS": 1.0}).save(folder)
    assert Line.load(folder).slopes == MODEL.slopes
    assert [p.name for p in tmp_path.iterdir()] == ["line"]


def test_an_empty_folder_may_be_used(tmp_path):
    (tmp_path / "line").mkdir()
    assert Line.load(MODEL.save(tmp_path / "line")).slopes == MODEL.slopes


def test_what_is_no_bundle_is_left_alone(tmp_path):
    folder = tmp_path / "thesis"
    folder.mkdir()
    (folder / "chapter.txt").write_text("ten months of work")
    with pytest.raises(BundleError, match="thesis holds other things than a bundle"):
        MODEL.save(folder)
    with pytest.raises(BundleError, match=r"chapter\.txt holds other things than a bundle"):
        MODEL.save(folder / "chapter.txt")
    assert (folder / "chapter.txt").read_text() == "ten months of work"
    assert [p.name for p in tmp_path.iterdir()] == ["thesis"]


def test_files_that_somebody_put_into_a_bundle_are_not_lost(tmp_path):
    folder = MODEL.save(tmp_path / "line")
    (folder / "notes.txt").write_text("ten months of work")
    try:
        MODEL.save(folder)
    except BundleError:
        return  # refusing is as good
    assert (folder / "notes.txt").exists()


def cut(name: str, n_bytes: int) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:n_bytes])


def changed(**changes: object) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        facts = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        facts = {name: value for name, value in (facts | changes).items() if value is not None}
        (folder / "model.json").write_text(json.dumps(facts), encoding="utf-8")

    return change


BREAKS: dict[str, tuple[Callable[[Path], object], str]] = {
    "weights cut off": (cut("weights.safetensors", -3), "not a whole bundle"),
    "weights nearly gone": (cut("weights.safetensors", 5), "not a whole bundle"),
    "weights empty": (cut("weights.safetensors", 0), "not a whole bundle"),
    "weights missing": (lambda f: (f / "weights.safetensors").unlink(), "not a whole bundle"),
    "facts missing": (lambda f: (f / "model.json").unlink(), "not a whole bundle"),
    "facts cut off": (cut("model.json", -5), "not a whole bundle"),
    "facts are binary": (lambda f: (f / "model.json").write_bytes(b"\xff\xfe\x00"), "not a whole bundle"),
    "other class": (changed(**{"class": "Curve"}), "holds a 'Curve'"),
    "no class": (changed(**{"class": None}), "holds a 'None'"),
    "later format": (changed(format=99), "in format 99"),
    "a fact missing": (changed(names=None), "do not belong together"),
    "other weights": (changed(names=["TP53"]), "do not belong together"),
}


@pytest.mark.parametrize("how", BREAKS)
def test_a_broken_bundle_is_named(tmp_path, how):
    folder = MODEL.save(tmp_path / "line")
    break_it, words = BREAKS[how]
    break_it(folder)
    with pytest.raises(BundleError, match=rf"/line.*{words}"):
        Line.load(folder)


def test_no_bundle_at_all(tmp_path):
    with pytest.raises(BundleError, match=r"there is no bundle at .*nowhere"):
        Line.load(tmp_path / "nowhere")


def test_a_bundle_of_another_class_is_refused(tmp_path):
    folder = Curve({"TP53": 1.0}).save(tmp_path / "line")
    with pytest.raises(BundleError, match="holds a 'Curve' in format 1; this version reads a 'Line'"):
        Line.load(folder)


def test_facts_that_are_no_object_are_refused(tmp_path):
    folder = MODEL.save(tmp_path / "line")
    (folder / "model.json").write_text("[1, 2]")
    with pytest.raises(BundleError, match="line"):
        Line.load(folder)


@pytest.mark.parametrize("error", [ValueError, AttributeError, IndexError])
def test_state_that_does_not_fit_is_refused_whatever_the_model_says(tmp_path, error):
    class Picky(Line):
        @classmethod
        def from_state(cls, arrays: Arrays, facts: dict[str, Any]) -> Self:
            raise error

    with pytest.raises(BundleError, match="do not belong together"):
        Picky.load(Picky({"TP53": 1.0}).save(tmp_path / "line"))


class Tensors(Line):
    """Arrays of every shape."""

    ARRAYS: Arrays = {  # noqa: RUF012
        "turned": np.arange(6.0).reshape(2, 3).T,
        "none": np.zeros((0, 3), dtype=np.float32),
        "flags": np.array([True, False]),
        "strided": np.arange(10)[::3],
    }

    def state(self) -> tuple[Arrays, dict[str, Any]]:
        return self.ARRAYS, {}

    @classmethod
    def from_state(cls, arrays: Arrays, facts: dict[str, Any]) -> Self:
        model = cls({})
        model.loaded = arrays  # type: ignore[attr-defined]
        return model


def test_arrays_keep_shape_and_kind(tmp_path):
    loaded = Tensors.load(Tensors({}).save(tmp_path / "t")).loaded  # type: ignore[attr-defined]
    assert loaded.keys() == Tensors.ARRAYS.keys()
    for name, array in Tensors.ARRAYS.items():
        np.testing.assert_array_equal(loaded[name], array)
        assert loaded[name].shape == array.shape
        assert loaded[name].dtype == array.dtype


def test_a_number_keeps_its_shape(tmp_path, monkeypatch):
    monkeypatch.setattr(Tensors, "ARRAYS", {"step": np.array(3.0)})
    assert Tensors.load(Tensors({}).save(tmp_path / "t")).loaded["step"].shape == ()  # type: ignore[attr-defined]
