from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.metrics import f1_score, precision_score, recall_score, roc_auc_score

from cellixir.data.dealing import deal
from cellixir.exceptions import ConfigurationError, DataError, InvalidValues, Leakage
from cellixir.runs.piece import Piece
from cellixir.tables import benchmark_job as table_job
from cellixir.tables.baselines import TableGroupMean
from cellixir.tables.benchmark_job import benchmark
from cellixir.tables.features import TableFeatures
from cellixir.tables.goal import Goal
from cellixir.tables.models import chosen_models
from cellixir.tables.network import TableNetwork
from cellixir.tables.prepare import prepare, read_target_table
from cellixir.tables.scores import class_draws, macro


def planted(n: int = 240, seed: int = 0) -> pd.DataFrame:
    """A number that follows a line, a product and a category, with noise of .3."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(rng.normal(size=(n, 3)), columns=["a", "b", "c"])
    table["kind"] = rng.choice(["x", "y", "z"], n)
    table["drug"] = [f"d{i % 24}" for i in range(n)]
    table["response"] = table["a"] + table["b"] * table["c"] + table["kind"].map({"x": 0.0, "y": 2.0, "z": -2.0})
    table["response"] += 0.3 * rng.normal(size=n)
    return table


def written(folder: Path, text: str, name: str = "table.csv") -> Path:
    file = folder / name
    file.write_text(text)
    return file


# Reading and what is left out


def test_a_column_that_is_not_there_is_named_with_similar_ones(tmp_path: Path) -> None:
    file = written(tmp_path, "id,log_ic50_mean_pos,log_ic50_mean_neg\nr1,1.5,2\nr2,2.5,3\n")
    with pytest.raises(ConfigurationError, match=r"no column 'LOG_IC50_mean'; did you mean 'log_ic50_mean_"):
        read_target_table(file, "LOG_IC50_mean")


def test_the_first_column_is_a_number_when_it_holds_nothing_else(tmp_path: Path) -> None:
    table = read_target_table(written(tmp_path, "age,name,target\n1.5,a,1\n2.5,b,2\n"), "target")
    assert table["age"].tolist() == [1.5, 2.5]
    assert table["name"].tolist() == ["a", "b"]


@pytest.mark.parametrize("text", ["", "a,b\n", "a,target\n1,2\n3\n"], ids=["empty", "no rows", "cut off"])
def test_a_broken_file_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(DataError, match=r"table\.csv"):
        read_target_table(written(tmp_path, text), "target")


def test_what_cannot_be_used_is_counted_with_its_reason() -> None:
    table = planted(60).assign(
        barcode=[f"s{i}" for i in range(60)],
        number=np.arange(60) + 7,
        empty=np.nan,
        same="one",
        day=pd.date_range("2020-01-01", periods=60),
    )
    table.loc[:4, "response"] = np.nan
    table.loc[5, "response"] = np.inf
    data = prepare(table, "response", drop=["c"])
    out = data.excluded.set_index("reason")
    assert list(data.table.columns) == ["a", "b", "kind", "drug"]
    assert len(data.y) == 54
    assert data.table.index[0] == 6
    assert out.loc["no target, or an infinite one", "n"] == 6
    assert out["names"].to_dict() == {
        "no target, or an infinite one": "",
        "dropped by name": "'c'",
        "names of rows: nearly as many texts as rows": "'barcode'",
        "numbers of rows: every row has a whole number of its own": "'number'",
        "no value in any row that is used": "'empty'",
        "one value in all rows": "'same'",
        "dates: give a number of days or years instead": "'day'",
    }


def test_a_class_with_one_member_is_left_out_and_counted() -> None:
    table = planted(30).drop(columns="drug").assign(response=["r", "s"] * 14 + ["s", "lonely"])
    data = prepare(table, "response")
    assert data.goal == Goal("classification", ("r", "s"))
    assert data.excluded.to_dict("records") == [
        {"what": "rows", "reason": "the only member of its class", "n": 1, "names": "'lonely'"}
    ]


@pytest.mark.parametrize(
    ("values", "task", "classes"),
    [
        ([0.5, 1.5, 2.25], "auto", ()),
        ([0, 1, 1], "auto", ("0", "1")),
        ([True, False, True], "auto", ("False", "True")),
        ([10, 9, 100], "classification", ("9", "10", "100")),
        ([0, 1, 1], "regression", ()),
    ],
)
def test_the_task_follows_the_target(values: list[float], task: str, classes: tuple[str, ...]) -> None:
    table = pd.DataFrame({"a": np.arange(12.0) ** 1.5, "y": values * 4})
    assert prepare(table, "y", task=task).goal.classes == classes  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "options", "says"),
    [
        ({"response": np.nan}, {}, "is missing everywhere"),
        ({"response": 1.0}, {}, r"is 1\.0 in each row"),
        ({"response": [f"t{i}" for i in range(30)]}, {}, "0 classes with two members"),
        ({"response": ["1"] * 29 + ["high"]}, {"task": "regression"}, "not a number: 'high' in row 30 .1 such"),
        ({}, {"drop": ["a", "b", "c", "kind", "drug"]}, "no column is left"),
        ({}, {"task": "ranking"}, "no task 'ranking'"),
        ({}, {"drop": ["respons"]}, "did you mean 'response'"),
        ({}, {"group": "response"}, "'response' is named twice"),
    ],
)
def test_a_target_or_option_that_cannot_work_is_named(
    change: dict[str, object], options: dict[str, object], says: str
) -> None:
    with pytest.raises((InvalidValues, ConfigurationError), match=says):
        prepare(planted(30).assign(**change), "response", **options)  # type: ignore[arg-type]


def test_words_among_numbers_are_said() -> None:
    table = planted(30).assign(dose=[str(i / 4) for i in range(10)] * 2 + ["<0.1"] * 10)
    data = prepare(table, "response")
    assert any("'dose' holds words among numbers ('<0.1')" in note for note in data.notes)


# Folds


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 6), st.integers(0, 5), st.integers(12, 80), st.booleans(), st.booleans())
def test_folds_are_even_and_keep_groups_together(k: int, seed: int, n: int, grouped: bool, classes: bool) -> None:
    groups = np.arange(n) % 12 if grouped else None
    strata = (np.arange(n) * 7 % 3).astype(np.int64) if classes else None
    fold = deal(n, k, seed, strata=strata, groups=groups, even=True)
    sizes = np.bincount(fold, minlength=k)
    assert sizes.max() - sizes.min() <= (1 if groups is None else 2 * (-(-n // 12)))
    if groups is not None:
        assert all(len(set(fold[groups == g])) == 1 for g in range(12))
    elif strata is not None:
        counts = np.array([np.bincount(fold[strata == s], minlength=k) for s in range(3)])
        assert (counts.max(axis=1) - counts.min(axis=1) <= 1).all()


# Features and models


def test_features_are_learned_from_training_rows_only() -> None:
    train = pd.DataFrame({"n": [1.0, 3.0, np.nan, 2.0], "w": ["a", "a", "b", "b"]})
    features = TableFeatures(Goal("regression")).fit(train, np.arange(4.0))
    assert features.names_ == ["n", "w_a", "w_b"]
    x = features.transform(pd.DataFrame({"n": [np.nan, 1e9], "w": ["never seen", "a"]}))
    assert x[0].tolist() == pytest.approx([0.0, 0.0, 0.0])  # the training mean, and no level
    seen = features.transform(train)[:, 0]
    assert x[1, 0] == pytest.approx(seen.max() + (seen.max() - seen.min()) / 2)  # far outside: held back


def test_rare_levels_share_a_column() -> None:
    words = [f"level{i % 50}" for i in range(500)] + [f"once{i}" for i in range(20)]
    features = TableFeatures(Goal("regression")).fit(pd.DataFrame({"w": words}), np.arange(520.0))
    assert len(features.names_) == 30


def test_group_mean_finds_the_column_and_shrinks() -> None:
    table = pd.DataFrame({"noise": ["p", "q"] * 30, "drug": np.repeat([1.0, 2.0, 3.0], 20)})
    y = np.repeat([0.0, 3.0, 6.0], 20)
    model = TableGroupMean().fit(table, y)
    assert model.column_ == "drug"
    new = pd.DataFrame({"noise": ["p", "p"], "drug": [3.0, 99.0]})
    assert model.predict(new) == pytest.approx([(120 + 3) / 21, 3.0])


def test_group_mean_of_noise_is_the_mean_of_all() -> None:
    rng = np.random.default_rng(1)
    table = pd.DataFrame({"w": rng.choice(list("abcdefghij"), 60)})
    y = rng.normal(size=60)
    model = TableGroupMean().fit(table, y)
    assert model.column_ is None
    assert model.predict(table) == pytest.approx(np.full(60, y.mean()))


def test_the_network_learns_a_planted_signal_and_repeats_itself() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 4)).astype(np.float32)
    y = 5 + 3 * x[:, 0] * (x[:, 1] > 0)
    told = [TableNetwork(seed=3).fit(x[:300], y[:300].astype(np.float64)).predict(x[300:]) for _ in range(2)]
    assert (told[0] == told[1]).all()
    assert np.mean((told[0] - y[300:]) ** 2) < 0.35 * np.var(y[300:])


def test_models_of_another_task_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="no model 'logistic' for a regression"):
        chosen_models(["logistic"], "regression")
    assert chosen_models(["ridge"], "regression") == ["mean", "group_mean", "ridge"]


# Scores


def test_scores_of_three_classes_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 90)
    p = rng.dirichlet(np.ones(3), 90) * 0.7 + 0.3 * np.eye(3)[y]
    found = {name: float(v[0]) for name, v in class_draws(y.astype(float), p, np.arange(90)).items()}
    called = p.argmax(axis=1)
    assert found["auroc"] == pytest.approx(roc_auc_score(y, p, multi_class="ovr", average="macro"))
    assert found["precision"] == pytest.approx(precision_score(y, called, average="macro"))
    assert found["recall"] == pytest.approx(recall_score(y, called, average="macro"))
    assert found["f1"] == pytest.approx(f1_score(y, called, average="macro"))
    assert found["brier"] == pytest.approx(np.square(p - np.eye(3)[y]).sum(axis=1).mean())


def test_a_class_without_rows_does_not_count_and_one_never_called_has_no_precision() -> None:
    counts = np.array([[4.0, 0, 0], [2, 0, 0], [0, 0, 0]])
    assert macro(counts) == pytest.approx((4 / 6, 0.5, (4 / 6) / 2, 0.5, (8 / 10) / 2))


def test_draws_of_a_constant_guess_say_nothing() -> None:
    y = np.tile([0.0, 1.0, 2.0], 10)
    drawn = class_draws(y, np.full((30, 3), 1 / 3), np.arange(30), n=20)
    assert drawn["auroc"] == pytest.approx(np.full(21, 0.5))


# The whole


def test_a_regression_beats_the_naive_baseline_and_writes_everything(tmp_path: Path) -> None:
    table = planted()
    table.loc[::9, "b"] = np.nan
    result = benchmark(table, "response", tmp_path / "out", models=["hist_gradient_boosting"], interval=0.9)
    best = result.overall.iloc[0]
    assert best["model"] == "hist_gradient_boosting"
    assert best["reference"] == "group_mean"
    assert best["difference_high"] < 0
    assert best["covered"] == pytest.approx(0.9, abs=0.05)
    assert "lower than the" in result.headline
    names = {"leaderboard.csv", "overall.csv", "histories.csv", "predictions.parquet", "audit.json", "report.html"}
    assert names <= {file.name for file in (tmp_path / "out").iterdir()}
    long = pd.read_parquet(tmp_path / "out" / "predictions.parquet")
    assert len(long) == 3 * len(table)
    one = long[long["model"] == "hist_gradient_boosting"].set_index("row").sort_index()
    assert one["observed"].to_numpy() == pytest.approx(table["response"].to_numpy())
    assert float(np.sqrt(np.mean((one["observed"] - one["predicted"]) ** 2))) == pytest.approx(best["rmse"])
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Rows and columns" in page
    assert "values are missing" in page


def test_nothing_to_learn_is_said(tmp_path: Path) -> None:
    table = planted(80).assign(response=np.random.default_rng(5).normal(size=80))
    result = benchmark(table, "response", tmp_path / "out", models=["hist_gradient_boosting"])
    assert result.headline.startswith("No model beats the naive baseline")


def test_folds_of_one_class_have_no_area_and_the_page_says_so(tmp_path: Path) -> None:
    table = planted(40).assign(response=["r"] * 20 + ["s"] * 20, place=np.repeat(list("abcd"), 10)).drop(columns="drug")
    result = benchmark(table, "response", tmp_path / "out", models=["logistic"], group="place", n_folds=4)
    assert result.headline.startswith("No model has an AUROC for response")
    assert (tmp_path / "out" / "report.html").is_file()


def test_groups_stay_together_and_are_no_feature(tmp_path: Path) -> None:
    table = planted()
    table["response"] = table["drug"].map(dict.fromkeys(table["drug"], 0.0)) + table["drug"].str[1:].astype(float)
    result = benchmark(table, "response", tmp_path / "out", models=["ridge"], group="drug")
    long = pd.read_parquet(tmp_path / "out" / "predictions.parquet")
    assert (long.groupby("group")["fold"].nunique() == 1).all()
    assert result.overall["r2"].max() < 0.1  # nothing but the drug tells, and no drug is known


def test_a_pair_of_columns_is_kept_together() -> None:
    table = planted(60).assign(a=["x", "y"] * 30, b=["y", "x"] * 30, c=list("pqrstu") * 10)
    prepared = prepare(table, "response", group="a + c")
    assert prepared.groups is not None
    assert set(prepared.groups) == {"p + x", "q + y", "r + x", "s + y", "t + x", "u + y"}
    assert "a + c" not in prepared.table
    turned = prepare(table, "response", group="a+b").groups
    assert turned is not None
    assert set(turned) == {"x + y"}


def test_folds_that_are_given_are_used_and_checked(tmp_path: Path) -> None:
    table = planted()
    table["own"] = np.where(np.arange(240) % 24 < 9, "one", "two")
    table.loc[:4, "own"] = None
    result = benchmark(table, "response", tmp_path / "out", models=["ridge"], fold="own", group="drug", n_folds=5)
    told = pd.read_parquet(tmp_path / "out" / "predictions.parquet")
    assert told.groupby("row")["fold"].first().tolist() == [int(own == "two") for own in table["own"].dropna()]
    assert result.excluded.set_index("reason").loc["no fold", "n"] == 5
    table.loc[30, "own"] = "two"
    with pytest.raises(Leakage, match="1 of 24 values of 'drug' stand in several folds of 'own' \\('d6'\\)"):
        benchmark(table, "response", tmp_path / "parted", models=["ridge"], fold="own", group="drug")


def test_classes_are_told_apart(tmp_path: Path) -> None:
    cancer = load_breast_cancer(as_frame=True)
    table = cancer.data.iloc[:, :10].assign(diagnosis=cancer.target_names[cancer.target])
    result = benchmark(table, "diagnosis", tmp_path / "out", models=["logistic"], n_folds=3)
    best = result.overall.iloc[0]
    assert result.task == "classification"
    assert best["model"] == "logistic"
    assert best["auroc"] > 0.97
    assert result.overall.set_index("model").loc["majority", "auroc"] == pytest.approx(0.5)
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Confusion matrix" in page
    assert "those of 'malignant'" in page.replace("&#39;", "'")


def test_several_classes_and_the_network(tmp_path: Path) -> None:
    wine = load_wine(as_frame=True)
    table = wine.data.assign(cultivar=wine.target_names[wine.target])
    result = benchmark(table, "cultivar", tmp_path / "out", models=["network"], n_folds=2)
    assert result.overall.iloc[0]["model"] == "network"
    assert result.overall.iloc[0]["f1"] > 0.9
    long = pd.read_parquet(tmp_path / "out" / "predictions.parquet")
    total = long.filter(like="probability_").sum(axis=1)
    assert total.to_numpy() == pytest.approx(np.ones(len(total)))


def test_a_leak_stops_the_run_until_it_is_dropped_or_allowed(tmp_path: Path) -> None:
    table = planted(120)
    table["delta"] = table["response"] - table["a"]
    with pytest.raises(Leakage, match="response = a \\+ delta") as raised:
        benchmark(table, "response", tmp_path / "out", models=["ridge"])
    assert raised.value.exit_code == 3
    assert json.loads((tmp_path / "out" / "audit.json").read_text())["leaks"] == 1
    assert not (tmp_path / "out" / "pieces").exists()
    allowed = benchmark(table, "response", tmp_path / "out", models=["ridge"], allow=["rebuild"])
    assert allowed.overall.iloc[0]["rmse"] < 0.05
    assert "allowed leak" in (tmp_path / "out" / "report.html").read_text()
    dropped = benchmark(table, "response", tmp_path / "other", models=["ridge"], drop=["delta"])
    assert dropped.overall.iloc[0]["rmse"] > 0.3


def test_a_run_that_was_stopped_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table, options = planted(90), {"models": ["ridge"], "n_folds": 3}
    whole = benchmark(table, "response", tmp_path / "whole", **options)  # type: ignore[arg-type]
    work = Piece.run
    done: list[Path] = []
    again: list[Path] = []

    def killed(piece: Piece, folder: Path, *rest: object) -> object:
        if len(done) == 4:
            raise KeyboardInterrupt
        done.append(piece.place(folder))
        return work(piece, folder, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Piece, "run", killed)
    with pytest.raises(KeyboardInterrupt):
        benchmark(table, "response", tmp_path / "out", **options)  # type: ignore[arg-type]
    (done[0] / "piece.json").write_text("{")  # cut off as it was written

    def counted(piece: Piece, folder: Path, *rest: object) -> object:
        again.append(piece.place(folder))
        return work(piece, folder, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Piece, "run", counted)
    resumed = benchmark(table, "response", tmp_path / "out", **options)  # type: ignore[arg-type]
    assert len(again) == 9 - 4 + 1
    clock = ["seconds"]
    pd.testing.assert_frame_equal(resumed.overall.drop(columns=clock), whole.overall.drop(columns=clock))


def test_a_model_that_raises_loses_no_other_and_an_upgrade_does_all_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, options = planted(60), {"models": ["ridge"], "n_folds": 2}
    first = benchmark(table, "response", tmp_path, **options)  # type: ignore[arg-type]

    fitted = table_job._fitted

    def broken(judging: object, name: str, *rest: object) -> object:
        if name == "ridge":
            message = "does not work"
            raise ValueError(message)
        return fitted(judging, name, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(table_job, "_fitted", broken)
    same = benchmark(table, "response", tmp_path, **options)  # type: ignore[arg-type]
    pd.testing.assert_frame_equal(same.overall, first.overall)  # finished with this version: read
    monkeypatch.setattr("cellixir.runs.piece.__version__", "99.0")
    result = benchmark(table, "response", tmp_path, **options)  # type: ignore[arg-type]
    assert list(result.failures["error"]) == ["ValueError: does not work"] * 2
    assert set(result.overall["model"]) == {"mean", "group_mean"}
    assert "ridge" not in set(pd.read_csv(tmp_path / "leaderboard.csv")["model"])
    assert "does not work" in (tmp_path / "report.html").read_text()


def test_a_model_is_added_to_what_is_there(tmp_path: Path) -> None:
    table = planted(60)
    benchmark(table, "response", tmp_path, models=["ridge"], n_folds=2)
    again = benchmark(table, "response", tmp_path, models=["random_forest"], n_folds=2)
    assert set(again.overall["model"]) == {"mean", "group_mean", "ridge", "random_forest"}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"n_folds": 1}, "take 2 to 60 folds"),
        ({"n_folds": 61}, "60 rows cannot be dealt into 61 folds"),
        ({"group": "drug", "n_folds": 25}, "24 groups cannot be dealt into 25"),
        ({"models": ["svm"]}, "no model 'svm'"),
        ({"preprocess": "log"}, "no preprocessing step 'log'"),
        ({"preprocess": "mutation:standard"}, "view 'mutation', which is not there"),
        ({"interval": 1.5}, "1.5"),
        ({"allow": ["everything"]}, "names no kind of finding"),
        ({"interval": 0.9, "task": "classification"}, "2 to 50 can be told apart"),
    ],
)
def test_an_option_that_cannot_work_leaves_nothing_behind(
    tmp_path: Path, options: dict[str, object], says: str
) -> None:
    with pytest.raises((ConfigurationError, InvalidValues), match=says):
        benchmark(planted(60), "response", tmp_path / "out", **options)  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


def test_a_folder_of_another_benchmark_or_of_other_things_is_refused(tmp_path: Path) -> None:
    table = planted(60)
    benchmark(table, "response", tmp_path / "out", models=["ridge"], n_folds=2)
    with pytest.raises(ConfigurationError, match="another table"):
        benchmark(table, "a", tmp_path / "out", models=["ridge"], n_folds=2)
    (tmp_path / "mine").mkdir()
    written(tmp_path / "mine", "precious", "notes.txt")
    with pytest.raises(ConfigurationError, match="holds other things"):
        benchmark(table, "response", tmp_path / "mine", models=["ridge"], n_folds=2)


@pytest.mark.real_data
def test_the_published_columns_leak_and_what_is_left_is_judged(data_dir: Path, tmp_path: Path) -> None:
    from cellixir.data.omics import read_view
    from cellixir.data.responses import read_responses
    from cellixir.response.association import anova
    from cellixir.response.association.table import write_table

    responses = read_responses(data_dir / "IC50_10drugs.tsv")
    features = read_view(data_dir / "genomic_features_10drugs.tsv.gz")
    write_table(anova(responses.pairs, features).table, tmp_path / "anova.csv")
    table = read_target_table(tmp_path / "anova.csv", "log_ic50_mean_pos")
    with pytest.raises(Leakage, match=r"log_ic50_mean_pos = log_ic50_mean_neg \+ feature_delta_mean_ic50"):
        benchmark(table, "log_ic50_mean_pos", tmp_path / "out")
    drop = ["feature_delta_mean_ic50", "ic50_effect_size", "feature_ic50_t_pval"]
    result = benchmark(table, "log_ic50_mean_pos", tmp_path / "out2", drop=drop, models=["random_forest"])
    scores = result.overall.set_index("model")["rmse"]
    assert scores["group_mean"] == pytest.approx(0.437, abs=0.02)
    assert scores["random_forest"] == pytest.approx(0.334, abs=0.04)
