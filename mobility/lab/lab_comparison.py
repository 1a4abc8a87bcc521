"""Agreement of one session, or of many sessions, with lab data of the same trials.

A comparison is stored in the session, in ``validation/<name>/``: the curves on one clock
(``curves.nc``), the statistics (``agreement.nc``), and the inputs (``validation.json``). The next
comparison with the same lab file replaces all of these files. After a new analysis, the comparison
is out of date.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from mobility import tables
from mobility.assessment.exercise_stages import stages_of
from mobility.base.formatting import listed, shortened
from mobility.base.options import FilePath, Strict, checked, likely
from mobility.base.options import validate as checked_model
from mobility.base.parsing import read_csv
from mobility.base.progress import progress_bar
from mobility.base.provenance import (
    SCHEMA_VERSION,
    code_digest,
    history,
    last_of,
    package_versions,
    warnings_of,
)
from mobility.catalogue import registry
from mobility.errors import BadInputError, MobilityError, NotFoundError
from mobility.keypoints.sources import Origin
from mobility.lab.sit_to_stand_times import times_of_both
from mobility.pipeline.analysis import RESULTS, bring_up_to_date
from mobility.sessions.files import (
    check_id,
    make_folder,
    read_dataset,
    read_json,
    replace_folder,
    scratch,
    write_dataset,
    write_json,
    writing,
)
from mobility.sessions.record import ANONYMOUS, Finite, now
from mobility.sessions.session_store import SessionStore
from mobility.sessions.stored_session import StoredSession

if TYPE_CHECKING:
    import xarray as xr

    from mobility.lab.lab_trial import Reference, Trial
    from mobility.lab.loads_comparison import Loads

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]

COMPARISON = (*RESULTS, __name__)
"""Code for comparisons with a lab, besides the code for the results of sessions."""

MOST_SHOWN = 4
"""Largest number of trials in a study for which curves over time are shown."""

_OF_TIMES = (
    *("long_name", "units", "video", "lab", "pairs", "mean_difference", "mean_difference_low"),
    *("mean_difference_high", "sd_difference", "lower_limit", "lower_limit_low"),
    *("lower_limit_high", "upper_limit", "upper_limit_low", "upper_limit_high"),
    *("value_coverage", "value_reason"),
)
"""Stored statistics on the agreement of times."""

_STUDY, _STUDY_AGREEMENT = "study.json", "study.nc"
_CURVES, _AGREEMENT, _DOCUMENT = "curves.nc", "agreement.nc", "validation.json"
_LOADS, _LOADS_AGREEMENT = "loads.nc", "loads_agreement.nc"


@dataclass(frozen=True)
class Validation:
    """A comparison of a session with lab data, as it is stored in a folder.

    The document contains the lag, the statistics of the primary comparison, the files and the
    warnings.
    """

    folder: Path
    document: dict[str, Any]
    held: tuple[xr.Dataset, xr.Dataset] | None = None
    """Curves and agreement in memory, if there are no files."""

    @property
    def name(self) -> str:
        """Name of the comparison; by default the name of the lab file."""
        return str(self.document["validation"])

    def curves(self) -> dict[str, xr.Dataset]:
        """Angles from video and lab at the times of the video, in degrees, by trial."""
        return {self.name: self.held[0] if self.held else read_dataset(self.folder / _CURVES)}

    def agreement(self) -> xr.Dataset:
        """Statistics of all comparisons, see :mod:`mobility.lab.agreement`."""
        return self.held[1] if self.held else read_dataset(self.folder / _AGREEMENT)

    def loads(self) -> tuple[xr.Dataset, xr.Dataset] | None:
        """Curves and agreement of the loads of the legs; None without force plates."""
        if "loads" not in self.document:
            return None
        return read_dataset(self.folder / _LOADS), read_dataset(self.folder / _LOADS_AGREEMENT)


@checked
def validate(
    session: StoredSession,
    lab_file: FilePath,
    *,
    lab_angles: FilePath | None = None,
    static: FilePath | None = None,
    mapping: FilePath | Mapping[str, Any] | None = None,
    units: str | None = None,
    vertical_axis: str | None = None,
    forces: FilePath | None = None,
    plate_sides: Literal["names", "position"] | None = None,
    force_units: Literal["N", "kN"] | None = None,
    margin_deg: Positive | None = None,
    lag_s: Finite | None = None,
    max_lag_s: Positive | None = None,
    name: str | None = None,
    folder: FilePath | None = None,
) -> Validation:
    """Compare an analysed session with lab data of the same trial, and store the result.

    Parameters
    ----------
    session
        An analysed session. The table of its exercise lists the quantities that are compared
        (``lab``).
    lab_file
        Markers or angles of the lab: C3D, TRC, MOT, STO or CSV.
    lab_angles
        Angles of the lab's own model, if they are in a separate file.
    static
        A static trial with the markers that were taken off for the movement.
    mapping
        Meaning of the markers and columns, if no built-in mapping contains them.
    units, vertical_axis
        Unit and vertical axis of `lab_file`, if the file does not state them.
    forces
        Force plates of the same trial: MOT, STO or C3D, with the clock and the axes of `lab_file`,
        which must have markers. The loads of the legs are then compared, too.
    plate_sides, force_units
        How plates are assigned to feet, and the unit of their forces: `sides` and `units` of
        :func:`~mobility.lab.force_plates.read_forces`.
    margin_deg
        Largest mean difference that does not matter, in degrees. Choose it before you see the data.
        Without it, equivalence is not tested.
    lag_s
        Time to add to video time to get lab time; estimated by default.
    max_lag_s
        Largest possible lag, in seconds.
    name
        Name of the comparison; by default the name of the lab file.
    folder
        Folder for the result; by default in the session. Required for the demo, which is not
        changed.

    Raises
    ------
    NotFoundError
        The session is not analysed, or there is no such file.
    BadInputError
        A file cannot be used, or its movement differs from the movement in the video.
    StorageError
        The result cannot be written.
    """
    from mobility.lab.lab_trial import read_reference

    record = session.analyzed()
    if folder is None:
        session.store.require_writable()
    comparison = (
        _name_for(lab_file) if name is None else check_id(name, what="name of the comparison")
    )
    reference = read_reference(
        lab_file,
        lab_angles=lab_angles,
        static=static,
        mapping=mapping,
        units=units,
        vertical_axis=vertical_axis,
    )
    if folder is None:
        bring_up_to_date(session)
        record = session.analyzed()
    plates = None
    if forces is not None:
        plates = _plates(reference, lab_file, forces, sides=plate_sides, units=force_units)
    elif plate_sides is not None or force_units is not None:
        names = {"plate_sides": plate_sides, "force_units": force_units}
        fault = "describes a file of force plates; pass the file as forces, or leave this out"
        raise BadInputError.of({name: fault for name, value in names.items() if value is not None})
    trial = _compared(session, reference, margin_deg=margin_deg, lag_s=lag_s, max_lag_s=max_lag_s)
    of_loads = None if plates is None else _compared_loads(session, reference, plates, trial)
    document: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "session_id": session.id,
        "validation": comparison,
        "made": now().isoformat(),
        "of": _digests(session),
        "user_id": record.user_id,
        "exercise": record.exercise,
        **session.record.origin._asdict(),
        "files": {kind: dict(described) for kind, described in reference.files.items()},
        "joint_centres": {}
        if reference.pose is None
        else json.loads(reference.pose.attrs["joint_centres"]),
        "lag_s": trial.sync.lag_s,
        "lag_sd_s": _json_value(trial.sync.lag_sd_s),
        "synchronisation": trial.sync.document(),
        "margin_deg": margin_deg,
        "definition_differences": dict(reference.differences),
        **_all_statistics(trial.agreement),
        "times": times_statistics([trial.curves], [record.user_id]),
        "warnings": [dict(warning) for warning in trial.warnings],
        "versions": dict(package_versions()),
    }
    if of_loads is not None and plates is not None:
        described = {key: plates.attrs[key] for key in ("source_file", "source_sha256")}
        document["files"]["forces"] = described
        document["loads"] = {
            "plates": plates.attrs["plates"],
            "clock": last_of(history(plates), "read_forces")["clock"],
            "units": {
                str(name): units_of(str(name)) for name in of_loads.agreement["angle"].values
            },
            **_statistics_of_loads(of_loads.agreement),
        }
        document["warnings"] += [dict(warning) for warning in of_loads.warnings]
    target = Path(folder or session.folder / "validation").absolute() / comparison

    def write() -> None:
        with writing(target):
            make_folder(target.parent)
        with replace_folder(
            target, what=f"the comparison {comparison} of session {session.id}"
        ) as hidden:
            write_dataset(hidden / _CURVES, trial.curves)
            write_dataset(hidden / _AGREEMENT, trial.agreement)
            if of_loads is not None:
                write_dataset(hidden / _LOADS, of_loads.curves)
                write_dataset(hidden / _LOADS_AGREEMENT, of_loads.agreement)
            write_json(hidden / _DOCUMENT, document)

    if folder is not None:
        write()
    else:
        # A running analysis or deletion must not see half of the files.
        with session.store.session_locked(session.id, what=f"session {session.id}", wait_s=10):
            if not (session.folder / "session.json").is_file():
                raise NotFoundError(f"session {session.id}: was deleted in the meantime")
            write()
    return Validation(target, document)


def _compared(session: StoredSession, reference: Reference, **options: Any) -> Trial:
    """Compare the angles and times in the table of a session's exercise."""
    from mobility.lab.lab_trial import compare

    exercise, metrics = session.record.kind, session.metrics()
    repetitions = session.repetitions()
    measured = _with_raw(session, session.measured_angles())
    angles, shown = stages_of(exercise).compared(measured, repetitions, metrics)
    # Angles that are not compared need no warning.
    unused = set(measured.data_vars) - (set() if "compared" in shown else set(angles.data_vars))
    if not shown["accepted"].any():
        raise BadInputError(
            f"session {session.id}: has no accepted {exercise.noun} to compare; see its report "
            "for the reason"
        )
    values = exercise.table["lab"]["values"]
    trial = compare(angles, shown, reference, values=values, **options)
    report = exercise.table.get("report", {})
    moment = exercise.words["at"] if report else ""
    of_exercise = {"moment": moment, "shown": " ".join(report.get("trial", ()))}
    agreement = trial.agreement.assign_attrs(of_exercise)
    curves = trial.curves.assign_attrs(of_exercise, values=" ".join(values))
    recordings = [
        recording.assign_coords(time=recording["time"] - trial.sync.lag_s)
        for recording in (reference.pose, reference.formulas, reference.model)
        if recording is not None
    ]
    times = None
    if "seat_off" in repetitions:
        times = times_of_both(exercise, repetitions, metrics, recordings)
    warnings = [w for w in trial.warnings if w.get("values", {}).get("name") not in unused]
    if times is not None:
        curves = curves.merge(times, combine_attrs="override")
        if why := times.attrs["refused"]:
            warnings.append(tables.warning("warnings.lab_lacks_times", why=why))
    return replace(trial, agreement=agreement, curves=curves, warnings=tuple(warnings))


