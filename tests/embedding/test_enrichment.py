"""Over-representation and ranked enrichment, against plain loops, enumeration and planted truth."""

from __future__ import annotations

import time
from fractions import Fraction
from itertools import combinations
from math import comb

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, fisher_exact, kstest

from cellixir.data.gene_sets import GeneSets, read_gene_sets
from cellixir.embedding.enrichment import COLUMNS, enrich_latents, over_representation, top_genes
from cellixir.embedding.running_sum import Draws, Ranking
from cellixir.exceptions import ConfigurationError, DuplicateIds, GeneMismatch, InvalidValues
from cellixir.metrics.fdr import benjamini_hochberg, storey

GENES = [f"g{i}" for i in range(300)]
NUMBERS = ["es", "nes", "p", "fdr"]


def ranked_enrichment(scores, sets, **options):
    """Ranked test of one column of scores."""
    table = enrich_latents(scores.to_frame(), sets, **options)
    return table[table["test"] == "ranked"].reset_index(drop=True)


def random_sets(rng, n_sets, genes=GENES, sizes=(5, 40)):
    return {f"s{i}": list(rng.choice(genes, int(rng.integers(*sizes)), replace=False)) for i in range(n_sets)}


def running_sum(scores, members):
    """Enrichment score by the definition, one gene at a time; the sum is looked at after each tie."""
    ranked = scores.sort_values(ascending=False, kind="stable")
    hit = ranked.index.isin(members)
    weights = ranked.abs() if ranked[hit].abs().sum() else ranked * 0 + 1
    total, misses, best, value = weights[hit].sum(), max((~hit).sum(), 1), 0.0, 0.0
    for i, inside in enumerate(hit):
        value += weights.iloc[i] / total if inside else -1 / misses
        closed = i + 1 == len(ranked) or ranked.iloc[i] != ranked.iloc[i + 1]
        if closed and (abs(value) > abs(best) + 1e-9 or (abs(value) > abs(best) - 1e-9 and value > best)):
            best = value
    return best


# ---- over-representation


def test_over_representation_by_hand():
    background = list("abcdefghij")
    sets = GeneSets({"four": ["a", "b", "c", "d", "not there"], "three": ["h", "i", "j"]}, {"four": "R-4"})
    table = over_representation(["b", "e", "a"], sets, background, min_genes=3)
    # of 120 lists of three genes, 36 hold two of the four and 4 hold three
    expected = {
        "pathway": ["four", "three"],
        "id": ["R-4", ""],
        "size": [4, 3],
        "overlap": [2, 0],
        "expected": [1.2, 0.9],
        "odds_ratio": [2 * 5 / (2 * 1), 0],
        "p": [40 / 120, 1],
        "fdr": [80 / 120, 1],
        "genes": ["b;a", ""],
    }
    pd.testing.assert_frame_equal(table, pd.DataFrame(expected), check_dtype=False, rtol=1e-12)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_over_representation_is_fishers_exact_test(data):
    n = data.draw(st.integers(2, 40))
    size, listed = data.draw(st.integers(1, n)), data.draw(st.integers(1, n))
    shift = data.draw(st.integers(0, n - 1))
    genes = [f"g{i}" for i in range(n)]
    query = [genes[(i + shift) % n] for i in range(listed)]
    row = over_representation(query, {"set": genes[:size]}, genes, min_genes=1).iloc[0]
    k = len(set(query) & set(genes[:size]))
    fisher = fisher_exact([[k, size - k], [listed - k, n - size - listed + k]], alternative="greater")
    tail = sum(comb(size, j) * comb(n - size, listed - j) for j in range(k, min(size, listed) + 1))
    assert row["p"] == pytest.approx(float(Fraction(tail, comb(n, listed))), rel=1e-10)
    assert row["p"] == pytest.approx(fisher.pvalue, rel=1e-10)
    if np.isfinite(row["odds_ratio"]):
        assert row["odds_ratio"] == pytest.approx(fisher.statistic)


def test_tiny_p_values_keep_their_digits():
    genes = [f"g{i}" for i in range(20_000)]
    p = over_representation(genes[:100], {"set": genes[:100]}, genes).loc[0, "p"]
    assert p == pytest.approx(float(Fraction(1, comb(20_000, 100))), rel=1e-8)


def test_a_larger_background_makes_the_same_overlap_more_surprising():
    sets = {"liver": GENES[:20]}
    narrow, wide = (over_representation(GENES[:10], sets, GENES[:n]).loc[0, "p"] for n in (25, 300))
    assert wide < 1e-9 < 1e-3 < narrow


