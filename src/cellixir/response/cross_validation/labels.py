"""From a continuous response to sensitive (1) or resistant (0).

Thresholds are learned from training rows alone and then hold for every row, so that no test response moves the
line that it is judged by. Equal to the threshold is resistant.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import pandas as pd

from cellixir.exceptions import ConfigurationError, DataError, InvalidValues, examples

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from cellixir.data.response_data import ResponseData
    from cellixir.data.splits import Fold

    Floats = NDArray[np.float64]

Sensitive = Literal["below", "above"]
MEASURE, PROBABILITY = "sensitive", "probability"
RULES = "given, median, threshold=VALUE, zscore=VALUE"
MIN_CLASS = 2  # fewest members of a class


@dataclass(frozen=True)
class Rule:
    """How a response becomes a label: ``given``, ``median``, ``threshold`` or ``zscore``, and its value.

    >>> str(Rule("zscore", -1.0))
    'zscore=-1'
    """

    name: str
    value: float | None = None

    def __str__(self) -> str:
        return self.name if self.value is None else f"{self.name}={self.value:g}"


def parse_rule(text: str) -> Rule:
    """Return the rule that ``text`` names.

    ``threshold=VALUE``: sensitive below the value, whatever the drug. ``median``: below the drug's median.
    ``zscore=VALUE``: below the drug's mean plus VALUE standard deviations (-1 by default). ``given``: the responses
    are labels already.

    Raises
    ------
    ConfigurationError
        If the rule is unknown, or its value is missing, not a finite number, or not wanted.

    >>> parse_rule("threshold=0.5")
    Rule(name='threshold', value=0.5)
    """
    name, equals, value = (part.strip() for part in text.strip().lower().partition("="))
    if name not in ("given", "median", "threshold", "zscore"):
        message = f"there is no rule '{text}' for labels; choose one of {RULES}"
        raise ConfigurationError(message)
    if name in ("given", "median"):
        if equals:
            message = f"the rule '{text}' takes no value; write {name}"
            raise ConfigurationError(message)
        return Rule(name)
    if not value and name == "zscore" and not equals:
        return Rule("zscore", -1.0)
    return Rule(name, _number(text, name, value))


def _number(text: str, name: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = float("nan")
    if not np.isfinite(number):
        reason = f"'{value}' is not a finite number" if value else "its value is missing"
        message = f"rule '{text}': {reason}; write for example {name}=-1"
        raise ConfigurationError(message)
    return number


@dataclass(frozen=True, eq=False)
class Labels:
    """Thresholds learned from training rows, and the labels that they give to any row.

    A drug that was not seen has the pooled threshold: the value of ``threshold``, the median of all training responses
    of ``median``, the mean of the drugs' thresholds of ``zscore``. Between drugs the pooled threshold mostly
    tells strong drugs from weak ones.

    Parameters
    ----------
    rule
        As ``parse_rule`` gives it; ``given`` where the training responses were 0 and 1 already.
    thresholds
        One a drug that was seen, by id.
    pooled
        For every other drug.
    sensitive
        Which side of the threshold is sensitive: ``below`` (IC50, AUC) or ``above``. The value of ``zscore`` is
        compared as it is: with ``above`` it is usually positive.
    notes
        What has to be known of the labels, in words.
    """

    rule: Rule
    thresholds: pd.Series
    pooled: float
    sensitive: Sensitive = "below"
    notes: tuple[str, ...] = field(default=())

    @classmethod
    def fit(cls, data: ResponseData, rule: Rule | str, *, sensitive: str = "below") -> Labels:
        """Return thresholds learned from every row of ``data``, which are training rows.

        Responses that are all 0 or 1 are kept as they are, whatever the rule. A drug with fewer than two sensitive
        or two resistant rows stays, and is named and counted in ``notes``.

        Raises
        ------
        ConfigurationError
            If the rule or the side is unknown.
        DataError
            If a class has fewer than two rows in all, or labels are said to be ``given`` and are not.
        """
        rule = parse_rule(rule) if isinstance(rule, str) else rule
        _check_fit(data, sensitive)
        labels = cls(rule, *_thresholds(data, rule), sensitive="above" if sensitive == "above" else "below")
        if _are_labels(data.response):
            labels = _kept(labels)
        elif rule.name == "given":
            raise _not_labels(data)
        y = labels.of(data)
        _check_classes(y, data, labels)
        return replace(labels, notes=labels.notes + _one_sided(y, data))

    def of(self, data: ResponseData) -> Floats:
        """Label of each row, 1 sensitive and 0 resistant, shape ``(n_pairs,)``.

        Raises
        ------
        DataError
            If ``data`` is a question, or the labels are given and a response is neither 0 nor 1.
        """
        _check_measured(data)
        if self.rule.name == "given":
            if not _are_labels(data.response):
                raise _not_labels(data)
            return data.response.copy()
        line = self.threshold_of(data.drugs.index)[data.drug_index]
        above = data.response > line if self.sensitive == "above" else data.response < line
        return above.astype(np.float64)

    def transform(self, data: ResponseData) -> ResponseData:
        """Return every row of ``data`` in its order, with its label as the response; notes are added.

        A question (responses not measured) stays one.
        """
        unseen = data.drugs.index[np.unique(data.drug_index)].difference(self.thresholds.index)
        notes = self.notes
        if len(unseen) and self.rule.name in ("median", "zscore"):
            named = f"{len(unseen):,} ({examples(unseen)})"
            notes += (f"drugs not seen in training: {named}; their labels use the pooled threshold {self.pooled:.3g}",)
        labels = self.of(data) if data.measured else data.response
        return replace(with_labels(data, labels), notes=data.notes + notes)

    def threshold_of(self, drugs: Sequence[str] | pd.Index) -> Floats:
        """Threshold of each drug, the pooled one where it was not seen, shape ``(n_drugs,)``."""
        return self.thresholds.reindex(pd.Index(drugs)).fillna(self.pooled).to_numpy(np.float64)

    def describe(self) -> str:
        """The rule in words, for a report."""
        if self.rule.name == "given":
            return "1 is sensitive, 0 resistant, as given"
        value = "" if self.rule.value is None else f"{self.rule.value:g}".replace("-", "−")
        line = {
            "threshold": value,
            "median": "the drug's median in training",
            "zscore": f"a z-score of {value}, by the drug's mean and standard deviation in training",
        }
        return f"sensitive is {self.sensitive} {line[self.rule.name]}"


def with_labels(data: ResponseData, labels: NDArray[np.float64]) -> ResponseData:
    """Return ``data`` with ``labels`` (one a row, not NaN) in place of its responses."""
    return replace(data, responses=data.responses.assign(response=labels), measure=MEASURE, unit="")


def labelled(data: ResponseData, rule: Rule | str, *, sensitive: str = "below") -> ResponseData:
    """Return ``data`` with labels learned from all of its rows, for a fit; the measure says what sensitive means.

    The unit is ``PROBABILITY``, by which a fitted model knows what it tells.

    Raises
    ------
    ConfigurationError, DataError
        As `Labels.fit`.
    """
    labels = Labels.fit(data, rule, sensitive=sensitive)
    return replace(labels.transform(data), measure=f"{MEASURE} ({labels.describe()})", unit=PROBABILITY)


def fold_labels(
    data: ResponseData, folds: Sequence[Fold], rule: Rule | str, *, sensitive: str = "below"
) -> tuple[Floats, list[Labels]]:
    """Label of each row by the thresholds of the fold that tests it, shape ``(n_pairs,)``, and those of each fold.

    Thresholds are learned from the training and validation rows of the fold. A row that no fold tests is NaN.

    Raises
    ------
    DataError
        If a class has fewer than two rows in the training rows of a fold, which is named.
    """
    y, learned = np.full(len(data), np.nan), []
    for fold in folds:
        rows = np.sort(np.concatenate([fold.train, fold.validation]))
        try:
            labels = Labels.fit(data.take(rows), rule, sensitive=sensitive)
        except DataError as error:
            error.add_note(f"in the training rows of fold {fold.number}")
            raise
        y[fold.test] = labels.of(data.take(fold.test))
        learned.append(labels)
    return y, learned


def _are_labels(response: Floats) -> bool:
    return bool(np.isin(response, (0.0, 1.0)).all())


def _kept(labels: Labels) -> Labels:
    note = f"responses are 0 and 1 already; the rule {labels.rule} was not used"
    return replace(labels, rule=Rule("given"), notes=() if labels.rule.name == "given" else (note,))


def _thresholds(data: ResponseData, rule: Rule) -> tuple[pd.Series, float]:
    """Threshold of each drug that has a row, and the pooled one."""
    groups = pd.Series(data.response).groupby(data.drugs.index.to_numpy(object)[data.drug_index], sort=True)
    if rule.name == "median":
        return groups.median(), float(np.median(data.response))
    if rule.name == "zscore":
        # the spread of equal values is rounding noise, which must not tell them apart
        spread = groups.std(ddof=0).where(groups.max() > groups.min(), 0.0)
        mean = groups.mean().where(groups.max() > groups.min(), groups.min())
        line = mean + float(rule.value or 0.0) * spread
        return line, float(line.mean())
    value = 0.5 if rule.value is None else rule.value
    return pd.Series(value, index=groups.size().index), value


def _check_fit(data: ResponseData, sensitive: str) -> None:
    if sensitive not in get_args(Sensitive):
        message = f"there is no side '{sensitive}'; sensitive responses are 'below' or 'above' the threshold"
        raise ConfigurationError(message)
    _check_measured(data)


def _check_measured(data: ResponseData) -> None:
    if not data.measured:
        message = "these pairs are a question, without responses; labels need measured pairs"
        raise DataError(message)


def _not_labels(data: ResponseData) -> InvalidValues:
    row = data.responses[~np.isin(data.response, (0.0, 1.0))].iloc[0]
    message = (
        f"the response of sample {row['sample']!r} and drug {row['drug']!r}, {row['response']:g}, is neither 0 nor 1, "
        f"so labels are not given; choose another rule: {RULES}"
    )
    return InvalidValues(message)


def _check_classes(y: Floats, data: ResponseData, labels: Labels) -> None:
    ones = int(y.sum())
    few = min(ones, len(y) - ones)
    if few < MIN_CLASS:
        name = "sensitive" if ones == few else "resistant"
        low, high = data.response.min(), data.response.max()
        way_out = "give more rows" if labels.rule.name == "given" else f"choose another rule ({RULES})"
        message = (
            f"{few} of {len(y):,} responses are {name} by the rule {labels.rule} and a class needs {MIN_CLASS}; the "
            f"responses run from {low:.4g} to {high:.4g}: {way_out}"
        )
        raise DataError(message)


def _one_sided(y: Floats, data: ResponseData) -> tuple[str, ...]:
    n = np.bincount(data.drug_index, minlength=len(data.drugs))
    ones = np.bincount(data.drug_index, y, len(data.drugs))
    few = (n > 0) & (np.minimum(ones, n - ones) < MIN_CLASS)
    if not few.any():
        return ()
    names = examples(data.drugs.index[few])
    return (
        f"{few.sum():,} of {(n > 0).sum():,} drugs have fewer than {MIN_CLASS} sensitive or {MIN_CLASS} resistant rows "
        f"in training; they stay in, but say little on their own: {names}",
    )
