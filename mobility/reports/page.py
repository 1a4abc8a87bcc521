"""Pages: sections, and the data that the sections of a session's page can use.

A section is a function that returns a part of a page. Every page is a list of sections; an exercise
lists its sections by name, see :mod:`mobility.reports.sections`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

import htpy as h
from markupsafe import Markup

from mobility import tables
from mobility.assessment.findings import Finding, find
from mobility.assessment.number import nothing_measured, without_hidden_side
from mobility.assessment.verdict import PARTS, Part, Verdict
from mobility.base.formatting import capital, spoken
from mobility.documents.of_session import verdict_of
from mobility.errors import MobilityError, ReportError
from mobility.keypoints.view import UNKNOWN, trial_view, view_kind
from mobility.reports import additions, figures, key_frames, recording
from mobility.reports.first_page import absent, doubt
from mobility.reports.gauges import Gauge, of_rules
from mobility.reports.html import html, paragraphs
from mobility.reports.origin import References

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from mobility.catalogue.exercise import Exercise
    from mobility.documents.lab_references import LabReferences
    from mobility.sessions.record import Edits, Participant, SessionRecord
    from mobility.sessions.stored_session import StoredSession


class Page:
    """The data that the sections of a page can use. By default, nothing is missing or in doubt."""

    def lacks(self, needs: Iterable[str]) -> Markup:
        """List the `needs` that are missing; empty if there are none."""
        return Markup()

    def doubt(self) -> Markup:
        """Warn that the sides may have been exchanged; empty if there is no doubt."""
        return Markup()


@dataclass(frozen=True)
class PageWithFiles(Page):
    """A page that also stores its pictures and tables in the folder `out`, if there is one."""

    out: str = field(default="", kw_only=True)

    def figure(self, drawn: Figure, name: str, *, alt: str, caption: str = "") -> Markup:
        """Show a figure, and store its picture under `name`."""
        file = Path(self.out) / f"{name}.png" if self.out else None
        return figures.show(drawn, alt=alt, caption=caption, file=file)


P = TypeVar("P", bound=Page, contravariant=True)


@dataclass(frozen=True)
class ReportPage(Page):
    """The data that every section can use; they are read or computed on first use.

    Attributes
    ----------
    session
        An analysed session of an exercise with repetitions.
    faces
        Whether pictures show the face and the room instead of blurring them.
    """

    session: StoredSession
    faces: bool = False

    @cached_property
    def record(self) -> SessionRecord:
        """Record of the session."""
        return self.session.record

    @cached_property
    def exercise(self) -> Exercise:
        """Exercise of the session."""
        return self.record.kind

    @cached_property
    def contents(self) -> dict[str, Any]:
        """Contents of the exercise's report: ``report`` in ``exercise.yaml``."""
        return cast("dict[str, Any]", self.exercise.table["report"])

    @cached_property
    def participant(self) -> Participant | None:
        """The participant; None if there is no record."""
        return self.session.participant

    @cached_property
    def edits(self) -> Edits:
        """Corrections by hand."""
        return self.session.edits()

    @cached_property
    def pose(self) -> xr.Dataset:
        """The fitted pose."""
        return self.session.fitted()

    @cached_property
    def angles(self) -> xr.Dataset:
        """Angles over time, including unreported values, but without a hidden side."""
        return without_hidden_side(self.session.measured_angles(), self.metrics)

    @cached_property
    def repetitions(self) -> xr.Dataset:
        """Repetitions and their phases."""
        return self.session.repetitions()

    @cached_property
    def metrics(self) -> xr.Dataset:
        """Metrics of the exercise."""
        return self.session.metrics()

    @cached_property
    def accepted(self) -> int:
        """Number of accepted repetitions."""
        return int(self.metrics["accepted_repetitions"])

    @cached_property
    def quality(self) -> dict[str, Any]:
        """Capture quality of the recording."""
        return self.session.capture_quality()

    @cached_property
    def verdict(self) -> Verdict:
        """Verdict on the recording."""
        return verdict_of(self.session, self.metrics)

    @cached_property
    def checks(self) -> tuple[Finding, ...]:
        """Findings of all checks, as the verdict leaves them."""
        return self.verdict.checks(find(self.metrics))

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """Findings that the verdict keeps."""
        return self.verdict.keep(self.checks)

    @cached_property
    def view_kind(self) -> str:
        """Kind of view, "two-cameras" or "unknown"."""
        view = trial_view(self.pose)
        return view if view == UNKNOWN else view_kind(view)

    @cached_property
    def lab(self) -> LabReferences:
        """The lab's own norms and errors that apply to the session."""
        return additions.lab_references(self.session)

    @cached_property
    def gauges(self) -> list[Gauge]:
        """Numbers and their targets; those outside their target come first."""
        shows = self.verdict.shows
        return of_rules(self.metrics, shows, findings=self.findings, lab=self.lab)

    @cached_property
    def references(self) -> References:
        """Literature, numbered in the order in which the sections cite it."""
        return References()

    def shown_names(self, names: Iterable[str]) -> list[str]:
        """Choose the metrics and angles that the verdict keeps."""
        return [name for name in names if self.verdict.keeps(name)]

    def absent(self, *parts: Part) -> Markup:
        """State which parts are not reported because of the verdict, and why; empty if all are."""
        return absent(self.verdict, *parts)

    def lacks(self, needs: Iterable[str]) -> Markup:
        """List the `needs` that are missing; empty if there are none."""
        for need in needs:
            if need == "repetitions":
                if not self.accepted:
                    return paragraphs(tables.sentence("report.nothing_measured"), kind="missing")
            elif need in PARTS:
                if out := self.absent(need):
                    return out
            elif why := self._why_without(need):
                words = tables.sentence("report.lacks", what=capital(spoken(need)), why=why)
                return paragraphs(words, kind="missing")
        return Markup()

    def doubt(self) -> Markup:
        """Warn that the sides may have been exchanged; empty if there is no doubt."""
        return doubt(self.verdict)

    def front(
        self, trust: Markup, numbers: h.Node, words: h.Node, findings: Sequence[Finding] = ()
    ) -> Markup:
        """Lay out the first page: person, verdict, pictures, numbers and findings."""
        pictures = key_frames.of_session(self.session, findings, faces=self.faces)
        return (
            html(h.h1[self.record.exercise.capitalize()])
            + recording.in_a_line(
                self.record, self.participant, self.repetitions, self.quality, self.edits
            )
            + trust
            + key_frames.as_html(pictures)
            + html(h.div(".halves")[h.div[numbers], h.div[words]])
        )

    def _why_without(self, metric: str) -> str:
        if why := self.verdict.why_without(metric):
            return why
        return nothing_measured(self.metrics, metric)


