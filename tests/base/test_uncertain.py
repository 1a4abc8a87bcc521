"""Names of the variables that hold errors."""

from __future__ import annotations

import numpy as np
import xarray as xr

from mobility.base.uncertain import (
    is_error,
    is_sd,
    name_of_value,
    sd_beside,
    sd_name,
    sem_name,
)


def test_a_name_of_an_error_is_taken_apart_as_it_was_put_together() -> None:
    sd, sem = sd_name("knee_flexion"), sem_name("knee_flexion")
    assert (sd, sem) == ("knee_flexion_sd", "knee_flexion_sem")
    names = [name_of_value(each) for each in (sd, sem, "knee_flexion", "sd")]
    assert names == ["knee_flexion", "knee_flexion", "knee_flexion", "sd"]
    assert [is_sd(each) for each in (sd, sem, "sd", "knee_sdx")] == [True, False, False, False]
    assert [is_error(each) for each in (sd, sem, "knee_flexion")] == [True, True, False]


def test_the_error_of_a_variable_without_one_is_unknown() -> None:
    dataset = xr.Dataset(
        {"a": ("time", [1, 2]), "a_sd": ("time", [0.1, 0.2]), "b": ("time", [3, 4])}
    )
    assert sd_beside(dataset, "a").values.tolist() == [0.1, 0.2]
    assert sd_beside(dataset, "b").dims == ("time",)
    assert np.isnan(sd_beside(dataset, "b")).all()
