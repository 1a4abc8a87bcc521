"""Export of participants' sessions as a Motion-BIDS data set, which other labs can open.

The words in its files are in the table ``bids``, which also names the specification.
"""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from mobility import __version__, tables
from mobility.base.formatting import shortened
from mobility.base.options import FilePath, Names, checked, likely
from mobility.base.uncertain import is_sd
from mobility.base.writing import atomic, make_folder, writing
from mobility.documents import of_session
from mobility.errors import BadInputError, MobilityError, NotFoundError
from mobility.keypoints.view import trial_view
from mobility.kinematics.skeleton import Array
from mobility.lab.lab_writers import stated_license
from mobility.pipeline.analysis import reading_results
from mobility.sessions.files import check_id, replace_folder, write_json
from mobility.sessions.record import ANONYMOUS
from mobility.sessions.session_store import SessionStore
from mobility.sessions.stored_session import StoredSession

log = logging.getLogger(__name__)

MISSING = "n/a"
"""Text of a missing value."""

UNITS: Mapping[str, str] = {"second": "s", "degree": "deg", "percent": "%"}
"""Units as the specification spells them, by our own spelling."""

ATTRIBUTES: Mapping[str, str] = {
    **{"movement": "Movement", "view": "View", "verdict": "Verdict"},
    "source_software": "SourceSoftware",
}
"""Keys in motion.json that are not part of the specification, by the attribute of a recording."""

FIRST = "FirstSampleTime"
"""Key in motion.json: time of the first frame in the video, in seconds."""

_OLDEST = 89.0
"""Largest age in a data set: a person of a higher age could be identified by it."""


class _Planned(NamedTuple):
    """A session, the label of its participant (``sub-p01``), and its files in the data set."""

    session: StoredSession
    participant: str
    folder: str
    stem: str

    @property
    def motion(self) -> str:
        return f"motion/{self.stem}_motion.tsv"


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
    addresses and session ids are not part of the data set. A session without results, or with a
    record that cannot be read, is left out and logged.

    A label in BIDS has only letters and digits. Other characters of an id are left out, and a
    number is added if another participant already has that label. A table lists the participant and
    the session of each recording. It identifies people, so it is written beside the folder
    (:func:`ids_of`), and not into it.

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
        Licence of the data set, such as "CC0"; by default "not stated".

    Returns
    -------
    pathlib.Path
        The folder.

    Raises
    ------
    BadInputError
        The folder is not empty, or an id is invalid or "anonymous".
    NotFoundError
        There is no such participant, or a participant has no session with results.
    """
    target = Path(folder).resolve()
    stated = stated_license(license)
    _check_free(target)
    planned = _plan(store, list(dict.fromkeys(user_ids)))
    with replace_folder(target, what=f"the folder {folder}") as unfinished:
        _check_free(target)  # another process may have written it meanwhile
        for one in planned:
            place = unfinished / one.folder / "motion"
            with writing(place):
                make_folder(place)
            _write_recording(recording_of(one.session), place / one.stem)
        _write_scans(planned, unfinished, dates=dates)
        _write_participants(planned, unfinished)
        _write_description(unfinished, dates=dates, license=stated)
        rows = [
            (f"{one.folder}/{one.motion}", one.session.record.user_id, one.session.id)
            for one in planned
        ]
        _write_table(ids_of(target), tables.load("bids")["ids"], rows)
    return Path(folder)


def ids_of(folder: Path) -> Path:
    """Return the path of the table beside a data set that names participants and sessions."""
    real = folder.resolve()
    return real.with_name(f"{real.name}-ids.tsv")


def _check_free(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise BadInputError(f"{folder}: is a file. Name a folder")
    if folder.is_dir() and (names := sorted(path.name for path in folder.iterdir())):
        raise BadInputError(
            f"{folder}: is not empty ({shortened(names, most=3)}), and nothing is overwritten. "
            "Name a new folder, or delete this one first"
        )
    ids, head = ids_of(folder), "\t".join(tables.load("bids")["ids"])
    if ids.exists() and not (ids.is_file() and ids.read_bytes().startswith(head.encode())):
        raise BadInputError(f"{ids}: was not made by this command. Name another folder")


def _plan(store: SessionStore[Any], user_ids: Sequence[str]) -> list[_Planned]:
    """Choose the sessions, and name their files by participant, visit, task and run."""
    if not user_ids:
        raise BadInputError.of({"user_ids": "names no participant; name at least one"})
    sessions = {user_id: _sessions_with_results(store, user_id) for user_id in user_ids}
    days = {
        user_id: sorted({session.record.created_at.date() for session in of_person})
        for user_id, of_person in sessions.items()
    }
    has_visits = any(len(of_person) > 1 for of_person in days.values())
    recordings: dict[tuple[str, ...], list[StoredSession]] = defaultdict(list)
    for user_id, label in _labels(user_ids).items():
        for session in sessions[user_id]:
            record = session.record
            visit = f"ses-{days[user_id].index(record.created_at.date()) + 1}"
            place = (f"sub-{label}", *([visit] if has_visits else []))
            of_exercise = f"task-{_label(record.exercise) or _label(record.kind.slug)}"
            recordings[*place, of_exercise].append(session)
    planned = []
    for (subject, *of_visit, task), of_task in recordings.items():
        for number, session in enumerate(of_task, start=1):
            run = [f"run-{number}"] if len(of_task) > 1 else []
            stem = "_".join([subject, *of_visit, task, "tracksys-phone", *run])
            planned.append(_Planned(session, subject, "/".join([subject, *of_visit]), stem))
    return planned


def _label(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]", "", text)


def _labels(user_ids: Sequence[str]) -> dict[str, str]:
    """Return a label for each participant; an id that is a label is its own label.

    Labels differ by more than capitals, because some disks do not distinguish case.
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
    check_id(user_id, what="user_ids")
    if user_id == ANONYMOUS:
        fault = "sessions of 'anonymous' may belong to different people; name a participant"
        raise BadInputError.of({"user_ids": fault})
    ids = [session_id for session_id, owner in store.owners().items() if owner == user_id]
    if not ids and user_id not in (people := store.participants()):
        raise NotFoundError(
            f"participant {user_id}: not in the store {store.place}{likely(user_id, people)}"
        )
    sessions = []
    for session_id in ids:
        try:
            session = store.session(session_id)
            session.analyzed()
            sessions.append(session)
        except MobilityError as error:
            log.warning("left out: %s", error)
    if not sessions:
        raise NotFoundError(
            f"participant {user_id}: has no session with results. Analyse one, or leave this "
            "participant out"
        )
    return sorted(sessions, key=lambda session: (session.record.created_at, session.id))


