"""Options that many commands share, and functions that print; see :mod:`mobility.cli.main`."""

from __future__ import annotations

import inspect
import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import update_wrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin, get_type_hints

import typer

from mobility import tables
from mobility.base.options import MOST_WORKERS, check_path, quoted
from mobility.catalogue import registry
from mobility.errors import BadInputError, StorageError
from mobility.sessions.analysis_options import AnalysisOptions, given_options, offered_at

if TYPE_CHECKING:
    from mobility import Session, Store
    from mobility.sessions.session_store import SessionStore
    from mobility.sessions.store_files import StoreFiles


def given_path(path: str | Path) -> Path:
    """Raise an error for a URL, and for an empty path, which would mean the current folder."""
    try:
        return Path(check_path(path))
    except BadInputError as error:
        raise typer.BadParameter(f"{error} (got {quoted(path)})") from None


class Command(typer.core.TyperCommand):
    """A command whose errors name each parameter by its flag."""

    def invoke(self, ctx: Any) -> Any:
        """Run it."""
        try:
            return super().invoke(ctx)
        except BadInputError as error:
            flags = {parameter.name: called(parameter) for parameter in self.params}
            if not error.fields or not error.fields.keys() <= flags.keys():
                raise
            fields = {flags[name]: faults for name, faults in error.fields.items()}
            raise BadInputError.of(fields) from error


def called(parameter: Any) -> str:
    """Return the flag of an option, or the name of an argument in the help."""
    is_argument = parameter.param_type_name == "argument"
    return str(parameter.metavar if is_argument else parameter.opts[0])


def option(name: str, metavar: str, *, help: str, **more: Any) -> Any:
    """Make an option that takes a value."""
    return typer.Option(name, metavar=metavar, help=help, **more)


def path_option(name: str, metavar: str, *, help: str, **more: Any) -> Any:
    """Make an option that takes a path."""
    return option(name, metavar, help=help, parser=given_path, **more)


def path_argument(metavar: str, *, help: str) -> Any:
    """Make an argument that takes a path."""
    return typer.Argument(parser=given_path, metavar=metavar, help=help)


def flag(name: str, *, help: str = "") -> Any:
    """Make the flag of an analysis option; `help` replaces its description."""
    field = AnalysisOptions.model_fields[name]
    written, default = name.replace("_", "-"), ""
    if isinstance(field.default, bool):
        default = written if field.default else f"no-{written}"
    elif field.default not in (None, "auto"):
        default = field.default
    help = help or f"{field.description}{default and f'  [default: {default}]'}"
    if isinstance(field.default, bool):
        return typer.Option(f"--{written}/--no-{written}", help=help)

    def parsed(text: str) -> Any:
        try:
            return given_options({name: text})[name]
        except BadInputError as error:
            raise typer.BadParameter(", ".join(error.fields[name])) from None

    value = next(how.value for other, _, how in offered_at("command line") if other == name)
    return option(f"--{written}", value, help=help, parser=parsed)


