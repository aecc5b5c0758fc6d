from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from cellixir.data.drugs import read_drugs
from cellixir.data.omics import read_view
from cellixir.data.responses import read_responses
from cellixir.exceptions import ConfigurationError, DuplicateIds, InvalidValues, ReadError, UnknownIds, WriteError
from cellixir.metrics.fdr import storey
from cellixir.response.association import AnovaResult, anova
from cellixir.response.association.design import read_medium
from cellixir.response.association.report import drug_labels, headline, write_anova
from cellixir.response.association.table import COLUMNS, described_drugs
from cellixir.runs import read_manifest


def screen(
    seed: int = 0, n_lines: int = 90, n_drugs: int = 4, n_features: int = 6, missing: float = 0.2
) -> tuple[pd.DataFrame, ad.AnnData]:
    """Pairs and binary features of lines with a tissue, MSI and a medium that depends on the tissue."""
    rng = np.random.default_rng(seed)
    lines = [f"l{i}" for i in range(n_lines)]
    tissue = rng.choice(["lung", "skin", "bone", "blood"], n_lines, p=[0.4, 0.3, 0.2, 0.1])
    obs = pd.DataFrame({"tissue": tissue, "msi": (rng.random(n_lines) < 0.15) * 1.0}, index=lines)
    obs["medium"] = np.where((tissue == "blood") | (rng.random(n_lines) < 0.3), "RPMI", "DMEM")
    x = (rng.random((n_lines, n_features)) < rng.uniform(0.1, 0.6, n_features)) * 1.0
    names = [f"G{j}_mut" for j in range(n_features)]
    view = ad.AnnData(X=x.astype(np.float32), obs=obs, var=pd.DataFrame(index=names))
    y = rng.normal(2, 1, (n_lines, n_drugs)) + (tissue == "lung")[:, None] - x[:, :1] * np.arange(n_drugs) / 2
    y[rng.random(y.shape) < missing] = np.nan
    row, drug = np.nonzero(~np.isnan(y))
    pairs = {"sample": np.array(lines)[row], "drug": np.array([f"d{k}" for k in drug]), "response": y[row, drug]}
    return pd.DataFrame(pairs).astype({"sample": object, "drug": object}), view


def sequential(y: np.ndarray, blocks: list[np.ndarray]) -> list[float]:
    """p-values of blocks of columns that enter one after the other, by a least-squares fit of each model."""

    def fit(columns: list[np.ndarray]) -> tuple[float, int]:
        x = np.column_stack([np.ones(len(y)), *columns])
        beta, _, rank, _ = np.linalg.lstsq(x, y, rcond=1e-10)
        return float(((y - x @ beta) ** 2).sum()), int(rank)

    fits = [fit(blocks[:i]) for i in range(len(blocks) + 1)]
    rest, rank = fits[-1]
    df = len(y) - rank
    if not df:
        return [np.nan] * len(blocks)
    pvalues = []
    for (before, k), (after, m) in pairwise(fits):
        f = (before - after) / max(m - k, 1) / (rest / df)
        pvalues.append(float(stats.f.sf(f, m - k, df)) if m > k else np.nan)
    return pvalues


def one_pair(pairs: pd.DataFrame, view: ad.AnnData, drug: str, feature: str, factors: list[str]) -> list[float]:
    """p-values of the factors and the feature of one pair, fitted alone."""
    y = pairs[pairs["drug"] == drug].set_index("sample")["response"]
    obs, x = view.obs.loc[y.index], view.to_df().loc[y.index, feature].to_numpy(float)
    blocks = [pd.get_dummies(obs[name].astype(str), dtype=float).to_numpy() for name in factors]
    return sequential(y.to_numpy(), [*blocks, x[:, None]])


def by_pair(result: AnovaResult) -> pd.DataFrame:
    return result.table.set_index(["Drug ID", "Feature Name"])


def without(view: ad.AnnData, *columns: str) -> ad.AnnData:
    copy = view.copy()
    copy.obs = copy.obs.drop(columns=list(columns))
    return copy


