"""Calibrated cameras: reading calibration files, and matching cameras to videos.

The module reads files from OpenCV (``FileStorage`` as YAML: one camera, or two from
``stereoCalibrate``), from Pose2Sim, Caliscope and anipose (TOML), and from Qualisys (``.qca.txt``).
A camera sees a point X of the world, in metres, at ``R X + t``: x to the right in the picture, y
down, z ahead, as in OpenCV.
"""

from __future__ import annotations

import hashlib
import os
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from mobility import tables
from mobility.base.formatting import listed
from mobility.base.parsing import parse_toml, parse_yaml, read_file
from mobility.errors import BadInputError, NotFoundError
from mobility.kinematics.skeleton import Array

LARGEST_BYTES = 4 << 20

_DISTORTIONS = (0, 4, 5, 8, 12, 14)
"""Possible numbers of coefficients of OpenCV's distortion model."""

_FARTHEST = 50.0
"""Largest plausible distance between two cameras in metres; a larger one indicates millimetres or
another unit.
"""

_BLOCK = 16
"""Side of a video codec's block in pixels; decoders may keep or leave out the padding to whole
blocks.
"""

_SAME_ASPECT = 0.002
_OUTSIDE = 0.1
"""Margin around the picture, as a share of its size, in which the lens model must still hold."""

_OPENCV_TO_FIT = np.diag([1.0, -1.0, -1.0])
"""From the axes of OpenCV to those of the fit: x right, y up, z towards the camera."""

_QUALISYS_PIXEL = 64.0
"""Units of a Qualisys file per pixel."""


@dataclass(frozen=True, eq=False)
class Camera:
    """One camera from a calibration file.

    `size` is the width and height of the picture, and `matrix` contains the focal lengths and the
    principal point, all in pixels. `distortion` contains the coefficients of OpenCV's model: k1,
    k2, p1, p2, k3, ... `rotation` and `translation` (metres) convert world to camera coordinates;
    they are None if the file has only the lens. `residual_px` is the reprojection error of the
    calibration, if known.
    """

    name: str
    size: tuple[int, int]
    matrix: Array
    distortion: Array
    rotation: Array | None = None
    translation: Array | None = None
    residual_px: float | None = None

    @property
    def focal(self) -> float:
        """Focal length, pixels; the mean if the two differ."""
        return float(np.sqrt(self.matrix[0, 0] * self.matrix[1, 1]))

    def for_size(self, size: tuple[int, int]) -> tuple[Camera, dict[str, Any] | None]:
        """Return the camera for a picture of another size, with a warning about the change.

        A picture with another aspect ratio raises an error.
        """
        if size == self.size:
            return self, None
        (width, height), (own_width, own_height) = size, self.size
        sizes = {"camera": self.name, "known": self.size, "given": size}
        if abs(width - own_width) < _BLOCK and abs(height - own_height) < _BLOCK:
            cut = tables.warning("warnings.calibration_size.cut", **sizes)
            return replace(self, size=size), cut
        x, y = width / own_width, height / own_height
        if abs(x / y - 1) > _SAME_ASPECT:
            turned = (height, width) == self.size
            raise BadInputError(
                f"calibration: the calibration of {self.name} is for {own_width} × "
                f"{own_height} pixels, the video has {width} × {height}, which is "
                f"{'turned by 90 degrees' if turned else 'of another shape'}; calibrate the "
                "camera at the size and rotation of the video"
            )
        # Pixels are counted from the middle of the first pixel.
        scale = np.array([[x, 0, 0.5 * x - 0.5], [0, y, 0.5 * y - 0.5], [0, 0, 1]])
        residual = None if self.residual_px is None else self.residual_px * x
        scaled = tables.warning("warnings.calibration_size.scaled", factor=x, **sizes)
        return replace(self, size=size, matrix=scale @ self.matrix, residual_px=residual), scaled

    def undistorted(self, points: Array) -> Array:
        """Return points of the picture (..., 2) undistorted, relative to the optical axis."""
        import cv2

        middle = np.array(self.size) / 2
        focal = np.diag(self.matrix)[:2]
        edge = _OUTSIDE * np.array(self.size)
        # The polynomial of the lens does not hold far outside the picture.
        within = np.clip(points, -edge, self.size + edge)
        finite = np.isfinite(within).all(axis=-1)
        normalised = np.full(points.shape, np.nan)
        if finite.any():
            straight = cv2.undistortPoints(
                within[finite].reshape(-1, 1, 2), self.matrix, self.distortion
            )
            normalised[finite] = straight.reshape(-1, 2)
        moved: Array = middle + self.focal * (normalised + (points - within) / focal)
        return moved


