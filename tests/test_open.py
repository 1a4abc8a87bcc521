"""``mobility open``: a video is dropped, a phone films, each reads a report; in a real browser."""

from __future__ import annotations

import asyncio
import datetime
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx
import pytest
from demo_sessions import copy_of, record, taken_as_current
from jupyter_lab import PLACES
from other_processes import end_group, free_port, wait_for
from tornado.websocket import WebSocketClosedError

from mobility.base.formatting import dated
from mobility.capture.video import read_frames, write_video
from mobility.errors import ConflictError
from mobility.serve import local
from mobility.serve.api_keys import Keys
from mobility.serve.local import network_address
from mobility.sessions.files import write_json
from mobility.sessions.record import now
from mobility.store import Store

try:
    NETWORK = network_address()
except ConflictError:
    NETWORK = ""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not NETWORK, reason="needs a network, of which nobody is asked anything"),
    pytest.mark.allow_hosts(["127.0.0.1", NETWORK]),
]


class Opened(NamedTuple):
    """What the command said, and where its sessions are."""

    page: str
    code: str
    printed: str
    store: Path
    process: subprocess.Popen[str]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    places = {name: str(tmp_path / name.lower()) for name in PLACES}
    store, out = tmp_path / "sessions", tmp_path / "out"
    port = free_port()
    with out.open("w") as both:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "mobility.cli", "open", "--lan", "--no-browser"),
                *("--store", str(store), "--reports", str(tmp_path / "reports")),
                *("--port", str(port)),
            ],
            env={**os.environ, **places, "COLUMNS": "80"},
            cwd=tmp_path,
            stdout=both,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
    try:
        wanted = "Get more codes on the page"
        wait_for(lambda: process.poll() is not None or wanted in out.read_text())
        printed = out.read_text()
        assert process.poll() is None, printed
        code = next(line for line in printed.splitlines() if "/mobility/phone/" in line)
        yield Opened(printed.splitlines()[0], code, printed, store, process)
    finally:
        end_group(process, signal.SIGINT, 300)
    # It said its address once, and nothing after.
    assert out.read_text() == printed
    assert printed.count("token=") == 1


def cut(video: Path, out: Path, *, stop: float) -> None:
    """Write the beginning of a video."""
    write_video(out, ((frame.time, frame.image) for frame in read_frames(video, stop=stop)))


def fenced(seen: list[Any]) -> bool:
    """Whether a report in a page has no login, and no way to what the page around it may see."""
    refused = dict.fromkeys(("cookies", "storage", "parent"), "SecurityError")
    return seen == ["null", {**refused, "fetch": "TypeError", "socket": "Error", "script": None}]


