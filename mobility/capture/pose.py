"""Estimation of a pose Dataset from a video: 33 keypoints, in world metres and image pixels.

If keypoints were imported, the pose contains them in the frames in which a model would have
searched.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import xarray as xr

from mobility import tables
from mobility.base.formatting import listed
from mobility.base.options import FilePath, PoseRate, Workers, check_point, checked
from mobility.base.provenance import sha256, with_history
from mobility.capture import detected, survey
from mobility.capture.detector_packages import BUILT_IN, detector_digest
from mobility.capture.detectors import AboutDetector
from mobility.capture.landmarks import (
    Array,
    Landmarks,
    bounding_box,
    is_somebody,
    nobody,
    overlap,
)
from mobility.capture.lens import focal_length_35mm
from mobility.capture.models import AUTO, PINNED, digest_of, pose_models
from mobility.capture.passes import WARM_UP_S, Chunk, Pass, Work, pass_of, search
from mobility.capture.pose_process import processors, start
from mobility.capture.pose_worker import Job
from mobility.capture.sampling import SAME_TIME_S, choose_frames, is_fast
from mobility.capture.video import VideoInfo, presentation_times, probe
from mobility.errors import BadInputError, NobodyFoundError, VideoError
from mobility.keypoints.sources import LANDMARKS, MEDIAPIPE, pose_source

if TYPE_CHECKING:
    from numpy.typing import NDArray

LONGEST_CHUNK_S = 12.0
"""Greatest length of a chunk."""

SHORTEST_VIDEO_S = 4.0
"""A shorter video is one chunk."""

OFTEN = 0.2
"""Largest fraction of frames in which the subject is found only at a second look; above it, the
subject's crop is tracked.
"""

LEAST_FOUND = 0.05
"""Least fraction of frames with a person; below it, nobody counts as found."""

LEAST_SIZE = 32
"""Least width and height of the pictures, pixels."""

LONGEST_EMPTY_S = 300.0
"""Longest total duration of gaps that are longer than a chunk. It is limited because a longer
recording takes longer to fit.
"""

SAME_PERSON = 0.3
"""Overlap of the boxes above which the poses from two models belong to one person."""

LEAST_WEIGHT = 1e-3
"""Least weight of a landmark, so that a landmark that neither model sees has a mean."""

MOST_FOLLOWED = 3
"""Number of people, the most prominent ones, who are followed to find the person who moves."""

CONTRADICTION_SHARE = 0.05
"""Fraction of frames in which the models contradict each other, above which there is a warning."""


@dataclass(frozen=True)
class _Work(Work):
    """Arguments of a search by a MediaPipe model."""

    bundle: Path


@checked
def estimate_pose(
    video: FilePath,
    *,
    workers: Workers | None = None,
    subject: tuple[float, float] | Literal["moving"] | None = None,
    model: FilePath | None = None,
    rate: PoseRate = "usual",
    detector: str | None = None,
) -> xr.Dataset:
    """Find the subject's pose in about 15 frames per second of a video.

    MediaPipe's Pose Landmarker tracks one person in chunks of at most 12 s. Each chunk is tracked
    from 0.5 s before its start. If nobody is found in a frame, crops and other scales are searched
    before the frame counts as empty.

    A survey of single frames (every 2 s, more often when somebody appears) looks for other people,
    also after covering the people already found. If there are other people, or if the subject was
    often found only on a crop, the video is searched again on the subject's crop.

    Parameters
    ----------
    video
        A video file that FFmpeg can decode.
    workers
        Number of processes that share the work; by default one per processor. The result does not
        depend on it.
    subject
        A point in the picture, pixels from the left and from the top, on the person to follow when
        that person is first seen. By default, this is the person who is largest and most central
        over the whole recording. "moving" selects the person who moves a joint, if that is clearly
        somebody else. Each person is then followed, which takes another search.
    model
        "full", "heavy" (which takes about two and a half times as long), "both" (see Notes), or an
        official Pose Landmarker ``.task`` bundle. None or "auto" mean the model in
        ``MOBILITY_POSE_MODEL``, otherwise "full". The corrections and errors of the fit were
        measured with "full". Only ``mobility models --model heavy`` downloads the heavy model.
    rate
        Frames per second at which the pose is estimated, at least 5, or "all". The actual rate is
        the rate of the video divided by a whole number. "usual" is 15, or all frames while the
        person moves fast: a leg by 0.08 of the body's size, or an arm by a quarter of it, between
        two frames.
    detector
        Name of a :class:`~mobility.capture.detectors.Detector` from another package, which then
        finds the keypoints. None or "mediapipe" means MediaPipe's Pose Landmarker.

    Returns
    -------
    Dataset
        ``position(time, space, keypoint, individual)`` in metres (x to the image's right, y up, z
        towards the camera, origin at the mid-hip of each frame), ``image_position(time, pixel,
        keypoint, individual)`` and ``image_depth`` in pixels, ``confidence`` (MediaPipe's
        visibility) and ``presence`` from 0 to 1.

        The times are those of the frames in which the pose was estimated. The attribute ``fps`` has
        their rate, ``video_fps`` the rate of the video, and ``focal_length_35mm`` the focal length
        in the video file (mm), if it is there. Frames without the subject are NaN. Warnings (other
        people, person absent, parts out of the picture, camera motion, damaged file) are in the
        history. With another detector, ``position``, ``image_depth`` and ``presence`` are missing
        unless its source has them. ``confidence`` then has the detector's meaning, and landmarks
        that it lacks are NaN.

    Raises
    ------
    VideoError
        If the file cannot be decoded, has only one frame or no frames for minutes, has pictures of
        less than 32 pixels, or shows nobody.
    BadInputError
        If nobody is at `subject`, an option is wrong, or there is no such detector.
    ModelError
        If the pose model is not available, or a detector fails or returns invalid keypoints.

    Notes
    -----
    With "both", the video is searched with each model, and the two poses are :func:`combined`.
    Other information, such as other people and second looks, comes from "full".

    References
    ----------
    Bazarevsky et al. 2020, arXiv:2006.10204; Xu et al. 2020, CVPR 6184-6193.
    """
    path = Path(video)
    if isinstance(subject, tuple):
        check_point(subject, name="subject")
    info = probe(path)
    if min(info.width, info.height) < LEAST_SIZE:
        raise VideoError(
            f"{path.name}: its frames of {info.width} x {info.height} pixels are too small to "
            "show a person; film at a higher resolution"
        )
    expected = presentation_times(path)
    check_gaps(expected, path)
    work = Work(
        path=path,
        chunks=plan_chunks(expected),
        workers=workers or processors(),
        frames=choose_frames(expected, rate),
        progress_text="finding the pose",
        width=info.width,
        height=info.height,
    )
    usual = rate == "usual" and len(work.frames) < len(expected)
    if detector is None or detector == BUILT_IN:
        result, of_model = _by_mediapipe(work, info, subject, model, expected if usual else None)
    elif model is not None and model != AUTO:
        fault = f"{os.fspath(model)} is a MediaPipe model; leave it out with another detector"
        raise BadInputError.of({"model": fault})
    else:
        result, of_model = _by_detector(work, subject, detector, expected if usual else None)
    has_person = _frames_with_person(result, path)

    pose = _dataset(result, with_depth=of_model.with_depth)
    pose = pose.assign_attrs(
        source_software=of_model.software,
        pose_source=of_model.source,
        ds_type="poses",
        time_unit="seconds",
        source_file=path.name,
        image_width=info.width,
        image_height=info.height,
        video_sha256=sha256(path),
        model_sha256=of_model.sha256,
        survey=json.dumps(result.survey_summary, sort_keys=True),
        **of_model.attrs,
    )
    if len(result.times) > 1:
        pose = pose.assign_attrs(fps=float(1 / np.median(np.diff(result.times))))
    if info.frame_rate:
        pose = pose.assign_attrs(video_fps=float(info.frame_rate))
    if (focal := focal_length_35mm(path)) is not None:
        pose = pose.assign_attrs(focal_length_35mm=focal)
    return with_history(
        pose,
        "estimate_pose",
        {
            **of_model.arguments,
            "subject": list(subject) if isinstance(subject, tuple) else subject or "largest",
            "rate": rate,
            "chunks": len(work.chunks),
            "warm_up_s": WARM_UP_S,
            "on_crop": result.track is not None,
        },
        video_sha256=pose.attrs["video_sha256"],
        model_sha256=pose.attrs["model_sha256"],
        frames_of_video=len(expected),
        frames=len(result.times),
        frames_with_person=int(has_person.sum()),
        frames_found_at_second_look=result.retried,
        cuts=result.cuts,
        repeats=result.repeats,
        warnings=_warnings(pose, result),
        **of_model.history,
    )


class _OfModel(NamedTuple):
    """Attributes of a pose that describe the model."""

    software: str
    source: str
    sha256: str
    with_depth: bool
    arguments: Mapping[str, Any]
    """Arguments of the recorded operation that name the model."""
    attrs: Mapping[str, Any] = {}
    history: Mapping[str, Any] = {}


def _by_mediapipe(
    shared: Work,
    info: VideoInfo,
    subject: tuple[float, float] | Literal["moving"] | None,
    model: str | os.PathLike[str] | None,
    all_frames: Array | None,
) -> tuple[Pass, _OfModel]:
    """Search with MediaPipe; also in `all_frames`, if any, while the person moves fast."""
    bundles = pose_models(model)

    def of_model(name: str) -> str:
        return "" if len(bundles) == 1 else f", {name}"

    first, *later_works = [
        _Work(
            **vars(shared) | {"progress_text": shared.progress_text + of_model(name)},
            bundle=bundle,
        )
        for name, bundle in bundles.items()
    ]
    passes = [_search(first, info, subject)]
    if all_frames is not None and is_fast(passes[0].poses):
        first = replace(
            first, frames=all_frames, progress_text=f"{first.progress_text} in all frames"
        )
        passes = [_search(first, info, subject)]
    for work in later_works:
        same = replace(work, frames=first.frames)
        if passes[0].other_tracks:
            passes.append(_run(same, passes[0].track, passes[0].other_tracks, passes[0].looks))
        else:
            passes.append(_search(same, info, subject))
    result = passes[0]
    if len(passes) > 1:
        result.poses, result.contradicted = combined(result.poses, passes[1].poses)
    return result, _OfModel(
        software="MediaPipe",
        source=MEDIAPIPE,
        sha256=digest_of([sha256(bundle) for bundle in bundles.values()]),
        with_depth=True,
        arguments={"model": " and ".join(Path(name).name for name in bundles)},
        attrs={"method": "mediapipe_world"},
    )


def _by_detector(
    work: Work,
    subject: tuple[float, float] | Literal["moving"] | None,
    name: str,
    all_frames: Array | None,
) -> tuple[Pass, _OfModel]:
    """Search with the detector of another package; `all_frames` as with MediaPipe."""
    with detected.opened(name) as detector:
        result = detector.search(work, subject)
        if all_frames is not None and is_fast(result.poses):
            again = replace(
                work, frames=all_frames, progress_text=f"{work.progress_text} in all frames"
            )
            result = detector.search(again, subject)
        about: AboutDetector = detector.about
    has_depth = bool(np.isfinite(result.poses["position"]).any())
    with_depth = has_depth and pose_source(about.source).depth != "none"
    left_out = {"depth_left_out": True} if has_depth and not with_depth else {}
    return result, _OfModel(
        software=about.name,
        source=about.source,
        sha256=detector_digest(name),
        with_depth=with_depth,
        arguments={"detector": name},
        history={"landmarks": about.landmarks, "left_out": about.left_out, **left_out},
    )


def _search(
    work: _Work, info: VideoInfo, subject: tuple[float, float] | Literal["moving"] | None
) -> Pass:
    """Follow the subject through the video with one model, on a crop if needed."""
    first_pass = _run(work)
    first_pass.looks = survey.with_shifts(
        first_pass.looks, first_pass.backgrounds, info.width, first_pass.cuts
    )
    tracks = survey.link(first_pass.looks)
    has_person = _frames_with_person(first_pass, work.path)
    tracks = tracks or [_dense_track(first_pass)]
    point = subject if isinstance(subject, tuple) else None
    subject_index = survey.choose_subject(tracks, first_pass.looks, info.width, info.height, point)
    other_people = survey.other_people(tracks, subject_index)
    if not other_people:
        first_pass.survey_summary = survey.summary(first_pass.looks, tracks, subject_index)
        if first_pass.retried > OFTEN * has_person.sum():
            crop = replace(work, progress_text=f"{work.progress_text} on the subject's crop")
            followed = _run(crop, _dense_track(first_pass))
            followed.looks, followed.survey_summary = first_pass.looks, first_pass.survey_summary
            return followed
        return first_pass
    people = [subject_index, *other_people]
    candidates = [subject_index]
    if subject == "moving":
        at_least = survey.LEAST_PRESENT * len(first_pass.looks)
        candidates += [index for index in other_people if len(tracks[index].times) >= at_least]
    candidates = candidates[:MOST_FOLLOWED]
    crop = replace(work, progress_text=f"{work.progress_text} on a crop")
    passes = [
        _run(crop, tracks[i], [tracks[j] for j in people if j != i], first_pass.looks)
        for i in candidates
    ]
    best = survey.who_moves([survey.limb_range(search.poses) for search in passes])
    followed = passes[best]
    followed.looks = first_pass.looks
    followed.survey_summary = survey.summary(first_pass.looks, tracks, candidates[best])
    followed.survey_summary["chosen"] = (
        "pointed at" if point else "moves a joint" if best else "largest"
    )
    return followed


def combined(first: Landmarks, second: Landmarks) -> tuple[Landmarks, int]:
    """Return the mean of the poses from two models in the same frames, weighted by visibility.

    The poses are (n, 33); NaN if nobody is there. Visibility and presence are plain means. Only the
    first pose is used if the second model found nobody, or if the poses contradict each other. They
    contradict each other if their boxes hardly overlap, or if the left side of one is nearer in
    space to the right side of the other. The number of contradicting frames is returned too.
    """
    sides = {"left": "right", "right": "left"}
    mirrored = [
        LANDMARKS.index("_".join(sides.get(word, word) for word in name.split("_")))
        for name in LANDMARKS
    ]

    def distance(poses: Landmarks) -> Array:
        away = first["position"] - poses["position"]
        return np.asarray(np.linalg.norm(away, axis=-1).mean(axis=-1))

    in_second = ~np.isnan(distance(second))
    agree = distance(second) <= distance(second[:, mirrored])
    for row in np.flatnonzero(agree):
        agree[row] = overlap(bounding_box(first[row]), bounding_box(second[row])) > SAME_PERSON
    both = np.stack([first, second])[:, agree]
    weights = np.maximum(both["confidence"], LEAST_WEIGHT)
    mean = first.copy()
    for name in ("pixels", "depth", "position"):
        values = both[name]
        of_each = weights if name == "depth" else weights[..., np.newaxis]
        mean[name][agree] = (of_each * values).sum(axis=0) / of_each.sum(axis=0)
    for name in ("confidence", "presence"):
        mean[name][agree] = both[name].mean(axis=0)
    return mean, int((in_second & ~agree).sum())


def _frames_with_person(result: Pass, path: Path) -> NDArray[np.bool_]:
    """Return the frames with a person; raise an error if there are too few."""
    has_person = is_somebody(result.poses)
    if has_person.mean() < LEAST_FOUND:
        raise NobodyFoundError(
            f"{path.name}: nobody was found in it; film one person in good light, with the "
            "whole body in the picture"
        )
    return has_person


def check_gaps(times: Array, path: Path) -> None:
    """Raise an error if the times of a video jump by minutes, as in damaged files or streams."""
    steps = np.diff(times)
    if steps[steps > LONGEST_CHUNK_S].sum() <= LONGEST_EMPTY_S:
        return
    longest = int(steps.argmax())
    raise VideoError(
        f"{path.name}: has no frames from {times[longest]:.2f} s to {times[longest + 1]:.2f} s, "
        f"which is longer than {LONGEST_EMPTY_S / 60:g} min; cut it there, or export it again "
        "if its times are wrong"
    )


def plan_chunks(times: Array) -> list[Chunk]:
    """Split a video by its times into an even number of equal parts of at most 12 s.

    Returns number, start and stop of each part, with None for the beginning and the end of the
    video. The parts depend only on the video, so that the result does not depend on the number of
    workers; an even number keeps two workers equally busy. If the times jump, parts without a frame
    are left out.
    """
    first, length = float(times[0]), float(times[-1] - times[0])
    count = 1 if length < SHORTEST_VIDEO_S else 2 * int(np.ceil(length / (2 * LONGEST_CHUNK_S)))

    def edge(part: int) -> float | None:
        return first + length * part / count if 0 < part < count else None

    def frames_before(time: float | None, otherwise: int) -> int:
        return otherwise if time is None else int(np.searchsorted(times, time))

    # The division gives the frame's part to within one; the exact edges decide.
    near = np.floor((times - first) * (count / max(length, SHORTEST_VIDEO_S))).astype(np.int64)
    parts = np.unique(np.clip(near[:, np.newaxis] + np.arange(-1, 2), 0, count - 1)).tolist()
    limits = [(edge(part), edge(part + 1)) for part in parts]
    with_frames = [
        (start, stop)
        for start, stop in limits
        if frames_before(start, 0) < frames_before(stop, len(times))
    ]
    return [(number, start, stop) for number, (start, stop) in enumerate(with_frames)]


def _run(
    work: _Work,
    track: survey.Track | None = None,
    other_tracks: Sequence[survey.Track] = (),
    looks: Sequence[survey.Look] = (),
) -> Pass:
    """Have the workers search all chunks, and join their results.

    `looks` are the looks of the survey that saw `other_tracks`.
    """

    def job_of(chunks: list[Chunk], frames: list[float]) -> Job:
        return Job(
            video=str(work.path),
            model=str(work.bundle),
            chunks=chunks,
            warm_up_s=WARM_UP_S,
            frame_times=frames,
            track=track,
            other_tracks=list(other_tracks),
            looks=[look.time for look in looks],
        )

    search_result = search(work, job_of, start)
    result = pass_of(search_result, search_result.arrays["poses"], work.width)
    result.track, result.other_tracks = track, list(other_tracks)
    return result


def _dense_track(dense: Pass) -> survey.Track:
    """Return the track of the person in the dense pass, if the sparse survey missed everybody."""
    track = survey.Track()
    for time, pose in zip(dense.times, dense.poses, strict=True):
        if is_somebody(pose):
            track.add(float(time), survey.person(pose))
    return track


def _dataset(dense: Pass, *, with_depth: bool) -> xr.Dataset:
    # Imported here, so that it loads while the workers work.
    import xarray as xr

    marks = dense.poses[..., np.newaxis]  # (time, keypoint, individual)
    dims = ("time", "keypoint", "individual")
    pose = xr.Dataset(
        {
            "position": (
                ("time", "space", "keypoint", "individual"),
                np.moveaxis(marks["position"], -1, 1),
                {"units": "m", "long_name": "keypoint position, origin at the mid-hip"},
            ),
            "confidence": (
                dims,
                marks["confidence"],
                {"units": "1", "long_name": "visibility of the keypoint"},
            ),
            "presence": (
                dims,
                marks["presence"],
                {"units": "1", "long_name": "presence of the keypoint in the picture"},
            ),
            "image_position": (
                ("time", "pixel", "keypoint", "individual"),
                np.moveaxis(marks["pixels"], -1, 1),
                {"units": "pixel", "long_name": "keypoint position in the picture, v downwards"},
            ),
            "image_depth": (
                dims,
                marks["depth"],
                {"units": "pixel", "long_name": "depth relative to the hips, smaller is nearer"},
            ),
        },
        coords={
            "time": ("time", dense.times, {"units": "s", "long_name": "presentation time"}),
            "space": ["x", "y", "z"],
            "keypoint": list(LANDMARKS),
            "individual": ["subject"],
            "pixel": ["u", "v"],
        },
    )
    if not with_depth:
        pose = pose.drop_vars(["position", "image_depth", "presence", "space"])
    return pose.copy(deep=True)


PARTS = {
    "head": ("nose", "left_ear", "right_ear"),
    "hands": ("left_wrist", "right_wrist"),
    "feet": tuple(
        f"{side}_{name}" for name in ("ankle", "heel", "foot_index") for side in ("left", "right")
    ),
}
"""Parts of the body whose absence from the picture is reported."""

FOREHEAD = 0.5
"""Height of the middle of the forehead above the nose, as a share of the height of the nose above
the shoulders: 0.05 of 0.10 of stature (shoulders at 0.818, eyes at 0.936; Drillis and Contini
1966).

