"""Reading lab files: markers and angles from C3D, TRC, MOT, STO and CSV.

A reader only takes apart its format; units, axes, times and names are settled for all of them in
:mod:`mobility.validation.lab_datasets`. Nothing is guessed without being said: how each unit, the
rate and the vertical axis were found stands in the attributes, and what contradicts is an error.
"""

from __future__ import annotations

import csv
import gzip
import math
import os
import re
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mobility.errors import BadInputError, NotFoundError
from mobility.options import checked
from mobility.provenance import sha256
from mobility.validation.lab_datasets import Asked, Found, dataset, unit_of
from mobility.validation.mappings import (
    OURS,
    LabMapping,
    VerticalAxis,
    built_in,
    given_mapping,
    listed,
)

Array = NDArray[np.float64]
MappingLike = LabMapping | Mapping[str, Any] | str | Path
Unit = Literal["m", "cm", "mm", "degree", "radian"]

BY_US = "Angles between segments, by mobility."
"""The line of a header by which a motion that this package wrote is known."""

_GZIP = b"\x1f\x8b"
_C3D_MARK = 0x50
_ROWS_BEFORE = 4  # that show with how many decimals a file is written
_MISSING = frozenset({"", "nan", "na", "n/a", "#n/a", "null", "none", "-", "-nan", "1.#qnan"})
_TIME = frozenset({"time", "times", "t", "temps", "timestamp", "seconds"})
_FRAME = frozenset({"frame", "frames", "frame#", "framenumber", "item", "index"})
_TRIPLET = re.compile(
    r"^(?P<name>.+?)[\s_.:]*(?P<axis>[xyzXYZ])(?:[\s_]*[(\[]?(?P<unit>mm|cm|m)[)\]]?)?$"
)
_NO_PLACE = re.compile(r"angle|force|moment|power|velocity|acceleration|grf", re.IGNORECASE)
_TRC_KEYS = ("DataRate", "NumFrames", "NumMarkers", "Units")
_MODELLED = ("ANGLES", "FORCES", "MOMENTS", "POWERS", "SCALARS", "REACTIONS")


@checked
def read_lab(
    path: str | os.PathLike[str],
    *,
    mapping: MappingLike | None = None,
    units: Unit | None = None,
    vertical_axis: VerticalAxis | None = None,
    rate_hz: float | None = None,
    subject: str | None = None,
) -> xr.Dataset:
    """Read markers or angles from a lab file, whichever of the known formats it has.

    Parameters
    ----------
    path
        C3D, TRC, MOT, STO or CSV, also gzipped; the content decides, then the ending.
    mapping
        What markers and columns are: the name of a built-in mapping, a YAML file, or its content;
        default the built-in one that knows most of the names.
    units
        Unit of the markers (m, cm, mm) or of the angles (degree, radian); goes before what the
        file says. Needed where the file neither says nor shows it.
    vertical_axis
        Axis of the file that points up; default that along the line from the feet to the trunk.
        Give it for people who lie.
    rate_hz
        Frames per second, for files without times, or where header and times contradict.
    subject
        Whose markers to read where a C3D has several people (``SUBJECT:LASI``).

    Returns
    -------
    xarray.Dataset
        Of markers: ``marker_position`` (time, space, marker) in metres, right-handed, y up, NaN in
        gaps. Of angles: a variable for each, (time, side) or (time,), in degrees, with our name and
        sign; attributes ``lab_name``, ``scale``, ``offset`` and ``difference`` (how the lab's
        definition differs from ours). A file may hold both. ``time`` is in seconds, as in the file;
        of a C3D it is the number of the frame over the rate, the first frame being 0. Attributes:
        ``source_file``, ``source_sha256``, ``rate_hz``, ``units_read``, ``angle_units_read``,
        ``vertical_axis`` and, ending in ``_found``, how each was found; ``mapping``;
        ``unmapped_columns``, a JSON list of what no mapping knows.

    Raises
    ------
    NotFoundError
        There is no such file.
    BadInputError
        It is empty, cut off or of another kind; units, rate or axes contradict each other or cannot
        be told; a mapping does not fit.
    """
    where = Path(path)
    content = _content(where)
    reader = _reader(where, content)
    return reader(
        where,
        mapping=mapping,
        units=units,
        vertical_axis=vertical_axis,
        rate_hz=rate_hz,
        **({"subject": subject} if reader is read_c3d else {}),
    )


