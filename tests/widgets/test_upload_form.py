"""Taking films in: field by field, part by part, and nothing left behind."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from other_processes import wait_for

from mobility import tables
from mobility.assessment.movements import how_to_film
from mobility.catalogue.registry import names
from mobility.sessions.record import ANONYMOUS, now
from mobility.widgets import UploadForm, upload_form

GOOD = {
    "user_id": "p01",
    "exercise_name": "Overhead Squat",
    "session_name": None,
    "body_joint_angles": ["knee", "hip"],
}


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch) -> Path:
    """Where the uploads wait."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


@pytest.fixture
def form(store):
    return UploadForm(store)


@pytest.fixture
def clip(tmp_path, clips) -> bytes:
    return clips.make_clip(tmp_path / "clip.mp4", 30).read_bytes()


PERSON = ("user_id", "age", "sex", "height_m", "date")
"""Fields of the participant; all others are of a film."""


def asked_for(name, sizes, fields):
    """What the page asks for one film and, where there are two sizes, that of a second camera."""
    fields = {**GOOD, **fields}
    person = {key: fields.pop(key) for key in PERSON if key in fields}
    second = {"name": "b.mp4", "size": sizes[1]} if len(sizes) > 1 else None
    film = {"name": name, "size": sizes[0], "second": second, "fields": fields}
    return {"films": [film], "person": person}


def send_parts(form, ask, messages, *contents):
    """Do what the page does until nothing more is wanted; `contents` of each film in turn."""
    while True:
        form.wait(20)
        if not messages or messages[-1]["kind"] != "send":
            return messages
        wanted = messages[-1]
        content = contents[wanted["film"]][wanted["which"]]
        part = content[wanted["offset"] : wanted["offset"] + wanted["bytes"]]
        ask(form, "part", upload=wanted["upload"], offset=wanted["offset"], buffers=(part,))


def upload(form, ask, sent, *contents: bytes, name="squat.mp4", size=None, **fields) -> list[dict]:
    """Add a film, with that of a second camera where there are two."""
    messages = sent(form)
    sizes = [len(content) if size is None else size for content in contents]
    ask(form, "begin", **asked_for(name, sizes, fields))
    return send_parts(form, ask, messages, contents)


def test_several_films_are_sessions_of_one_participant_and_a_broken_one_stops_no_other(
    form, store, ask, sent, clip, clips, tmp_path, temporary
):
    other = clips.make_clip(tmp_path / "other.mp4", 20).read_bytes()
    store.set_participant("p02", display_name="Ann Miller", sex="female")
    form = UploadForm(store)
    assert form.participants == [{"id": "p02", "name": "Ann Miller", "lacks": ["age"]}]
    named = {"a.mov": clip, "broken.mov": b"no video" * 99, "b.mov": other}
    exercises = ("Overhead Squat", "Squat", "Sit-to-Stand")
    heard, messages = [], sent(form)
    form.on_created(lambda session: heard.append(session.record.exercise))
    films = [
        {"name": name, "size": len(content), "fields": {**GOOD, "exercise_name": exercise}}
        for (name, content), exercise in zip(named.items(), exercises, strict=True)
    ]
    for film in films:
        del film["fields"]["user_id"]
    # The participant may be called by the name, and nothing else has to be said.
    ask(form, "begin", films=films, person={"user_id": "ann miller", "height_m": "1.66"})
    send_parts(form, ask, messages, *([content] for content in named.values()))
    assert heard == ["Overhead Squat", "Sit-to-Stand"]
    made = {each.record.name: each for each in store.sessions()}
    assert set(made) == {"a.mov", "b.mov"}
    assert {each.record.user_id for each in made.values()} == {"p02"}
    # Both are added in one second, so their order in the store is not told by it.
    assert [made[name].video.read_bytes() for name in ("a.mov", "b.mov")] == [clip, other]
    assert store.participant("p02")["height_m"] == 1.66
    assert list(form.errors) == ["video-1"]
    kinds = [(each["kind"], each.get("film")) for each in messages if each["kind"] != "send"]
    assert kinds == [
        *(("received", None), ("created", 0), ("received", None), ("refused", 1)),
        *(("received", None), ("created", 2), ("ended", None)),
    ]
    assert list(temporary.iterdir()) == []


