"""The parts of a report as HTML: tables and lines of text, no science of their own.

Every function takes plain values or Datasets and returns a string of HTML, so
that a notebook shows it with ``HTML(...)`` and a test reads it. Whatever came
from a person (names, file names, reasons) is escaped.
"""

from __future__ import annotations

import base64
import datetime
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from mobility.wording import capital, spoken
from mobility import tables
from mobility.assessment.kinds import entry_of, kind_of
from mobility.assessment.reasons import bare
from mobility.kinematics.angle_errors import DEFAULT_METHOD
from mobility.kinematics.expected_error import another_model, of_fit, of_landmarks, unlike_measured
from mobility.provenance import cameras_of, history, warnings_of
from mobility.view import azimuths, view_of
from mobility.reports.figures import png

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mobility.reports.references import References
    from mobility.sessions.record import Edits, Participant, SessionRecord, Warned

Z95 = 1.96
"""Half-width of a 95 % interval in standard deviations, errors being normal."""

GROUPS = {
    "hip_flexion": "Hip flexion",
    "hip_abduction": "Hip abduction",
    "knee_flexion": "Knee flexion",
    "knee_movement": "Knee movement",
    "ankle_dorsiflexion": "Ankle dorsiflexion",
}
"""The groups of the report in their order, with their headings."""

ANGLES = ("hip_flexion", "hip_abduction", "knee_flexion", "ankle_dorsiflexion")
"""The angles among the groups."""

PHASES = {
    "standing": "standing",
    "mid_descent": "middle of the descent",
    "bottom": "bottom",
    "mid_ascent": "middle of the ascent",
}

_KEY = (
    "<p class='note'><span class='left-text'>━━ left</span> "
    "<span class='right-text'>╌╌ right</span></p>"
)
_TAG = re.compile(r"<span class='cite'>.*?</span>|<[^>]*>")
_DIGITS = {"degree": 0, "percent": 0, "%": 0, "s": 1, "second": 1, "1": 2, "m": 2}
_SUFFIX = {"degree": "°", "percent": " %", "%": " %", "s": " s", "second": " s", "m": " m"}


def quantity(value: float, units: str, *, sd: float = math.nan, signed: bool = False) -> str:
    """Write a value with the digits that its unit deserves, and its 95 % interval.

    Degrees and percent are whole, seconds have one decimal, ratios two.

    Parameters
    ----------
    value
        The value; NaN gives an en dash.
    units
        Its unit, as in the attribute ``units`` of a Dataset variable.
    sd
        Standard deviation of its error, in the same unit; NaN where unknown.
    signed
        Whether a positive value carries a plus sign.
    """
    if not math.isfinite(value):
        return "–"
    digits = _DIGITS.get(units, 1)
    text = f"{round(value, digits) + 0.0:{'+' if signed else ''}.{digits}f}".replace("-", "−")
    if signed and float(text.replace("−", "-")) == 0:
        text = text.lstrip("+")
    suffix = _SUFFIX.get(units, "")
    if math.isfinite(sd):
        half = f"{Z95 * sd:.{digits}f}"
        return f"{text}{suffix} <span class='interval'>± {half}{suffix}</span>"
    return f"{text}{suffix}"


def table(
    head: Sequence[str], rows: Iterable[Sequence[str]], *, caption: str, numeric: bool = False
) -> str:
    """Make an accessible table whose first column names the row.

    Parameters
    ----------
    head
        Headings of the columns, as HTML.
    rows
        Cells of each row, as HTML; one that begins with ``<td`` is taken as it is.
    caption
        What the table shows, as text.
    numeric
        Whether all columns after the first are numbers, set to the right.
    """
    columns = "".join(f"<th scope='col'>{cell}</th>" for cell in head)
    # On a narrow page each row stands as lines of its own, with the heads beside the values.
    names = [escape(_TAG.sub("", cell), quote=True) for cell in head]

    def cells(row: Sequence[str]) -> str:
        return "".join(
            cell if cell.startswith("<td") else f"<td data-head='{name}'>{cell}</td>"
            for cell, name in zip(row[1:], [*names[1:], *[""] * len(row)], strict=False)
        )

    body = "".join(f"<tr><th scope='row'>{row[0]}</th>{cells(row)}</tr>" for row in rows)
    kind = " class='numeric'" if numeric else ""
    return (
        f"<div class='table'><table{kind}><caption>{escape(caption)}</caption>"
        f"<thead><tr>{columns}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def facts(entries: Mapping[str, str | None]) -> str:
    """List named facts (text, which is escaped); those that are None are left out."""
    rows = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>"
        for name, value in entries.items()
        if value is not None
    )
    return f"<dl class='facts'>{rows}</dl>"


