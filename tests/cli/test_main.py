"""The command line: bad input is one line and status 2, and leaves nothing behind."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import other_processes
import pandas as pd
import pytest
import typer
import written_keypoints
import xarray as xr
from cohort_cases import add_session
from demo_sessions import copy_of, taken_as_current
from other_processes import command, mobility

from mobility import __version__
from mobility.assessment.verdict import judge
from mobility.base.provenance import AnalysisWarning, with_history
from mobility.capture.video import read_frames, write_video
from mobility.cli.main import app
from mobility.documents.lab_references import RetestErrors
from mobility.store import Session, Store
from mobility.studies import cohort


def files_below(folder: Path) -> list[str]:
    """All files that matter: lock files may stay."""
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".lock"
    )


@pytest.fixture
def store(tmp_path):
    return tmp_path / "store"


@pytest.fixture
def here(monkeypatch, tmp_path):
    """A folder of the test's own, in which commands are typed."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(done, store, *words):
    """One line on standard error, status 2, no output, nothing left behind."""
    other_processes.refused(done, *words)
    if store.exists():
        assert files_below(store) == []
    assert not (store.parent / "reports").exists()


def squat_in(store, clips, user_id="p01", exercise="Overhead Squat", **more) -> Session:
    """A session that was not analysed, of three frames."""
    store.parent.mkdir(exist_ok=True)
    clip = clips.make_clip(store.parent / "a.mp4", 3)
    return Store(store).create(clip, user_id=user_id, exercise_name=exercise, **more)


def test_keypoints_that_do_not_fit_are_one_line(tmp_path, store, clips):
    video = clips.make_clip(tmp_path / "a.mp4", 10)
    good = written_keypoints.openpose(tmp_path / "good", written_keypoints.walker(10))
    short = written_keypoints.openpose(tmp_path / "short", written_keypoints.walker(5))
    for given, *words in (
        (("--keypoints", short), "has 5 frames, but the video a.mp4 has 10"),
        (("--keypoints", good, "--keypoints", good), "--keypoints", "got 2 for 1 video"),
        (("--keypoints", tmp_path / "absent"), "no such file or folder"),
        (("--keypoints-model", "HRNet"), "--keypoints-model", "add them with keypoints"),
        (
            ("--keypoints", good, "--model", "full"),
            "--model",
            "has no effect with imported keypoints",
        ),
        (("--keypoints", good, "--check"), "Leave out --keypoints"),
    ):
        refused(command("analyze", video, *given, store=store), store, *words)


def test_bad_videos(tmp_path, store, clips):
    folder = tmp_path / "videos"
    folder.mkdir()
    text = folder / "text.mp4"
    text.write_text("this is not a video\n" * 100)
    for video, *words in (
        (folder / "missing.mp4", "missing.mp4"),
        (folder / "a\nb.mp4", "a\\nb.mp4"),
        ("", "VIDEO", "is empty; name a file or a folder"),
        (clips.make_clip(folder / "a\udcff.mp4", 3), "not decodable text"),
        (text, "text.mp4"),
        (clips.make_clip(folder / "nobody.mp4", 20), "nobody was found"),
    ):
        refused(command("analyze", video, store=store), store, *words)


