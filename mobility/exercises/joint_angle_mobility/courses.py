"""Angle curves of the joints: which frames are withheld and why, and the posture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mobility import tables
from mobility.assessment import movements as movement_table
from mobility.base.formatting import listed, spoken
from mobility.base.provenance import cameras_of, cuts_of, repeats_of
from mobility.base.uncertain import sd_name
from mobility.catalogue.joints import joint_table, joints_that
from mobility.errors import BadInputError
from mobility.exercises.joint_angle_mobility.excursions import (
    ALONG,
    Array,
    Course,
    Mark,
    Mask,
    at_the_same_time,
    by_hand,
    constants,
    excursions_of,
    without_incomplete_movements,
    without_movements_at_rest,
)
from mobility.keypoints.view import camera_view
from mobility.kinematics.angle_errors import legs_unseen
from mobility.kinematics.datasets import require_angles, require_pose, require_positions
from mobility.kinematics.in_picture import guessed_landmarks
from mobility.kinematics.skeleton import INDEX, KEYPOINTS, SIDES, angle_between, landmarks


def single_joint_limits() -> dict[str, float]:
    """Return the largest expected error of each angle in single-joint range of motion, degrees.

    Used as limits of :func:`~mobility.kinematics.angles.joint_angles`.
    """
    table = joint_table()
    return {
        entry[name]: float(entry["largest_sd_deg"])
        for entry in table.values()
        for name in ("angle", "frontal")
        if name in entry
    }


def feet_could_be_planted(pose: xr.Dataset) -> bool:
    """Return whether the fit should test for planted feet: only if the person stands.

    Parameters
    ----------
    pose
        A pose that is not fitted yet.

    Returns
    -------
    bool
        False if the person sits or lies, or if the posture is uncertain: planted feet would also
        imply that the centre of mass is above them.
    """
    require_pose(pose, what="feet_could_be_planted")
    return postures_of(landmarks(pose))[1] == "standing"


def upper_body_only(pose: xr.Dataset) -> list[dict[str, str]]:
    """Warn if the knees are hardly ever in the picture."""
    if not legs_unseen(pose):
        return []
    return [tables.warning("warnings.upper_body_only")]


def courses_of(
    pose: xr.Dataset,
    angles: xr.Dataset,
    joints: Sequence[str],
    marks: Sequence[Mark] | None = None,
    movement: str | None = None,
) -> list[Course]:
    """Return each joint's curves by side, their movements, and what was withheld and why."""
    require_positions(pose, what="joint_mobility")
    table = constants()
    wanted = [joint_table()[joint]["angle"] for joint in joints]
    require_angles(angles, wanted, what="joint_mobility")
    time = angles["time"].to_numpy().astype(np.float64)
    if not np.array_equal(pose["time"].to_numpy(), angles["time"].to_numpy()):
        raise BadInputError("joint_mobility: the pose and the angles have different frames")
    if len(set(joints)) < len(joints):
        raise BadInputError(f"joint_mobility: a joint is listed twice in {', '.join(joints)}")
    points = landmarks(pose)
    postures, _ = postures_of(points)
    steep = _hip_line(points) > table["hip_line_deg"]["value"]
    outside, hidden = _unseen(pose)
    at_cut = np.zeros(time.size, dtype=bool)
    for moment in cuts_of(pose):
        at_cut |= np.abs(time - moment) < table["movement"]["beside_cut_s"]
    for repeat in repeats_of(pose):
        at_cut |= (time >= repeat.start) & (time < repeat.stop)
    exchanged = _why_legs_exchanged(pose, points, hidden)
    azimuth = camera_view(pose).azimuth_deg if len(cameras_of(pose)) < 2 else np.nan
    courses = []
    for joint in joints:
        entry = joint_table()[joint]
        for k, side in enumerate(SIDES):
            plane = str(angles[entry["angle"]].attrs.get(f"plane_{side}", ""))
            name = entry.get(plane, entry["angle"])
            angle = angles[name].sel(side=side)
            values = angle.to_numpy().astype(np.float64)
            sd = angles[sd_name(name)].sel(side=side).to_numpy().astype(np.float64)
            reasons = []
            other, beside = entry.get("other_side", []), _why_camera_off_view(entry, azimuth)
            needed_landmarks = [*entry["landmarks"], *other]
            columns = [INDEX[f"{side}_{name}"] for name in entry["landmarks"]]
            columns += [INDEX[f"{SIDES[1 - k]}_{name}"] for name in other]
            beyond = outside[:, columns]
            beyond[:, : len(entry["landmarks"])] &= ~_confident_outside(pose, angle, entry, side)
            refuse: Mask = np.any(beyond, axis=1)
            if beside:
                reasons.append(beside)
                refuse = np.ones_like(refuse)
            elif refuse.mean() > table["visibility"]["outside_share"]:
                names = [
                    mark
                    for mark, share in zip(needed_landmarks, beyond.mean(axis=0), strict=True)
                    if share > table["visibility"]["outside_share"]
                ] or needed_landmarks
                names = list(dict.fromkeys(names))
                called = [name.replace("foot_index", "toe") for name in names]
                many = "several" if len(called) > 1 else "one"
                out = tables.sentence(
                    f"reasons.joint.out_of_picture.{many}", landmarks=listed(called)
                )
                reasons.append(out)
                refuse = np.ones_like(refuse)
            elif hidden[:, columns].mean(axis=0).max() > table["visibility"]["hidden_share"]:
                share = hidden[:, columns].mean(axis=0)
                mark = needed_landmarks[int(share.argmax())].replace("foot_index", "toe")
                frames = _frames(share.max())
                reasons.append(
                    tables.sentence("reasons.joint.hidden", landmark=mark, frames=frames)
                )
                refuse = np.ones_like(refuse)
            if exchanged and joint in joints_that("leg") and not refuse.all():
                reasons.append(exchanged)
                refuse = np.ones_like(refuse)
            in_plane = f"in_picture_{side}" in angle.attrs and not entry.get("upright")
            if entry["needs_frame"] and not in_plane:
                lying = postures == "lying"
                if lying.any():
                    frames = _frames(lying.mean())
                    reasons.append(tables.sentence("reasons.joint.lying", frames=frames))
                elif steep.any():
                    frames = _frames(steep.mean())
                    reasons.append(tables.sentence("reasons.joint.hips_steep", frames=frames))
                refuse = refuse | lying | steep
            low, high = entry["possible_deg"]
            impossible = (values < low) | (values > high)
            refuse = refuse | impossible
            if impossible.mean() > table["visibility"]["impossible_share"]:
                frames = _frames(impossible.mean())
                reasons.append(
                    tables.sentence("reasons.joint.impossible", joint=joint, frames=frames)
                )
                refuse = np.ones_like(refuse)
            disagreeing = angle.attrs.get(f"disagree_{side}", 0.0)
            if disagreeing > table["visibility"]["disagree_share"]:
                reasons.append(
                    tables.sentence("reasons.joint.disagree", frames=_frames(disagreeing))
                )
            unsure = np.isnan(values).any() and not refuse.all()
            if unsure and (why := angle.attrs.get("refused")):
                if not np.isnan(values).all():
                    what = {"angle": spoken(name), "why": why}
                    why = tables.sentence("reasons.joint.in_part", **what)
                reasons.append(str(why))
            refuse = refuse | at_cut
            values, sd = np.where(refuse, np.nan, values), np.where(refuse, np.nan, sd)
            if entry.get("upright") and (level := _tilt_at_rest(values, time, table["stood"])):
                values = values - level
                reasons.append(
                    tables.sentence("reasons.joint.tilted", joint=joint, degrees=abs(level))
                )
            if np.isnan(values).all() and not reasons:
                elsewhere = plane and plane not in planes_of(joint)
                reasons.append(
                    tables.sentence("reasons.joint.other_plane", plane=plane)
                    if elsewhere
                    else tables.sentence("reasons.joint.not_found")
                )
            course = Course(
                *(joint, side, values, sd, np.nan),
                note="; ".join(reasons),
                angle=name,
                plane=plane,
                off_picture=float(angles[entry["angle"]].attrs.get(f"off_picture_{side}", np.nan)),
                added_sd=float(angle.attrs.get("added_sd_deg", 0.0)),
            )
            courses.append(excursions_of(course, time, table, _end_wanted(joint, movement)))
    courses = [
        without_incomplete_movements(course, table["movement"])
        for course in without_movements_at_rest(courses, table["movement"])
    ]
    if marks is None:
        return courses
    groups = at_the_same_time([each for course in courses for each in course.excursions])
    return [by_hand(course, time, marks, groups, table) for course in courses]