def test_a_film_and_its_exercise_are_enough(form, store, ask, sent, clip):
    messages = sent(form)
    films = [{"name": "IMG_1.MOV", "size": len(clip), "fields": {"exercise_name": "Squat"}}]
    films[0]["fields"]["body_joint_angles"] = ["all"]  # as the page sends it
    ask(form, "begin", films=films, person={"user_id": "", "age": None})
    send_parts(form, ask, messages, [clip])
    (session,) = store.sessions()
    assert session.record.user_id == ANONYMOUS
    assert (session.record.name, session.record.visit_day) == ("IMG_1.MOV", None)
    assert form.notice == {"kind": "done", "text": "IMG_1.MOV is added"}
    assert form.participants == []


def begun(form, ask, clip, page):
    """Begin to send two films from a page, of which nothing arrives but one part of the first."""
    fields = {"exercise_name": "Squat", "body_joint_angles": ["all"]}
    films = [{"name": name, "size": len(clip), "fields": fields} for name in ("a.mp4", "b.mp4")]
    ask(form, "begin", films=films, person={"user_id": ""}, page=page)


def test_films_of_a_page_that_is_closed_are_named_and_the_form_is_free_at_once(
    form, store, ask, sent, clip, temporary
):
    messages = sent(form)
    begun(form, ask, clip, "one")
    ask(form, "part", upload=messages[-1]["upload"], offset=0, buffers=(clip[:99],))
    ask(form, "left", page="another")
    assert form.sending == {"page": "one", "names": ["a.mp4", "b.mp4"]}
    ask(form, "left", page="one")
    assert form.notice["kind"] == "error"
    assert "a.mp4 and b.mp4" in form.notice["text"]
    assert form.sending == {}
    assert list(temporary.iterdir()) == []
    ask(form, "here", page="two")
    assert "a.mp4" in form.notice["text"]  # the reloaded page shows it
    upload(form, ask, sent, clip)
    assert len(store.sessions()) == 1


def test_a_page_that_vanished_without_a_word_is_missed_by_the_next_and_a_living_one_is_not(
    form, ask, sent, clip, temporary, monkeypatch
):
    monkeypatch.setattr(upload_form, "SILENT_S", {"open": 0.05, "notebook": 0.05})
    messages = sent(form)
    begun(form, ask, clip, "one")
    ask(form, "here", page="two")
    assert messages[-1]["kind"] == "alive"
    ask(form, "alive", page="one")
    time.sleep(0.3)
    assert form.sending["page"] == "one"
    begun(form, ask, clip, "two")
    assert "choose Cancel" in form.notice["text"]
    wait_for(lambda: not form.sending, seconds=20)
    assert "a.mp4" in form.notice["text"]
    begun(form, ask, clip, "two")
    assert form.sending["page"] == "two"
    ask(form, "cancel")  # from any page
    assert messages[-1]["kind"] == "cancelled"
    assert list(temporary.iterdir()) == []


def test_a_page_that_vanished_without_a_word_is_missed_although_no_other_comes(
    form, ask, sent, clip, temporary, monkeypatch
):
    monkeypatch.setattr(upload_form, "SILENT_S", {"open": 0.02, "notebook": 0.02})
    messages = sent(form)
    begun(form, ask, clip, "one")
    wait_for(lambda: not form.sending, seconds=20)
    assert "alive" in {message["kind"] for message in messages}
    assert "Not added: a.mp4 and b.mp4" in form.notice["text"]
    assert list(temporary.iterdir()) == []


def test_films_of_last_week_have_the_date_that_is_given(form, store, ask, sent, clip):
    upload(form, ask, sent, clip, date="2025-03-01")
    assert f"{store.sessions()[0].record.visit_day}" == "2025-03-01"
    upload(form, ask, sent, clip, date="2999-03-01")
    assert "is in the future" in form.errors["date"][0]
    assert len(store.sessions()) == 1


def test_every_exercise_is_chosen_by_its_drawing(form):
    drawn = {each["name"]: each["drawing"] for each in form.exercises}
    assert list(drawn) == list(names())
    for name, drawing in drawn.items():
        assert 'id="seen"' in drawing, name  # the part of it that the form shows


