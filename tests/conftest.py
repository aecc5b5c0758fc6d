"""Fixtures that several rooms share."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import settings

# Examples follow from the test's own code: what passes once passes again, and what fails can be run again.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")

T = TypeVar("T")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder with the published files; the test is skipped where it is not set."""
    folder = os.environ.get("CELLIXIR_DATA_DIR")
    if not folder or not Path(folder).is_dir():
        pytest.skip("set CELLIXIR_DATA_DIR to the folder with the published files")
    return Path(folder)


@pytest.fixture(scope="session")
def simulate_screen() -> Callable[..., Any]:
    """Simulated screens with one binary view, ``genomic``, and the expected response by sample and drug."""
    from cellixir.data.simulate import simulate_cohort

    def simulated(*, n_features: int = 120, n_drugs: int = 40, n_targets: int = 8, **asked: Any) -> tuple[Any, Any]:
        cohort = simulate_cohort(
            n_drugs=n_drugs,
            n_genes=n_features,
            n_mutations=n_features,
            n_targets=min(n_targets, n_drugs),
            untargeted=0.0,
            expression_effect=(0.0, 0.0),
            **asked,
        )
        data = cohort.response_data()
        return data.with_views({"genomic": data.views["mutations"]}).only_views(["genomic"]), cohort.expected.stack()

    return simulated


@pytest.fixture(scope="session")
def through_a_bundle() -> Callable[[T], T]:
    """A learned value as it comes back from a bundle."""
    from cellixir.estimator.values import packed, unpacked

    def reloaded(value: T) -> T:
        arrays: dict[str, Any] = {}
        facts = json.loads(json.dumps(packed(value, "value", arrays)))
        found: T = unpacked(facts, {name: array.copy() for name, array in arrays.items()})
        return found

    return reloaded


def few_draws(put: Callable[[object, str, Any], None]) -> None:
    """Few halves and trees in evaluations of synthetic data, few replicates of cells."""
    from cellixir.embedding import evaluation
    from cellixir.synthesis import scores

    put(scores, "HALVES", 3)
    put(scores, "c2st_interval", partial(scores.c2st_interval, n_trees=5, n=10))
    put(scores, "membership_interval", partial(scores.membership_interval, n=10))
    put(scores, "reference_attack", partial(scores.reference_attack, n=10))
    put(scores, "augmentation_gain", partial(scores.augmentation_gain, n_repeats=3))
    put(evaluation, "N_BOOTSTRAP", 50)


@pytest.fixture(scope="module")
def small_numbers() -> Iterator[None]:
    """`few_draws` for tests that are not about how wide intervals are."""
    with pytest.MonkeyPatch.context() as patch:
        few_draws(patch.setattr)
        yield


@pytest.fixture(scope="module", autouse=True)
def a_picture_of_each_kind(request: pytest.FixtureRequest) -> Iterator[None]:
    """Pages of a module draw each kind of figure once; ``PICTURES = True`` in a module that looks at them draws all."""
    from cellixir.report import page

    drawn: dict[object, object] = {}
    draw = page._svg

    def once(figure: Any, prefix: str, alt: str) -> Any:
        kind = (re.sub(r"[0-9.,−-]+", "", alt), len(figure.axes))
        if kind not in drawn:
            drawn[kind] = draw(figure, prefix, alt)
        return drawn[kind]

    with pytest.MonkeyPatch.context() as patch:
        if not getattr(request.module, "PICTURES", False):
            patch.setattr(page, "_svg", once)
        yield


@pytest.fixture(autouse=True)
def same_number_of_threads() -> Iterator[None]:
    """Put torch's threads back: scanpy's neighbours change them, and the last bits of later tests with them."""
    torch = sys.modules.get("torch")
    before = torch.get_num_threads() if torch else None
    yield
    torch = sys.modules.get("torch")
    if torch:
        torch.set_num_threads(before or int(os.environ.get("OMP_NUM_THREADS", torch.get_num_threads())))
