"""Checks of arguments; options are keyword-only, and a misspelt option is an error.

:func:`checked` wraps a function so that pydantic validates its arguments against their annotations
before it runs. Kinds such as :data:`FilePath` and :data:`Names` add conditions that a Python
annotation cannot express, and so do the Datasets of :mod:`mobility.kinematics.datasets`.
"""

from __future__ import annotations

import datetime
import difflib
import functools
import inspect
import math
import os
import re
import reprlib
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, ParamSpec, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    create_model,
)
from pydantic_core import core_schema

from mobility.base.parsing import parse_number
from mobility.errors import BadInputError

P = ParamSpec("P")
R = TypeVar("R")
K = TypeVar("K")

_LONGEST_NAME = 100
_LONGEST_QUOTE = 60
"""Number of characters of a value that a message quotes."""

_LONGEST_PATH = 4096
_MOST_MEANT = 3
"""Number of measures that a message suggests."""

_MOST_LISTED = 5
"""Number of errors that a message lists; the fields of the error contain all of them."""

MOST_WORKERS = 256
Workers = Annotated[int, Field(ge=1, le=MOST_WORKERS)]
"""Number of processes that share the work."""


Seed = Annotated[int, Field(ge=0)]
"""Seed of random numbers."""


def likely(name: str, choices: Iterable[str], *, cutoff: float = 0.6) -> str:
    """Return ``"; did you mean 'x'?"`` for the closest known name, otherwise ``""``.

    `cutoff` is the least similarity, 0 to 1.
    """
    if len(str(name)) > _LONGEST_NAME:  # too long to be a slip, and slow to compare
        return ""
    close = difflib.get_close_matches(str(name), list(choices), n=1, cutoff=cutoff)
    return f"; did you mean '{close[0]}'?" if close else ""


def likely_of_all(name: str, choices: Iterable[str], *, cutoff: float = 0.75) -> str:
    """Do the same as :func:`likely`, and list all choices."""
    names = list(choices)
    close = likely(name, names, cutoff=cutoff)
    return f"{f'{close} Choose' if close else '; choose'} from {', '.join(names)}"


def likely_measure(name: str, choices: Iterable[str]) -> str:
    """Do the same as :func:`likely`, or suggest measures that contain the name."""
    names = list(choices)
    part = str(name).strip().lower().replace(" ", "_")
    inside = [name for name in names if len(part) > 2 and part in name.lower()]
    if (close := likely(part, names)) or not inside:
        return close
    inside.sort(key=lambda name: (not name.lower().startswith(part), len(name)))
    return f"; did you mean {' or '.join(map(repr, inside[:_MOST_MEANT]))}?"


def quoted(value: Any) -> str:
    """Return a value for a message: written in one line if it is short, otherwise its type."""
    plain = (str, bytes, bool, int, float, complex, os.PathLike, list, tuple, dict, set, type(None))
    if isinstance(value, plain):
        short = reprlib.Repr()
        short.maxstring = short.maxother = _LONGEST_QUOTE
        try:
            text = short.repr(value)
        except ValueError:  # an integer with too many digits to be written
            text = ""
        if text and len(text) <= _LONGEST_QUOTE and text.isprintable():
            return text
    return type(value).__name__


_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
"""Start of a URL. In a Path it has only one slash. A scheme has at least two letters, because a
drive has only one.
"""


def is_word(value: Any, *words: str) -> bool:
    """Whether a value is one of these words.

    Arrays and tables are not, because they cannot be compared with text.
    """
    return isinstance(value, str) and value in words


def check_path(path: Any) -> str | os.PathLike[str]:
    """Return the path of a file or folder unchanged, if it is valid.

    Raises
    ------
    BadInputError
        It is neither text nor a path, or it is empty, too long or a URL, or it contains an invalid
        character.
    """
    text = os.fspath(path) if isinstance(path, str | os.PathLike) else None
    if not isinstance(text, str):
        raise BadInputError("must be a path: text or a pathlib.Path")
    if not text:
        raise BadInputError("is empty; name a file or a folder")
    if "\0" in text:
        raise BadInputError("contains a zero byte, which no path can have")
    if _URL.match(text):
        raise BadInputError("is a URL; copy or mount the file, and give its path")
    if len(text) > _LONGEST_PATH:
        raise BadInputError(f"is too long; a path has at most {_LONGEST_PATH} characters")
    return typing.cast("str | os.PathLike[str]", path)


