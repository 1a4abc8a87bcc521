"""The JSON documents, field by field; what does not fit them is never written or served.

Numbers are rounded where a document is built (:mod:`mobility.workbench.documents`):
angles to 0.01 degree, ratios and visibilities to 0.001, pixels to 0.01,
milliseconds to 0.001. A value that was refused or is missing is ``null``; NaN
and infinity are not JSON and are refused. A field that is optional is left out
of a document when there is nothing to say.
"""

from __future__ import annotations

import datetime
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)

Exercise = Literal["Overhead Squat", "Joint Angle Mobility"]
Limb = Literal["ankle", "knee", "hip", "shoulder", "elbow"]
Joint = Limb | Literal["trunk", "neck"]
Side = Literal["left", "right"]
State = Literal["created", "analyzing", "analyzed", "edited", "failed"]

EXERCISES: tuple[str, ...] = get_args(Exercise)
SIDEWAYS: tuple[str, ...] = ("trunk", "neck")
"""Joints that are measured only where they are named, and in Joint Angle Mobility."""
JOINTS: tuple[str, ...] = get_args(Limb)
"""Joints that "all" stands for."""
MEASURED: tuple[str, ...] = (*JOINTS, *SIDEWAYS)

Finite = Annotated[float, Field(allow_inf_nan=False)]
Number = Finite | None
"""A finite number, or null where the value was refused or is missing."""
Numbers = list[Number]

OLDEST = 120
"""Largest age in years."""

