"""The stored fields of a session and of a participant."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)

from mobility import tables
from mobility.base.parsing import parse_number
from mobility.base.provenance import AnalysisWarning
from mobility.catalogue import registry
from mobility.catalogue.exercise import Exercise
from mobility.catalogue.joints import Joint
from mobility.catalogue.registry import ExerciseName
from mobility.errors import BadInputError
from mobility.keypoints.sources import Origin

Side = Literal["left", "right"]
PoseName = Literal["pose", "second_pose"]
State = Literal["created", "analyzing", "analyzed", "edited", "failed"]

Finite = Annotated[float, Field(allow_inf_nan=False)]
Number = Finite | None
"""A finite number, or null if the value is not reported or is missing."""
Numbers = list[Number]

ANONYMOUS = "anonymous"
"""Participant of sessions that do not name one. These sessions may belong to different people."""
DEMO = "demo"
"""Participant of the sessions of ``mobility demo``, which stands for nobody; it is not listed or
counted.
"""
OLDEST = 120
"""Largest age in years."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


def now() -> datetime.datetime:
    """Return the time of this computer to the second, with its UTC offset."""
    return datetime.datetime.now().astimezone().replace(microsecond=0)


class Document(BaseModel):
    """Base of all documents: unknown fields are forbidden."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    def json_values(self) -> dict[str, Any]:
        """Return the JSON values of the fields that were set, without unset optional fields."""
        return self.model_dump(mode="json", exclude_unset=True)


class DisplayConfig(Document):
    """Display settings of a session with single-joint movements."""

    shown_angles: Annotated[
        list[str], Field(description="angles to show, in order; all angles if it is empty")
    ]
    comments: dict[str, str]


class StoredConfig(DisplayConfig):
    """``config.json``: display settings, and the number of times that they were saved."""

    schema_version: Literal["1"] = "1"
    revision: Annotated[int, Field(ge=1)]

    def settings(self) -> dict[str, Any]:
        """Return only the settings."""
        return self.model_dump(include=set(DisplayConfig.model_fields))


class Participant(Document):
    """Data of a participant; only the ID is required."""

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
        """Return the age in a given year, computed from the birth year.

        None without a birth year, or if the birth year is impossible, such as a later year.
        """
        if self.birth_year is None or not 0 <= year - self.birth_year <= OLDEST:
            return None
        return year - self.birth_year

    def age_in(self, year: int) -> float | None:
        """Return the age in years (in `year`, if there is a birth year); None if unknown."""
        reached = self.age_reached(year)
        return self.age if reached is None else float(reached)


class GivenParticipant(Participant):
    """Data entered by a user, which are checked more strictly than stored data."""

    @field_validator("birth_year", "age", "height_m", "weight_kg", mode="before")
    @classmethod
    def _a_number(cls, value: object) -> object:
        if isinstance(value, bool):
            raise ValueError("must be a number")
        return parse_number(value) if isinstance(value, str) else value

    @field_validator("birth_year")
    @classmethod
    def _possible_birth_year(cls, value: int | None) -> int | None:
        year = now().year
        if value is not None and not year - OLDEST <= value <= year:
            raise ValueError(f"must be from {year - OLDEST} to {year}")
        return value


class VideoFile(Document):
    """A video of a session: its file and its origin."""

    file: str
    original_name: str
    sha256: Sha256
    size: Annotated[int, Field(ge=0, description="bytes")]


class CalibrationFile(VideoFile):
    """The calibration of the cameras of a session."""


class KeypointsFile(VideoFile):
    """Keypoints from another pose model, from which the pose of a video is made.

    The file is a pose of this package; `sha256` belongs to the imported file or folder.
    """

    copy_sha256: Annotated[Sha256, Field(description="hash of the file")]
    model: Annotated[
        str, Field(description="name of the model that found the keypoints, as on the pages")
    ]


class Stage(Document):
    """A finished stage of the analysis."""

    key: Sha256
    file: str
    sha256: Annotated[Sha256, Field(description="hash of the file")]
    seconds: Annotated[float, Field(ge=0)]
    finished: AwareDatetime


class Rendering(Document):
    """How the last report was rendered."""

    seconds: Annotated[float, Field(ge=0)]
    finished: AwareDatetime


def _in_current_options(options: Any) -> Any:
    """Convert the defaults of earlier versions to the current default.

    Before ``camera_pitch`` existed, ``straight`` was the default of every exercise, and stored as
    if the user had chosen it.
    """
    if not isinstance(options, Mapping) or "camera_pitch" in options:
        return options
    return {**options, "standing": "usual"} if options.get("standing") == "straight" else options


class Provenance(Document):
    """The versions and inputs from which the results were made."""

    video_sha256: Sha256
    model_sha256: Sha256 | None = None
    pose_source: Annotated[
        str, Field(description="source of the keypoints: mediapipe or other")
    ] = Origin().pose_source
    source_software: Annotated[
        str, Field(description="name of the model that found the keypoints")
    ] = Origin().source_software
    versions: dict[str, str]
    options: Annotated[dict[str, Any], BeforeValidator(_in_current_options)]
    options_sha256: Sha256

    @property
    def standing(self) -> str:
        """Return the assumption on standing, and whether the camera's pitch was measured."""
        standing = str(self.options.get("standing", ""))
        has_pitch = self.options.get("camera_pitch") not in (None, "auto")
        return f"{standing}, pitch given" if has_pitch else standing


