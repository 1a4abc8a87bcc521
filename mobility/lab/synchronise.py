"""The lag between a video and a lab recording, and lab values at the video's times.

Both recordings show the same movement, so the lag is where their angles correlate best. One lag
applies to the whole trial and to all joints, because a separate lag for each joint would hide
timing errors.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any, NamedTuple

import numpy as np
import xarray as xr
from pydantic import Field

from mobility import tables
from mobility.base.options import checked
from mobility.base.provenance import with_history
from mobility.base.uncertain import is_sd
from mobility.errors import BadInputError
from mobility.kinematics.datasets import Angles, Recording, Times
from mobility.kinematics.expected_error import cross_correlation, peak, rival_peaks
from mobility.kinematics.skeleton import Array
from mobility.lab.lab_datasets import MOMENTS
from mobility.studies.statistics.limits_of_agreement import numbers

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]

SIGNALS = (
    ("knee_flexion", "hip_flexion", "ankle_dorsiflexion"),
    ("shoulder_flexion", "elbow_flexion"),
)
"""Angles to compare if both recordings have them: those of the legs, or of the arms if the legs do
not move. In a squat the errors of the arms are larger than their movements."""

RATE_HZ = 100.0
"""Rate of the common grid."""

_LEAST_OVERLAP_S = 2.0
_LEAST_SHARE = 0.6
"""Least share of the movement that must lie in the overlap, in the recording with less movement."""

_RIVAL = 4.0
"""Difference in log-likelihood, on its overlap, by which any other lag must be less likely."""

_INDEPENDENT_S = 0.5
"""Time, in seconds, after which errors of the angles count as independent."""

_LEAST_MOVEMENT = 3.0
"""Root mean square of a signal about its mean, in degrees, below which nothing moves."""

_LEAST_OF_LARGEST = 0.25
"""Least movement of a signal, as a share of the largest; a smaller one adds errors but no
information.
"""

_LONGEST_GAP = 1.5
"""Step between samples, as a multiple of the usual step, above which there is a gap."""

_LEAST_SD_S = 0.001

_BLOCK_S = (0.5, 1.0, 2.0, 4.0)
"""Lengths, in seconds, of the blocks within which errors may depend on each other."""

_SMOOTH_S = 0.03
"""Standard deviation of the Gaussian with which the lab's angles are differentiated, seconds."""


@dataclass(frozen=True, kw_only=True)
class Synchronisation:
    """The relation of lab time to video time; values that were not computed are NaN.

    `lag_s` is added to video time to get lab time. Its standard deviation only describes random
    errors. A delay that all angles of a recording share, for example because of smoothing, is part
    of the lag.
    """

    lag_s: float
    lag_sd_s: float = np.nan
    correlation: float  # of all signals together at this lag
    second_correlation: float = np.nan  # of the lag that fits second best, if there is one
    second_lag_s: float = np.nan
    overlap_s: float  # of the two recordings
    signals: tuple[str, ...]  # the angles that were compared ("knee_flexion left")
    signal_lags_s: tuple[float, ...] = ()  # of each by itself, to see how far they agree
    given: bool = False  # by hand

    def lab_time(self, time: Array) -> Array:
        """Return the lab time for video times, in seconds."""
        shifted: Array = np.asarray(time, dtype=np.float64) + self.lag_s
        return shifted

    def document(self) -> dict[str, Any]:
        """Return JSON values, with None for NaN."""
        plain = asdict(self)
        for name, value in plain.items():
            if isinstance(value, tuple):
                plain[name] = list(value)
            elif isinstance(value, float) and not np.isfinite(value):
                plain[name] = None
        return plain


