"""benchmarks/real.py on errors that are known, and on one clip of a person who stands straight."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml
from scipy import stats

from mobility.lab.lab_files import read_lab

TIME = np.arange(200) / 20
KNEE = np.concatenate([np.full(80, 5.0), np.linspace(5.0, 105.0, 80), np.full(40, 105.0)])


@pytest.fixture(scope="module")
def real(program) -> ModuleType:
    return program("real")


def angles(knee: np.ndarray, lean: np.ndarray, time: np.ndarray = TIME) -> xr.Dataset:
    return xr.Dataset(
        {
            "knee_flexion": (("time", "side"), np.stack([knee, knee], axis=-1)),
            "trunk_lean": (("time",), lean),
        },
        coords={"time": time, "side": ["left", "right"]},
    )


def with_sd(values: xr.Dataset, **sd: np.ndarray | float) -> xr.Dataset:
    stated = {f"{name}_sd": xr.full_like(values[name], 1.0) * value for name, value in sd.items()}
    return values.assign(stated).assign_attrs(largest={"knee_flexion": 15.0, "trunk_lean": 10.0})


def table(rows: list[dict]) -> pd.DataFrame:
    return pd.DataFrame(rows).set_index(["angle", "posture"])


def test_known_errors_give_the_known_table(real: ModuleType) -> None:
    truth = angles(KNEE, np.zeros(TIME.size))
    off = np.where(KNEE < 15, 4.0, np.where(KNEE > 0.9 * 105, -6.0, 0.0))
    filmed = with_sd(angles(KNEE + off, np.full(TIME.size, 3.0)), knee_flexion=2.5, trunk_lean=12.0)
    rows = table(real.compared(filmed, truth))
    standing, bottom = rows.loc[("knee_flexion", "standing")], rows.loc[("knee_flexion", "bottom")]
    assert (standing["mae"], standing["bias"], standing["median"]) == (4.0, 4.0, 4.0)
    assert (bottom["mae"], bottom["bias"]) == (6.0, -6.0)
    # 1.96 times 2.5 is 4.9: more than 4, less than 6.
    assert (standing["given"], standing["within"], bottom["within"]) == (1.0, 1.0, 0.0)
    assert rows.loc[("knee_flexion", "half-way"), "mae"] == 0.0
    whole = rows.loc[("knee_flexion", "all")]
    assert whole["values"] == 2 * TIME.size
    assert whole["bias"] == pytest.approx(off.mean())
    # Refused, for 12 is more than 10; the error is told all the same.
    trunk = rows.loc[("trunk_lean", "all")]
    assert (trunk["mae"], trunk["given"]) == (3.0, 0.0)
    assert np.isnan(trunk["within"])


def person(real: ModuleType, off: Any, sd: float = 1.0, largest: float = np.inf) -> Any:
    """Errors of a person, and what is stated of them."""
    return real.errors_as_stated(np.atleast_1d(np.asarray(off, float)), sd, largest)


def test_errors_that_are_given_by_a_factor(real: ModuleType) -> None:
    off, sd = np.array([-3.92, 1.0, np.nan, 2.0, 1.0]), np.array([1.0, 2.0, 1.0, np.nan, 0.0])
    one = real.errors_as_stated(off, sd, 6.0)
    np.testing.assert_allclose(one.off, [-3.92, 1.0])  # without a spread there is no factor
    np.testing.assert_allclose(one.given(2.0)[1], [4.0, 16.0])
    np.testing.assert_allclose(one.given(4.0)[0], [-3.92])  # the other is refused
    assert (real.within(one, 1.9), real.within(one, 2.01)) == (0.5, 1.0)
    # With 3 beside it, 4 times the sd is an sd of 5; and nothing is given of which that is above 5.
    beside = real.errors_as_stated(np.array([9.8, 1.0]), np.ones(2), 5.0, np.array([3.0, 9.0]))
    np.testing.assert_allclose(beside.given(4.0), [[9.8], [25.0]])
    assert real.square(beside, 4.0) == pytest.approx(9.8**2 / 25)
    assert np.isnan(real.square(beside, 5.0))


def test_the_factor_is_the_root_mean_square_of_people_who_count_once(real: ModuleType) -> None:
    def factor(*off: Any, **how: Any) -> float:
        return real.factor([], [person(real, each) for each in off], **how)

    many = [1.0, -1.0] * 100
    assert factor(*many) == pytest.approx(1.0, abs=0.021)
    assert factor(*(2.0 * each for each in many)) == pytest.approx(2.0, abs=0.041)
    assert factor(*(0.5 * each for each in many)) == pytest.approx(0.5, abs=0.021)
    # Who was filmed for longer does not weigh more.
    assert factor(*many, np.full(100_000, 2.0)) == pytest.approx(factor(*many, 2.0))
    # Of few it is drawn to that of the kind that it is like, and larger by what one more may err.
    assert factor(*many[:8], like=2.0) == pytest.approx((9 / 8) ** (4 / 9) * 2 ** (1 / 9), abs=0.02)
    assert factor(like=1.4) == pytest.approx(1.4)


def test_a_factor_is_smaller_only_where_enough_were_tested(real: ModuleType) -> None:
    small = [person(real, each) for each in [0.4, -0.4] * 6]
    assert real.factor([], small) < 0.5
    assert real.factor([], small[:7]) == 1.0
    assert real.factor([], small[:7], like=0.7) == 0.7
    # Real people alone, chosen because they stand straight, do not show it, nor do they lower it.
    assert real.factor(small) == 1.0
    wide = [person(real, each) for each in [0.9, -0.9] * 6]
    for both in ((small, wide), (wide, small)):
        assert real.factor(*both) == pytest.approx(0.9, abs=0.05)
    # One of them who is far off contradicts: with that factor 1.645 sd reach to his error.
    assert real.factor([person(real, 1.645)], small) == pytest.approx(1.0, abs=0.021)
    # Of differences, people whose sides differ were among them, and do not contradict.
    assert real.factor([], small, differing=[]) == 1.0
    assert real.factor([], small, differing=small[:1]) < 0.5
    assert real.factor([], small, differing=[person(real, 1.4)]) == pytest.approx(0.86, abs=0.02)


@pytest.mark.parametrize("people", [8, 12, 20, 40])
@pytest.mark.parametrize("sd", [0.5, 1.0, 1.5])
def test_of_others_about_95_percent_lie_within(real: ModuleType, people: int, sd: float) -> None:
    rng = np.random.default_rng(1)
    shares = [
        stats.chi2.cdf((1.96 * real.factor([], drawn) / sd) ** 2, 1)
        for off in sd * rng.standard_normal((1000 // people, people))
        if (drawn := [person(real, each) for each in off])
    ]
    assert 0.90 < np.mean(shares) < 0.98


def test_factors_are_written_into_the_table(real: ModuleType) -> None:
    rng = np.random.default_rng(3)

    def clips(scale: float) -> list[Any]:
        return [person(real, scale * each) for each in rng.standard_normal((30, 1))]

    asked = {
        ("oblique", "knee_flexion"): {real.RENDERED: clips(0.6)},
        ("oblique", "hip_flexion"): {real.RENDERED: clips(2.0)},
        ("front", "knee_flexion"): {real.RENDERED: clips(2.0), "p1": clips(1.0)[:2]},
        ("not_standing", "hip_flexion"): {"p1": clips(0.1)[:2]},
        ("metrics", "toe_out"): {real.RENDERED: clips(0.7)},
    }
    table = real.factors(asked)
    found = table.set_index(["kind", "name"])["factor"]
    before = real.TABLE.read_text(encoding="utf-8")
    after = yaml.safe_load(real.with_factors(before, table))
    assert set(after["fitted"]) == {"front", "oblique", "not_standing"}
    for kind, entry in after["fitted"].items():
        assert entry["angles"] == found[kind].to_dict()
    # Of frames none is below 1, and what one person shows is no less than what the kind that it
    # is like has.
    assert found["oblique", "knee_flexion"] == 1.0
    assert found["not_standing", "hip_flexion"] == found["oblique", "hip_flexion"] > 1.5
    assert "30 rendered clips" in after["fitted"]["oblique"]["source"]
    assert after["metrics"]["factors"]["toe_out"] == found["metrics", "toe_out"] < 1
    assert after["metrics"]["factors"]["heel_rise"] == 1.0
    unchanged = yaml.safe_load(before)
    for part in ("kinds", "pose_models", "landmarks", "legs_unseen", "arms_along_sight"):
        assert after[part] == unchanged[part]
    assert after["metrics"]["with_value"] == unchanged["metrics"]["with_value"]


@pytest.mark.slow
def test_references_of_the_filmed_squats(real: ModuleType, shared_data: Path) -> None:
    entry = real.known()["clips"]["opencap_s4_squats1_phone"]
    truth = real.of_model(shared_data / entry["markers"], shared_data / entry["feet"])
    late = truth.assign_coords(time=truth["time"] + 0.11)
    again = table(real.compared(late, real.at_frames(truth, late, "markers")))
    assert again["mae"].max() < 0.05
    # A knee that is so near says that times, axes and names of the other model were read rightly.
    theirs = real.of_model(shared_data / entry["monocular"])
    rows = table(real.compared(theirs, real.at_frames(truth, theirs, "markers")))
    assert 3.3 < rows.loc[("knee_flexion", "all"), "mae"] < 4.0
    assert 2.8 < rows.loc[("ankle_dorsiflexion", "all"), "mae"] < 4.0


@pytest.mark.slow
def test_hip_and_trunk_of_the_filmed_squats(
    real: ModuleType, shared_data: Path, opencap_pose: xr.Dataset
) -> None:
    entry = real.known()["clips"]["opencap_s4_squats1_phone"]
    truth = real.of_model(shared_data / entry["markers"], shared_data / entry["feet"])
    clip = real.Clip("squats", "squats", "woman", opencap_pose, {"markers": truth})
    rows = real.measured(clip, {real.FIT: {"draws": 8}}, others=False)
    mae = rows[rows["posture"] == "all"].set_index("angle")["mae"]
    assert mae["hip_flexion"] < 4.4
    assert mae["trunk_lean"] < 2.2


def test_what_two_phones_found_of_squats(real: ModuleType, shared_data: Path) -> None:
    truth = real.of_opencap(shared_data / "lab/cmbbe/squats.trc")
    model = read_lab(shared_data / "lab/cmbbe/squats.mot")
    # Ours is the angle in space between the centres, theirs one of a model driven by them.
    for angle, most in (("knee_flexion", 5.0), ("trunk_lean", 8.0)):
        rows = table(real.compared(model[[angle]].interp(time=truth["time"]), truth[[angle]]))
        assert rows.loc[(angle, "all"), "mae"] < most
    chair = real.of_opencap(shared_data / "lab/landmarks/chair_rises_oblique_opencap.csv")
    knee = chair["knee_flexion"].sel(side="left").to_numpy()
    rises = chair["time"].to_numpy()[1:][(knee[:-1] > 45) & (knee[1:] <= 45)]
    np.testing.assert_allclose(rises, [5.12, 9.2, 13.62, 17.92, 22.22], atol=0.05)


def test_the_compact_table_has_a_line_for_each_clip(real: ModuleType) -> None:
    truth = angles(KNEE, np.zeros(TIME.size))
    found = with_sd(angles(KNEE + 4.0, np.full(TIME.size, 3.0)), knee_flexion=2.5, trunk_lean=9.0)
    errors = pd.DataFrame(real.compared(found, truth)).assign(clip="squats", reference="markers")
    (line,) = real.compact_table(errors).to_dict("records")
    assert line["knee flexion"] == "4.0 +4.0 (+4/+4) 100% ±5"
    assert line["trunk lean"] == "3.0 +3.0 (+3/+3) 100% ±18"


@pytest.mark.slow
@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_a_man_who_stands_straight(real: ModuleType, shared_data: Path, tmp_path: Path) -> None:
    (clip,) = real.clips(shared_data, tmp_path, ["side_squats_hands_at_chest"])
    errors = real.measured(clip, {real.FIT: {}})
    knee = errors[(errors["angle"] == "knee_flexion") & (errors["posture"] == "all")]
    knee = knee.set_index(["method", "reference"])
    for reference in ("standing", "picture"):
        assert knee.loc[(real.FIT, reference), "mae"] < 8.0
        assert 0.9 < knee.loc[(real.FIT, reference), "given"] <= 1.0
    # The picture is not compared with itself, and of the far leg it says nothing.
    assert (real.PICTURE, "picture") not in knee.index
    assert knee.loc[(real.FIT, "picture"), "values"] <= clip.pose.sizes["time"]
    text = real.document(errors, None)
    assert "side_squats_hands_at_chest" in text
    assert "standing straight, knee flexion" in text
    of_clip = real.of_angles(clip, real.body_of(clip.pose))
    assert set(of_clip) == {("from_the_side", name) for name in ("knee_flexion", "hip_flexion")}
    # Fitted again without being told that he stands.
    asked = real.asked_by([clip], [], shared_data)
    kinds = {("not_standing", name) for _, name in of_clip} | set(of_clip)
    assert set(asked) == kinds
