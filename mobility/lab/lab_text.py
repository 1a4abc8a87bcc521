"""Parsing of the text formats of labs: TRC, MOT and STO, and tables (CSV)."""

from __future__ import annotations

import codecs
import csv
import math
import re
from collections.abc import Sequence
from typing import Literal

import numpy as np

from mobility.base.formatting import shortened
from mobility.errors import BadInputError
from mobility.kinematics.skeleton import Array
from mobility.lab.lab_datasets import (
    LabFile,
    complete_positions,
    no_angles,
    require_unique,
    unit_of,
)
from mobility.lab.lab_mappings import (
    OURS,
    LabMapping,
    built_in,
    other_content_of_column,
    other_content_of_header,
)

Row = tuple[int, str]
"""Number of a line, from 1, and its text, which is split only when it is needed."""

BY_US = "Angles between segments, by mobility."
"""Line in the header of a motion that this package wrote."""

_ROWS_BEFORE = 4  # rows before the last, to see with how many decimals a file is written
_MISSING = frozenset(
    {
        *("", "nan", "na", "n/a", "#n/a", "null", "none", "-", "-nan"),
        # NaN as written by programs on Windows, such as OpenSim.
        *("1.#qnan", "-1.#qnan", "1.#ind", "-1.#ind", "nan(ind)", "-nan(ind)", "nan(snan)"),
    }
)
_TIME = frozenset({"time", "times", "t", "temps", "timestamp", "seconds"})
_FRAME = frozenset({"frame", "frames", "frame#", "framenumber", "item", "index"})
_TRIPLET = re.compile(
    r"^(?P<name>.+?)[\s_.:]*(?P<axis>[xyzXYZ])(?:[\s_]*[(\[]?(?P<unit>mm|cm|m)[)\]]?)?$"
)
_SECTIONS = frozenset({"trajectories", "model outputs", "joints", "segments", "devices"})
_TRC_KEYS = ("DataRate", "NumFrames", "NumMarkers", "Units")


