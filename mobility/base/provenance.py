"""Provenance of results: their ``history`` attribute, and digests of the present code."""

from __future__ import annotations

import ast
import functools
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import mobility
from mobility.errors import ConflictError

if TYPE_CHECKING:
    import xarray as xr

SCHEMA_VERSION = "1"
"""Version of the layout of our Datasets and documents."""

LIBRARIES = ("mediapipe", "numpy", "scipy", "xarray", "av", "opencv-contrib-python")
"""Packages, beside this one, whose version can change a number."""

_HERE = Path(mobility.__file__).parent


@functools.cache
def package_versions() -> Mapping[str, str]:
    """Versions of the packages that can change a number, by name."""
    # One that is installed in place keeps the metadata of the day when it was installed.
    versions = {"mobility": mobility.__version__}
    for name in LIBRARIES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "not installed"
    return versions


def sha256(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file as hexadecimal digits, read in blocks."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class Code:
    """The part of this package that makes a result.

    Attributes
    ----------
    modules
        Rooms and modules on which the result may depend, by the import contracts; none: all but
        the exercises, which have digests of their own.
    sentences
        Tables of sentences whose texts results store as warnings and reasons.
    tables
        Tables of numbers that these load; None: all.
    """

    modules: tuple[str, ...] = ()
    sentences: tuple[str, ...] = ()
    tables: tuple[str, ...] | None = None


_LOWEST = ("base", "errors", "keypoints", "tables")

POSE = Code(
    modules=("capture", *_LOWEST),
    sentences=("capture",),
    tables=(
        *("angles", "capture_quality", "keypoint_names", "landmarks", "pose_model"),
        *("pose_sources", "views"),
    ),
)
"""Code of a pose, without the model. A pose takes minutes, everything else seconds."""

RESULTS = Code(
    modules=(
        *("assessment", "catalogue", "kinematics", *POSE.modules),
        *("pipeline.analysis", "pipeline.metrics_table", "pipeline.overlay"),
    ),
    sentences=("capture", "comments", "joints", "reasons", "results", "warnings"),
)
"""Code of the results of a session, from its poses."""

COMPARISON = replace(
    RESULTS,
    modules=(
        *RESULTS.modules,
        *("statistics", "exchange", "validation", "pipeline.lab_comparison"),
    ),
    sentences=(*RESULTS.sentences, "cohort", "studies"),
)
"""Code of a comparison with a lab, from the results of sessions."""

PAGES = Code()
"""Code of reports and comments, without that of the exercises."""


@functools.cache
def code_digest(code: Code | None = PAGES) -> str:
    """SHA-256 of the files of a part of this package, None: all, and of library versions.

    Raises
    ------
    ConflictError
        A file was changed since this process began, which may run the earlier code.
    """
    # The files of this package are more specific than its version.
    versions = {name: each for name, each in package_versions().items() if name != "mobility"}
    digest = hashlib.sha256(json.dumps(versions, sort_keys=True).encode())
    for file in package_files(_HERE, code):
        # Not by the clock, which may be behind that of the installation.
        if (time := file.stat().st_mtime_ns) != _AT_START.get(file, time):
            raise ConflictError(
                f"{file.name} of mobility was changed while this process ran; start it again"
            )
        digest.update(f"{file.relative_to(_HERE).as_posix()} {sha256(file)}\n".encode())
    return digest.hexdigest()


def package_files(package: Path, code: Code | None = None) -> list[Path]:
    """Files that are installed with a package, or with a part of it; no hidden ones and backups."""
    folders = [init.parent for init in package.rglob("__init__.py")]
    files = (file for folder in folders for file in folder.iterdir() if file.is_file())
    visible = (f for f in files if not (f.name.startswith(".") or f.name.endswith("~")))
    return sorted(f for f in visible if code is None or _belongs_to(code, f.relative_to(package)))


_AT_START = {file: file.stat().st_mtime_ns for file in package_files(_HERE)}


def _belongs_to(code: Code, file: Path) -> bool:
    name = file.stem
    if not code.modules:
        return file.parts[0] != "exercises"
    if file.parts[0] == "tables" and file.suffix != ".py":
        if name.startswith("sentences_"):
            return name.removeprefix("sentences_") in code.sentences
        return code.tables is None or name in code.tables
    parts = file.with_suffix("").parts
    return any(".".join(parts[:length]) in code.modules for length in (1, 2))


@functools.cache
def imported_modules(source: bytes, *, package: str) -> set[str]:
    """Modules that a source of a package imports; of ``from a import b`` it is ``a.b``.

    What :mod:`mobility` hands out is of the module that it comes from.
    """
    modules: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            modules |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: 1 - node.level or None] if node.level else []
            whence = ".".join([*above, *filter(None, [node.module])])
            modules |= {f"{whence}.{each.name}" for each in node.names}
    if "mobility" in modules:
        modules |= {*mobility.PUBLIC.values()}
    return modules | {mobility.PUBLIC.get(name.removeprefix("mobility."), name) for name in modules}


