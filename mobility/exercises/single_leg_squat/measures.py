"""Metrics of one standing leg: knee in the frontal plane, pelvis, trunk."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mobility import tables
from mobility.assessment.body import OUTWARD, in_body_axes, median_of
from mobility.assessment.knee_movement import frontal_plane_projection_angle, medial_of_foot
from mobility.assessment.measures import Metrics
from mobility.assessment.metric import add, refuse_uncertain
from mobility.assessment.phases import between, phase_frames
from mobility.assessment.propagation import values_and_sd
from mobility.assessment.summaries import median_within, over_repetitions
from mobility.assessment.trial_errors import knots_within, means_within
from mobility.kinematics.geometry import body_frame
from mobility.kinematics.skeleton import SIDES
from mobility.registry import Exercise
from mobility.view import TWO_CAMERAS, hides_frontal_plane, trial_view, view_kind

Array = NDArray[np.float64]

_JOINTS = ("shoulder", "hip", "knee", "ankle", "heel", "foot_index")
_SHOULDER, _HIP, _KNEE, _ANKLE, _HEEL, _TOE = range(len(_JOINTS))
_FPPA, _ADDUCTION = "frontal_plane_projection_angle_at_60", "hip_adduction"


def single_leg_metrics(
    metrics: xr.Dataset,
    pose: xr.Dataset,
    angles: xr.Dataset,
    repetitions: xr.Dataset,
    *,
    leg: str,
    exercise: Exercise,
) -> Metrics:
    """Measure, in the repetitions of one leg, the metrics of the exercise's own table.

    Parameters
    ----------
    metrics
        What :func:`mobility.assessment.measures.measure` gives of these repetitions.
    pose, angles, repetitions
        Those of the leg; ``standing``: the frames with which the bottom is compared.
    leg, exercise
        The standing leg; the exercise that has the table.

    Returns
    -------
    dict
        The metrics, without the dimension ``side``. The error of a repetition is the median of
        those of its frames; of a fitted pose it is the root mean square, over the draws, of the
        deviation of the mean over its frames. Both are times the factor of the table.
    """
    table = exercise.own_table("measures")
    standing = repetitions["standing"].to_numpy().astype(bool)
    accepted = repetitions["accepted"].to_numpy().astype(bool)
    kernel = functools.partial(_leg_quantities, side=SIDES.index(leg))
    values, sds = values_and_sd(pose, _JOINTS, standing, kernel)
    bottom = phase_frames(repetitions).sel(phase="bottom", drop=True)
    window, at_angle = _frames_near_angle(
        angles["knee_flexion"].sel(side=leg), repetitions, bottom, table
    )
    refused_frontal = _why_no_frontal_plane(pose, leg, exercise)
    result: Metrics = {}
    for name, entry in table["tempo"].items():
        if name == _ADDUCTION:
            continue
        frames = window if name == _FPPA else bottom
        value, sd = median_within(
            _over_time(values[name], pose), _over_time(sds[name], pose), frames
        )
        if "position_draws" in pose:
            sd = sd.copy(data=_sd_from_draws(pose, standing, frames.to_numpy(), kernel, name))
        sd = entry["factor"]["value"] * sd
        kept, refused, _ = refuse_uncertain(value.to_numpy(), sd.to_numpy(), accepted, entry)
        note = tables.sentence("reasons.uncertain") if refused else ""
        if not standing.any():
            kept, note = kept * np.nan, tables.sentence("reasons.never_standing")
        if entry.get("frontal") and refused_frontal:
            kept, note = kept * np.nan, refused_frontal
        value = value.copy(data=kept)
        if name == _FPPA:
            value = value.where(xr.DataArray(at_angle, dims="rep"))
        median, median_sd = over_repetitions(value, sd.where(value.notnull()), accepted)
        statistic = f"{entry['statistic']}, median over accepted repetitions"
        add(result, name, "median", median, median_sd, statistic, name=name)
        if name == _FPPA and not note and not at_angle[accepted].all():
            note = exercise.own_table("sentences")["not_at_60"]
        if note:
            result[name].attrs["note"] = note
    abduction = metrics["hip_abduction"].sel(side=leg, drop=True)
    abduction_sd = metrics["hip_abduction_sd"].sel(side=leg, drop=True)
    if refused_frontal:
        abduction, abduction_sd = abduction.where(False), abduction_sd.where(False)
    statistic = str(metrics["hip_abduction"].attrs["statistic"])
    add(result, _ADDUCTION, "median", -abduction, abduction_sd, statistic, name=_ADDUCTION)
    if reason := refused_frontal or metrics["hip_abduction"].attrs.get("note"):
        result[_ADDUCTION].attrs["note"] = reason
    return result


def _why_no_frontal_plane(pose: xr.Dataset, leg: str, exercise: Exercise) -> str:
    """Why nothing is measured in the frontal plane of a leg; empty where it is."""
    if hiding_view := hides_frontal_plane(pose):
        return tables.sentence(f"reasons.{hiding_view.replace('-', '_')}_view")
    view = trial_view(pose)
    oblique = view_kind(view) not in ("front", "back", TWO_CAMERAS) and leg not in view
    return str(exercise.own_table("sentences")["far_leg"]) if oblique else ""


def _over_time(values: Array, pose: xr.Dataset) -> xr.DataArray:
    return xr.DataArray(values, dims="time", coords={"time": pose["time"]})


def _sd_from_draws(
    pose: xr.Dataset, standing: NDArray[np.bool_], frames: NDArray[np.bool_], kernel: Any, name: str
) -> Array:
    """Give the sd of the mean over the frames of each repetition, from the draws of a fit."""
    time, knots = pose["time"].to_numpy(), pose["fit_time"].to_numpy()
    inside = knots_within(frames, time, knots)
    stands = knots_within(standing[np.newaxis], time, knots)[0]
    names = [f"{side}_{joint}" for joint in _JOINTS for side in SIDES]
    chosen = pose[["fit_position", "position_draws"]].sel(
        fit_keypoint=names, fit_space=["x", "y", "z"]
    )
    order = ("fit_time", "fit_keypoint", "fit_space")
    shape = (knots.size, len(_JOINTS), len(SIDES), 3)
    centre = chosen["fit_position"].transpose(*order).to_numpy().astype(np.float64).reshape(shape)
    draws = chosen["position_draws"].transpose("draw", *order).to_numpy()
    fitted = kernel(centre, centre[stands])[name]
    drawn = [centre + draw.reshape(shape) for draw in draws]
    deviations = np.stack([kernel(points, points[stands])[name] - fitted for points in drawn])
    means = means_within(deviations, inside)
    sd: Array = np.sqrt((means**2).mean(axis=0))
    return sd


def _leg_quantities(points: Array, standing: Array, side: int) -> dict[str, Array]:
    """Quantities of one leg, from points (time, joint, side, space).

    Those of pelvis and trunk are relative to their median in `standing`, the standing frames.
    """
    outward = OUTWARD[side]
    parts = np.linalg.norm(np.diff(points[:, [_HIP, _KNEE, _ANKLE], side], axis=1), axis=-1)
    leg = median_of(parts.sum(axis=-1))
    foot = median_of(np.linalg.norm(points[:, _TOE, side] - points[:, _HEEL, side], axis=-1))

    def posture(body: Array) -> dict[str, Array]:
        x, z = in_body_axes(body, _HIP)
        y = body[..., 1]
        ahead, across, up = (
            v[:, _SHOULDER].mean(axis=-1) - v[:, _HIP].mean(axis=-1) for v in (x, z, y)
        )
        hips_y, hips_z = (v[:, _HIP, 1] - v[:, _HIP, 0] for v in (y, z))
        return {
            "pelvic_drop": outward * np.degrees(np.arctan2(hips_y, hips_z)),
            "pelvic_shift": outward * (z[:, _HIP].mean(axis=-1) - z[:, _ANKLE, side]) / leg,
            "trunk_lean_over_leg": outward * np.degrees(np.arctan2(across, up)),
            "trunk_forward_lean": np.degrees(np.arctan2(ahead, up)),
        }

    posture_now, posture_standing = posture(points), posture(standing)
    limits = {name: entry["value"] for name, entry in tables.load("measures")["limits"].items()}
    medial = medial_of_foot(points[:, [_HIP, _KNEE, _ANKLE, _TOE]], limits)[:, side]
    # The line of the hips is that in standing: at the bottom its error is twice as large.
    hips = median_of(standing[:, _HIP])
    forward, _, out = body_frame(hips[0], hips[1])
    joints = points[:, [_HIP, _KNEE, _ANKLE], side]
    in_body = np.stack([joints @ forward, joints[..., 1], outward * (joints @ out)], axis=-1)
    angle = frontal_plane_projection_angle(
        *np.moveaxis(in_body, 1, 0), smallest_share=limits["smallest_projected_thigh"]
    )
    return {
        name: value - median_of(posture_standing[name]) for name, value in posture_now.items()
    } | {
        "knee_over_foot": medial / foot,
        _FPPA: angle,
    }


def _frames_near_angle(
    flexion: xr.DataArray, repetitions: xr.Dataset, bottom: xr.DataArray, table: Mapping[str, Any]
) -> tuple[xr.DataArray, NDArray[np.bool_]]:
    """Frames of each repetition in which the knee is bent by about 60 degrees, else its bottom.

    Also returned: which repetitions have such frames.
    """
    angle, band = (table["limits"][name] for name in ("knee_deg", "knee_band_deg"))
    inside = between(repetitions["time"], repetitions["start"], repetitions["end"])
    near = (inside & (abs(flexion - angle) <= band)).transpose("rep", "time")
    bends_so_far = near.any("time")
    return near.where(bends_so_far, bottom).astype(bool), bends_so_far.to_numpy()
