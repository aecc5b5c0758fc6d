"""The embedding job: honest metrics, files, resuming, refusals."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from cellixir.embedding import embedding_job as job
from cellixir.embedding.annotated import assigned, placed
from cellixir.embedding.application import apply, load_vae
from cellixir.embedding.cell_types import parts_of
from cellixir.embedding.embedding_job import embed
from cellixir.embedding.enriching import enrich
from cellixir.embedding.judging import Beside, judged_rows, latents_beside, some_cells
from cellixir.embedding.maps import by_size
from cellixir.embedding.markers import group_means, marker_genes
from cellixir.embedding.settings import vae_of
from cellixir.embedding.summary import headline, score_table, scores_as_json
from cellixir.embedding.vae import VAE
from cellixir.exceptions import ConfigurationError, UnknownIds
from cellixir.metrics.clustering import silhouette
from cellixir.metrics.intervals import Interval
from cellixir.runs import RunFolder, read_manifest

SMALL = {"latent": 3, "hidden": 8, "max_epochs": 6}


def cells_of_types(n: int = 90, n_genes: int = 24, seed: int = 0) -> ad.AnnData:
    """Counts of three types, each with eight genes of its own; six patients."""
    rng = np.random.default_rng(seed)
    code = np.arange(n) % 3
    rate = np.full((3, n_genes), 0.5)
    for k in range(3):
        rate[k, 8 * k : 8 * k + 8] = 6.0
    obs = pd.DataFrame({"type": np.array(["B", "T", "NK"])[code], "patient": [f"p{i // 3 % 6}" for i in range(n)]})
    obs.index = [f"c{i}" for i in range(n)]
    cells = ad.AnnData(rng.poisson(rate[code]).astype("float32"), obs=obs)
    cells.var_names = [f"G{i}" for i in range(n_genes)]
    return cells


pytest.importorskip("igraph")  # metrics on labels cluster


@pytest.fixture(autouse=True)
def few_clusterings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two seeds of each clustering instead of ten: these tests are not about their mean."""
    monkeypatch.setattr("cellixir.embedding.evaluation.N_CLUSTERINGS", 2)


def test_writes_everything_and_clears_its_checkpoint(tmp_path: Path) -> None:
    cells = cells_of_types()
    found = embed(cells, tmp_path / "out", maps=False, folds=2, label_key="type", **SMALL)
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {
        "model", "pieces", "run.json", "cells.h5ad", "metrics.json", "report.html", "history.csv", "loadings.csv",
        "called.csv",
    }  # fmt: skip
    assert not list((tmp_path / "out").rglob("checkpoint"))
    manifest = read_manifest(tmp_path / "out")
    assert (manifest["job"], manifest["state"], manifest["headline"]) == ("embed fit", "done", found.headline)
    assert manifest["tables"] == ["cells.h5ad", "history.csv", "loadings.csv", "called.csv"]
    assert set(manifest["data"]) == {"cells", "label_key"}
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    for embedding in ("vae", "pca", "difference"):
        assert set(metrics[embedding]) >= {
            "ari",
            "nmi",
            "silhouette",
            "knn_purity",
            "accuracy",
            "macro_f1",
            "ari_leiden",
            "nmi_leiden",
        }
    assert metrics["pca"]["accuracy"]["value"] > 0.9  # the types are planted
    assert (metrics["cells"], metrics["genes"], metrics["epochs"]) == (90, 24, 6)
    written = ad.read_h5ad(tmp_path / "out" / "cells.h5ad")
    np.testing.assert_allclose(written.obsm["X_vae"], found.model.transform(cells), rtol=1e-5, atol=1e-5)
    assert written.obsm["X_pca"].shape == (90, 3)
    assert set(written.obs["predicted"]) <= {"B", "T", "NK"}
    assert "Cell types are called" in (tmp_path / "out" / "report.html").read_text()
    assert "the weight of the KL divergence rises to 1 and" in (tmp_path / "out" / "report.html").read_text()


def test_metrics_on_labels_do_not_see_labels(tmp_path: Path) -> None:
    """Types dealt at random cannot be found, and the latents that are judged are not those of the model with a head."""
    cells = cells_of_types()
    cells.obs["type"] = np.random.default_rng(0).permutation(cells.obs["type"].to_numpy())
    found = embed(cells, tmp_path / "out", maps=False, folds=2, label_key="type", **SMALL)
    scores = found.scores.set_index("metric")["vae"]
    assert abs(scores["ari"]) < 0.1
    assert scores["accuracy"] < 0.5
    blind = vae_of(SMALL).fit(cells).transform(cells)
    assert scores["silhouette"] == pytest.approx(silhouette(blind, cells.obs["type"]), abs=1e-4)
    assert not np.allclose(blind, found.cells.obsm["X_vae"], atol=1e-2)


