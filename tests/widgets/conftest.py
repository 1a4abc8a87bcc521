"""Fixtures of the widget tests: sessions as the store keeps them, made from the demo."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from demo_sessions import copy_of

from mobility.sessions.files import read_json
from mobility.store import Session, Store


@pytest.fixture
def analysed(demo: Path, store: Store) -> Callable[..., Session]:
    """Factory of analysed sessions: the demo, copied into the store under another name."""

    def make(session_id: str = "s1", **changed: Any) -> Session:
        if changed.get("exercise") == "Joint Angle Mobility":
            # The metrics are of squats; what single joints need of the demo is the rest.
            stages = read_json(demo / "session.json")["stages"]
            changed = {"stages": {k: v for k, v in stages.items() if k != "metrics"}, **changed}
        return copy_of(demo, store, session_id, **changed)

    return make


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], list[dict[str, Any]]]:
    """What a widget sends to its page from now on: ``sent(widget)``."""

    def listen(widget: Any) -> list[dict[str, Any]]:
        messages: list[dict[str, Any]] = []

        def send(content: dict[str, Any], buffers: list[bytes] | None = None) -> None:
            messages.append({**content, "buffers": buffers or []})

        monkeypatch.setattr(widget, "send", send)
        return messages

    return listen


@pytest.fixture
def ask() -> Callable[..., None]:
    """Let the page ask a widget: ``ask(widget, "save", force=True)``."""

    def asked(widget: Any, what: str, *, buffers: tuple[bytes, ...] = (), **content: Any) -> None:
        widget._handle_custom_msg({"do": what, **content}, [memoryview(b) for b in buffers])

    return asked


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], str]:
    """What a notebook keeps of a widget beside it: ``still(widget)``."""

    def shown(widget: Any) -> str:
        outputs: list[dict[str, Any]] = []
        monkeypatch.setattr("IPython.display.display", lambda data, **_: outputs.append(data))
        widget._ipython_display_()
        picture, alive = outputs
        assert widget.still in picture["text/html"]
        assert alive.pop("application/vnd.jupyter.widget-view+json")["model_id"]
        assert set(alive.values()) == {""}
        return str(picture["text/html"])

    return shown
