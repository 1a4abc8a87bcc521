"""Loads of the legs from a video, compared with force plates of the same trial.

The reference is the inverse dynamics of the lab's joint centres with the forces of the plates. The
same joint centres without the plates are compared with it, too: this shows which part of the
difference comes from the masses of the segments, and which part from the camera.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from mobility import tables
from mobility.base.provenance import warnings_of, with_history
from mobility.base.uncertain import is_sd, sd_name
from mobility.errors import BadInputError
from mobility.kinematics.expected_error import load_of
from mobility.kinematics.skeleton import FITTED, landmarks
from mobility.lab.agreement import agreement
from mobility.lab.lab_trial import Comparison, repetition_variables, stacked
from mobility.lab.pairing import DISCRETE
from mobility.lab.synchronise import Synchronisation, align
from mobility.leg_loads.dynamics import UP, foot_axes, of_joint
from mobility.leg_loads.loads import loads, loads_with_plates

ESTIMATORS: Mapping[str, str] = {
    "fitted": "video, fitted body",
    "lab_markers": "lab, joint centres without force plates",
    "lab_plates": "lab, joint centres with force plates",
}

VIDEO = "fitted_lab_plates"
"""Name of the comparison of the video with force plates."""

COMPARISONS = (
    Comparison(VIDEO, "fitted", "lab_plates", "Video against force plates"),
    Comparison(
        "lab_markers_lab_plates",
        "lab_markers",
        "lab_plates",
        "Markers without force plates against force plates",
    ),
)


class Loads(NamedTuple):
    """Loads of a trial: curves on the clock of the video, agreement, and warnings."""

    curves: xr.Dataset
    agreement: xr.Dataset
    warnings: tuple[dict[str, Any], ...]


def compare_loads(
    video: xr.Dataset,
    repetitions: xr.Dataset,
    lab: xr.Dataset,
    forces: xr.Dataset,
    sync: Synchronisation,
    *,
    of_video: xr.Dataset | None = None,
    height_m: float | None = None,
    values: Sequence[str] = DISCRETE,
) -> Loads:
    """Compare the loads from a video with those of force plates.

    Parameters
    ----------
    video, lab
        Fitted pose of the video, and pose of the lab (``lab_pose``), each on its clock.
    repetitions
        Repetitions that are compared, on the clock of the video.
    forces
        Forces of the plates in the frame and on the clock of `lab` (``read_forces``).
    sync
        Lag of the trial.
    of_video
        Repetitions of the video that show which frames have no loads, such as the time on a seat;
        by default `repetitions`.
    height_m
        Height of the person; by default it is estimated from each pose.
    values
        Values of each repetition, as in :func:`~mobility.lab.agreement.agreement`.

    Returns
    -------
    Loads
        Curves over (estimator, time, side), in the units of ``loads`` in
        ``tables/lab_contents.yaml``; the agreement over (comparison, ...).

    Raises
    ------
    BadInputError
        The poses or the forces have no loads in common.
    """
    shown = repetitions if of_video is None else of_video
    on_lab_clock = _moved(shown, sync.lag_s)
    load = load_of(video)
    found = {
        "fitted": loads(video, repetitions=shown, height_m=height_m),
        "lab_markers": loads(lab, repetitions=on_lab_clock, height_m=height_m, load=load),
        "lab_plates": loads_with_plates(lab, forces, height_m=height_m, load=load),
    }
    time = video["time"].to_numpy()
    poses = {"fitted": video, "lab_markers": lab, "lab_plates": lab}
    by_estimator = {}
    for name, each in found.items():
        quantities = _quantities(poses[name], each)
        by_estimator[name] = quantities if name == "fitted" else align(quantities, sync, time)
    if "seat_off" in shown:  # on a seat, the plates do not carry the whole body
        reported = by_estimator["fitted"]
        plates = by_estimator["lab_plates"]
        by_estimator["lab_plates"] = plates.assign(
            {name: plates[name].where(reported[name].notnull()) for name in _names(plates)}
        )
    agreements = {
        comparison.name: agreement(
            by_estimator[comparison.measured],
            by_estimator[comparison.reference],
            repetitions,
            values=values,
        )
        for comparison in COMPARISONS
    }
    together = stacked(agreements)
    if not int(together["frames_compared"].sum()):
        raise BadInputError(
            "the video and the force plates have no loads in common; see the warnings of the "
            "analysis for the reason"
        )
    warnings = warnings_of(forces, found["fitted"], *agreements.values())
    return Loads(_curves(by_estimator, repetitions, sync, forces), together, tuple(warnings))


def _names(dataset: xr.Dataset) -> list[str]:
    return [str(name) for name in dataset.data_vars if not is_sd(name)]


def _moved(repetitions: xr.Dataset, seconds: float) -> xr.Dataset:
    """Return repetitions on a clock that is ahead by some seconds."""
    moved = {
        name: values + seconds
        for name, values in repetitions.data_vars.items()
        if values.attrs.get("units") == "s" and values.dims == ("rep",)
    }
    result = repetitions.assign(moved)
    return result.assign_coords(time=result["time"] + seconds) if "time" in result else result


def _quantities(pose: xr.Dataset, found: xr.Dataset) -> xr.Dataset:
    """Return the compared quantities in the units of the table, with the errors of a video."""
    joints = landmarks(pose, keypoints=list(FITTED))
    forward, _ = foot_axes(joints)
    ahead = forward.mean(axis=1)
    ahead = ahead / np.linalg.norm(ahead, axis=-1, keepdims=True)
    heels = of_joint(joints, "heel").mean(axis=1) * (1 - UP)
    point = found["centre_of_pressure"].transpose("time", "axis")
    in_front = {"centre_of_pressure": ((point - heels) * ahead).sum("axis", skipna=False)}
    if (sd := sd_name("centre_of_pressure")) in found:
        # The error is along one line, so its components add up.
        spread = found[sd].transpose("time", "axis") * abs(ahead)
        in_front[sd] = spread.sum("axis", skipna=False)
    values = found.assign(in_front)
    result = {}
    for name, entry in tables.load("lab_contents")["loads"].items():
        for variable in (name, sd_name(name)):
            if variable in values:
                attrs = {"units": entry["units"], "long_name": entry["long_name"]}
                result[variable] = (entry["factor"] * values[variable]).assign_attrs(attrs)
    return xr.Dataset(result, attrs=found.attrs).drop_vars("axis", errors="ignore")


def _curves(
    by_estimator: Mapping[str, xr.Dataset],
    repetitions: xr.Dataset,
    sync: Synchronisation,
    forces: xr.Dataset,
) -> xr.Dataset:
    first = by_estimator["fitted"]
    stacks = {
        name: xr.concat(
            [each[name].drop_vars("time") for each in by_estimator.values()],
            "estimator",
            coords="minimal",
            compat="override",
        ).assign_attrs(first[name].attrs)
        for name in _names(first)
    }
    errors = {
        name: first[name].drop_vars("time") for name in map(str, first.data_vars) if is_sd(name)
    }
    of_repetitions, coords = repetition_variables(repetitions)
    time = first["time"].to_numpy()
    result = xr.Dataset(
        {**stacks, **errors, **of_repetitions},
        coords={
            **coords,
            "estimator": list(by_estimator),
            "time": ("time", time, {"units": "s", "long_name": "time of the video"}),
            "rep": repetitions["rep"].variable,
        },
        attrs={
            "ds_type": "loads_comparison",
            **{f"{name}_means": ESTIMATORS[name] for name in by_estimator},
            "plates": forces.attrs["plates"],
        },
    )
    return with_history(result, "compare_loads", {"lag_s": sync.lag_s}, source=first)