def paragraphs(*texts: str) -> str:
    """Set plain texts as paragraphs."""
    return "".join(f"<p>{escape(text)}</p>" for text in texts)


def person(participant: Participant | None, record: SessionRecord) -> str:
    """Say who was filmed: name, sex, age, height and mass, as far as they are known.

    An age that follows from a birth year is uncertain by one year and said so.
    """
    if participant is None:
        return f"{record.user_id} (nothing else is known)"
    age = None if participant.age is None else f"{participant.age:.0f} years"
    oldest = participant.age_reached(record.created_at.year)
    if oldest is not None:
        age = f"{oldest - 1} or {oldest} years" if oldest else "0 years"
    parts = [
        participant.display_name or participant.user_id,
        participant.sex,
        age,
        None if participant.height_m is None else f"{participant.height_m:.2f} m",
        None if participant.weight_kg is None else f"{participant.weight_kg:.0f} kg",
    ]
    return ", ".join(part for part in parts if part)


def who_and_what(
    record: SessionRecord,
    participant: Participant | None,
    pose: xr.Dataset,
    repetitions: xr.Dataset,
    edits: Edits,
) -> str:
    """Say whose report this is, of which day, video and exercise, and how much was measured."""
    time = pose["time"].values
    attrs = pose.attrs
    size = f"{attrs['image_width']} × {attrs['image_height']}" if "image_width" in attrs else None
    rate = f"{float(attrs['fps']):.4g} frames/s" if "fps" in attrs else None
    length = f"{time[-1] - time[0]:.1f} s" if time.size else None
    video = ", ".join(part for part in (record.video.original_name, size, rate, length) if part)
    second = record.second_video
    noun = "Movements" if record.exercise == "Joint Angle Mobility" else "Repetitions"
    return facts(
        {
            "Participant": person(participant, record),
            "Date": f"{record.created_at:%Y-%m-%d}",
            "Title": record.session_name,
            "Video": video,
            "Video of the second camera": None if second is None else second.original_name,
            "Exercise": record.exercise,
            noun: count_repetitions(repetitions),
            "Corrected by hand": corrections(edits, repetitions=noun.lower()),
        }
    )


def in_a_line(
    record: SessionRecord,
    participant: Participant | None,
    repetitions: xr.Dataset,
    quality: Mapping[str, Any],
    edits: Edits,
) -> str:
    """Say in one line who was filmed, when, from where, and how often the movement was seen."""
    view = quality.get("view") or {}
    squat = record.exercise != "Joint Angle Mobility"
    count = int(np.asarray(repetitions["accepted"].values, bool).sum())
    noun = "repetition" if squat else "movement"
    name = record.user_id if participant is None else person(participant, record)
    parts = [
        name,
        f"filmed {record.created_at:%Y-%m-%d}",
        f"from {str(view['name']).replace('-', ' ')}" if view.get("azimuth_deg") is not None else "",
        f"{count} {noun}{'' if count == 1 else 's'}",
        "corrected by hand" if edits.edits else "",
    ]
    return f"<p class='who'>{escape(' · '.join(filter(None, parts)))}</p>"


def corrections(edits: Edits, *, repetitions: str = "repetitions") -> str | None:
    """Say what of the analysis was corrected by hand, by whom and when; None where nothing was.

    `repetitions` is what those are called: movements, where single joints move.
    """
    kinds = list(dict.fromkeys(edit.kind for edit in edits.edits))
    last = {edit.kind: edit for edit in edits.edits}
    held = [last[kind] for kind in kinds if last[kind].after is not None]
    names = {"repetitions": repetitions}
    told = [
        f"{spoken(names.get(e.kind, e.kind))} by {e.who}, {e.when:%Y-%m-%d %H:%M}" for e in held
    ]
    return "; ".join(told) or None




