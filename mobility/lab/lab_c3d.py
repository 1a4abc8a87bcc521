"""Parsing of C3D files: markers, modelled angles, pose matrices and events."""

from __future__ import annotations

import re
import struct
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from mobility.base.processes import Process
from mobility.errors import BadInputError, EndedError, MobilityError
from mobility.kinematics.skeleton import Array
from mobility.lab.lab_datasets import (
    METRES,
    Event,
    LabFile,
    complete_positions,
    require_unique,
    unit_of,
)
from mobility.lab.lab_mappings import OURS_C3D

_MARK = 0x50
"""The second byte of every C3D file."""

_ORDERS = {84: "<", 86: ">"}
"""Byte order for each processor type with IEEE numbers."""

NEWTONS = {"N": 1.0, "kN": 1000.0}
"""Newtons in each unit of force."""

_SIX_CHANNELS = 2
"""Type of plates whose channels are three forces and three moments."""

_READER = "mobility.lab.c3d_worker"
_MOST_FRAMES = 65535
"""Largest 16-bit number in a header."""

_LONGEST_S = 300
"""Seconds after which the reader is assumed to be stuck in a damaged file."""

_MODELLED = ("ANGLES", "FORCES", "MOMENTS", "POWERS", "SCALARS", "REACTIONS")


def is_c3d(content: bytes) -> bool:
    """Return whether the bytes of a file begin as a C3D file does."""
    return content[1:2] == bytes([_MARK]) and b"\0" in content[:512]


def c3d(path: Path, content: bytes) -> LabFile:
    """Parse a C3D file."""
    what = path.name
    _require_mark(what, content)
    arrays, metadata = _opened(path, content)
    groups = metadata["parameters"]
    points, rotations = arrays["points"], arrays["rotations"]
    rate = float(_value(groups, "POINT", "RATE", [0.0])[0])
    first = int(metadata["header"]["first_frame"])
    _require_whole(what, content, groups, max(points.shape[2], rotations.shape[3]))
    file = LabFile(what=what, file_format="C3D")
    # ezc3d returns POINT:RATE for both, so only the bytes show a contradiction.
    byte_order = _ORDERS.get(_processor(content))
    in_header = struct.unpack(f"{byte_order}f", content[20:24])[0] if byte_order else 0.0
    file.other_rate = in_header if in_header > 0 else None
    rate = rate or in_header
    labels = _labels(groups, points.shape[1])
    require_unique(labels, what=what, kind="points")
    # ezc3d has already set points with a negative residual to NaN.
    values = points[:3].transpose(2, 1, 0).astype(np.float64)
    modelled = {
        kind: {str(name).strip() for name in _value(groups, "POINT", kind, [])} - {""}
        for kind in _MODELLED
    }
    for i, label in enumerate(labels):
        kind = next((k for k, names in modelled.items() if label in names), None)
        bare = label.rpartition(":")[2]
        if kind is None and re.search(r"(Force|Moment|Power|GRF)s?$", bare):
            continue
        if kind == "ANGLES" or (kind is None and bare.endswith("Angles")):
            file.columns |= {f"{label}.{a}": values[:, i, j] for j, a in enumerate("xyz")}
        elif kind is None:
            file.markers.append(label)
    places = [labels.index(name) for name in file.markers]
    file.marker_values = complete_positions(values[:, places])
    unit = str(_value(groups, "POINT", "UNITS", [""])[0])
    if rotations.shape[2]:
        _add_origins(file, groups, rotations)
        unit = str(_value(groups, "ROTATION", "UNITS", [unit])[0])
        rate = rate or float(_value(groups, "ROTATION", "RATE", [0.0])[0])
    if not file.markers and not file.columns:
        raise BadInputError(f"{what}: has no markers, angles or pose matrices; use another file")
    if not rate > 0:
        file.notes["rate"] = "not said"
    file.stated_rate = rate if rate > 0 else None
    file.frames = first + np.arange(max(len(file.marker_values), points.shape[2]), dtype=float)
    file.length_unit = unit_of(unit, what=what, kind="length") if file.markers else None
    if file.columns:
        angle_unit = str(_value(groups, "POINT", "ANGLE_UNITS", [""])[0])
        file.angle_unit = unit_of(angle_unit, what=what, kind="angle")
    if file.columns and _value(groups, "MANUFACTURER", "SOFTWARE", []) == ["mobility"]:
        file.mapping = OURS_C3D
        described = dict(zip(labels, _value(groups, "POINT", "DESCRIPTIONS", []), strict=False))
        for column in list(file.columns):
            label, axis = column.rsplit(".", 1)
            if f"{axis}:" not in described.get(label, ""):
                del file.columns[column]  # 0: not measured
    file.events = _events(what, groups)
    screen = str(_value(groups, "POINT", "Y_SCREEN", [""])[0]).strip().lower().removeprefix("+")
    file.vertical_axis = screen if re.fullmatch(r"-?[xyz]", screen) else None
    file.notes |= {"first_frame": first, "ezc3d": version("ezc3d")}
    return file


