"""A squat whose joint angles are known at every frame, in closed form.

The body is built downwards and upwards from the mid-hip by the commanded angles, each leg in a
vertical plane turned outwards about the vertical by `turn_out`. The truth is worked out from the
commanded angles, never from the points.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr

from mobility.base.provenance import with_history
from mobility.kinematics.skeleton import KEYPOINTS

SIDES = ("left", "right")
FITTED = [
    f"{side}_{joint}"
    for joint in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle", "heel", "foot_index")
    for side in SIDES
]
"""The joints of a fitted body."""
THIGH, SHANK, TRUNK, UPPER_ARM, FOREARM = 0.42, 0.42, 0.50, 0.30, 0.30 * 0.926
HIP_HALF_WIDTH, SHOULDER_HALF_WIDTH = 0.09, 0.18
ANKLE_HEIGHT, HEEL_BACK, TOE_FORWARD = 0.07, 0.05, 0.18
FOOT = HEEL_BACK + TOE_FORWARD
PIXELS_PER_METRE = 400.0

Pair = float | tuple[float, float]
"""One value for both sides, or (left, right)."""


class Trial(NamedTuple):
    """A pose Dataset and its truth.

    `truth` has the angle variables of `joint_angles` over (time, side) or (time,), and over
    `rep`: start, bottom_start, bottom, bottom_end, end (seconds); over time: `crouch`, 0 standing
    to 1 bottom, and `hip_height` relative to standing.
    """

    pose: xr.Dataset
    truth: xr.Dataset


def minimum_jerk(x: np.ndarray) -> np.ndarray:
    """Smooth step from 0 to 1 with zero speed and acceleration at both ends."""
    x = np.clip(x, 0, 1)
    return x**3 * (10 - 15 * x + 6 * x**2)


def _pair(value: Pair) -> np.ndarray:
    return np.broadcast_to(np.asarray(value, float), 2)


def squat_pose(
    *,
    fps: float = 30.0,
    reps: int = 3,
    rest: float = 1.0,
    descent: float = 1.0,
    hold: float = 0.4,
    ascent: float = 1.0,
    tibia: Pair = 25.0,
    thigh: Pair = 15.0,
    trunk: float = 35.0,
    turn_out: Pair = 0.0,
    toe_out: Pair | None = None,
    arm_forward: float = 20.0,
    elbow: float = 10.0,
    heading: float = 0.0,
    noise: float = 0.0,
    jitter: float = 0.0,
    crop: tuple[float, float] | None = None,
    absent: Sequence[tuple[float, float]] = (),
    missing: Mapping[str, tuple[float, float]] | None = None,
    swapped: Sequence[tuple[float, float]] = (),
    seed: int = 0,
) -> Trial:
    """Make a trial of `reps` squats that starts and ends with `rest` seconds of standing.

    `descent`, `hold` and `ascent` are seconds of each phase. `tibia`, `thigh` and `trunk` are the
    inclination of the shank in its plane, the elevation of the thigh (0 = horizontal) and the
    forward lean of the trunk at the bottom, degrees; at standing 0, 90 and 0. All move by the same
    minimum-jerk course. The plane of each leg is turned outwards about the vertical by `turn_out`,
    each foot by `toe_out` (else as its leg). Arms are `arm_forward` of the trunk line and bent by
    `elbow`. The subject is turned by `heading`; 0 faces the camera.

    `noise` is the sd of white noise on each coordinate, metres, `jitter` the largest error of each
    timestamp, as a fraction of the frame interval, and `seed` of both. Only the seconds of `crop`
    are kept; in those of `absent` all is NaN, in those of `missing` single keypoints are, with
    confidence 0; in those of `swapped` left and right are exchanged in every variable.
    """
    rng = np.random.default_rng(seed)
    cycle = descent + hold + ascent + rest
    duration = rest + reps * cycle
    time = np.arange(round(duration * fps) + 1) / fps
    if jitter:
        time = time + rng.uniform(-jitter, jitter, time.size) / fps
        time -= time[0]
    if crop is not None:
        time = time[(time >= crop[0]) & (time <= crop[1])]

    starts = rest + cycle * np.arange(reps)
    crouch = np.zeros_like(time)
    for start in starts:
        crouch += minimum_jerk((time - start) / descent)
        crouch -= minimum_jerk((time - start - descent - hold) / ascent)

    azimuth = np.radians(_pair(turn_out))
    foot_azimuth = azimuth if toe_out is None else np.radians(_pair(toe_out))
    ti = np.radians(crouch[:, None] * _pair(tibia))
    phi = np.radians(90 - crouch[:, None] * (90 - _pair(thigh)))
    tl = np.radians(crouch * trunk)
    arm, bend = np.radians(arm_forward), np.radians(elbow)

    forearm = np.arctan2(FOREARM * np.sin(bend), UPPER_ARM + FOREARM * np.cos(bend))
    flat = np.zeros_like(ti)
    sided = {
        "knee_flexion": 90 + np.degrees(ti - phi),
        "hip_flexion": np.degrees(
            tl[:, None] + np.arctan2(np.cos(phi) * np.cos(azimuth), np.sin(phi))
        ),
        "ankle_dorsiflexion": np.degrees(np.arcsin(np.sin(ti) * np.cos(azimuth - foot_azimuth))),
        "hip_abduction": np.degrees(np.arcsin(np.cos(phi) * np.sin(azimuth))),
        "shoulder_flexion": flat + 180 - arm_forward,
        "elbow_flexion": flat + elbow,
        "tibia_inclination": np.degrees(np.arctan(np.tan(ti) * np.cos(azimuth))),
        "thigh_elevation": np.degrees(phi),
    }
    whole = {
        "trunk_lean": np.degrees(tl),
        "trunk_lateral_lean": np.zeros_like(tl),
        "pelvis_obliquity": np.zeros_like(tl),
        "arm_fall": np.full_like(tl, arm_forward + np.degrees(forearm)),
        "crouch": crouch,
    }
    phases = np.cumsum([0, descent, hold / 2, hold / 2, ascent])
    names = ("start", "bottom_start", "bottom", "bottom_end", "end")
    truth = xr.Dataset(
        {name: (("time", "side"), values) for name, values in sided.items()}
        | {name: ("time", values) for name, values in whole.items()}
        | {name: ("rep", starts + late) for name, late in zip(names, phases, strict=True)},
        coords={"time": time, "side": list(SIDES), "rep": np.arange(1, reps + 1)},
    )

    # Subject's axes: anterior, up, right.
    def vector(anterior: object, up: object, right: object) -> np.ndarray:
        return np.stack(
            np.broadcast_arrays(*(np.asarray(a, float) for a in (anterior, up, right))), axis=-1
        ) * np.ones((time.size, 1))

    points: dict[str, np.ndarray] = {}
    mid_shoulder = TRUNK * vector(np.sin(tl), np.cos(tl), 0)
    for j, (side, sign) in enumerate(zip(SIDES, (-1, 1), strict=True)):
        out, foot_out = azimuth[j], foot_azimuth[j]
        hip = vector(0, 0, sign * HIP_HALF_WIDTH)
        knee = hip + THIGH * vector(
            np.cos(phi[:, j]) * np.cos(out),
            -np.sin(phi[:, j]),
            sign * np.cos(phi[:, j]) * np.sin(out),
        )
        ankle = knee - SHANK * vector(
            np.sin(ti[:, j]) * np.cos(out), np.cos(ti[:, j]), sign * np.sin(ti[:, j]) * np.sin(out)
        )
        ahead = vector(np.cos(foot_out), 0, sign * np.sin(foot_out))
        sole = ankle - vector(0, ANKLE_HEIGHT, 0)
        shoulder = mid_shoulder + vector(0, 0, sign * SHOULDER_HALF_WIDTH)
        elbow_point = shoulder + UPPER_ARM * vector(np.sin(tl + arm), np.cos(tl + arm), 0)
        along = vector(np.sin(tl + arm + bend), np.cos(tl + arm + bend), 0)
        limbs = (hip, knee, ankle, sole, ahead, shoulder, elbow_point, along)
        head = mid_shoulder + 0.2 * vector(np.sin(tl), np.cos(tl), 0)
        points |= of_side(side, limbs, head, vector(1, 0, 0), vector(0, 1, 0))
    body = np.stack([points[name] for name in KEYPOINTS], axis=-1)  # time, (ant, up, right), kp

    # Facing the camera: anterior is +z, the subject's right is -x.
    turn = np.radians(heading)
    x = -body[:, 2] * np.cos(turn) + body[:, 0] * np.sin(turn)
    z = body[:, 0] * np.cos(turn) + body[:, 2] * np.sin(turn)
    position = np.stack([x, body[:, 1], z], axis=1)

    ankles = [KEYPOINTS.index("left_ankle"), KEYPOINTS.index("right_ankle")]
    rise = -position[:, 1][:, ankles].mean(axis=1)
    truth["hip_height"] = (("time",), rise / (THIGH + SHANK))
    u = 360 + PIXELS_PER_METRE * position[:, 0]
    v = 1100 - PIXELS_PER_METRE * (position[:, 1] + rise[:, None])
    image = np.stack([u, v], axis=1)
    depth = -PIXELS_PER_METRE * position[:, 2]
    confidence = np.full((time.size, len(KEYPOINTS)), 0.95)
    presence = np.full((time.size, len(KEYPOINTS)), 0.99)
    if noise:
        position = position + rng.normal(0, noise, position.shape)
        image = image + rng.normal(0, noise * PIXELS_PER_METRE, image.shape)
        depth = depth + rng.normal(0, noise * PIXELS_PER_METRE, depth.shape)

    arrays = [position, image, depth, confidence, presence]
    mirror = [KEYPOINTS.index(_other_side(name)) for name in KEYPOINTS]
    for first, last in swapped:
        rows = (time >= first) & (time <= last)
        for array in arrays:
            array[rows] = array[rows][..., mirror]
    for name, (first, last) in (missing or {}).items():
        rows, k = (time >= first) & (time <= last), KEYPOINTS.index(name)
        for array in arrays[:3]:
            array[rows, ..., k] = np.nan
        confidence[rows, k] = 0
    for first, last in absent:
        rows = (time >= first) & (time <= last)
        for array in arrays:
            array[rows] = np.nan

    pose = pose_dataset(
        time,
        position=position,
        confidence=confidence,
        presence=presence,
        image_position=image,
        image_depth=depth,
    ).assign_attrs(
        {
            "method": "truth",
            "source_software": "analytic",
            "ds_type": "poses",
            "fps": float(fps),
            "time_unit": "seconds",
            "source_file": "analytic.mp4",
            "image_width": 720,
            "image_height": 1280,
            "schema_version": "1",
            "history": "[]",
        }
    )
    return Trial(pose, truth)


def repetitions_of(trial: Trial, accepted: list[bool] | None = None) -> xr.Dataset:
    """The true repetitions of a trial, in the layout of find_repetitions."""
    truth = trial.truth
    n = truth.sizes["rep"]
    kept = np.array([True] * n if accepted is None else accepted, bool)
    height = truth["hip_height"]
    lowest = float(height.min()) if height.size else 1.0
    return truth[["start", "bottom_start", "bottom", "bottom_end", "end"]].assign(
        depth=("rep", np.full(n, 100 * (1 - lowest)), {"units": "percent"}),
        accepted=("rep", kept),
        complete=("rep", np.full(n, True)),
        start_seen=("rep", np.full(n, True)),
        end_seen=("rep", np.full(n, True)),
        reason=("rep", np.array(["" if k else "truncated" for k in kept], dtype=object)),
        hip_height=height,
        standing=truth["crouch"] < 0.001,
    )


def of_side(
    side: str, limbs: Sequence[np.ndarray], head: np.ndarray, face: np.ndarray, up: np.ndarray
) -> dict[str, np.ndarray]:
    """Landmarks of a side, (anterior, up, right), and the nose.

    `limbs` are hip, knee, ankle, sole, the direction of the foot, shoulder, elbow and the direction
    of the forearm; `face` is the direction in which the head looks.
    """
    hip, knee, ankle, sole, ahead, shoulder, elbow, along = limbs
    out = np.array([0.0, 0.0, 1.0 if side == "right" else -1.0])
    wrist = elbow + FOREARM * along
    return {
        f"{side}_hip": hip,
        f"{side}_knee": knee,
        f"{side}_ankle": ankle,
        f"{side}_heel": sole - HEEL_BACK * ahead,
        f"{side}_foot_index": sole + TOE_FORWARD * ahead,
        f"{side}_shoulder": shoulder,
        f"{side}_elbow": elbow,
        f"{side}_wrist": wrist,
        f"{side}_index": wrist + 0.08 * along,
        f"{side}_pinky": wrist + 0.07 * along + 0.03 * out,
        f"{side}_thumb": wrist + 0.05 * along - 0.03 * out,
        f"{side}_eye_inner": head + 0.08 * face + 0.03 * up + 0.02 * out,
        f"{side}_eye": head + 0.08 * face + 0.03 * up + 0.03 * out,
        f"{side}_eye_outer": head + 0.08 * face + 0.03 * up + 0.04 * out,
        f"{side}_ear": head + 0.01 * up + 0.07 * out,
        f"mouth_{side}": head + 0.09 * face - 0.03 * up + 0.02 * out,
        "nose": head + 0.10 * face,
    }


def pose_dataset(time: np.ndarray, **arrays: np.ndarray) -> xr.Dataset:
    """A pose of one person from arrays (time, axis, keypoint), or (time, keypoint)."""
    axes = {"position": ("space", "m"), "image_position": ("pixel", "pixel")}
    variables: dict[str, tuple[object, ...]] = {}
    for name, values in arrays.items():
        axis, units = axes.get(name, (None, "pixel" if name == "image_depth" else None))
        dims = ("time", *([axis] if axis else []), "keypoint", "individual")
        variables[name] = (dims, values[..., None], {"units": units} if units else {})
    return xr.Dataset(
        variables,
        coords={
            "time": time,
            "space": ["x", "y", "z"],
            "pixel": ["u", "v"],
            "keypoint": list(KEYPOINTS),
            "individual": ["subject"],
        },
    )


def fitted(pose: xr.Dataset, *, sd: float = 0.0, draws: int = 2) -> xr.Dataset:
    """The pose as that of a fit with a knot at every frame, and draws of known spread (metres).

    The camera of a fit is at x = z = 0: the subject stands 3 m in front of it.
    """
    away = xr.DataArray([0.0, 0.0, -3.0], dims="space", coords={"space": ["x", "y", "z"]})
    placed = (pose["position"] + away).transpose(*pose["position"].dims)
    pose = pose.assign(position=placed.assign_attrs(pose["position"].attrs))
    centre = pose["position"].isel(individual=0, drop=True).sel(keypoint=FITTED)
    centre = centre.transpose("time", "space", "keypoint").to_numpy()
    normal = np.random.default_rng(2).normal(size=(draws, 1, *centre.shape[1:]))
    dims = ("fit_time", "fit_space", "fit_keypoint")
    return (
        pose.assign(
            fit_position=(dims, centre),
            position_draws=(("draw", *dims), sd * np.broadcast_to(normal, (draws, *centre.shape))),
        )
        .assign_coords(fit_time=pose["time"].values, fit_space=["x", "y", "z"], fit_keypoint=FITTED)
        .assign_attrs(method="fitted_body")
    )


def with_step(
    pose: xr.Dataset,
    first: float,
    last: float,
    *,
    forward: float = 0.0,
    wider: float = 0.0,
    standing: tuple[float, float] = (1.0, 1.0),
) -> xr.Dataset:
    """The pose of a subject who comes to another place between two times, and notes that.

    The feet are then `wider` apart, and the hips lower by what that takes. `standing` are the
    seconds of standing straight before and after.
    """
    time = pose["time"].to_numpy()
    done = xr.DataArray(minimum_jerk((time - first) / (last - first)), dims="time")
    position = pose["position"].copy(deep=True)
    middle = position.sel(keypoint=["left_hip", "right_hip"]).mean("keypoint")
    outward = np.sign((position - middle).sel(space="x"))
    feet = position["keypoint"].str.contains("ankle|heel|foot_index")
    knees = position["keypoint"].str.contains("knee")
    share = xr.where(feet, 1.0, xr.where(knees, 0.5, 0.0))  # of the way of the feet outwards
    lowered = THIGH + SHANK - np.sqrt((THIGH + SHANK) ** 2 - (wider / 2) ** 2)
    position.loc[{"space": "x"}] += outward * done * share * wider / 2
    position.loc[{"space": "y"}] -= done * (1 - share) * lowered
    position.loc[{"space": "z"}] += done * forward
    ends = (float(time[0]), first), (last, float(time[-1]))
    return with_history(
        pose.assign(position=position),
        "fit_body",
        {"standing": "straight"},
        planted=True,
        standing_seconds=sum(standing),
        stances=[
            {"first_s": a, "last_s": b, "standing_s": seconds}
            for (a, b), seconds in zip(ends, standing, strict=True)
        ],
        steps=[
            {"from_s": first, "to_s": last, "forward_m": forward, "left_m": 0.0, "wider_m": wider}
        ],
    )


def _other_side(name: str) -> str:
    if "left" in name:
        return name.replace("left", "right")
    return name.replace("right", "left")


def moved(
    pose: xr.Dataset, rows: np.ndarray | slice, names: Sequence[str], axis: str, by: float
) -> xr.Dataset:
    """The pose with landmarks displaced, metres, in some frames."""
    changed = pose.copy(deep=True)
    changed["position"].loc[
        {"time": pose["time"][rows], "keypoint": list(names), "space": axis}
    ] += by
    return changed


def offset(
    angles: xr.Dataset, trial: Trial, extras: tuple[float, ...], pad: float = 0
) -> xr.Dataset:
    """The angles with knees that bend farther by as much in each repetition, degrees."""
    changed = angles.copy(deep=True)
    for start, end, extra in zip(trial.truth["start"], trial.truth["end"], extras, strict=True):
        during = (angles["time"] >= float(start) - pad) & (angles["time"] <= float(end) + pad)
        changed["knee_flexion"] = changed["knee_flexion"] + xr.where(during, extra, 0.0)
    return changed