def test_a_video_is_dropped_and_a_phone_films(
    opened: Opened, project: Path, tmp_path: Path, browse: Callable[..., Any]
) -> None:
    demo = project / "data" / "demo" / "overhead-squat" / "video.mp4"
    if not demo.is_file():
        pytest.skip("needs the demo session in data/demo")
    cut(demo, tmp_path / "squat.mp4", stop=6.0)
    cut(demo, tmp_path / "phone.mp4", stop=5.8)

    network = urlsplit(opened.code)
    local = urlsplit(opened.page)
    assert local.hostname == "127.0.0.1"
    assert network.hostname not in ("127.0.0.1", "0.0.0.0")

    # Without the token there is no page, and no kernel.
    with httpx.Client(base_url=f"http://{local.netloc}") as stranger:
        assert stranger.get("/mobility/open").headers["Location"].startswith("/login")
        assert stranger.get("/api/kernels").status_code == 403
    # In the network there is nothing of Jupyter, nor with its token, and nothing without a key.
    token = local.query.removeprefix("token=")
    with httpx.Client(base_url=f"http://{network.netloc}") as stranger:
        for path in ("/", "/lab", "/api/kernels", "/api/contents", "/mobility/open", "/files/out"):
            absent = stranger.get(path, params={"token": token})
            assert (absent.status_code, "Server" in absent.headers) == (404, False), path
        api = "/mobility-assessment/sessions/"
        assert stranger.get(api).status_code == 401
        assert stranger.get(api, headers={"Authorization": f"token {token}"}).status_code == 401
        assert stranger.get(api, params={"token": token}).status_code == 401
        assert stranger.get("/mobility/phone/0123456789ab").status_code == 403
        assert stranger.get(network.path).status_code == 200
        assert network.fragment not in stranger.get(network.path).text

    seen = browse("open", opened.page, tmp_path)

    # The page: watched, analysed, reported.
    assert seen["watched"] == [True]
    assert (seen["emptied"], seen["next"]) == ([0, ""], "p08")
    assert seen["locked"] == {"Open": None, "Analyse": "true", "Delete": "true"}
    assert "p08" in seen["report"]
    # The phone: its own camera, how to stand, the report.
    assert seen["camera"] == ["video/*", "environment"]
    assert "stand tall and still for a second" in seen["how"]
    assert "elbow" in seen["how of the elbow"]
    assert seen["drawing"] > 300
    assert "p09" in seen["phone's report"]
    assert seen["phone's width"] == 390
    assert fenced(seen["phone's fence"])
    # The table, with pictures; the trials beside each other.
    assert len(seen["rows"]) == 2
    assert all(re.search("recording|no overhead squat", row) for row in seen["rows"])
    assert seen["sorted"] == [["p08", "p09"], "Participant"]
    assert seen["lines of dates"] == [1] * 4  # day and time of each
    assert seen["narrow"] == [0, 0]  # at 400 pixels nothing scrolls sideways
    left, right = seen["boxes"]
    assert abs(left["y"] - right["y"]) < 2
    assert right["x"] >= left["x"] + left["width"]
    # Nothing was asked of anybody else, and the key is in no address that was asked for.
    assert {urlsplit(address).hostname for address in seen["asked"]} == {"127.0.0.1"}
    asked = [
        address for address in seen["of the phone"] if not address.startswith(("data:", "blob:"))
    ]
    assert {urlsplit(address).netloc for address in asked} == {network.netloc}
    assert not any("mob_" in urlsplit(a).path + urlsplit(a).query for a in asked)
    assert seen["said"] == []

    # A phone has a key of its own, which sees what it added, for a while.
    store = Store(opened.store)
    assert {session.record.user_id for session in store.sessions()} == {"p08", "p09"}
    keys = Keys(store).all()
    assert {key.role for key in keys} == {"phone"}
    assert all(key.expires_at is not None for key in keys)
    with httpx.Client(base_url=f"http://{network.netloc}/mobility-assessment") as phone:
        mine, other = (
            next(s.id for s in store.sessions() if s.record.user_id == user)
            for user in ("p09", "p08")
        )
        phone.headers["Authorization"] = f"API-KEY {urlsplit(seen['code']).fragment}"
        assert [one["session_id"] for one in phone.get("/sessions/").json()] == [mine]
        assert phone.get(f"/sessions/{other}/state/").status_code == 404
        # What is revoked is worth nothing at once, also to who has the page.
        Keys(store).revoke_of("p09")
        assert phone.get("/sessions/").status_code == 401
    assert httpx.get(seen["code"]).status_code == 403


def test_the_page_is_used_by_keyboard_alone(
    opened: Opened, demo: Path, tmp_path: Path, browse: Callable[..., Any]
) -> None:
    store = Store(opened.store)
    for name, who in (("one", "p01"), ("two", "p02")):
        named = {"user_id": who, "session_name": f"A squat of {who}"}
        taken_as_current(copy_of(demo, store, name, **named))

    seen = browse("open keys", opened.page, tmp_path)

    assert seen["sorted"] == [["p01", "p02"], ["p02", "p01"]]
    assert seen["stays"].startswith("Open A squat")
    assert seen["waited"].startswith("Report A squat")
    for begun, paused, scrubbed in (seen["played"], seen["report"]):
        assert begun < paused < scrubbed
    assert seen["curves"][1] == seen["curves"][0] + 1
    assert seen["headings"][1] == seen["headings"][0] + 1
    assert max(seen["dark"]) < 0.2
    assert seen["left white"] == 0
    assert seen["left"] == ["p01"]
    assert [session.id for session in store.sessions()] == ["one"]
    assert seen["cursor"] == "rgb(236, 236, 236)"
    assert seen["fault"].startswith("broken.mp4")
    assert seen["unseen"] == []
    assert fenced(seen["tried"])
    assert seen["open to us"] == 200


