"""The real thing: a video that is really analysed."""

from __future__ import annotations

import json

import network_trace
import pytest
import serving
import written_keypoints
from clips import make_clip
from demo_sessions import copy_of, taken_as_current

from mobility.errors import BadInputError
from mobility.serve.client import Client
from mobility.store import Store

pytestmark = pytest.mark.slow


def test_a_video_from_upload_to_report(project, tmp_path, pose_model):
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


def test_keypoints_are_sent_with_their_video(tmp_path):
    video = make_clip(tmp_path / "walk.mp4", 30)
    points = written_keypoints.long_csv(tmp_path / "walk.csv", written_keypoints.walker())
    short = written_keypoints.long_csv(tmp_path / "short.csv", written_keypoints.walker(20))
    with serving.serving(tmp_path / "served", kind="real") as server:
        with Client(server.url, server.key("participant", "ann").split()[1]) as client:
            made = client.create(
                video, exercise_name="Squat", keypoints=points, keypoints_model="HRNet"
            )
            session = Store(server.store).session(made.session_id)
            assert session.record.keypoints.original_name == "walk.csv"
            assert session.record.keypoints.model == "HRNet"
            with pytest.raises(BadInputError) as refused:
                client.create(video, exercise_name="Squat", keypoints=short)
        fault = "short.csv: has 20 frames, but the video walk.mp4 has 30; use keypoints for "
        assert f"{fault}each frame of this video" in str(refused.value)
        assert ".keypoints" not in str(refused.value)
        uploads = server.store / ".server" / "uploads"
        assert not [each for each in uploads.rglob("*") if each.is_file()]


def test_a_report_that_no_worker_drew_is_drawn_by_the_server(demo, tmp_path):
    with serving.serving(tmp_path / "served", kind="undrawn") as server:
        server.store.mkdir()
        taken_as_current(copy_of(demo, Store(server.store), "s1", user_id="ann"))
        key = server.key("participant", "ann")
        answer = server.ask("POST", "/sessions/s1/report/", key)
        assert answer.status_code == 200, answer.text
        assert "knee_flexion" in answer.json()["grouped_data"]
    assert (server.reports / "s1" / "overhead-squat.html").is_file()