@pytest.mark.parametrize("factors", [["tissue", "msi", "medium"], ["tissue", "msi"], ["tissue"], ["msi", "medium"], []])
def test_every_p_value_is_that_of_one_regression_a_pair(factors: list[str]) -> None:
    pairs, view = screen(seed=len(factors))
    view = without(view, *({"tissue", "msi", "medium"} - set(factors)))
    result = anova(pairs, view)
    assert result.n_tests == len(result.table) == 24
    for (drug, feature), row in by_pair(result).iterrows():
        expected = dict(zip([*factors, "feature"], one_pair(pairs, view, drug, feature, factors), strict=True))
        for name in ("tissue", "msi", "feature"):
            np.testing.assert_allclose(row[f"{name}_pval"], expected.get(name, np.nan), rtol=1e-9)


@given(st.integers(0, 10_000), st.integers(12, 40))
@settings(max_examples=25, deadline=None)
def test_small_and_rank_deficient_screens_agree_too(seed: int, n_lines: int) -> None:
    """Few lines: tissues with one line, media that a tissue determines, drugs that miss a level."""
    pairs, view = screen(seed=seed, n_lines=n_lines, n_drugs=2, n_features=3, missing=0.3)
    try:
        table = by_pair(anova(pairs, without(view, "msi"), min_lines=2))
    except InvalidValues:
        return
    for (drug, feature), row in table.iterrows():
        tissue, _, expected = one_pair(pairs, view, drug, feature, ["tissue", "medium"])
        np.testing.assert_allclose(row["feature_pval"], expected, rtol=1e-6)
        if not np.isnan(row["feature_pval"]):
            np.testing.assert_allclose(row["tissue_pval"], tissue, rtol=1e-6)


def test_two_groups_agree_with_scipy() -> None:
    pairs, view = screen(seed=5)
    for (drug, feature), row in by_pair(anova(pairs, view)).iterrows():
        y = pairs[pairs["drug"] == drug].set_index("sample")["response"]
        mutant = view.to_df().loc[y.index, feature] == 1
        pos, neg = y[mutant], y[~mutant]
        pooled = np.sqrt(((len(pos) - 1) * pos.var() + (len(neg) - 1) * neg.var()) / (len(y) - 2))
        expected = {
            "n_feature_pos": len(pos),
            "n_feature_neg": len(neg),
            "log_ic50_mean_pos": pos.mean(),
            "log_ic50_mean_neg": neg.mean(),
            "feature_pos_ic50_var": pos.var(),
            "feature_neg_ic50_var": neg.var(),
            "feature_delta_mean_ic50": pos.mean() - neg.mean(),
            "ic50_effect_size": abs(pos.mean() - neg.mean()) / pooled,
            "feature_ic50_t_pval": stats.ttest_ind(pos, neg).pvalue,
        }
        for name, value in expected.items():
            np.testing.assert_allclose(row[name], value, rtol=1e-9, err_msg=name)


def test_table_has_the_22_columns_and_sorted_tests() -> None:
    result = anova(*screen(), screening_set="GDSC1")
    assert tuple(result.table.columns) == COLUMNS
    assert len(COLUMNS) == 22
    assert result.table["feature_pval"].is_monotonic_increasing
    assert set(result.table["Tissue Type"]) == {"PANCANCER"}
    assert set(result.table["Screening Set"]) == {"GDSC1"}
    assert result.table[["log_max_conc_tested", "log_max_conc_tested_2"]].isna().all(axis=None)
    assert result.model == "response ~ tissue + MSI + medium + feature"


def test_nothing_depends_on_order_of_lines_drugs_or_on_the_unit() -> None:
    pairs, view = screen(seed=2)
    order = np.random.default_rng(0).permutation(view.n_obs)
    shuffled = anova(pairs.sample(frac=1, random_state=1), view[order].copy())
    moved = anova(pairs.assign(response=1e3 + 5 * pairs["response"]), view)
    for name in ("feature_pval", "tissue_pval", "msi_pval", "feature_ic50_t_pval", "ic50_effect_size", "fdr"):
        first = by_pair(anova(pairs, view))[name]
        np.testing.assert_allclose(by_pair(shuffled)[name].loc[first.index], first, rtol=1e-9)
        np.testing.assert_allclose(by_pair(moved)[name].loc[first.index], first, rtol=1e-8)


