"""The player of a recording in a page: the trial viewer, with its data in the page."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

import mobility
from mobility import tables
from mobility.capture.sampling import choose_frames, chooser
from mobility.capture.video import presentation_times, probe, read_frames, write_video
from mobility.catalogue.joints import ANGLE_OF_JOINT
from mobility.documents import of_session
from mobility.documents.of_session import side_notes
from mobility.kinematics.clean import with_sides_exchanged_as_in
from mobility.kinematics.datasets import EVENTS
from mobility.kinematics.skeleton import BONES
from mobility.kinematics.stances import steps_of
from mobility.pipeline.overlay import VISIBLE, only_the_body
from mobility.reports.exercise_page import page_of
from mobility.reports.figures import angle_names, curve_buffers
from mobility.reports.html import joined
from mobility.reports.recording import step_in_words
from mobility.sessions.files import scratch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mobility.sessions.record import SessionRecord
    from mobility.sessions.stored_session import StoredSession

MOST_CURVES = 4
"""Curves that are shown at first."""

HEIGHT = 480
"""Largest height, in pixels, of the video in a page."""

MOST_BYTES = 6_000_000
"""Largest size of the video in a page."""

MOST_HZ = 30.0
"""Largest frame rate of the video in a page."""

HEAD_HELD_S = 0.25
"""Time, in seconds, before the first and after the last frame with the head for which it is still
drawn.
"""

QUALITIES = (28, 34)
"""Compression of the video in a page (CRF of x264); each value is tried if the result of the
previous one is too large.
"""

_HEAD = ("nose", "left_ear", "right_ear")

_WIDGETS = Path(mobility.__file__).parent / "widgets"
_HOST = Path(__file__).with_name("trial_host.js")


def trial_data(
    pose: xr.Dataset, angles: xr.Dataset, fitted: xr.Dataset | None
) -> tuple[dict[str, Any], list[bytes]]:
    """Describe a recording for the trial viewer, with its numbers as buffers.

    Parameters
    ----------
    pose
        ``image_position`` and ``confidence``.
    angles
        Variables over time; :func:`mobility.reports.figures.angle_names` lists them.
    fitted
        The fitted body, or None.

    Returns
    -------
    description
        Content of the message to the viewer.
    buffers
        Landmarks in pixels (float32), whether each of them is seen (uint8), positions of the fitted
        body (float32), then the curves.
    """
    described, curves = curve_buffers(angles, angle_names(angles))
    if fitted is not None:
        pose = with_sides_exchanged_as_in(pose, fitted)
    person = pose.isel(individual=0)
    points = [str(name) for name in person["keypoint"].values]
    image = person["image_position"].transpose("time", "keypoint", "pixel").values
    confidence = person["confidence"].transpose("time", "keypoint").values
    visible = (confidence >= VISIBLE) & np.isfinite(image).all(axis=-1)
    body_points, body = ([], np.empty((0, 3))) if fitted is None else _body_points(fitted)
    head = {
        "kind": "trial",
        # Without `video_fps`, assume 120 frames/s, the shortest frame.
        "picture_s": 1 / float(pose.attrs.get("video_fps", 120.0)),
        "time": np.round(angles["time"].values.astype(float), 6).tolist(),
        "width": int(pose.attrs.get("image_width", 0)),
        "height": int(pose.attrs.get("image_height", 0)),
        "points": points,
        "image_bones": _bones(points),
        "body_points": body_points,
        "body_bones": _bones(body_points),
        "box": _box(body),
        "curves": described,
        "steps": [
            {"from": step.from_s, "to": step.to_s, "title": step_in_words(step)}
            for step in steps_of(angles if fitted is None else fitted)
        ],
    }
    numbers = [
        image.astype(np.float32).tobytes(),
        visible.astype(np.uint8).tobytes(),
        body.astype(np.float32).tobytes(),
    ]
    return head, [*numbers, *curves]


def shown_at_first(record: SessionRecord, curves: xr.Dataset, repetitions: Any = None) -> list[str]:
    """Choose the curves that are shown at first: moving joints come before the others.

    Parameters
    ----------
    record
        The session's record.
    curves
        Curves from :func:`mobility.documents.of_session.angles`.
    repetitions
        Repetitions or movements of the session; None if there are none.
    """
    wanted = [name for name in angle_names(curves) if curves[name].notnull().any()]
    preferred = ["knee_flexion", "hip_flexion", "ankle_dorsiflexion"]
    wanted = [name for name in wanted if name.startswith(page_of(record.kind).curves_first(record))]
    if repetitions is not None and "joints" in repetitions:
        joints = ", ".join(map(str, repetitions["joints"].values))
        moved = [f"{joint}_" for joint in ANGLE_OF_JOINT if f" {joint}" in joints]
        preferred = [*(n for n in wanted if n.startswith(tuple(moved))), *preferred]
    wanted.sort(key=lambda name: preferred.index(name) if name in preferred else len(preferred))
    return wanted[:MOST_CURVES]


def repetition_rows(repetitions: xr.Dataset) -> list[dict[str, Any]]:
    """Describe repetitions or movements for the trial viewer."""
    rows: list[dict[str, Any]] = []
    for rep in range(repetitions.sizes["rep"]):
        repetition = repetitions.isel(rep=rep)
        row: dict[str, Any] = {
            name: round(float(repetition[name]), 4)
            for name in EVENTS
            if name in repetition and np.isfinite(repetition[name])
        }
        if {"start", "bottom", "end"} <= row.keys():
            row["accepted"] = bool(repetition["accepted"])
            row["reason"] = str(repetition["reason"].values)
            if joints := str(repetition["joints"].values) if "joints" in repetition else "":
                row["joints"] = joints.split(", ")
            rows.append(row)
    return rows


def embedded(session: StoredSession, *, faces: bool = False) -> dict[str, str]:
    """Make the parts of a page that plays a session offline and without a kernel.

    Parameters
    ----------
    session
        An analysed session.
    faces
        Whether faces and surroundings are shown rather than blurred.

    Returns
    -------
    dict
        ``"data"`` (JSON), ``"script"`` (the host, with the widget's modules),
        ``"script_hash"`` for the page's Content-Security-Policy, and ``"style"``.
    """
    repetitions = session.repetitions()
    angles = of_session.angles(session)
    head, buffers = trial_data(session.pose(), angles, session.fitted())
    video = small_video(session, faces=faces)
    notes = [tables.sentence("report.blurred")] if video and not faces else []
    if not video:
        notes = [_too_long(session)]
    notes += side_notes(session)
    state = {
        "title": "",
        "shown": shown_at_first(session.record, angles, repetitions),
        "repetitions": repetition_rows(repetitions),
        "by_hand": False,
        "noun": session.record.kind.noun,
        "turn": session.record.kind.words["turn"],
        "can_correct": False,
        "notes": notes,
        "warnings": [],
        "others": [],
        "points": [],
        "notice": {},
        "errors": {},
        "progress": {},
        "still": "trial",
    }
    coded = [base64.b64encode(buffer).decode() for buffer in buffers]
    film = base64.b64encode(video).decode()
    return page_parts({"state": state, "trial": head, "buffers": coded, "video": film})


def page_parts(content: Mapping[str, Any]) -> dict[str, str]:
    """Return the script, style and data of a page that contains `content`."""
    module = joined(_HOST)
    digest = base64.b64encode(hashlib.sha256(module.encode()).digest()).decode()
    return {
        # "</script>" in a text must not end the element.
        "data": json.dumps(content, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c"),
        "script": module,
        "script_hash": f"sha256-{digest}",
        "style": (_WIDGETS / "style.css").read_text(encoding="utf-8"),
    }


def small_video(session: StoredSession, *, faces: bool = False) -> bytes:
    """Make a video that is small enough for a page; empty if there is none, or if it is too long.

    It has at most :data:`HEIGHT` pixels in height, 30 frames/s and :data:`MOST_BYTES`. Everything
    except the subject's body is blurred unless `faces`.
    """
    path = session.video
    if not path.is_file():
        return b""
    with scratch("film") as place, _one_thread():
        for crf in QUALITIES:
            film = place / f"{crf}.mp4"
            frames = _small_frames(path, session.detected_pose(), faces=faces)
            write_video(film, frames, crf=crf, preset="superfast", threads=2)
            if film.stat().st_size <= MOST_BYTES:
                return film.read_bytes()
    return b""


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let OpenCV work without threads, which cost more than they save on small pictures."""
    import cv2

    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


def _small_frames(
    path: Path, pose: xr.Dataset, *, faces: bool
) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    scale = min(1.0, HEIGHT / probe(path).height)
    hide = None if faces else only_the_body(pose, scale=scale)
    times = choose_frames(presentation_times(path), MOST_HZ, at_most=True)
    for frame in read_frames(path, most_height=HEIGHT, only=chooser(times)):
        if hide is not None:
            hide(frame.image, frame.time)
        yield frame.time, frame.image


def _too_long(session: StoredSession) -> str:
    if not session.video.is_file():
        return tables.sentence("report.no_video.not_kept")
    return tables.sentence("report.no_video.too_long", megabytes=MOST_BYTES / 1e6)


def _body_points(fitted: xr.Dataset) -> tuple[list[str], Any]:
    """Return the visible points of the fitted body, and positions (time, point, xyz) in metres."""
    person = fitted.isel(individual=0) if "individual" in fitted.dims else fitted
    places = person["position"].transpose("time", "keypoint", "space").values
    visible = np.isfinite(places).all(axis=-1).any(axis=0)
    points = [str(name) for name in person["keypoint"].values[visible]]
    return points, _with_head(places[:, visible], points, person["time"].values)


def _with_head(places: Any, points: Sequence[str], time: Any) -> Any:
    """Return the positions, with the head above the shoulders in the first and last frames too.

    The fit has no head, so the head is drawn at its landmarks. In the first and last frames,
    cleaning removes landmarks as spikes more often than in other frames, and it only fills gaps
    between frames.
    """
    shoulders = [k for k, name in enumerate(points) if name.endswith("_shoulder")]
    if not shoulders:
        return places
    middle, places = places[:, shoulders].mean(axis=1), places.copy()
    for k in (points.index(name) for name in _HEAD if name in points):
        rows = np.flatnonzero(np.isfinite(places[:, k]).all(axis=-1))
        for end, rest in ((rows[0], slice(0, rows[0])), (rows[-1], slice(rows[-1] + 1, None))):
            near = np.abs(time[rest] - time[end]) <= HEAD_HELD_S
            held = middle[rest] + places[end, k] - middle[end]
            places[rest, k] = np.where(near[:, None], held, np.nan)
    return places


def _bones(points: Sequence[str]) -> list[list[Any]]:
    """Return the bones between `points`, as two indices and the side ("" between the sides)."""
    bones: list[list[Any]] = []
    for a, b in BONES:
        if a in points and b in points:
            side = a.partition("_")[0]
            same = b.startswith(f"{side}_")
            bones.append([points.index(a), points.index(b), side if same else ""])
    return bones


def _box(body: Any) -> dict[str, list[float]]:
    """Return the bounding box of the body over the recording, robust against single frames."""
    if not body.size or not np.isfinite(body).any():
        return {"low": [-1, -1, -1], "high": [1, 1, 1]}
    low, high = np.nanpercentile(body.reshape(-1, 3), [0.5, 99.5], axis=0)
    return {"low": low.round(3).tolist(), "high": high.round(3).tolist()}
