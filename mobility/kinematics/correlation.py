"""Correlation of two recordings of the same movement, for every lag between them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def cross_correlation(a: Array, b: Array) -> Array:
    """Sum of ``a(t + lag) b(t)`` for each signal and every lag, on grids of the same step.

    `a` is (signal, n), `b` (signal, m) and the result (signal, n + m - 1), for lags from
    ``-(m - 1)`` to ``n - 1`` steps.
    """
    from scipy.signal import correlate

    return np.stack([correlate(x, y, mode="full", method="fft") for x, y in zip(a, b, strict=True)])


def normalised(dot: Array, power_a: Array, power_b: Array) -> Array:
    """Correlation from sums of products and of squares, in [-1, 1]; 0 where nothing moves."""
    least = 1e-6 * max(float(power_a.max()), float(power_b.max()), 1e-12)
    rho: Array = dot / np.sqrt(np.maximum(power_a, least) * np.maximum(power_b, least))
    return np.clip(rho, -1.0, 1.0)


def peak(rho: Array, best: int) -> tuple[float, float]:
    r"""Position of a maximum to a fraction of a step, and its curvature per step squared.

    With the values :math:`c_-, c_0, c_+` around the maximum the parabola through them has its top
    at :math:`\frac{1}{2} (c_- - c_+) / (c_- - 2 c_0 + c_+)`.
    """
    if not 0 < best < len(rho) - 1:
        return float(best), 0.0
    before, here, after = rho[best - 1 : best + 2]
    curvature = float(2 * here - before - after)
    if curvature <= 0:
        return float(best), 0.0
    return best + float(np.clip(0.5 * (after - before) / curvature, -1, 1)), curvature


def rival_peaks(height: Array, rho: Array, best: int, *, valley: float) -> Iterator[int]:
    """Lags at which `height` has a peak other than the one at `best`, highest first.

    The correlation `rho` must fall to `valley` between the two; otherwise they are one peak.
    """
    inner = np.arange(1, len(height) - 1)
    peaks = inner[(height[inner] >= height[inner - 1]) & (height[inner] >= height[inner + 1])]
    for peak in peaks[np.argsort(-height[peaks])].tolist():
        between = rho[min(best, peak) : max(best, peak) + 1]
        if between.size and between.min() <= valley:
            yield int(peak)
