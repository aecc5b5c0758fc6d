"""The container of measured pairs: what it refuses, what it counts, what its fingerprint sees."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace

import anndata as ad
import cloudpickle
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from cellixir.data.response_data import ResponseData
from cellixir.exceptions import (
    ConfigurationError,
    DataError,
    DuplicateIds,
    GeneMismatch,
    InvalidValues,
    UnknownIds,
)

SAMPLES = ["s1", "s2", "s3"]
DRUGS = ["a", "b"]


def responses(*rows: tuple[str, str, object]) -> pd.DataFrame:
    given_rows = rows or tuple((s, d, i + 0.5) for i, (s, d) in enumerate((s, d) for s in SAMPLES for d in DRUGS))
    return pd.DataFrame(given_rows, columns=["sample", "drug", "response"])


def view(samples: list[str] = SAMPLES, genes: tuple[str, ...] = ("TP53", "KRAS"), first: float = 0.0) -> ad.AnnData:
    values = np.arange(first, first + len(samples) * len(genes), dtype=np.float32).reshape(len(samples), -1)
    return ad.AnnData(values, pd.DataFrame(index=samples), pd.DataFrame(index=list(genes)))


def sample_table(ids: list[str] = SAMPLES) -> pd.DataFrame:
    return pd.DataFrame({"tissue": [f"tissue of {i}" for i in ids]}, index=ids)


def drug_table(ids: list[str] = DRUGS) -> pd.DataFrame:
    return pd.DataFrame({"name": [f"name of {i}" for i in ids], "targets": "EGFR"}, index=ids)


def build(**changes: object) -> ResponseData:
    parts: dict[str, object] = {
        "responses": responses(),
        "omics": None,
        "samples": sample_table(),
        "drugs": drug_table(),
    }
    return ResponseData(**(parts | changes))  # type: ignore[arg-type]


def joined(**changes: object) -> ResponseData:
    parts: dict[str, object] = {"views": {"rna": view()}, "samples": sample_table(), "drugs": drug_table()}
    table = changes.pop("responses", responses())
    return ResponseData.join(table, **(parts | changes))  # type: ignore[arg-type]


# --- construction ------------------------------------------------------------------------------------------------


def test_indices_point_into_the_annotation_tables():
    data = build(samples=sample_table(["s3", "other", "s1", "s2"]), drugs=drug_table(["b", "a"]))
    assert len(data) == 6
    assert data.samples.index[data.sample_index].tolist() == data.responses["sample"].tolist()
    assert data.drugs.index[data.drug_index].tolist() == data.responses["drug"].tolist()
    np.testing.assert_array_equal(data.response, [0.5, 1.5, 2.5, 3.5, 4.5, 5.5])
    assert "6 x response, 4 samples, 2 drugs, views: none" in repr(data)


def test_unknown_ids_are_named():
    with pytest.raises(UnknownIds, match=r"1 sample ids .* sample table: 'ghost'"):
        build(responses=responses(("s1", "a", 1.0), ("ghost", "a", 2.0)))
    with pytest.raises(UnknownIds, match=r"1 drug ids .* drug table: 'elixir'"):
        build(responses=responses(("s1", "elixir", 1.0)))


def test_sample_outside_of_a_view_is_refused_with_the_view():
    data = joined()
    with pytest.raises(UnknownIds, match=r"view 'rna': 's9'"):
        replace(data, responses=responses(("s9", "a", 1.0)), samples=sample_table([*SAMPLES, "s9"]))


def test_missing_ids_are_unknown_ids():
    with pytest.raises(UnknownIds, match="sample"):
        build(responses=responses(("s1", "a", 1.0), (None, "a", 2.0)))  # type: ignore[arg-type]


def test_repeated_annotation_is_refused():
    with pytest.raises(DuplicateIds, match=r"1 sample ids .*'s1'"):
        build(samples=sample_table([*SAMPLES, "s1"]))
    with pytest.raises(DuplicateIds, match=r"1 drug ids .*'b'"):
        build(drugs=drug_table([*DRUGS, "b", "b"]))


def test_repeated_pairs_are_refused_unless_they_are_numbered():
    twice = responses(("s1", "a", 1.0), ("s2", "b", 2.0), ("s2", "b", 3.0))
    with pytest.raises(DuplicateIds, match=r"1 measurements .* 's2' and drug 'b'"):
        build(responses=twice)
    assert len(build(responses=twice.assign(replicate=[1, 1, 2]))) == 3
    with pytest.raises(DuplicateIds, match=r"1 measurements .* 's2' and drug 'b'"):
        build(responses=twice.assign(replicate=[1, 2, 2]))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, None, "high"])
def test_values_that_are_no_numbers_are_refused_with_their_pair(bad):
    table = responses(("s1", "a", 1.0), ("s2", "b", bad), ("s3", "a", 2.0))
    with pytest.raises(InvalidValues, match=r"1 responses .* 's2' and drug 'b'"):
        build(responses=table)


def test_missing_columns_and_empty_tables_are_refused():
    with pytest.raises(DataError, match=r"lack the column 'drug', 'response'"):
        build(responses=pd.DataFrame({"sample": ["s1"]}))
    with pytest.raises(DataError, match="no measured response"):
        build(responses=responses().iloc[:0])


# --- join --------------------------------------------------------------------------------------------------------


def test_join_counts_what_a_view_does_not_hold():
    table = responses(*[(s, d, 1.0) for s in ("s1", "x", "s2", "y", "z") for d in DRUGS], ("s3", "a", 1.0))
    data = joined(responses=table)
    assert data.notes == ("3 samples (6 measurements) are not in view 'rna' and were left out: 'x', 'y', 'z'",)
    assert data.responses["sample"].tolist() == ["s1", "s1", "s2", "s2", "s3"]
    assert data.responses.index.tolist() == [0, 1, 2, 3, 4]


def two_views(**tables):
    return joined(views={"rna": view(["s1", "s2"]), "cnv": view(["s2", "s3"], genes=("MYC",))}, **tables)


def test_join_masks_a_sample_where_a_view_lacks_it():
    data = two_views()
    assert data.samples.index.tolist() == ["s1", "s2", "s3"]
    assert {n: v.obs_names.tolist() for n, v in data.views.items()} == {"rna": ["s1", "s2"], "cnv": ["s2", "s3"]}
    assert data.in_view("rna").tolist() == [True, True, False]
    assert data.feature_matrix("rna")[1].tolist() == [2.0, 3.0]
    assert np.isnan(data.feature_matrix("rna")[2]).all()
    assert data.notes == tuple(f"1 of 3 samples lack view '{v}'; they are masked there" for v in ("rna", "cnv"))


def test_join_leaves_out_samples_of_no_view():
    data = two_views(responses=responses(*[(s, "a", 1.0) for s in (*SAMPLES, "x")]))
    assert data.samples.index.tolist() == ["s1", "s2", "s3"]
    assert "1 sample (1 measurement) is not in any of the views rna, cnv and was left out: 'x'" in data.notes


def test_a_required_view_leaves_out_who_lacks_it():
    data = two_views(require=["cnv"])
    assert data.samples.index.tolist() == ["s2", "s3"]
    assert data.notes[0] == "1 sample (2 measurements) is not in view 'cnv' and was left out: 's1'"
    with pytest.raises(ConfigurationError, match="'atac' that is required is not there; the data have 'rna', 'cnv'"):
        two_views(require=["atac"])


def test_a_view_of_other_samples_is_refused():
    with pytest.raises(UnknownIds, match=r"no sample of the responses .* is in view 'cnv' .*'ACH-1'"):
        joined(views={"rna": view(list(SAMPLES)), "cnv": view(["ACH-1"])})


def test_views_are_added_and_chosen():
    data = joined(views={"rna": view(list(SAMPLES))})
    more = data.with_views({"cnv": view(["s2", "s3"], genes=("MYC",))})
    assert more.responses.equals(data.responses)
    assert list(more.views) == ["rna", "cnv"]
    assert list(more.only_views(["rna"]).views) == ["rna"]
    assert more.with_views({}, require=["cnv"]).samples.index.tolist() == ["s2", "s3"]
    with pytest.raises(UnknownIds, match="1 samples are in none of the views cnv: 's1'"):
        more.only_views(["cnv"])
    with pytest.raises(ConfigurationError, match="no view 'atac'"):
        more.only_views(["atac"])


def test_join_keeps_what_has_no_annotation_and_says_so():
    data = joined(samples=sample_table(["s1", "s2"]), drugs=drug_table(["a"]))
    assert len(data) == 6
    assert "1 sample has no annotation: 's3'" in data.notes
    assert "1 drug has no annotation: 'b'" in data.notes
    assert data.tissue.to_dict() == {"s1": "tissue of s1", "s2": "tissue of s2", "s3": "unknown"}


def test_join_refuses_tables_that_share_nothing():
    with pytest.raises(UnknownIds, match=r"'s1'.*view 'rna'.*'ACH-1'"):
        joined(views={"rna": view(["ACH-1", "ACH-2"])})
    with pytest.raises(UnknownIds, match=r"no sample .*'s1'.* sample table .*'905933'"):
        joined(samples=sample_table(["905933"]))
    with pytest.raises(UnknownIds, match=r"no drug .*'a'.* drug table .*'86'"):
        joined(drugs=drug_table(["86"]))


def test_ids_stand_in_the_order_of_the_annotation_not_of_the_rows():
    samples, drugs = sample_table(["s3", "s1", "unused", "s2"]), drug_table(["b", "a"])
    forward = joined(samples=samples, drugs=drugs)
    backward = joined(samples=samples, drugs=drugs, responses=responses().iloc[::-1])
    for data in (forward, backward):
        assert data.samples.index.tolist() == ["s3", "s1", "s2"]
        assert data.drugs.index.tolist() == ["b", "a"]
        assert data.views["rna"].obs_names.tolist() == ["s3", "s1", "s2"]
        assert data.views["rna"].X.tolist() == [[4, 5], [0, 1], [2, 3]]


def test_join_reads_numeric_ids_as_text():
    table = pd.DataFrame({"sample": [7, 8], "drug": [1, 1], "response": [0.5, 0.25]})
    data = ResponseData.join(table, views={"rna": view(["7", "8"])}, drugs=drug_table(["1"]))
    assert data.samples.index.tolist() == ["7", "8"]
    assert data.drugs.index.tolist() == ["1"]


def test_annotation_of_a_view_stands_beside_the_sample_table_which_wins():
    annotated = view()
    annotated.obs["tissue"] = "from the view"
    annotated.obs["medium"] = ["R", "D", "R"]
    data = joined(views={"rna": annotated})
    assert data.samples["tissue"].tolist() == ["tissue of s1", "tissue of s2", "tissue of s3"]
    assert data.samples["medium"].tolist() == ["R", "D", "R"]
    alone = joined(views={"rna": annotated}, samples=None)
    assert alone.tissue.tolist() == ["from the view"] * 3


def test_join_leaves_its_arguments_alone():
    table, first, samples, drugs = responses(), view(), sample_table(), drug_table()
    joined(responses=table, views={"rna": first}, samples=samples, drugs=drugs)
    pd.testing.assert_frame_equal(table, responses())
    pd.testing.assert_frame_equal(samples, sample_table())
    pd.testing.assert_frame_equal(drugs, drug_table())
    assert first.obs_names.tolist() == SAMPLES
    assert not hasattr(first.obs, "rna")


def test_repeated_samples_of_a_view_are_refused():
    with pytest.warns(UserWarning, match="not unique"):
        repeated = view(["s1", "s1", "s2"])
    with pytest.raises(DuplicateIds, match="'s1'"):
        joined(views={"rna": repeated})


# --- fingerprint -------------------------------------------------------------------------------------------------


def change_gene_value(data: ResponseData) -> ResponseData:
    changed = view()
    changed.X[2, 1] += 1
    return joined(views={"rna": changed})


CHANGES: dict[str, Callable[[ResponseData], ResponseData]] = {
    "response": lambda d: replace(d, responses=d.responses.assign(response=np.nextafter(d.response, 9.0))),
    "drug of a pair": lambda d: replace(d, responses=responses(("s1", "a", 0.5), ("s2", "a", 1.5))),
    "rows": lambda d: d.take(np.arange(5)),
    "gene value": change_gene_value,
    "gene name": lambda d: joined(views={"rna": view(genes=("TP53", "NRAS"))}),
    "gene names swapped": lambda d: joined(views={"rna": view(genes=("KRAS", "TP53"))}),
    "view name": lambda d: joined(views={"protein": view()}),
    "no view": lambda d: replace(d, omics=None),
    "tissue": lambda d: joined(samples=sample_table().replace("tissue of s2", "skin")),
    "targets": lambda d: joined(drugs=drug_table().assign(targets=["EGFR", "BRAF"])),
    "drug id": lambda d: joined(responses=responses().replace({"drug": {"b": "B"}}), drugs=drug_table(["a", "B"])),
}


@pytest.mark.parametrize("what", CHANGES)
def test_fingerprint_sees_a_change_of(what):
    data = joined()
    assert CHANGES[what](data).fingerprint != data.fingerprint


def test_fingerprint_sees_every_annotation_that_models_use():
    one, other = (joined(samples=sample_table().assign(medium=m)) for m in (["R", "D", "R"], ["R", "R", "D"]))
    assert one.fingerprint != other.fingerprint


def test_fingerprint_is_of_the_content_alone():
    data = joined()
    again = joined(source="elsewhere", measure="LN_IC50", unit="ln µM")
    assert again.fingerprint == data.fingerprint
    wide = view()
    wide.X = wide.X.astype(np.float64)
    wide.uns["name"] = "something"
    assert joined(views={"rna": wide}).fingerprint == data.fingerprint
    assert joined(responses=responses().set_index(pd.Index(range(10, 16)))).fingerprint == data.fingerprint
    assert data.take(np.arange(6)).fingerprint == data.fingerprint


@given(row=st.integers(0, 5), value=st.floats(allow_nan=False, allow_infinity=False, width=64))
def test_fingerprint_sees_any_other_response(row, value):
    table = responses()
    table.loc[row, "response"] = value
    same = value == responses().loc[row, "response"]
    assert (build(responses=table).fingerprint == build().fingerprint) == same


def test_sparse_views_have_the_fingerprint_of_their_values():
    thin = view()
    thin.X = sparse.csr_matrix(thin.X)
    assert joined(views={"rna": thin}).fingerprint == joined().fingerprint


# --- parts and questions -----------------------------------------------------------------------------------------


def test_take_keeps_tables_and_numbers_rows_anew():
    data = joined()
    rows = np.array([4, 0])
    part = data.take(rows)
    assert part.responses.to_dict("list") == {"sample": ["s3", "s1"], "drug": ["a", "a"], "response": [4.5, 0.5]}
    assert part.responses.index.tolist() == [0, 1]
    assert part.samples is data.samples
    assert part.drugs is data.drugs
    assert part.sample_index.tolist() == [2, 0]
    mask = np.zeros(6, dtype=bool)
    mask[[0, 4]] = True
    assert data.take(mask).response.tolist() == [0.5, 4.5]
    assert len(data) == 6


def test_taking_nothing_is_refused():
    with pytest.raises(DataError, match="no measured response"):
        joined().take(np.array([], dtype=np.int64))


def test_question_of_the_same_pairs_hides_every_response():
    data = joined()
    asked = data.as_question()
    assert np.isnan(asked.response).all()
    assert not asked.measured
    assert asked.responses[["sample", "drug"]].equals(data.responses[["sample", "drug"]])
    assert asked.take(np.array([3])).responses["sample"].tolist() == ["s2"]
    assert np.isfinite(data.response).all()


def test_question_is_every_sample_with_every_drug():
    data = ResponseData.question({"rna": view(["n1", "n2"])}, drug_table(["b", "a", "c"]), sample_table(["n1", "n2"]))
    assert list(zip(data.responses["sample"], data.responses["drug"], strict=True)) == [
        (s, d) for s in ("n1", "n2") for d in ("b", "a", "c")
    ]
    assert np.isnan(data.response).all()
    assert data.tissue.tolist() == ["tissue of n1", "tissue of n2"]
    assert data.drugs["name"].tolist() == ["name of b", "name of a", "name of c"]


# --- features ----------------------------------------------------------------------------------------------------


def test_features_follow_samples_and_names():
    data = joined(samples=sample_table(["s3", "s1", "s2"]))
    np.testing.assert_array_equal(data.feature_matrix("rna"), [[4, 5], [0, 1], [2, 3]])
    np.testing.assert_array_equal(data.feature_matrix("rna", ["KRAS", "TP53"]), [[5, 4], [1, 0], [3, 2]])
    assert data.feature_matrix("rna").dtype == np.float32


def test_views_may_hold_samples_in_any_order():
    data = joined()
    turned = ResponseData(data.responses, data.omics, data.samples.iloc[[2, 0, 1]], data.drugs)
    np.testing.assert_array_equal(turned.feature_matrix("rna"), [[4, 5], [0, 1], [2, 3]])


def test_features_that_are_missing_are_refused_or_zero():
    data = joined()
    with pytest.raises(GeneMismatch, match="'MYC'"):
        data.feature_matrix("rna", ["TP53", "MYC"])
    np.testing.assert_array_equal(data.feature_matrix("rna", ["MYC", "TP53"], missing="zero"), [[0, 0], [0, 2], [0, 4]])
    with pytest.raises(ConfigurationError, match="no view 'dna'; the data have 'rna'"):
        data.feature_matrix("dna")


def test_tissue_is_known_or_said_to_be_unknown():
    assert build(samples=sample_table()).has_tissue
    bare = build(samples=pd.DataFrame(index=SAMPLES))
    assert not bare.has_tissue
    assert bare.tissue.tolist() == ["unknown"] * 3
    gaps = pd.DataFrame({"tissue": pd.Categorical(["skin", None, "lung"])}, index=SAMPLES)
    assert build(samples=gaps).tissue.tolist() == ["skin", "unknown", "lung"]
    assert not build(samples=gaps.assign(tissue=None)).has_tissue


def test_another_process_gets_the_same_data() -> None:
    data = joined()
    again = pickle.loads(cloudpickle.dumps(data))
    assert again.fingerprint == data.fingerprint
    assert list(again.views) == list(data.views)
