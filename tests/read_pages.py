"""What stands on pages, read from their HTML: their text, and the rows of a first page."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

MARKS = {"outside": "✗", "borderline": "≈", "met": "✓", "inconclusive": "?"}
KINDS = {
    **{
        "Also reached": "met",
        "Also within or near the aim": "borderline",
        "Also a fault": "outside",
    },
    **{
        "Open": "inconclusive",
        "No answer": "not_reported",
        "Not seen": "not_visible",
        "Hidden": "not_visible",
    },
}
"""Result of each kind of line."""


def text_of(html: object) -> str:
    """What a page, or a part of one, says: without its tags."""
    return " ".join(re.sub(r"<[^>]+>", " ", str(html)).split())


def rows_on(html: str) -> Iterator[tuple[str, str | None, str]]:
    """Name, side and HTML of every value that stands in a row."""
    for name, values in re.findall(
        r'<th scope="row">([^<]*)<small>.*?</th>.*?</svg></td><td>(.*?)</td></tr>', html, re.S
    ):
        for value in values.split("<br>"):
            side = re.search(r'class="(left|right)-text"', value)
            yield name, side[1] if side else None, value


def stands_on(html: str, checks: list[Mapping[str, Any]]) -> list[tuple[str, str | None, str, str]]:
    """Name, side, answer and reason of every answer that a first page has, in rows and lines."""
    sides: dict[str, list[str | None]] = {}
    for each in checks:
        sides.setdefault(each["name"], []).append(each["side"])
    found = []
    for name, side, value in rows_on(html):
        answer = re.search(r'class="answer (\w+)">(\S) (\w+)<', value)
        if answer:
            assert answer[1] == answer[3]
            assert answer[2] == MARKS[answer[1]]
            found.append((name, side, answer[1], ""))
    lines = re.search(r'<div class="unanswered">(.*?)</div>', html, re.S)
    for line in re.findall(r"<p>(.*?)\.</p>", lines[1] if lines else "", re.S):
        said, names = line.rsplit(": ", 1)
        kind, _, reason = said.partition("; " if said.startswith("Hidden") else ", ")
        for name in names.split("; "):
            named, side = re.fullmatch(r"(.*?)(?: \((left|right)\))?", name).groups()
            found += [
                (named, each, KINDS[kind], reason) for each in ([side] if side else sides[named])
            ]
    return found
