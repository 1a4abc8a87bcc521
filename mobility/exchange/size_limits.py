"""How much keypoints may be, which small files can claim to be without limit."""

from __future__ import annotations

from pathlib import Path

from mobility.errors import BadInputError

MOST_POINTS = 20_000_000
"""Frames times people times points: 40 minutes at 60 frames/s with the 136 points of a whole body.
They take half a GB with their confidence, and twice that while they are read."""


MOST_NAMES = 1_000
"""People of a file, and points of each: tracks of a long film; whole body, hands and face."""


def require_few(frames: int, people: int, points: int, *, what: Path) -> None:
    """Raise, before there is an array for them, unless keypoints are few enough for memory."""
    if max(people, points) > MOST_NAMES:
        raise BadInputError(
            f"{what}: has {people} people with {points} points, and at most {MOST_NAMES} of each "
            "are read; give the keypoints of one video"
        )
    if frames * people * points > MOST_POINTS:
        raise BadInputError(
            f"{what}: has {frames} frames x {people} people x {points} points, more than "
            f"{MOST_POINTS}; give the keypoints of one video, and of one person"
        )
