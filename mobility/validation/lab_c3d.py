"""Taking apart C3D files: markers, modelled angles and pose matrices, by ezc3d."""

from __future__ import annotations

import re
import struct
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobility.errors import BadInputError
from mobility.validation.lab_datasets import Found, require_unique, unit_of, whole
from mobility.validation.mappings import listed

Array = NDArray[np.float64]

MARK = 0x50
"""The second byte of every C3D file."""

_MODELLED = ("ANGLES", "FORCES", "MOMENTS", "POWERS", "SCALARS", "REACTIONS")


def c3d(path: Path, content: bytes, *, subject: str | None) -> Found:
    """Take apart a C3D file, of one subject."""
    what = path.name
    if len(content) < 512 or content[1] != MARK:
        raise BadInputError(f"{what}: is no C3D file, or only the beginning of one")
    file = _opened(path, content)
    groups = file["parameters"]
    points, residuals = file["data"]["points"], file["data"]["meta_points"]["residuals"]
    rotations = file["data"]["rotations"]
    rate = float(_value(groups, "POINT", "RATE", [0.0])[0])
    header_rate = float(file["header"]["points"]["frame_rate"])
    first = int(file["header"]["points"]["first_frame"])
    _require_whole(what, content, groups, max(points.shape[2], rotations.shape[3]))
    found = Found(what=what, file_format="C3D")
    if rate > 0 and header_rate > 0 and abs(header_rate / rate - 1) > 0.01:
        raise BadInputError(
            f"{what}: its header says {header_rate:g} frames/s, POINT:RATE {rate:g}; correct it"
        )
    rate = rate or header_rate
    labels = _labels(groups, points.shape[1])
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
    found.marker_values = whole(values[:, places])
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


def _opened(path: Path, content: bytes) -> Any:
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


def _require_whole(what: str, content: bytes, groups: Any, frames: int) -> None:
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


def _labels(groups: Any, count: int) -> list[str]:
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
    require_unique(kept, what=what, kind="points")
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
    found.marker_values = np.concatenate([before, whole(origins)], axis=1)
    require_unique(found.markers, what=found.what, kind="points")