def _plates(
    reference: Reference, lab_file: FilePath, forces: FilePath, **options: Any
) -> xr.Dataset:
    """Read force plates in the frame of the lab's markers."""
    from mobility.lab.force_plates import read_forces

    if reference.pose is None:
        raise BadInputError(
            f"{os.fspath(lab_file)}: has no markers, so moments cannot be computed from the force "
            "plates; pass the file with the markers of the trial"
        )
    return read_forces(forces, pose=reference.pose, **options)


def _compared_loads(
    session: StoredSession, reference: Reference, plates: xr.Dataset, trial: Trial
) -> Loads:
    """Compare the loads of a session with those of force plates, in the repetitions of a trial."""
    from mobility.lab.lab_trial import repetitions_of
    from mobility.lab.loads_comparison import compare_loads

    pose = session.fitted()
    if "position" not in pose or reference.pose is None:
        raise BadInputError(
            f"session {session.id}: has no body in space, so it has no loads to compare with force "
            "plates; leave them out"
        )
    person = session.participant
    loads = compare_loads(
        pose,
        repetitions_of(trial.curves),
        reference.pose,
        plates,
        trial.sync,
        of_video=session.repetitions(),
        height_m=None if person is None else person.height_m,
        values=session.record.kind.table["lab"]["values"],
    )
    of_exercise = {name: trial.agreement.attrs[name] for name in ("moment", "shown")}
    return loads._replace(agreement=loads.agreement.assign_attrs(of_exercise))


