r"""How far MediaPipe's landmarks lie from joint centres in the picture, beyond usual offsets.

The offsets of the table ``landmark_offsets`` are constant in the axes of the body. What is left
follows the posture and the view: the hip's landmark slides along the buttock in a deep squat, the
far knee is drawn towards the near one. Gaussian processes, learned from rendered squats as those of
:mod:`mobility.kinematics.depth` are and from the same features, give this shift for each joint. The
table ``picture_calibration`` holds their settings and the spread of what is left.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mobility import tables
from mobility.kinematics.depth import Limbs, Process, features, read_process

Array = NDArray[np.float64]

SHIFTED = {
    "legs": ("hip", "knee", "ankle", "heel", "toe"),
    "arms": ("shoulder", "elbow", "wrist"),
}
"""Sided joints whose landmarks each process shifts; its features are those of the same group."""


class Shift(NamedTuple):
    """Of one landmark.

    Attributes
    ----------
    metres
        (n, 2), right and up in the picture, at the distance of the body.
    novel
        (n,), 0 where the posture is like those that were learned, 1 where it is unlike all.
    """

    metres: Array
    novel: Array


@cache
def _process(group: str) -> Process:
    return read_process("picture_calibration", group)


def left_over() -> Mapping[str, float]:
    """Spread, in metres, of what the shifts leave of a landmark's error, by joint."""
    spreads: dict[str, float] = dict(tables.load("picture_calibration")["sd_m"])
    return spreads


def shifts(
    limbs: Limbs, forward: tuple[float, float], *, trial: Limbs | None = None
) -> dict[str, Shift]:
    """Say how far landmarks lie from where usual offsets put them.

    Parameters
    ----------
    limbs, forward, trial
        As for :func:`mobility.kinematics.depth.features`.

    Returns
    -------
    dict
        For each joint, as in ``left_hip``, of a person of 1.70 m. A shift fades where the posture
        is unlike all that were learned.
    """
    found = {}
    for group, joints in SHIFTED.items():
        for side, mirror in (("left", 1.0), ("right", -1.0)):
            x = features(limbs, forward, side=side, group=group, trial=trial)
            moved, novel = _process(group).predicted(x)
            moved = moved * (1.0 - novel)[:, None]
            for i, joint in enumerate(joints):
                metres = np.stack([mirror * moved[:, 2 * i], moved[:, 2 * i + 1]], axis=-1)
                found[f"{side}_{joint}"] = Shift(metres, novel)
    return found
