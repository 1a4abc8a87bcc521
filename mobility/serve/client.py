"""A typed client for the HTTP interface of a lab's server.

>>> with Client("https://lab.example.org", key) as client:  # doctest: +SKIP
...     created = client.create("squat.mp4")
...     client.wait(created.session_id)
...     print(client.report(created.session_id).grouped_data)
"""

from __future__ import annotations

import datetime
import mimetypes
import os
import re
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx
from pydantic import TypeAdapter, ValidationError

from mobility import errors
from mobility.base.parsing import require_regular
from mobility.documents.contract import (
    Check,
    Creation,
    ExportDocument,
    JointMobilityDocument,
    MeasurementSystem,
    RecordingCheck,
    ReportDocument,
    ServedVisit,
    SessionDocument,
    SummaryDocument,
)
from mobility.errors import BadInputError, MobilityError, NotFoundError, StorageError
from mobility.serve.http_documents import ETAG, SessionState, ThreadIds
from mobility.sessions.analysis_options import given_options, options_at
from mobility.sessions.files import atomic
from mobility.sessions.record import DisplayConfig, StoredConfig

T = TypeVar("T")

_PREFIX = "/mobility-assessment"
_BY_STATUS: Mapping[int, type[MobilityError]] = {
    fault.status: fault
    for fault in (
        *(BadInputError, NotFoundError, errors.NotAuthenticatedError, errors.NotPermittedError),
        *(errors.TooSlowError, errors.ConflictError, errors.TooLargeError),
        *(errors.TooManyRequestsError, errors.DiskFullError),
    )
}


