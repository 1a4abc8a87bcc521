"""Numbers, dates, names and lists as people read them."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

MISSING = "–"
"""Shown in place of a missing value."""

# Not %b, which other locales translate.
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_SHOWN = {
    **{"": (0, ""), "count": (0, ""), "1": (2, "")},
    **{"degree": (0, "°"), "degree/s": (0, "°/s"), "percent": (0, " %"), "%": (0, " %")},
    **{"s": (1, " s"), "second": (1, " s"), "m": (2, " m"), "cm": (1, " cm"), "kg": (0, " kg")},
    "foot length": (2, " foot lengths"),
}
System = Literal["metric", "imperial"]

_SYSTEMS: Mapping[str, Mapping[System, tuple[float, int, str]]] = {
    # Per metre and per kilogram, digits, and the symbol.
    "m": {"metric": (100.0, 1, "cm"), "imperial": (1 / 0.0254, 0, "in")},
    "kg": {"metric": (1.0, 1, "kg"), "imperial": (1 / 0.45359237, 0, "lb")},
}

_SHORT = 3
"""Longest suffix that stands behind each number of several."""


def digits_and_suffix(units: str) -> tuple[int, str]:
    """Decimals and suffix of a unit; 0 and "" for an index."""
    return _SHOWN.get(units, (1, ""))


def rounded(value: float, digits: int = 0, *, signed: bool = False) -> str:
    """Write a number with its decimals: "1.5", "−3", "+2" if `signed`; zero has no sign."""
    if not math.isfinite(value):
        return MISSING
    text = f"{value:{'+' if signed else ''}z.{digits}f}".replace("-", "−")
    return text if text.strip("+0.") else text.lstrip("+")


def quantity(
    value: float,
    units: str,
    *,
    half: float = math.nan,
    digits: int | None = None,
    signed: bool = False,
) -> str:
    """Write a value with its unit, and half of its 95 % interval: "98° ± 4°"; words only once.

    Degrees and percent are whole, seconds have one decimal, ratios two, unless `digits` are given.
    NaN is a dash; a `half` that is NaN is left out, and so is that of a count.
    """
    usual, suffix = digits_and_suffix(units)
    text = rounded(value, usual if digits is None else digits, signed=signed)
    if text == MISSING:
        return text
    if units == "count" or not math.isfinite(half):
        return f"{text}{suffix}"
    behind = suffix if len(suffix) <= _SHORT else ""
    return f"{text}{behind} {plus_minus(half, units, digits=digits)}"


def in_system(value: float, units: str, *, system: System, digits: int | None = None) -> str:
    """Write metres or kilograms in the units of a system, as short as they go: "2.5 cm", "1 in"."""
    factor, most, symbol = _SYSTEMS[units][system]
    return f"{round(value * factor, most if digits is None else digits):g} {symbol}"


def stature(height_m: float, *, system: System) -> str:
    """Write the height of a person: "175 cm", or in whole feet and inches, "5 ft 9 in"."""
    if system == "metric":
        return in_system(height_m, "m", system=system, digits=0)
    feet, inches = divmod(round(height_m / 0.0254), 12)
    return f"{feet} ft {inches} in"


def plus_minus(half: float, units: str = "", *, digits: int | None = None) -> str:
    """Half of an interval: "± 4°"."""
    return f"± {quantity(half, units, digits=digits)}"


def between(
    low: float, high: float, units: str = "", *, digits: int | None = None, signed: bool = False
) -> str:
    """Interval or range with its unit once: "88 to 108°"."""
    usual = digits_and_suffix(units)[0] if digits is None else digits
    return f"{rounded(low, usual, signed=signed)} to " + quantity(
        high, units, digits=digits, signed=signed
    )


def count_range(least: int, most: int) -> str:
    """Write a number that is not the same everywhere: "5 to 6"; "6" where it is."""
    return f"{least}" if least == most else between(least, most, "count")


def percent(share: float) -> str:
    """Share in whole percent: "45 %"."""
    return quantity(100 * share, "percent")


def probability(p: float, digits: int = 2, *, limits: Iterable[float] = ()) -> str:
    """Probability, never as a certainty: "< 0.01", "0.67", "> 0.99".

    Nor is it shown as one of the `limits` that it is not, as that would say more: "< 0.90".
    """
    least = 10.0**-digits
    if p < least:
        return f"< {rounded(least, digits)}"
    if p > 1 - least:
        return f"> {rounded(1 - least, digits)}"
    text = rounded(p, digits)
    limit = next((each for each in limits if rounded(each, digits) == text), None)
    if limit is None or math.isclose(p, limit, rel_tol=0, abs_tol=1e-12):
        return text
    return f"{'<' if p < limit else '>'} {text}"


def dated(when: datetime.date) -> str:
    """Date as people read it: "28 Nov 2026"."""
    return f"{when.day} {_MONTHS[when.month - 1]} {when.year}"


def timed(when: datetime.datetime) -> str:
    """Date and time as people read them: "28 Nov 2026, 10:31"."""
    return f"{dated(when)}, {when:%H:%M}"


def capital(text: str) -> str:
    """`text` with its first letter as a capital; the others stay."""
    return text[:1].upper() + text[1:]


def spoken(name: str) -> str:
    """Name of a variable in words: ``knee_flexion`` is "knee flexion"."""
    return name.replace("_weight_bearing", " under the body's weight").replace("_", " ")


def measure_of(metric: str, item: str) -> str:
    """Name a metric with what else it is of: "end_of_range[elbow_flexion]"."""
    return f"{metric}[{item}]" if item else metric


def metric_and_item(measure: str) -> tuple[str, str]:
    """Take the name of :func:`measure_of` apart."""
    metric, _, item = measure.partition("[")
    return metric, item.removesuffix("]")


def measure_in_words(measure: str, long_name: str = "") -> str:
    """Name a measure, with what else it is of: "End of range (elbow flexion)"."""
    metric, item = metric_and_item(measure)
    name = capital(long_name or spoken(metric))
    return f"{name} ({spoken(item)})" if item else name


def level_in_words(factor: str, level: object) -> str:
    """Name what a value of a column is: "visit 2", "group b"; a word says it alone: "patients"."""
    text = f"{level:.15g}" if isinstance(level, float) else str(level)
    says_nothing = len(text) == 1 or text.lstrip("+-")[:1].isdigit()
    return f"{spoken(factor)} {text}" if says_nothing else text


def difference_in_words(factor: str, level: object, other: object) -> str:
    """Name the difference of two levels: "visit 2 − visit 1"."""
    return f"{level_in_words(factor, level)} − {level_in_words(factor, other)}"


def split_names(text: str) -> list[str]:
    """Split a text at its commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def listed(names: Sequence[str]) -> str:
    """Names with commas and "and"."""
    *before, last = names or [""]
    return f"{', '.join(before)} and {last}" if before else last


def shortened(names: Iterable[object], *, most: int = 12) -> str:
    """Names with commas, the first of many."""
    each = [str(name) for name in names]
    text = ", ".join(each[:most])
    return f"{text} and {len(each) - most} more" if len(each) > most else text or "none"


def both_sides(sided: Sequence[str]) -> str:
    """Put sides together: "left and right elbow", else "left elbow, right knee"."""
    parts = [each.partition(" ")[2] for each in sided]
    names = [
        f"left and right {part}" if part and parts.count(part) > 1 else each
        for each, part in zip(sided, parts, strict=True)
    ]
    return ", ".join(dict.fromkeys(names))
