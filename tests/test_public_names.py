"""The names that users import, and nothing by accident."""

from __future__ import annotations

import pkgutil
from importlib import import_module

import pytest

import cellixir

PUBLIC = [
    "VAE",
    "ResponseData",
    "ResponsePredictor",
    "__version__",
    "anova",
    "audit_table",
    "benchmark_table",
    "cross_study",
    "load",
    "load_gdsc_v17",
    "run_benchmark",
]
PACKAGES = sorted(m.name for m in pkgutil.walk_packages(cellixir.__path__, "cellixir.") if m.ispkg)


def test_the_root_has_exactly_these_names() -> None:
    assert sorted(cellixir.__all__) == sorted(PUBLIC)
    assert dir(cellixir) == sorted(PUBLIC)


@pytest.mark.parametrize("name", PUBLIC)
def test_each_root_name_can_be_had(name: str) -> None:
    found = getattr(cellixir, name)
    assert name == "__version__" or found.__name__ == name


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'ResponseDate'"):
        cellixir.ResponseDate  # noqa: B018


def test_the_rooms_are_found() -> None:
    assert {"cellixir.data", "cellixir.metrics", "cellixir.response"} <= set(PACKAGES)


@pytest.mark.parametrize("package", PACKAGES)
def test_every_name_a_package_offers_exists_once(package: str) -> None:
    module = import_module(package)
    offered = list(getattr(module, "__all__", []))
    assert [name for name in offered if not hasattr(module, name)] == []
    assert len(set(offered)) == len(offered)
