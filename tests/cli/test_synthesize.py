"""``cellixir synthesize``: fit, sample, evaluate and benchmark as a user gives them, and what is refused."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from click.testing import Result
from typer.testing import CliRunner

from cellixir.cli.app import app
from cellixir.data.simulate import simulate_bulk
from cellixir.exceptions import CellixirError
from cellixir.runs import Progress, RunFolder, read_manifest
from cellixir.synthesis import load_generator

pytestmark = pytest.mark.usefixtures("small_numbers")
KEYS = ("--contrast-key", "group", "--batch-key", "batch")
BUNDLE = {"weights.safetensors", "model.json", "card.md"}


@pytest.fixture(scope="module")
def given_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real samples to learn from, and others that are held out."""
    place = tmp_path_factory.mktemp("given")
    samples = simulate_bulk(n_samples=90, n_genes=50)
    held = np.arange(90) % 3 == 0
    samples[~held].copy().write_h5ad(place / "train.h5ad")
    samples[held].copy().write_h5ad(place / "held.h5ad")
    (place / "mine.csv").write_text("sample,age\n")
    return place


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, given_files: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with the files."""
    shutil.copytree(given_files, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*given: object) -> Result:
    return CliRunner().invoke(app, ["synthesize", *map(str, given)])


def said(*given: object) -> str:
    done = run(*given)
    assert done.exit_code == 0, (done.output, done.exception)
    return done.output


def refused(*given: object) -> str:
    before = sorted(map(str, Path().rglob("*")))
    done = run(*given)
    assert isinstance(done.exception, CellixirError), (done.exit_code, done.output, done.exception)
    assert sorted(map(str, Path().rglob("*"))) == before
    return str(done.exception)


def fit(model: str = "gaussian", *given: object) -> str:
    return said("fit", "train.h5ad", "--model", model, "--condition", "batch,group", "--out", "b", *given)


def counts_of(file: str) -> np.ndarray:
    x = ad.read_h5ad(file).X
    return x.toarray() if sp.issparse(x) else np.asarray(x)


# -- the way through ---------------------------------------------------------------------------------------------------


def test_fit_sample_evaluate() -> None:
    output = fit("cvae", "--epochs", 2, "--history", "curves.csv")
    assert "Conditional variational autoencoder of 60 samples x 50 genes" in output
    assert "conditions: batch: batch1, batch2; group: group1, group2" in output
    assert "bundle: b" in output
    assert {file.name for file in Path("b").iterdir()} == BUNDLE
    assert len(pd.read_csv("curves.csv")) == 2
    assert not list(Path().glob("*.safetensors"))  # the checkpoint has gone

    assert "60 samples x 50 genes (batch: " in said("sample", "b", "-n", 60, "--out", "made.h5ad")
    made, train = ad.read_h5ad("made.h5ad"), ad.read_h5ad("train.h5ad")
    assert made.var_names.equals(train.var_names)
    assert (made.uns["scale"], bool(made.uns["synthetic"])) == ("counts", True)
    values = counts_of("made.h5ad")
    assert (values >= 0).all()
    np.testing.assert_array_equal(values, values.round())

    given = ("--real", "train.h5ad", "--holdout", "held.h5ad", "--synthetic", "made.h5ad")
    output = said("evaluate", *given, *KEYS, "--no-maps", "--out", "judged")
    for start in ("Faithful: ", "Useful: ", "Private: "):
        assert re.search(f"^{start}(yes|partly|no)", output, re.MULTILINE), start
    assert "shuffled" in output
    assert "report: judged/report.html" in output
    metrics = json.loads(Path("judged/metrics.json").read_text(encoding="utf-8"))
    assert metrics["facts"]["truth"] == "planted"
    manifest = read_manifest("judged")
    assert (manifest["job"], manifest["state"], manifest["pages"]) == ("synthesize evaluate", "done", ["report.html"])
    assert set(manifest["data"]) == {"train", "holdout", "synthetic"}
    assert metrics["metrics"]["lfc_slope"]["ceiling"] > metrics["metrics"]["lfc_slope"]["floor"]


def test_conditions_that_are_asked_for_are_met() -> None:
    fit()
    given = ("--given", "group=group2", "--given", "batch=batch1")
    assert "(batch: batch1 7; group: group2 7)" in said("sample", "b", "-n", 7, *given, "--out", "a.h5ad")
    obs = ad.read_h5ad("a.h5ad").obs
    assert set(obs["group"]) == {"group2"}
    assert set(obs["batch"]) == {"batch1"}


def test_a_seed_gives_the_same_samples_and_another_gives_others() -> None:
    fit()
    for name, given in (("a", ()), ("b2", ("--seed", 0)), ("c", ("--seed", 1))):
        said("sample", "b", "-n", 5, *given, "--out", f"{name}.h5ad")
    np.testing.assert_array_equal(counts_of("a.h5ad"), counts_of("b2.h5ad"))
    assert (counts_of("a.h5ad") != counts_of("c.h5ad")).any()


def test_a_fit_that_was_stopped_goes_on_and_ends_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    fit("cvae", "--epochs", 3)
    whole = load_generator("b").state()[0]
    shown: list[int] = []

    def stop(self: Progress, member: int, epoch: object, n: int) -> None:
        shown.append(n)
        if len(shown) == 2:
            raise KeyboardInterrupt

    given = ("fit", "train.h5ad", "--model", "cvae", "--condition", "batch,group", "--epochs", 3, "--out", "again")
    with monkeypatch.context() as patch:
        patch.setattr(Progress, "epoch", stop)
        assert run(*given).exit_code != 0
    assert Path("again.checkpoint.safetensors").is_file()
    assert not Path("again").exists()
    with monkeypatch.context() as patch:
        patch.setattr(Progress, "epoch", lambda *_: shown.append(0))
        said(*given)
    assert len(shown) == 3  # two epochs before the stop, one after it
    assert not Path("again.checkpoint.safetensors").exists()
    again = load_generator("again").state()[0]
    assert whole.keys() == again.keys()
    assert all(np.array_equal(whole[name], again[name], equal_nan=True) for name in whole)


def test_benchmark_prints_writes_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    said_by_simulate = CliRunner().invoke(
        app, ["simulate", "bulk", "--n-datasets", "2", "--n-samples", "80", "--n-genes", "50", "--out", "sims"]
    )
    assert said_by_simulate.exit_code == 0
    given = ("benchmark", "sims/seed0.h5ad", "sims/seed1.h5ad", "--models", "gaussian,copula", *KEYS, "--out", "runs")
    output = said(*given)
    for word in ("gaussian", "copula", "real held-out", "genes shuffled", "report: runs/report.html"):
        assert word in output
    results = pd.read_csv("runs/results.csv")
    assert set(results["dataset"]) == {"seed0", "seed1"}
    assert "planted" in Path("runs/report.html").read_text(encoding="utf-8")
    pieces = {file: file.stat().st_mtime_ns for file in Path("runs").rglob("piece.json")}
    assert len(pieces) == 4
    monkeypatch.setattr("cellixir.synthesis.benchmark_job.pages", lambda *_: iter(()))  # they take longest
    said(*given)
    assert {file: file.stat().st_mtime_ns for file in Path("runs").rglob("piece.json")} == pieces


def test_a_failed_piece_is_reported_and_the_exit_code_says_so() -> None:
    few = ad.read_h5ad("train.h5ad")[:24].copy()
    few.write_h5ad("few.h5ad")
    done = run("benchmark", "train.h5ad", "few.h5ad", "--models", "gaussian", "--holdout", "0.4", *KEYS, "--out", "r")
    assert done.exit_code == 1
    assert "failed: few, gaussian, seed 0: " in done.output
    assert set(pd.read_csv("r/results.csv")["dataset"]) == {"train"}


def test_a_generator_of_ones_own_joins_by_its_name() -> None:
    Path("my_generators.py").write_text(
        "class Mine:\n"
        "    def fit(self, samples):\n        self.samples = samples\n        return self\n"
        "    def sample(self, n):\n        return self.samples[:n].copy()\n"
    )
    given = ("benchmark", "train.h5ad", "--models", "gaussian", "--holdout", 0.4, *KEYS, "--out", "runs", "--model")
    assert "my_generators:Mine" in said(*given, "my_generators:Mine")
    results = pd.read_csv("runs/results.csv").set_index(["model", "metric"])["value"]
    assert results["my_generators:Mine", "copies"] == 1.0
    assert "has no method sample" in refused(*given, "sklearn.linear_model:Ridge")


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("train.h5ad", "--model", "cave"), r"no generator 'cave' \(did you mean 'cvae'\?\); choose among gaussian"),
        (("none.h5ad", "--model", "gaussian"), "none.h5ad"),
        (("train.h5ad", "--model", "gaussian", "--condition", "grp"), "no column 'grp'.*'batch', 'group'"),
        (("train.h5ad", "--model", "gaussian", "--condition", "group,group"), "'group' is named twice"),
        (
            ("train.h5ad", "--model", "gaussian", "--epochs", 3),
            "--epochs 3 is for networks, and 'gaussian' trains none",
        ),
        (("train.h5ad", "--model", "copula", "--history", "h.csv"), "--history is for networks"),
        (("train.h5ad", "--model", "gan", "--history", "new/h.csv"), "would stand in the bundle"),
        (("train.h5ad", "--model", "gan", "--history", "held.h5ad"), "--history held.h5ad must be a new .csv file"),
        (("train.h5ad", "--model", "gan", "--history", "mine.csv"), "--history mine.csv must be a new .csv file"),
        (("train.h5ad", "--model", "gaussian", "--layer", "spliced"), "no layer 'spliced'"),
    ],
)
def test_fit_says_what_is_wrong_and_writes_nothing(given: tuple[object, ...], words: str) -> None:
    assert re.search(words, refused("fit", *given, "--out", "new"))


def changed(change: object) -> None:
    """Write bad.h5ad, the training samples after ``change``."""
    samples = ad.read_h5ad("train.h5ad")
    change(samples)  # type: ignore[operator]
    samples.write_h5ad("bad.h5ad")


def test_negative_counts_are_refused() -> None:
    def spoil(samples: ad.AnnData) -> None:
        values = counts_of("train.h5ad")
        values[3, 7] = -2
        samples.X = values

    changed(spoil)
    assert re.search("-2|negative|below 0", refused("fit", "bad.h5ad", "--model", "gaussian", "--out", "new"))


def test_missing_values_and_too_few_samples_are_refused() -> None:
    def lose(samples: ad.AnnData) -> None:
        samples.obs["group"] = samples.obs["group"].astype(object)
        samples.obs.iloc[3, samples.obs.columns.get_loc("group")] = None

    changed(lose)
    given = ("--model", "gaussian", "--condition", "group", "--out", "new")
    assert "has no value for 1 of 60 samples" in refused("fit", "bad.h5ad", *given)
    ad.read_h5ad("train.h5ad")[:5].copy().write_h5ad("five.h5ad")
    assert "5 samples are too few to learn from; give 10 or more" in refused("fit", "five.h5ad", *given)


def test_a_folder_that_is_no_bundle_is_not_written_over() -> None:
    Path("new").mkdir()
    Path("new/precious.txt").write_text("x")
    assert "holds other things than a bundle" in refused("fit", "train.h5ad", "--model", "gaussian", "--out", "new")


def test_a_bundle_of_another_kind_is_not_written_over() -> None:
    fit()
    facts = json.loads(Path("b/model.json").read_text(encoding="utf-8"))
    Path("b/model.json").write_text(json.dumps(facts | {"class": "VAE"}), encoding="utf-8")
    assert "b holds a 'VAE', which is no generator" in refused("fit", "train.h5ad", "--model", "gaussian", "--out", "b")


def test_a_history_is_written_over_by_the_next_fit() -> None:
    for epochs in (2, 3):
        fit("gan", "--epochs", epochs, "--history", "h.csv")
        assert len(pd.read_csv("h.csv")) == epochs


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("--given", "group=group9"), "no sample of the fit had group=group9; seen were 'group1', 'group2'"),
        (("--given", "sex=male"), "'sex' is not a condition of this generator; it knows 'batch', 'group'"),
        (("--given", "group"), "--given 'group' names no value; write COLUMN=VALUE"),
        (("--given", "group=group1", "--given", "group=group2"), "once for each of its values"),
        (("-n", 0), "n=0 samples cannot be drawn"),
        (("--out", "made.xlsx"), "--out made.xlsx must end in .h5ad"),
        (("--out", "b/made.h5ad"), "would stand in the bundle"),
        (("--out", "train.h5ad"), "train.h5ad exists and 'cellixir synthesize' did not write it"),
    ],
)
def test_sample_says_what_is_wrong_and_writes_nothing(given: tuple[object, ...], words: str) -> None:
    fit()
    assert re.search(words, refused("sample", "b", "-n", 5, "--out", "made.h5ad", *given))


def test_two_conditions_in_one_option_are_told_apart() -> None:
    fit()
    done = run("sample", "b", "-n", 5, "--given", "batch=batch1,group=group1", "--out", "made.h5ad")
    assert "give it once for each column" in done.exception.__notes__[0]  # type: ignore[union-attr]


def test_more_samples_than_memory_holds_are_refused() -> None:
    fit()
    words = refused("sample", "b", "-n", 10**12, "--out", "made.h5ad")
    most = re.search(r"draw (10+(?:,000)*) at a time", words)
    assert most is not None, words
    assert int(most[1].replace(",", "")) < 10**12


def test_what_is_no_bundle_is_refused() -> None:
    assert "no bundle at nowhere" in refused("sample", "nowhere", "-n", 5, "--out", "made.h5ad")
    Path("empty").mkdir()
    assert "not a whole bundle" in refused("sample", "empty", "-n", 5, "--out", "made.h5ad")


def test_only_what_was_drawn_here_is_written_over_unless_it_is_forced() -> None:
    fit()
    said("sample", "b", "-n", 5, "--out", "made.h5ad")
    said("sample", "b", "-n", 6, "--out", "made.h5ad")
    assert ad.read_h5ad("made.h5ad").n_obs == 6
    said("sample", "b", "-n", 5, "--force", "--out", "train.h5ad")
    assert ad.read_h5ad("train.h5ad").n_obs == 5
    Path("text.h5ad").write_text("not HDF5")
    assert "text.h5ad exists" in refused("sample", "b", "-n", 5, "--out", "text.h5ad")


def test_evaluate_says_what_is_wrong_and_writes_nothing() -> None:
    other = ad.read_h5ad("held.h5ad")[:, :40].copy()
    other.write_h5ad("other.h5ad")
    ad.read_h5ad("train.h5ad")[:12].copy().write_h5ad("few.h5ad")
    given = ("evaluate", "--real", "train.h5ad", "--out", "judged", "--holdout")
    assert "held.h5ad is given twice" in refused(*given, "held.h5ad", "--synthetic", "held.h5ad")
    said_of_genes = refused(*given, "held.h5ad", "--synthetic", "other.h5ad")
    assert "10 of 50 genes of the real training data are missing" in said_of_genes
    assert "12 samples, too few" in refused(*given, "held.h5ad", "--synthetic", "few.h5ad")
    ad.read_h5ad("held.h5ad").write_h5ad("copy.h5ad")
    assert "no column 'grp'" in refused(*given, "held.h5ad", "--synthetic", "copy.h5ad", "--contrast-key", "grp")
    Path("judged").mkdir()
    Path("judged/report.html").write_text("precious")
    assert "judged exists and holds other things" in refused(*given, "held.h5ad", "--synthetic", "copy.h5ad")
    Path("judged/report.html").unlink()
    with RunFolder("judged", "synthesize evaluate", {}) as earlier:  # the folder of an evaluation may be used
        earlier.json("metrics.json", {"verdicts": {}})
    assert "genes" in refused(*given, "held.h5ad", "--synthetic", "other.h5ad")


def test_held_out_samples_that_are_known_are_refused() -> None:
    whole = ad.concat([ad.read_h5ad("train.h5ad"), ad.read_h5ad("held.h5ad")[:3].copy()])
    whole.uns["scale"] = "counts"
    whole.write_h5ad("leaky.h5ad")
    for name in ("train", "held"):
        ad.read_h5ad(f"{name}.h5ad").write_h5ad(f"{name}2.h5ad")
    fit()
    said("sample", "b", "-n", 40, "--out", "made.h5ad")
    given = ("evaluate", "--out", "judged", "--real")
    known = refused(*given, "train.h5ad", "--holdout", "train2.h5ad", "--synthetic", "made.h5ad")
    assert "60 of 60 held-out samples are training samples, value for value" in known
    known = refused(*given, "leaky.h5ad", "--holdout", "held.h5ad", "--synthetic", "made.h5ad")
    assert "3 of 30 held-out samples are training samples" in known
    known = refused(*given, "train.h5ad", "--holdout", "held.h5ad", "--synthetic", "held2.h5ad")
    assert "30 of 30 synthetic samples are held-out samples" in known


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("train.h5ad", "--models", "copla"), r"no generator 'copla' \(did you mean 'copula'"),
        (("none.h5ad",), "none.h5ad cannot be read: there is no such file"),
        (("train.h5ad", "./train.h5ad"), "two data sets are called 'train'"),
        (("train.h5ad", "--condition", "batch", "--contrast-key", "group"), "'group' is not among the conditions"),
        (("train.h5ad", "--holdout", "1.5"), "holdout=1.5 is no share"),
        (("train.h5ad", "--models", "gaussian,copula", "--epochs", 3), "'gaussian' and 'copula' trains none"),
    ],
)
def test_benchmark_says_what_is_wrong_and_writes_nothing(given: tuple[object, ...], words: str) -> None:
    assert re.search(words, refused("benchmark", *given, "--out", "runs"))


@pytest.mark.parametrize("command", ["fit", "sample", "evaluate", "benchmark"])
def test_help_has_examples(command: str) -> None:
    output = said(command, "--help")
    assert f"cellixir synthesize {command}" in output
    assert "Examples" in output


def test_a_table_comes_out_as_a_table() -> None:
    fit()
    for name in ("made.csv", "made.h5ad"):
        said("sample", "b", "-n", 5, "--out", name)
    table, obs = (pd.read_csv(name, index_col="sample") for name in ("made.csv", "made.obs.csv"))
    np.testing.assert_allclose(table.to_numpy(), counts_of("made.h5ad"))
    stored = ad.read_h5ad("made.h5ad")
    assert list(table.columns) == list(stored.var_names)
    assert obs.to_dict("list") == stored.obs.astype(str).to_dict("list")
    assert "did not write it" in refused("sample", "b", "-n", 5, "--out", "made.csv")


def test_tables_of_unknown_genes_are_judged_with_labels_of_their_own() -> None:
    for number, name in enumerate(("train", "held", "made")):
        cells = ad.read_h5ad("train.h5ad" if name == "made" else f"{name}.h5ad")
        values = np.random.default_rng(number).permutation(counts_of("train.h5ad"), axis=0)[: cells.n_obs] + number
        names = [f"{name}{i}" for i in range(cells.n_obs)]
        pd.DataFrame(values, names, [f"feature{i}" for i in range(50)]).to_csv(f"{name}.csv")
        cells.obs[["group"]].set_axis(names).to_csv(f"{name}.obs.csv")
    real = pd.concat([pd.read_csv(f"{name}.obs.csv", index_col=0) for name in ("train", "held")])
    real.to_csv("real.obs.csv")
    given = ("evaluate", "--real", "train.csv", "--holdout", "held.csv", "--synthetic", "made.csv", "--no-maps")
    assert "(--cells-are)" in refused(*given, "--out", "judged")
    given = (*given, "--cells-are", "rows", "--contrast-key", "group", "--labels", "real.obs.csv", "--out", "judged")
    assert "synthetic data have no column 'group'; obs has none: give a table about them" in refused(*given)
    assert "report: judged/report.html" in said(*given, "--synthetic-labels", "made.obs.csv")
    # a file that is no table says itself what its cells are, and does not stop the one that is
    assert "of other genes" in refused(*given[:6], "train.h5ad", "--cells-are", "rows", "--out", "other")


def test_benchmark_reads_a_table_with_labels_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    pd.DataFrame(counts_of("train.h5ad"), columns=[f"feature{i}" for i in range(50)]).to_csv("t.csv")
    ad.read_h5ad("train.h5ad").obs[["group"]].set_axis(list(map(str, range(60)))).to_csv("t.obs.csv")
    seen: dict[str, ad.AnnData] = {}

    def stop(sources: dict[str, Callable[[], ad.AnnData]], *_: object, **__: object) -> None:
        seen.update({name: read() for name, read in sources.items()})
        message = "read"
        raise CellixirError(message)

    monkeypatch.setattr("cellixir.synthesis.benchmark_job.benchmark", stop)
    given = ("--cells-are", "rows", "--scale", "log2_tpm", "--labels", "t.obs.csv", "--out", "runs")
    refused("benchmark", "t.csv", *given)
    assert (seen["t"].shape, seen["t"].uns["scale"]) == ((60, 50), "log2_tpm")
    assert set(seen["t"].obs["group"]) == {"group1", "group2"}
    assert "is about one data set, and 2 are given" in refused("benchmark", "t.csv", "train.h5ad", *given)


def test_split_makes_the_two_files_of_an_evaluation() -> None:
    cells = ad.read_h5ad("train.h5ad")
    cells.obs["patient"] = [f"p{i // 5}" for i in range(cells.n_obs)]
    cells.write_h5ad("all.h5ad")
    for given, apart in ((("--condition", "group"), "group"), (("--group-key", "patient"), "patient")):
        said("split", "all.h5ad", *given, "--holdout", 0.3, "--out", apart)
        parts = [ad.read_h5ad(f"{apart}/{name}.h5ad") for name in ("train", "held_out")]
        assert sorted(parts[0].obs_names.append(parts[1].obs_names)) == sorted(cells.obs_names)
        assert parts[1].n_obs == pytest.approx(18, abs=5)
        shared = set(parts[0].obs[apart]) & set(parts[1].obs[apart])
        assert shared == (set() if apart == "patient" else set(cells.obs["group"]))
    assert "already holds train.h5ad and held_out.h5ad" in refused("split", "all.h5ad", "--out", "group")
    assert "is no share of the samples" in refused("split", "all.h5ad", "--holdout", 1, "--out", "other")
    assert "there is no column 'x'" in refused("split", "all.h5ad", "--group-key", "x", "--out", "other")