def _tilt_at_rest(values: Array, time: Array, rules: Mapping[str, Any]) -> float:
    """Return the angle from the vertical at rest, if it is the same at both ends of the recording.

    No camera is level, and a side bend starts upright, so this angle is subtracted. It is zero if
    the rest is unknown; the vertical is then the vertical of the picture.
    """
    first = time <= time[0] + rules["seconds"]
    last = time >= time[-1] - rules["seconds"]
    ends = []
    for part in (values[first], values[last]):
        finite_tilt = part[np.isfinite(part)]
        if 2 * finite_tilt.size < part.size or np.ptp(finite_tilt) > rules["apart_deg"]:
            return 0.0
        ends.append(float(np.median(finite_tilt)))
    level = float(np.mean(ends))
    rests = abs(ends[1] - ends[0]) <= rules["apart_deg"] and abs(level) <= rules["most_deg"]
    return level if rests else 0.0


def _why_camera_off_view(entry: Mapping[str, Any], azimuth: float) -> str:
    """State how far the camera is from the view that a joint needs; empty if it is close."""
    wanted = entry.get("camera")
    if wanted is None or not np.isfinite(azimuth):
        return ""
    ahead = abs((azimuth + 180.0) % 360.0 - 180.0)
    degrees_beside = min({"front": ahead, "back": 180.0 - ahead}[view] for view in wanted["views"])
    if degrees_beside <= wanted["beside_deg"]:
        return ""
    from_where = "_".join(wanted["views"])
    return tables.sentence(
        f"reasons.joint.camera_beside.{from_where}", off=degrees_beside, most=wanted["beside_deg"]
    )


