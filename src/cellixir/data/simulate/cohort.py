"""Simulated drug screen, with its truth: the biomarkers that decide which samples respond."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import anndata as ad
import numpy as np
import pandas as pd
from numpy.random import Generator
from numpy.typing import NDArray

from cellixir.data.simulate.cohort_plan import (
    CohortSettings,
    draw_biomarkers,
    draw_drugs,
    draw_expression,
    draw_mutations,
    planted_response,
    role_of,
    tissue_table,
)
from cellixir.data.simulate.truth import numbered, with_truth
from cellixir.files import whole

if TYPE_CHECKING:
    from cellixir.data.response_data import ResponseData

#: Mean ln IC50 of all pairs before the effects, in ln µM.
MEAN = 2.5


@dataclass(frozen=True, eq=False)
class Cohort:
    """A simulated drug screen and the truth behind it; effects are in ln µM, below 0 sensitising.

    Attributes
    ----------
    settings
        What was asked for.
    expression
        log2(TPM + 1), samples x genes; ``obs["tissue"]``, ``var["role"]`` (target, modifier or none).
    mutations
        0 or 1, samples x features ``<gene>_mut``; the same annotation.
    drugs
        By id: ``name``, ``smiles``, ``targets`` (a gene; None where the drug has none) and ``pathway``.
    responses
        Measured pairs: ``sample``, ``drug``, ``ln_ic50`` in ln µM.
    biomarkers
        One row a drug and feature: ``drug``, ``feature``, ``kind`` (mutation or expression), ``effect`` (on carriers,
        or per log2 unit of expression), ``effect_per_sd`` and ``direction`` (sensitising or resistance).
    drug_effects, sample_effects
        Main effects, by drug and by sample.
    tissue_effects
        What a tissue adds to the response to a drug, tissues x drugs.
    expected
        Response of every pair without noise, samples x drugs.
    """

    settings: CohortSettings
    expression: ad.AnnData
    mutations: ad.AnnData
    drugs: pd.DataFrame
    responses: pd.DataFrame
    biomarkers: pd.DataFrame
    drug_effects: pd.Series
    sample_effects: pd.Series
    tissue_effects: pd.DataFrame
    expected: pd.DataFrame

    @property
    def samples(self) -> pd.DataFrame:
        """Annotation by sample id: ``tissue``, as text."""
        return pd.DataFrame({"tissue": self.expression.obs["tissue"].astype(str).astype(object)})

    def response_data(self) -> ResponseData:
        """The measured pairs with views ``expression`` and ``mutations``, as models take them; no truth is in it."""
        from cellixir.data.response_data import ResponseData

        return ResponseData.join(
            self.responses.rename(columns={"ln_ic50": "response"}),
            views={"expression": _bare(self.expression), "mutations": _bare(self.mutations)},
            samples=self.samples,
            drugs=self.drugs,
            measure="LN_IC50",
            unit="ln µM",
            source=f"simulated (seed {self.settings.seed})",
        )

    def write(self, folder: str | Path) -> list[Path]:
        """Files that were written: tables as ``cellixir response benchmark`` reads them, and ``truth/``.

        Raises
        ------
        WriteError
            If the folder cannot be made or written to.
        """
        tables = {
            "responses.csv": self.responses.set_index("sample"),
            "expression.csv": self.expression.to_df().rename_axis("sample"),
            "mutations.csv": self.mutations.to_df().astype(np.int64).rename_axis("sample"),
            "drugs.csv": self.drugs.rename_axis("drug_id"),
            "samples.csv": self.samples.rename_axis("sample"),
            "truth/biomarkers.csv": self.biomarkers.set_index("drug"),
            "truth/drug_effects.csv": self.drug_effects.to_frame(),
            "truth/sample_effects.csv": self.sample_effects.to_frame(),
            "truth/tissue_effects.csv": self.tissue_effects,
            "truth/expected.csv": self.expected,
        }
        for name, table in tables.items():
            with whole(Path(folder) / name) as partial:
                table.to_csv(partial)
        settings = Path(folder) / "truth/settings.json"
        with whole(settings) as partial:
            partial.write_text(json.dumps(asdict(self.settings), indent=1) + "\n", encoding="utf-8")
        return [*(Path(folder) / name for name in tables), settings]


def simulate_cohort(
    *,
    n_samples: int = 300,
    n_drugs: int = 40,
    n_genes: int = 500,
    n_mutations: int = 120,
    n_targets: int = 8,
    n_tissues: int = 6,
    genes_per_target: int = 2,
    untargeted: float = 0.1,
    mutation_effect: tuple[float, float] = (1.0, 2.5),
    expression_effect: tuple[float, float] = (0.4, 1.0),
    drug_sd: float = 2.0,
    sample_sd: float = 0.7,
    tissue_sd: float = 0.5,
    noise_sd: float = 0.5,
    missing: float = 0.2,
    seed: int = 0,
) -> Cohort:
    """A simulated drug screen: expression, mutations, drugs, ln IC50, and the biomarkers that were planted.

    The ln IC50 of sample ``s`` of tissue ``t`` under drug ``d`` is::

        y(s, d) = 2.5 + a(d) + b(s) + c(t, d) + sum over the biomarkers f of d: (x(s, f) - centre(f)) e(f, d) + noise

    with ``a``, ``b`` and ``c`` normal. A target is a gene; its own mutation and its own expression sensitise, those of
    the target's other genes make resistant, alternately where there are more than two. ``centre`` is 0 for mutations
    and the mean for expression. Drugs of one target share these genes and a chemical scaffold, and differ in potency
    (0.8 to 1.2 times the effects of the target).

    Expression is normal around the gene and the tissue in log2 units, and then scaled so that the genes of a sample sum
    to a million. A mutation's frequency, 0.1 to 0.3 for biomarkers and 0.02 to 0.15 for others, depends on the tissue.

    Parameters
    ----------
    n_samples, n_drugs, n_genes, n_tissues
        Sizes. Tissues and targets are dealt out evenly.
    n_mutations
        Genes whose mutations are known.
    n_targets
        Targets of the drugs.
    genes_per_target
        Genes, no two targets' the same, that decide who responds; each does so by its mutation and its expression.
    untargeted
        Share of the drugs that have neither target nor biomarker.
    mutation_effect
        Least and greatest size of a target's effect on carriers, in ln µM.
    expression_effect
        The same, for one standard deviation of expression.
    drug_sd, sample_sd, tissue_sd, noise_sd
        Standard deviations of ``a``, ``b``, ``c`` and the noise, in ln µM.
    missing
        Share of the pairs that were not measured, at random.
    seed
        Equal seeds give equal data.

    Raises
    ------
    ConfigurationError
        If a size, a share or a spread cannot be, or sizes do not go together.
    """
    settings = CohortSettings(**locals())
    rng = np.random.default_rng(seed)
    samples = pd.Index(numbered("S", n_samples, width=3), dtype=object)
    tissue = rng.permutation(np.arange(n_samples) % n_tissues)
    acting = rng.permutation(n_mutations)[: n_targets * genes_per_target].reshape(n_targets, genes_per_target)
    obs = tissue_table(tissue, samples)
    views = {
        "expression": draw_expression(settings, tissue, obs, rng),
        "mutation": draw_mutations(settings, tissue, acting, obs, rng),
    }
    for view in views.values():
        view.var["role"] = role_of(acting, view.n_vars)
        with_truth(view, settings, kind="cohort")
    target, drugs = draw_drugs(settings, acting, rng)
    biomarkers = draw_biomarkers(settings, target, acting, drugs.index, views, rng)
    effects = _main_effects(settings, samples, drugs.index, rng)
    expected = _expected(biomarkers, views, effects, tissue)
    responses = _measured(expected, settings, rng)
    return Cohort(settings, views["expression"], views["mutation"], drugs, responses, biomarkers, *effects, expected)


def _main_effects(
    settings: CohortSettings, samples: pd.Index, drugs: pd.Index, rng: Generator
) -> tuple[pd.Series, pd.Series, pd.DataFrame]:
    """Effects of drugs, of samples, and of tissues on drugs."""
    by_drug = rng.normal(scale=settings.drug_sd, size=len(drugs))
    by_sample = rng.normal(scale=settings.sample_sd, size=len(samples))
    by_tissue = rng.normal(scale=settings.tissue_sd, size=(settings.n_tissues, len(drugs)))
    tissues = pd.Index(numbered("tissue", settings.n_tissues), dtype=object, name="tissue")
    return (
        pd.Series(by_drug, drugs, name="effect"),
        pd.Series(by_sample, samples.rename("sample"), name="effect"),
        pd.DataFrame(by_tissue, tissues, drugs),
    )


def _expected(
    biomarkers: pd.DataFrame,
    views: dict[str, ad.AnnData],
    effects: tuple[pd.Series, pd.Series, pd.DataFrame],
    tissue: NDArray[np.int64],
) -> pd.DataFrame:
    """Response without noise, samples x drugs."""
    by_drug, by_sample, by_tissue = effects
    planted = planted_response(biomarkers, views, by_drug.index)
    main = MEAN + by_drug.to_numpy() + by_sample.to_numpy()[:, None]
    return pd.DataFrame(main + by_tissue.to_numpy()[tissue] + planted, by_sample.index, by_drug.index)


def _measured(expected: pd.DataFrame, settings: CohortSettings, rng: Generator) -> pd.DataFrame:
    """Pairs that were measured, with noise."""
    pairs = pd.MultiIndex.from_product([expected.index, expected.columns]).to_frame(index=False)
    noisy = expected.to_numpy().ravel() + rng.normal(scale=settings.noise_sd, size=len(pairs))
    rows = np.sort(rng.permutation(len(pairs))[round(settings.missing * len(pairs)) :])
    return pairs.assign(ln_ic50=noisy).iloc[rows].reset_index(drop=True)


def _bare(view: ad.AnnData) -> ad.AnnData:
    """The view without what was planted."""
    known = {key: value for key, value in view.uns.items() if key != "truth"}
    return ad.AnnData(view.X.copy(), view.obs.copy(), pd.DataFrame(index=view.var_names), uns=known)
