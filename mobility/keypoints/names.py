"""Which landmark a keypoint of another pose model is: the table ``keypoint_names``."""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Mapping, Sequence

from mobility import tables
from mobility.base.options import likely, likely_of_all, quoted
from mobility.base.wording import listed, shortened
from mobility.errors import BadInputError

LANDMARKS: tuple[str, ...] = tuple(tables.load("landmarks")["landmarks"]["names"])
"""The 33 landmarks of a pose, in MediaPipe's order."""


def sets() -> tuple[str, ...]:
    """Return the names of the sets of keypoints that the table has."""
    return tuple(tables.load("keypoint_names"))


@functools.cache
def points_of(name: str) -> tuple[str, ...]:
    """Return the names of the points of a set ("coco_17"), in the order in which models give them.

    Raises
    ------
    BadInputError
        If the table has no set of this name.
    """
    if name not in sets():
        raise BadInputError(f"no set of keypoints {quoted(name)}{likely_of_all(name, sets())}")
    return tuple(tables.load("keypoint_names")[name].get("order", LANDMARKS))


def is_known(name: str) -> bool:
    """Whether the table has a keypoint of this name, also one that is no landmark."""
    return _plain(name) in _landmark_by_name()


def landmark_of(name: str) -> str | None:
    """Return the landmark that a keypoint of this name is.

    None stands for a keypoint that no landmark corresponds to, and for an unknown name; see
    :func:`is_known`.
    """
    return _landmark_by_name().get(_plain(name))


def landmarks_of(
    names: Sequence[str], landmark_by_name: Mapping[str, str | None] | None = None, *, what: str
) -> dict[str, str | None]:
    """Return the landmark of each keypoint; None where it is left out.

    Parameters
    ----------
    names
        Names of keypoints, as their model gives them.
    landmark_by_name
        Landmark by name, which goes before the table; None leaves a keypoint out.
    what
        What names them, with which an error begins.

    Raises
    ------
    BadInputError
        If a name is unknown, `landmark_by_name` has one that is not among `names` or names no
        landmark, none is a landmark, or several are the same.
    """
    landmark_by_name = landmark_by_name or {}
    for name, landmark in landmark_by_name.items():
        if name not in names:
            raise BadInputError(f"{what}: keypoints: no keypoint '{name}'{likely(name, names)}")
        if landmark is not None and landmark not in LANDMARKS:
            raise BadInputError(
                f"{what}: keypoints: no landmark '{landmark}'{likely(landmark, LANDMARKS)}"
            )
    unknown = [name for name in names if name not in landmark_by_name and not is_known(name)]
    if unknown:
        close = likely(unknown[0], LANDMARKS)
        raise BadInputError(
            f"{what}: no landmark is known by the name of {shortened(unknown)}{close}"
            f"{'' if close else ';'} say with keypoints which it is, or None"
        )
    landmarks = {
        name: landmark_by_name[name] if name in landmark_by_name else landmark_of(name)
        for name in names
    }
    result = [landmark for landmark in landmarks.values() if landmark]
    if not result:
        raise BadInputError(f"{what}: none of its keypoints is a landmark")
    if twice := sorted(landmark for landmark, times in Counter(result).items() if times > 1):
        raise BadInputError(
            f"{what}: several keypoints are {listed(twice)}; leave out one with keypoints"
        )
    return landmarks


def _plain(name: str) -> str:
    return re.sub(r"[\s._-]+", "", name).casefold()


@functools.cache
def _landmark_by_name() -> Mapping[str, str | None]:
    """Landmark by the plain name of a keypoint; None for a keypoint that is no landmark."""
    named = [entry["names"] for entry in tables.load("keypoint_names").values()]
    same = dict(zip(LANDMARKS, LANDMARKS, strict=True))
    return {_plain(name): landmark for each in (*named, same) for name, landmark in each.items()}
