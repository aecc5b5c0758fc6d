"""Fit, intervals, distance from training, and what the commands make of good and bad tables."""

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
from cellixir.exceptions import CellixirError, ConfigurationError, ReadError
from cellixir.perturbation import Keys, effects_of, fit, question_of
from cellixir.perturbation.calibration import Calibration
from cellixir.perturbation.experiments import EXAMPLE, read_experiments
from cellixir.perturbation.fitting import calibrated
from cellixir.perturbation.kernels import EffectRidge
from cellixir.perturbation.model import PerturbationModel

KEYS = Keys("perturbation", ("DMSO",), plate="plate", dose="dose")


@pytest.fixture(scope="module")
def model(wells: ad.AnnData) -> PerturbationModel:
    return fit(wells, KEYS, split="pair", n_folds=3)


def test_intervals_hold_as_often_as_they_say() -> None:
    """Normal errors of another size each gene, which a committee knows or does not."""
    rng = np.random.default_rng(0)
    sizes = np.array([0.5, 1.0, 3.0])
    mean = np.zeros((400, 3))
    told = rng.normal(size=(400, 3))
    made = Calibration.of("drug", ["a", "b", "c"], told + sizes * rng.normal(size=(400, 3)), told, mean, 0 * told,
                          np.arange(400))  # fmt: skip
    half = made.half_width(["a", "b", "c"], np.zeros((1, 3)), 0.9)[0]
    held = [(np.abs(size * rng.normal(size=4000)) < width).mean() for size, width in zip(sizes, half, strict=True)]
    np.testing.assert_allclose(held, 0.9, atol=0.05)
    wider = made.half_width(["a", "b", "c"], np.full((1, 3), made.error), 0.9)[0]
    np.testing.assert_allclose(wider / half, np.sqrt(2))
    assert np.isinf(
        Calibration.of("drug", ["a"], *[told[:4, :1]] * 4, np.arange(4)).half_width(["a"], mean[:1, :1], 0.9)
    )


def test_intervals_hold_for_conditions_of_folds_that_were_left_out(effects: ad.AnnData) -> None:
    calibration = calibrated(EffectRidge(split="pair"), effects, "pair", n_folds=3)
    assert calibration.n_units == 20
    assert calibration.pearson_delta > calibration.pearson_mean + 0.2
    assert calibration.alike < 0.9
    other = simulate_perturbation(n_genes=100, n_drugs=8, n_pairs=20, n_plates=2, n_controls=8, seed=1, n_replicates=6)
    more = effects_of(other, KEYS)
    pairs = more[more.obs["perturbation"].str.contains("+", regex=False)]
    half = calibration.half_width(list(effects.var_names), np.zeros((1, 100)), 0.9)
    assert pairs.n_obs > 200
    assert half.mean() < 4 * np.std(np.asarray(pairs.X))


def test_a_fit_that_was_stopped_goes_on_with_its_own_data_only(wells: ad.AnnData, tmp_path: Path) -> None:
    settings = {"model": "compositional", "split": "pair", "n_folds": 2}
    small = {"members": 1, "epochs": 2, "hidden": 8, "latent": 4}
    heard: list[int] = []

    def stop(member: int, epoch: object, of: int) -> None:
        heard.append(member)
        if len(heard) == 3:  # in the second fold
            raise KeyboardInterrupt

    whole = fit(wells, KEYS, parameters=small, **settings)
    with pytest.raises(KeyboardInterrupt):
        fit(wells, KEYS, parameters=small, checkpoint=tmp_path, on_epoch=stop, **settings)
    again = fit(wells, KEYS, parameters=small, checkpoint=tmp_path, on_epoch=lambda *_: heard.append(0), **settings)
    assert len(heard) == 3 + 1 + 2  # what was left of the second fold, and all wells
    question = question_of(whole, pd.DataFrame({"perturbation": ["D001+D002"], "dose": ["10+1.1"]}))
    for layer in (None, "low"):
        told = [model.predict(question, level=0.5) for model in (whole, again)]
        np.testing.assert_array_equal(*(said.X if layer is None else said.layers[layer] for said in told))
    fit(
        wells[:, ::-1].copy(),
        KEYS,
        parameters=small,
        checkpoint=tmp_path,
        on_epoch=lambda *_: heard.append(0),
        **settings,
    )
    assert len(heard) == 6 + 6  # other data begin anew


