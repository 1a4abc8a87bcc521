"""Options of an analysis: their meaning, allowed values, and where users can set them.

The command line, batches, the form, the HTTP interface and its client all read the fields of
:class:`AnalysisOptions`. All of them check an option in the same way, with the same messages.
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
    """The places outside Python at which users can set an option, and how."""

    at: tuple[Place, ...]
    value: str = ""
    """Name of the value on the command line."""
    label: str = ""
    """Name of the option in the form."""
    narrower: Any = None
    """Narrower type for users who cannot name a file on this machine."""


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
LoadAt = Annotated[
    Literal["hands", "shoulders"] | None,
    BeforeValidator(lambda value: None if is_word(value, "auto") else value),
    PlainSerializer(lambda value: "auto" if value is None else value),
]
ViewName = Annotated[str | None, BeforeValidator(_view_name)]
Model = Annotated[str, BeforeValidator(lambda value: os.fspath(check_path(value)))]


Detector = Annotated[
    str | None,
    BeforeValidator(lambda value: None if is_word(value, "auto", BUILT_IN) else value),
]


class AnalysisOptions(Strict):
    """Options of an analysis; None means "auto". The docstring of each field describes it to users.

    Pass them by name to :meth:`mobility.store.Session.analyze`. An option that you leave out keeps
    its value from the last analysis of the session: once a face is blurred, it stays blurred.
    """

    model_config = ConfigDict(use_attribute_docstrings=True)

    subject: Annotated[Person, Offered(_TYPED, "largest|X,Y", "Person")] = "largest"
    """The person to measure: a point x,y in pixels on the person, in the frame in which the person
    first appears; or largest. For single-joint movements, largest means the person who moves."""
    second_subject: Annotated[Person | None, Offered(_HERE, "largest|X,Y")] = None
    """The same for the second video."""
    fit: Annotated[bool, Offered(_HERE)] = True
    """Fit a body with constant segment lengths, which makes errors smaller."""
    field_of_view: Annotated[float | None, Number(10, 160, "degrees"), Offered(_SENT, "DEG")] = None
    """Field of view along the longer side of the picture in degrees; by default it is estimated."""
    camera_pitch: Annotated[
        float | None, Number(-60, 60, "degrees"), Offered(_TYPED, "DEG", "Camera pitch")
    ] = None
    """Downward tilt of the (first) camera in degrees, if you measured it; negative if it looks up.
    By default it is estimated."""
    height_m: Annotated[
        float | None, Number(0.5, 2.6, "metres"), Offered(_TYPED, "M", "Height")
    ] = None
    """Height of the person in metres, such as 1.72, which sets the scale; by default the stored
    height of the participant."""
    load_kg: Annotated[
        float | None, Number(0.1, 400, "kilograms"), Offered(_TYPED, "KG", "Load, kg")
    ] = None
    """Mass in kilograms of what the person carries, such as a bar. The mass of the person must be
    stored with the participant. By default the hands are empty."""
    load_at: Annotated[LoadAt, Offered(_TYPED, "hands|shoulders", "Load is")] = None
    """Where the person carries it: hands (in both hands) or shoulders (on both shoulders)."""
    standing: Annotated[
        StandingOfExercise, Offered(_TYPED, "usual|straight|free|DEG", "Standing")
    ] = "usual"
    """How the person stands between repetitions: straight, free (unknown), or the knee flexion in
    degrees, if you measured it. "usual" is the assumption of the exercise."""
    view: Annotated[ViewName, Offered(_TYPED, "NAME", "View")] = None
    """The view that you meant to film: front, front left, left, back or another. If the video has
    another view, the results carry a warning. By default every view is accepted."""
    movement: Annotated[Movement, Offered(_HERE, "NAME")] = None
    """Measure one movement of a joint, such as elbow_flexion or shoulder_abduction; by default the
    movement that is found in the video."""
    keep_raw: Annotated[bool, Offered(_HERE)] = False
    """Also keep the angles without the fit and the angles in the image plane (<angle>_raw, _image).
    No metric and no report uses them."""
    annotate: Annotated[bool, Offered(_HERE)] = True
    """Write the annotated video."""
    advice: Annotated[bool, Offered(_SENT)] = True
    """Suggest drills, on pages and in JSON, for results that are outside the target."""
    blur_face: Annotated[bool, Offered(_SENT)] = False
    """Blur the head and everything around the body in the annotated video."""
    model: Annotated[Model, Offered(_SENT, "full|heavy|both|FILE", narrower=ModelName)] = "auto"
    """The pose model: full, heavy or both; on your own machine also a Pose Landmarker .task bundle.
    By default MOBILITY_POSE_MODEL, otherwise full."""
    rate: Annotated[PoseRate, Offered(_SENT, "usual|all|N")] = "usual"
    """Frames per second at which the pose is estimated: usual (15, and every frame during fast
    movement), all, or a number."""
    detector: Annotated[Detector, Offered(_HERE, "NAME")] = None
    """Find the keypoints with another pose model, from an installed detector package; by default
    with MediaPipe. Its errors are assumptions until they are measured."""

    def for_videos(self, *, second: bool, calibrated: bool, detected: bool = True) -> Self:
        """Adapt the options to the videos of a session; conflicting options raise an error.

        `second` means that there is a second video, and `calibrated` that the field of view of the
        cameras is known. `detected` means that the keypoints were detected in the videos, and not
        imported.
        """
        for name in ("model", "detector"):
            if not detected and getattr(self, name) not in (AUTO, None):
                fault = "has no effect with imported keypoints. Leave it out"
                raise BadInputError.of({name: fault})
        if self.second_subject is not None and not second:
            fault = "there is no second video. Leave it out, or add a second video"
            raise BadInputError.of({"second_subject": fault})
        if second and not self.fit:
            fault = "two videos give one set of angles only with a fitted body. Pass one video, or"
            raise BadInputError.of({"fit": f"{fault} leave the fit on"})
        if calibrated and not (self.fit and self.field_of_view is None):
            fault = (
                "already gives the field of view, and needs the fit. Pass no other field of "
                "view, and"
            )
            raise BadInputError.of({"calibration": f"{fault} leave the fit on"})
        if self.camera_pitch is not None and (calibrated or not self.fit):
            fault = (
                "works only with a fit and without a calibration. Leave it or the calibration "
                "out, and"
            )
            raise BadInputError.of({"camera_pitch": f"{fault} leave the fit on"})
        if self.load_kg is not None and self.load_at is None:
            fault = "needs the place of the load. Add load_at: hands or shoulders"
            raise BadInputError.of({"load_kg": fault})
        if self.load_at is not None and self.load_kg is None:
            fault = "needs the mass of the load. Add load_kg, in kilograms"
            raise BadInputError.of({"load_at": fault})
        if self.load_kg is not None and not self.fit:
            raise BadInputError.of({"load_kg": "works only with a fit. Leave the fit on"})
        if self.detector is not None and self.model != AUTO:
            fault = "is a MediaPipe model. Leave it out with another detector"
            raise BadInputError.of({"model": f"{self.model} {fault}"})
        if not second:
            return self
        return self.model_copy(update={"second_subject": self.second_subject or "largest"})

    def as_stored(self) -> dict[str, Any]:
        """Return JSON values, which become the defaults of the session's next analysis."""
        values = self.model_dump(mode="json")
        return {name: value for name, value in values.items() if value is not None}