def count_repetitions(repetitions: xr.Dataset) -> str:
    """Say how many repetitions were found, and why some were left out."""
    accepted = np.asarray(repetitions["accepted"].values, bool)
    if accepted.size == 0:
        return "none found"
    text = f"{accepted.sum()} accepted of {accepted.size} found"
    rejected = [
        f"no. {int(number)}: {reason}"
        for number, ok, reason in zip(
            repetitions["rep"].values, accepted, repetitions["reason"].values, strict=True
        )
        if not ok
    ]
    return f"{text} (left out: {'; '.join(rejected)})" if rejected else text


def distrust(warnings: Sequence[Warned], *datasets: xr.Dataset, standing: str = "") -> str:
    """List what limits the trust in this report: warnings of the session and its Datasets.

    Parameters
    ----------
    warnings
        Warnings of the session record.
    *datasets
        Datasets whose history may hold more; each warning is shown once.
    standing
        What holds whatever was recorded, where it is not what follows from the datasets.
    """
    messages = [warning.message for warning in warnings]
    messages += [warning["message"] for warning in warnings_of(*datasets)]
    messages = list(dict.fromkeys(messages))
    standing = standing or f"{_cameras_in_words(*datasets)} " + (
        "A body with constant segments was fitted to the landmarks, and depth follows from it; "
        "the interval beside each number estimates its error."
        if _fitted(*datasets)
        else "Depth is inferred by a neural network, frame by frame: errors of 20 degrees and "
        "more are usual, and movement out of the image plane is the least certain."
    )
    items = "".join(f"<li>{escape(message)}</li>" for message in messages)
    found = f"<ul>{items}</ul>" if items else "<p>The analysis recorded no further warnings.</p>"
    return (
        "<aside class='distrust' aria-label='How sure this is'>"
        f"<p>{escape(standing)}</p>{found}</aside>"
    )


def _cameras_in_words(*datasets: xr.Dataset) -> str:
    """Say how many cameras there were, and what of them is known from a calibration."""
    given = next((fit["calibrated"] for fit in map(of_fit, datasets) if "calibrated" in fit), None)
    file = "" if given is None else f"the calibration {given['file']}"
    if not cameras_of(*datasets):
        one = "All angles come from one camera, which does not measure depth."
        if given is None:
            return one
        has = "lens and vertical are" if given["vertical"] else "lens is"
        return f"{one} Its {has} taken from {file}."
    if given is None:
        return (
            "Two cameras saw this trial; where they stood and when they were started was found "
            "together with the body."
        )
    has = "lenses, places, scale and vertical" if given["vertical"] else "lenses, places and scale"
    found = "was" if given["vertical"] else "and the vertical were"
    return (
        f"Two cameras saw this trial; their {has} are taken from {file}. When they were started "
        f"{found} found with the body."
    )


def cameras(pose: xr.Dataset) -> str:
    """Make the table of the cameras; empty for a body that was seen by one only.

    Parameters
    ----------
    pose
        The fitted pose.
    """
    rows = []
    seen = zip(cameras_of(pose), azimuths(pose), strict=False)
    for number, (camera, azimuth) in enumerate(seen, start=1):
        offset = "0 (its times are those of this report)"
        if "time_offset_s" in camera:
            half = Z95 * camera["time_offset_sd_s"]
            offset = f"{camera['time_offset_s']:+.3f} s ± {half:.3f} s".replace("-", "−")
        rows.append(
            [
                f"Camera {number}",
                f"{escape(_of_view(view_of(azimuth).name))} ({abs(azimuth):.0f}° from the front)",
                offset,
                f"{camera['focal_length_px']:.0f} pixels",
                f"{100 * camera['residual_m']:.1f} cm ({camera['residual_px']:.1f} pixels)",
            ]
        )
    if not rows:
        return ""
    return table(
        ["Camera", "View", "Started later by", "Focal length", "Landmarks off the body"],
        rows,
        caption="The cameras as the fit has them; the start with its 95 % interval",
    )


