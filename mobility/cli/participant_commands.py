"""Commands on participants; see :mod:`mobility.cli.main`."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mobility import tables
from mobility.cli.parameters import (
    JsonOption,
    ParticipantArgument,
    YesOption,
    check_output,
    group,
    interruption_explained,
    open_store,
    option,
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
    from mobility.store import Store

participants_app = group(help="Set, show, list, export or delete participants.")


@participants_app.command("set")
@takes(open_store)
def participants_set(
    opened: Store,
    user_id: ParticipantArgument,
    *,
    display_name: Annotated[
        str | None, option("--name", "TEXT", help="Name that reports show.")
    ] = None,
    sex: Annotated[
        str | None, option("--sex", "female|male", help="Sex, which decides whose norms apply.")
    ] = None,
    birth_year: Annotated[
        str | None,
        option("--birth-year", "YEAR", help="Year of birth; replaces an age."),
    ] = None,
    age: Annotated[
        str | None, option("--age", "YEARS", help="Age in years now; replaces a year of birth.")
    ] = None,
    height_m: Annotated[str | None, option("--height-m", "M", help="Height in metres.")] = None,
    weight_kg: Annotated[
        str | None, option("--weight-kg", "KG", help="Weight in kilograms.")
    ] = None,
    email: Annotated[str | None, option("--email", "TEXT", help="Address for e-mail.")] = None,
    file: Annotated[
        Path | None,
        path_option(
            "--file",
            "FILE",
            help="JSON object: display_name, sex, birth_year or age, height_m, weight_kg, email; "
            "null removes one.",
        ),
    ] = None,
) -> None:
    """Set the record of a participant, by flags or a file.

    Fields that are left out stay as they are. With both, a flag goes before the same field of the
    file.
    """
    flags = {
        **{"display_name": display_name, "sex": sex, "birth_year": birth_year, "age": age},
        **{"height_m": height_m, "weight_kg": weight_kg, "email": email},
    }
    given_fields = {name: value for name, value in flags.items() if value is not None}
    if file is None and not given_fields:
        raise typer.BadParameter("name a field, --age 34, or --file FILE")
    fields = {} if file is None else read_object(file)
    for name, other in (("age", "birth_year"), ("birth_year", "age")):
        if name in given_fields:
            fields.pop(other, None)
    fields |= given_fields
    try:
        opened.set_participant(user_id, **fields)
    except BadInputError as error:
        if file is not None and not error.fields.keys() <= given_fields.keys():
            raise BadInputError(str(error)) from None  # of the file, not of flags
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

    The participant of `mobility demo` is not listed. Sessions whose record does not
    name a participant are named in a warning.
    """
    from mobility.privacy.retention import unassigned

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
    out: Annotated[Path, path_option("--out", "PATH", help="A ZIP file.")],
) -> None:
    """Write everything of a participant to a ZIP file.

    The file holds record, sessions and reports.
    """
    from mobility.privacy.takeout import is_takeout, write_takeout

    check_output(out, store=opened, is_ours=is_takeout)
    typer.echo(str(write_takeout(opened, user_id, out)))


@participants_app.command("delete")
@takes(open_store)
def participants_delete(
    opened: Store, user_id: ParticipantArgument, *, yes: YesOption = False
) -> None:
    """List everything of a participant; --yes deletes it.

    Record, sessions, reports and keys belong to it.
    """
    from mobility.privacy.retention import (
        erase,
        files_of_participant,
        nothing_stored_error,
        other_traces,
        unassigned,
    )
    from mobility.server.api_keys import Keys, private_folder
    from mobility.server.jobs import remove_participant_files
    from mobility.sessions.files import not_all_deleted
    from mobility.sessions.references import reference_names

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
            # A failed step, on a full disk say, must not prevent the others.
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
