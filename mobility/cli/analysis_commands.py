"""Commands that analyse a video, or show or correct a session; see :mod:`mobility.cli.main`."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from mobility import tables
from mobility.catalogue import registry
from mobility.cli.parameters import (
    DEFAULT_REPORTS,
    DEFAULT_STORE,
    ClientOption,
    FacesOption,
    JsonOption,
    LogOption,
    PdfOption,
    RenderOption,
    ReportsOption,
    StoreOption,
    WorkersOption,
    flag,
    log_to,
    open_session,
    open_session_or_demo,
    open_store,
    option,
    path_argument,
    path_option,
    print_json,
    say,
    takes,
    takes_options,
    uris,
    warn,
)
from mobility.errors import BadInputError, MobilityError
from mobility.sessions.record import ANONYMOUS

if TYPE_CHECKING:
    from mobility import Session


def _warn(session: Session) -> None:
    from mobility.assessment.verdict import warning_lines

    for line in warning_lines(session.record.warnings):
        warn(line)


def _run(
    session: Session,
    films: Sequence[Path] = (),
    keypoints: Sequence[Path] = (),
    *,
    report: bool,
    as_json: bool,
    workers: int | None,
) -> None:
    """Analyse a new session; print its warnings, findings, verdict and place.

    A session that cannot be analysed is deleted. After an interruption, or if the report fails, it
    is kept.
    """
    try:
        session.analyze(workers=workers)
    except Exception:
        with suppress(MobilityError):
            session.delete()
        raise
    except KeyboardInterrupt:
        interrupted = tables.sentence("command_line.analysis.interrupted", session=session.id)
        raise KeyboardInterrupt(interrupted) from None
    if as_json or session.record.verdict != "unusable":  # then the headline says why
        _warn(session)
    files = session.render_report() if report else None
    if as_json:
        print_json({"session_id": session.id, "title": session.title, "report": uris(files)})
        return
    _say_in_short(session, films, keypoints)
    typer.echo(f"report  {files['html']}" if files else f"data    {session.place}")


def _say_in_short(
    session: Session, films: Sequence[Path] = (), keypoints: Sequence[Path] = ()
) -> None:
    """Print the findings, the steps that the person took, and the verdict."""
    from mobility.reports.first_page import in_short
    from mobility.reports.recording import steps_in_a_line

    findings, trust = in_short(session)
    typer.echo(f"session {session.id}: {findings}")
    if steps := steps_in_a_line(session.repetitions()):
        typer.echo(steps)
    typer.echo(trust)
    if instead := session.verdict().instead:
        film_names = [str(film) for film in films]
        names = film_names or [video.original_name for video in session.record.videos]
        points = keypoints or session.record.given_keypoints
        flags = [part for name in points for part in ("--keypoints", str(name))]
        if (user_id := session.record.user_id) != ANONYMOUS:
            flags += ["--user-id", user_id]
        analyze = shlex.join(["mobility", "analyze", *names, *flags, "--exercise", instead])
        delete = f"mobility sessions delete {session.id}"
        typer.echo(tables.sentence("command_line.analysis.instead", analyze=analyze, delete=delete))


def demo(
    *,
    store: StoreOption = DEFAULT_STORE,
    reports: ReportsOption = DEFAULT_REPORTS,
    workers: WorkersOption = None,
    as_json: JsonOption = False,
    log_file: LogOption = None,
) -> None:
    """Analyse the demo video and make its report."""
    log_to(log_file, store=store)
    from mobility.capture.pose_process import started_ahead

    with started_ahead(workers):
        from mobility.sessions.record import DEMO
        from mobility.sessions.reports import demo_video

        usual, opened = registry.usual(), open_store(store, reports)
        session = opened.create(
            demo_video(usual.name),
            user_id=DEMO,
            exercise_name=usual.name,
            session_name=f"Demo: {usual.name}",
        )
        _run(session, report=True, as_json=as_json, workers=workers)


def _check(video: Path, *, as_json: bool, workers: int | None, **asked: Any) -> None:
    """Print whether a video is good, can be used with limits, or has to be filmed again."""
    from mobility.capture.pose_process import started_ahead

    with started_ahead(workers):
        from mobility.pipeline.recording_check import check_recording

        document = check_recording(video, workers=workers, **asked)
    if as_json:
        print_json(document)
        return
    typer.echo(document["headline"])
    for what in (*(reason["what_to_do"] for reason in document["reasons"]), document["view_hides"]):
        if what:
            typer.echo(what)
    say(document["first_look"])


@takes_options
def analyze(
    video: Annotated[Path, path_argument("VIDEO", help="The video file.")],
    second_video: Annotated[
        Path | None,
        path_argument(
            "VIDEO2",
            help=(
                "The same movement from a second camera. The cameras may be uncalibrated and "
                "start at different times."
            ),
        ),
    ] = None,
    *,
    exercise_name: Annotated[
        str | None,
        option(
            "--exercise",
            "NAME",
            help=f"One of {', '.join(e.slug for e in registry.exercises())}; default: the first.",
        ),
    ] = None,
    user_id: Annotated[str, option("--user-id", "ID", help="ID of the participant.")] = "anonymous",
    session_name: Annotated[
        str | None, option("--name", "TEXT", help="Title of the session.")
    ] = None,
    body_joint_angles: Annotated[
        str,
        option(
            "--joints",
            "NAMES",
            help=(
                "Comma-separated joints, for example trunk,neck; 'all' means the five joints of "
                "the limbs."
            ),
        ),
    ] = "all",
    date: Annotated[
        str | None,
        option(
            "--date",
            "DATE",
            help="When the video was recorded, for example 2026-11-30 or 2026-11-30T10:15; "
            "default: now.",
        ),
    ] = None,
    workers: WorkersOption = None,
    calibration: Annotated[
        Path | None,
        path_option(
            "--calibration",
            "FILE",
            help=(
                "Camera calibration from OpenCV (YAML), Pose2Sim or Caliscope (TOML), or "
                "Qualisys (.qca.txt)."
            ),
        ),
    ] = None,
    keypoints: Annotated[
        list[Path] | None,
        path_option(
            "--keypoints",
            "PATH",
            help=(
                "Keypoints from another pose model: a folder of OpenPose JSON files, or a file "
                "from AlphaPose (JSON) or movement (NetCDF), or a CSV file. Repeat the option for "
                "a second video."
            ),
        ),
    ] = None,
    keypoints_model: Annotated[
        str | None,
        option(
            "--keypoints-model",
            "NAME",
            help="Pose model that made the keypoints, for example RTMPose or HRNet.",
        ),
    ] = None,
    report: RenderOption = True,
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Check within seconds whether the video is good, can be used with limits, or "
            "has to be filmed again. Only the options for exercise, joints, movement, view and "
            "subject have an effect. Nothing is stored.",
        ),
    ] = False,
    repetitions: Annotated[
        int | None,
        option(
            "--repetitions",
            "N",
            help="With --check: how many repetitions the person was asked to do.",
            min=1,
        ),
    ] = None,
    as_json: JsonOption = False,
    store: StoreOption = DEFAULT_STORE,
    reports: ReportsOption = DEFAULT_REPORTS,
    log_file: LogOption = None,
    options: dict[str, Any],
) -> None:
    """Analyse one video, or two of the same movement.

    The command stores the pose, angles, repetitions and metrics, and makes a report.
    """
    if check:
        if second_video is not None:
            raise BadInputError("--check works on one video at a time. Check each video separately")
        if keypoints:
            raise BadInputError("--check finds the person itself. Leave out --keypoints")
        _check(
            video,
            exercise=exercise_name,
            repetitions=repetitions,
            body_joint_angles=body_joint_angles,
            workers=workers,
            as_json=as_json,
            **{name: options[name] for name in ("movement", "subject", "view") if name in options},
        )
        return
    if repetitions is not None:
        raise BadInputError(
            "--repetitions works only with --check. Add --check, or leave --repetitions out"
        )
    log_to(log_file, store=store)
    if exercise_name is None and "movement" not in options:
        exercise_name = registry.USUAL
    from mobility.capture.pose_process import started_ahead

    # These processes run MediaPipe, which is not needed for keypoints from elsewhere.
    is_detecting = keypoints is None and options.get("detector") is None
    with started_ahead(workers) if is_detecting else nullcontext():
        session = open_store(store, reports).create(
            video,
            second_video,
            user_id=user_id,
            exercise_name=exercise_name,
            session_name=session_name,
            body_joint_angles=body_joint_angles,
            calibration=calibration,
            keypoints=keypoints or None,
            keypoints_model=keypoints_model,
            options=options,
            date=date,
        )
        films = [video] if second_video is None else [video, second_video]
        _run(session, films, keypoints or (), report=report, as_json=as_json, workers=workers)


@wraps(open_session_or_demo)
def _open_to_report(**named: Any) -> Session:
    from mobility.reports.warm_kernels import start_early

    start_early()
    return open_session_or_demo(**named)


@takes(_open_to_report)
def report(
    session: Session,
    *,
    client: ClientOption = False,
    pdf: PdfOption = False,
    faces: FacesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make the report of a session, and print its path.

    A new report is made only if the report is missing or out of date. The command also prints a
    summary of the findings; with --json it prints the report as JSON instead.
    """
    page = session.render_report(faces=faces)["client" if client else "html"].resolve()
    if pdf:
        from mobility.reports.html import to_pdf

        page = to_pdf(page)
    if as_json:
        has_report = session.record.kind.has("report")
        print_json(session.report() if has_report else session.joint_mobility())
        say(f"report  {page}")
        return
    _say_in_short(session)
    typer.echo(f"report  {page}")