def test_false_discovery_rates_are_those_of_the_house():
    rng = np.random.default_rng(0)
    sets = random_sets(rng, 60)
    for method, correct in (("bh", benjamini_hochberg), ("storey", storey)):
        table = over_representation(GENES[:40], sets, GENES, method=method)
        assert table["p"].is_monotonic_increasing
        np.testing.assert_allclose(table["fdr"], correct(table["p"]))


def test_a_gene_counts_once_and_random_lists_are_not_significant():
    rng = np.random.default_rng(1)
    sets = random_sets(rng, 40)
    twice = over_representation(GENES[:30] * 2, sets, GENES)
    pd.testing.assert_frame_equal(twice, over_representation(GENES[:30], sets, GENES))
    below = [(over_representation(rng.choice(GENES, 30, False), sets, GENES)["p"] <= 0.05).mean() for _ in range(40)]
    assert 0.005 < np.mean(below) < 0.05  # discrete, so somewhat fewer than the level


def test_identical_sets_are_all_tested():
    table = over_representation(GENES[:5], {"one": GENES[:9], "two": GENES[:9]}, GENES)
    assert table["pathway"].tolist() == ["one", "two"]
    assert table["p"].nunique() == 1


@pytest.mark.parametrize(
    ("genes", "options", "error", "words"),
    [
        (["g1", "TP53"], {}, GeneMismatch, r"1 of 2 genes are not in the background \('TP53'\), which holds 300"),
        ([], {}, ConfigurationError, "no genes are given"),
        (["g1"], {"method": "holm"}, ConfigurationError, "'holm' is not known"),
        (["g1"], {"min_genes": 50}, GeneMismatch, "none holds 50 to 500"),
        (["g1"], {"case": "lower"}, ConfigurationError, "case='lower'"),
    ],
)
def test_lists_that_cannot_be_tested(genes, options, error, words):
    with pytest.raises(error, match=words):
        over_representation(genes, {"set": GENES[:20]}, GENES, **options)


@pytest.mark.real_data
def test_interferon_genes_are_interferon_genes(data_dir):
    sets = read_gene_sets(data_dir / "h.all.v7.0.symbols.gmt")
    genes = ad.read_h5ad(data_dir / "derived/puram_GSE103322_180cells.h5ad", backed="r").var_names
    query = [gene for gene in sets["HALLMARK_INTERFERON_ALPHA_RESPONSE"] if gene in genes]
    table = over_representation(query[::2], sets, genes)
    assert table["pathway"].tolist()[:2] == ["HALLMARK_INTERFERON_ALPHA_RESPONSE", "HALLMARK_INTERFERON_GAMMA_RESPONSE"]
    assert (table["fdr"][:2] < 1e-20).all()
    assert table.loc[0, "genes"] == ";".join(query[::2])


# ---- ranked enrichment


@pytest.mark.parametrize(
    ("members", "es", "edge"),
    [
        (["g0", "g1"], 1, "g0;g1"),
        (["g3", "g4"], -1, "g4;g3"),
        (["g0", "g3"], 5 / 7, "g0"),
        (["g1", "g4"], -1 / 3 + 4 / 5, "g1"),
        (["g2", "g4"], -2 / 3 + 3 / 4 - 1 / 3 - 1 / 3 - 1 / 12, "g4;g2"),
    ],
)
def test_enrichment_scores_by_hand(members, es, edge):
    scores = pd.Series([5.0, 4, 3, 2, 1], GENES[:5])
    row = ranked_enrichment(scores, {"set": members}, min_genes=2, n_permutations=20).iloc[0]
    assert row["es"] == pytest.approx(es)
    assert row["genes"] == edge


@given(
    scores=st.lists(st.integers(-4, 4) | st.floats(-4, 4), min_size=3, max_size=25),
    picks=st.lists(st.integers(0, 24), min_size=1, max_size=12),
)
@settings(max_examples=150, deadline=None)
def test_enrichment_scores_are_what_a_loop_says(scores, picks):
    series = pd.Series(scores, GENES[: len(scores)], dtype=float)
    members = sorted({pick % len(scores) for pick in picks})
    ranking = Ranking.of(series.to_numpy())
    es, _ = ranking.scores(np.sort(ranking.place[members])[None])
    assert es[0] == pytest.approx(running_sum(series, [GENES[i] for i in members]), abs=1e-8)


def test_a_set_spread_evenly_is_not_enriched():
    scores = pd.Series(np.linspace(1, -1, 300), GENES)
    row = ranked_enrichment(scores, {"even": GENES[5::10], "top": GENES[:30]}).set_index("pathway")
    assert row.loc["top", "es"] == pytest.approx(1)
    assert abs(row.loc["even", "es"]) < 0.15
    assert row.loc["even", "p"] > 0.5


