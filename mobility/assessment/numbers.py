"""The kinds of numbers of a measure: per repetition, over repetitions, between the sides."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mobility import tables
from mobility.assessment.metric import add, refuse_uncertain
from mobility.assessment.phases import between, moving_phases, standing_of_main_stance
from mobility.assessment.summaries import (
    SYMMETRY,
    extreme_of_phases,
    independent,
    median_within,
    nanmedian,
    over_repetitions,
    peak_within,
    phases_in_words,
    right_minus_left,
    sample_sd,
)
from mobility.assessment.trial_errors import known_of, sem_over_repetitions
from mobility.base.formatting import listed
from mobility.catalogue.exercise import Exercise, main_moment
from mobility.errors import BadInputError
from mobility.kinematics.repetitions import normalise_repetitions
from mobility.kinematics.skeleton import SIDES

Metrics = dict[str, xr.DataArray]

COMPARES_SIDES = ("asymmetry", "bottom_asymmetry", *SYMMETRY)
"""Kinds of numbers that compare left and right."""


@dataclass(frozen=True)
class Repetitions:
    """The repetitions that are measured.

    Attributes
    ----------
    exercise
        Exercise that is repeated.
    full_span
        Repetitions Dataset, with the full duration of each repetition.
    dataset
        The same, cut to the part that the exercise measures
        (:func:`~mobility.assessment.phases.measured_span`).
    frames
        Frames of the phases (:func:`~mobility.assessment.phases.phase_frames`).
    angles
        Angles of the same frames.
    visible_angles
        The same angles without the side that the near side hides.
    sems
        Standard errors that are caused by putting up the camera again, by metric.
    """

    exercise: Exercise
    full_span: xr.Dataset
    dataset: xr.Dataset
    frames: xr.DataArray
    angles: xr.Dataset
    visible_angles: xr.Dataset
    sems: Mapping[str, float]

    @cached_property
    def accepted(self) -> NDArray[np.bool_]:
        """Which repetitions are accepted."""
        return self.dataset["accepted"].values.astype(bool)

    @cached_property
    def moment(self) -> str:
        """The moment at which the exercise measures."""
        return main_moment(self.exercise.moments)

    def sem(self, metric: str, q: Quantity, value: xr.DataArray, sd: xr.DataArray) -> xr.DataArray:
        """Return the standard error of measurement between visits for the median of `value`.

        If the error caused by putting up the camera again was not measured, the error of the value,
        `sd`, is used.
        """
        accepted = self.accepted
        has_value = value.notnull()
        again = nanmedian(sd.where(has_value).isel(rep=accepted), "rep")
        if metric in self.sems:
            again = xr.full_like(again, self.sems[metric])
        of_other_people = known_of(metric, {"units": "degree", **q.entry}["units"])
        return sem_over_repetitions(again, value, accepted, known=of_other_people)


class RepetitionValues(NamedTuple):
    """A value of each repetition, the sd of its error, and how it was computed."""

    value: xr.DataArray
    sd: xr.DataArray | None
    statistic: str


@dataclass(frozen=True)
class Quantity:
    """A computed quantity, before it becomes the numbers of a report.

    Attributes
    ----------
    name, entry
        Name and declaration of its measure in ``measures.yaml``.
    value, sd
        Values and the sd of their errors: over time, over repetitions, or a single number; with or
        without sides.
    repetitions
        The measured repetitions.
    errors
        Errors of the numbers of each repetition, used instead of the errors of frames. ``absolute``
        is for the value, ``sides`` for right minus left, ``from_standing`` for the change, and
        ``mean`` for the mean.
    largest
        Largest sd at which a number is still reported; None if uncertain frames were already
        removed.
    """

    name: str
    entry: Mapping[str, Any]
    value: xr.DataArray
    sd: xr.DataArray | None
    repetitions: Repetitions
    errors: Mapping[str, xr.DataArray]
    largest: float | None

    @cached_property
    def phases(self) -> tuple[xr.DataArray, xr.DataArray]:
        """Return the medians of the value and its sd over the frames of each phase."""
        return median_within(self.value, self._error, self.repetitions.frames)

    @property
    def _error(self) -> xr.DataArray:
        return xr.full_like(self.value, np.nan) if self.sd is None else self.sd

    @cached_property
    def at_moment(self) -> tuple[xr.DataArray, xr.DataArray]:
        """Return the medians of the value and its sd at the moment that the exercise measures."""
        value, sd = (v.sel(phase=self.repetitions.moment, drop=True) for v in self.phases)
        return value, sd

    @cached_property
    def extremes(self) -> tuple[xr.DataArray, xr.DataArray, xr.DataArray]:
        """Return the extreme over the moving phases, and the index of its phase."""
        moving = moving_phases(self.repetitions.exercise.moments)
        return extreme_of_phases(*self.phases, self.entry["extreme"], moving)

    @cached_property
    def of_repetition(self) -> RepetitionValues:
        """Return the value of each repetition, as the declaration defines it."""
        entry, repetitions = self.entry, self.repetitions
        words, statistic = repetitions.exercise.words, entry.get("statistic", "")
        if "rep" in self.value.dims:
            return RepetitionValues(self.value, self.sd, statistic)
        if "extreme" in entry:
            value, sd, _ = self.extremes
            moving = listed(_moving_words(repetitions.exercise))
            return RepetitionValues(value, sd, f"{entry['extreme']} over {moving}")
        if "over" in entry:
            first, last = (repetitions.full_span[event] for event in entry["over"])
            inside = between(repetitions.dataset["time"], first, last)
            value, sd = peak_within(self.value, self._error, inside, entry["peak"])
            return RepetitionValues(value, sd.where(value.notnull()), statistic)
        statistic_of_median = statistic or f"median {words['within']}"
        if self.has_error_of_mean:
            value, sd, _ = self._certain_means
            return RepetitionValues(value, sd, statistic_of_median)
        if "at" in entry:
            value, sd = median_within(self.value, self._error, self.frames)
            return RepetitionValues(value, sd, statistic_of_median)
        value, sd = self.at_moment
        sd = self.errors.get("absolute", sd)
        if self.largest is not None:
            value = value.where(sd <= self.largest)
            sd = sd.where(value.notnull())
        return RepetitionValues(value, sd, statistic or f"median {words['at']}")

    @cached_property
    def frames(self) -> xr.DataArray:
        """Return the frames of each repetition that count, over (rep, time)."""
        at_moment = self.repetitions.frames.sel(phase=self.repetitions.moment, drop=True)
        if "at" not in self.entry:
            return at_moment
        band = self.entry["at"]["within_deg"]
        (angle_name,) = self.entry["at"].keys() - {"within_deg"}
        degrees = self.entry["at"][angle_name]
        repetitions, angle = self.repetitions.dataset, self.repetitions.visible_angles[angle_name]
        if "side" in angle.dims:
            if "leg" in repetitions:  # only the standing leg counts
                angle = angle.where(repetitions["leg"] == angle["side"]).max("side", skipna=True)
            else:
                angle = angle.mean("side", skipna=True)
        inside = between(repetitions["time"], repetitions["start"], repetitions["end"])
        near: xr.DataArray = inside & (abs(angle - degrees) <= band)
        return near.transpose("rep", "time").astype(bool)

    @property
    def is_of_moment(self) -> bool:
        """Whether the value of a repetition is taken at the exercise's moment."""
        return {"extreme", "over", "at"}.isdisjoint(self.entry)

    @property
    def has_error_of_mean(self) -> bool:
        """Whether the error is the error of the mean.

        It then decides whether the value is reported.
        """
        return bool(self.entry.get("error", {}).get("of") == "mean")

    @cached_property
    def _certain_means(self) -> tuple[xr.DataArray, xr.DataArray, bool]:
        """Return value and sd of each repetition, NaN if uncertain, and whether any was so."""
        value, sd = median_within(self.value, self._error, self.frames)
        sd = self.entry["error"].get("factor", 1.0) * self.errors.get("mean", sd)
        if "leg" in self.repetitions.dataset and "side" in value.dims:  # the other leg is lifted
            value = value.where(self.repetitions.dataset["leg"] == value["side"])
        certain_values, any_refused, _ = refuse_uncertain(
            value.to_numpy(), sd.to_numpy(), self.repetitions.accepted, dict(self.entry)
        )
        value = value.copy(data=certain_values)
        return value, sd.where(value.notnull()), any_refused

    @cached_property
    def why_missing(self) -> str:
        """Return why repetitions have no value although their frames have one.

        Empty if all repetitions have a value.
        """
        accepted = self.repetitions.accepted
        if self.has_error_of_mean:
            _, _, any_refused = self._certain_means
            if any_refused:
                return tables.sentence("reasons.uncertain")
        elif self.largest is not None and self.is_of_moment:
            value_of_frames, _ = self.at_moment
            refused = value_of_frames.notnull() & self.of_repetition.value.isnull()
            if bool(refused.isel(rep=accepted).any()):
                return tables.sentence("reasons.uncertain")
        if "at" in self.entry and not self.frames.any("time").to_numpy()[accepted].all():
            return str(self.entry["not_there"])
        if self.has_error_of_mean and "seldom" in self.entry:
            has_value = self.of_repetition.value.isel(rep=accepted).notnull()
            return "" if bool(has_value.any()) else str(self.entry["seldom"])
        return ""


