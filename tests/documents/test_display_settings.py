"""Which angles a session shows, and the comments on them: checked, kept, never lost silently."""

from __future__ import annotations

import json
import re
import sys
import threading
from pathlib import Path

import pytest

from mobility.catalogue.joints import JOINTS
from mobility.cli import main as cli
from mobility.documents.contract import FieldErrors
from mobility.documents.display_settings import COMMENT_LENGTH, angle_keys, refuse_null
from mobility.errors import (
    BadInputError,
    ConflictError,
    NotFoundError,
    NotPermittedError,
    StorageError,
)
from mobility.reports.stored_reports import report_key
from mobility.sessions.files import read_json, write_json
from mobility.sessions.record import DisplayConfig
from mobility.store import Session, Store

KNEE_AND_HIP = {
    "shown_angles": ["knee_angle", "hip_angle"],
    "comments": {"knee_angle": "Check alignment on flexion."},
}


def session_of(store: Store, stand_ins, exercise: str, joints: str = "all") -> Session:
    """A session of any exercise, also of one that creation does not know."""
    video = stand_ins.video(store.path.parent / "camera")
    made = store.create(
        video, user_id="p01", exercise_name="Overhead Squat", body_joint_angles=joints
    )
    file = made.folder / "session.json"
    write_json(file, {**read_json(file), "exercise": exercise})
    return store.session(made.id)


@pytest.fixture
def session(store, stand_ins) -> Session:
    return session_of(store, stand_ins, "Joint Angle Mobility")


def faults(session: Session, **given) -> dict[str, list[str]]:
    before = sorted(file.name for file in session.folder.iterdir())
    with pytest.raises(BadInputError) as refused:
        session.save_config(**given)
    assert refused.value.status == 400
    assert "\n" not in str(refused.value)
    # Refused as a whole: nothing is stored of the fields that were right.
    assert sorted(file.name for file in session.folder.iterdir()) == before
    FieldErrors(errors=refused.value.fields)
    return refused.value.fields


# What is stored


def test_the_answer_is_what_is_stored(session, store):
    with pytest.raises(NotFoundError, match="no display settings yet") as absent:
        session.config()
    assert absent.value.status == 404
    assert session.stored_config() is None
    before = report_key(session)
    assert session.save_config(**KNEE_AND_HIP) == KNEE_AND_HIP
    assert store.session(session.id).config() == KNEE_AND_HIP
    DisplayConfig.model_validate(session.config())
    stored = read_json(session.folder / "config.json")
    assert stored == {**KNEE_AND_HIP, "schema_version": "1", "revision": 1}
    # Other settings make another report, the same once more the same one.
    after = report_key(session)
    assert after != before
    session.save_config(**KNEE_AND_HIP)
    assert report_key(session) == after


def test_a_field_that_is_not_given_stays_and_the_order_is_kept(session):
    answer = session.save_config(comments={"left_elbow_angle": "Zwei Zeilen:\n\t90° – größer"})
    assert answer["shown_angles"] == []
    shown, comments = ["right_ankle_angle", "knee_angle"], {"hip_angle": "Range improved."}
    assert session.save_config(shown_angles=shown) == {**answer, "shown_angles": shown}
    assert session.save_config(comments=comments) == {"shown_angles": shown, "comments": comments}
    assert session.config() == {"shown_angles": shown, "comments": comments}
    every = tuple(angle_keys(JOINTS)[::-1])
    assert len(every) == 15
    assert session.save_config(shown_angles=every)["shown_angles"] == list(every)


# What is refused


def test_all_faults_of_all_fields_at_once(session):
    refusal = faults(
        session,
        shown_angles=["kne_angle", "knee_angle", "knee_angle", 3],
        comments={"hipp_angle": "a", "knee_angle": 4, "hip_angle": "x" * (COMMENT_LENGTH + 1)},
    )
    assert refusal == {
        "shown_angles": [
            "'kne_angle': unknown; did you mean 'knee_angle'?",
            "'knee_angle': is given twice; leave one out",
            "must name angles as text (got 3)",
        ],
        "comments": [
            "'hipp_angle': unknown; did you mean 'hip_angle'?",
            "'knee_angle': must be text (got 4)",
            "'hip_angle': at most 2000 characters (got 2001)",
        ],
    }


def test_one_fault(session):
    session.save_config(**KNEE_AND_HIP)
    for given, field, words in (
        ({"shown_angle": ["knee_angle"]}, "shown_angle", "did you mean 'shown_angles'"),
        ({"self": 1}, "self", "give shown_angles or comments"),
        ({"shown_angles": "knee_angle"}, "shown_angles", "must be a list"),
        ({"shown_angles": {"knee_angle": 1}}, "shown_angles", "must be a list"),
        ({"comments": ["a"]}, "comments", "must be an object"),
        ({"comments": {"knee_angle": "a\x00"}}, "comments", r"U\+0000"),
        ({"comments": {"knee_angle": "a\ud800"}}, "comments", r"U\+D800"),
        ({"comments": {"knee_angle": None}}, "comments", "must be text"),
        ({"shown_angles": ["knee_flexion"]}, "shown_angles", "unknown"),
        ({"shown_angles": ["\n" * 500]}, "shown_angles", "unknown"),
        ({"shown_angles": [["knee_angle"]]}, "shown_angles", "must name angles as text"),
        ({"shown_angles": ["elbow_angle"], "comments": {"no": "a"}}, "comments", "unknown"),
        ({}, "comments", "is missing"),
        *(({**KNEE_AND_HIP, "revision": no}, "revision", "") for no in (-1, "1", True, 1.0)),
    ):
        refusal = faults(session, **given)
        assert field in refusal
        assert re.search(words, refusal[field][0]), refusal
    assert session.config() == KNEE_AND_HIP


