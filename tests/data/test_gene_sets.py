"""Reader of GMT files."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellixir.data.gene_sets import read_gene_sets
from cellixir.exceptions import DuplicateIds, ReadError

TEXT = "Cell cycle, mitotic\tR-HSA-1\tCDK1\tCCNB1\n2-LTR circle formation\thttp://x.org\t18S rRNA\tXRCC4\n"


def write(folder: Path, content: str | bytes, name: str = "sets.gmt") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_names_and_genes_may_hold_spaces_and_the_second_column_is_left_out(tmp_path):
    assert read_gene_sets(write(tmp_path, TEXT)) == {
        "Cell cycle, mitotic": ["CDK1", "CCNB1"],
        "2-LTR circle formation": ["18S rRNA", "XRCC4"],
    }


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
        (gzip.compress(TEXT.encode() * 99)[:40], "cut off or damaged"),
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
    ("file", "n_sets", "n_genes", "name", "first"),
    [
        ("h.all.v7.0.symbols.gmt", 50, 4384, "HALLMARK_TNFA_SIGNALING_VIA_NFKB", ["JUNB", "CXCL2"]),
        ("c2.cp.kegg.v7.5.1.symbols.gmt", 186, 5245, "KEGG_N_GLYCAN_BIOSYNTHESIS", ["ALG13", "DOLPP1"]),
        ("reactome_pathways.gmt", 2444, 11201, "2-LTR circle formation", ["BANF1", "HMGA1"]),
    ],
)
def test_published_collections(data_dir, file, n_sets, n_genes, name, first):
    sets = read_gene_sets(data_dir / file)
    assert len(sets) == n_sets
    assert sets[name][:2] == first
    assert len({gene for genes in sets.values() for gene in genes}) == n_genes
    lines = (data_dir / file).read_text(encoding="utf-8").splitlines()
    assert sum(map(len, sets.values())) == sum(line.count("\t") - 1 for line in lines)
