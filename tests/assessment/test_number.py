"""A number with its errors, why there is none, and which side of it is shown."""

from __future__ import annotations

import hand_made
import numpy as np
import pytest
import xarray as xr

from mobility.assessment.findings import all_rules, find
from mobility.assessment.number import (
    Number,
    nothing_measured,
    number_of,
    numbers_of,
    reason_missing,
    seen_sides,
    side_shown,
    without_hidden_side,
)
from mobility.catalogue.registry import exercise_of, exercises
from mobility.errors import BadInputError
from mobility.pipeline.metrics_table import metrics_table
from mobility.reports import values
from mobility.store import Store

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


def test_a_number_has_its_interval_also_in_other_units() -> None:
    number = Number(0.5, 0.1, 0.2, "1", "left")
    assert number.interval == pytest.approx((0.304, 0.696), abs=1e-3)  # 0.5 ± 1.96 · 0.1
    in_percent = number.scaled(100.0, "percent")
    assert (in_percent.units, in_percent.side) == ("percent", "left")
    assert (in_percent.value, in_percent.sem) == pytest.approx((50.0, 20.0))
    assert in_percent.half_width == pytest.approx(19.6, abs=0.01)
    assert not Number(reason="it is dark").is_measured


def test_a_number_is_read_with_its_errors_from_its_place() -> None:
    metrics = xr.Dataset(
        {
            "a": (
                ("rep", "side"),
                [[1.0, 2.0], [3.0, np.nan]],
                {"units": "m", "statistic": "median"},
            ),
            "a_sd": (("rep", "side"), np.full((2, 2), 0.5)),
            "b": ((), 4.0),
        },
        coords={"rep": [1, 2], "side": ["left", "right"]},
    )
    of_right = number_of(metrics, "a", "right", rep=1)
    assert (of_right.value, of_right.sd, of_right.units, of_right.side) == (2.0, 0.5, "m", "right")
    assert np.isnan(of_right.sem)
    missing = number_of(metrics, "a", "right", rep=2)
    assert np.isnan([missing.value, missing.sd]).all()
    assert missing.reason == "it is not visible enough"
    assert not number_of(metrics, "a", "right", rep=3).is_measured
    assert number_of(metrics, "b", "left").side == ""
    with pytest.raises(BadInputError, match="may have only side"):
        numbers_of(metrics, "a")


def _metrics(sides: dict[str, tuple[float, float]], **single: float) -> xr.Dataset:
    kinds = {"asymmetry": "asymmetry", "variability": "variability"}
    described = {
        name: {"quantity": "knee_flexion", "kind": kinds.get(name.rpartition("_")[2], "median")}
        for name in (*sides, *single)
    }
    sided = {name: ("side", [*pair], described[name]) for name, pair in sides.items()}
    return xr.Dataset(
        sided | {name: ((), value, described[name]) for name, value in single.items()},
        coords={"side": ["left", "right"], "rep": [1, 2, 3]},
    )


@pytest.mark.parametrize(
    ("knees", "why"),
    [
        ((120.0, 110.0), "it is too uncertain in this recording"),
        ((120.0, np.nan), "the right side is missing: it is not visible enough"),
        ((np.nan, np.nan), "it is not visible enough"),
    ],
)
def test_a_difference_is_missing_for_its_error_or_for_a_side(knees, why) -> None:
    metrics = _metrics({"knee_flexion": knees}, knee_flexion_asymmetry=np.nan)
    assert reason_missing(metrics, "knee_flexion_asymmetry") == why


@pytest.mark.parametrize(
    ("count", "note", "why"),
    [
        (0.0, "", ("no repetition was accepted", "no repetition was accepted")),
        (3.0, "", ("needs 5 repetitions", "it is not visible enough")),
        (3.0, "it is dark", ("needs 5 repetitions", "it is dark")),
        (5.0, "", ("needs 5 repetitions with a value",) * 2),
        (5.0, "it is dark", ("it is dark",) * 2),
    ],
)
def test_a_spread_needs_repetitions_unless_none_has_a_value(count, note, why) -> None:
    metrics = _metrics(
        {"knee_flexion": (120.0, np.nan), "knee_flexion_variability": (np.nan, np.nan)},
        accepted_repetitions=count,
    )
    if note:
        metrics["knee_flexion"].attrs["note"] = note
        metrics["knee_flexion_variability"].attrs["note"] = note
    sides = ("left", "right")
    assert tuple(reason_missing(metrics, "knee_flexion_variability", s) for s in sides) == why


def test_without_repetitions_and_without_the_metric_the_reason_is_that() -> None:
    metrics = _metrics({"knee_flexion": (np.nan, np.nan)}, accepted_repetitions=0.0)
    assert nothing_measured(metrics, "knee_flexion") == "no repetition was accepted"
    without = metrics.drop_vars("rep")
    assert nothing_measured(without, "knee_flexion") == "no repetition was found"
    assert nothing_measured(metrics, "trunk_lean") == "it is not part of this analysis"


def test_one_side_stands_for_both_only_if_the_camera_stands_there() -> None:
    metrics = _metrics({"knee_flexion": (120.0, np.nan)})
    numbers, note = seen_sides(metrics, "knee_flexion", "left")
    assert [each.value for each in numbers] == [120.0]
    assert note == "measured only on the left side, which is closer to the camera"
    assert seen_sides(metrics, "knee_flexion", "front") == (
        [],
        "the right side is missing: it is not visible enough",
    )


@pytest.mark.parametrize("exercise", [each.name for each in exercises()])
def test_every_surface_gives_the_same_reason(exercise: str) -> None:
    """Long table, page, and the finding if there is one."""
    metrics = Store("absent").demo(exercise).metrics()
    findings = find(metrics) if exercise_of(metrics).noun != "movement" else []
    rows = metrics_table(metrics).to_pandas()
    missing = rows[rows["value"].isna() & (rows["level"] == "session") & (rows["item"] == "")]
    of_findings = {
        (all_rules()[each.rule]["metric"], each.side): each.reason
        for each in findings
        if each.value is None
    }
    for row in missing.itertuples():
        reason = reason_missing(metrics, row.metric, row.side or None)
        assert row.reason == reason
        assert number_of(metrics, row.metric, row.side or None).reason == reason
        assert f"not measured: {reason}" in values.cell(metrics, row.metric, side=row.side or None)
        assert of_findings.get((row.metric, row.side), reason) == reason