@dataclass(frozen=True, eq=False)
class Calibration:
    """Cameras in the order of the file, or, once matched, in the order of the videos.

    `up` is the upward direction of the world, if the file states it. `matched` is how the cameras
    were assigned to videos: "by name", "by order", or empty if they were not.
    """

    cameras: tuple[Camera, ...]
    source: str
    sha256: str
    up: Array | None = None
    matched: str = ""

    def of(self, videos: Sequence[str]) -> Calibration:
        """Select the cameras of some videos by file name, in the order of the videos.

        A video belongs to the camera whose name is in its file name. If no file name contains the
        name of a camera, cameras and videos are matched by order. An error is raised if only some
        videos name a camera, or if the numbers of cameras and videos differ.
        """
        named = [self._named_in(Path(video).stem) for video in videos]
        names = ", ".join(camera.name for camera in self.cameras)
        if all(camera is None for camera in named):
            if len(self.cameras) != len(videos):
                raise BadInputError(
                    f"calibration {self.source}: has {len(self.cameras)} cameras ({names}) for "
                    f"{len(videos)} {'video' if len(videos) == 1 else 'videos'}, but no file "
                    "name names a camera; put the name of its camera into the file name of "
                    "each video"
                )
            return replace(self, matched="by order")
        matched_cameras: list[Camera] = []
        for video, camera in zip(videos, named, strict=True):
            if camera is None or camera in matched_cameras:
                fault = (
                    "names none"
                    if camera is None
                    else f"names {camera.name}, as another video does"
                )
                raise BadInputError(
                    f"calibration {self.source}: has the cameras {names}; the video {video} {fault}"
                )
            matched_cameras.append(camera)
        return replace(self, cameras=tuple(matched_cameras), matched="by name")

    def fitting(self, sizes: Sequence[tuple[int, int]]) -> tuple[Calibration, list[dict[str, Any]]]:
        """Return the cameras for pictures of these sizes, with warnings about changes.

        An error is raised if a picture has another aspect ratio, or if one of several cameras has
        no position.
        """
        if len(self.cameras) != len(sizes):
            raise BadInputError(
                f"calibration {self.source}: {len(self.cameras)} cameras were matched to "
                f"{len(sizes)} videos; match the cameras to these videos"
            )
        resized = [camera.for_size(size) for camera, size in zip(self.cameras, sizes, strict=True)]
        cameras = tuple(camera for camera, _ in resized)
        for camera in cameras[1:]:
            _from_first(cameras[0], camera, self.source)
        return replace(self, cameras=cameras), [warning for _, warning in resized if warning]

    def _named_in(self, stem: str) -> Camera | None:
        named = []
        for camera in self.cameras:
            # Not cam1 in cam10, and not 4 in 2024.
            bare = re.sub(r"^int_|_img$", "", camera.name)
            if re.search(f"(?<![A-Za-z0-9]){re.escape(bare)}(?![A-Za-z0-9])", stem, re.IGNORECASE):
                named.append((len(bare), camera))
        named.sort(key=lambda named_camera: named_camera[0])
        if len(named) > 1 and named[-1][0] == named[-2][0]:
            raise BadInputError(
                f"calibration {self.source}: the video {stem} names both {named[-2][1].name} and "
                f"{named[-1][1].name}; name one camera"
            )
        return named[-1][1] if named else None


@dataclass(frozen=True)
class KnownCameras:
    """Calibrated cameras in the axes of the fit: x right, y up, z towards the first camera."""

    poses: tuple[xr.Dataset, ...]  # undistorted, with the optical axis in the middle of the picture
    focal: tuple[float, ...]  # px
    focal_sd: float  # of the logarithm of the focal length
    tilt: tuple[float, float] | None  # tangents of pitch and roll of the first camera
    tilt_sd: float
    axes: tuple[
        tuple[Array, Array], ...
    ]  # rotation and translation from the first camera to the others
    rotation_sd: float
    translation_sd: tuple[float, ...]  # m
    history_entry: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[dict[str, Any], ...] = ()


