"""scripts/calibrate_fit.py on looks and pictures whose errors are known."""

from __future__ import annotations

import importlib.util
import os
import warnings
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import xarray as xr
import yaml

from mobility import tables
from mobility.errors import BadInputError
from mobility.kinematics import depth, fit, landmark_shift
from mobility.kinematics.depth import Limbs, calibrated, facing
from mobility.kinematics.landmark_shift import SHIFTED, shifts
from mobility.kinematics.skeleton import KEYPOINTS
from mobility.virtual_lab.case import case_from, perform_case, true_positions

pytestmark = pytest.mark.slow

WIDTH, HEIGHT = 240, 320


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
    script: ModuleType, *, clips: int, noise: float = 0.0, own: float = 0.0, seed: int = 0
) -> list[Any]:
    """Clips whose true depths are those of the first look and a smooth function of what is told.

    So is what landmarks are shifted by in the picture. Noise (standard deviation, metres) is new at
    each knot, or each clip's own.
    """
    rng = np.random.default_rng(seed)
    names = list(fit._DEPTHS)
    found = []
    for _ in range(clips):
        n = 12
        told = rng.normal(0, 0.2, (n, len(names)))
        joints = joints_facing(rng.uniform(-np.pi, np.pi), n, rng)
        truth = np.zeros_like(joints)
        truth[..., :2] = joints[..., :2]
        truth[..., 2] = -3.0
        # Near segments first, for a depth starts where the one before it ends.
        for i, segment in enumerate(("trunk", "upper_arm", "forearm", "thigh", "shank")):
            for side in ("left", "right"):
                a, b = fit._DEPTHS[f"{side}_{segment}"][:2]
                along = joints[:, b, 2] - joints[:, a, 2]
                along = along + missing(told[:, names.index(f"{side}_{segment}")], i)
                along = along + noise * rng.standard_normal(n) + own * rng.standard_normal()
                truth[:, b, 2] = truth[:, a, 2] + along
        found.append(pictured(script, told, joints, truth))
    return found


def pictured(script: ModuleType, told: Any, joints: Any, truth: Any) -> Any:
    """Add the picture, in which landmarks are shifted beyond the usual offsets."""
    depth, place = -truth[..., 2:], truth[..., :2]
    weight = np.ones(truth.shape[:2])
    plain = script.Look(told, joints, truth, place / depth, weight, np.array([0.0, 1.0, 0.0]))
    names = list(fit._DEPTHS)
    off = -script.shifted(plain)
    for k, side in enumerate(("left", "right")):
        thigh, trunk = (told[:, names.index(f"{side}_{name}")] for name in ("thigh", "trunk"))
        off[:, k::2] += shift_of(thigh, trunk)[:, None] * [1.0 - 2.0 * k, 1.0]
    image = (place + off) / depth
    image[:2, fit.LK] += 1.0  # hidden, and wrong
    weight[:2, fit.LK] = 0.0
    return plain._replace(image=image, weight=weight)


def shift_of(thigh: np.ndarray, trunk: np.ndarray) -> np.ndarray:
    """Shift of each landmark of the left side, out of what is told of thigh and trunk."""
    return np.stack([0.1 * thigh, 0.02 - 0.1 * trunk], axis=-1)


def missing(told: np.ndarray, segment: int) -> np.ndarray:
    """What the first look lacks."""
    return 0.05 * segment + 0.3 * told


def rms(error: np.ndarray) -> float:
    return float(np.sqrt((error**2).mean()))


def test_what_the_first_look_lacks_is_learned(script) -> None:
    found = script.postures(looks(script, clips=60), "legs")
    new = script.postures(looks(script, clips=10, seed=5), "legs")
    process = script.learned(found.x, found.short, found.clip)
    added, _ = process.predicted(new.x)
    assert rms(new.short) > 0.1
    assert rms(new.short - added) < 0.2 * rms(new.short)


def test_the_fit_applies_what_was_learned(script, monkeypatch) -> None:
    """What the script calls told, fitted, forward and left is what the fit calls so."""
    seen = looks(script, clips=60)
    found = {group: script.postures(seen, group) for group in depth.CORRECTED}
    processes = {
        group: script.learned(those.x, those.short, those.clip) for group, those in found.items()
    }
    shifting = {
        group: script.learned(those.x, those.shift, those.clip, those.seen)
        for group, those in found.items()
    }
    monkeypatch.setattr(depth, "_process", processes.get)
    monkeypatch.setattr(landmark_shift, "_process", shifting.get)
    for one in looks(script, clips=4, seed=9):
        told, joints, truth = one.told, one.joints, one.truth
        limbs = Limbs(
            dict(zip(fit._DEPTHS, told.T, strict=True)),
            {n: joints[:, b] - joints[:, a] for n, (a, b, _, _) in fit._DEPTHS.items()},
        )
        forward = facing(joints[:, fit.LH], joints[:, fit.RH])
        better = calibrated(limbs, forward)
        assert set(better) == set(fit._DEPTHS)
        for name, (value, _) in better.items():
            a, b = fit._DEPTHS[name][:2]
            true = truth[:, b, 2] - truth[:, a, 2]
            first = joints[:, b, 2] - joints[:, a, 2]
            assert rms(value - true) < 0.35 * rms(first - true), name
        off = script.shifted(one)
        for name, shift in shifts(limbs, forward).items():
            side, _, joint = name.partition("_")
            j = fit._LEFT[joint] + ("left", "right").index(side)
            seen = one.weight[:, j] > 0
            assert rms(off[seen, j] - shift.metres[seen]) < 0.5 * rms(off[seen, j]), name


