"""Quality of the recording, as a document. The measured numbers do not depend on it.

Each check has a verdict, ``ok``, ``poor`` or ``unusable``, and advice in plain words; the limits
are in ``tables/capture_quality.yaml``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mobility import tables
from mobility.base.provenance import SCHEMA_VERSION, cameras_of, history, last_of, warnings_of
from mobility.capture.pose import fraction_outside
from mobility.capture.sampling import chooser
from mobility.capture.video import Frame, VideoInfo, keyframe_times, read_frames
from mobility.keypoints.view import UNKNOWN, View, camera_view, supports, view_of

GROUPS = {
    "head": ("nose", "left_ear", "right_ear"),
    "arms": ("left_elbow", "right_elbow", "left_wrist", "right_wrist"),
    "trunk": ("left_shoulder", "right_shoulder", "left_hip", "right_hip"),
    "legs": ("left_knee", "right_knee", "left_ankle", "right_ankle"),
    "feet": ("left_heel", "right_heel", "left_foot_index", "right_foot_index"),
}
"""Keypoints whose visibility is averaged."""

VERDICTS = ("ok", "poor", "unusable")
"""From good to bad."""

SAMPLES = 12
"""Number of frames that are examined for light and sharpness."""

FEWEST_KEYFRAMES = 10
"""With fewer keyframes the whole video is read, because decoding up to each sample would take
longer."""

MODEL_INPUT = 256
"""Longer side of the person in pixels when sharpness is measured. It is the input size of the
landmark model, so that only blur that the model sees counts."""

EDGE_SHARE = 95.0
"""Percentile of the gradient above which a pixel counts as an edge."""

BLACK, WHITE = 2, 253
"""Levels of 255 at and beyond which a pixel is clipped."""

_GRADIENT_VARIANCE = 1 / 3
"""Variance, pixels², of the blur that the gradient adds, because it averages over two pixels."""

_SMALLEST_BOX = 8

_FITTED_FOCAL_SD = 0.12
"""Error of a fitted focal length, as a fraction: root mean square over 14 rendered squats with an
earlier fit; the posterior samples may have a smaller spread."""

_USUAL_HEIGHT, _HEIGHT_SD = 1.70, 0.10
"""Metres; stature that is assumed if it is unknown, as in the fit, and the spread among adults."""


def capture_quality(
    pose: xr.Dataset,
    info: VideoInfo,
    fitted: xr.Dataset | None = None,
    *,
    camera: int = 0,
    light_and_sharpness: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Describe the recording: view, framing, light, and how well the person is seen.

    Parameters
    ----------
    pose
        The raw pose from :func:`~mobility.capture.pose.estimate_pose`.
    info
        The video; some of its frames are read.
    fitted
        The pose after cleaning and fitting, with the repairs in its history and the position of the
        camera. Without it, both are taken from `pose`, as far as possible.
    camera
        Index of the camera of `pose` in the fit, from 0.
    light_and_sharpness
        Result of :func:`pictures` for the video; computed by default.

    Returns
    -------
    dict
        JSON values. Each check has its ``verdict`` ("ok", "poor", "unusable", or null if it cannot
        be decided) and ``advice`` (null if there is none).
    """
    someone = pose["image_position"].notnull().any(("pixel", "keypoint", "individual")).values
    # Imported keypoints have none.
    survey = json.loads(pose.attrs.get("survey", "{}"))
    best = pose if fitted is None else fitted
    height_px = body_height_px(pose)
    view = view_of(cameras_of(best)[camera]["azimuth_deg"]) if camera else camera_view(best)
    return {
        "schema_version": SCHEMA_VERSION,
        "video": {
            "width": info.width,
            "height": info.height,
            "frame_rate": info.frame_rate,
            "duration_s": info.duration_s,
            "codec": info.codec,
        },
        "frames": {
            "total": int(someone.size),
            "with_person": int(someone.sum()),
            **_given_frames(pose),
            **_check("with_person_share", someone.mean() if someone.size else np.nan),
        },
        "rate": {
            "frame_rate": _rounded(info.frame_rate, 2),
            **_check("frame_rate", info.frame_rate or np.nan),
        },
        "visibility": _visibility(pose),
        "view": _view(view),
        "framing": _framing(pose),
        "distance": _distance(pose, best, height_px, camera),
        "size": {
            "body_height_px": _rounded(height_px, 0),
            **_check("body_height_px", height_px),
        },
        "landmarks": _landmarks(survey.get("landmark_offset_px"), height_px),
        **(light_and_sharpness or pictures(info, pose)),
        "swaps": _swaps(best, camera),
        "camera": {
            "moving": survey.get("camera_moving"),
            "background_shift": _rounded(survey.get("camera_shift_median"), 5),
            **_camera(survey.get("camera_moving")),
        },
        "other_people": len(survey["other_people"]) if survey else None,
        "warnings": warnings_of(pose),
    }


