"""Reading lab files: markers and angles from C3D, TRC, MOT, STO and CSV.

A reader only parses its format; :mod:`mobility.lab.lab_datasets` converts units, axes, times and
names for all of them. Attributes record the origin of each unit, of the rate and of the vertical
axis. Contradictions raise an error.
"""

from __future__ import annotations

import gzip
import math
import re
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import xarray as xr

from mobility.base.options import FilePath, checked
from mobility.base.parsing import read_file
from mobility.base.provenance import sha256
from mobility.errors import BadInputError, NotFoundError
from mobility.lab.lab_c3d import c3d, is_c3d
from mobility.lab.lab_datasets import LabFile, ReadOptions, dataset
from mobility.lab.lab_mappings import LabMapping, VerticalAxis, given_mapping
from mobility.lab.lab_text import mot, table, text_lines, trc

MappingLike = LabMapping | Mapping[str, Any] | FilePath
Unit = Literal["m", "cm", "mm", "degree", "radian"]

LARGEST_BYTES = 1 << 30
"""Largest size of an unpacked lab file; five minutes of markers and forces take 100 MB."""

_GZIP = b"\x1f\x8b"
_OTHER_FORMATS = {
    b"\x89HDF": "NetCDF or HDF5",
    b"PK\3\4": "a spreadsheet (XLSX) or another packed file",
    b"<": "XML",
    b"{": "JSON",
    b"[": "JSON",
}


@checked
def read_lab(
    path: FilePath,
    *,
    mapping: MappingLike | None = None,
    units: Unit | None = None,
    vertical_axis: VerticalAxis | None = None,
    rate_hz: float | None = None,
    subject: str | None = None,
) -> xr.Dataset:
    """Read markers or angles from a lab file of any supported format.

    Parameters
    ----------
    path
        C3D, TRC, MOT, STO or CSV, also compressed with gzip, or saved again by a spreadsheet. The
        format is recognised by the content or, failing that, by the ending. The notes list the
        contents that are read from each format.
    mapping
        Meaning of markers and columns: the name of a built-in mapping, a YAML file, or its content.
        The default is the built-in mapping that contains most of the names.
    units
        Unit of the markers (m, cm, mm) or of the angles (degree, radian), which overrides the unit
        in the file. Required if the file does not make its unit clear.
    vertical_axis
        Axis of the file that points up. The default is the axis along the line from the feet to the
        trunk; set it if the person lies down.
    rate_hz
        Frames per second, for files without times, or if the header and the times contradict each
        other.
    subject
        Subject to read from a file with several people (``SUBJECT:LASI``).

    Returns
    -------
    xarray.Dataset
        Markers: ``marker_position`` (time, space, marker) in metres, right-handed, y up, NaN in
        gaps. Angles: a variable for each angle, (time, side) or (time,), in degrees, with this
        package's name and sign; attributes ``lab_name``, ``scale``, ``offset`` and ``difference``
        (how the lab's definition differs from ours). A file may contain both.

        Events of a C3D: ``event_time`` (s), ``event_label``, ``event_context`` ("Left", "Right",
        "General") and ``event_description`` over ``event``. Repetitions that this package wrote
        also have ``start``, ``bottom``, ``end`` over ``rep``, as
        :func:`mobility.kinematics.repetitions.normalise_repetitions` expects them.

        ``time`` is in seconds, as in the file. For a C3D file, it is the frame number, from 0,
        divided by the rate. Attributes: ``source_file``, ``source_sha256``, ``rate_hz``,
        ``units_read``, ``angle_units_read`` and ``vertical_axis``, and, with the ending ``_found``,
        the origin of each of these. The attribute ``mapping`` names the mapping, and
        ``unmapped_columns`` is a JSON list of columns that are not in it.

    Raises
    ------
    NotFoundError
        There is no such file.
    BadInputError
        The file is empty, cut off or in another format, or contains only other data, such as
        forces. Units, rate or axes contradict each other or cannot be determined. The mapping does
        not fit.

    Notes
    -----
    C3D files provide markers (those with a negative residual are gaps), modelled angles
    (``LKneeAngles`` become the columns ``LKneeAngles.x``, ``.y``, ``.z``), events and the origins
    of the pose matrices of Theia3D, but no forces, moments, powers or analog channels. The unit of
    MOT and STO comes from ``inDegrees``, or from the range of the values if that is missing. For
    states (``/jointset/hip_l/hip_flexion_l/value``, also from Moco), the values are read.

    A table has a header and one row for each frame, with commas, semicolons, tabs or blanks between
    the values. Decimal commas are possible with another separator, or in quotes. A marker has three
    columns (``LKNE_x``, ``LKNE_y``, ``LKNE_z``, optionally with a unit: ``LKNE_x_mm``); every other
    column may be an angle. Tables of :func:`mobility.lab.lab_writers.write_csv`, Visual3D (five
    rows of header) and Vicon Nexus (sections Trajectories and Model Outputs) are supported as well,
    and tables without a header if the mapping has their ``columns``.
    """
    source_path = Path(path)
    checked_mapping = given_mapping(mapping) if mapping is not None else None
    file = _parsed(source_path, checked_mapping)
    if rate_hz is not None and not (math.isfinite(rate_hz) and rate_hz > 0):
        raise BadInputError.of({"rate_hz": f"must be above 0 (got {rate_hz:g})"})
    options = ReadOptions(
        mapping=checked_mapping,
        units=units,
        vertical_axis=vertical_axis,
        rate_hz=rate_hz,
        subject=subject,
    )
    source = {"source_file": source_path.name, "source_sha256": sha256(source_path)}
    return dataset(file, options, source=source)


