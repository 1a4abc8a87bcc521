"""Commands on API keys of the server; see :mod:`mobility.cli.main`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mobility.cli.options import DEFAULT_STORE, JsonOption, StoreOption, open_store, print_json, say

if TYPE_CHECKING:
    from mobility.server.keys import StoredKey

keys_app = typer.Typer(
    help="Make, list or revoke API keys of the HTTP interface.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@keys_app.command("create")
def keys_create(
    *,
    role: Annotated[
        str, typer.Option("--role", help="administrator, professional or participant.")
    ],
    user_id: Annotated[
        str | None,
        typer.Option("--user-id", help="Whose sessions are its own; a participant's needs it."),
    ] = None,
    expires: Annotated[
        float | None,
        typer.Option("--expires", metavar="DAYS", help="Days it is valid; default: no end."),
    ] = None,
    store: StoreOption = DEFAULT_STORE,
    as_json: JsonOption = False,
) -> None:
    """Make a key and print it, this once: only its hash is kept."""
    from mobility.server.keys import Keys

    key, stored = Keys(open_store(store)).create(role, user_id=user_id, expires_days=expires)
    if as_json:
        print_json({"key": key, **_row(stored)})
        return
    typer.echo(key)
    say(f"key {stored.id} of the role {role}; it is not kept, and cannot be shown again")


@keys_app.command("list")
def keys_list(*, store: StoreOption = DEFAULT_STORE, as_json: JsonOption = False) -> None:
    """List the keys by their ids, also those that are expired."""
    from mobility.server.keys import Keys

    rows = [_row(stored) for stored in Keys(open_store(store)).all()]
    if as_json:
        print_json(rows)
        return
    if not rows:
        say(f"no keys for {store}; make one with: mobility keys create --role administrator")
    for row in rows:
        until = f"until {row['expires_at']}" if row["expires_at"] else "no end"
        state = "  expired" if row["expired"] else ""
        typer.echo(f"{row['id']}  {row['role']:<13}  {row['user_id'] or '–':<16}  {until}{state}")


@keys_app.command("revoke")
def keys_revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the key, as in the list.")],
    *,
    store: StoreOption = DEFAULT_STORE,
) -> None:
    """Make a key worthless, at once."""
    from mobility.server.keys import Keys

    Keys(open_store(store)).revoke(key_id)
    say(f"revoked key {key_id}")


def _row(stored: StoredKey) -> dict[str, str | bool | None]:
    import datetime

    return {
        "id": stored.id,
        "role": stored.role,
        "user_id": stored.user_id,
        "created_at": stored.created_at.isoformat(),
        "expires_at": stored.expires_at.isoformat() if stored.expires_at else None,
        "expired": stored.is_expired(datetime.datetime.now().astimezone()),
    }