def test_the_first_screen_has_people_their_visits_and_one_place_for_films(
    opened: Opened, demo: Path, tmp_path: Path, browse: Callable[..., Any]
) -> None:
    """With 300 sessions, of which only what is in sight is drawn and has its still made."""
    store = Store(opened.store)
    day = datetime.timedelta(days=1)
    yesterday = now() - day
    exercises = ("Overhead Squat", "Squat", "Sit-to-Stand")
    for number in range(297):
        # 40 people with seven visits, and 17 films of nobody named.
        earlier, who = divmod(number, 40)
        about = {
            "session_id": f"s{number}",
            "user_id": f"p{who + 1:02d}" if earlier < 7 else "anonymous",
            "exercise": exercises[number % 3],
            "created_at": yesterday - day * (30 * (earlier + 1) + who),
        }
        folder = store.path / f"s{number}"
        folder.mkdir(parents=True)
        stand_in = record(state="analyzed", verdict="limited", **about)
        write_json(folder / "session.json", stand_in.model_dump(mode="json"))
    for name, hours in (("a", 0), ("b", 1), ("c", 2)):
        when = (yesterday + datetime.timedelta(minutes=hours)).isoformat()
        title = None if name == "a" else f"Squat {name}"
        copy_of(demo, store, name, user_id="p01", session_name=title, created_at=when)
    store.set_participant("p01", display_name="Ann Miller", sex="female")
    for name, stop in (("one", 1.0), ("two", 1.2)):
        cut(demo / "video.mp4", tmp_path / f"{name}.mp4", stop=stop)

    seen = browse("open first", opened.page, tmp_path)

    # Who was there last comes first, with the films of the visit as they were filmed; a session is
    # called by its title, else its file.
    lines = seen["first"].split("\n")
    over_time = "All visits over time"
    assert lines[:3] == ["Ann Miller p01", over_time, f"{dated(yesterday)}Page"]
    file = store.session("a").record.video.original_name
    assert [line for line in lines if line in (file, "Squat b", "Squat c")] == [
        *(file, "Squat b", "Squat c"),
    ]
    assert lines.count("good recording") == 3
    assert seen["visit"] == {"participant": "p01", "visit": yesterday.date().isoformat()}
    # Twelve of 40 people, and the films of nobody named apart; the rest when they are asked for.
    assert seen["drawn"] == [13, 41]
    assert seen["goes on"]
    assert (len(seen["earlier"]), seen["folded"]) == (8, "true")
    assert seen["searched"] == {
        "ann miller": [1, "1 of 40 participants"],
        "p07 squat": [1, "1 of 40 participants"],
        "nobody of this name": [0, "0 of 40 participants"],
    }
    assert seen["All sessions"] == ["All sessions", 50]
    assert seen["Participants"] == ["Participants", 0]
    # Two films at once are two sessions of a visit, each of its exercise. What is known is not
    # asked for.
    assert "Age, years" in seen["asked for"]
    assert not {"Sex", "Height", "Standing", "Second video", "Title"} & set(seen["asked for"])
    assert seen["whom"]
    lines = seen["added"].split("\n")
    # A page of the visit is offered as soon as one of its films is analysed.
    assert lines[0].removesuffix("Page") == dated(now())
    # Which of two sessions of one second comes first is not said.
    assert {line for line in lines if line.endswith("quat")} == {"Overhead Squat", "Squat"}
    assert {line for line in lines if line.endswith(".mp4")} == {"one.mp4", "two.mp4"}
    assert seen["left"] == 0
    made = sorted((each.record for each in store.sessions()[-2:]), key=lambda each: each.exercise)
    assert [each.exercise for each in made] == ["Overhead Squat", "Squat"]
    assert {each.user_id for each in made} == {"p01"}
    # For who sees little, hears the page, or has no mouse.
    assert seen["nameless"] == []
    assert seen["unseen"] == []
    assert seen["axe"] == []
    assert seen["widths"] == {"1280": 1280, "400": 400}
    assert seen["said"] == []
    # No still of a session that nobody saw was made.
    assert 0 < len(list(store.path.glob("*/.still-*.jpg"))) <= 5


def test_a_reload_or_a_closed_tab_names_the_video_that_is_lost_and_the_next_is_taken(
    opened: Opened, demo: Path, tmp_path: Path, browse: Callable[..., Any]
) -> None:
    content = (demo / "video.mp4").read_bytes()
    (tmp_path / "small.mp4").write_bytes(content)
    with (tmp_path / "large.mp4").open("wb") as large:  # with an empty box, which is long to send
        large.write(content + (2**30).to_bytes(4, "big") + b"free")
        large.truncate(len(content) + 2**30)

    seen = browse("open reload", opened.page, tmp_path)

    for lost in seen["lost"]:
        assert "Not added: large.mp4." in lost
    assert seen["said"] == []
    (session,) = Store(opened.store).sessions()
    assert session.record.name == "small.mp4"
    assert f"{session.record.created_at.date()}" == "2025-03-01"
    assert len({round(width) for width in seen["cards"]}) == 1


def test_a_message_to_a_closed_tab_is_no_fault_and_others_are_reported(
    caplog: pytest.LogCaptureFixture,
) -> None:
    loop = asyncio.new_event_loop()
    try:
        for error in (WebSocketClosedError(), ValueError("real")):
            local._report_faults(loop, {"message": "in a task", "exception": error})
    finally:
        loop.close()
    (record,) = caplog.records
    assert record.exc_info is not None
    assert record.exc_info[0] is ValueError
