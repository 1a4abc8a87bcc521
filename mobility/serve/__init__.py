"""Access from outside: the documented HTTP interface, batches of videos, and privacy.

The HTTP interface is an extension of Jupyter Server that the installed package enables. It calls
the same :class:`mobility.store.Store` as notebooks and commands.
"""

from __future__ import annotations

from typing import Any


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "mobility.serve"}]


def _load_jupyter_server_extension(app: Any) -> None:
    # Imported late: the command line uses the keys and needs no web server.
    from mobility.serve.extension import load

    load(app)
