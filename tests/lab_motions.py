"""What tests ask of any motion of the virtual lab."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from mobility.kinematics.angles import joint_angles
from mobility.kinematics.skeleton import Array
from mobility.virtual_lab.case import Case, true_positions, truth_pose
from mobility.virtual_lab.parametric_body import Body
from mobility.virtual_lab.standing_body import Trial

SIDES = ("left", "right")
SEGMENTS = (
    ("shoulder", "elbow"),
    ("elbow", "wrist"),
    ("hip", "knee"),
    ("knee", "ankle"),
    ("heel", "foot_index"),
)
PARTS = (
    *(("hip", "knee", 0.1447, 0.385), ("knee", "ankle", 0.0457, 0.443)),
    *(("shoulder", "elbow", 0.0263, 0.577), ("elbow", "wrist", 0.0209, 0.61)),
    *(("hip", "shoulder", 0.216, 0.55), ("heel", "foot_index", 0.0133, 0.42)),
    ("shoulder", "hip", 0.034, -0.4),
)
"""What each part weighs, and where in it, as a check that shares no code: de Leva 1996."""


def angles_of(body: Body, trial: Trial) -> xr.Dataset:
    """Give the true angles of a trial."""
    return joint_angles(truth_pose(true_positions(Case(), body, trial)))


def hips(trial: Trial) -> Array:
    """Give the mid-hip."""
    middle: Array = (trial.points["left_hip"] + trial.points["right_hip"]) / 2
    return middle


def assert_rigid(body: Body, trial: Trial) -> None:
    """Segments keep the length that they have at rest, and the pelvis its width."""
    for side in SIDES:
        rest = {"heel": body.heel[side], "foot_index": body.toe[side]}
        for one, other in SEGMENTS:
            now = trial.points[f"{side}_{one}"] - trial.points[f"{side}_{other}"]
            ends = [rest[e] if e in rest else body.joint(e, side) for e in (one, other)]
            length = np.linalg.norm(now, axis=1)
            assert np.ptp(length) < 1e-6
            assert length[0] == pytest.approx(np.linalg.norm(ends[0] - ends[1]), abs=1e-5)
    pelvis = np.linalg.norm(trial.points["left_hip"] - trial.points["right_hip"], axis=1)
    assert np.ptp(pelvis) < 1e-6


def mass_centre(trial: Trial) -> Array:
    """Centre of mass, without code of the package."""
    centre = sum(
        mass
        * (trial.points[f"{s}_{a}"] + share * (trial.points[f"{s}_{b}"] - trial.points[f"{s}_{a}"]))
        for a, b, mass, share in PARTS
        for s in SIDES
    )
    total: Array = centre / (2 * sum(mass for *_, mass, _ in PARTS))
    return total


def balance_of(trial: Trial, *sides: str) -> Array:
    """Where the centre of mass is over the feet of the sides, from heel (0) to toe (1)."""
    heel, toe = (
        np.mean([trial.points[f"{side}_{end}"][:, 2] for side in sides or SIDES], axis=0)
        for end in ("heel", "foot_index")
    )
    share: Array = (mass_centre(trial)[:, 2] - heel) / (toe - heel)
    return share
