"""Changes since an earlier visit, compared with the errors of both.

The errors are the standard errors of measurement between visits (``assessment/trial_errors.py``),
from the package or from the lab. They only apply if both visits were filmed and analysed in the
same way; otherwise, the errors of the numbers themselves are added.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from mobility.assessment.trial_errors import judged, least_change, visit_error
from mobility.documents.lab_references import Conditions, RetestErrors
from mobility.errors import MobilityError
from mobility.sessions.filming import Filming, filmed_alike, filming_of

if TYPE_CHECKING:
    from mobility.documents.lab_references import Reference
    from mobility.sessions.stored_session import StoredSession


class Measured(NamedTuple):
    """A number of a visit.

    Attributes
    ----------
    exercise, metric, side
        Description of the number; for single-joint range of motion, ``metric`` has the movement in
        brackets.
    value, sd, sem, units, version
        The number with its errors, unit and version; NaN if unknown.
    views
        Views of all videos of the exercise.
    sessions
        Sessions from which the number comes.
    repetitions
        Number of repetitions behind the number, in the video with the fewest; 0 without
        repetitions.
    goal, direction
        Target of its rule, and the side on which values are outside it; NaN and "" without one.
    """

    exercise: str
    metric: str
    side: str
    value: float
    sd: float
    sem: float
    units: str
    version: str
    views: str
    sessions: tuple[StoredSession, ...]
    repetitions: int = 0
    goal: float = math.nan
    direction: str = ""


def changes(
    before: Sequence[Measured], now: Sequence[Measured], references: Sequence[Reference] = ()
) -> list[dict[str, Any]]:
    """Compare the numbers of two visits.

    Parameters
    ----------
    before, now
        Numbers of both visits.
    references
        Results of the lab's own studies.

    Returns
    -------
    list of dict
        For each number that both visits have with an error between visits: ``exercise``,
        ``metric``, ``side``, ``before``, ``now``, ``change``, ``least`` (the smallest detectable
        change, 95 %), ``exceeds``, ``judged``
        (:data:`~mobility.assessment.trial_errors.Judgement`), ``repetitions`` (of the visit with
        fewer), ``units``, ``error`` and ``error_of``. ``error`` is "retest" if both were filmed in
        the same way; otherwise it is "own", and includes the errors of both numbers. ``error_of``
        is "package", or the name of the lab's study.
    """
    earlier = {(number.exercise, number.metric, number.side): number for number in before}
    filmings: dict[str, Filming | None] = {}
    compared = []
    for number in now:
        old = earlier.get((number.exercise, number.metric, number.side))
        if old is None or (old.units, old.version) != (number.units, number.version):
            continue
        alike = is_filmed_alike(old, number, filmings)
        errors, whose = errors_between_visits([old, number], references, filmings, alike=alike)
        least = float(least_change(*errors))
        change = number.value - old.value
        if not (math.isfinite(least) and math.isfinite(change)):
            continue
        compared.append(
            {
                **{"exercise": number.exercise, "metric": number.metric, "side": number.side},
                **{"before": old.value, "now": number.value, "change": change, "least": least},
                **{"exceeds": abs(change) > least, "units": number.units},
                "judged": judged(
                    *(old.value, number.value),
                    goal=number.goal,
                    direction=number.direction,
                    alike=alike,
                ),
                "repetitions": min(old.repetitions, number.repetitions),
                **{"error": "retest" if alike else "own", "error_of": whose},
            }
        )
    return compared


def errors_between_visits(
    numbers: Sequence[Measured],
    references: Sequence[Reference],
    filmings: dict[str, Filming | None],
    *,
    alike: bool,
) -> tuple[list[float], str]:
    """Return the error of each number in a comparison of visits, and "package" or the lab's study.

    `filmings` keeps what is read of the sessions; it may be empty.
    """
    if alike and (study := _of_study(numbers[-1], references, filmings)) is not None:
        return [study[0]] * len(numbers), study[1]
    return [float(visit_error(one.sd, one.sem, alike=alike)) for one in numbers], "package"


def is_filmed_alike(before: Measured, now: Measured, filmings: dict[str, Filming | None]) -> bool:
    """Return whether two numbers come from videos filmed and analysed in the same way."""
    return _filmed_alike(before.sessions, now.sessions, filmings)


def fewest_repetitions(session: StoredSession) -> int:
    """Count the repetitions behind the numbers of a session, on the leg with fewer of them.

    The count is 0 without repetitions, or if they are unreadable.
    """
    with suppress(MobilityError):
        repetitions = session.repetitions()
        accepted = repetitions["accepted"].to_numpy().astype(bool)
        if "leg" not in repetitions:
            return int(accepted.sum())
        legs = repetitions["leg"].to_numpy()[accepted].tolist()
        return min((legs.count(leg) for leg in set(legs)), default=0)
    return 0


def _filmed_alike(
    before: Sequence[StoredSession],
    now: Sequence[StoredSession],
    filmings: dict[str, Filming | None],
) -> bool:
    """Return whether both have the same views, filmed and analysed in the same way."""
    of_views: list[dict[str, list[Filming]]] = [{}, {}]
    for sessions, views in zip((before, now), of_views, strict=True):
        for session in sessions:
            if (filming := _filming(session, filmings)) is None:
                return False
            views.setdefault(filming.view, []).append(filming)
    old, new = of_views
    same_code = len({_software(session) for session in (*before, *now)}) == 1
    alike = old.keys() == new.keys() and all(filmed_alike(old[v] + new[v]) for v in old)
    return bool(old) and same_code and alike


def _filming(session: StoredSession, filmings: dict[str, Filming | None]) -> Filming | None:
    if session.id not in filmings:
        filmings[session.id] = None
        with suppress(MobilityError):  # its results are deleted or damaged
            filmings[session.id] = filming_of(session)
    return filmings[session.id]


def _distinct(names: Iterable[str]) -> str:
    """List distinct names, as the table of visits does."""
    return ", ".join(sorted(set(names)))


def _software(session: StoredSession) -> str:
    provenance = session.record.provenance
    return "" if provenance is None else provenance.versions.get("mobility", "")


def _of_study(
    number: Measured, references: Sequence[Reference], filmings: dict[str, Filming | None]
) -> tuple[float, str] | None:
    """Return the newest test-retest error that applies to the videos of a number."""
    alike = [f for s in number.sessions if (f := _filming(s, filmings)) is not None]
    conditions = Conditions(
        exercise=number.exercise,
        view=number.views,
        method=alike[0].method,
        cameras=max(filming.cameras for filming in alike),
        software=_software(number.sessions[0]),
        standing=alike[0].standing,
        level="visit",
        pose_source=_distinct(filming.pose_source for filming in alike),
        source_software=_distinct(filming.source_software for filming in alike),
    )
    for reference in references:
        for error in reference.errors if isinstance(reference, RetestErrors) else ():
            of_error = (error.conditions, error.metric, error.side, error.version)
            if of_error == (conditions, number.metric, number.side, number.version):
                return error.sem, reference.name
    return None
