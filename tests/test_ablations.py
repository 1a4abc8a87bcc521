"""Terms left out of the fit by `benchmarks/ablations.py`: each of them, and only while asked."""

from __future__ import annotations

import importlib.util
from typing import NamedTuple

import numpy as np
import pytest

from mobility.kinematics import fit

pytestmark = pytest.mark.slow

SPARED = (
    *("constant segment lengths", "usual segment lengths", "scale", "depth of world landmarks"),
    *("smoothness", "planted feet, and with them correction", "planted feet, depths corrected"),
    *("common floor", "balance", "feet along the pelvis"),
    "weak pull to straight",
)
"""Without these terms, none of which is negative, the same body costs less."""

CHARGED = ("robust loss", "free focal length", "free tilt")
"""Without these liberties the same body costs more."""

MOVED = (
    *("all corrections of landmarks", "corrections in the picture"),
    *("correction of depths from side to side", "offsets of landmarks", "offsets with facing"),
)
"""Without these it is compared with something else."""


@pytest.fixture(scope="module")
def ablations(project):
    """The module benchmarks/ablations.py."""
    spec = importlib.util.spec_from_file_location("ablations", project / "benchmarks/ablations.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def sight(squat_pose):
    pose = squat_pose(fps=10, reps=1, rest=0.5).pose
    return fit._sight(pose, None, None)


class Seen(NamedTuple):
    cost: float
    starts: set[str]


def seen(sight, *, feet_planted=None):
    """Objective of the fit at a body that breaks every rule a little, and where the fit starts."""
    rng = np.random.default_rng(5)
    span, _ = fit._span(sight)
    problem, joints = fit._start(fit._problem(sight, span, 2.5, None), feet_planted)
    joints = joints + rng.normal(0, 0.03, joints.shape)
    border = fit._first_border(problem, joints)
    border[: fit._OFF] += rng.normal(0, 0.05, fit._OFF)
    problem = fit._corrected(problem, fit._Look(joints, border))
    return Seen(
        fit._build(problem, joints, border).cost, set(fit._mirrored(joints, arms_only=True))
    )


def seen_without(ablations, sight, name):
    with ablations.left_out(name) as options:
        return seen(sight, **options)


def test_every_variant_is_checked_here(ablations):
    assert {ablations.FULL, *SPARED, *CHARGED, *MOVED, "mirrored starts"} == set(ablations.VARIANTS)


@pytest.mark.parametrize("name", SPARED)
def test_a_term_left_out_costs_nothing(ablations, sight, name):
    full = seen(sight)
    assert seen_without(ablations, sight, ablations.FULL) == full
    assert seen_without(ablations, sight, name).cost < full.cost - 0.1


@pytest.mark.parametrize("name", CHARGED)
def test_a_liberty_left_out_costs_something(ablations, sight, name):
    assert seen_without(ablations, sight, name).cost > seen(sight).cost + 0.1


@pytest.mark.parametrize("name", MOVED)
def test_a_correction_left_out_changes_the_cost(ablations, sight, name):
    assert abs(seen_without(ablations, sight, name).cost - seen(sight).cost) > 0.1


def test_starts_left_out_are_not_tried(ablations, sight):
    full = seen(sight)
    assert full.starts
    assert seen_without(ablations, sight, "mirrored starts") == Seen(full.cost, set())


def test_offsets_that_are_left_out_put_landmarks_on_joints(ablations):
    with ablations.left_out("offsets of landmarks"):
        assert all(offset.mean == 0 for offset in fit._OFFSETS.values())
    before = fit._OFFSETS
    with ablations.left_out("offsets with facing"):
        for name, offset in fit._OFFSETS.items():
            assert offset == before[name] or (before[name].facing and offset.mean == 0)


def test_without_constant_lengths_frames_keep_the_lengths_of_the_knots(ablations, squat_pose):
    pose = squat_pose(fps=10, reps=1, rest=0.5, noise=0.02).pose

    def spread(fitted):
        at = fitted["position"].isel(individual=0).transpose("time", "keypoint", "space")
        thigh = at.sel(keypoint="left_hip") - at.sel(keypoint="left_knee")
        return float(np.sqrt((thigh**2).sum("space")).std())

    full = spread(fit.fit_body(pose, draws=8))
    with ablations.left_out("constant segment lengths"):
        loose = spread(fit.fit_body(pose, draws=8))
    assert full < 1e-6
    assert loose > 1e-3


def test_everything_is_put_back_also_after_an_error(ablations):
    before = dict(vars(fit))
    for name in ablations.VARIANTS:
        with pytest.raises(ZeroDivisionError), ablations.left_out(name):
            raise ZeroDivisionError
    after = vars(fit)
    assert after.keys() == before.keys()
    assert all(after[name] is value for name, value in before.items())


def test_table_means_and_standard_error(ablations):
    # Two clips: 1 and 3 degrees with everything, 2 and 6 without a term.
    clips = [
        {
            name: dict.fromkeys(
                [*ablations.ANGLES, *ablations.GIVEN], clip * (1 if name == ablations.FULL else 2)
            )
            for name in ablations.VARIANTS
        }
        for clip in (1.0, 3.0)
    ]
    frame, error = ablations.table(clips)
    assert frame.loc[ablations.FULL, ablations.MEAN] == pytest.approx(2)
    assert frame.loc["balance", ablations.MEAN] == pytest.approx(4)
    # Differences of 1 and 3 degrees: sd sqrt(2), over sqrt(2).
    assert error["balance"] == pytest.approx(1)
    text = ablations.markdown(frame, error, 2)
    assert "| balance | " + "4.00 | " * 6 + "4.00 ± 1.00 | 4.00 | 4.00 |" in text
    assert ablations.COMMAND in text.splitlines()[0]
