"""The command line: ``mobility --help``.

Only typer is imported at the top; a command imports what it needs, so that
help and errors come at once.
"""

from __future__ import annotations

import logging
import os
import re
import signal
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer

from mobility.cli.batch import add_batch_commands
from mobility.cli.keys import keys_app
from mobility.cli.open import add_open_command
from mobility.cli.options import (
    DEFAULT_REPORTS,
    DEFAULT_STORE,
    ClientOption,
    DemoOption,
    FacesOption,
    IdArgument,
    JsonOption,
    LogOption,
    ModelOption,
    PdfOption,
    ReportsOption,
    StandingOption,
    StoreOption,
    WorkersOption,
)
from mobility.cli.options import check_workers as _workers
from mobility.cli.options import given_path as _path
from mobility.cli.options import log_to as _log_to
from mobility.cli.options import open_store as _store
from mobility.cli.options import print_json as _print_json
from mobility.cli.options import say as _say
from mobility.cli.options import say_unfinished as _say_unfinished
from mobility.cli.options import told_if_interrupted as _told_if_interrupted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mobility.sessions.record import Warned
    from mobility.store import Session, Store

app = typer.Typer(
    name="mobility",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
sessions_app = typer.Typer(
    help="List, show, export or delete sessions.", no_args_is_help=True, rich_markup_mode=None
)
participants_app = typer.Typer(
    help="Set, show or list participants.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(sessions_app, name="sessions")
app.add_typer(participants_app, name="participants")
config_app = typer.Typer(
    help="Display settings of a Joint Angle Mobility session.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(config_app, name="config")
lab_app = typer.Typer(
    help="Rendered squats with known angles (extra virtual-lab).",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(lab_app, name="virtual-lab")
app.add_typer(keys_app, name="keys")
add_batch_commands(app)
add_open_command(app)


# Click's UsageError; which click it is of is typer's own affair.
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


def _session(
    store: str | Path,
    reports: Path,
    session_id: str | None,
    *,
    demo: bool,
    exercise: str = "Overhead Squat",
) -> Session:
    from mobility.errors import BadInputError

    if demo == (session_id is not None):
        raise BadInputError("give the ID of a session, or --demo (not both)")
    opened = _store(store, reports)
    return opened.demo(exercise) if demo else opened.session(str(session_id))


def _warn(session: Session, *, summary: bool = True) -> None:
    """Say the warnings; where nothing of a squat means anything, the `summary` after it says so."""
    warnings: Sequence[Warned] = session.record.warnings
    if session.record.exercise == "Joint Angle Mobility":
        from mobility.documents.fill import ANGLE_OF_JOINT
        from mobility.reports.joint_mobility import relevant

        names = [ANGLE_OF_JOINT[joint] for joint in session.record.joints]
        warnings = relevant(warnings, names, session.capture_quality(), session.metrics())
    elif summary:
        from mobility.assessment.verdict import judge

        said = judge(warnings, session.capture_quality(), session.metrics())
        if "findings" in said.rules_out:
            return
    for warning in warnings:
        _say(f"warning: {warning.message}")


def _run(session: Session, *, report: bool, as_json: bool, **options: Any) -> None:
    """Analyse a session made just now, and say what was found, what to distrust, and where it is.

    What cannot be analysed leaves nothing behind; an interruption, or a report
    that fails, leaves what was done, so that nothing is lost.
    """
    from mobility.errors import MobilityError

    try:
        session.analyze(**options)
    except Exception as error:
        if session.store.is_remote and getattr(error, "may_pass", False):
            kept = f"session {session.id} is kept, finish it with: mobility edit {session.id}"
            error.args = (f"{error}; {kept}",)
            raise
        with suppress(MobilityError):
            session.delete()
        raise
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"interrupted; session {session.id} is kept, finish it with: mobility edit {session.id}"
        ) from None
    _warn(session, summary=not as_json)
    made = session.render_report() if report else None
    if as_json:
        uris = {name: path.resolve().as_uri() for name, path in made.items()} if made else None
        _print_json({"session_id": session.id, "title": session.title, "report": uris})
        return
    from mobility.reports.first_page import in_short

    found, careful = in_short(session)
    typer.echo(f"session {session.id}: {found}")
    typer.echo(careful)
    typer.echo(f"report  {made['html']}" if made else f"data    {session.place}")


def _say_report(
    session: Session,
    document: Any,
    *,
    as_json: bool,
    client: bool = False,
    pdf: bool = False,
) -> None:
    """Name the page of a report to a person, and give its document to a program."""
    page = session.render_report()["client" if client else "html"]
    if pdf:
        from mobility.reports.pdf import to_pdf

        page = to_pdf(page)
    if sys.stdout.isatty() and not as_json:
        typer.echo(str(page))
        return
    _print_json(document)
    _say(f"report  {page}")


def _say_analysed(session: Session) -> None:
    """Say on standard error that the results are new, and that the report is not."""
    command = "report" if session.record.exercise == "Overhead Squat" else "joint-mobility"
    typer.echo(
        f"session {session.id} is analysed; renew its report with: mobility {command} {session.id}",
        err=True,
    )


@app.command()
def demo(
    *,
    store: StoreOption = DEFAULT_STORE,
    reports: ReportsOption = DEFAULT_REPORTS,
    workers: WorkersOption = None,
    as_json: JsonOption = False,
    log_file: LogOption = None,
) -> None:
    """Analyse the demo video and render its report."""
    _log_to(log_file)
    from mobility.sessions.store import demo_video

    opened = _store(store, reports)
    session = opened.create(
        demo_video("Overhead Squat"),
        user_id="demo",
        exercise_name="Overhead Squat",
        session_name="Demo: Overhead Squat",
    )
    _run(session, report=True, as_json=as_json, workers=workers)


@app.command()
def analyze(
    video: Annotated[Path, typer.Argument(parser=_path, metavar="VIDEO", help="The video file.")],
    second_video: Annotated[
        Path | None,
        typer.Argument(
            parser=_path,
            metavar="VIDEO2",
            help="The same trial from another camera; calibrated or not, started together or not.",
        ),
    ] = None,
    *,
    exercise: Annotated[
        str | None,
        typer.Option(
            "--exercise",
            help="overhead-squat (default) or joint-angle-mobility.",
        ),
    ] = None,
    user_id: Annotated[str, typer.Option("--user-id", help="Id of the participant.")] = "anonymous",
    name: Annotated[str | None, typer.Option("--name", help="Title of the session.")] = None,
    joints: Annotated[
        str,
        typer.Option(
            "--joints",
            help="Comma-separated joints: trunk and neck too, or all (the five of the limbs).",
        ),
    ] = "all",
    movement: Annotated[
        str | None,
        typer.Option(
            "--movement",
            metavar="NAME",
            help="Joint Angle Mobility of one movement, such as elbow_flexion or "
            "shoulder_abduction; default: found in the video.",
        ),
    ] = None,
    workers: WorkersOption = None,
    subject: Annotated[
        str,
        typer.Option(
            "--subject",
            help="x,y: a point on the person, in pixels; or 'largest', of single joints the one "
            "who moves.",
        ),
    ] = "largest",
    second_subject: Annotated[
        str | None, typer.Option("--second-subject", help="The same in the second video.")
    ] = None,
    model: ModelOption = None,
    fit: Annotated[
        bool,
        typer.Option("--fit/--no-fit", help="Fit a body with constant segments (smaller errors)."),
    ] = True,
    field_of_view: Annotated[
        float | None,
        typer.Option(
            "--field-of-view",
            metavar="DEG",
            help="Field of view of the longer side of the picture; default: found by the fit.",
        ),
    ] = None,
    height_m: Annotated[
        float | None,
        typer.Option(
            "--height-m",
            metavar="M",
            help="Height of the person in metres; default: that of the participant.",
        ),
    ] = None,
    standing: StandingOption = "straight",
    keep_raw: Annotated[
        bool,
        typer.Option(
            "--keep-raw/--no-keep-raw",
            help="Keep the angles without a fit and in the picture too (<angle>_raw, _image).",
        ),
    ] = False,
    calibration: Annotated[
        Path | None,
        typer.Option(
            "--calibration",
            parser=_path,
            metavar="FILE",
            help="Known cameras: YAML of OpenCV, TOML of Pose2Sim or Caliscope, Qualisys .qca.txt.",
        ),
    ] = None,
    blur_face: Annotated[
        bool, typer.Option("--blur-face", help="Blur the face in the annotated video.")
    ] = False,
    annotate: Annotated[
        bool, typer.Option("--annotate/--no-annotate", help="Write the annotated video.")
    ] = True,
    report: Annotated[bool, typer.Option("--report/--no-report", help="Render the report.")] = True,
    as_json: JsonOption = False,
    store: StoreOption = DEFAULT_STORE,
    reports: ReportsOption = DEFAULT_REPORTS,
    log_file: LogOption = None,
) -> None:
    """Analyse a video, or two of the same trial: pose, angles, repetitions, metrics, report."""
    _log_to(log_file)
    point = _point(subject)
    second_point = None if second_subject is None else _point(second_subject, "--second-subject")
    if second_video is None and second_subject is not None:
        raise typer.BadParameter("--second-subject needs a second video")
    if second_video is not None and not fit:
        raise typer.BadParameter("two videos need the fit: leave out --no-fit, or one video")
    if calibration is not None and (not fit or field_of_view is not None):
        raise typer.BadParameter(
            "--calibration has the lens and needs the fit: leave out --field-of-view and --no-fit"
        )
    if exercise is None and movement is None:
        exercise = "Overhead Squat"
    session = _store(store, reports).create(
        video,
        second_video,
        user_id=user_id,
        exercise_name=exercise,
        session_name=name,
        body_joint_angles=joints,
        movement=movement,
        calibration=calibration,
    )
    _run(
        session,
        report=report,
        as_json=as_json,
        workers=workers,
        subject=point,
        second_subject=second_point,
        model=model,
        annotate=annotate,
        fit=fit,
        field_of_view=field_of_view,
        height_m=height_m,
        standing=standing,
        keep_raw=keep_raw,
        blur_face=blur_face,
    )


def _point(subject: str, option: str = "--subject") -> tuple[float, float] | None:
    if subject == "largest":
        return None
    from mobility.options import check_point

    return check_point(subject.split(","), what=f"{option} {subject}")


@sessions_app.command("list")
def sessions_list(
    *,
    store: StoreOption = DEFAULT_STORE,
    reports: ReportsOption = DEFAULT_REPORTS,
    as_json: JsonOption = False,
) -> None:
    """List the sessions, newest last."""
    opened = _store(store, reports)
    rows = [
        {
            "session_id": session.id,
            "title": _title(session),
            "exercise": session.record.exercise,
            "state": session.record.state,
        }
        for session in opened.sessions()
    ]
    _say_unfinished(opened)
    if as_json:
        _print_json(rows)
        return
    if not rows:
        typer.echo(f"no sessions in {store} (--store or MOBILITY_STORE names another)", err=True)
    for row in rows:
        typer.echo(f"{row['session_id']}  {row['state']:<10}  {row['title']}")


def _title(session: Session) -> str:
    """Title of a session, also where the record of its participant is damaged."""
    from mobility.documents.fill import title
    from mobility.errors import MobilityError

    try:
        return session.title
    except MobilityError as error:
        _say(f"warning: {error}")
        return title(session.record, None)


@sessions_app.command("show")
def sessions_show(
    session_id: IdArgument = None,
    *,
    demo: DemoOption = False,
    store: StoreOption = DEFAULT_STORE,
    reports: ReportsOption = DEFAULT_REPORTS,
    as_json: JsonOption = False,
) -> None:
    """Print the session document (always JSON)."""
    _print_json(_session(store, reports, session_id, demo=demo).details())


@sessions_app.command("export")
def sessions_export(
    session_id: IdArgument = None,
    *,
    demo: DemoOption = False,
    store: StoreOption = DEFAULT_STORE,
    reports: ReportsOption = DEFAULT_REPORTS,
    as_json: JsonOption = False,
) -> None:
    """Print the export document: angles and keypoints (always JSON)."""
    _print_json(_session(store, reports, session_id, demo=demo).export())


@app.command("export-lab")
def export_lab(
    session_id: IdArgument = None,
    *,
    out: Annotated[Path, typer.Option("--out", parser=_path, metavar="PATH", help="The file.")],
    file_format: Annotated[
        Literal["trc", "c3d", "mot", "csv"] | None,
        typer.Option("--format", help="Format; default: the ending of the file."),
    ] = None,
    positions: Annotated[
        bool, typer.Option("--positions", help="Positions instead of angles, in CSV.")
    ] = False,
    landmarks: Annotated[
        bool, typer.Option("--landmarks", help="Landmarks as detected, not the fitted body.")
    ] = False,
    demo: DemoOption = False,
    store: StoreOption = DEFAULT_STORE,
    reports: ReportsOption = DEFAULT_REPORTS,
) -> None:
    """Write positions (TRC, C3D) or angles (MOT, CSV) as OpenSim, Pose2Sim and labs read them."""
    from mobility.errors import BadInputError
    from mobility.options import likely
    from mobility.validation.export import FORMATS

    kind = file_format or out.suffix.lower().removeprefix(".")
    if kind not in FORMATS:
        raise BadInputError(
            f"{out}: no format '{kind}'{likely(kind, FORMATS)}; give --format {'|'.join(FORMATS)}"
        )
    if positions and kind == "mot":
        raise BadInputError("--positions does not go with mot, which holds angles")
    if landmarks and not (positions or kind in ("trc", "c3d")):
        raise BadInputError("--landmarks goes with positions only: trc, c3d, or csv --positions")
    session = _session(store, reports, session_id, demo=demo)
    if positions or kind in ("trc", "c3d"):
        dataset = session.pose() if landmarks else session.fitted()
    else:
        dataset = session.angles()
    FORMATS[kind](dataset, out)
    typer.echo(str(out))


@sessions_app.command("delete")
def sessions_delete(
    session_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the session.")],
    *,
    store: StoreOption = DEFAULT_STORE,
    reports: ReportsOption = DEFAULT_REPORTS,
) -> None:
    """Delete a session: video, data, edits and reports."""
    with _told_if_interrupted():
        _store(store, reports).delete(session_id)
    _say(f"deleted {session_id}")


@app.command()
def report(
    session_id: IdArgument = None,
    *,
    demo: DemoOption = False,
    client: ClientOption = False,
    pdf: PdfOption = False,
    faces: FacesOption = False,
    store: StoreOption = DEFAULT_STORE,
    reports: ReportsOption = DEFAULT_REPORTS,
    as_json: JsonOption = False,
) -> None:
    """Name the HTML page of the report, which is rendered where it is absent or old.

    With --json, or where the output is no terminal, the report document is printed.
    """
    session = _session(store, reports, session_id, demo=demo)
    session.require_exercise("Overhead Squat", "report")
    session.render_report(faces=faces)
    _say_report(session, session.report(), as_json=as_json, client=client, pdf=pdf)


@app.command()
def summary(
    session_id: IdArgument = None,
    *,
    demo: DemoOption = False,
    store: StoreOption = DEFAULT_STORE,
    reports: ReportsOption = DEFAULT_REPORTS,
    as_json: JsonOption = False,
) -> None:
    """Print the summary document."""
    _print_json(_session(store, reports, session_id, demo=demo).summary())


@app.command("joint-mobility")
def joint_mobility(
    session_id: IdArgument = None,
    *,
    demo: DemoOption = False,
    client: ClientOption = False,
    pdf: PdfOption = False,
    faces: FacesOption = False,
    store: StoreOption = DEFAULT_STORE,
    reports: ReportsOption = DEFAULT_REPORTS,
    as_json: JsonOption = False,
) -> None:
    """Name the HTML page of Joint Angle Mobility, which is rendered where it is absent or old.

    With --json, or where the output is no terminal, the document is printed.
    """
    exercise = "Joint Angle Mobility"
    session = _session(store, reports, session_id, demo=demo, exercise=exercise)
    if session.record.exercise == exercise:  # else the document itself says what it is of
        session.render_report(faces=faces)
    document = session.joint_mobility()
    _say_report(session, document, as_json=as_json, client=client, pdf=pdf)


@app.command()
def threads(
    session_id: IdArgument = None,
    *,
    kind: Annotated[
        str, typer.Option("--kind", help="'summary' (what was found) or 'recommendation'.")
    ],
    system: Annotated[
        str, typer.Option("--system", help="'metric' (cm, kg) or 'imperial' (in, lb).")
    ] = "metric",
    demo: DemoOption = False,
    store: StoreOption = DEFAULT_STORE,
    reports: ReportsOption = DEFAULT_REPORTS,
    as_json: JsonOption = False,
) -> None:
    """Print the ids of the threads on each metric, making them where the data are new."""
    session = _session(store, reports, session_id, demo=demo)
    ids = session.create_threads(kind, system=system)
    if as_json:
        _print_json(ids)
        return
    for metric, thread_id in ids.items():
        typer.echo(f"{metric:<18}  {thread_id}")


@app.command()
def repetitions(
    session_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the session.")],
    *,
    set_file: Annotated[
        Path | None,
        typer.Option(
            "--set",
            help='JSON list of {"start", "bottom", "end"} in seconds (bottom: the turn of a '
            'movement, which may also have "joints": "left elbow"); null removes the edit.',
        ),
    ] = None,
    store: StoreOption = DEFAULT_STORE,
    reports: ReportsOption = DEFAULT_REPORTS,
    as_json: JsonOption = False,
) -> None:
    """Print the repetitions or movements, or correct them by hand (kept as an edit)."""
    session = _session(store, reports, session_id, demo=False)
    if set_file is not None:
        from mobility.sessions.files import read_json

        with session.unless_refused():
            session.set_repetitions(read_json(set_file))
            session.analyze()
        _say_analysed(session)
    table = session.repetitions_table()
    if as_json:
        _print_json(table)
        return
    for row in table:
        depth = "  –" if row["depth"] is None else f"{row['depth']:5.1f} %"
        what = f"of {row['joints'] or 'no joint'}" if "joints" in row else f"depth {depth}"
        turn = "turn" if "joints" in row else "bottom"
        whole = "accepted" if row["complete"] else "accepted, cut off by the recording"
        state = whole if row["accepted"] else f"rejected: {row['reason']}"
        typer.echo(
            f"{row['rep']:>3}  start {row['start']:8.3f} s  {turn} {row['bottom']:8.3f} s  "
            f"end {row['end']:8.3f} s  {what}  {state}"
        )


@app.command()
def edit(
    session_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the session.")],
    *,
    subject: Annotated[
        str | None,
        typer.Option(
            "--subject", help="x,y of a point on the right person; 'largest' removes the edit."
        ),
    ] = None,
    second_subject: Annotated[
        str | None, typer.Option("--second-subject", help="The same in the second video.")
    ] = None,
    camera_side: Annotated[
        Literal["left", "right", "auto"] | None,
        typer.Option("--camera-side", help="The side to report; 'auto' removes the edit."),
    ] = None,
    store: StoreOption = DEFAULT_STORE,
    reports: ReportsOption = DEFAULT_REPORTS,
    workers: WorkersOption = None,
) -> None:
    """Correct the subject or the camera side by hand, and analyse again what depends on it.

    Without an option, an analysis that was interrupted is finished. The camera side is the side
    that stands for a joint in the documents (`knee_angle`); no measurement depends on it.
    """
    session = _session(store, reports, session_id, demo=False)
    with session.unless_refused():
        if subject is not None:
            session.set_subject(_point(subject))
        if second_subject is not None:
            point = _point(second_subject, "--second-subject")
            session.set_subject(point, second_camera=True)
        if camera_side is not None:
            session.set_camera_side(None if camera_side == "auto" else camera_side)
        session.analyze(workers=workers)
    _warn(session)
    _say_analysed(session)


@participants_app.command("set")
def participants_set(
    user_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the participant.")],
    *,
    file: Annotated[
        Path, typer.Option("--file", help="JSON object with the participant's fields.")
    ],
    store: StoreOption = DEFAULT_STORE,
    reports: ReportsOption = DEFAULT_REPORTS,
) -> None:
    """Set display_name, sex, birth_year or age, height_m, weight_kg, email."""
    from mobility.errors import BadInputError
    from mobility.sessions.files import read_json

    fields = read_json(file)
    if not isinstance(fields, dict):
        raise BadInputError(f"{file}: not a JSON object")
    opened = _store(store, reports)
    opened.set_participant(user_id, **fields)
    _print_json(opened.participant(user_id))


@participants_app.command("show")
def participants_show(
    user_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the participant.")],
    *,
    store: StoreOption = DEFAULT_STORE,
    reports: ReportsOption = DEFAULT_REPORTS,
) -> None:
    """Print a participant."""
    _print_json(_store(store, reports).participant(user_id))


@participants_app.command("list")
def participants_list(
    *,
    store: StoreOption = DEFAULT_STORE,
    reports: ReportsOption = DEFAULT_REPORTS,
    as_json: JsonOption = False,
) -> None:
    """List the participants."""
    found = _store(store, reports).participants()
    if as_json:
        _print_json(found)
        return
    for user_id in found:
        typer.echo(user_id)


@participants_app.command("export")
def participants_export(
    user_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the participant.")],
    *,
    out: Annotated[Path, typer.Option("--out", parser=_path, metavar="PATH", help="A ZIP file.")],
    store: StoreOption = DEFAULT_STORE,
    reports: ReportsOption = DEFAULT_REPORTS,
) -> None:
    """Write everything of a participant to a ZIP file: record, sessions, reports."""
    from mobility.privacy.takeout import write_takeout

    typer.echo(str(write_takeout(_store(store, reports), user_id, out)))


@participants_app.command("delete")
def participants_delete(
    user_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the participant.")],
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Delete what is listed.")] = False,
    store: StoreOption = DEFAULT_STORE,
    reports: ReportsOption = DEFAULT_REPORTS,
) -> None:
    """List everything of a participant, and delete it with --yes: sessions, reports, keys."""
    from mobility.errors import StorageError
    from mobility.privacy.retention import erase, named_in, nothing_of, unassigned, what_is_of
    from mobility.server.jobs import forget_left
    from mobility.server.keys import Keys, private_folder

    opened = _store(store, reports)
    found = what_is_of(opened, user_id) + [trace.path for trace in named_in(opened, user_id)]
    keys = Keys(opened)
    of_them = [key.id for key in keys.all() if key.user_id == user_id]
    for place in found:
        inside = place.is_relative_to(opened.path)
        typer.echo(opened.whereabouts(str(place.relative_to(opened.path))) if inside else place)
    for key in of_them:
        typer.echo(f"key {key}")
    if yes:
        fault: StorageError | None = None
        with _told_if_interrupted():
            # What cannot be done, on a full disk say, must not keep the rest from going.
            for act in (
                partial(keys.revoke_of, user_id),
                partial(forget_left, private_folder(opened), user_id),
                partial(erase, opened, user_id),
            ):
                try:
                    act()
                except StorageError as error:
                    fault = fault or error
        if fault is not None:
            raise fault
    else:
        _say_unfinished(opened)
    unknown = unassigned(opened)
    if not (found or of_them or unknown):
        raise nothing_of(opened, user_id)
    for session_id in unknown:
        _say(
            f"session {session_id}: its record is damaged, so that nobody can tell whose it is; "
            f"look at it, and delete it with: mobility sessions delete {session_id}"
        )
    if not yes:
        _say("nothing was deleted: --yes deletes it")
    elif unknown:
        _say(f"deleted what is known to be of {user_id}")
    else:
        _say(f"deleted everything of {user_id}")
    if unknown:
        raise typer.Exit(1)


@config_app.command("get")
def config_get(
    session_id: IdArgument = None,
    *,
    demo: DemoOption = False,
    store: StoreOption = DEFAULT_STORE,
    reports: ReportsOption = DEFAULT_REPORTS,
    as_json: JsonOption = False,
) -> None:
    """Print which angles are shown, and the comments on them."""
    session = _session(store, reports, session_id, demo=demo, exercise="Joint Angle Mobility")
    config = session.config()
    if as_json:
        _print_json(config)
        return
    typer.echo(f"shown    {', '.join(config['shown_angles']) or 'no choice: all'}")
    for key, comment in config["comments"].items():
        typer.echo(f"{key}: {' '.join(comment.split())}")


@config_app.command("set")
def config_set(
    session_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the session.")],
    *,
    file: Annotated[
        Path,
        typer.Option("--file", help='JSON object: "shown_angles", a list, and "comments", texts.'),
    ],
    store: StoreOption = DEFAULT_STORE,
    reports: ReportsOption = DEFAULT_REPORTS,
    as_json: JsonOption = False,
) -> None:
    """Save which angles are shown, and comments on them; a field left out stays as it is."""
    from mobility.errors import BadInputError, FieldError
    from mobility.sessions.files import read_json

    session = _session(store, reports, session_id, demo=False)
    fields = read_json(file)
    if not isinstance(fields, dict):
        raise BadInputError(f"{file}: not a JSON object")
    absent = {name: ["is null; leave it out"] for name, value in fields.items() if value is None}
    if absent:
        raise FieldError(f"{file}", absent)
    config = session.save_config(**fields)
    if as_json:
        _print_json(config)
        return
    _say(f"saved the display settings of session {session.id}")


@lab_app.command("render")
def lab_render(
    case: Annotated[Path, typer.Argument(parser=_path, metavar="CASE.yaml", help="The case.")],
    out: Annotated[
        Path, typer.Argument(parser=_path, metavar="OUT", help="A folder, or an .mp4 file.")
    ],
    *,
    as_json: JsonOption = False,
) -> None:
    """Render a case to a video, with its truth beside it."""
    from mobility.virtual_lab.case import render_case

    video, truth = render_case(case, out)
    if as_json:
        _print_json({"video": str(video), "truth": str(truth)})
        return
    typer.echo(f"video  {video}\ntruth  {truth}")


@lab_app.command("sweep")
def lab_sweep(
    grids: Annotated[
        list[Path],
        typer.Argument(
            parser=_path,
            metavar="GRID.yaml...",
            help="The cases; those of several grids are measured together.",
        ),
    ],
    *,
    out: Annotated[
        Path, typer.Option("--out", parser=_path, metavar="PATH", help="Folder of the report.")
    ] = Path("reports/virtual-lab"),
    cache: Annotated[
        Path,
        typer.Option(
            "--cache",
            parser=_path,
            metavar="PATH",
            help="Folder of poses and truths; what is there is not rendered again.",
        ),
    ] = Path("build/virtual-lab"),
    workers: Annotated[
        int, typer.Option("--workers", callback=_workers, help="Processes that share the cases.")
    ] = 1,
    resume: Annotated[
        bool, typer.Option("--resume", help="Do not fit cases again that were fitted before.")
    ] = False,
    keep_video: Annotated[bool, typer.Option("--keep-video", help="Keep the videos.")] = False,
    as_json: JsonOption = False,
    log_file: LogOption = None,
) -> None:
    """Measure the errors of the angles on rendered cases, and report them.

    Status 1 if a case failed.
    """
    _log_to(log_file)
    from mobility.virtual_lab.agreement import agreement
    from mobility.virtual_lab.grid import cases_together, read_grid
    from mobility.virtual_lab.lab_report import write_report
    from mobility.virtual_lab.sweep import measured_cases, sweep

    known = [read_grid(grid) for grid in grids]
    name = " + ".join(grid.name for grid in known)
    done = sweep(
        cases_together(known), cache, workers=workers, resume=resume, keep_video=keep_video
    )
    for case in done:
        if case.error is not None:
            _say(f"warning: case {case.case.name}: {case.error}")
    measured = measured_cases(done)
    result = agreement(measured)
    page = write_report(result, done, out, grid=name)
    if as_json:
        _print_json(
            {
                "cases": len(done),
                "failed": {d.case.name: d.error for d in done if d.error is not None},
                "report": page.resolve().as_uri(),
                "data": str(page.with_suffix(".nc")),
            }
        )
    else:
        typer.echo(f"cases   {len(measured)} of {len(done)}")
        typer.echo(f"report  {page}")
        typer.echo(f"data    {page.with_suffix('.nc')}")
    if len(measured) < len(done):
        raise typer.Exit(1)


@app.command()
def cohort(
    *,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            parser=_path,
            metavar="PATH",
            help="Folder of the report and the table; default: cohort in that of the reports.",
        ),
    ] = None,
    exercise: Annotated[
        str, typer.Option("--exercise", help="Name of the exercise; '' for all.")
    ] = "Overhead Squat",
    metrics: Annotated[
        str | None, typer.Option("--metrics", help="Comma-separated metrics to show.")
    ] = None,
    group_by: Annotated[
        str, typer.Option("--group-by", help="sex, age_band, height_m, view, ...")
    ] = "sex",
    participants: Annotated[
        str, typer.Option("--participants", help="Comma-separated ids; default: all.")
    ] = "",
    store: StoreOption = DEFAULT_STORE,
    reports: ReportsOption = DEFAULT_REPORTS,
    as_json: JsonOption = False,
) -> None:
    """Put all sessions into one table (CSV, Parquet), and report on people and groups."""
    from mobility.pipeline.cohort import (
        check_exercise,
        check_group,
        check_metrics,
        choose_sessions,
    )
    from mobility.reports.cohort_sections import names
    from mobility.reports.render import render_cohort

    check_exercise(exercise)
    check_group(group_by)
    opened = _store(store, reports)
    chosen = choose_sessions(opened, exercise=exercise, participants=names(participants))
    parameters = {"exercise": exercise, "group_by": group_by, "participants": participants}
    if metrics is not None:
        check_metrics(chosen, names(metrics))
        parameters["metrics"] = metrics
    made = render_cohort(opened, out or reports / "cohort", parameters=parameters)
    if as_json:
        _print_json({name: path.resolve().as_uri() for name, path in made.items()})
        return
    typer.echo(f"report  {made['html']}\ntable   {made['csv']}\n        {made['parquet']}")


@app.command()
def validate(
    session_id: IdArgument = None,
    lab_file: Annotated[
        str | None,
        typer.Argument(
            metavar="LAB_FILE",
            help="Markers or angles of the same trial: C3D, TRC, MOT, STO, CSV. With --demo, the "
            "only argument. Without it, the comparisons that are stored are listed.",
        ),
    ] = None,
    *,
    demo: DemoOption = False,
    lab_angles: Annotated[
        Path | None,
        typer.Option(
            "--lab-angles", parser=_path, metavar="FILE", help="Angles of the lab's own model."
        ),
    ] = None,
    static: Annotated[
        Path | None,
        typer.Option("--static", parser=_path, metavar="FILE", help="A static trial."),
    ] = None,
    mapping: Annotated[
        str | None,
        typer.Option(
            "--mapping", metavar="FILE", help="Names of the lab (YAML, or a built-in mapping)."
        ),
    ] = None,
    units: Annotated[
        str | None,
        typer.Option("--units", help="m, cm, mm, degree or radian, where the file does not say."),
    ] = None,
    vertical_axis: Annotated[
        str | None, typer.Option("--vertical-axis", help="Axis that points up: y, z, -x, ...")
    ] = None,
    lag_s: Annotated[
        float | None,
        typer.Option("--lag-s", metavar="S", help="To be added to video time to get lab time."),
    ] = None,
    max_lag_s: Annotated[
        float | None, typer.Option("--max-lag-s", metavar="S", help="Largest lag that is possible.")
    ] = None,
    drift: Annotated[
        bool, typer.Option("--drift", help="The clocks may run at different speeds.")
    ] = False,
    margin_deg: Annotated[
        float | None,
        typer.Option(
            "--margin-deg",
            metavar="DEG",
            help="Largest mean difference that does not matter, chosen before the data were seen; "
            "without it equivalence is not tested.",
        ),
    ] = None,
    study: Annotated[
        Path | None,
        typer.Option(
            "--study",
            parser=_path,
            metavar="CSV",
            help="Many trials: columns session, lab_file, and any of participant, condition, "
            "static, mapping, lab_angles.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", parser=_path, metavar="PATH", help="Folder of the report of a study."
        ),
    ] = None,
    sample_size: Annotated[
        float | None,
        typer.Option(
            "--sample-size",
            metavar="SD",
            help="Only say how well limits of agreement would be known, by number of "
            "participants, with this standard deviation of a difference.",
        ),
    ] = None,
    report: Annotated[bool, typer.Option("--report/--no-report", help="Render the report.")] = True,
    as_json: JsonOption = False,
    store: StoreOption = DEFAULT_STORE,
    reports: ReportsOption = DEFAULT_REPORTS,
    log_file: LogOption = None,
) -> None:
    """Compare the angles of a session with lab data of the same trial, and report the agreement."""
    _log_to(log_file)
    if sample_size is not None:
        if any(given is not None for given in (session_id, lab_file, study)) or demo:
            raise typer.BadParameter("--sample-size goes by itself")
        _say_sample_size(sample_size, as_json=as_json)
        return
    settings: dict[str, Any] = {"max_lag_s": max_lag_s, "margin_deg": margin_deg, "drift": drift}
    of_one: dict[str, Any] = {
        **{"lab_angles": lab_angles, "static": static, "mapping": mapping},
        **{"units": units, "vertical_axis": vertical_axis, "lag_s": lag_s},
    }
    if study is not None:
        if session_id is not None or demo or any(v is not None for v in of_one.values()):
            raise typer.BadParameter(
                "--study names sessions and lab files itself; leave out ID, LAB_FILE and the "
                "options of one trial"
            )
        folder = out or reports / f"study-{study.stem}"
        _validate_study(
            _store(store, reports), study, folder, settings, report=report, as_json=as_json
        )
        return
    if out is not None:
        raise typer.BadParameter("--out goes with --study")
    if demo and session_id is not None and lab_file is None:
        session_id, lab_file = None, session_id
    session = _session(store, reports, session_id, demo=demo)
    if lab_file is None:
        if demo:
            raise typer.BadParameter("give the lab file")
        _list_validations(session, as_json=as_json)
        return
    from mobility.pipeline.lab_comparison import validate as compare
    from mobility.reports.render import render_validation
    from mobility.sessions.store import VALIDATION_ENDING

    kept = reports / f"{session.id}{VALIDATION_ENDING}-data" if demo else None
    made = compare(session, _path(lab_file), **of_one, **settings, folder=kept)
    for warning in made.document["warnings"]:
        _say(f"warning: {warning['message']}")
    page = render_validation(session, made, reports) if report else None
    if as_json:
        uris = {name: path.resolve().as_uri() for name, path in page.items()} if page else None
        _print_json({**made.document, "report": uris})
        return
    _say_agreement(made.document)
    remote = session.store.is_remote and not demo
    inside = made.folder.relative_to(session.folder).as_posix() if remote else ""
    typer.echo(f"data    {f'{session.place}/{inside}' if remote else made.folder}")
    if page:
        typer.echo(f"report  {page['html']}")


def _validate_study(
    opened: Store, study: Path, folder: Path, settings: Any, *, report: bool, as_json: bool
) -> None:
    """Compare all trials of a study; status 1 where some failed."""
    from mobility.pipeline.lab_comparison import run_study
    from mobility.reports.render import check_study_folder, render_study

    check_study_folder(folder)
    result = run_study(opened, study, **settings)
    failed = result.document["failed"]
    for one in failed:
        _say(f"trial {one['row']}, session {one['session']}: {one['error']}")
    page = render_study(result, folder) if report and result.agreement is not None else None
    if as_json:
        uris = {name: path.resolve().as_uri() for name, path in page.items()} if page else None
        _print_json({**result.document, "report": uris})
    else:
        typer.echo(f"trials  {len(result.document['trials'])} compared, {len(failed)} failed")
        if result.agreement is not None:
            _say_agreement(result.document)
        if page:
            typer.echo(f"report  {page['html']}")
    if failed:
        raise typer.Exit(1)


def _say_agreement(document: dict[str, Any]) -> None:
    """Print the lag, and the errors of each angle."""
    if "lag_s" in document:
        sd = document["lag_sd_s"]
        told = "given" if sd is None else f"± {1.96 * sd:.3f} s"
        typer.echo(f"lag     {document['lag_s']:+.3f} s ({told}); lab time = video time + lag")
    typer.echo("angle, side: root mean square error, bias (degrees)")
    for angle, sides in document["angles"].items():
        for side, found in sides.items():
            if found["rmse"] is not None:
                typer.echo(f"{angle} {side}: {found['rmse']:.1f}, {found['bias']:+.1f}")


def _list_validations(session: Session, *, as_json: bool) -> None:
    from mobility.pipeline.lab_comparison import is_stale

    rows = [
        {
            "validation": one.name,
            "made": one.document["made"],
            "lag_s": one.document["lag_s"],
            "stale": is_stale(session, one),
        }
        for one in session.validations()
    ]
    if as_json:
        _print_json(rows)
        return
    if not rows:
        typer.echo(f"session {session.id} was not compared with lab data yet", err=True)
    for row in rows:
        old = "  old: the session or the code changed since" if row["stale"] else ""
        typer.echo(f"{row['validation']}  {row['made']}  lag {row['lag_s']:+.3f} s{old}")


def _say_sample_size(sd: float, *, as_json: bool) -> None:
    from mobility.validation.limits import limits_interval_width

    sizes = (5, 10, 15, 20, 30, 40, 50, 75, 100, 200)
    rows = [
        {"participants": n, "limit_half_interval": round(limits_interval_width(n, sd=sd) / 2, 3)}
        for n in sizes
    ]
    if as_json:
        _print_json({"sd": sd, "sizes": rows})
        return
    typer.echo("participants: half of the 95 % interval of a limit of agreement, one pair each")
    for row in rows:
        typer.echo(f"{row['participants']:>4}: ± {row['limit_half_interval']:.1f}")


@app.command()
def models(*, model: ModelOption = None, as_json: JsonOption = False) -> None:
    """Say where the pose model is, and its SHA-256; fetch it where it is absent (heavy: by npm)."""
    from mobility.capture.models import pose_models
    from mobility.provenance import sha256

    found = [
        {"path": str(path), "sha256": sha256(path)}
        for path in pose_models(model, fetch=True).values()
    ]
    if as_json:
        _print_json(found[0] if len(found) == 1 else found)
        return
    for each in found:
        typer.echo(f"{each['path']}\nsha256 {each['sha256']}")


_CALLED = {
    "exercise_name": "exercise",
    "session_name": "name",
    "body_joint_angles": "joints",
    "every_s": "every",
    "settle_s": "settle",
    "sd": "sample_size",
}
"""What is called otherwise on the command line than in Python."""


def _as_typed(text: str) -> str:
    """Call options in a message as on the command line, and leave out names of functions."""
    given = {word.partition("=")[0] for word in sys.argv[1:]}
    command: Any = typer.main.get_command(app)
    for word in sys.argv[1:]:
        command = getattr(command, "commands", {}).get(word, command)
    known = {each.name: each for each in command.params}

    def called(found: re.Match[str]) -> str:
        each = known.get(_CALLED.get(found[0], found[0]))
        if each is None or ("_" not in found[0] and given.isdisjoint(each.opts)):
            return found[0]
        if each.param_type_name == "argument":
            return found[0] if found.start() else str(each.metavar)
        return str(each.opts[0])

    head, _, rest = text.partition(": ")
    if head.startswith("options of ") or ("_" in head and _is_ours(head)):
        text = rest
    # At its head any name of an option; within it one that is no word.
    names = r"(?:^|(?<=; ))\w+(?=:| \S+:| ')|(?<![\w/.'-])[a-z]+(?:_[a-z]+)+(?![\w/.'-])"
    return re.sub(names, called, text)


def _is_ours(name: str) -> bool:
    """Whether a function of this package is called so."""
    ours = [module for key, module in sys.modules.items() if key.startswith("mobility.")]
    return any(callable(getattr(module, name, None)) for module in ours)


def _of_usage(error: Any) -> str:
    """Message of a usage error; a file whose name looks like an option is a likely cause."""
    option: str = getattr(error, "option_name", "")
    for word in sys.argv[1:]:
        if (
            option
            and word.startswith(option)
            and (os.path.lexists(word) or (word[1] != "-" and len(word) > 2))
        ):
            return f"{word}: begins with '-', like an option; for a file write ./{word}"
    return " ".join(error.format_message().split())


def _show_progress() -> None:
    """Let the log of what takes long be seen where there are no bars."""
    shown = logging.StreamHandler()
    shown.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    progress = logging.getLogger("mobility.progress")
    progress.setLevel(logging.INFO)
    progress.handlers = [shown]


def _fail(text: str, status: int = 2) -> NoReturn:
    _say(f"mobility: {text}")
    sys.exit(status)


def main() -> None:
    """Run the command line: errors are one line on standard error, status 2."""
    from mobility.errors import MobilityError

    # Ended from outside is as ended at the keyboard; what is ignored (nohup) stays ignored.
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)
    _show_progress()
    try:
        # Not app(): that prints usage errors itself, in several lines.
        command = typer.main.get_command(app)
        with command.make_context("mobility", sys.argv[1:]) as context:
            command.invoke(context)
    except typer.Exit as asked:
        sys.exit(asked.exit_code)
    except _USAGE_ERROR as error:
        if error.ctx is not None and error.message == error.ctx.get_help():
            typer.echo(error.message, err=True)
            sys.exit(error.exit_code)
        _fail(_of_usage(error))
    except MobilityError as error:
        _fail(_as_typed(str(error)))
    except (KeyboardInterrupt, typer.Abort) as error:
        _fail(str(error) or "interrupted", 130)
    except OSError as error:
        # What could not be written must not be tried again when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            sys.exit(0)
        _fail(f"{error.filename or 'output'}: {error.strerror or error}")
    except UnicodeError as error:
        _fail(f"a path is not decodable text ({error}); rename it in UTF-8")
