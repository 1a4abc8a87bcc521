"""Correlations, and measured factors that turn the spread of posterior samples into errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, TypeVar

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mobility import tables
from mobility.base.options import Load
from mobility.base.provenance import cameras_of, history, last_of
from mobility.keypoints.sources import Origin
from mobility.keypoints.view import TWO_CAMERAS, trial_view
from mobility.kinematics.skeleton import SIDES

Array = NDArray[np.float64]


def cross_correlation(a: Array, b: Array) -> Array:
    """Return the sum of ``a(t + lag) b(t)`` for each signal and lag; both grids have the same step.

    `a` is (signal, n), `b` (signal, m) and the result (signal, n + m - 1), for lags from
    ``-(m - 1)`` to ``n - 1`` steps.
    """
    from scipy.signal import correlate

    return np.stack([correlate(x, y, mode="full", method="fft") for x, y in zip(a, b, strict=True)])


def normalised(dot: Array, power_a: Array, power_b: Array) -> Array:
    """Return the correlation, in [-1, 1], from sums of products and of squares.

    The result is 0 without motion.
    """
    least = 1e-6 * max(float(power_a.max()), float(power_b.max()), 1e-12)
    rho: Array = dot / np.sqrt(np.maximum(power_a, least) * np.maximum(power_b, least))
    return np.clip(rho, -1.0, 1.0)


def peak(rho: Array, best: int) -> tuple[float, float]:
    r"""Return the position of a maximum in steps, and its curvature per step squared.

    The parabola through the values :math:`c_-, c_0, c_+` around the maximum has its peak at
    :math:`\frac{1}{2} (c_- - c_+) / (c_- - 2 c_0 + c_+)`.
    """
    if not 0 < best < len(rho) - 1:
        return float(best), 0.0
    before, here, after = rho[best - 1 : best + 2]
    curvature = float(2 * here - before - after)
    if curvature <= 0:
        return float(best), 0.0
    return best + float(np.clip(0.5 * (after - before) / curvature, -1, 1)), curvature


def rival_peaks(height: Array, rho: Array, best: int, *, valley: float) -> Iterator[int]:
    """Return the lags of all peaks of `height` except the one at `best`, the highest first.

    Between such a peak and `best`, the correlation `rho` must fall to `valley`; otherwise the two
    are one peak.
    """
    inner = np.arange(1, len(height) - 1)
    peaks = inner[(height[inner] >= height[inner - 1]) & (height[inner] >= height[inner + 1])]
    for peak in peaks[np.argsort(-height[peaks])].tolist():
        between = rho[min(best, peak) : max(best, peak) + 1]
        if between.size and between.min() <= valley:
            yield int(peak)


TABLE, TRIAL = "expected_error", "trial_errors"

NUMBERS = ("absolute", "from_standing", "sides")
"""Numbers of a recording, as in the table ``trial_errors``."""

Z95 = 1.96
"""Margin of error (95 %) in standard deviations, for normal errors."""

MDC95 = Z95 * 2**0.5
"""Smallest change between two measurements that exceeds their error, in standard deviations of one
measurement.
"""

_Number = TypeVar("_Number", float, NDArray[np.float64], xr.DataArray)


def half_width(sd: _Number) -> _Number:
    """Return the margin of error (95 %) for the standard deviation `sd`."""
    return Z95 * sd


def sd_of(low: float, high: float) -> float:
    """Return the standard deviation of an error whose 95 % interval is from `low` to `high`."""
    return (high - low) / (2 * Z95)


def spread_factors(fitted: xr.Dataset) -> dict[str, float]:
    """Return the calibration factor of each angle for this kind of fit (:func:`kind_of`).

    The factor multiplies the spread of the posterior samples. For an angle that was not measured,
    the factor of the most similar kind in the table is used, or 1. If the source of the keypoints
    has a factor as well (table ``pose_sources``), the two are multiplied.
    """
    measured = tables.load(TABLE)["fitted"]
    return _factors({kind: entry["angles"] for kind, entry in measured.items()}, fitted)


def trial_factors(fitted: xr.Dataset, number: str) -> dict[str, float]:
    """Return the calibration factor of each angle for one number of a recording.

    `number` is "absolute", "from_standing" or "sides", as in the table ``trial_errors``. Missing
    factors are replaced as in :func:`spread_factors`.
    """
    trial = tables.load(TRIAL)["trial"]
    return _factors({kind: entry[number] for kind, entry in trial.items()}, fitted)


def _factors(measured: Mapping[str, Mapping[str, float]], fitted: xr.Dataset) -> dict[str, float]:
    alike = [measured.get(kind, {}) for kind in alike_kinds(kind_of(fitted))]
    source = Origin.of(fitted.attrs).source
    return {
        name: next((float(factors[name]) for factors in alike if name in factors), 1.0)
        * source.widened(name)
        for name in tables.load("angles")
    }


def alike_kinds(kind: str) -> list[str]:
    """Return the kinds of fit whose factors apply to a kind: the kind itself, then similar ones."""
    like = tables.load(TABLE)["kinds"]["of"][kind].get("like")
    return [kind, *(alike_kinds(like) if like else [])]


def retest_sems(fitted: xr.Dataset) -> dict[str, float]:
    """Return the standard errors of measurement between recordings of one person, by metric.

    The camera is put back to the same place between recordings. Metrics that were not measured are
    absent. The result is empty for kinds of fit (:func:`kind_of`) that were not measured (two
    cameras, moving feet), and for keypoints of a model that was not measured.
    """
    if not Origin.of(fitted.attrs).is_measured:
        return {}
    measured: dict[str, dict[str, float]] = tables.load(TRIAL)["retest"]["sem"]
    return measured.get(kind_of(fitted), {})


def kind_of(fitted: xr.Dataset) -> str:
    """Return the kind of fit, as the tables of factors name it (``kinds`` of ``expected_error``).

    Two cameras only count as two if they are far enough apart for the view "two-cameras". If the
    feet move and there is no calibration, the vertical is undetermined, which is a separate kind.
    One camera whose view is unknown counts as diagonal, because people are asked to film from
    there.
    """
    fit = of_fit(fitted)
    planted = bool(fit.get("planted"))
    if cameras_of(fitted) and trial_view(fitted) == TWO_CAMERAS:
        vertical_known = planted or fit.get("arguments", {}).get("calibration") is not None
        return "two_cameras" if vertical_known else "two_cameras_moving_feet"
    if not planted:
        return "moving_feet"
    view = trial_view(fitted)
    if view.startswith("back"):
        return "from_behind"
    if fit.get("standing_seconds") == 0:
        return "not_standing_front" if view == "front" else "not_standing"
    return "front" if view == "front" else "from_the_side" if view in SIDES else "oblique"


def of_fit(fitted: xr.Dataset) -> dict[str, Any]:
    """Return the history entry of the fit; empty if no body was fitted."""
    return last_of(history(fitted), "fit_body")


def load_of(fitted: xr.Dataset) -> Load | None:
    """Return what the person carries, as it was given to the fit; None if nothing."""
    load = of_fit(fitted).get("arguments", {}).get("load")
    return None if load is None else (load[0], float(load[1]))


def source_of_standing(fitted: xr.Dataset) -> Literal["assumed", "given", ""]:
    """Return the origin of the knee flexion in standing with which the recording was calibrated.

    "assumed" (straight), "given" (a number), or empty if the recording was not calibrated by
    standing.
    """
    fit = of_fit(fitted)
    if float(fit.get("standing_seconds", 0)) <= 0:
        return ""
    return "assumed" if fit["arguments"]["standing"] == "straight" else "given"


def unlike_measured(fitted: xr.Dataset) -> list[str]:
    """List the differences from the recordings on which the errors were measured, line by line."""
    if not of_fit(fitted):
        return []
    difference = tables.load(TABLE)["kinds"]["of"][kind_of(fitted)].get("unlike")
    lines = [] if difference is None else [str(difference)]
    model = another_model(fitted)
    return lines if model is None else [*lines, str(model["message"])]


def landmark_error(method: str, angle: str) -> dict[str, Any] | None:
    """Return ``sd`` and ``source`` of an angle without a fit; None if it was not measured.

    `method` states how the positions were obtained.
    """
    errors = tables.load(TABLE)["landmarks"].get(method, {})
    entry: dict[str, Any] | None = errors.get("angles", {}).get(angle, errors.get("every_angle"))
    return entry


def metric_sd(
    name: str, drawn: NDArray[np.float64], fitted: xr.Dataset | None = None
) -> NDArray[np.float64]:
    """Return the standard deviation of a metric of positions, given its spread over the samples.

    `fitted` identifies the model of the keypoints; without it, the measured model is assumed.
    """
    factor: float = tables.load(TABLE)["metrics"]["factors"].get(name, 1.0)
    origin = Origin() if fitted is None else Origin.of(fitted.attrs)
    return factor * origin.source.widened(name) * drawn


def error_depends_on_value(name: str) -> bool:
    """Whether :func:`factor_with_value` knows a metric of positions."""
    return name in tables.load(TABLE)["metrics"]["with_value"]


def factor_with_value(name: str, value: xr.DataArray) -> xr.DataArray:
    """Return the factor, which depends on the value, for the error of a metric of positions.

    A heel that seems to sink has the same factor as a heel that rises by the same amount. NaN
    if the value is NaN.
    """
    entry = tables.load(TABLE)["metrics"]["with_value"][name]
    factor: xr.DataArray = entry["at_zero"] + entry["per_degree"] * abs(value)
    return factor.clip(max=entry["at_most"])


def another_model(pose: xr.Dataset) -> dict[str, Any] | None:
    """Return a warning if the factors were measured with other pose models, or None."""
    origin = Origin.of(pose.attrs)
    if not origin.is_measured:
        software = origin.source_software
        return tables.warning("warnings.errors_of_another_model.source", software=software)
    model = pose.attrs.get("model_sha256")
    if model is None or model in tables.load(TABLE)["pose_models"]["sha256"]:
        return None
    return tables.warning("warnings.errors_of_another_model.file")
