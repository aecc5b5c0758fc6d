"""Simulated expression after treatment, with its truth: plates, doses, single drugs, and pairs."""

from __future__ import annotations

from dataclasses import dataclass

import anndata as ad
import numpy as np
import pandas as pd
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.special import expit

from cellixir.data.simulate.compounds import compounds
from cellixir.data.simulate.ranges import is_number, wrong_counts, wrong_numbers, wrong_ranges
from cellixir.data.simulate.truth import labels, numbered, refuse, with_truth

Floats = NDArray[np.float64]

#: What stands for a drug where there is none.
NO_DRUG = "none"
#: Log2 expression of the genes in untreated cells: mean, standard deviation, and the range that is kept.
BASE, BASE_SD, BASE_RANGE = 7.0, 1.5, (4.0, 11.0)
#: Range of the share of a module's change that a gene takes.
LOADING = (0.5, 1.5)


@dataclass(frozen=True, kw_only=True)
class PerturbationSettings:
    """What `simulate_perturbation` was asked for; its docstring says what each means."""

    n_genes: int
    n_drugs: int
    n_pairs: int
    n_modules: int
    modules_per_drug: int
    doses_um: tuple[float, ...]
    pair_doses_um: tuple[float, ...]
    ec50_um: tuple[float, float]
    hill_slope: tuple[float, float]
    effect: tuple[float, float]
    interacting: float
    interaction: float
    n_plates: int
    n_controls: int
    n_replicates: int
    plate_sd: float
    noise_sd: float
    seed: int

    def __post_init__(self) -> None:
        counts = ("n_genes", "n_drugs", "n_modules", "modules_per_drug", "n_plates", "n_controls", "n_replicates")
        # Numbers first: what follows compares them.
        refuse(
            "a perturbation screen",
            {
                **wrong_counts(self, *counts),
                **wrong_counts(self, "n_pairs", "seed", least=0),
                **wrong_numbers(self, "plate_sd", "noise_sd", what="a standard deviation"),
                **wrong_numbers(self, "interaction"),
                **wrong_numbers(self, "interacting", most=1, what="a share of the pairs"),
                **wrong_ranges(self, "ec50_um", "hill_slope", "effect", open_below=True),
                **_wrong_doses(self, "doses_um", "pair_doses_um"),
            },
        )
        refuse("a perturbation screen", self._wrong_sizes())

    def _wrong_sizes(self) -> dict[str, bool]:
        most = self.n_drugs * (self.n_drugs - 1) // 2
        return {
            f"n_pairs={self.n_pairs}; {self.n_drugs} drugs make at most {most}": self.n_pairs > most,
            f"n_modules={self.n_modules}; {self.n_genes} genes fill at most {self.n_genes}": (
                self.n_modules > self.n_genes
            ),
            f"modules_per_drug={self.modules_per_drug}; there are n_modules={self.n_modules}": (
                self.modules_per_drug > self.n_modules
            ),
            f"pair_doses_um={self.pair_doses_um}; give some of doses_um={self.doses_um}": not (
                set(self.pair_doses_um) <= set(self.doses_um)
            ),
        }


def _wrong_doses(settings: PerturbationSettings, *names: str) -> dict[str, bool]:
    given = {name: getattr(settings, name) for name in names}
    return {
        f"{name}={doses!r}; give doses above 0, each once": not (
            isinstance(doses, tuple | list)
            and all(is_number(dose, open_below=True) for dose in doses)
            and len(set(doses)) == len(doses) > 0
        )
        for name, doses in given.items()
    }


def hill(dose: Floats, ec50: Floats, slope: Floats) -> Floats:
    """Share of the full effect that a dose reaches: 0 without the drug, one half at the EC50.

    >>> hill(np.array([0.0, 2.0, 6.0]), np.array(2.0), np.array(1.0)).tolist()
    [0.0, 0.5, 0.75]
    """
    with np.errstate(divide="ignore"):
        return np.asarray(expit(slope * np.log(dose / ec50)), dtype=np.float64)


