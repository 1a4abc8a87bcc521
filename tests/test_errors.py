from __future__ import annotations

import sys

from other_processes import ended


def test_a_cell_shows_one_line_for_an_error_and_a_traceback_for_a_bug() -> None:
    code = (
        "import mobility as mb\n"
        "def asked():\n    mb.fit_body(7, feet_plante=True)\n"
        "try:\n    get_ipython().run_cell('asked()')\n"
        "finally:\n    get_ipython().run_cell('1 / 0')\n"
    )
    done = ended([sys.executable, "-m", "IPython", "--colors=NoColor", "-c", code])
    one, _, bug = done.stdout.partition("BadInputError: ")
    assert one == ""
    assert "did you mean 'feet_planted'" in bug.splitlines()[0]
    assert "Traceback" in bug
    assert "asked" not in bug
