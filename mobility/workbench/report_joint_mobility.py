"""The parts of the Joint Angle Mobility report as HTML and figures, no science of their own.

Every function takes plain values or Datasets; whatever came from a person (comments, names) is
escaped.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mobility import tables
from mobility.assessment.movements import in_own_direction, movement, movements_of
from mobility.kinematics.angles import definitions, legs_unseen
from mobility.provenance import cameras_of
from mobility.workbench import report_sections as sections
from mobility.workbench.documents import ANGLE_OF_JOINT, SIDES, joint_angles_shown
from mobility.workbench.figures import COLOURS, LINES
from mobility.workbench.report_sections import Z95, facts, paragraphs, quantity, table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from mobility.workbench.contract import SessionRecord, StoredConfig, Warned

KINDS = {
    "active": "active motion",
    "weight_bearing": "under the body's weight",
}
"""Kinds of the reference in words."""

_GREY = "#DDDDDD"

_SIDE = 35.0
"""Degrees beside the view of a movement within which it is seen in the picture."""

_VIEW = (
    "Flexion is measured best from the side, what moves sideways (arms, legs, trunk, neck) from "
    "the front: so that the joint moves in the plane of the picture."
)
_UNKNOWN_VIEW = "Film the whole body."


@dataclass(frozen=True)
class Shown:
    """One angle of the report: its key in the display settings, joint, sides and comment."""

    key: str
    joint: str
    sides: tuple[str, ...]
    comment: str = ""

    @property
    def heading(self) -> str:
        """The joint, and the side where only one is shown."""
        side = f"{self.sides[0]} " if len(self.sides) == 1 else ""
        text = f"{side}{self.joint}"
        return text[:1].upper() + text[1:]


def shown(record: SessionRecord, config: StoredConfig | None) -> list[Shown]:
    """List the angles that were chosen, in the chosen order, with their comments.

    `knee_angle` shows both sides, `left_knee_angle` that side; without a choice each selected
    joint is shown with both.
    """
    keys = joint_angles_shown(record.joints, config.shown_angles if config else ())
    comments = config.comments if config else {}
    found = []
    for key in keys:
        name = key.removesuffix("_angle")
        side, _, joint = name.rpartition("_")
        found.append(Shown(key, joint, (side,) if side else SIDES, comments.get(key, "")))
    return found


def overview(metrics: xr.Dataset, angles: Sequence[Shown]) -> str:
    """Make the table of what was measured of each joint and side, with 95 % intervals."""
    rows = []
    for each in angles:
        for side in each.sides:
            one = metrics.sel(joint=each.joint, side=side)
            rows.append(
                [
                    f"{side.capitalize()} {_named(one, each.joint)}",
                    str(int(one["movements"])),
                    _cell(one, "end_of_range"),
                    _cell(one, "range_of_motion"),
                    _cell(one, "minimum"),
                    _cell(one, "maximum"),
                    _reference(metrics, each.joint, side),
                    _cell(one, "score"),
                ]
            )
    return table(
        ["Movement", "Times", "How far", "Range", "Smallest", "Largest", "Reference", "Score"],
        rows,
        caption="How far each joint moved, with 95 % intervals. An extension is told as it goes "
        "beyond straight: 5° are -5° of flexion",
        numeric=True,
    )


def _named(one: xr.Dataset, joint: str) -> str:
    """Movement that was shown, or the joint where it was none."""
    return escape(str(one["shown"].item()).replace("_", " ") or joint)


def shown_movements(metrics: xr.Dataset) -> list[str]:
    """Movements of the table ``movements`` that a recording shows."""
    names = dict.fromkeys(str(each) for each in metrics["shown"].values.ravel())
    return [name for name in names if name]


def reached(metrics: xr.Dataset) -> list[str]:
    """Say of each joint and side that moved how far it went: "left elbow flexion 112° ± 14°"."""
    found = []
    for joint in metrics["joint"].values:
        for side in metrics["side"].values:
            one = metrics.sel(joint=joint, side=side)
            if int(one["movements"]):
                name = str(one["shown"].item()).replace("_", " ") or str(joint)
                value, half = float(one["end_of_range"]), Z95 * float(one["end_of_range_sd"])
                size = f" {value:.0f}° ± {half:.0f}°" if math.isfinite(value) else ""
                found.append(f"{side} {name}{size}")
    return found


def _cell(one: xr.Dataset, name: str) -> str:
    value = float(one[name])
    if not math.isfinite(value):
        return "<td class='missing'>–</td>"
    return quantity(value, str(one[name].attrs["units"]), sd=float(one[f"{name}_sd"]))


def _references(metrics: xr.Dataset) -> Mapping[str, Mapping[str, Any]]:
    return cast("Mapping[str, Mapping[str, Any]]", json.loads(metrics.attrs["references"]))


def _reference(metrics: xr.Dataset, joint: str, side: str) -> str:
    found = _references(metrics).get(f"{side}_{joint}")
    if found is None:
        return "<td class='missing'>–</td>"
    if found["mean"] is None:
        return f"{found['lowest']:.0f} to {found['highest']:.0f}°"
    spread = "" if found["sd"] is None else f" (SD {found['sd']:g}°)"
    return f"{found['mean']:.0f}°{spread}"


def details(metrics: xr.Dataset, angle: Shown) -> str:
    """Say what was measured of one joint: comment, numbers, speed, and what must be known."""
    parts = []
    if angle.comment:
        parts.append(f"<blockquote class='comment'>{escape(angle.comment)}</blockquote>")
    rows = []
    for side in angle.sides:
        one = metrics.sel(joint=angle.joint, side=side)
        rows.append(
            [
                side.capitalize(),
                str(int(one["movements"])),
                _cell(one, "range_of_motion"),
                _cell(one, "minimum"),
                _cell(one, "maximum"),
                _speed(one, "peak_velocity"),
                _speed(one, "mean_velocity"),
                _cell(one, "score"),
            ]
        )
    head = ["Side", "Movements", "Range", "Smallest", "Largest", "Peak speed", "Mean speed"]
    parts.append(
        table([*head, "Score"], rows, caption=f"{angle.heading}, 95 % intervals", numeric=True)
    )
    for side in angle.sides:
        note = str(metrics["note"].sel(joint=angle.joint, side=side).item())
        refused = float(metrics["refused_share"].sel(joint=angle.joint, side=side))
        told = [f"{side.capitalize()}: {note}."] if note else []
        change = float(metrics["detectable_change"].sel(joint=angle.joint, side=side))
        if math.isfinite(change):
            spread = float(metrics["repeatability"].sel(joint=angle.joint, side=side))
            told.append(
                f"The turns differed by {spread:.1f}° (standard deviation): a difference below "
                f"{change:.0f}° to another recording of the same set-up may be chance."
            )
        if advice := str(metrics["advice"].sel(joint=angle.joint, side=side).item()):
            told.append(advice)
        if 0.005 <= refused < 1:
            told.append(f"{refused:.0%} of the values are missing or were refused (grey).")
        if told:
            parts.append(paragraphs(" ".join(told)))
    return "".join(parts)


def _speed(one: xr.Dataset, name: str) -> str:
    value, sd = float(one[name]), float(one[f"{name}_sd"])
    if not math.isfinite(value):
        return "<td class='missing'>–</td>"
    half = f" <span class='interval'>± {Z95 * sd:.0f}°/s</span>" if math.isfinite(sd) else ""
    return f"{value:.0f}°/s{half}"


def reference_table(metrics: xr.Dataset, angles: Sequence[Shown]) -> str:
    """Say with what each shown joint was compared, and whom those studies measured."""
    wanted = {f"{side}_{each.joint}" for each in angles for side in each.sides}
    rows = []
    studies: dict[tuple[str, str], list[str]] = {}
    for key, found in _references(metrics).items():
        if key not in wanted:
            continue
        side, joint = key.split("_")
        if found["mean"] is None:
            value = f"{found['lowest']:g} to {found['highest']:g}°"
        else:
            value = f"{found['mean']:g}°"
        spread = "" if found["sd"] is None else f", SD {found['sd']:g}°"
        group = ", ".join(
            part
            for part in (
                found["sex"],
                None if found["age"] is None else f"{found['age'][0]} to {found['age'][1]} years",
            )
            if part
        )
        name = f"{side.capitalize()} {escape(joint)}"
        studies.setdefault((found["sample"], found["source"]), []).append(name)
        rows.append(
            [
                name,
                f"{value} ({escape(found['statistic'])}{spread})",
                escape(KINDS.get(found["kind"], found["kind"])),
                escape(group or "all together"),
                escape(found["note"] or "–"),
            ]
        )
    if not rows:
        return paragraphs("No published range was found for these joints and this person.")
    sources = [
        f"{', '.join(names)}: {escape(sample)}. {escape(source)}."
        for (sample, source), names in studies.items()
    ]
    told = paragraphs(
        "What the person moves is compared with what others moved by themselves; an examiner moves "
        "a joint farther. About half of the healthy people measured did not reach their mean. "
        "Where no such study measured people of this sex and age there is no score."
    ) + table(
        ["Joint", "Value", "Motion", "Group", "Note"],
        rows,
        caption="What the ranges are compared with",
    )
    return told + "".join(f"<p>{source}</p>" for source in sources)


def movement_table(metrics: xr.Dataset, angles: Sequence[Shown]) -> str:
    """Make the table of the movements of the shown joints, in the order of time."""
    wanted = {(each.joint, side) for each in angles for side in each.sides}
    rows = []
    for i in range(metrics.sizes["movement"]):
        one = {str(name): metrics[name].values[i] for name in metrics if "movement_" in str(name)}
        if (str(one["movement_joint"]), str(one["movement_side"])) not in wanted:
            continue
        rows.append(
            [
                f"{str(one['movement_side']).capitalize()} {one['movement_joint']}",
                f"{one['movement_start']:.1f} s",
                f"{one['movement_turn']:.1f} s",
                f"{one['movement_end']:.1f} s",
                quantity(float(one["movement_rest"]), "degree"),
                quantity(float(one["movement_extreme"]), "degree"),
                f"{one['movement_peak_velocity']:.0f}°/s",
                "yes"
                if one["movement_accepted"]
                else f"no: {escape(str(one.get('movement_reason', 'cut off')))}",
            ]
        )
    if not rows:
        return paragraphs("No movement was found.")
    head = ["Joint", "Start", "Turn", "End", "At rest", "At the turn", "Peak speed", "Counts"]
    return table(head, rows, caption="The movements", numeric=True)


def relevant(warnings: Sequence[Warned], names: Sequence[str]) -> list[Warned]:
    """Leave out the refusals of angles, and of joints, that are not among `names`."""
    angles = [entry["long_name"] for name, entry in definitions().items() if name not in names]
    joints = [joint for joint, name in ANGLE_OF_JOINT.items() if name not in names]
    others = {
        "angle_refused": tuple(f"{angle} refused" for angle in angles),
        "joint_refused": tuple(
            f"{side} {joint} is not measured" for side in SIDES for joint in joints
        ),
    }
    return [
        warning
        for warning in warnings
        if not warning.message.lower().startswith(others.get(warning.code, ()))
    ]


def uncertainty(pose: xr.Dataset) -> str:
    """Say where the standard deviations come from."""
    source = (
        "come from a table of errors of landmarks that are not fitted, measured on squats; that "
        "of a range takes both ends as independent, which is more likely too large than too small."
    )
    if "position_draws" in pose:
        source = (
            f"are computed from this recording: {pose.sizes['draw']} bodies that explain the "
            "landmarks about as well as the fitted one are drawn, and each angle, range and speed "
            "is computed from every one of them. What the fit takes for granted, such as constant "
            "segments and usual errors of landmarks, is not questioned by it. Elbow, knee, "
            "shoulder and hip, and the trunk to the side, are also measured in the picture, from "
            "their own landmarks, the neck only there; body and picture count by their errors, and "
            "where they differ the interval is wider."
        )
        if legs_unseen(pose) and len(cameras_of(pose)) < 2:
            added = tables.load("expected_error")["legs_unseen"]["angles"].items()
            told = ", ".join(f"{name.replace('_', ' ')} {entry['sd']}°" for name, entry in added)
            source += (
                " Without the legs in sight nothing tells how large the body is: to the errors of "
                "the arms those of rendered clips of the upper body alone are added (as standard "
                f"deviations: {told})."
            )
    return paragraphs(
        f"Every ± is half of an estimated 95 % interval, 1.96 times the standard deviation of the "
        f"error. They "
        f"{source} The spread over the movements, divided by the root of their number, is part of "
        "them. Movements faster than about 3 Hz are flattened by the fit. The peak speed is the "
        "largest of a curve with errors, so it tends to be too high; it was not validated."
    )


def capture_quality(
    quality: Mapping[str, Any], joints: Sequence[str], shown: Sequence[str] = ()
) -> str:
    """Say how well the video can be measured; its view and framing are judged for single joints.

    Parameters
    ----------
    quality
        The document of :func:`mobility.capture.quality.capture_quality`, which judges for squats.
    joints
        Which joints are measured: without a leg among them the feet may be outside the picture.
    shown
        Which movements the recording shows; without any, the first of each joint is looked for.
    """
    return sections.capture_quality(judged(quality, joints, shown))


def judged(
    quality: Mapping[str, Any], joints: Sequence[str], shown: Sequence[str] = ()
) -> dict[str, Any]:
    """Judge a recording by what matters to these joints and movements."""
    found = dict(quality)
    legs = bool({"ankle", "knee", "hip"} & set(joints))
    if "verdict" in found.get("view", {}):
        seen = {k: v for k, v in found["view"].items() if k not in ("supports", "does_not_support")}
        known = seen["azimuth_deg"] is not None
        usual = [movements_of(joint)[0] for joint in joints]
        wanted = {movement(name)["view"] for name in shown or usual}
        fits = known and all(_seen_from(view, seen["azimuth_deg"]) for view in wanted)
        advice = _UNKNOWN_VIEW if legs and not known else None if fits or not known else _VIEW
        verdict = "ok" if fits else None
        found["view"] = {**seen, "verdict": verdict, "advice": advice}
    if not legs and "verdict" in found.get("framing", {}):
        shares = {k: v for k, v in found["framing"]["outside"].items() if k != "feet"}
        limit = tables.load("capture_quality")["framing"]["share"]["above"]["poor"]
        if all((share or 0.0) <= limit for share in shares.values()):
            found["framing"] = {"outside": shares, "verdict": "ok", "advice": None}
    if second := found.get("second_camera"):
        found["second_camera"] = judged(second, joints, shown)
    return found


def _seen_from(view: str, azimuth_deg: float) -> bool:
    """Whether a camera sees in its picture what is to be filmed from a view."""
    from_side = abs(abs(azimuth_deg) - 90)
    return (from_side if view == "side" else 90 - from_side) <= _SIDE


def posture(metrics: xr.Dataset) -> str:
    """Say in which posture the joints were moved."""
    share = {
        str(name): float(metrics["posture_share"].sel(posture=name))
        for name in metrics["posture"].values
    }
    told = ", ".join(f"{name} {value:.0%}" for name, value in share.items() if value >= 0.005)
    return facts({"Posture (share of the frames)": told or "not known"})


def angle_figure(metrics: xr.Dataset, angle: Shown) -> Figure:
    """Draw an angle over time, its range, its reference, and what was refused.

    Parameters
    ----------
    metrics
        Of :func:`mobility.joint_mobility`.
    angle
        Which joint and sides.

    Returns
    -------
    matplotlib.figure.Figure
        One panel for each side: the curve with its 95 % band, accepted movements shaded, largest
        and smallest angle dashed, the reference dotted; frames without a value are hatched grey.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.0, 0.7 + 2.3 * len(angle.sides)), layout="constrained")
    axes = figure.subplots(len(angle.sides), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    for axis, side in zip(axes, angle.sides, strict=True):
        _panel(axis, metrics, angle.joint, side)
        shown = str(metrics["shown"].sel(joint=angle.joint, side=side).item())
        name = (shown or ANGLE_OF_JOINT[angle.joint]).replace("_", " ")
        axis.set_title(f"{side.capitalize()} {name}", loc="left", fontsize=10, fontweight="bold")
        axis.set_ylabel("degrees", fontsize=10)
        for edge in ("top", "right"):
            axis.spines[edge].set_visible(False)
    axes[-1].set_xlabel("Time (s)", fontsize=10)
    time = metrics["time"].values
    if time.size > 1:
        axes[-1].set_xlim(time[0], time[-1])
    return figure


def _panel(axis: Axes, metrics: xr.Dataset, joint: str, side: str) -> None:
    one = metrics.sel(joint=joint, side=side)
    time = metrics["time"].values
    value, sd = one["angle"].values, one["angle_sd"].values
    colour = COLOURS[side]
    axis.plot(time, value, color=colour, linestyle=LINES[side], linewidth=1.5, zorder=3)
    axis.fill_between(
        time, value - Z95 * sd, value + Z95 * sd, color=colour, alpha=0.13, linewidth=0, zorder=2
    )
    labels = []
    for first, last in _spans(np.isnan(value), time):
        axis.axvspan(first, last, facecolor=_GREY, edgecolor="white", hatch="///", lw=0, zorder=1)
    for i in range(metrics.sizes["movement"]):
        place = str(metrics["movement_joint"].values[i]), str(metrics["movement_side"].values[i])
        if place == (joint, side) and metrics["movement_accepted"].values[i]:
            start, end = (float(metrics[f"movement_{x}"].values[i]) for x in ("start", "end"))
            axis.axvspan(start, end, color="#F0F0F0", lw=0, zorder=0)
    for name, above in (("maximum", True), ("minimum", False)):
        level = float(one[name])
        if math.isfinite(level):
            axis.axhline(level, color=colour, linewidth=0.9, linestyle="--", zorder=2)
            labels.append((level, f"{round(level)}°", above, colour, 1.0))
    reference, shown = float(one["reference"]), str(one["shown"].item())
    if math.isfinite(reference):
        reference = in_own_direction(shown, reference) if shown else reference
        axis.axhline(reference, color="#333333", linewidth=1.0, linestyle=":", zorder=2)
        labels.append((reference, f"reference {reference:.0f}°", True, "#333333", 0.0))
    for level, text, above, shade, across in labels:
        axis.annotate(
            text,
            (across, level),
            xycoords=("axes fraction", "data"),
            xytext=(-2 if across else 4, 2 if above else -2),
            textcoords="offset points",
            ha="right" if across else "left",
            va="bottom" if above else "top",
            fontsize=9,
            color=shade,
            zorder=5,
        )
    if np.isnan(value).all():
        note = str(one["note"].item())
        axis.text(
            0.5, 0.5, f"not measured: {note}", transform=axis.transAxes, ha="center", fontsize=9,
            bbox={"facecolor": "white", "edgecolor": "none"}, zorder=6, wrap=True,
        )  # fmt: skip


def _spans(rows: NDArray[np.bool_], time: NDArray[np.float64]) -> list[tuple[float, float]]:
    """Beginning and end of each run of True, seconds."""
    if not rows.size:
        return []
    edges = np.flatnonzero(np.diff(np.concatenate([[False], rows, [False]]).astype(int)))
    return [
        (float(time[a]), float(time[min(b, time.size - 1)]))
        for a, b in zip(edges[::2], edges[1::2], strict=True)
    ]
