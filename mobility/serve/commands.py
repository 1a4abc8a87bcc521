"""Commands that open pages, process many videos, and manage keys and participants."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mobility import tables
from mobility.base.formatting import MISSING, timed
from mobility.catalogue import registry
from mobility.cli.parameters import (
    JsonOption,
    LogOption,
    ParticipantArgument,
    WorkersOption,
    YesOption,
    check_output,
    group,
    interruption_explained,
    log_to,
    open_store,
    option,
    path_argument,
    path_option,
    print_json,
    read_object,
    say,
    say_unfinished,
    takes,
    warn,
)
from mobility.errors import BadInputError, MobilityError, StorageError

if TYPE_CHECKING:
    from mobility import Store
    from mobility.serve.api_keys import StoredKey
    from mobility.serve.batch.summary import MadeVisit


@takes(open_store)
def open_page(
    opened: Store,
    *,
    lan: Annotated[
        bool,
        typer.Option(
            "--lan",
            help="Let phones in the same network record videos after scanning a code (needs the "
            "extra open).",
        ),
    ] = False,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the page in the browser.")
    ] = True,
    port: Annotated[
        int,
        option(
            "--port",
            "N",
            help="Port to try first; if it is in use, the next free one is taken.",
            min=1,
            max=65000,
        ),
    ] = 8890,
    log_file: LogOption = None,
) -> None:
    """Open a page to add videos and see sessions and reports.

    The page is only available on this computer; press Ctrl-C to stop it.
    """
    log_to(log_file, store=opened.path)
    from mobility.serve import local
    from mobility.serve.local import serve

    network = None
    if lan:
        local.picture("mobility")  # raises now, before anything is served, if the extra is missing
        network = local.network_address()

    def tell(address: str, phone_address: str | None) -> None:
        typer.echo(address)
        if phone_address is not None:
            code = local.new_code(opened, phone_address)
            typer.echo(f"{local.text(code)}\n{code}")
            say(tables.sentence("command_line.open.phones", hours=local.HOURS))

    serve(opened, port=port, network=network, browser=browser, tell=tell)


keys_app = group(help="Make, list or revoke API keys of the HTTP interface.")


@keys_app.command("create")
@takes(open_store)
def keys_create(
    opened: Store,
    *,
    role: Annotated[
        str,
        option(
            "--role",
            "NAME",
            help="What the key allows: administrator, professional, participant or phone.",
        ),
    ],
    user_id: Annotated[
        str | None,
        option(
            "--user-id",
            "ID",
            help="Participant whose sessions the key may use; required for participant and phone.",
        ),
    ] = None,
    expires_days: Annotated[
        float | None,
        option("--expires", "DAYS", help="Days for which the key is valid; default: no limit."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key, and print it once.

    The key cannot be shown again, because the store keeps only its hash.
    """
    from mobility.serve.api_keys import Keys

    key, stored = Keys(opened).create(role, user_id=user_id, expires_days=expires_days)
    if as_json:
        print_json({"key": key, **_key_row(stored)})
        return
    typer.echo(key)
    say(tables.sentence("command_line.keys.made", key=stored.id, role=role))


@keys_app.command("list")
@takes(open_store)
def keys_list(opened: Store, *, as_json: JsonOption = False) -> None:
    """List the ids of all keys, including expired ones."""
    from mobility.serve.api_keys import Keys

    rows = [_key_row(stored) for stored in Keys(opened).all()]
    if as_json:
        print_json(rows)
        return
    if not rows:
        say(tables.sentence("command_line.keys.none", store=opened.place))
    for row in rows:
        end = row["expires_at"]
        until = f"until {timed(datetime.fromisoformat(str(end)))}" if end else "no end"
        state = "  expired" if row["expired"] else ""
        typer.echo(
            f"{row['id']}  {row['role']:<13}  {row['user_id'] or MISSING:<16}  {until}{state}"
        )


