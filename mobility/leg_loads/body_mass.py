"""Masses of the body's segments, their centres, and the centre of mass of the body."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import xarray as xr

from mobility import tables
from mobility.base.options import Load, checked
from mobility.base.provenance import with_history
from mobility.kinematics.datasets import Pose, require_positions
from mobility.kinematics.fit.body import LOAD_JOINTS
from mobility.kinematics.skeleton import FITTED, SIDES, Array, landmarks


class Segments(NamedTuple):
    """Segments as weights of joints: a centre is ``weights @ joints``.

    Attributes
    ----------
    mass
        Masses as multiples of the mass of the body (segment,); the sum is 1 without a load.
    weights
        Weights of the joints :data:`~mobility.kinematics.skeleton.FITTED`, (segment, joint).
    legs
        Indices of thigh, shank and foot (side, 3).
    """

    mass: Array
    weights: Array
    legs: tuple[tuple[int, int, int], ...]


def _segments() -> Segments:
    masses = tables.load("body_segments")["masses"]
    middle = {
        joint: np.array([name.endswith(joint) for name in FITTED]) / 2
        for joint in ("shoulder", "hip")
    }
    mass, weights, index = list[float](), list[Array](), dict[str, int]()
    for share, centre in (masses["trunk"], masses["head"]):
        mass.append(share)
        weights.append((1 - centre) * middle["hip"] + centre * middle["shoulder"])
    for start, end, share, centre in masses["limbs"]:
        for side in SIDES:
            row = np.zeros(len(FITTED))
            row[FITTED.index(f"{side}_{start}")] += 1 - centre
            row[FITTED.index(f"{side}_{end}")] += centre
            index[f"{side}_{start}"] = len(mass)
            mass.append(share)
            weights.append(row)
    legs = tuple((index[f"{s}_hip"], index[f"{s}_knee"], index[f"{s}_heel"]) for s in SIDES)
    return Segments(np.array(mass) / sum(mass), np.array(weights), legs)


SEGMENTS = _segments()


def with_load(load: Load | None) -> Segments:
    """Return the segments of the body, followed by what it carries."""
    if load is None:
        return SEGMENTS
    where, mass = load
    weights = np.zeros((1, len(FITTED)))
    weights[0, LOAD_JOINTS[where]] = 0.5
    return SEGMENTS._replace(
        mass=np.append(SEGMENTS.mass, mass), weights=np.append(SEGMENTS.weights, weights, axis=0)
    )


def segment_centres(joints: Array, segments: Segments = SEGMENTS) -> Array:
    """Return the centres of mass of the segments (..., segment, 3) from joints (..., joint, 3)."""
    centres: Array = np.einsum("sj,...jx->...sx", segments.weights, joints)
    return centres


@checked
def centre_of_mass(pose: Pose) -> xr.Dataset:
    """Compute the centre of mass of the body.

    The masses of the segments and the positions of their centres are means of women and men (de
    Leva 1996; table ``body_segments``, from which the fit takes them too). What the person carries
    is not included.

    Parameters
    ----------
    pose
        Fitted pose, or the pose of a laboratory, in metres with y up.

    Returns
    -------
    xarray.Dataset
        ``centre_of_mass`` (time, axis) in metres, in the axes of the pose; NaN in frames without
        one of the joints that have mass.

    References
    ----------
    De Leva 1996, J Biomech 29:1223.
    """
    require_positions(pose, what="centre_of_mass")
    joints = landmarks(pose, keypoints=list(FITTED))
    centre = np.einsum("s,tsx->tx", SEGMENTS.mass, segment_centres(joints))
    result = xr.Dataset(
        {
            "centre_of_mass": (
                ("time", "axis"),
                centre,
                {"units": "m", "long_name": "centre of mass of the body"},
            )
        },
        coords={"time": pose["time"].variable, "axis": ["x", "y", "z"]},
    )
    return with_history(result, "centre_of_mass", {}, source=pose)
