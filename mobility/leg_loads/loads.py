"""Weight share, ground reaction and joint moments, without force plates or with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from mobility import tables
from mobility.assessment.propagation import at_frames, nearest_frames
from mobility.base.options import Load, checked, quoted
from mobility.base.provenance import with_history
from mobility.base.uncertain import sd_name
from mobility.errors import BadInputError
from mobility.keypoints.view import best_view
from mobility.kinematics.clean import low_pass
from mobility.kinematics.datasets import Pose, Repetitions, check_recording, require_positions
from mobility.kinematics.expected_error import load_of, of_fit
from mobility.kinematics.skeleton import FITTED, SIDES, Array, landmarks
from mobility.leg_loads.body_mass import Segments, with_load
from mobility.leg_loads.dynamics import (
    GRAVITY,
    JOINTS,
    UP,
    Motion,
    ahead_of,
    moments,
    motion_of,
    of_joint,
    on_feet,
    reaction,
)
from mobility.leg_loads.refusals import Refusal, lifted, refusals

_TABLE = "leg_loads"
_AXES = ("x", "y", "z")
_DRAWS, _STEP_S = 64, 0.1
"""Number of samples for a pose that has no posterior samples, and seconds between their times."""

_DIMS: Mapping[str, tuple[str, ...]] = {
    "weight_share": ("time", "side"),
    "vertical_force": ("time",),
    "centre_of_pressure": ("time", "axis"),
    **{f"{joint}_moment": ("time", "side") for joint in JOINTS},
}
_MOMENTS = tuple(f"{joint}_moment" for joint in JOINTS)
_ATTRS: Mapping[str, Mapping[str, str]] = {
    "weight_share": {"units": "1", "long_name": "share of the weight on a leg"},
    "vertical_force": {
        "units": "1",
        "long_name": "vertical force of the ground on both feet, of body weight",
    },
    "centre_of_pressure": {
        "units": "m",
        "long_name": "centre of pressure of both feet on the floor, in the axes of the pose",
        "error": "relative to the feet",
    },
    **{
        f"{joint}_moment": {
            "units": "1",
            "long_name": f"internal {joint} moment, of body weight times height",
            "positive": "plantar flexion" if joint == "ankle" else "extension",
            "perspective": "internal: what muscles and ligaments exert on the distal segment",
            "axis": "flexion axis of the leg: perpendicular to thigh and shank, and to the foot if "
            "the leg is straight",
            "reference": "Derrick et al. 2020, J Biomech 99:109533",
        }
        for joint in JOINTS
    },
}


@dataclass(frozen=True)
class Movement:
    """A body at some times.

    ``joints`` (time, joint, 3) above the floor, the accelerations of its segments, and the foot
    that carries it alone: 0 for the left, 1 for the right, negative for both, (time). ``from_end``
    (time) is the number of seconds to the nearest end of the known movement. ``floor`` is the
    height of the floor in the pose. ``load`` is what the person carries.
    """

    time: Array
    joints: Array
    motion: Motion
    standing: NDArray[np.int_]
    from_end: Array
    floor: float = 0.0
    load: Load | None = None

    @property
    def segments(self) -> Segments:
        """The segments of the body, and what it carries."""
        return with_load(self.load)


@checked
def loads(
    pose: Pose,
    *,
    repetitions: Repetitions | None = None,
    weight_kg: float | None = None,
    height_m: float | None = None,
    load: Load | None = None,
) -> xr.Dataset:
    r"""Compute how the legs are loaded, without force plates.

    The masses of the segments, and their accelerations, give the force of the ground and the point
    of the floor through which it acts (zero moment point). Its lateral position between the feet
    gives the share of each leg. Inverse dynamics from the foot upward gives the moments. Hands are
    assumed to be empty, unless a load is given. The page `Loads` has the equations.

    Parameters
    ----------
    pose
        Fitted pose (:func:`~mobility.fit_body`), or the pose of a laboratory
        (:func:`~mobility.lab_pose`).
    repetitions
        Repetitions of the pose. With them, hands that support the body are found in each. If the
        person rises from a seat, only the time between seat-off and sitting down is reported. In
        repetitions on one leg, this leg carries everything while the other foot is off the floor.
    weight_kg
        Mass of the person. With it, moments are also in Nm.
    height_m
        Height of the person. Without it, it is estimated from the lengths of the segments.
    load
        What the person carries in the pose of a laboratory: ("hands", 0.25) or ("shoulders", 0.25),
        with its mass as a multiple of the mass of the body. It moves with the middle of the wrists
        or of the shoulders. Give the load of a video to :func:`~mobility.fit_body`.

    Returns
    -------
    xarray.Dataset
        ``weight_share`` (time, side) is from 0 to 1. ``vertical_force`` (time) is in body weights.
        Both include the load.
        ``centre_of_pressure`` (time, axis) is in metres, at y = 0, or at the height of the feet if
        these rest more than 0.1 m from there. ``knee_moment``, ``hip_moment``
        and ``ankle_moment`` (time, side) are internal, as a share of body weight times height, and
        positive if they extend the joint. With `weight_kg` there are also ``<joint>_moment_nm``.

        Each has the standard deviation of its error, ``<name>_sd``. Values are NaN if they cannot
        be known, and a warning in the history gives the reason.

    Raises
    ------
    BadInputError
        The weight or height is not a person's, or the pose has no positions in space.

    References
    ----------
    De Leva 1996, J Biomech 29:1223. Vukobratović & Borovac 2004, Int J Humanoid Robot 1:157 (zero
    moment point). Derrick et al. 2020, J Biomech 99:109533. Winter 2009, Biomechanics and motor
    control of human movement.
    """
    _check_person(weight_kg, height_m)
    require_positions(pose, what="loads")
    if "image_position" in pose and "position_draws" not in pose:
        raise BadInputError(
            "the landmarks of a video move with the hips, so they do not show forces. Fit a body "
            "(fit_body) and pass it"
        )
    if load is not None and "position_draws" in pose and load != load_of(pose):
        raise BadInputError.of(
            {"load": "the body was fitted without it; pass it to fit_body, and nothing here"}
        )
    result, _ = loads_and_samples(pose, repetitions, load)
    height = height_m or float(result.attrs["height_m"])
    if (
        height_m is not None and _kind(pose) == "markers"
    ):  # a fitted body has its own unit of length
        scale = float(result.attrs["height_m"]) / height_m
        names = [each for name in _MOMENTS for each in (name, sd_name(name))]
        scaled = {name: (result[name] * scale).assign_attrs(result[name].attrs) for name in names}
        result = result.assign(scaled)
    return in_nm(result.assign_attrs(height_m=height), weight_kg, height)


@checked
def loads_with_plates(
    pose: Pose,
    forces: Any,
    *,
    weight_kg: float | None = None,
    height_m: float | None = None,
    load: Load | None = None,
) -> xr.Dataset:
    """Compute how the legs are loaded from measured forces: the reference for :func:`loads`.

    Parameters
    ----------
    pose
        Pose of a laboratory, or a fitted pose, on the clock of the plates.
    forces
        ``force`` (time, side, axis) in N, the force of the floor on each foot, and
        ``centre_of_pressure`` (time, side, axis) in metres, in the axes of the pose (x, y, z).
    weight_kg, height_m
        As for :func:`loads`. Without `weight_kg`, the weight is the median vertical force while the
        person stands upright, without the load.
    load
        What the person carries, as for :func:`loads`.

    Returns
    -------
    xarray.Dataset
        As from :func:`loads`, without errors. Values are NaN outside the time of the plates, and
        moments also if a foot that is loaded has no centre of pressure.

    Raises
    ------
    BadInputError
        The forces lack a variable, a side or an axis, or have no time in common with the pose.
    """
    _check_person(weight_kg, height_m)
    require_positions(pose, what="loads_with_plates")
    movement = _movement(pose, _kind(pose))
    force, point = _plates(forces, movement.time)
    stature = height_m or _stature(pose)
    vertical = force[..., 1].sum(axis=1)
    if weight_kg is None:
        upright = _upright(movement.joints) & np.isfinite(vertical)
        if not upright.any():
            raise BadInputError(
                "the plates do not show the weight: the person never stands upright on them. Pass "
                "weight_kg"
            )
        weight = float(np.median(vertical[upright])) / (1.0 if load is None else 1.0 + load[1])
    else:
        weight = weight_kg * GRAVITY
    per_kg = force * (GRAVITY / weight)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = force[..., 1] / np.where(vertical > _LEAST_LOAD * weight, vertical, np.nan)[:, None]
    loaded = share > _LEAST_SHARE
    point = np.where(loaded[..., None], point, np.where(np.isnan(point), 0.0, point))
    total = (np.where(loaded, share, 0.0)[..., None] * np.nan_to_num(point)).sum(axis=1)
    total[np.isnan(share).any(axis=1) | (loaded[..., None] & np.isnan(point)).any(axis=(1, 2))] = (
        np.nan
    )
    moment = moments(movement.joints, movement.motion, per_kg, point - movement.floor * UP)
    moment = moment / GRAVITY
    values = {
        "weight_share": share,
        "vertical_force": vertical / weight,
        "centre_of_pressure": total,
        **_by_joint(moment / stature),
    }
    result = in_nm(_dataset(pose, values, {}, []), weight / GRAVITY, stature)
    return with_history(
        result.assign_attrs(height_m=stature),
        "loads_with_plates",
        {"weight_kg": weight_kg, "height_m": height_m, "load": load},
        source=pose,
        weight_n=round(weight, 1),
    )


@checked
def ground_forces(
    pose: Pose,
    *,
    weight_kg: float,
    repetitions: Repetitions | None = None,
    load: Load | None = None,
) -> xr.Dataset:
    """Estimate the force of the ground on each foot, without force plates.

    Parameters
    ----------
    pose, repetitions, load
        As for :func:`loads`.
    weight_kg
        Mass of the person.

    Returns
    -------
    xarray.Dataset
        ``force`` (time, side, axis) in N and ``centre_of_pressure`` (time, side, axis) in metres,
        on the floor, in the axes of the pose, as force plates would give them. Each foot carries
        its share of the whole force, at the same distance in front of its centre as the other.
        Values are NaN if :func:`loads` does not report the share.

    Raises
    ------
    BadInputError
        The weight is not a person's, or the pose has no positions in space.
    """
    found = loads(pose, repetitions=repetitions, weight_kg=weight_kg, load=load)
    movement = _movement(pose, _kind(pose), repetitions, load=load)
    total, _ = reaction(movement.joints, movement.motion, movement.segments)
    total[:, 1] = GRAVITY * found["vertical_force"].to_numpy()
    share = found["weight_share"].transpose("time", "side").to_numpy()
    point = found["centre_of_pressure"].transpose("time", "axis").to_numpy()
    on_foot = on_feet(movement.joints, point, movement.standing).point + movement.floor * UP
    force = weight_kg * share[..., None] * total[:, None]
    values = {
        "force": (force, "N", "force of the ground on the foot"),
        "centre_of_pressure": (on_foot, "m", "centre of pressure under the foot"),
    }
    result = xr.Dataset(
        {
            name: (
                ("time", "side", "axis"),
                np.where(np.isnan(share)[..., None], np.nan, value),
                {"units": units, "long_name": words},
            )
            for name, (value, units, words) in values.items()
        },
        coords={"time": pose["time"].variable, "side": list(SIDES), "axis": list(_AXES)},
        attrs={"ds_type": "forces"},
    )
    return with_history(
        result, "ground_forces", {"weight_kg": weight_kg, "load": load}, source=found
    )


_LEAST_LOAD, _LEAST_SHARE = 0.05, 0.02
"""Load of both feet, of body weight, below which there is no share; share of a foot below which its
centre of pressure is noise."""

_UPRIGHT = 0.97
"""Share of the greatest height of the hips at which a person stands."""


def _upright(joints: Array) -> NDArray[np.bool_]:
    """Return the frames in which the hips are about as high as they get."""
    height = of_joint(joints, "hip")[..., 1].mean(axis=1)
    finite: NDArray[np.bool_] = np.isfinite(height)
    if not finite.any():
        return finite
    floor = np.nanmin(of_joint(joints, "heel")[..., 1])
    least = _UPRIGHT * (np.percentile(height[finite], 98) - floor)
    return np.asarray(finite & (height - floor >= least))


def _check_person(weight_kg: float | None, height_m: float | None) -> None:
    table = tables.load(_TABLE)
    for name, value, units in (
        ("weight_kg", weight_kg, "kilograms"),
        ("height_m", height_m, "metres"),
    ):
        low, high = table[name]
        if value is not None and not low <= value <= high:
            raise BadInputError.of(
                {
                    name: f"{name} of {value:g} is not a person's. Pass {units}, from {low:g} to "
                    f"{high:g}"
                }
            )


def _kind(pose: xr.Dataset) -> str:
    """Return the entry of the tables of filters and errors that applies."""
    return "camera" if "position_draws" in pose else "markers"


def _filter_words(kind: str) -> str:
    cutoffs = tables.load(_TABLE)["filter"][kind]
    return "Butterworth of order 4 without lag; " + ", ".join(
        f"{name.removesuffix('_hz')} {value:g} Hz" for name, value in cutoffs.items()
    )


def _movement(
    pose: xr.Dataset,
    kind: str,
    repetitions: xr.Dataset | None = None,
    *,
    load: Load | None = None,
    faster: float = 1.0,
) -> Movement:
    """Low-pass and differentiate the joints of a pose; NaN in and beside long gaps.

    Cut-offs are those of the table times `faster`. A fitted pose knows its load.
    """
    load = load or load_of(pose)
    segments = with_load(load)
    time = pose["time"].to_numpy().astype(np.float64)
    joints = landmarks(pose, keypoints=list(FITTED))
    floor = _floor(joints)
    joints = joints - floor * UP
    gap = float(tables.load(_TABLE)["filter"]["longest_gap_s"])
    linear = np.full((time.size, len(segments.mass), 3), np.nan)
    turning = np.full((time.size, len(SIDES), 3, 3), np.nan)
    smooth = np.full(joints.shape, np.nan)
    from_end = np.full(time.size, np.nan)
    for rows in _pieces(time, joints, gap):
        if rows.size < _LEAST_FRAMES:
            continue
        span = time[rows[0] : rows[-1] + 1]
        step = float(np.median(np.diff(span)))
        grid = np.linspace(span[0], span[-1], round((span[-1] - span[0]) / step) + 1)
        regular = _regular(grid, time[rows], joints[rows])
        step = float(grid[1] - grid[0])
        filtered, motion = _differentiated(regular, step, kind, segments, faster)
        inside = slice(rows[0], rows[-1] + 1)
        smooth[inside] = _interpolated(span, grid, filtered)
        linear[inside] = _interpolated(span, grid, motion.linear)
        turning[inside] = _interpolated(span, grid, motion.turning)
        from_end[inside] = np.minimum(span - span[0], span[-1] - span)
    standing = _standing(repetitions, time, smooth)
    return Movement(time, smooth, Motion(linear, turning), standing, from_end, floor, load)


def _standing(repetitions: xr.Dataset | None, time: Array, joints: Array) -> NDArray[np.int_]:
    """Return the foot that carries the body alone in repetitions on one leg, otherwise -1."""
    standing = np.full(time.size, -1)
    off = lifted(joints, tables.load(_TABLE)["foot"]["lifted_m"])
    if repetitions is not None and "leg" in repetitions:
        for i in range(repetitions.sizes["rep"]):
            one = repetitions.isel(rep=i)
            inside = (time >= float(one["start"])) & (time <= float(one["end"]))
            leg = str(one["leg"].item())
            if leg not in SIDES:
                raise BadInputError(f"the leg of a repetition is '{leg}'. Pass left or right")
            foot = SIDES.index(leg)
            standing[inside & off[:, 1 - foot]] = foot
    return standing


_FLOOR_M = 0.1
"""Height of resting feet from which they show that the floor is not at 0; markers on shoes are
lower."""


def _floor(joints: Array) -> float:
    """Return the height of the floor: 0, unless the feet rest somewhere else."""
    ends = np.stack([of_joint(joints, name)[..., 1] for name in ("heel", "foot_index")])
    heights = ends[np.isfinite(ends)]
    if not heights.size:
        return 0.0
    lowest = float(np.percentile(heights, 10))
    return lowest if abs(lowest) > _FLOOR_M else 0.0


_LEAST_FRAMES = 15
"""Fewer frames in a row cannot be low-passed."""


def _pieces(time: Array, joints: Array, gap: float) -> Iterator[NDArray[np.int_]]:
    """Yield the frames with all joints, divided at gaps longer than `gap` seconds."""
    rows = np.flatnonzero(np.isfinite(joints).all(axis=(1, 2)))
    if rows.size:
        yield from np.split(rows, np.flatnonzero(np.diff(time[rows]) > gap) + 1)


def _regular(grid: Array, time: Array, values: Array) -> Array:
    """Return values at regular times; across missing frames by a curve without kinks.

    A kink is a large acceleration. If two frames are very close in time, their noise would be a
    steep slope of the curve, so lines are used.
    """
    steps = np.diff(time)
    if steps.min() < np.median(steps) / 2:
        return _interpolated(grid, time, values)
    columns = values.reshape(len(time), -1)
    smooth: Array = CubicSpline(time, columns)(grid)
    return smooth.reshape(len(grid), *values.shape[1:])


def _interpolated(at: Array, time: Array, values: Array) -> Array:
    columns = values.reshape(len(time), -1)
    result = np.stack([np.interp(at, time, column) for column in columns.T], axis=-1)
    return result.reshape(len(at), *values.shape[1:])


def _differentiated(
    joints: Array, step: float, kind: str, segments: Segments, faster: float
) -> tuple[Array, Motion]:
    """Return low-passed joints, and accelerations whose components have their own cut-offs."""
    cutoffs = tables.load(_TABLE)["filter"][kind]
    rate = 1 / step

    def filtered(name: str) -> Array:
        cutoff = min(faster * cutoffs[f"{name}_hz"], 0.45 * rate)
        smooth: Array = low_pass(joints, cutoff_hz=cutoff, rate_hz=rate)
        return smooth

    ahead = ahead_of(joints)[:, None]
    right = np.cross(ahead, UP)
    vertical = motion_of(filtered("vertical"), step, segments)
    linear = vertical.linear * UP
    for name, axis in (("forward", ahead), ("sideways", right)):
        if f"{name}_hz" in cutoffs:
            of_axis = motion_of(filtered(name), step, segments).linear
            linear = linear + (of_axis * axis).sum(axis=-1, keepdims=True) * axis
    return filtered("position"), Motion(linear, vertical.turning)


def _stature(pose: xr.Dataset) -> float:
    """Return the height of the body in the units of the pose, from lengths of its segments."""
    ratio = {name: one["ratio"] for name, one in tables.load("body_segments")["segments"].items()}
    fractions = {**ratio, **of_fit(pose).get("length_fractions", {})}
    joints = landmarks(pose, keypoints=list(FITTED))
    hip, knee, ankle = (of_joint(joints, name) for name in ("hip", "knee", "ankle"))
    length = np.linalg.norm(knee - hip, axis=-1) + np.linalg.norm(ankle - knee, axis=-1)
    finite = length[np.isfinite(length)]
    if not finite.size:
        return float("nan")
    return float(np.median(finite) / (fractions["thigh"] + fractions["shank"]))


@dataclass(frozen=True)
class _Errors:
    """One sample of the errors besides those of the joints, metres, and of body weight."""

    forward: float = 0.0
    sideways: float = 0.0
    vertical: float = 0.0
    apart: float = 0.0  # how much farther forward the left foot carries, in standard deviations
    uneven: float = 0.0  # of the share, times its difference from a half


def _values(movement: Movement, stature: float, errors: _Errors = _Errors()) -> dict[str, Array]:
    joints, motion, segments = movement.joints, movement.motion, movement.segments
    ahead = ahead_of(joints)
    total, point = reaction(joints, motion, segments)
    whole = segments.mass.sum()  # with the load
    total = total + errors.vertical * GRAVITY * whole * UP
    forward = errors.forward - _too_far_forward(joints, ahead) / whole
    point = point + forward[:, None] * ahead + errors.sideways * np.cross(ahead, UP)
    feet = on_feet(joints, point, movement.standing)
    on_both = (feet.share > 0) & (feet.share < 1)
    feet = replace(feet, share=feet.share + on_both * errors.uneven * (feet.share - 0.5))
    force = feet.share[..., None] * total[:, None]
    on_foot = feet.point + _apart(feet.share, errors.apart)[..., None] * ahead[:, None]
    moment = moments(joints, motion, force, on_foot) / (GRAVITY * stature)
    return {
        "weight_share": feet.share,
        "vertical_force": total[:, 1] / GRAVITY,
        "centre_of_pressure": point + movement.floor * UP,
        **_by_joint(moment),
    }


def _apart(share: Array, error: float) -> Array:
    """Return how far each foot carries in front of where it is assumed to, for an error.

    The whole force stays in its place. People who unload a leg stand on its toes, so the error is
    larger if the shares are unequal.
    """
    table = tables.load(_TABLE)["errors"]
    sd = table["feet_apart_m"] + table["feet_apart_uneven_m"] * abs(share[:, :1] - 0.5)
    moved: Array = error * sd * share[:, ::-1] * np.array([1.0, -1.0])
    return moved


def _by_joint(moment: Array) -> dict[str, Array]:
    return {name: moment[..., i] for i, name in enumerate(_MOMENTS)}


def _too_far_forward(joints: Array, ahead: Array) -> Array:
    """Return by how much the masses place the centre of pressure too far forward, metres."""
    table = tables.load(_TABLE)["too_far_forward"]
    trunk = of_joint(joints, "shoulder").mean(axis=1) - of_joint(joints, "hip").mean(axis=1)
    shift: Array = table["upright"] * trunk[:, 1] + table["leaning"] * (trunk * ahead).sum(axis=-1)
    return shift


def _samples_of_errors(kind: str, count: int, load: Load | None) -> list[_Errors]:
    errors = tables.load(_TABLE)["errors"]
    table = dict(errors[kind])
    if load is not None:
        where, mass = load
        for name, sd in errors["load"][where].items():
            table[name] = float(np.hypot(table[name], mass * sd) / (1 + mass))
    normal = np.random.default_rng(0).normal(size=(count, 5))
    if count >= normal.shape[1]:  # orthogonal columns: the spread is exactly the stated one
        normal = np.linalg.qr(normal)[0] * np.sqrt(count)
    sizes = [table["forward_m"], table["sideways_m"], table["vertical"], 1.0, table["uneven"]]
    return [_Errors(*row) for row in normal * sizes]


@dataclass(frozen=True)
class Samples:
    """Loads at the times of the posterior samples, and how far each sample is from them.

    ``values`` are (time, ...), ``deviations`` (draw, time, ...), by name.
    """

    time: Array
    values: Mapping[str, Array]
    deviations: Mapping[str, Array]


def _samples(pose: xr.Dataset, movement: Movement, kind: str, stature: float) -> Samples:
    if "position_draws" in pose:
        order = ("fit_time", "fit_keypoint", "fit_space")
        of_joints = pose[["fit_position", "position_draws"]].sel(
            fit_keypoint=list(FITTED), fit_space=list(_AXES)
        )
        times = pose["fit_time"].to_numpy().astype(np.float64)
        centre = of_joints["fit_position"].transpose(*order).to_numpy().astype(np.float64)
        centre = centre - movement.floor * UP
        moved = of_joints["position_draws"].transpose("draw", *order).to_numpy()
    else:
        steps = np.diff(movement.time)
        every = max(1, round(_STEP_S / max(float(np.median(steps)), 1e-3))) if steps.size else 1
        times, centre = movement.time[::every], movement.joints[::every]
        moved = np.zeros((_DRAWS, 1, len(FITTED), 3))
    at_times = Motion(
        _interpolated(times, movement.time, movement.motion.linear),
        _interpolated(times, movement.time, movement.motion.turning),
    )
    nearest = nearest_frames(times, movement.time)
    at = replace(
        movement,
        time=times,
        joints=centre,
        motion=at_times,
        standing=movement.standing[nearest],
        from_end=movement.from_end[nearest],
        floor=0.0,
    )
    middle = _values(at, stature)
    # One sample after the other, to save memory.
    drawn = [
        _values(replace(at, joints=centre + draw), stature, errors)
        for draw, errors in zip(
            moved, _samples_of_errors(kind, len(moved), movement.load), strict=True
        )
    ]
    deviations = {
        name: np.stack([draw[name] for draw in drawn]) - value for name, value in middle.items()
    }
    # Relative to the feet, because a camera does not see how far away they are.
    feet = [FITTED.index(f"{side}_{end}") for side in SIDES for end in ("heel", "foot_index")]
    deviations["centre_of_pressure"] -= moved[:, :, feet].mean(axis=2) * (1 - UP)
    return Samples(times, middle, deviations)


def _share_factor(pose: xr.Dataset) -> float:
    """Return the factor on the spread of the share; the largest one for a view without its own."""
    factors: dict[str, float] = tables.load(_TABLE)["errors"]["share_factor"]
    return factors.get(best_view(pose).kind, max(factors.values()))


def _standing_evenly(
    values: dict[str, Array], samples: Samples, movement: Movement, share_factor: float
) -> tuple[dict[str, Array], Samples]:
    """Move values and samples towards an even share in standing, as far as this is likely.

    A roll of the camera looks like a body that leans to one side, in all frames. What people are
    known to do in standing therefore improves every value that errs together with the share in
    standing, by a Kalman update.
    """
    table = tables.load(_TABLE)["standing"]
    stands = _upright(movement.joints)[nearest_frames(samples.time, movement.time)]
    stands &= np.isfinite(samples.values["weight_share"]).all(axis=1)
    if not stands.any():
        return values, samples
    share = float(samples.values["weight_share"][stands, 1].mean())
    errors = samples.deviations["weight_share"][:, stands, 1].mean(axis=1)
    spread = np.random.default_rng(1).normal(size=errors.size)
    spread *= table["sd"] / np.sqrt((spread**2).mean())
    variance = float((errors**2).mean()) + table["sd"] ** 2
    moved, middle, deviations = dict(values), dict(samples.values), dict(samples.deviations)
    for name, deviation in samples.deviations.items():
        gain = np.einsum("d...,d->...", deviation, errors) / (errors.size * variance)
        gain = np.nan_to_num(gain)  # no value there
        shift = gain * (0.5 - share)
        middle[name] = samples.values[name] + shift
        moved[name] = values[name] + at_frames(shift, samples.time, movement.time)
        deviations[name] = deviation - np.multiply.outer(errors + spread, gain)
    deviations["weight_share"] *= share_factor
    for shares in (moved, middle):
        shares["weight_share"] = np.clip(shares["weight_share"], 0.0, 1.0)
    return moved, Samples(samples.time, middle, deviations)


def _sds(samples: Samples, time: Array) -> dict[str, Array]:
    sds = {}
    for name, values in samples.deviations.items():
        sd = np.sqrt((values**2).mean(axis=0))
        has_value = np.isfinite(sd).all(axis=tuple(range(1, sd.ndim)))
        sds[name] = np.full((time.size, *sd.shape[1:]), np.nan)
        if has_value.any():
            sds[name] = at_frames(sd[has_value], samples.time[has_value], time)
    return sds


def _with_noise(
    sds: dict[str, Array], values: dict[str, Array], faster: dict[str, Array]
) -> dict[str, Array]:
    """Add what cut-offs that are half as high again change: noise, or movement that is left out."""
    wider = {}
    for name, sd in sds.items():
        squares = (faster[name] - values[name]) ** 2
        known = np.isfinite(squares).all(axis=tuple(range(1, squares.ndim)))
        extra = np.sqrt(squares[known].mean(axis=0)) if known.any() else 0.0
        wider[name] = np.hypot(sd, extra)
    return wider


def _with_ends(sds: dict[str, Array], movement: Movement) -> dict[str, Array]:
    """Add the error beside the ends of the known movement, where a filter has nothing beyond."""
    table = tables.load(_TABLE)["errors"]["ends"]
    fade = np.exp(-np.nan_to_num(movement.from_end) / table["fades_s"])
    on_both = movement.standing < 0  # the share of one leg is known
    wider = {}
    for name, sd in sds.items():
        size = table["moment"] if name in _MOMENTS else table[name]
        if name == "centre_of_pressure":
            size = size * (1 - UP)
        by_time = fade * on_both if name == "weight_share" else fade
        wider[name] = np.hypot(sd, (by_time[:, None] if sd.ndim > 1 else by_time) * size)
    return wider


def loads_and_samples(
    pose: xr.Dataset, repetitions: xr.Dataset | None = None, load: Load | None = None
) -> tuple[xr.Dataset, Samples]:
    """Return the loads of a pose, and their samples, for the errors of numbers made from them."""
    kind = _kind(pose)
    movement = _movement(pose, kind, repetitions, load=load)
    values = _values(movement, stature := _stature(pose))
    refused = refusals(
        pose, repetitions, movement.time, movement.joints, values, alone=movement.standing >= 0
    )
    samples = _samples(pose, movement, kind, stature)
    if kind == "camera":
        values, samples = _standing_evenly(values, samples, movement, _share_factor(pose))
    sds = _sds(samples, movement.time)
    if kind == "markers":
        faster = _movement(pose, kind, repetitions, load=load, faster=1.5)
        sds = _with_noise(sds, values, _values(faster, stature))
    result = _dataset(pose, values, _with_ends(sds, movement), refused)
    result = with_history(
        result.assign_attrs(filter=_filter_words(kind), height_m=stature),
        "loads",
        {"repetitions": repetitions is not None, "load": movement.load},
        source=pose,
        warnings=[refusal.warning(movement.time.size) for refusal in refused],
    )
    return result, samples


def _dataset(
    pose: xr.Dataset,
    values: Mapping[str, Array],
    sds: Mapping[str, Array],
    refused: list[Refusal],
) -> xr.Dataset:
    variables: dict[str, Any] = {}
    for name, dims in _DIMS.items():
        value = np.array(values[name])
        for refusal in refused:
            if name in refusal.names:
                value[refusal.frames] = np.nan
        variables[name] = (dims, value, dict(_ATTRS[name]))
        if name in sds:
            sd = np.where(np.isnan(value), np.nan, sds[name])
            units = _ATTRS[name]["units"]
            words = f"standard deviation of the error of {name}"
            variables[sd_name(name)] = (dims, sd, {"units": units, "long_name": words})
    coords = {"time": pose["time"].variable, "side": list(SIDES), "axis": list(_AXES)}
    return xr.Dataset(variables, coords=coords)


def in_nm(result: xr.Dataset, weight_kg: float | None, height: float) -> xr.Dataset:
    """Add the moments in Nm, if the mass is known."""
    if weight_kg is None:
        return result
    added = {}
    for name in _MOMENTS:
        for variable in (name, sd_name(name)):
            if variable in result:
                moment = result[variable] * (weight_kg * GRAVITY * height)
                new = variable.replace("_moment", "_moment_nm")
                attrs = {**result[variable].attrs, "units": "N m"}
                attrs["long_name"] = attrs["long_name"].replace(", of body weight times height", "")
                added[new] = moment.assign_attrs(attrs)
    return result.assign(added)


def _plates(forces: Any, time: Array) -> tuple[Array, Array]:
    """Return force and centre of pressure at the times of a pose, (time, side, 3)."""
    remedy = "pass force(time, side, axis) and centre_of_pressure(time, side, axis)"
    if not isinstance(forces, xr.Dataset):
        raise BadInputError(
            f"loads_with_plates: forces must be a Dataset (got {quoted(forces)}); {remedy}"
        )
    for name in ("force", "centre_of_pressure"):
        if name not in forces or set(forces[name].dims) != {"time", "side", "axis"}:
            raise BadInputError(f"loads_with_plates: the forces have no '{name}'; {remedy}")
    check_recording(forces)
    plate_time = forces["time"].to_numpy().astype(np.float64)
    inside = (time >= plate_time[0] - 1e-9) & (time <= plate_time[-1] + 1e-9)
    if not inside.any():
        raise BadInputError(
            "the plates and the pose have no time in common. Put both on one clock, with find_lag"
        )
    both = []
    for name in ("force", "centre_of_pressure"):
        values = (
            forces[name].sel(side=list(SIDES), axis=list(_AXES)).transpose("time", "side", "axis")
        )
        at = _interpolated(time, plate_time, values.to_numpy().astype(np.float64))
        at[~inside] = np.nan
        both.append(at)
    return both[0], both[1]
