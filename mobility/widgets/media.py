"""How videos and reports reach the browser: in ranges, from the disk, never through the kernel.

Where the file lies below the folder of the Jupyter server, the server's own files route serves
it: with its login, and wherever the browser is. Else a small server in the kernel does, for
browsers on the same machine only, under an address that nobody can guess. What is on another
server is under its own address, which needs no key for a while; else this small server asks for
it, with the key, which the page never sees.
"""

from __future__ import annotations

import functools
import logging
import mimetypes
import secrets
import threading
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from mobility.errors import MobilityError, NotFoundError
from mobility.server.fences import fence
from mobility.server.ranges import requested_range

if TYPE_CHECKING:
    from mobility.widgets.remote import RemoteMedia

log = logging.getLogger(__name__)

_BLOCK = 1 << 18
_RELAYED = ("Content-Type", "Content-Length", "Content-Range", "Accept-Ranges", "ETag")


def address(file: Path | RemoteMedia, page: Mapping[str, Any]) -> str:
    """Address under which the browser of `page` gets `file`.

    Parameters
    ----------
    file
        An existing file, here or on another server.
    page
        What the page knows of its server: ``base`` (path of its address) and ``root`` (its
        folder); empty where it is no Jupyter server; ``local`` to have it from the kernel.

    Raises
    ------
    NotFoundError
        There is no such file.
    """
    if not file.is_file():
        raise NotFoundError(f"{file}: no such file")
    if not isinstance(file, Path):
        return (not page.get("local") and file.signed) or _server().share(file)
    if not page.get("local"):
        route = _files_route(file, str(page.get("base") or ""), str(page.get("root") or ""))
        if route:
            return route
    return _server().share(file.resolve())


def _files_route(file: Path, base: str, root: str) -> str:
    """Address in the files route of the Jupyter server; empty where that does not serve it."""
    if not (base and root):
        return ""
    folder = Path(root).expanduser().resolve()
    # Not resolved: the server follows links below its folder, and hides dot files.
    place = file.absolute()
    for candidate in (place, place.resolve()):
        if candidate.is_relative_to(folder):
            parts = candidate.relative_to(folder).parts
            if not any(part.startswith(".") for part in parts):
                return f"{base.rstrip('/')}/files/{'/'.join(quote(part) for part in parts)}"
    return ""


@functools.cache
def _server() -> _Server:
    server = _Server(("127.0.0.1", 0), _Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


class _Server(ThreadingHTTPServer):
    """Serves only the files that were shared, each under a name of its own."""

    daemon_threads = True

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.shared: dict[str, Path | RemoteMedia] = {}

    def share(self, file: Path | RemoteMedia) -> str:
        name = next((name for name, known in self.shared.items() if known == file), None)
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
        """Nothing prints from the library."""

    def _serve(self, *, with_body: bool) -> None:
        file = self.server.shared.get(self.path.lstrip("/"))
        # A page of another name that is made to point here must not read videos.
        host = self.headers.get("Host", "").rpartition(":")[0]
        if file is None or not file.is_file() or host not in ("127.0.0.1", "localhost"):
            self._refuse(HTTPStatus.NOT_FOUND)
            return
        if not isinstance(file, Path):
            self._relay(file, with_body=with_body)
            return
        size = file.stat().st_size
        asked = requested_range(self.headers.get("Range", ""), size)
        start, stop = asked or (0, size)
        if asked and start >= stop:
            self._refuse(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, size)
            return
        self.send_response(HTTPStatus.OK if asked is None else HTTPStatus.PARTIAL_CONTENT)
        kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        self.send_header("Content-Type", kind)
        self.send_header("Content-Security-Policy", fence(file.name))
        self.send_header("Content-Length", str(stop - start))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Cache-Control", "private, no-store")
        if asked is not None:
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{size}")
        self.end_headers()
        if with_body:
            self._send(file, start, stop)

    def _relay(self, file: RemoteMedia, *, with_body: bool) -> None:
        begun = False
        try:
            with file.ranged(self.headers.get("Range")) as answer:
                begun = True
                self.send_response(answer.status_code)
                self.send_header("Content-Security-Policy", fence(file.name))
                for name in _RELAYED:
                    if name in answer.headers:
                        self.send_header(name, answer.headers[name])
                self.send_header("Cache-Control", "private, no-store")
                if "Content-Length" not in answer.headers:
                    self.close_connection = True
                self.end_headers()
                if with_body:
                    for block in answer.iter_raw(_BLOCK):
                        self.wfile.write(block)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the browser has enough
        except MobilityError as error:
            log.warning("%s: %s", file.name, error)
            self.close_connection = True
            if not begun:
                self._refuse(HTTPStatus.BAD_GATEWAY)

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
            self.close_connection = True  # the browser has enough

    def _refuse(self, status: HTTPStatus, size: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        if size is not None:
            self.send_header("Content-Range", f"bytes */{size}")
        self.end_headers()
