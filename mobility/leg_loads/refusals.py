"""What cannot be known of the loads of the legs, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mobility import tables
from mobility.assessment.looks_like import support_of_hands
from mobility.assessment.phases import between
from mobility.base.provenance import cameras_of, warnings_of
from mobility.keypoints.sources import source_of
from mobility.keypoints.view import hides_frontal_plane
from mobility.kinematics.skeleton import Array
from mobility.leg_loads.dynamics import JOINTS, ahead_of, of_joint

Mask = NDArray[np.bool_]

_MOMENTS = tuple(f"{joint}_moment" for joint in JOINTS)
SIDED = ("weight_share", *_MOMENTS)
OF_FEET = ("centre_of_pressure", *SIDED)
ALL = ("vertical_force", *OF_FEET)


class Refusal(NamedTuple):
    """Values that are not reported in some frames, and the key of the reason."""

    reason: str
    names: tuple[str, ...]
    frames: Mask

    def warning(self, count: int) -> dict[str, Any]:
        """Return the warning of the history; `count` is the number of all frames."""
        share = float(self.frames.sum() / max(count, 1))
        reason = tables.sentence(f"reasons.loads.{self.reason}")
        return tables.warning(
            "warnings.loads_refused", names=", ".join(self.names), reason=reason, share=share
        )


def refusals(
    pose: xr.Dataset,
    repetitions: xr.Dataset | None,
    time: Array,
    joints: Array,
    values: Mapping[str, Array],
    *,
    alone: Mask,
) -> list[Refusal]:
    """List the values that are not reported; each reason applies to at least one frame.

    `alone` are the frames in which one leg is known to carry the body.
    """
    found = [*_of_recording(pose, repetitions, time), *_of_frames(time, joints, values, alone)]
    if repetitions is not None and "seat_off" in repetitions:
        on_seat = ~_off_the_seat(repetitions, time)
        found = [
            each._replace(frames=each.frames & ~on_seat) if each.reason == "carried" else each
            for each in found
        ]
        found.append(Refusal("seat", ALL, on_seat))
    return [refusal for refusal in found if refusal.frames.any()]


def _of_recording(
    pose: xr.Dataset, repetitions: xr.Dataset | None, time: Array
) -> Iterator[Refusal]:
    everywhere = np.ones(time.size, bool)
    if "position_draws" not in pose and "image_position" in pose:
        yield Refusal("not_fitted", ALL, everywhere)
    if "position_draws" not in pose:
        return  # a laboratory sees everything
    codes = {warning["code"] for warning in warnings_of(pose)}
    one_camera = len(cameras_of(pose)) < 2
    if one_camera and ("depth_unknown" in codes or source_of(pose).depth == "none"):
        yield Refusal("depth", ALL, everywhere)
    if "feet_not_seen" in codes:
        yield Refusal("feet", OF_FEET, everywhere)
    if hides_frontal_plane(pose):
        yield Refusal("view", SIDED, everywhere)
    shown = everywhere[None]
    if repetitions is not None and repetitions.sizes["rep"]:
        inside = between(repetitions["time"], repetitions["start"], repetitions["end"])
        shown = inside.transpose("rep", "time").to_numpy()
    if support_of_hands(pose, shown):
        yield Refusal("hands", ALL, everywhere)


def _of_frames(
    time: Array, joints: Array, values: Mapping[str, Array], alone: Mask
) -> Iterator[Refusal]:
    limits = tables.load("leg_loads")["foot"]
    missing = np.asarray(np.isnan(joints).any(axis=(1, 2)))
    yield Refusal("missing", ALL, missing)
    off = lifted(joints, limits["lifted_m"])
    yield Refusal("jump", ALL, np.asarray(off.all(axis=1)))
    yield Refusal("one_foot", SIDED, (off.sum(axis=1) == 1) & ~alone)
    outside = _outside(joints, values["centre_of_pressure"], limits["outside_m"])
    yield Refusal("carried", ALL, _beside(outside, time, limits["settles_s"]) & ~missing)


def lifted(joints: Array, least: float) -> Mask:
    """Return which feet (time, side) are above where they rest.

    A foot that is off the floor all the time rests nowhere, so the lower foot shows the floor.
    """
    heights = np.stack([of_joint(joints, name)[..., 1] for name in ("heel", "foot_index")])
    if not np.isfinite(heights).any():
        return np.zeros(heights.shape[1:], bool)
    rest = np.nanpercentile(heights, 10, axis=1, keepdims=True)
    rest = np.nanmin(rest, axis=2, keepdims=True)
    return np.asarray((heights - rest > least).all(axis=0))


def _outside(joints: Array, point: Array, margin: float) -> Mask:
    """Return when the force acts behind both heels or before both toes."""
    ahead = ahead_of(joints)[:, None]
    heel, toe = (
        ((of_joint(joints, name) - point[:, None]) * ahead).sum(axis=-1)
        for name in ("heel", "foot_index")
    )
    return np.asarray((heel.min(axis=1) > margin) | (toe.max(axis=1) < -margin))


def _beside(frames: Mask, time: Array, seconds: float) -> Mask:
    """Add the frames within some seconds of the given ones."""
    times = time[frames]
    if not times.size:
        return frames
    after = np.clip(np.searchsorted(times, time), 0, times.size - 1)
    before = np.clip(after - 1, 0, times.size - 1)
    return np.asarray(np.minimum(abs(times[after] - time), abs(time - times[before])) <= seconds)


def _off_the_seat(repetitions: xr.Dataset, time: Array) -> Mask:
    """Return the frames between seat-off, 0.1 s later, and sitting down again."""
    settles = float(tables.load("leg_loads")["foot"]["settles_s"])
    inside = np.zeros(time.size, bool)
    for start, end in zip(
        repetitions["seat_off"].to_numpy(), repetitions["end"].to_numpy(), strict=True
    ):
        inside |= (time >= start + settles) & (time <= end - settles)
    return inside
