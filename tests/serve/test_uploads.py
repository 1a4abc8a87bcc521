"""Bodies of requests, byte by byte."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mobility.errors import BadInputError, TooLargeError
from mobility.serve.uploads import Upload, read_form, read_json_body

KIND = "multipart/form-data; boundary=edge"
FORM = "application/x-www-form-urlencoded"
"""12 in the digits of another script, which Python's float takes."""


def part(name, content, filename=None, head=b""):
    file = f'; filename="{filename}"' if filename is not None else ""
    first = f'--edge\r\nContent-Disposition: form-data; name="{name}"{file}\r\n'.encode()
    return first + head + b"\r\n" + content + b"\r\n"


BODY = (
    part("user_id", b"p01")
    + part("video", b"video\r\n--edg\r\n--edg", "squat.mp4")
    + part("exercise_name", b"Overhead Squat")
    + b"--edge--\r\n"
)
FIELDS = {
    **{"user_id": "p01", "exercise_name": "Overhead Squat", "session_name": None},
    **{"body_joint_angles": ["all"], "movement": None, "options": {}},
}


def upload(folder, kind=KIND, most_bytes=1000):
    return Upload(kind, folder=folder, most_bytes=most_bytes, before_file=lambda: None)


def take_whole(folder, body, kind=KIND):
    taken = upload(folder, kind)
    try:
        taken.take(body)
        return taken.finish(default_id="p01", for_others=False)
    finally:
        taken.close()


@pytest.mark.parametrize("size", [1, 2, 7, 64, 10_000])
def test_a_body_may_come_in_pieces_of_any_size(tmp_path, size):
    # Also within a letter.
    body = part("session_name", "Übung 深蹲".encode()) + BODY
    taken = upload(tmp_path / "made")
    before = body.index(b'name="video"')
    taken.take(body[:before])
    # Nothing is written before the video begins.
    assert not (tmp_path / "made").exists()
    for start in range(before, len(body), size):
        taken.take(body[start : start + size])
    fields = taken.finish(default_id=None, for_others=True)
    assert fields == {**FIELDS, "session_name": "Übung 深蹲"}
    assert taken.video.read_bytes() == b"video\r\n--edg\r\n--edg"
    assert taken.video.name == "squat.mp4"
    taken.close()
    assert not list((tmp_path / "made").iterdir())


@pytest.mark.parametrize(
    ("name", "given", "taken"),
    [
        ("standing", "free", "free"),
        ("standing", "", None),
        ("standing", "fre", "did you mean 'free'"),
        ("subject", "12.5,40", (12.5, 40.0)),
        ("rate", "all", "all"),
        ("height_m", "1,72", 1.72),
        ("blur_face", "true", True),
        ("subject", "12", "must be two numbers, x and y in pixels"),
        ("model", "/etc/passwd", "input should be 'auto', 'full', 'heavy' or 'both'"),
        ("movement", "knee_flexion", "not to Overhead Squat"),
        ("model", "heavy", "download it once with 'mobility models --model heavy'"),
    ],
)
def test_options_of_the_analysis_are_those_of_the_command(
    tmp_path, monkeypatch, name, given, taken
):
    monkeypatch.setattr("mobility.capture.models.cache_folder", lambda: tmp_path / "models")
    body = part(name, given.encode()) + BODY
    if isinstance(taken, str) and taken != given:
        with pytest.raises(BadInputError) as refused:
            take_whole(tmp_path, body)
        assert taken in refused.value.fields[name][0]
    else:
        options = take_whole(tmp_path, body)["options"]
        assert options == ({} if taken is None else {name: taken})


def test_a_movement_says_its_exercise(tmp_path):
    exercise = part("exercise_name", b"Overhead Squat")
    body = part("movement", b"knee_flexion") + BODY.replace(exercise, b"")
    taken = take_whole(tmp_path, body)
    assert (taken["exercise_name"], taken["movement"]) == (None, "knee_flexion")


def test_a_video_is_no_larger_than_it_may_be(tmp_path):
    for size in (1000, 1001):
        taken = upload(tmp_path)
        body = part("video", b"v" * size, "a.mp4")
        taken.take(body[:700])
        if size == 1000:
            taken.take(body[700:])
        else:
            with pytest.raises(TooLargeError, match=r"0\.001 MB"):
                taken.take(body[700:])
        taken.close()


