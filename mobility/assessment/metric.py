"""A metric and its error as variables of a Dataset, and when a value is too uncertain for one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mobility import provenance, tables
from mobility.assessment.kinds import BESIDE, ERROR, RETEST_ERROR, entry_of
from mobility.kinematics.expected_error import Z95
from mobility.kinematics.skeleton import SIDES

Array = NDArray[np.float64]

CARRIED = ("source_file", "source_software", "video_sha256", "model_sha256", "method", "fps")
"""Attributes of the pose that its metrics keep."""

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
    name: str = "",
    suffix: str = "",
    **other: str,
) -> None:
    """Add a metric and its errors with the attributes that every metric carries.

    `sd` is the standard deviation of its error, `sem` the standard error of measurement between
    two recordings of the same person; None where there is none.

    Of what it is measured is its `quantity`, and `kind` which number of it: both are those of
    ``tables/measures.yaml``. It is called by both, or `name`; `other` are attributes in place
    of those of the quantity.
    """
    name = name or f"{quantity}_{kind}"
    entry = {"units": "degree"} | entry_of(quantity) | other
    dims = [dim for dim in _DIMS if dim in value.dims]
    attrs = {key: entry[key] for key in ("units", "group", "reference")} | {"quantity": quantity}
    long_name = f"{entry['long_name']}{suffix}"

    def described(array: xr.DataArray, **told: str) -> xr.DataArray:
        bare = array.transpose(*dims)
        if beside := [name for name in bare.coords if name not in bare.dims]:
            bare = bare.drop_vars(beside)
        # Without what names the error of what this was made of.
        bare.attrs = {k: v for k, v in array.attrs.items() if k != BESIDE} | attrs | told
        return bare

    metrics[name] = described(value, kind=kind, long_name=long_name, statistic=statistic)
    errors = {
        f"{name}_sd": (sd, ERROR, "standard deviation of the error"),
        f"{name}_sem": (sem, RETEST_ERROR, "standard error of measurement between recordings"),
    }
    for called, (error, of_kind, words) in errors.items():
        if error is None:
            continue
        metrics[called] = described(
            error,
            kind=of_kind,
            long_name=f"{long_name}, {words}",
            statistic=f"error of: {statistic}",
        )
        metrics[name].attrs[BESIDE] = f"{metrics[name].attrs.get(BESIDE, '')} {called}".strip()


def add_note(metrics: dict[str, xr.DataArray], quantity: str, note: str) -> None:
    """State, in place, why values of a quantity are missing."""
    for metric in metrics.values():
        if metric.attrs["quantity"] == quantity:
            metric.attrs["note"] = note


def refuse_uncertain(
    value: Array, sd: Array, watched: NDArray[np.bool_], entry: dict[str, Any]
) -> tuple[Array, bool, float]:
    """Blank what is too uncertain: values, whether any was, share of the watched frames."""
    known = np.isfinite(value)
    refused = known & ~(Z95 * sd <= entry["largest_interval"]["value"])
    inside = known
    if value.ndim:
        inside = watched.reshape(watched.shape + (1,) * (value.ndim - 1)) & known
    share = float((refused & inside).sum() / max(inside.sum(), 1))
    return np.where(refused, np.nan, value), bool(refused.any()), share


def _largest_error(entry: dict[str, Any]) -> str:
    """Give the largest error of a quantity that is reported, in words."""
    limit = entry["largest_interval"]["value"]
    unit = {"degree": "°", "m": " m"}.get(entry["units"], "")
    size = f"± {100 * limit:.0f} %" if entry["percent"] else f"± {limit:.2g}{unit}"
    return f"{size}{entry['of']}"


def frame_variables(
    pose: xr.Dataset,
    watched: NDArray[np.bool_],
    values: Mapping[str, Array],
    sd: Mapping[str, Array],
    entries: Mapping[str, dict[str, Any]],
    *,
    note: str = "",
) -> tuple[dict[str, xr.DataArray], list[dict[str, str]]]:
    """Label quantities of the frames, refusing what is too uncertain, or with a `note` everything.

    Returns
    -------
    variables, warnings
        Each of `values` over (time,), (time, side) or nothing, with its ``_sd``; what was refused
        is NaN, with the reason in ``note``, and a warning where that is most of a movement.
    """
    largest = tables.load("measures")["limits"]["largest_gap_share"]["value"]
    found: list[dict[str, str]] = []
    variables: dict[str, xr.DataArray] = {}
    for name, value in values.items():
        entry, reason = entries[name], note
        if note:
            value = np.full_like(value, np.nan)
        else:
            value, refused, share = refuse_uncertain(value, sd[name], watched, entry)
            reason = tables.sentence("reasons.uncertain") if refused else ""
            if share > largest:
                called = entry["long_name"].split(",")[0].capitalize()
                told = {"quantity": name, "name": called, "limit": _largest_error(entry)}
                found.append(tables.warning("warnings.uncertain", **told))
        dims = ("time", "side")[: value.ndim]
        coords = {"time": pose["time"].variable, "side": list(SIDES)}
        labelled, labelled_sd = (
            xr.DataArray(v, dims=dims, coords={d: coords[d] for d in dims})
            for v in (value, np.where(np.isnan(value), np.nan, sd[name]))
        )
        add(variables, name, "frame", labelled, labelled_sd, "frame", name=name)
        if reason:
            variables[name].attrs["note"] = reason
    return variables, found


def merged_history(first: xr.Dataset, second: xr.Dataset) -> str:
    """History of two Datasets that were made from one: the common entries once."""
    entries = provenance.history(first)
    entries += [entry for entry in provenance.history(second) if entry not in entries]
    return json.dumps(entries, sort_keys=True)
