"""Add videos from the browser: in parts, into a temporary file, then into the store."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import htpy as h
import traitlets
from markupsafe import Markup

from mobility import Session, Store, tables
from mobility.assessment.movements import how_to_film
from mobility.base.formatting import listed
from mobility.base.options import validate
from mobility.catalogue import registry
from mobility.catalogue.joints import JOINTS, MEASURED
from mobility.catalogue.registry import of_single_joints
from mobility.errors import BadInputError, MobilityError, NotFoundError, TooLargeError
from mobility.sessions.analysis_options import (
    AnalysisOptions,
    given_options,
    offered_at,
    options_at,
)
from mobility.sessions.creation import check_creation, taken_at
from mobility.sessions.files import check_file_name, open_private, scratch_folder, writing
from mobility.sessions.record import ANONYMOUS, GivenParticipant, Participant, now
from mobility.widgets.widget import Act, Widget, module

log = logging.getLogger(__name__)

MOST_BYTES = 4 * 10**9
"""Largest size of a video, unless another limit is set."""

PART_BYTES = 1 << 20
"""Number of bytes in a message; it is well below the limit of a Jupyter server."""

SILENT_S = {"open": 2.0, "notebook": 20.0}
"""Seconds after which a page that does not answer counts as closed.

The page of ``mobility open`` is on this computer; in a notebook, the response may have to wait
until a part has been sent.
"""

ASKED_AFTER = 10
"""Times `SILENT_S` without a part after which the page that sends is asked whether it still exists.

A page that is closed says so, but its message may get lost with it.
"""

_NO_VIDEO = "choose a video"

_OF_PERSON = ("age", "sex")
"""Fields of the participant's record that decide which norms a report shows."""


