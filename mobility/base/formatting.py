"""Format numbers, dates, names and lists for people."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

MISSING = "–"
"""Shown in place of a missing value."""

# Not %b, because other locales translate it.
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_SHOWN = {
    **{"": (0, ""), "count": (0, ""), "1": (2, "")},
    **{"degree": (0, "°"), "degree/s": (0, "°/s"), "percent": (0, " %"), "%": (0, " %")},
    **{"s": (1, " s"), "second": (1, " s"), "m": (2, " m"), "cm": (1, " cm"), "kg": (0, " kg")},
    "foot length": (2, " foot lengths"),
}
System = Literal["metric", "imperial"]

_SYSTEMS: Mapping[str, Mapping[System, tuple[float, int, str]]] = {
    # For metres and kilograms: the factor, the digits, and the symbol.
    "m": {"metric": (100.0, 1, "cm"), "imperial": (1 / 0.0254, 0, "in")},
    "kg": {"metric": (1.0, 1, "kg"), "imperial": (1 / 0.45359237, 0, "lb")},
}

_SHORT = 3
"""Longest suffix that is repeated after every number in a list."""


def digits_and_suffix(units: str) -> tuple[int, str]:
    """Return the number of decimals and the suffix for a unit; 0 and "" for an index."""
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
    """Write a value with its unit and margin of error: "98° ± 4°", "12 ± 2 frames".

    A unit that is a word is written only once. Degrees and percent have no decimals, seconds have
    one, ratios two, unless `digits` are set. NaN is a dash. The margin of error `half` is left out
    if it is NaN, and for a count.
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
    """Write metres or kilograms in a system of units, without needless zeros: "2.5 cm", "1 in"."""
    factor, most, symbol = _SYSTEMS[units][system]
    return f"{round(value * factor, most if digits is None else digits):g} {symbol}"


def stature(height_m: float, *, system: System) -> str:
    """Write the height of a person: "175 cm", or in feet and inches, "5 ft 9 in"."""
    if system == "metric":
        return in_system(height_m, "m", system=system, digits=0)
    feet, inches = divmod(round(height_m / 0.0254), 12)
    return f"{feet} ft {inches} in"


def plus_minus(half: float, units: str = "", *, digits: int | None = None) -> str:
    """Write a margin of error: "± 4°"."""
    return f"± {quantity(half, units, digits=digits)}"


def between(
    low: float, high: float, units: str = "", *, digits: int | None = None, signed: bool = False
) -> str:
    """Write an interval or range with its unit once: "88 to 108°"."""
    usual = digits_and_suffix(units)[0] if digits is None else digits
    return f"{rounded(low, usual, signed=signed)} to " + quantity(
        high, units, digits=digits, signed=signed
    )


def count_range(least: int, most: int) -> str:
    """Write the range of a number that varies: "5 to 6"; "6" if it does not vary."""
    return f"{least}" if least == most else between(least, most, "count")


def percent(share: float) -> str:
    """Write a share in percent, without decimals: "45 %"."""
    return quantity(100 * share, "percent")


def probability(p: float, digits: int = 2, *, limits: Iterable[float] = ()) -> str:
    """Write a probability, never as a certainty: "< 0.01", "0.67", "> 0.99".

    A probability that rounds to one of the `limits` without being equal to it shows its side: "<
    0.90".
    """
    least = 10.0**-digits
    if p < least:
        return f"< {rounded(least, digits)}"
    if p > 1 - least:
        return f"> {rounded(1 - least, digits)}"
    text = rounded(p, digits)
    limit = next((value for value in limits if rounded(value, digits) == text), None)
    if limit is None or math.isclose(p, limit, rel_tol=0, abs_tol=1e-12):
        return text
    return f"{'<' if p < limit else '>'} {text}"


def dated(when: datetime.date) -> str:
    """Write a date for people: "28 Nov 2026"."""
    return f"{when.day} {_MONTHS[when.month - 1]} {when.year}"


def timed(when: datetime.datetime) -> str:
    """Write a date and time for people: "28 Nov 2026, 10:31"."""
    return f"{dated(when)}, {when:%H:%M}"


def capital(text: str) -> str:
    """Return `text` with a capital first letter; the other letters stay."""
    return text[:1].upper() + text[1:]


def spoken(name: str) -> str:
    """Write the name of a variable in words: ``knee_flexion`` is "knee flexion"."""
    return name.replace("_weight_bearing", " under the body's weight").replace("_", " ")


def measure_of(metric: str, item: str) -> str:
    """Return the name of a metric with its item: "end_of_range[elbow_flexion]"."""
    return f"{metric}[{item}]" if item else metric


def metric_and_item(measure: str) -> tuple[str, str]:
    """Split a name from :func:`measure_of` into metric and item."""
    metric, _, item = measure.partition("[")
    return metric, item.removesuffix("]")


def measure_in_words(measure: str, long_name: str = "") -> str:
    """Write the name of a measure with its item: "End of range (elbow flexion)"."""
    metric, item = metric_and_item(measure)
    name = capital(long_name or spoken(metric))
    return f"{name} ({spoken(item)})" if item else name


def level_in_words(factor: str, level: object) -> str:
    """Write a value after the name of its column, "visit 2"; a word stays alone, "patients"."""
    text = f"{level:.15g}" if isinstance(level, float) else str(level)
    says_nothing = len(text) == 1 or text.lstrip("+-")[:1].isdigit()
    return f"{spoken(factor)} {text}" if says_nothing else text


def difference_in_words(factor: str, level: object, other: object) -> str:
    """Write the difference between two levels: "visit 2 − visit 1"."""
    return f"{level_in_words(factor, level)} − {level_in_words(factor, other)}"


def split_names(text: str) -> list[str]:
    """Split text at its commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def listed(names: Sequence[str]) -> str:
    """Join names with commas and "and"."""
    *before, last = names or [""]
    return f"{', '.join(before)} and {last}" if before else last


def shortened(names: Iterable[object], *, most: int = 12) -> str:
    """Join the first names with commas, and count the rest."""
    texts = [str(name) for name in names]
    text = ", ".join(texts[:most])
    return f"{text} and {len(texts) - most} more" if len(texts) > most else text or "none"


def both_sides(sided: Sequence[str]) -> str:
    """Join names; both sides of a part become one name: "left and right elbow, right knee"."""
    parts = [name.partition(" ")[2] for name in sided]
    names = [
        f"left and right {part}" if part and parts.count(part) > 1 else name
        for name, part in zip(sided, parts, strict=True)
    ]
    return ", ".join(dict.fromkeys(names))
