"""Agreement of a session with lab data of the same trial, and of many sessions together.

What was compared is kept in the session, in ``validation/<name>/``: the curves on one clock
(``curves.nc``), the statistics (``agreement.nc``), and what they were made of
(``validation.json``). It is replaced as a whole by the next comparison with the same lab file, and
it is old as soon as the session was analysed anew.
"""

from __future__ import annotations

import csv
import datetime
import hashlib
import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from mobility.errors import BadInputError, MobilityError, NotFoundError
from mobility.options import checked, likely
from mobility.provenance import SCHEMA_VERSION, package_versions
from mobility.workbench.files import (
    check_id,
    lock,
    read_dataset,
    read_json,
    replaced,
    write_dataset,
    write_json,
    writing,
)

if TYPE_CHECKING:
    import xarray as xr

    from mobility.workbench.store import Session, Store

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]

MARGIN_DEG = 5.0
"""Largest mean difference that does not matter, where none is chosen: more than 5 degrees can mislead
a clinical decision (McGinley et al. 2009, Gait Posture 29:360)."""

_CURVES, _AGREEMENT, _DOCUMENT = "curves.nc", "agreement.nc", "validation.json"
_DISCRETE = ("bottom", "peak", "range")


@dataclass(frozen=True)
class Validation:
    """A comparison of a session with lab data, as it is stored.

    Attributes
    ----------
    folder
        Where it is.
    document
        The JSON document: lag, statistics of the primary comparison, files, warnings.
    """

    folder: Path
    document: dict[str, Any]

    @property
    def name(self) -> str:
        """Its name: that of the lab file."""
        return str(self.document["validation"])

    def curves(self) -> xr.Dataset:
        """Angles of video and lab at the times of the video, degrees."""
        return read_dataset(self.folder / _CURVES)

    def agreement(self) -> xr.Dataset:
        """Statistics of all comparisons, see :mod:`mobility.validation.agreement`."""
        return read_dataset(self.folder / _AGREEMENT)


@checked
def validate(
    session: Session,
    lab_file: str | os.PathLike[str],
    *,
    lab_angles: str | os.PathLike[str] | None = None,
    static: str | os.PathLike[str] | None = None,
    mapping: str | os.PathLike[str] | Mapping[str, Any] | None = None,
    units: str | None = None,
    vertical_axis: str | None = None,
    margin_deg: Positive = MARGIN_DEG,
    lag_s: Finite | None = None,
    max_lag_s: Positive | None = None,
    drift: bool = False,
    name: str | None = None,
    folder: str | os.PathLike[str] | None = None,
) -> Validation:
    """Compare an analysed session with what a lab measured in the same trial, and keep it.

    Parameters
    ----------
    session
        An analysed session of squats.
    lab_file
        Markers or angles of the lab: C3D, TRC, MOT, STO or CSV.
    lab_angles
        Angles of the lab's own model, where they are in a file of their own.
    static
        A static trial with the markers that were taken off for the movement.
    mapping
        Which marker and column is what, for names that no built-in mapping knows.
    units, vertical_axis
        Of `lab_file`, where it does not say.
    margin_deg
        Largest mean difference that does not matter, degrees, chosen before the data were seen.
    lag_s
        To be added to video time to get lab time, where it is known otherwise.
    max_lag_s
        Largest lag that is possible.
    drift
        Whether the clocks may run at different speeds.
    name
        Of the comparison; by default that of the lab file.
    folder
        Where it is kept; by default in the session. Needed for the demo, which is not changed.

    Returns
    -------
    Validation
        What was stored.

    Raises
    ------
    NotFoundError
        The session is not analysed, or there is no such file.
    BadInputError
        A file cannot be used, or its movement does not match that of the video.
    StorageError
        It cannot be written.
    """
    from mobility.validation.trial import compare, read_reference

    record = session._analyzed()
    session._require_exercise("Overhead Squat", "comparison with lab data")
    if folder is None:
        session.store._require_writable()
    called = _name_for(lab_file) if name is None else check_id(name, what="name of the comparison")
    reference = read_reference(
        lab_file,
        lab_angles=lab_angles,
        static=static,
        mapping=mapping,
        units=units,
        vertical_axis=vertical_axis,
    )
    angles, repetitions = _with_raw(session, session.angles()), session.repetitions()
    trial = compare(
        angles,
        repetitions,
        reference,
        margin_deg=margin_deg,
        lag_s=lag_s,
        max_lag_s=max_lag_s,
        drift=drift,
    )
    document = {
        "schema_version": SCHEMA_VERSION,
        "session_id": session.id,
        "validation": called,
        "made": f"{datetime.datetime.now().astimezone().replace(microsecond=0).isoformat()}",
        "of": _state(session),
        "user_id": record.user_id,
        "files": {kind: dict(told) for kind, told in reference.files.items()},
        "lag_s": trial.sync.lag_s,
        "lag_sd_s": _number(trial.sync.lag_sd_s),
        "synchronisation": trial.sync.document(),
        "margin_deg": margin_deg,
        "primary": str(trial.agreement.attrs["primary"]),
        "angles": statistics(trial.agreement, str(trial.agreement.attrs["primary"])),
        "comparisons": {
            str(comparison): statistics(trial.agreement, str(comparison))
            for comparison in trial.agreement["comparison"].values
            if comparison != trial.agreement.attrs["primary"]
        },
        "warnings": [dict(warning) for warning in trial.warnings],
        "versions": dict(package_versions()),
    }
    target = (Path(folder) if folder is not None else session.folder / "validation") / called
    target = target.absolute()

    def write() -> None:
        with writing(target):
            target.parent.mkdir(parents=True, exist_ok=True)
        with replaced(target, what=f"the comparison {called} of session {session.id}") as hidden:
            write_dataset(hidden / _CURVES, trial.curves)
            write_dataset(hidden / _AGREEMENT, trial.agreement)
            write_json(hidden / _DOCUMENT, document)

    if folder is not None:
        write()
    else:
        # An analysis or a deletion that is at work must not meet a half of this.
        with lock(session.store._lock(session.id), what=f"session {session.id}", wait_s=10):
            if not (session.folder / "session.json").is_file():
                raise NotFoundError(f"session {session.id}: was deleted meanwhile")
            write()
    return Validation(target, document)


