"""Genes of a query in the order of a model's: permuted, missing, more than the model knows."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from cellixir.data.expression.alignment import align
from cellixir.exceptions import ConfigurationError, DuplicateIds, GeneMismatch

GENES = [f"GENE{i}" for i in range(20)]
kinds = pytest.mark.parametrize("kind", [np.asarray, sp.csr_matrix, sp.csc_matrix], ids=["dense", "csr", "csc"])


def cells(names: list[str], kind=np.asarray, n: int = 6) -> ad.AnnData:
    """The value of a gene is the same wherever it stands."""
    columns = {name: np.random.default_rng(abs(hash_of(name))).poisson(1.0, n) for name in names}
    x = np.stack([columns[name] for name in names], axis=1).astype(np.float32)
    return ad.AnnData(kind(x), var=pd.DataFrame(index=names))


def hash_of(name: str) -> int:
    return int.from_bytes(name.encode(), "little")


def written_out(rows) -> np.ndarray:
    return rows.toarray() if sp.issparse(rows) else rows


@kinds
@settings(max_examples=15, deadline=None)
@given(order=st.permutations(GENES), n_extra=st.integers(0, 4))
def test_permuted_and_extra_genes_change_nothing(kind, order, n_extra):
    query = cells([*(f"EXTRA{i}" for i in range(n_extra)), *order], kind)
    matrix, notes = align(query, GENES)
    wanted = cells(GENES).X
    assert notes == []
    assert matrix.shape == wanted.shape
    np.testing.assert_array_equal(written_out(matrix.take(np.array([4, 0]))), wanted[[4, 0]])
    found = [written_out(block) for _, block in matrix.blocks(4)]
    np.testing.assert_array_equal(np.concatenate(found), wanted)
    assert sp.issparse(matrix.take(np.array([0]))) is matrix.sparse is (kind is not np.asarray)


@kinds
@pytest.mark.parametrize(("missing", "mean"), [("zero", None), ("zero", 7.0), ("mean", 7.0)])
def test_missing_genes_are_filled_in_place(kind, missing, mean):
    there = [name for name in reversed(GENES) if name not in {"GENE3", "GENE9"}]
    values = None if mean is None else np.full(len(GENES), mean, dtype=np.float32)
    matrix, notes = align(cells(there, kind), GENES, missing=missing, mean=values)
    wanted = cells(GENES).X.copy()
    wanted[:, [3, 9]] = mean if missing == "mean" else 0
    np.testing.assert_array_equal(written_out(matrix.take(np.arange(6))), wanted)
    assert notes == ["2 of the model's 20 genes (10%) are not in the data ('GENE3', 'GENE9'); they were filled in"]


def test_missing_genes_are_refused_with_the_count_and_the_way_out():
    with pytest.raises(GeneMismatch, match=r"2 of the model's 20 genes \(10%\).*missing=\"zero\""):
        align(cells(GENES[2:]), GENES)
    with pytest.raises(GeneMismatch, match=r"6 of the model's 20 genes \(30%\).*too many to fill in"):
        align(cells(GENES[6:]), GENES, missing="zero")
    with pytest.raises(GeneMismatch, match=r"20 of the model's 20 genes.*'GENE0'.*not 'ENSG1'"):
        align(cells(["ENSG1", "ENSG2"]), GENES)


def test_a_fifth_is_the_most_that_is_filled_in():
    align(cells(GENES[4:]), GENES, missing="zero")
    with pytest.raises(GeneMismatch):
        align(cells(GENES[5:]), GENES, missing="zero")


def test_repeated_genes_and_unknown_choices_are_refused():
    with (
        pytest.raises(DuplicateIds, match="1 gene stands more than once \\('GENE1'\\)"),
        pytest.warns(UserWarning, match="unique"),
    ):
        align(cells(["GENE1", "GENE1", "GENE2"]), GENES)
    with pytest.raises(ConfigurationError, match="missing must be one of refuse, zero, mean, not 'fill'"):
        align(cells(GENES), GENES, missing="fill")
    with pytest.raises(ConfigurationError, match="a mean is none; use 'zero'"):
        align(cells(GENES), GENES, missing="mean")
