"""Options of an analysis: what each means, what it may be, and where it is offered.

Commands, batches, the form, the HTTP interface and its client are made from the fields of
:class:`AnalysisOptions`, and all refuse the same in the same words.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self, get_type_hints

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    WithJsonSchema,
    create_model,
)

from mobility.base.options import (
    ModelName,
    Number,
    PoseRate,
    Standing,
    Strict,
    check_path,
    check_point,
    is_word,
    validate,
)
from mobility.capture.detector_packages import BUILT_IN
from mobility.capture.models import AUTO
from mobility.catalogue.exercise import Exercise
from mobility.catalogue.registry import exercises
from mobility.errors import BadInputError

Place = Literal["command line", "batch", "http", "form"]

_HERE: tuple[Place, ...] = ("command line", "batch")
_SENT: tuple[Place, ...] = (*_HERE, "http")
_TYPED: tuple[Place, ...] = (*_SENT, "form")


@dataclass(frozen=True)
class Offered:
    """Where an option is offered besides Python, and how."""

    at: tuple[Place, ...]
    value: str = ""
    """What the command line calls its value."""
    label: str = ""
    """What the form calls it."""
    narrower: Any = None
    """Type where no file of this machine can be named."""


def _point(value: Any) -> Any:
    if value is None or is_word(value, "largest"):
        return value
    return check_point(value.split(",") if isinstance(value, str) else value)


def _view_name(value: Any) -> str | None:
    if value is None or is_word(value, "auto"):
        return None
    if not isinstance(value, str):
        raise BadInputError("must be the name of a view, as text")
    from mobility.keypoints.view import view_name

    return view_name(value)


Person = Annotated[
    tuple[float, float] | Literal["largest"],
    BeforeValidator(_point),
    WithJsonSchema(
        {"type": "string", "pattern": r"^[0-9]{1,5}(\.[0-9]{1,3})?,[0-9]{1,5}(\.[0-9]{1,3})?$"}
    ),
]
Movement = Annotated[
    str | None,
    BeforeValidator(lambda value: None if is_word(value, "auto") else value),
    PlainSerializer(lambda value: "auto" if value is None else value),
]
StandingOfExercise = Annotated[
    Literal["usual"] | Standing,
    Number(0, 60, "degrees of flexion of the knees", ("usual", "straight", "free")),
]
ViewName = Annotated[str | None, BeforeValidator(_view_name)]
Model = Annotated[str, BeforeValidator(lambda value: os.fspath(check_path(value)))]


Detector = Annotated[
    str | None,
    BeforeValidator(lambda value: None if is_word(value, "auto", BUILT_IN) else value),
]


class AnalysisOptions(Strict):
    """Options of an analysis, of which None is "auto"; their docstrings describe them to users.

    They are given by name to :meth:`mobility.store.Session.analyze`; one that is left out stays as
    it was in the last analysis of the session, so that a face that was blurred once stays blurred.
    """

    model_config = ConfigDict(use_attribute_docstrings=True)

    subject: Annotated[Person, Offered(_TYPED, "largest|X,Y", "Person")] = "largest"
    """Whom to measure: a point on the person, x,y in pixels, where they are first seen; or largest
    (of single joints, whoever moves)."""
    second_subject: Annotated[Person | None, Offered(_HERE, "largest|X,Y")] = None
    """The same for the second video."""
    fit: Annotated[bool, Offered(_HERE)] = True
    """Fit a body with constant segments, which makes errors smaller."""
    field_of_view: Annotated[float | None, Number(10, 160, "degrees"), Offered(_SENT, "DEG")] = None
    """Field of view of the longer side of the picture, in degrees; by default the fit finds it."""
    camera_pitch: Annotated[
        float | None, Number(-60, 60, "degrees"), Offered(_TYPED, "DEG", "Camera pitch")
    ] = None
    """By how many degrees the camera of the (first) video looks down, if you measured it; negative
    if it looks up. By default the fit finds it."""
    height_m: Annotated[
        float | None, Number(0.5, 2.6, "metres"), Offered(_TYPED, "M", "Height")
    ] = None
    """Height of the person in metres (1.72), which sets the scale; by default that of the
    participant."""
    standing: Annotated[
        StandingOfExercise, Offered(_TYPED, "usual|straight|free|DEG", "Standing")
    ] = "usual"
    """How the person stands between repetitions: straight, free (not known), or with the knees bent
    by this many degrees, if you measured it. Usual is what the exercise assumes."""
    view: Annotated[ViewName, Offered(_TYPED, "NAME", "View")] = None
    """View that you meant to film: front, front left, left, back...; another one is a warning. By
    default any, since no view is a fault."""
    movement: Annotated[Movement, Offered(_HERE, "NAME")] = None
    """Measure one movement of a joint, such as elbow_flexion or shoulder_abduction; by default the
    one that is found in the video."""
    keep_raw: Annotated[bool, Offered(_HERE)] = False
    """Also keep the angles without the fit and those in the picture (<angle>_raw, _image); no
    metric and no report uses them."""
    annotate: Annotated[bool, Offered(_HERE)] = True
    """Write the annotated video."""
    advice: Annotated[bool, Offered(_SENT)] = True
    """Name exercises (drills) on pages and in documents, for what is outside its target."""
    blur_face: Annotated[bool, Offered(_SENT)] = False
    """Blur the head, and all around the body, in the annotated video."""
    model: Annotated[Model, Offered(_SENT, "full|heavy|both|FILE", narrower=ModelName)] = "auto"
    """The pose model: full, heavy or both; where files can be named, also a Pose Landmarker .task
    bundle. By default MOBILITY_POSE_MODEL, else full."""
    rate: Annotated[PoseRate, Offered(_SENT, "usual|all|N")] = "usual"
    """Frames of each second in which the pose is estimated: usual (15, and all where the person
    moves fast), all, or a number."""
    detector: Annotated[Detector, Offered(_HERE, "NAME")] = None
    """Find the keypoints with another pose model, a detector of a package that is installed here;
    by default with MediaPipe's. Its errors are assumed until they are measured."""

    def for_videos(self, *, second: bool, calibrated: bool, detected: bool = True) -> Self:
        """Adapt them to the videos of a session; refuse options that do not go together.

        `second`: there is a second video; `calibrated`: the cameras' field of view is known;
        `detected`: the keypoints are found in them, and were not given.
        """
        for name in ("model", "detector"):
            if not detected and getattr(self, name) not in (AUTO, None):
                fault = "the keypoints were given, and no model looks for them; leave it out"
                raise BadInputError.of({name: fault})
        if self.second_subject is not None and not second:
            fault = "there is no second video to find a person in"
            raise BadInputError.of({"second_subject": fault})
        if second and not self.fit:
            fault = "two videos make one set of angles only with a fitted body; give one video, or"
            raise BadInputError.of({"fit": f"{fault} leave the fit on"})
        if calibrated and not (self.fit and self.field_of_view is None):
            fault = "gives the field of view and needs the fit; give no other field of view, and"
            raise BadInputError.of({"calibration": f"{fault} leave the fit on"})
        if self.camera_pitch is not None and (calibrated or not self.fit):
            fault = "is used by a fit without a calibration; leave it out, or the calibration, and"
            raise BadInputError.of({"camera_pitch": f"{fault} leave the fit on"})
        if self.detector is not None and self.model != AUTO:
            fault = "is a model of MediaPipe; leave it out with another detector"
            raise BadInputError.of({"model": f"{self.model} {fault}"})
        if not second:
            return self
        return self.model_copy(update={"second_subject": self.second_subject or "largest"})

    def as_stored(self) -> dict[str, Any]:
        """JSON values, with which the next analysis of the session begins."""
        values = self.model_dump(mode="json")
        return {name: value for name, value in values.items() if value is not None}


