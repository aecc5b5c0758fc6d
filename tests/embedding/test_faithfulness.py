from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from cellixir.data.simulate.cells import simulate_cells
from cellixir.embedding.faithfulness import faithfulness, recovered, separation, stability
from cellixir.exceptions import ConfigurationError, DuplicateIds, InvalidValues, UnknownIds


def frame(columns: dict[str, object]) -> pd.DataFrame:
    found = pd.DataFrame(columns)
    return found.set_axis([f"c{i}" for i in range(len(found))])


def noise(n: int, names: str, seed: int = 0) -> pd.DataFrame:
    values = np.random.default_rng(seed).normal(size=(n, len(names)))
    return frame(dict(zip(names, values.T, strict=True)))


def test_a_latent_that_is_its_pathway_is_faithful() -> None:
    activities = frame({"a": [1.0, 2.0, 3.0, 4.0], "b": [2.0, 1.0, 4.0, 3.0]})
    found = faithfulness(np.exp(activities), activities)
    # ranks 1234 and 2143: 1 - 6 * 4 / (4 * 15)
    assert found.loc["a"].to_dict() == {
        "spearman": pytest.approx(1.0),
        "best_other": "b",
        "best_other_spearman": pytest.approx(0.6),
        "specificity": pytest.approx(0.4),
        "rank": 1,
        "auc": 1.0,
    }


def test_a_latent_under_the_wrong_name_is_seen() -> None:
    activities = frame({"a": [1.0, 2.0, 3.0, 4.0], "b": [2.0, 1.0, 4.0, 3.0]})
    found = faithfulness(activities.rename(columns={"a": "b", "b": "a"}), activities)
    np.testing.assert_allclose(found["spearman"], 0.6)
    np.testing.assert_allclose(found["specificity"], -0.4)
    assert found["rank"].tolist() == [2, 2]


def test_the_sign_of_a_latent_says_nothing() -> None:
    activities, latents = noise(50, "ab"), noise(50, "abcd", seed=1)
    pd.testing.assert_frame_equal(faithfulness(latents, activities), faithfulness(-latents, activities))


def test_ties_are_ranked_as_scipy_does() -> None:
    latents, activities = noise(80, "abcd").round(0), noise(80, "abc", seed=2).round(0)
    found = faithfulness(latents, activities)
    for name in activities:
        of = {other: abs(spearmanr(latents[other], activities[name])[0]) for other in latents}
        own = of.pop(name)
        assert found.loc[name, "spearman"] == pytest.approx(own)
        assert found.loc[name, "best_other_spearman"] == pytest.approx(max(of.values()))
        assert found.loc[name, "best_other"] == max(of, key=lambda other: of[other])
        assert found.loc[name, "rank"] == 1 + sum(value >= own for value in of.values())
        high = activities[name] > activities[name].median()
        area = roc_auc_score(high, latents[name])
        assert found.loc[name, "auc"] == pytest.approx(max(area, 1 - area))


def test_pathways_that_are_on_or_off_have_an_auc() -> None:
    activities = frame({"mostly": [1.0, 1.0, 1.0, 0.0], "rarely": [0.0, 0.0, 0.0, 1.0]})
    latents = frame({"mostly": [3.0, 0.5, 2.0, 1.0], "rarely": [3.0, 0.5, 2.0, 1.0]})
    np.testing.assert_allclose(faithfulness(latents, activities)["auc"], 2 / 3)


def test_a_collapsed_latent_follows_nothing() -> None:
    activities = noise(30, "ab")
    found = faithfulness(activities.assign(a=0.0), activities)
    assert found.loc["a", "spearman"] == 0
    assert found.loc["a", "auc"] == 0.5
    assert found.loc["a", "rank"] == 2
    assert found.loc["a", "specificity"] == -found.loc["a", "best_other_spearman"] < 0


def test_ties_count_against_the_own_latent() -> None:
    activities = noise(30, "abc")
    assert faithfulness(activities * 0.0, activities)["rank"].tolist() == [3, 3, 3]


def test_a_lone_latent_has_no_other() -> None:
    found = faithfulness(noise(20, "a"), noise(20, "a"))
    assert found["spearman"].tolist() == pytest.approx([1.0])
    assert found[["best_other", "best_other_spearman", "specificity"]].isna().all().all()
    assert found["rank"].tolist() == [1]


def test_cells_are_matched_by_name() -> None:
    activities, latents = noise(40, "ab"), noise(40, "abc", seed=1)
    shuffled = latents.sample(frac=1, random_state=0)[["c", "b", "a"]]
    pd.testing.assert_frame_equal(faithfulness(shuffled, activities), faithfulness(latents, activities))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_rising_transforms_change_nothing(seed: int) -> None:
    activities, latents = noise(25, "ab", seed), noise(25, "abc", seed + 1)
    pd.testing.assert_frame_equal(faithfulness(latents**3, activities), faithfulness(latents, np.tanh(activities)))


