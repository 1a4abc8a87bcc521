"""Commands on many sessions: batch, watch, prune; see :mod:`mobility.cli`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mobility.cli_options import (
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
    (fit=no; keep_raw=yes), and display_name, sex, birth_year or age, height_m, weight_kg, email of
    the participant. Only video is needed. In a folder, a subfolder is called like its participant.
    Status: 0 all done, 1 some failed, 2 nothing could be run.
    """
    from mobility.workbench.batch import run_at_end, run_batch, split_command
    from mobility.workbench.manifest import ManifestError, read_manifest, refuse_url

    for place, what in ((store, "store"), (reports, "reports")):
        refuse_url(place, what=what)
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
            open_store(store, reports),
            manifest=manifest.name or str(manifest.resolve().name),
            workers=workers,
            scheduler=scheduler,
            resume=resume,
        )
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            "interrupted; what is done is kept, go on with the same command and --resume"
        ) from None
    if on_end is not None:
        from mobility.errors import BadInputError

        try:
            run_at_end(on_end, summary.json)
        except BadInputError as error:
            say(f"warning: {error}")
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
    if summary.counts["failed"]:
        raise typer.Exit(1)
