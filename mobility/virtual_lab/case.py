"""A rendered case with its truth: CASE.yaml -> video.mp4 and truth.nc."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import xarray as xr
import yaml
from numpy.typing import NDArray
from pydantic import Field

from mobility.base.options import Strict, likely, validate
from mobility.base.parsing import parse_yaml, read_file
from mobility.base.provenance import with_history
from mobility.base.writing import atomic, writing
from mobility.capture.video import write_video
from mobility.errors import BadInputError, NotFoundError
from mobility.kinematics.skeleton import KEYPOINTS
from mobility.virtual_lab.parametric_body import Body, Deviation, parametric_body
from mobility.virtual_lab.pictures import Camera, Look, frames
from mobility.virtual_lab.single_joint import JointMotion, perform_joint
from mobility.virtual_lab.single_leg_squat import SingleLegSquat, perform_single_leg_squat
from mobility.virtual_lab.sit_to_stand import SitToStand, perform_sit_to_stand
from mobility.virtual_lab.squat import Squat, perform
from mobility.virtual_lab.standing_body import Stance, Trial

log = logging.getLogger(__name__)

TRUTH_KEYPOINTS: tuple[str, ...] = tuple(
    f"{side}_{name}"
    for name in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle", "heel", "foot_index", "eye")
    for side in ("left", "right")
)
"""The landmarks whose true position is known."""


class Subject(Strict):
    """The person: see :func:`mobility.virtual_lab.parametric_body.parametric_body`."""

    sex: Literal["female", "male"] = "female"
    age: Annotated[float, Field(ge=16, le=90)] = 30.0
    height_m: Annotated[float, Field(ge=1.4, le=2.1)] = 1.70
    weight_kg: Annotated[float, Field(ge=35, le=160)] = 65.0
    thigh: Deviation = 0.0
    shank: Deviation = 0.0
    trunk: Deviation = 0.0
    upper_arm: Deviation = 0.0
    forearm: Deviation = 0.0


class Film(Strict):
    """Size and rate of the video, in pixels and frames per second, and its quality.

    `crf` is the quality setting of the encoder. `samples` are taken of each pixel (1 takes half the
    time of 4).
    """

    width: Annotated[int, Field(ge=64, le=3840, multiple_of=2)] = 544
    height: Annotated[int, Field(ge=64, le=3840, multiple_of=2)] = 736
    frame_rate: Annotated[float, Field(ge=5, le=240)] = 30.0
    crf: Annotated[int, Field(ge=0, le=51)] = 23
    samples: Literal[1, 2, 4, 8] = 4


class Case(Strict):
    """One case of the virtual lab, as in a CASE.yaml: person, motion, camera and appearance.

    The motion is a squat, a single-joint motion if it names a `movement`, or a motion of the `kind`
    "sit-to-stand" or "single-leg-squat".
    """

    name: str = "case"
    body: Subject = Subject()
    motion: Squat | SitToStand | SingleLegSquat | JointMotion = Squat()
    camera: Camera = Camera()
    look: Look = Look()
    video: Film = Film()

    @property
    def stance(self) -> Stance:
        """The motion, if the subject stands on the feet."""
        if not isinstance(self.motion, Stance):
            raise BadInputError(
                f"{self.name}: its motion moves only one joint; use a standing motion"
            )
        return self.motion

    @property
    def squat(self) -> Squat:
        """The motion, if it is a squat."""
        if not isinstance(self.motion, Squat):
            raise BadInputError(f"{self.name}: its motion is not a squat on both legs; use a squat")
        return self.motion


_KINDS: Mapping[str, type[Stance]] = {
    "sit-to-stand": SitToStand,
    "single-leg-squat": SingleLegSquat,
}

_MORE: Mapping[str, str] = {
    "seat_off": "the hips leave the seat",
    "standing": "the hips have risen",
    "descent": "the hips begin to go down",
    "seated": "the hips are on the seat again",
    "standing_side": "leg that stands",
}
"""Further variables of a repetition."""

_SECTIONS: Mapping[str, type[Strict]] = {
    name: type(field.default) for name, field in Case.model_fields.items() if name != "name"
}


def read_case(path: str | os.PathLike[str]) -> Case:
    """Read a CASE.yaml, with the sections of :class:`Case`; missing sections have defaults."""
    source = Path(path)
    return case_from(read_yaml(source, kind="case"), what=source.name)


def read_yaml(source: Path, *, kind: str) -> Any:
    """Read a user's YAML file: a case or a grid."""
    try:
        return parse_yaml(read_file(source).decode("utf-8"))
    except FileNotFoundError:
        raise NotFoundError(
            f"{source}: there is no such {kind}; give the path of a YAML file"
        ) from None
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise BadInputError(f"{source}: is not a readable YAML file ({reason})") from None


def case_from(values: Any, *, what: str = "case") -> Case:
    """Build a case from plain values, section by section; `what` is its name in messages."""
    if not isinstance(values, Mapping):
        raise BadInputError(f"{what}: must be a mapping with {', '.join(Case.model_fields)}")
    built: dict[str, Any] = {str(key): value for key, value in values.items()}
    for name, model in _SECTIONS.items():
        if name not in built:
            continue
        section = built[name]
        if name == "motion" and isinstance(section, Mapping):
            model = _motion_model(section, what=what)
        if not isinstance(section, Mapping):
            fields = ", ".join(model.model_fields)
            raise BadInputError(f"{what}: {name} must be a mapping with any of {fields}")
        texts = {str(key): value for key, value in section.items()}
        built[name] = validate(model, texts, what=f"{what}, {name}")
    return validate(Case, built, what=what)


