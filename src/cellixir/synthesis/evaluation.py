"""How good synthetic expression data are: faithful, useful and private, between a ceiling and a floor."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from cellixir.exceptions import DataError, examples
from cellixir.metrics.catalogue import GENERATIVE
from cellixir.metrics.generative.divergence import gene_statistics
from cellixir.metrics.generative.privacy import NearCopies
from cellixir.metrics.intervals import Interval
from cellixir.synthesis import scores
from cellixir.synthesis.scores import Scores, known, with_intervals
from cellixir.synthesis.truth import checked_truth, contrasts, fold_changes, planted_in, recovered
from cellixir.synthesis.unseen import require_unseen
from cellixir.synthesis.verdicts import CRITERIA, Verdict, row_verdict, verdict
from cellixir.synthesis.yardstick import KEYS, Side, Yardstick, names_of

if TYPE_CHECKING:
    import anndata as ad
    from numpy.typing import NDArray

Run = Callable[..., Scores]
COLUMNS = ["metric", "family", "value", "low", "high", "ceiling", "ceiling_low", "floor", "best", "verdict"]
LEAST = 20
SYNTHETIC = "synthetic data"
MAX_SAMPLES = 2_000
MAP_SAMPLES = 1_000
#: Random halvings of the held-out samples that the ceilings of privacy are means of: as many as there are in that many
#: samples, at least and at most these.
HALVED, HALVINGS = 2_000, (2, 10)
PERPLEXITY = 30.0
#: Near copies that a note names.
NAMED = 50


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What is known about synthetic data.

    Attributes
    ----------
    table
        One row a metric: ``metric, family, value, low, high, ceiling, ceiling_low, floor, best, verdict``. The ceiling
        is what real held-out data reach in the place of the synthetic ones, with the lower end of its interval where a
        share of it is judged; the floor is what training data with shuffled genes do.
    verdicts
        Answers to the three questions: faithful, useful, private?
    genes
        Mean, variance and zero fraction of each gene, real and synthetic, on the compared scale.
    fold_changes
        A row a contrast and gene: ``contrast, gene, real, synthetic, planted, is_de``; empty without groups.
    points
        Real and synthetic samples of the maps: ``kind``, the columns by role, ``PC1``, ``PC2``, and ``t-SNE 1``,
        ``t-SNE 2`` where openTSNE is installed.
    facts
        Sizes, scale, seed and numbers drawn.
    notes
        A sentence for each thing to know.
    """

    table: pd.DataFrame
    verdicts: tuple[Verdict, ...]
    genes: pd.DataFrame
    fold_changes: pd.DataFrame
    points: pd.DataFrame
    facts: Mapping[str, Any]
    notes: tuple[str, ...] = ()

    def value(self, metric: str) -> float:
        """Value of a metric; NaN if it was not computed."""
        found = self.table.loc[self.table["metric"] == metric, "value"]
        return float(found.iloc[0]) if len(found) else float("nan")


