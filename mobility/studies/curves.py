"""Curves over 0 to 100 % of a repetition, for recordings, people and groups; tests of curves.

The unit is the participant: repetitions are averaged within a session, and sessions within a
participant, before groups are described or compared.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from pydantic import Field, PlainValidator

from mobility import tables
from mobility.assessment.number import reason_of_side
from mobility.base.formatting import listed
from mobility.base.options import Names, Seed, checked, likely, quoted
from mobility.base.provenance import with_history
from mobility.base.uncertain import sd_beside, sd_name
from mobility.documents import of_session
from mobility.documents.normalised import POINTS, Phase, normalise
from mobility.errors import BadInputError, MobilityError
from mobility.keypoints.sources import Origin
from mobility.kinematics.angle_errors import angle_deviations, legs_unseen_sd
from mobility.kinematics.datasets import (
    check_normalised,
    kind_made_by,
)
from mobility.kinematics.expected_error import trial_factors
from mobility.kinematics.skeleton import SIDES
from mobility.sessions.record import ANONYMOUS, verdict_in_words
from mobility.sessions.stored_session import StoredSession
from mobility.studies.cohort import COMPARED, check_recordings
from mobility.studies.statistics.limits_of_agreement import LEAST
from mobility.studies.statistics.waveforms import (
    ALPHA,
    ARRANGEMENTS,
    BAND_COVERAGE,
    CurveTest,
    band_factor,
    clusters_beyond,
    independent_curve_test,
    paired_curve_test,
)

Array = NDArray[np.float64]
Of = Literal["value", "from_start", "right_minus_left"]

NO_SIDE = ""
"""Side of an angle without sides, as in the tables of cohorts."""

NO_GROUP = "all"
"""Name of the group if no groups are passed."""

_FACTOR = {"from_start": "from_standing", "right_minus_left": "sides"}
"""Name of the number in the table ``trial_errors`` whose factor applies to a difference."""

_ERROR = {
    "value": "mostly a bias of the recording, which does not average out over repetitions",
    "from_start": "errors that are the same at 0 % cancel, which may be a small part",
    "right_minus_left": "errors that both sides share cancel, which may be a small part",
}

_SUFFIX = {
    "value": "",
    "from_start": ", minus the value at 0 %",
    "right_minus_left": ", right minus left",
}


def _is_list(value: Any) -> bool:
    """Return whether a value can be iterated, which an array without a dimension cannot."""
    return isinstance(value, Iterable) and getattr(value, "ndim", 1) > 0


def _check_trials(value: Any) -> list[Any]:
    if isinstance(value, StoredSession | xr.Dataset | str) or not _is_list(value):
        raise BadInputError("must be a list of sessions, or of Datasets from mobility.normalise")
    trials = list(value)
    for number, trial in enumerate(trials, start=1):
        if isinstance(trial, StoredSession):
            continue
        if isinstance(trial, xr.Dataset) and {"rep", "percent"} <= set(trial.dims):
            try:
                check_normalised(trial)
            except BadInputError as error:
                raise BadInputError(f"number {number}: {error}") from None
        else:
            raise BadInputError(
                f"number {number}: must be a session, or a Dataset from mobility.normalise (got "
                f"{quoted(trial)})"
            )
    if not trials:
        raise BadInputError("there is no session; give at least one")
    return trials


def _check_labels(value: Any) -> list[str] | None:
    """Return a list, or a column of a table, as texts."""
    if value is None:
        return None
    if isinstance(value, str | bytes) or not _is_list(value):
        raise BadInputError("must be a list with a name for each recording")
    labels = list(value)
    for number, label in enumerate(labels, start=1):
        if not isinstance(label, str | int | float | np.generic) or label != label or label == "":
            raise BadInputError(f"number {number} must be a name (got {quoted(label)})")
    return [str(label) for label in labels]


_OVER = "group side percent"

_check_curves = kind_made_by(
    "mobility.mean_curves",
    {
        **{"percent": "percent", "curve": f"participant {_OVER}"},
        **dict.fromkeys(("n_at", "mean", "sd", sd_name("mean_error"), "lower", "upper"), _OVER),
        **dict.fromkeys(("lower_whole", "upper_whole"), _OVER),
    },
    texts={
        **{"group": "group", "side": "side", "reason": "trial side"},
        **dict.fromkeys(("trial_group", "trial_participant", "trial_view"), "trial"),
    },
    attributes={"curve": "units long_name"},
)


if TYPE_CHECKING:
    TrialsOfPeople = Sequence[xr.Dataset | StoredSession]
    Labels = Sequence[str] | None
    Curves = xr.Dataset
else:
    TrialsOfPeople = Annotated[Any, PlainValidator(_check_trials)]
    Labels = Annotated[Any, PlainValidator(_check_labels)]
    Curves = Annotated[Any, PlainValidator(_check_curves)]


class _Trial(NamedTuple):
    """Mean curve of one recording over (side, percent), with its error, counts and reasons.

    `squares` are the sums of squares of the repetitions about their mean, and `repetitions` their
    number, both also over (side, percent).
    """

    name: str
    participant: str
    view: str
    model: str
    curve: Array
    squares: Array
    error: Array
    repetitions: NDArray[np.int64]
    reasons: list[str]


@checked
def mean_curves(
    trials: TrialsOfPeople,
    name: str = "knee_flexion",
    *,
    groups: Labels = None,
    participants: Labels = None,
    phase: Phase = "repetition",
    of: Of = "value",
    points: Annotated[int, Field(ge=2, le=10_001)] = POINTS,
    recordings: Names = COMPARED,
) -> xr.Dataset:
    """Average curves over 0 to 100 %: repetitions within a person, then people within a group.

    Parameters
    ----------
    trials
        Sessions, or Datasets from :func:`mobility.normalise` with that phase.
    name
        Name of an angle.
    groups, participants
        Group and participant of each entry, in the same order, as a list or a column of a table.
        If None, all entries form one group, and the participants come from the records of the
        sessions. Each session of "anonymous" then counts as a separate person.
    phase, points
        As in :func:`mobility.normalise`.
    of
        ``"value"``, ``"from_start"`` (minus the value at 0 %), or ``"right_minus_left"``.
    recordings
        Verdicts on the recordings to include: any of "good", "limited", "not_this_exercise",
        "unusable".

    Returns
    -------
    xarray.Dataset
        ``side`` is left and right, or "" for an angle without sides.

        Over (group, participant, side, percent): `curve` is the mean of the person's sessions, and
        `repetition_sd` the SD between the repetitions of a session. `person_lower` and
        `person_upper` are the limits of the 95 % confidence interval of each point of the person's
        mean (t, from three repetitions on). `error_sd` is the SD of the model's error, and
        `repetitions` and `sessions` are their numbers.

        A session is the mean of its repetitions without gaps. If all its repetitions have gaps, it
        is, at each percent, the mean of the repetitions that have a value there.

        Over (group, side, percent): `mean`, `sd` between people, `mean_error_sd`, and `n_at`, the
        number of people at each percent. `lower` and `upper` are the limits of the 95 % confidence
        interval of each point (t, from three people on). `lower_whole` and `upper_whole` are the
        limits of a simultaneous band for the whole mean curve of the people without gaps (from five
        people on, by sign flips of the largest t:
        :func:`mobility.studies.statistics.waveforms.band_factor`). Over (group, side): `n` people,
        of whom `n_whole` have no gap.

        Over (trial, side): the `reason` why an entry is left out; empty if it is used.

    Raises
    ------
    BadInputError
        No entry has that angle, the exercises differ, or the number of groups or participants
        differs from the number of entries.

    Notes
    -----
    An interval shows how far the mean of other, similar people may be from this mean. It does not
    include an error that all people share. The error of a curve is mostly a bias of the recording,
    which is similar for people who are filmed in the same way. `mean_error_sd` is the standard
    deviation of that error for the mean curve if all share it; divide it by √n if they do not.

    The shared error cancels between groups that are filmed in the same way. In `from_start` and
    `right_minus_left`, it cancels in part. The remaining error follows from the posterior samples
    of the fit, times calibration factors that were measured at the bottom of squats
    (``tables/trial_errors.yaml``). Without a fit, the errors of two values count as independent.
    """
    _require_label_per_trial(groups, len(trials), "groups")
    _require_label_per_trial(participants, len(trials), "participants")
    labels = [NO_GROUP] * len(trials) if groups is None else groups
    if participants is None and any(isinstance(trial, xr.Dataset) for trial in trials):
        raise BadInputError("mean_curves: name the participants of the Datasets")
    compared = check_recordings(recordings)
    _require_alike(trials, phase, points)
    angle = _first_of(trials, name)
    sided = "side" in angle.dims
    if of == "right_minus_left" and not sided:
        raise BadInputError(f"mean_curves: {quoted(name)} has no sides to subtract")
    sides = list(SIDES) if sided and of != "right_minus_left" else [NO_SIDE]
    measured = [
        _curve_of(trial, number, name, sides, phase=phase, of=of, points=points, compared=compared)
        for number, trial in enumerate(trials, start=1)
    ]
    if participants is not None:
        named = zip(measured, participants, strict=True)
        measured = [one._replace(participant=person) for one, person in named]
    result = _with_means(_of_people(measured, labels, sides, angle, of))
    views = sorted({t.view for t in measured if t.view and not all(t.reasons)})
    noted: dict[str, Any] = {"views": views, "trials": len(trials), "band": BAND_COVERAGE}
    models = sorted({t.model for t in measured if not all(t.reasons)})
    warned = []
    if len(views) > 1:
        warned.append(tables.warning("curves.several_views", views=", ".join(views)))
    if len(models) > 1:
        warned.append(tables.warning("curves.several_models", models=", ".join(models)))
    if warned:
        noted["warnings"] = warned
    arguments = {"name": name, "phase": phase, "of": of, "points": points}
    result["percent"].attrs.update(units="percent", long_name=f"of the {phase}", phase=phase)
    return with_history(result, "mean_curves", arguments, **noted)


@checked
def compare_curves(
    curves: Curves,
    first: str,
    second: str,
    *,
    paired: bool,
    alpha: Annotated[float, Field(gt=0, lt=1)] = ALPHA,
    arrangements: Annotated[int, Field(ge=100, le=1_000_000)] = ARRANGEMENTS,
    seed: Seed = 0,
) -> xr.Dataset:
    """Test by sign flips where, between 0 and 100 %, the mean curves of two groups differ.

    Parameters
    ----------
    curves
        Curves from :func:`mobility.mean_curves`, with groups.
    first, second
        Two of its groups. The difference is the second minus the first.
    paired
        Whether the same people are in both groups (two visits, with and without). If so, the signs
        of their differences are flipped. Otherwise the test uses Welch's t, because groups may vary
        differently, and flips the signs of each person's deviations from the mean of the group.
    alpha
        Error rate over the whole curve of a side, two-tailed. Each side has its own test.
    arrangements, seed
        Number of sign flips. If there are at most this many possible flips, all are tried.
        Otherwise this many are drawn, which are always the same for a given `seed`.

    Returns
    -------
    xarray.Dataset
        Over (side, percent): `difference`, `t`, `p` (adjusted for the whole curve: the share of
        arrangements whose largest t anywhere, of either sign, is as large) and `error_sd`, the
        model's error of the difference if nothing cancels. Over (side): `threshold` of ±t,
        `n_first` and `n_second` (the number of pairs if `paired`), `people` in both groups
        together, `left_out` (people without a pair or a curve), and `reason` if there is no test.

        Over (cluster): `cluster_side`, `cluster_start` and `cluster_end` in percent, `cluster_peak`
        (percent), `cluster_difference` at the peak, `cluster_p`. Every point of a cluster differs.

    Raises
    ------
    BadInputError
        There is no such group, or a person is in both groups although they are not paired. On both
        sides, there are too few people for a spread within each group, or for a p as small as
        `alpha`.
    """
    if not curves.sizes["percent"]:
        raise BadInputError("compare_curves: the curves have no points; pass them unfiltered")
    groups = [str(group) for group in curves["group"].values]
    for group in (first, second):
        if group not in groups:
            raise BadInputError(f"compare_curves: no group {quoted(group)}{likely(group, groups)}")
    if first == second:
        raise BadInputError(f"compare_curves: {quoted(first)} is given twice; name two groups")
    members = [set(curves["trial_participant"].values[curves["trial_group"] == g]) for g in groups]
    of_first, of_second = (members[groups.index(group)] for group in (first, second))
    if not paired and (both := sorted(of_first & of_second)):
        raise BadInputError(
            f"compare_curves: {listed(both[:3])} {'is' if len(both) == 1 else 'are'} in both "
            "groups; pass paired=True, or put each person in one group"
        )
    pair = [curves.sel(group=group, drop=True) for group in (first, second)]
    how: dict[str, Any] = {"alpha": alpha, "most": arrangements, "seed": seed}
    tests = [
        _test_of_side(*(part["curve"].sel(side=side) for part in pair), paired=paired, **how)
        for side in curves["side"].values
    ]
    if all(side.reason for side in tests):
        raise BadInputError(f"compare_curves: {listed([*dict.fromkeys(t.reason for t in tests)])}")
    result = _tested_curves(pair, tests, words=f"{second} minus {first}")
    result["left_out"] = len(of_first | of_second) - result["people"]
    result["left_out"].attrs["long_name"] = f"people without a {'pair' if paired else 'curve'}"
    result.attrs = curves.attrs | {"first": first, "second": second, "paired": int(paired)}
    views = [_views_of(curves, group) for group in (first, second)]
    noted: dict[str, Any] = {}
    warned = []
    values_there = curves["curve"].sel(group=[first, second]).notnull()
    with_gaps = values_there.any("percent") & ~values_there.all("percent")
    if gaps := int(with_gaps.any(["group", "side"]).sum()):
        warned.append(tables.warning("curves.gaps_not_tested", people=gaps))
    if all(views) and views[0] != views[1]:
        first_views, second_views = map(listed, views)
        values = {"first": first, "second": second}
        values |= {"first_views": first_views, "second_views": second_views}
        warned.append(tables.warning("curves.other_views", **values))
    if warned:
        noted["warnings"] = warned
    return with_history(
        result,
        "compare_curves",
        {"first": first, "second": second, "paired": paired, "alpha": alpha, "seed": seed},
        arrangements=[side.test.arrangements for side in tests],
        exact=[side.test.exact for side in tests],
        **noted,
    )


class _SideTest(NamedTuple):
    """Test of one side: difference of the means, numbers of people, and why there is no test."""

    difference: Array
    test: CurveTest
    counts: tuple[int, int, int]
    reason: str


def _test_of_side(
    first: xr.DataArray, second: xr.DataArray, *, paired: bool, **how: Any
) -> _SideTest:
    one, other = (
        curves.transpose("participant", "percent").to_numpy() for curves in (first, second)
    )
    has = [np.isfinite(values).all(axis=1) for values in (one, other)]
    if paired:
        has = [has[0] & has[1]] * 2
    counts = int(has[0].sum()), int(has[1].sum()), int((has[0] | has[1]).sum())
    one, other = one[has[0]], other[has[1]]
    nothing = np.full(one.shape[1], np.nan)
    difference = nothing
    if len(one) and len(other):
        difference = other.mean(axis=0) - one.mean(axis=0)
    try:
        if paired:
            test = paired_curve_test(other - one, **how)
        else:
            test = independent_curve_test(one, other, **how)
    except BadInputError as error:
        none = CurveTest(nothing, nothing, np.nan, 0, exact=False)
        return _SideTest(difference, none, counts, str(error))
    return _SideTest(difference, test, counts, "")


def _tested_curves(
    pair: Sequence[xr.Dataset], tests: Sequence[_SideTest], *, words: str
) -> xr.Dataset:
    """Combine the tests of the sides, with their clusters."""
    percent, sides = pair[0]["percent"], pair[0]["side"]
    units = {"units": pair[0]["curve"].attrs["units"]}
    errors = [part[sd_name("mean_error")].transpose("side", "percent").to_numpy() for part in pair]
    over: dict[str, tuple[Any, str]] = {
        "difference": ([side.difference for side in tests], words),
        sd_name("error"): (
            np.hypot(*errors),
            "model's error of the difference, if nothing cancels",
        ),
        "t": ([side.test.t for side in tests], f"t of {words}"),
        "p": ([side.test.p for side in tests], "p, adjusted for the whole curve"),
    }
    of_side: dict[str, tuple[Any, str]] = {
        "threshold": ([side.test.threshold for side in tests], "threshold of t, of either sign"),
        "n_first": ([side.counts[0] for side in tests], "people in the first group"),
        "n_second": ([side.counts[1] for side in tests], "people in the second group"),
        "people": ([side.counts[2] for side in tests], "people in both groups together"),
        "reason": (np.array([side.reason for side in tests], object), "why there is no test"),
    }
    of_sides = [
        (side, side_test.difference, cluster)
        for side, side_test in zip(sides.values, tests, strict=True)
        for cluster in clusters_beyond(side_test.test)
    ]
    at = percent.to_numpy()
    clusters = {
        "start": [at[cluster.first] for *_, cluster in of_sides],
        "end": [at[cluster.last] for *_, cluster in of_sides],
        "peak": [at[cluster.peak] for *_, cluster in of_sides],
        "difference": [difference[cluster.peak] for _, difference, cluster in of_sides],
        "p": [cluster.p for *_, cluster in of_sides],
    }
    result = xr.Dataset(
        {
            **{
                name: (("side", "percent"), np.array(v), {"long_name": w})
                for name, (v, w) in over.items()
            },
            **{name: ("side", np.array(v), {"long_name": w}) for name, (v, w) in of_side.items()},
            "cluster_side": ("cluster", np.array([side for side, *_ in of_sides], dtype=object)),
            **{f"cluster_{name}": ("cluster", np.array(v, float)) for name, v in clusters.items()},
        },
        coords={"side": sides, "percent": percent},
    )
    for name in ("difference", sd_name("error"), "cluster_difference"):
        result[name].attrs |= units
    return result


def _views_of(curves: xr.Dataset, group: str) -> list[str]:
    """List the views from which the recordings of a group were filmed."""
    used = (curves["trial_group"] == group) & (curves["reason"] == "").any("side")
    return sorted({str(view) for view in curves["trial_view"].values[used.to_numpy()] if view})


def _require_label_per_trial(labels: Labels, count: int, what: str) -> None:
    if labels is not None and len(labels) != count:
        raise BadInputError(
            f"mean_curves: there are {len(labels)} {what} for {count} recordings; name one for "
            "each recording"
        )


def _require_alike(trials: Sequence[xr.Dataset | StoredSession], phase: Phase, points: int) -> None:
    """Raise unless the sessions have one exercise and the Datasets have that phase."""
    done = {trial.record.exercise for trial in trials if isinstance(trial, StoredSession)}
    if len(done) > 1:
        raise BadInputError(
            f"mean_curves: the sessions show {listed(sorted(done))}; use those of one exercise"
        )
    for number, trial in enumerate(trials, start=1):
        if isinstance(trial, xr.Dataset):
            its_phase = trial["percent"].attrs.get("phase", phase)
            if its_phase != phase or trial.sizes["percent"] != points:
                raise BadInputError(
                    f"mean_curves: recording {number} has {trial.sizes['percent']} points of the "
                    f"{its_phase} instead of {points} of the {phase}"
                )


def _first_of(trials: Sequence[xr.Dataset | StoredSession], name: str) -> xr.DataArray:
    """Return the angle from the first recording that has it: all share its dimensions and units."""
    present: dict[str, None] = {}
    for trial in trials:
        with suppress(MobilityError):  # each trial gives its reason for missing results later
            dataset = trial.measured_angles() if isinstance(trial, StoredSession) else trial
            if name in dataset:
                return dataset[name]
            present |= dict.fromkeys(map(str, dataset.data_vars))
    if not present:
        raise BadInputError("mean_curves: no session has angles; analyse one first")
    raise BadInputError(f"mean_curves: no angle {quoted(name)}{likely(name, present)}")


def _curve_of(
    trial: xr.Dataset | StoredSession,
    number: int,
    name: str,
    sides: Sequence[str],
    *,
    phase: Phase,
    of: Of,
    points: int,
    compared: Sequence[str],
) -> _Trial:
    """Return the mean curve of one recording, or the reason why there is none."""
    nothing = np.full((len(sides), points), np.nan)
    mean = _Trial(
        str(number), "", "", "", nothing, nothing, nothing, np.zeros(nothing.shape, int), []
    )
    try:
        if isinstance(trial, StoredSession):
            who = trial.record.user_id
            mean = mean._replace(name=trial.id, participant=trial.id if who == ANONYMOUS else who)
            view = require_counted(trial, compared)
            mean = mean._replace(view=view)
            normalised, errors = _of_session(trial, name, phase, of, points, sides)
        else:
            normalised, errors = trial, None
        if name not in normalised:
            raise BadInputError(tables.sentence("curves.not_measured", name=name))
        mean = mean._replace(model=Origin.of(normalised.attrs).source_software)
    except MobilityError as error:
        return mean._replace(reasons=[str(error)] * len(sides))
    if errors is None:
        sd = sd_beside(normalised, name)
        errors = _frame_error(sd, of, sides)
    values = _of(normalised[name], of, sides)
    curve, used = mean_over_repetitions(values)
    counted = used.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        error_sd = np.sqrt(np.where(used, errors**2, 0.0).sum(axis=0) / counted)
        squares = np.where(used, (values - curve) ** 2, 0.0).sum(axis=0)
    has = counted.any(axis=1)
    why = why_no_curve(normalised[name])
    metrics = trial.metrics() if isinstance(trial, StoredSession) and not has.all() else None
    reasons = [
        "" if has_curve else (metrics is not None and reason_of_side(metrics, side)) or why
        for has_curve, side in zip(has, sides, strict=True)
    ]
    return mean._replace(
        curve=curve, squares=squares, error=error_sd, repetitions=counted, reasons=reasons
    )


def mean_over_repetitions(values: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Average values over (rep, side, percent), and return which values are used.

    A mean that includes a repetition with a gap has a step at the gap. Repetitions with gaps are
    therefore only used if none is complete. The result is NaN where no repetition has a value.
    """
    used = np.isfinite(values)
    has_no_gap = used.all(axis=2, keepdims=True)
    used &= has_no_gap | ~has_no_gap.any(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(used, values, 0.0).sum(axis=0) / used.sum(axis=0)
    return mean, used


def why_no_curve(normalised: xr.DataArray) -> str:
    """Return why a normalised angle has no value on a side."""
    if not normalised.sizes["rep"]:
        return tables.sentence("curves.no_curve.no_repetition")
    return str(normalised.attrs.get("refused") or tables.sentence("curves.no_curve.gaps"))


def require_counted(session: StoredSession, compared: Sequence[str]) -> str:
    """Return the view of a session; raise an error if its recording is not included."""
    record = session.analyzed()
    if not record.verdict:
        raise BadInputError(tables.sentence("cohort.not_judged"))
    if record.verdict not in compared:
        level = verdict_in_words(record.verdict, record.exercise)
        raise BadInputError(tables.sentence("cohort.other_verdict", level=level))
    if record.kind.noun == "movement":
        raise BadInputError(tables.sentence("curves.single_joints"))
    return str((session.capture_quality().get("view") or {}).get("name") or "")


def _of_session(
    session: StoredSession, name: str, phase: Phase, of: Of, points: int, sides: Sequence[str]
) -> tuple[xr.Dataset, Array | None]:
    """Return the normalised angle of a session, and the error of a difference if it has samples."""
    angles, repetitions = of_session.angles(session), session.repetitions()
    parts = [variable for variable in (name, sd_name(name)) if variable in angles]
    normalised = normalise(angles[parts], repetitions, phase=phase, points=points)
    if of == "value":
        return normalised, None
    fitted = session.fitted()
    if "position_draws" not in fitted or not parts:
        return normalised, None
    deviations = angle_deviations(fitted)[[name]].rename(fit_time="time")
    draws = normalise(deviations, repetitions, phase=phase, points=points)[name]
    return normalised, _draw_error(draws, fitted, name, of, sides)


def _of(values: xr.DataArray, of: Of, sides: Sequence[str]) -> Array:
    """Return curves of a kind, over (rep, side, percent) and further dimensions of the values."""
    if of == "from_start":
        values = values - values.isel(percent=0, drop=True)
    elif of == "right_minus_left":
        values = values.sel(side="right", drop=True) - values.sel(side="left", drop=True)
    if "side" not in values.dims:
        values = values.expand_dims(side=list(sides))
    return values.sel(side=list(sides)).transpose("rep", "side", "percent", ...).to_numpy()


def _draw_error(
    draws: xr.DataArray, fitted: xr.Dataset, name: str, of: Of, sides: Sequence[str]
) -> Array:
    """Return the sd of the error over (rep, side, percent), from the posterior samples of a fit."""
    factor = trial_factors(fitted, _FACTOR[of])[name]
    added = legs_unseen_sd(fitted).get(name, 0.0) * (2**0.5 if of == "right_minus_left" else 1.0)
    spread: Array = np.sqrt(factor**2 * (_of(draws, of, sides) ** 2).mean(axis=-1) + added**2)
    return spread


def _frame_error(sd: xr.DataArray, of: Of, sides: Sequence[str]) -> Array:
    """Return the sd of the error over (rep, side, percent), with independent values."""
    variance = sd**2
    if of == "from_start":
        variance = variance + variance.isel(percent=0, drop=True)
    elif of == "right_minus_left":
        variance = variance.sum("side", skipna=False)
    return np.sqrt(_of(variance, "value", sides))


def _of_people(
    measured: Sequence[_Trial],
    labels: Sequence[str],
    sides: Sequence[str],
    angle: xr.DataArray,
    of: Of,
) -> xr.Dataset:
    """Combine the curves of people; the curve of a person is the mean of their recordings."""
    from scipy import stats

    groups = list(dict.fromkeys(labels))
    people = list(dict.fromkeys(trial.participant for trial in measured))
    points = measured[0].curve.shape[1]
    shape = (len(groups), len(people), len(sides))
    total, errors, squares = (np.zeros((*shape, points)) for _ in range(3))
    shares = np.zeros((*shape, points))  # sum of 1 / repetitions of the sessions
    sessions, repetitions = (np.zeros((*shape, points), np.int64) for _ in range(2))
    numbers = {name: np.zeros(shape, np.int64) for name in ("sessions", "repetitions")}
    places = [
        (groups.index(label), people.index(trial.participant))
        for trial, label in zip(measured, labels, strict=True)
    ]
    has_full_curve = np.zeros(shape, np.bool_)
    for at, trial in zip(places, measured, strict=True):
        has_full_curve[at] |= (trial.repetitions > 0).all(axis=1)
    for at, trial in zip(places, measured, strict=True):
        used = trial.repetitions > 0
        # As for repetitions, the mean of complete sessions has no step where another has a gap.
        used &= (used.all(axis=1) | ~has_full_curve[at])[:, None]
        total[at] += np.where(used, trial.curve, 0.0)
        errors[at] += np.where(used, trial.error**2, 0.0)
        squares[at] += np.where(used, trial.squares, 0.0)
        sessions[at] += used
        repetitions[at] += np.where(used, trial.repetitions, 0)
        shares[at] += np.where(used, 1 / np.maximum(trial.repetitions, 1), 0.0)
        numbers["sessions"][at] += used.any(axis=1)
        numbers["repetitions"][at] += np.where(used, trial.repetitions, 0).max(axis=1)
    freedom = repetitions - sessions
    with np.errstate(invalid="ignore", divide="ignore"):
        curve = total / sessions
        error = np.sqrt(errors / sessions)
        spread = np.sqrt(squares / freedom)
        standard_error = spread * np.sqrt(shares) / sessions
    enough = freedom + 1 >= LEAST
    t = np.where(enough, stats.t.ppf(0.975, np.maximum(freedom, 1)), np.nan)
    label = f"{angle.attrs.get('long_name', angle.name)}{_SUFFIX[of]}"
    over = ("group", "participant", "side")
    units = {"units": str(angle.attrs.get("units", "degree"))}
    return xr.Dataset(
        {
            "curve": ((*over, "percent"), curve, units | {"long_name": label}),
            sd_name("error"): (
                (*over, "percent"),
                error,
                units | {"long_name": f"standard deviation of the model's error: {_ERROR[of]}"},
            ),
            sd_name("repetition"): (
                (*over, "percent"),
                spread,
                units | {"long_name": "standard deviation of the repetitions of a session"},
            ),
            **{
                f"person_{name}": (
                    (*over, "percent"),
                    curve + sign * t * standard_error,
                    units | {"long_name": f"95 % confidence interval of a person's mean, {name}"},
                )
                for name, sign in (("lower", -1), ("upper", 1))
            },
            "repetitions": (
                over,
                numbers["repetitions"],
                {"long_name": "repetitions that count, at the percent where most of them do"},
            ),
            "sessions": (over, numbers["sessions"], {"long_name": "sessions with a repetition"}),
            "trial_participant": ("trial", [trial.participant for trial in measured]),
            "trial_group": ("trial", list(labels)),
            "trial_view": ("trial", np.array([trial.view for trial in measured], dtype=object)),
            "reason": (
                ("trial", "side"),
                np.array([trial.reasons for trial in measured], dtype=object),
                {"long_name": "why a recording is left out"},
            ),
        },
        coords={
            "group": groups,
            "participant": people,
            "side": list(sides),
            "percent": np.linspace(0, 100, points),
            "trial": [trial.name for trial in measured],
        },
        attrs={"angle": str(angle.name)},
    )


def _with_means(people: xr.Dataset) -> xr.Dataset:
    """Add mean, spread and bands of each group."""
    from scipy import stats

    curve, units = people["curve"], {"units": people["curve"].attrs["units"]}
    label = people["curve"].attrs["long_name"]
    present = curve.notnull()
    n = present.sum("participant")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Degrees of freedom|Mean of empty", RuntimeWarning)
        mean = curve.mean("participant")
        sd = curve.std("participant", ddof=1).where(n > 1)
        error = people[sd_name("error")].mean("participant")
        curve_without_gaps = curve.where(present.all("percent"))
        n_without_gaps = curve_without_gaps.notnull().sum("participant")
        mean_without_gaps = curve_without_gaps.mean("participant")
        sd_without_gaps = curve_without_gaps.std("participant", ddof=1).where(n_without_gaps > 1)
    factor = xr.zeros_like(n.isel(percent=0, drop=True), dtype=float)
    for at in np.ndindex(factor.shape):
        cell = dict(zip(factor.dims, at, strict=True))
        factor[cell] = band_factor(curve[cell].transpose("participant", "percent").to_numpy())
    t = xr.apply_ufunc(lambda count: stats.t.ppf(0.975, np.maximum(count - 1, 1)), n)
    bands = {
        "": (mean, t.where(n >= LEAST) * sd / n.where(n > 0) ** 0.5, "interval of each point"),
        "_whole": (
            mean_without_gaps,
            factor * sd_without_gaps / n_without_gaps.where(n_without_gaps > 0) ** 0.5,
            "band of the whole curve, of people without gaps",
        ),
    }
    means = {
        "n": present.any("percent").sum("participant").assign_attrs(long_name="people"),
        "n_whole": present.all("percent")
        .sum("participant")
        .assign_attrs(long_name="people whose curve has no gap"),
        "n_at": n.assign_attrs(long_name="people who have a value there"),
        "mean": mean.assign_attrs(units, long_name=f"mean of {label}"),
        "sd": sd.assign_attrs(units, long_name="standard deviation between people"),
        sd_name("mean_error"): error.assign_attrs(
            units, long_name="standard deviation of the model's error of the mean, if all share it"
        ),
    }
    for ending, (middle, half, words) in bands.items():
        for name, limit in (("lower", middle - half), ("upper", middle + half)):
            about = units | {"long_name": f"95 % confidence {words}, {name}"}
            means[f"{name}{ending}"] = limit.assign_attrs(about)
    return people.assign(means)
