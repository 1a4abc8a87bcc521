"""Names of variables that hold the errors of another variable, in files and Datasets.

A variable ``knee_flexion`` has the standard deviation of its error in ``knee_flexion_sd``, and the
standard error of measurement between visits in ``knee_flexion_sem``. Only this module puts these
names together and takes them apart.
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
    """Return the name of the value of which `name` is the error; any other name is unchanged."""
    return str(name).removesuffix(SD)


def sd_beside(dataset: xr.Dataset, name: str) -> xr.DataArray:
    """Give the standard deviation of the error of a variable; NaN if it has none."""
    # Imported late: the catalogue of exercises needs only the names, and must load quickly.
    import numpy as np
    import xarray as xr

    sd = dataset.get(sd_name(name))
    return xr.full_like(dataset[name], np.nan, dtype=np.float64) if sd is None else sd
