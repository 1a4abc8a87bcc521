"""Who is in the picture, who is the subject, does the camera move."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from mobility.capture import survey
from mobility.capture.landmarker import Region
from mobility.capture.landmarks import nobody, overlap, rows_of
from mobility.capture.survey import Look, Person, Track
from mobility.errors import BadInputError

SIZE = (1000, 800)


def box(x, y, height):
    return (x - height / 5, y - height / 2, x + height / 5, y + height / 2)


def standing(b, visibility=0.9):
    """A person whose head is where that of somebody who stands in the box is."""
    return Person(
        box=b, head=((b[0] + b[2]) / 2, b[1] + 0.1 * (b[3] - b[1])), visibility=visibility
    )


def look(time, *people, shift=None):
    people = [one if isinstance(one, Person) else standing(one) for one in people]
    return Look(time=time, people=people, shift=shift, brightness=0.5, sharpness=100.0)


def test_two_people_become_two_tracks_and_a_deep_squat_does_not_break_one():
    looks = [
        look(t, *((box(300, 400, 500), box(800, 400, 300))[:: 1 if i % 2 else -1]))
        for i, t in enumerate((0.0, 0.5, 1.0, 1.5, 2.0, 4.0))
    ]
    tracks = survey.link(looks)
    assert [len(t.times) for t in tracks] == [6, 6]
    assert all(np.ptp([b[0] for b in track.boxes]) == 0 for track in tracks)
    squat = [look(t, box(300, 650 - h / 2, h)) for t, h in enumerate([500, 500, 260, 250, 480])]
    assert len(survey.link(squat)) == 1


def test_a_squat_beside_a_false_find_stays_one_person():
    # A film of one woman: twice, the model also finds a small person in a red ball beside her. Her
    # squatting head is nearer to that place than to where she stood half a second before.
    stands = Person(box=(205, 535, 374, 961), head=(290, 555), visibility=0.9)
    squats = Person(box=(218, 640, 372, 961), head=(298, 670), visibility=0.9)
    ball = Person(box=(328, 547, 417, 758), head=(395, 692), visibility=0.6)
    looks = [
        look(0, stands),
        look(0.5, stands, ball),
        look(1.0, squats),
        look(1.5, stands, ball),
        look(2.0, squats),
    ]
    tracks = survey.link(looks)
    assert [track.boxes[0] for track in tracks] == [stands.box, ball.box]
    assert [len(track.times) for track in tracks] == [5, 2]


def test_subject_is_who_is_pointed_at_else_the_largest_and_most_central_over_the_whole_trial():
    # Somebody larger crosses once; somebody equally large stands at the edge throughout.
    central, edge = box(480, 400, 400), box(120, 400, 400)
    looks = [look(t, central, edge) for t in range(10)]
    looks[4] = look(4, central, edge, box(850, 400, 780))
    tracks = survey.link(looks)
    for point, who in (None, central), ((130, 300), edge):
        assert tracks[survey.choose_subject(tracks, looks, *SIZE, point)].boxes[0] == who
    with pytest.raises(
        BadInputError, match=r"nobody is there; people were first seen at 480,400, 120,400"
    ):
        survey.choose_subject(tracks, looks, *SIZE, (640, 790))


def test_others_need_to_stand_beside_the_subject_twice():
    alone = [look(t, box(480, 400, 400)) for t in range(3)]
    back = [look(t, box(1180, 400, 400)) for t in range(8, 11)]
    tracks = survey.link(alone + back)
    assert len(tracks) == 2
    assert survey.other_people(tracks, 0) == []  # one person who left and came back
    once = [*alone, look(3, box(480, 400, 400), box(900, 400, 300))]
    assert survey.other_people(survey.link(once), 0) == []
    twice = [*once, look(4, box(480, 400, 400), box(900, 400, 300))]
    assert len(survey.other_people(survey.link(twice), 0)) == 1


def test_heads_of_all_others_are_kept_to_be_hidden_also_of_who_was_seen_once():
    me = box(480, 400, 400)
    looks = [look(0, me), look(1, me, box(900, 400, 300)), look(2, me)]
    tracks = survey.link(looks)
    seen = survey.summary(looks, tracks, 0)
    assert seen["other_people"] == []
    (track,) = seen["other_heads"]
    (time, x, y, radius), *more = track
    assert more == []
    assert (time, (x, y)) == (1, pytest.approx(tracks[1].heads[0], abs=0.05))
    # From this point up to the crown it is 0.15 of a standing person's height.
    assert 0.15 * 300 < radius < 0.25 * 300


UPPER = rows_of("nose", "left_shoulder", "right_shoulder")


def find_in(b, head, visibility=0.9):
    """A find of 33 landmarks: nose and shoulders at the head, the others around the box."""
    left, top, right, bottom = b
    around = np.linspace(0, 1, 30)
    pose = seen(visibility)
    pose["pixels"] = head
    rest = np.setdiff1d(np.arange(33), UPPER)
    pose["pixels"][rest, 0] = np.where(np.arange(30) % 2, left, right)
    pose["pixels"][rest, 1] = top + (bottom - top) * around
    return pose


def seen(visibility):
    """Landmarks of one person, all of which are seen so well."""
    pose = nobody()
    for name in ("confidence", "presence"):
        pose[name] = visibility
    return pose


def moved(pose, *by):
    """Landmarks moved in the picture, pixels."""
    elsewhere = pose.copy()
    elsewhere["pixels"] += by
    return elsewhere


def test_distinct_drops_a_second_find_of_the_same_person():
    once = find_in(box(300, 400, 500), (300, 200), 0.7)
    again = find_in(box(310, 405, 490), (310, 205), 0.9)
    assert survey.distinct([once, again]) == [survey.person(again)]
    # Arms can hide the face in a squat seen from the side: the model puts heads 40 px apart.
    once = find_in((120, 270, 330, 620), (240, 347), 0.9)
    again = once.copy()
    again["pixels"][UPPER] = (200, 280)
    assert survey.distinct([once, again]) == [survey.person(once)]
    beside = moved(again, 60.0, 0.0)
    assert len(survey.distinct([once, beside])) == 2


LYING = Person(box=(82, 116, 491, 251), head=(470, 215), visibility=1.0)
THERAPIST = Person(box=(88, 93, 418, 239), head=(330, 115), visibility=1.0)
"""Behind the couch; where her legs are hidden, the model puts them on those in front."""


def test_who_stands_behind_is_told_although_the_boxes_are_nearly_the_same():
    assert overlap(LYING.box, THERAPIST.box) > 0.6
    finds = [find_in(LYING.box, LYING.head), find_in(THERAPIST.box, THERAPIST.head)]
    finds[1]["pixels"][:23] = THERAPIST.head
    finds[1][23:] = finds[0][23:]  # her legs are put on his
    assert len(survey.distinct(finds)) == 2
    looks = [look(t, *(LYING, THERAPIST)[:: 1 if t % 2 else -1]) for t in range(6)]
    tracks = survey.link(looks)
    assert [set(track.heads) for track in tracks] == [{THERAPIST.head}, {LYING.head}]
    chosen = survey.choose_subject(tracks, looks, 640, 480, None)
    assert tracks[chosen].heads[0] == LYING.head  # as long as who lies is, not as high
    assert survey.other_people(tracks, chosen) == [1 - chosen]
    seen = survey.summary(looks, tracks, chosen)
    (other,) = seen["other_people"]
    for point, head in ((seen["subject"], LYING.head), (other["subject"], THERAPIST.head)):
        chosen_again = survey.choose_subject(tracks, looks, 640, 480, tuple(point))
        assert tracks[chosen_again].heads[0] == head


def test_a_point_names_who_is_first_seen_there_and_not_who_was_there_before():
    looks = [look(t, *((LYING,) if t < 3 else (LYING, THERAPIST))) for t in range(6)]
    tracks = survey.link(looks)
    assert survey.choose_subject(tracks, looks, 640, 480, (335, 130)) == 1
    assert survey.choose_subject(tracks, looks, 640, 480, (460, 220)) == 0


def test_a_look_at_several_people_is_followed_by_others_until_they_are_sure():
    """Somebody who is there for three seconds is else seen once."""
    a, b = box(480, 400, 400), box(900, 400, 300)
    looks, last, taken = [], -1, []
    for time in np.arange(0, 12, 1 / 30):
        if survey.is_due(time, last, looks):
            last = survey.look_number(time)
            taken.append(round(float(time), 2))
            looks.append(look(time, *((a, b) if 3.9 < time < 6.9 else (a,))))
    assert taken == [0, 0.5, 1, 1.5, 2, 4, 4.5, 5, 6, 8, 10]
    tracks = survey.link(looks)
    assert survey.other_people(tracks, 0) == [1]


def person_at(head, hips):
    """Face, shoulders and arms at the head, the rest at the hips."""
    pose = seen(1.0)
    pose["pixels"] = hips
    pose["pixels"][:23] = head
    return pose


def test_what_is_left_of_who_is_covered_is_not_another():
    image = np.full((480, 640, 3), 200, np.uint8)
    front = person_at((300, 200), (300, 300))
    front["pixels"][[15, 16]] = (200, 240), (400, 240)
    front["pixels"][[27, 28]] = (250, 420), (350, 420)
    without, mask = survey.cover_people(image, [front])
    assert (without[mask] == 128).all()
    assert (without[~mask] == 200).all()
    assert mask[300, 300]
    assert not mask[100, 300]
    again, beside, edge, doubtful, guessed = (
        person_at(*places)
        for places in (
            ((305, 230), (300, 300)),
            ((330, 120), (320, 300)),
            ((600, 120), (620, 300)),
            ((330, 120), (320, 300)),
            ((330, 120), (320, 300)),
        )
    )
    edge["pixels"][12] = 650, 120  # a shoulder outside the picture
    doubtful["confidence"] = 0.3
    guessed["pixels"][13:] = 300, 300  # all but the face and the shoulders under the cover
    kept = survey.uncovered_poses([again, beside, edge, doubtful, guessed], mask)
    assert [one["pixels"][0, 0] for one in kept] == [330, 600]
    # The landmarks of a face end at its eyes; in the crown above them the model sees somebody.
    _, mask = survey.cover_people(image, [person_at((300, 200), (300, 400))])
    crown = 200 - round(0.15 / 0.82 * 200 * 0.9)
    assert mask[crown, 300]
    assert not mask[200 - 60, 300]


def test_the_offset_of_two_searches_is_that_of_the_joints_both_see_of_the_chosen_person():
    me, other = person_at((300, 200), (300, 400)), person_at((900, 200), (900, 400))
    again = moved(me, 6.0, 0.0)
    assert survey.landmark_offset(me, again) == pytest.approx(6)
    again["pixels"][[27, 28], 0] += 500
    again["confidence"][[27, 28]] = 0.2
    assert survey.landmark_offset(me, again) == pytest.approx(6)
    assert survey.landmark_offset(nobody(), again) is None
    again["confidence"][13:] = 0.2
    assert survey.landmark_offset(me, again) is None  # two shoulders say too little
    assert survey.landmark_offset(me, other) is None
    people = survey.distinct([me, other], moved(other, 8.0, 0.0))
    assert sorted((one.head[0], one.offset) for one in people) == [(300, None), (900, 8)]
    looks = [look(time, *people) for time in range(3)]
    tracks = survey.link(looks)
    for index, track in enumerate(tracks):
        offset = survey.summary(looks, tracks, index)["landmark_offset_px"]
        assert offset == (None if track.heads[0][0] == 300 else pytest.approx(8))


def limbs(angle, visibility=1.0):
    """Poses of somebody whose left knee is bent by `angle`, degrees; all else rests."""
    poses = nobody(len(angle))
    poses["confidence"] = 1.0
    pixels = poses["pixels"]
    pixels[:] = 0.0
    pixels[:, 11], pixels[:, 12] = (100, 100), (140, 100)
    pixels[:, 13], pixels[:, 14] = (95, 150), (145, 150)
    pixels[:, 15], pixels[:, 16] = (92, 200), (148, 200)
    pixels[:, 23], pixels[:, 24] = (105, 220), (135, 220)
    pixels[:, 25], pixels[:, 26] = (105, 300), (135, 300)
    pixels[:, 28] = 135, 380
    bent = np.radians(angle)
    pixels[:, 27, 0], pixels[:, 27, 1] = 105 + 80 * np.sin(bent), 300 + 80 * np.cos(bent)
    poses["confidence"][:, 27] = visibility
    return poses


def test_who_lacks_landmarks_has_a_box_of_the_others_and_a_head_within_it():
    legs = nobody()
    legs["pixels"][23:29] = [(90, 200), (110, 200), (90, 300), (110, 300), (90, 400), (110, 400)]
    legs["confidence"][23:29] = 1.0
    someone = survey.person(legs)
    assert someone.box == (90, 200, 110, 400)
    assert someone.head == (100, 300)
    assert someone.visibility == 0.5
    legs["pixels"][0] = 100, 50
    assert survey.person(legs).head == (100, 50)


def test_the_way_of_a_limb():
    angle = 60 - 60 * np.cos(2 * np.pi * np.arange(300) / 100)
    assert survey.limb_range(limbs(angle)) == pytest.approx(120, abs=3)
    assert survey.limb_range(limbs(0 * angle)) == 0
    glitch = 0 * angle
    glitch[[100, 101, 200]] = 130
    assert survey.limb_range(limbs(glitch)) == 0
    assert survey.limb_range(limbs(angle, visibility=0.3)) == 0
    gone = limbs(angle)
    gone[:100] = nobody()
    assert survey.limb_range(gone) == pytest.approx(80, abs=3)
    gone[:200] = nobody()
    assert survey.limb_range(gone) == 0  # was there for a third of the time
    assert survey.limb_range(nobody(10)) == 0


def test_the_subject_is_who_clearly_moves():
    for ways, who in (
        ([5, 120], 1),
        ([120, 50], 0),
        ([60, 100], 0),  # both move: who is prominent stays
        ([5, 20], 0),  # nobody moves
        ([10, 40, 90], 2),
        ([0], 0),
    ):
        assert survey.who_moves(ways) == who, ways


def test_a_find_with_the_head_of_another_is_not_the_subject():
    looks = [0.0, 1.0, 2.0, 3.0, 4.0]
    tracks = survey.link([look(t, LYING, THERAPIST) for t in range(3)])
    subject, other = sorted(tracks, key=lambda track: -track.heads[0][0])
    hers, his = person_at((335, 120), (250, 210)), person_at((460, 200), (250, 210))
    assert survey.is_another(hers, 1.0, subject, [other], looks)
    assert survey.is_another(hers, 2.5, subject, [other], looks)
    assert not survey.is_another(his, 1.0, subject, [other], looks)
    assert not survey.is_another(hers, 9.0, subject, [other], looks)
    # A rival seen at 0 s and at 4 s is not there in between, where the looks see nobody.
    subject = Track(looks, [LYING.box] * 5, [LYING.head] * 5, [1.0] * 5)
    rival = Track([0.0, 4.0], [THERAPIST.box] * 2, [THERAPIST.head] * 2, [1.0] * 2)
    for time, another in (0.0, True), (0.5, True), (1.5, False), (2.5, False), (3.5, True):
        assert survey.is_another(hers, time, subject, [rival], subject.times) is another, time
    # Between looks box and head are linear.
    track = Track([0.0, 2.0], [(0, 0, 10, 20), (10, 0, 20, 40)], [(5, 2), (15, 4)], [0.9, 0.9])
    assert (track.box_at(1.0), track.head_at(1.0)) == ((5, 0, 15, 30), (10, 3))
    assert (track.box_at(9.0), track.head_at(9.0)) == ((10, 0, 20, 40), (15, 4))


def _texture(shape, seed=0):
    rng = np.random.default_rng(seed)
    return cv2.GaussianBlur(rng.integers(0, 255, shape, dtype=np.uint8), (5, 5), 0)


def filmed_by_a_camera_that_moved(to_place, *, wall=None, boxes=((130, 60, 190, 230),), light=()):
    """Shifts of the background at five looks; `to_place` gives the movement (2, 3) of each."""
    wall = _texture((240, 320)) if wall is None else wall
    pictures = []
    for i in range(5):
        moved = cv2.warpAffine(wall, to_place(i), (320, 240), borderMode=cv2.BORDER_REFLECT)
        if light:
            moved = np.clip(moved * light[i][0] + light[i][1], 0, 255).astype(np.uint8)
        pictures.append(moved)
    return survey.background_shifts(pictures, [list(boxes)] * 5)


def moved_by(dx=0.0, *, zoom=1.0):
    motion = cv2.getRotationMatrix2D((160, 120), 0.0, zoom)
    motion[0, 2] += dx
    return motion


def moving(shifts):
    looks = [look(2.0 * i, shift=shift) for i, shift in enumerate(shifts)]
    return survey.camera_motion(looks)["camera_moving"]


def test_the_distance_of_the_background_from_its_usual_place_is_measured():
    for dx in (0, 0.5, 4, 12, 32):  # a knock after the first two looks
        shifts = filmed_by_a_camera_that_moved(lambda i, dx=dx: moved_by(dx * (i < 2)))
        expected = [dx / 320] * 2 + [0] * 3
        assert shifts == pytest.approx(expected, abs=2e-4), dx
        assert moving(shifts) is (dx > 1)
    assert moving(filmed_by_a_camera_that_moved(lambda i: moved_by(1.0 * i)))  # a pan
    assert moving(filmed_by_a_camera_that_moved(lambda i: moved_by(zoom=1 + 0.02 * i)))
    once = filmed_by_a_camera_that_moved(lambda i: moved_by(10.0 * (i == 3)))
    assert once[3] == pytest.approx(10 / 320, abs=2e-4)
    assert not moving(once)
    flicker = ((1.0, 0), (0.7, 20), (1.2, -10), (0.8, 0), (1.0, 30))
    assert not moving(filmed_by_a_camera_that_moved(lambda i: moved_by(), light=flicker))
    assert survey.background_shifts([], []) == []


def test_what_moves_before_the_background_is_not_the_camera():
    """Arms that reach beyond the box of the person sweep through two corners of a plain wall."""
    wall = np.full((240, 320), 170, np.uint8)
    wall[::24, ::20] = wall[1::24, ::20] = 90  # little to see on it
    wall[200:] = _texture((40, 320))  # the floor
    arm, pictures = _texture((90, 60), seed=1), []
    for i in range(5):
        picture = wall.copy()
        for left in (20 + 8 * i, 240 - 8 * i):
            picture[10 * i : 10 * i + 90, left : left + 60] = arm
        pictures.append(picture)
    shifts = survey.background_shifts(pictures, [[(130, 60, 190, 230)]] * 5)
    assert max(shifts) < 0.001
    assert not moving(shifts)
    # Nor is a person in front.
    person, pictures, boxes = _texture((160, 80), seed=1), [], []
    for left in (60, 90, 120, 150):
        picture = _texture((240, 320))
        picture[60:220, left : left + 80] = person
        pictures.append(picture)
        boxes.append([(left, 60, left + 80, 220)])
    assert max(survey.background_shifts(pictures, boxes)) < 0.001


def test_a_few_fields_that_stay_are_no_camera_at_rest() -> None:
    """The camera pans below a caption that stays where it is, over eight of 64 fields."""
    pictures = []
    for i in range(5):
        picture = cv2.warpAffine(_texture((240, 320)), moved_by(6.0 * i), (320, 240))
        picture[210:] = _texture((30, 320), seed=3)
        pictures.append(picture)
    shifts = survey.background_shifts(pictures, [[(130, 60, 190, 200)]] * 5)
    assert shifts == pytest.approx([12 / 320, 6 / 320, 0, 6 / 320, 12 / 320], abs=5e-4)


def test_nothing_is_said_of_the_camera_where_there_is_nothing_to_see():
    wall = np.full((240, 320), 127, np.uint8)
    assert filmed_by_a_camera_that_moved(lambda i: moved_by(4.0 * i), wall=wall) == [None] * 5
    # Another shot is not compared with the first.
    shots = [_texture((240, 320), seed=i // 3) for i in range(5)]
    shifts = survey.background_shifts(shots, [[]] * 5)
    assert shifts == pytest.approx([0.0] * 5, abs=1e-6)
    assert survey.background_shifts(shots[2:4], [[]] * 2) == [None, None]


def test_a_camera_that_moves_part_of_the_time_is_moving():
    for shifts, expected in (
        ([0.0005] * 10, False),
        ([0.0005] * 8 + [0.03, 0.0005], False),  # a knock
        ([0.0005] * 7 + [0.03, 0.03, 0.0005], True),  # elsewhere a fifth of the time
        ([0.0005] * 18 + [0.03, 0.03], False),
        ([0.01] * 10, True),
        ([0.0, 0.01], True),
        ([None] * 3, None),
    ):
        looks = [look(2.0 * i, shift=shift) for i, shift in enumerate(shifts)]
        moves = survey.camera_motion(looks)
        assert moves["camera_moving"] is expected
        if expected is not None:
            assert moves["camera_shift_max"] == pytest.approx(max(shifts))
    track = Track([0.0], [box(480, 400, 400)], [(480, 240)], [0.9])
    assert survey.summary([look(0.0, shift=0.0), look(1.0, shift=0.01)], [track], 0)[
        "camera_moving"
    ]


@pytest.mark.parametrize("sd", [2, 6])
@pytest.mark.parametrize("dx", [0, 6])
def test_noise_on_a_plain_wall_is_not_a_moving_camera(dx, sd):
    """Nearly all corners are noise there, and go each its own way."""
    noise = np.random.default_rng(3)
    pictures = []
    for left in (40, 40, 40 + dx, 40 + dx, 40 + dx):
        wall = np.full((240, 320), 127.0)
        for number in range(8):
            x = left + 70 * number % 250
            wall[10 + 28 * number : 30 + 28 * number, x : x + 25] = 110
        pictures.append(np.clip(wall + noise.normal(0, sd, wall.shape), 0, 255).astype(np.uint8))
    expected = dx > 0
    moves = moving(survey.background_shifts(pictures, [[]] * 5))
    assert moves is expected if sd < 4 else moves in (None, expected)


def test_region_beyond_the_picture_is_grey_and_contiguous():
    part = Region(-2, -1, 8, 5).cut(np.zeros((4, 6, 3), np.uint8))
    assert part.shape == (6, 10, 3)
    assert part.flags.c_contiguous
    assert (part[0] == 128).all()
    assert (part[1:5, 2:8] == 0).all()
    assert overlap((0, 0, 2, 2), (1, 0, 3, 2)) == pytest.approx(1 / 3)
    assert overlap((0, 0, 1, 1), (2, 2, 3, 3)) == 0
