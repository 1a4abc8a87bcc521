"""Numbers and the list of what a report cites: literature, and choices of this package."""

from __future__ import annotations

from html import escape


class References:
    """The sources that a report has cited so far, in the order of their numbers.

    Sections of a report cite while they are written, so that the list holds all that was used and
    nothing else.
    """

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def cite(self, *sources: str) -> str:
        """Give each source its number, the old one if it has one, as links; empty for none."""
        numbers = []
        for source in sources:
            text = " ".join(str(source).split())
            if text and text != "–":
                numbers.append(self._numbers.setdefault(text, len(self._numbers) + 1))
        links = (f"<a href='#ref-{n}'>{n}</a>" for n in sorted(set(numbers)))
        return f"<span class='cite'>[{', '.join(links)}]</span>" if numbers else ""

    def listed(self) -> str:
        """List all sources that were cited, numbered."""
        if not self._numbers:
            return "<p>Nothing was cited.</p>"
        items = "".join(
            f"<li id='ref-{number}'>{escape(text)}</li>" for text, number in self._numbers.items()
        )
        return f"<ol class='references'>{items}</ol>"
