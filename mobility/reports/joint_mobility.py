"""The parts of the Joint Angle Mobility report as HTML and figures, no science of their own.

Every function takes plain values or Datasets; whatever came from a person (comments, names) is
escaped.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mobility import tables
from mobility.assessment.movements import (
    in_own_direction,
    movement,
    movements_of,
    refusal_advice,
)
from mobility.kinematics.angle_errors import legs_unseen
from mobility.kinematics.geometry import definitions
from mobility.kinematics.in_picture import guessed_landmarks
from mobility.provenance import cameras_of, history
from mobility.reports import sections
from mobility.reports.gauges import Gauge, show
from mobility.documents.fill import ANGLE_OF_JOINT, SIDES, joint_angles_shown
from mobility.plot import COLOURS, LINES
from mobility.reports.sections import Z95, facts, paragraphs, quantity, table
from mobility.wording import capital, listed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from mobility.sessions.record import SessionRecord, StoredConfig, Warned

KINDS = {
    "active": "active motion",
    "weight_bearing": "under the body's weight",
}
"""Kinds of the reference in words."""

_GREY = "#DDDDDD"

_MOST_SENTENCES = 3
"""Sentences on how far the joints go on a first page."""

_MOST_GAUGES = 3
"""Movements with a gauge there: each names whom it is compared with, and the page has 250 words."""

_COMPARED = (
    "less", "below", "farther", "above", "close", "near", "usual", "others", "unsure", "none"
)  # fmt: skip
"""How a value is compared, what stands out first; sentences of the table ``joint_sentences``."""


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
    head = ["Movement", "From", "To", "Range", "Average"]
    scored = bool(np.isfinite(metrics["score"].values).any())
    rows = []
    for each in angles:
        for side in each.sides:
            one = metrics.sel(joint=each.joint, side=side)
            row = [f"{side.capitalize()} {_named(one, each.joint)}"]
            if not np.isfinite([float(one["maximum"]), float(one["minimum"])]).any():
                why = escape(str(one["note"].item())) or "nothing was seen"
                columns = len(head) - 1 + scored
                row.append(
                    f"<td class='missing words' colspan='{columns}'>not measured: {why}</td>"
                )
            else:
                if times := int(one["movements"]):
                    row[0] += f" <span class='interval'>× {times}</span>"
                row += [_cell(one, name, sign=sign) for name, sign in _ends(one)]
                row += [_cell(one, "range_of_motion"), _reference(metrics, each.joint, side)]
                row += [_cell(one, "score")] if scored else []
            rows.append(row)
    extended = any(movement(name)["end"] == "smallest" for name in shown_movements(metrics))
    told = "; the average is that of others" if _references(metrics) else ""
    told += "; an extension is positive beyond straight" if extended else ""
    return table(
        [*head, *(["Score"] if scored else [])],
        rows,
        caption=f"How far each joint moved (× how often), ± half of the 95 % interval{told}",
        numeric=True,
    )


def _ends(one: xr.Dataset) -> tuple[tuple[str, int], tuple[str, int]]:
    """Both ends of a movement, where it begins first, with their sign in its own direction."""
    shown = str(one["shown"].item())
    if shown and movement(shown)["end"] == "smallest":
        return ("maximum", -1), ("minimum", -1)
    return ("minimum", 1), ("maximum", 1)


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


@dataclass(frozen=True)
class Reach:
    """How far a joint and side went, beside what people reach by themselves.

    Attributes
    ----------
    joint, side, movement
        What moved; `movement` is "" where it is none of the table ``movements``.
    value, half
        How far, in the direction of the movement, and half of its 95 % interval; degrees.
    people
        Whom the study measured with which it is compared; "" without one.
    low, mean, high
        What they reach: from where to where 95 of 100, and on average; NaN where not known.
    note
        Why this person is not known to be one of them; "" for who is.
    """

    joint: str
    side: str
    movement: str
    value: float
    half: float
    people: str = ""
    low: float = math.nan
    mean: float = math.nan
    high: float = math.nan
    note: str = ""

    @property
    def compared(self) -> str:
        """How the value is beside the range, one of those of ``joint_sentences``."""
        if not math.isfinite(self.mean):
            return "none"
        if self.note:
            return "others"
        if not math.isfinite(self.half):
            return "unsure"
        spread = math.isfinite(self.low)
        low, high = (self.low, self.high) if spread else (self.mean, self.mean)
        if self.value + self.half < low:
            return "less" if spread else "below"
        if self.value - self.half > high:
            return "farther" if spread else "above"
        if not spread:
            return "near"
        return "usual" if self.value - self.half >= low else "close"

    @property
    def said(self) -> str:
        """The comparison in one sentence."""
        words = tables.load("joint_sentences")
        size = f"{abs(self.value):.0f}" if self._beyond else _whole(self.value)
        error = f" ± {self.half:.0f}" if math.isfinite(self.half) else ""
        reaches = words["reaches"].get(self.movement, "The {side} {joint} moves to {value}")
        if self._beyond:
            reaches = reaches["short" if round(self.value) < 0 else "beyond"]
        told = reaches.format(side=self.side, joint=self.joint, value=f"{size}{error} degrees")
        sentence: str = words["compared"][self.compared]
        return sentence.format(reaches=told, **self._range)

    def beside(self, *, alone: bool) -> str:
        """What stands beside its gauge; `alone`: the caption names the people."""
        words: Mapping[str, str] = tables.load("joint_sentences")["gauge"]
        kind = "none" if not self.people else "one" if alone else "several"
        return words[kind].format(**self._range)

    @property
    def _beyond(self) -> bool:
        return isinstance(tables.load("joint_sentences")["reaches"].get(self.movement), Mapping)

    @property
    def _range(self) -> dict[str, str]:
        words = tables.load("joint_sentences")["ranges"]
        ends = {"low": self.low, "mean": self.mean, "high": self.high}
        known = {name: _whole(value) for name, value in ends.items() if math.isfinite(value)}
        if not known:
            return {}
        kind = "spread" if "low" in known else "average"
        return {"people": self.people, "range": words[kind].format(**known), **known}


def _whole(value: float) -> str:
    return f"{round(value) + 0:d}".replace("-", "−")


def reaches(metrics: xr.Dataset) -> list[Reach]:
    """Compare how far each joint and side went that moved, in the order of the analysis."""
    found = []
    studies = tables.load("reference_ranges")["studies"]
    deviations = float(tables.load("joint_sentences")["usual"]["standard_deviations"])
    for joint, side, name in _moved(metrics):
        one = metrics.sel(joint=joint, side=side)
        value, half = float(one["end_of_range"]), Z95 * float(one["end_of_range_sd"])
        if not math.isfinite(value):
            continue
        known = _references(metrics).get(f"{side}_{joint}")
        if known is None or known["mean"] is None:
            found.append(Reach(joint, side, name, value, half))
            continue
        mean, spread = float(known["mean"]), deviations * float(known["sd"] or math.nan)
        people = str(studies[known["study"]]["people"])
        ends = mean - spread, mean, mean + spread
        found.append(Reach(joint, side, name, value, half, people, *ends, note=known["note"]))
    return found


def gauges_of(metrics: xr.Dataset) -> list[Gauge]:
    """Make the gauges of a first page: how far each movement went, beside what people reach."""
    known = reaches(metrics)
    alone = len(_people(known)) == 1
    found: dict[tuple[str, str], list[Reach]] = {}
    for each in known:
        name = (each.movement or each.joint).replace("_", " ").capitalize()
        found.setdefault((name, each.beside(alone=alone)), []).append(each)
    return [
        Gauge(
            name,
            {each.side: (each.value, each.half) for each in alike},
            "degree",
            alike[0].mean,
            told,
            (alike[0].low, alike[0].high),
        )
        for (name, told), alike in list(found.items())[:_MOST_GAUGES]
    ]


def show_gauges(metrics: xr.Dataset) -> str:
    """Show the gauges; the caption says what they are compared with."""
    people = _people(reaches(metrics))
    words = tables.load("joint_sentences")["caption"]
    kind = "none" if not people else "one" if len(people) == 1 else "several"
    return show(gauges_of(metrics), caption=words[kind].format(people=listed(people)))


def _people(found: Sequence[Reach]) -> list[str]:
    return list(dict.fromkeys(each.people for each in found if each.people))


def commented(chosen: Sequence[Shown]) -> str:
    """Show what was written beside the angles, each with its angle."""
    return "".join(
        f"<blockquote class='comment'><strong>{escape(each.heading)}:</strong> "
        f"{escape(each.comment)}</blockquote>"
        for each in chosen
        if each.comment
    )


def in_words(metrics: xr.Dataset) -> str:
    """Say in a sentence each how far the joints go, and name those of which nothing is known."""
    words = tables.load("joint_sentences")
    found = sorted(reaches(metrics), key=lambda each: _COMPARED.index(each.compared))
    told, more = found[:_MOST_SENTENCES], found[_MOST_SENTENCES:]
    others = [each for each in told if each.compared == "others"]
    notes = []
    for people in _people(others):
        these = [each for each in others if each.people == people]
        why, names = these[0].note, _both([f"{each.side} {each.joint}" for each in these])
        unknown, is_unknown, _ = why.partition(" not known")
        unknown += " are" if " and " in unknown else " is"
        words_for = words["alone_unknown" if is_unknown else "alone"]
        notes.append(words_for.format(names=names, people=people, unknown=unknown))
    rest: dict[str, list[str]] = {
        "more": list(dict.fromkeys(each.joint for each in more)),
        "unmeasured": [],
        "still": [],
    }
    for joint in map(str, metrics["joint"].values):
        for side in SIDES:
            one = metrics.sel(joint=joint, side=side)
            if not one["angle"].notnull().any():
                rest["unmeasured"].append(f"{side} {joint}")
            elif not int(one["movements"]):
                rest["still"].append(f"{side} {joint}")
    notes += [words[kind].format(names=_both(names)) for kind, names in rest.items() if names]
    items = "".join(f"<li>{escape(each.said)}</li>" for each in told)
    return (f"<ul>{items}</ul>" if items else f"<p>{escape(words['nothing'])}</p>") + "".join(
        f"<p class='note'>{escape(note)}</p>" for note in notes
    )


def measured_angles(metrics: xr.Dataset, angles: Sequence[Shown]) -> list[str]:
    """Names of the angles that were measured: of a hip that moves sideways its abduction."""
    found: dict[str, None] = {}
    for each in angles:
        shown = metrics["shown"].sel(joint=each.joint, side=list(each.sides)).values
        own = [str(movement(str(name))["angle"]) for name in shown if name]
        found |= dict.fromkeys(own or [ANGLE_OF_JOINT[each.joint]])
    # An arm that goes out sideways is measured as its elevation, whatever its plane.
    return [name if name in definitions() else ANGLE_OF_JOINT["shoulder"] for name in found]


def _cell(one: xr.Dataset, name: str, *, sign: int = 1) -> str:
    value = sign * float(one[name])
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
    return f"{found['mean']:.0f}°"


def details(metrics: xr.Dataset, angle: Shown) -> str:
    """Say what was measured of one joint: comment, numbers, speed, and what must be known."""
    parts = []
    if angle.comment:
        parts.append(f"<blockquote class='comment'>{escape(angle.comment)}</blockquote>")
    rows = []
    for side in angle.sides:
        one = metrics.sel(joint=angle.joint, side=side)
        if int(one["movements"]):
            speeds = [_speed(one, "peak_velocity"), _speed(one, "mean_velocity")]
            rows.append([f"{side.capitalize()} {_named(one, angle.joint)}", *speeds])
    if rows:
        head = ["Movement", "Peak speed", "Mean speed"]
        parts.append(table(head, rows, caption="How fast, with 95 % intervals", numeric=True))
    moved = bool((metrics["movements"].sel(joint=angle.joint) > 0).any())
    told: dict[str, list[str]] = {}
    for side in angle.sides:
        known = _references(metrics).get(f"{side}_{angle.joint}") or {}
        one = metrics.sel(joint=angle.joint, side=side)
        # The table of the references says it.
        text = _remarks(one, moved=moved, less=f"no score: {known.get('note')}")
        if text:
            told.setdefault(text, []).append(side)
    parts += [
        paragraphs(f"{' and '.join(sides).capitalize()}: {text}") for text, sides in told.items()
    ]
    return "".join(parts)


def _remarks(one: xr.Dataset, *, moved: bool, less: str = "") -> str:
    """Say what must be known of one side, `less` that; `moved`: whether one of both did."""
    parts = str(one["note"].item()).replace(less, "").split("; ")
    note, refused = "; ".join(filter(None, parts)), float(one["refused_share"])
    told = [f"{note}."] if note else []
    change = float(one["detectable_change"])
    if math.isfinite(change):
        spread = float(one["repeatability"])
        told.append(
            f"The turns differed by {spread:.1f}° (standard deviation): a difference below "
            f"{change:.0f}° to another recording of the same set-up may be chance (measured on "
            "rendered people; how a person varies from day to day comes on top)."
        )
    if advice := str(one["advice"].item()):
        told.append("To measure this side, film it too." if moved else advice)
    if 0.005 <= refused < 1:
        told.append(f"{100 * refused:.0f} % of the values are missing or were refused (grey).")
    return " ".join(told)


def is_seen(metrics: xr.Dataset, angle: Shown) -> bool:
    """Whether there is any value of an angle to draw."""
    values = metrics["angle"].sel(joint=angle.joint, side=list(angle.sides))
    return bool(values.notnull().any())


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
    alike: dict[str, list[str]] = {}
    for key, found in _references(metrics).items():
        if key in wanted:
            # Both sides of a joint have one row, unless they showed different movements.
            same = json.dumps([key.partition("_")[2], found], sort_keys=True)
            alike.setdefault(same, []).append(key.replace("_", " "))
    for same, names in alike.items():
        found = json.loads(same)[1]
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
        studies.setdefault((found["sample"], found["source"]), []).extend(names)
        rows.append(
            [
                escape(capital(_both(names))),
                f"{value} ({escape(found['statistic'])}{spread})",
                escape(KINDS.get(found["kind"], found["kind"])),
                escape(group or "all together"),
                escape(found["note"] or "–"),
            ]
        )
    if not rows:
        return paragraphs("No published range was found for these joints and this person.")
    sources = [
        f"{escape(capital(_both(names)))}: {escape(sample)}. {escape(source)}."
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


_CONCERNS = {
    "feet_out_of_picture": ("ankle_dorsiflexion",),
    "feet_not_seen": ("ankle_dorsiflexion", "knee_flexion"),
    "nobody_stands": ("ankle_dorsiflexion", "knee_flexion", "hip_flexion"),
    "hands_out_of_picture": ("elbow_flexion",),
    "head_out_of_picture": ("neck_lateral_flexion",),
    "upper_body_only": ("shoulder_flexion", "elbow_flexion"),
}
"""Warnings that say something of these angles only."""

_NOT_OF_CLOSE_UPS = ("moving_camera", "points_removed")


def relevant(
    warnings: Sequence[Warned],
    names: Sequence[str],
    quality: Mapping[str, Any] | None = None,
    metrics: xr.Dataset | None = None,
) -> list[Warned]:
    """Leave out what does not concern the angles `names`.

    Parameters
    ----------
    warnings
        Of a session.
    names
        Angles that are shown.
    quality
        Of its recording; of a close-up what only the whole picture tells is left out.
    metrics
        Of :func:`mobility.joint_mobility`: what concerns none of the joints that moved is left out.
    """
    moved = [] if metrics is None else [ANGLE_OF_JOINT[joint] for joint, _, _ in _moved(metrics)]
    needed = set(moved or names)
    angles = [entry["long_name"] for name, entry in definitions().items() if name not in names]
    joints = [joint for joint, name in ANGLE_OF_JOINT.items() if name not in names]
    whose = (*SIDES, " and ".join(SIDES))
    others = {
        "angle_refused": tuple(f"{angle} refused" for angle in angles),
        "joint_refused": tuple(
            f"{side} {joint} {verb} not measured"
            for side in whose
            for joint in joints
            for verb in ("is", "are")
        ),
    }
    near = _is_close_up(quality or {})
    # The check of the framing says the same of the very landmarks that the joints need.
    checked = metrics is not None and "verdict" in (quality or {}).get("framing", {})
    return [
        _plainly(warning)
        for warning in warnings
        if not warning.message.lower().startswith(others.get(warning.code, ()))
        and not (warning.code in _CONCERNS and needed.isdisjoint(_CONCERNS[warning.code]))
        and not (near and warning.code in _NOT_OF_CLOSE_UPS)
        and not (checked and warning.code.endswith("_out_of_picture"))
    ]


def _plainly(warning: Warned) -> Warned:
    """Say of an angle that was refused how often only; why stands with its joint."""
    found = re.match(r"(.*) refused in (\d+)%", warning.message)
    if warning.code != "angle_refused" or found is None:
        return warning
    text = f"{found[1]} is too uncertain in {found[2]} % of the values, which are left out."
    return warning.model_copy(update={"message": text})


def sureness(
    warnings: Sequence[Warned],
    names: Sequence[str],
    quality: Mapping[str, Any],
    pose: xr.Dataset,
    metrics: xr.Dataset | None = None,
) -> str:
    """Say what limits the trust in what was measured of these angles."""
    one = "position_draws" in pose and len(cameras_of(pose)) < 2
    return sections.distrust(
        relevant(warnings, names, quality, metrics),
        *(() if one else (pose,)),
        standing="One camera measures a joint well where it moves in the plane of the picture; how "
        "far it may be off stands beside each number (±)."
        if one
        else "",
    )


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
    quality: Mapping[str, Any], metrics: xr.Dataset, pose: xr.Dataset | None = None
) -> str:
    """Say how well the video can be measured, judged by :func:`judged`.

    Empty where nothing was measured: no check would say more than that, and some the opposite.
    """
    if unmeasured(metrics)[0]:
        return ""
    return sections.capture_quality(judged(quality, metrics, pose))


def asked_for(metrics: xr.Dataset) -> str:
    """Movement that was asked for; empty where it was to be found."""
    arguments = history(metrics)[-1]["arguments"] if history(metrics) else {}
    return str(arguments.get("movement") or "")


def unmeasured(metrics: xr.Dataset) -> tuple[str, str, str]:
    """Say that nothing of what was to be measured was, and why; empty where something was.

    Returns
    -------
    what, why
        In a sentence each.
    name
        The movement whose film advice helps; empty where it may be one of several.
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
        note if len(notes) == len(joints) == 1 else f"{_both(whose)}: {note}"
        for note, whose in notes.items()
        if note
    )
    name = asked or (movements_of(joints[0])[0] if len(joints) == 1 else "")
    what = (asked or (joints[0] if len(joints) == 1 else "no joint")).replace("_", " ")
    verb = "was measured" if what == "no joint" else "was not measured"
    told = f"{why[:1].upper()}{why[1:]}." if why else ""
    return f"{what.capitalize()} {verb}.", told, name


