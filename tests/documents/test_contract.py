from __future__ import annotations

import datetime
import json
import math

import pytest
from pydantic import BaseModel, ValidationError

from mobility.documents import contract
from mobility.sessions import record

PHASES = {"left": "l.png", "right": "r.png", "front": "f.png"}
TEXTS = {"hip_flexion": "a", "ankle_dorsiflexion": "b", "final_summary": "c", "hip_abduction": "d"}

# The documented examples, with the names of their fields and one value of each type.
EXAMPLES: list[tuple[type[BaseModel], dict[str, object]]] = [
    (
        contract.SessionDocument,
        {
            "segments": 1,
            "video_url": "https://example.com",
            "analyzed_video_url": "https://example.com",
            "activity": "text",
            "title": "text",
            "user_name": "text",
            "created_at": {"date": "11/03/2025", "time": "09:05 PM"},
            "exercise": "Overhead Squat",
            "angles": {"hip_angle": [1], "ankle_angle": [1]},
            "all_timestamps": [1],
        },
    ),
    (contract.Creation, {"session_id": "text", "title": "text"}),
    (
        contract.ExportDocument,
        {
            "activity": "text",
            "angles": {"hip_angle": [1]},
            "all_timestamps": [1],
            "keypoints": {"lknev": [1], "headv": [1], "rshox": [1]},
        },
    ),
    (
        contract.ReportDocument,
        {
            "grouped_data": {
                "hip_flexion": {
                    "metrics": {
                        "left_hip_flexion": 12.5,
                        "right_hip_flexion": 15.3,
                        "hip_flexion_asymmetry": 2.8,
                    },
                    "graph_data": {"lhip_flexion": [10, 20, 30], "rhip_flexion": [15, 25, 35]},
                },
                "ankle_dorsiflexion": {
                    "metrics": {"left_ankle_flexion": 9.8, "ankle_flexion_asymmetry": 0.7},
                    "graph_data": {"lank_flexion": [6, 12, 18], "rank_flexion": [7, 14, 21]},
                },
            },
            "graph_timestamps": [0, 5000, 10000],
            "knee_movement_phases": PHASES,
            "user_info": {"weight": 70, "email": "a@b.c", "anything": "else"},
            "exercise": "Overhead Squat",
            "report_comments": TEXTS,
            "output_quality": {"mobility_index": 46, "quality_index": 67},
            "date": "11/03/2025",
        },
    ),
    (
        contract.SummaryDocument,
        {
            "grouped_data": {
                "hip_flexion": {"left_hip_flexion": 84.0},
                "hip_adduction": {"left_hip_abduction": 9.0},
                "knee_flexion": {"left_knee_flexion": 79.0},
                "ankle_dorsiflexion": {"left_ankle_flexion": 9.0},
            },
            "knee_movement_phases": PHASES,
            "user_info": {"display_name": "Natalia Alioth", "weight": 70.0, "email": "a@b.c"},
            "exercise": "Overhead Squat",
            "output_quality": {"mobility_index": 46.0},
            "summary": TEXTS,
            "date": "11/03/2025",
        },
    ),
    (
        record.DisplayConfig,
        {"shown_angles": ["knee_angle", "hip_angle"], "comments": {"knee_angle": "Check."}},
    ),
    (contract.ErrorBody, {"error": "text"}),
    (contract.FieldErrors, {"errors": {"user_id": ["missing"]}}),
]
OPTIONAL = {
    "analyzed_video_url",
    "user_info",
    "report_comments",
    "output_quality",
    "summary",
}
by_model = pytest.mark.parametrize(
    ("model", "example"), EXAMPLES, ids=[model.__name__ for model, _ in EXAMPLES]
)


@by_model
def test_the_documented_example_is_valid_and_comes_back_unchanged(model, example):
    assert model.model_validate(example).json_values() == example


@by_model
def test_no_documented_field_is_missing_and_none_is_added(model, example):
    assert set(model.model_fields) == set(example)


@by_model
def test_unknown_fields_are_refused(model, example):
    with pytest.raises(ValidationError, match="extra_forbidden"):
        model.model_validate({**example, "surprise": 1})


@by_model
def test_exactly_the_optional_fields_may_be_absent(model, example):
    for name in example:
        rest = {key: value for key, value in example.items() if key != name}
        if name in OPTIONAL:
            assert name not in model.model_validate(rest).json_values()
        else:
            with pytest.raises(ValidationError, match=name):
                model.model_validate(rest)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_nan_and_infinity_are_refused_everywhere(value):
    example = EXAMPLES[3][1]
    group = {"metrics": {"x": value}, "graph_data": {}}
    for spoilt in (
        {**example, "grouped_data": {"hip_flexion": group}},
        {**example, "grouped_data": {"hip_flexion": {"metrics": {}, "graph_data": {"x": [value]}}}},
        {**example, "graph_timestamps": [value]},
        {**example, "output_quality": {"mobility_index": value}},
    ):
        with pytest.raises(ValidationError, match="finite"):
            contract.ReportDocument.model_validate(spoilt)


def test_null_stands_for_a_missing_angle_but_not_for_a_missing_time():
    example = EXAMPLES[0][1]
    contract.SessionDocument.model_validate({**example, "angles": {"hip_angle": [None, 1.0]}})
    with pytest.raises(ValidationError, match="all_timestamps"):
        contract.SessionDocument.model_validate({**example, "all_timestamps": [None]})


@pytest.mark.parametrize("time", ["21:05", "9:05 AM", "13:00 PM", "00:10 AM", "09:60 AM"])
def test_time_of_day_is_on_a_clock_of_twelve_hours(time):
    with pytest.raises(ValidationError, match="pattern"):
        contract.CreatedAt(date="11/03/2025", time=time)


def test_participant_has_one_age_and_a_plausible_height():
    with pytest.raises(ValidationError, match="not both"):
        record.Participant(user_id="p", age=30, birth_year=1990)
    with pytest.raises(ValidationError, match="height_m"):
        record.Participant(user_id="p", height_m=168)


def test_a_birth_year_is_of_somebody_who_lives():
    now = datetime.datetime.now().astimezone().year
    for year in (now, now - record.OLDEST):
        assert record.GivenParticipant(user_id="p", birth_year=year).birth_year == year
    for year in (now + 1, now - record.OLDEST - 1):
        with pytest.raises(ValidationError, match=f"from {now - record.OLDEST} to {now}"):
            record.GivenParticipant(user_id="p", birth_year=year)
        # What was stored before can still be read, and gives no age.
        stored = record.Participant(user_id="p", birth_year=year)
        assert stored.age_reached(now) is None
        assert stored.age_in(now) is None
    known = record.Participant(user_id="p", birth_year=2000)
    assert (known.age_reached(2026), known.age_in(2026)) == (26, 26.0)
    assert record.Participant(user_id="p").age_in(2026) is None
    assert record.Participant(user_id="p", age=41.5).age_in(2026) == 41.5


def test_the_last_edit_of_a_kind_holds():
    when = datetime.datetime.now(datetime.UTC)

    def edit(kind: str, after: object) -> record.Edit:
        return record.Edit(kind=kind, who="Ann", when=when, before=None, after=after)

    edits = record.Edits(
        edits=[edit("camera_side", "left"), edit("subject", [1, 2]), edit("camera_side", None)]
    )
    assert edits.current("subject") == [1, 2]
    assert edits.current("camera_side") is None
    assert edits.current("repetitions") is None
    again = record.Edits.model_validate(json.loads(json.dumps(edits.model_dump(mode="json"))))
    assert again == edits
