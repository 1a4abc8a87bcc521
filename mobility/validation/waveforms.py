"""Curves over a repetition: their errors, their similarity, their mean, a test at every point."""

from __future__ import annotations

import importlib.util
import warnings
from typing import Annotated, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from pydantic import Field

from mobility import tables
from mobility.errors import BadInputError
from mobility.options import checked
from mobility.validation.limits import numbers

Array = NDArray[np.float64]

LEAST_CURVES = 5
"""Fewest curves from which a field is tested: its smoothness comes from their residuals."""


class SpmTest(NamedTuple):
    """Paired t test at every point of a curve, the error held over the whole of it.

    `t` over the points; where it is beyond ± `threshold` the curves differ. `clusters` are the
    stretches beyond, each as first and last point (in points, from 0) and p.
    """

    n: int
    t: Array
    threshold: float
    clusters: tuple[tuple[float, float, float], ...]


def curve_errors(measured: xr.DataArray, reference: xr.DataArray, *, dim: str) -> xr.Dataset:
    r"""Errors of curves against the reference, along one dimension.

    Parameters
    ----------
    measured, reference
        Curves, of the same unit, over `dim` and any others.
    dim
        The dimension of the curve: ``percent``, or ``time``.

    Returns
    -------
    xarray.Dataset
        In the unit of the curves, over the other dimensions: `bias` (mean of measured - reference),
        `mae`, `rmse` and `rmse_offset_removed`, with
        :math:`RMSE^2 = bias^2 + RMSE_{offset\,removed}^2`; the latter is the standard deviation of
        the difference, divided by n. Points that are NaN in one of both are left out; NaN where
        those are more than half of those that the reference has.

    Raises
    ------
    BadInputError
        The curves do not have this dimension, or not the same points.
    """
    if dim not in measured.dims or dim not in reference.dims:
        raise BadInputError(f"curve_errors: the curves have no dimension '{dim}'")
    if measured.sizes[dim] != reference.sizes[dim]:
        raise BadInputError(
            f"curve_errors: {measured.sizes[dim]} and {reference.sizes[dim]} points; bring both to"
            " the same"
        )
    for curves in (measured, reference):
        numbers(curves.values, what="curve_errors")
    largest = tables.load("overhead_squat")["limits"]["largest_gap_share"]["value"]
    difference = measured - reference
    known = difference.notnull().sum(dim)
    enough = (known > 0) & (known >= (1 - largest) * reference.notnull().sum(dim))
    bias = difference.mean(dim).where(enough)
    units = {key: measured.attrs[key] for key in ("units",) if key in measured.attrs}
    parts: dict[str, tuple[xr.DataArray, str]] = {
        "bias": (bias, "mean difference of the curves"),
        "mae": (abs(difference).mean(dim), "mean absolute difference of the curves"),
        "rmse": ((difference**2).mean(dim) ** 0.5, "root mean square difference of the curves"),
        "rmse_offset_removed": (
            ((difference - bias) ** 2).mean(dim) ** 0.5,
            "root mean square difference of the curves after their mean difference is removed",
        ),
    }
    return xr.Dataset(
        {
            name: value.where(enough).assign_attrs(units, long_name=text)
            for name, (value, text) in parts.items()
        }
    )


