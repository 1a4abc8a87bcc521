"""Agreement of measured angles with true angles, over many cases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
import yaml
from numpy.typing import NDArray

from mobility import tables
from mobility.base.provenance import with_history
from mobility.base.uncertain import sd_name
from mobility.errors import BadInputError
from mobility.keypoints.view import VIEWS, view_of_azimuth
from mobility.kinematics.expected_error import half_width
from mobility.kinematics.skeleton import SIDES, Array
from mobility.studies.statistics.limits_of_agreement import limits_of_agreement
from mobility.virtual_lab.case import Case, case_from
from mobility.virtual_lab.squat import Squat
from mobility.virtual_lab.standing_body import FOLDED

BENT = 30.0
"""Degrees; cases in which an elbow is bent by more than this are counted separately."""

DEEP = 0.9
"""Share of the largest true knee flexion (mean of the sides) above which a frame is deep."""

PARTS = ("all", "deep")
"""All frames of a video, and the frames of its deep part."""

CLIPS = ("all", "straight", "bent")
"""All videos, those with straight elbows, and those with a bent elbow."""

VIEW_CLASSES = (*VIEWS, "all")
"""Views, with left and right together, and all videos."""

_TEXTS = {
    "bias": "mean error",
    "mae": "mean absolute error",
    "rmse": "root mean square error",
    "sd": "standard deviation of one error, between and within videos",
    "sd_between": "standard deviation of the mean error of a video",
    "low": "lower 95 % limit of agreement",
    "high": "upper 95 % limit of agreement",
    "coverage": "share of errors within 1.96 sd",
    "given": "share of values that are reported",
}


def agreement(measured: Mapping[str, xr.Dataset]) -> xr.Dataset:
    """Compare angles with the truth, by case and by view.

    `measured` contains the results of :func:`mobility.virtual_lab.sweep.measured_angles` by name of
    the case, all with the same estimators and model.

    Returns
    -------
    xarray.Dataset
        In degrees. By case, over (case, estimator, angle, side, part): `case_bias`, `case_mae`,
        `case_rmse`, `case_n` (frames), `case_given` (share of the frames in which the analysis
        reports the value) and `case_coverage` (share of the errors within 1.96 `_sd`). By view,
        over (view, ``clips``, estimator, angle, part): `bias`, `mae`, `rmse`, `sd` of one error,
        its component `sd_between` videos, the 95 % limits of agreement `low` and `high`,
        `coverage`, `given` and the number of `clips_used`. The errors of the fitted body only
        include values that the analysis reports; those of other estimators include all values.
        Angles without sides have the side "middle".
    """
    if not measured:
        raise BadInputError("agreement: there are no measured cases; run the sweep first")
    first = next(iter(measured.values()))
    for name, dataset in measured.items():
        for attribute in ("model_sha256", "fit_method", "versions"):
            if dataset.attrs.get(attribute) != first.attrs.get(attribute):
                raise BadInputError(
                    f"agreement: case {name} differs from the first case in {attribute}; run "
                    "the sweep again without --resume"
                )
    estimators = [str(estimator) for estimator in first["estimator"].values]
    angles = list(tables.load("angles"))
    sides = [*SIDES, "middle"]
    shape = (len(measured), len(estimators), len(angles), len(sides), len(PARTS))
    sums = {
        name: np.full(shape, np.nan) for name in ("bias", "mae", "rmse", "given", "coverage", "var")
    }
    count = np.zeros(shape, dtype=np.int64)
    cases = [
        case_from(yaml.safe_load(dataset.attrs["case"]), what="measured angles")
        for dataset in measured.values()
    ]
    for c, dataset in enumerate(measured.values()):
        knees = dataset["knee_flexion_true"].mean("side")
        deep = (knees > DEEP * knees.max()).to_numpy()
        parts = {"all": np.ones_like(deep), "deep": deep}
        for m, a, s, p in np.ndindex(shape[1:]):
            side = sides[s]
            if (side == "middle") == ("side" in dataset[angles[a]].dims):
                continue
            errors = _errors(dataset, angles[a], estimators[m], side, parts[PARTS[p]])
            count[c, m, a, s, p] = errors.pop("n")
            for name, value in errors.items():
                sums[name][c, m, a, s, p] = value
    mirrored = np.array([-1.0 if _from_right(case) else 1.0 for case in cases])
    dims = ("case", "estimator", "angle", "side", "part")
    degrees = {"units": "degree"}
    by_case = {
        name: (dims, sums[name], {"units": _units(name), "long_name": _TEXTS[name]})
        for name in ("bias", "mae", "rmse", "given", "coverage")
    }
    by_case["n"] = (dims, count, {"units": "1", "long_name": "frames with an error"})
    result = xr.Dataset(
        {
            **{f"case_{name}": variable for name, variable in by_case.items()},
            **_by_view(cases, estimators, angles, sums, count, mirrored),
        },
        coords={
            "case": list(measured),
            "estimator": estimators,
            "angle": angles,
            "side": sides,
            "part": list(PARTS),
            "view": list(VIEW_CLASSES),
            "clips": list(CLIPS),
            "case_view": ("case", [view_class(case) for case in cases]),
            "case_bent": ("case", [is_bent(case) for case in cases]),
            "azimuth": ("case", [case.camera.azimuth for case in cases], degrees),
            "depth": (
                "case",
                [_depth(case) for case in cases],
                {"units": "percent"},
            ),
        },
        attrs={
            **{
                name: first.attrs[name]
                for name in ("model_sha256", "fit_method", "versions")
                if name in first.attrs
            },
            "note": (
                "Pelvic obliquity by view: it is mirrored if the camera is on the subject's right."
            ),
        },
    )
    return with_history(result, "agreement", {}, cases=len(measured))


def view_class(case: Case) -> str:
    """Return the view of a case, without its side."""
    return view_of_azimuth(case.camera.azimuth)


def is_bent(case: Case) -> bool:
    """Return whether an elbow is bent by more than :data:`BENT` degrees."""
    if case.stance.arms in FOLDED:
        return True
    bend = case.stance.elbow_bend
    return (bend if isinstance(bend, (int, float)) else max(bend.left, bend.right)) > BENT


def _depth(case: Case) -> float:
    return float(np.max(case.motion.depth)) if isinstance(case.motion, Squat) else np.nan


def _from_right(case: Case) -> bool:
    azimuth = (case.camera.azimuth + 180.0) % 360.0 - 180.0
    return azimuth < 0 and view_class(case) not in ("front", "back")


def _errors(
    dataset: xr.Dataset, angle: str, estimator: str, side: str, frames: NDArray[np.bool_]
) -> dict[str, Any]:
    """Return the errors of one angle and side in one case."""

    def series(name: str) -> Array:
        values = dataset[name]
        if "estimator" in values.dims:
            values = values.sel(estimator=estimator)
        if "side" in values.dims:
            values = values.sel(side=side)
        return values.to_numpy()[frames].astype(np.float64)

    true = series(f"{angle}_true")
    error = (series(angle) - true + 180.0) % 360.0 - 180.0
    refused = series(f"{angle}_refused") > 0
    counted = np.isfinite(error)
    if estimator == "fitted":
        counted &= ~refused
    has_truth = np.isfinite(true)
    share = float((np.isfinite(error) & ~refused)[has_truth].mean()) if has_truth.any() else np.nan
    error, sd = error[counted], series(sd_name(angle))[counted]
    with_sd = np.isfinite(sd)
    n = len(error)
    return {
        "n": n,
        "given": share,
        "bias": error.mean() if n else np.nan,
        "mae": np.abs(error).mean() if n else np.nan,
        "rmse": np.sqrt((error**2).mean()) if n else np.nan,
        "var": error.var(ddof=1) if n > 1 else np.nan,
        "coverage": (
            (np.abs(error) <= half_width(sd))[with_sd].mean() if n and with_sd.any() else np.nan
        ),
    }


def _by_view(
    cases: list[Case],
    estimators: list[str],
    angles: list[str],
    sums: Mapping[str, Array],
    count: NDArray[np.int64],
    mirrored: Array,
) -> dict[str, Any]:
    views = np.array([view_class(case) for case in cases])
    bent = np.array([is_bent(case) for case in cases])
    shape = (len(VIEW_CLASSES), len(CLIPS), len(estimators), len(angles), len(PARTS))
    statistics = {name: np.full(shape, np.nan) for name in _TEXTS}
    used = np.zeros(shape, dtype=np.int64)
    for at in np.ndindex(shape):
        v, k, m, a, p = at
        of_view = (views == VIEW_CLASSES[v]) | (VIEW_CLASSES[v] == "all")
        of_view &= {"all": True, "straight": ~bent, "bent": bent}[CLIPS[k]]
        part = (of_view, m, a, slice(None), p)
        n = count[part].astype(np.float64)
        sign = mirrored[of_view, None] if tables.load("angles")[angles[a]].get("mirrors") else 1.0
        means, variances, counts = _per_clip(sign * sums["bias"][part], sums["var"][part], n)
        limits = limits_of_agreement(means, variances, counts)
        values = {
            "bias": limits.bias,
            "sd": limits.sd,
            "sd_between": limits.sd_between,
            "low": limits.low,
            "high": limits.high,
            "mae": _weighted(sums["mae"][part], n),
            "rmse": np.sqrt(_weighted(sums["rmse"][part] ** 2, n)),
            "coverage": _weighted(sums["coverage"][part], n),
            "given": _weighted(sums["given"][part], np.isfinite(sums["given"][part]) * 1.0),
        }
        for name, value in values.items():
            statistics[name][at] = value
        used[at] = int((counts > 0).sum())
    dims = ("view", "clips", "estimator", "angle", "part")
    variables = {
        name: (dims, values, {"units": _units(name), "long_name": _TEXTS[name]})
        for name, values in statistics.items()
    }
    return variables | {
        "clips_used": (dims, used, {"units": "1", "long_name": "videos with such errors"})
    }


def _units(name: str) -> str:
    return "1" if name in ("coverage", "given") else "degree"


def _per_clip(means: Array, variances: Array, counts: Array) -> tuple[Array, Array, Array]:
    """Return mean, variance and number of the errors of each video, both sides together."""
    total = counts.sum(axis=1)
    means, variances = np.nan_to_num(means), np.nan_to_num(variances)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = (counts * means).sum(axis=1) / total
        squares = ((counts - 1).clip(0) * variances + counts * (means - mean[:, None]) ** 2).sum(1)
        variance = squares / (total - 1)
    return mean, variance, total


def _weighted(values: Array, weights: Array) -> float:
    valid = np.isfinite(values) & (weights > 0)
    if not valid.any():
        return float("nan")
    return float((values[valid] * weights[valid]).sum() / weights[valid].sum())
