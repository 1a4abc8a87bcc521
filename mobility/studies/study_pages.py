"""The pages of a study: the comparison of its groups, and its reliability."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup

from mobility.base.formatting import listed
from mobility.reports.figures import panels, show
from mobility.reports.page import Page, Section
from mobility.studies import cohort_plots
from mobility.studies import study_sections as parts
from mobility.studies.cohort import write_rows
from mobility.studies.cohort_sections import group_distribution
from mobility.studies.groups import Groups, groups, values_by_group
from mobility.studies.reliability import Reliability, reliability
from mobility.studies.study_table import Study, choose_metrics, scores
from mobility.tables import sentence

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class StudyPage(Page):
    """What the sections of the page of a study have at hand.

    Attributes
    ----------
    study
        The study.
    metrics
        Its measures; none: all with values.
    out
        Folder for tables and pictures; empty: they are only shown.
    """

    study: Study
    metrics: Sequence[str] = ()
    out: str = ""

    def figure(self, figure: Figure, name: str, *, alt: str) -> Markup:
        """Show a figure, and keep its picture."""
        return show(figure, alt=alt, file=Path(self.out) / f"{name}.png" if self.out else None)

    def write(self, **rows_of: pd.DataFrame) -> None:
        """Keep tables."""
        for name, rows in rows_of.items() if self.out else ():
            write_rows(rows, Path(self.out) / f"{name.replace('_', '-')}.csv")


@dataclass(frozen=True)
class GroupsPage(StudyPage):
    """The same of a comparison of groups; `by`, `within` and `adjust` as of :func:`groups`."""

    by: str = "group"
    within: Sequence[str] = ()
    adjust: Sequence[str] = ()

    @cached_property
    def compared(self) -> Groups:
        """The comparison, of which the tables are kept."""
        factors = {"within": self.within, "adjust": self.adjust}
        made = groups(self.study.table, by=self.by, **factors, metrics=self.metrics or None)
        self.write(differences=made.differences, description=made.description)
        return made

    def largest(self) -> Markup:
        """Draw the measures with the largest differences."""
        drawn = Markup()
        for metric in parts.largest(self.study, self.compared, 3):
            name = parts.name_of(self.study.table, metric)
            values = values_by_group(self.study.table, metric, self.by)
            drawn += self.figure(
                group_distribution(values, title=name, group_title=self.by),
                f"{metric.partition('[')[0]}-by-group",
                alt=f"{name} of every person by {self.by}",
            )
        return drawn


GROUPS: tuple[Section[GroupsPage], ...] = (
    Section("", lambda p: parts.participants(p.study)),
    Section(
        "What was found", lambda p: parts.differences_in_short(p.study, p.compared) + p.largest()
    ),
    Section(
        "All differences",
        lambda p: parts.differences(p.study, p.compared),
        about=sentence("studies.groups.about"),
    ),
    Section(
        "The groups", lambda p: parts.people(p.study, p.by) + parts.description(p.study, p.compared)
    ),
    Section(
        "Missing values",
        lambda p: parts.missing(p.study, p.compared.without_value),
        about=sentence("studies.groups.about_missing"),
    ),
    Section("Methods", lambda p: parts.methods(p.study, p.compared, p.by, p.within)),
    Section("Sessions", lambda p: parts.sessions(p.study)),
)


@dataclass(frozen=True)
class ReliabilityPage(StudyPage):
    """The same of a study of reliability."""

    @cached_property
    def names(self) -> list[str]:
        """The measures."""
        return choose_metrics(self.study.table, self.metrics or None)

    @cached_property
    def found(self) -> Reliability:
        """The statistics, which are kept."""
        ordinal = [name for name in scores(self.study.table) if name in self.names]
        made = reliability(self.study.table, metrics=self.names, ordinal=ordinal)
        self.write(statistics=made.statistics, without_value=made.without_value)
        return made

    @cached_property
    def usual(self) -> list[str]:
        """The measures that are drawn."""
        return parts.usual_measures(self.study, self.names)

    @cached_property
    def curves(self) -> pd.DataFrame:
        """Curves of the repetitions."""
        return parts.curves_of(self.study, self.names)

    def drawn(self) -> Markup:
        """Draw the usual measures."""
        shown = Markup()
        for metric, side in parts.drawn(self.found, self.usual):
            name = parts.name_of(self.study.table, metric, side)
            figure, axes = panels(1, 2, height=3.6)
            cohort_plots.reliability(self.study.table, metric, side=side or None, axes=axes)
            shown += self.figure(
                figure,
                f"{metric.partition('[')[0]}-{side or 'both'}-reliability",
                alt=f"{name}: differences between measurements over their mean, and each person's "
                "values",
            )
        return shown

    def over_repetition(self) -> Markup:
        """Draw the error of measurement over a repetition, and say where it is largest."""
        errors = parts.retest_curves(self.curves)
        drawn = self._errors(errors) if errors else Markup()
        return drawn + parts.retest_curves_in_words(self.curves, errors)

    def _errors(self, errors: Sequence[xr.Dataset]) -> Markup:
        self.write(retest_curves=parts.retest_rows(errors))
        rows = -(-len(errors) // 2)
        figure, axes = panels(rows, 2, height=0.8 + 2.6 * rows)
        for axis, each in zip(axes, errors, strict=False):
            cohort_plots.retest_curves(each, ax=axis, legend=axis is axes[0])
        for axis in axes[len(errors) :]:
            axis.remove()
        names = listed([each.attrs["title"] for each in errors])
        alt = f"Standard error of measurement over a repetition: {names}"
        return self.figure(figure, "curves-reliability", alt=alt)


RELIABILITY: tuple[Section[ReliabilityPage], ...] = (
    Section("", lambda p: parts.flow(p.study, p.found.flow) + parts.people(p.study)),
    Section(
        "What was found",
        lambda p: parts.reliability_in_short(p.study, p.found, p.usual) + p.drawn(),
    ),
    Section(
        "All measures",
        lambda p: parts.reliability_table(p.study, p.found),
        about=sentence("studies.reliability.about.measures"),
    ),
    Section(
        "Systematic change",
        lambda p: parts.changes_of_levels(p.study, p.found),
        about=sentence("studies.reliability.about.changes"),
    ),
    Section(
        "Over the repetition",
        ReliabilityPage.over_repetition,
        about=sentence("studies.reliability.about.curves"),
    ),
    Section("Where the variance comes from", lambda p: parts.components(p.study, p.found)),
    Section(
        "Missing values",
        lambda p: parts.missing(p.study, p.found.without_value),
        about=sentence("studies.reliability.about.missing"),
    ),
    Section("Methods", lambda p: parts.reliability_methods(p.study, p.found)),
    Section(
        "What a report of such a study states",
        lambda p: parts.guidelines(p.found),
        about=sentence("studies.reliability.about.guidelines"),
    ),
    Section("Sessions", lambda p: parts.sessions(p.study)),
)
