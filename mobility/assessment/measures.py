"""What exercises with repetitions pick from: angles, posture, knee movement, tempo, smoothness."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mobility import provenance, tables
from mobility.assessment.asymmetry import SYMMETRY
from mobility.assessment.body import body_axes as body_axes
from mobility.assessment.body import lean_at_rest
from mobility.assessment.estimates import HIDDEN_SIDE
from mobility.assessment.kinds import BESIDE, owners
from mobility.assessment.knee_movement import knee_movement as knee_movement
from mobility.assessment.looks_like import falls
from mobility.assessment.metric import CARRIED, add, add_note, merged_history
from mobility.assessment.phases import (
    MOVING_PHASES,
    REPETITION,
    between,
    never_standing_there,
    require,
    same_frames,
    standing_of_main_stance,
)
from mobility.assessment.phases import PHASES as PHASES
from mobility.assessment.phases import phase_frames as phase_frames
from mobility.assessment.posture import posture
from mobility.assessment.smoothness import LONGEST_GAP, hip_smoothness
from mobility.assessment.summaries import (
    extreme_of_phases,
    independent,
    median_within,
    nanmedian,
    over_repetitions,
    peak_within,
    phases_in_words,
    right_minus_left,
    sample_sd,
    with_sampling,
)
from mobility.assessment.trial_errors import trial_errors
from mobility.kinematics.angle_errors import DEFAULT_METHOD, largest_sd
from mobility.kinematics.datasets import require_angles, require_overlap
from mobility.kinematics.expected_error import TABLE as ERRORS
from mobility.kinematics.expected_error import retest_sems
from mobility.kinematics.repetitions import normalise_repetitions
from mobility.kinematics.skeleton import SIDES, other_side
from mobility.registry import Exercise
from mobility.view import hides_frontal_plane, near_side

Metrics = dict[str, xr.DataArray]
HistoryWarning = dict[str, Any]

_WITHIN = "median within the bottom"
_IN_PHASE, _AT_BOTTOM = ", in each phase", ", at the bottom of each repetition"
"""Endings of long names, so that these are unique."""

_COMPARES_SIDES = ("asymmetry", "bottom_asymmetry", *SYMMETRY)
"""Kinds of metrics that compare left and right."""


def picked(exercise: Exercise, part: str) -> dict[str, dict[str, Any]]:
    """Give the quantities of a part of ``tables/measures.yaml`` that an exercise measures."""
    described = tables.load("measures")[part]
    return {name: described[name] for name in exercise.table["measures"].get(part, ())}


def measure(
    pose: xr.Dataset,
    angles: xr.Dataset,
    repetitions: xr.Dataset,
    *,
    exercise: Exercise,
    operation: str,
    other_exercise: Callable[[xr.Dataset, xr.DataArray, NDArray[np.bool_]], list[HistoryWarning]],
    scores: Iterable[Callable[[xr.Dataset], xr.Dataset]] = (),
) -> xr.Dataset:
    """Measure what an exercise with repetitions picks from ``tables/measures.yaml``.

    Parameters
    ----------
    pose, angles, repetitions
        As for :func:`mobility.overhead_squat`, which says what each metric is.
    exercise
        Whose picks (``measures`` of its ``exercise.yaml``) are measured.
    operation
        Name of the history entry.
    other_exercise
        Warns where another exercise is shown: of the pose, the frames of the phases
        (:func:`~mobility.assessment.phases.phase_frames`), and which repetitions were accepted.
    scores
        Further metrics, made of all the others, as Datasets.

    Returns
    -------
    xarray.Dataset
        The metrics, with the name of the exercise in ``attrs["exercise"]``.

    Raises
    ------
    BadInputError
        When an angle or a variable is missing, or the frames of the inputs differ.
    """
    require(repetitions, "repetitions", list(REPETITION))
    require_angles(angles, picked(exercise, "angles"), what=operation)
    same_frames(pose, repetitions, "repetitions")
    require_overlap(repetitions, pose["time"].to_numpy(), what=operation)
    same_frames(pose, angles, "angles")
    frames = phase_frames(repetitions)
    accepted = repetitions["accepted"].values.astype(bool)

    metrics: Metrics = {}
    fitted = "position_draws" in pose
    sems = retest_sems(pose) if fitted else {}
    _add_angles(metrics, pose, angles, repetitions, frames, sems, exercise=exercise)
    movement = knee_movement(pose, repetitions)
    _add_knee_movement(metrics, movement, repetitions, frames, sems=sems, exercise=exercise)
    stature = posture(pose, repetitions)
    _add_posture(metrics, stature, frames, accepted, sems=sems, exercise=exercise)
    if fitted:
        for name, least in tables.load(ERRORS)["metrics"]["least"].items():
            if name in metrics:
                metrics[f"{name}_sd"] = metrics[f"{name}_sd"].clip(min=least["sd"])
    quantities = {"", *(metric.attrs["quantity"] for metric in metrics.values())}
    warnings = [
        warning
        for measured in (movement, stature)
        for warning in provenance.history(measured)[-1]["warnings"]
        if warning.get("values", {}).get("quantity", "") in quantities
    ]
    warnings += other_exercise(pose, frames, accepted)
    if falls(pose, frames.sel(phase="bottom").to_numpy()[accepted]):
        warnings.append(tables.warning("warnings.would_fall"))
    if hidden_from := hides_frontal_plane(pose):
        frontal = _frontal(exercise)
        warnings = [w for w in warnings if w.get("values", {}).get("quantity") not in frontal]
        warnings.append(_refuse_frontal_plane(metrics, hidden_from, frontal))
    near = near_side(pose)
    if near:
        _refuse_far_side(metrics, near)
    _add_tempo(metrics, repetitions)
    if picked(exercise, "smoothness"):
        _add_smoothness(metrics, pose, repetitions, sems)
    if lying := _refuse_lying(metrics, lean_at_rest(pose, repetitions)):
        warnings = lying

    _use_words(metrics, exercise.words)
    result = xr.Dataset(metrics, coords={"rep": repetitions["rep"].values})
    result.attrs = {key: pose.attrs[key] for key in CARRIED if key in pose.attrs}
    result.attrs |= {"ds_type": "metrics", "exercise": exercise.name}
    result.attrs["history"] = merged_history(angles, repetitions)
    if near:
        result.attrs[HIDDEN_SIDE] = other_side(near)
    for score in scores:
        scored = score(result)
        result = result.assign(scored.data_vars).assign_attrs(history=scored.attrs["history"])
    return provenance.with_history(
        result,
        operation,
        {},
        accepted_repetitions=int(accepted.sum()),
        warnings=warnings,
    )


def _use_words(metrics: Metrics, words: Mapping[str, str]) -> None:
    """Name, in place, the parts of a repetition as the exercise does."""
    if words["moment"] == f"at the {words['turn']}":
        at_turn = {}
    else:  # another moment than the turn
        at_turn = dict.fromkeys(("at the bottom", "within the bottom"), words["moment"])
    replaced = at_turn | {
        "the bottom": f"the {words['turn']}",
        "of bottom minus": f"of {words['turn']} minus",
        "the descent": f"the {words['descent']}",
        "the ascent": f"the {words['ascent']}",
    }
    for variable in metrics.values():
        for key in ("statistic", "long_name"):
            for usual, word in replaced.items():
                variable.attrs[key] = variable.attrs[key].replace(usual, word)


def _add_angles(
    metrics: Metrics,
    pose: xr.Dataset,
    angles: xr.Dataset,
    repetitions: xr.Dataset,
    frames: xr.DataArray,
    sems: Mapping[str, float],
    *,
    exercise: Exercise,
) -> None:
    """Add the metrics of the joint angles."""
    entries = picked(exercise, "angles")
    rep_frames = between(repetitions["time"], repetitions["start"], repetitions["end"])
    accepted = repetitions["accepted"].values.astype(bool)
    fitted = "position_draws" in pose
    errors: Mapping[Hashable, xr.DataArray] = {}
    if fitted:
        errors = trial_errors(pose, repetitions).data_vars
    stands = frames.sel(phase="standing").to_numpy()[accepted].any()
    curves = normalise_repetitions(angles[list(entries)], repetitions)
    for name, entry in entries.items():
        angle, sd = angles[name], angles[f"{name}_sd"]
        phase, phase_sd = median_within(angle, sd, frames)
        bottom, bottom_sd = (v.sel(phase="bottom", drop=True) for v in (phase, phase_sd))
        standing, standing_sd = (v.sel(phase="standing", drop=True) for v in (phase, phase_sd))
        if not fitted:
            errors = _errors_of_frames(name, bottom_sd, standing_sd)
        peak, peak_sd = peak_within(angle, sd, rep_frames, entry["peak"])
        add(metrics, name, "phase", phase, phase_sd, "median within the phase", suffix=_IN_PHASE)
        largest = largest_sd(name, method=str(pose.attrs.get("method", DEFAULT_METHOD)))
        seen, bottom_sd = bottom.notnull(), errors[f"{name}_absolute"]
        bottom, change = bottom.where(bottom_sd <= largest), bottom - standing
        bottom_sd = bottom_sd.where(bottom.notnull())
        add(metrics, name, "bottom", bottom, bottom_sd, _WITHIN, suffix=_AT_BOTTOM)
        peak_text = {"magnitude": "value farthest from zero"}.get(entry["peak"], entry["peak"])
        statistic, suffix = f"{peak_text} in the repetition", f", {peak_text} of each repetition"
        add(metrics, name, "peak", peak, peak_sd, statistic, suffix=suffix)
        apart_sd = None
        if entry["sided"]:
            apart = right_minus_left(bottom)
            apart_sd = errors[f"{name}_sides"].where(apart.notnull())
            statistic = "right minus left, within the bottom"
            suffix = ", asymmetry at the bottom of each repetition"
            add(metrics, name, "bottom_asymmetry", apart, apart_sd, statistic, suffix=suffix)
        _add_over_repetitions(
            *(metrics, name, bottom, bottom_sd, accepted, "median at the bottom"),
            apart_sd=apart_sd,
            largest=largest,
            sems=sems,
        )
        spread = sample_sd(bottom, accepted)
        statistic = "standard deviation over accepted repetitions"
        add(metrics, name, "variability", spread, None, statistic, suffix=", variability")
        spread = _curve_variability(curves[name])
        statistic = f"{statistic}, mean of the points of their curves"
        suffix = ", variability of the curve"
        add(metrics, name, "curve_variability", spread, None, statistic, suffix=suffix)
        if entry["sided"]:
            _add_symmetry(metrics, name)
        metric = f"{name}_from_standing"
        change = change.where(errors[metric] <= largest)
        value, value_sd = over_repetitions(change, errors[metric], accepted)
        add(
            metrics,
            name,
            "from_standing",
            value,
            value_sd,
            "median over accepted repetitions of bottom minus standing",
            sem=_retest_error(sems.get(metric), change, accepted),
            suffix=", from standing",
        )
        if reason := angle.attrs.get("refused"):
            add_note(metrics, name, reason)
        elif bool((seen & bottom.isnull()).isel(rep=accepted).any()):
            add_note(metrics, name, tables.sentence("reasons.uncertain"))
        if not stands and bool(seen.isel(rep=accepted).any()):
            reason = _why_no_standing(repetitions)
            for each in (metric, *metrics[metric].attrs[BESIDE].split()):
                metrics[each].attrs["note"] = reason


def _why_no_standing(repetitions: xr.Dataset) -> str:
    """Say why there is no standing to which the repetitions refer."""
    return never_standing_there(repetitions) or tables.sentence("reasons.never_standing")


def _errors_of_frames(
    name: str, bottom: xr.DataArray, standing: xr.DataArray
) -> Mapping[Hashable, xr.DataArray]:
    """Errors as of :func:`trial_errors`, from those of frames, where there are no draws.

    The errors of the sides, and of the phases, count as independent.
    """
    errors: dict[Hashable, xr.DataArray] = {
        f"{name}_absolute": bottom,
        f"{name}_from_standing": (bottom**2 + standing**2) ** 0.5,
    }
    if "side" in bottom.dims:
        errors[f"{name}_sides"] = independent(bottom)
    return errors


def _retest_error(
    trial_sem: float | None, value: xr.DataArray, accepted: NDArray[np.bool_]
) -> xr.DataArray | None:
    """Give the standard error of measurement between recordings; None where it is unknown."""
    if trial_sem is None:
        return None
    median = nanmedian(value.isel(rep=accepted), "rep")
    return with_sampling(xr.full_like(median, trial_sem).where(median.notnull()), value, accepted)


def _add_symmetry(metrics: Metrics, name: str) -> None:
    """Add ratios of the sides where these are large."""
    table = tables.load("measures")
    left, right = (metrics[name].sel(side=side, drop=True) for side in SIDES)
    least = table["limits"]["smallest_angle_for_ratios_deg"]["value"]
    large = (left + right) / 2 >= least
    for kind, described in table["symmetry"].items():
        value = xr.DataArray(SYMMETRY[kind](left, right)).where(large)
        add(
            metrics,
            name,
            kind,
            value,
            None,
            metrics[name].attrs["statistic"],
            suffix=f", {described['long_name']}",
            units="percent",
            reference=described["reference"],
        )
        if not large and bool((left + right).notnull()):
            note = tables.sentence("reasons.small_for_ratio", least=least)
            metrics[f"{name}_{kind}"].attrs["note"] = note


def _curve_variability(curves: xr.DataArray) -> xr.DataArray:
    """Mean over the points of the SD; NaN if most of them have too few repetitions."""
    spread = sample_sd(curves, np.ones(curves.sizes["rep"], bool))
    enough = 2 * spread.notnull().sum("percent") > curves.sizes["percent"]
    mean: xr.DataArray = spread.sum("percent") / spread.notnull().sum("percent").clip(min=1)
    return mean.where(enough)


def _add_knee_movement(
    metrics: Metrics,
    movement: xr.Dataset,
    repetitions: xr.Dataset,
    frames: xr.DataArray,
    *,
    sems: Mapping[str, float],
    exercise: Exercise,
) -> None:
    accepted = repetitions["accepted"].values.astype(bool)
    standing = repetitions["standing"].copy(data=standing_of_main_stance(repetitions))
    extremes = picked(exercise, "knee_movement")
    for name, entry in (extremes | picked(exercise, "frontal_plane")).items():
        value, sd = movement[name], movement[f"{name}_sd"]
        phase, phase_sd = median_within(value, sd, frames)
        add(metrics, name, "phase", phase, phase_sd, "median within the phase", suffix=_IN_PHASE)
        if name in extremes:
            moving = exercise.table.get("moving_phases", MOVING_PHASES)
            extreme, extreme_sd, where = extreme_of_phases(
                phase, phase_sd, entry["extreme"], moving
            )
            statistic = f"{entry['extreme']} over mid-descent, bottom and mid-ascent"
            _add_over_repetitions(
                metrics, name, extreme, extreme_sd, accepted, statistic, sems=sems
            )
            metrics[name].attrs["phase"] = phases_in_words(where, accepted, moving)
        if name == "knee_deviation":
            bottom, bottom_sd = (v.sel(phase="bottom", drop=True) for v in (phase, phase_sd))
            statistic = "median within the bottom, median over accepted repetitions"
            over = over_repetitions(bottom, bottom_sd, accepted)
            add(metrics, name, "at_bottom", *over, statistic, suffix=" at the bottom")
        if name == "knee_ankle_separation_ratio":
            # Of the whole stance: there may be no standing before the first repetition.
            rest = median_within(value, sd, standing)
            add(metrics, name, "standing", *rest, "median in standing", suffix=" in standing")
            if not standing.any():
                metrics[f"{name}_standing"].attrs["note"] = _why_no_standing(repetitions)
    _add_notes(metrics, movement)


def _add_notes(metrics: Metrics, measured: xr.Dataset) -> None:
    """Copy the notes of measured quantities to their metrics."""
    for name, variable in measured.data_vars.items():
        if note := variable.attrs.get("note"):
            add_note(metrics, str(name), note)


def _add_posture(
    metrics: Metrics,
    stature: xr.Dataset,
    frames: xr.DataArray,
    accepted: NDArray[np.bool_],
    *,
    sems: Mapping[str, float],
    exercise: Exercise,
) -> None:
    bottom_frames = frames.sel(phase="bottom", drop=True)
    for name in picked(exercise, "posture"):
        bottom, bottom_sd = median_within(stature[name], stature[f"{name}_sd"], bottom_frames)
        add(metrics, name, "bottom", bottom, bottom_sd, _WITHIN, suffix=_AT_BOTTOM)
        _add_over_repetitions(
            metrics, name, bottom, bottom_sd, accepted, "median at the bottom", sems=sems
        )
    for name in picked(exercise, "stance"):
        value, sd = stature[name], stature[f"{name}_sd"]
        add(metrics, name, "standing", value, sd, "median in standing", name=name)
    _add_notes(metrics, stature)


def _add_tempo(metrics: Metrics, repetitions: xr.Dataset) -> None:
    # A repetition that the recording cuts off has no true start or end.
    whole = repetitions["complete"]
    descent = (repetitions["bottom_start"] - repetitions["start"]).where(whole)
    ascent = (repetitions["end"] - repetitions["bottom_end"]).where(whole)
    tempo = {
        **({} if "course" in repetitions else {"depth": repetitions["depth"]}),
        "descent_duration": descent,
        "bottom_duration": repetitions["bottom_end"] - repetitions["bottom_start"],
        "ascent_duration": ascent,
        "tempo_ratio": descent / ascent.where(ascent > 0),
        "accepted_repetitions": xr.DataArray(int(repetitions["accepted"].sum())),
    }
    for name, value in tempo.items():
        counted = name == "accepted_repetitions"
        kind, statistic = (
            ("count", "count") if counted else ("repetition", "value of the repetition")
        )
        add(metrics, name, kind, value, None, statistic, name=name)


def _add_smoothness(
    metrics: Metrics, pose: xr.Dataset, repetitions: xr.Dataset, sems: Mapping[str, float]
) -> None:
    table = tables.load("measures")["smoothness"]
    accepted = repetitions["accepted"].values.astype(bool)
    values, cutoff = hip_smoothness(pose, repetitions)
    rep = {"rep": repetitions["rep"].values}
    labelled = {name: xr.DataArray(v, dims="rep", coords=rep) for name, v in values.items()}
    for kind in table:
        for phase in ("descent", "ascent"):
            name = f"{phase}_{kind}"
            statistic, suffix = "value of the repetition", f" in the {phase}"
            add(metrics, kind, phase, labelled[name], None, statistic, name=name, suffix=suffix)
    both = (labelled["descent_sparc"] + labelled["ascent_sparc"]) / 2
    # Draws do not give the error of a speed: see the notes of mobility.overhead_squat.
    fit_error = table["sparc"]["fit_error_sd"]["value"] if "position_draws" in pose else 0.0
    value, value_sd = over_repetitions(both, xr.full_like(both, fit_error), accepted)
    statistic = "mean of descent and ascent, median over accepted repetitions"
    sem = _retest_error(sems.get("smoothness_sparc"), both, accepted)
    add(metrics, "sparc", "median", value, value_sd, statistic, sem=sem, name="smoothness_sparc")
    method = str(pose.attrs.get("method", DEFAULT_METHOD))
    # At such a low frame rate a single missing frame is too long a gap.
    slow = float(np.median(np.diff(pose["time"]))) > LONGEST_GAP / 2
    for name in (*labelled, "smoothness_sparc", "smoothness_sparc_sd"):
        kind = metrics[name].attrs["quantity"]
        if kind == "sparc":
            metrics[name].attrs["cutoff_hz"] = cutoff
        if method in table[kind]["not_of"]["value"]:
            note = tables.sentence("reasons.not_fitted")
            metrics[name] = xr.full_like(metrics[name], np.nan).assign_attrs(note=note)
        elif slow and bool(metrics[name].isnull().all()):
            metrics[name].attrs["note"] = tables.sentence("reasons.slow_frames")


def _add_over_repetitions(
    metrics: Metrics,
    name: str,
    value: xr.DataArray,
    sd: xr.DataArray,
    accepted: NDArray[np.bool_],
    statistic: str,
    *,
    apart_sd: xr.DataArray | None = None,
    largest: float = np.inf,
    sems: Mapping[str, float],
) -> None:
    """Add the value over accepted repetitions and, of sided ones, the asymmetry.

    Without `apart_sd`, the error of the difference of the sides, these count as independent. A
    difference with a `largest` error is not given. `sems` are the retest errors, by metric.
    """
    over, over_sd = over_repetitions(value, sd, accepted)
    statistic = f"{statistic}, median over accepted repetitions"
    sem = _retest_error(sems.get(name), value, accepted)
    add(metrics, name, "median", over, over_sd, statistic, sem=sem, name=name)
    if "side" not in value.dims:
        return
    # The difference of the two reported medians, which a reader can check.
    if apart_sd is None:
        apart_sd = independent(sd)
    difference, metric = right_minus_left(value), f"{name}_asymmetry"
    _, difference_error = over_repetitions(difference, apart_sd, accepted)
    apart = right_minus_left(over).where(difference_error <= largest)
    known_sd = difference_error.where(apart.notnull())
    sem = _retest_error(sems.get(metric), difference, accepted)
    of_sides = f"right minus left: {statistic}"
    add(metrics, name, "asymmetry", apart, known_sd, of_sides, sem=sem, suffix=", asymmetry")


def _frontal(exercise: Exercise) -> list[str]:
    """Name the quantities in the frontal plane, except the knee movement."""
    return [
        name
        for part in ("angles", "posture", "stance")
        for name, entry in picked(exercise, part).items()
        if entry.get("frontal")
    ]


def _refuse_frontal_plane(metrics: Metrics, view: str, frontal: Sequence[str]) -> HistoryWarning:
    """Blank, in place, the metrics that the view does not show; give the warning."""
    note = tables.sentence(f"reasons.{view.replace('-', '_')}_view")
    metric_of = owners(metrics)
    for name, variable in metrics.items():
        compares = metrics[metric_of.get(name, name)].attrs["kind"] in _COMPARES_SIDES and (
            "note" not in variable.attrs or variable.notnull().any()
        )
        if variable.attrs["quantity"] in frontal or compares:
            metrics[name] = xr.full_like(variable, np.nan).assign_attrs(note=note)
    return tables.warning("warnings.sides_not_comparable", reason=note)


def _refuse_far_side(metrics: Metrics, near: str) -> None:
    """Blank, in place, the side that the near one hides."""
    for name, variable in metrics.items():
        if "side" in variable.dims:
            metrics[name] = variable.where(variable["side"] == near)


def _refuse_lying(metrics: Metrics, lean: float) -> list[dict[str, str]]:
    """Blank, in place, the metrics of someone who did not stand; the warning, if any."""
    table = tables.load("measures")
    if not lean > table["limits"]["largest_standing_lean_deg"]["value"]:
        return []
    kept = set(table["tempo"]) - {"depth"}
    reason = tables.sentence("reasons.not_from_standing", lean=lean)
    for name, variable in metrics.items():
        if name not in kept:
            metrics[name] = xr.full_like(variable, np.nan).assign_attrs(note=reason)
    return [tables.warning("warnings.not_standing", reason=reason)]
