from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mobility.virtual_lab.case import case_from, perform_case
from mobility.virtual_lab.parametric_body import Body
from mobility.virtual_lab.pictures import Camera, Look, Sensor, frames

GREY = np.full((96, 64, 3), 100, dtype=np.uint8)


def test_a_stop_doubles_and_clips_and_a_plain_look_changes_nothing() -> None:
    image = np.random.default_rng(1).integers(0, 256, (8, 6, 3), dtype=np.uint8)
    np.testing.assert_array_equal(Sensor(Look(), 6, 8).take(image), image)
    sensor = Sensor(Look(exposure=1), 64, 96)
    assert (sensor.take(GREY) == 200).all()
    assert (sensor.take(GREY + np.uint8(60)) == 255).all()
    assert (Sensor(Look(exposure=-1), 64, 96).take(GREY) == 50).all()


def test_noise_has_its_size_is_new_in_each_frame_and_the_same_again() -> None:
    sensor = Sensor(Look(noise=8), 64, 96)
    first, second = (sensor.take(GREY).astype(float) for _ in range(2))
    assert first.std() == pytest.approx(8, rel=0.05)
    assert first.mean() == pytest.approx(100, abs=0.3)
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.1
    np.testing.assert_array_equal(Sensor(Look(noise=8), 64, 96).take(GREY), first)


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
    pixels = np.argwhere(green - red > 50)
    return np.array([*pixels.mean(axis=0), len(pixels)])


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
