"""An S3 server of moto, run as ``python tests/s3_server.py BUCKET AWAY``; it says its port.

It answers one request after the other, so that a condition and the write that depends on it are one
step, as they are in S3. What it holds is gone with the process. As long as the file AWAY is there,
nobody listens at its port.
"""

from __future__ import annotations

import random
import socket
import sys
import time
from pathlib import Path

from moto.s3.models import s3_backends
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server


class Quiet(WSGIRequestHandler):
    """Writes no line for each request."""

    def log(self, type: str, message: str, *args: object) -> None:
        pass


def free_port() -> int:
    """A port that no outgoing connection is given while the server is away."""
    while True:
        port = random.randrange(20000, 30000)
        with socket.socket() as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                tried.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def main() -> None:
    bucket, away = sys.argv[1], Path(sys.argv[2])
    app = DomainDispatcherApplication(create_backend_app)
    s3_backends["123456789012"]["aws"].create_bucket(bucket, "us-east-1")
    port = free_port()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    while True:
        server = make_server("127.0.0.1", port, app, request_handler=Quiet)
        server.timeout = 0.05
        while not away.exists():
            server.handle_request()
        server.server_close()
        while away.exists():
            time.sleep(0.02)


if __name__ == "__main__":
    main()
