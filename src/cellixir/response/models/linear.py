"""Ridge regression in closed form: many models that share their inputs.

All models share one kernel ``K = X X'``, so each costs one Cholesky factor of its own rows of ``K``, and its
leave-one-out residuals, by which the penalty is chosen, come with it (Craven and Wahba, Numer Math 31:377, 1979):
``r_i - f_i = a_i / [G^-1]_ii`` with ``G = K + alpha I`` and ``a = G^-1 r``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np
from scipy.linalg import cho_factor, cho_solve

if TYPE_CHECKING:
    from numpy.typing import NDArray

ALPHAS = (30.0, 100.0, 300.0, 1000.0)
PILOT_MODELS = 40
MIN_ROWS = 10


class SharedRidge:
    """One ridge model for each of ``n_models``, all over the same inputs, with one penalty for all.

    Parameters
    ----------
    alphas
        Penalties to choose from, by leave-one-out error over ``PILOT_MODELS`` models spread over all.

    Attributes
    ----------
    weights_ : ndarray, shape ``(n_features, n_models)``
        Zero for a model with fewer than ``MIN_ROWS`` rows.
    alpha_ : float
    leave_one_out_ : ndarray, shape ``(n_rows,)``
        Prediction of each row by its model without that row.
    """

    def __init__(self, alphas: tuple[float, ...] = ALPHAS) -> None:
        self.alphas = alphas

    def fit(
        self, x: NDArray[np.float32], inputs: NDArray[np.int64], models: NDArray[np.int64], y: NDArray[np.float64]
    ) -> Self:
        """Learn from rows ``y`` of model ``models`` at ``x[inputs]``.

        Parameters
        ----------
        x
            Inputs, shape ``(n_inputs, n_features)``.
        inputs, models, y
            Input, model and target of each row, shape ``(n_rows,)``.
        """
        kernel = x.astype(np.float64) @ x.T.astype(np.float64)
        n_models = int(models.max()) + 1
        rows = [r for r in _rows_by_model(models, n_models) if len(r) >= MIN_ROWS]
        self.weights_ = np.zeros((x.shape[1], n_models), dtype=np.float32)
        self.leave_one_out_ = np.zeros(len(y))
        self.alpha_ = self._choose(kernel, inputs, rows, y)
        for r in rows:
            dual, without = _solve(kernel, inputs[r], y[r], self.alpha_)
            self.leave_one_out_[r] = without
            self.weights_[:, models[r[0]]] = x[inputs[r]].T @ dual
        return self

    def _choose(
        self,
        kernel: NDArray[np.float64],
        inputs: NDArray[np.int64],
        rows: list[NDArray[np.int64]],
        y: NDArray[np.float64],
    ) -> float:
        pilot = rows[:: max(1, len(rows) // PILOT_MODELS)]
        if len(self.alphas) == 1 or not pilot:
            return self.alphas[0]

        def error(alpha: float) -> float:
            solved = (_solve(kernel, inputs[r], y[r], alpha)[1] - y[r] for r in pilot)
            return sum(float(e @ e) for e in solved)

        return min(self.alphas, key=error)


def _rows_by_model(models: NDArray[np.int64], n_models: int) -> list[NDArray[np.int64]]:
    order = np.argsort(models, kind="stable")
    return np.split(order, np.cumsum(np.bincount(models, minlength=n_models))[:-1])


def _solve(
    kernel: NDArray[np.float64], inputs: NDArray[np.int64], y: NDArray[np.float64], alpha: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Dual coefficients of one model, and its prediction of each row without the rows of that row's input."""
    gram = kernel[np.ix_(inputs, inputs)]
    gram.flat[:: len(y) + 1] += alpha
    inverse = cho_solve(cho_factor(gram, overwrite_a=True, check_finite=False), np.eye(len(y)), overwrite_b=True)
    dual = inverse @ y
    residual = dual / np.diag(inverse)
    values, counts = np.unique(inputs, return_counts=True)
    for value in values[counts > 1]:  # replicates leave together
        block = np.flatnonzero(inputs == value)
        residual[block] = np.linalg.solve(inverse[np.ix_(block, block)], dual[block])
    return dual, y - residual
