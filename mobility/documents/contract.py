"""The JSON documents, field by field; data that do not fit them are never written or served.

Numbers are rounded where a document is built (:mod:`mobility.documents.fill`): angles to 0.01
degree, ratios and visibilities to 0.001, pixels to 0.01, milliseconds to 0.001. A value that is not
reported or is missing is ``null``. NaN and infinity are not JSON and raise an error. An optional
field without a value is left out of a document.
"""

from __future__ import annotations

import datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field, StringConstraints, model_validator

from mobility.assessment.results import Result, Status, in_current_words
from mobility.assessment.trial_errors import Judgement
from mobility.catalogue.registry import ExerciseName
from mobility.sessions.record import Document, Finite, Number, Numbers, Sha256, Side

GroupName = Literal[
    "hip_flexion", "hip_abduction", "knee_flexion", "knee_movement", "ankle_dorsiflexion"
]
SummaryGroupName = Literal[
    "hip_flexion", "hip_adduction", "knee_flexion", "knee_movement", "ankle_dorsiflexion"
]
ThreadMetric = Literal[GroupName, "final_summary"]
ThreadKind = Literal["summary", "recommendation"]
MeasurementSystem = Literal["metric", "imperial"]
ThreadId = Annotated[str, StringConstraints(pattern=r"^thread_[A-Za-z0-9]{24}$")]
DayMonthYear = Annotated[str, StringConstraints(pattern=r"^\d{2}/\d{2}/\d{4}$")]
TimeOfDay = Annotated[str, StringConstraints(pattern=r"^(0[1-9]|1[0-2]):[0-5]\d (AM|PM)$")]


PoseSource = Annotated[str, Field(description="source of the keypoints: mediapipe or other")]
SourceSoftware = Annotated[str, Field(description="name of the model that found the keypoints")]


class CreatedAt(Document):
    """When a session was created, in the time zone of its creation."""

    date: DayMonthYear
    time: TimeOfDay


class _WithResult(Document):
    """A document with the result of a check. Results stored in older words are converted."""

    @model_validator(mode="before")
    @classmethod
    def _in_current_words(cls, values: Any) -> Any:
        return in_current_words(values)


class Check(_WithResult):
    """The result of one rule, on one side."""

    rule: str
    name: Annotated[str, Field(description="name of the check, as in a row of the first page")]
    label: Annotated[str, Field(description="the finding; if there is none, the name of the check")]
    side: Side | None
    result: Result
    value: Number
    interval: Annotated[
        list[Finite] | None, Field(min_length=2, max_length=2, description="95 % interval")
    ]
    units: str
    direction: Annotated[
        Literal["below", "above", "outside"],
        Field(description="side of the limit on which a value is outside the target"),
    ]
    limit: Number
    margin: Annotated[Number, Field(description="smallest difference from the limit that matters")]
    probability: Annotated[
        Number, Field(description="probability that the value is outside its target")
    ]
    beyond_margin: Annotated[
        Number, Field(description="probability that the value is outside by more than the margin")
    ]
    reason: Annotated[
        str, Field(description="why the result is neither outside nor met; otherwise empty")
    ]
    source: Annotated[str, Field(description="source of the limit")]
    gross: Annotated[
        str,
        Field(description="what the picture shows if the result is inconclusive; otherwise empty"),
    ] = ""


Checks = Annotated[list[Check], Field(description="checks of all rules, as on the first page")]


class SessionDocument(Document):
    """Details of a session."""

    segments: Annotated[int, Field(ge=0, description="number of accepted repetitions")]
    video_url: str
    analyzed_video_url: str | None = None
    activity: str
    title: str
    user_name: str
    created_at: CreatedAt
    exercise: ExerciseName
    angles: Annotated[dict[str, Numbers], Field(description="degrees, over all_timestamps")]
    all_timestamps: Annotated[list[Finite], Field(description="milliseconds")]
    checks: Checks | None = None
    pose_source: PoseSource | None = None
    source_software: SourceSoftware | None = None


class CheckReason(Document):
    """A problem with a recording."""

    code: Annotated[str, Field(description="code of the warning, or name of the check")]
    why: str
    what_to_do: str