def require_path(path: Any, *, what: str) -> None:
    """Raise an error unless `path`, called `what` in messages, is the path of a file or folder."""
    try:
        check_path(path)
    except BadInputError as error:
        raise BadInputError.of({what: f"{error} (got {quoted(path)})"}) from None


def check_day(value: Any) -> datetime.date | str:
    """Return a date, or a date and time, from text or from a date object (also of pandas).

    Raises
    ------
    BadInputError
        It is something else, or the missing date of pandas (NaT).
    """
    if isinstance(value, datetime.date) and value == value:
        plain = getattr(value, "to_pydatetime", None)
        return value if plain is None else plain(warn=False)
    if not isinstance(value, str):
        raise BadInputError('must be a date, or text such as "2026-11-30"')
    return value


Day = Annotated[datetime.datetime | datetime.date | str, PlainValidator(check_day)]
"""A date or its text, with or without a time."""


def check_table(value: Any) -> Any:
    """Return a DataFrame unchanged, if its column names are unique.

    A DataFrame is recognised by its methods, because importing pandas is slow.
    """
    columns = getattr(value, "columns", None)
    if columns is None or not callable(getattr(value, "groupby", None)):
        raise BadInputError(f"must be a DataFrame (got {quoted(value)})")
    if not columns.is_unique:
        twice = columns[columns.duplicated()][0]
        raise BadInputError(f"has the column {quoted(twice)} twice; rename or drop one of them")
    return value


Load = tuple[Literal["hands", "shoulders"], Annotated[float, Field(gt=0, le=4)]]
"""What a person carries: where, and its mass as a multiple of the mass of the body."""


if typing.TYPE_CHECKING:
    import pandas as pd

    Table = pd.DataFrame
else:
    Table = Annotated[Any, PlainValidator(check_table)]
    """A DataFrame."""

Names = Annotated[
    Sequence[str],
    BeforeValidator(
        lambda names: (
            [names]
            if isinstance(names, str)
            else sorted(names, key=str)
            if isinstance(names, set | frozenset)
            else names
        )
    ),
]
"""Some names; a single text counts as one name."""

FilePath = Annotated[str | os.PathLike[str], PlainValidator(check_path)]
"""Path of a file or folder, which need not exist."""


MOST_PIXELS = 99_999
"""Largest coordinate of a point in a picture; no video is that wide."""


def check_point(point: Iterable[Any], *, name: str = "") -> tuple[float, float]:
    """Return `point` as x and y in pixels, if it can lie in a picture.

    Parameters
    ----------
    point
        Two numbers, from 0 to :data:`MOST_PIXELS`.
    name
        The parameter ("subject"); "" inside a check that names it.

    Raises
    ------
    BadInputError
        It does not consist of two numbers, or one of them is out of range.
    """
    try:
        x, y = (parse_number(part) if isinstance(part, str) else float(part) for part in point)
    except (TypeError, ValueError, OverflowError):
        x = y = math.nan
    if not all(0 <= part <= MOST_PIXELS for part in (x, y)):
        fault = f"must be two numbers, x and y in pixels, from 0 to {MOST_PIXELS}"
        got = f"{fault} (got {quoted(point)})"
        raise BadInputError.of({name: got}) if name else BadInputError(fault)
    return x, y


@dataclass(frozen=True)
class Number:
    """Kind of a number in a range, or one of the given words.

    By default the only word is "auto", which means None.
    """

    least: float
    most: float
    units: str
    words: tuple[str, ...] = ()

    def __get_pydantic_core_schema__(self, *_: Any) -> core_schema.CoreSchema:
        written = core_schema.plain_serializer_function_ser_schema(
            lambda value: "auto" if value is None else value
        )
        return core_schema.no_info_plain_validator_function(self._check, serialization=written)

    def __get_pydantic_json_schema__(self, *_: Any) -> dict[str, Any]:
        number = {"type": "number", "minimum": self.least, "maximum": self.most}
        words = {"type": "string", "enum": list(self.words)}
        return {"anyOf": [words, number]} if self.words else number

    def _check(self, value: Any) -> Any:
        if is_word(value, *self.words):
            return value
        if not self.words and (value is None or is_word(value, "auto")):
            return None
        try:
            number = parse_number(value) if isinstance(value, str) else float(value)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if isinstance(value, bool) or not self.least <= number <= self.most:
            choice = ", ".join([*self.words, "or "] if self.words else "")
            raise ValueError(
                f"must be {choice}from {self.least:g} to {self.most:g} {self.units}"
                f"{likely(value, self.words)}"
            )
        return number


