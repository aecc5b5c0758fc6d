"""From wells to effects: what was done to a well, and what it changed, in numbers worked out by hand."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from cellixir.exceptions import CellixirError, ConfigurationError, InvalidValues
from cellixir.perturbation import Keys, consensus, effects_of
from cellixir.perturbation.controls import checked_profiles
from cellixir.perturbation.wells import conditions_of, described, parts_of

KEYS = Keys("drug", ("DMSO",), plate="plate", dose="dose")


def wells(rows: list[tuple[str, str, str, list[float]]], shift: float = 0.5) -> ad.AnnData:
    """Wells of drug, plate, dose and values."""
    drug, plate, dose, x = zip(*rows, strict=True)
    obs = pd.DataFrame({"drug": drug, "plate": plate, "dose": dose}, index=[f"w{k + 1}" for k in range(len(rows))])
    return ad.AnnData(np.array(x, dtype=np.float32) + shift, obs, pd.DataFrame(index=["g1", "g2"]))


PLATES = [
    ("DMSO", "p1", "", [8.0, 4.0]),
    ("DMSO", "p1", "", [10.0, 6.0]),
    ("A", "p1", "1", [12.0, 5.0]),
    ("DMSO", "p2", "", [6.0, 6.0]),
    ("A", "p2", "1", [7.0, 8.0]),
    ("B", "p3", "1", [9.0, 9.0]),
]


def test_a_well_is_set_against_the_controls_of_its_plate_and_a_control_against_the_others() -> None:
    effects = effects_of(wells(PLATES), KEYS)
    found = pd.DataFrame(effects.X, index=effects.obs_names)
    # w4 is the only control of its plate, and plate 3 has none
    assert effects.obs_names.tolist() == ["w1", "w2", "w3", "w5"]
    assert found.loc["w1"].tolist() == [-2, -2]
    assert found.loc["w2"].tolist() == [2, 2]
    assert found.loc["w3"].tolist() == [3, 0]
    assert found.loc["w5"].tolist() == [1, 2]
    assert effects["w3"].layers["control"].tolist() == [[9.5, 5.5]]
    notes = " ".join(effects.uns["notes"])
    assert "1 well are left out" in notes
    assert "'p3'" in notes
    assert consensus(effects).X.tolist() == [[2, 1]]


def test_counts_are_summed_by_condition_and_plate() -> None:
    counts = wells([("DMSO", "p", "", [30.0, 10.0]), ("DMSO", "p", "", [10.0, 50.0]), ("A", "p", "1", [75.0, 25.0])], 0)
    effects = effects_of(counts, KEYS)
    expected = np.log1p([7.5e5, 2.5e5]) - np.log1p([4e5, 6e5])
    np.testing.assert_allclose(np.asarray(effects.X), [expected], rtol=1e-5)
    assert effects.uns["values"] == "counts"


def test_modz_weighs_replicates_by_their_agreement() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4, 30)).astype(np.float32)
    x[1] = x[0] + 0.3 * x[1]
    obs = pd.DataFrame({"drug": ["A"] * 4, "dose": ["1"] * 4}, index=list("abcd"))
    effects = effects_of(ad.AnnData(x, obs), Keys("drug", dose="dose"))
    agreement = spearmanr(x, axis=1).statistic
    np.fill_diagonal(agreement, 0)
    weight = np.maximum(agreement.sum(axis=1) / 3, 0.01)
    expected = weight @ x / weight.sum()
    np.testing.assert_allclose(consensus(effects, method="modz").X[0], expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(consensus(effects).X[0], x.mean(axis=0), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("drug", "dose", "expected"),
    [
        ("A", "10", (10, np.nan)),
        ("A", "500 nM", (0.5, np.nan)),
        ("A", "10 µM", (10, np.nan)),
        ("A", "1e-3 mM", (1, np.nan)),
        ("A", "-666", (np.nan, np.nan)),
        ("A+B", "1.1+10", (1.1, 10)),
        ("B + A", "1.1+10", (10, 1.1)),  # A comes first, with its dose
        ("B+A", "5", (5, 5)),
    ],
)
def test_doses_are_brought_to_micromolar(drug: str, dose: str, expected: tuple[float, float]) -> None:
    found = described(pd.DataFrame({"drug": [drug], "dose": [dose]}), Keys("drug", dose="dose"), [])
    assert found["perturbation"].iloc[0] == "+".join(sorted(parts_of(drug)))
    np.testing.assert_allclose(found[["dose_1", "dose_2"]].to_numpy()[0], expected)


def test_a_column_of_units_beside_the_doses_counts() -> None:
    obs = pd.DataFrame({"drug": ["A", "A"], "dose": [100, 1], "dose_unit": ["nM", "um"], "time": [30, 6]})
    obs["time_unit"] = ["min", "h"]
    notes: list[str] = []
    found = described(obs, Keys("drug", dose="dose", time="time"), notes)
    assert found["dose_1"].tolist() == [0.1, 1]
    assert found["time"].tolist() == [0.5, 6]
    assert "brought to µM" in notes[0]


def test_pairs_in_either_order_are_one_condition_and_doses_and_times_are_not_pooled() -> None:
    obs = pd.DataFrame(
        {
            "drug": ["A+B", "B+A", "A+B", "A+B", "(+)-JQ1"],
            "dose": ["1+10", "10+1", "10+1", "1+10", "1"],
            "time": ["6 h", "6", "6 h", "24 h", "6 h"],
        }
    )
    found = described(obs, Keys("drug", dose="dose", time="time"), [])
    assert conditions_of(found).tolist() == [0, 0, 1, 2, 3]
    assert found["perturbation"].iloc[4] == "(+)-JQ1"


def test_few_times_that_cannot_be_read_are_unknown_and_many_are_refused() -> None:
    obs = pd.DataFrame({"drug": ["A"] * 40, "time": ["6 h & 4 h", *["6 h"] * 39]}, index=[f"w{k}" for k in range(40)])
    notes: list[str] = []
    found = described(obs, Keys("drug", time="time"), notes)
    assert np.isnan(found["time"].iloc[0])
    assert "'6 h & 4 h'" in notes[0]
    with pytest.raises(InvalidValues, match="the time '6 h & 4 h' of well 'w0'"):
        described(obs[:4], Keys("drug", time="time"), [])


def test_a_plate_may_be_several_columns_and_a_dose_that_is_not_named_is_pooled() -> None:
    cells = wells(PLATES)
    cells.obs["donor"] = ["x", "y", "x", "y", "y", "y"]
    both = described(cells.obs, Keys("drug", ("DMSO",), plate="plate,donor"), [])
    assert both["plate"].tolist() == ["p1, x", "p1, y", "p1, x", "p2, y", "p2, y", "p3, y"]
    effects = effects_of(cells, Keys("drug", ("DMSO",), plate="plate, donor"), values="log2")
    assert effects["w3"].X.tolist() == [[4, 1]]  # against w1 alone
    with pytest.raises(ConfigurationError, match="--plate-key patient: there is no such column"):
        effects_of(cells, Keys("drug", ("DMSO",), plate="plate,patient"), values="log2")
    cells.obs["dose"] = ["", "", "1", "", "10", "1"]
    assert consensus(effects_of(cells, Keys("drug", ("DMSO",), plate="plate"), values="log2")).n_obs == 1
    assert consensus(effects_of(cells, KEYS, values="log2")).n_obs == 2


BAD = {
    "there is no such column; the data have": (PLATES, Keys("compound", ("DMSO",))),
    "no well of 'drug' is 'water'": (PLATES, Keys("drug", ("water",))),
    "names 3 drugs": ([("A+B+C", "p1", "", [1.0, 2.0]), *PLATES], KEYS),
    "has 3 doses": ([("A+B", "p1", "1+2+3", [1.0, 2.0]), *PLATES], KEYS),
    "the dose 'high' of well 'w1'": ([("A", "p1", "high", [1.0, 2.0]), *PLATES], KEYS),
    "a dose cannot be negative": ([("A", "p1", "-1", [1.0, 2.0]), *PLATES], KEYS),
    "several units \\('mg/l', 'um'\\)": ([("A", "p1", "1 mg/l", [1.0, 2.0]), *PLATES], KEYS),
    "gene 'g2' in cell 'w1' is nan": ([("A", "p1", "1", [1.0, np.nan]), *PLATES], KEYS),
    "no treated well has a control": ([("DMSO", "p1", "", [1.0, 2.0]), ("A", "p2", "", [2.0, 3.0])], KEYS),
    "no perturbation in 'drug' of 1 well \\('w1'\\)": ([("", "p1", "1", [1.0, 2.0]), *PLATES], KEYS),
}


@pytest.mark.parametrize("message", BAD)
def test_wells_that_cannot_be_used_are_refused_by_name(message: str) -> None:
    rows, keys = BAD[message]
    with pytest.raises(CellixirError, match=message):
        effects_of(wells(rows), keys, values="log2")


def test_values_that_are_something_else_are_refused() -> None:
    rng = np.random.default_rng(0)
    obs = pd.DataFrame({"drug": ["DMSO"] * 5 + ["A"] * 5}, index=[f"w{k}" for k in range(10)])
    keys = Keys("drug", ("DMSO",))
    z = ad.AnnData(rng.normal(size=(10, 40)).astype(np.float32), obs)
    counts = ad.AnnData(rng.poisson(200, size=(10, 40)).astype(np.float32), obs)
    log2 = ad.AnnData(rng.uniform(3.1, 14.2, size=(10, 40)).astype(np.float32), obs)
    with pytest.raises(InvalidValues, match="look like z-scores or differences"):
        effects_of(z, keys)
    with pytest.raises(InvalidValues, match="as no log2 expression does"):
        effects_of(counts, keys, values="log2")
    with pytest.raises(InvalidValues, match="are no counts"):
        effects_of(log2, keys, values="counts")
    with pytest.raises(ConfigurationError, match="needs controls"):
        effects_of(log2, Keys("drug"), values="log2")
    assert effects_of(z, Keys("drug", ("DMSO",)), values="delta").n_obs == 5
    with pytest.raises(InvalidValues, match="look like z-scores"):
        checked_profiles(z, "log2")
    with pytest.raises(InvalidValues, match="are none"):
        checked_profiles(log2, "counts")
