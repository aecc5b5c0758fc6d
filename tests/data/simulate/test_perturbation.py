"""Simulated treatments: what plates' own controls leave is what was planted, also where pairs do not add up."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from cellixir.data.omics import SCALES
from cellixir.data.simulate.perturbation import NO_DRUG, hill, simulate_perturbation
from cellixir.exceptions import ConfigurationError

SMALL = {"n_genes": 40, "n_drugs": 6, "n_pairs": 4, "n_modules": 5, "n_controls": 3, "n_replicates": 2}


@pytest.fixture(scope="module")
def screen() -> ad.AnnData:
    return simulate_perturbation(n_genes=240, n_pairs=18, noise_sd=0.2, n_replicates=4, seed=2)


def signatures(wells: ad.AnnData) -> pd.DataFrame:
    """Mean over replicates of each treatment less the controls of its plate, treatments x genes."""
    table, plate = wells.to_df().astype(float), wells.obs["plate"]
    control = wells.obs["is_control"]
    less = table - table[control].groupby(plate[control], observed=True).mean().loc[plate].to_numpy()
    keys = [wells.obs[c] for c in ("drug_1", "dose_1_um", "drug_2", "dose_2_um")]
    return less[~control].groupby([k[~control] for k in keys], observed=True).mean()


def slope(found: NDArray[np.float64], planted: NDArray[np.float64]) -> float:
    return float((found * planted).sum() / (planted**2).sum())


def test_signatures_give_the_planted_effects_back(screen: ad.AnnData) -> None:
    found = signatures(screen)
    highest = found.xs(10.0, level="dose_1_um").xs(NO_DRUG, level="drug_2").droplevel("dose_2_um")
    drugs = screen.uns["drugs"].loc[highest.index]
    reached = hill(np.full(len(drugs), 10.0), drugs["ec50_um"].to_numpy(), drugs["hill_slope"].to_numpy())
    planted = screen.varm["drug_effect"][highest.index].to_numpy().T * reached[:, None]
    assert len(highest) == 20
    assert slope(highest.to_numpy(), planted) == pytest.approx(1, abs=0.02)
    # Noise of four replicates less that of sixteen controls: 0.2 (1/4 + 1/16)^0.5 = 0.11.
    assert (highest.to_numpy() - planted).std() == pytest.approx(0.11, abs=0.02)


def test_without_their_controls_wells_of_other_plates_mislead(screen: ad.AnnData) -> None:
    """The shift of a plate is there, gene by gene, as exported, and the controls show it."""
    control = screen[screen.obs["is_control"]]
    means = control.to_df().astype(float).groupby(control.obs["plate"], observed=True).mean()
    shift = (means - means.iloc[0]).to_numpy()
    planted = screen.varm["log2_plate_shift"].T
    assert not planted[0].any()
    assert slope(shift[1:], planted[1:]) == pytest.approx(1, abs=0.05)
    assert planted[1:].std() == pytest.approx(0.4, rel=0.1)
    np.testing.assert_allclose(means.iloc[0], screen.var["mean"], atol=5 * 0.2 / 4)


def test_pairs_add_up_where_no_interaction_was_planted_and_only_there(screen: ad.AnnData) -> None:
    found, pairs = signatures(screen), screen.uns["pairs"]
    for row in pairs.itertuples():
        excess = (
            found.loc[row.drug_1, 10.0, row.drug_2, 10.0]
            - found.loc[row.drug_1, 10.0, NO_DRUG, 0.0]
            - found.loc[row.drug_2, 10.0, NO_DRUG, 0.0]
        )
        drugs = screen.uns["drugs"].loc[[row.drug_1, row.drug_2]]
        both = hill(np.full(2, 10.0), drugs["ec50_um"].to_numpy(), drugs["hill_slope"].to_numpy()).prod()
        module = (screen.var["module"] == row.module).to_numpy()
        # 20 genes of a module: the standard error of their mean excess is about 0.2 (3/4 + 1/16)^0.5 / 20^0.5 = 0.04.
        assert abs(excess[~module].mean()) < 0.05
        if row.interaction == "none":
            assert row.module == "none"
            assert abs(excess).mean() < 0.25
        else:
            expected = row.change * both * screen.var["loading"][module].mean()
            assert excess[module].mean() == pytest.approx(expected, abs=0.2)
            assert abs(excess[module].mean()) > 0.3
    assert pairs["interaction"].value_counts().to_dict() == {"none": 6, "synergistic": 6, "antagonistic": 6}


def test_an_interaction_grows_with_both_doses() -> None:
    """Without noise, at each of the four dose pairs, the excess over the sum is the planted one times both shares."""
    wells = simulate_perturbation(n_genes=60, noise_sd=0.0, plate_sd=0.0, pair_doses_um=(0.12, 10.0))
    wells.X = wells.layers["log2_fold_change"].copy()
    found, drugs = signatures(wells), wells.uns["drugs"]
    for row in wells.uns["pairs"].itertuples():
        planted = wells.varm["interaction"][row.Index].to_numpy()
        in_module = (wells.var["module"] == row.module).to_numpy()
        np.testing.assert_allclose(planted, row.change * in_module * wells.var["loading"])
        for a, b in [(0.12, 0.12), (0.12, 10.0), (10.0, 0.12), (10.0, 10.0)]:
            first, second = found.loc[row.drug_1, a, NO_DRUG, 0.0], found.loc[row.drug_2, b, NO_DRUG, 0.0]
            excess = found.loc[row.drug_1, a, row.drug_2, b] - first - second
            pair = drugs.loc[[row.drug_1, row.drug_2]]
            both = hill(np.array([a, b]), pair["ec50_um"].to_numpy(), pair["hill_slope"].to_numpy()).prod()
            np.testing.assert_allclose(excess, planted * both, atol=1e-5)


def test_synergy_goes_further_and_antagonism_back(screen: ad.AnnData) -> None:
    drugs, pairs = screen.uns["drugs"], screen.uns["pairs"]
    for row in pairs[pairs["interaction"] != "none"].itertuples():
        together = float(drugs.loc[row.drug_1, row.module] + drugs.loc[row.drug_2, row.module])
        assert (row.interaction == "synergistic") == (np.sign(together) == np.sign(row.change))
        assert abs(row.change) == 1.0


def test_doses_follow_the_hill_curve() -> None:
    wells = simulate_perturbation(n_genes=60, n_drugs=4, n_pairs=0, n_modules=3, noise_sd=0.0, plate_sd=0.0)
    found = signatures(wells)
    for drug in wells.uns["drugs"].itertuples():
        full = wells.varm["drug_effect"][drug.Index].to_numpy()
        curve = found.loc[drug.Index].droplevel(["drug_2", "dose_2_um"])
        dose = curve.index.to_numpy()
        share = [slope(row, full) for row in curve.to_numpy()]
        by_hand = [d**drug.hill_slope / (d**drug.hill_slope + drug.ec50_um**drug.hill_slope) for d in dose]
        np.testing.assert_allclose(share, by_hand, atol=1e-3)
        assert np.all(np.diff(share) > 0)


@given(st.floats(1e-3, 1e3), st.floats(1e-3, 1e3), st.floats(0.2, 8.0))
@settings(max_examples=40, deadline=None)
def test_hill_is_one_half_at_the_ec50_and_mirrored_around_it(dose: float, ec50: float, steepness: float) -> None:
    half, at = hill(np.array([ec50, dose]), np.array(ec50), np.array(steepness))
    assert half == pytest.approx(0.5)
    mirrored = hill(np.array(ec50**2 / dose), np.array(ec50), np.array(steepness))
    assert at + mirrored == pytest.approx(1)


def test_hill_bears_no_drug_and_the_steepest_curve() -> None:
    assert hill(np.array([0.0, 1e9]), np.array(1e-9), np.array(500.0)).tolist() == [0.0, 1.0]


def test_the_layer_is_the_noiseless_change_of_each_well() -> None:
    wells = simulate_perturbation(**SMALL, noise_sd=0.0)
    control = wells.obs["is_control"].to_numpy()
    assert not wells.layers["log2_fold_change"][control].any()
    expected = wells.layers["log2_fold_change"] + wells.var["mean"].to_numpy()
    expected += wells.varm["log2_plate_shift"].T[wells.obs["plate"].cat.codes]
    np.testing.assert_allclose(wells.X, np.maximum(expected, 0), atol=1e-4)


def test_every_treatment_has_its_wells_and_every_plate_its_controls(screen: ad.AnnData) -> None:
    obs = screen.obs
    treated = obs[~obs["is_control"]]
    keys = ["drug_1", "dose_1_um", "drug_2", "dose_2_um"]
    groups = treated.groupby(keys, observed=True)
    assert len(groups) == 20 * 6 + 18 * 4
    assert groups["replicate"].apply(lambda r: sorted(r) == [1, 2, 3, 4]).all()
    assert groups["plate"].nunique().eq(4).all()
    assert obs.groupby("plate", observed=True)["is_control"].sum().eq(16).all()
    single = obs["drug_2"] == NO_DRUG
    assert (obs["perturbation"].astype(str) == "DMSO").equals(obs["is_control"])
    pair = obs[~single].iloc[0]
    assert pair["perturbation"] == f"{pair['drug_1']}+{pair['drug_2']}"
    assert pair["dose"] == f"{pair['dose_1_um']}+{pair['dose_2_um']}"
    assert (obs.loc[single, "dose_2_um"] == 0).all()
    assert set(obs.loc[~single, "dose_1_um"]) == {1.1, 10.0}
    assert (obs.loc[obs["is_control"], ["dose_1_um", "dose_2_um"]] == 0).all(axis=None)
    assert ((obs["drug_1"] == NO_DRUG) == obs["is_control"]).all()


def test_values_are_log2_expression(screen: ad.AnnData) -> None:
    assert screen.uns["scale"] in SCALES
    assert screen.X.dtype == np.float32
    assert screen.X.min() >= 0
    assert (screen.X == 0).mean() < 1e-3
    # The genes are part of a transcriptome of a million transcripts.
    assert np.exp2(screen.X.astype(float)).sum(axis=1).max() < 1e6


def test_the_truth_survives_h5ad(tmp_path: Path) -> None:
    for n_pairs in (4, 0):
        wells = simulate_perturbation(**SMALL | {"n_pairs": n_pairs})
        wells.write_h5ad(tmp_path / "wells.h5ad")
        again = ad.read_h5ad(tmp_path / "wells.h5ad")
        assert again.uns["truth"]["kind"] == "perturbation"
        assert again.uns["truth"]["doses_um"].tolist() == [0.04, 0.12, 0.37, 1.1, 3.3, 10.0]
        for table in ("drugs", "pairs"):
            pd.testing.assert_frame_equal(again.uns[table], wells.uns[table])
        pd.testing.assert_frame_equal(again.obs, wells.obs)
        pd.testing.assert_frame_equal(again.var, wells.var)
        pd.testing.assert_frame_equal(again.varm["drug_effect"], wells.varm["drug_effect"])
        assert again.varm["interaction"].shape == (40, n_pairs)
        np.testing.assert_array_equal(again.layers["log2_fold_change"], wells.layers["log2_fold_change"])


def test_equal_seeds_give_equal_bytes() -> None:
    first, again, other = (simulate_perturbation(**SMALL, seed=seed) for seed in (1, 1, 2))
    assert first.X.tobytes() == again.X.tobytes() != other.X.tobytes()
    pd.testing.assert_frame_equal(first.uns["pairs"], again.uns["pairs"])
    assert not first.uns["drugs"].equals(other.uns["drugs"])


def test_one_of_each_is_enough() -> None:
    wells = simulate_perturbation(
        n_genes=1, n_drugs=1, n_pairs=0, n_modules=1, modules_per_drug=1, doses_um=(1.0,), pair_doses_um=(1.0,),
        n_plates=1, n_controls=1, n_replicates=1,
    )  # fmt: skip
    assert wells.shape == (2, 1)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"n_genes": 0}, "n_genes=0; give a whole number of 1 or more"),
        ({"n_pairs": 191}, "n_pairs=191; 20 drugs make at most 190"),
        ({"n_modules": 979}, "n_modules=979; 978 genes"),
        ({"modules_per_drug": 13}, "modules_per_drug=13; there are n_modules=12"),
        ({"doses_um": (0.0, 1.0)}, "doses_um=(0.0, 1.0); give doses above 0"),
        ({"doses_um": ()}, "doses_um=()"),
        ({"doses_um": 5.0}, "doses_um=5.0; give doses above 0, each once"),
        ({"doses_um": ("high",)}, "doses_um=('high',)"),
        ({"pair_doses_um": (5.0,)}, "pair_doses_um=(5.0,); give some of doses_um="),
        ({"pair_doses_um": (10.0, 10.0)}, "each once"),
        ({"ec50_um": (0.0, 1.0)}, "ec50_um=(0.0, 1.0); give the least and the greatest value, above 0"),
        ({"hill_slope": (2.0,)}, "hill_slope=(2.0,)"),
        ({"effect": (2.0, 1.0)}, "effect=(2.0, 1.0)"),
        ({"interacting": 1.5}, "interacting=1.5; give a share of the pairs from 0 to 1"),
        ({"noise_sd": float("nan")}, "noise_sd=nan"),
        ({"n_controls": 0}, "n_controls=0"),
        ({"seed": -1}, "seed=-1"),
    ],
)
def test_impossible_requests_are_refused(arguments: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigurationError, match="a perturbation screen cannot be simulated with") as caught:
        simulate_perturbation(**arguments)  # type: ignore[arg-type]
    assert said in str(caught.value)
