"""Who read or changed which session: one line of JSON each, only ever appended."""

from __future__ import annotations

import datetime
import json
import logging
import os

from mobility.server.keys import private_folder
from mobility.store import Store
from mobility.writing import make_folder

log = logging.getLogger(__name__)


class Audit:
    """``.server/audit.jsonl`` in the store, or with the reports where that is behind a URL.

    It names keys by their id and sessions by theirs, and nobody by name: with the keys of a
    participant, what led from a line to them is gone.
    """

    def __init__(self, store: Store) -> None:
        self._file = private_folder(store) / "audit.jsonl"

    def note(
        self, *, who: str, role: str, did: str, of: str, status: int, address: str | None
    ) -> None:
        """Append one line.

        Parameters
        ----------
        who, role
            The caller.
        did
            Method and what of the session ("GET report").
        of
            Id of the session, or "everything of a participant".
        status
            What was answered.
        address
            Where from.
        """
        line = json.dumps(
            {
                "when": datetime.datetime.now().astimezone().isoformat(timespec="milliseconds"),
                "who": who,
                "role": role,
                "did": did,
                "of": of,
                "status": status,
                "from": address,
            }
        )
        try:
            # Opened for each line, so that the file may be rotated; one write is not torn.
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
            try:
                handle = os.open(self._file, flags, 0o600)
            except FileNotFoundError:
                make_folder(self._file.parent)
                handle = os.open(self._file, flags, 0o600)
            try:
                os.write(handle, f"{line}\n".encode())
            finally:
                os.close(handle)
        except OSError as error:
            # A store that is only read may be read-only; the log of the server has it then.
            log.warning("audit log %s: %s; %s", self._file, error.strerror, line)
