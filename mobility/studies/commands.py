"""Commands for many sessions: visit, cohort, references, reliability, groups."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from mobility import __version__, tables
from mobility.base.formatting import dated, listed
from mobility.cli.parameters import (
    ClientOption,
    FacesOption,
    JsonOption,
    ParticipantArgument,
    PdfOption,
    RenderOption,
    WorkersOption,
    check_output,
    group,
    open_store,
    option,
    path_argument,
    path_option,
    print_json,
    say,
    takes,
    uris,
    warn,
)
from mobility.errors import BadInputError, MobilityError

if TYPE_CHECKING:
    import pandas as pd

    from mobility import Store
    from mobility.documents.lab_references import Reference
    from mobility.studies.study_table import Study

_IDS = "Comma-separated ids of sessions"


@takes(open_store)
def visit(
    opened: Store,
    *,
    user_id: ParticipantArgument,
    on: Annotated[
        str | None,
        option(
            "--on",
            "DATE",
            help="Day of the visit, for example 2026-11-30; default: the last visit.",
        ),
    ] = None,
    only: Annotated[
        str, option("--only", "IDS", help=f"{_IDS} to include. Others are left out.")
    ] = "",
    without: Annotated[str, option("--without", "IDS", help=f"{_IDS} to leave out.")] = "",
    client: ClientOption = False,
    pdf: PdfOption = False,
    faces: FacesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make one page of a participant's sessions on one day, and print its path.

    Videos of the same exercise are combined. The page is made only if it is missing or out of date.
    With --json, the command prints the videos, checks, joints and changes.
    """
    from mobility.base.formatting import split_names
    from mobility.reports.warm_kernels import start_early

    ids, left_out = split_names(only), split_names(without)
    date = opened.visit(user_id, on=on, only=ids, without=left_out).date
    start_early()
    page = opened.render_visit(user_id, on=date, only=ids, without=left_out, faces=faces)
    shown = page["client" if client else "html"].resolve()
    if pdf:
        from mobility.reports.html import to_pdf

        shown = to_pdf(shown)
    if as_json:
        from mobility.studies.stored_visits import stored_document

        print_json(stored_document(page["json"]))
        say(f"report  {shown}")
        return
    typer.echo(f"report  {shown}")


