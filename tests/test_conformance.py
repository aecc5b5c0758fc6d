"""What every estimator must do, whatever it is. A new one is a row of ``CASES``; a new kind of data is a `Kind`."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

import cellixir
from cellixir.data.response_data import ResponseData
from cellixir.data.simulate import simulate_cohort
from cellixir.embedding.pca import PCA
from cellixir.embedding.vae import VAE
from cellixir.estimator import Estimator
from cellixir.estimator.base import HOMES
from cellixir.exceptions import ConfigurationError, DataError, GeneMismatch, NotFitted
from cellixir.perturbation import Keys, effects_of
from cellixir.perturbation.models import MODELS
from cellixir.response.models.baselines import DrugPlusTissue, DrugTissueMean, EffectsBaseline, GroupMean
from cellixir.response.models.ridge import RidgePerDrug
from cellixir.response.models.trees import TreeModel
from cellixir.response.network.architecture import Architecture
from cellixir.response.network.predictor import ResponsePredictor
from cellixir.synthesis import make_generator
from cellixir.tables.baselines import TableGroupMean
from cellixir.tables.models import TableLogistic, TableRidge, TableTrees
from cellixir.tables.network import TableNetwork
from cellixir.training import TrainingConfig

Array = NDArray[Any]


@dataclass(frozen=True)
class Kind:
    """What models of one kind are fitted on and asked.

    Attributes
    ----------
    train
        ``X`` and ``y`` of the fit.
    query
        Rows that were not in the fit.
    answer
        What a fitted model says of a query, a row each.
    rows, spoilt, permuted, lacking
        The query cut to some rows; with other answers in it; with its features in another order; without some of them.
    filled
        The answer where features that are missing may be filled in; None where there is no such choice.
    draws
        What a fitted model says unasked.
    """

    train: Callable[[], tuple[Any, Any]]
    query: Callable[[], Any]
    answer: Callable[[Any, Any], Array]
    rows: Callable[[Any, list[int]], Any]
    spoilt: Callable[[Any], Any]
    permuted: Callable[[Any], Any]
    lacking: Callable[[Any], Any]
    filled: Callable[[Any, Any], Array] | None = None
    draws: Callable[[Any], Array] = lambda model: np.empty(0)

    def bits(self, model: Any) -> list[Array]:
        """All that the model says."""
        return [self.answer(model, self.query()), self.draws(model)]


@dataclass(frozen=True)
class Case:
    """One estimator: of what kind, how it is made, whether it trains networks, and reads features."""

    kind: Kind
    make: Callable[[], Estimator]
    network: bool = False
    reads: bool = True

    def fit(self, model: Any = None, **options: Any) -> Any:
        X, y = self.kind.train()
        return (self.make() if model is None else model).fit(X, y, **options)


# -- cells -------------------------------------------------------------------------------------------------------------


@cache
def counts() -> ad.AnnData:
    """Counts of 90 cells x 20 genes of two types."""
    rng = np.random.default_rng(0)
    kind = np.arange(90) % 2
    rate = np.where(np.outer(kind, np.arange(20) < 8), 9.0, 2.0) * rng.lognormal(0, 0.3, (90, 1))
    obs = pd.DataFrame({"type": np.array(["a", "b"])[kind], "batch": np.array(["x", "y", "y"])[np.arange(90) % 3]})
    cells = ad.AnnData(rng.poisson(rate).astype(np.float32), obs=obs.set_index(obs.index.map("c{}".format)))
    cells.var_names, cells.uns["scale"] = [f"g{i}" for i in range(20)], "counts"
    return cells


def dense(values: Any) -> Array:
    return values.toarray() if sp.issparse(values) else np.asarray(values)


def other_labels(cells: ad.AnnData) -> ad.AnnData:
    found = cells.copy()
    found.obs["type"] = "never seen"
    return found


CELLS = Kind(
    train=lambda: (counts()[:70].copy(), None),
    query=lambda: counts()[70:].copy(),
    answer=lambda model, cells: model.transform(cells),
    rows=lambda cells, rows: cells[rows].copy(),
    spoilt=other_labels,
    permuted=lambda cells: cells[:, np.random.default_rng(1).permutation(20)].copy(),
    lacking=lambda cells: cells[:, 2:].copy(),
    filled=lambda model, cells: model.transform(cells, missing="zero"),
)
SAMPLES = replace(
    CELLS,
    answer=lambda model, samples: dense(model.features(samples)[0]),
    filled=None,
    draws=lambda model: dense(model.sample(12).X),
)

# -- responses ---------------------------------------------------------------------------------------------------------


@cache
def screen() -> ResponseData:
    sizes = {"n_samples": 40, "n_drugs": 6, "n_genes": 12, "n_mutations": 12, "n_tissues": 3, "n_targets": 3}
    return simulate_cohort(**sizes, genes_per_target=1).response_data()


def part_of_screen(*, train: bool) -> ResponseData:
    """Pairs of the first thirty samples, or of the others."""
    return screen().take((screen().sample_index < 30) == train)


def other_responses(data: ResponseData) -> ResponseData:
    spoilt = data.responses["response"].to_numpy()[::-1] * 7 + 100
    return replace(data, responses=data.responses.assign(response=spoilt))


def with_genes(data: ResponseData, genes: list[int]) -> ResponseData:
    return data.with_views({"expression": data.views["expression"][:, genes].copy()})


RESPONSES = Kind(
    train=lambda: (part_of_screen(train=True), None),
    query=lambda: part_of_screen(train=False),
    answer=lambda model, data: model.predict(data),
    rows=lambda data, rows: data.take(np.array(rows)),
    spoilt=other_responses,
    permuted=lambda data: with_genes(data, np.random.default_rng(1).permutation(12).tolist()),
    lacking=lambda data: with_genes(data, list(range(2, 12))),
)
COMMITTEE = replace(RESPONSES, filled=lambda model, data: model.predict_members(data, missing="zero").mean(axis=0))

# -- tables ------------------------------------------------------------------------------------------------------------


@cache
def table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    found = pd.DataFrame(rng.normal(size=(90, 3)), columns=["a", "b", "c"])
    found["kind"] = rng.choice(["x", "y", "z"], 90)
    found["target"] = found["a"] + found["kind"].map({"x": 0.0, "y": 2.0, "z": -2.0}) + 0.3 * rng.normal(size=90)
    return found


NUMBERS = Kind(
    train=lambda: (table()[:70].drop(columns="target"), table()["target"][:70].to_numpy()),
    query=lambda: table()[70:],  # with its target, which is no column of the model
    answer=lambda model, rows: model.predict(rows),
    rows=lambda rows, some: rows.iloc[some],
    spoilt=lambda rows: rows.assign(target=-5.0),
    permuted=lambda rows: rows[["kind", "c", "target", "a", "b"]],
    lacking=lambda rows: rows.drop(columns=["a", "kind"]),
)
CLASSES = replace(
    NUMBERS,
    train=lambda: (NUMBERS.train()[0], np.where(NUMBERS.train()[1] > 0, "high", "low")),
    answer=lambda model, rows: model.predict_proba(rows),
)

# -- effects of drugs --------------------------------------------------------------------------------------------------


@cache
def wells() -> ad.AnnData:
    """Effects of 90 wells of six drugs and their pairs in two cell lines, 20 genes."""
    rng = np.random.default_rng(0)
    line, drug = np.arange(90) // 8 % 2, np.arange(90) % 8
    names = np.array(["DMSO", "A", "B", "C", "D", "E", "A+B", "C+D"])[drug]
    change = rng.normal(size=(8, 20)) * (np.arange(8) > 0)[:, None]
    x = 8 + rng.normal(size=(2, 20))[line] + change[drug] + 0.2 * rng.normal(size=(90, 20))
    obs = pd.DataFrame({"drug": names, "line": line.astype(str)}, index=[f"w{i}" for i in range(90)])
    obs["dose"] = np.where(drug == 0, "", np.where(drug > 5, "1+10", np.where(np.arange(90) % 3 == 0, "1", "10")))
    smiles = pd.Series({"A": "CCO", "B": "CCN", "C": "c1ccccc1C", "D": "c1ccccc1CC", "E": "C1CCNCC1"}, dtype=object)
    cells = ad.AnnData(x.astype(np.float32), obs, pd.DataFrame(index=[f"g{i}" for i in range(20)]))
    return effects_of(cells, Keys("drug", ("DMSO",), dose="dose", cell_line="line"), values="log2", smiles=smiles)


def other_effects(effects: ad.AnnData) -> ad.AnnData:
    found = effects.copy()
    found.X = found.X[::-1] * 7 + 100
    return found


EFFECTS = replace(
    CELLS,
    train=lambda: (wells()[:70].copy(), None),
    query=lambda: wells()[70:].copy(),
    answer=lambda model, effects: np.asarray(model.predict(effects).X),
    spoilt=other_effects,
    filled=None,
)
OF_EFFECTS: dict[str, dict[str, Any]] = {
    "boosting": {"axes": 2, "bits": 2},
    "vae_arithmetic": {"latent": 3, "hidden": 8, "epochs": 3},
    "compositional": {"latent": 3, "hidden": 8, "epochs": 3, "members": 2},
}

SHORT = TrainingConfig(max_epochs=3, batch_size=32, learning_rate=2e-3, patience=9, precision="full")
SMALL = Architecture(latent=4, encoder=8, head=8, dropout=0.1, input_dropout=0.1)
#: Settings with which a generator is fitted in a moment.
QUICK: dict[str, dict[str, Any]] = {
    "gaussian": {"rank": 4}, "copula": {"rank": 4}, "gan": {"hidden": 16, "max_epochs": 3},
    "wgan-gp": {"hidden": 16, "max_epochs": 3, "n_critic": 1}, "cvae": {"latent": 3, "hidden": 8, "max_epochs": 3},
    "vae": {"latent": 3, "hidden": 8, "max_epochs": 3},
}  # fmt: skip
TRAINED = ("gan", "wgan-gp", "cvae", "vae")
SETS = {"one": ["g0", "g1", "g2", "g3", "g4", "g5"], "two": ["g8", "g9", "g10", "g11", "g12"]}
SIZES: dict[str, Any] = {"latent": 3, "hidden": 8, "max_epochs": 3, "training": replace(SHORT, weight_decay=1e-6)}

CASES = {
    "VAE": Case(CELLS, lambda: VAE(**SIZES), network=True),
    "VAE, head and batches": Case(CELLS, lambda: VAE(**SIZES, label_key="type", batch_key="batch"), network=True),
    "VAE, pathways": Case(CELLS, lambda: VAE(**SIZES, gene_sets=SETS, n_free=1), network=True),
    "PCA": Case(CELLS, lambda: PCA(3)),
    **{name: Case(SAMPLES, partial(make_generator, name, condition=["batch"], **QUICK[name]), name in TRAINED)
       for name in QUICK},
    "GroupMean": Case(RESPONSES, lambda: GroupMean("drug"), reads=False),
    "EffectsBaseline": Case(RESPONSES, lambda: EffectsBaseline(samples=False, tissue=True), reads=False),
    "DrugTissueMean": Case(RESPONSES, DrugTissueMean, reads=False),
    "DrugPlusTissue": Case(RESPONSES, DrugPlusTissue, reads=False),
    "RidgePerDrug": Case(RESPONSES, RidgePerDrug),
    "TreeModel, forest": Case(RESPONSES, lambda: TreeModel("random_forest")),
    "TreeModel, boosting": Case(RESPONSES, lambda: TreeModel("hist_gradient_boosting")),
    "ResponsePredictor": Case(
        COMMITTEE, lambda: ResponsePredictor(architecture=SMALL, training=SHORT, members=2), network=True
    ),
    "TableGroupMean": Case(NUMBERS, TableGroupMean),
    "TableRidge": Case(NUMBERS, TableRidge),
    "TableLogistic": Case(CLASSES, lambda: TableLogistic("classification")),
    "TableTrees, forest": Case(NUMBERS, lambda: TableTrees("random_forest")),
    "TableTrees, classes": Case(CLASSES, lambda: TableTrees("hist_gradient_boosting", "classification")),
    "TableNetwork": Case(CLASSES, lambda: TableNetwork("classification"), network=True),
    **{name: Case(EFFECTS, MODELS[name].given(OF_EFFECTS.get(name, {})).make, MODELS[name].kind == "network")
       for name in MODELS if name not in ("ridge", "vae_published")},
    **({
        "TreeModel, XGBoost": Case(RESPONSES, lambda: TreeModel("xgboost")),
        "TableTrees, XGBoost": Case(CLASSES, lambda: TableTrees("xgboost", "classification")),
    } if find_spec("xgboost") else {}),
}  # fmt: skip
cases = pytest.mark.parametrize("case", CASES.values(), ids=CASES)
NETWORKS = {name: case for name, case in CASES.items() if case.network}
networks = pytest.mark.parametrize("case", NETWORKS.values(), ids=NETWORKS)


@pytest.fixture(scope="module")
def fitted() -> Callable[[Case], Any]:
    """The case's model, fitted once for all tests that only ask it."""
    return cache(Case.fit)


