"""The queue: bounded, limited, and whole after whatever happened."""

from __future__ import annotations

import concurrent.futures
import io
import json
import re
import shutil
import zipfile

import httpx
import psutil
import pytest
import serving

from mobility.errors import (
    BadInputError,
    NotAuthenticatedError,
    NotFoundError,
    NotPermittedError,
    StorageError,
)
from mobility.serve.client import Client
from mobility.sessions.files import read_json, write_json

pytestmark = pytest.mark.slow


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "served"


def sessions_in(server):
    return {
        place.name
        for place in server.store.iterdir()
        if place.name[0] != "." and (place / "session.json").is_file()
    }


def files_of_queue(server):
    return [f.name for f in (server.store / ".server" / "queue").glob("*.json")]


def processes_of(server):
    return psutil.Process(server.process.pid).children(recursive=True)


@pytest.fixture(scope="module")
def single(tmp_path_factory):
    """A server that analyses one session at a time, with room for three."""
    folder = tmp_path_factory.mktemp("single")
    with serving.serving(folder, analyses_at_once=1, queue_length=3) as server:
        yield server


def test_the_queue_is_bounded_and_what_is_refused_may_come_later(single, tmp_path):
    wait = f"video wait {tmp_path / 'go'}".encode()
    key = single.key("professional", "p")
    before = sessions_in(single)
    made = [single.upload(key, wait + b" " * n) for n in range(3)]
    assert [answer.status_code for answer in made] == [200] * 3
    full = single.upload(key, b"video 2")
    assert full.status_code == 429
    assert "the queue is full" in full.json()["error"]
    assert int(full.headers["Retry-After"]) > 1
    assert len(sessions_in(single) - before) == 3
    (tmp_path / "go").touch()
    for answer in made:
        single.until(key, answer.json()["session_id"], "analyzed")
    assert single.upload(key, b"video 2").status_code == 200


def test_what_is_deleted_is_not_analysed_on(single, tmp_path):
    wait = f"video wait {tmp_path / 'never'}".encode()
    serving.wait_for(lambda: files_of_queue(single) == [])
    before = sessions_in(single)
    key = single.key("professional", "p")
    runs, waits = (single.upload(key, wait + b" " * n).json()["session_id"] for n in (0, 1))
    single.until(key, runs, "analyzing")
    for session_id in (waits, runs):
        assert single.ask("DELETE", f"/sessions/{session_id}/", key).status_code == 204
        assert single.ask("GET", f"/sessions/{session_id}/", key).status_code == 404
    assert sessions_in(single) == before
    assert files_of_queue(single) == []
    good = single.upload(key, b"video 1").json()["session_id"]
    single.until(key, good, "analyzed")


def test_a_session_that_nothing_can_be_noted_of_does_not_hold_up_the_queue(single, tmp_path):
    key, gate = single.key("professional", "p"), tmp_path / "gate"
    first = single.upload(key, f"video wait {gate}".encode()).json()["session_id"]
    single.until(key, first, "analyzing")
    second = single.upload(key, b"video 1").json()["session_id"]
    (single.store / first / "session.json").write_text("{}")
    gate.touch()
    single.until(key, second, "analyzed", seconds=400)
    serving.wait_for(lambda: not [name for name in files_of_queue(single) if first in name])
    shutil.rmtree(single.store / first)


def test_disks_that_are_full_or_cannot_be_written(folder, tmp_path):
    room = tmp_path / "room"
    with serving.serving(folder) as server:
        token = f"token {serving.TOKEN}"
        assert server.ask("GET", "/sessions/x/?demo=true", token).status_code == 200
        # A store that is only read gets no more than a line of the log.
        assert not server.store.exists()
        assert server.ask("GET", "/sessions/", token).json() == []
        assert {path.name for path in server.store.glob("*")} <= {".server"}
        # Full, as an upload finds it, and an analysis.
        key = server.key("participant", "p")
        answer = server.upload(key, f"video at intake full {room}".encode())
        assert answer.status_code == 507
        assert answer.json() == {"error": "the disk of the server is full; free some space there"}
        assert sessions_in(server) == set()
        session_id = server.upload(key, f"video full {room}".encode()).json()["session_id"]

        def tried():
            waits = re.findall(rf"{session_id}.* tried again in (\d+) s", server.log.read_text())
            return len(waits) >= 3 and [int(each) for each in waits]

        assert serving.wait_for(tried)[:3] == [1, 2, 4]
        held = server.until(key, session_id, "held")
        assert held["reason"] == "the disk of the server is full; free some space there"
        (listed,) = server.ask("GET", "/sessions/", key).json()
        assert listed["reason"] == held["reason"]
        # Others are served meanwhile.
        other = server.upload(key, b"video 1").json()["session_id"]
        server.until(key, other, "analyzed")
        room.touch()
        assert server.until(key, session_id, "analyzed")["reason"] == ""


