"""Published layouts of responses: a small file of the true header of each, read with the right values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cellixir.data.responses import read_responses
from cellixir.data.responses.published import LAYOUTS
from cellixir.exceptions import ConfigurationError, ReadError

PRISM = (
    "broad_id,depmap_id,ccle_name,screen_id,upper_limit,lower_limit,slope,r2,auc,ec50,ic50,name,moa,target,"
    "disease.area,indication,smiles,phase,passed_str_profiling,row_name\n"
    "BRD-K1-001-01-1,ACH-000001,NIHOVCAR3_OVARY,HTS002,1,0.2,1.1,0.9,0.8,0.2,2.0,imatinib,ABL inhibitor,ABL1,"
    "oncology,CML,CCO,Launched,TRUE,PR500_ACH-000001\n"
    "BRD-K1-001-01-1,ACH-000001,NIHOVCAR3_OVARY,MTS010,1,0.2,1.1,0.9,0.7,0.1,4.0,imatinib,ABL inhibitor,ABL1,"
    "oncology,CML,CCO,Launched,TRUE,PR500_ACH-000001\n"
    "BRD-K2-001-01-1,ACH-000002,HL60_BLOOD,HTS002,1,0.2,1.1,0.9,0.6,0.3,,olaparib,PARP inhibitor,PARP1,"
    "oncology,,CCC,Launched,TRUE,PR500_ACH-000002\n"
    "BRD-K2-001-01-1,,,MTS010,,,,,,,,olaparib,PARP inhibitor,PARP1,oncology,,CCC,Launched,,PR500_ACH-1\n"
)
GDSC = (
    "DATASET,NLME_RESULT_ID,NLME_CURVE_ID,COSMIC_ID,CELL_LINE_NAME,SANGER_MODEL_ID,TCGA_DESC,DRUG_ID,DRUG_NAME,"
    "PUTATIVE_TARGET,PATHWAY_NAME,COMPANY_ID,WEBRELEASE,MIN_CONC,MAX_CONC,LN_IC50,AUC,RMSE,Z_SCORE\n"
    "GDSC2,343,15946310,683667,PFSK-1,SIDM01132,MB,1003,Camptothecin,TOP1,DNA replication,1046,Y,0.0001,0.1,"
    "-1.463887,0.930220,0.089052,0.433123\n"
)
DREVALPY = (
    "cellosaurus_id,cell_line_name,pubchem_id,drug_name,tissue,LN_IC50,AUC,pEC50_curvecurator,EC50_curvecurator,"
    "IC50_curvecurator,LN_IC50_curvecurator,AUC_curvecurator\n"
    "CVCL_0001,HEL,5291,Imatinib,Blood,1.5,0.9,5.5,3.2,4.0,1.25,0.875\n"
    "CVCL_0002,HL-60,5291,Imatinib,Blood,2.5,0.8,5.5,3.2,,,0.8125\n"
)
CCLE = (
    "CCLE Cell Line Name,Primary Cell Line Name,Compound,Target,Doses (uM),Activity Data (median),Activity SD,"
    "Num Data,FitType,EC50 (uM),IC50 (uM),Amax,ActArea\n"
    '1321N1_CENTRAL_NERVOUS_SYSTEM,1321N1,Erlotinib,EGFR,".0025,.0080,8","-2.17,-1.2,-3","6.1,5,4",3,NA,NA,8,-40,0.5\n'
    '22RV1_PROSTATE,22Rv1,Erlotinib,EGFR,".0025,.0080,8","-2.17,-1.2,-3","6.1,5,4",3,Sigmoid,0.3,0.5,-50,1.25\n'
)
CTRP = {
    "v20.data.curves_post_qc.txt": (
        "experiment_id\tconc_pts_fit\tfit_num_param\tp1_conf_int_high\tp1_conf_int_low\tp2_conf_int_high\t"
        "p2_conf_int_low\tp4_conf_int_high\tp4_conf_int_low\tp1_center\tp2_slope\tp3_total_decline\tp4_baseline\t"
        "apparent_ec50_umol\tpred_pv_high_conc\tarea_under_curve\tmaster_cpd_id\n"
        "1\t16\t3\t1\t1\t1\t1\t1\t1\t1\t1\t1\t1\t7.5\t0.5\t14.782\t1788\n"
        "2\t16\t3\t1\t1\t1\t1\t1\t1\t1\t1\t1\t1\t2.5\t0.5\t13.327\t1788\n"
    ),
    "v20.meta.per_experiment.txt": (
        "experiment_id\trun_id\texperiment_date\tculture_media\tbaseline_signal\tcells_per_well\tgrowth_mode\t"
        "snp_fp_status\tmaster_ccl_id\n"
        "1\tR1\t20120501\tRPMI\t1\t500\tadherent\tok\t130\n1\tR2\t20120501\tRPMI\t1\t500\tadherent\tok\t130\n"
        "2\tR1\t20120501\tRPMI\t1\t500\tadherent\tok\t569\n"
    ),
    "v20.meta.per_cell_line.txt": (
        "master_ccl_id\tccl_name\tccl_availability\tccle_primary_site\tccle_primary_hist\tccle_hist_subtype_1\n"
        "130\tCAS1\tccle\tcentral_nervous_system\tglioma\tx\n569\tNCIH661\tccle\tlung\tcarcinoma\tx\n"
    ),
    "v20.meta.per_compound.txt": (
        "master_cpd_id\tcpd_name\tbroad_cpd_id\ttop_test_conc_umol\tcpd_status\tinclusion_rationale\t"
        "gene_symbol_of_protein_target\ttarget_or_activity_of_compound\tsource_name\tsource_catalog_id\tcpd_smiles\n"
        "1788\tCIL55\tBRD-1\t10\tprobe\tp\tABL1\tx\tMayo\ty\tCCO\n"
    ),
}
CODERDATA = (
    "source\timprove_sample_id\timprove_drug_id\tstudy\ttime\ttime_unit\tdose_response_metric\tdose_response_value\n"
    "pharmacoGX\t7\tSMI_1\tCCLE\t72\thours\tfit_auc\t0.75\n"
    "pharmacoGX\t7\tSMI_1\tCTRPv2\t72\thours\tfit_auc\t0.625\n"
    "pharmacoGX\t7\tSMI_1\tCCLE\t72\thours\taac\t0.25\n"
    "pharmacoGX\t7\tSMI_1\tCCLE\t72\thours\tfit_ic50\t5.5\n"
)
IMPROVE = (
    "source\timprove_chem_id\timprove_sample_id\tauc\tic50\tec50\tec50se\tr2fit\teinf\ths\taac1\tauc1\tdss1\n"
    "CCLE\tDrug_749\tACH-000956\t0.7153\t5.660\t6.867\t0.4\t0.95\t0.2\t1.5\t0.42\t0.58\t0.35\n"
)


def write(folder: Path, text: str, name: str = "r.csv") -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def rows(table) -> list[tuple[object, ...]]:
    return list(table.pairs.itertuples(index=False, name=None))


def test_prism_secondary(tmp_path):
    table = read_responses(write(tmp_path, PRISM))
    assert (table.layout, table.measure, table.unit) == ("prism-secondary", "LN_IC50", "ln µM")
    assert rows(table) == [
        ("ACH-000001", "BRD-K1-001-01-1", np.log(2), "HTS002"),
        ("ACH-000001", "BRD-K1-001-01-1", np.log(4), "MTS010"),
    ]
    assert table.n_missing == 2
    assert table.drugs.loc["BRD-K2-001-01-1"].to_dict() == {
        "name": "olaparib", "targets": "PARP1", "pathway": "PARP inhibitor", "smiles": "CCC",
    }  # fmt: skip
    assert table.ids.loc["ACH-000001", "ccle_name"] == "NIHOVCAR3_OVARY"
    assert any("'ic50' was taken; --measure takes another one (auc, ec50)" in note for note in table.notes)


def test_prism_secondary_auc(tmp_path):
    table = read_responses(write(tmp_path, PRISM), measure="auc")
    assert (table.measure, table.unit) == ("AUC", "")
    assert table.pairs["response"].tolist() == [0.8, 0.7, 0.6]


def test_gdsc_release_8(tmp_path):
    table = read_responses(write(tmp_path, GDSC))
    assert (table.layout, table.measure, table.unit) == ("gdsc-fitted", "LN_IC50", "ln µM")
    assert rows(table) == [("683667", "1003", -1.463887)]
    assert table.ids.loc["683667"].to_dict() == {
        "COSMIC_ID": "683667", "CELL_LINE_NAME": "PFSK-1", "SANGER_MODEL_ID": "SIDM01132",
    }  # fmt: skip


def test_drevalpy(tmp_path):
    table = read_responses(write(tmp_path, DREVALPY))
    assert (table.layout, table.measure, table.unit) == ("drevalpy", "LN_IC50", "ln µM")
    assert rows(table) == [("HEL", "5291", 1.25)]
    assert table.drugs.loc["5291"].to_dict() == {"name": "Imatinib", "pubchem": "5291"}
    assert table.samples.loc["HEL", "tissue"] == "Blood"
    as_published = read_responses(tmp_path / "r.csv", measure="LN_IC50")
    assert as_published.pairs["response"].tolist() == [1.5, 2.5]
    potency = read_responses(tmp_path / "r.csv", measure="pEC50_curvecurator")
    assert potency.measure == "LN_EC50"
    np.testing.assert_allclose(potency.pairs["response"], (6 - 5.5) * np.log(10))


def test_ccle_2015(tmp_path):
    table = read_responses(write(tmp_path, CCLE))
    assert (table.layout, table.measure, table.unit) == ("ccle-2015", "LN_IC50", "ln µM")
    assert rows(table) == [
        ("1321N1_CENTRAL_NERVOUS_SYSTEM", "Erlotinib", np.log(8)),
        ("22RV1_PROSTATE", "Erlotinib", np.log(0.5)),
    ]
    area = read_responses(tmp_path / "r.csv", measure="ActArea")
    assert (area.measure, area.pairs["response"].tolist()) == ("ActArea", [0.5, 1.25])
    assert any("more is more sensitive" in note for note in area.notes)


def test_ctrp_with_the_files_beside_it(tmp_path):
    for name, text in CTRP.items():
        write(tmp_path, text, name)
    table = read_responses(tmp_path / "v20.data.curves_post_qc.txt")
    assert (table.layout, table.measure, table.unit) == ("ctrp-v2", "AUC", "")
    assert rows(table) == [("CAS1", "1788", 14.782), ("NCIH661", "1788", 13.327)]
    assert table.drugs.loc["1788"].to_dict() == {"name": "CIL55", "targets": "ABL1", "smiles": "CCO"}
    dose = read_responses(tmp_path / "v20.data.curves_post_qc.txt", measure="EC50")
    assert (dose.measure, dose.pairs["response"].tolist()) == ("LN_EC50", [np.log(7.5), np.log(2.5)])


def test_ctrp_alone_says_what_is_missing(tmp_path):
    name = "v20.data.curves_post_qc.txt"
    with pytest.raises(ReadError, match=r"names no master_ccl_id; .* v20\.meta\.per_experiment\.txt: put that file"):
        read_responses(write(tmp_path, CTRP[name], name))


def test_coderdata(tmp_path):
    path = write(tmp_path, CODERDATA, "experiments.tsv")
    table = read_responses(path)
    assert (table.layout, table.measure) == ("coderdata", "AUC")
    assert rows(table) == [("7", "SMI_1", 0.75, "CCLE"), ("7", "SMI_1", 0.625, "CTRPv2")]
    assert any("'fit_auc' was taken" in note for note in table.notes)
    area = read_responses(path, measure="aac")
    assert (area.measure, area.pairs["response"].tolist()) == ("AUC", [0.75])
    with pytest.raises(ConfigurationError, match="no measure 'gr50'; it has 'fit_auc', 'aac', 'fit_ic50'"):
        read_responses(path, measure="gr50")


def test_improve(tmp_path):
    table = read_responses(write(tmp_path, IMPROVE, "response.tsv"))
    assert (table.layout, table.measure) == ("improve", "AUC")
    assert rows(table) == [("ACH-000956", "Drug_749", 0.7153)]


def test_every_layout_is_tested_and_documented():
    text = Path(__file__).read_text(encoding="utf-8")
    docs = (Path(__file__).parents[3] / "docs" / "formats.md").read_text(encoding="utf-8")
    assert all(f'"{name}"' in text and f"`{name}`" in docs for name in LAYOUTS)
