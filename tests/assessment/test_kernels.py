"""Kernels by the names of their points, and what is refused of them."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from mobility.assessment.kernels import (
    MeasuredTrial,
    Values,
    checked_values,
    limits_of,
    of_points,
    output_of,
)
from mobility.catalogue.registry import exercise
from mobility.errors import BadInputError


@of_points("hip", "knee")
def thigh(points, standing, limits):
    """Length of the thighs against a limit."""
    return {"length": np.linalg.norm(points["hip"] - points["knee"], axis=-1) / limits["long"]}


def test_a_kernel_gets_its_points_by_name() -> None:
    points = np.zeros((5, 2, 2, 3))
    points[:, 0, :, 1] = [0.4, 0.5]
    computed = thigh.of_array({"long": 0.5})(points, points)
    np.testing.assert_allclose(computed["length"], [[0.8, 1.0]] * 5)


def test_what_a_kernel_does_not_give_is_refused_in_one_line() -> None:
    assert output_of("heel_rise", {"from": "posture.heel_rise"}, ["heel_rise"]) == "heel_rise"
    with pytest.raises(BadInputError) as refused:
        output_of("heel_rise", {"from": "posture.heel_ris"}, ["heel_rise", "toe_out"])
    assert str(refused.value) == (
        "measures.yaml: heel_rise: from: the kernel posture gives no 'heel_ris'; did you mean "
        "'heel_rise'?"
    )


def test_limits_are_those_of_all_and_of_the_exercise() -> None:
    limits = limits_of(exercise("single-leg-squat"))
    assert (limits["largest_toe_out_deg"], limits["lifted_m"]) == (60, 0.10)
    assert all(isinstance(value, int | float) for value in limits.values())


def test_points_that_a_kernel_cannot_have_and_shapes_that_it_cannot_give_are_refused() -> None:
    with pytest.raises(BadInputError, match="'kne': unknown; did you mean 'knee'"):
        of_points("hip", "kne")
    with pytest.raises(BadInputError, match="needs 'hip' among its joints"):
        of_points("knee")
    points = np.zeros((5, 2, 2, 3))
    wide = of_points("hip", "knee")(lambda points, standing, limits: {"all": points["hip"]})
    with pytest.raises(BadInputError, match=r"all: must be over time, .* its shape is \(5, 2, 3\)"):
        wide.of_array({})(points, points)

    def changes(points, standing, limits):
        points["hip"][:] = 1.0
        return {}

    with pytest.raises(ValueError, match="read-only"):
        of_points("hip", "knee")(changes).of_array({})(points, points)


def test_what_a_kernel_of_a_trial_gives_is_checked(squat_pose, repetitions_of) -> None:
    made = squat_pose(reps=3)
    pose, repetitions = made.pose, repetitions_of(made)
    squat = exercise("squat")
    trial = MeasuredTrial(squat, pose, pose, repetitions, "", None, None, {})

    def given(value, sd=None, **other):
        return checked_values(Values(value, sd, **other), trial, what="kernel x.y")

    each = xr.DataArray([1.0, 2.0, 3.0], dims="rep")  # without the numbers of the repetitions
    assert given(each, xr.DataArray(0.5)).value["rep"].values.tolist() == [1, 2, 3]
    assert given(each, xr.DataArray(0.5)).sd.values.tolist() == [0.5, 0.5, 0.5]
    for value, other, why in (
        (np.ones(3), {}, "must give Values of a DataArray, not Values"),
        (xr.DataArray([1.0, 2.0], dims="rep"), {}, "rep has 2"),
        (xr.DataArray([[1.0, 2.0]] * 3, dims=("rep", "side")), {}, "side has 2"),
        (each, {"sd": -each}, "sd: must not be negative"),
        (each * np.inf, {}, "must be finite"),
        (each, {"attrs": {"units": "furlong"}}, "attribute 'units': is given by the declaration"),
    ):
        with pytest.raises(BadInputError, match=why):
            given(value, **other)
