"""Elements of a page (tables, lists, lines of text), its ES modules as a single text, and its PDF.

The functions for elements return Markup, which can be joined and used within elements of htpy; they
escape all other text. Nothing loads from a network. An installed browser prints the PDF.
"""

from __future__ import annotations

import math
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import htpy as h
from markupsafe import Markup, escape

from mobility import tables
from mobility.assessment.number import Number
from mobility.base.formatting import MISSING, plus_minus, quantity
from mobility.errors import NotFoundError, ReportError
from mobility.sessions.files import atomic, scratch

_IMPORT = re.compile(r'^import [^;]+ from "(\.[^"]+)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?!default)", re.MULTILINE)


def joined(file: Path) -> str:
    """Return the text of a module, preceded by the texts of the modules that it imports, each once.

    All modules share one scope, so names are imported unchanged, and each name is used once.
    """
    texts: dict[Path, str] = {}

    def add(path: Path) -> None:
        text = path.read_text(encoding="utf-8")
        for imported in _IMPORT.findall(text):
            if (needed := (path.parent / imported).resolve()) not in texts:
                add(needed)
        texts[path] = _EXPORT.sub("", _IMPORT.sub("", text)).lstrip("\n")

    add(file.resolve())
    return "\n".join(texts.values())


@dataclass(frozen=True)
class Cell:
    """A table cell with a CSS class, or one that spans several columns."""

    content: h.Node
    kind: str | None = None
    columns: int = 1


Row: TypeAlias = Sequence[h.Node | Cell]


def html(*nodes: h.Node) -> Markup:
    """Write elements and texts one after the other."""
    return h.fragment[nodes].__html__()


def measured(number: Number, *, signed: bool = False) -> Markup:
    """Write a number like :attr:`Number.text`, with its interval as a span."""
    text, half = escape(quantity(number.value, number.units, signed=signed)), number.half_width
    if text == MISSING or number.units == "count" or not math.isfinite(half):
        return text
    return html(text, " ", h.span(".interval")[plus_minus(half, number.units)])


def sentence(key: str, /, **values: object) -> Markup:
    """Fill in a sentence from the tables. Only this function accepts HTML as values."""
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
        Headings of the columns, which may have a citation.
    rows
        Cells of each row.
    caption
        What the table shows; empty if the text above it explains this.
    numeric
        Whether all columns after the first are numbers, which are aligned right.
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
    """Put a long list into a part that can be opened; empty if there is no list."""
    return html(h.details[h.summary[summary], content]) if content else content


def facts(entries: Mapping[str, str | None]) -> Markup:
    """List named facts; facts that are None are left out."""
    rows = ((h.dt[name], h.dd[value]) for name, value in entries.items() if value is not None)
    return html(h.dl(".facts")[(h.div[row] for row in rows)])


def paragraphs(*texts: h.Node, kind: str | None = None) -> Markup:
    """Write texts as paragraphs, with a CSS class if there is one."""
    return html(h.p(class_=kind)[text] for text in texts)


def bullets(texts: Iterable[h.Node]) -> Markup:
    """Write texts as a list; empty without texts."""
    items = [h.li[text] for text in texts]
    return html(h.ul[items] if items else None)


BROWSERS = (
    *("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"),
    *("msedge", "microsoft-edge"),
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
"""Browsers that can print without a window, in the order in which they are looked for."""

_TIMEOUT_S = 120


def to_pdf(page: Path) -> Path:
    """Print a page to a PDF file next to it, without network access.

    Parameters
    ----------
    page
        An HTML file.

    Raises
    ------
    NotFoundError
        No such browser is installed.
    ReportError
        The browser did not print the page.
    StorageError
        The PDF cannot be written.
    """
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise NotFoundError(
            f"PDF: no browser was found that can make a PDF ({', '.join(BROWSERS[:3])} …); "
            f"install Chromium, or print {page} from a browser"
        )
    target = page.with_suffix(".pdf")
    with scratch("print") as place, atomic(target) as hidden:
        command = [
            *(browser, "--headless", "--disable-gpu", "--no-first-run", "--no-pdf-header-footer"),
            # Chromium does not start its sandbox for the superuser; the page is ours.
            *(["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []),
            *("--disable-background-networking", "--host-resolver-rules=MAP * ~NOTFOUND"),
            *(f"--user-data-dir={place}", f"--print-to-pdf={hidden}", page.resolve().as_uri()),
        ]
        try:
            done = subprocess.run(  # noqa: S603, the browser that was found
                command, capture_output=True, timeout=_TIMEOUT_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ReportError(f"PDF: {browser} did not print {page}: {error}") from None
        if done.returncode or not hidden.is_file() or not hidden.stat().st_size:
            output = done.stderr.decode(errors="replace").strip().splitlines()
            raise ReportError(
                f"PDF: {browser} did not print {page}: {output[-1] if output else done.returncode}"
            )
    return target
