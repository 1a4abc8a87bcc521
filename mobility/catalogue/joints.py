"""The available joints, and the angle that each joint is measured by."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from mobility import tables


@functools.cache
def joint_table() -> Mapping[str, Mapping[str, Any]]:
    """Describe each joint, in the order in which documents list them."""
    joints: Mapping[str, Mapping[str, Any]] = tables.load("joints")
    return joints


def joints_that(what: str) -> tuple[str, ...]:
    """Joints with a true entry of this name in the table: "named_only", "leg", "followed"."""
    return tuple(name for name, entry in joint_table().items() if entry[what])


MEASURED: tuple[str, ...] = tuple(joint_table())

SIDEWAYS: tuple[str, ...] = joints_that("named_only")
"""Joints that are measured only if they are named."""

JOINTS: tuple[str, ...] = tuple(name for name in MEASURED if name not in SIDEWAYS)
"""Joints that "all" stands for."""

ANGLE_OF_JOINT: Mapping[str, str] = {
    joint: str(entry["angle"]) for joint, entry in joint_table().items()
}
"""The angle that each joint is measured by."""

# Fields of these types refuse names that are not in the tables, and suggest the closest name.
if TYPE_CHECKING:
    Joint = str
    Limb = str
else:
    Joint = Literal[*MEASURED]
    Limb = Literal[*JOINTS]