def _end_wanted(joint: str, movement: str | None) -> str | None:
    """Return if the requested movement ends at low or high angles of its joint; None if unknown."""
    if movement is None or movement not in movement_table.movements_of(joint):
        return None
    return str(movement_table.movement(movement)["end"])


def _frames(share: float) -> str:
    """Describe a share of the frames in words."""
    if share > 0.995:
        return tables.sentence("reasons.joint.all_frames")
    return tables.sentence("reasons.joint.some_frames", share=share)


def _unseen(pose: xr.Dataset) -> tuple[Mask, Mask]:
    """Return which landmarks are outside the picture, and which are hidden, over (time, 33)."""
    table = constants()["visibility"]
    shape = pose.sizes["time"], len(KEYPOINTS)
    outside: Mask = np.zeros(shape, dtype=bool)
    hidden: Mask = np.zeros(shape, dtype=bool)
    if "image_position" in pose and {"image_width", "image_height"} <= set(pose.attrs):
        points = landmarks(pose, "image_position")
        size = np.array([pose.attrs["image_width"], pose.attrs["image_height"]], dtype=float)
        with np.errstate(invalid="ignore"):
            outside = np.asarray(((points < 0) | (points > size)).any(axis=-1))
    if "confidence" in pose:
        with np.errstate(invalid="ignore"):
            hidden = landmarks(pose, "confidence") < table["visibility"]
    return outside, hidden


def _confident_outside(
    pose: xr.Dataset, angle: xr.DataArray, entry: Mapping[str, Any], side: str
) -> Mask:
    """Return the landmarks outside the picture that count because the pose model is confident."""
    accepted: Mask = np.zeros((pose.sizes["time"], len(entry["landmarks"])), dtype=bool)
    if f"in_picture_{side}" not in angle.attrs or "confidence" not in pose:
        return accepted
    for name, least in guessed_landmarks(entry["angle"]).items():
        sure = landmarks(pose, "confidence", keypoints=[f"{side}_{name}"])[:, 0]
        accepted[:, entry["landmarks"].index(name)] = sure >= least
    return accepted


def _why_legs_exchanged(pose: xr.Dataset, points: Array, hidden: Mask) -> str:
    """Explain why the legs may have been exchanged; empty if that is unlikely.

    From the side, the far leg is behind the near leg. The pose model sometimes labels the raised
    near leg as the far one. So if the far leg seems to move more and is visible in only some
    frames, it is unknown which leg moves.
    """
    limits = constants()["legs_told_apart"]
    lost = float(pose.attrs.get("lost_share", 0.0))
    if lost > limits["lost_share"]:
        return tables.sentence("reasons.joint.nobody", frames=_frames(lost))
    if (times := int(pose.attrs.get("legs_exchanged", 0))) > 0:
        return tables.sentence("reasons.joint.legs_cross", times=times)
    if _toes_ahead(points) < -limits["toes_back"]:
        return tables.sentence("reasons.joint.toes_backwards")
    azimuth = camera_view(pose).azimuth_deg
    if not (abs(abs(azimuth) - 90) <= limits["side_deg"]):
        return ""
    near = "right" if azimuth > 0 else "left"
    far = SIDES[1 - SIDES.index(near)]
    in_sight = 1 - float(hidden[:, INDEX[f"{far}_knee"]].mean())
    moves = {side: _leg_range(points, side) for side in SIDES}
    least = limits["least_share"]
    if not least < in_sight < 1 - least or moves[near] > limits["near_to_far"] * moves[far]:
        return ""
    return tables.sentence("reasons.joint.legs_exchanged", frames=_frames(in_sight))