@checked
def find_lag(
    video: Angles,
    lab: Angles,
    *,
    max_lag_s: Positive | None = None,
    lag_s: Finite | None = None,
) -> Synchronisation:
    r"""Estimate the lag that must be added to video time to get lab time.

    Both recordings show the same movement, so neither needs a trigger. An error is raised if two
    lags fit about equally well, nothing moves, or the recordings have too little in common. If you
    know the lag, pass `lag_s`.

    Parameters
    ----------
    video, lab
        Angles in degrees over (time, side) or (time,), times in seconds of either clock.
    max_lag_s
        Largest possible lag, in seconds; by default, any lag is possible that leaves enough in
        common.
    lag_s
        The lag, if it is already known. It is used unchanged, and only its correlation is computed.

    Returns
    -------
    Synchronisation
        The lag with its standard deviation, correlation, and the second best lag.

    Raises
    ------
    BadInputError
        The recordings have no angle in common or too little time in common, or nothing moves. No
        lag makes them similar, the best lag is at the limit of the allowed range, or two lags fit
        about equally well.

    Notes
    -----
    The angles of all joints and sides are compared together on a common grid of 100 Hz. For each
    lag, with the mean of every angle over the common frames subtracted,

    .. math:: \rho = \frac{\sum_j \sum_t a_j(t)\, b_j(t + lag)}
        {\sqrt{\sum_j \sum_t a_j(t)^2 \sum_j \sum_t b_j(t + lag)^2}}.

    The estimated lag has the largest :math:`-\frac{N}{2}\log(1-\rho^2)` with the number N of
    independent values in the overlap. A parabola through the three values around the peak of
    :math:`\rho` gives a fraction of a step. Offsets between the definitions of angles do not
    matter, and gaps remain gaps.

    The error of the lag comes from the residuals. Let r be the residuals of the video's angles
    after regression on the lab's, and b' the derivative of the lab's angles. The lag of a part of
    the trial differs from the lag of the whole trial by :math:`\sum r b' / \sum b'^2`.

    The variance for the whole trial comes from sums over blocks of the trial, for all joints
    together, with the block length that gives the largest variance (Künsch 1989). If the lags of
    the joints differ by more than that, the variance comes from these differences.

    The movement counts as the same if :math:`\rho` is at least 0.9, and if parts of 2 s fit best at
    nearly the same lag (root mean square 0.06 s). In another trial, the pauses would differ. With
    three parts or more, a mean correlation of the parts of at least 0.9 is also enough. Drifting
    errors do not lower this correlation, because the mean of every angle over the part is
    subtracted (table ``synchronisation``).

    Repeated movements also match if they are shifted by one repetition. An error is raised unless
    such a lag is less likely by a factor of :math:`e^4` in its overlap.

    References
    ----------
    Künsch 1989, Ann Stat 17:1217 (blocks of dependent errors).
    """
    step = 1 / RATE_HZ
    groups = _signals(video, lab)
    for names in groups:
        start_a, a = _on_grid(video, names, what="video")
        start_b, b = _on_grid(lab, names, what="lab file")
        size = np.array([[_movement(x) for x in signals] for signals in (a, b)])
        least = np.maximum(_LEAST_MOVEMENT, _LEAST_OF_LARGEST * size.max(axis=1)[:, None])
        moving = (size >= least).all(axis=0)
        if moving.any():
            break
    else:
        tried = ", ".join(dict.fromkeys(name for names in groups for name, _ in names))
        raise BadInputError(
            f"none of {tried} moves in both recordings; use the lab file of the same movement"
        )
    labels = [_label(name) for name, keep in zip(names, moving, strict=True) if keep]
    a, b = a[moving], b[moving]
    # Lag of the lab relative to the video for each element of the correlation.
    lags = np.arange(a.shape[1] + b.shape[1] - 1) - (a.shape[1] - 1)
    seconds = lags * step + start_b - start_a
    rho, overlap, share = _correlation(a, b)
    if lag_s is not None:
        recordings = ((start_a, a), (start_b, b))
        return _given_lag(lag_s, seconds, rho, overlap, labels, recordings)
    allowed = (overlap >= _LEAST_OVERLAP_S) & (share >= _LEAST_SHARE)
    if not allowed.any():
        raise BadInputError(
            f"video and lab file have less than {_LEAST_OVERLAP_S:g} s of movement in "
            "common; use the lab file of the whole trial"
        )
    if max_lag_s is not None:
        allowed &= np.abs(seconds) <= max_lag_s
        if not allowed.any():
            fault = f"no lag of at most {max_lag_s:g} s leaves enough of both recordings in common"
            raise BadInputError.of({"max_lag_s": f"{fault}; increase it, or leave it out"})
    rho = np.where(allowed, rho, -1.0)
    values = overlap / _INDEPENDENT_S
    evidence = np.where(rho > 0, -0.5 * values * np.log1p(-(np.clip(rho, 0, 0.99999) ** 2)), 0.0)
    best = int(np.argmax(evidence))
    likeness = float(rho[best])
    if not (0 < best < len(rho) - 1 and allowed[best - 1] and allowed[best + 1]):
        fault = (
            f"the best lag ({seconds[best]:+.2f} s) is at the limit of the allowed range; use the "
            "lab file of the whole trial, or set the lag"
        )
        raise BadInputError.of({"lag_s": fault, "max_lag_s": "or allow a larger lag"})
    _require_same_movement(likeness, _parts((start_a, a), (start_b, b), float(seconds[best])))
    second = _second_peak(evidence, rho, values, seconds, best)
    lag = float(seconds[0] + peak(rho, best)[0] * step)
    residual, slope = _residuals((start_a, a), (start_b, b), lag)
    with np.errstate(invalid="ignore", divide="ignore"):
        lag_differences = (residual * slope).sum(axis=1) / (slope**2).sum(axis=1)
    return Synchronisation(
        lag_s=lag,
        lag_sd_s=max(_sd_of_lag(residual, slope, labels), _LEAST_SD_S),
        correlation=likeness,
        second_correlation=second[0],
        second_lag_s=second[1],
        overlap_s=float(overlap[best]),
        signals=tuple(labels),
        signal_lags_s=tuple(float(lag + difference) for difference in lag_differences),
    )


