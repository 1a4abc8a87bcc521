"""Reading force plates: the force under each foot, and its centre of pressure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import xarray as xr
from scipy.ndimage import gaussian_filter1d

from mobility import tables
from mobility.base.formatting import shortened
from mobility.base.options import FilePath, checked
from mobility.base.provenance import sha256, with_history
from mobility.errors import BadInputError
from mobility.kinematics.datasets import Pose, check_times
from mobility.kinematics.skeleton import SIDES, Array
from mobility.lab.lab_c3d import NEWTONS, c3d_plates, is_c3d
from mobility.lab.lab_datasets import turned_upright
from mobility.lab.lab_files import lab_content, lab_lines
from mobility.lab.lab_mappings import VerticalAxis
from mobility.lab.lab_text import motion_columns

LEAST_FORCE_N = 20.0
"""Vertical force in newtons below which a centre of pressure is not reported.

The error of a centre of pressure is the error of the moment divided by the force. 20 N is a usual
threshold of motion laboratories for contact with a plate.
"""

_PERSON_N = (100.0, 5000.0)
"""Range, in newtons, of the largest vertical force (95th percentile) under both feet of a person:
from a small child who stands to a heavy person who lands."""

_FARTHEST_M = 50.0
"""Largest possible coordinate of a centre of pressure in metres; in millimetres it is larger."""

_UNDER_FOOT_M = 0.12
"""Largest horizontal distance between a centre of pressure and the line from heel to toe, metres.
Half the width of a shoe is 0.05 m, and a marker on the toe is up to 0.05 m behind its tip."""

_STEP_S = 0.02
_SMOOTH_S = 0.06
"""Time step, and standard deviation of the Gaussian, with which forces and movement are compared.
It leaves movements up to about 2 Hz; a squat has 0.5 Hz."""

_LEAST_CHANGE = 0.02
"""Standard deviation of the total vertical force, as a share of its mean, below which the person
stands still, so that the clocks cannot be compared."""

_LEAST_COMMON_S = 2.0
_LEAST_EXPLAINED = 0.5
_CLOCKS_AGREE_S = 0.06
_LEAST_GAIN = 0.1
"""The clocks differ if the movement explains less than this share of the changes in force at any
lag, or this much more of them at a lag than within the time in which clocks agree. On four trials
of one woman, the movement explains 0.99 (squats) and 0.72 (chair rises) at no lag."""

_COLUMN = re.compile(r"^(?P<plate>.*?)_?(?P<kind>[vp])(?P<axis>[xyz])$", re.IGNORECASE)
_OF_SIDE = {"r": "right", "right": "right", "l": "left", "left": "left"}


class _Plate(NamedTuple):
    """Force (time, 3) in N, and centre of pressure (time, 3) in m, of one plate."""

    name: str
    side: str  # left, right, or "" if the name does not state it
    force: Array
    centre: Array


@checked
def read_forces(
    path: FilePath,
    *,
    pose: Pose | None = None,
    sides: Literal["names", "position"] | None = None,
    units: Literal["N", "kN"] | None = None,
    vertical_axis: VerticalAxis | None = None,
) -> xr.Dataset:
    """Read the force under each foot from a file of force plates.

    Parameters
    ----------
    path
        MOT or STO with forces and centres of pressure, named as in OpenSim
        (``R_ground_force_vx``, ``ground_force_r_vx``, ``1_ground_force_px``), or C3D with force
        plates, also compressed with gzip.
    pose
        Joint centres of the same trial, from :func:`~mobility.lab.joint_centres.lab_pose`. The
        forces are turned into its frame, and compared with the feet and with the movement. Required
        if the names of the plates do not state the sides.
    sides
        How plates are assigned to feet: by their "names", or by their "position" under the feet of
        the `pose`. The default is the names, if these state the sides.
    units
        Unit of the forces; by default N, or the unit in a C3D file.
    vertical_axis
        Axis of the file that points up; by default the axis with the largest force.

    Returns
    -------
    xarray.Dataset
        ``force`` (time, side, axis) in newtons, as it acts on the person, and
        ``centre_of_pressure`` (time, side, axis) in metres, y up. The centre of pressure is NaN if
        the vertical force is less than 20 N (attribute ``least_force_n``). Several plates under one
        foot are added. A foot without a plate is NaN, with a warning.

        ``time`` is in seconds, as in the file. For a C3D file, time 0 is frame 0, as in
        :func:`~mobility.lab.lab_files.read_lab`. The attribute ``plates`` names the plates of each
        side, and ``turned_deg`` is the rotation of the pose.

    Raises
    ------
    NotFoundError
        There is no such file.
    BadInputError
        The file is empty or cut off, or has no plates or no centre of pressure. The forces are not
        those of a person in newtons. The sides are unknown, no plate is under a foot, or one plate
        carries both feet. The plates and the pose do not show the same movement at the same time.

    Notes
    -----
    The forces are neither filtered nor resampled. A force that points down was stored as the force
    on the plate, and is reversed.

    To compare the clocks, the vertical force is regressed on the height of the trunk and its
    acceleration, after both were smoothed, at lags up to half the recording. Trials in the same
    rhythm cannot be distinguished. If the person stands still, the clocks are not compared
    (``clock`` in the history).
    """
    source = Path(path)
    content = lab_content(source)
    if is_c3d(content) or ".c3d" in map(str.lower, source.suffixes):
        time, values = c3d_plates(source, content)
        named = [_Plate(str(i + 1), "", *both) for i, both in enumerate(values)]
    else:
        time, columns = motion_columns(source.name, lab_lines(source.name, content))
        named = _plates_of_columns(source.name, columns)
    what = source.name
    _check_clock_of_file(what, time)
    if units is not None:
        named = [plate._replace(force=NEWTONS[units] * plate.force) for plate in named]
    named = [plate for plate in named if np.nanmax(np.abs(plate.force), initial=0.0) > 0]
    if not named:
        raise BadInputError(f"{what}: every force is zero or missing; export the trial again")
    plates, axis, is_reversed = _upright(named, vertical_axis)
    _check_size(what, plates)
    plates = [_without_unloaded(what, plate) for plate in plates]
    warnings = [tables.warning("warnings.forces_reversed", what=what)] if is_reversed else []
    turned, clock = 0.0, "no pose was passed"
    if pose is not None:
        turned = float(pose.attrs.get("turned_deg", 0.0))
        plates = [_turned(plate, turned) for plate in plates]
        clock = _compare_clocks(what, time, plates, pose)
    of_foot = _by_foot(what, time, plates, pose, sides, warnings)
    without = [side for side in SIDES if side not in of_foot.values()]
    warnings += [
        tables.warning("warnings.foot_without_plate", what=what, side=side) for side in without
    ]
    force, centre = _of_sides(plates, of_foot)
    by_side = {
        side: [name for name, foot in of_foot.items() if foot == side] for side in (*SIDES, "")
    }
    result = xr.Dataset(
        {
            "force": (
                ("time", "side", "axis"),
                force,
                {"units": "N", "long_name": "force of the ground on the foot"},
            ),
            "centre_of_pressure": (
                ("time", "side", "axis"),
                centre,
                {"units": "m", "long_name": "centre of pressure under the foot"},
            ),
        },
        coords={
            "time": ("time", time, {"units": "s", "long_name": "time of the lab file"}),
            "side": list(SIDES),
            "axis": ["x", "y", "z"],
        },
        attrs={
            "ds_type": "forces",
            "source_file": what,
            "source_sha256": sha256(source),
            "time_unit": "seconds",
            "rate_hz": float(f"{1.0 / float(np.median(np.diff(time))):.9g}"),
            "least_force_n": LEAST_FORCE_N,
            "vertical_axis": axis,
            "turned_deg": turned,
            "plates": "; ".join(
                f"{side or 'under no foot'}: {', '.join(names)}"
                for side, names in by_side.items()
                if names
            ),
        },
    )
    return with_history(
        result,
        "read_forces",
        {"sides": sides, "units": units, "vertical_axis": vertical_axis},
        file={"source_file": what, "source_sha256": result.attrs["source_sha256"]},
        plates=by_side,
        clock=clock,
        warnings=warnings,
    )


def _plates_of_columns(what: str, columns: dict[str, Array]) -> list[_Plate]:
    """Return the plates of a table by the names of its columns."""
    by_plate: dict[str, dict[str, Array]] = {}
    for name, values in columns.items():
        if match := _COLUMN.match(name):
            part = (match["kind"] + match["axis"]).lower()
            by_plate.setdefault(match["plate"], {})[part] = values
    with_force = {
        name: parts for name, parts in by_plate.items() if {"vx", "vy", "vz"} <= set(parts)
    }
    if not with_force:
        raise BadInputError(
            f"{what}: has no forces of plates (columns such as R_ground_force_vx), but "
            f"{shortened(columns, most=5)}; use the file with the ground reaction forces"
        )
    plates = []
    for name, parts in with_force.items():
        if not {"px", "py", "pz"} <= set(parts):
            raise BadInputError(
                f"{what}: plate '{name}' has no centre of pressure (columns {name}_px, _py, _pz); "
                "export the forces with their points of application"
            )
        named = {_OF_SIDE[part] for part in name.lower().split("_") if part in _OF_SIDE}
        force, centre = (np.stack([parts[f"{k}{a}"] for a in "xyz"], axis=-1) for k in "vp")
        plates.append(_Plate(name, named.pop() if len(named) == 1 else "", force, centre))
    return plates


def _check_clock_of_file(what: str, time: Array) -> None:
    try:
        check_times(time)
    except BadInputError as error:
        raise BadInputError(f"{what}: {error}") from None
    if time.size < 2:
        raise BadInputError(f"{what}: has {time.size} samples; at least 2 are needed")


def _upright(
    plates: Sequence[_Plate], vertical_axis: VerticalAxis | None
) -> tuple[list[_Plate], str, bool]:
    """Return plates with y up and forces on the person, the axis, and whether they were reversed.

    Without `vertical_axis`, it is the axis with the largest mean force.
    """
    total = np.nansum([plate.force for plate in plates], axis=0).mean(axis=0)
    axis: str = vertical_axis or "xyz"[int(np.abs(total).argmax())]
    upright = [
        plate._replace(
            force=turned_upright(plate.force, axis), centre=turned_upright(plate.centre, axis)
        )
        for plate in plates
    ]
    down = bool(np.nansum([plate.force[:, 1] for plate in upright]) < 0)
    if down:
        upright = [plate._replace(force=-plate.force) for plate in upright]
    return upright, axis, down


def _check_size(what: str, plates: Sequence[_Plate]) -> None:
    """Raise an error unless the plates carry a person, in newtons and metres."""
    total = float(np.percentile(np.nansum([plate.force[:, 1] for plate in plates], axis=0), 95))
    least, largest = _PERSON_N
    if not least <= total <= largest:
        advice = "set units='kN'" if least <= 1000 * total <= largest else "export newtons"
        raise BadInputError(
            f"{what}: its vertical forces add up to {total:.4g}, which is not a person's weight in "
            f"newtons; {advice}"
        )
    farthest = np.nanmax([np.nanmax(np.abs(p.centre), initial=0.0) for p in plates])
    if farthest > _FARTHEST_M:
        loaded = [p.centre[p.force[:, 1] >= LEAST_FORCE_N] for p in plates]
        if np.nanmedian(np.abs(np.concatenate(loaded)).max(axis=1)) > _FARTHEST_M:
            raise BadInputError(
                f"{what}: its centre of pressure is {farthest:.4g} from the origin, which is not "
                "in metres; divide millimetres by 1000"
            )


def _without_unloaded(what: str, plate: _Plate) -> _Plate:
    """Set the centre of pressure to NaN if the plate carries too little."""
    loaded = plate.force[:, 1] >= LEAST_FORCE_N
    centre = np.where(loaded[:, None], plate.centre, np.nan)
    if loaded.any() and not (np.abs(np.nan_to_num(centre[:, [0, 2]])).max() > 0):
        raise BadInputError(
            f"{what}: plate '{plate.name}' has forces, but its centre of pressure is always zero "
            "or missing; export the forces with their points of application"
        )
    return plate._replace(centre=centre)


def _turned(plate: _Plate, degrees: float) -> _Plate:
    """Turn a plate about the vertical, as `lab_pose` turned the person."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turn = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    return plate._replace(force=plate.force @ turn.T, centre=plate.centre @ turn.T)


