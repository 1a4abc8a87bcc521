"""Angles against known truth: the rendered demo, and filmed squats with lab data.

The limits are about half as much again as what `benchmarks/accuracy.py` measured: they fail
where the method breaks, not where a version of a library moves a landmark.
"""

from __future__ import annotations

import numpy as np
import pytest

import mobility as mb
from mobility.kinematics.fit.entry import VISIBILITY_THRESHOLD
from mobility.virtual_lab.case import read_truth, truth_pose

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def accuracy(program):
    return program("accuracy")


def fitted(pose):
    return mb.fit_body(mb.clean_pose(pose, visibility_threshold=VISIBILITY_THRESHOLD))


@pytest.fixture(scope="module")
def demo():
    session = mb.Store("unused").demo("Overhead Squat")
    truth = mb.joint_angles(truth_pose(read_truth(session.folder / "truth.nc")))
    return session, truth


def test_demo_angles_are_near_the_truth_and_say_how_near(accuracy, demo):
    session, truth = demo
    errors = accuracy.errors(session.angles(), truth)
    limits = {
        "knee_flexion": 9,
        "hip_flexion": 6,
        "ankle_dorsiflexion": 9,
        "trunk_lean": 5,
        "thigh_elevation": 6,
    }
    for name, limit in limits.items():
        assert errors[name]["MAE"] < limit, name
        assert np.sqrt(errors[name]["deep square"]) < 1.5 * limit, name
        assert errors[name]["within"] > 0.85, name


def test_a_fitted_body_is_nearer_than_the_landmarks(accuracy, demo):
    session, truth = demo
    raw = accuracy.errors(mb.joint_angles(mb.clean_pose(session.pose())), truth)
    fit = accuracy.errors(mb.joint_angles(fitted(session.pose())), truth)
    for name in ("knee_flexion", "hip_flexion", "trunk_lean"):
        assert fit[name]["MAE"] < 0.6 * raw[name]["MAE"], name


@pytest.mark.slow
def test_filmed_squats_agree_with_the_lab(
    accuracy, opencap_pose, shared_data, monkeypatch, tmp_path
):
    monkeypatch.setattr(accuracy, "pose_of", lambda video, kept: opencap_pose)
    _, pose, lab = accuracy.filmed(shared_data, tmp_path)
    errors = accuracy.errors(mb.joint_angles(fitted(pose)), lab)
    for name, limit in {
        "knee_flexion": 6,
        "trunk_lean": 6,
        "thigh_elevation": 6,
        "hip_flexion": 11,
    }.items():
        assert errors[name]["MAE"] < limit, name
    assert errors["knee_flexion"]["within"] > 0.9
