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

    The forward lean of the trunk has no side. Quantities of pelvis and trunk are relative to their
    medians in `standing`.
    """
    joints = [points[joint] for joint in ("hip", "knee", "ankle")]
    thigh, shank = (np.linalg.norm(b - a, axis=-1) for a, b in pairwise(joints))
    leg_length = median_of(thigh + shank)
    foot_length = median_of(np.linalg.norm(points["foot_index"] - points["heel"], axis=-1))

    def pelvis_and_trunk(body: Points) -> dict[str, Array]:
        forward, rightward = by_body_axes(body)
        upward = {joint: place[..., 1] for joint, place in body.items()}

        def trunk(along: Points) -> Array:
            """From the middle of the hips to that of the shoulders, along an axis."""
            length: Array = along["shoulder"].mean(axis=-1) - along["hip"].mean(axis=-1)
            return length

        def hip_line(along: Points) -> Array:
            """From the left to the right hip, along an axis."""
            return along["hip"][:, 1] - along["hip"][:, 0]

        drop = np.degrees(np.arctan2(hip_line(upward), hip_line(rightward)))[:, np.newaxis]
        lean = np.degrees(np.arctan2(trunk(rightward), trunk(upward)))[:, np.newaxis]
        mid_hips = rightward["hip"].mean(axis=-1)[:, np.newaxis]
        return {
            "pelvic_drop": OUTWARD * drop,
            "pelvic_shift": OUTWARD * (mid_hips - rightward["ankle"]) / leg_length,
            "trunk_lean_over_leg": OUTWARD * lean,
            "trunk_forward_lean": np.degrees(np.arctan2(trunk(forward), trunk(upward))),
        }

    in_trial, at_rest = pelvis_and_trunk(points), pelvis_and_trunk(standing)
    # The frontal plane is that of the hips in standing: at the bottom they err twice as much.
    hips = median_of(standing["hip"])
    forward, _, right = body_frame(hips[0], hips[1])
    in_axes_of_standing = (
        np.stack([place @ forward, place[..., 1], OUTWARD * (place @ right)], axis=-1)
        for place in joints
    )
    return {
        **{name: value - median_of(at_rest[name]) for name, value in in_trial.items()},
        "knee_over_foot": medial_of_foot(points, limits) / foot_length,
        "frontal_plane_projection_angle": frontal_plane_projection_angle(
            *in_axes_of_standing, smallest_share=limits["smallest_projected_thigh"]
        ),
    }