def assert_same(one: list[Array], other: list[Array]) -> None:
    for a, b in zip(one, other, strict=True):
        assert np.array_equal(a, b)


# -- parameters --------------------------------------------------------------------------------------------------------


def test_every_class_of_a_bundle_is_here() -> None:
    assert set(HOMES) == {type(case.make()).__name__ for case in CASES.values()}


@cases
def test_parameters_are_kept_as_they_were_given(case: Case) -> None:
    model = case.make()
    copy = clone(model)
    assert copy is not model
    assert copy.get_params() == model.get_params()
    assert copy.set_params(**model.get_params(deep=False)).get_params() == model.get_params()
    assert repr(copy) == repr(model)
    assert repr(model).startswith(type(model).__name__ + "(")


@cases
def test_parameters_go_through_json(case: Case) -> None:
    model = case.make()
    stored = json.loads(json.dumps(model.parameters()))
    again = type(model).from_parameters(stored)
    assert again.parameters() == model.parameters()
    assert type(model)().get_params(deep=False).keys() == stored.keys()


@cases
def test_parameters_that_cannot_work_are_refused_also_when_they_are_set(case: Case) -> None:
    model = case.make()
    wrong = {"seed": -1} if "seed" in model.parameters() else {"by": "colour"} if "by" in model.parameters() else {}
    if wrong:
        with pytest.raises(ConfigurationError):
            type(model)(**wrong)
        with pytest.raises(ConfigurationError):
            model.set_params(**wrong)
    with pytest.raises(ValueError, match="no_such"):
        model.set_params(no_such=1)


