"""Poses of this package, read from files; all their contents are checked."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from mobility import tables
from mobility.base.options import quoted
from mobility.base.parsing import is_control, parse_json
from mobility.base.provenance import with_history
from mobility.capture.models import NAMES, model_sha256
from mobility.errors import BadInputError
from mobility.exchange.checks import check_places, checked_confidence
from mobility.exchange.formats import digest
from mobility.keypoints.sources import MEDIAPIPE, OTHER, SOFTWARE, SOURCE, pose_source
from mobility.kinematics.angle_errors import DEFAULT_METHOD
from mobility.kinematics.datasets import check_pose

_AXES = {
    "image_position": ("time", "pixel", "keypoint", "individual"),
    "confidence": ("time", "keypoint", "individual"),
    "position": ("time", "space", "keypoint", "individual"),
    "image_depth": ("time", "keypoint", "individual"),
    "presence": ("time", "keypoint", "individual"),
}
"""Variables that are kept, and their dimensions."""

_OF_DEPTH = ("position", "image_depth", "presence")

_COORDINATES = ("time", "space", "pixel", "keypoint", "individual")

_LONGEST_NAME = 255


def own_pose(
    pose: xr.Dataset, file: Path, *, size: tuple[int, int] | None, model: str | None
) -> xr.Dataset:
    """Make a pose from a pose file; its points are unchanged, and other contents must be plausible.

    The pose counts as made by the package's own model if it has positions, and names the software
    or the digest of a model that the package pins. Otherwise it belongs to another model, and only
    its points in the picture are used.

    Parameters
    ----------
    pose
        Content of the file.
    file
        The file, for messages and the history.
    size
        Width and height of the picture, pixels, if they are known.
    model
        Name of the model, if the user states it.

    Raises
    ------
    BadInputError
        The content is not a pose, belongs to a picture of another size, or has impossible
        attributes.
    """
    attrs = _checked_attrs(pose.attrs, file)
    pose = _checked(pose.drop_attrs(deep=False).assign_attrs(attrs), file)
    stored = tuple(int(attrs.get(name, 0)) for name in ("image_width", "image_height"))
    if size is not None and all(stored) and stored != size:
        raise BadInputError(
            f"{file}: belongs to pictures of {stored[0]} x {stored[1]} pixels, but the video "
            f"has {size[0]} x {size[1]}; use the keypoints of this video"
        )
    points = pose["image_position"].isel(individual=0).sel(pixel=["u", "v"])
    check_places(points.transpose("time", "keypoint", "pixel").to_numpy(), size, file)
    software = model or str(attrs.get(SOFTWARE, "another model"))
    source = _source(pose, attrs, software, is_named=model is not None)
    warnings = []
    if pose_source(source).depth == "none":
        if attrs.get(SOURCE) == MEDIAPIPE:  # the file may be wrong about both
            attrs.pop("model_sha256", None)
        pose = pose.drop_vars([name for name in (*_OF_DEPTH, "space") if name in pose.variables])
        warnings.append(
            tables.warning("warnings.errors_of_another_model.source", software=software)
        )
    if "confidence" in pose:
        values, above = checked_confidence(pose["confidence"].to_numpy().astype(float), file)
        if above:
            warnings.append(tables.warning("warnings.confidence_above_one", share=above))
            pose = pose.assign(confidence=pose["confidence"].copy(data=values))
    if source == MEDIAPIPE:
        attrs["method"] = DEFAULT_METHOD
    attrs |= {SOURCE: source, SOFTWARE: software, "ds_type": "poses", "time_unit": "seconds"}
    if size is not None:
        attrs |= {"image_width": size[0], "image_height": size[1]}
    pose.attrs = attrs
    return with_history(
        pose, "read_keypoints", {"model": model}, file_sha256=digest(file), warnings=warnings
    )


def _source(pose: xr.Dataset, attrs: Mapping[str, Any], software: str, *, is_named: bool) -> str:
    """Return the key of the source, which counts as measured only if the file proves it."""
    key = str(attrs.get(SOURCE, MEDIAPIPE))
    if key != MEDIAPIPE:
        return key
    pinned = {model_sha256(name) for name in NAMES}
    is_pinned = not is_named and attrs.get("model_sha256") in pinned
    is_own = software == pose_source(MEDIAPIPE).name or is_pinned
    return MEDIAPIPE if "position" in pose and is_own else OTHER


def _checked(pose: xr.Dataset, file: Path) -> xr.Dataset:
    """Return the variables and coordinates of a pose, and no others."""
    needed = pose[[name for name in _AXES if name in pose]]
    needed = needed.drop_vars([name for name in needed.coords if name not in _COORDINATES])
    if "individual" not in needed.dims:
        needed = needed.drop_vars("individual", errors="ignore").expand_dims(individual=["subject"])
    for name, axes in _AXES.items():
        if name in needed and set(needed[name].dims) != set(axes):
            raise BadInputError(
                f"{file}: '{name}' must have the dimensions ({', '.join(axes)}) (got "
                f"{', '.join(map(str, needed[name].dims))})"
            )
    for name in sorted({"pixel", "space", "keypoint"} & set(map(str, needed.dims))):
        if not needed.get_index(name).is_unique:
            raise BadInputError(f"{file}: contains a name of '{name}' twice")
    try:
        check_pose(needed)
    except BadInputError as error:
        raise BadInputError(f"{file}: {error}") from None
    return needed


def _checked_attrs(attrs: Mapping[Any, Any], file: Path) -> dict[str, Any]:
    """Return the checked attributes of a pose; others are left out."""
    checked_attrs: dict[str, Any] = {}
    for name, (convert, meaning) in _ATTRIBUTES.items():
        if name not in attrs:
            continue
        try:
            checked_attrs[name] = convert(attrs[name])
        except (TypeError, ValueError, KeyError, OverflowError):
            raise BadInputError(
                f"{file}: its attribute {name} must be {meaning} (got {quoted(attrs[name])}); "
                "use the pose as it was stored"
            ) from None
    if SOURCE in checked_attrs:
        try:
            pose_source(checked_attrs[SOURCE])
        except BadInputError as error:
            raise BadInputError(f"{file}: its attribute {SOURCE}: {error}") from None
    return checked_attrs


def _require(is_true: bool) -> None:
    if not is_true:
        raise ValueError


def _name(value: Any) -> str:
    _require(isinstance(value, str) and 0 < len(value) <= _LONGEST_NAME)
    _require(not any(map(is_control, value)))
    return str(value)


def _digest(value: Any) -> str:
    text = _name(value)
    _require(len(text) == 64 and set(text) <= set("0123456789abcdef"))
    return text


def _number(value: Any) -> float:
    _require(isinstance(value, int | float | np.number) and not isinstance(value, bool))
    _require(math.isfinite(value))
    return float(value)


def _positive(value: Any) -> float:
    number = _number(value)
    _require(number > 0)
    return number


def _pixels(value: Any) -> int:
    number = _positive(value)
    _require(number == round(number))
    return int(number)


def _parsed(value: Any) -> Any:
    """Read JSON; histories may hold NaN, which is not JSON."""
    try:
        return parse_json(json.dumps(json.loads(value, parse_constant=lambda _: None)))
    except RecursionError:
        raise ValueError from None


def _history(value: Any) -> str:
    entries = _parsed(value)
    _require(isinstance(entries, list))
    for entry in entries:
        _require(isinstance(entry, dict))
        _name(entry["operation"])
        for warning in entry.get("warnings", []):
            _require(isinstance(warning, dict) and isinstance(warning.get("values", {}), dict))
            _name(warning["code"])
            _require(isinstance(warning["message"], str))
        for cut in entry.get("cuts", []):
            _number(cut)
        for repeat in entry.get("repeats", []):
            for name in ("start", "stop", "first"):
                _number(repeat[name])
    return json.dumps(entries, sort_keys=True)


def _survey(value: Any) -> str:
    """Check the survey of other people, because it is used to blur their heads."""
    survey = _parsed(value)
    _require(isinstance(survey, dict))
    if survey.get("landmark_offset_px") is not None:
        _number(survey["landmark_offset_px"])
    for track in survey.get("other_heads", []):
        _require(bool(track))
        for head in track:
            _require(len([_number(number) for number in head]) == 4)
    for person in survey.get("other_people", []):
        _number(person["first_seen_s"])
        _number(person["last_seen_s"])
        _require(len([_number(number) for number in person["box"]]) == 4)
        _require(len([_number(number) for number in person["subject"]]) == 2)
    for name, entry in survey.items():
        is_list = name in ("other_heads", "other_people", "subject")
        _require(isinstance(entry, list if is_list else int | float | str | None))
    return json.dumps(survey, sort_keys=True)


_ATTRIBUTES: Mapping[str, tuple[Callable[[Any], Any], str]] = {
    SOURCE: (_name, "a key of the table pose_sources"),
    SOFTWARE: (_name, "a name"),
    "source_file": (lambda value: Path(_name(value)).name, "the name of a file"),
    "fps": (_positive, "a number above 0"),
    "video_fps": (_positive, "a number above 0"),
    "focal_length_35mm": (_positive, "a number above 0, millimetres"),
    "image_width": (_pixels, "a number of pixels"),
    "image_height": (_pixels, "a number of pixels"),
    "video_sha256": (_digest, "a SHA-256"),
    "model_sha256": (_digest, "a SHA-256"),
    "survey": (_survey, "the JSON that estimate_pose writes"),
    "history": (_history, "the JSON of operations that the package writes"),
}
"""For each attribute that is kept, the check of its value, and the meaning of the attribute."""