@dataclass(frozen=True)
class Section(Generic[P]):
    """A part of a page.

    Attributes
    ----------
    heading
        Heading of the section; empty for the first page.
    make
        Returns the content of the section. If it is empty, the page leaves the section out.
    needs
        The requirements of the section: "repetitions" (an accepted one), a part of the verdict, or
        a metric. If one is missing, the section states why.
    sided
        Whether it begins with the warning that the sides may have been exchanged.
    about
        Text below the heading, in Markdown; a section with such a text is shown even if it is
        empty.
    name
        Name of the section in ``page`` of an ``exercise.yaml``.
    """

    heading: str
    make: Callable[[P], Markup]
    needs: tuple[str, ...] = ()
    sided: bool = False
    about: str = ""
    name: str = ""

    def of(self, page: P) -> Markup:
        """Make the section, or state why it is missing."""
        if lacking := page.lacks(self.needs):
            return lacking
        try:
            content = self.make(page)
        except Exception as error:
            module = getattr(self.make, "__module__", "mobility")
            if module.startswith("mobility.") or isinstance(error, MobilityError):
                raise
            where = f"section {self.name!r} of {module}"
            raise ReportError(f"{where}: {type(error).__name__}: {error}") from error
        return page.doubt() + content if self.sided and content else content


def section(
    heading: str, *, needs: Iterable[str] = (), sided: bool = False
) -> Callable[[Callable[[ReportPage], Markup]], Section[ReportPage]]:
    """Make a section from a function, with its name; see :class:`Section`."""

    def section_of(function: Callable[[ReportPage], Markup]) -> Section[ReportPage]:
        return Section(heading, function, tuple(needs), sided, name=function.__name__)

    return section_of


def show(sections: Iterable[Section[P]], page: P) -> None:
    """Display sections in a notebook, each below its heading."""
    from IPython.display import HTML, Markdown, display

    for each in sections:
        if (content := each.of(page)) or each.about:
            text = f"## {each.heading}\n\n{each.about}".strip()
            heading = [Markdown(text)] if each.heading else []  # type: ignore[no-untyped-call]
            tags = {"tags": [each.name]} if each.name else {}
            display(*heading, HTML(content), metadata=tags)  # type: ignore[no-untyped-call]
