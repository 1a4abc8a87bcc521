"""A Jupyter Server for one page (``mobility open``), and keys that phones scan as codes."""

from __future__ import annotations

import asyncio
import io
import logging
import os
import secrets
import socket
import subprocess
from collections.abc import Callable
from typing import Any

from jupyter_server.serverapp import ServerApp
from jupyter_server.services.kernels.kernelmanager import ServerKernelManager
from tornado.httpserver import HTTPServer
from tornado.web import Application
from tornado.websocket import WebSocketClosedError

from mobility import Store
from mobility.errors import BadInputError, ConflictError, StorageError
from mobility.serve.api_keys import PHONE, Keys
from mobility.serve.extension import SERVED, routes
from mobility.serve.handler import KEYS_ONLY, Served
from mobility.serve.pages import NOT_FOUND_ELSEWHERE, PAGES, STATIC, Phone

HOURS = 12
"""Time for which a code is valid."""

PHONES_VARIABLE = "MOBILITY_PHONES"
"""Environment variable for kernels with the address for phones; it is not set without phones."""


def network_address() -> str:
    """Return the address of this computer in its network; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # An address for documentation (RFC 5737): a datagram socket connects without a
            # packet.
            probe.connect(("192.0.2.1", 9))
            address = str(probe.getsockname()[0])
        except OSError:
            address = "127.0.0.1"
    if address.startswith("127."):
        raise ConflictError("this computer is not in a network; join one, or leave out --lan")
    return address


def new_code(store: Store, place: str, *, user_id: str | None = None) -> str:
    """Create a key for one phone, and return the address in its code.

    `place` is the address for phones ("http://192.168.1.5:8891"). The key may add videos of
    `user_id`, by default a new participant, and see the videos that it added.
    """
    user = user_id or f"phone-{secrets.token_hex(4)}"
    key, stored = Keys(store).create(PHONE, user_id=user, expires_days=HOURS / 24)
    # Browsers send nothing after #, so the key is in no request and no log.
    return f"{place}{PAGES}/phone/{stored.id}#{key}"


def picture(address: str) -> str:
    """Return the QR code of an address as SVG."""
    out = io.BytesIO()
    _code(address).save(
        out, kind="svg", scale=5, border=4, dark="#000", light="#fff", xmldecl=False
    )
    return out.getvalue().decode()


def text(address: str) -> str:
    """Return the QR code of an address as text for a terminal."""
    out = io.StringIO()
    _code(address).terminal(out, compact=True)
    return out.getvalue()


def _code(address: str) -> Any:
    try:
        import segno
    except ImportError:
        raise BadInputError(
            "codes for phones need the extra open; install it with: pip install "
            "'mobility-workbench[open]'"
        ) from None
    return segno.make(address, error="m", micro=False)


_JUPYTER_STATIC = ("static_path", "static_handler_class", "static_url_prefix")


class QuietKernel(ServerKernelManager):
    """A kernel that prints nothing on the terminal; its page shows errors."""

    async def start_kernel(self, **kwargs: Any) -> None:  # type: ignore[override]
        """Start the kernel without the terminal."""
        nowhere = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        await super().start_kernel(**kwargs, **nowhere)


def serve(
    store: Store,
    *,
    port: int,
    network: str | None = None,
    browser: bool = True,
    tell: Callable[[str, str | None], None],
) -> None:
    """Serve the page on this computer until it is interrupted.

    `port` is tried first, then the next ports. Phones are accepted at `network`, an address in the
    local network; None accepts no phones. `tell` is called with the address of the page and the
    address for phones.
    """
    os.environ |= {"MOBILITY_STORE": store.place, "MOBILITY_REPORTS": str(store.reports.absolute())}
    # Otherwise the debugger of a kernel prints warnings about modules of Python.
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    app = ServerApp.instance()
    app.update_config(_config(port, browser=browser))
    app.initialize(argv=[], find_extensions=False)
    _silence_log(app)
    served = app.web_app.settings.get(SERVED)
    if served is None:
        raise StorageError(
            f"store {store.place}: cannot be opened by the server; use --log-file FILE to see "
            "the reason"
        )
    if not app.identity_provider.auth_enabled:
        raise ConflictError(
            "Jupyter's configuration turns its token off, so anybody on this computer could log "
            "in; remove IdentityProvider.token from it"
        )
    phone_address = None if network is None else _let_phones_in(app, served, network)
    if phone_address is not None:
        os.environ[PHONES_VARIABLE] = phone_address
    token = app.identity_provider.token  # empty if there is a password instead
    address = f"http://127.0.0.1:{app.port}{PAGES}/open{'?token=' if token else ''}{token}"
    app.io_loop.add_callback(tell, address, phone_address)
    app.io_loop.asyncio_loop.set_exception_handler(_report_faults)
    app.start()


def _config(port: int, *, browser: bool) -> Any:
    import zmq
    from traitlets.config import Config

    return Config(
        ServerApp={
            "ip": "127.0.0.1",
            "port": port,
            "port_retries": 50,
            "open_browser": browser,
            "default_url": f"{PAGES}/open",
            "jpserver_extensions": {"mobility.serve": True},
            "terminals_enabled": False,
            "allow_root": True,
            "answer_yes": True,
            "log_level": "CRITICAL",
        },
        MobilityServer={"store": "", "reports": ""},
        # Otherwise Jupyter drops the landmarks of a long recording as too much output.
        ZMQChannelsWebsocketConnection={"limit_rate": False},
        MultiKernelManager={"kernel_manager_class": f"{__name__}.{QuietKernel.__name__}"},
        # Other users of this computer must not read what a kernel sends.
        KernelManager={"transport_encryption": "auto"} if zmq.has("curve") else {},
    )


def _report_faults(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Report errors of the event loop, except for a message to a tab that has been closed."""
    if not isinstance(context.get("exception"), WebSocketClosedError):
        loop.default_exception_handler(context)


def _silence_log(app: ServerApp) -> None:
    """Keep Jupyter's log, which contains the token, out of the terminal."""
    for handler in list(app.log.handlers):
        app.log.removeHandler(handler)
    app.log.addHandler(logging.NullHandler())


def _let_phones_in(app: ServerApp, served: Served, network: str) -> str:
    """Serve the interface and the page for phones in the network.

    The token of a phone is the only way in. Nothing of Jupyter can be reached there.
    """
    inherited = {k: v for k, v in app.web_app.settings.items() if k not in _JUPYTER_STATIC}
    pages = [
        (rf"{PAGES}/phone/([0-9a-f]+)", Phone, {"keys": served.keys}),
        (rf"{PAGES}/static/(.*)", *STATIC),
    ]
    changed = {"base_url": "/", "allow_remote_access": True, KEYS_ONLY: True}
    settings = {**inherited, **changed, **NOT_FOUND_ELSEWHERE}
    web = Application([*pages, *routes("/", served)], **settings)
    server = HTTPServer(web, idle_connection_timeout=served.settings.idle_seconds)
    for port in range(app.port + 1, app.port + 50):
        try:
            server.listen(port, network)
        except OSError:
            continue
        server.conn_params.header_timeout = served.settings.idle_seconds
        return f"http://{network}:{port}"
    raise ConflictError(
        f"{network}: no port from {app.port + 1} on is free; choose another with --port"
    )