GroupName = Literal[
    "hip_flexion", "hip_abduction", "knee_flexion", "knee_movement", "ankle_dorsiflexion"
]
SummaryGroupName = Literal[
    "hip_flexion", "hip_adduction", "knee_flexion", "knee_movement", "ankle_dorsiflexion"
]
ThreadMetric = Literal[
    "hip_flexion",
    "hip_abduction",
    "knee_flexion",
    "knee_movement",
    "ankle_dorsiflexion",
    "final_summary",
]
ThreadKind = Literal["summary", "recommendation"]
MeasurementSystem = Literal["metric", "imperial"]
ThreadId = Annotated[str, StringConstraints(pattern=r"^thread_[A-Za-z0-9]{24}$")]
DayMonthYear = Annotated[str, StringConstraints(pattern=r"^\d{2}/\d{2}/\d{4}$")]
TimeOfDay = Annotated[str, StringConstraints(pattern=r"^(0[1-9]|1[0-2]):[0-5]\d (AM|PM)$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Document(BaseModel):
    """Base of all documents: unknown fields are forbidden."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    def json_values(self) -> dict[str, Any]:
        """JSON values of the fields that were given; optional ones left out stay out."""
        return self.model_dump(mode="json", exclude_unset=True)


class CreatedAt(Document):
    """When a session was created, in the time zone of its creation."""

    date: DayMonthYear
    time: TimeOfDay


class SessionDocument(Document):
    """Details of a session."""

    segments: Annotated[int, Field(ge=0, description="accepted repetitions")]
    video_url: str
    analyzed_video_url: str | None = None
    activity: str
    title: str
    user_name: str
    created_at: CreatedAt
    exercise: Exercise
    angles: Annotated[dict[str, Numbers], Field(description="degrees, over all_timestamps")]
    all_timestamps: Annotated[list[Finite], Field(description="milliseconds")]


class Creation(Document):
    """Answer to the creation of a session."""

    session_id: str
    title: str


class ExportDocument(Document):
    """Landmarks and angles of a session."""

    activity: str
    angles: dict[str, Numbers]
    all_timestamps: list[Finite]
    keypoints: Annotated[
        dict[str, Numbers],
        Field(description="x, y in pixels, z in pixels of depth, v visibility 0 to 1"),
    ]


class KneeMovementPhases(Document):
    """Places of the pictures of the knees in the phases of the squat; null where there is none."""

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
        description="mobility_index and quality_index, 0 to 100; <index>_coverage, the share of "
        "its weights that was measured; <index>_<part>, null, for each part that is not in it"
    ),
]

UserInfo = dict[str, str | Number]
"""Free map: user_id, display_name, sex, birth_year, age, height_m, weight (kg), email."""


class ReportDocument(Document):
    """Overhead Squat report."""

    grouped_data: dict[GroupName, ReportGroup]
    graph_timestamps: Annotated[list[Finite], Field(description="milliseconds")]
    knee_movement_phases: KneeMovementPhases
    user_info: UserInfo | None = None
    exercise: Exercise
    report_comments: ReportComments | None = None
    output_quality: OutputQuality | None = None
    date: DayMonthYear


class SummaryDocument(Document):
    """Overhead Squat summary."""

    grouped_data: dict[SummaryGroupName, dict[str, Number]]
    knee_movement_phases: KneeMovementPhases
    user_info: UserInfo | None = None
    exercise: Exercise
    output_quality: OutputQuality | None = None
    summary: ReportComments | None = None
    date: DayMonthYear


class JointAngle(Document):
    """One angle of one side: its extremes, and its course over the session's timestamps."""

    max: Annotated[Number, Field(description="degrees, of values; null where there is none")]
    min: Annotated[Number, Field(description="degrees, of values; null where there is none")]
    values: Numbers


class JointMobilityDocument(Document):
    """Joint Angle Mobility report."""

    title: str
    angles: dict[str, JointAngle]
    exercise: Literal["Joint Angle Mobility"]
    user_info: UserInfo | None = None
    date: DayMonthYear
    uploaded_date: Annotated[AwareDatetime, Field(description="with offset")]
    shown_angles: Annotated[list[str], Field(description="keys of angles, in their order")]
    comments: dict[str, str]


class DisplayConfig(Document):
    """Display settings of a Joint Angle Mobility session."""

    shown_angles: Annotated[list[str], Field(description="in order; empty: no choice, all")]
    comments: dict[str, str]


class StoredConfig(DisplayConfig):
    """``config.json``: display settings, and how often they were saved."""

    schema_version: Literal["1"] = "1"
    revision: Annotated[int, Field(ge=1)]


class ErrorBody(Document):
    """Answer to a fault."""

    error: str


class FieldErrors(Document):
    """Answer to faults of named fields."""

    errors: dict[str, list[str]]


class Participant(Document):
    """What is known of a participant; nothing but the id is required."""

    user_id: str
    display_name: str | None = None
    sex: Literal["female", "male"] | None = None
    birth_year: Annotated[int, Field(ge=1900, le=2100)] | None = None
    age: Annotated[float, Field(ge=0, le=OLDEST, description="years")] | None = None
    height_m: Annotated[float, Field(ge=0.4, le=2.6)] | None = None
    weight_kg: Annotated[float, Field(ge=2, le=400)] | None = None
    email: Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+$")] | None = None

    @model_validator(mode="after")
    def _one_age(self) -> Participant:
        if self.birth_year is not None and self.age is not None:
            raise ValueError("give birth_year or age, not both")
        return self

    def age_reached(self, year: int) -> int | None:
        """Age that is reached in a year, by the birth year.

        None where there is no birth year, or one that cannot be right: it is later, say.
        """
        if self.birth_year is None or not 0 <= year - self.birth_year <= OLDEST:
            return None
        return year - self.birth_year


class GivenParticipant(Participant):
    """What somebody says of a participant now: checked more closely than what was stored before."""

    @field_validator("birth_year", "age", "height_m", "weight_kg", mode="before")
    @classmethod
    def _a_number(cls, value: object) -> object:
        if isinstance(value, bool):
            raise ValueError("must be a number")
        return value

    @field_validator("birth_year")
    @classmethod
    def _born(cls, value: int | None) -> int | None:
        now = datetime.datetime.now().astimezone().year
        if value is not None and not now - OLDEST <= value <= now:
            raise ValueError(f"must be from {now - OLDEST} to {now}")
        return value


class VideoFile(Document):
    """A video of a session: its file, and where it came from."""

    file: str
    original_name: str
    sha256: Sha256
    size: Annotated[int, Field(ge=0, description="bytes")]


class CalibrationFile(VideoFile):
    """The calibration of the cameras of a session."""


class Stage(Document):
    """A finished stage of the analysis."""

    key: Sha256
    file: str
    sha256: Annotated[Sha256, Field(description="of the file")]
    seconds: Annotated[float, Field(ge=0)]
    finished: AwareDatetime


class Rendering(Document):
    """How the last report was rendered."""

    seconds: Annotated[float, Field(ge=0)]
    finished: AwareDatetime


class Provenance(Document):
    """With what the results were made."""

    video_sha256: Sha256
    model_sha256: Sha256 | None = None
    versions: dict[str, str]
    options: dict[str, Any]
    options_sha256: Sha256


class Warned(Document):
    """Something that a reader of the results should know: a code and one line."""

    code: str
    message: str


class SessionRecord(Document):
    """``session.json``: what a session is and how far its analysis has come."""

    schema_version: Literal["1"]
    session_id: str
    user_id: str
    exercise: Exercise
    session_name: str | None = None
    joints: list[Joint]
    movement: Annotated[
        str | None, Field(description="of the table movements, that was said to be filmed")
    ] = None
    created_at: Annotated[AwareDatetime, Field(description="with offset")]
    video: VideoFile
    second_video: Annotated[
        VideoFile | None, Field(description="of another camera, of the same trial")
    ] = None
    calibration: Annotated[
        CalibrationFile | None, Field(description="with which the cameras were known")
    ] = None
    state: State = "created"
    reason: Annotated[str, Field(description="why the analysis failed")] = ""
    stages: dict[str, Stage] = Field(default_factory=dict)
    provenance: Provenance | None = None
    warnings: list[Warned] = Field(default_factory=list)
    report: Rendering | None = None


class Edit(Document):
    """One correction by hand."""

    kind: Literal["repetitions", "subject", "second_subject", "camera_side"]
    who: str
    when: AwareDatetime
    before: Any
    after: Annotated[Any, Field(description="null: back to what the analysis finds")]


class Edits(Document):
    """``edits.json``: every correction by hand, oldest first."""

    schema_version: Literal["1"] = "1"
    edits: list[Edit] = Field(default_factory=list)

    def current(self, kind: str) -> Any:
        """Return what holds now for `kind`; None where nothing was corrected."""
        return next((edit.after for edit in reversed(self.edits) if edit.kind == kind), None)


class Message(Document):
    """One message of a thread."""

    role: Annotated[
        Literal["workbench", "person"], Field(description="who wrote it: the software, or someone")
    ]
    who: str
    when: AwareDatetime
    text: str


class Evidence(Document):
    """One statement on which the texts of a thread rest."""

    metric: str
    side: Side | None
    value: Number
    interval: Annotated[tuple[Finite, Finite] | None, Field(description="95 %")]
    units: str
    threshold: Number
    probability: Annotated[Number, Field(description="that the fault is there")]
    status: Literal["found", "not found", "cannot be told"]
    rule: str
    source: Annotated[str, Field(description="of the threshold")]


class Thread(Document):
    """``threads/<id>.json``: texts on one metric, what they rest on, and what people add."""

    schema_version: Literal["1"] = "1"
    id: ThreadId
    session_id: str
    kind: ThreadKind
    metric: ThreadMetric
    system: MeasurementSystem
    data_key: Annotated[Sha256, Field(description="of the data that the texts are about")]
    created_at: Annotated[AwareDatetime, Field(description="with offset")]
    superseded_by: Annotated[
        ThreadId | None, Field(description="the thread on newer data, where there is one")
    ] = None
    messages: list[Message]
    evidence: list[Evidence]


class BatchRow(Document):
    """What became of one row of a manifest."""

    row: Annotated[int, Field(description="line of the manifest, or number of the file")]
    video: Annotated[str, Field(description="name of the file")]
    participant: str
    exercise: Exercise
    session_id: str
    state: Literal["done", "skipped", "failed"]
    reason: Annotated[str, Field(description="why it failed")] = ""
    may_pass: Annotated[
        bool, Field(description="whether it failed of what may pass: a full disk, a lost worker")
    ] = False
    report: Annotated[
        str | None, Field(description="HTML page, as seen from the folder of the summary")
    ] = None
    redone: Annotated[list[str], Field(description="stages that were not skipped")] = Field(
        default_factory=list
    )
    seconds: Annotated[dict[str, float], Field(description="by stage, of those redone")] = Field(
        default_factory=dict
    )
    took_s: Annotated[
        float | None, Field(description="in its worker, with what belongs to no stage")
    ] = None
    warnings: list[str] = Field(default_factory=list)


class BatchSummary(Document):
    """``summary.json`` of a batch."""

    schema_version: Literal["1"] = "1"
    manifest: Annotated[str, Field(description="name of the file or folder")]
    started: AwareDatetime
    ended: AwareDatetime
    took_s: Annotated[
        float | None, Field(description="also right where the clock was set meanwhile")
    ] = None
    versions: dict[str, str]
    rows: list[BatchRow]


GROUPED_BY = (
    *("sex", "age_band", "age", "height_m", "weight_kg", "user_id", "exercise"),
    *("view", "recording", "cameras", "method", "software"),
)
"""What people can be grouped by."""
