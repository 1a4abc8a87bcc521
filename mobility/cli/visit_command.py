"""The command ``visit``: one page about a participant's sessions of one day."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mobility.cli.parameters import (
    ClientOption,
    FacesOption,
    JsonOption,
    ParticipantArgument,
    PdfOption,
    open_store,
    option,
    print_json,
    say,
    takes,
)

if TYPE_CHECKING:
    from mobility.store import Store

_IDS = "Comma-separated ids of sessions"


@takes(open_store)
def visit(
    opened: Store,
    *,
    user_id: ParticipantArgument,
    on: Annotated[
        str | None, option("--on", "DATE", help="The day, as 2026-11-30; default: the last.")
    ] = None,
    only: Annotated[str, option("--only", "IDS", help=f"{_IDS} that alone count.")] = "",
    without: Annotated[str, option("--without", "IDS", help=f"{_IDS} to leave out.")] = "",
    client: ClientOption = False,
    pdf: PdfOption = False,
    faces: FacesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make one page of a participant's sessions on a day, and print where it is.

    The films of each exercise are merged. The page is made only if missing or out of date. With
    --json the command prints films, checks, joints and changes.
    """
    from mobility.base.wording import split_names
    from mobility.reports.warm_kernels import start_early

    ids, left_out = split_names(only), split_names(without)
    date = opened.visit(user_id, on=on, only=ids, without=left_out).date
    start_early()
    page = opened.render_visit(user_id, on=date, only=ids, without=left_out, faces=faces)
    shown = page["client" if client else "html"].resolve()
    if pdf:
        from mobility.reports.pdf import to_pdf

        shown = to_pdf(shown)
    if as_json:
        from mobility.reports.stored_visits import stored_document

        print_json(stored_document(page["json"]))
        say(f"report  {shown}")
        return
    typer.echo(f"report  {shown}")
