"""Smoothness of a movement from its speed: spectral arc length and dimensionless jerk."""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from mobility.assessment.body_axes import points_of
from mobility.base import provenance
from mobility.errors import BadInputError

Array = NDArray[np.float64]

CUTOFF_HZ = 10.0
"""Highest frequency of the spectral arc length."""


_THRESHOLD = 0.05
"""Share of the largest magnitude below which the end of the spectrum is left out."""

_PADDING = 4
"""The spectrum has at least 2 to the power of this as many points as there are samples."""


def sparc(speed: ArrayLike, *, rate_hz: float, cutoff_hz: float = CUTOFF_HZ) -> float:
    r"""Spectral arc length of a speed profile: 0 would be perfectly smooth, jerky is more negative.

    With V the magnitude of the Fourier transform of the speed over its largest value, and f_c the
    highest frequency below the cutoff at which V reaches 5 %,
    :math:`-\int_0^{f_c} \sqrt{(1/f_c)^2 + (dV/df)^2}\, df`.

    Parameters
    ----------
    speed
        Speed of one movement, at regular times, any unit.
    rate_hz
        Samples per second.
    cutoff_hz
        Highest frequency that counts: no higher than that of the low-pass filter of the data.

    Returns
    -------
    float
        -1.40 for a movement of least jerk. NaN for a speed that is zero, or has NaN or fewer than
        two samples.

    Raises
    ------
    BadInputError
        If the speed is not one series, or a number is out of range.

    References
    ----------
    Balasubramanian, Melendez-Calderon, Roby-Brami, Burdet (2015), J NeuroEng Rehabil 12:112.
    """
    values = _series(speed, rate_hz, "sparc")
    if cutoff_hz <= 0:
        raise BadInputError.of({"cutoff_hz": "must be positive"})
    if values.size < 2 or np.isnan(values).any() or not values.any():
        return float("nan")
    points = 2 ** (int(np.ceil(np.log2(values.size))) + _PADDING)
    magnitude = np.abs(np.fft.rfft(values, points))
    magnitude /= magnitude.max()
    frequency = np.arange(magnitude.size) * rate_hz / points
    inside = np.flatnonzero((frequency <= cutoff_hz) & (magnitude >= _THRESHOLD))
    if inside.size < 2:
        return float("nan")
    part = magnitude[inside[0] : inside[-1] + 1]
    step = 1 / (part.size - 1)
    return float(-np.hypot(step, np.diff(part)).sum())


def ldlj(speed: ArrayLike, *, rate_hz: float) -> float:
    r"""Log dimensionless jerk of a speed profile: jerky is more negative.

    With the speed v of a movement of duration T,
    :math:`-\ln\left(\frac{T^3}{v_{peak}^2} \int_0^T \ddot v^2\, dt\right)`.

    Parameters
    ----------
    speed
        Speed of one movement, at regular times, any unit.
    rate_hz
        Samples per second.

    Returns
    -------
    float
        -ln 204.8 = -5.322 for a movement of least jerk. NaN for a speed without jerk, or with NaN
        or fewer than five samples.

    Raises
    ------
    BadInputError
        If the speed is not one series, or the rate is not positive.

    References
    ----------
    Balasubramanian, Melendez-Calderon, Roby-Brami, Burdet (2015), J NeuroEng Rehabil 12:112.
    """
    values = _series(speed, rate_hz, "ldlj")
    if values.size < 5 or np.isnan(values).any():
        return float("nan")
    peak = np.abs(values).max()
    jerk = np.gradient(np.gradient(values, 1 / rate_hz), 1 / rate_hz)
    duration = (values.size - 1) / rate_hz
    total = np.trapezoid(jerk**2, dx=1 / rate_hz)
    if peak == 0 or total == 0:
        return float("nan")
    return float(-np.log(duration**3 / peak**2 * total))


def _series(speed: ArrayLike, rate_hz: float, what: str) -> Array:
    values = np.asarray(speed, dtype=np.float64)
    if values.ndim != 1:
        raise BadInputError(f"{what}: the speed must be one series, not of shape {values.shape}")
    if not rate_hz > 0:
        raise BadInputError.of({"rate_hz": f"must be positive (got {rate_hz:g})"}, what=what)
    return values


PHASES = ("descent", "ascent")
"""Phases of a repetition whose smoothness is measured."""

_GRID_HZ = 100.0
"""Rate at which the speed is computed from the curve through the heights."""

LONGEST_GAP = 0.2
"""Seconds that may be missing within a phase."""

_EDGE_SPEED = 0.05
"""Share of its peak speed at which a phase begins and ends, as that of the repetitions."""

