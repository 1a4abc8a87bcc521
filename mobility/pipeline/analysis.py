"""The analysis of a session: stages in the order of the data flow, each computed once.

A stage has a key, the SHA-256 of everything that its result depends on: the keys of the stages that
it needs, its options and corrections, the video, the model, and the code (:data:`POSE` or
:data:`RESULTS`). A stage is not repeated if its key equals the stored key and its file is intact.
An interrupted analysis therefore resumes, and after a change to an option only the dependent stages
are computed again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mobility.assessment.exercise_stages import Depends, Trial, stages_of
from mobility.base.options import Load, Workers
from mobility.base.provenance import (
    AnalysisWarning,
    Code,
    code_digest,
    history,
    last_of,
    package_versions,
    sha256,
    warnings_of,
)
from mobility.catalogue import registry
from mobility.catalogue.exercise_table import check_among
from mobility.errors import (
    BadInputError,
    MobilityError,
    ModelError,
    NobodyFoundError,
    NotFoundError,
    StorageError,
)
from mobility.keypoints.sources import MEDIAPIPE, Origin
from mobility.sessions.analysis_options import AnalysisOptions, check_movement, given_options
from mobility.sessions.files import atomic, read_dataset, sweep, write_dataset, write_json
from mobility.sessions.folder import session_locked
from mobility.sessions.record import Edits, PoseName, Provenance, SessionRecord, Stage, now
from mobility.sessions.stored_session import TITLE, StoredSession, is_whole

if TYPE_CHECKING:
    import xarray as xr

    from mobility.assessment.verdict import Level

log = logging.getLogger(__name__)

POSE: Code = (
    *("mobility.capture.pose", "mobility.capture.pose"),
    *("mobility.capture.pose_worker", "mobility.capture.detector_worker"),
)
"""Code of a pose, without the model. A pose takes minutes to compute; everything else takes
seconds.
"""

RESULTS: Code = (*POSE, __name__)
"""Code of the results of a session, from its poses, without the code of its exercise."""


_NAME = re.compile("[a-z][a-z0-9_]*")
"""Names of results that extensions add."""


@dataclass(frozen=True)
class _Step:
    """A stage: its file, and its dependencies."""

    name: str
    file: str
    needs: tuple[str, ...]
    options: tuple[str, ...] = ()
    edits: tuple[str, ...] = ()
    of_extension: bool = False
    """Whether an extension of the exercise computes it."""


_MOST_LOAD = 4
"""Largest load, as a multiple of the mass of the person."""

_OF_POSE = ("rate", "detector")
_OF_FIT = ("fit", "height_m", "field_of_view", "camera_pitch", "standing", "load", "calibration")

STEPS = (
    _Step("pose", "pose.nc", (), ("subject", *_OF_POSE), edits=("subject",)),
    _Step(
        "second_pose",
        "pose-2.nc",
        (),
        ("second_subject", *_OF_POSE),
        edits=("second_subject",),
    ),
    _Step(
        "fitted",
        "fitted.nc",
        ("pose", "second_pose"),
        _OF_FIT,
        edits=("points", "second_points"),
    ),
    _Step("angles", "angles.nc", ("fitted",), ("keep_raw",)),
    _Step("repetitions", "repetitions.nc", ("fitted",), edits=("repetitions",)),
    _Step("metrics", "metrics.nc", ("fitted", "angles", "repetitions")),
    _Step("table", "metrics.parquet", ("metrics",)),
    _Step("capture_quality", "capture_quality.json", ("pose", "second_pose", "fitted")),
    _Step(
        "annotated", "analyzed.mp4", ("pose", "angles", "repetitions", "metrics"), ("blur_face",)
    ),
)
"""The stages in their order; the second pose only exists if there is a second video."""


class _Inputs(AnalysisOptions):
    """The options after corrections and the participant's record; None stands for "auto"."""

    exercise: str
    joints: list[str]
    sex: str | None
    age: float | None
    weight_kg: float | None
    load: Load | None
    calibration: str | None
    """SHA-256 of the calibration."""


