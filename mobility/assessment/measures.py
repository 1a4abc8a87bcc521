"""Measurement of an exercise with repetitions, by the measure function of each measure."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mobility import tables
from mobility.assessment.body_axes import lean_at_rest
from mobility.assessment.frame_quantities import frame_quantities
from mobility.assessment.kernels import (
    MeasuredTrial,
    PointKernel,
    TrialKernel,
    checked_values,
    limits_of,
    output_of,
    read_only,
)
from mobility.assessment.kinds import BESIDE, ERROR, RETEST_ERROR, owners
from mobility.assessment.looks_like import falls, support_of_hands
from mobility.assessment.metric import CARRIED, add_note, merged_history
from mobility.assessment.number import GROSS, HIDDEN, HIDDEN_SIDE
from mobility.assessment.numbers import COMPARES_SIDES, Quantity, Repetitions, add_numbers, signed
from mobility.assessment.phases import (
    REPETITION,
    between,
    measured_span,
    never_standing_there,
    phase_frames,
    require,
    same_frames,
    standing_of_main_stance,
)
from mobility.assessment.posture import leans_far_forward
from mobility.assessment.propagation import sd_of_means
from mobility.assessment.trial_errors import trial_errors
from mobility.base import provenance
from mobility.base.uncertain import sd_name
from mobility.catalogue.exercise import Exercise, main_moment
from mobility.errors import BadInputError
from mobility.keypoints.view import hides_frontal_plane, near_side
from mobility.kinematics.angle_errors import DEFAULT_METHOD, largest_sd
from mobility.kinematics.datasets import require_angles, require_overlap
from mobility.kinematics.expected_error import TABLE as ERRORS
from mobility.kinematics.expected_error import factor_with_value, retest_sems
from mobility.kinematics.skeleton import other_side

Metrics = dict[str, xr.DataArray]
HistoryWarning = dict[str, Any]
Entries = Mapping[str, Mapping[str, Any]]

_LEAN = "trunk_tibia_difference"
"""Metric of the trunk lean, which may be obvious in a picture from the front although it cannot be
measured from there.
"""

_TIMES = "tempo"
"""Measure function for the values that are known even if the person never stands."""


def measure(
    pose: xr.Dataset,
    angles: xr.Dataset,
    repetitions: xr.Dataset,
    *,
    exercise: Exercise,
    operation: str,
    other_exercise: Callable[[xr.Dataset, xr.DataArray, NDArray[np.bool_]], list[HistoryWarning]],
    scores: Iterable[Callable[[xr.Dataset], xr.Dataset]] = (),
    sex: str | None = None,
    age: float | None = None,
) -> xr.Dataset:
    """Compute the measures that an exercise with repetitions selects from ``measures.yaml``.

    Parameters
    ----------
    pose, angles, repetitions
        As for :func:`mobility.overhead_squat`, which describes each metric.
    exercise
        The exercise whose ``measures`` (in its ``exercise.yaml``) are computed.
    operation
        Name of the history entry.
    other_exercise
        A function that warns if another exercise is shown; it gets the pose, the frames of the
        phases (:func:`~mobility.assessment.phases.phase_frames`), and which repetitions were
        accepted.
    scores
        Further metrics, computed from all the others, as Datasets.
    sex, age
        Sex and age of the participant, for norms.

    Returns
    -------
    xarray.Dataset
        The metrics, with the name of the exercise in ``attrs["exercise"]``.

    Raises
    ------
    BadInputError
        If an angle or a variable is missing, if the frames of the inputs differ, or if a measure
        function does not return an output that a measure needs.
    """
    measures = exercise.measures
    ends = [event for entry in measures.values() for event in entry.get("over", ())]
    require(repetitions, "repetitions", [*REPETITION, *ends])
    by_kernel = _by_kernel(measures)
    require_angles(
        angles, list(dict.fromkeys(_outputs(by_kernel.get("angles", {})))), what=operation
    )
    same_frames(pose, repetitions, "repetitions")
    require_overlap(repetitions, pose["time"].to_numpy(), what=operation)
    same_frames(pose, angles, "angles")
    fitted, near = "position_draws" in pose, near_side(pose)
    span = measured_span(repetitions, exercise)
    moments = exercise.moments
    frames = phase_frames(span, moments)
    sems = retest_sems(pose) if fitted and exercise.table["retest_known"] else {}
    visible_angles = angles
    if near:
        visible_angles = angles.map(
            lambda angle: angle.where(angle["side"] == near) if "side" in angle.dims else angle,
            keep_attrs=True,
        )
    all_repetitions = Repetitions(exercise, repetitions, span, frames, angles, visible_angles, sems)
    hidden = other_side(near) if near else ""
    limits = limits_of(exercise)
    trial = MeasuredTrial(
        exercise, pose, read_only(visible_angles), read_only(repetitions), hidden, sex, age, limits
    )

    metrics: Metrics = {}
    warnings: list[HistoryWarning] = []
    for kernel, entries in by_kernel.items():
        if kernel == "angles":
            _add_angles(metrics, pose, all_repetitions, entries)
            continue
        computes = exercise.kernel(kernel)
        if not isinstance(computes, PointKernel | TrialKernel):
            raise BadInputError(
                f"kernels.py of {exercise.package}: {kernel} is not a kernel; write "
                "@of_points(...) or @of_trial above it"
            )
        if isinstance(computes, PointKernel):
            warnings += _add_of_points(metrics, pose, all_repetitions, computes, entries, limits)
        else:
            _add_of_trial(metrics, all_repetitions, computes, trial, entries)
    if fitted:
        for output in tables.load(ERRORS)["metrics"]["with_value"]:
            for name, entry in measures.items():
                if entry["from"] == f"posture.{output}" and name in metrics:
                    sd = metrics[sd_name(name)]
                    factor = factor_with_value(output, metrics[name])
                    metrics[sd_name(name)] = sd.copy(data=(sd * factor).transpose(*sd.dims))
    warnings += other_exercise(pose, frames, all_repetitions.accepted)
    lowest = frames.sel(phase=main_moment(moments)).to_numpy()[all_repetitions.accepted]
    if _LEAN in metrics:
        before = frames.sel(phase=[name for name in moments if "before" in moments[name]])
        standing = before.any("phase").to_numpy()[all_repetitions.accepted]
        if leans_far_forward(pose, standing, lowest):
            metrics[_LEAN].attrs[GROSS] = "true"
    if falls(pose, lowest):
        warnings.append(tables.warning("warnings.would_fall"))
    inside = between(repetitions["time"], repetitions["start"], repetitions["end"])
    shown = inside.transpose("rep", "time").to_numpy()[all_repetitions.accepted]
    if support := support_of_hands(pose, shown):
        warnings.append(tables.warning(f"warnings.hands_support.{support}", **{support: True}))
    if hidden_from := hides_frontal_plane(pose):
        frontal = [name for name, entry in measures.items() if entry.get("frontal")]
        warnings.append(_refuse_frontal_plane(metrics, hidden_from, frontal))
    if near:
        _refuse_far_side(metrics, near)
    if lying := _refuse_lying(metrics, lean_at_rest(pose, span, moments), measures):
        warnings = lying

    ordered = {name: metrics[name] for name in _in_order(metrics, measures)}
    result = xr.Dataset(ordered, coords={"rep": repetitions["rep"].values})
    result.attrs = {key: pose.attrs[key] for key in CARRIED if key in pose.attrs}
    result.attrs |= {"ds_type": "metrics", "exercise": exercise.name}
    result.attrs["history"] = merged_history(angles, repetitions)
    if hidden:
        result.attrs[HIDDEN_SIDE] = hidden
    for score in scores:
        scored = score(result)
        result = result.assign(scored.data_vars).assign_attrs(history=scored.attrs["history"])
    return provenance.with_history(
        result,
        operation,
        {},
        accepted_repetitions=int(all_repetitions.accepted.sum()),
        warnings=warnings,
    )


def _by_kernel(measures: Entries) -> dict[str, dict[str, Mapping[str, Any]]]:
    """Group declarations by the function that computes them."""
    by_kernel: dict[str, dict[str, Mapping[str, Any]]] = {}
    for name, entry in measures.items():
        kernel, _, _ = entry["from"].partition(".")
        by_kernel.setdefault(kernel, {})[name] = entry
    return by_kernel


def _outputs(entries: Entries) -> list[str]:
    return [entry["from"].partition(".")[2] for entry in entries.values()]


def _in_order(metrics: Metrics, measures: Entries) -> Iterator[str]:
    """Return the names of the metrics in the order in which the exercise lists its measures."""
    place = {name: number for number, name in enumerate(measures)}
    return iter(sorted(metrics, key=lambda name: place[metrics[name].attrs["quantity"]]))


def _add_angles(
    metrics: Metrics, pose: xr.Dataset, repetitions: Repetitions, entries: Entries
) -> None:
    """Add the numbers of measures that come from angles."""
    errors: Mapping[Hashable, xr.DataArray] = {}
    if "position_draws" in pose:
        errors = trial_errors(pose, repetitions.dataset, repetitions.exercise.moments).data_vars
    method = str(pose.attrs.get("method", DEFAULT_METHOD))
    for name, entry in entries.items():
        angle_name = entry["from"].partition(".")[2]
        angle, sd = (repetitions.angles[variable] for variable in (angle_name, sd_name(angle_name)))
        elsewhere = not {"extreme", "over", "at"}.isdisjoint(entry)
        of_numbers = {
            number: errors[f"{angle_name}_{number}"]
            for number in ("absolute", "sides", "from_standing")
            if f"{angle_name}_{number}" in errors and not elsewhere
        }
        largest = None if "over" in entry else largest_sd(angle_name, method=method)
        value = signed(angle, entry)
        quantity = Quantity(name, entry, value, sd, repetitions, of_numbers, largest)
        add_numbers(metrics, quantity)
        if note := angle.attrs.get("refused") or quantity.why_missing:
            add_note(metrics, name, note)
        _note_no_standing(metrics, quantity)


def _note_no_standing(metrics: Metrics, quantity: Quantity) -> None:
    """Note, in place, why there are no standing frames from which a change could be computed."""
    metric = f"{quantity.name}_from_standing"
    if metric not in metrics:
        return
    repetitions = quantity.repetitions
    standing = next(n for n, e in repetitions.exercise.moments.items() if "before" in e)
    stands = repetitions.frames.sel(phase=standing).to_numpy()[repetitions.accepted].any()
    has_value = quantity.at_moment[0].notnull().isel(rep=repetitions.accepted)
    if not stands and bool(has_value.any()):
        reason = _why_no_standing(repetitions.dataset)
        for name in (metric, *metrics[metric].attrs[BESIDE].split()):
            metrics[name].attrs["note"] = reason


def _why_no_standing(repetitions: xr.Dataset) -> str:
    """Return why there are no standing frames to which the repetitions refer."""
    return never_standing_there(repetitions) or tables.sentence("reasons.never_standing")


def _add_of_points(
    metrics: Metrics,
    pose: xr.Dataset,
    repetitions: Repetitions,
    kernel: PointKernel,
    entries: Entries,
    limits: Mapping[str, float],
) -> list[HistoryWarning]:
    """Add the numbers of measures from a function of points."""
    quantities, warnings = frame_quantities(
        pose, repetitions.dataset, kernel, entries, limits=limits
    )
    for name, entry in entries.items():
        value, sd = quantities[name], quantities[sd_name(name)]
        errors: dict[str, xr.DataArray] = {}
        output = entry["from"].partition(".")[2]
        quantity = Quantity(name, entry, signed(value, entry), sd, repetitions, errors, None)
        if quantity.has_error_of_mean and "position_draws" in pose:
            errors["mean"] = sd_of_means(
                *(pose, repetitions.dataset, quantity.frames, kernel, [output]), limits=limits
            )[output]
        add_numbers(metrics, quantity)
        note = value.attrs.get("note") or quantity.why_missing
        stood = standing_of_main_stance(repetitions.dataset).any()
        if f"{name}_standing" in metrics and not stood:
            note = value.attrs.get("note", "")
            metrics[f"{name}_standing"].attrs["note"] = _why_no_standing(repetitions.dataset)
        if note:
            add_note(metrics, name, note)
        if sides := value.attrs.get(HIDDEN):
            for metric in metrics.values():
                if metric.attrs["quantity"] == name:
                    metric.attrs[HIDDEN] = sides
    return warnings


def _add_of_trial(
    metrics: Metrics,
    repetitions: Repetitions,
    kernel: TrialKernel,
    trial: MeasuredTrial,
    entries: Entries,
) -> None:
    """Add the numbers of measures from a function of the recording."""
    outputs = kernel.compute(trial)
    for name, entry in entries.items():
        if "largest_interval" in entry:
            raise BadInputError(
                f"measure {name}: largest_interval has no effect on a function with @of_trial; "
                "remove it, and return NaN for values that are too uncertain"
            )
        output = output_of(name, entry, outputs)
        values = checked_values(outputs[output], trial, what=f"kernel {entry['from']}")
        before = set(metrics)
        value = signed(values.value, entry)
        add_numbers(metrics, Quantity(name, entry, value, values.sd, repetitions, {}, None))
        for added in metrics.keys() - before:
            metric = metrics[added]
            if metric.attrs["kind"] not in (ERROR, RETEST_ERROR):
                metric.attrs.update(values.attrs)
            if values.note:
                metric.attrs["note"] = values.note
            elif values.if_missing and bool(metric.isnull().all()):
                metric.attrs["note"] = values.if_missing


def _refuse_frontal_plane(metrics: Metrics, view: str, frontal: Sequence[str]) -> HistoryWarning:
    """Blank, in place, the metrics that the view does not show; return the warning."""
    note = tables.sentence(f"reasons.{view.replace('-', '_')}_view")
    metric_of = owners(metrics)
    for name, variable in metrics.items():
        compares = metrics[metric_of.get(name, name)].attrs["kind"] in COMPARES_SIDES and (
            "note" not in variable.attrs or variable.notnull().any()
        )
        if variable.attrs["quantity"] in frontal or compares:
            blank = xr.full_like(variable, np.nan)
            metrics[name] = blank.assign_attrs({"note": note, HIDDEN: "left right"})
    return tables.warning("warnings.sides_not_comparable", reason=note)


def _refuse_far_side(metrics: Metrics, near: str) -> None:
    """Blank, in place, the side that the near side hides."""
    for name, variable in metrics.items():
        if "side" in variable.dims:
            metrics[name] = variable.where(variable["side"] == near)


def _refuse_lying(metrics: Metrics, lean: float, measures: Entries) -> list[dict[str, str]]:
    """Blank, in place, the metrics of a person who did not stand; return the warning, if any."""
    table = tables.load("measures")
    if not lean > table["limits"]["largest_standing_lean_deg"]["value"]:
        return []
    by_repetition = {n for n in measures if "repetition" in measures[n].get("kinds", ())}
    reason = tables.sentence("reasons.not_from_standing", lean=lean)
    for name, variable in metrics.items():
        if name not in by_repetition - {"depth"} and variable.attrs["kind"] != "count":
            metrics[name] = xr.full_like(variable, np.nan).assign_attrs(note=reason)
    return [tables.warning("warnings.not_standing", reason=reason)]
