"""Manifests: every problem with its row and column, and the same work under the same id."""

from __future__ import annotations

import os

import pytest
import small_results
import written_keypoints

from mobility.capture.video import probe
from mobility.errors import BadInputError, NotFoundError
from mobility.serve.batch.manifest import ManifestError, Refused, read_manifest


@pytest.fixture
def place(tmp_path, clips):
    for number, name in enumerate(("a.mp4", "b.MOV")):
        clips.make_clip(tmp_path / name, 3 + number)
    (tmp_path / "p02").mkdir()
    clips.make_clip(tmp_path / "p02" / "c.mp4", 6)
    return tmp_path


def manifest(place, text, encoding="utf-8"):
    (place / "m.csv").write_text(text, encoding=encoding)
    return place / "m.csv"


def problems(place, text):
    with pytest.raises(ManifestError) as caught:
        read_manifest(manifest(place, text))
    return {(p.row, p.column): p.message for p in caught.value.problems}


def test_a_row_needs_its_video_only(place):
    (row,) = read_manifest(manifest(place, "video\na.mp4\n"))
    assert row.video == place / "a.mp4"
    assert (row.number, row.participant, row.exercise) == (2, "anonymous", "Overhead Squat")
    assert row.joints == ("ankle", "knee", "hip", "shoulder", "elbow")
    # Complete, so that an option that is taken out again goes back to its default.
    assert row.options == {
        **dict.fromkeys(("model", "field_of_view", "camera_pitch", "height_m", "movement"), "auto"),
        **dict.fromkeys(("load_kg", "load_at"), "auto"),
        **{
            "subject": "largest",
            "standing": "usual",
            "fit": True,
            "annotate": True,
            "advice": True,
        },
        **{"keep_raw": False, "blur_face": False, "rate": "usual"},
    }


def test_all_columns(place):
    (row,) = read_manifest(
        manifest(
            place,
            "video,second_video,participant,exercise,joints,name,options,sex,birth_year,height_m\n"
            'a.mp4,b.MOV,p01,Joint Angle Mobility,"elbow, knee",First,'
            '"subject=1,2; blur_face=yes;field_of_view=60; model=heavy; standing=12",'
            "female,1990,1.7\n",
        ),
        here=False,  # where the heavy model need not be
    )
    assert row.second_video == place / "b.MOV"
    assert (row.joints, row.name) == (("knee", "elbow"), "First")
    given = {"subject": [1.0, 2.0], "second_subject": "largest", "blur_face": True}
    given |= {"field_of_view": 60, "model": "heavy", "standing": 12.0}
    assert {name: row.options[name] for name in given} == given
    assert row.person == {"sex": "female", "birth_year": 1990, "height_m": 1.7}


def test_a_calibration(place):
    size = [(info := probe(place / "a.mp4")).width, info.height]
    cameras = [
        small_results.camera(name, size[0], turn, size[1]) for name, turn in (("c", 0), ("d", 1))
    ]
    (place / "c.toml").write_text("".join(cameras))
    text = "video,second_video,calibration,options\na.mp4,b.MOV,c.toml,{}\n"
    (row,) = read_manifest(manifest(place, text.format("")))
    assert row.calibration == place / "c.toml"
    (without,) = read_manifest(manifest(place, "video,second_video\na.mp4,b.MOV\n"))
    assert without.session_id != row.session_id
    assert (2, "calibration") in problems(place, text.format("field_of_view=60"))
    faults = problems(place, "video,calibration\na.mp4,c.toml\nb.MOV,absent.toml\n")
    assert "has 2 cameras (c, d) for 1 video" in faults[2, "calibration"]
    assert "there is no such file" in faults[3, "calibration"]


def test_what_spreadsheets_write(place):
    text = "Video;Participant\r\na.mp4;p01\r\n\r\nb.MOV;p02\r\n"
    rows = read_manifest(manifest(place, text, "utf-8-sig"))
    # Numbers as a spreadsheet shows them.
    assert [(row.number, row.participant) for row in rows] == [(2, "p01"), (4, "p02")]


