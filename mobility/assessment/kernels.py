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
from mobility.base.options import likely
from mobility.catalogue.exercise import Exercise
from mobility.errors import BadInputError
from mobility.kinematics.skeleton import KEYPOINTS, SIDES

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
            outputs = self.compute(self._named(points), self._named(standing), limits)
            for name, output in outputs.items():
                if np.shape(output) not in ((), (len(points),), (len(points), len(SIDES))):
                    raise BadInputError(
                        f"kernel {self.compute.__name__}: {name}: must be over time, over time and "
                        f"side, or a single number; its shape is {np.shape(output)}"
                    )
            return outputs

        return computed

    @property
    def is_shared(self) -> bool:
        """Whether it is one of this package's, whose errors were measured."""
        return self.compute.__module__.startswith("mobility.assessment.")

    def _named(self, points: Array) -> Points:
        view = points.view()
        view.flags.writeable = False
        return dict(zip(self.joints, np.moveaxis(view, 1, 0), strict=True))


Compute = Callable[[Points, Points, Mapping[str, float]], Mapping[str, Array]]


def of_points(*joints: str, doubts: Doubts | None = None) -> Callable[[Compute], PointKernel]:
    """Make a function the kernel of points of these paired joints, with the hips among them."""
    paired = [name.removeprefix("left_") for name in KEYPOINTS if name.startswith("left_")]
    for joint in joints:
        if joint not in paired:
            raise BadInputError(f"of_points: {joint!r}: unknown{likely(joint, paired)}")
    if "hip" not in joints:
        raise BadInputError("of_points: needs 'hip' among its joints, whose line is that of a body")
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


def read_only(dataset: xr.Dataset) -> xr.Dataset:
    """Copy a Dataset so that nobody changes what others have of it."""
    copied = dataset.copy(deep=True)
    for variable in copied.variables.values():
        if isinstance(variable.values, np.ndarray):
            variable.values.flags.writeable = False
    return copied


_RESERVED = ("units", "group", "reference", "quantity", "kind", "long_name", "statistic")
"""Attributes that a declaration gives, not a kernel."""


def checked_values(values: Any, trial: MeasuredTrial, *, what: str) -> Values:
    """Refuse what a kernel of a trial may not give; give it with an error of the same shape."""
    if not isinstance(values, Values) or not isinstance(values.value, xr.DataArray):
        raise BadInputError(f"{what}: must give Values of a DataArray, not {type(values).__name__}")
    value, sd = values.value, values.sd
    lengths = {"time": trial.pose.sizes["time"], "rep": trial.repetitions.sizes["rep"]}
    lengths |= {"side": len(SIDES), "phase": value.sizes.get("phase", 0)}
    for dim, length in value.sizes.items():
        if lengths.get(str(dim)) != length or (
            dim in ("side", "phase") and dim not in value.coords
        ):
            raise BadInputError(
                f"{what}: must be over time, rep, side or phase of the trial; {dim} has {length}"
            )
    if "rep" in value.dims:
        value = value.assign_coords(rep=trial.repetitions["rep"].to_numpy())
    if reserved := sorted({*values.attrs} & {*_RESERVED}):
        raise BadInputError(f"{what}: attribute {reserved[0]!r}: is given by the declaration")
    if sd is not None:
        sd = xr.DataArray(sd)
        if "rep" in sd.dims:
            sd = sd.assign_coords(rep=trial.repetitions["rep"].to_numpy())
        sd = sd.broadcast_like(value).transpose(*value.dims)
        if bool((sd < 0).any()):
            raise BadInputError(f"{what}: sd: must not be negative")
    if bool(np.isinf(value.astype(float)).any()):
        raise BadInputError(f"{what}: must be finite, or NaN where there is no value")
    return values._replace(value=value, sd=sd)


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