def test_only_the_joints_of_the_session_and_no_other_exercise(store, stand_ins):
    session = session_of(store, stand_ins, "Joint Angle Mobility", joints="ankle, knee")
    words = faults(session, shown_angles=["elbow_angle", "left_knee_angle"])
    assert words == {"shown_angles": ["'elbow_angle': the session has only the joints ankle, knee"]}
    assert session.save_config(shown_angles=["left_knee_angle"])["comments"] == {}
    session.store.read_only = True
    with pytest.raises(NotPermittedError):
        session.save_config(shown_angles=["right_knee_angle"])
    session.store.read_only = False
    squat = session_of(store, stand_ins, "Overhead Squat")
    for act in (squat.config, lambda: squat.save_config(**KNEE_AND_HIP)):
        with pytest.raises(BadInputError, match="its exercise is 'Overhead Squat'") as wrong:
            act()
        assert wrong.value.status == 400


def test_a_damaged_file_is_said(session):
    file = session.folder / "config.json"
    wrong = '{"schema_version": "1", "revision": 1, "shown_angles": 3}'
    for content in ("", "{", "[]", "{}", wrong, "\x00"):
        file.write_text(content)
        for act in (session.config, lambda: session.save_config(**KNEE_AND_HIP)):
            with pytest.raises(StorageError, match=r"config\.json.*delete it and save them again"):
                act()
        assert file.read_text() == content


# Two editors


def test_a_stale_revision_is_a_conflict(session):
    session.save_config(**KNEE_AND_HIP, revision=0)
    mine = session.stored_config().revision
    session.save_config(comments={"hip_angle": "theirs"}, revision=mine)
    with pytest.raises(ConflictError, match="load them again") as conflict:
        session.save_config(comments={"hip_angle": "mine"}, revision=mine)
    assert conflict.value.status == 409
    assert session.config()["comments"] == {"hip_angle": "theirs"}
    session.save_config(comments={"hip_angle": "mine"}, revision=session.stored_config().revision)
    assert session.config()["comments"] == {"hip_angle": "mine"}


def test_many_editors_at_once_lose_nothing(session):
    won, lost = [], []

    def edit(number: int) -> None:
        try:
            session.save_config(comments={"knee_angle": str(number)}, revision=0)
            won.append(number)
        except ConflictError:
            lost.append(number)

    threads = [threading.Thread(target=edit, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(won), len(lost)) == (1, 5)
    assert session.config()["comments"] == {"knee_angle": str(won[0])}


# The command line


@pytest.fixture
def run(store, monkeypatch, capsys):
    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(
            sys, "argv", ["mobility", *arguments, "--store", str(store.path), "--reports", "none"]
        )
        try:
            cli.main()
            status = 0
        except SystemExit as ended:
            status = int(ended.code or 0)
        streams = capsys.readouterr()
        return status, streams.out, streams.err

    return call


def written(folder: Path, document: object) -> str:
    file = folder / "settings.json"
    file.write_text(json.dumps(document))
    return str(file)


def test_config_on_the_command_line(session, run, tmp_path):
    status, out, err = run("config", "get", session.id, "--json")
    assert (status, out) == (2, "")
    assert "no display settings yet" in err
    for document, words in (
        ([], "not a JSON object"),
        ({"shown_angles": None}, "shown_angles: is null"),
        ({"show_angles": []}, "show_angles: unknown; did you mean 'shown_angles'?"),
        ({"shown_angles": ["knees_angle"], "comments": []}, "must be an object"),
    ):
        status, out, err = run("config", "set", session.id, "--file", written(tmp_path, document))
        assert (status, out) == (2, "")
        assert words in err
        assert len(err.strip().splitlines()) == 1
        assert not (session.folder / "config.json").exists()
    file = written(tmp_path, KNEE_AND_HIP)
    for arguments in (("set", session.id, "--file", file), ("get", session.id)):
        status, out, _ = run("config", *arguments, "--json")
        assert (status, json.loads(out)) == (0, KNEE_AND_HIP)
    status, out, _ = run("config", "get", session.id)
    assert "knee_angle, hip_angle" in out
    assert "knee_angle: Check alignment" in out
    status, _, err = run("config", "get")
    assert status == 2
    assert "or --demo" in err


def test_null_is_no_setting():
    with pytest.raises(BadInputError) as refused:
        refuse_null({"comments": None, "shown_angles": []}, what="settings")
    assert refused.value.fields == {"comments": ["is null; leave it out"]}
