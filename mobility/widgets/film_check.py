"""Whether the films that were just added are good, while there is time to film again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import traitlets

from mobility.store import Session
from mobility.widgets.widget import Act, Widget, module


class FilmCheck(Widget):
    """Checks films that were added, and shows what is found until it is put away.

    Attributes
    ----------
    checks
        Of each film, the newest first: ``session``, its ``title``, and the document of
        :func:`mobility.check_recording`. It is kept nowhere else.
    """

    _esm = module("film_check")

    checks = traitlets.List().tag(sync=True)

    def acts(self) -> dict[str, Act]:
        """Acts that the page may ask for, by name."""
        return {"put away": lambda content, _: self._put_away(content)}

    def check(self, session: Session, then: Callable[[Session], object]) -> None:
        """Check the film of a session beside the page, and do what follows, whatever is found."""

        def work() -> None:
            try:
                document = session.check_recording()
                shown = {**document, "session": session.id, "title": session.record.name}
                with self._guard:
                    self.checks = [shown, *self.checks]
            finally:
                then(session)

        self.in_background("checking the film", work, on=session.id)

    def keep(self, session_ids: set[str]) -> None:
        """Show nothing of sessions that are not among `session_ids` any more."""
        with self._guard:
            checks_left = [each for each in self.checks if each["session"] in session_ids]
            if len(checks_left) < len(self.checks):
                self.checks = checks_left

    def _put_away(self, content: Mapping[str, Any]) -> None:
        self.keep({each["session"] for each in self.checks} - {content.get("session")})
