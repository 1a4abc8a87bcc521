"""Temporary folders do not outlive their process."""

from __future__ import annotations

import os
import signal
import sys
import tempfile

import pytest
from other_processes import ended

from mobility.sessions.scratch import scratch, scratch_folder, sweep_scratch


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_folder_is_gone_at_the_end(place):
    with scratch("kernel") as folder:
        (folder / "a").write_text("a")
        assert folder.parent == place
        assert folder.stat().st_mode & 0o077 == 0
    assert list(place.iterdir()) == []


def test_the_folder_of_a_process_that_was_killed_is_removed_by_the_next(place):
    kinds = ["kernel", "batch", "store", "upload"]
    code = (
        "import os, signal; from mobility.sessions.scratch import scratch_folder\n"
        f"[scratch_folder(kind) for kind in {kinds}]; os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = ended([sys.executable, "-c", code], env={**os.environ, "TMPDIR": str(place)})
    assert done.returncode == -signal.SIGKILL
    left = list(place.iterdir())
    assert len(left) == 4
    (place / "mobility-notes").mkdir()  # of others
    living, remove = scratch_folder("kernel")
    assert not any(folder.exists() for folder in left)
    sweep_scratch()
    assert living.is_dir()
    assert (place / "mobility-notes").is_dir()
    remove()
