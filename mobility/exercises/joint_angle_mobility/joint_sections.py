"""The page of single-joint range of motion: its sections and their parts."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, cast

import htpy as h
import numpy as np
import xarray as xr
from markupsafe import Markup

from mobility import tables
from mobility.assessment.movements import how_to_film, movement
from mobility.assessment.number import Number, number_of, reason_missing
from mobility.base.formatting import (
    MISSING,
    between,
    both_sides,
    capital,
    listed,
    measure_of,
    plus_minus,
    quantity,
    rounded,
    spoken,
)
from mobility.base.provenance import cameras_of
from mobility.catalogue.joints import ANGLE_OF_JOINT
from mobility.documents.fill import SIDES, joint_angles_shown
from mobility.documents.lab_references import LabReferences
from mobility.documents.of_session import verdict_of
from mobility.exercises.joint_angle_mobility.documents import joint_curves
from mobility.exercises.joint_angle_mobility.excursions import constants
from mobility.exercises.joint_angle_mobility.joint_values import end_is_certain, reason_withheld
from mobility.exercises.joint_angle_mobility.joint_verdict import (
    applicable_warnings,
    moved_in,
    quality_for_joints,
    side_label,
    unmeasured,
    verdict_in_joints,
    with_side_doubt,
)
from mobility.kinematics.angle_errors import legs_unseen
from mobility.kinematics.expected_error import half_width
from mobility.kinematics.skeleton import definitions
from mobility.plotting import trial_plots
from mobility.reports import additions, errors_in_words, gauges, origin, recording
from mobility.reports import lab_norms as norms
from mobility.reports.charts import charts
from mobility.reports.figures import angle_names
from mobility.reports.first_page import trust
from mobility.reports.gauges import Gauge
from mobility.reports.html import Cell, Row, bullets, facts, html, measured, paragraphs, table
from mobility.reports.page import ReportPage, Section
from mobility.reports.sections import sources

if TYPE_CHECKING:
    from mobility.base.provenance import AnalysisWarning
    from mobility.documents.lab_references import Norm
    from mobility.sessions.record import SessionRecord, StoredConfig
    from mobility.sessions.stored_session import StoredSession

_MOST_SENTENCES = 3
"""Largest number of sentences on the first page about how far the joints go."""

_MOST_DIFFERENCES = 2
"""Largest number of side differences on the first page with a sentence of their own."""

MOST_GAUGES = 6
"""Largest number of gauges on the first page; each also takes a line for its reference group."""

COMPARED = (
    *("less", "below", "farther", "above", "close", "near", "uncertain", "usual"),
    *("others", "unsure", "none", "untold"),
)
"""Outcomes of a comparison, the most notable first; their sentences are in ``joints.compared``."""


@dataclass(frozen=True)
class Shown:
    """One angle of the report: its key in the display settings, joint, sides and comment."""

    key: str
    joint: str
    sides: tuple[str, ...]
    comment: str = ""

    def heading(self, metrics: xr.Dataset) -> str:
        """Name the joint, and the side if only one is shown."""
        side = f"{side_label(metrics, self.sides[0])} " if len(self.sides) == 1 else ""
        return capital(f"{side}{self.joint}")


def trust_in_joints(
    quality: Mapping[str, Any],
    metrics: xr.Dataset,
    pose: xr.Dataset,
    warnings: Sequence[AnalysisWarning] = (),
) -> Markup:
    """Show the verdict; if nothing was measured, also a drawing of how to film it."""
    verdict = verdict_in_joints(quality, metrics, pose, warnings)
    name = unmeasured(metrics)[2]
    if not name:
        return trust(verdict)
    drawing = how_to_film(name).drawing.read_text(encoding="utf-8")
    shown = Markup(drawing), h.figcaption[verdict.what_to_do]  # noqa: S704, a file of this package
    return html(trust(replace(verdict, what_to_do="")), h.figure(".film")[shown])


def shown(record: SessionRecord, config: StoredConfig | None) -> list[Shown]:
    """List the selected angles in the selected order, with their comments.

    `knee_angle` selects both sides, `left_knee_angle` only the left. Without a selection, each
    measured joint is shown with both sides.
    """
    keys = joint_angles_shown(record.joints, config.shown_angles if config else ())
    comments = config.comments if config else {}
    listed_angles = []
    for key in keys:
        name = key.removesuffix("_angle")
        side, _, joint = name.rpartition("_")
        listed_angles.append(Shown(key, joint, (side,) if side else SIDES, comments.get(key, "")))
    return listed_angles


def places(metrics: xr.Dataset, angles: Sequence[Shown] = ()) -> list[tuple[str, str]]:
    """List joint and side of each angle in `angles`, or of all analysed angles, in their order."""
    if angles:
        return [(each.joint, side) for each in angles for side in each.sides]
    return [(str(joint), side) for joint in metrics["joint"].values for side in SIDES]


def overview(metrics: xr.Dataset, angles: Sequence[Shown]) -> Markup:
    """Make the table of the results for each joint and side, with 95 % intervals."""
    averaged = any(_average_cell(metrics, *place) != MISSING for place in places(metrics, angles))
    head = ["Movement", "From", "To", "Range", *(["Average"] if averaged else [])]
    scored = bool(np.isfinite(metrics["score"].values).any())
    rows: list[Row] = []
    for angle in angles:
        for side in angle.sides:
            one = metrics.sel(joint=angle.joint, side=side)
            name = f"{_side_head(metrics, side)} {_movement_name(one, angle.joint)}"
            row: list[h.Node | Cell] = [name]
            if not np.isfinite([float(one["maximum"]), float(one["minimum"])]).any():
                why = reason_missing(metrics, "end_of_range", side, joint=angle.joint)
                explanation = tables.sentence("joints.not_measured", why=why)
                row.append(Cell(explanation, "missing words", columns=len(head) - 1 + scored))
            else:
                if times := int(one["movements"]):
                    row = [(name, " ", h.span(".interval")[f"× {times}"])]
                why = reason_withheld(one)
                first, last = (_cell(one, name, sign=sign) for name, sign in _ends(one))
                reach: Row = [first, last, _cell(one, "range_of_motion")]
                if why:
                    begun = [first] if one["shown"].item() else []
                    width = len(reach) - len(begun)
                    reach = [*begun, Cell(why, "missing words", columns=width)]
                row += [*reach, *([_average_cell(metrics, angle.joint, side)] if averaged else [])]
                row += [MISSING if why else _cell(one, "score")] if scored else []
                if not times and (angle.joint, side) not in _places_that_move(metrics):
                    held = tables.sentence("joints.held", value=_held(one))
                    row = [name, Cell(held, "missing words", columns=len(head) - 1 + scored)]
            rows.append(row)
            if opposite := _opposite_row(metrics, angle.joint, side, averaged=averaged):
                rows.append([*opposite, *[""] * scored])
        for difference in differences(metrics, [angle]):
            name = tables.sentence("joints.difference.row", name=difference.name)
            rows.append([name, "", difference.measured, *[""] * (len(head) - 3 + scored)])
    caption = tables.sentence("joints.measures")
    if averaged:
        caption = tables.sentence("joints.average", measures=caption)
    head += ["Score"] if scored else []
    return table(head, rows, caption=caption, numeric=True)


def _held(one: xr.Dataset) -> str:
    """Return the angle at which a joint without movement was held most of the time."""
    half = number_of(one, "maximum").half_width
    return quantity(float(np.nanmedian(one["angle"])), "degree", half=half)


def _places_that_move(metrics: xr.Dataset) -> set[tuple[str, str]]:
    """Return the sides of joints that move, even if no movement counts, without sides at rest."""
    longest = constants()["movement"]["longest_hold_s"]
    at_rest = {
        tables.sentence("reasons.movement.rests"),
        tables.sentence("reasons.movement.held", longest=longest),
    }
    names = (metrics[f"movement_{part}"].values for part in ("joint", "side", "reason"))
    return {(joint, side) for joint, side, why in zip(*names, strict=True) if why not in at_rest}


def _opposite_row(metrics: xr.Dataset, joint: str, side: str, *, averaged: bool) -> Row:
    """Make the row for the other end of a movement; empty if that end is not reported."""
    one = metrics.sel(joint=joint, side=side)
    reach = _opposite_reach(one, Reach(joint, "", Number(side=side)))
    if reach is None or not reach.certain:
        return []
    average = [_average_cell(metrics, f"{joint}_opposite", side)] if averaged else []
    name = f"{_side_head(metrics, side)} {reach.name}"
    return [name, "", _cell(one, "opposite_end"), "", *average]


def _side_head(metrics: xr.Dataset, side: str) -> str:
    return capital(side_label(metrics, side))


def _ends(one: xr.Dataset) -> tuple[tuple[str, int], tuple[str, int]]:
    """Return both ends of a movement in its own direction, the start first."""
    shown = str(one["shown"].item())
    if shown and movement(shown)["end"] == "smallest":
        return ("maximum", -1), ("minimum", -1)
    return ("minimum", 1), ("maximum", 1)


def _movement_name(one: xr.Dataset, joint: str) -> str:
    """Name of the movement shown, or of the joint if there was none."""
    return spoken(str(one["shown"].item())) or joint


def reached(metrics: xr.Dataset) -> list[str]:
    """List how far each joint and side moved: "left elbow flexion 112° ± 14°"."""
    all_reaches = reaches(metrics)
    by_place = {(each.joint, each.side): each for each in all_reaches if not each.opposite}
    phrases = []
    for joint, side, movement_name in moved_in(metrics):
        each = by_place.get((joint, side))
        name = f"{side_label(metrics, side)} {spoken(movement_name) or joint}"
        if each is None:
            phrases.append(tables.sentence("joints.reached_other", name=name))
        elif not each.certain:
            phrases.append(tables.sentence("joints.reached_untold", name=name))
        else:
            phrases.append(f"{name} {each.measured}")
    return phrases + [
        f"{each.named} {each.name} {each.measured}"
        for each in all_reaches
        if each.opposite and each.certain
    ]


@dataclass(frozen=True)
class Reach:
    """How far one side of a joint went, and the reference range of active movement.

    Attributes
    ----------
    joint, movement
        The joint and its movement; `movement` is "" if it is not in the table ``movements``.
    number
        How far it went, in the direction of the movement.
    people
        The people measured by the reference study; "" if there is no reference.
    low, mean, high
        Their mean and the range that contains 95 % of them; NaN if unknown.
    note
        Why this person may not belong to that group; "" if the person does.
    certain
        Whether the error is small enough for the value to be reported.
    named
        The side as it is written in a sentence.
    opposite
        Whether it is the opposite end of the movement shown.
    """

    joint: str
    movement: str
    number: Number
    people: str = ""
    low: float = math.nan
    mean: float = math.nan
    high: float = math.nan
    note: str = ""
    certain: bool = True
    named: str = ""
    opposite: bool = False

    @property
    def side(self) -> str:
        """The side that moved, as a word."""
        return self.number.side

    @property
    def name(self) -> str:
        """The movement: "elbow flexion"."""
        return spoken(self.movement or self.joint)

    @property
    def measured(self) -> str:
        """How far it went, with the error: "112° ± 14°"."""
        return self.number.text

    @property
    def compared(self) -> str:
        """How the value compares with the range: one of the keys of ``joints.compared``."""
        if not self.certain:
            return "untold"
        if not math.isfinite(self.mean):
            return "none"
        if self.note:
            return "others"
        if not math.isfinite(self.number.sd):
            return "unsure"
        spread = math.isfinite(self.low)
        low, high = (self.low, self.high) if spread else (self.mean, self.mean)
        least, most = self.number.interval
        if most < low:
            return "less" if spread else "below"
        if least > high:
            return "farther" if spread else "above"
        if not spread:
            return "near"
        if least >= low:
            return "usual"
        return "uncertain" if 2 * self.number.half_width > high - low else "close"

    @property
    def sentence(self) -> str:
        """The comparison in one sentence."""
        value, half = self.number.value, self.number.half_width
        size = rounded(value)
        error = f" {plus_minus(half)}" if math.isfinite(half) else ""
        kind = self.movement or "other"
        if self.from_straight and abs(round(value)) <= round(half, 0):  # as displayed
            kind += ".about"
        elif self.from_straight:
            kind += ".short" if round(value) < 0 else ".beyond"
            size = rounded(abs(value))
        reached = tables.sentence(
            f"joints.reaches.{kind}",
            side=self.named or self.side,
            joint=self.joint,
            value=f"{size}{error} degrees",
        )
        return tables.sentence(
            f"joints.compared.{self.compared}",
            reaches=reached,
            name=capital(f"{self.named or self.side} {self.name}"),
            half=rounded(half),
            **self._range,
        )

    def beside(self, *, alone: bool) -> str:
        """Write the text next to its gauge; with `alone`, the caption names the reference group."""
        without = "others" if self.note else "none"
        kind = without if not self.people else "one" if alone else "several"
        return tables.sentence(f"joints.gauge.{kind}", **self._range)

    @property
    def from_straight(self) -> bool:
        """Whether zero is a straight limb, so that the sentence needs no sign."""
        return self.movement in ("elbow_extension", "knee_extension")

    @property
    def _range(self) -> dict[str, str]:
        ends = {"low": self.low, "mean": self.mean, "high": self.high}
        in_words = {name: rounded(value) for name, value in ends.items() if math.isfinite(value)}
        if not in_words:
            return {}
        kind = "spread" if "low" in in_words else "average"
        range_in_words = tables.sentence(f"joints.ranges.{kind}", **in_words)
        return {"people": self.people, "range": range_in_words, **in_words}


def reaches(metrics: xr.Dataset, angles: Sequence[Shown] = ()) -> list[Reach]:
    """Compare the ends of range of the joints and sides that moved, for `angles` or for all."""
    compared = []
    moved = {(joint, side): name for joint, side, name in moved_in(metrics)}
    for joint, side in places(metrics, angles):
        if (joint, side) not in moved:
            continue
        name = moved[joint, side]
        one = metrics.sel(joint=joint, side=side)
        end = number_of(metrics, "end_of_range", side, joint=joint)
        if not end.is_measured:
            continue
        certain = end_is_certain(metrics, joint, side)
        reach = Reach(joint, name, end, certain=certain, named=side_label(metrics, side))
        compared.append(_with_range(reach, _references(metrics).get(f"{side}_{joint}")))
        if opposite := _opposite_reach(one, reach):
            reference = _references(metrics).get(f"{side}_{joint}_opposite")
            compared.append(_with_range(opposite, reference))
    return compared


def _opposite_reach(one: xr.Dataset, shown: Reach) -> Reach | None:
    """Return how far the joint went at the opposite end of its movement; None if unreported."""
    name = str(one["opposite"].item())
    end = number_of(one, "opposite_end")
    if not name or not end.is_measured:
        return None
    certain = not end.sd > constants()["certain"]["largest_sd_deg"]
    number = replace(end, side=shown.side)
    return replace(shown, movement=name, number=number, certain=certain, opposite=True)


def _with_range(reach: Reach, reference: Mapping[str, Any] | None) -> Reach:
    """Add the reference range if a study published one."""
    if reference is None or reference["mean"] is None:
        return reach
    ranges = tables.load("reference_ranges")
    deviations = float(ranges["usual"]["standard_deviations"])
    mean, spread = float(reference["mean"]), deviations * float(reference["sd"] or math.nan)
    return replace(
        reach,
        people=str(ranges["studies"][reference["study"]]["people"]),
        low=mean - spread,
        mean=mean,
        high=mean + spread,
        note=reference["note"],
    )


@dataclass(frozen=True)
class Difference:
    """How much farther the right side goes than the left."""

    name: str
    number: Number

    @property
    def exceeds_error(self) -> bool:
        """Whether the difference exceeds its error, both rounded to whole degrees as displayed."""
        return abs(round(self.number.value)) > round(self.number.half_width, 0)

    @property
    def measured(self) -> Markup:
        """The difference (right minus left) with its error."""
        return measured(self.number, signed=True)

    @property
    def sentence(self) -> str:
        """The difference in a sentence."""
        value, half = self.number.value, self.number.half_width
        kind = "right" if value > 0 else "left"
        size = {"value": rounded(abs(value)), "half": rounded(half)}
        return tables.sentence(f"joints.difference.{kind}", name=capital(self.name), **size)


def differences(metrics: xr.Dataset, angles: Sequence[Shown] = ()) -> list[Difference]:
    """Compare the sides of joints (in `angles`, or all) whose sides show the same movement.

    The most precise difference comes first. A joint is left out if the end of range of one side is
    too uncertain, or if left and right may have been exchanged.
    """
    if metrics.attrs.get("sides_in_doubt"):
        return []
    compared = []
    wanted = dict.fromkeys(joint for joint, _ in places(metrics, angles))
    for joint in wanted:
        one = metrics.sel(joint=joint)
        difference = number_of(one, "side_difference")
        certain = all(
            (joint, side) in places(metrics, angles) and end_is_certain(metrics, joint, side)
            for side in SIDES
        )
        if certain and difference.is_measured and math.isfinite(difference.sd):
            compared.append(Difference(spoken(str(one["shown"].values[0])), difference))
    return sorted(
        compared, key=lambda each: -abs(each.number.value) / max(each.number.half_width, 1e-6)
    )


def _compared(metrics: xr.Dataset, angles: Sequence[Shown]) -> list[str]:
    """Write a sentence for each difference that exceeds its error, and one for all others."""
    of_sides = differences(metrics, angles)
    apart = [each.sentence for each in of_sides if each.exceeds_error][:_MOST_DIFFERENCES]
    alike = [f"{each.name} ({each.number.text})" for each in of_sides if not each.exceeds_error]
    without_difference = (
        [tables.sentence("joints.difference.none", names=listed(alike))] if alike else []
    )
    return apart + without_difference


def _with_gauge(metrics: xr.Dataset, angles: Sequence[Shown]) -> list[Reach]:
    """Return the values with a gauge, without ranges of people who are not comparable.

    The opposite end of a movement has a gauge of its own if it has a range. It also has one if the
    movement itself has no range, because the movement begins at that end.
    """
    certain = [
        replace(each, people="", low=math.nan, mean=math.nan, high=math.nan)
        if each.compared == "others"
        else each
        for each in reaches(metrics, angles)
        if each.certain
    ]
    begin = {(each.joint, each.side) for each in certain if not each.opposite}
    return [
        each
        for each in certain
        if not each.opposite or each.people or (each.joint, each.side) not in begin
    ]


def _begins(metrics: xr.Dataset, reach: Reach) -> Number | None:
    """Return the angle at which a movement begins, in its own direction; None if it is unknown."""
    one = metrics.sel(joint=reach.joint, side=reach.side)
    (name, sign), _ = _ends(one)
    start, largest = number_of(one, name), constants()["certain"]["largest_sd_deg"]
    if reach.opposite or not start.is_measured or start.sd > largest:
        return None
    return replace(start, value=sign * start.value)


def gauges_of(
    metrics: xr.Dataset,
    angles: Sequence[Shown] = (),
    *,
    lab: LabReferences | None = None,
    most: int | None = MOST_GAUGES,
) -> list[Gauge]:
    """Make the gauges of a first page: how far each movement went, and the reference range.

    A norm of the lab itself replaces a published one.

    Parameters
    ----------
    metrics
        Metrics of the session.
    angles
        Angles that are shown; all if it is empty.
    lab
        The lab's own norms and errors that apply to the session.
    most
        Largest number of gauges; None for all.
    """
    lab = lab or LabReferences()
    drawn = _with_gauge(metrics, angles)
    alone = len(_people(drawn, lab)) == 1
    grouped: dict[tuple[str, str], list[Reach]] = {}
    for reach in drawn:
        beside = reach.beside(alone=alone)
        if norm := _lab_norm(reach, lab):
            low, high = map(rounded, norms.band(norm[0]))
            beside = tables.sentence("joints.gauge.lab", low=low, high=high)
        grouped.setdefault((capital(reach.name), beside), []).append(reach)
    return [
        _gauge(name, beside, alike, metrics, lab)
        for (name, beside), alike in list(grouped.items())[:most]
    ]


def _gauge(
    name: str, beside: str, alike: Sequence[Reach], metrics: xr.Dataset, lab: LabReferences
) -> Gauge:
    """Make the gauge of a movement, for the sides that are compared with the same people."""
    first, norm = alike[0], _lab_norm(alike[0], lab)
    begins = {each.side: _begins(metrics, each) for each in alike}
    of_lab = {each.side: lab.retest_error(_measure(each), each.side) for each in alike}
    return Gauge(
        name,
        {each.side: each.number for each in alike},
        "degree",
        norm[0].mean if norm else first.mean,
        beside,
        norms.band(norm[0]) if norm else (first.low, first.high),
        lab_retest={
            side: (half_width(error[0].sem), norms.error_of(error[0].participants, error[1]))
            for side, error in of_lab.items()
            if error
        },
        norm=norm,
        begins={side: first for side, first in begins.items() if first},
    )


def _measure(reach: Reach) -> str:
    """Name the end of range as studies do."""
    return measure_of("end_of_range", reach.movement)


def _lab_norm(reach: Reach, lab: LabReferences) -> tuple[Norm, str] | None:
    """Find the lab's norm of a movement; a movement without a name has none."""
    return lab.norm(_measure(reach)) if reach.movement else None