def _landmark(pose: xr.Dataset, name: str, time: Array) -> Array:
    """Return a landmark, (time, 3), interpolated at these times; NaN if it is never visible."""
    position = pose["position"].sel(keypoint=name)
    if "individual" in position.dims:
        position = position.isel(individual=0)
    values = position.transpose("time", "space").to_numpy()
    visible = ~np.isnan(values).any(axis=1)
    if not visible.any():
        return np.full((time.size, 3), np.nan)
    at = pose["time"].to_numpy()[visible]
    return np.stack([np.interp(time, at, column) for column in values[visible].T], axis=-1)


def _compare_clocks(what: str, time: Array, plates: Sequence[_Plate], pose: xr.Dataset) -> str:
    """Return how the clocks of plates and pose agree; raise an error if they do not."""
    frames = pose["time"].to_numpy()
    common = min(time[-1], frames[-1]) - max(time[0], frames[0])
    if common < _LEAST_COMMON_S:
        raise BadInputError(
            f"{what}: the plates ({time[0]:.1f} to {time[-1]:.1f} s) and the markers "
            f"({frames[0]:.1f} to {frames[-1]:.1f} s) have less than {_LEAST_COMMON_S:g} s in "
            "common; use the plates of the same trial, on the clock of the markers"
        )
    total = np.sum([plate.force[:, 1] for plate in plates], axis=0)
    time, total = time[np.isfinite(total)], total[np.isfinite(total)]
    if total.std() < _LEAST_CHANGE * total.mean():
        return "not compared: the person stands still"
    grid = np.arange(frames[0], frames[-1], _STEP_S)
    trunk = [
        _landmark(pose, f"{side}_{point}", grid)[:, 1]
        for side in SIDES
        for point in ("hip", "shoulder")
    ]
    trunk = [height for height in trunk if not np.isnan(height).any()]
    if not trunk:
        return "not compared: the pose has neither hips nor shoulders"
    height = gaussian_filter1d(np.mean(trunk, axis=0), _SMOOTH_S / _STEP_S)
    acceleration = np.gradient(np.gradient(height, _STEP_S), _STEP_S)
    of_plates = np.arange(time[0], time[-1], _STEP_S)
    force = gaussian_filter1d(np.interp(of_plates, time, total), _SMOOTH_S / _STEP_S)
    longest = 0.5 * min(np.ptp(time), np.ptp(frames))
    lags = _STEP_S * np.arange(-int(longest / _STEP_S), int(longest / _STEP_S) + 1)
    explained = np.array(
        [_explained(grid + lag, height, acceleration, of_plates, force) for lag in lags]
    )
    best = int(np.argmax(explained))
    share_now = float(explained[np.abs(lags) <= _CLOCKS_AGREE_S].max())
    if explained[best] < _LEAST_EXPLAINED:
        raise BadInputError(
            f"{what}: the plates and the markers have no common movement (at no lag does the "
            f"movement explain more than {explained[best]:.0%} of the changes in force); use the "
            "plates of the same trial"
        )
    if explained[best] > share_now + _LEAST_GAIN:
        raise BadInputError(
            f"{what}: the clock of the plates differs from the clock of the markers by "
            f"{lags[best]:+.2f} s (there the movement explains {explained[best]:.0%} of the "
            f"changes in force, and {share_now:.0%} without a lag); export both with one clock"
        )
    return f"agrees: the movement explains {share_now:.2f} of the changes in force"


