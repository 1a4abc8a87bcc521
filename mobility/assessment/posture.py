"""Posture in a squat: heels, trunk against shanks, arms over the feet, shift and stance."""

from __future__ import annotations

import functools

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mobility import provenance, tables
from mobility.assessment.body import OUTWARD, in_body_axes, median_of
from mobility.assessment.knee_movement import ankle_distance, standing_ankle_width
from mobility.assessment.metric import CARRIED, frame_variables, merged_history
from mobility.assessment.phases import (
    REPETITION,
    main_stance,
    never_standing_there,
    require,
    same_frames,
    within_repetitions,
)
from mobility.assessment.propagation import values_and_sd
from mobility.kinematics.datasets import require_pose
from mobility.kinematics.skeleton import SIDES, landmarks

Array = NDArray[np.float64]

_JOINTS = ("shoulder", "wrist", "hip", "knee", "ankle", "heel", "foot_index")


def posture(pose: xr.Dataset, repetitions: xr.Dataset) -> xr.Dataset:
    r"""Posture of the body at every frame, and the stance.

    With eY up, eZ the horizontal direction from the left to the right hip, eX that to the front;
    S, Wr, H, K, A, He, T the shoulder, wrist, hip, knee, ankle, heel and toe; s = +1 on the right,
    -1 on the left; W the median distance of the ankles along eZ over the standing frames:

    - ``heel_rise`` = atan2((He - T)·eY, horizontal length of He - T), less its median over the
      standing frames;
    - ``trunk_tibia_difference`` = trunk lean less the mean tibia inclination: 0 with the trunk
      parallel to the shanks, positive when it leans farther forward;
    - ``dowel_offset`` = (mean wrist - middle of heels and toes)·eX / length of the foot, whose
      length is the median of \|T - He\| over all frames. The hands are over the feet when it is
      between -0.5 and 0.5;
    - ``lateral_shift`` = ((mean H - mean A)·eZ, less its median over the standing frames) / W;
      positive to the subject's right;
    - ``toe_out`` = atan2(s (T - He)·eZ, (T - He)·eX);
    - ``stance_width`` = distance of the ankles along eZ / distance of the shoulders, medians over
      the standing frames; ``stance_width_m`` the former in metres.

    After a step the standing frames are those of the new stance; the stance is that of most of the
    accepted repetitions.

    Parameters
    ----------
    pose
        Pose Dataset in metres, y up: ``position(time, space, keypoint, individual)``.
    repetitions
        Repetitions Dataset of the same frames; its standing frames are the reference.

    Returns
    -------
    xarray.Dataset
        ``heel_rise(time, side)`` and ``toe_out(time, side)`` in degrees,
        ``trunk_tibia_difference(time)`` in degrees, ``dowel_offset(time)`` in lengths of the foot,
        ``lateral_shift(time)`` in standing distances of the ankles, ``stance_width`` and
        ``stance_width_m``, each with its ``_sd``. NaN where landmarks are missing, where nobody
        stood with the feet in that place (for what refers to standing), where the hip line is
        steep, and where the interval is wider than the limit in ``tables/measures.yaml``, with the
        attribute ``note``.

    Raises
    ------
    BadInputError
        When a variable is missing or the frames of the inputs differ.

    Notes
    -----
    The ``_sd`` is computed by moving the landmarks, see
    :func:`~mobility.assessment.propagation.values_and_sd`; so an error common to trunk and shanks,
    or to both hips and both ankles, cancels in the ``_sd`` too. For a fitted body a share of the
    stance is added to its sd, since the draws of the fit leave out the error of stature. What the
    camera cannot see from the side is not refused here, but by :func:`mobility.overhead_squat`.

    References
    ----------
    Cook, Burton, Hoogenboom, Voight (2014), Int J Sports Phys Ther 9:396 (trunk and shanks, dowel).
    Padua et al. (2009), Am J Sports Med 37:1996 (stance against the shoulders, foot rotation).
    """
    table = tables.load("measures")
    require_pose(pose, what="posture")
    require(repetitions, "repetitions", list(REPETITION))
    same_frames(pose, repetitions, "repetitions")
    limits = {name: entry["value"] for name, entry in table["limits"].items()}
    kernel = functools.partial(_posture, limits=limits)
    standing = repetitions["standing"].values.astype(bool)
    main = main_stance(repetitions)
    values, sd = values_and_sd(pose, _JOINTS, standing, kernel, main=main)
    if "position_draws" in pose:
        for name, entry in table["stance"].items():
            sd[name] = np.hypot(sd[name], entry["fit_error_share"]["value"] * values[name])
    entries = {**table["posture"], **table["stance"]}
    hidden = _hidden_heels(pose, within_repetitions(repetitions))
    for side in hidden:
        values["heel_rise"][:, SIDES.index(side)] = np.nan
    variables, warnings = frame_variables(
        pose, within_repetitions(repetitions), values, sd, entries
    )
    if not standing.any():
        why = tables.sentence("reasons.never_standing")
    else:
        why = never_standing_there(repetitions)
    for name in ("heel_rise", "lateral_shift", *table["stance"]) if why else ():
        if name not in table["stance"] or np.isnan(values[name]):
            variables[name].attrs["note"] = why
    if hidden:
        variables["heel_rise"].attrs["note"] = tables.sentence(
            "reasons.heel_hidden" if len(hidden) == 1 else "reasons.heels_hidden", side=hidden[0]
        )
    result = xr.Dataset(variables)
    result.attrs = {key: pose.attrs[key] for key in CARRIED if key in pose.attrs}
    result.attrs["ds_type"] = "posture"
    return provenance.with_history(
        result.assign_attrs(history=merged_history(pose, repetitions)),
        "posture",
        {},
        warnings=warnings,
    )