@dataclass
class _Run:
    """Shared state of the stages of one run; Datasets are read from files on demand."""

    session: StoredSession
    record: SessionRecord
    edits: Edits
    workers: int | None
    options: _Inputs
    results: dict[str, xr.Dataset] = field(default_factory=dict)
    pictures: Future[dict[str, Any]] | None = None
    """Checks of the video for the capture quality, made while the body is fitted."""

    def __getitem__(self, stage: str) -> xr.Dataset:
        if stage not in self.results:
            file = next(step.file for step in _steps(self.record) if step.name == stage)
            self.results[stage] = read_dataset(self.session.folder / file)
        return self.results[stage]

    @property
    def pose(self) -> xr.Dataset:
        """Pose of the video from which the results have their times."""
        return self[self.record.measured_pose]

    def corrected(self, name: PoseName) -> xr.Dataset:
        """Return a pose with the corrections of its landmarks by hand."""
        from mobility.kinematics.edited_points import with_points

        return with_points(self[name], self.edits.points_of(name))

    @property
    def video(self) -> Path:
        """Video from which the results have their times."""
        return self.session.copy_of(self.record.videos[0])

    @property
    def trial(self) -> Trial:
        """Return the data for the stages of an exercise."""
        return Trial(
            exercise=self.record.kind,
            joints=tuple(self.record.joints),
            fit=self.options.fit,
            movement=self.options.movement,
            sex=self.options.sex,
            age=self.options.age,
            weight_kg=self.options.weight_kg,
            intervals=self.edits.current("repetitions"),
            dataset=self.__getitem__,
        )


class _AnalyzeOptions(AnalysisOptions):
    """Options of :func:`analyze`."""

    workers: Workers | None = None


def analyze(session: StoredSession, *, workers: int | None = None, **options: Any) -> SessionRecord:
    """Run the missing steps of a session's analysis.

    Parameters
    ----------
    session
        A session of a store.
    workers
        Number of processes for the pose estimation; it does not change the results.
    options
        Fields of :class:`~mobility.sessions.analysis_options.AnalysisOptions`. An option that is
        not passed keeps its value from the last analysis of the session; for example, a face that
        was blurred stays blurred. In the first analysis, it has the value from the creation of the
        session, or the default value. "auto" restores the default of the analysis. If the person
        was corrected by hand, the correction overrides `subject`.

    Returns
    -------
    SessionRecord
        The record of the session, as stored.

    Raises
    ------
    VideoError
        Nobody was found in the video; the session is then "failed".
    BadInputError
        Nobody is at `subject`, or an option is wrong.
    NotFoundError
        The session was deleted in the meantime, or it has results but its video was deleted; the
        results are kept.
    NotPermittedError
        The session is a demo.
    StorageError
        The session is being analysed by another process, or the store cannot be written.
    """
    store = session.store
    store.require_writable()
    new_options = given_options(
        {"workers": workers, **options}, _AnalyzeOptions, what="options of analyze"
    )
    new_options.pop("workers", None)
    if new_options.get("movement", "auto") != "auto":
        check_movement(new_options["movement"], session.record.kind, session.record.joints)
    what = f"session {session.id}"
    with session.unless_deleted(), store.session_locked(session.id, what=what, wait_s=2):
        sweep(session.folder, "session.json", *(step.file for step in _steps(session.record)))
        while True:
            edits = session.edits()
            record = _analyze(session, edits, new_options, workers)
            # A correction made during the analysis could not start another one: repeat here.
            if session.edits() == edits:
                return record


def why_not_again(session: StoredSession) -> str:
    """Return why a session with results cannot be analysed again; empty if it can be."""
    record = session.record
    if not record.stages:
        return ""
    videos = (record.video, record.second_video)
    for file in (*videos, record.keypoints, record.second_keypoints):
        if file is not None and not (session.folder / file.file).is_file():
            what = "video" if file in videos else "keypoints"
            return (
                f"session {session.id}: its {what} {file.file} was deleted, so it cannot be "
                "analysed again; its results are kept"
            )
    return ""