def _explained(at: Array, height: Array, acceleration: Array, time: Array, force: Array) -> float:
    """Return the share of the variance of the force that height and acceleration explain."""
    inside = (at >= time[0]) & (at <= time[-1])
    if inside.sum() * _STEP_S < _LEAST_COMMON_S:
        return 0.0
    values = np.interp(at[inside], time, force)
    values = values - values.mean()
    if not values.any():
        return 0.0
    terms = np.stack([np.ones(inside.sum()), height[inside], acceleration[inside]], axis=1)
    rest = values - terms @ np.linalg.lstsq(terms, values, rcond=None)[0]
    return float(1 - (rest**2).sum() / (values**2).sum())


def _by_foot(
    what: str,
    time: Array,
    plates: Sequence[_Plate],
    pose: xr.Dataset | None,
    sides: str | None,
    warnings: list[dict[str, Any]],
) -> dict[str, str]:
    """Return the side of each plate by name; "" if it is under no foot."""
    named = all(plate.side for plate in plates)
    if sides == "names" and not named:
        raise BadInputError(
            f"{what}: the names of its plates ({shortened(p.name for p in plates)}) do not state "
            "left or right; rename them, or leave out sides='names'"
        )
    if pose is None:
        if sides == "position" or not named:
            raise BadInputError(
                f"{what}: only the feet can show which of its plates "
                f"({shortened(p.name for p in plates)}) is left or right; pass the pose of the "
                "same trial"
            )
        return {plate.name: plate.side for plate in plates}
    feet = [_foot(pose, side, time) for side in SIDES]
    under = {plate.name: _foot_above(what, plate, feet) for plate in plates}
    if not any(under.values()):
        raise BadInputError(
            f"{what}: no plate is under a foot of the markers; use the plates of the same trial, "
            "in the axes of the markers"
        )
    if sides == "position" or not named:
        return under
    exchanged = [p for p in plates if under[p.name] and under[p.name] != p.side]
    if exchanged:
        listed = ", ".join(f"'{p.name}' is under the {under[p.name]} foot" for p in exchanged)
        warnings.append(tables.warning("warnings.plates_exchanged", what=what, plates=listed))
    return {plate.name: plate.side for plate in plates}


