"""Two rendered clips of one squat, through a whole session, against the truth."""

from __future__ import annotations

import warnings
from pathlib import Path
from types import ModuleType

import pytest

import mobility as mb
from mobility.provenance import cameras_of
from mobility.virtual_lab.case import case_from, render_case


@pytest.fixture(scope="module")
def benchmark(program) -> ModuleType:
    return program("cameras")


def test_two_cameras_are_better_than_the_better_one(
    extra: None, benchmark: ModuleType, pose_model: Path, tmp_path: Path
) -> None:
    values, second = benchmark.PAIRS["both_oblique"]
    values = {
        **values,
        "motion": {**values["motion"], "repetitions": 1, "depth": 50},
        "video": {"frame_rate": 20},
    }
    case = case_from(values)
    with warnings.catch_warnings():
        # What torch and warp warn of while they are imported is not ours.
        warnings.simplefilter("ignore")
        front, truth_file = render_case(case, tmp_path / "front.mp4")
        benchmark.render_second(case, second, tmp_path / "side.mp4")
    truth = benchmark.true_angles(truth_file)

    store = mb.Store(tmp_path / "sessions", reports=tmp_path / "reports")
    who = {"user_id": "p01", "exercise_name": "Overhead Squat"}
    session = store.create(front, tmp_path / "side.mp4", **who).analyze(annotate=False)
    told = cameras_of(session.fitted())[1]
    assert told["time_offset_s"] == pytest.approx(second.start, abs=0.02)
    assert int(session.metrics()["accepted_repetitions"]) == 1

    both = benchmark.errors(session.angles(), truth)
    alone = [
        benchmark.errors(mb.joint_angles(mb.fit_body(benchmark.cleaned(pose))), truth, offset)
        for pose, offset in ((session.pose(), 0.0), (session.second_pose(), second.start))
    ]

    def mean(errors: dict[str, float]) -> float:
        return sum(errors[name] for name in benchmark.MEANT) / len(benchmark.MEANT)

    assert mean(both) < 0.9 * min(map(mean, alone))
    assert mean(both) < 5.0