class SeenInFilm(Document):
    """Results of a first look at a video."""

    exercise: Annotated[ExerciseName | None, Field(description="null if it is not clear")]
    view: str
    azimuth_deg: Finite | None
    repetitions: Annotated[int, Field(ge=0)]
    duration_s: Finite
    frame_rate: Finite | None


class RecordingCheck(Document):
    """First judgement of a recording: good, usable with limits, or to be filmed again."""

    good: bool
    film_again: Annotated[bool, Field(description="whether most results would be missing or wrong")]
    verdict: Literal["good", "limited", "not_this_exercise", "unusable"]
    headline: str
    reasons: Annotated[
        list[CheckReason], Field(description="problems of the recording, the worst first")
    ]
    seen: SeenInFilm
    view_hides: Annotated[
        str, Field(description="what cannot be seen from this view, in words; may be empty")
    ]
    first_look: Annotated[str, Field(description="note that this is a first look, in words")]


class Creation(Document):
    """Response to the creation of a session."""

    session_id: str
    title: str


class ExportDocument(Document):
    """The landmarks and angles of a session."""

    activity: str
    angles: dict[str, Numbers]
    all_timestamps: list[Finite]
    keypoints: Annotated[
        dict[str, Numbers],
        Field(
            description="x, y and the depth z in pixels (z is null if the model has no depth); "
            "v is the visibility or the model's confidence, from 0 to 1"
        ),
    ]
    pose_source: PoseSource | None = None
    source_software: SourceSoftware | None = None


class KneeMovementPhases(Document):
    """Addresses of the pictures of the knees in the phases of the squat.

    Null for a phase without a picture.
    """

    left: str | None
    right: str | None
    front: str | None


class ReportGroup(Document):
    """Metrics of one group and the curves that belong to them."""

    metrics: dict[str, Number]
    graph_data: dict[str, Numbers]


class ReportComments(Document):
    """Text on each group, for the participant."""

    hip_flexion: str | None = None
    hip_abduction: str | None = None
    knee_flexion: str | None = None
    knee_movement: str | None = None
    ankle_dorsiflexion: str | None = None
    final_summary: str | None = None


OutputQuality = Annotated[
    dict[str, Number],
    Field(
        description="mobility_index and quality_index from 0 to 100. For each index, "
        "<index>_coverage is the share of its parts that have a result, and "
        "<index>_<part> is null for each part without a result"
    ),
]

UserInfo = dict[str, str | Number]
"""Optional entries: user_id, display_name, sex, birth_year, age, height_m, weight (kg), email."""


class ReportDocument(Document):
    """Report of an exercise with repetitions."""

    grouped_data: dict[GroupName, ReportGroup]
    graph_timestamps: Annotated[list[Finite], Field(description="milliseconds")]
    knee_movement_phases: KneeMovementPhases
    user_info: UserInfo | None = None
    exercise: ExerciseName
    report_comments: ReportComments | None = None
    output_quality: OutputQuality | None = None
    checks: Checks | None = None
    date: DayMonthYear
    pose_source: PoseSource | None = None
    source_software: SourceSoftware | None = None


class FilmOfVisit(Document):
    """One session of a visit, and how it was filmed."""

    session_id: str
    exercise: ExerciseName
    state: str
    view: str
    azimuth: Annotated[
        Number, Field(description="in degrees: 0 from the front, positive to the right")
    ]
    verdict: Annotated[str, Field(description="verdict on the recording; empty without results")]
    reason: Annotated[
        str, Field(description="why the visit uses no results from this session; otherwise empty")
    ]
    pose_source: Annotated[
        str, Field(description="source of the keypoints; empty without results")
    ] = ""
    source_software: Annotated[
        str, Field(description="model that found the keypoints; empty without results")
    ] = ""


class VisitCheck(Check):
    """The result of one rule, for a number from one video or combined from several."""

    exercise: ExerciseName
    sessions: Annotated[list[str], Field(description="sessions that the number comes from")]
    views: list[str]


class VisitJoint(Document):
    """An end of range, a range, or a difference between sides, of a single-joint movement."""

    exercise: ExerciseName
    movement: str
    metric: str
    side: Annotated[str, Field(description="left or right; empty for right minus left")]
    value: Number
    sd: Number
    sem: Number
    units: str
    reference: Number
    reference_kind: str | None
    reason: str
    sessions: list[str]
    views: list[str]


