"""Bodies of requests, byte by byte."""

from __future__ import annotations

import json
import time
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mobility.errors import BadInputError, FieldError, TooLargeError
from mobility.server.uploads import Upload, read_form, read_json_body

KIND = "multipart/form-data; boundary=edge"


def part(name, content, filename=None, head=b""):
    file = f'; filename="{filename}"' if filename is not None else ""
    return (
        f'--edge\r\nContent-Disposition: form-data; name="{name}"{file}\r\n'.encode()
        + head
        + b"\r\n"
        + content
        + b"\r\n"
    )


BODY = (
    part("user_id", b"p01")
    + part("video", b"video\r\n--edg\r\n--edg", "squat.mp4")
    + part("exercise_name", b"Overhead Squat")
    + b"--edge--\r\n"
)


def upload(folder, kind=KIND, most_bytes=1000):
    return Upload(kind, folder=folder, most_bytes=most_bytes, before_file=lambda: None)


def take_whole(folder, body, kind=KIND):
    taken = upload(folder, kind)
    try:
        taken.take(body)
        return taken.finish(own_id="p01", for_others=False)
    finally:
        taken.close()


@pytest.mark.parametrize("size", [1, 2, 7, 64, 10_000])
def test_a_body_may_come_in_pieces_of_any_size(tmp_path, size):
    taken = upload(tmp_path)
    for start in range(0, len(BODY), size):
        taken.take(BODY[start : start + size])
    fields = taken.finish(own_id=None, for_others=True)
    assert fields == {
        "user_id": "p01",
        "exercise_name": "Overhead Squat",
        "session_name": None,
        "body_joint_angles": ["all"],
        "movement": None,
        "options": {},
    }
    assert taken.video.read_bytes() == b"video\r\n--edg\r\n--edg"
    assert taken.video.name == "squat.mp4"
    taken.close()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "given", "taken"),
    [
        ("standing", "free", "free"),
        ("standing", "12", 12.0),
        ("standing", "", None),
        ("standing", "fre", "did you mean 'free'"),
        ("standing", "61", "must be straight, free, or the flexion of the knees"),
        ("standing", "nan", "must be straight, free, or the flexion of the knees"),
        ("model", "both", "both"),
        ("subject", "12.5,40", (12.5, 40.0)),
        ("subject", "", None),
        ("subject", "12", "must be two numbers, x and y in pixels"),
        ("subject", "12,-1", "finite and not negative"),
        ("model", "/etc/passwd", "input should be 'auto', 'full', 'heavy' or 'both'"),
    ],
)
def test_options_of_the_analysis_are_those_of_the_command(tmp_path, name, given, taken):
    body = part(name, given.encode()) + BODY
    if isinstance(taken, str) and taken != given:
        with pytest.raises(FieldError) as refused:
            take_whole(tmp_path, body, KIND)
        assert taken in refused.value.fields[name][0]
    else:
        options = take_whole(tmp_path, body, KIND)["options"]
        assert options == ({} if taken is None else {name: taken})


def test_a_movement_says_its_exercise_and_is_refused_for_another(tmp_path):
    exercise = part("exercise_name", b"Overhead Squat")
    body = part("movement", b"knee_flexion") + BODY
    taken = take_whole(tmp_path, body.replace(exercise, b""), KIND)
    assert (taken["exercise_name"], taken["movement"]) == (None, "knee_flexion")
    with pytest.raises(FieldError) as refused:
        take_whole(tmp_path, body, KIND)
    assert "not to Overhead Squat" in refused.value.fields["movement"][0]


def test_nothing_is_written_before_the_video_begins(tmp_path):
    taken = upload(tmp_path / "absent")
    taken.take(part("user_id", b"p01") + part("exercise_name", b"Overhead Squat"))
    assert not (tmp_path / "absent").exists()