def _moving_words(exercise: Exercise) -> list[str]:
    """Return words for the phases in which an exercise moves."""
    moving = moving_phases(exercise.moments)
    words = zip(exercise.moments, exercise.short_words, strict=True)
    return [word for name, word in words if name in moving]


def signed(value: xr.DataArray, entry: Mapping[str, Any]) -> xr.DataArray:
    """Change the sign of a quantity if its declaration says so."""
    return value if entry.get("sign", 1) == 1 else (-value).assign_attrs(value.attrs)


def add_numbers(metrics: Metrics, quantity: Quantity) -> None:
    """Add, in place, the numbers that the declaration of a measure lists."""
    kinds = quantity.entry.get("kinds")
    if not kinds:
        computed_from = "angles" if quantity.entry["from"].startswith("angles.") else "points"
        kinds = tables.load("measures")["kinds"]["usual"][computed_from]
    for kind in kinds:
        name = kinds[kind] if isinstance(kinds, Mapping) else ""
        _check_dims(quantity, kind)
        KINDS[kind](metrics, quantity, kind, name)


_DIMS_OF_KINDS: Mapping[str, tuple[str, ...]] = {
    "phase": ("time",),
    "bottom": ("time",),
    "peak": ("time",),
    "bottom_asymmetry": ("time",),
    "curve_variability": ("time",),
    "from_standing": ("time",),
    "at_bottom": ("time",),
    "variability": ("time", "rep"),
    "repetition": ("rep",),
    "descent": ("phase",),
    "ascent": ("phase",),
}
"""Dimensions by kind of number, of which the quantity must have one. Other kinds need none."""


