"""Where a film is cut and where only its captions change, and shots that it shows again."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from mobility.capture import shots

HEIGHT, WIDTH = 128, 72
BOX = (20.0, 20.0, 50.0, 115.0)
"""Of the person in the reduced picture: left, top, right, bottom."""


def texture(shape, seed=0, size=5):
    rng = np.random.default_rng(seed)
    return cv2.GaussianBlur(rng.integers(0, 255, shape, dtype=np.uint8), (size, size), 0)


def picture(dx=0, dy=0, *, room=0):
    """Return a picture of a person, `dx` and `dy` from their place, in a room."""
    image = texture((HEIGHT, WIDTH), seed=room)
    left, top, right, bottom = (int(edge) for edge in BOX)
    person = texture((bottom - top, right - left), seed=100)
    image[top + dy : bottom + dy, left + dx : right + dx] = person[: HEIGHT - top - dy]
    return image


def marks(dx=0.0, dy=0.0):
    left, top, right, bottom = BOX
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    return np.array(corners) + np.array([dx, dy])


def with_bar(image, top, bottom, seed=9):
    """Cover the picture from `top` to `bottom`, shares of its height, by a caption."""
    image = image.copy()
    rows = slice(int(top * HEIGHT), int(bottom * HEIGHT))
    image[rows] = 20
    for line in range(rows.start + 8, rows.stop - 2, 14):
        words = str(np.random.default_rng(seed + line).integers(10**6, 10**7))
        cv2.putText(image, words, (2, line + 4), cv2.FONT_HERSHEY_PLAIN, 0.8, 255)
    return image


PLAIN = picture(1, 1)


@pytest.mark.parametrize(
    ("after", "place", "goes_on"),
    [
        (PLAIN, (1, 1), True),  # a movement
        (with_bar(PLAIN, 0.67, 1.0), (1, 1), True),
        (with_bar(PLAIN, 0.33, 0.66), (1, 1), True),
        (with_bar(PLAIN, 0.0, 0.33), (1, 1), True),
        (cv2.putText(PLAIN.copy(), "12", (2, 40), cv2.FONT_HERSHEY_PLAIN, 3, 255, 3), (1, 1), True),
        (np.clip(PLAIN * 1.4 + 20, 0, 255).astype(np.uint8), (1, 1), True),  # the exposure
        (picture(0, 12), (0, 12), False),  # a part of the film is left out
        (picture(1, 1, room=1), (1, 1), False),  # the same in another room
        (np.ascontiguousarray(picture()[:, ::-1]), (2, 0), False),
        (texture((HEIGHT, WIDTH), seed=5), (0, 0), False),
        (cv2.resize(picture()[14:-14, 8:-8], (WIDTH, HEIGHT)), (0, 0), False),  # closer
        (with_bar(picture(0, 12), 0.7, 1.0), (0, 12), False),  # a cut, and a caption with it
    ],
)
def test_a_cut_changes_the_person_or_the_whole_picture_and_a_caption_a_part(after, place, goes_on):
    for pair, people in (
        ((picture(), after), (marks(), marks(*place))),
        ((after, picture()), (marks(*place), marks())),
    ):
        assert shots.goes_on(np.stack(pair), people) is goes_on


def test_without_a_person_the_whole_picture_decides():
    nobody = [np.full((1, 2), np.nan)] * 2
    rooms = [texture((HEIGHT, WIDTH), seed=seed) for seed in range(2)]
    assert shots.goes_on(np.stack([rooms[0], with_bar(rooms[0], 0.7, 1.0)]), nobody)
    assert not shots.goes_on(np.stack(rooms), nobody)
    assert shots.goes_on(np.full((2, HEIGHT, WIDTH), 80, np.uint8), nobody)


def seen_in(frames, *, fps=30, stop=np.inf):
    """Arrays of the changes of frames, with noise, until a time."""
    noise = np.random.default_rng(1)
    changes = shots.PictureChanges()
    for i, image in enumerate(frames):
        noisy = np.clip(image + noise.normal(0, 2, image.shape), 0, 255).astype(np.uint8)
        changes.add(i / fps, noisy)
    return changes.between(-np.inf, stop)


def poses_at(places):
    """Landmarks at the corners of the person's box, in pictures ten times as wide."""
    return np.stack([10.0 * marks(*place)[np.arange(33) % 4] for place in places])


def squats(n, *, seed=0):
    """Places of a person who goes down and up, never twice in the same way."""
    t = np.arange(n) / 30
    rng = np.random.default_rng(seed)
    phases = rng.uniform(0, 6, 2)
    down = 6 * (1 - np.cos(2 * np.pi * t / 2)) + 2 * np.sin(1.7 * t + phases[0])
    return [
        (round(3 * np.sin(2.3 * s + phases[1])), round(y)) for s, y in zip(t, down, strict=True)
    ]


