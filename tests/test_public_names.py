"""The names that users import, and nothing by accident."""

from __future__ import annotations

import inspect
import pkgutil
from importlib import import_module

import pytest

import cellixir

PUBLIC = {
    "cellixir": [
        "ConditionalVAEGenerator",
        "CopulaGenerator",
        "GANGenerator",
        "GaussianGenerator",
        "PCA",
        "ResponseData",
        "ResponsePredictor",
        "VAE",
        "VAEGenerator",
        "WGANGPGenerator",
        "__version__",
        "cross_validate",
        "embedding",
        "grid_search",
        "load",
        "load_gdsc_v17",
        "perturbation",
        "read_expression",
        "read_gctx",
        "read_gene_sets",
        "read_inputs",
        "read_manifest",
        "response",
        "simulate",
        "synthesis",
        "tables",
        "write_gctx",
    ],
    "cellixir.response": ["anova", "audit_response", "benchmark", "cross_study", "make_folds", "rank"],
    "cellixir.embedding": ["apply", "compare", "embed", "enrich"],
    "cellixir.synthesis": [
        "GENERATORS", "Generator", "benchmark", "evaluate", "load_generator", "make_generator",
    ],
    "cellixir.perturbation": [
        "Keys", "benchmark", "consensus", "effects_of", "evaluate", "fit", "query", "question_of",
    ],
    "cellixir.tables": ["audit_table", "benchmark"],
}  # fmt: skip
PACKAGES = sorted(m.name for m in pkgutil.walk_packages(cellixir.__path__, "cellixir.") if m.ispkg)


NAMES = [(package, name) for package, names in PUBLIC.items() for name in names]


@pytest.mark.parametrize("package", PUBLIC)
def test_a_package_has_exactly_these_names(package: str) -> None:
    module = import_module(package)
    assert sorted(module.__all__) == sorted(PUBLIC[package])
    assert dir(module) == sorted(PUBLIC[package])


@pytest.mark.parametrize(("package", "name"), NAMES)
def test_each_public_name_can_be_had_and_is_documented(package: str, name: str) -> None:
    found = getattr(import_module(package), name)
    if inspect.ismodule(found):
        assert found.__name__ == f"{package}.{name}"
    elif inspect.isclass(found) or inspect.isfunction(found):
        assert found.__name__ == name
        text = inspect.getdoc(found) or ""
        wanted = (
            {"Parameters", "Examples"} if inspect.isclass(found) else {"Parameters", "Returns", "Raises", "Examples"}
        )
        if inspect.isfunction(found) and not inspect.signature(found).parameters:
            wanted.discard("Parameters")
        assert {section for section in wanted if f"\n{section}\n---" not in text} == set()


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