def _given_frames(pose: xr.Dataset) -> dict[str, int]:
    """Return the number of frames with imported keypoints, and how many the pose has."""
    entry = last_of(history(pose), "pose_of_keypoints")
    return {"given": entry["given_frames"]} if entry else {}


def _visibility(pose: xr.Dataset) -> dict[str, float | None]:
    """Return the mean confidence of each group of keypoints; None if the model lacks them all."""
    if "confidence" not in pose:
        return dict.fromkeys(GROUPS)
    confidence = pose["confidence"].isel(individual=0)
    means = {}
    for part, names in GROUPS.items():
        values = confidence.sel(keypoint=list(names)).to_numpy()
        finite_values = values[np.isfinite(values)]
        means[part] = _rounded(float(finite_values.mean()), 3) if finite_values.size else None
    return means


def verdict(check: str, value: float) -> str | None:
    """Return the verdict on a value according to the limits in ``capture_quality.yaml``.

    None for NaN.
    """
    return _level(_limits(check), value)


def _level(limits: Mapping[str, Any], value: float) -> str | None:
    if not np.isfinite(value):
        return None
    level = "ok"
    for name in VERDICTS[1:]:
        if (name in limits.get("below", {}) and value < limits["below"][name]) or (
            name in limits.get("above", {}) and value > limits["above"][name]
        ):
            level = name
    return level


def body_height_px(pose: xr.Dataset) -> float:
    """Return the length of the body from heels to nose in pixels; NaN if it was not seen.

    If the keypoints have no heels, it is scaled from the ankles.
    """
    marks = pose["image_position"].isel(individual=0).sel(pixel=["u", "v"])
    lowest, longer = marks.sel(keypoint=["left_heel", "right_heel"]), 1.0
    if not lowest.notnull().any():
        lowest = marks.sel(keypoint=["left_ankle", "right_ankle"])
        longer = _limits("nose_to_heel")["value"] / _limits("nose_to_ankle")["value"]
    away = longer * (lowest - marks.sel(keypoint="nose"))
    height = ((away**2).sum("pixel", skipna=False) ** 0.5).max("keypoint").to_numpy()
    height = height[np.isfinite(height)]
    # The tallest frames are standing; a percentile, because the maximum is the largest error.
    return float(np.percentile(height, 95)) if height.size else float("nan")


def edge_width(grey: NDArray[np.uint8]) -> float:
    """Return the blur of the edges of a picture: standard deviation of a Gaussian, pixels.

    The gradient of a step blurred by s is proportional to 1/s, and to 1/sqrt(s² + 1) after another
    blur by 1 pixel. The ratio of the two gradients gives s, whatever the contrast. The result is
    the median over the strongest edges, NaN if there is no edge.
    Zhuo & Sim 2011, Defocus map estimation from a single image, Pattern Recognition 44:1852.
    """
    import cv2

    picture = grey.astype(np.float32)
    slopes = []
    for image in (picture, cv2.GaussianBlur(picture, (0, 0), 1.0)):
        across = cv2.Sobel(image, cv2.CV_32F, 1, 0)
        slopes.append(np.hypot(across, cv2.Sobel(image, cv2.CV_32F, 0, 1)))
    first, second = slopes
    strong = (first >= np.percentile(first, EDGE_SHARE)) & (second > 0)
    if not strong.any():
        return float("nan")
    ratio = float(np.median(first[strong] / second[strong]))
    if ratio <= 1:
        return float("inf")
    return float(np.sqrt(max(1 / (ratio**2 - 1) - _GRADIENT_VARIANCE, 0.0)))


def sample_frames(info: VideoInfo, pose: xr.Dataset) -> Iterator[Frame]:
    """Read about :data:`SAMPLES` frames that show the person, spread over the video, quickly.

    If there are enough keyframes, the frame after each keyframe is read, because a keyframe itself
    is often stored in more detail than the others.
    """
    someone = pose["image_position"].notnull().any(("pixel", "keypoint", "individual")).to_numpy()
    times = pose["time"].to_numpy()[someone]
    if not times.size:
        return
    frame = 1 / (info.frame_rate or 30.0)
    keys = keyframe_times(info.path)
    keys = keys[(keys >= times[0] - 1e-6) & (keys < times[-1])]
    if keys.size < FEWEST_KEYFRAMES:
        yield from read_frames(info.path, only=chooser(_spread(times)), threads=2)
        return
    for key in _spread(keys):
        near = list(read_frames(info.path, start=float(key) + 1e-6, stop=float(key) + 2.5 * frame))
        yield from near[-1:]


