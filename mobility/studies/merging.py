"""Combine the videos of one exercise in a visit into one Dataset of metrics.

If several videos give a number, the result is their precision-weighted mean.
``tables/merging.yaml`` contains the correlations of their errors, and lists the metrics that are
not merged.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mobility import tables
from mobility.assessment.kinds import BESIDE
from mobility.assessment.metric import CARRIED
from mobility.assessment.number import (
    ABSENT_SIDE,
    CONTRADICTED,
    GROSS,
    HIDDEN,
    HIDDEN_SIDE,
    number_of,
    value_at,
)
from mobility.assessment.verdict import LEVELS, Verdict
from mobility.base.formatting import listed, quantity
from mobility.base.provenance import with_history
from mobility.base.uncertain import sd_name, sem_name
from mobility.catalogue import registry
from mobility.catalogue.registry import exercise_of
from mobility.errors import BadInputError
from mobility.keypoints.sources import Origin
from mobility.keypoints.view import TWO_CAMERAS, UNKNOWN, VIEWS, view_in_words, view_kind
from mobility.kinematics.expected_error import error_depends_on_value, factor_with_value
from mobility.kinematics.skeleton import SIDES

Array = NDArray[np.float64]

FILMS = "films"
"""Attribute of a metric (``films_left`` for one side): the IDs of the videos behind the number."""

_OF_ONE_FILM = ("note", "refused", "refused_share", "phase", GROSS, HIDDEN, BESIDE)
"""Attributes that apply to a single video."""


@dataclass(frozen=True, eq=False)
class Film:
    """One video of an exercise.

    Attributes
    ----------
    id
        Id of the video's session.
    metrics
        Metrics Dataset of the session.
    verdict
        Verdict on the recording.
    view, azimuth
        Direction from which the camera sees the subject: its name, and degrees (NaN if unknown).
    """

    id: str
    metrics: xr.Dataset = field(repr=False)
    verdict: Verdict = field(repr=False)
    view: str = UNKNOWN
    azimuth: float = math.nan

    @property
    def variables(self) -> Mapping[Any, xr.Variable]:
        """Return the metrics as plain variables, because hundreds of numbers are read."""
        return self.metrics.variables

    @property
    def origin(self) -> Origin:
        """Return the origin of the video's keypoints."""
        return Origin.of(self.metrics.attrs)

    @property
    def kind(self) -> str:
        """Return the kind of the video's view."""
        return self.view if self.view == UNKNOWN else view_kind(self.view)

    @property
    def from_front(self) -> int:
        """Rank the kind of view, starting from the front; two cameras count as the front."""
        kinds = (*VIEWS, UNKNOWN)
        return 0 if self.kind == TWO_CAMERAS else kinds.index(self.kind)


class Merged(NamedTuple):
    """A number from several videos, or the reason why there is none.

    Attributes
    ----------
    value, sd, sem
        Mean, standard deviation of its error, and standard error of measurement; NaN if unknown.
    films
        Videos from which it is computed.
    reason
        Why there is no value.
    is_hidden, is_contradicted
        Whether no video can show it, and whether the videos contradict each other.
    weights, widened
        Weights of the videos in the mean, and the factor by which their differences widen its
        error.
    """

    value: float = math.nan
    sd: float = math.nan
    sem: float = math.nan
    films: tuple[Film, ...] = ()
    reason: str = ""
    is_hidden: bool = False
    is_contradicted: bool = False
    weights: tuple[float, ...] = ()
    widened: float = 1.0


class Given(NamedTuple):
    """The value of a number in one video, or the reason why there is none."""

    film: Film
    value: float = math.nan
    sd: float = math.nan
    sem: float = math.nan
    reason: str = ""
    is_hidden: bool = False


class Mean(NamedTuple):
    """A mean from :func:`weighted_mean`."""

    value: float
    sd: float
    p: float
    weights: Array
    widened: float