def test_a_run_that_was_stopped_goes_on_and_another_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cells, fits = cells_of_types(), []
    fit = VAE.fit

    def counted(self: VAE, *given: object, **named: object) -> VAE:
        fits.append(self.label_key)
        if len(fits) == 3:
            raise KeyboardInterrupt
        return fit(self, *given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(VAE, "fit", counted)

    def run(**other: object) -> pd.DataFrame:
        given = {"label_key": "type"} | SMALL | other
        return embed(cells, tmp_path / "out", maps=False, folds=2, **given).scores  # type: ignore[arg-type]

    with pytest.raises(KeyboardInterrupt):
        run()
    scores = run()
    assert fits == ["type", None, None, None, "type", None, "type"]  # the first two were not fitted again
    monkeypatch.undo()
    again = embed(cells, tmp_path / "new", maps=False, folds=2, label_key="type", **SMALL).scores
    pd.testing.assert_frame_equal(scores, again)
    with pytest.raises(ConfigurationError, match="choose another --out"):
        run(latent=4)
    with pytest.raises(ConfigurationError, match="choose another --out"):
        run(seed=1)


def counted_fits(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """Label column of each model that is fitted from now on."""
    fits: list[str | None] = []
    fit = VAE.fit
    monkeypatch.setattr(VAE, "fit", lambda self, *a, **k: fits.append(self.label_key) or fit(self, *a, **k))
    return fits


def test_what_is_finished_is_read_and_another_version_does_every_piece_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in ("openTSNE", "umap"):
        pytest.importorskip(package)
    monkeypatch.setattr("cellixir.embedding.evaluation.N_BOOTSTRAP", 50)
    fits, drawn = counted_fits(monkeypatch), []
    quick = {"tsne": lambda z: z[:, :2], "umap": lambda z: z[:, 1:3], "leiden": lambda z: by_size(z[:, 0] > 0)}
    for name, draw in quick.items():
        monkeypatch.setattr(job, name, lambda z, draw=draw, **_: drawn.append(draw) or draw(z))

    def run() -> pd.DataFrame:
        return embed(cells_of_types(), tmp_path / "out", folds=2, label_key="type", **SMALL).scores

    first = run()
    pd.testing.assert_frame_equal(first, run(), check_exact=True)
    assert (len(fits), len(drawn)) == (6, 5)
    monkeypatch.setattr("cellixir.runs.piece.__version__", "99.0")
    pd.testing.assert_frame_equal(first, run(), check_exact=True)
    assert (len(fits), len(drawn)) == (12, 10)
    shutil.rmtree(tmp_path / "out" / "pieces" / "without labels" / "model")
    run()
    assert len(fits) == 13  # a bundle that is gone is fitted again


def test_two_processes_give_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cellixir.embedding.evaluation.N_BOOTSTRAP", 50)
    found = [
        embed(cells_of_types(), tmp_path / str(jobs), maps=False, folds=2, label_key="type", jobs=jobs, **SMALL)
        for jobs in (1, 2)
    ]
    pd.testing.assert_frame_equal(found[0].calls.found.predictions, found[1].calls.found.predictions)
    np.testing.assert_array_equal(found[0].cells.obsm["X_blind"], found[1].cells.obsm["X_blind"])


def test_the_cells_that_are_given_stay_as_they_are(tmp_path: Path) -> None:
    for package in ("openTSNE", "umap"):
        pytest.importorskip(package)
    cells = cells_of_types()
    before = cells.copy()
    embed(cells, tmp_path / "out", folds=2, label_key="type", **SMALL)
    np.testing.assert_array_equal(cells.X, before.X)
    pd.testing.assert_frame_equal(cells.obs, before.obs)
    pd.testing.assert_frame_equal(cells.var, before.var)
    assert (dict(cells.obsm), dict(cells.uns)) == (dict(before.obsm), dict(before.uns)) == ({}, {})


def test_other_files_are_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ConfigurationError, match="holds other things"):
        embed(cells_of_types(), tmp_path, maps=False, **SMALL)


def test_refuses_before_anything_is_written(tmp_path: Path) -> None:
    cells, out = cells_of_types(), tmp_path / "out"
    with pytest.raises(UnknownIds, match="'celltype'"):
        embed(cells, out, label_key="celltype", **SMALL)
    with pytest.raises(ConfigurationError, match="--folds 1"):
        embed(cells, out, folds=1, label_key="type", **SMALL)
    with pytest.raises(ConfigurationError, match=r"9 folds need as many values of 'patient'.*there are 6"):
        embed(cells, out, folds=9, label_key="type", group_key="patient", **SMALL)
    assert not out.exists()


def test_without_labels_there_are_no_label_metrics(tmp_path: Path) -> None:
    found = embed(cells_of_types(), tmp_path / "out", maps=False, **SMALL)
    assert found.scores.empty
    assert "vae" not in found.metrics
    assert found.metrics["held_out_elbo"] < 0
    assert "held-out evidence lower bound −" in found.headline


def test_of_many_cells_a_sample_is_judged_and_all_are_embedded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "judged_rows", lambda cells, key, seed: judged_rows(cells, key, seed, most=45))
    found = embed(cells_of_types(), tmp_path / "out", maps=False, folds=2, label_key="type", **SMALL)
    assert any("45 of the 90 cells, drawn with seed 0" in note for note in found.notes)
    assert len(pd.read_csv(tmp_path / "out" / "called.csv")) == 45
    assert np.isfinite(ad.read_h5ad(tmp_path / "out" / "cells.h5ad").obsm["X_vae"]).all()