def test_p_and_nes_are_those_of_all_possible_sets():
    scores = pd.Series(np.random.default_rng(3).normal(size=10), GENES[:10])
    every = {c: running_sum(scores, c) for c in combinations(GENES[:10], 3)}
    null = np.array(list(every.values()))
    sets = {str(i): list(c) for i, c in enumerate([*every][::20])}
    table = ranked_enrichment(scores, sets, min_genes=3, n_permutations=20_000).set_index("pathway")
    for name, members in sets.items():
        es = every[tuple(members)]
        same = np.abs(null[null >= 0] if es >= 0 else null[null < 0])
        assert table.loc[name, "p"] == pytest.approx((same >= abs(es) - 1e-9).mean(), abs=0.02)
        assert table.loc[name, "nes"] == pytest.approx(es / same.mean(), rel=0.02)


def test_draws_are_uniform_and_without_repeats():
    draws = Draws.of(12, 5, 6000, seed=0)
    first, second = draws.places(4), draws.places(4)
    assert (np.diff(first, axis=1) > 0).all()
    assert (first != second).any()
    np.testing.assert_allclose(np.bincount(first.ravel(), minlength=12) / 6000, 4 / 12, atol=0.03)
    assert Draws.of(9, 9, 3, seed=0).places(9).tolist() == [[*range(9)]] * 3


@pytest.mark.parametrize("kind", ["normal", "tied", "heavy"])
def test_p_values_are_uniform_where_nothing_is_enriched(kind):
    rng = np.random.default_rng({"normal": 0, "tied": 1, "heavy": 2}[kind])
    sets = random_sets(rng, 4)
    p = []
    for seed in range(80):
        drawn = rng.standard_cauchy(300) if kind == "heavy" else rng.normal(size=300)
        scores = pd.Series(np.round(drawn, 1) if kind == "tied" else drawn, GENES)
        p += ranked_enrichment(scores, sets, n_permutations=200, seed=seed)["p"].tolist()
    assert kstest(p, "uniform").pvalue > 1e-3


def test_false_discoveries_are_as_rare_as_claimed():
    rng = np.random.default_rng(5)
    sets = random_sets(rng, 60)
    found = [
        ranked_enrichment(pd.Series(rng.normal(size=300), GENES), sets, n_permutations=150, seed=i)["fdr"].min() < 0.2
        for i in range(60)
    ]
    assert binomtest(sum(found), len(found), 0.2, alternative="greater").pvalue > 0.01


def test_planted_sets_come_first_and_others_do_not():
    rng = np.random.default_rng(6)
    sets = random_sets(rng, 80, GENES[60:]) | {"up": GENES[:25], "down": GENES[25:50]}
    shift = np.repeat([1.5, -1.5, 0], [25, 25, 250])
    table = ranked_enrichment(pd.Series(rng.normal(size=300) + shift, GENES), sets, seed=1)
    assert set(table["pathway"][:2]) == {"up", "down"}
    assert (table["fdr"][:2] < 0.01).all()
    assert (table["fdr"][2:] > 0.05).all()
    signs = table.set_index("pathway")["nes"]
    assert signs["up"] > 1.5
    assert signs["down"] < -1.5
    edge = table.set_index("pathway").loc["up", "genes"].split(";")
    assert set(edge) < set(GENES[:25])


def test_order_of_genes_and_of_ties_does_not_matter():
    rng = np.random.default_rng(7)
    scores, sets = pd.Series(rng.integers(-3, 4, 300) / 2, GENES), random_sets(rng, 20)
    table = ranked_enrichment(scores, sets).set_index("pathway")
    other = ranked_enrichment(scores.sample(frac=1, random_state=0), sets).set_index("pathway")
    np.testing.assert_allclose(other.loc[table.index, NUMBERS], table[NUMBERS], rtol=1e-9)
    turned = ranked_enrichment(-scores, sets).set_index("pathway")
    np.testing.assert_allclose(turned.loc[table.index, "es"], -table["es"], rtol=1e-9)


def test_a_seed_repeats_and_scale_does_not_matter():
    rng = np.random.default_rng(8)
    scores, sets = pd.Series(rng.normal(size=300), GENES), random_sets(rng, 20)
    table = ranked_enrichment(scores, sets, seed=3)
    pd.testing.assert_frame_equal(ranked_enrichment(scores, sets, seed=3), table)
    assert not ranked_enrichment(scores, sets, seed=4)["p"].equals(table["p"])
    np.testing.assert_allclose(ranked_enrichment(scores * 1e6, sets, seed=3)[NUMBERS], table[NUMBERS], rtol=1e-9)


