"""Commands on norms and errors of the lab's own studies; see :mod:`mobility.cli.main`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from mobility import __version__, tables
from mobility.base.formatting import dated
from mobility.base.wording import listed
from mobility.cli.parameters import JsonOption, group, open_store, print_json, say, takes

if TYPE_CHECKING:
    from mobility.sessions.references import Reference
    from mobility.store import Store

references_app = group(help="List, show or delete norms and errors of your own studies.")

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name under which it is kept.")]


@references_app.command("list")
@takes(open_store)
def references_list(opened: Store, *, as_json: JsonOption = False) -> None:
    """List norms and errors of measuring again, newest first; damaged ones last, with the fault.

    `mobility cohort --save-norms NAME` keeps norms, `mobility reliability --save NAME` errors.
    """
    from mobility.sessions.references import references_and_damaged

    references, damaged = references_and_damaged(opened)
    if as_json:
        faults = [{"name": name, "kind": "damaged", "reason": why} for name, why in damaged.items()]
        print_json([*(_reference_row(each) for each in references), *faults])
        return
    if not (references or damaged):
        say(tables.sentence("command_line.references.none", store=opened.place))
    for reference in references:
        about = tables.sentence(
            "command_line.references.about",
            measures=_reference_row(reference)["measures"],
            exercises=", ".join(reference.exercises),
        )
        if older := sorted(set(_reference_row(reference)["software"]) - {__version__}):
            about += tables.sentence(
                "command_line.references.older", versions=listed(older), present=__version__
            )
        typer.echo(f"{reference.name:<24}  {reference.kind:<13}  {dated(reference.made)}  {about}")
    for name, why in damaged.items():
        typer.echo(f"{name:<24}  {'damaged':<13}  {why}")


@references_app.command("show")
@takes(open_store)
def references_show(opened: Store, name: NameArgument) -> None:
    """Print one with all its numbers (always JSON)."""
    print_json(opened.reference(name).model_dump(mode="json"))


@references_app.command("delete")
@takes(open_store)
def references_delete(opened: Store, name: NameArgument) -> None:
    """Delete one; reports that showed it are made again when they are next used."""
    opened.delete_reference(name)
    say(tables.sentence("command_line.references.deleted", name=name))


def _reference_row(reference: Reference) -> dict[str, Any]:
    values = reference.errors if reference.kind == "retest errors" else reference.norms
    return {
        "name": reference.name,
        "kind": reference.kind,
        "made": reference.made.isoformat(),
        "exercises": reference.exercises,
        "software": sorted({norm.conditions.software for norm in values}),
        "measures": len({norm.metric for norm in values}),
    }
