"""What the figures show, read from the figures themselves."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
import xarray as xr

from mobility.assessment.frame_quantities import frames_of
from mobility.assessment.kernels import knee as kernel
from mobility.errors import BadInputError
from mobility.exercises.overhead_squat.exercise import overhead_squat
from mobility.kinematics.angles import joint_angles
from mobility.kinematics.repetitions import find_repetitions
from mobility.reports.figures import COLOURS, angle_curves, knee_movement_image, png

NAMES = ["knee_flexion", "trunk_lean"]


@pytest.fixture(scope="module")
def trial(squat_pose: Any) -> tuple[xr.Dataset, xr.Dataset, xr.Dataset]:
    """Pose, angles and repetitions of three squats, the second of them rejected."""
    pose = squat_pose(
        tibia=(30.0, 20.0), thigh=(0.0, 20.0), missing={"left_ankle": (0.2, 0.6)}
    ).pose
    repetitions = find_repetitions(pose)
    assert repetitions.sizes["rep"] == 3
    repetitions["accepted"] = ("rep", np.array([True, False, True]))
    return pose, joint_angles(pose), repetitions


def lines(axis: Any, colour: str) -> list[Any]:
    return [line for line in axis.lines if line.get_color() == colour and len(line.get_xdata()) > 2]


def legend_texts(figure: Any) -> list[str]:
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def foot(figure: Any, side: str, phase: int) -> np.ndarray:
    """Heel to toe as drawn: the longest nearly level line of the side's colour on the floor."""
    bones = next(line for line in figure.axes[phase].lines if line.get_color() == COLOURS[side])
    drawn = np.column_stack(bones.get_data()).reshape(-1, 3, 2)[:, :2]  # a gap after each
    level = [d for d in drawn if abs(d[0, 1] - d[1, 1]) < 1e-6 and d[:, 1].max() < 0.05]
    return max(level, key=lambda d: abs(d[0, 0] - d[1, 0]))


def test_angle_curves_show_both_sides_gaps_and_repetitions(trial: Any) -> None:
    pose, angles, repetitions = trial
    figure = angle_curves(angles, repetitions, names=NAMES)
    knee, trunk = figure.axes
    (left,), (right,) = lines(knee, COLOURS["left"]), lines(knee, COLOURS["right"])
    for side, line in ("left", left), ("right", right):
        np.testing.assert_array_equal(line.get_ydata(), angles["knee_flexion"].sel(side=side))
    assert np.isnan(left.get_ydata()[10])
    assert left.get_linestyle() != right.get_linestyle()
    assert len(lines(trunk, COLOURS[""])) == 1
    spans = [p for p in knee.patches if p.get_width() < 5]
    assert [bool(p.get_hatch()) for p in spans] == [False, True, False]
    assert spans[0].get_x() == pytest.approx(float(repetitions["start"][0]))
    assert "rejected" in legend_texts(figure)
    assert (knee.get_ylabel(), trunk.get_xlabel()) == ("Degrees", "Time (s)")
    # What is not known of curves is not in their legend.
    bare = angles.drop_vars([name for name in angles if str(name).endswith("_sd")])
    figure = angle_curves(bare, None, names=NAMES)
    assert [text.lower() for text in legend_texts(figure)] == ["left", "right"]
    assert not [p for p in figure.axes[0].patches if p.get_width() < 5]
    movement = frames_of(kernel, pose, repetitions)
    (axis,) = angle_curves(movement, repetitions, names=["knee_deviation"]).axes
    assert axis.get_ylabel() == "Ratio"
    assert axis.get_title(loc="left").startswith("Knee deviation")


def test_band_is_95_percent_and_a_very_wide_one_does_not_flatten_the_curves(trial: Any) -> None:
    _, angles, repetitions = trial
    lean = angles["trunk_lean"]
    angles = angles.assign(trunk_lean_sd=xr.full_like(lean, 10.0))
    (axis,) = angle_curves(angles, repetitions, names=["trunk_lean"]).axes
    (band,) = [c for c in axis.collections if len(c.get_paths())]
    extent = band.get_paths()[0].get_extents()
    assert extent.y1 == pytest.approx(float(lean.max()) + 19.6, abs=0.01)
    assert extent.y0 == pytest.approx(float(lean.min()) - 19.6, abs=0.01)
    angles["trunk_lean_sd"][:] = 15.0
    angles["trunk_lean_sd"][30] = 500.0
    (axis,) = angle_curves(angles, repetitions, names=["trunk_lean"]).axes
    low, high = axis.get_ylim()
    assert low < 0
    assert 35 < high < low + 4 * 35


def test_views_of_the_body(trial: Any) -> None:
    """From the left the subject faces left, from the right right; in front the sides change."""
    pose, _, repetitions = trial
    metrics = overhead_squat(*trial)
    for view, other, forward in (("left", "right", -1), ("right", "left", 1)):
        figure = knee_movement_image(pose, repetitions, metrics, view=view)
        titles = ["Standing", "Mid-descent", "Bottom", "Mid-ascent"]
        assert [axis.get_title() for axis in figure.axes] == titles
        heel, toe = foot(figure, view, 0)
        assert (toe[0] - heel[0]) * forward == pytest.approx(0.23, abs=0.01)
        near, far = (
            [a.get_zorder() for a in figure.axes[2].lines if a.get_color() == COLOURS[side]]
            for side in (view, other)
        )
        assert min(near) > max(far)
    front = knee_movement_image(pose, repetitions, metrics, view="front").axes[0]
    place = {
        side: np.nanmean(next(a for a in front.lines if a.get_color() == COLOURS[side]).get_xdata())
        for side in ("left", "right")
    }
    assert place["left"] > 0.05
    assert place["right"] < -0.05