def recording_of(session: StoredSession) -> xr.Dataset:
    """Return the part of a session that a data set contains, in one Dataset.

    Returns
    -------
    xarray.Dataset
        ``position`` (time, space, keypoint) of the fitted body in metres, y up. Angles of the
        report and their errors, in degrees, (time, side) or (time,). The variables of the
        repetitions over ``rep``, times in seconds.
    """
    session = session.read_once()
    with reading_results(session):
        fitted = session.fitted()
        position = fitted["position"].isel(individual=0, drop=True).to_dataset(name="position")
        parts = [position, of_session.angles(session), _over(session.repetitions(), "rep")]
        recording = xr.merge(parts, join="exact", combine_attrs="drop_conflicts")
        view = trial_view(fitted)
    if recording.sizes["time"] < 2:
        raise BadInputError(f"session {session.id}: has only one frame. Delete it, or film again")
    record = session.record
    recording.attrs = {
        **{"exercise": record.exercise, "movement": record.movement, "view": view},
        **{"verdict": record.verdict, "source_software": record.origin.source_software},
    }
    return recording


def _over(dataset: xr.Dataset, dimension: str) -> xr.Dataset:
    return dataset[[name for name, values in dataset.items() if values.dims == (dimension,)]]


def _write_recording(recording: xr.Dataset, stem: Path) -> None:
    words = tables.load("bids")
    channels, columns = zip(*_channels(recording), strict=True)
    rows = [map(_fixed, row) for row in np.column_stack(columns).tolist()]
    _write_table(Path(f"{stem}_motion.tsv"), None, rows)
    _write_table(
        Path(f"{stem}_channels.tsv"),
        words["channels"],
        [[channel.get(name, MISSING) for name in words["channels"]] for channel in channels],
    )
    write_json(f"{stem}_channels.json", _channels_document(recording))
    write_json(f"{stem}_motion.json", _motion_document(recording, channels))
    if recording.sizes["rep"]:
        _write_events(recording, stem)