@takes(open_session_or_demo)
def summary(session: Session, *, as_json: JsonOption = False) -> None:
    """Print the summary of an exercise with repetitions (always JSON)."""
    print_json(session.summary())


@takes(open_session_or_demo, document="joint-mobility")
def joint_mobility(session: Session, *, as_json: JsonOption = False) -> None:
    """Print the single-joint range of motion of a session (always JSON).

    --demo uses the demo session with single-joint movements. To make the page of a session, use
    `report`.
    """
    print_json(session.joint_mobility())


@takes(open_session_or_demo)
def threads(
    session: Session,
    *,
    kind: Annotated[
        str,
        option("--kind", "NAME", help="'summary' (the results) or 'recommendation' (what to do)."),
    ],
    system: Annotated[
        str, option("--system", "NAME", help="'metric' (cm, kg) or 'imperial' (in, lb).")
    ] = "metric",
    as_json: JsonOption = False,
) -> None:
    """Write a comment on each metric, and print the IDs of the threads.

    Each comment starts a thread that people can reply to. A comment is written once, and again only
    if the results have changed.
    """
    ids = session.create_threads(kind, system=system)
    if as_json:
        print_json(ids)
        return
    for metric, thread_id in ids.items():
        typer.echo(f"{metric:<18}  {thread_id}")