def is_current(session: StoredSession) -> bool:
    """Whether another analysis would change nothing; true for demos, and without results."""
    record = session.record
    if session.store.read_only or record.state != "analyzed":
        return True
    plan = _plan(session, record, session.edits(), {})
    return all(
        step.name in record.stages and record.stages[step.name].key == plan.keys[step.name]
        for step in plan.wanted
    )


def bring_up_to_date(session: StoredSession) -> None:
    """Analyse again if code, options, corrections or the participant changed.

    A demo is never analysed again. The errors are the same as from :func:`analyze`.
    """
    if is_current(session):
        return
    if why := why_not_again(session):
        raise NotFoundError(why)
    log.info(
        "session %s: was analysed with a different version or changed inputs; analysing again",
        session.id,
    )
    analyze(session)


def try_to_bring_up_to_date(session: StoredSession) -> None:
    """Bring a session up to date if possible; otherwise log the reason."""
    try:
        bring_up_to_date(session)
    except MobilityError as error:
        log.warning("session %s: not brought up to date: %s", session.id, error)


@contextmanager
def reading_results(session: StoredSession) -> Iterator[None]:
    """Explain errors that come from reading results that are out of date.

    Raises
    ------
    NotFoundError
        The explanation replaces the original error.
    """
    try:
        yield
    except MobilityError:
        raise
    except Exception as error:
        if is_current(session):
            raise
        what_now = why_not_again(session) or f"analyse it again, with: mobility edit {session.id}"
        raise NotFoundError(
            f"session {session.id}: its results come from a different version, without the data "
            f"needed here; {what_now.removeprefix(f'session {session.id}: ')}"
        ) from error


@dataclass(frozen=True)
class _Plan:
    """The stages of an analysis, with their inputs and keys."""

    options: AnalysisOptions
    inputs: _Inputs
    steps: list[_Step]
    wanted: list[_Step]
    keys: dict[str, str]
    model_sha256: str | None
    """None if the keypoints were imported, or if the detector is not installed here."""
    fault: BadInputError | ModelError | None = None
    """Why the pose cannot be estimated again."""


def _plan(
    session: StoredSession, record: SessionRecord, edits: Edits, new_options: Mapping[str, Any]
) -> _Plan:
    from mobility.capture.detector_packages import detector_digest
    from mobility.capture.models import model_sha256 as identity_of_model

    options = _options(session, record, new_options)
    steps = _steps(record)
    inputs = _inputs(session, record, edits, options)
    model_sha256: str | None = None
    fault: BadInputError | ModelError | None = None
    pose_keys: Mapping[str, str] = {}
    if record.keypoints is not None:
        pass
    elif options.detector is None:
        model_sha256 = identity_of_model(options.model)
    else:
        try:
            model_sha256 = detector_digest(options.detector)
        except (BadInputError, ModelError) as error:
            error.args = (f"session {session.id}: {error}", *error.args[1:])
            fault, pose_keys = error, _poses_kept(record, options)
            if not pose_keys:
                raise
    return _Plan(
        options=options,
        inputs=inputs,
        steps=steps,
        wanted=[step for step in steps if options.annotate or step.name != "annotated"],
        keys=_keys(record, edits, inputs, model_sha256, pose_keys),
        model_sha256=model_sha256,
        fault=fault,
    )


def _poses_kept(record: SessionRecord, options: AnalysisOptions) -> dict[str, str]:
    """Return the keys of stored poses that stay valid without their detector, if any.

    A correction of the person deletes the pose, so that only its options are compared.
    """
    poses = [step for step in _steps(record) if not step.needs]
    before = record.provenance.options if record.provenance else {}
    present = options.as_stored()
    names = {name for step in poses for name in step.options}
    if any(before.get(name) != present.get(name) for name in names):
        return {}
    if not all(step.name in record.stages for step in poses):
        return {}
    return {step.name: record.stages[step.name].key for step in poses}


