"""The command line: bad input is one line and status 2, and leaves nothing behind."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import processes
import pytest
from processes import ended, mobility

from mobility.capture.video import read_frames, write_video
from mobility.store import Store


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


def refused(done, store, *words):
    """One line on standard error, status 2, no output, nothing left behind."""
    processes.refused(done, *words)
    if store.exists():
        assert files_below(store) == []
    assert not (store.parent / "reports").exists()


def bad_videos(folder, clips):
    """Write a file of each bad kind; with the words that its refusal should have."""
    text = folder / "text.mp4"
    text.write_text("this is not a video\n" * 100)
    empty = folder / "empty.mp4"
    empty.touch()
    return {
        "missing": (folder / "missing.mp4", ["missing.mp4"]),
        "folder": (folder, ["this is a folder"]),
        "device": (Path("/dev/null"), ["device"]),
        "line break": (folder / "a\nb.mp4", ["a\\nb.mp4"]),
        "long": (folder / ("a" * 5000), ["too long"]),
        "no name": ("", ["VIDEO", "must not be empty"]),
        "no text": (clips.make_clip(folder / "a\udcff.mp4", 3), ["not decodable text"]),
        "tiny": (clips.make_clip(folder / "tiny.mp4", 9, size=(16, 16)), ["tiny.mp4", "too small"]),
        "empty": (empty, ["empty.mp4", "empty"]),
        "text": (text, ["text.mp4"]),
        "audio": (clips.make_audio(folder / "audio.mp4"), ["audio.mp4"]),
        "one frame": (clips.make_clip(folder / "one.mp4", 1), ["single frame"]),
        "nobody": (clips.make_clip(folder / "nobody.mp4", 20), ["nobody was found"]),
    }


@pytest.mark.parametrize(
    "kind",
    [
        *("missing", "folder", "empty", "text", "audio", "one frame", "device", "line break"),
        *("long", "no name", "no text", "tiny", "nobody"),
    ],
)
def test_bad_video(kind, tmp_path, store, clips):
    folder = tmp_path / "videos"
    folder.mkdir()
    video, words = bad_videos(folder, clips)[kind]
    refused(mobility("analyze", video, store=store), store, *words)


def test_two_videos(tmp_path, store, clips):
    video = clips.make_clip(tmp_path / "front.mp4", 20)
    other = clips.make_clip(tmp_path / "side.mp4", 25)
    absent = tmp_path / "absent.mp4"
    refused(mobility("analyze", video, absent, store=store), store, "absent.mp4")
    refused(mobility("analyze", video, video, store=store), store, "second video")
    refused(mobility("analyze", video, other, "--no-fit", store=store), store, "two videos need")
    refused(
        mobility("analyze", video, "--second-subject", "1,2", store=store), store, "second video"
    )
    refused(mobility("analyze", video, other, store=store), store, "nobody was found")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--exercise", "Overhead Sqat"], ["Overhead Sqat", "did you mean 'Overhead Squat'?"]),
        (["--movement", "elbow_flexio"], ["did you mean 'elbow_flexion'?"]),
        (
            ["--movement", "elbow_flexion", "--exercise", "overhead-squat"],
            ["--movement elbow_flexion", "not to Overhead Squat"],
        ),
        (["--joints", "knee,ancle"], ["ancle", "did you mean 'ankle'?"]),
        (["--user-id", "../p01"], ["../p01"]),
        (["--user-id", ""], ["--user-id: must be a non-empty text"]),
        (["--name", "a\nb"], ["--name", "control character"]),
        (["--name", "  "], ["name"]),
        (["--subject", "middle"], ["--subject middle"]),
        (["--subject=nan,nan"], ["--subject nan,nan", "finite"]),
        (["--subject=1e400,1"], ["finite"]),
        (["--name="], ["--name: must be a non-empty text"]),
        (["--joints=,"], ["choose from ankle"]),
        (["--store", ""], ["--store", "must not be empty"]),
        (["--store", "a" * 300], ["File name too long"]),
        (["--workers", "0"], ["workers"]),
        (["--height-m", "17"], ["--height-m 17", "0.5 to 2.6 metres"]),
        (["--field-of-view", "400"], ["--field-of-view 400", "10 to 160 degrees"]),
        (["--workers", "257"], ["workers", "1 to 256"]),
        (["--exercize", "Overhead Squat"], ["--exercize", "--exercise"]),
        (["--standing", "straigth"], ["--standing", "did you mean 'straight'? (got straigth)"]),
        (["--standing", "90"], ["-20 to 60 degrees (got 90)"]),
        (["--standing=nan"], ["--standing", "straight, free, or the flexion of the knees"]),
        (["--model", "absent.task"], ["absent.task", "no such file", "mobility models"]),
        (["--model", "haevy"], ["did you mean 'heavy'?"]),
    ],
)
def test_bad_options(options, words, store, clips, tmp_path):
    video = clips.make_clip(tmp_path / "clip.mp4", 3)
    refused(mobility("analyze", video, *options, store=store), store, *words)


@pytest.mark.parametrize(
    ("options", "taken"),
    [([], "straight"), (["--standing", "free"], "free"), (["--standing=-2.5"], -2.5)],
)
def test_standing_reaches_the_analysis(options, taken, said, monkeypatch, clips, tmp_path):
    given = []
    monkeypatch.setattr(
        "mobility.store.Session.analyze",
        lambda self, **told: given.append(told["standing"]) or self,
    )
    clips.make_clip(tmp_path / "a.mp4", 3)
    said("analyze", "a.mp4", "--no-report", "--json", *options)
    assert given == [taken]


def test_an_analysis_never_fetches_the_heavy_model(store, clips, tmp_path):
    video = clips.make_clip(tmp_path / "clip.mp4", 3)
    empty = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "HOME": str(tmp_path)}
    done = mobility("analyze", video, "--model", "heavy", store=store, **empty)
    refused(done, store, "mobility models --model heavy")
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("session_id", ["../p01", "", "absent", "a/b", "."])
@pytest.mark.parametrize(
    "command",
    [("sessions", "show"), ("sessions", "delete"), ("report",), ("summary",), ("repetitions",)],
)
def test_bad_session_id(command, session_id, store):
    refused(mobility(*command, session_id, store=store), store)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["analyse"], ["Did you mean", "analyze"]),
        # They would give an empty report.
        (["cohort", "--exercise", "overhead squat"], ["did you mean 'Overhead Squat'?"]),
        (["cohort", "--exercise", "foo"], ["'foo': unknown; choose one of 'Overhead Squat', "]),
        (["threads", "absent", "--kind", "summary"], ["absent: not in the store"]),
        (["threads", "--demo"], ["--kind"]),
        (["threads", "--demo", "absent", "--kind", "summary"], ["not both"]),
        (["threads", "--demo", "--kind", "sumary"], ["sumary", "did you mean 'summary'?"]),
        (
            ["threads", "--demo", "--kind", "summary", "--system", "imperal"],
            ["did you mean 'imperial'?"],
        ),
    ],
)
def test_bad_commands(command, words, store):
    refused(mobility(*command, store=store), store, *words)


def test_threads_of_the_demo(store):
    done = mobility("threads", "--demo", "--kind", "recommendation", "--json", store=store)
    ids = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (0, "")
    assert set(ids) == {
        *("hip_flexion", "hip_abduction", "knee_flexion", "knee_movement", "ankle_dorsiflexion"),
        "final_summary",
    }
    listed = mobility("threads", "--demo", "--kind", "recommendation", store=store).stdout
    assert [line.split() for line in listed.splitlines()] == [list(item) for item in ids.items()]
    assert not store.exists()


def test_documents_of_another_exercise_are_refused(store, clips, tmp_path):
    opened = Store(store)
    clip = clips.make_clip(tmp_path / "a.mp4", 3)
    squat = opened.create(clip, user_id="p01", exercise_name="Overhead Squat")
    joint = opened.create(clip, user_id="p01", exercise_name="Joint Angle Mobility")
    for command, session, words in (
        ("joint-mobility", squat, f"see this one with: mobility report {squat.id}"),
        ("summary", joint, f"see this one with: mobility report {joint.id}"),
        ("report", joint, "is not analysed yet"),
        ("joint-mobility", joint, "is not analysed yet"),
    ):
        done = mobility(command, session.id, store=store)
        assert (done.returncode, done.stdout) == (2, ""), command
        assert words in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1


@pytest.fixture
def said(monkeypatch, capsys, tmp_path):
    """Run the command line in this process: status, standard output, standard error."""
    from mobility.cli import main as cli

    # What ends a command from outside is no concern of this process.
    monkeypatch.setattr(cli.signal, "signal", lambda *_: None)
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["mobility", *map(str, arguments)])
        try:
            cli.main()
            status = 0
        except SystemExit as ended:
            status = ended.code or 0
        return status, *capsys.readouterr()

    return run


def test_the_version(said):
    from mobility import __version__

    assert said("--version") == (0, f"mobility {__version__}\n", "")


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("validate --sample-size -1", "--sample-size: input should be greater than 0"),
        ("validate --demo a.csv --margin-deg=-1", "--margin-deg: input should be greater than 0"),
        ("watch videos --every 0", "--every: input should be greater than 0"),
        ("watch videos --user-id ../x", "--user-id '../x': use 1 to 64"),
        ("keys create --role administrator --expires 0", "--expires 0: must be a number of days"),
        ("prune --keep -1", "--keep -1: must be 0 or more"),
        ("cohort --exercise Squat", "--exercise 'Squat': unknown"),
        ("participants show ../x", "ID '../x': use 1 to 64"),
        ("export-lab --demo --landmarks --out a.mot", "--landmarks: these are positions"),
        ("validate --demo lab.csv --lag-s 99", "with a lag of 99 s video and lab file have no"),
        # What was not typed is not called an option.
        ("participants show p01", "participant p01: not in the store"),
    ],
)
def test_a_message_calls_an_option_as_it_was_typed(command, told, said, tmp_path):
    (tmp_path / "videos").mkdir()
    (tmp_path / "a.csv").write_text("time,knee_angle_l\n0,1\n1,2\n")
    rows = [f"{n / 100:.2f},{50 - 50 * math.cos(n / 20):.2f}" for n in range(600)]
    (tmp_path / "lab.csv").write_text("\n".join(["time,knee_angle_l", *rows]))
    status, out, err = said(*command.split())
    assert (status, out) == (2, "")
    assert err.startswith(f"mobility: {told}")
    assert len(err.splitlines()) == 1


def test_all_faults_of_a_session_are_told_by_what_was_typed(said, clips, tmp_path):
    clips.make_clip(tmp_path / "a.mp4", 3)
    options = ("--exercise", "Squat", "--user-id", "../x", "--joints", "ancle", "--name", "a\tb")
    _, _, err = said("analyze", "a.mp4", *options)
    assert [f"{name} '" in err for name in options[::2]] == [True] * 4
    assert "_" not in err.replace("'_'", "")


@pytest.mark.parametrize(("name", "is_there"), [("-dash.mp4", False), ("--dash.mp4", True)])
def test_a_file_whose_name_begins_like_an_option(name, is_there, said, clips, tmp_path):
    if is_there:
        clips.make_clip(tmp_path / name, 1)
    status, _, err = said("analyze", name)
    assert status == 2
    assert err == f"mobility: {name}: begins with '-', like an option; for a file write ./{name}\n"


def test_both_ways_to_write_such_a_name(said, clips, tmp_path):
    clips.make_clip(tmp_path / "-dash.mp4", 1)
    for given in (("./-dash.mp4",), ("--", "-dash.mp4")):
        assert "-dash.mp4: has a single frame" in said("analyze", *given)[2]


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("participants export p01 --out data/sessions/s1/session.json", "is inside"),
        ("participants export p01 --out data/sessions/new.zip", "is inside"),
        ("participants export p01 --out link/s1/new.zip", "is inside"),
        ("participants export p01 --out thesis.docx", "does not recognise it"),
        ("export-lab --demo --out data/sessions/s1/a.csv", "is inside"),
        ("export-lab --demo --out lab.trc", "does not recognise it"),
        ("cohort --out data/sessions/s1/new", "is inside"),
        ("virtual-lab render a.yaml data/sessions/s1/video.mp4", "is inside"),
        ("virtual-lab render a.yaml a.mp4", "does not recognise it"),
        ("demo --log-file data/sessions/s1/session.json", "is inside"),
        ("demo --log-file data/sessions/new.log", "is inside"),
        ("analyze a.mp4 --log-file data/sessions/new.log", "is inside"),
        ("open --log-file data/sessions/new.log", "is inside"),
        ("validate s1 a.csv --log-file data/sessions/participants/p9.json", "is inside"),
        ("demo --store other --log-file data/sessions/participants/p9.json", "is inside"),
        ("demo --log-file thesis.docx", "does not recognise it"),
    ],
)
def test_nothing_is_written_into_a_store_or_over_a_file_of_others(
    command, reason, said, clips, tmp_path
):
    clip = clips.make_clip(tmp_path / "a.mp4", 3)
    session = Store("data/sessions").create(
        clip, user_id="p01", exercise_name="Overhead Squat", session_id="s1"
    )
    (tmp_path / "link").symlink_to("data/sessions")
    (tmp_path / "thesis.docx").write_text("years")
    (tmp_path / "lab.trc").write_text("PathFileType\t4\nDataRate\n100\nFrame#\tTime\tLKNE\t\t\n")
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    status, out, err = said(*command.split())
    assert (status, out) == (2, "")
    assert reason in err
    assert len(err.splitlines()) == 1
    after = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    assert after == before
    assert session.record.session_id == "s1"


@pytest.mark.parametrize(
    "command",
    [
        "participants export p01 --out p01.zip",
        *(f"export-lab --demo --out a.{ending}" for ending in ("csv", "mot", "trc", "c3d")),
        "export-lab --demo --positions --out b.csv",
        "participants export p01 --out new.zip",
    ],
)
def test_what_a_command_wrote_it_writes_again(command, said):
    Store("data/sessions").set_participant("p01", sex="female")
    for _ in range(2):
        assert said(*command.split())[0] == 0


@pytest.mark.parametrize(
    "command", ["sessions list", "participants list", "keys list", "prune --keep 1", "cohort"]
)
@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_store_that_is_a_file(command, place, said, tmp_path):
    (tmp_path / "file").touch()
    status, out, err = said(*command.split(), "--store", place)
    assert (status, out) == (2, "")
    assert err == f"mobility: --store {place}: file is not a folder; name one\n"


@pytest.mark.parametrize(
    ("command", "content", "name"),
    [
        ("participants set p01 --file a.json", '{"age": 30, "age": 40}', "age"),
        ("config set s1 --file a.json", '{"comments": {}, "comments": {}}', "comments"),
        ("repetitions s1 --set a.json", '[{"start": 1, "start": 2}]', "start"),
    ],
)
def test_a_name_that_is_twice_in_a_file(command, content, name, said, clips, tmp_path):
    Store("data/sessions").create(
        clips.make_clip(tmp_path / "a.mp4", 3),
        user_id="p01",
        exercise_name="Joint Angle Mobility",
        session_id="s1",
    )
    (tmp_path / "a.json").write_text(content)
    status, _, err = said(*command.split())
    assert (status, err.split("(")[1]) == (2, f"'{name}' is given twice)\n")


def test_a_report_is_named_on_a_terminal_or_not_and_printed_only_with_json(said, monkeypatch):
    status, out, err = said("report", "--demo")
    assert (status, err) == (0, "")
    found, _, last = out.splitlines()
    assert found.startswith("session ")
    page = Path(last.removeprefix("report  "))
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    document = said("report", "--demo", "--json")[1]
    assert json.loads(document)["grouped_data"]
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert said("report", "--demo") == (0, out, "")
    assert said("report", "--demo", "--json")[1] == document


@pytest.mark.parametrize("command", ["summary", "joint-mobility"])
@pytest.mark.parametrize("terminal", [False, True])
def test_a_document_is_json_wherever_it_goes(command, terminal, said, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    status, out, err = said(command, "--demo")
    assert (status, err) == (0, "")
    assert json.loads(out)
    assert said(command, "--demo", "--json")[1] == out


@pytest.mark.parametrize("group", ["", "sessions", "participants", "config", "keys", "virtual-lab"])
def test_help_cuts_no_text_short(group, said, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    status, out, _ = said(*group.split(), "--help")
    assert status == 0
    assert "..." not in out.partition("Commands:")[2]
    if not group:
        commands = re.findall(r"^  ([a-z]\S+)  ", out, re.M)
        assert commands[:4] == ["demo", "open", "analyze", "report"]


def test_lists_fit_into_80_columns(said, clips, tmp_path):
    clip = clips.make_clip(tmp_path / "a.mp4", 3)
    Store("data/sessions").create(clip, user_id="participant-0001", exercise_name="Overhead Squat")
    person = ("--role", "participant", "--user-id", "participant-0001")
    said("keys", "create", *person, "--expires", "1e-9")
    time.sleep(0.01)
    expired, sessions = said("keys", "list")[1], said("prune", "--keep", "0")[1]
    assert re.search(
        r"participant-0001  until \d+ \w{3} \d{4}, [\d:]{5}  expired$", expired.rstrip()
    )
    assert sessions.rstrip().endswith("MB  participant-0001")
    assert max(len(line) for line in (expired + sessions).splitlines()) <= 80


def test_help_is_shown(store):
    done = mobility("sessions", "--help", store=store)
    assert (done.returncode, done.stderr) == (0, "")
    assert "export" in done.stdout
    done = mobility("sessions", store=store)
    assert (done.returncode, done.stdout) == (2, "")
    assert "export" in done.stderr


def test_a_file_nested_too_deeply(store, tmp_path):
    (tmp_path / "deep.json").write_text("[" * 100_000)
    done = mobility("participants", "set", "p01", "--file", tmp_path / "deep.json", store=store)
    refused(done, store, "deep.json", "not a JSON document")


def test_output_that_cannot_be_written(store, clips, tmp_path):
    Store(store).create(
        clips.make_clip(tmp_path / "a.mp4", 3), user_id="p01", exercise_name="Overhead Squat"
    )
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "mobility.cli", "sessions", "list", "--store", str(store)],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr == "mobility: output: No space left on device\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("opened", ["nullcontext(options.log_to(path))", "run.logged(path)"])
def test_a_log_that_cannot_be_written_is_one_warning(opened):
    # In a process of its own: pytest's handlers would say what nobody else is told.
    code = (
        "import logging, pathlib\n"
        "from contextlib import nullcontext\n"
        "from mobility.batch import run\n"
        "from mobility.cli import options\n"
        "path = pathlib.Path('/dev/full')\n"
        f"with {opened}:\n"
        "    for number in range(3):\n"
        "        logging.getLogger('mobility.any').info('line %d', number)\n"
        "print('went on')\n"
    )
    done = ended([sys.executable, "-c", code])
    assert (done.returncode, done.stdout) == (0, "went on\n")
    assert done.stderr == (
        "warning: log file /dev/full: lines are lost (No space left on device)\n"
    )


STAND_IN = f"""
import json, sys
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
import analytic
from mobility.capture import pose, video
from mobility.provenance import with_history

