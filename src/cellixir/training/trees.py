"""Ensembles of trees: made by scikit-learn and XGBoost, kept as arrays that predict the same bits.

scikit-learn stores its forests as pickles, which run code when they are read. Here a fitted ensemble becomes the arrays
of its nodes; the trees of XGBoost become what XGBoost itself writes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import expit

from cellixir.exceptions import BundleError, MissingExtra

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

ENSEMBLES = ("random_forest", "hist_gradient_boosting", "xgboost")


def ensemble(kind: str, seed: int, *, classes: bool = False, **options: Any) -> Any:
    """New ensemble of `ENSEMBLES`, of scikit-learn's kind, for numbers or classes.

    Raises
    ------
    MissingExtra
        If XGBoost is not installed.
    """
    suffix = "Classifier" if classes else "Regressor"
    if kind != "xgboost":
        import sklearn.ensemble

        name = {"random_forest": "RandomForest", "hist_gradient_boosting": "HistGradientBoosting"}[kind]
        return getattr(sklearn.ensemble, name + suffix)(random_state=seed, **options)
    return getattr(_xgboost(), f"XGB{suffix}")(random_state=seed, tree_method="hist", **options)


def _xgboost() -> Any:
    try:
        import xgboost
    except ImportError as error:
        message = "the model 'xgboost' needs its extra: pip install 'cellixir[boost]'"
        raise MissingExtra(message) from error
    return xgboost


def kept(model: Any) -> Any:
    """Fitted ensemble as a bundle holds it; what is of no kind in `ENSEMBLES` is returned as it is."""
    name = type(model).__name__
    if name.startswith("RandomForest"):
        return Trees.of_forest(model)
    if name.startswith("HistGradientBoosting"):
        return Trees.of_boosting(model)
    return BoostedTrees(name, np.frombuffer(model.get_booster().save_raw("ubj"), np.uint8)) if "XGB" in name else model


@dataclass(frozen=True)
class Trees:
    """Binary trees whose leaves are averaged (a forest) or added up (boosting).

    Parameters
    ----------
    feature, threshold, missing_left
        Of each node, all trees one after another: values up to the threshold go left, missing ones where it says.
    left, right
        Children; those of a leaf are the leaf itself.
    value
        Of each leaf, shape ``(n_nodes, n_outputs)``.
    roots, outputs
        First node of each tree, and the output that it is added to; -1: to all.
    start
        What the trees are added to, shape ``(n_columns,)``.
    scale
        ``mean``, or how a sum becomes probabilities: ``identity``, ``logistic``, ``softmax``.
    """

    feature: NDArray[np.int64]
    threshold: NDArray[np.float64]
    missing_left: NDArray[np.bool_]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    value: NDArray[np.float64]
    roots: NDArray[np.int64]
    outputs: NDArray[np.int64]
    start: NDArray[np.float64]
    scale: str

    @classmethod
    def of_forest(cls, forest: Any) -> Trees:
        """Trees of a fitted random forest."""
        trees = [tree.tree_ for tree in forest.estimators_]
        nodes = [(t.feature, t.threshold, t.missing_go_to_left, t.children_left, t.children_right) for t in trees]
        value = np.concatenate([t.value[:, 0, :] for t in trees])
        return cls._joined(nodes, value, np.full(len(trees), -1), np.zeros(value.shape[1]), "mean")

    @classmethod
    def of_boosting(cls, boosting: Any) -> Trees:
        """Trees of a fitted histogram gradient boosting without categories."""
        trees = [tree.nodes for together in boosting._predictors for tree in together]
        nodes = [
            (
                t["feature_idx"],
                t["num_threshold"],
                t["missing_go_to_left"],
                np.where(t["is_leaf"], -1, t["left"].astype(np.int64)),
                np.where(t["is_leaf"], -1, t["right"].astype(np.int64)),
            )
            for t in trees
        ]
        width = len(boosting._predictors[0])
        start = np.asarray(boosting._baseline_prediction, dtype=np.float64).ravel()
        classes = len(getattr(boosting, "classes_", ()))
        scale = "identity" if not classes else "logistic" if classes == 2 else "softmax"
        value = np.concatenate([t["value"] for t in trees])[:, None]
        return cls._joined(nodes, value, np.arange(len(trees)) % width, start, scale)

    @classmethod
    def _joined(
        cls,
        nodes: Sequence[tuple[NDArray[Any], ...]],
        value: NDArray[np.float64],
        outputs: NDArray[np.int64],
        start: NDArray[np.float64],
        scale: str,
    ) -> Trees:
        """Trees one after another; children are counted through, and a leaf, -1, becomes its own."""
        roots = np.cumsum([0, *(len(tree[0]) for tree in nodes)])[:-1]
        feature, threshold, missing = (np.concatenate([tree[i] for tree in nodes]) for i in range(3))
        itself = np.arange(len(feature))
        left, right = (
            np.concatenate([np.where(tree[i] < 0, -1, tree[i] + root) for tree, root in zip(nodes, roots, strict=True)])
            for i in (3, 4)
        )
        left, right = np.where(left < 0, itself, left), np.where(right < 0, itself, right)
        feature = np.where(left == itself, 0, feature).astype(np.int64)
        threshold, missing = threshold.astype(np.float64), missing.astype(bool)
        return cls(feature, threshold, missing, left, right, value, roots, outputs, start, scale)

    def predict(self, x: NDArray[Any]) -> NDArray[np.float64]:
        """Number of each row, shape ``(n,)``."""
        return self._sums(x)[:, 0]

    def predict_proba(self, x: NDArray[Any]) -> NDArray[np.float64]:
        """Probability of each class, shape ``(n, n_classes)``."""
        sums = self._sums(x)
        if self.scale == "logistic":
            second = expit(sums[:, 0])
            return np.column_stack([1 - second, second])
        if self.scale == "softmax":
            from sklearn.utils.extmath import softmax

            return np.asarray(softmax(sums))
        return sums

    def _sums(self, x: NDArray[Any]) -> NDArray[np.float64]:
        """Leaves added up tree by tree: another order would round in another way."""
        x = np.asarray(x, dtype=np.float32)
        self._require_sound(x.shape[1])
        rows, sums = np.arange(len(x)), np.zeros((len(x), len(self.start))) + self.start
        for root, output in zip(self.roots, self.outputs, strict=True):
            leaf = self._leaves(x, rows, int(root))
            if output < 0:
                sums += self.value[leaf]
            else:
                sums[:, output] += self.value[leaf, 0]
        return sums / len(self.roots) if self.scale == "mean" else sums

    def _require_sound(self, n_features: int) -> None:
        """Refuse trees of a bundle that was changed: they might go round for ever, or ask for what is not there."""
        here, n = np.arange(len(self.feature)), len(self.feature)
        children, features = np.stack([self.left, self.right]), (self.feature >= 0) & (self.feature < n_features)
        if not features.all() or (children < here).any() or (children >= n).any():
            message = f"the trees of this bundle do not fit {n_features:,} features: it is damaged; save it again"
            raise BundleError(message)

    def _leaves(self, x: NDArray[np.float32], rows: NDArray[np.int64], root: int) -> NDArray[np.int64]:
        node, moving = np.full(len(rows), root), rows
        while len(moving):
            here = node[moving]
            at = x[moving, self.feature[here]]
            goes_left = at <= self.threshold[here]
            goes_left |= self.missing_left[here] & np.isnan(at)
            below = np.where(goes_left, self.left[here], self.right[here])
            node[moving] = below
            moving = moving[below > here]
        return node


@dataclass(frozen=True)
class BoostedTrees:
    """Trees of XGBoost: the class that reads them, and the bytes that it wrote (UBJSON)."""

    kind: str
    raw: NDArray[np.uint8]

    def predict(self, x: NDArray[Any]) -> NDArray[np.float64]:
        """Number of each row, shape ``(n,)``."""
        return np.asarray(self._model().predict(x))

    def predict_proba(self, x: NDArray[Any]) -> NDArray[np.float64]:
        """Probability of each class, shape ``(n, n_classes)``."""
        return np.asarray(self._model().predict_proba(x))

    def _model(self) -> Any:
        if self.kind not in ("XGBRegressor", "XGBClassifier"):  # a name from a bundle is not looked up blindly
            message = f"'{self.kind}' is no ensemble of XGBoost"
            raise ValueError(message)
        model = getattr(_xgboost(), self.kind)(n_jobs=1)
        model.load_model(bytearray(self.raw.tobytes()))
        return model
