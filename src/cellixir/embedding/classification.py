"""Cell types called from an embedding, in cross-validation that leaves whole patients out."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import anndata as ad
import numpy as np
import pandas as pd

from cellixir.data.dealing import deal
from cellixir.data.expression.matrix import take
from cellixir.embedding.classifiers import Embedding, calls_from
from cellixir.embedding.columns import column_of, refuse_without_group
from cellixir.exceptions import ConfigurationError, examples
from cellixir.metrics.clustering import MIN_GROUPS, enough_groups, paired_cell_difference, with_interval

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellixir.metrics import Interval

    Rows = NDArray[np.int64]
    Names = NDArray[np.object_]

MAJORITY = "majority"
COLUMNS = ["model", "classifier", "metric", "value", "low", "high"]
_ABOUT = ("cell", "label", "fold")

#: Fits an embedding on the cells it is given, by name.
Embedders: TypeAlias = Mapping[str, Callable[[ad.AnnData], Embedding]]


@dataclass(frozen=True, eq=False)
class Classified:
    """What cross-validation called each cell, and how well.

    Attributes
    ----------
    predictions
        One row a labelled cell: ``cell, label, fold`` and a column for each embedding and classifier (``vae/knn``,
        ``vae/logistic``, ``vae/head``), and ``majority``, the most frequent type of the training cells.
    table
        ``model, classifier, metric, value, low, high`` for accuracy and macro-F1 with 95 % bootstrap intervals.
    notes
        A sentence for each thing to know.
    groups
        Patient of each row of ``predictions``, if they were given.
    """

    predictions: pd.DataFrame
    table: pd.DataFrame
    notes: list[str]
    groups: NDArray[np.object_] | None = None
    seed: int = 0

    def difference(self, one: str, other: str, metric: str = "macro_f1") -> Interval:
        """Metric of column ``one`` less that of ``other`` over the same drawn cells or patients.

        Raises
        ------
        ConfigurationError
            If there is no such column.
        """
        columns = [c for c in self.predictions if c not in _ABOUT]
        for name in (one, other):
            if name not in columns:
                message = f"nothing was called by '{name}'; there are {examples(columns, 20)}"
                raise ConfigurationError(message)
        label, a, b = (self.predictions[name].to_numpy() for name in ("label", one, other))
        return paired_cell_difference(metric, label, a, b, groups=self.groups, seed=self.seed)


def cross_validate(
    cells: ad.AnnData,
    label_key: str,
    embedders: Embedders,
    *,
    group_key: str | None = None,
    n_folds: int = 5,
    seed: int = 0,
    k: int = 15,
    on_step: Callable[[str], None] | None = None,
) -> Classified:
    """How well each embedding tells cell types apart in cells, and patients, that neither it nor a classifier saw.

    In each fold an embedder is given the training cells alone, as data of their own; test cells are transformed
    without their label column. Classifiers learn from the latents of the labelled training cells: ``k`` nearest
    neighbours that count alike, and logistic regression on standardised latents. Cells without a label are never
    scored; an embedder sees those of training patients (without ``group_key``: all of them).

    Training cells are read into memory, sparse if they are sparse on disk.

    Parameters
    ----------
    cells
        Cells x genes, in memory or backed.
    label_key, group_key
        Columns of ``obs``: cell types, where missing values are cells without a label, and patients.
    embedders
        By name, what fits an embedding: ``{"pca": lambda cells: PCA(10).fit(cells)}``.
    on_step
        Called with what is under way.

    Raises
    ------
    UnknownIds
        If there is no such column.
    ConfigurationError
        If there are fewer than two types, or fewer patients or cells of any type than folds.
    InvalidValues
        If a cell has no patient, or an embedding gives values that are not finite.
    """
    _check_names(embedders)
    folds = fold_rows(cells, label_key, group_key=group_key, n_folds=n_folds, seed=seed)
    label = column_of(cells, label_key)
    labelled = np.flatnonzero(label.notna())
    names = label.to_numpy()
    patients = None if group_key is None else column_of(cells, group_key).to_numpy()[labelled]
    found = pd.DataFrame({"cell": cells.obs_names[labelled], "label": names[labelled], "fold": -1})
    unseen = 0
    for number, (train, test) in enumerate(folds):
        at = np.searchsorted(labelled, test)
        unseen += int((~pd.Series(names[test]).isin(names[train])).sum())
        found.loc[at, "fold"] = number
        for name, embedder in embedders.items():
            if on_step is not None:
                on_step(f"fold {number + 1} of {len(folds)}: {name}")
            try:
                # parts of its own for each embedder: one that normalises in place must not change another's
                seen, query = part(cells, train), part(cells, test, without=label_key)
                called = calls_from(embedder(seen), seen, names[train], query, k)
            except Exception as error:
                error.add_note(f"embedding '{name}', fold {number + 1} of {len(folds)}")
                raise
            for classifier, values in called.items():
                found.loc[at, f"{name}/{classifier}"] = values
        found.loc[at, MAJORITY] = pd.Series(names[train]).mode().iloc[0]
    whole = found.dropna(axis=1)
    notes = _notes(found["label"], patients, len(label) - len(labelled), unseen, n_folds, group_key)
    notes += [f"'{name}' is left out: not every fold had it" for name in found.columns.difference(whole.columns)]
    return Classified(whole, _table(whole, patients, seed), notes, patients, seed)


def fold_rows(
    cells: ad.AnnData, label_key: str, *, group_key: str | None = None, n_folds: int = 5, seed: int = 0
) -> list[tuple[Rows, Rows]]:
    """Training and test cells of each fold of `cross_validate`, which raises the same."""
    label = column_of(cells, label_key)
    groups = None if group_key is None else column_of(cells, group_key)
    _check(label, groups, n_folds, label_key, group_key)
    labelled = np.flatnonzero(label.notna())
    patients = None if groups is None else groups.to_numpy()[labelled]
    tests = [labelled[at] for at in _folds(label.to_numpy()[labelled], patients, n_folds, seed)]
    return [(_training(groups, test, cells.n_obs), test) for test in tests]


# -- folds -------------------------------------------------------------------------------------------------------------


def _check_names(embedders: Embedders) -> None:
    wrong = [name for name in embedders if not name or "/" in name or name in (*_ABOUT, MAJORITY)]
    if wrong or not embedders:
        message = f"name each embedding in a word without '/', not {examples(wrong) or 'none at all'}"
        raise ConfigurationError(message)


def _check(label: pd.Series, groups: pd.Series | None, n_folds: int, label_key: str, group_key: str | None) -> None:
    sizes = label.value_counts()
    if len(sizes) < 2:
        message = f"column '{label_key}' names {len(sizes)} cell types; give two or more"
        raise ConfigurationError(message)
    if n_folds < 2 or sizes.iloc[0] < n_folds:
        message = (
            f"{n_folds} folds cannot be made of {sizes.iloc[0]:,} cells of the largest type; use 2 or more, not above"
        )
        raise ConfigurationError(message)
    if groups is None:
        return
    refuse_without_group(groups, group_key)
    n_groups = groups[label.notna()].nunique()
    if n_groups < n_folds:
        message = (
            f"{n_folds} folds need as many values of '{group_key}' with labelled cells; there are {n_groups}: use "
            f"fewer folds, or leave the groups out and test on cells of patients that were seen"
        )
        raise ConfigurationError(message)


def _folds(label: Names, groups: Names | None, n_folds: int, seed: int) -> list[Rows]:
    """Labelled cells that each fold tests; types are spread as evenly as whole patients allow."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class", category=UserWarning)  # goes into the notes
        dealt = deal(len(label), n_folds, seed, strata=label.astype(str), groups=groups)
    return [np.flatnonzero(dealt == fold) for fold in range(n_folds) if (dealt == fold).any()]


