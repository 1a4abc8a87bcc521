from __future__ import annotations

import datetime
import json
import math

import pytest
from pydantic import BaseModel, ValidationError

from mobility.assessment.results import RESULTS
from mobility.documents import contract
from mobility.sessions import record

PHASES = {"left": "l.png", "right": "r.png", "front": "f.png"}
TEXTS = {"hip_flexion": "a", "ankle_dorsiflexion": "b", "final_summary": "c", "hip_abduction": "d"}

# The documented examples, with the names of their fields and one value of each type.
ANGLES = {"angles": {"hip_angle": [1], "ankle_angle": [1]}, "all_timestamps": [1]}
HIP = {"left_hip_flexion": 12.5, "right_hip_flexion": 15.3, "hip_flexion_asymmetry": 2.8}
GROUPS = {
    "hip_flexion": {
        "metrics": HIP,
        "graph_data": {"lhip_flexion": [10, 20, 30], "rhip_flexion": [15, 25, 35]},
    },
    "ankle_dorsiflexion": {
        "metrics": {"left_ankle_flexion": 9.8, "ankle_flexion_asymmetry": 0.7},
        "graph_data": {"lank_flexion": [6, 12, 18], "rank_flexion": [7, 14, 21]},
    },
}
SUMMARY = {
    "hip_flexion": {"left_hip_flexion": 84.0},
    "hip_adduction": {"left_hip_abduction": 9.0},
    "knee_flexion": {"left_knee_flexion": 79.0},
    "ankle_dorsiflexion": {"left_ankle_flexion": 9.0},
}
KEYPOINTS = {"pose_source": "other", "source_software": "RTMPose"}
SQUAT = {"knee_movement_phases": PHASES, "exercise": "Overhead Squat", "date": "11/03/2025"}
# Beyond the documented fields.
CHECK = {
    **{"rule": "heel_rise", "name": "Heel rise", "label": "heels rise", "side": "left"},
    **{"result": "borderline", "value": 2.0, "interval": [-5.0, 9.0], "units": "degree"},
    **{"direction": "above", "limit": 4.0, "margin": 4.0, "probability": 0.3},
    **{"beyond_margin": 0.1, "reason": "", "source": "a choice"},
}
EXAMPLES: list[tuple[type[BaseModel], dict[str, object]]] = [
    (
        contract.SessionDocument,
        {
            **{"segments": 1, "activity": "text", "title": "text", "user_name": "text"},
            "video_url": "https://example.com",
            "analyzed_video_url": "https://example.com",
            "created_at": {"date": "11/03/2025", "time": "09:05 PM"},
            "exercise": "Overhead Squat",
            **ANGLES,
            **KEYPOINTS,
            "checks": [CHECK],
        },
    ),
    (contract.Creation, {"session_id": "text", "title": "text"}),
    (
        contract.ExportDocument,
        {
            **{"activity": "text", **ANGLES, **KEYPOINTS},
            "keypoints": {"lknev": [1], "headv": [1], "rshox": [1]},
        },
    ),
    (
        contract.ReportDocument,
        {
            **SQUAT,
            **KEYPOINTS,
            "grouped_data": GROUPS,
            "graph_timestamps": [0, 5000, 10000],
            "user_info": {"weight": 70, "email": "a@b.c", "anything": "else"},
            "report_comments": TEXTS,
            "output_quality": {"mobility_index": 46, "quality_index": 67},
            "checks": [CHECK],
        },
    ),
    (
        contract.SummaryDocument,
        {
            **SQUAT,
            **KEYPOINTS,
            "grouped_data": SUMMARY,
            "user_info": {"display_name": "Natalia Alioth", "weight": 70.0, "email": "a@b.c"},
            "output_quality": {"mobility_index": 46.0},
            "summary": TEXTS,
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
    *KEYPOINTS,
    "checks",
    "analyzed_video_url",
    "user_info",
    "report_comments",
    "output_quality",
    "summary",
}


@pytest.mark.parametrize(
    ("model", "example"), EXAMPLES, ids=[model.__name__ for model, _ in EXAMPLES]
)
def test_exactly_the_documented_fields_are_taken_and_come_back_unchanged(model, example):
    assert model.model_validate(example).json_values() == example
    assert set(model.model_fields) == set(example)
    with pytest.raises(ValidationError, match="extra_forbidden"):
        model.model_validate({**example, "surprise": 1})
    for name in example:
        rest = {key: value for key, value in example.items() if key != name}
        if name in OPTIONAL:
            assert name not in model.model_validate(rest).json_values()
        else:
            with pytest.raises(ValidationError, match=name):
                model.model_validate(rest)


def test_nan_and_infinity_are_refused_everywhere():
    example = EXAMPLES[3][1]
    for value in (math.nan, math.inf, -math.inf):
        group = {"metrics": {"x": value}, "graph_data": {}}
        curve = {"metrics": {}, "graph_data": {"x": [value]}}
        for spoilt in (
            {**example, "grouped_data": {"hip_flexion": group}},
            {**example, "grouped_data": {"hip_flexion": curve}},
            {**example, "graph_timestamps": [value]},
            {**example, "output_quality": {"mobility_index": value}},
        ):
            with pytest.raises(ValidationError, match="finite"):
                contract.ReportDocument.model_validate(spoilt)


def test_null_is_a_missing_angle_only_and_times_ages_and_heights_can_be_right():
    example = EXAMPLES[0][1]
    contract.SessionDocument.model_validate({**example, "angles": {"hip_angle": [None, 1.0]}})
    with pytest.raises(ValidationError, match="all_timestamps"):
        contract.SessionDocument.model_validate({**example, "all_timestamps": [None]})
    for time in ("21:05", "9:05 AM", "13:00 PM", "00:10 AM", "09:60 AM"):
        with pytest.raises(ValidationError, match="pattern"):
            contract.CreatedAt(date="11/03/2025", time=time)
    with pytest.raises(ValidationError, match="not both"):
        record.Participant(user_id="p", age=30, birth_year=1990)
    with pytest.raises(ValidationError, match="height_m"):
        record.Participant(user_id="p", height_m=168)


def test_numbers_of_a_participant_are_written_plainly():
    taken = record.GivenParticipant(user_id="p", birth_year="1990", height_m="1,68")
    assert (taken.birth_year, taken.height_m) == (1990, 1.68)
    for name, text in (("age", "3_0"), ("birth_year", "1_990"), ("weight_kg", "\u0666\u0666")):
        with pytest.raises(ValidationError, match="must be a number"):
            record.GivenParticipant(user_id="p", **{name: text})


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
    born = record.Participant(user_id="p", birth_year=2000)
    assert (born.age_reached(2026), born.age_in(2026)) == (26, 26.0)
    assert record.Participant(user_id="p").age_in(2026) is None
    assert record.Participant(user_id="p", age=41.5).age_in(2026) == 41.5


@pytest.mark.parametrize(
    ("was", "result"),
    [
        *(("fault", "outside"), ("reached", "met"), ("near", "borderline")),
        *(("open", "inconclusive"), ("refused", "not_reported"), ("hidden", "not_visible")),
    ],
)
def test_a_check_that_was_stored_with_a_former_word_has_the_result_of_now(was, result):
    stored = {name: value for name, value in CHECK.items() if name != "result"} | {"answer": was}
    read = contract.Check.model_validate(stored)
    # The former probability was of one side of the target alone.
    assert read.json_values() == CHECK | {"result": result, "beyond_margin": None}
    assert contract.Check(**stored) == read
    with pytest.raises(ValidationError, match="result"):
        contract.Check.model_validate(stored | {"answer": "no word of ours"})
    with pytest.raises(ValidationError, match="result"):  # only stored documents have them
        contract.Check.model_validate(CHECK | {"result": was})
    with pytest.raises(ValidationError, match="answer"):
        contract.Check.model_validate(CHECK | {"answer": was})


def test_the_committed_reports_are_read_with_the_results_of_now(project):
    """Whenever they were made; their numbers are those that are stored."""
    files = sorted(project.glob("reports/demo-*/*.json"))
    with_checks = 0
    for file in files:
        stored = json.loads(file.read_text(encoding="utf-8"))
        if "checks" not in stored:
            continue
        with_checks += 1
        checks = contract.ReportDocument.model_validate(stored).json_values()["checks"]
        assert {each["result"] for each in checks} <= {*RESULTS}
        for now, then in zip(checks, stored["checks"], strict=True):
            same = now.keys() - {"result"}
            assert {name: now[name] for name in same} == {name: then[name] for name in same}
    assert with_checks == 4


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
