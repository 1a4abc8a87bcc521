"""Documents of the HTTP interface that the workbench itself does not have."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from mobility import tables
from mobility.catalogue.joints import JOINTS, Joint, Limb
from mobility.catalogue.registry import ExerciseName, of_single_joints
from mobility.documents.contract import ThreadId
from mobility.documents.display_settings import COMMENT_LENGTH, angle_keys
from mobility.sessions.analysis_options import options_at
from mobility.sessions.files import ID_PATTERN, NAME_LENGTH
from mobility.sessions.record import Document

ETAG = r'(?:W/)?"([0-9]{1,9})"'
"""Tag of display settings: how often they were saved; a proxy may have made it a weak one."""


class SessionState(Document):
    """How far a session is."""

    session_id: str
    title: str
    name: Annotated[str, Field(description="its title, else the name that its file had")]
    user_id: str
    display_name: Annotated[str, Field(description="of the participant, else the id")]
    visit: Annotated[
        datetime.date | None,
        Field(
            description="the participant's visit, a day in the offset of created_at; null where "
            "nobody is named"
        ),
    ]
    exercise: ExerciseName
    joints: list[Joint]
    created_at: Annotated[datetime.datetime, Field(description="with offset")]
    state: Annotated[
        Literal["created", "queued", "held", "analyzing", "analyzed", "edited", "failed"],
        Field(
            description="analyzed: its results can be read; held: it waits until the server can "
            "continue, and is then tried again"
        ),
    ]
    waiting_before: Annotated[
        int, Field(ge=0, description="number of sessions that are analysed before it")
    ]
    stages: Annotated[list[str], Field(description="stages of the analysis that are done")]
    reason: Annotated[str, Field(description="why it failed or is held")]
    verdict: Annotated[
        Literal["", "good", "limited", "not_this_exercise", "unusable"],
        Field(description="what its recording is good for; empty unless it is analyzed"),
    ]
    warnings: list[str]


ID = f"^{ID_PATTERN.pattern}$"
"""Id of a session or participant, as :func:`mobility.sessions.files.check_id` takes it."""
_SHOWN = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$"

_LEFT_OUT: Any = Field(default_factory=str)
"""Default of an optional field: the schema states none, and null is not allowed."""


def _describe(form: dict[str, Any]) -> None:
    """Add the options of the analysis to the schema of a creation, and what goes with what."""
    for name, option in options_at("http").model_json_schema()["properties"].items():
        form["properties"][name] = {k: v for k, v in option.items() if v is not None}
    form["anyOf"] = [
        {
            "required": ["movement"],
            "properties": {"exercise_name": {"const": of_single_joints().name}},
        },
        {"required": ["exercise_name"], "properties": {"movement": False}},
    ]


class CreationForm(Document):
    """Body of a creation; ``exercise`` is taken as another name of ``exercise_name``.

    Beside these fields it may have the options of an analysis that are offered over HTTP.
    """

    model_config = ConfigDict(json_schema_extra=_describe)

    video: Annotated[bytes, Field(json_schema_extra={"format": "binary"})]
    keypoints: Annotated[
        bytes,
        Field(
            json_schema_extra={"format": "binary"},
            description="of another pose model for each frame, one file: JSON of AlphaPose, CSV, "
            "NetCDF, HDF5 of SLEAP",
        ),
    ] = _LEFT_OUT
    keypoints_model: Annotated[
        str,
        Field(max_length=NAME_LENGTH, pattern=_SHOWN, description="whose keypoints they are"),
    ] = _LEFT_OUT
    user_id: Annotated[
        str, Field(json_schema_extra={"pattern": ID}, description="default: the key's own user")
    ] = _LEFT_OUT
    session_name: Annotated[
        str, Field(max_length=NAME_LENGTH, pattern=_SHOWN, description="title of the session")
    ] = _LEFT_OUT
    exercise_name: Annotated[
        ExerciseName, Field(description="needed, unless a movement is given")
    ] = _LEFT_OUT
    body_joint_angles: Annotated[
        list[Limb | Literal["all"]],
        Field(description="or one text with commas; of single joints trunk and neck too"),
    ] = _LEFT_OUT
    movement: Annotated[
        str,
        Field(
            json_schema_extra={"enum": list(tables.load("movements"))},
            description="of single joints, the one to measure. With "
            "it, exercise_name and body_joint_angles may be left out",
        ),
    ] = _LEFT_OUT


class CreationFormForOthers(CreationForm):
    """Body of a creation for somebody else, who must be named."""

    user_id: Annotated[
        str, Field(json_schema_extra={"pattern": ID}, description="whose session it is")
    ]


AngleKey = Annotated[str, Field(json_schema_extra={"enum": angle_keys(JOINTS)})]
_COMMENT: Mapping[str, Any] = {
    "type": "string",
    "maxLength": COMMENT_LENGTH,
    "pattern": r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f]*$",
}


class ConfigBody(Document):
    """Body of a change of the display settings; a field that is left out stays as it is."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    shown_angles: Annotated[
        list[AngleKey],
        Field(json_schema_extra={"uniqueItems": True}, description="of the session's joints"),
    ] = _LEFT_OUT
    comments: Annotated[
        dict[AngleKey, str],
        Field(
            json_schema_extra={
                "propertyNames": {"enum": angle_keys(JOINTS)},
                "additionalProperties": dict(_COMMENT),
            }
        ),
    ] = _LEFT_OUT


class CreationFault(Document):
    """Answer to a creation that is refused."""

    error: str
    errors: Annotated[
        dict[str, list[str]] | None, Field(description="the faults of each field")
    ] = None


class ThreadIds(Document):
    """Id of the thread on each metric."""

    hip_flexion: ThreadId
    hip_abduction: ThreadId
    knee_flexion: ThreadId
    knee_movement: ThreadId
    ankle_dorsiflexion: ThreadId
    final_summary: ThreadId