@takes(open_store)
def course(
    opened: Store,
    *,
    user_id: ParticipantArgument,
    note: Annotated[
        tuple[str, str] | None,
        option(
            "--note",
            "DATE TEXT",
            help="Store a note on the visit of this day first; an empty text deletes the note.",
        ),
    ] = None,
    client: ClientOption = False,
    pdf: PdfOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make one page of all visits of a participant, with your notes, and print its path.

    The page shows each measure over time, and whether it has surely changed. The table is next to
    it. With --json, the command prints the trends.
    """
    if note is not None:
        opened.course(user_id).set_note(*note)
    files = opened.render_course(user_id)
    shown = files["client" if client else "html"].resolve()
    if pdf:
        from mobility.reports.html import to_pdf

        shown = to_pdf(shown)
    if as_json:
        print_json(opened.course(user_id).document())
        say(f"report  {shown}")
        return
    typer.echo(f"report  {shown}\ntable   {files['csv'].resolve()}")


@takes(open_store)
def cohort(
    opened: Store,
    *,
    out: Annotated[
        Path | None,
        path_option(
            "--out",
            "PATH",
            help="Folder for the report and the table; default: cohort, in the folder of the "
            "reports.",
        ),
    ] = None,
    exercise_name: Annotated[
        str, option("--exercise", "NAME", help="Include only sessions of this exercise.")
    ] = "",
    metrics: Annotated[
        str | None, option("--metrics", "NAMES", help="Comma-separated metrics to show.")
    ] = None,
    group_by: Annotated[
        str,
        option("--group-by", "NAME", help="What to group by: sex, age_band, height_m, view, ..."),
    ] = "sex",
    participants: Annotated[
        str,
        option("--participants", "IDS", help="Comma-separated ids of participants; default: all."),
    ] = "",
    recordings: Annotated[
        str,
        option(
            "--recordings",
            "VERDICTS",
            help="Compare sessions whose recording has one of these verdicts: good, limited, "
            "not_this_exercise, unusable; or all.",
        ),
    ] = "good,limited",
    table: Annotated[
        Path | None,
        path_option(
            "--table", "FILE", help="Write only the table, as .csv or .parquet, without a report."
        ),
    ] = None,
    visits: Annotated[
        bool,
        typer.Option(
            "--visits",
            help="List visits, with their videos combined, in the table instead of sessions.",
        ),
    ] = False,
    save_norms: Annotated[
        str | None,
        option(
            "--save-norms",
            "NAME",
            help="Store norms of these people under this name. Reports then show them.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Put all sessions into one table, and report on it.

    The table is written as CSV and as Parquet, with a data dictionary (Frictionless Data). The
    report compares people and groups. If the verdict on a session's recording is not among
    --recordings, the report lists the session with the reason, but does not compare it. Norms need
    at least 20 people with the same view, pose model and version; `mobility references` lists them.
    """
    import pandas as pd

    from mobility.base.formatting import split_names
    from mobility.studies import cohort, visit
    from mobility.studies.references import check_name
    from mobility.studies.study_reports import render_cohort

    if save_norms is not None:
        check_name(save_norms, parameter="save_norms")
    if visits and (table is None or save_norms is not None):
        fault = "makes only a table, without norms; add --table FILE, and leave out --save-norms"
        raise BadInputError.of({"visits": fault})

    cohort.check_group(group_by)
    cohort.check_recordings(split_names(recordings))
    if out is not None:
        check_output(out, store=opened)
    if table is not None:
        if out is not None:
            raise BadInputError.of({"table": "makes no report; leave out --out"})
        for file in (table, cohort.checks_of(table)):
            check_output(file, store=opened, is_ours=cohort.is_table)
    sessions_of_cohort = cohort.choose_sessions(
        opened, exercise=exercise_name, participants=split_names(participants)
    )
    parameters = {
        **{"exercise": exercise_name, "group_by": group_by, "participants": participants},
        "recordings": recordings,
    }
    if metrics is not None:
        cohort.check_metrics(sessions_of_cohort, split_names(metrics))
        parameters["metrics"] = metrics
    not_listed = cohort.not_listed(opened, sessions_of_cohort)
    for user_id in sorted({session.record.user_id for session in sessions_of_cohort}):
        try:
            opened.stored_participant(user_id)
        except MobilityError as error:
            warn(str(error))
    if table is not None:
        verdicts = split_names(recordings)
        if visits:
            frame = visit.visits_to_dataframe(sessions_of_cohort, recordings=verdicts)
            checks = visit.checks(frame, sessions_of_cohort, recordings=verdicts)
        else:
            frame = cohort.to_dataframe(sessions_of_cohort, recordings=verdicts)
            checks = cohort.checks(frame, sessions_of_cohort)
        named = None if metrics is None else frame["metric"].isin(["", *split_names(metrics)])
        written = cohort.write_table(frame if named is None else frame[named], table, checks=checks)
        files = {"table": written, "checks": cohort.checks_of(written)}
        files["dictionary"] = cohort.dictionary_of(written)
        _warn_of_models(cohort.overview(frame))
        if as_json:
            norms = _save_norms(opened, frame, save_norms)
            print_json({**(uris(files) or {}), "not_listed": not_listed, **norms})
            return
        _say_what_is_in(cohort.overview(frame), not_listed)
        typer.echo("table   " + "\n        ".join(map(str, files.values())))
        _save_norms(opened, frame, save_norms)
        return
    report = render_cohort(opened, out or opened.reports / "cohort", parameters=parameters)
    frame = pd.read_parquet(report["parquet"])
    sessions = cohort.overview(frame)
    without = sessions[sessions["reason"].ne("")]
    _warn_of_models(sessions)
    if as_json:
        left_out = without[["session_id", "reason"]].to_dict("records")
        norms = _save_norms(opened, frame, save_norms)
        print_json(
            {**(uris(report) or {}), "left_out": left_out, "not_listed": not_listed, **norms}
        )
        return
    _say_what_is_in(sessions, not_listed)
    typer.echo(f"report  {report['html']}\ntable   {report['csv']}\n        {report['parquet']}")
    _save_norms(opened, frame, save_norms)


def _say_what_is_in(sessions: pd.DataFrame, not_listed: Mapping[str, int]) -> None:
    """Print how many sessions are compared, and how many are left out for each reason."""
    from mobility.studies import cohort

    left_out = {**cohort.left_out(sessions), **not_listed}
    compared, count = sessions["reason"].eq("").sum(), len(sessions) + sum(not_listed.values())
    which = "some" if left_out else "all" if count else "none"
    words = tables.sentence(f"command_line.cohort.counted.{which}", compared=compared, count=count)
    typer.echo(words)
    for reason, number in left_out.items():
        typer.echo(tables.sentence("command_line.cohort.left_out", count=number, reason=reason))


def _warn_of_models(sessions: pd.DataFrame) -> None:
    """Warn, as the page does, if the compared keypoints come from different models."""
    from mobility.studies.study_sections import models_in_words

    for line in models_in_words(sessions[sessions["reason"].eq("")]):
        warn(line)


def _save_norms(opened: Store, frame: pd.DataFrame, name: str | None) -> dict[str, str]:
    """Store norms under the name, if there is one, and print it; return it for the JSON output."""
    from mobility.studies.norms import make_norms

    if name is None:
        return {}
    norms = make_norms(frame, name=name)
    opened.save_reference(norms)
    measures = len({(norm.conditions, norm.metric) for norm in norms.norms})
    say(tables.sentence("command_line.references.norms_saved", name=name, measures=measures))
    return {"norms": name}


references_app = group(help="List, show or delete norms and errors from your own studies.")

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of the reference.")]


@references_app.command("list")
@takes(open_store)
def references_list(opened: Store, *, as_json: JsonOption = False) -> None:
    """List norms and test-retest errors, newest first.

    Damaged ones come last, with the reason. `mobility cohort --save-norms NAME` stores norms, and
    `mobility reliability --save NAME` stores errors.
    """
    from mobility.studies.references import references_and_damaged

    references, damaged = references_and_damaged(opened)
    if as_json:
        faults = [{"name": name, "kind": "damaged", "reason": why} for name, why in damaged.items()]
        print_json([*(_reference_row(reference) for reference in references), *faults])
        return
    if not (references or damaged):
        say(tables.sentence("command_line.references.none", store=opened.place))
    for reference in references:
        about = tables.sentence(
            "command_line.references.about",
            measures=_reference_row(reference)["measures"],
            exercises=", ".join(reference.exercises),
        )
        if older := sorted(set(_reference_row(reference)["software"]) - {__version__}):
            about += tables.sentence(
                "command_line.references.older", versions=listed(older), present=__version__
            )
        typer.echo(f"{reference.name:<24}  {reference.kind:<13}  {dated(reference.made)}  {about}")
    for name, why in damaged.items():
        typer.echo(f"{name:<24}  {'damaged':<13}  {why}")


@references_app.command("show")
@takes(open_store)
def references_show(opened: Store, name: NameArgument) -> None:
    """Print one reference with all its numbers (always JSON)."""
    print_json(opened.reference(name).model_dump(mode="json"))


@references_app.command("delete")
@takes(open_store)
def references_delete(opened: Store, name: NameArgument) -> None:
    """Delete a reference. Reports that show it are updated the next time you open them."""
    opened.delete_reference(name)
    say(tables.sentence("command_line.references.deleted", name=name))


def _reference_row(reference: Reference) -> dict[str, Any]:
    values = reference.errors if reference.kind == "retest errors" else reference.norms
    return {
        "name": reference.name,
        "kind": reference.kind,
        "made": reference.made.isoformat(),
        "exercises": reference.exercises,
        "software": sorted({norm.conditions.software for norm in values}),
        "measures": len({norm.metric for norm in values}),
    }


StudyArgument = Annotated[
    Path,
    path_argument(
        "STUDY.csv",
        help="CSV file with a row for each session. Its columns are session or video, "
        "participant, and optionally visit, operator, device, camera, trial and custom "
        "columns.",
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
        "--out",
        "PATH",
        help="Folder for the page and the tables; default: in the folder of the reports.",
    ),
]


@takes(open_store)
def groups(
    opened: Store,
    study: StudyArgument,
    *,
    by: Annotated[str, option("--by", "COLUMN", help="Column that contains the groups.")],
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

    Each measure has a mixed model with participants as random effects. The p values are adjusted
    over the measures. Videos without an analysis are analysed first.
    """
    from mobility import read_study
    from mobility.base.formatting import split_names
    from mobility.studies.groups import check_groups
    from mobility.studies.groups import groups as compare
    from mobility.studies.report_files import GROUPS
    from mobility.studies.study_reports import render_statistics
    from mobility.studies.study_sections import (
        differences_in_words,
        reasons_without_result,
        warnings_in_words,
    )
    from mobility.studies.study_table import records

    by, within, adjust = by.lower(), within.lower(), adjust.lower()  # lists have such columns
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
        page_files = render_statistics(
            GROUPS, of_study, folder, title=study.stem, parameters=question
        )
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
        lines = [tables.sentence("studies.groups.nothing"), *(f"  {why}" for why in reasons)]
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
            help="Store the errors under this name. Changes are then compared with them.",
        ),
    ] = None,
    recordings: RecordingsOption = "good,limited",
    report: RenderOption = True,
    out: OutOption = None,
    workers: WorkersOption = None,
    as_json: JsonOption = False,
) -> None:
    """Report how reliable measures are between visits, operators, phones or repeated recordings.

    The report contains all forms of the ICC, the standard error of measurement, the smallest
    detectable change, the systematic change and the variance components, with their intervals.
    Videos without an analysis are analysed first.
    """
    from mobility import read_study
    from mobility.base.formatting import split_names
    from mobility.studies.references import check_name
    from mobility.studies.reliability import document
    from mobility.studies.reliability import reliability as compute
    from mobility.studies.report_files import RELIABILITY
    from mobility.studies.retest import retest_errors
    from mobility.studies.study_reports import render_statistics
    from mobility.studies.study_sections import (
        reasons_without_result,
        reliability_in_words,
        usual_measures,
    )
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
        page_files = render_statistics(
            RELIABILITY, of_study, folder, title=study.stem, parameters=parameters
        )
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
    lines = [lead, *(f"  {item}" for item in items), *notes]
    if not items:
        errors = result.statistics[result.statistics["statistic"].eq("sem")]
        reasons = reasons_without_result(of_study, errors)
        lines = [tables.sentence("studies.reliability.none"), *(f"  {why}" for why in reasons)]
    _say(of_study, lines, page_files)
    if save is not None:  # last, so that an error here loses no result of the study
        errors_of_study = retest_errors(of_study, save, metrics=names)
        opened.save_reference(errors_of_study)
        count = len(errors_of_study.errors)
        typer.echo(tables.sentence("studies.reliability.saved", name=save, count=count))
    _exit(opened, of_study)


def _folder(name: str, study: Path, question: dict[str, str]) -> str:
    """Return the folder name of a page. Each analysis of the same list has its own page."""
    parts = [name, study.stem, *(f"{word} {value}" for word, value in question.items() if value)]
    text = re.sub(r"[^\w.\[\]]+", "-", "-".join(parts)).strip("-")
    if len(text) <= _LONGEST:
        return text
    return f"{text[:_LONGEST]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


_LONGEST = 100
"""Longest name of a folder, in characters; longer names are shortened."""


def _exit(opened: Store, of_study: Study) -> NoReturn:
    """Exit with status 1 if a session of the study has no results."""
    ids = of_study.sessions.loc[of_study.sessions["reason"].ne(""), "session_id"]
    failed = any(opened.session(session_id).record.state != "analyzed" for session_id in ids)
    raise typer.Exit(1 if failed else 0)


def _say(of_study: Study, lines: list[str], page_files: dict[str, Path] | None) -> None:
    """Print the results, the sessions that are left out, and the paths of the files."""
    from mobility.studies.study_sections import differing_in_words

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