class VisitChange(Document):
    """A number that was measured in both of two visits."""

    exercise: ExerciseName
    metric: str
    side: str
    before: Finite
    now: Finite
    change: Finite
    least: Annotated[Finite, Field(description="smallest detectable change (95 %)")]
    exceeds: bool
    judged: Annotated[
        Judgement,
        Field(
            description="whether the change is towards the target or away from it, or both "
            "visits meet it. Empty without a target, or if the visits were not "
            "filmed and analysed in the same way"
        ),
    ]
    repetitions: Annotated[
        int,
        Field(
            description="number of repetitions in the visit with fewer repetitions; 0 if "
            "not counted"
        ),
    ]
    units: str
    error: Literal["own", "retest"]
    error_of: str
    since: Annotated[datetime.date, Field(description="day of the earlier visit")]


class FurtherFilm(Document):
    """Another video that would decide checks which none of the videos decides."""

    exercise: ExerciseName
    view: str
    checks: Annotated[list[str], Field(description="names of rules, each followed by its side")]


class VisitDocument(Document):
    """A visit: the sessions of a participant on one day."""

    user_id: str
    date: datetime.date
    films: list[FilmOfVisit]
    checks: list[VisitCheck]
    joints: list[VisitJoint]
    changes: list[VisitChange]
    further_films: list[FurtherFilm]


class ServedVisit(VisitDocument):
    """A visit, and where its page is."""

    page_url: str
    client_page_url: Annotated[str, Field(description="address of the page for the client")]


class SummaryDocument(Document):
    """Summary of an exercise with repetitions."""

    grouped_data: dict[SummaryGroupName, dict[str, Number]]
    knee_movement_phases: KneeMovementPhases
    user_info: UserInfo | None = None
    exercise: ExerciseName
    output_quality: OutputQuality | None = None
    summary: ReportComments | None = None
    date: DayMonthYear
    pose_source: PoseSource | None = None
    source_software: SourceSoftware | None = None


_EXTREME = (
    "angle in degrees, the median of the ends of range; null if it was not reported or not seen"
)


class JointAngle(Document):
    """One angle of one side: its extremes, and its course over the session's timestamps."""

    max: Annotated[Number, Field(description=f"largest {_EXTREME}")]
    min: Annotated[Number, Field(description=f"smallest {_EXTREME}")]
    values: Numbers


class JointMobilityDocument(Document):
    """Report of single-joint movements."""

    title: str
    angles: dict[str, JointAngle]
    exercise: ExerciseName
    user_info: UserInfo | None = None
    date: DayMonthYear
    uploaded_date: Annotated[AwareDatetime, Field(description="with UTC offset")]
    shown_angles: Annotated[
        list[str], Field(description="keys of angles, in the order in which they are shown")
    ]
    comments: dict[str, str]
    pose_source: PoseSource | None = None
    source_software: SourceSoftware | None = None


class ErrorBody(Document):
    """Response to an error."""

    error: str


class FieldErrors(Document):
    """Response to errors in named fields."""

    errors: dict[str, list[str]]


class Message(Document):
    """One message of a thread."""

    role: Annotated[
        Literal["workbench", "person"], Field(description="author: the software or a person")
    ]
    who: str
    when: AwareDatetime
    text: str


class Evidence(_WithResult):
    """One statement on which the texts of a thread rest."""

    metric: str
    side: Side | None
    value: Number
    interval: Annotated[tuple[Finite, Finite] | None, Field(description="95 % interval")]
    units: str
    threshold: Number
    probability: Annotated[
        Number, Field(description="probability that the value is outside its target")
    ]
    status: Status
    result: Result | None = None
    rule: str
    source: Annotated[str, Field(description="source of the threshold")]


class Thread(Document):
    """``threads/<id>.json``: texts on one metric, the evidence for them, and people's replies."""

    schema_version: Literal["1"] = "1"
    id: ThreadId
    session_id: str
    kind: ThreadKind
    metric: ThreadMetric
    system: MeasurementSystem
    data_key: Annotated[Sha256, Field(description="key of the data that the texts describe")]
    created_at: Annotated[AwareDatetime, Field(description="with UTC offset")]
    superseded_by: Annotated[
        ThreadId | None, Field(description="thread on newer data, if there is one")
    ] = None
    messages: list[Message]
    evidence: list[Evidence]
