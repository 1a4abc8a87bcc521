"""Adds the interface to a Jupyter Server; see :mod:`mobility.serve`."""

from __future__ import annotations

import re
from typing import Any

from jupyter_server.utils import url_path_join

from mobility import Store
from mobility.serve.access import MobilityServer
from mobility.serve.handler import PREFIX, Absent, Handler, Served
from mobility.serve.logs import keep_keys_out
from mobility.serve.openapi import ENDPOINTS
from mobility.serve.pages import PAGES, STATIC, Open

SERVED = "mobility_served"
"""Setting of the web application that contains the :class:`Served` shared by all handlers."""


def load(app: Any) -> None:
    """Add the handlers to a server and start the queue."""
    settings = MobilityServer(parent=app)
    store = Store(settings.store_place(), reports=settings.reports_path())
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
        # Jupyter's timeout is an hour: one client could use all file descriptors of the process.
        app.http_server.conn_params.header_timeout = settings.idle_seconds
        served.start()

    # Once the loop runs. The server announces no end: processes notice that their input is
    # closed.
    app.io_loop.add_callback(start)
    app.log.info("mobility: sessions of %s are served at %s", store.place, PREFIX)


def routes(base_url: str, served: Served) -> list[tuple[str, type[Handler], dict[str, Any]]]:
    """Return the handlers of all paths, with and without a slash at the end."""
    handlers: dict[str, tuple[type[Handler], dict[str, Any]]] = {}
    for endpoint in ENDPOINTS:
        path = re.sub(r"\\{\w+\\}", "([^/]+)", re.escape(endpoint.path))
        pattern = url_path_join(base_url, f"{path.removesuffix('/')}/?")
        shared = {"served": served, "template": endpoint.path, "parameters": {}}
        _, more = handlers.setdefault(pattern, (endpoint.handler, shared))
        more["parameters"][endpoint.method.upper()] = endpoint.parameters
    handlers[url_path_join(base_url, f"{PREFIX}(?:/.*)?")] = (
        Absent,
        {"served": served, "template": f"{PREFIX}/…", "parameters": {}},
    )
    return [(path, handler, more) for path, (handler, more) in handlers.items()]
