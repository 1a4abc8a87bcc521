"""How files reach the browser: by the server's own route, or in ranges from the kernel."""

from __future__ import annotations

import http.client
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from mobility.errors import NotFoundError
from mobility.widgets.media import address

CONTENT = bytes(range(256)) * 4096


@pytest.fixture
def video(tmp_path) -> Path:
    file = tmp_path / "data" / "a b#.mp4"
    file.parent.mkdir()
    file.write_bytes(CONTENT)
    return file


def get(url: str, method="GET", **headers):
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=120)
    connection.request(
        method, parts.path, headers={k.replace("_", "-"): v for k, v in headers.items()}
    )
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer, body


def test_below_the_servers_folder_its_own_route_serves_and_elsewhere_the_kernel(
    video, tmp_path, monkeypatch
):
    root = str(tmp_path)
    page = {"base": "/user/ann/", "root": root}
    assert address(video, page) == "/user/ann/files/data/a%20b%23.mp4"
    monkeypatch.setenv("HOME", root)  # a folder under home is written with a tilde
    assert address(video, {"base": "/", "root": "~/data"}) == "/files/a%20b%23.mp4"
    hidden = tmp_path / ".store" / "a.mp4"  # Jupyter serves no hidden folder
    hidden.parent.mkdir()
    hidden.write_bytes(b"a")
    for file, root in (video, None), (video, "/nowhere"), (video, ""), (hidden, str(tmp_path)):
        page = {} if root is None else {"base": "/", "root": root}
        assert address(file, page).startswith("http://127.0.0.1:")
    with pytest.raises(NotFoundError):
        address(tmp_path / "a.mp4", {})


def test_the_whole_file_and_ranges(video):
    url, size = address(video, {}), len(CONTENT)
    assert address(video, {}) == url
    answer, body = get(url)
    assert (answer.status, body) == (200, CONTENT)
    assert answer.getheader("Accept-Ranges") == "bytes"
    assert answer.getheader("Content-Type") == "video/mp4"
    answer, body = get(url, "HEAD")
    assert (answer.status, body, answer.getheader("Content-Length")) == (200, b"", str(size))
    for asked, start, stop in (
        ("0-0", 0, 1),
        ("100-299", 100, 300),
        ("1000-", 1000, size),
        ("-10", size - 10, size),
        ("5-99999999", 5, size),
    ):
        answer, body = get(url, Range=f"bytes={asked}")
        assert (answer.status, body) == (206, CONTENT[start:stop])
        assert answer.getheader("Content-Range") == f"bytes {start}-{stop - 1}/{size}"
    for asked in ("bytes=9999999-", "bytes=-0"):  # impossible
        answer, body = get(url, Range=asked)
        assert (answer.status, body) == (416, b"")
        assert answer.getheader("Content-Range") == f"bytes */{size}"
    for asked in ("bytes=5-2", "bytes=-", "lines=1-2", "bytes=a"):  # malformed: ignored
        answer, body = get(url, Range=asked)
        assert (answer.status, body) == (200, CONTENT)


def test_only_what_was_shared_is_served(video):
    url = address(video, {})
    video.with_name("other.mp4").write_bytes(b"secret")
    base = url.rpartition("/")[0]
    wrong = url.replace(base, base[:-3] + "xyz")
    for address_ in (f"{base}/other.mp4", f"{base}/../other.mp4", wrong):
        assert get(address_)[0].status == 404
    # A page whose name was made to point to this computer.
    assert get(url, Host="evil.example:80")[0].status == 404
    video.unlink()
    assert get(url)[0].status == 404
