"""What is told of a fit: positions at the frames, their errors, warnings."""

from __future__ import annotations

import numpy as np
import xarray as xr

from mobility.kinematics.fit.body import (
    FEET,
    FIRST_LENGTH,
    FIRST_OFFSET,
    FITTED,
    FOCAL_FACTOR,
    LH,
    LS,
    RH,
    RS,
    SEGMENT_NAMES,
    SEGMENTS,
    Array,
    unit_vectors,
    up_of,
)
from mobility.kinematics.fit.observed import LEAST_WEIGHT, seen_at
from mobility.kinematics.fit.problem import Problem
from mobility.kinematics.fit.trial import SolvedTrial
from mobility.kinematics.skeleton import INDEX, KEYPOINTS
from mobility.options import Standing

_BEHIND, _FEET_SEEN = 0.5, 0.15
"""Part of the forward direction that points away from the camera; mean weight of heels and toes."""

LONGEST_UNSEEN_S = 0.25
"""Seconds from the nearest frame with a person beyond which nothing is reported."""


def warnings_of_fit(solved: SolvedTrial, fine: Problem, standing: Standing) -> list[dict[str, str]]:
    """List what makes the result less certain than it looks."""
    across = solved.joints[:, RH] - solved.joints[:, LH]
    forward = np.cross(up_of(solved.shared), unit_vectors(across))
    backs = [np.array([0.0, 0.0, 1.0]), *(view.back(solved.shared) for view in fine.views)]
    facing = max(float(np.median(forward @ back)) for back in backs)
    feet = max(float(one.weight[:, FEET].mean()) for one in fine.each)
    found = {
        "seen_from_behind": (
            facing < -_BEHIND,
            "Seen from behind: knee, hip and trunk angles are much less certain.",
        ),
        "feet_not_seen": (
            feet < _FEET_SEEN,
            "The feet are hardly seen: ankle, knee and tibia angles are much less certain.",
        ),
        "nobody_stands": (
            fine.planted and fine.standing is None and standing != "free",
            "Nobody is seen to stand straight and whole in the picture: knee, hip and trunk angles "
            "are less certain, and knees may read too bent. Stand tall for two seconds before the "
            "first repetition.",
        ),
    }
    return [{"code": code, "message": text} for code, (true, text) in found.items() if true]


def at_frames(
    solved: SolvedTrial, fine: Problem, time: Array, image: Array, world: Array, weight: Array
) -> Array:
    """All 33 landmarks at the frames, camera axes; segment lengths made exactly constant."""
    from scipy.interpolate import CubicSpline

    joints = CubicSpline(fine.knots, solved.joints)(time)
    length = dict(zip(SEGMENT_NAMES, np.exp(solved.shared[FIRST_LENGTH:FIRST_OFFSET]), strict=True))
    # Directions, and so all joint angles, are kept; ankles stay where they are.
    for name, far in (("shank", 0), ("thigh", 0), ("upper_arm", 1), ("forearm", 1)):
        for ends in SEGMENTS[name].ends:
            moved, fixed = ends[far], ends[1 - far]
            away = unit_vectors(joints[:, moved] - joints[:, fixed])
            joints[:, moved] = joints[:, fixed] + away * length[name]
    for heel, toe in SEGMENTS["foot"].ends:
        middle = joints[:, [heel, toe]].mean(axis=1)
        sole = unit_vectors(joints[:, toe] - joints[:, heel]) * length["foot"]
        joints[:, heel], joints[:, toe] = middle - 0.5 * sole, middle + 0.5 * sole
    points = np.full((time.size, len(KEYPOINTS), 3), np.nan)
    points[:, [INDEX[name] for name in FITTED]] = joints
    stretch = np.exp(solved.shared[FOCAL_FACTOR])
    shoulders = joints[:, [LS, RS]].mean(axis=1)
    depths = world[:, [INDEX["left_shoulder"], INDEX["right_shoulder"]]].mean(axis=1)
    for name in KEYPOINTS:
        if name in FITTED:
            continue
        i = INDEX[name]
        side = "left" if "left" in name else "right"
        anchor, from_ = shoulders, depths
        if name.rsplit("_", 1)[-1] in ("pinky", "index", "thumb"):
            anchor = points[:, INDEX[f"{side}_wrist"]]
            from_ = world[:, INDEX[f"{side}_wrist"]]
        depth = -anchor[:, 2] - fine.scale * (world[:, i, 2] - from_[:, 2])
        points[:, i] = seen_at(image[:, i] / stretch, depth)
        points[weight[:, i] <= LEAST_WEIGHT, i] = np.nan
    return points


def fitted_dataset(
    pose: xr.Dataset, position: Array, knots: Array, centre: Array, deviation: Array
) -> xr.Dataset:
    """Dataset of the fitted positions, their errors and draws."""
    dims = pose["position"].dims
    values = xr.DataArray(
        position[:, :, :, None],
        dims=("time", "keypoint", "space", "individual"),
        coords={"space": ["x", "y", "z"], "keypoint": list(KEYPOINTS)},
    )
    if "individual" not in dims:
        values = values.isel(individual=0)
    values = values.sel(space=pose["space"], keypoint=pose["keypoint"]).transpose(*dims)
    result = pose.copy()
    result["position"] = (
        dims,
        values.to_numpy(),
        {
            "units": "m",
            "long_name": "position of the fitted body",
            "axes": "x right of the camera, y up, z horizontally towards the camera",
            "origin": "on the floor under the camera",
        },
    )
    result["fit_position"] = (
        ("fit_time", "fit_space", "fit_keypoint"),
        centre.transpose(0, 2, 1),
        {"units": "m", "long_name": "position of the fitted joints at the knots of the fit"},
    )
    result["position_draws"] = (
        ("draw", "fit_time", "fit_space", "fit_keypoint"),
        # Eleven bits, a tenth of a millimetre, are more than a draw is worth, and files compress.
        deviation.transpose(0, 1, 3, 2).astype(np.float16).astype(np.float32),
        {
            "units": "m",
            "long_name": "deviation of draws of the posterior from the fit, at its knots",
            "method": "Gauss-Newton Hessian; mirrored solutions by their probability",
        },
    )
    return result.assign_coords(
        fit_time=("fit_time", knots, {"units": "s", "long_name": "time of the knots of the fit"}),
        fit_space=["x", "y", "z"],
        fit_keypoint=list(FITTED),
    )
