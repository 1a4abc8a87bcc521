"""Processes that are asked and answer, and what is left of those that die."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import psutil
import pytest
from other_processes import wait_for

from mobility.base.processes import Process
from mobility.errors import (
    BadInputError,
    DiskFullError,
    EndedError,
    MobilityError,
    NotFoundError,
    WorkerError,
)

ANSWERS = """
    import os, signal, subprocess, sys, time
    from mobility import errors
    from mobility.base.processes import serve

    def do(request, send):
        match request["do"]:
            case "print":
                print("noise")
                os.system("echo noise; echo noise >&2")
            case "count":
                for number in range(3):
                    send({"number": number}, bytes(number))
            case "die":
                os.kill(os.getpid(), request["signal"])
            case "exit":
                os._exit(7)
            case "wait":
                time.sleep(600)
            case "start":
                return subprocess.Popen(["sleep", "600"]).pid
            case "eat":
                raise MemoryError
            case "bug":
                1 / 0
            case "fields":
                raise errors.BadInputError.of({"name": "is empty"}, what="form")
            case "refuse":
                error = getattr(errors, request["kind"])("line one\\nline two")
                error.retryable = True
                raise error
        return [request["do"], os.getpid()]

    serve(do)
"""


@pytest.fixture(autouse=True)
def answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a module of that name that is asked."""
    (tmp_path / "answers.py").write_text(textwrap.dedent(ANSWERS))
    path = [str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path))


def test_one_request_after_another_is_answered_by_the_same_process():
    with Process("answers") as process:
        assert [process.ask({"do": "x"}) for _ in range(2)] == [["x", process.pid]] * 2
        assert not process.ended
    assert process.ended
    with pytest.raises(EndedError):
        process.ask({"do": "x"})


def test_what_is_printed_neither_mixes_with_answers_nor_reaches_the_terminal(capfd):
    with Process("answers") as process:
        assert process.ask({"do": "print"})[0] == "print"
    assert capfd.readouterr() == ("", "")


def test_messages_come_before_the_answer_with_their_bytes():
    messages = []
    with Process("answers") as process:
        process.ask({"do": "count"}, on_message=lambda *message: messages.append(message))
    assert messages == [({"number": number}, bytes(number)) for number in range(3)]


@pytest.mark.parametrize(
    ("request_", "words", "retryable"),
    [
        ({"do": "die", "signal": signal.SIGSEGV}, "was ended by signal 11", True),
        ({"do": "die", "signal": signal.SIGKILL}, "was killed by the system", True),
        ({"do": "exit"}, "ended with status 7", False),
        ({"do": "eat"}, "needed more memory than its limit", False),
    ],
)
def test_a_process_that_dies_is_an_error_of_one_line(request_, words, retryable):
    with Process("answers") as process, pytest.raises(EndedError, match=words) as caught:
        process.ask(request_)
    assert caught.value.retryable == retryable


@pytest.mark.parametrize("half", [b'{"number": 1, "by', b'{"number": 1, "bytes": 5}\nab'])
def test_a_message_that_was_cut_off_is_none(half, tmp_path):
    (tmp_path / "halves.py").write_text(f"import os; os.write(1, {half!r})")
    with Process("halves") as process, pytest.raises(EndedError, match="ended with status 0"):
        process.ask({}, on_message=lambda *_: pytest.fail("a message"))


def test_one_that_takes_too_long_is_dead_when_that_is_said():
    with Process("answers") as process:
        process.ask({"do": "x"})
        with pytest.raises(EndedError, match=r"was stopped after 0\.2 s, its time limit") as caught:
            process.ask({"do": "wait"}, seconds=0.2)
        assert process.ended
    assert not caught.value.retryable


def test_one_that_is_killed_by_another_thread_answers_at_once():
    with Process("answers") as process:
        process.ask({"do": "x"})
        threading.Timer(0.1, process.kill).start()
        with pytest.raises(EndedError):
            process.ask({"do": "wait"})


@pytest.mark.parametrize("kind", [BadInputError, NotFoundError, DiskFullError])
def test_errors_come_over_as_they_are(kind):
    with Process("answers") as process:
        with pytest.raises(MobilityError) as caught:
            process.ask({"do": "refuse", "kind": kind.__name__})
        assert type(caught.value) is kind
        assert str(caught.value) == r"line one\nline two"
        assert caught.value.retryable
        with pytest.raises(WorkerError, match="ZeroDivisionError"):
            process.ask({"do": "bug"})
        with pytest.raises(BadInputError, match="form: name: is empty") as caught:
            process.ask({"do": "fields"})
        assert caught.value.fields == {"name": ["is empty"]}
        assert not process.ended


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs process groups")
def test_the_leader_of_a_session_is_killed_with_all_that_it_started():
    with Process("answers", start_new_session=True) as process:
        started = process.ask({"do": "start"})
        assert psutil.pid_exists(started)
    wait_for(lambda: _is_dead(started))


@pytest.mark.parametrize("session", [False, True])
def test_it_ends_with_its_parent_however_that_ended_and_whatever_it_does(session):
    """A script without a guard of `__main__` starts it, and is killed."""
    script = (
        "import os, threading\n"
        "from mobility.base.processes import Process\n"
        f"busy, idle = (Process('answers', start_new_session={session}) for _ in range(2))\n"
        "print(busy.ask({'do': 'x'})[1], idle.ask({'do': 'x'})[1], flush=True)\n"
        "busy.ask({'do': 'wait'})\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        children = list(map(int, parent.stdout.readline().split()))
        assert len(children) == 2
        assert not any(map(_is_dead, children))
        parent.kill()
    wait_for(lambda: all(map(_is_dead, children)))


def test_ctrl_c_is_for_whoever_asks():
    with Process("answers") as process:
        process.ask({"do": "x"})
        os.kill(process.pid, signal.SIGINT)
        assert process.ask({"do": "x"}) == ["x", process.pid]


def _is_dead(pid: int) -> bool:
    """Whether a process is gone, or waits for its parent to notice."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_one_that_nobody_closed_leaves_no_warning_behind(tmp_path: Path) -> None:
    script = """
        import os, sys, threading
        from mobility.base.processes import Process
        kept = Process(sys.argv[1])
        kept.ask({"do": "print"})
        if not os.fork():
            del kept  # a fork that ends, as kernels are, must not end the parent's process
            sys.exit()
        os.wait()
        kept.ask({"do": "print"})
        del kept
        for timer in threading.enumerate()[1:]:
            timer.join()
    """
    (tmp_path / "answers.py").write_text(textwrap.dedent(ANSWERS))
    ran = subprocess.run(
        [sys.executable, "-W", "always", "-c", textwrap.dedent(script), "answers"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "ResourceWarning" not in ran.stderr
