"""GSE103938 as a two-factor study: OSKM or RAS, with and without rapamycin; samples and sheet from the published RData.

    python benchmarks/gse103938.py ES_GSE103938.rda --out gse103938     # needs rdata (PyPI)
    cellixir perturb evaluate --data gse103938/counts.csv.gz --sheet gse103938/sheet.csv --out runs/gse103938

Genes with fewer than 210 counts in all samples together (10 a sample) are left out.
"""

from __future__ import annotations

import argparse
import re
import warnings
from pathlib import Path

import pandas as pd


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    import rdata

    warnings.simplefilter("ignore")  # classes of R that are read as plain objects
    found = rdata.conversion.convert(rdata.parser.parse_file(given.file))["ES_GSE103938"].assayData["exprs"]
    counts = pd.DataFrame(found.values.T, index=found.coords["dim_1"].values, columns=found.coords["dim_0"].values)
    counts = counts.loc[:, counts.sum() >= 210].rename_axis("sample")
    rows = []
    for sample in counts.index:
        vector, dose = re.fullmatch(r"(Prolif|OSKM|RAS)(?:(\d+)nM)?_\d", sample).groups()
        name = "control" if vector == "Prolif" else vector + ("+rapamycin" if dose else "")
        rows.append((sample, name, f"0+{dose} nM" if dose else ""))
    given.out.mkdir(parents=True, exist_ok=True)
    counts.to_csv(given.out / "counts.csv.gz")
    pd.DataFrame(rows, columns=["sample", "perturbation", "dose"]).to_csv(given.out / "sheet.csv", index=False)


if __name__ == "__main__":
    main()
