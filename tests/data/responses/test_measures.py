"""Measures told by names, units converted, and numbers that cannot be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cellixir.data.responses import read_responses
from cellixir.data.responses.measures import Measure, measure_of, with_unit
from cellixir.exceptions import ConfigurationError, InvalidValues, ReadError

LN10 = np.log(10)


def write(folder: Path, column: str, values: list[object]) -> Path:
    path = folder / "r.csv"
    lines = [f"s{i},d{i % 2},{value}" for i, value in enumerate(values)]
    path.write_text("\n".join([f'sample,drug,"{column}"', *lines]) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("column", "unit", "value", "expected"),
    [
        ("LN_IC50", None, 2.5, 2.5),
        ("LN_IC50", "ln nM", 2.5, 2.5 - np.log(1000)),
        ("log10_IC50", None, 2.0, 2 * LN10),
        ("log10_IC50_nM", None, 2.0, -1 * LN10),
        ("log10(IC50)", "nM", 2.0, -1 * LN10),
        ("log2_ic50", None, 3.0, np.log(8)),
        ("pIC50", None, 7.0, -1 * LN10),
        ("-log10(IC50)", None, 7.0, -1 * LN10),
        ("pEC50_curvecurator", None, 7.0, -1 * LN10),
        ("IC50 (nM)", None, 500, np.log(0.5)),
        ("IC50 (µM)", None, 0.5, np.log(0.5)),
        ("ic50_um", None, 0.5, np.log(0.5)),
        ("IC50_M", None, 5e-7, np.log(0.5)),
        ("IC50", "uM", 0.5, np.log(0.5)),
        ("IC50", "mM", 0.5, np.log(500)),
        ("IC50", "log10 nM", 2.0, -1 * LN10),
        ("GI50", "nM", 1000, 0.0),
        ("logIC50", "log10 uM", 2.0, 2 * LN10),
        ("AAC", None, 0.25, 0.75),
        ("aac_recomputed", None, 25.0, 0.75),
        ("auc", None, 0.625, 0.625),
        ("response", "ln nM", 0.0, -np.log(1000)),
    ],
)
def test_units_become_ln_micromolar(tmp_path, column, unit, value, expected):
    table = read_responses(write(tmp_path, column, [value, value]), unit=unit)
    np.testing.assert_allclose(table.pairs["response"], [expected, expected], rtol=1e-12, atol=1e-12)
    assert table.unit == ("" if table.measure == "AUC" else "ln µM")


def test_what_is_assumed_is_said(tmp_path):
    assert read_responses(write(tmp_path, "LN_IC50", [1, 2])).notes == ()
    (note,) = read_responses(write(tmp_path, "log10_IC50", [1, 2])).notes
    assert note == (
        "column 'log10_IC50' is IC50 in log10 µM (taken for µM; --unit says another one), converted to ln µM"
    )
    raw = read_responses(write(tmp_path, "IC50", [1, 20]))
    assert (raw.measure, raw.unit, raw.pairs["response"].tolist()) == ("IC50", "", [1, 20])
    assert "--unit uM or nM takes the logarithm" in raw.notes[0]


def test_a_raw_scale_of_many_orders_is_refused(tmp_path):
    with pytest.raises(InvalidValues, match=r"IC50 spans 17 orders \(0\.8 to 1\.5e\+17\) on a raw scale: take the log"):
        read_responses(write(tmp_path, "IC50", [0.8, 20, 1.5e17]))
    table = read_responses(tmp_path / "r.csv", unit="uM")
    assert table.pairs["response"].tolist() == pytest.approx(np.log([0.8, 20, 1.5e17]))
    assert any("1 response beyond e^±20 µM" in note for note in table.notes)


def test_a_concentration_below_zero_is_refused(tmp_path):
    with pytest.raises(InvalidValues, match=r"'IC50' holds -2 as IC50 \(1 such value\); a concentration is above 0"):
        read_responses(write(tmp_path, "IC50", [1, -2]))
    with pytest.raises(InvalidValues, match="holds 0 as IC50"):
        read_responses(write(tmp_path, "IC50_nM", [1, 0]))
    table = read_responses(write(tmp_path, "IC50", [1, -2]), unit="ln uM")
    assert (table.measure, table.pairs["response"].tolist()) == ("LN_IC50", [1, -2])


def test_a_logarithm_without_base_is_refused(tmp_path):
    with pytest.raises(InvalidValues, match="'logIC50' is a logarithm without a base; say which by --unit"):
        read_responses(write(tmp_path, "logIC50", [1, 2]))


def test_units_that_are_none(tmp_path):
    with pytest.raises(ConfigurationError, match="--unit 'kg' is not known; write uM, nM"):
        read_responses(write(tmp_path, "IC50", [1, 2]), unit="kg")
    with pytest.raises(ConfigurationError, match="the responses are AUC; leave it out"):
        read_responses(write(tmp_path, "AUC", [1, 2]), unit="nM")
    assert with_unit(Measure("response"), "-log10 M") == Measure("IC50", "-log10", "M")
    assert measure_of("Drug_1") is None


def test_limits_are_kept_and_counted(tmp_path):
    table = read_responses(write(tmp_path, "IC50_uM", [">10", 2.5, "< 0.5", ">= 20 uM"]))
    assert table.pairs["response"].tolist() == pytest.approx(np.log([10, 2.5, 0.5, 20]))
    assert table.pairs["censored"].tolist() == [">", "", "<", ">"]
    assert any("3 of 4 responses are censored (2 above, 1 below a limit)" in note for note in table.notes)
    turned = read_responses(write(tmp_path, "pIC50", ["<5", 6.5]))
    assert turned.pairs["censored"].tolist() == [">", ""]
    (tmp_path / "w.csv").write_text("id,a,b\nx,>10,1\ny,2,3\n")
    wide = read_responses(tmp_path / "w.csv")
    assert wide.pairs["censored"].tolist() == [">", "", "", ""]
    assert wide.pairs["response"].tolist() == [10, 1, 2, 3]


def test_which_of_several_measures(tmp_path):
    path = tmp_path / "r.csv"
    path.write_text("COSMIC_ID,DRUG_NAME,LN_IC50,AUC\n1,a,1.5,0.5\n2,a,2.5,0.25\n")
    both = read_responses(path)
    assert (both.measure, both.pairs["response"].tolist()) == ("LN_IC50", [1.5, 2.5])
    assert any("'LN_IC50' was taken; --measure takes another one (AUC)" in note for note in both.notes)
    area = read_responses(path, measure="AUC")
    assert (area.measure, area.pairs["response"].tolist()) == ("AUC", [0.5, 0.25])


def test_a_column_that_is_not_there_is_named_with_its_option(tmp_path):
    with pytest.raises(ReadError, match=r"no response column .* name it with --response-column"):
        read_responses(write(tmp_path, "score", [1, 2]))
    table = read_responses(tmp_path / "r.csv", response_column="score", measure="pIC50")
    assert table.measure == "LN_IC50"
