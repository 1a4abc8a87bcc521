"""Pose processes that wait for a job."""

import subprocess

import pytest

from mobility.capture import pose_process


@pytest.fixture
def made(monkeypatch) -> list[subprocess.Popen[bytes]]:
    """Processes in their order; they do nothing but read."""
    processes: list[subprocess.Popen[bytes]] = []

    def new() -> subprocess.Popen[bytes]:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        processes.append(subprocess.Popen(["cat"], **pipes))
        return processes[-1]

    monkeypatch.setattr(pose_process, "_new", new)
    return processes


def test_those_that_wait_are_taken_before_others_are_started(made):
    with pose_process.started_ahead(8):
        assert len(made) == pose_process.AT_ONCE
        ahead = list(made)
        taken = [pose_process.start() for _ in range(3)]
        assert taken[:2] == ahead
        assert len(made) == 3
    for process in taken:
        assert process.poll() is None  # whoever took it ends it
        process.communicate()


def test_no_more_are_started_than_are_asked_for(made):
    with pose_process.started_ahead(1):
        assert len(made) == 1


def test_those_without_a_job_are_ended_whatever_happened(made):
    with pytest.raises(KeyError), pose_process.started_ahead(2):
        raise KeyError
    assert all(process.poll() is not None for process in made)
    pose_process.start().communicate()
    assert len(made) == 3


def test_one_that_ended_while_it_waited_gets_no_job(made):
    with pose_process.started_ahead(1):
        made[0].kill()
        made[0].wait()
        pose_process.start().communicate()
        assert len(made) == 2