def weighted_mean(values: Array, sds: Array, correlation: Array) -> Mean:
    """Compute the precision-weighted mean of numbers with correlated errors.

    Parameters
    ----------
    values, sds
        Numbers, and the standard deviations of their errors.
    correlation
        Correlation matrix of the errors.

    Returns
    -------
    Mean
        Its ``weights`` are those of generalized least squares, restricted to at least 0, so that no
        number makes the mean worse. ``sd`` is the standard deviation of its error, ``widened`` by
        ``max(1, sqrt(chi2 / (n - 1)))`` (Birge 1932, Phys Rev 40:207). ``p`` is the probability of
        a ``chi2`` at least this large if the numbers differ only by errors, with correlations
        reduced to the ``share_of_correlation``.
    """
    from scipy.optimize import nnls
    from scipy.special import chdtrc

    precision = sds.min() / sds
    root = np.linalg.cholesky(correlation)
    least = nnls(root.T, np.linalg.solve(root, precision))[0] * precision
    weights = least / least.sum()
    # With correlated errors, only the differences count, not where the mean is.
    differing = tables.load("merging")["contradiction"]["share_of_correlation"] * correlation
    np.fill_diagonal(differing, 1.0)
    root = np.linalg.cholesky(differing)
    whitened, ones = np.linalg.solve(root, np.array([values / sds, 1 / sds]).T).T
    residuals = whitened - ones * (ones @ whitened) / (ones @ ones)
    chi2, free = float(residuals @ residuals), len(values) - 1
    widened = max(1.0, math.sqrt(chi2 / free))
    sd = widened * math.sqrt(weights * sds @ correlation @ (weights * sds))
    return Mean(float(weights @ values), sd, float(chdtrc(free, chi2)), weights, widened)


def merge(films: Sequence[Film]) -> xr.Dataset:
    """Combine the videos of one exercise.

    Values that the verdict on a video rules out are excluded. If the sides of a video may have been
    exchanged, its sides are excluded, provided that another video has either side. The difference
    right minus left of the knee comes from the videos that are filmed most from the front, unless
    the other videos are more precise.

    Left and right are then adjusted to agree with this difference, so that their errors are
    smallest. If the legs are exercised in turn, each leg is merged separately. A quantity that was
    measured in two ways, for example by two versions, has no value.

    Parameters
    ----------
    films
        At least one; their order makes no difference.

    Returns
    -------
    Metrics over the accepted repetitions, like those of one session, each with ``_sd`` and, if it
    is known, ``_sem``. ``films`` (``films_left``, ``films_right``) names the videos from which a
    number comes. If the videos contradict each other, there is no number, and ``contradicted``
    names the sides. ``source_software`` names the models of all videos. A single video keeps its
    own numbers.

    Raises
    ------
    BadInputError
        The videos show different exercises.
    """
    by_id = sorted(films, key=lambda film: film.id)
    films = sorted(by_id, key=lambda film: LEVELS.index(film.verdict.level))
    _check_alike(by_id)
    names = list(dict.fromkeys(name for film in films for name in _numbers(film.metrics)))
    in_turn = any(ABSENT_SIDE in film.metrics.attrs for film in films)
    merged: dict[str, xr.DataArray] = {}
    for name in names:
        measured = [film for film in films if name in film.variables]
        variable = measured[0].variables[name]
        units = str(variable.attrs.get("units", ""))
        if refused := _measured_unlike(measured, name):
            sides = dict.fromkeys(SIDES if variable.dims else ("",), refused)
        elif not any(is_merged(film.metrics, name) for film in measured):
            sides = {
                side: _of_one_alone(_cells(measured, name, side))
                for side in (SIDES if variable.dims else ("",))
            }
        elif not variable.dims:
            sides = {"": _unsided(measured, name, in_turn=in_turn)}
        else:
            cells = {side: _cells(measured, name, side) for side in SIDES}
            sides = {side: _of_value(name, cells[side], units) for side in SIDES}
            difference = f"{name}_asymmetry"
            if difference in names and not in_turn:
                having = [film for film in films if difference in film.variables]
                if not _measured_unlike(having, difference):
                    apart = _unsided(having, difference)
                    sides = _agreeing(measured, name, sides, apart)
        _add(merged, name, measured, sides)
    result = xr.Dataset(merged)
    first = by_id[0].metrics.attrs
    result.attrs = {key: first[key] for key in CARRIED if key in first and _shared(films, key)}
    origins = {film.origin for film in films}
    if len(origins) > 1:
        by_name = sorted(origins, key=lambda origin: origin.source_software)
        result.attrs |= Origin.together(by_name)._asdict()
    result.attrs |= {"ds_type": "metrics", "exercise": exercise_of(by_id[0].metrics).name}
    for key in (HIDDEN_SIDE, ABSENT_SIDE):
        if key in first and _shared(films, key):
            result.attrs[key] = first[key]
    views = {film.id: film.view for film in by_id}
    result.attrs["views"] = json.dumps(views)
    return with_history(result, "merge", {"films": list(views)})


