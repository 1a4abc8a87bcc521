"""What was read from a lab file, made a Dataset: metres, y up, degrees, our names and signs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import xarray as xr

from mobility import tables
from mobility.errors import BadInputError
from mobility.kinematics.datasets import MOST_DEGREES
from mobility.kinematics.geometry import Array, nan_mean
from mobility.kinematics.skeleton import SIDES
from mobility.provenance import with_history
from mobility.validation.mappings import (
    AngleColumns,
    FileNames,
    LabMapping,
    VerticalAxis,
    best_mapping,
    built_in,
    content_of,
)
from mobility.wording import shortened

METRES: Mapping[str, float] = {"m": 1.0, "cm": 0.01, "mm": 0.001}
"""Metres in each unit of length."""

_SPELT = {
    **dict.fromkeys(("m", "meter", "meters", "metre", "metres"), "m"),
    **dict.fromkeys(("cm", "centimeter", "centimeters", "centimetre", "centimetres"), "cm"),
    **dict.fromkeys(("mm", "millimeter", "millimeters", "millimetre", "millimetres"), "mm"),
    **dict.fromkeys(("deg", "degs", "degree", "degrees", "°"), "degree"),
    **dict.fromkeys(("rad", "rads", "radian", "radians"), "radian"),
}

_SMALLEST, _LARGEST = 0.25, 3.5
"""Metres; the markers on one body span neither less (a forearm) nor more (arms overhead)."""

_SLOWEST, _FASTEST = 2.0, 20000.0
"""Frames per second; outside, the times are in another unit than seconds."""

_RATES_AGREE = 0.01
"""Relative difference from which a stated rate contradicts the times."""

_UPRIGHT = 0.8
"""Cosine of the line from feet to shoulders with an axis from which that axis is vertical."""

_MOST_RADIANS = 7.0
"""Beyond a full turn, 2 pi, values are degrees."""

_LEAST_SWING = 0.3
"""Radians; a joint that moves by less in a whole trial tells nothing of its unit."""

_ONE_WAY_DEG = 15.0
"""Flexion is turned over where it goes this far below zero, and three times as far as above."""

_UPPER = ("shoulder", "hip")
_LOWER = ("ankle", "heel", "foot_index")

_TURNS: Mapping[str, tuple[tuple[int, int], tuple[int, int], tuple[int, int]]] = {
    # Rows of a proper rotation, as (column, sign), that brings the named axis to y.
    "y": ((0, 1), (1, 1), (2, 1)),
    "-y": ((0, 1), (1, -1), (2, -1)),
    "z": ((0, 1), (2, 1), (1, -1)),
    "-z": ((0, 1), (2, -1), (1, 1)),
    "x": ((1, -1), (0, 1), (2, 1)),
    "-x": ((1, 1), (0, -1), (2, 1)),
}


@dataclass
class Found:
    """What a file says, before anything is converted; None where it does not say."""

    what: str  # the file, for messages
    file_format: str  # C3D, TRC, MOT, STO or CSV
    time: Array | None = None  # seconds
    frames: Array | None = None  # numbers of the frames, from 0, where the file has no times
    stated_rate: float | None = None  # frames per second, as the header says
    other_rate: float | None = None  # where it says so twice, the other one
    markers: list[str] = field(default_factory=list)
    # (time, marker, 3) in the unit of the file; NaN in gaps
    marker_values: Array = field(default_factory=lambda: np.empty((0, 0, 3)))
    columns: dict[str, Array] = field(default_factory=dict)  # other values (time,)
    length_unit: str | None = None
    angle_unit: str | None = None
    vertical_axis: str | None = None
    mapping: str | None = None  # the built-in one that wrote the file
    notes: dict[str, Any] = field(default_factory=dict)  # what else it says, for the history
    warnings: list[dict[str, str]] = field(default_factory=list)

    def warn(self, code: str, **values: object) -> None:
        """Note what was amiss."""
        self.warnings.append(tables.warning(f"warnings.{code}", what=self.what, **values))


@dataclass(frozen=True)
class Asked:
    """What the caller says about a file; None where the file is to tell."""

    mapping: LabMapping | None = None
    units: str | None = None
    vertical_axis: VerticalAxis | None = None
    rate_hz: float | None = None
    subject: str | None = None


def unit_of(text: str, *, what: str, kind: Literal["length", "angle"]) -> str | None:
    """Return the unit that is spelt so, or None for an empty text; another one is refused."""
    spelt = text.strip().casefold()
    if not spelt:
        return None
    unit = _SPELT.get(spelt)
    if unit is None or (unit in METRES) != (kind == "length"):
        known = "m, cm or mm" if kind == "length" else "degree or radian"
        raise BadInputError(
            f"{what}: the unit '{text.strip()}' is not known; convert to {known}, or give units"
        )
    return unit


def dataset(found: Found, asked: Asked, *, source: Mapping[str, str]) -> xr.Dataset:
    """Make the Dataset that :func:`mobility.validation.lab_files.read_lab` describes.

    What the caller says (`asked`) goes before what the file says (`found`); `source` has
    ``source_file`` and ``source_sha256``.
    """
    _one_person(found, asked.subject)
    mapping = asked.mapping
    if mapping is None:
        mapping = built_in().get(found.mapping or "")
        mapping = mapping or best_mapping(found.markers, found.columns)
    _check_units_asked(found, asked)
    _zeros_are_gaps(found)
    time, rate, timing = _times(found, asked, mapping)
    variables: dict[str, xr.DataArray] = {}
    attrs: dict[str, Any] = {
        **source,
        "source_format": found.file_format,
        "time_unit": "seconds",
        "rate_hz": rate,
        "rate_found": timing,
    }
    unmapped = list(found.columns)
    if found.columns:
        angles, used, how = _angles(found, asked, mapping)
        variables |= angles
        unmapped = [name for name in found.columns if name not in used]
        attrs |= how
    if found.markers:
        positions, how = _positions(found, asked, mapping)
        variables["marker_position"] = positions
        attrs |= how
    if not variables:
        _nothing_fits(found, asked)
    attrs["ds_type"] = "markers" if found.markers else "angles"
    attrs["unmapped_columns"] = json.dumps(unmapped)
    attrs["mapping"] = mapping.name if mapping is not None else "none"
    if mapping is not None:
        attrs["mapping_content"] = mapping.model_dump_json(exclude_defaults=True)
    made = xr.Dataset(variables, coords={"time": time}, attrs=attrs)
    made["time"].attrs.update(units="s", long_name="time of the lab file")
    return with_history(
        made,
        "read_lab",
        {**vars(asked), "mapping": asked.mapping.name if asked.mapping is not None else None},
        file=dict(source),
        found={
            **found.notes,
            **{k: attrs[k] for k in attrs if k.endswith("_found")},
            "mapping": attrs["mapping"],
            "mapping_chosen": "given" if asked.mapping is not None else "by most names in the file",
            "unmapped_columns": unmapped,
        },
        warnings=found.warnings,
    )


def whole(positions: Array) -> Array:
    """Positions of which a coordinate is missing are missing."""
    return np.where(np.isnan(positions).any(axis=-1, keepdims=True), np.nan, positions)


def require_unique(names: Sequence[str], *, what: str, kind: str) -> None:
    """Raise where a name stands twice."""
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise BadInputError(
            f"{what}: has the {kind} {shortened(twice)} more than once; rename them"
        )


def _one_person(found: Found, subject: str | None) -> None:
    """Keep the names of one person, where names say whose they are (``SUBJECT:LASI``)."""
    names = [*found.markers, *found.columns]
    people = sorted({name.partition(":")[0] for name in names if ":" in name})
    if subject is not None and subject not in people:
        raise BadInputError(f"{found.what}: has no subject '{subject}'; it has {shortened(people)}")
    if subject is None:
        bare = [name.rpartition(":")[2] for name in names]
        if len(people) > 1 and len(set(bare)) < len(bare):
            raise BadInputError(
                f"{found.what}: has several people ({shortened(people)}); say with "
                "subject whom to read"
            )
        return

    def theirs(name: str) -> bool:
        return ":" not in name or name.partition(":")[0] == subject

    kept = [i for i, name in enumerate(found.markers) if theirs(name)]
    found.markers = [found.markers[i] for i in kept]
    found.marker_values = found.marker_values[:, kept]
    found.columns = {name: values for name, values in found.columns.items() if theirs(name)}


def _check_units_asked(found: Found, asked: Asked) -> None:
    if asked.units in METRES and not found.markers:
        raise BadInputError(
            f"{found.what}: has no markers, so units='{asked.units}' does not fit; angles are in "
            "degree or radian"
        )
    if asked.units is not None and asked.units not in METRES and not found.columns:
        raise BadInputError(
            f"{found.what}: has no angles, so units='{asked.units}' does not fit; markers are in "
            "m, cm or mm"
        )


def no_angles(kinds: Iterable[str], *, what: str) -> BadInputError:
    """Error of a file that holds something else than angles and markers, of those `kinds`."""
    named = " and ".join(", ".join(dict.fromkeys(kinds)).rsplit(", ", 1))
    return BadInputError(
        f"{what}: holds {named}, no angles; give the file of the joint angles or markers"
    )


def _nothing_fits(found: Found, asked: Asked) -> None:
    held = {name: content_of(name) for name in found.columns}
    left = shortened(name for name, kind in held.items() if kind is None)
    kinds = [kind for kind in held.values() if kind is not None]
    if kinds and len(kinds) == len(held):
        raise no_angles(kinds, what=found.what)
    names = FileNames(found.columns)
    if asked.mapping is None:
        raise BadInputError(
            f"{found.what}: no built-in mapping knows its columns ({left}); give a mapping that "
            "says which angle each is"
        )
    wanted = asked.mapping.angle_columns()
    told = f"; {wanted[0]}: {names.nearest(wanted[0])}" if wanted else ""
    raise BadInputError(
        f"{found.what}: has none of the columns of mapping {asked.mapping.name} "
        f"({shortened(wanted or asked.mapping.markers())}){told}"
    )


def _zeros_are_gaps(found: Found) -> None:
    """Take markers at the origin to the last digit as lost; many programs write gaps so."""
    if not found.markers:
        return
    lost = (found.marker_values == 0).all(axis=-1)
    if lost.any():
        found.marker_values = np.where(lost[..., None], np.nan, found.marker_values)
        found.warn("zeros_as_gaps", count=int(lost.sum()))


def _times(found: Found, asked: Asked, mapping: LabMapping | None) -> tuple[Array, float, str]:
    """Give times (s), frames per second, and where the rate is from."""
    what, rate, how = found.what, found.stated_rate, "header"
    if rate is None and mapping is not None and mapping.rate_hz is not None:
        rate, how = mapping.rate_hz, f"mapping {mapping.name}"
    other = found.other_rate
    if asked.rate_hz is not None:
        rate, how = asked.rate_hz, "given"
    elif rate and other and abs(other / rate - 1.0) > _RATES_AGREE:
        raise BadInputError(
            f"{what}: says {rate:g} frames/s in one place of its header and {other:g} in another; "
            "give rate_hz to say which is right"
        )
    time = found.time
    if time is None:
        if rate is None:
            raise BadInputError(f"{what}: has neither times nor a rate; give rate_hz")
        if found.frames is None:
            raise AssertionError("a reader gives times or frames")
        time = found.frames / rate
    elif asked.rate_hz is None and rate is None and time.size > 1:
        rate, how = _rate(np.diff(time)), "median step of the times"
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
    seen = _rate(steps)
    if rate is not None and abs(seen / rate - 1.0) > _RATES_AGREE:
        if asked.rate_hz is None:
            raise BadInputError(
                f"{what}: its {how} says {rate:g} frames/s, its times step by {1 / seen:g} s "
                f"({seen:g} frames/s); give rate_hz to say which is right"
            )
        # The first frame stays where it is on the clock that is not believed.
        first = time[0] * seen / rate
        time = first + np.arange(time.size) / rate
        found.warn("times_from_rate", step=1 / seen, rate=rate)
        seen = rate
    if rate is None:
        rate = seen
    if not _SLOWEST <= rate <= _FASTEST:
        raise BadInputError(
            f"{what}: {rate:g} frames/s cannot be; if its times are in milliseconds or frames, "
            "convert them to seconds or give rate_hz"
        )
    lost = int((steps > 1.5 * np.median(steps)).sum())
    if lost:
        found.warn("frames_missing", times=lost)
    return time.astype(np.float64), float(rate), how


def _rate(steps: Array) -> float:
    """Frames per second of steps in time, without the last digits that rounding made."""
    step = float(np.median(steps))
    return float(f"{1.0 / step:.9g}") if step > 0 else 0.0


def _positions(
    found: Found, asked: Asked, mapping: LabMapping | None
) -> tuple[xr.DataArray, dict[str, str]]:
    """Markers in metres with y up, and how unit and axis were found."""
    values = found.marker_values
    if np.isnan(values).all():
        raise BadInputError(f"{found.what}: every position of every marker is missing")
    unit, unit_found = _length_unit(found, asked, mapping, values)
    values = values * METRES[unit]
    axis, axis_found = _vertical(found, asked, mapping, values)
    turn = _TURNS[axis]
    formula = ", ".join(("-" if sign < 0 else "") + "xyz"[column] for column, sign in turn)
    values = np.stack([sign * values[..., column] for column, sign in turn], axis=-1)
    places = xr.DataArray(
        values.transpose(0, 2, 1),
        dims=("time", "space", "marker"),
        coords={"space": ["x", "y", "z"], "marker": found.markers},
        attrs={
            "units": "m",
            "long_name": "position of the markers",
            "axes": f"right-handed, y up; ({formula}) of the file",
        },
    )
    return places, {
        "units_read": unit,
        "units_found": unit_found,
        "vertical_axis": axis,
        "vertical_axis_found": axis_found,
    }


def _span(values: Array) -> float:
    """Largest extent of all markers along one axis, median over the frames."""
    seen = ~np.isnan(values[..., 0])
    some = values[seen.sum(axis=1) >= min(3, values.shape[1])]
    if not some.size:
        return float("nan")
    high, low = np.nanmax(some, axis=1), np.nanmin(some, axis=1)
    return float(np.median((high - low).max(axis=-1)))


def _length_unit(
    found: Found, asked: Asked, mapping: LabMapping | None, values: Array
) -> tuple[str, str]:
    span = _span(values)
    of_mapping = mapping.units if mapping is not None else None
    given = asked.units if asked.units in METRES else None
    unit, how = _said_unit(found, found.length_unit, of_mapping, mapping, given)
    fits = [name for name, metres in METRES.items() if _SMALLEST <= span * metres <= _LARGEST]
    if unit is None:
        if len(fits) != 1:
            raise BadInputError(
                f"{found.what}: does not say its unit of length, and its size does not tell (the "
                f"markers span {span:.4g}); give units='m', 'cm' or 'mm'"
            )
        return fits[0], f"size: the markers span {span * METRES[fits[0]]:.2f} m"
    size = span * METRES[unit]
    if np.isfinite(size) and not _SMALLEST <= size <= _LARGEST:
        advice = f"; if its numbers are {fits[0]}, give units='{fits[0]}'" if fits else ""
        raise BadInputError(
            f"{found.what}: in {unit} ({how}) the markers span {size:.4g} m, which is no "
            f"person{advice}"
        )
    return unit, how


def _said_unit(
    found: Found,
    of_file: str | None,
    of_mapping: str | None,
    mapping: LabMapping | None,
    given: str | None,
) -> tuple[str | None, str]:
    """Give the unit that the caller, else the file, else the mapping says, and who says it."""
    unit, how = of_file, "file"
    if unit is None and of_mapping is not None and mapping is not None:
        unit, how = of_mapping, f"mapping {mapping.name}"
    if given is None:
        return unit, how
    if unit is not None and unit != given:
        found.warn("units_overruled", how=how, unit=unit, given=given)
    return given, "given"


def _vertical(
    found: Found, asked: Asked, mapping: LabMapping | None, metres: Array
) -> tuple[str, str]:
    """Axis that points up, with its sign, and how it was found."""
    told = _up_of_body(found.markers, metres, mapping)
    axis: str
    if asked.vertical_axis is not None:
        axis, how = asked.vertical_axis, "given"
    elif mapping is not None and mapping.vertical_axis is not None:
        axis, how = mapping.vertical_axis, f"mapping {mapping.name}"
    elif told is not None:
        axis, how = told, "line from the feet to the trunk"
    elif found.vertical_axis is not None:
        axis, how = found.vertical_axis, "file"
    else:
        raise BadInputError(
            f"{found.what}: which axis is vertical cannot be told from its markers; give "
            "vertical_axis (x, y, z, -x, -y or -z)"
        )
    said = {"the line from the feet to the trunk": told, "file": found.vertical_axis}
    for name, other in said.items():
        if other is not None and other != axis:
            found.warn("vertical_axis_differs", axis=axis, how=how, name=name, other=other)
    return axis, how


def _up_of_body(markers: list[str], metres: Array, mapping: LabMapping | None) -> str | None:
    """Axis nearest the line from feet to shoulders (else hips), if it is near one."""
    if mapping is None:
        return None
    names = FileNames(markers)

    def middle(points: tuple[str, ...]) -> Array | None:
        found = [
            names.find(name)
            for point in points
            for side in SIDES
            for name in mapping.joint_centres.get(f"{side}_{point}", ())
        ]
        places = [markers.index(name) for name in found if name is not None]
        if not places:
            return None
        return nan_mean(metres[:, places], axis=1)

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
    found: Found, asked: Asked, mapping: LabMapping | None
) -> tuple[dict[str, xr.DataArray], set[str], dict[str, str]]:
    """Angles in degrees, the columns that they are from, and how the unit was found."""
    if mapping is None or not mapping.angles:
        return {}, set(), {}
    names = FileNames(found.columns)
    wanted = mapping.angle_columns()
    there = {name: at for name in wanted if (at := names.find(name)) is not None}
    if not there:
        return {}, set(), {}
    if not mapping.built_in:
        for name in wanted:
            if name not in there:
                raise BadInputError(
                    f"{found.what}: mapping {mapping.name}: has no column '{name}'; "
                    f"{names.nearest(name)}"
                )
    raw = {name: found.columns[at] for name, at in there.items()}
    unit, how = _angle_unit(found, asked, mapping, raw)
    factor = 180.0 / np.pi if unit == "radian" else 1.0
    variables = {}
    for angle, columns in mapping.angles.items():
        made = _angle(angle, columns, {k: v * factor for k, v in raw.items()}, there, found)
        if made is not None:
            variables[angle] = made
    return variables, set(there.values()), {"angle_units_read": unit, "angle_units_found": how}


def _angle(
    angle: str,
    columns: AngleColumns,
    degrees: Mapping[str, Array],
    there: Mapping[str, str],
    found: Found,
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
    together = np.concatenate(list(values.values()))
    known = together[np.isfinite(together)]
    low, high = np.percentile(known, [2, 98]) if known.size else (0.0, 0.0)
    if columns.one_way and low < -_ONE_WAY_DEG and -low > 3 * max(high, 0.0):
        scale = -scale
        values = {where: scale * sum_ + columns.offset for where, sum_ in sums.items()}
        found.warn("sign_found", angle=angle, scale=scale)
    highest = np.abs(known).max(initial=0.0)
    if highest > MOST_DEGREES:
        raise BadInputError(
            f"{found.what}: {angle} reaches {highest:.0f} degrees; give units='degree' or "
            "'radian', or check the scale of the mapping"
        )
    if "column" in values:
        array, sides = values["column"], {}
    else:
        nothing = np.full_like(next(iter(values.values())), np.nan)
        array = np.stack([values.get(side, nothing) for side in SIDES], axis=-1)
        sides = {"side": list(SIDES)}
    named = {where: " + ".join(there[name] for name in columns.named()[where]) for where in values}
    return xr.DataArray(
        array,
        dims=("time", *sides),
        coords=sides,
        attrs={
            "units": "degree",
            "long_name": f"{definition['long_name']}, as the lab gives it",
            "zero": "of the lab's model",
            "positive": definition["positive"],
            "lab_name": ", ".join(named.values()),
            "scale": scale,
            "offset": columns.offset,
            "difference": columns.difference or "not stated",
        },
    )


def _angle_unit(
    found: Found, asked: Asked, mapping: LabMapping, raw: Mapping[str, Array]
) -> tuple[str, str]:
    """Give the unit of the angle columns and how it was found."""
    given = asked.units if asked.units not in METRES else None
    unit, how = _said_unit(found, found.angle_unit, mapping.angle_units, mapping, given)
    known = [v[np.isfinite(v)] for v in raw.values() if np.isfinite(v).any()]
    if not known:
        raise BadInputError(f"{found.what}: every value of every angle is missing")
    highest = max(float(np.abs(v).max()) for v in known)
    swing = max(float(np.ptp(v)) for v in known)
    if unit == "radian" and highest > _MOST_RADIANS:
        raise BadInputError(
            f"{found.what}: in radians ({how}) an angle would reach {highest:.4g}, more than a "
            "full turn; if its numbers are degrees, give units='degree'"
        )
    if unit is not None:
        if unit == "degree" and highest < np.pi and swing > _LEAST_SWING:
            found.warn("small_angles", highest=highest, how=how)
        return unit, how
    if highest > _MOST_RADIANS:
        return "degree", f"range: values up to {highest:.1f}"
    if highest < np.pi and swing > _LEAST_SWING:
        return "radian", f"range: no value exceeds {highest:.2f}"
    raise BadInputError(
        f"{found.what}: does not say whether its angles are in degree or radian, and their range "
        f"(up to {highest:.3g}) does not tell; give units"
    )
