"""Names and code of the detectors from other packages, without importing them.

A package names its detectors as entry points of the group ``mobility.detectors``;
:mod:`mobility.capture.detectors` defines what a detector is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path

from mobility.base.formatting import listed
from mobility.base.options import likely_of_all, quoted
from mobility.base.provenance import sha256
from mobility.errors import BadInputError, ModelError

ENTRY_POINTS = "mobility.detectors"
BUILT_IN = "mediapipe"
"""Name of the detector that needs no package."""


@contextmanager
def failing_as(what: str, fault: str) -> Iterator[None]:
    """Turn an error of foreign code into one line that names its origin.

    Our own errors are passed on unchanged.
    """
    try:
        yield
    except (BadInputError, MemoryError, ModelError):
        raise
    except (Exception, SystemExit) as error:
        lines = str(error).strip().splitlines()
        why = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
        raise ModelError(f"{what}: {fault} ({why})") from None


def detector_names() -> list[str]:
    """Return the names of all detectors, the built-in one first."""
    installed = {point.name for point in entry_points(group=ENTRY_POINTS)} - {BUILT_IN}
    return [BUILT_IN, *sorted(installed)]


def require_detector(name: str | None) -> None:
    """Raise an error for a detector that is not installed here, before any work begins.

    Raises
    ------
    BadInputError
        The detector is not installed; the error names the field ``detector``.
    """
    if name is not None and name != BUILT_IN:
        try:
            entry_point_of(name)
        except BadInputError as error:
            raise BadInputError.of({"detector": str(error)}) from None


def detector_digest(name: str) -> str:
    """Return the SHA-256 of the Python files of a detector's package, which is not imported.

    Weights are not included: give a detector a new version when its weights change.
    """
    point = entry_point_of(name)
    version = point.dist.version if point.dist is not None else ""
    digest = hashlib.sha256(f"{point.name} {point.value} {version}\n".encode())
    with failing_as(f"detector {name}", "cannot be found"):
        for file in _python_files(point.module.partition(".")[0]):
            digest.update(f"{file.name} {sha256(file)}\n".encode())
    return digest.hexdigest()


def _python_files(package: str) -> list[Path]:
    spec = find_spec(package)
    if spec is None:
        raise ModuleNotFoundError(f"no module named {package!r}")
    if spec.submodule_search_locations:
        return sorted(
            file for place in spec.submodule_search_locations for file in Path(place).rglob("*.py")
        )
    return [Path(spec.origin)] if spec.has_location and spec.origin else []


def entry_point_of(name: str) -> EntryPoint:
    """Return the entry point of a detector.

    Raises
    ------
    BadInputError
        There is no detector of this name, or there are several.
    """
    points = [point for point in entry_points(group=ENTRY_POINTS) if point.name == name]
    places = sorted({point.value for point in points})
    if not points:
        raise BadInputError(f"no detector {quoted(name)}{likely_of_all(name, detector_names())}")
    if len(places) > 1:
        raise BadInputError(
            f"detector {quoted(name)}: is in several packages ({listed(places)}); keep only one "
            "of them"
        )
    return points[0]
