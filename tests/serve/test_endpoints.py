"""The documented endpoints, asked over a real connection; every status of the document."""

from __future__ import annotations

import re
import shutil

import pytest

from mobility.errors import BadInputError, ConflictError, NotFoundError
from mobility.serve.client import Client
from mobility.sessions.files import read_json
from mobility.store import Store

SESSION = "/sessions/{}/"
DOCUMENTED = [
    ("GET", "/sessions/{}/"),
    ("GET", "/sessions/{}/export/"),
    ("POST", "/sessions/{}/recommendation/"),
    ("POST", "/sessions/{}/report/"),
    ("GET", "/sessions/{}/summary/"),
    ("POST", "/sessions/{}/summary/"),
    ("POST", "/sessions/{}/joint-mobility/"),
    ("GET", "/sessions/{}/joint-mobility-config/"),
    ("POST", "/sessions/{}/joint-mobility-config/"),
]
CREATIONS = ["/sessions/", "/management/sessions/"]


@pytest.mark.slow
def test_creation_answers_before_the_analysis_and_tells_where_it_is(working, tmp_path):
    key = working.key()
    waits = f"video wait {tmp_path / 'go'}".encode()
    answers = [
        working.upload(key, waits + b" " * n, user_id="queue", session_name=f"Number {n}").json()
        for n in range(4)
    ]
    assert [answer["title"] for answer in answers] == [f"Number {n}" for n in range(4)]
    assert answers[0].keys() == {"session_id", "title"}
    made = [answer["session_id"] for answer in answers]
    working.until(key, made[1], "analyzing")
    assert working.state(key, made[0])["state"] == "analyzing"
    states = [working.state(key, session_id) for session_id in made[2:]]
    assert [(s["state"], s["waiting_before"]) for s in states] == [("queued", 0), ("queued", 1)]
    early = working.ask("POST", f"/sessions/{made[0]}/report/", key)
    assert early.status_code == 404
    (tmp_path / "go").touch()
    for session_id in made:
        assert working.until(key, session_id, "analyzed", "failed")["state"] == "analyzed"
    details = working.ask("GET", SESSION.format(made[0]), key).json()
    assert details["angles"]["left_knee_angle"][1] == 10.12
    # The report was rendered with the analysis, by the worker.
    assert (working.reports / made[0] / "overhead-squat.json").is_file()
    # A video in which nobody is fails with its reason.
    nobody = working.upload(key, b"video nobody", user_id="nobody").json()["session_id"]
    state = working.until(key, nobody, "failed")
    assert state["reason"] == "squat.mp4: nobody was found in it"
    assert working.ask("GET", f"/sessions/{nobody}/export/", key).status_code == 404


JOINTS = ["ankle", "knee", "hip", "shoulder", "elbow"]
MOBILITY = {"exercise_name": None, "exercise": "Joint Angle Mobility"}


def test_what_a_creation_says_is_in_the_record(server, admin):
    movement = {"exercise_name": None, "movement": "trunk_lateral_flexion"}
    for number, (fields, expected) in enumerate(
        (
            ({"session_name": "Custom Session"}, {"session_name": "Custom Session"}),
            ({}, {"user_id": "someUserId123", "exercise": "Overhead Squat", "joints": JOINTS}),
            (
                {**MOBILITY, "body_joint_angles": "ankle, knee"},
                {"exercise": "Joint Angle Mobility", "joints": ["ankle", "knee"]},
            ),
            (movement, {"exercise": "Joint Angle Mobility", "joints": ["trunk"]}),
            ({"body_joint_angles": '["hip", "knee"]'}, {"joints": ["knee", "hip"]}),
            ({"body_joint_angles": ["hip", "elbow"]}, {"joints": ["hip", "elbow"]}),
            ({"body_joint_angles": ""}, {"joints": JOINTS}),
        )
    ):
        path = CREATIONS[number % 2]
        made = server.upload(admin, path=path, **{"user_id": "someUserId123", **fields})
        assert made.status_code == 200, made.text
        record = read_json(server.store / made.json()["session_id"] / "session.json")
        assert {name: record[name] for name in expected} == expected
        assert record["video"]["original_name"] == "squat.mp4"
    # A session of one's own needs no user id.
    made = server.upload(server.key("participant", "own"))
    assert made.status_code == 200, made.text
    record = read_json(server.store / made.json()["session_id"] / "session.json")
    assert record["user_id"] == "own"


