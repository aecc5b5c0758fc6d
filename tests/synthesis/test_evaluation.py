"""Judging synthetic data: real data are good, copies are not private, shuffled genes not faithful."""

from __future__ import annotations

import re
from functools import partial

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from cellixir.exceptions import DataError, DuplicateIds, GeneMismatch, InvalidValues, UnknownIds
from cellixir.metrics.catalogue import FAMILIES, GENERATIVE
from cellixir.metrics.generative.two_sample import c2st_interval
from cellixir.synthesis import scores
from cellixir.synthesis.evaluation import COLUMNS, Evaluation, Judge, evaluate
from cellixir.synthesis.scores import composition, copies, known, with_intervals
from cellixir.synthesis.truth import checked_truth, planted_in
from cellixir.synthesis.verdicts import CRITERIA, Criterion, of_ceiling, row_verdict, verdict
from cellixir.synthesis.yardstick import Yardstick, shuffled_genes

N_GENES = 80
N_DIFFERENT = 20
KEYS = {"contrast_key": "group", "batch_key": "batch"}


def counts(n: int, seed: int, *, effect: float = 1.0, prefix: str = "s") -> ad.AnnData:
    """Negative binomial counts: 20 of 80 genes differ by ``effect`` times 2 in log2, half of them up."""
    rng = np.random.default_rng([99, seed])
    mean = np.random.default_rng(5).lognormal(3.5, 0.7, N_GENES)
    mean[1:N_DIFFERENT:2] = mean[:N_DIFFERENT:2]  # what goes up makes up for what goes down: libraries stay as they are
    change = planted()["log2_fold_change"].to_numpy() * effect
    shift = np.where(np.arange(N_GENES) % 4 == 0, 1.0, 0.0)
    module = np.where(np.arange(N_GENES) >= 50, 1.0, 0.0)
    group, batch = rng.integers(0, 2, n), rng.integers(0, 2, n)
    log = (group[:, None] - 0.5) * change + batch[:, None] * shift + rng.normal(size=(n, 1)) * 0.8 * module
    size = rng.lognormal(0, 0.2, (n, 1))
    expected = mean * size * np.exp2(log)
    obs = pd.DataFrame(
        {"group": pd.Categorical(group + 1).rename_categories(lambda i: f"group{i}"),
         "batch": pd.Categorical(batch + 1).rename_categories(lambda i: f"batch{i}")},
        index=[f"{prefix}{i}" for i in range(n)],
    )  # fmt: skip
    values = sp.csr_matrix(rng.poisson(rng.gamma(10, expected / 10)).astype(np.float32))
    return ad.AnnData(values, obs=obs, var=pd.DataFrame(index=planted().index), uns={"scale": "counts"})


def planted() -> pd.DataFrame:
    """Log2 fold change of each gene in group 2, and whether it differs."""
    change = np.zeros(N_GENES)
    change[:N_DIFFERENT] = np.where(np.arange(N_DIFFERENT) % 2, 2.0, -2.0)
    return pd.DataFrame({"log2_fold_change": change, "is_de": change != 0}, index=[f"G{i}" for i in range(N_GENES)])


