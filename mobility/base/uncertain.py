"""Names of the variables that hold the errors of another one, in files and Datasets.

A variable ``knee_flexion`` has the standard deviation of its error in ``knee_flexion_sd``, and the
standard error of measurement between visits in ``knee_flexion_sem``. The names are put together
and taken apart here, and nowhere else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import xarray as xr

SD, SEM = "_sd", "_sem"


def sd_name(name: object) -> str:
    """Name the standard deviation of the error of a variable."""
    return f"{name}{SD}"


def sem_name(name: object) -> str:
    """Name the standard error of measurement between visits of a variable."""
    return f"{name}{SEM}"


def is_sd(name: object) -> bool:
    """Whether a name is that of a standard deviation of an error."""
    return str(name).endswith(SD)


def is_error(name: object) -> bool:
    """Whether a name is that of an error of either kind."""
    return str(name).endswith((SD, SEM))


def name_of_value(name: object) -> str:
    """Name the variable of whose error `name` is the standard deviation; else `name`."""
    return str(name).removesuffix(SD)


def sd_beside(dataset: xr.Dataset, name: str) -> xr.DataArray:
    """Give the standard deviation of the error of a variable; NaN if it has none."""
    # Imported late: the catalogue of exercises needs the names alone.
    import numpy as np
    import xarray as xr

    sd = dataset.get(sd_name(name))
    return xr.full_like(dataset[name], np.nan, dtype=np.float64) if sd is None else sd
