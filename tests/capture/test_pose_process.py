"""Pose processes that wait for a job."""

import pytest
from other_processes import wait_for

from mobility.base.processes import Process
from mobility.capture import pose_process


@pytest.fixture
def made(monkeypatch) -> list[Process]:
    """Processes in their order; they do nothing but read."""
    processes: list[Process] = []

    class Reads(Process):
        def __init__(self, _: str) -> None:
            super().__init__("timeit", "-s", "input()")
            processes.append(self)

    monkeypatch.setattr(pose_process, "Process", Reads)
    return processes


def test_those_that_wait_are_taken_before_others_are_started(made):
    with pose_process.started_ahead(8):
        assert len(made) == pose_process.AT_ONCE
        ahead = list(made)
        taken = [pose_process.start() for _ in range(3)]
        assert taken[:2] == ahead
        assert len(made) == 3
    for process in taken:
        assert not process.ended  # whoever took it ends it
        process.close()


def test_no_more_are_started_than_are_asked_for(made):
    with pose_process.started_ahead(1):
        assert len(made) == 1


def test_those_without_a_job_are_ended_whatever_happened(made):
    with pytest.raises(KeyError), pose_process.started_ahead(2):
        raise KeyError
    assert all(process.ended for process in made)
    pose_process.start().close()
    assert len(made) == 3


def test_one_that_ended_while_it_waited_gets_no_job(made):
    with pose_process.started_ahead(1):
        made[0].kill()
        wait_for(lambda: made[0].ended)
        pose_process.start().close()
        assert len(made) == 2
