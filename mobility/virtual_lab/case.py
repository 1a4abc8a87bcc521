"""A rendered case with its truth: CASE.yaml -> video.mp4 and truth.nc."""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import xarray as xr
import yaml
from numpy.typing import NDArray
from pydantic import Field

from mobility import tables
from mobility.capture.video import write_video
from mobility.errors import BadInputError, NotFoundError, StorageError
from mobility.kinematics.skeleton import KEYPOINTS
from mobility.options import Strict, validate
from mobility.provenance import with_history
from mobility.virtual_lab.body import Body, parametric_body
from mobility.virtual_lab.render import Camera, Look, frames
from mobility.virtual_lab.single_joint import JointMotion, joint_duration_s, perform_joint
from mobility.virtual_lab.squat import Squat, Trial, duration_s, perform

log = logging.getLogger(__name__)

TRUTH_KEYPOINTS: tuple[str, ...] = tuple(
    f"{side}_{name}"
    for name in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle", "heel", "foot_index", "eye")
    for side in ("left", "right")
)
"""The landmarks whose true place is known."""


class Subject(Strict):
    """Who: see :func:`mobility.virtual_lab.body.parametric_body`."""

    sex: Literal["female", "male"] = "female"
    age: Annotated[float, Field(ge=16, le=90)] = 30.0
    height_m: Annotated[float, Field(ge=1.4, le=2.1)] = 1.70
    weight_kg: Annotated[float, Field(ge=35, le=160)] = 65.0


class Film(Strict):
    """Size and rate of the video, pixels and frames per second, and its quality.

    `crf` is that of the encoder; `samples` are taken of each pixel (1 takes half the time of 4).
    """

    width: Annotated[int, Field(ge=64, le=3840, multiple_of=2)] = 544
    height: Annotated[int, Field(ge=64, le=3840, multiple_of=2)] = 736
    frame_rate: Annotated[float, Field(ge=5, le=240)] = 30.0
    crf: Annotated[int, Field(ge=0, le=51)] = 23
    samples: Literal[1, 2, 4, 8] = 4


class Case(Strict):
    """One case of the virtual lab; the sections of a CASE.yaml.

    Attributes
    ----------
    name
        Of the case.
    body, motion, camera, look, video
        Who does what, seen from where, how it looks, and the film. The motion is a squat, or that
        of a single joint where it names a `movement`.
    """

    name: str = "case"
    body: Subject = Subject()
    motion: Squat | JointMotion = Squat()
    camera: Camera = Camera()
    look: Look = Look()
    video: Film = Film()

    @property
    def squat(self) -> Squat:
        """The motion, where it is a squat."""
        if not isinstance(self.motion, Squat):
            raise BadInputError(f"{self.name}: its motion is that of a single joint, not a squat")
        return self.motion


_SECTIONS: Mapping[str, type[Strict]] = {
    "body": Subject,
    "motion": Squat,
    "camera": Camera,
    "look": Look,
    "video": Film,
}


def read_case(path: str | os.PathLike[str]) -> Case:
    """Read a CASE.yaml.

    Parameters
    ----------
    path
        A YAML file with the sections of :class:`Case`; what is left out has its default.

    Raises
    ------
    NotFoundError, BadInputError
        There is no such file, it is not YAML, or a name or a value in it is wrong.
    """
    source = Path(path)
    return case_from(read_yaml(source, kind="case"), what=source.name)