def show_gauges(
    metrics: xr.Dataset, angles: Sequence[Shown] = (), *, lab: LabReferences | None = None
) -> Markup:
    """Show the gauges; the caption names the reference groups."""
    people = _people(_with_gauge(metrics, angles), lab or LabReferences())
    kind = "none" if not people else "one" if len(people) == 1 else "several"
    caption = tables.sentence(f"joints.gauges.{kind}", people=listed(people))
    doubt = metrics.attrs.get("sides_in_doubt")
    added = [tables.sentence("report.sides_in_doubt")] if doubt else []
    return gauges.show(gauges_of(metrics, angles, lab=lab), caption=". ".join([caption, *added]))


def _people(reaches: Sequence[Reach], lab: LabReferences) -> list[str]:
    """Name the people of the published ranges that are drawn."""
    drawn = (each.people for each in reaches if each.people and not _lab_norm(each, lab))
    return list(dict.fromkeys(drawn))


def commented(metrics: xr.Dataset, shown_sides: Sequence[Shown]) -> Markup:
    """Show the comments on angles, each with the name of its angle."""
    return html(
        h.blockquote(".comment")[h.strong[f"{each.heading(metrics)}:"], f" {each.comment}"]
        for each in shown_sides
        if each.comment
    )


def in_words(metrics: xr.Dataset, angles: Sequence[Shown] = ()) -> Markup:
    """Describe side differences and how far the joints go, and list missing values."""
    ordered = sorted(reaches(metrics, angles), key=lambda reach: COMPARED.index(reach.compared))
    in_sentences = ordered[:_MOST_SENTENCES]
    compared_with_others = [each for each in ordered if each.compared == "others"]
    not_known = tables.load("sentences_reasons")["reference"]["participant"].values()
    notes = []
    for people in dict.fromkeys(each.people for each in compared_with_others if each.people):
        these = [each for each in compared_with_others if each.people == people]
        unknown = next(filter(these[0].note.startswith, not_known), "")
        notes.append(
            tables.sentence(
                "joints.below.alone_unknown" if unknown else "joints.below.alone",
                names=both_sides(
                    [f"{each.named} {each.name if each.opposite else each.joint}" for each in these]
                ),
                people=people,
                unknown=unknown,
            )
        )
    kinds = ("more", "untold", "unnamed", "uncounted", "unseen", "unmeasured", "still")
    names_of_kind: dict[str, list[str]] = {kind: [] for kind in kinds}
    moved = _places_that_move(metrics)
    covered = {(each.joint, each.side) for each in in_sentences if not each.opposite}
    for joint, side in places(metrics, angles):
        one = metrics.sel(joint=joint, side=side)
        kind, name = "more", spoken(str(one["shown"].item())) or joint
        if not int(one["movements"]):
            missing, name = float(one["refused_share"]), joint
            kind = "unmeasured" if missing == 1 else "unseen" if missing > 0.5 else "still"
            if missing < 1 and (joint, side) in moved:
                kind = "uncounted"
        elif reason_withheld(one):
            kind = "untold" if one["shown"].item() else "unnamed"
        if (joint, side) not in covered:
            names_of_kind[kind].append(f"{side_label(metrics, side)} {name}")
    for reach in ordered[_MOST_SENTENCES:]:
        if reach.opposite:
            names_of_kind["more" if reach.certain else "untold"].append(
                f"{reach.named} {reach.name}"
            )
    if len(gauges_of(metrics, angles, most=None)) <= MOST_GAUGES:  # each has its own row
        names_of_kind["more"] = []
    notes += [
        tables.sentence(f"joints.rest.{kind}", names=both_sides(names))
        for kind, names in names_of_kind.items()
        if names
    ]
    lines = _compared(metrics, angles) + [each.sentence for each in in_sentences]
    body = bullets(lines) or paragraphs(tables.sentence("joints.nothing"))
    return body + paragraphs(*notes, kind="note")


