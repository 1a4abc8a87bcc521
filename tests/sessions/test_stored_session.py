"""What a session gives of its files."""

from __future__ import annotations

import pytest

from mobility.sessions import stored_session
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
