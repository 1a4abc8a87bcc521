"""Options are keyword-only and checked at the edge; a misspelt one is an error.

:func:`checked` wraps a function so that its keyword-only arguments are
validated by pydantic against their annotations before it runs.
"""

from __future__ import annotations

import difflib
import functools
import inspect
import math
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, ParamSpec, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, create_model

from mobility.errors import BadInputError

P = ParamSpec("P")
R = TypeVar("R")

_LONGEST_NAME = 100
MOST_WORKERS = 256
Workers = Annotated[int, Field(ge=1, le=MOST_WORKERS)]
"""Number of processes that share the work."""


def likely(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the closest known name, else ``""``."""
    if len(str(name)) > _LONGEST_NAME:  # to compare it would take long, and nobody mistyped it
        return ""
    close = difflib.get_close_matches(str(name), list(known), n=1, cutoff=0.6)
    return f"; did you mean '{close[0]}'?" if close else ""


def check_point(point: Iterable[Any], *, what: str) -> tuple[float, float]:
    """Return `point` as x and y in pixels, if they can be a place in a picture.

    Parameters
    ----------
    point
        Two numbers, finite and not negative.
    what
        What was given, for the message ("subject (1, nan)").

    Raises
    ------
    BadInputError
        There are not two, or one cannot be a place.
    """
    try:
        x, y = (float(part) for part in point)
    except (TypeError, ValueError, OverflowError):
        x = y = math.nan
    if not all(math.isfinite(part) and part >= 0 for part in (x, y)):
        raise BadInputError(
            f"{what}: must be two numbers, x and y in pixels, finite and not negative"
        )
    return x, y


def point_from(given: Any) -> Any:
    """Return the point that a text names, ``x,y``; what is no text as it is."""
    if not isinstance(given, str):
        return given
    return check_point(given.split(","), what=f"subject {given}")


_STANDING = ("straight", "free")
STANDING_DEG = (-20.0, 60.0)
"""Flexion of the knees in which somebody may be said to stand."""


def check_standing(given: Any) -> str | float:
    """Return how somebody stands: "straight", "free", or the flexion of the knees in degrees.

    Raises
    ------
    BadInputError
        It is none of these.
    """
    if given in _STANDING:
        return str(given)
    try:
        degrees = math.nan if isinstance(given, bool) else float(given)
    except (TypeError, ValueError, OverflowError):
        degrees = math.nan
    least, most = STANDING_DEG
    if not least <= degrees <= most:
        raise BadInputError(
            f"must be straight, free, or the flexion of the knees, {least:g} to {most:g} degrees"
            f"{likely(given, _STANDING)}"
        )
    return degrees


Standing = Annotated[Literal["straight", "free"] | float, BeforeValidator(check_standing)]
"""How the subject stands between repetitions, as for `mobility.kinematics.fit.entry.fit_body`."""

ModelName = Literal["auto", "full", "heavy", "both"]
"""A pose model where no file of one can be named, as for `mobility.capture.models`."""


def check_times(given: Any, *, others: Sequence[str] = (), what: str) -> tuple[float, float, float]:
    """Return start, bottom and end of a repetition or movement; their order is not checked.

    Parameters
    ----------
    given
        An object with ``start``, ``bottom`` and ``end``, in seconds. What else a row of
        `Session.repetitions_table` says of every repetition is left out.
    others
        Further entries that it may have.
    what
        What was given, for the message ("repetition 2").

    Raises
    ------
    BadInputError
        A time is missing or no number, a name is unknown, or the row says that it is not used.
    """
    names = ("start", "bottom", "end")
    # Rows of a table of repetitions may be handed back, but not those that are not used.
    known = (*names, *others, "rep", "depth", "accepted", "complete", "reason")
    if isinstance(given, Mapping):
        for name in given:
            if name not in known:
                choice = likely(name, known) or f"; choose from {', '.join((*names, *others))}"
                raise BadInputError(f"{what}: {name!r} is unknown{choice}")
        accepted = given.get("accepted")
        if accepted is not None and not accepted:
            raise BadInputError(
                f"{what}: is marked as not accepted; leave it out, or remove 'accepted' to use it"
            )
    try:
        values = [given[name] for name in names]
        if any(isinstance(value, bool) for value in values):
            raise TypeError
        start, bottom, end = map(float, values)
    except (TypeError, ValueError, KeyError, IndexError, OverflowError):
        raise BadInputError(
            f"{what}: must have start, bottom (of a movement its turn) and end, in seconds "
            f"(got {given!r})"
        ) from None
    return start, bottom, end


def check_intervals(given: Any, *, earliest: float = 0.0) -> list[dict[str, float]]:
    """Return start, bottom and end of repetitions, in seconds.

    Parameters
    ----------
    given
        For each an object as :func:`check_times` takes it, in order and without overlap.
    earliest
        When the first may start.

    Raises
    ------
    BadInputError
        As :func:`check_times`, or times are out of order.
    """
    if not isinstance(given, Sequence):
        raise BadInputError("repetitions: must be a list of start, bottom and end, in seconds")
    intervals: list[dict[str, float]] = []
    for number, one in enumerate(given, start=1):
        start, bottom, end = check_times(one, what=f"repetition {number}")
        if not (math.isfinite(end) and earliest <= start < bottom < end):
            raise BadInputError(
                f"repetition {number} from {start} over {bottom} to {end} s: must begin at "
                f"{earliest} s or later, and have its bottom before its end"
            )
        intervals.append({"start": start, "bottom": bottom, "end": end})
        earliest = end
    return intervals


class Strict(BaseModel):
    """Base of all option models: immutable, unknown names forbidden."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


M = TypeVar("M", bound=BaseModel)


def validate(model: type[M], values: Mapping[str, Any], *, what: str) -> M:
    """Build `model` from `values`, turning every fault into one error.

    Parameters
    ----------
    model
        The pydantic model that states what is allowed.
    values
        What was given.
    what
        What the values belong to, for the message ("options of clean_pose").

    Raises
    ------
    BadInputError
        With all faults at once in ``fields``; unknown names come with the
        likely spelling.
    """
    if not isinstance(values, Mapping):
        raise BadInputError(
            f"{what}: must be an object with named fields (got {type(values).__name__})"
        )
    try:
        return model(**values)
    except ValidationError as error:
        fields: dict[str, list[str]] = {}
        for fault in error.errors():
            name = ".".join(str(part) for part in fault["loc"])
            if not name:  # of all fields together
                text = fault["msg"].removeprefix("Value error, ")
            elif fault["type"] == "extra_forbidden":
                text = f"unknown{likely(name, model.model_fields)}"
            else:
                said = fault["msg"].removeprefix("Value error, ")
                text = f"{said[:1].lower()}{said[1:]}"
                if fault["type"] != "missing":
                    text += f" (got {fault['input']!r})"
            fields.setdefault(name, []).append(text)
        listed = "; ".join(
            f"{name}: {', '.join(faults)}".removeprefix(": ") for name, faults in fields.items()
        )
        # A fault of all fields together has no name of its own to stand under.
        named = {name or what: faults for name, faults in fields.items()}
        raise BadInputError(f"{what}: {listed}", named) from None


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """Validate the keyword-only arguments of `function` before it runs.

    The annotations, with ``Annotated[..., Field(...)]`` where a range is
    meant, are the only statement of what is allowed. The model is built at the
    first call, so that decorating costs nothing at import.
    """
    signature = inspect.signature(function)
    keyword_only = {
        name: parameter
        for name, parameter in signature.parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
    positional = [name for name in signature.parameters if name not in keyword_only]

    @functools.cache
    def model() -> type[BaseModel]:
        # Only the options' annotations: others may name what is not imported yet.
        annotations = {name: function.__annotations__[name] for name in keyword_only}
        shim = types.SimpleNamespace(__annotations__=annotations)
        hints = typing.get_type_hints(
            shim, globalns=inspect.unwrap(function).__globals__, include_extras=True
        )
        fields: dict[str, Any] = {
            name: (hints[name], ... if p.default is inspect.Parameter.empty else p.default)
            for name, p in keyword_only.items()
        }
        return create_model(f"{function.__name__}_options", __base__=Strict, **fields)

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        options = {name: value for name, value in kwargs.items() if name not in positional}
        data = {name: value for name, value in kwargs.items() if name in positional}
        valid = validate(model(), options, what=f"options of {function.__name__}")
        return function(*args, **data, **{name: getattr(valid, name) for name in keyword_only})  # type: ignore[arg-type]

    return wrapper
