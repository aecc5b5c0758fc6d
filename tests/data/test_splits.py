"""Splits: no unit on two sides, whatever the data look like."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from cellixir.data.response_data import ResponseData
from cellixir.data.splits import PARTS, Fold, folds_table, make_folds, read_folds, split_groups, split_off
from cellixir.exceptions import ConfigurationError, DataError

KINDS = ("LPO", "LCO", "LDO", "LTO")


def make_data(n_samples: int = 12, n_drugs: int = 8, n_tissues: int = 6, n_replicates: int = 1) -> ResponseData:
    samples = pd.DataFrame(
        {"tissue": [f"t{i % n_tissues}" for i in range(n_samples)]}, index=[f"s{i}" for i in range(n_samples)]
    )
    drugs = pd.DataFrame(index=[f"d{j}" for j in range(n_drugs)])
    rows = [(s, d, r, 0.0) for r in range(n_replicates) for s in samples.index for d in drugs.index]
    responses = pd.DataFrame(rows, columns=["sample", "drug", "replicate", "response"])
    return ResponseData(responses, None, samples, drugs)


@st.composite
def holey_data(draw: st.DrawFn) -> ResponseData:
    """Any table: pairs missing, pairs measured twice, rows in any order."""
    data = make_data(
        draw(st.integers(6, 12)), draw(st.integers(5, 8)), draw(st.integers(5, 6)), draw(st.integers(1, 2))
    )
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    rows = rng.permutation(len(data))[: draw(st.integers(12, len(data)))]
    return data.take(rows)


def units_of(data: ResponseData, kind: str) -> np.ndarray:
    """What the split leaves out, in words, worked out without the code under test."""
    table = data.responses.assign(tissue=data.samples["tissue"].reindex(data.responses["sample"]).to_numpy())
    columns = {"LPO": ["sample", "drug"], "LCO": ["sample"], "LDO": ["drug"], "LTO": ["tissue"]}[kind]
    return table[columns].agg("|".join, axis=1).to_numpy(str)


def parts(fold: Fold) -> dict[str, np.ndarray]:
    return {name: getattr(fold, name) for name in PARTS}


def same(one: list[Fold], other: list[Fold]) -> bool:
    return len(one) == len(other) and all(
        np.array_equal(getattr(a, name), getattr(b, name)) for a, b in zip(one, other, strict=True) for name in PARTS
    )


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None, max_examples=40)
@given(data=holey_data(), n_folds=st.integers(2, 5), seed=st.integers(0, 2**31), fraction=st.floats(0.01, 0.9))
def test_no_unit_stands_on_two_sides(kind, data, n_folds, seed, fraction):
    units = units_of(data, kind)
    n_folds = min(n_folds, len(set(units)) - 2)
    assume(n_folds >= 2)
    folds = make_folds(data, kind, n_folds=n_folds, seed=seed, validation_fraction=fraction)
    assert [fold.number for fold in folds] == list(range(n_folds))
    for fold in folds:
        inside = {name: set(units[rows]) for name, rows in parts(fold).items()}
        assert all(inside.values())
        assert not inside["train"] & inside["test"]
        assert not inside["train"] & inside["validation"]
        assert not inside["validation"] & inside["test"]
        everything = np.concatenate([fold.train, fold.validation, fold.test])
        np.testing.assert_array_equal(np.sort(everything), np.arange(len(data)))
    tests = np.concatenate([fold.test for fold in folds])
    np.testing.assert_array_equal(np.sort(tests), np.arange(len(data)))
    n_units = [len(set(units[fold.test])) for fold in folds]
    assert max(n_units) - min(n_units) <= 1


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None, max_examples=20)
@given(data=holey_data(), seed=st.integers(0, 2**31))
def test_replicates_of_a_pair_stay_together(kind, data, seed):
    assume(len(set(units_of(data, kind))) >= 4)
    pairs = units_of(data, "LPO")
    for fold in make_folds(data, kind, n_folds=2, seed=seed):
        homes = pd.DataFrame({"pair": pairs, "part": ""})
        for name, rows in parts(fold).items():
            homes.loc[rows, "part"] = name
        assert (homes.groupby("pair")["part"].nunique() == 1).all()


@pytest.mark.parametrize("kind", KINDS)
def test_validation_is_the_asked_share_of_the_outer_units(kind):
    data = make_data(n_samples=60, n_drugs=30, n_tissues=30)
    units = units_of(data, kind)
    for fold in make_folds(data, kind, n_folds=3, seed=1, validation_fraction=0.2):
        n_train, n_validation = (len(set(units[rows])) for rows in (fold.train, fold.validation))
        assert n_validation == pytest.approx(0.2 * (n_train + n_validation), abs=0.5)


@pytest.mark.parametrize("kind", KINDS)
def test_seed_decides(kind):
    data = make_data(n_samples=24, n_drugs=20, n_tissues=20)
    first = make_folds(data, kind, seed=3)
    assert same(first, make_folds(data, kind, seed=3))
    others = [make_folds(data, kind, seed=seed) for seed in (4, 5)]
    assert not any(np.array_equal(first[0].test, other[0].test) for other in others)
    assert not any(np.array_equal(first[0].validation, other[0].validation) for other in others)


def test_splitting_leaves_the_global_generator_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    make_folds(make_data(), "LPO", seed=1)
    split_off(make_data(), "LCO", seed=1)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


@pytest.mark.parametrize(
    "kind",
    [
        "LPO",
        "LCO",
        "LDO",
        "LTO",
    ],
)
def test_folds_do_not_hang_on_the_order_of_the_rows(kind):
    data = make_data()
    turned = data.take(np.arange(len(data))[::-1])
    for one, other in zip(make_folds(data, kind, seed=2), make_folds(turned, kind, seed=2), strict=True):
        for name in PARTS:
            assert set(units_of(data, "LPO")[parts(one)[name]]) == set(units_of(turned, "LPO")[parts(other)[name]])


def test_groups_are_the_units():
    data = make_data(n_replicates=2)
    for kind in KINDS:
        table = pd.DataFrame({"code": split_groups(data, kind), "unit": units_of(data, kind)})
        assert (table.groupby("code")["unit"].nunique() == 1).all()
        assert (table.groupby("unit")["code"].nunique() == 1).all()


# --- split_off ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None, max_examples=25)
@given(data=holey_data(), seed=st.integers(0, 2**31), fraction=st.floats(0.01, 0.99))
def test_split_off_parts_the_units(kind, data, seed, fraction):
    units = units_of(data, kind)
    assume(len(set(units)) >= 2)
    train, held = split_off(data, kind, fraction=fraction, seed=seed)
    assert not set(units[train]) & set(units[held])
    np.testing.assert_array_equal(np.sort(np.concatenate([train, held])), np.arange(len(data)))
    assert len(train)
    assert len(held)
    again = split_off(data, kind, fraction=fraction, seed=seed)
    np.testing.assert_array_equal(train, again[0])


def test_split_off_with_another_seed_is_another_one():
    data = make_data()
    assert len({tuple(split_off(data, "LPO", seed=seed)[1]) for seed in range(5)}) == 5


# --- what cannot be split ----------------------------------------------------------------------------------------


def test_unknown_split_is_refused():
    for call in (split_groups, make_folds, split_off):
        with pytest.raises(ConfigurationError, match="no split 'LXO'"):
            call(make_data(), "LXO")


def test_lto_without_tissue_is_refused():
    data = replace(make_data(), samples=make_data().samples[[]])
    with pytest.raises(ConfigurationError, match="LTO needs a 'tissue' column"):
        make_folds(data, "LTO")
    assert len(make_folds(data, "LCO")) == 5


def test_more_folds_than_units_are_refused():
    assert len(make_folds(make_data(n_tissues=6), "LTO", n_folds=6)) == 6
    with pytest.raises(ConfigurationError, match=r"LTO with 7 folds cannot be made of 6 units"):
        make_folds(make_data(n_tissues=6), "LTO", n_folds=7)
    with pytest.raises(ConfigurationError, match="at least 2 folds"):
        make_folds(make_data(), "LPO", n_folds=1)


def test_every_fold_that_is_made_has_all_three_parts():
    data = make_data(n_tissues=3)
    try:
        folds = make_folds(data, "LTO", n_folds=2)
    except ConfigurationError:
        return  # refusing is as good
    assert all(len(rows) for fold in folds for rows in parts(fold).values())


# --- files -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None, max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=holey_data(), seed=st.integers(0, 100))
def test_folds_survive_a_file(tmp_path, kind, data, seed):
    assume(len(set(units_of(data, kind))) >= 5)
    folds = make_folds(data, kind, n_folds=3, seed=seed)
    path = tmp_path / "folds.csv.gz"
    folds_table(data, folds).to_csv(path, index=False)
    assert path.read_bytes()[:2] == b"\x1f\x8b"
    assert same(read_folds(path, data, kind), folds)


def test_table_says_the_part_of_each_row():
    data = make_data(n_samples=6, n_replicates=2)
    folds = make_folds(data, "LCO", n_folds=2)
    table = folds_table(data, folds)
    assert table.columns.tolist() == ["sample", "drug", "replicate", "fold_0", "fold_1"]
    assert set(table.loc[folds[1].validation, "fold_1"]) == {"validation"}
    assert table["fold_0"].eq("test").sum() == len(folds[0].test)


def written(tmp_path: Path, data: ResponseData) -> Path:
    path = tmp_path / "folds.csv"
    folds_table(data, make_folds(data, "LPO", n_folds=2)).to_csv(path, index=False)
    return path


def test_split_of_other_data_is_refused(tmp_path):
    data = make_data()
    path = written(tmp_path, data)
    for other in (data.take(np.arange(len(data) - 1)), data.take(np.roll(np.arange(len(data)), 1))):
        with pytest.raises(DataError, match=r"folds\.csv: this split was written for other data"):
            read_folds(path, other, "LPO")
    other_drug = data.responses.replace({"drug": {"d0": "d1", "d1": "d0"}})
    with pytest.raises(DataError, match="other data"):
        read_folds(path, replace(data, responses=other_drug), "LPO")


def test_a_part_that_there_is_not_is_refused_with_its_row(tmp_path):
    data = make_data()
    path = written(tmp_path, data)
    lines = path.read_text().splitlines()
    lines[4] = lines[4].rsplit(",", 1)[0] + ",holdout"
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(DataError, match=r"row 5: 'holdout' is not a part; write one of train, validation, test"):
        read_folds(path, data, "LPO")


def test_a_file_that_is_no_split_is_refused(tmp_path):
    path = tmp_path / "responses.csv"
    make_data().responses.to_csv(path, index=False)
    with pytest.raises(DataError, match="a split file has the columns"):
        read_folds(path, make_data(), "LPO")


def test_a_column_that_is_no_fold_number_is_refused(tmp_path):
    data = make_data()
    path = tmp_path / "folds.csv"
    folds_table(data, []).assign(fold_notes="train").to_csv(path, index=False)
    with pytest.raises(DataError, match="a split file has the columns"):
        read_folds(path, data, "LPO")


def test_folds_of_another_split_leak_and_are_refused(tmp_path):
    data = make_data()
    with pytest.raises(DataError, match=r"fold 0 has units of LCO on two sides"):
        read_folds(written(tmp_path, data), data, "LCO")


def test_a_file_without_one_of_its_folds_is_refused(tmp_path):
    data = make_data()
    path = written(tmp_path, data)
    table = pd.read_csv(path)
    table.drop(columns="fold_1").to_csv(path, index=False)
    with pytest.raises(DataError, match="rows are not tested exactly once"):
        read_folds(path, data, "LPO")