_FOCAL_SD, _ROTATION_SD, _TRANSLATION_SD, _TILT_SD = 0.002, 5e-4, 0.002, np.radians(0.5)
"""Least errors of a calibration: logarithm of the focal length; rotation, radians; translation,
metres; and the vertical, radians, which is typical of a calibration frame on the floor."""

_USUAL_RESIDUAL = 1.0
"""Pixels, for files without a residual."""


def matched(
    calibration: Calibration | str | os.PathLike[str], poses: Sequence[xr.Dataset]
) -> Calibration:
    """Read a calibration, unless it was read before, and match its cameras to poses.

    The ``source_file`` of a pose names its video. Cameras that are already matched to videos keep
    their order.
    """
    if not isinstance(calibration, Calibration):
        calibration = read_calibration(calibration)
    if calibration.matched:
        return calibration
    return calibration.of([str(pose.attrs.get("source_file", "")) for pose in poses])


def known_cameras(
    calibration: Calibration | str | os.PathLike[str], poses: Sequence[xr.Dataset]
) -> KnownCameras:
    """Return the calibrated cameras of some poses, for a fit (see :func:`matched`).

    An error is raised if the calibration belongs to other videos.
    """
    calibration = matched(calibration, poses)
    for pose in poses:
        for name in ("image_width", "image_height"):
            if name not in pose.attrs:
                raise BadInputError(f"calibration: the pose has no attribute {name!r}")
    calibration, warnings = calibration.fitting(
        [(int(pose.attrs["image_width"]), int(pose.attrs["image_height"])) for pose in poses]
    )
    cameras = calibration.cameras
    first = cameras[0]
    tilt = None
    if calibration.up is not None and first.rotation is not None:
        x, y, z = _OPENCV_TO_FIT @ first.rotation @ calibration.up
        if y < 0.5:
            raise BadInputError(
                f"calibration {calibration.source}: with this calibration, the person is not "
                f"upright in the video of {first.name}; check that it belongs to this video, "
                "with the picture upright"
            )
        tilt = float(z / y), float(x / y)
    angle = max(
        ((_USUAL_RESIDUAL if c.residual_px is None else c.residual_px) / c.focal for c in cameras),
    )
    axes, translation_sd = [], []
    for camera in cameras[1:]:
        rotation, translation = _from_first(first, camera, calibration.source)
        axes.append((rotation, translation))
        translation_sd.append(max(angle * float(np.linalg.norm(translation)), _TRANSLATION_SD))
    return KnownCameras(
        poses=tuple(
            _undistorted(pose, camera) for pose, camera in zip(poses, cameras, strict=True)
        ),
        focal=tuple(camera.focal for camera in cameras),
        focal_sd=max(angle, _FOCAL_SD),
        tilt=tilt,
        tilt_sd=_TILT_SD,
        axes=tuple(axes),
        rotation_sd=max(angle, _ROTATION_SD),
        translation_sd=tuple(translation_sd),
        history_entry={
            "file": calibration.source,
            "sha256": calibration.sha256,
            "cameras": [camera.name for camera in cameras],
            "matched": calibration.matched,
            "vertical": tilt is not None,
        },
        warnings=tuple(warnings),
    )


def _undistorted(pose: xr.Dataset, camera: Camera) -> xr.Dataset:
    if "image_position" not in pose:
        raise BadInputError(
            "calibration: the pose has no 'image_position'; make one with estimate_pose"
        )
    distorted = pose["image_position"].sel(pixel=["u", "v"])
    points = distorted.transpose(..., "pixel")
    undistorted = points.copy(data=camera.undistorted(points.to_numpy().astype(np.float64)))
    return pose.assign(image_position=undistorted.transpose(*distorted.dims))


def _from_first(first: Camera, camera: Camera, source: str) -> tuple[Array, Array]:
    """Return rotation and translation from the first to another camera, in the axes of the fit."""
    extrinsics = []
    for given_camera in (first, camera):
        if given_camera.rotation is None or given_camera.translation is None:
            places = {"rotation": given_camera.rotation, "translation": given_camera.translation}
            absent = listed([key for key, value in places.items() if value is None])
            raise BadInputError(
                f"calibration {source}: has the lens of {given_camera.name} but not its position "
                f"(no {absent}); two videos need the rotation and translation of both cameras"
            )
        extrinsics.append((given_camera.rotation, given_camera.translation))
    (rotation, translation), (other_rotation, other_translation) = extrinsics
    rotation = other_rotation @ rotation.T
    translation = other_translation - rotation @ translation
    distance = float(np.linalg.norm(translation))
    if not 0.05 < distance < _FARTHEST:
        raise BadInputError(
            f"calibration {source}: {first.name} and {camera.name} are {distance:.4g} m apart; "
            "the translations must be in metres"
        )
    return _OPENCV_TO_FIT @ rotation @ _OPENCV_TO_FIT, _OPENCV_TO_FIT @ translation


