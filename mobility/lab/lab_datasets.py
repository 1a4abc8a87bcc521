"""Datasets from lab files, converted to metres, y up, degrees, and our names and signs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
import xarray as xr

from mobility import tables
from mobility.base.formatting import shortened
from mobility.base.provenance import with_history
from mobility.errors import BadInputError
from mobility.kinematics.datasets import MOST_DEGREES
from mobility.kinematics.skeleton import SIDES, Array, nan_mean
from mobility.lab.lab_mappings import (
    AngleColumns,
    FileNames,
    LabMapping,
    VerticalAxis,
    best_mapping,
    built_in,
    other_content_of_column,
)

METRES: Mapping[str, float] = {"m": 1.0, "cm": 0.01, "mm": 0.001}
"""Metres in each unit of length."""

_SPELLINGS = {
    **dict.fromkeys(("m", "meter", "meters", "metre", "metres"), "m"),
    **dict.fromkeys(("cm", "centimeter", "centimeters", "centimetre", "centimetres"), "cm"),
    **dict.fromkeys(("mm", "millimeter", "millimeters", "millimetre", "millimetres"), "mm"),
    **dict.fromkeys(("deg", "degs", "degree", "degrees", "°"), "degree"),
    **dict.fromkeys(("rad", "rads", "radian", "radians"), "radian"),
}

_SMALLEST, _LARGEST = 0.25, 3.5
"""Extent, in metres, of the markers on one body: from a forearm to a person with the arms overhead.
"""

_SLOWEST, _FASTEST = 2.0, 20000.0
"""Frames per second; outside this range, the times are not in seconds."""

_RATES_AGREE = 0.01
"""Relative difference above which a stated rate contradicts the times."""

_UPRIGHT = 0.8
"""Least cosine of the angle between the line from feet to shoulders and an axis that counts as
vertical.
"""

_MOST_RADIANS = 7.0
"""Largest angle in radians: a full turn, 2 pi. If values are larger, they are in degrees."""

_LEAST_SWING = 0.3
"""Radians. If the range of motion in a whole trial is smaller, it does not reveal the unit."""

_ONE_WAY_DEG = 15.0
"""A flexion has the reversed sign if it goes this many degrees below zero, and three times as far
below as above zero.
"""

EVENTS = {"start": "Start", "bottom": "Bottom", "end": "End"}
"""Labels of the events of a repetition, by variable, in files of this package."""

MOMENTS = ("event_time", *EVENTS)
"""Variables with times on the clock of a lab file."""

_UPPER = ("shoulder", "hip")
_LOWER = ("ankle", "heel", "foot_index")

_TURNS: Mapping[str, tuple[tuple[int, int], tuple[int, int], tuple[int, int]]] = {
    # Rows of a proper rotation, as (column, sign), that turns the named axis to y.
    "y": ((0, 1), (1, 1), (2, 1)),
    "-y": ((0, 1), (1, -1), (2, -1)),
    "z": ((0, 1), (2, 1), (1, -1)),
    "-z": ((0, 1), (2, -1), (1, 1)),
    "x": ((1, -1), (0, 1), (2, 1)),
    "-x": ((1, 1), (0, -1), (2, 1)),
}


class Event(NamedTuple):
    """An event, with its time (s)."""

    time: float
    label: str
    context: str  # Left, Right or General
    description: str


@dataclass
class LabFile:
    """Content of a lab file before conversion; missing content is None."""

    what: str  # the file, for messages
    file_format: str  # C3D, TRC, MOT, STO or CSV
    time: Array | None = None  # seconds
    frames: Array | None = None  # numbers of the frames, from 0, if the file has no times
    stated_rate: float | None = None  # frames per second, as the header says
    other_rate: float | None = None  # a second rate in the header
    markers: list[str] = field(default_factory=list)
    # (time, marker, 3) in the unit of the file; NaN in gaps
    marker_values: Array = field(default_factory=lambda: np.empty((0, 0, 3)))
    columns: dict[str, Array] = field(default_factory=dict)  # other values (time,)
    length_unit: str | None = None
    angle_unit: str | None = None
    vertical_axis: str | None = None
    events: Sequence[Event] = ()
    mapping: str | None = None  # built-in mapping of the program that wrote the file
    notes: dict[str, Any] = field(default_factory=dict)  # for the history
    warnings: list[dict[str, str]] = field(default_factory=list)

    def warn(self, code: str, **values: object) -> None:
        """Add a warning."""
        self.warnings.append(tables.warning(f"warnings.{code}", what=self.what, **values))


@dataclass(frozen=True)
class ReadOptions:
    """Information about a file from the caller; None if the file states it."""

    mapping: LabMapping | None = None
    units: str | None = None
    vertical_axis: VerticalAxis | None = None
    rate_hz: float | None = None
    subject: str | None = None


def unit_of(text: str, *, what: str, kind: Literal["length", "angle"]) -> str | None:
    """Return the unit for a spelling, or None for an empty text; unknown units raise an error."""
    spelling = text.strip().casefold()
    if not spelling:
        return None
    unit = _SPELLINGS.get(spelling)
    if unit is None or (unit in METRES) != (kind == "length"):
        units = "m, cm or mm" if kind == "length" else "degree or radian"
        raise BadInputError(
            f"{what}: the unit '{text.strip()}' is not supported; convert to {units}, or set units"
        )
    return unit


def dataset(file: LabFile, options: ReadOptions, *, source: Mapping[str, str]) -> xr.Dataset:
    """Convert a file to the Dataset that :func:`mobility.lab.lab_files.read_lab` describes.

    Options of the caller override the file; `source` has ``source_file`` and ``source_sha256``.
    """
    _keep_one_person(file, options.subject)
    mapping = options.mapping
    if mapping is None:
        mapping = built_in().get(file.mapping or "")
        mapping = mapping or best_mapping(file.markers, file.columns)
    _check_units_option(file, options)
    _zeros_to_gaps(file)
    time, rate, timing = _times(file, options, mapping)
    variables: dict[str, xr.DataArray] = {}
    attrs: dict[str, Any] = {
        **source,
        "source_format": file.file_format,
        "time_unit": "seconds",
        "rate_hz": rate,
        "rate_found": timing,
    }
    unmapped = list(file.columns)
    if file.columns:
        angles, used, how = _angles(file, options, mapping)
        variables |= angles
        unmapped = [name for name in file.columns if name not in used]
        attrs |= how
    if file.markers:
        positions, how = _positions(file, options, mapping)
        variables["marker_position"] = positions
        attrs |= how
    if not variables:
        _raise_nothing_fits(file, options)
    attrs["ds_type"] = "markers" if file.markers else "angles"
    attrs["unmapped_columns"] = json.dumps(unmapped)
    attrs["mapping"] = mapping.name if mapping is not None else "none"
    if mapping is not None:
        attrs["mapping_content"] = mapping.model_dump_json(exclude_defaults=True)
    result = xr.Dataset(variables, coords={"time": time}, attrs=attrs)
    result["time"].attrs.update(units="s", long_name="time of the lab file")
    result = result.assign(_of_events(file.events))
    return with_history(
        result,
        "read_lab",
        {**vars(options), "mapping": options.mapping.name if options.mapping is not None else None},
        file=dict(source),
        found={
            **file.notes,
            **{k: attrs[k] for k in attrs if k.endswith("_found")},
            "mapping": attrs["mapping"],
            "mapping_chosen": "given" if options.mapping else "by most names in the file",
            "unmapped_columns": unmapped,
        },
        warnings=file.warnings,
    )


def _of_events(events: Sequence[Event]) -> dict[str, Any]:
    """Return the variables of the events and, if each repetition has its own, of repetitions."""
    if not events:
        return {}
    second = {"units": "s"}
    variables: dict[str, Any] = {
        f"event_{name}": ("event", [getattr(event, name) for event in events])
        for name in ("label", "context", "description")
    }
    variables["event_time"] = ("event", [event.time for event in events], second)
    times = {
        name: [event.time for event in events if event.label == label]
        for name, label in EVENTS.items()
    }
    count = len(times["start"])
    if count and all(len(seconds) == count for seconds in times.values()):
        variables |= {name: ("rep", seconds, second) for name, seconds in times.items()}
        variables["accepted"] = ("rep", np.ones(count, bool))
        variables["rep"] = ("rep", np.arange(count) + 1)
    return variables


def complete_positions(positions: Array) -> Array:
    """Set positions with a missing coordinate to NaN."""
    return np.where(np.isnan(positions).any(axis=-1, keepdims=True), np.nan, positions)


def require_unique(names: Sequence[str], *, what: str, kind: str) -> None:
    """Raise an error if a name occurs twice."""
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise BadInputError(
            f"{what}: has the {kind} {shortened(twice)} more than once; rename them"
        )


def _keep_one_person(file: LabFile, subject: str | None) -> None:
    """Keep the names of one subject, if they have a prefix (``SUBJECT:LASI``)."""
    names = [*file.markers, *file.columns]
    people = sorted({name.partition(":")[0] for name in names if ":" in name})
    if subject is not None and subject not in people:
        raise BadInputError(f"{file.what}: has no subject '{subject}'; it has {shortened(people)}")
    if subject is None:
        bare = [name.rpartition(":")[2] for name in names]
        if len(people) > 1 and len(set(bare)) < len(bare):
            raise BadInputError(
                f"{file.what}: has several people ({shortened(people)}); choose one with subject"
            )
        return

    def is_of_subject(name: str) -> bool:
        return ":" not in name or name.partition(":")[0] == subject

    of_subject = [i for i, name in enumerate(file.markers) if is_of_subject(name)]
    file.markers = [file.markers[i] for i in of_subject]
    file.marker_values = file.marker_values[:, of_subject]
    file.columns = {name: values for name, values in file.columns.items() if is_of_subject(name)}


def _check_units_option(file: LabFile, options: ReadOptions) -> None:
    if options.units in METRES and not file.markers:
        raise BadInputError(
            f"{file.what}: has no markers, so units='{options.units}' does not fit; use degree or "
            "radian for angles"
        )
    if options.units is not None and options.units not in METRES and not file.columns:
        raise BadInputError(
            f"{file.what}: has no angles, so units='{options.units}' does not fit; use m, cm or mm "
            "for markers"
        )


def no_angles(kinds: Iterable[str], *, what: str) -> BadInputError:
    """Return the error for a file that contains `kinds` of data other than angles and markers."""
    named = " and ".join(", ".join(dict.fromkeys(kinds)).rsplit(", ", 1))
    return BadInputError(
        f"{what}: contains {named}, but no angles; use the file with the joint angles or markers"
    )


def _raise_nothing_fits(file: LabFile, options: ReadOptions) -> None:
    kind_of_column = {name: other_content_of_column(name) for name in file.columns}
    columns = shortened(name for name, kind in kind_of_column.items() if kind is None)
    kinds = [kind for kind in kind_of_column.values() if kind is not None]
    if kinds and len(kinds) == len(kind_of_column):
        raise no_angles(kinds, what=file.what)
    names = FileNames(file.columns)
    if options.mapping is None:
        raise BadInputError(
            f"{file.what}: no built-in mapping has its columns ({columns}); pass a mapping that "
            "names the angle of each column"
        )
    mapped = options.mapping.angle_columns()
    nearest = f"; {mapped[0]}: {names.nearest(mapped[0])}" if mapped else ""
    raise BadInputError(
        f"{file.what}: has none of the columns of mapping {options.mapping.name} "
        f"({shortened(mapped or options.mapping.markers())}){nearest}"
    )


def _zeros_to_gaps(file: LabFile) -> None:
    """Set markers at exactly the origin to NaN; many programs write gaps in this way."""
    if not file.markers:
        return
    lost = (file.marker_values == 0).all(axis=-1)
    if lost.any():
        file.marker_values = np.where(lost[..., None], np.nan, file.marker_values)
        file.warn("zeros_as_gaps", count=int(lost.sum()))


def _times(
    file: LabFile, options: ReadOptions, mapping: LabMapping | None
) -> tuple[Array, float, str]:
    """Return times (s), frames per second, and the origin of the rate."""
    what, rate, origin = file.what, file.stated_rate, "header"
    if rate is None and mapping is not None and mapping.rate_hz is not None:
        rate, origin = mapping.rate_hz, f"mapping {mapping.name}"
    second = file.other_rate
    if options.rate_hz is not None:
        rate, origin = options.rate_hz, "given"
    elif rate and second and abs(second / rate - 1.0) > _RATES_AGREE:
        raise BadInputError(
            f"{what}: its header has two rates, {rate:g} and {second:g} frames/s; "
            "set rate_hz to the right one"
        )
    time = file.time
    if time is None:
        if rate is None:
            raise BadInputError(f"{what}: has neither times nor a rate; set rate_hz")
        if file.frames is None:
            raise AssertionError("a reader sets times or frames")
        time = file.frames / rate
    elif options.rate_hz is None and rate is None and time.size > 1:
        rate, origin = _rate(np.diff(time)), "median step of the times"
    if time.size < 2:
        raise BadInputError(f"{what}: has {time.size} frames; at least 2 are needed")
    if not np.isfinite(time).all():
        first = int(np.flatnonzero(~np.isfinite(time))[0])
        raise BadInputError(f"{what}: the time of frame {first + 1} is not a number")
    steps = np.diff(time)
    if (steps <= 0).any():
        first = int(np.flatnonzero(steps <= 0)[0])
        raise BadInputError(
            f"{what}: the times do not increase: {time[first]:g} s is followed by "
            f"{time[first + 1]:g} s (frame {first + 2})"
        )
    measured = _rate(steps)
    if rate is not None and abs(measured / rate - 1.0) > _RATES_AGREE:
        if options.rate_hz is None:
            raise BadInputError(
                f"{what}: {rate:g} frames/s in its {origin}, but its times step by "
                f"{1 / measured:g} s ({measured:g} frames/s); set rate_hz to the right one"
            )
        # The first frame keeps its number: its time is scaled from the rate of the times.
        first = time[0] * measured / rate
        time = first + np.arange(time.size) / rate
        file.warn("times_from_rate", step=1 / measured, rate=rate)
        measured = rate
    if rate is None:
        rate = measured
    if not _SLOWEST <= rate <= _FASTEST:
        raise BadInputError(
            f"{what}: {rate:g} frames/s is impossible; if its times are in milliseconds or frames, "
            "convert them to seconds or set rate_hz"
        )
    gaps = int((steps > 1.5 * np.median(steps)).sum())
    if gaps:
        file.warn("frames_missing", times=gaps)
    return time.astype(np.float64), float(rate), origin


def _rate(steps: Array) -> float:
    """Return the frames per second from the steps in time, without digits from rounding."""
    step = float(np.median(steps))
    return float(f"{1.0 / step:.9g}") if step > 0 else 0.0


def _positions(
    file: LabFile, options: ReadOptions, mapping: LabMapping | None
) -> tuple[xr.DataArray, dict[str, str]]:
    """Return markers in metres with y up, and attributes with the origin of unit and axis."""
    values = file.marker_values
    if np.isnan(values).all():
        raise BadInputError(f"{file.what}: every position of every marker is missing")
    unit, unit_origin = _length_unit(file, options, mapping, values)
    values = values * METRES[unit]
    axis, axis_origin = _vertical(file, options, mapping, values)
    turn = _TURNS[axis]
    formula = ", ".join(("-" if sign < 0 else "") + "xyz"[column] for column, sign in turn)
    values = turned_upright(values, axis)
    places = xr.DataArray(
        values.transpose(0, 2, 1),
        dims=("time", "space", "marker"),
        coords={"space": ["x", "y", "z"], "marker": file.markers},
        attrs={
            "units": "m",
            "long_name": "position of the markers",
            "axes": f"right-handed, y up; ({formula}) of the file",
        },
    )
    return places, {
        "units_read": unit,
        "units_found": unit_origin,
        "vertical_axis": axis,
        "vertical_axis_found": axis_origin,
    }


def turned_upright(values: Array, axis: str) -> Array:
    """Turn vectors (..., 3) so that the named axis becomes y, which points up."""
    return np.stack([sign * values[..., column] for column, sign in _TURNS[axis]], axis=-1)


def _span(values: Array) -> float:
    """Return the largest extent of all markers along one axis, median over the frames."""
    has_position = ~np.isnan(values[..., 0])
    usable = values[has_position.sum(axis=1) >= min(3, values.shape[1])]
    if not usable.size:
        return float("nan")
    high, low = np.nanmax(usable, axis=1), np.nanmin(usable, axis=1)
    return float(np.median((high - low).max(axis=-1)))


def _length_unit(
    file: LabFile, options: ReadOptions, mapping: LabMapping | None, values: Array
) -> tuple[str, str]:
    span = _span(values)
    mapping_unit = mapping.units if mapping is not None else None
    option = options.units if options.units in METRES else None
    unit, origin = _stated_unit(file, file.length_unit, mapping_unit, mapping, option)
    fits = [name for name, metres in METRES.items() if _SMALLEST <= span * metres <= _LARGEST]
    if unit is None:
        if len(fits) != 1:
            raise BadInputError(
                f"{file.what}: has no unit of length, and its size does not show which unit it "
                "is (the "
                f"markers span {span:.4g}); set units='m', 'cm' or 'mm'"
            )
        return fits[0], f"size: the markers span {span * METRES[fits[0]]:.2f} m"
    size = span * METRES[unit]
    if np.isfinite(size) and not _SMALLEST <= size <= _LARGEST:
        advice = f"; if the numbers are in {fits[0]}, set units='{fits[0]}'" if fits else ""
        raise BadInputError(
            f"{file.what}: in {unit} ({origin}), the markers span {size:.4g} m, which does not "
            f"fit a person{advice}"
        )
    return unit, origin


def _stated_unit(
    file: LabFile,
    file_unit: str | None,
    mapping_unit: str | None,
    mapping: LabMapping | None,
    option: str | None,
) -> tuple[str | None, str]:
    """Return the unit that caller, file or mapping (in this order) states, and which of them."""
    unit, origin = file_unit, "file"
    if unit is None and mapping_unit is not None and mapping is not None:
        unit, origin = mapping_unit, f"mapping {mapping.name}"
    if option is None:
        return unit, origin
    if unit is not None and unit != option:
        file.warn("units_overruled", how=origin, unit=unit, given=option)
    return option, "given"


def _vertical(
    file: LabFile, options: ReadOptions, mapping: LabMapping | None, metres: Array
) -> tuple[str, str]:
    """Return the axis that points up, with its sign, and its origin."""
    by_body = _up_of_body(file.markers, metres, mapping)
    axis: str
    if options.vertical_axis is not None:
        axis, origin = options.vertical_axis, "given"
    elif mapping is not None and mapping.vertical_axis is not None:
        axis, origin = mapping.vertical_axis, f"mapping {mapping.name}"
    elif by_body is not None:
        axis, origin = by_body, "line from the feet to the trunk"
    elif file.vertical_axis is not None:
        axis, origin = file.vertical_axis, "file"
    else:
        raise BadInputError(
            f"{file.what}: its markers do not show which axis is vertical; set vertical_axis "
            "(x, y, z, -x, -y or -z)"
        )
    other_axes = {"the line from the feet to the trunk": by_body, "file": file.vertical_axis}
    for name, stated in other_axes.items():
        if stated is not None and stated != axis:
            file.warn("vertical_axis_differs", axis=axis, how=origin, name=name, other=stated)
    return axis, origin


def _up_of_body(markers: list[str], metres: Array, mapping: LabMapping | None) -> str | None:
    """Return the axis near the line from feet to shoulders (or hips), or None."""
    if mapping is None:
        return None
    names = FileNames(markers)

    def middle(points: tuple[str, ...]) -> Array | None:
        mapped = [
            names.find(name)
            for point in points
            for side in SIDES
            for name in mapping.joint_centres.get(f"{side}_{point}", ())
        ]
        columns = [markers.index(name) for name in mapped if name is not None]
        if not columns:
            return None
        return nan_mean(metres[:, columns], axis=1)

    low = middle(_LOWER)
    high = next((m for point in _UPPER if (m := middle((point,))) is not None), None)
    if low is None or high is None:
        return None
    line = high - low
    line = line[~np.isnan(line).any(axis=-1)]
    if not len(line):
        return None
    up = np.median(line, axis=0)
    up /= np.linalg.norm(up)
    axis = int(np.abs(up).argmax())
    if abs(up[axis]) < _UPRIGHT:
        return None
    return ("-" if up[axis] < 0 else "") + "xyz"[axis]


def _angles(
    file: LabFile, options: ReadOptions, mapping: LabMapping | None
) -> tuple[dict[str, xr.DataArray], set[str], dict[str, str]]:
    """Return angles in degrees, their columns, and attributes with the origin of the unit."""
    if mapping is None or not mapping.angles:
        return {}, set(), {}
    names = FileNames(file.columns)
    mapped = mapping.angle_columns()
    file_columns = {name: at for name in mapped if (at := names.find(name)) is not None}
    if not file_columns:
        return {}, set(), {}
    if not mapping.built_in:
        for name in mapped:
            if name not in file_columns:
                raise BadInputError(
                    f"{file.what}: mapping {mapping.name}: has no column '{name}'; "
                    f"{names.nearest(name)}"
                )
    raw = {name: file.columns[at] for name, at in file_columns.items()}
    unit, origin = _angle_unit(file, options, mapping, raw)
    factor = 180.0 / np.pi if unit == "radian" else 1.0
    degrees = {name: values * factor for name, values in raw.items()}
    variables = {}
    for angle, columns in mapping.angles.items():
        converted = _angle(angle, columns, degrees, file_columns, file)
        if converted is not None:
            variables[angle] = converted
    attrs = {"angle_units_read": unit, "angle_units_found": origin}
    return variables, set(file_columns.values()), attrs


def _angle(
    angle: str,
    columns: AngleColumns,
    degrees: Mapping[str, Array],
    file_columns: Mapping[str, str],
    file: LabFile,
) -> xr.DataArray | None:
    definition = tables.load("angles")[angle]
    sums = {
        where: np.sum([degrees[name] for name in names], axis=0)
        for where, names in columns.named().items()
        if all(name in degrees for name in names)
    }
    if not sums:
        return None
    scale = columns.scale
    values = {where: scale * sum_ + columns.offset for where, sum_ in sums.items()}
    all_values = np.concatenate(list(values.values()))
    finite = all_values[np.isfinite(all_values)]
    low, high = np.percentile(finite, [2, 98]) if finite.size else (0.0, 0.0)
    if columns.one_way and low < -_ONE_WAY_DEG and -low > 3 * max(high, 0.0):
        scale = -scale
        values = {where: scale * sum_ + columns.offset for where, sum_ in sums.items()}
        file.warn("sign_found", angle=angle, scale=scale)
    highest = np.abs(finite).max(initial=0.0)
    if highest > MOST_DEGREES:
        raise BadInputError(
            f"{file.what}: {angle} reaches {highest:.0f} degrees; set units='degree' or "
            "'radian', or check the scale of the mapping"
        )
    if "column" in values:
        array, sides = values["column"], {}
    else:
        missing = np.full_like(next(iter(values.values())), np.nan)
        array = np.stack([values.get(side, missing) for side in SIDES], axis=-1)
        sides = {"side": list(SIDES)}
    used = {k: [file_columns[name] for name in columns.named()[k]] for k in values}
    return xr.DataArray(
        array,
        dims=("time", *sides),
        coords=sides,
        attrs={
            "units": "degree",
            "long_name": f"{definition['long_name']}, as the lab gives it",
            "zero": "of the lab's model",
            "positive": definition["positive"],
            "lab_name": ", ".join(" + ".join(names) for names in used.values()),
            "scale": scale,
            "offset": columns.offset,
            "difference": columns.difference or "not stated",
        },
    )


def _angle_unit(
    file: LabFile, options: ReadOptions, mapping: LabMapping, raw: Mapping[str, Array]
) -> tuple[str, str]:
    """Return the unit of the angle columns and its origin."""
    option = options.units if options.units not in METRES else None
    unit, origin = _stated_unit(file, file.angle_unit, mapping.angle_units, mapping, option)
    finite = [v[np.isfinite(v)] for v in raw.values() if np.isfinite(v).any()]
    if not finite:
        raise BadInputError(f"{file.what}: every value of every angle is missing")
    highest = max(float(np.abs(v).max()) for v in finite)
    swing = max(float(np.ptp(v)) for v in finite)
    if unit == "radian" and highest > _MOST_RADIANS:
        raise BadInputError(
            f"{file.what}: in radians ({origin}), an angle would be {highest:.4g}, more than a "
            "full turn; if the numbers are degrees, set units='degree'"
        )
    if unit is not None:
        if unit == "degree" and highest < np.pi and swing > _LEAST_SWING:
            file.warn("small_angles", highest=highest, how=origin)
        return unit, origin
    if highest > _MOST_RADIANS:
        return "degree", f"range: values up to {highest:.1f}"
    if highest < np.pi and swing > _LEAST_SWING:
        return "radian", f"range: no value exceeds {highest:.2f}"
    raise BadInputError(
        f"{file.what}: has no unit of angles, and their range (up to {highest:.3g}) does not "
        "show which unit it is; set units='degree' or 'radian'"
    )
