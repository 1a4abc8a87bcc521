"""The recording: who was filmed, when, by which cameras, and what was found in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from markupsafe import Markup

from mobility import tables
from mobility.base.formatting import dated, quantity, rounded, timed
from mobility.base.provenance import cameras_of
from mobility.base.wording import capital, listed, spoken
from mobility.keypoints.sources import MEDIAPIPE, Origin
from mobility.keypoints.view import azimuths, view_in_words, view_of
from mobility.kinematics.expected_error import half_width
from mobility.reports.html import Row, facts, paragraphs, table
from mobility.reports.steps import steps_in_a_line

if TYPE_CHECKING:
    from mobility.sessions.record import Edits, Participant, SessionRecord


def person(participant: Participant | None, record: SessionRecord) -> str:
    """Say who was filmed: name, sex, age, height and mass, as far as they are known.

    An age from a birth year is given as one of two years.
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
    """List participant, day, video, exercise and the number of repetitions."""
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
    """Say in two lines who was filmed, when, from where, how often, and in which film.

    A third says when the feet came to another place.
    """
    view = quality.get("view") or {}
    noun = record.kind.noun
    count = int(np.asarray(repetitions["accepted"].values, bool).sum())
    parts = [
        record.session_name,
        record.user_id if participant is None else person(participant, record),
        tables.sentence("report.added", when=timed(record.created_at)),
        view_in_words(view["name"]) if view.get("azimuth_deg") is not None else "",
        f"{count} {noun}{'' if count == 1 else 's'}",
        tables.sentence("report.corrected") if edits.edits else "",
        model_in_words(record.origin),
    ]
    steps = [line for line in [steps_in_a_line(repetitions)] if line]
    return paragraphs(" · ".join(filter(None, parts)), films(record), *steps, kind="who")


def model_in_words(origin: Origin) -> str:
    """Name a model of keypoints, unless it is that of the package itself."""
    if origin.pose_source in ("", MEDIAPIPE):
        return ""
    return tables.sentence("report.keypoints", software=origin.source_software)


def films(record: SessionRecord) -> str:
    """Name the films that were measured, as they were called, and one that was left out."""
    measured = [video.original_name for video in record.videos]
    if len(measured) > 1:
        return tables.sentence("report.films.two", films=listed(measured))
    if record.second_video is None:
        return tables.sentence("report.films.one", film=measured[0])
    both = record.video.original_name, record.second_video.original_name
    other = both[0 if record.measured_video == 2 else 1]
    return tables.sentence("report.films.one_of_two", film=measured[0], other=other)


def corrections(edits: Edits, *, repetitions: str = "repetitions") -> str | None:
    """Say what was corrected by hand, by whom and when; None where nothing was.

    `repetitions` is their name: movements, where single joints move.
    """
    last = {edit.kind: edit for edit in edits.edits}
    names = {"repetitions": repetitions}
    texts = [
        tables.sentence(
            "report.corrected_by",
            what=spoken(names.get(edit.kind, edit.kind)),
            who=edit.who,
            when=timed(edit.when),
        )
        for edit in last.values()
        if edit.after is not None
    ]
    return "; ".join(texts) or None


def count_repetitions(repetitions: xr.Dataset) -> str:
    """Say how many repetitions were found, and why some were left out."""
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
    seen = zip(cameras_of(pose), azimuths(pose), strict=False)
    for number, (camera, azimuth) in enumerate(seen, start=1):
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
