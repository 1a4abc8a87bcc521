"""The documented endpoints, asked over a real connection."""

from __future__ import annotations

import pytest


def test_a_video_is_taken_in_analysed_and_read(server, admin):
    made = server.upload(admin, user_id="whole", session_name="Whole way")
    assert made.status_code == 200, made.text
    assert made.json().keys() == {"session_id", "title"}
    assert made.json()["title"] == "Whole way"
    session_id = made.json()["session_id"]
    state = server.until(admin, session_id, "analyzed", "failed")
    assert state["state"] == "analyzed", state
    details = server.ask("GET", f"/sessions/{session_id}/", admin)
    assert details.status_code == 200
    assert details.json()["title"] == "Whole way"
    assert details.json()["angles"]["left_knee_angle"][1] == 10.12