def rotation_matrix(vector: Array) -> Array:
    """Return the matrix of a rotation vector, radians (Rodrigues)."""
    angle = float(np.linalg.norm(vector))
    cross = cross_matrix(vector)
    if angle < 1e-8:
        return np.eye(3) + cross
    matrix: Array = (
        np.eye(3) + np.sin(angle) / angle * cross + (1 - np.cos(angle)) / angle**2 * cross @ cross
    )
    return matrix


def cross_matrix(v: Array) -> Array:
    """Return the matrix of the cross product with a vector."""
    return np.array([[0.0, -v[2], v[1]], [v[2], 0.0, -v[0]], [-v[1], v[0], 0.0]])


def read_calibration(path: str | os.PathLike[str]) -> Calibration:
    """Read the cameras from a calibration file.

    OpenCV's YAML has ``camera_matrix``, ``distortion_coefficients``, ``image_width`` and
    ``image_height`` for one camera, or ``M1``, ``D1``, ``M2``, ``D2``, ``R``, ``T`` and the size
    for two. TOML of Pose2Sim, Caliscope or anipose has tables with ``size``, ``matrix``,
    ``distortions``, ``rotation`` and ``translation``. The XML of Qualisys (``.qca.txt``) has z up.
    YAML and TOML may state which axis of the world is up: ``vertical_axis: z`` (in TOML under
    ``metadata``).
    """
    file = Path(path)
    try:
        content = read_file(file, most_bytes=LARGEST_BYTES)
    except FileNotFoundError:
        raise NotFoundError(f"calibration {file}: there is no such file") from None
    except OSError as error:
        raise BadInputError(f"calibration {file}: cannot be read ({error.strerror})") from None
    name = file.name
    try:
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise _FileError("is not a text file") from None
        cameras, up = _reader(text, file.suffix.lower())(text)
        if not cameras:
            raise _FileError("has no camera")
        names = [camera.name for camera in cameras]
        if len(set(names)) < len(names):
            raise _FileError(f"has two cameras with the same name ({', '.join(names)})")
    except _FileError as fault:
        raise BadInputError(f"calibration {name}: {fault}") from None
    return Calibration(tuple(cameras), name, hashlib.sha256(content).hexdigest(), up)


class _FileError(Exception):
    """A calibration file is wrong; the message lacks its name."""


_CamerasAndUp = tuple[list[Camera], Array | None]


def _reader(text: str, suffix: str) -> Callable[[str], _CamerasAndUp]:
    if text.lstrip().startswith("<"):
        return _qualisys
    if text.startswith("%YAML") or suffix in (".yml", ".yaml"):
        return _opencv
    if suffix == ".toml":
        return _toml
    raise _FileError(
        "is not a calibration of OpenCV (YAML), Pose2Sim or Caliscope (TOML), or Qualisys "
        "(.qca.txt); use one of these"
    )


