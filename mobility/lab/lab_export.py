"""Export of a session as a file for OpenSim and labs."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import xarray as xr

from mobility.base.options import FilePath, checked, likely
from mobility.documents import of_session
from mobility.errors import BadInputError
from mobility.lab.lab_writers import FORMATS, Fill, resampled, write_forces, write_loads
from mobility.sessions.stored_session import StoredSession

Format = Literal["trc", "c3d", "mot", "sto", "csv"]


@checked
def export_lab(
    session: StoredSession,
    path: FilePath,
    *,
    file_format: Format | None = None,
    positions: bool = False,
    landmarks: bool = False,
    loads: bool = False,
    weight_kg: float | None = None,
    fill: Fill | None = None,
    rate: float | None = None,
    license: str | None = None,
) -> Path:
    """Write positions, angles and events of a session for OpenSim and labs.

    Parameters
    ----------
    session
        An analysed session.
    path
        The file to write. C3D contains positions, angles, and the start, bottom and end of each
        repetition. TRC contains positions. MOT, STO and CSV contain the angles of the report.
    file_format
        Format; by default it follows from the ending of `path`.
    positions
        Whether to write only positions: instead of angles in CSV, and without angles in C3D.
    landmarks
        Whether to write the detected landmarks instead of the fitted body.
    loads
        Whether to write loads of the legs instead of angles: all of them in STO, and the force
        under each foot in MOT, which OpenSim reads as external loads.
    weight_kg
        Mass of the person for `loads`; by default the mass in the record of the participant. MOT
        needs it.
    fill
        "interpolate" fills gaps in TRC, MOT and STO, which OpenSim cannot read with gaps.
    rate
        Frames per second to which C3D, TRC, MOT and STO are resampled; the file records it. By
        default, the times of the video are used. C3D has no times, so a video with a varying frame
        rate needs this option.
    license
        Licence of the data, such as "CC0", which C3D, MOT and STO state; by default "not stated".

    Raises
    ------
    BadInputError
        There is no such format, or an option does not fit it.
    """
    path = Path(path)
    kind = file_format or path.suffix.lower().removeprefix(".")
    if kind not in FORMATS:
        raise BadInputError(
            f"{path}: there is no format '{kind}'{likely(kind, FORMATS)}; choose from "
            f"{', '.join(FORMATS)}"
        )
    if loads:
        return _export_loads(
            session, path, kind, positions or landmarks, weight_kg, fill, rate, license
        )
    if weight_kg is not None:
        raise BadInputError.of({"weight_kg": "is only used for loads; leave it out, or add loads"})
    if positions and kind in ("mot", "sto"):
        raise BadInputError.of({"positions": f"{kind} has only angles; use trc, c3d or csv"})
    of_angles = kind in ("mot", "sto", "csv") and not positions
    if landmarks and of_angles:
        fault = "landmarks are positions; use trc, c3d, or csv with positions"
        raise BadInputError.of({"landmarks": fault})
    if fill and kind in ("c3d", "csv"):
        raise BadInputError.of({"fill": f"{kind} has gaps; only trc, mot and sto can be filled"})
    if rate is not None and kind == "csv":
        raise BadInputError.of({"rate": "csv keeps the times of all frames; leave the rate out"})

    if license is not None and kind in ("trc", "csv"):
        raise BadInputError.of({"license": f"{kind} has no place for it; use c3d, mot or sto"})

    def at_rate(dataset: xr.Dataset) -> xr.Dataset:
        return dataset if rate is None else resampled(dataset, rate)

    if of_angles:
        dataset = at_rate(of_session.angles(session))
    else:
        dataset = at_rate(session.pose() if landmarks else session.fitted())
    options: dict[str, Any] = {"fill": fill} if fill else {}
    options |= {"license": license} if license is not None else {}
    if kind == "c3d" and not positions:
        angles = at_rate(of_session.angles(session))
        options |= {"angles": angles, "repetitions": session.repetitions()}
    return FORMATS[kind](dataset, path, **options)


def _export_loads(
    session: StoredSession,
    path: Path,
    kind: str,
    of_positions: bool,
    weight_kg: float | None,
    fill: Fill | None,
    rate: float | None,
    license: str | None,
) -> Path:
    """Write the loads of a session (STO), or the force under each foot (MOT)."""
    from mobility.leg_loads.loads import ground_forces
    from mobility.leg_loads.loads import loads as loads_of

    if kind not in ("sto", "mot") or of_positions:
        fault = "are written as sto (all loads) or mot (force under each foot), without positions"
        raise BadInputError.of({"loads": f"loads {fault}"})
    person = session.participant
    if weight_kg is None and person is not None:
        weight_kg = person.weight_kg
    pose, repetitions = session.fitted(), session.repetitions()
    if kind == "sto":
        height = None if person is None else person.height_m
        written = loads_of(pose, repetitions=repetitions, weight_kg=weight_kg, height_m=height)
        written = written if rate is None else resampled(written, rate)
        return write_loads(written, path, fill=fill, license=license)
    if weight_kg is None:
        fault = "forces in newtons need the person's mass; pass weight_kg, or add it to the record"
        raise BadInputError.of({"weight_kg": f"{fault} of the participant"})
    forces = ground_forces(pose, weight_kg=weight_kg, repetitions=repetitions)
    forces = forces if rate is None else resampled(forces, rate)
    return write_forces(forces, path, fill=fill, license=license)
