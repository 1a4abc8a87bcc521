"""Meaning of the markers and columns of a lab file, from a built-in mapping or a YAML file.

A mapping in YAML has any of these entries::

    joint_centres:            # a marker, or a list whose mean is the centre
      left_knee: [LKNE_lat, LKNE_med]
      left_heel: LHEE
    pelvis: {left_asis: LASI, right_asis: RASI, left_psis: LPSI, right_psis: RPSI}
    segments:                 # for medial markers of a static trial
      left_thigh: [LKNE_lat, LKNE_med, LTH1, LTH2]
    angles:                   # columns of an angle file
      knee_flexion: {left: knee_angle_l, right: knee_angle_r, scale: 1, offset: 0}
      trunk_lean: {column: torso_tilt}
    units: mm                 # only if the file does not state it
    angle_units: radian       # likewise
    vertical_axis: y
    rate_hz: 100
"""

from __future__ import annotations

import difflib
import functools
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from mobility import tables
from mobility.base.formatting import shortened
from mobility.base.options import Strict, likely, validate
from mobility.base.parsing import parse_yaml, read_file
from mobility.errors import BadInputError, NotFoundError
from mobility.kinematics.skeleton import KEYPOINTS, SIDES

TABLE = "lab_mappings"
CONTENTS = "lab_contents"
OURS = "mobility"
"""The built-in mapping for files that this package writes."""
OURS_C3D = "mobility_c3d"
"""The built-in mapping for this package's C3D files, whose angles have Vicon's names."""


def _names(value: Any) -> Any:
    return [value] if isinstance(value, str | int) else value


Name = Annotated[str, Field(min_length=1, coerce_numbers_to_str=True)]
Names = Annotated[tuple[Name, ...], BeforeValidator(_names), Field(min_length=1)]
"""One name or several names; several names stand for the mean of the markers, or the sum of the
columns.
"""

VerticalAxis = Literal["x", "y", "z", "-x", "-y", "-z"]
LengthUnit = Literal["m", "cm", "mm"]
AngleUnit = Literal["degree", "radian"]


class AngleColumns(Strict):
    """Columns of one angle, and their conversion to this package's angle, in degrees."""

    left: Names | None = None
    right: Names | None = None
    column: Names | None = None
    scale: float = Field(default=1.0, allow_inf_nan=False)
    offset: float = Field(default=0.0, allow_inf_nan=False)
    one_way: bool = False
    difference: str = ""

    def named(self) -> dict[str, tuple[str, ...]]:
        """Return the existing columns by ``left``, ``right`` or ``column``."""
        columns = {"left": self.left, "right": self.right, "column": self.column}
        return {where: names for where, names in columns.items() if names is not None}


class Pelvis(Strict):
    """Markers on the pelvis; one marker on the sacrum may replace the posterior spines."""

    left_asis: Name
    right_asis: Name
    left_psis: Name | None = None
    right_psis: Name | None = None
    sacrum: Name | None = None


class LabMapping(Strict):
    """Meaning of the markers and columns of a lab file."""

    name: str
    built_in: bool = False
    source: str = ""
    joint_centres: dict[str, Names] = Field(default_factory=dict)
    instead: dict[str, Names] = Field(default_factory=dict)
    pelvis: Pelvis | None = None
    segments: dict[str, Names] = Field(default_factory=dict)
    angles: dict[str, AngleColumns] = Field(default_factory=dict)
    units: LengthUnit | None = None
    angle_units: AngleUnit | None = None
    vertical_axis: VerticalAxis | None = None
    rate_hz: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    columns: tuple[str, ...] | int | None = None
    level_feet: bool = True
    acromion: bool = False

    def markers(self) -> list[str]:
        """Return every marker of the mapping, without duplicates."""
        named = [name for names in self.joint_centres.values() for name in names]
        named += [name for names in self.instead.values() for name in names]
        if self.pelvis is not None:
            named += [name for name in self.pelvis.model_dump().values() if name]
        return list(dict.fromkeys(named))

    def angle_columns(self) -> list[str]:
        """Return every angle column of the mapping, without duplicates."""
        columns = [
            name
            for angle in self.angles.values()
            for names in angle.named().values()
            for name in names
        ]
        return list(dict.fromkeys(columns))


