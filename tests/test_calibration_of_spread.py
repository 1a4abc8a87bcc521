"""scripts/calibrate_spread.py on errors and spreads that are known."""

from __future__ import annotations

import importlib
import itertools
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import xarray as xr

from mobility import tables
from mobility.kinematics.skeleton import KEYPOINTS

pytestmark = pytest.mark.slow


@pytest.fixture
def script(project, monkeypatch) -> ModuleType:
    """The module scripts/calibrate_spread.py."""
    monkeypatch.syspath_prepend(str(project / "scripts"))
    return importlib.import_module("calibrate_spread")


def clips(
    script: ModuleType,
    sizes: list[np.ndarray],
    *,
    of: str,
    cosine: float = 0.7,
    posture: float | np.ndarray = 45.0,
) -> Any:
    """Clips with these errors of an angle, in standard deviations."""
    return [
        script.Ratios({of: size}, {of: np.broadcast_to(posture, size.shape)}, cosine)
        for size in sizes
    ]


def test_the_factor_holds_95_percent_of_the_errors(script, capsys) -> None:
    rng = np.random.default_rng(5)
    sizes = [abs(1.7 * rng.standard_normal(400)) for _ in range(40)]
    found = script.factors(clips(script, sizes, of="knee_flexion"), "knee_flexion")
    assert found.views == [pytest.approx(1.7, abs=0.05)]
    assert set(found.postures) == {1.0}
    assert "within 1.96 sd: 95 %" in capsys.readouterr().out


def test_what_was_refused_counts_for_nothing_and_each_clip_alike(script) -> None:
    short, long = np.full(10, 3.92), np.full(1000, 1.96)
    refused = np.full(20, np.nan)
    (one, other, none) = clips(
        script, [np.concatenate([short, refused]), long, refused], of="elbow_flexion"
    )
    # Of two clips the worse one is half; of twenty one is the last twentieth.
    for found, factor in (([one, other], 2.0), ([one] + [other] * 24, 1.0), ([none, other], 1.0)):
        assert script.factors(found, "elbow_flexion").views == [factor]


def test_the_floor_is_one_of_the_product(script, capsys) -> None:
    """The factors are as they are found; the table says how far their product goes down."""
    found = clips(script, [np.full(50, 0.98)], of="trunk_lean")
    for least, share in ((0.6, "100"), (0.4, "0")):
        assert script.factors(found, "trunk_lean", least=least).views == [0.5]
        assert f"within 1.96 sd: {share} %" in capsys.readouterr().out
        assert script.entry(found, least=least)["least"] == least


def test_each_direction_has_the_factor_of_the_clips_near_it(script) -> None:
    rng = np.random.default_rng(6)
    wide = {-1.0: 2.0, -0.7: 1.5, 0.0: 0.8, 0.7: 1.1, 1.0: 1.3}
    found = [
        one
        for cosine, spread in wide.items()
        for one in clips(
            script,
            [abs(spread * rng.standard_normal(300)) for _ in range(30)],
            of="trunk_lean",
            cosine=cosine,
        )
    ]
    factors = script.factors(found, "trunk_lean", list(script.COSINES)).views
    assert len(factors) == len(script.COSINES) == len(wide)
    # Neighbours at 0.3 count with a third, those at 0.7 not at all.
    for factor, spread in zip(factors, wide.values(), strict=True):
        assert factor == pytest.approx(spread, abs=0.17)
    assert factors[2] == pytest.approx(0.8, abs=0.05)
    # A clip whose view is not known is of none of them.
    unknown = clips(script, [np.full(300, 9.0)], of="trunk_lean", cosine=np.nan)
    again = script.factors([*found, *unknown], "trunk_lean", list(script.COSINES)).views
    assert again == factors