@checked
def read_c3d(
    path: str | os.PathLike[str],
    *,
    mapping: MappingLike | None = None,
    units: Unit | None = None,
    vertical_axis: VerticalAxis | None = None,
    rate_hz: float | None = None,
    subject: str | None = None,
) -> xr.Dataset:
    """Read a C3D file: markers, modelled angles, and the pose matrices of Theia3D.

    Parameters and result are those of :func:`read_lab`. Points with a negative residual are gaps.
    Modelled angles (``LKneeAngles``) become columns ``LKneeAngles.x``, ``.y``, ``.z``; of pose
    matrices the origins become markers. Forces, moments, powers and analog channels are not read.

    Raises
    ------
    NotFoundError, BadInputError
        As :func:`read_lab`.
    """
    where = Path(path)
    content = _content(where)
    found = _c3d(where, content, subject=subject)
    return _made(where, found, mapping, units, vertical_axis, rate_hz)


@checked
def read_trc(
    path: str | os.PathLike[str],
    *,
    mapping: MappingLike | None = None,
    units: Unit | None = None,
    vertical_axis: VerticalAxis | None = None,
    rate_hz: float | None = None,
) -> xr.Dataset:
    """Read a TRC file of markers; parameters and result are those of :func:`read_lab`.

    Raises
    ------
    NotFoundError, BadInputError
        As :func:`read_lab`.
    """
    where = Path(path)
    found = _trc(where.name, _text(where))
    return _made(where, found, mapping, units, vertical_axis, rate_hz)


@checked
def read_mot(
    path: str | os.PathLike[str],
    *,
    mapping: MappingLike | None = None,
    units: Unit | None = None,
    vertical_axis: VerticalAxis | None = None,
    rate_hz: float | None = None,
) -> xr.Dataset:
    """Read an OpenSim MOT or STO file of angles; parameters and result as of :func:`read_lab`.

    ``inDegrees`` says whether it is in degrees; where it is missing, the range does.

    Raises
    ------
    NotFoundError, BadInputError
        As :func:`read_lab`.
    """
    where = Path(path)
    found = _mot(where.name, _text(where))
    return _made(where, found, mapping, units, vertical_axis, rate_hz)


@checked
def read_csv(
    path: str | os.PathLike[str],
    *,
    mapping: MappingLike | None = None,
    units: Unit | None = None,
    vertical_axis: VerticalAxis | None = None,
    rate_hz: float | None = None,
) -> xr.Dataset:
    """Read a table of markers or angles; parameters and result are those of :func:`read_lab`.

    Separated by commas, semicolons, tabs or blanks, one row a frame, with a header. A marker is
    three columns (``LKNE_x``, ``LKNE_y``, ``LKNE_z``, with a unit behind if wished:
    ``LKNE_x_mm``); every other column may be an angle. Read too are the tables that
    :func:`mobility.validation.export.write_csv` writes, those of Visual3D (five rows of header),
    and tables without a header whose mapping says their ``columns``.

    Raises
    ------
    NotFoundError, BadInputError
        As :func:`read_lab`.
    """
    where = Path(path)
    chosen = given_mapping(mapping) if mapping is not None else None
    found = _csv(where.name, _text(where), chosen)
    return _made(where, found, chosen, units, vertical_axis, rate_hz)


def _made(
    path: Path,
    found: Found,
    mapping: MappingLike | None,
    units: Unit | None,
    vertical_axis: VerticalAxis | None,
    rate_hz: float | None,
) -> xr.Dataset:
    if rate_hz is not None and not (math.isfinite(rate_hz) and rate_hz > 0):
        raise BadInputError(f"{path.name}: rate_hz must be above 0 (got {rate_hz:g})")
    asked = Asked(
        mapping=given_mapping(mapping) if mapping is not None else None,
        units=units,
        vertical_axis=vertical_axis,
        rate_hz=rate_hz,
    )
    source = {"source_file": path.name, "source_sha256": sha256(path)}
    return dataset(found, asked, source=source)


