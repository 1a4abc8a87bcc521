"""Indices against figures that were computed by hand, and what they may not do."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import xarray as xr
from hand_made import metrics_of
from hypothesis import given, settings
from hypothesis import strategies as st

from mobility import tables
from mobility.assessment.indices import (
    QUALITY_PARTS,
    mobility_index,
    mobility_index_of,
    quality_index,
    quality_index_of,
)
from mobility.errors import BadInputError
from mobility.provenance import history

R = (120.0, 120.0, 30.0)
NAN = float("nan")


def test_mobility_index_by_hand():
    # 100 / 3 (82 / 120 + 80.5 / 120 + 12 / 30) = 58.47
    index = mobility_index_of((82, 80.5, 12), R, sd=(8, 7, 8), draws=200_000, seed=0)
    assert index.value == pytest.approx(58.47, abs=0.005)
    assert index.sd == pytest.approx(8.8, abs=0.05)
    assert index.lower == pytest.approx(43.2, abs=0.1)
    assert index.upper == pytest.approx(76.5, abs=0.1)
    np.testing.assert_allclose(index.contribution, [22.778, 22.361, 13.333], atol=5e-4)
    assert mobility_index_of((80, 79, 9), R, sd=(8, 7, 8)).value == pytest.approx(54.17, abs=0.005)


def test_small_errors_give_the_error_that_a_first_order_expansion_gives():
    sd = np.array([0.8, 0.7, 0.8])
    index = mobility_index_of((82, 80.5, 12), R, sd=sd)
    exact = 100 / 3 * float(np.hypot.reduce(sd / R))
    assert index.sd == pytest.approx(exact, rel=0.02)
    assert index.upper - index.value == pytest.approx(1.96 * exact, rel=0.03)


def test_bias_moves_the_interval_and_not_the_value():
    plain = mobility_index_of((82, 80.5, 12), R, sd=(1, 1, 1))
    moved = mobility_index_of((82, 80.5, 12), R, sd=(1, 1, 1), bias=(12, 12, 3))
    assert moved.value == plain.value
    assert plain.lower - moved.lower == pytest.approx(10, abs=0.01)  # a tenth of each reference


def test_two_parts_of_three_are_enough_and_one_is_not():
    two = mobility_index_of((NAN, 60, 30), R, sd=(NAN, 1, 1))
    assert two.value == pytest.approx(75)
    assert two.coverage == pytest.approx(2 / 3)
    assert np.isfinite([two.lower, two.upper]).all()
    assert math.isnan(two.contribution[0])
    one = mobility_index_of((NAN, NAN, 30), R, sd=(NAN, NAN, 1))
    assert math.isnan(one.value)
    assert math.isnan(one.lower)
    assert one.coverage == pytest.approx(1 / 3)


def test_unknown_error_gives_a_value_without_interval():
    index = mobility_index_of((82, 80.5, 12), R, sd=(8, NAN, 8))
    assert index.value == pytest.approx(58.47, abs=0.005)
    assert np.isnan([index.sd, index.lower, index.upper]).all()


@given(st.lists(st.floats(-40, 200), min_size=3, max_size=3), st.integers(0, 2))
@settings(max_examples=40, deadline=None)
def test_index_stays_within_its_bounds_and_grows_with_each_angle(angles, which):
    index = mobility_index_of(angles, R, sd=(5, 5, 5), draws=200)
    assert 0 <= index.lower <= index.upper <= 100
    assert 0 <= index.value <= 100
    more = list(angles)
    more[which] += 10
    assert mobility_index_of(more, R, sd=(5, 5, 5), draws=2).value >= index.value
    assert float(np.sum(index.contribution)) == pytest.approx(index.value)


@pytest.mark.parametrize("references", [(120, 120), (120, 0, 30)])
def test_references_that_cannot_be_are_refused(references):
    with pytest.raises(BadInputError, match="mobility_index_of"):
        mobility_index_of((1, 2, 3), references, sd=(1, 1, 1))


def test_mobility_index_of_metrics_takes_the_mean_of_both_sides():
    metrics = metrics_of(
        {
            "hip_flexion": ((80.0, 84.0), (8.0, 8.0)),
            "knee_flexion": ((79.0, 82.0), (7.0, 7.0)),
            "ankle_dorsiflexion": ((9.0, 15.0), (8.0, 8.0)),
        }
    )
    before = metrics.copy(deep=True)
    found = mobility_index(metrics)
    xr.testing.assert_identical(metrics, before)
    assert float(found["mobility_index"]) == pytest.approx(58.47, abs=0.005)
    assert float(found["mobility_index_worse_side"]) == pytest.approx(54.17, abs=0.005)
    interval = found["mobility_index_interval"]
    assert interval.sel(bound="lower") == pytest.approx(43.2, abs=0.3)
    assert interval.sel(bound="upper") == pytest.approx(76.5, abs=0.3)
    assert float(found["mobility_index_coverage"]) == 1
    by_hand = 100 * (
        (found["mobility_index_part_score"] * found["mobility_index_part_weight"]).sum()
        / found["mobility_index_part_weight"].sum()
    )
    assert float(found["mobility_index"]) == pytest.approx(float(by_hand))
    attrs = found["mobility_index"].attrs
    assert attrs["version"] == "0"
    assert set(json.loads(attrs["references"])) == set(found["mobility_part"].values)
    assert history(found)[-1]["operation"] == "mobility_index"


def test_index_with_the_arms_is_another_version():
    found = mobility_index(metrics_of(), version="mobility_index_overhead")
    assert found.sizes["mobility_part"] == 4
    assert found["mobility_index"].attrs["version"] == "1-overhead"
    low = mobility_index(
        metrics_of({"shoulder_flexion": ((83.35, 83.35), (5.0, 5.0))}),
        version="mobility_index_overhead",
    )
    assert float(low["mobility_index"]) == pytest.approx(87.5)  # half of one part of four


def test_one_refused_side_is_not_replaced_by_the_other():
    one = {"ankle_dorsiflexion": ((30.0, NAN), (4.0, NAN))}
    for view in (None, "front", "right"):
        found = mobility_index(metrics_of(one), view=view)
        assert float(found["mobility_index_coverage"]) == pytest.approx(2 / 3)
        notes = json.loads(found["mobility_index"].attrs["notes"])
        assert notes["ankle_dorsiflexion"].startswith("refused: the right side is missing")


def test_near_side_of_a_camera_at_the_side_stands_for_the_subject_and_says_so():
    one = {"ankle_dorsiflexion": ((15.0, NAN), (4.0, NAN))}
    found = mobility_index(metrics_of(one), view="left")
    assert float(found["mobility_index"]) == pytest.approx(100 * (1 + 1 + 0.5) / 3)
    assert "near" in found["mobility_index"].attrs["note"]


def test_suppressed_index_says_why():
    nothing = ((NAN, NAN), (NAN, NAN))
    metrics = metrics_of({"hip_flexion": nothing, "knee_flexion": nothing})
    metrics["hip_flexion"].attrs["note"] = "refused: the hip was hidden"
    found = mobility_index(metrics)
    assert math.isnan(float(found["mobility_index"]))
    assert found["mobility_index"].attrs["note"].startswith("refused: only 0.33 of the weights")
    assert "the hip was hidden" in found["mobility_index"].attrs["note"]


def test_quality_of_a_good_squat_is_100():
    found = quality_index(metrics_of())
    assert float(found["quality_index"]) == pytest.approx(100)
    assert float(found["quality_index_coverage"]) == pytest.approx(1)
    assert float(found["quality_index_part_weight"].sum()) == pytest.approx(1)


# x by hand, and q = (b - x) / (b - a).
FAULTS = {
    "forward_lean": ({"trunk_tibia_difference": (15.0, 4.0)}, 15, 0.5),
    "knees_in": ({"knee_ankle_separation_ratio": (0.935, 0.03)}, 0.15, 0.5),
    "heel_rise": ({"heel_rise": ((0.0, 8.0), (1.0, 1.0))}, 8, 0.5),
    "arm_fall": ({"arm_fall": (31.0, 5.0)}, 31, 0.4),
    "asymmetry": (
        {
            "hip_flexion_asymmetry": (-20.0, 3.0),
            "knee_flexion_asymmetry": (20.0, 3.0),
            "ankle_dorsiflexion_asymmetry": (-5.0, 3.0),
        },
        15,
        1 / 3,
    ),
    "pelvis_obliquity": ({"pelvis_obliquity": (-6.5, 1.5)}, 6.5, 0.5),
    "variability": ({"knee_flexion_variability": ((4.0, 6.0), (NAN, NAN))}, 5, 5 / 7),
    "smoothness": ({"smoothness_sparc": (-2.05, 0.05)}, 2.05, 0.5),
}


@pytest.mark.parametrize("part", FAULTS)
def test_each_fault_costs_its_share_by_hand(part):
    changed, x, q = FAULTS[part]
    found = quality_index(metrics_of(changed)).sel(quality_part=part)
    weight = tables.load("indices")["quality_index"]["parts"][part]["weight"]
    assert float(found["quality_index_part"]) == pytest.approx(x)
    assert float(found["quality_index_part_score"]) == pytest.approx(q)
    assert float(found["quality_index_contribution"]) == pytest.approx(100 * weight * q)
    assert float(found["quality_index"]) == pytest.approx(100 * (1 - weight * (1 - q)))


def test_every_part_of_the_table_has_a_formula_and_a_test():
    assert list(QUALITY_PARTS) == list(tables.load("indices")["quality_index"]["parts"])
    assert set(FAULTS) == set(QUALITY_PARTS)


def test_magnitudes_are_taken_of_signed_draws():
    # Were |x| itself drawn about 3, half of the draws would cost something; of a signed value of
    # -3 with an error of 1, hardly any is beyond the 6.5 that costs half of the part.
    found = quality_index_of({"pelvis_obliquity": [0.0]}, sd={"pelvis_obliquity": [3.0]},
                             smallest_coverage=0)  # fmt: skip
    beyond = np.abs(np.random.default_rng(1).normal(0, 3, 400_000))
    expected = 100 * np.clip((10 - beyond) / 7, 0, 1)
    assert found.value == 100
    assert found.sd == pytest.approx(float(expected.std()), rel=0.02)
    assert found.lower == pytest.approx(float(np.percentile(expected, 2.5)), abs=1)


def test_a_part_with_too_large_an_error_is_left_out_whatever_its_value():
    for value in (-40.0, 3.0, 40.0):
        found = quality_index(metrics_of({"trunk_tibia_difference": (value, 5.1)}))
        assert float(found["quality_index_coverage"]) == pytest.approx(0.8)
        notes = json.loads(found["quality_index"].attrs["notes"])
        assert notes["forward_lean"].startswith("left out: its error")
        one = found.sel(quality_part="forward_lean")
        assert math.isnan(float(one["quality_index_part_score"]))
        assert float(one["quality_index_part"]) == max(0.0, value)


@pytest.mark.parametrize("repetitions", [3, 5, 12])
def test_nobody_gains_by_varying_more(repetitions):
    def quality(spread):
        varied = {"knee_flexion_variability": ((spread, spread), (NAN, NAN))}
        data = metrics_of(varied).assign(accepted_repetitions=repetitions)
        found = quality_index(data)
        assert float(found["quality_index_coverage"]) == pytest.approx(1)
        return float(found["quality_index"])

    values = [quality(spread) for spread in (0.5, 3.0, 5.0, 7.0, 9.0, 15.0)]
    assert values[0] == values[1] == 100
    assert (np.diff(values[1:5]) < 0).all()
    assert values[-1] == pytest.approx(90)  # all of its weight of 0.10


def test_refused_measures_lower_the_coverage_until_the_index_is_suppressed():
    gone = {"arm_fall": (NAN, NAN), "trunk_tibia_difference": None}
    found = quality_index(metrics_of(gone))
    assert float(found["quality_index_coverage"]) == pytest.approx(0.65)
    assert float(found["quality_index"]) == pytest.approx(100)
    gone["knee_ankle_separation_ratio"] = (NAN, NAN)
    found = quality_index(metrics_of(gone))
    assert float(found["quality_index_coverage"]) == pytest.approx(0.45)
    assert float(found["quality_index"]) == pytest.approx(100)
    gone["knee_flexion_asymmetry"] = None
    found = quality_index(metrics_of(gone))
    assert float(found["quality_index_coverage"]) == pytest.approx(0.30)
    assert math.isnan(float(found["quality_index"]))
    assert "refused" in found["quality_index"].attrs["note"]


def test_capture_quality_is_no_part_of_the_quality_index():
    metrics = metrics_of()
    spoilt = metrics.assign_attrs(capture_quality="poor").assign(visibility=0.1)
    plain, same = quality_index(metrics), quality_index(spoilt)
    assert float(plain["quality_index"]) == float(same["quality_index"])


@given(st.floats(-60, 60), st.floats(0.1, 5))
@settings(max_examples=30, deadline=None)
def test_quality_stays_within_its_bounds(lean, sd):
    found = quality_index_of(
        {"forward_lean": [lean]}, sd={"forward_lean": [sd]}, smallest_coverage=0, draws=100
    )
    assert 0 <= found.lower <= found.upper <= 100
    assert found.value == pytest.approx(100 * min(max((25 - max(0, lean)) / 20, 0), 1))


def test_unknown_parts_and_options_are_refused():
    with pytest.raises(BadInputError, match="no part 'depth'"):
        quality_index_of({"depth": [1.0]}, sd={"depth": [1.0]})
    with pytest.raises(BadInputError, match="one sd and bias"):
        quality_index_of({"arm_fall": [1.0, 2.0]}, sd={"arm_fall": [1.0]})
    with pytest.raises(BadInputError, match="vieww"):
        mobility_index(metrics_of(), vieww="front")


def test_indices_go_through_a_file_unchanged(tmp_path):
    for dataset in (mobility_index(metrics_of()), quality_index(metrics_of({"arm_fall": None}))):
        dataset.to_netcdf(tmp_path / "index.nc", engine="h5netcdf")
        read = xr.load_dataset(tmp_path / "index.nc", engine="h5netcdf")
        xr.testing.assert_equal(read, dataset)
        assert read.attrs == dataset.attrs
        for name in dataset.data_vars:
            assert dict(read[name].attrs) == dict(dataset[name].attrs)
