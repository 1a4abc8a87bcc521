"""What docs/batches.md says and shows: columns, options, code, units of systemd."""

from __future__ import annotations

import re
import shutil

import pytest
from other_processes import ended

from mobility.serve.batch.manifest import COLUMNS
from mobility.sessions.analysis_options import options_at


@pytest.fixture(scope="module")
def page(project):
    return (project / "docs" / "batches.md").read_text(encoding="utf-8")


def test_every_column_and_option_is_described(page):
    rows = re.findall(r"^\| (`.+?) \| (.*) \|$", page, re.MULTILINE)
    assert {name for cell, _ in rows for name in re.findall(r"`(\w+)`", cell)} == set(COLUMNS)
    (options,) = [text for cell, text in rows if cell == "`options`"]
    assert set(re.findall(r"(\w+)=", options)) == set(options_at("batch").model_fields)


def test_the_units_of_systemd(project, tmp_path):
    """As systemd-analyze reads them, with a command that is there."""
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("needs systemd-analyze")
    units = []
    for unit in (project / "docs" / "systemd").iterdir():
        text = unit.read_text(encoding="utf-8")
        assert "mobility" in unit.name
        units.append(tmp_path / unit.name)
        units[-1].write_text(re.sub(r"(?m)^ExecStart=\S+", "ExecStart=/bin/true", text))
    assert len(units) == 3
    done = ended([analyze, "verify", *map(str, units)])
    if "Failed to" in done.stderr:
        pytest.skip(f"systemd-analyze does not work here: {done.stderr.splitlines()[0]}")
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