def _channels(recording: xr.Dataset) -> Iterator[tuple[dict[str, str], Array]]:
    """Yield the row of channels.tsv and the values of each channel."""
    time = recording["time"].to_numpy()
    yield {"name": "latency", "type": "LATENCY", "units": "s", "quantity": "time"}, time - time[0]
    position = recording["position"].transpose("time", "keypoint", "space").to_numpy()
    for i, keypoint in enumerate(recording["keypoint"].to_numpy().tolist()):
        for j, axis in enumerate(recording["space"].to_numpy().tolist()):
            row = {"name": f"{keypoint}_{axis}", "component": axis, "type": "POS", "units": "m"}
            row |= {"quantity": "position", "reference_frame": "camera"}
            yield row | {"tracked_point": keypoint, **_status(position[:, i, j])}, position[:, i, j]
    angles = _angles(recording)
    for name in sorted(angles, key=is_sd):
        values = angles[name]
        for side in values["side"].to_numpy().tolist() if "side" in values.dims else [""]:
            column = (values.sel(side=side) if side else values).to_numpy()
            prefix = f"{side}_" if side else ""
            row = {"name": f"{prefix}{name}", "type": "MISC" if is_sd(name) else "JNTANG"}
            row |= {"units": "deg", "quantity": name, "reference_frame": "joint"}
            row |= {"tracked_point": f"{prefix}{name.partition('_')[0]}"}
            yield row | _status(column, values.attrs.get("refused", MISSING)), column


def _angles(recording: xr.Dataset) -> dict[str, xr.DataArray]:
    return {
        str(name): values
        for name, values in recording.items()
        if "time" in values.dims and name != "position"
    }


def _status(values: Array, reason: str = MISSING) -> dict[str, str]:
    status = "good" if np.isfinite(values).any() else "bad"
    return {"status": status, "status_description": reason}


def _channels_document(recording: xr.Dataset) -> dict[str, Any]:
    words = tables.load("bids")
    document = {name: {"Description": text} for name, text in words["channels"].items()}
    definitions = {name: _definition(values) for name, values in _angles(recording).items()}
    document["quantity"]["Levels"] = words["quantities"] | definitions
    place = {"axes": "its axes are not known", "origin": "not known", **recording["position"].attrs}
    document["reference_frame"]["Levels"] = {
        name: {"Description": text.format(**place)} for name, text in words["frames"].items()
    }
    return document


def _definition(values: xr.DataArray) -> str:
    keys = [key for key in ("segments", "plane", "zero", "positive") if key in values.attrs]
    keys += ["reference"] if "reference" in values.attrs else []
    parts = [f"{key}: {values.attrs[key]}" for key in keys]
    return "; ".join([str(values.attrs.get("long_name", values.name)), *parts])


def _motion_document(
    recording: xr.Dataset, channels: Sequence[Mapping[str, str]]
) -> dict[str, Any]:
    words, attrs = tables.load("bids"), recording.attrs
    first, last = float(recording["time"][0]), float(recording["time"][-1])
    rate = (recording.sizes["time"] - 1) / (last - first)
    types = [channel["type"] for channel in channels]
    return {
        "TaskName": attrs["exercise"],
        **dict.fromkeys(("SamplingFrequency", "SamplingFrequencyEffective"), rate),
        "RecordingDuration": last - first,
        "RecordingType": "continuous",
        "TrackingSystemName": words["tracking_system"].format(software=attrs["source_software"]),
        "SoftwareVersions": f"mobility {__version__}",
        "MissingValues": MISSING,
        "MotionChannelCount": len(channels),
        "TrackedPointsCount": recording.sizes["keypoint"],
        **{f"{kind}ChannelCount": types.count(kind) for kind in words["types"]},
        FIRST: first,
        **{key: attrs[name] for name, key in ATTRIBUTES.items() if attrs[name]},
    }