def _reader(path: Path, content: bytes) -> Callable[..., xr.Dataset]:
    """Choose by the content, and by the ending where the content does not tell."""
    if content[1:2] == bytes([_C3D_MARK]) and b"\0" in content[:512]:
        return read_c3d
    start = content[:4096].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith(b"pathfiletype"):
        return read_trc
    if re.search(rb"^\s*endheader", content[:65536], re.MULTILINE | re.IGNORECASE):
        return read_mot
    endings = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
    known = {".c3d": read_c3d, ".trc": read_trc, ".mot": read_mot, ".sto": read_mot}
    return known.get(endings[-1] if endings else "", read_csv)


def _content(path: Path) -> bytes:
    """Bytes of a file, unpacked."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise NotFoundError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise BadInputError(f"{path}: is a folder, not a lab file") from None
    except OSError as error:
        raise BadInputError(f"{path}: cannot be read ({error.strerror})") from None
    if content.startswith(_GZIP):
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error):
            raise BadInputError(f"{path.name}: is gzipped, but damaged or cut off") from None
    if not content.strip(b"\0 \t\r\n"):
        raise BadInputError(f"{path.name}: is empty")
    return content


def _text(path: Path) -> list[str]:
    """Lines of a text file."""
    content = _content(path)
    if b"\0" in content:
        raise BadInputError(f"{path.name}: is not a text file")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        # Labels of Windows programs; any byte is a character there, so that noise must show itself.
        text = content.decode("latin-1")
        if sum(not c.isprintable() and not c.isspace() for c in text[:4096]) > 8:
            raise BadInputError(f"{path.name}: is not a text file") from None
    lines = text.splitlines()
    if not text.endswith(("\n", "\r")) and _last_value_is_cut(lines):
        raise BadInputError(
            f"{path.name}: line {len(lines)}: the file was cut off in its last value"
        )
    return lines


def _last_value_is_cut(lines: Sequence[str]) -> bool:
    """Whether all rows before end in as many decimals, and the last in fewer."""
    ends = [re.search(r"\d*(?:[.,](\d*))?\s*$", line) for line in lines[-_ROWS_BEFORE - 1 :]]
    decimals = [len(end[1] or "") if end else 0 for end in ends]
    before = decimals[:-1]
    return len(before) == _ROWS_BEFORE and len(set(before)) == 1 and decimals[-1] < before[0]


def _number(cell: str, *, what: str, line: int) -> float:
    """Value of a cell; NaN where it says that nothing is there."""
    text = cell.strip()
    try:
        value = float(text)
    except ValueError:
        if text.casefold() in _MISSING:
            return math.nan
        raise BadInputError(f"{what}: line {line}: '{text[:40]}' is not a number") from None
    return value if math.isfinite(value) else math.nan


def _table(rows: Sequence[tuple[int, Sequence[str]]], width: int, *, what: str) -> Array:
    """Numbers of the rows, each with its line number; all must have `width` cells."""
    for line, cells in rows:
        if len(cells) < width:
            last = " (the last: the file was cut off)" if line == rows[-1][0] else ""
            raise BadInputError(
                f"{what}: line {line}{last} has {len(cells)} of {width} values; write the file anew"
            )
        if any(cell.strip() for cell in cells[width:]):
            raise BadInputError(
                f"{what}: line {line} has more than the {width} values of the header"
            )
    values = [[_number(cell, what=what, line=n) for cell in cells[:width]] for n, cells in rows]
    return np.array(values, dtype=np.float64).reshape(len(values), width)


def _unique(names: Sequence[str], *, what: str, kind: str) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise BadInputError(f"{what}: has the {kind} {listed(twice)} more than once; rename them")


def _trc(what: str, lines: list[str]) -> Found:
    if len(lines) < 5 or not lines[0].lower().startswith("pathfiletype"):
        raise BadInputError(
            f"{what}: is no TRC file: it must begin with five lines of header, the first with "
            "PathFileType"
        )
    keys, values = lines[1].split(), lines[2].split()
    header = dict(zip(keys, values, strict=False))
    absent = [key for key in _TRC_KEYS if key not in header]
    if absent:
        raise BadInputError(f"{what}: its header lacks {', '.join(absent)}; the header was cut off")
    try:
        rate = float(header["DataRate"])
        frames, count = int(float(header["NumFrames"])), int(float(header["NumMarkers"]))
    except ValueError:
        raise BadInputError(
            f"{what}: line 3: DataRate, NumFrames and NumMarkers must be numbers"
        ) from None
    names = [name.strip() for name in lines[3].split("\t")[2:]]
    markers = [name for name in names if name]
    if len(markers) != count:
        raise BadInputError(
            f"{what}: its header says {count} markers and names {len(markers)}; correct line 3 or 4"
        )
    if names[: 3 * count : 3] != markers:
        raise BadInputError(f"{what}: line 4: each marker must stand over three columns (two tabs)")
    _unique(markers, what=what, kind="markers")
    rows = [
        (number, line.split("\t")) for number, line in enumerate(lines[5:], start=6) if line.strip()
    ]
    if not rows:
        raise BadInputError(f"{what}: has a header but no frames")
    table = _table(rows, 2 + 3 * count, what=what)
    if len(table) != frames:
        raise BadInputError(
            f"{what}: its header says {frames} frames, it has {len(table)}; the file was cut "
            "off or its header is wrong"
        )
    positions = table[:, 2:].reshape(len(table), count, 3)
    return Found(
        what=what,
        file_format="TRC",
        time=table[:, 1],
        stated_rate=rate if rate > 0 else None,
        markers=markers,
        marker_values=_whole(positions),
        length_unit=unit_of(header["Units"], what=what, kind="length"),
    )


def _whole(positions: Array) -> Array:
    """Positions of which a coordinate is missing are missing."""
    return np.where(np.isnan(positions).any(axis=-1, keepdims=True), np.nan, positions)


def _mot(what: str, lines: list[str]) -> Found:
    ends = [i for i, line in enumerate(lines) if line.strip().lower() == "endheader"]
    if not ends:
        raise BadInputError(f"{what}: is no MOT or STO file: its header has no line 'endheader'")
    header = {}
    for line in lines[: ends[0]]:
        stated = re.match(r"^\s*(\w+)\s*(?:=|\s)\s*(\S+)\s*$", line)
        if stated:
            header[stated[1].lower()] = stated[2]
    body = [(n, line) for n, line in enumerate(lines[ends[0] + 1 :], ends[0] + 2) if line.strip()]
    if not body:
        raise BadInputError(f"{what}: ends after its header; the file was cut off")
    names = body[0][1].split("\t") if "\t" in body[0][1] else body[0][1].split()
    names = [name.strip() for name in names if name.strip()]
    if not names or names[0].lower() != "time":
        raise BadInputError(f"{what}: its first column must be 'time' (got {listed(names[:1])})")
    _unique(names, what=what, kind="columns")
    stated_columns = header.get("ncolumns", header.get("datacolumns"))
    if stated_columns is not None and stated_columns != str(len(names)):
        raise BadInputError(
            f"{what}: its header says {stated_columns} columns and names {len(names)}"
        )
    rows = [(number, line.split()) for number, line in body[1:]]
    if not rows:
        raise BadInputError(f"{what}: has a header but no frames")
    table = _table(rows, len(names), what=what)
    stated_rows = header.get("nrows", header.get("datarows"))
    if stated_rows is not None and stated_rows != str(len(table)):
        raise BadInputError(
            f"{what}: its header says {stated_rows} rows, it has {len(table)}; the file was cut "
            "off or its header is wrong"
        )
    said = header.get("indegrees", "").lower()
    if said not in ("", "yes", "no"):
        raise BadInputError(f"{what}: inDegrees must be yes or no (got {said})")
    return Found(
        what=what,
        file_format="STO" if what.lower().removesuffix(".gz").endswith(".sto") else "MOT",
        time=table[:, 0],
        columns={name: table[:, i] for i, name in enumerate(names) if i},
        angle_unit={"yes": "degree", "no": "radian"}.get(said),
        mapping=OURS if any(line.startswith(BY_US) for line in lines[: ends[0]]) else None,
        notes={"inDegrees": said or "not said"},
    )


def _csv(what: str, lines: list[str], mapping: LabMapping | None) -> Found:
    kept = [(n, line) for n, line in enumerate(lines, start=1) if line.strip()]
    if len(kept) > 5 and kept[4][1].split("\t")[0].strip().upper() in ("ITEM", "TIME"):
        return _visual3d(what, kept)
    separator = max("\t;,", key=kept[0][1].count)
    if separator not in kept[0][1]:
        rows = [(n, line.split()) for n, line in kept]
    else:
        cells = csv.reader([line for _, line in kept], delimiter=separator)
        rows = [(n, row) for (n, _), row in zip(kept, cells, strict=True)]
    if separator == ";":  # with it, commas are those of decimals
        rows = [rows[0], *((n, [c.replace(",", ".") for c in cells]) for n, cells in rows[1:])]
    if all(_is_number(cell) for cell in rows[0][1]):
        return _without_header(what, rows, mapping)
    header = [name.strip() for name in rows[0][1]]
    while header and not header[-1]:
        header.pop()
    if len(rows) < 2:
        raise BadInputError(f"{what}: has a header but no frames")
    lowered = [name.lower() for name in header]
    if lowered[:5] == ["time", "keypoint", "x_m", "y_m", "z_m"]:
        return _tidy_pose(what, rows[1:], len(header))
    if lowered[:4] == ["time", "angle", "side", "value_deg"]:
        return _tidy_angles(what, rows[1:], len(header))
    _unique([name for name in header if name], what=what, kind="columns")
    table = _table(rows[1:], len(header), what=what)
    return _wide(what, header, table)


def _is_number(cell: str) -> bool:
    try:
        float(cell.strip())
    except ValueError:
        return False
    return True


def _wide(what: str, header: Sequence[str], table: Array) -> Found:
    """One row a frame: times, markers in three columns each, and other columns."""
    columns = {name: table[:, i] for i, name in enumerate(header) if name}
    found = Found(what=what, file_format="CSV")
    for name in list(columns):
        base, unit = _split_unit(name)
        if base in _TIME and found.time is None:
            found.time = columns.pop(name) * (0.001 if unit == "ms" else 1.0)
        elif base in _FRAME:
            numbers = columns.pop(name)
            found.frames = numbers - numbers[0]
    if found.time is None and found.frames is None:
        found.frames = np.arange(len(table), dtype=np.float64)
    places: dict[str, dict[str, str]] = {}
    units: set[str] = set()
    for name in columns:
        if (fits := _TRIPLET.match(name)) and not _NO_PLACE.search(fits["name"]):
            places.setdefault(fits["name"], {})[fits["axis"].lower()] = name
            units |= {fits["unit"]} if fits["unit"] else set()
    whole = {name: axes for name, axes in places.items() if len(axes) == 3}
    if whole:
        found.markers = list(whole)
        found.marker_values = _whole(
            np.stack(
                [np.stack([columns[axes[a]] for a in "xyz"], axis=-1) for axes in whole.values()],
                axis=1,
            )
        )
        if len(units) > 1:
            raise BadInputError(f"{what}: its markers are in {' and '.join(sorted(units))}")
        found.length_unit = units.pop() if units else None
    taken = {name for axes in whole.values() for name in axes.values()}
    found.columns = {name: values for name, values in columns.items() if name not in taken}
    return found


def _split_unit(name: str) -> tuple[str, str]:
    """Name of a column of times without its unit, and the unit."""
    stated = re.match(r"^(.*?)[\s_]*(?:\(|\[|(?<=[_\s]))(s|sec|ms)[)\]]?$", name.strip().lower())
    if stated and stated[1]:
        return stated[1].replace(" ", ""), stated[2]
    return name.strip().lower().replace(" ", "").replace("_", ""), ""


def _without_header(
    what: str, rows: list[tuple[int, list[str]]], mapping: LabMapping | None
) -> Found:
    if mapping is None or mapping.columns is None:
        raise BadInputError(
            f"{what}: has no header; give a mapping that says its columns (built in: "
            "uiprmd_positions, uiprmd_angles)"
        )
    width = len(rows[0][1])
    table = _table(rows, width, what=what)
    frames = np.arange(len(table), dtype=np.float64)
    found = Found(what=what, file_format="CSV", frames=frames)
    names = mapping.columns
    if isinstance(names, int):
        if names != width:
            raise BadInputError(f"{what}: has {width} columns, mapping {mapping.name} says {names}")
        found.columns = {str(i): table[:, i] for i in range(width)}
    elif width == 3 * len(names):
        found.markers = list(names)
        found.marker_values = _whole(table.reshape(len(table), len(names), 3))
    elif width == len(names):
        return _wide(what, names, table)
    else:
        raise BadInputError(
            f"{what}: has {width} columns; mapping {mapping.name} names {len(names)}, or three "
            "times as many for markers"
        )
    return found


def _tidy_pose(what: str, rows: Sequence[tuple[int, Sequence[str]]], width: int) -> Found:
    """Read a row for each time and keypoint, as write_csv makes them."""
    keypoints = [cells[1].strip() if len(cells) > 1 else "" for _, cells in rows]
    numbers = _table([(n, [c[0], *c[2:]]) for n, c in rows], width - 1, what=what)
    time, where = np.unique(numbers[:, 0], return_inverse=True)
    names = list(dict.fromkeys(keypoints))
    places = np.array([names.index(name) for name in keypoints])
    _once(where * len(names) + places, rows, what=what)
    values = np.full((len(time), len(names), 3), np.nan)
    values[where, places] = numbers[:, 1:4]
    return Found(
        what=what,
        file_format="CSV",
        time=time,
        markers=names,
        marker_values=_whole(values),
        length_unit="m",
        vertical_axis="y",
    )


def _tidy_angles(what: str, rows: Sequence[tuple[int, Sequence[str]]], width: int) -> Found:
    """Read a row for each time, angle and side, as write_csv makes them."""
    keys = [(*(cell.strip() for cell in cells[1:3]), "", "")[:2] for _, cells in rows]
    numbers = _table([(n, [c[0], *c[3:]]) for n, c in rows], width - 2, what=what)
    time, where = np.unique(numbers[:, 0], return_inverse=True)
    names = list(dict.fromkeys(keys))
    places = np.array([names.index(key) for key in keys])
    _once(where * len(names) + places, rows, what=what)
    values = np.full((len(names), len(time)), np.nan)
    values[places, where] = numbers[:, 1]
    ours = built_in()[OURS].angles
    columns: dict[str, Array] = {}
    for (angle, side), course in zip(names, values, strict=True):
        entry = ours.get(angle)
        named = entry.named().get(side or "column") if entry is not None else None
        if entry is None or named is None:
            raise BadInputError(f"{what}: there is no angle '{angle}' of side '{side}'")
        columns[named[0]] = entry.scale * course  # 1 or -1
    return Found(
        what=what, file_format="CSV", time=time, columns=columns, angle_unit="degree", mapping=OURS
    )


def _once(keys: NDArray[np.int64], rows: Sequence[tuple[int, Sequence[str]]], *, what: str) -> None:
    _, first = np.unique(keys, return_index=True)
    if first.size < keys.size:
        again = sorted(set(range(keys.size)) - set(first.tolist()))[0]
        raise BadInputError(f"{what}: line {rows[again][0]} gives a value a second time")


def _visual3d(what: str, kept: Sequence[tuple[int, str]]) -> Found:
    """Visual3D's table: names in the second row, components in the fifth, tabs between."""
    names, components = kept[1][1].split("\t"), kept[4][1].split("\t")
    while components and not components[-1].strip():
        components.pop()
    header = [components[0].strip()]
    for i, component in enumerate(components[1:], start=1):
        signal = names[i].strip() if i < len(names) else ""
        header.append(f"{signal}.{component.strip()}" if component.strip() != "0" else signal)
    _unique(header, what=what, kind="columns")
    rows = [(n, line.split("\t")) for n, line in kept[5:]]
    if not rows:
        raise BadInputError(f"{what}: has a header but no frames")
    found = _wide(what, header, _table(rows, len(header), what=what))
    found.notes["layout"] = "Visual3D"
    return found