def _options(
    session: StoredSession, record: SessionRecord, new_options: Mapping[str, Any]
) -> AnalysisOptions:
    """Return each option as passed, or else from the last analysis, or else from the creation."""
    before = record.provenance.options if record.provenance else {}
    if record.keypoints is not None:
        at_first = AnalysisOptions(**record.options).model_dump()
        for name in ("subject", "second_subject"):
            if name in new_options and new_options[name] != (at_first[name] or "largest"):
                raise BadInputError(
                    f"session {session.id}: {name}: its keypoints were imported for one person; "
                    "create the session again with this subject"
                )
    values = {"movement": record.movement, **record.options, **before, **new_options}
    try:
        return AnalysisOptions(**given_options(values)).for_videos(
            second=record.second_video is not None,
            calibrated=record.calibration is not None,
            detected=record.keypoints is None,
        )
    except BadInputError as error:
        raise BadInputError(f"session {session.id}: {error}", error.fields) from None


def _inputs(
    session: StoredSession, record: SessionRecord, edits: Edits, options: AnalysisOptions
) -> _Inputs:
    person, calibration = session.participant, record.calibration
    values = dict(options)
    for name in ("subject", "second_subject"):
        if values[name] is not None and (corrected := edits.current(name)) is not None:
            values[name] = corrected
    if values["height_m"] is None and person:
        values["height_m"] = person.height_m
    return _Inputs.model_construct(
        **values,
        exercise=record.exercise,
        joints=record.joints,
        sex=person.sex if person else None,
        age=person.age_in(record.created_at.year) if person else None,
        weight_kg=person.weight_kg if person else None,
        load=_load(session, options, person.weight_kg if person else None),
        calibration=calibration.sha256 if calibration else None,
    )


def _load(session: StoredSession, options: AnalysisOptions, weight_kg: float | None) -> Load | None:
    """Return what the person carries, relative to the mass of the body."""
    if options.load_kg is None or options.load_at is None:
        return None
    what = f"session {session.id}"
    if weight_kg is None:
        fault = "needs the mass of the person; store it with mobility participants set ID"
        raise BadInputError.of(
            {"load_kg": f"{fault} --weight-kg KG, or leave the load out"}, what=what
        )
    if options.load_kg > _MOST_LOAD * weight_kg:
        fault = f"is more than {_MOST_LOAD} times the mass of the person"
        raise BadInputError.of({"load_kg": f"{fault}; correct one of the two"}, what=what)
    return options.load_at, options.load_kg / weight_kg


