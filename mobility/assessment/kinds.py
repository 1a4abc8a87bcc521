"""The quantity and the kind of a metric, and the variables that hold its errors."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mobility import tables
from mobility.catalogue.registry import exercises

if TYPE_CHECKING:
    import xarray as xr

BESIDE = "ancillary_variables"
"""Attribute with the names of the variables that belong to another variable, as in the CF
conventions.
"""

ERROR = "standard_error"
"""Kind of a standard deviation of an error."""

RETEST_ERROR = "retest_error"
"""Kind of a standard error of measurement between two visits of the same person."""


def kind_of(metrics: xr.Dataset, name: str) -> str:
    """Return the kind of a metric; empty if it is absent or has none."""
    return str(metrics[name].attrs.get("kind", "")) if name in metrics else ""


def owners(metrics: Mapping[Any, xr.DataArray] | Mapping[Any, xr.Variable]) -> dict[str, str]:
    """Map each variable of an error or interval to its metric."""
    return {
        error_name: str(name)
        for name, variable in metrics.items()
        for error_name in str(variable.attrs.get(BESIDE, "")).split()
    }


@functools.cache
def entry_of(quantity: str) -> dict[str, Any]:
    """Return the declaration of a measure; empty if it is in no table of measures."""
    described = [
        tables.load("measures"),
        *(exercise.own_table("measures") for exercise in exercises()),
    ]
    entries = (table.get("measures", {}).get(quantity) for table in described)
    return dict(next(filter(None, entries), {}))
