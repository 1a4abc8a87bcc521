"""Reasons why a value is missing, in the words of a participant: without terms, sd and limits."""

from __future__ import annotations

import re

_PLAIN = (
    (
        r"\btoo uncertain \(|95 % interval .*exceeds|^its error is not known",
        "it is too uncertain in this recording",
    ),
    (
        r"^seen from the side",
        "the camera saw you from the side",
    ),
    (r"^noise of landmarks", "no body was fitted to what the camera saw"),
)
"""Patterns of reasons and the words for all of them, the first that fits."""


def bare(note: object) -> str:
    """Give the reason in a note, without "refused" or "cannot be told" before it."""
    return str(note).removeprefix("refused: ").removeprefix("cannot be told: ")


def plain(reason: str) -> str:
    """Say a reason in plain words; one that has no measured sizes in it stays, less its brackets.

    Parameters
    ----------
    reason
        As in the attribute ``note`` of a metric, or ``Finding.reason``.

    Returns
    -------
    str
        Without a full stop. Reasons that differ in sizes only get the same words.
    """
    reason = bare(reason).rstrip(".")
    for pattern, words in _PLAIN:
        if re.search(pattern, reason):
            return words
    return reason.split(" (")[0]
