"""Names and lists as a sentence has them."""

from __future__ import annotations

from collections.abc import Sequence


def capital(text: str) -> str:
    """`text` with its first letter as a capital; the others stay."""
    return text[:1].upper() + text[1:]


def spoken(name: str) -> str:
    """Name of a variable as it is said: ``knee_flexion`` is "knee flexion"."""
    return name.replace("_", " ")


def listed(names: Sequence[str]) -> str:
    """Names with commas and "and"."""
    return " and ".join(", ".join(names).rsplit(", ", 1))
