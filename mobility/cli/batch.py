"""Commands on many sessions: batch, watch, prune; see :mod:`mobility.cli.main`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mobility.cli.options import (
    DEFAULT_REPORTS,
    DEFAULT_STORE,
    JsonOption,
    ReportsOption,
    StoreOption,
    WorkersOption,
    given_path,
    open_store,
    print_json,
    say,
    say_unfinished,
    told_if_interrupted,
)

SchedulerOption = Annotated[
    str | None,
    typer.Option(
        "--scheduler",
        metavar="tcp://HOST:PORT",
        help="A dask scheduler whose workers do it; they must see the same folders.",
    ),
]
ParticipantOption = Annotated[
    str, typer.Option("--user-id", help="Id of the participant, where nothing else says it.")
]
ExerciseOption = Annotated[
    str, typer.Option("--exercise", help="Name of the exercise, where a row does not say.")
]
OnEndOption = Annotated[
    str | None,
    typer.Option(
        "--on-end",
        metavar="CMD",
        help="Command that is run at the end, with the path of summary.json as its argument.",
    ),
]


def add_batch_commands(app: typer.Typer) -> None:
    """Register the commands of this module."""
    app.command()(batch)
    app.command("watch")(watch_folder)
    app.command()(prune)


def batch(
    manifest: Annotated[
        Path,
        typer.Argument(
            parser=given_path, metavar="MANIFEST", help="A CSV file, or a folder of videos."
        ),
    ],
    *,
    workers: WorkersOption = None,
    scheduler: SchedulerOption = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the last batch that was interrupted.")
    ] = False,
    user_id: ParticipantOption = "anonymous",
    exercise: ExerciseOption = "Overhead Squat",
    on_end: OnEndOption = None,
    as_json: JsonOption = False,
    store: StoreOption = DEFAULT_STORE,
    reports: ReportsOption = DEFAULT_REPORTS,
) -> None:
    """Analyse and report many videos; what is done already is skipped.

    Columns of the CSV file: video, second_video, participant, exercise, joints, name, options
    (fit=no; model=heavy), and display_name, sex, birth_year or age, height_m, weight_kg, email of
    the participant. Only video is needed. In a folder, a subfolder is called like its participant.
    Status: 0 all done, 1 some failed or CMD did, 2 nothing could be run.
    """
    from mobility.batch.manifest import ManifestError, read_manifest, refuse_url
    from mobility.batch.run import run_at_end, run_batch, split_command

    refuse_url(reports, what="reports")
    opened = open_store(store, reports)
    if scheduler is not None and workers is not None:
        raise typer.BadParameter("give --workers or --scheduler, not both")
    if on_end is not None:
        split_command(on_end)
    try:
        rows = read_manifest(manifest, participant=user_id, exercise=exercise)
    except ManifestError as error:
        for problem in error.problems:
            say(f"{manifest}: {problem}")
        raise
    try:
        summary = run_batch(
            rows,
            opened,
            manifest=manifest.name or str(manifest.resolve().name),
            workers=workers,
            scheduler=scheduler,
            resume=resume,
        )
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            "interrupted; what is done is kept, go on with the same command and --resume"
        ) from None
    failed = summary.counts["failed"] > 0
    if on_end is not None:
        from mobility.errors import BadInputError

        try:
            run_at_end(on_end, summary.json)
        except BadInputError as error:
            say(f"warning: {error}")
            failed = True
    if as_json:
        print_json(
            {
                **summary.counts,
                "summary": {
                    "html": summary.html.resolve().as_uri(),
                    "csv": str(summary.csv),
                    "json": str(summary.json),
                },
            }
        )
    else:
        for row in summary.rows:
            if row.state == "failed":
                say(f"row {row.row}, {row.video}: {row.reason}")
        typer.echo(", ".join(f"{number} {state}" for state, number in summary.counts.items()))
        typer.echo(f"summary  {summary.html}\ntable    {summary.csv}")
    if failed:
        raise typer.Exit(1)


def watch_folder(
    folder: Annotated[
        Path, typer.Argument(parser=given_path, metavar="FOLDER", help="Where videos arrive.")
    ],
    *,
    every: Annotated[float, typer.Option("--every", help="Seconds between two looks.")] = 10.0,
    settle: Annotated[
        float,
        typer.Option("--settle", help="Seconds without a change after which a video is complete."),
    ] = 30.0,
    once: Annotated[
        bool, typer.Option("--once", help="End when every video that is there is processed.")
    ] = False,
    workers: WorkersOption = None,
    scheduler: SchedulerOption = None,
    user_id: ParticipantOption = "anonymous",
    exercise: ExerciseOption = "Overhead Squat",
    store: StoreOption = DEFAULT_STORE,
    reports: ReportsOption = DEFAULT_REPORTS,
) -> None:
    """Analyse and report each video of a folder once, when its upload has ended.

    A line is printed for each. What was processed is kept in the store, so that a watch can be
    stopped and started again. A subfolder is called like its participant. With --once, status 1 if
    a video failed.
    """
    from mobility.batch.manifest import refuse_url
    from mobility.batch.record import BatchRow
    from mobility.batch.watch import watch
    from mobility.errors import BadInputError
    from mobility.sessions.store import check_creation

    for place, what in ((folder, "folder"), (reports, "reports")):
        refuse_url(place, what=what)
    opened = open_store(store, reports)
    if scheduler is not None and workers is not None:
        raise typer.BadParameter("give --workers or --scheduler, not both")
    exercise, _, _ = check_creation(
        user_id=user_id, exercise_name=exercise, session_name=None, body_joint_angles="all"
    )
    if not opened.is_remote and opened.path.resolve().is_relative_to(folder.resolve()):
        raise BadInputError(f"{folder}: holds the store; watch another folder")

    state_of = {}

    def told(outcome: BatchRow) -> None:
        state_of[outcome.video, outcome.session_id] = outcome.state
        said = outcome.reason or (f"{reports / outcome.report}" if outcome.report else "")
        line = f"{outcome.state:<8} {outcome.video}  {outcome.session_id}  {said}"
        typer.echo("".join(c if c.isprintable() else "?" for c in line))

    watch(
        folder,
        opened,
        told=told,
        participant=user_id,
        exercise=exercise,
        workers=workers,
        scheduler=scheduler,
        every_s=every,
        settle_s=settle,
        once=once,
    )
    if "failed" in state_of.values():
        raise typer.Exit(1)


def prune(
    *,
    older_than: Annotated[
        str | None,
        typer.Option("--older-than", metavar="AGE", help="What is older: 12h, 90d, 6w."),
    ] = None,
    keep: Annotated[
        int | None, typer.Option("--keep", metavar="N", help="All but the newest N sessions.")
    ] = None,
    user_id: Annotated[
        str | None, typer.Option("--user-id", help="Of this participant only.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Delete what is listed.")] = False,
    as_json: JsonOption = False,
    store: StoreOption = DEFAULT_STORE,
    reports: ReportsOption = DEFAULT_REPORTS,
) -> None:
    """List sessions by age or number, and delete them with --yes: video, data, edits, reports.

    By age, summaries of batches go too. Status 1 if something could not be deleted.
    """
    from mobility.errors import MobilityError
    from mobility.privacy import retention

    opened = open_store(store, reports)
    age = None if older_than is None else retention.duration(older_than)
    if (age is None) == (keep is None):
        raise typer.BadParameter("give --older-than or --keep, and not both")
    if yes:
        with told_if_interrupted():
            swept = opened.sweep()
        for name, left in swept.items():
            say(f"warning: {left}" if left else f"finished the deletion of {name}")
    else:
        say_unfinished(opened)
    doomed = retention.to_prune(opened, older_than=age, keep=keep, user_id=user_id)
    rows = []
    failed = len(opened.unfinished()) if yes else 0
    for each in doomed:
        fault = ""
        if yes:
            try:
                with told_if_interrupted():
                    retention.prune(opened, each)
            except MobilityError as error:
                fault = str(error)
                failed += 1
                say(f"warning: {error}")
        if not as_json:
            verb = "kept   " if fault else ("deleted" if yes else "would go")
            size = f"{each.bytes / 1e6:8.1f} MB"
            typer.echo(f"{verb}  {each.name:<40} {each.since:%d/%m/%Y}  {size}  {each.user_id}")
        rows.append(
            {
                "name": each.name,
                "kind": each.kind,
                "user_id": each.user_id,
                "since": each.since.isoformat(),
                "bytes": each.bytes,
                "deleted": yes and not fault,
            }
        )
    if as_json:
        print_json(rows)
    elif not doomed:
        say("no session to delete")
    elif not yes:
        total = sum(each.bytes for each in doomed) / 1e6
        say(f"{len(doomed)} would go, {total:.1f} MB; nothing was deleted: --yes deletes them")
    if failed:
        raise typer.Exit(1)
