"""Who validates, what is left out, and which cells a fit cannot begin with."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cellixir.embedding import preparation
from cellixir.embedding.preparation import split_validation
from cellixir.embedding.vae import VAE
from cellixir.exceptions import ConfigurationError, DataError

SMALL = {"latent": 4, "hidden": 16, "max_epochs": 3, "device": "cpu"}


@pytest.mark.parametrize("n_groups", [3, 4, 30])
@pytest.mark.parametrize("most", [10_000, 20])
def test_no_patient_is_on_both_sides(monkeypatch, n_groups, most):
    monkeypatch.setattr(preparation, "MOST_VALIDATION", most)
    rng = np.random.default_rng(0)
    groups = pd.Series(rng.choice([f"p{i}" for i in range(n_groups)], 300)).where(rng.random(300) < 0.95)
    rows = np.flatnonzero(rng.random(300) < 0.9)
    for seed in range(5):
        train, validation = split_validation(rows, groups, seed)
        assert not set(groups.iloc[train].fillna("?")) & set(groups.iloc[validation].fillna("?"))
        assert len(train) > len(validation) > 0
        assert len(validation) <= most
        assert set(train) | set(validation) <= set(rows)


def test_validation_is_a_tenth_and_patients_are_used_by_the_fit(cells):
    train, validation = split_validation(np.arange(cells.n_obs), None, 0)
    assert (len(train), len(validation)) == (720, 80)
    fitted = VAE(**SMALL, group_key="patient").fit(cells)
    sizes = cells.obs["patient"].value_counts()
    assert fitted.n_cells_["validation"] in set(sizes)
    with pytest.raises(ConfigurationError, match="2 groups"):
        VAE(**SMALL, group_key="batch").fit(cells)


def test_cells_without_counts_are_left_out_of_the_fit_and_counted(dense_cells):
    holes = dense_cells
    holes.X[[1, 5, 9]] = 0
    fitted = VAE(**SMALL).fit(holes)
    assert fitted.notes_ == ["3 cells without a count were left out of the fit"]
    assert sum(fitted.n_cells_.values()) == holes.n_obs - 3
    assert np.isfinite(fitted.transform(holes)).all()
    rest = np.setdiff1d(np.arange(holes.n_obs), [1, 5, 9])
    assert fitted.score(holes) == pytest.approx(fitted.elbo(holes)[rest].mean())


def test_too_few_cells_are_refused(cells, model):
    with pytest.raises(DataError, match="9 cells"):
        VAE(**SMALL).fit(cells[:9])
    assert VAE(**SMALL).fit(cells[:10]).transform(cells).shape == (cells.n_obs, 4)
    with pytest.raises(DataError, match="no cells"):
        model.transform(cells[:0])


def test_a_head_needs_two_classes(cells):
    one = cells.copy()
    one.obs["cell_type"] = "T cell"
    with pytest.raises(ConfigurationError, match="'cell_type' names 1 classes"):
        VAE(**SMALL, label_key="cell_type").fit(one)
