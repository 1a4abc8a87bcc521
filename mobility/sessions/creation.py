"""Checks before a session is created, and the copying of its files."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from mobility import tables
from mobility.base.options import likely_of_all, quoted
from mobility.base.provenance import history, last_of, sha256
from mobility.catalogue import registry
from mobility.catalogue.exercise import Exercise
from mobility.catalogue.joints import JOINTS, MEASURED, Joint
from mobility.errors import BadInputError
from mobility.keypoints.sources import MEDIAPIPE, SOFTWARE, SOURCE
from mobility.sessions.analysis_options import check_movement
from mobility.sessions.files import (
    check_decodable,
    check_id,
    check_name,
    check_visible,
    open_private,
    write_dataset,
    writing,
)
from mobility.sessions.record import ANONYMOUS, CalibrationFile, KeypointsFile, VideoFile, now

if TYPE_CHECKING:
    import xarray as xr

_BLOCK = 1 << 20

_FIRST_YEAR = 1900


def new_session_id(created: datetime.datetime) -> str:
    """Return an ID for a session that is created now; it consists of the time and a random part."""
    return f"{created:%Y%m%d-%H%M%S}-{token_hex(4)}"


def taken_at(date: datetime.date | str | None) -> datetime.datetime:
    """Return the recording time; a date alone gets the current time of day and UTC offset.

    Raises
    ------
    BadInputError
        The value is not a date, or is in the future.
    """
    moment = now()
    if date is None:
        return moment
    day = _read_date(date)
    if day.year < _FIRST_YEAR:
        raise BadInputError.of({"date": f"must be from {_FIRST_YEAR} on (got {quoted(f'{date}')})"})
    if not isinstance(day, datetime.datetime):
        day = datetime.datetime.combine(day, moment.time())
    taken = day if day.tzinfo else day.astimezone()
    if taken > moment:
        fault = f"is in the future; it is now {moment:%Y-%m-%d %H:%M} (got {quoted(f'{date}')})"
        raise BadInputError.of({"date": fault})
    return taken.replace(microsecond=0)


def _read_date(date: datetime.date | str) -> datetime.date:
    """Read a date, or a date and time."""
    if isinstance(date, datetime.date):
        return date
    for read in (datetime.date.fromisoformat, datetime.datetime.fromisoformat):
        with suppress(ValueError):
            return read(date)
    fault = f"must have the form 2026-11-30 or 2026-11-30T10:15 (got {quoted(date)})"
    raise BadInputError.of({"date": fault})


def check_creation(
    *,
    user_id: str = ANONYMOUS,
    exercise_name: str | None = None,
    session_name: str | None = None,
    body_joint_angles: str | Sequence[str] = "all",
    movement: str | None = None,
) -> tuple[str, list[Joint], str | None]:
    """Return the exercise, joints and name of a new session."""
    faults: dict[str, list[str]] = {}

    def tried(check: Callable[[], Any]) -> Any:
        try:
            return check()
        except BadInputError as error:
            faults.update(error.fields)

    tried(lambda: check_id(user_id, what="user_id"))
    exercise = registry.of_single_joints()
    if exercise_name is not None or movement is None:
        exercise = tried(lambda: registry.exercise(exercise_name))
    joints = tried(lambda: _joints(body_joint_angles, exercise))
    if movement is not None and exercise and joints:
        every = body_joint_angles == "all" or list(body_joint_angles) == ["all"]
        joints = tried(lambda: _joints_of(movement, exercise, None if every else joints))
    name = session_name
    if session_name is not None:
        name = tried(lambda: check_name(session_name, what="session_name"))
    if faults:
        raise BadInputError.of(faults)
    return exercise.name, joints, name


def _joints_of(movement: str, exercise: Exercise, joints: list[Joint] | None) -> list[Joint]:
    """Return the joints of a session that measures a movement: by default the movement's joint."""
    from mobility.assessment.movements import movement as entry_of

    measured_joints = joints or [cast("Joint", entry_of(movement)["joint"])]
    check_movement(movement, exercise, measured_joints)
    return measured_joints


def _joints(joints: str | Sequence[str], exercise: Exercise | None) -> list[Joint]:
    parts = joints.split(",") if isinstance(joints, str) else joints
    names = [name.strip() for part in parts for name in part.split(",")]
    choices = (*MEASURED, "all")
    for name in names or [""]:
        if name not in choices:
            fault = f"there is no {quoted(name)}{likely_of_all(name, choices)}"
            raise BadInputError.of({"body_joint_angles": fault})
    if exercise is not None and (wrong := [j for j in names if j not in (*exercise.joints, "all")]):
        where = " or ".join(e.name for e in registry.exercises() if wrong[0] in e.joints)
        fault = f"{wrong[0]!r} is measured only in {where}"
        raise BadInputError.of({"body_joint_angles": fault})
    wanted_joints = {*names, *(JOINTS if "all" in names else ())}
    return [joint for joint in MEASURED if joint in wanted_joints]


def checked_video(video: str | os.PathLike[str]) -> Path:
    """Return the path of a video that can be decoded."""
    source = Path(video)
    check_decodable(source.name, what="video")
    check_visible(source.name, what="video")
    from mobility.capture.video import probe

    probe(source)
    return source


