"""The largest angles of a rise, and how fast its joints extend."""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mobility import tables
from mobility.assessment.metric import add
from mobility.assessment.phases import between, never_standing_there
from mobility.assessment.summaries import nanmedian, over_repetitions, peak_within
from mobility.kinematics.stances import stance_at
from mobility.registry import exercise_of
from mobility.view import TWO_CAMERAS, UNKNOWN, hides_frontal_plane, trial_view, view_kind

Array = NDArray[np.float64]

_WINDOW_S, _ORDER = 0.3, 3
"""Window and order of the Savitzky-Golay filter whose slope is the speed."""


def add_angles_of_rises(
    metrics: xr.Dataset, pose: xr.Dataset, angles: xr.Dataset, repetitions: xr.Dataset
) -> xr.Dataset:
    """Add the largest angles, the lean to the side, and the speeds of extension of the rises.

    Parameters
    ----------
    metrics
        Metrics of the rises so far; these are added to them.
    pose, angles, repetitions
        All of the same frames; the repetitions are those of
        :func:`~mobility.exercises.sit_to_stand.chair_rises.find_chair_rises`.
    """
    time = repetitions["time"]
    accepted = repetitions["accepted"].to_numpy().astype(bool)
    seat_off, stands, end = (repetitions[name] for name in ("seat_off", "bottom_start", "end"))
    added: dict[str, xr.DataArray] = {}

    def add_median(name: str, value: xr.DataArray, sd: xr.DataArray, statistic: str) -> None:
        median, median_sd = over_repetitions(value, sd.where(value.notnull()), accepted)
        add(added, name, "median", median, median_sd, f"{statistic}, median", name=name)

    whole = between(time, repetitions["start"], end)
    rises = between(time, repetitions["start"], stands)
    for name, frames in (("trunk_lean", rises), ("knee_flexion", whole), ("hip_flexion", whole)):
        largest = peak_within(angles[name], angles[f"{name}_sd"], frames, "maximum")
        add_median(f"largest_{name}", *largest, "largest of each repetition")

    lean, sd = angles["trunk_lateral_lean"], angles["trunk_lateral_lean_sd"]
    stance = xr.DataArray(stance_at(repetitions, time.to_numpy()), dims="time")
    standing = repetitions["standing"].astype(bool)
    at_rest = sum(
        nanmedian(lean.where(standing & (stance == number)), "time").where(stance == number, 0.0)
        for number in np.unique(stance)
    )
    sideways = peak_within(
        lean - at_rest, sd, between(time, seat_off, (seat_off + stands) / 2), "magnitude"
    )
    add_median("lateral_lean_rising", *sideways, "farthest from 0 in the first half of the rise")
    if note := _lean_unseen(pose):
        for name in ("lateral_lean_rising", "lateral_lean_rising_sd"):
            added[name] = xr.full_like(added[name], np.nan).assign_attrs(note=note)
    elif (why := never_standing_there(repetitions)) and bool(added["lateral_lean_rising"].isnull()):
        added["lateral_lean_rising"].attrs["note"] = why

    share = exercise_of(metrics).own_table("measures")["speed_error"]["share"]
    frames = between(time, seat_off, stands)
    for name in ("knee_flexion", "hip_flexion", "trunk_lean"):
        speed = -slope(angles[name])
        fastest, _ = peak_within(speed, xr.zeros_like(speed), frames, "maximum")
        speed_name = f"{name.split('_')[0]}_extension_speed"
        fitted = "position_draws" in pose  # the error of speeds was measured for fitted poses only
        add_median(speed_name, fastest.where(fitted), share * fastest, "largest of each rise")
        if not fitted:
            added[speed_name].attrs["note"] = tables.sentence("reasons.chair.not_fitted")
    return metrics.assign(added)


def _lean_unseen(pose: xr.Dataset) -> str:
    """Why a lean to the side is refused; empty where it is not.

    In oblique views, rendered rises without any lean are measured with 12 degrees.
    """
    if hiding_view := hides_frontal_plane(pose):
        return tables.sentence(f"reasons.{hiding_view.replace('-', '_')}_view")
    view = trial_view(pose)
    oblique = view not in (UNKNOWN, TWO_CAMERAS) and "oblique" in view_kind(view)
    return tables.sentence("reasons.chair.oblique") if oblique else ""


def slope(angle: xr.DataArray) -> xr.DataArray:
    """Give how fast an angle changes, degrees per second, at the times of its frames."""
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
