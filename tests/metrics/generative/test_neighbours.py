from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from threadpoolctl import threadpool_info, threadpool_limits

from cellixir.exceptions import ConfigurationError, InvalidValues
from cellixir.metrics.generative import knn_distances, nearest
from cellixir.metrics.generative.tiles import Tiles, ahead, half_spans, spans

Points = NDArray[np.float64]
CHUNKS = (7, 50, 512)


def by_sorting(x: Points, k: int) -> Points:
    distances = cdist(x, x)
    np.fill_diagonal(distances, np.inf)
    return np.sort(distances, axis=1)[:, :k]


def clouds(kind: str) -> Points:
    """Points that are hard for norms and a product: far from 0, nearly equal, equal, with an outlier, tiny."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(90, 4))
    if kind == "far from 0":
        return x + 1e6
    if kind == "near copies":
        return 10 * x[rng.integers(0, 3, 90)] + 1e-5 * x
    if kind == "ties":
        return np.asarray(rng.integers(0, 3, size=(90, 4)), dtype=np.float64)
    if kind == "outlier":
        x[7] = 1e7
    if kind == "tiny":
        return 1e-21 * x  # squares and products are 0 in float32
    if kind == "some tiny":
        x[:40] *= 1e-22
    return x


KINDS = ("usual", "far from 0", "near copies", "ties", "outlier", "tiny", "some tiny")


# -- closed forms ------------------------------------------------------------------------------------------------------


def test_points_on_a_line() -> None:
    x = [[0.0], [1.0], [3.0], [7.0]]
    assert knn_distances(x, k=3).tolist() == [[1, 3, 7], [1, 2, 6], [2, 3, 4], [4, 6, 7]]
    distances, rows = nearest([[2.2], [100.0]], x, k=2)
    np.testing.assert_allclose(distances, [[0.8, 1.2], [93, 97]], rtol=1e-12)
    assert rows.tolist() == [[2, 1], [3, 2]]


def test_a_row_is_not_its_own_neighbour_but_a_copy_is() -> None:
    assert knn_distances([[5.0, 1.0], [5.0, 1.0], [5.0, 2.0]], k=1)[:, 0].tolist() == [0, 0, 1]


def test_of_rows_equally_near_the_first_is_named() -> None:
    x = np.tile([[0.0], [2.0]], (40, 1))
    for chunk in CHUNKS:
        assert nearest([[1.0], [0.0]], x, k=3, chunk=chunk)[1].tolist() == [[0, 1, 2], [0, 2, 4]]


# -- against a full matrix of distances --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("chunk", CHUNKS)
def test_values_are_those_of_a_full_sort(kind: str, chunk: int) -> None:
    x = clouds(kind)
    np.testing.assert_allclose(knn_distances(x, k=5, chunk=chunk), by_sorting(x, 5), rtol=1e-12)
    distances, rows = nearest(x[:31], x[31:], k=4, chunk=chunk)
    full = cdist(x[:31], x[31:])
    np.testing.assert_allclose(distances, np.sort(full, axis=1)[:, :4], rtol=1e-12)
    np.testing.assert_allclose(distances, np.take_along_axis(full, rows, axis=1), rtol=1e-12)
    assert all(len(set(row)) == 4 for row in rows.tolist())


@pytest.mark.parametrize("kind", KINDS)
def test_chunk_changes_no_bit(kind: str) -> None:
    x = clouds(kind)
    whole, parts = knn_distances(x, k=3), [knn_distances(x, k=3, chunk=chunk) for chunk in CHUNKS]
    assert all(np.array_equal(whole, part) for part in parts)


@settings(max_examples=20, deadline=None)
@given(
    x=arrays(np.float64, st.tuples(st.integers(3, 25), st.integers(1, 4)), elements=st.integers(-3, 3).map(float)),
    k=st.integers(1, 2),
    chunk=st.integers(1, 30),
)
def test_any_points_on_a_grid(x: Points, k: int, chunk: int) -> None:
    assert np.array_equal(knn_distances(x, k=k, chunk=chunk), np.sqrt(np.round(by_sorting(x, k) ** 2)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bounds_hold_for_every_pair(dtype: type[np.float32] | type[np.float64]) -> None:
    for x in map(clouds, KINDS):
        lower = Tiles(x, x).lower(slice(0, 90), slice(0, 90), dtype)
        assert (lower <= cdist(x, x, "sqeuclidean")).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_pair_at_the_limit_is_not_closer(kind: str) -> None:
    x = clouds(kind)
    tiles = Tiles(x, x, 40)
    i, j = np.divmod(np.arange(90 * 90), 90)
    full = tiles.squared(i, j).reshape(90, 90)
    limit = full[:, 17].copy()  # the limit of each row is its distance from row 17: a tie with it
    found = np.zeros((90, 90), dtype=bool)
    for rows, columns in tiles.spans:
        found[tiles.tile((rows, columns)).closer(limit[rows, None])] = True
    assert np.array_equal(found, full < limit[:, None])


def test_spans_hold_each_pair_once() -> None:
    seen = np.zeros((7, 5), dtype=int)
    for span in spans(7, 5, 3):
        seen[span] += 1
    assert (seen == 1).all()
    half = np.zeros((7, 7), dtype=int)
    for span in half_spans(7, 3):
        half[span] += 1
    assert (np.maximum(half, half.T) == 1).all()
    assert half.sum() == 9 + 9 + 1 + 9 + 3 + 3


# -- threads -----------------------------------------------------------------------------------------------------------


def test_results_come_in_order_whatever_the_threads() -> None:
    pieces = spans(40, 40, 8)
    for threads in (1, 3):
        with threadpool_limits(threads, "blas"):
            assert list(ahead(lambda span: span, pieces)) == pieces
            assert {info["num_threads"] for info in threadpool_info() if info["user_api"] == "blas"} == {threads}


def test_threads_change_no_bit() -> None:
    x = clouds("usual")
    with threadpool_limits(1, "blas"):
        one = knn_distances(x, k=3, chunk=11)
    with threadpool_limits(3, "blas"):
        assert np.array_equal(knn_distances(x, k=3, chunk=11), one)


def test_an_error_in_a_thread_is_raised_here() -> None:
    with threadpool_limits(3, "blas"), pytest.raises(ZeroDivisionError):
        list(ahead(lambda span: 1 // span[0].start, spans(40, 40, 8)))


# -- wrong input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: knn_distances(np.eye(3), k=3), ConfigurationError, "k=3 .* x has 2 others .*; use k=2 or smaller"),
        (lambda: knn_distances(np.eye(3), np.eye(3), k=4), ConfigurationError, "k=4 .* 3 rows .* k=3 or smaller"),
        (lambda: knn_distances([[1.0]], k=1), ConfigurationError, "0 others to choose from; give more samples"),
        (lambda: knn_distances(np.eye(3), k=0), ConfigurationError, "k=0 is not a number of neighbours"),
        (lambda: knn_distances(np.eye(3), k=1, chunk=0), ConfigurationError, "chunk=0 is no number of rows"),
        (lambda: nearest(np.eye(3), np.eye(4)), InvalidValues, "x has 3 columns and y 4; .*principal components"),
        (lambda: knn_distances(np.zeros((0, 4))), InvalidValues, r"x has shape \(0, 4\)"),
        (lambda: knn_distances([1.0, 2.0]), InvalidValues, r"x has shape \(2,\)"),
        (lambda: knn_distances([["a"], ["b"]]), InvalidValues, "x holds values that are not numbers"),
        (lambda: knn_distances([[0.0], [np.nan]]), InvalidValues, "x holds 1 values .* nan, in row 1, column 0"),
        (lambda: nearest([[0.0]], [[np.inf]]), InvalidValues, "y holds 1 values .* inf, in row 0"),
    ],
)
def test_wrong_input(call: Callable[[], object], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        call()
