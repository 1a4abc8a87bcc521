"""The recording: the person, the date, the cameras, the steps, and the checks of its quality.

A step is reported with its direction and time; its length is not measured well enough.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import htpy as h
import numpy as np
import xarray as xr
from markupsafe import Markup

from mobility import tables
from mobility.base.formatting import (
    capital,
    dated,
    listed,
    plus_minus,
    quantity,
    rounded,
    shortened,
    spoken,
    timed,
)
from mobility.base.provenance import cameras_of
from mobility.keypoints.sources import MEDIAPIPE, Origin
from mobility.keypoints.view import azimuths, view_in_words, view_of
from mobility.kinematics.expected_error import half_width
from mobility.kinematics.skeleton import called
from mobility.kinematics.stances import steps_of
from mobility.reports.html import Cell, Row, facts, html, paragraphs, table
from mobility.sessions.record import POINTS_OF

if TYPE_CHECKING:
    from mobility.kinematics.stances import Step
    from mobility.sessions.record import Edit, Edits, Participant, SessionRecord

_SIMILAR = 0.6
"""A component of a step is also named if it is at least this share of the largest one."""

_LEAST_M = 0.01
"""Metres; a smaller component of a step is not named."""

_MOST = 5
"""Largest number of steps that are named in a line."""


def step_in_words(step: Step) -> str:
    """State the direction and time of a step: "steps forward at 4.4 s"."""
    if step.returns:
        what = tables.sentence("report.steps.returns")
        return tables.sentence("report.steps.at", what=what, time=step.time_s)
    parts = {
        "forward" if step.forward_m > 0 else "backward": abs(step.forward_m),
        "left" if step.left_m > 0 else "right": abs(step.left_m),
        "wider" if step.wider_m > 0 else "closer": abs(step.wider_m),
    }
    least = max(_LEAST_M, _SIMILAR * max(parts.values()))
    named = [name for name, size in parts.items() if size >= least]
    feet = [name for name in named if name in ("wider", "closer")]
    ways = [tables.sentence(f"report.steps.way.{name}") for name in named if name not in feet]
    texts = [tables.sentence("report.steps.goes", way=listed(ways))] if ways else []
    texts += [tables.sentence(f"report.steps.feet.{name}") for name in feet]
    what = listed(texts) or tables.sentence("report.steps.moves")
    return tables.sentence("report.steps.at", what=what, time=step.time_s)


def steps_in_a_line(trial: xr.Dataset) -> str:
    """Return a sentence on the steps and their effect on repetitions; empty if there are none."""
    steps = [step_in_words(step) for step in steps_of(trial)]
    if not steps:
        return ""
    return tables.sentence(
        "report.steps.line" if "joints" in trial else "report.steps.compared",
        steps=shortened(steps, most=_MOST),
    )


def person(participant: Participant | None, record: SessionRecord) -> str:
    """State who was filmed: name, sex, age, height and weight, if they are known.

    If only the birth year is known, the age is given as one of two years.
    """
    if participant is None:
        return tables.sentence("report.person.nothing_known", name=record.user_id)
    age = participant.age
    oldest = participant.age_reached(record.created_at.year)
    if oldest:
        age_in_words = tables.sentence("report.person.age_of_two", younger=oldest - 1, older=oldest)
    else:
        age = age if oldest is None else 0.0
        age_in_words = "" if age is None else tables.sentence("report.person.age", age=age)
    parts = [
        participant.display_name or participant.user_id,
        participant.sex,
        age_in_words,
        None if participant.height_m is None else quantity(participant.height_m, "m"),
        None if participant.weight_kg is None else quantity(participant.weight_kg, "kg"),
    ]
    return ", ".join(part for part in parts if part)


def who_and_what(
    record: SessionRecord,
    participant: Participant | None,
    pose: xr.Dataset,
    repetitions: xr.Dataset,
    edits: Edits,
) -> Markup:
    """List the participant, day, video, exercise and number of repetitions."""
    time = pose["time"].values
    attrs = pose.attrs
    size = f"{attrs['image_width']} × {attrs['image_height']}" if "image_width" in attrs else None
    rate = f"{float(attrs['video_fps']):.4g} frames/s" if "video_fps" in attrs else None
    length = quantity(time[-1] - time[0], "s") if time.size else None
    film, *second = record.videos
    video = ", ".join(part for part in (film.original_name, size, rate, length) if part)
    noun = f"{capital(record.kind.noun)}s"
    together = tables.sentence("report.counted.together") if "joints" in repetitions else ""
    return facts(
        {
            "Participant": person(participant, record),
            "Date": dated(record.created_at),
            "Title": record.session_name,
            "Video": video,
            "Video of the second camera": second[0].original_name if second else None,
            "Keypoints": Origin.of(attrs).source_software,
            "Exercise": record.exercise,
            noun: count_repetitions(repetitions) + together,
            "Corrected by hand": corrections(edits, repetitions=noun.lower()),
        }
    )


def in_a_line(
    record: SessionRecord,
    participant: Participant | None,
    repetitions: xr.Dataset,
    quality: Mapping[str, Any],
    edits: Edits,
) -> Markup:
    """State in two lines who was filmed, when, from where, how often, and in which video.

    A third line shows when the feet moved to another place.
    """
    view = quality.get("view") or {}
    noun = record.kind.noun
    count = int(np.asarray(repetitions["accepted"].values, bool).sum())
    parts = [
        record.session_name,
        record.user_id if participant is None else person(participant, record),
        tables.sentence("report.added", when=timed(record.created_at)),
        tables.sentence("report.filmed", view=view_in_words(view["name"]))
        if view.get("azimuth_deg") is not None
        else "",
        f"{count} {noun}{'' if count == 1 else 's'}",
        tables.sentence("report.corrected") if edits.edits else "",
        model_in_words(record.origin),
    ]
    steps = [line for line in [steps_in_a_line(repetitions)] if line]
    return paragraphs(" · ".join(filter(None, parts)), films(record), *steps, kind="who")


def model_in_words(origin: Origin) -> str:
    """Name a keypoint model, unless it is the package's own model."""
    if origin.pose_source in ("", MEDIAPIPE):
        return ""
    return tables.sentence("report.keypoints", software=origin.source_software)


