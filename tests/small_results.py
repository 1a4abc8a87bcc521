"""Small results with known numbers, and functions that return them in place of the real ones."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr

from mobility.assessment.exercise_stages import Trial
from mobility.base.provenance import sha256, with_history
from mobility.catalogue import registry
from mobility.documents.exercise_documents import documents_of
from mobility.documents.fill import report_document
from mobility.errors import BadInputError, NobodyFoundError, NotFoundError, VideoError
from mobility.kinematics.calibration import Calibration
from mobility.kinematics.skeleton import KEYPOINTS
from mobility.reports.exercise_page import page_of

CALLS: list[str] = []
SIDES = ["left", "right"]
FRAMES = 5
SQUAT = "mobility.exercises.overhead_squat.exercise"
LOADS = "mobility.leg_loads.stored_results"
TIME = np.array([0.0, 1 / 30, 2 / 30, 0.1, 1 / 7])


def pose(frames: int = FRAMES) -> xr.Dataset:
    rng = np.random.default_rng(1)
    n = len(KEYPOINTS)
    marks = ("time", "keypoint", "individual")
    confidence = np.full((frames, n, 1), 0.5)
    confidence[:, [i for i, name in enumerate(KEYPOINTS) if name.startswith("right_")]] = 0.9
    position = rng.normal(size=(frames, 3, n, 1))
    image = np.arange(frames * 2 * n, dtype=float).reshape(frames, 2, n, 1)
    data = xr.Dataset(
        {
            "position": (("time", "space", "keypoint", "individual"), position),
            "image_position": (("time", "pixel", "keypoint", "individual"), image),
            "image_depth": (marks, rng.normal(size=(frames, n, 1))),
            "confidence": (marks, confidence),
            "presence": (marks, np.full((frames, n, 1), 0.8)),
        },
        coords={
            **{"time": TIME[:frames], "space": ["x", "y", "z"], "pixel": ["u", "v"]},
            **{"keypoint": list(KEYPOINTS), "individual": ["subject"]},
        },
        attrs={"fps": 30.0, "image_width": 640, "image_height": 480, "ds_type": "poses"},
    )
    # Nobody is seen in the last frame.
    for name in data.data_vars:
        data[name][{"time": -1}] = np.nan
    return with_history(data, "estimate_pose", {}, warnings=[{"code": "dark", "message": "Dark."}])


def angles() -> xr.Dataset:
    names = (
        *("knee_flexion", "hip_flexion", "ankle_dorsiflexion", "hip_abduction"),
        *("shoulder_flexion", "elbow_flexion"),
    )
    left = np.array([0.0, 10.12345, 20.0, np.nan, np.nan])
    variables = {}
    for i, name in enumerate(names):
        values = np.stack([left + 100 * i, left + 100 * i + 50], axis=-1)
        variables[name] = (("time", "side"), values, {"units": "degree"})
    data = xr.Dataset(variables, coords={"time": TIME, "side": SIDES})
    return with_history(data, "joint_angles", {})


def repetitions(intervals: list[dict[str, float]] | None = None) -> xr.Dataset:
    given = [{"start": 0.0, "end": 0.05}, {"start": 0.06, "end": 0.1}]
    given = given if intervals is None else intervals
    n = len(given)
    start, end = (np.array([each[name] for each in given], float) for name in ("start", "end"))
    data = xr.Dataset(
        {
            "start": ("rep", start),
            "bottom": ("rep", (start + end) / 2),
            "depth": ("rep", np.full(n, 33.333)),
            "end": ("rep", end),
            "accepted": ("rep", np.arange(n) != 1),
            "complete": ("rep", np.full(n, True)),
            "reason": ("rep", np.array(["", "too short", *[""] * n][:n], dtype=str)),
            "hip_height": ("time", np.ones(FRAMES)),
        },
        coords={"rep": np.arange(1, n + 1), "time": TIME},
    )
    return with_history(data, "find_repetitions", {})


def metrics() -> xr.Dataset:
    variables: dict[str, object] = {}
    for name, left, right in (
        ("hip_flexion", 84.0, 80.0),
        ("hip_abduction", 9.0, 16.0),
        ("knee_flexion", 79.0, 82.0),
        ("ankle_dorsiflexion", 9.0, np.nan),
        ("knee_deviation", 0.12349, 0.1),
    ):
        variables[name] = ("side", [left, right])
        variables[f"{name}_asymmetry"] = right - left
    variables["knee_ankle_separation_ratio"] = 0.98765
    return with_history(xr.Dataset(variables, coords={"side": SIDES}), "overhead_squat", {})


def movement() -> xr.Dataset:
    deviation = np.linspace(0, 0.1, FRAMES)[:, None] * [1, 2]
    return xr.Dataset(
        {"knee_deviation": (("time", "side"), deviation)}, coords={"time": TIME, "side": SIDES}
    )


def probe(path: Path) -> object:
    if not Path(path).is_file():
        raise NotFoundError(f"{Path(path)}: there is no such file")
    if Path(path).read_bytes()[:5] != b"video":
        raise VideoError(f"{Path(path).name}: not a video")
    return SimpleNamespace(path=path, width=640, height=480, frame_rate=30.0)


def presentation_times(path: Path) -> np.ndarray:
    return TIME


def read_frames(path: Path, *, start: float = 0.0) -> Iterator[object]:
    """One black frame."""
    yield SimpleNamespace(time=start, image=np.zeros((48, 64, 3), np.uint8))


def estimate_pose(
    video: Path,
    *,
    workers: int | None = None,
    subject: tuple[float, float] | Literal["moving"] | None = None,
    model: str | None = None,
    rate: float | str = "usual",
    detector: str | None = None,
) -> xr.Dataset:
    CALLS.append("second_pose" if "-2" in Path(video).name else "pose")
    if b"nobody" in Path(video).read_bytes():
        raise NobodyFoundError(f"{Path(video).name}: nobody was found in it")
    return pose().assign_attrs(video_sha256=sha256(video), subject=json.dumps(subject))


def camera(name: str, width: int, turn: float, height: int = 480) -> str:
    """A camera in a calibration, turned about the vertical by radians."""
    return (
        f'[cam_{name}]\nname = "{name}"\nsize = [{width}, {height}]\n'
        f"matrix = [[500, 0, {width / 2}], [0, 500, {height / 2}], [0, 0, 1]]\n"
        f"distortions = [0, 0, 0, 0]\nrotation = [0, {turn}, 0]\ntranslation = [{turn}, 0, 3]\n"
    )


def clean_pose(raw: xr.Dataset, *, visibility_threshold: float = 0.5) -> xr.Dataset:
    CALLS.append("fitted")
    return raw.assign_attrs(cleaned=visibility_threshold)


def checked_points(points: pd.DataFrame, pose: xr.Dataset) -> list[dict[str, Any]]:
    if "kind" not in points.columns:
        raise BadInputError.of({"points": "the column 'kind' is missing; add it"})
    return points.to_dict("records")


def with_points(pose: xr.Dataset, rows: list[dict[str, Any]]) -> xr.Dataset:
    return pose.assign_attrs(corrected=json.dumps(rows)) if rows else pose


def with_sides_exchanged_as_in(pose: xr.Dataset, cleaned: xr.Dataset) -> xr.Dataset:
    assert "cleaned" in cleaned.attrs
    return pose.assign_attrs(sides="own")


def fit_body(
    cleaned: list[xr.Dataset],
    *,
    height_m: float | None = None,
    field_of_view: float | None = None,
    camera_pitch: tuple[float | None, ...] | None = None,
    calibration: Calibration | None = None,
    standing: str | float = "straight",
    load: tuple[str, float] | None = None,
) -> xr.Dataset:
    assert all(each.attrs["cleaned"] < 0.5 for each in cleaned)
    CALLS.extend(["second camera"] * (len(cleaned) - 1))
    seen_in = [each.attrs.get("video_sha256") for each in cleaned]
    rig = calibration and [calibration.source, *(each.name for each in calibration.cameras)]
    return cleaned[0].assign_attrs(
        stature=height_m or 0.0,
        field_of_view=field_of_view or 0.0,
        seen_in=json.dumps(seen_in),
        known=json.dumps(rig),
        standing=standing,
        **({} if load is None else {"load": json.dumps(load)}),
        **({} if camera_pitch is None else {"pitch": json.dumps(camera_pitch)}),
    )


def with_raw_angles(fitted_angles: xr.Dataset, cleaned: xr.Dataset) -> xr.Dataset:
    assert cleaned.attrs["cleaned"] == 0.5
    return fitted_angles.assign(knee_flexion_raw=fitted_angles["knee_flexion"] + 1)


def joint_angles(fitted: xr.Dataset, **_: object) -> xr.Dataset:
    CALLS.append("angles")
    return angles().assign_attrs(subject=fitted.attrs.get("subject", ""))


def find_repetitions(fitted: xr.Dataset) -> xr.Dataset:
    CALLS.append("repetitions")
    return repetitions()


def set_repetitions(fitted: xr.Dataset, intervals: list[dict[str, float]]) -> xr.Dataset:
    if any(interval["end"] > TIME[-1] for interval in intervals):
        raise BadInputError("set_repetitions: repetition outside the recording")
    CALLS.append("repetitions")
    return repetitions(intervals)


def metrics_of(trial: Trial) -> xr.Dataset:
    CALLS.append("metrics")
    return metrics().assign(accepted_repetitions=int(trial.repetitions["accepted"].sum()))


def write_metrics_table(path: Path, metrics: xr.Dataset) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    CALLS.append("table")
    text = pa.dictionary(pa.int32(), pa.string())
    columns = {
        **dict.fromkeys(
            ["method", "metric", "quantity", "kind", "side", "level", "phase", "item"], text
        ),
        **dict.fromkeys(["units", "text", "reason", "long_name", "group", "version"], text),
        **dict.fromkeys(["value", "sd", "sem", "lower", "upper"], pa.float64()),
        "rep": pa.int32(),
    }
    pq.write_table(pa.schema(columns).empty_table(), path)


def pictures(info: object, raw: xr.Dataset) -> dict[str, object]:
    return {"light": "ok"}


def capture_quality(
    raw: xr.Dataset,
    info: object,
    fitted: xr.Dataset,
    *,
    camera: int = 0,
    light_and_sharpness: dict[str, object] | None = None,
) -> dict[str, object]:
    assert "cleaned" in fitted.attrs
    assert light_and_sharpness in ([None] if camera else [None, {"light": "ok"}])
    CALLS.append("capture_quality")
    return {"frames": raw.sizes["time"]}


def annotate_video(
    video: Path,
    raw: xr.Dataset,
    angles: xr.Dataset,
    reps: xr.Dataset,
    out: Path,
    *,
    blur_face: bool = False,
    detected: xr.Dataset,
) -> None:
    CALLS.append("annotated")
    # Faces are blurred where they were detected.
    assert "corrected" not in detected.attrs
    assert raw.attrs["sides"] == "own"
    assert Path(out).suffix == ".mp4"
    Path(out).write_bytes(f"annotated {raw.sizes['time']} {reps.sizes['rep']} {blur_face}".encode())


def loads(trial: Trial) -> xr.Dataset:
    CALLS.append("loads")
    return xr.Dataset({"weight_share": ("time", trial.fitted["time"].to_numpy() * 0 + 0.5)})


_ENDINGS = {"html": "html", "client": "client.html", "notebook": "ipynb", "json": "json"}


def render_report(session: object, *, faces: bool = False) -> dict[str, Path]:
    CALLS.append("report")
    folder = session.report_folder  # type: ignore[attr-defined]
    (folder / "images").mkdir(parents=True, exist_ok=True)
    images = {view: f"images/{view}.png" for view in ("left", "right", "front")}
    for image in images.values():
        (folder / image).write_bytes(b"png")
    paths = {}
    for kind, suffix in _ENDINGS.items():
        paths[kind] = folder / f"overhead-squat.{suffix}"
        paths[kind].write_text("{}")
    document = report_document(
        session.record,  # type: ignore[attr-defined]
        session.participant,  # type: ignore[attr-defined]
        angles=session.angles(),  # type: ignore[attr-defined]
        metrics=session.metrics(),  # type: ignore[attr-defined]
        movement=movement(),
        images=images,
    )
    paths["json"].write_text(json.dumps(document, allow_nan=False))
    return paths


def _class_of_the_squat() -> type:
    from mobility.exercises.repeated.exercise import Repeated

    class OverheadSquat(Repeated):
        def joint_angles(self, trial: Trial) -> xr.Dataset:
            return sys.modules["mobility.kinematics.angles"].joint_angles(trial.fitted)

        def repetitions(self, trial: Trial) -> xr.Dataset:
            place = sys.modules["mobility.kinematics.repetitions"]
            if trial.intervals is None:
                return place.find_repetitions(trial.fitted)
            return place.set_repetitions(trial.fitted, trial.intervals)

        def metrics(self, trial: Trial) -> xr.Dataset:
            return sys.modules[SQUAT].metrics(trial)

    OverheadSquat.__module__ = SQUAT
    return OverheadSquat


def modules() -> dict[str, ModuleType]:
    """Stand-in modules by the name under which they are imported."""
    for exercise in registry.exercises():  # their real modules import what is real
        documents_of(exercise), page_of(exercise)
    contents = {
        "mobility.capture.video": [presentation_times, probe, read_frames],
        "mobility.capture.pose": [estimate_pose],
        "mobility.capture.quality": [capture_quality, pictures],
        "mobility.kinematics.clean": [clean_pose, with_sides_exchanged_as_in],
        "mobility.kinematics.edited_points": [checked_points, with_points],
        "mobility.kinematics.fit.entry": [fit_body],
        "mobility.kinematics.angles": [joint_angles, with_raw_angles],
        "mobility.kinematics.repetitions": [find_repetitions, set_repetitions],
        "mobility.pipeline.metrics_table": [write_metrics_table],
        "mobility.pipeline.overlay": [annotate_video],
        "mobility.reports.render": [render_report],
    }
    made = {}
    for name, functions in contents.items():
        made[name] = ModuleType(name)
        for function in functions:
            setattr(made[name], function.__name__, function)
    squat = made[SQUAT] = ModuleType(SQUAT)
    squat.__spec__ = ModuleSpec(SQUAT, None)
    squat.OverheadSquat, squat.metrics = _class_of_the_squat(), metrics_of  # type: ignore[attr-defined]
    added = made[LOADS] = ModuleType(LOADS)
    added.__spec__, added.__file__ = ModuleSpec(LOADS, None), __file__
    added.loads = loads  # type: ignore[attr-defined]
    made["mobility.kinematics.fit.entry"].VISIBILITY_THRESHOLD = 0.1  # type: ignore[attr-defined]
    made["mobility.capture.quality"].GROUPS = {}  # type: ignore[attr-defined]
    return made


def video(folder: Path, *, name: str = "Squat of Ann.MP4", content: bytes = b"video 1") -> Path:
    """A file that the stand-in for the probe accepts."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(content)
    return path


def die_at(point: int, *, before: bool) -> None:
    """Kill this process at the `point`-th renaming into place, counted from 1."""
    import signal

    real = os.replace
    count = 0

    def replace(source: str, target: str) -> None:
        nonlocal count
        count += 1
        if not (before and count == point):
            real(source, target)
        if count == point:
            os.kill(os.getpid(), signal.SIGKILL)

    os.replace = replace  # type: ignore[assignment]
