"""Motion-BIDS: a data set of participants that other labs can open, and reading of such a data set.

The words in the files are in the table ``bids``, which also names the specification.
"""

from __future__ import annotations

import csv
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from mobility import __version__, tables
from mobility.base.formatting import shortened
from mobility.base.options import FilePath, Names, checked, likely
from mobility.base.provenance import with_history
from mobility.base.uncertain import is_error
from mobility.base.writing import atomic, make_folder, writing
from mobility.documents import of_session
from mobility.errors import BadInputError, MobilityError, NotFoundError
from mobility.keypoints.view import trial_view
from mobility.kinematics.skeleton import SIDES
from mobility.lab.lab_datasets import METRES
from mobility.pipeline.analysis import reading_results
from mobility.sessions.files import check_id, check_name, read_json, replace_folder, write_json
from mobility.sessions.record import ANONYMOUS
from mobility.sessions.session_store import SessionStore
from mobility.sessions.stored_session import StoredSession

log = logging.getLogger(__name__)

MISSING = "n/a"
"""Text of a missing value."""

NOT_STATED = "not stated"
"""Licence of a data set if none was stated."""

_OLDEST = 89.0
"""Largest age in a data set, because a higher age identifies a person."""

_DIGITS = 6
"""Decimals of a number: micrometres, millionths of a degree, microseconds."""

_SYSTEM = "tracksys-phone"

_TEXT_UNITS = {"second": "s", "degree": "deg", "percent": "%"}
"""Units as the specification spells them, by our own spelling."""

_FIRST = "FirstSampleTime"
"""Key of motion.json: time of the first frame in the video, in seconds."""


@dataclass(frozen=True)
class _Planned:
    """A session, and the label and files that it gets in the data set."""

    session: StoredSession
    participant: str
    """Label, such as ``sub-p01``."""
    folder: str
    """Folder of the participant, or of the visit, in the data set."""
    stem: str
    """Beginning of the names of its files."""

    @property
    def motion(self) -> str:
        return f"{self.folder}/motion/{self.stem}_motion.tsv"


@checked
def to_bids(
    store: SessionStore[Any],
    user_ids: Names,
    folder: FilePath,
    *,
    dates: bool = False,
    license: str | None = None,
) -> Path:
    """Write the sessions of participants as a Motion-BIDS data set.

    Each analysed session becomes a recording with the positions of the fitted body, the angles of
    the report, their errors, and the repetitions with their moments. Videos, names, e-mail
    addresses and session ids are not part of the data set. A session without results, or whose
    record cannot be read, is left out and logged.

    A label of BIDS has only letters and digits. Other characters of an id are left out, and a
    number is added if another participant has that label. The table that lists the participant and
    the session of each recording identifies people. It is therefore written beside the folder, as
    ``<folder>-key.tsv``, and not into it.

    Parameters
    ----------
    store
        The store.
    user_ids
        Participants.
    folder
        Folder to make; it may exist if it is empty.
    dates
        Whether to include the date and time of each recording.
    license
        Licence of the data set, such as "CC0"; otherwise "not stated".

    Returns
    -------
    pathlib.Path
        The folder.

    Raises
    ------
    BadInputError
        The folder is not empty, or an id is invalid or "anonymous".
    NotFoundError
        There is no such participant, or the participant has no session with results.
    """
    target = Path(folder).absolute()
    stated = NOT_STATED if license is None else check_name(license, what="license")
    key = key_of(target)
    _check_free(target, key)
    recordings = _planned(store, list(dict.fromkeys(user_ids)))
    with replace_folder(target, what=f"the folder {folder}") as unfinished:
        for recording in recordings:
            _write_recording(recording, unfinished)
        _write_scans(recordings, unfinished, dates=dates)
        _write_participants(recordings, unfinished)
        _write_description(unfinished, dates=dates, license=stated)
        rows = [
            {
                "file": recording.motion,
                "participant": recording.session.record.user_id,
                "session_id": recording.session.id,
            }
            for recording in recordings
        ]
        _write_table(key, rows)
    return Path(folder)