def films(record: SessionRecord) -> str:
    """List the file names of the videos that were measured, and of any that was left out."""
    measured = [video.original_name for video in record.videos]
    if len(measured) > 1:
        return tables.sentence("report.films.two", films=listed(measured))
    if record.second_video is None:
        return tables.sentence("report.films.one", film=measured[0])
    both = record.video.original_name, record.second_video.original_name
    other = both[0 if record.measured_video == 2 else 1]
    return tables.sentence("report.films.one_of_two", film=measured[0], other=other)


def corrections(edits: Edits, *, repetitions: str = "repetitions") -> str | None:
    """State what was corrected by hand, by whom and when; None if nothing was corrected.

    `repetitions` is the word for repetitions, or for movements if joints are filmed.
    """
    last = {edit.kind: edit for edit in edits.edits}
    names = {"repetitions": repetitions}
    texts = [
        tables.sentence(
            "report.corrected_by",
            what=_corrected_points(edit)
            if edit.kind in POINTS_OF.values()
            else spoken(names.get(edit.kind, edit.kind)),
            who=edit.who,
            when=timed(edit.when),
        )
        for edit in last.values()
        if edit.after is not None
    ]
    return "; ".join(texts) or None


def _corrected_points(edit: Edit) -> str:
    """Name corrected landmarks, with the moments of the video that they change."""
    from mobility.kinematics.edited_points import edited_frames

    times = [
        f"{first:.1f} s" if round(first, 1) == round(last, 1) else f"{first:.1f}–{last:.1f} s"
        for first, last in edited_frames(edit.after)
    ]
    what = spoken(edit.kind)
    return tables.sentence("report.points_at", what=what, times=shortened(dict.fromkeys(times)))


def count_repetitions(repetitions: xr.Dataset) -> str:
    """State how many repetitions were found, and why some were left out."""
    accepted = np.asarray(repetitions["accepted"].values, bool)
    if accepted.size == 0:
        return tables.sentence("report.counted.none")
    left_out = [
        tables.sentence("report.counted.left_out", number=int(number), why=why)
        for number, ok, why in zip(
            repetitions["rep"].values, accepted, repetitions["reason"].values, strict=True
        )
        if not ok
    ]
    return tables.sentence(
        "report.counted.some" if left_out else "report.counted.all",
        accepted=accepted.sum(),
        found=accepted.size,
        left_out="; ".join(left_out),
    )