def films_of(metrics: xr.Dataset, name: str, side: str = "") -> list[str]:
    """Return the videos that a merged number comes from."""
    attrs = metrics[name].attrs if name in metrics else {}
    return str(attrs.get(f"{FILMS}_{side}" if side else FILMS, "")).split()


def views_of(metrics: xr.Dataset) -> dict[str, str]:
    """Return the view of each merged video."""
    views: dict[str, str] = json.loads(metrics.attrs["views"])
    return views


def is_merged(metrics: xr.Dataset, name: str) -> bool:
    """Return whether a metric is merged; other metrics belong to single videos."""
    table, attrs = tables.load("merging"), metrics.variables[name].attrs
    return (
        sd_name(name) in metrics.variables
        and attrs.get("kind") in table["kinds"]
        and attrs.get("units") not in table["each_film"]["units"]
        and attrs.get("quantity") not in _performance_quantities(exercise_of(metrics).name)
    )


@functools.cache
def _performance_quantities(exercise: str) -> frozenset[str]:
    """Return the quantities whose measure functions describe a single performance."""
    kernels = tables.load("merging")["each_film"]["kernels"]
    measures = registry.exercise(exercise).measures
    return frozenset(n for n, row in measures.items() if row["from"].split(".")[0] in kernels)


def _numbers(metrics: xr.Dataset) -> list[str]:
    """Return the names of the numbers over the repetitions that a visit has."""
    table = tables.load("merging")
    kinds = (*table["kinds"], *table["each_film"]["kinds"])
    return [
        str(name)
        for name, variable in metrics.variables.items()
        if variable.attrs.get("kind") in kinds and variable.dims in ((), ("side",))
    ]


def _shared(films: Sequence[Film], key: str) -> bool:
    """Return whether an attribute is the same in all metrics."""
    return len({str(film.metrics.attrs.get(key)) for film in films}) == 1


def _check_alike(films: Sequence[Film]) -> None:
    first = films[0]
    for film in films:
        theirs, of_this = (str(one.metrics.attrs.get("exercise")) for one in (first, film))
        if theirs != of_this:
            what = f"show {theirs} and {of_this}; merge videos of one exercise"
            raise BadInputError(f"sessions {first.id} and {film.id} {what}")


def _measured_unlike(films: Sequence[Film], name: str) -> Merged | None:
    """Return why a number is not merged if its units or versions differ between videos."""
    shown = [film for film in films if film.verdict.shows(name)]
    variables = {film.id: film.variables[name] for film in shown}
    return unlike(
        {
            film: (variable.dims, variable.attrs.get("units"), variable.attrs.get("version"))
            for film, variable in variables.items()
        }
    )


def unlike(ways: Mapping[str, Any]) -> Merged | None:
    """Return why a number is not merged if these videos measure it in different ways."""
    ids = sorted(ways)
    other = next((one_id for one_id in ids if ways[one_id] != ways[ids[0]]), None)
    if other is None:
        return None
    return Merged(reason=tables.sentence("reasons.unlike", sessions=listed([ids[0], other])))


def _cells(films: Sequence[Film], name: str, side: str) -> list[Given]:
    """Return the value that each video has for a number.

    Left out are videos that do not show the leg, if others do, and videos whose sides may have been
    exchanged, if another video has either side.
    """
    shown = [film for film in films if not side or film.metrics.attrs.get(ABSENT_SIDE) != side]
    is_sided = side or films[0].variables[name].attrs.get("kind") == "asymmetry"
    certain = [film for film in films if not film.verdict.sides_in_doubt]
    if is_sided and any(_has_a_side(film, name.removesuffix("_asymmetry")) for film in certain):
        shown = [film for film in shown if film in certain] or certain
    return [_cell(film, name, side) for film in shown or films]