@keys_app.command("revoke")
@takes(open_store)
def keys_revoke(
    opened: Store,
    key_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the key, as in the list.")],
) -> None:
    """Revoke a key. It stops working immediately."""
    from mobility.serve.api_keys import Keys

    Keys(opened).revoke(key_id)
    say(tables.sentence("command_line.keys.revoked", key=key_id))


def _key_row(stored: StoredKey) -> dict[str, str | bool | None]:
    return {
        "id": stored.id,
        "role": stored.role,
        "user_id": stored.user_id,
        "created_at": stored.created_at.isoformat(),
        "expires_at": stored.expires_at.isoformat() if stored.expires_at else None,
        "expired": stored.is_expired,
    }


participants_app = group(help="Set, show, list, export or delete participants.")


@participants_app.command("set")
@takes(open_store)
def participants_set(
    opened: Store,
    user_id: ParticipantArgument,
    *,
    display_name: Annotated[
        str | None, option("--name", "TEXT", help="Name to show in reports.")
    ] = None,
    sex: Annotated[
        str | None, option("--sex", "female|male", help="Sex, which determines the norms.")
    ] = None,
    birth_year: Annotated[
        str | None,
        option("--birth-year", "YEAR", help="Year of birth; it replaces a stored age."),
    ] = None,
    age: Annotated[
        str | None,
        option("--age", "YEARS", help="Present age in years; it replaces a stored year of birth."),
    ] = None,
    height_m: Annotated[str | None, option("--height-m", "M", help="Height in metres.")] = None,
    weight_kg: Annotated[
        str | None, option("--weight-kg", "KG", help="Weight in kilograms.")
    ] = None,
    email: Annotated[str | None, option("--email", "TEXT", help="E-mail address.")] = None,
    file: Annotated[
        Path | None,
        path_option(
            "--file",
            "FILE",
            help="JSON object with any of display_name, sex, birth_year or age, height_m, "
            "weight_kg, email; null removes a field.",
        ),
    ] = None,
) -> None:
    """Set the record of a participant, by options or a file.

    Fields that are left out do not change. If an option and the file set the same field, the option
    applies.
    """
    flags = {
        **{"display_name": display_name, "sex": sex, "birth_year": birth_year, "age": age},
        **{"height_m": height_m, "weight_kg": weight_kg, "email": email},
    }
    given_fields = {name: value for name, value in flags.items() if value is not None}
    if file is None and not given_fields:
        raise typer.BadParameter("no field is set; use an option such as --age 34, or --file FILE")
    fields = {} if file is None else read_object(file)
    for name, other in (("age", "birth_year"), ("birth_year", "age")):
        if name in given_fields:
            fields.pop(other, None)
    fields |= given_fields
    try:
        opened.set_participant(user_id, **fields)
    except BadInputError as error:
        if file is not None and not error.fields.keys() <= given_fields.keys():
            raise BadInputError(str(error)) from None  # the file is wrong, not the flags
        raise
    print_json(opened.participant(user_id))


@participants_app.command("show")
@takes(open_store)
def participants_show(opened: Store, user_id: ParticipantArgument) -> None:
    """Print the record of a participant (always JSON)."""
    print_json(opened.participant(user_id))


@participants_app.command("list")
@takes(open_store)
def participants_list(opened: Store, *, as_json: JsonOption = False) -> None:
    """List the participants who have a record or a session, with their names.

    The participant of `mobility demo` is not listed. A warning lists sessions whose record does not
    name a participant.
    """
    from mobility.serve.privacy import unassigned

    user_ids = opened.participants()
    for session_id in unassigned(opened):
        warn(tables.sentence("command_line.participants.damaged", session=session_id))
    if as_json:
        print_json(user_ids)
        return
    if not user_ids:
        say(tables.sentence("command_line.participants.none", store=opened.place))
    for user_id in user_ids:
        name = None
        with suppress(MobilityError):  # a damaged record
            stored = opened.stored_participant(user_id)
            name = None if stored is None else stored.display_name
        typer.echo(f"{user_id}  {name}" if name else user_id)


