"""Locks in a store behind a URL: an object that its holder keeps renewing.

No two clocks are compared: the server's clock alone says how long ago a lease was renewed. A
holder that was silent for too long is watched for a while before its lease is taken; if it lives,
it notices the loss before it publishes anything.
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
"""Age from which a lease may be a dead holder's."""

_SHORT_S = 1.0
"""How long a renewal (which is repeated) or a release (which may fail) waits for the server."""

WATCH_S = 2.5 * BEAT_S
"""How long a lease of that age is watched; a holder that was only cut off renews it."""


class Lease:
    """A lock that at most one process holds; see :meth:`acquire`."""

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
        """Take the lock and renew it until released; False if another holds it after `wait_s`.

        A silent holder is watched until it is clear whether it lives, however short `wait_s` is.
        """
        started = time.monotonic()
        last_token, unchanged_since, pause = "", started, 0.1
        while True:
            asked = time.monotonic()
            stored = self._objects.get(self._key)
            now = time.monotonic()
            token = None
            if stored is None:
                token = self._objects.put_if(self._key, self._body(), None)
            elif (body := _parse_body(stored.data)).get("holder") == self._holder:
                token = stored.token
            else:
                # While the server was away nobody could renew anything.
                if stored.token != last_token or now - asked > BEAT_S:
                    last_token, unchanged_since = stored.token, now
                silent_s = now - unchanged_since if stored.age_s is None else stored.age_s
                lives = stored.age_s is not None and silent_s <= LEASE_S
                if is_dead(body) or (silent_s > LEASE_S and now - unchanged_since > WATCH_S):
                    log.info("%s: taking the lock that %s left", self._key, body.get("holder"))
                    token = self._objects.put_if(self._key, self._body(), stored.token)
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
        """Raise unless the lock is still held."""
        stored = None if self._lost else self._objects.get(self._key)
        if stored is None or _parse_body(stored.data).get("holder") != self._holder:
            fault = StorageError(
                f"{self._objects.address(self._key)}: the lock was lost, for this process could "
                "not renew it; nothing was written; try again"
            )
            fault.retryable = True
            raise fault

    def release(self) -> None:
        """Release the lock; where the store cannot be reached, it becomes free after a while."""
        self._released.set()
        if self._renewing is not None:
            self._renewing.join()
        try:
            stored = None if self._lost else self._objects.get(self._key, patience_s=_SHORT_S)
            if stored is not None and _parse_body(stored.data).get("holder") == self._holder:
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
                    stored = self._objects.get(self._key, patience_s=_SHORT_S)
                    if stored is None or _parse_body(stored.data).get("holder") != self._holder:
                        self._lost = True
                        return
                    token = stored.token
                self._token = token
            except StorageError as error:
                log.info("%s: could not be renewed (%s)", self._key, error)

    def _body(self) -> bytes:
        return json.dumps({"holder": self._holder, "beat": self._beats, **this_process()}).encode()


def is_held(objects: Objects, key: str) -> bool:
    """Whether somebody holds a lock now, as far as a single read can show."""
    stored = objects.get(key)
    if stored is None or is_dead(_parse_body(stored.data)):
        return False
    return stored.age_s is not None and stored.age_s <= LEASE_S


def _parse_body(data: bytes) -> dict[str, Any]:
    try:
        body = json.loads(data)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def this_process() -> dict[str, Any]:
    """Identify this process, on Linux only, so that others see its death at once."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        space = os.readlink("/proc/self/ns/pid")  # noqa: PTH115 - it is no path
        return {"machine": f"{boot} {space}", "pid": os.getpid(), "started": _started(os.getpid())}
    except (OSError, ValueError, IndexError):
        return {}


def is_dead(holder: dict[str, Any]) -> bool:
    """Whether the holder is surely dead, which can be seen only if it ran on this machine."""
    here = this_process()
    if not here or holder.get("machine") != here["machine"]:
        return False
    if not isinstance(holder.get("pid"), int):
        return False
    try:
        return _started(holder["pid"]) != holder.get("started")
    except FileNotFoundError:
        return True
    except (OSError, ValueError, IndexError):
        return False


def _started(pid: int) -> int:
    """Start of a process in ticks since the machine's start; -1 of a zombie, which has ended."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()
    return -1 if fields[0] in "ZX" else int(fields[19])