def evaluate(
    train: ad.AnnData,
    holdout: ad.AnnData,
    synthetic: ad.AnnData,
    *,
    contrast_key: str | None = None,
    batch_key: str | None = None,
    label_key: str | None = None,
    truth: pd.DataFrame | None = None,
    seed: int = 0,
    max_samples: int = MAX_SAMPLES,
    maps: bool = True,
) -> Evaluation:
    """Fidelity, genes, differential expression, utility and privacy of synthetic data, and three verdicts.

    Counts are compared as log(1 + counts scaled to the median library size of ``train``), other values as they are.
    Geometry is that of the principal components of ``train`` (as many as stand out of noise); privacy is of distances
    over all genes. Precision, density and their like depend on how many samples there are, so real, held-out and
    synthetic samples are drawn in equal numbers: the smallest of the three, at most ``max_samples``.

    The ceiling puts held-out samples in the place of the synthetic ones; for privacy one half of them, while the other
    half is held out; for TSTR it is training on real samples. The floor puts ``train`` there with each gene shuffled
    over samples; for TSTR it is chance, since what shuffled genes predict is an accident.

    A question is answered *yes* if all its criteria are, *no* if one is, *partly* otherwise. For yes / partly:

    * Faithful: precision, recall and the correlation of genes at least .85 / .5 of the ceiling; C2ST at most .15 / .35
      above it (above .5, if that is higher); variances of genes at most .3 / 1 log2 unit farther off than the ceiling.
    * Useful: TSTR at least .9 / .5 of the way from floor to ceiling; F1 of differential expression at least .85 / .5
      of the ceiling; the slope of log2 fold changes within a factor of 1.25 / 2 of the ceiling.
    * Private: at most .001 / .01 more copies than held-out data have; the share closer to training data at most
      .55 / .65 and both attacks on membership at most .6 / .7, or not above .5 by their intervals; authenticity, at the
      upper end of its interval, at least .7 / .4 of the ceiling.

    Parameters
    ----------
    train, holdout
        Real samples the generator was fitted on, and real samples it never saw.
    synthetic
        Of the same genes (in any order) and scale.
    contrast_key, batch_key, label_key
        Columns of ``obs``. Groups are compared by differential expression, with batches as covariate; labels (by
        default the groups) are what classifiers learn. What is not given is not judged.
    truth
        Planted differences: a row a gene, ``log2_fold_change`` and ``is_de``, or a column a group. Default: what a
        simulation has left in ``train``; else the genes that differ in ``train``.
    seed
        Of all draws.
    max_samples
        Most samples of each kind that are compared.
    maps
        Compute t-SNE of up to 2,000 samples, where openTSNE is installed.

    Returns
    -------
    Evaluation
        Metrics with ceiling and floor, verdicts, genes, fold changes and points of the maps.

    Raises
    ------
    GeneMismatch
        If genes differ.
    InvalidValues
        If scales differ or values are not what their scale says.
    UnknownIds
        If a column is not there.
    DataError
        If one of the three has fewer than 20 samples.
    Leakage
        If held-out samples stand among the training or the synthetic ones.

    Examples
    --------
    >>> evaluate(train, holdout, synthetic, contrast_key="group").table  # doctest: +SKIP
    """
    judge = Judge(
        train, holdout, contrast_key=contrast_key, batch_key=batch_key, label_key=label_key, truth=truth, seed=seed,
        max_samples=max_samples,
    )  # fmt: skip
    return judge.judge(synthetic, maps=maps)


class _Draw(NamedTuple):
    """Real training samples that as many synthetic ones are compared with, and what there is between.

    ``clear`` has the intervals of the ceilings that are judged by shares of them.
    """

    train: Side
    ceiling: Scores
    floor: Scores
    clear: Scores


