"""Commands that compare with lab data or write files for labs; see :mod:`mobility.cli.main`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from mobility import tables
from mobility.base.formatting import MISSING, listed, plus_minus
from mobility.cli.parameters import (
    DEFAULT_REPORTS,
    DEFAULT_STORE,
    DemoOption,
    IdArgument,
    JsonOption,
    LogOption,
    RenderOption,
    ReportsOption,
    StoreOption,
    check_output,
    given_path,
    log_to,
    open_session_or_demo,
    open_store,
    option,
    path_argument,
    path_option,
    print_json,
    say,
    takes,
    uris,
    warn,
)
from mobility.errors import BadInputError

if TYPE_CHECKING:
    from mobility import Session, Store


def validate(
    session_id: IdArgument = None,
    lab_file: Annotated[
        str | None,
        typer.Argument(
            metavar="LAB_FILE",
            help="Markers or angles of the same trial (C3D, TRC, MOT, STO or CSV). With --demo, "
            "it is the only argument. Without a file, the command lists the stored "
            "comparisons.",
        ),
    ] = None,
    *,
    demo: DemoOption = False,
    lab_angles: Annotated[
        Path | None,
        path_option("--lab-angles", "FILE", help="File with the angles of the lab's own model."),
    ] = None,
    static: Annotated[
        Path | None, path_option("--static", "FILE", help="File of a static trial.")
    ] = None,
    mapping: Annotated[
        str | None,
        option(
            "--mapping",
            "FILE",
            help="Meaning of the lab's names: a YAML file, or a built-in mapping.",
        ),
    ] = None,
    units: Annotated[
        str | None,
        option(
            "--units",
            "UNIT",
            help="Unit of a file that does not name one: m, cm, mm, degree or radian.",
        ),
    ] = None,
    vertical_axis: Annotated[
        str | None, option("--vertical-axis", "AXIS", help="Axis that points up: y, z, -x, ...")
    ] = None,
    forces: Annotated[
        Path | None,
        path_option(
            "--forces",
            "FILE",
            help="Force plates of the same trial (MOT, STO or C3D), on the clock of the markers: "
            "compares the loads of the legs, too.",
        ),
    ] = None,
    plate_sides: Annotated[
        Literal["names", "position"] | None,
        typer.Option(
            "--plate-sides",
            help="Assign plates to feet by their names, or by their position under the feet; "
            "default: the names, if these state left or right.",
        ),
    ] = None,
    force_units: Annotated[
        Literal["N", "kN"] | None,
        typer.Option("--force-units", help="Unit of the forces; default: N."),
    ] = None,
    lag_s: Annotated[
        float | None,
        option(
            "--lag-s", "S", help="Seconds to add to video time to get lab time; default: estimated."
        ),
    ] = None,
    max_lag_s: Annotated[
        float | None, option("--max-lag-s", "S", help="Largest lag to try, in seconds.")
    ] = None,
    margin_deg: Annotated[
        float | None,
        option(
            "--margin-deg",
            "DEG",
            help="Largest mean difference that does not matter, in degrees. Choose it before "
            "you see the data. Without it, equivalence is not tested.",
        ),
    ] = None,
    study: Annotated[
        Path | None,
        path_option(
            "--study",
            "CSV",
            help="Table of many trials, with the columns session and lab_file, and optionally "
            "participant, condition, static, mapping and lab_angles.",
        ),
    ] = None,
    out: Annotated[
        Path | None, path_option("--out", "PATH", help="Folder for the report of a study.")
    ] = None,
    sd: Annotated[
        float | None,
        option(
            "--sample-size",
            "SD",
            help="Only print how precise limits of agreement would be with different numbers of "
            "participants, for this standard deviation of the differences.",
        ),
    ] = None,
    report: RenderOption = True,
    as_json: JsonOption = False,
    store: StoreOption = DEFAULT_STORE,
    reports: ReportsOption = DEFAULT_REPORTS,
    log_file: LogOption = None,
) -> None:
    """Compare a session with lab data of the same movement.

    The report shows how well the angles agree and, with --forces, the loads of the legs.
    """
    log_to(log_file, store=store)
    if sd is not None:
        if any(value is not None for value in (session_id, lab_file, study)) or demo:
            fault = "cannot be combined with a session, lab file, --study or --demo; leave them out"
            raise BadInputError.of({"sd": fault})
        _say_sample_size(sd, as_json=as_json)
        return
    settings: dict[str, Any] = {"max_lag_s": max_lag_s, "margin_deg": margin_deg}
    of_one: dict[str, Any] = {
        **{"lab_angles": lab_angles, "static": static, "mapping": mapping},
        **{"units": units, "vertical_axis": vertical_axis, "lag_s": lag_s},
        **{"forces": forces, "plate_sides": plate_sides, "force_units": force_units},
    }
    if study is not None:
        if session_id is not None or demo or any(v is not None for v in of_one.values()):
            fault = "names the sessions and lab files; leave out ID, LAB_FILE and the"
            raise BadInputError.of({"study": f"{fault} options of one trial"})
        folder = out or reports / f"study-{study.stem}"
        opened = open_store(store, reports)
        if out is not None:
            check_output(out, store=opened)
        _validate_study(opened, study, folder, settings, report=report, as_json=as_json)
        return
    if out is not None:
        raise BadInputError.of({"out": "works only with --study; leave it out"})
    if demo and session_id is not None and lab_file is None:
        session_id, lab_file = None, session_id
    session = open_session_or_demo(session_id, demo, store, reports)
    if lab_file is None:
        if demo:
            raise BadInputError("the session is missing; give the lab file after --demo")
        _list_validations(session, as_json=as_json)
        return
    from mobility.lab.lab_comparison import validate as compare
    from mobility.lab.report_files import VALIDATION
    from mobility.lab.validation_report import render_validation

    data_folder = reports / f"{session.id}{VALIDATION.session_ending}-data" if demo else None
    comparison = compare(session, given_path(lab_file), **of_one, **settings, folder=data_folder)
    for warning in comparison.document["warnings"]:
        warn(warning["message"])
    page = render_validation(session, comparison, reports) if report else None
    if as_json:
        print_json({**comparison.document, "report": uris(page)})
        return
    _say_agreement(comparison.document)
    typer.echo(f"data    {comparison.folder}")
    if page:
        typer.echo(f"report  {page['html']}")


def _validate_study(
    opened: Store, study: Path, folder: Path, settings: Any, *, report: bool, as_json: bool
) -> None:
    """Compare all trials of a study; exit with status 1 if some failed."""
    from mobility.lab.lab_comparison import run_study
    from mobility.lab.report_files import VALIDATION
    from mobility.lab.validation_report import render_study
    from mobility.reports.render import check_free

    check_free(folder, VALIDATION)
    result = run_study(opened, study, **settings)
    failed = result.document["failed"]
    for trial in failed:
        say(tables.sentence("command_line.validation.failed_trial", **trial))
    for warning in result.document["warnings"]:
        if warning["code"] == "several_models":
            warn(warning["message"])
    page = render_study(result, folder) if report and result.agreement is not None else None
    if as_json:
        print_json({**result.document, "report": uris(page)})
    else:
        counts = {"compared": len(result.document["trials"]), "failed": len(failed)}
        typer.echo(tables.sentence("command_line.validation.trials", **counts))
        if result.agreement is not None:
            _say_agreement(result.document)
        if page:
            typer.echo(f"report  {page['html']}")
    if failed:
        raise typer.Exit(1)


def _say_agreement(document: dict[str, Any]) -> None:
    from mobility.kinematics.expected_error import half_width

    if "lag_s" in document:
        sd = document["lag_sd_s"]
        kind = "lag_given" if sd is None else "lag"
        lag = {"lag": document["lag_s"], "error": half_width(sd or 0.0)}
        typer.echo(tables.sentence(f"command_line.validation.{kind}", **lag))
    values = [name for name in document["values"] if name != "range"]
    words = listed([document["values"][name] for name in values])
    typer.echo(tables.sentence("command_line.validation.columns", values=words))
    for angle, sides in document["angles"].items():
        for side, statistics in sides.items():
            if statistics["rmse"] is not None:
                differences = [_signed(statistics[name]["mean_difference"], 1) for name in values]
                curve = f"{statistics['rmse']:.1f}, {statistics['bias']:+.1f}"
                typer.echo(f"{angle} {side}: {'; '.join([curve, ', '.join(differences)])}")
    if "loads" in document:
        _say_loads(document["loads"])
    if differing := _other_definitions(document):
        typer.echo(tables.sentence("command_line.validation.definitions", **differing))
    if document["times"]:
        typer.echo(tables.sentence("command_line.validation.times"))
    for name, statistics in document["times"].items():
        means = f"{statistics['video']:.2f}, {statistics['lab']:.2f}"
        difference = _signed(statistics["mean_difference"], 2)
        typer.echo(f"{name} ({statistics['long_name']}): {means}; {difference}")


def _say_loads(loads: dict[str, Any]) -> None:
    values = [name for name in loads["values"] if name != "range"]
    words = listed([loads["values"][name] for name in values])
    typer.echo(tables.sentence("command_line.validation.loads", values=words))
    for name, sides in loads["quantities"].items():
        for side, statistics in sides.items():
            if statistics["rmse"] is not None:
                differences = [_signed(statistics[each]["mean_difference"], 1) for each in values]
                curve = f"{statistics['rmse']:.1f}, {statistics['bias']:+.1f}"
                label = name if side == "middle" else f"{name} {side}"
                line = f"{label} ({loads['units'][name]}): {curve}; {', '.join(differences)}"
                typer.echo(line)


def _signed(value: float | None, digits: int) -> str:
    return MISSING if value is None else f"{value:+.{digits}f}"


def _other_definitions(document: dict[str, Any]) -> dict[str, str]:
    """Return the angles that the lab's model defines differently, and how the worst one differs.

    Empty unless the video is compared with the lab's own model.
    """
    from mobility.kinematics.skeleton import called

    if not document["primary"].endswith("_lab_model"):
        return {}
    of_video, of_lab = document["angles"], document["definition_differences"]
    apart = {name: _farthest(of_video[name]) for name in of_lab if name in of_video}
    if not apart:
        return {}
    worst = max(apart, key=apart.__getitem__)
    names = listed([called(name) for name in of_video if name in apart])
    return {"angles": names, "angle": called(worst), "definition": " ".join(of_lab[worst].split())}


def _farthest(sides: dict[str, Any]) -> float:
    """Return the largest mean difference of an angle, or of one of its values."""
    numbers = [side["bias"] for side in sides.values()]
    parts = [part for side in sides.values() for part in side.values() if isinstance(part, dict)]
    numbers += [part["mean_difference"] for part in parts]
    return float(max(abs(number or 0.0) for number in numbers))


def _list_validations(session: Session, *, as_json: bool) -> None:
    from mobility.lab.lab_comparison import is_stale

    rows = [
        {
            "validation": comparison.name,
            "made": comparison.document["made"],
            "lag_s": comparison.document["lag_s"],
            "stale": is_stale(session, comparison),
        }
        for comparison in session.validations()
    ]
    if as_json:
        print_json(rows)
        return
    if not rows:
        say(tables.sentence("command_line.validation.none", session=session.id))
    for row in rows:
        old = tables.sentence("command_line.validation.old") if row["stale"] else ""
        line = f"{row['validation']}  {row['made']}  lag {row['lag_s']:+.3f} s  {old}"
        typer.echo(line.rstrip())


def _say_sample_size(sd: float, *, as_json: bool) -> None:
    from mobility.studies.statistics.limits_of_agreement import limits_interval_width

    sizes = (5, 10, 15, 20, 30, 40, 50, 75, 100, 200)
    rows = [
        {"participants": n, "limit_half_interval": round(limits_interval_width(n, sd=sd) / 2, 3)}
        for n in sizes
    ]
    if as_json:
        print_json({"sd": sd, "sizes": rows})
        return
    typer.echo(tables.sentence("command_line.validation.sample_sizes"))
    for row in rows:
        typer.echo(f"{row['participants']:>4}: {plus_minus(row['limit_half_interval'], digits=1)}")


@takes(open_session_or_demo)
def export_lab(
    session: Session,
    *,
    out: Annotated[Path, path_option("--out", "PATH", help="The file to write.")],
    file_format: Annotated[
        Literal["trc", "c3d", "mot", "sto", "csv"] | None,
        typer.Option("--format", help="Format; default: the ending of the file."),
    ] = None,
    positions: Annotated[
        bool,
        typer.Option(
            "--positions",
            help="Write only positions, without the angles that C3D and CSV would have.",
        ),
    ] = False,
    landmarks: Annotated[
        bool,
        typer.Option(
            "--landmarks", help="Write the detected landmarks instead of the fitted body."
        ),
    ] = False,
    loads: Annotated[
        bool,
        typer.Option(
            "--loads",
            help="Write loads of the legs instead of angles: all of them in STO, or the force "
            "under each foot in MOT, for OpenSim's external loads.",
        ),
    ] = False,
    weight_kg: Annotated[
        float | None,
        option(
            "--weight-kg",
            "KG",
            help="Mass of the person for --loads; default: the mass in the participant's record.",
        ),
    ] = None,
    fill: Annotated[
        Literal["interpolate"] | None,
        typer.Option(
            "--fill",
            help="Fill gaps in TRC, MOT and STO, which OpenSim cannot read with gaps; default: no.",
        ),
    ] = None,
    rate: Annotated[
        float | None,
        option(
            "--rate",
            "HZ",
            help="Resample to this many frames per second, except in CSV. The file records it. "
            "C3D needs this option if the frame rate of the video varies.",
        ),
    ] = None,
    license: Annotated[
        str | None,
        option(
            "--license", "TEXT", help='Licence that C3D, MOT and STO state; default: "not stated".'
        ),
    ] = None,
) -> None:
    """Write positions, angles and events for OpenSim and labs.

    TRC has positions; MOT, STO and CSV have angles, or loads of the legs with --loads. C3D has
    both, with start, bottom and end of each repetition as events. The angles are those of the
    report. The command prints the content of the file.
    """
    from mobility.lab.lab_writers import is_export

    check_output(out, store=session.store, is_ours=is_export)
    written = session.export_lab(
        out,
        file_format=file_format,
        positions=positions,
        landmarks=landmarks,
        loads=loads,
        weight_kg=weight_kg,
        fill=fill,
        rate=rate,
        license=license,
    )
    typer.echo(f"{written}\n{_content_of(written, loads=loads)}")


@takes(open_store)
def export_bids(
    opened: Store,
    user_ids: Annotated[list[str], typer.Argument(metavar="ID", help="Ids of the participants.")],
    folder: Annotated[
        Path, path_argument("FOLDER", help="Folder to make. It may exist if it is empty.")
    ],
    *,
    dates: Annotated[
        bool,
        typer.Option(
            "--dates",
            help="Include the date and time of each recording. Dates identify people.",
        ),
    ] = False,
    license: Annotated[
        str | None,
        option("--license", "TEXT", help='Licence of the data set; default: "not stated".'),
    ] = None,
) -> None:
    """Write sessions of participants as a Motion-BIDS data set.

    It has positions, joint angles with their errors, and repetitions, but no videos or names. The
    table FOLDER-ids.tsv, beside the folder, lists the participant and session of each recording. Do
    not pass it on, because it identifies people.
    """
    from mobility.lab.bids import ids_of

    check_output(folder, store=opened)
    written = opened.to_bids(user_ids, folder, dates=dates, license=license)
    typer.echo(f"data    {written}\nids     {ids_of(written)}")


def _content_of(written: Path, *, loads: bool) -> str:
    """Read a file for labs, and describe its content."""
    from mobility.lab.lab_files import lab_content, lab_lines, read_lab
    from mobility.lab.lab_text import motion_columns

    if loads:
        time, columns = motion_columns(written.name, lab_lines(written.name, lab_content(written)))
        frames = f"{time.size} frames from {time[0]:.2f} to {time[-1]:.2f} s"
        return f"{frames}; {len(columns)} columns"
    trial = read_lab(written)
    time = trial["time"].to_numpy()
    parts = [f"{time.size} frames from {time[0]:.2f} to {time[-1]:.2f} s"]
    if "marker_position" in trial:
        parts.append(f"{trial.sizes['marker']} points")
    angles = [name for name in tables.load("angles") if name in trial]
    if angles:
        parts.append(listed([name.replace("_", " ") for name in angles]))
    if "event_time" in trial:
        parts.append(f"{trial['event_time'].size} events")
    return "; ".join(parts)
