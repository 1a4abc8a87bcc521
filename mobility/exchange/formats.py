"""Keypoint files, recognised by their content: OpenPose, AlphaPose, DeepLabCut, SLEAP and CSV."""

from __future__ import annotations

import hashlib
import re
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mobility.base.formatting import shortened
from mobility.base.options import likely, quoted
from mobility.base.parsing import parse_json, parse_number, read_csv, read_file, require_regular
from mobility.base.provenance import sha256
from mobility.errors import BadInputError, NotFoundError
from mobility.exchange.deeplabcut import (
    SIGNATURE,
    TABLE,
    damage_refused,
    read_hdf5,
    require_plain,
    texts_in,
)
from mobility.exchange.identities import Detection, followed, require_few
from mobility.exchange.movement_poses import with_read_attributes
from mobility.keypoints.sources import points_of
from mobility.kinematics.datasets import check_attributes

Array = NDArray[np.float64]

OPENPOSE, SCORER = "OpenPose", "scorer"

SETS = {
    17: ("coco_17", "COCO_17"),
    18: ("coco_18", OPENPOSE),
    25: ("body_25", OPENPOSE),
    26: ("halpe_26", "HALPE_26"),
    133: ("coco_wholebody", "COCO_133"),
    136: ("halpe_26", "HALPE_136"),
}
"""Set of keypoints for each number of points, and its model unless the user states the model. Only
the body and the feet of the last two sets are used; they come before the hands and the face.
"""

LARGEST_JSON_BYTES = 1 << 30

MOST_DIFFERENT = 1
"""Number of frames by which the keypoints and their video may differ."""

USUAL_RATE = 30.0
"""Assumed frames per second if the rate is unknown, to measure how long a person is not seen."""

MOST_DIGITS = 15
"""Digits of a frame number."""

_NUMBERED = re.compile(r"^(?P<film>.*?)(?P<number>\d+)(_keypoints)?$")
"""Name of a file of one frame, without its ending."""

_SYNONYMS = {
    "frame": ("frame", "frame_number", "frame_index"),
    "time": ("time", "time_s", "seconds", "t"),
    "point": ("point", "keypoint", "landmark", "bodypart", "joint", "name"),
    "x": ("x", "u"),
    "y": ("y", "v"),
    "confidence": ("confidence", "likelihood", "score", "visibility", "c"),
    "person": ("person", "individual", "subject", "track", "id"),
}
"""Names of the columns of a CSV file."""

_NO_VALUE = frozenset({"", "nan", "na", "n/a", "none", "null"})

_NETCDF3 = b"CDF"


@dataclass(frozen=True)
class FilePoints:
    """Keypoints as stored in a file.

    Attributes
    ----------
    points
        (frame, person, keypoint, 2), pixels to the right and downwards; NaN if there is none.
    confidence
        (frame, person, keypoint); None if the file has no confidence.
    names
        Names of the keypoints.
    people
        Names of the people; they are made up if the file has none.
    software
        Pose model, as far as the format states it.
    times
        Seconds; None if the file has only frames.
    dataset
        A pose of this package, which needs no translation; the other fields are then empty.
    """

    points: Array
    confidence: Array | None
    names: tuple[str, ...]
    people: tuple[str, ...]
    software: str
    times: Array | None = None
    dataset: xr.Dataset | None = None
    source_file: str = ""
    is_sparse: bool = False
    """Whether the file leaves out frames without people, so that the number of frames is unknown.
    """
    left_out: int = 0
    """People who were seen too briefly to be kept."""


@dataclass(frozen=True)
class _Film:
    """What is known about the video: frames per second, number of frames."""

    rate: float
    frames: int | None

    def require_few(self, frames: int, people: int, points: int, *, what: Path) -> None:
        """Raise an error before memory is reserved, if the video cannot have so many keypoints."""
        if self.frames is not None and frames > self.frames + MOST_DIFFERENT:
            raise BadInputError(
                f"{what}: has {frames} frames, but the video has {self.frames}; use keypoints "
                "for each frame of this video"
            )
        require_few(frames, people, points, what=what)


