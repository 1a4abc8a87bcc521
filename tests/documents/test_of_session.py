"""What documents take from a session: the side that is seen, and nothing of a hidden one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import xarray as xr
from analytic import fitted, squat_pose

from mobility.base.provenance import AnalysisWarning
from mobility.documents import of_session
from mobility.store import Store


def seen_from(heading: float, corrected: str | None = None) -> Any:
    """A session whose landmarks are those of the right side, by their visibility."""
    pose = squat_pose(reps=1, fps=10, heading=heading).pose
    right = pose["keypoint"].str.startswith("right_")
    pose = pose.assign(confidence=xr.where(right, 0.9, 0.6).broadcast_like(pose["confidence"]))
    return SimpleNamespace(
        edits=lambda: SimpleNamespace(current=lambda _: corrected),
        fitted=lambda: fitted(pose),
        pose=lambda: pose,
    )


def demo_with(warnings: list[AnalysisWarning] | None = None, **attributes: str) -> Any:
    """The demo with other warnings, or other attributes of its metrics."""
    demo = Store("absent").demo("Overhead Squat")
    metrics = demo.metrics().assign_attrs(attributes)
    changed = {} if warnings is None else {"warnings": warnings}
    return SimpleNamespace(
        record=demo.record.model_copy(update=changed),
        measured_angles=demo.measured_angles,
        metrics=lambda: metrics,
        capture_quality=demo.capture_quality,
        fitted=demo.fitted,
    )


@pytest.mark.parametrize(
    ("heading", "corrected", "side"),
    [(-85.0, None, "left"), (85.0, None, "right"), (-30.0, None, "right"), (85.0, "left", "left")],
)
def test_the_side_of_a_joint_is_that_of_the_camera(heading, corrected, side) -> None:
    """At the side, whatever the pose model holds of its own landmarks; else the better seen one."""
    assert of_session.camera_side(seen_from(heading, corrected)) == side


def test_no_angles_are_given_of_a_hidden_side() -> None:
    for hidden, near in ("left", "right"), ("right", "left"):
        session = demo_with(hidden_side=hidden)
        for angles in (of_session.shown_angles(session), of_session.angles(session)):
            knee = angles["knee_flexion"]
            assert bool(knee.sel(side=hidden).isnull().all())
            assert bool(knee.sel(side=near).notnull().any())
            assert bool(angles["trunk_lean"].notnull().any())


def test_what_cannot_be_used_has_no_angle_and_another_movement_has() -> None:
    for code, kept in (("would_fall", False), ("chair_rise", True), ("no_squat", True)):
        session = demo_with([AnalysisWarning(code, "", {"joints": "left knee"})])
        knee = of_session.angles(session)["knee_flexion"]
        assert bool(knee.notnull().any()) is kept
        assert ("refused" in knee.attrs) is not kept


def test_without_advice_no_drill_is_named_and_all_else_is_as_before() -> None:
    asked = demo_with()
    provenance = asked.record.provenance
    off = provenance.model_copy(update={"options": {**provenance.options, "advice": False}})
    silent = demo_with()
    silent.record = asked.record.model_copy(update={"provenance": off})
    with_advice, without = of_session.verdict_of(asked), of_session.verdict_of(silent)
    assert without.rules_out - with_advice.rules_out == {"exercises"}
    assert without.text == with_advice.text
    assert without.absent("exercises") == "Suggested exercises are not reported."
