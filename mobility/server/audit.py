"""Who read or changed which session: one line of JSON each, append-only."""

from __future__ import annotations

import datetime
import json
import logging
from collections.abc import Mapping

from mobility.base.writing import make_folder, open_private
from mobility.server.api_keys import private_folder
from mobility.store import Store

log = logging.getLogger(__name__)


class Audit:
    """``.server/audit.jsonl`` in the store.

    Lines hold ids of keys and sessions, and no names: once a participant's keys are deleted,
    nothing leads from a line to them.
    """

    def __init__(self, store: Store) -> None:
        self._file = private_folder(store) / "audit.jsonl"

    def note(self, entry: Mapping[str, object]) -> None:
        """Append one line: the time, and `entry`."""
        when = datetime.datetime.now().astimezone().isoformat(timespec="milliseconds")
        line = json.dumps({"when": when, **entry})
        try:
            make_folder(self._file.parent)
            # Opened for each line, so that the file may be rotated. A single write is atomic.
            with open_private(self._file, "ab", buffering=0) as file:
                file.write(f"{line}\n".encode())
        except OSError as error:
            # The store may be read-only; the server's log then holds the line.
            log.warning("audit log %s: %s; %s", self._file, error.strerror, line)