def read(path: Path, *, rate: float | None = None, frames: int | None = None) -> FilePoints:
    """Read keypoints of any format, which is recognised by its content.

    Parameters
    ----------
    path
        File or folder.
    rate
        Frames per second of the video, if known; otherwise 30 is assumed. It determines how long
        people may be out of sight.
    frames
        Number of frames of the video, if known.

    Raises
    ------
    BadInputError
        The file has another format, is empty or damaged, or has an unknown set of keypoints. The
        message names the file, and the line if there is one.
    NotFoundError
        There is no such file or folder.
    """
    film = _Film(rate or USUAL_RATE, frames)
    with damage_refused(f"{path}: cannot be read as keypoints"):
        try:
            is_folder = stat.S_ISDIR(require_regular(path).st_mode)
        except FileNotFoundError:
            raise NotFoundError(f"{path}: no such file or folder") from None
        except OSError as error:
            raise BadInputError(f"{path}: cannot be read ({error.strerror})") from None
        keypoints = _folder(path, film) if is_folder else _file(path, film)
    if keypoints.dataset is None:
        _leave_out_corner(keypoints)
    return replace(keypoints, source_file=path.name)


def _leave_out_corner(keypoints: FilePoints) -> None:
    """Mark points as missing that are exactly in the corner without confidence.

    OpenPose writes 0 0 0 for missing points, and other formats adopt it.
    """
    nowhere = (keypoints.points == 0).all(axis=-1)
    if keypoints.confidence is not None:
        nowhere &= ~(keypoints.confidence > 0)
        keypoints.confidence[nowhere] = np.nan
    keypoints.points[nowhere] = np.nan


def digest(path: Path) -> str:
    """Return the SHA-256 of a file or, for a folder, of the names and digests of its JSON files."""
    if not path.is_dir():
        return sha256(path)
    joint_digest = hashlib.sha256()
    for file in _frames_in(path):
        joint_digest.update(f"{file.name} {sha256(file)}\n".encode())
    return joint_digest.hexdigest()


def _file(path: Path, film: _Film) -> FilePoints:
    try:
        with path.open("rb") as file:
            head = file.read(512)
    except OSError as error:
        raise BadInputError(f"{path}: cannot be read ({error.strerror})") from None
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not text:
        raise BadInputError(f"{path}: is empty; use a file with keypoints")
    if head.startswith(SIGNATURE):
        return _hdf5(path, film)
    if head.startswith(_NETCDF3):
        return _netcdf(path, film)
    if text[:1] in b"[{":
        return _single_json(path, film)
    if b"\0" in head:
        raise BadInputError(
            f"{path}: is not a keypoint file of a known format; use OpenPose's folder of JSON "
            "files, AlphaPose's JSON or CSV, or load it with movement and save it as NetCDF"
        )
    return _csv(path, film)


def _folder(path: Path, film: _Film) -> FilePoints:
    """Read a folder with a JSON file for each frame, as OpenPose writes it."""
    files = _frames_in(path)
    if not files:
        raise BadInputError(
            f"{path}: has no JSON files; name the folder that has a file for each frame"
        )
    if len(files) == 1 and _starts_list(files[0]):
        return _single_json(files[0], film)
    ordered = _in_order(path, files)
    film.require_few(len(ordered), 1, 1, what=path)
    return _followed([_people_of(file) for file in ordered], film, what=path)


def _frames_in(folder: Path) -> list[Path]:
    return sorted(file for file in folder.glob("*.json") if not file.name.startswith("."))


def _starts_list(file: Path) -> bool:
    return _content(file).lstrip().startswith(b"[")


def _in_order(folder: Path, files: Sequence[Path]) -> list[Path]:
    """Return the files in the order of their frame numbers; none may be missing."""
    by_number: dict[int, Path] = {}
    films = set()
    for file in files:
        match = _NUMBERED.match(file.stem)
        if match is None:
            raise BadInputError(
                f"{file}: its name has no frame number, such as 12 in "
                "video_000000000012_keypoints.json; leave only files of frames in the folder"
            )
        films.add(match["film"])
        number = int(match["number"])
        if len(films) > 1:
            raise BadInputError(
                f"{folder}: has files of several videos ({shortened(sorted(films))}); put each "
                "video into a separate folder"
            )
        if number in by_number:
            raise BadInputError(
                f"{folder}: has frame {number} twice ({by_number[number].name}, {file.name}); "
                "remove one"
            )
        by_number[number] = file
    _require_all(sorted(by_number), what=folder)
    return [by_number[number] for number in sorted(by_number)]