def _spread(values: NDArray[np.float64]) -> NDArray[np.float64]:
    count = min(SAMPLES, values.size)
    # The middles of equal parts, because the first and last frames are seldom typical.
    spread_values: NDArray[np.float64] = values[
        ((np.arange(count) + 0.5) * values.size / count).astype(int)
    ]
    return spread_values


def pictures(info: VideoInfo, pose: xr.Dataset) -> dict[str, Any]:
    """Measure light and sharpness inside the person's box, for the capture quality.

    It decodes much of the video, so call it in parallel with steps that need only the pose.
    """
    import cv2

    times = pose["time"].to_numpy()
    marks = pose["image_position"].isel(individual=0).transpose("time", "pixel", "keypoint")
    elsewhere = "keypoints_of_smaller_picture" in {warning["code"] for warning in warnings_of(pose)}
    brightness, clipped, edges = [], [], []
    for frame in () if elsewhere else sample_frames(info, pose):
        points = marks[int(np.argmin(np.abs(times - frame.time)))].to_numpy()
        if np.isnan(points).all():
            continue
        height, width = frame.image.shape[:2]
        left, top = (max(int(x), 0) for x in np.nanmin(points, axis=1))
        right, bottom = (
            min(int(x) + 1, most)
            for x, most in zip(np.nanmax(points, axis=1), (width, height), strict=True)
        )
        if right - left < _SMALLEST_BOX or bottom - top < _SMALLEST_BOX:
            continue
        grey = cv2.cvtColor(frame.image[top:bottom, left:right], cv2.COLOR_RGB2GRAY)
        brightness.append(float(grey.mean()) / 255)
        clipped.append(float(((grey <= BLACK) | (grey >= WHITE)).mean()))
        scale = MODEL_INPUT / max(grey.shape)
        if scale < 1:
            tall, wide = (max(1, round(side * scale)) for side in grey.shape)
            grey = cv2.resize(grey, (wide, tall), interpolation=cv2.INTER_AREA)
        edges.append(edge_width(np.asarray(grey, np.uint8)) * max(scale, 1.0))

    def typical(values: list[float]) -> float:
        finite = [v for v in values if np.isfinite(v)]
        return float(np.median(finite)) if finite else float("nan")

    light, share, width = typical(brightness), typical(clipped), typical(edges)
    verdicts = [_check("brightness", light), _check("clipped_share", share)]
    return {
        "light": {
            "brightness": _rounded(light, 3),
            "clipped_share": _rounded(share, 3),
            **_worst(verdicts),
        },
        "sharpness": {"edge_width": _rounded(width, 2), **_check("edge_width", width)},
    }


def _view(view: View) -> dict[str, Any]:
    """Describe a view, and which planes it shows."""
    angles = tables.load("angles")
    entry = _limits("view")["unknown"] if view.kind == UNKNOWN else {"verdict": "ok"}
    return {
        "name": view.name,
        "azimuth_deg": _rounded(view.azimuth_deg, 1),
        "azimuth_sd_deg": _rounded(view.sd_deg, 1),
        "supports": [name for name in angles if supports(view, name)],
        "does_not_support": [name for name in angles if supports(view, name) is False],
        "verdict": entry["verdict"],
        "advice": _advice(entry),
    }


def _landmarks(offset_px: float | None, height_px: float) -> dict[str, Any]:
    """Check the distance between the joints that two searches of the same frames find."""
    share = np.nan if offset_px is None else offset_px / height_px
    return {"offset_share": _rounded(share, 4), **_check("landmark_offset_share", share)}


def _camera(moving: bool | None) -> dict[str, str | None]:
    if moving is None:
        return {"verdict": None, "advice": None}
    entry = _limits("camera")["moving" if moving else "at_rest"]
    return {"verdict": entry["verdict"], "advice": _advice(entry)}


def _framing(pose: xr.Dataset) -> dict[str, Any]:
    limits = _limits("framing")
    outside = fraction_outside(pose)
    near = fraction_outside(pose, margin=limits["border"]["value"])
    at_edge = {part: near[part] - share for part, share in outside.items()}
    ankles = fraction_outside(pose, parts={"ankles": ("left_ankle", "right_ankle")})
    levels = {
        part: "poor" if level == "ok" and _level(limits["share"], near[part]) != "ok" else level
        for part, level in ((part, _level(limits["share"], outside[part])) for part in outside)
    }
    verdicts = [
        {"verdict": level, "advice": None if level in (None, "ok") else limits["advice"][part]}
        for part, level in levels.items()
    ]
    return {
        "outside": {k: _rounded(v, 3) for k, v in outside.items()},
        "at_edge": {k: _rounded(v, 3) for k, v in at_edge.items()},
        "ankles_outside": _rounded(ankles["ankles"], 3),
        **_worst(verdicts),
    }


