"""Ratios of the sides: published examples, and what holds for all numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobility.assessment.summaries import asymmetry_index, limb_symmetry_index, symmetry_angle

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