# -- fit ---------------------------------------------------------------------------------------------------------------


@cases
def test_the_same_seed_gives_the_same_bits_and_nothing_else_is_touched(case: Case, fitted: Any) -> None:
    whole, (X, y) = fitted(case), case.kind.train()
    before = repr(X), getattr(X, "fingerprint", None)
    state, drawn = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    model = clone(whole)
    assert model.fit(X, y) is model
    assert_same(case.kind.bits(model), case.kind.bits(whole))
    assert np.array_equal(state, np.random.get_state()[1])  # noqa: NPY002
    assert torch.equal(drawn, torch.get_rng_state())
    assert (repr(X), getattr(X, "fingerprint", None)) == before
    if isinstance(X, ad.AnnData):
        assert_same([dense(X.X)], [dense(case.kind.train()[0].X)])
        pd.testing.assert_frame_equal(X.obs, case.kind.train()[0].obs)


@cases
def test_unfitted_use_is_refused_with_a_sentence(case: Case, tmp_path: Path) -> None:
    model, kind = case.make(), case.kind
    uses: list[Callable[[], Any]] = [
        lambda: kind.answer(model, kind.query()), lambda: model.features(kind.query()), model.card,
        lambda: model.save(tmp_path / "bundle"), model.check_is_fitted,
    ]  # fmt: skip
    for use in uses:
        with pytest.raises(NotFitted, match=f"this {type(model).__name__} has not been fitted; call fit"):
            use()
    assert not list(tmp_path.iterdir())
    with pytest.raises(NotFittedError):
        check_is_fitted(model)
    check_is_fitted(case.fit())


