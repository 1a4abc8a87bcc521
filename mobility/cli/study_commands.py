"""Commands for studies of many sessions; see :mod:`mobility.cli.main`."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from mobility import tables
from mobility.cli.parameters import (
    JsonOption,
    RenderOption,
    WorkersOption,
    check_output,
    open_store,
    option,
    path_argument,
    path_option,
    print_json,
    takes,
    uris,
)

if TYPE_CHECKING:
    from mobility.store import Store
    from mobility.studies.study_table import Study

StudyArgument = Annotated[
    Path,
    path_argument(
        "STUDY.csv",
        help="A row for each session: session or video, participant, any of visit, operator, "
        "device, camera, trial, and columns of your own.",
    ),
]
MetricsOption = Annotated[
    str | None, option("--metrics", "NAMES", help="Comma-separated measures; default: all.")
]
RecordingsOption = Annotated[
    str,
    option(
        "--recordings",
        "VERDICTS",
        help="Use sessions whose recording has one of these verdicts: good, limited, "
        "not_this_exercise, unusable; or all.",
    ),
]
OutOption = Annotated[
    Path | None,
    path_option(
        "--out", "PATH", help="Folder of page and tables; default: in the folder of the reports."
    ),
]


@takes(open_store)
def groups(
    opened: Store,
    study: StudyArgument,
    *,
    by: Annotated[str, option("--by", "COLUMN", help="Column of the groups.")],
    within: Annotated[
        str,
        option("--within", "COLUMNS", help="What differs within people: visit, side, ..."),
    ] = "",
    adjust: Annotated[
        str, option("--adjust", "COLUMNS", help="What to adjust for: age, sex, ...")
    ] = "",
    metrics: MetricsOption = None,
    recordings: RecordingsOption = "good,limited",
    out: OutOption = None,
    report: RenderOption = True,
    workers: WorkersOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare groups of people, or visits of the same people.

    Each measure has a mixed model with participants as random effects; p values are adjusted over
    the measures. Videos that are not analysed yet are analysed first.
    """
    from mobility.base.wording import split_names
    from mobility.batch.study import read_study
    from mobility.reports.render import render_groups
    from mobility.reports.study_sections import (
        differences_in_words,
        reasons_without_result,
        warnings_in_words,
    )
    from mobility.studies.groups import check_groups
    from mobility.studies.groups import groups as compare
    from mobility.studies.study_table import records

    by, within, adjust = by.lower(), within.lower(), adjust.lower()  # as columns of a list are
    question = {"by": by, "within": within, "adjust": adjust, "metrics": metrics or ""}
    folder = out or opened.reports / _folder("groups", study, question)
    check_output(folder, store=opened)
    of_study = read_study(study, store=opened, recordings=split_names(recordings), workers=workers)
    options: dict[str, Any] = {
        "by": by,
        "within": split_names(within),
        "adjust": split_names(adjust),
        "metrics": None if metrics is None else split_names(metrics),
    }
    check_groups(of_study.table, **options)
    page_files = None
    if report:
        page_files = render_groups(of_study, folder, title=study.stem, parameters=question)
    compared = compare(of_study.table, **options)
    if as_json:
        flow = [{"step": step, "count": count} for step, count in of_study.flow()]
        print_json(
            {
                "differences": records(compared.differences),
                "description": records(compared.description),
                "without_value": records(compared.without_value),
                **{"warnings": compared.warnings, "flow": flow, "report": uris(page_files)},
            }
        )
        _exit(opened, of_study)
    lines = []
    for of_effect in differences_in_words(of_study, compared).values():
        for sentence, items in of_effect:
            lines += [sentence, *(f"  {item}" for item in items)]
    if not lines:
        reasons = reasons_without_result(of_study, compared.differences)
        lines = [tables.sentence("studies.groups.nothing"), *(f"  {each}" for each in reasons)]
    _say(of_study, lines + warnings_in_words(compared), page_files)
    _exit(opened, of_study)