def test_a_second_video_the_height_and_the_person_are_kept(
    form, store, ask, sent, clip, clips, tmp_path, temporary, monkeypatch
):
    monkeypatch.setattr(upload_form, "PART_BYTES", 1000)
    upload(form, ask, sent, clip, clip)  # the same twice is told at the second
    (fault,) = form.errors["second_video-0"]
    assert "is the same as the first" in fault
    assert str(temporary) not in fault
    assert store.sessions() == []
    other = clips.make_clip(tmp_path / "other.mp4", 20).read_bytes()
    messages = upload(
        form, ask, sent, clip, other, height_m="1,72", subject="30, 40", standing="free"
    )
    assert form.notice["kind"] == "done", form.notice
    order = [message["which"] for message in messages if message["kind"] == "send"]
    assert order == sorted(order)
    assert set(order) == {0, 1}
    (session,) = store.sessions()
    assert (session.video.read_bytes(), session.second_video.read_bytes()) == (clip, other)
    assert session.participant.height_m == 1.72
    assert session.record.options == {"subject": [30.0, 40.0], "standing": "free"}
    assert list(temporary.iterdir()) == []


def test_age_and_sex_go_into_a_record_that_lacks_them_and_a_record_that_differs_is_said(
    form, store, ask, sent, clip
):
    upload(form, ask, sent, clip, age="34", sex="female")
    assert form.notice["kind"] == "done", form.notice
    assert store.participant("p01") == {"user_id": "p01", "sex": "female", "age": 34}
    # Not where they may be somebody else's, and before a byte is sent.
    store.set_participant("p02", sex="male", birth_year=now().year - 40)
    for fields, words in (
        ({"sex": "male"}, "has another value (female); if it is the same person, leave this empty"),
        ({"age": "60"}, "mobility participants set p01 --age"),
        ({"age": "3_4"}, "must be a number"),
        ({"sex": "man"}, "'female' or 'male'"),
        ({"age": "34", "user_id": "p02"}, "the record of p02 has another value (40)"),
    ):
        assert upload(form, ask, sent, clip, **fields) == []
        (name, *_) = fields
        assert list(form.errors) == [name]
        assert words in form.errors[name][0]
        assert form.notice["text"] == "Not saved. See the messages next to the fields"
    # Nobody named has no record that could keep them.
    assert upload(form, ask, sent, clip, user_id="", age="34") == []
    assert list(form.errors) == ["user_id"]
    upload(form, ask, sent, clip, age="39", sex="male", user_id="p02")
    assert form.notice["kind"] == "done", form.notice
    assert store.participant("p02")["birth_year"] == now().year - 40
    store.delete(form.created)
    assert form.session is None


