"""What clients that mean no good may try."""

from __future__ import annotations

import base64
import gzip
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psutil
import pytest
import serving

from mobility.errors import TooManyRequestsError
from mobility.serve.access import MediaKeys, MobilityServer, Rates
from mobility.serve.handler import Served
from mobility.sessions.files import read_json, write_json
from mobility.store import Store


@pytest.fixture(scope="module")
def strict(tmp_path_factory):
    """A server with narrow limits."""
    limits = {
        **{"most_bytes": 100_000, "upload_stall_seconds": 3.0, "upload_least_bytes": 1000},
        **{"sessions_per_user": 2, "requests_per_minute": 60, "refused_per_minute": 30},
        **{"queue_length": 5, "media_seconds": 0, "idle_seconds": 2.0},
    }
    with serving.serving(tmp_path_factory.mktemp("strict"), kind="quick", **limits) as running:
        yield running


def test_no_path_leads_out_of_a_session(server, admin, record_of):
    session_id = record_of("walls", "p-walls")
    for path in (
        *("/sessions/..%2f..%2f..%2fetc%2fpasswd/", "/sessions/%2e%2e/", "/sessions/.server/"),
        *("/sessions/{}/media/..%2fsession.json", "/sessions/{}/media/session.json"),
        *("/sessions/{}/media/%2fetc%2fpasswd", "/sessions/{}/media/..%5csession.json"),
        *("/sessions/{}/media/video.mp4%00", "/sessions/participants/", "/sessions/%ff/"),
        *("/participants/..%2f..%2fx/export/", "/../../etc/passwd"),
    ):
        with server.begin(admin, "GET", path.format(session_id), Connection="close") as connection:
            answer = serving.rest_of(connection)
        assert int(answer.split()[1]) in (400, 404), (path, answer)
        assert b"root:" not in answer
        assert b"schema_version" not in answer


def test_a_video_that_is_too_large_is_refused_before_and_while_it_comes(strict):
    key = strict.key("participant", "large")
    announced = strict.upload(key, b"video" * 1_000_000)
    assert announced.status_code == 413
    assert "0.1 MB" in announced.json()["error"]

    def endless():
        yield serving.HEAD
        for _ in range(200):
            yield b"v" * 10_000

    kind = {"Content-Type": serving.KIND}
    chunked = strict.ask("POST", "/sessions/", key, content=endless(), headers=kind)
    assert chunked.status_code == 413
    # What says beforehand that it is far too large is not read.
    for size, more in ((10**12, {}), (2 * 10**6, {"Expect": "100-continue"})):
        head = {"Content_Type": serving.KIND, "Content_Length": size, **more}
        with strict.begin(key, "POST", "/sessions/", **head) as connection:
            assert serving.status_of(connection) == 413
    assert strict.uploads_left() == []


def test_an_upload_that_hardly_moves_or_is_broken_off_leaves_nothing(strict):
    key = strict.key("participant", "slow")
    head = {"Content_Type": serving.KIND, "Content_Length": 50_000}
    for is_broken_off in (False, True):
        with strict.begin(key, "POST", "/sessions/", serving.HEAD + b"video", **head) as connection:
            serving.wait_for(strict.uploads_left)
            if not is_broken_off:
                assert serving.status_of(connection) == 408
        serving.wait_for(lambda: not strict.uploads_left())
    assert [s for s in strict.store.iterdir() if s.name[0] != "."] == []


def test_addresses_of_videos_need_a_key_where_a_lab_wants_it(strict):
    key = strict.key("participant", "media")
    session_id = strict.upload(key).json()["session_id"]
    url = strict.ask("GET", f"/sessions/{session_id}/", key).json()["video_url"]
    assert "media_key" not in url
    assert strict.ask("GET", url).status_code == 401
    assert strict.ask("GET", url, key).status_code == 200


def test_too_many_requests_are_refused_for_one_and_not_for_others(strict):
    busy, other = strict.key("professional"), strict.key("professional")
    # Its bucket fills again meanwhile, by one in a second.
    answers = [strict.ask("GET", "/sessions/", busy)]
    while answers[-1].status_code == 200 and len(answers) < 1000:
        answers.append(strict.ask("GET", "/sessions/", busy))
    assert len(answers) > 60
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["Retry-After"]) >= 1
    assert strict.ask("GET", "/sessions/", other).status_code == 200