def measured_angles(metrics: xr.Dataset, angles: Sequence[Shown]) -> list[str]:
    """List the names of the measured angles; for a hip that moves sideways, its abduction."""
    names_in_order: dict[str, None] = {}
    for angle in angles:
        shown = metrics["shown"].sel(joint=angle.joint, side=list(angle.sides)).values
        names = [str(name) for name in shown if name] or [""]
        names_in_order |= dict.fromkeys(_angle_of(angle.joint, name) for name in names)
    return list(names_in_order)


def _angle_of(joint: str, name: str) -> str:
    """Return the angle that measures a movement; the joint's own angle if it has no name."""
    angle = str(movement(name)["angle"]) if name else ANGLE_OF_JOINT[joint]
    # An arm that is raised sideways is measured by its elevation, whatever its plane.
    return angle if angle in definitions() else ANGLE_OF_JOINT["shoulder"]


def _cell(one: xr.Dataset, name: str, *, sign: int = 1) -> Markup:
    number = number_of(one, name)
    return measured(replace(number, value=sign * number.value))


def _references(metrics: xr.Dataset) -> Mapping[str, Mapping[str, Any]]:
    return cast("Mapping[str, Mapping[str, Any]]", json.loads(metrics.attrs["references"]))


def _average_cell(metrics: xr.Dataset, joint: str, side: str) -> str:
    entry = _references(metrics).get(f"{side}_{joint}")
    if entry is None or entry["note"]:  # from people who are not comparable with this person
        return MISSING
    if entry["mean"] is None:
        return between(entry["lowest"], entry["highest"], "degree")
    return quantity(entry["mean"], "degree")