@pytest.fixture(scope="module", autouse=True)
def small_numbers():
    """Few halves and trees: these tests are not about how wide intervals are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scores, "HALVES", 4)
        patch.setattr(scores, "c2st_interval", partial(c2st_interval, n_trees=15, n=20))
        patch.setattr(scores, "membership_interval", partial(scores.membership_interval, n=20))
        patch.setattr(scores, "reference_attack", partial(scores.reference_attack, n=20))
        patch.setattr(scores, "augmentation_gain", partial(scores.augmentation_gain, n_repeats=4))
        yield


@pytest.fixture(scope="module")
def train() -> ad.AnnData:
    return counts(150, 0)


@pytest.fixture(scope="module")
def judge(train: ad.AnnData) -> Judge:
    return Judge(train, counts(150, 1, prefix="h"), truth=planted(), **KEYS)


@pytest.fixture(scope="module")
def fresh(judge: Judge) -> Evaluation:
    return judge.judge(counts(150, 2), maps=False)


def answers(found: Evaluation) -> dict[str, str]:
    return {v.question: v.answer for v in found.verdicts}


def test_fresh_real_samples_are_faithful_useful_and_private(fresh: Evaluation) -> None:
    assert answers(fresh) == {"Faithful": "yes", "Useful": "yes", "Private": "yes"}
    table = fresh.table.set_index("metric")
    for metric in ("precision", "recall", "coverage", "de_f1", "tstr", "correlation"):
        assert abs(table["value"][metric] - table["ceiling"][metric]) < 0.15, metric
        assert table["floor"][metric] < table["ceiling"][metric], metric
    assert 0.3 < table["value"]["c2st"] < 0.7
    assert table["floor"]["c2st"] > 0.9
    assert 0.85 < table["value"]["lfc_slope"] < 1.15
    assert 0.3 < table["value"]["dcr_share"] < 0.7
    assert "real 1." in fresh.verdicts[1].sentence


def test_the_table_has_every_metric_once_between_its_controls(fresh: Evaluation) -> None:
    assert list(fresh.table) == COLUMNS
    assert fresh.table["metric"].tolist() == list(GENERATIVE)
    assert set(fresh.table["family"]) == set(FAMILIES)
    known_ends = fresh.table.dropna(subset=["low"])
    assert len(known_ends) > 20
    assert (known_ends["low"] <= known_ends["value"]).all()
    assert (known_ends["value"] <= known_ends["high"]).all()
    assert fresh.table.drop(columns=["low", "high"]).set_index("metric")["ceiling"].drop("augmentation").notna().all()


def test_copies_of_training_samples_are_not_private(judge: Judge, train: ad.AnnData) -> None:
    rows = np.random.default_rng(0).permutation(150)[:100]
    copied = train[rows].copy()
    copied.X = copied.X.tocsr()
    found = judge.judge(copied, maps=False)
    assert answers(found)["Private"] == "no"
    assert (found.value("copies"), found.value("authenticity")) == (1.0, 0.0)
    assert found.value("dcr_share") == 1.0
    assert found.value("membership") > 0.8
    assert answers(found)["Faithful"] == "yes"
    assert "Held back by Copies" in found.verdicts[2].sentence


def test_copies_with_noise_are_not_private_either(judge: Judge, train: ad.AnnData) -> None:
    rng = np.random.default_rng(3)
    noisy = train.copy()
    noisy.X = sp.csr_matrix(np.maximum(train.X.toarray() + rng.integers(-1, 2, train.shape), 0).astype(np.float32))
    found = judge.judge(noisy, maps=False)
    assert found.value("copies") == 0
    assert answers(found)["Private"] == "no"


def test_one_near_copy_in_twenty_is_not_private_and_is_named(judge: Judge, train: ad.AnnData) -> None:
    some = counts(150, 2)
    values = some.X.toarray()
    values[:8] = train.X[:8].toarray()
    values[:8, 5] += 1
    some.X = sp.csr_matrix(values)
    found = judge.judge(some, maps=False)
    assert answers(found)["Private"] == "no"
    assert "Held back by Near copies" in found.verdicts[2].sentence
    note = next(note for note in found.notes if note.startswith("near copies: "))
    assert all(f"'s{i} to s{i}'" in note for i in range(8))
    values[:30] = np.random.default_rng(0).poisson(train.X[11].toarray(), (30, N_GENES))
    some.X = sp.csr_matrix(values)
    private, notes = judge._privacy(judge.accepted(some), judge.holdout, lambda score, *sides: score(*sides))
    assert private["near_copies"].low > 0.1
    assert re.search(r"near copies: .* of them to s11: ", notes[0])


def test_shallow_cells_that_are_alike_by_chance_are_private() -> None:
    def shallow(n: int, seed: int) -> ad.AnnData:
        values = np.random.default_rng(seed).poisson(0.02, (n, 80)).astype(np.float32)
        found = ad.AnnData(values, uns={"scale": "counts"})
        found.obs_names = [f"c{seed}_{i}" for i in range(n)]
        return found

    judge = Judge(shallow(120, 1), shallow(100, 2))
    found = judge.judge(shallow(120, 3), maps=False)
    assert found.value("copies") > 0.2
    assert answers(found)["Private"] == "yes"
    assert answers(judge.judge(shallow(120, 1), maps=False))["Private"] == "no"


def test_shuffled_genes_are_not_faithful(judge: Judge, train: ad.AnnData) -> None:
    found = judge.judge(shuffled_genes(train, np.random.default_rng(1)), maps=False)
    assert answers(found)["Faithful"] == "no"
    assert answers(found)["Useful"] == "no"
    table = found.table.set_index("metric")
    assert table["verdict"]["c2st"] == "as shuffled genes"
    assert table["verdict"]["correlation"] == "as shuffled genes"
    assert table["value"]["zero_fraction"] < 0.02  # each gene alone is as it was


def test_labels_that_say_nothing_lose_differential_expression(judge: Judge) -> None:
    lost = counts(150, 2)
    lost.obs["group"] = np.random.default_rng(0).permutation(lost.obs["group"].to_numpy())
    found = judge.judge(lost, maps=False)
    assert answers(found) == {"Faithful": "yes", "Useful": "no", "Private": "yes"}
    assert abs(found.value("lfc_slope")) < 0.4
    assert found.value("de_recall") < 0.5


def test_halved_effects_have_half_the_slope(judge: Judge) -> None:
    found = judge.judge(counts(150, 4, effect=0.5), maps=False)
    assert 0.4 < found.value("lfc_slope") < 0.6
    assert 0.4 < found.value("lfc_slope_real") < 0.6
    assert "Log2 fold change slope" in found.verdicts[1].held_back_by
    changes = found.fold_changes
    assert list(changes) == ["contrast", "gene", "real", "synthetic", "planted", "is_de"]
    assert set(changes["contrast"]) == {"group2 against group1"}
    np.testing.assert_array_equal(changes["planted"], planted()["log2_fold_change"])


def test_a_group_that_was_never_drawn_is_found_in_nothing(judge: Judge) -> None:
    one = counts(200, 2)
    found = judge.judge(one[one.obs["group"] == "group1"].copy(), maps=False)
    assert (found.value("de_recall"), found.value("de_f1"), found.value("lfc_slope")) == (0, 0, 0)
    assert answers(found)["Useful"] == "no"
    assert "the synthetic samples have no group 'group2'" in found.notes
    assert found.fold_changes["synthetic"].isna().all()


def test_genes_are_matched_by_name_and_storage_does_not_matter(judge: Judge, fresh: Evaluation) -> None:
    again = counts(150, 2)[:, ::-1].copy()
    again.X = again.X.toarray()
    found = judge.judge(again, maps=False)
    pd.testing.assert_frame_equal(found.table, fresh.table, rtol=1e-3, atol=2e-3)
    assert found.genes["gene"].tolist() == planted().index.tolist()


def test_real_genes_decide_where_nothing_was_planted(train: ad.AnnData) -> None:
    found = evaluate(train, counts(80, 1), counts(60, 2), **KEYS, maps=False)
    assert found.facts["truth"] == "real training data"
    assert found.facts["compared_samples"] == 60
    assert found.notes[0].startswith("60 samples of each kind were drawn")
    assert 0.85 < found.value("lfc_slope") < 1.15
    assert np.isnan(found.value("lfc_slope_real"))


def test_without_columns_only_what_can_be_judged_is(train: ad.AnnData) -> None:
    found = evaluate(train, counts(80, 1), counts(80, 2), maps=False)
    assert answers(found)["Useful"] == "not judged"
    assert set(found.table["family"]) == {"fidelity", "genes", "privacy"}
    assert list(found.points) == ["kind", "PC1", "PC2"]
    assert found.fold_changes.empty


def test_the_same_seed_gives_the_same_evaluation(train: ad.AnnData) -> None:
    one, other = (evaluate(train, counts(30, 1), counts(30, 2), seed=3, maps=False) for _ in range(2))
    pd.testing.assert_frame_equal(one.table, other.table)
    pd.testing.assert_frame_equal(one.points, other.points)


def test_values_that_are_no_counts_are_compared_as_they_are() -> None:
    def zscores(n: int, seed: int) -> ad.AnnData:
        cells = counts(n, seed)
        log = np.log1p(cells.X.toarray())
        return ad.AnnData((log - 3.5).astype(np.float32), obs=cells.obs, var=cells.var, uns={"scale": "zscore"})

    found = evaluate(zscores(80, 0), zscores(80, 1), zscores(80, 2), maps=False)
    assert "library_size" not in set(found.table["metric"])
    assert found.facts["scale"] == "zscore"
    np.testing.assert_allclose(found.genes["mean_real"], zscores(80, 0).X.mean(axis=0), atol=1e-5)


def test_what_real_data_do_not_share_is_not_judged(fresh: Evaluation) -> None:
    rng = np.random.default_rng(0)
    noise = [ad.AnnData(rng.normal(5, 1, (60, 30)).astype(np.float32), uns={"scale": "log2_tpm"}) for _ in range(3)]
    found = evaluate(*noise, maps=False)
    row = found.table.set_index("metric").loc["correlation"]
    assert row["ceiling_low"] <= 0 < row["ceiling"]  # genes are independent: their correlations are noise in both
    assert "Correlation of genes" in found.verdicts[0].sentence.split("is not judged: that of real data")[0]
    assert answers(found)["Faithful"] == "yes"
    known = fresh.table.set_index("metric")["ceiling_low"].dropna()
    shares = {"precision", "recall", "correlation", "de_precision", "de_recall", "de_f1", "de_jaccard", "lfc_slope"}
    assert set(known.index) == shares | {"lfc_slope_real"}
    assert (known > 0).all()


def test_other_genes_are_refused_with_counts_and_examples(judge: Judge) -> None:
    other = counts(30, 2)
    other.var_names = ["X0", "X1", *other.var_names[2:]]
    with pytest.raises(GeneMismatch, match=r"synthetic data .* 2 of 80 genes .*'G0', 'G1'.* 2 are not .*'X0', 'X1'"):
        judge.judge(other)
    twice = counts(30, 2)
    twice.var_names = ["G1", *twice.var_names[1:]]
    with pytest.raises(DuplicateIds, match="synthetic data: 1 gene stands more than once"):
        judge.judge(twice)


def test_other_scales_are_refused(judge: Judge) -> None:
    log = counts(30, 2)
    log.X = log.X.log1p()
    log.uns["scale"] = "log1p_cpm"
    with pytest.raises(InvalidValues, match=r"the synthetic data are log1p_cpm .* the real training data counts"):
        judge.judge(log)
    log.uns["scale"] = "counts"
    with pytest.raises(InvalidValues, match="counts"):
        judge.judge(log)
    broken = counts(30, 2)
    broken.X = broken.X.toarray()
    broken.X[3, 4] = np.nan
    with pytest.raises(InvalidValues, match="gene 'G4' in cell 's3'") as caught:
        judge.judge(broken)
    assert "in the synthetic data" in caught.value.__notes__


def test_columns_must_be_there_and_full(judge: Judge, train: ad.AnnData) -> None:
    bare = counts(30, 2)
    del bare.obs["batch"]
    with pytest.raises(UnknownIds, match="the synthetic data have no column 'batch'; obs has 'group'"):
        judge.judge(bare)
    holes = counts(30, 2)
    holes.obs["group"] = [None, *holes.obs["group"].astype(str)[1:]]
    with pytest.raises(InvalidValues, match="1 of 30 synthetic data have no 'group'"):
        judge.judge(holes)
    with pytest.raises(UnknownIds, match="real training data have no column 'type'"):
        Judge(train, train, contrast_key="type")


def test_too_few_samples_are_refused(train: ad.AnnData) -> None:
    with pytest.raises(DataError, match="synthetic has 19 samples"):
        evaluate(train, counts(30, 1), counts(19, 2))
    with pytest.raises(DataError, match="holdout has 5 samples"):
        evaluate(train, counts(5, 1), counts(30, 2))


def test_data_without_variance_are_refused() -> None:
    flat = ad.AnnData(np.ones((30, 5), dtype=np.float32), uns={"scale": "log2_tpm"})
    with pytest.raises(InvalidValues, match="without variance"):
        evaluate(flat, flat, flat)


def test_components_of_noise_are_left_out() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(100, 400)).astype(np.float32)
    noise[:50, :100] += 2
    noise[::2, 100:200] += 2
    cells = ad.AnnData(noise, uns={"scale": "zscore"})
    yard = Yardstick(cells, {}, 0)
    assert yard.n_places == 2
    assert yard.train.components.shape == (100, 50)


def test_means_of_many_genes_are_not_private_though_no_sample_is_copied() -> None:
    rng = np.random.default_rng(0)
    real, noise = rng.normal(size=(160, 3_000)), rng.normal(size=(80, 3_000))
    cells = [ad.AnnData(x.astype(np.float32), uns={"scale": "zscore"}) for x in (real, real[:40].mean(axis=0) + noise)]
    found = evaluate(cells[0][:40], cells[0][40:120], cells[1], maps=False)
    assert found.value("reference_attack") > 0.9
    assert found.value("authenticity") > 0.4
    assert found.verdicts[2].answer == "no"
    assert "Membership, with a reference" in found.verdicts[2].sentence
    fresh = evaluate(cells[0][:40], cells[0][40:120], cells[0][120:], maps=False)
    assert fresh.value("reference_attack") == pytest.approx(0.5, abs=0.15)
    assert fresh.verdicts[2].answer != "no"


@pytest.mark.parametrize("sparse", [True, False])
def test_shuffling_keeps_the_values_of_each_gene_and_nothing_else(sparse: bool) -> None:
    cells = counts(40, 0)
    cells.X = cells.X if sparse else cells.X.toarray()
    shuffled = shuffled_genes(cells, np.random.default_rng(0))
    before, after = ((c.X.toarray() if sparse else c.X) for c in (cells, shuffled))
    np.testing.assert_array_equal(np.sort(before, axis=0), np.sort(after, axis=0))
    rho = [np.corrcoef(np.log1p(x[:, 50:]), rowvar=False)[np.triu_indices(30, 1)].mean() for x in (before, after)]
    assert rho[0] > 0.5
    assert abs(rho[1]) < 0.1


def test_copies_are_counted_value_for_value(train: ad.AnnData) -> None:
    yard = Yardstick(train, {}, 0)
    half = ad.AnnData(sp.vstack([train.X[:10], counts(10, 9).X]), var=train.var, uns=train.uns)
    half.obs_names = [f"x{i}" for i in range(20)]
    assert copies(yard.train, yard.side(half, "made")) == 0.5


def test_composition_of_disjoint_groups_is_ln_2() -> None:
    cells = counts(100, 0)
    first, second = (cells[cells.obs["group"] == name].copy() for name in ("group1", "group2"))
    yard = Yardstick(first, {"group": "group"}, 0)
    assert composition(yard.train, yard.side(second, "other")) == pytest.approx(np.log(2))
    assert composition(yard.train, yard.train) == 0


def test_the_interval_of_a_mean_is_its_standard_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scores, "HALVES", 200)
    values = np.random.default_rng(0).normal(size=(400, 3)).astype(np.float32)
    side = Yardstick(ad.AnnData(values, uns={"scale": "zscore"}), {}, 0).train
    found = with_intervals(lambda s: {"lfc_slope": known(s.log[:, 0].mean())}, side, seed=0)["lfc_slope"]
    expected = 1.96 * values[:, 0].std() / 20
    assert (found.high - found.low) / 2 == pytest.approx(expected, rel=0.25)
    assert found.value == pytest.approx(float(values[:, 0].mean()), abs=1e-6)


def test_planted_effects_are_read_from_simulated_data() -> None:
    cells = counts(30, 0)
    assert planted_in(cells, "group") is None
    change = planted()["log2_fold_change"].to_numpy()
    cells.uns["truth"] = {"seed": 0}
    cells.varm["log2_fold_change"] = np.column_stack([np.zeros_like(change), change])
    cells.var["is_de"] = change != 0
    found = planted_in(cells, "group")
    assert found is not None
    assert list(found) == ["group1", "group2", "is_de"]
    judged = Judge(cells, counts(30, 1), contrast_key="group").contrasts[0]
    assert judged.planted
    np.testing.assert_array_equal(judged.truth["log2_fold_change"], change)
    assert judged.truth["is_de"].sum() == 20
    assert planted_in(cells, "batch") is None  # its levels are not those of the columns


def test_truth_must_hold_every_gene() -> None:
    with pytest.raises(GeneMismatch, match="no row for 1 of 80 genes \\('G3'\\)"):
        checked_truth(planted().drop(index="G3"), planted().index)
    with pytest.raises(InvalidValues, match="missing values"):
        checked_truth(planted().assign(log2_fold_change=np.nan), planted().index)


NUMBERS = {"value": 0.5, "low": np.nan, "high": np.nan, "ceiling": 1.0, "ceiling_low": 0.9, "floor": 0.0}


@pytest.mark.parametrize(
    ("value", "answer"), [(0.85, "yes"), (0.84, "partly"), (0.5, "partly"), (0.49, "no"), (np.nan, "not judged")]
)
def test_answers_change_at_the_limits(value: float, answer: str) -> None:
    assert Criterion("recall", of_ceiling, 0.85, 0.5).answer(NUMBERS | {"value": value}) == answer


@pytest.mark.parametrize(("value", "low", "answer"), [(0.5, 0.4, "yes"), (0.64, 0.56, "partly"), (0.9, 0.8, "no"),
                                                      (0.62, 0.45, "yes"), (0.1, 0.0, "yes")])  # fmt: skip
def test_only_shares_above_a_half_harm_privacy(value: float, low: float, answer: str) -> None:
    rows = {"dcr_share": NUMBERS | {"value": value, "low": low, "high": value + 0.1, "ceiling": 0.5}}
    assert verdict("Private", rows).answer == answer


def test_one_no_is_a_no_and_one_partly_a_partly() -> None:
    good = NUMBERS | {"value": 1.0}
    rows = {"precision": good, "recall": good, "correlation": good}
    assert verdict("Faithful", rows).answer == "yes"
    assert verdict("Faithful", rows | {"recall": NUMBERS | {"value": 0.7}}).answer == "partly"
    found = verdict("Faithful", rows | {"recall": NUMBERS | {"value": 0.7}, "precision": NUMBERS | {"value": 0.1}})
    assert (found.answer, found.held_back_by) == ("no", ("Precision",))
    assert found.sentence.startswith("Faithful: no. Precision 0.10 (real 1.00); Recall 0.70")
    assert verdict("Useful", {}).answer == "not judged"
    assert {c.metric for criteria in CRITERIA.values() for c in criteria} <= set(GENERATIVE)


@pytest.mark.parametrize(
    ("metric", "value", "words"),
    [("recall", 0.99, "as real"), ("recall", 0.85, "close to real"), ("recall", 0.5, "between"),
     ("recall", 0.01, "as shuffled genes"), ("lfc_slope", 1.9, "as shuffled genes"),
     ("lfc_slope", 0.9, "close to real"), ("copies", 1.0, "no sign of a leak"),
     ("authenticity", 0.1, "gives away"), ("recall", np.nan, "")],
)  # fmt: skip
def test_words_of_a_row(metric: str, value: float, words: str) -> None:
    assert row_verdict(metric, NUMBERS | {"value": value}) == words


def test_a_floor_no_worse_than_the_ceiling_says_nothing() -> None:
    assert row_verdict("gene_mean", NUMBERS | {"value": 0.9, "ceiling": 0.1, "floor": 0.1}) == "not as real"
    assert row_verdict("augmentation", NUMBERS | {"value": 0.1, "low": 0.05, "high": 0.2}) == "gain"


def test_a_map_of_both_kinds(train: ad.AnnData, monkeypatch: pytest.MonkeyPatch) -> None:
    package = pytest.importorskip("openTSNE")
    monkeypatch.setattr(package, "TSNE", partial(package.TSNE, n_iter=5, early_exaggeration_iter=5))
    found = evaluate(train[:40].copy(), counts(30, 1), counts(30, 2), **KEYS)
    points = found.points
    assert points["kind"].value_counts().to_dict() == {"real": 30, "synthetic": 30}
    assert list(points) == ["kind", "group", "batch", "label", "PC1", "PC2", "t-SNE 1", "t-SNE 2"]
    assert np.isfinite(points[["t-SNE 1", "t-SNE 2"]]).all().all()