def test_captions_are_the_angles_and_the_knee_movement(trial: Any) -> None:
    pose, angles, repetitions = trial
    metrics = overhead_squat(pose, angles, repetitions)
    left = knee_movement_image(pose, repetitions, metrics, view="left").axes[2].get_xlabel()
    right = knee_movement_image(pose, repetitions, metrics, view="right").axes[2].get_xlabel()
    assert left.startswith("Knee 120°, hip 125°")
    assert right.startswith("Knee 90°, hip 105°")
    # An exercise need not measure all of them.
    few = metrics.drop_vars([name for name in metrics if str(name).startswith("ankle")])
    without = knee_movement_image(pose, repetitions, few, view="left").axes[2].get_xlabel()
    assert without.startswith("Knee 120°, hip 125°\nTrunk")
    # What the report says, and of accepted repetitions only: the second is rejected.
    values = xr.full_like(metrics["knee_deviation_phase"], 0.5)
    values[[0, 2]] = xr.DataArray([0.07, -0.12], dims="side")
    metrics["knee_deviation_phase"] = values
    metrics["knee_ankle_separation_ratio_phase"] = xr.full_like(
        metrics["knee_ankle_separation_ratio_phase"], 0.93
    )
    front = knee_movement_image(pose, repetitions, metrics, view="front").axes[2].get_xlabel()
    assert front == "Knee-ankle ratio 0.93\nKnee inwards R −12 %, L +7 %"


@pytest.mark.parametrize(
    ("heading", "front", "side"), [(0.0, False, True), (80.0, True, False), (40.0, True, True)]
)
def test_what_the_camera_did_not_see_is_told(
    squat_pose: Any, heading: float, front: bool, side: bool
) -> None:
    """One rule for all pictures: from an oblique camera none is what the camera saw."""
    pose = squat_pose(reps=1, heading=heading).pose
    repetitions = find_repetitions(pose)
    metrics = overhead_squat(pose, joint_angles(pose), repetitions)
    for view, estimated in (("front", front), ("left", side)):
        # Hips are dashed where their tilt is refused, and what is refused is a dash.
        for given in (True, False):
            metrics["pelvis_obliquity"] = ((), 2.0 if given else np.nan)
            figure = knee_movement_image(pose, repetitions, metrics, view=view)
            legend = figure.legends[0]
            assert ("estimated depth" in legend.get_title().get_text()) is estimated
            dashed = [line for line in figure.axes[0].lines if line.get_linestyle() == "--"]
            assert bool(dashed) is (not given and view == "front")
            in_legend = any("tilt" in text.get_text() for text in legend.get_texts())
            assert in_legend is (not given and view == "front")
        if (view, heading) == ("front", 80.0):
            label = figure.axes[2].get_xlabel()
            assert label == "Knee-ankle ratio –\nKnee inwards R –, L –"


def test_png_is_the_same_every_time_and_wide_enough(trial: Any) -> None:
    _, angles, repetitions = trial
    one, again = (png(angle_curves(angles, repetitions, names=NAMES)) for _ in range(2))
    assert one == again
    assert one.startswith(b"\x89PNG")
    assert b"Software" not in one
    assert struct.unpack(">I", one[16:20]) == (1350,)


def test_nothing_found(squat_pose: Any) -> None:
    """No repetition, or no person: the figures say so and do not fail."""
    for options in ({"reps": 0, "rest": 2.0}, {"reps": 1, "absent": [(0.0, 20.0)]}):
        pose = squat_pose(**options).pose
        angles, repetitions = joint_angles(pose), find_repetitions(pose)
        assert repetitions.sizes["rep"] == 0
        metrics = overhead_squat(pose, angles, repetitions)
        bodies = knee_movement_image(pose, repetitions, metrics, view="left")
        assert [axis.texts[0].get_text() for axis in bodies.axes] == ["not seen"] * 4
        assert len(png(angle_curves(angles, repetitions, names=NAMES))) > 1000


def test_bad_names_are_refused_and_inputs_not_changed(trial: Any) -> None:
    before = [dataset.copy(deep=True) for dataset in trial]
    pose, angles, repetitions = trial
    metrics = overhead_squat(*trial)
    knee_movement_image(pose, repetitions, metrics, view="front")
    for names, words in ((["knee_flexoin"], "did you mean 'knee_flexion'"), ([], "at least one")):
        with pytest.raises(BadInputError, match=words):
            angle_curves(angles, repetitions, names=names)
    for given, view, words in ((pose, "behind", "behind"), (angles, "left", "pose")):
        with pytest.raises(BadInputError, match=words):
            knee_movement_image(given, repetitions, metrics, view=view)  # type: ignore[arg-type]
    for now, then in zip(trial, before, strict=True):
        xr.testing.assert_identical(now, then)
