"""Pages and files of evaluations: the verdict first, every number, nothing that JSON cannot hold."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cellixir.metrics.catalogue import GENERATIVE
from cellixir.runs import RunFolder, read_manifest
from cellixir.synthesis.benchmark_report import dataset_page
from cellixir.synthesis.evaluation import COLUMNS, Evaluation
from cellixir.synthesis.evaluation_job import write_evaluation
from cellixir.synthesis.report import evaluation_page
from cellixir.synthesis.verdicts import Verdict

N = 40


def evaluation(seed: int = 0, *, groups: bool = True) -> Evaluation:
    """An evaluation with invented numbers."""
    rng = np.random.default_rng(seed)
    rows = [
        (metric, about.family, 0.5, 0.4, 0.6, 0.9, 0.8, floor, about.best, "between")
        for metric, about in GENERATIVE.items()
        for floor in [np.nan if metric == "composition" else 0.1]
    ]
    genes = pd.DataFrame({"gene": [f"G{i}" for i in range(30)]})
    for name in ("mean", "variance", "zero_fraction"):
        genes[f"{name}_real"], genes[f"{name}_synthetic"] = rng.uniform(0.1, 1, 30), rng.uniform(0.1, 1, 30)
    change = rng.normal(0, 2, 30)
    changes = pd.DataFrame(
        {"contrast": "b against a", "gene": genes["gene"], "real": change, "synthetic": 0.7 * change,
         "planted": change, "is_de": np.arange(30) < 10}
    )  # fmt: skip
    points = pd.DataFrame({"kind": np.repeat(["real", "synthetic"], N // 2), "PC1": rng.normal(size=N)})
    points["PC2"] = rng.normal(size=N)
    if groups:
        points = points.assign(group=rng.choice(["a", "b"], N), **{"t-SNE 1": points["PC1"], "t-SNE 2": points["PC2"]})
    return Evaluation(
        table=pd.DataFrame(rows, columns=COLUMNS),
        verdicts=(
            Verdict("Faithful", "partly", "Faithful: partly. Recall 0.50 (real 0.90).", ("Recall",)),
            Verdict("Useful", "yes", "Useful: yes. TSTR 0.90 (real 0.90)."),
            Verdict("Private", "no", "Private: no. Copies 1.00 (real 0.00).", ("Copies",)),
        ),
        genes=genes,
        fold_changes=changes if groups else changes.iloc[:0],
        points=points,
        facts={"training_samples": 1_234, "held_out_samples": 40, "synthetic_samples": N, "compared_samples": N,
               "genes": 30, "scale": "counts", "contrast_key": "<condition>", "seed": 1_000},
        notes=("40 samples of each kind were drawn", "the synthetic samples have no group 'c'"),
    )  # fmt: skip


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with RunFolder(tmp_path_factory.mktemp("one") / "new" / "out", "synthesize evaluate", {}) as run:
        write_evaluation(run, evaluation(), name="Of mice")
    return run.path / "report.html"


def test_the_verdict_stands_before_the_numbers(written: Path) -> None:
    page = written.read_text(encoding="utf-8")
    places = [page.index(text) for text in ("<h1", "Faithful?", "Recall 0.50 (real 0.90).", "α-precision")]
    assert places == sorted(places)
    assert "Of mice" in page
    assert "The synthetic samples have no group &#39;c&#39;." in page
    assert "&lt;condition&gt;" in page
    assert "<condition>" not in page
    assert "1,234" in page
    assert "1000" in page  # the seed as it was given


def test_every_metric_is_named_and_explained(written: Path) -> None:
    page = written.read_text(encoding="utf-8")
    for about in GENERATIVE.values():
        assert about.words in page
        assert about.meaning[:30] in page


def test_metrics_json_holds_verdicts_numbers_and_facts(written: Path) -> None:
    text = written.with_name("metrics.json").read_text(encoding="utf-8")
    found = json.loads(text, parse_constant=pytest.fail)
    assert found["verdicts"]["private"] == {"answer": "no", "sentence": "Private: no. Copies 1.00 (real 0.00)."}
    assert found["metrics"]["recall"] == {
        "family": "fidelity", "value": 0.5, "low": 0.4, "high": 0.6, "ceiling": 0.9, "ceiling_low": 0.8, "floor": 0.1,
        "best": "high", "verdict": "between",
    }  # fmt: skip
    assert found["metrics"]["composition"]["floor"] is None
    assert found["metrics"]["c2st"]["best"] == 0.5
    assert set(found["metrics"]) == set(GENERATIVE)
    assert found["facts"]["seed"] == 1_000
    manifest = read_manifest(written.parent)
    assert manifest["headline"] == "Faithful: partly. Useful: yes. Private: no."
    assert manifest["metrics"]["recall"] == 0.5
    assert manifest["pages"] == ["report.html"]


def test_numpy_numbers_among_the_facts_are_written(tmp_path: Path) -> None:
    one = evaluation()
    numbers = {**one.facts, "seed": np.int64(3), "share": np.float64(0.5)}
    with RunFolder(tmp_path, "synthesize evaluate", {}) as run:
        write_evaluation(run, Evaluation(one.table, one.verdicts, one.genes, one.fold_changes, one.points, numbers))
    facts = json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"))["facts"]
    assert (facts["seed"], facts["share"]) == (3, 0.5)


def test_effects_that_are_not_known_are_not_drawn() -> None:
    one = evaluation(groups=False)
    page = evaluation_page(one).render()
    assert "Least squares on group and batch" not in page
    assert "Principal components of real and synthetic samples." in page
    assert "t-SNE of" not in page


def test_generators_stand_side_by_side() -> None:
    history = pd.DataFrame({"epoch": [1, 2, 3], "critic_loss": [1.0, 0.5, 0.2], "diversity": [0.9, 0.1, 0.1]})
    results = {"gaussian": evaluation(1), "gan": evaluation(2)}
    histories = {"gan": history, "gaussian": pd.DataFrame()}
    page = dataset_page(results, histories).render()
    assert page.index("Held back by") < page.index("Recall ↑</td>")
    assert "faithful: Recall; private: Copies" in page
    assert page.count("Training of gan") >= 1
    assert "Training of gaussian" not in page
    row = page[page.index("Recall ↑</td>") :]
    assert row[: row.index("</tr>")].count("0.50") >= 2  # one number a generator


def test_what_one_generator_lacks_is_a_dash_or_not_drawn() -> None:
    one, other = evaluation(1), evaluation(2)
    short = Evaluation(
        other.table[other.table["family"] != "utility"], other.verdicts, other.genes,
        other.fold_changes.assign(synthetic=np.nan), other.points, other.facts,
    )  # fmt: skip
    page = dataset_page({"a": one, "b": short}, {}).render()
    row = page[page.index("TSTR ↑</td>") :]
    assert "–" in row[: row.index("</tr>")]
    assert "Log2 fold changes of a" in page
    assert "Log2 fold changes of b" not in page