class SessionRecord(Document):
    """``session.json``: the description of a session, and the progress of its analysis."""

    schema_version: Literal["1"]
    session_id: str
    user_id: str
    exercise: ExerciseName
    session_name: str | None = None
    joints: list[Joint]
    movement: Annotated[
        str | None, Field(description="the movement, from the table movements, that the user named")
    ] = None
    options: Annotated[
        dict[str, Any],
        Field(description="options of the analysis, given when the session was created"),
    ] = Field(default_factory=dict)
    created_at: Annotated[AwareDatetime, Field(description="with UTC offset")]
    phone_key: Annotated[
        str | None,
        Field(description="ID of the key of the phone that added the session and may see it"),
    ] = None
    video: VideoFile
    second_video: Annotated[
        VideoFile | None, Field(description="video of the same movement from another camera")
    ] = None
    calibration: Annotated[
        CalibrationFile | None, Field(description="calibration of the cameras")
    ] = None
    keypoints: Annotated[
        KeypointsFile | None, Field(description="imported keypoints, used instead of a pose model")
    ] = None
    second_keypoints: Annotated[
        KeypointsFile | None, Field(description="imported keypoints of the second video")
    ] = None
    measured_video: Annotated[
        Literal[1, 2] | None,
        Field(description="which of two videos was measured, if only one was measured"),
    ] = None
    state: State = "created"
    reason: Annotated[str, Field(description="why the analysis failed")] = ""
    stages: dict[str, Stage] = Field(default_factory=dict)
    provenance: Provenance | None = None
    warnings: Annotated[
        list[AnalysisWarning], Field(description="warnings that concern the shown results")
    ] = Field(default_factory=list)
    verdict: Annotated[
        Literal["", "good", "limited", "not_this_exercise", "unusable"],
        Field(description="verdict on the recording; empty before the analysis"),
    ] = ""
    report: Rendering | None = None

    @property
    def kind(self) -> Exercise:
        """Return the exercise from the registry."""
        return registry.exercise(self.exercise)

    @property
    def name(self) -> str:
        """Return the name for lists: the title, or else the original name of the file."""
        return self.session_name or self.video.original_name

    @property
    def is_demo(self) -> bool:
        """Whether ``mobility demo`` made the session; such a session belongs to nobody."""
        return self.user_id == DEMO

    @property
    def visit_day(self) -> datetime.date | None:
        """Return the day of the visit, in the session's time zone.

        None without a named participant.
        """
        return None if self.user_id == ANONYMOUS else self.created_at.date()

    @property
    def videos(self) -> list[VideoFile]:
        """Return the measured videos: one or two."""
        both = [self.video, *([] if self.second_video is None else [self.second_video])]
        return both if self.measured_video is None else [both[self.measured_video - 1]]

    @property
    def measured_pose(self) -> PoseName:
        """Return the name of the pose from whose video the results have their times."""
        return "second_pose" if self.measured_video == 2 else "pose"

    @property
    def given_keypoints(self) -> list[str]:
        """Return the original names of imported keypoints, one for each video."""
        both = (self.keypoints, self.second_keypoints)
        return [file.original_name for file in both if file is not None]

    @property
    def origin(self) -> Origin:
        """Return the origin of the keypoints of the results."""
        provenance = self.provenance
        return (
            Origin()
            if provenance is None
            else Origin(provenance.pose_source, provenance.source_software)
        )

    def require(self, document: str, what: str = "") -> None:
        """Raise an error if sessions of this exercise have no document called `what`."""
        if not self.kind.has(document):
            message = tables.sentence(
                "documents.other_exercise",
                session=self.session_id,
                exercise=self.exercise,
                others=" or ".join(
                    repr(exercise.name) for exercise in registry.that_have(document)
                ),
                what=what or document,
            )
            raise BadInputError(message)


def verdict_in_words(level: str, exercise: str) -> str:
    """Return the words for a verdict on every page, list and table; empty if there is none."""
    if not level:
        return ""
    return registry.exercise(exercise).verdict_words(level)


class Edit(Document):
    """One correction by hand."""

    kind: Literal[
        "repetitions", "subject", "second_subject", "camera_side", "points", "second_points"
    ]
    who: str
    when: AwareDatetime
    before: Any
    after: Annotated[Any, Field(description="new value; null restores the result of the analysis")]


class Edits(Document):
    """``edits.json``: every correction by hand, oldest first."""

    schema_version: Literal["1"] = "1"
    edits: list[Edit] = Field(default_factory=list)

    def current(self, kind: str) -> Any:
        """Return the current correction for `kind`; None if nothing was corrected."""
        return next((edit.after for edit in reversed(self.edits) if edit.kind == kind), None)

    def points_of(self, pose: PoseName) -> list[dict[str, Any]]:
        """Return the current corrections of the landmarks of a pose; empty if there are none."""
        return self.current(POINTS_OF[pose]) or []


POINTS_OF: Mapping[PoseName, str] = {"pose": "points", "second_pose": "second_points"}
"""Kind of the correction of the landmarks of each pose."""