def check_calibration(calibration: str | os.PathLike[str], videos: Sequence[Path]) -> None:
    """Raise an error unless a calibration belongs to the cameras of some videos."""
    from mobility.capture.video import probe
    from mobility.kinematics.calibration import read_calibration

    cameras = read_calibration(calibration).of([video.name for video in videos])
    infos = [probe(video) for video in videos]
    cameras.fitting([(info.width, info.height) for info in infos])


class GivenKeypoints(NamedTuple):
    """Keypoints of a video: the imported files, and the pose made from them."""

    source: Path
    pose: xr.Dataset

    @property
    def sha256(self) -> str:
        """Digest of the imported file or folder."""
        return str(last_of(history(self.pose), "read_keypoints")["file_sha256"])


def read_given_keypoints(
    keypoints: Sequence[Path], videos: Sequence[Path], options: Mapping[str, Any], model: str | None
) -> list[GivenKeypoints]:
    """Read the keypoints of each video; keypoints from another video raise an error.

    `options` are those of the analysis; ``subject`` and ``second_subject`` select the person.
    """
    if not keypoints:
        if model is not None:
            fault = (
                "names the model of imported keypoints; add them with keypoints, or leave it out"
            )
            raise BadInputError.of({"keypoints_model": fault})
        return []
    if len(keypoints) != len(videos):
        number = "1 video" if len(videos) == 1 else f"{len(videos)} videos"
        fault = f"pass one file or folder for each video (got {len(keypoints)} for {number})"
        raise BadInputError.of({"keypoints": fault})
    if model is not None:
        model = check_name(model, what="keypoints_model")
    from mobility.exchange.keypoint_files import keypoints_of_video

    keypoints_of_videos = []
    for source, video, name in zip(keypoints, videos, ("subject", "second_subject"), strict=False):
        check_decodable(source.name, what="keypoints")
        check_visible(source.name, what="keypoints")
        place = options.get(name)
        subject = None if place in (None, "largest") else (float(place[0]), float(place[1]))
        pose = keypoints_of_video(source, video, subject=subject, model=model)
        keypoints_of_videos.append(GivenKeypoints(source, _with_model(pose, is_named=bool(model))))
    return keypoints_of_videos


_FORMATS = ("CSV", "DeepLabCut", "SLEAP", "movement")
"""Names of formats, which stand for the model of the keypoints if it is not named."""


def _with_model(pose: xr.Dataset, *, is_named: bool) -> xr.Dataset:
    """Replace the name of a model if it is only a file format, or is not verified to be MediaPipe.

    The errors of MediaPipe are known only for keypoints that this package found.
    """
    software = str(pose.attrs[SOFTWARE])
    if pose.attrs[SOURCE] == MEDIAPIPE:
        return pose
    if software in _FORMATS and not is_named:
        name = tables.sentence("report.model.unnamed", format=software)
    elif MEDIAPIPE in software.casefold():
        name = tables.sentence("report.model.not_verified", software=software)
    else:
        return pose
    entries = history(pose)
    for entry in entries:
        for warning in entry.get("warnings", []):
            if warning["code"] == "errors_of_another_model":
                warning.update(
                    tables.warning("warnings.errors_of_another_model.source", software=name)
                )
    return pose.assign_attrs({SOFTWARE: name, "history": json.dumps(entries, sort_keys=True)})


def copied_files(
    videos: Sequence[Path],
    calibration: str | os.PathLike[str] | None,
    folder: Path,
    keypoints: Sequence[GivenKeypoints] = (),
) -> dict[str, Any]:
    """Copy the files of a session into its folder, and return the fields for its record."""
    copies: dict[str, Any] = {}
    names = {"video": "video", "second_video": "video-2"}
    for (field, name), source in zip(names.items(), videos, strict=False):
        copies[field] = VideoFile(**_copied(source, folder, name))
    if len(videos) > 1 and copies["video"].sha256 == copies["second_video"].sha256:
        fault = "is the same as the first; use the video of another camera"
        raise BadInputError.of({"second_video": f"{videos[1].name} {fault}"})
    if calibration is not None:
        copied = _copied(Path(calibration), folder, "calibration")
        copies["calibration"] = CalibrationFile(**copied)
    fields = {"keypoints": "keypoints.nc", "second_keypoints": "keypoints-2.nc"}
    for (field, name), imported in zip(fields.items(), keypoints, strict=False):
        target = folder / name
        write_dataset(target, imported.pose)
        copies[field] = KeypointsFile(
            file=name,
            original_name=imported.source.name,
            sha256=imported.sha256,
            size=target.stat().st_size,
            copy_sha256=sha256(target),
            model=str(imported.pose.attrs["source_software"]),
        )
    return copies


def _copied(source: Path, folder: Path, name: str) -> dict[str, Any]:
    """Copy a file in blocks, and compute its hash at the same time."""
    suffix = source.suffix.lower()
    if not (suffix[1:].isascii() and suffix[1:].isalnum() and len(suffix) <= 8):
        suffix = ".video"
    target = folder / f"{name}{suffix}"
    digest = hashlib.sha256()
    size = 0
    try:
        original = source.open("rb")
    except OSError as error:
        raise BadInputError(f"{source}: cannot be read ({error.strerror})") from error
    with original, writing(target), open_private(target, "xb") as copy:
        while block := original.read(_BLOCK):
            digest.update(block)
            size += len(block)
            copy.write(block)
        copy.flush()
        os.fsync(copy.fileno())
    return {
        "file": target.name,
        "original_name": source.name,
        "sha256": digest.hexdigest(),
        "size": size,
    }