def simulate_perturbation(
    *,
    n_genes: int = 978,
    n_drugs: int = 20,
    n_pairs: int = 18,
    n_modules: int = 12,
    modules_per_drug: int = 2,
    doses_um: tuple[float, ...] = (0.04, 0.12, 0.37, 1.1, 3.3, 10.0),
    pair_doses_um: tuple[float, ...] = (1.1, 10.0),
    ec50_um: tuple[float, float] = (0.1, 3.0),
    hill_slope: tuple[float, float] = (0.8, 2.5),
    effect: tuple[float, float] = (0.8, 2.0),
    interacting: float = 2 / 3,
    interaction: float = 1.0,
    n_plates: int = 4,
    n_controls: int = 16,
    n_replicates: int = 3,
    plate_sd: float = 0.4,
    noise_sd: float = 0.25,
    seed: int = 0,
) -> ad.AnnData:
    """Simulated wells x genes (log2 expression, float32): untreated controls, single drugs and pairs on plates.

    The expression of gene ``g`` in a well of plate ``p`` with drugs ``i`` and ``j`` at doses ``a`` and ``b`` is::

        x(g) = base(g) + plate(g, p) + h_i(a) v_i(g) + h_j(b) v_j(g) + h_i(a) h_j(b) u_ij(g) + noise
        h_i(a) = a^n / (a^n + EC50^n)

    Every gene is in one module. A drug moves some modules up or down, and with them all their genes: ``v`` is the
    change of the module times the gene's share in it. A pair that interacts does so in the module that its two drugs
    together move most: a synergistic one moves it further in the same direction, an antagonistic one moves it back.
    All other pairs add up in log2 expression.

    The scale is ``log2_tpm``, of genes that are part of a larger transcriptome: they do not sum to a million. A value
    that would be below 0 is 0.

    Parameters
    ----------
    n_genes, n_drugs, n_pairs, n_modules
        Sizes. Genes are dealt out evenly to modules.
    modules_per_drug
        Modules that a drug moves.
    doses_um
        Doses of single drugs, in µM.
    pair_doses_um
        Doses of pairs, some of `doses_um`; each dose of one drug meets each of the other.
    ec50_um, hill_slope
        Least and greatest EC50 (log-uniform, in µM) and slope.
    effect
        Least and greatest change of a module at a saturating dose, in log2 units.
    interacting
        Share of the pairs that interact; every other one of them is synergistic.
    interaction
        Change of the module by the interaction where both drugs saturate, in log2 units.
    n_plates, n_controls
        Plates, and untreated wells on each.
    n_replicates
        Wells of a treatment, on one plate after the other.
    plate_sd, noise_sd
        Standard deviations of a plate's shift of a gene against plate 1, and of the noise, in log2 units.
    seed
        Equal seeds give equal data.

    Returns
    -------
    AnnData
        ``obs``: ``perturbation`` (``DMSO``, ``A``, ``A+B``), ``dose`` (µM as text), ``plate``, ``drug_1``,
        ``dose_1_um``, ``drug_2``, ``dose_2_um`` (``none`` and 0 where there is no drug), ``is_control``, ``replicate``.
        The truth: ``var`` has ``mean`` (untreated, on plate 1), ``module`` and ``loading``; ``varm`` has
        ``drug_effect`` (genes x drugs, at a saturating dose), ``interaction`` (genes x pairs) and ``log2_plate_shift``
        (against plate 1); ``uns["drugs"]`` and ``uns["pairs"]`` are tables; the layer ``log2_fold_change`` is the
        expected change of each well.

    Raises
    ------
    ConfigurationError
        If a size, a dose or a range cannot be, or sizes do not go together.
    """
    settings = PerturbationSettings(**locals())
    rng = np.random.default_rng(seed)
    var = _genes(settings, rng)
    drugs = _drugs(settings, rng)
    pairs = _pairs(settings, drugs, rng)
    drug_effect = _on_genes(drugs[numbered("module", n_modules)], var)
    joint_effect = _on_genes(_module_changes(pairs, n_modules), var)
    obs = _wells(settings, drugs.index, pairs)
    change = _change(obs, drugs, drug_effect, joint_effect)
    plate_shift = rng.normal(scale=plate_sd, size=(n_genes, n_plates))
    plate_shift[:, 0] = 0.0
    values = var["mean"].to_numpy() + plate_shift.T[obs["plate"].cat.codes] + change
    values += rng.normal(scale=noise_sd, size=values.shape)
    adata = ad.AnnData(np.maximum(values, 0).astype(np.float32), obs, var)
    adata.layers["log2_fold_change"] = change.astype(np.float32)
    adata.varm.update(drug_effect=drug_effect, interaction=joint_effect, log2_plate_shift=plate_shift)
    adata.uns.update(name="perturbation", scale="log2_tpm", scale_guessed=False, drugs=drugs, pairs=pairs)
    return with_truth(adata, settings, kind="perturbation")


