"""The client, and servers that are none or another; the real one is in ``server/``."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from mobility.errors import StorageError
from mobility.serve.client import Client


@pytest.fixture
def page():
    """A server that answers everything with a page, and keeps what it was told."""
    received = []

    class Page(BaseHTTPRequestHandler):
        def do_GET(self):
            received.append(self.headers["Authorization"])
            self.send_response(200)
            self.send_header("Content-Length", "4")
            self.end_headers()
            self.wfile.write(b"<p/>")

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1], received
        server.shutdown()


def test_the_key_is_for_its_server_only(page, tmp_path):
    port, received = page
    with Client("http://localhost:1", "mob_key") as client:
        client.download(f"http://127.0.0.1:{port}/video.mp4?media_key=x", tmp_path / "a.mp4")
    with Client(f"http://127.0.0.1:{port}", "mob_key") as client:
        client.download(f"http://127.0.0.1:{port}/video.mp4", tmp_path / "b.mp4")
        client.media("s1", "video.mp4", tmp_path / "c.mp4")
    assert received == [None, "API-KEY mob_key", "API-KEY mob_key"]
    assert (tmp_path / "a.mp4").read_bytes() == b"<p/>"


def test_a_page_is_no_answer(page):
    with (
        Client(f"http://127.0.0.1:{page[0]}", "mob_key") as client,
        pytest.raises(StorageError, match="is not JSON"),
    ):
        client.sessions()
