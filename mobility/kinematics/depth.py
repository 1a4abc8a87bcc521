r"""Depth along the segments as MediaPipe's world landmarks tell it, corrected for its usual errors.

MediaPipe infers depth from a single picture, and its errors have a pattern: seen from the front it
makes thighs shorter in depth, from behind it draws trunks upright, far feet come forwards. The
table ``depth_calibration`` holds, for each segment, the true depth between its ends as a linear
function of what the world landmarks tell of the same limb and of the direction in which the
subject faces, with the spread of what is left.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobility import tables

Array = NDArray[np.float64]

VIEWS = (-1.0, -0.7, 0.0, 0.7, 1.0)
"""Cosine between the subject's forward direction and the camera's, at which spreads are given."""


@cache
def _calibration() -> Mapping[str, Any]:
    found: Mapping[str, Any] = tables.load("depth_calibration")["segments"]
    return found


def facing(left_hip: Array, right_hip: Array) -> tuple[float, float]:
    """Components of the subject's forward direction to the right of the camera and towards it.

    Parameters
    ----------
    left_hip, right_hip
        (n, 3), metres, in camera axes: x right, y up, z towards the camera.

    Returns
    -------
    tuple
        Of the horizontal unit vector that is forward on the median of the trial.
    """
    across = (right_hip - left_hip) * np.array([1.0, 0.0, 1.0])
    length = np.sqrt((across**2).sum(axis=-1, keepdims=True))
    right = np.median(across / np.maximum(length, 1e-9), axis=0)
    forward = np.cross([0.0, 1.0, 0.0], right)
    forward = forward / max(float(np.sqrt((forward**2).sum())), 1e-9)
    return float(forward[0]), float(forward[2])


def calibrated(
    told: Mapping[str, Array], fitted: Mapping[str, Array], forward: tuple[float, float]
) -> dict[str, tuple[Array, float]]:
    r"""Correct depths along segments.

    Parameters
    ----------
    told
        Depth (towards the camera) of the far end of each segment less that of its near end, metres,
        (n,), by segment and side as in ``left_thigh``; and from left to right, as in ``knees``.
    forward
        As from :func:`facing`.

    Returns
    -------
    dict
        For each segment of the table that is in `told`: the corrected depth, and its standard
        deviation in metres.
    """
    right, towards = forward
    corrected = {}
    for name, value in told.items():
        side, _, segment = name.partition("_")
        paired = side in ("left", "right")
        key = segment if paired else name
        if key not in _calibration():
            continue
        entry = _calibration()[key]
        symbols: dict[str, Array | float] = {"1": 1.0, "z": towards, "x": right}
        if paired:
            other = "right" if side == "left" else "left"
            # The mirror image of a left limb is a right one that faces the other way.
            symbols["x"] = right if side == "left" else -right
            for prefix, depths in (("told", told), ("fitted", fitted)):
                for label, depth in depths.items():
                    whose, _, what = label.partition("_")
                    if whose == side:
                        symbols[f"{prefix}_{what}"] = depth
                    elif whose == other:
                        symbols[f"{prefix}_other_{what}"] = depth
        total = np.zeros(len(value))
        for term, coefficient in entry["terms"].items():
            product: Array | float = float(coefficient)
            for factor in str(term).split():
                product = product * symbols[factor]
            total = total + product
        corrected[name] = (total, float(np.interp(towards, VIEWS, entry["sd"])))
    return corrected
