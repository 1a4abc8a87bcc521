"""What computes measures: kernels, whose outputs measures name as ``from: <kernel>.<output>``.

A kernel of points computes quantities of every frame, and is called once for all measures that ask
for it; their errors come from calling it with displaced points. A kernel of a trial computes what
is no quantity of a frame: times, counts, slopes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mobility import tables
from mobility.errors import BadInputError
from mobility.options import likely
from mobility.registry import Exercise

Array = NDArray[np.float64]
Points = Mapping[str, Array]
"""Points by the name of the joint, each (time, side, space): left first, metres, y up."""

Doubts = Callable[[xr.Dataset, xr.Dataset, Mapping[str, Array]], tuple[dict[str, str], list[Any]]]
"""Of pose, repetitions and outputs: sentences on outputs that are missing, and warnings."""


@dataclass(frozen=True)
class PointKernel:
    """A function of points.

    Attributes
    ----------
    compute
        Of the points, those of the standing frames, and the limits of the tables by name; gives
        outputs by name, over time, over time and side, or a single number of the trial.
    joints
        Paired landmarks that it needs, among them the hips.
    doubts
        Says what its outputs lack; None: nothing to say.
    """

    compute: Callable[[Points, Points, Mapping[str, float]], Mapping[str, Array]]
    joints: tuple[str, ...]
    doubts: Doubts | None = None

    def of_array(
        self, limits: Mapping[str, float]
    ) -> Callable[[Array, Array], Mapping[str, Array]]:
        """Give it as a function of points (time, joint, side, space), and of those of standing."""

        def computed(points: Array, standing: Array) -> Mapping[str, Array]:
            return self.compute(self._named(points), self._named(standing), limits)

        return computed

    def _named(self, points: Array) -> Points:
        return dict(zip(self.joints, np.moveaxis(points, 1, 0), strict=True))


Compute = Callable[[Points, Points, Mapping[str, float]], Mapping[str, Array]]


def of_points(*joints: str, doubts: Doubts | None = None) -> Callable[[Compute], PointKernel]:
    """Make a function the kernel of points of these joints."""
    return lambda compute: PointKernel(compute, joints, doubts)


class Values(NamedTuple):
    """What a kernel of a trial gives of one output.

    ``value`` is over time, over repetitions, or a single number, each perhaps with ``side``; ``sd``
    is the standard deviation of its error. ``note`` says why it is missing, ``if_missing`` the same
    where all of a number made of it is; ``attrs`` are further attributes.
    """

    value: xr.DataArray
    sd: xr.DataArray | None = None
    note: str = ""
    if_missing: str = ""
    attrs: Mapping[str, Any] = {}


@dataclass(frozen=True)
class MeasuredTrial:
    """What a kernel of a trial has at hand.

    Attributes
    ----------
    exercise
        What is measured.
    pose, angles, repetitions
        Datasets of the same frames; in `angles` the side that the near one hides is NaN.
    hidden_side
        That side; empty without one.
    sex, age
        The participant's; None where unknown.
    limits
        Those of the tables, by name: of all exercises, and of its own.
    """

    exercise: Exercise
    pose: xr.Dataset
    angles: xr.Dataset
    repetitions: xr.Dataset
    hidden_side: str
    sex: str | None
    age: float | None
    limits: Mapping[str, float]

    @property
    def fitted(self) -> bool:
        """Whether a body was fitted."""
        return "position_draws" in self.pose


@dataclass(frozen=True)
class TrialKernel:
    """A function of a trial, of which no draws are made."""

    compute: Callable[[MeasuredTrial], Mapping[str, Values]]


def of_trial(compute: Callable[[MeasuredTrial], Mapping[str, Values]]) -> TrialKernel:
    """Make a function the kernel of a trial."""
    return TrialKernel(compute)


def output_of(name: str, entry: Mapping[str, Any], outputs: Collection[str]) -> str:
    """Name what a measure asks of a kernel; refuse what is not among its outputs."""
    kernel, _, output = str(entry["from"]).partition(".")
    if output not in outputs:
        hint = likely(output, outputs) or f"; it gives {', '.join(outputs)}"
        raise BadInputError(
            f"measures.yaml: {name}: from: the kernel {kernel} gives no {output!r}{hint}"
        )
    return output


def limits_of(exercise: Exercise) -> dict[str, float]:
    """Give the limits of the tables of measures by name: of all exercises, and of its own."""
    entries = {
        **tables.load("measures")["limits"],
        **exercise.own_table("measures").get("limits", {}),
    }
    plain = {name: e["value"] if isinstance(e, Mapping) else e for name, e in entries.items()}
    return {name: value for name, value in plain.items() if name != "source"}