def test_a_fit_that_failed_at_once_does_not_hold_the_folder(tmp_path: Path) -> None:
    cells = cells_of_types()
    cells.obs["patient"] = np.where(np.arange(90) < 45, "p0", "p1")
    with pytest.raises(ConfigurationError, match="2 groups cannot be parted"):
        embed(cells, tmp_path / "out", maps=False, group_key="patient", **SMALL)
    assert embed(cells, tmp_path / "out", maps=False, **SMALL).metrics["cells"] == 90


def test_maps_and_clusters(tmp_path: Path) -> None:
    pytest.importorskip("openTSNE")
    pytest.importorskip("umap")
    pytest.importorskip("igraph")
    found = embed(cells_of_types(60), tmp_path / "out", **SMALL)
    written = ad.read_h5ad(tmp_path / "out" / "cells.h5ad")
    assert written.obsm["X_tsne"].shape == written.obsm["X_umap"].shape == (60, 2)
    assert written.obs["leiden"].nunique() >= 2
    assert "Leiden clusters" in found.headline


def test_apply_gives_the_latents_of_the_model_in_any_order_of_genes(tmp_path: Path) -> None:
    cells = cells_of_types()
    model = vae_of(SMALL | {"label_key": "type"}).fit(cells)
    model.save(tmp_path / "fit" / "model")
    shuffled = cells[:, np.random.default_rng(0).permutation(24)].copy()
    done = apply(tmp_path / "fit", shuffled, tmp_path / "out.h5ad")
    written = ad.read_h5ad(tmp_path / "out.h5ad")
    np.testing.assert_allclose(written.obsm["X_vae"], model.transform(cells), rtol=1e-5, atol=1e-5)
    assert done.n_latents == 3
    assert (written.obs["probability"] >= 1 / 3).all()
    assert load_vae(tmp_path / "fit" / "model").genes_ == load_vae(tmp_path / "fit").genes_


def test_each_fold_tests_other_cells_and_patients_stay_together() -> None:
    obs = cells_of_types().obs
    labels, patients = obs["type"].to_numpy(), obs["patient"].to_numpy()
    for groups in (None, patients):
        parts = list(parts_of(labels, groups, 3, 0))
        assert sorted(np.concatenate([test for _, test in parts])) == list(range(90))
        for train, test in parts:
            assert not set(train) & set(test)
            assert groups is None or not set(patients[train]) & set(patients[test])


def test_a_rare_type_does_not_stop_the_folds() -> None:
    labels = np.array(["a"] * 20 + ["rare"])
    assert sum(len(test) for _, test in parts_of(labels, None, 5, 0)) == 21


def test_an_embedding_beside_itself_is_no_different() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat(["a", "b"], 30)
    latent = rng.normal(size=(60, 2)) + 8.0 * (labels == "a")[:, None]
    beside = latents_beside(labels, {"vae": latent, "pca": latent}, None, 0)
    assert all(values.difference.low <= 0 <= values.difference.high for values in beside.values())
    assert beside["ari"].vae.value == pytest.approx(1)
    noise = latents_beside(labels, {"vae": rng.normal(size=(60, 2)), "pca": latent}, None, 0)
    assert all(values.difference.high < 0 for values in noise.values())


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [(0.01, 0.3, "better than"), (-0.1, 0.1, "no different from"), (-0.3, -0.01, "worse than")],
)
def test_the_headline_says_what_the_interval_says(low: float, high: float, words: str) -> None:
    same = Interval(0.8, 0.7, 0.9)
    table = score_table({"accuracy": Beside(same, same, Interval((low + high) / 2, low, high))})
    assert f"latents: {words} PCA" in headline(table, {"latent": 10}, 0)


