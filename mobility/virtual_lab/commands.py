"""Commands of the virtual lab; see :mod:`mobility.cli.main`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mobility import tables
from mobility.base.options import MOST_WORKERS
from mobility.cli.parameters import (
    JsonOption,
    LogOption,
    check_output,
    group,
    log_to,
    option,
    path_argument,
    path_option,
    print_json,
    say,
)

lab_app = group(help="Render people with known angles (needs the extra virtual-lab).")


@lab_app.command("render")
def lab_render(
    case: Annotated[Path, path_argument("CASE.yaml", help="File that describes the case.")],
    out: Annotated[Path, path_argument("OUT", help="Folder for the video, or an .mp4 file.")],
    *,
    as_json: JsonOption = False,
) -> None:
    """Render a case to a video, and write its true angles next to it."""
    from mobility.virtual_lab.case import render_case, rendered_files

    video, truth = rendered_files(out)
    for file in (video, truth):
        check_output(file, is_ours=lambda _: video.is_file() and truth.is_file())
    video, truth = render_case(case, out)
    if as_json:
        print_json({"video": str(video), "truth": str(truth)})
        return
    typer.echo(f"video  {video}\ntruth  {truth}")


@lab_app.command("sweep")
def lab_sweep(
    grids: Annotated[
        list[Path],
        path_argument(
            "GRID.yaml", help="File with the cases. Several grids are measured together."
        ),
    ],
    *,
    out: Annotated[Path, path_option("--out", "PATH", help="Folder for the report.")] = Path(
        "reports/virtual-lab"
    ),
    cache: Annotated[
        Path,
        path_option(
            "--cache",
            "PATH",
            help="Folder for poses and true angles. Cases that are already in it are not "
            "rendered again.",
        ),
    ] = Path("build/virtual-lab"),
    workers: Annotated[
        int,
        option(
            "--workers",
            "N",
            help="Number of processes that share the cases.",
            min=1,
            max=MOST_WORKERS,
        ),
    ] = 1,
    resume: Annotated[
        bool, typer.Option("--resume", help="Skip cases that are already fitted.")
    ] = False,
    keep_video: Annotated[bool, typer.Option("--keep-video", help="Keep the videos.")] = False,
    as_json: JsonOption = False,
    log_file: LogOption = None,
) -> None:
    """Measure the errors of the angles on rendered cases.

    The command also makes a report. It exits with status 1 if a case failed.
    """
    log_to(log_file)
    from mobility.virtual_lab.agreement_with_truth import agreement
    from mobility.virtual_lab.grid import cases_together, read_grid
    from mobility.virtual_lab.lab_report import write_report
    from mobility.virtual_lab.sweep import measured_cases, sweep

    check_output(out)
    check_output(cache)
    read_grids = [read_grid(grid) for grid in grids]
    name = " + ".join(grid.name for grid in read_grids)
    outcomes = sweep(
        cases_together(read_grids), cache, workers=workers, resume=resume, keep_video=keep_video
    )
    for case in outcomes:
        if case.error is not None:
            say(
                tables.sentence(
                    "command_line.virtual_lab.failed_case", case=case.case.name, error=case.error
                )
            )
    measured = measured_cases(outcomes)
    result = agreement(measured)
    page = write_report(result, outcomes, out, grid=name)
    if as_json:
        print_json(
            {
                "cases": len(outcomes),
                "failed": {d.case.name: d.error for d in outcomes if d.error is not None},
                "report": page.resolve().as_uri(),
                "data": str(page.with_suffix(".nc")),
            }
        )
    else:
        counts = {"measured": len(measured), "all": len(outcomes)}
        typer.echo(tables.sentence("command_line.virtual_lab.cases", **counts))
        typer.echo(f"report  {page}")
        typer.echo(f"data    {page.with_suffix('.nc')}")
    if len(measured) < len(outcomes):
        raise typer.Exit(1)
