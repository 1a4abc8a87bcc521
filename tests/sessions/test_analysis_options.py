"""Options of an analysis: what they may be, which go together, and where they are offered."""

from __future__ import annotations

import re

import pytest
import typer

from mobility.catalogue.registry import of_single_joints
from mobility.cli.main import app
from mobility.errors import BadInputError
from mobility.serve.http_documents import CreationForm
from mobility.sessions.analysis_options import (
    AnalysisOptions,
    check_movement,
    given_options,
    options_at,
)
from mobility.sessions.files import read_json


def test_every_way_in_is_made_of_the_fields(project):
    fields = AnalysisOptions.model_fields
    assert all(
        re.fullmatch(r"[A-Z].*\.", field.description, re.DOTALL) for field in fields.values()
    )
    command = typer.main.get_command(app).commands["analyze"]
    flags = {each.name: each for each in command.params}
    assert flags.keys() >= options_at("command line").model_fields.keys() == fields.keys()
    assert fields["standing"].description in flags["standing"].help
    over_http = options_at("http").model_fields
    properties = CreationForm.model_json_schema()["properties"]
    page = (project / "docs" / "http.md").read_text(encoding="utf-8")
    for name in over_http:
        assert properties[name]["description"] == fields[name].description
        assert re.search(rf"^\|[^|]*`{name}`", page, re.MULTILINE), name
    assert not {"fit", "keep_raw", "annotate", "second_subject"} & properties.keys()
    assert options_at("form").model_fields.keys() < over_http.keys()


@pytest.mark.parametrize("second", [False, True])
def test_what_is_stored_is_read_again(second):
    given = {"subject": "3,4.5", "height_m": "1,72", "standing": "12", "fit": "yes", "rate": "30"}
    options = AnalysisOptions(**given).for_videos(second=second, calibrated=False)
    stored = options.as_stored()
    assert stored["subject"] == [3, 4.5]
    assert (stored["height_m"], stored["field_of_view"], stored["rate"]) == (1.72, "auto", 30)
    assert stored.get("second_subject") == ("largest" if second else None)
    assert AnalysisOptions(**stored) == options


def test_the_usual_detector_is_none_and_another_has_no_model_of_mediapipe():
    for name in ("mediapipe", "auto"):
        usual = AnalysisOptions(detector=name)
        assert usual == AnalysisOptions()
        assert "detector" not in usual.as_stored()
    other = AnalysisOptions(detector="rtmpose")
    assert other.as_stored()["detector"] == "rtmpose"
    assert AnalysisOptions(**other.as_stored()) == other
    with pytest.raises(BadInputError, match=r"model: heavy is a MediaPipe model") as refused:
        AnalysisOptions(detector="rtmpose", model="heavy").for_videos(
            second=False, calibrated=False
        )
    assert list(refused.value.fields) == ["model"]


def test_those_of_sessions_that_are_there_are_read(project):
    for name in ("overhead-squat", "joint-angle-mobility"):
        record = read_json(project / "data" / "demo" / name / "session.json")
        stored = record["provenance"]["options"]
        assert AnalysisOptions(**given_options(stored)).as_stored() == stored


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"height_m": 172}, r"height_m: must be from 0\.5 to 2\.6 metres \(got 172\)"),
        ({"height_m": True}, "0.5 to 2.6 metres"),
        ({"field_of_view": "wide"}, "10 to 160 degrees"),
        ({"camera_pitch": 75}, "-60 to 60 degrees"),
        ({"load_kg": -5}, r"from 0\.1 to 400 kilograms"),
        ({"load_at": "back"}, "load_at: input should be 'hands' or 'shoulders'"),
        ({"rate": "al"}, r"usual, all, or from 5 to 1000 frames a second; did you mean 'all'"),
        ({"rate": "auto"}, "usual, all, or from 5"),
        ({"subject": (1, float("nan"))}, "subject: must be two numbers, x and y in pixels"),
        ({"subject": (1, 1e9)}, "x and y in pixels, from 0 to 99999"),
        ({"standing": -1}, "from 0 to 60 degrees of flexion"),
        ({"standing": "\u0661\u0662"}, "from 0 to 60 degrees"),
        ({"standing": "nan"}, "from 0 to 60 degrees"),
        ({"rate": "1_000"}, "5 to 1000 frames a second"),
        ({"subject": "1_2,40"}, "subject: must be two numbers"),
        ({"height_m": "1.7_2"}, "0.5 to 2.6 metres"),
        ({"model": ""}, "model: is empty"),
        ({"workrs": 2, "keepraw": True}, "did you mean 'keep_raw'"),
    ],
)
def test_what_cannot_be_is_refused_by_name(given, words):
    with pytest.raises(BadInputError, match=words) as refused:
        given_options(given)
    assert refused.value.fields.keys() == given.keys()


def test_options_that_do_not_go_together():
    for given, videos, named in (
        ({"second_subject": "largest"}, {"second": False, "calibrated": False}, "second_subject"),
        ({"fit": False}, {"second": True, "calibrated": False}, "fit"),
        ({"fit": False}, {"second": False, "calibrated": True}, "calibration"),
        ({"field_of_view": 60}, {"second": True, "calibrated": True}, "calibration"),
        ({"camera_pitch": 6}, {"second": False, "calibrated": True}, "camera_pitch"),
        ({"load_kg": 20}, {"second": False, "calibrated": False}, "load_kg"),
        ({"load_at": "hands"}, {"second": False, "calibrated": False}, "load_at"),
        (
            {"load_kg": 20, "load_at": "hands", "fit": False},
            {"second": False, "calibrated": False},
            "load_kg",
        ),
        ({"camera_pitch": 6, "fit": False}, {"second": False, "calibrated": False}, "camera_pitch"),
    ):
        with pytest.raises(BadInputError) as refused:
            AnalysisOptions(**given).for_videos(**videos)
        assert list(refused.value.fields) == [named]
    for name, joints in (("elbow_flexion", ["knee"]), ("elbow_flexon", ["elbow"])):
        with pytest.raises(BadInputError, match=r"not among the joints|did you mean"):
            check_movement(name, of_single_joints(), joints)
    check_movement("elbow_flexion", of_single_joints(), ["elbow"])