def takes_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the flags of the analysis options to a command.

    ``options`` contains the options that were set.
    """
    flags = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[bool | None if get_args(kind)[0] is bool else Any, flag(name)],
        )
        for name, kind, _ in offered_at("command line")
    ]

    def run(**arguments: Any) -> None:
        options = {flag.name: arguments.pop(flag.name) for flag in flags}
        command(
            **arguments, options={n: value for n, value in options.items() if value is not None}
        )

    other_parameters = [p for p in _parameters(command) if p.name != "options"]
    return _with_parameters(run, command, [*other_parameters, *flags])


StoreOption = Annotated[
    Path, path_option("--store", "PATH", help="Folder of the sessions.", envvar="MOBILITY_STORE")
]
ReportsOption = Annotated[
    Path, path_option("--reports", "PATH", help="Folder of the reports.", envvar="MOBILITY_REPORTS")
]
LogOption = Annotated[
    Path | None, path_option("--log-file", "FILE", help="Write the log to this file.")
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON document and nothing else.")
]
ClientOption = Annotated[
    bool,
    typer.Option("--client", help="Print the path of the page for the client instead."),
]
PdfOption = Annotated[
    bool, typer.Option("--pdf", help="Make a PDF of the page with an installed browser.")
]
FacesOption = Annotated[
    bool,
    typer.Option(
        "--faces",
        help="Do not blur the head and the surroundings in pictures and video of the report.",
    ),
]
DemoOption = Annotated[bool, typer.Option("--demo", help="Use the demo session instead of an ID.")]
IdArgument = Annotated[str | None, typer.Argument(metavar="ID", help="ID of the session.")]
SessionArgument = Annotated[str, typer.Argument(metavar="ID", help="ID of the session.")]
ParticipantArgument = Annotated[str, typer.Argument(metavar="ID", help="ID of the participant.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Delete the listed items.")]
RenderOption = Annotated[bool, typer.Option("--report/--no-report", help="Make the report.")]
WorkersOption = Annotated[
    int | None,
    option(
        "--workers",
        "N",
        help="Number of processes that share the work; default: one per processor.",
        min=1,
        max=MOST_WORKERS,
    ),
]
DEFAULT_STORE = Path("data/sessions")
DEFAULT_REPORTS = Path("reports")


def check_output(
    path: Path,
    *,
    store: StoreFiles | None = None,
    is_ours: Callable[[Path], bool] | None = None,
) -> None:
    """Raise an error if `path` is in a store or session, or is a file from another program.

    Parameters
    ----------
    path
        The file or folder to write.
    store
        A store; nothing may be written into its folder. In other stores, the folders of sessions,
        of participants and of the server are protected.
    is_ours
        Whether the same command made an existing file.
    """
    import os

    from mobility.sessions.files import PARTICIPANTS, PRIVATE_FOLDER

    def is_of_a_store(folder: Path) -> bool:
        beside = folder.name in (PARTICIPANTS, PRIVATE_FOLDER)
        return (folder / "session.json").is_file() or (
            beside and any(folder.parent.glob("*/session.json"))
        )

    place = Path(os.path.realpath(path))
    above = [place, *place.parents]
    stores = [] if store is None else [Path(os.path.realpath(store.path))]
    for folder in above:
        if folder in stores or is_of_a_store(folder):
            raise BadInputError(
                f"{path}: is inside {folder}, which is part of a store. Name another place"
            )
    if is_ours is not None and place.is_file() and not is_ours(place):
        raise BadInputError(f"{path}: exists, and was not made by this command. Name another file")


def group(*, help: str) -> typer.Typer:
    """Make a group of commands."""
    return typer.Typer(help=help, no_args_is_help=True, rich_markup_mode=None)


def log_to(file: Path | None, *, store: str | Path | None = None) -> None:
    """Write the log to `file`, if there is one; it must not be inside the `store`."""
    if file is not None:
        from mobility.base.writing import LogFile, make_folder
        from mobility.sessions.session_store import SessionStore

        opened: SessionStore[Any] | None = None if store is None else SessionStore(store)
        check_output(file, store=opened, is_ours=_is_log)
        try:
            make_folder(file.parent)
            logging.basicConfig(
                handlers=[LogFile(file, tell=warn)],
                level=logging.INFO,
                format="%(asctime)s %(levelname)s %(name)s: %(message)s",
                force=True,
            )
        except OSError as error:
            raise StorageError(
                f"log file {file}: cannot be written ({error.strerror}). Name another file"
            ) from error


def _is_log(file: Path) -> bool:
    """Whether a file is empty or begins like a log of this program."""
    import re

    try:
        with file.open("rb") as opened:
            head = opened.read(80)
    except OSError:  # the attempt to write gives a better message
        return True
    return not head or re.match(rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} [A-Z]+ ", head) is not None


def open_store(
    store: StoreOption = DEFAULT_STORE, reports: ReportsOption = DEFAULT_REPORTS
) -> Store:
    """Open the store that the options name."""
    from mobility import Store

    return Store(store, reports=reports)


def open_session(
    session_id: SessionArgument,
    store: StoreOption = DEFAULT_STORE,
    reports: ReportsOption = DEFAULT_REPORTS,
) -> Session:
    """Open the session of the store that the arguments name."""
    return open_store(store, reports).session(session_id)


def open_session_or_demo(
    session_id: IdArgument = None,
    demo: DemoOption = False,
    store: StoreOption = DEFAULT_STORE,
    reports: ReportsOption = DEFAULT_REPORTS,
    *,
    document: str = "report",
) -> Session:
    """Open the named session of the store, or the demo session of an exercise."""
    if demo == (session_id is not None):
        raise BadInputError("Give either the ID of a session or --demo, not both")
    opened = open_store(store, reports)
    return (
        opened.demo(registry.that_have(document)[0].name)
        if demo
        else opened.session(str(session_id))
    )


def takes(
    opener: Callable[..., Store | Session], **fixed: Any
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add the options of `opener` to a command.

    Its first argument is the opened store or session.
    """
    opener_options = [p for p in _parameters(opener) if get_origin(p.annotation) is Annotated]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        def run(**options: Any) -> None:
            opened = opener(**{p.name: options.pop(p.name) for p in opener_options}, **fixed)
            command(opened, **options)

        return _with_parameters(run, command, [*_parameters(command)[1:], *opener_options])

    return decorate


def _with_parameters(
    run: Callable[..., None], command: Callable[..., None], parameters: Sequence[inspect.Parameter]
) -> Callable[..., None]:
    """Give `run` the name and help of `command`, but other parameters."""
    wrapped: Any = update_wrapper(run, command)
    wrapped.__signature__ = inspect.Signature(parameters)
    wrapped.__annotations__ = {p.name: p.annotation for p in parameters}
    return run


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    # Store and Session are imported later.
    hints = get_type_hints(function, None, {"Store": Any, "Session": Any}, include_extras=True)
    return [
        p.replace(annotation=hints[p.name], kind=inspect.Parameter.KEYWORD_ONLY)
        for p in inspect.signature(function).parameters.values()
    ]


def read_object(file: Path) -> dict[str, Any]:
    """Read a file that holds one JSON object."""
    from mobility.sessions.files import read_json

    content = read_json(file)
    if not isinstance(content, dict):
        raise BadInputError(f"{file}: is not a JSON object. Write one object in braces")
    return content


def say_unfinished(opened: Store) -> None:
    """Warn about sessions whose creation or deletion is unfinished."""
    for session_id in opened.unfinished():
        warn(tables.sentence("command_line.sessions.unfinished", session=session_id))


@contextmanager
def interruption_explained() -> Iterator[None]:
    """If the user interrupts a deletion, explain that it is incomplete."""
    try:
        yield
    except KeyboardInterrupt:
        message = tables.sentence("command_line.sessions.interrupted")
        raise KeyboardInterrupt(message) from None


def print_json(document: Any) -> None:
    """Print a document on standard output."""
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False))


def uris(files: Mapping[str, Path] | None) -> dict[str, str] | None:
    """Return the addresses of the report files for the JSON output, or None without a report."""
    return {name: path.resolve().as_uri() for name, path in files.items()} if files else None


def say(text: str) -> None:
    """Print one line on standard error, with unprintable characters escaped."""
    line = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    typer.echo(line, err=True)


def warn(text: str) -> None:
    """Print a warning on standard error."""
    say(tables.sentence("command_line.warning", text=text))
