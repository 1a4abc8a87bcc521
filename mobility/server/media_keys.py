"""Addresses of videos and pictures that work for a while without a key.

Players send no Authorization header. So the addresses in documents carry a signature that
is good for one file and some time. The secret is of the process: a restart ends them all.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from urllib.parse import urlencode


class MediaKeys:
    """Signs addresses.

    Parameters
    ----------
    seconds
        How long an address works; 0: none works without a key.
    clock
        Seconds since 1970.
    """

    def __init__(self, seconds: int, *, clock: Callable[[], float] = time.time) -> None:
        self._seconds = seconds
        self._clock = clock
        self._secret = secrets.token_bytes(32)

    def query(self, session_id: str, name: str, who: str) -> str:
        """Query of the address of a file, made for `who`; empty where there is to be none."""
        if not self._seconds:
            return ""
        until = str(int(self._clock()) + self._seconds)
        # "key" in the name: the log of Jupyter Server hides the values of such parameters.
        media_key = self._sign(session_id, name, who, until)
        return urlencode({"until": until, "signed_for": who, "media_key": media_key})

    def is_valid(
        self, session_id: str, name: str, *, until: str, signed_for: str, media_key: str
    ) -> bool:
        """Whether this is the signature of a file, and still good."""
        is_right = hmac.compare_digest(
            self._sign(session_id, name, signed_for, until).encode(), media_key.encode()
        )
        # Only what was signed is a number for sure.
        return bool(self._seconds) and is_right and int(until) >= self._clock()

    def _sign(self, *parts: str) -> str:
        text = "\n".join(parts).encode()
        digest = hmac.new(self._secret, text, hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")