def test_noise_is_found_as_the_spread(script) -> None:
    spreads = script.depths(script.postures(looks(script, clips=80, noise=0.06), "arms"), "arms")
    for name, spread in spreads.items():
        # More than the noise, since what the first look lacks is not known exactly.
        low, high = (script.TRUST.get(name, 1.0) * sd for sd in (0.055, 0.08))
        assert all(low < sd < high for sd in spread), (name, spread)


def test_clips_left_out_tell_the_error_on_new_clips(script) -> None:
    size = {"noise": 0.02, "own": 0.05}
    found = script.postures(looks(script, clips=48, **size), "legs")
    new = script.postures(looks(script, clips=100, seed=7, **size), "legs")
    process = script.learned(found.x, found.short, found.clip)
    inside = rms((found.short - process.predicted(found.x)[0])[found.whole])
    outside = rms((new.short - process.predicted(new.x)[0])[new.whole])
    left_out = rms(script.left_out_errors(found, found.short)[found.whole])
    assert inside < 0.8 * outside
    assert left_out == pytest.approx(outside, rel=0.12)


def test_centres_are_among_the_postures(script) -> None:
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(m, 0.01, (50, 3)) for m in (0.0, 5.0)])
    for centre in script.middles(x, 6):
        assert abs(x - centre).max(axis=1).min() < 0.05
    assert script.middles(x, 100) is x


