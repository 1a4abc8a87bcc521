"""The real thing: a wheel that turns the extension on, and a video that is really analysed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile

import network_trace
import pytest
from processes import ended

from mobility.client import Client

pytestmark = pytest.mark.slow


def test_the_extension_is_on_where_the_wheel_is_installed(project, tmp_path):
    # Building leaves things in the folder of the source.
    source = tmp_path / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(project / name, source)
    for name in ("mobility", "notebooks"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(project / name, source / name, ignore=ignored)
    made = ended(
        [
            *(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index"),
            *("--no-build-isolation", "--wheel-dir", str(tmp_path), str(source)),
        ],
        cwd=tmp_path,
    )
    assert made.returncode == 0, made.stderr[-2000:]
    (wheel,) = tmp_path.glob("mobility-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (name,) = [n for n in names if n.endswith("config.d/mobility.json") and ".data/" in n]
        place = tmp_path / "JUPYTER_CONFIG_DIR" / "jupyter_server_config.d"
        place.mkdir(parents=True)
        (place / "mobility.json").write_bytes(archive.read(name))
    assert name.split(".data/")[1] == "data/etc/jupyter/jupyter_server_config.d/mobility.json"
    places = {each: str(tmp_path / each) for each in ("JUPYTER_DATA_DIR", "JUPYTER_CONFIG_DIR")}
    assert any(n.endswith("/lab/settings/overrides.d/mobility.json") for n in names)
    listed = subprocess.run(
        [sys.executable, "-m", "jupyter", "server", "extension", "list"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **places},
    )
    told = listed.stdout + listed.stderr
    assert "mobility.server" in told
    assert "disabled" not in told.partition("mobility.server")[2].splitlines()[0]


def test_packages_that_the_interface_imports_are_dependencies(project):
    stated = tomllib.loads((project / "pyproject.toml").read_text())["project"]["dependencies"]
    names = {each.partition(">")[0] for each in stated}
    assert {"httpx", "jupyter-server", "multipart", "tornado", "traitlets"} <= names


def test_a_video_from_upload_to_report(serving, project, tmp_path, pose_model):
    video = project / "data" / "demo" / "overhead-squat" / "video.mp4"
    trace = tmp_path / "trace"
    under = network_trace.tracing(trace, detached=True)
    with serving.serving(tmp_path / "served", kind="real", under=under) as server:
        bare = server.key("participant", "ann").split()[1]
        with Client(server.url, bare) as client:
            made = client.create(video, exercise_name="Overhead Squat")
            state = client.wait(made.session_id, timeout_s=600)
            assert state.state == "analyzed"
            report = client.report(made.session_id)
            demo = client.report("any", demo=True)
            # It is the video of the demo, which an earlier version of the fit may have made.
            for name in ("hip_flexion", "knee_flexion"):
                ours, theirs = (each.grouped_data[name].metrics for each in (report, demo))
                for metric in (f"left_{name}", f"right_{name}"):
                    assert ours[metric] == pytest.approx(theirs[metric], abs=5), metric
            details = client.details(made.session_id)
            assert details.segments == client.details("any", demo=True).segments
            assert details.analyzed_video_url
            client.download(details.analyzed_video_url, tmp_path / "analyzed.mp4")
            assert (tmp_path / "analyzed.mp4").read_bytes()[4:8] == b"ftyp"
            threads = client.create_recommendation_threads(made.session_id, system="imperial")
            assert threads.final_summary.startswith("thread_")
            # Files that are no videos, or damaged ones, are refused by the real decoder too.
            for content in (b"no film", video.read_bytes()[:4000]):
                (tmp_path / "bad.mp4").write_bytes(content)
                refused = server.upload(f"API-KEY {bare}", content, name="bad.mp4")
                assert refused.status_code == 400, refused.text
            client.delete(made.session_id)
        left = [p for p in server.store.rglob("*") if made.session_id in p.name]
        assert not [p for p in left if p.suffix != ".lock"], left
        assert not list(server.reports.glob(f"*{made.session_id}*"))
        log = server.log.read_text()
        assert json.dumps(bare) not in log
        assert bare not in log
    assert network_trace.refused(trace) > 0
    assert network_trace.addresses_outside(trace) == set()
