"""Two rendered clips of one squat, through a whole session, against the truth."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import mobility as mb
from mobility.capture.video import write_video
from mobility.kinematics.fit.entry import VISIBILITY_THRESHOLD
from mobility.provenance import cameras_of
from mobility.virtual_lab.case import (
    Case,
    case_from,
    film_case,
    perform_case,
    read_truth,
    render_case,
    truth_pose,
)

ANGLES = ["knee_flexion", "hip_flexion", "ankle_dorsiflexion", "shoulder_flexion", "elbow_flexion"]
RATE, START = 30.0, -0.52
"""Of the second camera: frames per second, and seconds after the first at which it was started."""


def film_again(case: Case, video: Path) -> None:
    """Film the motion of a case with the second camera."""
    since = np.arange(round(case.motion.phases.duration_s * RATE)) / RATE
    body, trial = perform_case(case, np.maximum(since + START, 0.0))
    second = type(case.camera)(azimuth=-45, field_of_view=40, distance_m=3.8)
    seen = case.model_copy(update={"camera": second})
    pictures = film_case(seen, body, trial)
    write_video(video, ((t, image) for t, (_, image) in zip(since, pictures, strict=True)))


def mean_error(found: xr.Dataset, truth: xr.Dataset, late: float = 0.0) -> float:
    """Mean absolute error of the angles, whose times are `late` behind those of the truth."""
    found = found.assign_coords(time=found["time"] + late)
    off = abs(found[ANGLES] - truth[ANGLES].interp(time=found["time"]))
    return float(off.to_dataarray().mean())


def test_two_cameras_are_better_than_the_better_one(extra, pose_model, tmp_path):
    case = case_from(
        {
            "body": {"sex": "female", "age": 27, "height_m": 1.66, "weight_kg": 60},
            "motion": {
                "descent_s": 1.3,
                "bottom_s": 0.3,
                "ascent_s": 1.1,
                "pause_s": 0.6,
                "lead_s": 0.9,
                "repetitions": 1,
                "depth": 50,
                "knees_in": {"left": 14, "right": 0},
                "elbow_bend": {"left": 5, "right": 40},
            },
            "camera": {"azimuth": 40, "field_of_view": 52, "distance_m": 2.9},
            "video": {"frame_rate": 20},
        }
    )
    with warnings.catch_warnings():
        # What torch and warp warn of while they are imported is not ours.
        warnings.simplefilter("ignore")
        front, truth_file = render_case(case, tmp_path / "front.mp4")
        film_again(case, tmp_path / "side.mp4")
    truth = mb.joint_angles(truth_pose(read_truth(truth_file)))

    store = mb.Store(tmp_path / "sessions", reports=tmp_path / "reports")
    who = {"user_id": "p01", "exercise_name": "Overhead Squat"}
    session = store.create(front, tmp_path / "side.mp4", **who).analyze(annotate=False)
    told = cameras_of(session.fitted())[1]
    assert told["time_offset_s"] == pytest.approx(START, abs=0.02)
    assert int(session.metrics()["accepted_repetitions"]) == 1

    both = mean_error(session.angles(), truth)
    alone = []
    for pose, late in ((session.pose(), 0.0), (session.second_pose(), START)):
        clean = mb.clean_pose(pose, visibility_threshold=VISIBILITY_THRESHOLD)
        alone.append(mean_error(mb.joint_angles(mb.fit_body(clean)), truth, late))
    assert both < 0.9 * min(alone)
    assert both < 5.0
