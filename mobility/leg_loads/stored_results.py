"""What an analysis stores beside the metrics."""

from __future__ import annotations

import xarray as xr

from mobility.assessment.exercise_stages import Trial
from mobility.leg_loads.loads import in_nm, loads_and_samples


def loads(trial: Trial) -> xr.Dataset:
    """Compute ``loads.nc``: the loads of the legs over time, as from :func:`mobility.loads`.

    Without a fitted body all values are missing, and the history has the reason.
    """
    found, _ = loads_and_samples(trial.fitted, trial.repetitions)
    return in_nm(found, trial.weight_kg, float(found.attrs["height_m"]))
