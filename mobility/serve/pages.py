"""Pages in addition to the interface: one that draws the widgets, and one for a phone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

from jupyter_server.base.handlers import JupyterHandler
from tornado.web import (
    ErrorHandler,
    HTTPError,
    RequestHandler,
    StaticFileHandler,
    authenticated,
)

from mobility import tables
from mobility.assessment.movements import how_to_film
from mobility.catalogue import registry
from mobility.reports.served_files import viewer_script_digest
from mobility.serve.api_keys import Keys
from mobility.serve.handler import PREFIX

PAGES = "/mobility"
"""Address of the pages; the interface is at :data:`mobility.serve.handler.PREFIX`."""

_FOLDER = Path(__file__).parent / "static"
# The page of a phone loads nothing from elsewhere and contacts no other server. Its report
# inherits
# this: it contains everything it needs, and its script belongs to this package.
_FENCE = (
    "default-src 'none'; script-src 'self' '{script}'; connect-src 'self'; img-src 'self' data:; "
    "media-src blob:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'none'"
)


class _Unsigned(RequestHandler):
    """A handler whose answers, including errors, do not name the software and its version."""

    def set_default_headers(self) -> None:
        """Set the headers of all responses."""
        super().set_default_headers()
        self.clear_header("Server")


class Nothing(_Unsigned, ErrorHandler):
    """Responds to requests that no other handler accepts."""

    template = "…"


class Open(_Unsigned, JupyterHandler):
    """The page of ``mobility open``, for users with Jupyter's token or login."""

    template = f"{PAGES}/open"

    @authenticated
    def get(self) -> None:
        """Respond with the page; its script requests the widgets from a kernel."""
        _ = self.xsrf_token  # this sets the cookie that the script sends back
        config = {
            "baseUrl": self.base_url,
            "serverRoot": str(self.settings.get("server_root_dir", "")),
        }
        self.set_header("Content-Type", "text/html; charset=UTF-8")
        self.set_header("Cache-Control", "private, no-store")
        self.finish(_page("open.html", config=config))


class Phone(_Unsigned):
    """The page for a phone with a key; without a valid key, it shows nothing."""

    template = f"{PAGES}/phone/…"

    def initialize(self, keys: Keys) -> None:
        """Store the keys of the store."""
        self._keys = keys

    def set_default_headers(self) -> None:
        """Set the headers of all responses."""
        super().set_default_headers()
        self.set_header("Content-Type", "text/html; charset=UTF-8")
        self.set_header("Content-Security-Policy", _FENCE.format(script=viewer_script_digest()))
        self.set_header("Cache-Control", "private, no-store")
        self.set_header("Referrer-Policy", "no-referrer")

    def get(self, key_id: str) -> None:
        """Respond with the page if there is a key with this ID; the key itself is not needed."""
        if not self._keys.is_valid_id(key_id):
            self.set_status(HTTPStatus.FORBIDDEN)
            self.finish("<p>This code is invalid or has expired. Scan a new one.</p>")
            return
        self.finish(
            _page(
                "phone.html", known={"api": PREFIX, "movements": _filmed(), "exercises": _reports()}
            )
        )


class Static(_Unsigned, StaticFileHandler):
    """Scripts and the style sheet of the pages, without personal data."""

    template = f"{PAGES}/static/…"

    def set_extra_headers(self, path: str) -> None:
        """Let browsers load the file again after an update."""
        self.set_header("Cache-Control", "no-cache")

    def validate_absolute_path(self, root: str, absolute_path: str) -> str | None:
        """Serve only scripts and style sheets, and nothing else of the package."""
        if not absolute_path.endswith((".js", ".css")):
            raise HTTPError(HTTPStatus.NOT_FOUND)
        return super().validate_absolute_path(root, absolute_path)


STATIC: tuple[type[Static], dict[str, Any]] = (Static, {"path": str(_FOLDER)})
NOT_FOUND_ELSEWHERE: dict[str, Any] = {
    "default_handler_class": Nothing,
    "default_handler_args": {"status_code": HTTPStatus.NOT_FOUND},
}
"""Settings of a separate web application."""


def _page(name: str, **values: Mapping[str, Any]) -> str:
    """Insert JSON into a page, escaped so that it cannot end its element."""
    text = (_FOLDER / name).read_text(encoding="utf-8")
    for key, value in values.items():
        text = text.replace(f"{{{{ {key} }}}}", json.dumps(value).replace("<", "\\u003c"))
    return text


def _reports() -> dict[str, dict[str, str]]:
    """Return by exercise the document that makes its report, and the name of its page."""
    return {
        exercise.name: {
            "document": "report" if exercise.has("report") else "joint-mobility",
            "slug": exercise.slug,
        }
        for exercise in registry.exercises()
    }


def _filmed() -> list[dict[str, Any]]:
    """List what can be filmed: exercise and movement, how to film it, and a drawing."""
    rules = tables.load("filming")
    filmed = [
        (one.name, "", one.name, one.table["film"]["lines"], one.file("film.svg"))
        for one in registry.exercises()
        if "film" in one.table and one.file("film.svg").is_file()
    ]
    of_joints = registry.of_single_joints().name
    for name in tables.load("movements"):
        film = how_to_film(name)
        lines = [film.sentence, *rules["rules"]["lines"]]
        label = name.replace("_", " ").capitalize()
        filmed.append((of_joints, name, label, lines, film.drawing))
    return [
        {
            "exercise": exercise,
            "movement": movement,
            "label": label,
            "how": how,
            "drawing": drawing.read_text(encoding="utf-8"),
        }
        for exercise, movement, label, how, drawing in filmed
    ]