def _require_all(numbers: Sequence[int], *, what: Path) -> None:
    """Raise an error unless the numbers of frames have no gap."""
    count = numbers[-1] - numbers[0] + 1
    if count == len(numbers):
        return
    after = next(a for a, b in pairwise(numbers) if b > a + 1)
    raise BadInputError(
        f"{what}: {count - len(numbers)} frames are missing between {numbers[0]} and "
        f"{numbers[-1]}, the first of them {after + 1}; write a file for each frame of the "
        "video, empty if nobody is seen"
    )


def _content(file: Path) -> bytes:
    try:
        content = read_file(file, most_bytes=LARGEST_JSON_BYTES)
    except OSError as error:
        raise BadInputError(f"{file}: cannot be read ({error.strerror})") from None
    return content.removeprefix(b"\xef\xbb\xbf")


def _json(file: Path) -> Any:
    content = _content(file)
    if not content.strip():
        raise BadInputError(f"{file}: is empty; copy it again")
    try:
        return parse_json(content)
    except ValueError as error:
        raise BadInputError(f"{file}: is not valid JSON ({error}); copy it again") from None


def _people_of(file: Path) -> list[Detection]:
    """Return the people in one frame from OpenPose."""
    document = _json(file)
    people = document.get("people") if isinstance(document, dict) else None
    if not isinstance(people, list):
        raise BadInputError(
            f"{file}: is not a frame from OpenPose, because it has no list 'people'. Use "
            "OpenPose's JSON files"
        )
    detections = []
    for person in people:
        values = person.get("pose_keypoints_2d") if isinstance(person, dict) else None
        if values is None and isinstance(person, dict):
            values = person.get("pose_keypoints")  # of its version 1.1 and earlier
        if values is None:
            raise BadInputError(
                f"{file}: a person has no 'pose_keypoints_2d'; write the points in the picture"
            )
        if values:
            detections.append(_detection(values, what=file))
    return detections


