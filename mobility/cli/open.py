"""The command that serves a page for people without notebooks; see :mod:`mobility.cli.main`."""

from __future__ import annotations

from typing import Annotated

import typer

from mobility.cli.options import (
    DEFAULT_REPORTS,
    DEFAULT_STORE,
    LogOption,
    ReportsOption,
    StoreOption,
    log_to,
    open_store,
    say,
)


def open_page(
    *,
    store: StoreOption = DEFAULT_STORE,
    reports: ReportsOption = DEFAULT_REPORTS,
    lan: Annotated[
        bool,
        typer.Option(
            "--lan",
            help="Let phones in the same network film, by a code that they scan (extra open).",
        ),
    ] = False,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the page in the browser.")
    ] = True,
    port: Annotated[
        int, typer.Option("--port", min=1, max=65000, help="Tried first; the next free is taken.")
    ] = 8890,
    log_file: LogOption = None,
) -> None:
    """Show a page for videos, sessions and reports, on this computer only, until Ctrl-C."""
    log_to(log_file)
    from mobility.server import phones
    from mobility.server.local import serve

    opened = open_store(store, reports)
    network = None
    if lan:
        phones.picture("mobility")  # says now that the extra is missing
        network = phones.network_address()

    def tell(address: str, place: str | None) -> None:
        typer.echo(address)
        if place is not None:
            code = phones.new_code(opened, place)
            typer.echo(f"{phones.text(code)}\n{code}")
            say(f"one phone per code, for {phones.HOURS} hours; more codes are on the page")

    serve(opened, port=port, network=network, browser=browser, tell=tell)


def add_open_command(app: typer.Typer) -> None:
    """Add it to the command line."""
    app.command("open")(open_page)