def test_many_drugs_are_done_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs, view = screen(seed=3)
    whole = anova(pairs, view).table
    monkeypatch.setattr("cellixir.response.association.scan._CHUNK", 7)
    pd.testing.assert_frame_equal(anova(pairs, view).table, whole, rtol=1e-12)


def test_a_tiny_p_value_keeps_its_digits() -> None:
    """y = 3 x + noise of two values: r^2, and so the p-value, is known in closed form."""
    n = 400
    x = np.arange(n) % 2
    noise = np.where(np.arange(n) // 2 % 2 == 0, 0.4, -0.4)
    view = _one_feature(x)
    pairs = pd.DataFrame({"sample": view.obs_names, "drug": "d", "response": 3.0 * x + noise})
    row = anova(pairs, view).table.iloc[0]
    # SS of the feature n (3 / 2)^2 = 900, of the rest n .16 = 64
    exact = stats.f.sf(900 / (64 / (n - 2)), 1, n - 2)
    assert 1e-250 < exact < 1e-220
    np.testing.assert_allclose([row["feature_pval"], row["feature_ic50_t_pval"]], exact, rtol=1e-10)


def _one_feature(x: np.ndarray, **obs: np.ndarray) -> ad.AnnData:
    lines = [f"l{i}" for i in range(len(x))]
    return ad.AnnData(
        X=x[:, None].astype(np.float32), obs=pd.DataFrame(obs, index=lines), var=pd.DataFrame(index=["A_mut"])
    )


def test_a_feature_that_a_tissue_determines_has_no_p_value_and_is_counted() -> None:
    pairs, view = screen(n_features=3)
    view.X[:, 1] = view.obs["tissue"] == "skin"
    view.X[:, 2] = view.obs["tissue"].isin(["skin", "bone"])
    result = anova(pairs, view)
    table = by_pair(result).reset_index()
    same = table["Feature Name"].isin(["G1_mut", "G2_mut"])
    assert same.sum() == 8
    assert table.loc[same, ["feature_pval", "fdr"]].isna().all(axis=None)
    assert table.loc[same, "feature_ic50_t_pval"].notna().all()
    assert table.loc[~same, "feature_pval"].notna().all()
    reason = result.exclusions.iloc[0]
    assert reason["reason"].startswith("tissue + MSI + medium determines the feature")
    assert (reason["tests"], reason["features"], reason["drugs"]) == (8, 2, 4)
    # tissue itself is then judged by the model without the feature
    expected = one_pair(pairs, view, "d0", "G1_mut", ["tissue", "msi", "medium"])
    row = table[same & (table["Drug ID"] == "d0")].iloc[0]
    np.testing.assert_allclose(row["tissue_pval"], expected[0], rtol=1e-9)


def test_a_feature_that_is_nearly_a_tissue_is_tested_exactly() -> None:
    """One line of 200 differs from what its tissue says: regression still has all digits."""
    rng = np.random.default_rng(0)
    tissue = np.repeat(["a", "b"], 100)
    x = (tissue == "b") * 1.0
    x[0] = 1
    y = rng.normal(size=200)
    view = _one_feature(x, tissue=tissue)
    pairs = pd.DataFrame({"sample": view.obs_names, "drug": "d", "response": y})
    # the line alone against the other 99 of its tissue
    rest = np.concatenate([y[1:100] - y[1:100].mean(), y[100:] - y[100:].mean()])
    t = (y[0] - y[1:100].mean()) / np.sqrt((rest**2).sum() / 197 * (1 + 1 / 99))
    np.testing.assert_allclose(anova(pairs, view).table["feature_pval"], 2 * stats.t.sf(abs(t), 197), rtol=1e-11)


def test_every_pair_is_a_test_or_counted_as_left_out() -> None:
    pairs, view = screen(n_lines=60, n_features=8, missing=0.5)
    view.X[:, 1] = 0
    view.X[:, 2] = 1
    view.X[:, 3] = 0
    view.X[:2, 3] = 1
    view.X[:, 4] = view.obs["tissue"] == "lung"
    view.X[:, 5] = 0
    view.X[:4, 5] = 1
    result = anova(pairs, view)
    counted = result.exclusions.set_index("reason")
    assert counted.loc["the feature is the same in all lines", ["tests", "features"]].tolist() == [8, 2]
    assert counted.loc["fewer than 3 lines on a side", "tests"] == 4
    assert result.n_tests + counted["tests"].sum() == 4 * 8
    assert {"G1_mut", "G2_mut", "G3_mut"}.isdisjoint(result.table["Feature Name"])
    low = result.table[["n_feature_pos", "n_feature_neg"]].min(axis=None)
    assert low >= 3


def test_msi_with_few_lines_is_left_out_of_a_drug_or_of_all() -> None:
    pairs, view = screen(n_features=2)
    view.obs["msi"] = 0.0
    view.obs.loc[["l0", "l1", "l2"], "msi"] = 1.0
    unstable = pairs["sample"].isin(["l0", "l1"]) & (pairs["drug"] == "d0")
    pairs = pairs[~unstable]
    assert (pairs["drug"] == "d1").sum() > 50
    result = anova(pairs, view)
    rows = result.table.set_index("Drug ID")["msi_pval"]
    assert rows["d0"].isna().all()
    assert any("drugs have fewer than 2 lines on a side of MSI" in note and "'d0'" in note for note in result.notes)
    expected = one_pair(pairs, view, "d0", "G0_mut", ["tissue", "medium"])
    np.testing.assert_allclose(by_pair(result).loc[("d0", "G0_mut"), "feature_pval"], expected[2], rtol=1e-9)
    view.obs.loc[["l1", "l2"], "msi"] = 0.0
    result = anova(pairs, view)
    assert result.model == "response ~ tissue + medium + feature"
    assert any(note.startswith("MSI is not in the model: 1 of 90 lines") for note in result.notes)


def test_one_tissue_alone() -> None:
    pairs, view = screen(n_lines=200, seed=8)
    result = anova(pairs, view, only_tissue="lung")
    lung = view[view.obs["tissue"] == "lung"].copy()
    assert result.n_lines == lung.n_obs
    assert result.model == "response ~ MSI + medium + feature"
    assert set(result.table["Tissue Type"]) == {"lung"}
    assert result.table["tissue_pval"].isna().all()
    alone = pairs[pairs["sample"].isin(lung.obs_names)]
    expected = one_pair(alone, lung, "d1", "G0_mut", ["msi", "medium"])
    np.testing.assert_allclose(by_pair(result).loc[("d1", "G0_mut"), "feature_pval"], expected[-1], rtol=1e-9)
    with pytest.raises(UnknownIds, match="no line is of tissue 'Lung'; there are 'blood', 'bone', 'lung', 'skin'"):
        anova(pairs, view, only_tissue="Lung")
    with pytest.raises(UnknownIds, match="no tissues"):
        anova(pairs, without(view, "tissue"), only_tissue="lung")


def test_tissue_and_medium_from_elsewhere() -> None:
    pairs, view = screen(seed=4)
    bare = without(view, "tissue", "medium")
    given = anova(pairs, bare, tissue=view.obs["tissue"], medium=view.obs["medium"])
    assert given.model == "response ~ tissue + MSI + medium + feature"
    pd.testing.assert_frame_equal(given.table, anova(pairs, view).table)
    partly = anova(pairs, bare, tissue=view.obs["tissue"], medium=view.obs["medium"].iloc[:80])
    assert partly.n_lines == 80
    assert any("10 lines without medium are left out" in note for note in partly.notes)
    with pytest.raises(UnknownIds, match="has a medium"):
        anova(pairs, bare, medium=pd.Series("RPMI", index=["x1", "x2"]))
    one = anova(pairs, bare, medium=pd.Series("RPMI", index=view.obs_names))
    assert "medium is not in the model: all lines grow in RPMI" in one.notes
    assert "tissue is not in the model: the features have no tissue column" in one.notes


def test_drugs_are_described_by_id_or_name() -> None:
    pairs, view = screen()
    drugs = pd.DataFrame(
        {"name": ["Alpha", "D1", "Gamma"], "targets": ["EGFR", "KIT", None], "pathway": ["p", "q", "r"]},
        index=pd.Index(["d0", "77", "d2"]),
    )
    result = anova(pairs, view, drugs=drugs)
    names = result.table.drop_duplicates("Drug ID").set_index("Drug ID")
    assert names["Drug name"].to_dict() == {"d0": "Alpha", "d1": "D1", "d2": "Gamma", "d3": "d3"}
    assert names.loc["d1", ["Drug target", "Target Pathway"]].tolist() == ["KIT", "q"]
    assert any("1 of 4 drugs ('d3')" in note for note in result.notes)
    with pytest.raises(UnknownIds, match="none of the 2 drugs"):
        described_drugs(pd.Index(["x", "y"]), drugs)


def test_false_discovery_rate_over_all_or_for_each_drug() -> None:
    pairs, view = screen(n_drugs=6, n_features=30, n_lines=150)
    table = anova(pairs, view).table
    np.testing.assert_allclose(table["fdr"], 100 * stats.false_discovery_control(table["feature_pval"]))
    table = anova(pairs, view, fdr="storey").table
    np.testing.assert_allclose(table["fdr"], 100 * storey(table["feature_pval"]))
    for _, rows in anova(pairs, view, per_drug=True).table.groupby("Drug ID"):
        np.testing.assert_allclose(rows["fdr"], 100 * stats.false_discovery_control(rows["feature_pval"]))


def test_replicates_are_averaged_and_missing_pairs_ignored() -> None:
    pairs, view = screen(seed=6)
    again = pairs.assign(response=pairs["response"] + 1)
    more = pd.DataFrame({"sample": ["l0", "l1"], "drug": ["d9", "d9"], "response": [np.nan, np.nan]})
    result = anova(pd.concat([pairs, again, more]), view)
    assert any("responses are replicates" in note for note in result.notes)
    assert any("1 of 5 drugs were measured in none" in note for note in result.notes)
    np.testing.assert_allclose(result.table["feature_pval"], anova(pairs, view).table["feature_pval"], rtol=1e-8)


def test_a_response_without_variance_or_degrees_of_freedom_has_no_p_value() -> None:
    pairs, view = screen(n_drugs=3, missing=0.0)
    values = pairs["response"].where(pairs["drug"] != "d1", 0.1)
    values = values.where(pairs["drug"] != "d2", view.obs["tissue"].map(len).loc[pairs["sample"]].to_numpy() / 3)
    result = anova(pairs.assign(response=values), view)
    table = result.table.set_index("Drug ID")
    assert table.loc["d0", "feature_pval"].notna().all()
    assert table.loc[["d1", "d2"], "feature_pval"].isna().all()
    assert table.loc["d1", ["ic50_effect_size", "feature_ic50_t_pval"]].isna().all(axis=None)
    assert (table.loc["d1", ["feature_pos_ic50_var", "feature_neg_ic50_var"]] == 0).all(axis=None)
    assert result.exclusions["tests"].tolist() == [12]
    six = [f"l{i}" for i in range(6)]
    few = _one_feature(np.array([1, 1, 1, 0, 0, 0]), tissue=np.array(["a", "b", "c", "d", "e", "e"]))
    result = anova(pd.DataFrame({"sample": six, "drug": "d", "response": [1.0, 2, 3, 4, 5, 6.5]}), few)
    assert result.n_tests == 0
    assert any("4 tissues have one line" in note for note in result.notes)


@pytest.mark.parametrize("value", [0.5, 2.0, -1.0, np.nan])
def test_a_feature_that_is_not_binary_is_refused(value: float) -> None:
    pairs, view = screen()
    view.X[3:5, 2] = value
    with pytest.raises(InvalidValues, match=rf"feature 'G2_mut' holds values other than 0 and 1 \({value}, in 2 of 90"):
        anova(pairs, view)


def test_what_cannot_work_is_refused() -> None:
    pairs, view = screen()
    with pytest.raises(UnknownIds, match=r"none of the 90 samples with responses \('x'"):
        anova(pairs.assign(sample=[f"x{s}" for s in pairs["sample"]]).replace({"xl0": "x"}), view)
    with pytest.raises(InvalidValues, match="no feature has 80 lines on each side"):
        anova(pairs, view, min_lines=80)
    with pytest.raises(ConfigurationError, match="min_lines=1"):
        anova(pairs, view, min_lines=1)
    with pytest.raises(ConfigurationError, match="'holm'"):
        anova(pairs, view, fdr="holm")
    with pytest.raises(InvalidValues, match="infinite"):
        anova(pairs.assign(response=np.inf), view)
    for msi, said in (("MSI-H", "MSI holds words .'MSI-H'"), (2.0, "MSI holds values other than 0 and 1 .2.0")):
        odd = view.copy()
        odd.obs["msi"] = odd.obs["msi"].astype(object)
        odd.obs.loc["l1", "msi"] = msi
        with pytest.raises(InvalidValues, match=said):
            anova(pairs, odd)
    unknown = view.copy()
    unknown.obs["tissue"] = None
    with pytest.raises(InvalidValues, match="no line is left"):
        anova(pairs, unknown)


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("id,medium\na,RPMI\na,DMEM\n", DuplicateIds, "'a'"),
        ("id,growth,colour\na,x,y\n", ReadError, "no medium column"),
        ("", ReadError, "empty"),
    ],
)
def test_media_files_that_cannot_be_read(text: str, error: type[Exception], said: str, tmp_path: Path) -> None:
    (tmp_path / "media.csv").write_text(text)
    with pytest.raises(error, match=said):
        read_medium(tmp_path / "media.csv")


