"""Times of rises from a seat, compared with the times in recordings from a lab."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mobility import tables
from mobility.assessment.kernels import limits_of
from mobility.assessment.kinds import entry_of
from mobility.assessment.number import HIDDEN_SIDE
from mobility.base.uncertain import sd_name
from mobility.catalogue.exercise import Exercise
from mobility.exercises.sit_to_stand.chair_rises import find_chair_rises
from mobility.exercises.sit_to_stand.times import Rises, durations, event_sd
from mobility.kinematics.skeleton import INDEX, KEYPOINTS, SIDES

Array = NDArray[np.float64]

_SEAT_OFF = "seat_off"
_SYSTEMS = ("video", "lab")

_BEFORE_S = 0.5
"""Seconds by which seat-off in the lab may come before the video's repetition begins."""


def times_of_both(
    exercise: Exercise,
    repetitions: xr.Dataset,
    metrics: xr.Dataset,
    recordings: Sequence[xr.Dataset],
) -> xr.Dataset:
    """Return the times of repetitions and tests, with the times in recordings from a lab.

    The repetitions come from the first of the `recordings` that shows any, either joint centres or
    a stick figure made of angles (:func:`stick_figure`).
    """
    limits = limits_of(exercise)
    of_recordings = [
        find_chair_rises(one if "position" in one else stick_figure(one)) for one in recordings
    ]
    lab = next((rises for rises in of_recordings if rises["accepted"].any()), of_recordings[0])
    partner = _partners(repetitions, lab)
    moments, totals = (
        [{_SEAT_OFF: rises[_SEAT_OFF], **durations(rises)} for rises in (repetitions, lab)],
        [Rises(rises, limits).of_tests() for rises in (repetitions, _in_order(lab, partner))],
    )
    names = [*moments[0], *totals[0]]
    times = np.full((len(_SYSTEMS), len(names), repetitions.sizes["rep"]), np.nan)
    sd = np.full(times.shape[1:], np.nan)
    from_side = HIDDEN_SIDE in metrics.attrs
    of_moment = event_sd(repetitions, limits, from_side=from_side)
    both = np.flatnonzero(partner >= 0)
    for row, name in enumerate(moments[0]):
        of_both = moments[0][name].to_numpy()[both], moments[1][name].to_numpy()[partner[both]]
        # A moment is relative to the moment of the lab.
        zero = of_both[1] if name == _SEAT_OFF else 0.0
        times[:, row, both] = np.stack(of_both) - zero
        sd[row, both] = of_moment if name == _SEAT_OFF else math.sqrt(2) * of_moment
    refused = [] if both.size else [tables.sentence("reasons.chair.not_in_lab")]
    for row, name in enumerate(totals[0], start=len(moments[0])):
        (of_video, _), (of_lab, why) = (total[name] for total in totals)
        if times.shape[2]:
            times[:, row, 0] = of_video, of_lab
            sd[row, 0] = math.sqrt(2) * of_moment
        if both.size and math.isfinite(of_video) and why:
            refused.append(f"{entry_of(name)['long_name']}: {why}")
    described = {name: entry_of(name) for name in names}
    moment = {"units": "s", "long_name": tables.sentence("reasons.chair.seat_off")}
    described[_SEAT_OFF] = moment
    return xr.Dataset(
        {
            "times": (("system", "quantity", "rep"), times),
            sd_name("times"): (("quantity", "rep"), sd),
        },
        coords={
            "system": list(_SYSTEMS),
            "quantity": names,
            **{
                key: ("quantity", [str(described[name][key]) for name in names])
                for key in ("units", "long_name")
            },
            "rep": repetitions["rep"].to_numpy(),
        },
        attrs={"refused": "; ".join(refused)},
    )


def _partners(repetitions: xr.Dataset, lab: xr.Dataset) -> NDArray[np.intp]:
    """Return the lab's repetition for each repetition in the video, -1 if there is none."""
    partner = np.full(repetitions.sizes["rep"], -1)
    start, seat_off, stands, counts = (
        repetitions[name].to_numpy() for name in ("start", _SEAT_OFF, "bottom", "accepted")
    )
    near = np.where(np.isfinite(seat_off), seat_off, start)
    of_lab, counts_there = lab[_SEAT_OFF].to_numpy(), lab["accepted"].to_numpy().astype(bool)
    for number in np.flatnonzero(counts.astype(bool)):
        within = (of_lab >= start[number] - _BEFORE_S) & (of_lab <= stands[number])
        same = np.flatnonzero(counts_there & within)
        if same.size:
            partner[number] = same[np.argmin(np.abs(of_lab[same] - near[number]))]
    return partner


def _in_order(lab: xr.Dataset, partner: NDArray[np.intp]) -> xr.Dataset:
    """Return repetitions of the lab from the first to the last that the video shows."""
    shown = partner[partner >= 0]
    rows = np.arange(shown.min(), shown.max() + 1) if shown.size else np.array([], dtype=int)
    ordered = lab.isel(rep=rows)
    return ordered.assign_coords(rep=np.arange(1, rows.size + 1))


def stick_figure(angles: xr.Dataset) -> xr.Dataset:
    """Build a pose from angles in the sagittal plane, with flat feet; its stature is 1.

    The lean of the shank is the ankle angle or, without ankles, is computed from trunk, hip and
    knee.
    """
    time = angles["time"].to_numpy()

    def degrees(name: str) -> Array:
        if name not in angles:
            return np.full(time.size, np.nan)
        values = angles[name]
        of_subject = values.mean("side") if "side" in values.dims else values
        turned: Array = np.radians(of_subject.to_numpy().astype(np.float64))
        return turned

    knee, hip, trunk = (degrees(angle) for angle in ("knee_flexion", "hip_flexion", "trunk_lean"))
    ankle = degrees("ankle_dorsiflexion")
    shank = np.where(np.isfinite(ankle), ankle, knee - (hip - trunk))
    thigh = knee - shank
    lean = np.where(np.isfinite(trunk), trunk, hip - thigh)
    ratio = {name: one["ratio"] for name, one in tables.load("body_segments")["segments"].items()}
    place = {"ankle": np.zeros((time.size, 2))}
    for name, below, length, turn in (
        ("knee", "ankle", ratio["shank"], shank),
        ("hip", "knee", ratio["thigh"], -thigh),
        ("shoulder", "hip", ratio["trunk"], lean),
    ):
        place[name] = place[below] + length * np.stack([np.sin(turn), np.cos(turn)], axis=-1)
    position = np.full((time.size, 3, len(KEYPOINTS), 1), np.nan)
    for name, of_sides in place.items():
        for side, across in zip(SIDES, (-0.1, 0.1), strict=True):
            position[:, :2, INDEX[f"{side}_{name}"], 0] = of_sides
            position[:, 2, INDEX[f"{side}_{name}"], 0] = across
    return xr.Dataset(
        {"position": (("time", "space", "keypoint", "individual"), position, {"units": "m"})},
        coords={
            "time": angles["time"].variable,
            "space": ["x", "y", "z"],
            "keypoint": list(KEYPOINTS),
            "individual": ["subject"],
        },
        attrs={"ds_type": "poses"},
    )
