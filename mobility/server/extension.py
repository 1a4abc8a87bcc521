"""Puts the interface into a Jupyter Server; see :mod:`mobility.server`."""

from __future__ import annotations

import re
from typing import Any

from jupyter_server.utils import url_path_join

from mobility.server.base import PREFIX, Absent, Handler, Served
from mobility.server.logs import keep_keys_out
from mobility.server.openapi import ENDPOINTS
from mobility.server.pages import PAGES, STATIC, Open
from mobility.server.settings import MobilityServer
from mobility.store import Store

SERVED = "mobility_served"
"""Setting of the web application that holds what the handlers share."""


def load(app: Any) -> None:
    """Add the handlers to a server and start the queue."""
    settings = MobilityServer(parent=app)
    store = Store(settings.store_place(), reports=settings.reports_path())
    store.require_shared("the HTTP interface")
    served = Served(settings, store)
    keep_keys_out(app.web_app.settings)
    app.web_app.settings[SERVED] = served
    base_url = app.web_app.settings["base_url"]
    pages = [
        (url_path_join(base_url, f"{PAGES}/open/?"), Open),
        (url_path_join(base_url, f"{PAGES}/static/(.*)"), *STATIC),
    ]
    app.web_app.add_handlers(".*$", [*pages, *routes(base_url, served)])

    def start() -> None:
        # Jupyter's own is an hour, in which one client has all descriptors of the process.
        app.http_server.conn_params.header_timeout = settings.idle_seconds
        served.start()

    # Once the loop runs. The server tells nobody of its end: processes see it by their input.
    app.io_loop.add_callback(start)
    app.log.info("mobility: sessions of %s are served at %s", store.place, PREFIX)


def routes(base_url: str, served: Served) -> list[tuple[str, type[Handler], dict[str, Any]]]:
    """Handlers of all paths, with and without the slash at the end."""
    found: dict[str, tuple[type[Handler], dict[str, Any]]] = {}
    for endpoint in ENDPOINTS:
        path = re.sub(r"\\{\w+\\}", "([^/]+)", re.escape(endpoint.path))
        place = url_path_join(base_url, f"{path.removesuffix('/')}/?")
        shared = {"served": served, "template": endpoint.path, "parameters": {}}
        _, more = found.setdefault(place, (endpoint.handler, shared))
        more["parameters"][endpoint.method.upper()] = endpoint.parameters
    found[url_path_join(base_url, f"{PREFIX}(?:/.*)?")] = (
        Absent,
        {"served": served, "template": f"{PREFIX}/…", "parameters": {}},
    )
    return [(path, handler, more) for path, (handler, more) in found.items()]