def _has_a_side(film: Film, name: str) -> bool:
    """Return whether a video has either side of a metric, or their difference."""
    places = [(name, side) for side in SIDES if name in film.variables]
    cells = [_cell(film, place, side) for place, side in (*places, (f"{name}_asymmetry", ""))]
    return any(math.isfinite(cell.value) for cell in cells)


def _cell(film: Film, name: str, side: str) -> Given:
    if name not in film.variables:
        return Given(film)
    if not film.verdict.shows(name):
        return Given(film, reason=film.verdict.why_without(name))
    number = number_of(film.metrics, name, side)
    if number.is_measured:
        return Given(film, number.value, number.sd, number.sem)
    attrs = film.metrics.attrs
    unseen = str(film.variables[name].attrs.get(HIDDEN, "")).split()
    is_hidden = side in unseen or attrs.get(HIDDEN_SIDE) == side if side else bool(unseen)
    return Given(film, reason=number.reason, is_hidden=is_hidden)


def _of_one_alone(cells: Sequence[Given]) -> Merged:
    """Return a number that is not merged, if only one video has it."""
    with_value = [cell for cell in cells if math.isfinite(cell.value)]
    if len(with_value) > 1:
        return Merged(reason=tables.sentence("reasons.each_film"))
    return merge_numbers(with_value or cells)


def _of_value(name: str, cells: Sequence[Given], units: str) -> Merged:
    """Merge the values of a number whose error may depend on its value.

    Videos are weighted by their errors at one common value. With the errors at their own values,
    the smaller value would always win.
    """
    if not error_depends_on_value(name):
        return merge_numbers(cells, units)

    def factor(value: float) -> float:
        return float(factor_with_value(name, xr.DataArray(value)))

    alike = [cell._replace(sd=cell.sd / factor(cell.value)) for cell in cells]
    merged = merge_numbers(alike, units)
    return merged._replace(sd=merged.sd * factor(merged.value))


def merge_numbers(cells: Sequence[Given], units: str = "") -> Merged:
    """Merge the values of a number in `units` by their precision, if possible."""
    with_value = [cell for cell in cells if math.isfinite(cell.value)]
    weighed = [cell for cell in with_value if math.isfinite(cell.sd) and cell.sd > 0]
    if len(with_value) > 1 and not weighed:
        return Merged(reason=tables.sentence("reasons.each_film"))
    if len(weighed) < 2:
        for cell in weighed or with_value:
            return Merged(cell.value, cell.sd, cell.sem, (cell.film,), weights=(1.0,))
        # "Not visible" is the reason only if it applies to all videos.
        without = sorted(cells, key=lambda cell: cell.is_hidden)
        return Merged(reason=without[0].reason, is_hidden=all(cell.is_hidden for cell in cells))
    values, sds, sems = (
        np.array([getattr(cell, key) for cell in weighed]) for key in ("value", "sd", "sem")
    )
    together = tuple(cell.film for cell in weighed)
    mean = weighted_mean(values, sds, _correlation(together))
    if mean.p < tables.load("merging")["contradiction"]["value"]:
        return Merged(films=together, reason=_contradiction(weighed, units), is_contradicted=True)
    # As if test-retest errors were the same in all videos: larger than with no correlation.
    counts = mean.weights > 0
    sem = float(mean.weights[counts] @ sems[counts])
    weights = tuple(mean.weights.tolist())
    return Merged(mean.value, mean.sd, sem, together, weights=weights, widened=mean.widened)


def _correlation(films: Sequence[Film]) -> Array:
    """Return the correlation of the errors of videos.

    An unknown view is treated as an equal mixture of all known views.
    """
    table = tables.load("merging")["correlation"]
    other, same = (float(table[relation]["value"]) for relation in ("other_view", "same_view"))
    kinds = [film.kind for film in films]
    views = sorted({*kinds} - {UNKNOWN}) or [UNKNOWN]
    unknown = [len(views) ** -0.5] * len(views)
    parts = np.array(
        [[float(kind == view) for view in views] if kind in views else unknown for kind in kinds]
    )
    correlation: Array = other + (same - other) * (parts @ parts.T)
    np.fill_diagonal(correlation, 1.0)
    return correlation


