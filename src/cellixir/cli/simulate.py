"""``cellixir simulate``: one command a kind of data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cellixir.cli.simulate_files import simulate

app = typer.Typer(
    help="Data with known truth, to test what a model finds.", no_args_is_help=True, rich_markup_mode=None
)

File = Annotated[Path, typer.Option("--out", help="File to write, .h5ad; with several data sets a folder.")]
Folder = Annotated[Path, typer.Option("--out", help="Folder for the tables; with several data sets for a folder each.")]
Seed = Annotated[int, typer.Option(min=0, help="Same seed, same data; with several data sets, that of the first.")]
NDatasets = Annotated[int, typer.Option(min=1, help="Data sets, of seeds that count up: seed0, seed1, ... in --out.")]
Force = Annotated[bool, typer.Option("--force", help="Also overwrite what this command has not written.")]
Samples = Annotated[int, typer.Option(help="Samples.")]
Genes = Annotated[int, typer.Option(help="Genes.")]
Batches = Annotated[int, typer.Option(help="Batches.")]
Groups = Annotated[int, typer.Option(help="Groups that genes differ between.")]
Shares = Annotated[str | None, typer.Option(metavar="A,B,...", help="Relative sizes, one number each. Default: equal.")]
FoldChange = Annotated[float, typer.Option(help="Mean absolute log2 fold change of genes that differ.")]
Modules = Annotated[int, typer.Option(help="Sets of genes that rise and fall together.")]
Drugs = Annotated[int, typer.Option(help="Drugs.")]

_BULK = """Bulk RNA-seq counts of batches and groups.

The truth stands in the file: var has mean, dispersion, is_de, is_up, is_shifted and module of each gene; varm has
log2_fold_change (by group) and log2_batch_shift (by batch), against the first; uns["truth"] has the settings.

\b
Examples:
  cellixir simulate bulk --out sim.h5ad
  cellixir simulate bulk --n-datasets 10 --out sims
  cellixir simulate bulk --n-groups 3 --group-shares 2,1,1 --n-samples 200 --out three.h5ad
"""
_SINGLE_CELL = """Single-cell counts of types, batches and groups, with gene modules and dropout.

The truth stands in the file: var has mean, dispersion, is_de, is_up and module of each gene; varm has
log2_fold_change (by group), log2_batch_shift, log2_type_shift, against the first, and log2_module_loading; obs has
library_size and n_dropped; obsm has module_activity; uns["truth"] has the settings. It is that before dropout.

\b
Examples:
  cellixir simulate single-cell --out cells.h5ad
  cellixir simulate single-cell --n-cells 100000 --n-genes 2000 --library-size 4000 0.4 --out many.h5ad
  cellixir simulate single-cell --n-cells 10000 --n-types 8 --dropout 0 --seed 3 --out cells.h5ad
"""
_COHORT = """A drug screen: expression, mutations, drugs (SMILES, targets) and ln IC50, with planted biomarkers.

Writes a folder of tables as 'cellixir response' reads them, and beside them truth: biomarkers.csv (effects in ln µM),
the effects of drugs, samples and tissues, and expected.csv, the response without noise.

\b
Examples:
  cellixir simulate cohort --out cohort
  cellixir response anova --response cohort/responses.csv --features cohort/mutations.csv --out found
  cellixir response fit --response cohort/responses.csv --omics mutations=cohort/mutations.csv
      --omics expression=cohort/expression.csv --drugs cohort/drugs.csv --samples cohort/samples.csv --out new.bundle
"""
_PERTURBATION = """Log2 expression of treated and untreated wells: doses, single drugs, and pairs that interact or not.

The truth stands in the file: the layer log2_fold_change has what was planted in each well; uns has the tables drugs
(EC50 in µM, slope, change of each module) and pairs, and the settings in truth; varm has drug_effect, interaction
and log2_plate_shift of each gene; var has its mean, module and loading.

\b
Examples:
  cellixir simulate perturbation --out wells.h5ad
  cellixir simulate perturbation --n-drugs 40 --n-pairs 60 --interacting 0.5 --out wells.h5ad
"""
_AGING = """Expression of donors from young to old, with planted age genes.

The truth stands in the file: var has mean, dispersion, is_age, is_up, is_late, log2_slope_per_decade, is_sex and
log2_sex_shift of each gene; varm has log2_batch_shift; uns["truth"] has the settings.

\b
Examples:
  cellixir simulate aging --out aging.h5ad
  cellixir simulate aging --n-samples 1000 --n-age-genes 200 --scale log2_tpm --out aging.h5ad