def speeds(metrics: xr.Dataset, angles: Sequence[Shown]) -> Markup:
    """Make the table of how fast each joint and side moved, and how repeatable that is."""
    rows: list[Row] = []
    for angle in angles:
        for side in angle.sides:
            one = metrics.sel(joint=angle.joint, side=side)
            if not int(one["movements"]) or reason_withheld(one):
                continue
            repeats = [MISSING, MISSING]
            spread, change = float(one["repeatability"]), float(one["detectable_change"])
            if math.isfinite(change):
                repeats = [quantity(spread, "degree", digits=1), quantity(change, "degree")]
            fast = [_cell(one, "peak_velocity"), _cell(one, "mean_velocity")]
            name = f"{_side_head(metrics, side)} {_movement_name(one, angle.joint)}"
            rows.append([name, *fast, *repeats])
    head = [
        "Movement",
        "Peak speed",
        "Mean speed",
        "SD of the end of range",
        "Smallest detectable change",
    ]
    return table(head, rows, caption=tables.sentence("joints.speeds"), numeric=True)


def details(metrics: xr.Dataset, angle: Shown) -> Markup:
    """Return the remarks on a joint under its name; empty if there are none."""
    moved = bool((metrics["movements"].sel(joint=angle.joint) > 0).any())
    by_text: dict[str, list[str]] = {}
    for side in angle.sides:
        reference = _references(metrics).get(f"{side}_{angle.joint}") or {}
        one = metrics.sel(joint=angle.joint, side=side)
        # It is already in the table of references.
        less = tables.sentence("reasons.reference.no_score", reason=reference.get("note"))
        if text := _remarks(one, moved=moved, less=less):
            by_text.setdefault(text, []).append(side_label(metrics, side))
    lines = (f"{capital(listed(sides))}: {text}" for text, sides in by_text.items())
    return html(h.h3[angle.heading(metrics)], paragraphs(*lines)) if by_text else html()


