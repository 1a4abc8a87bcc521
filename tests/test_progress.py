"""Progress is shown where somebody is watching, and nowhere else."""

from __future__ import annotations

import sys

from mobility import progress
from mobility.progress import progress_bar, progress_told_to, watched


class Terminal:
    """A standard error that somebody sees."""

    def __init__(self):
        self.text = ""

    def isatty(self):
        return True

    def write(self, text):
        self.text += text

    def flush(self):
        pass


def test_silent_without_a_terminal(capsys):
    assert not watched()
    with progress_bar("pose", total=3) as bar:
        bar.update(3)
    assert capsys.readouterr() == ("", "")


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


def test_shown_on_a_terminal(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert watched()
    with progress_bar("pose", total=3) as bar:
        bar.update(3)
    assert "pose" in terminal.text


def test_told_to_a_listener_and_not_drawn(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    told = []
    with progress_told_to(lambda *said: told.append(said)):
        assert not watched()
        with progress_bar("pose", total=3) as bar:
            bar.update()
            bar.update(2)
    assert told == [("pose", 0, 3), ("pose", 1, 3), ("pose", 3, 3)]
    assert terminal.text == ""
    assert watched()
