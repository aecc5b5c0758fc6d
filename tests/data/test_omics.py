"""Readers of omics views."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from cellixir.data.omics import SCALES, align_features, guess_scale, read_view
from cellixir.exceptions import (
    ConfigurationError,
    DuplicateIds,
    GeneMismatch,
    InvalidValues,
    ReadError,
    UnknownIds,
)


def write(folder: Path, text: str, name: str = "x.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def make_view() -> ad.AnnData:
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    return ad.AnnData(values, pd.DataFrame(index=["s1", "s2"]), pd.DataFrame(index=["A", "B", "C"]))


def test_plain_table(tmp_path):
    view = read_view(write(tmp_path, "id,TP53,BRAF\n7,0.25,3\n8,-4,1.5\n"), name="expression")
    assert view.X.dtype == np.float32
    np.testing.assert_array_equal(view.X, [[0.25, 3], [-4, 1.5]])
    assert view.obs_names.tolist() == ["7", "8"]
    assert view.var_names.tolist() == ["TP53", "BRAF"]
    assert dict(view.uns) == {"name": "expression", "scale": "unknown", "scale_guessed": True}


def test_gdsc_factors_are_annotation_and_responses_are_left_out(tmp_path):
    header = "COSMIC ID,Sample Name,TISSUE_FACTOR,MS-instability Factor Value,MEDIA_FACTOR,TP53_mut,Drug_1_IC50"
    view = read_view(write(tmp_path, f"{header}\n7,A375,skin,1,R,0,NA\n8,HT29,colon,0,D,1,2.5\n"))
    assert view.var_names.tolist() == ["MSI_FACTOR", "TP53_mut"]
    np.testing.assert_array_equal(view.X, [[1, 0], [0, 1]])
    assert view.obs.loc["7"].to_dict() == {
        "cell_line_name": "A375",
        "tissue": "skin",
        "medium": "R",
        "msi": 1.0,
    }
    assert view.uns["scale"] == "binary"


def test_known_words_about_samples_are_annotation_others_are_refused(tmp_path):
    view = read_view(write(tmp_path, "id,Primary Site,depMapID,TP53\na,lung,12,1\n"))
    assert view.obs.columns.tolist() == ["primary_site", "depmapid"]
    assert view.var_names.tolist() == ["TP53"]
    with pytest.raises(InvalidValues, match="column 'colour', row 'a': 'red' is not a number"):
        read_view(write(tmp_path, "id,colour,TP53\na,red,1\n"))


def test_genes_in_rows_are_transposed_when_the_columns_are_the_samples(tmp_path):
    path = write(tmp_path, "gene,683665,683667,9\nTP53,1,2,3\nBRAF,4,5,6\n")
    view = read_view(path, samples=[683665, 683667, 1])
    assert view.obs_names.tolist() == ["683665", "683667", "9"]
    assert view.var_names.tolist() == ["TP53", "BRAF"]
    np.testing.assert_array_equal(view.X, [[1, 4], [2, 5], [3, 6]])
    assert read_view(path).shape == (2, 3)
    assert read_view(path, samples=["TP53"]).shape == (2, 3)
    with pytest.raises(
        UnknownIds,
        match=r"none of its 2 rows \('TP53', 'BRAF'\) or 3 columns .*samples \('ACH-1'\)|one of the 1",
    ):
        read_view(path, samples=["ACH-1"])


def test_depmap_headers_give_symbols_and_entrez_ids(tmp_path):
    view = read_view(write(tmp_path, "ModelID,TP53 (7157),BRAF (673),NKX2-1 (7080)\nACH-1,1.5,0,2\n"))
    assert view.var_names.tolist() == ["TP53", "BRAF", "NKX2-1"]
    assert view.var["entrez"].tolist() == ["7157", "673", "7080"]


def test_feature_with_a_comma_in_its_name(tmp_path):
    view = read_view(write(tmp_path, 'id,"loss_cnaPANCAN422, loss_cnaPANCAN423"\n7,1\n'))
    assert view.var_names.tolist() == ["loss_cnaPANCAN422, loss_cnaPANCAN423"]


BAD = {
    "same sample": ("id,A\n7,1\n7,2\n", DuplicateIds, r"1 sample stands more than once \('7'\)"),
    "same feature": ("id,A,A\n7,1,2\n", DuplicateIds, r"once \('A'\)"),
    "same symbol": ("id,A (1),A (2)\n7,1,2\n", DuplicateIds, r"1 feature stands more than once \('A'\)"),
    "missing": (
        "id,A,B\n7,1,\n8,2,\n",
        InvalidValues,
        r"feature 'B' of sample '7' is missing \(2 missing .*impute",
    ),
    "infinite": ("id,A,B\n7,1,2\n8,2,inf\n", InvalidValues, "column 'B', row '8': inf"),
    "too large for float32": ("id,A\n7,1\n8,1e39\n", InvalidValues, "column 'A', row '8': inf is not finite"),
    "no features": ("id,tissue\n7,skin\n", ReadError, "no feature column"),
}


@pytest.mark.parametrize(("text", "error", "says"), BAD.values(), ids=BAD)
def test_bad_tables_are_refused(tmp_path, text, error, says):
    with pytest.raises(error, match=says) as caught:
        read_view(write(tmp_path, text))
    assert "x.csv" in str(caught.value)


def test_h5ad_is_read_dense_with_its_scale_and_annotation(tmp_path):
    view = make_view()
    view.X = sparse.csr_matrix(view.X)
    view.obs["batch"] = ["u", "v"]
    view.write_h5ad(tmp_path / "x.h5ad")
    read = read_view(tmp_path / "x.h5ad")
    assert isinstance(read.X, np.ndarray)
    np.testing.assert_array_equal(read.X, make_view().X)
    assert read.obs["batch"].tolist() == ["u", "v"]
    assert (read.uns["scale"], read.uns["scale_guessed"]) == ("counts", True)
    read_view(tmp_path / "x.h5ad", scale="log2_tpm").write_h5ad(tmp_path / "y.h5ad")
    again = read_view(tmp_path / "y.h5ad")
    assert (again.uns["scale"], again.uns["scale_guessed"]) == ("log2_tpm", False)
    assert read_view(tmp_path / "x.h5ad", samples=["A"]).obs_names.tolist() == ["A", "B", "C"]


def test_bad_h5ad(tmp_path):
    view = make_view()
    view.write_h5ad(tmp_path / "x.h5ad")
    raw = (tmp_path / "x.h5ad").read_bytes()
    (tmp_path / "cut.h5ad").write_bytes(raw[: len(raw) // 2])
    (tmp_path / "empty.h5ad").write_bytes(b"")
    write(tmp_path, "id,A\n7,1\n", "text.h5ad")
    for name in ("cut", "empty", "text", "none"):
        with pytest.raises(ReadError, match=f"{name}.h5ad"):
            read_view(tmp_path / f"{name}.h5ad")
    twice = view.copy()
    twice.obs_names = ["s1", "s1"]
    twice.write_h5ad(tmp_path / "twice.h5ad")
    with pytest.raises(DuplicateIds, match=r"twice\.h5ad: 1 sample stands"):
        read_view(tmp_path / "twice.h5ad")
    view.X[1, 2] = np.nan
    view.write_h5ad(tmp_path / "nan.h5ad")
    with pytest.raises(InvalidValues, match="feature 'C' of sample 's2' is missing"):
        read_view(tmp_path / "nan.h5ad")
    view.X[1, 2] = np.inf
    view.write_h5ad(tmp_path / "inf.h5ad")
    with pytest.raises(InvalidValues, match="column 'C', row 's2': inf"):
        read_view(tmp_path / "inf.h5ad")


def test_scale_that_is_given_must_be_known(tmp_path):
    path = write(tmp_path, "id,A\n7,1\n")
    assert read_view(path, scale="zscore").uns["scale_guessed"] is False
    with pytest.raises(ConfigurationError, match="scale 'rpkm' is not known"):
        read_view(path, scale="rpkm")


def test_guess_scale_of_known_truth():
    rng = np.random.default_rng(0)
    counts = rng.negative_binomial(1, 0.05, (20, 400)).astype(float)
    per_million = counts / counts.sum(axis=1, keepdims=True) * 1e6
    truth = {
        "binary": (counts > 10).astype(float),
        "counts": counts,
        "log2_tpm": np.log2(per_million + 1),
        "log1p_cpm": np.log1p(per_million),
        "zscore": (counts - counts.mean(axis=0)) / counts.std(axis=0),
        "fraction": rng.beta(1, 2, (20, 400)),
        "unknown": rng.normal(1.0, 0.2, (20, 400)).clip(0, None) + 0.01,
    }
    assert {name: guess_scale(values) for name, values in truth.items()} == {name: name for name in SCALES}
    assert guess_scale(np.log2(per_million + 1)[:, :200].astype(np.float32)) == "log2_tpm"
    assert guess_scale(np.log1p(counts / counts.sum(axis=1, keepdims=True) * 1e4)) == "unknown"
    assert guess_scale(counts - 500.5) == "unknown"


@given(order=st.permutations(["A", "B", "C"]), n=st.integers(1, 3))
def test_align_realigns_permuted_features(order, n):
    view = make_view()
    values, filled = align_features(view[:, order], ["A", "B", "C"][:n])
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, view.X[:, :n])
    assert filled == []


def test_align_refuses_or_fills_missing_features():
    names = ["C", "X", "A", "Y"]
    with pytest.raises(
        GeneMismatch, match=r"2 of 4 features are missing in new\.csv \('X', 'Y'; it has 'A', 'B', 'C'\)"
    ):
        align_features(make_view(), names, source="new.csv")
    values, filled = align_features(make_view(), names, missing="zero")
    np.testing.assert_array_equal(values, [[2, 0, 0, 0], [5, 0, 3, 0]])
    assert filled == ["X", "Y"]
    with pytest.raises(ConfigurationError, match="'drop' is not known"):
        align_features(make_view(), names, missing="drop")


def test_align_takes_sparse_and_refuses_repeated_features():
    view = make_view()
    view.X = sparse.csr_matrix(view.X)
    np.testing.assert_array_equal(align_features(view, ["B"])[0], [[1], [4]])
    view.var_names = ["A", "A", "C"]
    with pytest.raises(DuplicateIds, match="1 feature stands"):
        align_features(view, ["C"])


@pytest.mark.real_data
def test_published_features(data_dir):
    view = read_view(data_dir / "genomic_features_v17.csv.gz")
    assert view.shape == (988, 678)
    assert view.obs["tissue"].nunique() == 27
    assert "loss_cnaPANCAN422, loss_cnaPANCAN423" in view.var_names
    assert (view.obs["msi"] == view[:, "MSI_FACTOR"].X.ravel()).all()
    assert view.uns["scale"] == "binary"
    melanoma = read_view(data_dir / "anova_input_v17_skcm.txt")
    assert melanoma.shape == (55, 25)
    assert melanoma.obs.loc["910921", "cell_line_name"] == "A101D"


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("file", "shape", "scale"),
    [
        ("derived/ccle_expression_525x697.csv.gz", (525, 697), "log2_tpm"),
        ("derived/ccle_copynumber_525x697.csv.gz", (525, 697), "unknown"),
        ("ccle_methylation_561x808.csv", (561, 808), "fraction"),
        ("derived/mouse_10x_counts_10000x1000.h5ad", (10_000, 1000), "counts"),
        ("l1000_ht115_demo.h5ad", (681, 978), "unknown"),
    ],
)
def test_published_views(data_dir, file, shape, scale):
    view = read_view(data_dir / file)
    assert view.shape == shape
    assert view.uns["scale"] == scale


@pytest.mark.real_data
def test_published_counts_with_genes_in_rows(data_dir):
    file = data_dir / "GSE134080_500FG_RNASeq_counts.txt.gz"
    samples = read_view(file).var_names[:5]
    view = read_view(file, samples=samples)
    assert view.n_obs == 100
    assert set(samples) <= set(view.obs_names)