def _statistics_of_loads(agreement: xr.Dataset) -> dict[str, Any]:
    result = _all_statistics(agreement)
    return {"quantities": result.pop("angles"), **result}


def times_statistics(
    curves: Sequence[xr.Dataset], participants: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Return the agreement of the times of trials as JSON values, by quantity; may be empty."""
    from mobility.lab.agreement import agreement_of_times

    result = agreement_of_times(curves, participants)
    if result is None:
        return {}
    return {
        quantity: {
            name: _json_value(result[name].sel(quantity=quantity).item()) for name in _OF_TIMES
        }
        for quantity in result["quantity"].values.tolist()
    }


def validations(
    session: StoredSession, *, folder: str | os.PathLike[str] | None = None
) -> list[Validation]:
    """List the stored comparisons of a session with lab data, by name."""
    place = Path(folder or session.folder / "validation")
    documents = sorted(place.glob(f"[!.]*/{_DOCUMENT}"))
    return [Validation(file.parent, read_json(file)) for file in documents]


def validation(
    session: StoredSession, name: str, *, folder: str | os.PathLike[str] | None = None
) -> Validation:
    """Return one stored comparison."""
    by_name = {stored.name: stored for stored in validations(session, folder=folder)}
    if name not in by_name:
        raise NotFoundError(
            f"session {session.id}: no comparison '{name}' with lab data"
            f"{likely(name, by_name) or '; make it with: mobility validate'}"
        )
    return by_name[name]


def open_comparison(
    store: str,
    *,
    session_id: str = "",
    comparison: str = "",
    folder: str = "",
    study: str = "",
) -> Validation | Study:
    """Open the subject of a report: the comparison of a session, a study, or the demo.

    Without `session_id`, the demo is opened. `comparison` may be empty if there is only one.
    `folder` contains the comparisons if they are not in the session. If the folder of a `study` is
    passed, no session is opened.

    Raises
    ------
    NotFoundError
        There is no such session, comparison or study.
    BadInputError
        There are several comparisons, and no name was passed.
    """
    if study:
        if not (Path(study) / _STUDY).is_file():
            raise NotFoundError(
                f"{study}: contains no study; make one with: mobility validate --study"
            )
        return Study(Path(study), read_json(Path(study) / _STUDY))
    opened: SessionStore[StoredSession] = SessionStore(store)
    if not session_id and not folder:
        return demo_validation(opened)
    session = opened.session(session_id) if session_id else opened.demo(registry.USUAL)
    place = folder or None
    if comparison:
        return _warned_if_stale(session, validation(session, comparison, folder=place))
    stored = validations(session, folder=place)
    if len(stored) != 1:
        names = ", ".join(one.name for one in stored) or "none"
        raise BadInputError(f"session {session.id}: choose one of its comparisons ({names})")
    return _warned_if_stale(session, stored[0])


def _warned_if_stale(session: StoredSession, comparison: Validation) -> Validation:
    if not is_stale(session, comparison):
        return comparison
    warnings = [tables.warning("warnings.stale"), *comparison.document["warnings"]]
    return replace(comparison, document={**comparison.document, "warnings": warnings})


def demo_validation(store: SessionStore[Any]) -> Validation:
    """Compare the demo with its true angles, on a clock that is 0.25 s behind.

    Nothing is stored.
    """
    from mobility.lab.lab_writers import write_trc

    session = store.demo(registry.USUAL)
    with scratch("demo") as place:
        truth = read_dataset(session.folder / "truth.nc")
        late = truth.assign_coords(time=truth["time"] + 0.25)
        write_trc(late, place / "truth.trc")
        comparison = validate(session, place / "truth.trc", folder=place / "kept")
        return replace(
            comparison, held=(comparison.curves()[comparison.name], comparison.agreement())
        )


class StudyRow(Strict):
    """A row of a study: a session and the lab file of the same trial."""

    session: Annotated[str, Field(min_length=1)]
    lab_file: Annotated[str, Field(min_length=1)]
    participant: str = ""
    condition: str = ""
    static: str = ""
    mapping: str = ""
    lab_angles: str = ""


@dataclass(frozen=True)
class Study:
    """Many trials compared with lab data, with the statistics across participants, in a folder.

    The document contains the trials, failures and statistics.
    """

    folder: Path
    document: dict[str, Any]

    def agreement(self) -> xr.Dataset:
        """Statistics of all comparisons across participants."""
        return read_dataset(self.folder / _STUDY_AGREEMENT)

    def curves(self) -> dict[str, xr.Dataset]:
        """Curves of the trials, if there are few enough trials to show."""
        files = sorted((self.folder / "curves").glob("*.nc"))
        return {file.stem: read_dataset(file) for file in files}


@dataclass(frozen=True)
class StudyResult:
    """Results of a study before they are written."""

    document: dict[str, Any]
    agreement: xr.Dataset | None
    conditions: Mapping[str, xr.Dataset]
    curves: Mapping[str, xr.Dataset]

    def write(self, folder: Path) -> None:
        """Write all files into an existing folder."""
        write_json(folder / _STUDY, self.document)
        if self.agreement is None:
            return
        write_dataset(folder / _STUDY_AGREEMENT, self.agreement)
        for number, condition in enumerate(self.conditions.values(), start=1):
            write_dataset(folder / f"condition-{number}.nc", condition)
        if 0 < len(self.curves) <= MOST_SHOWN:
            with writing(folder):
                (folder / "curves").mkdir()
            for name, curve in self.curves.items():
                write_dataset(folder / "curves" / f"{name}.nc", curve)


def read_study(path: str | os.PathLike[str]) -> list[StudyRow]:
    """Read the list of a study, a CSV file with a header.

    The columns are those of :class:`StudyRow`; paths are relative to the folder of the file.

    Raises
    ------
    NotFoundError
        There is no such file.
    BadInputError
        The file has no rows, has an unknown column, or lacks a required column or field.
    """
    file = Path(path)
    columns, table = read_csv(file, what="study")
    if twice := [name for name in columns if columns.count(name) > 1]:
        raise BadInputError(f"study {file.name}: has the column '{twice[0]}' twice; delete one")
    allowed = list(StudyRow.model_fields)
    for name in columns:
        if name not in allowed:
            close = likely(name, allowed) or f"; known: {', '.join(allowed)}"
            raise BadInputError(f"study {file.name}: unknown column '{name}'{close}")
    for name in ("session", "lab_file"):
        if name not in columns:
            raise BadInputError(f"study {file.name}: has no column '{name}'")
    rows = []
    for number, values in table:
        where = f"study {file.name}, line {number}"
        if len(values) != len(columns):
            raise BadInputError(
                f"{where}: does not have {len(columns)} fields; add or remove fields"
            )
        rows.append(checked_model(StudyRow, dict(zip(columns, values, strict=True)), what=where))
    return rows


@checked
def run_study(
    store: SessionStore[Any],
    study: FilePath,
    *,
    margin_deg: Positive | None = None,
    max_lag_s: Positive | None = None,
) -> StudyResult:
    """Compare every trial of a study with its lab file, and all trials across participants.

    Each session stores its own comparison; the options are those of :func:`validate`. A trial that
    fails is listed with the reason, and the others continue. If all trials fail, there is no
    `agreement`. If there are several conditions, there are statistics for each of them.

    Raises
    ------
    BadInputError
        The list (:func:`read_study`) cannot be used.
    """
    file = Path(study)
    rows = read_study(file)
    _check_sessions(store, rows, file)
    compared: list[tuple[StudyRow, str, Validation]] = []
    failed: list[dict[str, Any]] = []
    with progress_bar("comparing with lab data", total=len(rows), unit="trial") as bar:
        for number, row in enumerate(rows, start=1):
            there = file.parent / row.mapping  # otherwise it is the name of a built-in mapping
            try:
                session = store.session(row.session)
                comparison = validate(
                    session,
                    file.parent / row.lab_file,
                    static=file.parent / row.static if row.static else None,
                    lab_angles=file.parent / row.lab_angles if row.lab_angles else None,
                    mapping=(there if there.is_file() else row.mapping) if row.mapping else None,
                    margin_deg=margin_deg,
                    max_lag_s=max_lag_s,
                )
                compared.append((row, row.participant or session.record.user_id, comparison))
            except MobilityError as error:
                trial = {"row": number, "session": row.session, "lab_file": row.lab_file}
                failed.append({**trial, "error": _without_places(str(error), store, file)})
            bar.update()
    document: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "study": file.stem,
        "made": now().isoformat(),
        "margin_deg": margin_deg,
        "trials": [
            {
                "session_id": comparison.document["session_id"],
                "participant": participant,
                "condition": row.condition,
                **Origin.of(comparison.document)._asdict(),
                "lab_file": comparison.document["files"]["lab"]["source_file"],
                "lag_s": comparison.document["lag_s"],
                "lag_sd_s": comparison.document["lag_sd_s"],
                "correlation": comparison.document["synchronisation"]["correlation"],
            }
            for row, participant, comparison in compared
        ],
        "failed": failed,
        "warnings": [],
        "versions": dict(package_versions()),
    }
    if not compared:
        return StudyResult(document, None, {}, {})
    _require_one_reference(compared, file)
    curves = [next(iter(comparison.curves().values())) for _, _, comparison in compared]
    people = [participant for _, participant, _ in compared]
    pooled = _pooled(curves, people, margin_deg)
    models = sorted({trial["source_software"] for trial in document["trials"]})
    conditions = {}
    named = list(dict.fromkeys(row.condition for row, _, _ in compared))
    for condition in named if len(named) > 1 else []:
        indices = [i for i, (row, _, _) in enumerate(compared) if row.condition == condition]
        conditions[condition or "none"] = _pooled(
            [curves[i] for i in indices], [people[i] for i in indices], margin_deg
        ).assign_attrs(condition=condition or "none")
    document |= {
        "exercise": compared[0][2].document["exercise"],
        **_all_statistics(pooled),
        "times": times_statistics(curves, people),
        "conditions": {
            name: statistics(pooled, str(pooled.attrs["primary"]))
            for name, pooled in conditions.items()
        },
        "definition_differences": {
            angle: text
            for trial_curves in curves
            for angle, text in json.loads(trial_curves.attrs["definition_differences"]).items()
        },
        "warnings": [tables.warning("warnings.trial_failed", **fault) for fault in failed]
        + [tables.warning("warnings.several_models", models=listed(models))] * (len(models) > 1)
        + [dict(w) for w in warnings_of(pooled)]
        + [
            {**w, "message": f"{comparison.document['session_id']}: {w['message']}"}
            for _, _, comparison in compared
            for w in comparison.document["warnings"]
        ],
    }
    named_curves = {
        f"{number:02d}-{comparison.document['session_id']}": trial_curves
        for number, ((_, _, comparison), trial_curves) in enumerate(
            zip(compared, curves, strict=True), start=1
        )
    }
    return StudyResult(document, pooled, conditions, named_curves)


def _require_one_reference(
    compared: Sequence[tuple[StudyRow, str, Validation]], file: Path
) -> None:
    """Raise if the labs measured different things: no single table could describe all of them."""
    trials: dict[str, list[str]] = {}
    for row, _, comparison in compared:
        trials.setdefault(comparison.document["primary"], []).append(row.session)
    if len(trials) > 1:
        groups = "; ".join(shortened(names, most=3) for names in trials.values())
        raise BadInputError(
            f"{file}: some lab files have markers, others only angles of the lab's own model "
            f"({groups}); make one study for each kind"
        )


def _check_sessions(store: SessionStore[Any], rows: Sequence[StudyRow], file: Path) -> None:
    """Raise if a list mixes exercises, or could mix up participants.

    Sessions that are not in the store are left to the run, which lists them as failed.
    """
    pairs: set[tuple[str, str]] = set()
    owners: dict[str, str] = {}
    exercise = ""
    for number, row in enumerate(rows, start=1):
        where = f"study {file.name}, row {number}"
        if (row.session, row.lab_file) in pairs:
            raise BadInputError(
                f"{where}: session {row.session} and its lab file are listed twice; delete one row"
            )
        pairs.add((row.session, row.lab_file))
        try:
            record = store.session(row.session).record
        except MobilityError:
            continue
        exercise = exercise or record.exercise
        if record.exercise != exercise:
            raise BadInputError(
                f"{where}: session {row.session} shows {record.exercise}, but the earlier ones "
                f"show {exercise}; make one study for each exercise"
            )
        person = row.participant or record.user_id
        if not row.participant and person == ANONYMOUS and len(rows) > 1:
            raise BadInputError(
                f"{where}: session {row.session} is anonymous; fill in the column participant "
                "to show which trials belong to the same person"
            )
        if owners.setdefault(row.session, person) != person:
            raise BadInputError(
                f"{where}: session {row.session} belongs to {owners[row.session]} in another row"
            )


def _without_places(message: str, store: SessionStore[Any], study: Path) -> str:
    """Remove paths of this machine from a message, because reports are passed on."""
    for place in (store.path.absolute(), study.parent.absolute(), store.path):
        message = message.replace(f"{place}{os.sep}", "").replace(f"{place}", place.name)
    return message


def _pooled(
    curves: Sequence[xr.Dataset], participants: Sequence[str], margin_deg: float | None
) -> xr.Dataset:
    """Return statistics of all comparisons across participants."""
    from mobility.lab.agreement import agreement
    from mobility.lab.lab_trial import COMPARISONS, angles_of, repetitions_of, stacked

    pooled = {}
    for comparison in COMPARISONS:
        pairs = []
        for of_trial in curves:
            estimators = [str(e) for e in of_trial["estimator"].values]
            wanted = (comparison.measured, comparison.reference)
            pairs.append([angles_of(of_trial, e if e in estimators else "") for e in wanted])
        common = sorted({str(name) for v, r in pairs for name in v.data_vars if name in r})
        if not common:
            continue
        video, lab = (
            [
                _completed(angles, common, of_trial)
                for angles, of_trial in zip(side, curves, strict=True)
            ]
            for side in zip(*pairs, strict=True)
        )
        pooled[comparison.name] = agreement(
            video,
            lab,
            [repetitions_of(of_trial) for of_trial in curves],
            participants=list(participants),
            margin_deg=margin_deg,
            values=curves[0].attrs["values"].split(),
        )
    of_exercise = {name: curves[0].attrs[name] for name in ("moment", "shown")}
    return stacked(pooled).assign_attrs(of_exercise)


def _completed(angles: xr.Dataset, names: Sequence[str], curves: xr.Dataset) -> xr.Dataset:
    """Return angles of one estimator, NaN for those that this trial does not have."""
    missing = {
        name: (curves[name].isel(estimator=0, drop=True) * float("nan")).assign_attrs(
            units="degree"
        )
        for name in names
        if name not in angles and name in curves
    }
    return angles.assign(missing).assign_coords(time=curves["time"])


def is_stale(session: StoredSession, comparison: Validation) -> bool:
    """Return whether the session or the code has changed since the comparison."""
    return session.record.state != "analyzed" or comparison.document["of"] != _digests(session)


def _all_statistics(agreement: xr.Dataset) -> dict[str, Any]:
    primary = str(agreement.attrs["primary"])
    by_comparison = {
        str(name): statistics(agreement, str(name)) for name in agreement["comparison"].values
    }
    return {
        "primary": primary,
        "values": {
            str(name): value_words(agreement, str(name)) for name in agreement["metric"].values
        },
        "angles": by_comparison.pop(primary),
        "comparisons": by_comparison,
    }


def units_of(name: str) -> str:
    """Return the units of an angle, or of a quantity of the loads, as pages show them."""
    entry = tables.load("lab_contents")["loads"].get(name)
    return "°" if entry is None else str(entry["units"])


def value_words(agreement: xr.Dataset, name: str) -> str:
    """Return the name of a value of a repetition, with the exercise's word for the bottom."""
    if name == "bottom" and (moment := agreement.attrs.get("moment")):
        return str(moment)
    return str(tables.load("lab_contents")["compared"][name]["words"])


def statistics(agreement: xr.Dataset, comparison: str) -> dict[str, Any]:
    """Return the statistics of a comparison as JSON values, by angle and side.

    Statistics of curves are listed under their own names. Statistics of values of repetitions are
    listed under the names of the values, such as ``bottom``, ``peak`` and ``range``. A value that
    is not reported is None, and its reason is listed too.
    """
    selected = agreement.sel(comparison=comparison)
    # Plain arrays: selecting each number by labels takes seconds.
    waveform, discrete = (
        {
            str(n): v.transpose(*dims).to_numpy()
            for n, v in selected.data_vars.items()
            if set(v.dims) == set(dims)
        }
        for dims in (("angle", "side"), ("metric", "angle", "side"))
    )
    by_angle: dict[str, Any] = {}
    for a, angle in enumerate(selected["angle"].values.tolist()):
        for s, side in enumerate(selected["side"].values.tolist()):
            if not (waveform["repetitions_compared"][a, s] or waveform["frames_compared"][a, s]):
                continue
            entry: dict[str, Any] = {
                n: _json_value(values[a, s].item()) for n, values in waveform.items()
            }
            for m, metric in enumerate(selected["metric"].values.tolist()):
                entry[metric] = {
                    n: _json_value(values[m, a, s].item()) for n, values in discrete.items()
                }
            by_angle.setdefault(angle, {})[side] = entry
    return by_angle


def _json_value(value: Any) -> Any:
    if not isinstance(value, float):
        return value
    return round(value, 6) if math.isfinite(value) else None


def _name_for(lab_file: str | os.PathLike[str]) -> str:
    """Return the name of a comparison: the name of the lab file, made valid as a folder name."""
    stem = re.sub(r"[^A-Za-z0-9_.-]+", "-", Path(lab_file).stem)
    stem = re.sub(r"\.{2,}", ".", stem).strip("-._")[:64]
    return stem or "lab"


def _digests(session: StoredSession) -> dict[str, str]:
    """Return digests of the results that a comparison uses, and of its code."""
    stages = session.record.stages
    results = {n: s.sha256 for n, s in stages.items() if n in ("angles", "repetitions")}
    exercise = registry.digest(session.record.kind)
    return {**results, "code": code_digest(COMPARISON), "exercise": exercise}


def _with_raw(session: StoredSession, angles: xr.Dataset) -> xr.Dataset:
    """Add the angles of unfitted landmarks, in space and in the picture."""
    from mobility.kinematics.angles import with_raw_angles
    from mobility.kinematics.clean import clean_pose

    if "knee_flexion_raw" in angles or angles.attrs.get("method") != "fitted_body":
        return angles
    return with_raw_angles(angles, clean_pose(session.pose()))
