"""Weight share, ground reaction and joint moments of a movement on both feet."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import xarray as xr
from pydantic import PlainValidator

from mobility import tables
from mobility.base.options import checked, quoted
from mobility.base.parsing import parse_number
from mobility.base.provenance import with_history
from mobility.base.uncertain import sd_name
from mobility.errors import BadInputError
from mobility.kinematics.datasets import Pose, Repetitions, require_positions
from mobility.kinematics.expected_error import of_fit
from mobility.kinematics.skeleton import FITTED, SIDES, Array, landmarks
from mobility.leg_loads.dynamics import (
    GRAVITY,
    JOINTS,
    Motion,
    moments,
    motion_of,
    of_joint,
    on_feet,
    reaction,
)


def loads(
    pose: Pose,
    *,
    repetitions: Repetitions | None = None,
    weight_kg: float | None = None,
    height_m: float | None = None,
) -> xr.Dataset:
    """Compute how the legs are loaded, without force plates."""
    raise NotImplementedError


def loads_with_plates(
    pose: Pose,
    forces: xr.Dataset,
    *,
    weight_kg: float | None = None,
    height_m: float | None = None,
) -> xr.Dataset:
    """Compute how the legs are loaded from measured forces, with the formulas of :func:`loads`.

    Parameters
    ----------
    pose
        Pose of a laboratory (``lab_pose``) or fitted pose, metres, y up.
    forces
        ``force`` (time, side, axis) in N, the force of the floor on each foot, and
        ``centre_of_pressure`` (time, side, axis) in metres, in the axes of the pose (axis x, y, z)
        and on its clock.
    weight_kg, height_m
        As for :func:`loads`. Without `weight_kg`, the weight is the median vertical force.
    """
    raise NotImplementedError