def validations(session: Session, *, folder: str | os.PathLike[str] | None = None) -> list[Validation]:
    """Comparisons with lab data that are stored of a session, by name."""
    place = Path(folder) if folder is not None else session.folder / "validation"
    found = sorted(place.glob(f"[!.]*/{_DOCUMENT}"))
    return [Validation(file.parent, read_json(file)) for file in found]


def validation(
    session: Session, name: str, *, folder: str | os.PathLike[str] | None = None
) -> Validation:
    """One stored comparison.

    Raises
    ------
    NotFoundError
        There is none of this name.
    """
    known = validations(session, folder=folder)
    for one in known:
        if one.name == name:
            return one
    raise NotFoundError(
        f"session {session.id}: no comparison '{name}' with lab data"
        f"{likely(name, [one.name for one in known]) or '; make it with: mobility validate'}"
    )


def is_stale(session: Session, known: Validation) -> bool:
    """Whether the session was analysed anew or corrected since, so that the comparison is old."""
    return session.record.state != "analyzed" or known.document["of"] != _state(session)


def statistics(agreement: xr.Dataset, comparison: str) -> dict[str, Any]:
    """Statistics of a comparison as JSON values, by angle and side.

    Those of the curves stand by their names; those of the values of repetitions under ``bottom``,
    ``peak`` and ``range``. What cannot be told is None, and the reason is among them.
    """
    own = agreement.sel(comparison=comparison)
    waveform = [n for n, v in own.data_vars.items() if v.dims == ("angle", "side")]
    discrete = [n for n, v in own.data_vars.items() if v.dims == ("metric", "angle", "side")]
    found: dict[str, Any] = {}
    for angle in own["angle"].values.tolist():
        for side in own["side"].values.tolist():
            here = own.sel(angle=angle, side=side)
            if int(here["repetitions_compared"]) == 0 and int(here["frames_compared"]) == 0:
                continue
            entry: dict[str, Any] = {str(n): _json(here[n].item()) for n in waveform}
            for metric in own["metric"].values.tolist():
                at = here.sel(metric=metric)
                entry[metric] = {str(n): _json(at[n].item()) for n in discrete}
            found.setdefault(angle, {})[side] = entry
    return found


def _json(value: Any) -> Any:
    return _number(value) if isinstance(value, float) else value


def _number(value: float) -> float | None:
    return round(value, 6) if math.isfinite(value) else None


def _name_for(lab_file: str | os.PathLike[str]) -> str:
    """Name of a comparison: the lab file's, as far as it can name a folder."""
    stem = re.sub(r"[^A-Za-z0-9_.-]+", "-", Path(lab_file).stem)
    stem = re.sub(r"\.{2,}", ".", stem).strip("-._")[:64]
    return stem or "lab"


def _state(session: Session) -> dict[str, str]:
    """What a comparison is made of, besides the lab files."""
    stages = session.record.stages
    return {name: stages[name].sha256 for name in ("angles", "repetitions") if name in stages}


def _with_raw(session: Session, angles: xr.Dataset) -> xr.Dataset:
    """Angles with those of the landmarks without a fit, and in the picture."""
    from mobility.kinematics.angles import with_raw_angles
    from mobility.kinematics.clean import clean_pose

    if "knee_flexion_raw" in angles or angles.attrs.get("method") != "fitted_body":
        return angles
    return with_raw_angles(angles, clean_pose(session.pose()))
