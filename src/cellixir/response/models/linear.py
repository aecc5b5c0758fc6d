"""Ridge regression in closed form: many models that share their inputs.

All models share one kernel ``K = X X'``. Leave-one-out residuals, by which the penalty is chosen, come with the
solution (Craven and Wahba, Numer Math 31:377, 1979): ``r_i - f_i = a_i / [G^-1]_ii`` with ``G = K + alpha I`` over
the model's own rows and ``a = G^-1 r``. A model with most inputs takes ``G^-1`` from the inverse ``A`` over all
inputs, less ``A_rm A_mm^-1 A_mr`` of its ``m`` missing ones; one with few has a Cholesky factor of its own. So time
hangs on inputs and gaps more than on rows, and memory is four tables of ``n_inputs`` squared beside inputs and weights.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Self

import numpy as np
from scipy.linalg import cho_factor, cho_solve, cholesky, solve_triangular

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
        wide = x.astype(np.float64)
        kernel = wide @ wide.T
        n_models = int(models.max()) + 1
        rows = [r for r in _rows_by_model(models, n_models) if len(r) >= MIN_ROWS]
        self.weights_ = np.zeros((x.shape[1], n_models), dtype=np.float32)
        self.leave_one_out_ = np.zeros(len(y))
        self.alpha_ = self._choose(kernel, inputs, rows, y)
        solver = _Solver(kernel, self.alpha_)
        for r in rows:
            dual, self.leave_one_out_[r] = solver.solve(inputs[r], y[r])
            self.weights_[:, models[r[0]]] = np.bincount(inputs[r], dual, minlength=len(x)) @ wide
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
            solver = _Solver(kernel, alpha)
            missed = (solver.solve(inputs[r], y[r])[1] - y[r] for r in pilot)
            return sum(float(e @ e) for e in missed)

        return min(self.alphas, key=error)


def _rows_by_model(models: NDArray[np.int64], n_models: int) -> list[NDArray[np.int64]]:
    order = np.argsort(models, kind="stable")
    return np.split(order, np.cumsum(np.bincount(models, minlength=n_models))[:-1])


class _Solver:
    """Models of one penalty over one kernel."""

    def __init__(self, kernel: NDArray[np.float64], alpha: float) -> None:
        self.kernel, self.alpha = kernel, alpha

    @cached_property
    def inverse(self) -> NDArray[np.float64]:
        """Of ``K + alpha I`` over all inputs."""
        return self._inverse(np.arange(len(self.kernel)))

    def _inverse(self, inputs: NDArray[np.int64]) -> NDArray[np.float64]:
        gram = self.kernel[np.ix_(inputs, inputs)]
        gram.flat[:: len(inputs) + 1] += self.alpha
        return np.asarray(cho_solve(cho_factor(gram, overwrite_a=True, check_finite=False), np.eye(len(inputs))))

    def solve(
        self, inputs: NDArray[np.int64], y: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Dual coefficients of one model, and its prediction of each row without the rows of that row's input."""
        values, counts = np.unique(inputs, return_counts=True)
        missing = np.setdiff1d(np.arange(len(self.kernel)), values)
        if len(values) < len(inputs) or 2 * len(missing) > len(self.kernel):
            inverse = self._inverse(inputs)
            dual = inverse @ y
            residual = dual / np.diag(inverse)
            for value in values[counts > 1]:  # replicates leave together
                block = np.flatnonzero(inputs == value)
                residual[block] = np.linalg.solve(inverse[np.ix_(block, block)], dual[block])
            return dual, y - residual
        target = np.zeros(len(self.kernel))
        target[inputs] = y
        dual, diagonal = self.inverse @ target, np.diag(self.inverse)
        if len(missing):
            factor = cholesky(self.inverse[np.ix_(missing, missing)], lower=True, check_finite=False)
            across = solve_triangular(factor, self.inverse[missing], lower=True, check_finite=False)
            dual = dual - across.T @ (across @ target)
            diagonal = diagonal - np.einsum("ij,ij->j", across, across)
        return dual[inputs], y - dual[inputs] / diagonal[inputs]