def multiple_correlation(curves: ArrayLike) -> float:
    r"""Coefficient of multiple correlation of curves (CMC).

    With Y of cycle g, protocol p, frame f, the mean over protocols :math:`\bar Y_{gf}` and the
    mean of a cycle :math:`\bar Y_g`,

    .. math:: \sqrt{1 - \frac{\sum (Y - \bar Y_{gf})^2 / \sum_g F_g (P - 1)}
                             {\sum (Y - \bar Y_g)^2 / \sum_g (P F_g - 1)}}

    Parameters
    ----------
    curves
        Over (cycle, protocol, frame): for each cycle, the same movement as seen by each of the
        protocols (Ferrari). With repetitions in place of protocols, and sessions in place of
        cycles, it is the repeatability of one protocol (Kadaba). Frames that are NaN in one
        protocol are left out of that cycle.

    Returns
    -------
    float
        1 for equal curves; NaN where the curves differ more than they move, and with fewer than two
        frames. It hardly falls with errors that are small beside the range of motion, so that it
        does not stand for agreement by itself.

    Raises
    ------
    BadInputError
        The array does not have three dimensions, with at least two protocols.

    References
    ----------
    Ferrari, Cutti, Cappello 2010, Gait Posture 31:540. Kadaba et al. 1989, J Orthop Res 7:849.
    """
    values = numbers(curves, what="multiple_correlation")
    if values.ndim != 3 or values.shape[1] < 2:
        raise BadInputError(
            "multiple_correlation: curves must be over (cycle, protocol, frame), with at least two"
            f" protocols (got {values.shape})"
        )
    protocols = values.shape[1]
    apart = moved = 0.0
    freedom_apart = freedom_moved = 0
    for cycle in values:
        known = cycle[:, np.isfinite(cycle).all(axis=0)]
        frames = known.shape[1]
        if frames == 0:
            continue
        apart += float(((known - known.mean(axis=0)) ** 2).sum())
        moved += float(((known - known.mean()) ** 2).sum())
        freedom_apart += frames * (protocols - 1)
        freedom_moved += protocols * frames - 1
    if freedom_moved <= freedom_apart or moved <= 0:
        return np.nan
    square = 1 - (apart / freedom_apart) / (moved / freedom_moved)
    return float(np.sqrt(square)) if square >= 0 else np.nan


def mean_curve(curves: xr.DataArray, *, dim: str) -> xr.Dataset:
    """Mean of curves and their standard deviation, point by point.

    Parameters
    ----------
    curves
        Over `dim` (repetitions, or participants) and the points.
    dim
        What the curves are repetitions of.

    Returns
    -------
    xarray.Dataset
        `mean` and `sd` (of the sample, divided by n - 1; NaN for a single curve), in the unit of
        the curves. Curves that are NaN at a point are left out there.
    """
    numbers(curves.values, what="mean_curve")
    count = curves.notnull().sum(dim)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Degrees of freedom", RuntimeWarning)
        sd = curves.std(dim, ddof=1).where(count > 1)
    attrs = dict(curves.attrs)
    return xr.Dataset({"mean": curves.mean(dim).assign_attrs(attrs), "sd": sd.assign_attrs(attrs)})


def has_spm1d() -> bool:
    """Say whether spm1d is installed; it is under the GPL and no dependency of this package."""
    return importlib.util.find_spec("spm1d") is not None


@checked
def spm_paired(
    first: ArrayLike,
    second: ArrayLike,
    *,
    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.05,
    two_tailed: bool = True,
) -> SpmTest:
    """Paired t test of curves by statistical parametric mapping.

    Parameters
    ----------
    first, second
        Over (curve, point), of any unit; independent curves: one of each participant. Pairs of
        curves with NaN are left out.
    alpha
        Probability of any difference where there is none.
    two_tailed
        Whether differences of both signs count.

    Returns
    -------
    SpmTest
        The threshold comes from the smoothness of the residuals.

    Raises
    ------
    BadInputError
        spm1d is not installed, or there are fewer than five pairs, or they do not vary somewhere.

    References
    ----------
    Pataky 2012, Comput Methods Biomech Biomed Engin 15:295.
    """
    if not has_spm1d():
        raise BadInputError(
            "spm_paired: the optional package spm1d is not installed (pip install spm1d; GPL)"
        )
    one, other = (numbers(each, what="spm_paired") for each in (first, second))
    if one.ndim != 2 or one.shape != other.shape:
        raise BadInputError(
            "spm_paired: curves must be paired, over (curve, point)"
            f" (got {one.shape} and {other.shape})"
        )
    known = np.isfinite(one - other).all(axis=1)
    one, other = one[known], other[known]
    if len(one) < LEAST_CURVES:
        raise BadInputError(
            f"spm_paired: {len(one)} pairs of curves without gaps, needs {LEAST_CURVES}"
        )
    difference = one - other
    if (difference.std(axis=0) <= 1e-12 * max(1.0, np.abs(difference).max())).any():
        raise BadInputError("spm_paired: the differences do not vary at some points")
    import spm1d

    # Of the differences: ttest_paired refuses curves that all begin at the same value.
    field = spm1d.stats.ttest(difference)
    found = field.inference(alpha, two_tailed=two_tailed, interp=True)
    clusters = tuple(
        (float(cluster.endpoints[0]), float(cluster.endpoints[1]), float(cluster.P))
        for cluster in found.clusters
    )
    return SpmTest(len(one), np.asarray(found.z, np.float64), float(found.zstar), clusters)
