"""Numbers of the loads of the legs, for each repetition."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mobility import tables
from mobility.assessment.kernels import MeasuredTrial, Values, of_trial
from mobility.assessment.propagation import knots_within
from mobility.base.provenance import history, last_of
from mobility.kinematics.skeleton import SIDES, Array
from mobility.leg_loads.dynamics import JOINTS
from mobility.leg_loads.loads import Samples, loads_and_samples

Mask = NDArray[np.bool_]

_LOW_S = 0.3
"""Seconds after seat-off in which the hips are low."""


@of_trial
def leg_loads(trial: MeasuredTrial) -> dict[str, Values]:
    """Give the shares and the largest moments of each repetition, and their errors."""
    loads, samples = loads_and_samples(trial.pose, trial.repetitions)
    moving, low = (
        _frames(trial.repetitions, loads["time"].to_numpy(), low=low) for low in (False, True)
    )
    # A squat may begin and end evenly, so its mean while moving is smaller than the shift.
    loaded = moving if "seat_off" in trial.repetitions else low
    reason = _reason(loads)

    def values(
        name: str,
        frames: Mask,
        of_frames: Callable[[Array], Array],
        of_sides: Callable[[Array], Array] | None = None,
    ) -> Values:
        """Reduce frames to a number, and sides to their difference, also in each sample."""
        measured = loads[name].to_numpy()
        time = loads["time"].to_numpy()
        has_sample = np.isfinite(samples.values[name]).all(axis=1)
        inside = knots_within(frames, time, samples.time) & has_sample
        number = np.full((len(frames), len(SIDES)), np.nan)
        sd = np.full(number.shape if of_sides is None else number.shape[:1], np.nan)
        for rep, rows in enumerate(frames):
            rows = rows & np.isfinite(measured).all(axis=1)
            if 2 * rows.sum() < frames[rep].sum() or not (rows.any() and inside[rep].any()):
                continue
            number[rep] = of_frames(measured[rows])
            sd[rep] = _sd(samples, name, inside[rep], of_frames, of_sides)
        value = number if of_sides is None else of_sides(number)
        dims = ("rep", "side")[: value.ndim]
        coords = {"side": list(SIDES)} if "side" in dims else {}
        return Values(
            xr.DataArray(value, dims=dims, coords=coords),
            xr.DataArray(sd, dims=dims, coords=coords),
            if_missing=reason,
        )

    def mean(values: Array) -> Array:
        return np.asarray(values.mean(axis=0))

    def largest(values: Array) -> Array:
        return np.asarray(100 * values.max(axis=0))

    def difference(sides: Array) -> Array:
        return np.asarray(sides[..., 1] - sides[..., 0])

    outputs = {
        "share": values("weight_share", moving, mean),
        "share_low": values("weight_share", low, mean),
        "shift": values("weight_share", loaded, mean, lambda sides: sides[..., 1] - 0.5),
    }
    for joint in JOINTS:
        outputs[joint] = values(f"{joint}_moment", moving, largest)
        outputs[f"{joint}_difference"] = values(f"{joint}_moment", moving, largest, difference)
    return outputs


def _sd(
    samples: Samples,
    name: str,
    inside: Mask,
    of_frames: Callable[[Array], Array],
    of_sides: Callable[[Array], Array] | None,
) -> Array:
    """Return the root mean square deviation of a number over the samples."""
    middle = samples.values[name][inside]

    def number(values: Array) -> Array:
        return of_frames(values) if of_sides is None else of_sides(of_frames(values))

    drawn = np.stack([number(middle + each[inside]) for each in samples.deviations[name]])
    return np.asarray(np.sqrt(((drawn - number(middle)) ** 2).mean(axis=0)))


def _frames(repetitions: xr.Dataset, time: Array, *, low: bool) -> Mask:
    """Return the frames of each repetition, (rep, time): moving, or with the hips low."""
    if "seat_off" in repetitions:
        start = repetitions["seat_off"] + tables.load("leg_loads")["foot"]["settles_s"]
        end = start + _LOW_S if low else repetitions["bottom_start"]
    elif low:
        start, end = repetitions["bottom_start"], repetitions["bottom_end"]
    else:
        start, end = repetitions["start"], repetitions["end"]
    first, last = start.to_numpy()[:, None] - 1e-9, end.to_numpy()[:, None] + 1e-9
    return np.asarray((time >= first) & (time <= last))


def _reason(loads: xr.Dataset) -> str:
    """Return the reason that leaves out most frames; empty if nothing is left out."""
    warnings: list[Mapping[str, Mapping[str, object]]] = last_of(history(loads), "loads")[
        "warnings"
    ]
    sided = [each["values"] for each in warnings if "weight_share" in str(each["values"]["names"])]
    return str(max(sided, key=lambda each: float(str(each["share"])))["reason"]) if sided else ""
