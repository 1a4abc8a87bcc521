"""Commands on API keys of the server; see :mod:`mobility.cli.main`."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from mobility import tables
from mobility.base.formatting import MISSING, timed
from mobility.cli.parameters import JsonOption, group, open_store, option, print_json, say, takes

if TYPE_CHECKING:
    from mobility.server.api_keys import StoredKey
    from mobility.store import Store

keys_app = group(help="Make, list or revoke API keys of the HTTP interface.")


@keys_app.command("create")
@takes(open_store)
def keys_create(
    opened: Store,
    *,
    role: Annotated[
        str, option("--role", "NAME", help="administrator, professional, participant or phone.")
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
        option("--expires", "DAYS", help="Days for which the key is valid; default: for ever."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key and print it, this once.

    The store keeps only its hash.
    """
    from mobility.server.api_keys import Keys

    key, stored = Keys(opened).create(role, user_id=user_id, expires_days=expires_days)
    if as_json:
        print_json({"key": key, **_key_row(stored)})
        return
    typer.echo(key)
    say(tables.sentence("command_line.keys.made", key=stored.id, role=role))


@keys_app.command("list")
@takes(open_store)
def keys_list(opened: Store, *, as_json: JsonOption = False) -> None:
    """List the ids of all keys, expired ones too."""
    from mobility.server.api_keys import Keys

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
    """Revoke a key, which stops working at once."""
    from mobility.server.api_keys import Keys

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
