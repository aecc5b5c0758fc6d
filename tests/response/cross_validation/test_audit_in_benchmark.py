"""What leaks stops a benchmark; what is one molecule stays on one side of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cellixir.data.response_data import ResponseData
from cellixir.data.splits import Fold, make_folds, split_groups, split_off
from cellixir.exceptions import ConfigurationError, Leakage
from cellixir.response.cross_validation.models import Options
from cellixir.response.cross_validation.option_checks import check_options
from cellixir.response.cross_validation.run import benchmark
from cellixir.response.network.predictor import ResponsePredictor

TWIN = ("D001", "D002")


@pytest.fixture(scope="module")
def plain(simulate_screen: Callable[..., Any]) -> ResponseData:
    return simulate_screen(n_samples=24, n_drugs=8, n_features=16, n_targets=4, seed=4)[0]


@pytest.fixture(scope="module")
def data(plain: ResponseData) -> ResponseData:
    """D002 is D001 under another id: the same name but for its case."""
    drugs = plain.drugs.copy()
    drugs.loc["D002", "name"] = str(drugs.loc["D001", "name"]).upper() + " (rescreen)"
    return replace(plain, drugs=drugs)


def parted(data: ResponseData, units: np.ndarray) -> list[Fold]:
    """Three folds of ``units``, whatever they keep together; a third is tested, a third stopped on."""
    part = units % 3
    sides = [(part == (k + 2) % 3, part == (k + 1) % 3, part == k) for k in range(3)]
    return [Fold(k, *(np.flatnonzero(side) for side in three)) for k, three in enumerate(sides)]


def run(data: ResponseData, folds: list[Fold], folder: Path, split: str, *allow: str) -> dict[str, object]:
    """The audit that a benchmark wrote."""
    benchmark(data, split, folder, models=["global_mean"], folds=folds, allow=allow)
    return dict(json.loads((folder / "audit.json").read_text(encoding="utf-8")))


def kinds(audit: dict[str, object], severity: str) -> list[str]:
    findings = audit["findings"]
    assert isinstance(findings, list)
    return [finding["kind"] for finding in findings if finding["severity"] == severity]


def test_a_salt_and_its_base_are_one_molecule_and_said(plain: ResponseData) -> None:
    base = "CC1=C(C=C(C=C1)NC(=O)C2=CC=C(C=C2)CN3CCN(CC3)C)NC4=NC=CC(=N4)C5=CN=CC=C5"
    smiles = pd.Series([f"{base}.CS(=O)(=O)O", base, None] + ["C" * n for n in range(1, 6)], plain.drugs.index)
    data = replace(plain, drugs=plain.drugs.assign(smiles=smiles))
    notes = check_options(data, [], "LDO", Options())
    first, second, third = plain.drugs.index[:3]
    assert f"1 molecule under several ids ('{first} = {second}'), by structure without salt" in notes[0]
    assert notes[1:] == [f"1 of 8 drugs have no SMILES: '{third}'"]
    for fold in make_folds(data, "LDO", n_folds=3):
        assert len({data.responses["drug"].iloc[fold.test].isin([name]).any() for name in (first, second)}) == 1


# --- stops -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("split", ["LDO", "LPO"])
def test_a_molecule_on_two_sides_stops_the_benchmark(data: ResponseData, split: str, tmp_path: Path) -> None:
    units = data.drug_index if split == "LDO" else data.drug_index + data.sample_index
    with pytest.raises(Leakage, match=r"'D001', 'D002'.*--allow same-molecule") as error:
        run(data, parted(data, units), tmp_path / "run", split)
    assert error.value.exit_code == 3
    assert not (tmp_path / "run").exists()


def test_what_is_allowed_by_name_passes_and_is_written(data: ResponseData, tmp_path: Path) -> None:
    folds, folder = parted(data, data.drug_index), tmp_path / "run"
    for wrong in ("same-molecule:D007", "replicate"):
        with pytest.raises(Leakage, match="D001"):
            run(data, folds, folder, "LDO", wrong)
    with pytest.raises(ConfigurationError, match="synonym"):
        run(data, folds, folder, "LDO", "synonym")
    audit = run(data, folds, folder, "LDO", "same-molecule:D002")
    assert audit["leaks"] == 1  # the file says what there is, not what was allowed
    assert kinds(audit, "leak") == ["same-molecule"]
    assert "D002" in (folder / "report.html").read_text()


def test_replicates_on_two_sides_stop_the_benchmark(plain: ResponseData, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    twice = pd.concat([plain.responses.assign(replicate=r) for r in (1, 2)], ignore_index=True)
    twice["response"] += rng.normal(0, 0.1, len(twice))
    data = replace(plain, responses=twice)
    with pytest.raises(Leakage, match="--allow replicate"):
        run(data, parted(data, np.arange(len(data))), tmp_path / "run", "LPO")
    audit = run(data, make_folds(data, "LPO", n_folds=2), tmp_path / "run", "LPO")
    assert kinds(audit, "leak") == []


def test_a_feature_that_is_the_response_stops_every_split(
    make_screen: Callable[..., ResponseData], tmp_path: Path
) -> None:
    data = make_screen(missing=0.0)
    view = data.views["mutations"].copy()
    view.X[:, 3] = data.responses.pivot(index="sample", columns="drug", values="response").loc[view.obs_names, "d05"]
    leaking = data.with_views({"mutations": view})
    with pytest.raises(Leakage, match=r"'GENE3' of 'mutations' is the response to drug 'd05'"):
        benchmark(leaking, "LCO", tmp_path / "run", models=["ridge"], n_folds=2)
    with pytest.raises(Leakage, match="GENE3"):
        ResponsePredictor("LCO").fit(leaking)


# --- does not stop -----------------------------------------------------------------------------------------------


def test_clean_folds_pass_and_say_what_was_looked_at(data: ResponseData, tmp_path: Path) -> None:
    audit = run(data, make_folds(data, "LDO", n_folds=2), tmp_path / "run", "LDO")
    assert audit["leaks"] == 0
    assert audit["checks"]["folds"] == 2  # type: ignore[index]
    assert audit["checks"]["measurements"] == len(data)  # type: ignore[index]


# --- what is dealt out -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("split", ["LDO", "LPO"])
def test_a_molecule_that_was_screened_twice_is_dealt_as_one(data: ResponseData, split: str, seed: int) -> None:
    units = data.responses["sample"] + " " + data.responses["drug"].replace(TWIN[1], TWIN[0])
    units = units if split == "LPO" else data.responses["drug"].replace(TWIN[1], TWIN[0])
    assert len(np.unique(split_groups(data, split))) == units.nunique()
    for fold in make_folds(data, split, n_folds=3, seed=seed):
        sides = [set(units.iloc[rows]) for rows in (fold.train, fold.validation, fold.test)]
        assert not sides[0] & sides[1]
        assert not (sides[0] | sides[1]) & sides[2]
        assert sum(map(len, (fold.train, fold.validation, fold.test))) == len(data)
    kept, stopped = split_off(data, split, seed=seed)
    assert not set(units.iloc[kept]) & set(units.iloc[stopped])


def test_samples_are_dealt_whatever_the_molecules(data: ResponseData, plain: ResponseData) -> None:
    for one, other in zip(make_folds(data, "LCO"), make_folds(plain, "LCO"), strict=True):
        np.testing.assert_array_equal(one.test, other.test)


def test_drugs_that_only_look_alike_stay_two(plain: ResponseData) -> None:
    """No two simulated drugs are one molecule, though they share rings, targets and pathways."""
    assert len(np.unique(plain.molecule_index)) == len(plain.drugs)
