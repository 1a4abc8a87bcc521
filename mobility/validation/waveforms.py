"""Comparison of curves over a repetition: errors, similarity, and a test at every point."""

from __future__ import annotations

import importlib.util
from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from mobility import tables
from mobility.errors import BadInputError
from mobility.kinematics.geometry import Array
from mobility.validation.limits import numbers

LEAST_CURVES = 5
"""Fewest curves for SPM, which estimates the smoothness from their residuals."""


class SpmTest(NamedTuple):
    """Paired t test at every point of a curve, with the error rate controlled over the whole curve.

    The curves differ where `t`, over the points, is beyond ± `threshold`. `p` is the smallest of
    the stretches beyond it, 1 if there is none.
    """

    t: Array
    threshold: float
    p: float


def curve_errors(measured: xr.DataArray, reference: xr.DataArray, *, dim: str) -> xr.Dataset:
    r"""Errors of curves against the reference along `dim`, in their unit.

    `bias` (mean of measured - reference), `mae`, `rmse` and `rmse_offset_removed`, with
    :math:`RMSE^2 = bias^2 + RMSE_{offset\,removed}^2`; the latter is the standard deviation of the
    difference, divided by n. Points that are NaN in either are left out; errors are NaN if these
    are more than half of the points of the reference.
    """
    largest = tables.load("measures")["limits"]["largest_gap_share"]["value"]
    difference = measured - reference
    compared = difference.notnull().sum(dim)
    enough = (compared > 0) & (compared >= (1 - largest) * reference.notnull().sum(dim))
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

    `curves` are over (cycle, protocol, frame): for each cycle, the same movement as seen by each of
    the protocols (Ferrari, Cutti, Cappello 2010, Gait Posture 31:540). With repetitions in place of
    protocols, and sessions in place of cycles, it is the repeatability of one protocol (Kadaba et
    al. 1989, J Orthop Res 7:849). Frames that are NaN in one protocol are left out.

    It is 1 for equal curves; NaN if the curves differ more than they move, or with fewer than two
    frames. It hardly falls with errors that are small compared with the range of motion, so it is
    no proof of agreement by itself.
    """
    values = numbers(curves, what="multiple_correlation")
    if values.ndim != 3:
        raise BadInputError(
            "multiple_correlation: curves must be over (cycle, protocol, frame) (got "
            f"{values.shape}); of a single cycle give [curves]"
        )
    protocols = values.shape[1]
    between_protocols = within_cycle = 0.0
    freedom_between = freedom_within = 0
    for cycle in values:
        complete = cycle[:, np.isfinite(cycle).all(axis=0)]
        frames = complete.shape[1]
        if frames == 0:
            continue
        between_protocols += float(((complete - complete.mean(axis=0)) ** 2).sum())
        within_cycle += float(((complete - complete.mean()) ** 2).sum())
        freedom_between += frames * (protocols - 1)
        freedom_within += protocols * frames - 1
    if freedom_within <= freedom_between or within_cycle <= 0:
        return np.nan
    square = 1 - (between_protocols / freedom_between) / (within_cycle / freedom_within)
    return float(np.sqrt(square)) if square >= 0 else np.nan


def has_spm1d() -> bool:
    """Whether spm1d is installed, which is no dependency of this package because it is GPL."""
    return importlib.util.find_spec("spm1d") is not None


def spm_paired(first: Array, second: Array, *, alpha: float) -> SpmTest:
    """Paired t test of curves by statistical parametric mapping, two-tailed, with spm1d.

    Curves are over (curve, point), one of each participant; pairs with NaN are left out. Fewer than
    five pairs, or differences that do not vary at some point, are refused. The threshold comes from
    the smoothness of the residuals. Pataky 2012, Comput Methods Biomech Biomed Engin 15:295.
    """
    import spm1d

    difference = first - second
    difference = difference[np.isfinite(difference).all(axis=1)]
    if len(difference) < LEAST_CURVES:
        raise BadInputError(
            f"SPM: {len(difference)} pairs of curves without gaps, needs {LEAST_CURVES}"
        )
    if (difference.std(axis=0) <= 1e-12 * max(1.0, np.abs(difference).max())).any():
        raise BadInputError("SPM: the differences do not vary at some points")
    # Test the differences, because ttest_paired refuses curves that all begin at the same value.
    field = spm1d.stats.ttest(difference)
    inference = field.inference(alpha, two_tailed=True, interp=True)
    p = min((float(cluster.P) for cluster in inference.clusters), default=1.0)
    return SpmTest(np.asarray(inference.z, np.float64), float(inference.zstar), p)
