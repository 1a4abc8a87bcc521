"""The upload form and the table of sessions on the store of a server."""

from __future__ import annotations

import pytest

from mobility.client import Client
from mobility.widgets import SessionBrowser, UploadForm
from mobility.widgets.remote import RemoteStore

pytestmark = pytest.mark.slow


def test_a_video_goes_from_the_form_through_the_server_into_the_table(working, tmp_path):
    key = working.key("administrator").split()[1]
    with Client(working.url, key) as client:
        store = RemoteStore(client)
        form = UploadForm(store)
        messages = []
        form.send = lambda content, buffers=None: messages.append(content)
        acts = form.acts()
        fields = {
            "exercise_name": "Overhead Squat",
            "session_name": "From the form",
            "body_joint_angles": ["knee"],
        }

        def send(content):
            film = {"name": "squat.mp4", "size": len(content), "fields": fields}
            acts["begin"]({"films": [film], "person": {"user_id": "remote"}}, [])
            acts["part"]({"upload": messages[-1]["upload"], "offset": 0}, [content])
            form.wait(60)

        send(b"video 1")
        session_id = form.created
        assert (working.store / session_id / "video.mp4").read_bytes() == b"video 1"
        table = SessionBrowser(store)
        (row,) = [row for row in table.rows if row["id"] == session_id]
        table.analyze(session_id)
        table.wait(120)
        (row,) = [row for row in table.rows if row["id"] == session_id]
        assert row["state_text"] == "analysed"
        assert (row["name"], row["participant"]) == ("From the form", "remote")
        assert (row["user_id"], row["verdict"]) == ("remote", "recording with limits")
        assert row["visit"] == f"{store.session(session_id).record.created_at:%Y-%m-%d}"
        assert store.session(session_id).still().startswith(b"\xff\xd8")
        page = table.open_session(session_id).render_report()["html"]
        report = working.reports / session_id / "overhead-squat.html"
        assert page.read_bytes() == report.read_bytes()
        table.delete(session_id)
        assert session_id not in [row["id"] for row in table.rows]
        assert not (working.store / session_id).exists()

        # What the server refuses stands in the form, at its field.
        send(b"film")
        assert "not a video" in str(form.errors["video-0"])