@pytest.mark.parametrize("value", [0.0, 0.1, -7.0])
def test_constant_scores_say_nothing(value):
    sets = random_sets(np.random.default_rng(9), 10) | {"all but 49": GENES[49:]}  # 49 times 1 / 49 is not quite 1
    table = ranked_enrichment(pd.Series(value, GENES), sets)
    assert (table[["es", "nes"]] == 0).all(axis=None)
    assert (table[["p", "fdr"]] == 1).all(axis=None)
    assert (table["genes"] == "").all()


def test_genes_without_a_score_do_not_count():
    scores = pd.Series(np.random.default_rng(10).normal(size=300), GENES)
    sets = {"set": GENES[:20]}
    table = ranked_enrichment(scores, sets)
    pd.testing.assert_frame_equal(ranked_enrichment(scores, {"set": [*GENES[:20], "TP53", "KRAS"]}), table)
    assert table.loc[0, "size"] == 20


def test_a_set_of_all_genes_and_a_single_draw_are_survived():
    scores = pd.Series(np.random.default_rng(11).normal(size=300), GENES)
    table = ranked_enrichment(scores, {"all": GENES, "few": GENES[:5]}, n_permutations=1)
    assert table[NUMBERS].notna().all(axis=None)
    assert table.set_index("pathway").loc["all", "p"] == 1


@pytest.mark.parametrize(
    ("scores", "options", "error", "words"),
    [
        ([1, np.nan, 2, np.nan], {}, InvalidValues, r"gene 'g1' has no score in 't' \(2 scores are missing in all\)"),
        ([1, np.inf, 2, 3], {}, InvalidValues, "column 't', row 'g1': inf is not finite"),
        ([1, "high", 2, 3], {}, InvalidValues, "'high' is not a number"),
        ([], {}, ConfigurationError, "0 genes x 1 columns"),
        ([1, 2, 3, 4], {"n_permutations": 0}, ConfigurationError, "n_permutations=0 leaves no draws"),
        ([1, 2, 3, 4], {"method": "none"}, ConfigurationError, "'none' is not known"),
        ([1, 2, 3, 4], {"min_genes": 4}, GeneMismatch, "none holds 4 to 500"),
    ],
)
def test_scores_that_cannot_be_ranked(scores, options, error, words):
    series = pd.Series(scores, GENES[: len(scores)], name="t", dtype=None if scores else float)
    with pytest.raises(error, match=words):
        ranked_enrichment(series, {"set": GENES[:3]}, **{"min_genes": 2} | options)


def test_a_gene_with_two_scores_is_refused():
    with pytest.raises(DuplicateIds, match="'g0'"):
        ranked_enrichment(pd.Series([1.0, 2, 3], ["g0", "g0", "g1"]), {"set": GENES[:3]}, min_genes=1)


def test_many_sets_take_seconds():
    rng = np.random.default_rng(12)
    genes = [f"g{i}" for i in range(2000)]
    sets = random_sets(rng, 700, genes, (5, 300))
    start = time.process_time()
    ranked_enrichment(pd.Series(rng.normal(size=2000), genes), sets, n_permutations=1000)
    assert time.process_time() - start < 6


# ---- latents


def planted(rng):
    loadings = pd.DataFrame(rng.normal(size=(300, 3)), GENES, ["z1", "z2", "z3"])
    loadings.loc[GENES[:20], "z1"] += 3
    loadings.loc[GENES[20:40], "z2"] -= 3
    return loadings, random_sets(rng, 50, GENES[60:]) | {"A": GENES[:20], "B": GENES[20:40]}


def test_planted_latents_are_named_by_both_tests():
    loadings, sets = planted(np.random.default_rng(13))
    table = enrich_latents(loadings, sets, top=20)
    assert table.columns.tolist() == COLUMNS
    hits = table[table["fdr"] < 0.01]
    assert sorted(map(tuple, hits[["latent", "test", "direction", "pathway"]].to_numpy())) == [
        ("z1", "over_representation", "positive", "A"),
        ("z1", "ranked", "positive", "A"),
        ("z2", "over_representation", "negative", "B"),
        ("z2", "ranked", "negative", "B"),
    ]
    assert table["latent"].drop_duplicates().tolist() == ["z1", "z2", "z3"]
    assert len(table) == 3 * (2 + 1) * len(sets)