def calibration(pose: xr.Dataset) -> str:
    """Say on what standing the trial is calibrated, and how it differs from what was measured.

    Parameters
    ----------
    pose
        The fitted pose; of one without a fit nothing is said.
    """
    fit = of_fit(pose)
    told = []
    if (seconds := fit.get("standing_seconds")) is not None:
        how = fit["arguments"]["standing"]
        if seconds > 0:
            bent = how != "straight"
            stands = f"with the knees bent by {how:g}°, as was measured" if bent else how
            told.append(f"Calibrated on {seconds:.1f} s in which the subject stands {stands}.")
        elif how == "free":
            told.append("Standing: free. Nothing is taken from how the subject stands.")
        elif fit.get("planted"):
            told.append("Nobody was seen to stand straight: nothing calibrates this trial.")
        else:
            told.append("The feet move or are not seen, so nothing calibrates this trial.")
    # Another pose model is among the warnings of the angles, which the report lists already.
    lines = [line for line in unlike_measured(pose) if line != another_model(pose)]
    unlike = "".join(f"<li>{escape(line)}</li>" for line in lines)
    if not unlike:
        return paragraphs(*told)
    told.append("Errors may be larger than stated, as this recording is unlike those they come from:")
    return f"{paragraphs(*told)}<ul>{unlike}</ul>"


def capture_quality(quality: Mapping[str, Any]) -> str:
    """Say how well the video can be measured.

    Parameters
    ----------
    quality
        The document of :func:`mobility.capture.quality.capture_quality`; with
        ``second_camera`` in it, the same of the second camera follows.
    """
    if second := quality.get("second_camera"):
        first = {name: value for name, value in quality.items() if name != "second_camera"}
        shown = {"First camera": first, "Second camera": second}
        for head, seen in shown.items():
            # What one view does not support may be seen by the other.
            view = {k: v for k, v in seen.get("view", {}).items() if k != "supports"}
            shown[head] = {**seen, "view": view}
        return "".join(f"<h3>{head}</h3>{capture_quality(seen)}" for head, seen in shown.items())
    others = quality.get("other_people")
    told = facts(
        {
            "Visibility": _shares(quality.get("visibility", {})),
            "Other people": None
            if others is None
            else (str(others) if others else "none detected"),
        }
    )
    # Documents of before the checks have parts of the same name without a verdict.
    done = {name: quality[name] for name in _CHECKS if "verdict" in quality.get(name, {})}
    advised = any(check["advice"] for check in done.values())
    rows = []
    for name, check in done.items():
        heading, found = _CHECKS[name]
        judged = check["verdict"]
        row = [escape(heading), escape(found(check))]
        row.append(f"<td class='{judged or 'missing'}'>{judged or 'not known'}</td>")
        rows.append([*row, escape(check["advice"] or "")] if advised else row)
    checks = table(
        ["Check", "Found", "Verdict", *(["What to do"] if advised else [])],
        rows,
        caption="Whether the recording is good enough",
    )
    return told + (checks if rows else "") + _supported(quality.get("view", {}))


def _shares(document: Mapping[str, float | None]) -> str | None:
    known = [f"{part} {100 * v:.0f} %" for part, v in document.items() if v is not None]
    return ", ".join(known) or None


_NO_DIRECTION_DEG = 45.0
"""Half of a 95 % interval from which on a direction of the camera is none."""


def seen_from(view: Mapping[str, Any]) -> str:
    """Say where the camera stood, from the part "view" of the capture quality."""
    azimuth, sd = view["azimuth_deg"], view["azimuth_sd_deg"]
    if azimuth is None or Z95 * (sd or 0.0) > _NO_DIRECTION_DEG:
        return "from where is not known"
    side = "right" if azimuth > 0 else "left"
    interval = "" if sd is None else f" ± {Z95 * sd:.0f}°"
    return (
        f"{_of_view(view['name'])}: the camera stands {abs(azimuth):.0f}°{interval} from the "
        f"front, on the subject's {side}"
    )


def _of_view(name: str) -> str:
    return f"from the {name}" if name in ("left", "right") else name