def _remarks(one: xr.Dataset, *, moved: bool, less: str = "") -> str:
    """Return the remarks on a side without the sentence `less`; `moved`: whether a side moved."""
    parts = str(one["note"].item()).replace(less, "").split("; ")
    note, refused = "; ".join(filter(None, parts)), float(one["refused_share"])
    remarks = [f"{note}."] if note else []
    if advice := str(one["advice"].item()):
        remarks.append(tables.sentence("joints.film_too") if moved else advice)
    if 0.005 <= refused < 1:
        remarks.append(tables.sentence("joints.refused_share", share=refused))
    return " ".join(remarks)


def reference_table(metrics: xr.Dataset, angles: Sequence[Shown]) -> Markup:
    """Make the table of the references of each shown joint, and the people they measured."""
    wanted = {
        f"{s}_{each.joint}{end}": side_label(metrics, s)
        for each in angles
        for s in each.sides
        for end in ("", "_opposite")
    }
    rows: list[Row] = []
    studies: dict[tuple[str, str], list[str]] = {}
    alike: dict[str, list[str]] = {}
    for key, entry in _references(metrics).items():
        if key in wanted:
            # Both sides of a joint share one row, unless they showed different movements.
            joint = _of_reference(metrics, key)
            same = json.dumps([joint, entry], sort_keys=True)
            alike.setdefault(same, []).append(f"{wanted[key]} {joint}")
    for same, names in alike.items():
        entry = json.loads(same)[1]
        if entry["mean"] is None:
            value = f"{entry['lowest']:g} to {entry['highest']:g}°"
        else:
            value = f"{entry['mean']:g}°"
        spread = "" if entry["sd"] is None else f", SD {entry['sd']:g}°"
        group = ", ".join(
            part
            for part in (
                entry["sex"],
                None if entry["age"] is None else f"{entry['age'][0]} to {entry['age'][1]} years",
            )
            if part
        )
        studies.setdefault((entry["sample"], entry["source"]), []).extend(names)
        rows.append(
            [
                capital(both_sides(names)),
                f"{value} ({entry['statistic']}{spread})",
                tables.sentence(f"joints.kinds.{entry['kind']}"),
                group or tables.sentence("joints.whole_group"),
                entry["note"] or MISSING,
            ]
        )
    if not rows:
        return paragraphs(tables.sentence("joints.no_range"))
    sources = [
        f"{capital(both_sides(names))}: {sample}. {source}."
        for (sample, source), names in studies.items()
    ]
    introduction = paragraphs(tables.sentence("joints.ranges_of")) + table(
        ["Joint", "Value", "Motion", "Group", "Note"],
        rows,
        caption=tables.sentence("joints.ranges_compared"),
    )
    return introduction + paragraphs(*sources)