def _unsided(films: Sequence[Film], name: str, *, in_turn: bool = False) -> Merged:
    """Merge a number without sides; a difference between sides may come from one video."""
    cells: Sequence[Given] = _cells(films, name, "")
    attrs = films[0].variables[name].attrs
    of_one = tables.load("merging")["difference_of_one_film"]["quantities"]
    if attrs.get("kind") == "asymmetry" and attrs.get("quantity") in of_one:
        cells = _frontmost(cells)
    merged = merge_numbers(cells, str(attrs.get("units", "")))
    if in_turn and attrs.get("kind") == "asymmetry" and not merged.films:
        return _apart_filmed_sides(films, str(attrs["quantity"]), merged)
    return merged


def _frontmost(cells: Sequence[Given]) -> Sequence[Given]:
    """Choose the videos whose view is closest to the front, unless the others are more precise."""
    with_error = [cell for cell in cells if math.isfinite(cell.value + cell.sd)]
    least = min((cell.film.from_front for cell in with_error), default=0)
    front = [cell for cell in with_error if cell.film.from_front == least]
    from_other_kinds = [cell for cell in with_error if cell not in front]
    if not from_other_kinds:
        return front or cells
    ahead, behind = merge_numbers(front), merge_numbers(from_other_kinds)
    return cells if math.isnan(ahead.value) or behind.sd < ahead.sd else front


def _apart_filmed_sides(films: Sequence[Film], name: str, otherwise: Merged) -> Merged:
    """Compare legs that are performed in turn and were filmed separately."""
    measured = [film for film in films if name in film.variables]
    left, right = (merge_numbers(_cells(measured, name, side)) for side in SIDES)
    return right_minus_left(left, right, otherwise)


def right_minus_left(left: Merged, right: Merged, otherwise: Merged) -> Merged:
    """Compare sides that were merged separately, assuming that their errors are independent."""
    if not (math.isfinite(left.value) and math.isfinite(right.value)):
        return otherwise._replace(value=math.nan, sd=math.nan, sem=math.nan, films=())
    films = (*left.films, *(film for film in right.films if film not in left.films))
    sd, sem = math.hypot(left.sd, right.sd), math.hypot(left.sem, right.sem)
    return Merged(right.value - left.value, sd, sem, films)


def _agreeing(
    films: Sequence[Film], name: str, sides: dict[str, Merged], difference: Merged
) -> dict[str, Merged]:
    """Adjust sides from several videos to agree with the merged difference between the sides.

    The discrepancy is shared between the sides so that their errors are smallest.
    """
    several = {film.id for side_number in sides.values() for film in side_number.films}
    numbers = (*sides.values(), difference)
    if len(several) < 2 or not all(math.isfinite(number.value + number.sd) for number in numbers):
        return sides
    left, right = (sides[side].value for side in SIDES)
    together = tuple(film for film in films if any(film in number.films for number in numbers))
    correlation = _correlation(together)
    errors = _errors(together, name, sd_name, numbers, [number.widened for number in numbers])
    lacks = errors[2] - (errors[1] - errors[0])
    squared = _product(lacks, lacks, correlation)
    share = 0.5
    if squared > 1e-9 * difference.sd**2:
        share += _product(errors[0] + errors[1], lacks, correlation) / (2 * squared)
    shares = np.clip([-share, 1 - share], [-1, 0], [0, 1])
    values = np.array([left, right]) + shares * (difference.value - (right - left))
    again = _errors(together, name, sem_name, numbers, [1.0] * len(numbers))
    lacks_again = again[2] - (again[1] - again[0])
    agreeing = {}
    for place, side in enumerate(SIDES):
        error = errors[place] + shares[place] * lacks
        sem = again[place] + shares[place] * lacks_again
        agreeing[side] = Merged(
            float(values[place]),
            math.sqrt(_product(error, error, correlation)),
            math.sqrt(_product(sem, sem, np.ones_like(correlation))),
            together,
        )
    return agreeing


def _product(one: Array, other: Array, correlation: Array) -> float:
    """Return the covariance of two errors, each given by its part from every video."""
    return float(np.einsum("ik,ij,jk", one, correlation, other))