def _near_border(framing: Mapping[str, Any]) -> str:
    outside = {part: v for part, v in framing["outside"].items() if v}
    told = _shares(outside)
    if told:
        return f"{told} of the frames outside or at the border"
    return "all that the joints need" if framing.get("of_joints") else "all in the picture"


def _away(distance: Mapping[str, Any]) -> str:
    if distance["distance_m"] is None:
        return "unknown"
    half = Z95 * (distance["distance_sd_m"] or 0)
    error = f" ± {half:.1f} m" if half >= 0.05 else ""
    return f"{distance['distance_m']:.1f} m{error} ({distance['known_from']})"


def _lit(light: Mapping[str, Any]) -> str:
    if light["brightness"] is None:
        return "unknown"
    return (
        f"mean brightness {100 * light['brightness']:.0f} % of white around the person, "
        f"{100 * (light['clipped_share'] or 0):.0f} % of the pixels black or white"
    )


def _size_of(size: Mapping[str, Any]) -> str:
    height = size["body_height_px"]
    return "unknown" if height is None else f"{height:.0f} pixels from nose to heel"


def _sharp(sharpness: Mapping[str, Any]) -> str:
    width = sharpness["edge_width"]
    return (
        "unknown"
        if width is None
        else f"edges {width:.1f} pixels wide in the picture that the pose model gets"
    )


def _with_person(frames: Mapping[str, Any]) -> str:
    return f"{frames['with_person']} of {frames['total']}"


def _rate(rate: Mapping[str, Any]) -> str:
    return "unknown" if rate["frame_rate"] is None else f"{rate['frame_rate']:.3g} frames/s"


def _stands(camera: Mapping[str, Any]) -> str:
    return {None: "unknown", True: "moving", False: "at rest"}[camera["moving"]]


def _exchanged(swaps: Mapping[str, Any]) -> str:
    mended = swaps["mended_frames"]
    if mended is None:
        return "not looked for"
    told = [f"{part} in {count} frames" for part, count in mended.items() if count]
    return f"mended: {', '.join(told)}" if told else "none found"


_CHECKS: Mapping[str, tuple[str, Callable[[Mapping[str, Any]], str]]] = {
    "view": ("View", seen_from),
    "framing": ("In the picture", _near_border),
    "frames": ("Frames with the person", _with_person),
    "rate": ("Frame rate", _rate),
    "camera": ("Camera", _stands),
    "distance": ("Distance of the camera", _away),
    "size": ("Size of the person", _size_of),
    "light": ("Light", _lit),
    "sharpness": ("Sharpness", _sharp),
    "swaps": ("Left and right exchanged", _exchanged),
}
"""Checks of the capture quality in their order: heading, and what was found in words."""


def check_headings() -> dict[str, str]:
    """Names of the checks of a recording, by their key in the capture quality."""
    return {name: heading for name, (heading, _) in _CHECKS.items()}


def _supported(view: Mapping[str, Any]) -> str:
    """Say which angles the view is declared not to support, and why."""
    if not view.get("supports"):
        return ""
    declared = tables.load("angles")

    def words(name: str) -> str:
        return name.replace("_", " ")

    texts = []
    for name in view["does_not_support"]:
        why = " ".join(str(declared[name]["seen"]["source"]).split()) if name in declared else ""
        texts.append(f"This view does not support {words(name)} well. {why}".strip())
    return paragraphs(*texts)


def reason_missing(metrics: xr.Dataset, name: str, repetitions: xr.Dataset) -> str:
    """Say why a metric has no value: nothing to measure, its own stated reason, or not seen.

    Parameters
    ----------
    metrics
        The metrics; a variable may state its reason in the attribute ``note``.
    name
        Variable of `metrics`.
    repetitions
        The repetitions, which say whether there was anything to measure.
    """
    if name not in metrics:
        return "not part of this analysis"
    if repetitions.sizes.get("rep", 0) == 0:
        return "no repetition was found"
    if not bool(repetitions["accepted"].any()):
        return "no repetition was accepted"
    if note := metrics[name].attrs.get("note"):
        return bare(note)
    if kind_of(metrics, name) == "asymmetry":
        return "needs both sides"
    return "not seen well enough"