_JOINTS = ("hip", "ankle")


def hip_smoothness(pose: xr.Dataset, repetitions: xr.Dataset) -> tuple[dict[str, Array], float]:
    """Smoothness of the speed of the hips above the ankles in descent and ascent.

    The speed is the derivative of a cubic spline through the heights of the frames. The descent is
    from ``start`` to the first moment from ``bottom_start`` on at which the speed is below 5 % of
    its peak, the ascent its mirror image, so that both begin and end nearly at rest.

    Parameters
    ----------
    pose
        Pose Dataset in metres, y up.
    repetitions
        Repetitions Dataset of the same frames.

    Returns
    -------
    smoothness, cutoff_hz
        ``<phase>_sparc`` and ``<phase>_ldlj`` over repetitions, NaN where the recording cuts the
        phase off or more than 0.2 s of it are missing; the cutoff that was used for the spectral
        arc length, see :func:`bandwidth`.
    """
    cutoff = min(CUTOFF_HZ, bandwidth(pose))
    time, height = pose["time"].to_numpy(), _height(points_of(pose, _JOINTS))
    count = repetitions.sizes["rep"]
    result = {
        f"{phase}_{kind}": np.full(count, np.nan) for phase in PHASES for kind in ("sparc", "ldlj")
    }
    for rep in range(count):
        repetition = repetitions.isel(rep=rep)
        for phase, flag in zip(PHASES, ("start_seen", "end_seen"), strict=True):
            window = _window(repetition, phase, time, height) if bool(repetition[flag]) else None
            if window is None:
                continue
            speed = _speed(time, height, window)
            result[f"{phase}_sparc"][rep] = sparc(speed, rate_hz=_GRID_HZ, cutoff_hz=cutoff)
            result[f"{phase}_ldlj"][rep] = ldlj(speed, rate_hz=_GRID_HZ)
    return result, cutoff


def bandwidth(pose: xr.Dataset) -> float:
    """Highest frequency, Hz, that the positions of a pose can have.

    The lowest of the cutoff of its low-pass filter, half of the rate of the knots of a fitted body,
    and half of the frame rate.
    """
    highest = [0.5 / float(np.median(np.diff(pose["time"].to_numpy())))]
    cleaned = [e for e in provenance.history(pose) if e["operation"] == "clean_pose"]
    for entry in cleaned:
        highest += [float(step["cutoff_hz"]) for step in entry["steps"] if "cutoff_hz" in step]
    if "fit_time" in pose:
        highest.append(0.5 / float(np.median(np.diff(pose["fit_time"].to_numpy()))))
    return min(highest)


def _height(points: Array) -> Array:
    """Height of the hips above the ankles of points (time, joint, side, space)."""
    rise: Array = points[:, 0, :, 1].mean(axis=-1) - points[:, 1, :, 1].mean(axis=-1)
    return rise


def _window(
    repetition: xr.Dataset, phase: str, time: Array, height: Array
) -> tuple[float, float] | None:
    """First and last moment of a phase; None where too much of it is missing."""
    start, bottom_start, bottom, bottom_end, end = (
        float(repetition[name]) for name in ("start", "bottom_start", "bottom", "bottom_end", "end")
    )
    first, last = (start, bottom) if phase == "descent" else (bottom, end)
    times = time[np.isfinite(height)]
    inside = times[(times >= first - 1e-9) & (times <= last + 1e-9)]
    gaps = np.diff(inside, prepend=first, append=last)
    if inside.size < 4 or gaps.max() > LONGEST_GAP:
        return None
    speed = np.abs(_speed(time, height, (first, last)))
    moment = np.linspace(first, last, speed.size)
    slow = speed < _EDGE_SPEED * speed.max()
    if phase == "descent":
        at_rest = moment[slow & (moment >= bottom_start)]
        return first, float(at_rest[0]) if at_rest.size else last
    at_rest = moment[slow & (moment <= bottom_end)]
    return float(at_rest[-1]) if at_rest.size else first, last


def _speed(time: Array, height: Array, window: tuple[float, float]) -> Array:
    """Speed within the window, at regular times; NaN where too much of it is missing."""
    from scipy.interpolate import CubicSpline

    first, last = window
    count = max(round((last - first) * _GRID_HZ) + 1, 2)
    margin = 1.0  # seconds: the ends of the spline shall lie outside
    near = np.isfinite(height) & (time >= first - margin) & (time <= last + margin)
    if near.sum() < 4:
        return np.full(count, np.nan)
    curve = CubicSpline(time[near], height[near])
    return np.asarray(curve.derivative()(np.linspace(first, last, count)))