def test_limits_end_what_spins_or_eats_and_its_processes(folder):
    limits = {"analysis_seconds": 60.0, "intake_seconds": 30.0, "memory_bytes": 2_000_000_000}
    with serving.serving(folder, **limits) as server:
        key = server.key("professional", "p")
        spins, eats, crashes = (
            server.upload(key, f"video {does}".encode()).json()["session_id"]
            for does in ("spin", "eat", "crash")
        )
        for content in (b"video at intake spin", b"video at intake crash", b"video at intake eat"):
            answer = server.upload(key, content)
            assert answer.status_code == 400, answer.text
        answer = server.upload(key, b"video long")
        assert answer.status_code == 413
        assert "lasts 10000 s, but at most 600 s" in answer.json()["error"]
        assert sessions_in(server) == {spins, eats, crashes}
        assert "60 s, its time limit" in server.until(key, spins, "failed")["reason"]
        reason = server.until(key, eats, "failed")["reason"]
        assert reason == "its analysis needed more memory than its limit"
        reason = server.until(key, crashes, "failed", seconds=400)["reason"]
        assert "was killed by the system" in reason
        serving.wait_for(lambda: files_of_queue(server) == [])
        # A good video is taken and analysed as before.
        good = server.upload(key, b"video 1").json()["session_id"]
        server.until(key, good, "analyzed")
        # What failed may be asked for again.
        again = server.ask("POST", f"/sessions/{spins}/state/", key)
        assert again.status_code == 200
        assert again.json()["state"] in ("queued", "analyzing")
        assert server.ask("POST", f"/sessions/{good}/state/", key).status_code == 409
        assert server.ask("DELETE", f"/sessions/{spins}/", key).status_code == 204
        serving.wait_for(lambda: len(processes_of(server)) <= 3)


def test_everything_of_a_participant_is_handed_over_and_deleted(folder, tmp_path):
    wait = f"video wait {tmp_path / 'never'}".encode()
    with serving.serving(folder) as server:
        admin, key = server.key(), server.key("participant", "ann")
        other = server.upload(server.key("participant", "bob")).json()["session_id"]
        done = server.upload(key, session_name="First").json()["session_id"]
        server.until(key, done, "analyzed")
        runs = server.upload(key, wait).json()["session_id"]
        server.until(key, runs, "analyzing")
        from mobility import Store

        store = Store(server.store, reports=server.reports)
        store.set_participant("ann", display_name="Ann Example", height_m=1.7)
        whole = server.ask("GET", "/participants/ann/export/", key)
        assert whole.headers["Content-Type"] == "application/zip"
        with zipfile.ZipFile(io.BytesIO(whole.content)) as archive:
            names = set(archive.namelist())
            assert json.loads(archive.read("sessions/participants/ann.json"))["height_m"] == 1.7
            assert archive.read(f"sessions/{done}/video.mp4") == b"video 1"
        assert {f"sessions/{done}/metrics.nc", f"reports/{done}/overhead-squat.json"} <= names
        assert not [name for name in names if other in name]
        server.until(admin, other, "analyzed")
        assert server.ask("DELETE", "/participants/ann/", admin).status_code == 204
        assert server.ask("GET", "/sessions/", key).status_code == 401
        for place in folder.rglob("*"):
            if place.is_file() and place.name not in ("server.log",):
                assert b"Ann Example" not in place.read_bytes(), place
                assert b'"ann"' not in place.read_bytes(), place
            assert done not in place.name
            assert runs not in place.name
        assert sessions_in(server) == {other}
        assert server.ask("DELETE", "/participants/ann/", admin).status_code == 404


def test_the_client(folder, tmp_path):
    video = tmp_path / "squat.mp4"
    video.write_bytes(b"video 1")
    with serving.serving(folder, queue_length=50) as server:
        bare = server.key("professional", "pro").split()[1]
        with Client(server.url, bare) as client:
            squat = {"exercise_name": "Overhead Squat", "session_name": "By client"}
            made = client.create(video, **squat, body_joint_angles=["knee", "hip"])
            assert made.title == "By client"
            assert client.wait(made.session_id, every_s=0.1).state == "analyzed"
            details = client.details(made.session_id)
            back = client.download(details.video_url, tmp_path / "back.mp4")
            assert back.read_bytes() == b"video 1"
            assert client.export(made.session_id).keypoints
            report = client.report(made.session_id)
            assert report.grouped_data["hip_flexion"].metrics["hip_flexion_asymmetry"] is not None
            assert client.summary(made.session_id).date == report.date
            assert [each.session_id for each in client.sessions()] == [made.session_id]
            with pytest.raises(BadInputError) as refused:
                client.create(video, exercise_name="Lunge")
            assert refused.value.fields.keys() == {"exercise_name"}
            with pytest.raises(NotFoundError):
                client.details("none")
            with pytest.raises(NotPermittedError):
                client.create(video, **squat, user_id="x", for_others=True)
            assert zipfile.is_zipfile(client.export_participant("pro", tmp_path / "pro.zip"))
            client.delete(made.session_id)
            assert client.sessions() == []
        with Client(server.url, "mob_wrong") as stranger, pytest.raises(NotAuthenticatedError):
            stranger.sessions()
    with Client(server.url, bare) as client, pytest.raises(StorageError):
        client.sessions()


