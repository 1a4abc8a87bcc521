"""The kinds of Dataset that functions accept, with a check for each kind.

:func:`mobility.base.options.checked` checks a parameter that is annotated with a kind: its
dimensions and names, the types of its attributes, whether its times are in seconds, and whether its
values are possible for a person. Without this check, times in milliseconds, for example, would give
wrong numbers that look plausible.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike
from pydantic import PlainValidator

from mobility.base.formatting import shortened
from mobility.base.options import quoted
from mobility.base.uncertain import is_error, name_of_value, sd_name
from mobility.errors import BadInputError
from mobility.kinematics.skeleton import FITTED, KEYPOINTS, SIDES, Array, definitions

_DEGREES = ("degree", "degrees", "deg", "°")
"""Values of the attribute ``units`` that mean degrees, in lower case."""

MOST_DEGREES = 400.0
"""Largest possible joint angle: angles wrap at 360, and there is some noise."""

_LARGEST_BODY_M = 5.0
"""Largest possible extent of a body in metres, as a median over the frames; in centimetres or
pixels it is larger.
"""

_FARTHEST_M = 1e6
"""Largest possible coordinate of a landmark: it is beyond any measurement, and its square does not
overflow.
"""

_SLOW = ((1.0, 1800.0), (10.0, 60.0))
"""Interval between frames, and duration of the recording, that together indicate milliseconds. In
milliseconds, frames are 1 apart at 1000 frames/s and 10 apart at 100 frames/s, and a recording of
a few seconds lasts thousands.
"""

_EVEN = 10.0
"""Length of a gap, in usual steps between frames, below which no time is reported as wrong."""
_LONGEST_GAP_S = 3600.0
_MOST_FRAMES = 24 * 3600 * 60
"""Longest time without a frame in seconds, and largest number of frames that a recording would have
without gaps: a day at its usual interval, or at 60 per second. Repetitions are searched on regular
times, which must fit into memory.
"""

_POINTS = {"position": ("space", ("x", "y", "z")), "image_position": ("pixel", ("u", "v"))}
_BESIDE_POINTS = ("image_depth", "confidence", "presence")

_DRAWS = ("fit_time", "fit_space", "fit_keypoint")
"""Dimensions of the variables that hold the uncertainty of a fitted pose."""

_LABELS = (
    *("side", "keypoint", "space", "pixel", "marker", "fit_keypoint", "fit_space"),
    *("group", "angle", "metric", "phase", "fms_criterion", "compensation", "bound"),
    *("quality_part", "mobility_part"),
)
"""Dimensions whose coordinate names each entry."""

_TEXTS = (
    *("units", "long_name", "note", "quantity", "method", "kind", "reference", "phase"),
    *("version", "source_software", "exercise", "source_file", "pose_source", "video_sha256"),
    *("model_sha256", "title", "time_unit", "statistic", "verdict", "score", "pain"),
    *("segments", "plane", "zero", "positive", "norm", "hidden_side", "absent_side", "group"),
    *("ancillary_variables", "part_units", "case", "refused", "ds_type", "schema_version"),
    *("history", "mapping", "over", "moment"),
)
_OBJECTS = (
    *("survey", "sides_exchanged", "notes", "not_assessed", "views", "references"),
    *("joint_centres", "mapping_content", "definition_differences", "versions"),
)
_NUMBERS = (
    *("fps", "video_fps", "image_width", "image_height", "refused_share", "lost_share"),
    *("added_sd_deg", "margin_deg", "norm_limit", "stated", "opposite", "cutoff_hz"),
    *("rate_hz", "legs_exchanged"),
)
_TYPES = {
    **dict.fromkeys(_TEXTS, "a text"),
    **dict.fromkeys(_OBJECTS, "a JSON object, as text"),
    **dict.fromkeys(_NUMBERS, "a number"),
}
"""Attributes that the package reads: texts, JSON objects as text, and numbers."""

EVENTS = ("start", "bottom_start", "bottom", "bottom_end", "end")
"""Times of a repetition: `bottom` is the end of range of a joint movement, or standing
after rising from a seat.
"""

_FLAGS_OF_REPETITION = ("accepted", "complete", "start_seen", "end_seen")


def check_times(times: ArrayLike | xr.DataArray) -> Array:
    """Return times as an array, if they are plausible as times of a recording in seconds.

    Raises
    ------
    BadInputError
        If they are not finite numbers over one dimension, do not increase strictly, or look like
        milliseconds (1 or more apart for over half an hour, 10 or more for over a minute). Also if
        they have a gap of more than an hour, or a gap in which more frames would fit than in a day.
    """
    try:
        time = np.asarray(times)
    except (TypeError, ValueError):
        raise BadInputError("its times must be numbers in seconds") from None
    if time.dtype.kind not in "fiu":
        raise BadInputError(f"its times must be numbers in seconds (got {time.dtype})")
    if time.ndim != 1:
        raise BadInputError(f"its times must have one dimension (got {time.ndim})")
    if not np.isfinite(time).all():
        raise BadInputError("its times must be finite; leave out frames without a time")
    if not (time[1:] > time[:-1]).all():
        raise BadInputError("its times do not increase strictly")
    seconds: Array = time.astype(np.float64)
    if seconds.size < 2:
        return seconds
    steps = np.diff(seconds)
    step, lasts = float(np.median(steps)), float(seconds[-1] - seconds[0])
    if any(step >= slow and lasts > longest for slow, longest in _SLOW):
        raise BadInputError(
            f"its times must be seconds, but the frames are {step:.3g} apart for {lasts:.4g}. "
            "Divide milliseconds by 1000. A time lapse can last at most half an hour, with "
            "less than 10 s between frames"
        )
    gap = int(np.argmax(steps))
    if steps[gap] < _EVEN * step and lasts * max(60.0, 1 / step) > _MOST_FRAMES:
        raise BadInputError(
            f"has {seconds.size} frames in {lasts:.4g} s, more than the {_MOST_FRAMES} of a day "
            "at 60 per second; pass a part of it"
        )
    if steps[gap] > _LONGEST_GAP_S or lasts * max(60.0, 1 / step) > _MOST_FRAMES:
        raise BadInputError(
            f"its times cannot be those of a recording: after frame {gap}, at {seconds[gap]:.6g} "
            f"s, the next is at {seconds[gap + 1]:.6g} s, and others are {step:.3g} s apart. "
            "Correct the wrong time, or pass the parts before and after it separately"
        )
    return seconds


def _dataset(value: Any, instead: str) -> xr.Dataset:
    if not isinstance(value, xr.Dataset):
        raise BadInputError(f"{instead} (got {quoted(value)})")
    for name in _LABELS:
        if name in value.indexes:
            _check_labels(name, value.indexes[name])
    check_attributes(value)
    return value


def _check_labels(name: str, index: Any) -> None:
    if not all(isinstance(label, str) for label in index):
        raise BadInputError(f"the coordinate '{name}' must be names, as text")
    if not index.is_unique:
        raise BadInputError(f"contains a name of '{name}' twice; select each once")


def check_attributes(dataset: xr.Dataset) -> None:
    """Raise an error if an attribute has a different type from the one that the package writes."""
    holders = {"": dataset.attrs}
    holders |= {f" of '{name}'": variable.attrs for name, variable in dataset.variables.items()}
    for of, attrs in holders.items():
        for name, value in attrs.items():
            if (kind := _TYPES.get(name)) is not None and not _is_of(kind, value):
                raise BadInputError(
                    f"its attribute '{name}'{of} must be {kind} (got {quoted(value)}); correct it "
                    "or leave it out"
                )


def _is_of(kind: str, value: Any) -> bool:
    if kind == "a number":
        return isinstance(value, int | float | np.number)
    try:
        return isinstance(value, str) and (kind == "a text" or isinstance(json.loads(value), dict))
    except (ValueError, RecursionError):
        return False


def check_recording(value: Any) -> xr.Dataset:
    """Return a Dataset over ``time`` unchanged, if its times are plausible for a recording.

    Variables with the name of an angle must be plausible and in degrees; no variable may be
    infinite.
    """
    dataset = _dataset(value, "must be a Dataset with the dimension time")
    if "time" not in dataset.coords:
        raise BadInputError("has no coordinate 'time' (seconds)")
    time = dataset["time"]
    if not time.size:
        raise BadInputError("has no frame")
    if time.dims != ("time",):
        raise BadInputError("its coordinate 'time' must have the dimension time")
    check_times(time)
    angle_names = definitions()
    for name, values in dataset.data_vars.items():
        if name_of_value(name) in angle_names:
            _check_degrees(str(name), values)
        elif "time" in values.dims and values.dtype.kind == "f":
            _check_values(str(name), values)
    return dataset


def check_angles(value: Any) -> xr.Dataset:
    """Return a recording unchanged, if its angles have the dimensions (time) or (time, side)."""
    dataset = check_recording(value)
    angle_names = definitions()
    for name, values in dataset.data_vars.items():
        if name_of_value(name) in angle_names:
            check_dimensions(str(name), values, ("time",), beside=("side",))
    return dataset


def in_degrees(units: Any) -> bool:
    """Whether the attribute ``units`` of an angle means degrees."""
    return str(units).lower() in _DEGREES


def _check_values(name: str, values: xr.DataArray) -> None:
    """Raise an error unless a variable holds numbers, with NaN for missing ones."""
    if values.dtype.kind not in "fiu":
        raise BadInputError(f"'{name}' must hold numbers (got {values.dtype})")
    if values.dtype.kind == "f" and bool(np.isinf(values.to_numpy()).any()):
        raise BadInputError(f"'{name}' holds infinite values; missing values must be NaN")


def check_pose(value: Any) -> xr.Dataset:
    """Return a pose unchanged if it has one person with the 33 landmarks; raise an error otherwise.

    Its points are in metres (``position``), in the picture (``image_position``, pixels), or both; a
    pose from a model without depth only has points in the picture.
    """
    no_pose = (
        "not a pose Dataset: it has neither 'position' nor 'image_position'; make one with "
        "estimate_pose or read_keypoints"
    )
    dataset = _dataset(value, no_pose)
    points = next((name for name in _POINTS if name in dataset), None)
    if points is None:
        raise BadInputError(no_pose)
    people = dataset[points].sizes.get("individual", 1)
    if people != 1:
        raise BadInputError(
            f"the pose has {people} individuals; select one with pose.isel(individual=[0])"
        )
    for name, (axis, labels) in _POINTS.items():
        if name in dataset:
            _check_points(name, dataset[name], axis, labels)
    for name in _BESIDE_POINTS:
        if name in dataset:
            check_dimensions(name, dataset[name], ("time", "keypoint"), beside=("individual",))
            _check_values(name, dataset[name])
    check_recording(dataset)
    _check_draws(dataset)
    for name in ("image_width", "image_height"):
        if not 0 < dataset.attrs.get(name, 1) < np.inf:
            raise BadInputError(f"its attribute {name} must be a number of pixels")
    if "position" in dataset:
        position = dataset["position"].transpose("time", "space", "keypoint", ...).to_numpy()
        _check_metres(position.reshape(*position.shape[:3]))
    return dataset


def _check_draws(pose: xr.Dataset) -> None:
    """Raise an error if a pose has only a part of the uncertainty of a fit."""
    if "position_draws" not in pose:
        return
    remedy = "pass the pose as fit_body returns it"
    if "fit_position" not in pose or "position" not in pose or "fit_time" not in pose.coords:
        raise BadInputError(
            f"has 'position_draws' without the variables that belong to them; {remedy}"
        )
    check_dimensions("fit_position", pose["fit_position"], _DRAWS)
    check_dimensions("position_draws", pose["position_draws"], ("draw", *_DRAWS))
    for name, needed in (("fit_space", ("x", "y", "z")), ("fit_keypoint", FITTED)):
        if name not in pose.coords or not set(needed) <= set(pose[name].to_numpy().tolist()):
            raise BadInputError(
                f"its coordinate '{name}' lacks {shortened(needed, most=5)}; {remedy}"
            )
    if not (pose.sizes["draw"] and pose.sizes["fit_time"]):
        raise BadInputError(f"has no posterior samples, or no times for them; {remedy}")
    try:
        check_times(pose["fit_time"])
    except BadInputError as error:
        raise BadInputError(f"for 'fit_time', {error}") from None
    for name in ("fit_position", "position_draws"):
        _check_values(name, pose[name])


def require_positions(pose: xr.Dataset, *, what: str) -> None:
    """Raise an error unless a pose has points in space; `what` is the function that needs them."""
    if "position" not in pose:
        raise BadInputError(
            f"{what}: the pose has only points in the picture; fit a body (fit_body), or use "
            "angles in the image plane (picture_angles)"
        )


def _check_points(name: str, values: xr.DataArray, axis: str, labels: Sequence[str]) -> None:
    check_dimensions(name, values, ("time", axis, "keypoint"), beside=("individual",))
    present = values[axis].to_numpy().tolist()
    if not set(labels) <= set(present):
        raise BadInputError(f"the coordinate '{axis}' of '{name}' must be {', '.join(labels)}")
    keypoints = set(values["keypoint"].to_numpy().tolist())
    absent = [keypoint for keypoint in KEYPOINTS if keypoint not in keypoints]
    if absent:
        raise BadInputError(f"'{name}' lacks the landmarks {shortened(absent, most=5)}")
    _check_values(name, values)


def check_dimensions(
    name: str, values: xr.DataArray, needed: Sequence[str], *, beside: Sequence[str] = ()
) -> None:
    """Raise an error unless a variable has the dimensions `needed`, and only `beside` as others."""
    lacking = sorted(set(needed) - set(map(str, values.dims)))
    if lacking:
        raise BadInputError(f"'{name}' has no dimension {', '.join(lacking)}")
    more = sorted(set(map(str, values.dims)) - {*needed, *beside})
    if more:
        raise BadInputError(
            f"'{name}' has too many dimensions ({', '.join(more)}); select one entry"
        )


def _check_metres(position: Array) -> None:
    """Raise an error if positions, (time, space, keypoint), cannot belong to a body in metres."""
    poses = position[~np.isnan(position).all(axis=(1, 2))]
    if not poses.size:
        return
    if np.nanmax(np.abs(poses)) > _FARTHEST_M:
        raise BadInputError("'position' must be in metres: a landmark is more than 1000 km away")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)
        extent = np.nanmax(np.nanmax(poses, axis=2) - np.nanmin(poses, axis=2), axis=1)
    if (large := float(np.median(extent))) > _LARGEST_BODY_M:
        raise BadInputError(
            f"'position' must be in metres: the body has a size of {large:.0f}; divide "
            "millimetres by 1000"
        )


def _check_degrees(name: str, values: xr.DataArray) -> None:
    """Raise an error if an angle, or its error, cannot be in degrees."""
    _check_values(name, values)
    if "side" in values.dims and not set(values["side"].to_numpy().tolist()) <= set(SIDES):
        raise BadInputError(f"the sides of '{name}' must be left and right")
    if not in_degrees(units := values.attrs.get("units", _DEGREES[0])):
        raise BadInputError(f"'{name}' must be in degrees (its units: {quoted(units)})")
    numbers = values.to_numpy()
    if name in definitions() and numbers.size:
        highest = float(
            np.abs(numbers, where=~np.isnan(numbers), out=np.zeros(numbers.shape)).max()
        )
        if highest > MOST_DEGREES:
            raise BadInputError(
                f"'{name}' must be in degrees: it contains {highest:.4g}, but no joint rotates "
                f"by more than {MOST_DEGREES:g}"
            )


def require_angles(angles: xr.Dataset, names: Iterable[str], *, what: str) -> None:
    """Raise an error unless the named :data:`Angles` exist, with both sides and their errors.

    `what` is the function that takes them.
    """
    needed = [variable for name in names for variable in (name, sd_name(name))]
    if absent := [name for name in needed if name not in angles]:
        raise BadInputError(
            f"{what}: the angles have no {shortened(absent, most=5)}; make them with joint_angles"
        )
    for name in needed:
        dims = ("time", "side") if definitions()[name_of_value(name)]["sided"] else ("time",)
        if set(angles[name].dims) != set(dims) or angles.sizes.get("side", 2) != len(SIDES):
            sides = ", left and right" if "side" in dims else ""
            raise BadInputError(f"{what}: '{name}' must be over {' and '.join(dims)}{sides}")


def check_repetitions(value: Any) -> xr.Dataset:
    """Return repetitions unchanged, if each begins before it ends and is accepted or not."""
    dataset = _dataset(value, "must be a Dataset of repetitions, as from find_repetitions")
    lacking = [name for name in ("start", "end") if name not in dataset]
    if lacking:
        raise BadInputError(
            f"the repetitions have no {', '.join(lacking)}; make them with find_repetitions"
        )
    for name in (*EVENTS, "depth"):
        if name in dataset:
            check_dimensions(name, dataset[name], ("rep",))
            _check_values(name, dataset[name])
    for name in _FLAGS_OF_REPETITION:
        if name in dataset:
            check_dimensions(name, dataset[name], ("rep",))
            if not np.isin(dataset[name].to_numpy(), (False, True)).all():
                raise BadInputError(f"'{name}' must be true or false for each repetition")
    start, end = dataset["start"].to_numpy(), dataset["end"].to_numpy()
    if not (np.isfinite(start).all() and np.isfinite(end).all() and (start < end).all()):
        raise BadInputError("a repetition has no start or end, or does not start before its end")
    if "time" in dataset.dims:
        check_recording(dataset)
        for name in ("hip_height", "standing"):
            if name in dataset:
                check_dimensions(name, dataset[name], ("time",))
                if name == "hip_height":
                    _check_values(name, dataset[name])
    return dataset


def require_overlap(repetitions: xr.Dataset, time: Array, *, what: str) -> None:
    """Raise an error if no repetition lies at least partly in a recording with these times."""
    start, end = repetitions["start"].to_numpy(), repetitions["end"].to_numpy()
    if start.size and not ((start <= time[-1]) & (end >= time[0])).any():
        raise BadInputError(
            f"{what}: no repetition is in the recording, which lasts from {time[0]:.4g} to "
            f"{time[-1]:.4g} s; pass both in seconds on the same clock"
        )


def check_markers(value: Any) -> xr.Dataset:
    """Return markers unchanged, if they are positions over time in metres."""
    no_markers = "not a Dataset of markers; make one with read_lab"
    dataset = _dataset(value, no_markers)
    if "marker_position" not in dataset:
        raise BadInputError(no_markers)
    values = dataset["marker_position"]
    check_dimensions("marker_position", values, ("time", "space", "marker"))
    if not {"x", "y", "z"} <= set(values["space"].to_numpy().tolist()):
        raise BadInputError("the coordinate 'space' of 'marker_position' must be x, y, z")
    _check_values("marker_position", values)
    return check_recording(dataset)


def check_trial(value: Any) -> xr.Dataset:
    """Return angles over time, or metrics over repetitions, unchanged."""
    dataset = _dataset(
        value,
        "must be a Dataset of angles with the dimension time, or of metrics with the dimension rep",
    )
    return check_angles(dataset) if "time" in dataset.dims else dataset


def check_normalised(value: Any) -> xr.Dataset:
    """Return angles over ``rep`` and ``percent`` unchanged, if they have both sides or no side."""
    dataset = _dataset(value, "must be a Dataset from mobility.normalise")
    _check_sides(dataset)
    for name, values in dataset.data_vars.items():
        if name_of_value(name) in definitions():
            check_dimensions(str(name), values, ("rep", "percent"), beside=("side",))
            _check_values(str(name), values)
    return dataset


def _check_sides(dataset: xr.Dataset) -> None:
    if "side" in dataset.dims and set(dataset["side"].to_numpy().tolist()) != set(SIDES):
        raise BadInputError("its sides must be left and right, once each")


def check_metrics(value: Any) -> xr.Dataset:
    """Return metrics unchanged, if values with units are numbers and the sides are complete."""
    dataset = _dataset(value, "must be a Dataset with the metrics of an exercise")
    _check_sides(dataset)
    for name, values in dataset.data_vars.items():
        if values.dtype.kind not in "fiu" and not {"kind", "units"} & values.attrs.keys():
            continue  # a text or a flag, such as the joint of a movement
        _check_values(str(name), values)
        if name == "accepted_repetitions" and (values.dims or not values >= 0):
            raise BadInputError(f"'{name}' must be one count")
        of = name_of_value(name)
        if is_error(name) and of in dataset and values.dims != dataset[of].dims:
            raise BadInputError(f"'{name}' must have the dimensions of '{of}'")
    return dataset


def kind_made_by(
    made_by: str,
    numbers: Mapping[str, str],
    *,
    texts: Mapping[str, str] = {},
    attributes: Mapping[str, str] = {},
    beside: Sequence[str] = (),
) -> Callable[[Any], xr.Dataset]:
    """Return the check for a Dataset that is the result of one function and an argument of another.

    Parameters
    ----------
    made_by
        The function, for messages ("mobility.mean_curves").
    numbers, texts
        Dimensions, separated by spaces, of each variable that must exist.
    attributes
        Attributes that each variable must have, separated by spaces; "" stands for the Dataset.
    beside
        Further dimensions that variables may have.
    """
    no_such = f"must be a Dataset from {made_by}"

    def check(value: Any) -> xr.Dataset:
        dataset = _dataset(value, no_such)
        for name, needed in {**numbers, **texts}.items():
            dims = set(needed.split())
            if name not in dataset.variables or set(dataset[name].dims) - {*beside} != dims:
                raise BadInputError(
                    f"{no_such}; it has no '{name}' with the dimensions ({', '.join(sorted(dims))})"
                )
            if name in numbers:
                _check_values(name, dataset[name])
            elif not all(isinstance(text, str) for text in np.ravel(dataset[name].to_numpy())):
                raise BadInputError(f"'{name}' must contain texts (got {dataset[name].dtype})")
        for name, needed in attributes.items():
            attrs = dataset[name].attrs if name else dataset.attrs
            if lacking := [attribute for attribute in needed.split() if attribute not in attrs]:
                of = f" of '{name}'" if name else ""
                raise BadInputError(f"{no_such}; it has no attribute {', '.join(lacking)}{of}")
        return dataset

    return check


def one_or_several(check: Callable[[Any], xr.Dataset]) -> Callable[[Any], Any]:
    """Return a check for one Dataset, or for each Dataset in a list."""

    def checked_all(value: Any) -> xr.Dataset | list[xr.Dataset]:
        if isinstance(value, str | bytes) or not isinstance(value, Sequence):
            return check(value)
        datasets = []
        for number, item in enumerate(value, start=1):
            try:
                datasets.append(check(item))
            except BadInputError as error:
                raise BadInputError(f"number {number}: {error}") from None
        return datasets

    return checked_all


Datasets = xr.Dataset | Sequence[xr.Dataset]

Recording = Annotated[xr.Dataset, PlainValidator(check_recording)]
"""Any Dataset over ``time`` in seconds; its angles are in degrees."""

Pose = Annotated[xr.Dataset, PlainValidator(check_pose)]
"""One person: ``position(time, space, keypoint, individual)`` in metres, or points in the
picture."""

Poses = Annotated[Datasets, PlainValidator(one_or_several(check_pose))]
"""A pose, or one for each camera."""

Angles = Annotated[xr.Dataset, PlainValidator(check_angles)]
"""Angles in degrees over ``(time, side)`` or ``(time,)``."""

Repetitions = Annotated[xr.Dataset, PlainValidator(check_repetitions)]
"""``start`` and ``end`` of repetitions over ``rep``, in seconds."""

Metrics = Annotated[xr.Dataset, PlainValidator(check_metrics)]
"""Numbers of a recording, without dimensions, or over ``rep``, ``side``, ``phase`` or parts of an
index.
"""

Markers = Annotated[xr.Dataset, PlainValidator(check_markers)]
"""``marker_position(time, space, marker)`` in metres."""

Trials = Annotated[Datasets, PlainValidator(one_or_several(check_trial))]
"""Angles or metrics of one or several recordings."""

RepetitionsOfTrials = Annotated[Datasets, PlainValidator(one_or_several(check_repetitions))]
"""Repetitions of one or several recordings."""

Times = Annotated[Array, PlainValidator(check_times)]
"""Times of the frames of a recording, in seconds."""


def require_pose(dataset: xr.Dataset, *, what: str) -> None:
    """Raise an error unless `dataset` is a :data:`Pose`; `what` is the function that takes it."""
    try:
        check_pose(dataset)
    except BadInputError as error:
        raise BadInputError(f"{what}: {error}") from None
