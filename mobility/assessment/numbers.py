"""The kinds of numbers that are made of a measure: of repetitions, over them, between the sides."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mobility import tables
from mobility.assessment.asymmetry import SYMMETRY
from mobility.assessment.metric import add, refuse_uncertain
from mobility.assessment.phases import between, moving_phases, standing_of_main_stance
from mobility.assessment.summaries import (
    extreme_of_phases,
    independent,
    median_within,
    nanmedian,
    over_repetitions,
    peak_within,
    phases_in_words,
    right_minus_left,
    sample_sd,
    with_sampling,
)
from mobility.base.wording import listed
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
        Of which they are.
    full_span
        As they were found.
    dataset
        As :func:`~mobility.assessment.phases.measured_span` gives them.
    frames
        Frames of their phases (:func:`~mobility.assessment.phases.phase_frames`).
    angles
        Angles of the same frames.
    visible_angles
        The same without the side that the near one hides.
    sems
        Standard errors of measurement between recordings, by metric.
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
        """Which are accepted."""
        return self.dataset["accepted"].values.astype(bool)

    @cached_property
    def moment(self) -> str:
        """The moment at which the exercise measures."""
        return main_moment(self.exercise.moments)

    def sem(self, metric: str, value: xr.DataArray) -> xr.DataArray | None:
        """Give the standard error of measurement between recordings; None where it is unknown."""
        if metric not in self.sems:
            return None
        median = nanmedian(value.isel(rep=self.accepted), "rep")
        known_sem = xr.full_like(median, self.sems[metric]).where(median.notnull())
        return with_sampling(known_sem, value, self.accepted)


class OfRepetition(NamedTuple):
    """Values of the repetitions, the sd of their error, and how they were taken."""

    value: xr.DataArray
    sd: xr.DataArray | None
    statistic: str


@dataclass(frozen=True)
class Quantity:
    """What a measure is made of, before numbers are.

    Attributes
    ----------
    name, entry
        Of the measure, as ``measures.yaml`` declares it.
    value, sd
        Over time, over repetitions, or single; perhaps with sides.
    repetitions
        Those that are measured.
    errors
        Of the numbers of each repetition, where frames do not give them: ``absolute``, ``sides``,
        ``from_standing``.
    largest
        Largest error with which such a number is given; None: it is refused earlier.
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
        """Medians of the phases."""
        return median_within(self.value, self._sd, self.repetitions.frames)

    @property
    def _sd(self) -> xr.DataArray:
        return xr.full_like(self.value, np.nan) if self.sd is None else self.sd

    @cached_property
    def at_moment(self) -> tuple[xr.DataArray, xr.DataArray]:
        """Median of the moment at which the exercise measures, and that of the sd of its frames."""
        value, sd = (v.sel(phase=self.repetitions.moment, drop=True) for v in self.phases)
        return value, sd

    @cached_property
    def extremes(self) -> tuple[xr.DataArray, xr.DataArray, xr.DataArray]:
        """Extreme over the phases in which the exercise moves, and the index of its phase."""
        moving = moving_phases(self.repetitions.exercise.moments)
        return extreme_of_phases(*self.phases, self.entry["extreme"], moving)

    @cached_property
    def of_repetition(self) -> OfRepetition:
        """Value of each repetition, as the declaration asks for it."""
        entry, repetitions = self.entry, self.repetitions
        words, statistic = repetitions.exercise.words, entry.get("statistic", "")
        if "rep" in self.value.dims:
            return OfRepetition(self.value, self.sd, statistic)
        if "extreme" in entry:
            value, sd, _ = self.extremes
            moving = listed(_moving_words(repetitions.exercise))
            return OfRepetition(value, sd, f"{entry['extreme']} over {moving}")
        if "over" in entry:
            first, last = (repetitions.full_span[event] for event in entry["over"])
            inside = between(repetitions.dataset["time"], first, last)
            value, sd = peak_within(self.value, self._sd, inside, entry["peak"])
            return OfRepetition(value, sd.where(value.notnull()), statistic)
        if "at" in entry or self.of_mean:
            value, sd = median_within(self.value, self._sd, self.frames)
            if self.of_mean:
                value, sd, _ = self._refused(value, sd)
            return OfRepetition(value, sd, statistic or f"median {words['within']}")
        value, sd = self.at_moment
        sd = self.errors.get("absolute", sd)
        if self.largest is not None:
            value = value.where(sd <= self.largest)
            sd = sd.where(value.notnull())
        return OfRepetition(value, sd, statistic or f"median {words['at']}")

    @cached_property
    def frames(self) -> xr.DataArray:
        """Frames of each repetition that count, over (rep, time)."""
        at_moment = self.repetitions.frames.sel(phase=self.repetitions.moment, drop=True)
        if "at" not in self.entry:
            return at_moment
        band = self.entry["at"]["within_deg"]
        ((angle, degrees),) = ((n, v) for n, v in self.entry["at"].items() if n != "within_deg")
        repetitions, bent = self.repetitions.dataset, self.repetitions.visible_angles[angle]
        if "side" in bent.dims and "leg" not in repetitions:
            bent = bent.mean("side", skipna=True)
        elif "side" in bent.dims:  # that of the leg that stands
            stands = repetitions["leg"] == bent["side"]
            bent = bent.where(stands).max("side", skipna=True)
        inside = between(repetitions["time"], repetitions["start"], repetitions["end"])
        near: xr.DataArray = inside & (abs(bent - degrees) <= band)
        return near.transpose("rep", "time").astype(bool)

    @property
    def is_elsewhere(self) -> bool:
        """Whether its value of a repetition is not that of the exercise's moment."""
        return not {"extreme", "over", "at"}.isdisjoint(self.entry)

    @property
    def of_mean(self) -> bool:
        """Whether the error is that of the mean of the frames, and the value refused by it."""
        return bool(self.entry.get("error", {}).get("of") == "mean")

    def _refused(
        self, value: xr.DataArray, sd: xr.DataArray
    ) -> tuple[xr.DataArray, xr.DataArray, bool]:
        sd = self.entry["error"].get("factor", 1.0) * self.errors.get("mean", sd)
        if "leg" in self.repetitions.dataset and "side" in value.dims:  # the other one is free
            value = value.where(self.repetitions.dataset["leg"] == value["side"])
        values_left, refused, _ = refuse_uncertain(
            value.to_numpy(), sd.to_numpy(), self.repetitions.accepted, dict(self.entry)
        )
        value = value.copy(data=values_left)
        return value, sd.where(value.notnull()), refused

    @cached_property
    def why_missing(self) -> str:
        """Why repetitions lack a value that their frames have; empty where none does."""
        accepted = self.repetitions.accepted
        if self.of_mean:
            if self._refused(*median_within(self.value, self._sd, self.frames))[2]:
                return tables.sentence("reasons.uncertain")
        elif self.largest is not None and not self.is_elsewhere:
            lacking = self.at_moment[0].notnull() & self.of_repetition.value.isnull()
            if bool(lacking.isel(rep=accepted).any()):
                return tables.sentence("reasons.uncertain")
        if "at" in self.entry and not self.frames.any("time").to_numpy()[accepted].all():
            return str(self.entry["not_there"])
        missing = self.of_repetition.value.isel(rep=accepted).isnull() if self.of_mean else None
        if missing is not None and "seldom" in self.entry and bool(missing.all()):
            return str(self.entry["seldom"])
        return ""


