"""Criteria of the FMS deep squat and compensations of the overhead squat assessment.

A criterion compares a metric with a threshold. Its probability follows from the value and its
expected error. A criterion is not judged, and never counts as passed, if the value is not reported
or too close to the threshold. There is no landing error score, because that score is for landings.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mobility import tables
from mobility.assessment.number import numbers_of, seen_sides
from mobility.base import formatting, provenance
from mobility.base.formatting import listed
from mobility.base.options import checked
from mobility.kinematics.datasets import Metrics

Array = NDArray[np.float64]

_ROUNDING = 1e-12


class _Fault(NamedTuple):
    probability: float
    note: str


def probability_of(
    value: float | Array,
    sd: float | Array,
    threshold: float,
    *,
    side: str,
) -> Array:
    r"""Return the probability that the true value lies on one side of a threshold.

    The true value is assumed to be normally distributed about the measured value. With :math:`z =
    (\hat x - t) / \sigma`, it is above t with probability :math:`\Phi(z)`.

    For ``outside``, the result is the probability of the more likely tail, :math:`q = \max(P(x >
    t), P(x < -t))`, if that exceeds one half. Otherwise it is the sum of both tails, limited to one
    half. With a large error, the sum alone would be close to 1 although not even the sign is known.

    Parameters
    ----------
    value, sd
        Any shape; NaN if a value or its error is unknown. An error of 0 makes the result certain.
    threshold
        t, in the same units.
    side
        ``above``, ``below``, or ``outside`` (magnitude greater than t).

    Returns
    -------
    ndarray
        Between 0 and 1; NaN if it is unknown.
    """
    from scipy.special import ndtr

    centre, sigma = np.asarray(value, dtype=float), np.asarray(sd, dtype=float)

    def beyond(margin: Array) -> Array:
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            z = np.where(sigma > 0, margin / sigma, np.where(margin > 0, np.inf, -np.inf))
        return np.where(np.isfinite(centre) & np.isfinite(sigma), ndtr(z), np.nan)

    above = beyond(centre - threshold)
    if side == "above":
        return above
    if side == "below":
        return beyond(threshold - centre)
    below = beyond(-threshold - centre)
    likelier = np.maximum(above, below)
    return np.where(likelier > 0.5, likelier, np.minimum(above + below, 0.5))


def is_stated(probability: float, *, met: float | None = None) -> bool | None:
    """Decide whether to state a finding with this probability, or its absence.

    Findings, criteria and compensations all use the same two probabilities (``results`` in the
    table ``findings``).

    Parameters
    ----------
    probability
        Probability that the finding is true.
    met
        Largest probability at which the absence is stated, if the rule has a value of its own.

    Returns
    -------
    bool or None
        True: the finding is stated. False: its absence is stated. None: neither is likely enough,
        or the probability is NaN.
    """
    limits = tables.load("findings")["results"]
    if probability >= limits["outside"] - _ROUNDING:
        return True
    return False if probability <= (limits["met"] if met is None else met) + _ROUNDING else None


def probability_in_words(probability: float) -> str:
    """Write the probability of a finding, or its absence, rounded without crossing a limit."""
    decides = tables.load("findings")["results"]
    limits = [limit for name, limit in decides.items() if name != "source"]
    return formatting.probability(probability, limits=[*limits, *(1 - limit for limit in limits)])


@checked
def fms_deep_squat(metrics: Metrics, *, view: str | None = None) -> xr.Dataset:
    """Compute the probability that each criterion of the FMS deep squat is met, and its score.

    Parameters
    ----------
    metrics
        Metrics Dataset.
    view
        Name of the camera view (:attr:`mobility.keypoints.view.View.name`). From the side, the
        visible leg stands for both.

    Returns
    -------
    xarray.Dataset
        ``fms_probability(fms_criterion)`` for ``torso``, ``femur``, ``knees``, ``dowel``, ``heels``
        and ``feet``, NaN if it is unknown, and ``fms_joint_probability``, the probability that all
        are met. Both have the attribute ``verdict``. It is "3" if the joint probability reaches the
        value in the table. It is "at most 2; another trial with raised heels is needed" if a
        criterion fails with that probability. Otherwise it is "cannot be judged" with the reason:
        the uncertain criteria ("heels uncertain"), or that each is met separately, but not all
        together. If only the feet are uncertain, it is "3 if the feet point forward", because the
        feet are placed before the squat.

        The attribute ``score`` names which of these cases applies, ``pain`` explains why a score of
        0 is never given, and ``notes`` (JSON) lists what is missing.

    Raises
    ------
    BadInputError
        A metric has other dimensions, or the view is unknown.

    Notes
    -----
    As in the findings, the worse side decides. The errors of different criteria are assumed to be
    independent, so the joint probability is their product.

    References
    ----------
    Cook, Burton, Hoogenboom, Voight (2014), Int J Sports Phys Ther 9:396.
    """
    table = tables.load("criteria")
    entry = table["fms_deep_squat"]
    faults = {
        name: _fault(metrics, criterion, criterion["fails"], view)
        for name, criterion in entry["criteria"].items()
    }
    probability = xr.DataArray(
        [1.0 - fault.probability for fault in faults.values()], {"fms_criterion": list(faults)}
    )
    score, words = fms_verdict(probability)
    joint = float(probability.prod(skipna=False))
    about = {
        **_attributes(entry, faults, quantity="fms"),
        "verdict": words,
        "score": score,
        "pain": entry["verdicts"]["pain"],
        "thresholds": _thresholds(entry["criteria"], "fails"),
    }
    result = xr.Dataset(
        {
            "fms_probability": (
                "fms_criterion",
                probability.to_numpy(),
                {**about, "long_name": "FMS deep squat, probability that a criterion is met"},
            ),
            "fms_joint_probability": (
                (),
                joint,
                {
                    **about,
                    "kind": "joint_probability",
                    "long_name": "FMS deep squat, probability that all criteria are met",
                },
            ),
        },
        coords={"fms_criterion": list(entry["criteria"])},
    )
    return provenance.with_history(result, "fms_deep_squat", {"view": view}, source=metrics)


def fms_verdict(probability: xr.DataArray) -> tuple[str, str]:
    """Return the score of the FMS deep squat that follows from the criteria's probabilities.

    Parameters
    ----------
    probability
        ``fms_probability`` of :func:`fms_deep_squat`.

    Returns
    -------
    score, words
        The key of an entry of ``verdicts`` in the table, and its text with the undecided criteria.
    """
    entry = tables.load("criteria")["fms_deep_squat"]
    criteria, words = entry["criteria"], entry["verdicts"]
    met = probability.to_series()
    failed = {
        name: is_stated(1.0 - float(is_met), met=criteria[name].get("met"))
        for name, is_met in met.items()
    }
    if True in failed.values():
        return "not_met", words["not_met"]
    uncertain = [name for name, is_failed in failed.items() if is_failed is None]
    if len(uncertain) == len(criteria):
        return "open", words["none_certain"]
    if not all(criteria[name].get("start") for name in uncertain):
        return "open", f"{words['open']}: {listed(uncertain)} uncertain"
    together = float(met.drop(uncertain).prod())
    if not is_stated(together):
        return "open", words["uncertain_together"].format(joint=probability_in_words(together))
    score = "all_but_start" if uncertain else "all_met"
    return score, words[score]


@checked
def compensations(metrics: Metrics, *, view: str | None = None) -> xr.Dataset:
    """Compute the probability of each compensation of the overhead squat assessment.

    Only compensations that the camera can see are included.

    Parameters
    ----------
    metrics
        Metrics Dataset.
    view
        As in :func:`fms_deep_squat`.

    Returns
    -------
    xarray.Dataset
        ``compensation_probability(compensation)``, NaN if it is unknown. Its attribute ``stated``
        is the smallest probability at which a compensation is stated, and ``opposite`` the largest
        at which its absence is stated. ``not_assessed`` (JSON) names the compensations that are not
        assessed, with the reason, and ``notes`` (JSON) lists what is missing.

    Raises
    ------
    BadInputError
        A metric has other dimensions, or the view is unknown.

    References
    ----------
    Clark, Lucett, Sutton, NASM Essentials of Corrective Exercise Training.
    """
    table = tables.load("criteria")
    entry = table["compensations"]
    faults = {
        name: _fault(metrics, compensation, compensation["found"], view)
        for name, compensation in entry["assessed"].items()
    }
    unseen = {name: why for name, why in entry["not_assessed"].items() if name != "source"}
    about = {
        **_attributes(entry, faults, quantity="compensation"),
        "not_assessed": json.dumps(unseen),
        "thresholds": _thresholds(entry["assessed"], "found"),
        "long_name": "overhead squat, probability of a compensation",
    }
    result = xr.Dataset(
        {
            "compensation_probability": (
                "compensation",
                np.array([fault.probability for fault in faults.values()]),
                about,
            )
        },
        coords={"compensation": list(faults)},
    )
    return provenance.with_history(result, "compensations", {"view": view}, source=metrics)


def _fault(metrics: xr.Dataset, entry: Mapping[str, Any], side: str, view: str | None) -> _Fault:
    """Return the probability that a metric is beyond its threshold on at least one side."""
    seen_numbers, note = seen_sides(metrics, entry["measure"], view)
    numbers = seen_numbers or numbers_of(metrics, entry["measure"])
    values, sds = (
        np.array([getattr(n, attribute) for n in numbers]) for attribute in ("value", "sd")
    )
    probabilities = probability_of(values, sds, entry["threshold"], side=side)
    finite = probabilities[np.isfinite(probabilities)]
    states_fault = bool(finite.size) and is_stated(float(finite.max()))  # one side is enough
    if not seen_numbers:
        return _Fault(float(finite.max()) if states_fault else np.nan, note)
    if finite.size < probabilities.size and not states_fault:
        return _Fault(np.nan, tables.sentence("reasons.no_error"))
    return _Fault(float(finite.max()), note)


def _thresholds(entries: Mapping[str, Any], side: str) -> str:
    return json.dumps(
        {
            name: {"measure": e["measure"], "side": e[side], "value": e["threshold"]}
            for name, e in entries.items()
        }
    )


def _attributes(
    entry: Mapping[str, Any], faults: Mapping[str, _Fault], *, quantity: str
) -> dict[str, Any]:
    notes = {name: fault.note for name, fault in faults.items() if fault.note}
    about: dict[str, Any] = {
        "units": "1",
        "group": "",
        "quantity": quantity,
        "kind": "probability",
        "statistic": "probability, from the value and its expected error",
        "reference": " ".join(str(entry["source"]).split()),
        "stated": tables.load("findings")["results"]["outside"],
        "opposite": tables.load("findings")["results"]["met"],
    }
    if notes:
        about["note"] = "; ".join(f"{key.replace('_', ' ')}: {note}" for key, note in notes.items())
        about["notes"] = json.dumps(notes)
    return about