def test_a_video_becomes_a_session(form, store, ask, sent, clip, monkeypatch, temporary):
    monkeypatch.setattr(upload_form, "PART_BYTES", 1000)
    heard = []
    form.on_created(heard.append)
    messages = upload(form, ask, sent, clip, session_name="Ann's squat")
    assert len([m for m in messages if m["kind"] == "send"]) == -(-len(clip) // 1000) > 2
    assert form.notice["kind"] == "done", form.notice
    (session,) = store.sessions()
    assert session.video.read_bytes() == clip
    record = session.record
    assert (record.user_id, record.joints, session.title) == ("p01", ["knee", "hip"], "Ann's squat")
    assert record.video.original_name == "squat.mp4"
    assert form.created == session.id == heard[0].id == form.session.id
    assert form.participants == [{"id": "p01", "name": "", "lacks": ["age", "sex"]}]
    assert form.notice["text"] == "Ann's squat is added"
    assert list(temporary.iterdir()) == []


def test_all_faults_before_a_byte_is_sent(form, store, ask, sent):
    wrong = {"user_id": "../p", "exercise_name": "Overhead Squad", "body_joint_angles": ["knees"]}
    assert upload(form, ask, sent, b"", name="", **wrong) == []
    names = {"video-0", "user_id", "exercise_name-0", "body_joint_angles-0"}
    assert set(form.errors) == names
    assert form.errors["video-0"] == ["choose a video"]
    assert "did you mean 'Overhead Squat'?" in form.errors["exercise_name-0"][0]
    ask(form, "begin", films=[], person={})
    assert form.errors == {"video": ["choose a video"]}
    assert upload(form, ask, sent, b"abc", exercise_name="") == []
    assert form.errors == {"exercise_name-0": ["choose the exercise"]}
    for field, given, words in (
        ("height_m", "172", "must be from 0.5 to 2.6 metres"),
        ("standing", "fre", "did you mean 'free'?"),
        ("subject", "30", "must be two numbers"),
        ("body_joint_angles", [], ""),
    ):
        assert upload(form, ask, sent, b"abc", **{field: given}) == []
        (name,) = form.errors
        assert name == (field if field == "height_m" else f"{field}-0")
        assert words in form.errors[name][0]
    small = UploadForm(store, most_bytes=1_000_000)
    assert upload(small, ask, sent, b"", size=2_500_000) == []
    assert "has 2.5 MB, but at most 1.0 MB" in small.errors["video-0"][0]
    store.read_only = True  # as the demo
    assert upload(form, ask, sent, b"abc") == []
    assert "cannot be changed" in form.notice["text"]
    assert not store.path.exists()


def test_a_movement_shows_how_it_is_filmed_and_is_kept(form, store, ask, sent, clip):
    shown = {each["name"]: each for each in form.movements}
    assert list(shown) == list(tables.load("movements"))
    neck = shown["neck_lateral_flexion"]
    assert neck["film"] == how_to_film("neck_lateral_flexion").sentence
    assert "<svg" in neck["drawing"]
    mobility = {"exercise_name": "Joint Angle Mobility", "body_joint_angles": ["all"]}
    upload(form, ask, sent, clip, movement="neck_lateral_flexion", **mobility)
    (session,) = store.sessions()
    assert session.record.joints == ["neck"]
    assert session.record.movement == "neck_lateral_flexion"
    upload(form, ask, sent, clip, movement="neck_lateral_flexion")  # of a squat
    assert set(form.errors) == {"movement-0"}


def test_a_wrong_name_or_a_broken_video_is_said_beside_its_field(
    form, store, ask, sent, clip, temporary
):
    for name in ("a/b.mp4", "..", "a\x00.mp4", "x" * 300):  # none leads out of the folder
        upload(form, ask, sent, clip, name=name)
        assert "video-0" in form.errors, name
    for content in (b"this is no video" * 100, b"\x00" * 5000):
        upload(form, ask, sent, content)
        assert "squat.mp4" in form.errors["video-0"][0]
        assert str(temporary) not in form.errors["video-0"][0]
        assert form.notice["kind"] == "error"
    assert store.sessions() == []
    assert list(temporary.iterdir()) == []


def test_parts_out_of_order_more_than_was_said_and_a_full_disk(
    form, ask, sent, clip, temporary, monkeypatch
):
    def full(*_, **__):
        raise OSError(28, os.strerror(28))

    messages = sent(form)
    for size, offset, part, words in (
        (len(clip), 10, clip[10:20], "a part is missing"),
        (5, 0, b"123456", ""),
        (len(clip), 0, clip, "the disk is full"),
    ):
        ask(form, "begin", **asked_for("a.mp4", [size], {}))
        with monkeypatch.context() as disk:
            if "disk" in words:
                disk.setattr(upload_form, "open_private", full)
            ask(form, "part", upload=messages[-1]["upload"], offset=offset, buffers=(part,))
        assert form.notice["kind"] == "error"
        assert words in form.notice["text"]
        assert messages[-1]["kind"] == "received"
        assert list(temporary.iterdir()) == []


def test_a_cancelled_upload_leaves_nothing(form, ask, sent, clip, temporary):
    messages = sent(form)
    ask(form, "begin", **asked_for("a.mp4", [len(clip)], {}))
    ask(form, "part", upload=messages[0]["upload"], offset=0, buffers=(clip[:100],))
    assert list(temporary.iterdir())
    ask(form, "begin", **asked_for("b.mp4", [len(clip)], {}))
    assert "being added" in form.notice["text"]
    ask(form, "cancel")
    assert list(temporary.iterdir()) == []
    # What is still on its way comes to nothing.
    ask(form, "part", upload=messages[0]["upload"], offset=100, buffers=(clip[100:],))
    assert form.notice.get("kind", "") == ""
    assert form.created == ""
    ask(form, "begin", **asked_for("a.mp4", [len(clip)], {}))
    form.close()
    assert list(temporary.iterdir()) == []
