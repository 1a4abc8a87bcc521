"""Exercises of other packages: whatever is wrong with one, the others go on."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from mobility import registry

NUMBER = itertools.count()

Installed = Callable[..., tuple[registry.Exercise, ...]]


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Installed:
    """Give the exercises with one of another package: a squat of which some lines differ."""

    def install(
        init: str = "", findings: str = "", table: str | None = None, **lines: str
    ) -> tuple[registry.Exercise, ...]:
        package = f"exercise_of_a_test_{next(NUMBER)}"
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text(init, encoding="utf-8")
        (tmp_path / package / "findings.yaml").write_text(findings, encoding="utf-8")
        text = registry.exercise("squat").file("exercise.yaml").read_text(encoding="utf-8")
        changed = {"name": "Heel Raise", "slug": "heel-raise", "order": "20"} | lines
        changed_text = "\n".join(
            f"{key}: {changed.pop(key)}" if (key := line.partition(":")[0]) in changed else line
            for line in text.splitlines()
        )
        file = tmp_path / package / "exercise.yaml"
        file.write_text(changed_text if table is None else table, encoding="latin-1")
        monkeypatch.syspath_prepend(tmp_path)
        point = EntryPoint(name=package, value=package, group=registry.ENTRY_POINTS)
        monkeypatch.setattr(registry, "entry_points", lambda group: [point])
        return registry.exercises.__wrapped__()

    return install


def test_another_package_adds_an_exercise_that_is_never_the_usual_one(installed: Installed) -> None:
    exercises = installed(order="0")
    assert [each.name for each in exercises] == [*registry.names(), "Heel Raise"]


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"init": "raise RuntimeError('no such device')"}, "no such device"),
        ({"init": "1 +"}, "invalid syntax"),
        ({"table": "name: h\xe9"}, "codec"),
        ({"table": "name: ["}, "while parsing"),
        ({"findings": "rules: ["}, "while parsing"),
        ({"findings": "rules: {heel_rise: {threshold: 9}}"}, "heel_rise is the name of another"),
        ({"like": "nothing"}, "like: input should be 'repeated'"),
        ({"name": "Squat"}, "is called that, too"),
        ({"slug": "overhead-squat"}, "is called that, too"),
    ],
)
def test_one_that_is_wrong_is_left_out_with_a_warning(
    installed: Installed, caplog: pytest.LogCaptureFixture, wrong: dict[str, str], why: str
) -> None:
    with caplog.at_level(logging.WARNING):
        exercises = installed(**wrong)
    assert tuple(each.name for each in exercises) == registry.names()
    assert "is left out" in caplog.text
    assert why in caplog.text


def test_what_only_a_page_shows_changes_the_report_and_no_result(installed: Installed) -> None:
    exercise = installed()[-1]
    assert not exercise.package.startswith("mobility.")  # its files are written below

    def digests() -> tuple[str, str]:
        registry._digest.cache_clear()
        return exercise.digest(), exercise.digest(pages=True)

    before = digests()
    exercise.file("page.py").write_text("FIRST = 1", encoding="utf-8")
    after_page = digests()
    assert (after_page[0] == before[0], after_page[1] == before[1]) == (True, False)
    exercise.file("analysis.py").write_text("FIRST = 1", encoding="utf-8")
    assert not {*after_page} & {*digests()}
