"""Checks whether the points and confidences in a file can belong to a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mobility.errors import BadInputError
from mobility.exchange.identities import seen_points

Array = NDArray[np.float64]

MARGIN = 0.05
"""Distance by which points may lie outside the picture, as a share of its sides, because models
guess points there.
"""

MOST_OUTSIDE = 0.5
"""Largest share of a frame's points outside the picture, and largest share of such frames; above
these, the keypoints belong to pictures of another size.
"""

SHARES = 2.0
"""If no coordinate is larger than this, the coordinates are shares of the picture, not pixels."""

MOST_CONFIDENT = 1.5
"""Largest confidence that counts as 1, because the scores of some models exceed 1."""


def check_places(points: Array, size: tuple[int, int] | None, file: Path) -> None:
    """Raise an error unless the points (frame, keypoint, 2), in pixels, lie in the picture."""
    if np.isinf(points).any():
        raise BadInputError(f"{file}: has infinite coordinates; leave missing coordinates empty")
    has_place = seen_points(points)
    if not has_place.any():
        raise BadInputError(
            f"{file}: contains no point in any frame; use a file with keypoints in pixels"
        )
    largest = float(np.abs(points[has_place]).max())
    if largest <= SHARES:
        raise BadInputError(
            f"{file}: its coordinates are fractions of the picture (up to {largest:.2g}); "
            "multiply them by the width and height of the picture in pixels"
        )
    if size is None:
        return
    # For a missing point, neither is true.
    low, high = -MARGIN * np.array(size), (1 + MARGIN) * np.array(size)
    outside = np.asarray(((points < low) | (points > high)).any(axis=-1))
    frames = np.asarray(has_place.any(axis=1))
    share = (outside[frames].sum(axis=1) / has_place[frames].sum(axis=1) > MOST_OUTSIDE).mean()
    if share > MOST_OUTSIDE:
        u, v = np.nanpercentile(points.reshape(-1, 2), 99, axis=0)
        raise BadInputError(
            f"{file}: its points lie outside the picture of {size[0]} x {size[1]} pixels in "
            f"{share:.0%} of the frames (up to {u:.0f}, {v:.0f}); use keypoints in the pixels "
            "of this picture"
        )


def checked_confidence(values: Array, file: Path) -> tuple[Array, float]:
    """Return the confidences, limited to 0 to 1, and the share that was slightly above 1."""
    finite = values[np.isfinite(values)]
    if np.isinf(values).any() or (finite < 0).any() or (finite > MOST_CONFIDENT).any():
        worst = float(finite.min() if (finite < 0).any() else np.nanmax(values))
        raise BadInputError(
            f"{file}: confidence must be from 0 to 1 (got {worst:.4g}); divide it by its largest "
            "possible value, or leave it out"
        )
    above = float((finite > 1).mean()) if finite.size else 0.0
    return np.minimum(values, 1.0), above