def test_media_files(tmp_path: Path) -> None:
    (tmp_path / "two.csv").write_text("line,grows in\na,RPMI\nb,\n")
    assert read_medium(tmp_path / "two.csv").dropna().to_dict() == {"a": "RPMI"}
    (tmp_path / "info.csv").write_text("SAMPLE_NAME,COSMIC_ID,SCREEN_MEDIUM,GROWTH\nHeLa,12,D/F12,Adherent\n")
    assert read_medium(tmp_path / "info.csv").to_dict() == {"12": "D/F12"}


def test_files_of_a_run(tmp_path: Path) -> None:
    pairs, view = screen(n_features=12, seed=1)
    view.X[:, 5] = 0
    result = anova(pairs, view)
    write_anova(result, tmp_path / "run", facts={"Responses": "mine.csv"})
    again = pd.read_csv(tmp_path / "run" / "anova.csv", float_precision="round_trip")
    assert tuple(again.columns) == COLUMNS
    for name in ("feature_pval", "fdr", "feature_delta_mean_ic50", "n_feature_pos"):
        assert again[name].tolist() == result.table[name].tolist()
    assert (tmp_path / "run" / "volcano.png").read_bytes()[:4] == b"\x89PNG"
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    for words in ("the feature is the same in all lines", "G5_mut", "response ~ tissue + MSI + medium + feature"):
        assert words in page
    assert 'src="http' not in page
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == [
        "anova.csv",
        "report.html",
        "run.json",
        "volcano.png",
    ]
    manifest = read_manifest(tmp_path / "run")
    assert (manifest["job"], manifest["state"], manifest["headline"]) == ("response anova", "done", headline(result))
    assert (manifest["tables"], manifest["figures"], manifest["pages"]) == (
        ["anova.csv"],
        ["volcano.png"],
        ["report.html"],
    )
    assert manifest["metrics"]["tests"] == result.n_tests
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteError, match="cannot write"):
        write_anova(result, tmp_path / "file")


