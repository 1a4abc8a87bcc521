"""Heel raises of the parametric body, rendered with their truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mobility.capture.video import write_video
from mobility.virtual_lab import standing_body
from mobility.virtual_lab.case import case_from, film_case, true_positions, write_dataset
from mobility.virtual_lab.parametric_body import (
    SUFFIX,
    Body,
    keypoints,
    parametric_body,
    transforms,
)
from mobility.virtual_lab.squat import Squat

CASE = {
    "body": {"sex": "female", "age": 30, "height_m": 1.68, "weight_kg": 62},
    "motion": {
        **{"repetitions": 3, "lead_s": 1.5, "descent_s": 1.0, "bottom_s": 0.5, "ascent_s": 1.0},
        **{"heel_rise": 30, "arms": "hanging", "arm_spread": 8, "standing_knee_flexion": 3},
    },
    "camera": {"azimuth": 40, "height_m": 0.9, "distance_m": 3.2, "field_of_view": 42},
    "video": {"width": 480, "height": 640, "samples": 1},
}
"""`descent_s` and `ascent_s` are those of the heels."""

OVER_THE_TOES = 0.26
"""How far the centre of mass goes forward over the feet, of their length."""


def film_heel_raises(folder: Path) -> Path:
    """Render them to ``video.mp4``, with ``truth.nc`` beside it."""
    case = case_from(CASE)
    body, seconds = parametric_body(**case.body.model_dump()), case.motion.phases.duration_s
    trial = raise_heels(body, case.squat, np.arange(round(30 * seconds)) / 30)
    folder.mkdir(parents=True)
    video = folder / "video.mp4"
    write_video(video, film_case(case, body, trial), crf=23, preset="medium")
    write_dataset(true_positions(case, body, trial), folder / "truth.nc")
    return video


def raise_heels(body: Body, motion: Squat, time: np.ndarray) -> standing_body.Trial:
    """Turn the feet about their balls, with straight legs and in balance."""
    start, top, end, each = motion.phases.at(time)
    progress = each.sum(axis=0)
    still = np.zeros_like(progress)
    soles = {side: standing_body.foot_chain(body, motion, side, progress) for side in SUFFIX}
    ankle = np.mean([soles[side][2] for side in SUFFIX], axis=0)
    ends = [standing_body.heel_and_toe(body, soles[side], side) for side in SUFFIX]
    heel, toe = (np.mean([each[i][0, 2] for each in ends]) for i in (0, 1))
    over = heel + (motion.standing_balance + OVER_THE_TOES * progress) * (toe - heel)
    stands = standing_body.standing_in_balance(body, motion)
    reach = np.hypot(stands.height, stands.fore_aft - ankle[0, 2]) - 0.001
    lean = np.full(time.size, np.radians(motion.standing_lean))

    def posed(ahead: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        height = ankle[:, 1] + np.sqrt(reach**2 - (ahead - ankle[:, 2]) ** 2)
        hips = np.stack([still, height, ahead], axis=1)
        legs = standing_body.legs_over(
            body, motion, soles, still, dict.fromkeys(SUFFIX, still), hips
        )
        rotations = standing_body.leg_rotations(body, soles, legs)
        standing_body.upper_body(body, motion, rotations, still, lean, still)
        return transforms(body, rotations, hips)

    ahead = standing_body.solve(
        lambda z: standing_body.centre_of_mass(body, *posed(z))[:, 2] - over,
        np.full(time.size, -0.1),
        0.3,
    )
    orientation, position = posed(ahead)
    points = keypoints(body, orientation, position)
    unknown = np.full(motion.repetitions, np.nan)
    return standing_body.Trial(time, orientation, position, points, start, top, end, unknown)
