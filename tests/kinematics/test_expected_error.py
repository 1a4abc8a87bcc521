from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from mobility import tables
from mobility.errors import BadInputError
from mobility.kinematics.expected_error import (
    TABLE,
    VIEWS,
    does_not_hold,
    view_kind,
    view_of_azimuth,
    virtual_lab_error,
)
from mobility.provenance import with_history


def test_the_table_has_every_angle_in_every_view() -> None:
    for angle in tables.load("angles"):
        for view in (*VIEWS, "all"):
            for deep in (False, True):
                error = virtual_lab_error(angle, view, deep=deep)
                assert error is not None, (angle, view)
                assert error.widening >= 1
                if error.clips < 2:
                    assert np.isnan(error.sd)
                else:
                    assert 0 < error.sd < 60
                    assert abs(error.bias) < 60
                    assert 0 <= error.coverage <= 1


def test_figures_are_those_of_the_table() -> None:
    entry = tables.load(TABLE)["views"]["side"]["angles"]["knee_flexion"]
    error = virtual_lab_error("knee_flexion", "side", deep=True)
    assert error is not None
    wider = tables.load(TABLE)["widening"]["knee_flexion"]["factor"]
    assert (error.bias, error.sd) == (entry["deep"]["bias"], wider * entry["deep"]["sd"])
    whole = virtual_lab_error("knee_flexion", "side, from the left")
    assert whole is not None
    assert (whole.bias, whole.clips) == (entry["bias"], entry["clips"])
    assert whole.sd == wider * entry["sd"]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("front oblique, from the right", "front-oblique"),
        ("front-oblique left", "front-oblique"),
        ("left", "side"),
        ("back", "back"),
        ("all", "all"),
        ("two-cameras", "two-cameras"),
    ],
)
def test_views_are_known_by_the_names_that_recordings_have(name: str, kind: str) -> None:
    assert view_kind(name) == kind


def test_views_are_those_of_recordings() -> None:
    assert list(VIEWS) == list(tables.load("view_support")["views"])


@pytest.mark.parametrize(
    ("azimuth", "view"), [(-15, "front"), (300, "front-oblique"), (91, "side")]
)
def test_view_of_an_azimuth(azimuth: float, view: str) -> None:
    assert view_of_azimuth(azimuth) == view


def test_unknown_names() -> None:
    with pytest.raises(BadInputError, match="did you mean 'knee_flexion'"):
        virtual_lab_error("knee_flexon", "front")
    with pytest.raises(BadInputError, match="no view 'above'"):
        virtual_lab_error("knee_flexion", "above")


def test_the_table_does_not_hold_for_another_model_or_method() -> None:
    made_for = tables.load(TABLE)["holds_for"]
    attrs = {"method": made_for["fit_method"], "model_sha256": made_for["pose_model_sha256"]}
    pose = xr.Dataset({"position": ("time", np.zeros(1))}, attrs=attrs)
    assert does_not_hold(pose) is None
    assert "another pose model" in str(does_not_hold(pose.assign_attrs(model_sha256="0" * 64)))
    assert "'mediapipe_world'" in str(does_not_hold(pose.assign_attrs(method="mediapipe_world")))


def test_the_table_is_that_of_the_pinned_model() -> None:
    pinned = tables.load("pose_model")["full"]["bundle"]["sha256"]
    assert tables.load(TABLE)["holds_for"]["pose_model_sha256"] == pinned


def test_the_table_does_not_hold_for_several_cameras() -> None:
    made_for = tables.load(TABLE)["holds_for"]
    attrs = {"method": made_for["fit_method"], "model_sha256": made_for["pose_model_sha256"]}
    pose = with_history(xr.Dataset(attrs=attrs), "fit_body", {}, cameras=[{}, {}])
    assert "this trial has several" in str(does_not_hold(pose))
    assert does_not_hold(pose, view="two-cameras") is None
    other = pose.assign_attrs(method="mediapipe_world")
    assert "'mediapipe_world'" in str(does_not_hold(other, view="two-cameras"))


def test_the_table_of_angles_has_no_figures_of_two_cameras() -> None:
    assert virtual_lab_error("knee_flexion", "two-cameras") is None
