from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mobility.virtual_lab.body import Body
from mobility.virtual_lab.case import case_from, perform_case
from mobility.virtual_lab.render import Camera, Look, _Sensor, frames

GREY = np.full((96, 64, 3), 100, dtype=np.uint8)


def test_a_stop_doubles_and_clips_and_a_plain_look_changes_nothing() -> None:
    image = np.random.default_rng(1).integers(0, 256, (8, 6, 3), dtype=np.uint8)
    np.testing.assert_array_equal(_Sensor(Look(), 6, 8).take(image), image)
    sensor = _Sensor(Look(exposure=1), 64, 96)
    assert (sensor.take(GREY) == 200).all()
    assert (sensor.take(GREY + np.uint8(60)) == 255).all()
    assert (_Sensor(Look(exposure=-1), 64, 96).take(GREY) == 50).all()


def test_noise_has_its_size_is_new_in_each_frame_and_the_same_again() -> None:
    sensor = _Sensor(Look(noise=8), 64, 96)
    first, second = (sensor.take(GREY).astype(float) for _ in range(2))
    assert first.std() == pytest.approx(8, rel=0.05)
    assert first.mean() == pytest.approx(100, abs=0.3)
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.1
    np.testing.assert_array_equal(_Sensor(Look(noise=8), 64, 96).take(GREY), first)


def test_blur_has_the_width_asked_for() -> None:
    image = np.zeros((64, 64, 3), dtype=np.uint8)
    image[:, 32:] = 200
    edge = np.diff(_Sensor(Look(blur=2), 64, 64).take(image)[32, :, 0].astype(float))
    place = np.arange(63)
    mean = (place * edge).sum() / edge.sum()
    width = np.sqrt(((place - mean) ** 2 * edge).sum() / edge.sum())
    assert width == pytest.approx(2, abs=0.15)


def picture(body: Body, *, camera: dict[str, Any], **look: Any) -> np.ndarray:
    """First frame of a standing person with a green shirt."""
    case = case_from({"motion": {"repetitions": 1, "depth": 20}})
    _, trial = perform_case(case)
    images = frames(
        body, trial, camera=Camera(**{"azimuth": 0, **camera}),
        look=Look(**{"shirt": (20, 220, 20), **look}), width=144, height=192, samples=1,
    )  # fmt: skip
    _, image = next(images)
    images.close()
    return image


def shirt(image: np.ndarray) -> np.ndarray:
    """Place (down, right) of the shirt in the picture, and its size in pixels."""
    red, green, _ = np.moveaxis(image.astype(int), -1, 0)
    found = np.argwhere(green - red > 50)
    return np.array([*found.mean(axis=0), len(found)])


@pytest.mark.slow
def test_tilt_and_roll_move_the_person_in_the_picture(body: Body) -> None:
    level = shirt(picture(body, camera={}))
    up = shirt(picture(body, camera={"tilt": 8}))
    # The camera looks up: the person goes down, by the tangent of 8 degrees.
    pixels = 96 / np.tan(np.radians(22)) * np.tan(np.radians(8))
    assert up[0] - level[0] == pytest.approx(pixels, rel=0.1)
    assert up[1] == pytest.approx(level[1], abs=1)
    # Turned clockwise, the picture turns the other way: what is above the middle goes left.
    rolled = shirt(picture(body, camera={"roll": 15, "height_m": 0.6}))
    straight = shirt(picture(body, camera={"height_m": 0.6}))
    above = 96 - straight[0]
    assert above > 10
    assert rolled[1] - straight[1] == pytest.approx(-above * np.sin(np.radians(15)), rel=0.15)


@pytest.mark.slow
def test_clothes_and_clutter_are_seen(body: Body) -> None:
    plain = picture(body, camera={})
    assert shirt(picture(body, camera={}, loose_m=0.03))[2] > 1.05 * shirt(plain)[2]
    assert shirt(picture(body, camera={}, sleeves="long"))[2] > 1.3 * shirt(plain)[2]
    cluttered = picture(body, camera={}, clutter=15)
    changed = (cluttered != plain).any(axis=-1)
    assert changed.mean() > 0.02
    # Behind the person: the shirt is as it was.
    assert shirt(cluttered)[2] >= shirt(plain)[2]
    dark = picture(body, camera={}, lamp=180, fill=0)
    assert dark.mean() < plain.mean()


@pytest.mark.slow
def test_a_camera_that_stands_to_its_right_sees_the_person_on_the_left(body: Body) -> None:
    middle = shirt(picture(body, camera={"distance_m": 3}))
    left = shirt(picture(body, camera={"distance_m": 3, "across_m": 0.3}))
    pixels = 96 / np.tan(np.radians(22)) * 0.3 / 3
    assert middle[1] - left[1] == pytest.approx(pixels, rel=0.1)
    assert left[0] == pytest.approx(middle[0], abs=1)


@pytest.mark.slow
def test_what_one_sits_on_is_seen_and_stillness_is_drawn_once(body: Body) -> None:
    motion = {"movement": "knee_extension", "posture": "seated", "to": 10, "side": "left"}
    case = case_from({"motion": motion, "video": {"width": 96, "height": 128, "samples": 1}})
    _, trial = perform_case(case, np.array([0.0, 0.1, 2.4]))
    options = {"camera": Camera(azimuth=90), "look": Look(), "width": 96, "height": 128}
    images = [image for _, image in frames(body, trial, samples=1, **options)]
    np.testing.assert_array_equal(images[0], images[1])
    assert (images[2] != images[0]).any()
    bare = next(frames(body, replace(trial, furniture=()), samples=1, **options))[1]
    assert (bare != images[0]).any(axis=-1).mean() > 0.01