def test_two_videos(tmp_path, store, clips):
    video, other = (clips.make_clip(tmp_path / f"{name}.mp4", 3) for name in ("front", "side"))
    for arguments, words in (
        ((video, tmp_path / "absent.mp4"), "absent.mp4"),
        ((video, video), "VIDEO2: front.mp4 is the same"),
        ((video, other, "--no-fit"), "--fit: two videos give one set of angles only with a fit"),
        ((video, "--second-subject", "1,2"), "second video"),
    ):
        refused(command("analyze", *arguments, store=store), store, words)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--exercise", "Overhead Sqat"], ["Overhead Sqat", "did you mean 'Overhead Squat'?"]),
        (
            ["--movement", "elbow_flexion", "--exercise", "overhead-squat"],
            ["--movement: elbow_flexion", "not to Overhead Squat"],
        ),
        (["--user-id", ""], ["--user-id: must be non-empty text"]),
        (["--name="], ["--name: must be non-empty text"]),
        (["--subject", "middle"], ["--subject: ", "x and y in pixels", "(got 'middle')"]),
        (["--store", ""], ["--store", "is empty; name a file or a folder"]),
        (["--store", "a" * 300], ["File name too long"]),
        (["--store", "/proc/store"], ["/proc/store"]),
        (["--height-m", "17"], ["--height-m: ", "0.5 to 2.6 metres (got '17')"]),
        (["--workers", "257"], ["--workers: ", "less than or equal to 256"]),
        (["--exercize", "Overhead Squat"], ["--exercize", "--exercise"]),
        (["--standing", "straigth"], ["--standing", "did you mean 'straight'? (got 'straigth')"]),
        (
            ["--model", "absent.task"],
            ["--model: ", "absent.task", "no such file", "mobility models"],
        ),
        (["--detector", "mediapip"], ["--detector: no detector", "did you mean 'mediapipe'?"]),
        (["--date", "2026-13-01"], ["--date: must have the form 2026-11-30", "(got '2026-13-01')"]),
        (["--date", "2999-01-01"], ["--date: is in the future"]),
    ],
)
def test_bad_options(options, words, store, clips, tmp_path):
    video = clips.make_clip(tmp_path / "clip.mp4", 3)
    refused(command("analyze", video, *options, store=store), store, *words)


def test_what_is_given_reaches_the_analysis(monkeypatch, clips, here):
    given = []
    monkeypatch.setattr(
        "mobility.store.Session.analyze",
        lambda self, **_: given.append(self.record.options) or self,
    )
    clips.make_clip(here / "a.mp4", 3)
    typed = (
        "",
        "--standing free --rate all",
        "--standing=2.5 --rate 15 --height-m 1,72 --no-fit --keep-raw --subject 3,4",
        "--subject largest --no-annotate --blur-face --field-of-view 60",
    )
    for options in typed:
        command("analyze", "a.mp4", "--no-report", "--json", *options.split())
    assert given == [
        {},
        {"standing": "free", "rate": "all"},
        {
            **{"standing": 2.5, "rate": 15, "height_m": 1.72, "fit": False, "keep_raw": True},
            "subject": [3, 4],
        },
        {"subject": "largest", "annotate": False, "blur_face": True, "field_of_view": 60},
    ]


def test_an_analysis_never_fetches_the_heavy_model(store, clips, tmp_path, monkeypatch):
    video = clips.make_clip(tmp_path / "clip.mp4", 3)
    for name in ("XDG_CACHE_HOME", "HOME"):
        monkeypatch.setenv(name, str(tmp_path / "cache"))
    done = command("analyze", video, "--model", "heavy", store=store)
    refused(done, store, "mobility models --model heavy")
    assert not (tmp_path / "cache").exists()


def test_bad_session_ids(store):
    for typed in ("sessions show", "sessions delete", "report", "summary", "repetitions"):
        for session_id in ("../p01", "", "absent"):
            refused(command(*typed.split(), session_id, store=store), store)


def test_threads_of_the_demo(store):
    for given, words in (
        ("absent --kind summary", "absent: not in the store"),
        ("--demo", "--kind"),
        ("--demo absent --kind summary", "not both"),
        ("--demo --kind sumary", "did you mean 'summary'?"),
        ("--demo --kind summary --system imperal", "did you mean 'imperial'?"),
    ):
        refused(command("threads", *given.split(), store=store), store, words)
    done = command("threads", "--demo", "--kind", "recommendation", "--json", store=store)
    assert (done.returncode, done.stderr) == (0, "")
    assert {"hip_flexion", "ankle_dorsiflexion", "final_summary"} <= set(json.loads(done.stdout))
    assert not store.exists()


