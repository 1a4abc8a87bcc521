"""Add a video from the browser: in parts, into a temporary file, then into the store."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import traitlets

from mobility import tables
from mobility.assessment.movements import how_to_film
from mobility.errors import BadInputError, FieldError, MobilityError, TooLargeError
from mobility.sessions.files import check_file_name, open_private, writing
from mobility.sessions.record import JOINTS, MEASURED
from mobility.sessions.scratch import scratch_folder
from mobility.sessions.store import available_exercises, check_creation
from mobility.store import Session, Store
from mobility.widgets.base import Act, Widget, module

if TYPE_CHECKING:
    from mobility.widgets.remote import RemoteSession, RemoteStore

log = logging.getLogger(__name__)

MOST_BYTES = 4 * 10**9
"""Largest video that is taken in, unless another limit is given."""

PART_BYTES = 1 << 20
"""Bytes in a message: well below what a Jupyter server lets through."""


class UploadForm(Widget):
    """A form that takes a video in as a new session.

    The browser sends the file in parts of one mebibyte, each after the one before was written,
    so that neither the kernel nor a message ever holds the whole video.

    Parameters
    ----------
    store
        Where the session goes: a store, or that of a server
        (:class:`mobility.widgets.remote.RemoteStore`).
    most_bytes
        Size of the largest video that is taken in.

    Attributes
    ----------
    created
        Id of the session that was made last; "" for none.
    """

    _esm = module("upload_form")
    fields_of_page = frozenset(
        {"video", "user_id", "session_name", "exercise_name", "body_joint_angles", "movement"}
    )

    exercises = traitlets.List().tag(sync=True)
    joints = traitlets.List(list(MEASURED)).tag(sync=True)
    checked_joints = traitlets.List(list(JOINTS)).tag(sync=True)
    movements = traitlets.List().tag(sync=True)
    participants = traitlets.List().tag(sync=True)
    most_bytes = traitlets.Float(MOST_BYTES).tag(sync=True)
    created = traitlets.Unicode().tag(sync=True)

    def __init__(self, store: Store | RemoteStore, *, most_bytes: int = MOST_BYTES) -> None:
        self.store = store
        self._upload: _Upload | None = None
        self._heard: list[Callable[[Any], Any]] = []
        super().__init__(
            exercises=list(available_exercises()),
            movements=_movements(),
            participants=store.participants(),
            most_bytes=most_bytes,
        )

    @property
    def session(self) -> Session | RemoteSession | None:
        """The session that was made last; None where none was."""
        return self.store.session(self.created) if self.created else None

    def on_created(self, callback: Callable[[Any], Any]) -> None:
        """Call `callback` with each session that is made."""
        self._heard.append(callback)

    def acts(self) -> dict[str, Act]:
        """Name what the page may ask for."""
        return {
            "begin": lambda content, _: self._begin(content),
            "part": self._take_part,
            "cancel": lambda content, _: self._cancel(content),
        }

    def close(self) -> None:
        """Leave the page, and drop what was uploaded by half."""
        self._drop()
        super().close()

    def static_html(self) -> str:
        """Say what is here when a kernel runs."""
        return "<p>A form to take a video in.</p>"

    def _begin(self, content: Mapping[str, Any]) -> None:
        self.store.require_writable()
        if self._upload is not None:
            raise BadInputError("a video is being uploaded; wait, or cancel it")
        name, size = str(content.get("name") or ""), int(content.get("size") or 0)
        fields = {
            "user_id": "",
            "exercise_name": "",
            "session_name": None,
            "body_joint_angles": [],
            "movement": None,
            **dict(content.get("fields") or {}),
        }
        faults: dict[str, list[str]] = {}
        if not name:
            faults["video"] = ["choose a video file"]
        elif size == 0:
            faults["video"] = [f"{name}: is empty"]
        elif size > self.most_bytes:
            limit = TooLargeError(
                f"{name}: has {size / 1e6:.1f} MB, at most {self.most_bytes / 1e6:.1f} MB are "
                "taken in; cut it, or give its path to store.create(...)"
            )
            faults["video"] = [str(limit)]
        else:
            try:
                name = check_file_name(name, what="video")
                if name in (".", ".."):
                    raise BadInputError(f"video {name!r}: is no name of a file")
            except BadInputError as error:
                faults["video"] = [str(error)]
        try:
            check_creation(**fields)
        except BadInputError as error:
            faults.update(error.fields)
        if not fields["user_id"]:
            faults["user_id"] = ["say who it is, for example p01"]
        if faults:
            raise FieldError("cannot be taken in", faults)
        self._upload = _Upload(name, size, fields)
        self._want_next(self._upload)

    def _take_part(self, content: Mapping[str, Any], buffers: Sequence[memoryview]) -> None:
        upload = self._upload
        if upload is None or content.get("upload") != upload.id:
            log.info("a part of an upload that was cancelled")
            return
        try:
            upload.write(content.get("offset"), buffers[0] if buffers else b"")
        except (MobilityError, OSError):
            self._drop()
            self.send({"kind": "received"})
            raise
        if upload.received < upload.size:
            self._want_next(upload)
            return
        self._upload = None
        self.send({"kind": "received"})
        self.in_background("taking the video in", lambda: self._create(upload))

    def _create(self, upload: _Upload) -> None:
        try:
            session = self.store.create(upload.file, **upload.fields)
        except BadInputError as error:
            # Of the place where it was for a moment nobody needs to know.
            told = str(error).replace(f"{upload.file.parent}/", "")
            raise FieldError("cannot be taken in", error.fields or {"video": [told]}) from None
        finally:
            upload.remove()
        self.created = session.id
        self.participants = sorted({*self.participants, session.record.user_id})
        self.send({"kind": "created", "session": session.id})
        self.say("done", f"{session.title}: taken in as session {session.id}")
        for callback in self._heard:
            callback(session)

    def _cancel(self, content: Mapping[str, Any]) -> None:
        self._drop()
        self.say("error" if content.get("because") else "", str(content.get("because") or ""))

    def _want_next(self, upload: _Upload) -> None:
        self.send(
            {"kind": "send", "upload": upload.id, "offset": upload.received, "bytes": PART_BYTES}
        )

    def _drop(self) -> None:
        if self._upload is not None:
            self._upload.remove()
            self._upload = None


def _movements() -> list[dict[str, str]]:
    """List the movements with how each is filmed: a sentence and a drawing (SVG)."""
    found = []
    for name in tables.load("movements"):
        film = how_to_film(name)
        drawing = film.drawing.read_text(encoding="utf-8")
        label = name.replace("_", " ").capitalize()
        found.append({"name": name, "label": label, "film": film.sentence, "drawing": drawing})
    return found


class _Upload:
    """A video that comes in parts into a temporary folder, which vanishes with it."""

    def __init__(self, name: str, size: int, fields: Mapping[str, Any]) -> None:
        self.id = secrets.token_hex(8)
        self.size, self.fields, self.received = size, dict(fields), 0
        self.folder, self.remove = scratch_folder("upload")
        self.file = self.folder / name

    def write(self, offset: Any, data: memoryview | bytes) -> None:
        """Append a part.

        Raises
        ------
        BadInputError
            It is not the part that was asked for.
        StorageError
            The disk is full.
        """
        part = bytes(data)
        if offset != self.received or not part or self.received + len(part) > self.size:
            raise BadInputError(
                "the upload: a part is missing, or the file changed meanwhile; upload it again"
            )
        with writing(self.file), open_private(self.file, "ab") as out:
            out.write(part)
        self.received += len(part)