def text_lines(what: str, content: bytes) -> list[str]:
    """Split a text file into its lines, and turn the separator of cells into tabs."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):  # text of a spreadsheet
        content = content.decode("utf-16", errors="replace").encode()
    if b"\0" in content:
        raise BadInputError(f"{what}: is not a text file")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        # Windows encoding: any byte is a character there, so unprintable ones are counted.
        text = content.decode("latin-1")
        if sum(not c.isprintable() and not c.isspace() for c in text[:4096]) > 8:
            raise BadInputError(f"{what}: is not a text file") from None
    lines = text.splitlines()
    # Find the separator in the last rows, which have only numbers; a header may have any
    # character.
    # Commas beside another separator, which may be blanks, are decimal commas.
    rows = "\n".join([line for line in lines if line.strip()][-_ROWS_BEFORE - 1 :])
    separator = next((sign for sign in "\t;," if sign in rows), None)
    if separator is not None and not (separator == "," and re.search(r"\d +-?\d", rows)):
        lines = [_with_tabs(what, line, separator) for line in lines]
    if not text.endswith(("\n", "\r")) and _last_value_is_cut(lines):
        raise BadInputError(
            f"{what}: line {len(lines)}: the file is cut off in its last value; export it again"
        )
    return lines


def _with_tabs(what: str, line: str, separator: str) -> str:
    try:
        cells = next(csv.reader([line], delimiter=separator), [])
    except csv.Error:  # the only possible error in one line is a cell without an end
        raise BadInputError(
            f"{what}: the line that begins with '{line[:40]}' has a cell of more than "
            f"{csv.field_size_limit()} characters; a quotation mark may be missing there"
        ) from None
    return "\t".join(cell.replace("\t", " ") for cell in cells)


def _last_value_is_cut(lines: Sequence[str]) -> bool:
    """Return whether the last row has fewer decimals than all earlier rows have."""
    ends = [re.search(r"\d*(?:[.,](\d*))?\s*$", line) for line in lines[-_ROWS_BEFORE - 1 :]]
    decimals = [len(end[1] or "") if end else 0 for end in ends]
    before = decimals[:-1]
    if len(before) < _ROWS_BEFORE or len(set(before)) > 1:
        return False
    # A single tab at the end announces a value; a missing marker leaves several.
    ends_in_tab = [re.search(r"[^\t]\t$", line) is not None for line in lines[-2:]]
    return decimals[-1] < before[0] or ends_in_tab == [False, True]


def _cells(line: str) -> list[str]:
    return line.split("\t") if "\t" in line else line.split()


def trc(what: str, lines: list[str]) -> LabFile:
    """Parse a TRC file, which messages call `what`."""
    if len(lines) < 5 or not lines[0].lower().startswith("pathfiletype"):
        raise BadInputError(
            f"{what}: is not a TRC file; it must begin with five header lines, the first with "
            "PathFileType"
        )
    keys, values = lines[1].split(), lines[2].replace(",", ".").split()
    header = dict(zip(keys, values, strict=False))
    absent = [key for key in _TRC_KEYS if key not in header]
    if absent:
        raise BadInputError(
            f"{what}: its header lacks {', '.join(absent)}; add these names to line 2, and a value "
            "for each to line 3"
        )
    try:
        rate = float(header["DataRate"])
        frames, count = int(float(header["NumFrames"])), int(float(header["NumMarkers"]))
    except (ValueError, OverflowError):  # an infinite number of frames overflows
        raise BadInputError(
            f"{what}: line 3: DataRate, NumFrames and NumMarkers must be numbers"
        ) from None
    # Each name is over three columns; programs differ in the number of tabs between them.
    markers = [name.strip() for name in lines[3].split("\t")[2:] if name.strip()]
    if len(markers) != count:
        raise BadInputError(
            f"{what}: its header states {count} markers, but has {len(markers)} names; correct "
            "line 3 or 4"
        )
    require_unique(markers, what=what, kind="markers")
    rows = [(n, line) for n, line in enumerate(lines[5:], start=6) if line.strip()]
    table = _numbers(rows, 2 + 3 * count, what=what)
    if len(table) != frames:
        raise BadInputError(
            f"{what}: its header states {frames} frames, but the file has {len(table)}; correct "
            "the header or export the file again"
        )
    positions = table[:, 2:].reshape(len(table), count, 3)
    return LabFile(
        what=what,
        file_format="TRC",
        time=table[:, 1],
        stated_rate=rate if rate > 0 else None,
        markers=markers,
        marker_values=complete_positions(positions),
        length_unit=unit_of(header["Units"], what=what, kind="length"),
    )


def mot(what: str, lines: list[str]) -> LabFile:
    """Parse a MOT or STO file with angles, which messages call `what`."""
    head = _head_of_motion(what, lines)
    other_content = other_content_of_header(line.strip() for line in head)
    if other_content is not None:
        raise no_angles([other_content], what=what)
    time, columns = motion_columns(what, lines)
    in_degrees = _values_of_head(head).get("indegrees", "").lower()
    if in_degrees not in ("", "yes", "no"):
        raise BadInputError(f"{what}: inDegrees must be yes or no (got {in_degrees})")
    return LabFile(
        what=what,
        file_format="STO" if what.lower().removesuffix(".gz").endswith(".sto") else "MOT",
        time=time,
        columns=columns,
        angle_unit={"yes": "degree", "no": "radian"}.get(in_degrees),
        mapping=OURS if any(line.startswith(BY_US) for line in head) else None,
        notes={"inDegrees": in_degrees or "not said"},
    )


def motion_columns(what: str, lines: Sequence[str]) -> tuple[Array, dict[str, Array]]:
    """Return the times of a MOT or STO file and its other columns, (time,), by name."""
    head = _head_of_motion(what, lines)
    stated = _values_of_head(head)
    first = len(head) + 1
    body = [(n, line) for n, line in enumerate(lines[first:], first + 1) if line.strip()]
    if not body:
        raise BadInputError(f"{what}: ends after its header; export it again")
    names = [name.strip() for name in _cells(body[0][1]) if name.strip()]
    if not names or names[0].lower() != "time":
        raise BadInputError(f"{what}: its first column must be 'time' (got {shortened(names[:1])})")
    require_unique(names, what=what, kind="columns")
    stated_columns = stated.get("ncolumns", stated.get("datacolumns"))
    if stated_columns is not None and stated_columns != str(len(names)):
        raise BadInputError(
            f"{what}: its header states {stated_columns} columns, but has {len(names)} names; "
            "correct it"
        )
    rows = [(n, line.lstrip()) for n, line in body[1:]]
    table = _numbers(rows, len(names), what=what)
    stated_rows = stated.get("nrows", stated.get("datarows"))
    if stated_rows is not None and stated_rows != str(len(table)):
        raise BadInputError(
            f"{what}: its header states {stated_rows} rows, but the file has {len(table)}; "
            "correct the header or export the file again"
        )
    return table[:, 0], {name: table[:, i] for i, name in enumerate(names) if i}


def _head_of_motion(what: str, lines: Sequence[str]) -> list[str]:
    """Return the lines of a MOT or STO file before 'endheader'."""
    ends = [i for i, line in enumerate(lines) if line.strip().lower() == "endheader"]
    if not ends:
        raise BadInputError(f"{what}: is not a MOT or STO file; its header has no line 'endheader'")
    return list(lines[: ends[0]])


def _values_of_head(head: Sequence[str]) -> dict[str, str]:
    """Return the values that a header states, by name in lower case."""
    matches = (re.match(r"^\s*(\w+)\s*(?:=|\s)\s*(\S+)\s*$", line) for line in head)
    return {match[1].lower(): match[2] for match in matches if match}


def table(what: str, lines: list[str], mapping: LabMapping | None) -> LabFile:
    """Parse a table, which messages call `what`; `mapping` may name its columns."""
    numbered = [(n, line) for n, line in enumerate(lines, start=1) if line.strip()]
    if len(numbered) > 5 and numbered[4][1].split("\t")[0].strip().upper() in ("ITEM", "TIME"):
        return _visual3d(what, numbered)
    if numbered[0][1].strip().lower() in _SECTIONS:
        return _nexus(what, lines)
    first = _cells(numbered[0][1])
    if all(_is_number(cell) for cell in first):
        return _without_header(what, numbered, mapping)
    header = [name.strip() for name in first]
    while header and not header[-1]:
        header.pop()
    rows = numbered[1:]
    if not rows:
        raise BadInputError(f"{what}: has a header but no frames; export it again")
    if not any(map(_is_number, _cells(rows[0][1]))):
        raise BadInputError(
            f"{what}: is not a table; line {rows[0][0]} has no number under the names of line "
            f"{numbered[0][0]}"
        )
    lowered = [name.lower() for name in header]
    if lowered[:5] == ["time", "keypoint", "x_m", "y_m", "z_m"]:
        return _tidy_pose(what, rows, len(header))
    if lowered[:4] == ["time", "angle", "side", "value_deg"]:
        return _tidy_angles(what, rows, len(header))
    require_unique([name for name in header if name], what=what, kind="columns")
    return _wide(what, header, _numbers(rows, len(header), what=what))


def _is_number(cell: str) -> bool:
    try:
        float(cell.replace(",", "."))
    except ValueError:
        return False
    return True


def _wide(what: str, header: Sequence[str], table: Array) -> LabFile:
    """Parse a table with one row per frame: times, markers in three columns each, other columns."""
    columns = {name: table[:, i] for i, name in enumerate(header) if name}
    file = LabFile(what=what, file_format="CSV")
    for name in list(columns):
        base, unit = _split_unit(name)
        if base in _TIME and file.time is None:
            file.time = columns.pop(name) * (0.001 if unit == "ms" else 1.0)
        elif base in _FRAME:
            numbers = columns.pop(name)
            file.frames = numbers - numbers[0]
    if file.time is None and file.frames is None:
        file.frames = np.arange(len(table), dtype=np.float64)
    axes_of_marker: dict[str, dict[str, str]] = {}
    units: set[str] = set()
    for name in columns:
        match = _TRIPLET.match(name)
        if match and "angle" not in name.lower() and other_content_of_column(name) is None:
            axes_of_marker.setdefault(match["name"], {})[match["axis"].lower()] = name
            units |= {match["unit"]} if match["unit"] else set()
    complete = {name: axes for name, axes in axes_of_marker.items() if len(axes) == 3}
    if complete:
        file.markers = list(complete)
        file.marker_values = complete_positions(
            np.stack(
                [
                    np.stack([columns[axes[a]] for a in "xyz"], axis=-1)
                    for axes in complete.values()
                ],
                axis=1,
            )
        )
        if len(units) > 1:
            raise BadInputError(
                f"{what}: its markers are in {' and '.join(sorted(units))}; use one unit"
            )
        file.length_unit = units.pop() if units else None
    marker_columns = {name for axes in complete.values() for name in axes.values()}
    file.columns = {name: values for name, values in columns.items() if name not in marker_columns}
    return file


def _split_unit(name: str) -> tuple[str, str]:
    """Split the name of a column of times into name and unit."""
    match = re.match(r"^(.*?)[\s_]*(?:\(|\[|(?<=[_\s]))(s|sec|ms)[)\]]?$", name.strip().lower())
    if match and match[1]:
        return match[1].replace(" ", ""), match[2]
    return name.strip().lower().replace(" ", "").replace("_", ""), ""


def _without_header(what: str, rows: Sequence[Row], mapping: LabMapping | None) -> LabFile:
    if mapping is None or mapping.columns is None:
        raise BadInputError(
            f"{what}: has no header; pass a mapping with its columns (built in: "
            "uiprmd_positions, uiprmd_angles)"
        )
    width = len(_cells(rows[0][1]))
    table = _numbers(rows, width, what=what)
    frames = np.arange(len(table), dtype=np.float64)
    file = LabFile(what=what, file_format="CSV", frames=frames)
    names = mapping.columns
    if isinstance(names, int):
        if names != width:
            raise BadInputError(
                f"{what}: has {width} columns, but mapping {mapping.name} names {names}"
            )
        file.columns = {str(i): table[:, i] for i in range(width)}
    elif width == 3 * len(names):
        file.markers = list(names)
        file.marker_values = complete_positions(table.reshape(len(table), len(names), 3))
    elif width == len(names):
        return _wide(what, names, table)
    else:
        raise BadInputError(
            f"{what}: has {width} columns; mapping {mapping.name} names {len(names)}, or three "
            "times as many for markers"
        )
    return file


def _tidy_pose(what: str, rows: Sequence[Row], width: int) -> LabFile:
    """Parse a table of write_csv with a row for each time and keypoint."""
    time, names, values = _pivot_by_time(what, rows, width, named_by=1)
    return LabFile(
        what=what,
        file_format="CSV",
        time=time,
        markers=[keypoint for (keypoint,) in names],
        marker_values=complete_positions(values[..., :3]),
        length_unit="m",
        vertical_axis="y",
    )


def _tidy_angles(what: str, rows: Sequence[Row], width: int) -> LabFile:
    """Parse a table of write_csv with a row for each time, angle and side."""
    time, names, values = _pivot_by_time(what, rows, width, named_by=2)
    our_columns = built_in()[OURS].angles
    columns: dict[str, Array] = {}
    for i, (angle, side) in enumerate(names):
        entry = our_columns.get(angle)
        column = entry.named().get(side or "column") if entry is not None else None
        if entry is None or column is None:
            raise BadInputError(f"{what}: there is no angle '{angle}' of side '{side}'")
        columns[column[0]] = entry.scale * values[:, i, 0]  # 1 or -1
    return LabFile(
        what=what, file_format="CSV", time=time, columns=columns, angle_unit="degree", mapping=OURS
    )


def _pivot_by_time(
    what: str, rows: Sequence[Row], width: int, *, named_by: int
) -> tuple[Array, list[tuple[str, ...]], Array]:
    """Pivot rows of a time, a name of `named_by` cells and values to (time, name, value)."""
    end = 1 + named_by
    numbers = _numbers(rows, width, what=what, names=tuple(range(1, end)))
    keys = [tuple(cell.strip() for cell in _cells(line)[1:end]) for _, line in rows]
    time, time_index = np.unique(numbers[:, 0], return_inverse=True)
    index_of = {key: i for i, key in enumerate(dict.fromkeys(keys))}
    name_index = np.array([index_of[key] for key in keys])
    _, first = np.unique(time_index * len(index_of) + name_index, return_index=True)
    if first.size < len(rows):
        repeated = min(set(range(len(rows))) - set(first.tolist()))
        raise BadInputError(
            f"{what}: line {rows[repeated][0]} repeats a value; delete one of the two"
        )
    values = np.full((len(time), len(index_of), width - end), np.nan)
    values[time_index, name_index] = numbers[:, end:]
    return time, list(index_of), values


def _visual3d(what: str, rows: Sequence[tuple[int, str]]) -> LabFile:
    """Parse a table of Visual3D: names in the second row, components in the fifth."""
    names, components = rows[1][1].split("\t"), rows[4][1].split("\t")
    while components and not components[-1].strip():
        components.pop()
    header = [components[0].strip()]
    for i, component in enumerate(components[1:], start=1):
        signal = names[i].strip() if i < len(names) else ""
        header.append(f"{signal}.{component.strip()}" if component.strip() != "0" else signal)
    require_unique(header, what=what, kind="columns")
    file = _wide(what, header, _numbers(rows[5:], len(header), what=what))
    file.notes["layout"] = "Visual3D"
    return file


def _nexus(what: str, lines: list[str]) -> LabFile:
    """Parse a table of Vicon Nexus: sections of title, rate, names, components, units, frames."""
    titles = [line.strip().lower() for line in lines]
    starts = [i for i, title in enumerate(titles) if title in _SECTIONS]
    file = LabFile(what=what, file_format="CSV", notes={"layout": "Vicon Nexus"})
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        if titles[start] in ("trajectories", "model outputs"):
            rows = [(i + 1, lines[i]) for i in range(start + 1, end) if titles[i]]
            _add_section(file, titles[start], rows)
    if file.frames is None:
        raise BadInputError(f"{what}: has no section Trajectories or Model Outputs")
    return file


def _add_section(file: LabFile, title: str, rows: Sequence[Row]) -> None:
    """Add the markers or the modelled angles of a section of a Nexus table."""
    what = file.what
    if len(rows) < 5:
        raise BadInputError(f"{what}: its section {title} ends before its frames; export it again")
    rate, names, components, units = (
        [cell.strip() for cell in text.split("\t")] for _, text in rows[:4]
    )
    if not _is_number(rate[0]) or [c.lower() for c in components[:1]] != ["frame"]:
        raise BadInputError(
            f"{what}: line {rows[2][0]}: its section {title} must have a rate, then names, then "
            "Frame, Sub Frame, X, Y, Z"
        )
    width = len(components)
    table = _numbers(rows[4:], width, what=what)
    frames = table[:, 0] - 1
    if file.frames is not None and not np.array_equal(file.frames, frames):
        raise BadInputError(f"{what}: its sections have different frames; export them at one rate")
    file.frames, file.stated_rate = frames, float(rate[0])
    column_of = {name: i for i, name in enumerate(names[:width]) if name}
    triplets = {
        name: i
        for name, i in column_of.items()
        if [c.lower() for c in components[i : i + 3]] == ["x", "y", "z"]
    }
    angles = {n: i for n, i in triplets.items() if n.rpartition(":")[2].endswith("Angles")}
    columns = angles if title == "model outputs" else triplets
    if not columns:
        return
    require_unique(list(columns), what=what, kind="markers")
    kind: Literal["length", "angle"] = "angle" if title == "model outputs" else "length"
    unit = unit_of(units[next(iter(columns.values()))], what=what, kind=kind)
    if kind == "angle":
        for name, i in angles.items():
            file.columns |= {f"{name}.{axis}": table[:, i + j] for j, axis in enumerate("xyz")}
        file.angle_unit = unit
    else:
        file.markers = list(triplets)
        values = np.stack([table[:, i : i + 3] for i in triplets.values()], axis=1)
        file.marker_values = complete_positions(values)
        file.length_unit = unit


def _number(cell: str, *, what: str, line: int) -> float:
    """Return the value of a cell; NaN for a text that means missing."""
    text = cell.strip()
    try:
        return float(text.replace(",", "."))
    except ValueError:
        if text.casefold() in _MISSING:
            return math.nan
        raise BadInputError(f"{what}: line {line}: '{text[:40]}' is not a number") from None


def _numbers(rows: Sequence[Row], width: int, *, what: str, names: tuple[int, ...] = ()) -> Array:
    """Return the numbers of the rows, each with `width` cells; NaN in columns of `names`."""
    if not rows:
        raise BadInputError(f"{what}: has a header but no frames; export it again")
    values = np.full((len(rows), width), np.nan)
    for i, (line, text) in enumerate(rows):
        cells = _cells(text)
        if len(cells) < width:
            last = " (the last: the file was cut off)" if i == len(rows) - 1 else ""
            raise BadInputError(
                f"{what}: line {line}{last} has {len(cells)} of {width} values; export the file "
                "again"
            )
        if any(cell.strip() for cell in cells[width:]):
            raise BadInputError(
                f"{what}: line {line} has more values than the {width} of the header"
            )
        for column in names:
            cells[column] = ""
        try:
            values[i] = [*map(float, cells[:width])]
        except ValueError:  # missing values, or decimal commas
            if "," in (joined := "".join(cells)) and "." in joined:
                raise BadInputError(
                    f"{what}: line {line} has points and commas in its numbers; write a decimal "
                    "point, and no separator of thousands"
                ) from None
            values[i] = [_number(cell, what=what, line=line) for cell in cells[:width]]
        if np.isinf(values[i]).any():
            raise BadInputError(
                f"{what}: line {line} has an infinite value; leave missing values empty"
            )
    return values