def cell(
    metrics: xr.Dataset,
    name: str,
    repetitions: xr.Dataset,
    *,
    side: str | None = None,
    signed: bool = False,
) -> str:
    """Write one metric with its 95 % interval, or why it could not be measured."""
    value, sd = value_of(metrics, name, side), value_of(metrics, f"{name}_sd", side)
    if not math.isfinite(value):
        why = escape(reason_missing(metrics, name, repetitions))
        return f"<span class='missing'>not measurable ({why})</span>"
    return quantity(value, units_of(metrics, name), sd=sd, signed=signed)


def verdict(metrics: xr.Dataset, name: str) -> str:
    """Say whether a signed asymmetry (right minus left) exceeds what error alone may make.

    That is the minimal detectable difference, ``<name>_mdc95`` or 1.96 √2 times its ``_sd``, as in
    the findings.

    Returns
    -------
    str
        Text: ``"within error"``, ``"right larger"``, ``"left larger"``, or empty
        where there is no value; ``"error unknown"`` where the error is not known;
        ``"of different phases"`` where the sides have their extremes at different times,
        so that a difference of the sides cannot be told from one of the phases.
    """
    value, sd = value_of(metrics, name), value_of(metrics, f"{name}_sd")
    if not math.isfinite(value):
        return ""
    if not math.isfinite(sd):
        return "error unknown"
    least = value_of(metrics, f"{name}_mdc95")
    if abs(value) <= (least if math.isfinite(least) else Z95 * math.sqrt(2) * sd):
        return "within error"
    measured = metrics.get(metrics[name].attrs.get("quantity"))
    if measured is not None and ": " in measured.attrs.get("phase", ""):
        return "of different phases"
    return "right larger" if value > 0 else "left larger"


def at_a_glance(metrics: xr.Dataset, repetitions: xr.Dataset) -> str:
    """Make the table of the five groups: left, right and their difference with 95 % intervals."""
    rows = []
    for group, heading in GROUPS.items():
        name = "knee_deviation" if group == "knee_movement" else group
        difference = f"{name}_asymmetry"
        if group == "knee_movement":
            ratio = cell(metrics, "knee_ankle_separation_ratio", repetitions)
            rows.append(
                [
                    "Knee–ankle separation ratio",
                    f"<td colspan='2' class='both'>{ratio}</td>",
                    "",
                    "",
                ]
            )
            heading = "Knee deviation, of ankle width"
        if why := nothing_measured(metrics, name, repetitions):
            shown = f"<span class='missing'>not measurable ({escape(why)})</span>"
            rows.append([escape(heading), f"<td colspan='4' class='both'>{shown}</td>"])
            continue
        rows.append(
            [
                escape(heading),
                cell(metrics, name, repetitions, side="left"),
                cell(metrics, name, repetitions, side="right"),
                cell(metrics, difference, repetitions, signed=True),
                escape(verdict(metrics, difference)),
            ]
        )
    return table(
        ["Measure", "Left", "Right", "Right − left", "Difference is"],
        rows,
        caption="Median over the accepted repetitions, ± half of the 95 % interval",
        numeric=True,
    )


def nothing_measured(metrics: xr.Dataset, name: str, repetitions: xr.Dataset) -> str:
    """Give the reason why neither side of a metric has a value; empty where one has."""
    if any(math.isfinite(value_of(metrics, name, side)) for side in ("left", "right")):
        return ""
    return reason_missing(metrics, name, repetitions)


