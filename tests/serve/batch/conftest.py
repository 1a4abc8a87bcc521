"""Three short videos of two people, and a manifest of them."""

from __future__ import annotations

import shutil
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
from batches import FOLDER, batch, counts, results

from mobility.serve.batch import run as run_module
from mobility.serve.batch import watch as watch_module
from mobility.serve.batch.summary import BatchRow

MANIFEST = "video,participant,height_m\na.mp4,p01,1.7\nb.mp4,p01,1.7\nc.mp4,p02,\n"


@pytest.fixture(scope="module")
def originals(tmp_path_factory, clips):
    """Made once, for the same pictures do not always give the same file."""
    folder = tmp_path_factory.mktemp("originals")
    for number, name in enumerate(("a", "b", "c")):
        clips.make_clip(folder / f"{name}.mp4", 3 + number)
    (folder / "m.csv").write_text(MANIFEST)
    return folder


@pytest.fixture
def place(tmp_path, originals):
    """A folder with them."""
    shutil.copytree(originals, tmp_path, dirs_exist_ok=True)
    return tmp_path


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, originals):
    """What the three videos give in a folder, when nothing happens."""
    place = tmp_path_factory.mktemp("undisturbed")
    shutil.copytree(originals, place, dirs_exist_ok=True)
    status, summary, err = batch(place, "--workers", 2)
    assert (status, counts(summary)) == (0, {"done": 3, "skipped": 0, "failed": 0}), err
    return results(place / FOLDER)


@pytest.fixture
def worked(monkeypatch):
    """Rows that were worked on, in place of the work; `fail` says which fail, and how."""
    done = []

    def outcomes(client, rows, store, folder, workers, scheduler):
        for row in rows:
            done.append((row.video.name, row.participant))
            failed = outcomes.fail.get(row.video.name)
            yield BatchRow(
                row=row.number,
                video=row.video.name,
                participant=row.participant,
                exercise=row.exercise,
                session_id=row.session_id,
                state="failed" if failed else "done",
                reason=failed or "",
                may_pass=failed == "full",
            )

    outcomes.fail = {}
    outcomes.done = done
    # What stands for a scheduler.
    running = SimpleNamespace(status="running")
    for module in (run_module, watch_module):
        monkeypatch.setattr(module, "outcomes", outcomes)
        monkeypatch.setattr(module, "cluster_client", lambda *_: nullcontext(running))
    return outcomes