def _toes_ahead(points: Array) -> float:
    """Return the median cosine between the more forward foot and the front of the person.

    Only frames with the shank in line with the trunk count; NaN if there are none.
    """
    trunk = np.zeros_like(points[:, 0])
    for side in SIDES:
        trunk += points[:, INDEX[f"{side}_shoulder"]] - points[:, INDEX[f"{side}_hip"]]
    ahead = np.cross(trunk, points[:, INDEX["right_hip"]] - points[:, INDEX["left_hip"]])
    cosines = []
    for side in SIDES:
        shank = points[:, INDEX[f"{side}_ankle"]] - points[:, INDEX[f"{side}_knee"]]
        foot = points[:, INDEX[f"{side}_foot_index"]] - points[:, INDEX[f"{side}_heel"]]
        size = np.linalg.norm(foot, axis=-1) * np.linalg.norm(ahead, axis=-1)
        cosine = (foot * ahead).sum(axis=-1) / np.where(size > 0, size, np.nan)
        along = angle_between(-trunk, shank) < ALONG
        cosines.append(cosine[along & np.isfinite(cosine)])
    return max(float(np.median(each)) if each.size else np.nan for each in cosines)


def _leg_range(points: Array, side: str) -> float:
    """Return how far the thigh or knee rotates (P95 - P5), degrees."""
    down = np.array([0.0, -1.0, 0.0])
    thigh = points[:, INDEX[f"{side}_knee"]] - points[:, INDEX[f"{side}_hip"]]
    shank = points[:, INDEX[f"{side}_ankle"]] - points[:, INDEX[f"{side}_knee"]]
    ranges = []
    for turned in (angle_between(thigh, down), angle_between(thigh, shank)):
        finite_angles = turned[np.isfinite(turned)]
        ranges.append(
            float(np.ptp(np.percentile(finite_angles, [5, 95]))) if finite_angles.size else 0.0
        )
    return max(ranges)


def _hip_line(points: Array) -> Array:
    """Return the angle of the hip line from the horizontal, degrees."""
    across = points[:, INDEX["right_hip"]] - points[:, INDEX["left_hip"]]
    angle: Array = np.degrees(
        np.arctan2(np.abs(across[:, 1]), np.hypot(across[:, 0], across[:, 2]))
    )
    return angle


def postures_of(points: Array) -> tuple[NDArray[np.str_], str]:
    """Return the posture in each frame, and the most frequent one; "other" if it is uncertain."""
    limits = constants()["posture"]
    up = np.array([0.0, 1.0, 0.0])

    def middle(name: str) -> Array:
        mean: Array = (points[:, INDEX[f"left_{name}"]] + points[:, INDEX[f"right_{name}"]]) / 2
        return mean

    trunk = angle_between(middle("shoulder") - middle("hip"), up)
    thighs = np.stack(
        [
            angle_between(points[:, INDEX[f"{s}_knee"]] - points[:, INDEX[f"{s}_hip"]], -up)
            for s in SIDES
        ]
    )
    with np.errstate(invalid="ignore"):
        hangs = np.where(np.isnan(thighs), np.inf, thighs).min(axis=0)
        has_thigh = np.isfinite(hangs)
        upright = trunk < limits["upright_deg"]
        postures = np.full(len(points), "other", dtype="<U8")
        postures[upright & (hangs < limits["thigh_deg"])] = "standing"
        postures[upright & has_thigh & (hangs >= limits["thigh_deg"])] = "seated"
        postures[(trunk > limits["lying_deg"]) & ~(hangs < limits["thigh_deg"])] = "lying"
    names, counts = np.unique(postures, return_counts=True)
    return postures, str(names[counts.argmax()]) if names.size else "other"


def planes_of(joint: str) -> set[str]:
    """Return the planes of the body in which the movements of a joint lie."""
    names = movement_table.movements_of(joint)
    return {str(movement_table.movement(name)["plane"]) for name in names}