def test_keys_cannot_be_guessed_quickly_and_right_ones_still_work(strict):
    answers = set()
    for n in range(400):
        answers.add(strict.ask("GET", "/sessions/", f"mob_{n:012d}_{'a' * 43}").status_code)
        if 429 in answers:
            break
    assert answers == {401, 429}
    assert strict.ask("GET", "/sessions/", strict.key()).status_code == 200


def test_abuse_of_json_is_refused(server, admin, record_of):
    path = f"/sessions/{record_of('json', 'p-json')}"
    config, kind = f"{path}/joint-mobility-config/", {"Content-Type": "application/json"}
    for body in (b"[" * 500_000, b'{"shown_angles": NaN}', b'"text"', b"\xff"):
        answer = server.ask("POST", config, admin, content=body, headers=kind)
        assert answer.status_code == 400
        assert "Traceback" not in answer.text
    # Faults that quote half letters are told.
    for half in (f"{path}/summary/", "/sessions/"):
        answer = server.ask("POST", half, admin, content=b'{"\\ud800": "x"}', headers=kind)
        assert answer.status_code == 400
        assert "\ud800" in answer.json()["errors"]
    # Small bodies are small, and are not unpacked.
    assert server.ask("POST", config, admin, content=b" " * (2 << 20)).status_code == 413
    assert server.ask("POST", config, content=b" " * (2 << 20)).status_code == 401
    bomb, packed = gzip.compress(b" " * 10_000_000), {"Content-Encoding": "gzip"}
    answer = server.ask("POST", config, admin, content=bomb, headers=packed)
    assert answer.status_code == 400
    assert "compressed" in answer.json()["error"]


def test_what_is_refused_is_neither_compared_nor_quoted_at_length(server, admin, record_of):
    many = {f"syste{n}": "x" for n in range(33)}
    for path, body, words in (
        ("summary/", many, "more than 32 items"),
        ("joint-mobility-config/", {"shown_angles": ["x"] * 33}, "more than 32 items"),
        ("summary/?" + "&".join(f"{name}=x" for name in many), {}, "has 33 unknown parameters"),
        ("summary/", {"s" * 900_000: "x"}, "is not a field"),
        ("summary/", {"system": "s" * 900_000}, "sss"),
    ):
        path = f"/sessions/{record_of('json', 'p-json')}/{path}"
        answer = server.ask("POST", path, admin, json=body)
        assert answer.status_code == 400
        assert words in answer.text
        assert len(answer.content) < 2000


def test_who_is_not_known_is_told_before_the_body_is_read(server):
    # Not one byte of the body is there; and who sends all before they listen hears it too.
    head = {"Content_Length": 5_000_000}
    for key in (None, f"API-KEY mob_{'1' * 12}_{'a' * 43}"):
        for content in (b"", bytes(5_000_000)):
            with server.begin(key, "POST", "/sessions/", **head) as connection:
                connection.sendall(content)
                assert serving.status_of(connection) == 401


@pytest.mark.parametrize("announced", [True, False])
def test_one_that_sends_far_too_much_before_it_listens_hears_why(strict, announced):
    key = strict.key("participant", "far-too-large")
    head = {"Content_Length": 60_000_000} if announced else {"Transfer_Encoding": "chunked"}
    head["Content_Type"] = serving.KIND
    with strict.begin(key, "POST", "/sessions/", **head) as connection:
        for part in (serving.HEAD, *([bytes(1_000_000)] * 60)):
            connection.sendall(part if announced else b"%x\r\n%s\r\n" % (len(part), part))
        assert serving.status_of(connection) == 413
    assert strict.uploads_left() == []
    assert strict.ask("GET", "/sessions/", key).status_code == 200


def test_who_says_nothing_is_not_listened_to_for_an_hour(strict):
    with strict.connect() as silent, strict.connect() as slow:
        slow.sendall(b"GET /mobility-assessment/sessions/ HTTP/1.1\r\nX: ")
        assert silent.recv(1) == b""
        assert slow.recv(1) == b""


