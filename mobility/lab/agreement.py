"""Agreement of angles, metrics and times from video with those from a lab, in the same trials."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from pydantic import Field

from mobility import tables
from mobility.assessment.metric import merged_history
from mobility.base import provenance
from mobility.base.options import checked
from mobility.base.uncertain import sd_name
from mobility.errors import BadInputError
from mobility.kinematics.datasets import Datasets, RepetitionsOfTrials, Trials, in_degrees
from mobility.kinematics.expected_error import half_width
from mobility.kinematics.skeleton import Array, nan_mean
from mobility.lab.pairing import CURVE_ERRORS, DISCRETE, common_units, paired_angles, paired_metrics
from mobility.studies.statistics.limits_of_agreement import (
    BOOTSTRAP_COVERAGE,
    LEAST_CLUSTERS,
    bland_altman,
    cluster_bootstrap,
    proportional_bias,
    tost_paired,
)
from mobility.studies.statistics.reliability_coefficients import (
    Estimate,
    concordance,
    intraclass_correlation,
    mdc95,
    measurement_error,
)
from mobility.studies.statistics.waveforms import ALPHA, multiple_correlation, paired_curve_test

_NO_SIDE = "not a side of this angle"


@checked
def agreement(
    video: Trials,
    lab: Trials,
    repetitions: RepetitionsOfTrials | None = None,
    *,
    participants: str | Sequence[str | int] | None = None,
    margin_deg: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None,
    values: Annotated[Sequence[str], Field(min_length=1)] = DISCRETE,
) -> xr.Dataset:
    """Compare angles, other values over time, or metrics, from video with those from a lab.

    Frames are never treated as independent. The error of a curve is computed within a repetition
    and averaged within a participant before participants are compared. Every interval is computed
    over participants. If there is only one participant, repetitions are used instead of
    participants. Intervals and limits then describe only this participant (attribute ``scope``),
    and ICC and CCC, which relate differences to the spread between people, are not reported.

    Parameters
    ----------
    video, lab
        One trial, or a list of trials in the same order. Each trial contains angles or metrics;
        those that both systems have are compared. Angles are in degrees over ``(time,)`` or
        ``(time, side)`` at the same times, already synchronised, NaN if not reported or missing;
        ``<angle>_sd`` of the video is used if it exists. Other values, such as moments, need the
        same ``units`` in both.

        Metrics are over ``(rep,)`` or ``(rep,
        side)`` of the same repetitions, in any unit; a coordinate ``participant`` over ``rep`` may
        name the participant of each repetition.
    repetitions
        Repetitions of each trial with angles, as from
        :func:`~mobility.kinematics.repetitions.find_repetitions`: ``start`` and ``end`` in seconds,
        ``accepted``, and for the value at the bottom ``bottom_start`` and ``bottom_end``. The video
        and the lab are evaluated at the same times. If a repetition shows only one side or only
        some angles, ``compared`` over (rep, side) or (rep, angle, side) marks them. Pass None for
        metrics.
    participants
        Participant of each trial; required if there are several trials.
    margin_deg
        Largest mean difference, in degrees, that does not matter, for the test of equivalence.
        Choose it before you see the data. Without it, equivalence is not tested.
    values
        Values of each repetition of angles: ``peak``, ``largest``, ``smallest``, ``range``, or a
        part of the repetition such as ``bottom``: the median from ``bottom_start`` to
        ``bottom_end``.

    Returns
    -------
    xarray.Dataset
        Each statistic has ``units``, ``long_name``, ``reference`` and ``scope``; see
        ``tables/agreement.yaml``. Differences are video minus lab. ``side`` is left, right, or
        middle for angles without sides.

        Over (angle, side): `bias`, `mae`, `rmse`, `rmse_offset_removed` and `coverage`, each the
        mean over participants, with ``_sd`` between them and ``_low`` and ``_high`` (95 %,
        bootstrap over participants). Also `cmc`, `repetitions_compared`, `participants_compared`,
        `frames_compared`, `frames_refused` (the lab has a value, but the video has none),
        `frames_lab_missing`, `waveform_reason`, and `curve_threshold` and `curve_p` for the whole
        curve. Over (angle, side, percent): `video_curve`, `lab_curve`, `difference_curve`, each
        with ``_sd``, and the paired `curve_t`.

        Over (metric, angle, side), with the `values` as metric (or `value` for metrics): Bland and
        Altman's `sd_difference`, `sd_between`, `sd_within`, `lower_limit` and `upper_limit` for one
        repetition, with intervals, and `value_coverage` and `value_reason`. The following use the
        `targets`, which are the means of the participants: `mean_difference`, `slope` (proportional
        bias), `icc`, `icc_consistency`, `ccc`, `sem_agreement`, `sem_consistency`,
        `method_error95_agreement`, `method_error95_consistency`, `tost_p`. `mean_difference` is the
        centre of the limits and of the interval of the equivalence test, because each participant
        counts once, however many repetitions there are.

        Over (rep, ...): the data behind these statistics, `video_values`, `lab_values`,
        `video_curves`, `lab_curves`, `repetition_bias` and so on, with the coordinates
        `participant`, `trial` and `repetition`.

        A missing statistic is NaN, with the reason in `waveform_reason` or `value_reason`.

    Raises
    ------
    BadInputError
        The two Datasets have different times, are not in degrees, share no angle, contain
        infinite values, or have no accepted repetition. Several trials have no participants, or the
        numbers of trials and participants differ. An option is out of range.

    Notes
    -----
    The value at the bottom and the peak are defined as in :func:`~mobility.overhead_squat`, each
    from the frames of its own system. The two systems are the two raters of ICC and SEM. ICC and
    SEM describe how well one system can replace the other, not how repeatable either of them is.
    Therefore 1.96 √2 SEM is an error of the method: 95 % of the differences are within it (around
    their mean, for consistency). A smallest detectable change instead needs one system at several
    times (:func:`~mobility.studies.cohort.changes`).

    References
    ----------
    Bland & Altman 1999, Stat Methods Med Res 8:135; 2007, J Biopharm Stat 17:571. McGraw & Wong
    1996, Psychol Methods 1:30. Kottner et al. 2011 (GRRAS), J Clin Epidemiol 64:96.
    """
    videos, labs = _trials(video), _trials(lab)
    if not videos or len(videos) != len(labs):
        raise BadInputError(
            f"agreement: the video has {len(videos)} trials, but the lab has {len(labs)}; pass "
            "both for each trial"
        )
    participant_of_trial = _participants(participants, len(videos))
    warnings: list[dict[str, str]] = []
    if "time" in videos[0].dims:
        if repetitions is None:
            raise BadInputError(
                "agreement: angles over time need repetitions (find_repetitions), because frames"
                " are not independent"
            )
        windows = _trials(repetitions)
        if len(windows) != len(videos):
            raise BadInputError(
                f"agreement: there are repetitions for {len(windows)} trials, but {len(videos)} "
                "trials were passed; pass repetitions for each trial"
            )
        rows, warnings = paired_angles(
            videos, labs, windows, participant_of_trial, list(dict.fromkeys(values))
        )
    elif repetitions is not None:
        raise BadInputError(
            "agreement: metrics already have repetitions; leave out repetitions, which are for"
            " angles over time"
        )
    else:
        rows = paired_metrics(videos, labs, participant_of_trial)
    single = np.unique(rows["participant"].values).size == 1
    scope = "this participant only" if single else "participants"
    unit_means = _unit_means(rows["participant"].values)
    variables: dict[Any, Any] = dict(rows.data_vars)
    if "video_curves" in rows:
        variables |= _waveforms(rows, unit_means)
    variables |= _discrete(rows, unit_means, margin_deg)
    result = xr.Dataset(variables, coords=rows.coords)
    for name, entry in tables.load("agreement").items():
        for key in (name, sd_name(name), f"{name}_low", f"{name}_high"):
            if key in result and "long_name" not in result[key].attrs:
                result[key].attrs |= _attrs(key, name, entry, rows)
    for key in map(str, result.data_vars):
        if "rep" not in result[key].dims:
            result[key].attrs["scope"] = scope
    if margin_deg is None:
        for key in ("tost_p", "tost_low", "tost_high"):
            result[key].attrs["note"] = "no margin was chosen beforehand, so there is no test"
    else:
        result["tost_p"].attrs["margin_deg"] = margin_deg
    result.attrs = {
        "ds_type": "agreement",
        "scope": scope,
        "participants": int(np.unique(rows["participant"].values).size),
        "trials": len(videos),
        "targets": "repetitions" if single else "means of the participants' repetitions",
    }
    if len(videos) == 1:
        result.attrs["history"] = merged_history(videos[0], labs[0])
    more: dict[str, Any] = {"warnings": warnings} if warnings else {}
    return provenance.with_history(
        result,
        "agreement",
        {"margin_deg": margin_deg},
        trials=len(videos),
        participants=result.attrs["participants"],
        repetitions=int(rows.sizes["rep"]),
        **more,
    )


def _trials(trials: Datasets) -> list[xr.Dataset]:
    return [trials] if isinstance(trials, xr.Dataset) else list(trials)


def _participants(people: str | Sequence[str | int] | None, trials: int) -> list[str]:
    if people is None:
        if trials > 1:
            raise BadInputError(
                f"agreement: the {trials} trials have no participants; pass participants=[...], "
                "because trials of one participant are not independent"
            )
        return ["1"]
    names = [people] if isinstance(people, str) else [str(name) for name in people]
    if len(names) != trials:
        raise BadInputError(
            f"agreement: there are {len(names)} participants for {trials} trials; name one for "
            "each trial"
        )
    return names


def _unit_means(participant: NDArray[np.str_]) -> Callable[[Array], Array]:
    """Return a function that averages over repetitions, if there are several participants."""
    names = list(dict.fromkeys(participant.tolist()))
    if len(names) == 1:
        return lambda values: values
    groups = [np.flatnonzero(participant == name) for name in names]

    def means(values: Array) -> Array:
        return np.stack([nan_mean(values[group], axis=0) for group in groups])

    return means


def _applicable(rows: xr.Dataset) -> NDArray[np.bool_]:
    """Mask (angle, side) of the sides that an angle has: left and right, or middle."""
    return np.asarray(rows["sided"].values[:, None] != (rows["side"].values == "middle"))


def _waveforms(rows: xr.Dataset, unit_means: Callable[[Array], Array]) -> dict[str, Any]:
    """Return errors of the curves, averaged over independent units, and the mean curves."""
    dims = ("angle", "side")
    shape = (rows.sizes["angle"], rows.sizes["side"])
    variables: dict[str, Any] = {}
    reasons = np.full(shape, "", dtype=object)

    def add_reason(at: tuple[int, ...], text: str) -> None:
        if text not in reasons[at]:
            reasons[at] = f"{reasons[at]}; {text}" if reasons[at] else text

    errors = rows["repetition_rmse"].to_numpy()
    compared = np.isfinite(errors).sum(axis=0)
    units = np.isfinite(unit_means(errors)).sum(axis=0)
    participants = rows["participant"].values
    people = np.zeros(shape, dtype=np.int64)
    applicable = _applicable(rows)
    for at in np.ndindex(shape):
        people[at] = np.unique(participants[np.isfinite(errors[:, *at])]).size
        if not applicable[at]:
            add_reason(at, _NO_SIDE)
        elif compared[at] == 0:
            lacking = [
                what
                for what in ("video", "lab")
                if not np.isfinite(rows[f"{what}_curves"].to_numpy()[:, *at]).any()
            ]
            none = f"no curve of the {' and the '.join(lacking)}" if lacking else ""
            add_reason(at, none or "no repetition with enough of its curve")
        elif units[at] < LEAST_CLUSTERS:
            add_reason(
                at, f"intervals: {units[at]} independent curves; {LEAST_CLUSTERS} are needed"
            )
    for name in (*CURVE_ERRORS, "coverage"):
        values = unit_means(rows[f"repetition_{name}"].to_numpy())
        finite = np.isfinite(values)
        mean = nan_mean(values, axis=0)
        sd, low, high = (np.full(shape, np.nan) for _ in range(3))
        for at in np.ndindex(shape):
            column = values[:, *at][finite[:, *at]]
            if column.size > 1:
                sd[at] = column.std(ddof=1)
            low[at], high[at] = cluster_bootstrap(column)
        variables |= {
            name: (dims, mean),
            sd_name(name): (dims, sd),
            f"{name}_low": (dims, low),
            f"{name}_high": (dims, high),
        }
    variables["cmc"] = (dims, _correlations(rows, add_reason))
    for name, count, text in (
        ("repetitions_compared", compared, "repetitions with enough of their curve"),
        ("participants_compared", people, "participants with such a repetition"),
    ):
        variables[name] = (dims, count, {"units": "1", "long_name": text})
    for name in ("frames_compared", "frames_refused", "frames_lab_missing"):
        counts = rows[f"repetition_{name}"]
        variables[name] = (dims, counts.to_numpy().sum(axis=0), dict(counts.attrs))
    variables |= _curves(rows, unit_means, add_reason)
    variables["waveform_reason"] = (
        dims,
        reasons,
        {"long_name": "why statistics of the curves are missing"},
    )
    return variables


def _correlations(rows: xr.Dataset, add_reason: Callable[[tuple[int, ...], str], None]) -> Array:
    """Return the CMC of the two systems over the repetitions of each participant, averaged."""
    participants = rows["participant"].values
    curves = np.stack([rows[f"{what}_curves"].to_numpy() for what in ("video", "lab")], axis=1)
    usable = np.isfinite(rows["repetition_rmse"].to_numpy())
    shape = curves.shape[2:4]
    result = np.full(shape, np.nan)
    for at in np.ndindex(shape):
        values = [
            multiple_correlation(curves[of_person, :, *at])
            for name in dict.fromkeys(participants.tolist())
            if (of_person := (participants == name) & usable[:, *at]).any()
        ]
        if not values:
            continue
        undefined = int(np.isnan(values).sum())
        if undefined:
            add_reason(
                at,
                "CMC: the curves differ more than they move"
                + (f" in {undefined} of {len(values)} participants" if len(values) > 1 else ""),
            )
        result[at] = np.mean(values)
    return result


def _curves(
    rows: xr.Dataset,
    unit_means: Callable[[Array], Array],
    add_reason: Callable[[tuple[int, ...], str], None],
) -> dict[str, Any]:
    """Return mean curves of the independent units with their sd, and the test at every point."""
    dims = ("angle", "side", "percent")
    usable = np.isfinite(rows["repetition_rmse"].to_numpy())[..., None]
    means = {
        what: unit_means(np.where(usable, rows[f"{what}_curves"].to_numpy(), np.nan))
        for what in ("video", "lab")
    }
    means["difference"] = unit_means(
        np.where(usable, (rows["video_curves"] - rows["lab_curves"]).to_numpy(), np.nan)
    )
    variables: dict[str, Any] = {}
    long_names = {
        "video": "mean curve of the video",
        "lab": "mean curve of the lab",
        "difference": "mean difference of the curves, video minus lab",
    }
    units = common_units(rows["units"].values.tolist())
    attrs = {"units": units, "reference": "Mean of the independent units, point by point"}
    for what, values in means.items():
        curves = xr.DataArray(values, dims=("unit", *dims))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Degrees of freedom", RuntimeWarning)
            sd = curves.std("unit", ddof=1).where(curves.notnull().sum("unit") > 1)
        mean, text = curves.mean("unit"), long_names[what]
        variables[f"{what}_curve"] = (dims, mean.to_numpy(), attrs | {"long_name": text})
        text += ", standard deviation"
        variables[sd_name(f"{what}_curve")] = (dims, sd.to_numpy(), attrs | {"long_name": text})
    t = np.full(means["lab"].shape[1:], np.nan)
    threshold, p = (np.full(t.shape[:2], np.nan) for _ in range(2))
    tested = {
        "units": "1",
        "reference": "Nichols & Holmes 2002, Hum Brain Mapp 15:1 (sign flips, max-t)",
        "alpha": ALPHA,
    }
    for at in np.ndindex(t.shape[:2]):
        if not usable[:, *at].any():
            continue
        try:
            test = paired_curve_test(means["video"][:, *at] - means["lab"][:, *at])
        except BadInputError as error:
            add_reason(at, str(error))
            continue
        t[at], threshold[at], p[at] = test.t, test.threshold, test.p.min()
    for name, values, text in (
        ("curve_t", t, "paired t at every point"),
        ("curve_threshold", threshold, "t beyond which the curves differ, two-tailed"),
        ("curve_p", p, "p of the largest t of the whole curve"),
    ):
        variables[name] = (dims[: values.ndim], values, tested | {"long_name": text})
    return variables


def _discrete(
    rows: xr.Dataset, unit_means: Callable[[Array], Array], margin_deg: float | None
) -> dict[str, Any]:
    """Return the agreement of the values of repetitions."""
    dims = ("metric", "angle", "side")
    ours, theirs, sd = (
        rows[name].transpose("rep", *dims).to_numpy()
        for name in ("video_values", "lab_values", sd_name("video_values"))
    )
    shape = ours.shape[1:]
    participants = rows["participant"].values
    single = np.unique(participants).size == 1
    names = [n for n, e in tables.load("agreement").items() if e["over"] == "discrete"]
    statistics_of = {name: np.full(shape, np.nan) for name in names}
    reasons = np.full(shape, "", dtype=object)
    applicable = _applicable(rows)
    degrees = [in_degrees(units) for units in rows["units"].values.tolist()]
    for at in np.ndindex(shape):
        both = np.isfinite(ours[:, *at] - theirs[:, *at])
        our, their = (np.where(both, v[:, *at], np.nan) for v in (ours, theirs))
        if not both.any():
            reasons[at] = "no repetition with a value from both" if applicable[at[1:]] else _NO_SIDE
            for name in ("pairs", "targets"):
                statistics_of[name][at] = 0
            continue
        errors = sd[:, *at][both]
        if (with_sd := np.isfinite(errors)).any():
            inside = np.abs(our[both] - their[both]) <= half_width(errors)
            statistics_of["value_coverage"][at] = inside[with_sd].mean()
        owners = None if single else participants.tolist()
        statistics, missing = _pair_statistics(
            our, their, owners, unit_means, margin_deg, degrees[at[1]]
        )
        for name, value in statistics.items():
            statistics_of[name][at] = value
        reasons[at] = "; ".join(dict.fromkeys(text for text in missing if text))
    labelled: dict[str, Any] = {name: (dims, values) for name, values in statistics_of.items()}
    for name in ("pairs", "targets"):
        labelled[name] = (dims, statistics_of[name].astype(np.int64))
    labelled["value_reason"] = (
        dims,
        reasons,
        {"long_name": "why statistics of the values are missing"},
    )
    return labelled


def _pair_statistics(
    video: Array,
    lab: Array,
    participants: list[str] | None,
    unit_means: Callable[[Array], Array],
    margin_deg: float | None,
    in_degrees: bool,
) -> tuple[dict[str, float], list[str]]:
    """Return all statistics of the repetitions' paired values, and reasons for missing ones."""
    limits = bland_altman(video, lab, participants=participants)
    means = unit_means(video), unit_means(lab)
    table = np.stack(means, axis=1)
    line = proportional_bias(*means)
    if participants is None:
        # These relate differences to the spread between people, which one person does not show.
        reason = (
            "ICC, CCC, SEM, error of method and the test of equivalence: several participants "
            "are needed, but there is only one"
        )
        missing = Estimate(len(table), *(np.nan,) * 3, reason=reason)
        absolute = consistent = concordant = sem_agreement = sem_consistency = missing
    else:
        # Video and lab are the only two methods, not a sample of many.
        absolute = intraclass_correlation(table, form="A,1", columns="fixed")
        consistent = intraclass_correlation(table, form="C,1", columns="fixed")
        concordant = concordance(*means)
        sem_agreement = measurement_error(table, kind="agreement")
        sem_consistency = measurement_error(table, kind="consistency")
    statistics = {
        "pairs": limits.pairs,
        "targets": int(np.isfinite(table).all(axis=1).sum()),
        "sd_difference": limits.sd,
        "sd_between": limits.sd_between,
        "sd_within": limits.sd_within,
        "slope_p": line.p,
        "slope_intercept": line.intercept,
        "slope_residual_sd": line.residual_sd,
        "sem_agreement": sem_agreement.value,
        "sem_consistency": sem_consistency.value,
        "method_error95_agreement": mdc95(sem_agreement.value),
        "method_error95_consistency": mdc95(sem_consistency.value),
    }
    for name, (value, low, high) in {
        "mean_difference": (limits.bias, limits.bias_low, limits.bias_high),
        "lower_limit": (limits.lower, limits.lower_low, limits.lower_high),
        "upper_limit": (limits.upper, limits.upper_low, limits.upper_high),
        "slope": (line.slope, line.slope_low, line.slope_high),
        "icc": absolute[1:4],
        "icc_consistency": consistent[1:4],
        "ccc": concordant[1:4],
    }.items():
        statistics |= {name: value, f"{name}_low": low, f"{name}_high": high}
    reasons = [result.reason for result in (limits, line, absolute, consistent, concordant)]
    # Without an error no value is missing, only the interval, which is not reported here.
    reasons += [error.reason for error in (sem_agreement,) if np.isnan(error.value)]
    if margin_deg is not None and participants is None:
        statistics |= dict.fromkeys(("tost_p", "tost_low", "tost_high"), np.nan)
    elif margin_deg is not None and in_degrees:
        test = tost_paired(*means, margin=margin_deg)
        statistics |= {"tost_p": test.p, "tost_low": test.low, "tost_high": test.high}
        reasons.append(test.reason)
    elif margin_deg is not None:
        reasons.append("equivalence: the margin is in degrees")
    return statistics, reasons


