"""Plan of a simulated drug screen: settings, features of samples, drugs and biomarkers."""

from __future__ import annotations

from dataclasses import dataclass

import anndata as ad
import numpy as np
import pandas as pd
from numpy.random import Generator
from numpy.typing import NDArray

from cellixir.data.simulate.compounds import compounds
from cellixir.data.simulate.ranges import wrong_counts, wrong_numbers, wrong_ranges
from cellixir.data.simulate.truth import numbered, refuse

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]

#: Log2 expression: spread of the genes, of tissues around a gene, of samples around a tissue.
GENE_SD, TISSUE_GENE_SD, SAMPLE_GENE_SD = 2.0, 0.5, 1.0
#: Spread of the log-odds of a mutation between tissues.
TISSUE_LOG_ODDS_SD = 0.7
#: Range of what a drug makes of the effects of its target's biomarkers.
POTENCY = (0.8, 1.2)


@dataclass(frozen=True, kw_only=True)
class CohortSettings:
    """What `simulate_cohort` was asked for; its docstring says what each means."""

    n_samples: int
    n_drugs: int
    n_genes: int
    n_mutations: int
    n_targets: int
    n_tissues: int
    genes_per_target: int
    untargeted: float
    mutation_effect: tuple[float, float]
    expression_effect: tuple[float, float]
    drug_sd: float
    sample_sd: float
    tissue_sd: float
    noise_sd: float
    missing: float
    seed: int

    def __post_init__(self) -> None:
        counts = ("n_samples", "n_drugs", "n_genes", "n_mutations", "n_targets", "n_tissues", "genes_per_target")
        spreads = ("drug_sd", "sample_sd", "tissue_sd", "noise_sd")
        # Numbers first: what follows compares them.
        refuse(
            "a cohort",
            {
                **wrong_counts(self, *counts),
                **wrong_counts(self, "seed", least=0),
                **wrong_numbers(self, *spreads, what="a standard deviation"),
                **wrong_numbers(self, "untargeted", most=1, what="a share of the drugs"),
                **wrong_numbers(self, "missing", most=1, what="a share of the pairs"),
                **wrong_ranges(self, "mutation_effect", "expression_effect"),
            },
        )
        refuse("a cohort", self._wrong_sizes())

    def _wrong_sizes(self) -> dict[str, bool]:
        needed = self.n_targets * self.genes_per_target
        pairs = self.n_samples * self.n_drugs
        targeted = self.n_drugs - self.n_untargeted
        return {
            f"n_samples={self.n_samples}; give at least 2, expression has no spread in one": self.n_samples < 2,
            f"n_genes={self.n_genes}; give at least 2, one gene alone is a million transcripts in every sample": (
                self.n_genes < 2
            ),
            f"n_mutations={self.n_mutations}; {self.n_targets} targets of {self.genes_per_target} genes need at least "
            f"{needed}": self.n_mutations < needed,
            f"n_genes={self.n_genes}; mutations are of genes, so {self.n_mutations} mutations need as many": (
                self.n_genes < self.n_mutations
            ),
            f"n_tissues={self.n_tissues}; {self.n_samples} samples fill at most {self.n_samples}": (
                self.n_tissues > self.n_samples
            ),
            f"n_targets={self.n_targets}; the {targeted} drugs that have a target fill at most {targeted}": (
                self.n_targets > targeted > 0
            ),
            f"missing={self.missing}; no pair would be left, so give a smaller share": (
                round(self.missing * pairs) == pairs
            ),
        }

    @property
    def n_untargeted(self) -> int:
        """Drugs without a target, and so without biomarkers."""
        return round(self.untargeted * self.n_drugs)


def tissue_table(tissue: Whole, samples: pd.Index) -> pd.DataFrame:
    """Annotation of the samples: ``tissue``, categorical."""
    names = numbered("tissue", int(tissue.max()) + 1)
    return pd.DataFrame({"tissue": pd.Categorical([names[t] for t in tissue], names)}, index=samples)


def draw_expression(settings: CohortSettings, tissue: Whole, obs: pd.DataFrame, rng: Generator) -> ad.AnnData:
    """Log2(TPM + 1), samples x genes; the genes of each sample sum to a million."""
    n_genes = settings.n_genes
    shift = rng.normal(scale=TISSUE_GENE_SD, size=(settings.n_tissues, n_genes))
    log = rng.normal(scale=GENE_SD, size=n_genes) + shift[tissue]
    abundance = np.exp2(log + rng.normal(scale=SAMPLE_GENE_SD, size=log.shape))
    tpm = 1e6 * abundance / abundance.sum(axis=1, keepdims=True)
    view = ad.AnnData(np.log2(tpm + 1).astype(np.float32), obs.copy(), pd.DataFrame(index=_genes(n_genes)))
    view.varm["log2_tissue_shift"] = shift.T
    view.uns.update(name="expression", scale="log2_tpm", scale_guessed=False)
    return view