def c3d_plates(path: Path, content: bytes) -> tuple[Array, list[tuple[Array, Array]]]:
    """Return times (s) of the force plates of a C3D file, and the values of each plate.

    The values are the force (time, 3) in N and its point of application (time, 3) in metres, both
    along the axes of the file. ezc3d computes them from the analog channels.
    """
    what = path.name
    _require_mark(what, content)
    arrays, metadata = _opened(path, content, plates=True)
    header, groups = metadata["header"], metadata["parameters"]
    if not metadata["plates"]:
        raise BadInputError(
            f"{what}: has no force plates; export the plates with it, or use the file of the plates"
        )
    rate, frame_rate = float(header["analog_rate"]), float(header["frame_rate"])
    if not (rate > 0 and frame_rate > 0):
        raise BadInputError(f"{what}: has no rate of its force plates; export it again")
    length = str(_value(groups, "POINT", "UNITS", ["mm"])[0])
    metres = METRES[unit_of(length, what=what, kind="length") or "mm"]
    values = [
        (
            _newtons(what, groups, plate, length.strip()) * arrays[f"force_{plate}"].T,
            metres * arrays[f"center_of_pressure_{plate}"].T,
        )
        for plate in range(metadata["plates"])
    ]
    samples = max(len(force) for force, _ in values)
    _require_whole(what, content, groups, round(samples * frame_rate / rate))
    time = int(header["first_frame"]) / frame_rate + np.arange(samples) / rate
    return time, values


def _newtons(what: str, groups: Any, plate: int, length: str) -> float:
    """Return the newtons in the unit of a plate's force; raise if its moment has another length.

    ezc3d assumes newtons and the unit of the points. Other types of plates have channels in volts,
    or one for each sensor.
    """
    if int(_value(groups, "FORCE_PLATFORM", "TYPE", [0] * (plate + 1))[plate]) != _SIX_CHANNELS:
        return 1.0
    channels = np.array(_value(groups, "FORCE_PLATFORM", "CHANNEL", []))[:, plate]
    stated = [str(unit).strip() for unit in _value(groups, "ANALOG", "UNITS", [])]
    units = [stated[int(c) - 1] if 0 < int(c) <= len(stated) else "" for c in channels]
    force, moment = units[0] or "N", units[3].replace("*", "").replace(".", "")
    if force not in NEWTONS:
        raise BadInputError(
            f"{what}: the unit '{force}' of its force plates is not supported; export N"
        )
    if moment and moment != f"{force}{length}":
        raise BadInputError(
            f"{what}: the moments of its force plates are in {moment}, but its points are in "
            f"{length}, so their centre of pressure is wrong; export them in {force}{length}"
        )
    return NEWTONS[force]


def _require_mark(what: str, content: bytes) -> None:
    if len(content) < 512 or content[1] != _MARK:
        raise BadInputError(f"{what}: is not a C3D file, or is cut off; export it again")


def _opened(
    path: Path, content: bytes, *, plates: bool = False
) -> tuple[dict[str, Array], dict[str, Any]]:
    """Read arrays, parameters and header of the file in a separate process."""
    with tempfile.TemporaryDirectory() as folder, Process(_READER) as reader:
        source, out = path, Path(folder) / "out.npz"
        if content[:2] != path.read_bytes()[:2]:  # it was gzipped
            source = Path(folder) / "unpacked.c3d"
            source.write_bytes(content)
        try:
            request = {"source": str(source), "out": str(out), "plates": plates}
            metadata = reader.ask(request, seconds=_LONGEST_S)
        except MobilityError as error:
            reason = f"the reader {error}" if isinstance(error, EndedError) else error
            raise BadInputError(
                f"{path.name}: cannot be read as C3D, because it is damaged or cut off "
                f"({reason}); export it again"
            ) from None
        with np.load(out) as saved:
            return dict(saved), metadata


