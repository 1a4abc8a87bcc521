"""Commands for sessions and their display settings; see :mod:`mobility.cli.main`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mobility import tables
from mobility.cli.parameters import (
    JsonOption,
    SessionArgument,
    group,
    interruption_explained,
    open_session,
    open_session_or_demo,
    open_store,
    path_option,
    print_json,
    read_object,
    say,
    say_unfinished,
    takes,
    warn,
)
from mobility.documents.display_settings import refuse_null
from mobility.errors import MobilityError

if TYPE_CHECKING:
    from mobility import Session, Store

sessions_app = group(help="List, show, export or delete sessions.")
config_app = group(help="Choose what the single-joint report shows.")


@sessions_app.command("list")
@takes(open_store)
def sessions_list(opened: Store, *, as_json: JsonOption = False) -> None:
    """List the sessions, newest last.

    Sessions with a damaged or missing record come last, with the reason.
    """
    sessions, damaged = opened.sessions_and_damaged()
    rows = [
        {
            "session_id": session.id,
            "title": _title(session),
            "user_id": session.record.user_id,
            "exercise": session.record.exercise,
            "state": session.record.state,
            "reason": session.record.reason,
        }
        for session in sessions
    ] + [
        {
            **{"session_id": session_id, "title": "", "user_id": "", "exercise": ""},
            **{"state": "damaged", "reason": fault},
        }
        for session_id, fault in damaged.items()
    ]
    say_unfinished(opened)
    if as_json:
        print_json(rows)
        return
    if not rows:
        say(tables.sentence("command_line.sessions.none", store=opened.place))
    widths = [max((len(row[name]) for row in rows), default=0) for name in ("user_id", "exercise")]
    for row in rows:
        state = row["state"].replace("yz", "ys")  # JSON keeps its own spelling
        if state == "analysing" and not opened.is_in_work(row["session_id"]):
            state = "interrupted"
        who, what = row["user_id"].ljust(widths[0]), row["exercise"].ljust(widths[1])
        last = row["title"] or row["reason"]
        typer.echo(f"{row['session_id']}  {state:<11}  {who}  {what}  {last}")


def _title(session: Session) -> str:
    """Return the title of a session, even if the record of its participant is damaged."""
    from mobility.documents.fill import title

    try:
        return session.title
    except MobilityError as error:
        warn(str(error))
        return title(session.record, None)


@sessions_app.command("show")
@takes(open_session_or_demo)
def sessions_show(session: Session, *, as_json: JsonOption = False) -> None:
    """Print the session as JSON."""
    print_json(session.details())


@sessions_app.command("export")
@takes(open_session_or_demo)
def sessions_export(session: Session, *, as_json: JsonOption = False) -> None:
    """Print the angles and keypoints of a session as JSON."""
    print_json(session.export())


@sessions_app.command("delete")
@takes(open_store)
def sessions_delete(opened: Store, session_id: SessionArgument) -> None:
    """Delete a session: video, data, edits and reports."""
    with interruption_explained():
        opened.delete(session_id)
    say(tables.sentence("command_line.sessions.deleted", session=session_id))


@config_app.command("get")
@takes(open_session_or_demo, document="display settings")
def config_get(session: Session, *, as_json: JsonOption = False) -> None:
    """Print which angles the report shows, and the comments on them."""
    config = session.config()
    if as_json:
        print_json(config)
        return
    choice = "chosen" if config["shown_angles"] else "all"
    angles = ", ".join(config["shown_angles"])
    typer.echo(tables.sentence(f"command_line.config.shown.{choice}", angles=angles))
    for key, comment in config["comments"].items():
        typer.echo(f"{key}: {' '.join(comment.split())}")


@config_app.command("set")
@takes(open_session)
def config_set(
    session: Session,
    *,
    file: Annotated[
        Path,
        path_option(
            "--file",
            "FILE",
            help='JSON: {"shown_angles": ["knee_angle"], "comments": {"knee_angle": "Slower."}}.',
        ),
    ],
    as_json: JsonOption = False,
) -> None:
    """Choose which angles the report shows, and comment on them.

    Settings that are not in the file do not change.
    """
    fields = read_object(file)
    refuse_null(fields, what=f"{file}")
    config = session.save_config(**fields)
    if as_json:
        print_json(config)
        return
    say(tables.sentence("command_line.config.saved", session=session.id))
