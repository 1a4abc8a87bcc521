"""What a squat is not: standing up from a chair."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mobility import tables
from mobility.assessment.looks_like import sits


def other_exercise(
    pose: xr.Dataset, frames: xr.DataArray, accepted: NDArray[np.bool_]
) -> list[dict[str, Any]]:
    """Warn of a chair rise."""
    seated = sits(pose, frames.sel(phase="bottom").to_numpy())
    return [tables.warning("warnings.chair_rise", exercise="sit-to-stand")] if seated else []