def _moving_words(exercise: Exercise) -> list[str]:
    """Words for the phases in which an exercise moves."""
    moving = moving_phases(exercise.moments)
    words = zip(exercise.moments, exercise.short_words, strict=True)
    return [word for name, word in words if name in moving]


def signed(value: xr.DataArray, entry: Mapping[str, Any]) -> xr.DataArray:
    """Turn the sign of a quantity where its declaration does."""
    return value if entry.get("sign", 1) == 1 else (-value).assign_attrs(value.attrs)


def add_numbers(metrics: Metrics, quantity: Quantity) -> None:
    """Add, in place, the numbers that the declaration of a measure lists."""
    kinds = (
        quantity.entry.get("kinds")
        or tables.load("measures")["kinds"]["usual"][
            "angles" if quantity.entry["from"].startswith("angles.") else "points"
        ]
    )
    for kind in kinds:
        name = kinds[kind] if isinstance(kinds, Mapping) else ""
        _check_dims(quantity, kind)
        KINDS[kind](metrics, quantity, kind, name)


_NEEDS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(
        ("phase", "bottom", "peak", "bottom_asymmetry", "curve_variability", "from_standing"),
        ("time",),
    ),
    **{"at_bottom": ("time",), "repetition": ("rep",), "variability": ("time", "rep")},
    **dict.fromkeys(("descent", "ascent"), ("phase",)),
}
"""Dimensions of which a quantity must have one, by kind of number; those of others may lack all."""


def _check_dims(quantity: Quantity, kind: str) -> None:
    dims, needed = quantity.value.dims, _NEEDS.get(kind, ())
    single = kind in ("count", "time")
    if (needed and not set(needed) & set(dims)) or (single and set(dims) - {"side"}):
        over = " and ".join(map(str, dims)) or "nothing: it is a single number"
        raise BadInputError(
            f"measures.yaml: {quantity.name}: kinds: {kind!r} cannot be made of what "
            f"{quantity.entry['from']} gives, which is over {over}"
        )


