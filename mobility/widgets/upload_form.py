"""Add a video from the browser: in parts, into a temporary file, then into the store."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import htpy as h
import traitlets
from markupsafe import Markup

from mobility import tables
from mobility.analysis_options import AnalysisOptions, given_options, offered_at, options_at
from mobility.assessment.movements import how_to_film
from mobility.errors import BadInputError, MobilityError, NotFoundError, TooLargeError
from mobility.options import validate
from mobility.registry import JOINTS, MEASURED, names, of_single_joints
from mobility.sessions.creation import check_creation
from mobility.sessions.files import check_file_name, open_private, writing
from mobility.sessions.record import GivenParticipant, Participant, now
from mobility.sessions.scratch import scratch_folder
from mobility.widgets.base import Act, Widget, module
from mobility.widgets.sessions import AnySession, AnyStore

log = logging.getLogger(__name__)

MOST_BYTES = 4 * 10**9
"""Largest video that is taken in, unless another limit is given."""

PART_BYTES = 1 << 20
"""Bytes in a message: well below what a Jupyter server lets through."""

_OF_PERSON = ("age", "sex")
"""Fields of the participant's record, which decide what norms a report shows."""


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
    is_local
        Whether the store takes a second video, which a server does not.
    """

    _esm = module("upload_form")
    fields_of_page = frozenset(
        {
            *("video", "second_video", "user_id", "session_name", "exercise_name"),
            *("body_joint_angles", "movement", *_OF_PERSON, *options_at("form").model_fields),
        }
    )

    exercises = traitlets.List().tag(sync=True)
    of_single_joints = traitlets.Unicode().tag(sync=True)
    joints = traitlets.List(list(MEASURED)).tag(sync=True)
    checked_joints = traitlets.List(list(JOINTS)).tag(sync=True)
    movements = traitlets.List().tag(sync=True)
    options = traitlets.List().tag(sync=True)
    participants = traitlets.List().tag(sync=True)
    most_bytes = traitlets.Float(MOST_BYTES).tag(sync=True)
    created = traitlets.Unicode().tag(sync=True)
    is_local = traitlets.Bool().tag(sync=True)

    def __init__(self, store: AnyStore, *, most_bytes: int = MOST_BYTES) -> None:
        self.store = store
        self._uploads: list[_Upload] = []
        self._heard: list[Callable[[Any], Any]] = []
        super().__init__(
            exercises=list(names()),
            of_single_joints=of_single_joints().name,
            movements=_movements(),
            options=[
                {
                    "name": name,
                    "label": how.label,
                    "help": AnalysisOptions.model_fields[name].description,
                }
                for name, _, how in offered_at("form")
            ],
            participants=store.participants(),
            is_local=not store.on_server,
            most_bytes=most_bytes,
        )

    @property
    def session(self) -> AnySession | None:
        """The session that was made last; None where none was, or it was deleted."""
        try:
            return self.store.session(self.created) if self.created else None
        except NotFoundError:
            return None

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
        """Leave the page, and drop half-uploaded videos."""
        self._drop()
        super().close()

    def static_html(self) -> Markup:
        """Say what is here when a kernel runs."""
        return h.p[tables.sentence("widgets.upload.still")].__html__()

    def _begin(self, content: Mapping[str, Any]) -> None:
        self.store.require_writable()
        if self._uploads:
            raise BadInputError("a video is being uploaded; wait, or cancel it")
        fields = {
            "user_id": "",
            "exercise_name": "",
            "session_name": None,
            "body_joint_angles": [],
            "movement": None,
            **dict(content.get("fields") or {}),
        }
        options = {name: fields.pop(name, None) or None for name in options_at("form").model_fields}
        person = {name: value for name in _OF_PERSON if (value := fields.pop(name, None))}
        faults: dict[str, list[str]] = {}
        try:
            options = given_options(options, options_at("form"))
        except BadInputError as error:
            faults.update(error.fields)
        try:
            whose = {**person, "user_id": str(fields["user_id"])}
            checked_person = validate(GivenParticipant, whose, what="the participant")
        except BadInputError as error:
            faults.update(error.fields)
        named = [self._file("video", content, faults)]
        if second := content.get("second"):
            named.append(self._file("second_video", second, faults))
        try:
            check_creation(**fields)
        except BadInputError as error:
            faults.update(error.fields)
        if not fields["user_id"]:
            faults["user_id"] = [tables.sentence("widgets.field.who")]
        if faults:
            raise BadInputError.of(faults, what="not added")
        self._of_person = self._lacking(checked_person, person) if person else {}
        self._uploads = [_Upload(which, *file) for which, file in enumerate(named)]
        self._fields = {**fields, "options": options}
        self._want_next(self._uploads[0])

    def _lacking(self, given: Participant, names: Iterable[str]) -> dict[str, Any]:
        """Give the named fields that the participant's record lacks.

        Raises
        ------
        BadInputError
            The record says something else: it may be somebody else's.
        """
        stored = self.store.stored_participant(given.user_id)
        lacking: dict[str, Any] = {}
        faults: dict[str, str] = {}
        for name in names:
            value = getattr(given, name)
            earlier = [] if stored is None else [getattr(stored, name)]
            if name == "age" and stored is not None and stored.birth_year is not None:
                reached = now().year - stored.birth_year
                earlier = [reached - 1, reached]
            if earlier in ([], [None]):
                lacking[name] = value
            elif value not in earlier:
                words = {"participant": given.user_id, "name": name, "stored": earlier[-1]}
                faults[name] = tables.sentence("widgets.field.differs", **words)
        if faults:
            raise BadInputError.of(faults, what="not added")
        return lacking

    def _file(
        self, field: str, content: Mapping[str, Any], faults: dict[str, list[str]]
    ) -> tuple[str, int]:
        """Name and size of a file that is to come; what is wrong with them goes to `faults`."""
        name, size = str(content.get("name") or ""), int(content.get("size") or 0)
        if not name:
            faults[field] = [tables.sentence("widgets.field.video")]
        elif size == 0:
            faults[field] = [tables.sentence("widgets.field.empty", name=name)]
        elif size > self.most_bytes:
            limit = TooLargeError(
                f"{name}: has {size / 1e6:.1f} MB, at most {self.most_bytes / 1e6:.1f} MB are "
                "allowed; cut it, or give its path to store.create(...)"
            )
            faults[field] = [str(limit)]
        elif name in (".", ".."):
            faults[field] = [f"{name!r} is not a file name"]
        else:
            try:
                name = check_file_name(name, what=field)
            except BadInputError as error:
                faults.update(error.fields)
        return name, size

    def _take_part(self, content: Mapping[str, Any], buffers: Sequence[memoryview]) -> None:
        upload = next((each for each in self._uploads if each.received < each.size), None)
        if upload is None or content.get("upload") != upload.id:
            log.info("a part of an upload that was cancelled")
            return
        try:
            upload.write(content.get("offset"), buffers[0] if buffers else b"")
        except (MobilityError, OSError):
            self._drop()
            self.send({"kind": "received"})
            raise
        waits = next((each for each in self._uploads if each.received < each.size), None)
        if waits is not None:
            self._want_next(waits)
            return
        uploads, self._uploads = self._uploads, []
        fields = self._fields
        self.send({"kind": "received"})
        what = tables.sentence("widgets.notice.adding")
        person = self._of_person
        self.in_background(what, lambda: self._create(uploads, fields, person))

    def _create(
        self, uploads: Sequence[_Upload], fields: dict[str, Any], person: Mapping[str, Any]
    ) -> None:
        # The participant's next sessions need the height too; a server has no such call.
        height = None if self.store.on_server else fields["options"].pop("height_m", None)
        person = {**person, **({} if height is None else {"height_m": height})}
        try:
            if len(uploads) > 1:
                fields["second_video"] = uploads[1].file
            session = self.store.create(uploads[0].file, **fields)
        except BadInputError as error:
            # Nobody needs to know their temporary paths.
            message = str(error)
            for upload in uploads:
                message = message.replace(f"{upload.file.parent}/", "")
            raise BadInputError.of(error.fields or {"video": message}, what="not added") from None
        finally:
            for upload in uploads:
                upload.remove()
        if person:
            self.store.set_participant(session.record.user_id, **person)
        self.created = session.id
        self.participants = sorted({*self.participants, session.record.user_id})
        self.send({"kind": "created", "session": session.id})
        self.say(
            "done",
            tables.sentence("widgets.notice.added", title=session.title, session=session.id),
        )
        for callback in self._heard:
            callback(session)

    def _cancel(self, content: Mapping[str, Any]) -> None:
        self._drop()
        self.say("error" if content.get("because") else "", str(content.get("because") or ""))

    def _want_next(self, upload: _Upload) -> None:
        self.send(
            {
                **{"kind": "send", "upload": upload.id, "which": upload.which},
                **{"offset": upload.received, "bytes": PART_BYTES},
            }
        )

    def _drop(self) -> None:
        for upload in self._uploads:
            upload.remove()
        self._uploads = []


def _movements() -> list[dict[str, str]]:
    """List the movements with how each is filmed: a sentence and a drawing (SVG)."""
    movements = []
    for name in tables.load("movements"):
        film = how_to_film(name)
        drawing = film.drawing.read_text(encoding="utf-8")
        label = name.replace("_", " ").capitalize()
        movements.append({"name": name, "label": label, "film": film.sentence, "drawing": drawing})
    return movements


class _Upload:
    """A video that comes in parts into a temporary folder, which vanishes with it."""

    def __init__(self, which: int, name: str, size: int) -> None:
        self.id = secrets.token_hex(8)
        self.which, self.size, self.received = which, size, 0
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