def _of_reference(metrics: xr.Dataset, key: str) -> str:
    """Name what a reference describes: the joint, or the movement at its opposite end."""
    side, _, joint = key.partition("_")
    if not joint.endswith("_opposite"):
        return joint
    one = metrics.sel(joint=joint.removesuffix("_opposite"), side=side)
    return spoken(str(one["opposite"].item()))


def movement_table(metrics: xr.Dataset, angles: Sequence[Shown]) -> Markup:
    """Make the table of the movements of the shown joints, in the order of time."""
    wanted = {(each.joint, side) for each in angles for side in each.sides}
    rows: list[Row] = []
    for i in range(metrics.sizes["movement"]):
        one = {str(name): metrics[name].values[i] for name in metrics if "movement_" in str(name)}
        place = str(one["movement_joint"]), str(one["movement_side"])
        if place not in wanted:
            continue
        withheld = Cell(tables.sentence("joints.not_told"), "missing words")
        certain = end_is_certain(metrics, *place)
        named = bool(metrics["shown"].sel(joint=place[0], side=place[1]).item())
        rows.append(
            [
                str(one["movement_number"]),
                f"{_side_head(metrics, place[1])} {place[0]}",
                *(quantity(one[f"movement_{each}"], "s") for each in ("start", "turn", "end")),
                quantity(float(one["movement_rest"]), "degree") if certain or named else withheld,
                quantity(float(one["movement_extreme"]), "degree") if certain else withheld,
                quantity(float(one["movement_peak_velocity"]), "degree/s") if certain else withheld,
                Cell(_counts_in_words(one), "text"),
            ]
        )
    head = ["No.", "Joint", "Start", "End of range", "Back"]
    head += ["At rest", "At end of range", "Peak speed", "Accepted"]
    shown = table(head, rows, caption=tables.sentence("joints.movements"), numeric=True)
    return shown or paragraphs(tables.sentence("joints.no_movement"))