def _detection(values: Any, *, what: Path, person: str | None = None) -> Detection:
    """Return the points of one person from a list of x, y and confidence of each."""
    try:
        flat = np.array(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        flat = np.empty(0)
    if flat.ndim != 1 or flat.size % 3 or not flat.size:
        raise BadInputError(f"{what}: keypoints must be numbers: x, y and confidence of each point")
    points = flat.reshape(-1, 3)
    if len(points) not in SETS:
        sizes = ", ".join(f"{number} ({name})" for number, (name, _) in SETS.items())
        raise BadInputError(
            f"{what}: has {len(points)} keypoints, and no known set has this number ({sizes}). "
            "Write the keypoints as CSV with their names"
        )
    # Models write 0 0 0 for points that they did not find.
    points[(points[:, :2] == 0).all(axis=1)] = np.nan
    return Detection(points[:, :2], points[:, 2], person)


def _followed(
    frames: Sequence[Sequence[Detection]], film: _Film, *, what: Path, own_software: str = ""
) -> FilePoints:
    """Join the people of all frames."""
    counts = sorted({len(detection.points) for frame in frames for detection in frame})
    if not counts:
        raise BadInputError(
            f"{what}: none of its {len(frames)} frames contains a person; use keypoints that do"
        )
    if len(counts) > 1:
        raise BadInputError(
            f"{what}: has frames with {counts[0]} and with {counts[-1]} keypoints; use files from "
            "one model"
        )
    set_name, software = SETS[counts[0]]
    names = points_of(set_name)
    # Hands and face have many points and are not followed.
    people = [[_first(detection, len(names)) for detection in frame] for frame in frames]
    result = followed(people, len(names), rate=film.rate, what=what)
    return FilePoints(
        points=result.points,
        confidence=result.confidence,
        names=names,
        people=result.names,
        software=own_software or software,
        left_out=result.left_out,
    )


def _first(person: Detection, count: int) -> Detection:
    return Detection(person.points[:count], person.confidence[:count], person.person)


def _single_json(path: Path, film: _Film) -> FilePoints:
    """Read results from AlphaPose: a list of people, each with the name of the picture."""
    document = _json(path)
    if isinstance(document, dict) and "people" in document:
        raise BadInputError(
            f"{path}: is a single frame from OpenPose; name its folder, with a file for each frame"
        )
    if not isinstance(document, list) or not all(
        isinstance(entry, dict) and {"image_id", "keypoints"} <= entry.keys() for entry in document
    ):
        raise BadInputError(
            f"{path}: is not a known JSON format of keypoints; use AlphaPose's list of results, or "
            "OpenPose's folder with a file for each frame"
        )
    if not document:
        raise BadInputError(f"{path}: no frame contains a person; use keypoints that do")
    frames: dict[int, list[Detection]] = {}
    people: set[str] = set()
    for entry in document:
        number = _NUMBERED.match(Path(str(entry["image_id"])).stem)
        if number is None or len(number["number"]) > MOST_DIGITS:
            raise BadInputError(f"{path}: image_id {quoted(entry['image_id'])} has no frame number")
        track = entry.get("idx")
        # Without a tracker AlphaPose writes 0.0 or [0.0] for everybody.
        has_name = isinstance(track, int | str) and not isinstance(track, bool)
        person = str(track) if has_name else None
        detection = _detection(entry["keypoints"], what=path, person=person)
        if person is not None and person not in people:
            people.add(person)
            film.require_few(1, len(people), len(detection.points), what=path)
        frames.setdefault(int(number["number"]), []).append(detection)
    # Frames without anybody have no entry. The numbers are those of the video, from 0.
    points = max(len(detection.points) for people in frames.values() for detection in people)
    film.require_few(max(frames) + 1, 1, points, what=path)
    ordered = [frames.get(number, []) for number in range(max(frames) + 1)]
    return replace(_followed(ordered, film, what=path, own_software="AlphaPose"), is_sparse=True)


def _csv(path: Path, film: _Film) -> FilePoints:
    names, rows = read_csv(path, what="table of keypoints")
    if names[0] == SCORER:
        return _deeplabcut(path, names, rows, film)
    _require_cells(path, len(names), rows)
    columns = _columns(path, names)
    if "point" not in columns or not {"x", "y"} <= columns.keys():
        raise BadInputError(
            f"{path}: needs the columns frame or time, point, x, y and confidence, with a row for "
            f"each point of each frame (got {shortened(names)})"
        )
    clock = "time" if "time" in columns else "frame"
    if clock not in columns:
        raise BadInputError(f"{path}: has no column frame or time")
    value_of = {
        name: [_cell(values, place) for _, values in rows] for name, place in columns.items()
    }
    lines = [line for line, _ in rows]
    points, point = _names_in(value_of["point"])
    people, person = _names_in(value_of.get("person", ["1"] * len(rows)))
    film.require_few(1, len(people), len(points), what=path)

    def numbers(name: str, *, may_be_empty: bool = True) -> Array:
        values: dict[str, float] = {}  # the same text occurs many times
        for line, text in zip(lines, value_of[name], strict=True):
            if text not in values:
                values[text] = _number(path, line, name, text, may_be_empty=may_be_empty)
        return np.array([values[text] for text in value_of[name]])

    moments, frame = np.unique(numbers(clock, may_be_empty=False), return_inverse=True)
    if clock == "frame":
        if not (np.isfinite(moments) & (moments == np.round(moments))).all():
            raise BadInputError(f"{path}: column frame must hold whole numbers")
        _require_all([int(moment) for moment in moments], what=path)
    shape = (len(moments), len(people), len(points))
    film.require_few(*shape, what=path)
    place = (frame, person, point)
    _refuse_twice(path, lines, np.ravel_multi_index(place, shape))
    result = np.full((*shape, 2), np.nan)
    result[place] = np.stack([numbers("x"), numbers("y")], axis=-1)
    confidence = None
    if "confidence" in columns:
        confidence = np.full(shape, np.nan)
        confidence[place] = numbers("confidence")
    return FilePoints(
        points=result,
        confidence=confidence,
        names=points,
        people=people,
        software="CSV",
        times=moments if clock == "time" else None,
    )


def _require_cells(path: Path, count: int, rows: Sequence[tuple[int, Sequence[str]]]) -> None:
    """Raise an error if a row has more values than columns, or another separator."""
    for line, values in rows:
        if any(values[count:]) or (len(values) == 1 < count and ";" in values[0]):
            raise BadInputError(
                f"{path}: line {line} has {len(values)} values, but the header has {count}; use "
                "the same separator everywhere, and semicolons with decimal commas"
            )


def _columns(path: Path, names: Sequence[str]) -> dict[str, int]:
    """Return the index of each known column."""
    meaning = {word: name for name, words in _SYNONYMS.items() for word in words}
    columns: dict[str, int] = {}
    unknown = [name for name in names if name not in meaning]
    for place, name in enumerate(names):
        if name not in meaning:
            continue
        if meaning[name] in columns:
            raise BadInputError(f"{path}: has the column {meaning[name]} twice ({quoted(name)})")
        columns[meaning[name]] = place
    if unknown and {"point", "x", "y"} <= columns.keys():
        raise BadInputError(
            f"{path}: column {quoted(unknown[0])} is unknown{likely(unknown[0], meaning)} "
            "(columns are frame or time, point, x, y, confidence, person); rename or remove it"
        )
    return columns


def _cell(values: Sequence[str], place: int) -> str:
    return values[place] if place < len(values) else ""


def _number(path: Path, line: int, column: str, text: str, *, may_be_empty: bool) -> float:
    if may_be_empty and text.lower() in _NO_VALUE:
        return float("nan")
    try:
        return parse_number(text)
    except ValueError:
        raise BadInputError(
            f"{path}: line {line}, column {column}: must be a number (got {quoted(text)})"
        ) from None


def _names_in(values: Sequence[str]) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Return the names in the order of their first occurrence, and the index of each value."""
    places: dict[str, int] = {}
    rows = [places.setdefault(value, len(places)) for value in values]
    return tuple(places), np.array(rows)


def _refuse_twice(path: Path, lines: Sequence[int], places: NDArray[Any]) -> None:
    """Raise an error if a line repeats a person's point in a frame."""
    _, first, which = np.unique(places, return_index=True, return_inverse=True)
    if (again := np.flatnonzero(first[which] != np.arange(len(places)))).size:
        row = again[0]
        raise BadInputError(
            f"{path}: line {lines[row]}: this point of this frame is already in line "
            f"{lines[first[which[row]]]}; add a column person if there are several people"
        )


def _deeplabcut(
    path: Path, head: Sequence[str], rows: Sequence[tuple[int, list[str]]], film: _Film
) -> FilePoints:
    """Read a CSV file from DeepLabCut, with three rows of headers, or four for several animals."""
    headers: dict[str, list[str]] = {}
    for _, cells in rows[:3]:
        if cells[0].lower() not in ("individuals", "bodyparts", "coords"):
            break
        headers[cells[0].lower()] = cells[1:]
    if not {"bodyparts", "coords"} <= headers.keys():
        raise BadInputError(
            f"{path}: line 2: below 'scorer', a file from DeepLabCut needs rows 'bodyparts' and "
            "'coords'"
        )
    data_rows = rows[len(headers) :]
    if not data_rows:
        raise BadInputError(f"{path}: has no frame below its headers")
    width = len(head) - 1
    owners = headers.get("individuals", ["1"] * width)
    if any(len(header) != width for header in (*headers.values(), owners)):
        raise BadInputError(f"{path}: its header rows differ in length; export it again")
    _require_cells(path, 1 + width, data_rows)
    indices = [cells[0] for _, cells in data_rows]
    if all(index.isdecimal() and len(index) <= MOST_DIGITS for index in indices):
        numbers = [int(index) for index in indices]
        for (line, _), before, number in zip(data_rows[1:], numbers, numbers[1:], strict=False):
            if number <= before:
                raise BadInputError(
                    f"{path}: line {line}: frame {number} comes after frame {before}; write each "
                    "frame once, in order"
                )
        _require_all(numbers, what=path)
    labels = list(zip(owners, headers["bodyparts"], headers["coords"], strict=True))
    columns = [f"{part} {coord}" for _, part, coord in labels]

    def values() -> Array:
        return np.array(
            [
                [
                    _number(path, line, column, _cell(row, place), may_be_empty=True)
                    for place, column in enumerate(columns, start=1)
                ]
                for line, row in data_rows
            ]
        )

    return _deeplabcut_table(labels, len(data_rows), values, film, what=path)


def _deeplabcut_table(
    labels: Sequence[tuple[str, str, str]],
    frames: int,
    values: Callable[[], Array],
    film: _Film,
    *,
    what: Path,
) -> FilePoints:
    """Make keypoints from a table by DeepLabCut, with columns (individual, part, coordinate)."""
    people, person = _names_in([owner for owner, _, _ in labels])
    points, point = _names_in([part for _, part, _ in labels])
    film.require_few(frames, len(people), len(points), what=what)
    coords = {"x": 0, "y": 1, "likelihood": 2}
    if unknown := [coord for _, _, coord in labels if coord not in coords]:
        raise BadInputError(
            f"{what}: coordinate {quoted(unknown[0])} is unknown; use x, y and likelihood"
        )
    if len(set(labels)) < len(labels):
        raise BadInputError(f"{what}: has a column twice; delete one of them")
    result = np.full((frames, len(people), len(points), 3), np.nan)
    result[:, person, point, [coords[coord] for _, _, coord in labels]] = values()
    return FilePoints(
        points=result[..., :2],
        confidence=result[..., 2],
        names=points,
        people=people,
        software="DeepLabCut",
    )


def _hdf5(path: Path, film: _Film) -> FilePoints:
    """Read HDF5: results from SLEAP or DeepLabCut, otherwise NetCDF."""
    import h5py

    require_plain(path)
    with h5py.File(path, "r") as file:
        if {"tracks", "node_names"} <= file.keys():
            return _sleap(path, file, film)
        if TABLE in file:
            return _deeplabcut_table(*read_hdf5(file[TABLE], path), film, what=path)
        if not any("position" in name for name in file):
            raise BadInputError(
                f"{path}: is an HDF5 file of unknown format; load it with movement and save it "
                "as NetCDF"
            )
    return _netcdf(path, film)


def _sleap(path: Path, file: Any, film: _Film) -> FilePoints:
    """Read an analysis file from SLEAP: tracks (track, x and y, node, frame)."""
    shape = file["tracks"].shape
    if len(shape) != 4 or shape[1] != 2 or file["node_names"].shape != shape[2:3]:
        raise BadInputError(
            f"{path}: the dimensions of its tracks are not (track, x/y, node, frame)"
        )
    people_of_file, _, number, frames = shape
    film.require_few(frames, people_of_file, number, what=path)
    tracks = np.asarray(file["tracks"], dtype=np.float64)
    names = tuple(texts_in(file["node_names"]))
    people: tuple[str, ...] = ()
    if "track_names" in file and file["track_names"].shape == shape[:1]:
        people = tuple(texts_in(file["track_names"]))
    if len(people) != len(tracks):
        people = tuple(str(number + 1) for number in range(len(tracks)))
    confidence = None
    if "point_scores" in file and file["point_scores"].shape == (len(tracks), *tracks.shape[2:]):
        confidence = np.asarray(file["point_scores"], np.float64).transpose(2, 0, 1)
    return FilePoints(
        points=tracks.transpose(3, 0, 2, 1),
        confidence=confidence,
        names=names,
        people=people,
        software="SLEAP",
    )


def _netcdf(path: Path, film: _Film) -> FilePoints:
    """Read a Dataset: a pose from this package, or poses from movement."""
    dataset = _opened(path, film)
    if "image_position" in dataset:
        return FilePoints(np.empty(0), None, (), (), "", dataset=dataset)
    for spellings in (_KEYPOINTS, _INDIVIDUALS):
        if set(spellings) <= set(dataset.variables) | set(dataset.dims):
            raise BadInputError(
                f"{path}: has both {spellings[0]} and {spellings[1]}; delete one of them"
            )
    plural = [name for name in ("keypoints", "individuals") if name in dataset.dims]
    dataset = dataset.rename({name: name.removesuffix("s") for name in plural})
    dataset = with_read_attributes(dataset)
    try:
        check_attributes(dataset)
    except BadInputError as error:
        raise BadInputError(f"{path}: {error}") from None
    axes = {"time", "space", "keypoint"}
    if "position" not in dataset or not axes <= set(dataset["position"].dims):
        raise BadInputError(
            f"{path}: is neither a pose nor a poses Dataset from movement; it has no 'position' "
            "with the dimensions (time, space, keypoint)"
        )
    labels = [str(label) for label in dataset["space"].values] if "space" in dataset.coords else []
    if not {"x", "y"} <= set(labels) or "z" in labels:
        raise BadInputError(f"{path}: its positions must be x and y in the picture (got {labels})")
    for name in ("space", "keypoint", "individual"):
        if name in dataset.dims and not dataset.get_index(name).is_unique:
            raise BadInputError(f"{path}: its coordinate '{name}' contains a name twice")
    for name in ("position", "confidence"):
        if name in dataset and not set(dataset[name].dims) <= axes | {"individual"}:
            raise BadInputError(
                f"{path}: '{name}' must have the dimensions (time, keypoint, individual)"
            )
    if "confidence" in dataset and "space" in dataset["confidence"].dims:
        raise BadInputError(
            f"{path}: 'confidence' must have the dimensions (time, keypoint, individual)"
        )
    if "individual" not in dataset.dims:
        dataset = dataset.expand_dims(individual=["1"])
    elif "individual" not in dataset["position"].dims:
        raise BadInputError(
            f"{path}: 'position' must have the dimension individual, as the other variables do"
        )
    order = ("time", "individual", "keypoint")
    points = dataset["position"].sel(space=["x", "y"]).transpose(*order, "space")
    confidence = dataset.get("confidence")
    if confidence is not None:
        confidence = confidence.broadcast_like(points.isel(space=0, drop=True)).transpose(*order)
    for values in (points, confidence):
        if values is not None and values.dtype.kind not in "fiu":
            raise BadInputError(f"{path}: '{values.name}' must hold numbers (got {values.dtype})")
    in_seconds = dataset.attrs.get("time_unit", "seconds") == "seconds" and "time" in dataset.coords
    return FilePoints(
        points=points.to_numpy().astype(np.float64),
        confidence=None if confidence is None else confidence.to_numpy().astype(np.float64),
        names=tuple(map(str, dataset["keypoint"].values)),
        people=tuple(map(str, dataset["individual"].values)),
        software=str(dataset.attrs.get("source_software") or "movement"),
        times=dataset["time"].to_numpy().astype(np.float64) if in_seconds else None,
    )


_KEYPOINTS, _INDIVIDUALS = ("keypoint", "keypoints"), ("individual", "individuals")
_AXES = frozenset({"time", "space", "pixel", *_KEYPOINTS, *_INDIVIDUALS})
_VALUES = ("position", "image_position", "image_depth", "confidence", "presence")


def _opened(path: Path, film: _Film) -> xr.Dataset:
    """Read the variables and coordinates of keypoints, and nothing else in the file."""
    with path.open("rb") as file:
        is_hdf5 = file.read(len(SIGNATURE)) == SIGNATURE
    if is_hdf5:
        require_plain(path)
    # Times are seconds as numbers, which must not become timedeltas.
    with xr.open_dataset(
        path,
        engine="h5netcdf" if is_hdf5 else "scipy",
        decode_times=False,
        decode_timedelta=False,
    ) as opened:
        needed = opened[[name for name in _VALUES if name in opened.variables]]
        needed = needed.drop_vars([name for name in needed.coords if name not in _AXES])
        _require_few_values(needed, film, path)
        dataset = needed.load()
    texts = {
        name: (variable.dims, variable.values.astype(str), variable.attrs)
        for name, variable in dataset.variables.items()
        if variable.dtype.kind in "OST"
    }
    return dataset.assign(texts).drop_encoding()


def _require_few_values(dataset: xr.Dataset, film: _Film, path: Path) -> None:
    """Raise an error before the values are read if there are too many, or other dimensions."""
    unknown = sorted(set(map(str, dataset.dims)) - _AXES)
    if unknown:
        raise BadInputError(
            f"{path}: its values are over {shortened(unknown)}; keypoints are over time, space or "
            "pixel, keypoint and individual"
        )

    def size(names: Sequence[str]) -> int:
        return max(dataset.sizes.get(name, 1) for name in names)

    film.require_few(size(["time"]), size(_INDIVIDUALS), size(_KEYPOINTS), what=path)
    if max(size(["space"]), size(["pixel"])) > 3:
        raise BadInputError(f"{path}: its points have more than three coordinates")
