"""Deletion knows every report on several people, because the wings register them."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import pytest

import mobility
from mobility.sessions import reports
from mobility.sessions.reports import ReportOnPeople


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[ReportOnPeople], None]]:
    """Register a wing with one kind of report."""

    def register(kind: ReportOnPeople) -> None:
        wing = types.ModuleType("a_wing")
        wing.REPORTS = (kind,)
        monkeypatch.setitem(sys.modules, "a_wing", wing)
        monkeypatch.setattr(mobility, "REPORTS_ON_PEOPLE", ("a_wing",))
        reports._of_wings.cache_clear()

    yield register
    reports._of_wings.cache_clear()


def test_a_session_takes_the_reports_of_a_wing_with_it(
    registered: Callable[[ReportOnPeople], None], tmp_path: Path
) -> None:
    def rows(folder: Path) -> list[dict[str, str]]:
        return [{"session": name} for name in (folder / "team.txt").read_text().split()]

    for name, text in (("a", "s1 s2"), ("b", "s2")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "team.ipynb").touch()
        (tmp_path / name / "team.txt").write_text(text)
    (tmp_path / "s1.team").mkdir()
    before = sorted(tmp_path.rglob("*"))
    reports.remove_reports(tmp_path, "s1")
    assert sorted(tmp_path.rglob("*")) == before  # no wing has registered them
    registered(ReportOnPeople("team", ("*.txt",), rows, session_ending=".team"))
    reports.remove_reports(tmp_path, "s1")
    assert [place.name for place in sorted(tmp_path.iterdir())] == ["b"]
    assert sorted(place.name for place in (tmp_path / "b").iterdir()) == ["team.ipynb", "team.txt"]


def test_every_kind_of_report_on_people_is_registered(project: Path) -> None:
    """A page goes into a folder of the user's choice only with such a kind: `check_free`."""
    modules = {
        ".".join(file.relative_to(project).with_suffix("").parts)
        for file in (project / "mobility").rglob("*.py")
        if " = ReportOnPeople(" in file.read_text(encoding="utf-8")
    }
    assert modules == {*mobility.REPORTS_ON_PEOPLE}
    for module in map(import_module, mobility.REPORTS_ON_PEOPLE):
        kinds = [each for each in vars(module).values() if isinstance(each, ReportOnPeople)]
        assert kinds == [*module.REPORTS]


@pytest.mark.parametrize("listing", [None, b"user_id;session_id\nann;s1\n", b"session_id\n\xe9\n"])
def test_a_report_whose_list_cannot_be_read_goes_with_every_session(
    tmp_path: Path, listing: bytes | None
) -> None:
    """Missing, saved by another program, or in another encoding: it may contain anybody."""
    folder = tmp_path / "study"
    folder.mkdir()
    (folder / "cohort.ipynb").touch()
    if listing is not None:
        (folder / "cohort.csv").write_bytes(listing)
    reports.remove_reports(tmp_path, "s1")
    assert not folder.exists()
