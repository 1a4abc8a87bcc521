"""Options that many commands share, and how they print; see :mod:`mobility.cli.main`."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from mobility.store import Store


def given_path(given: str | Path) -> Path:
    """Refuse the empty path, which would mean the current folder, and a URL."""
    if not str(given):
        raise typer.BadParameter("must not be empty")
    if "://" in str(given):
        raise typer.BadParameter(
            f"{given} is a URL; only --store can be one: copy or mount what it names first"
        )
    return Path(given)


def given_store(given: str | Path) -> str | Path:
    """Take a folder, or a URL as it is written."""
    return str(given) if "://" in str(given) else given_path(given)


def check_workers(given: int | None) -> int | None:
    """Refuse here what the analysis would refuse, before a session is made for it."""
    from mobility.options import MOST_WORKERS

    if given is not None and not 1 <= given <= MOST_WORKERS:
        raise typer.BadParameter(f"must be from 1 to {MOST_WORKERS} (got {given})")
    return given


def given_standing(given: str | float) -> str | float:
    """Refuse what the analysis would refuse, before a session is made for it."""
    from mobility.options import check_standing

    try:
        return check_standing(given)
    except ValueError as error:
        raise typer.BadParameter(f"{error} (got {given})") from None


StoreOption = Annotated[
    Any,
    typer.Option(
        "--store",
        parser=given_store,
        metavar="PATH",
        envvar="MOBILITY_STORE",
        help="Folder of the sessions, or s3://bucket/prefix.",
    ),
]
ReportsOption = Annotated[
    Path,
    typer.Option(
        "--reports",
        parser=given_path,
        metavar="PATH",
        envvar="MOBILITY_REPORTS",
        help="Folder of the reports.",
    ),
]
LogOption = Annotated[Path | None, typer.Option("--log-file", help="Keep the log in this file.")]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON document and nothing else.")
]
ClientOption = Annotated[
    bool, typer.Option("--client", help="Name the first page alone, as a page of its own.")
]
PdfOption = Annotated[
    bool, typer.Option("--pdf", help="Make a PDF of the page, with a browser that is installed.")
]
FacesOption = Annotated[
    bool, typer.Option("--faces", help="Show the subject's face in pictures and video of the page.")
]
DemoOption = Annotated[bool, typer.Option("--demo", help="Use the demo session instead of an ID.")]
IdArgument = Annotated[str | None, typer.Argument(metavar="ID", help="Id of the session.")]
WorkersOption = Annotated[
    int | None,
    typer.Option(
        "--workers",
        callback=check_workers,
        help="Processes that share the work; default: all processors.",
    ),
]
ModelOption = Annotated[
    Path | None,
    typer.Option(
        "--model",
        metavar="full|heavy|both|FILE",
        help="The pose model, or a Pose Landmarker .task bundle; default: MOBILITY_POSE_MODEL, "
        "else full.",
    ),
]
StandingOption = Annotated[
    Any,
    typer.Option(
        "--standing",
        parser=given_standing,
        metavar="straight|free|DEG",
        help="How the person stands between repetitions: straight, not known (free), or with the "
        "knees bent by this many degrees, as was measured.",
    ),
]
DEFAULT_STORE = Path("data/sessions")
DEFAULT_REPORTS = Path("reports")


def log_to(file: Path | None) -> None:
    """Keep the log in `file`, where one was named."""
    if file is not None:
        from mobility.errors import StorageError
        from mobility.writing import LogFile, make_folder

        try:
            make_folder(file.parent)
            logging.basicConfig(
                handlers=[LogFile(file, tell=lambda text: say(f"warning: {text}"))],
                level=logging.INFO,
                format="%(asctime)s %(levelname)s %(name)s: %(message)s",
                force=True,
            )
        except OSError as error:
            raise StorageError(f"log file {file}: cannot be written ({error.strerror})") from error


def open_store(store: str | Path, reports: Path | None = None) -> Store:
    """Open the store that the options name."""
    from mobility.store import Store

    opened = Store(store, reports=reports)
    opened.require_shared("a command")
    return opened


def say_unfinished(opened: Store) -> None:
    """Warn of what is in a store though no session is shown of it."""
    for session_id in opened.unfinished():
        say(
            f"warning: something is left of session {session_id}, whose making or deletion was "
            "interrupted or is under way; the next deletion, of whatever, removes it"
        )


@contextmanager
def told_if_interrupted() -> Iterator[None]:
    """Let nobody think that a deletion that was interrupted has deleted all."""
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            "interrupted; not everything is deleted: give the same command again"
        ) from None


def print_json(document: Any) -> None:
    """Print a document on standard output."""
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False))


def say(text: str) -> None:
    """Print one line on standard error; what would break or hide the line is escaped."""
    line = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    typer.echo(line, err=True)
