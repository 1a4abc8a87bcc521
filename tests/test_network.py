"""Nothing leaves this machine, whatever way in is taken, as the kernel sees it.

The server, the virtual lab and JupyterLab are traced by the tests that run them anyway.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from demo_sessions import beginning
from network_trace import addresses_outside, refused, tracing
from other_processes import ended


@pytest.mark.slow
@pytest.mark.parametrize("typed", ["demo", "batch m.csv --workers 1"])
def test_a_command_reaches_nobody(typed: str, demo: Path, tmp_path: Path) -> None:
    log = tmp_path / "trace"

    def traced(*words: str) -> None:
        done = ended([*tracing(log), sys.executable, *words], cwd=tmp_path)
        assert done.returncode == 0, done.stderr[-2000:]

    # What goes out is seen.
    traced("-c", "import socket; socket.socket(type=socket.SOCK_DGRAM).connect(('192.0.2.1', 9))")
    assert addresses_outside(log) == {"192.0.2.1:9"}
    beginning(demo, tmp_path, frames=30)
    (tmp_path / "m.csv").write_text("video,participant\nshort.mp4,p01\n")
    traced("-m", "mobility.cli", *typed.split(), "--store", "s", "--reports", "r")
    assert refused(log) > 0
    assert addresses_outside(log) == set()