def test_headline_and_labels() -> None:
    pairs, view = screen(seed=1, n_lines=300)
    result = anova(
        pairs, view, drugs=pd.DataFrame({"name": ["Same", "Same", "C", "D"]}, index=["d0", "d1", "d2", "d3"])
    )
    hits = result.hits(max_fdr=5)
    assert set(hits["Feature Name"]) == {"G0_mut"}
    assert (hits["feature_delta_mean_ic50"] < 0).all()
    assert f"{len(hits)} of 24 tests are below" in headline(result, max_fdr=5)
    assert "The clearest: G0_mut and D" in headline(result, max_fdr=5)
    assert headline(result, max_p=0).startswith("None of 24 tests is below")
    assert set(drug_labels(result.table)) == {"Same (d0)", "Same (d1)", "C", "D"}


# Published values: the tests of gdsctools on these two files.
GOLDEN_ABCB1 = {
    "n_feature_pos": 5,
    "n_feature_neg": 370,
    "feature_pval": 0.86842684367357359,
    "tissue_pval": 3.2808255732569986e-06,
    "msi_pval": 0.14598946672374763,
    "feature_ic50_t_pval": 0.48586107208790896,
    "ic50_effect_size": 0.31407773405409201,
    "feature_pos_ic50_var": 0.67167696386648634**2,
    "feature_neg_ic50_var": 1.1536736560173895**2,
}
GOLDEN_TP53 = {
    "feature_pval": 1.5750735472022118e-58,
    "msi_pval": 0.025902887791637515,
    "tissue_pval": 1.0258702741509e-44,
}