def _genes(settings: PerturbationSettings, rng: Generator) -> pd.DataFrame:
    """Untreated expression of each gene, its module, and its share in what the module does."""
    n, names = settings.n_genes, numbered("module", settings.n_modules)
    mean = np.clip(rng.normal(BASE, BASE_SD, n), *BASE_RANGE)
    module = rng.permutation(np.arange(n) % settings.n_modules)
    columns = {
        "mean": mean,
        "module": labels(module, names),
        "loading": rng.uniform(*LOADING, size=n),
    }
    return pd.DataFrame(columns, index=pd.Index(numbered("GENE", n, width=4), dtype=object))


def _drugs(settings: PerturbationSettings, rng: Generator) -> pd.DataFrame:
    """Drugs by id, with EC50, slope and the change of each module; those that move one module most share a scaffold."""
    n, n_modules = settings.n_drugs, settings.n_modules
    chosen = rng.permuted(np.tile(np.arange(n_modules), (n, 1)), axis=1)[:, : settings.modules_per_drug]
    sizes = rng.uniform(*settings.effect, size=chosen.shape) * rng.choice([-1.0, 1.0], size=chosen.shape)
    moved = np.zeros((n, n_modules))
    np.put_along_axis(moved, chosen, sizes, axis=1)
    drugs = compounds(np.abs(moved).argmax(axis=1).tolist(), numbered("D", n, width=3))
    low, high = np.log(settings.ec50_um)
    drugs["ec50_um"] = np.exp(rng.uniform(low, high, size=n))
    drugs["hill_slope"] = rng.uniform(*settings.hill_slope, size=n)
    return drugs.join(pd.DataFrame(moved, drugs.index, numbered("module", n_modules)))


def _pairs(settings: PerturbationSettings, drugs: pd.DataFrame, rng: Generator) -> pd.DataFrame:
    """Pairs by name, with the kind of the interaction, its module, and the change of the module where both saturate."""
    every = np.column_stack(np.triu_indices(len(drugs), k=1))
    first, second = rng.permutation(every)[: settings.n_pairs].T
    moved = drugs[numbered("module", settings.n_modules)].to_numpy()
    together = moved[first] + moved[second]
    module = np.abs(together).argmax(axis=1)
    number = rng.permutation(settings.n_pairs)
    sign = np.where(number < round(settings.interacting * settings.n_pairs), 1 - 2 * (number % 2), 0)
    kinds = np.array(["none", "synergistic", "antagonistic"])
    change = sign * np.sign(together[np.arange(len(module)), module]) * settings.interaction + 0.0  # no -0
    one, other = drugs.index[first], drugs.index[second]
    names = pd.Index([f"{a}+{b}" for a, b in zip(one, other, strict=True)], dtype=object, name="pair")
    return pd.DataFrame(
        {
            "drug_1": one,
            "drug_2": other,
            "interaction": kinds[sign],
            "module": [f"module{m + 1}" if s else "none" for m, s in zip(module, sign, strict=True)],
            "change": change,
        },
        index=names,
    )


