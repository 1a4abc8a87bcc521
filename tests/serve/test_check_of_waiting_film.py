"""The check of a film that waits for its analysis: for whom, how long, and kept nowhere."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
import serving
from other_processes import wait_for

from mobility.serve.api_keys import PHONE


@pytest.fixture
def asked(working):
    """``asked(key, session_id)``: the answer to who asks for a check, which may take a while."""
    with ThreadPoolExecutor(4) as threads:
        yield lambda key, session_id: threads.submit(
            working.ask, "GET", f"/sessions/{session_id}/recording-check/", key
        )


def added(server, key, content, **fields):
    answer = server.upload(key, content, **fields)
    assert answer.status_code == 200, answer.text
    return answer.json()["session_id"]


def test_a_phone_sees_the_check_of_its_own_film_before_the_analysis_goes_on(
    working, asked, tmp_path
):
    phone, other = (working.key(PHONE, "check-p") for _ in range(2))
    go = tmp_path / "go"
    session_id = added(working, phone, f"video 1 at check wait {go}".encode())
    waits = [asked(phone, session_id) for _ in range(2)]
    assert asked(other, session_id).result().status_code == 404
    assert working.state(phone, session_id)["state"] == "queued"
    go.touch()
    for answer in waits:
        assert answer.result().status_code == 200, answer.result().text
        assert answer.result().json() == serving.CHECK
    working.until(phone, session_id, "analyzed")
    # It says less than the results, and is kept nowhere.
    assert asked(phone, session_id).result().status_code == 404
    files = [each for each in working.store.rglob("*") if each.is_file()]
    assert files
    assert not any(b"moving_camera" in each.read_bytes() for each in files)


def test_who_has_no_phone_may_ask_for_a_check_too(working, asked, tmp_path):
    key, go = working.key("participant", "check-q"), tmp_path / "go"
    session_id = added(working, key, f"video wait {go}".encode())
    assert asked(key, session_id).result().json() == serving.CHECK
    go.touch()
    working.until(key, session_id, "analyzed")


def test_a_check_ends_with_its_session(working, asked, tmp_path):
    key, phone = working.key(), working.key(PHONE, "check-r")
    session_id = added(working, phone, f"video 1 at check wait {tmp_path / 'never'}".encode())
    waits = asked(phone, session_id)
    wait_for(lambda: psutil.Process(working.process.pid).children(recursive=True))
    assert working.ask("DELETE", f"/sessions/{session_id}/", key).status_code == 204
    assert waits.result().status_code == 404
    # The next one finds a worker that is free.
    other = added(working, phone, b"video 1")
    assert asked(phone, other).result().status_code in (200, 404)
    working.until(phone, other, "analyzed")


def test_a_film_that_kills_its_check_is_analysed_all_the_same(working, asked):
    phone = working.key(PHONE, "check-s")
    session_id = added(working, phone, b"video 1 at check crash")
    answer = asked(phone, session_id).result()
    if answer.status_code != 404:  # unless the analysis was faster
        assert answer.status_code == 400, answer.text
        assert answer.json()["error"].startswith(f"session {session_id}: its check ")
    assert working.until(phone, session_id, "analyzed", "failed")["state"] == "analyzed"
