"""The page of a participant's course, the client's page, and the table."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import htpy as h
from markupsafe import Markup

from mobility.base.formatting import (
    capital,
    dated,
    digits_and_suffix,
    listed,
    metric_and_item,
    quantity,
)
from mobility.errors import ReportError
from mobility.keypoints.view import view_in_words
from mobility.kinematics.expected_error import half_width
from mobility.pipeline.analysis import try_to_bring_up_to_date
from mobility.plotting.axes import COLOURS, GREY, MARKERS, NORMAL
from mobility.reports import figures
from mobility.reports.html import Row, html, paragraphs, table
from mobility.reports.render import to_html
from mobility.reports.values import factor_of, units_of
from mobility.sessions.files import make_folder, replace_folder, write_json, writing
from mobility.studies.cohort import write_rows
from mobility.studies.course import Course, Line, Point
from mobility.studies.report_files import SESSIONS_ON_PAGE, remove_pages, visit_folder
from mobility.studies.visit_changes import Measured
from mobility.studies.visit_page import name_of_number
from mobility.tables import sentence

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from mobility.sessions.session_store import SessionStore

COURSE = "course"
"""Name of the folder of the page, next to those of the visits, and of its files."""


def render_course(store: SessionStore[Any], user_id: str) -> dict[str, Path]:
    """Make the page of a course.

    Outdated sessions are analysed again first. The page is in the folder of the participant's visit
    pages, so it is deleted with each of the sessions, and with the participant. A PDF of the page
    is kept while the page stays the same.

    Returns
    -------
    dict
        Paths of ``"html"``, ``"client"`` (the page for the client) and ``"csv"``.

    Raises
    ------
    ReportError
        A session was deleted in the meantime.
    """
    course = Course(store, user_id)
    store.require_writable()
    sessions = [session for visit in course.visits for session in visit.sessions]
    for session in sessions:
        try_to_bring_up_to_date(session)
    course = Course(store, user_id)  # with new results
    folder = visit_folder(store.reports.absolute(), course.user_id, COURSE)
    with writing(folder.parent):
        make_folder(folder.parent)
    names = {"html": f"{COURSE}.html", "client": f"{COURSE}.client.html", "csv": f"{COURSE}.csv"}
    title = sentence("course.page", name=course.user_id)
    with replace_folder(folder, what=f"the page of the course of {course.user_id}") as place:
        write_json(
            place / SESSIONS_ON_PAGE, [session.id for session in sessions] + [*course.left_out()]
        )
        with writing(folder):
            for kind, content in (("html", _page(course)), ("client", _client(course))):
                page = place / names[kind]
                page.write_text(_document(content, title), encoding="utf-8")
                _keep_printed(folder / page.name, page)
        write_rows(course.table(), place / names["csv"])
    if gone := [session.id for session in sessions if not store.has(session.id)]:
        remove_pages(store.reports, gone[0])
        raise ReportError(f"session {gone[0]}: was deleted in the meantime; make the page again")
    return {kind: folder / name for kind, name in names.items()}


def _keep_printed(earlier: Path, page: Path) -> None:
    """Keep the PDF of an earlier page if the new page is the same; else it would be outdated."""
    printed = earlier.with_suffix(".pdf")
    if printed.is_file() and earlier.is_file() and earlier.read_bytes() == page.read_bytes():
        shutil.copy2(printed, page.with_suffix(".pdf"))


def _document(content: Markup, title: str) -> str:
    from nbformat.v4 import new_code_cell, new_notebook, new_output

    shown = new_output("display_data", data={"text/html": str(content)})
    return to_html(new_notebook(cells=[new_code_cell(outputs=[shown])]), title=title)


def _who(course: Course) -> str:
    """Return the name and the id of the participant; the id distinguishes people of one name."""
    record = course.store.stored_participant(course.user_id)
    if record is None or not record.display_name:
        return course.user_id
    return sentence("course.with_id", name=record.display_name, user_id=course.user_id)


def _page(course: Course) -> Markup:
    days = [visit.date for visit in course.visits]
    which = "days" if len(days) > 1 else "one_day"
    about = sentence(
        f"course.about.{which}", count=len(days), first=dated(days[0]), last=dated(days[-1])
    )
    page = html(h.h1[sentence("course.title", name=_who(course))]) + paragraphs(about, kind="who")
    for exercise in dict.fromkeys(line.exercise for line in course.lines):
        lines = [line for line in course.lines if line.exercise == exercise]
        page += html(h.h2[exercise]) + _trends(course, lines) + _drawn(course, lines)
    if course.compared:
        page += paragraphs(sentence("course.how", count=course.compared), kind="note")
    return page + html(h.h2[sentence("course.visits")]) + _visits(course)


def _client(course: Course) -> Markup:
    title = html(h.h1[sentence("course.client", name=_who(course))])
    days = [visit.date for visit in course.visits]
    if len(days) == 1:
        sentences = [sentence("course.client_one", day=dated(days[0]))]
    else:
        sentences = []
        for word in ("better", "worse"):
            since: dict[str, dict[str, list[str]]] = {}
            for line in course.lines:
                if course.word(line) == word:
                    first = next(point.day for point in line.points if point.is_compared)
                    name = _name(line._replace(side="")).lower()
                    since.setdefault(dated(first), {}).setdefault(name, []).append(line.side)
            sentences += [
                sentence(
                    f"course.client_changed.{word}",
                    day=day,
                    names=listed([_sided(*each) for each in names.items()]),
                )
                for day, names in since.items()
            ]
        sentences = sentences or [sentence("course.client_unsure", day=dated(days[0]))]
    changed = [line for line in course.lines if course.word(line) in ("better", "worse")]
    shown = changed or course.lines
    drawn = Markup()
    for exercise in dict.fromkeys(line.exercise for line in shown):
        of_exercise = [line for line in shown if line.exercise == exercise]
        drawn += html(h.h2[exercise]) + _drawn(course, of_exercise, caption=False)
    lead = html(h.div(".lead")[(h.p[each] for each in sentences)])
    return html(h.div(".client.alone")[title, lead, drawn])


def _name(line: Line) -> str:
    name = name_of_number({"exercise": line.exercise, "metric": line.metric})
    return f"{name}, {line.side}" if line.side else name


def _scale(line: Line) -> tuple[float, str]:
    """Return the factor with which a measure is shown, as on the report, and the unit then."""
    number = line.measured[-1][1]
    metrics = number.sessions[-1].metrics()
    metric, _ = metric_and_item(line.metric)
    factor = factor_of(metrics, metric)
    return factor, units_of(metrics, metric) if factor != 1 else number.units


def _sided(name: str, sides: Sequence[str]) -> str:
    return f"{name} ({listed(sides)})" if all(sides) else name


def _trends(course: Course, lines: Sequence[Line]) -> Markup:
    rows: list[Row] = []
    for line in lines:
        first, last = (line.measured[which][1] for which in (0, -1))
        factor, units = _scale(line)
        change = ""
        if line.trend is not None:
            digits = digits_and_suffix(units)[0] + 1
            of_line = factor * (line.trend.last - line.trend.first)
            least = factor * line.trend.least(course.compared)
            change = sentence(
                "course.change",
                change=quantity(of_line, units, digits=digits, signed=True),
                least=quantity(least, units, digits=digits),
            )
        word = sentence(f"course.word.{course.word(line) or 'nothing'}")
        values = [quantity(factor * each.value, units) for each in (first, last)]
        rows.append([_name(line), *values, change, word])
    head = [
        sentence(f"course.head.{name}") for name in ("measure", "first", "last", "change", "word")
    ]
    return table(head, rows, caption=sentence("course.caption"), numeric=True)


def _visits(course: Course) -> Markup:
    notes = course.notes
    rows: list[Row] = []
    for visit in course.visits:
        films = [
            sentence("course.film_without", exercise=row["exercise"], reason=row["reason"])
            if row["reason"]
            else sentence("course.film", exercise=row["exercise"], view=view_in_words(row["view"]))
            for row in visit.films()
        ]
        rows.append([dated(visit.date), "; ".join(films), notes.get(visit.date, "")])
    head = [sentence(f"course.head.{name}") for name in ("day", "films", "note")]
    shown = table(head, rows, caption=sentence("course.caption_visits"))
    lines = [sentence("course.left_out", reason=why) for why in course.left_out().values()]
    return shown + paragraphs(*lines, kind="note")


def _drawn(course: Course, lines: Sequence[Line], *, caption: bool = True) -> Markup:
    by_metric: dict[str, list[Line]] = {}
    for line in lines:
        by_metric.setdefault(line.metric, []).append(line)
    figure = draw(course, list(by_metric.values()))
    names = listed([_name(of_metric[0]._replace(side="")) for of_metric in by_metric.values()])
    alt = sentence("course.alt", exercise=lines[0].exercise, name=names)
    return figures.show(figure, alt=alt, caption=sentence("course.figure") if caption else "")


def draw(course: Course, measures: Sequence[Sequence[Line]]) -> Figure:
    """Draw measures over the days, one panel for each, with both sides in a panel."""
    columns = 2 if len(measures) > 1 else 1
    rows = math.ceil(len(measures) / columns)
    figure, axes = figures.panels(rows, columns, height=2.6 * rows, sharex=True)
    for axis, lines in zip(axes, measures, strict=False):
        factor, units = _scale(lines[0])
        for line in lines:
            _draw_line(axis, line, factor)
        _draw_breaks(axis, lines)
        name = _name(lines[0]._replace(side=""))
        suffix = digits_and_suffix(units)[1].strip()
        axis.set_title(f"{name} ({suffix})" if suffix else name, fontsize=NORMAL, loc="left")
        goal = factor * lines[0].measured[-1][1].goal
        if math.isfinite(goal):
            axis.axhline(goal, color="black", lw=1.0, ls=":", zorder=1)
        axis.margins(x=0.06)
    for axis in axes[len(measures) :]:
        axis.set_visible(False)
    _label_days(axes[: len(measures)], course)
    sides = dict.fromkeys(line.side for lines in measures for line in lines)
    look = {"lw": 1.0}
    marks = [
        figures.line(
            capital(side), color=COLOURS[side], marker=MARKERS.get(side, "D"), ms=6, **look
        )
        for side in sides
        if side
    ]
    if any(point.part for lines in measures for line in lines for point in line.points):
        marks.append(figures.line(sentence("course.break"), color=GREY, ls="--", lw=1.0))
    figures.legend(figure, marks)
    return figure


def _label_days(axes: Sequence[Axes], course: Course) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    first, last = (course.visits[which].date for which in (0, -1))
    for axis in axes:
        if first == last:
            axis.set_xticks([first.toordinal() - _EPOCH], [dated(first)])
            continue
        locator = AutoDateLocator(minticks=3, maxticks=7)
        axis.xaxis.set_major_locator(locator)
        axis.xaxis.set_major_formatter(ConciseDateFormatter(locator))
        axis.tick_params(labelbottom=True)


_EPOCH = 719163
"""Day 1970-01-01, from which matplotlib counts, as Python counts days."""


def _draw_line(axis: Axes, line: Line, factor: float) -> None:
    colour, marker = COLOURS[line.side], MARKERS.get(line.side, "D")
    shift = {"left": -0.004, "right": 0.004}.get(line.side, 0.0)
    span = max((line.points[-1].day - line.points[0].day).days, 1)

    def at(point: Point) -> float:
        return point.day.toordinal() - _EPOCH + shift * span

    parts: dict[int, list[tuple[Point, Measured]]] = {}
    for point, number in line.measured:
        parts.setdefault(point.part, []).append((point, number))
        axis.errorbar(
            at(point),
            factor * number.value,
            yerr=_half_width(point, number, factor),
            fmt=marker,
            color=colour,
            markerfacecolor=colour if point.is_compared else "white",
            markersize=5,
            elinewidth=1.0,
            capsize=2.5,
            zorder=3,
        )
    for of_part in parts.values():
        days, values = [at(point) for point, _ in of_part], [factor * n.value for _, n in of_part]
        axis.plot(days, values, color=colour, lw=1.2, alpha=0.7, zorder=2)
    compared = [(point, number) for point, number in line.measured if point.is_compared]
    if len(compared) > 1:
        (first, number), (last, _) = compared[0], compared[-1]
        half = factor * float(half_width(math.hypot(first.error, last.error)))
        days, middle = [at(first), at(last)], factor * number.value
        axis.fill_between(
            days, middle - half, middle + half, color=colour, alpha=0.10, lw=0, zorder=0
        )


def _half_width(point: Point, number: Measured, factor: float) -> float | None:
    error = point.error if math.isfinite(point.error) else number.sd
    return factor * float(half_width(error)) if math.isfinite(error) else None


def _draw_breaks(axis: Axes, lines: Sequence[Line]) -> None:
    """Mark the middle between two visits that were filmed or analysed differently."""
    middles = {
        (before.day.toordinal() + now.day.toordinal()) / 2 - _EPOCH
        for line in lines
        for before, now in zip(line.points, line.points[1:], strict=False)
        if before.part != now.part
    }
    for middle in middles:
        axis.axvline(middle, color=GREY, lw=1.0, ls="--", zorder=1)
