"""Names of the variables that hold the errors of another variable, in files and Datasets.

A variable ``knee_flexion`` has the standard deviation of its error in ``knee_flexion_sd``, and the
standard error of measurement between visits in ``knee_flexion_sem``. Only this module builds these
names and splits them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import xarray as xr

_SD, _SEM = "_sd", "_sem"


def sd_name(name: object) -> str:
    """Return the name of the variable with the standard deviation of the error."""
    return f"{name}{_SD}"


def sem_name(name: object) -> str:
    """Return the name of the variable with the standard error of measurement between visits."""
    return f"{name}{_SEM}"


def is_sd(name: object) -> bool:
    """Whether a variable with this name holds the standard deviation of an error."""
    return str(name).endswith(_SD)


def is_error(name: object) -> bool:
    """Whether a variable with this name holds an error of either kind."""
    return str(name).endswith((_SD, _SEM))


def name_of_value(name: object) -> str:
    """Return the name of the value that an error belongs to; other names are unchanged."""
    return str(name).removesuffix(_SD).removesuffix(_SEM)


def sd_beside(dataset: xr.Dataset, name: str) -> xr.DataArray:
    """Return the standard deviation of the error of a variable; NaN if it has none."""
    # Imported late: the catalogue of exercises needs only the names, and must load quickly.
    import numpy as np
    import xarray as xr

    sd = dataset.get(sd_name(name))
    return xr.full_like(dataset[name], np.nan, dtype=np.float64) if sd is None else sd
