from __future__ import annotations

import numpy as np
import pytest

from mobility.virtual_lab.parametric_body import Body, transforms
from mobility.virtual_lab.single_leg_squat import SingleLegSquat
from mobility.virtual_lab.squat import Squat
from mobility.virtual_lab.standing_body import Sided, centre_of_mass


def test_centre_of_mass_of_who_stands_straight(body: Body) -> None:
    posed = transforms(body, {"root": np.eye(3)[None]}, body.mid_hip[None])
    aside, up, ahead = centre_of_mass(body, *posed)[0]
    # 55 to 58 % of the stature: Winter 2009; the arms of the body at rest are raised a little.
    assert up / 1.78 == pytest.approx(0.57, abs=0.02)
    assert aside == pytest.approx(0, abs=1e-4)
    assert abs(ahead) < 0.06
    shifted = centre_of_mass(body, posed[0], posed[1] + [0.1, 0.2, 0.3])[0]
    np.testing.assert_allclose(shifted - [aside, up, ahead], [0.1, 0.2, 0.3], atol=1e-9)


def test_limits_hold_for_one_number_and_for_each_side() -> None:
    assert isinstance(Squat(elbow_bend=Sided(left=130, right=0)).elbow_bend, Sided)
    for options, message in (
        ({"elbow_bend": Sided(left=130, right=150)}, "right should be from 0 to 140"),
        ({"heel_rise": Sided(left=-5, right=0)}, "left should be from 0 to 45"),
        ({"knees_in": Sided(left=float("nan"), right=0)}, "left should be from -90 to 90"),
        ({"standing_knee_flexion": -4, "stagger_m": 0.1}, "stagger_m should be 0"),
        # A straight leg has no plane.
        *(({"standing_knee_flexion": f}, "standing_knee_flexion") for f in (0.0, -9.0, np.nan)),
    ):
        with pytest.raises(ValueError, match=message):
            Squat(**options)
    for name, high in (("knee_flexion", 110), ("pelvis_drop", 20), ("side_lean", 30)):
        limits = {name: Sided(left=12, right=high + 1)}
        with pytest.raises(ValueError, match=f"right should be from -?[1-3]0 to {high}"):
            SingleLegSquat(kind="single-leg-squat", **limits)
