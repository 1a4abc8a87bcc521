"""`benchmarks/scale.py`: simulated nights of which the length is known, and the page it writes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import yaml

from mobility.pipeline.cohort import choose_sessions, to_dataframe
from mobility.store import Store

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def scale(program):
    return program("scale")


@pytest.fixture
def measured(scale):
    """Ten seconds a video and one each second of it; nothing else takes time."""
    nothing = scale.Cost(0.0, 0.0)
    return scale.Measured(
        processors=2,
        videos=8,
        stages={"pose": scale.Cost(10.0, 1.0)},
        start_s=0.0,
        check_s=0.0,
        books_s=0.0,
        crowd_s=0.0,
        results=nothing,
        memory_mb=500.0,
        books_kb=20.0,
        prediction={"videos": 4.0, "predicted_s": 99.0, "measured_s": 100.0, "ratio": 0.99},
    )


def took(scale, measured, videos, **site):
    return scale.simulate(videos, measured, scale.Site(**site)).seconds


def test_workers_share_what_is_to_be_done(scale, measured):
    videos = [scale.Video(2.0, 1.0)] * 10
    assert took(scale, measured, videos, workers=1) == pytest.approx(120.0)
    # Ten by three: one has four.
    assert took(scale, measured, videos, workers=3) == pytest.approx(48.0)
    assert took(scale, measured, videos, workers=99) == pytest.approx(12.0)
    assert scale.handed_out([12.0] * 10, 3) == pytest.approx(48.0)


def test_what_comes_before_and_first(scale, measured):
    slow = replace(
        measured, start_s=5.0, check_s=3.0, stages={"pose": scale.Cost(10.0, 0.0, first=4.0)}
    )
    videos = [scale.Video(2.0, 1.0)] * 4
    # Four checks of 3 s on two processors; then each worker's first takes 14 s, its second 10 s.
    ran = scale.simulate(videos, slow, scale.Site(2))
    assert ran.checked == pytest.approx(11.0)
    assert ran.seconds == pytest.approx(35.0)
    assert ran.use["workers"] == pytest.approx(1.0)


def test_storage_and_books_are_shared_by_all_workers(scale, measured):
    videos = [scale.Video(0.0, 100.0)] * 50
    quick = replace(measured, stages={"pose": scale.Cost(0.0, 0.0)})
    # Read for the check, read again and written as a copy: 300 MB each through 10 MB/s.
    for workers in (1, 50):
        ran = scale.simulate(videos, quick, scale.Site(workers, 10.0))
        assert ran.seconds == pytest.approx(1500.0)
        assert ran.use["storage"] == pytest.approx(1.0)
    told = replace(quick, books_s=2.0)
    assert took(scale, told, videos, workers=50) == pytest.approx(100.0)


def test_a_crowded_store_is_slower(scale, measured):
    videos = [scale.Video(0.0, 0.0)] * 101
    crowded = replace(measured, stages={"pose": scale.Cost(1.0, 0.0)}, crowd_s=scale.CROWD)
    # A second more for each session that is there.
    assert took(scale, crowded, videos, workers=1) == pytest.approx(101 + sum(range(101)))


def test_the_least_number_of_workers_that_is_enough(scale, measured):
    videos = [scale.Video(2.0, 1.0)] * 300
    assert scale.needed(videos, measured, float("inf"), 0.1) == 10
    assert (
        took(scale, measured, videos, workers=9) > 360 >= took(scale, measured, videos, workers=10)
    )
    assert scale.needed(videos, measured, 1.0, 0.1) is None


def test_costs_come_out_of_the_times_that_they_make(scale):
    lengths = [1.0, 12.0, 3.0, 8.0, 2.0]
    first = [True, True, False, False, False]
    seconds = [2.0 + 0.5 * n + 3.0 * f for n, f in zip(lengths, first, strict=True)]
    found = scale.fitted(seconds, lengths, first)
    assert (found.fixed, found.each, found.first) == pytest.approx((2.0, 0.5, 3.0))


def test_the_page_has_what_the_command_writes(scale, measured, project):
    given = yaml.safe_load(scale.SITE.read_text())
    made = scale.tables(replace(measured, books_s=0.004), given)
    assert "a ratio of 0.99" in made
    assert "**together** | **10.00** | **1.000**" in made
    # The page in the project is of this form, and of this night.
    page = scale.PAGE.read_text()
    assert scale.written(page, made).count(made) == 1
    kept = page.partition(scale.BEGIN)[2].partition(scale.END)[0]
    for line in made.splitlines():
        if line.startswith("| workers") or line.startswith("| seconds of"):
            assert line in kept
    assert f"{given['night']['videos']:,} videos of {given['night']['median_seconds']} s" in kept


def test_a_store_of_many_sessions_is_one_of_whole_ones(scale, tmp_path):
    store = Store(scale.store_of(9, tmp_path))
    sessions = choose_sessions(store, exercise="Overhead Squat")
    assert len(sessions) == 9
    frame = to_dataframe(sessions)
    assert frame["reason"].ne("").any()  # of values that were refused,
    assert frame["metric"].ne("").all()  # not of sessions
    assert frame["session_id"].value_counts().nunique() == 1
    assert set(frame["user_id"].cat.categories) == {"p0", "p1", "p2"}
    assert set(frame["sex"]) == {"female", "male"}
    # Each is read from its table.
    for session in sessions:
        (session.folder / "metrics.nc").unlink()
    assert to_dataframe(sessions).equals(frame)
