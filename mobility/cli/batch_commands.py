"""Commands on many sessions: batch, watch, prune; see :mod:`mobility.cli.main`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mobility import tables
from mobility.catalogue import registry
from mobility.cli.parameters import (
    JsonOption,
    WorkersOption,
    YesOption,
    interruption_explained,
    open_store,
    option,
    path_argument,
    print_json,
    say,
    say_unfinished,
    takes,
    warn,
)
from mobility.errors import BadInputError, MobilityError

if TYPE_CHECKING:
    from mobility.batch.batch_visits import MadeVisit
    from mobility.store import Store

SchedulerOption = Annotated[
    str | None,
    option(
        "--scheduler",
        "tcp://HOST:PORT",
        help="Address of a dask scheduler. Its workers do the work and must see the same folders.",
    ),
]
ParticipantOption = Annotated[
    str, option("--user-id", "ID", help="Participant of the videos that come without one.")
]
ExerciseOption = Annotated[
    str, option("--exercise", "NAME", help="Exercise of the videos that come without one.")
]
VisitsOption = Annotated[bool, typer.Option("--visits", help="Make the page of each visit, too.")]
OnEndOption = Annotated[
    str | None,
    option(
        "--on-end",
        "CMD",
        help="Command to run at the end, with the path of summary.json as its last argument.",
    ),
]


@takes(open_store)
def batch(
    opened: Store,
    manifest: Annotated[Path, path_argument("MANIFEST", help="A CSV file, or a folder of videos.")],
    *,
    workers: WorkersOption = None,
    scheduler: SchedulerOption = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the last batch that was interrupted.")
    ] = False,
    user_id: ParticipantOption = "anonymous",
    exercise_name: ExerciseOption = registry.USUAL,
    visits: VisitsOption = False,
    on_end: OnEndOption = None,
    as_json: JsonOption = False,
) -> None:
    """Analyse many videos and make their reports.

    It skips what is done already. Columns of the CSV file: video, second_video, participant,
    exercise, joints, name, options (fit=no; model=heavy), and display_name, sex, birth_year or age,
    height_m, weight_kg, email of the participant. Only video is needed. In a folder, each subfolder
    is named after a participant. Status: 0 if all is done, 1 if some videos or CMD failed, 2 if
    nothing could be run.
    """
    from mobility.batch.batch_visits import render_visits
    from mobility.batch.manifest import ManifestError, read_manifest
    from mobility.batch.run import run_at_end, run_batch, split_command

    if scheduler is not None and workers is not None:
        raise typer.BadParameter("give --workers or --scheduler, not both")
    if on_end is not None:
        split_command(on_end)
    try:
        rows = read_manifest(
            manifest, participant=user_id, exercise=exercise_name, here=scheduler is None
        )
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
        raise KeyboardInterrupt(tables.sentence("command_line.batch.interrupted")) from None
    failed = summary.counts["failed"] > 0
    pages = list(render_visits(opened, (row.session_id for row in summary.rows))) if visits else []
    failed = failed or any(each.page is None for each in pages)
    if on_end is not None:
        try:
            run_at_end(on_end, summary.json)
        except BadInputError as error:
            warn(str(error))
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
                **({"visits": [_visit_values(each) for each in pages]} if visits else {}),
            }
        )
    else:
        for row in summary.rows:
            if row.state == "failed":
                failure = {"row": row.row, "video": row.video, "reason": row.reason}
                say(tables.sentence("command_line.batch.failed_row", **failure))
        typer.echo(", ".join(f"{number} {state}" for state, number in summary.counts.items()))
        typer.echo(f"summary  {summary.html}\ntable    {summary.csv}")
        for page in pages:
            typer.echo(_visit_line(page))
    if failed:
        raise typer.Exit(1)


@takes(open_store)
def watch_folder(
    opened: Store,
    folder: Annotated[Path, path_argument("FOLDER", help="Where videos arrive.")],
    *,
    every_s: Annotated[
        float, option("--every", "S", help="Seconds between two looks at the folder.")
    ] = 10.0,
    settle_s: Annotated[
        float,
        option(
            "--settle", "S", help="Seconds without a change after which a video counts as complete."
        ),
    ] = 30.0,
    once: Annotated[
        bool, typer.Option("--once", help="End when all videos in the folder are processed.")
    ] = False,
    workers: WorkersOption = None,
    scheduler: SchedulerOption = None,
    user_id: ParticipantOption = "anonymous",
    exercise_name: ExerciseOption = registry.USUAL,
    visits: VisitsOption = False,
) -> None:
    """Analyse each video that arrives in a folder.

    It waits until a video is complete, makes its report too, and prints a line for each. The store
    remembers what is done, so that a watch can be stopped and started again. Each subfolder is
    named after a participant. With --once, status 1 if a video failed.
    """
    from mobility.batch.batch_record import BatchRow
    from mobility.batch.watch import watch
    from mobility.sessions.creation import check_creation

    if scheduler is not None and workers is not None:
        raise typer.BadParameter("give --workers or --scheduler, not both")
    exercise, _, _ = check_creation(
        user_id=user_id, exercise_name=exercise_name, session_name=None, body_joint_angles="all"
    )
    if opened.path.resolve().is_relative_to(folder.resolve()):
        raise BadInputError(f"{folder}: holds the store; watch another folder")

    state_of = {}

    def print_outcome(outcome: BatchRow) -> None:
        state_of[outcome.video, outcome.session_id] = outcome.state
        details = outcome.reason or (f"{opened.reports / outcome.report}" if outcome.report else "")
        line = f"{outcome.state:<8} {outcome.video}  {outcome.session_id}  {details}"
        typer.echo("".join(c if c.isprintable() else "?" for c in line))

    without_page = []

    def print_visit(visit: MadeVisit) -> None:
        without_page.extend([visit] if visit.page is None else [])
        typer.echo(_visit_line(visit))

    watch(
        folder,
        opened,
        on_outcome=print_outcome,
        on_visit=print_visit if visits else None,
        participant=user_id,
        exercise=exercise,
        workers=workers,
        scheduler=scheduler,
        every_s=every_s,
        settle_s=settle_s,
        once=once,
    )
    if "failed" in state_of.values() or without_page:
        raise typer.Exit(1)


def _visit_line(visit: MadeVisit) -> str:
    return f"visit    {visit.user_id}  {visit.date}  {visit.page or visit.reason}"


def _visit_values(visit: MadeVisit) -> dict[str, str | None]:
    page = None if visit.page is None else visit.page.resolve().as_uri()
    return {"user_id": visit.user_id, "date": f"{visit.date}", "html": page, "reason": visit.reason}


@takes(open_store)
def prune(
    opened: Store,
    *,
    older_than: Annotated[
        str | None,
        option("--older-than", "AGE", help="Sessions older than this, such as 12h, 90d or 6w."),
    ] = None,
    keep: Annotated[
        int | None, option("--keep", "N", help="All sessions except the newest N.")
    ] = None,
    user_id: Annotated[
        str | None, option("--user-id", "ID", help="Only sessions of this participant.")
    ] = None,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """List sessions by age or number; --yes deletes them.

    Video, data, edits and reports go with a session; --older-than deletes summaries of batches too.
    Status 1 if something could not be deleted.
    """
    from mobility.base.formatting import dated
    from mobility.privacy import retention

    age = None if older_than is None else retention.duration(older_than)
    if (age is None) == (keep is None):
        raise typer.BadParameter("give --older-than or --keep, and not both")
    if yes:
        with interruption_explained():
            swept = opened.sweep()
        for name, left in swept.items():
            if left:
                warn(str(left))
            else:
                say(tables.sentence("command_line.prune.finished", name=name))
    else:
        say_unfinished(opened)
    doomed = retention.to_prune(opened, older_than=age, keep=keep, user_id=user_id)
    width = max((len(each.name) for each in doomed), default=0)
    rows = []
    failed = len(opened.unfinished()) if yes else 0
    for each in doomed:
        fault = ""
        if yes:
            try:
                with interruption_explained():
                    retention.prune(opened, each)
            except MobilityError as error:
                fault = str(error)
                failed += 1
                warn(str(error))
        if not as_json:
            verb = "kept" if fault else "deleted" if yes else "to delete"
            size = f"{each.bytes / 1e6:8.1f} MB"
            typer.echo(
                f"{verb:<9}  {each.name:<{width}}  {dated(each.since):>11}  {size}  {each.user_id}"
            )
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
        say(tables.sentence("command_line.prune.nothing"))
    elif not yes:
        sizes = {"number": len(doomed), "size": sum(each.bytes for each in doomed) / 1e6}
        say(tables.sentence("command_line.prune.would_go", **sizes))
    if failed:
        raise typer.Exit(1)