@checked
def align(lab: Recording, sync: Synchronisation, time: Times) -> xr.Dataset:
    """Interpolate lab values at the times of the video.

    Parameters
    ----------
    lab
        Variables over ``time`` (seconds, lab clock) and any other dimensions.
    sync
        Synchronisation from :func:`find_lag`.
    time
        Video times, seconds, shape (time,).

    Returns
    -------
    xarray.Dataset
        The same variables at `time`, interpolated linearly. They are NaN outside the recording and
        in gaps. A gap lies between two samples if one of them is NaN, or if they are more than 1.5
        usual steps apart. Events and repetitions of a lab file are also moved to video times.
    """
    target = np.asarray(time, dtype=np.float64)
    lab_times = _times(lab, what="lab file")
    target_lab_time = sync.lab_time(target)
    after = np.clip(np.searchsorted(lab_times, target_lab_time), 1, lab_times.size - 1)
    before = after - 1
    length = lab_times[after] - lab_times[before]
    share = (target_lab_time - lab_times[before]) / length
    exact = (np.abs(share) <= 1e-6) | (np.abs(share - 1) <= 1e-6)
    near = length <= _LONGEST_GAP * float(np.median(np.diff(lab_times)))
    inside = ((share >= 0) & (share <= 1) & near) | exact
    result = {}
    for name, variable in lab.data_vars.items():
        if "time" not in variable.dims:
            if name in MOMENTS:
                moments = numbers(variable.to_numpy(), what=f"lab file: {name}")
                variable = variable.copy(data=moments - sync.lag_s)
            result[name] = variable
            continue
        values = numbers(variable.transpose("time", ...).to_numpy(), what=f"lab file: {name}")
        weight = share.reshape(-1, *[1] * (values.ndim - 1))
        # At the time of a sample, its neighbour, which may be NaN, does not count.
        from_before = np.where(weight >= 1 - 1e-6, 0.0, (1 - weight) * values[before])
        from_after = np.where(weight <= 1e-6, 0.0, weight * values[after])
        interpolated = from_before + from_after
        interpolated[~inside] = np.nan
        dims = ("time", *(d for d in variable.dims if d != "time"))
        result[name] = xr.DataArray(interpolated, dims=dims, attrs=variable.attrs).transpose(
            *variable.dims
        )
    coords = {name: value for name, value in lab.coords.items() if "time" not in value.dims}
    units = {"units": "s", "long_name": "time of the video"}
    aligned = xr.Dataset(result, coords={**coords, "time": ("time", target, units)})
    aligned.attrs = dict(lab.attrs)
    return with_history(aligned, "align", sync.document(), source=lab)


def _signals(video: xr.Dataset, lab: xr.Dataset) -> list[list[tuple[str, str]]]:
    """List the angles and sides that both recordings have, by group; "" means without sides."""
    both = [str(name) for name in video.data_vars if name in lab.data_vars]
    groups = [[name for name in group if name in both] for group in SIGNALS]
    groups.append([name for name in both if not is_sd(name)])
    if not any(groups):
        raise BadInputError(
            "video and lab file have no angle in common; name the columns or markers of the lab "
            "file in a mapping"
        )
    signals = [
        [signal for name in group for signal in _sides(name, video[name], lab[name])]
        for group in groups
    ]
    signals = [group for group in signals if group]
    if not signals:
        names = ", ".join(dict.fromkeys(name for group in groups for name in group))
        raise BadInputError(f"{names}: the video and the lab file have no side in common")
    return signals


