"""The command line: ``mobility --help``.

Only typer is imported at the top, so that help and errors appear at once. The module of a command
is imported when the command runs, and the command imports what it needs.
"""

from __future__ import annotations

import atexit
import functools
import gc
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Annotated, Any, NamedTuple, NoReturn

import typer

from mobility import tables
from mobility.errors import MobilityError


class _Place(NamedTuple):
    """Where a command or group is defined, and the first sentence of its help."""

    attribute: str
    help: str


_COMMANDS = {
    "demo": _Place(
        "cli.analysis_commands.demo", help="Analyse the demo video and make its report."
    ),
    "open": _Place(
        "serve.commands.open_page", help="Open a page to add videos and see sessions and reports."
    ),
    "analyze": _Place(
        "cli.analysis_commands.analyze",
        help="Analyse one video, or two of the same movement.",
    ),
    "report": _Place(
        "cli.analysis_commands.report", help="Make the report of a session, and print its path."
    ),
    "visit": _Place(
        "studies.commands.visit",
        help="Make one page of a participant's sessions on one day, and print its path.",
    ),
    "course": _Place(
        "studies.commands.course",
        help="Make one page of all visits of a participant, with your notes, and print its path.",
    ),
    "joint-mobility": _Place(
        "cli.analysis_commands.joint_mobility",
        help="Print the single-joint range of motion of a session (always JSON).",
    ),
    "summary": _Place(
        "cli.analysis_commands.summary",
        help="Print the summary of an exercise with repetitions (always JSON).",
    ),
    "threads": _Place(
        "cli.analysis_commands.threads",
        help="Write a comment on each metric, and print the IDs of the threads.",
    ),
    "repetitions": _Place(
        "cli.analysis_commands.repetitions",
        help="Print the repetitions or joint movements of a session, or correct them by hand.",
    ),
    "edit": _Place(
        "cli.analysis_commands.edit",
        help="Correct the subject, landmarks or the camera side, and analyse again.",
    ),
    "batch": _Place("serve.commands.batch", help="Analyse many videos and make their reports."),
    "watch": _Place(
        "serve.commands.watch_folder", help="Analyse each video that arrives in a folder."
    ),
    "cohort": _Place(
        "studies.commands.cohort", help="Put all sessions into one table, and report on it."
    ),
    "reliability": _Place(
        "studies.commands.reliability",
        help="Report how reliable measures are between visits, operators, phones or repeated "
        "recordings.",
    ),
    "groups": _Place(
        "studies.commands.groups", help="Compare groups of people, or visits of the same people."
    ),
    "validate": _Place(
        "lab.commands.validate", help="Compare a session with lab data of the same movement."
    ),
    "export-lab": _Place(
        "lab.commands.export_lab",
        help="Write positions, angles and events for OpenSim and labs.",
    ),
    "export-bids": _Place(
        "lab.commands.export_bids",
        help="Write sessions of participants as a Motion-BIDS data set.",
    ),
    "prune": _Place(
        "serve.commands.prune", help="List old sessions, by age or number; --yes deletes them."
    ),
    "models": _Place(
        "cli.analysis_commands.models", help="Print the path of the pose model and its SHA-256."
    ),
    "sessions": _Place(
        "cli.session_commands.sessions_app", help="List, show, export or delete sessions."
    ),
    "participants": _Place(
        "serve.commands.participants_app",
        help="Set, show, list, export or delete participants.",
    ),
    "references": _Place(
        "studies.commands.references_app",
        help="List, show or delete norms and errors from your own studies.",
    ),
    "config": _Place(
        "cli.session_commands.config_app", help="Choose what the single-joint report shows."
    ),
    "keys": _Place(
        "serve.commands.keys_app", help="Make, list or revoke API keys of the HTTP interface."
    ),
    "virtual-lab": _Place(
        "virtual_lab.commands.lab_app",
        help="Render people with known angles (needs the extra virtual-lab).",
    ),
}
"""Commands and groups in the order of the help."""


