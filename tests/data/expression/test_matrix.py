"""A matrix of cells, wherever it stands."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import zarr
from anndata.io import sparse_dataset
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cellixir.data.expression.matrix import BLOCK, blocks, is_backed, place_of, profile, stored_values, take
from cellixir.exceptions import ConfigurationError, DataError, InvalidValues


def named(x: Any) -> ad.AnnData:
    obs, var = (pd.DataFrame(index=[f"{letter}{i}" for i in range(n)]) for letter, n in zip("cg", x.shape, strict=True))
    return ad.AnnData(x, obs=obs, var=var)


def counts(n_cells: int = 50, n_genes: int = 7, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).poisson(0.6, (n_cells, n_genes)).astype(np.float32)


def with_zeros_written_out(x: np.ndarray) -> sp.csr_matrix:
    full = sp.csr_matrix(np.ones_like(x))
    full.data[:] = x.ravel()
    return full


def write_zarr(cells: ad.AnnData, path: Path) -> Path:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Writing zarr v2|zarr v3 autosharding|Consolidated metadata")
        cells.write_zarr(path)
    return path


def on_disk(x: np.ndarray, how: str, folder: Path) -> Any:
    values = x if "dense" in how else (sp.csc_matrix(x) if "csc" in how else sp.csr_matrix(x))
    if "h5ad" in how:
        named(values).write_h5ad(folder / "x.h5ad")
        group: Any = h5py.File(folder / "x.h5ad", "r")
    else:
        group = zarr.open_group(write_zarr(named(values), folder / "x.zarr"), mode="r")
    return group["X"] if "dense" in how else sparse_dataset(group["X"])


IN_MEMORY: dict[str, Callable[[np.ndarray], Any]] = {
    "dense": lambda x: x,
    "float64": lambda x: x.astype(np.float64),
    "columns first": np.asfortranarray,
    "csr": sp.csr_matrix,
    "csr array": sp.csr_array,
    "csc": sp.csc_matrix,
    "whole numbers": lambda x: sp.csr_matrix(x.astype(np.int64)),
    "explicit zeros": lambda x: with_zeros_written_out(x),
}
ON_DISK = ["csr h5ad", "dense h5ad", "csr zarr", "dense zarr"]


@pytest.fixture(params=[*IN_MEMORY, *ON_DISK])
def kept(request, tmp_path) -> tuple[np.ndarray, Any]:
    x = counts()
    how = request.param
    return x, IN_MEMORY[how](x) if how in IN_MEMORY else on_disk(x, how, tmp_path)


def dense(rows: Any) -> np.ndarray:
    return rows.toarray() if sp.issparse(rows) else rows


def test_blocks_and_takes_are_the_rows_wherever_the_matrix_stands(kept) -> None:
    x, matrix = kept
    found = list(blocks(matrix, 8))
    assert [start for start, _ in found] == [0, 8, 16, 24, 32, 40, 48]
    assert all(block.dtype == np.float32 for _, block in found)
    np.testing.assert_array_equal(np.concatenate([dense(block) for _, block in found]), x)
    assert all(block.nnz == np.count_nonzero(block.data) for _, block in found if sp.issparse(block))
    rows = np.array([31, 2, 2, 49, 0, 17])
    np.testing.assert_array_equal(dense(take(matrix, rows)), x[rows])
    assert take(matrix, np.array([], dtype=int)).shape == (0, 7)


def test_profile_is_that_of_the_numbers_in_double_precision(kept) -> None:
    x, matrix = kept
    seen, true = profile(named(matrix)), x.astype(np.float64)
    np.testing.assert_allclose(seen.library_size, true.sum(axis=1), rtol=1e-14)
    np.testing.assert_allclose(seen.mean, true.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(seen.variance, true.var(axis=0), rtol=1e-12)
    np.testing.assert_array_equal(seen.detected, (x != 0).sum(axis=0))
    assert (seen.minimum, seen.maximum) == (x.min(), x.max())
    assert (seen.whole, seen.counts, seen.binary) == (True, True, False)
    assert seen.density == pytest.approx((x != 0).mean())
    assert seen.fingerprint == profile(named(x)).fingerprint


def test_what_is_given_is_not_changed() -> None:
    x = sp.csr_matrix(counts())
    x.data[:5] = 0  # zeros that are written out, and go in what is handed out
    x.indices[:2] = x.indices[:2][::-1].copy()
    before = x.data.copy(), x.indices.copy()
    profile(named(x))
    next(blocks(x))
    take(x, np.arange(3))
    np.testing.assert_array_equal(x.data, before[0])
    np.testing.assert_array_equal(x.indices, before[1])


@pytest.mark.parametrize("form", [np.asarray, sp.csr_matrix])
def test_variance_does_not_cancel_at_large_values(form) -> None:
    rng = np.random.default_rng(1)
    x = (16_000_000 + rng.integers(0, 4, (3 * BLOCK, 3))).astype(np.float32)
    x[:, 1] = np.where(rng.random(len(x)) < 0.5, 0, x[:, 1])
    seen, true = profile(named(form(x))), x.astype(np.float64)
    np.testing.assert_allclose(seen.variance, true.var(axis=0), rtol=1e-10)
    np.testing.assert_allclose(seen.mean, true.mean(axis=0), rtol=1e-15)


@settings(max_examples=40, deadline=None)
@given(
    hnp.arrays(
        np.float32,
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=6),
        elements=st.one_of(st.just(0.0), st.floats(-1e4, 1e4, width=32)),
    )
)
def test_dense_and_sparse_profiles_agree(x) -> None:
    full, thin = profile(named(x)), profile(named(sp.csr_matrix(x)))
    np.testing.assert_allclose(thin.mean, full.mean, atol=1e-9)
    np.testing.assert_allclose(thin.variance, full.variance, rtol=1e-9, atol=1e-6)
    np.testing.assert_array_equal(thin.detected, full.detected)
    assert (thin.minimum, thin.maximum, thin.whole) == (full.minimum, full.maximum, full.whole)
    assert thin.fingerprint == full.fingerprint
    np.testing.assert_allclose(full.variance, x.astype(np.float64).var(axis=0), rtol=1e-9, atol=1e-6)


def test_the_fingerprint_sees_values_places_and_names() -> None:
    x = counts()
    other, moved, shifted = x.copy(), x.copy(), x.copy()
    other[3, 2] += 1
    shifted[:2, :] = 0
    shifted[0, 0] = 1
    next_door = shifted.copy()
    next_door[0, :2] = 0, 1
    moved[0], moved[1] = x[1], x[0]
    renamed = named(x)
    renamed.var_names = [f"h{i}" for i in range(7)]
    prints = [profile(cells).fingerprint for cells in (*map(named, (x, other, moved, shifted, next_door)), renamed)]
    assert len(set(prints)) == 6


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([[0, 1], [1, 0]], "binary"),
        ([[0, 2], [1, 0]], "counts"),
        ([[0, 1.5], [1, 0]], ""),
        ([[0, -2], [1, 0]], ""),
    ],
)
@pytest.mark.parametrize("form", [np.asarray, sp.csr_matrix])
def test_kinds(values, kind, form) -> None:
    seen = profile(named(form(np.array(values, dtype=np.float32))))
    assert [name for name in ("binary", "counts") if getattr(seen, name)] == ([kind] if kind else [])


def test_extremes_of_a_sparse_matrix_count_its_zeros_only_where_there_are_any() -> None:
    full, holed = np.full((3, 2), 5, dtype=np.float32), np.array([[-3, 0], [-1, -2]], dtype=np.float32)
    assert profile(named(sp.csr_matrix(full))).minimum == 5
    assert profile(named(sp.csr_matrix(holed))).maximum == 0
    assert profile(named(sp.csr_matrix((4, 3), dtype=np.float32))).maximum == 0


@pytest.mark.parametrize("how", ["dense", "csr", "dense h5ad", "csr zarr"])
@pytest.mark.parametrize(("value", "word"), [(np.nan, "nan"), (-np.inf, "-inf")])
def test_what_is_not_finite_is_named_with_cell_and_gene(how, value, word, tmp_path) -> None:
    x = counts(BLOCK + 20, 5)
    x[BLOCK + 3, 4] = value
    matrix = IN_MEMORY[how](x) if how in IN_MEMORY else on_disk(x, how, tmp_path)
    with pytest.raises(InvalidValues, match=f"gene 'g4' in cell 'c{BLOCK + 3}' is {word}; leave"):
        profile(named(matrix))


def test_what_float32_cannot_hold_is_infinite() -> None:
    with pytest.raises(InvalidValues, match=r"gene 'g1' in cell 'c0' is inf"):
        profile(named(np.array([[1, 1e300]])))


def test_the_place_of_a_stored_value() -> None:
    x = counts()
    for block in (x, sp.csr_matrix(x)):
        values = stored_values(block)
        for at in range(0, values.size, 11):
            assert x[place_of(block, at)] == values.flat[at]


def test_an_empty_matrix_is_refused() -> None:
    for shape in ((0, 3), (3, 0)):
        with pytest.raises(DataError, match=rf"empty \({shape[0]} cells x {shape[1]} genes\)"):
            profile(named(np.zeros(shape, dtype=np.float32)))
    with pytest.raises(DataError, match=r"matrix is empty"):
        profile(ad.AnnData(obs=pd.DataFrame(index=["a"]), var=pd.DataFrame(index=["b"])))


def test_a_matrix_on_disk_by_column_is_refused(tmp_path) -> None:
    matrix = on_disk(counts(), "csc h5ad", tmp_path)
    with pytest.raises(ConfigurationError, match=r"by column"):
        next(blocks(matrix))
    with pytest.raises(ConfigurationError, match=r"by column"):
        take(matrix, np.array([1]))


def test_what_is_on_disk(tmp_path) -> None:
    assert not any(is_backed(form(counts())) for form in IN_MEMORY.values())
    assert not is_backed(named(counts())[:3].X)
    assert all(is_backed(on_disk(counts(), how, tmp_path)) for how in ON_DISK)