def _analyze(
    session: StoredSession, edits: Edits, new_options: Mapping[str, Any], workers: int | None
) -> SessionRecord:
    record = session.record
    plan = _plan(session, record, edits, new_options)
    options, keys = plan.options.as_stored(), plan.keys
    provenance = Provenance(
        video_sha256=record.video.sha256,
        model_sha256=plan.model_sha256,
        versions=dict(package_versions()),
        options=options,
        options_sha256=_digest(options),
    )

    def is_done(step: _Step) -> bool:
        entry = record.stages.get(step.name)
        if entry is None or entry.key != keys[step.name]:
            return False
        return is_whole(session.folder, entry)

    if plan.fault is not None and not all(is_done(step) for step in plan.steps if not step.needs):
        raise plan.fault

    outdated = [
        step
        for step in plan.steps
        if step not in plan.wanted and step.name in record.stages and not is_done(step)
    ]
    if (
        record.state == "analyzed"
        and not outdated
        and all(is_done(step) for step in plan.wanted)
        and record.provenance is not None
        and record.provenance.options_sha256 == provenance.options_sha256
    ):
        return record
    if why := why_not_again(session):  # before the record is changed
        raise NotFoundError(why)

    run = _Run(session, record, edits, workers, plan.inputs)
    record.reason = ""
    record.provenance = provenance
    try:
        for step in plan.wanted:
            if is_done(step):
                continue
            # Remove the old key first: an incomplete file must not look current.
            _drop_stage(record, step.name)
            record.state = "analyzing"
            _save(session, record)
            log.info("session %s: %s", session.id, step.name)
            started = time.perf_counter()
            _run_stage(step, run)
            if step.name == "fitted":
                fit = last_of(history(run["fitted"]), "fit_body")
                record.measured_video = fit.get("camera")
            record.stages[step.name] = Stage(
                key=keys[step.name],
                file=step.file,
                sha256=sha256(session.folder / step.file),
                seconds=round(time.perf_counter() - started, 3),
                finished=now(),
            )
            _save(session, record)
        for step in outdated:
            _drop_stage(record, step.name)
        for name in record.stages.keys() - {step.name for step in plan.steps}:
            # Its extension is no longer installed.
            (session.folder / record.stages.pop(name).file).unlink(missing_ok=True)
        # The fit's history already holds the warnings of another pose, with its camera.
        results = (run[name] for name in _MAKE if name not in ("pose", "second_pose"))
        warnings = _each_once(warnings_of(run.pose, *results))

        def with_original_names(value: Any) -> Any:
            return _with_original_names(value, session, record) if isinstance(value, str) else value

        record.warnings = [
            AnalysisWarning(
                warning["code"],
                with_original_names(warning["message"]),
                {
                    name: with_original_names(value)
                    for name, value in warning.get("values", {}).items()
                },
            )
            for warning in warnings
        ]
        record.warnings, record.verdict = _warnings_and_verdict(run)
        record.provenance = provenance.model_copy(update=_origin_of(run.pose))
        record.state = "analyzed"
        _save(session, record)
        for step in (*STEPS, *plan.steps):
            if step.name not in record.stages:
                (session.folder / step.file).unlink(missing_ok=True)
    except Exception as error:
        if isinstance(error, MobilityError):
            error.args = (_with_original_names(str(error), session, record), *error.args[1:])
        if not isinstance(error, StorageError):
            record.state = "failed"
            record.reason = f"{error}" or type(error).__name__
            with suppress(StorageError):
                _save(session, record)
        raise
    return record


