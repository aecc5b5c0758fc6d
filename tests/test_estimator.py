"""Bundles: what is saved comes back, what is broken is named, what is somebody else's is left alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal, assert_index_equal, assert_series_equal
from safetensors.numpy import load_file
from sklearn.base import clone

from cellixir.estimator import Arrays, Estimator, load
from cellixir.exceptions import BundleError, ConfigurationError, NotFitted
from cellixir.training import TrainingConfig

FILES = ["card.md", "model.json", "weights.safetensors"]


class Line(Estimator):
    """The smallest model: a slope for each name."""

    def __init__(self, name: str = "α") -> None:
        self.name = name

    def fit(self, X: dict[str, float], y: object = None, **_: object) -> Self:
        self.slopes_ = X
        return self

    def features(self, data: Any) -> tuple[Any, list[str]]:
        return np.zeros((len(data), 0)), []

    def state(self) -> tuple[Arrays, dict[str, Any]]:
        return {"slope": np.array(list(self.slopes_.values()))}, {"names": list(self.slopes_)}

    def restore(self, arrays: Arrays, facts: dict[str, Any]) -> None:
        if len(arrays["slope"]) != len(facts["names"]):
            message = "size mismatch"
            raise RuntimeError(message)
        self.slopes_ = dict(zip(facts["names"], arrays["slope"].tolist(), strict=True))

    def card(self) -> str:
        return f"# Line {self.name}\n"


class Curve(Line):
    """Another class with the same content."""


class Cardless(Line):
    """Fails while it is written."""

    def card(self) -> str:
        message = "no words"
        raise RuntimeError(message)


MODEL = Line().fit({"TP53": 0.1 + 0.2, "β-catenin": -1e-300})


def test_a_model_comes_back(tmp_path):
    folder = MODEL.save(tmp_path / "deep" / "line")
    assert folder == tmp_path / "deep" / "line"
    loaded = Line.load(str(folder))
    assert loaded.slopes_ == MODEL.slopes_
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
    Line().fit({"KRAS": 1.0}).save(folder)
    assert Line.load(folder).slopes_ == {"KRAS": 1.0}
    assert [p.name for p in tmp_path.iterdir()] == ["line"]


def test_a_save_that_fails_leaves_the_old_bundle_and_nothing_else(tmp_path):
    folder = MODEL.save(tmp_path / "line")
    with pytest.raises(RuntimeError, match="no words"):
        Cardless().fit({"KRAS": 1.0}).save(folder)
    assert Line.load(folder).slopes_ == MODEL.slopes_
    assert [p.name for p in tmp_path.iterdir()] == ["line"]


def test_an_empty_folder_may_be_used(tmp_path):
    (tmp_path / "line").mkdir()
    assert Line.load(MODEL.save(tmp_path / "line")).slopes_ == MODEL.slopes_


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
    folder = Curve().fit({"TP53": 1.0}).save(tmp_path / "line")
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
        def restore(self, arrays: Arrays, facts: dict[str, Any]) -> None:
            raise error

    with pytest.raises(BundleError, match="do not belong together"):
        Picky.load(Picky().fit({"TP53": 1.0}).save(tmp_path / "line"))


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

    def restore(self, arrays: Arrays, facts: dict[str, Any]) -> None:
        self.loaded_ = arrays


def test_arrays_keep_shape_and_kind(tmp_path):
    loaded = Tensors.load(Tensors().fit({}).save(tmp_path / "t")).loaded_
    assert loaded.keys() == Tensors.ARRAYS.keys()
    for name, array in Tensors.ARRAYS.items():
        np.testing.assert_array_equal(loaded[name], array)
        assert loaded[name].shape == array.shape
        assert loaded[name].dtype == array.dtype


def test_a_number_keeps_its_shape(tmp_path, monkeypatch):
    monkeypatch.setattr(Tensors, "ARRAYS", {"step": np.array(3.0)})
    assert Tensors.load(Tensors().fit({}).save(tmp_path / "t")).loaded_["step"].shape == ()


# -- parameters --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sizes:
    """A parameter of several fields."""

    width: int = 3
    layers: tuple[int, ...] = (2, 1)


class Sized(Line):
    """Keeps what it learned by itself."""

    state, restore, card = Estimator.state, Estimator.restore, Estimator.card
    limits = "Lines only."

    def __init__(self, name: str = "α", sizes: Sizes | None = None, columns: Sequence[str] = ()) -> None:
        self.name, self.sizes, self.columns = name, sizes, columns
        self.check_parameters()

    def check_parameters(self) -> None:
        if self.sizes is not None and self.sizes.width < 1:
            message = f"width={self.sizes.width} is not possible"
            raise ConfigurationError(message)

    def fit(self, X: Any, y: object = None, **_: object) -> Self:
        self.learned_, self.notes_ = X, ["a note"]
        return self


def test_parameters_are_those_of_the_constructor_also_within_dataclasses():
    model = Sized(sizes=Sizes(4), columns=["a"])
    copy = clone(model)
    assert (copy.sizes, copy.columns) == (Sizes(4), ["a"])
    assert copy.get_params()["sizes__width"] == 4
    assert copy.set_params(sizes__width=5, name="β").sizes == Sizes(5)
    assert repr(copy) == "Sized(columns=['a'], name='β', sizes=Sizes(width=5, layers=(2, 1)))"
    with pytest.raises(ConfigurationError, match="width=0"):
        copy.set_params(sizes__width=0)
    with pytest.raises(ValueError, match="depth"):
        Sized().set_params(depth=3)


def test_parameters_come_back_from_json():
    model = Sized(sizes=Sizes(np.int64(4)), columns=("a", "b"))
    stored = json.loads(json.dumps(model.parameters()))
    assert stored == {"name": "α", "sizes": {"width": 4, "layers": [2, 1]}, "columns": ["a", "b"]}
    assert Sized.from_parameters(stored).sizes == Sizes(4, [2, 1])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "value",
    [
        None, 0.1 + 0.2, [1, "a", [True]], {"a": 1, 2: {"b": (1, 2)}}, {("a", 1): 2.5},
        np.float32(0.1), np.arange(6.0).reshape(2, 3), np.array(["TP53", None], dtype=object), np.array(["a", "bc"]),
        pd.Index(["a", "b"], name="gene"), pd.Series([1.5, np.nan], index=["a", "b"], name="mean"),
        pd.MultiIndex.from_tuples([("a", 1), ("b", 2)], names=["drug", "dose"]),
        pd.DataFrame({"a": [1, 2], "b": ["x", None]}, index=["r", "s"]), pd.DataFrame(),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_what_was_learned_comes_back_bit_by_bit(tmp_path, value):
    found = load(Sized().fit(value).save(tmp_path / "m")).learned_  # type: ignore[attr-defined]
    assert type(found) is type(value)
    if isinstance(value, pd.DataFrame | pd.Series | pd.Index):
        same = {pd.DataFrame: assert_frame_equal, pd.Series: assert_series_equal}.get(type(value), assert_index_equal)
        same(found, value)
    elif isinstance(value, np.ndarray | np.generic):
        assert found.dtype == value.dtype
        np.testing.assert_array_equal(found, value)
    else:
        assert found == value


def test_objects_of_the_package_come_back_and_no_others(tmp_path):
    found = load(Sized().fit({"loop": TrainingConfig(patience=3)}).save(tmp_path / "m"))
    assert found.learned_ == {"loop": TrainingConfig(patience=3)}  # type: ignore[attr-defined]
    with pytest.raises(BundleError, match="Fraction cannot be kept in a bundle"):
        Sized().fit(Fraction(1, 2)).save(tmp_path / "other")
    path = tmp_path / "m" / "model.json"
    path.write_text(path.read_text().replace("cellixir.training.config:TrainingConfig", "subprocess:Popen"))
    with pytest.raises(BundleError, match="'subprocess:Popen' is no class of this package"):
        load(tmp_path / "m")


def test_the_card_says_what_the_class_and_the_notes_say():
    card = Sized().fit({}).card()
    assert card.startswith("# Sized\n\nKeeps what it learned by itself.\n\n* a note\n\n## Limits\n\nLines only.\n")
    with pytest.raises(NotFitted, match="this Sized has not been fitted"):
        Sized().card()


def test_a_bundle_of_any_class_is_loaded_and_an_unknown_one_refused(tmp_path):
    assert type(load(MODEL.save(tmp_path / "line"))) is Line
    changed(**{"class": "Unheard"})(tmp_path / "line")
    with pytest.raises(BundleError, match="holds a 'Unheard' in format 1; this version reads models"):
        load(tmp_path / "line")