def cameras(pose: xr.Dataset) -> Markup:
    """Make the table of the cameras; empty for a single camera.

    Parameters
    ----------
    pose
        The fitted pose.
    """
    rows: list[Row] = []
    with_azimuths = zip(cameras_of(pose), azimuths(pose), strict=False)
    for number, (camera, azimuth) in enumerate(with_azimuths, start=1):
        offset = tables.sentence("report.camera_table.first")
        if "time_offset_s" in camera:
            half = half_width(camera["time_offset_sd_s"])
            started = camera["time_offset_s"]
            offset = tables.sentence(
                "report.camera_table.earlier" if started < 0 else "report.camera_table.later",
                by=quantity(abs(started), "s", half=half, digits=3),
            )
        view = view_in_words(view_of(azimuth).name)
        rows.append(
            [
                tables.sentence("report.camera_table.camera", number=number),
                tables.sentence("report.camera_table.place", view=view, azimuth=abs(azimuth)),
                offset,
                f"{rounded(camera['focal_length_px'])} pixels",
                f"{rounded(100 * camera['residual_m'], 1)} cm "
                f"({rounded(camera['residual_px'], 1)} pixels)",
            ]
        )
    return table(
        ["Camera", "View", "Started", "Focal length", "Distance of landmarks from body"],
        rows,
        caption=tables.sentence("report.camera_table.caption"),
    )


def capture_quality(quality: Mapping[str, Any]) -> Markup:
    """Describe how well the video can be measured.

    Parameters
    ----------
    quality
        The document of :func:`mobility.capture.quality.capture_quality`; with ``second_camera`` in
        it, the quality of the second camera follows.
    """
    if second := quality.get("second_camera"):
        first = {name: value for name, value in quality.items() if name != "second_camera"}
        cameras = {"First camera": first, "Second camera": second}
        for head, of_camera in cameras.items():
            # The other camera may see angles that a view does not support.
            view = {k: v for k, v in of_camera.get("view", {}).items() if k != "supports"}
            cameras[head] = {**of_camera, "view": view}
        return html((h.h3[head], capture_quality(of_camera)) for head, of_camera in cameras.items())
    # Nobody looked for other people, cuts and movement of the camera.
    is_given = "given" in quality.get("frames", {})
    other_people = quality.get("other_people")
    nobody = tables.sentence("report.checks.no_others")
    overview = facts(
        {
            "Visibility": _shares(quality.get("visibility", {})),
            "Other people": None if other_people is None else str(other_people or nobody),
        }
    )
    done = {name: quality[name] for name in _CHECKS if name in quality}
    advised = any(check["advice"] for check in done.values())
    rows: list[Row] = []
    for name, check in done.items():
        not_known = Cell(tables.sentence("report.checks.not_known"), "missing")
        level = Cell(check["verdict"], check["verdict"]) if check["verdict"] else not_known
        advice = [check["advice"]] if advised else []
        result = _result_in_words(name, check)
        if is_given and name in _OF_SEARCH and check["verdict"] is None:
            result = tables.sentence("report.checks.not_checked")
        rows.append([_CHECKS[name][0], result, level, *advice])
    checks = table(
        ["Check", "Found", "Verdict", *(["What to do"] if advised else [])],
        rows,
        caption=tables.sentence("report.checks.caption"),
    )
    if is_given:
        overview += paragraphs(tables.sentence("report.checks.given"))
    return overview + checks + _unsupported_angles(quality.get("view", {}))


def _shares(document: Mapping[str, float | None]) -> str | None:
    shares = [
        tables.sentence("report.checks.share", part=part, share=share)
        for part, share in document.items()
        if share is not None
    ]
    return ", ".join(shares) or None


_NO_DIRECTION_DEG = 45.0
"""Least margin of error (95 %) at which the direction of a camera counts as unknown."""


def seen_from(view: Mapping[str, Any]) -> str:
    """State where the camera stood, given the part "view" of the capture quality."""
    azimuth, sd = view["azimuth_deg"], view["azimuth_sd_deg"]
    if azimuth is None or half_width(sd or 0.0) > _NO_DIRECTION_DEG:
        return tables.sentence("capture.views.unknown")
    return tables.sentence(
        "report.checks.view",
        view=view_in_words(view["name"]),
        azimuth=abs(azimuth),
        interval="" if sd is None else f" {plus_minus(half_width(sd), 'degree')}",
        side="right" if azimuth > 0 else "left",
    )


