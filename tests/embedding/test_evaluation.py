from __future__ import annotations

import warnings
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from cellixir.embedding import evaluation
from cellixir.embedding.evaluation import TITLES, evaluate
from cellixir.embedding.maps import by_size, kmeans, leiden
from cellixir.embedding.pca import PCA
from cellixir.exceptions import ConfigurationError, DataError, InvalidValues
from cellixir.metrics.clustering import ari, knn_purity, silhouette

pytest.importorskip("igraph", reason="needs the extra 'singlecell'")


@pytest.fixture(autouse=True)
def _few_replicates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "N_CLUSTERINGS", 3)
    monkeypatch.setattr(evaluation, "N_BOOTSTRAP", 200)


def blobs(n: int = 200, apart: float = 7.0, seed: int = 0) -> tuple[NDArray[np.object_], NDArray[np.float64]]:
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 4, n)
    return np.array(["B", "T", "NK", "mast"], dtype=object)[kind], rng.normal(size=(n, 5)) + apart * np.eye(5)[kind]


def value(table: pd.DataFrame, model: str, metric: str) -> float:
    return float(table.set_index(["model", "metric"]).loc[(model, metric), "value"])


def test_planted_types_score_one_and_noise_nothing() -> None:
    labels, latent = blobs(apart=9)
    noise = np.random.default_rng(1).normal(size=latent.shape)
    table = evaluate({"vae": latent, "pca": noise}, labels)
    assert list(table) == ["model", "metric", "value", "low", "high"]
    assert list(table["model"].unique()) == ["vae", "pca", "vae - pca"]
    assert list(table["metric"][:6]) == list(TITLES)
    for metric in ("ari_leiden", "nmi_leiden", "ari_kmeans", "nmi_kmeans", "knn_purity"):
        assert value(table, "vae", metric) > 0.98
    assert abs(value(table, "pca", "ari_leiden")) < 0.05
    assert abs(value(table, "pca", "silhouette")) < 0.05
    differences = table[table["model"] == "vae - pca"]
    assert (differences["low"] > 0).all()
    for metric in TITLES:
        assert value(table, "vae - pca", metric) == pytest.approx(
            value(table, "vae", metric) - value(table, "pca", metric)
        )


def test_values_are_the_plain_metrics_and_means_over_clusterings() -> None:
    labels, latent = blobs(apart=3)
    table = evaluate({"pca": latent}, labels, seed=4)
    assert value(table, "pca", "silhouette") == pytest.approx(silhouette(latent, labels))
    assert value(table, "pca", "knn_purity") == pytest.approx(knn_purity(latent, labels))
    seeds = (4, 5, 6)
    assert value(table, "pca", "ari_leiden") == pytest.approx(
        np.mean([ari(labels, leiden(latent, seed=s)) for s in seeds])
    )
    assert value(table, "pca", "ari_kmeans") == pytest.approx(
        np.mean([ari(labels, kmeans(latent, 4, seed=s)) for s in seeds])
    )
    assert (table["low"] < table["value"]).all()
    assert (table["value"] < table["high"]).all()


def test_a_turned_latent_is_no_better() -> None:
    labels, latent = blobs(apart=3)
    turn, _ = np.linalg.qr(np.random.default_rng(2).normal(size=(5, 5)))
    table = evaluate({"vae": latent @ turn, "pca": latent}, labels)
    for metric in ("silhouette", "knn_purity"):
        assert value(table, "vae - pca", metric) == pytest.approx(0, abs=1e-9)
    difference = table[(table["model"] == "vae - pca") & (table["metric"] == "knn_purity")]
    assert (difference["low"] <= 0).all()
    assert (difference["high"] >= 0).all()


def test_clusterings_that_differ_by_seed_widen_the_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    labels, latent = blobs()
    right, wrong = by_size(labels), by_size(np.arange(200) % 4)
    monkeypatch.setattr(evaluation, "leiden_of_graph", lambda _, seed: right if seed == 0 else wrong)
    table = evaluate({"pca": latent}, labels).set_index("metric")
    assert table.loc["ari_leiden", "value"] == pytest.approx(1 / 3, abs=0.02)
    assert table.loc["ari_leiden", "low"] < 0.05
    assert table.loc["ari_leiden", "high"] > 0.95


def test_same_again_for_the_same_seed() -> None:
    labels, latent = blobs(apart=2)
    pd.testing.assert_frame_equal(evaluate({"pca": latent}, labels, seed=1), evaluate({"pca": latent}, labels, seed=1))
    assert not evaluate({"pca": latent}, labels, seed=2).equals(evaluate({"pca": latent}, labels, seed=1))


def test_cells_without_a_label_are_left_out_and_said_to_be() -> None:
    labels, latent = blobs(apart=3)
    known = np.arange(200) % 4 > 0
    gaps = np.where(known, labels, None)
    notes: list[str] = []
    table = evaluate({"pca": latent}, gaps, on_note=notes.append)
    pd.testing.assert_frame_equal(table, evaluate({"pca": latent[known]}, labels[known]))
    assert notes[0] == "50 of 200 cells have no label and are not judged"
    assert notes[1].startswith("Leiden makes ")
    assert notes[1].endswith("clusters of 'pca'; the labels name 4 types")


