"""Who read or changed which session: one line of JSON each, only ever appended."""

from __future__ import annotations

import datetime
import json
import logging
from collections.abc import Mapping

from mobility.server.keys import private_folder
from mobility.store import Store
from mobility.writing import make_folder, open_private

log = logging.getLogger(__name__)


class Audit:
    """``.server/audit.jsonl`` in the store, or with the reports where that is behind a URL.

    It names keys by their id and sessions by theirs, and nobody by name: with the keys of a
    participant, what led from a line to them is gone.
    """

    def __init__(self, store: Store) -> None:
        self._file = private_folder(store) / "audit.jsonl"

    def note(self, said: Mapping[str, object]) -> None:
        """Append one line: the time, and what is `said` of a request."""
        when = datetime.datetime.now().astimezone().isoformat(timespec="milliseconds")
        line = json.dumps({"when": when, **said})
        try:
            make_folder(self._file.parent)
            # Opened for each line, so that the file may be rotated; one write is not torn.
            with open_private(self._file, "ab", buffering=0) as file:
                file.write(f"{line}\n".encode())
        except OSError as error:
            # A store that is only read may be read-only; the log of the server has it then.
            log.warning("audit log %s: %s; %s", self._file, error.strerror, line)
