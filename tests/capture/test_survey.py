"""Who is in the picture, who is the subject, does the camera move."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobility.capture import survey
from mobility.capture.landmarker import Region, around, overlap
from mobility.capture.survey import Look, Person, Track
from mobility.errors import BadInputError

SIZE = (1000, 800)


def box(x, y, height):
    return (x - height / 5, y - height / 2, x + height / 5, y + height / 2)


def look(time, *boxes, shift=None):
    people = [Person(box=b, visibility=0.9) for b in boxes]
    return Look(time=time, people=people, shift=shift, brightness=0.5, sharpness=100.0)


def test_two_people_become_two_tracks_however_they_are_ordered():
    looks = [
        look(t, *((box(300, 400, 500), box(800, 400, 300))[:: 1 if i % 2 else -1]))
        for i, t in enumerate((0.0, 0.5, 1.0, 1.5, 2.0, 4.0))
    ]
    tracks = survey.link(looks)
    assert sorted(len(t.times) for t in tracks) == [6, 6]
    for track in tracks:
        assert np.ptp([b[0] for b in track.boxes]) == 0


def test_a_deep_squat_does_not_break_the_track():
    heights = [500, 500, 260, 250, 480]
    tracks = survey.link(
        [look(t, box(300, 650 - h / 2, h)) for t, h in zip(range(5), heights, strict=True)]
    )
    assert len(tracks) == 1


def test_subject_is_the_largest_and_most_central_over_the_whole_trial():
    # Somebody larger crosses once; somebody equally large stands at the edge throughout.
    looks = [look(t, box(480, 400, 400), box(120, 400, 400)) for t in range(10)]
    looks[4] = look(4, box(480, 400, 400), box(120, 400, 400), box(850, 400, 780))
    tracks = survey.link(looks)
    chosen = survey.choose_subject(tracks, looks, *SIZE, None)
    assert tracks[chosen].boxes[0] == box(480, 400, 400)


def test_subject_pointed_at():
    looks = [look(t, box(480, 400, 400), box(120, 400, 400)) for t in range(4)]
    tracks = survey.link(looks)
    chosen = survey.choose_subject(tracks, looks, *SIZE, (130, 300))
    assert tracks[chosen].boxes[0] == box(120, 400, 400)
    with pytest.raises(
        BadInputError, match=r"nobody is there; people were first seen at 480,400, 120,400"
    ):
        survey.choose_subject(tracks, looks, *SIZE, (900, 10))


def test_others_need_to_stand_beside_the_subject_twice():
    alone = [look(t, box(480, 400, 400)) for t in range(3)]
    back = [look(t, box(1180, 400, 400)) for t in range(8, 11)]
    tracks = survey.link(alone + back)
    assert len(tracks) == 2
    assert survey.others(tracks, 0) == []  # one person who left and came back
    once = [*alone, look(3, box(480, 400, 400), box(900, 400, 300))]
    assert survey.others(survey.link(once), 0) == []
    twice = [*once, look(4, box(480, 400, 400), box(900, 400, 300))]
    assert len(survey.others(survey.link(twice), 0)) == 1


def test_distinct_drops_a_second_find_of_the_same_person():
    found = [
        Person(box=box(300, 400, 500), visibility=0.7),
        Person(box=box(310, 405, 490), visibility=0.9),
    ]
    assert survey.distinct(found) == [found[1]]


def test_box_between_looks_is_linear():
    track = Track([0.0, 2.0], [(0, 0, 10, 20), (10, 0, 20, 40)], [0.9, 0.9])
    assert track.box_at(1.0) == (5, 0, 15, 30)
    assert track.box_at(9.0) == (10, 0, 20, 40)


@given(st.floats(0, 3600))
def test_look_numbers_increase(time):
    assert survey.look_number(time) <= survey.look_number(time + 0.01)
    assert survey.look_number(time + survey.INTERVAL_S) > survey.look_number(time)


def _texture(shape, seed=0):
    rng = np.random.default_rng(seed)
    import cv2

    return cv2.GaussianBlur(rng.integers(0, 255, shape, dtype=np.uint8), (5, 5), 0)


@pytest.mark.parametrize("dx", [0, 4, 12])
def test_background_shift_is_measured(dx):
    wide = _texture((240, 400))
    motion = survey.BackgroundMotion()
    assert motion.shift(np.ascontiguousarray(wide[:, :320]), []) is None
    found = motion.shift(np.ascontiguousarray(wide[:, dx : dx + 320]), [])
    assert found == pytest.approx(dx / 320, abs=0.002)


@pytest.mark.parametrize(
    ("shifts", "moving"),
    [
        ([0.0005] * 10, False),
        ([0.0005] * 8 + [0.03, 0.0005], False),  # a knock
        ([0.0005] * 7 + [0.03, 0.03, 0.0005], True),  # moves a fifth of the time
        ([0.0005] * 18 + [0.03, 0.03], False),
        ([0.01] * 10, True),
    ],
)
def test_a_camera_that_moves_part_of_the_time_is_moving(shifts, moving):
    looks = [look(2.0 * i, shift=s) for i, s in enumerate([None, *shifts])]
    found = survey.camera_motion(looks)
    assert found["camera_moving"] is moving
    assert found["camera_shift_max"] == pytest.approx(max(shifts))


def test_shift_is_per_two_seconds_and_may_be_unknown():
    """A steady pan of 0.5 % in two seconds, seen at looks half a second apart."""
    looks = [look(0.5 * i, shift=0.00125) for i in range(4)]
    assert survey.camera_motion(looks)["camera_shift_median"] == pytest.approx(0.005)
    assert survey.camera_motion(looks)["camera_moving"] is True
    assert survey.camera_motion(looks[:1])["camera_moving"] is None
    assert survey.summary(looks, [Track()], 0)["camera_moving"] is True


def test_a_moving_person_is_not_a_moving_camera():
    background = _texture((240, 320))
    person = _texture((160, 80), seed=1)
    motion = survey.BackgroundMotion()
    for left in (60, 90, 120):
        image = background.copy()
        image[60:220, left : left + 80] = person
        found = motion.shift(image, [(left, 60, left + 80, 220)])
    assert found == pytest.approx(0, abs=0.001)


def test_a_plain_wall_tells_nothing():
    motion = survey.BackgroundMotion()
    wall = np.full((240, 320), 127, np.uint8)
    motion.shift(wall, [])
    assert motion.shift(wall, []) is None


def test_region_beyond_the_picture_is_grey_and_contiguous():
    image = np.zeros((4, 6, 3), np.uint8)
    part = Region(-2, -1, 8, 5).cut(image)
    assert part.shape == (6, 10, 3)
    assert part.flags.c_contiguous
    assert (part[0] == 128).all()
    assert (part[1:5, 2:8] == 0).all()


@given(
    st.tuples(st.floats(-500, 1500), st.floats(-500, 1500), st.floats(1, 800), st.floats(1, 800)),
    st.floats(0, 1),
)
def test_around_stays_inside_the_picture(values, margin):
    x, y, w, h = values
    region = around((x, y, x + w, y + h), 640, 480, margin=margin)
    assert 0 <= region.left < region.right <= 640
    assert 0 <= region.top < region.bottom <= 480


def test_overlap():
    assert overlap((0, 0, 2, 2), (1, 0, 3, 2)) == pytest.approx(1 / 3)
    assert overlap((0, 0, 1, 1), (2, 2, 3, 3)) == 0
