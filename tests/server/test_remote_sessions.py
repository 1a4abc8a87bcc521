"""The editor of display settings and the viewer of a trial, on sessions of a server."""

from __future__ import annotations

import json
import shutil

import httpx
import numpy as np
import pytest

from mobility.client import Client
from mobility.errors import BadInputError, ConflictError, NotFoundError, StorageError
from mobility.exercises.joint_angle_mobility.joint_values import ANGLE_OF_JOINT
from mobility.reports import figures
from mobility.store import Store
from mobility.widgets import ConfigEditor, TrialViewer
from mobility.widgets.remote import RemoteStore


@pytest.fixture
def key(server):
    return server.key("professional", "looks-from-afar").split()[1]


@pytest.fixture
def remote(server, key):
    with Client(server.url, key) as client:
        yield RemoteStore(client)


@pytest.fixture
def elbows(analysed, server, request):
    name = f"elbows-{request.node.name[5:50]}"
    session_id = analysed(name, "p-afar", exercise="joint-angle-mobility")
    return Store(server.store, reports=server.reports).session(session_id)


@pytest.fixture(scope="module")
def squat(analysed, server):
    """One that no test changes."""
    return Store(server.store, reports=server.reports).session(analysed("afar-squat", "p-afar"))


def asked(widget, what, **content):
    """What the widget sends when its page asks for something."""
    messages = []
    widget.send = lambda content, buffers=None: messages.append((content, buffers or []))
    widget._handle_custom_msg({"do": what, **content}, [])
    return messages


def get(url, method="GET", **headers):
    """Status, headers and body."""
    answer = httpx.request(method, url, headers=headers, verify=False, trust_env=False, timeout=60)
    return answer.status_code, answer.headers, answer.content


def test_display_settings_are_read_and_saved(server, admin, remote, elbows, squat):
    editor, other = (ConfigEditor(remote.session(elbows.id)) for _ in range(2))
    local = ConfigEditor(elbows)
    assert (editor.angles, editor.title) == (local.angles, local.title)
    assert (editor.shown, editor.revision) == ([], 0)
    # What the server refuses stands at its field.
    editor.shown = ["knee_angle"]
    asked(editor, "save")
    assert editor.notice["kind"] == "error"
    assert "shown_angles" in editor.errors
    assert elbows.stored_config() is None
    editor.shown = ["right_elbow_angle", "elbow_angle"]
    editor.comments = {"elbow_angle": "Straight."}
    asked(editor, "save")
    assert editor.notice["kind"] == "done", editor.notice
    stored = elbows.stored_config()
    assert stored.shown_angles == ["right_elbow_angle", "elbow_angle"]
    assert stored.comments == {"elbow_angle": "Straight."}
    assert editor.revision == stored.revision == 1
    # What the other editor has not seen is not overwritten unasked.
    other.shown = ["shoulder_angle"]
    asked(other, "save")
    assert other.notice["kind"] == "conflict"
    assert "somebody else has saved them" in other.notice["text"]
    assert (other.shown, other.unsaved) == (["shoulder_angle"], True)
    assert elbows.config()["shown_angles"] == ["right_elbow_angle", "elbow_angle"]
    asked(other, "save", force=True)
    assert elbows.config()["shown_angles"] == ["shoulder_angle"]
    asked(editor, "reload")
    assert (editor.shown, editor.revision) == (["shoulder_angle"], 2)
    # The tag of what is stored says which it is.
    path = f"/sessions/{elbows.id}/joint-mobility-config/"
    body = {"shown_angles": []}
    assert server.ask("GET", path, admin).headers["ETag"] == '"2"'
    for tag, status in (('"1"', 409), ('"3"', 409), ("*", 409), ("2", 409), ('W/"2"', 200)):
        answer = server.ask("POST", path, admin, json=body, headers={"If-Match": tag})
        assert answer.status_code == status, (tag, answer.text)
    with pytest.raises(ConflictError):
        remote.client.save_config(elbows.id, shown_angles=[], revision=1)
    assert remote.client.save_config(elbows.id, shown_angles=[]).shown_angles == []
    with pytest.raises(BadInputError, match="Overhead Squat"):
        ConfigEditor(remote.session(squat.id))
    session = remote.session(elbows.id)
    shutil.rmtree(elbows.folder)
    with pytest.raises(NotFoundError, match="does not exist"):
        session.stored_config()


def test_curves_of_the_editor_are_those_of_the_store(remote, elbows):
    ((seen, _),) = asked(ConfigEditor(remote.session(elbows.id)), "curves")
    ((truth, _),) = asked(ConfigEditor(elbows), "curves")
    assert seen["time"] == pytest.approx(truth["time"], abs=1e-3)
    assert seen["of"].keys() == truth["of"].keys()
    numbers_seen = 0
    for joint, sides in truth["of"].items():
        for side, values in sides.items():
            served = seen["of"][joint][side]
            assert [v is None for v in served] == [v is None for v in values]
            numbers = [v for v in values if v is not None]
            assert [v for v in served if v is not None] == pytest.approx(numbers, abs=0.11)
            numbers_seen += len(numbers)
    assert numbers_seen


@pytest.fixture
def drawn(monkeypatch):
    """What is drawn of still pictures: angles and repetitions; drawing itself takes long."""
    drawings = []

    def draw(angles, repetitions, *, names, **_):
        assert all(angles[name].notnull().any() for name in names)
        drawings.append((list(names), repetitions))

    monkeypatch.setattr(figures, "angle_curves", draw)
    monkeypatch.setattr(figures, "png", lambda *_, **__: b"picture")
    return drawings


