"""How well a recording can be measured: its checks in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import htpy as h
from markupsafe import Markup

from mobility import tables
from mobility.base.formatting import plus_minus
from mobility.keypoints.view import view_in_words
from mobility.kinematics.expected_error import half_width
from mobility.kinematics.geometry import called
from mobility.reports.html import Cell, Row, facts, html, paragraphs, table


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
    # Nobody looked for other people, cuts and movement of the camera.
    given = "given" in quality.get("frames", {})
    others = quality.get("other_people")
    nobody = tables.sentence("report.checks.no_others")
    overview = facts(
        {
            "Visibility": _shares(quality.get("visibility", {})),
            "Other people": None if others is None else str(others or nobody),
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
        if given and name in _OF_SEARCH and check["verdict"] is None:
            result = tables.sentence("report.checks.not_checked")
        rows.append([_CHECKS[name][0], result, level, *advice])
    checks = table(
        ["Check", "Found", "Verdict", *(["What to do"] if advised else [])],
        rows,
        caption=tables.sentence("report.checks.caption"),
    )
    if given:
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
"""Half of a 95 % interval from which on the direction of a camera is unknown."""


def seen_from(view: Mapping[str, Any]) -> str:
    """Say where the camera stood, from the part "view" of the capture quality."""
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
"""Checks by the search for people, which there is not where keypoints are given."""

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