def estimate_pose(path, **_):
    told = []
    list(video.read_frames(path, on_fault=told.append))
    made = analytic.squat_pose(fps=30, reps=1).pose
    seen = {{'other_people': [], 'camera_moving': None, 'camera_shift_median': None}}
    made = made.assign_attrs(survey=json.dumps(seen))
    return with_history(made, 'estimate_pose', {{}}, warnings=told)

pose.estimate_pose = estimate_pose
"""
"""It reads the frames as the search for a pose does."""


def test_a_warning_of_the_video_is_said_once_and_by_its_own_name(store, tmp_path, clips):
    video = clips.make_clip(tmp_path / "trunc.mkv", 150, size=(160, 320))
    clips.cut(video, 0.6)
    done = mobility("analyze", video, "--no-fit", "--no-report", store=store, before=STAND_IN)
    assert done.returncode == 0, done.stderr
    told = [line for line in done.stderr.splitlines() if "the file ends at" in line]
    assert len(told) == 1, done.stderr
    assert told[0].startswith("warning: trunc.mkv: the file ends at ")


def test_one_damaged_record_does_not_hide_the_others(store, clips, tmp_path):
    place = Store(store)
    ids = [
        place.create(
            clips.make_clip(tmp_path / "a.mp4", 3), user_id=user, exercise_name="Overhead Squat"
        ).id
        for user in ("p01", "p02", "p03")
    ]
    place.set_participant("p01")
    (store / "participants" / "p01.json").write_text("[]")
    (store / ids[1] / "session.json").write_text("null")
    (store / f"{ids[2]}x").mkdir()
    (store / f"{ids[2]}x" / "video.mp4").write_bytes(b"a session that lost its record")
    done = mobility("sessions", "list", store=store)
    assert done.returncode == 0
    rows = done.stdout.splitlines()
    assert sorted(line.split()[0] for line in rows[:2]) == sorted([ids[0], ids[2]])
    # Ids of one second are in the order of their random ends.
    unread, lost = sorted(rows[2:4], key=lambda row: row.split()[0] != ids[1])
    assert unread.startswith(f"{ids[1]}  damaged      session {ids[1]}: its record is damaged")
    assert lost.startswith(f"{ids[2]}x  damaged      session {ids[2]}x: its record is missing")
    assert "p01.json" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    done = mobility("participants", "list", store=store)
    assert done.stdout.split() == ["p01", "p03"]
    warned = {line.split(": ")[1] for line in done.stderr.splitlines()}
    assert warned == {f"session {i}" for i in (ids[1], f"{ids[2]}x")}


def test_an_analysis_that_nobody_works_on_is_listed_as_interrupted(store, clips, tmp_path):
    clip = clips.make_clip(tmp_path / "a.mp4", 3)
    session = Store(store).create(clip, user_id="p01", exercise_name="Overhead Squat")
    record = session.record.model_copy(update={"state": "analyzing"})
    (session.folder / "session.json").write_text(record.model_dump_json())
    assert " interrupted " in mobility("sessions", "list", store=store).stdout
    done = mobility("report", session.id, store=store)
    assert f"finish it with: mobility edit {session.id}" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
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
        f"mobility: interrupted; session {session.id} is kept, "
        f"finish it with: mobility edit {session.id}"
    ]


def test_a_bug_in_the_analysis_leaves_no_session(store, tmp_path, clips):
    before = "from mobility.capture import pose\npose.estimate_pose = lambda *_, **__: 1 / 0"
    video = clips.make_clip(tmp_path / "a.mp4", 3)
    done = mobility("analyze", video, store=store, before=before)
    assert "ZeroDivisionError" in done.stderr
    assert files_below(store) == []


def test_a_point_outside_the_picture_changes_nothing(store, tmp_path, clips):
    session = Store(store).create(
        clips.make_clip(tmp_path / "a.mp4", 3), user_id="p01", exercise_name="Overhead Squat"
    )
    before = session.record
    done = mobility("edit", session.id, "--subject", "99999,1", store=store)
    assert done.returncode == 2
    assert "outside the picture" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert session.record == before
    assert session.edits().edits == []


def test_store_that_cannot_be_written(clips, tmp_path):
    video = clips.make_clip(tmp_path / "clip.mp4", 3)
    done = mobility("analyze", video, "--store", "/proc/store", store=tmp_path / "unused")
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert "/proc/store" in done.stderr


@pytest.mark.slow
def test_read_only_store_and_full_disk(tfjs_video, tmp_path):
    """On real file systems: read-only, too small for the video, and for its pose."""
    if os.geteuid() != 0:
        pytest.skip("mounting a file system needs root")
    place = tmp_path / "disk"
    place.mkdir()
    for options, words in (
        ("size=64m,ro", "read-only"),
        ("size=400k", "full"),
        ("size=600k", "full"),
    ):
        mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
        if subprocess.run(mount, capture_output=True, check=False).returncode:
            pytest.skip("this machine does not allow mounting")
        try:
            done = mobility(
                "analyze", tfjs_video, "--no-report", "--no-annotate", store=place / "store"
            )
            assert done.returncode == 2, done.stderr
            assert "Traceback" not in done.stderr
            # A slow machine says every half minute how far it is, with the time.
            said = [line for line in done.stderr.splitlines() if not line[:2].isdigit()]
            assert len(said) == 1
            assert words in done.stderr.lower()
            assert files_below(place) == []
        finally:
            subprocess.run(["umount", str(place)], check=True)


@pytest.fixture(scope="module")
def analyzed(tfjs_video, tmp_path_factory):
    """A session of three real squats, made by the command line, with its report."""
    store = tmp_path_factory.mktemp("cli") / "store"
    done = mobility(
        "analyze", tfjs_video, "--user-id", "p01", "--json", "--workers", "1", store=store
    )
    assert done.returncode == 0, done.stderr
    return store, json.loads(done.stdout)


@pytest.fixture(scope="module")
def tfjs_video(shared_data):
    return shared_data / "videos" / "tfjs_pose_squats.mp4"


@pytest.mark.slow
def test_analyze_prints_one_json_document(analyzed):
    store, answer = analyzed
    assert set(answer) == {"session_id", "title", "report"}
    assert set(answer["report"]) == {"html", "client", "notebook", "json"}
    for uri in answer["report"].values():
        assert uri.startswith("file:///")
        assert Path(uri.removeprefix("file://")).is_file()
    session = {p.name for p in (store / answer["session_id"]).iterdir()}
    assert {
        *("session.json", "video.mp4", "analyzed.mp4", "pose.nc", "fitted.nc", "angles.nc"),
        *("repetitions.nc", "metrics.nc", "metrics.parquet", "capture_quality.json"),
    } <= session


@pytest.mark.slow
def test_documents_of_the_session(analyzed):
    store, answer = analyzed
    show = json.loads(mobility("sessions", "show", answer["session_id"], store=store).stdout)
    assert show["segments"] == 3
    assert len(show["all_timestamps"]) == 65
    assert len(show["angles"]["left_knee_angle"]) == 65
    export = json.loads(mobility("sessions", "export", answer["session_id"], store=store).stdout)
    assert len(export["keypoints"]["lknex"]) == 65
    report = json.loads(mobility("report", answer["session_id"], "--json", store=store).stdout)
    assert set(report["grouped_data"]) == {
        *("hip_flexion", "hip_abduction", "knee_flexion", "knee_movement", "ankle_dorsiflexion")
    }
    summary = json.loads(mobility("summary", answer["session_id"], store=store).stdout)
    assert "hip_adduction" in summary["grouped_data"]
    listed = json.loads(mobility("sessions", "list", "--json", store=store).stdout)
    assert [entry["session_id"] for entry in listed] == [answer["session_id"]]


@pytest.mark.slow
def test_repetitions_corrected_by_hand_survive_a_new_analysis(analyzed, tfjs_video, tmp_path):
    store, answer = analyzed
    rows = json.loads(mobility("repetitions", answer["session_id"], "--json", store=store).stdout)
    assert len(rows) == 3
    first = [{name: rows[0][name] for name in ("start", "bottom", "end")}]
    (tmp_path / "reps.json").write_text(json.dumps(first))
    done = mobility(
        "repetitions", answer["session_id"], "--set", tmp_path / "reps.json", "--json", store=store
    )
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)) == 1
    show = json.loads(mobility("sessions", "show", answer["session_id"], store=store).stdout)
    assert show["segments"] == 1
    edits = json.loads((store / answer["session_id"] / "edits.json").read_text())
    assert edits["edits"][0]["kind"] == "repetitions"
    (tmp_path / "bad.json").write_text('[{"start": 5, "bottom": 1, "end": 2}]')
    bad = mobility("repetitions", answer["session_id"], "--set", tmp_path / "bad.json", store=store)
    assert bad.returncode == 2
    assert len(bad.stderr.strip().splitlines()) == 1


@pytest.mark.slow
def test_all_that_is_written_of_a_participant_is_for_the_owner_only(tmp_path):
    person = tmp_path / "person.json"
    person.write_text('{"height_m": 1.68}')
    person.chmod(0o600)
    tmp_path.chmod(0o700)
    script = (
        f"umask 000 && m='{sys.executable} -m mobility.cli' && "
        "$m demo --log-file logs/demo.log && one=$(ls $MOBILITY_STORE) && "
        "$m participants set demo --file person.json && $m threads $one --kind summary && "
        "$m edit $one --camera-side left && $m report $one && $m cohort && "
        "$m export-lab $one --out demo.trc && $m participants export demo --out demo.zip && "
        "$m keys create --role participant --user-id demo"
    )
    done = ended(["sh", "-c", script], cwd=tmp_path, env={**os.environ, "MOBILITY_STORE": "store"})
    assert done.returncode == 0, done.stderr
    places = [tmp_path, *tmp_path.rglob("*")]
    assert {"analyzed.mp4", "cohort.parquet", "demo.zip", "demo.log"} <= {p.name for p in places}
    bits = {str(p.relative_to(tmp_path)): oct(p.stat().st_mode & 0o777) for p in places}
    assert {name for name, mode in bits.items() if mode not in ("0o600", "0o700")} == set()


@pytest.mark.slow
def test_delete_deletes_everything(analyzed, tmp_path):
    made, answer = analyzed
    store, session_id = tmp_path / "store", answer["session_id"]
    for folder in ("store", "reports"):
        shutil.copytree(made.parent / folder, tmp_path / folder)
    assert list((tmp_path / "reports").glob(f"{session_id}*"))
    assert mobility("sessions", "delete", session_id, store=store).returncode == 0
    assert files_below(store) == []
    assert not list((tmp_path / "reports").glob(f"{session_id}*"))


@pytest.mark.slow
def test_participants(tmp_path):
    store = tmp_path / "store"
    person = tmp_path / "p01.json"
    person.write_text('{"display_name": "Ana", "sex": "female", "height_m": 1.68}')
    done = mobility("participants", "set", "p01", "--file", person, store=store)
    assert done.returncode == 0, done.stderr
    shown = json.loads(mobility("participants", "show", "p01", store=store).stdout)
    assert shown["height_m"] == 1.68
    assert mobility("participants", "list", store=store).stdout.split() == ["p01"]
    person.write_text('{"hieght_m": 1.68}')
    refused_line = mobility("participants", "set", "p01", "--file", person, store=store)
    assert refused_line.returncode == 2
    assert "did you mean 'height_m'?" in refused_line.stderr


@pytest.mark.slow
def test_no_complete_repetition_is_a_warning(opencap_video, tmp_path):
    frames = [(f.time, f.image) for f in list(read_frames(opencap_video, stop=1.0))[::2]]
    write_video(tmp_path / "standing.mp4", iter(frames))
    done = mobility("analyze", tmp_path / "standing.mp4", "--json", store=tmp_path / "store")
    assert done.returncode == 0, done.stderr
    assert "repetition" in done.stderr
    html = Path(json.loads(done.stdout)["report"]["html"].removeprefix("file://")).read_text()
    assert "repetition" in html[: html.index("All measures")]


@pytest.mark.slow
@pytest.mark.parametrize("after", [3.0, 12.0])
def test_killed_at_any_time_the_next_run_starts_clean_or_resumes(tfjs_video, tmp_path, after):
    store = tmp_path / "store"
    command = [
        sys.executable,
        "-m",
        "mobility.cli",
        "analyze",
        str(tfjs_video),
        "--workers",
        "1",
    ]
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        env={**os.environ, "MOBILITY_STORE": str(store)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    time.sleep(after)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    code = (
        "import mobility as mb\n"
        "store = mb.Store('store', reports='reports')\n"
        "for session in store.sessions():\n"
        "    session.analyze(workers=1)\n"
        "    print(session.id, session.details()['segments'], session.report()['exercise'])\n"
    )
    again = ended([sys.executable, "-c", code], cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    for line in again.stdout.splitlines():
        assert line.endswith("3 Overhead Squat")
    left = [name for name in files_below(tmp_path) if "tmp" in Path(name).name]
    assert left == []


def test_a_wrong_case_or_grid_is_one_line(store, tmp_path):
    case = tmp_path / "case.yaml"
    case.write_text("camera: {azimuth: 3}\ncamera: {azimuth: 4}\n")
    done = mobility("virtual-lab", "render", case, tmp_path / "out", store=store)
    refused(done, store, "case.yaml", "'camera' is given twice")
    case.write_text("camera: {azimut: 3}\n")
    done = mobility("virtual-lab", "render", case, tmp_path / "out", store=store)
    refused(done, store, "case.yaml, camera: azimut: unknown", "did you mean 'azimuth'")
    grid = tmp_path / "grid.yaml"
    grid.write_text("axes: {camera.azimuth: []}\n")
    done = mobility("virtual-lab", "sweep", grid, store=store)
    refused(done, store, "grid.yaml", "axes")
    done = mobility("virtual-lab", "sweep", tmp_path / "absent.yaml", store=store)
    refused(done, store, "there is no such grid")
    grid.write_text("axes: {camera.azimuth: [0]}\n")
    done = mobility("virtual-lab", "sweep", grid, grid, store=store)
    refused(done, store, "two grids are called 'grid'")
    assert not (tmp_path / "build").exists()
