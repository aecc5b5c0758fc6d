"""Reader of GMT files, and how their sets fit the genes of the data."""

from __future__ import annotations

import copy
import gzip
import pickle
import time
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellixir.data.gene_sets import GeneSets, coverage_notes, coverage_report, pathway_mask, read_gene_sets
from cellixir.exceptions import ConfigurationError, DuplicateIds, GeneMismatch, ReadError

TEXT = "Cell cycle, mitotic\tR-HSA-1\tCDK1\tCCNB1\n2-LTR circle formation\thttp://x.org\t18S rRNA\tXRCC4\n"
HALLMARK, KEGG, REACTOME = "h.all.v7.0.symbols.gmt", "c2.cp.kegg.v7.5.1.symbols.gmt", "reactome_pathways.gmt"


def write(folder: Path, content: str | bytes, name: str = "sets.gmt") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_names_and_genes_may_hold_spaces_and_the_second_column_is_the_id(tmp_path):
    sets = read_gene_sets(write(tmp_path, TEXT))
    assert sets == {"Cell cycle, mitotic": ["CDK1", "CCNB1"], "2-LTR circle formation": ["18S rRNA", "XRCC4"]}
    assert sets.ids == {"Cell cycle, mitotic": "R-HSA-1", "2-LTR circle formation": "http://x.org"}


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda sets: pickle.loads(pickle.dumps(sets))])
def test_copies_keep_the_ids(again):
    sets = again(GeneSets({"A": ["TP53"]}, {"A": "R-1"}))
    assert (type(sets), sets, sets.ids) == (GeneSets, {"A": ["TP53"]}, {"A": "R-1"})


@pytest.mark.parametrize(
    "text",
    [
        TEXT.replace("\n", "\r\n"),
        TEXT.rstrip("\n"),
        "\n" + TEXT + "\n \n",
        TEXT.replace("CDK1", "CDK1\t\tCDK1 "),
        TEXT.replace("\n", "\t\t\n"),
        "\ufeff" + TEXT,
    ],
    ids=["windows", "no last newline", "blank lines", "empty cells and repeats", "trailing tabs", "byte order mark"],
)
def test_what_programs_do_to_such_files_changes_nothing(tmp_path, text):
    assert read_gene_sets(write(tmp_path, text)) == read_gene_sets(write(tmp_path, TEXT, "plain.gmt"))


def test_gzip_is_read(tmp_path):
    assert len(read_gene_sets(write(tmp_path, gzip.compress(TEXT.encode()), "sets.gmt.gz"))) == 2


def test_a_set_without_an_id_is_read(tmp_path):
    assert read_gene_sets(write(tmp_path, "A\t\tTP53\n")) == {"A": ["TP53"]}


words = st.text(st.characters(blacklist_categories=("C", "Z")), min_size=1, max_size=8)


