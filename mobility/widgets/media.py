"""Addresses from which the browser gets videos and reports, instead of kernel messages.

The browser gets them in ranges of bytes.

The file route of the Jupyter server serves files below its folder to any browser that is logged in.
A small server in the kernel serves other files under random addresses, but only to browsers on the
same machine.
"""

from __future__ import annotations

import functools
import mimetypes
import secrets
import threading
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mobility.errors import NotFoundError
from mobility.reports.served_files import fence, requested_range

_BLOCK = 1 << 18


def address(file: Path, page: Mapping[str, Any]) -> str:
    """Return the address under which the browser of `page` fetches `file`.

    Parameters
    ----------
    file
        An existing file.
    page
        Jupyter server of the page: ``base`` (path of its address) and ``root`` (its folder), empty
        if there is none; ``local`` to use the server in the kernel.

    Raises
    ------
    NotFoundError
        There is no such file.
    """
    if not file.is_file():
        raise NotFoundError(f"{file}: no such file")
    if not page.get("local"):
        route = _files_route(file, str(page.get("base") or ""), str(page.get("root") or ""))
        if route:
            return route
    return _server().share(file.resolve())


def _files_route(file: Path, base: str, root: str) -> str:
    """Return the address in the files route of the Jupyter server; empty if not served."""
    if not (base and root):
        return ""
    folder = Path(root).expanduser().resolve()
    place = file.absolute()
    # The server follows a link below the folder; the target of another link may be there.
    for candidate in (place, place.resolve()):
        if candidate.is_relative_to(folder):
            parts = candidate.relative_to(folder).parts
            if not any(part.startswith(".") for part in parts):  # the server hides these
                return f"{base.rstrip('/')}/files/{'/'.join(quote(part) for part in parts)}"
    return ""


@functools.cache
def _server() -> _Server:
    server = _Server(("127.0.0.1", 0), _Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


class _Server(ThreadingHTTPServer):
    """Serves only shared files, each under a random name."""

    daemon_threads = True

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.shared: dict[str, Path] = {}

    def share(self, file: Path) -> str:
        name = next((key for key, shared in self.shared.items() if shared == file), None)
        if name is None:
            name = f"{secrets.token_urlsafe(24)}/{quote(file.name)}"
            self.shared[name] = file
        return f"http://127.0.0.1:{self.server_port}/{name}"


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._serve(with_body=True)

    def do_HEAD(self) -> None:
        self._serve(with_body=False)

    def log_message(self, *_: Any) -> None:
        """Print nothing."""

    def _serve(self, *, with_body: bool) -> None:
        file = self.server.shared.get(self.path.lstrip("/"))
        # Another host name that points here (DNS rebinding) must not read videos.
        host = self.headers.get("Host", "").rpartition(":")[0]
        if file is None or not file.is_file() or host not in ("127.0.0.1", "localhost"):
            self._refuse(HTTPStatus.NOT_FOUND)
            return
        size = file.stat().st_size
        requested = requested_range(self.headers.get("Range", ""), size)
        start, stop = requested or (0, size)
        if requested and start >= stop:  # the file has none of the ranges
            self._refuse(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, size)
            return
        self.send_response(HTTPStatus.OK if requested is None else HTTPStatus.PARTIAL_CONTENT)
        kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        self.send_header("Content-Type", kind)
        self.send_header("Content-Security-Policy", fence(file.name))
        self.send_header("Content-Length", str(stop - start))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Cache-Control", "private, no-store")
        if requested is not None:
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{size}")
        self.end_headers()
        if with_body:
            self._send(file, start, stop)

    def _send(self, file: Path, start: int, stop: int) -> None:
        try:
            with file.open("rb") as source:
                source.seek(start)
                while start < stop:
                    block = source.read(min(_BLOCK, stop - start))
                    if not block:
                        break
                    self.wfile.write(block)
                    start += len(block)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the browser stopped reading

    def _refuse(self, status: HTTPStatus, size: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        if size is not None:
            self.send_header("Content-Range", f"bytes */{size}")
        self.end_headers()
