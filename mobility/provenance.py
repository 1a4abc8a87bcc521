"""What was done to a Dataset, by which software: the ``history`` attribute."""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import xarray as xr

SCHEMA_VERSION = "1"
"""Version of the layout of our Datasets and documents."""

PACKAGES = ("mobility", "mediapipe", "numpy", "scipy", "xarray", "av", "opencv-contrib-python")
"""Packages whose version can change a number."""


@functools.cache
def package_versions() -> Mapping[str, str]:
    """Versions of the packages that can change a number, by name."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def sha256(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file as hexadecimal digits, read in blocks."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def history(dataset: xr.Dataset) -> list[dict[str, Any]]:
    """List the operations that made `dataset`, oldest first."""
    return list(json.loads(dataset.attrs.get("history", "[]")))


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
        Name of the public function that made it.
    arguments
        The options of that function, as JSON values.
    source
        The Dataset from which it was made, whose history it continues;
        default `dataset` itself.
    **results
        What the operation found or changed (counts, warnings), as JSON values.
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


def warnings_of(*datasets: xr.Dataset) -> list[dict[str, str]]:
    """Collect the warnings that the operations recorded, each once, in order.

    An operation records a warning as ``warnings=[{"code": ..., "message": ...}]``
    in its history entry: the code is for programs, the message for people.
    """
    found: list[dict[str, str]] = []
    for dataset in datasets:
        for entry in history(dataset):
            found += [w for w in entry.get("warnings", []) if w not in found]
    return found


def cameras_of(*datasets: xr.Dataset) -> list[dict[str, Any]]:
    """List the cameras of a body that was fitted to several; empty where there was only one.

    Parameters
    ----------
    *datasets
        A fitted pose, or what was made from one; the first with cameras in its history counts.

    Returns
    -------
    list of dict
        For each camera ``azimuth_deg`` (0 in front, 90 on the subject's right), ``residual_m`` and
        ``residual_px`` (root mean square of the landmarks off the body), ``focal_length_px``; for
        all but the first ``time_offset_s`` and ``time_offset_sd_s``, ``rotation`` and
        ``translation_m`` from the axes of the first camera.
    """
    for dataset in datasets:
        for entry in reversed(history(dataset)):
            if found := entry.get("cameras"):
                return list(found)
    return []