def test_every_problem_is_told_with_its_row_and_column(place):
    (place / "text.mp4").write_text("no video")
    faults = problems(
        place,
        "video,participant,exercise,joints,name,options,age,sex,height_m\n"
        "absent.mp4,,,,,,,,\n"
        "text.mp4,../p,Sqat,ancle,a\x07b,kep_raw=1,,,\n"
        "a.mp4,,,,,fit,200,man,17\n"
        ",,,,,keep_raw=maybe,,,\n"
        "s3://bucket/a.mp4,,,,,second_subject=1;second_subject=2,,,\n"
        "b.MOV,,,,,model=haevy,,,\n"
        "p02/c.mp4,,,,,standing=straigth,,,\n",
    )
    words = {
        (2, "video"): "no such file",
        (3, "video"): "text.mp4",
        (3, "participant"): "../p",
        (3, "exercise"): "did you mean 'Squat'?",
        (3, "joints"): "did you mean 'ankle'?",
        (3, "name"): "control character",
        (3, "options"): "did you mean 'keep_raw'?",
        (4, "options"): "name=value",
        (4, "age"): "120",
        (4, "sex"): "'female' or 'male'",
        (4, "height_m"): "2.6",
        (5, "video"): "is empty",
        (5, "options"): "keep_raw",
        (6, "video"): "is a URL",
        (6, "options"): "is given twice",
        (7, "options"): "'full', 'heavy' or 'both' (got 'haevy')",
        (8, "options"): "standing: must be usual, straight, free, or from 0 to 60 degrees",
    }
    assert faults.keys() == words.keys()
    for key, word in words.items():
        assert word in faults[key], key


def test_a_model_that_this_machine_does_not_have_is_a_problem_of_its_rows(place, monkeypatch):
    monkeypatch.setattr("mobility.capture.models.cache_folder", lambda: place / "models")
    text = "video,options\na.mp4,model=heavy\nb.MOV,model=full\np02/c.mp4,model=both\n"
    faults = problems(place, text)
    assert faults.keys() == {(2, "options"), (4, "options")}
    assert all("'mobility models --model heavy'" in fault for fault in faults.values())


def test_a_wrong_header(place):
    for head, words in (
        ("video,participent", "did you mean 'participant'?"),
        ("participant", "is missing; add it (columns: video, second_video"),
        ("video,video", "is given twice"),
        ("video,", "unknown"),
    ):
        (message,) = problems(place, f"{head}\na.mp4,p01\n").values()
        assert words in message
    # Many unknown columns are one line with a count.
    columns = ",".join(f"c{number}" for number in range(10_000))
    ((key, message),) = problems(place, f"video,{columns}\na.mp4\n").items()
    assert key == (1, "c0, c1, c2, c3, c4")
    assert message.startswith("and 9995 more are unknown; choose from video, ")


def test_rows_that_contradict_each_other(place):
    (place / "copy.mp4").write_bytes((place / "a.mp4").read_bytes())
    faults = problems(
        place,
        "video,participant,height_m,age,birth_year\n"
        "a.mp4,p01,1.7,30,\ncopy.mp4,p01,1.7,,\nb.MOV,p01,1.8,,1990\n",
    )
    assert "same video, participant and exercise as row 2" in faults[3, "video"]
    assert "p01 has 1.7 in row 2" in faults[4, "height_m"]
    assert "both an age and a birth year" in faults[4, "age"]
    (message,) = problems(place, "video,birth_year\na.mp4,2091\n").values()
    assert "must be from" in message
    assert "got '2091'" in message
    # Options of two videos.
    assert problems(place, "video,options\na.mp4,second_subject=largest\n") == {
        (
            2,
            "options",
        ): "second_subject: there is no second video. Leave it out, or add a second video"
    }
    faults = problems(place, "video,second_video,options\na.mp4,b.MOV,fit=no\n")
    assert "only with a fitted body" in faults[2, "options"]
    # A movement of a joint that the row does not measure.
    faults = problems(
        place,
        "video,exercise,joints,options\n"
        "a.mp4,,,movement=elbow_flexion\n"
        "b.MOV,joint-angle-mobility,knee,movement=elbow_flexion\n",
    )
    assert "not to Overhead Squat" in faults[2, "options"]
    assert "moves the elbow, which is not among the joints" in faults[3, "options"]


