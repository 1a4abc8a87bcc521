"""What another package adds to exercises: the one of the tutorial on a custom metric."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterator
from html import unescape
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
from own_package import package_of_the_page

import mobility
from mobility.assessment.comments import all_work
from mobility.assessment.exercise_stages import Trial, stages_of
from mobility.assessment.findings import all_rules, find
from mobility.assessment.kinds import entry_of
from mobility.catalogue import registry
from mobility.catalogue.exercise import Exercise
from mobility.catalogue.exercise_folders import files_digest
from mobility.reports.page import ReportPage
from mobility.reports.sections import sections_of
from mobility.store import Store

NUMBER = itertools.count()

Installed = Callable[..., dict[str, Exercise]]

WITHOUT = {each.slug: each for each in registry.built_in()}
"""The exercises without extensions, also without those of our wings."""


@pytest.fixture
def installed(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installed:
    """Give the exercises by slug with the package of the tutorial, of which files are changed."""
    registry.exercises()  # kept as they are without it

    def install(*changes: tuple[str, str, str], wing: bool = False) -> dict[str, Exercise]:
        name = f"descent_speed_{next(NUMBER)}"
        folder = package_of_the_page(
            project, tmp_path / "site", name=name, page="tutorials/own-metric.md"
        )
        for place, old, new in changes:
            file = folder / place
            text = file.read_text(encoding="utf-8") if file.is_file() else ""
            assert old in text
            file.write_text(text.replace(old, new, 1) if old else text + new, encoding="utf-8")
        monkeypatch.syspath_prepend(tmp_path / "site")
        point = EntryPoint(name=name, value=name, group=registry.ENTRY_POINTS)
        monkeypatch.setattr(registry, "entry_points", lambda group: [] if wing else [point])
        monkeypatch.setattr(mobility, "EXERCISE_EXTENSIONS", (name,) if wing else ())
        return {each.slug: each for each in registry.exercises.__wrapped__()}

    return install


@pytest.mark.parametrize("wing", [False, True])
def test_it_adds_to_the_exercises_that_it_names_and_to_no_other(
    installed: Installed, wing: bool
) -> None:
    exercises = installed(wing=wing)
    assert tuple(each.name for each in exercises.values()) == registry.names()
    for slug, exercise in exercises.items():
        is_extended = slug in ("squat", "overhead-squat")
        assert ("descent_speed" in exercise.measures) == is_extended
        assert ("descends_fast" in exercise.table["rules"]) == is_extended
        assert ("descends_fast" in exercise.own_table("findings").get("rules", {})) == is_extended
        if is_extended:
            place = exercise.sections.index("speed")
            assert exercise.sections[place - 1] == "measures"
            assert exercise.file("page.py").parent.name.startswith("descent_speed")
            # What the exercise has itself stays.
            before = WITHOUT[slug]
            assert {*before.measures} < {*exercise.measures}
            assert before.file("exercise.yaml") == exercise.file("exercise.yaml")


CACHES = (registry.exercises, all_rules, all_work, entry_of)


@pytest.fixture
def looked_up_again(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Forget the exercises, and what was read from their tables; also at the end of the test."""

    def forget() -> None:
        for cached in CACHES:
            cached.cache_clear()

    yield forget
    monkeypatch.undo()
    forget()
    registry.exercises()


def test_its_metric_is_measured_judged_and_shown(
    looked_up_again: Callable[[], None], installed: Installed
) -> None:
    """The numbers are those of the first half of the tutorial, computed here by a loop."""
    installed()
    looked_up_again()
    exercise = registry.exercise("overhead-squat")
    session = Store("absent").demo("Overhead Squat").read_once()
    datasets = {"fitted": session.fitted(), "angles": session.measured_angles(),
                "repetitions": session.repetitions()}  # fmt: skip
    trial = Trial(exercise, (), True, None, None, None, None, datasets.get)
    metrics = stages_of(exercise).metrics(trial)
    knee, found = session.measured_angles()["knee_flexion"], session.repetitions()
    time = knee["time"].to_numpy()
    fastest = [
        np.gradient(knee.to_numpy(), time, axis=0)[(time >= start) & (time <= bottom)].max(axis=0)
        for start, bottom in zip(found["start"].values, found["bottom"].values, strict=True)
    ]
    expected = np.median(np.array(fastest)[found["accepted"].values.astype(bool)], axis=0)
    np.testing.assert_allclose(metrics["descent_speed"].to_numpy(), expected)
    assert (metrics["descent_speed_sd"] > 1).all()

    page = ReportPage(session)
    vars(page)["metrics"], vars(page)["exercise"] = metrics, exercise
    shown = {each.name: unescape(each.of(page)) for each in sections_of(page.exercise)}
    assert f"Left knee: {expected[0]:.0f}°/s ± " in shown["speed"]
    assert "Speed on the way down" in shown["measures"]
    assert "Speed of the descent" in shown["first"]
    (left, _) = (each for each in find(metrics) if each.rule == "descends_fast")
    assert left.result == "outside"  # 150 °/s with an sd of 28, against 100