def history(dataset: xr.Dataset) -> list[dict[str, Any]]:
    """List the operations that made `dataset`, oldest first.

    The history of another program becomes one operation, with its text.
    """
    text = dataset.attrs.get("history", "[]")
    try:
        entries = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        entries = None
    if isinstance(entries, list) and all(_is_operation(entry) for entry in entries):
        return entries
    return [{"operation": "of another program", "arguments": {}, "text": str(text)}]


def _is_operation(entry: Any) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("operation"), str)


def with_history(
    dataset: xr.Dataset,
    operation: str,
    arguments: Mapping[str, Any],
    *,
    source: xr.Dataset | None = None,
    **results: Any,
) -> xr.Dataset:
    """Return `dataset` with one more entry at the end of its history.

    Parameters
    ----------
    dataset
        A new Dataset; it is not changed.
    operation
        Name of the public function that made `dataset`.
    arguments
        Options of that function, as JSON values.
    source
        The Dataset from which it was made, whose history it continues;
        default `dataset` itself.
    **results
        Counts, warnings and other results of the operation, as JSON values.
    """
    entries = history(dataset if source is None else source)
    entries.append(
        {
            "operation": operation,
            "arguments": dict(arguments),
            **results,
            "versions": dict(package_versions()),
        }
    )
    return dataset.assign_attrs(
        schema_version=SCHEMA_VERSION, history=json.dumps(entries, sort_keys=True)
    )


@dataclass(frozen=True)
class AnalysisWarning:
    """A warning about results: ``AnalysisWarning(**warning)`` of a history.

    Attributes
    ----------
    code, values
        For programs; the values are those in its sentence.
    message
        For people: one line.
    """

    code: str
    message: str
    values: Mapping[str, Any] = field(default_factory=dict)


def warnings_of(*datasets: xr.Dataset) -> list[dict[str, Any]]:
    """Collect the warnings that the operations recorded, each once, in order.

    An operation records a warning as ``warnings=[tables.warning(...)]`` in its history entry:
    code and values are for programs, the message for people; see :class:`AnalysisWarning`.
    """
    warnings: list[dict[str, Any]] = []
    for dataset in datasets:
        for entry in history(dataset):
            warnings += [w for w in entry.get("warnings", []) if w not in warnings]
    return warnings


def last_of(entries: list[dict[str, Any]], operation: str) -> dict[str, Any]:
    """Last entry of an operation in a history; empty if there is none."""
    return next((entry for entry in reversed(entries) if entry["operation"] == operation), {})


def cuts_of(dataset: xr.Dataset) -> list[float]:
    """List the times at which the video of a Dataset is cut, in seconds.

    Cuts of further cameras are included, in the time of the first.
    """
    return sorted(
        time + offset for entry, offset in _films_of(dataset) for time in entry.get("cuts", [])
    )


class Repeat(NamedTuple):
    """A shot that the video shows again, from `start` to `stop`, and when it showed it first, s."""

    start: float
    stop: float
    first: float


def repeats_of(dataset: xr.Dataset) -> list[Repeat]:
    """List the shots that the video of a Dataset shows again.

    Those of further cameras are included, in the time of the first.
    """
    return [
        Repeat(*(repeat[name] + offset for name in Repeat._fields))
        for entry, offset in _films_of(dataset)
        for repeat in entry.get("repeats", [])
    ]


def _films_of(dataset: xr.Dataset) -> Iterator[tuple[dict[str, Any], float]]:
    """Entry of the pose of each camera, and its time in that of the first, seconds."""
    entries = history(dataset)
    yield last_of(entries, "estimate_pose"), 0.0
    others = last_of(entries, "fit_body").get("further_histories", [])
    for entries, camera in zip(others, cameras_of(dataset)[1:], strict=False):
        yield last_of(entries, "estimate_pose"), camera.get("time_offset_s", 0.0)


def cameras_of(*datasets: xr.Dataset) -> list[dict[str, Any]]:
    """List the cameras of a body that was fitted to several; empty where there was only one.

    Parameters
    ----------
    *datasets
        Fitted poses, or Datasets made from them; the first with cameras in its history counts.

    Returns
    -------
    list of dict
        For each camera ``azimuth_deg`` (0 in front, 90 on the subject's right), ``distance_m``
        (horizontally from the hips), ``residual_m`` and ``residual_px`` (root mean square of the
        landmarks off the body), ``focal_length_px``; for all but the first ``time_offset_s`` and
        ``time_offset_sd_s``, ``rotation`` and ``translation_m`` from the axes of the first camera.
    """
    for dataset in datasets:
        for entry in reversed(history(dataset)):
            if cameras := entry.get("cameras"):
                return list(cameras)
    return []
