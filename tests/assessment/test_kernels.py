"""Kernels by the names of their points, and what is refused of them."""

from __future__ import annotations

import numpy as np
import pytest

from mobility.assessment.kernels import limits_of, of_points, output_of
from mobility.errors import BadInputError
from mobility.registry import exercise


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
