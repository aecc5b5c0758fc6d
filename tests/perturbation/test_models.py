"""Predictors against closed forms, brute force and planted effects."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import torch

from cellixir.exceptions import ConfigurationError, GeneMismatch
from cellixir.perturbation import Keys, effects_of
from cellixir.perturbation.arithmetic import LatentArithmetic
from cellixir.perturbation.baselines import Additive, CellLineMean, DrugMean, MeanEffect, NearestDrug, StudyAverage
from cellixir.perturbation.compositional import CompositionalPredictor
from cellixir.perturbation.kernels import PENALTIES, Described, EffectRidge, fitted
from cellixir.perturbation.model import PerturbationModel
from cellixir.perturbation.models import MODELS, chosen_models, model_named
from cellixir.perturbation.scores import correlation
from cellixir.perturbation.splits import make_folds

#: Toluene, ethylbenzene and ethanol: the nearest of propylbenzene is not ethanol.
SMILES = pd.Series({"A": "Cc1ccccc1", "B": "CCO", "C": "CCc1ccccc1", "N": "CCCc1ccccc1"}, dtype=object)


def table(rows: list[tuple[str, str, str]], x: np.ndarray | None = None) -> ad.AnnData:
    """Effects of drug, dose and line."""
    drug, dose, line = zip(*rows, strict=True)
    obs = pd.DataFrame({"drug": drug, "dose": dose, "line": line}, index=[f"w{k}" for k in range(len(rows))])
    values = np.zeros((len(rows), 3)) if x is None else x
    cells = ad.AnnData(values.astype(np.float32), obs, pd.DataFrame(index=["g1", "g2", "g3"]))
    return effects_of(cells, Keys("drug", dose="dose", cell_line="line"), smiles=SMILES)


KNOWN = [("A", "1", "L1"), ("A", "10", "L1"), ("A", "1", "L2"), ("B", "1", "L1"), ("C", "10", "L2")]
VALUES = np.array([[1.0, 0, 0], [3, 0, 0], [0, 1, 0], [0, 0, 2], [4, 4, 0]])


@pytest.mark.parametrize(
    ("model", "asked", "expected"),
    [
        (MeanEffect(), ("A", "1", "L1"), VALUES.mean(axis=0)),
        (CellLineMean(), ("B", "1", "L2"), (VALUES[2] + VALUES[4]) / 2),
        (CellLineMean(), ("B", "1", "L9"), VALUES.mean(axis=0)),
        (DrugMean(), ("A", "8", "L1"), VALUES[1]),  # the nearest dose in the line
        (DrugMean(), ("A", "10", "L3"), VALUES[1]),  # of another line, the nearest dose
        (DrugMean(), ("N", "1", "L1"), VALUES.mean(axis=0)),
        (NearestDrug(), ("N", "10", "L2"), VALUES[4]),
        (Additive(), ("A+B", "10+1", "L1"), VALUES[1] + VALUES[3]),
        (Additive(), ("B+A", "1+1", "L1"), VALUES[0] + VALUES[3]),
        (StudyAverage(), ("A+B", "10+1", "L1"), ((VALUES[0] + VALUES[1]) / 2 + VALUES[3]) / 2),
    ],
)
def test_baselines_say_what_their_names_say(
    model: PerturbationModel, asked: tuple[str, str, str], expected: np.ndarray
) -> None:
    said = model.fit(table(KNOWN, VALUES)).predict(table([asked])).X
    np.testing.assert_allclose(said[0], expected, atol=1e-6)


def test_errors_on_left_out_units_are_those_of_refits() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(14, 5))
    k, y = x @ x.T, rng.normal(size=(14, 3))
    units = np.array([0, 0, 1, 1, 1, 2, 3, 3, -1, -1, 4, 4, 4, 4])
    errors = []
    for penalty in PENALTIES:
        error = 0.0
        for unit in range(5):
            out, kept = units == unit, units != unit
            weights = np.linalg.solve(k[np.ix_(kept, kept)] + penalty * np.eye(kept.sum()), y[kept])
            error += np.square(k[np.ix_(out, kept)] @ weights - y[out]).sum()
        errors.append(error)
    penalty, weights, error = fitted(k, y, units)
    assert penalty == PENALTIES[np.argmin(errors)]
    assert error == pytest.approx(min(errors), rel=1e-5)
    np.testing.assert_allclose(weights, np.linalg.solve(k + penalty * np.eye(14), y), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("kind", ["linear", "tanimoto"])
def test_the_kernel_of_a_pair_is_made_of_its_drugs_in_any_order(kind: str) -> None:
    asked = table([("A+B", "1+10", "L1"), ("B+A", "10+1", "L1"), ("A", "1", "L1"), ("B", "10", "L1")])
    known = EffectRidge().fit(table(KNOWN, VALUES)).features_
    rows = Described.of(asked, known)
    k = rows.kernel(rows, kind, 0.2)
    np.testing.assert_allclose(k[0], k[1])
    np.testing.assert_allclose(k, k.T)
    assert np.linalg.eigvalsh(k).min() > -1e-9
    if kind == "linear":  # bilinear: a pair is the sum of its drugs
        np.testing.assert_allclose(k[0], k[2] + k[3])


def test_ridge_recovers_what_a_part_of_the_structure_does() -> None:
    rng = np.random.default_rng(0)
    smiles = {f"D{k}": "C" * (1 + k % 5) + ("c1ccccc1" if k < 10 else "N1CCOCC1") for k in range(20)}
    effect = rng.normal(size=(2, 40))
    names = [f"D{k}" for k in range(20) for _ in range(2)]
    x = np.array([effect[int(int(name[1:]) >= 10)] + 0.5 * rng.normal(size=40) for name in names], dtype=np.float32)
    cells = ad.AnnData(x, pd.DataFrame({"drug": names}, index=[f"w{k}" for k in range(40)]))
    effects = effects_of(cells, Keys("drug"), smiles=pd.Series(smiles, dtype=object))
    folds, _ = make_folds(effects, "drug", n_folds=4)
    for name, settings in (("ridge", {}), ("kernel_ridge", {}), ("boosting", {"axes": 1, "bits": 2})):
        said, spec = np.zeros_like(x), MODELS[name].given(settings)
        for fold in folds:
            said[fold.test] = spec.make("drug", 0).fit(effects[fold.train].copy()).predict(effects[fold.test]).X
        expected = np.array([effect[int(int(name[1:]) >= 10)] for name in effects.obs["perturbation"]])
        assert correlation(said, expected).mean() > 0.9, name


# -- networks ----------------------------------------------------------------------------------------------------------


def pair_scores(effects: ad.AnnData, model: PerturbationModel, row: np.ndarray) -> float:
    asked = effects[row].copy()
    asked.X[:] = np.nan
    return float(correlation(np.asarray(model.predict(asked).X), np.asarray(effects[row].X)).mean())


@pytest.fixture(scope="module")
def parts(effects: ad.AnnData) -> tuple[ad.AnnData, np.ndarray]:
    """Training part and rows of the tested pairs of the first fold."""
    fold = make_folds(effects, "pair", n_folds=3)[0][0]
    controls = np.flatnonzero(effects.obs["is_control"])
    return effects[np.sort(np.concatenate([fold.train, controls]))].copy(), fold.test


@pytest.fixture(scope="module")
def compositional(parts: tuple[ad.AnnData, np.ndarray]) -> CompositionalPredictor:
    return CompositionalPredictor(split="pair", members=2).fit(parts[0])


def test_models_beat_adding_and_averaging_on_unseen_pairs_that_interact(
    effects: ad.AnnData, parts: tuple[ad.AnnData, np.ndarray], compositional: CompositionalPredictor
) -> None:
    known, rows = parts
    added = pair_scores(effects, Additive().fit(known), rows)
    averaged = pair_scores(effects, StudyAverage().fit(known), rows)
    kernel = pair_scores(effects, EffectRidge(split="pair").fit(known), rows)
    vae = pair_scores(effects, LatentArithmetic(split="pair", max_epochs=40).fit(known), rows)
    assert pair_scores(effects, compositional, rows) > max(added, averaged) + 0.01
    assert kernel > max(added, averaged)
    assert vae > added - 0.03
    assert added > 0.7


def test_the_order_of_a_pair_and_what_is_unknown_change_nothing(
    effects: ad.AnnData, compositional: CompositionalPredictor
) -> None:
    pair = effects[effects.obs["perturbation"].str.contains("+", regex=False)][:2].copy()
    turned = pair.copy()
    turned.obs["perturbation"] = ["+".join(name.split("+")[::-1]) for name in pair.obs["perturbation"]]
    turned.obs[["dose_1", "dose_2"]] = pair.obs[["dose_2", "dose_1"]].to_numpy()
    np.testing.assert_allclose(compositional.predict(pair).X, compositional.predict(turned).X, atol=1e-5)
    strange = pair.copy()
    strange.obs["perturbation"], strange.obs["dose_1"] = "nobody+D001", np.nan
    assert np.isfinite(compositional.predict(strange).X).all()
    assert (compositional.spread(pair) > 0).any()


def test_two_threads_give_the_same_bits_as_one(parts: tuple[ad.AnnData, np.ndarray]) -> None:
    threads = torch.get_num_threads()
    said = []
    try:
        for n in (1, 2):
            torch.set_num_threads(n)
            model = CompositionalPredictor(split="pair", members=1, max_epochs=3).fit(parts[0])
            said.append(model.predict(parts[0]).X)
    finally:
        torch.set_num_threads(threads)
    np.testing.assert_array_equal(*said)


def test_a_latent_mean_shift_of_a_linear_world_is_the_drugs_mean(parts: tuple[ad.AnnData, np.ndarray]) -> None:
    model = LatentArithmetic(rule="mean", max_epochs=30).fit(parts[0])
    single = parts[0][(parts[0].obs["perturbation"] == "D001").to_numpy()].copy()
    said, seen = np.asarray(model.predict(single).X), np.asarray(single.X)
    assert correlation(said, np.tile(seen.mean(axis=0), (len(said), 1))).mean() > 0.8


def test_training_goes_on_where_it_was_stopped(
    parts: tuple[ad.AnnData, np.ndarray], tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"split": "pair", "members": 2, "max_epochs": 4}
    whole = CompositionalPredictor(**settings).fit(parts[0])

    def stop(member: int, epoch: object, of: int) -> None:
        if member == 1 and epoch.epoch == 1:  # type: ignore[attr-defined]
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        CompositionalPredictor(**settings).fit(parts[0], checkpoint=tmp_path, on_epoch=stop)
    again = CompositionalPredictor(**settings).fit(parts[0], checkpoint=tmp_path)
    np.testing.assert_array_equal(again.predict(parts[0]).X, whole.predict(parts[0]).X)


def test_a_prediction_is_a_change_and_a_profile_of_the_genes_of_the_fit(parts: tuple[ad.AnnData, np.ndarray]) -> None:
    model, question = EffectRidge().fit(parts[0]), parts[0][:9]
    said = model.predict(question)
    np.testing.assert_allclose(said.layers["profile"], question.layers["control"] + said.X, rtol=1e-6)
    turned = model.predict(question[:, ::-1].copy())
    np.testing.assert_array_equal(turned.X, said.X)
    assert list(turned.var_names) == model.genes_
    with pytest.raises(GeneMismatch, match="the conditions lack 3 of the 100 genes of the fit"):
        model.predict(question[:, 3:].copy())
    assert "learned from" in model.card()


def test_models_and_parameters_are_refused_by_name() -> None:
    with pytest.raises(ConfigurationError, match="there is no model 'gears'; choose among no_change"):
        chosen_models(["gears"])
    for given, message in (
        ({"hiden": 3}, "did you mean 'hidden'"),
        ({"hidden": "wide"}, "hidden must be a whole number"),
        ({"activation": "step"}, "activation must be one of"),
        ({"dropout": 2.0}, "dropout must be from 0 to"),
        ({"split": "pair"}, "no setting 'split'"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            model_named("vae_arithmetic").given(given)
    assert "vae_published" not in chosen_models(None)
    assert set(chosen_models([])) == {name for name, spec in MODELS.items() if spec.kind == "baseline"}
