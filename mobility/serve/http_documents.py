"""Documents that only the HTTP interface has, and documents as bytes, cached until they change."""

from __future__ import annotations

import datetime
import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from mobility import Session, Store, tables
from mobility.catalogue import registry
from mobility.catalogue.joints import JOINTS, Joint, Limb
from mobility.catalogue.registry import ExerciseName, of_single_joints
from mobility.documents.contract import ThreadId
from mobility.documents.display_settings import COMMENT_LENGTH, angle_keys
from mobility.errors import NotFoundError
from mobility.serve.access import absent
from mobility.sessions.analysis_options import options_at
from mobility.sessions.files import ID_PATTERN, NAME_LENGTH, PARTICIPANTS, check_id
from mobility.sessions.record import Document, SessionRecord

_MOST_BYTES = 64 << 20
_VIEWS = ("left", "right", "front")

Mark = tuple[tuple[int, int, int], ...]
Made = Callable[[Session], Mapping[str, Any] | Sequence[Any]]


class Answers:
    """Reads the sessions of a store for the handlers; thread-safe."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._placeholder = f"mobility-media-{token_hex(16)}:"
        self._cache: OrderedDict[tuple[str, str], tuple[Mark, bytes]] = OrderedDict()
        self._size = 0
        self._records: OrderedDict[str, tuple[Mark, SessionRecord]] = OrderedDict()
        self._guard = threading.Lock()

    def session(self, session_id: str) -> Session:
        """Open a session."""
        check_id(session_id, what="session_id")
        with suppress(NotFoundError):  # deleted meanwhile
            if self.store.has(session_id):
                return self.store.session(session_id)
        raise absent(session_id)

    def demo(self, session_id: str) -> Session:
        """Open the demo session with this id, for its media."""
        for exercise in registry.names():
            with suppress(NotFoundError):  # an exercise of another package may have no demo
                session = self.store.demo(exercise)
                if session.id == session_id:
                    return session
        raise NotFoundError(f"session {session_id}: is not a demo session")

    def record(self, session: Session) -> SessionRecord:
        """Return the record of a session; it is read again if its file has changed."""
        mark = _mark(session.folder / "session.json")
        name = str(session.folder)
        with self._guard:
            cached = self._records.get(name)
        if cached is not None and cached[0] == mark:
            return cached[1]
        record = session.record
        with self._guard:
            self._records[name] = (mark, record)
            while len(self._records) > 10_000:
                self._records.popitem(last=False)
        return record

    def document(self, session: Session, name: str, make: Made) -> bytes:
        """Return a document as JSON, with placeholders for addresses of media; or a plain list."""
        key = (str(session.folder), name)
        mark = self._mark_of(session)
        with self._guard:
            cached = self._cache.get(key)
            if cached is not None and cached[0] == mark:
                self._cache.move_to_end(key)
                return cached[1]
        document = make(session)
        if isinstance(document, Mapping):
            document = self._with_placeholders(dict(document), session)
        content = json.dumps(
            document, ensure_ascii=False, allow_nan=False, separators=(",", ":")
        ).encode()
        with self._guard:
            before = self._cache.pop(key, None)
            self._size += len(content) - (len(before[1]) if before else 0)
            self._cache[key] = (mark, content)
            while self._size > _MOST_BYTES:
                _, (_, dropped) = self._cache.popitem(last=False)
                self._size -= len(dropped)
        return content

    def with_addresses(self, content: bytes, address: Callable[[str], str]) -> bytes:
        """Replace the placeholders of :meth:`document` with the addresses of media, by name."""
        first, *rest = content.split(self._placeholder.encode())
        parts = [first]
        for part in rest:
            name, _, after = part.partition(b'"')
            parts += [json.dumps(address(name.decode()))[1:-1].encode(), b'"', after]
        return b"".join(parts)

    def forget(self, session_id: str) -> None:
        """Remove a deleted session from the cache."""
        folder = str(self.store.path / session_id)
        with self._guard:
            self._records.pop(folder, None)
            for key in [key for key in self._cache if key[0] == folder]:
                self._size -= len(self._cache.pop(key)[1])

    def media(self, session: Session) -> dict[str, Path]:
        """Return the files of a session that are served, by their names in addresses."""
        record = self.record(session)
        media = {record.video.file: session.first_video}
        if session.second_video is not None:
            media[session.second_video.name] = session.second_video
        if "annotated" in record.stages:
            media[record.stages["annotated"].file] = session.annotated_video
        for page in (f"{record.kind.slug}{which}.html" for which in ("", ".client")):
            media[page] = session.report_folder / page
        if record.kind.has("report"):
            for view in _VIEWS:
                media[f"{view}.png"] = session.report_folder / "images" / f"{view}.png"
        return media

    def _with_placeholders(self, document: dict[str, Any], session: Session) -> dict[str, Any]:
        record = self.record(session)
        if "video_url" in document:
            document["video_url"] = f"{self._placeholder}{record.videos[0].file}"
        if "analyzed_video_url" in document:
            document["analyzed_video_url"] = f"{self._placeholder}{record.stages['annotated'].file}"
        if "knee_movement_phases" in document:
            document["knee_movement_phases"] = {
                view: None if uri is None else f"{self._placeholder}{view}.png"
                for view, uri in document["knee_movement_phases"].items()
            }
        return document

    def _mark_of(self, session: Session) -> Mark:
        user_id = self.record(session).user_id
        keys = sorted(session.report_folder.glob(".*.key"))
        names = ("session.json", "edits.json", "config.json")
        participant = session.store.path / PARTICIPANTS / f"{user_id}.json"
        return _mark(*(session.folder / name for name in names), participant, *keys)


def _mark(*files: Path) -> Mark:
    """Return a fingerprint of files that changes with their content, without reading them."""
    states = []
    for file in files:
        try:
            status = file.stat()
            states.append((status.st_ino, status.st_mtime_ns, status.st_size))
        except FileNotFoundError:
            states.append((0, 0, 0))
    return tuple(states)


ETAG = r'(?:W/)?"([0-9]{1,9})"'
"""Tag of display settings with their revision number; a proxy may have made it a weak tag."""


class SessionState(Document):
    """State of a session."""

    session_id: str
    title: str
    name: Annotated[str, Field(description="title of the session, or the name of its file")]
    user_id: str
    display_name: Annotated[str, Field(description="name of the participant, or else the ID")]
    visit: Annotated[
        datetime.date | None,
        Field(
            description="day of the participant's visit, with the UTC offset of created_at; "
            "null if the participant is unknown"
        ),
    ]
    exercise: ExerciseName
    joints: list[Joint]
    created_at: Annotated[datetime.datetime, Field(description="with UTC offset")]
    state: Annotated[
        Literal["created", "queued", "held", "analyzing", "analyzed", "edited", "failed"],
        Field(
            description="analyzed: the results can be read; held: the session waits until the "
            "server can continue, and is then tried again"
        ),
    ]
    waiting_before: Annotated[
        int, Field(ge=0, description="number of sessions that will be analysed before this one")
    ]
    stages: Annotated[list[str], Field(description="stages of the analysis that are done")]
    reason: Annotated[str, Field(description="why the analysis failed or waits")]
    verdict: Annotated[
        Literal["", "good", "limited", "not_this_exercise", "unusable"],
        Field(description="verdict on the recording; empty unless the state is analyzed"),
    ]
    warnings: list[str]


ID = f"^{ID_PATTERN.pattern}$"
"""Id of a session or participant, as :func:`mobility.sessions.files.check_id` accepts it."""
_SHOWN = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$"

_LEFT_OUT: Any = Field(default_factory=str)
"""Default of an optional field: the schema states none, and null is not allowed."""


def _describe(form: dict[str, Any]) -> None:
    """Add the analysis options, and the rules for combining fields, to the schema of a creation."""
    for name, option in options_at("http").model_json_schema()["properties"].items():
        form["properties"][name] = {k: v for k, v in option.items() if v is not None}
    form["anyOf"] = [
        {
            "required": ["movement"],
            "properties": {"exercise_name": {"const": of_single_joints().name}},
        },
        {"required": ["exercise_name"], "properties": {"movement": False}},
    ]


class CreationForm(Document):
    """Body of a request to create a session; ``exercise`` is another name for ``exercise_name``.

    It may also contain the analysis options that are available over HTTP.
    """

    model_config = ConfigDict(json_schema_extra=_describe)

    video: Annotated[bytes, Field(json_schema_extra={"format": "binary"})]
    keypoints: Annotated[
        bytes,
        Field(
            json_schema_extra={"format": "binary"},
            description="keypoints of each frame from another pose model, in one file: "
            "AlphaPose (JSON), SLEAP (HDF5), CSV or NetCDF",
        ),
    ] = _LEFT_OUT
    keypoints_model: Annotated[
        str,
        Field(max_length=NAME_LENGTH, pattern=_SHOWN, description="model that found the keypoints"),
    ] = _LEFT_OUT
    user_id: Annotated[
        str, Field(json_schema_extra={"pattern": ID}, description="default: the user of the key")
    ] = _LEFT_OUT
    session_name: Annotated[
        str, Field(max_length=NAME_LENGTH, pattern=_SHOWN, description="title of the session")
    ] = _LEFT_OUT
    exercise_name: Annotated[
        ExerciseName, Field(description="required, unless a movement is set")
    ] = _LEFT_OUT
    body_joint_angles: Annotated[
        list[Limb | Literal["all"]],
        Field(
            description="a list, or one text with commas; for single-joint movements also "
            "trunk and neck"
        ),
    ] = _LEFT_OUT
    movement: Annotated[
        str,
        Field(
            json_schema_extra={"enum": list(tables.load("movements"))},
            description="the single-joint movement to measure. With "
            "it, exercise_name and body_joint_angles may be left out",
        ),
    ] = _LEFT_OUT


class CreationFormForOthers(CreationForm):
    """Body of a request to create a session for another user, who must be named."""

    user_id: Annotated[
        str, Field(json_schema_extra={"pattern": ID}, description="owner of the session")
    ]


AngleKey = Annotated[str, Field(json_schema_extra={"enum": angle_keys(JOINTS)})]
_COMMENT: Mapping[str, Any] = {
    "type": "string",
    "maxLength": COMMENT_LENGTH,
    "pattern": r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f]*$",
}


class ConfigBody(Document):
    """Body of a request to change the display settings; missing fields do not change."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    shown_angles: Annotated[
        list[AngleKey],
        Field(
            json_schema_extra={"uniqueItems": True},
            description="angles of the session's joints to show",
        ),
    ] = _LEFT_OUT
    comments: Annotated[
        dict[AngleKey, str],
        Field(
            json_schema_extra={
                "propertyNames": {"enum": angle_keys(JOINTS)},
                "additionalProperties": dict(_COMMENT),
            }
        ),
    ] = _LEFT_OUT


class CreationFault(Document):
    """Response to a rejected creation."""

    error: str
    errors: Annotated[
        dict[str, list[str]] | None, Field(description="the errors of each field")
    ] = None


class ThreadIds(Document):
    """ID of the thread for each metric."""

    hip_flexion: ThreadId
    hip_abduction: ThreadId
    knee_flexion: ThreadId
    knee_movement: ThreadId
    ankle_dorsiflexion: ThreadId
    final_summary: ThreadId