def test_parts_of_clips_teach_too(script) -> None:
    seen = looks(script, clips=30)
    found = script.postures(seen, "legs")
    for number, one in enumerate(seen):
        part = script.part_of(one, number)
        n = len(part.truth)
        assert max(3, len(one.truth) // 4) <= n < len(one.truth)
        starts = [
            i for i in range(len(one.truth) - n + 1) if (one.truth[i : i + n] == part.truth).all()
        ]
        assert len(starts) == 1  # in one piece
        np.testing.assert_array_equal(part.told, one.told[starts[0] :][:n])
        # Of both sides, after the whole clip.
        own = found.clip == number
        assert own.sum() == 2 * (n + len(one.truth))
        assert found.whole[own].sum() == 2 * len(one.truth)
    # What they say counts with the clip, but the spread is that of whole clips.
    weight = script.of_whole(found)
    assert (weight[~found.whole] == 0).all()
    np.testing.assert_allclose(np.bincount(found.clip, weights=weight), 1.0)


def test_written_processes_are_read_again(script, monkeypatch, tmp_path) -> None:
    seen = looks(script, clips=20)
    monkeypatch.setattr(depth, "files", lambda _: tmp_path)
    for group, mode in (("legs", "w"), ("arms", "a")):
        found = script.postures(seen, group)
        process = script.learned(found.x, found.short, found.clip)
        outputs = [str(i) for i in range(found.short.shape[1])]
        script.keep(process, group, tmp_path / "depth_calibration.nc", mode, outputs)
        read = depth._process.__wrapped__(group)
        for one, other in zip(read.predicted(found.x), process.predicted(found.x), strict=True):
            np.testing.assert_allclose(one, other, atol=1e-3)


def test_what_is_hidden_says_nothing_of_shifts(script) -> None:
    found = script.postures(looks(script, clips=16), "legs")
    knee = list(SHIFTED["legs"]).index("knee")
    assert (found.seen[:, 2 * knee] == 0).any()
    hidden = script.learned(found.x, found.shift, found.clip, found.seen)
    shown = script.learned(found.x, found.shift, found.clip)
    error = [
        rms((found.shift - process.predicted(found.x)[0])[found.seen[:, 2 * knee] > 0, 2 * knee])
        for process in (hidden, shown)
    ]
    assert error[0] < 0.01 < 0.05 < error[1]


def test_spread_in_the_picture_is_of_what_the_shifts_leave(script, capsys) -> None:
    found = script.postures(looks(script, clips=16), "arms")
    noise = np.random.default_rng(4).normal(0, 0.02, found.shift.shape)
    spreads = script.left_in_picture(found._replace(shift=found.shift + noise), "arms")
    assert set(spreads) == set(SHIFTED["arms"])
    assert all(0.019 < sd < 0.03 for sd in spreads.values())


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
        clips.append(script.Clip(np.arange(20.0), image / 1.2, truth, weight, truth, 1.2))
    for name, entry in script.offsets(clips).items():
        assert entry["mean_m"] == pytest.approx(entries[name]["mean_m"], abs=0.002), name
        assert {**entry, "mean_m": 0} == {**entries[name], "mean_m": 0}


def test_shifts_are_beyond_the_offsets_that_were_just_written(script, monkeypatch) -> None:
    monkeypatch.setattr(fit, "_OFFSETS", fit._OFFSETS)
    one = looks(script, clips=1)[0]
    before = script.shifted(one)
    table = script.tables.load("landmark_offsets")
    moved = {
        name: {**entry, "mean_m": entry["mean_m"] + 0.01 * (name == "hip_up")}
        for name, entry in table["offsets"].items()
    }
    assert moved != table["offsets"]

    def load(name: str) -> Any:
        return {**table, "offsets": moved}

    load.cache_clear = lambda: None  # type: ignore[attr-defined]
    monkeypatch.setattr(script.tables, "load", load)
    script.read_offsets_again()
    change = script.shifted(one) - before
    hips = [fit.LH, fit.RH]
    assert np.abs(change[:, hips, 1]).mean() == pytest.approx(0.01, rel=0.2)
    assert np.abs(np.delete(change, hips, axis=1)).max() == 0.0


def test_clips_that_are_kept_are_read_again(script, tmp_path) -> None:
    rng = np.random.default_rng(2)
    clips = []
    for n in (9, 5, 14):
        truth = joints_facing(0.4, n, rng)
        image = truth[..., :2] / -truth[..., 2:]
        weight = rng.uniform(0, 1, image.shape[:2])
        world = truth - np.array([0.0, 0.0, -3.0])
        clips.append(script.Clip(0.3 + 0.39 * np.arange(n), image, world, weight, truth, 1.2))
    script.gather(clips, tmp_path / "kept.nc")
    read = script.gathered(tmp_path / "kept.nc")
    assert len(read) == 3
    assert script.added(read[:2], clips[2:])[2] is clips[2]
    with pytest.raises(BadInputError, match=r"is in learned_from\.nc already"):
        script.added(read, clips[2:])
    for one, other in zip(clips, read, strict=True):
        for mine, theirs in zip(one, other, strict=True):
            np.testing.assert_allclose(theirs, mine, atol=6e-4)
        np.testing.assert_allclose(other.problem.image, other.image / 1.2)


def test_outputs_with_the_same_weights_are_solved_together(script) -> None:
    alike, apart = np.ones((5, 1)), np.arange(5.0)
    assert script._parts(4, alike) == [slice(0, 4)]
    weights = np.stack([apart, apart, apart + 1, apart + 1, apart], axis=1)
    assert script._parts(5, weights) == [slice(0, 2), slice(2, 4), slice(4, 5)]


def test_a_clip_of_nobody_is_left_out(script, opencap_pose, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(script, "clip", lambda folder: script.fit.fit_body(nobody))
    nobody = opencap_pose.isel(time=slice(0, 9)).assign(
        confidence=0 * opencap_pose["confidence"].isel(time=slice(0, 9))
    )
    assert script.clip_if_seen(tmp_path / "empty") is None
    assert "empty is left out: fit_body: 0 frames show a person" in capsys.readouterr().out


def test_what_was_kept_of_other_joints_is_refused(script, tmp_path) -> None:
    truth = joints_facing(0.4, 5, np.random.default_rng(2))
    world = truth - np.array([0.0, 0.0, -3.0])
    clip = script.Clip(np.arange(5.0), world[..., :2], world, world[..., 0], truth, 1.0)
    script.gather([clip], tmp_path / "kept.nc")
    held = xr.load_dataset(tmp_path / "kept.nc", engine="h5netcdf")
    held.assign_coords(joint=held["joint"][::-1]).to_netcdf(tmp_path / "o.nc", engine="h5netcdf")
    with pytest.raises(BadInputError, match="knots has numbers"):
        script.gather([clip._replace(knots=clip.knots + 40)], tmp_path / "late.nc")
    with pytest.raises(BadInputError, match="gather it anew"):
        script.gathered(tmp_path / "o.nc")


def test_a_clip_of_something_else_is_told(script) -> None:
    truth = joints_facing(0.3, 10, np.random.default_rng(6))
    image = truth[..., :2] / -truth[..., 2:]
    assert script.is_found(truth, image)
    assert script.is_found(truth, image + 0.03 / 3)
    assert not script.is_found(truth, image + 0.2 / 3)


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
    still = clip.knots < truth["start"].item() - 0.4
    assert still.any()
    np.testing.assert_allclose(clip.image[still], expected[still], atol=1e-5)
    # Pictures are averaged around the knots, the truth is taken at them.
    np.testing.assert_allclose(clip.image, expected, atol=0.005)
    # Of a person of 1.70 m, so the camera is nearer or farther by as much.
    assert clip.truth[..., 2].mean() == pytest.approx(-3.0 * 1.70 / case.body.height_m, rel=0.1)