@functools.cache
def _command(name: str) -> Any:
    module, _, attribute = _COMMANDS[name].attribute.rpartition(".")
    command = getattr(import_module(f"mobility.{module}"), attribute)
    parent = typer.Typer(rich_markup_mode=None)
    if isinstance(command, typer.Typer):
        parent.add_typer(command, name=name)
    else:
        parent.command(name)(command)
    from mobility.cli.parameters import Command

    for app in (parent, command):
        for info in getattr(app, "registered_commands", ()):
            info.cls = Command
    return typer.main.get_group(parent).commands[name]


class _Commands(Mapping[str, Any]):
    """Commands and groups by name; each one is imported on first use."""

    def __iter__(self) -> Iterator[str]:
        return iter(_COMMANDS)

    def __len__(self) -> int:
        return len(_COMMANDS)

    def __getitem__(self, name: str) -> Any:
        return _command(name)


class _Group(typer.core.TyperGroup):
    """The group of all commands; its help imports none of them."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands: Any = _Commands()

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of the commands."""
        return list(self.commands)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """List the commands with the first sentences of their help."""
        described = [
            typer.core.TyperCommand(name, help=text) for name, (_, text) in _COMMANDS.items()
        ]
        typer.core.TyperGroup(commands=described).format_commands(ctx, formatter)


app = typer.Typer(
    name="mobility",
    cls=_Group,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

# UsageError of the click version that typer uses.
_USAGE_ERROR: Any = typer.BadParameter.__base__


def _say_version(asked: bool) -> None:
    if asked:
        from mobility import __version__

        typer.echo(f"mobility {__version__}")
        raise typer.Exit


@app.callback()
def options(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_say_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Joint angles and squat metrics from video, with their uncertainty."""


def _usage_message(error: Any) -> str:
    """Return the message of a usage error; a file name may look like an option."""
    from mobility.cli.parameters import called

    option: str = getattr(error, "option_name", "")
    for word in sys.argv[1:]:
        if (
            option
            and word.startswith(option)
            and (os.path.lexists(word) or (word[1] != "-" and len(word) > 2))
        ):
            return tables.sentence("command_line.fault.like_an_option", file=word)
    # Begin with the wrong option, as all other errors do.
    text = error.format_message()
    if isinstance(error, typer.BadParameter) and error.message:  # otherwise the option is missing
        text = error.message.removeprefix("Value error, ")
        text = f"{called(error.param)}: {text}" if error.param else text
    return " ".join(text.split())


def _fail(text: str, status: int = 2) -> NoReturn:
    from mobility.cli.parameters import say

    say(tables.sentence("command_line.fault.line", text=text))
    sys.exit(status)


def main() -> None:
    """Run the command line. An error is one line on standard error, with exit status 2."""
    # A final garbage collection would take half a second.
    atexit.register(gc.freeze)
    # Handle these signals as Ctrl-C; an ignored one (nohup) stays ignored.
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)
    try:
        # Not app(), because it prints usage errors itself, in several lines.
        command = typer.main.get_command(app)
        with command.make_context("mobility", sys.argv[1:]) as context:
            command.invoke(context)
    except typer.Exit as asked:
        sys.exit(asked.exit_code)
    except _USAGE_ERROR as error:
        if error.ctx is not None and error.message == error.ctx.get_help():
            typer.echo(error.message, err=True)
            sys.exit(error.exit_code)
        _fail(_usage_message(error))
    except MobilityError as error:
        _fail(str(error))
    except (KeyboardInterrupt, typer.Abort) as error:
        _fail(str(error) or tables.sentence("command_line.fault.interrupted"), 130)
    except OSError as error:
        # Stop Python from flushing the same output again when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            sys.exit(0)
        _fail(f"{error.filename or 'output'}: {error.strerror or error}")
    except UnicodeError as error:
        _fail(tables.sentence("command_line.fault.undecodable", error=error))