def test_a_server_that_is_killed_leaves_each_session_whole_or_absent(folder, tmp_path):
    go = tmp_path / "go"
    wait = f"video wait {go}".encode()
    accepted, refused = [], []
    with serving.serving(folder, analyses_at_once=2) as server:
        key = server.key("administrator", "p")
        accepted.append(server.upload(key, b"video 1").json()["session_id"])
        server.until(key, accepted[0], "analyzed")
        waiting = [server.upload(key, wait + b" " * n) for n in range(3)]
        accepted += [answer.json()["session_id"] for answer in waiting]
        server.until(key, accepted[1], "analyzing")

        def send(number):
            try:
                answer = server.upload(key, b"video " + b"%d " % number + bytes(3_000_000))
            except httpx.TransportError:
                refused.append(number)
                return
            assert answer.status_code == 200
            accepted.append(answer.json()["session_id"])

        # One upload is in the middle of its body for sure.
        head = {"Content_Type": serving.KIND, "Content_Length": 90_000}
        half = server.begin(key, "POST", "/sessions/", serving.HEAD + b"video", **head)
        serving.wait_for(server.uploads_left)
        with concurrent.futures.ThreadPoolExecutor(20) as pool:
            sent = [pool.submit(send, number) for number in range(20)]
            serving.wait_for(lambda: len(accepted) >= 8)
            workers = processes_of(server)
            server.kill()
            for each in sent:
                each.result()
        half.close()
        # What it had started ends with it.
        psutil.wait_procs(workers, timeout=120)
        assert not [p for p in workers if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
    with serving.serving(folder, analyses_at_once=2) as server:
        # Before anything else comes in: what was left half done is gone.
        serving.wait_for(
            lambda: (
                not (server.store / ".server" / "uploads").exists()
                and not list(server.store.glob(".creating-*"))
            )
        )
        kept = sessions_in(server)
        assert kept >= set(accepted)
        # A session may have been put into its place while its answer was not yet sent.
        unanswered = kept - set(accepted)
        assert len(unanswered) <= len(refused)
        states = {
            each["session_id"]: each["state"]
            for each in server.ask("GET", "/sessions/", key).json()
        }
        assert states.keys() == kept
        assert states[accepted[0]] == "analyzed"
        go.touch()
        for session_id in kept:
            state = server.until(key, session_id, "analyzed", "failed", seconds=600)
            assert state["state"] == "analyzed", state
        assert server.ask("GET", f"/sessions/{accepted[-1]}/export/", key).status_code == 200


def test_a_second_server_reads_and_takes_over_when_the_first_ends(folder):
    with serving.serving(folder) as first:
        key = first.key("professional", "p")
        session_id = first.upload(key).json()["session_id"]
        with serving.serving(folder) as second:
            assert second.ask("GET", f"/sessions/{session_id}/state/", key).status_code == 200
            refused = second.upload(key, b"video 2")
            assert refused.status_code == 409
            assert "another Jupyter server" in refused.json()["error"]
            first.until(key, session_id, "analyzed")
            first.kill()
            assert second.upload(key, b"video 2").status_code == 200


def test_what_other_code_analysed_is_analysed_again_before_it_is_served(working):
    key = working.key("participant", "p-outdated")
    session_id = working.upload(key).json()["session_id"]
    working.until(key, session_id, "analyzed")
    file = working.store / session_id / "session.json"
    for document in ("", "export/"):
        record = read_json(file)
        right = record["stages"]["metrics"]["key"]
        record["stages"]["metrics"]["key"] = "0" * 64
        write_json(file, record)
        assert working.ask("GET", f"/sessions/{session_id}/{document}", key).status_code == 200
        assert read_json(file)["stages"]["metrics"]["key"] == right


def test_of_what_cannot_be_analysed_again_the_page_is_served_as_it_was_and_no_document(working):
    key = working.key("participant", "p-gone")
    session_id = working.upload(key).json()["session_id"]
    working.until(key, session_id, "analyzed")
    file = working.store / session_id / "session.json"
    record = read_json(file)
    record["stages"]["metrics"]["key"] = "0" * 64
    write_json(file, record)
    next(file.parent.glob("video.*")).unlink()
    page = working.reports / session_id / "overhead-squat.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text("of then")
    for method, document in (("GET", ""), ("GET", "checks/"), ("POST", "report/")):
        answer = working.ask(method, f"/sessions/{session_id}/{document}", key)
        assert answer.status_code == 404
        assert answer.json()["error"].endswith("analysed again; its results are kept")
    media = working.ask("GET", f"/sessions/{session_id}/media/{page.name}", key)
    assert (media.status_code, media.text) == (200, "of then")
