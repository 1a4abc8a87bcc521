"""Pages of the visits whose videos a batch or a watch has processed."""

from __future__ import annotations

import datetime
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mobility.batch.batch_record import BatchRow
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


def render_visits(store: Store, rows: Iterable[BatchRow]) -> Iterator[MadeVisit]:
    """Make the pages of the visits to which the sessions of rows belong, each once.

    Sessions of nobody in particular make no visit.
    """
    days: dict[tuple[str, datetime.date], None] = {}
    for row in rows:
        if row.session_id and store.has(row.session_id):
            record = store.session(row.session_id).record
            if record.visit_day is not None:
                days[record.user_id, record.visit_day] = None
    for user_id, date in days:
        try:
            page, reason = store.render_visit(user_id, on=date)["html"], ""
        except MobilityError as error:
            page, reason = None, str(error)
            log.warning("visit of %s on %s: %s", user_id, date, reason)
        yield MadeVisit(user_id, date, page, reason)