def _add(metrics: Metrics, q: Quantity, kind: str, *numbers: Any, **described: Any) -> None:
    words = q.repetitions.exercise.words
    add(metrics, q.name, kind, *numbers, words=words, **described)


def _phase(metrics: Metrics, q: Quantity, kind: str, name: str) -> None:
    value, sd = q.phases
    _add(metrics, q, kind, value, sd, "median within the phase", suffix=", in each phase")


def _bottom(metrics: Metrics, q: Quantity, kind: str, name: str) -> None:
    words, moment = q.repetitions.exercise.words, q.repetitions.moment
    value, sd, _ = q.of_repetition
    suffix, statistic = f", {words['at']} of each repetition", f"median {words['within']}"
    _add(metrics, q, kind, value, sd, statistic, name=f"{q.name}_{moment}", suffix=suffix)


def _peak(metrics: Metrics, q: Quantity, kind: str, name: str) -> None:
    repetitions, which = q.repetitions.dataset, q.entry["peak"]
    inside = between(repetitions["time"], repetitions["start"], repetitions["end"])
    value, sd = peak_within(q.value, q._sd, inside, which)
    words = {"magnitude": "value farthest from zero"}.get(which, which)
    statistic, suffix = f"{words} in the repetition", f", {words} of each repetition"
    _add(metrics, q, kind, value, sd, statistic, suffix=suffix)


def _bottom_asymmetry(metrics: Metrics, q: Quantity, kind: str, name: str) -> None:
    if "side" not in q.value.dims:
        return
    words, moment = q.repetitions.exercise.words, q.repetitions.moment
    apart = right_minus_left(q.of_repetition.value)
    sd = _sides_sd(q).where(apart.notnull())
    name, suffix = f"{q.name}_{moment}_asymmetry", f", asymmetry {words['at']} of each repetition"
    statistic = f"right minus left, {words['within']}"
    _add(metrics, q, kind, apart, sd, statistic, name=name, suffix=suffix)


def _sides_sd(q: Quantity) -> xr.DataArray:
    """Error of the difference of the sides, which count as independent unless it is known."""
    sd = q.of_repetition.sd
    return q.errors["sides"] if "sides" in q.errors else independent(q._sd if sd is None else sd)


def _median(metrics: Metrics, q: Quantity, kind: str, name: str) -> None:
    name = name or q.name
    if "time" not in q.value.dims and "rep" not in q.value.dims:
        _add(metrics, q, kind, q.value, q.sd, q.entry.get("statistic", ""), name=name)
        return
    value, sd, statistic = q.of_repetition
    if "phase" in value.dims:
        value, sd = value.mean("phase", skipna=False), None if sd is None else sd.mean("phase")
    sd = xr.full_like(value, np.nan) if sd is None else sd
    over, over_sd = over_repetitions(value, sd.where(value.notnull()), q.repetitions.accepted)
    sem = q.repetitions.sem(name, value)
    _add(metrics, q, kind, over, over_sd, _over(statistic), sem=sem, name=name)
    if "extreme" in q.entry:
        names = [n.replace("_", "-") for n in moving_phases(q.repetitions.exercise.moments)]
        where = phases_in_words(q.extremes[2], q.repetitions.accepted, names)
        metrics[name].attrs["phase"] = where


def _over(statistic: str) -> str:
    return f"{statistic}, median over accepted repetitions".removeprefix(", ")


def _asymmetry(metrics: Metrics, q: Quantity, kind: str, name: str) -> None:
    if "side" not in q.value.dims:
        return
    value, _, statistic = q.of_repetition
    # The difference of the two reported medians, which a reader can check.
    difference, metric = right_minus_left(value), f"{q.name}_asymmetry"
    _, error = over_repetitions(difference, _sides_sd(q), q.repetitions.accepted)
    over = metrics[q.name].copy()
    over.attrs.pop("phase", None)
    apart = right_minus_left(over)
    if q.sd is not None:
        apart = apart.where(error <= (np.inf if q.largest is None else q.largest))
    of_sides = f"right minus left: {_over(statistic)}"
    sem, sd = q.repetitions.sem(metric, difference), error.where(apart.notnull())
    _add(metrics, q, kind, apart, sd, of_sides, sem=sem, suffix=", asymmetry")


_SPREAD = "standard deviation over accepted repetitions"


