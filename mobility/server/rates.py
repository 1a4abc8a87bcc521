"""Limits the requests of each caller: token buckets that refill with time."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from mobility.errors import TooManyRequestsError

_MOST_CALLERS = 10_000


class Rates:
    """A bucket for each caller, which holds the requests of one minute; 0: no limit."""

    def __init__(self, per_minute: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._size = float(per_minute)
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, caller: str) -> None:
        """Take one request out of the bucket of a caller."""
        if not self._size:
            return
        now = self._clock()
        left, then = self._buckets.pop(caller, (self._size, now))
        left = min(self._size, left + (now - then) * self._size / 60)
        self._buckets[caller] = (max(0.0, left - 1), now)
        # The longest silent caller goes first: that bucket is the most likely to be full.
        while len(self._buckets) > _MOST_CALLERS:
            self._buckets.popitem(last=False)
        if left < 1:
            raise TooManyRequestsError(
                f"too many requests: at most {self._size:.0f} a minute; ask again later",
                retry_after_s=max(1, round((1 - left) * 60 / self._size)),
            )