def _processor(content: bytes) -> int:
    """Return the processor whose number format the file has: 84 Intel, 85 DEC, 86 MIPS."""
    place = 512 * (content[0] - 1) + 3
    return content[place] if place < len(content) else 0


def _require_whole(what: str, content: bytes, groups: Any, frames: int) -> None:
    """Raise if there are fewer frames than in the header; ezc3d omits them silently."""
    order = _ORDERS.get(_processor(content), "<")
    first, last = struct.unpack(f"{order}HH", content[6:10])
    promised = last - first + 1
    if last >= _MOST_FRAMES:  # a larger number than the header can hold
        actual = [
            _value(groups, "TRIAL", f"ACTUAL_{which}_FIELD", None) for which in ("START", "END")
        ]
        if all(actual):
            first, last = (int(low) % 2**16 + int(high) % 2**16 * 2**16 for low, high in actual)
            promised = last - first + 1
        else:
            promised = int(float(_value(groups, "POINT", "FRAMES", [frames])[0])) % 2**16
            if promised in (0, _MOST_FRAMES):
                return
    if frames == _MOST_FRAMES < promised:
        raise BadInputError(
            f"{what}: has {promised} frames, but C3D can count only {frames}; export it in parts"
        )
    if frames < promised:
        raise BadInputError(
            f"{what}: has {frames} frames, but its header states {promised}; export it again"
        )


def _value(groups: Any, group: str, name: str, default: Any) -> Any:
    """Return the value of a parameter of a C3D, or `default` if it is absent or empty."""
    value = groups.get(group, {}).get(name)
    return value or default


def _events(what: str, groups: Any) -> list[Event]:
    """Return the events of the group ``EVENT``, ordered by time."""
    times = np.array(_value(groups, "EVENT", "TIMES", [[], []]), dtype=np.float64)
    if times.ndim != 2 or len(times) != 2:  # minutes and seconds, one below the other
        raise BadInputError(
            f"{what}: its events have no times in minutes and seconds; export it again"
        )
    words = {
        name: [str(text).strip() for text in _value(groups, "EVENT", name, [])]
        for name in ("LABELS", "CONTEXTS", "DESCRIPTIONS")
    }
    count = int(_value(groups, "EVENT", "USED", [times.shape[1]])[0])
    seconds = [
        60.0 * minutes + seconds_of_minute
        for minutes, seconds_of_minute in times.T[:count].tolist()
    ]
    padded = ([*texts, *[""] * len(seconds)][: len(seconds)] for texts in words.values())
    return sorted(map(Event, seconds, *padded))


def _labels(groups: Any, count: int) -> list[str]:
    labels: list[str] = []
    for i in range(1, 20):  # LABELS, LABELS2, ... with 255 each
        labels += [
            str(x).strip() for x in _value(groups, "POINT", f"LABELS{i if i > 1 else ''}", [])
        ]
    labels = labels[:count]
    labels += [""] * (count - len(labels))
    return [label or f"unlabelled_{i + 1}" for i, label in enumerate(labels)]


def _add_origins(file: LabFile, groups: Any, rotations: Array) -> None:
    """Add the origins of pose matrices as markers."""
    names = [str(x).strip() for x in _value(groups, "ROTATION", "LABELS", [])]
    origins = rotations[:3, 3].transpose(2, 1, 0).astype(np.float64)[:, : len(names)]
    if file.markers and len(file.marker_values) != len(origins):
        raise BadInputError(
            f"{file.what}: has {len(file.marker_values)} frames of markers and {len(origins)} of "
            "pose matrices; export them at one rate"
        )
    before = file.marker_values if file.markers else np.empty((len(origins), 0, 3))
    file.markers = [*file.markers, *names]
    file.marker_values = np.concatenate([before, complete_positions(origins)], axis=1)
    require_unique(file.markers, what=file.what, kind="points")