class FileNames:
    """Names in a file, which match even if the subject, case or separators differ.

    Names are compared exactly first, then without the subject before a colon and the path of an
    OpenSim state (``/jointset/hip_l/hip_flexion_l/value``). Last, they are compared without case,
    spaces, dots, underscores, the endings ``_study`` and ``_Theia`` and the plural of angles; in
    this case, only one name in the file may match.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self.names = list(names)
        self._exact = {name: name for name in self.names}
        self._loose: dict[str, str | None] = {}
        for name in self.names:
            for form in {_bare(name), _plain(name)}:
                self._loose[form] = None if form in self._loose else name

    def find(self, name: str) -> str | None:
        """Return the name in the file that matches `name`, or None."""
        if name in self._exact:
            return name
        return self._loose.get(name) or self._loose.get(_plain(name))

    def nearest(self, name: str) -> str:
        """Return the names in the file that are most similar to `name`, for a message."""
        forms = {_plain(one): one for one in self.names}
        close = difflib.get_close_matches(_plain(name), list(forms), n=3, cutoff=0.4)
        if close:
            return "nearest: " + ", ".join(forms[form] for form in close)
        return f"it has {shortened(self.names)}"


def _bare(name: str) -> str:
    """Return a name without its subject and the path of an OpenSim state."""
    return re.sub(r"^(?:.*/)?([^/]+)/value$", r"\1", name.rpartition(":")[2].strip())


def _plain(name: str) -> str:
    text = _bare(name).casefold()
    text = re.sub(r"(_study|_theia)(?=$|[^a-z])", "", text)
    text = re.sub(r"angles(?=$|[^a-z])", "angle", text)
    return re.sub(r"[\s._-]+", "", text)


@functools.cache
def built_in() -> Mapping[str, LabMapping]:
    """Return the mappings of ``tables/lab_mappings.yaml`` by name."""
    return {
        name: from_dict(entry, name=name, what=f"mapping {name}", is_built_in=True)
        for name, entry in tables.load(TABLE).items()
    }


@functools.cache
def _content_patterns(place: str) -> Mapping[str, re.Pattern[str]]:
    return {
        content: re.compile(entry[place], re.IGNORECASE)
        for content, entry in tables.load(CONTENTS)["besides"].items()
        if place in entry
    }


def other_content_of_column(column: str) -> str | None:
    """Return the content of a column by its name; None if it may be an angle or a marker."""
    patterns = _content_patterns("columns").items()
    return next((content for content, pattern in patterns if pattern.search(column)), None)


def other_content_of_header(header: Iterable[str]) -> str | None:
    """Return the content that a header declares besides angles and markers, or None."""
    patterns = _content_patterns("header").items()
    return next((text for line in header for text, p in patterns if p.fullmatch(line)), None)


def from_dict(
    tree: Mapping[str, Any], *, name: str, what: str, is_built_in: bool = False
) -> LabMapping:
    """Check a mapping from YAML.

    `name` is used in the history, `what` in messages ("mapping lab.yaml").
    """
    if not isinstance(tree, Mapping) or not tree:
        raise BadInputError(
            f"{what}: must have joint_centres or angles, each with the names for landmarks or "
            "angles"
        )
    fields = dict(tree)
    for key in ("joint_centres", "instead", "segments", "angles"):
        if not isinstance(fields.get(key) or {}, Mapping):
            raise BadInputError(f"{what}: {key}: must be followed by names, one on each line")
        fields[key] = dict(fields.get(key) or {})
    for key in ("joint_centres", "instead"):
        for landmark in fields[key]:
            if landmark not in KEYPOINTS:
                close = (
                    likely(str(landmark), KEYPOINTS) or f"; known: {shortened(KEYPOINTS, most=40)}"
                )
                raise BadInputError(f"{what}: {key}: no landmark '{landmark}'{close}")
    definitions = tables.load("angles")
    for angle, entry in fields["angles"].items():
        if angle not in definitions:
            close = likely(str(angle), definitions) or f"; known: {shortened(definitions)}"
            raise BadInputError(f"{what}: angles: no angle '{angle}'{close}")
        where = f"{what}: angles: {angle}"
        columns = validate(AngleColumns, entry, what=where)
        _check_sides(columns, sided=definitions[angle]["sided"], what=where)
        fields["angles"][angle] = columns
    if fields.get("pelvis") is not None:
        pelvis = validate(Pelvis, fields["pelvis"], what=f"{what}: pelvis")
        if pelvis.sacrum is None and (pelvis.left_psis is None or pelvis.right_psis is None):
            raise BadInputError(f"{what}: pelvis: needs left_psis and right_psis, or sacrum")
        fields["pelvis"] = pelvis
    for reserved in ("name", "built_in"):
        if reserved in fields:
            raise BadInputError(f"{what}: {reserved}: is unknown; remove it")
    mapping = validate(LabMapping, fields | {"name": name, "built_in": is_built_in}, what=what)
    if not mapping.joint_centres and not mapping.angles and mapping.pelvis is None:
        raise BadInputError(f"{what}: must have joint_centres or angles")
    return mapping


def _check_sides(columns: AngleColumns, *, sided: bool, what: str) -> None:
    named = set(columns.named())
    if sided and (not named or "column" in named):
        raise BadInputError(f"{what}: name the columns of {' and '.join(SIDES)} (or of one side)")
    if not sided and named != {"column"}:
        raise BadInputError(f"{what}: has no sides; set its 'column'")


def given_mapping(mapping: LabMapping | Mapping[str, Any] | str | os.PathLike[str]) -> LabMapping:
    """Return a mapping by its built-in name, from a YAML file, or from its content."""
    if isinstance(mapping, LabMapping):
        return mapping
    if isinstance(mapping, Mapping):
        return from_dict(mapping, name="given", what="mapping")
    if str(mapping) in built_in():
        return built_in()[str(mapping)]
    path = Path(mapping)
    what = f"mapping {path.name}"
    try:
        content = parse_yaml(read_file(path).decode("utf-8"))
    except FileNotFoundError:
        close = likely(str(mapping), built_in())
        raise NotFoundError(
            f"mapping {os.fspath(mapping)}: is neither a file nor a built-in mapping{close}; "
            f"built in: {', '.join(built_in())}"
        ) from None
    except OSError as error:
        raise BadInputError(f"{what}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise BadInputError(f"{what}: is not a text file in UTF-8; save it as UTF-8") from None
    except ValueError as error:
        raise BadInputError(f"{what}: is not YAML ({error})") from None
    return from_dict(content, name=path.name, what=what)


def best_mapping(markers: Iterable[str], columns: Iterable[str]) -> LabMapping | None:
    """Return the built-in mapping with the most landmarks and angles for the names in a file.

    If several mappings have equally many, the mapping with the largest share of its names in the
    file is returned; None if no mapping fits.
    """
    in_markers, in_columns = FileNames(markers), FileNames(columns)
    best: LabMapping | None = None
    best_score = (0, 0.0)
    for mapping in built_in().values():
        # For files without names, and for C3D of this package, which has its own mapping.
        if mapping.columns is not None or mapping.name == OURS_C3D:
            continue
        centres = sum(
            any(in_markers.find(name) for name in names) for names in mapping.joint_centres.values()
        ) + sum(
            all(in_columns.find(name) for name in names)
            for angle in mapping.angles.values()
            for names in angle.named().values()
        )
        named = [*mapping.markers(), *mapping.angle_columns()]
        in_file = sum(in_markers.find(name) is not None for name in mapping.markers())
        in_file += sum(in_columns.find(name) is not None for name in mapping.angle_columns())
        score = (centres, in_file / len(named))
        if centres and score > best_score:
            best, best_score = mapping, score
    return best
