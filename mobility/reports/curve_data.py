"""Curves for the page: float32 numbers, NaN where a value was refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

Array = NDArray[np.float64]

BESIDE = ("_sd", "_raw", "_image")
"""Endings of variables that belong to an angle."""


def angle_names(angles: xr.Dataset) -> list[str]:
    """Names of the angles over time that are not refused as a whole."""
    return [
        str(name)
        for name, values in angles.data_vars.items()
        if "time" in values.dims
        and not str(name).endswith(BESIDE)
        and not ("refused" in values.attrs and values.isnull().all())
    ]


def curve_buffers(
    angles: xr.Dataset, names: Sequence[str]
) -> tuple[list[dict[str, Any]], list[bytes]]:
    """Curves of `names` as descriptions and buffers.

    Returns
    -------
    descriptions
        For each curve ``name``, ``label``, ``units`` and ``side`` ("" for none).
    buffers
        For each curve one of float32: all values, then all standard deviations.
    """
    described, buffers = [], []
    for name in names:
        sides = ("left", "right") if "side" in angles[name].dims else ("",)
        for side in sides:
            value, sd = (_angle_of_side(angles, each, side) for each in (name, f"{name}_sd"))
            described.append(
                {"name": name, "side": side, **_name_and_units(angles[name])},
            )
            buffers.append(np.concatenate([value, sd]).astype(np.float32).tobytes())
    return described, buffers


def _angle_of_side(angles: xr.Dataset, name: str, side: str) -> Array:
    if name not in angles:
        return np.full(angles.sizes["time"], np.nan)
    values = angles[name].sel(side=side) if side else angles[name]
    return np.asarray(values.transpose("time").values, dtype=float)


def _name_and_units(values: xr.DataArray) -> dict[str, str]:
    label = str(values.attrs.get("long_name", values.name)).partition(" (")[0]
    units = str(values.attrs.get("units", ""))
    return {
        "label": label[:1].upper() + label[1:],
        "units": "°" if units == "degree" else units,
    }
