"""Moments of a recording that a report shows in pictures, each with its measured value."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from mobility import tables
from mobility.assessment.number import Number
from mobility.base.formatting import quantity
from mobility.base.uncertain import sd_name

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True)
class Moment:
    """One picture to take.

    Attributes
    ----------
    title
        Name of the moment.
    time
        Seconds.
    angle
        Angle to draw: a name in :data:`DRAWN`, or "" for none.
    number
        The number that was measured at this moment, on the side that is drawn.
    label
        Name of the number, in words.
    doubt
        Whether the sides may have been exchanged.
    """

    title: str
    time: float
    angle: str = ""
    number: Number = field(default_factory=Number)
    label: str = ""
    doubt: bool = False

    @property
    def measured(self) -> str:
        """Value as text, without its error; empty if it is unknown."""
        return quantity(self.number.value, self.number.units) if self.number.is_measured else ""

    @property
    def caption(self) -> str:
        """Moment, and its measured value with the margin of error, if there is one."""
        number, side = self.number, self.number.side
        if side and self.doubt:
            side = tables.sentence("joints.side_in_doubt", side=side)
        of = " ".join(part for part in (side, self.label) if part)
        if not self.measured:
            title = self.title
            return tables.sentence("report.picture_without", title=title, what=of) if of else title
        return f"{self.title}: {of} {number.text}"


def of_angle(title: str, time: float, angles: xr.Dataset, name: str, side: str) -> Moment:
    """Make a moment with the value of an angle."""
    row = int(np.argmin(np.abs(angles["time"].values - time)))

    def at(variable: str) -> float:
        if variable not in angles:
            return math.nan
        values = angles[variable].isel(time=row)
        return float(values.sel(side=side) if "side" in values.dims else values)

    label = str(angles[name].attrs.get("long_name", name)).partition(" (")[0]
    side = side if "side" in angles[name].dims else ""
    return Moment(
        title, time, name, Number(at(name), at(sd_name(name)), units="degree", side=side), label
    )