def test_noise_is_not_faithful() -> None:
    found = faithfulness(noise(4000, "abcdef"), noise(4000, "abcdef", seed=1))
    assert found["spearman"].max() < 4.5 / np.sqrt(4000)
    assert found["auc"].max() < 0.55


def test_mean_log_counts_of_planted_pathways_follow_them() -> None:
    """A plain score, the mean of a pathway's genes, is above chance and below the truth itself."""
    adata, truth = simulate_cells(800, 300, density=0.3, n_pathways=20, n_active=5, seed=1)
    share = adata.to_df().div(truth.library_sizes, axis=0)
    scores = pd.DataFrame({name: np.log1p(share[genes]).mean(axis=1) for name, genes in truth.gene_sets.items()})
    found = faithfulness(scores, truth.activities)
    assert found["spearman"].between(0.3, 0.99).all()
    assert (faithfulness(truth.activities, truth.activities)["specificity"] > 0.5).all()
    shuffled = scores.sample(frac=1, random_state=0).set_axis(scores.index)
    assert faithfulness(shuffled, truth.activities)["spearman"].max() < 0.16


@pytest.mark.parametrize(
    ("latents", "activities", "error", "said"),
    [
        (noise(5, "ab"), noise(6, "ab"), UnknownIds, "1 are missing and 0 are only there (e.g. 'c5')"),
        (noise(6, "ab"), noise(5, "ab"), UnknownIds, "0 are missing and 1 are only there"),
        (noise(5, "ab"), noise(5, "abz"), UnknownIds, "not among the latents ('z'; there are 'a', 'b')"),
        (noise(5, "a").assign(a=np.nan), noise(5, "a"), InvalidValues, "latents: the value of 'a' in row 'c0'"),
        (noise(5, "a"), noise(5, "a").assign(a=np.inf), InvalidValues, "activities: the value of 'a'"),
        (noise(5, "a"), noise(5, "a").assign(a=1.0), InvalidValues, "the activity of 'a' is the same in all cells"),
        (noise(2, "a").set_axis(["c", "c"]), noise(2, "a"), DuplicateIds, "latents: 1 rows stand twice ('c')"),
        (noise(5, "ab").set_axis(["a", "a"], axis=1), noise(5, "a"), DuplicateIds, "latents: 1 columns stand twice"),
    ],
)  # fmt: skip
def test_tables_that_do_not_fit_are_refused(
    latents: pd.DataFrame, activities: pd.DataFrame, error: type[Exception], said: str
) -> None:
    with pytest.raises(error) as caught:
        faithfulness(latents, activities)
    assert said in str(caught.value)


def test_recovered_counts_the_top() -> None:
    ranking = pd.Series({"d": 1.0, "a": 9.0, "b": 8.0, "c": 7.0, "e": 0.0})
    assert [recovered(ranking, ["a", "c", "e"], top=top) for top in (1, 2, 3, 5, 99)] == [1, 1, 2, 3, 3]


def test_ties_are_not_recovered_unless_all_fit() -> None:
    ranking = pd.Series(0.0, index=list("abcdef"))
    assert recovered(ranking, ["a", "b"], top=5) == 0
    assert recovered(ranking, ["a", "b"], top=6) == 2


def test_separation_is_the_auroc() -> None:
    rng = np.random.default_rng(0)
    scores = pd.Series(rng.integers(0, 8, 40).astype(float), index=[f"p{i}" for i in range(40)])
    active = list(scores.index[:12])
    assert separation(scores, active) == pytest.approx(roc_auc_score(scores.index.isin(active), scores))
    assert separation(-scores, active) == pytest.approx(1 - separation(scores, active))
    assert np.isnan(separation(scores, []))
    assert np.isnan(separation(scores, list(scores.index)))


def test_rankings_that_do_not_fit_are_refused() -> None:
    ranking = pd.Series({"a": 1.0, "b": 2.0})
    for measure in (recovered, separation):
        with pytest.raises(UnknownIds, match=r"1 of 2 names are not among the ranking \('z'"):
            measure(ranking, ["a", "z"])
        with pytest.raises(InvalidValues, match="ranking: the value of 'importance' in row 'a'"):
            measure(pd.Series({"a": np.nan, "b": 2.0}), ["b"])
        with pytest.raises(DuplicateIds, match="stand twice"):
            measure(pd.Series([1.0, 2.0], index=["a", "a"]), ["a"])
    with pytest.raises(ConfigurationError, match="top=0"):
        recovered(ranking, ["a"], top=0)