def phase_table(metrics: xr.Dataset, repetitions: xr.Dataset) -> str:
    """Make the table of knee movement by phase over accepted repetitions; empty without values.

    Medians, ± half of the 95 % interval: the median error of a repetition.
    """
    metrics = metrics.isel(rep=np.flatnonzero(repetitions["accepted"].values))
    ratio, deviation = "knee_ankle_separation_ratio_phase", "knee_deviation_phase"
    if not (metrics[ratio].notnull().any() or metrics[deviation].notnull().any()):
        return ""
    rows = []
    for phase in metrics["phase"].values:
        here = metrics.sel(phase=phase)
        rows.append(
            [
                escape(PHASES.get(str(phase), str(phase)).capitalize()),
                quantity(
                    _median(here[ratio]), units_of(metrics, ratio), sd=_median(here[f"{ratio}_sd"])
                ),
                *(
                    quantity(
                        factor_of(metrics, deviation) * _median(here[deviation].sel(side=side)),
                        units_of(metrics, deviation),
                        sd=factor_of(metrics, deviation) * _median(here[f"{deviation}_sd"].sel(side=side)),
                    )
                    for side in ("left", "right")
                ),
            ]
        )
    return table(
        ["Phase", "Separation ratio", "Left deviation", "Right deviation"],
        rows,
        caption="Knee movement by phase, median over the accepted repetitions; positive deviation is "
        "inwards",
        numeric=True,
    )


def repetition_table(metrics: xr.Dataset, repetitions: xr.Dataset) -> str:
    """Make the table of repetitions: when, how deep, how long, and the angles at the bottom."""
    if repetitions.sizes.get("rep", 0) == 0:
        return "<p class='missing'>No repetition was found in this video.</p>"
    short = {"hip_flexion": "Hip", "hip_abduction": "Hip abd.", "knee_flexion": "Knee"}
    durations = ["descent_duration", "bottom_duration", "ascent_duration"]
    rows = []
    for number in repetitions["rep"].values:
        here = repetitions.sel(rep=number)
        row = [
            f"{int(number)}",
            f"{float(here['start']):.1f}–{float(here['end']):.1f}",
            quantity(float(here["depth"]), "percent").removesuffix(" %"),
            "/".join(
                quantity(value_of(metrics, name, rep=number), "s").removesuffix(" s")
                for name in durations
            ),
        ]
        row += [
            "/".join(
                quantity(
                    value_of(metrics, f"{name}_bottom", side, rep=number), "degree"
                ).removesuffix("°")
                for side in ("left", "right")
            )
            for name in ANGLES
        ]
        used = "accepted" if bool(here["complete"]) else "accepted, cut off"
        if not bool(here["accepted"]):
            used = escape(str(here["reason"].item()))
        row.append(f"<td class='text'>{used}</td>")
        rows.append(row)
    return table(
        [
            "No.",
            "From–to, s",
            "Depth, %",
            "Down / low / up, s",
            *(f"{short.get(name, 'Ankle')}, °" for name in ANGLES),
            "Use",
        ],
        rows,
        caption="Every repetition found; angles at the bottom, left / right, in degrees. The error "
        "of one repetition is at least that of the medians",
        numeric=True,
    )


def uncertainty_in_short(pose: xr.Dataset) -> str:
    """Say in few lines where the errors come from, and what they leave out."""
    source = (
        f"from {pose.sizes['draw']} bodies that explain the landmarks about as well as the fitted one"
        if "position_draws" in pose
        else "from a table of errors of landmarks, not from this recording"
    )
    return paragraphs(
        f"Every ± is half of an estimated 95 % interval, {source}. The larger part of an error is the "
        "same in all repetitions and does not shrink with more of them. Depth and durations have no "
        "interval. A difference of the sides counts from its minimal detectable difference (MDC₉₅) on."
    ) + gravity(pose)


def definitions_in_short(
    angles: xr.Dataset, references: References, names: Sequence[str] = ANGLES
) -> str:
    """Say of each angle where it is zero and where positive."""
    rows = []
    for name in names:
        attrs = {key: str(value) for key, value in angles[name].attrs.items()}
        head = escape(capital(attrs.get("long_name", name)))
        rows.append(
            [
                head + references.cite(attrs.get("reference", "")),
                escape(attrs.get("zero", "–")),
                escape(attrs.get("positive", "–")),
            ]
        )
    return table(["Angle", "Zero", "Positive"], rows, caption="Definition of each angle")


def gravity(pose: xr.Dataset) -> str:
    """Say what is known about the tilt of the camera."""
    if (of_fit(pose).get("calibrated") or {}).get("vertical"):
        return paragraphs(
            "The direction of gravity is taken from the calibration of the camera; its error is "
            "part of the intervals."
        )
    if _fitted(pose):
        return paragraphs(
            "The direction of gravity is estimated in the fit, together with the body; its error "
            "is part of the intervals."
        )
    return paragraphs(
        "The camera is taken to be level. A tilt of 10° moves trunk lean and thigh elevation by "
        "10°, which no interval here includes."
    )