def _parsed(path: Path, mapping: LabMapping | None) -> LabFile:
    """Parse a file in the format that its content shows, or else its ending."""
    content = lab_content(path)
    endings = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
    ending = endings[-1] if endings else ""
    # Text in UTF-16 has a zero byte for each letter.
    start = content[:65536].replace(b"\0", b"").lower()
    is_trc = re.match(rb"\W*pathfiletype", start) is not None
    is_mot = re.search(rb"^\W*endheader", start, re.MULTILINE) is not None
    undecided = not (is_c3d(content) or is_trc or is_mot)
    if is_c3d(content) or (undecided and ending == ".c3d"):
        return c3d(path, content)
    lines = lab_lines(path.name, content)
    if is_trc or (undecided and ending == ".trc"):
        return trc(path.name, lines)
    if is_mot or (undecided and ending in (".mot", ".sto")):
        return mot(path.name, lines)
    return table(path.name, lines, mapping)


def lab_content(path: Path) -> bytes:
    """Return the bytes of a file, unpacked."""
    try:
        content = read_file(path, most_bytes=LARGEST_BYTES)
    except FileNotFoundError:
        raise NotFoundError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise BadInputError(f"{path}: is a folder, not a lab file; name a file in it") from None
    except OSError as error:
        raise BadInputError(f"{path}: cannot be read ({error.strerror})") from None
    if content.startswith(_GZIP):
        try:
            with gzip.open(path) as packed:
                content = packed.read(LARGEST_BYTES + 1)
        except (OSError, EOFError, zlib.error):
            raise BadInputError(
                f"{path.name}: is damaged or cut off; compress it again with gzip"
            ) from None
        if len(content) > LARGEST_BYTES:
            most = f"{LARGEST_BYTES >> 20} MB"
            raise BadInputError(f"{path.name}: is larger than {most} unpacked; export less of it")
    if not content.strip(b"\0 \t\r\n"):
        raise BadInputError(f"{path.name}: is empty; export it again")
    return content


def lab_lines(what: str, content: bytes) -> list[str]:
    """Return the lines of a text file with tabs between its cells; `what` names it in messages."""
    start = content[:64].lstrip(b"\xef\xbb\xbf \t\r\n")
    kind = next((kind for sign, kind in _OTHER_FORMATS.items() if start.startswith(sign)), None)
    if kind is not None:
        raise BadInputError(f"{what}: is {kind}; export it as C3D, TRC, MOT, STO or CSV")
    return text_lines(what, content)