@given(sets=st.dictionaries(words, st.lists(words, min_size=1, max_size=5, unique=True), min_size=1, max_size=5))
def test_what_is_written_is_read(tmp_path_factory, sets):
    text = "".join("\t".join([name, "id", *genes]) + "\n" for name, genes in sets.items())
    assert read_gene_sets(write(tmp_path_factory.mktemp("gmt"), text)) == sets


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", r"is empty \(0 bytes\)"),
        ("\n \n", "holds only blanks"),
        ("<!DOCTYPE html><html></html>", "is a web page"),
        (b"\x00\x01binary", "is not UTF-8 text"),
        ("A,id,TP53\n", r"line 1: the gene set 'A,id,TP53' has no genes; a GMT line is"),
        (TEXT + "Apoptosis\tR-HSA-", r"line 3: the gene set 'Apoptosis' has no genes"),
        (TEXT + "Apoptosis\tR-HSA-2\t \t\n", r"line 3: the gene set 'Apoptosis' has no genes"),
        (TEXT + "\tR-HSA-2\tTP53\n", "line 3: the gene set has no name"),
        (gzip.compress(TEXT.encode() * 99, mtime=0)[:40], "cut off or damaged"),
    ],
)
def test_what_is_no_gmt_file_is_refused(tmp_path, content, words):
    path = write(tmp_path, content)
    with pytest.raises(ReadError, match=words) as caught:
        read_gene_sets(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(ReadError, match="cannot be read"):
        read_gene_sets(tmp_path / "none.gmt")


def test_a_set_that_stands_twice_is_refused(tmp_path):
    with pytest.raises(DuplicateIds, match=r"line 3: the gene set 'Cell cycle, mitotic' stands a second time"):
        read_gene_sets(write(tmp_path, TEXT + TEXT))


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("file", "n_sets", "n_genes", "name", "first", "ids"),
    [
        (HALLMARK, 50, 4384, "HALLMARK_TNFA_SIGNALING_VIA_NFKB", ["JUNB", "CXCL2"], "http://.*/HALLMARK_[A-Z0-9_]+"),
        (KEGG, 186, 5245, "KEGG_N_GLYCAN_BIOSYNTHESIS", ["ALG13", "DOLPP1"], "http://.*/KEGG_[A-Z0-9_]+"),
        (REACTOME, 2444, 11201, "2-LTR circle formation", ["BANF1", "HMGA1"], r"R-HSA-\d+"),
    ],
)
def test_published_collections(data_dir, file, n_sets, n_genes, name, first, ids):
    sets = read_gene_sets(data_dir / file)
    assert list(sets.ids) == list(sets)
    assert pd.Series(sets.ids).str.fullmatch(ids).all()
    assert len(sets) == n_sets
    assert sets[name][:2] == first
    assert len({gene for genes in sets.values() for gene in genes}) == n_genes
    lines = (data_dir / file).read_text(encoding="utf-8").splitlines()
    assert sum(map(len, sets.values())) == sum(line.count("\t") - 1 for line in lines)


SETS = GeneSets(
    {
        "alpha": ["A", "B", "C", "X1"],
        "twin of alpha": ["C", "B", "A"],
        "small": ["A", "X2"],
        "large": ["A", "B", "C", "D", "E"],
        "none": ["X3"],
    },
    {"alpha": "R-1", "twin of alpha": "R-2"},
)
GENES = ["E", "A", "B", "C", "D", "Q"]


def test_report_by_hand():
    report = coverage_report(SETS, GENES, min_genes=2, max_genes=4)
    expected = {
        "name": list(SETS),
        "id": ["R-1", "R-2", "", "", ""],
        "size": [4, 3, 2, 5, 1],
        "found": [3, 3, 1, 5, 0],
        "coverage": [0.75, 1, 0.5, 1, 0],
        "kept": [False, True, False, False, False],
        "why_not": [
            "the same 3 genes found as in 'twin of alpha'",  # which is the better covered of the two
            "",
            "1 gene found, fewer than 2",
            "5 genes found, more than 4",
            "0 genes found, fewer than 2",
        ],
    }
    pd.testing.assert_frame_equal(report, pd.DataFrame(expected), check_dtype=False)
    assert report["kept"].dtype == bool


def test_notes_by_hand():
    assert coverage_notes(SETS, GENES, min_genes=2, max_genes=4) == [
        "5 gene sets with 8 genes; 5 of the 6 genes of the data (83%) stand in at least one",
        "1 sets are kept, with 3 genes of the data; dropped for their size: 2 with fewer than 2 of these genes, "
        "1 with more than 4",
        "1 more sets are dropped because another holds the same genes of the data: 'alpha' (the same 3 genes found as "
        "in 'twin of alpha')",
    ]


def test_mask_by_hand():
    mask, names, report = pathway_mask(SETS, GENES, min_genes=1)
    assert names == ["twin of alpha", "small", "large"]
    assert report["kept"].sum() == 3
    assert mask.dtype == bool
    assert mask.astype(int).tolist() == [[0, 0, 1], [1, 1, 1], [1, 0, 1], [1, 0, 1], [0, 0, 1], [0, 0, 0]]
    assert pathway_mask(SETS, GENES, min_genes=1, merge_identical=False)[1] == ["alpha", *names]