def test_abuse_of_headers_ends_the_connection_only(server, admin):
    for headers in (
        b"X: " + b"a" * 200_000,
        b"\r\n".join(b"X%d: a" % n for n in range(20_000)),
        b"Content-Length: -1",
        b"Content-Length: 1\r\nContent-Length: 2",
        b"Transfer-Encoding: chunked\r\nContent-Length: 5",
        b"Authorization: API-KEY \xff\xfe",
    ):
        with server.connect() as connection:
            host = urlsplit(server.url).netloc.encode()
            lines = b"GET /mobility-assessment/sessions/ HTTP/1.1\r\nHost: " + host
            try:
                connection.sendall(lines + b"\r\n" + headers + b"\r\n\r\n")
                assert serving.status_of(connection) in (None, 400, 401, 431)
            except ConnectionError:
                pass
    assert server.ask("GET", "/sessions/", admin).status_code == 200


def test_other_origins_and_names_are_told_nothing(server, admin):
    origin = {"Origin": "https://elsewhere.example"}
    answers = [
        server.ask("GET", "/sessions/", key, headers=origin)
        for key in (admin, f"token {serving.TOKEN}")
    ]
    assert [answer.status_code for answer in answers] == [200, 200]
    asked = server.ask("OPTIONS", "/sessions/", headers=origin)
    assert asked.status_code in (401, 405)
    for answer in (*answers, asked):
        assert not [h for h in answer.headers if h.lower().startswith("access-control")]
    other = server.ask("GET", "/sessions/", admin, headers={"Host": "rebound.example"})
    assert (other.status_code, other.json().keys()) == (403, {"error"})
    # Nor does any answer name the software.
    for key in (admin, None):
        answer = server.ask("GET", "/sessions/", key)
        assert "Server" not in answer.headers
        assert answer.headers["Cache-Control"] == "private, no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_media_come_in_ranges(server, admin, record_of):
    session_id = record_of("ranges", "p-ranges")
    content = bytes(range(256)) * 5000
    (server.store / session_id / "video.mp4").write_bytes(content)
    url = f"/sessions/{session_id}/media/video.mp4"
    whole = server.ask("GET", url, admin)
    assert whole.content == content
    assert whole.headers["Accept-Ranges"] == "bytes"
    assert "sandbox" in whole.headers["Content-Security-Policy"]
    for asked, start, stop in (
        ("bytes=0-0", 0, 1),
        ("bytes=100-999", 100, 1000),
        ("bytes=1000-", 1000, None),
        ("bytes=-5", -5, None),
        ("bytes=0-9,20-29", 0, 10),
        (f"bytes=1000-{10**22}", 1000, None),  # of 23 digits
        (f"bytes=1000-{'9' * 5000}", 1000, None),
    ):
        part = server.ask("GET", url, admin, headers={"Range": asked})
        assert part.status_code == 206
        assert part.content == content[start:stop], asked
        assert part.headers["Content-Range"].endswith(f"/{len(content)}")
    for asked in (f"bytes={len(content)}-", "bytes=-0", f"bytes={10**22}-"):
        part = server.ask("GET", url, admin, headers={"Range": asked})
        assert part.status_code == 416
        assert part.headers["Content-Range"] == f"bytes */{len(content)}"
    # What is no range is as good as none (RFC 9110, 14.2), and so is one of anything but a GET.
    for asked in ("bytes=5-4", "bytes=a-b", "bytes=0-1,x", "lines=0-1", "bytes=\u0661-"):
        whole = server.ask("GET", url, admin, headers={"Range": asked.encode()})
        assert (whole.status_code, len(whole.content)) == (200, len(content)), asked
    head = server.ask("HEAD", url, admin, headers={"Range": "bytes=0-0"})
    assert (head.status_code, head.content) == (200, b"")
    # What the client has already is not sent again.
    tag = whole.headers["ETag"]
    for method, tags in (("GET", tag), ("GET", f'"other", {tag}'), ("HEAD", tag), ("GET", "*")):
        same = server.ask(method, url, admin, headers={"If-None-Match": tags})
        assert (same.status_code, same.content, same.headers["ETag"]) == (304, b"", tag)


def test_rates_fill_again_with_time():
    clock = [0.0]
    rates = Rates(60, clock=lambda: clock[0])
    for _ in range(60):
        rates.take("a")
    with pytest.raises(TooManyRequestsError) as refused:
        rates.take("a")
    assert refused.value.retry_after_s == 1
    rates.take("b")
    clock[0] = 2.5
    rates.take("a")
    rates.take("a")
    with pytest.raises(TooManyRequestsError):
        rates.take("a")