@takes(open_session)
def repetitions(
    session: Session,
    *,
    set_file: Annotated[
        Path | None,
        path_option(
            "--set",
            "FILE",
            help=(
                'JSON list of {"start", "bottom", "end"} in seconds. For a joint movement, '
                '"bottom" is the end of range, and "joints" may name the joint: "left elbow". '
                "null undoes the correction."
            ),
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Print the repetitions or joint movements of a session, or correct them by hand.

    A correction is kept when the session is analysed again.
    """
    if set_file is not None:
        from mobility.sessions.files import read_json

        with session.rollback_if_refused():
            session.set_repetitions(read_json(set_file))
            session.analyze()
        say(tables.sentence("command_line.analysis.renewed", session=session.id))
    table = session.repetitions_table()
    if as_json:
        print_json(table)
        return
    for row in table:
        depth = "  –" if row["depth"] is None else f"{row['depth']:5.1f} %"
        what = f"of {row['joints'] or 'no joint'}" if "joints" in row else f"depth {depth}"
        turn = "turn" if "joints" in row else "bottom"
        state = "rejected" if not row["accepted"] else "accepted" if row["complete"] else "cut_off"
        state_in_words = tables.sentence(f"command_line.repetitions.{state}", reason=row["reason"])
        typer.echo(
            f"{row['rep']:>3}  start {row['start']:7.3f} s  {turn} {row['bottom']:7.3f} s  "
            f"end {row['end']:7.3f} s  {what}  {state_in_words}"
        )


@takes(open_session)
def edit(
    session: Session,
    *,
    subject: Annotated[
        Any,
        flag(
            "subject",
            help="A point on the person to measure; 'largest' chooses the largest person again.",
        ),
    ] = None,
    second_subject: Annotated[Any, flag("second_subject")] = None,
    camera_side: Annotated[
        Literal["left", "right", "auto"] | None,
        typer.Option("--camera-side", help="The side to report; 'auto' undoes the correction."),
    ] = None,
    points: Annotated[
        Path | None,
        path_option(
            "--points",
            "FILE",
            help=(
                "CSV table of landmarks corrected by hand, with the columns kind (point, bad or "
                "exchange), start, end, landmark, u and v; 'none' undoes them."
            ),
        ),
    ] = None,
    second_points: Annotated[
        Path | None,
        path_option("--second-points", "FILE", help="The same for the second camera."),
    ] = None,
    workers: WorkersOption = None,
) -> None:
    """Correct the subject, landmarks or the camera side, and analyse again.

    Only the results that depend on the correction are computed again. Without options, the command
    finishes an interrupted analysis. The camera side decides which side is reported as
    `knee_angle`. It does not affect any measurement.
    """
    with session.rollback_if_refused():
        for point, second in ((subject, False), (second_subject, True)):
            if point is not None:
                session.set_subject(None if point == "largest" else point, second_camera=second)
        for file, second in ((points, False), (second_points, True)):
            if file is not None:
                session.edit_points(_points(file), second_camera=second)
        if camera_side is not None:
            session.set_camera_side(None if camera_side == "auto" else camera_side)
        session.analyze(workers=workers)
    _warn(session)
    say(tables.sentence("command_line.analysis.renewed", session=session.id))


def _points(file: Path) -> Any:
    """Read a table of corrected landmarks; None if the word "none" is given instead."""
    if str(file) == "none":
        return None
    import pandas as pd

    from mobility.base.parsing import read_csv

    names, rows = read_csv(file, what="table of points")
    for line, values in rows:
        if len(values) != len(names):
            fault = f"line {line} has {len(values)} values, but the header has {len(names)}"
            raise BadInputError(f"{file}: {fault}; correct that line")
    return pd.DataFrame([values for _, values in rows], columns=names)


def models(*, model: Annotated[Any, flag("model")] = None, as_json: JsonOption = False) -> None:
    """Print the path of the pose model and its SHA-256.

    The command downloads the model if it is missing. For the heavy model, it needs npm.
    """
    from mobility.base.provenance import sha256
    from mobility.capture.models import pose_models

    described = [
        {"path": str(path), "sha256": sha256(path)}
        for path in pose_models(model, fetch=True).values()
    ]
    if as_json:
        print_json(described[0] if len(described) == 1 else described)
        return
    for model_file in described:
        typer.echo(f"{model_file['path']}\nsha256 {model_file['sha256']}")