def _write_events(recording: xr.Dataset, stem: Path) -> None:
    """Write a row for each repetition, with its values, and a row for each of its moments."""
    words = tables.load("bids")
    first = float(recording["time"][0])
    repetitions = _over(recording, "rep").drop_vars(["start", "end"])
    texts = {
        str(name): values.attrs.get("long_name", str(name).replace("_", " "))
        for name, values in repetitions.items()
    }
    units = {str(name): _unit(values) for name, values in repetitions.items()}
    moments = [name for name in texts if units[name] == "s"]
    others = [name for name in texts if units[name] != "s"]
    rows: list[tuple[float, list[str]]] = []
    for i, number in enumerate(map(str, recording["rep"].to_numpy())):
        start, end = (float(recording[name][i]) for name in ("start", "end"))
        more = [_text(repetitions[name][i].item()) for name in others]
        rows.append((start, [_fixed(end - start), "repetition", number, *more]))
        for name in moments:
            row = [_fixed(0.0), name, number, *[MISSING] * len(others)]
            rows.append((float(repetitions[name][i]), row))
    rows = sorted((onset, row) for onset, row in rows if np.isfinite(onset))
    cells = [[_fixed(onset - first), *row] for onset, row in rows]
    _write_table(Path(f"{stem}_events.tsv"), [*words["events"], *others], cells)
    document = {name: {**entry} for name, entry in words["events"].items()}
    levels = {name: texts[name] for name in moments}
    document["trial_type"]["Levels"] = {"repetition": words["repetition"], **levels}
    for name in others:
        unit = {"Units": units[name]} if units[name] else {}
        document[name] = {"Description": texts[name], **unit}
    write_json(f"{stem}_events.json", document)


def _unit(values: xr.DataArray) -> str:
    """Return the unit of a number, as the specification spells it; flags and texts have none."""
    units = str(values.attrs.get("units", "1")) if values.dtype.kind in "iuf" else ""
    return UNITS.get(units, units)


def _write_scans(planned: Sequence[_Planned], root: Path, *, dates: bool) -> None:
    for folder in dict.fromkeys(one.folder for one in planned):
        of_folder = [one for one in planned if one.folder == folder]
        rows = [[one.motion] for one in of_folder]
        if dates:
            for row, one in zip(rows, of_folder, strict=True):
                row.append(f"{one.session.record.created_at:%Y-%m-%dT%H:%M:%S}")
        head = ["filename", *(["acq_time"] if dates else [])]
        _write_table(root / folder / f"{folder.replace('/', '_')}_scans.tsv", head, rows)


def _write_participants(planned: Sequence[_Planned], root: Path) -> None:
    words = tables.load("bids")["participants"]
    first = {one.participant: one.session for one in reversed(planned)}
    rows = []
    for label in sorted(first):
        values: dict[str, Any] = {"participant_id": label}
        if (person := first[label].participant) is not None:
            age = person.age_in(first[label].record.created_at.year)
            values["age"] = None if age is None else min(age, _OLDEST)
            values["sex"] = person.sex and person.sex[0].upper()
            values |= {"height": person.height_m, "weight": person.weight_kg}
        rows.append([_text(values.get(name)) for name in words])
    _write_table(root / "participants.tsv", words, rows)
    write_json(root / "participants.json", words)


def _write_description(root: Path, *, dates: bool, license: str) -> None:
    words = tables.load("bids")
    purpose = tables.sentence("warnings.export.purpose")
    description = {
        "Name": words["name"],
        "BIDSVersion": words["version"],
        "DatasetType": "raw",
        "License": license,
        "Purpose": purpose,
        "GeneratedBy": [{"Name": "mobility", "Version": __version__}],
    }
    write_json(root / "dataset_description.json", description)
    text = words["readme"].format(
        **{"name": words["name"], "version": __version__, "license": license, "purpose": purpose},
        dates=words["dates"]["with" if dates else "without"],
    )
    _write_text(root / "README", text)


def _fixed(number: float) -> str:
    """Return a number with six decimals: micrometres, millionths of a degree, microseconds."""
    return f"{number:.6f}" if np.isfinite(number) else MISSING


def _text(value: object) -> str:
    """Return a value as a cell: all digits of a number, and flags in lower case."""
    if isinstance(value, float):
        return f"{value:.9g}" if np.isfinite(value) else MISSING
    text = " ".join(str("" if value is None else value).split()) or MISSING
    return text.lower() if isinstance(value, bool) else text


def _write_table(path: Path, head: Any, rows: Any) -> None:
    """Write rows of texts, below the names of the columns unless `head` is None."""
    lines = ["\t".join(row) for row in [*([] if head is None else [head]), *rows]]
    _write_text(path, "\n".join(lines) + "\n")


def _write_text(path: Path, text: str) -> None:
    with atomic(path) as hidden:
        hidden.write_text(text, encoding="utf-8")