def test_the_headline_counts_the_other_metrics() -> None:
    same, lost = Interval(0.8, 0.7, 0.9), Interval(-0.2, -0.3, -0.1)
    even = Beside(same, same, Interval(0.0, -0.1, 0.1))
    table = score_table({"accuracy": even, "ari": Beside(same, same, lost), "nmi": even})
    assert headline(table, {"latent": 10}, 0).endswith("Of 2 other metrics the VAE is better by 0, PCA by 1.")


@pytest.mark.parametrize(
    ("first", "others", "advised"),
    [(-1, (0, 0), True), (0, (-1, -1), True), (0, (-1, 0), False), (-1, (1, 0), False), (1, (1, 1), False)],
)
def test_pca_is_recommended_where_it_is_ahead_and_never_behind(
    first: int, others: tuple[int, int], advised: bool
) -> None:
    same = Interval(0.8, 0.7, 0.9)
    signs = dict(zip(("accuracy", "silhouette", "knn_purity"), (first, *others), strict=True))
    table = score_table(
        {metric: Beside(same, same, Interval(s / 5, s / 5 - 0.1, s / 5 + 0.1)) for metric, s in signs.items()}
    )
    assert headline(table, {"latent": 10}, 0).endswith("the file of cells holds it too.") is advised


def test_missing_values_are_written_as_null(tmp_path: Path) -> None:
    nothing = Interval(float("nan"), float("nan"), float("nan"))
    with RunFolder(tmp_path, "embed fit", {}) as folder:
        file = folder.json("metrics.json", scores_as_json({"ari": Beside(nothing, nothing, nothing)}))
    found = json.loads(file.read_text(), parse_constant=pytest.fail)
    assert found["vae"]["ari"] == {"value": None, "low": None, "high": None}


def test_a_sample_keeps_every_type() -> None:
    cells = cells_of_types()
    rows = judged_rows(cells, "type", 0, most=12)
    assert cells.obs["type"].iloc[rows].value_counts().tolist() == [4, 4, 4]
    np.testing.assert_array_equal(some_cells(cells, rows).X, np.asarray(cells.X)[rows])


