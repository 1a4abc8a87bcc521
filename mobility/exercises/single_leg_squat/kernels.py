"""What computes the measures of a standing leg: knee in the frontal plane, pelvis, trunk."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mobility.assessment.body_axes import OUTWARD, by_body_axes, median_of
from mobility.assessment.kernels import Points, of_points
from mobility.assessment.knee_movement import frontal_plane_projection_angle, medial_of_foot
from mobility.kinematics.geometry import body_frame

Array = NDArray[np.float64]


@of_points("shoulder", "hip", "knee", "ankle", "heel", "foot_index")
def leg(points: Points, standing: Points, limits: Mapping[str, float]) -> dict[str, Array]:
    """Quantities of each leg, over (time, side), as if it were the one that stands.

    The forward lean of the trunk has no side. Those of pelvis and trunk are relative to their
    median in `standing`.
    """
    joints = [points[joint] for joint in ("hip", "knee", "ankle")]
    thigh, shank = (np.linalg.norm(b - a, axis=-1) for a, b in pairwise(joints))
    length = median_of(thigh + shank)
    foot = median_of(np.linalg.norm(points["foot_index"] - points["heel"], axis=-1))

    def of_trunk(body: Points) -> dict[str, Array]:
        x, z = by_body_axes(body)
        y = {joint: place[..., 1] for joint, place in body.items()}
        ahead, across, up = (
            v["shoulder"].mean(axis=-1) - v["hip"].mean(axis=-1) for v in (x, z, y)
        )
        hips_y, hips_z = (v["hip"][:, 1] - v["hip"][:, 0] for v in (y, z))
        middle = z["hip"].mean(axis=-1)[:, np.newaxis]
        drop, lean = (
            np.degrees(np.arctan2(*each))[:, np.newaxis]
            for each in ((hips_y, hips_z), (across, up))
        )
        return {
            "pelvic_drop": OUTWARD * drop,
            "pelvic_shift": OUTWARD * (middle - z["ankle"]) / length,
            "trunk_lean_over_leg": OUTWARD * lean,
            "trunk_forward_lean": np.degrees(np.arctan2(ahead, up)),
        }

    now, at_rest = of_trunk(points), of_trunk(standing)
    # The line of the hips is that in standing: at the bottom its error is twice as large.
    hips = median_of(standing["hip"])
    forward, _, out = body_frame(hips[0], hips[1])
    in_body = (
        np.stack([place @ forward, place[..., 1], OUTWARD * (place @ out)], axis=-1)
        for place in joints
    )
    return {
        **{name: value - median_of(at_rest[name]) for name, value in now.items()},
        "knee_over_foot": medial_of_foot(points, limits) / foot,
        "frontal_plane_projection_angle": frontal_plane_projection_angle(
            *in_body, smallest_share=limits["smallest_projected_thigh"]
        ),
    }
