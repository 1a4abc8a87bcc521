"""Which moments of repetitions have a picture, and of which leg."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from demo_sessions import moments_of

from mobility.assessment.findings import find
from mobility.assessment.number import Number
from mobility.reports.drawn_angles import DRAWN
from mobility.reports.first_page import main_finding
from mobility.store import Store

STANDING = "Standing, assumed straight"


@pytest.fixture(scope="module")
def demo() -> Store:
    return Store("absent").demo("Overhead Squat")


def test_three_moments_of_a_squat_with_what_was_measured(demo) -> None:
    metrics, repetitions = demo.metrics(), demo.repetitions()
    moments = moments_of(demo)
    assert [moment.title for moment in moments] == [STANDING, "Bottom", "On the way up"]
    standing, bottom, up = moments
    assert standing.time < bottom.time < up.time
    assert bottom.time in repetitions["bottom"].values
    assert standing.caption == STANDING  # not measured, so no number
    assert 60 < up.number.value < bottom.number.value
    # What the page reports, so that no two numbers stand for one angle.
    for name, value in (
        ("knee_flexion", bottom.number.value),
        ("knee_flexion_sd", bottom.number.sd),
    ):
        assert value == float(metrics[name].sel(side=bottom.number.side))
    assert bottom.caption.startswith(
        f"Bottom: {bottom.number.side} knee flexion {bottom.number.value:.0f}° ± "
    )
    none = repetitions.assign(accepted=("rep", [False] * repetitions.sizes["rep"]))
    assert moments_of(demo, repetitions=none) == []


def test_a_recording_that_begins_on_the_way_down_shows_standing_where_it_is(demo) -> None:
    angles, repetitions = demo.angles(), demo.repetitions().isel(rep=[0])
    repetitions["start_seen"] = ("rep", [False])
    time = repetitions["time"]
    end = float(repetitions["end"][0])
    after = repetitions.assign(standing=(time > end) & (angles["knee_flexion"] < 15).all("side"))
    standing, bottom, _ = moments_of(demo, repetitions=after)
    assert standing.title == STANDING
    assert standing.time > end > bottom.time
    assert standing.caption == STANDING
    never = after.assign(standing=xr.zeros_like(after["standing"]))
    assert moments_of(demo, repetitions=never)[0].title == "Start"


def test_the_main_finding_has_a_picture_and_no_frame_has_two(demo) -> None:
    metrics = demo.metrics()
    metrics["trunk_tibia_difference"] = metrics["trunk_tibia_difference"] + 60
    main = main_finding(find(metrics))
    assert {each.rule for each in main} == {"trunk_leans_forward"}
    _, bottom, way = moments_of(demo, main, metrics=metrics)
    assert (bottom.title, bottom.angle) == ("Bottom, main finding", "trunk_tibia_difference")
    assert bottom.number.value == pytest.approx(main[0].value)
    assert way.title == "On the way up"
    metrics = demo.metrics()
    metrics["knee_flexion"] = metrics["knee_flexion"] - 50
    main = [each for each in find(metrics) if each.rule == "knee_flexion_limited"]
    _, bottom, _ = moments_of(demo, main, metrics=metrics)
    assert (bottom.title, bottom.angle) == ("Bottom, main finding", "knee_flexion")
    assert bottom.number.side in {each.side for each in main}
    titles = set()
    for finding in find(demo.metrics()):  # every one has a picture, or nothing to draw
        moments = moments_of(demo, [finding])
        assert len({each.time for each in moments}) == 3, finding.rule
        assert {each.angle for each in moments} <= {*DRAWN, "knees", "dowel", ""}, finding.rule
        titles |= {each.title for each in moments}
    assert titles == {STANDING, "Bottom", "Bottom, main finding", "On the way up"}


def test_a_picture_whose_number_is_refused_says_so(demo) -> None:
    refused = demo.angles()
    refused["knee_flexion"] = refused["knee_flexion"] * np.nan
    up = moments_of(demo, angles=refused)[-1]
    assert up.caption == (
        f"{up.title}: {up.number.side} knee flexion could not be measured well enough"
    )
    assert replace(up, label="", number=Number()).caption == up.title


@pytest.mark.parametrize(("near", "far"), [("left", "right"), ("right", "left")])
def test_pictures_are_of_the_leg_that_the_camera_sees_or_that_is_surer(demo, near, far) -> None:
    """Whatever the main finding is, and though the other leg's angle may fit the picture."""
    metrics = demo.metrics()
    sided = {name for name, each in metrics.data_vars.items() if "side" in each.dims}
    low = metrics.assign(knee_flexion=metrics["knee_flexion"] - 50)
    hidden = low.assign({name: low[name].where(low["side"] == near) for name in sided})
    hidden = hidden.assign_attrs(hidden_side=far)
    main = main_finding(find(hidden))
    assert {each.side for each in main} == {near}
    for findings in ([], main):
        assert {each.number.side for each in moments_of(demo, findings, metrics=hidden)[1:]} == {
            near
        }
    for name in ("knee_flexion_sd", "thigh_elevation_sd"):
        low[name] = xr.where(low["side"] == near, 3.0, 6.0)
    main = [each for each in find(low) if each.rule == "knee_flexion_limited"]
    assert len(main) == 2
    for findings in ([], main, main[::-1]):
        assert {each.number.side for each in moments_of(demo, findings, metrics=low)[1:]} == {near}