def test_a_new_condition_comes_with_interval_profile_and_distance(model: PerturbationModel) -> None:
    table = pd.DataFrame(
        {"perturbation": ["D001+D002", "D001", "D001", "new"], "dose": ["10+1.1", "10", "1000 µM", "10"],
         "smiles": [None, None, None, "CCCCCCCC"]}
    )  # fmt: skip
    question = question_of(model, table)
    said, reach = model.predict(question, level=0.8), model.reach(question)
    assert (np.asarray(said.layers["low"]) < said.X).all()
    np.testing.assert_allclose(said.layers["profile"], question.layers["control"] + said.X, rtol=1e-6)
    wide = model.predict(question, level=0.95).layers
    assert (wide["high"] - wide["low"] >= said.layers["high"] - said.layers["low"] - 1e-6).all()
    assert reach["drugs_seen"].tolist() == [2, 1, 1, 0]
    assert reach["in_domain"].tolist() == [True, True, False, False]
    assert reach["outside"].tolist()[2:] == ["dose outside those of training", "structure unlike those of training"]
    assert reach["similarity"].iloc[3] < model.domain_.similarity
    assert "(Pearson)" in model.card()


def test_distance_of_a_context_by_hand(model: PerturbationModel) -> None:
    own = ad.AnnData(model.domain_.contexts[[0]] + 2, pd.DataFrame(index=["mine"]), pd.DataFrame(index=model.genes_))
    table = pd.DataFrame({"perturbation": ["D001"], "dose": ["10"]})
    question = question_of(model, table, context=own)
    reach = model.reach(question).iloc[0]
    expected = min(np.sqrt(np.square(own.X[0] - context).mean()) for context in model.domain_.contexts)
    assert reach["context_distance"] == pytest.approx(expected, rel=1e-4)
    assert not reach["in_domain"]
    assert question.obs["cell_line"].tolist() == ["mine"]
    near = question_of(model, table, context=own[:, ::-1].copy())  # genes by name, in any order
    np.testing.assert_array_equal(near.layers["control"], question.layers["control"])


BAD = {
    "'drug' is none of them": {"drug": ["D001"]},
    "not in training and without structure: 1 drug \\('nobody'\\)": {"perturbation": ["nobody"]},
    "the SMILES 'C\\(C' of drug 'x' does not parse": {"perturbation": ["x"], "smiles": ["C(C"]},
    "the cell line 'A549' \\(1 row\\) was not in training": {"perturbation": ["D001"], "cell_line": ["A549"]},
    "a dose cannot be negative": {"perturbation": ["D001"], "dose": ["-3"]},
    "the dose 'much' of well 'condition 1'": {"perturbation": ["D001"], "dose": ["much"]},
    "'x' has two structures": {"perturbation": ["x", "x"], "smiles": ["CC", "CO"]},
    "has no row": {"perturbation": []},
}


@pytest.mark.parametrize("message", BAD)
def test_conditions_that_cannot_be_asked(message: str, model: PerturbationModel) -> None:
    with pytest.raises(CellixirError, match=message):
        question_of(model, pd.DataFrame(BAD[message], dtype=object))


def test_the_file_of_experiments(tmp_path: Path) -> None:
    file = tmp_path / "e.toml"
    file.write_text(EXAMPLE)
    found = read_experiments(file)
    assert list(found) == ["published", "small", "kernel"]
    assert found["published"].parameters["n_layers"] == 2
    assert found["kernel"].home == "kernels:EffectRidge"
    for text, message in (
        ("[experiment.a]\nhidden = 3\n", "experiment 'a': give its model, one of ridge"),
        ('[experiment.a]\nmodel = "mlp"\n', "no model 'mlp'"),
        ('[experiment.a]\nmodel = "ridge"\nhidden = 3\n', "experiment 'a': there is no setting 'hidden'"),
        ('[experiment.additive]\nmodel = "ridge"\n', "the name of a baseline"),
        ('[experiment.a]\nmodel = "ridge"\nseed = 3\n', "give it as --seed"),
    ):
        file.write_text(text)
        with pytest.raises(ConfigurationError, match=message):
            read_experiments(file)
    with pytest.raises(ReadError):
        read_experiments(tmp_path / "none.toml")


# -- commands ----------------------------------------------------------------------------------------------------------


GIVEN = ["--perturbation-key", "perturbation", "--control", "DMSO", "--plate-key", "plate", "--dose-key", "dose"]


