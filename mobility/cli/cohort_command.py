"""The command ``cohort``: one table of all sessions; see :mod:`mobility.cli.main`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mobility import tables
from mobility.cli.parameters import (
    JsonOption,
    check_output,
    open_store,
    option,
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

    from mobility.store import Store


@takes(open_store)
def cohort(
    opened: Store,
    *,
    out: Annotated[
        Path | None,
        path_option(
            "--out",
            "PATH",
            help="Folder of report and table; default: cohort, in the folder of the reports.",
        ),
    ] = None,
    exercise_name: Annotated[
        str, option("--exercise", "NAME", help="Only sessions of this exercise.")
    ] = "",
    metrics: Annotated[
        str | None, option("--metrics", "NAMES", help="Comma-separated metrics to show.")
    ] = None,
    group_by: Annotated[
        str, option("--group-by", "NAME", help="sex, age_band, height_m, view, ...")
    ] = "sex",
    participants: Annotated[
        str, option("--participants", "IDS", help="Comma-separated ids; default: all.")
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
            "--table", "FILE", help="Write the table alone, .csv or .parquet, without a report."
        ),
    ] = None,
    visits: Annotated[
        bool,
        typer.Option(
            "--visits", help="In the table: visits, their films merged, in place of sessions."
        ),
    ] = False,
    save_norms: Annotated[
        str | None,
        option(
            "--save-norms",
            "NAME",
            help="Keep norms of these people in the store under this name; reports show them.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Put all sessions into one table, and report on it.

    The table is written as CSV and as Parquet, with its data dictionary (Frictionless Data) beside
    it; the report compares people and groups. It lists sessions with another verdict than those of
    --recordings with the reason, and does not compare them. Norms are of at least 20 people of one
    view, pose model and version; `mobility references` lists them.
    """
    import pandas as pd

    from mobility.base.wording import split_names
    from mobility.cohorts import cohort, visit
    from mobility.reports.render import render_cohort
    from mobility.sessions.references import check_name

    if save_norms is not None:
        check_name(save_norms, parameter="save_norms")
    if visits and (table is None or save_norms is not None):
        fault = "makes a table alone, without norms; give --table FILE, and no --save-norms"
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
    """Count the sessions that are compared, and those that are left out by the reason."""
    from mobility.cohorts import cohort

    left_out = {**cohort.left_out(sessions), **not_listed}
    compared, count = sessions["reason"].eq("").sum(), len(sessions) + sum(not_listed.values())
    which = "some" if left_out else "all" if count else "none"
    words = tables.sentence(f"command_line.cohort.counted.{which}", compared=compared, count=count)
    typer.echo(words)
    for reason, number in left_out.items():
        typer.echo(tables.sentence("command_line.cohort.left_out", count=number, reason=reason))


def _warn_of_models(sessions: pd.DataFrame) -> None:
    """Warn, as the page does, where what is compared is not all of one model's keypoints."""
    from mobility.reports.study_sections import models_in_words

    for line in models_in_words(sessions[sessions["reason"].eq("")]):
        warn(line)


def _save_norms(opened: Store, frame: pd.DataFrame, name: str | None) -> dict[str, str]:
    """Keep norms under the name, if one is given, and say so; gives it for the JSON document."""
    from mobility.studies.norms import make_norms

    if name is None:
        return {}
    norms = make_norms(frame, name=name)
    opened.save_reference(norms)
    measures = len({(norm.conditions, norm.metric) for norm in norms.norms})
    say(tables.sentence("command_line.references.norms_saved", name=name, measures=measures))
    return {"norms": name}