def _c3d(path: Path, content: bytes, *, subject: str | None) -> Found:
    what = path.name
    if len(content) < 512 or content[1] != _C3D_MARK:
        raise BadInputError(f"{what}: is no C3D file, or only the beginning of one")
    file = _c3d_opened(path, content)
    groups = file["parameters"]
    points, residuals = file["data"]["points"], file["data"]["meta_points"]["residuals"]
    rotations = file["data"]["rotations"]
    rate = float(_value(groups, "POINT", "RATE", [0.0])[0])
    header_rate = float(file["header"]["points"]["frame_rate"])
    first = int(file["header"]["points"]["first_frame"])
    _c3d_is_whole(what, content, groups, max(points.shape[2], rotations.shape[3]))
    found = Found(what=what, file_format="C3D")
    if rate > 0 and header_rate > 0 and abs(header_rate / rate - 1) > 0.01:
        raise BadInputError(
            f"{what}: its header says {header_rate:g} frames/s, POINT:RATE {rate:g}; correct it"
        )
    rate = rate or header_rate
    labels = _c3d_labels(groups, points.shape[1])
    labels, chosen = _of_subject(what, labels, subject)
    values = points[:3, chosen].transpose(2, 1, 0).astype(np.float64)
    residuals = residuals[0, chosen].T
    values = np.where((residuals < 0)[..., None], np.nan, values)
    modelled = {kind: _modelled(groups, kind) for kind in _MODELLED}
    for i, label in enumerate(labels):
        kind = next((k for k, names in modelled.items() if label in names), None)
        bare = label.rpartition(":")[2]
        if kind is None and re.search(r"(Force|Moment|Power|GRF)s?$", bare):
            continue
        if kind == "ANGLES" or (kind is None and bare.endswith("Angles")):
            found.columns |= {f"{label}.{a}": values[:, i, j] for j, a in enumerate("xyz")}
        elif kind is None:
            found.markers.append(label)
    places = [labels.index(name) for name in found.markers]
    found.marker_values = _whole(values[:, places])
    unit = str(_value(groups, "POINT", "UNITS", [""])[0])
    if rotations.shape[2]:
        _add_origins(found, groups, rotations)
        unit = str(_value(groups, "ROTATION", "UNITS", [unit])[0])
        rate = rate or float(_value(groups, "ROTATION", "RATE", [0.0])[0])
    if not found.markers and not found.columns:
        raise BadInputError(f"{what}: has neither markers nor angles nor pose matrices")
    if not rate > 0:
        found.notes["rate"] = "not said"
    found.stated_rate = rate if rate > 0 else None
    found.frames = first + np.arange(max(len(found.marker_values), points.shape[2]), dtype=float)
    found.length_unit = unit_of(unit, what=what, kind="length") if found.markers else None
    if found.columns:
        told = str(_value(groups, "POINT", "ANGLE_UNITS", [""])[0])
        found.angle_unit = unit_of(told, what=what, kind="angle")
    screen = str(_value(groups, "POINT", "Y_SCREEN", [""])[0]).strip().lower().removeprefix("+")
    found.vertical_axis = screen if re.fullmatch(r"-?[xyz]", screen) else None
    found.notes |= {"first_frame": first, "ezc3d": version("ezc3d")}
    return found