def test_a_video_is_no_larger_than_it_may_be(tmp_path):
    for size, fits in ((1000, True), (1001, False)):
        taken = upload(tmp_path)
        body = part("video", b"v" * size, "a.mp4")
        if fits:
            taken.take(body)
        else:
            taken.take(body[:700])
            with pytest.raises(TooLargeError, match=r"0\.001 MB"):
                taken.take(body[700:])
        taken.close()


@pytest.mark.parametrize(
    ("body", "kind", "error"),
    [
        (BODY[:-10], KIND, BadInputError),
        (b"", KIND, BadInputError),
        (b"nonsense", KIND, BadInputError),
        (part("video", b"v", "a.mp4") * 2, KIND, FieldError),
        (part("user_id", b"\xff\xfe"), KIND, FieldError),
        (part("user_id", b"u" * 70_000), KIND, TooLargeError),
        (part("user_id", b"p", head=b"X: " + b"h" * 9000 + b"\r\n"), KIND, BadInputError),
        (part("user_id", b"p", head=b"X: y\r\n" * 20), KIND, BadInputError),
        (part("user_id", b"p") * 40 + b"--edge--", KIND, BadInputError),
        (BODY, "multipart/form-data", BadInputError),
        (BODY, "multipart/mixed; boundary=edge", BadInputError),
        (b"a" * (2 << 20), "application/x-www-form-urlencoded", TooLargeError),
        (b"a=1&" * 1000, "application/x-www-form-urlencoded", BadInputError),
        (b'{"user_id": 1}', "application/json", FieldError),
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
        assert set(fields) == {
            *("user_id", "exercise_name", "session_name", "body_joint_angles", "movement"),
            "options",
        }
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("value", [None, True, 1, 1.5, "text", [], {}, [[{"a": [None]}]]])
def test_any_json_is_read(value):
    assert read_json_body(json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[" * 100_000,
        b"[" * 100 + b"]" * 100,
        b'{"a": NaN}',
        b'{"a": 1, "a": 2}',
        b"1" * 10_000,
        b"\xff",
        b'"\\ud800',
        b"{}x",
    ],
)
def test_json_that_is_none_or_abuse_is_refused(body):
    with pytest.raises(BadInputError, match="not valid JSON"):
        read_json_body(body)


def test_forms_and_json_give_the_same_texts():
    expected = {"system": ["metric"], "x": ["a", "b"]}
    assert read_form("application/x-www-form-urlencoded", b"system=metric&x=a&x=b") == expected
    body = json.dumps({"system": "metric", "x": ["a", "b"]}).encode()
    assert read_form("application/json", body) == expected
    assert read_form("", b"") == {}


def test_letters_may_be_cut_by_the_network(tmp_path):
    body = part("session_name", "Übung 深蹲".encode()) + BODY
    taken = upload(tmp_path)
    for byte in body:
        taken.take(bytes([byte]))
    assert taken.finish(own_id=None, for_others=True)["session_name"] == "Übung 深蹲"
    taken.close()
    with pytest.raises(FieldError, match="not UTF-8"):
        take_whole(tmp_path, part("session_name", b"\xc3") + BODY)


@pytest.mark.parametrize("letter", ["ä", "深"])
def test_a_name_that_no_disk_takes_is_refused(tmp_path, letter):
    body = part("video", b"video", f"{letter * 150}.mp4") + b"--edge--\r\n"
    with pytest.raises(FieldError, match="shorten"):
        take_whole(tmp_path, body)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "kind",
    [
        "multipart/form-data; boundary*=utf-8''edge",
        'multipart/form-data; boundary=edge; a="' + ";" * 60_000,
        "multipart/form-data" + ";" * 60_000,
    ],
)
def test_content_types_that_nobody_sends_are_refused_quickly(tmp_path, kind):
    started = time.process_time()
    with pytest.raises(BadInputError):
        take_whole(tmp_path, BODY, kind)
    assert time.process_time() - started < 0.5
