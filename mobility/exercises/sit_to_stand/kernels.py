"""Kernels for sit-to-stand: speeds, lean to the side, durations, tests."""

from __future__ import annotations

import math

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mobility import tables
from mobility.assessment.kernels import MeasuredTrial, Values, of_trial
from mobility.assessment.looks_like import on_feet
from mobility.assessment.phases import between, never_standing_there
from mobility.assessment.summaries import nanmedian, peak_within
from mobility.base.uncertain import sd_name
from mobility.exercises.sit_to_stand.chair_rises import seated
from mobility.exercises.sit_to_stand.times import (
    Rises,
    event_sd,
    hands_push,
    norm_of,
    seat_height,
)
from mobility.exercises.sit_to_stand.times import durations as times_of
from mobility.keypoints.view import TWO_CAMERAS, UNKNOWN, hides_frontal_plane, trial_view, view_kind
from mobility.kinematics.stances import stance_at

Array = NDArray[np.float64]

_WINDOW_S, _ORDER = 0.3, 3
"""Window and order of the Savitzky-Golay filter whose slope is the speed."""


@of_trial
def rising(trial: MeasuredTrial) -> dict[str, Values]:
    """Compute the lean to the side, the speeds of extension, and the thighs on the seat."""
    angles, repetitions = trial.angles, trial.repetitions
    frames = between(repetitions["time"], repetitions["seat_off"], repetitions["bottom_start"])
    share = trial.exercise.own_table("measures")["speed_error"]["share"]
    values = {"lateral_lean": _lateral_lean(trial), "seated_thigh": Values(*_seated_thigh(trial))}
    for name in ("knee_flexion", "hip_flexion", "trunk_lean"):
        speed = -slope(angles[name])
        fastest, _ = peak_within(speed, xr.zeros_like(speed), frames, "maximum")
        # The error of speeds was measured only for fitted poses.
        note = "" if trial.fitted else tables.sentence("reasons.chair.not_fitted")
        output = f"{name.split('_')[0]}_speed"
        values[output] = Values(fastest.where(trial.fitted), share * fastest, note)
    return values


def _lateral_lean(trial: MeasuredTrial) -> Values:
    """Return the largest lean to the side relative to standing, in the first half of each rise."""
    repetitions, time = trial.repetitions, trial.repetitions["time"]
    lean, sd = trial.angles["trunk_lateral_lean"], trial.angles[sd_name("trunk_lateral_lean")]
    stance = xr.DataArray(stance_at(repetitions, time.to_numpy()), dims="time")
    standing = repetitions["standing"].astype(bool)
    at_rest = sum(
        nanmedian(lean.where(standing & (stance == number)), "time").where(stance == number, 0.0)
        for number in np.unique(stance)
    )
    seat_off, stands = repetitions["seat_off"], repetitions["bottom_start"]
    first_half = between(time, seat_off, (seat_off + stands) / 2)
    value, value_sd = peak_within(lean - at_rest, sd, first_half, "magnitude")
    if note := _lean_unseen(trial.pose):
        value = value.where(False)
    return Values(value, value_sd, note, never_standing_there(repetitions))


def _lean_unseen(pose: xr.Dataset) -> str:
    """Explain why a lean to the side is withheld; empty if it is not.

    In diagonal views, a lean of 12 degrees is measured for rendered people who do not lean.
    """
    if hiding_view := hides_frontal_plane(pose):
        return tables.sentence(f"reasons.{hiding_view.replace('-', '_')}_view")
    view = trial_view(pose)
    oblique = view not in (UNKNOWN, TWO_CAMERAS) and "oblique" in view_kind(view)
    return tables.sentence("reasons.chair.oblique") if oblique else ""


def _seated_thigh(trial: MeasuredTrial) -> tuple[xr.DataArray, xr.DataArray]:
    """Return the thigh elevation while seated (mean of the sides), and its standard error."""
    repetitions, time = trial.repetitions, trial.repetitions["time"]
    on_seat = between(time, repetitions["seated_since"], repetitions["start"]).any("rep")
    value, sd = (
        nanmedian(trial.angles[name].mean("side").where(on_seat), "time")
        for name in ("thigh_elevation", sd_name("thigh_elevation"))
    )
    return value, sd.where(value.notnull())


def _event_sd(trial: MeasuredTrial) -> float:
    """Return the standard error of the time between two moments."""
    from_side = bool(trial.hidden_side)
    return math.sqrt(2) * event_sd(trial.repetitions, trial.limits, from_side=from_side)


@of_trial
def durations(trial: MeasuredTrial) -> dict[str, Values]:
    """Compute the durations of each rise and of its parts."""
    sd = _event_sd(trial)
    parts = times_of(trial.repetitions).items()
    return {name: Values(value, xr.full_like(value, sd)) for name, value in parts}


@of_trial
def tests(trial: MeasuredTrial) -> dict[str, Values]:
    """Compute times and counts of the tests, and the norms for an age.

    A withheld time is NaN, with a note. If a time cannot be compared, it has ``no_norm`` instead of
    ``norm_limit`` and ``norm``.
    """
    repetitions, limits = trial.repetitions, trial.limits
    accepted = repetitions["accepted"].to_numpy().astype(bool)
    rises, (thigh, thigh_sd) = Rises(repetitions, limits), _seated_thigh(trial)
    no_seat = on_feet(trial.pose, seated(repetitions)[accepted])
    not_the_test = rises.why_not_the_test()
    why_no_norm = [
        *([not_the_test] if not_the_test else []),
        *([tables.sentence("reasons.chair.no_seat")] if no_seat else []),
        *hands_push(trial.pose, repetitions, accepted, limits),
        *rises.pauses(),
        *seat_height(float(thigh), float(thigh_sd), limits),
    ]
    values = {}
    for name, (of_test, why) in rises.of_tests().items():
        error = 0.0 if name == "thirty_seconds" else _event_sd(trial)
        other_test = rises.why_other_test(name)
        reasons = [other_test] if other_test else why_no_norm
        norm = norm_of(trial.exercise, name, sex=trial.sex, age=trial.age, reasons=reasons)
        values[name] = _single(of_test, error)._replace(note=why, attrs=norm)
    values["attempts"] = _single(float((~repetitions["stands"]).sum()), 0.0)
    return values


def _single(value: float, error: float) -> Values:
    sd = error if math.isfinite(value) else math.nan
    return Values(xr.DataArray(value), xr.DataArray(sd))


def slope(angle: xr.DataArray) -> xr.DataArray:
    """Compute how fast an angle changes at the times of its frames, degrees per second."""
    from scipy.signal import savgol_filter

    time = angle["time"].to_numpy()
    if time.size < 2:
        return angle * np.nan
    step = float(np.median(np.diff(time)))
    window = 2 * max(round(_WINDOW_S / step / 2), _ORDER // 2 + 1) + 1
    if time.size < window:
        return angle * np.nan
    grid = np.arange(time[0], time[-1] + step / 2, step)
    evenly_spaced = angle.interp(time=grid).transpose("time", ...)
    filter_options = {"deriv": 1, "delta": step, "axis": 0, "mode": "constant", "cval": np.nan}
    rate = evenly_spaced.copy(data=savgol_filter(evenly_spaced, window, _ORDER, **filter_options))
    return rate.interp(time=time).assign_coords(time=time)