def _both(whose: Sequence[str]) -> str:
    """Put the sides together: "both elbows", else "left elbow, right knee"."""
    joints = [each.partition(" ")[2] for each in whose]
    told = [
        f"left and right {joint}" if joint and joints.count(joint) > 1 else each
        for each, joint in zip(whose, joints, strict=True)
    ]
    return ", ".join(dict.fromkeys(told))


def judged(
    quality: Mapping[str, Any], metrics: xr.Dataset, pose: xr.Dataset | None = None
) -> dict[str, Any]:
    """Judge a recording by what the joints need that moved in it, or were to.

    Parameters
    ----------
    quality
        The document of :func:`mobility.capture.quality.capture_quality`, which judges for squats.
    metrics
        Of :func:`mobility.joint_mobility`.
    pose
        Of the same recording. With it the framing is that of the landmarks of the joints that
        moved, else of the hands, feet or head of which they need one.
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

    known = tables.load("joint_mobility")["joints"]
    joints = [joint for joint, _, _ in _moved(metrics)] or list(map(str, metrics["joint"].values))
    needed = {name for joint in joints for name in known[joint]["landmarks"]}
    return {
        part
        for part, names in GROUPS.items()
        if needed & {name.removeprefix("left_").removeprefix("right_") for name in names}
    }


def _moved(metrics: xr.Dataset) -> list[tuple[str, str, str]]:
    """Joints and sides that moved, and which movement of the table that was; "" for none."""
    return [
        (str(joint), side, str(metrics["shown"].sel(joint=joint, side=side).item()))
        for joint in metrics["joint"].values
        for side in SIDES
        if int(metrics["movements"].sel(joint=joint, side=side))
    ]


def _judged_view(view: Mapping[str, Any], metrics: xr.Dataset) -> dict[str, Any]:
    """Judge a view by the movements: seen in the picture, or measured well all the same."""
    limits = tables.load("filming")
    seen = {k: v for k, v in view.items() if k not in ("supports", "does_not_support")}
    moved = _moved(metrics)
    names = list(dict.fromkeys(name for _, _, name in moved if name)) or [asked_for(metrics)]
    names = [name for name in names if name]
    azimuth = seen["azimuth_deg"]
    beside = limits["beside_deg"]["value"]
    off = [n for n in names if azimuth is None or _beside(movement(n)["view"], azimuth) > beside]
    halves = [
        Z95 * float(metrics["end_of_range_sd"].sel(joint=joint, side=side))
        for joint, side, name in moved
        if name in off
    ]
    well = bool(halves) and max(halves) <= limits["narrow_deg"]["value"]
    if names and (well or not off):
        return {**seen, "verdict": "ok", "advice": None}
    verdict = "poor" if off and azimuth is not None else None
    return {**seen, "verdict": verdict, "advice": refusal_advice(off[0]) if off else None}


def _beside(view: str, azimuth_deg: float) -> float:
    """How far a camera stands beside the view from which a movement is to be filmed, degrees."""
    from_side = abs(abs(azimuth_deg) - 90)
    return from_side if view == "side" else 90 - from_side


def _judged_framing(
    framing: Mapping[str, Any], metrics: xr.Dataset, pose: xr.Dataset | None
) -> dict[str, Any]:
    """Judge by the parts that the joints need which moved, or which were to be measured."""
    known = tables.load("joint_mobility")["joints"]
    needed = [
        (f"{side}_{name}", joint)
        for joint, side, _ in _moved(metrics)
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


def posture(metrics: xr.Dataset) -> str:
    """Say in which posture the joints were moved."""
    share = {
        str(name): float(metrics["posture_share"].sel(posture=name))
        for name in metrics["posture"].values
    }
    many = {name: value for name, value in share.items() if value >= 0.05}
    told = [
        f"{'not clear' if name == 'other' else name} ({100 * value:.0f} % of the frames)"
        for name, value in many.items()
    ]
    if set(many) <= {"other"}:
        return facts({"Posture": "not told by what is in the picture"})
    return facts({"Posture": ", ".join(many if len(many) == 1 else told)})


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
        # The curve is that of the angle: of an extension the flexion, which goes below zero.
        name = str(movement(shown)["angle"]) if shown else ANGLE_OF_JOINT[angle.joint]
        if not shown and int(metrics["movements"].sel(joint=angle.joint, side=side)):
            name = angle.joint  # what moved is none of the known movements
        name = name.replace("_", " ")
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
    labels: list[tuple[float, str, bool, str, float]] = []
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
    low, high = axis.get_ylim()
    levels = [level for level, *_ in labels]
    # A label needs an eighth of the panel: above the highest line below the title, between two lines.
    low, high = min([low, *(v - (high - low) / 8 for v in levels)]), max([high, *levels])
    axis.set_ylim(low, high + (high - low) / 8)
    for number, (level, text, _, shade, across) in enumerate(labels):
        if any(0 < other - level < (high - low) / 8 for other in levels):
            labels[number] = level, text, False, shade, across
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


def stills(metrics: xr.Dataset, angles: Sequence[Shown]) -> str:
    """Draw every shown joint that has values, each side by itself."""
    made = []
    for each in angles:
        for side in each.sides:
            one = Shown(each.key, each.joint, (side,))
            if is_seen(metrics, one):
                figure = angle_figure(metrics, one)
                made.append((figure, f"{one.heading}: angle over time with its extremes"))
    return sections.charts(*made)


def _spans(rows: NDArray[np.bool_], time: NDArray[np.float64]) -> list[tuple[float, float]]:
    """Beginning and end of each run of True, seconds."""
    if not rows.size:
        return []
    edges = np.flatnonzero(np.diff(np.concatenate([[False], rows, [False]]).astype(int)))
    return [
        (float(time[a]), float(time[min(b, time.size - 1)]))
        for a, b in zip(edges[::2], edges[1::2], strict=True)
    ]
