"""Ratios of the sides: published examples, and what holds for all numbers."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from analytic import fitted
from hypothesis import given
from hypothesis import strategies as st

from mobility.assessment.asymmetry import (
    asymmetry_index,
    difference_sd,
    limb_symmetry_index,
    symmetry_angle,
)
from mobility.kinematics.expected_error import spread_factors

SIDE = st.floats(0.5, 180)


@pytest.mark.parametrize(
    ("left", "right", "index", "limb", "angle"),
    [(84, 80, -4.9, 95.2, -1.55), (9, 15, 50.0, 60.0, 15.60), (9, 16, 56.0, 56.2, 17.38)],
)
def test_ratios_of_hip_ankle_and_abduction(left, right, index, limb, angle):
    assert asymmetry_index(left, right) == pytest.approx(index, abs=0.05)
    assert limb_symmetry_index(left, right) == pytest.approx(limb, abs=0.051)
    assert symmetry_angle(left, right) == pytest.approx(angle, abs=0.005)


@given(left=SIDE, right=SIDE, scale=st.floats(0.01, 100))
def test_equal_sides_mirrors_and_units(left, right, scale):
    for ratio in (asymmetry_index, symmetry_angle):
        assert ratio(left, left) == pytest.approx(0, abs=1e-9)
        assert ratio(left, right) == pytest.approx(-ratio(right, left), abs=1e-9)
        assert ratio(scale * left, scale * right) == pytest.approx(ratio(left, right), abs=1e-6)
    assert limb_symmetry_index(left, left) == pytest.approx(100)
    assert limb_symmetry_index(left, right) == limb_symmetry_index(right, left)
    assert limb_symmetry_index(left, right) <= 100 + 1e-9


def test_no_ratio_without_a_size():
    assert np.isnan(asymmetry_index(5, -5))
    assert np.isnan(limb_symmetry_index(0, 0))
    np.testing.assert_allclose(
        limb_symmetry_index([10, np.nan, -3], [20, 20, -1]), [50, np.nan, np.nan]
    )


def test_errors_that_both_sides_share_cancel_in_their_difference(squat_pose):
    """Draws that pitch the whole body by 3 degrees: both shanks lean alike."""
    trial = squat_pose(reps=1)
    assert difference_sd(trial.pose) == {}
    pitched = pitching(fitted(trial.pose, draws=2), 3.0)
    found = difference_sd(pitched)
    assert float(found["tibia_inclination"].max()) < 0.01
    # One side alone, and the difference has the error of that side.
    one = pitched["fit_keypoint"].str.startswith("left_")
    alone = pitched.assign(position_draws=pitched["position_draws"].where(one, 0.0))
    lean = difference_sd(alone)["tibia_inclination"]
    np.testing.assert_allclose(lean, 3.0 * spread_factors(pitched)["tibia_inclination"], rtol=0.07)
    assert lean.dims == ("time",)
    assert "trunk_lean" not in found


def pitching(pose: xr.Dataset, degrees: float) -> xr.Dataset:
    """The pose, which faces the camera, with two draws that pitch it forwards and backwards."""
    centre = pose["fit_position"]
    y, z = (centre.sel(fit_space=axis, drop=True) for axis in ("y", "z"))
    draws = []
    for angle in np.radians([degrees, -degrees]):
        moved = [
            0 * y,
            (np.cos(angle) - 1) * y - np.sin(angle) * z,
            np.sin(angle) * y + (np.cos(angle) - 1) * z,
        ]
        draws.append(xr.concat(moved, dim="fit_space").assign_coords(fit_space=["x", "y", "z"]))
    together = xr.concat(draws, dim="draw").transpose(*pose["position_draws"].dims)
    return pose.assign(position_draws=together)