class Client:
    """A client for one server with one key; it is a context manager that closes its connections.

    Parameters
    ----------
    url
        Address of the Jupyter Server, with its base path if it has one.
    key
        An API key or a Jupyter token.
    timeout_s
        Seconds to wait for a response, which may include the time to render a report.

    Raises
    ------
    MobilityError
        Every function raises the error that the server reports; its class depends on the status.
        StorageError if the server cannot be reached, or if the response is not the expected
        document.
    """

    def __init__(self, url: str, key: str, *, timeout_s: float = 300.0) -> None:
        scheme = "API-KEY" if key.startswith("mob_") else "token"
        self._http = httpx.Client(
            base_url=url.rstrip("/"),
            headers={"Authorization": f"{scheme} {key}"},
            timeout=timeout_s,
            follow_redirects=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def create(
        self,
        video: str | os.PathLike[str],
        *,
        exercise_name: str | None = None,
        user_id: str | None = None,
        session_name: str | None = None,
        body_joint_angles: str | Sequence[str] = ("all",),
        movement: str | None = None,
        keypoints: str | os.PathLike[str] | None = None,
        keypoints_model: str | None = None,
        for_others: bool = False,
        **options: Any,
    ) -> Creation:
        """Upload a video, read from the disk as needed; its analysis starts automatically.

        Parameters
        ----------
        video
            The file.
        exercise_name, user_id, session_name, body_joint_angles
            As in :meth:`mobility.store.Store.create`. Without `user_id` the session belongs to the
            key's participant; without `exercise_name`, the exercise is the one of `movement`.
        movement
            As in :meth:`mobility.store.Session.analyze`.
        keypoints, keypoints_model
            One file with the keypoints of the video, as in :meth:`mobility.store.Store.create`.
        for_others
            Whether to create the session for another user.
        options
            As in :meth:`mobility.store.Session.analyze`: the options that a server accepts; a model
            is chosen by its name.
        """
        path = Path(video)
        joints = (
            body_joint_angles if isinstance(body_joint_angles, str) else ",".join(body_joint_angles)
        )
        checked_options = given_options(options, options_at("http"), what="options of create")
        fields = {
            **{
                name: ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
                for name, value in checked_options.items()
            },
            "exercise_name": exercise_name,
            "user_id": user_id,
            "session_name": session_name,
            "body_joint_angles": joints,
            "movement": movement,
            "keypoints_model": keypoints_model,
        }
        where = f"{_PREFIX}/{'management/' if for_others else ''}sessions/"
        sent = {"video": path} | ({} if keypoints is None else {"keypoints": Path(keypoints)})
        with ExitStack() as opened:
            files = {}
            for name, file in sent.items():
                kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
                try:
                    require_regular(file)
                    source = opened.enter_context(file.open("rb"))
                except OSError as error:
                    why = f"cannot be read ({error.strerror})"
                    raise NotFoundError(f"{name} {file}: {why}") from None
                files[name] = (file.name, source, kind)
            return self._ask(
                Creation,
                "POST",
                where,
                data={name: value for name, value in fields.items() if value is not None},
                files=files,
            )

    def sessions(self) -> list[SessionState]:
        """List the sessions that the key may see, oldest first."""
        return self._ask(list[SessionState], "GET", f"{_PREFIX}/sessions/")

    def state(self, session_id: str) -> SessionState:
        """Return the state of a session."""
        return self._ask(SessionState, "GET", self._path(session_id, "state/"))

    def recording_check(self, session_id: str) -> RecordingCheck:
        """Take a first look at the recording of a session that is waiting for its analysis."""
        return self._ask(RecordingCheck, "GET", self._path(session_id, "recording-check/"))

    def analyze(self, session_id: str) -> SessionState:
        """Queue another analysis of a session."""
        return self._ask(SessionState, "POST", self._path(session_id, "state/"))

    def wait(
        self, session_id: str, *, timeout_s: float = 3600.0, every_s: float = 1.0
    ) -> SessionState:
        """Wait until a session is analysed.

        Raises
        ------
        BadInputError
            The analysis failed; the message gives the reason.
        StorageError
            The session is not analysed within this time.
        """
        end = time.monotonic() + timeout_s
        while True:
            state = self.state(session_id)
            if state.state == "failed":
                raise BadInputError(f"session {session_id}: {state.reason}")
            if state.state not in ("queued", "held", "analyzing"):
                return state
            if time.monotonic() > end:
                raise StorageError(
                    f"session {session_id}: is not yet analysed after {timeout_s:g} s; wait longer"
                )
            time.sleep(every_s)

    def details(self, session_id: str, *, demo: bool = False) -> SessionDocument:
        """Return details of a session."""
        return self._ask(SessionDocument, "GET", self._path(session_id), demo=demo)

    def export(self, session_id: str, *, demo: bool = False) -> ExportDocument:
        """Return landmarks and angles of a session."""
        return self._ask(ExportDocument, "GET", self._path(session_id, "export/"), demo=demo)

    def checks(self, session_id: str, *, demo: bool = False) -> list[Check]:
        """Return rule results of a session, a row for each side, like :meth:`Session.checks`."""
        return self._ask(list[Check], "GET", self._path(session_id, "checks/"), demo=demo)

    def report(self, session_id: str, *, demo: bool = False) -> ReportDocument:
        """Return the report of an exercise with repetitions."""
        return self._ask(ReportDocument, "POST", self._path(session_id, "report/"), demo=demo)

    def summary(self, session_id: str, *, demo: bool = False) -> SummaryDocument:
        """Return the summary of an exercise with repetitions."""
        return self._ask(SummaryDocument, "GET", self._path(session_id, "summary/"), demo=demo)

    def joint_mobility(self, session_id: str, *, demo: bool = False) -> JointMobilityDocument:
        """Return the report of single-joint range of motion."""
        where = self._path(session_id, "joint-mobility/")
        return self._ask(JointMobilityDocument, "POST", where, demo=demo)

    def config(self, session_id: str) -> DisplayConfig:
        """Return the display settings for a session of single-joint range of motion."""
        return self._ask(DisplayConfig, "GET", self._path(session_id, "joint-mobility-config/"))

    def stored_config(self, session_id: str) -> StoredConfig:
        """Return the display settings of a single-joint session, with their revision number."""
        answer = self._send("GET", self._path(session_id, "joint-mobility-config/"))
        tag = re.fullmatch(ETAG, answer.headers.get("ETag", ""))
        if tag is None:
            raise StorageError(
                f"session {session_id}: the server did not send the revision (ETag) of the "
                "display settings; it may have another version, or a proxy removes the header"
            )
        return _validated_as(StoredConfig, {**_json_of(answer), "revision": int(tag[1])})

    def save_config(
        self,
        session_id: str,
        *,
        shown_angles: Sequence[str] | None = None,
        comments: Mapping[str, str] | None = None,
        revision: int | None = None,
    ) -> DisplayConfig:
        """Save display settings, as in :meth:`mobility.store.Session.save_config`."""
        fields: dict[str, Any] = {}
        if shown_angles is not None:
            fields["shown_angles"] = list(shown_angles)
        if comments is not None:
            fields["comments"] = dict(comments)
        matched = {} if revision is None else {"If-Match": f'"{revision}"'}
        where = self._path(session_id, "joint-mobility-config/")
        return self._ask(DisplayConfig, "POST", where, json=fields, headers=matched)

    def create_summary_threads(
        self, session_id: str, *, system: MeasurementSystem = "metric"
    ) -> ThreadIds:
        """Create threads on the findings."""
        where = self._path(session_id, "summary/")
        return self._ask(ThreadIds, "POST", where, params={"system": system})

    def create_recommendation_threads(
        self, session_id: str, *, system: MeasurementSystem = "metric"
    ) -> ThreadIds:
        """Create threads on the recommendations."""
        where = self._path(session_id, "recommendation/")
        return self._ask(ThreadIds, "POST", where, params={"system": system})

    def delete(self, session_id: str) -> None:
        """Delete a session permanently."""
        self._send("DELETE", self._path(session_id))

    def visit(self, user_id: str, date: str | datetime.date) -> ServedVisit:
        """Return the videos, checks, joints and changes of a visit, and the address of its page."""
        where = f"{_PREFIX}/participants/{quote(user_id, safe='')}/visits/{quote(str(date))}/"
        return self._ask(ServedVisit, "GET", where)

    def export_participant(self, user_id: str, path: str | os.PathLike[str]) -> Path:
        """Save everything stored about a participant as a ZIP file."""
        return self.download(f"{_PREFIX}/participants/{quote(user_id, safe='')}/export/", path)

    def erase_participant(self, user_id: str) -> None:
        """Delete everything about a participant permanently."""
        self._send("DELETE", f"{_PREFIX}/participants/{quote(user_id, safe='')}/")

    def still(self, session_id: str) -> bytes:
        """Return the still of a session (JPEG), for lists."""
        return self._send("GET", self._path(session_id, "still/")).content

    def media(self, session_id: str, name: str, path: str | os.PathLike[str]) -> Path:
        """Save a video, a picture or the report page of a session, by its name."""
        return self.download(self._path(session_id, f"media/{quote(name, safe='')}"), path)

    def download(self, url: str, path: str | os.PathLike[str]) -> Path:
        """Save the file at an address in a document; the key is not sent to another host."""
        target = Path(path)
        http = self._open()
        try:
            request = http.build_request("GET", url)
            if _origin(request.url) != _origin(http.base_url):
                del request.headers["Authorization"]
            with (
                closing(http.send(request, stream=True)) as answer,
                atomic(target) as hidden,
                hidden.open("wb") as file,
            ):
                if answer.is_error:
                    answer.read()
                _check(answer)
                for block in answer.iter_bytes():
                    file.write(block)
        except httpx.HTTPError as error:
            raise StorageError(f"{url}: {error or type(error).__name__}") from None
        return target

    def _open(self) -> httpx.Client:
        if self._http.is_closed:
            raise StorageError(f"{self._http.base_url}: this client is closed; create a new one")
        return self._http

    def _path(self, session_id: str, what: str = "") -> str:
        return f"{_PREFIX}/sessions/{quote(session_id, safe='')}/{what}"

    def _ask(
        self, kind: type[T], method: str, path: str, *, demo: bool = False, **request: Any
    ) -> T:
        if demo:
            request["params"] = {"demo": "true"}
        return _validated_as(kind, _json_of(self._send(method, path, **request)))

    def _send(self, method: str, path: str, **request: Any) -> httpx.Response:
        try:
            answer = self._open().request(method, path, **request)
        except httpx.HTTPError as error:
            raise StorageError(f"{self._http.base_url}: {error or type(error).__name__}") from None
        _check(answer)
        return answer


def _json_of(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        raise StorageError(
            f"{answer.url}: the response is not JSON; check the address of the server"
        ) from None


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _check(answer: httpx.Response) -> None:
    """Raise the error that a server reports."""
    if answer.is_success:
        return
    try:
        body = answer.json()
    except ValueError:
        body = {}
    fields = body.get("errors") or {} if isinstance(body, dict) else {}
    lines = [f"{name}: {', '.join(faults)}" for name, faults in fields.items()]
    message = body.get("error") if isinstance(body, dict) else None
    message = message or "; ".join(lines) or f"the server sent the status {answer.status_code}"
    fault = _BY_STATUS.get(answer.status_code)
    if fault is BadInputError:
        raise BadInputError(message, fields)
    raise fault(message) if fault else StorageError(message)


def _validated_as(kind: type[T], answer: Any) -> T:
    try:
        return TypeAdapter(kind).validate_python(answer, strict=False)
    except ValidationError as error:
        raise StorageError(
            f"the response is not the expected document; check the version of the server ({error})"
        ) from None
