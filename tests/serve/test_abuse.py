"""What those who have a key may try, and what races with an erasure or a deletion."""

from __future__ import annotations

import select
import shutil
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from urllib.parse import urlsplit

import av
import numpy as np
import psutil
import pytest
import serving

from mobility.store import Store


def exports_of(server):
    return list((server.store / ".server").glob("exports/*"))


def much_of(server, record_of, session_id, user_id):
    """More than the buffers of a connection hold."""
    record_of(session_id, user_id)
    with (server.store / session_id / "video.mp4").open("r+b") as video:
        video.truncate(64 << 20)


def test_one_who_was_erased_does_not_come_back_with_an_upload_that_was_under_way(server, admin):
    key = server.key("participant", "under-way")
    body = serving.BODY
    head = {"Content_Type": serving.KIND, "Content_Length": len(body)}
    with server.begin(key, "POST", "/sessions/", body[:-5], **head) as connection:
        serving.wait_for(server.uploads_left)
        assert server.ask("DELETE", "/participants/under-way/", admin).status_code == 204
        connection.sendall(body[-5:])
        assert serving.status_of(connection) == 401
    listed = server.ask("GET", "/sessions/", admin).json()
    assert not [each for each in listed if each["user_id"] == "under-way"]
    assert not server.uploads_left()


def test_a_deletion_finishes_what_one_that_was_interrupted_left(server, admin, record_of):
    """Of a session that is asked for again, and of whomever when a participant is deleted."""
    paths = ("/sessions/half-gone/", "/participants/nobody/")
    for path in paths:
        record_of("half-gone", "p-half")
        (server.store / "half-gone").rename(server.store / ".deleting-half-gone")
        (server.reports / "half-gone").mkdir(parents=True)
        assert server.ask("DELETE", path, admin).status_code == 404
        assert not list(server.store.glob("*half-gone*"))
        assert not (server.reports / "half-gone").exists()


def test_what_is_in_the_way_of_a_deletion_is_told_and_the_rest_goes(server, admin, record_of):
    """A session of which nobody knows whose it is, and one in use."""
    key = server.key("participant", "p-held")

    def refused(path, reason):
        answer = server.ask("DELETE", path, admin)
        assert answer.status_code == 409
        assert reason in answer.json()["error"]

    owned = server.store / record_of("of-known", "p-held")
    record = server.store / record_of("of-unknown", "p-held") / "session.json"
    record.write_text("{")
    try:
        refused("/participants/p-held/", "1 sessions with damaged records may also be theirs")
        assert not owned.exists()
    finally:
        shutil.rmtree(record.parent)
    record_of("of-known", "p-held")
    with Store(server.store).session_locked("of-known", what="the test"):
        for path in ("/sessions/of-known/", "/participants/p-held/"):
            refused(path, "session of-known is in use")
    # A folder is no file that can be removed, also for root.
    (participant := server.store / "participants" / "p-held.json").mkdir(parents=True)
    answer = server.ask("DELETE", "/participants/p-held/", admin)
    assert answer.status_code == 500
    assert answer.json()["error"].startswith("not everything was deleted on the server; its log")
    participant.rmdir()
    record_of("of-known", "p-held")
    assert server.ask("DELETE", "/participants/p-held/", admin).status_code == 204
    assert not owned.exists()
    assert server.ask("GET", "/sessions/", key).status_code == 401


def test_one_copy_of_everything_is_made_at_a_time(server, record_of):
    much_of(server, record_of, "much", "p-much")
    key = server.key("participant", "p-much")
    path = "/participants/p-much/export/"
    with server.begin(key, "GET", path) as connection:
        assert b" 200 " in connection.recv(1000).partition(b"\r\n")[0]
        assert len(exports_of(server)) == 1
        again = server.ask("GET", path, key)
        assert again.status_code == 429
        assert again.headers["Retry-After"] == "30"
    serving.wait_for(lambda: not exports_of(server))
    assert server.ask("GET", path, key).status_code == 200


def answered(connections, count):
    """Those of which so many have something to be read."""
    return serving.wait_for(
        lambda: len(ready := select.select(connections, [], [], 0)[0]) >= count and ready
    )


def test_a_key_has_few_requests_under_way(server, admin, record_of):
    key = server.key("participant", "p-crowd")
    path = f"/sessions/{record_of('crowd', 'p-crowd')}/state/"
    # Of each the body is waited for.
    asking = [server.begin(key, "POST", path, Content_Length=10) for _ in range(60)]
    refused = answered(asking, 52)
    assert len(refused) == 52
    for each in refused:
        answer = each.recv(65536)
        assert b" 429 " in answer.partition(b"\r\n")[0]
        assert b"Retry-After: 1" in answer
    assert server.ask("GET", path, key).status_code == 429
    for other in (admin, server.key("participant", "p-crowd")):
        assert server.ask("GET", path, other).status_code == 200
    for each in asking:
        each.close()
    serving.wait_for(lambda: server.ask("GET", path, key).status_code == 200)


