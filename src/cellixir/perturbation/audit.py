"""Audit of a perturbation screen's folds: whether what is tested stands in training under another name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cellixir.data.audit.findings import SHOWN, Audit, Finding, sorted_audit
from cellixir.data.audit.identity import molecule_groups, scaffold
from cellixir.exceptions import counted, examples
from cellixir.perturbation.wells import conditions_of, drugs_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import anndata as ad

    from cellixir.perturbation.splits import Fold


def audit_effects(effects: ad.AnnData, split: str, folds: Sequence[Fold]) -> Audit:
    """What lets an effect be known from training wells: replicates, one molecule under two names, equal wells.

    Parameters
    ----------
    effects
        As of `effects_of`.
    split, folds
        How wells are dealt out.

    Returns
    -------
    Audit
        Findings, leaks first, and what was looked at.
    """
    drugs = drugs_of(effects.obs.loc[~effects.obs["is_control"], "perturbation"])
    smiles = effects.uns["smiles"].reindex(drugs)
    checks = {
        "wells": effects.n_obs,
        "folds": len(folds),
        "drugs": len(drugs),
        "drugs with a structure": int(smiles.notna().sum()),
    }
    found = [*_replicates(effects, folds), *_equal_wells(effects, folds)]
    if split in ("drug", "scaffold"):
        found += [*_molecules(effects, folds, drugs, smiles), *_scaffolds(effects, folds, smiles, split)]
    return sorted_audit(found, checks)


def _replicates(effects: ad.AnnData, folds: Sequence[Fold]) -> Iterator[Finding]:
    condition = conditions_of(effects.obs)
    both = set().union(*(set(condition[f.train]) & set(condition[f.test]) for f in folds))
    if both:
        rows = np.flatnonzero(np.isin(condition, list(both)))
        what = f"{counted(len(both), 'condition')} have wells in training and test of one fold"
        ids = tuple(pd.unique(effects.obs["perturbation"].iloc[rows]).astype(str))
        yield Finding(
            "replicate", "leak", f"{what} ({examples(ids)}): make the folds with make_folds", ids[:SHOWN], len(rows)
        )


def _equal_wells(effects: ad.AnnData, folds: Sequence[Fold]) -> Iterator[Finding]:
    """Wells with the same numbers on two sides: a copied well, or one well under two names."""
    x = np.asarray(effects.X, dtype=np.float32)
    code = pd.factorize(np.array([row.tobytes() for row in x + np.float32(0)], dtype=object))[0]
    both = set().union(*(set(code[f.train]) & set(code[f.test]) for f in folds))
    rows = np.flatnonzero(np.isin(code, list(both)) & (np.abs(x).sum(axis=1) > 0))
    if len(rows):
        ids = tuple(map(str, effects.obs_names[rows]))
        copies = f"{counted(len(rows), 'well')} have the values of a well on the other side ({examples(ids)})"
        yield Finding("duplicate-features", "leak", f"{copies}: drop the copies", ids[:SHOWN], len(rows))


def _molecules(
    effects: ad.AnnData, folds: Sequence[Fold], drugs: Sequence[str], smiles: pd.Series
) -> Iterator[Finding]:
    group = dict(zip(drugs, molecule_groups(pd.DataFrame({"name": drugs, "smiles": smiles.to_numpy()})), strict=True))
    names = effects.obs["perturbation"].astype(str)
    for fold in folds:
        sides = [{group[d] for d in drugs_of(names.iloc[rows])} for rows in (fold.train, fold.test)]
        if both := sides[0] & sides[1]:
            ids = tuple(drug for drug in drugs if group[drug] in both)
            what = f"{examples(ids)} are in training and test of fold {fold.number}, or one molecule of both"
            yield Finding("same-molecule", "leak", f"{what}: deal them out together", ids[:SHOWN], len(ids))
            return


def _scaffolds(effects: ad.AnnData, folds: Sequence[Fold], smiles: pd.Series, split: str) -> Iterator[Finding]:
    kind = {str(name): scaffold(text) for name, text in smiles.dropna().items()}
    names, shared = effects.obs["perturbation"].astype(str), set()
    for fold in folds if split == "drug" else ():
        trained = {kind.get(d) for d in drugs_of(names.iloc[fold.train])} - {None}
        shared |= {d for d in drugs_of(names.iloc[fold.test]) if kind.get(d) in trained}
    if shared:
        ids = tuple(sorted(shared))
        what = f"{len(ids):,} of {len(kind):,} drugs have, when they are tested, the scaffold of a training drug"
        way_out = "usual under drug; --split scaffold leaves it out"
        yield Finding("scaffold", "warning", f"{what} ({examples(ids)}): {way_out}", ids[:SHOWN], len(ids))