# -- use ---------------------------------------------------------------------------------------------------------------


@cases
def test_answers_of_test_rows_are_never_read(case: Case, fitted: Any) -> None:
    model, kind = fitted(case), case.kind
    before = kind.bits(model)
    assert_same([kind.answer(model, kind.spoilt(kind.query()))], before[:1])
    assert_same(kind.bits(model), before)  # and none of them is remembered


@cases
def test_one_row_alone_is_as_in_a_batch(case: Case, fitted: Any) -> None:
    """Products of matrices of other sizes may differ in their last bits."""
    model, kind = fitted(case), case.kind
    together = kind.answer(model, kind.query())
    for row in (0, len(together) - 1):
        alone = kind.answer(model, kind.rows(kind.query(), [row]))
        np.testing.assert_allclose(alone, together[[row]], rtol=1e-4, atol=2e-5)
    backwards = list(range(len(together)))[::-1]
    np.testing.assert_allclose(
        kind.answer(model, kind.rows(kind.query(), backwards)), together[::-1], rtol=1e-4, atol=2e-5
    )


@cases
def test_permuted_features_change_nothing(case: Case, fitted: Any) -> None:
    model, kind = fitted(case), case.kind
    assert_same([kind.answer(model, kind.permuted(kind.query()))], kind.bits(model)[:1])


@cases
def test_missing_features_are_refused_and_filled_only_when_asked(case: Case, fitted: Any) -> None:
    model, kind = fitted(case), case.kind
    fewer = kind.lacking(kind.query())
    if not case.reads:
        assert_same([kind.answer(model, fewer)], kind.bits(model)[:1])
        return
    with pytest.raises(GeneMismatch, match="2 "):
        kind.answer(model, fewer)
    if kind.filled is not None:
        found = kind.filled(model, fewer)
        assert found.shape == kind.answer(model, kind.query()).shape
        assert np.isfinite(found).all()


