"""The pages of a cohort and of a study: the comparison of its groups, and its reliability."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

import htpy as h
from markupsafe import Markup

from mobility.base.formatting import listed
from mobility.catalogue import registry
from mobility.reports.figures import panels
from mobility.reports.html import html
from mobility.reports.page import PageWithFiles, Section
from mobility.studies import cohort, cohort_plots
from mobility.studies import cohort_sections as of_cohort
from mobility.studies import study_sections as parts
from mobility.studies.groups import Groups, groups, values_by_group
from mobility.studies.references import references
from mobility.studies.reliability import Reliability, reliability
from mobility.studies.study_table import Study, choose_metrics, scores
from mobility.tables import sentence

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from matplotlib.figure import Figure

    from mobility.sessions.session_store import SessionStore
    from mobility.sessions.stored_session import StoredSession


@dataclass(frozen=True)
class CohortPage(PageWithFiles):
    """The data that the sections of a cohort's page can use.

    Attributes
    ----------
    store
        The store, which is not changed.
    exercise, participants
        As in :func:`mobility.studies.cohort.choose_sessions`.
    metrics
        Measures to show, separated by commas; empty means the measures of each exercise.
    group_by
        The column that defines the groups.
    recordings
        Verdicts of the sessions that are compared.
    """

    store: SessionStore[StoredSession]
    exercise: str = ""
    participants: Sequence[str] = ()
    metrics: str = ""
    group_by: str = "sex"
    recordings: Sequence[str] = ("good", "limited")

    @cached_property
    def sessions(self) -> list[StoredSession]:
        """The sessions."""
        return cohort.choose_sessions(
            self.store, exercise=self.exercise, participants=self.participants
        )

    @cached_property
    def table(self) -> pd.DataFrame:
        """All values."""
        return cohort.to_dataframe(self.sessions, recordings=self.recordings)

    @cached_property
    def overview(self) -> pd.DataFrame:
        """The sessions as a table."""
        return cohort.overview(self.table)

    @cached_property
    def exercises(self) -> list[OfExercise]:
        """The exercises of the sessions, which are compared separately."""
        studies, exercises = references(self.store), []
        for name, rows in cohort.by_exercise(self.table).items():
            asked = self.metrics or of_cohort.usual_metrics(name)
            metrics, unknown = of_cohort.chosen_metrics(rows, asked)
            changed = {each: cohort.changes(rows, each, studies=studies) for each in metrics}
            grouped = {each: cohort.by_group(rows, each, self.group_by) for each in metrics}
            exercises.append(OfExercise(name, rows, unknown, changed, grouped))
        return exercises

    def people(self) -> Markup:
        """Describe the flow of participants."""
        elsewhere = cohort.not_listed(self.store, self.sessions)
        return of_cohort.participants(self.overview, f"{self.store.path}", elsewhere)

    def in_short(self) -> Markup:
        """State who changed, how groups differ, and which metrics no session has."""
        first, *unknown_elsewhere = (each.unknown for each in self.exercises)
        # A metric of one exercise need not be one of another.
        nowhere = [name for name in first if all(name in unknown for unknown in unknown_elsewhere)]
        return of_cohort.not_measured(self.table, nowhere) + self._of_each(
            lambda each: (
                of_cohort.changes_in_short(each.rows, each.changed)
                + of_cohort.groups_in_short(each.rows, each.grouped, self.group_by)
            )
        )

    def changes(self) -> Markup:
        """Draw and list the changes in people."""
        alt = "of each participant over time, with the smallest detectable change"
        pictures = self._drawn(lambda each: each.changed, of_cohort.over_time, alt, "over-time")
        return pictures + self._of_each(
            lambda each: of_cohort.changes_table(each.rows, each.changed)
        )

    def groups(self) -> Markup:
        """Draw and list the differences between groups."""
        by, title = self.group_by, of_cohort.group_title(self.group_by)
        draw = partial(of_cohort.group_distribution, group_title=title)
        alt = f"of every person by {title.lower()}"
        pictures = self._drawn(lambda each: each.grouped, draw, alt, f"by-{by}")
        return pictures + self._of_each(
            lambda each: of_cohort.groups_table(each.rows, each.grouped, by)
        )

    def missing(self) -> Markup:
        """Count the values that are missing."""
        return self._of_each(lambda each: of_cohort.refused_table(each.rows, list(each.changed)))

    def keep(self) -> Markup:
        """Store the table, and describe it."""
        checks = cohort.checks(self.table, self.sessions)
        for name in ("cohort.csv", "cohort.parquet") if self.out else ():
            cohort.write_table(self.table, Path(self.out) / name, checks=checks)
        titles = [
            of_cohort.title_of(each.rows, metric).lower()
            for each in self.exercises
            for metric in each.changed
        ]
        return of_cohort.of_the_table(self.table, titles)

    def _of_each(self, show: Callable[[OfExercise], Markup]) -> Markup:
        """Put the content for each exercise below its name, if it has one."""
        return html(*(html(each.name and h.h3[each.name], show(each)) for each in self.exercises))

    def _drawn(
        self,
        values: Callable[[OfExercise], dict[str, pd.DataFrame]],
        draw: Callable[..., Figure],
        alt: str,
        ending: str,
    ) -> Markup:
        """Draw each measure of each exercise that has values."""
        pictures = Markup()
        for each in self.exercises:
            for metric, rows in values(each).items():
                if len(rows):
                    title = of_cohort.title_of(each.rows, metric, each.name)
                    file = each.file(f"{metric}-{ending}")
                    pictures += self.figure(draw(rows, title=title), file, alt=f"{title} {alt}")
        return pictures


@dataclass(frozen=True)
class OfExercise:
    """One exercise in a cohort: its rows, its measures, and its missing measures."""

    name: str
    rows: pd.DataFrame
    unknown: list[str]
    changed: dict[str, pd.DataFrame]
    grouped: dict[str, pd.DataFrame]

    def file(self, name: str) -> str:
        """Name of a file of the exercise."""
        return f"{registry.exercise(self.name).slug}-{name}" if self.name else name


COHORT: tuple[Section[CohortPage], ...] = (
    Section("", CohortPage.people),
    Section("What was found", CohortPage.in_short),
    Section("Change over time", CohortPage.changes, about=sentence("cohort.about.changes")),
    Section("Groups", CohortPage.groups, about=sentence("cohort.about.groups")),
    Section("What this cannot show", CohortPage.missing, about=sentence("cohort.about.limits")),
    Section("The table", CohortPage.keep, about=sentence("cohort.about.table")),
    Section(
        "Sessions",
        lambda p: of_cohort.session_table(p.overview),
        about=sentence("cohort.about.sessions"),
    ),
)


@dataclass(frozen=True)
class StudyPage(PageWithFiles):
    """The data that the sections of a study's page can use.

    Attributes
    ----------
    study
        The study.
    metrics
        Measures to show; if empty, all measures with values.
    """

    study: Study
    metrics: Sequence[str] = ()

    def write(self, **rows_of: pd.DataFrame) -> None:
        """Store tables."""
        for name, rows in rows_of.items() if self.out else ():
            cohort.write_rows(rows, Path(self.out) / f"{name.replace('_', '-')}.csv")


@dataclass(frozen=True)
class GroupsPage(StudyPage):
    """The data for a comparison of groups; `by`, `within` and `adjust` are as in :func:`groups`."""

    by: str = "group"
    within: Sequence[str] = ()
    adjust: Sequence[str] = ()

    @cached_property
    def compared(self) -> Groups:
        """The comparison, whose tables are stored."""
        factors = {"within": self.within, "adjust": self.adjust}
        comparison = groups(self.study.table, by=self.by, **factors, metrics=self.metrics or None)
        self.write(differences=comparison.differences, description=comparison.description)
        return comparison

    def largest(self) -> Markup:
        """Draw the measures with the largest differences."""
        drawn = Markup()
        for metric in parts.largest(self.study, self.compared, 3):
            name = parts.name_of(self.study.table, metric)
            values = values_by_group(self.study.table, metric, self.by)
            drawn += self.figure(
                of_cohort.group_distribution(values, title=name, group_title=self.by),
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
    """The data that the sections of a reliability page can use."""

    @cached_property
    def names(self) -> list[str]:
        """The measures."""
        return choose_metrics(self.study.table, self.metrics or None)

    @cached_property
    def result(self) -> Reliability:
        """The statistics, which are stored."""
        ordinal = [name for name in scores(self.study.table) if name in self.names]
        statistics = reliability(self.study.table, metrics=self.names, ordinal=ordinal)
        self.write(statistics=statistics.statistics, without_value=statistics.without_value)
        return statistics

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
        for metric, side in parts.drawn(self.result, self.usual):
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
        """Draw the error of measurement over a repetition, and state where it is largest."""
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
    Section("", lambda p: parts.flow(p.study, p.result.flow) + parts.people(p.study)),
    Section(
        "What was found",
        lambda p: parts.reliability_in_short(p.study, p.result, p.usual) + p.drawn(),
    ),
    Section(
        "All measures",
        lambda p: parts.reliability_table(p.study, p.result),
        about=sentence("studies.reliability.about.measures"),
    ),
    Section(
        "Systematic change",
        lambda p: parts.changes_of_levels(p.study, p.result),
        about=sentence("studies.reliability.about.changes"),
    ),
    Section(
        "Over the repetition",
        ReliabilityPage.over_repetition,
        about=sentence("studies.reliability.about.curves"),
    ),
    Section("Where the variance comes from", lambda p: parts.components(p.study, p.result)),
    Section(
        "Missing values",
        lambda p: parts.missing(p.study, p.result.without_value),
        about=sentence("studies.reliability.about.missing"),
    ),
    Section("Methods", lambda p: parts.reliability_methods(p.study, p.result)),
    Section(
        "What a report of such a study states",
        lambda p: parts.guidelines(p.result),
        about=sentence("studies.reliability.about.guidelines"),
    ),
    Section("Sessions", lambda p: parts.sessions(p.study)),
)
