"""Times and counts of sit-to-stand repetitions, and the norms of the timed tests."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from mobility import tables
from mobility.assessment.body_axes import in_body_axes, points_of
from mobility.base.formatting import listed
from mobility.catalogue.exercise import Exercise

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


def event_sd(
    repetitions: xr.Dataset, limits: Mapping[str, float], *, from_side: bool = False
) -> float:
    """Return the standard error of the time of a moment, seconds."""
    time = repetitions["time"]
    frame = float(np.median(np.diff(time))) if time.size > 1 else 0.0
    return math.hypot(
        frame / math.sqrt(12), limits["event_sd_side_s" if from_side else "event_sd_s"]
    )


def durations(repetitions: xr.Dataset) -> dict[str, xr.DataArray]:
    """Return the durations of each rise and its parts, seconds; NaN if an end was not visible."""
    of_rises = {}
    for name, (first, last) in _DURATIONS.items():
        recorded = repetitions["stands"] | True
        if first in _NEEDS_START:
            recorded &= repetitions["start_seen"]
        if last in _NEEDS_END:
            recorded &= repetitions["end_seen"]
        of_rises[name] = (repetitions[last] - repetitions[first]).where(recorded)
    return of_rises


def norm_of(
    exercise: Exercise, name: str, *, sex: str | None, age: float | None, reasons: list[str]
) -> dict[str, Any]:
    """Return ``norm_limit`` and ``norm`` (in words) for an age, or the reason ``no_norm``."""
    if reasons:
        return {"no_norm": listed(reasons)}
    if age is None:
        return {"no_norm": tables.sentence("reasons.chair.age_unknown")}
    rows = exercise.own_table("norms")[name]
    of_age = [row for row in rows if row["ages"][0] <= age < row["ages"][1] + 1]
    if not of_age:
        return {"no_norm": tables.sentence("reasons.no_norm")}
    of_sex = [row for row in of_age if row.get("sex", sex) == sex]
    if not of_sex:
        return {"no_norm": tables.sentence("reasons.chair.sex_unknown")}
    return {"norm_limit": float(of_sex[0]["limit"]), "norm": str(of_sex[0]["words"])}


class Rises:
    """Times and counts of sit-to-stand repetitions, by the rules of the tests."""

    def __init__(self, repetitions: xr.Dataset, limits: Mapping[str, float]) -> None:
        self.repetitions = repetitions
        self.limits = limits
        self.accepted = repetitions["accepted"].to_numpy().astype(bool)
        time = repetitions["time"].to_numpy()
        self.seen_times = time[np.isfinite(repetitions["hip_height"].to_numpy())]
        self.film_end = float(time[-1]) if time.size else math.nan
        self.is_slow = (
            time.size < 2 or float(np.median(np.diff(time))) > 1 / limits["least_rate_hz"]
        )

    def __getitem__(self, name: str) -> Any:
        return self.repetitions[name].to_numpy()

    def of_tests(self) -> dict[str, tuple[float, str]]:
        """Return times and count of the tests; NaN with the reason if one is withheld."""
        return {
            "five_times": self.time_of_five("end"),
            "five_rises": self.time_of_five("bottom_start"),
            "thirty_seconds": self.in_30_s(),
        }

    def time_of_five(self, until: str) -> tuple[float, str]:
        """Return the time from the first lean to `until` of the fifth rise; NaN with a reason."""
        why = self._why_not_timed(until)
        if why:
            return math.nan, why
        return float(self[until][_FIVE - 1] - self["start"][0]), ""

    def _why_not_timed(self, until: str) -> str:
        if self.is_slow:
            return tables.sentence("reasons.slow_frames")
        if self.accepted.size < _FIVE:
            return tables.sentence("reasons.chair.few", count=int(self.accepted.sum()))
        faulty = np.flatnonzero(~self.accepted[:_FIVE])
        if why := self._why_unsure(faulty, float(self[until][_FIVE - 1])):
            return why
        if why := self._why_no_start():
            return why
        last = _FIVE - 1
        if until == "end" and not self["end_seen"][last]:
            return tables.sentence("reasons.chair.end_unseen")
        return (
            "" if self._is_seen(self[until][last]) else tables.sentence("reasons.chair.end_unseen")
        )

    def _why_unsure(self, faulty: Any, last: float) -> str:
        """Explain why rises until `last` (s) cannot be counted: a faulty rise, or a gap."""
        if faulty.size:
            number = int(faulty[0])
            why = str(self["reason"][number])
            return tables.sentence("reasons.chair.not_counted", number=number + 1, why=why)
        first, longest = float(self["start"][0]), self.limits["longest_gap_s"]
        inside = self.seen_times[(self.seen_times > first) & (self.seen_times < last)]
        gap = np.diff(inside, prepend=first, append=last).max()
        return tables.sentence("reasons.chair.unseen", longest=longest) if gap > longest else ""

    def _why_no_start(self) -> str:
        if not self["start_seen"][0]:
            return tables.sentence("reasons.chair.not_at_rest")
        return (
            "" if self._is_seen(self["start"][0]) else tables.sentence("reasons.chair.start_unseen")
        )

    def why_not_the_test(self) -> str:
        """Explain why a recording that can be timed is not the test; empty if it is."""
        if not self.accepted.size:
            return ""
        rest = self["start"][0] - self["seated_since"][0]
        at_rest = rest >= self.limits["least_rest_s"]
        return "" if at_rest else tables.sentence("reasons.chair.not_at_rest")

    def _is_seen(self, time: float) -> bool:
        gap = np.abs(self.seen_times - time).min(initial=math.inf)
        return bool(gap <= self.limits["longest_unseen_s"])

    def in_30_s(self) -> tuple[float, str]:
        """Count the rises within 30 s of the first lean, or explain why there is no count."""
        if self.is_slow:
            return math.nan, tables.sentence("reasons.slow_frames")
        if not self.accepted.any():
            return math.nan, tables.sentence("reasons.no_repetition")
        if why := self._why_no_start() or self.why_not_the_test():
            return math.nan, why
        time_up = float(self["start"][0]) + _COUNTED_S
        if time_up > self.film_end:
            return math.nan, tables.sentence("reasons.chair.short_film")
        # An attempt that falls back is not a rise. Any other refused repetition may be one.
        unclear = ~self.accepted & self["stands"] & (self["seat_off"] < time_up)
        if why := self._why_unsure(np.flatnonzero(unclear), time_up):
            return math.nan, why
        stood = self.accepted & (self["bottom_start"] <= time_up)
        rising = self.accepted & (self["seat_off"] < time_up) & (self["bottom_start"] > time_up)
        height = self.repetitions["hip_height"].to_numpy()
        time = self.repetitions["time"].to_numpy()
        seated = np.unique(np.searchsorted(time, self["start"]))
        seat = np.nanmedian(height[seated])
        at_end = float(np.interp(time_up, time, np.nan_to_num(height)))
        return float(stood.sum() + (rising.any() and at_end > (1 + seat) / 2)), ""

    def why_other_test(self, name: str) -> str:
        """Explain why the recording is not the test of this time or count; empty if it is."""
        count = self.accepted.size
        if name == "thirty_seconds":
            # The time decides, not the count, because the weakest people rise less than five times
            # in 30 s. A person who stays up at the end has stopped.
            ends = np.where(self["end_seen"], self["end"], self["bottom_start"])
            lasts = count > 0 and ends[-1] - self["start"][0] > _COUNTED_S - 3
            return "" if lasts else tables.sentence("reasons.chair.not_30_s")
        return "" if count == _FIVE else tables.sentence("reasons.chair.not_five")

    def pauses(self) -> list[str]:
        """Report that the person paused between the first and the fifth rise; empty if not."""
        longest = self.limits["longest_pause_s"]
        stands = (self["bottom_end"] - self["bottom_start"])[: _FIVE - 1]
        sits = (self["start"] - self["seated_since"])[1:_FIVE]
        paused = (stands > longest).any() or (sits > longest).any()
        return [tables.sentence("reasons.chair.paused", longest=longest)] if paused else []


def seat_height(thigh: float, sd: float, limits: Mapping[str, float]) -> list[str]:
    """Report that the seat is probably higher or lower than in the tests; empty if not."""
    beyond_limit = abs(thigh) - limits["thigh_off_level_deg"]
    if not beyond_limit > 1.28 * sd:
        return []
    return [tables.sentence("reasons.chair.seat_high" if thigh > 0 else "reasons.chair.seat_low")]


def hands_push(
    pose: xr.Dataset, repetitions: xr.Dataset, accepted: Any, limits: Mapping[str, float]
) -> list[str]:
    """Report that a hand pushes off the seat, if a hand is on the seat at seat-off."""
    points = points_of(pose, ["wrist", "hip", "knee"])
    x, _ = in_body_axes(points, 1)
    height = points[..., 1]
    at_seat = height[:, 0] - height[:, 1] < limits["hand_above_seat_m"]
    behind_mid_thigh = x[:, 0] < (x[:, 1] + x[:, 2]) / 2
    pushes = np.asarray(np.any(at_seat & behind_mid_thigh, axis=1), dtype=bool)
    seat_off = repetitions["seat_off"].fillna(repetitions["start"]).to_numpy()[accepted]
    rows = [int(np.abs(repetitions["time"].to_numpy() - moment).argmin()) for moment in seat_off]
    pushed = any(pushes[max(row - 1, 0) : row + 1].all() for row in rows)
    return [tables.sentence("reasons.chair.hands_push")] if pushed else []