@pytest.mark.parametrize(("name", "by"), [("hip_flexion", "knee"), ("elbow_flexion", "elbow")])
def test_each_posture_and_direction_holds_95_percent(script, name, by) -> None:
    at = script.POSTURES[f"{by}_flexion"]
    wide = dict(zip(script.COSINES, [1.6, 1.2, 0.9, 1.1, 1.4], strict=True))
    deep = np.linspace(0.7, 1.5, len(at))
    rng = np.random.default_rng(7)
    posture = rng.uniform(0, at[-1] + 20, 900)
    found = [
        one
        for cosine, view in wide.items()
        for one in clips(
            script,
            [
                abs(view * np.interp(posture, at, deep) * rng.standard_normal(900))
                for _ in range(30)
            ],
            of=name,
            cosine=cosine,
            posture=posture,
        )
    ]
    factors = script.factors(found, name, list(script.COSINES))
    np.testing.assert_allclose(factors.postures, deep / np.exp(np.log(deep).mean()), rtol=0.06)
    bands = [0, *(np.add(at[1:], at[:-1]) / 2), at[-1] + 20]
    spread = np.interp(posture, at, factors.postures)
    of_view = {one.cosine: factors.views[script.COSINES.index(one.cosine)] for one in found}
    for low, high in itertools.pairwise(bands):
        rows = (posture >= low) & (posture < high)
        held = [one.of[name][rows] < 1.96 * of_view[one.cosine] * spread[rows] for one in found]
        assert np.mean(held) == pytest.approx(0.95, abs=0.015)
    entry = script.entry(found, list(script.COSINES))
    assert entry["angles"] == {name: factors.views}
    assert entry["postures"][f"{by}_flexion"] == {"at": at, "factors": {name: factors.postures}}
    assert entry["postures"][f"{by}_flexion"]["at"] is not at  # YAML would make it an anchor


def test_ratios_do_not_depend_on_the_factors_that_hold(script, opencap_pose, monkeypatch) -> None:
    """The draws are spread by the table; what is compared with the errors are the draws as such."""
    pose = opencap_pose.isel(time=slice(0, 120))
    points = pose["position"].isel(individual=0, drop=True).sel(keypoint=list(KEYPOINTS))
    truth = xr.Dataset({"position": points.transpose("time", "keypoint", "space")})
    before = script.ratios([pose], truth)
    table = tables.load("angle_spread")
    doubled = {
        **table,
        "one_camera": {
            **table["one_camera"],
            "least": 1.3,
            "angles": {
                name: [2 * f for f in factors]
                for name, factors in table["one_camera"]["angles"].items()
            },
            "postures": {
                by: {
                    "at": posture["at"],
                    "factors": {n: [f * f for f in fs] for n, fs in posture["factors"].items()},
                }
                for by, posture in table["one_camera"]["postures"].items()
            },
        },
    }
    load = tables.load
    monkeypatch.setattr(
        tables, "load", lambda name: doubled if name == "angle_spread" else load(name)
    )
    after = script.ratios([pose], truth)
    assert np.isfinite(before.of["knee_flexion"]).any()
    for name, size in before.of.items():
        np.testing.assert_allclose(after.of[name], size, rtol=1e-9, equal_nan=True)
    assert set(before.posture) == set(before.of)
    knee, elbow = before.posture["hip_flexion"], before.posture["elbow_flexion"]
    np.testing.assert_array_equal(knee, before.posture["knee_flexion"])
    assert np.nanmax(abs(knee - elbow)) > 30
    # This subject is seen obliquely from the front.
    assert 0.4 < before.cosine == after.cosine < 0.95


def test_without_a_cache_nothing_is_calibrated(script, monkeypatch, capsys) -> None:
    def written(*_: Any) -> None:
        raise AssertionError("a table was written")

    monkeypatch.setattr(script.calibration, "write", written)
    monkeypatch.setattr("sys.argv", ["calibrate_spread.py"])
    with pytest.raises(SystemExit):
        script.main()
    assert "give a CACHE, or that of --pairs, or both" in capsys.readouterr().err