def test_a_signature_is_good_for_one_file_and_some_time():
    clock = [1000.0]
    keys = MediaKeys(60, clock=lambda: clock[0])
    (media_key,) = parse_qs(keys.query("s1", "video.mp4", "key 1"))["media_key"]
    assert keys.signed_for("s1", "video.mp4", media_key) == "key 1"
    assert keys.signed_for("s2", "video.mp4", media_key) is None
    assert keys.signed_for("s1", "analyzed.mp4", media_key) is None
    for wrong in ("", "ä", f"{media_key}0", media_key[:-1], media_key.replace("1000", "9999")):
        assert keys.signed_for("s1", "video.mp4", wrong) is None
    jupyter = base64.b64encode(b"jupyt").decode()  # as long as the one that was signed
    assert jupyter != (coded := base64.b64encode(b"key 1").decode())
    assert keys.signed_for("s1", "video.mp4", media_key.replace(coded, jupyter)) is None
    assert MediaKeys(60).signed_for("s1", "video.mp4", media_key) is None
    clock[0] = 1061.0
    assert keys.signed_for("s1", "video.mp4", media_key) is None
    assert MediaKeys(0).query("s1", "video.mp4", "key 1") == ""


def test_of_a_place_on_the_server_only_the_name_is_told(tmp_path):
    store = Store(tmp_path / "my sessions", reports=tmp_path / "reports")
    served = Served(MobilityServer(), store)
    upload = f"{store.path}/.server/uploads/{'0123456789abcdef' * 2}/squat.mp4"
    link = "see https://example.org/a/b or 11/03/2026, and/or"
    for text, expected in (
        (f"cannot write {store.path}/s1/metrics.nc: full", "cannot write s1/metrics.nc: full"),
        (f"video {upload}: is empty", "video squat.mp4: is empty"),
        ("cannot write /var/tmp/x y/metrics.nc: no", "cannot write x y/metrics.nc: no"),
        ("the model (/opt/models/a.task) is absent", "the model (a.task) is absent"),
        (link, link),
        (f"{Path.home()}/My Lab/a.nc", "My Lab/a.nc"),
    ):
        assert served.without_places(text) == expected


def test_no_place_on_the_server_is_in_a_state(server, admin, record_of):
    session_id = record_of("places", "p-places")
    file = server.store / session_id / "session.json"
    fault = f"cannot write {server.store}/places/metrics.nc: the disk is full"
    record = read_json(file) | {"state": "failed", "reason": fault}
    write_json(file, record | {"warnings": [{"code": "a", "message": fault}]})
    listed = server.state(admin, session_id)
    assert listed["reason"] == "cannot write places/metrics.nc: the disk is full"
    assert listed["warnings"] == [listed["reason"]]
    shutil.rmtree(server.store / session_id)


def test_the_number_of_sessions_holds_for_uploads_that_come_at_once(strict):
    key = strict.key("participant", "at-once")
    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(lambda _: strict.upload(key), range(6)))
    assert sorted(each.status_code for each in answers) == [200, 200, 404, 404, 404, 404]
    assert sum("at most 2 are allowed" in each.text for each in answers) == 4


def test_one_who_does_not_take_what_they_asked_for_is_not_waited_for(strict, record_in):
    key = strict.key("participant", "lazy")
    # More than the buffers of a connection hold.
    with (record_in(strict.store, "lazy", "lazy") / "video.mp4").open("r+b") as video:
        video.truncate(64 << 20)
    exports = strict.store / ".server" / "exports"
    process = psutil.Process(strict.process.pid)

    def open_to(connection):
        port = connection.getsockname()[1]
        return [each for each in process.net_connections() if each.raddr and each.raddr[1] == port]

    with (
        strict.begin(key, "GET", "/participants/lazy/export/") as connection,
        strict.begin(key, "GET", "/sessions/lazy/media/video.mp4") as player,
    ):
        for each in (connection, player):
            assert b" 200 " in each.recv(1000).partition(b"\r\n")[0]
        serving.wait_for(
            lambda: not (list(exports.glob("*")) or open_to(connection) or open_to(player))
        )
        # It ended because nobody took the rest, not because all was sent.
        taken = 0
        with suppress(ConnectionError):
            while part := player.recv(1 << 20):
                taken += len(part)
        assert taken < 64 << 20
    assert "Traceback" not in strict.log.read_text()