def _distance(pose: xr.Dataset, best: xr.Dataset, height_px: float, camera: int) -> dict[str, Any]:
    """Estimate the camera's distance: from the fit, otherwise from the person's size."""
    fit = last_of(history(best), "fit_body")
    stature = fit.get("arguments", {}).get("height_m")
    scaled = "calibrated" in fit and bool(cameras_of(best))
    if "position_draws" in best:
        distance, sd = _distance_of_fit(best)
        if camera:
            sd *= cameras_of(best)[camera]["distance_m"] / distance
            distance = cameras_of(best)[camera]["distance_m"]
        if fit.get("focal_length_from") != "given":
            sd = max(sd, _FITTED_FOCAL_SD * distance)
        source = "fit"
    else:
        prior = _limits("focal_prior")
        longer = max(pose.attrs["image_width"], pose.attrs["image_height"])
        size = _limits("nose_to_heel")["value"] * (stature or _USUAL_HEIGHT)
        distance = prior["value"] * longer * size / height_px
        sd = prior["sd"] * distance
        source = "lens"
    scale = "calibrated" if scaled else "given" if stature else "assumed"
    if scale == "assumed":
        sd = float(np.hypot(sd, distance * _HEIGHT_SD / _USUAL_HEIGHT))
    return {
        "distance_m": _rounded(distance, 2),
        "distance_sd_m": _rounded(sd, 2),
        "known_from": tables.sentence(
            f"capture.distance.{source}",
            scale=tables.sentence(f"capture.scale.{scale}", height=stature or _USUAL_HEIGHT),
        ),
        **_check("distance_m", distance),
    }


def _distance_of_fit(fitted: xr.Dataset) -> tuple[float, float]:
    """Return the median horizontal distance of the hips from the camera, and its error."""
    hips = ["left_hip", "right_hip"]
    fit = fitted["fit_position"].sel(fit_keypoint=hips)
    deviations = fitted["position_draws"].sel(fit_keypoint=hips)

    def median_distance(place: xr.DataArray) -> xr.DataArray:
        square = (place.mean("fit_keypoint").sel(fit_space=["x", "z"]) ** 2).sum("fit_space")
        median: xr.DataArray = (square**0.5).median("fit_time")
        return median

    distance = float(median_distance(fit))
    return distance, float(((median_distance(fit + deviations) - distance) ** 2).mean() ** 0.5)


def _swaps(best: xr.Dataset, camera: int) -> dict[str, Any]:
    """Check how often the cleaning repaired exchanges of left and right."""
    entries = history(best)
    if camera:
        entries = last_of(entries, "fit_body")["further_histories"][camera - 1]
    steps = last_of(entries, "clean_pose").get("steps", [])
    repair = next((s for s in steps if s["step"] == "swap_repair" and "swapped_frames" in s), None)
    if repair is None:
        return {"mended_frames": None, "verdict": None, "advice": None}
    share = max(repair["swapped_frames"].values(), default=0) / max(best.sizes["time"], 1)
    return {"mended_frames": repair["swapped_frames"], **_check("swapped_share", share)}


def _limits(check: str) -> Any:
    return tables.load("capture_quality")[check]


def _check(check: str, value: float) -> dict[str, str | None]:
    """Return the verdict on a value, and the advice if it is not ok."""
    level = verdict(check, value)
    advice = None if level in (None, "ok") else _advice(_limits(check))
    return {"verdict": level, "advice": advice}


def _advice(entry: Mapping[str, Any]) -> str | None:
    return entry["advice"].strip() if entry.get("advice") else None


def _worst(verdicts: Iterable[Mapping[str, str | None]]) -> dict[str, str | None]:
    """Return the worst of several verdicts, with all advice."""
    decided = [check for check in verdicts if check["verdict"] is not None]
    if not decided:
        return {"verdict": None, "advice": None}
    worst = max((str(check["verdict"]) for check in decided), key=VERDICTS.index)
    advice = list(dict.fromkeys(str(check["advice"]) for check in decided if check["advice"]))
    return {"verdict": worst, "advice": " ".join(advice) or None}


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None or not np.isfinite(value) else round(float(value), digits)
