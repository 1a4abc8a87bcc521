"""Progress is shown where somebody is watching, and nowhere else."""

from __future__ import annotations

import io
import sys

from mobility import progress
from mobility.progress import progress_bar, progress_told_to, watched


class Terminal(io.StringIO):
    """A standard error that somebody sees."""

    def isatty(self):
        return True


def test_shown_on_a_terminal_told_to_a_listener_and_silent_elsewhere(capsys, monkeypatch):
    assert not watched()
    with progress_bar("pose", total=3) as bar:
        bar.update(3)
    assert capsys.readouterr() == ("", "")

    terminal, calls = Terminal(), []
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress_told_to(lambda *stage: calls.append(stage)):
        assert not watched()
        with progress_bar("pose", total=3) as bar:
            bar.update()
            bar.update(2)
    assert calls == [("pose", 0, 3), ("pose", 1, 3), ("pose", 3, 3)]
    assert terminal.getvalue() == ""
    assert watched()
    with progress_bar("pose", total=3) as bar:
        bar.update(3)
    assert "pose" in terminal.getvalue()


def test_logged_once_in_a_while_without_a_terminal(monkeypatch, caplog):
    caplog.set_level("INFO")
    clock = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    with progress_bar("pose", total=1000) as bar:
        for _ in range(1000):
            clock[0] += 0.1
            bar.update()
    assert caplog.messages == ["pose: 30%", "pose: 60%", "pose: 90%"]
    caplog.clear()
    with progress_bar("search") as bar:
        clock[0] += 100
        bar.update(5)
    assert caplog.messages == ["search: 5 done"]