def _module_changes(pairs: pd.DataFrame, n_modules: int) -> pd.DataFrame:
    """Change of each module by the interaction of each pair."""
    names = numbered("module", n_modules)
    changes = {name: pairs["change"].where(pairs["module"] == name, 0.0) for name in names}
    return pd.DataFrame(changes, index=pairs.index)


def _on_genes(by_module: pd.DataFrame, var: pd.DataFrame) -> pd.DataFrame:
    """Changes of modules as changes of their genes, genes x rows of the table."""
    share = np.zeros((len(var), by_module.shape[1]))
    share[np.arange(len(var)), var["module"].cat.codes] = var["loading"]
    return pd.DataFrame(share @ by_module.to_numpy().T, var.index, by_module.index.rename(None))


def _wells(settings: PerturbationSettings, drugs: pd.Index, pairs: pd.DataFrame) -> pd.DataFrame:
    """One row a well, plate by plate; replicates of a treatment stand on one plate after the other."""
    grid = [(a, b) for a in settings.pair_doses_um for b in settings.pair_doses_um]
    treatments = [(drug, dose, NO_DRUG, 0.0) for drug in drugs for dose in settings.doses_um]
    treatments += [(i, a, j, b) for i, j in zip(pairs["drug_1"], pairs["drug_2"], strict=True) for a, b in grid]
    treated = [
        ((number + replicate) % settings.n_plates, *treatment, False, replicate + 1)
        for number, treatment in enumerate(treatments)
        for replicate in range(settings.n_replicates)
    ]
    controls = [
        (plate, NO_DRUG, 0.0, NO_DRUG, 0.0, True, replicate + 1)
        for plate in range(settings.n_plates)
        for replicate in range(settings.n_controls)
    ]
    rows = sorted(controls + treated, key=lambda well: well[0])
    columns = ["plate", "drug_1", "dose_1_um", "drug_2", "dose_2_um", "is_control", "replicate"]
    wells = pd.DataFrame(rows, columns=columns, index=numbered("well", len(rows), width=4))
    wells["plate"] = labels(wells["plate"].to_numpy(), numbered("plate", settings.n_plates))
    wells["perturbation"], wells["dose"] = _said(wells)
    for column in ("drug_1", "drug_2"):
        wells[column] = pd.Categorical(wells[column], [NO_DRUG, *drugs])
    return wells


def _said(wells: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """Perturbation and dose in µM as one text each: DMSO and none, A and 10, A+B and 1.1+10."""
    pair, control = wells["drug_2"] != NO_DRUG, wells["is_control"]
    drug, dose = wells["drug_1"].astype(str), wells["dose_1_um"].astype(str)
    drug = drug.where(~pair, drug + "+" + wells["drug_2"].astype(str))
    dose = dose.where(~pair, dose + "+" + wells["dose_2_um"].astype(str))
    return drug.where(~control, "DMSO").astype("category"), dose.where(~control, "").astype("category")


def _change(wells: pd.DataFrame, drugs: pd.DataFrame, effect: pd.DataFrame, joint: pd.DataFrame) -> Floats:
    """Expected log2 fold change of each well against untreated cells of its plate, wells x genes."""
    total: Floats = np.zeros((len(wells), len(effect)))
    reached = np.ones(len(wells))
    for column, dose in (("drug_1", "dose_1_um"), ("drug_2", "dose_2_um")):
        number = drugs.index.get_indexer(
            pd.Index(wells[column].astype(object))
        )  # -1, the last drug, has a dose of 0 there
        ec50, slope = drugs["ec50_um"].to_numpy()[number], drugs["hill_slope"].to_numpy()[number]
        share = hill(wells[dose].to_numpy(), ec50, slope)
        total += share[:, None] * effect.to_numpy().T[number]
        reached *= share
    pair = joint.columns.get_indexer(pd.Index(wells["drug_1"].astype(str) + "+" + wells["drug_2"].astype(str)))
    both = pair >= 0
    total[both] += reached[both, None] * joint.to_numpy().T[pair[both]]
    return total
