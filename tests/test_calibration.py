"""scripts/calibrate_fit.py on looks and pictures whose errors are known."""

from __future__ import annotations

import importlib.util
import os
import warnings
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import xarray as xr
import yaml

from mobility import tables
from mobility.kinematics import depth, fit
from mobility.kinematics.depth import calibrated, facing
from mobility.kinematics.skeleton import KEYPOINTS
from mobility.virtual_lab.case import case_from, perform_case, true_positions

SEGMENTS = ("trunk", "upper_arm", "forearm", "thigh", "shank")
WIDTH, HEIGHT = 240, 320

Look = tuple[np.ndarray, np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def script(project) -> ModuleType:
    """The module scripts/calibrate_fit.py."""
    path = project / "scripts" / "calibrate_fit.py"
    spec = importlib.util.spec_from_file_location("calibrate_fit", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def joints_facing(turn: float, n: int, rng: np.random.Generator) -> np.ndarray:
    """Joints at random places, with hips across the direction in which the subject faces."""
    joints = rng.normal(0, 0.3, (n, len(fit.FITTED), 3)) + np.array([0.0, 0.0, -3.0])
    right = np.array([-np.cos(turn), 0.0, np.sin(turn)])
    joints[:, fit.RH] = joints[:, fit.LH] + 0.2 * right
    return joints


def looks(
    script: ModuleType,
    coefficients: dict[str, np.ndarray],
    *,
    clips: int,
    noise: float = 0.0,
    own: float = 0.0,
    seed: int = 0,
) -> list[Look]:
    """Clips whose true depths are known functions of what is told and fitted.

    Noise (standard deviation, metres) is new at each knot, or each clip's own.
    """
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(clips):
        n = 12
        told = rng.normal(0, 0.2, (n, len(fit._DEPTHS)))
        joints = joints_facing(rng.uniform(-np.pi, np.pi), n, rng)
        truth = np.zeros_like(joints)
        for segment, values in coefficients.items():
            x, *_ = script.design([(told, joints, truth)], segment)
            each = (x @ values).reshape(2, n)
            each = each + noise * rng.standard_normal((2, n)) + own * rng.standard_normal((2, 1))
            for side, along in zip(("left", "right"), each, strict=True):
                a, b = fit._DEPTHS[f"{side}_{segment}"][:2]
                truth[:, b, 2] = truth[:, a, 2] + along
        found.append((told, joints, truth))
    return found


def known(script: ModuleType, seed: int = 5) -> dict[str, np.ndarray]:
    # Near segments first, for a depth starts where the one before it ends.
    rng = np.random.default_rng(seed)
    return {name: rng.normal(0, 0.3, len(script.terms(name))) for name in SEGMENTS}


def test_coefficients_are_found_again(script, monkeypatch) -> None:
    monkeypatch.setattr(script, "PENALTY", 1e-9)
    coefficients = known(script)
    found = script.depths(looks(script, coefficients, clips=30))
    for name in SEGMENTS:
        values = [found[name]["terms"][term] for term in script.terms(name)]
        np.testing.assert_allclose(values, coefficients[name], atol=1e-4)
        assert max(found[name]["sd"]) < 1e-3


def test_noise_is_found_as_the_spread(script) -> None:
    found = script.depths(looks(script, known(script), clips=40, noise=0.05))
    for name in SEGMENTS:
        left = 0.05 * script.TRUST.get(name, 1.0)
        np.testing.assert_allclose(found[name]["sd"], left, rtol=0.25)


def test_the_fit_applies_what_was_learned(script, monkeypatch) -> None:
    """What the script calls told, fitted, forward and left is what the fit calls so."""
    monkeypatch.setattr(script, "PENALTY", 1e-9)
    coefficients = known(script)
    found = script.depths(looks(script, coefficients, clips=30))
    monkeypatch.setattr(depth, "_calibration", lambda: found)
    for told, joints, truth in looks(script, coefficients, clips=4, seed=9):
        fitted = {n: joints[:, b, 2] - joints[:, a, 2] for n, (a, b, _, _) in fit._DEPTHS.items()}
        better = calibrated(
            dict(zip(fit._DEPTHS, told.T, strict=True)),
            fitted,
            facing(joints[:, fit.LH], joints[:, fit.RH]),
        )
        assert len(better) == 10
        for name, (value, _) in better.items():
            a, b = fit._DEPTHS[name][:2]
            np.testing.assert_allclose(value, truth[:, b, 2] - truth[:, a, 2], atol=1e-3)


def test_clips_left_out_tell_the_error_on_new_clips(script) -> None:
    coefficients = {"thigh": known(script)["thigh"]}
    size = {"noise": 0.02, "own": 0.05}
    x, y, group, *_ = script.design(looks(script, coefficients, clips=24, **size), "thigh")
    learned = script.ridge(x, y, group, script.PENALTY)
    new_x, new_y, *_ = script.design(
        looks(script, coefficients, clips=400, seed=7, **size), "thigh"
    )

    def rms(error: np.ndarray) -> float:
        return float(np.sqrt((error**2).mean()))

    new = rms(new_y - new_x @ learned)
    inside = rms(y - x @ learned)
    left_out = rms(script.left_out(x, y, group, script.PENALTY))
    assert inside < 0.95 * new
    assert left_out > 1.05 * inside
    assert left_out == pytest.approx(new, rel=0.15)


def test_each_clip_has_the_same_weight(script) -> None:
    # One clip says 1, the other 3 and is ten times as long.
    x, group = np.ones((11, 1)), np.array([0] + [1] * 10)
    y = np.where(group == 0, 1.0, 3.0)
    assert script.ridge(x, y, group, 1e-9) == pytest.approx([2.0])
    assert script.ridge(x, y, group, 2.0) == pytest.approx([1.0])


def test_offsets_are_found_again(script) -> None:
    rng = np.random.default_rng(3)
    entries = tables.load("landmark_offsets")["offsets"]
    means = np.array([entry["mean_m"] for entry in entries.values()])
    clips = []
    for turn in np.linspace(-np.pi, np.pi, 12, endpoint=False):
        truth = joints_facing(turn, 20, rng)
        directions = fit._directions(truth, np.array([0.0, 1.0, 0.0]))
        landmark = truth + np.einsum("o,nojx->njx", means, directions)
        image = landmark[..., :2] / -landmark[..., 2:]
        image[:3] += 1.0  # hidden, and wrong
        weight = np.ones(image.shape[:2])
        weight[:3] = 0.1
        clips.append(script.Clip(SimpleNamespace(weight=weight), truth, image))
    for name, entry in script.offsets(clips).items():
        assert entry["mean_m"] == pytest.approx(entries[name]["mean_m"], abs=0.002), name
        assert {**entry, "mean_m": 0} == {**entries[name], "mean_m": 0}


def test_tables_keep_their_head(script, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(script, "TABLES", tmp_path)
    (tmp_path / "some.yaml").write_text("# What it is.\n# Metres.\nold: 1\n# not the head\n")
    script.write("some", {"source": "here", "new": {"a": 0.5}})
    text = (tmp_path / "some.yaml").read_text()
    assert text.startswith("# What it is.\n# Metres.\nsource: here\n")
    assert yaml.safe_load(text) == {"source": "here", "new": {"a": 0.5}}


@pytest.mark.parametrize("azimuth", [0.0, 50.0, 200.0])
def test_axes_of_the_camera_are_a_rotation(script, azimuth) -> None:
    camera = {"azimuth": azimuth, "tilt": -12.0, "roll": 7.0, "distance_m": 3.0, "height_m": 1.2}
    axes, place = script.camera_axes(camera)
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(axes) == pytest.approx(1.0)
    assert np.hypot(place[0], place[2]) == pytest.approx(3.0)
    assert place[1] == 1.2
    # It looks down on the subject, who stands at the origin: the middle of the picture is lower.
    assert axes[2][1] == pytest.approx(np.sin(np.radians(12)))


@pytest.fixture(scope="module")
def tilted() -> Any:
    """A case whose camera is tilted and rolled, and its truth."""
    missing = [name for name in ("anny", "pyvista", "torch") if not importlib.util.find_spec(name)]
    if missing:
        reason = f"needs the extra virtual-lab ({', '.join(missing)} not installed)"
        if os.environ.get("CI"):
            pytest.fail(f"CI {reason}")
        pytest.skip(reason)
    case = case_from(
        {
            "camera": {"azimuth": 50, "tilt": -9, "roll": 6, "height_m": 1.5, "distance_m": 3.0},
            "motion": {"repetitions": 1, "depth": 50, "descent_s": 4, "ascent_s": 4},
            "video": {"width": WIDTH, "height": HEIGHT, "frame_rate": 10},
        }
    )
    with warnings.catch_warnings():
        # What torch and warp warn of while they are imported is not ours.
        warnings.simplefilter("ignore")
        return case, true_positions(case, *perform_case(case))


@pytest.mark.slow
def test_axes_are_those_of_the_pictures(script, tilted) -> None:
    """Balls at the true joints are rendered where the axes put the joints."""
    from mobility.virtual_lab.render import Look as Appearance
    from mobility.virtual_lab.render import _room

    case, truth = tilted
    low = np.abs(truth["time"].to_numpy() - truth["bottom"].item()).argmin()
    lowest = truth["position"].isel(time=int(low))
    axes, place = script.camera_axes(case.camera.model_dump())
    focal = HEIGHT / 2 / np.tan(np.radians(case.camera.field_of_view) / 2)
    plotter = _room(case.camera, Appearance(), WIDTH, HEIGHT, 1)
    import pyvista

    try:
        for name in ("left_shoulder", "right_wrist", "left_knee", "right_foot_index"):
            point = lowest.sel(keypoint=name).to_numpy().astype(float)
            ball = pyvista.Sphere(radius=0.03, center=point)
            actor = plotter.add_mesh(ball, color="magenta", lighting=False)
            plotter.render()
            image = plotter.screenshot(return_img=True).astype(int)
            plotter.remove_actor(actor)
            shown = np.argwhere(
                (image[..., 0] > 240) & (image[..., 1] < 15) & (image[..., 2] > 240)
            )
            assert len(shown) > 8
            row, column = shown.mean(axis=0) + 0.5
            right, up, towards = axes @ (point - place)
            assert column == pytest.approx(WIDTH / 2 + focal * right / -towards, abs=0.6), name
            assert row == pytest.approx(HEIGHT / 2 - focal * up / -towards, abs=0.6), name
    finally:
        plotter.close()


@pytest.mark.slow
def test_clips_have_truth_and_picture_in_the_same_axes(script, tilted, tmp_path) -> None:
    """Landmarks drawn at the true joints by VTK's own camera have no picture error."""
    from mobility.virtual_lab.render import Look as Appearance
    from mobility.virtual_lab.render import _room

    case, truth = tilted
    position = truth["position"].reindex(keypoint=list(KEYPOINTS), fill_value=0.0)
    points = position.transpose("time", "keypoint", "space").to_numpy().astype(float)
    plotter = _room(case.camera, Appearance(), WIDTH, HEIGHT, 1)
    composite = plotter.camera.GetCompositeProjectionTransformMatrix(WIDTH / HEIGHT, -1, 1)
    plotter.close()
    matrix = np.array([[composite.GetElement(i, j) for j in range(4)] for i in range(4)])
    clip_space = np.concatenate([points, np.ones((*points.shape[:2], 1))], axis=-1) @ matrix.T
    place = clip_space[..., :2] / clip_space[..., 3:]
    pixels = np.stack([WIDTH / 2 * (1 + place[..., 0]), HEIGHT / 2 * (1 - place[..., 1])], axis=-1)
    pose = xr.Dataset(
        {
            "position": (("time", "keypoint", "space", "individual"), points[..., None]),
            "image_position": (("time", "keypoint", "pixel", "individual"), pixels[..., None]),
            "confidence": (("time", "keypoint", "individual"), np.ones((*points.shape[:2], 1))),
        },
        coords={
            "time": truth["time"],
            "space": ["x", "y", "z"],
            "pixel": ["u", "v"],
            "keypoint": list(KEYPOINTS),
            "individual": ["subject"],
        },
        attrs={"image_width": WIDTH, "image_height": HEIGHT, "ds_type": "poses"},
    ).transpose("time", "space", "pixel", "keypoint", "individual")
    pose.to_netcdf(tmp_path / "pose.nc", engine="h5netcdf")
    truth.to_netcdf(tmp_path / "truth.nc", engine="h5netcdf")
    clip = script.clip(tmp_path)
    expected = clip.truth[..., :2] / -clip.truth[..., 2:]
    still = clip.problem.knots < truth["start"].item() - 0.4
    assert still.any()
    np.testing.assert_allclose(clip.image[still], expected[still], atol=1e-5)
    # Pictures are averaged around the knots, the truth is taken at them.
    np.testing.assert_allclose(clip.image, expected, atol=0.005)
    # Of a person of 1.70 m, so the camera is nearer or farther by as much.
    assert clip.truth[..., 2].mean() == pytest.approx(-3.0 * 1.70 / case.body.height_m, rel=0.1)