def test_a_creation_says_how_it_is_to_be_analysed(working):
    key = working.key()
    made = working.upload(key, user_id="stands", standing="12.5", model="full", subject="3,4")
    assert made.status_code == 200, made.text
    session_id = made.json()["session_id"]
    assert working.until(key, session_id, "analyzed", "failed")["state"] == "analyzed"
    options = read_json(working.store / session_id / "session.json")["provenance"]["options"]
    given = {"standing": 12.5, "model": "full", "subject": [3, 4]}
    assert {name: options[name] for name in given} == given


def visible(store):
    return sorted(place.name for place in store.glob("[!.]*"))


@pytest.mark.parametrize("path", CREATIONS)
def test_what_is_wrong_with_a_creation_is_said_by_field(server, admin, path):
    before = visible(server.store)
    for field, content, fields in (
        ("exercise_name", b"video 1", {"exercise_name": None}),
        ("movement", b"video 1", {"movement": "elbow_flexion"}),  # of a squat
        ("user_id", b"video 1", {"user_id": None}),
        ("user_id", b"video 1", {"user_id": "../../etc"}),
        ("session_name", b"video 1", {"session_name": "a\x00b"}),
        ("body_joint_angles", b"video 1", {"body_joint_angles": "wrist"}),
        ("standing", b"video 1", {"standing": "sitting"}),
        ("standing", b"video 1", {"standing": "-1"}),
        ("subject", b"video 1", {"subject": "1e9,1e9"}),
        ("rate", b"video 1", {"rate": "1_000"}),
        ("height_m", b"video 1", {"height_m": "\u0661.\u0667"}),
        ("session_nam", b"video 1", {"session_nam": "A"}),
        ("video", b"", {}),
        ("video", b"video 1", {"name": "../../squat.mp4"}),
    ):
        answer = server.upload(admin, content, path=path, **{"user_id": "wrong", **fields})
        assert answer.status_code == 400, (fields, answer.text)
        assert answer.json().keys() == {"error", "errors"}
        assert answer.json()["errors"].keys() == {field}
    # All faults are told at once.
    answer = server.ask("POST", path, admin)
    assert answer.status_code == 400
    assert answer.json()["errors"].keys() == {"user_id", "video", "exercise_name"}
    form = {"user_id": "text", "video": "text", "exercise": "Overhead Squat"}
    fault = "is text; send it as a file of multipart/form-data"
    assert server.ask("POST", path, admin, data=form).json()["errors"] == {"video": [fault]}
    answer = server.upload(admin, b"not a film", path=path, user_id="nothing")
    assert answer.status_code == 400
    assert "squat.mp4: not a video" in answer.json()["error"]
    assert str(server.store) not in answer.text
    assert visible(server.store) == before
    files = [place for place in server.store.rglob("*") if place.is_file()]
    assert not [file for file in files if b"not a film" in file.read_bytes()]


def test_the_key_may_stand_alone_or_behind_its_scheme(server, admin):
    bare = admin.removeprefix("API-KEY ")
    for scheme in ("", "API-KEY ", "api-key ", "Bearer "):
        assert server.ask("GET", "/sessions/none/", f"{scheme}{bare}").status_code == 404


@pytest.mark.parametrize(("method", "path"), [*DOCUMENTED, *(("POST", p) for p in CREATIONS)])
def test_documented_faults_of_every_endpoint(server, admin, method, path):
    unknown = path.format("none")
    for key in (None, "API-KEY mob_0123456789ab_" + "x" * 43, "nonsense", "Basic YTpi"):
        answer = server.ask(method, unknown, key)
        assert answer.status_code == 401
        assert answer.json().keys() == {"error"}
        assert answer.headers["WWW-Authenticate"] == "API-KEY"
    if "{}" in path:
        assert server.ask(method, unknown, admin).status_code == 404
        assert server.ask(method, path.format("a..b"), admin).status_code == 400
        assert server.ask(method, path.format("a b"), admin).status_code == 400
    without_slash = server.ask(method, unknown.rstrip("/"), admin)
    assert without_slash.status_code in (400, 404)
    assert server.ask("PUT", unknown, admin).status_code == 405


def test_an_unexpected_fault_is_a_500_that_says_nothing_of_the_inside(server, admin, analysed):
    session_id = analysed("broken", "p-broken")
    (server.store / session_id / "angles.nc").write_bytes(b"damaged")
    answer = server.ask("GET", f"/sessions/{session_id}/", admin)
    assert answer.status_code == 500
    assert answer.json().keys() == {"error"}
    for inside in ("Traceback", "angles.nc", str(server.store), ".py"):
        assert inside not in answer.text
    reference = answer.json()["error"].split()[-1]
    assert f"fault {reference}" in server.log.read_text()
    assert admin.split()[1] not in server.log.read_text()


