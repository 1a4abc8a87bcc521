"""A workbench for biomechanics from video: joint angles and metrics as xarray Datasets.

The public names are imported when they are first used, so that
``import mobility`` costs next to nothing and has no side effects.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mobility import plot as plot
    from mobility.assessment.reference_ranges import reference_range as reference_range
    from mobility.batch.study import read_study as read_study
    from mobility.capture.detectors import Detector as Detector
    from mobility.capture.detectors import Keypoints as Keypoints
    from mobility.capture.pose import estimate_pose as estimate_pose
    from mobility.exchange.keypoint_files import read_keypoints as read_keypoints
    from mobility.exchange.lab_files import read_lab as read_lab
    from mobility.exchange.movement_poses import from_movement as from_movement
    from mobility.exchange.movement_poses import to_movement as to_movement
    from mobility.exercises.joint_angle_mobility.joint_mobility import (
        joint_mobility as joint_mobility,
    )
    from mobility.exercises.joint_angle_mobility.joint_mobility import (
        joint_movements as joint_movements,
    )
    from mobility.exercises.overhead_squat.analysis import overhead_squat as overhead_squat
    from mobility.kinematics.angles import joint_angles as joint_angles
    from mobility.kinematics.clean import clean_pose as clean_pose
    from mobility.kinematics.fit.entry import fit_body as fit_body
    from mobility.kinematics.in_picture import picture_angles as picture_angles
    from mobility.kinematics.repetitions import find_repetitions as find_repetitions
    from mobility.pipeline.recording_check import check_recording as check_recording
    from mobility.statistics import planning as plan
    from mobility.store import Session as Session
    from mobility.store import Store as Store
    from mobility.studies.curves import compare_curves as compare_curves
    from mobility.studies.curves import mean_curves as mean_curves
    from mobility.studies.curves import normalise as normalise
    from mobility.studies.groups import groups as groups
    from mobility.studies.norms import make_norms as make_norms
    from mobility.studies.reliability import reliability as reliability
    from mobility.studies.retest_curves import retest_curves as retest_curves
    from mobility.validation.agreement import agreement as agreement
    from mobility.validation.joint_centres import lab_pose as lab_pose
    from mobility.validation.synchronise import align as align
    from mobility.validation.synchronise import find_lag as find_lag

__version__ = "0.2.0"

PUBLIC = {
    "estimate_pose": "mobility.capture.pose",
    "Detector": "mobility.capture.detectors",
    "Keypoints": "mobility.capture.detectors",
    "clean_pose": "mobility.kinematics.clean",
    "fit_body": "mobility.kinematics.fit.entry",
    "joint_angles": "mobility.kinematics.angles",
    "picture_angles": "mobility.kinematics.in_picture",
    "find_repetitions": "mobility.kinematics.repetitions",
    "joint_mobility": "mobility.exercises.joint_angle_mobility.joint_mobility",
    "joint_movements": "mobility.exercises.joint_angle_mobility.joint_mobility",
    "overhead_squat": "mobility.exercises.overhead_squat.analysis",
    "check_recording": "mobility.pipeline.recording_check",
    "reference_range": "mobility.assessment.reference_ranges",
    "read_lab": "mobility.exchange.lab_files",
    "lab_pose": "mobility.validation.joint_centres",
    "read_keypoints": "mobility.exchange.keypoint_files",
    "from_movement": "mobility.exchange.movement_poses",
    "to_movement": "mobility.exchange.movement_poses",
    "find_lag": "mobility.validation.synchronise",
    "align": "mobility.validation.synchronise",
    "agreement": "mobility.validation.agreement",
    "read_study": "mobility.batch.study",
    "groups": "mobility.studies.groups",
    "make_norms": "mobility.studies.norms",
    "reliability": "mobility.studies.reliability",
    "retest_curves": "mobility.studies.retest_curves",
    "normalise": "mobility.studies.curves",
    "mean_curves": "mobility.studies.curves",
    "compare_curves": "mobility.studies.curves",
    "Store": "mobility.store",
    "Session": "mobility.store",
}
"""Module of each public name."""

_MODULES = {"plot": "mobility.plot", "plan": "mobility.statistics.planning"}

__all__ = [
    "Detector",
    "Keypoints",
    "Session",
    "Store",
    "agreement",
    "align",
    "check_recording",
    "clean_pose",
    "compare_curves",
    "estimate_pose",
    "find_lag",
    "find_repetitions",
    "fit_body",
    "from_movement",
    "groups",
    "joint_angles",
    "joint_mobility",
    "joint_movements",
    "lab_pose",
    "make_norms",
    "mean_curves",
    "normalise",
    "overhead_squat",
    "picture_angles",
    "plan",
    "plot",
    "read_keypoints",
    "read_lab",
    "read_study",
    "reference_range",
    "reliability",
    "retest_curves",
    "to_movement",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(_MODULES[name])
    if name in PUBLIC:
        return getattr(importlib.import_module(PUBLIC[name]), name)
    raise AttributeError(f"module 'mobility' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
