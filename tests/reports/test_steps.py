"""Steps in words."""

from __future__ import annotations

import pytest
from analytic import with_step

from mobility.base.provenance import with_history
from mobility.kinematics.stances import Step
from mobility.reports.steps import step_in_words, steps_in_a_line


@pytest.mark.parametrize(
    ("way", "words"),
    [
        ((0.2, 0.0, 0.0), "steps forward"),
        ((-0.2, 0.05, 0.0), "steps backward"),
        ((0.02, 0.15, 0.0), "steps to the left"),
        ((0.0, -0.15, 0.07), "steps to the right"),
        ((0.03, 0.04, 0.0), "steps forward and to the left"),
        # One foot goes out by 20 cm, the middle of both by half of that.
        ((0.0, 0.1, 0.2), "puts the feet wider apart"),
        ((0.0, 0.0, -0.12), "puts the feet closer together"),
        ((0.2, 0.0, 0.15), "steps forward and puts the feet wider apart"),
        ((0.0, 0.001, 0.0), "moves the feet"),
    ],
)
def test_a_step_is_named_by_its_largest_parts(way, words):
    assert step_in_words(Step(4.0, 4.8, *way)) == f"{words} at 4.4 s"


def test_a_foot_that_is_put_back_is_named_so():
    assert step_in_words(Step(4.0, 4.8, 0.02, 0.0, 0.0, 0.025)) == (
        "lifts a foot and puts it back at 4.4 s"
    )
    assert step_in_words(Step(4.0, 4.8, 0.03, 0.0, 0.0, 0.06)) == "steps forward at 4.4 s"


def test_a_line_names_the_steps_and_what_they_mean(squat_pose):
    pose = squat_pose().pose
    assert steps_in_a_line(pose) == ""
    stepped = with_step(pose, 4.0, 4.8, forward=0.2)
    assert steps_in_a_line(stepped) == (
        "The person steps forward at 4.4 s. "
        "Each repetition is compared with standing on the same spot."
    )
    movements = stepped.assign(joints=("rep", ["left knee"]))
    assert steps_in_a_line(movements) == "The person steps forward at 4.4 s."
    many = [
        {"from_s": t, "to_s": t + 1, "forward_m": 0.2, "left_m": 0.0, "wider_m": 0.0}
        for t in range(0, 14, 2)
    ]
    stances = [{"first_s": 0.0, "last_s": 1.0, "standing_s": 0.0}] * 8
    line = steps_in_a_line(with_history(pose, "fit_body", {}, stances=stances, steps=many))
    assert line.startswith("The person steps forward at 0.5 s, steps forward at 2.5 s, ")
    assert "steps forward at 8.5 s and 2 more. Each" in line