@participants_app.command("export")
@takes(open_store)
def participants_export(
    opened: Store,
    user_id: ParticipantArgument,
    *,
    out: Annotated[Path, path_option("--out", "PATH", help="The ZIP file to write.")],
) -> None:
    """Write all data of a participant to a ZIP file.

    The file contains the record, sessions and reports.
    """
    from mobility.serve.privacy import is_takeout, write_takeout

    check_output(out, store=opened, is_ours=is_takeout)
    typer.echo(str(write_takeout(opened, user_id, out)))


@participants_app.command("delete")
@takes(open_store)
def participants_delete(
    opened: Store, user_id: ParticipantArgument, *, yes: YesOption = False
) -> None:
    """List everything about a participant; --yes deletes it.

    This includes the record, sessions, reports and keys.
    """
    from mobility.serve.api_keys import Keys, private_folder
    from mobility.serve.jobs import remove_participant_files
    from mobility.serve.privacy import (
        erase,
        files_of_participant,
        nothing_stored_error,
        other_traces,
        unassigned,
    )
    from mobility.sessions.files import not_all_deleted
    from mobility.studies.references import reference_names

    places = files_of_participant(opened, user_id)
    places += [trace.path for trace in other_traces(opened, user_id)]
    keys = Keys(opened)
    key_ids = [key.id for key in keys.all() if key.user_id == user_id]
    for place in places:
        typer.echo(f"{place}")
    for key in key_ids:
        typer.echo(f"key {key}")
    if yes:
        fault: StorageError | None = None
        with interruption_explained():
            # A failed step, for instance on a full disk, must not prevent the others.
            for act in (
                partial(keys.revoke_of, user_id),
                partial(remove_participant_files, private_folder(opened), user_id),
                partial(erase, opened, user_id),
            ):
                try:
                    act()
                except StorageError as error:
                    fault = fault or error
        if fault is not None:
            raise not_all_deleted(f"participant {user_id}", fault)
    else:
        say_unfinished(opened)
    unknown = unassigned(opened)
    if not (places or key_ids or unknown):
        raise nothing_stored_error(opened, user_id)
    for session_id in unknown:
        say(tables.sentence("command_line.participants.damaged", session=session_id))
    if references_left := reference_names(opened):
        say(
            tables.sentence(
                "command_line.participants.references", names=", ".join(references_left)
            )
        )
    deleted = "nothing" if not yes else "known" if unknown else "all"
    say(tables.sentence(f"command_line.participants.done.{deleted}", participant=user_id))
    if unknown:
        raise typer.Exit(1)


