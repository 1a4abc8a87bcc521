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


def test_below_the_servers_folder_its_own_route_serves(video, tmp_path):
    page = {"base": "/user/ann/", "root": str(tmp_path)}
    assert address(video, page) == "/user/ann/files/data/a%20b%23.mp4"


def test_a_folder_under_home_is_written_with_a_tilde(video, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert address(video, {"base": "/", "root": "~/data"}) == "/files/a%20b%23.mp4"


@pytest.mark.parametrize("page", [{}, {"base": "/", "root": "/nowhere"}, {"base": "/", "root": ""}])
def test_elsewhere_the_kernel_serves(video, page):
    assert address(video, page).startswith("http://127.0.0.1:")


def test_hidden_folders_are_not_served_by_jupyter(tmp_path):
    file = tmp_path / ".store" / "a.mp4"
    file.parent.mkdir()
    file.write_bytes(b"a")
    assert address(file, {"base": "/", "root": str(tmp_path)}).startswith("http://127.0.0.1:")


def test_a_file_that_is_not_there_is_said(tmp_path):
    with pytest.raises(NotFoundError):
        address(tmp_path / "a.mp4", {})


def test_the_whole_file(video):
    url = address(video, {})
    assert address(video, {}) == url
    answer, body = get(url)
    assert (answer.status, body) == (200, CONTENT)
    assert answer.getheader("Accept-Ranges") == "bytes"
    assert answer.getheader("Content-Type") == "video/mp4"
    answer, body = get(url, "HEAD")
    assert (answer.status, body, answer.getheader("Content-Length")) == (
        200,
        b"",
        str(len(CONTENT)),
    )


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=100-299", 100, 300),
        ("bytes=1000-", 1000, None),
        ("bytes=-10", -10, None),
        ("bytes=5-99999999", 5, None),
    ],
)
def test_ranges(video, asked, start, stop):
    answer, body = get(address(video, {}), Range=asked)
    assert answer.status == 206
    assert body == CONTENT[start:stop]
    first = start if start >= 0 else len(CONTENT) + start
    last = first + len(body) - 1
    assert answer.getheader("Content-Range") == f"bytes {first}-{last}/{len(CONTENT)}"


@pytest.mark.parametrize("asked", ["bytes=9999999-", "bytes=-0"])
def test_impossible_ranges(video, asked):
    answer, body = get(address(video, {}), Range=asked)
    assert (answer.status, body) == (416, b"")
    assert answer.getheader("Content-Range") == f"bytes */{len(CONTENT)}"


@pytest.mark.parametrize("asked", ["bytes=5-2", "bytes=-", "lines=1-2", "bytes=a"])
def test_malformed_ranges_are_ignored(video, asked):
    answer, body = get(address(video, {}), Range=asked)
    assert (answer.status, body) == (200, CONTENT)


def test_only_what_was_shared_is_served(video):
    url = address(video, {})
    other = video.with_name("other.mp4")
    other.write_bytes(b"secret")
    base = url.rpartition("/")[0]
    for wrong in (
        f"{base}/other.mp4",
        f"{base}/../other.mp4",
        url.replace(base, base[:-3] + "xyz"),
    ):
        assert get(wrong)[0].status == 404
    # A page whose name was made to point to this computer.
    assert get(url, Host="evil.example:80")[0].status == 404
    video.unlink()
    assert get(url)[0].status == 404