class UploadForm(Widget):
    """A form that accepts videos of one participant, each as a new session.

    The browser sends a file in parts of one mebibyte; each part is sent after the previous one was
    written. Neither the kernel nor a message ever holds the entire video. Videos are sent one after
    the other; a rejected video does not stop the others. If the page that sends them is closed or
    reloaded, the form names the missing videos and accepts new ones at once.

    Parameters
    ----------
    store
        Store for the sessions.
    most_bytes
        Size of the largest video that is accepted.

    Attributes
    ----------
    created
        ID of the session that was created last; "" if there is none.
    participants
        Participants by ``id``: ``name`` (display name), and which of age and sex the record
        ``lacks``.
    sending
        The ``page`` that is sending videos, and their ``names``; empty if no page is sending any.
    """

    _esm = module("upload_form")
    automatic_acts = frozenset({"here", "alive", "left"})
    fields_of_page = frozenset(
        {
            *("date", "video", "second_video", "user_id", "session_name", "exercise_name"),
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
    sending = traitlets.Dict().tag(sync=True)

    def __init__(self, store: Store, *, most_bytes: int = MOST_BYTES) -> None:
        self.store = store
        self._films: list[_Film] = []
        self._heard_at = 0.0
        self._faults: dict[str, list[str]] = {}
        self._heard: list[Callable[[Any], Any]] = []
        super().__init__(
            exercises=_exercises(),
            of_single_joints=of_single_joints().name,
            movements=_movements(),
            options=[
                {
                    "name": name,
                    "label": how.label,
                    "help": AnalysisOptions.model_fields[name].description,
                    "of_person": name in Participant.model_fields,
                }
                for name, _, how in offered_at("form")
            ],
            participants=_participants(store),
            most_bytes=most_bytes,
        )

    @property
    def session(self) -> Session | None:
        """The session that was created last; None if there is none, or it was deleted."""
        try:
            return self.store.session(self.created) if self.created else None
        except NotFoundError:
            return None

    def on_created(self, callback: Callable[[Any], Any]) -> None:
        """Call `callback` with each session that is created."""
        self._heard.append(callback)

    def acts(self) -> dict[str, Act]:
        """Return the actions that the page may request, by name."""
        return {
            "begin": lambda content, _: self._begin(content),
            "part": self._take_part,
            "cancel": lambda content, _: self._cancel(content),
            "here": lambda content, _: self._look_for_sender(content),
            "alive": lambda content, _: self._hear_sender(content),
            "left": lambda content, _: self._leave(content),
        }

    def close(self) -> None:
        """Close the form, and delete incomplete uploads."""
        self._drop()
        super().close()

    def static_html(self) -> Markup:
        """Return a description of what a running kernel shows here."""
        return h.p["A form to add a video."].__html__()

    def _begin(self, content: Mapping[str, Any]) -> None:
        self.store.require_writable()
        if self._films or self._works:
            self._look_for_sender(content)
            raise BadInputError(
                "Other videos are still being added. Wait until this is done, or choose Cancel."
            )
        faults: dict[str, list[str]] = {}
        fields = dict(content.get("person") or {})
        user_id = self._user_id(str(fields.pop("user_id", "")))
        of_person = {name: value for name in _OF_PERSON if (value := fields.pop(name, None))}
        date = fields.pop("date", None) or None
        try:
            taken_at(date)
        except BadInputError as error:
            faults.update(error.fields)
        when = {} if date is None else {"date": date}
        common = _checked_options(fields, faults)
        films = [
            self._film(number, film, common, user_id, when, faults)
            for number, film in enumerate(content.get("films") or [])
        ]
        if not films:
            faults["video"] = [_NO_VIDEO]
        person: dict[str, Any] = {}
        if of_person and not user_id:
            faults["user_id"] = [
                "name the participant, for example p01; age and sex are stored with the participant"
            ]
        elif user_id:
            try:
                whose = {**of_person, "user_id": user_id}
                checked = validate(GivenParticipant, whose, what="the participant")
                person = self._lacking(checked, of_person) if of_person else {}
            except BadInputError as error:
                faults.update(error.fields)
        if faults:
            raise BadInputError.of(faults, what="not added")
        self._of_person, self._films, self._faults = person, films, {}
        self._number = len(films)
        names = [film.name for film in films]
        self.sending = {"page": str(content.get("page", "")), "names": names}
        self._heard_at = time.monotonic()
        self._want_next()
        self._watch(self.sending)

    def _look_for_sender(self, content: Mapping[str, Any]) -> None:
        """Ask whether the page that sends videos still exists, because another page is shown."""
        if self._films and content.get("page") != self.sending.get("page"):
            self._ask_sender(self._silent_s)

    @property
    def _silent_s(self) -> float:
        return SILENT_S["open" if self.place else "notebook"]

    def _ask_sender(self, wait_s: float) -> None:
        """Ask the page that sends videos whether it exists; without an answer they are lost."""
        film, asked = self._films[0], time.monotonic()
        self.send({"kind": "alive"})

        def leave_it() -> None:
            if self._films and self._films[0] is film and self._heard_at < asked:
                self._lose()

        _later(wait_s, leave_it)

    def _watch(self, sending: Mapping[str, Any]) -> None:
        """Ask the page that sends videos, again and again, if nothing came from it for long."""
        if self.sending is not sending:
            return
        quiet_s = ASKED_AFTER * self._silent_s
        if self._films and time.monotonic() - self._heard_at >= quiet_s:
            self._ask_sender(quiet_s)
        _later(quiet_s, lambda: self._watch(sending))

    def _hear_sender(self, content: Mapping[str, Any]) -> None:
        if content.get("page") == self.sending.get("page"):
            self._heard_at = time.monotonic()

    def _leave(self, content: Mapping[str, Any]) -> None:
        """Drop the uploads of a page that was closed or reloaded."""
        if self._films and content.get("page") == self.sending.get("page"):
            self._lose()

    def _lose(self) -> None:
        """Drop videos that cannot arrive any more, and name them."""
        names = [film.name for film in self._films]
        self._drop()
        films, them = ("the whole video", "it") if len(names) == 1 else ("these videos", "them")
        self.say(
            "error",
            f"Not added: {listed(names)}. The page was closed or reloaded before {films} had "
            f"arrived. Choose {them} again.",
        )

    def _user_id(self, text: str) -> str:
        """Return the id of a participant; a display name is accepted if it is unique."""
        ids = {person["id"] for person in self.participants}
        named = [e["id"] for e in self.participants if e["name"].casefold() == text.casefold()]
        return named[0] if text and text not in ids and len(named) == 1 else text

    def _film(
        self,
        number: int,
        content: Mapping[str, Any],
        common: Mapping[str, Any],
        user_id: str,
        when: Mapping[str, str],
        faults: dict[str, list[str]],
    ) -> _Film:
        """Check the fields of a video; errors go to the field names followed by its number."""
        faults_of_film: dict[str, list[str]] = {}
        fields = {
            "exercise_name": "",
            "session_name": None,
            "body_joint_angles": [],
            "movement": None,
            **dict(content.get("fields") or {}),
        }
        options = {name: fields.pop(name, None) for name in options_at("form").model_fields}
        options = {**common, **_checked_options(options, faults_of_film)}
        named = [self._file("video", content, faults_of_film)]
        if second := content.get("second"):
            named.append(self._file("second_video", second, faults_of_film))
        try:
            check_creation(user_id=user_id or ANONYMOUS, **fields)
        except BadInputError as error:
            of_participant = error.fields.pop("user_id", None)
            if of_participant:
                faults["user_id"] = of_participant
            faults_of_film.update(error.fields)
        if not fields["exercise_name"]:
            faults_of_film["exercise_name"] = ["choose the exercise"]
        faults.update({f"{name}-{number}": lines for name, lines in faults_of_film.items()})
        files = [] if faults_of_film else named
        uploads = [_Upload(which, *file) for which, file in enumerate(files)]
        name = str(content.get("name") or "")
        return _Film(
            number,
            name,
            uploads,
            {**fields, **when, "user_id": user_id or ANONYMOUS, "options": options},
        )

    def _lacking(self, participant: Participant, names: Iterable[str]) -> dict[str, Any]:
        """Return the named fields that the participant's record lacks.

        Raises
        ------
        BadInputError
            The record has another value: it may belong to somebody else.
        """
        stored = self.store.stored_participant(participant.user_id)
        lacking: dict[str, Any] = {}
        faults: dict[str, str] = {}
        for name in names:
            value = getattr(participant, name)
            earlier = [] if stored is None else [getattr(stored, name)]
            if name == "age" and stored is not None and stored.birth_year is not None:
                reached = now().year - stored.birth_year
                earlier = [reached - 1, reached]
            if earlier in ([], [None]):
                lacking[name] = value
            elif value not in earlier:
                faults[name] = (
                    f"the record of {participant.user_id} has another value ({earlier[-1]}); if "
                    "it is the same person, leave this empty, or correct the record with "
                    f"mobility participants set {participant.user_id} --{name}"
                )
        if faults:
            raise BadInputError.of(faults, what="not added")
        return lacking

    def _file(
        self, field: str, content: Mapping[str, Any], faults: dict[str, list[str]]
    ) -> tuple[str, int]:
        """Return name and size of a file that will be sent; errors in them go to `faults`."""
        name, size = str(content.get("name") or ""), int(content.get("size") or 0)
        if not name:
            faults[field] = [_NO_VIDEO]
        elif size == 0:
            faults[field] = [f"{name}: is empty; choose another file"]
        elif size > self.most_bytes:
            limit = TooLargeError(
                f"{name}: has {size / 1000000.0:.1f} MB, but at most "
                f"{self.most_bytes / 1000000.0:.1f} MB are allowed; cut it, or pass its path to "
                "store.create(...)"
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
        upload = self._films[0].next_upload if self._films else None
        if upload is None or content.get("upload") != upload.id:
            log.info("a part of an upload that was cancelled")
            return
        film = self._films[0]
        self._heard_at = time.monotonic()
        try:
            upload.write(content.get("offset"), buffers[0] if buffers else b"")
        except (MobilityError, OSError):
            self._drop()
            self.send({"kind": "received"})
            raise
        if film.next_upload is not None:
            self._want_next()
            return
        self._films = self._films[1:]
        self.send({"kind": "received"})
        what = f"adding {upload.file.name}"
        self.in_background(what, lambda: self._add(film), on=upload.id)

    def _add(self, film: _Film) -> None:
        """Create a session from a video that has arrived, and continue with the next video."""
        try:
            session = self._create(film)
        except BadInputError as error:
            self._faults.update(
                {f"{name}-{film.number}": lines for name, lines in error.fields.items()}
            )
            self.send({"kind": "refused", "film": film.number})
        except BaseException:
            self._drop()
            self.send({"kind": "received"})
            raise
        else:
            self.created = session.id
            self.send({"kind": "created", "film": film.number, "session": session.id})
            for callback in self._heard:
                callback(session)
        if self._films:
            self._want_next()
            return
        self.sending = {}
        self.send({"kind": "ended"})
        if self._faults:
            raise BadInputError.of(self._faults, what="not added")
        name = session.record.name if self._number == 1 else ""
        self.say("done", f"{name} is added" if name else f"{self._number} videos are added")

    def _create(self, film: _Film) -> Session:
        fields = film.fields
        # The participant's next sessions need the height too.
        is_kept = fields["user_id"] != ANONYMOUS
        height = fields["options"].pop("height_m", None) if is_kept else None
        person = {**self._of_person, **({} if height is None else {"height_m": height})}
        try:
            if len(film.uploads) > 1:
                fields["second_video"] = film.uploads[1].file
            session = self.store.create(film.uploads[0].file, **fields)
        except BadInputError as error:
            # Users need not know the temporary paths.
            message = str(error)
            for upload in film.uploads:
                message = message.replace(f"{upload.file.parent}/", "")
            raise BadInputError.of(error.fields or {"video": message}, what="not added") from None
        finally:
            film.remove()
        if person:
            self.store.set_participant(session.record.user_id, **person)
        self.participants = _participants(self.store)
        return session

    def _cancel(self, content: Mapping[str, Any]) -> None:
        self._drop()
        self.send({"kind": "cancelled"})
        self.say("error" if content.get("because") else "", str(content.get("because") or ""))

    def _want_next(self) -> None:
        film = self._films[0]
        upload = film.next_upload
        assert upload is not None
        self.send(
            {
                **{"kind": "send", "upload": upload.id, "film": film.number},
                **{"which": upload.which, "offset": upload.received, "bytes": PART_BYTES},
            }
        )

    def _drop(self) -> None:
        for film in self._films:
            film.remove()
        self._films = []
        self.sending = {}


def _later(wait_s: float, act: Callable[[], None]) -> None:
    """Call `act` after a wait, which does not keep the process alive."""
    timer = threading.Timer(wait_s, act)
    timer.daemon = True
    timer.start()


def _checked_options(fields: Mapping[str, Any], faults: dict[str, list[str]]) -> dict[str, Any]:
    """Check options of the analysis, ignoring blank ones; errors go to `faults`."""
    try:
        return given_options({k: v or None for k, v in fields.items()}, options_at("form"))
    except BadInputError as error:
        faults.update(error.fields)
        return {}


def _participants(store: Store) -> list[dict[str, Any]]:
    """List participants with a record or a session, for suggestions."""
    rows = []
    for user_id in store.participants():
        if user_id == ANONYMOUS:
            continue
        stored = None
        with suppress(MobilityError):  # a damaged record
            stored = store.stored_participant(user_id)
        of_age = stored is not None and (stored.age, stored.birth_year) != (None, None)
        knows = {"age": of_age, "sex": stored is not None and stored.sex is not None}
        name = stored.display_name if stored is not None else None
        lacks = [field for field in _OF_PERSON if not knows[field]]
        rows.append({"id": user_id, "name": name or "", "lacks": lacks})
    return rows


def _exercises() -> list[dict[str, str]]:
    """List the exercises with a drawing (SVG) of each; empty if there is none."""
    drawings = ((exercise.name, exercise.file("film.svg")) for exercise in registry.exercises())
    return [
        {"name": name, "drawing": file.read_text(encoding="utf-8") if file.is_file() else ""}
        for name, file in drawings
    ]


def _movements() -> list[dict[str, str]]:
    """List the movements with how to film each: a sentence and a drawing (SVG)."""
    movements = []
    for name in tables.load("movements"):
        film = how_to_film(name)
        drawing = film.drawing.read_text(encoding="utf-8")
        label = name.replace("_", " ").capitalize()
        movements.append({"name": name, "label": label, "film": film.sentence, "drawing": drawing})
    return movements


@dataclass
class _Film:
    """A video that will become a session, with the video of its second camera."""

    number: int
    name: str
    uploads: list[_Upload]
    fields: dict[str, Any] = field(repr=False)

    @property
    def next_upload(self) -> _Upload | None:
        """Return the next video that is not complete yet."""
        return next((upload for upload in self.uploads if upload.received < upload.size), None)

    def remove(self) -> None:
        """Delete the uploads of the video."""
        for upload in self.uploads:
            upload.remove()


class _Upload:
    """A video that arrives in parts in a temporary folder, which is deleted with it."""

    def __init__(self, which: int, name: str, size: int) -> None:
        self.id = secrets.token_hex(8)
        self.which, self.size, self.received = which, size, 0
        self.folder, self.remove = scratch_folder("upload")
        self.file = self.folder / name

    def write(self, offset: Any, chunk: memoryview | bytes) -> None:
        """Append a part.

        Raises
        ------
        BadInputError
            It is not the part that was requested.
        StorageError
            The disk is full.
        """
        part = bytes(chunk)
        if offset != self.received or not part or self.received + len(part) > self.size:
            raise BadInputError(
                "the upload: a part is missing, or the file changed in the meantime; upload it "
                "again"
            )
        with writing(self.file), open_private(self.file, "ab") as out:
            out.write(part)
        self.received += len(part)