"""


@app.command("bulk", help=_BULK)
def bulk(
    out: File,
    seed: Seed = 0,
    n_datasets: NDatasets = 1,
    n_samples: Samples = 400,
    n_genes: Genes = 10_000,
    n_batches: Batches = 2,
    n_groups: Groups = 2,
    batch_shares: Shares = None,
    group_shares: Shares = None,
    n_de: Annotated[
        int | None, typer.Option(help="Genes that differ from group 1, in each group. Default: a fifth.")
    ] = None,
    n_up: Annotated[int | None, typer.Option(help="Those of them that are higher. Default: half.")] = None,
    mean_log2_fold_change: FoldChange = 2.0,
    min_log2_fold_change: Annotated[float, typer.Option(help="Least absolute log2 fold change of these.")] = 1.0,
    batch_shift: Annotated[float, typer.Option(help="Least absolute log2 shift of the shifted genes.")] = 1.0,
    batch_shift_share: Annotated[float, typer.Option(help="Share of the genes that a batch shifts so far.")] = 0.1,
    n_modules: Modules = 0,
    library_size: Annotated[
        float, typer.Option(help="Median number of counts of a sample.", show_default="10 million")
    ] = 1e7,
    force: Force = False,
) -> None:
    """Write bulk counts."""
    simulate("bulk", **locals())


@app.command("single-cell", help=_SINGLE_CELL)
def single_cell(
    out: File,
    seed: Seed = 0,
    n_datasets: NDatasets = 1,
    n_cells: Annotated[int, typer.Option(help="Cells.")] = 2000,
    n_genes: Genes = 1000,
    n_types: Annotated[int, typer.Option(help="Cell types.")] = 4,
    n_batches: Batches = 2,
    n_groups: Groups = 2,
    n_de: Annotated[
        int | None, typer.Option(help="Genes that differ from group 1, in each group. Default: a tenth.")
    ] = None,
    mean_log2_fold_change: FoldChange = 1.5,
    n_modules: Modules = 5,
    library_size: Annotated[
        tuple[float, float], typer.Option(metavar="MEDIAN SD", help="Counts of a cell: median, and SD of the log.")
    ] = (2000.0, 0.4),
    dropout: Annotated[
        float | None, typer.Option(help="Expected share of the counts above zero that is lost. Default: 0.2.")
    ] = None,
    force: Force = False,
) -> None:
    """Write single-cell counts."""
    simulate("single-cell", **locals())


@app.command("cohort", help=_COHORT)
def cohort(
    out: Folder,
    seed: Seed = 0,
    n_datasets: NDatasets = 1,
    n_samples: Samples = 300,
    n_drugs: Drugs = 40,
    n_genes: Genes = 500,
    n_mutations: Annotated[int, typer.Option(help="Genes whose mutations are known.")] = 120,
    n_targets: Annotated[int, typer.Option(help="Targets of the drugs.")] = 8,
    n_tissues: Annotated[int, typer.Option(help="Tissues.")] = 6,
    noise_sd: Annotated[float, typer.Option(help="Standard deviation of the noise, in ln µM.")] = 0.5,
    missing: Annotated[float, typer.Option(help="Share of the pairs that were not measured.")] = 0.2,
    force: Force = False,
) -> None:
    """Write the tables of a drug screen."""
    simulate("cohort", **locals())


@app.command("perturbation", help=_PERTURBATION)
def perturbation(
    out: File,
    seed: Seed = 0,
    n_datasets: NDatasets = 1,
    n_genes: Genes = 978,
    n_drugs: Drugs = 20,
    n_pairs: Annotated[int, typer.Option(help="Pairs of drugs.")] = 18,
    interacting: Annotated[float, typer.Option(help="Share of the pairs that interact.", show_default="two thirds")] = 2
    / 3,
    n_plates: Annotated[int, typer.Option(help="Plates.")] = 4,
    n_replicates: Annotated[int, typer.Option(help="Wells of each treatment.")] = 3,
    noise_sd: Annotated[float, typer.Option(help="Standard deviation of the noise, in log2 units.")] = 0.25,
    force: Force = False,
) -> None:
    """Write wells of treated and untreated cells."""
    simulate("perturbation", **locals())


@app.command("aging", help=_AGING)
def aging(
    out: File,
    seed: Seed = 0,
    n_datasets: NDatasets = 1,
    n_samples: Samples = 400,
    n_genes: Genes = 5000,
    n_age_genes: Annotated[int, typer.Option(help="Genes that change with age.")] = 500,
    late: Annotated[float, typer.Option(help="Share of them that change from 60 years on only.")] = 0.2,
    n_sex_genes: Annotated[int, typer.Option(help="Genes that differ between the sexes.")] = 50,
    n_batches: Batches = 2,
    scale: Annotated[str, typer.Option(help="counts, or log2_tpm: log2(TPM + 1) of these.")] = "counts",
    force: Force = False,
) -> None:
    """Write expression of donors of all ages."""
    simulate("aging", **locals())
