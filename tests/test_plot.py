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
    # Of what was refused altogether it is said why.
    refused = (angles["hip_flexion"] * np.nan).assign_attrs(refused="it is too uncertain")
    none = mb.plot.curves(angles.assign(hip_flexion=refused), "hip_flexion")
    assert [text.get_text() for text in none.texts] == ["it is too uncertain"]
    assert not ax.texts


def test_the_mean_of_the_repetitions_leaves_the_rejected_one_out(trial: Any) -> None:
    _, angles, repetitions = trial
    ax = mb.plot.repetitions(angles, repetitions, "knee_flexion")
    each = normalise_repetitions(angles[["knee_flexion"]], repetitions)["knee_flexion"]
    *single, mean = drawn(ax, "right")
    assert len(single) == 2
    np.testing.assert_allclose(mean, each.sel(side="right").mean("rep"), rtol=1e-12)
    # A band of the spread needs three.
    for accepted, bands in ((True, 2), (False, 0)):
        given = repetitions.assign(accepted=("rep", np.full(3, accepted)))
        shown = mb.plot.repetitions(angles, given, "knee_flexion")
        assert len(shown.collections) == bands
    assert len(ax.collections) == 0
    assert [text.get_text() for text in shown.texts] == ["no accepted repetition"]


def test_the_body_is_lowest_where_no_time_is_given_and_mirrored_between_views(trial: Any) -> None:
    pose, _, repetitions = trial

    def hips(ax: Any) -> float:
        return max(float(np.nanmax(line.get_ydata())) for line in ax.lines)

    lowest, standing = mb.plot.body(pose), mb.plot.body(pose, 0.0)
    assert hips(lowest) < hips(standing)
    shown = float(lowest.get_title(loc="left").partition(" s")[0])
    assert np.abs(repetitions["bottom"] - shown).min() <= 0.25  # its pause
    assert standing.get_aspect() == 1.0
    left, right = (  # the mean of all drawn points: where the trunk leans to
        np.mean([np.nanmean(line.get_xdata()) for line in mb.plot.body(pose, view=view).lines[1:]])
        for view in ("left", "right")
    )
    assert left == pytest.approx(-right, abs=0.02)


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


def test_bad_input_is_one_line(trial: Any) -> None:
    pose, angles, reps = trial
    plot, agreement = mb.plot, mb.agreement(angles, angles, reps)
    for draw, says in (
        (lambda: plot.curves(angles, "knee_flexon"), "knee_flexion"),
        (lambda: plot.repetitions(angles, reps, "knees"), "no angle 'knees'"),
        (lambda: plot.compare(angles, angles, "hip"), "no angle 'hip'"),
        (lambda: plot.body(pose, view="back"), "'left', 'right' or 'front'"),
        (lambda: plot.body(angles), "body: pose: not a pose Dataset"),
        (lambda: plot.body(pose * np.nan), "not seen in any frame"),
        (lambda: plot.bland_altman(agreement, metric="peek"), "peak"),
    ):
        with pytest.raises(BadInputError, match=says) as error:
            draw()
        assert "\n" not in str(error.value)
