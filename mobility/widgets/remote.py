"""The store of a lab's server, for the widgets.

>>> from mobility.client import Client
>>> from mobility.widgets import SessionBrowser, TrialViewer, UploadForm
>>> store = RemoteStore(Client("https://lab.example.org", key))  # doctest: +SKIP
>>> UploadForm(store), SessionBrowser(store)  # doctest: +SKIP
>>> TrialViewer(store.session("20260311-090500-1a2b3c4d"))  # doctest: +SKIP

The server analyses by itself. The data of a session are those that its documents hold:
:meth:`RemoteSession.notes` says what they do not.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, cast
from urllib.parse import parse_qs, unquote, urlsplit

import httpx
import numpy as np

from mobility import tables
from mobility.base.provenance import AnalysisWarning
from mobility.catalogue.joints import ANGLE_OF_JOINT
from mobility.client import Client
from mobility.documents.contract import ExportDocument
from mobility.documents.fill import SIDES, landmark_names
from mobility.errors import ConflictError, NotFoundError, NotPermittedError
from mobility.server.http_documents import SessionState
from mobility.sessions.record import Edits, Participant, SessionRecord, StoredConfig
from mobility.sessions.scratch import scratch_folder

if TYPE_CHECKING:
    import xarray as xr


class RemoteStore:
    """Sessions on a server, as far as its key may see them.

    Parameters
    ----------
    client
        Asks the server.
    """

    read_only = False
    on_server = True

    def __init__(self, client: Client) -> None:
        self.client = client

    def require_writable(self) -> None:
        """Nothing to do: the server says what its key may do."""

    def participants(self) -> list[str]:
        """Ids of the participants who have sessions."""
        return sorted({state.user_id for state in self.client.sessions()})

    def sessions_and_damaged(self) -> tuple[list[RemoteSession], dict[str, str]]:
        """All sessions, the oldest first; a server lists no damaged ones."""
        return [RemoteSession(state, self) for state in self.client.sessions()], {}

    def is_in_work(self, _: str) -> bool:
        """Whether a session that is being analysed still is: the server ends what it begins."""
        return True

    def session(self, session_id: str) -> RemoteSession:
        """Open a session.

        Raises
        ------
        NotFoundError
            There is no such session.
        """
        return RemoteSession(self.client.state(session_id), self)

    def create(
        self, video: str | os.PathLike[str], *, options: Mapping[str, Any], **fields: Any
    ) -> RemoteSession:
        """Send a video, as a store takes it; see :meth:`mobility.client.Client.create`."""
        return self.session(self.client.create(video, **fields, **options).session_id)

    def set_participant(self, user_id: str, /, **_: Any) -> NoReturn:
        """Refuse it: the interface of a server does not change participants."""
        raise NotFoundError(
            f"participant {user_id}: is on a server; change them where its store is"
        )

    stored_participant = set_participant

    def render_visit(self, user_id: str, *, on: datetime.date | str) -> dict[str, Path]:
        """Fetch the page of a visit into a temporary file, under "html"."""
        served = self.client.visit(user_id, on)
        key = f"{user_id}/{on}"
        if key not in _PAGES:
            _PAGES[key], _ = scratch_folder("visit")
        return {"html": self.client.download(served.page_url, _PAGES[key] / "visit.html")}

    def delete(self, session_id: str) -> None:
        """Delete a session for good."""
        self.client.delete(session_id)


class RemoteSession:
    """One session of a :class:`RemoteStore`."""

    def __init__(self, state: SessionState, store: RemoteStore) -> None:
        self.id = state.session_id
        self.title = state.title
        self.store = store
        self._use_state(state)

    def _use_state(self, state: SessionState) -> None:
        self._export: ExportDocument | None = None
        self.participant = Participant(user_id=state.user_id, display_name=state.display_name)
        # The server sends only this part of the record.
        self.record: SessionRecord = cast("Any", SessionRecord).model_construct(
            session_id=state.session_id,
            session_name=state.name,
            user_id=state.user_id,
            exercise=state.exercise,
            joints=state.joints,
            created_at=state.created_at,
            state=state.state,
            verdict=state.verdict,
            # The stages whose results the documents hold.
            stages={name: None for name in state.stages if name in ("pose", "angles")},
            reason=state.reason,
            warnings=[AnalysisWarning(code="", message=message) for message in state.warnings],
        )

    def notes(self) -> list[str]:
        """Say what the documents of the interface do not hold."""
        return [
            tables.sentence(f"widgets.viewer.not_served_{what}") for what in ("body", "repetitions")
        ]

    def correctable(self, what: str) -> NoReturn:
        """Refuse corrections."""
        raise NotFoundError(f"session {self.id}: is on a server; {what} where its store is")

    def fitted(self) -> NoReturn:
        """Refuse what the documents do not hold."""
        raise NotFoundError(f"session {self.id}: is on a server, which does not give this")

    repetitions = fitted

    def edits(self) -> Edits:
        """Give no corrections."""
        return Edits()

    def analyze(self, **_: Any) -> RemoteSession:
        """Have the server analyse it where it does not already, and wait until it has."""
        if self.record.state in ("created", "edited", "failed"):
            self.store.client.analyze(self.id)
        self._use_state(self.store.client.wait(self.id))
        return self

    def stored_config(self) -> StoredConfig | None:
        """Display settings with their revision; None where nothing was saved."""
        self.record.require("display settings")
        try:
            return self.store.client.stored_config(self.id)
        except NotFoundError:
            self.store.client.state(self.id)  # it is not the session that is missing
            return None

    def save_config(
        self,
        *,
        shown_angles: Sequence[str] | None = None,
        comments: Mapping[str, str] | None = None,
        revision: int | None = None,
    ) -> dict[str, Any]:
        """Save display settings; see :meth:`mobility.store.Session.save_config`."""
        saved = self.store.client.save_config(
            self.id, shown_angles=shown_angles, comments=comments, revision=revision
        )
        return saved.model_dump()

    def angles(self) -> xr.Dataset:
        """Flexions of the selected joints over time, degrees, to 0.01, NaN where refused.

        Their errors are not served.
        """
        export = self._exported()
        return self._angles(export.angles, export.all_timestamps)

    def shown_angles(self) -> xr.Dataset:
        """Angles as documents show them: without what the joint mobility refused."""
        if not self.record.kind.has("joint-mobility"):
            return self.angles()
        # Its document has no time.
        angles = self.store.client.joint_mobility(self.id).angles
        time = self.store.client.details(self.id).all_timestamps
        return self._angles({key: angle.values for key, angle in angles.items()}, time)

    def pose(self) -> xr.Dataset:
        """Landmarks in the picture, pixels to 0.01; without the size of the picture."""
        import xarray as xr

        export = self._exported()
        names = landmark_names()

        def over_time(letter: str) -> Any:
            rows = [export.keypoints[f"{name}{letter}"] for name in names]
            return np.array(rows, dtype=float).T[None]

        dims = ("individual", "time", "keypoint")
        return xr.Dataset(
            {
                "image_position": (
                    (*dims, "pixel"),
                    np.stack([over_time("x"), over_time("y")], axis=-1),
                    {"units": "pixel"},
                ),
                "confidence": (dims, over_time("v")),
            },
            coords={
                "time": np.array(export.all_timestamps) / 1000,
                "keypoint": list(names.values()),
                "pixel": ["u", "v"],
            },
        )

    @property
    def video(self) -> RemoteMedia:
        """The video."""
        return self._media(self.store.client.details(self.id).video_url)

    @property
    def annotated_video(self) -> RemoteMedia:
        """The annotated video; a file that is absent where there is none."""
        return self._media(self.store.client.details(self.id).analyzed_video_url or "")

    def _media(self, url: str) -> RemoteMedia:
        parts = urlsplit(url)
        name = unquote(parts.path.rpartition("/")[2])
        signed = url if "media_key" in parse_qs(parts.query) else ""
        return RemoteMedia(self.store.client, self.id, name, signed)

    def _exported(self) -> ExportDocument:
        # Landmarks and angles are to be of the same analysis.
        if self._export is None:
            self._export = self.store.client.export(self.id)
        return self._export

    def _angles(
        self, values: Mapping[str, Sequence[float | None]], time_ms: Sequence[float]
    ) -> xr.Dataset:
        import xarray as xr

        from mobility.kinematics.geometry import definitions

        words = definitions()
        variables = {}
        for joint in self.record.joints:
            name = ANGLE_OF_JOINT[joint]
            sides = [values[f"{side}_{joint}_angle"] for side in SIDES]
            if any(len(side) != len(time_ms) for side in sides):
                raise ConflictError(
                    f"session {self.id}: was analysed again while it was being read; read it again"
                )
            attrs = {"units": "degree", "long_name": words[name]["long_name"]}
            variables[name] = (("time", "side"), np.array(sides, dtype=float).T, attrs)
        coords = {"time": np.array(time_ms, dtype=float) / 1000, "side": list(SIDES)}
        return xr.Dataset(variables, coords=coords)

    def still(self) -> bytes:
        """Small picture of the video, JPEG; empty where there is none, or the key may not."""
        with suppress(NotFoundError, NotPermittedError):
            return self.store.client.still(self.id)
        return b""

    def render_report(self) -> dict[str, Path]:
        """Fetch the page of the report into a temporary file, under "html".

        Raises
        ------
        NotFoundError
            The session is not analysed.
        """
        if self.record.kind.has("report"):
            self.store.client.report(self.id)  # made anew there, where it is old
        name = f"{self.record.kind.slug}.html"
        if self.id not in _PAGES:
            _PAGES[self.id], _ = scratch_folder("report")
        page = _PAGES[self.id] / name
        return {"html": self.store.client.media(self.id, name, page)}

    def report_is_current(self) -> bool:
        """Say that :meth:`render_report` gives no other."""
        return True


@dataclass(frozen=True)
class RemoteMedia:
    """A video of a :class:`RemoteSession`, for :func:`mobility.widgets.media.address`.

    Attributes
    ----------
    name
        As the server calls it; "" where there is none.
    signed
        Address that needs no key, for a while; "" where the server gives none.
    """

    client: Client = field(repr=False)
    session_id: str
    name: str
    signed: str = field(default="", repr=False, compare=False)

    def is_file(self) -> bool:
        """Whether the server has it."""
        return bool(self.name)

    def ranged(self, asked: str | None) -> AbstractContextManager[httpx.Response]:
        """Ask the server for it, or for a range of it, with the key."""
        return self.client.ranged(self.session_id, self.name, asked)


_PAGES: dict[str, Path] = {}
"""Folders of pages that a browser may still show; they vanish with the kernel."""
