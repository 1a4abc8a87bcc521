"""Commands for studies of many sessions; see :mod:`mobility.cli.main`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mobility.cli.options import (
    JsonOption,
    WorkersOption,
    check_output,
    open_store,
    option,
    path_argument,
    path_option,
    print_json,
    takes,
    uris,
)

if TYPE_CHECKING:
    from mobility.store import Store

StudyArgument = Annotated[
    Path,
    path_argument(
        "STUDY.csv",
        help="A row for each session: session or video, participant, any of visit, operator, "
        "device, camera, trial, and columns of your own.",
    ),
]
MetricsOption = Annotated[
    str | None, option("--metrics", "NAMES", help="Comma-separated measures; default: all.")
]
RecordingsOption = Annotated[
    str,
    option(
        "--recordings",
        "VERDICTS",
        help="Use sessions whose recording has one of these verdicts: good, limited, "
        "not-this-exercise, unusable; or all.",
    ),
]
OutOption = Annotated[
    Path | None,
    path_option(
        "--out", "PATH", help="Folder of page and tables; default: in the folder of the reports."
    ),
]


@takes(open_store)
def groups(
    opened: Store,
    study: StudyArgument,
    *,
    by: Annotated[str, option("--by", "COLUMN", help="Column of the groups.")],
    within: Annotated[
        str,
        option("--within", "COLUMNS", help="What differs within people: visit, side, ..."),
    ] = "",
    adjust: Annotated[
        str, option("--adjust", "COLUMNS", help="What to adjust for: age, sex, ...")
    ] = "",
    metrics: MetricsOption = None,
    recordings: RecordingsOption = "good,limited",
    out: OutOption = None,
    workers: WorkersOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare groups of people, or visits of the same people.

    Each measure has a mixed model with participants as random effects; p values are adjusted over
    the measures. Videos that are not analysed yet are analysed first.
    """
    from mobility.batch.study import read_study
    from mobility.reports.render import render_groups
    from mobility.studies.groups import check_groups
    from mobility.wording import split_names

    folder = out or opened.reports / f"groups-{study.stem}"
    check_output(folder, store=opened)
    of_study = read_study(study, store=opened, recordings=split_names(recordings), workers=workers)
    check_groups(
        of_study.table,
        by=by,
        within=split_names(within),
        adjust=split_names(adjust),
        metrics=None if metrics is None else split_names(metrics),
    )
    parameters = {"by": by, "within": within, "adjust": adjust, "metrics": metrics or ""}
    made = render_groups(of_study, folder, title=study.stem, parameters=parameters)
    _print_made(made, as_json=as_json)


def _print_made(made: dict[str, Path], *, as_json: bool) -> None:
    if as_json:
        print_json(uris(made))
        return
    width = max(map(len, made))
    for name, path in made.items():
        typer.echo(f"{name:<{width}}  {path}")