@takes(open_store)
def reliability(
    opened: Store,
    study: StudyArgument,
    *,
    metrics: MetricsOption = None,
    save: Annotated[
        str | None,
        option(
            "--save",
            "NAME",
            help="Keep the errors in the store under this name; changes are held against them.",
        ),
    ] = None,
    recordings: RecordingsOption = "good,limited",
    report: RenderOption = True,
    out: OutOption = None,
    workers: WorkersOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say how reliable measures are, between visits, operators, phones or trials.

    ICC by its forms, standard error of measurement, smallest detectable change, systematic change,
    variance components, with their intervals. Videos that are not analysed yet are analysed first.
    """
    from mobility.base.wording import split_names
    from mobility.batch.study import read_study
    from mobility.reports.render import render_reliability
    from mobility.reports.study_sections import (
        reasons_without_result,
        reliability_in_words,
        usual_measures,
    )
    from mobility.sessions.references import check_name
    from mobility.studies.reliability import document
    from mobility.studies.reliability import reliability as compute
    from mobility.studies.retest import retest_errors
    from mobility.studies.study_table import choose_metrics, records, scores

    parameters = {"metrics": metrics or ""}
    folder = out or opened.reports / _folder("reliability", study, parameters)
    check_output(folder, store=opened)
    if save is not None:
        check_name(save, parameter="save")
    of_study = read_study(
        study, store=opened, recordings=split_names(recordings), curves=report, workers=workers
    )
    names = choose_metrics(of_study.table, None if metrics is None else split_names(metrics))
    ordinal = [name for name in scores(of_study.table) if name in names]
    result = compute(of_study.table, metrics=names, ordinal=ordinal)
    page_files = None
    if report:
        page_files = render_reliability(of_study, folder, title=study.stem, parameters=parameters)
    if as_json:
        if save is not None:
            opened.save_reference(retest_errors(of_study, save, metrics=names))
        flow = records(result.flow)
        print_json(
            {
                "measures": document(result),
                "without_value": records(result.without_value),
                **{"flow": flow, "report": uris(page_files), "saved": save},
            }
        )
        _exit(opened, of_study)
    first = names if metrics else usual_measures(of_study, names)
    lead, items, notes = reliability_in_words(of_study, result, first)
    lines = [lead, *(f"  {each}" for each in items), *notes]
    if not items:
        errors = result.statistics[result.statistics["statistic"].eq("sem")]
        reasons = reasons_without_result(of_study, errors)
        lines = [tables.sentence("studies.reliability.none"), *(f"  {each}" for each in reasons)]
    _say(of_study, lines, page_files)
    if save is not None:  # last: what cannot be kept loses nothing of the study
        errors_of_study = retest_errors(of_study, save, metrics=names)
        opened.save_reference(errors_of_study)
        count = len(errors_of_study.errors)
        typer.echo(tables.sentence("studies.reliability.saved", name=save, count=count))
    _exit(opened, of_study)


def _folder(name: str, study: Path, question: dict[str, str]) -> str:
    """Name the folder of a page: another question on a list has a page of its own."""
    parts = [name, study.stem, *(f"{word} {value}" for word, value in question.items() if value)]
    text = re.sub(r"[^\w.\[\]]+", "-", "-".join(parts)).strip("-")
    if len(text) <= _LONGEST:
        return text
    return f"{text[:_LONGEST]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


_LONGEST = 100
"""Characters of the name of a folder, before it is shortened."""


def _exit(opened: Store, of_study: Study) -> NoReturn:
    """End with status 1 where a session of the study has no results."""
    ids = of_study.sessions.loc[of_study.sessions["reason"].ne(""), "session_id"]
    failed = any(opened.session(each).record.state != "analyzed" for each in ids)
    raise typer.Exit(1 if failed else 0)


def _say(of_study: Study, lines: list[str], page_files: dict[str, Path] | None) -> None:
    """Print what was found, which sessions are left out, and where the files are."""
    from mobility.reports.study_sections import differing_in_words

    lines += differing_in_words(of_study)
    left_out = of_study.sessions.loc[of_study.sessions["reason"].ne(""), "reason"].value_counts()
    lines += [
        tables.sentence("command_line.cohort.left_out", count=count, reason=reason)
        for reason, count in left_out.items()
    ]
    typer.echo("\n".join(lines))
    width = max(map(len, page_files or [""]))
    for name, path in (page_files or {}).items():
        typer.echo(f"{name:<{width}}  {path}")
