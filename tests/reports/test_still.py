"""The still of a session: made once, made anew when it is old, and gone with the session."""

from __future__ import annotations

import os

import cv2
import numpy as np
import pytest
from demo_sessions import change_record, copy_of

from mobility.capture import video
from mobility.reports.still import HEIGHT, stored_still


@pytest.fixture
def decoded(monkeypatch):
    """How often a video is decoded."""
    calls = []
    real = video.read_frames

    def read_frames(*arguments, **options):
        calls.append(options)
        return real(*arguments, **options)

    monkeypatch.setattr(video, "read_frames", read_frames)
    return calls


def test_a_still_is_made_once_of_the_first_bottom_and_anew_when_repetitions_change(
    demo, store, decoded
):
    session = copy_of(demo, store, "s1")
    assert stored_still(session) == b""
    picture = session.still()
    image = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)
    assert image.shape[0] == HEIGHT
    repetitions = session.repetitions()
    bottom = float(repetitions["bottom"].values[repetitions["accepted"].values.astype(bool)][0])
    assert [call["start"] for call in decoded] == [pytest.approx(bottom - 0.1, abs=1e-3)]
    assert session.still() == stored_still(session) == picture
    assert len(decoded) == 1
    (file,) = session.folder.glob(".still*")
    assert file.stat().st_mode & 0o777 == 0o600
    # Before the analysis the middle of the film is shown.
    change_record(session, stages={})
    assert stored_still(session) == b""
    assert session.still() != picture
    assert len(list(session.folder.glob(".still*"))) == 1


def test_a_still_goes_with_its_session_and_one_that_cannot_be_made_or_kept_stops_nothing(
    demo, store, decoded, monkeypatch
):
    session = copy_of(demo, store, "s1")
    session.still()
    # A folder that lost its record is still known as a session's, and can be deleted.
    for name in ("session.json", "case.yaml", "truth.nc"):
        (session.folder / name).unlink()
    assert store.possible_sessions() == {"s1"}
    store.delete("s1")
    assert list(store.path.glob("*s1*")) == []

    def full(*_):
        raise OSError(28, os.strerror(28))

    session = copy_of(demo, store, "s2")
    with monkeypatch.context() as disk:
        disk.setattr(os, "replace", full)
        assert session.still()
    assert list(session.folder.glob(".still*")) == []
    session.video.write_bytes(b"no video")
    assert session.still() == b""
    # The demo of the installation is not written to.
    shipped = store.demo("Overhead Squat")
    assert shipped.still()
    assert list(shipped.folder.glob(".still*")) == []