def read_yaml(source: Path, *, kind: str) -> Any:
    """Read what a user wrote, a case or a grid.

    Raises
    ------
    NotFoundError, BadInputError
        There is no such file, or it is not YAML.
    """
    try:
        return tables.read_given(source.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NotFoundError(
            f"{source}: there is no such {kind}; give the path of a YAML file"
        ) from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = str(error).splitlines()[0]
        raise BadInputError(f"{source}: not a readable YAML file ({reason})") from None


def case_from(values: Any, *, what: str = "case") -> Case:
    """Build a case from plain values, section by section.

    Parameters
    ----------
    values
        A mapping with the sections of :class:`Case`.
    what
        Where they come from, for messages.

    Raises
    ------
    BadInputError
        With all faults of the section that is wrong, and the likely spelling of unknown names.
    """
    if not isinstance(values, Mapping):
        raise BadInputError(f"{what}: a case is a mapping with {', '.join(Case.model_fields)}")
    built: dict[str, Any] = {str(key): value for key, value in values.items()}
    for name, model in _SECTIONS.items():
        if name not in built:
            continue
        section = built[name]
        if name == "motion" and isinstance(section, Mapping) and "movement" in section:
            model = JointMotion
        if not isinstance(section, Mapping):
            known = ", ".join(model.model_fields)
            raise BadInputError(f"{what}: {name} is a mapping with any of {known}")
        texts = {str(key): value for key, value in section.items()}
        built[name] = validate(model, texts, what=f"{what}, {name}")
    return validate(Case, built, what=what)


def render_case(
    case: str | os.PathLike[str] | Case, out: str | os.PathLike[str]
) -> tuple[Path, Path]:
    """Render a case to a video, with its truth beside it.

    Parameters
    ----------
    case
        A :class:`Case` or the path of a CASE.yaml.
    out
        A folder, made if absent, for `video.mp4` and `truth.nc`; or the name of an `.mp4` file,
        whose truth is `<name>.truth.nc` beside it.

    Returns
    -------
    video, truth : pathlib.Path
        The two files. The same case gives the same pictures and the same numbers.

    Raises
    ------
    BadInputError, NotFoundError
        The case is wrong, or the extra `virtual-lab` is not installed.
    StorageError
        The files cannot be written.
    """
    known = case if isinstance(case, Case) else read_case(case)
    target = Path(out)
    if target.suffix.lower() == ".mp4":
        folder, video, truth = target.parent, target, target.with_suffix(".truth.nc")
    else:
        folder, video, truth = target, target / "video.mp4", target / "truth.nc"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{folder}: cannot be made ({error.strerror})") from None
    body, trial = perform_case(known)
    write_video(video, film_case(known, body, trial), crf=known.video.crf, preset="medium")
    write_dataset(true_positions(known, body, trial), truth)
    log.info("rendered %s (%d frames)", video, len(trial.time))
    return video, truth


def perform_case(case: Case, time: NDArray[np.float64] | None = None) -> tuple[Body, Trial]:
    """Build the body of a case and let it perform its motion, without rendering.

    Parameters
    ----------
    case
        What is performed.
    time
        Instants, s; those of the frames of its video if None.
    """
    body = parametric_body(**case.body.model_dump())
    motion = case.motion
    rate = case.video.frame_rate
    if isinstance(motion, JointMotion):
        if time is None:
            time = np.arange(round(joint_duration_s(motion) * rate)) / rate
        return body, perform_joint(body, motion, time)
    if time is None:
        time = np.arange(round(duration_s(motion) * rate)) / rate
    return body, perform(body, motion, time)


def film_case(case: Case, body: Body, trial: Trial) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    """Give times and pictures, (height, width, 3), of a trial as the camera of a case sees it."""
    film = case.video
    return frames(
        body,
        trial,
        camera=case.camera,
        look=case.look,
        width=film.width,
        height=film.height,
        samples=film.samples,
    )


def true_positions(case: Case, body: Body, trial: Trial) -> xr.Dataset:
    """Truth of a trial.

    Returns
    -------
    xarray.Dataset
        `position(time, space, keypoint)`, metres, float32: x to the subject's left, y up against
        gravity, z forwards at the start, the floor at y = 0. `start`, `bottom`, `end` (seconds)
        and `depth` (percent of the standing height of the mid-hip above the ankles; NaN where it
        is no squat) over `rep`.
    """
    position = np.stack([trial.points[name] for name in TRUTH_KEYPOINTS], axis=2)
    seconds = {"units": "second"}
    result = xr.Dataset(
        {
            "position": (
                ("time", "space", "keypoint"),
                position.astype(np.float32),
                {
                    "units": "m",
                    "long_name": "true position of joint centres, heels, toes and eyes",
                    "reference": "Anny body model, bone heads; x subject's left, y up, z forwards",
                },
            ),
            "start": ("rep", trial.start, {**seconds, "long_name": "start of the descent"}),
            "bottom": ("rep", trial.bottom, {**seconds, "long_name": "middle of the bottom phase"}),
            "end": ("rep", trial.end, {**seconds, "long_name": "end of the ascent"}),
            "depth": (
                "rep",
                trial.depth,
                {"units": "percent", "long_name": "descent of the mid-hip, of its standing height"},
            ),
        },
        coords={
            "time": ("time", trial.time, {"units": "second"}),
            "space": ["x", "y", "z"],
            "keypoint": list(TRUTH_KEYPOINTS),
            "rep": np.arange(1, len(trial.start) + 1),
        },
        attrs={
            "ds_type": "truth",
            "time_unit": "seconds",
            "repetitions": len(trial.start),
            "mass_kg": round(body.mass_kg, 3),
            "case": yaml.safe_dump(case.model_dump(mode="json"), sort_keys=True),
        },
    )
    return with_history(result, "render_case", {"name": case.name})


def read_truth(path: str | os.PathLike[str]) -> xr.Dataset:
    """Read a `truth.nc` into memory."""
    if not Path(path).is_file():
        raise NotFoundError(f"{path}: there is no such truth; render the case first")
    return xr.load_dataset(path, engine="h5netcdf")


def truth_pose(truth: xr.Dataset) -> xr.Dataset:
    """Truth in the layout of a pose, for :func:`mobility.kinematics.angles.joint_angles`.

    Returns
    -------
    xarray.Dataset
        `position(time, space, keypoint, individual)`, float64 metres, and `confidence`: 1 where
        the truth is known; landmarks that it does not have are NaN with confidence 0.
    """
    position = (
        truth["position"]
        .astype(np.float64)
        .reindex(keypoint=list(KEYPOINTS))
        .expand_dims(individual=["subject"])
        .transpose("time", "space", "keypoint", "individual")
    )
    known = position.notnull().all("space").astype(np.float64)
    result = xr.Dataset({"position": position, "confidence": known})
    result = result.assign_attrs(
        source_software="mobility.virtual_lab", ds_type="poses", time_unit="seconds", method="truth"
    )
    return with_history(result, "truth_pose", {}, source=truth)


def write_dataset(dataset: xr.Dataset, path: Path) -> None:
    """Write a Dataset as compressed NetCDF-4, atomically.

    Raises
    ------
    StorageError
        The file cannot be written.
    """
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(6)}.tmp")
    try:
        packed = {
            name: {"zlib": True, "complevel": 9, "shuffle": True}
            for name, variable in dataset.data_vars.items()
            if variable.dtype.kind in "biuf" and variable.size > 256
        }
        dataset.drop_encoding().to_netcdf(temporary, engine="h5netcdf", encoding=packed)
        temporary.replace(path)
    except OSError as error:
        raise StorageError(f"{path}: cannot be written ({error.strerror or error})") from None
    finally:
        temporary.unlink(missing_ok=True)