def test_a_signature_of_the_demo_opens_no_session_of_the_same_id(server, admin, record_of):
    url = server.ask("GET", "/sessions/x/?demo=true", admin).json()["video_url"]
    session_id = record_of(urlsplit(url).path.split("/")[3], "p-demo")
    assert server.ask("GET", url).status_code == 200
    assert server.ask("GET", url.replace("demo=true&", "")).status_code == 401
    signed = server.ask("GET", f"/sessions/{session_id}/", admin).json()["video_url"]
    assert server.ask("GET", signed).content == b"video"
    assert server.ask("GET", f"{signed}&demo=true").status_code == 401
    assert server.ask("DELETE", f"/sessions/{session_id}/", admin).status_code == 204


def film(file, size, frames=10):
    """A real video that is small on the disk, whatever the size of its pictures."""
    with av.open(str(file), "w") as container:
        stream = container.add_stream("png", rate=30)
        stream.width = stream.height = size
        stream.pix_fmt = "gray"
        picture = av.VideoFrame.from_ndarray(np.zeros((size, size), np.uint8), format="gray")
        content = b"".join(bytes(packet) for packet in stream.encode(picture))
        for number in range(frames):
            packet = av.Packet(content)
            packet.stream, packet.time_base = stream, Fraction(1, 30)
            packet.pts = packet.dts = number
            packet.is_keyframe = True
            container.mux(packet)
    return file.read_bytes()


@pytest.mark.slow
def test_one_key_does_not_hold_up_the_others(tmp_path):
    """Uploads that do not move, pictures of 100 megapixels, a full queue."""
    small, huge = film(tmp_path / "small.mov", 64), film(tmp_path / "huge.mov", 10_000, frames=2)
    # Nobody is to be let go because this machine is slow.
    with serving.serving(tmp_path, kind="intake", upload_stall_seconds=3600.0) as server:
        admin, key = server.key(), server.key("participant", "attacker")
        head = {"Content_Type": serving.KIND, "Content_Length": 10**9}
        # What is refused is told so at once, and so is no longer held.
        connections = [
            server.begin(key, "POST", "/sessions/", serving.BODY[:-5], **head) for _ in range(30)
        ]
        serving.wait_for(lambda: len(server.uploads_left()) == 8)
        refused = answered(connections, 22)
        held = [each for each in connections if each not in refused]
        assert len(held) == 8
        assert all(b" 429 " in each.recv(65536).partition(b"\r\n")[0] for each in refused)
        for each in (*refused, *held[3:]):
            each.close()
        serving.wait_for(lambda: len(server.uploads_left()) == 3)

        def send(content, sender=key, **more):
            return server.upload(sender, content, name="squat.mov", **more)

        with ThreadPoolExecutor(3) as threads:
            large = [threads.submit(send, huge) for _ in range(3)]
            made = send(small, admin, user_id="p")
            assert {each.result().status_code for each in large} <= {413, 429}
        while (full := send(small)).status_code == 200 or "too many" in full.text:
            pass
        assert (made.status_code, full.status_code) == (200, 429)
        assert "50 sessions of this user already wait" in full.json()["error"]
        # The queue is the attacker's, and yet they are the next: users take turns.
        again = send(small, admin, user_id="p2").json()["session_id"]
        assert server.state(admin, again)["waiting_before"] <= 2
        assert not select.select(held[:3], [], [], 0)[0]
        workers = psutil.Process(server.process.pid).children(recursive=True)
        assert sum(each.memory_info().rss for each in workers) < 1.5e9
        for each in held[:3]:
            each.close()
    with serving.serving(tmp_path / "strict", kind="intake", most_pixels=100) as server:
        # Pictures of too many pixels are refused undecoded.
        key = server.key("participant", "large")
        for name, size, frames, status, words in (
            ("a.mov", 11, 10, 413, "at most 0.0001 million are allowed"),
            ("b.mov", 10, 10, 200, "session_id"),
            ("c.mov", 10, 1, 400, "c.mov: has only one frame"),
        ):
            answer = server.upload(key, film(tmp_path / name, size, frames=frames), name=name)
            assert (answer.status_code, words in answer.text) == (status, True), answer.text
