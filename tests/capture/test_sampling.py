"""In which frames the pose is estimated."""

from __future__ import annotations

import numpy as np
import pytest

from mobility.capture.landmarks import Landmarks, nobody
from mobility.capture.sampling import choose_frames, chooser, is_fast


@pytest.mark.parametrize(
    ("filmed", "asked", "given"),
    [
        *((30, 15, 15), (60, 15, 15), (240, 15, 15), (25, 15, 12.5), (50, 15, 50 / 3)),
        *((24, 15, 12), (20, 15, 20), (10, 15, 10), (30, 30, 30), (60, 10, 10)),
        *((30, 1000, 30), (30000 / 1001, 15, 15000 / 1001), (40, 30, 40)),
        *((30, "all", 30), (60, "usual", 15)),
    ],
)
def test_the_rate_is_the_nearest_to_which_that_of_the_video_divides(filmed, asked, given):
    times = np.arange(600) / filmed
    chosen = choose_frames(times, asked)
    assert np.isin(chosen, times).all()
    np.testing.assert_allclose(np.diff(chosen), 1 / given)
    assert chosen[0] == 0


@pytest.mark.parametrize(("seconds", "share"), [(0.2, 1.0), (0.95, 1.0), (2.0, 0.25)])
def test_every_frame_of_a_short_video_counts(seconds, share):
    times = np.arange(round(60 * seconds)) / 60
    assert len(choose_frames(times, "usual")) == pytest.approx(share * len(times), abs=1)


def test_at_most_never_gives_more_but_for_rounding():
    for filmed, given in ((40, 20), (60, 30), (31, 31), (50, 25), (30, 30), (240, 30)):
        chosen = choose_frames(np.arange(600) / filmed, 30, at_most=True)
        np.testing.assert_allclose(np.diff(chosen), 1 / given)


def test_uneven_time_stamps_and_gaps_are_kept():
    rng = np.random.default_rng(0)
    times = np.arange(900) / 60 + rng.uniform(-0.004, 0.004, 900)
    chosen = choose_frames(times, 15)
    assert np.isin(chosen, times).all()
    assert np.diff(chosen).min() > 0.05
    assert np.diff(chosen).max() < 0.08
    gap = np.concatenate([times[:300], times[500:]])
    chosen = choose_frames(gap, 15)
    steps = np.diff(chosen)
    assert np.sort(steps)[-2] < 0.08
    assert steps.max() == pytest.approx(times[500] - times[299], abs=0.08)


@pytest.mark.parametrize("times", [[], [0.0], [0.0, 0.04]])
def test_a_video_of_hardly_a_frame(times):
    assert choose_frames(np.array(times), 15).tolist() == times[:1]


def test_the_next_frame_stands_in_for_one_that_cannot_be_decoded():
    is_chosen = chooser([0.0, 0.2, 0.4, 0.6])
    decoded = [0.0, 0.1, 0.3, 0.4, 0.5, 0.7]
    assert [time for time in decoded if is_chosen(time)] == [0.0, 0.3, 0.4, 0.7]


WRIST, ANKLE = 16, 28


def _poses(way: float, landmark: int, frames: int = 60) -> Landmarks:
    """A body of size 100, of which a landmark goes so far in each frame."""
    poses = nobody(frames)
    poses["pixels"], poses["confidence"] = 0.0, 1.0
    poses["pixels"][:, 31, 1] = 100.0
    poses["pixels"][:, landmark, 0] = way * 100 * np.abs(np.arange(frames) % 8 - 4)
    return poses


@pytest.mark.parametrize(("landmark", "limit"), [(WRIST, 0.25), (ANKLE, 0.08)])
def test_a_limb_that_goes_far_between_frames_is_fast(landmark, limit):
    assert is_fast(_poses(1.2 * limit, landmark))
    assert not is_fast(_poses(0.8 * limit, landmark))


def test_a_landmark_that_jumps_away_and_back_or_is_hidden_is_not_fast():
    poses = _poses(0.0, WRIST)
    poses["pixels"][20, WRIST, 0] = 80.0
    assert not is_fast(poses)
    poses = _poses(0.5, WRIST)
    poses["confidence"][:, WRIST] = 0.2
    assert not is_fast(poses)
    assert not is_fast(nobody(60))
