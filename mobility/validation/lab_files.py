"""Reading lab files: markers and angles from C3D, TRC, MOT, STO and CSV.

A reader only takes apart its format; units, axes, times and names are settled for all of them in
:mod:`mobility.validation.lab_datasets`. Nothing is guessed without being said: how each unit, the
rate and the vertical axis were found stands in the attributes, and what contradicts is an error.
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

from mobility.errors import BadInputError, NotFoundError
from mobility.options import FilePath, checked
from mobility.provenance import sha256
from mobility.validation.lab_c3d import MARK, c3d
from mobility.validation.lab_datasets import Asked, Found, dataset
from mobility.validation.lab_text import mot, table, text_lines, trc
from mobility.validation.mappings import LabMapping, VerticalAxis, given_mapping

MappingLike = LabMapping | Mapping[str, Any] | FilePath
Unit = Literal["m", "cm", "mm", "degree", "radian"]

_GZIP = b"\x1f\x8b"
_OTHER_KINDS = {
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
    """Read markers or angles from a lab file, whichever of the known formats it has.

    Parameters
    ----------
    path
        C3D, TRC, MOT, STO or CSV, also gzipped, or saved again by a spreadsheet; the content
        decides, then the ending. See the notes for what is read of each.
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
        Whose markers to read where a file has several people (``SUBJECT:LASI``).

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
        It is empty, cut off or of another kind, or holds something else, such as forces, which is
        named; units, rate or axes contradict each other or cannot be told; a mapping does not fit.

    Notes
    -----
    Of a C3D file the markers are read (those with a negative residual are gaps), modelled angles
    (``LKneeAngles`` become the columns ``LKneeAngles.x``, ``.y``, ``.z``) and of the pose matrices
    of Theia3D the origins; no forces, moments, powers or analog channels. Of MOT and STO
    ``inDegrees`` says whether they are in degrees; where it is missing, the range does. Of states
    (``/jointset/hip_l/hip_flexion_l/value``, also those of Moco) the values are read.

    A table is separated by commas, semicolons, tabs or blanks, one row a frame, with a header;
    decimals may stand behind commas where something else separates, or in quotes. A marker is
    three columns (``LKNE_x``, ``LKNE_y``, ``LKNE_z``, with a unit behind if wished:
    ``LKNE_x_mm``); every other column may be an angle. Read too are the tables that
    :func:`mobility.validation.export.write_csv` writes, those of Visual3D (five rows of header)
    and of Vicon Nexus (sections Trajectories and Model Outputs), and tables without a header whose
    mapping says their ``columns``.
    """
    where = Path(path)
    chosen = given_mapping(mapping) if mapping is not None else None
    found = _taken_apart(where, chosen)
    if rate_hz is not None and not (math.isfinite(rate_hz) and rate_hz > 0):
        raise BadInputError(f"{where.name}: rate_hz must be above 0 (got {rate_hz:g})")
    asked = Asked(
        mapping=chosen, units=units, vertical_axis=vertical_axis, rate_hz=rate_hz, subject=subject
    )
    source = {"source_file": where.name, "source_sha256": sha256(where)}
    return dataset(found, asked, source=source)


def _taken_apart(path: Path, mapping: LabMapping | None) -> Found:
    """Choose the format by the content, and by the ending where the content does not tell."""
    content = _content(path)
    endings = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
    ending = endings[-1] if endings else ""
    # A text in UTF-16 has a zero at each letter.
    start = content[:65536].replace(b"\0", b"").lower()
    says_c3d = content[1:2] == bytes([MARK]) and b"\0" in content[:512]
    says_trc = re.match(rb"\W*pathfiletype", start) is not None
    says_mot = re.search(rb"^\W*endheader", start, re.MULTILINE) is not None
    untold = not (says_c3d or says_trc or says_mot)
    if says_c3d or (untold and ending == ".c3d"):
        return c3d(path, content)
    lines = _lines(path.name, content)
    if says_trc or (untold and ending == ".trc"):
        return trc(path.name, lines)
    if says_mot or (untold and ending in (".mot", ".sto")):
        return mot(path.name, lines)
    return table(path.name, lines, mapping)


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


def _lines(what: str, content: bytes) -> list[str]:
    start = content[:64].lstrip(b"\xef\xbb\xbf \t\r\n")
    kind = next((kind for sign, kind in _OTHER_KINDS.items() if start.startswith(sign)), None)
    if kind is not None:
        raise BadInputError(f"{what}: is {kind}; give C3D, TRC, MOT, STO or CSV")
    return text_lines(what, content)