def test_latents_agree_with_the_single_tests_and_share_one_correction():
    loadings, sets = planted(np.random.default_rng(14))
    table = enrich_latents(loadings, sets, top=20)
    lists = table[table["test"] == "over_representation"]
    np.testing.assert_allclose(lists["fdr"], benjamini_hochberg(lists["p"]))
    own = lists[(lists["latent"] == "z2") & (lists["direction"] == "negative")].reset_index(drop=True)
    single = over_representation(loadings["z2"].nsmallest(20).index, sets, GENES)
    columns = ["overlap", "expected", "odds_ratio", "p", "genes"]
    pd.testing.assert_frame_equal(
        own.set_index("pathway")[columns].sort_index(),
        single.set_index("pathway")[columns].sort_index(),
        check_dtype=False,
    )
    ranked = table[(table["test"] == "ranked") & (table["latent"] == "z2")].set_index("pathway")
    alone = ranked_enrichment(loadings["z2"], sets).set_index("pathway").loc[ranked.index]
    np.testing.assert_allclose(ranked["es"], alone["es"])
    assert ((ranked["es"] >= 0) == (ranked["direction"] == "positive")).all()


def test_loadings_of_one_sign_have_one_end():
    loadings, sets = planted(np.random.default_rng(15))
    loadings["z1"], loadings["z2"] = loadings["z1"].abs() + 0.1, 0.0
    table = enrich_latents(loadings, sets, n_permutations=50)
    ends = table[table["test"] == "over_representation"].groupby("latent")["direction"].unique()
    assert {latent: sorted(found) for latent, found in ends.items()} == {
        "z1": ["positive"],
        "z3": ["negative", "positive"],
    }
    assert (table.loc[table["latent"] == "z2", "p"] == 1).all()
    nothing = enrich_latents(loadings[["z2"]], sets, n_permutations=50)
    assert (nothing["test"] == "ranked").all()


def test_top_genes_by_hand():
    loadings = pd.DataFrame({"a": [0.5, -1, 0, 2], "b": [0.0, 0, 0, 0]}, ["w", "x", "y", "z"])
    expected = [("a", "positive", 1, "z", 2.0), ("a", "positive", 2, "w", 0.5), ("a", "negative", 1, "x", -1.0)]
    assert [tuple(row) for row in top_genes(loadings, 3).to_numpy()] == expected
    assert [tuple(row) for row in top_genes(loadings, 1).to_numpy()] == expected[::2]
    empty = top_genes(loadings[["b"]])
    assert (len(empty), empty.columns.tolist()) == (0, ["latent", "direction", "rank", "gene", "loading"])


def test_loadings_that_cannot_be_used():
    loadings, sets = planted(np.random.default_rng(16))
    with pytest.raises(ConfigurationError, match="the top 0 genes are none"):
        enrich_latents(loadings, sets, top=0)
    with pytest.raises(DuplicateIds, match=r"1 latents stand more than once \('z1'\)"):
        enrich_latents(loadings[["z1", "z1"]], sets)
    with pytest.raises(ConfigurationError, match="300 genes x 0 columns"):
        top_genes(loadings[[]])
    loadings.iloc[4, 1] = np.nan
    with pytest.raises(InvalidValues, match="gene 'g4' has no score in 'z2'"):
        top_genes(loadings)


@pytest.mark.real_data
def test_macrophages_present_antigen_and_endothelium_holds_together(data_dir):
    cells = ad.read_h5ad(data_dir / "derived/puram_GSE103322_180cells.h5ad")
    values, types = cells.X.toarray(), cells.obs["celltypes"].to_numpy()
    scores = {}
    for name in ("Macrophage", "Endothelial"):
        inside, outside = values[types == name], values[types != name]
        error = np.sqrt(inside.var(axis=0) / len(inside) + outside.var(axis=0) / len(outside))
        scores[name] = (inside.mean(axis=0) - outside.mean(axis=0)) / (error + 0.1)
    sets = read_gene_sets(data_dir / "reactome_pathways.gmt")
    table = enrich_latents(pd.DataFrame(scores, cells.var_names), sets, n_permutations=300)
    positive = table[(table["direction"] == "positive") & (table["fdr"] < 0.05)]
    hits = positive.groupby(["latent", "test"])["pathway"].apply(list)
    assert hits["Macrophage", "over_representation"][0] == "MHC class II antigen presentation"
    assert hits["Endothelial", "over_representation"][0] == "Hemostasis"
    assert {"MHC class II antigen presentation", "Neutrophil degranulation"} <= set(hits["Macrophage", "ranked"][:10])
    assert "Cell junction organization" in hits["Endothelial", "ranked"]
    assert table["id"].str.fullmatch(r"R-HSA-\d+").all()