def _check_dims(quantity: Quantity, kind: str) -> None:
    dims, needed = quantity.value.dims, _DIMS_OF_KINDS.get(kind, ())
    lacks_dims = bool(needed) and set(needed).isdisjoint(dims)
    is_not_single = kind in ("count", "time") and bool(set(dims) - {"side"})
    if lacks_dims or is_not_single:
        over = " and ".join(map(str, dims)) or "no dimension"
        raise BadInputError(
            f"measures.yaml: {quantity.name}: kinds: {kind!r} cannot be computed from "
            f"{quantity.entry['from']}, which is over {over}"
        )


def _add(
    metrics: Metrics,
    q: Quantity,
    kind: str,
    value: xr.DataArray,
    sd: xr.DataArray | None,
    statistic: str,
    **described: Any,
) -> None:
    words = q.repetitions.exercise.words
    add(metrics, q.name, kind, value, sd, statistic, words=words, **described)


def _phase(metrics: Metrics, q: Quantity, kind: str, _name: str) -> None:
    value, sd = q.phases
    _add(metrics, q, kind, value, sd, "median within the phase", suffix=", in each phase")


def _bottom(metrics: Metrics, q: Quantity, kind: str, _name: str) -> None:
    words, moment = q.repetitions.exercise.words, q.repetitions.moment
    values = q.of_repetition
    statistic = f"median {words['within']}"
    suffix = f", {words['at']} of each repetition"
    name = f"{q.name}_{moment}"
    _add(metrics, q, kind, values.value, values.sd, statistic, name=name, suffix=suffix)


def _peak(metrics: Metrics, q: Quantity, kind: str, _name: str) -> None:
    repetitions, which = q.repetitions.dataset, q.entry["peak"]
    inside = between(repetitions["time"], repetitions["start"], repetitions["end"])
    value, sd = peak_within(q.value, q._error, inside, which)
    words = "value farthest from zero" if which == "magnitude" else which
    statistic = f"{words} in the repetition"
    _add(metrics, q, kind, value, sd, statistic, suffix=f", {words} of each repetition")


