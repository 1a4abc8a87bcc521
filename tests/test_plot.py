"""Plots for notebooks: what is on the Axes, read from the Axes."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr

import mobility as mb
from mobility.errors import BadInputError
from mobility.kinematics.angles import joint_angles
from mobility.kinematics.repetitions import find_repetitions, normalise_repetitions
from mobility.plot import COLOURS

mpl.use("agg")


@pytest.fixture(scope="module")
def trial(squat_pose: Any) -> tuple[xr.Dataset, xr.Dataset, xr.Dataset]:
    """Pose, angles and repetitions of three squats, the second of them rejected."""
    pose = squat_pose(tibia=(30.0, 20.0), thigh=(0.0, 20.0)).pose
    repetitions = find_repetitions(pose)
    repetitions["accepted"] = ("rep", np.array([True, False, True]))
    return pose, joint_angles(pose), repetitions


@pytest.fixture(autouse=True)
def closed() -> Any:
    yield
    from matplotlib import pyplot

    pyplot.close("all")


def drawn(axis: Any, side: str) -> list[np.ndarray]:
    """Curves of a side, the thinnest first."""
    own = [line for line in axis.lines if line.get_color() == COLOURS[side]]
    return [line.get_ydata() for line in sorted(own, key=lambda line: line.get_linewidth())]


def test_a_curve_is_the_angle_with_its_band_on_the_axes_given(trial: Any) -> None:
    from matplotlib import pyplot

    _, angles, repetitions = trial
    _, ax = pyplot.subplots()
    assert mb.plot.curves(angles, "hip_flexion", repetitions=repetitions, ax=ax) is ax
    (left,) = drawn(ax, "left")
    np.testing.assert_array_equal(left, angles["hip_flexion"].sel(side="left"))
    low, high = np.percentile(ax.collections[0].get_paths()[0].vertices[:, 1], [0, 100])
    sd = angles["hip_flexion_sd"].sel(side="left").values
    assert high == pytest.approx(np.nanmax(left + 1.96 * sd))
    assert low == pytest.approx(np.nanmin(left - 1.96 * sd))
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["Left", "Right"]
    assert ax.get_title(loc="left").startswith("Hip flexion")
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("Time (s)", "Degrees")


def test_of_what_was_refused_altogether_it_is_said_why(trial: Any) -> None:
    _, angles, _ = trial
    refused = angles["hip_flexion"] * np.nan
    none = angles.assign(hip_flexion=refused.assign_attrs(refused="it is too uncertain"))
    ax = mb.plot.curves(none, "hip_flexion")
    assert [text.get_text() for text in ax.texts] == ["it is too uncertain"]
    assert not mb.plot.curves(angles, "hip_flexion").texts


def test_the_mean_of_the_repetitions_leaves_the_rejected_one_out(trial: Any) -> None:
    _, angles, repetitions = trial
    ax = mb.plot.repetitions(angles, repetitions, "knee_flexion")
    each = normalise_repetitions(angles[["knee_flexion"]], repetitions)["knee_flexion"]
    *single, mean = drawn(ax, "right")
    assert len(single) == 2
    np.testing.assert_allclose(mean, each.sel(side="right").mean("rep"), rtol=1e-12)


def test_a_band_of_the_spread_needs_three_repetitions(trial: Any) -> None:
    _, angles, repetitions = trial
    for accepted, bands in ((repetitions["accepted"].values, 0), (np.ones(3, bool), 2)):
        given = repetitions.assign(accepted=("rep", accepted))
        assert len(mb.plot.repetitions(angles, given, "knee_flexion").collections) == bands


def test_without_a_repetition_the_panel_says_so(trial: Any) -> None:
    _, angles, repetitions = trial
    none = repetitions.assign(accepted=("rep", np.zeros(3, dtype=bool)))
    ax = mb.plot.repetitions(angles, none)
    assert [text.get_text() for text in ax.texts] == ["no accepted repetition"]


def test_the_body_is_lowest_where_no_time_is_given_and_stands_on_the_floor(trial: Any) -> None:
    pose, _, repetitions = trial

    def hips(ax: Any) -> float:
        return max(float(np.nanmax(line.get_ydata())) for line in ax.lines)

    lowest, standing = mb.plot.body(pose), mb.plot.body(pose, 0.0)
    assert hips(lowest) < hips(standing)
    shown = float(lowest.get_title(loc="left").partition(" s")[0])
    assert np.abs(repetitions["bottom"] - shown).min() <= 0.25  # its pause
    assert standing.get_aspect() == 1.0


def test_sides_are_mirrored_between_left_and_right_views(trial: Any) -> None:
    pose, _, _ = trial

    def forward(view: Any) -> float:
        """Where the trunk leans to: the mean of all drawn points."""
        ax = mb.plot.body(pose, view=view)
        return float(np.mean([np.nanmean(line.get_xdata()) for line in ax.lines[1:]]))

    assert forward("left") == pytest.approx(-forward("right"), abs=0.02)


def test_two_trials_are_told_apart_and_one_side_can_be_chosen(trial: Any) -> None:
    _, angles, repetitions = trial
    shifted = angles.assign(knee_flexion=angles["knee_flexion"] + 10)
    ax = mb.plot.compare(angles, shifted, side="left", labels=("before", "after"))
    assert ax.get_legend_handles_labels()[1] == ["before, left", "after, left"]
    first, second = (line.get_ydata() for line in ax.lines)
    np.testing.assert_allclose(second - first, 10, rtol=0, atol=1e-9)
    means = mb.plot.compare(angles, shifted, side="left", repetitions=(repetitions, repetitions))
    np.testing.assert_allclose(means.lines[1].get_ydata() - means.lines[0].get_ydata(), 10)
    assert means.get_xlabel() == "Repetition (%)"


def test_bland_altman_shows_bias_and_limits_of_the_agreement(trial: Any) -> None:
    _, angles, repetitions = trial
    lab = angles[["knee_flexion"]] - 4.0
    found = mb.agreement(angles[["knee_flexion"]], lab, repetitions)
    ax = mb.plot.bland_altman(found, side="left")
    (marks,) = (line for line in ax.lines if line.get_marker() == "o")
    np.testing.assert_allclose(marks.get_ydata(), [4.0] * found.sizes["rep"])
    assert "+4.0" in {text.get_text() for text in ax.texts}


@pytest.mark.parametrize(
    ("draw", "says"),
    [
        (lambda pose, angles, reps: mb.plot.curves(angles, "knee_flexon"), "knee_flexion"),
        (lambda pose, angles, reps: mb.plot.repetitions(angles, reps, "knees"), "no angle 'knees'"),
        (lambda pose, angles, reps: mb.plot.compare(angles, angles, "hip"), "no angle 'hip'"),
        (lambda pose, angles, reps: mb.plot.body(pose, view="back"), "'left', 'right' or 'front'"),
        (lambda pose, angles, reps: mb.plot.body(angles), "body: pose: not a pose Dataset"),
        (lambda pose, angles, reps: mb.plot.body(pose * np.nan), "not seen in any frame"),
        (
            lambda pose, angles, reps: mb.plot.bland_altman(
                mb.agreement(angles, angles, reps), metric="peek"
            ),
            "peak",
        ),
    ],
)
def test_bad_input_is_one_line(trial: Any, draw: Any, says: str) -> None:
    with pytest.raises(BadInputError, match=says) as error:
        draw(*trial)
    assert "\n" not in str(error.value)


def test_what_mobility_lists_is_public() -> None:
    assert dir(mb) == sorted([*mb.__all__, "__version__"])
    assert all(hasattr(mb, name) for name in mb.__all__)