def _framing_in_words(framing: Mapping[str, Any]) -> str:
    lines = []
    if outside := _shares({part: share for part, share in framing["outside"].items() if share}):
        lines.append(tables.sentence("report.checks.outside", parts=outside))
    at_edge = framing.get("at_edge", {})
    if near := _shares({part: share for part, share in at_edge.items() if share}):
        lines.append(tables.sentence("report.checks.at_edge", parts=near))
    if lines:
        return "; ".join(lines)
    if None in framing["outside"].values():
        return tables.sentence("report.checks.all_found")
    of_joints = framing.get("of_joints")
    return tables.sentence("report.checks.all_needed" if of_joints else "report.checks.whole")


def _distance_in_words(distance: Mapping[str, Any]) -> str:
    half = half_width(distance["distance_sd_m"] or 0.0)
    return tables.sentence(
        "report.checks.away",
        metres=distance["distance_m"],
        error=f" {plus_minus(half, 'm', digits=1)}" if half >= 0.05 else "",
        known_from=distance["known_from"],
    )


def _light_in_words(light: Mapping[str, Any]) -> str:
    clipped = light["clipped_share"] or 0
    return tables.sentence("report.checks.light", brightness=light["brightness"], clipped=clipped)


def _camera_in_words(camera: Mapping[str, Any]) -> str:
    return tables.sentence("report.checks.moving" if camera["moving"] else "report.checks.at_rest")


def _swaps_in_words(swaps: Mapping[str, Any]) -> str:
    if swaps["mended_frames"] is None:
        return tables.sentence("report.checks.not_looked_for")
    exchanged = [
        tables.sentence("report.checks.exchanged_part", part=part, count=count)
        for part, count in swaps["mended_frames"].items()
        if count
    ]
    if not exchanged:
        return tables.sentence("report.checks.not_exchanged")
    return tables.sentence("report.checks.exchanged", parts=", ".join(exchanged))


def _frames_in_words(frames: Mapping[str, Any]) -> str:
    return tables.sentence(
        f"report.checks.{'frames_given' if 'given' in frames else 'frames'}", **frames
    )


_OF_SEARCH = ("camera", "landmarks")
"""Checks that depend on the search for people, which is not made if keypoints were imported."""

_CHECKS: Mapping[str, tuple[str, str, Callable[[Mapping[str, Any]], str] | str]] = {
    "view": ("View", "", seen_from),
    "framing": ("In the picture", "", _framing_in_words),
    "frames": ("Frames with the person", "", _frames_in_words),
    "rate": ("Frame rate", "frame_rate", "rate"),
    "camera": ("Camera", "moving", _camera_in_words),
    "distance": ("Distance of the camera", "distance_m", _distance_in_words),
    "size": ("Size of the person", "body_height_px", "size"),
    "landmarks": ("Skeleton on the limbs", "offset_share", "landmarks"),
    "light": ("Light", "brightness", _light_in_words),
    "sharpness": ("Sharpness", "edge_width", "sharpness"),
    "swaps": ("Left and right swapped", "", _swaps_in_words),
}
"""Checks of the capture quality in their order: the heading, the key whose value is None if
unknown, and the result in words or the name of its sentence.
"""


def _result_in_words(name: str, check: Mapping[str, Any]) -> str:
    _, key, in_words = _CHECKS[name]
    if key and check[key] is None:
        return tables.sentence("report.checks.unknown")
    if isinstance(in_words, str):
        return tables.sentence(f"report.checks.{in_words}", **check)
    return in_words(check)


def _unsupported_angles(view: Mapping[str, Any]) -> Markup:
    """State which angles the view does not support, and why."""
    if not view.get("supports"):
        return html()
    declared = tables.load("angles")
    texts = []
    for name in view["does_not_support"]:
        entry = declared.get(name, {})
        why = " ".join(str(entry["seen"]["source"]).split()) if entry else ""
        text = tables.sentence("report.checks.not_supported", angle=called(name), why=why)
        texts.append(text.strip())
    return paragraphs(*texts)
