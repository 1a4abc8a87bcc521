"""Rate what a recording can be used for, considering only the joints that it shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from mobility import tables
from mobility.assessment.movements import movement, movements_of, refusal_advice
from mobility.assessment.number import number_of
from mobility.assessment.verdict import PARTS, Verdict, headline, judge
from mobility.base.formatting import both_sides, capital, listed, spoken
from mobility.base.provenance import AnalysisWarning, history
from mobility.catalogue.joints import ANGLE_OF_JOINT, joint_table
from mobility.catalogue.registry import of_single_joints
from mobility.kinematics.in_picture import guessed_landmarks
from mobility.kinematics.skeleton import SIDES


def verdict_in_joints(
    quality: Mapping[str, Any],
    metrics: xr.Dataset,
    pose: xr.Dataset,
    warnings: Sequence[AnalysisWarning] = (),
) -> Verdict:
    """Rate what the recording can be used for: nothing if no joint was measured."""
    what, why, name = unmeasured(metrics)
    if what:
        do = refusal_advice(name) if name else ""
        why = " ".join(filter(None, [what, why]))
        return Verdict(
            "unusable", headline("unusable", of_single_joints()), why, do, frozenset(PARTS)
        )
    names = [ANGLE_OF_JOINT[str(joint)] for joint in metrics["joint"].values]
    applicable = applicable_warnings(warnings, names, quality, metrics)
    return judge(applicable, quality_for_joints(quality, metrics, pose), metrics)


def _angles_warned_by(code: str) -> set[str]:
    """Name the angles that a warning concerns; empty if it concerns all."""
    return {entry["angle"] for entry in joint_table().values() if code in entry["warned_by"]}


_NOT_OF_CLOSE_UPS = ("moving_camera", "points_removed")


def applicable_warnings(
    warnings: Sequence[AnalysisWarning],
    names: Sequence[str],
    quality: Mapping[str, Any] | None = None,
    metrics: xr.Dataset | None = None,
) -> list[AnalysisWarning]:
    """Keep the warnings that concern the angles `names`.

    Warnings about the whole body are left out for a close-up, which is recognised from `quality`.
    If `metrics` are passed, warnings that concern none of the joints that moved are also left out.
    """
    moved = [] if metrics is None else [ANGLE_OF_JOINT[joint] for joint, _, _ in moved_in(metrics)]
    needed = set(moved or names)
    near = _is_close_up(quality or {})
    # The check of the framing covers the landmarks that the joints need.
    checked = metrics is not None and "verdict" in (quality or {}).get("framing", {})
    return [
        warning
        for warning in warnings
        if _refused_angle(warning) in {None, *names}
        and needed & (_angles_warned_by(warning.code) or needed)
        and not (near and warning.code in _NOT_OF_CLOSE_UPS)
        and not (warning.code == "upper_body_only" and _arms_in_picture(metrics))
        and not (checked and warning.code.endswith("_out_of_picture"))
    ]


def _arms_in_picture(metrics: xr.Dataset | None) -> bool:
    """Return whether all arms that moved did so in the image plane, which needs no body size."""
    if metrics is None:
        return False
    arms = [each for each in moved_in(metrics) if each[0] in ("shoulder", "elbow") and each[2]]
    return bool(arms) and all(_in_picture(metrics, each, None) for each in arms)


def _refused_angle(warning: AnalysisWarning) -> str | None:
    """Name the only angle that a warning withholds; None if there is no such angle."""
    if warning.code == "angle_refused":
        return warning.values.get("name")
    return ANGLE_OF_JOINT.get(warning.values.get("joint", ""))


def asked_for(metrics: xr.Dataset) -> str:
    """Name the movement that was requested; empty if none was."""
    arguments = history(metrics)[-1]["arguments"] if history(metrics) else {}
    return str(arguments.get("movement") or "")


def unmeasured(metrics: xr.Dataset) -> tuple[str, str, str]:
    """Report that nothing was measured, and why; empty if something was.

    The third value is the movement whose filming advice helps; it is empty if several movements are
    possible.
    """
    asked = asked_for(metrics)
    measured = [str(joint) for joint in metrics["joint"].values]
    joints = [str(movement(asked)["joint"])] if asked else measured
    wanted = metrics.sel(joint=joints)
    if asked and (wanted["shown"] == asked).any():
        return "", "", ""
    if not asked and (wanted["movements"] > 0).any():
        return "", "", ""
    notes: dict[str, list[str]] = {}
    for joint in joints:
        for side in SIDES:
            note = str(wanted["note"].sel(joint=joint, side=side).item())
            notes.setdefault(note, []).append(f"{side} {joint}")
    why = "; ".join(
        note
        if len(notes) == len(joints) == 1
        else tables.sentence("joints.unmeasured_because", whose=both_sides(whose), why=note)
        for note, whose in notes.items()
        if note
    )
    name = asked or (movements_of(joints[0])[0] if len(joints) == 1 else "")
    what = capital(spoken(asked or joints[0]))
    one = asked or len(joints) == 1
    return (
        tables.sentence("joints.unmeasured" if one else "joints.none_measured", what=what),
        f"{capital(why)}." if why else "",
        name,
    )


def quality_for_joints(
    quality: Mapping[str, Any], metrics: xr.Dataset, pose: xr.Dataset | None = None
) -> dict[str, Any]:
    """Rate the recording by the needs of the joints that moved or were expected to.

    `quality` rates the recording for squats. With the `pose` of the same recording, the framing is
    rated from the landmarks of these joints. Otherwise it is rated from the hands, feet or head
    that the joints need.
    """
    limits = tables.load("filming")
    judged = dict(quality)
    if _is_close_up(quality):
        judged = {k: v for k, v in judged.items() if k not in ("camera", "distance", "size")}
    if "verdict" in judged.get("view", {}):
        judged["view"] = _view_for_joints(judged["view"], metrics)
    if "verdict" in judged.get("framing", {}):
        framing = _framing_for_joints(judged.pop("framing"), metrics, pose)
        judged |= {"framing": framing} if framing["outside"] else {}
    parts = _parts_needed(metrics)
    if "visibility" in judged:
        judged["visibility"] = {k: v for k, v in judged["visibility"].items() if k in parts}
    if mended := judged.get("swaps", {}).get("mended_frames"):
        mended_parts = {part: count for part, count in mended.items() if part in parts}
        good = {} if any(mended_parts.values()) else {"verdict": "ok", "advice": None}
        judged["swaps"] = judged["swaps"] | {"mended_frames": mended_parts} | good
    if "verdict" in judged.get("distance", {}):
        away = judged["distance"]["distance_m"]
        near = away is not None and away < limits["distance_m"]["below"]["poor"]
        fault = {"verdict": "poor", "advice": limits["distance_m"]["advice"]}
        good = {"verdict": None if away is None else "ok", "advice": None}
        judged["distance"] = judged["distance"] | (fault if near else good)
    if judged.get("frames", {}).get("advice"):
        judged["frames"] = judged["frames"] | {"advice": limits["frames"]["advice"]}
    if second := judged.get("second_camera"):
        judged["second_camera"] = quality_for_joints(second, metrics)
    return judged


def _is_close_up(quality: Mapping[str, Any]) -> bool:
    """Return whether head or feet are outside the picture most of the time."""
    outside = quality.get("framing", {}).get("outside", {})
    share = max((outside.get(part) or 0.0 for part in ("head", "feet")), default=0.0)
    return bool(share > tables.load("filming")["close_up"]["outside_share"])


def _parts_needed(metrics: xr.Dataset) -> set[str]:
    """Return the parts of the body that the moved joints need, named as in the capture quality."""
    from mobility.capture.quality import GROUPS

    by_joint = joint_table()
    joints = [joint for joint, _, _ in moved_in(metrics)] or list(map(str, metrics["joint"].values))
    needed = {name for joint in joints for name in by_joint[joint]["landmarks"]}
    return {
        part
        for part, names in GROUPS.items()
        if needed & {name.removeprefix("left_").removeprefix("right_") for name in names}
    }


def moved_in(metrics: xr.Dataset) -> list[tuple[str, str, str]]:
    """Return the sides of joints that moved, with the name of the movement; "" if it has none."""
    return [
        (str(joint), side, str(metrics["shown"].sel(joint=joint, side=side).item()))
        for joint in metrics["joint"].values
        for side in SIDES
        if int(metrics["movements"].sel(joint=joint, side=side))
    ]


def _view_for_joints(view: Mapping[str, Any], metrics: xr.Dataset) -> dict[str, Any]:
    """Rate the view: good if the movements lie in the image plane or are precise anyway."""
    limits = tables.load("filming")
    described = {k: v for k, v in view.items() if k not in ("supports", "does_not_support")}
    azimuth = described["azimuth_deg"]
    moved = [each for each in moved_in(metrics) if each[2]]
    beside = [each for each in moved if not _in_picture(metrics, each, azimuth)]
    asked, advice = asked_for(metrics), None
    if beside:
        joint, side, name = beside[0]
        plane = str(metrics["plane"].sel(joint=joint, side=side).item())
        advice = refusal_advice(name, plane)
    elif not moved and asked and not _filmed_from_its_view(asked, azimuth):
        advice = refusal_advice(asked)
    halves = [
        number_of(metrics, "end_of_range", side, joint=joint).half_width
        for joint, side, _ in beside
    ]
    well = bool(halves) and max(halves) <= limits["narrow_deg"]["value"]
    if (moved or asked) and (well or advice is None):
        return {**described, "verdict": "ok", "advice": None}
    verdict = "poor" if advice and azimuth is not None else None
    return {**described, "verdict": verdict, "advice": advice}


def _in_picture(
    metrics: xr.Dataset, moved: tuple[str, str, str], azimuth_deg: float | None
) -> bool:
    """Return whether a joint moved approximately in the image plane, on either side of the camera.

    If this is unknown (for an ankle), the result states whether the camera is near the usual view
    of this movement.
    """
    joint, side, name = moved
    degrees_beside = float(metrics["off_picture"].sel(joint=joint, side=side))
    if np.isfinite(degrees_beside):
        return bool(degrees_beside <= tables.load("filming")["beside_deg"]["value"])
    return _filmed_from_its_view(name, azimuth_deg)


def _filmed_from_its_view(name: str, azimuth_deg: float | None) -> bool:
    """Return whether the camera is near the place from which a movement is usually filmed."""
    if azimuth_deg is None:
        return False
    most = tables.load("filming")["beside_deg"]["value"]
    return bool(_beside(movement(name)["view"], azimuth_deg) <= most)


def _beside(view: str, azimuth_deg: float) -> float:
    """Return the angle between the camera and the recommended view of a movement, degrees."""
    from_side = abs(abs(azimuth_deg) - 90)
    return from_side if view == "side" else 90 - from_side


def _framing_for_joints(
    framing: Mapping[str, Any], metrics: xr.Dataset, pose: xr.Dataset | None
) -> dict[str, Any]:
    """Rate the framing by the landmarks of the joints that moved or were expected to."""
    by_joint = joint_table()
    needed = [
        (f"{side}_{name}", joint)
        for joint, side, _ in moved_in(metrics)
        for name in by_joint[joint]["landmarks"]
        if name not in guessed_landmarks(by_joint[joint]["angle"])
    ]
    limits = tables.load("capture_quality")["framing"]
    if pose is not None and needed and "image_width" in pose.attrs:
        margin = limits["border"]["value"]
        marks = pose["image_position"].isel(individual=0, missing_dims="ignore")
        size = xr.DataArray(
            [pose.attrs["image_width"], pose.attrs["image_height"]],
            coords={"pixel": ["u", "v"]},
            dims="pixel",
        )
        place = marks.sel(keypoint=list(dict.fromkeys(name for name, _ in needed))) / size
        out = ((place < margin) | (place > 1 - margin)).any("pixel")
        has_place = place.notnull().all("pixel")
        shares = (out & has_place).sum("time") / has_place.sum("time")
        outside = {
            str(name).replace("_", " ").replace("foot index", "toe"): round(float(share), 3)
            for name, share in zip(shares["keypoint"].values, shares.values, strict=True)
        }
    else:
        joints = {joint for _, joint in needed} or {str(each) for each in metrics["joint"].values}
        parts = {"head": {"neck"}, "hands": {"elbow"}, "feet": {"ankle", "knee"}}
        outside = {k: v for k, v in framing["outside"].items() if parts.get(k, set()) & joints}
    worst = max((share or 0.0 for share in outside.values()), default=0.0)
    above = limits["share"]["above"]
    verdict = next((level for level in ("unusable", "poor") if worst > above[level]), "ok")
    lost = [part for part, share in outside.items() if (share or 0.0) > above["poor"]]
    advice = tables.load("filming")["framing"]["advice"].format(parts=listed(lost))
    advice = None if verdict == "ok" else advice
    return {"outside": outside, "verdict": verdict, "advice": advice, "of_joints": True}


def with_side_doubt(metrics: xr.Dataset, verdict: Verdict) -> xr.Dataset:
    """Mark in the metrics whether left and right may have been exchanged."""
    return metrics.assign_attrs(sides_in_doubt=int(verdict.sides_in_doubt))


def side_label(metrics: xr.Dataset, side: str) -> str:
    """Name a side, with a question mark if left and right may have been exchanged."""
    doubt = metrics.attrs.get("sides_in_doubt")
    return tables.sentence("joints.side_in_doubt", side=side) if doubt else side
