"""``cellixir simulate``: options, files, what may be overwritten, and what is said."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from click.testing import Result
from typer.testing import CliRunner

import cellixir.cli.simulate as commands
import cellixir.data.simulate as functions
from cellixir.cli.app import app
from cellixir.data.simulate.truth import NAMES
from cellixir.exceptions import CellixirError, ConfigurationError, WriteError
from cellixir.runs import RunFolder, read_manifest

SMALL: dict[str, tuple[object, ...]] = {
    "bulk": ("--n-samples", 12, "--n-genes", 50, "--n-modules", 0),
    "single-cell": ("--n-cells", 40, "--n-genes", 120),
    "cohort": ("--n-samples", 24, "--n-drugs", 10, "--n-targets", 4, "--n-genes", 130),
    "perturbation": ("--n-genes", 40, "--n-drugs", 4, "--n-pairs", 3, "--n-plates", 2),
    "aging": ("--n-samples", 20, "--n-genes", 150, "--n-age-genes", 30),
}
OF_FILES = tuple(kind for kind in NAMES if kind != "cohort")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(kind: str, *given: object) -> Result:
    return CliRunner().invoke(app, ["simulate", kind, *map(str, (*SMALL[kind], *given))])


def said(kind: str, *given: object) -> str:
    done = run(kind, *given)
    assert done.exit_code == 0, (done.output, done.exception)
    return done.output


def refused(kind: str, *given: object) -> str:
    done = run(kind, *given)
    assert isinstance(done.exception, ConfigurationError), (done.exit_code, done.output, done.exception)
    return str(done.exception)


@pytest.mark.parametrize("kind", OF_FILES)
def test_a_file_is_what_the_function_gives(kind: str) -> None:
    output = said(kind, "--seed", 3, "--out", "sub/sim.h5ad")
    written = ad.read_h5ad("sub/sim.h5ad")
    settings = {str(name)[2:].replace("-", "_"): value for name, value in zip(*[iter(SMALL[kind])] * 2, strict=True)}
    made = getattr(functions, f"simulate_{kind.replace('-', '_')}")(seed=3, **settings)
    dense = [np.asarray(data.to_df()) for data in (written, made)]
    np.testing.assert_array_equal(*dense)
    pd.testing.assert_frame_equal(written.var, made.var)
    assert (written.uns["truth"]["kind"], written.uns["truth"]["seed"]) == (kind, 3)
    assert re.match(rf"sub/sim.h5ad: {made.n_obs} (samples|cells|wells) x {made.n_vars} genes\nplanted: \w+", output)
    assert [file.name for file in Path("sub").iterdir()] == ["sim.h5ad"]


def test_the_last_line_says_what_is_planted() -> None:
    assert "planted: 10 genes differ in each group from group1 (5 up, mean |log2 fold change| 2); 5 genes" in said(
        "bulk", "--out", "a.h5ad"
    )
    nothing = ("--n-groups", 1, "--n-batches", 1)
    assert "planted: nothing\n" in said("bulk", *nothing, "--out", "a.h5ad")
    assert "2 of 3 pairs interact" in said("perturbation", "--out", "a.h5ad")
    assert "30 genes age" in said("aging", "--out", "a.h5ad")
    wanted = said("cohort", "--out", "cohort")
    n_biomarkers = len(pd.read_csv("cohort/truth/biomarkers.csv"))
    assert f"planted: {n_biomarkers} biomarkers of 10 drugs with 4 targets" in wanted
    assert f"{len(pd.read_csv('cohort/responses.csv'))} measured pairs" in wanted


def test_several_data_sets_count_up_and_are_those_of_their_seeds() -> None:
    output = said("bulk", "--n-datasets", 3, "--seed", 8, "--out", "sims")
    assert "sims/seed8.h5ad to seed10.h5ad: 3 data sets, each 12 samples x 50 genes" in output
    assert sorted(file.name for file in Path("sims").iterdir()) == [
        "run.json", "seed10.h5ad", "seed8.h5ad", "seed9.h5ad",
    ]  # fmt: skip
    manifest = read_manifest("sims")
    assert (manifest["job"], manifest["state"], manifest["settings"]["seed"]) == ("simulate bulk", "done", 8)
    assert manifest["tables"] == ["seed8.h5ad", "seed9.h5ad", "seed10.h5ad"]
    assert manifest["headline"].startswith("12 samples x 50 genes; planted: 10 genes differ")
    said("bulk", "--seed", 9, "--out", "one.h5ad")
    assert Path("one.h5ad").read_bytes() == Path("sims/seed9.h5ad").read_bytes()
    assert Path("one.h5ad").read_bytes() != Path("sims/seed8.h5ad").read_bytes()


def test_cohorts_are_folders() -> None:
    said("cohort", "--out", "one")
    output = said("cohort", "--n-datasets", 2, "--out", "two")
    assert "two/seed0 to seed1: 2 data sets, each 24 samples, 10 drugs" in output
    names = sorted(str(file.relative_to("one")) for file in Path("one").rglob("*") if file.is_file())
    assert {"responses.csv", "drugs.csv", "truth/biomarkers.csv"} <= set(names)
    assert set(read_manifest("one")["tables"]) == set(names) - {"run.json"}
    names.remove("run.json")
    for name in names:
        first = Path("two/seed0", name).read_bytes()
        assert first == Path("one", name).read_bytes()
    assert Path("two/seed1/responses.csv").read_bytes() != Path("one/responses.csv").read_bytes()
    assert not [file for file in Path("one").iterdir() if file.name.startswith(".")]


def test_groups_and_shares_reach_the_function() -> None:
    said("bulk", "--n-groups", 3, "--group-shares", "2,1,1", "--n-de", 6, "--n-up", 6, "--out", "a.h5ad")
    adata = ad.read_h5ad("a.h5ad")
    assert adata.obs["group"].value_counts().to_dict() == {"group1": 6, "group2": 3, "group3": 3}
    assert (adata.varm["log2_fold_change"] >= 1).sum(axis=0).tolist() == [0, 6, 6]


def test_what_was_written_here_may_be_written_again() -> None:
    said("bulk", "--out", "a.h5ad")
    before = Path("a.h5ad").read_bytes()
    said("bulk", "--seed", 1, "--out", "a.h5ad")
    assert Path("a.h5ad").read_bytes() != before
    said("bulk", "--out", "a.h5ad")
    assert Path("a.h5ad").read_bytes() == before
    said("cohort", "--out", "cohort")
    said("cohort", "--seed", 1, "--out", "cohort")


def test_what_someone_else_wrote_stays_unless_it_is_forced() -> None:
    said("bulk", "--out", "mine.h5ad")
    ad.read_h5ad("mine.h5ad")[:4].copy().write_h5ad("mine.h5ad")
    Path("text.h5ad").write_text("not HDF5")
    for name in ("mine.h5ad", "text.h5ad"):
        before = Path(name).read_bytes()
        assert re.search(f"{name} exists and .* did not write it; .*--force", refused("bulk", "--out", name))
        assert Path(name).read_bytes() == before
        said("bulk", "--force", "--out", name)
        assert ad.read_h5ad(name).shape == (12, 50)


def test_one_foreign_file_among_several_stops_all() -> None:
    Path("sims").mkdir()
    Path("sims/seed1.h5ad").write_text("not HDF5")
    assert "sims/seed1.h5ad exists" in refused("bulk", "--n-datasets", 3, "--out", "sims")
    assert [file.name for file in Path("sims").iterdir()] == ["seed1.h5ad"]
    said("bulk", "--n-datasets", 1, "--seed", 5, "--out", "sims/seed5.h5ad")


def test_a_cohort_that_was_cut_off_is_written_again() -> None:
    """A run that is killed leaves its work and its manifest behind; they are ours."""
    with pytest.raises(KeyboardInterrupt), RunFolder("cohort", "simulate cohort", {}):
        raise KeyboardInterrupt
    Path("cohort/.cellixir-simulate").mkdir(parents=True)
    Path("cohort/.cellixir-simulate/.7.expression.csv").write_text("half")
    said("cohort", "--out", "cohort")
    assert sorted(file.name for file in Path("cohort").iterdir() if file.name.startswith(".")) == []
    assert len(pd.read_csv("cohort/drugs.csv")) == 10


def test_data_sets_of_an_earlier_run_are_pointed_out() -> None:
    assert "also holds" not in said("bulk", "--n-datasets", 3, "--out", "sims")
    assert "note: sims also holds what was there before, such as seed2.h5ad" in said(
        "bulk", "--n-datasets", 2, "--out", "sims"
    )


def test_a_folder_with_other_things_is_filled_only_if_forced() -> None:
    Path("work").mkdir()
    Path("work/mine.txt").write_text("precious")
    assert "holds other things" in refused("bulk", "--n-datasets", 2, "--out", "work")
    said("bulk", "--n-datasets", 2, "--force", "--out", "work")
    assert {file.name for file in Path("work").iterdir()} == {"mine.txt", "run.json", "seed0.h5ad", "seed1.h5ad"}
    assert "holds other work" in refused("aging", "--n-datasets", 4, "--seed", 5, "--out", "work")


def test_a_folder_with_other_things_stays_as_it_is() -> None:
    Path("work").mkdir()
    Path("work/drugs.csv").write_text("precious")
    assert "work exists" in refused("cohort", "--out", "work")
    assert [file.name for file in Path("work").rglob("*")] == ["drugs.csv"]
    Path("file").write_text("precious")
    assert "file exists" in refused("cohort", "--out", "file")
    assert isinstance(run("cohort", "--force", "--out", "file").exception, WriteError)
    assert Path("file").read_text() == "precious"


@pytest.mark.parametrize(
    ("kind", "given", "words"),
    [
        ("bulk", ("--out", "sim"), "--out sim must end in .h5ad, such as sim.h5ad"),
        ("bulk", ("--out", "."), "--out . must end in .h5ad, such as sim.h5ad"),
        ("bulk", ("--out", "sim.csv"), "such as sim.h5ad"),
        ("bulk", ("--out", "a.h5ad", "--batch-shift", 10_000), "batch_shift=10000.0; .* up to 20"),
        ("aging", ("--out", "a.h5ad", "--n-sex-genes", 121), "n_sex_genes=121; .* at most n_genes=150"),
        ("bulk", ("--out", "sim.h5ad", "--n-datasets", 2), "--n-datasets 2 fills a folder; .* such as sim,"),
        ("cohort", ("--out", "sim.h5ad"), "a cohort is a folder of tables"),
        ("bulk", ("--out", "new/a.h5ad", "--n-de", 51), "n_de=51; .* at most n_genes=50"),
        ("bulk", ("--out", "new/a.h5ad", "--group-shares", "2;1"), "--group-shares '2;1' is no list of numbers"),
        ("aging", ("--out", "new/a.h5ad", "--scale", "rank"), "scale='rank'; use 'counts' or 'log2_tpm'"),
        ("perturbation", ("--out", "new/a.h5ad", "--n-pairs", 7), "n_pairs=7"),
        ("single-cell", ("--out", "new/a.h5ad", "--dropout", 1.5), "dropout=1.5"),
        ("cohort", ("--out", "new", "--missing", -1), "missing=-1"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(kind: str, given: tuple[object, ...], words: str) -> None:
    assert re.search(words, refused(kind, *given))
    assert list(Path().iterdir()) == []


def test_a_folder_of_that_name_is_no_file() -> None:
    Path("a.h5ad").mkdir()
    done = run("bulk", "--out", "a.h5ad")
    assert isinstance(done.exception, WriteError)
    assert "it is a folder" in str(done.exception)


def test_a_write_that_fails_leaves_what_was_there(monkeypatch: pytest.MonkeyPatch) -> None:
    said("bulk", "--out", "a.h5ad")
    before = Path("a.h5ad").read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("cellixir.data.expression.write.write_elem", full)
    done = run("bulk", "--seed", 1, "--out", "a.h5ad")
    assert isinstance(done.exception, CellixirError)
    assert "No space left" in str(done.exception)
    assert [file.name for file in Path().iterdir()] == ["a.h5ad"]
    assert Path("a.h5ad").read_bytes() == before


@pytest.mark.parametrize("kind", NAMES)
def test_help_has_examples_and_the_defaults_of_the_function(kind: str) -> None:
    done = CliRunner().invoke(app, ["simulate", kind, "--help"])
    assert done.exit_code == 0
    assert f"cellixir simulate {kind} " in done.output
    assert "Examples" in done.output
    name = kind.replace("-", "_")
    offered = inspect.signature(getattr(commands, name)).parameters
    known = inspect.signature(getattr(functions, f"simulate_{name}")).parameters
    own = {"out", "n_datasets", "force"}
    assert own < set(offered)
    assert {key: offered[key].default for key in set(offered) - own} == {
        key: known[key].default for key in set(offered) - own
    }
