"""Progress is shown where somebody is watching, and nowhere else."""

from __future__ import annotations

import io
import sys

from mobility.base.progress import is_watched, progress_bar, report_progress_to


class Terminal(io.StringIO):
    """A standard error that somebody sees."""

    def isatty(self):
        return True


def test_shown_on_a_terminal_told_to_a_listener_and_silent_elsewhere(capsys, monkeypatch):
    assert not is_watched()
    with progress_bar("pose", total=3) as bar:
        bar.update(3)
    assert capsys.readouterr() == ("", "")

    terminal, calls = Terminal(), []
    monkeypatch.setattr(sys, "stderr", terminal)
    with report_progress_to(lambda *stage: calls.append(stage)):
        assert not is_watched()
        with progress_bar("pose", total=3) as bar:
            bar.update()
            bar.update(2)
    assert calls == [("pose", 0, 3), ("pose", 1, 3), ("pose", 3, 3)]
    assert terminal.getvalue() == ""
    assert is_watched()
    with progress_bar("pose", total=3) as bar:
        bar.update(3)
    assert "pose" in terminal.getvalue()
