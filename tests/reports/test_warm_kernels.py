"""Forked kernels: the same reports, nothing of one in another, nothing left behind."""

from __future__ import annotations

import signal
from pathlib import Path

import nbformat
import psutil
import pytest
from other_processes import wait_for

from mobility.errors import ReportError
from mobility.reports import render as reports
from mobility.reports.warm_kernels import available, warm_kernels

pytestmark = pytest.mark.skipif(not available(), reason="needs fork and pidfd_open")


def notebook(path: Path, code: str) -> Path:
    cells = [
        nbformat.v4.new_code_cell('who: str = ""', metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell(code),
    ]
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=metadata), path)
    return path


def printed(tmp_path: Path, code: str) -> str:
    """What a small report prints."""
    made = reports.render_notebook(
        notebook(tmp_path / "small.ipynb", code),
        tmp_path / "out",
        name="small",
        title="t",
        parameters={"who": "Ann"},
    )
    (*_, cell) = nbformat.read(made["notebook"], as_version=4).cells
    return "".join(output.get("text", "") for output in cell.outputs)


def children() -> set[psutil.Process]:
    return set(psutil.Process().children(recursive=True))


@pytest.mark.slow
def test_a_report_is_the_same_from_a_fresh_and_a_forked_kernel(tmp_path, monkeypatch):
    def page(name: str, folder: str) -> tuple[bytes, bytes]:
        made = reports.render_notebook(
            reports.find_notebook(name), tmp_path / folder, name="a", title="t", parameters={}
        )
        return made["html"].read_bytes(), made["notebook"].read_bytes()

    squat, joints = "repetitions", "joint_angle_mobility"
    with monkeypatch.context() as elsewhere:  # where kernels cannot be forked
        elsewhere.setattr("mobility.reports.warm_kernels.available", lambda: False)
        fresh = {name: page(name, "fresh") for name in (squat, joints)}
    assert page(squat, "alone") == fresh[squat]
    with warm_kernels():
        for name in (squat, joints, squat):
            assert page(name, "warm") == fresh[name]


@pytest.mark.slow
def test_nothing_of_one_report_is_seen_by_the_next(tmp_path):
    soil = (
        "import sys, os, builtins, matplotlib, numpy, mobility\n"
        "builtins.soiled = sys.soiled = mobility.soiled = True\n"
        "matplotlib.rcParams['lines.linewidth'] = 77\n"
        "os.environ['SOILED'] = '1'\n"
        "numpy.random.seed(1)\n"
        "print(os.getpid())"
    )
    look = (
        "import sys, os, builtins, matplotlib, mobility\n"
        "print([hasattr(each, 'soiled') for each in (builtins, sys, mobility)],\n"
        "      matplotlib.rcParams['lines.linewidth'], 'SOILED' in os.environ, who)"
    )
    draw = "import random, numpy\nprint(random.random(), numpy.random.rand())"
    with warm_kernels():
        first = printed(tmp_path, soil)
        assert printed(tmp_path, look) == "[False, False, False] 1.5 False Ann\n"
        assert printed(tmp_path, soil) != first
        # Numbers drawn by chance are not those of the last report.
        assert printed(tmp_path, draw) != printed(tmp_path, draw)


@pytest.mark.slow
def test_kernels_and_their_server_end(tmp_path):
    before, files = children(), len(list(Path("/proc/self/fd").iterdir()))
    with warm_kernels():
        for _ in range(3):
            kernel = int(printed(tmp_path, "import os; print(os.getpid())"))
            wait_for(lambda kernel=kernel: not psutil.pid_exists(kernel))
        assert len(children() - before) == 1
    wait_for(lambda: children() <= before)
    assert len(list(Path("/proc/self/fd").iterdir())) <= files + 3


def test_the_server_of_a_single_report_ends_with_it(tmp_path):
    with warm_kernels():
        pass  # ends that of a widget that was shown before
    before = {process.pid for process in children()}
    server = int(printed(tmp_path, "import os; print(os.getppid())"))
    assert server not in before
    wait_for(lambda: not psutil.pid_exists(server))


@pytest.mark.slow
def test_a_kernel_or_server_that_is_killed(tmp_path):
    with warm_kernels():
        with pytest.raises(ReportError, match="kernel") as caught:
            printed(tmp_path, "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
        assert caught.value.retryable
        assert printed(tmp_path, "print(who)") == "Ann\n"
        (server,) = [
            each for each in children() if "mobility.reports.kernel_server" in each.cmdline()
        ]
        server.send_signal(signal.SIGKILL)
        server.wait()
        assert printed(tmp_path, "print(who)") == "Ann\n"


def test_a_kernel_has_no_debugger(tmp_path: Path) -> None:
    code = "import sys; print([name for name in sys.modules if name.startswith('pydevd')])"
    assert printed(tmp_path, code).strip() == "[]"
