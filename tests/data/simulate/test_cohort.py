"""A simulated drug screen: what was planted is what simple statistics find, and what the commands can read."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from rdkit import Chem
from scipy import stats

from cellixir.data.drugs import read_drugs
from cellixir.data.omics import guess_scale, read_view
from cellixir.data.responses import read_responses
from cellixir.data.simulate.cohort import MEAN, Cohort, simulate_cohort
from cellixir.data.simulate.compounds import SCAFFOLDS, compounds
from cellixir.data.tables import read_table
from cellixir.exceptions import ConfigurationError, WriteError

SMALL = {"n_samples": 40, "n_drugs": 12, "n_genes": 60, "n_mutations": 30, "n_targets": 3, "n_tissues": 3}


@pytest.fixture(scope="module")
def large() -> Cohort:
    return simulate_cohort(n_samples=1200, n_drugs=12, n_genes=120, n_mutations=60, n_targets=4, missing=0.1, seed=3)


def features(cohort: Cohort) -> pd.DataFrame:
    return cohort.expression.to_df().join(cohort.mutations.to_df()).astype(float)


def of_drug(cohort: Cohort, drug: str) -> pd.Series:
    rows = cohort.responses[cohort.responses["drug"] == drug]
    return rows.set_index("sample")["ln_ic50"]


def within_tissue(values: pd.DataFrame | pd.Series, tissue: pd.Series) -> pd.DataFrame | pd.Series:
    return values - values.groupby(tissue).transform("mean")


def test_planted_biomarkers_lead_a_test_of_one_feature_at_a_time(large: Cohort) -> None:
    """By correlation within tissues with the response to a drug, its four features come before the 176 others."""
    table = features(large)
    for drug, planted in large.biomarkers.groupby("drug"):
        response = of_drug(large, str(drug))
        tissue = large.samples["tissue"].loc[response.index]
        correlation = within_tissue(table.loc[response.index], tissue).corrwith(within_tissue(response, tissue))
        ranked = correlation.abs().sort_values(ascending=False).index
        assert set(ranked[:4]) == set(planted["feature"])
        assert np.array_equal(np.sign(correlation[planted["feature"]]), np.sign(planted["effect"]))


def test_carriers_differ_by_welch_in_the_planted_direction(large: Cohort) -> None:
    mutations = large.mutations.to_df().astype(bool)
    tested = 0
    for row in large.biomarkers.query("kind == 'mutation'").itertuples():
        response = of_drug(large, str(row.drug))
        carrier = mutations.loc[response.index, str(row.feature)].to_numpy()
        result = stats.ttest_ind(response[carrier], response[~carrier], equal_var=False)
        assert np.sign(result.statistic) == np.sign(row.effect)
        assert result.pvalue < 1e-4
        tested += 1
    assert tested == 2 * large.drugs["targets"].notna().sum()


def test_least_squares_gives_the_planted_effects_back(large: Cohort) -> None:
    table, errors, z = features(large), [], []
    for drug, planted in large.biomarkers.groupby("drug"):
        response = of_drug(large, str(drug))
        tissue = pd.get_dummies(large.samples["tissue"].loc[response.index]).to_numpy(float)
        x = np.hstack([table.loc[response.index, planted["feature"]].to_numpy(), tissue])
        inverse = np.linalg.inv(x.T @ x)
        effect = inverse @ x.T @ response.to_numpy()
        left = response.to_numpy() - x @ effect
        error = np.sqrt(left @ left / (len(x) - x.shape[1]) * np.diag(inverse))[: len(planted)]
        z.extend((effect[: len(planted)] - planted["effect"]) / error)
        errors.extend(error)
    assert max(errors) < 0.15
    assert np.abs(z).max() < 4
    assert 0.5 < np.std(z) < 1.6


def test_other_features_have_no_effect(large: Cohort) -> None:
    """By least squares on all features and the tissue at once."""
    table = features(large)
    for drug, planted in large.biomarkers.groupby("drug"):
        response = of_drug(large, str(drug))
        tissue = pd.get_dummies(large.samples["tissue"].loc[response.index]).to_numpy(float)
        x = np.hstack([table.loc[response.index].to_numpy(), tissue])
        inverse = np.linalg.inv(x.T @ x)
        effect = inverse @ x.T @ response.to_numpy()
        left = response.to_numpy() - x @ effect
        z = (effect / np.sqrt(left @ left / (len(x) - x.shape[1]) * np.diag(inverse)))[: table.shape[1]]
        idle = ~table.columns.isin(planted["feature"])
        assert idle.sum() == table.shape[1] - 4
        assert np.abs(z[idle]).max() < 4.5
        assert np.abs(z[~idle]).min() > 4.5


def test_a_drug_without_a_target_has_no_biomarker_and_no_association(large: Cohort) -> None:
    free = large.drugs.index[large.drugs["targets"].isna()]
    assert len(free) == round(0.1 * 12)
    assert not set(free) & set(large.biomarkers["drug"])
    table = features(large)
    for drug in free:
        response = of_drug(large, drug)
        tissue = large.samples["tissue"].loc[response.index]
        correlation = within_tissue(table.loc[response.index], tissue).corrwith(within_tissue(response, tissue))
        assert correlation.abs().max() < 5 / np.sqrt(len(response))


def test_the_parts_have_the_spread_that_was_asked() -> None:
    asked = {"drug_sd": 1.5, "sample_sd": 0.6, "tissue_sd": 0.4, "noise_sd": 0.8}
    cohort = simulate_cohort(n_samples=500, n_drugs=200, n_genes=80, n_mutations=80, n_tissues=8, **asked, seed=1)
    assert cohort.drug_effects.std() == pytest.approx(1.5, rel=0.2)
    assert cohort.sample_effects.std() == pytest.approx(0.6, rel=0.15)
    assert cohort.tissue_effects.to_numpy().std() == pytest.approx(0.4, rel=0.1)
    keys = pd.MultiIndex.from_frame(cohort.responses[["sample", "drug"]])
    noise = cohort.responses["ln_ic50"].to_numpy() - cohort.expected.stack().loc[keys].to_numpy()
    assert noise.std() == pytest.approx(0.8, rel=0.02)
    assert abs(noise.mean()) < 0.02


def test_expected_responses_are_the_sum_of_the_exported_parts(large: Cohort) -> None:
    """Recomputed from the tables alone; expression counts from the mean of its gene."""
    table = features(large)
    genes = list(large.expression.var_names)
    table[genes] -= table[genes].mean()
    effects = large.biomarkers.pivot(index="feature", columns="drug", values="effect").fillna(0.0)
    planted = (table[effects.index] @ effects).reindex(columns=large.drugs.index).fillna(0.0)
    total = MEAN + planted + large.tissue_effects.loc[large.samples["tissue"]].to_numpy() + large.drug_effects
    total = total.add(large.sample_effects, axis=0)
    np.testing.assert_allclose(total, large.expected, atol=1e-4)


def test_the_target_sensitises_and_the_other_gene_makes_resistant(large: Cohort) -> None:
    found = large.biomarkers.merge(large.drugs["targets"], left_on="drug", right_index=True)
    gene = found["feature"].str.removesuffix("_mut")
    assert (found.loc[gene == found["targets"], "effect"] < 0).all()
    assert (found.loc[gene != found["targets"], "effect"] > 0).all()
    assert found.groupby("drug").size().eq(4).all()
    assert ((found["direction"] == "sensitising") == (found["effect"] < 0)).all()
    by_gene = found.groupby(gene)["targets"].nunique()
    assert by_gene.max() == 1
    role = large.expression.var["role"].astype(str)
    assert set(role.index[role == "target"]) == set(found["targets"])
    assert set(role.index[role != "none"]) == set(gene)


def test_effects_have_the_size_that_was_asked() -> None:
    cohort = simulate_cohort(**SMALL, mutation_effect=(1.0, 1.0), expression_effect=(0.5, 0.5))
    size = cohort.biomarkers.set_index("kind")[["effect", "effect_per_sd"]].abs()
    assert size.loc["mutation", "effect"].between(0.8, 1.2).all()
    assert size.loc["expression", "effect_per_sd"].between(0.4, 0.6).all()
    sd = features(cohort).std(ddof=0)[cohort.biomarkers["feature"]].to_numpy()
    np.testing.assert_allclose(size["effect"] * sd, size["effect_per_sd"], rtol=1e-5)


def test_drugs_of_a_target_share_its_biomarkers_and_differ_in_potency(large: Cohort) -> None:
    found = large.biomarkers.merge(large.drugs["targets"], left_on="drug", right_index=True)
    for _, rows in found.groupby("targets"):
        by_drug = rows.pivot(index="drug", columns="feature", values="effect")
        assert by_drug.notna().all(axis=None)
        ratio = by_drug / by_drug.iloc[0]
        np.testing.assert_allclose(ratio.std(axis=1), 0, atol=1e-9)
        assert ratio.iloc[:, 0].is_unique
        assert ratio.iloc[:, 0].between(0.8 / 1.2, 1.2 / 0.8).all()


def test_without_noise_the_response_is_the_expected_one() -> None:
    cohort = simulate_cohort(**SMALL, noise_sd=0.0, missing=0.0)
    np.testing.assert_array_equal(cohort.responses["ln_ic50"], cohort.expected.to_numpy().ravel())


@pytest.mark.parametrize("missing", [0.0, 0.35, 0.9])
def test_the_missing_share_is_exact(missing: float) -> None:
    cohort = simulate_cohort(**SMALL, missing=missing)
    assert len(cohort.responses) == 480 - round(missing * 480)
    left = cohort.responses.groupby("drug").size().reindex(cohort.drugs.index, fill_value=0) / 40
    assert np.abs(left - (1 - missing)).max() <= 4 * np.sqrt(missing * (1 - missing) / 40)
    assert not cohort.responses.duplicated(["sample", "drug"]).any()


def test_expression_is_tpm_and_mutations_are_binary(large: Cohort) -> None:
    tpm = np.exp2(large.expression.X.astype(float)) - 1
    np.testing.assert_allclose(tpm.sum(axis=1), 1e6, rtol=1e-4)
    assert guess_scale(large.expression.X) == large.expression.uns["scale"] == "log2_tpm"
    assert guess_scale(large.mutations.X) == large.mutations.uns["scale"] == "binary"
    rate = large.mutations.X.mean(axis=0)
    planted = large.mutations.var["role"] != "none"
    assert rate[planted].mean() > 1.5 * rate[~planted].mean()


def test_tissues_show_their_frequencies_and_shifts(large: Cohort) -> None:
    """Mutations and expression by tissue give the truth in varm back."""
    tissue = large.samples["tissue"]
    frequency = large.mutations.varm["frequency"].T
    z = (large.mutations.to_df().groupby(tissue).mean() - frequency) / np.sqrt(frequency * (1 - frequency) / 200)
    assert np.abs(z.to_numpy()).max() < 4.5
    assert z.to_numpy().std() == pytest.approx(1, abs=0.15)
    common = (large.expression.X.mean(axis=0) > 8).nonzero()[0]  # elsewhere the 1 of log2(TPM + 1) shows
    means = large.expression.to_df().astype(float).groupby(tissue).mean().to_numpy()[:, common]
    shift = large.expression.varm["log2_tissue_shift"].T[:, common]
    within = [values - values.mean(axis=0) for values in (means, shift)]
    found, planted = (values - values.mean(axis=1, keepdims=True) for values in within)
    assert (found * planted).sum() / (planted**2).sum() == pytest.approx(1, abs=0.05)
    assert np.corrcoef(found.ravel(), planted.ravel())[0, 1] > 0.98


def test_response_data_holds_the_cohort_and_not_its_truth() -> None:
    cohort = simulate_cohort(**SMALL)
    data = cohort.response_data()
    assert (data.measure, data.unit, data.notes) == ("LN_IC50", "ln µM", ())
    assert {name: view.n_vars for name, view in data.views.items()} == {"expression": 60, "mutations": 30}
    assert data.has_tissue
    np.testing.assert_array_equal(data.response, cohort.responses["ln_ic50"])
    assert list(data.samples.columns) == ["tissue"]
    for view in data.views.values():
        assert "truth" not in view.uns
        assert not len(view.var.columns)
        assert not len(view.varm)


def test_written_files_are_read_back_as_the_same_data(tmp_path: Path) -> None:
    cohort = simulate_cohort(**SMALL)
    files = cohort.write(tmp_path / "screen")
    assert all(file.is_file() for file in files)
    assert {file.name for file in files if file.parent.name == "truth"} >= {"biomarkers.csv", "settings.json"}
    folder = tmp_path / "screen"
    read = read_responses(folder / "responses.csv")
    assert (read.measure, read.unit, read.layout) == ("LN_IC50", "ln µM", "long")
    np.testing.assert_array_equal(read.pairs["response"], cohort.responses["ln_ic50"])
    for name, view in (("expression", cohort.expression), ("mutations", cohort.mutations)):
        again = read_view(folder / f"{name}.csv", samples=cohort.samples.index)
        np.testing.assert_array_equal(again.X, view.X)
        assert list(again.var_names) == list(view.var_names)
        assert again.uns["scale"] == view.uns["scale"]
    drugs = read_drugs(folder / "drugs.csv")
    assert list(drugs.index) == list(cohort.drugs.index)
    assert list(drugs["smiles"]) == list(cohort.drugs["smiles"])
    assert list(drugs["targets"].isna()) == list(cohort.drugs["targets"].isna())
    biomarkers = read_table(folder / "truth" / "biomarkers.csv")
    pd.testing.assert_frame_equal(biomarkers, cohort.biomarkers, check_dtype=False, rtol=1e-12)


def test_a_file_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "screen").write_text("mine")
    with pytest.raises(WriteError, match="screen"):
        simulate_cohort(**SMALL).write(tmp_path / "screen")
    assert (tmp_path / "screen").read_text() == "mine"


def test_equal_seeds_write_equal_bytes(tmp_path: Path) -> None:
    first = [f.read_bytes() for f in simulate_cohort(**SMALL, seed=7).write(tmp_path / "a")]
    again = [f.read_bytes() for f in simulate_cohort(**SMALL, seed=7).write(tmp_path / "b")]
    other = [f.read_bytes() for f in simulate_cohort(**SMALL, seed=8).write(tmp_path / "c")]
    assert first == again
    assert all(a != b for a, b in zip(first, other, strict=True))


def test_the_truth_survives_h5ad(tmp_path: Path) -> None:
    cohort = simulate_cohort(**SMALL)
    for name, view in (("expression", cohort.expression), ("mutations", cohort.mutations)):
        view.write_h5ad(tmp_path / f"{name}.h5ad")
        again = ad.read_h5ad(tmp_path / f"{name}.h5ad")
        assert again.uns["truth"]["n_targets"] == 3
        assert again.uns["truth"]["seed"] == 0
        assert again.uns["truth"]["mutation_effect"].tolist() == [1.0, 2.5]
        pd.testing.assert_frame_equal(again.var, view.var)
    assert again.varm["frequency"].shape == (30, 3)


def test_the_global_generator_is_left_alone() -> None:
    np.random.seed(1)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    simulate_cohort(**SMALL)
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_two_samples_and_one_of_all_else_are_enough() -> None:
    one = {"n_drugs": 1, "n_mutations": 1, "n_targets": 1, "n_tissues": 1, "genes_per_target": 1}
    cohort = simulate_cohort(n_samples=2, n_genes=2, untargeted=0.0, missing=0.0, **one)
    assert len(cohort.responses) == len(cohort.biomarkers) == 2


def test_all_drugs_can_be_without_a_target() -> None:
    cohort = simulate_cohort(**SMALL, untargeted=1.0)
    assert cohort.biomarkers.empty
    assert len(cohort.response_data()) == len(cohort.responses)


def test_no_two_compounds_are_one_molecule() -> None:
    drugs = compounds([i % 20 for i in range(400)], [f"D{i}" for i in range(400)])
    molecules = [Chem.MolFromSmiles(text) for text in drugs["smiles"]]
    assert None not in molecules
    assert len({Chem.MolToSmiles(m) for m in molecules}) == 400
    assert drugs["name"].is_unique
    assert set(SCAFFOLDS) <= set(drugs["name"])


def test_compounds_of_a_scaffold_hold_it() -> None:
    drugs = compounds([4] * 10, [f"D{i}" for i in range(10)])
    scaffold = Chem.MolFromSmiles(drugs["smiles"].iloc[0])
    assert all(Chem.MolFromSmiles(text).HasSubstructMatch(scaffold) for text in drugs["smiles"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"n_samples": 0}, "n_samples=0; give a whole number of 1 or more"),
        ({"n_samples": 1, "n_tissues": 1}, "n_samples=1; give at least 2"),
        ({"n_drugs": 2.5}, "n_drugs=2.5; give a whole number"),
        ({"n_mutations": 15}, "n_mutations=15; 8 targets of 2 genes need at least 16"),
        ({"n_genes": 100}, "n_genes=100; mutations are of genes, so 120"),
        ({"n_tissues": 301}, "n_tissues=301; 300 samples"),
        ({"n_targets": 37}, "n_targets=37; the 36 drugs"),
        ({"untargeted": 1.2}, "untargeted=1.2; give a share of the drugs from 0 to 1"),
        ({"missing": 1.0}, "missing=1.0; no pair would be left"),
        ({"missing": "few"}, "missing='few'; give a share of the pairs from 0 to 1"),
        ({"missing": float("nan")}, "missing=nan"),
        ({"noise_sd": -0.1}, "noise_sd=-0.1; give a standard deviation of 0 or more"),
        ({"drug_sd": float("inf")}, "drug_sd=inf"),
        ({"mutation_effect": (2.0, 1.0)}, "mutation_effect=(2.0, 1.0); give the least and the greatest"),
        ({"expression_effect": (-1.0, 1.0)}, "expression_effect=(-1.0, 1.0)"),
        ({"seed": -1}, "seed=-1"),
    ],
)
def test_impossible_requests_are_refused(arguments: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigurationError, match="a cohort cannot be simulated with") as caught:
        simulate_cohort(**arguments)  # type: ignore[arg-type]
    assert said in str(caught.value)
