"""A person who moves single joints, as a pose whose angles are known in closed form.

Limbs move in the sagittal plane, trunk and head in the frontal plane. The truth is what is
commanded, never worked out from the points.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from tests.analytic import (
    ANKLE_HEIGHT,
    HIP_HALF_WIDTH,
    KEYPOINTS,
    SHANK,
    SHOULDER_HALF_WIDTH,
    SIDES,
    THIGH,
    TRUNK,
    UPPER_ARM,
    minimum_jerk,
    of_side,
    pose_dataset,
    squat_pose,
)

FPS = 30.0
REST = {
    "standing": {"trunk": 0.0, "hip": 0.0, "knee": 5.0, "ankle": 0.0},
    "seated": {"trunk": 0.0, "hip": 90.0, "knee": 90.0, "ankle": 0.0},
    "lying": {"trunk": -90.0, "hip": 0.0, "knee": 5.0, "ankle": -30.0},
}
"""Degrees; the trunk from the vertical, forward positive."""

Both = float | np.ndarray | tuple[float | np.ndarray, float | np.ndarray]


def there_and_back(
    *,
    low: float,
    high: float,
    times: int = 3,
    rest: float = 1.0,
    out: float = 1.0,
    hold: float = 0.3,
    back: float = 1.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Times, and a curve that goes from `low` to `high` and back, with rests between."""
    cycle = out + hold + back + rest
    time = np.arange(round((rest + times * cycle) * FPS) + 1) / FPS
    share = np.zeros_like(time)
    for start in rest + cycle * np.arange(times):
        share += minimum_jerk((time - start) / out)
        share -= minimum_jerk((time - start - out - hold) / back)
    return time, low + (high - low) * share


def limb_pose(
    time: np.ndarray,
    *,
    posture: str = "standing",
    joints: Mapping[str, Both] | None = None,
    heading: float = 90.0,
    noise: float = 0.0,
    roll: float = 0.0,
    lean: float | np.ndarray = 0.0,
    head_tilt: float | np.ndarray = 0.0,
    seed: int = 0,
) -> xr.Dataset:
    """Pose of a person who is standing, seated or lying (on the back), with joints at angles.

    `joints` has the angle of "hip", "knee", "ankle", "shoulder" or "elbow", degrees: a number or a
    curve, for both sides or as a pair. The person is turned by `heading` degrees (90 is seen from
    the right) and rolled as a whole about the forward axis by `roll`; all above the hips leans to
    the right by `lean`, and the head by `head_tilt` more. `noise` is in metres.
    """
    n = time.size
    rest = REST[posture]
    given = {"shoulder": 0.0, "elbow": 10.0, **rest, **(joints or {})}
    trunk = np.radians(np.broadcast_to(np.asarray(rest["trunk"], float), n))

    def of(name: str, k: int) -> np.ndarray:
        value = given[name]
        one = value[k] if isinstance(value, tuple) else value
        return np.radians(np.broadcast_to(np.asarray(one, float), n))

    def down(angle: np.ndarray) -> np.ndarray:
        """Unit vector (anterior, up, right) turned forward by `angle` from straight down."""
        return np.stack([np.sin(angle), -np.cos(angle), np.zeros(n)], axis=-1)

    points: dict[str, np.ndarray] = {}
    middle = -TRUNK * down(-trunk)
    right = np.array([0.0, 0.0, 1.0])
    head = middle - 0.2 * down(-trunk)
    ahead = np.stack([np.cos(trunk), -np.sin(trunk), np.zeros(n)], axis=-1)
    for k, (side, sign) in enumerate(zip(SIDES, (-1, 1), strict=True)):
        hip = np.zeros((n, 3)) + sign * HIP_HALF_WIDTH * right
        thigh = of("hip", k) - trunk
        shank = thigh - of("knee", k)
        foot = shank + of("ankle", k)
        knee = hip + THIGH * down(thigh)
        ankle = knee + SHANK * down(shank)
        forward = np.stack([np.cos(foot), np.sin(foot), np.zeros(n)], axis=-1)
        sole = ankle + ANKLE_HEIGHT * down(foot)
        shoulder = middle + sign * SHOULDER_HALF_WIDTH * right
        arm = of("shoulder", k) - trunk
        elbow = shoulder + UPPER_ARM * down(arm)
        along = down(arm + of("elbow", k))
        limbs = (hip, knee, ankle, sole, forward, shoulder, elbow, along)
        points |= of_side(side, limbs, head, ahead, np.zeros(3))
    for name, place in points.items():
        if name.endswith(("ear", "eye", "eye_inner", "eye_outer", "nose")) or "mouth" in name:
            points[name] = middle + _to_the_right(place - middle, head_tilt)
        if not name.endswith(("hip", "knee", "ankle", "heel", "foot_index")):
            points[name] = _to_the_right(points[name], lean)
    body = np.stack(
        [points[name] for name in KEYPOINTS], axis=1
    )  # time, keypoint, (ant, up, right)
    tilt = np.radians(roll)
    up, across = body[..., 1].copy(), body[..., 2].copy()
    body[..., 1] = up * np.cos(tilt) - across * np.sin(tilt)
    body[..., 2] = up * np.sin(tilt) + across * np.cos(tilt)
    turn = np.radians(heading)
    position = np.stack(
        [
            -body[..., 2] * np.cos(turn) + body[..., 0] * np.sin(turn),
            body[..., 1],
            body[..., 0] * np.cos(turn) + body[..., 2] * np.sin(turn),
        ],
        axis=-1,
    )
    position += np.random.default_rng(seed).normal(0, noise, position.shape)
    return with_positions(time, position)


def _to_the_right(place: np.ndarray, angle: float | np.ndarray) -> np.ndarray:
    """Turn (anterior, up, right) about the forward axis."""
    a = np.radians(angle)
    up, right = place[:, 1], place[:, 2]
    turned = up * np.cos(a) - right * np.sin(a), up * np.sin(a) + right * np.cos(a)
    return np.stack([place[:, 0], *turned], axis=-1)


def with_positions(time: np.ndarray, position: np.ndarray, *, distance: float = 3.5) -> xr.Dataset:
    """Pose of positions (time, keypoint, 3), seen by a level pinhole camera at the hips' height."""
    width, height = 720, 1280
    focal = 0.88 * height
    depth = distance - position[..., 2]
    image = np.stack(
        [
            width / 2 + focal * position[..., 0] / depth,
            height / 2 - focal * position[..., 1] / depth,
        ],
        axis=1,
    )
    template = squat_pose(reps=1).pose
    pose = pose_dataset(
        time,
        position=position.transpose(0, 2, 1),
        image_position=image,
        confidence=np.full((time.size, template.sizes["keypoint"]), 0.95),
    )
    pose.attrs = dict(template.attrs)
    return pose.assign_attrs(image_width=width, image_height=height, fps=FPS)
