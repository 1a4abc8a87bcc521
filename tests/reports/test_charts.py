"""Charts of a page: what stands in the SVG, read from its elements."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import xarray as xr

from mobility import plot
from mobility.plotting.axes import COLOURS
from mobility.reports.charts import Chart

BOX = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def angles() -> xr.Dataset:
    """A ramp from 0 to 100 degrees over 10 s, with a gap on the left."""
    time = np.linspace(0, 10, 101)
    values = np.stack([10 * time, 10 * time])
    values[0, 40:50] = np.nan
    name = {"units": "degree", "long_name": "knee <flexion>"}
    return xr.Dataset(
        {
            "knee_flexion": (("side", "time"), values, name),
            "knee_flexion_sd": (("side", "time"), np.full_like(values, 2.0)),
        },
        coords={"time": time, "side": ["left", "right"]},
    )


def paths(chart: Chart, **wanted: str) -> list[np.ndarray]:
    """Points of the paths with these attributes."""
    root = ElementTree.fromstring(chart.svg())
    return [
        np.array(re.findall(r"[-\d.]+", path.get("d", "")), float).reshape(-1, 2)
        for path in root.iter(f"{BOX}path")
        if all(path.get(name) == value for name, value in wanted.items())
    ]


def test_a_curve_runs_through_its_values_and_breaks_where_there_is_none(angles: Any) -> None:
    chart = Chart()
    plot.curves(angles, "knee_flexion", ax=chart, legend=False)
    (right,) = paths(chart, stroke=COLOURS["right"])
    assert len(right) == 101
    slopes = np.diff(right[:, 1]) / np.diff(right[:, 0])
    np.testing.assert_allclose(slopes, slopes.mean(), atol=0.05)
    assert right[-1, 1] < right[0, 1]  # up
    assert chart.svg().count(f'stroke="{COLOURS["left"]}"') == 1
    (left,) = paths(chart, stroke=COLOURS["left"])
    assert np.diff(left[:, 0]).max() == pytest.approx(11 * np.diff(right[:, 0]).mean(), abs=0.2)
    assert "stroke-dasharray" in chart.svg()  # told apart in grey too


def test_a_band_reaches_1_96_standard_deviations_to_both_sides(angles: Any) -> None:
    chart = Chart()
    plot.curves(angles, "knee_flexion", ax=chart, legend=False)
    (curve,) = paths(chart, stroke=COLOURS["right"])
    (band,) = paths(chart, fill=COLOURS["right"])
    degrees = 100 / (curve[0, 1] - curve[-1, 1])
    at_start = band[band[:, 0] == band[0, 0], 1]
    assert np.ptp(at_start) * degrees == pytest.approx(2 * 1.96 * 2.0, abs=0.1)


def test_an_empty_chart_says_why(angles: Any) -> None:
    chart = Chart()
    none = angles["knee_flexion"] * np.nan
    refused = angles.assign(knee_flexion=none.assign_attrs(refused="too <uncertain>"))
    plot.curves(refused, "knee_flexion", ax=chart, legend=False)
    assert "too &lt;uncertain&gt;" in chart.svg()
    assert not paths(chart, stroke=COLOURS["left"])
