"""The parts of a report as HTML: tables and lines of text, without any science.

Every function takes plain values or Datasets and returns HTML as Markup, which may be added up and
stand in elements of htpy; all other text is escaped there.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import htpy as h
import numpy as np
import xarray as xr
from markupsafe import Markup, escape

from mobility import tables
from mobility.assessment.estimates import reason_of_side
from mobility.assessment.kinds import entry_of, kind_of
from mobility.assessment.verdict import warning_lines
from mobility.formatting import MISSING, dated, plus_minus, quantity, rounded, timed
from mobility.kinematics.expected_error import (
    another_model,
    errors_with_value,
    half_width,
    of_fit,
    source_of_standing,
    unlike_measured,
)
from mobility.kinematics.geometry import called
from mobility.provenance import cameras_of, history
from mobility.registry import exercise_of, main_moment
from mobility.reports.figures import png
from mobility.reports.steps import steps_in_a_line
from mobility.view import azimuths, view_of
from mobility.wording import capital, listed, spoken

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mobility.provenance import AnalysisWarning
    from mobility.registry import Exercise
    from mobility.reports.references import References
    from mobility.sessions.record import Edits, Participant, SessionRecord


GROUPS = {
    "hip_flexion": "Hip flexion",
    "hip_abduction": "Hip abduction",
    "knee_flexion": "Knee flexion",
    "knee_movement": "Knee movement",
    "ankle_dorsiflexion": "Ankle dorsiflexion",
}
"""The groups of the report in their order, with their headings."""

RATIO = "Knee-ankle separation ratio"

ANGLES = ("hip_flexion", "hip_abduction", "knee_flexion", "ankle_dorsiflexion")
"""The angles among the groups."""


@dataclass(frozen=True)
class Cell:
    """A cell with a class of the style sheet, or over several columns."""

    content: h.Node
    kind: str | None = None
    columns: int = 1


Row: TypeAlias = Sequence[h.Node | Cell]


def html(*nodes: h.Node) -> Markup:
    """Write elements and texts one after the other."""
    return h.fragment[nodes].__html__()


def measured(value: float, units: str, *, half: float, signed: bool = False) -> Markup:
    """Write a value as :func:`mobility.formatting.quantity` does, its interval as a span."""
    text = escape(quantity(value, units, signed=signed))
    if text == MISSING or units == "count" or not math.isfinite(half):
        return text
    return html(text, " ", h.span(".interval")[plus_minus(half, units)])


def sentence(key: str, /, **values: object) -> Markup:
    """Fill in a sentence of the tables, the one place where values may be HTML."""
    safe = {name: escape(v) if isinstance(v, str) else v for name, v in values.items()}
    return Markup(tables.sentence(key, **safe))  # noqa: S704, values are escaped


def table(
    head: Sequence[str | tuple[str, Markup]],
    rows: Sequence[Row],
    *,
    caption: str,
    numeric: bool = False,
) -> Markup:
    """Make an accessible table whose first column names the row; empty without rows.

    Parameters
    ----------
    head
        Headings of the columns, some with a citation.
    rows
        Cells of each row.
    caption
        What the table shows; empty where that stands above it.
    numeric
        Whether all columns after the first are numbers, set to the right.
    """
    if not rows:
        return html()
    # On a narrow page each cell is a line, with its head beside it.
    names = [cell if isinstance(cell, str) else cell[0] for cell in head]

    def row_cells(row: Row) -> Iterator[h.Node]:
        first, *cells = (cell if isinstance(cell, Cell) else Cell(cell) for cell in row)
        yield h.th(scope="row")[first.content]
        left = names[1:]
        for cell in cells:
            heads, left = left[: cell.columns], left[cell.columns :]
            # Empty cells, and those over several columns, have no head.
            yield h.td(
                class_=cell.kind,
                colspan=cell.columns if cell.columns > 1 else None,
                data_head=heads[0] if cell.content and len(heads) == 1 else None,
            )[cell.content]

    return html(
        h.div(".table")[
            h.table(class_="numeric" if numeric else None)[
                h.caption[caption] if caption else None,
                h.thead[h.tr[(h.th(scope="col")[cell] for cell in head)]],
                h.tbody[(h.tr[row_cells(row)] for row in rows)],
            ]
        ]
    )


def opening(summary: str, content: Markup) -> Markup:
    """Put a long list into a part that opens; empty without a list."""
    return html(h.details[h.summary[summary], content]) if content else content


def facts(entries: Mapping[str, str | None]) -> Markup:
    """List named facts; those that are None are left out."""
    rows = ((h.dt[name], h.dd[value]) for name, value in entries.items() if value is not None)
    return html(h.dl(".facts")[(h.div[row] for row in rows)])


def paragraphs(*texts: h.Node, kind: str | None = None) -> Markup:
    """Set texts as paragraphs, of a class of the style sheet where they have one."""
    return html(h.p(class_=kind)[text] for text in texts)


def bullets(texts: Iterable[h.Node]) -> Markup:
    """Set texts as a list; empty without any."""
    items = [h.li[text] for text in texts]
    return html(h.ul[items] if items else None)


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
        _view_in_words(view["name"]) if view.get("azimuth_deg") is not None else "",
        f"{count} {noun}{'' if count == 1 else 's'}",
        tables.sentence("report.corrected") if edits.edits else "",
    ]
    steps = [line for line in [steps_in_a_line(repetitions)] if line]
    return paragraphs(" · ".join(filter(None, parts)), films(record), *steps, kind="who")


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


def distrust(
    warnings: Sequence[AnalysisWarning], pose: xr.Dataset, *, standing: str = ""
) -> Markup:
    """List what limits the trust in this report.

    Parameters
    ----------
    warnings
        Warnings of the session record.
    pose
        The fitted pose.
    standing
        A sentence that always holds; by default it follows from the pose.
    """
    if not standing:
        depth = tables.sentence("report.depth.fitted" if _fitted(pose) else "report.depth.inferred")
        standing = f"{_cameras_in_words(pose)} {depth}"
    lines = bullets(warning_lines(warnings)) or paragraphs(tables.sentence("report.no_warnings"))
    section = paragraphs(standing), lines
    return html(h.aside(".distrust", aria_label="How sure this is")[section])


def _cameras_in_words(pose: xr.Dataset) -> str:
    """Say how many cameras there were, and what a calibration gives of them."""
    calibrated = of_fit(pose).get("calibrated")
    number = "two" if cameras_of(pose) else "one"
    if calibrated is None:
        return tables.sentence(f"report.cameras.{number}")
    kind = "vertical" if calibrated["vertical"] else "lens"
    return tables.sentence(f"report.calibrated.{number}.{kind}", file=calibrated["file"])


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
            offset = quantity(camera["time_offset_s"], "s", half=half, digits=3, signed=True)
        view = _view_in_words(view_of(azimuth).name)
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
        ["Camera", "View", "Started later by", "Focal length", "Distance of landmarks from body"],
        rows,
        caption=tables.sentence("report.camera_table.caption"),
    )


def calibration(pose: xr.Dataset) -> Markup:
    """Say what standing was assumed or given, and how the trial differs from those measured.

    Parameters
    ----------
    pose
        The fitted pose; empty for one without a fit.
    """
    fit = of_fit(pose)
    sentences = []
    if (seconds := fit.get("standing_seconds")) is not None:
        how = fit["arguments"]["standing"]
        if source_of_standing(pose) == "assumed":
            knee = tables.load("fit")["terms"]["standing"]["knee_deg"]
            assumed = {"knees": knee["mean"], "half": half_width(knee["sd"])}
            sentences.append(
                tables.sentence("report.calibration.straight", seconds=seconds, **assumed)
            )
        elif seconds > 0:
            sentences.append(tables.sentence("report.calibration.bent", seconds=seconds, knees=how))
        elif how == "free":
            sentences.append(tables.sentence("report.calibration.free"))
        elif fit.get("planted"):
            sentences.append(tables.sentence("report.calibration.nobody"))
        else:
            sentences.append(tables.sentence("report.calibration.feet"))
    # The warnings of the angles, which the report lists, include another pose model.
    lines = [line for line in unlike_measured(pose) if line != another_model(pose)]
    if lines:
        sentences.append(tables.sentence("report.calibration.unlike"))
    return paragraphs(*sentences) + bullets(lines)


def growing_errors(pose: xr.Dataset) -> Markup:
    """Say of which values at the bottom the error grows; `pose` is as for :func:`calibration`."""
    if not of_fit(pose):
        return paragraphs()
    return paragraphs(
        *(
            tables.sentence(f"report.calibration.{said}", angle=called(name), at=entry["at"])
            for number, said in (("absolute", "with_value"), ("from_standing", "with_change"))
            for name, entry in errors_with_value(pose, number).items()
        )
    )


def capture_quality(quality: Mapping[str, Any]) -> Markup:
    """Say how well the video can be measured.

    Parameters
    ----------
    quality
        The document of :func:`mobility.capture.quality.capture_quality`; with
        ``second_camera`` in it, the same of the second camera follows.
    """
    if second := quality.get("second_camera"):
        first = {name: value for name, value in quality.items() if name != "second_camera"}
        cameras = {"First camera": first, "Second camera": second}
        for head, seen in cameras.items():
            # The other camera may see angles that a view does not support.
            view = {k: v for k, v in seen.get("view", {}).items() if k != "supports"}
            cameras[head] = {**seen, "view": view}
        return html((h.h3[head], capture_quality(seen)) for head, seen in cameras.items())
    others = quality.get("other_people")
    nobody = tables.sentence("report.checks.no_others")
    overview = facts(
        {
            "Visibility": _shares(quality.get("visibility", {})),
            "Other people": None if others is None else str(others or nobody),
        }
    )
    # Older documents have parts of these names without a verdict.
    done = {name: quality[name] for name in _CHECKS if "verdict" in quality.get(name, {})}
    advised = any(check["advice"] for check in done.values())
    rows: list[Row] = []
    for name, check in done.items():
        not_known = Cell(tables.sentence("report.checks.not_known"), "missing")
        level = Cell(check["verdict"], check["verdict"]) if check["verdict"] else not_known
        advice = [check["advice"]] if advised else []
        rows.append([_CHECKS[name][0], _result_in_words(name, check), level, *advice])
    checks = table(
        ["Check", "Found", "Verdict", *(["What to do"] if advised else [])],
        rows,
        caption=tables.sentence("report.checks.caption"),
    )
    return overview + checks + _unsupported_angles(quality.get("view", {}))


def _shares(document: Mapping[str, float | None]) -> str | None:
    shares = [
        tables.sentence("report.checks.share", part=part, share=share)
        for part, share in document.items()
        if share is not None
    ]
    return ", ".join(shares) or None


_NO_DIRECTION_DEG = 45.0
"""Half of a 95 % interval from which on the direction of a camera is unknown."""


def seen_from(view: Mapping[str, Any]) -> str:
    """Say where the camera stood, from the part "view" of the capture quality."""
    azimuth, sd = view["azimuth_deg"], view["azimuth_sd_deg"]
    if azimuth is None or half_width(sd or 0.0) > _NO_DIRECTION_DEG:
        return tables.sentence("report.views.unknown")
    return tables.sentence(
        "report.checks.view",
        view=_view_in_words(view["name"]),
        azimuth=abs(azimuth),
        interval="" if sd is None else f" {plus_minus(half_width(sd), 'degree')}",
        side="right" if azimuth > 0 else "left",
    )


def _view_in_words(name: str) -> str:
    return tables.sentence(f"report.views.{name.replace('-', '_').replace(' ', '_')}")


def _framing_in_words(framing: Mapping[str, Any]) -> str:
    outside = _shares({part: share for part, share in framing["outside"].items() if share})
    if outside:
        return tables.sentence("report.checks.outside", parts=outside)
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


_CHECKS: Mapping[str, tuple[str, str, Callable[[Mapping[str, Any]], str] | str]] = {
    "view": ("View", "", seen_from),
    "framing": ("In the picture", "", _framing_in_words),
    "frames": ("Frames with the person", "", "frames"),
    "rate": ("Frame rate", "frame_rate", "rate"),
    "camera": ("Camera", "moving", _camera_in_words),
    "distance": ("Distance of the camera", "distance_m", _distance_in_words),
    "size": ("Size of the person", "body_height_px", "size"),
    "landmarks": ("Skeleton on the limbs", "offset_share", "landmarks"),
    "light": ("Light", "brightness", _light_in_words),
    "sharpness": ("Sharpness", "edge_width", "sharpness"),
    "swaps": ("Left and right exchanged", "", _swaps_in_words),
}
"""Checks of the capture quality in their order: heading, key that is None if unknown, and the
result in words, or the name of its sentence."""


def _result_in_words(name: str, check: Mapping[str, Any]) -> str:
    _, key, in_words = _CHECKS[name]
    if key and check[key] is None:
        return tables.sentence("report.checks.unknown")
    if isinstance(in_words, str):
        return tables.sentence(f"report.checks.{in_words}", **check)
    return in_words(check)


def _unsupported_angles(view: Mapping[str, Any]) -> Markup:
    """Say which angles the view does not support, and why."""
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


def reason_missing(
    metrics: xr.Dataset, name: str, repetitions: xr.Dataset, side: str | None = None
) -> str:
    """Say why a metric has no value: nothing to measure, its own stated reason, or not seen.

    Parameters
    ----------
    metrics
        The metrics; a variable may state its reason in the attribute ``note``.
    name
        Variable of `metrics`.
    repetitions
        The repetitions, which say whether there was anything to measure.
    side
        The side of a metric over sides that has no value.
    """
    if name not in metrics:
        return tables.sentence("report.missing.not_part")
    if repetitions.sizes.get("rep", 0) == 0:
        return tables.sentence("report.missing.no_repetition")
    if not bool(repetitions["accepted"].any()):
        return tables.sentence("report.missing.none_accepted")
    if hidden := reason_of_side(metrics, side):
        return hidden
    if note := metrics[name].attrs.get("note"):
        return str(note)
    if kind_of(metrics, name) == "asymmetry":
        return tables.sentence("report.missing.both_sides")
    return tables.sentence("report.missing.not_seen")


def cell(
    metrics: xr.Dataset,
    name: str,
    repetitions: xr.Dataset,
    *,
    side: str | None = None,
    signed: bool = False,
) -> Markup:
    """Write one metric with its 95 % interval, or why it could not be measured."""
    value, sd = value_of(metrics, name, side), value_of(metrics, f"{name}_sd", side)
    if not math.isfinite(value):
        return _missing(reason_missing(metrics, name, repetitions, side))
    return measured(value, units_of(metrics, name), half=half_width(sd), signed=signed)


def _missing(why: str) -> Markup:
    return html(h.span(".missing")[tables.sentence("report.not_measured", why=why)])


def cells_of_sides(metrics: xr.Dataset, name: str, repetitions: xr.Dataset) -> Row:
    """Write left, right and their difference; one cell with the reason if neither was measured."""
    if why := nothing_measured(metrics, name, repetitions):
        return [Cell(_missing(why), "both", columns=3)]
    sides, difference = ("left", "right"), f"{name}_asymmetry"
    # The cell of a missing side has its reason.
    both_measured = all(math.isfinite(value_of(metrics, name, side)) for side in sides)
    compared = both_measured and difference in metrics
    return [
        *(cell(metrics, name, repetitions, side=side) for side in sides),
        cell(metrics, difference, repetitions, signed=True) if compared else MISSING,
    ]


def verdict(metrics: xr.Dataset, name: str) -> str:
    """Say whether a signed asymmetry (right minus left) exceeds its error.

    It does where the 95 % interval, ± 1.96 times its ``_sd``, excludes 0.

    Returns
    -------
    str
        Text: ``"within error"``, ``"right larger"``, ``"left larger"``, or empty
        where there is no value; ``"error unknown"``; ``"between different phases"`` where the sides
        have their extremes at different times, so that the phases may make the difference.
    """
    value, sd = value_of(metrics, name), value_of(metrics, f"{name}_sd")
    if not math.isfinite(value):
        return ""
    if not math.isfinite(sd):
        return tables.sentence("report.difference.unknown")
    if abs(value) <= half_width(sd):
        return tables.sentence("report.difference.within")
    measured = metrics.get(metrics[name].attrs.get("quantity"))
    if measured is not None and ": " in measured.attrs.get("phase", ""):
        return tables.sentence("report.difference.phases")
    return tables.sentence("report.difference.right" if value > 0 else "report.difference.left")


def at_a_glance(metrics: xr.Dataset, repetitions: xr.Dataset) -> Markup:
    """Make the table of the five groups: left, right and their difference with 95 % intervals."""
    moving = exercise_of(metrics).words["moving"]
    rows: list[Row] = []
    for group, heading in GROUPS.items():
        name = "knee_deviation" if group == "knee_movement" else group
        if name not in metrics:  # the exercise does not measure it
            continue
        if group == "knee_movement":
            ratio = cell(metrics, "knee_ankle_separation_ratio", repetitions)
            rows.append([f"{RATIO}, smallest {moving}", Cell(ratio, "both", columns=2), "", ""])
            heading = f"Knee deviation, farthest inwards {moving}, of the ankle width"
        compared = verdict(metrics, f"{name}_asymmetry")
        rows.append([heading, *cells_of_sides(metrics, name, repetitions), compared])
    return table(
        ["Measure", "Left", "Right", "Right − left", "Difference is"],
        rows,
        caption=tables.sentence("report.at_a_glance", moment=moment_of(metrics)),
        numeric=True,
    )


def nothing_measured(metrics: xr.Dataset, name: str, repetitions: xr.Dataset) -> str:
    """Give the reason why neither side of a metric has a value; empty where one has."""
    if any(math.isfinite(value_of(metrics, name, side)) for side in ("left", "right")):
        return ""
    return reason_missing(metrics, name, repetitions)


def phase_table(metrics: xr.Dataset, repetitions: xr.Dataset) -> Markup:
    """Make the table of knee movement by phase over accepted repetitions; empty without values.

    Medians, ± half of the 95 % interval: the median error of a repetition.
    """
    metrics = metrics.isel(rep=np.flatnonzero(repetitions["accepted"].values))
    ratio, deviation = "knee_ankle_separation_ratio_phase", "knee_deviation_phase"
    if not any(name in metrics and metrics[name].notnull().any() for name in (ratio, deviation)):
        return html()

    def median(here: xr.Dataset, name: str, side: str | None = None) -> str:
        value, sd = (
            factor_of(metrics, name)
            * _median(here[each] if side is None else here[each].sel(side=side))
            for each in (name, f"{name}_sd")
        )
        return measured(value, units_of(metrics, name), half=half_width(sd))

    rows: list[Row] = []
    exercise = exercise_of(metrics)
    for phase in [name for name in exercise.moments if name in metrics["phase"]]:
        words = exercise.words[phase]
        here = metrics.sel(phase=phase)
        rows.append(
            [
                words.capitalize(),
                median(here, ratio),
                *(median(here, deviation, side) for side in ("left", "right")),
            ]
        )
    return table(
        ["Phase", RATIO, "Left deviation", "Right deviation"],
        rows,
        caption=tables.sentence("report.phases"),
        numeric=True,
    )


def repetition_table(metrics: xr.Dataset, repetitions: xr.Dataset) -> Markup:
    """Make the table of repetitions: times, depth, durations and angles."""
    if repetitions.sizes.get("rep", 0) == 0:
        return paragraphs(tables.sentence("report.no_repetition"), kind="missing")
    short = {"hip_flexion": "Hip", "hip_abduction": "Hip abd.", "knee_flexion": "Knee"}
    exercise = exercise_of(metrics)
    durations = exercise.table["report"].get("durations") or _durations(exercise)
    deep = "depth" in metrics
    angles = [name for name in ANGLES if name in metrics]
    moment = main_moment(exercise.moments)

    def of_all(names: Iterable[tuple[str, str | None]], units: str, number: int) -> str:
        values = (value_of(metrics, name, side, rep=number) for name, side in names)
        return "/".join(quantity(value, units).rstrip(" °%s") for value in values)

    rows: list[Row] = []
    for number in repetitions["rep"].values:
        here = repetitions.sel(rep=number)
        whole = bool(here["complete"])
        used = tables.sentence(
            "report.repetitions.whole" if whole else "report.repetitions.cut_off"
        )
        if not bool(here["accepted"]):
            used = str(here["reason"].item())
        rows.append(
            [
                f"{int(number)}",
                "–".join(rounded(float(here[end]), 1) for end in ("start", "end")),
                *([quantity(float(here["depth"]), "percent").removesuffix(" %")] if deep else []),
                of_all([(name, None) for name in durations["names"]], "s", number),
                *(
                    of_all(
                        [(f"{name}_{moment}", side) for side in ("left", "right")], "degree", number
                    )
                    for name in angles
                ),
                Cell(used, "text"),
            ]
        )
    return table(
        [
            "No.",
            "From–to, s",
            *(["Depth, %"] if deep else []),
            durations["head"],
            *(f"{short.get(name, 'Ankle')}, °" for name in angles),
            "Use",
        ],
        rows,
        caption=tables.sentence("report.repetitions.every", moment=moment_of(metrics)),
        numeric=True,
    )


def _durations(exercise: Exercise) -> dict[str, Any]:
    """Head and metrics of the durations of which every repetition consists."""
    words = exercise.words
    turn = "low" if words["turn"] == "bottom" else words["turn"]
    return {
        "head": f"{capital(words['there'])} / {turn} / {words['back']}, s",
        "names": ["descent_duration", "bottom_duration", "ascent_duration"],
    }


def moment_of(metrics: xr.Dataset) -> str:
    """Name the moment of a repetition at which angles are measured."""
    return exercise_of(metrics).words["at"]


def uncertainty_in_short(pose: xr.Dataset) -> Markup:
    """Say in a few lines where the errors come from, and what they leave out."""
    errors = tables.sentence("report.errors.table")
    if "position_draws" in pose:
        errors = tables.sentence("report.errors.drawn", count=pose.sizes["draw"])
    return paragraphs(f"{errors} {tables.sentence('report.errors.what_they_mean')}") + gravity(pose)


def definitions_in_short(
    angles: xr.Dataset, references: References, names: Sequence[str] = ANGLES
) -> Markup:
    """List for each angle where it is zero and where positive."""
    rows: list[Row] = []
    for name in names:
        attrs = {key: str(value) for key, value in angles[name].attrs.items()}
        head = capital(attrs.get("long_name", name))
        cited = references.cite(attrs.get("reference", ""))
        rows.append([(head, cited), attrs.get("zero", MISSING), attrs.get("positive", MISSING)])
    return table(["Angle", "Zero", "Positive"], rows, caption=tables.sentence("report.definitions"))


def gravity(pose: xr.Dataset) -> Markup:
    """Say what is known about the tilt of the camera."""
    kind = "fitted" if _fitted(pose) else "level"
    if (of_fit(pose).get("calibrated") or {}).get("vertical"):
        kind = "calibrated"
    return paragraphs(tables.sentence(f"report.gravity.{kind}"))


def provenance(
    record: SessionRecord, pose: xr.Dataset, metrics: xr.Dataset, *, made_on: datetime.date
) -> Markup:
    """List the video, model, software and options behind the numbers, and the date."""
    origin = record.provenance
    second, calibrated = record.second_video, record.calibration
    attrs = pose.attrs
    model = (origin and origin.model_sha256) or attrs.get("model_sha256")
    versions = origin.versions if origin else _versions(metrics)
    options = {} if origin is None else origin.options
    return facts(
        {
            "Session": record.session_id,
            "Video": record.video.original_name,
            "SHA-256 of the video": record.video.sha256,
            "Second video": None if second is None else second.original_name,
            "SHA-256 of the second video": None if second is None else second.sha256,
            "Calibration of the cameras": calibrated.original_name if calibrated else None,
            "SHA-256 of the calibration": calibrated.sha256 if calibrated else None,
            "SHA-256 of the model": model,
            "Software": ", ".join(f"{name} {version}" for name, version in versions.items()),
            "Options": ", ".join(f"{name}={_shortened(value)}" for name, value in options.items())
            or None,
            "Report made on": dated(made_on),
            "Layout of the data": tables.sentence(
                "report.layout", version=attrs.get("schema_version", record.schema_version)
            ),
        }
    )


def show(
    figure: Figure, *, alt: str, caption: str = "", width: int = 860, file: Path | None = None
) -> None:
    """Display a figure in a notebook with a description.

    Parameters
    ----------
    figure
        A matplotlib figure.
    alt
        What the figure shows, as text.
    caption
        Text below it.
    width
        Width on the page in pixels; more are drawn, for print.
    file
        PNG file to keep the picture in; its folder is made if absent.
    """
    from IPython.display import display

    picture = png(figure)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(picture)
    height = round(width * figure.get_figheight() / figure.get_figwidth())
    display(  # type: ignore[no-untyped-call]
        {"image/png": picture, "text/plain": f"{alt}\n{caption}".strip()},
        raw=True,
        metadata={"image/png": {"width": width, "height": height, "alt": alt, "caption": caption}},
    )


def value_of(
    metrics: xr.Dataset, name: str, side: str | None = None, rep: int | None = None
) -> float:
    """Look up a number as it is shown; NaN where the analysis does not have it."""
    if name not in metrics:
        return math.nan
    array = metrics[name]
    if side is not None and "side" in array.dims:
        array = array.sel(side=side)
    if rep is not None and "rep" in array.dims:
        if rep not in array["rep"].values:
            return math.nan
        array = array.sel(rep=rep)
    return factor_of(metrics, name) * float(array) if array.ndim == 0 else math.nan


def _fitted(pose: xr.Dataset) -> bool:
    return bool(pose.attrs.get("method") == "fitted_body")


def _median(array: xr.DataArray) -> float:
    values = np.asarray(array.values, float)
    values = values[np.isfinite(values)]
    return float(np.median(values)) if values.size else math.nan


def units_of(metrics: xr.Dataset, name: str) -> str:
    """Look up the unit of :func:`value_of`."""
    if factor_of(metrics, name) != 1:
        return "percent"
    return str(metrics[name].attrs.get("units", "1")) if name in metrics else "1"


def factor_of(metrics: xr.Dataset, name: str) -> float:
    """Give 100 for shares of the ankle width, which are shown in percent."""
    quantity = str(metrics[name].attrs.get("quantity", "")) if name in metrics else ""
    return 100.0 if entry_of(quantity).get("percent") else 1.0


def _versions(dataset: xr.Dataset) -> dict[str, str]:
    return {name: v for entry in history(dataset) for name, v in entry["versions"].items()}


def _shortened(value: Any) -> str:
    text = tables.sentence("report.not_set") if value is None else str(value)
    return text if len(text) <= 60 else text[:57] + "…"
