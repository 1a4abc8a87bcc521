"""Numbered list of the literature that a report cites."""

from __future__ import annotations

import re

import htpy as h
from markupsafe import Markup

from mobility import tables
from mobility.base.formatting import MISSING

_NAME = r"[A-Z][\w'’-]+"
_PAPER = re.compile(
    rf"({_NAME}(?:(?:, | and | & |, and ){_NAME})*(?: et al\.)?) (\d{{4}}),? ?\(?"
    r"([A-Z][A-Za-z ]+? \d+(?:\(\w+\))?:\w?\d+)"
)
_BOOK = re.compile(r"NASM Essentials of Corrective Exercise Training|\(NASM\)")
_NASM = "Clark, Lucett, Sutton, NASM Essentials of Corrective Exercise Training"


class References:
    """The sources that a report has cited so far, in the order of their numbers.

    Sections cite while they are written, so the list contains exactly the cited papers. A paper in
    several sources has one number. Sources other than literature are in the documentation.
    """

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._texts: list[str] = []

    def cite(self, *sources: str) -> Markup:
        """Return the numbers of each source's literature, as links; empty if there are none."""
        numbers: set[int] = set()
        for source in sources:
            text = " ".join(str(source).split())
            if text and text != MISSING:
                numbers.update(self._number(paper) for paper in papers(text))
        if not numbers:
            return Markup()
        links = [h.a(href=f"#ref-{n}")[n] for n in sorted(numbers)]
        return h.span(".cite")["[", Markup(", ").join(links), "]"].__html__()

    def _number(self, text: str) -> int:
        # Authors are spelt in several ways; journal and page identify a paper.
        key = re.sub(r"^.*? (?=\d{4}, )", "", text).casefold()
        if key not in self._numbers:
            self._texts.append(text)
            self._numbers[key] = len(self._texts)
        return self._numbers[key]

    def listed(self) -> Markup:
        """List all sources that were cited, numbered."""
        items = [h.li(id=f"ref-{n}")[text] for n, text in enumerate(self._texts, start=1)]
        cited = h.ol(".references")[items] if items else None
        return h.fragment[cited, h.p[tables.sentence("report.references")]].__html__()


def papers(source: str) -> list[str]:
    """Name the literature of a source; empty if the source is a choice of this package.

    Parameters
    ----------
    source
        Source of a table or definition: literature among words on how it is used.
    """
    cited = [f"{who} {year}, {where}" for who, year, where in _PAPER.findall(source)]
    if _BOOK.search(source):
        cited.append(_NASM)
    if not cited and re.search(r"\b(1[89]|20)\d\d\b", source):
        cited = [source]
    return list(dict.fromkeys(cited))