def _training(groups: pd.Series | None, test: Rows, n: int) -> Rows:
    """All cells that do not stand on the side of the test, whether they have a label or not."""
    out = np.zeros(n, dtype=bool)
    out[test] = True
    if groups is not None:
        out = groups.isin(groups.iloc[test].unique()).to_numpy()
    return np.flatnonzero(~out)


def part(cells: ad.AnnData, rows: Rows, *, without: str | None = None) -> ad.AnnData:
    """Some cells as data of their own, that know of no other cell."""
    obs = cells.obs.iloc[rows].drop(columns=[] if without is None else [without])
    for name in obs.select_dtypes("category"):
        obs[name] = obs[name].cat.remove_unused_categories()  # names of types that only others have
    uns = {name: cells.uns[name] for name in ("scale", "scale_guessed") if name in cells.uns}
    return ad.AnnData(take(cells.X, rows), obs=obs.copy(), var=cells.var.copy(), uns=uns)


# -- what came out -----------------------------------------------------------------------------------------------------


def _table(found: pd.DataFrame, groups: Names | None, seed: int) -> pd.DataFrame:
    rows = []
    for column in found.columns.drop(list(_ABOUT)):
        model, _, classifier = str(column).partition("/")
        for metric in ("accuracy", "macro_f1"):
            drawn = with_interval(metric, found["label"], found[column], groups=groups, seed=seed)
            rows.append((model, classifier, metric, *drawn))
    return pd.DataFrame(rows, columns=COLUMNS)


def _notes(
    label: pd.Series, groups: Names | None, n_unlabelled: int, unseen: int, n_folds: int, group_key: str | None
) -> list[str]:
    sizes, notes = label.value_counts(), []
    few = list(sizes.index[sizes < n_folds])
    if few:
        notes.append(
            f"{len(few)} cell types have fewer than {n_folds} cells ({examples(few)}): not every fold has them"
        )
    if groups is not None:
        patients = pd.Series(groups, index=label.index).groupby(label).nunique()
        alone = list(patients.index[patients == 1])
        if alone:
            notes.append(
                f"{len(alone)} cell types occur in one '{group_key}' only ({examples(alone)}; "
                f"{sizes[alone].sum():,} cells): with that one left out no classifier can know them"
            )
    if unseen:
        notes.append(
            f"{unseen:,} of {len(label):,} cells are of a type that their training cells lack: counted as wrong"
        )
    if n_unlabelled:
        where = "" if group_key is None else f" (in folds that do not test their '{group_key}')"
        notes.append(f"{n_unlabelled:,} cells without a label helped to fit the embeddings{where} and are not scored")
    if groups is None:
        notes.append(
            "cells of one patient may stand in training and test, and intervals are over cells; give group_key"
        )
    elif not enough_groups(groups):
        notes.append(f"fewer than {MIN_GROUPS} values of '{group_key}': intervals are over cells, and too narrow")
    return notes