@pytest.mark.parametrize(
    ("body", "kind", "error"),
    [
        (BODY[:-10], KIND, BadInputError),
        (b"", KIND, BadInputError),
        (b"nonsense", KIND, BadInputError),
        (part("video", b"v", "a.mp4") * 2, KIND, BadInputError),
        (part("user_id", b"\xff\xfe"), KIND, BadInputError),
        (part("session_name", b"\xc3") + BODY, KIND, BadInputError),
        # No disk takes such a name.
        (part("video", b"video", f"{'ä' * 150}.mp4") + b"--edge--\r\n", KIND, BadInputError),
        (part("user_id", b"u" * 70_000), KIND, TooLargeError),
        (part("user_id", b"p", head=b"X: " + b"h" * 9000 + b"\r\n"), KIND, BadInputError),
        (part("user_id", b"p", head=b"X: y\r\n" * 20), KIND, BadInputError),
        (part("user_id", b"p") * 40 + b"--edge--", KIND, BadInputError),
        (BODY, "multipart/form-data", BadInputError),
        (BODY, "multipart/mixed; boundary=edge", BadInputError),
        (BODY, "multipart/form-data; boundary*=utf-8''edge", BadInputError),
        (b"a" * (2 << 20), FORM, TooLargeError),
        (b"a=1&" * 1000, FORM, BadInputError),
        (b'{"user_id": 1}', "application/json", BadInputError),
        (b"[1]", "application/json", BadInputError),
    ],
)
def test_what_is_no_such_body_is_refused(tmp_path, body, kind, error):
    with pytest.raises(error):
        take_whole(tmp_path, body, kind)
    assert not list(tmp_path.iterdir())


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.binary(max_size=200), st.integers(0, len(BODY)), st.integers(0, 40))
@example(b"\r\n--edge--", 60, 5)
def test_no_body_raises_anything_but_our_own_errors(tmp_path, noise, place, cut):
    with suppress(BadInputError, TooLargeError):
        fields = take_whole(tmp_path, BODY[:place] + noise + BODY[place + cut :])
        assert set(fields) == set(FIELDS)
    assert not list(tmp_path.iterdir())


def test_json_that_is_none_or_abuse_is_refused():
    for value in (None, True, 1, 1.5, "text", [], {}, [[{"a": [None]}]]):
        assert read_json_body(json.dumps(value).encode()) == value
    for body in (
        *(b"{", b"[" * 100_000, b"[" * 100 + b"]" * 100, b'{"a": NaN}', b'{"a": 1, "a": 2}'),
        *(b"1" * 10_000, b"\xff", b'"\\ud800', b"{}x"),
    ):
        with pytest.raises(BadInputError, match="not valid JSON"):
            read_json_body(body)


def test_forms_and_json_give_the_same_texts():
    expected = {"system": ["metric"], "x": ["a", "b"]}
    assert read_form(FORM, b"system=metric&x=a&x=b") == expected
    body = json.dumps({"system": "metric", "x": ["a", "b"]}).encode()
    assert read_form("application/json", body) == expected
    assert read_form("", b"") == {}


def test_keypoints_come_with_their_video(tmp_path):
    body = part("keypoints", b"frame,point", "walk.csv") + part("keypoints_model", b"HRNet") + BODY
    taken = upload(tmp_path / "made")
    taken.take(body)
    fields = taken.finish(default_id=None, for_others=True)
    sent = taken.files["keypoints"]
    assert fields == {**FIELDS, "keypoints": str(sent), "keypoints_model": "HRNet"}
    assert sent.read_bytes() == b"frame,point"
    assert taken.video.read_bytes() == b"video\r\n--edg\r\n--edg"
    taken.close()
    assert not list((tmp_path / "made").iterdir())
    for wrong, field, fault in (
        (part("keypoints", b"text"), "keypoints", "is text; send it as a file"),
        (part("keypoints", b"", "walk.csv"), "keypoints", "walk.csv: is empty"),
        (part("keypoints", b"k", "walk.html"), "keypoints", "is not a file name of keypoints"),
        (part("keypoints", b"k", "a.csv") * 2, "keypoints", "is given twice"),
        (part("keypoints_model", b"HRNet"), "keypoints_model", "the model of keypoints; send"),
    ):
        with pytest.raises(BadInputError) as refused:
            take_whole(tmp_path, wrong + BODY)
        assert fault in refused.value.fields[field][0]
    assert not [each for each in tmp_path.rglob("*") if each.is_file()]
