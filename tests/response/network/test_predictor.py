"""The response network finds what was planted, repeats to the bit, survives a kill, comes back from a bundle."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import torch

from cellixir.data.response_data import ResponseData
from cellixir.data.splits import split_off
from cellixir.exceptions import (
    BundleError,
    ConfigurationError,
    GeneMismatch,
    InvalidValues,
    NotFitted,
    UnknownIds,
)
from cellixir.metrics.classification import auroc
from cellixir.response.cross_validation.labels import Labels, labelled
from cellixir.response.models.baselines import EffectsBaseline
from cellixir.response.models.ridge import RidgePerDrug
from cellixir.response.network.architecture import Architecture
from cellixir.response.network.pair_task import Pairs, PairTask
from cellixir.response.network.predictor import ResponsePredictor
from cellixir.response.ranking.rank import rank
from cellixir.training import Epoch, TrainingConfig

SMALL = Architecture(latent=8, encoder=32, head=16, dropout=0.1, input_dropout=0.1)
SHORT = TrainingConfig(max_epochs=4, batch_size=64, learning_rate=5e-3, patience=4)
LONG = TrainingConfig(max_epochs=40, batch_size=64, learning_rate=1e-2, patience=10)


def predictor(
    split: str = "LCO", *, training: TrainingConfig = SHORT, members: int = 2, seed: int = 0
) -> ResponsePredictor:
    return ResponsePredictor(split, architecture=SMALL, training=training, members=members, seed=seed, device="cpu")


def parted(data: ResponseData, split: str) -> tuple[ResponseData, ResponseData]:
    """Training and test pairs; a quarter of the units of the split is new."""
    train, new = split_off(data, split, fraction=0.25, seed=7)
    return data.take(train), data.take(new)


def mse(predicted: np.ndarray, data: ResponseData) -> float:
    return float(np.square(predicted - data.response).mean())


def carriers(data: ResponseData, gene: str) -> np.ndarray:
    return data.feature_matrix("mutations", [gene])[data.sample_index, 0] > 0


def untimed(model: ResponsePredictor) -> pd.DataFrame:
    return model.history_.drop(columns="seconds")


@pytest.fixture(scope="module")
def fitted(screen: ResponseData) -> dict[str, ResponsePredictor]:
    """A hurried fit for each split."""
    return {split: predictor(split).fit(parted(screen, split)[0]) for split in ("LPO", "LCO", "LDO", "LTO")}


# --- quality -----------------------------------------------------------------------------------------------------


def test_new_samples_are_predicted_by_their_biomarker(make_screen, biomarker):
    train, new = parted(make_screen(n_samples=100), "LCO")
    predicted = predictor("LCO", training=LONG).fit(train).predict(new)
    drug_mean = EffectsBaseline(samples=False).fit(train).predict(new)
    assert mse(predicted, new) < 0.7 * mse(drug_mean, new)
    hit, carrier = new.drug_index % 4 == 0, carriers(new, "GENE0")
    difference = predicted[hit & carrier].mean() - predicted[hit & ~carrier].mean()
    assert 1.3 * biomarker < difference < 0.6 * biomarker
    assert abs(predicted[~hit & carrier].mean() - predicted[~hit & ~carrier].mean()) < 0.2 * abs(biomarker)


def test_deep_part_learns_what_no_linear_model_can(make_screen):
    data = make_screen(n_samples=200, noise=0.1, seed=3)
    either = carriers(data, "GENE1") ^ carriers(data, "GENE2")
    data = replace(data, responses=data.responses.assign(response=data.response + 3.0 * either))
    train, new = parted(data, "LCO")
    predicted = predictor("LCO", training=LONG).fit(train).predict(new)
    assert mse(predicted, new) < 0.75 * mse(RidgePerDrug().fit(train).predict(new), new)


def test_new_pairs_are_predicted_better_than_by_mean_effects(make_screen):
    train, new = parted(make_screen(n_drugs=20, hidden=1.0), "LPO")
    predicted = predictor("LPO", training=LONG, members=1).fit(train).predict(new)
    assert mse(predicted, new) < 0.5 * mse(EffectsBaseline(samples=True).fit(train).predict(new), new)


def test_new_drugs_are_predicted_by_their_targets(make_screen):
    train, new = parted(make_screen(n_drugs=32), "LDO")
    predicted = predictor("LDO", training=LONG).fit(train).predict(new)
    assert mse(predicted, new) < 0.4 * mse(EffectsBaseline(samples=True).fit(train).predict(new), new)


def test_new_tissues_are_predicted(make_screen):
    data = make_screen(n_samples=120, n_tissues=6)
    left_out = np.isin(data.sample_index % 6, [1, 4])
    train, new = data.take(~left_out), data.take(left_out)
    predicted = predictor("LTO", training=LONG, members=3).fit(train).predict(new)
    assert mse(predicted, new) < 0.8 * mse(EffectsBaseline(samples=False).fit(train).predict(new), new)


# --- what is seen ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("split", ["LPO", "LCO", "LDO", "LTO"])
def test_test_responses_are_not_read(fitted, screen, split):
    new = parted(screen, split)[1]
    predicted = fitted[split].predict(new)
    assert np.isfinite(predicted).all()
    np.testing.assert_array_equal(fitted[split].predict(new.as_question()), predicted)


@pytest.mark.parametrize("split", ["LPO", "LCO", "LDO"])
def test_a_pair_is_predicted_by_itself_as_among_others(fitted, screen, split):
    rows = np.array([5, 77, 3])
    alone = fitted[split].predict(screen.take(rows))
    np.testing.assert_allclose(alone, fitted[split].predict(screen)[rows], rtol=1e-5, atol=1e-5)


def test_validation_rows_are_not_learned_from(screen):
    """Other responses on the validation rows change the validation loss and nothing in the training steps.

    (The wide part learns from all rows, and is asked for each row without that row: test_wide.)
    """
    model = predictor(members=1).fit(screen)
    pairs = model._pairs(screen, screen.response)
    train_rows, held = split_off(screen, "LCO", fraction=0.3, seed=1)
    rows, stop = pairs.subset(train_rows), pairs.subset(held)
    shifted = replace(stop, target=stop.target + 100.0)
    one, two = (model._train(0, rows, part, None, "", None)[1] for part in (stop, shifted))
    assert [e.train_loss for e in one] == [e.train_loss for e in two][: len(one)]
    assert all(b.validation_loss > 10 * a.validation_loss for a, b in zip(one, two, strict=False))


def test_each_member_stops_on_rows_of_its_own(screen):
    model = predictor()
    parts = [model._parts(screen, None, number)[1] for number in range(4)]
    assert len({tuple(rows) for rows in parts}) == 4
    given = np.arange(7)
    train, stop = model._parts(screen, given, 0)
    np.testing.assert_array_equal(stop, given)
    np.testing.assert_array_equal(np.sort(np.concatenate([train, stop])), np.arange(len(screen)))


def test_ids_without_training_pairs_are_not_known(screen):
    train = screen.take((screen.sample_index < 40) & (screen.drug_index != 2))
    model = predictor("LPO", members=1).fit(train)
    assert model.inputs_.known_samples.tolist() == screen.samples.index[:40].tolist()
    assert model.inputs_.known_drugs.tolist() == [d for d in screen.drugs.index if d != "d02"]
    assert model.drugs_.index.tolist() == model.inputs_.known_drugs.tolist()
    assert (model.n_pairs_, model.n_samples_) == (len(train), 40)
    assert np.isfinite(model.predict(screen)).all()


# --- randomness --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("split", ["LPO", "LCO", "LDO"])
def test_the_seed_decides_everything(fitted, screen, split):
    train, new = parted(screen, split)
    again = predictor(split).fit(train)
    np.testing.assert_array_equal(again.predict_members(new), fitted[split].predict_members(new))
    pd.testing.assert_frame_equal(untimed(again), untimed(fitted[split]), check_exact=True)
    other = predictor(split, seed=1).fit(train)
    assert (other.history_["train_loss"] != fitted[split].history_["train_loss"]).all()


def test_fit_and_predict_leave_the_global_generators_alone(screen):
    def state() -> tuple[bytes, bytes]:
        return torch.get_rng_state().numpy().tobytes(), np.random.get_state()[1].tobytes()  # noqa: NPY002

    before = state()
    model = predictor(members=1).fit(screen)
    model.predict(screen)
    assert state() == before
    with torch.random.fork_rng():
        torch.manual_seed(99)
        np.testing.assert_array_equal(predictor(members=1).fit(screen).predict(screen), model.predict(screen))


def test_prediction_is_the_mean_of_members_that_differ(fitted, screen, tmp_path):
    model = ResponsePredictor.load(fitted["LPO"].save(tmp_path / "bundle"))
    model.share_ = 1.0  # so hurried a fit confirms nothing
    members = model.predict_members(screen)
    assert members.shape == (2, len(screen))
    assert members.std(axis=0).mean() > 1e-4
    np.testing.assert_allclose(model.predict(screen), members.mean(axis=0))


def test_members_differ_even_on_the_same_rows(screen, monkeypatch):
    parts = split_off(screen, "LCO", seed=0)
    monkeypatch.setattr(ResponsePredictor, "_parts", lambda *_: parts)
    losses = predictor().fit(screen).history_.pivot(index="epoch", columns="member", values="train_loss")
    assert (losses[0] != losses[1]).all()


def test_history_tells_every_epoch_of_every_member(screen):
    heard: list[tuple[int, Epoch]] = []
    model = predictor().fit(screen, on_epoch=lambda member, epoch, of: heard.append((member, epoch)))
    assert model.history_.columns.tolist() == [
        "member", "epoch", "train_loss", "validation_loss", "learning_rate", "seconds",
    ]  # fmt: skip
    assert [(m, e.epoch) for m, e in heard] == list(zip(model.history_["member"], model.history_["epoch"], strict=True))
    assert [e.validation_loss for _, e in heard] == model.history_["validation_loss"].tolist()
    assert set(model.history_["member"]) == {0, 1}


# --- stopped and killed ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("member", "epoch"), [(0, 1), (1, 0), (1, 3)])
def test_a_stopped_fit_ends_as_one_that_was_not(fitted, screen, tmp_path, member, epoch):
    train, new = parted(screen, "LPO")

    def stop(number: int, done: Epoch, of: int) -> None:
        if (number, done.epoch) == (member, epoch):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predictor("LPO").fit(train, checkpoint=tmp_path, on_epoch=stop)
    heard: list[tuple[int, int]] = []
    resumed = predictor("LPO").fit(train, checkpoint=tmp_path, on_epoch=lambda m, e, of: heard.append((m, e.epoch)))
    assert heard == [(m, e) for m in (0, 1) for e in range(4) if (m, e) > (member, epoch)]
    np.testing.assert_array_equal(resumed.predict_members(new), fitted["LPO"].predict_members(new))
    pd.testing.assert_frame_equal(untimed(resumed), untimed(fitted["LPO"]), check_exact=True)


KILLED = """
    import runpy, sys, time
    from pathlib import Path
    from cellixir.response.network.architecture import Architecture
    from cellixir.response.network.predictor import ResponsePredictor
    from cellixir.training import TrainingConfig
    screen = runpy.run_path(sys.argv[1])["simulate"]()
    architecture, training = Architecture(**{architecture}), TrainingConfig(**{training})
    model = ResponsePredictor("LCO", architecture=architecture, training=training, members=2, device="cpu")
    model.fit(screen, checkpoint=Path(sys.argv[2]), on_epoch=lambda member, epoch, of: time.sleep(0.5))
    Path(sys.argv[2], "finished").touch()
