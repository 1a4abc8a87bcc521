"""An S3 server of moto on one port, run as ``python tests/s3_server.py PORT BUCKET``.

It answers one request after the other, so that a condition and the write that depends on it are one
step, as they are in S3. What it holds is gone with the process.
"""

from __future__ import annotations

import sys

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server


class Quiet(WSGIRequestHandler):
    """Writes no line for each request."""

    def log(self, type: str, message: str, *args: object) -> None:
        pass


def main() -> None:
    port, bucket = int(sys.argv[1]), sys.argv[2]
    app = DomainDispatcherApplication(create_backend_app)
    server = make_server("127.0.0.1", port, app, threaded=False, request_handler=Quiet)
    from moto.s3.models import s3_backends

    s3_backends["123456789012"]["aws"].create_bucket(bucket, "us-east-1")
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main()