def _hidden_heels(pose: xr.Dataset, within_repetitions: NDArray[np.bool_]) -> list[str]:
    """Sides whose heel the camera hardly sees: the fit lets it stay on the floor."""
    least = tables.load("measures")["limits"]["least_visibility_of_heels"]["value"]
    if "position_draws" not in pose or "confidence" not in pose:
        return []
    seen = landmarks(pose, "confidence", keypoints=[f"{side}_heel" for side in SIDES])
    usual = zip(SIDES, median_of(seen[within_repetitions]), strict=True)
    return [side for side, visibility in usual if visibility < least]


def _posture(points: Array, standing: Array, limits: dict[str, float]) -> dict[str, Array]:
    """Posture of points (time, joint, side, space)."""
    hip = _JOINTS.index("hip")
    x, z = _by_joint(in_body_axes(points, hip))
    at_rest_z = _by_joint(in_body_axes(standing, hip))[1]
    y = dict(zip(_JOINTS, np.moveaxis(points[..., 1], 1, 0), strict=True))

    def mean(sided: Array) -> Array:
        return np.asarray(sided.mean(axis=-1))

    foot = _of_joint(points, "foot_index") - _of_joint(points, "heel")
    length = median_of(mean(np.linalg.norm(foot, axis=-1)))
    trunk = np.arctan2(mean(x["shoulder"]) - mean(x["hip"]), mean(y["shoulder"]) - mean(y["hip"]))
    shank = np.arctan2(x["knee"] - x["ankle"], y["knee"] - y["ankle"])
    middle = mean(x["heel"] + x["foot_index"]) / 2
    width = standing_ankle_width(at_rest_z["ankle"], limits)
    stance = median_of(ankle_distance(at_rest_z["ankle"]))
    shoulders = _of_joint(standing, "shoulder")
    across = median_of(np.linalg.norm(shoulders[:, 1] - shoulders[:, 0], axis=-1))

    def over_ankles(z: dict[str, Array]) -> Array:
        return mean(z["hip"] - z["ankle"])

    return {
        "heel_rise": _pitch(points) - median_of(_pitch(standing)),
        "trunk_tibia_difference": np.degrees(trunk - mean(shank)),
        "dowel_offset": (mean(x["wrist"]) - middle) / length,
        "lateral_shift": (over_ankles(z) - median_of(over_ankles(at_rest_z))) / width,
        "toe_out": np.degrees(
            np.arctan2(OUTWARD * (z["foot_index"] - z["heel"]), x["foot_index"] - x["heel"])
        ),
        "stance_width": stance / across,
        "stance_width_m": stance,
    }


def _of_joint(points: Array, joint: str) -> Array:
    return points[:, _JOINTS.index(joint)]


def _by_joint(coordinates: tuple[Array, Array]) -> tuple[dict[str, Array], dict[str, Array]]:
    x, z = (dict(zip(_JOINTS, np.moveaxis(c, 1, 0), strict=True)) for c in coordinates)
    return x, z


def _pitch(points: Array) -> Array:
    """Angle of the line from toe to heel above the horizontal, degrees (time, side)."""
    rise = _of_joint(points, "heel") - _of_joint(points, "foot_index")
    pitch: Array = np.degrees(np.arctan2(rise[..., 1], np.hypot(rise[..., 0], rise[..., 2])))
    return pitch