@pytest.fixture(scope="module")
def ten_drugs(data_dir: Path) -> tuple[pd.DataFrame, ad.AnnData]:
    pairs = read_responses(data_dir / "IC50_10drugs.tsv").pairs
    return pairs, read_view(data_dir / "genomic_features_10drugs.tsv.gz")


@pytest.mark.real_data
def test_golden_values_of_gdsctools(ten_drugs: tuple[pd.DataFrame, ad.AnnData]) -> None:
    table = by_pair(anova(*ten_drugs))
    for name, value in GOLDEN_ABCB1.items():
        np.testing.assert_allclose(table.loc[("999", "ABCB1_mut"), name], value, rtol=1e-10, err_msg=name)
    for name, value in GOLDEN_TP53.items():
        np.testing.assert_allclose(table.loc[("1047", "TP53_mut"), name], value, rtol=1e-10, err_msg=name)
    # That tool once had the two means the wrong way round, and with them the sign: the size agrees, and the
    # mean of the five mutants is what the file says.
    row = table.loc[("999", "ABCB1_mut")]
    np.testing.assert_allclose(abs(row["feature_delta_mean_ic50"]), 0.36105662590553411, rtol=1e-10)
    np.testing.assert_allclose([row["log_ic50_mean_pos"], row["log_ic50_mean_neg"]],
                               [2.8007757068403043, 2.4397190809347702], rtol=1e-10)  # fmt: skip
    pairs, view = ten_drugs
    mutants = view.obs_names[view.to_df()["ABCB1_mut"] == 1]
    of_drug = pairs[(pairs["drug"] == "999") & pairs["sample"].isin(mutants)]
    np.testing.assert_allclose(row["log_ic50_mean_pos"], of_drug["response"].mean(), rtol=1e-12)


