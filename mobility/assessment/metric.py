"""Metrics and their errors as variables of a Dataset; uncertain values are left out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mobility import tables
from mobility.assessment.kinds import BESIDE, ERROR, RETEST_ERROR, entry_of
from mobility.base import provenance
from mobility.base.formatting import digits_and_suffix, plus_minus
from mobility.base.uncertain import sd_name, sem_name
from mobility.kinematics.expected_error import half_width
from mobility.kinematics.skeleton import SIDES

Array = NDArray[np.float64]

CARRIED = (
    *("source_file", "pose_source", "source_software", "video_sha256", "model_sha256"),
    *("method", "fps"),
)
"""Attributes of the pose that the metrics keep."""

USUAL_WORDS = {"turn": "bottom", "descent": "descent", "ascent": "ascent"}
"""Words that long names use, unless an exercise defines others."""

_DIMS = ("time", "rep", "phase", "side")


def add(
    metrics: dict[str, xr.DataArray],
    quantity: str,
    kind: str,
    value: xr.DataArray,
    sd: xr.DataArray | None,
    statistic: str,
    *,
    sem: xr.DataArray | None = None,
    words: Mapping[str, str] | None = None,
    name: str = "",
    suffix: str = "",
    **other: str,
) -> None:
    """Add a metric and its errors, with the attributes that every metric has.

    `sd` is the standard deviation of its error, `sem` the standard error of measurement between two
    visits of the same person; None if there is none.

    `quantity` and `kind` (which number of the quantity) come from ``tables/measures.yaml``, and
    define the default of `name`. `words` are the exercise's words for the placeholders of a long
    name, and `other` are attributes that replace those of the quantity.
    """
    name = name or f"{quantity}_{kind}"
    entry = {"units": "degree"} | entry_of(quantity) | other
    dims = [dim for dim in _DIMS if dim in value.dims]
    attrs = {key: entry[key] for key in ("units", "group", "reference")} | {"quantity": quantity}
    long_name = f"{entry['long_name'].format_map(words or USUAL_WORDS)}{suffix}"

    def described(array: xr.DataArray, **extra: str) -> xr.DataArray:
        bare = array.transpose(*dims)
        if beside := [name for name in bare.coords if name not in bare.dims]:
            bare = bare.drop_vars(beside)
        # Without the attribute that names the errors of the source.
        bare.attrs = {k: v for k, v in array.attrs.items() if k != BESIDE} | attrs | extra
        return bare

    metrics[name] = described(value, kind=kind, long_name=long_name, statistic=statistic)
    errors = {
        sd_name(name): (sd, ERROR, "standard deviation of the error"),
        sem_name(name): (sem, RETEST_ERROR, "standard error of measurement between visits"),
    }
    for error_name, (error, of_kind, which) in errors.items():
        if error is None:
            continue
        metrics[error_name] = described(
            error,
            kind=of_kind,
            long_name=f"{long_name}, {which}",
            statistic=f"error of: {statistic}",
        )
        metrics[name].attrs[BESIDE] = f"{metrics[name].attrs.get(BESIDE, '')} {error_name}".strip()


def add_note(metrics: dict[str, xr.DataArray], quantity: str, note: str) -> None:
    """Note, in place, why values of a quantity are missing."""
    for metric in metrics.values():
        if metric.attrs["quantity"] == quantity:
            metric.attrs["note"] = note


def refuse_uncertain(
    value: Array, sd: Array, watched: NDArray[np.bool_], entry: dict[str, Any]
) -> tuple[Array, bool, float]:
    """Remove uncertain values; return the rest, whether any was removed, and what share."""
    has_value = np.isfinite(value)
    largest = entry.get("largest_interval", {"value": np.inf})["value"]
    refused = has_value & ~(half_width(sd) <= largest)
    inside = has_value
    if value.ndim:
        inside = watched.reshape(watched.shape + (1,) * (value.ndim - 1)) & has_value
    share = float((refused & inside).sum() / max(inside.sum(), 1))
    return np.where(refused, np.nan, value), bool(refused.any()), share


def _largest_error(entry: dict[str, Any]) -> str:
    """Return the largest accepted error of a quantity, in words."""
    limit = entry["largest_interval"]["value"]
    _, suffix = digits_and_suffix(entry.get("units", "degree"))
    shown_in_percent = entry.get("percent", False)
    size = plus_minus(100 * limit, "percent") if shown_in_percent else f"± {limit:.2g}{suffix}"
    return f"{size}{entry.get('of', '')}"


def frame_variables(
    pose: xr.Dataset,
    watched: NDArray[np.bool_],
    values: Mapping[str, Array],
    sd: Mapping[str, Array],
    entries: Mapping[str, dict[str, Any]],
    *,
    note: str = "",
) -> tuple[dict[str, xr.DataArray], list[dict[str, str]]]:
    """Label quantities of the frames; remove uncertain values, or all values if there is a `note`.

    Returns
    -------
    variables, warnings
        Each of `values` has the dimensions (time,), (time, side) or none, and comes with its
        ``_sd``. Removed values are NaN, with the reason in ``note``. There is a warning if most
        values of a movement are removed.
    """
    largest = tables.load("measures")["limits"]["largest_gap_share"]["value"]
    warnings: list[dict[str, str]] = []
    variables: dict[str, xr.DataArray] = {}
    for name, value in values.items():
        entry, reason = entries[name], note
        if note:
            value = np.full_like(value, np.nan)
        else:
            value, refused, share = refuse_uncertain(value, sd[name], watched, entry)
            reason = tables.sentence("reasons.uncertain") if refused else ""
            if share > largest:
                title = entry["long_name"].split(",")[0].capitalize()
                words = {
                    "quantity": name,
                    "name": title,
                    "limit": _largest_error(entry),
                }
                warnings.append(tables.warning("warnings.uncertain", **words))
        dims = ("time", "side")[: value.ndim]
        coords = {"time": pose["time"].variable, "side": list(SIDES)}
        labelled, labelled_sd = (
            xr.DataArray(v, dims=dims, coords={d: coords[d] for d in dims})
            for v in (value, np.where(np.isnan(value), np.nan, sd[name]))
        )
        add(variables, name, "frame", labelled, labelled_sd, "frame", name=name)
        if reason:
            variables[name].attrs["note"] = reason
    return variables, warnings


def merged_history(first: xr.Dataset, second: xr.Dataset) -> str:
    """Return the history of two Datasets made from one: the common entries appear once."""
    entries = provenance.history(first)
    entries += [entry for entry in provenance.history(second) if entry not in entries]
    return json.dumps(entries, sort_keys=True)