def _sides(name: str, video: xr.DataArray, lab: xr.DataArray) -> list[tuple[str, str]]:
    if "side" in video.dims and "side" in lab.dims:
        lab_sides = lab["side"].to_numpy().tolist()
        return [(name, str(side)) for side in video["side"].to_numpy() if side in lab_sides]
    return [] if "side" in video.dims or "side" in lab.dims else [(name, "")]


def _label(signal: tuple[str, str]) -> str:
    return " ".join(signal).strip()


def _times(dataset: xr.Dataset, *, what: str) -> Array:
    if "time" not in dataset.coords or dataset.sizes["time"] < 2:
        raise BadInputError(f"{what}: has fewer than two samples in time")
    time = dataset["time"].to_numpy().astype(np.float64)
    if not np.isfinite(time).all() or (np.diff(time) <= 0).any():
        raise BadInputError(f"{what}: its times do not increase throughout")
    return time


def _on_grid(
    dataset: xr.Dataset, signals: Sequence[tuple[str, str]], *, what: str
) -> tuple[float, Array]:
    """Return start (s) and values of the signals on the common grid, (signal, n); NaN in gaps."""
    time = _times(dataset, what=what)
    count = int((time[-1] - time[0]) * RATE_HZ + 1e-6) + 1
    if count > 1_000_000:
        raise BadInputError(
            f"{what}: lasts {time[-1] - time[0]:.0f} s; its times must be in seconds"
        )
    grid = time[0] + np.arange(count) / RATE_HZ
    gap = _LONGEST_GAP * float(np.median(np.diff(time)))
    gridded = []
    for name, side in signals:
        variable = dataset[name].sel(side=side) if side else dataset[name]
        if variable.dims != ("time",):
            raise BadInputError(f"{what}: '{name}' must have only the dimensions time and side")
        values = numbers(variable.to_numpy(), what=f"{what}: {name}")
        finite = np.isfinite(values)
        if finite.sum() < 2:
            gridded.append(np.full(count, np.nan))
            continue
        times = time[finite]
        after = np.clip(np.searchsorted(times, grid), 1, times.size - 1)
        near = times[after] - times[after - 1] <= gap
        inside = (grid >= times[0] - 1e-9) & (grid <= times[-1] + 1e-9)
        gridded.append(np.where(near & inside, np.interp(grid, times, values[finite]), np.nan))
    return float(time[0]), np.array(gridded)


def _movement(values: Array) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.std()) if finite.size > 1 else 0.0


def _correlation(a: Array, b: Array) -> tuple[Array, Array, Array]:
    """Return correlation, overlap (s) and share of the movement shown, for every lag of the lab."""
    valid_a, valid_b = (np.isfinite(x).astype(np.float64) for x in (a, b))
    # Subtracting the overall mean first keeps the digits of the sums of squares.
    x, y = (np.where(np.isfinite(v), v - np.nanmean(v, axis=1)[:, None], 0.0) for v in (a, b))
    sums = [
        cross_correlation(p, q)
        for p, q in (
            *((y, x), (y, valid_a), (valid_b, x)),
            *((y**2, valid_a), (valid_b, x**2), (valid_b, valid_a)),
        )
    ]
    dot, sum_y, sum_x, square_y, square_x, both = sums
    counts = np.maximum(both, 1.0)
    used = np.round(both) >= 2
    cross = np.where(used, dot - sum_x * sum_y / counts, 0.0).sum(axis=0)
    power_x = np.where(used, square_x - sum_x**2 / counts, 0.0).sum(axis=0)
    power_y = np.where(used, square_y - sum_y**2 / counts, 0.0).sum(axis=0)
    least = 1e-6 * min(float((x**2).sum()), float((y**2).sum()))
    power = np.sqrt(np.maximum(power_x, least) * np.maximum(power_y, least))
    rho = np.clip(cross / power, -1.0, 1.0)
    share = np.minimum(power_x, power_y) / min(float((x**2).sum()), float((y**2).sum()))
    return rho, np.round(both).max(axis=0) / RATE_HZ, share


class _Parts(NamedTuple):
    """Parts of the video that move and that the lab mostly covers, compared at a lag."""

    correlation: Array  # at the lag, with the angles minus their means over the part
    later_s: Array  # how much later each part fits best, or about equally well
    movement: Array  # sum of squares, by which the parts are weighted

    def spread_s(self) -> float:
        """Return the root mean square by which lags of the parts differ from the lag, seconds."""
        if not self.later_s.size:
            return 0.0
        return float(np.sqrt(np.average(self.later_s**2, weights=self.movement)))


