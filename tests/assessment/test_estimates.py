"""Which side of a metric is shown, and what is left of angles whose side is hidden."""

from __future__ import annotations

import hand_made
import numpy as np
import pytest
import xarray as xr

from mobility.assessment.estimates import reason_missing, side_shown, without_hidden_side
from mobility.assessment.findings import find
from mobility.pipeline.metrics_table import metrics_table

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


def test_what_was_not_measured_is_left_to_the_picture() -> None:
    for name in ("no_such_metric", "knee_ankle_separation_ratio"):
        assert side_shown(hand_made.metrics_of(), name, otherwise=lambda: "right") == "right"


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


@pytest.mark.parametrize(
    ("name", "attrs", "count", "note", "said"),
    [
        ("knee_flexion", {"hidden_side": "right"}, 5, "", "is hidden behind the left one"),
        ("knee_flexion", {"hidden_side": "left"}, 5, "", "not seen well enough"),
        ("knee_flexion", {}, 0, "it was turned", "no repetition could be measured"),
        ("knee_flexion", {}, 5, "it was turned", "it was turned"),
        ("knee_flexion_variability", {}, 4, "", "a spread needs 5 repetitions"),
        ("knee_flexion_variability", {}, 6, "", "needs 5 repetitions that have a value"),
    ],
)
def test_page_and_table_give_the_same_reason(name, attrs, count, note, said) -> None:
    metrics = hand_made.metrics_of({name: ((3.0, np.nan), (1.0, np.nan))}, **attrs)
    metrics["accepted_repetitions"] = count
    metrics[name].attrs["note"] = note
    reason = reason_missing(metrics.variables, metrics.attrs, name, "right")
    assert reason.endswith(said)
    on_page = {f.reason for f in find(metrics) if f.metric == name and f.side == "right"}
    rows = metrics_table(metrics).to_pandas().query(f"metric == '{name}' and side == 'right'")
    assert on_page == set(rows["reason"]) == {reason}
