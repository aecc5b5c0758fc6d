"""Who is in the pharmacogenomic ANOVA: the lines, their tissue, MSI and medium, and the features with two sides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cellixir.data.tables import as_text, id_index, read_table, refuse_duplicates
from cellixir.exceptions import InvalidValues, ReadError, UnknownIds, examples
from cellixir.response.association.scan import Factor

#: Lines with and without MSI that a drug needs for MSI to stand in its model, as in gdsctools.
MIN_MSI = 2
MSI_FEATURE = "MSI_FACTOR"
_MEDIUM = ("medium", "media", "media_factor", "media_factor_value", "screen_medium", "growth_medium")

Note = Callable[[str], None]


@dataclass(frozen=True)
class Design:
    """Lines of the analysis, their factors and features.

    Attributes
    ----------
    lines
        Ids of the lines, ``(n_lines,)``.
    tissue
        Number of the tissue of each line; all 0 where tissue is not in the model.
    factors
        MSI and medium, where they are in the model.
    features
        0 and 1, ``(n_lines, n_features)``, with their names.
    model
        The model in the words of a formula.
    """

    lines: pd.Index
    tissue: NDArray[np.int64]
    factors: list[Factor]
    features: pd.DataFrame
    model: str


def read_medium(path: str | Path) -> pd.Series:
    """Growth medium of each line of a file, as text: ids in the first column or in COSMIC_ID, and a medium column.

    Raises
    ------
    ReadError
        If no column is called medium, media, MEDIA_FACTOR or SCREEN_MEDIUM, and there are more than two.
    DuplicateIds
        If a line stands twice.
    """
    table = read_table(path, dtype_text="all")
    plain = {str(c).casefold().replace(" ", "_"): c for c in table.columns}
    named = next((plain[name] for name in _MEDIUM if name in plain), None)
    if named is None and table.shape[1] != 2:
        message = f"{path} has no medium column ({', '.join(_MEDIUM)}; it has {examples(table.columns, 8)}); rename one"
        raise ReadError(message)
    ids = id_index(table[plain.get("cosmic_id", table.columns[0])], source=str(path), what="sample")
    refuse_duplicates(ids, source=str(path), what="sample", way_out="keep one row a sample")
    return pd.Series(table[named or table.columns[1]].to_numpy(), index=ids, name="medium")


def make_design(
    samples: pd.Index,
    view: ad.AnnData,
    *,
    tissue: pd.Series | None,
    medium: pd.Series | None,
    only_tissue: str | None,
    note: Note,
) -> Design:
    """Design of the lines that have responses, features and all factors; `note` is told of what is left out.

    Parameters
    ----------
    samples
        Ids of the samples with responses.
    view
        Features; ``obs`` may hold ``tissue``, ``msi`` and ``medium``.
    tissue, medium
        Annotation of samples, used where ``obs`` has none.
    only_tissue
        Keep only the lines of this tissue.

    Raises
    ------
    UnknownIds
        If no sample has features, a medium, or is of the tissue.
    InvalidValues
        If a feature or MSI holds anything but 0 and 1.
    """
    lines = view.obs_names[view.obs_names.isin(samples)]
    if not len(lines):
        message = (
            f"none of the {len(samples)} samples with responses ({examples(samples)}) has features "
            f"({examples(view.obs_names)}); use the same kind of sample ids in both"
        )
        raise UnknownIds(message)
    if len(lines) < len(samples):
        note(f"{len(samples) - len(lines):,} of {len(samples):,} samples with responses have no features: left out")
    obs = _annotation(view.obs.loc[lines], tissue, medium, note)
    obs = _of_tissue(obs, only_tissue)
    obs = _complete(obs, note)
    features = _binary_features(view[obs.index])
    return _design(obs, features, note)


def _annotation(obs: pd.DataFrame, tissue: pd.Series | None, medium: pd.Series | None, note: Note) -> pd.DataFrame:
    """Tissue, MSI and medium of the lines, whichever are known."""
    known = {name: obs[name] for name in ("tissue", "msi", "medium") if name in obs}
    if "tissue" not in known and tissue is not None:
        known["tissue"] = tissue.reindex(obs.index)
    if medium is not None:
        known["medium"] = medium.reindex(obs.index)
        if known["medium"].isna().all():
            message = f"no line ({examples(obs.index)}) has a medium ({examples(medium.index)}); use the same ids"
            raise UnknownIds(message)
    if "msi" in known:
        known["msi"] = _numbers(known["msi"])
    for name, word in {"tissue": "tissue", "msi": "MSI"}.items():
        if name not in known:
            note(f"{word} is not in the model: the features have no {word} column")
    table = pd.DataFrame(known, index=obs.index)
    return table.assign(**{name: as_text(table[name]) for name in ("tissue", "medium") if name in table})


def _numbers(msi: pd.Series) -> pd.Series:
    """MSI as numbers, or `InvalidValues` with the words that stand there."""
    text = as_text(msi)
    numbers = pd.to_numeric(text, errors="coerce")
    words = text[numbers.isna() & text.notna()].unique()
    if len(words):
        message = f"MSI holds words ({examples(words)}); write 1 for unstable lines and 0 for the others"
        raise InvalidValues(message)
    return numbers.astype(np.float64)


def _of_tissue(obs: pd.DataFrame, name: str | None) -> pd.DataFrame:
    if name is None:
        return obs
    there = sorted(obs["tissue"].dropna().unique()) if "tissue" in obs else []
    if name not in there:
        message = f"no line is of tissue {name!r}; there are {examples(there, 40) or 'no tissues'}"
        raise UnknownIds(message)
    return obs[obs["tissue"] == name]


def _complete(obs: pd.DataFrame, note: Note) -> pd.DataFrame:
    """Lines of which every factor is known; the others are noted."""
    for name in obs.columns:
        unknown = obs.index[obs[name].isna()]
        if len(unknown):
            note(f"{len(unknown):,} lines without {_word(name)} are left out ({examples(unknown)})")
            obs = obs.drop(index=unknown)
    if not len(obs):
        message = "no line is left of which tissue, MSI and medium are all known; complete the annotation"
        raise InvalidValues(message)
    return obs


def _binary_features(view: ad.AnnData) -> pd.DataFrame:
    """Features of the view as float64, MSI left out where it is a factor."""
    values = view.X.toarray() if hasattr(view.X, "toarray") else np.asarray(view.X)
    frame = pd.DataFrame(values, index=view.obs_names, columns=view.var_names).astype(np.float64)
    frame = frame.drop(columns=[MSI_FEATURE] if "msi" in view.obs else [], errors="ignore")
    other = np.flatnonzero(np.any(~np.isin(frame.to_numpy(), (0.0, 1.0)), axis=0))
    if len(other):
        name = frame.columns[other[0]]
        more = f" ({len(other):,} such features)" if len(other) > 1 else ""
        way_out = f"make it two levels, or leave it out{more}: the ANOVA compares two groups of lines"
        _refuse_others(frame[name], f"feature {str(name)!r}", way_out)
    return frame


def _refuse_others(column: pd.Series, what: str, way_out: str) -> None:
    values = column.to_numpy(dtype=np.float64)
    other = (values != 0) & (values != 1)
    if other.any():
        shown = examples([float(v) for v in np.unique(values[other])], 4)
        message = (
            f"{what} holds values other than 0 and 1 ({shown}, in {other.sum()} of {len(values)} lines); {way_out}"
        )
        raise InvalidValues(message)


def _design(obs: pd.DataFrame, features: pd.DataFrame, note: Note) -> Design:
    terms, factors = [], []
    tissue = np.zeros(len(obs), dtype=np.int64)
    if "tissue" in obs and obs["tissue"].nunique() > 1:
        terms.append("tissue")
        tissue = pd.factorize(obs["tissue"], sort=True)[0].astype(np.int64)
    if "msi" in obs and (msi := _msi(obs["msi"], note)) is not None:
        terms.append("MSI")
        factors.append(msi)
    if "medium" in obs and obs["medium"].nunique() > 1:
        terms.append("medium")
        columns = pd.get_dummies(obs["medium"], dtype=np.float64, drop_first=True).to_numpy()
        factors.append(Factor("medium", columns))
    elif "medium" in obs:
        note(f"medium is not in the model: all lines grow in {obs['medium'].iloc[0]}")
    return Design(
        obs.index, tissue, factors, features, " + ".join(["response ~", *terms, "feature"]).replace("~ +", "~")
    )


def _msi(column: pd.Series, note: Note) -> Factor | None:
    _refuse_others(column, "MSI", "write 1 for unstable lines and 0 for the others")
    values = column.to_numpy(dtype=np.float64)
    rare = int(min(values.sum(), len(values) - values.sum()))
    if rare >= MIN_MSI:
        return Factor("MSI", values[:, None], MIN_MSI)
    note(f"MSI is not in the model: {rare} of {len(values):,} lines differ in it from the rest, {MIN_MSI} are needed")
    return None


def _word(name: str) -> str:
    return "MSI" if name == "msi" else name