def check_movement(name: str, exercise: Exercise, joints: Sequence[str]) -> None:
    """Refuse an unknown movement, or one of a joint that the session does not measure."""
    from mobility.assessment.movements import movement

    joint = movement(name)["joint"]
    if exercise.noun != "movement":
        others = " or ".join(each.name for each in exercises() if each.noun == "movement")
        fault = f"{name} belongs to {others}, not to {exercise.name}; leave out one of the two"
    elif joint not in joints:
        fault = f"{name} moves the {joint}, which is not among the joints; add it"
    else:
        return
    raise BadInputError.of({"movement": fault})


def offered_at(place: Place) -> Iterator[tuple[str, Any, Offered]]:
    """Options that are offered at a place: name, type and how."""
    hints = get_type_hints(AnalysisOptions, include_extras=True)
    for name, field in AnalysisOptions.model_fields.items():
        how = next(each for each in field.metadata if isinstance(each, Offered))
        if place in how.at:
            narrower = None if place == "command line" else how.narrower
            yield name, narrower or hints[name], how


@functools.cache
def options_at(place: Place) -> type[BaseModel]:
    """Model of the options that are offered at a place."""
    fields: Any = {
        name: (kind, AnalysisOptions.model_fields[name]) for name, kind, _ in offered_at(place)
    }
    return create_model(f"OptionsAt{place.title().replace(' ', '')}", __base__=Strict, **fields)


def given_options(
    values: Mapping[str, Any] | None,
    model: type[BaseModel] = AnalysisOptions,
    *,
    what: str = "options",
) -> dict[str, Any]:
    """Check the options that somebody gave, of which None gives none; all faults at once."""
    chosen = {name: value for name, value in (values or {}).items() if value is not None}
    return validate(model, chosen, what=what).model_dump(exclude_unset=True)
