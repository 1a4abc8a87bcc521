"""The store of a lab's server, for the upload form and the table of sessions.

>>> from mobility.client import Client
>>> from mobility.widgets import SessionBrowser, UploadForm
>>> store = RemoteStore(Client("https://lab.example.org", key))  # doctest: +SKIP
>>> UploadForm(store), SessionBrowser(store)  # doctest: +SKIP

The server analyses by itself. What looks into the data of a session needs the store itself.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any, cast

from mobility.client import Client
from mobility.server.models import SessionState
from mobility.workbench.contract import SessionRecord, Warned
from mobility.workbench.store import REPORT_NAMES


class RemoteStore:
    """Sessions on a server, as far as its key may see them.

    Parameters
    ----------
    client
        Asks the server.
    """

    read_only = False

    def __init__(self, client: Client) -> None:
        self.client = client

    def _require_writable(self) -> None:
        """Nothing to do: the server says what its key may do."""

    def participants(self) -> list[str]:
        """Ids of the participants who have sessions."""
        return sorted({state.user_id for state in self.client.sessions()})

    def sessions(self) -> list[RemoteSession]:
        """All sessions, the oldest first."""
        return [RemoteSession(state, self) for state in self.client.sessions()]

    def session(self, session_id: str) -> RemoteSession:
        """Open a session.

        Raises
        ------
        NotFoundError
            There is no such session.
        """
        return RemoteSession(self.client.state(session_id), self)

    def create(self, video: str | os.PathLike[str], **fields: Any) -> RemoteSession:
        """Send a video; see :meth:`mobility.client.Client.create`."""
        return self.session(self.client.create(video, **fields).session_id)

    def delete(self, session_id: str) -> None:
        """Delete a session for good."""
        self.client.delete(session_id)


class RemoteSession:
    """One session of a :class:`RemoteStore`."""

    participant = None

    def __init__(self, state: SessionState, store: RemoteStore) -> None:
        self.id = state.session_id
        self.title = state.title
        self.store = store
        self._take(state)

    def _take(self, state: SessionState) -> None:
        # Of the record the server tells only what is needed here.
        self.record: SessionRecord = cast("Any", SessionRecord).model_construct(
            session_id=state.session_id,
            session_name=state.title,
            user_id=state.user_id,
            exercise=state.exercise,
            created_at=state.created_at,
            state="running" if state.state == "analyzing" else state.state,
            reason=state.reason,
            warnings=[Warned(code="", message=message) for message in state.warnings],
        )

    def analyze(self, **_: Any) -> RemoteSession:
        """Have the server analyse it where it does not already, and wait until it has."""
        if self.record.state in ("created", "edited", "failed"):
            self.store.client.analyze(self.id)
        self._take(self.store.client.wait(self.id))
        return self

    def render_report(self) -> dict[str, Path]:
        """Fetch the page of the report into a temporary file, under "html".

        Raises
        ------
        NotFoundError
            The session is not analysed.
        """
        if self.record.exercise == "Overhead Squat":
            self.store.client.report(self.id)  # made anew there, where it is old
        name = f"{REPORT_NAMES[self.record.exercise]}.html"
        if self.id not in _PAGES:
            _PAGES[self.id] = tempfile.TemporaryDirectory(prefix="mobility-report-")
        page = Path(_PAGES[self.id].name) / name
        return {"html": self.store.client.media(self.id, name, page)}


_PAGES: dict[str, tempfile.TemporaryDirectory[str]] = {}
"""Folders of pages that a browser may still show; they vanish with the kernel."""
