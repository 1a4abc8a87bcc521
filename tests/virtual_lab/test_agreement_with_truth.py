from __future__ import annotations

import numpy as np
import pytest
from lab_cases import measured

from mobility.errors import BadInputError
from mobility.virtual_lab.agreement_with_truth import agreement, is_bent
from mobility.virtual_lab.case import case_from


def test_bias_and_coverage_by_view_and_by_bend() -> None:
    result = agreement(
        {
            "a": measured(azimuth=0, error=4, sd=5),
            "b": measured(azimuth=10, error=-2, sd=5),
            "c": measured(azimuth=90, error=12, sd=5, bend=60),
        }
    )
    knee = result.sel(angle="knee_flexion", estimator="fitted", part="all")
    front = knee.sel(view="front", clips="all")
    assert front["bias"] == pytest.approx(1)
    assert front["mae"] == pytest.approx(3)
    assert front["rmse"] == pytest.approx(np.sqrt(10))
    assert front["sd"] == pytest.approx(np.sqrt(18), rel=0.01)
    assert front["coverage"] == 1
    assert front["clips_used"] == 2
    side = knee.sel(view="side", clips="bent")
    assert side["bias"] == pytest.approx(12)
    assert side["coverage"] == 0  # 12 > 1.96 * 5
    assert knee.sel(view="side", clips="straight")["clips_used"] == 0
    assert knee.sel(view="all", clips="all")["clips_used"] == 3
    assert result["case_bias"].sel(case="a", angle="knee_flexion", side="left", part="all") == (
        pytest.approx(4)
    )
    assert np.isnan(result["case_bias"].sel(angle="trunk_lean", side="left")).all()
    assert result["case_mae"].sel(case="c", angle="trunk_lean", side="middle", part="all") == (
        pytest.approx(12)
    )


def test_cases_of_any_standing_motion_are_compared_and_only_squats_have_a_depth() -> None:
    result = agreement(
        {
            "squat": measured(depth=40),
            "bar": measured(arms="bar"),
            "rise": measured(kind="sit-to-stand", error=2),
            "one": measured(kind="single-leg-squat", arms="hanging", bend=4),
        }
    )
    np.testing.assert_array_equal(result["depth"], [40, 55, np.nan, np.nan])
    # Hands at a bar and crossed arms bend the elbows.
    assert result["case_bent"].values.tolist() == [False, True, True, False]
    knee = {"angle": "knee_flexion", "side": "left", "part": "all", "estimator": "fitted"}
    assert result["case_bias"].sel(case="rise", **knee) == pytest.approx(2)
    with pytest.raises(BadInputError, match="its motion moves only one joint"):
        is_bent(case_from({"motion": {"movement": "elbow_flexion", "to": 90}}))


def test_refused_values_count_as_not_given() -> None:
    dataset = measured(error=3)
    refused = dataset["knee_flexion_refused"].copy()
    refused[:, :10] = True
    worse = dataset["knee_flexion"].where(~refused, 500.0)
    result = agreement({"a": dataset.assign(knee_flexion=worse, knee_flexion_refused=refused)})
    knee = result.sel(case="a", angle="knee_flexion", side="left", part="all", estimator="fitted")
    assert knee["case_given"] == pytest.approx(0.8)
    assert knee["case_bias"] == pytest.approx(3)
    assert knee["case_n"] == 40


def test_the_sign_of_the_pelvis_is_mirrored_with_the_view() -> None:
    both = agreement({"l": measured(azimuth=90, error=4), "r": measured(azimuth=-90, error=-4)})
    side = both.sel(view="side", clips="all", part="all", estimator="fitted")
    assert side["bias"].sel(angle="pelvis_obliquity") == pytest.approx(4)
    assert side["bias"].sel(angle="trunk_lean") == pytest.approx(0)


def test_cases_of_different_models_are_not_put_together() -> None:
    other = measured().assign_attrs(model_sha256="other")
    with pytest.raises(BadInputError, match="differs from the first case in model_sha256"):
        agreement({"a": measured(), "b": other})
    with pytest.raises(BadInputError, match="no measured cases"):
        agreement({})
