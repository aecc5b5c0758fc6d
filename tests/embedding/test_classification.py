from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from numpy.typing import NDArray

from cellixir.embedding.classification import Classified, cross_validate
from cellixir.embedding.classifiers import logistic_calls
from cellixir.embedding.pca import PCA
from cellixir.exceptions import ConfigurationError, InvalidValues, UnknownIds
from cellixir.metrics.clustering import accuracy, macro_f1

TYPES = np.array(["B", "T", "NK"])


def cells(n: int = 240, n_patients: int = 6, apart: float = 4.0, seed: int = 0) -> ad.AnnData:
    """Log values of three types from patients, eight genes; three of them tell the types apart."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 3, n)
    values = rng.normal(size=(n, 8))
    values[:, :3] += apart * np.eye(3)[kind]
    obs = pd.DataFrame(
        {"type": pd.Categorical(TYPES[kind]), "patient": [f"p{i}" for i in rng.integers(0, n_patients, n)]},
        index=[f"cell{i}" for i in range(n)],
    )
    return ad.AnnData(values.astype(np.float32), obs=obs, var=pd.DataFrame(index=[f"g{i}" for i in range(8)]))


class Plain:
    """The values themselves; records all it was given."""

    def __init__(self, seen: ad.AnnData, log: list[dict[str, Any]]) -> None:
        self.entry = {"fit": seen.copy(), "asked": []}
        log.append(self.entry)

    def transform(self, asked: ad.AnnData) -> NDArray[np.float32]:
        self.entry["asked"].append(asked.copy())
        return np.asarray(asked.X)


class WithHead(Plain):
    classes_ = ("B", "NK", "T")

    def predict(self, asked: ad.AnnData) -> pd.DataFrame:
        return pd.DataFrame({"T": 0.1, "B": 0.7, "NK": 0.2}, index=asked.obs_names)


def plain(cells: ad.AnnData) -> Plain:
    return Plain(cells, [])


def value(found: Classified, model: str, classifier: str, metric: str = "accuracy") -> float:
    table = found.table.set_index(["model", "classifier", "metric"])
    return float(table.loc[(model, classifier, metric), "value"])


# -- leaks -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("group_key", [None, "patient"])
def test_an_embedder_never_sees_a_test_cell_or_its_label(group_key: str | None) -> None:
    data = cells()
    data.obs.loc[data.obs_names[::10], "type"] = None
    data.obs["type"] = data.obs["type"].cat.add_categories(["never"])
    data.obsm["X_all"] = np.asarray(data.X)
    data.uns["markers"] = {"of": "all cells"}
    log: list[dict[str, Any]] = []
    found = cross_validate(data, "type", {"plain": lambda seen: Plain(seen, log)}, group_key=group_key)
    assert len(log) == 5
    fold_of = found.predictions.set_index("cell")["fold"]
    for number, entry in enumerate(log):
        test = set(fold_of.index[fold_of == number])
        fit, (again, query) = entry["fit"], entry["asked"]
        assert test
        assert not test & set(fit.obs_names)
        assert not test & set(fit.obs["type"].dropna().index)
        assert "never" not in fit.obs["type"].cat.categories
        assert list(again.obs_names) == list(fit.obs_names)
        assert set(query.obs_names) == test
        assert "type" not in query.obs
        assert not fit.obsm and not query.obsm and "markers" not in fit.uns  # noqa: PT018
        if group_key:
            assert not set(fit.obs["patient"]) & set(data.obs.loc[list(test), "patient"])


def test_labels_of_test_cells_have_no_say() -> None:
    """With the labels of one patient changed, what is called there stays the same: a fold is a patient here."""
    data = cells(apart=2)
    embedders = {"pca": lambda seen: PCA(3).fit(seen)}
    one = cross_validate(data, "type", embedders, group_key="patient", n_folds=6).predictions
    fold = int(one["fold"][0])
    changed = data.copy()
    there = one.loc[one["fold"] == fold, "cell"]
    turned = dict(zip(TYPES, np.roll(TYPES, 1), strict=True))
    changed.obs["type"] = changed.obs["type"].astype(str)
    changed.obs.loc[there, "type"] = changed.obs.loc[there, "type"].map(turned)
    other = cross_validate(changed, "type", embedders, group_key="patient", n_folds=6).predictions
    columns = ["pca/knn", "pca/logistic"]
    one, other = one.set_index("cell").loc[there], other.set_index("cell").loc[there]
    assert one[columns].equals(other[columns])
    assert not one["label"].equals(other["label"])


def test_without_a_signal_nothing_beats_chance() -> None:
    data = cells(n=400, apart=0)
    found = cross_validate(data, "type", {"plain": plain}, group_key="patient")
    assert value(found, "plain", "knn") == pytest.approx(1 / 3, abs=0.08)
    assert value(found, "plain", "logistic") == pytest.approx(1 / 3, abs=0.08)


def test_an_embedder_that_changes_its_cells_changes_them_for_itself_alone() -> None:
    def spoil(seen: ad.AnnData) -> Plain:
        seen.X[:] = 0
        return plain(seen)

    data = cells()
    before = data.X.copy()
    found = cross_validate(data, "type", {"spoil": spoil, "plain": plain})
    assert value(found, "plain", "knn") == value(cross_validate(data, "type", {"plain": plain}), "plain", "knn") > 0.9
    assert np.array_equal(data.X, before)


# -- values ------------------------------------------------------------------------------------------------------------


def test_well_parted_types_are_called_and_the_table_says_so() -> None:
    data = cells(apart=6)
    found = cross_validate(data, "type", {"plain": WithHeadOf}, group_key="patient")
    called = found.predictions
    assert list(called) == ["cell", "label", "fold", "plain/knn", "plain/logistic", "plain/head", "majority"]
    assert list(called["cell"]) == list(data.obs_names)
    assert list(called["label"]) == list(data.obs["type"])
    assert set(called["fold"]) == {0, 1, 2, 3, 4}
    assert list(found.table) == ["model", "classifier", "metric", "value", "low", "high"]
    assert value(found, "plain", "knn") > 0.98
    assert value(found, "plain", "logistic", "macro_f1") > 0.98
    assert value(found, "plain", "head") == accuracy(data.obs["type"], ["B"] * 240)
    for row in found.table.itertuples():
        column = "majority" if row.model == "majority" else f"{row.model}/{row.classifier}"
        metric: Callable[..., float] = {"accuracy": accuracy, "macro_f1": macro_f1}[row.metric]
        assert row.value == metric(called["label"], called[column])
        assert row.low <= row.value <= row.high


def WithHeadOf(seen: ad.AnnData) -> WithHead:
    return WithHead(seen, [])


def test_no_patient_stands_on_two_sides_and_types_are_spread() -> None:
    data = cells(n=400, n_patients=10)
    called = cross_validate(data, "type", {"plain": plain}, group_key="patient").predictions
    folds = called.assign(patient=data.obs["patient"].to_numpy()).groupby("patient")["fold"].nunique()
    assert (folds == 1).all()
    without = cross_validate(data, "type", {"plain": plain}).predictions
    shares = without.groupby("fold")["label"].value_counts().unstack()
    assert (shares.max() - shares.min() <= 1).all()


def test_intervals_over_patients_are_wider_where_patients_differ() -> None:
    data = cells(n=600, n_patients=12, apart=4)
    blurred = data.obs["patient"].isin(["p1", "p4", "p7"]).to_numpy()
    data.X[blurred, :3] = np.random.default_rng(0).normal(1, 1, (int(blurred.sum()), 3))
    over_patients = cross_validate(data, "type", {"plain": plain}, group_key="patient")
    over_cells = Classified(over_patients.predictions, over_patients.table, [], None)
    one = over_patients.difference("plain/knn", "majority", "accuracy")
    other = over_cells.difference("plain/knn", "majority", "accuracy")
    assert one.value == pytest.approx(other.value)
    assert one.high - one.low > 2 * (other.high - other.low)
    assert one.low > 0


def test_difference_is_paired_and_names_are_checked() -> None:
    found = cross_validate(cells(), "type", {"plain": plain})
    assert tuple(found.difference("plain/knn", "plain/knn")) == (0, 0, 0)
    with pytest.raises(ConfigurationError, match="nothing was called by 'vae/knn'; there are 'plain/knn'"):
        found.difference("vae/knn", "plain/knn")


def test_same_again_and_other_folds_for_another_seed() -> None:
    data = cells()
    embedders = {"pca": lambda seen: PCA(3).fit(seen)}
    one, same, other = (cross_validate(data, "type", embedders, seed=s) for s in (1, 1, 2))
    pd.testing.assert_frame_equal(one.predictions, same.predictions)
    pd.testing.assert_frame_equal(one.table, same.table)
    assert not one.predictions["fold"].equals(other.predictions["fold"])


def test_from_disk_as_from_memory(tmp_path: Path) -> None:
    data = cells(n=120)
    data.X = sp.csr_matrix(np.round(np.exp(data.X.clip(-3, 3))).astype(np.float32))
    data.uns["scale"] = "counts"
    data.write_h5ad(tmp_path / "cells.h5ad")
    backed = ad.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    embedders = {"pca": lambda seen: PCA(3).fit(seen)}
    one, other = (cross_validate(d, "type", embedders, n_folds=3) for d in (data, backed))
    pd.testing.assert_frame_equal(one.predictions, other.predictions)
    backed.file.close()


def test_steps_are_told() -> None:
    steps: list[str] = []
    cross_validate(cells(), "type", {"a": plain, "b": plain}, n_folds=2, on_step=steps.append)
    assert steps == ["fold 1 of 2: a", "fold 1 of 2: b", "fold 2 of 2: a", "fold 2 of 2: b"]


# -- cells and types that are special ----------------------------------------------------------------------------------


def test_cells_without_a_label_fit_but_are_not_scored() -> None:
    data = cells()
    data.obs.loc[data.obs["patient"] == "p0", "type"] = None  # a patient without labels is never tested
    data.obs.loc[data.obs_names[:20], "type"] = None
    n = int(data.obs["type"].isna().sum())
    log: list[dict[str, Any]] = []
    found = cross_validate(data, "type", {"plain": lambda seen: Plain(seen, log)}, group_key="patient")
    assert len(found.predictions) == 240 - n
    assert any(f"{n} cells without a label helped" in note for note in found.notes)
    assert all((entry["fit"].obs["patient"] == "p0").any() for entry in log)
    everyone: list[dict[str, Any]] = []
    cross_validate(data, "type", {"plain": lambda seen: Plain(seen, everyone)})
    assert all(entry["fit"].obs["type"].isna().sum() == n for entry in everyone)


def test_a_type_of_one_patient_is_noted_and_counts_as_wrong() -> None:
    data = cells(apart=6)
    data.obs["type"] = data.obs["type"].astype(str)
    data.obs.loc[data.obs["patient"] == "p2", "type"] = "mast"
    n = int((data.obs["type"] == "mast").sum())
    found = cross_validate(data, "type", {"plain": plain}, group_key="patient")
    called = found.predictions
    assert (called.loc[called["label"] == "mast", "plain/knn"] != "mast").all()
    assert any(f"1 cell types occur in one 'patient' only ('mast'; {n} cells)" in note for note in found.notes)
    assert any(f"{n} of 240 cells are of a type that" in note for note in found.notes)


def test_a_rare_type_is_noted() -> None:
    data = cells()
    data.obs["type"] = data.obs["type"].astype(str)
    data.obs.loc[data.obs_names[:3], "type"] = "mast"
    found = cross_validate(data, "type", {"plain": plain})
    assert any("1 cell types have fewer than 5 cells ('mast')" in note for note in found.notes)
    assert any("give group_key" in note for note in found.notes)


def test_calls_of_one_type_alone() -> None:
    assert logistic_calls(np.zeros((3, 2)), np.zeros((2, 2)), np.array(["a"] * 3)).tolist() == ["a", "a"]


def test_a_fold_that_learns_from_one_type_calls_that_type() -> None:
    data = cells(n=60, n_patients=2)
    data.obs["type"] = np.where(data.obs["patient"] == "p0", "B", "T")
    found = cross_validate(data, "type", {"plain": plain}, group_key="patient", n_folds=2)
    assert value(found, "plain", "logistic") == value(found, "plain", "knn") == 0
    assert any("fewer than 5 values of 'patient'" in note for note in found.notes)


def test_a_head_that_some_folds_lack_is_left_out() -> None:
    made: list[Plain] = []

    def sometimes(seen: ad.AnnData) -> Plain:
        made.append(WithHead(seen, []) if not made else plain(seen))
        return made[-1]

    found = cross_validate(cells(), "type", {"vae": sometimes})
    assert "vae/head" not in found.predictions
    assert "'vae/head' is left out: not every fold had it" in found.notes


# -- what is refused ---------------------------------------------------------------------------------------------------


def test_columns_and_folds_that_cannot_work_are_named() -> None:
    data = cells()
    with pytest.raises(UnknownIds, match="no column 'celltype'"):
        cross_validate(data, "celltype", {"plain": plain})
    with pytest.raises(UnknownIds, match="no column 'donor'"):
        cross_validate(data, "type", {"plain": plain}, group_key="donor")
    with pytest.raises(ConfigurationError, match=r"7 folds need as many values of 'patient'.*there are 6"):
        cross_validate(data, "type", {"plain": plain}, group_key="patient", n_folds=7)
    with pytest.raises(ConfigurationError, match="1 folds cannot be made"):
        cross_validate(data, "type", {"plain": plain}, n_folds=1)
    with pytest.raises(ConfigurationError, match="word without '/', not 'a/b'"):
        cross_validate(data, "type", {"a/b": plain})
    with pytest.raises(ConfigurationError, match="not none at all"):
        cross_validate(data, "type", {})
    data.obs["one"], data.obs["own"] = "B", data.obs_names
    with pytest.raises(ConfigurationError, match="'one' names 1 cell types"):
        cross_validate(data, "one", {"plain": plain})
    with pytest.raises(ConfigurationError, match="5 folds cannot be made of 1 cells of the largest type"):
        cross_validate(data, "own", {"plain": plain})
    data.obs.loc[data.obs_names[:4], "patient"] = None
    with pytest.raises(InvalidValues, match="4 cells have no value in 'patient'"):
        cross_validate(data, "type", {"plain": plain}, group_key="patient")


@pytest.mark.parametrize(
    ("latent", "words"),
    [
        (np.full((1, 2), np.nan), r"not finite in 192 of 192 cells \('c\w+', .*dimension 1 of the first holds nan"),
        (np.zeros(3), r"the shape \(192,\) for 192 cells"),
    ],
)
def test_a_latent_that_cannot_be_used_names_the_embedding_and_the_fold(latent: NDArray[np.float64], words: str) -> None:
    class Wrong:
        def transform(self, asked: ad.AnnData) -> NDArray[np.float64]:
            return np.resize(latent, (asked.n_obs, *latent.shape[1:]))

    with pytest.raises(InvalidValues, match=words) as caught:
        cross_validate(cells(), "type", {"odd": lambda _: Wrong()})
    assert caught.value.__notes__ == ["embedding 'odd', fold 1 of 5"]


@pytest.mark.real_data
def test_types_of_real_cells_are_called(data_dir: Path) -> None:
    data = ad.read_h5ad(data_dir / "derived" / "puram_GSE103322_180cells.h5ad")
    found = cross_validate(data, "celltypes", {"pca": lambda seen: PCA(10).fit(seen)}, n_folds=3)
    assert value(found, "pca", "logistic") > 0.8
    assert value(found, "majority", "") < 0.15
    assert found.difference("pca/logistic", "majority").low > 0.5
