"""Locks in a store behind a URL: an object that its holder keeps renewing.

No two clocks are compared: how long ago a lease was renewed is told by the clock of the server
alone, and a holder that was silent for too long is watched for a while before its lease is taken.
One whose lease was taken finds out before it publishes anything.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from pathlib import Path
from secrets import token_hex
from typing import Any

from mobility.errors import StorageError
from mobility.sessions.objects import Objects

log = logging.getLogger(__name__)

BEAT_S = 5.0
"""How often a lease is renewed."""

LEASE_S = 30.0
"""How long ago a lease must have been renewed at least for its holder to be taken for dead."""

_SHORT_S = 1.0
"""How long a renewal or a release waits for the server: the one is repeated, the other can fail."""

WATCH_S = 2.5 * BEAT_S
"""How long such a lease is watched; a holder that only could not reach the server renews it."""


class Lease:
    """A lock that at most one holds; see :meth:`acquire`."""

    def __init__(self, objects: Objects, key: str) -> None:
        self._objects = objects
        self._key = key
        self._holder = token_hex(12)
        self._token = ""
        self._beats = 0
        self._lost = False
        self._released = threading.Event()
        self._renewing: threading.Thread | None = None

    def acquire(self, wait_s: float = 0.0) -> bool:
        """Take it, and keep it until it is released; False if another holds it after `wait_s`.

        Whether a silent holder lives is found out in any case.
        """
        started = time.monotonic()
        seen, since, pause = "", started, 0.1
        while True:
            asked = time.monotonic()
            found = self._objects.get(self._key)
            now = time.monotonic()
            token = None
            if found is None:
                token = self._objects.put_if(self._key, self._body(), None)
            elif (held := _read(found.data)).get("holder") == self._holder:
                token = found.token
            else:
                # While the server was away nobody could renew anything.
                if found.token != seen or now - asked > BEAT_S:
                    seen, since = found.token, now
                silent_s = now - since if found.age_s is None else found.age_s
                lives = found.age_s is not None and silent_s <= LEASE_S
                if _is_dead(held) or (silent_s > LEASE_S and now - since > WATCH_S):
                    log.info("%s: taking the lock that %s left", self._key, held.get("holder"))
                    token = self._objects.put_if(self._key, self._body(), found.token)
                elif now - started >= (wait_s if lives else max(wait_s, LEASE_S + WATCH_S)):
                    return False
            if token is not None:
                self._token = token
                break
            time.sleep(pause)
            pause = min(1.5 * pause, 1.0)
        self._objects.check_conditions(self._key, self._body())
        self._renewing = threading.Thread(target=self._renew, daemon=True)
        self._renewing.start()
        return True

    def check(self) -> None:
        """Make sure that it is held still."""
        found = None if self._lost else self._objects.get(self._key)
        if found is None or _read(found.data).get("holder") != self._holder:
            fault = StorageError(
                f"{self._objects.address(self._key)}: the lock was lost, for this process could "
                "not renew it; nothing was written; try again"
            )
            fault.may_pass = True
            raise fault

    def release(self) -> None:
        """Give it up; where the store cannot be reached, it is free after a while."""
        self._released.set()
        if self._renewing is not None:
            self._renewing.join()
        try:
            found = None if self._lost else self._objects.get(self._key, patience_s=_SHORT_S)
            if found is not None and _read(found.data).get("holder") == self._holder:
                self._objects.delete([self._key])
        except StorageError as error:
            log.info("%s: could not be released (%s)", self._key, error)

    def _renew(self) -> None:
        while not self._released.wait(BEAT_S):
            self._beats += 1
            try:
                token = self._objects.put_if(
                    self._key, self._body(), self._token, patience_s=_SHORT_S
                )
                if token is None:
                    found = self._objects.get(self._key, patience_s=_SHORT_S)
                    if found is None or _read(found.data).get("holder") != self._holder:
                        self._lost = True
                        return
                    token = found.token
                self._token = token
            except StorageError as error:
                log.info("%s: could not be renewed (%s)", self._key, error)

    def _body(self) -> bytes:
        return json.dumps({"holder": self._holder, "beat": self._beats, **_process()}).encode()


def is_held(objects: Objects, key: str) -> bool:
    """Whether somebody holds a lock now, as far as one look tells; nothing is taken."""
    found = objects.get(key)
    if found is None or _is_dead(_read(found.data)):
        return False
    return found.age_s is not None and found.age_s <= LEASE_S


def _read(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _process() -> dict[str, Any]:
    """Tell this process from all others, on Linux: so its death can be seen at once."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        space = os.readlink("/proc/self/ns/pid")  # noqa: PTH115 - it is no path
        return {"machine": f"{boot} {space}", "pid": os.getpid(), "started": _started(os.getpid())}
    except (OSError, ValueError, IndexError):
        return {}


def _is_dead(held: dict[str, Any]) -> bool:
    """Whether the holder is known to be dead, because it ran on this machine."""
    here = _process()
    if not here or held.get("machine") != here["machine"] or not isinstance(held.get("pid"), int):
        return False
    try:
        return _started(held["pid"]) != held.get("started")
    except FileNotFoundError:
        return True
    except (OSError, ValueError, IndexError):
        return False


def _started(pid: int) -> int:
    """When a process was started, in ticks since the machine was; a zombie has ended."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()
    return -1 if fields[0] in "ZX" else int(fields[19])
