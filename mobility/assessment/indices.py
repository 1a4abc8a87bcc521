r"""The mobility and the quality of a squat, each as one number with its error.

An index uses the values, errors and limits of the findings
(:func:`mobility.assessment.findings.find`). It is only as good as its worst part: a good value
elsewhere does not compensate for a value outside its target.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mobility import tables
from mobility.assessment.findings import Finding, find
from mobility.assessment.kinds import BESIDE, ERROR
from mobility.assessment.results import DECIDED
from mobility.base import provenance
from mobility.base.formatting import listed
from mobility.base.options import checked
from mobility.base.uncertain import sd_name
from mobility.kinematics.datasets import Metrics
from mobility.kinematics.expected_error import sd_of

Array = NDArray[np.float64]

DRAWS = 20_000
"""Number of random samples of the errors of an index, with a fixed seed."""

_INTERVAL = (2.5, 97.5)


class _Part(NamedTuple):
    """A part of an index: the samples of its score (draw,), and those of its worst side."""

    score: Array
    value: float
    sd: float


def score_of(excess: Array | float, large: float) -> Array:
    r"""Return the score of a value from its excess over the limit.

    .. math:: s(e) = 90 \max(0, 1 - e / L) \;(e \ge 0), \quad 90 + 10 \min(1, -e / (0.12 L))

    The score falls faster beyond the limit than it rises inside it. Therefore, a likely finding has
    a mean score below 90, however large its error is.

    Parameters
    ----------
    excess
        e, negative inside the limit.
    large
        L, at which the score is 0.
    """
    scale = tables.load("indices")["scale"]
    limit, over = float(scale["at_limit"]), np.asarray(excess, dtype=float) / large
    inside = limit + (100.0 - limit) * np.clip(-over / scale["clear"], 0.0, 1.0)
    return np.where(over > 0, limit * np.clip(1.0 - over, 0.0, None), inside)


@checked
def mobility_index(metrics: Metrics) -> xr.Dataset:
    """Compute the mobility index of a squat with raised arms: the least mobile joint decides.

    Parameters
    ----------
    metrics
        Metrics Dataset.

    Returns
    -------
    xarray.Dataset
        ``mobility_index`` (0 to 100, the mean over the samples), ``mobility_index_sd``,
        ``mobility_index_interval(bound)`` (95 %), ``mobility_index_coverage`` (share of the parts
        that could be judged) and, over ``mobility_part``, ``mobility_index_part`` (value of the
        worse side), ``mobility_index_part_sd`` and ``mobility_index_part_score`` (its mean score).
        The score is NaN for a part that could not be judged. Every variable has the attributes
        ``version``, ``note`` and ``notes`` (JSON, why a part is missing).

    Notes
    -----
    The index is NaN without the depth, or with fewer parts than ``tables/indices.yaml`` requires.
    """
    return _index(metrics, "mobility_index", "mobility_part")


@checked
def quality_index(metrics: Metrics) -> xr.Dataset:
    """Compute the quality index of a squat with raised arms: its worst part decides.

    Parameters
    ----------
    metrics
        Metrics Dataset.

    Returns
    -------
    xarray.Dataset
        As :func:`mobility_index`, with ``quality_index`` and ``quality_part``.
    """
    return _index(metrics, "quality_index", "quality_part")


def _index(metrics: xr.Dataset, name: str, dim: str) -> xr.Dataset:
    table = tables.load("indices")
    entries = table[name]["parts"]
    rng = np.random.default_rng(0)
    by_rule: dict[str, list[Finding]] = {}
    for finding in find(metrics):
        by_rule.setdefault(finding.rule, []).append(finding)
    nothing = _Part(np.array([np.nan]), np.nan, np.nan)
    drawn_parts: list[_Part] = []
    parts: dict[str, _Part] = {}
    notes: dict[str, str] = {}
    for key, entry in entries.items():
        sides = by_rule[entry["rule"]]
        visible_sides = [side for side in sides if not side.hidden]
        certain = [side for side in visible_sides if side.result in DECIDED]
        measured = [side for side in sides if side.interval is not None]
        # One side outside is enough; the target is met only if all seen sides meet it.
        is_outside = any(side.result == "outside" for side in certain)
        if is_outside or 0 < len(certain) == len(visible_sides):
            parts[key] = part = _draws(certain, float(entry["large"]), rng)
        else:
            reasons = (side.reason for side in visible_sides if side.reason)
            notes[key] = next(reasons, sides[0].reason)
            # A separate generator: the other parts have the same samples with this part and without
            # it.
            separate_rng = np.random.default_rng(0)
            part = _draws(measured, float(entry["large"]), separate_rng) if measured else nothing
            part = part._replace(score=nothing.score)
        drawn_parts.append(part)
    coverage = len(parts) / len(entries)
    lacking = [key for key in table["needed"] if key not in parts]
    why = ""
    if lacking:
        reason = notes[lacking[0]]
        why = tables.sentence("reasons.index_lacks", parts=listed(lacking), reason=reason)
    elif coverage < table["smallest_coverage"]["value"]:
        count = {"known": len(parts), "parts": len(entries)}
        why = tables.sentence("reasons.index_few_parts", **count)
    total = np.array([np.nan]) if why else np.min([part.score for part in parts.values()], axis=0)
    about: dict[str, Any] = {
        "units": "1",
        "group": "",
        "reference": table[name]["source"],
        "version": table[name]["version"],
    }
    if notes:
        about["notes"] = json.dumps(notes)
        about["note"] = "; ".join(f"{key}: {reason_part}" for key, reason_part in notes.items())
    if why:
        about["note"] = why
    lower, upper = np.percentile(total, _INTERVAL)
    scores = [float(part.score.mean()) for part in drawn_parts]
    mean = "mean over the samples"
    variables = {
        "": (total.mean(), "", f"{mean} of the worst score", "score"),
        sd_name(""): (total.std(), ", standard deviation of the error", "of the samples", ERROR),
        "_interval": ([lower, upper], ", 95 % interval", "of the samples", "interval"),
        "_coverage": (coverage, ", parts with a result", "share of the parts", "coverage"),
        "_part": (
            [part.value for part in drawn_parts],
            ", value of each part",
            "worse side",
            "part",
        ),
        sd_name("_part"): (
            [part.sd for part in drawn_parts],
            ", error of each part",
            "worse side",
            ERROR,
        ),
        "_part_score": (scores, ", score of each part", f"{mean}, 0 to 100", "part_score"),
    }
    about["long_name"] = table[name]["long_name"]
    return _dataset(name, dim, list(entries), about, variables, metrics)


def _draws(measured: Sequence[Finding], large: float, rng: np.random.Generator) -> _Part:
    """Draw scores of the worst side, from values and errors of the findings."""
    rules = tables.load("findings")["rules"]
    sides = []
    for finding in measured:
        assert finding.value is not None
        assert finding.interval is not None
        sd = sd_of(*finding.interval)
        drawn = finding.value + sd * rng.normal(size=DRAWS)
        excess = _excess(drawn, float(finding.threshold or 0.0), rules[finding.rule]["direction"])
        sides.append((float(excess.mean()), _Part(score_of(excess, large), finding.value, sd)))
    worst = max(sides, key=lambda side: side[0])[1]
    return worst._replace(score=np.min([side.score for _, side in sides], axis=0))


def _excess(value: Array, threshold: float, direction: str) -> Array:
    if direction == "below":
        return threshold - value
    return (value if direction == "above" else np.abs(value)) - threshold


def _dataset(
    name: str,
    dim: str,
    parts: Sequence[str],
    about: Mapping[str, Any],
    variables: Mapping[str, tuple[Any, ...]],
    metrics: xr.Dataset,
) -> xr.Dataset:
    result = xr.Dataset(
        {
            f"{name}{key}": (
                ["bound"] if kind == "interval" else [dim] * np.ndim(value),
                np.asarray(value, dtype=np.float64),
                {
                    **about,
                    "long_name": f"{about['long_name']}{suffix}",
                    "statistic": statistic,
                    "quantity": name,
                    "kind": kind,
                },
            )
            for key, (value, suffix, statistic, kind) in variables.items()
        },
        coords={dim: list(parts), "bound": ["lower", "upper"]},
    )
    result[name].attrs[BESIDE] = f"{sd_name(name)} {name}_interval"
    result[f"{name}_part"].attrs[BESIDE] = sd_name(f"{name}_part")
    rules = tables.load("findings")["rules"]
    entries = tables.load("indices")[name]["parts"]
    units = {key: rules[entries[key]["rule"]]["unit"] for key in parts}
    for key in ("part", sd_name("part")):
        result[f"{name}_{key}"].attrs |= {"units": "", "part_units": json.dumps(units)}
    return provenance.with_history(result, name, {"version": about["version"]}, source=metrics)
