"""Quick check of a video within seconds, while the person is still there.

The stages of an analysis run in memory, on few frames. The verdict comes from their warnings and
from the checks of the recording, with the same limits and words as after an analysis.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field

from mobility import tables
from mobility.assessment.exercise_stages import Trial, stages_of
from mobility.assessment.findings import another_view, hidden_in_words
from mobility.base.formatting import listed
from mobility.base.options import FilePath, Workers, checked
from mobility.base.provenance import AnalysisWarning, warnings_of
from mobility.catalogue import registry
from mobility.catalogue.exercise import Exercise
from mobility.documents.contract import CheckReason, RecordingCheck, SeenInFilm
from mobility.errors import BadInputError, NobodyFoundError
from mobility.keypoints.view import UNKNOWN, view_in_words, view_name, view_of
from mobility.sessions.analysis_options import Person
from mobility.sessions.creation import check_creation

if TYPE_CHECKING:
    import xarray as xr

    from mobility.assessment.verdict import Verdict
    from mobility.capture.video import VideoInfo
    from mobility.sessions.stored_session import StoredSession

RATE_HZ = 5.0
"""Frames per second at which the pose is estimated."""

FEWEST_FRAMES = 20
"""Least number of frames; the rate is increased for short videos."""

_IMPORTS = (
    *("xarray", "scipy.interpolate", "scipy.signal", "scipy.ndimage", "cv2"),
    *("mobility.kinematics.fit.entry", "mobility.capture.quality"),
    *("mobility.assessment.measures", "mobility.assessment.verdict"),
)
"""Modules that are needed after the pose."""


@checked
def check_recording(
    video: FilePath,
    *,
    exercise: str | None = None,
    view: str | None = None,
    repetitions: Annotated[int, Field(ge=1, le=1000)] | None = None,
    body_joint_angles: str | Sequence[str] = "all",
    movement: str | None = None,
    subject: Person = "largest",
    workers: Workers | None = None,
) -> dict[str, Any]:
    """Check within seconds whether a video is good, usable with limits, or must be filmed again.

    This is a first look: it runs the stages of an analysis with the pose at five frames per second.
    The limits, checks and words are the same as in the verdict of a full analysis, which takes
    precedence. Nothing is stored.

    Parameters
    ----------
    video
        A video file.
    exercise
        Name or slug of the intended exercise; by default the first exercise, or the exercise of
        `movement`.
    view
        Intended view: "front", "front-oblique", "side", "back-oblique" or "back", with "left" or
        "right" if the side matters. The words that pages use are also accepted ("front left", "from
        behind"). By default, every view is accepted.
    repetitions
        Number of repetitions (or movements of a joint) that the person was asked to do.
    body_joint_angles, movement
        For single-joint movements, as in :meth:`mobility.Store.create`.
    subject
        A point on the person to measure, in the frame in which they first appear; or "largest".
    workers
        Number of processes that share the work.

    Returns
    -------
    dict
        JSON values. ``good``: whether there are no ``reasons``. ``film_again``: whether most
        results would be missing or wrong. ``verdict``: the level of the verdict. ``headline``: one
        line of text. ``reasons``: why the video is not good, the worst first, each with ``code``,
        ``why`` and ``what_to_do``. ``seen``: ``exercise`` (None if it is not clear), ``view``,
        ``azimuth_deg``, ``repetitions``, ``duration_s``, ``frame_rate``. ``view_hides``: what
        cannot be seen from this view. ``first_look``: an explanation of this check.

    Raises
    ------
    VideoError
        The file cannot be decoded.
    BadInputError
        There is no such exercise, view, joint or movement; nobody is at `subject`.
    """
    from mobility.assessment.verdict import judge
    from mobility.capture.pose import estimate_pose
    from mobility.capture.video import probe

    name, joints, _ = check_creation(
        exercise_name=exercise or (None if movement else registry.USUAL),
        body_joint_angles=body_joint_angles,
        movement=movement,
    )
    asked = registry.exercise(name)
    try:
        wanted_view = None if view is None else view_name(view)
    except BadInputError as error:
        raise BadInputError.of({"view": str(error)}) from None
    place = subject if subject != "largest" else stages_of(asked).subject(joints, movement)
    info = probe(video)
    rate = max(RATE_HZ, FEWEST_FRAMES / max(info.duration_s, 0.1))
    with ThreadPoolExecutor(1) as meanwhile:
        meanwhile.submit(lambda: [import_module(name) for name in _IMPORTS])
        try:
            pose = estimate_pose(video, workers=workers, subject=place, rate=min(rate, 1000.0))
        except NobodyFoundError:
            verdict = judge([], _quality_without_person(info), exercise=asked)
            return _document(verdict, asked, info)
    return _checked(pose, asked, joints, movement, wanted_view, repetitions, info)


def check_session(session: StoredSession) -> dict[str, Any]:
    """Check the first video of a session with :func:`check_recording`."""
    record = session.record
    if record.keypoints is not None:
        raise BadInputError(
            f"session {session.id}: its keypoints were imported, but a check needs to find the "
            "person itself. Analyse the session instead"
        )
    return check_recording(
        session.first_video,
        exercise=record.exercise,
        body_joint_angles=record.joints,
        movement=record.movement,
        view=record.options.get("view"),
        subject=record.options.get("subject") or "largest",
    )


def _checked(
    pose: xr.Dataset,
    asked: Exercise,
    joints: Sequence[str],
    movement: str | None,
    wanted_view: str | None,
    wanted_repetitions: int | None,
    info: VideoInfo,
) -> dict[str, Any]:
    """Judge a video by its pose."""
    from mobility.assessment.verdict import judge
    from mobility.capture.quality import capture_quality, pictures
    from mobility.kinematics.clean import clean_pose
    from mobility.kinematics.fit.entry import VISIBILITY_THRESHOLD, fit_body

    cleaned = clean_pose(pose, visibility_threshold=VISIBILITY_THRESHOLD)
    stages = stages_of(asked)
    try:
        datasets = {"fitted": fit_body([cleaned], **stages.fit_options(cleaned))}
    except BadInputError:  # in too few frames
        return _document(judge([], _quality_without_person(info), exercise=asked), asked, info)
    trial = Trial(
        exercise=asked,
        joints=tuple(joints),
        fit=True,
        movement=movement,
        sex=None,
        age=None,
        intervals=None,
        dataset=datasets.__getitem__,
    )
    with ThreadPoolExecutor(1) as meanwhile:
        light_and_sharpness = meanwhile.submit(pictures, info, pose)
        datasets["angles"] = stages.joint_angles(trial)
        datasets["repetitions"] = stages.repetitions(trial)
        metrics = stages.metrics(trial)
        quality = capture_quality(
            pose, info, datasets["fitted"], light_and_sharpness=light_and_sharpness.result()
        )
    entries = warnings_of(pose, *datasets.values(), metrics)
    entries += another_view(quality["view"], wanted_view)
    entries += _fewer_repetitions(datasets["repetitions"], asked, wanted_repetitions)
    warnings = [
        AnalysisWarning(entry["code"], entry["message"], entry.get("values", {}))
        for entry in entries
    ]
    warnings = stages.warnings_kept(joints, quality, metrics, warnings)
    verdict = stages.verdict(quality, metrics, lambda: datasets["fitted"], warnings)
    return _document(verdict, asked, info, quality, _accepted(datasets["repetitions"]))


def _accepted(repetitions: xr.Dataset) -> int:
    return int(repetitions["accepted"].sum())


def _fewer_repetitions(
    repetitions: xr.Dataset, exercise: Exercise, least: int | None
) -> list[dict[str, Any]]:
    """Warn about fewer repetitions than intended."""
    count = _accepted(repetitions)
    if least is None or not 0 < count < least:
        return []
    numbers = {"count": count, "wanted": least, "noun": exercise.noun}
    return [tables.warning("warnings.fewer_repetitions", **numbers)]


def _quality_without_person(info: VideoInfo) -> dict[str, Any]:
    """Return the checks of a video that shows nobody: the missing person, and the light."""
    import cv2

    from mobility.capture.quality import SAMPLES, verdict
    from mobility.capture.sampling import chooser
    from mobility.capture.video import presentation_times, read_frames

    times = presentation_times(info.path)
    sample_times = times[np.linspace(0, len(times) - 1, min(SAMPLES, len(times))).astype(int)]
    frames = read_frames(info.path, only=chooser(sample_times))
    light = [cv2.cvtColor(frame.image, cv2.COLOR_RGB2GRAY).mean() / 255 for frame in frames]
    values = {
        "frames": ("with_person_share", 0.0),
        "light": ("brightness", float(np.median(light)) if light else np.nan),
    }
    limits = tables.load("capture_quality")
    return {
        name: {"verdict": verdict(check, value), "advice": limits[check]["advice"].strip()}
        for name, (check, value) in values.items()
    }


def _document(
    verdict: Verdict,
    asked: Exercise,
    info: VideoInfo,
    quality: Mapping[str, Any] | None = None,
    repetitions: int = 0,
) -> dict[str, Any]:
    from mobility.assessment.verdict import each_once

    unusable = verdict.level == "unusable"
    # If the person is hardly seen, it follows that no repetition is seen.
    shown_reasons = [e for e in verdict.reasons if not (unusable and e.code == "no_repetition")]
    does = each_once(reason.what_to_do for reason in shown_reasons)
    reasons = [
        CheckReason(code=reason.code, why=reason.why, what_to_do=do)
        for reason, do in zip(shown_reasons, does, strict=True)
    ]
    good = verdict.level == "good"
    if not good and not reasons:  # single joints, if none can be measured
        why = verdict.why.rstrip(".")
        reasons = [CheckReason(code="nothing_measured", why=why, what_to_do=verdict.what_to_do)]
    other = {exercise.slug: exercise.name for exercise in registry.exercises()}.get(verdict.instead)
    view = (quality or {}).get("view", {})
    seen_in_video = SeenInFilm(
        exercise=other or (asked.name if repetitions else None),
        view=view.get("name", UNKNOWN),
        azimuth_deg=view.get("azimuth_deg"),
        repetitions=repetitions,
        duration_s=info.duration_s,
        frame_rate=info.frame_rate,
    )
    number = "one" if repetitions == 1 else "several"
    count = tables.sentence(
        f"comments.recording_check.count.{number}", count=repetitions, noun=asked.noun
    )
    findings = asked.noun == "repetition" and not verdict.film_again
    hides = seen_in_video.azimuth_deg if findings else None
    headline = "again" if verdict.film_again else "good" if good else "limited"
    return RecordingCheck(
        good=good,
        film_again=verdict.film_again,
        verdict=verdict.level,
        headline=tables.sentence(
            f"comments.recording_check.headline.{headline}",
            what=f"{count}, {view_in_words(seen_in_video.view)}",
            why=listed([reason.why for reason in reasons]),
        ),
        reasons=reasons,
        seen=seen_in_video,
        view_hides="" if hides is None else hidden_in_words(view_of(hides)),
        first_look=tables.sentence("comments.recording_check.first_look"),
    ).model_dump(mode="json")
