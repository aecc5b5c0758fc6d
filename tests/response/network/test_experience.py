from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cellixir.response.network.experience import compared, experience


def test_what_is_told_of_a_drug_by_hand() -> None:
    drugs = pd.Series(["a"] * 21 + ["b"] * 5)
    response = np.concatenate([np.arange(21.0), np.full(5, 7.0)])
    rows = np.r_[0:12, 21:26]
    known = experience(drugs, response, rows, np.concatenate([2 * np.arange(12.0) + 1, np.zeros(5)]))
    found = compared(known, pd.Series(["a", "a", "a", "b", "new"]), [5.0, -3.0, 99.0, 7.0, 1.0])
    assert found["drug_mean"].tolist()[:4] == [10, 10, 10, 7]
    assert found["difference"].tolist()[:4] == [-5, -13, 89, 0]
    assert found["percentile"].tolist()[:3] == pytest.approx([25, 0, 100])
    assert found["predictability"].iloc[0] == pytest.approx(1)
    assert np.isnan(found["predictability"].iloc[3])  # five held-out rows tell no correlation
    assert found.iloc[4].isna().all()