def _foot(pose: xr.Dataset, side: str, time: Array) -> Array:
    """Return heel and toe on the ground, (2, time, 2) in metres; the ankle if they are missing."""
    ankle = _landmark(pose, f"{side}_ankle", time)
    ends = [_landmark(pose, f"{side}_{end}", time) for end in ("heel", "foot_index")]
    return np.stack([np.where(np.isnan(end), ankle, end)[:, [0, 2]] for end in ends])


def _foot_above(what: str, plate: _Plate, feet: Sequence[Array]) -> str:
    """Return the side of the foot that is on a plate most of the time; "" if there is none."""
    loaded = ~np.isnan(plate.centre).any(axis=1)
    if not loaded.any():
        return ""
    centre = plate.centre[loaded][:, [0, 2]]
    distances = [_distance(centre, *foot[:, loaded]) for foot in feet]
    typical = [float(np.median(distance)) for distance in distances]
    if np.isnan(typical).all():
        raise BadInputError(
            f"{what}: the pose has no feet, which would show the sides of the plates; name the "
            "plates left and right, or map the markers of the feet"
        )
    nearest = int(np.nanargmin(typical))
    if typical[nearest] <= _UNDER_FOOT_M:
        return SIDES[nearest]
    between = _distance(centre, *(foot[:, loaded].mean(axis=0) for foot in feet))
    if float(np.median(between)) <= _UNDER_FOOT_M:
        raise BadInputError(
            f"{what}: plate '{plate.name}' carries both feet; a plate for each foot is needed"
        )
    return ""


