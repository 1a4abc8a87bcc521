"""A metric and its error as variables of a Dataset, and when a value is too uncertain for one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mobility import provenance, tables
from mobility.assessment.kinds import BESIDE, ERROR
from mobility.kinematics.skeleton import SIDES

Array = NDArray[np.float64]

CARRIED = ("source_file", "source_software", "video_sha256", "model_sha256", "method", "fps")
"""Attributes of the pose that its metrics keep."""

_Z95 = 1.96
_DIMS = ("time", "rep", "phase", "side")


def add(
    metrics: dict[str, xr.DataArray],
    name: str,
    value: xr.DataArray,
    sd: xr.DataArray | None,
    entry: dict[str, Any],
    statistic: str,
    *,
    quantity: str,
    kind: str,
    suffix: str = "",
) -> None:
    """Add a metric and its sd with the attributes that every metric carries.

    Of what it is measured is its `quantity`, and `kind` which number of it: one of those of
    ``tables/overhead_squat.yaml``.
    """
    dims = [dim for dim in _DIMS if dim in value.dims]
    attrs = {key: entry[key] for key in ("units", "group", "reference")} | {"quantity": quantity}
    long_name = f"{entry['long_name']}{suffix}"

    def described(array: xr.DataArray, **told: str) -> xr.DataArray:
        bare = array.transpose(*dims).reset_coords(drop=True).assign_attrs(attrs, **told)
        bare.attrs.pop(BESIDE, None)  # it names the error of what this was made of
        return bare

    metrics[name] = described(value, kind=kind, long_name=long_name, statistic=statistic)
    if sd is not None:
        metrics[name].attrs[BESIDE] = f"{name}_sd"
        metrics[f"{name}_sd"] = described(
            sd,
            kind=ERROR,
            long_name=f"{long_name}, standard deviation of the error",
            statistic=f"error of: {statistic}",
        )


def add_note(metrics: dict[str, xr.DataArray], quantity: str, note: str) -> None:
    """State, in place, why values of a quantity are missing."""
    for metric in metrics.values():
        if metric.attrs["quantity"] == quantity:
            metric.attrs["note"] = note


def refuse_uncertain(
    value: Array, sd: Array, watched: NDArray[np.bool_], entry: dict[str, Any]
) -> tuple[Array, str, float]:
    """Blank what is too uncertain: values, note ('' where none), share of the watched frames."""
    limit = entry["largest_interval"]["value"]
    half = _Z95 * sd
    known = np.isfinite(value)
    refused = known & ~(half <= limit)
    if not refused.any():
        return value, "", 0.0
    inside = known
    if value.ndim:
        inside = watched.reshape(watched.shape + (1,) * (value.ndim - 1)) & known
    seen = refused & inside if (refused & inside).any() else refused
    typical = half[seen & np.isfinite(half)]
    share = float((refused & inside).sum() / max(inside.sum(), 1))
    unit = {"degree": "°", "m": " m"}.get(entry["units"], "")

    def said(number: float) -> str:
        return f"± {100 * number:.0f} %" if entry["percent"] else f"± {number:.2g}{unit}"

    interval = f"({said(float(np.median(typical)))}) " if typical.size else ""
    note = f"refused: its 95 % interval {interval}exceeds {said(limit)}{entry['of']}"
    return np.where(refused, np.nan, value), note, share


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
    largest = tables.load("overhead_squat")["limits"]["largest_gap_share"]["value"]
    found: list[dict[str, str]] = []
    variables: dict[str, xr.DataArray] = {}
    for name, value in values.items():
        entry, reason = entries[name], note
        if note:
            value = np.full_like(value, np.nan)
        else:
            value, reason, share = refuse_uncertain(value, sd[name], watched, entry)
            if share > largest:
                message = f"{entry['long_name'].split(',')[0].capitalize()} {reason}"
                found.append({"code": f"{name}_uncertain", "message": message})
        dims = ("time", "side")[: value.ndim]
        coords = {"time": pose["time"].variable, "side": list(SIDES)}
        labelled = [
            xr.DataArray(v, dims=dims, coords={d: coords[d] for d in dims})
            for v in (value, np.where(np.isnan(value), np.nan, sd[name]))
        ]
        add(
            *(variables, name, labelled[0], labelled[1], entry, "frame"),
            quantity=name,
            kind="frame",
        )
        if reason:
            variables[name].attrs["note"] = reason
    return variables, found


def merged_history(first: xr.Dataset, second: xr.Dataset) -> str:
    """History of two Datasets that were made from one: the common entries once."""
    entries = provenance.history(first)
    entries += [entry for entry in provenance.history(second) if entry not in entries]
    return json.dumps(entries, sort_keys=True)