@pytest.mark.parametrize(
    ("typed", "start"),
    [
        ("validate --sample-size -1", "--sample-size: input should be greater than 0"),
        ("validate --demo a.csv --margin-deg=-1", "--margin-deg: input should be greater than 0"),
        ("watch videos --user-id ../x", "--user-id: use 1 to 64"),
        ("keys create --role administrator --expires 0", "--expires: must be a number of days"),
        ("cohort --exercise Lunge", "--exercise: there is no 'Lunge'"),
        ("cohort --table a.xlsx", "a.xlsx: use a file name that ends in .csv or .parquet"),
        ("cohort --table b.csv --out c", "--table: makes no report"),
        ("cohort --visits", "--visits: makes only a table, without norms; add --table FILE"),
        ("cohort --save-norms ../x", "--save-norms: name a reference with 1 to 64"),
        ("references delete ../x", "NAME: name a reference with 1 to 64"),
        ("references show ours", "reference ours: the store has no reference of this name"),
        ("participants show ../x", "ID: use 1 to 64"),
        ("export-lab --demo --landmarks --out a.mot", "--landmarks: landmarks are positions"),
        ("export-lab --demo --format c3 --out a.mot", "--format: 'c3' is not one of"),
        ("watch videos --settle -1", "--settle: input should be greater than or equal to 0"),
        ("prune --older-than 3y", "--older-than: must be a length of time such as"),
        ("keys create --role participant", "--user-id: is missing; a key of a participant"),
        (
            "analyze a.mp4 --name= --joints kne",
            "--joints: there is no 'kne'; did you mean 'knee'? Choose from ankle, knee, "
            "hip, shoulder, elbow, trunk, neck, all; --name",
        ),
        ("export-lab --demo --license CC0 --out a.trc", "--license: trc has no place for it"),
        ("export-bids anonymous bids", "ID: sessions of 'anonymous' may belong"),
        ("export-lab --demo --fill interpolate --out a.c3d", "--fill: c3d has gaps"),
        # What was not typed is not called an option.
        ("participants show p01", "participant p01: not in the store"),
    ],
)
def test_a_message_calls_an_option_as_it_was_typed(typed, start, here):
    (here / "videos").mkdir()
    (here / "a.csv").write_text("time,knee_angle_l\n0,1\n1,2\n")
    done = command(*typed.split())
    other_processes.refused(done)
    assert done.stderr.startswith(f"mobility: {start}")


def test_norms_of_a_cohort_are_kept(demo, here, monkeypatch):
    monkeypatch.setattr(cohort, "is_current", lambda _: True)  # the demo is of the code of its day
    store = Store("data/sessions")
    for i in range(20):
        values = {"knee_flexion": [100.0 + i, 101.0 + i]}
        add_session(store, demo, f"s{i}", user_id=f"p{i}", date="2026-01-01", values=values)
    few = "cohort --table few.csv --participants p0,p1 --save-norms few"
    done = command(*few.split())
    assert done.returncode == 2
    assert "no measure has 20 named people" in done.stderr
    assert "few.csv" in done.stdout, "what was made is said"
    empty = command("references", "list")
    assert (empty.returncode, empty.stdout) == (0, "")
    assert "mobility cohort --save-norms NAME" in empty.stderr
    made = command("cohort", "--table", "all.csv", "--save-norms", "ours", "--json")
    assert json.loads(made.stdout)["norms"] == "ours"
    assert made.stderr.startswith("saved as ours: norms for ")
    (norms,) = store.references()
    (knees,) = [one for one in norms.norms if one.metric == "knee_flexion"]
    assert (knees.people, knees.mean) == (20, 110.0)
    assert not {"p1", "s1"} & set(re.findall(r"\w+", norms.model_dump_json())), "no ids"


def test_the_terminal_says_that_a_cohort_is_of_keypoints_of_several_models(demo, here, monkeypatch):
    monkeypatch.setattr(cohort, "is_current", lambda _: True)
    store = Store("data/sessions")
    add_session(store, demo, "a", user_id="ann", date="2026-03-01")
    alike = command("cohort", "--table", "all.csv")
    assert "keypoints" not in alike.stderr
    add_session(store, demo, "b", user_id="bob", date="2026-03-02", model="HRNet")
    mixed = command("cohort", "--table", "all.csv")
    assert "keypoints come from different models (HRNet and MediaPipe)" in mixed.stderr
    one = command("cohort", "--table", "all.csv", "--participants", "bob")
    assert "The keypoints come from HRNet" in one.stderr