def draw_mutations(
    settings: CohortSettings, tissue: Whole, acting: Whole, obs: pd.DataFrame, rng: Generator
) -> ad.AnnData:
    """Mutations of the first genes (0 or 1), samples x features; those of biomarkers are the more common ones."""
    n = settings.n_mutations
    rate = rng.uniform(0.02, 0.15, n)
    rate[acting] = rng.uniform(0.1, 0.3, acting.shape)
    log_odds = np.log(rate / (1 - rate)) + rng.normal(scale=TISSUE_LOG_ODDS_SD, size=(settings.n_tissues, n))
    frequency = 1 / (1 + np.exp(-log_odds))  # (n_tissues, n_mutations)
    carried = rng.random((len(tissue), n)) < frequency[tissue]
    names = [f"{gene}_mut" for gene in _genes(settings.n_genes)[:n]]
    view = ad.AnnData(carried.astype(np.float32), obs.copy(), pd.DataFrame(index=names))
    view.varm["frequency"] = frequency.T
    view.uns.update(name="mutations", scale="binary", scale_guessed=False)
    return view


def draw_drugs(settings: CohortSettings, acting: Whole, rng: Generator) -> tuple[Whole, pd.DataFrame]:
    """Number of each drug's target (-1 where it has none), and the drugs by id."""
    n_targeted = settings.n_drugs - settings.n_untargeted
    dealt = np.concatenate([np.arange(n_targeted) % settings.n_targets, np.full(settings.n_untargeted, -1)])
    target = rng.permutation(dealt)
    scaffold = np.where(target < 0, rng.integers(settings.n_targets, size=len(target)), target)
    drugs = compounds(scaffold.tolist(), numbered("D", settings.n_drugs, width=3))
    gene = _genes(settings.n_genes)[acting[:, 0]]
    drugs["targets"] = [gene[t] if t >= 0 else None for t in target]
    drugs["pathway"] = [f"pathway{t // 2 + 1}" if t >= 0 else None for t in target]
    return target, drugs


def draw_biomarkers(
    settings: CohortSettings,
    target: Whole,
    acting: Whole,
    drugs: pd.Index,
    views: dict[str, ad.AnnData],
    rng: Generator,
) -> pd.DataFrame:
    """One row a drug and feature, with the effects that are planted."""
    sign = np.where(np.arange(settings.genes_per_target) % 2, 1.0, -1.0)
    sizes = {"mutation": settings.mutation_effect, "expression": settings.expression_effect}
    potency = rng.uniform(*POTENCY, size=len(drugs))
    tables = []
    for kind, view in views.items():
        of_target = sign * rng.uniform(*sizes[kind], size=acting.shape)  # (n_targets, genes_per_target)
        drug, place = np.nonzero(np.repeat(target[:, None] >= 0, settings.genes_per_target, axis=1))
        feature = acting[target[drug], place]
        effect = of_target[target[drug], place] * potency[drug]
        sd = np.asarray(view.X, dtype=np.float64).std(axis=0)[feature]
        per_unit = {"effect": effect, "effect_per_sd": effect * sd}
        if kind == "expression":
            per_unit = {"effect": effect / sd, "effect_per_sd": effect}
        direction = np.where(sign[place] < 0, "sensitising", "resistance")
        named = {"drug": drugs[drug], "feature": view.var_names[feature], "kind": kind}
        tables.append(pd.DataFrame({**named, **per_unit, "direction": direction}))
    return pd.concat(tables).sort_values("drug", kind="stable", ignore_index=True)


def planted_response(biomarkers: pd.DataFrame, views: dict[str, ad.AnnData], drugs: pd.Index) -> Floats:
    """What the biomarkers add to the response, samples x drugs; expression counts from the mean of its gene."""
    total: Floats = np.zeros((views["mutation"].n_obs, len(drugs)))
    for kind, rows in biomarkers.groupby("kind"):
        effect = rows.pivot(index="feature", columns="drug", values="effect").reindex(columns=drugs).fillna(0.0)
        values = np.asarray(views[str(kind)][:, effect.index].X, dtype=np.float64)
        total += (values - values.mean(axis=0) * (kind == "expression")) @ effect.to_numpy()
    return total


def role_of(acting: Whole, n_features: int) -> pd.Categorical:
    """Role of each feature: ``target``, ``modifier`` (another gene that acts on a target's drugs) or ``none``."""
    role = np.full(n_features, "none", dtype=object)
    role[acting.ravel()] = "modifier"
    role[acting[:, 0]] = "target"
    return pd.Categorical(role, ["none", "modifier", "target"])


def _genes(count: int) -> pd.Index:
    return pd.Index(numbered("GENE", count, width=4), dtype=object)