def test_it_outdates_the_metrics_of_what_it_extends_and_its_page_only_the_report(
    installed: Installed,
) -> None:
    exercise = installed()["squat"]

    def digests() -> tuple[str, str, str]:
        files_digest.cache_clear()
        return (
            registry.digest(exercise, extensions=False),
            registry.digest(exercise),
            registry.digest(exercise, pages=True),
        )

    before = digests()
    assert before[0] == registry.digest(WITHOUT["squat"]) != before[1]
    page = exercise.file("page.py")
    page.write_text(page.read_text(encoding="utf-8") + "\nMOST = 1\n", encoding="utf-8")
    after_page = digests()
    assert [old == new for old, new in zip(before, after_page, strict=True)] == [True, True, False]
    kernels = page.with_name("kernels.py")
    kernels.write_text(kernels.read_text(encoding="utf-8") + "\nMOST = 1\n", encoding="utf-8")
    now = digests()
    assert [old == new for old, new in zip(after_page, now, strict=True)] == [True, False, False]


TABLE = "extension.yaml"


@pytest.mark.parametrize(
    ("file", "old", "new", "why"),
    [
        (TABLE, "[squat,", "[squad,", "extends: 'squad': unknown; did you mean 'squat'"),
        (TABLE, "[squat,", "[joint-angle-mobility,", "does not consist of repetitions"),
        (TABLE, "extends:", "extend:", "extend: unknown; did you mean 'extends'"),
        (TABLE, "[descent_speed] ", "[depth] ", "Squat already has 'depth'"),
        (TABLE, "[descent_speed] ", "[descent_sped] ", "'descent_sped': unknown; did you mean"),
        (TABLE, "[descends_fast]", "[depth_not_reached]", "already has 'depth_not_reached'"),
        (TABLE, "[descends_fast]", "[descends_fas]", "rules: 'descends_fas': unknown; did you"),
        (TABLE, "[speed]", "[first]", "Squat already has 'first'"),
        (TABLE, "[speed]", "[sped]", "page: 'sped': unknown; did you mean 'speed'"),
        (TABLE, "page_after: measures", "page_after: measure", "page_after: 'measure': unknown"),
        (TABLE, "names: [descent_speed]", "names: [speed]", "tables: 'speed': unknown"),
        ("measures.yaml", "  descent_speed:", "  depth:", "depth is already the name of another"),
        (
            "measures.yaml",
            "",
            "limits: {smallest_projected_thigh: 3}",
            "is already the name of another",
        ),
        ("measures.yaml", "from: descent.", "from: decent.", "'decent': unknown; did you mean"),
        (
            "findings.yaml",
            "  descends_fast:",
            "  heel_rise:",
            "heel_rise is already the name of another",
        ),
        # They would replace tables of a built-in exercise, or make it an exercise as well.
        *(
            (name, "", "legs: {}", "an extension has only extension.yaml, measures.yaml")
            for name in ("exercise.yaml", "sentences.yaml", "norms.yaml", "crossley.yaml")
        ),
        ("findings.yaml", "metric: descent_speed", "metric: speed", "metric: 'speed': unknown"),
        ("kernels.py", "def descent(", "def tempo(", "'tempo' is already the name of another"),
        ("kernels.py", "import xarray", "import no_such", "kernels cannot be imported: ModuleNot"),
        ("kernels.py", "import xarray", "raise SystemExit #", "kernels cannot be imported: System"),
        (
            "page.py",
            "",
            "\n@section('x')\ndef scores(page): ...",
            "'scores' is already the name of another",
        ),
        (
            "page.py",
            "@section(",
            "#@section(",
            "page: 'speed': unknown; page.py has no such section",
        ),
        (
            "extension.yaml",
            "page:",
            "results: [pace]\npage:",
            "results: stored_results.py has no function 'pace'",
        ),
        ("page.py", "from mobility.base", "1 + # ", "invalid syntax"),
        ("__init__.py", "", "raise SystemExit(3)", "cannot be imported: SystemExit: 3"),
    ],
)
def test_a_broken_one_is_one_line_and_the_exercises_stay_as_they_are(
    installed: Installed,
    caplog: pytest.LogCaptureFixture,
    file: str,
    old: str,
    new: str,
    why: str,
) -> None:
    with caplog.at_level(logging.WARNING):
        exercises = installed((file, old, new))
    assert exercises == WITHOUT
    (message,) = caplog.messages
    assert "is left out: " in message
    assert why in message
    assert message.isprintable()
    assert len(message) < 600