No landmark is above the eyes, so a head that is cut off above the eyes still has all its
landmarks."""


def fraction_outside(
    pose: xr.Dataset, *, margin: float = 0.0, parts: Mapping[str, Sequence[str]] = PARTS
) -> dict[str, float]:
    """Return the share of frames with a person in which head, hands or feet are cut off.

    The head counts as cut off if the edge of the picture crosses the forehead.

    A margin at the border, as a fraction of the picture's width and height, counts as outside. NaN
    if the part was never seen.
    """
    marks = pose["image_position"].isel(individual=0)
    u = marks.sel(pixel="u") / pose.attrs["image_width"]
    v = marks.sel(pixel="v") / pose.attrs["image_height"]
    out = (u < margin) | (u >= 1 - margin) | (v < margin) | (v >= 1 - margin)
    someone = u.notnull().any("keypoint")
    total = int(someone.sum())
    shares = {}
    for part, names in parts.items():
        part_outside = out.sel(keypoint=list(names)).any("keypoint") & someone
        if part == "head":
            part_outside |= _forehead(v) < 0
        ever_visible = bool(u.sel(keypoint=list(names)).notnull().any())
        shares[part] = float(part_outside.sum()) / total if ever_visible else float("nan")
    return shares


def _forehead(v: xr.DataArray) -> xr.DataArray:
    """Return the height of the forehead from the top; NaN without nose or shoulders."""
    nose = v.sel(keypoint="nose", drop=True)
    shoulders = v.sel(keypoint=["left_shoulder", "right_shoulder"]).mean("keypoint")
    return nose + FOREHEAD * (nose - shoulders)


def _warnings(pose: xr.Dataset, result: Pass) -> list[dict[str, Any]]:
    summary = result.survey_summary
    warnings = list(result.faults)
    if result.contradicted > CONTRADICTION_SHARE * len(result.times):
        share = result.contradicted / len(result.times)
        warnings.append(tables.warning("capture.models_contradict", share=share, model=PINNED[0]))
    with_person = float(is_somebody(result.poses).mean())
    if with_person < 0.95:
        warnings.append(tables.warning("capture.person_absent", share=with_person))
    for part, fraction in fraction_outside(pose).items():
        if fraction > 0.05:
            warnings.append(tables.warning(f"capture.{part}_out_of_picture", share=fraction))
    if other_people := summary["other_people"]:
        choice = summary["chosen"].replace(" ", "_")
        where = [
            tables.sentence(
                "capture.somebody",
                point=survey.as_option(other["subject"]),
                first=other["first_seen_s"],
                last=other["last_seen_s"],
            )
            for other in other_people
        ]
        warnings.append(
            tables.warning(
                "capture.other_people",
                count=len(other_people),
                subject=survey.as_option(summary["subject"]),
                chosen=tables.sentence(f"capture.chosen.{choice}"),
                others="; ".join(where),
            )
        )
    if result.cuts:
        moments = listed([f"{time:.1f} s" for time in result.cuts])
        warnings.append(tables.warning("capture.film_cut", moments=moments))
    if result.repeats:
        again = [tables.sentence("capture.shown_again", **repeat) for repeat in result.repeats]
        warnings.append(tables.warning("capture.shots_repeated", moments=listed(again)))
    if summary["camera_moving"]:
        share, shift = summary["camera_moving_share"], summary["camera_shift_max"]
        warnings.append(tables.warning("capture.moving_camera", share=share, shift=shift))
    return warnings


def pose_of_keypoints(
    keypoints: xr.Dataset, video: Path, *, rate: PoseRate = "usual"
) -> xr.Dataset:
    """Make the pose of a video from keypoints whose times are those of its frames.

    Other people, cuts and motion of the camera are unknown, because only a search of the pictures
    finds them.

    Parameters
    ----------
    keypoints
        A pose from :func:`mobility.exchange.keypoint_files.keypoints_of_video`.
    video
        The video.
    rate
        As in :func:`~mobility.capture.pose.estimate_pose`.

    Raises
    ------
    NobodyFoundError
        If hardly any frame has a keypoint.
    """
    info = probe(video)
    times = keypoints["time"].to_numpy()
    chosen_times = choose_frames(times, rate)
    rows = np.searchsorted(times, chosen_times - SAME_TIME_S)
    if rate == "usual" and len(rows) < len(times) and is_fast(_as_detected(keypoints)[rows]):
        rows = np.arange(len(times))
    pose = keypoints.isel(time=rows)
    points = pose["image_position"].isel(individual=0)
    share = float(points.notnull().any(("pixel", "keypoint")).mean())
    if share < LEAST_FOUND:
        raise NobodyFoundError(
            f"{video.name}: its keypoints contain no person; use the keypoints of the person in "
            "this video"
        )
    pose = pose.assign_attrs(
        source_file=video.name,
        image_width=info.width,
        image_height=info.height,
        video_sha256=sha256(video),
    )
    if len(rows) > 1:
        pose = pose.assign_attrs(fps=float(1 / np.median(np.diff(times[rows]))))
    if info.frame_rate:
        pose = pose.assign_attrs(video_fps=float(info.frame_rate))
    if (focal := focal_length_35mm(video)) is not None:
        pose = pose.assign_attrs(focal_length_35mm=focal)
    warnings = []
    if is_of_smaller_picture(keypoints, info.width, info.height):
        width, height = info.width, info.height
        warnings.append(
            tables.warning("capture.keypoints_of_smaller_picture", width=width, height=height)
        )
    if share < 0.95:
        warnings.append(tables.warning("capture.person_absent", share=share))
    for part, outside in fraction_outside(pose).items():
        if outside > 0.05:
            warnings.append(tables.warning(f"capture.{part}_out_of_picture", share=outside))
    return with_history(
        pose,
        "pose_of_keypoints",
        {"rate": rate},
        video_sha256=pose.attrs["video_sha256"],
        frames_of_video=len(presentation_times(video)),
        frames=len(rows),
        given_frames=len(times),
        warnings=warnings,
    )


def is_of_smaller_picture(keypoints: xr.Dataset, width: float, height: float) -> bool:
    """Whether all points lie in the upper left quarter, as if the picture had half the size."""
    farthest = keypoints["image_position"].max(("time", "keypoint", "individual"))
    u, v = (float(farthest.sel(pixel=axis)) for axis in ("u", "v"))
    return u <= width / 2 and v <= height / 2


def _as_detected(pose: xr.Dataset) -> Landmarks:
    """Return keypoints as a detector would; without a confidence each keypoint counts."""
    marks = pose["image_position"].isel(individual=0).transpose("time", "keypoint", "pixel")
    landmarks = nobody(pose.sizes["time"])
    landmarks["pixels"] = marks.sel(keypoint=list(LANDMARKS), pixel=["u", "v"]).to_numpy()
    landmarks["confidence"] = np.isfinite(landmarks["pixels"]).all(axis=-1)
    if "confidence" in pose:
        confidence = pose["confidence"].isel(individual=0).transpose("time", "keypoint")
        landmarks["confidence"] = confidence.sel(keypoint=list(LANDMARKS)).to_numpy()
    return landmarks