class Judge:
    """Judges any number of synthetic data against the same real data; ceilings and floors are computed once.

    Parameters are those of ``evaluate``.
    """

    def __init__(
        self,
        train: ad.AnnData,
        holdout: ad.AnnData,
        *,
        contrast_key: str | None = None,
        batch_key: str | None = None,
        label_key: str | None = None,
        truth: pd.DataFrame | None = None,
        seed: int = 0,
        max_samples: int = MAX_SAMPLES,
    ) -> None:
        keys = names_of({"group": contrast_key, "batch": batch_key, "label": label_key or contrast_key})
        self.seed, self.max_samples = seed, max_samples
        _require_enough(train=train, holdout=holdout)
        self.yard = Yardstick(train, keys, seed)
        self.holdout = self.yard.side(holdout, "real held-out data")
        self._draws: dict[int, _Draw] = {}
        planted = truth if truth is not None or contrast_key is None else planted_in(train, contrast_key)
        planted = None if planted is None else checked_truth(planted, self.yard.genes)
        yard = self.yard
        self.contrasts = (
            [] if contrast_key is None else contrasts(yard.train, self.holdout, yard.genes, yard.to_log2, planted)
        )

    def accepted(self, synthetic: ad.AnnData) -> Side:
        """Synthetic data as they are compared, once nothing speaks against it."""
        _require_enough(synthetic=synthetic)
        made = self.yard.side(synthetic, SYNTHETIC)
        require_unseen(self.yard.train, self.holdout, made)
        return made

    def judge(self, synthetic: ad.AnnData | Side, *, maps: bool = True) -> Evaluation:
        """The evaluation of synthetic data."""
        made = synthetic if isinstance(synthetic, Side) else self.accepted(synthetic)
        n = min(len(self.yard.train), len(self.holdout), len(made), self.max_samples)
        draw = self._drawn(n)
        some = self._some(made, n, 4)
        run: Run = partial(with_intervals, seed=self.seed)
        private, near = self._privacy(made, self.holdout, run)
        private["copies"] = scores.copies_beyond(self.yard.train, self.holdout, made)
        values = self._likeness(draw.train, some, run) | self._worth(made) | private
        trtr, chance = (values.pop(name, known(float("nan"))).value for name in ("trtr", "chance"))
        ceiling = draw.ceiling | {"tstr": known(trtr), "tstr_ratio": known(1.0)}
        floor = draw.floor | {"tstr": known(chance), "tstr_ratio": known(chance / trtr)}
        table = _table(values, ceiling, floor, draw.clear)
        rows: dict[str, Any] = {str(row["metric"]): row for row in table.to_dict("records")}
        return Evaluation(
            table=table,
            verdicts=tuple(verdict(question, rows) for question in CRITERIA),
            genes=gene_statistics(draw.train.log, some.log, list(self.yard.genes)).reset_index(),
            fold_changes=fold_changes(self.contrasts, some, self.yard.genes, self.yard.to_log2),
            points=self._points(made, maps=maps),
            facts=self._facts(made, n),
            notes=(*self._notes(made, n), *near),
        )

    # -- parts ---------------------------------------------------------------------------------------------------------

    def _likeness(self, real: Side, other: Side, run: Run) -> Scores:
        """Numbers that depend on how many samples there are, of samples drawn in equal numbers."""
        return (
            run(scores.geometry, real, other)
            | scores.told_apart(real, other, self.seed, ends=run is not _plain)
            | run(partial(scores.genes, counts=self.yard.counts), real, other)
            | self._effects(other, run)
        )

    def _effects(self, other: Side, run: Run) -> Scores:
        """Differential expression that is recovered, where groups differ."""
        yard = self.yard
        recover = partial(recovered, self.contrasts, genes=yard.genes, to_log2=yard.to_log2)
        return run(recover, other) if self.contrasts else {}

    def _worth(self, other: Side) -> Scores:
        """Scores of classifiers, which learn from as many samples as there are."""
        if "label" not in other.columns:
            return {}
        n = min(len(self.yard.train), len(other), self.max_samples)
        train, some = self._some(self.yard.train, n, 5), self._some(other, n, 6)
        return scores.utility(train, some, self._some(self.holdout, self.max_samples, 7), self.seed, role="label")

    def _privacy(self, other: Side, outside: Side, run: Run) -> tuple[Scores, list[str]]:
        """Numbers that any training sample may move, so that none is left out, and the names of near copies."""
        train, outside, some = (self._some(side, self.max_samples, 10) for side in (self.yard.train, outside, other))
        found, near = scores.privacy(train, outside, some, self.seed, ends=run is not _plain)
        same = {"copies": known(scores.copies(self.yard.train, other))}
        said = _said(near, some, train) if near.share.low > 0 else []
        return same | found | run(scores.authentic, train, some), said

    def _drawn(self, n: int) -> _Draw:
        """Real samples for ``n`` synthetic ones, with their ceiling and floor."""
        if n not in self._draws:
            train, holdout = self._some(self.yard.train, n, 1), self._some(self.holdout, n, 2)
            some = self._some(self.yard.shuffled, n, 3)
            floor = self._likeness(train, some, _plain)
            floor.pop("composition", None)  # shuffled genes keep the columns of their samples
            ceiling = self._likeness(train, holdout, _plain) | self._ceiling
            run: Run = partial(with_intervals, seed=self.seed)
            clear = run(scores.shares, train, holdout) | self._effects(holdout, run)
            self._draws[n] = _Draw(train, ceiling, floor | self._floor, clear)
        return self._draws[n]

    @cached_property
    def _ceiling(self) -> Scores:
        """Privacy of one half of the held-out samples while the other half is held out: the mean of random halvings."""
        n = len(self.holdout)
        found = []
        for i in range(int(np.clip(HALVED // n, *HALVINGS))):
            order = np.random.default_rng([self.seed, 20, i]).permutation(n)
            halves = [self.holdout.take(np.sort(part)) for part in (order[: n // 2], order[n // 2 :])]
            found.append(self._privacy(halves[0], halves[1], _plain)[0])
        return {name: Interval(*np.mean([tuple(scores[name]) for scores in found], axis=0)) for name in found[0]}

    @cached_property
    def _floor(self) -> Scores:
        return self._privacy(self.yard.shuffled, self.holdout, _plain)[0]

    def _some(self, side: Side, n: int, stream: int) -> Side:
        """``n`` samples at random, in their order; the same for each call."""
        if len(side) <= n:
            return side
        return side.take(np.sort(np.random.default_rng([self.seed, stream]).choice(len(side), n, replace=False)))

    def _points(self, made: Side, *, maps: bool) -> pd.DataFrame:
        n = min(len(self.yard.train), len(made), MAP_SAMPLES)
        sides = {"real": self._some(self.yard.train, n, 8), "synthetic": self._some(made, n, 9)}
        parts = []
        for kind, side in sides.items():
            places = {f"PC{i + 1}": side.places[:, i] for i in range(min(2, side.places.shape[1]))}
            parts.append(pd.DataFrame({"kind": kind, **side.columns, **places}))
        points = pd.concat(parts, ignore_index=True)
        found = _tsne(np.concatenate([side.places for side in sides.values()]), self.seed) if maps else None
        return points if found is None else points.assign(**{"t-SNE 1": found[:, 0], "t-SNE 2": found[:, 1]})

    def _facts(self, made: Side, n: int) -> dict[str, Any]:
        yard = self.yard
        return {
            "training_samples": len(yard.train), "held_out_samples": len(self.holdout), "synthetic_samples": len(made),
            "compared_samples": n, "genes": len(yard.genes), "scale": yard.scale, "components": yard.n_places,
            **{KEYS[role]: key for role, key in yard.keys.items()}, "contrasts": len(self.contrasts),
            "truth": ("planted" if self.contrasts[0].planted else "real training data") if self.contrasts else "none",
            "seed": self.seed,
        }  # fmt: skip

    def _notes(self, made: Side, n: int) -> list[str]:
        sizes = {"training": len(self.yard.train), "held-out": len(self.holdout), "synthetic": len(made)}
        notes = []
        if len(set(sizes.values()) | {n}) > 1:
            said = ", ".join(f"{size:,} {name}" for name, size in sizes.items())
            notes.append(f"{n:,} samples of each kind were drawn for all that depends on their number ({said} samples)")
        for role, names in made.columns.items():
            absent = sorted(set(self.yard.train.columns[role]) - set(names))
            if absent and not (role == "label" and self.yard.keys[role] == self.yard.keys.get("group")):
                notes.append(f"the synthetic samples have no {role} {', '.join(map(repr, absent))}")
        if "group" in self.yard.keys and not self.contrasts:
            notes.append("differential expression is not judged: no gene differs between groups of enough samples")
        return notes


def _said(near: NearCopies, made: Side, train: Side) -> list[str]:
    nearest = np.argsort(near.ratios[near.rows], kind="stable")
    pairs = [f"{made.names[near.rows[i]]} to {train.names[near.records[i]]}" for i in nearest]
    times = np.bincount(near.records)
    most = f", {times.max():,} of them to {train.names[times.argmax()]}" if times.max() > 2 else ""
    beyond = round(near.share.low * len(made))
    return [
        f"near copies: {len(pairs):,} of {len(made):,} synthetic samples point to one training sample more than any "
        f"held-out sample does, {beyond:,} beyond chance{most}: {examples(pairs, NAMED)}; "
        "leave these out, or do not share"
    ]


def _plain(score: Callable[..., Scores], *sides: Side) -> Scores:
    """The scores without intervals."""
    return score(*sides)


def _table(values: Scores, ceiling: Scores, floor: Scores, clear: Scores) -> pd.DataFrame:
    nothing = known(float("nan"))
    rows = []
    for metric, about in GENERATIVE.items():
        if metric not in values:
            continue
        value = values[metric]
        row: dict[str, Any] = {"metric": metric, "family": about.family, **value._asdict()}
        row |= {"ceiling": ceiling.get(metric, nothing).value, "ceiling_low": clear.get(metric, nothing).low}
        row["floor"] = floor.get(metric, nothing).value
        rows.append(row | {"best": about.best, "verdict": row_verdict(metric, row)})
    return pd.DataFrame(rows, columns=COLUMNS)


def _require_enough(**sides: ad.AnnData) -> None:
    for name, cells in sides.items():
        if cells.n_obs < LEAST:
            message = f"{name} has {cells.n_obs} samples, too few to judge anything by; give {LEAST} or more"
            raise DataError(message)


def _tsne(places: NDArray[np.float64], seed: int) -> NDArray[np.float32] | None:
    """t-SNE of the samples, shape ``(n, 2)``; None without openTSNE or where all samples are the same."""
    try:
        package: Any = import_module("openTSNE")
    except ImportError:
        return None
    if len(places) < LEAST or places.shape[1] < 2 or np.ptp(places, axis=0).max() == 0:
        return None
    perplexity = min(PERPLEXITY, (len(places) - 1) / 3)
    model = package.TSNE(perplexity=perplexity, initialization="pca", n_jobs=1, random_state=seed)
    return np.asarray(model.fit(places), dtype=np.float32)
