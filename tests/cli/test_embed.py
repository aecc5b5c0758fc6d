"""``cellixir embed``: options, files, messages."""

from __future__ import annotations

import json
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from click.testing import Result
from typer.testing import CliRunner

from cellixir.cli.app import app
from cellixir.embedding.pieces import fit
from cellixir.exceptions import CellixirError

BASE = ("--hidden", "8", "--epochs", "4", "--no-maps")
FAST = ("--latent", "3", *BASE)


pytest.importorskip("igraph")  # metrics on labels cluster


@pytest.fixture(autouse=True)
def few_clusterings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two seeds of each clustering instead of ten: these tests are not about their mean."""
    monkeypatch.setattr("cellixir.embedding.evaluation.N_CLUSTERINGS", 2)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Counts of three types with eight genes each, their gene sets, and a file of experiments."""
    rng = np.random.default_rng(0)
    code = np.arange(90) % 3
    rate = np.full((3, 24), 0.5)
    for k in range(3):
        rate[k, 8 * k : 8 * k + 8] = 6.0
    obs = pd.DataFrame({"type": np.array(["B", "T", "NK"])[code], "patient": [f"p{i // 3 % 6}" for i in range(90)]})
    obs.index = [f"c{i}" for i in range(90)]
    cells = ad.AnnData(rng.poisson(rate[code]).astype("float32"), obs=obs)
    cells.var_names = [f"G{i}" for i in range(24)]
    cells.write_h5ad(tmp_path / "cells.h5ad")
    sets = [f"SET {k}\tid{k}\t" + "\t".join(f"G{i}" for i in range(8 * k, 8 * k + 8)) for k in range(3)]
    (tmp_path / "sets.gmt").write_text("\n".join(sets) + "\n")
    (tmp_path / "three.toml").write_text(
        "[defaults]\nepochs = 3\nlatent = 2\n[experiment.wide]\nhidden = 16\n[experiment.narrow]\nhidden = 8\n"
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*given: object) -> Result:
    return CliRunner().invoke(app, ["embed", *map(str, given)])


def refused(*given: object) -> str:
    done = run(*given)
    assert isinstance(done.exception, CellixirError), (done.exit_code, done.output, done.exception)
    assert not Path("run").exists()
    return str(done.exception)


def test_fit_apply_round_trip(files: Path) -> None:
    done = run("fit", "cells.h5ad", "--label-key", "type", "--folds", "2", "--out", "run", *FAST)
    assert done.exit_code == 0, done.output
    assert "VAE beside PCA" in done.output
    assert "Cell types are called with an accuracy of" in done.output
    metrics = json.loads(Path("run/metrics.json").read_text())
    assert {"vae", "pca", "difference", "held_out_elbo", "cells", "genes", "epochs", "seconds"} <= set(metrics)
    for given in ("run", "run/model"):
        done = run("apply", given, "cells.h5ad", "--out", "embedded.h5ad")
        assert done.exit_code == 0, done.output
        mine, theirs = ad.read_h5ad("embedded.h5ad"), ad.read_h5ad("run/cells.h5ad")
        np.testing.assert_allclose(mine.obsm["X_vae"], theirs.obsm["X_vae"], rtol=1e-5, atol=1e-5)
        assert (mine.obs["predicted"].astype(str) == theirs.obs["predicted"].astype(str)).all()


def test_gene_sets_give_latents_their_names(files: Path) -> None:
    done = run("fit", "cells.h5ad", "--gene-sets", "sets.gmt", "--out", "run", *BASE)
    assert done.exit_code == 0, done.output
    assert list(pd.read_csv("run/loadings.csv").columns[1:4]) == ["SET 0", "SET 1", "SET 2"]
    table = pd.read_csv("run/enrichment.csv")
    assert set(table["latent"]) == {
        f"free {i}" for i in range(1, 5)
    }  # a pathway is enriched for itself by construction
    page = Path("run/report.html").read_text()
    assert "pathways that vary most among the cells" in page
    assert "SET 1" in page


def test_latents_are_tested_for_gene_sets_where_asked(files: Path) -> None:
    done = run("fit", "cells.h5ad", "--enrich", "sets.gmt", "--out", "run", *FAST)
    assert done.exit_code == 0, done.output
    table = pd.read_csv("run/enrichment.csv")
    assert set(table["latent"]) == {"z1", "z2", "z3"}
    assert {"SET 0", "SET 1", "SET 2"} <= set(table["pathway"])
    assert "Enrichment" in Path("run/report.html").read_text()
    done = run("fit", "cells.h5ad", "--enrich", "sets.gmt", "--gene-sets", "sets.gmt", "--out", "both", *BASE)
    assert done.exit_code != 0
    assert "not both" in str(done.exception)


