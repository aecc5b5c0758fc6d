"""Real and synthetic samples in the forms in which they are compared, as the real training data set them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp

from cellixir.data.expression.matrix import blocks, profile
from cellixir.data.expression.normalise import log_normalise
from cellixir.data.omics import SCALES
from cellixir.data.tables import refuse_duplicates
from cellixir.exceptions import GeneMismatch, InvalidValues, UnknownIds, examples
from cellixir.synthesis.representation import written_out

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from cellixir.data.expression.matrix import Profile

    Floats = NDArray[np.float64]

TRAINING = "real training data"
MAX_COMPONENTS = 50
MIN_PLACES = 2
#: Columns of ``obs`` by role, as parameters and options call them.
KEYS = {"group": "contrast_key", "batch": "batch_key", "label": "label_key"}
#: Scales whose logarithm is the natural one.
NATURAL = ("counts", "log1p_cpm")


@dataclass(frozen=True, eq=False)
class Side:
    """Samples of one kind: real training, real held-out, synthetic or shuffled.

    Attributes
    ----------
    raw, log
        Values as given, and log-normalised if they are counts; shape ``(n, n_genes)``, sparse or dense.
    components, n_places
        Up to 50 principal components of the real training data, shape ``(n, n_components)``, and how many of them
        stand out of noise.
    columns
        Group, batch or label of each sample, by role.
    names
        Of the samples.
    """

    raw: Any
    log: Any
    components: Floats
    n_places: int
    columns: Mapping[str, NDArray[np.object_]]
    names: NDArray[np.object_]

    def __len__(self) -> int:
        return len(self.components)

    @cached_property
    def digests(self) -> NDArray[np.bytes_]:
        """One for each sample, equal for equal values, shape ``(n,)``."""
        found: list[str] = []
        for _, block in blocks(self.raw, 256):
            written = written_out(block) + np.float32(0)  # there is one zero only
            found += [hashlib.blake2b(row.tobytes(), digest_size=16).hexdigest() for row in written]
        return np.array(found, dtype="S32")

    @property
    def dense(self) -> NDArray[np.float32]:
        """Log values of all genes, shape ``(n, n_genes)``: what a sample gives away is in no few directions."""
        return written_out(self.log)

    @property
    def places(self) -> Floats:
        """The components that stand out of noise, shape ``(n, n_places)``."""
        return self.components[:, : self.n_places]

    def take(self, rows: NDArray[np.integer[Any]] | NDArray[np.bool_]) -> Side:
        """Some of the samples."""
        columns = {role: names[rows] for role, names in self.columns.items()}
        return Side(self.raw[rows], self.log[rows], self.components[rows], self.n_places, columns, self.names[rows])


class Yardstick:
    """Genes, scale, library size and directions of the real training data, to which all samples are brought.

    As many principal components are kept as have more variance than the first one of the same data with each gene
    shuffled over samples (parallel analysis; Horn, Psychometrika 30:179, 1965), from 2 to 50. Further ones are noise
    of the training samples: held-out samples would be told from them by these alone.

    Parameters
    ----------
    train
        Real training data.
    keys
        Column of ``obs`` by role: ``group``, ``batch``, ``label``.
    seed
        Of the shuffle.

    Raises
    ------
    DataError
        If there is no sample or no gene, a gene stands twice, a value is not finite or no gene varies.
    """

    def __init__(self, train: ad.AnnData, keys: Mapping[str, str], seed: int = 0) -> None:
        from sklearn.decomposition import PCA

        refuse_duplicates(train.var_names, source=TRAINING, what="gene", way_out="keep one of each")
        seen = profile(train)
        self.genes, self.keys = train.var_names, dict(keys)
        self.scale = _scale(train, seen)
        self.counts = self.scale == "counts"
        library = seen.library_size[seen.library_size > 0]
        self.library_size = float(np.median(library)) if self.counts and len(library) else None
        self.to_log2 = 1 / np.log(2) if self.scale in NATURAL else 1.0
        shuffled = shuffled_genes(train, np.random.default_rng([seed, 0]))
        log, noise = self._log(train), self._log(shuffled)
        n = min(MAX_COMPONENTS, min(train.shape) - 1)
        if n < 1 or not (seen.variance > 0).any():
            message = f"{TRAINING}: {train.n_obs} samples x {train.n_vars} genes without variance; nothing to compare"
            raise InvalidValues(message)
        self.pca = PCA(n, svd_solver="arpack", random_state=seed).fit(log)
        first = PCA(1, svd_solver="arpack", random_state=seed).fit(noise).explained_variance_[0]
        above = int((self.pca.explained_variance_ > first).sum())
        self.n_places = min(max(above, MIN_PLACES), n)
        self.train, self.shuffled = self._side(train, log, TRAINING), self._side(shuffled, noise, TRAINING)

    def side(self, cells: ad.AnnData, what: str) -> Side:
        """Other samples, their genes in the order of the training data.

        Raises
        ------
        GeneMismatch
            If the genes are not those of the training data.
        InvalidValues
            If the scale is another one, a value is not finite, or counts are not whole numbers from 0.
        UnknownIds
            If a column is not there.
        """
        aligned = self._aligned(cells, what)
        try:
            seen = profile(aligned)
        except Exception as error:
            error.add_note(f"in the {what}")
            raise
        self._require_scale(aligned, seen, what)
        return self._side(aligned, self._log(aligned), what)

    def _side(self, cells: ad.AnnData, log: Any, what: str) -> Side:
        components = np.asarray(self.pca.transform(log), dtype=np.float64)
        columns = {role: _column(cells, key, what) for role, key in self.keys.items()}
        raw = cells.X.tocsr() if sp.issparse(cells.X) else np.asarray(cells.X)
        return Side(raw, log, components, self.n_places, columns, cells.obs_names.to_numpy(object))

    def _log(self, cells: ad.AnnData) -> Any:
        """Log-normalised counts, or the values; to the library size of the training data."""
        if self.counts:
            return log_normalise(_light(cells), self.library_size).X
        return cells.X.tocsr() if sp.issparse(cells.X) else np.asarray(cells.X)

    def _aligned(self, cells: ad.AnnData, what: str) -> ad.AnnData:
        refuse_duplicates(cells.var_names, source=what, what="gene", way_out="keep one of each")
        missing, strange = self.genes.difference(cells.var_names), cells.var_names.difference(self.genes)
        if len(missing) or len(strange):
            there = f"{len(missing):,} of {len(self.genes):,} genes of the {TRAINING} are missing"
            message = (
                f"the {what} are of other genes: {there} ({examples(missing) or 'none'}), "
                f"{len(strange):,} are not in these ({examples(strange) or 'none'}); give all data with the same genes"
            )
            raise GeneMismatch(message)
        return _light(cells if cells.var_names.equals(self.genes) else cells[:, self.genes])

    def _require_scale(self, cells: ad.AnnData, seen: Profile, what: str) -> None:
        scale = _scale(cells, seen)
        if scale != self.scale and ("unknown" not in (scale, self.scale) or "counts" in (scale, self.scale)):
            message = (
                f"the {what} are {scale} (from {seen.minimum:.3g} to {seen.maximum:.3g}), the {TRAINING} {self.scale}; "
                "bring both to one scale, or correct uns['scale']"
            )
            raise InvalidValues(message)


def shuffled_genes(cells: ad.AnnData, rng: np.random.Generator) -> ad.AnnData:
    """The same samples with each gene permuted over them: every gene keeps its values, no two go together."""
    if not sp.issparse(cells.X):
        return ad.AnnData(rng.permuted(np.asarray(cells.X), axis=0), obs=cells.obs, var=cells.var[[]], uns=cells.uns)
    values = cells.X.tocsc()
    n = cells.n_obs
    stored = np.diff(values.indptr)
    rows = [rng.choice(n, size, replace=False) for size in stored]
    drawn = sp.csc_matrix(
        (values.data.copy(), np.concatenate(rows) if rows else [], values.indptr.copy()), shape=values.shape
    )
    return ad.AnnData(drawn.tocsr(), obs=cells.obs, var=cells.var[[]], uns=cells.uns)


def _light(cells: ad.AnnData) -> ad.AnnData:
    """Values, names and scale alone: nothing else is compared."""
    scale = {"scale": cells.uns["scale"]} if "scale" in cells.uns else {}
    return ad.AnnData(cells.X, obs=cells.obs, var=pd.DataFrame(index=cells.var_names), uns=scale)


def _scale(cells: ad.AnnData, seen: Profile) -> str:
    recorded = str(cells.uns.get("scale", "unknown"))
    if recorded in SCALES and recorded != "unknown":
        return recorded
    return "counts" if seen.counts else "unknown"


def _column(cells: ad.AnnData, key: str, what: str) -> NDArray[np.object_]:
    if key not in cells.obs:
        there = examples(cells.obs.columns, 8) or "none: give a table about them (--labels, --synthetic-labels)"
        message = f"the {what} have no column {key!r}; obs has {there}"
        raise UnknownIds(message)
    column = cells.obs[key]
    if column.isna().any():
        message = f"{int(column.isna().sum()):,} of {len(column):,} {what} have no {key!r}; leave them out or name it"
        raise InvalidValues(message)
    return np.asarray(column.astype(str), dtype=object)


def names_of(keys: Mapping[str, str | None]) -> dict[str, str]:
    """Roles that have a column."""
    return {role: key for role, key in keys.items() if key is not None}
