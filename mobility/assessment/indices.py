r"""Mobility and quality of an overhead squat as one number each, with its error.

Both indices are weighted means of parts between 0 and 1, and tell of each part what it contributes.
Values far from a reference count as much as those at it, so that a part cannot make up for another.
How well the recording shows the movement enters the errors and the coverage, never an index.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mobility import provenance, tables
from mobility.assessment.estimates import Estimate, estimate, seen_sides
from mobility.assessment.kinds import BESIDE, ERROR, kind_of
from mobility.errors import BadInputError
from mobility.options import checked

Array = NDArray[np.float64]

DRAWS = 20_000
"""Number of draws of the errors of an index, of a fixed seed."""

_INTERVAL = (2.5, 97.5)
_GROUP = ""


class Index(NamedTuple):
    """An index between 0 and 100.

    Attributes
    ----------
    value
        NaN where less of the weights is available than the index needs.
    sd, lower, upper
        Standard deviation and 95 % interval over the draws of the errors; NaN where the error of a
        part is unknown.
    coverage
        Weights of the parts that are available, of all.
    contribution
        Points of each part, which add up to the value; NaN of a part that is not available.
    """

    value: float
    sd: float
    lower: float
    upper: float
    coverage: float
    contribution: Array


def mobility_index_of(
    angles: Sequence[float] | Array,
    references: Sequence[float] | Array,
    *,
    sd: Sequence[float] | Array,
    bias: Sequence[float] | Array | None = None,
    weights: Sequence[float] | Array | None = None,
    smallest_coverage: float = 2 / 3,
    draws: int = DRAWS,
    seed: int = 0,
) -> Index:
    r"""Mobility index of angles at the bottom of a squat.

    .. math:: M = 100 \sum_j w_j \min(\max(\theta_j / R_j, 0), 1) / \sum_j w_j

    over the parts j whose angle is known. The draws of its error have
    :math:`\theta_j \sim N(\hat\theta_j - b_j, \sigma_j)`.

    Parameters
    ----------
    angles, references
        θ and R, degrees; NaN where an angle is not available.
    sd, bias
        σ and b, degrees; no bias by default.
    weights
        w; equal by default.
    smallest_coverage
        Share of the weights that must be available.
    draws, seed
        Number and seed of the draws.

    Returns
    -------
    Index
        The value is that of the angles as they are; its interval is that of the angles without
        their bias.

    Raises
    ------
    BadInputError
        Lengths differ, or a reference is not positive.
    """
    theta, reference = np.asarray(angles, dtype=float), np.asarray(references, dtype=float)
    sigma = np.asarray(sd, dtype=float)
    offset = np.zeros(theta.shape) if bias is None else np.asarray(bias, dtype=float)
    weight = np.ones(theta.shape) if weights is None else np.asarray(weights, dtype=float)
    if len({part.shape for part in (theta, reference, sigma, offset, weight)}) > 1:
        raise BadInputError("mobility_index_of: one reference, sd, bias and weight for each angle")
    if not (reference > 0).all():
        raise BadInputError("mobility_index_of: references must be positive")
    known = np.isfinite(theta)
    normal = np.random.default_rng(seed).normal(size=(draws, theta.size))
    drawn = np.where(known, theta - offset + sigma * normal, 0.0)
    return _weighted(
        np.clip(theta / reference, 0.0, 1.0),
        np.clip(drawn / reference, 0.0, 1.0),
        weight,
        smallest_coverage,
    )


def quality_index_of(
    measures: Mapping[str, Sequence[float] | Array],
    *,
    sd: Mapping[str, Sequence[float] | Array],
    bias: Mapping[str, Sequence[float] | Array] | None = None,
    smallest_coverage: float | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> Index:
    r"""Quality index of the parts of ``tables/indices.yaml``.

    .. math:: Q = 100 \sum_i v_i q_i / \sum_i v_i, \quad
              q_i = \min(\max((b_i - x_i) / (b_i - a_i), 0), 1)

    Parameters
    ----------
    measures
        By part, the signed measures of which its x is made (see :data:`QUALITY_PARTS`): not the
        magnitude or the positive part itself, of which the error would not be normal. A part that
        is missing, or of which a measure is NaN, is not available.
    sd, bias
        Of the measures, in the same order; no bias by default.
    smallest_coverage
        Share of the weights that must be available; by default that of the table.
    draws, seed
        Number and seed of the draws.

    Returns
    -------
    Index
        With the contributions in the order of the table.

    Raises
    ------
    BadInputError
        A part is unknown, or has another number of measures than errors.
    """
    parts = tables.load("indices")["quality_index"]["parts"]
    least = tables.load("indices")["smallest_coverage"]["quality_index"]["value"]
    if unknown := [name for name in (*measures, *sd, *(bias or {})) if name not in parts]:
        raise BadInputError(f"quality_index_of: no part {unknown[0]!r}; one of {', '.join(parts)}")
    rng = np.random.default_rng(seed)
    score, drawn = np.full(len(parts), np.nan), np.zeros((draws, len(parts)))
    for i, (name, entry) in enumerate(parts.items()):
        if name not in measures:
            continue
        value = np.asarray(measures[name], dtype=float)
        sigma = np.asarray(sd.get(name, ()), dtype=float)
        offset = np.asarray((bias or {}).get(name, np.zeros(value.shape)), dtype=float)
        if not value.shape == sigma.shape == offset.shape:
            raise BadInputError(f"quality_index_of: {name}: one sd and bias for each measure")
        moved = value - offset + sigma * rng.normal(size=(draws, value.size))
        reduce = QUALITY_PARTS[name].reduce
        score[i] = _loss(reduce(value), entry)
        if np.isfinite(score[i]):
            drawn[:, i] = _loss(reduce(moved), entry)
    weight = np.array([entry["weight"] for entry in parts.values()], dtype=float)
    return _weighted(
        score, drawn, weight, least if smallest_coverage is None else smallest_coverage
    )


def _loss(x: Any, entry: Mapping[str, Any]) -> Any:
    return np.clip((entry["b"] - x) / (entry["b"] - entry["a"]), 0.0, 1.0)


def _weighted(score: Array, drawn: Array, weight: Array, least: float) -> Index:
    """Index of scores (part,), NaN where not available, and draws of them (draw, part)."""
    known = np.isfinite(score)
    coverage = float(weight[known].sum() / weight.sum())
    nothing = np.full(score.shape, np.nan)
    # Four digits: two parts of three are two thirds, however the table writes it.
    if not known.any() or round(coverage, 4) < round(least, 4):
        return Index(np.nan, np.nan, np.nan, np.nan, coverage, nothing)
    share = np.where(known, weight, 0.0) / weight[known].sum()
    contribution = np.where(known, 100.0 * share * score, np.nan)
    value = float(np.nansum(contribution))
    totals = 100.0 * drawn @ share
    if not np.isfinite(totals).all():
        return Index(value, np.nan, np.nan, np.nan, coverage, contribution)
    lower, upper = np.percentile(totals, _INTERVAL)
    return Index(value, float(totals.std()), float(lower), float(upper), coverage, contribution)


class _Part(NamedTuple):
    """How x comes from signed measures (..., measure), and its error from theirs."""

    reduce: Callable[[Array], Array]
    spread: Callable[[Array, Array], float]


def _of_one(value: Array, sd: Array) -> float:
    return float(np.max(sd))


def _of_mean(value: Array, sd: Array) -> float:
    return float(np.sqrt((sd**2).sum()) / sd.size)


def _of_ratio(value: Array, sd: Array) -> float:
    return float(np.hypot(sd[0], sd[1] * value[0] / value[1]) / abs(value[1]))


QUALITY_PARTS: Mapping[str, _Part] = {
    "forward_lean": _Part(lambda v: np.maximum(0.0, v[..., 0]), _of_one),
    "knees_in": _Part(lambda v: 1.0 - v[..., 0] / v[..., 1], _of_ratio),
    "heel_rise": _Part(lambda v: v.max(axis=-1), _of_one),
    "arm_fall": _Part(lambda v: np.maximum(0.0, v[..., 0]), _of_one),
    "asymmetry": _Part(lambda v: np.abs(v).mean(axis=-1), _of_mean),
    "pelvis_obliquity": _Part(lambda v: np.abs(v[..., 0]), _of_one),
    "variability": _Part(lambda v: v.mean(axis=-1), _of_one),
    "smoothness": _Part(lambda v: -v[..., 0], _of_one),
}
"""Of each part: x from the signed measures (the last axis), and the error of x from theirs, before
magnitudes and positive parts are taken, so that whether a part is left out does not depend on its
value."""


@checked
def mobility_index(
    metrics: xr.Dataset,
    *,
    view: str | None = None,
    version: Literal["mobility_index", "mobility_index_overhead"] = "mobility_index",
) -> xr.Dataset:
    """Mobility index of an overhead squat, with what each angle contributes.

    Parameters
    ----------
    metrics
        Metrics Dataset, degrees.
    view
        Name of the camera's view (:attr:`mobility.view.View.name`).
    version
        Of ``tables/indices.yaml``; `mobility_index_overhead` also counts the elevation of the arms.

    Returns
    -------
    xarray.Dataset
        ``mobility_index`` (of the mean of left and right), ``mobility_index_sd``,
        ``mobility_index_interval(bound)`` (95 %), ``mobility_index_coverage``,
        ``mobility_index_worse_side`` (of the smaller of both sides) and, over ``mobility_part``,
        what a reader needs to compute it again: ``mobility_index_part`` (the angle),
        ``mobility_index_part_sd``, ``mobility_index_part_weight``, ``mobility_index_part_score``
        (between 0 and 1) and ``mobility_index_contribution`` (points). The attributes ``version``,
        ``references`` and ``note`` are those of every variable.

    Raises
    ------
    BadInputError
        An angle has other dimensions.

    Notes
    -----
    The errors of both sides are taken as common, as that of the model mostly is, so that the mean
    of the sides errs as much as one side. A side that is refused is not replaced by the other,
    except where a camera at the side of the subject sees only one leg; the note says so.
    """
    entry = tables.load("indices")[version]
    least = tables.load("indices")["smallest_coverage"]["mobility_index"]["value"]
    mean, worse, sd, notes = [], [], [], {}
    for name in entry["parts"]:
        given = estimate(metrics, name)
        chosen, note = seen_sides(given, view)
        value, error = (np.atleast_1d(part)[chosen] for part in (given.value, given.sd))
        mean.append(value.mean() if chosen else np.nan)
        worse.append(value.min() if chosen else np.nan)
        sd.append(error.max() if chosen else np.nan)
        if note:
            notes[name] = note if chosen else f"refused: {note}"
    parts = entry["parts"].values()
    references = [float(part["reference"]) for part in parts]
    weights = [float(part["weight"]) for part in parts]
    common: dict[str, Any] = {"weights": weights, "smallest_coverage": least}
    index = mobility_index_of(mean, references, sd=sd, **common)
    of_worse = mobility_index_of(worse, references, sd=sd, **common)
    score = np.clip(np.divide(mean, references), 0.0, 1.0)
    details: dict[str, Any] = {"value": mean, "sd": sd, "score": score}
    result = _dataset(
        "mobility_index", "mobility_part", entry, index, details, notes, metrics, view
    )
    about = {key: each for key, each in result["mobility_index"].attrs.items() if key != BESIDE}
    return result.assign(
        mobility_index_worse_side=(
            (),
            of_worse.value,
            {
                **about,
                "kind": "worse_side",
                "long_name": f"{entry['long_name']}, of the worse side of each angle",
            },
        )
    )


@checked
def quality_index(metrics: xr.Dataset, *, view: str | None = None) -> xr.Dataset:
    """Quality index of an overhead squat, with what each part contributes.

    Parameters
    ----------
    metrics
        Metrics Dataset.
    view
        As in :func:`mobility_index`.

    Returns
    -------
    xarray.Dataset
        ``quality_index``, ``quality_index_sd``, ``quality_index_interval(bound)``,
        ``quality_index_coverage`` and, over ``quality_part``, ``quality_index_part`` (x, in the
        units of the attribute ``part_units``), ``quality_index_part_sd``,
        ``quality_index_part_weight``, ``quality_index_part_score`` (q) and
        ``quality_index_contribution`` (points).

    Raises
    ------
    BadInputError
        A measure has other dimensions.

    Notes
    -----
    A part whose error exceeds its `a`, up to which nothing is deducted, would measure the error: it
    is left out, and the note says so. So is a part of which a measure is refused. The error of a
    standard deviation s over n repetitions is s / sqrt(2 (n - 1)); it grows with s, and so leaves
    nothing out: nobody gains by varying more.
    """
    entry = tables.load("indices")["quality_index"]
    measures: dict[str, Array] = {}
    errors: dict[str, Array] = {}
    notes: dict[str, str] = {}
    n = len(entry["parts"])
    x, sd, score = (np.full(n, np.nan) for _ in range(3))
    for i, (name, part) in enumerate(entry["parts"].items()):
        found, note = _measures(metrics, part["measures"], view)
        if found is None:
            notes[name] = f"refused: {note}"
            continue
        value, sigma = found
        if note:
            notes[name] = note
        x[i], sd[i] = QUALITY_PARTS[name].reduce(value), QUALITY_PARTS[name].spread(value, sigma)
        if not np.isfinite(x[i]):
            notes[name] = "refused: its measures have no finite x"
        elif np.isnan(sd[i]):
            notes[name] = "left out: its error is not known"
        elif name != "variability" and sd[i] > part["a"]:
            notes[name] = (
                f"left out: its error (standard deviation {sd[i]:.2g}) exceeds the {part['a']:g} up"
                " to which nothing is deducted"
            )
        else:
            measures[name], errors[name] = value, sigma
            score[i] = _loss(x[i], part)
    index = quality_index_of(measures, sd=errors)
    details = {"value": x, "sd": sd, "score": score}
    result = _dataset("quality_index", "quality_part", entry, index, details, notes, metrics, view)
    units = {name: part["units"] for name, part in entry["parts"].items()}
    for name in ("part", "part_sd"):
        result[f"quality_index_{name}"].attrs |= {"units": "", "part_units": json.dumps(units)}
    return result


def _measures(
    metrics: xr.Dataset, names: Sequence[str], view: str | None
) -> tuple[tuple[Array, Array] | None, str]:
    """Values and sd of the measures of a part and a note, or None and the reason."""
    found: list[tuple[Array, ...]] = []
    note = ""
    for name in names:
        given = _with_sampling_error(metrics, name, estimate(metrics, name))
        chosen, said = seen_sides(given, view)
        if not chosen:
            return None, f"{name.replace('_', ' ')}: {said}"
        note = said or note
        found.append(tuple(np.atleast_1d(part)[chosen] for part in (given.value, given.sd)))
    value, sd = (np.concatenate(part) for part in zip(*found, strict=True))
    return (value, sd), note


def _with_sampling_error(metrics: xr.Dataset, name: str, given: Estimate) -> Estimate:
    """Add the error that a standard deviation over few repetitions has; it has no ``_sd``."""
    if kind_of(metrics, name) != "variability" or "accepted_repetitions" not in metrics:
        return given
    degrees_of_freedom = max(int(metrics["accepted_repetitions"]) - 1, 1)
    return given._replace(sd=given.value / np.sqrt(2.0 * degrees_of_freedom))


def _dataset(
    name: str,
    dim: str,
    entry: Mapping[str, Any],
    index: Index,
    details: Mapping[str, Sequence[float] | Array],
    notes: Mapping[str, str],
    metrics: xr.Dataset,
    view: str | None,
) -> xr.Dataset:
    long_name, parts = entry["long_name"], entry["parts"]
    about: dict[str, Any] = {
        "units": "1",
        "group": _GROUP,
        "reference": entry["source"],
        "version": entry["version"],
        "references": json.dumps({key: part["reference_id"] for key, part in parts.items()}),
    }
    if notes:
        about["note"] = "; ".join(f"{key.replace('_', ' ')} {said}" for key, said in notes.items())
        about["notes"] = json.dumps(dict(notes))
    if not np.isfinite(index.value):
        least = tables.load("indices")["smallest_coverage"][name]["value"]
        about["note"] = (
            f"refused: only {index.coverage:.2f} of the weights are available, fewer than"
            f" {least:.2f} ({about.get('note', 'nothing was measured')})"
        )
    over = [dim]
    weight = [float(part["weight"]) for part in parts.values()]
    variables: dict[str, tuple[Any, ...]] = {
        name: ((), index.value, "", "weighted mean of the parts, of 100", "score"),
        f"{name}_sd": ((), index.sd, ", standard deviation of the error", "of the draws", ERROR),
        f"{name}_interval": (
            ["bound"],
            [index.lower, index.upper],
            ", 95 % interval",
            "of the draws",
            "interval",
        ),
        f"{name}_coverage": (
            (),
            index.coverage,
            ", weights available of all",
            "share of the weights",
            "coverage",
        ),
        **{
            f"{name}_{key}": (over, values, f", {what} of each part", statistic, kind)
            for key, values, what, statistic, kind in (
                ("contribution", index.contribution, "points", "of 100", "contribution"),
                ("part", details["value"], "value", "measured", "part"),
                ("part_sd", details["sd"], "error", "standard deviation", ERROR),
                ("part_weight", weight, "weight", "of the table", "part_weight"),
                ("part_score", details["score"], "score", "0 to 1", "part_score"),
            )
        },
    }
    result = xr.Dataset(
        {
            key: (
                dims,
                np.asarray(value, dtype=np.float64),
                {
                    **about,
                    "long_name": f"{long_name}{suffix}",
                    "statistic": statistic,
                    "quantity": name,
                    "kind": kind,
                },
            )
            for key, (dims, value, suffix, statistic, kind) in variables.items()
        },
        coords={dim: list(parts), "bound": ["lower", "upper"]},
    )
    result[name].attrs[BESIDE] = f"{name}_sd {name}_interval"
    result[f"{name}_part"].attrs[BESIDE] = f"{name}_part_sd"
    if name == "mobility_index":
        for key in ("part", "part_sd"):
            result[f"{name}_{key}"].attrs["units"] = "degree"
    return provenance.with_history(
        result, name, {"view": view, "version": entry["version"]}, source=metrics
    )