def _distance(points: Array, start: Array, end: Array) -> Array:
    """Return the distance of points (time, 2) from lines between two points, in metres."""
    along = end - start
    length = (along**2).sum(axis=1)
    share = ((points - start) * along).sum(axis=1) / np.where(length > 0, length, 1.0)
    nearest = start + np.clip(share, 0, 1)[:, None] * along
    distance: Array = np.linalg.norm(points - nearest, axis=1)
    return distance


def _of_sides(plates: Sequence[_Plate], of_foot: dict[str, str]) -> tuple[Array, Array]:
    """Return force and centre of pressure of each side, (time, side, axis)."""
    shape = (len(plates[0].force), len(SIDES), 3)
    force, centre = np.full(shape, np.nan), np.full(shape, np.nan)
    for s, side in enumerate(SIDES):
        under = [plate for plate in plates if of_foot[plate.name] == side]
        if not under:
            continue
        force[:, s] = np.sum([plate.force for plate in under], axis=0)
        weights = np.array(
            [np.where(np.isnan(plate.centre[:, 1]), 0.0, plate.force[:, 1]) for plate in under]
        )
        places = np.array([np.nan_to_num(plate.centre) for plate in under])
        carried = weights.sum(axis=0)
        share = weights / np.where(carried > 0, carried, np.nan)
        centre[:, s] = (share[..., None] * places).sum(axis=0)
    return force, centre
