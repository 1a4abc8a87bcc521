"""The command that serves a page for people without notebooks; see :mod:`mobility.cli.main`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mobility import tables
from mobility.cli.parameters import LogOption, log_to, open_store, option, say, takes

if TYPE_CHECKING:
    from mobility.store import Store


@takes(open_store)
def open_page(
    opened: Store,
    *,
    lan: Annotated[
        bool,
        typer.Option(
            "--lan",
            help="Let phones in the same network film: they scan a code (needs the extra open).",
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

    On this computer only; Ctrl-C ends it.
    """
    log_to(log_file, store=opened.path)
    from mobility.server import phones
    from mobility.server.local import serve

    network = None
    if lan:
        phones.picture("mobility")  # raises now, before anything is served, if the extra is missing
        network = phones.network_address()

    def tell(address: str, phone_address: str | None) -> None:
        typer.echo(address)
        if phone_address is not None:
            code = phones.new_code(opened, phone_address)
            typer.echo(f"{phones.text(code)}\n{code}")
            say(tables.sentence("command_line.open.phones", hours=phones.HOURS))

    serve(opened, port=port, network=network, browser=browser, tell=tell)