def _parts(video: tuple[float, Array], lab: tuple[float, Array], lag: float) -> _Parts:
    """Compare the recordings part by part around a lag."""
    settings = tables.load("synchronisation")["same_movement"]
    (start_a, a), (start_b, b) = video, lab
    length, reach = (round(settings[name] * RATE_HZ) for name in ("part_s", "reach_s"))
    first = round((start_a + lag - start_b) * RATE_HZ)
    best_fits = []
    for start in range(0, a.shape[1] - length + 1, length):
        places = first + start - reach + np.arange(length + 2 * reach)
        inside = (places >= 0) & (places < b.shape[1])
        around = np.where(inside, b[:, np.clip(places, 0, b.shape[1] - 1)], np.nan)
        y = np.lib.stride_tricks.sliding_window_view(around, length, axis=1)
        here = a[:, None, start : start + length]
        both = np.isfinite(y) & np.isfinite(here)
        x, y = np.where(both, here, 0.0), np.where(both, y, 0.0)
        n = np.maximum(both.sum(axis=-1), 1)
        cross, power_x, power_y = (
            ((p * q).sum(axis=-1) - p.sum(axis=-1) * q.sum(axis=-1) / n).sum(axis=0)
            for p, q in ((x, y), (x, x), (y, y))
        )
        shown = both.sum(axis=(0, 2)) >= _LEAST_SHARE * length * len(a)
        rho = np.where(shown, cross / np.sqrt(np.maximum(power_x * power_y, 1e-9)), -1.0)
        if shown[reach]:
            # Slow or still parts fit at many lags: use the nearest that fits about equally well.
            misfit = 1 - rho * np.abs(rho)
            fits = np.flatnonzero(misfit <= settings["as_well"] * misfit.min() + 1e-12) - reach
            later = int(fits[np.abs(fits).argmin()]) / RATE_HZ
            best_fits.append((float(rho[reach]), later, float(power_x[reach])))
    correlation, later_s, movement = np.array(best_fits).reshape(-1, 3).T
    moving = movement > settings["least_movement"] * movement.max(initial=0.0)
    return _Parts(correlation[moving], later_s[moving], movement[moving])


def _require_same_movement(likeness: float, parts: _Parts) -> None:
    """Raise unless the angles are alike, as a whole or in parts, at one lag for all parts."""
    settings = tables.load("synchronisation")["same_movement"]
    least, most_s = settings["least_correlation"], settings["largest_spread_s"]
    spread_s = parts.spread_s()
    if parts.correlation.size >= settings["least_parts"]:
        mean = float(np.average(parts.correlation, weights=parts.movement))
        likeness = max(likeness, mean)
    if likeness >= least and spread_s <= most_s:
        return
    what = (
        f"the best correlation of their angles is {likeness:.2f}, but must be {least:g} or more"
        if likeness < least
        else f"their parts fit at lags {spread_s:.2f} s apart, but at most {most_s:g} s is allowed"
    )
    fault = (
        f"video and lab file do not show the same movement ({what}); check that the file belongs "
        "to this trial, its rate, units and the names of its angles, or set the lag"
    )
    raise BadInputError.of({"lag_s": fault, "max_lag_s": "or set the largest possible lag"})


def _second_peak(
    evidence: Array, rho: Array, values: Array, seconds: Array, best: int
) -> tuple[float, float]:
    """Return correlation and lag of the second peak; raise if it fits about equally well."""
    valley = 0.8 * float(rho[best])
    second: tuple[float, float] | None = None
    for rival in rival_peaks(evidence, rho, best, valley=valley):
        if rho[rival] <= 0:
            break
        second = second or (float(rho[rival]), float(seconds[rival]))
        # Only frames in the overlap of the other lag count for or against it.
        worse = (1 - rho[rival] ** 2) / max(1 - rho[best] ** 2, 1e-9)
        if 0.5 * values[rival] * np.log(worse) < _RIVAL:
            lags = f"{seconds[best]:+.2f} s or {seconds[rival]:+.2f} s"
            fault = f"the movement is so regular that the lag is ambiguous ({lags}); set the lag"
            raise BadInputError.of({"lag_s": fault, "max_lag_s": "or set the largest possible lag"})
    return second or (float("nan"), float("nan"))