def _counts_in_words(one: Mapping[str, Any]) -> str:
    if one["movement_accepted"]:
        return "yes"
    return tables.sentence("joints.not_counted", why=one["movement_reason"])


def sureness(warnings: Sequence[AnalysisWarning], pose: xr.Dataset, names: Sequence[str]) -> Markup:
    """List the reasons to be cautious about the angles `names`."""
    one = "position_draws" in pose and len(cameras_of(pose)) < 2
    standing = tables.sentence("joints.one_camera") if one else ""
    return errors_in_words.distrust(applicable_warnings(warnings, names), pose, standing=standing)


def uncertainty(pose: xr.Dataset) -> Markup:
    """Explain where the standard deviations come from."""
    sentences = [tables.sentence("joints.errors.of_landmarks")]
    if "position_draws" in pose:
        sentences = [tables.sentence("joints.errors.of_fit", count=pose.sizes["draw"])]
        if legs_unseen(pose) and len(cameras_of(pose)) < 2:
            added = tables.load("expected_error")["legs_unseen"]["angles"].items()
            angles = ", ".join(f"{spoken(name)} {entry['sd']}°" for name, entry in added)
            sentences.append(tables.sentence("joints.errors.legs_unseen", angles=angles))
    return paragraphs(" ".join([*sentences, tables.sentence("joints.errors.of_movements")]))