def test_a_damaged_session_is_a_500_of_every_endpoint(server, admin, record_of):
    session_id = record_of("damaged", "p-damaged")
    (server.store / session_id / "session.json").write_text('{"schema_version": "1"}')
    for method, path in DOCUMENTED:
        answer = server.ask(method, path.format(session_id), admin)
        assert answer.status_code == 500
        assert answer.json().keys() == {"error"}
        assert "session.json" not in answer.text
    shutil.rmtree(server.store / session_id)  # else nobody's deletion finds everything


@pytest.mark.slow
def test_results_of_a_squat(server, admin, analysed):
    session_id = analysed("squat", "p-squat")
    threads = {}
    for what in ("recommendation", "summary"):
        path = f"/sessions/{session_id}/{what}/"
        answer = server.ask("POST", path, admin)
        assert answer.status_code == 200, answer.text
        threads[what] = answer.json()
        assert threads[what].keys() == {
            *("hip_flexion", "hip_abduction", "knee_flexion", "knee_movement"),
            *("ankle_dorsiflexion", "final_summary"),
        }
        again = server.ask("POST", path, admin, json={"system": "metric"}).json()
        assert again == threads[what]
        imperial = server.ask("POST", f"{path}?system=imperial", admin).json()
        assert imperial != threads[what]
        assert server.ask("POST", path, admin, data={"system": "imperial"}).json() == imperial
        assert server.ask("POST", f"{path}?system=nautical", admin).status_code == 400
        assert server.ask("POST", path, admin, json={"sistem": "metric"}).status_code == 400


def test_display_settings(server, admin, analysed, record_of):
    session_id = analysed("mobility", "p-mobility", exercise="joint-angle-mobility")
    path = f"/sessions/{session_id}/joint-mobility-config/"
    absent = server.ask("GET", path, admin)
    assert absent.status_code == 404
    joint = read_json(server.store / session_id / "session.json")["joints"][0]
    key = f"{joint}_angle"
    saved = server.ask("POST", path, admin, json={"shown_angles": [key]})
    assert saved.status_code == 200, saved.text
    assert saved.json() == {"shown_angles": [key], "comments": {}}
    both = server.ask("POST", path, admin, json={"comments": {key: "Range improved."}})
    assert both.json() == {"shown_angles": [key], "comments": {key: "Range improved."}}
    assert server.ask("GET", path, admin).json() == both.json()
    for body in ({"shown_angles": ["wrist_angle"]}, {"comments": {"nose": "x"}}, {"shown": []}):
        refused = server.ask("POST", path, admin, json=body)
        assert refused.status_code == 400
        assert refused.json().keys() == {"errors"}
    assert server.ask("GET", path, admin).json() == both.json()
    document = server.ask("POST", f"/sessions/{session_id}/joint-mobility/", admin)
    assert document.status_code == 200
    assert document.json()["shown_angles"] == [key]
    assert document.json()["exercise"] == "Joint Angle Mobility"
    # What a session of the other exercise has not is documented as not found.
    for method, what in (
        *(("POST", "report/"), ("GET", "summary/")),
        *(("POST", "summary/"), ("POST", "recommendation/")),
    ):
        absent = server.ask(method, f"/sessions/{session_id}/{what}", admin)
        assert absent.status_code == 404
        assert "its exercise is 'Joint Angle Mobility'" in absent.json()["error"]
    squat = f"/sessions/{record_of('a-squat', 'p-squat')}"
    assert server.ask("GET", f"{squat}/joint-mobility-config/", admin).status_code == 404
    # This one is documented as a wrong exercise.
    assert server.ask("POST", f"{squat}/joint-mobility/", admin).status_code == 400


def test_a_parameter_that_an_address_does_not_have_is_named(server, admin, record_of):
    path = f"/sessions/{record_of('asked', 'p-asked')}"
    for method, address, name, fault in (
        ("POST", f"{path}/summary/", "sytem", "is not a parameter; did you mean 'system'?"),
        ("DELETE", f"{path}/", "demo", "is not a parameter"),
        ("GET", "/sessions/", "Authorization", "is not a parameter"),
    ):
        answer = server.ask(method, f"{address}?{name}=imperial", admin)
        assert answer.status_code == 400, (address, name)
        assert answer.json()["errors"][name][0].startswith(fault), answer.text
        # Strangers are told nothing.
        assert server.ask(method, f"{address}?{name}=imperial").status_code == 401


