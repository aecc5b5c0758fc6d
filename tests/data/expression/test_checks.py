"""What the values are, whether a likelihood is about them, and the ways from counts to other scales."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from cellixir.data.expression import binarise, log_normalise, profile, read_expression, require_counts, require_scale
from cellixir.data.expression.matrix import BLOCK
from cellixir.data.expression.scale import guessed_scale
from cellixir.data.omics import SCALES, guess_scale
from cellixir.exceptions import ConfigurationError, InvalidValues

FORMS = [np.asarray, sp.csr_matrix]


def named(x, **more) -> ad.AnnData:
    if not sp.issparse(x):
        x = np.asarray(x, dtype=np.float32)
    obs, var = (pd.DataFrame(index=[f"{letter}{i}" for i in range(n)]) for letter, n in zip("cg", x.shape, strict=True))
    return ad.AnnData(x, obs=obs, var=var, **more)


def counts(n_cells: int = 60, n_genes: int = 40, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.negative_binomial(1, 1 / (1 + (0.5 + rng.gamma(1, 4, n_genes))), (n_cells, n_genes)).astype(np.float32)


def log_values(seed: int = 0) -> np.ndarray:
    """Log2 of TPM by its looks: gene lengths make no value a multiple of another."""
    rng = np.random.default_rng(seed)
    tpm = counts() * rng.lognormal(5, 1, 40)
    return np.log2(tpm / 10 + 1)


def scaled(x: np.ndarray, target: float) -> np.ndarray:
    return np.log1p(x / np.maximum(x.sum(axis=1, keepdims=True), 1) * target)


STANDARD = (log_values() - log_values().mean(axis=0)) / log_values().std(axis=0)


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        (counts(), "counts"),
        (counts() > 0, "binary"),
        (counts() / (counts().max() + 1), "fraction"),
        (STANDARD, "zscore"),
        (STANDARD.clip(-10, 10)[:, :9] * 3, "unknown"),
        (scaled(counts(), 1e6), "log1p_cpm"),
        (scaled(counts(), 1e4), "log1p_cpm"),
        (scaled(counts(), 60.0), "log1p_cpm"),
        (scaled(counts(), 1e4)[:, 5:30], "log1p_cpm"),  # some genes only: cells no longer add up
        (np.log1p(np.random.default_rng(1).dirichlet(np.full(50, 0.3), 30) * 1e4), "log1p_cpm"),
        (np.random.default_rng(1).choice([1, 1.7, 2.2, 3.1], (30, 200), p=[0.97, 0.01, 0.01, 0.01]), "unknown"),
        (log_values(), "log2_tpm"),
        (log_values() / 3, "unknown"),
        (np.exp2(log_values()) - 0.5, "unknown"),
    ],
)
@pytest.mark.parametrize("form", FORMS)
def test_guesses(values, scale, form) -> None:
    cells = named(form(np.asarray(values, dtype=np.float32)))
    assert scale in SCALES
    assert guessed_scale(cells, profile(cells)) == scale


def test_guesses_agree_with_those_of_bulk_omics() -> None:
    rng = np.random.default_rng(3)
    tpm = rng.dirichlet(np.full(300, 0.3), 20) * 1e6
    for values in (counts(), counts() > 0, STANDARD, np.log2(tpm + 1), np.log1p(tpm), rng.random((9, 4)), tpm + 0.5):
        cells = named(values)
        assert guessed_scale(cells, profile(cells)) == guess_scale(np.asarray(cells.X))


def test_the_mark_of_scanpy_is_believed_for_what_is_not_whole() -> None:
    marked = named(log_values() / 3, uns={"log1p": {"base": None}})
    assert guessed_scale(marked, profile(marked)) == "log1p_cpm"
    marked.uns["log1p"] = {"base": 2}
    assert guessed_scale(marked, profile(marked)) == "unknown"
    still = named(counts(), uns={"log1p": {}})
    assert guessed_scale(still, profile(still)) == "counts"


@pytest.mark.parametrize(
    ("values", "chosen", "allowed"),
    [
        (counts(), "nb", {"nb", "zinb"}),
        (counts() > 0, "bernoulli", {"bernoulli", "gaussian"}),
        (log_values(), "gaussian", {"gaussian"}),
        (STANDARD, "gaussian", {"gaussian"}),
        (counts() - 1, "gaussian", {"gaussian"}),
    ],
)
@pytest.mark.parametrize("form", FORMS)
def test_which_likelihood_goes_with_what(values, chosen, allowed, form) -> None:
    cells = named(form(np.asarray(values, dtype=np.float32)))
    seen = profile(cells)
    assert require_scale(cells, "auto", seen) == require_scale(cells, "auto") == chosen
    for likelihood in ("nb", "zinb", "gaussian", "bernoulli"):
        if likelihood in allowed:
            assert require_scale(cells, likelihood, seen) == likelihood
        else:
            with pytest.raises(InvalidValues, match=f"likelihood '{likelihood}'"):
                require_scale(cells, likelihood, seen)


@pytest.mark.parametrize("form", FORMS)
def test_log_values_are_no_counts_and_the_message_says_all(form) -> None:
    x = counts()
    x[41, 7] = 3.217
    with pytest.raises(InvalidValues) as caught:
        require_scale(named(form(x), uns={"scale": "log2_tpm"}), "zinb")
    assert str(caught.value) == (
        "likelihood 'zinb' needs counts, but gene 'g7' of cell 'c41' is 3.217; the values look like log2 TPM (from 0 "
        f"to {x.max():.3g}). Use likelihood='gaussian', or give the counts; no layer and no raw of these data holds "
        "whole numbers"
    )


def test_the_first_wrong_value_may_be_far_down_or_below_zero() -> None:
    x = np.ones((5000, 3), dtype=np.float32) * 2
    x[4321, 2] = -4
    with pytest.raises(InvalidValues, match=r"gene 'g2' of cell 'c4321' is -4; .* unknown scale .from -4 to 2"):
        require_counts(named(x))


def test_the_counts_are_found_in_layers_and_raw() -> None:
    cells = named(log_values(), layers={"scaled": log_values(), "counts": sp.csr_matrix(counts())})
    with pytest.raises(
        InvalidValues, match=r"or the counts: layer 'counts' \(read with layer='counts', or adata.X = adata"
    ):
        require_scale(cells, "nb")
    del cells.layers["counts"]
    cells.raw = named(counts())
    with pytest.raises(InvalidValues, match=r"or the counts: raw \(read with layer='raw'.* holds whole numbers"):
        require_scale(cells, "nb")
    cells.raw = named(log_values())
    with pytest.raises(InvalidValues, match=r"no layer and no raw"):
        require_scale(cells, "nb")


def test_the_counts_are_found_on_disk(tmp_path) -> None:
    written = named(log_values(), layers={"by_gene": sp.csc_matrix(counts()), "umi": sp.csr_matrix(counts())})
    written.write_h5ad(tmp_path / "x.h5ad")
    cells = read_expression(tmp_path / "x.h5ad", backed=True)
    with pytest.raises(InvalidValues, match=r"layer 'umi'"):
        require_scale(cells, "nb")
    assert require_scale(read_expression(tmp_path / "x.h5ad", backed=True, layer="umi"), "auto") == "nb"


def test_what_is_recorded_is_believed_unless_the_values_deny_it() -> None:
    few = np.eye(5, dtype=np.float32)
    assert require_scale(named(few, uns={"scale": "counts"}), "nb") == "nb"
    with pytest.raises(
        InvalidValues, match=r"'nb' needs counts, but no value is above 1; .*zeros and ones.*'bernoulli'"
    ):
        require_scale(named(few), "nb")
    whole = named(counts(), uns={"scale": "log2_tpm"})
    assert require_scale(whole, "auto") == "gaussian"
    with pytest.raises(InvalidValues, match=r"uns\['scale'\] says 'log2_tpm' \(if they are counts, set"):
        require_scale(whole, "nb")
    assert require_scale(named(log_values(), uns={"scale": "counts"}), "auto") == "gaussian"
    assert require_scale(named(counts(), uns={"scale": "binary"}), "auto") == "nb"
    assert require_scale(named(counts(), uns={"scale": "unknown"}), "auto") == "nb"


def test_the_ways_out_that_are_named_are_ways_out() -> None:
    cells = named(counts())
    with pytest.raises(
        InvalidValues, match=r"these are counts \(whole numbers from 0 to \d+\).*log_normalise\(adata\)"
    ):
        require_scale(cells, "gaussian")
    assert require_scale(log_normalise(cells), "gaussian") == "gaussian"
    with pytest.raises(InvalidValues, match=r"gene 'g\d+' of cell 'c0' is [2-9].*binarise\(adata\).*likelihood='nb'"):
        require_scale(cells, "bernoulli")
    assert require_scale(binarise(cells), "bernoulli") == "bernoulli"
    cells.uns["scale"] = "log2_tpm"
    assert require_scale(cells, "gaussian") == "gaussian"


def test_a_likelihood_that_is_not_known() -> None:
    with pytest.raises(ConfigurationError, match=r"must be one of auto, nb, zinb, gaussian, bernoulli, not 'poisson'"):
        require_scale(named(counts()), "poisson")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("target", [None, 1e4])
def test_log_normalise_is_the_formula(form, target) -> None:
    x = counts()
    x[3] = 0
    cells = named(form(x), uns={"scale": "counts", "notes": ["n"]}, layers={"raw": form(x)})
    found = log_normalise(cells, target)
    library = x.sum(axis=1, dtype=np.float64)
    goal = target or np.median(library[library > 0])
    expected = np.log1p(x / np.where(library > 0, library, 1)[:, None] * goal)
    dense = found.X.toarray() if sp.issparse(found.X) else found.X
    np.testing.assert_allclose(dense, expected, rtol=3e-6)
    assert sp.issparse(found.X) == sp.issparse(cells.X)
    assert found.X.dtype == np.float32
    assert (found.uns["scale"], found.uns["scale_guessed"], found.uns["notes"]) == ("log1p_cpm", False, ["n"])
    assert found.uns["library_size_target"] == goal
    assert (cells.uns["scale"], cells.X.max()) == ("counts", x.max())
    assert guessed_scale(found, profile(found)) == "log1p_cpm"


def test_log_normalise_agrees_with_scanpy() -> None:
    scanpy = pytest.importorskip("scanpy")
    ours, theirs = log_normalise(named(counts())), named(counts())
    scanpy.pp.normalize_total(theirs)
    scanpy.pp.log1p(theirs)
    np.testing.assert_allclose(ours.X, theirs.X, rtol=1e-6)


def test_log_normalise_refuses_what_is_no_count() -> None:
    with pytest.raises(InvalidValues, match=r"counts are needed, but gene 'g"):
        log_normalise(named(log_values()))
    for target in (0.0, -1.0, np.nan):
        with pytest.raises(ConfigurationError, match=r"no library size"):
            log_normalise(named(counts()), target)


def test_from_disk_and_over_several_blocks(tmp_path) -> None:
    x = counts(BLOCK + 70) + np.eye(BLOCK + 70, 40, dtype=np.float32)
    x[:, 0] += 1
    named(sp.csr_matrix(x)).write_h5ad(tmp_path / "x.h5ad")
    whole = read_expression(tmp_path / "x.h5ad")
    there = read_expression(tmp_path / "x.h5ad", backed=True)
    np.testing.assert_array_equal(log_normalise(there).X.toarray(), log_normalise(whole).X.toarray())
    np.testing.assert_allclose(np.expm1(log_normalise(there, 1e4).X.toarray()).sum(axis=1), 1e4, rtol=1e-5)
    np.testing.assert_array_equal(binarise(there).X.toarray(), x > 0)


@pytest.mark.parametrize("form", FORMS)
def test_binarise(form) -> None:
    x = counts() - 1
    found = binarise(named(form(x)))
    dense = found.X.toarray() if sp.issparse(found.X) else found.X
    np.testing.assert_array_equal(dense, x > 0)
    assert found.X.dtype == np.float32
    assert found.uns["scale"] == "binary"


def test_pbmc_of_scanpy() -> None:
    scanpy = pytest.importorskip("scanpy")
    cells = scanpy.datasets.pbmc68k_reduced()
    assert require_scale(cells, "auto") == "gaussian"
    raw = cells.raw.to_adata()
    assert guessed_scale(raw, profile(raw)) == "log1p_cpm"
    with pytest.raises(InvalidValues, match=r"scaled to one library size"):
        require_scale(raw, "nb")
