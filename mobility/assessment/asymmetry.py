"""Ratios that compare the sides of the body, in percent.

They explode where both values are small, so they are given only for large ones; the difference in
degrees, right less left, is the primary measure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike


def asymmetry_index(left: ArrayLike, right: ArrayLike) -> Any:
    r"""Asymmetry index, :math:`200 (R - L) / (R + L)` percent.

    Parameters
    ----------
    left, right
        Values of both sides; arrays are taken element by element.

    Returns
    -------
    Percent, 0 for equal sides, positive where the right is larger; NaN where the sum is zero.

    References
    ----------
    Robinson, Herzog, Nigg (1987), J Manipulative Physiol Ther 10:172.
    """
    left_value, right_value = np.asarray(left, float), np.asarray(right, float)
    total = np.where(left_value + right_value == 0, np.nan, left_value + right_value)
    return 200 * (right_value - left_value) / total


def limb_symmetry_index(left: ArrayLike, right: ArrayLike) -> Any:
    r"""Limb symmetry index without a dominant side, :math:`100 \min(L, R) / \max(L, R)` percent.

    Parameters
    ----------
    left, right
        Values of both sides; arrays are taken element by element.

    Returns
    -------
    Percent, 100 for equal sides; NaN where the larger value is not positive.
    """
    left_value, right_value = np.asarray(left, float), np.asarray(right, float)
    larger = np.maximum(left_value, right_value)
    return 100 * np.minimum(left_value, right_value) / np.where(larger > 0, larger, np.nan)


def symmetry_angle(left: ArrayLike, right: ArrayLike) -> Any:
    r"""Symmetry angle, :math:`(45° - \mathrm{atan2}(L, R)) / 90° \cdot 100` percent.

    Parameters
    ----------
    left, right
        Values of both sides; arrays are taken element by element.

    Returns
    -------
    Percent, 0 for equal sides, positive where the right is larger.

    References
    ----------
    Zifchock, Davis, Higginson, Royer (2008), Gait Posture 27:622.
    """
    angle = np.degrees(np.arctan2(np.asarray(left, float), np.asarray(right, float)))
    return (45 - angle) / 90 * 100


SYMMETRY: Mapping[str, Callable[[ArrayLike, ArrayLike], Any]] = {
    "asymmetry_index": asymmetry_index,
    "limb_symmetry_index": limb_symmetry_index,
    "symmetry_angle": symmetry_angle,
}
"""The ratios by the name that follows that of the angle."""
