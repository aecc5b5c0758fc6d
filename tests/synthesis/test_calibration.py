"""Values with a spike: as often at their lowest as real ones, nothing between spike and tail, order and links kept."""

from __future__ import annotations

from typing import Any

import anndata as ad
import numpy as np
import pytest
from scipy.stats import ks_2samp, spearmanr

from cellixir.synthesis import load_generator, make_generator
from cellixir.synthesis.calibration import Calibration
from cellixir.synthesis.gaussian import GaussianGenerator


def spiked(n: int, share: float, seed: int) -> np.ndarray:
    """Zeros, and values from 1 up, of two genes, and a third that has no spike."""
    rng = np.random.default_rng(seed)
    values = np.where(rng.random((n, 3)) < share, 0, 1 + rng.exponential(size=(n, 3)))
    values[:, 2] = rng.normal(size=n)
    return values


def test_a_gene_by_hand():
    real = np.array([0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 4, 4], dtype=float)[:, None]
    drawn = np.arange(12, dtype=float)[:, None]
    found = Calibration.learn(real, lambda: drawn)
    # three quantiles at 1/6, 1/2 and 5/6 of eleven steps: 11/6, 5.5 and 55/6 come to 0, 0 and 7/3
    assert found.drawn[:, 0] == pytest.approx([11 / 6, 5.5, 55 / 6], abs=1e-4)
    assert found.real[:, 0] == pytest.approx([0, 0, 7 / 3], abs=1e-6)
    mapped = found.apply(np.array([-3.0, 5.5, 7.0, 8.5, 99.0])[:, None])[:, 0]
    # 7 comes to .95, nearer to the spike at 0 than to the least value 2, 8.5 to 1.9
    assert mapped == pytest.approx([0, 0, 0, 2, 7 / 3], abs=1e-4)


def test_marginals_come_out_and_order_stays():
    real, drawn = spiked(3_000, 0.7, 0), np.random.default_rng(1).normal(3, 2, size=(3_000, 3))
    found = Calibration.learn(real, lambda: drawn)
    assert found.columns.tolist() == [0, 1]
    new = np.random.default_rng(2).normal(3, 2, size=(2_000, 3))
    mapped = found.apply(new.copy())
    assert (mapped[:, 2] == new[:, 2]).all()
    for gene in range(2):
        assert (mapped[:, gene] == 0).mean() == pytest.approx((real[:, gene] == 0).mean(), abs=0.04)
        assert ks_2samp(mapped[:, gene], real[:, gene]).statistic < 0.06
        assert not ((mapped[:, gene] > 0) & (mapped[:, gene] < 1)).any()
        assert (np.diff(mapped[np.argsort(new[:, gene]), gene]) >= 0).all()


def test_there_is_nothing_to_map_without_a_spike_or_samples():
    assert Calibration.learn(np.random.default_rng(0).normal(size=(500, 4)), lambda: np.zeros((500, 4))) is None
    assert Calibration.learn(np.zeros((7, 2)), lambda: np.zeros((7, 2))) is None


def test_nothing_is_drawn_where_there_is_nothing_to_map(monkeypatch):
    real = ad.AnnData(np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32), uns={"scale": "zscore"})
    monkeypatch.setattr(GaussianGenerator, "_draw", lambda *_: pytest.fail("drew"))
    GaussianGenerator().fit(real)


def log_values(n: int, seed: int) -> ad.AnnData:
    """Log counts of ten genes, most of them zero, that go together two by two."""
    rng = np.random.default_rng(seed)
    level = np.repeat(rng.normal(0, 1.5, size=(n, 5)), 2, axis=1) - 1
    values = np.log1p(rng.poisson(np.exp(level))).astype(np.float32)
    return ad.AnnData(values, uns={"scale": "log1p_cpm"})


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("gaussian", {}),
        ("cvae", {"latent": 5, "hidden": 16, "max_epochs": 10}),
        ("vae", {"latent": 5, "hidden": 16, "max_epochs": 10}),
        ("wgan-gp", {"hidden": 32, "max_epochs": 10}),
    ],
)
def test_generators_draw_zeros_as_often_as_they_were_and_keep_links(name: str, settings: dict[str, Any], tmp_path):
    real = log_values(800, 0)
    model = make_generator(name, **settings).fit(real)
    drawn = model.sample(1_000).X
    share = (real.X == 0).mean(axis=0)
    assert share.min() > 0.5
    assert np.abs((drawn == 0).mean(axis=0) - share).max() < 0.07
    assert np.unique(drawn[drawn > 0]).min() >= np.log(2) - 1e-5
    linked = [spearmanr(x[:, :2]).statistic for x in (real.X, drawn)]
    assert linked[1] == pytest.approx(linked[0], abs=0.25)
    model.save(tmp_path / "bundle")
    assert (load_generator(tmp_path / "bundle").sample(1_000).X == drawn).all()