SchedulerOption = Annotated[
    str | None,
    option(
        "--scheduler",
        "tcp://HOST:PORT",
        help="Address of a dask scheduler. Its workers do the work and must see the same folders.",
    ),
]
ParticipantOption = Annotated[
    str, option("--user-id", "ID", help="Participant for videos without one.")
]
ExerciseOption = Annotated[
    str, option("--exercise", "NAME", help="Exercise for videos without one.")
]
VisitsOption = Annotated[bool, typer.Option("--visits", help="Also make the page of each visit.")]
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

    Finished videos are skipped. Columns of the CSV file: video, second_video, participant,
    exercise, joints, name, options (fit=no; model=heavy), and display_name, sex, birth_year or age,
    height_m, weight_kg, email of the participant. Only video is required. In a folder, the name of
    each subfolder is the participant. Exit status: 0 if all is done, 1 if some videos or CMD
    failed, 2 if nothing could be run.
    """
    from mobility.serve.batch.manifest import ManifestError, read_manifest
    from mobility.serve.batch.run import run_at_end, run_batch, split_command
    from mobility.serve.batch.summary import render_visits

    if scheduler is not None and workers is not None:
        raise typer.BadParameter("--workers and --scheduler cannot be combined; use only one")
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
    failed = failed or any(page.page is None for page in pages)
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
                **({"visits": [_visit_values(page) for page in pages]} if visits else {}),
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
    folder: Annotated[Path, path_argument("FOLDER", help="Folder in which videos arrive.")],
    *,
    every_s: Annotated[
        float, option("--every", "S", help="Seconds between two checks of the folder.")
    ] = 10.0,
    settle_s: Annotated[
        float,
        option(
            "--settle", "S", help="Seconds without a change after which a video counts as complete."
        ),
    ] = 30.0,
    once: Annotated[
        bool, typer.Option("--once", help="Stop when all videos in the folder are processed.")
    ] = False,
    workers: WorkersOption = None,
    scheduler: SchedulerOption = None,
    user_id: ParticipantOption = "anonymous",
    exercise_name: ExerciseOption = registry.USUAL,
    visits: VisitsOption = False,
) -> None:
    """Analyse each video that arrives in a folder.

    The command waits until a video is complete, makes its report, and prints a line for each video.
    The store records finished videos, so you can stop and start the command again. The name of each
    subfolder is the participant. With --once, the exit status is 1 if a video failed.
    """
    from mobility.serve.batch.summary import BatchRow
    from mobility.serve.batch.watch import watch
    from mobility.sessions.creation import check_creation

    if scheduler is not None and workers is not None:
        raise typer.BadParameter("--workers and --scheduler cannot be combined; use only one")
    exercise, _, _ = check_creation(user_id=user_id, exercise_name=exercise_name)
    if opened.path.resolve().is_relative_to(folder.resolve()):
        raise BadInputError(f"{folder}: contains the store; watch another folder")

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
        option(
            "--older-than", "AGE", help="List sessions older than this, such as 12h, 90d or 6w."
        ),
    ] = None,
    keep: Annotated[
        int | None, option("--keep", "N", help="List all sessions except the newest N.")
    ] = None,
    user_id: Annotated[
        str | None, option("--user-id", "ID", help="List only sessions of this participant.")
    ] = None,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """List old sessions, by age or number; --yes deletes them.

    Deleting a session includes its video, data, edits and reports. --older-than also deletes
    summaries of batches. The exit status is 1 if something could not be deleted.
    """
    from mobility.base.formatting import dated
    from mobility.serve import privacy

    age = None if older_than is None else privacy.duration(older_than)
    if (age is None) == (keep is None):
        raise typer.BadParameter("--older-than and --keep cannot be combined; use only one")
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
    doomed = privacy.to_prune(opened, older_than=age, keep=keep, user_id=user_id)
    width = max((len(item.name) for item in doomed), default=0)
    rows = []
    failed = len(opened.unfinished()) if yes else 0
    for item in doomed:
        fault = ""
        if yes:
            try:
                with interruption_explained():
                    privacy.prune(opened, item)
            except MobilityError as error:
                fault = str(error)
                failed += 1
                warn(str(error))
        if not as_json:
            verb = "kept" if fault else "deleted" if yes else "to delete"
            size = f"{item.bytes / 1e6:8.1f} MB"
            typer.echo(
                f"{verb:<9}  {item.name:<{width}}  {dated(item.since):>11}  {size}  {item.user_id}"
            )
        rows.append(
            {
                "name": item.name,
                "kind": item.kind,
                "user_id": item.user_id,
                "since": item.since.isoformat(),
                "bytes": item.bytes,
                "deleted": yes and not fault,
            }
        )
    if as_json:
        print_json(rows)
    elif not doomed:
        say(tables.sentence("command_line.prune.nothing"))
    elif not yes:
        sizes = {"number": len(doomed), "size": sum(item.bytes for item in doomed) / 1e6}
        say(tables.sentence("command_line.prune.would_go", **sizes))
    if failed:
        raise typer.Exit(1)