def test_a_cohort_of_visits_is_a_table_of_merged_films(demo, here):
    store = Store("data/sessions")
    for name in ("a", "b"):
        add_session(store, demo, name, user_id="ann", date="2026-03-01")
        taken_as_current(store.session(name))
    made = command("cohort", "--table", "visits.csv", "--visits", "--metrics", "trunk_lean")
    assert made.returncode == 0, made.stderr
    with Path("visits.csv").open(encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert (row["session_id"], row["level"]) == ("ann/2026-03-01/overhead-squat", "visit")
    assert row["films"] == "a b"
    (described, *_) = json.loads(Path("visits.datapackage.json").read_text())["resources"]
    fields = {field["name"]: field for field in described["schema"]["fields"]}
    assert "visit" in fields["level"]["constraints"]["enum"]
    assert fields["films"]["description"]


def test_references_are_listed_shown_and_deleted(here):
    error = {
        **{"metric": "knee_flexion", "side": "left", "sem": 2.0, "low": None, "high": None},
        **{"participants": 12, "units": "degree"},
        "conditions": {
            **{"exercise": "Overhead Squat", "view": "front", "method": "fitted_body"},
            **{"cameras": 1, "software": "0.1.0"},
        },
    }
    # Errors changed with the version: those of an earlier one are said to hold no longer.
    assert __version__ != "0.1.0"
    reference = {"name": "ours", "made": "2026-01-01T00:00:00Z", "errors": [error]}
    Store("data/sessions").save_reference(RetestErrors.model_validate(reference))
    listed = command("references", "list").stdout
    assert listed.split()[:3] == ["ours", "retest", "errors"]
    assert "1 Jan 2026  measures: 1; Overhead Squat; from version 0.1.0, not used" in listed
    (row,) = json.loads(command("references", "list", "--json").stdout)
    assert (row["name"], row["kind"], row["measures"]) == ("ours", "retest errors", 1)
    assert json.loads(command("references", "show", "ours").stdout)["errors"][0]["sem"] == 2.0
    # A deletion says that they stay, for they may count the participant.
    Store("data/sessions").set_participant("p01", sex="female")
    deleted = command("participants", "delete", "p01", "--yes")
    assert deleted.returncode == 0
    assert "norms and errors from studies are kept (ours)" in deleted.stderr
    assert command("references", "delete", "ours") == (0, "", "deleted ours\n")
    assert json.loads(command("references", "list", "--json").stdout) == []


def test_nothing_is_written_into_a_store_or_over_a_file_of_others(clips, here):
    squat_in(here / "data" / "sessions", clips, session_id="s1")
    (here / "link").symlink_to("data/sessions")
    (here / "thesis.docx").write_text("years")
    (here / "lab.trc").write_text("PathFileType\t4\nDataRate\n100\nFrame#\tTime\tLKNE\t\t\n")
    before = {file: file.read_bytes() for file in here.rglob("*") if file.is_file()}
    inside = (
        "participants export p01 --out data/sessions/s1/session.json",
        "participants export p01 --out data/sessions/new.zip",
        "participants export p01 --out link/s1/new.zip",
        "export-lab --demo --out data/sessions/s1/a.csv",
        "export-bids p01 data/sessions/bids",
        "virtual-lab render a.yaml data/sessions/s1/video.mp4",
        "demo --log-file data/sessions/s1/session.json",
        "open --log-file data/sessions/new.log",
        "demo --store other --log-file data/sessions/participants/p9.json",
    )
    of_others = (
        "participants export p01 --out thesis.docx",
        "export-lab --demo --out lab.trc",
        "cohort --table lab.trc",
        "virtual-lab render a.yaml data/a.mp4",
        "demo --log-file thesis.docx",
    )
    for typed in (*inside, *of_others):
        reason = "is inside" if typed in inside else "was not made by this command"
        other_processes.refused(command(*typed.split()), reason)
        assert before == {file: file.read_bytes() for file in here.rglob("*") if file.is_file()}


def test_what_a_command_wrote_it_writes_again(here):
    Store("data/sessions").set_participant("p01", sex="female")
    for typed in (
        "participants export p01 --out p01.zip",
        *(f"export-lab --demo --out a.{ending}" for ending in ("csv", "mot", "trc", "c3d")),
        "export-lab --demo --positions --out b.csv",
        "export-lab --demo --positions --out b.c3d",
        "export-lab --demo --fill interpolate --out b.mot",
        "cohort --table table.csv",
        "cohort --table table.parquet",
    ):
        for _ in range(2):
            assert command(*typed.split()).returncode == 0, typed


def test_a_participant_is_set_by_flags_by_a_file_and_by_both(here):
    def set_by(*typed):
        status, out, err = command("participants", "set", "p01", *typed)
        return json.loads(out) if status == 0 else (status, err)

    (here / "p.json").write_text('{"sex": "male", "birth_year": 1980, "weight_kg": 70}')
    flags = "--sex female --age 34 --height-m 1,68 --name Ann --email ann@example.org"
    assert set_by(*flags.split()) == {
        **{"user_id": "p01", "display_name": "Ann", "sex": "female", "age": 34.0},
        **{"height_m": 1.68, "email": "ann@example.org"},
    }
    # A flag goes before the file, and an age in the place of a year.
    both = set_by("--file", "p.json", "--age", "35", "--sex", "female")
    assert (both["sex"], both["age"], both["weight_kg"]) == ("female", 35, 70)
    assert "birth_year" not in both
    assert set_by("--birth-year", "1990")["birth_year"] == 1990
    before = set_by("--name", "Ann")
    (here / "wrong.json").write_text('{"sex": "woman"}')
    for typed, words in (
        (["--age", "3_4"], "--age: must be a number"),
        (["--sex", "woman"], "--sex: input should be 'female' or 'male'"),
        (["--age", "34", "--birth-year", "1990"], "not both"),
        (["--file", "wrong.json", "--age", "34"], "participant p01: sex: input should be"),
        ([], "use an option such as --age 34, or --file FILE"),
    ):
        status, said = set_by(*typed)
        assert status == 2
        assert words in said
    assert set_by("--name", "Ann") == before


def test_the_list_of_sessions_names_participant_and_exercise_beside_a_title(here, demo):
    store = Store("data/sessions")
    store.path.mkdir(parents=True)
    copy_of(demo, store, "s1", user_id="ann", session_name="First")
    copy_of(demo.parent / "sit-to-stand", store, "s2", user_id="bo", session_name="Second")
    (store.path / "s3").mkdir()
    (store.path / "s3" / "session.json").write_text("{}")
    lines = {line.split()[0]: line for line in command("sessions", "list")[1].splitlines()}
    assert lines["s1"].split() == ["s1", "analysed", "ann", "Overhead", "Squat", "First"]
    assert lines["s2"].split() == ["s2", "analysed", "bo", "Sit-to-Stand", "Second"]
    assert lines["s1"].index("First") == lines["s2"].index("Second")
    assert "damaged" in lines["s3"]
    rows = json.loads(command("sessions", "list", "--json")[1])
    assert {row["session_id"]: row["user_id"] for row in rows} == {
        "s1": "ann",
        "s2": "bo",
        "s3": "",
    }


def test_a_store_that_is_a_file(here):
    (here / "file").touch()
    for typed in ("sessions list", "participants list", "keys list", "prune --keep 1", "cohort"):
        for place in ("file", "file/below"):
            message = f"mobility: store {place}: file is not a folder. Name a folder\n"
            assert command(*typed.split(), "--store", place) == (2, "", message)


def test_documents_and_reports_of_the_demo(here):
    status, out, err = command("report", "--demo")
    assert (status, err) == (0, "")
    first, _, last = out.splitlines()
    assert first.startswith("session ")
    page = Path(last.removeprefix("report  "))
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert json.loads(command("report", "--demo", "--json").stdout)["grouped_data"]
    for name in ("summary", "joint-mobility"):
        status, out, err = command(name, "--demo")
        assert (status, err) == (0, "")
        assert json.loads(out)


def test_help_and_version(here):
    assert command("--version") == (0, f"mobility {__version__}\n", "")
    for group in ("", "sessions", "participants", "config", "keys", "virtual-lab"):
        status, out, err = command(*group.split(), "--help")
        assert (status, err, "Commands:" in out) == (0, "", True)
    status, out, err = command("sessions")
    assert (status, out, "export" in err) == (2, "", True)


def test_the_help_of_all_commands_has_their_sentences_and_imports_none_of_them(here):
    _, listed, _ = command("--help")
    described = dict(re.findall(r"^  ([a-z-]+) +(.*\S)$", listed.partition("Commands:")[2], re.M))
    root = typer.main.get_command(app)
    assert list(described) == list(root.commands)
    for name, text in described.items():
        assert root.commands[name].help.startswith(text.removesuffix("..."))
    program = (
        "import sys; from mobility.cli import main\n"
        "try: main.main()\n"
        "finally: print([n for n in sys.modules if n.endswith(('commands', 'pydantic'))])"
    )
    typed = [sys.executable, "-c", program, "--help"]
    done = subprocess.run(typed, stdout=subprocess.PIPE, text=True, check=True)
    assert done.stdout.endswith("\n[]\n")


def test_output_that_cannot_be_written(store, clips):
    squat_in(store, clips)
    typed = [sys.executable, "-m", "mobility.cli", "sessions", "list", "--store", str(store)]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(typed, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "mobility: output: No space left on device\n")


def test_one_damaged_record_does_not_hide_the_others(store, clips):
    ids = [squat_in(store, clips, user).id for user in ("p01", "p02", "p03")]
    Store(store).set_participant("p01")
    (store / "participants" / "p01.json").write_text("[]")
    (store / ids[1] / "session.json").write_text("null")
    (store / f"{ids[2]}x").mkdir()
    (store / f"{ids[2]}x" / "video.mp4").write_bytes(b"a session that lost its record")
    done = mobility("sessions", "list", store=store)
    assert done.returncode == 0
    rows = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert {*ids, f"{ids[2]}x"} <= rows.keys()
    for damaged in (ids[1], f"{ids[2]}x"):
        assert f"session {damaged}: its record is" in rows[damaged]
    assert "p01.json" in done.stderr
    Store(store).set_participant("p03", display_name="Ann Miller")
    listed = mobility("participants", "list", store=store).stdout.splitlines()
    assert listed == ["p01", "p03  Ann Miller"]


def test_an_analysis_that_nobody_works_on_is_listed_as_interrupted(store, clips):
    session = squat_in(store, clips)
    record = session.record.model_copy(update={"state": "analyzing"})
    (session.folder / "session.json").write_text(record.model_dump_json())
    assert " interrupted " in command("sessions", "list", store=store).stdout
    done = command("report", session.id, store=store)
    assert f"finish it with: mobility edit {session.id}" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_an_interrupted_analysis_is_kept_and_named(store, tmp_path, clips, number):
    before = (
        "import os\n"
        "from mobility.capture import pose\n"
        f"pose.estimate_pose = lambda *_, **__: os.kill(os.getpid(), {number:d})\n"
    )
    video = clips.make_clip(tmp_path / "a.mp4", 3)
    done = mobility("analyze", video, store=store, before=before)
    assert done.returncode == 130
    (session,) = Store(store).sessions()
    assert done.stderr.strip().splitlines() == [
        f"mobility: interrupted. Session {session.id} is kept; "
        f"finish it with: mobility edit {session.id}"
    ]


def test_the_command_line_names_steps_and_the_commands_for_the_exercise_that_a_page_names(
    monkeypatch, clips, here
):
    warned = [AnalysisWarning("chair_rise", "", {"exercise": "sit-to-stand"})]
    monkeypatch.setattr("mobility.store.Session.analyze", lambda self, **_: self)
    monkeypatch.setattr("mobility.store.Session.verdict", lambda *_: judge(warned))
    monkeypatch.setattr(
        "mobility.reports.first_page.in_short", lambda session: ("", session.verdict().text)
    )
    parts = [{"first_s": a, "last_s": b, "standing_s": 1.0} for a, b in ((0, 4), (4.8, 13))]
    step = {"from_s": 4.0, "to_s": 4.8, "forward_m": 0.2, "left_m": 0.0, "wider_m": 0.0}
    stepped = with_history(xr.Dataset(), "fit_body", {}, stances=parts, steps=[step])
    monkeypatch.setattr("mobility.store.Session.repetitions", lambda _: stepped)
    (here / "my films").mkdir()
    clips.make_clip(here / "my films" / "a.mp4", 3)
    done = command("analyze", "my films/a.mp4", "--no-report")
    first, steps, said, option, _ = done.stdout.splitlines()
    assert steps.startswith("The person steps forward at 4.4 s.")
    assert said.endswith("add the video again with the exercise Sit-to-Stand.")
    session = first.split()[1].rstrip(":")
    assert option == (
        "run again with your other options: mobility analyze 'my films/a.mp4' --exercise "
        f"sit-to-stand, then delete this session: mobility sessions delete {session}"
    )
    points = written_keypoints.long_csv(here / "my films" / "p.csv", written_keypoints.walker(3))
    done = command("analyze", "my films/a.mp4", "--no-report", "--keypoints", str(points))
    again = f"'my films/a.mp4' --keypoints '{points}' --exercise sit-to-stand, then"
    assert again in done.stdout.splitlines()[3]


def test_a_bug_in_the_analysis_leaves_no_session(store, tmp_path, clips, monkeypatch):
    monkeypatch.setattr("mobility.capture.pose.estimate_pose", lambda *_, **__: 1 / 0)
    video = clips.make_clip(tmp_path / "a.mp4", 3)
    with pytest.raises(ZeroDivisionError):
        command("analyze", video, store=store)
    assert files_below(store) == []


@pytest.fixture(scope="module")
def tfjs_video(shared_data):
    return shared_data / "videos" / "tfjs_pose_squats.mp4"


@pytest.mark.slow
def test_a_session_of_three_real_squats_from_its_analysis_to_its_deletion(tfjs_video, store):
    typed = ("analyze", tfjs_video, "--user-id", "p01", "--json", "--workers", "1", "--blur-face")
    typed += ("--log-file", "logs/a.log")
    done = mobility(*typed, store=store, before="import os; os.umask(0)")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    session_id = answer["session_id"]
    assert set(answer) == {"session_id", "title", "report"}
    assert set(answer["report"]) == {"html", "client", "notebook", "json"}
    assert all(Path(uri.removeprefix("file://")).is_file() for uri in answer["report"].values())

    def answered(*typed):
        done = command(*typed, store=store)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    show = answered("sessions", "show", session_id)
    assert show["segments"] == 3
    knee = [angle for angle in show["angles"]["knee_angle"] if angle is not None]
    # A squat: from nearly straight to well bent.
    assert min(knee) < 30
    assert max(knee) > 70
    for document in ("report", "summary"):
        assert answered(document, session_id, "--json")["grouped_data"]
    assert answered("sessions", "export", session_id)["keypoints"]
    # Repetitions that are corrected by hand stay.
    rows = answered("repetitions", session_id, "--json")
    assert len(rows) == 3
    file = store.parent / "reps.json"
    file.write_text(json.dumps([{name: rows[0][name] for name in ("start", "bottom", "end")}]))
    assert len(answered("repetitions", session_id, "--set", file, "--json")) == 1
    assert answered("sessions", "show", session_id)["segments"] == 1
    # All that is written of a participant is for the owner only.
    file.write_text('{"height_m": 1.68}')
    umask = os.umask(0)
    try:
        for words in (
            *(f"threads {session_id} --kind summary", f"edit {session_id} --camera-side left"),
            *(f"report {session_id}", "cohort", f"export-lab {session_id} --out squat.trc"),
            *(f"participants set p01 --file {file}", "participants export p01 --out p01.zip"),
            "keys create --role participant --user-id p01",
        ):
            done = command(*words.split(), store=store)
            assert done.returncode == 0, (words, done.stderr)
    finally:
        os.umask(umask)
    places = {*store.parent.rglob("*")} - {file}
    assert {"analyzed.mp4", "cohort.parquet", "p01.zip", "a.log"} <= {p.name for p in places}
    assert [str(place) for place in places if place.stat().st_mode & 0o077] == []
    # A deletion takes everything.
    reports = store.parent / "reports"
    assert list(reports.glob(f"{session_id}*"))
    assert command("sessions", "delete", session_id, store=store).returncode == 0
    assert not list(store.glob(f"{session_id}*"))
    assert not list(reports.glob(f"{session_id}*"))


@pytest.mark.slow
def test_no_complete_repetition_is_a_warning(opencap_video, tmp_path):
    frames = [(f.time, f.image) for f in list(read_frames(opencap_video, stop=1.0))[::2]]
    write_video(tmp_path / "standing.mp4", iter(frames))
    done = mobility("analyze", tmp_path / "standing.mp4", "--json", store=tmp_path / "store")
    assert done.returncode == 0, done.stderr
    assert "repetition" in done.stderr
    html = Path(json.loads(done.stdout)["report"]["html"].removeprefix("file://")).read_text()
    assert "repetition" in html[: html.index("All measures")]


def test_a_wrong_case_or_grid_is_one_line(store, tmp_path):
    case, grid = tmp_path / "case.yaml", tmp_path / "grid.yaml"
    case.write_text("camera: {azimut: 3}\n")
    grid.write_text("axes: {camera.azimuth: []}\n")
    for typed, *words in (
        (("render", case, tmp_path / "out"), "case.yaml, camera: azimut", "did you mean"),
        (("sweep", grid), "grid.yaml", "axes"),
        (("sweep", tmp_path / "absent.yaml"), "there is no such grid"),
    ):
        refused(command("virtual-lab", *typed, store=store), store, *words)
    assert not (tmp_path / "build").exists()


def test_a_cohort_has_every_exercise_and_counts_what_it_leaves_out(demo, here, monkeypatch):
    monkeypatch.setattr(cohort, "is_current", lambda _: True)
    store = Store("data/sessions")
    for number, (exercise, who) in enumerate(
        (("overhead-squat", "ann"), ("squat", "ann"), ("sit-to-stand", "bob"), ("squat", "demo"))
    ):
        day = f"2026-03-0{number + 1}"
        add_session(store, demo.parent / exercise, f"s{number}", user_id=who, date=day)
    made = command("cohort", "--table", "all.csv")
    assert made.returncode == 0, made.stderr
    assert "3 of the 4 sessions in the store are compared; left out:" in made.stdout
    assert '1  demo sessions (the participant "demo" was not named)' in made.stdout
    frame = pd.read_csv("all.csv")
    assert set(frame["exercise"]) == {"Overhead Squat", "Squat", "Sit-to-Stand"}
    parts = cohort.by_exercise(frame)
    assert list(parts) == ["Overhead Squat", "Squat", "Sit-to-Stand"]
    knees = cohort.changes(parts["Squat"], "knee_flexion")
    assert knees.empty, "an overhead squat is no earlier measurement of a squat"
    one = command("cohort", "--table", "one.csv", "--exercise", "Squat")
    assert "1 of the 4 sessions in the store are compared" in one.stdout
    assert "2  sessions of other exercises or participants" in one.stdout
