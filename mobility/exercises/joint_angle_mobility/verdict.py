"""What a recording of single joints is good for, by the joints that it shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from mobility import tables
from mobility.assessment.movements import movement, movements_of, refusal_advice
from mobility.assessment.verdict import PARTS, Verdict, headline, judge
from mobility.kinematics.expected_error import Z95
from mobility.kinematics.in_picture import guessed_landmarks
from mobility.kinematics.skeleton import SIDES
from mobility.provenance import Warned, history
from mobility.registry import ANGLE_OF_JOINT, joint_table, of_single_joints
from mobility.wording import both_sides, capital, listed, spoken


def verdict_in_joints(
    quality: Mapping[str, Any],
    metrics: xr.Dataset,
    pose: xr.Dataset,
    warnings: Sequence[Warned] = (),
) -> Verdict:
    """Say what a recording of single joints is good for: nothing, where none was measured."""
    what, why, name = unmeasured(metrics)
    if what:
        do = refusal_advice(name) if name else ""
        why = " ".join(filter(None, [what, why]))
        return Verdict(
            "unusable", headline("unusable", of_single_joints()), why, do, frozenset(PARTS)
        )
    names = [ANGLE_OF_JOINT[str(joint)] for joint in metrics["joint"].values]
    told = relevant(warnings, names, quality, metrics)
    return judge(told, judged(quality, metrics, pose), metrics)


def _angles_warned_by(code: str) -> set[str]:
    """Name the angles of which a warning says something; empty where it concerns all."""
    return {entry["angle"] for entry in joint_table().values() if code in entry["warned_by"]}


_NOT_OF_CLOSE_UPS = ("moving_camera", "points_removed")


def relevant(
    warnings: Sequence[Warned],
    names: Sequence[str],
    quality: Mapping[str, Any] | None = None,
    metrics: xr.Dataset | None = None,
) -> list[Warned]:
    """Leave out what does not concern the angles `names`.

    Of a close-up, as its `quality` says, what only the whole picture tells is left out too; and
    with the `metrics` of the joints what concerns none of those that moved.
    """
    moved = [] if metrics is None else [ANGLE_OF_JOINT[joint] for joint, _, _ in moved_in(metrics)]
    needed = set(moved or names)
    near = _is_close_up(quality or {})
    # The check of the framing says the same of the very landmarks that the joints need.
    checked = metrics is not None and "verdict" in (quality or {}).get("framing", {})
    return [
        warning
        for warning in warnings
        if _refused(warning) in {None, *names}
        and needed & (_angles_warned_by(warning.code) or needed)
        and not (near and warning.code in _NOT_OF_CLOSE_UPS)
        and not (warning.code == "upper_body_only" and _arms_in_picture(metrics))
        and not (checked and warning.code.endswith("_out_of_picture"))
    ]


def _arms_in_picture(metrics: xr.Dataset | None) -> bool:
    """Whether all arms that moved did so in the plane of the picture, where no size is needed."""
    if metrics is None:
        return False
    arms = [each for each in moved_in(metrics) if each[0] in ("shoulder", "elbow") and each[2]]
    return bool(arms) and all(_in_picture(metrics, each, None) for each in arms)


def _refused(warning: Warned) -> str | None:
    """Name the angle that it says is left out; None where it says nothing of one alone."""
    if warning.code == "angle_refused":
        return warning.values.get("name")
    return ANGLE_OF_JOINT.get(warning.values.get("joint", ""))


def asked_for(metrics: xr.Dataset) -> str:
    """Movement that was asked for; empty where it was to be found."""
    arguments = history(metrics)[-1]["arguments"] if history(metrics) else {}
    return str(arguments.get("movement") or "")


def unmeasured(metrics: xr.Dataset) -> tuple[str, str, str]:
    """Say that nothing of what was to be measured was, and why; empty where something was.

    With the two sentences comes the movement whose film advice helps; empty where it may be one of
    several.
    """
    asked = asked_for(metrics)
    known = [str(joint) for joint in metrics["joint"].values]
    joints = [str(movement(asked)["joint"])] if asked else known
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


def judged(
    quality: Mapping[str, Any], metrics: xr.Dataset, pose: xr.Dataset | None = None
) -> dict[str, Any]:
    """Judge a recording by what the joints need that moved in it, or were to.

    `quality` is judged for squats. With the `pose` of the same recording the framing is that of the
    landmarks of these joints, else of the hands, feet or head of which they need one.
    """
    limits = tables.load("filming")
    found = dict(quality)
    if _is_close_up(quality):
        found = {k: v for k, v in found.items() if k not in ("camera", "distance", "size")}
    if "verdict" in found.get("view", {}):
        found["view"] = _judged_view(found["view"], metrics)
    if "verdict" in found.get("framing", {}):
        framing = _judged_framing(found.pop("framing"), metrics, pose)
        found |= {"framing": framing} if framing["outside"] else {}
    parts = _parts_needed(metrics)
    if "visibility" in found:
        found["visibility"] = {k: v for k, v in found["visibility"].items() if k in parts}
    if mended := found.get("swaps", {}).get("mended_frames"):
        kept = {part: count for part, count in mended.items() if part in parts}
        good = {} if any(kept.values()) else {"verdict": "ok", "advice": None}
        found["swaps"] = found["swaps"] | {"mended_frames": kept} | good
    if "verdict" in found.get("distance", {}):
        away = found["distance"]["distance_m"]
        near = away is not None and away < limits["distance_m"]["below"]["poor"]
        fault = {"verdict": "poor", "advice": limits["distance_m"]["advice"]}
        good = {"verdict": None if away is None else "ok", "advice": None}
        found["distance"] = found["distance"] | (fault if near else good)
    if found.get("frames", {}).get("advice"):
        found["frames"] = found["frames"] | {"advice": limits["frames"]["advice"]}
    if second := found.get("second_camera"):
        found["second_camera"] = judged(second, metrics)
    return found


def _is_close_up(quality: Mapping[str, Any]) -> bool:
    """Whether head or feet are outside the picture for the most part."""
    outside = quality.get("framing", {}).get("outside", {})
    share = max((outside.get(part) or 0.0 for part in ("head", "feet")), default=0.0)
    return bool(share > tables.load("filming")["close_up"]["outside_share"])


def _parts_needed(metrics: xr.Dataset) -> set[str]:
    """Parts of the body, as the capture quality has them, that the joints need which moved."""
    from mobility.capture.quality import GROUPS

    known = joint_table()
    joints = [joint for joint, _, _ in moved_in(metrics)] or list(map(str, metrics["joint"].values))
    needed = {name for joint in joints for name in known[joint]["landmarks"]}
    return {
        part
        for part, names in GROUPS.items()
        if needed & {name.removeprefix("left_").removeprefix("right_") for name in names}
    }


def moved_in(metrics: xr.Dataset) -> list[tuple[str, str, str]]:
    """Joints and sides that moved, and which movement of the table that was; "" for none."""
    return [
        (str(joint), side, str(metrics["shown"].sel(joint=joint, side=side).item()))
        for joint in metrics["joint"].values
        for side in SIDES
        if int(metrics["movements"].sel(joint=joint, side=side))
    ]


def _judged_view(view: Mapping[str, Any], metrics: xr.Dataset) -> dict[str, Any]:
    """Judge a view by the movements: in the plane of the picture, or measured well all the same."""
    limits = tables.load("filming")
    seen = {k: v for k, v in view.items() if k not in ("supports", "does_not_support")}
    azimuth = seen["azimuth_deg"]
    moved = [each for each in moved_in(metrics) if each[2]]
    beside = [each for each in moved if not _in_picture(metrics, each, azimuth)]
    asked, advice = asked_for(metrics), None
    if beside:
        joint, side, name = beside[0]
        plane = metrics["plane"].sel(joint=joint, side=side).item() if "plane" in metrics else ""
        advice = refusal_advice(name, str(plane))
    elif not moved and asked and not _filmed_from_its_view(asked, azimuth):
        advice = refusal_advice(asked)
    halves = [
        Z95 * float(metrics["end_of_range_sd"].sel(joint=joint, side=side))
        for joint, side, _ in beside
    ]
    well = bool(halves) and max(halves) <= limits["narrow_deg"]["value"]
    if (moved or asked) and (well or advice is None):
        return {**seen, "verdict": "ok", "advice": None}
    return {**seen, "verdict": "poor" if advice and azimuth is not None else None, "advice": advice}


def _in_picture(
    metrics: xr.Dataset, moved: tuple[str, str, str], azimuth_deg: float | None
) -> bool:
    """Whether a joint moved about in the plane of the picture, whatever the camera's side.

    Where the picture does not tell (an ankle, metrics of older code), whether the camera stands
    where that movement is usually filmed from.
    """
    joint, side, name = moved
    if "off_picture" in metrics:
        off = float(metrics["off_picture"].sel(joint=joint, side=side))
        if np.isfinite(off):
            return bool(off <= tables.load("filming")["beside_deg"]["value"])
    return _filmed_from_its_view(name, azimuth_deg)


def _filmed_from_its_view(name: str, azimuth_deg: float | None) -> bool:
    """Whether the camera stands about where a movement is usually filmed from."""
    if azimuth_deg is None:
        return False
    most = tables.load("filming")["beside_deg"]["value"]
    return bool(_beside(movement(name)["view"], azimuth_deg) <= most)


def _beside(view: str, azimuth_deg: float) -> float:
    """How far a camera stands beside the view from which a movement is to be filmed, degrees."""
    from_side = abs(abs(azimuth_deg) - 90)
    return from_side if view == "side" else 90 - from_side


def _judged_framing(
    framing: Mapping[str, Any], metrics: xr.Dataset, pose: xr.Dataset | None
) -> dict[str, Any]:
    """Judge by the parts that the joints need which moved, or which were to be measured."""
    known = joint_table()
    needed = [
        (f"{side}_{name}", joint)
        for joint, side, _ in moved_in(metrics)
        for name in known[joint]["landmarks"]
        if name not in guessed_landmarks(known[joint]["angle"])
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
        seen = place.notnull().all("pixel")
        shares = (out & seen).sum("time") / seen.sum("time")
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