def _variability(metrics: Metrics, q: Quantity, kind: str, name: str) -> None:
    spread = sample_sd(q.of_repetition.value, q.repetitions.accepted)
    _add(metrics, q, kind, spread, None, _SPREAD, suffix=", variability")


def _curve_variability(metrics: Metrics, q: Quantity, kind: str, name: str) -> None:
    curves = normalise_repetitions(q.value.to_dataset(name=q.name), q.repetitions.dataset)[q.name]
    spread = sample_sd(curves, np.ones(curves.sizes["rep"], bool))
    enough = 2 * spread.notnull().sum("percent") > curves.sizes["percent"]
    mean = spread.sum("percent") / spread.notnull().sum("percent").clip(min=1)
    statistic = f"{_SPREAD}, mean of the points of their curves"
    suffix = ", variability of the curve"
    _add(metrics, q, kind, mean.where(enough), None, statistic, suffix=suffix)


def _symmetry(metrics: Metrics, q: Quantity, kind: str, name: str) -> None:
    """Add a ratio of the sides where these are large."""
    if "side" not in q.value.dims:
        return
    table = tables.load("measures")
    left, right = (metrics[q.name].sel(side=side, drop=True) for side in SIDES)
    least = table["limits"]["smallest_angle_for_ratios_deg"]["value"]
    large, described = (left + right) / 2 >= least, table["symmetry"][kind]
    value = xr.DataArray(SYMMETRY[kind](left, right)).where(large)
    statistic, suffix = metrics[q.name].attrs["statistic"], f", {described['long_name']}"
    other = {"units": "percent", "reference": described["reference"]}
    _add(metrics, q, kind, value, None, statistic, suffix=suffix, **other)
    if not large and bool((left + right).notnull()):
        note = tables.sentence("reasons.small_for_ratio", least=least)
        metrics[f"{q.name}_{kind}"].attrs["note"] = note


def _from_standing(metrics: Metrics, q: Quantity, kind: str, name: str) -> None:
    moments, metric = q.repetitions.exercise.moments, f"{q.name}_from_standing"
    standing = next((name for name, entry in moments.items() if "before" in entry), None)
    if standing is None:
        return
    moment = str(moments[q.repetitions.moment]["word"])
    (value, sd), (rest, rest_sd) = (
        q.at_moment,
        (v.sel(phase=standing, drop=True) for v in q.phases),
    )
    error = q.errors.get("from_standing", (sd**2 + rest_sd**2) ** 0.5)
    change = value - rest
    change = change if q.largest is None else change.where(error <= q.largest)
    over, over_sd = over_repetitions(change, error, q.repetitions.accepted)
    statistic = f"median over accepted repetitions of {moment} minus standing"
    sem = q.repetitions.sem(metric, change)
    _add(metrics, q, kind, over, over_sd, statistic, sem=sem, suffix=", from standing")


def _at_bottom(metrics: Metrics, q: Quantity, kind: str, name: str) -> None:
    words, moment = q.repetitions.exercise.words, q.repetitions.moment
    over = over_repetitions(*q.at_moment, q.repetitions.accepted)
    name, statistic = f"{q.name}_at_{moment}", _over(f"median {words['within']}")
    _add(metrics, q, kind, *over, statistic, name=name, suffix=f" {words['at']}")


def _standing(metrics: Metrics, q: Quantity, kind: str, name: str) -> None:
    statistic, suffix = "median in standing", "" if name else " in standing"
    value, sd = q.value, q.sd
    if "time" in q.value.dims:
        # Of the whole stance: there may be no standing before the first repetition.
        dataset = q.repetitions.dataset
        standing = dataset["standing"].copy(data=standing_of_main_stance(dataset))
        value, sd = median_within(q.value, q._sd, standing)
    _add(metrics, q, kind, value, sd, statistic, name=name, suffix=suffix)


def _repetition(metrics: Metrics, q: Quantity, kind: str, name: str) -> None:
    _add(metrics, q, kind, q.value, None, "value of the repetition", name=q.name)


def _one_phase(metrics: Metrics, q: Quantity, kind: str, name: str) -> None:
    words = q.repetitions.exercise.words
    value, suffix = q.value.sel(phase=kind, drop=True), f" in the {words[kind]}"
    statistic, name = "value of the repetition", name or f"{q.name}_{kind}"
    _add(metrics, q, kind, value, None, statistic, name=name, suffix=suffix)


def _count(metrics: Metrics, q: Quantity, kind: str, name: str) -> None:
    _add(metrics, q, kind, q.value, q.sd, "count", name=q.name)


def _time(metrics: Metrics, q: Quantity, kind: str, name: str) -> None:
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
"""Makes each kind of number, of the table ``measures``, of a quantity."""