def _c3d_opened(path: Path, content: bytes) -> Any:
    import tempfile

    import ezc3d

    source = path
    unpacked = None
    if path.suffix.lower() == ".gz":
        unpacked = tempfile.NamedTemporaryFile(suffix=".c3d")  # noqa: SIM115 - closed below
        unpacked.write(content)
        unpacked.flush()
        source = Path(unpacked.name)
    try:
        return ezc3d.c3d(str(source))
    except (OSError, RuntimeError, ValueError, IndexError, KeyError, MemoryError) as error:
        reason = str(error).removesuffix(": iostream error").partition("\n")[0]
        raise BadInputError(
            f"{path.name}: cannot be read as C3D, it is damaged or cut off ({reason})"
        ) from None
    finally:
        if unpacked is not None:
            unpacked.close()


def _c3d_is_whole(what: str, content: bytes, groups: Any, frames: int) -> None:
    """Raise if there are fewer frames than the header promises; ezc3d leaves them out silently."""
    first, last = struct.unpack("<HH", content[6:10])
    # Processor 84 is Intel's; of the others the bytes of a word may be the other way round.
    start = 512 * (content[0] - 1)
    if len(content) > start + 3 and content[start + 3] == 86:
        first, last = struct.unpack(">HH", content[6:10])
    promised = last - first + 1
    if last >= 65535:  # more frames than the header can count
        promised = int(float(_value(groups, "POINT", "FRAMES", [frames])[0])) % 65536
        if promised in (0, 65535):
            return
    if frames < promised:
        raise BadInputError(
            f"{what}: its header says {promised} frames, it has {frames}; the file was cut off"
        )


