"""What a session gives of its files."""

from __future__ import annotations

from typing import Any

import pytest

from mobility.sessions import stored_session
from mobility.sessions.record import Provenance
from mobility.store import Store


def test_what_was_read_once_is_not_read_again_nor_changed_by_who_has_it(monkeypatch) -> None:
    session = Store("absent").demo("Overhead Squat")
    once = session.read_once()
    first = once.repetitions()
    kept = first.copy(deep=True)
    first["accepted"] = ~first["accepted"]
    first.attrs.clear()
    monkeypatch.setattr(stored_session, "read_dataset", lambda _: pytest.fail("read again"))
    assert once.repetitions().identical(kept)
    with pytest.raises(pytest.fail.Exception):
        session.repetitions()


def test_the_default_of_earlier_versions_is_read_as_that_of_now() -> None:
    def standing(**options: Any) -> str:
        digests = {"video_sha256": "a" * 64, "options_sha256": "b" * 64}
        return Provenance(versions={}, options=options, **digests).standing

    # Before there was camera_pitch, nobody had chosen what was stored.
    assert standing(standing="straight") == "usual"
    assert standing(standing="free") == "free"
    assert standing(standing="straight", camera_pitch="auto") == "straight"
    assert standing(standing="usual", camera_pitch=4.0) == "usual, pitch given"