def capture_quality(
    quality: Mapping[str, Any], metrics: xr.Dataset, pose: xr.Dataset | None = None
) -> Markup:
    """Show the checks of the recording, rated by :func:`quality_for_joints`.

    The section is empty if nothing was measured: no check would add to that, and some would
    contradict it.
    """
    if unmeasured(metrics)[0]:
        return html()
    return recording.capture_quality(quality_for_joints(quality, metrics, pose))


def posture(metrics: xr.Dataset) -> Markup:
    """Name the posture in which the joints were moved."""
    shares = zip(metrics["posture"].values, metrics["posture_share"].values, strict=True)
    many = {str(name): float(share) for name, share in shares if share >= 0.05}
    if set(many) <= {"other"}:
        return facts({"Posture": tables.sentence("joints.posture_unknown")})
    words = {name: tables.sentence(f"joints.postures.{name}") for name in many}
    phrases = [tables.sentence("joints.posture", name=words[n], share=s) for n, s in many.items()]
    return facts({"Posture": ", ".join(phrases if len(many) > 1 else words.values())})


def stills(metrics: xr.Dataset, angles: Sequence[Shown]) -> Markup:
    """Draw every shown angle that has values, over time."""
    drawn = []
    for angle in angles:
        here = metrics.sel(joint=[angle.joint])
        curves = joint_curves(here)
        curves = curves.where(curves["side"].isin(angle.sides))
        for name in angle_names(curves):
            if curves[name].notnull().any():
                caption = tables.sentence("report.curves.recording", angle=capital(spoken(name)))
                drawn.append((partial(trial_plots.curves, curves, name, legend=False), caption))
    return charts(*drawn)


@dataclass(frozen=True)
class JointPage(ReportPage):
    """The inputs for the sections of the page."""

    @cached_property
    def metrics(self) -> xr.Dataset:
        """Metrics, which also mark whether left and right may have been exchanged."""
        metrics = self.session.metrics()
        return with_side_doubt(metrics, verdict_of(self.session, metrics))

    @cached_property
    def joints(self) -> list[Shown]:
        """The angles that are shown."""
        return shown(self.record, self.session.stored_config())

    def first(self) -> Markup:
        """Show who was filmed, the video's quality, how far the joints go, and what has changed."""
        metrics, joints, lab = self.metrics, self.joints, self.lab

        def measure(before: StoredSession) -> list[Gauge]:
            return gauges_of(before.metrics(), joints, lab=additions.lab_references(before))

        since = additions.first_page(self.session, gauges_of(metrics, joints, lab=lab), measure)
        words = in_words(metrics, joints) + commented(metrics, joints)
        return self.front(
            trust_in_joints(self.quality, metrics, self.pose, self.record.warnings),
            show_gauges(metrics, joints, lab=lab),
            [h.h2["What stands out"], words, since],
        )

    def measures(self) -> Markup:
        """Show how far and how fast the joints go, in which posture, and each movement."""
        metrics, joints = self.metrics, self.joints
        return (
            overview(metrics, joints)
            + speeds(metrics, joints)
            + posture(metrics)
            + gauges.own_norms(gauges_of(metrics, joints, lab=self.lab, most=None))
            + html(details(metrics, joint) for joint in joints)
            + movement_table(metrics, joints)
        )

    def recording(self) -> Markup:
        """Describe the recording, and how well it can be measured."""
        legs = {"ankle", "knee", "hip"} & {each.joint for each in self.joints}
        names = measured_angles(self.metrics, self.joints)
        return (
            recording.who_and_what(
                self.record, self.participant, self.pose, self.repetitions, self.edits
            )
            + sureness(self.record.warnings, self.pose, names)
            + recording.cameras(self.pose)
            + (errors_in_words.calibration(self.pose) if legs else "")
            + capture_quality(self.quality, self.metrics, self.pose)
        )

    def method(self) -> Markup:
        """Explain how landmarks became angles, and how far these can be trusted."""
        names = measured_angles(self.metrics, self.joints)
        return (
            paragraphs(origin.landmarks(self.pose))
            + uncertainty(self.pose)
            + origin.definitions_in_short(self.angles, self.references, names)
        )


JOINTS: tuple[Section[JointPage], ...] = (
    Section("", JointPage.first),
    Section("Video and curves", lambda page: stills(page.metrics, page.joints), name="trial"),
    Section("All measures", JointPage.measures),
    Section("Reference ranges", lambda page: reference_table(page.metrics, page.joints)),
    Section("The recording", JointPage.recording),
    Section("Method and limits", JointPage.method, about=tables.sentence("joints.method")),
    sources,
)
