"""A workbench for biomechanics from video: joint angles and metrics as xarray Datasets.

A public name is imported on first use, so that ``import mobility`` is fast and has no side effects.
The types are in the stub file next to this file.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.2.0"

PUBLIC = {
    "estimate_pose": "mobility.capture.pose",
    "Detector": "mobility.capture.detectors",
    "Keypoints": "mobility.capture.detectors",
    "clean_pose": "mobility.kinematics.clean",
    "edit_points": "mobility.kinematics.edited_points",
    "fit_body": "mobility.kinematics.fit.entry",
    "joint_angles": "mobility.kinematics.angles",
    "picture_angles": "mobility.kinematics.in_picture",
    "find_repetitions": "mobility.kinematics.repetitions",
    "joint_mobility": "mobility.exercises.joint_angle_mobility.joint_mobility",
    "joint_movements": "mobility.exercises.joint_angle_mobility.joint_mobility",
    "overhead_squat": "mobility.exercises.overhead_squat.exercise",
    "check_recording": "mobility.pipeline.recording_check",
    "reference_range": "mobility.assessment.reference_ranges",
    "read_lab": "mobility.lab.lab_files",
    "lab_pose": "mobility.lab.joint_centres",
    "read_bids": "mobility.lab.bids_reading",
    "read_forces": "mobility.lab.force_plates",
    "read_keypoints": "mobility.exchange.keypoint_files",
    "from_movement": "mobility.exchange.movement_poses",
    "to_movement": "mobility.exchange.movement_poses",
    "find_lag": "mobility.lab.synchronise",
    "align": "mobility.lab.synchronise",
    "agreement": "mobility.lab.agreement",
    "read_study": "mobility.serve.batch.study",
    "groups": "mobility.studies.groups",
    "loads": "mobility.leg_loads.loads",
    "make_norms": "mobility.studies.norms",
    "reliability": "mobility.studies.reliability",
    "retest_curves": "mobility.studies.retest",
    "normalise": "mobility.documents.normalised",
    "mean_curves": "mobility.studies.curves",
    "compare_curves": "mobility.studies.curves",
    "Store": "mobility.store",
    "Session": "mobility.store",
}
"""Module of each public name."""

REPORT_ADDITIONS = ("mobility.studies.last_visit",)
"""Modules of wings that add to the report of a session; see :mod:`mobility.reports.additions`."""

EXERCISE_EXTENSIONS = ("mobility.leg_loads",)
"""Packages of wings that add measures, rules and sections to exercises. Each has an
``extension.yaml``: :mod:`mobility.catalogue.extensions`."""

REPORTS_ON_PEOPLE = ("mobility.studies.report_files", "mobility.lab.report_files")
"""Modules of wings that name the files of their reports on several people, so that these files can
be deleted; see :mod:`mobility.sessions.reports`.
"""

_MODULES = {"plot": "mobility.plot", "plan": "mobility.studies.statistics.planning"}

__all__ = [*PUBLIC, *_MODULES]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(_MODULES[name])
    if name in PUBLIC:
        return getattr(importlib.import_module(PUBLIC[name]), name)
    raise AttributeError(f"module 'mobility' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
