"""Scores of connectivity against slow ones by hand, and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from cellixir.perturbation import connectivity as scores
from cellixir.perturbation.query_null import RandomSets, standardised

N_GENES = 60


def by_hand(z: np.ndarray, genes: set[int]) -> float:
    """Running sum over all genes, one after the other."""
    order = sorted(range(len(z)), key=lambda g: (-z[g], g))
    total = sum(abs(float(z[g])) for g in genes)
    at, farthest = 0.0, 0.0
    for gene in order:
        at += abs(float(z[gene])) / total if gene in genes else -1 / (len(z) - len(genes))
        farthest = at if abs(at) > abs(farthest) + 1e-12 else farthest
    return farthest


@pytest.fixture(scope="module")
def values() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(9, N_GENES)).astype("f4")


def test_enrichment_is_that_by_hand_for_sets_of_any_size(values: np.ndarray) -> None:
    rng = np.random.default_rng(1)
    members = [rng.permutation(N_GENES)[:n] for n in (1, 2, 5, 5, 7, 8, 13, 29, 40)]
    found = scores.Sets([*members, np.empty(0, int)], N_GENES).enrichment(scores.ranked(values))
    wanted = [[by_hand(z, set(genes.tolist())) for genes in members] for z in values]
    np.testing.assert_allclose(found[:, :-1], wanted, atol=2e-6)
    assert (found[:, -1] == 0).all()


def test_closed_forms_of_enrichment() -> None:
    z = np.arange(10, 0, -1, dtype="f4")[None] - 5.5
    sets = scores.Sets([np.array(genes) for genes in ([0, 1], [9, 8], [0, 9], [4, 5])], 10)
    top, bottom, both, middle = sets.enrichment(scores.ranked(z))[0]
    assert top == pytest.approx(1)
    assert bottom == pytest.approx(-1)
    assert both == pytest.approx(0.5)  # half of the weight first, then all others
    assert middle == pytest.approx(0.5)  # 4 genes of 8 before it, then up by 1: as far above as below
    assert scores.Sets([np.array([0, 1])], 10).enrichment(scores.ranked(np.zeros((1, 10), "f4")))[0, 0] == 0


def test_weighted_connectivity_of_one_set_or_two() -> None:
    up, down = np.float32([0.6, -0.5, 0.4]), np.float32([-0.2, 0.1, 0.3])
    np.testing.assert_allclose(scores.weighted_connectivity(up, down), [0.4, -0.3, 0], atol=1e-7)
    np.testing.assert_array_equal(scores.weighted_connectivity(up, None), up)
    np.testing.assert_array_equal(scores.weighted_connectivity(None, down), -down)


def test_normalised_scores_have_mean_one_by_sign_and_group() -> None:
    rng = np.random.default_rng(0)
    wtcs, groups = rng.normal(size=200).astype("f4"), rng.integers(0, 3, 200)
    ncs = scores.normalised(wtcs, groups)
    for group in range(3):
        own = ncs[groups == group]
        assert own[own > 0].mean() == pytest.approx(1, abs=1e-6)
        assert own[own < 0].mean() == pytest.approx(-1, abs=1e-6)
    assert (np.sign(ncs) == np.sign(wtcs)).all()


def test_max_quantile_is_that_of_numpy() -> None:
    rng = np.random.default_rng(0)
    groups = rng.permutation(np.repeat(np.arange(4), (1, 2, 5, 12)))
    values = rng.normal(size=20).astype("f4")
    for group, found in enumerate(scores.max_quantile(values, groups)):
        high, low = np.quantile(values[groups == group].astype(float), (0.67, 0.33))
        assert found == pytest.approx(high if abs(high) >= abs(low) else low, abs=1e-6)


@pytest.mark.parametrize("tied", [False, True])
def test_cosine_and_spearman(values: np.ndarray, tied: bool) -> None:
    values = np.round(values) if tied else values
    queries = np.random.default_rng(2).normal(size=(3, N_GENES)).astype("f4")
    queries[1] = np.sign(queries[1]) * (np.abs(queries[1]) > 1)
    rho = [[spearmanr(z, q).statistic for q in queries] for z in values]
    np.testing.assert_allclose(scores.spearman(scores.ranked(values), values, queries), rho, atol=1e-6)
    cosine = values @ queries.T / np.linalg.norm(values, axis=1)[:, None] / np.linalg.norm(queries, axis=1)
    np.testing.assert_allclose(scores.cosine(values, queries), cosine, atol=1e-6)


@pytest.mark.parametrize("sizes", [[[6, 6]], [[10, 0]], [[k, k + 5] for k in range(5, 16)]])
def test_p_values_of_random_sets_are_uniform_and_planted_ones_small(sizes: list[list[int]]) -> None:
    rng = np.random.default_rng(5)
    values = (rng.normal(size=(300, N_GENES)) * rng.uniform(0.5, 3, (300, 1))).astype("f4")
    signatures = scores.ranked(values)
    random = RandomSets(np.array(sizes), N_GENES, 50, seed=0)
    scales = random.scales(signatures)
    planted = np.argsort(-values[0])
    for i, (n_up, n_down) in enumerate(sizes):
        draws = [rng.permutation(N_GENES) for _ in range(3)]
        draws.append(planted)
        sets = [d[:n_up] for d in draws] + [d[N_GENES - n_down :] for d in draws]
        es = scores.Sets(sets, N_GENES).enrichment(signatures)
        wtcs = scores.weighted_connectivity(es[:, :4], es[:, 4:] if n_down else None)
        p = [
            random.p_values(standardised(w[:, None], scales[:, random.pair_of[i]])[:, 0], random.pair_of[i])
            for w in wtcs.T
        ]
        assert p[3][0] < 0.001
        below = np.concatenate(p[:3])
        for alpha in (0.05, 0.2):
            assert (below <= alpha).mean() < alpha + 0.05
            assert (below <= alpha).mean() > alpha / 3
        assert (np.concatenate(p)[np.concatenate(wtcs.T) == 0] == 1).all()