Standing = Annotated[
    Literal["straight", "free"] | float,
    Number(0, 60, "degrees of flexion of the knees", ("straight", "free")),
]
"""How the subject stands between repetitions, as for `mobility.kinematics.fit.entry.fit_body`."""

PoseRate = Annotated[
    Literal["usual", "all"] | float, Number(5, 1000, "frames a second", ("usual", "all"))
]
"""Frames per second at which the pose is estimated, as for
`mobility.capture.pose.estimate_pose`."""

ModelName = Literal["auto", "full", "heavy", "both"]
"""A pose model by name, for users who cannot choose a file; see `mobility.capture.models`."""


def check_times(times: Any, *, others: Sequence[str] = (), what: str) -> tuple[float, float, float]:
    """Return start, bottom and end of a repetition or movement; their order is not checked.

    Parameters
    ----------
    times
        An object with ``start``, ``bottom`` and ``end``, in seconds. Other columns of
        `Session.repetitions_table` are ignored.
    others
        Further names that `times` may have.
    what
        What the times belong to, for messages ("repetition 2").

    Raises
    ------
    BadInputError
        A time is missing or not a number, a name is unknown, or the row is marked as not accepted.
    """
    names = ("start", "bottom", "end")
    # Rows of a table of repetitions may be passed back, but not those that were rejected.
    allowed = (*names, *others, "rep", "depth", "accepted", "complete", "reason")
    if isinstance(times, Mapping):
        for name in times:
            if name not in allowed:
                choice = likely(name, allowed) or f"; choose from {', '.join((*names, *others))}"
                raise BadInputError(f"{what}: {name!r} is unknown{choice}")
        accepted = times.get("accepted")
        if accepted is not None and not accepted:
            raise BadInputError(
                f"{what}: is marked as not accepted; leave it out, or remove 'accepted' from it"
            )
    try:
        values = [times[name] for name in names]
        if any(isinstance(value, bool) for value in values):
            raise TypeError
        start, bottom, end = map(float, values)
    except (TypeError, ValueError, KeyError, IndexError, OverflowError):
        raise BadInputError(
            f"{what}: must have start, bottom (end of range for a joint movement) and end, in "
            f"seconds (got {quoted(times)})"
        ) from None
    return start, bottom, end


def check_intervals(value: Any, *, earliest: float = 0.0) -> list[dict[str, float]]:
    """Return start, bottom and end of repetitions, in seconds.

    Parameters
    ----------
    value
        One object for each repetition, as for :func:`check_times`; they must be in order and must
        not overlap.
    earliest
        Earliest start of the first repetition.

    Raises
    ------
    BadInputError
        As for :func:`check_times`, or if the times are out of order.
    """
    if not isinstance(value, Sequence):
        raise BadInputError("repetitions: must be a list of start, bottom and end, in seconds")
    intervals: list[dict[str, float]] = []
    for number, times in enumerate(value, start=1):
        start, bottom, end = check_times(times, what=f"repetition {number}")
        if not (math.isfinite(end) and earliest <= start < bottom < end):
            raise BadInputError(
                f"repetition {number} from {start} over {bottom} to {end} s: must begin at "
                f"{earliest} s or later, with the bottom before the end"
            )
        intervals.append({"start": start, "bottom": bottom, "end": end})
        earliest = end
    return intervals