def _motion_model(section: Mapping[Any, Any], *, what: str) -> type[Strict]:
    if "movement" in section:
        return JointMotion
    kind = section.get("kind")
    if kind is None:
        return Squat
    if kind not in _KINDS:
        raise BadInputError(
            f"{what}, motion: kind: {kind!r} is unknown{likely(str(kind), _KINDS)};"
            f" choose {' or '.join(_KINDS)}, or leave it out for a squat"
        )
    return _KINDS[kind]


def render_case(
    case: str | os.PathLike[str] | Case, out: str | os.PathLike[str]
) -> tuple[Path, Path]:
    """Render a case, or a CASE.yaml, to a video with its truth; return the paths of both.

    `out` is a folder for `video.mp4` and `truth.nc`, which is made if it does not exist, or the
    name of an `.mp4` file, whose truth is `<name>.truth.nc`. The same case gives the same pictures
    and the same numbers.
    """
    case = case if isinstance(case, Case) else read_case(case)
    video, truth = rendered_files(out)
    folder = video.parent
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    body, trial = perform_case(case)
    write_video(video, film_case(case, body, trial), crf=case.video.crf, preset="medium")
    write_dataset(true_positions(case, body, trial), truth)
    log.info("rendered %s (%d frames)", video, len(trial.time))
    return video, truth


def rendered_files(out: str | os.PathLike[str]) -> tuple[Path, Path]:
    """Return the paths of the video and the truth that :func:`render_case` writes."""
    target = Path(out)
    if target.suffix.lower() == ".mp4":
        return target, target.with_suffix(".truth.nc")
    return target / "video.mp4", target / "truth.nc"


def perform_case(case: Case, time: NDArray[np.float64] | None = None) -> tuple[Body, Trial]:
    """Perform the motion of a case, at the given times (s) or at the frames of its video."""
    body = parametric_body(**case.body.model_dump())
    motion = case.motion
    if time is None:
        rate = case.video.frame_rate
        time = np.arange(round(motion.phases.duration_s * rate)) / rate
    if isinstance(motion, JointMotion):
        return body, perform_joint(body, motion, time)
    if isinstance(motion, SitToStand):
        return body, perform_sit_to_stand(body, motion, time)
    if isinstance(motion, SingleLegSquat):
        return body, perform_single_leg_squat(body, motion, time)
    return body, perform(body, motion, time)


def film_case(case: Case, body: Body, trial: Trial) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    """Film a motion with the camera of a case: yield times and pictures (height, width, 3)."""
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
    """Return the truth of a performed motion.

    `position(time, space, keypoint)` is in metres, float32: x to the subject's left, y up against
    gravity, z forwards at the start, the floor at y = 0. Over `rep` there are `start`, `bottom`,
    `end` (seconds) and `depth` (percent of the standing height of the mid-hip above the ankles; NaN
    unless it is a squat). A sit-to-stand repetition also has `seat_off`, `standing`, `descent` and
    `seated` (seconds); a single-leg squat also has `standing_side`.
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
            "start": ("rep", trial.start, {**seconds, "long_name": "start of the repetition"}),
            "bottom": ("rep", trial.bottom, {**seconds, "long_name": "middle of the turn"}),
            "end": ("rep", trial.end, {**seconds, "long_name": "end of the repetition"}),
            "depth": (
                "rep",
                trial.depth,
                {"units": "percent", "long_name": "descent of the mid-hip per standing height"},
            ),
            **{
                name: (
                    "rep",
                    values,
                    {"long_name": _MORE[name], **(seconds if values.dtype.kind == "f" else {})},
                )
                for name, values in trial.more.items()
            },
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
    return xr.load_dataset(path)


def truth_pose(truth: xr.Dataset) -> xr.Dataset:
    """Return the truth as a pose, for :func:`mobility.kinematics.angles.joint_angles`.

    It has `position(time, space, keypoint, individual)`, float64 metres, and `confidence`, which is
    1 if the truth is known. Landmarks without a known truth are NaN, with confidence 0.
    """
    position = (
        truth["position"]
        .astype(np.float64)
        .reindex(keypoint=list(KEYPOINTS))
        .expand_dims(individual=["subject"])
        .transpose("time", "space", "keypoint", "individual")
    )
    confidence = position.notnull().all("space").astype(np.float64)
    result = xr.Dataset({"position": position, "confidence": confidence})
    result = result.assign_attrs(
        source_software="mobility.virtual_lab", ds_type="poses", time_unit="seconds", method="truth"
    )
    return with_history(result, "truth_pose", {}, source=truth)


def write_dataset(dataset: xr.Dataset, path: Path) -> None:
    """Write a Dataset as compressed NetCDF-4, atomically."""
    packed = {
        name: {"zlib": True, "complevel": 9, "shuffle": True}
        for name, variable in dataset.data_vars.items()
        if variable.dtype.kind in "biuf" and variable.size > 256
    }
    with atomic(path) as hidden:
        dataset.drop_encoding().to_netcdf(hidden, engine="h5netcdf", encoding=packed)
