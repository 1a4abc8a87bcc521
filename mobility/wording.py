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
