"""Three short videos of two people, and a manifest of them."""

from __future__ import annotations

import shutil

import pytest
from batches import FOLDER, batch, counts, results

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
    status, found, err = batch(place, "--workers", 2)
    assert (status, counts(found)) == (0, {"done": 3, "skipped": 0, "failed": 0}), err
    return results(place / FOLDER)