def key_of(folder: Path) -> Path:
    """Return the path of the table beside a data set that lists participants and sessions."""
    return folder.with_name(f"{folder.name}-key.tsv")


def _check_free(folder: Path, key: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise BadInputError(f"{folder}: is a file. Name a folder")
    if folder.is_dir() and (names := sorted(path.name for path in folder.iterdir())):
        raise BadInputError(
            f"{folder}: is not empty ({shortened(names, most=3)}), and a data set is never "
            "overwritten. Name a new folder, or delete this one first"
        )
    head = "\t".join(tables.load("bids")["key"])
    if key.exists() and not (key.is_file() and key.read_bytes().startswith(head.encode())):
        raise BadInputError(f"{key}: exists, and is not a key of a data set. Name another folder")


def _planned(store: SessionStore[Any], user_ids: Sequence[str]) -> list[_Planned]:
    """Choose the sessions, and name their files: by participant, visit, task and run."""
    if not user_ids:
        raise BadInputError.of({"user_ids": "names no participant; name at least one"})
    for user_id in user_ids:
        check_id(user_id, what="user_ids")
        if user_id == ANONYMOUS:
            fault = "sessions of 'anonymous' may belong to different people; name a participant"
            raise BadInputError.of({"user_ids": fault})
    of_people = {user_id: _sessions_with_results(store, user_id) for user_id in user_ids}
    visits = {
        user_id: sorted({session.record.created_at.date() for session in sessions})
        for user_id, sessions in of_people.items()
    }
    labels = _labels(user_ids)
    has_visits = any(len(days) > 1 for days in visits.values())
    groups: dict[tuple[str, str, str], list[StoredSession]] = {}
    for user_id, sessions in of_people.items():
        subject = f"sub-{labels[user_id]}"
        for session in sessions:
            record = session.record
            visit = f"ses-{visits[user_id].index(record.created_at.date()) + 1}"
            task = _label(record.exercise) or _label(record.kind.slug)
            groups.setdefault((subject, visit if has_visits else "", task), []).append(session)
    recordings = []
    for (subject, visit, task), sessions in groups.items():
        place = [subject, *([visit] if visit else [])]
        for number, session in enumerate(sessions, start=1):
            run = [f"run-{number}"] if len(sessions) > 1 else []
            stem = "_".join([*place, f"task-{task}", _SYSTEM, *run])
            recordings.append(_Planned(session, subject, "/".join(place), stem))
    return recordings


def _label(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]", "", text)


def _labels(user_ids: Sequence[str]) -> dict[str, str]:
    """Return a label for each participant; labels differ by more than capitals.

    An id that is a label keeps it, if no earlier one differs from it only by capitals.
    """
    labels: dict[str, str] = {}
    for user_id in sorted(user_ids, key=lambda name: _label(name) != name):
        taken = {label.lower() for label in labels.values()}
        label, number = _label(user_id), 2
        while label.lower() in taken:
            label, number = f"{_label(user_id)}x{number}", number + 1
        labels[user_id] = label
    return labels


def _sessions_with_results(store: SessionStore[Any], user_id: str) -> list[StoredSession]:
    """Return the analysed sessions of a participant, oldest first; log those left out."""
    ids = [session_id for session_id, owner in store.owners().items() if owner == user_id]
    if not ids and user_id not in (people := store.participants()):
        raise NotFoundError(
            f"participant {user_id}: not in the store {store.place}{likely(user_id, people)}"
        )
    sessions = []
    for session_id in ids:
        try:
            session = store.session(session_id)
            if {"fitted", "angles", "repetitions"} <= session.record.stages.keys():
                sessions.append(session)
            else:
                log.warning("session %s is left out: it has no results", session_id)
        except MobilityError as error:
            log.warning("session %s is left out: %s", session_id, error)
    if not sessions:
        raise NotFoundError(
            f"participant {user_id}: has no session with results. Analyse one, or leave this "
            "participant out"
        )
    return sorted(sessions, key=lambda session: (session.record.created_at, session.id))


def recording_of(session: StoredSession) -> xr.Dataset:
    """Return what a data set contains of a session, in one Dataset.

    Returns
    -------
    xarray.Dataset
        ``position`` (time, space, keypoint) of the fitted body in metres, y up; the angles of the
        report and their errors (time, side) or (time,) in degrees; the variables of the repetitions
        over ``rep``, times in seconds.
    """
    with reading_results(session):
        fitted, repetitions = session.fitted(), session.repetitions()
        angles = of_session.angles(session)
        position = fitted["position"].isel(individual=0, drop=True)
        angles = angles[[name for name, values in angles.items() if "time" in values.dims]]
        events = repetitions[[name for name, v in repetitions.items() if v.dims == ("rep",)]]
        parts = [position.to_dataset(name="position"), angles, events]
        view = trial_view(fitted)
    recording = xr.merge(parts, join="exact", compat="no_conflicts", combine_attrs="drop_conflicts")
    record = session.record
    recording.attrs = {
        "exercise": record.exercise,
        **({"movement": record.movement} if record.movement else {}),
        "view": view,
        "verdict": record.verdict,
        "source_software": record.origin.source_software,
    }
    return recording


# Writing.


def _write_recording(planned: _Planned, root: Path) -> None:
    recording = recording_of(planned.session)
    time = recording["time"].to_numpy()
    if time.size < 2:
        raise BadInputError(f"session {planned.session.id}: has {time.size} frames; 2 are needed")
    channels, columns = _channels(recording)
    with writing(root):
        make_folder(root / planned.folder / "motion")
    stem = root / planned.folder / "motion" / planned.stem
    table = np.column_stack([time - time[0], *columns])
    rows = ["\t".join(map(_cell, row)) for row in table.tolist()]
    _write_text(Path(f"{stem}_motion.tsv"), "\n".join(rows) + "\n")
    _write_table(Path(f"{stem}_channels.tsv"), channels)
    write_json(f"{stem}_channels.json", _channels_document(recording))
    write_json(f"{stem}_motion.json", _motion_document(recording, channels))
    if recording.sizes.get("rep"):
        _write_table(Path(f"{stem}_events.tsv"), _event_rows(recording))
        write_json(f"{stem}_events.json", _events_document(recording))


def _channels(recording: xr.Dataset) -> tuple[list[dict[str, str]], list[Any]]:
    """Return a row for each channel, and the values of each channel but the first (the time)."""
    rows = [_channel("latency", "LATENCY", "s", quantity="time")]
    columns = []
    for keypoint in recording["keypoint"].to_numpy().tolist():
        for axis in recording["space"].to_numpy().tolist():
            values = recording["position"].sel(keypoint=keypoint, space=axis)
            more = {"component": axis, "tracked_point": keypoint, "reference_frame": "camera"}
            name = f"{keypoint}_{axis}"
            rows.append(_channel(name, "POS", "m", values, quantity="position", **more))
            columns.append(values.to_numpy())
    angles = [(name, values) for name, values in recording.items() if _is_angle(values)]
    for kind in ("JNTANG", "MISC"):
        for name, values in angles:
            if is_error(name) == (kind == "JNTANG"):
                continue
            part = str(name).split("_")[0]
            sided = "side" in values.dims
            for side in values["side"].to_numpy().tolist() if sided else [""]:
                one = values.sel(side=side) if sided else values
                prefix = f"{side}_" if sided else ""
                more = {"tracked_point": f"{prefix}{part}", "reference_frame": "joint"}
                row = _channel(f"{prefix}{name}", kind, "deg", one, quantity=str(name), **more)
                rows.append(row)
                columns.append(one.to_numpy())
    return rows, columns


def _is_angle(values: xr.DataArray) -> bool:
    return "time" in values.dims and "keypoint" not in values.dims


def _channel(
    name: str, kind: str, units: str, values: xr.DataArray | None = None, **more: str
) -> dict[str, str]:
    is_empty = values is not None and not values.notnull().any()
    reason = "" if values is None else str(values.attrs.get("refused", ""))
    row = dict.fromkeys(tables.load("bids")["channels"], MISSING)
    return row | {
        **{"name": name, "type": kind, "units": units},
        **{"status": "bad" if is_empty else "good", "status_description": reason or MISSING},
        **more,
    }


def _channels_document(recording: xr.Dataset) -> dict[str, Any]:
    words = tables.load("bids")
    document: dict[str, Any] = {
        name: {"Description": text} for name, text in words["channels"].items()
    }
    document["quantity"]["Levels"] = words["quantities"] | {
        str(name): _definition(values) for name, values in recording.items() if _is_angle(values)
    }
    camera = words["frames"]["camera"].format(
        **{name: recording["position"].attrs.get(name, "not known") for name in ("axes", "origin")}
    )
    frames = {"camera": camera, "joint": words["frames"]["joint"]}
    document["reference_frame"]["Levels"] = {
        name: {"Description": text} for name, text in frames.items()
    }
    return document


def _definition(values: xr.DataArray) -> str:
    parts = [str(values.attrs.get("long_name", values.name))]
    for name in ("segments", "plane", "zero", "positive", "reference"):
        if name in values.attrs:
            parts.append(f"{name}: {values.attrs[name]}")
    return "; ".join(parts)


def _motion_document(
    recording: xr.Dataset, channels: Sequence[Mapping[str, str]]
) -> dict[str, Any]:
    time = recording["time"].to_numpy()
    attrs = recording.attrs
    rate = float(time.size - 1) / float(time[-1] - time[0])
    kinds = [channel["type"] for channel in channels]
    words = tables.load("bids")
    system = words["tracking_system"].format(software=attrs["source_software"])
    return {
        "TaskName": attrs["exercise"],
        "SamplingFrequency": rate,
        "SamplingFrequencyEffective": rate,
        "RecordingDuration": float(time[-1] - time[0]),
        "RecordingType": "continuous",
        "TrackingSystemName": system,
        "SoftwareVersions": f"mobility {__version__}",
        "MissingValues": MISSING,
        "MotionChannelCount": len(channels),
        "TrackedPointsCount": recording.sizes["keypoint"],
        **{f"{kind}ChannelCount": kinds.count(kind) for kind in words["types"]},
        _FIRST: float(time[0]),
        **{_key(name): value for name, value in attrs.items() if name in _OURS},
    }


_OURS = ("movement", "view", "verdict", "source_software")
"""Attributes of a recording that motion.json keeps, and that are read again."""


def _key(name: str) -> str:
    return "".join(part.title() for part in name.split("_"))


def _event_rows(recording: xr.Dataset) -> list[dict[str, str]]:
    """Return a row for each repetition, with all its values, and for each of its moments."""
    first = float(recording["time"][0])
    events = recording[[name for name, values in recording.items() if values.dims == ("rep",)]]
    moments = _moments(events)
    others = [str(name) for name in events if name not in (*moments, "start", "end")]
    rows: list[tuple[float, dict[str, str]]] = []
    for i, number in enumerate(events["rep"].to_numpy().tolist()):
        one = events.isel(rep=i)
        start, end = float(one["start"]), float(one["end"])
        row = _event(start - first, end - start, "repetition", number)
        rows.append((start, row | {name: _text(one[name].item()) for name in others}))
        for name in moments:
            at = float(one[name])
            if np.isfinite(at):
                row = _event(at - first, 0.0, name, number)
                rows.append((at, row | dict.fromkeys(others, MISSING)))
    return [row for _, row in sorted(rows, key=lambda item: item[0])]


def _moments(events: xr.Dataset) -> list[str]:
    return [
        str(name)
        for name, values in events.items()
        if _unit(values) == "s" and name not in ("start", "end")
    ]


def _event(onset: float, duration: float, kind: str, number: int) -> dict[str, str]:
    head = {"onset": _cell(onset), "duration": _cell(duration), "trial_type": kind}
    return {**head, "repetition": str(number)}


def _events_document(recording: xr.Dataset) -> dict[str, Any]:
    words = tables.load("bids")
    document: dict[str, Any] = {name: {**entry} for name, entry in words["events"].items()}
    events = recording[[name for name, values in recording.items() if values.dims == ("rep",)]]
    levels = {"repetition": words["repetition"]}
    moments = _moments(events)
    for name, values in events.items():
        text = str(values.attrs.get("long_name", str(name).replace("_", " ")))
        if name in moments:
            levels[str(name)] = text
        elif name not in ("start", "end"):
            units = {"Units": _unit(values)} if values.dtype.kind == "f" else {}
            document[str(name)] = {"Description": text, **units}
    document["trial_type"]["Levels"] = levels
    return document


def _unit(values: xr.DataArray) -> str:
    units = str(values.attrs.get("units", "1"))
    return _TEXT_UNITS.get(units, units)


def _write_scans(recordings: Sequence[_Planned], root: Path, *, dates: bool) -> None:
    for folder in dict.fromkeys(recording.folder for recording in recordings):
        rows = []
        for recording in recordings:
            if recording.folder == folder:
                row = {"filename": recording.motion.removeprefix(f"{folder}/")}
                when = recording.session.record.created_at
                rows.append(row | ({"acq_time": f"{when:%Y-%m-%dT%H:%M:%S}"} if dates else {}))
        _write_table(root / folder / f"{folder.replace('/', '_')}_scans.tsv", rows)


def _write_participants(recordings: Sequence[_Planned], root: Path) -> None:
    words = tables.load("bids")["participants"]
    rows: dict[str, dict[str, str]] = {}
    for recording in recordings:
        if recording.participant in rows:
            continue
        person = recording.session.participant
        age = sex = height = weight = None
        if person is not None:
            age = person.age_in(recording.session.record.created_at.year)
            age = None if age is None else min(age, _OLDEST)
            sex = None if person.sex is None else person.sex[0].upper()
            height, weight = person.height_m, person.weight_kg
        values = (recording.participant, sex, age, height, weight)
        cells = [_text(value) for value in values]
        rows[recording.participant] = dict(zip(words, cells, strict=True))
    _write_table(root / "participants.tsv", list(rows.values()))
    write_json(root / "participants.json", words)


def _write_description(root: Path, *, dates: bool, license: str) -> None:
    words = tables.load("bids")
    purpose = tables.sentence("warnings.export.purpose")
    with_dates = words["dates"]["with" if dates else "without"]
    given = {"name": words["name"], "version": __version__, "license": license}
    text = words["readme"].format(purpose=purpose, dates=with_dates, **given)
    _write_text(root / "README", text)
    description = {
        "Name": words["name"],
        "BIDSVersion": words["version"],
        "DatasetType": "raw",
        "License": license,
        "Purpose": purpose,
        "GeneratedBy": [{"Name": "mobility", "Version": __version__}],
    }
    write_json(root / "dataset_description.json", description)


def _cell(number: float) -> str:
    return f"{number:.{_DIGITS}f}" if np.isfinite(number) else MISSING


def _text(value: object) -> str:
    """Return a value as a cell: numbers, flags in lower case, and text in one line."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.9g}" if np.isfinite(value) else MISSING
    return " ".join(str("" if value is None else value).split()) or MISSING


def _write_table(path: Path, rows: Sequence[Mapping[str, str]]) -> None:
    lines = ["\t".join(rows[0]), *("\t".join(row.values()) for row in rows)]
    _write_text(path, "\n".join(lines) + "\n")


def _write_text(path: Path, text: str) -> None:
    with atomic(path) as hidden:
        hidden.write_text(text, encoding="utf-8")


# Reading.


@checked
def read_bids(folder: FilePath) -> dict[str, xr.Dataset]:
    """Read the recordings of a Motion-BIDS data set.

    Parameters
    ----------
    folder
        Folder of the data set, from :meth:`mobility.Store.to_bids` or another program.

    Returns
    -------
    dict of str to xarray.Dataset
        The recordings by the beginning of their file names (``sub-p01_task-Squat_tracksys-phone``).
        Each has ``time`` in seconds, and ``position`` (time, space, keypoint) in metres. It has a
        variable for each joint angle and each other channel, over time, and also over ``side`` if
        the name of the angle begins with left or right; angles are in degrees. The repetitions are
        over ``rep``, times in seconds. An angle that was not reported has the reason in the
        attribute ``refused``. The attributes are ``participant``, ``session`` ("" without visits),
        ``exercise``, and, if this package wrote the data set, ``view``, ``verdict``,
        ``source_software`` and possibly ``movement``.

    Raises
    ------
    NotFoundError
        There is no such folder.
    BadInputError
        The folder is not a data set, has no motion, or a file is damaged.
    """
    root = Path(folder)
    if not root.is_dir():
        raise NotFoundError(f"{root}: no such folder. Name the folder of a data set")
    if not (root / "dataset_description.json").is_file():
        fault = "is not a BIDS data set, because dataset_description.json is missing"
        raise BadInputError(f"{root}: {fault}. Name the folder that contains it")
    files = sorted(root.glob("sub-*/**/motion/*_motion.tsv"))
    if not files:
        raise BadInputError(f"{root}: has no motion (*_motion.tsv). Name another data set")
    return {file.name.removesuffix("_motion.tsv"): _read_recording(file) for file in files}


def _read_recording(file: Path) -> xr.Dataset:
    stem = file.name.removesuffix("_motion.tsv")
    beside = file.with_name(stem)
    document = read_json(f"{beside}_motion.json")
    channels = _read_table(Path(f"{beside}_channels.tsv"))
    needed = ("name", "component", "type", "tracked_point", "units")
    if absent := [name for name in needed if name not in channels]:
        raise BadInputError(f"{beside}_channels.tsv: lacks {', '.join(absent)}. Add these columns")
    values = _read_numbers(file)
    if values.shape[1] != len(channels):
        raise BadInputError(
            f"{file}: has {values.shape[1]} columns, but its channels.tsv lists {len(channels)}. "
            "Restore both files"
        )
    time = _read_time(document, channels, values, file)
    recording = _read_channels(channels, values, file)
    recording = recording.assign_coords(time=("time", time, {"units": "s"}))
    events = Path(f"{beside}_events.tsv")
    if events.is_file():
        recording = recording.merge(_read_events(events, float(time[0])), compat="no_conflicts")
    entities = dict(part.split("-", 1) for part in stem.split("_") if "-" in part)
    attrs = {name: document[_key(name)] for name in _OURS if _key(name) in document}
    recording.attrs = {
        "participant": entities.get("sub", ""),
        "session": entities.get("ses", ""),
        "exercise": str(document.get("TaskName", entities.get("task", ""))),
        **{name: str(value) for name, value in attrs.items()},
    }
    return with_history(recording, "read_bids", {"file": file.name})


def _read_time(document: Any, channels: pd.DataFrame, values: Any, file: Path) -> Any:
    place = f"{file.name.removesuffix('.tsv')}.json"
    if not isinstance(document, dict):
        raise BadInputError(f"{place}: is not a JSON object. Restore it")
    latency = np.flatnonzero(channels["type"].eq("LATENCY"))
    first, rate = document.get(_FIRST, 0.0), document.get("SamplingFrequency")
    if not isinstance(first, int | float):
        raise BadInputError(f"{place}: {_FIRST} is not a number. Restore it")
    if latency.size:
        return values[:, latency[0]] + first
    if not isinstance(rate, int | float) or not rate > 0:
        raise BadInputError(f"{place}: SamplingFrequency is not a number above 0. Restore it")
    return np.arange(len(values)) / rate


def _read_channels(channels: pd.DataFrame, values: Any, file: Path) -> xr.Dataset:
    variables: dict[str, Any] = {}
    is_place = channels["type"].eq("POS")
    points = list(dict.fromkeys(channels.loc[is_place, "tracked_point"]))
    position = np.full((len(values), 3, len(points)), np.nan)
    sided: dict[str, dict[str, Any]] = {}
    attrs: dict[str, dict[str, Any]] = {}
    for column, channel in enumerate(channels.to_dict("records")):
        name, units, kind = channel["name"], channel["units"], channel["type"]
        one = values[:, column]
        if kind == "LATENCY":
            continue
        if kind == "POS":
            if units not in METRES or channel["component"] not in ("x", "y", "z"):
                fault = f"position {name!r} in {units!r} along {channel['component']!r}"
                raise BadInputError(f"{file}: cannot read the {fault}. Use x, y, z in m, cm or mm")
            at = "xyz".index(channel["component"]), points.index(channel["tracked_point"])
            position[:, at[0], at[1]] = METRES[units] * one
            continue
        if units == "rad" and kind == "JNTANG":
            one, units = np.degrees(one), "deg"
        side, _, rest = name.partition("_")
        is_sided = side in SIDES and bool(rest) and kind in ("JNTANG", "MISC")
        variable = rest if is_sided else name
        spelled = {"deg": "degree"}.get(units, units)
        reason = channel.get("status_description", MISSING)
        attrs[variable] = {"units": spelled} | ({"refused": reason} if reason != MISSING else {})
        if is_sided:
            sided.setdefault(variable, {})[side] = one
        else:
            variables[variable] = ("time", one, attrs[variable])
    for name, sides in sided.items():
        empty = np.full(len(values), np.nan)
        both = np.column_stack([sides.get(side, empty) for side in SIDES])
        variables[name] = (("time", "side"), both, attrs[name])
    coords = {"side": list(SIDES)} if sided else {}
    if points:
        variables["position"] = (("time", "space", "keypoint"), position, {"units": "m"})
        coords |= {"space": list("xyz"), "keypoint": points}
    return xr.Dataset(variables, coords)


def _read_events(file: Path, first: float) -> xr.Dataset:
    """Return the repetitions in a table of events; without any, an empty Dataset."""
    table = _read_table(file)
    if "repetition" not in table or table.empty:
        return xr.Dataset()
    document = read_json(file.with_suffix(".json"))
    numbers = table[["onset", "duration", "repetition"]].apply(pd.to_numeric, errors="coerce")
    is_whole = table["trial_type"].eq("repetition")
    whole = table[is_whole].set_index(numbers.loc[is_whole, "repetition"].astype(int))
    start = numbers.loc[is_whole, "onset"].to_numpy() + first
    end = start + numbers.loc[is_whole, "duration"].to_numpy()
    variables: dict[str, Any] = {
        "start": ("rep", start, {"units": "s"}),
        "end": ("rep", end, {"units": "s"}),
    }
    for name, rows in table[~is_whole].groupby("trial_type", sort=False):
        of_moment = numbers.loc[rows.index]
        times = pd.Series(of_moment["onset"].to_numpy() + first, of_moment["repetition"])
        variables[str(name)] = ("rep", times.reindex(whole.index).to_numpy(), {"units": "s"})
    for name in [name for name in table if name not in tables.load("bids")["events"]]:
        units = document.get(name, {}).get("Units")
        variables[str(name)] = ("rep", *_read_column(whole[name], units))
    return xr.Dataset(variables, {"rep": whole.index.to_numpy()})


def _read_column(cells: pd.Series[str], units: str | None) -> tuple[Any, dict[str, str]]:
    """Return a column as numbers if it has a unit, else as flags or as text."""
    if units is not None:
        spelled = {ours_in_bids: ours for ours, ours_in_bids in _TEXT_UNITS.items()}
        numbers = pd.to_numeric(cells, errors="coerce").to_numpy(float)
        return numbers, {"units": spelled.get(units, units)}
    if cells.isin(["true", "false"]).all():
        return cells.eq("true").to_numpy(), {}
    return cells.where(cells.ne(MISSING), "").to_numpy(str), {}


def _read_table(file: Path) -> pd.DataFrame:
    options: dict[str, Any] = {"dtype": str, "keep_default_na": False}
    return _parsed(file, **options)


def _read_numbers(file: Path) -> Any:
    options: dict[str, Any] = {"header": None, "dtype": float, "na_values": [MISSING]}
    values = _parsed(file, **options).to_numpy()
    if len(values) < 2:
        raise BadInputError(f"{file}: has {len(values)} frames. At least 2 are needed")
    return values


def _parsed(file: Path, **options: Any) -> pd.DataFrame:
    try:
        return pd.read_csv(file, sep="\t", quoting=csv.QUOTE_NONE, **options)
    except FileNotFoundError:
        raise NotFoundError(f"{file}: no such file. Restore it") from None
    except (OSError, ValueError) as error:  # also if it is not UTF-8, is empty or has other rows
        raise BadInputError(f"{file}: cannot be read ({error}). Restore it") from None
