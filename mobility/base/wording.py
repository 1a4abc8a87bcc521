"""Names and lists for sentences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


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