"""


def test_a_killed_process_goes_on_where_it_was(screen, tmp_path):
    script = tmp_path / "fit.py"
    settings = replace(SHORT, max_epochs=12, patience=12)
    text = KILLED.replace("{architecture}", repr(vars(SMALL))).replace("{training}", repr(vars(settings)))
    script.write_text(textwrap.dedent(text))
    folder = tmp_path / "checkpoint"
    command = [sys.executable, str(script), str(Path(__file__).parents[1] / "conftest.py"), str(folder)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    try:
        until = time.monotonic() + 60
        while not (folder / "member-0.safetensors").exists():
            assert process.poll() is None, process.stderr.read().decode()
            assert time.monotonic() < until
            time.sleep(0.01)
        time.sleep(0.7)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not (folder / "finished").exists()
    heard: list[tuple[int, int]] = []
    resumed = predictor(training=settings).fit(
        screen, checkpoint=folder, on_epoch=lambda m, e, of: heard.append((m, e.epoch))
    )
    assert (0, 0) not in heard
    assert 0 < len(heard) < 24
    straight = predictor(training=settings).fit(screen)
    np.testing.assert_array_equal(resumed.predict_members(screen), straight.predict_members(screen))
    pd.testing.assert_frame_equal(untimed(resumed), untimed(straight), check_exact=True)


@pytest.mark.parametrize("what", ["seed", "training", "data", "split"])
def test_checkpoints_of_another_fit_are_refused(screen, tmp_path, what):
    predictor("LCO").fit(screen, checkpoint=tmp_path)
    other = {
        "seed": (predictor("LCO", seed=1), screen),
        "training": (predictor("LCO", training=replace(SHORT, learning_rate=1e-3)), screen),
        "data": (predictor("LCO"), screen.take(np.arange(600))),
        "split": (predictor("LTO"), screen),
    }
    model, data = other[what]
    with pytest.raises(ConfigurationError, match=r"member-0\.safetensors belongs to a run with other settings"):
        model.fit(data, checkpoint=tmp_path)


def test_checkpoints_of_a_fit_with_other_validation_rows_are_refused(screen, tmp_path):
    predictor().fit(screen, validation=np.arange(100), checkpoint=tmp_path)
    with pytest.raises(ConfigurationError, match=r"member-0\.safetensors"):
        predictor().fit(screen, validation=np.arange(300, 400), checkpoint=tmp_path)


def test_a_broken_checkpoint_is_named(screen, tmp_path):
    (tmp_path / "member-0.safetensors").write_bytes(b"half")
    with pytest.raises(BundleError, match=r"member-0\.safetensors is not a checkpoint"):
        predictor().fit(screen, checkpoint=tmp_path)


# --- bundles -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("split", ["LPO", "LCO", "LDO", "LTO"])
def test_a_bundle_predicts_the_same_to_the_bit(fitted, screen, tmp_path, split):
    model = fitted[split]
    folder = model.save(tmp_path / "bundle")
    assert sorted(p.name for p in folder.iterdir()) == ["card.md", "model.json", "weights.safetensors"]
    assert all(not p.read_bytes().startswith((b"\x80", b"PK")) for p in folder.iterdir())
    loaded = ResponsePredictor.load(folder)
    np.testing.assert_array_equal(loaded.predict_members(screen), model.predict_members(screen))
    assert (loaded.split, loaded.seed, loaded.preset) == (split, 0, model.preset)
    assert (loaded.measure_, loaded.unit_, loaded.fingerprint_) == ("LN_IC50", "ln µM", model.fingerprint_)
    pd.testing.assert_frame_equal(loaded.history_, model.history_, check_exact=True)
    pd.testing.assert_frame_equal(rank_all(loaded, screen), rank_all(model, screen), check_exact=True)
    assert loaded.card() == model.card()


def test_a_bundle_of_a_bundle_is_the_bundle(fitted, tmp_path):
    first = fitted["LCO"].save(tmp_path / "one")
    second = ResponsePredictor.load(first).save(tmp_path / "two")
    for name in ("card.md", "model.json", "weights.safetensors"):
        assert (first / name).read_bytes() == (second / name).read_bytes()


def attributes(stored: dict[str, Any]) -> dict[str, Any]:
    """Attributes of an object in model.json."""
    return dict(pair["tuple"] for pair in stored["object"][1])


def drop_a_drug(folder: Path) -> None:
    facts = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    attributes(facts["learned"]["inputs_"])["known_drugs"]["index"][0].pop()
    (folder / "model.json").write_text(json.dumps(facts), encoding="utf-8")


def name_a_group_twice(folder: Path) -> None:
    facts = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    groups = attributes(facts["learned"]["conformal_"])["groups"]["tuple"]
    groups[0] = groups[1]
    (folder / "model.json").write_text(json.dumps(facts), encoding="utf-8")


BREAKS: dict[str, Callable[[Path], object]] = {
    "weights cut off": lambda f: os.truncate(f / "weights.safetensors", (f / "weights.safetensors").stat().st_size - 4),
    "weights missing": lambda f: (f / "weights.safetensors").unlink(),
    "facts missing": lambda f: (f / "model.json").unlink(),
    "facts cut off": lambda f: os.truncate(f / "model.json", 1000),
    "other class": lambda f: (f / "model.json").write_text('{"class": "Imputer", "format": 1}'),
    "facts of another model": drop_a_drug,
    "a group twice": name_a_group_twice,
}


@pytest.mark.parametrize("how", BREAKS)
def test_a_broken_bundle_is_refused(fitted, tmp_path, how):
    folder = fitted["LCO"].save(tmp_path / "bundle")
    BREAKS[how](folder)
    with pytest.raises(BundleError, match="bundle"):
        ResponsePredictor.load(folder)


def test_effects_that_do_not_fit_their_ids_are_a_broken_bundle(fitted, tmp_path):
    folder = fitted["LCO"].save(tmp_path / "bundle")
    facts = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    effects = attributes(attributes(facts["learned"]["wide_"])["effects"])
    effects["drug"]["series"][1]["index"][0].pop()
    (folder / "model.json").write_text(json.dumps(facts), encoding="utf-8")
    with pytest.raises(BundleError, match="bundle"):
        ResponsePredictor.load(folder)


def test_other_peoples_files_are_not_overwritten(fitted, tmp_path):
    (tmp_path / "thesis.tex").write_text("ten months")
    with pytest.raises(BundleError, match="holds other things than a bundle"):
        fitted["LCO"].save(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_numeric_ids_are_refused_for_they_come_back_as_text(screen):
    number = {d: j for j, d in enumerate(screen.drugs.index)}
    with pytest.raises(InvalidValues, match=r"drug ids must be text, not int .*astype\(str\)"):
        ResponseData(
            screen.responses.assign(drug=screen.responses["drug"].map(number)),
            screen.omics,
            screen.samples,
            screen.drugs.set_axis(list(number.values())),
        )


def test_card_says_what_the_model_is(fitted):
    card = fitted["LCO"].card()
    for words in (
        "LCO",
        "LN_IC50 (ln µM)",
        "12 drugs",
        "mutations (12 features)",
        "tissue",
        fitted["LCO"].fingerprint_,
    ):
        assert words in card
    assert "nan" not in card


# --- ranking -----------------------------------------------------------------------------------------------------


def rank_all(model: ResponsePredictor, data: ResponseData) -> pd.DataFrame:
    return rank(model, data.views, samples=data.samples)


def test_ranking_is_every_sample_with_every_drug(fitted, screen):
    table = rank_all(fitted["LCO"], screen)
    numbers = ["predicted", "ic50_uM", "low", "high", "typical_error", "in_domain", "missing_share", "drug_mean",
               "difference", "percentile", "predictability", "rank", "rank_difference"]  # fmt: skip
    np.testing.assert_allclose(np.log(table["ic50_uM"]), table["predicted"])
    assert table.columns.tolist() == ["sample", "drug", "drug_name", *numbers]
    assert ((table["low"] < table["predicted"]) & (table["predicted"] < table["high"])).all()
    assert len(table) == 60 * 12
    assert table["sample"].drop_duplicates().tolist() == screen.samples.index.tolist()
    for _, block in table.groupby("sample"):
        assert block["rank"].tolist() == list(range(1, 13))
        assert block["predicted"].is_monotonic_increasing
    assert (table["drug_name"] == screen.drugs["name"].reindex(table["drug"]).to_numpy()).all()
    members = fitted["LCO"].predict_members(screen)
    expected = screen.responses[["sample", "drug"]].assign(mean=members.mean(axis=0))
    both = expected.merge(table, on=["sample", "drug"])
    assert len(both) == len(screen)
    np.testing.assert_allclose(both["predicted"], both["mean"], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(both["typical_error"], fitted["LCO"].typical_error(screen), rtol=1e-12)


def test_a_fit_of_labels_tells_a_probability_the_highest_first(screen):
    train, new = parted(screen, "LCO")
    model = predictor(training=LONG, members=1).fit(labelled(train, "zscore=-0.5"), allow=None)
    assert (model.measure_, model.unit_) == (
        "sensitive (sensitive is below a z-score of −0.5, by the drug's mean and standard deviation in training)",
        "probability",
    )
    table = rank_all(model, screen)
    assert table[["low", "predicted", "high"]].stack().between(0, 1).all()
    assert "ic50_uM" not in table
    assert table.groupby("sample")["predicted"].apply(lambda p: p.is_monotonic_decreasing).all()
    assert table["percentile"].isna().all()
    told = new.responses.merge(table, on=["sample", "drug"])
    truth = Labels.fit(train, "zscore=-0.5").of(new)
    assert auroc(truth, told["predicted"].to_numpy()) > 0.6


def test_drugs_that_the_model_cannot_know_are_refused(fitted, screen):
    strangers = pd.concat([screen.drugs.iloc[:2], screen.drugs.iloc[:1].set_axis(["elixir"])])
    with pytest.raises(UnknownIds, match=r"1 drugs are unknown to the model: 'elixir'.*--split LDO"):
        rank(fitted["LCO"], screen.views, drugs=strangers)
    described = rank(fitted["LDO"], screen.views, drugs=strangers, samples=screen.samples)
    assert set(described["drug"]) == {"d00", "d01", "elixir"}
    twins = described.pivot(index="sample", columns="drug", values="predicted")
    np.testing.assert_allclose(twins["elixir"], twins["d00"], rtol=1e-4)  # the same molecule under another id
    nothing_known = pd.DataFrame({"smiles": [None], "targets": ["UNHEARD"]}, index=["mystery"])
    with pytest.raises(UnknownIds, match=r"'mystery'.*SMILES"):
        rank(fitted["LDO"], screen.views, drugs=nothing_known)


def test_samples_without_the_genes_are_refused_or_filled(fitted, screen):
    narrow = screen.views["mutations"][:, 1:].copy()
    with pytest.raises(GeneMismatch, match="'GENE0'"):
        rank(fitted["LCO"], {"mutations": narrow}, samples=screen.samples)
    filled = rank(fitted["LCO"], {"mutations": narrow}, samples=screen.samples, missing="zero")
    absent = screen.views["mutations"].copy()
    absent.X[:, 0] = 0
    expected = rank(fitted["LCO"], {"mutations": absent}, samples=screen.samples)
    assert (filled["missing_share"] == 1 / 12).all()
    pd.testing.assert_frame_equal(filled.assign(missing_share=0.0), expected)
    with pytest.raises(GeneMismatch, match="'mutations'"):
        rank(fitted["LCO"], {"rna": screen.views["mutations"]})


def test_a_new_sample_may_have_genes_in_any_order_and_no_annotation(fitted, screen):
    view = screen.views["mutations"]
    order = np.random.default_rng(0).permutation(view.n_vars)
    new = ad.AnnData(view.X[:3][:, order], pd.DataFrame(index=["n1", "n2", "n3"]), view.var.iloc[order])
    plain = ad.AnnData(view.X[:3], pd.DataFrame(index=["n1", "n2", "n3"]), view.var)
    one, two = (rank(fitted["LCO"], {"mutations": v}) for v in (new, plain))
    pd.testing.assert_frame_equal(one, two)


# --- refused -----------------------------------------------------------------------------------------------------


def test_prediction_before_fit_is_refused(screen):
    with pytest.raises(NotFitted, match="this ResponsePredictor has not been fitted; call fit"):
        predictor().predict(screen)


@pytest.mark.parametrize("what", ["rank", "save", "card"])
def test_nothing_else_is_done_before_fit(screen, tmp_path, what):
    calls = {
        "rank": lambda: rank(predictor(), screen.views),
        "save": lambda: predictor().save(tmp_path / "bundle"),
        "card": lambda: predictor().card(),
    }
    with pytest.raises(NotFitted):
        calls[what]()


def test_questions_that_the_data_cannot_answer_are_refused(screen):
    bare = replace(screen, omics=None, samples=screen.samples[[]])
    for split in ("LCO", "LTO"):
        with pytest.raises(ConfigurationError, match=f"{split} predicts new samples, but the data have no features"):
            predictor(split).fit(bare)
    nameless = replace(screen, drugs=screen.drugs[["name"]])
    with pytest.raises(ConfigurationError, match="LDO predicts new drugs, but the data have no SMILES"):
        predictor("LDO").fit(nameless)
    with pytest.raises(ConfigurationError, match="no split 'LXO'"):
        predictor("LXO").fit(screen)
    only_ids = predictor("LPO", members=1).fit(replace(bare, drugs=screen.drugs[["name"]]))
    assert np.isfinite(only_ids.predict(screen)).all()


@pytest.mark.parametrize("split", ["LCO", "LTO"])
def test_data_of_one_unit_are_refused(screen, split):
    one = screen.take(screen.sample_index == 0 if split == "LCO" else screen.sample_index % 3 == 0)
    with pytest.raises(ConfigurationError):
        predictor(split).fit(one)


# --- batches -----------------------------------------------------------------------------------------------------


@pytest.fixture
def task(fitted: dict[str, ResponsePredictor], screen: ResponseData) -> PairTask:
    model = fitted["LPO"]
    pairs = model._pairs(screen, screen.response)
    return PairTask(fitted["LPO"].members_[0], pairs, pairs)


def test_batches_are_every_pair_once_in_random_order(task):
    batches = list(task.batches(SHORT, torch.Generator().manual_seed(0)))
    assert len(batches) == task.n_batches(SHORT) == 10  # 636 pairs, 64 a batch
    assert [len(b) for b in batches] == [64] * 9 + [60]
    rows = torch.cat(batches)
    assert rows.sort().values.tolist() == list(range(636))
    again = torch.cat(list(task.batches(SHORT, torch.Generator().manual_seed(0))))
    other = torch.cat(list(task.batches(SHORT, torch.Generator().manual_seed(1))))
    assert rows.tolist() == again.tolist() != other.tolist()


def test_a_block_names_each_sample_and_drug_once(task, screen):
    rows = torch.tensor([200, 3, 200, 4, 90])
    sides = task.train.block(rows)
    tables = (task.train.samples, task.train.drugs)
    for side, index, table in zip(sides, (screen.sample_index, screen.drug_index), tables, strict=True):
        assert len(side.blocks) == len(table.blocks) == side.present.shape[1] > 0
        for block, whole in zip(side.blocks, table.blocks, strict=True):
            assert len(block) == len(side.identity) == len(np.unique(index[rows]))
            torch.testing.assert_close(block[side.position], whole[index[rows]])
        assert (side.identity[side.position] == torch.from_numpy(index[rows]) + 1).all()


def test_validation_loss_is_the_mean_squared_error(task, monkeypatch):
    with torch.no_grad():
        whole = task.network(*task.validation.block(torch.arange(636)))
        expected = float((whole - task.validation.target).double().square().mean())
        monkeypatch.setattr("cellixir.response.network.pair_task.BLOCK", 100)
        assert task.validation_loss() == pytest.approx(expected, rel=1e-6)
        part = torch.arange(10, 30)
        assert float(task.loss(part)) == pytest.approx(
            float((whole[part] - task.train.target[part]).square().mean()), rel=1e-5
        )


def test_a_subset_of_pairs_shares_the_tables(task):
    rows = np.array([5, 2, 9])
    other = task.train.subset(rows)
    assert isinstance(other, Pairs)
    for name in ("sample", "drug", "target"):
        assert getattr(other, name).tolist() == getattr(task.train, name)[rows].tolist()
    assert other.samples is task.train.samples


def test_a_sample_without_values_is_flagged_and_what_helps_to_choose_is_told(fitted, screen, tmp_path):
    model = ResponsePredictor.load(fitted["LCO"].save(tmp_path / "bundle"))
    name = next(iter(screen.views))
    view = screen.views[name][:3].copy()
    values = np.asarray(view.X, dtype=np.float32).copy()
    values[0] = np.nan
    values[1, : int(0.6 * values.shape[1])] = np.nan
    view.X = values
    notes: list[str] = []
    table = rank(model, {name: view}, on_note=notes.append)
    share = table.groupby("sample")["missing_share"].first()[view.obs_names]
    assert share.tolist() == pytest.approx([1, 0.6, 0], abs=0.02)
    inside = table.groupby("sample")["in_domain"].any()[view.obs_names]
    assert inside.tolist()[:2] == [False, False]
    assert any("1 sample without any value of what the model reads" in note for note in notes)
    assert any("1 sample with values for less than half" in note for note in notes)
    means = screen.responses.groupby("drug")["response"].mean()
    np.testing.assert_allclose(table["drug_mean"], means[table["drug"]], atol=0.2)  # the fit had a part of the lines
    np.testing.assert_allclose(table["difference"], table["predicted"] - table["drug_mean"])
    assert table["percentile"].between(0, 100).all()
    for drug, numbers in fitted["LCO"].experience_.items():
        np.testing.assert_array_equal(model.experience_[drug], numbers)
