"""Export of poses, angles, loads and events for lab programs: TRC, MOT, STO, C3D and CSV.

NaN becomes ``nan`` in TRC, MOT and STO, an empty cell in CSV, and a residual of -1 in C3D. Files
are written atomically.
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr

from mobility import tables
from mobility.base.formatting import shortened
from mobility.base.options import FilePath, checked
from mobility.base.uncertain import is_sd, name_of_value, sd_name
from mobility.base.writing import atomic, plain_cells
from mobility.errors import BadInputError, NotFoundError, StorageError
from mobility.kinematics.datasets import Angles, Recording, Repetitions, check_dimensions
from mobility.kinematics.skeleton import KEYPOINTS, SIDES, Array
from mobility.lab.lab_datasets import EVENTS
from mobility.lab.lab_mappings import OURS, OURS_C3D, built_in
from mobility.lab.lab_text import BY_US
from mobility.sessions.files import check_name

_LARGEST_JITTER = 0.5
"""Number of frames by which times may differ from an even clock, for a format without times."""

_MOST_C3D_FRAMES = 65535
"""Largest number of frames in a C3D file (16 bits); the number of its last frame may be larger."""

_MOST_C3D_EVENTS = 255

Fill = Literal["interpolate"]
"""Text for a missing value, by option; nothing if the option is not set."""

log = logging.getLogger(__name__)

_CSV_HEADS = ("time,keypoint,x_m,y_m,z_m", "time,angle,side,value_deg,sd_deg")
"""First lines of the CSV files of positions and of angles."""


_LOADS_BY_US = "Loads of the legs, by mobility."
"""Line in the header of loads and forces that this package wrote."""

_RATES_HZ = (1.0, 1000.0)
"""Smallest and largest rate to which frames are resampled."""

_LONGEST_STEP = 3.0
"""Number of usual steps between frames over which values are still interpolated."""

RESAMPLED, RATE_BEFORE, FRAMES_BEFORE = "resampled", "rate_before", "frames_before"
"""Attributes of a resampled Dataset: a description of the resampling, and the rate before."""


def resampled(dataset: xr.Dataset, rate: float) -> xr.Dataset:
    """Resample positions or angles to even times, multiples of 1 / `rate` seconds.

    Values are interpolated linearly between neighbouring frames. A value is missing if it is next
    to a missing value, or between frames that are more than three usual steps (and 0.1 s) apart.
    The attributes note the resampling, and the writers copy the note into the file.

    Raises
    ------
    BadInputError
        The rate is not between 1 and 1000 frames per second.
    """
    least, largest = _RATES_HZ
    if not least <= rate <= largest:
        fault = f"must be from {least:g} to {largest:g} frames per second (got {rate:g})"
        raise BadInputError.of({"rate": fault})
    time = _time(dataset, what="resampled")
    first, last = math.ceil(time[0] * rate - 1e-6), math.floor(time[-1] * rate + 1e-6)
    if last <= first:
        raise BadInputError.of({"rate": f"{rate:g} leaves fewer than 2 frames; use a larger one"})
    even = (np.arange(first, last + 1) / rate).clip(time[0], time[-1])
    of_frames = [
        name
        for name, values in dataset.data_vars.items()
        if "time" in values.dims and values.dtype.kind == "f"
    ]
    steps = np.diff(time)
    left = np.searchsorted(time, even, side="right").clip(1, time.size - 1) - 1
    is_between = (even - time[left] > 1e-9) & (time[left + 1] - even > 1e-9)
    in_gap = is_between & (steps[left] > max(_LONGEST_STEP * float(np.median(steps)), 0.1))
    before = 1.0 / float(np.median(steps))
    words = tables.sentence("warnings.export.resampled", rate=rate, before=before)
    return (
        dataset[of_frames]
        .interp(time=even, method="linear")
        .where(xr.DataArray(~in_gap, dims="time", coords={"time": even}))
        .assign_attrs(
            dataset.attrs
            | {RESAMPLED: words, RATE_BEFORE: float(f"{before:.9g}"), FRAMES_BEFORE: time.size}
        )
    )


@checked
def write_trc(pose: Recording, path: FilePath, *, fill: Fill | None = None) -> Path:
    """Write positions as TRC, which OpenSim and Pose2Sim read.

    `pose` is a pose (``position``, one person) or markers (``marker_position``), in metres, y up.
    Landmarks that are never visible are left out. OpenSim accepts frames in which some landmarks
    are missing, but stops if all are missing; ``fill="interpolate"`` fills gaps as
    :func:`write_mot` does.
    """
    names, values, time = _positions(pose, what="write_trc")
    if fill:
        values = _filled(time, values.reshape(time.size, -1)).reshape(values.shape)
    elif empty := int(np.isnan(values).all(axis=(1, 2)).sum()):
        log.warning("%s", tables.sentence("warnings.export.empty_frames", count=empty, path=path))
    rate = _rate(time)
    rate_before = pose.attrs.get(RATE_BEFORE, rate)
    frames_before = pose.attrs.get(FRAMES_BEFORE, time.size)
    target = Path(path)
    head = [
        f"PathFileType\t4\t(X/Y/Z)\t{target.name}",
        "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame"
        "\tOrigNumFrames",
        f"{rate:.9g}\t{rate:.9g}\t{time.size}\t{len(names)}\tm"
        f"\t{rate_before:.9g}\t1\t{frames_before}",
        "Frame#\tTime\t" + "\t\t\t".join(names) + "\t\t",
        "\t\t" + "\t".join(f"{axis}{i + 1}" for i in range(len(names)) for axis in "XYZ"),
        "",
    ]
    rows = _rows(time, values.reshape(time.size, -1))
    numbered = [f"{i}\t{row}" for i, row in enumerate(rows, start=1)]
    return _write_text(target, "\n".join([*head, *numbered]) + "\n")


@checked
def write_mot(
    angles: Angles, path: FilePath, *, fill: Fill | None = None, license: str | None = None
) -> Path:
    """Write angles as an OpenSim motion (MOT or STO) in degrees, with OpenSim's names and signs.

    The columns are ``knee_angle_r``, ``hip_flexion_r``, ``hip_adduction_r`` (negative abduction),
    ``ankle_angle_r``, ``arm_flex_r``, ``elbow_flex_r``, the same columns for the left side, and
    ``pelvis_list``. Angles without a coordinate in OpenSim keep our names (``trunk_lean``). Our
    angles are angles between segments, not coordinates of a model. Hip flexion is the angle between
    trunk and thigh, so a model that is moved by it leans less than the person did. The header notes
    this. Angles without any value are left out.

    OpenSim reads a motion up to the first ``nan``. ``fill="interpolate"`` interpolates gaps (PCHIP)
    and extends the first and the last value to the ends. The header notes how many values were
    filled in each column, and the `license` ("not stated" by default).
    """
    columns = _angle_columns(angles, OURS, what="write_mot")
    head = [
        "inDegrees=yes",
        "",
        f"{BY_US} hip_flexion is trunk to thigh, not pelvis to thigh.",
        tables.sentence("warnings.export.purpose"),
    ]
    return _write_motion(Path(path), angles, columns, head, fill, license, what="write_mot")


@checked
def write_loads(
    loads: Recording, path: FilePath, *, fill: Fill | None = None, license: str | None = None
) -> Path:
    """Write loads of the legs (``mobility.loads``) as an OpenSim storage file (STO).

    The columns are ``weight_share_r``, ``knee_moment_r``, ``hip_moment_r``, ``ankle_moment_r``, the
    same columns for the left side, ``vertical_force`` and ``centre_of_pressure_x``, ``_y``, ``_z``,
    and the standard deviation of each, ``weight_share_r_sd``. Moments are in Nm if the Dataset has
    them (``knee_moment_nm_r``), otherwise of body weight times height. Gaps are written and filled
    as in :func:`write_mot`.
    """
    in_nm = any("_moment_nm" in str(name) for name in loads.data_vars)
    columns: dict[str, Array] = {}
    for name in map(str, loads.data_vars):
        if in_nm and "_moment" in name and "_moment_nm" not in name:
            continue
        for suffix, values in _components(loads[name]).items():
            column = f"{name_of_value(name)}{suffix}"
            columns[sd_name(column) if is_sd(name) else column] = values
    columns = {name: values for name, values in columns.items() if np.isfinite(values).any()}
    units = "newton metres" if in_nm else "body weight times height"
    about = tables.sentence("warnings.export.loads", units=units)
    head = [
        "inDegrees=no",
        "",
        f"{_LOADS_BY_US} {about}",
        tables.sentence("warnings.export.purpose"),
    ]
    return _write_motion(Path(path), loads, columns, head, fill, license, what="write_loads")


@checked
def write_forces(
    forces: Recording, path: FilePath, *, fill: Fill | None = None, license: str | None = None
) -> Path:
    """Write the force under each foot as an OpenSim motion (MOT) for external loads.

    `forces` has ``force`` and ``centre_of_pressure`` over (time, side, axis), as from
    :func:`~mobility.lab.force_plates.read_forces`. The columns are ``ground_force_r_vx`` (N),
    ``ground_force_r_px`` (m) and ``ground_torque_r_x`` (Nm, 0: it is not estimated), and so on for
    each axis and side. Gaps are written and filled as in :func:`write_mot`.
    """
    columns: dict[str, Array] = {}
    for side in SIDES[::-1]:
        letter = side[0]
        for kind, name in (("v", "force"), ("p", "centre_of_pressure")):
            values = forces[name].sel(side=side).transpose("time", "axis").to_numpy()
            columns |= {
                f"ground_force_{letter}_{kind}{a}": values[:, i] for i, a in enumerate("xyz")
            }
        zero = np.zeros(forces.sizes["time"])
        columns |= {f"ground_torque_{letter}_{a}": zero for a in "xyz"}
    about = tables.sentence("warnings.export.forces")
    head = [
        "inDegrees=no",
        "",
        f"{_LOADS_BY_US} {about}",
        tables.sentence("warnings.export.purpose"),
    ]
    return _write_motion(Path(path), forces, columns, head, fill, license, what="write_forces")


def _components(values: xr.DataArray) -> dict[str, Array]:
    """Return the columns of a variable over time by the ending of their names."""
    if "side" in values.dims:
        return {f"_{side[0]}": values.sel(side=side).to_numpy() for side in SIDES[::-1]}
    if "axis" in values.dims:
        return {f"_{axis}": values.sel(axis=axis).to_numpy() for axis in "xyz"}
    return {"": values.to_numpy()}


def _write_motion(
    target: Path,
    dataset: xr.Dataset,
    columns: Mapping[str, Array],
    about: Sequence[str],
    fill: Fill | None,
    license: str | None,
    *,
    what: str,
) -> Path:
    """Write columns (time,) as an OpenSim motion; `about` follows the sizes in its header."""
    time = _time(dataset, what=what)
    if not any(np.isfinite(values).any() for values in columns.values()):
        raise BadInputError(f"{what}: every value is missing, so there is nothing to write")
    table = np.stack(list(columns.values()), axis=-1)
    lacking = {name: int(np.isnan(column).sum()) for name, column in columns.items()}
    gaps = ", ".join(f"{name} {count}" for name, count in lacking.items() if count)
    words = {"gaps": gaps, "count": time.size, "path": target}
    note = []
    if gaps and fill:
        table = _filled(time, table)
        note = [tables.sentence("warnings.export.filled", **words)]
    elif gaps:
        log.warning("%s", tables.sentence("warnings.export.gaps", **words))
    head = [
        target.stem,
        "version=1",
        f"nRows={time.size}",
        f"nColumns={len(columns) + 1}",
        *about,
        f"License: {stated_license(license)}",
        *([dataset.attrs[RESAMPLED]] if RESAMPLED in dataset.attrs else []),
        *note,
        "endheader",
        "\t".join(["time", *columns]),
    ]
    return _write_text(target, "\n".join([*head, *_rows(time, table)]) + "\n")


@checked
def write_c3d(
    pose: Recording,
    path: FilePath,
    *,
    angles: Angles | None = None,
    repetitions: Repetitions | None = None,
    license: str | None = None,
) -> Path:
    """Write positions (see :func:`write_trc`) as C3D, in millimetres, y up.

    `angles` of the same frames become points of the group ``POINT:ANGLES``, in degrees. They have
    the names and signs of Vicon's Plug-in Gait if it has the angle (``LKneeAngles``, x). The
    mapping ``mobility_c3d`` contains all names, and ``POINT:DESCRIPTIONS`` describes each
    component. As in files of Plug-in Gait, a component without any value is 0, because some readers
    drop a point with NaN.

    Start, bottom and end of accepted `repetitions` become events. Their context is the side if one
    side moves (``Left``, ``Right``), otherwise ``General``.

    A C3D file has a rate but no times. The rate follows from the median step, and the first frame
    number from the first time. An error is raised if times differ from an even clock by more than
    half a frame or are before 0, or if there are more than 65535 frames. Values are stored in
    single precision. ``MANUFACTURER:LICENSE`` is the `license` ("not stated" by default).
    """
    import ezc3d

    names, values, time = _positions(pose, what="write_c3d")
    rate = _rate(time)
    first = round(float(time[0]) * rate)
    jitter = np.abs((time - time[0]) * rate - np.arange(time.size))
    if jitter.max() > _LARGEST_JITTER:
        raise BadInputError(
            f"write_c3d: the times of the frames are uneven (by {jitter.max():.1f} frames at "
            f"{time[int(jitter.argmax())]:.2f} s), and C3D has no times; resample the frames "
            "(--rate, rate=), or write TRC or CSV"
        )
    if first < 0 or max(first + 1, time.size) > _MOST_C3D_FRAMES:
        raise BadInputError(
            f"write_c3d: there are {time.size} frames at {rate:g} frames/s, from number {first} "
            f"on, but a C3D has at most {_MOST_C3D_FRAMES}, from 0 to {_MOST_C3D_FRAMES - 1}; "
            "write TRC or CSV"
        )
    target = Path(path)
    if target.suffix.lower() != ".c3d":  # otherwise ezc3d would append it
        raise BadInputError(f"write_c3d: the file name must end in .c3d (got {target.name})")
    points = {
        name: ("", 1000 * place) for name, place in zip(names, values.swapaxes(0, 1), strict=True)
    }
    of_angles = {} if angles is None else _angle_points(angles, time)
    points |= of_angles
    file = ezc3d.c3d()
    head = file["parameters"]["POINT"]
    head["RATE"]["value"] = [rate]
    head["UNITS"]["value"] = ["mm"]
    head["LABELS"]["value"] = list(points)
    head["DESCRIPTIONS"]["value"] = [description for description, _ in points.values()]
    if of_angles:
        file.add_parameter("POINT", "ANGLES", list(of_angles))
        file.add_parameter("POINT", "ANGLE_UNITS", ["deg"])
    file.add_parameter("POINT", "X_SCREEN", ["+X"])
    file.add_parameter("POINT", "Y_SCREEN", ["+Y"])
    file.add_parameter("MANUFACTURER", "SOFTWARE", ["mobility"])
    file.add_parameter("MANUFACTURER", "PURPOSE", [tables.sentence("warnings.export.purpose")])
    file.add_parameter("MANUFACTURER", "LICENSE", [stated_license(license)])
    if RESAMPLED in pose.attrs:
        file.add_parameter("MANUFACTURER", "PROCESSING", [pose.attrs[RESAMPLED]])
    last = first + time.size
    for name, number in (("ACTUAL_START_FIELD", first + 1), ("ACTUAL_END_FIELD", last)):
        _add_integers(file, "TRIAL", name, [number % 2**16, number // 2**16])
    if repetitions is not None:
        _add_events(file, repetitions)
    places = np.ones((4, len(points), time.size))
    places[:3] = np.stack([place for _, place in points.values()]).transpose(2, 0, 1)
    missing = np.isnan(places[:3]).all(axis=0)
    file["data"]["points"] = places
    file["data"]["meta_points"]["residuals"] = np.where(missing, -1.0, 0.0)[None]
    file["header"]["points"]["first_frame"] = first
    _require_folder(target)
    with atomic(target) as hidden:
        file.write(str(hidden))
        _require_whole(hidden, 4 * len(points) * time.size, target)
    return target


def _angle_columns(angles: xr.Dataset, mapping: str, *, what: str) -> dict[str, Array]:
    """Return angles by their columns in a built-in mapping, without those that have no value."""
    columns: dict[str, Array] = {}
    for name, entry in built_in()[mapping].angles.items():
        if name not in angles:
            continue
        for where, (column,) in entry.named().items():
            if where != "column" and where not in angles[name]["side"]:
                continue
            values = angles[name] if where == "column" else angles[name].sel(side=where)
            columns[column] = entry.scale * values.to_numpy().astype(np.float64)
    if not columns:
        raise BadInputError(
            f"{what}: the Dataset has no joint angles; compute them with joint_angles"
        )
    return {name: values for name, values in columns.items() if np.isfinite(values).any()}


def _angle_points(angles: xr.Dataset, time: Array) -> dict[str, tuple[str, Array]]:
    """Return description and values (time, 3) of each point of angles in a C3D."""
    if not np.array_equal(angles["time"].to_numpy(), time):
        raise BadInputError("write_c3d: positions and angles have different frames; resample them")
    columns = _angle_columns(angles, OURS_C3D, what="write_c3d")
    points: dict[str, tuple[str, Array]] = {}
    for name, entry in built_in()[OURS_C3D].angles.items():
        minus = "minus " if entry.scale < 0 else ""
        for (column,) in entry.named().values():
            if column not in columns:
                continue
            label, axis = column.rsplit(".", 1)
            description, values = points.get(label, ("", np.full((time.size, 3), np.nan)))
            values[:, "xyz".index(axis)] = columns[column]
            described = f"{axis}: {minus}{name.replace('_', ' ')}; "
            points[label] = (f"{description}{described}", values)
    return {
        label: (f"{description}else 0, not measured", _zeros_where_unused(values))
        for label, (description, values) in points.items()
    }


def _zeros_where_unused(values: Array) -> Array:
    """Set components (time, component) without any value to 0, in frames with another value."""
    unused = np.isnan(values).all(axis=0)
    return np.where(unused & ~np.isnan(values).all(axis=1, keepdims=True), 0.0, values)


def _add_integers(file: Any, group: str, name: str, numbers: Sequence[int]) -> None:
    """Add a parameter of 16-bit whole numbers; ezc3d would store them as fractions."""
    from ezc3d import ezc3d

    file.add_parameter(group, name, list(numbers))
    file["parameters"][group][name] |= {"type": ezc3d.INT, "value": np.array(numbers)}


def _add_events(file: Any, repetitions: xr.Dataset) -> None:
    """Add the events of the accepted repetitions, ordered by time."""
    events = []
    for i, number in enumerate(repetitions["rep"].to_numpy()):
        repetition = repetitions.isel(rep=i)
        if not bool(repetition.get("accepted", True)):
            continue
        moving = [str(repetition[of].item()) for of in ("leg", "joints") if of in repetition]
        sides = [side for side in SIDES if side in " ".join(moving).split()]
        context = sides[0].title() if len(sides) == 1 else "General"
        for variable, label in EVENTS.items():
            if variable not in repetition or not np.isfinite(float(repetition[variable])):
                continue
            meaning = repetition[variable].attrs.get("long_name", variable)
            of = f"repetition {number}: {meaning}"
            events.append((float(repetition[variable]), context, label, of))
    if not events:
        return
    if (count := len(events)) > _MOST_C3D_EVENTS:
        raise BadInputError(
            f"write_c3d: the repetitions have {count} events, but a C3D has at most "
            f"{_MOST_C3D_EVENTS}; "
            "pass fewer repetitions (repetitions.isel), or none"
        )
    times, contexts, labels, descriptions = zip(*sorted(events), strict=True)
    _add_integers(file, "EVENT", "USED", [count])
    file.add_parameter("EVENT", "CONTEXTS", list(contexts))
    file.add_parameter("EVENT", "LABELS", list(labels))
    file.add_parameter("EVENT", "DESCRIPTIONS", list(descriptions))
    file.add_parameter("EVENT", "SUBJECTS", ["subject"] * count)
    # Minutes, which may be 0, and seconds.
    file.add_parameter("EVENT", "TIMES", np.array([np.zeros(count), times]))
    for name in ("ICON_IDS", "GENERIC_FLAGS"):
        _add_integers(file, "EVENT", name, [0] * count)


@checked
def write_csv(dataset: Recording, path: FilePath) -> Path:
    """Write a pose, markers or angles as a tidy table.

    Positions have a row for each time and keypoint: ``time, keypoint, x_m, y_m, z_m``. Angles have
    a row for each time, angle and side (empty for angles without sides): ``time, angle, side,
    value_deg, sd_deg``. NaN is an empty cell. All digits are kept.
    """
    if "position" in dataset or "marker_position" in dataset:
        names, values, time = _positions(dataset, what="write_csv")
        labels: dict[str, Any] = {
            "time": np.repeat(time, len(names)),
            "keypoint": np.tile(names, time.size),
        }
        places = {f"{axis}_m": values[..., i].ravel() for i, axis in enumerate("xyz")}
        return _write_text(Path(path), _csv([{**labels, **places}]))
    time = _time(dataset, what="write_csv")
    angle_names = [name for name in tables.load("angles") if name in dataset]
    if not angle_names:
        raise BadInputError(
            f"write_csv: the Dataset has neither positions nor joint angles, but "
            f"{shortened(map(str, dataset.data_vars))}"
        )
    parts = []
    for name in angle_names:
        values, sd = dataset[name], dataset.get(sd_name(name))
        check_dimensions(name, values, ("time",), beside=("side",))
        if sd is not None:
            check_dimensions(sd_name(name), sd, [str(dim) for dim in values.dims])
        sides = (
            [side for side in SIDES if side in values["side"]] if "side" in values.dims else [""]
        )
        for side in sides:
            at = {"side": side} if side else {}
            error = np.nan if sd is None else sd.sel(at).to_numpy()
            row_labels: dict[str, Any] = {"time": time, "angle": name, "side": side}
            parts.append({**row_labels, "value_deg": values.sel(at).to_numpy(), "sd_deg": error})
    return _write_text(Path(path), _csv(parts))


def _filled(time: Array, table: Array) -> Array:
    """Fill the gaps of each column of a table (time, column) that has a value."""
    from scipy.interpolate import PchipInterpolator

    filled = table.copy()
    for column in filled.T:
        finite_rows = np.flatnonzero(np.isfinite(column))
        if finite_rows.size == 1:
            column[:] = column[finite_rows[0]]
        elif 1 < finite_rows.size < time.size:
            within = time.clip(time[finite_rows[0]], time[finite_rows[-1]])
            column[:] = PchipInterpolator(time[finite_rows], column[finite_rows])(within)
    return filled


def _rows(time: Array, table: Array) -> list[str]:
    """Return the lines of a table, each with its time first, separated by tabs."""
    return [
        "\t".join(f"{v:.9g}" for v in (t, *row))
        for t, row in zip(time.tolist(), table.tolist(), strict=True)
    ]


def _csv(parts: Sequence[Mapping[str, Any]]) -> str:
    """Return all parts as CSV, one below the other; each part is given by column."""
    import pandas as pd

    frame = plain_cells(pd.concat(map(pd.DataFrame, parts), ignore_index=True))
    return str(frame.to_csv(index=False, lineterminator="\n"))


FORMATS: dict[str, Callable[..., Path]] = {
    "trc": write_trc,
    "c3d": write_c3d,
    "mot": write_mot,
    "sto": write_mot,
    "csv": write_csv,
}
"""The writer for each format: TRC and C3D for positions, MOT and STO for angles, CSV for both."""


def stated_license(license: str | None) -> str:
    """Return the licence that a file states: the text that the user gave, or "not stated"."""
    if license is None:
        return tables.sentence("warnings.export.no_license")
    return check_name(license, what="license")


def is_export(file: Path) -> bool:
    """Return whether this module wrote a file, according to its header.

    TRC files of our landmarks count.
    """
    with file.open("rb") as opened:
        head = opened.read(1 << 17)  # the longest head of a C3D
    if head[1:2] == b"P":  # like every C3D
        return b"SOFTWARE" in head and b"mobility" in head
    first, *lines = head.decode("utf-8", errors="replace").splitlines() or [""]
    if first.startswith("PathFileType") and len(lines) > 2:
        return {*lines[2].split("\t")[2:]} <= {*KEYPOINTS, ""}
    return first in _CSV_HEADS or any(line.startswith((BY_US, _LOADS_BY_US)) for line in lines)


def _require_folder(path: Path) -> None:
    if not path.parent.is_dir():
        raise NotFoundError(f"{path.parent}: no such folder; make it first")
    if path.is_dir():
        raise BadInputError(f"{path}: is a folder; name a file")


def _require_whole(written: Path, numbers: int, target: Path) -> None:
    """Raise if a C3D lacks some of its `numbers`: ezc3d does not report failed writes."""
    with written.open("rb") as file:
        header = file.read(18)
        size = file.seek(0, os.SEEK_END)
    # The block of 512 bytes (from 1) in which the numbers begin is written last by ezc3d.
    first_block = int.from_bytes(header[16:], "little")
    if first_block < 2 or size < 512 * (first_block - 1) + 4 * numbers:
        raise StorageError(
            f"cannot write {target}: it was cut off after {size} bytes, because the disk is "
            "full or the file is too large; free some space and try again"
        )


def _write_text(path: Path, text: str) -> Path:
    _require_folder(path)
    with atomic(path) as hidden:
        # The text has the name of a file, which may not be valid UTF-8.
        hidden.write_text(text, encoding="utf-8", errors="backslashreplace")
    return path


def _time(dataset: xr.Dataset, *, what: str) -> Array:
    time: Array = dataset["time"].to_numpy().astype(np.float64)
    if time.size < 2:
        raise BadInputError(f"{what}: has {time.size} frames; at least 2 are needed")
    return time


def _rate(time: Array) -> float:
    return float(f"{1.0 / float(np.median(np.diff(time))):.9g}")


def _positions(dataset: xr.Dataset, *, what: str) -> tuple[list[str], Array, Array]:
    """Return names, positions (time, name, 3) in metres and times, without missing points."""
    time = _time(dataset, what=what)
    if "position" in dataset:
        position, names = dataset["position"], "keypoint"
        if position.sizes.get("individual", 1) != 1:
            raise BadInputError(
                f"{what}: the pose has {position.sizes['individual']} individuals; select one with "
                "pose.isel(individual=[0])"
            )
        if "individual" in position.dims:
            position = position.isel(individual=0, drop=True)
    elif "marker_position" in dataset:
        position, names = dataset["marker_position"], "marker"
    else:
        raise BadInputError(f"{what}: the Dataset has no positions; pass a pose or markers")
    check_dimensions(str(position.name), position, ("time", "space", names))
    if not {"x", "y", "z"} <= set(position["space"].to_numpy().tolist()):
        raise BadInputError(f"{what}: the coordinate 'space' must be x, y, z")
    array = position.sel(space=["x", "y", "z"]).transpose("time", names, "space")
    values = array.to_numpy().astype(np.float64)
    values = np.where(np.isnan(values).any(axis=-1, keepdims=True), np.nan, values)
    ever_seen = ~np.isnan(values[..., 0]).all(axis=0)
    if not ever_seen.any():
        raise BadInputError(f"{what}: every position is missing")
    names_kept = [str(name) for name in array[names].to_numpy()[ever_seen]]
    return names_kept, values[:, ever_seen], time