def _attrs(key: str, name: str, entry: dict[str, Any], rows: xr.Dataset) -> dict[str, str]:
    """Return the attributes of a statistic, or of its spread or interval."""
    suffix = {
        sd_name(name): ": standard deviation between the independent units",
        f"{name}_low": ": lower end of its 95 % interval",
        f"{name}_high": ": upper end of its 95 % interval",
    }.get(key, "")
    value_units = common_units(rows["units"].values.tolist())
    attrs = {
        "units": value_units if entry["units"] == "value" else str(entry["units"]),
        "long_name": f"{entry['long_name']}{suffix}",
        "reference": str(entry["source"]),
    }
    if key.endswith(("_low", "_high")) and entry["over"] == "waveform":
        attrs["reference"] = "Bootstrap over the units, Hesterberg 2015, Am Stat 69:371"
        attrs["note"] = BOOTSTRAP_COVERAGE
    if "form" in entry:
        attrs["form"] = str(entry["form"])
    return attrs


def agreement_of_times(
    trials: Sequence[xr.Dataset], participants: Sequence[str]
) -> xr.Dataset | None:
    """Compare the times of trials of the same exercise; None if nothing can be compared.

    Parameters
    ----------
    trials
        Each trial has ``times(system, quantity, rep)`` for the systems "video" and "lab",
        ``times_sd(quantity, rep)``, and the coordinates ``units`` and ``long_name`` of each
        quantity. A trial without these variables has no times to compare.
    participants
        Participant of each trial.

    Returns
    -------
    xarray.Dataset
        The result of :func:`~mobility.lab.agreement.agreement` over ``quantity``, with ``video``
        and ``lab``, the means of the pairs, and the same coordinates.
    """
    timed = [
        (trial, who) for trial, who in zip(trials, participants, strict=True) if "times" in trial
    ]
    paired = [trial["times"].notnull().all("system").any("rep") for trial, _ in timed]
    names = [
        name
        for name in (timed[0][0]["quantity"].values.tolist() if timed else [])
        if any(bool(pair.sel(quantity=name)) for pair in paired)
    ]
    if not names:
        return None
    measured = [trial.sel(quantity=names) for trial, _ in timed]
    videos = [_by_name(trial, "video").assign(_errors(trial)) for trial in measured]
    labs = [_by_name(trial, "lab") for trial in measured]
    compared = agreement(videos, labs, participants=[who for _, who in timed])
    compared = compared.sel(metric="value", side="middle", drop=True)
    both = (compared["video_values"] - compared["lab_values"]).notnull()
    means = {
        system: compared[f"{system}_values"].where(both).mean("rep") for system in ("video", "lab")
    }
    result = compared.assign(means).rename(angle="quantity")
    return result.assign_coords(long_name=("quantity", measured[0]["long_name"].to_numpy()))


def _by_name(trial: xr.Dataset, system: str) -> xr.Dataset:
    """Return the times of one system as metrics of the repetitions."""
    times = trial["times"].sel(system=system)
    return _split(times, {"units": trial["units"].to_numpy().tolist()})


def _errors(trial: xr.Dataset) -> dict[str, xr.DataArray]:
    of_name = _split(trial[sd_name("times")], {})
    return {sd_name(name): values for name, values in of_name.data_vars.items()}


def _split(values: xr.DataArray, attrs: dict[str, list[Any]]) -> xr.Dataset:
    parts = {}
    for number, name in enumerate(values["quantity"].values.tolist()):
        one = {key: entries[number] for key, entries in attrs.items()}
        parts[name] = ("rep", values.isel(quantity=number).to_numpy(), one)
    return xr.Dataset(parts, coords={"rep": values["rep"].to_numpy()})