def provenance(
    record: SessionRecord, pose: xr.Dataset, metrics: xr.Dataset, *, made_on: datetime.date
) -> str:
    """Say from which video, model, software and options the numbers come, and when."""
    made = record.provenance
    second, known = record.second_video, record.calibration
    attrs = pose.attrs
    model = (made and made.model_sha256) or attrs.get("model_sha256")
    versions = made.versions if made else _versions(metrics)
    options = {} if made is None else made.options
    return facts(
        {
            "Session": record.session_id,
            "Video": record.video.original_name,
            "SHA-256 of the video": record.video.sha256,
            "Second video": None if second is None else second.original_name,
            "SHA-256 of the second video": None if second is None else second.sha256,
            "Calibration of the cameras": known.original_name if known else None,
            "SHA-256 of the calibration": known.sha256 if known else None,
            "SHA-256 of the model": model,
            "Software": ", ".join(f"{name} {version}" for name, version in versions.items()),
            "Options": ", ".join(f"{name}={_short(value)}" for name, value in options.items())
            or None,
            "Report made on": made_on.isoformat(),
            "Layout of the data": f"version {attrs.get('schema_version', record.schema_version)}",
        }
    )


def show(
    figure: Figure, *, alt: str, caption: str = "", width: int = 860, file: Path | None = None
) -> None:
    """Display a figure in a notebook with a description for those who cannot see it.

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
        Where the picture is kept too, as PNG; the folder is made if absent.
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


def charts(*shown: tuple[Figure, str], size: tuple[float, float] = (4.5, 2.7)) -> str:
    """Set figures side by side, and one below the other on a narrow page.

    Parameters
    ----------
    *shown
        Each figure with its description. Its legend, which stands below once, is taken off.
    size
        Of each in inches: small enough for its words to be read at the width of a phone.
    """
    if not shown:
        return ""
    for figure, _ in shown:
        for legend in list(figure.legends):
            legend.remove()
        figure.set_size_inches(*size)
    figures = "".join(
        f"<figure><img class='chart' src='data:image/png;base64,"
        f"{base64.b64encode(png(figure)).decode()}' alt='{escape(alt, quote=True)}' "
        f"width='{round(96 * figure.get_figwidth())}' "
        f"height='{round(96 * figure.get_figheight())}'></figure>"
        for figure, alt in shown
    )
    return f"<div class='charts'>{figures}</div>{_KEY}"


def value_of(
    metrics: xr.Dataset, name: str, side: str | None = None, rep: int | None = None
) -> float:
    """Look one number up, as it is shown; NaN where the analysis does not have it."""
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


def _fitted(*datasets: xr.Dataset) -> bool:
    """Whether one of the Datasets is, or comes from, a fitted body."""
    return any(dataset.attrs.get("method") == "fitted_body" for dataset in datasets)


def _median(array: xr.DataArray) -> float:
    values = np.asarray(array.values, float)
    values = values[np.isfinite(values)]
    return float(np.median(values)) if values.size else math.nan


def units_of(metrics: xr.Dataset, name: str) -> str:
    """Look the unit of :func:`value_of` up."""
    if factor_of(metrics, name) != 1:
        return "percent"
    return str(metrics[name].attrs.get("units", "1")) if name in metrics else "1"


def factor_of(metrics: xr.Dataset, name: str) -> float:
    """Give 100 for shares of the ankle width, which are shown in percent."""
    quantity = str(metrics[name].attrs.get("quantity", "")) if name in metrics else ""
    return 100.0 if entry_of(quantity).get("percent") else 1.0


def _versions(dataset: xr.Dataset) -> dict[str, str]:
    return {name: v for entry in history(dataset) for name, v in entry["versions"].items()}




def _short(value: Any) -> str:
    text = "not set" if value is None else str(value)
    return text if len(text) <= 60 else text[:57] + "…"
