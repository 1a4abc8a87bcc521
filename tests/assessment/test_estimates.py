"""Which side of a metric is shown, and what is left of angles whose side is hidden."""

from __future__ import annotations

import hand_made
import numpy as np
import pytest
import xarray as xr

from mobility.assessment.estimates import side_shown, without_hidden_side

BOTH = (110.0, 108.0)


@pytest.mark.parametrize(
    ("values", "sds", "hidden", "shown"),
    [
        (BOTH, (8.0, 5.0), "", "right"),
        (BOTH, (5.0, 8.0), "", "left"),
        (BOTH, (5.0, 5.5), "", "by the picture"),
        ((np.nan, 108.0), (np.nan, 9.0), "", "right"),
        ((np.nan, np.nan), (np.nan, np.nan), "", "by the picture"),
        ((np.nan, np.nan), (np.nan, np.nan), "right", "left"),
        ((np.nan, 108.0), (np.nan, 9.0), "left", "right"),
    ],
)
def test_the_near_side_is_shown_else_the_surer_one(values, sds, hidden, shown) -> None:
    attrs = {"hidden_side": hidden} if hidden else {}
    metrics = hand_made.metrics_of({"knee_flexion": (values, sds)}, **attrs)
    assert side_shown(metrics, "knee_flexion", otherwise=lambda: "by the picture") == shown


def test_angles_of_the_hidden_side_are_blank_and_others_stay() -> None:
    both = xr.DataArray(np.ones((3, 2)), dims=("time", "side"), attrs={"units": "degree"})
    angles = xr.Dataset(
        {"knee_flexion": both, "trunk_lean": ("time", np.ones(3))},
        coords={"side": ["left", "right"]},
        attrs={"ds_type": "angles"},
    )
    shown = without_hidden_side(angles, hand_made.metrics_of(hidden_side="left"))
    assert bool(shown["knee_flexion"].sel(side="left").isnull().all())
    assert bool((shown["knee_flexion"].sel(side="right") == 1).all())
    assert bool((shown["trunk_lean"] == 1).all())
    assert (shown.attrs, shown["knee_flexion"].attrs) == (angles.attrs, both.attrs)
    assert without_hidden_side(angles, hand_made.metrics_of()) is angles
