"""Principal axes of a centred table, and how many of them stand above noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def above_noise(variance: NDArray[np.float64], n: int, width: int) -> int:
    """Components whose singular value is above 2.858 times the median (Gavish and Donoho, arXiv 1305.5870).

    For square tables; for others the factor is their cubic in the ratio of the sides, within .02 of the exact one.
    """
    shape = min(n, width) / max(n, width)
    factor = 0.56 * shape**3 - 0.95 * shape**2 + 1.82 * shape + 1.43
    singular = np.sqrt(variance)
    return int((singular > factor * np.median(singular)).sum())


def principal_axes(centred: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Variance along each principal axis above numerical zero, largest first, and the axes in rows."""
    n, width = centred.shape
    wide = width > n
    gram = (centred @ centred.T if wide else centred.T @ centred).astype(np.float64) / n
    values, vectors = np.linalg.eigh(gram)
    keep = np.flatnonzero(values > max(values[-1], 1e-12) * 1e-6)[::-1]
    variance = values[keep]
    axes = vectors[:, keep].T
    if wide:
        axes = axes @ centred / np.sqrt(n * variance)[:, None]
    return variance, axes
