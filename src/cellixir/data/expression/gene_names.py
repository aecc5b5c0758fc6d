"""Side of a table that the genes are on, told by the names that genes have."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Literal

import anndata as ad
import pandas as pd

from cellixir.exceptions import ConfigurationError, examples

Side = Literal["rows", "columns"]

#: Genes that nearly every expression table holds; a mouse table writes the same words as Actb, Gapdh. The shortest (C3,
#: AR, MET) are not among them: they may well be called samples.
_WELL_KNOWN = frozenset(
    """
    A2M ABCB1 ACTA2 ACTB ACTG1 ADAM10 AKT1 AKT2 ALB ALDOA ANXA1 ANXA2 APOE ARAF ARID1A ATP5F1A AURKA B2M BCL2 BCL2L1
    BCL6 BIRC5 BRAF BRCA1 BRCA2 C1QA C1QB CALM1 CALR CASP3 CASP8 CAV1 CCL2 CCL3 CCL4 CCL5 CCNA2 CCNB1 CCND1 CCND2
    CCND3 CCNE1 CCR7 CD14 CD163 CD19 CD1C CD27 CD34 CD38 CD3D CD3E CD3G CD44 CD52 CD68 CD69 CD74 CD79A CD79B CD8A CD8B
    CDC20 CDC42 CDH1 CDH2 CDK1 CDK2 CDK4 CDK6 CDKN1A CDKN1B CDKN2A CEBPA CEBPB CENPF CFL1 CHEK1 CHEK2 COL1A1 COL1A2
    COL3A1 COL4A1 COL6A1 COX4I1 CREBBP CSF1R CST3 CSTB CTLA4 CTNNB1 CTSB CTSD CXCL8 CXCR4 DDX5 DICER1 DNMT1 DNMT3A
    DUSP1 E2F1 EEF1A1 EEF2 EGFR EGR1 EIF4A1 ENO1 EP300 EPAS1 EPCAM ERBB2 ERBB3 ESR1 ETV1 ETV4 EXT1 EZH2 FANCD2 FASN
    FCER1G FCGR3A FGFR1 FGFR2 FGFR3 FLT1 FLT3 FOSB FOXA1 FOXO1 FOXP3 FTH1 FTL GADD45A GAPDH GATA1 GATA2 GATA3 GNLY
    GPX1 GSTP1 GZMA GZMB GZMK H2AZ1 H3-3B HBA1 HBA2 HBB HDAC1 HDAC2 HIF1A HMGB1 HMOX1 HNRNPA1 HPRT1 HRAS HSP90AA1
    HSP90AB1 HSPA1A HSPA5 HSPA8 HSPB1 ICAM1 IDH1 IDH2 IFNG IGF1R IGFBP7 IGHG1 IGHM IGKC IL10 IL1B IL2RA IL32 IL7R IRF1
    IRF4 ITGA4 ITGAM ITGB1 JAK1 JAK2 JUNB JUND KLF2 KLF4 KLF6 KLRB1 KMT2A KMT2C KRAS KRT14 KRT18 KRT19 KRT5 KRT8 LAG3
    LDHA LDHB LEF1 LGALS1 LGALS3 LMNA LST1 LYZ MAP2K1 MAPK1 MAPK3 MCL1 MDM2 MDM4 MITF MKI67 MLANA MLH1 MMP2 MMP9 MS4A1
    MSH2 MSH6 MTOR MUC1 MYC MYCN MYH9 MYL6 NEAT1 NFKB1 NFKBIA NKG7 NOTCH1 NOTCH2 NPM1 NRAS NTRK1 PABPC1 PAX8 PBRM1
    PCNA PDCD1 PDGFRA PDGFRB PECAM1 PFN1 PGK1 PIK3CA PIK3R1 PMEL PPARG PPIA PRF1 PRKACA PTEN PTGS2 PTPN11 PTPRC RAC1
    RAF1 RARA RELA RHOA ROS1 RUNX1 S100A4 S100A8 S100A9 S100B SAT1 SDC1 SELL SERPINE1 SMAD2 SMAD4 SMARCA4 SMARCB1
    SOCS1 SOD1 SOD2 SOX10 SOX2 SOX4 SOX9 SPARC SPP1 SQSTM1 STAT1 STAT3 STAT5A STK11 TCF7 TERT TET2 TGFB1 TGFBR2 TIGIT
    TIMP1 TMSB10 TMSB4X TNFAIP3 TOP2A TP53 TP63 TPI1 TPM1 TPT1 TSC1 TSC2 TUBA1A TUBA1B TUBB TYMS TYROBP TYRP1 UBA52
    UBC VEGFA VIM XBP1 XIST XKR4 YBX1 YWHAZ ZEB1 ZEB2 ZFP36
    """.split()
)
#: Families and identifiers of genes; none of them is how a cell or a sample is called.
_FAMILY = re.compile(
    r"MT-(ND|CO|CY|ATP|RN|T)\w+|RP[LS]\d+\w*|MRP[LS]\d+|RPLP[0-2]|HLA-\w+|H2-\w+|ENS[A-Z]{0,5}G\d{11}(\.\d+)?|ZNF\d+|"
    r"SLC\d+A\d+\w?|TMEM\d+\w?|FAM\d+[A-Z]\d*|LINC\d{5}|C\d+ORF\d+|CCDC\d+\w?|KIAA\d{4}|FBGN\d{7}|WBGENE\d{8}|"
    r"AT[1-5MC]G\d{5}|Y[A-P][LR]\d{3}[WC](-[A-Z])?",
    re.IGNORECASE,
)
#: Barcodes of droplets, with or without a sample before or a number behind, and ids of samples of public archives.
_CELL = re.compile(r"(.*[_:#-])?[ACGT]{12,}([-_.]\w+)?|GSM\d+.*|TCGA-\w\w-\w{4}.*|ACH-\d{6}|SIDM\d{5}|[SED]RR\d+")
#: Names on one side must be known this many times as often as on the other.
_CLEARLY = 5


def known_genes(names: Iterable[str]) -> int:
    """How many of the names are surely those of genes.

    >>> known_genes(["ACTB", "mt-Nd1", "ENSG00000141510.17", "cell_1"])
    3
    """
    return sum(_is_well_known(name) or _FAMILY.fullmatch(name) is not None for name in names)


def _is_well_known(name: str) -> bool:
    return name.upper() in _WELL_KNOWN and name in {name.upper(), name.capitalize()}


def side_of_cells(rows: Sequence[str], columns: Sequence[str], *, source: str) -> tuple[Side, str]:
    """Side of the table that the cells are on, and the sentence that says why.

    Raises
    ------
    ConfigurationError
        If neither side has names that are known.
    """
    in_rows, in_columns = known_genes(rows), known_genes(columns)
    share_rows, share_columns = in_rows / max(len(rows), 1), in_columns / max(len(columns), 1)
    if in_columns and share_columns > _CLEARLY * share_rows:
        return "rows", f"cells were taken to be rows: {in_columns:,} of {len(columns):,} columns are known genes"
    if in_rows and share_rows > _CLEARLY * share_columns:
        return "columns", f"cells were taken to be columns: {in_rows:,} of {len(rows):,} rows are known genes"
    cells_rows, cells_columns = (sum(_CELL.fullmatch(n) is not None for n in side) for side in (rows, columns))
    if not in_rows and not in_columns and 2 * cells_rows > len(rows) and not cells_columns:
        return "rows", f"cells were taken to be rows: {cells_rows:,} of {len(rows):,} are barcodes or sample ids"
    if not in_rows and not in_columns and 2 * cells_columns > len(columns) and not cells_rows:
        what = f"{cells_columns:,} of {len(columns):,} are barcodes or sample ids"
        return "columns", f"cells were taken to be columns: {what}"
    message = (
        f"{source}: it cannot be told whether its rows ({examples(rows)}) or its columns ({examples(columns)}) are the "
        'cells, as too few names are those of known genes; pass cells_are="rows" or cells_are="columns" (--cells-are)'
    )
    raise ConfigurationError(message)


def named_by_symbol(cells: ad.AnnData) -> ad.AnnData:
    """Cells of a GCT or GCTX file with genes called by their symbols, ids in ``var["gene_id"]``, and a note.

    The symbol is ``pr_gene_symbol``, or the ``Description`` of GCT 1.2 where more of it are known genes than of the
    ids. A gene without a symbol keeps its id, and so do genes that share one.
    """
    column = next((name for name in ("pr_gene_symbol", "Description") if name in cells.var), None)
    if column is None:
        return cells
    ids, symbols = cells.var_names.to_series(), cells.var[column].astype(object)
    if column == "Description" and known_genes(map(str, symbols)) <= known_genes(ids):
        return cells
    usable = symbols.notna() & ~symbols.duplicated(keep=False) & ~symbols.isin(ids[ids != symbols])
    if not usable.any() or bool((symbols == ids).all()):
        return cells
    kept = "" if usable.all() else f"; {int((~usable).sum()):,} without a symbol of their own keep their id"
    cells.uns["notes"] = [*cells.uns.get("notes", []), f"genes are called by {column}{kept}"]
    cells.var["gene_id"] = ids
    cells.var_names = pd.Index(symbols.where(usable, ids).astype(str), dtype=object)
    return cells