@pytest.mark.real_data
def test_golden_values_without_tissue_and_msi(ten_drugs: tuple[pd.DataFrame, ad.AnnData]) -> None:
    pairs, view = ten_drugs
    golden = {
        (): [3.210453608523738e-06, 0.14579091345305398, 0.5430736275249095],
        ("tissue",): [np.nan, 0.262294448831941, 0.30599483315087317],
        ("tissue", "msi"): [np.nan, np.nan, 0.21266050833611852],
    }
    for left_out, expected in golden.items():
        row = by_pair(anova(pairs, without(view, *left_out))).loc[("999", "ASH1L_mut")]
        found = row[["tissue_pval", "msi_pval", "feature_pval"]].astype(float)
        np.testing.assert_allclose(found, expected, rtol=1e-10)
        assert row["n_feature_neg"] == 365


@pytest.mark.real_data
def test_golden_sum_of_false_discovery_rates(ten_drugs: tuple[pd.DataFrame, ad.AnnData]) -> None:
    """The first ten features: in percent, over all tests."""
    pairs, view = ten_drugs
    assert anova(pairs, view[:, :11].copy()).table["fdr"].sum() == pytest.approx(10312.23061065521, rel=1e-10)


@pytest.mark.real_data
def test_golden_melanoma(data_dir: Path) -> None:
    """One tissue, one line with MSI: the T test and the model are the same; hits at 25 % and .001."""
    file = data_dir / "anova_input_v17_skcm.txt"
    result = anova(read_responses(file).pairs, read_view(file), fdr="storey")
    assert (result.n_tests, result.n_drugs, result.n_features, result.n_lines) == (5194, 265, 24, 55)
    assert result.model == "response ~ feature"
    hits = result.hits()
    assert (len(hits), (hits["feature_delta_mean_ic50"] < 0).sum()) == (13, 8)
    first = result.table.iloc[0]
    assert (first["Drug ID"], first["Feature Name"], first["n_feature_neg"]) == ("1373", "BRAF_mut", 10)
    values = first[["feature_pval", "feature_ic50_t_pval", "feature_delta_mean_ic50", "ic50_effect_size"]]
    expected = [9.8695117331183039e-08, 9.8695117331182668e-08, -5.155262149525635, 2.291545942648078]
    np.testing.assert_allclose(values.astype(float), expected, rtol=1e-10)
    assert hits["feature_pval"].max() == pytest.approx(0.0006358, rel=1e-3)
    # that tool's q-values: Benjamini and Hochberg's times the share of true nulls read at .9
    plain = anova(read_responses(file).pairs, read_view(file)).table
    theirs = plain["fdr"] * (plain["feature_pval"] >= 0.9).mean() / 0.1
    np.testing.assert_allclose(theirs.iloc[[0, 12]], [0.047768436788292422, 23.671582956786185], rtol=1e-10)