@cases
def test_features_have_a_row_each_and_a_name_for_each_column(case: Case, fitted: Any) -> None:
    model, kind = fitted(case), case.kind
    matrix, names = model.features(kind.query())
    assert matrix.shape == (len(kind.answer(model, kind.query())), len(names))
    assert all(isinstance(name, str) for name in names)
    assert np.isfinite(dense(matrix)).all()
    assert_same([dense(model.features(kind.spoilt(kind.query()))[0])], [dense(matrix)])


# -- bundle ------------------------------------------------------------------------------------------------------------


@cases
def test_a_bundle_says_the_same_bits(case: Case, fitted: Any, tmp_path: Path) -> None:
    model, kind = fitted(case), case.kind
    loaded = cellixir.load(model.save(tmp_path / "bundle"))
    assert type(loaded) is type(model)
    assert loaded.parameters() == model.parameters()
    assert_same(kind.bits(loaded), kind.bits(model))
    assert_same([dense(m.features(kind.query())[0]) for m in (loaded,)], [dense(model.features(kind.query())[0])])
    assert loaded.card() == model.card() == (tmp_path / "bundle" / "card.md").read_text(encoding="utf-8")
    assert loaded.card().startswith("# ")
    again = cellixir.load(loaded.save(tmp_path / "again"))
    assert_same(kind.bits(again), kind.bits(model))
    assert sorted(p.name for p in (tmp_path / "again").iterdir()) == ["card.md", "model.json", "weights.safetensors"]
    assert_same(kind.bits(case.fit(clone(loaded))), kind.bits(model))


# -- networks ----------------------------------------------------------------------------------------------------------


class Killed(Exception):
    """Stands for the end of the process."""


@networks
def test_a_killed_fit_goes_on_to_the_same_bits(case: Case, fitted: Any, tmp_path: Path) -> None:
    heard: list[tuple[int, int]] = []

    def hear(member: int, epoch: Any, of: int) -> None:
        assert epoch.epoch < of
        heard.append((member, epoch.epoch))
        if heard == [(0, 0), (0, 1)]:
            raise Killed

    with pytest.raises(Killed):
        case.fit(checkpoint=tmp_path / "run", on_epoch=hear)
    resumed = case.fit(checkpoint=tmp_path / "run", on_epoch=hear)
    assert heard[:3] == [(0, 0), (0, 1), (0, 2)]
    assert len(set(heard)) == len(heard)
    assert_same(case.kind.bits(resumed), case.kind.bits(fitted(case)))
    one, other = (model.history_.drop(columns="seconds") for model in (resumed, fitted(case)))
    pd.testing.assert_frame_equal(one, other)


@networks
def test_validation_rows_stop_a_network(case: Case, fitted: Any) -> None:
    n = len(part_of_screen(train=True)) if case.kind is COMMITTEE else 70
    rows = np.arange(3, n, 7)
    mask = np.isin(np.arange(n), rows)
    one, other = case.fit(validation=rows), case.fit(validation=mask)
    assert_same(case.kind.bits(one), case.kind.bits(other))
    losses = [model.history_["validation_loss"].tolist() for model in (one, fitted(case))]
    assert losses[0] != losses[1]


@pytest.mark.parametrize("name", ["VAE", *TRAINED])
@pytest.mark.parametrize(
    ("rows", "words"), [([70], "validation names rows"), ([], "validation names rows"), ([1], "or more")]
)
def test_validation_rows_that_cannot_be_are_refused(name: str, rows: list[int], words: str) -> None:
    with pytest.raises((ConfigurationError, DataError), match=words):
        CASES[name].fit(validation=np.array(rows, dtype=int))


# -- tables of samples x genes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["VAE", "PCA", *QUICK])
def test_a_table_and_a_matrix_are_taken_as_samples(name: str) -> None:
    case = CASES[name]
    cells = counts()[:70]
    X = pd.DataFrame(cells.X, index=cells.obs_names, columns=cells.var_names)
    make = (lambda: make_generator(name, **QUICK[name])) if name in QUICK else case.make
    of_table, of_matrix, of_cells = make().fit(X), make().fit(X.to_numpy()), make().fit(cells.copy())
    wanted = case.kind.bits(of_cells)
    assert_same(case.kind.bits(of_table), wanted)
    assert list(of_matrix.genes_) == [f"gene_{i}" for i in range(20)]
    assert_same([case.kind.answer(of_matrix, counts()[70:].X)], wanted[:1])
    assert_same([case.kind.answer(of_table, X.iloc[:, ::-1])], [case.kind.answer(of_table, X)])
    with pytest.raises(GeneMismatch):
        case.kind.answer(of_table, X.to_numpy())
