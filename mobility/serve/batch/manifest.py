"""The work of a batch: a CSV file with a row for each video, or a folder of videos.

Every row is checked before anything runs. All problems of a table are reported at once, each with
its row and column. Anybody may add files to a folder, so a bad file there only affects its own row.
The checks do not decode whole videos, but compute their hashes.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mobility.base.options import likely, require_path, validate
from mobility.base.parsing import read_csv
from mobility.base.progress import progress_bar
from mobility.base.provenance import sha256
from mobility.capture.detector_packages import require_detector
from mobility.capture.models import require_model
from mobility.catalogue import registry
from mobility.errors import BadInputError, MobilityError
from mobility.sessions.analysis_options import (
    AnalysisOptions,
    check_movement,
    given_options,
    options_at,
)
from mobility.sessions.creation import check_calibration, check_creation, read_given_keypoints
from mobility.sessions.files import check_decodable
from mobility.sessions.record import GivenParticipant

PERSON = ("display_name", "sex", "birth_year", "age", "height_m", "weight_kg", "email")
"""Columns that become fields of the participant."""

KEYPOINTS = ("keypoints", "second_keypoints", "keypoints_model")
"""Columns of the keypoints of another pose model."""

COLUMNS = (
    *("video", "second_video", "calibration", *KEYPOINTS, "participant", "exercise", "joints"),
    *("name", "options", *PERSON),
)

SUFFIXES = frozenset({".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".3gp"})
"""Endings of the files in a folder that count as videos."""

_MOST_NAMED, _LONGEST_NAMED = 5, 40
"""Number of unknown columns that a message lists, and of characters of each name."""


@dataclass(frozen=True)
class Row:
    """One piece of work.

    The id of a row's session is made from the videos with their calibration and keypoints, the
    participant and the exercise. The same row therefore finds its session again, in any batch and
    on any machine.
    """

    number: int
    video: Path
    second_video: Path | None
    sha256: str
    second_sha256: str | None
    participant: str
    exercise: str
    joints: tuple[str, ...]
    name: str | None
    options: Mapping[str, Any]
    person: Mapping[str, Any] = field(default_factory=dict)
    calibration: Path | None = None
    calibration_sha256: str | None = None
    keypoints: tuple[Path, ...] = ()
    keypoints_sha256: tuple[str, ...] = ()
    keypoints_model: str | None = None

    @property
    def session_id(self) -> str:
        """Return the id of the session of this row."""
        what = [self.sha256, self.second_sha256, self.participant, self.exercise]
        if self.calibration_sha256 is not None:
            what.append(self.calibration_sha256)
        if self.keypoints_sha256:
            what += ["keypoints", *self.keypoints_sha256, json.dumps(self.subjects)]
        return f"video-{hashlib.sha256(json.dumps(what).encode()).hexdigest()[:24]}"

    @property
    def subjects(self) -> dict[str, Any]:
        """Return the options that identify the subject when keypoints are read at creation."""
        names = ("subject", "second_subject")
        return {name: self.options[name] for name in names if name in self.options}


@dataclass(frozen=True)
class Refused:
    """A file in a folder that cannot be processed, although the others can."""

    number: int
    video: Path
    participant: str
    exercise: str
    reason: str


@dataclass(frozen=True)
class Problem:
    """The reason why one row cannot be run."""

    row: int
    column: str
    message: str

    def __str__(self) -> str:
        return f"row {self.row}, column {self.column}: {self.message}"


class ManifestError(BadInputError):
    """A manifest cannot be run; all problems are in ``problems``."""

    def __init__(self, manifest: Path, problems: Sequence[Problem]) -> None:
        ordered = sorted(problems, key=lambda problem: problem.row)
        number = "1 problem" if len(ordered) == 1 else f"{len(ordered)} problems"
        fields: dict[str, list[str]] = {}
        for problem in ordered:
            fields.setdefault(f"row {problem.row}, column {problem.column}", []).append(
                problem.message
            )
        super().__init__(f"{manifest}: {number}; nothing was run", fields)
        self.problems = ordered


def read_manifest(
    path: str | os.PathLike[str],
    *,
    participant: str = "anonymous",
    exercise: str = registry.USUAL,
    here: bool = True,
) -> Sequence[Row | Refused]:
    """Read and check the work of a batch; `participant` and `exercise` are defaults.

    A CSV file has the columns `COLUMNS`, of which only ``video`` is required, and paths relative to
    its folder. All its problems are reported at once. In a folder, every video is a row, and the
    name of a subfolder is the participant. A file that cannot be read, or that equals another file,
    is rejected without affecting others. `here` is true if this machine does the work and therefore
    needs the pose models.
    """
    require_path(path, what="manifest")
    manifest = Path(path)
    if manifest.is_dir():
        return _rows_of_folder(manifest, participant, exercise)
    rows, problems = _checked(manifest, _csv_rows(manifest), participant, exercise)
    problems += _absent_models(rows) if here else []
    if problems:
        raise ManifestError(manifest, problems)
    return rows


def _absent_models(rows: Sequence[Row]) -> list[Problem]:
    """Return problems of rows that need a pose model or detector that this machine lacks."""
    faults: dict[tuple[str, str | None], str] = {}
    rows = [row for row in rows if not row.keypoints]
    for model in {_model_of(row) for row in rows}:
        try:
            require_model(model[0])
            require_detector(model[1])
        except BadInputError as error:
            faults[model] = str(error)
    return [
        Problem(row.number, "options", faults[_model_of(row)])
        for row in rows
        if _model_of(row) in faults
    ]


def _model_of(row: Row) -> tuple[str, str | None]:
    return row.options["model"], row.options.get("detector")


def check_rows(
    manifest: Path,
    entries: Iterable[tuple[int, Mapping[str, str]]],
    *,
    participant: str,
    exercise: str,
) -> list[Row]:
    """Check numbered entries of a manifest, or of a folder, and hash their videos."""
    rows, problems = _checked(manifest, entries, participant, exercise)
    if problems:
        raise ManifestError(manifest, problems)
    return rows


def _checked(
    manifest: Path,
    entries: Iterable[tuple[int, Mapping[str, str]]],
    participant: str,
    exercise: str,
) -> tuple[list[Row], list[Problem]]:
    """Return rows without problems of their own, and all problems."""
    entries = list(entries)
    folder = manifest if manifest.is_dir() else manifest.parent
    defaults = {"participant": participant, "exercise": exercise, "joints": "all"}
    rows: list[Row] = []
    problems: list[Problem] = []
    with (
        progress_bar("checking the videos", total=len(entries), unit="video") as bar,
        ThreadPoolExecutor(os.cpu_count()) as pool,
    ):
        # A list may contain a video many times.
        read_video = functools.cache(functools.partial(_video, folder))
        check = functools.partial(_check, folder, defaults, read_video)
        for row, faults in pool.map(check, *zip(*entries, strict=True)):
            problems += faults
            rows += [row] if row is not None else []
            bar.update()
    return rows, problems + _contradictions(rows)


def videos_in(folder: Path) -> list[Path]:
    """List the videos in a folder and its subfolders, in order; hidden files are left out."""
    videos = [
        file
        for pattern in ("*", "*/*")
        for file in folder.glob(pattern)
        if file.suffix.lower() in SUFFIXES
        and file.is_file()
        and not any(part.startswith(".") for part in file.relative_to(folder).parts)
    ]
    return sorted(videos)


def entry_of(folder: Path, video: Path, participant: str) -> dict[str, str]:
    """Return the columns of a video in a folder; the name of a subfolder is the participant."""
    inside = video.relative_to(folder)
    owner = inside.parts[0] if len(inside.parts) > 1 else participant
    return {"video": str(inside), "participant": owner}


def _rows_of_folder(folder: Path, participant: str, exercise: str) -> list[Row | Refused]:
    # Checked once for all videos, because no single one is the cause.
    exercise, _, _ = check_creation(user_id=participant, exercise_name=exercise)
    entries = [entry_of(folder, video, participant) for video in videos_in(folder)]
    if not entries:
        raise BadInputError(
            f"{folder}: contains no video; add a file that ends with {', '.join(sorted(SUFFIXES))}"
        )
    rows, problems = _checked(folder, enumerate(entries, 1), participant, exercise)
    row_of = {row.number: row for row in rows}
    faults: dict[int, list[str]] = {}
    for problem in problems:
        faults.setdefault(problem.row, []).append(problem.message)
    return [
        Refused(
            number=number,
            video=folder / entry["video"],
            participant=entry["participant"],
            exercise=exercise,
            reason="; ".join(faults[number]),
        )
        if number in faults
        else row_of[number]
        for number, entry in enumerate(entries, 1)
    ]


def _csv_rows(manifest: Path) -> list[tuple[int, dict[str, str]]]:
    names, table = read_csv(manifest, what="manifest")
    _check_header(manifest, names)
    problems = [
        Problem(number, names[-1], f"{len(values)} values for {len(names)} columns; quote commas")
        for number, values in table
        if len(values) > len(names)
    ]
    if problems:
        raise ManifestError(manifest, problems)
    return [
        (number, {name: value for name, value in zip(names, values, strict=False) if value})
        for number, values in table
    ]


def _shortened(name: str) -> str:
    """Shorten the name of a column for a message."""
    if not name:
        return "(without a name)"
    return name if len(name) <= _LONGEST_NAMED else f"{name[:_LONGEST_NAMED]}…"


def _check_header(manifest: Path, names: Sequence[str]) -> None:
    unknown = [name for name in names if name not in COLUMNS]
    if len(unknown) > _MOST_NAMED:
        some = ", ".join(map(_shortened, unknown[:_MOST_NAMED]))
        rest_in_words = (
            f"and {len(unknown) - _MOST_NAMED} more are unknown; choose from {', '.join(COLUMNS)}"
        )
        problems = [Problem(1, some, rest_in_words)]
    else:
        problems = [
            Problem(1, _shortened(name), f"unknown{likely(name, COLUMNS)}") for name in unknown
        ]
    problems += [
        Problem(1, name, "is given twice; give it once")
        for name in COLUMNS
        if names.count(name) > 1
    ]
    if "video" not in names:
        problems.append(Problem(1, "video", f"is missing; add it (columns: {', '.join(COLUMNS)})"))
    if problems:
        raise ManifestError(manifest, problems)


def _check(
    folder: Path,
    defaults: Mapping[str, str],
    read_video: Callable[[str], tuple[Path, str]],
    number: int,
    fields: Mapping[str, str],
) -> tuple[Row | None, list[Problem]]:
    """Check one row independently of the others."""
    values = {**defaults, **fields}
    problems: list[Problem] = []

    def tried(column: str, check: Callable[[], Any]) -> Any:
        try:
            return check()
        except MobilityError as error:
            problems.append(Problem(number, column, str(error)))
        except OSError as error:
            problems.append(Problem(number, column, error.strerror or str(error)))

    videos: dict[str, tuple[Path, str] | None] = {"video": None, "second_video": None}
    if "video" not in values:
        problems.append(Problem(number, "video", "is empty; name a video file"))
    for column in videos:
        if column in values:
            videos[column] = tried(column, functools.partial(read_video, values[column]))
    created = None
    try:
        created = check_creation(
            user_id=values["participant"],
            exercise_name=values["exercise"],
            session_name=values.get("name"),
            body_joint_angles=values["joints"],
        )
    except BadInputError as error:
        columns = {
            "user_id": "participant",
            "exercise_name": "exercise",
            "session_name": "name",
            "body_joint_angles": "joints",
        }
        for name, faults in error.fields.items():
            problems += [Problem(number, columns[name], fault) for fault in faults]
    options = None
    try:
        options = _options(values, created)
    except BadInputError as error:
        column = "calibration" if "calibration" in error.fields else "options"
        problems.append(Problem(number, column, str(error)))
    calibration = None
    if "calibration" in values and all(videos[name] for name in videos if name in values):
        sources = [pair[0] for pair in videos.values() if pair is not None]
        calibration = tried(
            "calibration", lambda: _calibration(folder, values["calibration"], sources)
        )
    keypoints: tuple[list[Path], list[str]] | None = None
    if any(name in values for name in KEYPOINTS) and options is not None:
        sources = [pair[0] for pair in videos.values() if pair is not None]
        options_of_row = options
        keypoints = tried("keypoints", lambda: _keypoints(folder, values, sources, options_of_row))
    person = {name: values[name] for name in PERSON if name in values}
    if person:
        try:
            checked = validate(
                GivenParticipant, {**person, "user_id": "x"}, what="participant"
            ).model_dump(mode="json", exclude_unset=True)
            person = {name: checked[name] for name in person}
        except BadInputError as error:
            for name, faults in error.fields.items():
                column = name if name in COLUMNS else "age"
                problems += [Problem(number, column, fault) for fault in faults]
    first = videos["video"]
    if problems or first is None or created is None or options is None:
        return None, problems
    video, digest = first
    second_video, second_digest = videos["second_video"] or (None, None)
    calibration_file, calibration_digest = calibration or (None, None)
    keypoint_files, keypoint_digests = keypoints or ([], [])
    exercise, joints, title = created
    return Row(
        number=number,
        video=video,
        second_video=second_video,
        sha256=digest,
        second_sha256=second_digest,
        participant=values["participant"],
        exercise=exercise,
        joints=tuple(joints),
        name=title,
        options=options,
        person=person,
        calibration=calibration_file,
        calibration_sha256=calibration_digest,
        keypoints=tuple(keypoint_files),
        keypoints_sha256=tuple(keypoint_digests),
        keypoints_model=values.get("keypoints_model"),
    ), []


def _place(folder: Path, text: str, *, what: str) -> Path:
    require_path(text, what=what)
    check_decodable(text, what=what)
    return Path(os.path.abspath(folder / text))  # noqa: PTH100 - keeps what links are called


def _video(folder: Path, text: str) -> tuple[Path, str]:
    """Return absolute path and SHA-256 of a video whose head can be read."""
    path = _place(folder, text, what="video")
    from mobility.capture.video import probe

    probe(path)
    return path, sha256(path)


def _calibration(folder: Path, text: str, videos: Sequence[Path]) -> tuple[Path, str]:
    """Return absolute path and SHA-256 of the camera calibration for some videos."""
    path = _place(folder, text, what="calibration")
    check_calibration(path, videos)
    return path, sha256(path)


def _keypoints(
    folder: Path, values: Mapping[str, str], videos: Sequence[Path], options: Mapping[str, Any]
) -> tuple[list[Path], list[str]]:
    """Return absolute paths and SHA-256 of the keypoints of each video, after reading them once."""
    names = [name for name in KEYPOINTS[:2] if name in values]
    paths = [_place(folder, values[name], what=name) for name in names]
    keypoint_files = read_given_keypoints(paths, videos, options, values.get("keypoints_model"))
    return paths, [file.sha256 for file in keypoint_files]


def _options(
    values: Mapping[str, str], created: tuple[str, Sequence[str], str | None] | None
) -> dict[str, Any]:
    """Return arguments of the analysis from ``fit=no; keep_raw=yes``, with all defaults."""
    texts: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in values.get("options", "").split(";"))):
        name, separator, value = (piece.strip() for piece in part.partition("="))
        if not separator or not name or not value:
            raise BadInputError(f"{part!r}: write options as name=value; name=value")
        if name in texts:
            raise BadInputError(f"{name}: is given twice; give it once")
        texts[name] = value
    options = AnalysisOptions(**given_options(texts, options_at("batch"))).for_videos(
        second="second_video" in values,
        calibrated="calibration" in values,
        detected="keypoints" not in values,
    )
    if options.movement is not None and created is not None:
        exercise, joints, _ = created
        check_movement(options.movement, registry.exercise(exercise), joints)
    return options.as_stored()


def _contradictions(rows: Sequence[Row]) -> list[Problem]:
    """Return problems of rows that are the same work, or disagree about a participant."""
    problems = []
    first_of: dict[str, Row] = {}
    first_values: dict[tuple[str, str], tuple[int, Any]] = {}
    ages = ("age", "birth_year")
    for row in rows:
        owner = f"participant {row.participant}"
        faults = []
        same = first_of.setdefault(row.session_id, row)
        if same is not row:
            text = f"is the same video, participant and exercise as row {same.number}"
            faults.append(("video", f"{row.video.name}: {text}, {same.video.name}"))
        for name, value in row.person.items():
            number, before = first_values.setdefault((row.participant, name), (row.number, value))
            if value != before:
                faults.append((name, f"{value}: {owner} has {before} in row {number}"))
        has_both = all((row.participant, name) in first_values for name in ages)
        if has_both and any(name in row.person for name in ages):
            faults.append(("age", f"{owner} has both an age and a birth year; give one"))
        problems += [Problem(row.number, *fault) for fault in faults]
    return problems