class Strict(BaseModel):
    """Base of all option models: immutable, unknown names forbidden."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


M = TypeVar("M", bound=BaseModel)


def validate(model: type[M], values: Mapping[str, Any], *, what: str) -> M:
    """Build `model` from `values`, and report all errors in one exception.

    Parameters
    ----------
    model
        The pydantic model that defines what is allowed.
    values
        The values to check.
    what
        What the values belong to, for messages ("options of clean_pose").

    Raises
    ------
    BadInputError
        The error has all messages in ``fields``; for an unknown name, it suggests the likely
        spelling.
    """
    if not isinstance(values, Mapping):
        raise BadInputError(
            f"{what}: must be an object with named fields (got {type(values).__name__})"
        )
    try:
        return model(**values)
    except ValidationError as error:
        faults: dict[str, dict[str, str]] = {}
        for fault in error.errors():
            name = ".".join(_place_of(fault, values))
            text, quoted_input = fault["msg"].removeprefix("Value error, "), ""
            if fault["type"] == "extra_forbidden":
                of_model = model.model_fields.items()
                text = f"unknown{likely(name, [field.alias or key for key, field in of_model])}"
            elif name:  # otherwise the error concerns all fields together
                text = f"{text[:1].lower()}{text[1:]}"
                if fault["type"] != "missing":
                    quoted_input = quoted(fault["input"])
                # The check of a large object explains the error itself.
                large = (
                    quoted_input == type(fault["input"]).__name__ and fault["type"] == "value_error"
                )
                if large or "(got " in text:
                    quoted_input = ""
            # Each type of a union has its own error.
            faults.setdefault(name, {}).setdefault(text, quoted_input)
        fields = {
            name: ", or ".join(texts) + next((f" (got {got})" for got in texts.values() if got), "")
            for name, texts in faults.items()
        }
        # An error that all items of a list have is reported once.
        distinct = {", or ".join(texts): name for name, texts in reversed(faults.items())}
        quoted_names = sorted(distinct.values(), key=list(fields).index)[:_MOST_LISTED]
        listed = "; ".join(
            f"{name if len(name) <= _LONGEST_NAME else quoted(name)}: {fields[name]}"
            if name
            else fields[name]
            for name in quoted_names
        )
        if len(fields) > len(quoted_names):
            listed += f"; and {len(fields) - len(quoted_names)} more"
        # An error of all fields together belongs to none of them.
        named = {name or what: [text] for name, text in fields.items()}
        raise BadInputError(f"{what}: {listed}", named) from None


def _place_of(fault: Any, values: Any) -> list[str]:
    """Return the path to an error, without the entries that pydantic adds for types."""
    place = []
    for part in fault["loc"]:
        try:
            values = values[part] if isinstance(values, Mapping | Sequence) else vars(values)[part]
        except (TypeError, LookupError):
            if fault["type"] not in ("missing", "extra_forbidden"):
                continue
        place.append(str(part))
    return place


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """Validate the arguments of `function` before it runs.

    The annotations are the only definition of what is allowed, with ``Annotated[..., Field(...)]``
    for a range, and with a kind if a type is not specific enough. Arguments for ``**options`` are
    passed on unchanged to the function that checks them. The models are built at the first call, so
    that decorating costs nothing at import.
    """
    parameters = inspect.signature(function).parameters
    kinds = {name: parameter.kind for name, parameter in parameters.items()}
    options = {
        name: parameter
        for name, parameter in parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
    data_parameters = {
        name: parameter
        for name, parameter in parameters.items()
        if name not in options and parameter.kind is not inspect.Parameter.VAR_KEYWORD
    }
    by_name = {
        name for name in data_parameters if kinds[name] is not inspect.Parameter.POSITIONAL_ONLY
    }
    hands_on = inspect.Parameter.VAR_KEYWORD in kinds.values()

    @functools.cache
    def model(which: Literal["data", "options"]) -> type[BaseModel]:

        parameters = data_parameters if which == "data" else options
        annotations = {name: function.__annotations__.get(name, Any) for name in parameters}
        shim = types.SimpleNamespace(__annotations__=annotations)
        hints = typing.get_type_hints(
            shim, globalns=inspect.unwrap(function).__globals__, include_extras=True
        )
        fields: dict[str, Any] = {
            name: (hints[name], ... if p.default is inspect.Parameter.empty else p.default)
            for name, p in parameters.items()
        }
        return create_model(f"{function.__name__}_{which}", __base__=Strict, **fields)

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        arguments = dict(zip(data_parameters, args, strict=False))
        if len(args) > len(data_parameters) or not by_name.isdisjoint(
            arguments.keys() & kwargs.keys()
        ):
            return function(*args, **kwargs)  # Python reports the error
        arguments |= {name: value for name, value in kwargs.items() if name in by_name}
        by_keyword = {name: value for name, value in kwargs.items() if name not in by_name}
        handed_on: dict[str, Any] = {}
        if hands_on:
            handed_on = {n: value for n, value in by_keyword.items() if n not in options}
            by_keyword = {n: value for n, value in by_keyword.items() if n in options}
        name = function.__qualname__.removesuffix(".__init__").rpartition(".")[2]
        valid_options = validate(model("options"), by_keyword, what=f"options of {name}")
        valid_data = validate(model("data"), arguments, what=name)
        return function(
            *(getattr(valid_data, name) for name in data_parameters),
            **{name: getattr(valid_options, name) for name in options},
            **handed_on,
        )

    return wrapper


def checked_methods(kind: type[K]) -> type[K]:
    """Validate the arguments of each public method of a class, as :func:`checked` does."""
    for name, method in [*vars(kind).items()]:
        is_public = inspect.isfunction(method) and not name.startswith("_")
        if is_public and len(inspect.signature(method).parameters) > 1:
            setattr(kind, name, checked(method))
    return kind