def check_movement(name: str, exercise: Exercise, joints: Sequence[str]) -> None:
    """Raise an error for an unknown movement, or for a joint that the session does not measure."""
    from mobility.assessment.movements import movement

    joint = movement(name)["joint"]
    if exercise.noun != "movement":
        owners = " or ".join(e.name for e in exercises() if e.noun == "movement")
        fault = f"{name} belongs to {owners}, not to {exercise.name}; leave out one of the two"
    elif joint not in joints:
        fault = f"{name} moves the {joint}, which is not among the joints; add it"
    else:
        return
    raise BadInputError.of({"movement": fault})


def offered_at(place: Place) -> Iterator[tuple[str, Any, Offered]]:
    """Return the options that are offered at a place, with their names, types and settings."""
    hints = get_type_hints(AnalysisOptions, include_extras=True)
    for name, field in AnalysisOptions.model_fields.items():
        how = next(entry for entry in field.metadata if isinstance(entry, Offered))
        if place in how.at:
            narrower = None if place == "command line" else how.narrower
            yield name, narrower or hints[name], how


@functools.cache
def options_at(place: Place) -> type[BaseModel]:
    """Return the model of the options that are offered at a place."""
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
    """Check options from a user, and report all errors at once; None means unset."""
    set_options = {name: value for name, value in (values or {}).items() if value is not None}
    return validate(model, set_options, what=what).model_dump(exclude_unset=True)