def _given_lag(
    lag_s: float,
    seconds: Array,
    rho: Array,
    overlap: Array,
    labels: Sequence[str],
    recordings: tuple[tuple[float, Array], tuple[float, Array]],
) -> Synchronisation:
    if not seconds[0] <= lag_s <= seconds[-1] or np.interp(lag_s, seconds, overlap) <= 0:
        fault = (
            f"with a lag of {lag_s:g} s, video and lab file have no time in common; correct the lag"
        )
        raise BadInputError.of({"lag_s": fault})
    likeness = float(np.interp(lag_s, seconds, rho))
    settings = tables.load("synchronisation")["same_movement"]
    least = settings["least_correlation"]
    parts = _parts(*recordings, lag_s)
    if parts.later_s.size and parts.spread_s() <= settings["largest_spread_s"]:
        least = settings["least_correlation_given"]
    if not likeness >= least:
        fault = (
            f"with a lag of {lag_s:g} s, video and lab file do not match (the correlation of "
            f"their angles is {likeness:.2f}, but at least {least:g} is needed); check the lag, "
            "which is added to video time, or leave it out to have it estimated"
        )
        raise BadInputError.of({"lag_s": fault})
    return Synchronisation(
        lag_s=float(lag_s),
        correlation=likeness,
        overlap_s=float(np.interp(lag_s, seconds, overlap)),
        signals=tuple(labels),
        given=True,
    )


def _sd_of_lag(residual: Array, slope: Array, labels: Sequence[str]) -> float:
    """Return the standard deviation of the lag of all signals; see :func:`_residuals`."""
    power = slope**2
    score = (residual * slope).sum(axis=0)
    score = score - score.mean()
    total = float(power.sum())
    variances = [0.0]
    for blocks, sums in _block_sums(score):
        variances.append(blocks**2 / (blocks - 1) * float((sums**2).mean()) / total**2)
    joints = np.array([label.split()[0] for label in labels])
    names = np.unique(joints)
    if names.size > 1:
        joint_score = np.array([(residual * slope)[joints == name].sum() / total for name in names])
        weight = np.array([power[joints == name].sum() / total for name in names])
        deviation = joint_score - weight * joint_score.sum()
        variances.append(names.size / (names.size - 1) * float((deviation**2).sum()))
    return float(np.sqrt(max(variances)))


def _block_sums(score: Array) -> Iterator[tuple[float, Array]]:
    """Yield the number of blocks of each length, and the sums of blocks from any first frame."""
    for length_s in _BLOCK_S:
        length = round(length_s * RATE_HZ)
        if score.size < 2 * length:
            return
        running = np.cumsum(np.concatenate([[0.0], score]))
        yield score.size / length, running[length:] - running[:-length]


def _residuals(
    video: tuple[float, Array], lab: tuple[float, Array], lag: float
) -> tuple[Array, Array]:
    """Return residuals of the video's angles after regression on the lab's, and slopes by the lag.

    Both are over (signal, n), at frames with values of both; 0 elsewhere.
    """
    from scipy.ndimage import gaussian_filter1d

    (start_a, a), (start_b, b) = video, lab
    time = start_a + np.arange(a.shape[1]) / RATE_HZ
    position = (time + lag - start_b) * RATE_HZ
    grid = np.arange(b.shape[1])
    residual, slope = np.zeros(a.shape), np.zeros(a.shape)
    for row, (x, y) in enumerate(zip(a, b, strict=True)):
        finite = np.isfinite(y)
        if finite.sum() < 2:
            continue
        filled = np.interp(grid, grid[finite], y[finite])
        speed = gaussian_filter1d(filled, _SMOOTH_S * RATE_HZ, order=1, mode="nearest") * RATE_HZ
        near = np.interp(position, grid, finite.astype(np.float64), left=0, right=0) > 1 - 1e-9
        use = near & np.isfinite(x)
        if use.sum() < 3:
            continue
        lab_here = np.interp(position[use], grid, filled)
        line = np.stack([np.ones(lab_here.size), lab_here], axis=1)
        fitted, *_ = np.linalg.lstsq(line, x[use], rcond=None)
        change = fitted[1] * np.interp(position[use], grid, speed)
        # The part of the derivative that the regression absorbs does not depend on the lag.
        along, *_ = np.linalg.lstsq(line, change, rcond=None)
        residual[row, use] = x[use] - line @ fitted
        slope[row, use] = change - line @ along
    both = (slope != 0).any(axis=0)
    return residual[:, both], slope[:, both]
