"""A pose worker has no network.

Pose processes that wait for a job.
"""

from __future__ import annotations

import subprocess
import sys

import pytest
from other_processes import wait_for

from mobility.base.processes import Process
from mobility.capture import pose_process

CUT_OFF = "from mobility.capture import pose_process; pose_process.cut_off(); "


def printed(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", CUT_OFF + code], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has this filter")
def test_the_kernel_refuses_every_socket_also_to_threads_and_to_what_it_starts() -> None:
    code = (
        "import socket, subprocess, sys, threading\n"
        "def ask(family, kind=socket.SOCK_STREAM):\n"
        "    try: socket.socket(family, kind); print('open')\n"
        "    except PermissionError: print('refused')\n"
        "for each in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX): ask(each)\n"
        "ask(socket.AF_NETLINK, socket.SOCK_RAW)\n"
        "thread = threading.Thread(target=ask, args=[socket.AF_INET])\n"
        "thread.start(); thread.join()\n"
        "print(subprocess.run([sys.executable, '-c', 'import socket; socket.socket()'],"
        " capture_output=True, text=True).stderr)"
    )
    lines = printed(code)
    assert lines.split()[:5] == ["refused"] * 5
    assert "open" not in lines.split()
    assert lines.endswith("PermissionError: [Errno 13] Permission denied")


def test_whoever_asks_for_a_proxy_is_sent_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    code = (
        "import urllib.request as r; print(r.getproxies()['https'], r.proxy_bypass('play.example'))"
    )
    assert printed(code) == "http://127.0.0.1:9 False"


def test_a_pose_worker_is_cut_off_before_it_imports_or_is_asked() -> None:
    code = (
        "import socket, sys\n"
        "from mobility.capture import pose_worker\n"
        "def serve(*_, **__):\n"
        "    try: socket.socket()\n"
        "    except PermissionError: sys.exit(7)\n"
        "pose_worker.serve = serve\n"
        "pose_worker.main()\n"
        "sys.exit(1)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == (7 if sys.platform == "linux" else 1)


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