def test_intervals_are_over_patients_if_there_are_five() -> None:
    labels, latent = blobs(n=300, apart=3)
    patients = np.array([f"p{i}" for i in np.arange(300) * 6 // 300])
    latent[patients == "p0"] = np.random.default_rng(0).normal(size=((patients == "p0").sum(), 5))
    notes: list[str] = []
    over_cells, over_patients, over_few = (
        evaluate({"pca": latent}, labels, groups=g, on_note=notes.append).set_index("metric")
        for g in (None, patients, np.where(patients > "p2", "p3", patients))
    )
    purity = [table.loc["knn_purity"] for table in (over_cells, over_patients)]
    cells_width, patients_width = (row["high"] - row["low"] for row in purity)
    assert patients_width > 1.5 * cells_width
    pd.testing.assert_frame_equal(over_few, over_cells)
    assert [note for note in notes if "intervals" in note] == [
        "intervals are over cells: there are fewer than 5 patients among them"
    ]


def test_many_cells_are_sampled_by_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "MAX_CELLS", 100)
    labels, latent = blobs(apart=9)
    notes: list[str] = []
    table = evaluate({"pca": latent}, labels, on_note=notes.append)
    assert value(table, "pca", "knn_purity") > 0.98
    assert "of 200 labelled cells, drawn so that types keep their shares" in notes[0]


def test_dimensions_that_do_not_vary_are_noted() -> None:
    labels, latent = blobs()
    dead = latent.copy()
    dead[:, 2:4] = 1.5
    notes: list[str] = []
    table = evaluate({"vae": dead, "flat": np.ones((200, 5)), "pca": latent}, labels, on_note=notes.append)
    assert "2 of 5 dimensions of 'vae' do not vary over the cells" in notes
    assert "5 of 5 dimensions of 'flat' do not vary over the cells" in notes
    assert table.loc[table["model"] == "flat", "value"].isna().all()


def test_without_a_reference_there_is_no_difference() -> None:
    labels, latent = blobs()
    table = evaluate({"vae": latent, "scvi": latent + 1}, labels)
    assert set(table["model"]) == {"vae", "scvi"}
    other = evaluate({"vae": latent, "scvi": latent + 1}, labels, reference="scvi")
    assert set(other["model"]) == {"vae", "scvi", "vae - scvi"}
    assert np.isfinite(value(other, "vae - scvi", "silhouette"))


def test_what_cannot_be_judged_is_refused() -> None:
    labels, latent = blobs()
    with pytest.raises(ConfigurationError, match="'vae' 200 x 5, 'pca' 200 x 3"):
        evaluate({"vae": latent, "pca": latent[:, :3]}, labels)
    with pytest.raises(InvalidValues, match=r"not of the same cells.*'pca' 150 x 5"):
        evaluate({"vae": latent, "pca": latent[:150]}, labels)
    with pytest.raises(InvalidValues, match=r"labels have the shape \(199,\) for 200 cells"):
        evaluate({"vae": latent}, labels[:199])
    with pytest.raises(InvalidValues, match=r"groups have the shape \(7,\) for 200 cells"):
        evaluate({"vae": latent}, labels, groups=np.arange(7))
    with pytest.raises(ConfigurationError, match="all 200 labelled cells are 'B'"):
        evaluate({"vae": latent}, ["B"] * 200)
    with pytest.raises(DataError, match="9 cells with a label are too few"):
        evaluate({"vae": latent}, [*labels[:9], *[None] * 191])
    with pytest.raises(ConfigurationError, match="no embedding to judge"):
        evaluate({}, labels)
    with pytest.raises(InvalidValues, match="'vae' has the shape"):
        evaluate({"vae": latent[:, 0]}, labels)
    wrong = latent.copy()
    wrong[3, 1] = np.inf
    with pytest.raises(InvalidValues, match="'vae' is not finite in 1 of 200 cells"):
        evaluate({"vae": wrong}, labels)


@pytest.mark.real_data
def test_components_of_real_cells_agree_with_their_types(data_dir: Path) -> None:
    cells = ad.read_h5ad(data_dir / "derived" / "puram_GSE103322_180cells.h5ad")
    table = evaluate({"pca": PCA(10).fit(cells).transform(cells)}, cells.obs["celltypes"])
    assert value(table, "pca", "ari_leiden") > 0.7
    assert value(table, "pca", "knn_purity") > 0.7


def test_components_of_packaged_blood_cells_agree_with_their_types() -> None:
    scanpy = pytest.importorskip("scanpy", reason="needs the extra 'singlecell'")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cells = scanpy.datasets.pbmc68k_reduced()
    table = evaluate({"pca": PCA(10).fit(cells).transform(cells)}, cells.obs["bulk_labels"])
    assert 0.35 < value(table, "pca", "ari_leiden") < 0.7
    assert value(table, "pca", "knn_purity") > 0.65