def test_seeds_that_agree_are_stable_whatever_the_sign() -> None:
    latents = noise(60, "abc")
    found = stability([latents, -latents, latents**3])
    np.testing.assert_allclose(found[["correlation", "lowest"]], 1)
    assert found["n_pairs"].tolist() == [3, 3, 3]
    assert found.index.tolist() == ["a", "b", "c"]


def test_stability_is_the_mean_over_pairs() -> None:
    seeds = [noise(40, "ab", seed=seed) for seed in range(3)]
    pairs = [(0, 1), (0, 2), (1, 2)]
    found = stability(seeds)
    for name in "ab":
        each = [abs(spearmanr(seeds[i][name], seeds[j][name])[0]) for i, j in pairs]
        assert found.loc[name, "correlation"] == pytest.approx(np.mean(each))
        assert found.loc[name, "lowest"] == pytest.approx(min(each))


def test_names_hold_where_latents_stand_for_pathways() -> None:
    latents = noise(500, "abc")
    swapped = latents.rename(columns={"a": "b", "b": "a"})
    found = stability([latents, swapped])
    assert found.loc[["a", "b"], "correlation"].max() < 0.2
    assert found.loc["c", "correlation"] == pytest.approx(1)


@pytest.mark.parametrize("free", ["all", ["a", "b", "c"]])
def test_free_latents_are_matched_by_what_they_say(free: str | list[str]) -> None:
    latents = noise(500, "abcd")
    swapped = latents.rename(columns={"a": "b", "b": "c", "c": "a"})
    np.testing.assert_allclose(stability([latents, swapped, -swapped], free=free)["correlation"], 1)  # type: ignore[arg-type]


def test_a_free_latent_never_takes_the_place_of_a_pathway() -> None:
    latents = noise(500, "abcd")
    swapped = latents.rename(columns={"a": "c", "c": "a"})
    found = stability([latents, swapped], free=["c", "d"])
    assert found.loc[["a", "c"], "correlation"].max() < 0.2
    assert found.loc["d", "correlation"] == pytest.approx(1)


def test_the_assignment_is_the_best_of_all_and_not_greedy() -> None:
    """Greedy takes a-x first and leaves b nothing; the best total pairs a with y and b with x."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 4000))
    first = frame({"a": x + 0.9 * y, "b": x + 0.05 * rng.normal(size=4000)})
    second = frame({"a": x + 0.4 * y, "b": y})
    found = stability([first, second], free="all")
    totals = [
        sum(abs(spearmanr(first[i], second[j])[0]) for i, j in zip("ab", order, strict=True)) for order in ("ab", "ba")
    ]
    greedy = abs(spearmanr(first["a"], second["a"])[0])
    assert greedy > abs(spearmanr(first["b"], second["a"])[0])
    assert totals[1] > totals[0]
    assert found["correlation"].sum() == pytest.approx(totals[1])


def test_a_collapsed_latent_is_not_stable() -> None:
    latents = noise(30, "ab")
    found = stability([latents.assign(a=1.0), latents.assign(a=1.0)])
    assert found["correlation"].tolist() == pytest.approx([0.0, 1.0])


def test_order_of_cells_and_latents_is_free() -> None:
    one, two = noise(50, "abc"), noise(50, "abc", seed=4)
    shuffled = two.sample(frac=1, random_state=1)[["b", "c", "a"]]
    for free in ((), "all"):
        found, wanted = stability([one, shuffled], free=free), stability([one, two], free=free)
        pd.testing.assert_frame_equal(found, wanted)


def test_seeds_that_do_not_fit_are_refused() -> None:
    latents = noise(10, "ab")
    with pytest.raises(ConfigurationError, match="2 seeds or more; it has those of 1"):
        stability([latents])
    with pytest.raises(UnknownIds, match=r"latents of seed 3 and latents of seed 1 are not of the same cells"):
        stability([latents, latents, latents.iloc[:9]])
    with pytest.raises(UnknownIds, match=r"not among the latents of seed 2 \('b'"):
        stability([latents, latents[["a"]]])
    with pytest.raises(UnknownIds, match=r"not among the latents of seed 1 \('c'"):
        stability([latents, noise(10, "abc")])
    with pytest.raises(UnknownIds, match=r"not among the latents of seed 1 \('x'"):
        stability([latents, latents], free=["x"])
    with pytest.raises(InvalidValues, match="latents of seed 2: the value of 'a' in row 'c0'"):
        stability([latents, latents.assign(a=np.inf)])
