"""Queries: what is planted comes first, files of every kind, genes of another kind, the command."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import cellixir
from cellixir.cli.app import app
from cellixir.data.simulate import simulate_perturbation
from cellixir.exceptions import ConfigurationError, DuplicateIds, GeneMismatch, InvalidValues, ReadError
from cellixir.perturbation import Keys, effects_of, query
from cellixir.perturbation.queries import gene_list, of_sets, of_signatures, read_queries
from cellixir.perturbation.query_genes import ReferenceGenes


@pytest.fixture(scope="module")
def reference() -> ad.AnnData:
    """Changes of single drugs that move genes both ways, against the controls of their plate."""
    wells = simulate_perturbation(
        n_genes=200, n_drugs=24, n_pairs=0, n_plates=2, n_controls=8, doses_um=(0.4, 10.0), pair_doses_um=(10.0,)
    )
    effect = pd.DataFrame(wells.varm["drug_effect"], index=wells.var_names, columns=wells.uns["drugs"].index)
    effect = effect.loc[:, (effect > 0.1).any() & (effect < -0.1).any()]
    changes = effects_of(wells, Keys("perturbation", ("DMSO",), plate="plate", dose="dose"))
    found = changes[changes.obs["perturbation"].isin(effect.columns)]
    obs = pd.DataFrame({"pert_iname": found.obs["perturbation"].astype(str), "cell_id": "A549"}, index=found.obs_names)
    var = pd.DataFrame({"pr_gene_symbol": found.var_names}, index=[str(1000 + i) for i in range(found.n_vars)])
    made = ad.AnnData(found.X.copy(), obs=obs, var=var, uns={"scale": "unknown"})
    made.varm["effect"] = effect.set_axis(var.index)
    return made


def planted(reference: ad.AnnData, drug: str) -> tuple[list[str], list[str]]:
    effect = reference.varm["effect"][drug].to_numpy()
    order = np.argsort(effect)
    symbols = reference.var["pr_gene_symbol"].to_numpy()
    return symbols[order[::-1][:12]].tolist(), symbols[order[:12]].tolist()


def test_the_planted_drug_comes_first_and_reversed_sets_find_it_last(reference: ad.AnnData) -> None:
    genes, drugs = ReferenceGenes(reference.var), reference.varm["effect"].columns
    sets = {drug: planted(reference, drug) for drug in drugs}
    sets |= {f"-{drug}": (down, up) for drug, (up, down) in list(sets.items())}
    found = query(reference, of_sets(sets, genes), top=1)
    first = found.compounds.set_index(["query", "direction"])["perturbation"]
    assert np.mean([first[drug, "mimics"] == drug for drug in drugs]) > 0.8
    assert np.mean([first[f"-{drug}", "reverses"] == drug for drug in drugs]) > 0.8
    signatures = found.signatures[found.signatures["direction"] == "mimics"].set_index("query").loc[drugs]
    assert (signatures["fdr"] < 0.05).mean() > 0.8
    assert (signatures["ncs"] > 0).all()


def test_a_whole_signature_finds_its_drug_by_all_three_scores(reference: ad.AnnData) -> None:
    effect = reference.varm["effect"]
    table = effect.T.iloc[:4]
    found = query(reference, of_signatures(table, ReferenceGenes(reference.var), source="effects", n_genes=12), top=0)
    for score in ("ncs", "cosine", "spearman"):
        best = found.signatures.sort_values(score).groupby("query").tail(1)
        assert (best["perturbation"] == best["query"]).mean() >= 0.75
    assert found.signatures["query"].nunique() == 4


def test_scores_do_not_depend_on_blocks_or_on_the_disk(
    reference: ad.AnnData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queries = of_sets(
        {d: planted(reference, d) for d in reference.varm["effect"].columns[:3]}, ReferenceGenes(reference.var)
    )
    whole = query(reference, queries)
    monkeypatch.setattr("cellixir.perturbation.connections._BLOCK", 7)
    monkeypatch.setattr("cellixir.perturbation.connections._SCORES", 16 * reference.n_obs)  # one query at a time
    pd.testing.assert_frame_equal(query(reference, queries).signatures, whole.signatures, rtol=1e-5)
    cellixir.write_gctx(ad.AnnData(reference.X, obs=reference.obs, var=reference.var), tmp_path / "r.gctx")
    stored = query(cellixir.read_gctx(tmp_path / "r.gctx", backed=True), queries)
    pd.testing.assert_frame_equal(stored.compounds, whole.compounds, rtol=1e-5)


def test_scores_are_normalised_within_the_cell_line(reference: ad.AnnData) -> None:
    twice = ad.concat([reference, reference], index_unique="-")
    twice.var = reference.var
    twice.obs["cell_id"] = ["A549"] * reference.n_obs + ["MCF7"] * reference.n_obs
    twice.X[reference.n_obs :] *= 0.1
    queries = of_sets({"D001": planted(reference, reference.varm["effect"].columns[0])}, ReferenceGenes(reference.var))
    found = query(twice, queries, top=0).signatures.set_index("signature")
    one, other = (found[found["cell_line"] == line].sort_index() for line in ("A549", "MCF7"))
    np.testing.assert_allclose(one["ncs"], other["ncs"], rtol=1e-4)
    compounds = query(twice, queries, top=1).compounds
    assert compounds["n_cell_lines"].tolist() == [2] * len(compounds)


@pytest.mark.parametrize("kind", ["symbol", "entrez", "ensembl"])
def test_genes_are_mapped_between_kinds_of_names(reference: ad.AnnData, kind: str) -> None:
    symbols = reference.var["pr_gene_symbol"].to_numpy()
    table = pd.DataFrame(
        {"gene_id": reference.var_names, "gene_symbol": symbols, "ensembl_id": [f"ENSG{i:011d}" for i in range(200)]}
    )
    names = {"symbol": symbols, "entrez": reference.var_names, "ensembl": table["ensembl_id"] + ".7"}[kind]
    genes = ReferenceGenes(reference.var, table)
    assert genes.members(list(names[:9]), "q", 5)[0].tolist() == list(range(9))
    bare = ReferenceGenes(reference.var[[]], table)
    assert bare.members(list(names[:9]), "q", 5)[0].tolist() == list(range(9))


def test_genes_of_another_kind_are_refused(reference: ad.AnnData) -> None:
    genes = ReferenceGenes(reference.var)
    with pytest.raises(
        GeneMismatch, match=r"0 of 9 genes of 'q' \(up\) are in the reference.*'ENSG00000000001'.*'1000'"
    ):
        of_sets({"q": ([f"ENSG{i:011d}" for i in range(1, 10)], [])}, genes)
    with pytest.raises(GeneMismatch, match="give the most changed ones"):
        genes.members(reference.var["pr_gene_symbol"], "q", 5)
    shifted = reference.var.assign(gene_symbol=np.roll(reference.var["pr_gene_symbol"], 1))
    with pytest.raises(GeneMismatch, match="are other genes of the reference by pr_gene_symbol than by gene_symbol"):
        ReferenceGenes(shifted).members(reference.var["pr_gene_symbol"][:9], "q", 5)


def test_a_symbol_that_two_genes_share_is_left_out(reference: ad.AnnData) -> None:
    var = reference.var.assign(pr_gene_symbol=["TWICE", "TWICE", *reference.var["pr_gene_symbol"][2:]])
    places, absent = ReferenceGenes(var).members(["TWICE", *var["pr_gene_symbol"][2:9]], "q", 5)
    assert places.tolist() == list(range(2, 9))
    assert absent == 1


@pytest.mark.parametrize("name", ["s.csv", "rows.csv", "s.parquet", "s.h5ad", "s.gctx"])
def test_signatures_of_any_file_are_the_same_queries(reference: ad.AnnData, tmp_path: Path, name: str) -> None:
    table = reference.varm["effect"].T.iloc[:3].set_axis(reference.var["pr_gene_symbol"], axis=1).astype("f4")
    table.columns.name, table.index.name = None, "drug"
    path = tmp_path / name
    if name == "rows.csv":
        table.T.to_csv(path)
    elif name == "s.csv":
        table.to_csv(path)
    elif name == "s.parquet":
        table.reset_index().to_parquet(path)
    else:
        cells = ad.AnnData(table.to_numpy(), obs=table[[]].rename_axis(None), var=pd.DataFrame(index=table.columns))
        cells.write_h5ad(path) if name == "s.h5ad" else cellixir.write_gctx(cells, path)
    genes = ReferenceGenes(reference.var)
    found, wanted = read_queries(path, genes), of_signatures(table, genes, source="")
    assert found.names == wanted.names
    np.testing.assert_allclose(found.vectors[:, np.argsort(found.genes)], wanted.vectors, rtol=1e-6)
    for a, b in zip(found.up, wanted.up, strict=True):
        np.testing.assert_array_equal(np.sort(found.genes[a]), np.sort(wanted.genes[b]))


def test_a_gmt_pairs_up_and_down(reference: ad.AnnData, tmp_path: Path) -> None:
    up, down = planted(reference, reference.varm["effect"].columns[0])
    lines = [["X_UP", "", *up], ["X_DN", "", *down], ["alone", "", *up]]
    (tmp_path / "s.gmt").write_text("".join("\t".join(line) + "\n" for line in lines))
    found = read_queries(tmp_path / "s.gmt", ReferenceGenes(reference.var))
    assert found.names == ["X", "alone"]
    assert [len(genes) for genes in found.up + found.down] == [12, 12, 12, 0]
    (tmp_path / "s.gmt").write_text("\t".join(["X_UP", "", *up]) + "\n" + "\t".join(["x_up", "", *up]) + "\n")
    assert read_queries(tmp_path / "s.gmt", ReferenceGenes(reference.var)).names == ["X", "x"]
    (tmp_path / "s.gmt").write_text("\t".join(["X_DN", "", *up]) + "\n" + "\t".join(["X_DOWN", "", *up]) + "\n")
    with pytest.raises(DuplicateIds, match="two sets are the genes"):
        read_queries(tmp_path / "s.gmt", ReferenceGenes(reference.var))


def test_bad_queries_and_references(reference: ad.AnnData, tmp_path: Path) -> None:
    genes = ReferenceGenes(reference.var)
    up, down = planted(reference, reference.varm["effect"].columns[0])
    queries = of_sets({"q": (up, down)}, genes)
    with pytest.raises(InvalidValues, match="stand both up and down"):
        of_sets({"q": (up, up)}, genes)
    with pytest.raises(InvalidValues, match="levels of expression, not changes"):
        query(ad.AnnData(np.abs(reference.X), obs=reference.obs, var=reference.var), queries)
    with pytest.raises(ConfigurationError, match="no column 'drug'"):
        query(reference, queries, perturbation_key="drug")
    broken = reference.copy()
    broken.X[3, 4] = np.nan
    with pytest.raises(InvalidValues, match="gene '1004' of signature"):
        query(broken, queries)
    table = reference.varm["effect"].T.iloc[:2]
    with pytest.raises(InvalidValues, match="they are no changes"):
        of_signatures(table.abs(), genes, source="s.csv")
    with pytest.raises(InvalidValues, match="has no finite value"):
        of_signatures(table.assign(**{"1003": np.nan}), genes, source="s.csv")
    (tmp_path / "g.txt").write_text("# genes\n\n")
    with pytest.raises(ReadError, match="holds no gene"):
        gene_list(tmp_path / "g.txt")


def test_the_command(reference: ad.AnnData, tmp_path: Path) -> None:
    made = ad.AnnData(reference.X, obs=reference.obs, var=reference.var, uns={"scale": "unknown"})
    made.write_h5ad(tmp_path / "r.h5ad")
    drug = reference.varm["effect"].columns[3]
    up, down = planted(reference, drug)
    (tmp_path / "up.txt").write_text("\n".join(up))
    (tmp_path / "down.txt").write_text("gene,change\n" + "\n".join(f"{gene},-1" for gene in down))
    command = ["perturb", "query", str(tmp_path / "r.h5ad"), "--up", str(tmp_path / "up.txt"), "--top", "3"]
    command += ["--down", str(tmp_path / "down.txt"), "--out", str(tmp_path / "hits.csv")]
    done = CliRunner().invoke(app, command, catch_exceptions=False)
    assert done.exit_code == 0
    assert "scores are normalised within cell_id" in done.stderr
    hits, compounds = (pd.read_csv(tmp_path / name) for name in ("hits.csv", "hits_compounds.csv"))
    assert compounds.loc[0, "perturbation"] == drug
    assert hits.groupby("direction").size().to_dict() == {"mimics": 3, "reverses": 3}
    assert set(hits.columns) >= {"query", "rank", "signature", "ncs", "wtcs", "cosine", "spearman", "p", "fdr"}


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ([], "give --up and --down"),
        (["--up", "a", "--signature", "b"], "not both"),
        (["--up", "a", "--column", "b"], "--column is for a table"),
    ],
)
def test_options_that_do_not_go_together(options: list[str], why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        CliRunner().invoke(app, ["perturb", "query", "r.gctx", *options, "--out", "o.csv"], catch_exceptions=False)