def _qualisys(text: str) -> _CamerasAndUp:
    if "<!" in text.replace("<!--", ""):  # entities could expand without limit
        raise _FileError("has a DOCTYPE, which Qualisys does not write")
    try:
        root = ET.fromstring(text.lstrip().encode())  # noqa: S314 - no entities, see above
    except ET.ParseError as error:
        raise _FileError(f"is damaged XML ({error})") from None
    cameras: list[Camera] = []
    for entry in root.iter("camera"):
        name = entry.get("serial", f"camera {len(cameras) + 1}")
        if entry.get("active", "1") == "0":
            continue

        def values(
            part: str, *names: str, entry: ET.Element = entry, name: str = name
        ) -> list[float]:
            element = entry.find(part)
            if element is None:
                raise _FileError(f"{name} has no <{part}>")
            return [
                _number(element.get(part_name), f"{part_name} of {name}") for part_name in names
            ]

        if _number(entry.get("viewrotation", "0"), f"viewrotation of {name}") % 360:
            raise _FileError(f"{name} has a rotated view; calibrate it without rotation")
        left, top, right, bottom = values("fov_video", "left", "top", "right", "bottom")
        lens = values("intrinsic", "focalLengthU", "focalLengthV", "centerPointU", "centerPointV")
        across, down, x, y = (parameter / _QUALISYS_PIXEL for parameter in lens)
        world = values("transform", *(f"r{row}{column}" for row in "123" for column in "123"))
        position = np.array(values("transform", "x", "y", "z")) / 1000
        # y and z of a Qualisys camera are up and backwards.
        rotation = _OPENCV_TO_FIT @ np.reshape(world, (3, 3))
        bent = values(
            "intrinsic",
            *("radialDistortion1", "radialDistortion2", "tangentalDistortion1"),
            *("tangentalDistortion2", "radialDistortion3"),
        )
        residual = entry.get("avg-residual")
        distance = max(float(np.linalg.norm(position)), 1e-3)
        cameras.append(
            _camera(
                name,
                size=[right - left + 1, bottom - top + 1],
                matrix=[[across, 0, x - left], [0, down, y - top], [0, 0, 1]],
                distortion=bent,
                extrinsics=(rotation, -rotation @ position),
                # Millimetres, at points about as far away as the origin.
                residual=None
                if residual is None
                else _number(residual, f"avg-residual of {name}") / 1000 / distance * across,
            )
        )
    return cameras, np.array([0.0, 0.0, 1.0])


def _toml(text: str) -> _CamerasAndUp:
    try:
        document = parse_toml(text)
    except ValueError as error:
        raise _FileError(f"is damaged TOML ({error})") from None
    cameras = []
    for key, entry in _camera_tables(document):
        name = str(entry.get("name", key))
        if entry.get("ignore"):
            continue
        if entry.get("fisheye"):
            raise _FileError(
                f"{name} has a fisheye lens, which is not supported; film with another lens"
            )
        _require(entry, name, "size", "matrix", "distortions")
        cameras.append(
            _camera(
                name,
                size=entry["size"],
                matrix=entry["matrix"],
                distortion=entry["distortions"],
                extrinsics=(entry.get("rotation"), entry.get("translation")),
                residual=entry.get("error"),
            )
        )
    metadata = document.get("metadata")
    axis = metadata.get("vertical_axis") if isinstance(metadata, dict) else None
    return cameras, _up(axis)


