"""Addresses of videos and pictures that work for a while without a key.

Players send no Authorization header. So the addresses in documents carry a signature, valid for one
file and a limited time. Each process has another secret: a restart makes all of them invalid.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from urllib.parse import urlencode

from tornado.web import create_signed_value, decode_signed_value

_DAY_S = 86_400
_VERSION = 2
"""Version of tornado's signed values: HMAC-SHA256 of name, value and time."""


class MediaKeys:
    """Signs addresses, valid for `seconds`; with 0, none works without a key."""

    def __init__(self, seconds: int, *, clock: Callable[[], float] = time.time) -> None:
        self._seconds = seconds
        self._clock = clock
        self._secret = secrets.token_bytes(32)

    def query(self, session_id: str, name: str, who: str) -> str:
        """Query of the address of a file, signed for `who`; empty if addresses are not signed."""
        if not self._seconds:
            return ""
        signed = create_signed_value(
            self._secret, f"{session_id}/{name}", who, version=_VERSION, clock=self._clock
        )
        # "key" in the name: the log of Jupyter Server hides the values of such parameters.
        return urlencode({"media_key": signed})

    def signed_for(self, session_id: str, name: str, media_key: str) -> str | None:
        """Caller for whom the address of a file was signed; None if invalid or expired."""
        who = decode_signed_value(
            self._secret,
            f"{session_id}/{name}",
            media_key,
            max_age_days=self._seconds / _DAY_S,
            clock=self._clock,
            min_version=_VERSION,
        )
        return None if who is None else who.decode()
