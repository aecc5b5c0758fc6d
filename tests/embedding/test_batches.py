"""Batches of cells: who appears how often, in which order, in memory and on disk."""

from __future__ import annotations

import warnings
from pathlib import Path

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cellixir.data.expression.alignment import Aligned
from cellixir.embedding import batches
from cellixir.embedding.batches import Cells

CPU = torch.device("cpu")
GENES = 5


def table(n: int) -> np.ndarray:
    """Counts whose first gene is the number of the cell plus one."""
    x = np.random.default_rng(0).poisson(0.5, (n, GENES)).astype(np.float32)
    x[:, 0] = np.arange(n) + 1
    return x


def cells(n: int, *, on_disk: bool = False, sparse: bool = False, rows: np.ndarray | None = None) -> Cells:
    matrix = Aligned(sp.csr_matrix(table(n)), np.arange(GENES))
    return Cells(matrix, np.arange(n) if rows is None else rows, on_disk=on_disk, sparse=sparse)


def order(given: Cells, size: int, seed: int = 0) -> list[np.ndarray]:
    return [batch.cells for batch in given.shuffled(size, np.random.default_rng(seed), CPU)]


@pytest.fixture
def small_pools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "RUN", 8)
    monkeypatch.setattr(batches, "POOL", 128)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 400), st.integers(1, 150), st.booleans(), st.integers(0, 9))
def test_an_epoch_holds_every_cell_once_but_a_stated_rest(n, size, on_disk, seed):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batches, "RUN", 8)
        patch.setattr(batches, "POOL", 128)
        rows = np.flatnonzero(np.random.default_rng(seed).random(n) < 0.8)
        if not len(rows):
            return
        given_cells = cells(n, on_disk=on_disk, rows=rows)
        found = order(given_cells, size, seed)
    assert len(found) == given_cells.n_batches(size)
    seen = np.concatenate(found)
    assert len(np.unique(seen)) == len(seen)
    assert set(seen) <= set(rows)
    left_out = len(rows) - len(seen)
    assert left_out < max(size // 4, 2)
    assert all(len(batch) == size for batch in found[:-1])


@pytest.mark.usefixtures("small_pools")
@pytest.mark.parametrize("on_disk", [True, False])
@pytest.mark.parametrize("n", [128, 256, 1024])
def test_a_whole_number_of_pools_leaves_nothing_over(n, on_disk):
    assert sorted(np.concatenate(order(cells(n, on_disk=on_disk), 16))) == list(range(n))


@pytest.mark.usefixtures("small_pools")
@pytest.mark.parametrize("on_disk", [True, False])
def test_the_order_follows_the_seed(on_disk):
    given_cells = cells(500, on_disk=on_disk)
    first, again, other = (np.concatenate(order(given_cells, 32, seed)) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert np.mean(first == other) < 0.1


@pytest.mark.usefixtures("small_pools")
def test_pools_on_disk_are_of_sixteen_runs_and_shuffled():
    n, room = 1280, 128
    seen = np.concatenate(order(cells(n, on_disk=True), 32))
    runs_of_pools = [len(np.unique(seen[start : start + room] // 8)) for start in range(0, n, room)]
    assert runs_of_pools == [16] * 10
    neighbours = np.mean(seen[1:] // 8 == seen[:-1] // 8)
    assert 0.02 < neighbours < 0.11  # 7 / 127 = 0.055 by chance within a pool, 0.0055 in all
    whole = np.concatenate(order(cells(n), 32))
    assert np.mean(whole[1:] // 8 == whole[:-1] // 8) < 0.02


@pytest.mark.usefixtures("small_pools")
@pytest.mark.parametrize("on_disk", [True, False])
@pytest.mark.parametrize("sparse", [True, False])
def test_values_belong_to_their_cells(on_disk, sparse):
    x = table(200)
    for batch in cells(200, on_disk=on_disk, sparse=sparse).shuffled(32, np.random.default_rng(0), CPU):
        wanted = x[batch.cells]
        np.testing.assert_array_equal(batch.library.numpy(), wanted.sum(axis=1))
        found = np.zeros_like(wanted)
        found[batch.counts.row, batch.counts.gene] = batch.counts.value
        np.testing.assert_array_equal(found, wanted)
        if batch.by_gene is None:
            np.testing.assert_array_equal(batch.x.numpy(), wanted)
        else:
            start, by_gene, row, begins = (part.numpy() for part in batch.by_gene)
            value = batch.counts.value.numpy()[by_gene]
            turned = sp.csr_matrix((value, row, begins), (GENES, len(batch.cells))).toarray()
            np.testing.assert_array_equal(turned.T, wanted)
            np.testing.assert_array_equal(start, np.searchsorted(batch.counts.row.numpy(), np.arange(len(wanted))))


def test_dense_cells_make_the_same_batches_as_sparse_ones():
    dense = Cells(Aligned(table(50), np.arange(GENES)), np.arange(50), on_disk=False)
    for ours, theirs in zip(dense.in_order(16, CPU), cells(50).in_order(16, CPU), strict=True):
        assert torch.equal(ours.x, theirs.x)
        assert all(torch.equal(a, b) for a, b in zip(ours.counts, theirs.counts, strict=True))
        assert torch.equal(ours.library, theirs.library)


@pytest.mark.usefixtures("small_pools")
def test_in_order_gives_all_cells_and_kept_ones_remember_who_they_are():
    rows = np.arange(3, 300, 2)
    given_cells = cells(300, rows=rows)
    for some in (given_cells, given_cells.kept()):
        found = list(some.in_order(50, CPU))
        assert np.array_equal(np.concatenate([batch.cells for batch in found]), rows)
        assert np.array_equal(np.concatenate([batch.x[:, 0].numpy() for batch in found]), rows + 1)


def test_cells_without_counts_have_a_library_of_one():
    x = table(4)
    x[2] = 0
    (batch,) = Cells(Aligned(sp.csr_matrix(x), np.arange(GENES)), np.arange(4), False, sparse=True).in_order(9, CPU)
    assert batch.library[2] == 1
    assert not (batch.counts.row == 2).any()


@pytest.mark.usefixtures("small_pools")
@pytest.mark.parametrize("kind", ["h5ad", "zarr"])
@pytest.mark.parametrize("dense", [True, False])
def test_files_give_what_memory_gives(tmp_path: Path, kind: str, dense: bool):
    x = table(256)
    stored = ad.AnnData(x if dense else sp.csr_matrix(x))
    path = tmp_path / f"cells.{kind}"
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Writing zarr v2|zarr v3 autosharding|Consolidated metadata")
        (stored.write_h5ad if kind == "h5ad" else stored.write_zarr)(path)
    matrix = Aligned(on_disk(path, dense), np.arange(GENES))
    assert matrix.sparse is not dense
    seen = []
    for batch in Cells(matrix, np.arange(256), on_disk=True).shuffled(16, np.random.default_rng(0), CPU):
        np.testing.assert_array_equal(batch.x.numpy(), x[batch.cells])
        seen.extend(batch.cells)
    assert sorted(seen) == list(range(256))


def on_disk(path: Path, dense: bool):
    """Matrix of a file, not read."""
    if path.suffix == ".h5ad":
        return ad.read_h5ad(path, backed="r").X
    import zarr

    group = zarr.open(path, mode="r")
    return group["X"] if dense else ad.io.sparse_dataset(group["X"])