def test_the_demo_stands_in_for_any_session(server):
    key = server.key("participant", "looks-around")
    for method, what, title in (
        ("GET", "", "Demo: Overhead Squat"),
        ("GET", "export/", None),
        ("GET", "checks/", None),
        ("POST", "report/", None),
        ("GET", "summary/", None),
        ("POST", "joint-mobility/", "Demo: Joint Angle Mobility"),
    ):
        answer = server.ask(method, f"/sessions/whatever/{what}?demo=true", key)
        assert answer.status_code == 200, answer.text
        if title:
            assert title in answer.json()["title"]
        for address, status in (
            (f"whatever/{what}?demo=false", 404),
            (f"a..b/{what}?demo=true", 400),
            (f"whatever/{what}?demo=perhaps", 400),
        ):
            assert server.ask(method, f"/sessions/{address}", key).status_code == status
        assert server.ask(method, f"/sessions/whatever/{what}?demo=true").status_code == 401


def test_videos_and_pictures_of_a_document_are_served(server):
    key = server.key("participant", "looks-around")
    details = server.ask("GET", "/sessions/x/?demo=true", key).json()
    report = server.ask("POST", "/sessions/x/report/?demo=true", key).json()
    pictures = [url for url in report["knee_movement_phases"].values() if url]
    assert len(pictures) == 3
    for url in (details["video_url"], details["analyzed_video_url"], *pictures):
        assert url.startswith(server.url)
        answer = server.ask("GET", url)
        assert answer.status_code == 200, answer.text
        kind = "image/png" if ".png" in url else "video/mp4"
        assert answer.headers["Content-Type"] == kind
    page = "/sessions/demo-overhead-squat/media/overhead-squat.html?demo=true"
    answer = server.ask("GET", page, key)
    assert answer.headers["Content-Type"].startswith("text/html")
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("sandbox allow-scripts; default-src 'none'; ")
    # No script but the viewer's, which the page itself names too.
    (script,) = re.findall("script-src ([^;]*)", policy)
    assert re.fullmatch("'sha256-[^ ]*'", script)


def test_a_still_is_made_by_a_worker_kept_beside_the_video_and_gone_with_the_session(
    server, admin, record_of
):
    session_id = record_of("with-still", "still-p")
    folder = server.store / session_id
    first, again = (server.ask("GET", f"/sessions/{session_id}/still/", admin) for _ in range(2))
    assert (first.status_code, first.headers["Content-Type"]) == (200, "image/jpeg")
    assert first.content == again.content
    assert first.content.startswith(b"\xff\xd8")
    (kept,) = folder.glob(".still*")
    assert kept.read_bytes() == first.content
    assert server.ask("DELETE", f"/sessions/{session_id}/", admin).status_code == 204
    assert not folder.exists()
    assert server.ask("GET", f"/sessions/{session_id}/still/", admin).status_code == 404


def test_the_list_has_all_that_a_list_of_people_needs(server, admin, record_of):
    created = "2026-03-11T23:30:00-05:00"
    record_of("listed-1", "listed-p", created_at=created)
    record_of("listed-2", "anonymous", created_at=created, session_name="A first try")
    Store(server.store).set_participant("listed-p", display_name="Ann Miller")
    states = {each["session_id"]: each for each in server.ask("GET", "/sessions/", admin).json()}
    told = ("name", "display_name", "visit", "verdict")
    assert [states["listed-1"][each] for each in told] == [
        *("squat.mp4", "Ann Miller", "2026-03-11", ""),
    ]
    assert [states["listed-2"][each] for each in told] == ["A first try", "anonymous", None, ""]


def test_display_settings_that_somebody_else_saved_are_not_overwritten(server, admin, analysed):
    """The tag of what is stored says which it is."""
    session_id = analysed("settings", "p-settings", exercise="joint-angle-mobility")
    path = f"/sessions/{session_id}/joint-mobility-config/"
    with Client(server.url, admin.removeprefix("API-KEY ")) as client:
        with pytest.raises(BadInputError) as caught:
            client.save_config(session_id, shown_angles=["knee_angle"])
        assert "shown_angles" in caught.value.fields
        with pytest.raises(NotFoundError):
            client.stored_config(session_id)
        for shown in (["elbow_angle"], ["right_elbow_angle"]):
            client.save_config(session_id, shown_angles=shown, comments={"elbow_angle": "Straight"})
        stored = client.stored_config(session_id)
        assert (stored.shown_angles, stored.revision) == (["right_elbow_angle"], 2)
        assert server.ask("GET", path, admin).headers["ETag"] == '"2"'
        body = {"shown_angles": []}
        for tag, status in (('"1"', 409), ('"3"', 409), ("*", 409), ("2", 409), ('W/"2"', 200)):
            answer = server.ask("POST", path, admin, json=body, headers={"If-Match": tag})
            assert answer.status_code == status, (tag, answer.text)
        with pytest.raises(ConflictError):
            client.save_config(session_id, shown_angles=[], revision=1)
        assert client.save_config(session_id, comments={}).comments == {}