def test_a_session_that_waits_has_settings_but_no_curves(remote, server, admin):
    fields = {"exercise_name": "Joint Angle Mobility", "body_joint_angles": "knee"}
    made = server.upload(admin, user_id="p-waits", **fields).json()["session_id"]
    editor = ConfigEditor(remote.session(made))
    assert editor.angles[0]["key"] == "knee_angle"
    assert asked(editor, "curves") == []
    assert "anal" in editor.without_curves
    assert "Knee, both sides" in editor.static_html()
    with pytest.raises(NotFoundError, match="anal"):
        TrialViewer(remote.session(made))


def test_landmarks_and_curves_of_the_viewer(remote, squat):
    viewer = TrialViewer(remote.session(squat.id))
    ((trial, buffers),) = asked(viewer, "load")
    pose, angles = squat.pose(), squat.angles()
    n = angles.sizes["time"]
    assert trial["time"] == pytest.approx(angles["time"].values, abs=1e-5)
    image, visible, body, *curves = buffers
    person = pose.isel(individual=0).sel(keypoint=trial["points"])
    truth = person["image_position"].transpose("time", "keypoint", "pixel").values
    seen = np.frombuffer(image, np.float32).reshape(truth.shape)
    assert len(trial["points"]) == 33
    assert seen == pytest.approx(truth, abs=0.01, nan_ok=True)
    assert np.frombuffer(visible, np.uint8).sum() > 20 * n
    named = [curve["name"] for curve in trial["curves"]]
    assert set(named) == {ANGLE_OF_JOINT[joint] for joint in squat.record.joints}
    for curve, buffer in zip(trial["curves"], curves, strict=True):
        value, sd = np.frombuffer(buffer, np.float32).reshape(2, n)
        truth = angles[curve["name"]].sel(side=curve["side"]).values
        assert value == pytest.approx(truth, abs=0.006, nan_ok=True)
        assert np.isnan(sd).all()
        assert curve["units"] == "°"
    # What the interface does not have is said.
    assert (trial["body_points"], len(body), trial["width"]) == ([], 0, 0)
    assert (viewer.repetitions, viewer.can_correct, viewer.by_hand) == ([], False, False)
    assert viewer.not_served
    asked(viewer, "save", intervals=[])
    assert "is on a server; correct its" in viewer.notice["text"]
    assert squat.edits().edits == []


def test_the_video_comes_from_the_server_or_through_the_kernel(remote, squat):
    viewer = TrialViewer(remote.session(squat.id))
    page = {"base": "/lab/", "root": "/"}
    for annotated, file in ((False, squat.video), (True, squat.annotated_video)):
        content = file.read_bytes()
        ((message, _),) = asked(viewer, "video", page=page, annotated=annotated)
        assert "media_key=" in message["url"]
        local = {**page, "local": True}
        ((near, _),) = asked(viewer, "video", page=local, annotated=annotated)
        assert near["url"].startswith("http://127.0.0.1:")
        assert "media_key" not in near["url"]
        ((again, _),) = asked(viewer, "video", page=local, annotated=annotated)
        assert again["url"] == near["url"]
        for url in (message["url"], near["url"]):
            status, headers, body = get(url)
            assert (status, body) == (200, content)
            assert headers["Content-Type"] == "video/mp4"
            assert headers["Accept-Ranges"] == "bytes"
            status, headers, body = get(url, Range="bytes=10-19")
            assert (status, body) == (206, content[10:20])
            assert headers["Content-Range"] == f"bytes 10-19/{len(content)}"
            assert get(url, Range="bytes=-5")[2] == content[-5:]
            assert get(url, Range=f"bytes={len(content)}-")[0] == 416
        assert get(near["url"], Host="evil.example")[0] == 404
        assert get(f"{near['url']}x")[0] == 404
    remote.client.close()
    assert get(near["url"])[0] == 502
    assert asked(viewer, "video", page={}) == []
    assert "this client is closed" in viewer.notice["text"]
    with pytest.raises(StorageError, match="make another"):
        remote.client.download(message["url"], squat.folder / "none.mp4")


def test_without_signed_addresses_the_kernel_is_asked(remote, analysed, server, monkeypatch):
    squat = Store(server.store).session(analysed("unsigned", "p-afar"))
    details = remote.client.details(squat.id)
    plain = details.model_copy(update={"video_url": details.video_url.partition("?")[0]})
    monkeypatch.setattr(remote.client, "details", lambda _: plain)
    viewer = TrialViewer(remote.session(squat.id))
    ((message, _),) = asked(viewer, "video", page={"base": "/", "root": "/"})
    assert message["url"].startswith("http://127.0.0.1:")
    assert get(message["url"], Range="bytes=0-3")[2] == squat.video.read_bytes()[:4]
    squat.video.unlink()
    assert get(message["url"])[0] == 502


def test_the_key_never_reaches_the_page(remote, squat, elbows, key, drawn, monkeypatch, caplog):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda data, **_: shown.append(data))
    for widget in (TrialViewer(remote.session(squat.id)), ConfigEditor(remote.session(elbows.id))):
        for ask in ("load", "curves", "save"):
            shown += [content for content, _ in asked(widget, ask)]
        for local in (False, True):
            shown += [content for content, _ in asked(widget, "video", page={"local": local})]
        widget._ipython_display_()
        shown.append({name: repr(value) for name, value in widget.get_state().items()})
        shown.append(repr(widget) + repr(widget.session))
    text = json.dumps(shown, default=repr) + caplog.text
    assert "http://127.0.0.1:" in text
    assert key not in text
    assert key.removeprefix("mob_") not in text
