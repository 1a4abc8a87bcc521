"""Pages of the visits whose videos a batch or a watch has processed."""

from __future__ import annotations

import datetime
import logging
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mobility.errors import MobilityError
from mobility.store import Store

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class MadeVisit:
    """A visit, and its page, or the reason why it has none."""

    user_id: str
    date: datetime.date
    page: Path | None
    reason: str = ""


def render_visits(store: Store, session_ids: Iterable[str]) -> Iterator[MadeVisit]:
    """Make the pages of the visits to which sessions belong, each once.

    Sessions of nobody in particular make no visit.
    """
    days: dict[tuple[str, datetime.date], None] = {}
    for session_id in session_ids:
        with suppress(MobilityError):  # deleted meanwhile, or damaged
            record = store.session(session_id).record
            if record.visit_day is not None:
                days[record.user_id, record.visit_day] = None
    for user_id, date in days:
        try:
            page, reason = store.render_visit(user_id, on=date)["html"], ""
        except MobilityError as error:
            page, reason = None, str(error)
            log.warning("visit of %s on %s: %s", user_id, date, reason)
        yield MadeVisit(user_id, date, page, reason)
