"""Documents of the HTTP interface that the workbench itself does not have."""

from __future__ import annotations

import datetime
from typing import Annotated, Literal

from pydantic import Field

from mobility.workbench.contract import Document, Exercise, Joint, ThreadId

ETAG = r'(?:W/)?"([0-9]{1,9})"'
"""Tag of display settings: how often they were saved; a proxy may have made it a weak one."""


class SessionState(Document):
    """How far a session is."""

    session_id: str
    title: str
    user_id: str
    exercise: Exercise
    joints: list[Joint]
    created_at: Annotated[datetime.datetime, Field(description="with offset")]
    state: Annotated[
        Literal["created", "queued", "analyzing", "analyzed", "edited", "failed"],
        Field(description="analyzed: its results can be read"),
    ]
    waiting_before: Annotated[int, Field(ge=0, description="how many are analysed before it")]
    stages: Annotated[list[str], Field(description="of the analysis, that are done")]
    reason: Annotated[str, Field(description="why it failed")]
    warnings: list[str]


class CreationForm(Document):
    """Body of a creation; ``exercise`` is another name of ``exercise_name``."""

    video: Annotated[bytes, Field(json_schema_extra={"format": "binary"})]
    user_id: Annotated[str | None, Field(description="whose session it is")] = None
    session_name: Annotated[str | None, Field(description="title of the session")] = None
    exercise_name: Exercise | None = None
    exercise: Exercise | None = None
    body_joint_angles: Annotated[
        list[Joint | Literal["all"]] | None, Field(description="or one text with commas")
    ] = None


class ConfigBody(Document):
    """Body of a change of the display settings; a field that is left out stays as it is."""

    shown_angles: list[str] = Field(default_factory=list)
    comments: dict[str, str] = Field(default_factory=dict)


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
