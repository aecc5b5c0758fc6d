"""Comparison of experiments: what the file may say, what is fitted again, what is said of the losses."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from cellixir.embedding.comparing import compare
from cellixir.embedding.comparison import METRICS, headline
from cellixir.embedding.experiments import EXAMPLE, read_experiments
from cellixir.embedding.held_out import held_out, stability
from cellixir.embedding.maps import tsne
from cellixir.embedding.vae import VAE
from cellixir.exceptions import ConfigurationError, ReadError, UnknownIds
from cellixir.runs import read_manifest


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


def toml(folder: Path, text: str) -> Path:
    file = folder / "experiments.toml"
    file.write_text(text)
    return file


def test_defaults_are_filled_in_and_short_names_are_long(tmp_path: Path) -> None:
    found = read_experiments(toml(tmp_path, "[defaults]\nlatent=4\n[experiment.a]\nlayers=2\n[experiment.b]\nlatent=3"))
    assert found == {"a": {"latent": 4, "n_layers": 2}, "b": {"latent": 3}}


def test_the_example_is_read(tmp_path: Path) -> None:
    assert read_experiments(toml(tmp_path, EXAMPLE))["wide"]["learning_rate"] == 0.001


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[experiment.a]\nhiden=3", "experiment 'a', key 'hiden'.*did you mean 'hidden'"),
        ("[experiment.a]\nlatent=0", "experiment 'a', key 'latent'.*not 0"),
        ("[experiment.a]\nlatent='5'", "key 'latent'.*whole number"),
        ("[defaults]\nhidden=true\n[experiment.a]\n", r"\[defaults\], key 'hidden'"),
        ("[experiment.a]\nlikelihood='poisson'", "key 'likelihood'.*not 'poisson'"),
        ("[experiment.a]\nlabel_key='type'", "same for all experiments.*--label-key"),
        ("[experiments.a]\nlatent=3", "'experiments' stands beside"),
        ("[defaults]\nlatent=3", "names no experiment"),
        ("[experiment]\nlatent=3", "names no experiment"),
        ("[[experiment]]\nlatent=3", r"write \[experiment.NAME\] for each"),
        ('[experiment."../a"]\nlatent=3', "cannot name an experiment"),
    ],
)
def test_a_file_that_cannot_work_is_refused_with_its_key(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        read_experiments(toml(tmp_path, text))


@pytest.mark.parametrize("text", ["latent = ", "\x00"])
def test_what_is_not_toml_is_a_read_error(tmp_path: Path, text: str) -> None:
    with pytest.raises(ReadError, match="cannot be read as TOML"):
        read_experiments(toml(tmp_path, text))
    with pytest.raises(ReadError, match="No such file"):
        read_experiments(tmp_path / "none.toml")


def test_patients_are_held_out_whole() -> None:
    cells = cells_of_types()
    train, test = held_out(cells, "type", "patient", 0)
    patients = cells.obs["patient"].to_numpy()
    assert not set(patients[train]) & set(patients[test])
    assert sorted([*train, *test]) == list(range(90))


def test_a_fifth_of_each_type_is_held_out() -> None:
    cells = cells_of_types()
    assert cells.obs["type"].iloc[held_out(cells, "type", None, 0)[1]].value_counts().tolist() == [6, 6, 6]


def test_stability_of_a_loss() -> None:
    falling = np.linspace(10, 1, 100)
    spread, converged = stability(falling)
    assert spread == pytest.approx(9 * 9 / 99)
    assert not converged
    assert stability(np.array([3.0]))[1] is False  # one epoch tells nothing
    assert stability(np.r_[falling, np.full(40, 1.0)])[1] is True
    assert stability(np.r_[np.full(90, 5.0), np.linspace(5, 6, 10)])[0] == pytest.approx(1)


def test_lower_bounds_of_different_likelihoods_are_not_ranked() -> None:
    table = pd.DataFrame({"experiment": ["a", "b"], "likelihood": ["nb", "gaussian"], "held_out_elbo": [-9.0, -1.0]})
    assert "cannot be compared" in headline(table)
    assert headline(table.assign(likelihood="nb")).startswith("b has the highest")
    assert "8.0 above a" in headline(table.assign(likelihood="nb"))


def test_only_what_changed_is_fitted_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fits: list[int] = []
    fit = VAE.fit
    monkeypatch.setattr(VAE, "fit", lambda self, *a, **k: fits.append(self.hidden) or fit(self, *a, **k))
    cells, small = cells_of_types(), {"latent": 3, "max_epochs": 4}
    wanted = {"a": small | {"hidden": 8}, "b": small | {"hidden": 16}}

    def run() -> pd.DataFrame:
        return compare(wanted, cells, tmp_path / "out", label_key="type", maps=False).table

    first = run()
    assert fits == [8, 16]
    assert first["pca_accuracy"][0] > 0.9  # the types are planted
    for metric in METRICS:
        found, pca, difference = (first[name] for name in (metric, f"pca_{metric}", f"{metric}_difference"))
        np.testing.assert_allclose(difference, found - pca, atol=1e-12)
        assert (first[f"{metric}_low"] <= found).all(), metric
        assert (found <= first[f"{metric}_high"]).all(), metric
        assert (first[f"{metric}_difference_low"] <= first[f"{metric}_difference_high"]).all(), metric
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "VAE less PCA" in page
    assert f"[{first['accuracy_low'][0]:.3f}, {first['accuracy_high'][0]:.3f}]" in page
    pd.testing.assert_frame_equal(run(), first)
    assert fits == [8, 16]
    wanted["b"] = small | {"hidden": 12}
    wanted["c"] = small | {"hidden": 9}
    run()
    assert fits == [8, 16, 12, 9]
    assert (tmp_path / "out" / "report.html").stat().st_size > 10_000
    assert set(pd.read_csv(tmp_path / "out" / "histories.csv")["experiment"]) == {"a", "b", "c"}
    with pytest.raises(ConfigurationError, match="choose another --out"):
        compare(wanted, cells_of_types(seed=1), tmp_path / "out", maps=False)


def test_another_version_does_every_experiment_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fits: list[int] = []
    fit = VAE.fit
    monkeypatch.setattr(VAE, "fit", lambda self, *a, **k: fits.append(self.hidden) or fit(self, *a, **k))
    wanted = {name: {"latent": 2, "hidden": hidden, "max_epochs": 2} for name, hidden in (("a", 8), ("b", 9))}
    tables = []
    for version in ("1", "1", "2"):
        monkeypatch.setattr("cellixir.runs.piece.__version__", version)
        tables.append(compare(wanted, cells_of_types(), tmp_path / "out", maps=False).table)
    assert fits == [8, 9, 8, 9]
    pd.testing.assert_frame_equal(tables[0], tables[1], check_exact=True)


def test_maps_are_drawn_once_and_one_that_fails_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openTSNE")
    drawn: list[int] = []

    def draw(latent: np.ndarray, *, seed: int) -> np.ndarray:
        drawn.append(latent.shape[1])
        if latent.shape[1] == 3:
            message = "no place for three"
            raise ValueError(message)
        return tsne(latent, seed=seed)

    monkeypatch.setattr("cellixir.embedding.comparing.tsne", draw)
    wanted = {name: {"latent": n, "hidden": 8, "max_epochs": 2} for name, n in (("a", 2), ("b", 3))}
    for times in (1, 2):
        found = compare(wanted, cells_of_types(), tmp_path / "out", label_key="type")
        assert set(found.maps) == {"a"}
        assert drawn == [2, 3, 3][: 1 + times]
    assert found.failures.to_dict("records") == [
        {"experiment": "b", "map": "t-SNE", "error": "ValueError: no place for three"}
    ]
    assert list(found.table["experiment"]) == ["a", "b"]


def test_an_experiment_that_raises_loses_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fit = VAE.fit

    def broken(self: VAE, *given: object, **named: object) -> VAE:
        if self.hidden == 9:
            message = "out of luck"
            raise RuntimeError(message)
        return fit(self, *given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(VAE, "fit", broken)
    wanted = {name: {"latent": 2, "hidden": hidden, "max_epochs": 2} for name, hidden in (("a", 9), ("b", 8))}
    found = compare(wanted, cells_of_types(), tmp_path / "out", maps=False)
    assert list(found.table["experiment"]) == ["b"]
    assert found.headline.startswith("b has the highest")
    assert pd.read_csv(tmp_path / "out" / "failures.csv").to_dict("records") == [
        {"experiment": "a", "error": "RuntimeError: out of luck"}
    ]
    assert read_manifest(tmp_path / "out")["failures"] == 1
    assert "out of luck" in (tmp_path / "out" / "report.html").read_text()


def test_labels_reach_no_model(tmp_path: Path) -> None:
    cells, wanted = cells_of_types(), {"a": {"latent": 3, "hidden": 8, "max_epochs": 3}}
    compare(wanted, cells, tmp_path / "one", label_key="type", maps=False)
    model = VAE.load(tmp_path / "one" / "pieces" / "a" / "model")
    assert model.classes_ == []
    assert model.n_cells_["train"] + model.n_cells_["validation"] == 72  # a fifth of 90 was held out


def test_an_error_names_the_experiment_and_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="experiment 'bad'"):
        compare({"bad": {"latent": -1}}, cells_of_types(), tmp_path / "out")
    with pytest.raises(UnknownIds, match="'celltype'"):
        compare({"a": {}}, cells_of_types(), tmp_path / "out", label_key="celltype")
    assert not (tmp_path / "out").exists()
