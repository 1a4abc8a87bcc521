"""Steps in words.

Who was filmed, how often, and by which cameras.
"""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from analytic import with_step
from read_pages import text_of

from mobility.base.provenance import with_history
from mobility.kinematics.stances import Step
from mobility.reports import origin, recording, repetition_tables
from mobility.reports.recording import step_in_words, steps_in_a_line
from mobility.sessions.record import Edits, VideoFile
from mobility.store import Session, Store


@pytest.mark.parametrize(
    ("way", "words"),
    [
        ((0.2, 0.0, 0.0), "steps forward"),
        ((-0.2, 0.05, 0.0), "steps backward"),
        ((0.02, 0.15, 0.0), "steps to the left"),
        ((0.0, -0.15, 0.07), "steps to the right"),
        ((0.03, 0.04, 0.0), "steps forward and to the left"),
        # One foot goes out by 20 cm, the middle of both by half of that.
        ((0.0, 0.1, 0.2), "moves the feet wider apart"),
        ((0.0, 0.0, -0.12), "moves the feet closer together"),
        ((0.2, 0.0, 0.15), "steps forward and moves the feet wider apart"),
        ((0.0, 0.001, 0.0), "moves the feet"),
    ],
)
def test_a_step_is_named_by_its_largest_parts(way, words):
    assert step_in_words(Step(4.0, 4.8, *way)) == f"{words} at 4.4 s"


def test_a_foot_that_is_put_back_is_named_so():
    assert step_in_words(Step(4.0, 4.8, 0.02, 0.0, 0.0, 0.025)) == (
        "lifts a foot and puts it back at 4.4 s"
    )
    assert step_in_words(Step(4.0, 4.8, 0.03, 0.0, 0.0, 0.06)) == "steps forward at 4.4 s"


def test_a_line_names_the_steps_and_what_they_mean(squat_pose):
    pose = squat_pose().pose
    assert steps_in_a_line(pose) == ""
    stepped = with_step(pose, 4.0, 4.8, forward=0.2)
    assert steps_in_a_line(stepped) == (
        "The person steps forward at 4.4 s. "
        "Each repetition is compared with how the person stands at the same spot."
    )
    movements = stepped.assign(joints=("rep", ["left knee"]))
    assert steps_in_a_line(movements) == "The person steps forward at 4.4 s."
    many = [
        {"from_s": t, "to_s": t + 1, "forward_m": 0.2, "left_m": 0.0, "wider_m": 0.0}
        for t in range(0, 14, 2)
    ]
    stances = [{"first_s": 0.0, "last_s": 1.0, "standing_s": 0.0}] * 8
    line = steps_in_a_line(with_history(pose, "fit_body", {}, stances=stances, steps=many))
    assert line.startswith("The person steps forward at 0.5 s, steps forward at 2.5 s, ")
    assert "steps forward at 8.5 s and 2 more. Each" in line


def test_two_cameras_are_told_with_view_offset_and_both_videos(session: Session) -> None:
    seen = {"focal_length_px": 1000.0, "residual_m": 0.012, "residual_px": 4.2}
    late = {"azimuth_deg": -88.0, "time_offset_s": -0.5184, "time_offset_sd_s": 0.005}
    cameras = [{"azimuth_deg": 4.0, **seen}, {**late, **seen}]
    shown = recording.cameras(with_history(session.fitted(), "fit_body", {}, cameras=cameras))
    for text in ("front", "left (88° from the front)", "earlier by 0.518 s ± 0.010 s", "1.2 cm"):
        assert text in shown
    late["time_offset_s"] = 0.5184
    cameras = [cameras[0], {**late, **seen}]
    shown = recording.cameras(with_history(session.fitted(), "fit_body", {}, cameras=cameras))
    assert "later by 0.518 s ± 0.010 s" in shown
    second = VideoFile(file="video-2.mp4", original_name="<b>side", sha256="d" * 64, size=1)
    record = session.record.model_copy(update={"second_video": second})
    given = record, session.fitted(), session.metrics()
    assert "d" * 64 in origin.provenance(*given, made_on=date(2026, 1, 1))
    section = recording.who_and_what(record, None, session.fitted(), session.repetitions(), Edits())
    assert "&lt;b&gt;side" in section


@pytest.mark.parametrize(
    ("measured", "films"),
    [
        (None, "Videos from two cameras: left.mov and right.mov"),
        (1, "Measured only from the video left.mov. The video from the other camera, right.mov,"),
        (2, "Measured only from the video right.mov. The video from the other camera, left.mov,"),
    ],
)
def test_the_first_page_says_which_session_and_film_it_is(measured: int | None, films: str) -> None:
    session = Store("absent").demo("Squat")
    named = session.record.video.model_copy(update={"original_name": "left.mov"})
    added = datetime(2026, 11, 29, 21, 51, tzinfo=UTC)
    changed = {"session_name": "After 6 weeks", "video": named, "created_at": added}
    one = session.record.model_copy(update=changed)
    args = None, session.repetitions(), session.capture_quality(), session.edits()
    shown = text_of(recording.in_a_line(one, *args))
    assert shown.startswith(f"After 6 weeks · {one.user_id} · added 29 Nov 2026, 21:51 ·")
    assert shown.endswith("Video: left.mov")
    other = named.model_copy(update={"original_name": "right.mov"})
    two = one.model_copy(update={"second_video": other, "measured_video": measured})
    assert films in text_of(recording.in_a_line(two, *args))
    assert len(two.videos) == (2 if measured is None else 1)
    parts = [{"first_s": a, "last_s": b, "standing_s": 1.0} for a, b in ((0, 4), (4.8, 13))]
    step = {"from_s": 4.0, "to_s": 4.8, "forward_m": 0.2, "left_m": 0.0, "wider_m": 0.0}
    steps = with_history(args[1], "fit_body", {}, stances=parts, steps=[step])
    shown = text_of(recording.in_a_line(one, None, steps, *args[2:]))
    assert "Video: left.mov The person steps forward at 4.4 s. Each repetition is" in shown
    # Where repetitions are looked at, too.
    shown = text_of(repetition_tables.repetition_table(session.metrics(), steps))
    assert shown.endswith("with how the person stands at the same spot.")


def test_pages_name_the_model_of_the_keypoints(session: Session) -> None:
    given = session.record, None, session.repetitions()
    more = session.capture_quality(), session.edits()
    assert "Keypoints MediaPipe" in text_of(
        recording.who_and_what(*given[:2], session.fitted(), given[2], more[1])
    )
    assert "Keypoints" not in recording.in_a_line(*given, *more)
    assert "MediaPipe" in origin.landmarks(session.fitted())
    whose = {"pose_source": "other", "source_software": "RTMPose"}
    made = session.record.provenance.model_copy(update={**whose, "model_sha256": None})
    record, pose = session.record.model_copy(update={"provenance": made}), session.fitted()
    pose.attrs |= whose
    pose.attrs.pop("model_sha256", None)
    assert "Keypoints: RTMPose" in text_of(recording.in_a_line(record, *given[1:], *more))
    assert "Keypoints RTMPose" in text_of(
        recording.who_and_what(record, None, pose, given[2], more[1])
    )
    assert "are keypoints from RTMPose" in origin.landmarks(pose)
    facts = text_of(origin.provenance(record, pose, session.metrics(), made_on=date(2026, 1, 1)))
    assert "Keypoints from RTMPose" in facts
    assert "mediapipe" not in facts.lower()