@pytest.fixture(scope="module")
def file(wells: ad.AnnData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("wells") / "wells.h5ad"
    wells.copy().write_h5ad(path)
    return path


def run(*given: object) -> str:
    """What a command says; an error is raised as the program's end would print it."""
    result = CliRunner().invoke(app, ["perturb", *map(str, given)])
    if isinstance(result.exception, CellixirError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_fit_and_predict_from_files(file: Path, tmp_path: Path) -> None:
    bundle, out = tmp_path / "b", tmp_path / "p.h5ad"
    said = run("fit", file, *GIVEN, "--out", bundle, "--folds", 2, "--split", "drug")
    assert "the mean effect of training alone by" in said
    (tmp_path / "c.csv").write_text("perturbation,dose,smiles\nD001+D002,10+1.1,\nmine,10,CCO\n")
    run("predict", bundle, "--conditions", tmp_path / "c.csv", "--out", out)
    found = ad.read_h5ad(out)
    assert found.obs["nearest_drug"].iloc[0] in ("D001", "D002")
    model = cellixir.load(bundle)
    again = model.predict(question_of(model, pd.read_csv(tmp_path / "c.csv", dtype=str)))
    np.testing.assert_array_equal(found.X, again.X)
    with pytest.raises(ConfigurationError, match="must end in"):
        run("predict", bundle, "--conditions", tmp_path / "c.csv", "--out", tmp_path / "p.csv")


def test_benchmark_writes_what_it_promises_and_goes_on(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = ["benchmark", file, *GIVEN, "--split", "pair", "--folds", 2, "--models", "ridge", "--out", tmp_path / "b"]
    fitted = EffectRidge._learn

    def killed(self: EffectRidge, *given: object, **named: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(EffectRidge, "_learn", killed)
    assert CliRunner().invoke(app, ["perturb", *map(str, given)]).exit_code != 0
    assert not (tmp_path / "b" / "leaderboard.csv").exists()
    monkeypatch.setattr(EffectRidge, "_learn", fitted)
    said = run(*given)
    assert "A replicate of the same condition reaches" in said
    table = pd.read_csv(tmp_path / "b" / "leaderboard.csv")
    wanted = ["split", "model", "fold", "pearson_delta", "spearman_delta", "sign_agreement", "rmse", "retrieval"]
    assert {*wanted, "ceiling"} <= set(table.columns)
    assert set(table["model"]) == {
        "no_change", "mean_effect", "cell_line_mean", "drug_mean", "nearest_drug", "additive", "study_average", "ridge"
    }  # fmt: skip
    overall = pd.read_csv(tmp_path / "b" / "overall.csv").set_index("model")
    assert overall.loc["ridge", "pearson_delta"] > overall.loc["ridge", "drug_shuffled"] + 0.2
    assert overall.loc["mean_effect", "alike"] > 0.99
    page = (tmp_path / "b" / "report.html").read_text(encoding="utf-8")
    for section in ("Ablation", "By condition", "Leakage audit"):
        assert section in page
    with pytest.raises(ConfigurationError, match="other data, split, folds or seed"):
        run(*given, "--seed", 5)


def test_compare_lays_experiments_beside_the_baselines(file: Path, tmp_path: Path) -> None:
    toml = tmp_path / "e.toml"
    toml.write_text('[experiment.deep]\nmodel = "vae_arithmetic"\nepochs = 2\nlayers = 2\nhidden = 8\n')
    given = [toml, file, *GIVEN, "--split", "pair", "--folds", 2, "--out", tmp_path / "c"]
    run("compare", *given)
    history = pd.read_csv(tmp_path / "c" / "histories.csv")
    assert set(history["model"]) == {"deep"}
    assert history["epoch"].max() == 1
    assert "additive" in pd.read_csv(tmp_path / "c" / "overall.csv")["model"].tolist()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"--control": "water"}, "no well of 'perturbation' is 'water'"),
        ({"--plate-key": "plates"}, "--plate-key plates: there is no such column"),
        ({"--split": "cell-line"}, "needs two units"),
        ({"--models": "gears"}, "there is no model 'gears'"),
        ({"--values": "counts"}, "are no counts"),
    ],
)
def test_options_that_cannot_work(changed: dict[str, str], message: str, file: Path, tmp_path: Path) -> None:
    given = dict(zip(GIVEN[::2], GIVEN[1::2], strict=True)) | {"--out": str(tmp_path / "x")} | changed
    with pytest.raises(CellixirError, match=message):
        run("benchmark", file, *[part for pair in given.items() for part in pair])
    assert not (tmp_path / "x" / "leaderboard.csv").exists()