def _bottom_asymmetry(metrics: Metrics, q: Quantity, kind: str, _name: str) -> None:
    if "side" not in q.value.dims:
        return
    words, moment = q.repetitions.exercise.words, q.repetitions.moment
    difference = right_minus_left(q.of_repetition.value)
    sd = _sides_sd(q).where(difference.notnull())
    statistic = f"right minus left, {words['within']}"
    suffix = f", asymmetry {words['at']} of each repetition"
    name = f"{q.name}_{moment}_asymmetry"
    _add(metrics, q, kind, difference, sd, statistic, name=name, suffix=suffix)


def _sides_sd(q: Quantity) -> xr.DataArray:
    """Return the error of right minus left; by default the sides are independent."""
    if "sides" in q.errors:
        return q.errors["sides"]
    sd = q.of_repetition.sd
    return independent(q._error if sd is None else sd)


def _median(metrics: Metrics, q: Quantity, kind: str, name: str) -> None:
    name = name or q.name
    if "time" not in q.value.dims and "rep" not in q.value.dims:
        _add(metrics, q, kind, q.value, q.sd, q.entry.get("statistic", ""), name=name)
        return
    value, sd, statistic = q.of_repetition
    if "phase" in value.dims:
        value = value.mean("phase", skipna=False)
        sd = None if sd is None else sd.mean("phase")
    sd = xr.full_like(value, np.nan) if sd is None else sd
    sd = sd.where(value.notnull())
    median, median_sd = over_repetitions(value, sd, q.repetitions.accepted)
    sem = q.repetitions.sem(name, q, value, sd)
    _add(metrics, q, kind, median, median_sd, _as_median(statistic), sem=sem, name=name)
    if "extreme" in q.entry:
        _, _, phase_numbers = q.extremes
        names = [n.replace("_", "-") for n in moving_phases(q.repetitions.exercise.moments)]
        where = phases_in_words(phase_numbers, q.repetitions.accepted, names)
        metrics[name].attrs["phase"] = where


def _as_median(statistic: str) -> str:
    """Add to the description of each value that the median over repetitions was taken."""
    median = "median over accepted repetitions"
    return f"{statistic}, {median}" if statistic else median


def _asymmetry(metrics: Metrics, q: Quantity, kind: str, _name: str) -> None:
    if "side" not in q.value.dims:
        return
    values = q.of_repetition
    difference = right_minus_left(values.value)
    sides_sd = _sides_sd(q)
    _, sd = over_repetitions(difference, sides_sd, q.repetitions.accepted)
    medians = metrics[q.name].copy()
    medians.attrs.pop("phase", None)  # the difference of both extremes
    # The difference of the two reported medians, which a reader can check.
    asymmetry = right_minus_left(medians)
    if q.sd is not None:
        asymmetry = asymmetry.where(sd.notnull() if q.largest is None else sd <= q.largest)
    statistic = f"right minus left: {_as_median(values.statistic)}"
    sem = q.repetitions.sem(f"{q.name}_asymmetry", q, difference, sides_sd)
    sd = sd.where(asymmetry.notnull())
    _add(metrics, q, kind, asymmetry, sd, statistic, sem=sem, suffix=", asymmetry")


_SPREAD = "standard deviation over accepted repetitions"


def _variability(metrics: Metrics, q: Quantity, kind: str, _name: str) -> None:
    spread = sample_sd(q.of_repetition.value, q.repetitions.accepted)
    _add(metrics, q, kind, spread, None, _SPREAD, suffix=", variability")


def _curve_variability(metrics: Metrics, q: Quantity, kind: str, _name: str) -> None:
    curves = normalise_repetitions(q.value.to_dataset(name=q.name), q.repetitions.dataset)[q.name]
    spread = sample_sd(curves, np.ones(curves.sizes["rep"], bool))
    points = spread.notnull().sum("percent")
    mean = spread.sum("percent") / points.clip(min=1)
    mean = mean.where(2 * points > curves.sizes["percent"])
    statistic = f"{_SPREAD}, mean of the points of their curves"
    _add(metrics, q, kind, mean, None, statistic, suffix=", variability of the curve")


