"""What stands on pages, read from their HTML: their text, and the rows of a first page."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from mobility import tables

RESULTS = tables.load("sentences_results")


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
    """Name, side, result and reason of every result that a first page has, in rows and lines."""
    sides: dict[str, list[str | None]] = {}
    for each in checks:
        sides.setdefault(each["name"], []).append(each["side"])
    name_of = {name.lower(): name for name in sides}
    found = []
    for name, side, value in rows_on(html):
        shown = re.search(r'class="result (\w+) (\w+)">(\S) ([\w ]+)<', value)
        if shown:
            entry = RESULTS[shown[1]]
            assert shown.groups()[1:] == (entry["colour"], entry["mark"], entry["word"])
            found.append((name, side, shown[1], ""))
    lines = re.search(r'<div class="undecided">(.*?)</div>', html, re.S)
    for line in re.findall(r"<p>(.*?)\.</p>", lines[1] if lines else "", re.S):
        said = line.removeprefix("Also ").removeprefix("Target also ")
        said = said[:1].lower() + said[1:]
        (result,) = (each for each, entry in RESULTS.items() if said.startswith(entry["word"]))
        said = said.removeprefix(RESULTS[result]["word"]).removeprefix(", too close to the target")
        names, reason = said[2:], ""
        if said.startswith(". "):
            names, _, reason = names.partition(": ")
        names, _, film = names.partition(". Film ")
        for each in names.split(", "):
            named, side = re.fullmatch(r"(.*?)(?: \((left|right)\))?", each).groups()
            name = name_of[named.lower()]
            found += [
                (name, one, result, reason or film) for one in ([side] if side else sides[name])
            ]
    return found