def _errors(
    films: Sequence[Film],
    name: str,
    error_name: Callable[[str], str],
    numbers: Sequence[Merged],
    widened: Sequence[float],
) -> Array:
    """Return the parts of the errors of left, right and their difference that each video causes.

    A video's error has two parts of variance 1. The correlation between the errors of its sides
    follows from the error of their difference; if this error is unknown, the correlation is the
    mean for the other videos.
    """
    stated = np.array(
        [
            [value_at(film.metrics, error_name(name), side) for side in SIDES]
            + [value_at(film.metrics, error_name(f"{name}_asymmetry"))]
            for film in films
        ]
    )
    left, right, apart = stated.T
    with np.errstate(divide="ignore", invalid="ignore"):
        alike = np.clip((left**2 + right**2 - apart**2) / (2 * left * right), -0.99, 0.99)
    is_finite = np.isfinite(alike)
    alike[~is_finite] = alike[is_finite].mean() if is_finite.any() else 0.0
    half, rest = np.sqrt(1 + alike) / 2, np.sqrt(1 - alike) / 2
    of_sides = np.array([[half + rest, half - rest], [half - rest, half + rest]])
    of_sides = of_sides.transpose(2, 0, 1) * stated[:, :2, np.newaxis]
    of_difference = of_sides[:, 1] - of_sides[:, 0]
    length = np.linalg.norm(of_difference, axis=1)
    unseen = ~(length > 0)
    of_difference[unseen], length[unseen] = (-1.0, 1.0), math.sqrt(2)
    of_difference *= (apart / length)[:, np.newaxis]
    loads = (of_sides[:, 0], of_sides[:, 1], of_difference)
    merged = np.zeros((len(numbers), len(films), 2))
    for place, number in enumerate(numbers):
        for film, weight in zip(number.films, number.weights, strict=True):
            if weight > 0:
                at = films.index(film)
                merged[place, at] = widened[place] * weight * loads[place][at]
    return merged


def _add(
    merged: dict[str, xr.DataArray],
    name: str,
    films: Sequence[Film],
    sides: Mapping[str, Merged],
) -> None:
    """Add a number with all sides, or without sides, in place, with its errors."""
    from_films = list(dict.fromkeys(film for number in sides.values() for film in number.films))
    source, *other_films = from_films or films
    attrs = dict(source.variables[name].attrs)
    dropped = (HIDDEN, BESIDE) if not other_films else _OF_ONE_FILM
    attrs = {key: value for key, value in attrs.items() if key not in dropped}
    for side, number in sides.items():
        behind = f"_{side}" if side else ""
        if number.films:
            attrs[f"{FILMS}{behind}"] = " ".join(sorted(film.id for film in number.films))
        if math.isfinite(number.value):
            continue
        attrs[f"note{behind}"] = number.reason
        attrs.setdefault("note", number.reason)
        for key, applies in ((HIDDEN, number.is_hidden), (CONTRADICTED, number.is_contradicted)):
            if applies:
                attrs[key] = f"{attrs.get(key, '')} {side or ' '.join(SIDES)}".strip()

    def added(variable: str, key: str, described: Mapping[str, Any]) -> None:
        numbers = [getattr(number, key) for number in sides.values()]
        merged[variable] = (
            xr.DataArray(numbers[0], attrs=described)
            if "" in sides
            else xr.DataArray(numbers, {"side": list(sides)}, ("side",), attrs=described)
        )

    added(name, "value", attrs)
    beside = []
    for key, error in (("sd", sd_name(name)), ("sem", sem_name(name))):
        having = [film for film in films if error in film.variables]
        if having:
            of_error = having[0].variables[error].attrs
            described = {k: v for k, v in of_error.items() if k not in _OF_ONE_FILM}
            added(error, key, described)
            beside.append(error)
    if beside:
        merged[name].attrs[BESIDE] = " ".join(beside)


def _contradiction(cells: Sequence[Given], units: str) -> str:
    """List the value that each video has for a number."""
    values = []
    for film, value in ((cell.film, cell.value) for cell in cells):
        values.append(f"{quantity(value, units)} {view_in_words(film.view)}")
    return tables.sentence("reasons.contradicted", values=listed(values))
