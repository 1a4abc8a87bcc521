"""Times and counts of chair rises, and what they are compared with."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from mobility import tables
from mobility.assessment.body import in_body_axes, points_of
from mobility.assessment.estimates import HIDDEN_SIDE
from mobility.assessment.metric import add
from mobility.assessment.phases import between
from mobility.assessment.summaries import nanmedian, over_repetitions
from mobility.provenance import warnings_of
from mobility.registry import exercise_of
from mobility.wording import listed

_DURATIONS = {
    "lean_duration": ("start", "seat_off"),
    "rise_duration": ("seat_off", "bottom_start"),
    "stand_duration": ("bottom_start", "bottom_end"),
    "sit_duration": ("bottom_end", "end"),
    "repetition_duration": ("start", "end"),
    "seated_duration": ("seated_since", "start"),
}
_NEEDS_START = ("start", "seated_since")
_NEEDS_END = ("bottom_end", "end")
_FIVE, _COUNTED_S = 5, 30.0


def add_times(
    metrics: xr.Dataset,
    pose: xr.Dataset,
    angles: xr.Dataset,
    repetitions: xr.Dataset,
    *,
    sex: str | None,
    age: float | None,
) -> xr.Dataset:
    """Add durations, the time of five, the count in 30 s, and their norms at an age.

    A time that cannot be given is NaN, with a ``note``; one that cannot be compared has a
    ``no_norm`` in place of ``norm_limit`` and ``norm``.
    """
    limits = exercise_of(metrics).own_table("measures")["limits"]
    limits = {name: entry["value"] for name, entry in limits.items()}
    added: dict[str, xr.DataArray] = {}
    accepted = repetitions["accepted"].to_numpy().astype(bool)
    frame = float(np.median(np.diff(repetitions["time"]))) if repetitions.sizes["time"] > 1 else 0.0
    event_sd = limits["event_sd_side_s" if HIDDEN_SIDE in metrics.attrs else "event_sd_s"]
    sd = math.sqrt(2) * math.hypot(frame / math.sqrt(12), event_sd)

    for name, (first, last) in _DURATIONS.items():
        seen = repetitions["stands"] | True
        if first in _NEEDS_START:
            seen &= repetitions["start_seen"]
        if last in _NEEDS_END:
            seen &= repetitions["end_seen"]
        value = (repetitions[last] - repetitions[first]).where(seen)
        add(added, name, "repetition", value, None, "value of the repetition", name=name)
    rise = added["rise_duration"]
    over = over_repetitions(rise, xr.full_like(rise, sd), accepted)
    add(added, "rise_time", "median", *over, "median over accepted repetitions", name="rise_time")

    def single(name: str, value: float, error: float, note: str = "", kind: str = "time") -> None:
        value_sd = xr.DataArray(error if math.isfinite(value) else np.nan)
        words = "count" if kind == "count" else "from one moment to another"
        add(added, name, kind, xr.DataArray(value), value_sd, words, name=name)
        if note:
            added[name].attrs["note"] = note

    rises = _Rises(repetitions, limits)
    five, why_five = rises.time_of_five("end")
    single("five_times", five, sd, why_five)
    rising, why_rising = rises.time_of_five("bottom_start")
    single("five_rises", rising, sd, why_rising)
    count, why_count = rises.in_30_s()
    single("thirty_seconds", count, 0.0, why_count, kind="count")
    attempts = float((~repetitions["stands"]).sum())
    single("attempts", attempts, 0.0, kind="count")

    seated, seated_sd = _seated_thigh(angles, repetitions)
    add(
        added,
        "seated_thigh",
        "median",
        seated,
        seated_sd,
        "median while seated",
        name="seated_thigh",
    )
    no_seat = any(warning["code"] == "no_seat" for warning in warnings_of(metrics))
    obstacles = [
        *([tables.sentence("reasons.chair.no_seat")] if no_seat else []),
        *_hands(pose, repetitions, accepted, limits),
        *rises.pauses(),
        *_seat(float(seated), float(seated_sd), limits),
    ]
    for name in ("five_times", "five_rises", "thirty_seconds"):
        other = rises.other_test(name)
        reasons = [other] if other else obstacles
        added[name].attrs |= norm_of(metrics, name, sex=sex, age=age, reasons=reasons)
    return metrics.assign(added)


def norm_of(
    metrics: xr.Dataset, name: str, *, sex: str | None, age: float | None, reasons: list[str]
) -> dict[str, Any]:
    """Give ``norm_limit`` and ``norm``, its words, at an age; else ``no_norm`` says why not."""
    if reasons:
        return {"no_norm": listed(reasons)}
    if age is None:
        return {"no_norm": tables.sentence("reasons.chair.age_unknown")}
    rows = exercise_of(metrics).own_table("norms")[name]
    of_age = [row for row in rows if row["ages"][0] <= age < row["ages"][1] + 1]
    if not of_age:
        return {"no_norm": tables.sentence("reasons.no_norm")}
    of_sex = [row for row in of_age if row.get("sex", sex) == sex]
    if not of_sex:
        return {"no_norm": tables.sentence("reasons.chair.sex_unknown")}
    return {"norm_limit": float(of_sex[0]["limit"]), "norm": str(of_sex[0]["words"])}


class _Rises:
    """The chair rises of a trial, as tests time and count them."""

    def __init__(self, repetitions: xr.Dataset, limits: Mapping[str, float]) -> None:
        self.of = repetitions
        self.limits = limits
        self.accepted = repetitions["accepted"].to_numpy().astype(bool)
        time = repetitions["time"].to_numpy()
        self.frames = time[np.isfinite(repetitions["hip_height"].to_numpy())]
        self.ends = float(time[-1]) if time.size else math.nan
        self.slow = time.size < 2 or float(np.median(np.diff(time))) > 1 / limits["least_rate_hz"]

    def __getitem__(self, name: str) -> Any:
        return self.of[name].to_numpy()

    def time_of_five(self, until: str) -> tuple[float, str]:
        """Time from the first lean to the fifth `until`, and why there is none."""
        why = self._why_not_timed(until)
        if why:
            return math.nan, why
        return float(self[until][_FIVE - 1] - self["start"][0]), ""

    def _why_not_timed(self, until: str) -> str:
        if self.slow:
            return tables.sentence("reasons.slow_frames")
        if self.accepted.size < _FIVE:
            return tables.sentence("reasons.chair.few", count=int(self.accepted.sum()))
        faulty = np.flatnonzero(~self.accepted[:_FIVE])
        if why := self._why_unsure(faulty, float(self[until][_FIVE - 1])):
            return why
        if why := self._why_not_begun():
            return why
        last = _FIVE - 1
        if until == "end" and not self["end_seen"][last]:
            return tables.sentence("reasons.chair.end_unseen")
        return "" if self._seen(self[until][last]) else tables.sentence("reasons.chair.end_unseen")

    def _why_unsure(self, faulty: Any, last: float) -> str:
        """Why a chair rise may be missing until a time: of the `faulty` ones, or unseen."""
        if faulty.size:
            number = int(faulty[0])
            why = str(self["reason"][number])
            return tables.sentence("reasons.chair.not_counted", number=number + 1, why=why)
        first, longest = float(self["start"][0]), self.limits["longest_gap_s"]
        inside = self.frames[(self.frames > first) & (self.frames < last)]
        gap = np.diff(inside, prepend=first, append=last).max()
        return tables.sentence("reasons.chair.unseen", longest=longest) if gap > longest else ""

    def _why_not_begun(self) -> str:
        rest = self["start"][0] - self["seated_since"][0]
        if not self["start_seen"][0] or rest < self.limits["least_rest_s"]:
            return tables.sentence("reasons.chair.not_at_rest")
        return "" if self._seen(self["start"][0]) else tables.sentence("reasons.chair.start_unseen")

    def _seen(self, time: float) -> bool:
        gap = np.abs(self.frames - time).min(initial=math.inf)
        return bool(gap <= self.limits["longest_unseen_s"])

    def in_30_s(self) -> tuple[float, str]:
        """Count the rises within 30 s of the first lean, and say why there is no count."""
        if self.slow:
            return math.nan, tables.sentence("reasons.slow_frames")
        if not self.accepted.any():
            return math.nan, tables.sentence("reasons.no_repetition")
        if why := self._why_not_begun():
            return math.nan, why
        over = float(self["start"][0]) + _COUNTED_S
        if over > self.ends:
            return math.nan, tables.sentence("reasons.chair.short_film")
        # Who falls back has not risen; of what else is no repetition, nobody knows.
        unclear = ~self.accepted & self["stands"] & (self["seat_off"] < over)
        if why := self._why_unsure(np.flatnonzero(unclear), over):
            return math.nan, why
        stood = self.accepted & (self["bottom_start"] <= over)
        rising = self.accepted & (self["seat_off"] < over) & (self["bottom_start"] > over)
        height = self.of["hip_height"].to_numpy()
        time = self.of["time"].to_numpy()
        seat = np.nanmedian(height[np.isin(time, time[np.searchsorted(time, self["start"])])])
        at_end = float(np.interp(over, time, np.nan_to_num(height)))
        return float(stood.sum() + (rising.any() and at_end > (1 + seat) / 2)), ""

    def other_test(self, name: str) -> str:
        """Why a time or count is not that of its test, or ''."""
        count = self.accepted.size
        timed = count == _FIVE
        if name == "thirty_seconds":
            # The weakest rise less than five times in it; who stays up at the end has stopped.
            ends = np.where(self["end_seen"], self["end"], self["bottom_start"])
            lasts = count > 0 and ends[-1] - self["start"][0] > _COUNTED_S - 3
            return "" if lasts else tables.sentence("reasons.chair.not_30_s")
        return "" if timed else tables.sentence("reasons.chair.not_five")

    def pauses(self) -> list[str]:
        """Say that somebody paused between the first and the fifth rise."""
        longest = self.limits["longest_pause_s"]
        stands = (self["bottom_end"] - self["bottom_start"])[: _FIVE - 1]
        sits = (self["start"] - self["seated_since"])[1:_FIVE]
        paused = (stands > longest).any() or (sits > longest).any()
        return [tables.sentence("reasons.chair.paused", longest=longest)] if paused else []


def _seated_thigh(angles: xr.Dataset, repetitions: xr.Dataset) -> tuple[xr.DataArray, xr.DataArray]:
    """Elevation of the thighs while seated, mean of the sides, and its error."""
    time = repetitions["time"]
    seated = between(time, repetitions["seated_since"], repetitions["start"]).any("rep")
    value, sd = (
        nanmedian(angles[name].mean("side").where(seated), "time")
        for name in ("thigh_elevation", "thigh_elevation_sd")
    )
    return value, sd.where(value.notnull())


def _seat(thigh: float, sd: float, limits: Mapping[str, float]) -> list[str]:
    """Say that the seat is higher or lower than that of the tests, where that is likely."""
    off = abs(thigh) - limits["thigh_off_level_deg"]
    if not off > 1.28 * sd:
        return []
    return [tables.sentence("reasons.chair.seat_high" if thigh > 0 else "reasons.chair.seat_low")]


def _hands(
    pose: xr.Dataset, repetitions: xr.Dataset, accepted: Any, limits: Mapping[str, float]
) -> list[str]:
    """Say that a hand is where it pushes off the seat, when the hips leave it."""
    points = points_of(pose, ["wrist", "hip", "knee"])
    x, _ = in_body_axes(points, 1)
    height = points[..., 1]
    low = height[:, 0] - height[:, 1] < limits["hand_above_seat_m"]
    behind = x[:, 0] < (x[:, 1] + x[:, 2]) / 2
    pushes = np.asarray(np.any(low & behind, axis=1), dtype=bool)
    off = repetitions["seat_off"].fillna(repetitions["start"]).to_numpy()[accepted]
    rows = [int(np.abs(repetitions["time"].to_numpy() - each).argmin()) for each in off]
    pushed = any(pushes[max(row - 1, 0) : row + 1].all() for row in rows)
    return [tables.sentence("reasons.chair.hands_push")] if pushed else []
