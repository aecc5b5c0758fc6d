"""Dealing of rows into folds and into one part that is held out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import KFold, StratifiedGroupKFold, StratifiedKFold

from cellixir.data.dealing import deal, hold_out

N = 60
STRATA, GROUPS = np.arange(N) * 7 % 3, np.arange(N) % 12


@pytest.mark.parametrize(
    ("kind", "strata", "groups"),
    [(KFold, None, None), (StratifiedKFold, STRATA, None), (StratifiedGroupKFold, STRATA, GROUPS)],
)
def test_folds_are_those_of_scikit_learn(kind, strata, groups):
    fold = deal(N, 4, 3, strata=strata, groups=groups)
    tested = kind(4, shuffle=True, random_state=3).split(np.empty(N), strata, groups)
    assert all((np.flatnonzero(fold == number) == test).all() for number, (_, test) in enumerate(tested))


def test_of_groups_alone_each_fold_has_as_many():
    fold = deal(N, 4, 0, groups=[f"patient {g}" for g in GROUPS])
    assert [len({*GROUPS[fold == k]}) for k in range(4)] == [3, 3, 3, 3]
    assert (fold != deal(N, 4, 1, groups=GROUPS)).any()


def test_even_folds_balance_rows_where_groups_are_unequal():
    groups = np.repeat(np.arange(8), [24, 8, 8, 4, 4, 4, 4, 4])
    assert max(np.bincount(deal(N, 3, s, groups=groups, even=True)).max() for s in range(5)) == 24
    assert all(np.bincount(deal(N, 3, s, groups=groups, even=True)).min() >= 16 for s in range(5))


@given(st.integers(4, 80), st.floats(0.05, 0.9), st.integers(0, 99), st.sampled_from(["rows", "strata"]))
def test_as_many_rows_are_held_out_as_wanted(n, share, seed, by):
    wanted = max(round(share * n), 1)
    strata = np.arange(n) % 3 if by == "strata" else None
    chosen = hold_out(n, wanted, np.random.default_rng(seed), strata=strata)
    assert chosen.sum() == wanted
    if strata is not None:
        assert all(abs(chosen[strata == s].sum() - share * (strata == s).sum()) < 2 for s in range(3))


@given(st.integers(3, 30), st.integers(0, 99))
def test_held_out_groups_are_whole_and_at_most_a_third(n_groups, seed):
    rng = np.random.default_rng(seed)
    groups = np.append(np.arange(n_groups), rng.integers(0, n_groups, 60)).astype(str)
    chosen = hold_out(len(groups), 10, rng, groups=groups)
    assert 0 < chosen.sum() <= len(groups) / 3
    assert not {*groups[chosen]} & {*groups[~chosen]}