def _camera_tables(document: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Find the tables of cameras; Caliscope nests them in another table."""
    for key, value in document.items():
        if isinstance(value, dict):
            if "matrix" in value:
                yield key, value
            else:
                yield from _camera_tables(value)


_NAMES_OF_ONE = {
    "matrix": ("camera_matrix", "cameraMatrix"),
    "distortion": ("distortion_coefficients", "dist_coeffs", "distCoeffs"),
}
_NAMES_OF_TWO = {
    "matrix": ("M{}", "cameraMatrix{}", "K{}"),
    "distortion": ("D{}", "distCoeffs{}"),
}
"""Names in files with one and with two cameras, as in the samples and documentation of OpenCV."""


def _opencv(text: str) -> _CamerasAndUp:
    # OpenCV's %YAML:1.0 is not valid YAML, and its matrices are mappings with a special tag.
    body = re.sub(r"\A%YAML[^\n]*\n|!!opencv-(nd-)?matrix", "", text)
    try:
        document = parse_yaml(body)
    except ValueError as error:
        raise _FileError(f"is damaged YAML ({error})") from None
    if not isinstance(document, dict):
        raise _FileError("has no named entries")

    def named(names: Sequence[str], *at: int) -> Any:
        for name in (template.format(*at) for template in names):
            if name in document:
                return _matrix(document[name], name)
        raise _FileError(f"has no {' or '.join(template.format(*at) for template in names)}")

    size = document.get("imageSize", document.get("image_size"))
    if size is None:
        _require(document, "the file", "image_width", "image_height")
        size = [document["image_width"], document["image_height"]]
    residual = document.get("avg_reprojection_error")
    two = any(name.format(1) in document for name in _NAMES_OF_TWO["matrix"])
    if not two:
        name = str(document.get("camera_name", "camera"))
        extrinsics = [_matrix(document.get(key), key) for key in ("R", "T")]
        lens = {what: named(names) for what, names in _NAMES_OF_ONE.items()}
        camera = _camera(name, size=size, extrinsics=extrinsics, residual=residual, **lens)
        return [camera], _up(document.get("vertical_axis"))
    both = ((np.eye(3), np.zeros(3)), (named(["R"]), named(["T"])))
    cameras = [
        _camera(
            f"camera {number}",
            size=size,
            extrinsics=extrinsics,
            residual=residual,
            **{what: named(names, number) for what, names in _NAMES_OF_TWO.items()},
        )
        for number, extrinsics in enumerate(both, start=1)
    ]
    return cameras, _up(document.get("vertical_axis"))


def _matrix(value: Any, name: str) -> Any:
    """Convert a matrix in the form of OpenCV and ROS; lists stay as they are."""
    if not isinstance(value, dict):
        return value
    shape = value.get("sizes", [value.get("rows"), value.get("cols")])
    try:
        return np.array(value["data"], dtype=np.float64).reshape(shape)
    except (KeyError, TypeError, ValueError):
        raise _FileError(f"{name} is not a matrix with rows, cols and data") from None


def _require(entry: Mapping[Any, Any], name: str, *keys: str) -> None:
    for key in keys:
        if key not in entry:
            raise _FileError(f"{name} has no {key}")


def _number(value: Any, what: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise _FileError(f"{what} is not a number") from None
    if not np.isfinite(number):
        raise _FileError(f"{what} is not a number")
    return number


def _numbers(value: Any, what: str, *shapes: tuple[int, ...]) -> Array:
    try:
        array = np.array(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise _FileError(f"{what} has entries that are not numbers") from None
    if not np.isfinite(array).all():
        raise _FileError(f"{what} has entries that are not numbers")
    for shape in shapes:
        if array.size == np.prod(shape) and array.ndim:
            return array.reshape(shape)
    raise _FileError(f"{what} has the wrong number of values ({array.size})")


def _up(axis: Any) -> Array | None:
    """Return the direction that an axis, such as ``x`` or ``-y``, names."""
    if axis is None:
        return None
    sign, letter = str(axis)[:-1], str(axis)[-1:].lower()
    if sign not in ("", "+", "-") or letter not in ("x", "y", "z"):
        raise _FileError(f"vertical_axis is {axis!r}; use x, y, z, -x, -y or -z")
    up: Array = (-1.0 if sign == "-" else 1.0) * np.eye(3)["xyz".index(letter)]
    return up


def _camera(
    name: str,
    *,
    size: Any,
    matrix: Any,
    distortion: Any,
    extrinsics: Sequence[Any],
    residual: Any = None,
) -> Camera:
    """Check the values of a file, and make a camera from them."""
    width, height = _numbers(size, f"size of {name}", (2,)).tolist()
    if not (width >= _BLOCK and height >= _BLOCK and width % 1 == 0 and height % 1 == 0):
        raise _FileError(f"{name} has an impossible size of {width:g} × {height:g} pixels")
    lens = _numbers(matrix, f"matrix of {name}", (3, 3))
    (across, skew, x), (lower, down, y), last = lens
    if not (across > 0 and down > 0 and 0 < x < width and 0 < y < height) or (
        abs(skew) > 0.01 * across or lower or not np.allclose(last, [0, 0, 1])
    ):
        raise _FileError(
            f"the matrix of {name} does not fit a camera of {width:g} × {height:g} pixels "
            "([fx, 0, cx], [0, fy, cy], [0, 0, 1])"
        )
    bent = _numbers(distortion, f"distortion of {name}", *((n,) for n in _DISTORTIONS))
    rotation, translation = None, None
    if all(part is not None for part in extrinsics):
        rotation = _numbers(extrinsics[0], f"rotation of {name}", (3, 3), (3,))
        rotation = rotation_matrix(rotation) if rotation.ndim == 1 else rotation
        orthogonal = np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-3)
        if not orthogonal or np.linalg.det(rotation) < 0:
            raise _FileError(f"the rotation of {name} is not a rotation matrix")
        translation = _numbers(extrinsics[1], f"translation of {name}", (3,))
    return Camera(
        name,
        (int(width), int(height)),
        lens,
        bent,
        rotation,
        translation,
        None if residual is None else _number(residual, f"error of {name}"),
    )