def test_planted_markers_are_found_and_means_are_right() -> None:
    cells = cells_of_types(300)
    table = marker_genes(cells, cells.obs["type"], counts=True, n=8)
    own = {"B": range(8), "T": range(8, 16), "NK": range(16, 24)}
    for name, genes in own.items():
        assert set(table.loc[table["group"] == name, "gene"]) == {f"G{i}" for i in genes}
    mean, variance, size = group_means(cells, cells.obs["type"], counts=False)
    mine = np.asarray(cells.X)[(cells.obs["type"] == "NK").to_numpy()]
    np.testing.assert_allclose(mean["NK"], mine.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(variance["NK"], mine.var(axis=0), rtol=1e-6)
    assert size["NK"] == 100


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"hiden": 3}, "did you mean 'hidden'"),
        ({"latent": 2.5}, "latent must be a whole number"),
        ({"latent": True}, "latent must be a whole number"),
        ({"learning_rate": "fast"}, "learning_rate must be a number"),
        ({"learning_rate": 0.0}, "learning_rate must be 1e-12 or more"),
    ],
)
def test_settings_that_cannot_work(settings: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        vae_of(settings)


@pytest.mark.real_data
def test_nine_types_of_head_and_neck_cancer(data_dir: Path, tmp_path: Path) -> None:
    from cellixir.data.expression.read import read_expression

    file = data_dir / "derived" / "puram_GSE103322_180cells.h5ad"
    found = embed(read_expression(file), tmp_path / "out", maps=False, folds=2, label_key="celltypes", max_epochs=4)
    assert found.scores.set_index("metric").loc["accuracy", "pca"] > 0.8
    assert found.metrics["genes"] == 7943


def test_nothing_of_the_users_is_lost_or_replaced(tmp_path: Path) -> None:
    """Keys that have our names stay, a label called leiden is judged as itself, a stale graph is left out."""
    cells = cells_of_types(60)
    cells.obs["leiden"] = cells.obs.pop("type")
    cells.obs["predicted"], cells.obs["dose"], cells.obs["alive"] = "mine", np.arange(60) % 3, np.arange(60) % 2 == 0
    cells.obs["day"] = pd.Timestamp("2024-03-01")
    cells.obsm["X_umap"] = cells.obsm["X_pca"] = np.ones((60, 2))
    cells.layers["counts"], cells.varm["w"] = cells.X.copy(), np.ones((24, 2))
    cells.obsp["connectivities"] = sp.identity(60, format="csr")
    graph = {"connectivities_key": "connectivities", "params": {"method": "umap"}}
    cells.uns["neighbors"], cells.uns["old"] = graph, graph | {"connectivities_key": "gone"}
    cells.raw = cells[:, :10].copy()
    found = embed(cells, tmp_path / "out", maps=False, folds=2, label_key="leiden", **SMALL)
    written = ad.read_h5ad(tmp_path / "out" / "cells.h5ad")
    for name in ("X_umap", "X_pca"):
        np.testing.assert_array_equal(written.obsm[name], 1)
    assert written.obsm["X_pca_cellixir"].shape == (60, 3)
    assert written.obs["leiden"].tolist() == cells.obs["leiden"].tolist()
    assert set(written.obs["predicted"]) == {"mine"}
    assert set(written.obs["predicted_cellixir"]) <= {"B", "T", "NK"}
    assert (written.obs["dose"].dtype.kind, written.obs["alive"].dtype.kind) == ("i", "b")
    assert set(written.obs["day"]) == {"2024-03-01"}
    assert (written.raw.shape, written.layers["counts"].shape, written.varm["w"].shape) == ((60, 10), (60, 24), (24, 2))
    assert "neighbors" in written.uns
    assert "old" not in written.uns
    notes = " ".join(found.notes)
    for words in ("obsm['X_pca'] of the data stays", "uns['old'] was left out", "the dates of 'day'"):
        assert words in notes
    assert found.scores.set_index("metric").loc["accuracy", "pca"] > 0.9  # the planted types, under that name


def test_texts_that_say_nothing_are_no_label(tmp_path: Path) -> None:
    cells = cells_of_types()
    cells.obs["type"] = cells.obs["type"].astype(object)
    cells.obs.iloc[:9, cells.obs.columns.get_loc("type")] = ["nan", "NA", ""] * 3
    found = embed(cells, tmp_path / "out", maps=False, folds=2, label_key="type", **SMALL)
    assert "9 cells have 'nan', 'NA', '' in 'type', which was taken for no value" in found.notes
    assert set(found.model.classes_) == {"B", "T", "NK"}


def test_cells_that_are_not_mapped_stand_among_their_nearest() -> None:
    latent = np.array([[0.0], [10.0], [0.1], [9.9], [0.2]])
    rows = np.array([0, 1, 2])
    xy = np.array([[0, 0], [5, 5], [0, 1]], dtype=np.float32)
    clusters = pd.Categorical(["a", "b", "a"])
    place = placed(latent, rows, xy)
    np.testing.assert_array_equal(place[rows], xy)
    np.testing.assert_array_equal(place[[3, 4]], [[0, 1], [0, 1]])  # of three mapped cells all are the nearest
    assert assigned(latent, rows, clusters).tolist() == ["a", "b", "a", "a", "a"]
    many = np.random.default_rng(0).normal(size=(400, 3)) + 8 * (np.arange(400) % 2)[:, None]
    shown = np.arange(0, 400, 4)[:-1], np.arange(1, 400, 4)
    some = np.sort(np.concatenate(shown))
    two = pd.Categorical(np.where(some % 2, "odd", "even"))
    assert (np.asarray(assigned(many, some, two)) == np.where(np.arange(400) % 2, "odd", "even")).all()


def test_pathways_of_a_fitted_embedding_are_those_of_a_fit_with_them(tmp_path: Path) -> None:
    cells = cells_of_types()
    sets = {"first": list(cells.var_names[:8]), "last": list(cells.var_names[-9:])}
    whole = embed(cells, tmp_path / "whole", maps=False, enrich=sets, **SMALL)
    embed(cells, tmp_path / "plain", maps=False, **SMALL)
    table = enrich(tmp_path / "plain", sets, tmp_path / "pathways")
    assert len(table) > 0
    pd.testing.assert_frame_equal(table, whole.enrichment)
    assert read_manifest(tmp_path / "pathways")["state"] == "done"
    assert {f.name for f in (tmp_path / "pathways").iterdir()} == {"enrichment.csv", "report.html", "run.json"}
    with pytest.raises(ConfigurationError, match="the pathways of another model or other gene sets"):
        enrich(tmp_path / "plain", {"first": sets["first"]}, tmp_path / "pathways")