def _each_once(warnings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Remove warnings about the model's errors that a second camera repeats."""

    def of_recording(warning: dict[str, Any]) -> dict[str, Any]:
        values = warning.get("values", {})
        return {name: value for name, value in values.items() if name != "seen_by"}

    other_warnings: list[dict[str, Any]] = []
    code = "errors_of_another_model"
    for warning in warnings:
        is_said = any(
            warning["code"] == other["code"] == code
            and of_recording(warning) == of_recording(other)
            for other in warnings
            if other is not warning and "seen_by" not in other.get("values", {})
        )
        if not (is_said and "seen_by" in warning.get("values", {})):
            other_warnings.append(warning)
    return other_warnings


def _origin_of(pose: xr.Dataset) -> dict[str, Any]:
    """Return the origin of a pose; the model's file is known only for the package's own."""
    origin = Origin.of(pose.attrs)
    of_package = origin.pose_source == MEDIAPIPE
    return origin._asdict() | ({} if of_package else {"model_sha256": None})


def _warnings_and_verdict(run: _Run) -> tuple[list[AnalysisWarning], Level]:
    """Return the warnings that concern the exercise, and the verdict on the recording."""
    from mobility.assessment.findings import another_view

    exercise, metrics = stages_of(run.record.kind), run["metrics"]
    quality = run.session.capture_quality()
    of_view = another_view(quality.get("view", {}), run.options.view)
    all_warnings = [*run.record.warnings, *(AnalysisWarning(**warning) for warning in of_view)]
    warnings = exercise.warnings_kept(run.record.joints, quality, metrics, all_warnings)
    verdict = exercise.verdict(quality, metrics, lambda: run["fitted"], warnings)
    return warnings, verdict.level


def _with_original_names(message: str, session: StoredSession, record: SessionRecord) -> str:
    """Put the original names of the videos into a message about the session's copies."""
    videos = (record.video, record.second_video)
    names = {video.file: video.original_name for video in videos if video is not None}
    copies = "|".join(re.escape(file) for file in names)
    folder = re.escape(str(session.folder))
    return re.sub(
        f"(?:{folder}.)?(?<![-.a-z0-9])({copies})", lambda match: names[match[1]], message
    )


def _run_stage(step: _Step, run: _Run) -> None:
    """Run one stage and store its result."""
    target = run.session.folder / step.file
    if step.name == "annotated":
        from mobility.kinematics.clean import with_sides_exchanged_as_in
        from mobility.pipeline.overlay import annotate_video

        angles, names = stages_of(run.record.kind).angles_in_video(
            run["angles"], run["metrics"], run.record.joints
        )
        chosen_angles: dict[str, Any] = {} if names is None else {"shown_angles": names}
        with atomic(target) as hidden:
            # Not cleaned, so that no landmark is missing that can be seen.
            annotate_video(
                run.video,
                with_sides_exchanged_as_in(run.corrected(run.record.measured_pose), run["fitted"]),
                angles,
                run["repetitions"],
                hidden,
                blur_face=run.options.blur_face,
                detected=run.pose,
                **chosen_angles,
            )
    elif step.name == "table":
        from mobility.pipeline.metrics_table import write_metrics_table

        with atomic(target) as hidden:
            write_metrics_table(hidden, run["metrics"])
    elif step.name == "capture_quality":
        from mobility.capture.quality import capture_quality
        from mobility.capture.video import probe

        of_first = run.record.measured_video != 2
        light_and_sharpness = (
            run.pictures.result() if run.pictures is not None and of_first else None
        )
        document = capture_quality(
            run.pose, probe(run.video), run["fitted"], light_and_sharpness=light_and_sharpness
        )
        if len(run.record.videos) > 1:
            info = probe(run.session.copy_of(run.record.videos[1]))
            second = capture_quality(run["second_pose"], info, run["fitted"], camera=1)
            document = {**document, "second_camera": second}
        write_json(target, document)
    else:
        result = _of_extension(step.name, run) if step.of_extension else _MAKE[step.name](run)
        result.attrs.pop(TITLE, None)
        write_dataset(target, result)
        run.results[step.name] = result


_IMPORTS_OF_LATER_STAGES = (
    *("xarray", "dask.array", "scipy.interpolate", "scipy.signal", "scipy.ndimage"),
    *("cv2", "pyarrow.parquet"),
    *("mobility.kinematics.fit.entry", "mobility.capture.quality"),
    *("mobility.assessment.measures", "mobility.assessment.verdict"),
    *("mobility.pipeline.metrics_table", "mobility.pipeline.overlay"),
)
"""Import the modules of the stages after the pose; this takes two seconds."""


def _import_ahead() -> None:
    for name in _IMPORTS_OF_LATER_STAGES:
        with suppress(ImportError):  # the stage that needs it reports it
            import_module(name)
    # Writing imports the engine.
    import_module("xarray").Dataset().to_netcdf(None, engine="scipy")


def _given_pose(run: _Run, number: Literal[1, 2]) -> xr.Dataset | None:
    """Return the pose of imported keypoints of a video; None if they have to be estimated."""
    keypoints = run.session.keypoints(number)
    if keypoints is None:
        return None
    from mobility.capture.pose import pose_of_keypoints

    video = run.session.first_video if number == 1 else run.session.second_video
    assert video is not None
    return pose_of_keypoints(read_dataset(keypoints), video, rate=run.options.rate)


def _pose(run: _Run) -> xr.Dataset:
    if (imported_pose := _given_pose(run, 1)) is not None:
        return imported_pose
    # First, because processes that were started ahead wait for their job.
    import_module("mobility.capture.pose")
    try:
        with ThreadPoolExecutor(1) as meanwhile:
            meanwhile.submit(_import_ahead)
            return _estimated_pose(run, run.session.first_video, run.options.subject)
    except NobodyFoundError:
        if not run.options.movement:
            raise
        from mobility.assessment.movements import refusal_advice

        advice = refusal_advice(run.options.movement)
        name = run.session.first_video.name
        raise NobodyFoundError(f"{name}: nobody was found in it. {advice}") from None


def _second_pose(run: _Run) -> xr.Dataset:
    video = run.session.second_video
    assert video is not None
    if (imported_pose := _given_pose(run, 2)) is not None:
        return imported_pose
    return _estimated_pose(run, video, run.options.second_subject)


def _estimated_pose(run: _Run, video: Path, place: Any) -> xr.Dataset:
    from mobility.capture.pose import estimate_pose

    return estimate_pose(
        video,
        workers=run.workers,
        subject=_subject_to_track(run, place),
        model=run.options.model,
        rate=run.options.rate,
        detector=run.options.detector,
    )


def _subject_to_track(run: _Run, place: Any) -> tuple[float, float] | Literal["moving"] | None:
    """Return the selected person; if nobody is selected, let the exercise decide whom to follow."""
    if place != "largest":
        return place[0], place[1]
    return stages_of(run.record.kind).subject(run.record.joints, run.options.movement)


def _fitted(run: _Run) -> xr.Dataset:
    from mobility.capture.quality import pictures
    from mobility.capture.video import probe
    from mobility.kinematics.clean import clean_pose

    # Decoding releases the GIL.
    in_background = ThreadPoolExecutor(1)
    run.pictures = in_background.submit(pictures, probe(run.session.first_video), run["pose"])
    in_background.shutdown(wait=False)
    if not run.options.fit:
        return clean_pose(run.corrected("pose"))
    from mobility.kinematics.fit.entry import VISIBILITY_THRESHOLD, fit_body

    # The fit weights a landmark by its visibility, and needs the hidden side too.
    names: list[PoseName] = ["pose"]
    if run.record.second_video is not None:
        names.append("second_pose")
    cleaned = [
        clean_pose(run.corrected(name), visibility_threshold=VISIBILITY_THRESHOLD) for name in names
    ]
    options_of_each = [stages_of(run.record.kind).fit_options(pose) for pose in cleaned]
    # One camera that sees enough is enough, whichever is named first.
    how = next(
        (options for options in options_of_each if options.get("standing") == "free"),
        options_of_each[0],
    )
    if run.options.standing != "usual":
        how["standing"] = run.options.standing
    cameras: dict[str, Any] = {}
    if (stored := run.record.calibration) is not None:
        from mobility.kinematics.calibration import read_calibration

        copy = run.session.calibration
        assert copy is not None
        videos = [video for video in (run.record.video, run.record.second_video) if video]
        cameras_of_videos = read_calibration(copy).of([video.original_name for video in videos])
        cameras = {"calibration": replace(cameras_of_videos, source=stored.original_name)}
    pitch = run.options.camera_pitch
    fitted: xr.Dataset = fit_body(
        cleaned,
        camera_pitch=None if pitch is None else (pitch, *[None] * (len(cleaned) - 1)),
        height_m=run.options.height_m,
        field_of_view=run.options.field_of_view,
        load=run.options.load,
        **how,
        **cameras,
    )
    return fitted


def _angles(run: _Run) -> xr.Dataset:
    angles = stages_of(run.record.kind).joint_angles(run.trial)
    if not run.options.keep_raw:
        return angles
    from mobility.kinematics.angles import with_raw_angles
    from mobility.kinematics.clean import clean_pose

    return with_raw_angles(angles, clean_pose(run.corrected(run.record.measured_pose)))


def _repetitions(run: _Run) -> xr.Dataset:
    return stages_of(run.record.kind).repetitions(run.trial)


def _of_extension(name: str, run: _Run) -> xr.Dataset:
    make = run.record.kind.named("stored_results", name)
    try:
        result: xr.Dataset = make(run.trial)
    except MobilityError:
        raise
    except Exception as error:
        if make.__module__.startswith("mobility."):
            raise
        where = f"{make.__module__}: {name}"
        raise BadInputError(f"{where}: {type(error).__name__}: {error}") from error
    return result


def _metrics(run: _Run) -> xr.Dataset:
    return stages_of(run.record.kind).metrics(run.trial)


_MAKE: Mapping[str, Callable[[_Run], xr.Dataset]] = {
    "pose": _pose,
    "second_pose": _second_pose,
    "fitted": _fitted,
    "angles": _angles,
    "repetitions": _repetitions,
    "metrics": _metrics,
}


def _steps(record: SessionRecord) -> list[_Step]:
    """Return the stages of a session, without those of an absent second video."""
    differs = stages_of(record.kind).all_depends
    _check_depends(record.kind.package, differs)
    steps = [
        replace(step, needs=needs, options=step.options + options, edits=step.edits + edits)
        for step in STEPS
        for needs, options, edits in [differs.get(step.name, (step.needs, (), ()))]
    ]
    names = {step.name for step in STEPS}
    if taken := [
        name for name in record.kind.results if name in names or not _NAME.fullmatch(name)
    ]:
        raise BadInputError(
            f"results of an extension: {taken[0]!r} cannot be a name; choose another"
        )
    steps += [
        _Step(name, f"{name}.nc", ("fitted", "repetitions"), ("weight_kg",), of_extension=True)
        for name in record.kind.results
    ]
    if record.second_video is not None:
        return steps
    return [
        replace(step, needs=tuple(name for name in step.needs if name != "second_pose"))
        for step in steps
        if step.name != "second_pose"
    ]


def _check_depends(package: str, depends: Depends) -> None:
    """Reject names of stages, options and corrections that do not exist."""
    where = f"exercise.py of {package}: depends"
    stages = [step.name for step in STEPS]
    corrections = [name for step in STEPS for name in step.edits]
    check_among(depends, stages, where)
    for needs, options, edits in depends.values():
        check_among(needs, stages, where)
        check_among(options, _Inputs.model_fields, where)
        check_among(edits, corrections, where)


def _keys(
    record: SessionRecord,
    edits: Edits,
    inputs: _Inputs,
    model_sha256: str | None,
    pose_keys: Mapping[str, str],
) -> dict[str, str]:
    """Return the key of each stage with the current inputs; `kept` keys stay unchanged."""
    keys = dict(pose_keys)
    for step in _steps(record):
        if step.name in pose_keys:
            continue
        is_second = step.name == "second_pose"
        video = (record.second_video if is_second else None) or record.video
        imported = record.second_keypoints if is_second else record.keypoints
        keys[step.name] = _digest(
            {
                "stage": step.name,
                "needs": [keys[name] for name in step.needs],
                "video": []
                if step.needs
                else [video.sha256, imported.copy_sha256 if imported else model_sha256],
                "options": {name: getattr(inputs, name) for name in step.options},
                "edits": {name: edits.current(name) for name in step.edits},
                "code": code_digest(RESULTS if step.needs else POSE),
                "exercise": registry.digest(
                    record.kind, extensions=step.name == "metrics" or step.of_extension
                )
                if step.needs
                else "",
            }
        )
    return keys


def _drop_stage(record: SessionRecord, name: str) -> None:
    """Remove a stage and all stages that depend on it from the record."""
    record.stages.pop(name, None)
    for step in _steps(record):
        if name in step.needs:
            _drop_stage(record, step.name)


def forget_edited(session: StoredSession, kind: str) -> None:
    """Remove from the record the stages that are out of date after a correction of this `kind`.

    A running analysis notices the correction before it ends.
    """
    # An analysis that is just ending may have read the edits already: wait for it.
    with session_locked(session.store.path, session.id, wait_s=1) as free:
        record = session.record
        edited = [step.name for step in _steps(record) if kind in step.edits]
        outdated = [name for name in edited if name in record.stages]
        if free and outdated:
            for name in outdated:
                _drop_stage(record, name)
            record.state = "edited"
            _save(session, record)


def give_up(session: StoredSession, reason: str) -> None:
    """Record that the analysis of a session was stopped from outside, and why.

    Raises
    ------
    StorageError
        The session is being analysed, or cannot be written.
    """
    with session.store.session_locked(session.id, what=f"session {session.id}", wait_s=10):
        record = session.record
        record.state = "failed"
        record.reason = reason
        _save(session, record)


def _save(session: StoredSession, record: SessionRecord) -> None:
    write_json(session.folder / "session.json", record.model_dump(mode="json"))


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, allow_nan=False).encode()).hexdigest()
