from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cellixir.data.response_data import ResponseData
from cellixir.response.cross_validation.noise import noise_ceiling


def screened_twice(noise: float, n: int = 400, shift: float = 3.0) -> ResponseData:
    """Two drugs, one of them under two ids, whose second screen lies higher."""
    rng = np.random.default_rng(0)
    samples = [f"s{i}" for i in range(n)]
    truth = rng.normal(size=n)
    values = {"d1": truth, "d1b": truth + shift, "d2": rng.normal(size=n)}
    rows = [
        pd.DataFrame({"sample": samples, "drug": drug, "response": y + noise * rng.normal(size=n)})
        for drug, y in values.items()
    ]
    drugs = pd.DataFrame({"name": ["PLX-4720", "PLX4720 (rescreen)", "Olaparib"]}, index=list(values))
    return ResponseData.join(pd.concat(rows, ignore_index=True), views={}, drugs=drugs)


def test_the_noise_of_a_measurement_is_found_and_a_shift_between_screens_is_none() -> None:
    for noise in (0.3, 1.0):
        found = noise_ceiling(screened_twice(noise))
        assert found is not None
        assert (found.n_pairs, found.n_molecules) == (400, 1)
        assert found.rmse == pytest.approx(noise, rel=0.1)
        assert found.pearson == pytest.approx(1 / (1 + noise**2), abs=0.05)
    assert "400 pairs were measured twice" in found.sentence("ln µM")
    assert noise_ceiling(screened_twice(0.3, n=20)) is None
