"""Curves of a recording over 0 to 100 % of each repetition."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import xarray as xr
from pydantic import Field, PlainValidator

from mobility.base.formatting import listed
from mobility.base.options import checked
from mobility.base.provenance import with_history
from mobility.documents import of_session
from mobility.errors import BadInputError
from mobility.kinematics.datasets import Repetitions, check_recording
from mobility.kinematics.repetitions import normalise_repetitions
from mobility.kinematics.skeleton import SIDES
from mobility.sessions.stored_session import StoredSession

Phase = Literal["repetition", "descent", "bottom", "ascent"]

POINTS = 101

_PARTS: dict[Phase, tuple[str, str, tuple[str, ...]]] = {
    "repetition": ("start", "end", ("complete",)),
    "descent": ("start", "bottom_start", ("start_seen",)),
    "bottom": ("bottom_start", "bottom_end", ()),
    "ascent": ("bottom_end", "end", ("end_seen",)),
}
"""First and last time of each phase, and the flags that mark whether the recording contains all of
it.
"""


def _check_recorded(recording: Any) -> Any:
    return recording if isinstance(recording, StoredSession) else check_recording(recording)


if TYPE_CHECKING:
    Recorded = xr.Dataset | StoredSession
else:
    Recorded = Annotated[Any, PlainValidator(_check_recorded)]


@checked
def normalise(
    recording: Recorded,
    repetitions: Repetitions | None = None,
    *,
    phase: Phase = "repetition",
    points: Annotated[int, Field(ge=2, le=100_001)] = POINTS,
) -> xr.Dataset:
    """Resample every accepted repetition, or a phase of it, to 0 to 100 % of its duration.

    Parameters
    ----------
    recording
        A session, with the angles of its report (NaN if not reported); or angles, a pose, or any
        Dataset over ``time`` in seconds.
    repetitions
        Repetitions with times on the same clock, as from :func:`find_repetitions`; None means those
        of the session.
    phase
        ``"repetition"``, or ``"descent"`` (to the start of the bottom), ``"bottom"`` or
        ``"ascent"`` (from the end of the bottom).
    points
        Number of points, both ends included.

    Returns
    -------
    xarray.Dataset
        The numeric variables over time, in their units, over (rep, percent, ...), linearly
        interpolated. Values are NaN next to frames that are NaN, in repetitions that the recording
        cuts off, and for the lifted leg. ``rep`` keeps the numbers of the repetitions; a repetition
        without that phase is left out.

    Raises
    ------
    BadInputError
        If `recording` has no dimension ``time``, if there are no repetitions, or if none of them is
        in the recording.
    """
    if isinstance(recording, StoredSession):
        intervals = recording.repetitions() if repetitions is None else repetitions
        recording = of_session.angles(recording)
    elif repetitions is None:
        raise BadInputError(
            "normalise: also pass the repetitions of the recording, as from find_repetitions"
        )
    else:
        intervals = repetitions
    first, last, flags = _PARTS[phase]
    if lacking := [name for name in (first, last, "accepted") if name not in intervals]:
        raise BadInputError(
            f"normalise: the repetitions have no {listed(lacking)}; make them with find_repetitions"
        )
    lasts = intervals["accepted"].astype(bool) & (intervals[last] > intervals[first])
    used = intervals.isel(rep=np.flatnonzero(lasts.to_numpy()))
    complete = xr.ones_like(used["accepted"], dtype=bool)
    for flag in flags:
        complete &= used[flag].astype(bool) if flag in used else True
    part = used.assign(start=used[first], end=used[last], complete=complete)
    result = normalise_repetitions(recording, part, points=points)
    if "leg" in used:
        stands = used["leg"] == xr.DataArray(list(SIDES), dims="side", coords={"side": list(SIDES)})
        result = result.map(
            lambda values: values.where(stands) if "side" in values.dims else values,
            keep_attrs=True,
        )
    result["percent"].attrs.update(long_name=f"of the {phase}", phase=phase)
    return with_history(result, "normalise", {"phase": phase, "points": points})