@pytest.mark.real_data
def test_full_screen_has_the_tests_that_the_data_allow(data_dir: Path) -> None:
    pairs = read_responses(data_dir / "IC50_v17.csv.gz").pairs
    view = read_view(data_dir / "genomic_features_v17.csv.gz")
    result = anova(pairs, view, drugs=read_drugs(data_dir / "gdsc_drug_list_2019.csv"))
    assert (result.n_drugs, result.n_features, result.n_tests) == (265, 677, 173_390)
    assert result.exclusions["tests"].tolist() == [265 * 677 - 173_390]
    top = list(zip(result.table["Drug name"][:4], result.table["Feature Name"][:4], strict=True))
    assert top == [
        ("Nutlin-3a (-)", "TP53_mut"),
        ("Dabrafenib", "BRAF_mut"),
        ("Nilotinib", "BCR-ABL_mut"),
        ("PLX-4720", "BRAF_mut"),
    ]
    resistant = result.table["feature_delta_mean_ic50"][:4] > 0
    assert resistant.tolist() == [True, False, False, False]
    for drug, feature in [("1047", "TP53_mut"), ("1373", "BRAF_mut"), ("179", "ABCB1_mut"), ("133", "APC_mut")]:
        row = by_pair(result).loc[(drug, feature)]
        found = row[["tissue_pval", "msi_pval", "feature_pval"]].astype(float)
        np.testing.assert_allclose(found, one_pair(pairs, view, drug, feature, ["tissue", "msi"]), rtol=1e-8)
