"""Elements of a page: tables, lists and lines of text, of plain values.

Every function returns HTML as Markup, which may be added up and stand in elements of htpy; all
other text is escaped there.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import htpy as h
from markupsafe import Markup, escape

from mobility import tables
from mobility.base.formatting import MISSING, plus_minus, quantity


@dataclass(frozen=True)
class Cell:
    """A cell with a class of the style sheet, or over several columns."""

    content: h.Node
    kind: str | None = None
    columns: int = 1


Row: TypeAlias = Sequence[h.Node | Cell]


def html(*nodes: h.Node) -> Markup:
    """Write elements and texts one after the other."""
    return h.fragment[nodes].__html__()


def measured(value: float, units: str, *, half: float, signed: bool = False) -> Markup:
    """Write a value as :func:`mobility.base.formatting.quantity` does, its interval as a span."""
    text = escape(quantity(value, units, signed=signed))
    if text == MISSING or units == "count" or not math.isfinite(half):
        return text
    return html(text, " ", h.span(".interval")[plus_minus(half, units)])


def sentence(key: str, /, **values: object) -> Markup:
    """Fill in a sentence of the tables, the one place where values may be HTML."""
    safe = {name: escape(v) if isinstance(v, str) else v for name, v in values.items()}
    return Markup(tables.sentence(key, **safe))  # noqa: S704, values are escaped


def table(
    head: Sequence[str | tuple[str, Markup]],
    rows: Sequence[Row],
    *,
    caption: str,
    numeric: bool = False,
) -> Markup:
    """Make an accessible table whose first column names the row; empty without rows.

    Parameters
    ----------
    head
        Headings of the columns, some with a citation.
    rows
        Cells of each row.
    caption
        What the table shows; empty where that stands above it.
    numeric
        Whether all columns after the first are numbers, set to the right.
    """
    if not rows:
        return html()
    # On a narrow page each cell is a line, with its head beside it.
    names = [cell if isinstance(cell, str) else cell[0] for cell in head]

    def row_cells(row: Row) -> Iterator[h.Node]:
        first, *cells = (cell if isinstance(cell, Cell) else Cell(cell) for cell in row)
        yield h.th(scope="row")[first.content]
        left = names[1:]
        for cell in cells:
            heads, left = left[: cell.columns], left[cell.columns :]
            # Empty cells, and those over several columns, have no head.
            yield h.td(
                class_=cell.kind,
                colspan=cell.columns if cell.columns > 1 else None,
                data_head=heads[0] if cell.content and len(heads) == 1 else None,
            )[cell.content]

    return html(
        h.div(".table")[
            h.table(class_="numeric" if numeric else None)[
                h.caption[caption] if caption else None,
                h.thead[h.tr[(h.th(scope="col")[cell] for cell in head)]],
                h.tbody[(h.tr[row_cells(row)] for row in rows)],
            ]
        ]
    )


def opening(summary: str, content: Markup) -> Markup:
    """Put a long list into a part that opens; empty without a list."""
    return html(h.details[h.summary[summary], content]) if content else content


def facts(entries: Mapping[str, str | None]) -> Markup:
    """List named facts; those that are None are left out."""
    rows = ((h.dt[name], h.dd[value]) for name, value in entries.items() if value is not None)
    return html(h.dl(".facts")[(h.div[row] for row in rows)])


def paragraphs(*texts: h.Node, kind: str | None = None) -> Markup:
    """Set texts as paragraphs, of a class of the style sheet where they have one."""
    return html(h.p(class_=kind)[text] for text in texts)


def bullets(texts: Iterable[h.Node]) -> Markup:
    """Set texts as a list; empty without any."""
    items = [h.li[text] for text in texts]
    return html(h.ul[items] if items else None)
