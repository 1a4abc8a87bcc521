"""Nothing leaves this machine, whatever way in is taken, as the kernel sees it.

The server, the virtual lab and JupyterLab are traced by the tests that run them anyway.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import av
import pytest
from network_trace import addresses_outside, refused, tracing
from processes import ended

pytestmark = pytest.mark.slow


def traced(log: Path, command: Sequence[object]) -> None:
    done = ended([*tracing(log), *map(str, command)])
    assert done.returncode == 0, done.stderr[-2000:]


def mobility(*arguments: object) -> list[object]:
    return [sys.executable, "-m", "mobility.cli", *arguments]


def beginning(whole: Path, path: Path, *, seconds: float) -> Path:
    """Write the first seconds of a video to `path`."""
    with av.open(str(whole)) as source, av.open(str(path), "w") as part:
        stream = part.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None and packet.pts * packet.time_base < seconds:
                packet.stream = stream
                part.mux(packet)
    return path


@pytest.fixture
def demo_video(project: Path) -> Path:
    return project / "data" / "demo" / "overhead-squat" / "video.mp4"


@pytest.fixture
def short(demo_video: Path, tmp_path: Path) -> Path:
    return beginning(demo_video, tmp_path / "short.mp4", seconds=1)


def test_the_demo_reaches_nobody(tmp_path: Path) -> None:
    log = tmp_path / "trace"
    traced(log, mobility("demo", "--store", tmp_path / "s", "--reports", tmp_path / "r"))
    assert refused(log) > 0
    assert addresses_outside(log) == set()


def test_a_batch_reaches_nobody(short: Path, tmp_path: Path) -> None:
    log = tmp_path / "trace"
    (tmp_path / "manifest.csv").write_text(f"video,participant\n{short},p01\n")
    traced(
        log,
        mobility(
            *("batch", tmp_path / "manifest.csv", "--workers", 1),
            *("--store", tmp_path / "s", "--reports", tmp_path / "r"),
        ),
    )
    assert refused(log) > 0
    assert addresses_outside(log) == set()