def _value(groups: Any, group: str, name: str, default: Any) -> Any:
    """Value of a parameter of a C3D, `default` where it is absent or empty."""
    entry = groups[group] if group in groups else {}  # noqa: SIM401 - ezc3d's own mapping
    value = entry[name]["value"] if name in entry else default
    return value if len(value) else default


def _c3d_labels(groups: Any, count: int) -> list[str]:
    labels: list[str] = []
    for i in range(1, 20):  # LABELS, LABELS2, ... of 255 each
        labels += [
            str(x).strip() for x in _value(groups, "POINT", f"LABELS{i if i > 1 else ''}", [])
        ]
    labels = labels[:count]
    labels += [""] * (count - len(labels))
    return [label or f"unlabelled_{i + 1}" for i, label in enumerate(labels)]


def _modelled(groups: Any, kind: str) -> set[str]:
    return {str(name).strip() for name in _value(groups, "POINT", kind, []) if str(name).strip()}


def _of_subject(what: str, labels: list[str], subject: str | None) -> tuple[list[str], list[int]]:
    """Labels of one person and where they are."""
    people = sorted({label.partition(":")[0] for label in labels if ":" in label})
    if subject is not None and subject not in people:
        raise BadInputError(f"{what}: has no subject '{subject}'; it has {listed(people)}")
    if subject is None:
        bare = [label.rpartition(":")[2] for label in labels]
        twice = {name for name in bare if bare.count(name) > 1}
        if twice and len(people) > 1:
            raise BadInputError(
                f"{what}: has several people ({listed(people)}); say with subject whom to read"
            )
    chosen = [
        i
        for i, label in enumerate(labels)
        if subject is None or ":" not in label or label.partition(":")[0] == subject
    ]
    kept = [labels[i] for i in chosen]
    _unique(kept, what=what, kind="points")
    return kept, chosen


def _add_origins(found: Found, groups: Any, rotations: Array) -> None:
    """Add the origins of pose matrices as markers."""
    names = [str(x).strip() for x in _value(groups, "ROTATION", "LABELS", [])]
    origins = rotations[:3, 3].transpose(2, 1, 0).astype(np.float64)[:, : len(names)]
    if found.markers and len(found.marker_values) != len(origins):
        raise BadInputError(
            f"{found.what}: has {len(found.marker_values)} frames of markers and {len(origins)} of "
            "pose matrices; export them at one rate"
        )
    before = found.marker_values if found.markers else np.empty((len(origins), 0, 3))
    found.markers = [*found.markers, *names]
    found.marker_values = np.concatenate([before, _whole(origins)], axis=1)
    _unique(found.markers, what=found.what, kind="points")