def test_an_id_is_of_content_and_not_of_places(place):
    # The same video of somebody else, or of another exercise, is other work.
    text = "video,participant,exercise\na.mp4,p01,\na.mp4,p02,\na.mp4,p01,Joint Angle Mobility\n"
    assert len({row.session_id for row in read_manifest(manifest(place, text))}) == 3
    (row,) = read_manifest(manifest(place, "video,name,options\na.mp4,One,keep_raw=yes\n"))
    (place / "elsewhere.mp4").write_bytes((place / "a.mp4").read_bytes())
    (again,) = read_manifest(manifest(place, "video\nelsewhere.mp4\n"))
    assert row.session_id == again.session_id
    assert row.session_id.startswith("video-")


def test_a_bad_file_of_a_folder_is_refused_alone(place):
    """A manifest that names the same files is refused whole."""
    (place / "b.MOV").write_bytes(b"")
    (place / "copy.mp4").write_bytes((place / "a.mp4").read_bytes())
    (place / ".upload.mp4").write_bytes(b"half")
    (place / "notes.txt").write_text("no video")
    (place / "no id!").mkdir()
    (place / "no id!" / "a.mp4").write_bytes((place / "a.mp4").read_bytes())
    rows = read_manifest(place, participant="p01")
    assert [(row.number, row.video, isinstance(row, Refused)) for row in rows] == [
        (1, place / "a.mp4", False),
        (2, place / "b.MOV", True),
        (3, place / "copy.mp4", True),
        (4, place / "no id!" / "a.mp4", True),
        (5, place / "p02" / "c.mp4", False),
    ]
    assert "is empty" in rows[1].reason
    assert "is the same video, participant and exercise as row 1, a.mp4" in rows[2].reason
    assert "no id!" in rows[3].reason
    assert problems(place, "video\na.mp4\nb.MOV\ncopy.mp4\n").keys() == {(3, "video"), (4, "video")}


def test_what_is_no_table(place):
    for content, words in (
        (b"", "has no rows"),
        (b"video\n", "has no rows"),
        (b'video\n"a.mp4\n', "is not a CSV file"),
        (b"video\na.mp4,b,c\n", "3 values for 1 columns"),
        (b"video\n\xff\xfe.mp4\n", "is not UTF-8"),
        (b"video\na\0.mp4\n", "contains NUL characters"),
    ):
        (place / "m.csv").write_bytes(content)
        with pytest.raises(BadInputError) as caught:
            read_manifest(place / "m.csv")
        messages = [str(problem) for problem in getattr(caught.value, "problems", [])]
        assert words in " ".join([str(caught.value), *messages])


def test_what_is_no_file_or_folder_of_videos(place):
    for options, words in (({"participant": "no id!"}, "no id!"),):
        with pytest.raises(BadInputError, match=words):
            read_manifest(place, **options)
    with pytest.raises(NotFoundError, match="no such file or folder"):
        read_manifest(place / "absent.csv")
    os.mkfifo(place / "pipe.csv")
    (place / "empty").mkdir()
    for given, words in (
        ("s3://bucket/m.csv", "is a URL"),
        (place / "pipe.csv", "is neither a file nor a folder"),
        (place / "empty", "contains no video"),
    ):
        with pytest.raises(BadInputError, match=words):
            read_manifest(given)


def test_keypoints(place):
    frames = written_keypoints.walker(3)
    written_keypoints.openpose(place / "json", frames)
    written_keypoints.long_csv(place / "b.csv", written_keypoints.walker(4))
    text = "video,second_video,keypoints,second_keypoints,keypoints_model,options\n{}\n"
    (row,) = read_manifest(manifest(place, text.format("a.mp4,b.MOV,json,b.csv,HRNet,")))
    assert row.keypoints == (place / "json", place / "b.csv")
    assert row.keypoints_model == "HRNet"
    (without,) = read_manifest(manifest(place, "video,second_video\na.mp4,b.MOV\n"))
    assert without.session_id != row.session_id
    assert (
        "got 1 for 2 videos" in problems(place, text.format("a.mp4,b.MOV,json,,,"))[2, "keypoints"]
    )
    assert (
        "has no effect with imported keypoints"
        in problems(place, text.format("a.mp4,,json,,,model=full"))[2, "options"]
    )
    assert "no such file" in problems(place, text.format("a.mp4,,absent,,,"))[2, "keypoints"]
    model_alone = problems(place, text.format("a.mp4,,,,HRNet,"))
    assert "add them with keypoints" in model_alone[2, "keypoints"]