small = st.sampled_from("abcdefgh")


@given(
    sets=st.dictionaries(words, st.lists(small, max_size=8), min_size=1, max_size=6),
    genes=st.lists(small, min_size=1, unique=True),
    limits=st.tuples(st.integers(1, 3), st.integers(0, 5)),
)
@settings(max_examples=100, deadline=None)
def test_mask_is_what_a_loop_says(sets, genes, limits):
    low, high = limits[0], sum(limits)
    held = {name: [gene in members for gene in genes] for name, members in sets.items()}
    kept = [name for name, row in held.items() if low <= sum(row) <= high]
    options = {"min_genes": low, "max_genes": high, "merge_identical": False}
    report = coverage_report(sets, genes, **options)
    assert report["found"].tolist() == [sum(row) for row in held.values()]
    assert report["size"].tolist() == [len(set(members)) for members in sets.values()]
    if kept:
        mask, names, _ = pathway_mask(sets, genes, **options)
        assert names == kept
        np.testing.assert_array_equal(mask, np.array([held[name] for name in kept]).T)
        merged = pathway_mask(sets, genes, min_genes=low, max_genes=high)[0]
        columns = {tuple(column) for column in mask.T}
        assert sorted(columns) == sorted(tuple(column) for column in merged.T)
    else:
        with pytest.raises(GeneMismatch, match="none holds"):
            pathway_mask(sets, genes, **options)


def test_permuted_genes_permute_the_rows():
    mask, names, _ = pathway_mask(SETS, GENES, min_genes=1)
    order = [3, 1, 5, 0, 4, 2]
    other, same, _ = pathway_mask(SETS, [GENES[i] for i in order], min_genes=1)
    assert names == same
    np.testing.assert_array_equal(other, mask[order])


def test_another_case_is_not_guessed():
    mouse = ["Actb", "Gapdh", "Cd3e"]
    human = {"all": ["ACTB", "GAPDH", "CD3E", "CD8A"]}
    message = r"3 more genes of the sets would match but for case \('Actb' in the data, 'ACTB' in the sets; 0 match"
    with pytest.raises(GeneMismatch, match=message + r".*orthologs.*case='fold'"):
        pathway_mask(human, mouse, min_genes=3)
    mask, names, report = pathway_mask(human, mouse, min_genes=3, case="fold")
    assert (mask.all(), names, report.loc[0, "coverage"]) == (True, ["all"], 0.75)


def test_a_few_that_differ_in_case_are_noted():
    notes = coverage_notes({"all": ["A", "B", "C1ORF1"]}, ["A", "B", "C1orf1"], min_genes=1)
    assert notes[-1].startswith("1 more genes of the sets would match but for case ('C1orf1' in the data, 'C1ORF1' in")
    assert "would match" not in " ".join(coverage_notes({"all": ["A", "B"]}, ["A", "B", "a"], min_genes=1))


def test_genes_of_the_data_that_differ_only_in_case_are_both_in_the_set():
    mask, _, report = pathway_mask({"all": ["SNORA31", "B"]}, ["SNORA31", "b", "Snora31"], min_genes=1, case="fold")
    assert mask.ravel().tolist() == [True, True, True]
    assert report.loc[0, ["size", "found", "coverage"]].tolist() == [2, 3, 1]


def test_names_that_look_alike_are_noted_and_stay_whole():
    long = "Defective Mismatch Repair Associated With "
    sets = {long + "MLH1": ["A"], long + "MSH2": ["B"], "Cell cycle": ["A", "B"], "cell  cycle": ["B", "C"]}
    notes = coverage_notes(sets, ["A", "B", "C"], min_genes=1)
    assert "2 names differ from another only in case or white space: 'Cell cycle', 'cell  cycle'" in notes
    assert any(note.startswith("2 names are the same as another in their first 30 characters") for note in notes)
    assert pathway_mask(sets, ["A", "B", "C"], min_genes=1)[1] == [*sets][:4]


