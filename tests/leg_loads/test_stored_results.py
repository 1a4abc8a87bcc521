"""The loads that an analysis stores."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import mobility as mb
from mobility.assessment.exercise_stages import Trial
from mobility.base.provenance import history, last_of
from mobility.catalogue import registry
from mobility.leg_loads.dynamics import GRAVITY
from mobility.leg_loads.stored_results import loads
from mobility.sessions.stored_session import TITLE
from mobility.store import Store


def trial_of(fitted: xr.Dataset, repetitions: xr.Dataset, *, weight_kg: float | None) -> Trial:
    stored = {"fitted": fitted, "repetitions": repetitions}
    exercise = registry.exercise("squat")
    return Trial(exercise, (), True, None, None, None, None, stored.__getitem__, weight_kg)


@pytest.mark.parametrize("weight_kg", [None, 64.0])
def test_what_is_stored_is_what_the_function_gives(weight_kg: float | None) -> None:
    session = Store("absent").demo("Squat")
    fitted, repetitions = session.fitted(), session.repetitions()
    stored = loads(trial_of(fitted, repetitions, weight_kg=weight_kg))
    expected = mb.loads(fitted, repetitions=repetitions, weight_kg=weight_kg)
    xr.testing.assert_equal(stored, expected)
    assert ("knee_moment_nm" in stored) == (weight_kg is not None)


def test_an_analysis_stores_them_and_newton_metres_are_of_the_participant() -> None:
    session = Store("absent").demo("Squat")
    stored = session.loads()
    assert stored.attrs[TITLE].startswith("loads of ")
    xr.testing.assert_equal(stored, mb.loads(session.fitted(), repetitions=session.repetitions()))
    heavy = loads(trial_of(session.fitted(), session.repetitions(), weight_kg=80.0))
    ratio = (heavy["knee_moment_nm"] / stored["knee_moment"]).to_numpy()
    expected = GRAVITY * 80 * stored.attrs["height_m"]
    np.testing.assert_allclose(ratio[np.isfinite(ratio)], expected, rtol=1e-6)


def test_without_a_fitted_body_they_are_missing_for_a_reason() -> None:
    session = Store("absent").demo("Squat")
    cleaned = mb.clean_pose(session.pose())
    stored = loads(trial_of(cleaned, session.repetitions(), weight_kg=64.0))
    assert stored["weight_share"].isnull().all()
    assert stored["knee_moment_nm"].isnull().all()
    assert last_of(history(stored), "loads")["warnings"][0]["values"]["reason"]