def _symmetry(metrics: Metrics, q: Quantity, kind: str, _name: str) -> None:
    """Add a ratio of the sides if the values are large."""
    if "side" not in q.value.dims:
        return
    table = tables.load("measures")
    left, right = (metrics[q.name].sel(side=side, drop=True) for side in SIDES)
    least = table["limits"]["smallest_angle_for_ratios_deg"]["value"]
    is_large, declared = (left + right) / 2 >= least, table["symmetry"][kind]
    ratio = xr.DataArray(SYMMETRY[kind](left, right)).where(is_large)
    described = {
        "suffix": f", {declared['long_name']}",
        "units": "percent",
        "reference": declared["reference"],
    }
    _add(metrics, q, kind, ratio, None, metrics[q.name].attrs["statistic"], **described)
    if not is_large and bool((left + right).notnull()):
        note = tables.sentence("reasons.small_for_ratio", least=least)
        metrics[f"{q.name}_{kind}"].attrs["note"] = note


def _from_standing(metrics: Metrics, q: Quantity, kind: str, _name: str) -> None:
    moments = q.repetitions.exercise.moments
    phases_of_standing = [phase for phase, entry in moments.items() if "before" in entry]
    if not phases_of_standing:
        return
    value, sd = q.at_moment
    rest, rest_sd = (v.sel(phase=phases_of_standing[0], drop=True) for v in q.phases)
    error = q.errors.get("from_standing", (sd**2 + rest_sd**2) ** 0.5)
    change = value - rest
    if q.largest is not None:
        change = change.where(error <= q.largest)
    median, median_sd = over_repetitions(change, error, q.repetitions.accepted)
    moment = str(moments[q.repetitions.moment]["word"])
    statistic = f"median over accepted repetitions of {moment} minus standing"
    sem = q.repetitions.sem(f"{q.name}_from_standing", q, change, error)
    _add(metrics, q, kind, median, median_sd, statistic, sem=sem, suffix=", from standing")


def _at_bottom(metrics: Metrics, q: Quantity, kind: str, _name: str) -> None:
    words, moment = q.repetitions.exercise.words, q.repetitions.moment
    median, median_sd = over_repetitions(*q.at_moment, q.repetitions.accepted)
    statistic = _as_median(f"median {words['within']}")
    name, suffix = f"{q.name}_at_{moment}", f" {words['at']}"
    _add(metrics, q, kind, median, median_sd, statistic, name=name, suffix=suffix)


def _standing(metrics: Metrics, q: Quantity, kind: str, name: str) -> None:
    suffix = "" if name else " in standing"  # a quantity with its own name needs no suffix
    value, sd = q.value, q.sd
    if "time" in q.value.dims:
        # From the whole stance: there may be no standing before the first repetition.
        dataset = q.repetitions.dataset
        standing = dataset["standing"].copy(data=standing_of_main_stance(dataset))
        value, sd = median_within(q.value, q._error, standing)
    _add(metrics, q, kind, value, sd, "median in standing", name=name, suffix=suffix)


def _repetition(metrics: Metrics, q: Quantity, kind: str, _name: str) -> None:
    _add(metrics, q, kind, q.value, None, "value of the repetition", name=q.name)


def _one_phase(metrics: Metrics, q: Quantity, kind: str, name: str) -> None:
    words = q.repetitions.exercise.words
    value = q.value.sel(phase=kind, drop=True)
    suffix = f" in the {words[kind]}"
    _add(metrics, q, kind, value, None, "value of the repetition", name=name, suffix=suffix)


def _count(metrics: Metrics, q: Quantity, kind: str, _name: str) -> None:
    _add(metrics, q, kind, q.value, q.sd, "count", name=q.name)


def _time(metrics: Metrics, q: Quantity, kind: str, _name: str) -> None:
    _add(metrics, q, kind, q.value, q.sd, "from one moment to another", name=q.name)


KINDS: Mapping[str, Callable[[Metrics, Quantity, str, str], None]] = {
    "phase": _phase,
    "bottom": _bottom,
    "peak": _peak,
    "bottom_asymmetry": _bottom_asymmetry,
    "median": _median,
    "asymmetry": _asymmetry,
    "variability": _variability,
    "curve_variability": _curve_variability,
    **dict.fromkeys(SYMMETRY, _symmetry),
    "from_standing": _from_standing,
    "at_bottom": _at_bottom,
    "standing": _standing,
    "repetition": _repetition,
    "descent": _one_phase,
    "ascent": _one_phase,
    "count": _count,
    "time": _time,
}
"""The function that adds each kind of number in the table ``measures``. Its last argument is the
name of the variable if the declaration states one, otherwise "".
"""