def test_cells_on_disk_give_the_same_files_without_a_copy_of_x(files: Path) -> None:
    done = run("fit", "cells.h5ad", "--backed", "--group-key", "patient", "--out", "run", *FAST)
    assert done.exit_code == 0, done.output
    assert ad.read_h5ad("run/cells.h5ad").X is None
    assert ad.read_h5ad("run/cells.h5ad").obsm["X_vae"].shape == (90, 3)


def test_compare_prints_and_writes(files: Path) -> None:
    done = run("compare", "three.toml", "cells.h5ad", "--label-key", "type", "--no-maps", "--out", "run")
    assert done.exit_code == 0, done.output
    table = pd.read_csv("run/experiments.csv")
    assert table["experiment"].tolist() == ["wide", "narrow"]
    assert {"held_out_elbo", "ari", "pca_ari", "accuracy", "pca_accuracy", "seconds", "converged"} <= set(table)
    assert "wide" in done.output
    assert "held-out evidence lower bound" in done.output


def test_an_experiment_that_raises_is_listed_and_the_exit_code_says_so(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(settings: dict[str, object], *given: object) -> object:
        if settings["hidden"] == 16:
            message = "out of luck"
            raise RuntimeError(message)
        return fit(settings, *given)  # type: ignore[arg-type]

    monkeypatch.setattr("cellixir.embedding.comparing.fit", broken)
    done = run("compare", "three.toml", "cells.h5ad", "--no-maps", "--out", "run")
    assert done.exit_code == 1
    assert "failed: wide: RuntimeError: out of luck" in done.output
    assert pd.read_csv("run/experiments.csv")["experiment"].tolist() == ["narrow"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("none.h5ad",), "none.h5ad cannot be read"),
        (("cells.h5ad", "--label-key", "celltype"), "no column 'celltype'.*'type', 'patient'"),
        (("cells.h5ad", "--likelihood", "poisson"), "not 'poisson'"),
        (("cells.h5ad", "--latent", "0"), "latent must be 1 or more"),
        (("cells.h5ad", "--layer", "spliced"), "no layer 'spliced'"),
        (("cells.h5ad", "--gene-sets", "none.gmt"), "none.gmt"),
        (("cells.h5ad", "--label-key", "type", "--folds", "1"), "--folds 1"),
        (("cells.h5ad", "--folds", "3"), "--folds is of the cross-validation of cell types"),
        (("cells.h5ad", "--latent", "3", "--gene-sets", "sets.gmt"), "--latent is for a decoder without --gene-sets"),
        (("cells.h5ad", "--backed", "--jobs", "2"), "--jobs 2 cannot give cells on disk to other processes"),
    ],
)
def test_fit_says_what_is_wrong_and_writes_nothing(files: Path, given: tuple[str, ...], words: str) -> None:
    import re

    assert re.search(words, refused("fit", *given, "--out", "run"))


def test_apply_says_what_is_wrong(files: Path) -> None:
    assert "no bundle at nothing" in refused("apply", "nothing", "cells.h5ad", "--out", "a.h5ad")
    assert "must end in .h5ad" in refused("apply", "nothing", "cells.h5ad", "--out", "a.csv")
    assert "over the data" in refused("apply", "nothing", "cells.h5ad", "--out", "cells.h5ad")
    given = ("apply", "x", "cells.h5ad", "--out", "a.h5ad", "--missing", "skip")
    assert "--missing must be one of refuse, zero, mean, not 'skip'" in refused(*given)
    run("fit", "cells.h5ad", "--out", "fitted", *FAST)
    ad.read_h5ad("cells.h5ad")[:, :12].copy().write_h5ad("half.h5ad")
    assert "12 of the model's 24 genes (50%)" in refused("apply", "fitted", "half.h5ad", "--out", "a.h5ad")
    assert not Path("a.h5ad").exists()


def test_compare_says_which_experiment_and_key(files: Path) -> None:
    Path("bad.toml").write_text("[experiment.wide]\nhiden = 3\n")
    said = refused("compare", "bad.toml", "cells.h5ad", "--out", "run")
    assert "experiment 'wide', key 'hiden'" in said
    assert "did you mean 'hidden'" in said


@pytest.mark.parametrize("command", ["fit", "apply", "compare"])
def test_help_has_examples(command: str) -> None:
    done = run(command, "--help")
    assert done.exit_code == 0
    assert f"cellixir embed {command}" in done.output
    assert "Examples" in done.output