@pytest.mark.parametrize(
    ("genes", "options", "words"),
    [
        (["P", "Q"], {}, r"none holds 5 to 500 of the 2 genes of the data: the data hold 'P', 'Q', the sets 'A', .*"
         "is 0; name the genes as the sets do"),
        (GENES, {"min_genes": 6}, "holds of the data is 5; set min_genes and max_genes to fit"),
        (["ENSG00000141510.11", "ENSG00000075624"], {}, "100% of the genes of the data are named by Ensembl id"),
    ],
)  # fmt: skip
def test_nothing_left_says_why(genes, options, words):
    with pytest.raises(GeneMismatch, match=words):
        pathway_mask(SETS, genes, **options)


def test_sets_without_genes_are_reported():
    report = coverage_report({"empty": []}, GENES)
    assert report.loc[0, ["size", "found", "coverage", "kept"]].tolist() == [0, 0, 0, False]
    with pytest.raises(GeneMismatch):
        pathway_mask({"empty": []}, GENES)


@pytest.mark.parametrize("function", [coverage_report, coverage_notes, pathway_mask])
@pytest.mark.parametrize(
    ("sets", "genes", "options", "error", "words"),
    [
        (SETS, [], {}, ConfigurationError, "5 gene sets and 0 genes"),
        ({}, GENES, {}, ConfigurationError, "0 gene sets and 6 genes"),
        (SETS, GENES, {"min_genes": 0}, ConfigurationError, "min_genes=0 and max_genes=500 leave no gene set"),
        (SETS, GENES, {"min_genes": 9, "max_genes": 8}, ConfigurationError, "give 1 <= min_genes <= max_genes"),
        (SETS, GENES, {"case": "upper"}, ConfigurationError, "case='upper' is not known; use 'exact' or 'fold'"),
        (SETS, ["A", "B", "A"], {}, DuplicateIds, r"1 gene stands more than once in the data \('A'\)"),
    ],
)
def test_what_cannot_be_fitted_is_refused(function, sets, genes, options, error, words):
    with pytest.raises(error, match=words):
        function(sets, genes, **options)


@pytest.mark.real_data
def test_reactome_on_head_and_neck_tumours(data_dir):
    sets = read_gene_sets(data_dir / REACTOME)
    genes = ad.read_h5ad(data_dir / "derived/puram_GSE103322_180cells.h5ad", backed="r").var_names
    mask, names, report = pathway_mask(sets, genes)
    assert mask.shape == (len(genes), len(names)) == (7943, report["kept"].sum())
    assert len({column.tobytes() for column in mask.T}) == len(names)
    assert mask.sum(axis=0).min() >= 5
    assert mask.sum(axis=0).max() <= 500
    ids = report.set_index("name")["id"]
    assert ids["Antigen Presentation: Folding, assembly and peptide loading of class I MHC"] == "R-HSA-983170"
    assert max(map(len, names)) > 100
    assert any("in their first 30 characters" in note for note in coverage_notes(sets, genes))


@pytest.mark.real_data
def test_mouse_genes_need_to_be_told(data_dir):
    sets = read_gene_sets(data_dir / REACTOME)
    mouse = ad.read_h5ad(data_dir / "derived/mouse_10x_counts_10000x1000.h5ad", backed="r")
    with pytest.raises(
        GeneMismatch, match=r"323 more genes .* but for case \('Xrcc5' in the data, 'XRCC5' in the sets"
    ):
        pathway_mask(sets, mouse.var_names)
    with pytest.raises(GeneMismatch, match="named by Ensembl id"):
        pathway_mask(sets, mouse.var["gene_id"])
    assert len(pathway_mask(sets, mouse.var_names, case="fold")[1]) > 100


@pytest.mark.real_data
def test_all_of_reactome_on_20000_genes_takes_a_moment(data_dir):
    sets = read_gene_sets(data_dir / REACTOME)
    genes = list(dict.fromkeys(gene for members in sets.values() for gene in members))
    genes += [f"gene {i}" for i in range(20_000 - len(genes))]
    start = time.process_time()
    mask, _, _ = pathway_mask(sets, genes)
    assert time.process_time() - start < 1
    assert mask.shape[0] == 20_000