def test_a_counter_that_changes_is_no_cut_and_another_room_is():
    places = squats(120)
    frames = [
        with_bar(picture(*place, room=i // 70), 0.72, 1.0, seed=i // 25)
        for i, place in enumerate(places)
    ]
    pictures = seen_in(frames)
    sudden = shots.sudden_changes(pictures["picture_times"], pictures["changes"])
    assert len(sudden) > 2  # without the person the captions would be cuts
    found = shots.cuts(pictures, pictures["picture_times"], poses_at(places), 10 * WIDTH)
    assert found == [pytest.approx(70 / 30)]
    assert shots.repeats(pictures, found) == []


def faded(before, after, count):
    """Two shots, of which `count` pictures of each fade into each other."""
    shares = (np.arange(count) + 1) / (count + 1)
    mixed = [
        ((1 - share) * old + share * new).round().astype(np.uint8)
        for share, old, new in zip(shares, before[-count:], after, strict=False)
    ]
    return [*before[:-count], *mixed, *after[count:]]


@pytest.mark.parametrize("count", [4, 8, 14])
def test_a_fade_to_another_room_is_a_cut_and_one_to_the_same_view_is_not(count):
    places = [(0, round(i / 40)) for i in range(120)]  # nearly at rest, as between movements
    shot, same, other = (
        [picture(*place, room=room) for place in part]
        for part, room in ((places[:60], 0), (places[60 - count :], 0), (places[60 - count :], 1))
    )
    marks_of = poses_at(places)
    pictures = seen_in(faded(shot, other, count))
    (found,) = shots.cuts(pictures, pictures["picture_times"], marks_of, 10 * WIDTH)
    assert found == pytest.approx((60 - count / 2) / 30, abs=0.15)
    # The parts of a video that are read by themselves begin half a second early.
    fades = seen_in(faded(shot, other, count))
    begin = found - 0.1
    late = shots.PictureChanges()
    for i, image in enumerate(faded(shot, other, count)):
        if i / 30 >= begin - 0.5:
            late.add(i / 30, image)
    parts = [
        {**fades, **{name: early[name] for name in ("fade_times", "fades")}}
        for early in (seen_in(faded(shot, other, count), stop=begin), late.between(begin, np.inf))
    ]
    cuts = [shots.cuts(part, part["picture_times"], marks_of, 10 * WIDTH) for part in parts]
    assert any(cuts)
    pictures = seen_in(faded(shot, same, count))
    assert shots.cuts(pictures, pictures["picture_times"], marks_of, 10 * WIDTH) == []


def test_a_blank_picture_between_two_shots_is_a_cut():
    places = squats(120)
    frames = [picture(*place, room=i // 60) for i, place in enumerate(places)]
    frames[58:62] = [np.full_like(frames[0], 255)] * 4
    pictures = seen_in(frames)
    (found,) = shots.cuts(pictures, pictures["picture_times"], poses_at(places), 10 * WIDTH)
    assert found == pytest.approx(2.0, abs=0.3)


def test_captions_and_light_that_fade_in_are_no_cut():
    places = [(0, 0)] * 90
    plain = [picture(*place) for place in places]
    brighter = [np.clip(each * 1.4 + 20.0, 0, 255).astype(np.uint8) for each in plain]
    for after in (brighter, [with_bar(each, 0.7, 1.0) for each in plain]):
        pictures = seen_in(faded(plain[:45], after[:45], 8))
        assert len(pictures["fade_times"]) == 1
        found = shots.cuts(pictures, pictures["picture_times"], poses_at(places), 10 * WIDTH)
        assert found == []


def test_a_shot_that_is_shown_again_is_found_whatever_its_captions():
    shot, other = squats(75), squats(75, seed=5)
    frames = [picture(*place) for place in (*shot, *other)]
    frames += [with_bar(picture(*place), 0.7, 1.0) for place in shot[10:70]]
    cut = [75 / 30, 150 / 30]
    (repeat,) = shots.repeats(seen_in(frames), cut)
    expected = {"start": 5.0, "stop": 7.0, "first": 10 / 30}
    assert repeat == pytest.approx(expected, abs=0.04)
    # What does not move may look the same twice.
    still = [picture()] * 45 + [picture(room=1)] * 45 + [picture()] * 45
    assert shots.repeats(seen_in(still), [1.5, 3.0]) == []
    # An animation repeats its movement to the point within a shot: that is no shot shown again.
    cycle = squats(60)
    animation = [picture(*place) for place in cycle * 4]
    assert shots.repeats(seen_in(animation), [6.0]) == []


def frames_of(positions, background):
    """A bright square in front of a background, at each position in turn."""
    for left in positions:
        image = np.repeat(background[..., None], 3, axis=2)
        image[100:160, left : left + 60] = 250
        yield image


def noisy(image, seed):
    noise = np.random.default_rng(seed).normal(0, 4, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("positions", "cut"),
    [
        ([10 + 2 * i for i in range(40)], []),
        ([10 + 2 * i for i in range(20)] + [200 + 2 * i for i in range(20)], [20]),
        ([10] * 20 + [10 + 4 * i for i in range(20)], []),  # begins to move
        ([10] * 20 + [150] + [10] * 19, []),  # a flash: there and back
        ([10] * 20 + [150] * 20, [20]),
        ([10 + 20 * (i // 6) for i in range(60)], []),  # five pictures a second
        ([10 + 3 * (15 if 15 <= i < 22 else i) for i in range(40)], []),  # the film stalls
        ([10], []),
    ],
)
def test_a_cut_is_a_change_of_the_picture_that_its_neighbours_do_not_have(positions, cut):
    background = np.asarray(texture((240, 320)) // 2, np.uint8)
    changes = shots.PictureChanges()
    times = np.arange(len(positions)) / 30
    for i, image in enumerate(frames_of(positions, background)):
        # A stall repeats the noise too.
        seed = i if positions[i] == 10 else positions[i]
        changes.add(times[i], noisy(image, seed)[1::3, 1::3, 1])
    shares = changes.changes
    assert shots.sudden_changes(times, np.array(shares)) == [pytest.approx(i / 30) for i in cut]
    # Where the times show that frames are missing, nothing was cut.
    late = times + np.where(np.arange(len(times)) >= 20, 1.0, 0.0)
    assert shots.sudden_changes(late, np.array(shares)) == []
