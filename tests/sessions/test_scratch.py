"""Temporary folders do not outlive their process."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from pathlib import Path

import pytest
from processes import ended

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


@pytest.mark.parametrize("kind", ["kernel", "batch", "store", "upload"])
def test_the_folder_of_a_process_that_was_killed_is_removed_by_the_next(place, kind):
    code = (
        "import os, signal; from mobility.sessions.scratch import scratch_folder\n"
        f"print(scratch_folder({kind!r})[0], flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    environment = {**os.environ, "TMPDIR": str(place)}
    done = ended([sys.executable, "-c", code], env=environment)
    assert done.returncode == -signal.SIGKILL
    left = Path(done.stdout.strip())
    assert left.is_dir()
    living, remove = scratch_folder("kernel")
    assert not left.exists()
    sweep_scratch()
    assert living.is_dir()
    remove()


def test_folders_of_others_stay(place):
    (place / "mobility-notes").mkdir()
    sweep_scratch()
    assert (place / "mobility-notes").is_dir()
