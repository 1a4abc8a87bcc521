"""Exercises are named in their folders only, and what a folder names is there."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

import mobility
from mobility import tables
from mobility.assessment.comments import all_work
from mobility.catalogue import registry
from mobility.catalogue.exercise import Exercise
from mobility.catalogue.exercise_checks import check
from mobility.catalogue.extensions import check_extension, extended
from mobility.sessions.reports import find_notebook

READ = (".py", ".yaml", ".js", ".html", ".css")

ALLOWED = {
    r"mobility[.:`~]+overhead_squat\b": "the public function, named in documentation",
    r"overhead squat assessment": "title of the assessment of the NASM, in literature",
}
"""What is taken for no exercise's name, and why."""

ROOMS = ("exercises", "virtual_lab")
"""Where they are named: their folders, and the movements that are rendered."""

PLACES = {
    "__init__.py": (4, "the public functions, and where they are"),
    "lab/lab_comparison.py": (1, "times of rises from a seat, beside those of a lab"),
    "lab/sit_to_stand_times.py": (2, "what it imports of that exercise"),
    "assessment/criteria.py": (1, "long name of a metric in stored results"),
    "tables/advice.yaml": (1, "name of a physical exercise, facing a wall"),
    "tables/sentences_warnings.yaml": (1, "the warning that only that exercise gives"),
}
"""How many times a file may name exercises, and why."""


def pattern_of(name: str) -> str:
    """Of several words anywhere, with any space between; one word where it is a whole string."""
    words = re.split(r"[\s_-]+", name)
    return r"[\s_-]+".join(words) if len(words) > 1 else rf"""(?<=["']){name}(?=["'])"""


def named_in(package: Path) -> Counter[str]:
    """How often each file outside the folders of exercises names one."""
    names = {name for each in registry.exercises() for name in (each.name, each.slug)}
    patterns = "|".join(sorted({pattern_of(name) for name in names}))
    named: Counter[str] = Counter()
    for file in sorted(package.rglob("*")):
        place = file.relative_to(package)
        if file.name == "extension.yaml":  # which names what it extends
            continue
        if file.suffix in READ and place.parts[0] not in ROOMS:
            text = file.read_text(encoding="utf-8")
            if file.suffix == ".yaml":
                text = _without_sources(text)
            for allowed in ALLOWED:
                text = re.sub(allowed, "", text, flags=re.IGNORECASE)
            named[str(place)] += len(re.findall(patterns, text, re.IGNORECASE))
    return +named


def _without_sources(text: str) -> str:
    """Leave out what entries say of their literature, also over several lines."""
    return re.sub(
        r"^( *)(?:[\w-]+: \{.*)?(?:source|reference): .*\n(?:\1 +.*\n)*", "", text, flags=re.M
    )


def test_no_exercise_is_named_outside_its_folder(project: Path) -> None:
    assert named_in(project / "mobility") == {place: times for place, (times, _) in PLACES.items()}
    folder = {each.package.rpartition(".")[2] for each in registry.exercises()}
    assert folder <= {path.name for path in (project / "mobility" / "exercises").iterdir()}


@pytest.mark.parametrize(
    ("written", "times"),
    [
        ("if record.exercise == 'Overhead Squat':", 1),
        ("NAMES = {'joint-angle-mobility': 1, \"OVERHEAD_SQUAT\": 2}", 2),
        ("kind === 'squat'", 1),
        ("a squat whose arms are overhead; squat_pose(1)", 0),
    ],
)
def test_a_name_is_seen_however_it_is_written(tmp_path: Path, written: str, times: int) -> None:
    (tmp_path / "exercises").mkdir()
    for place in ("a.py", "b.js", "exercises/c.py"):
        (tmp_path / place).write_text(written, encoding="utf-8")
    assert named_in(tmp_path) == +Counter({"a.py": times, "b.js": times})


EVERY = pytest.mark.parametrize("exercise", registry.built_in(), ids=lambda each: each.slug)


@EVERY
def test_the_folder_of_an_exercise_names_what_there_is(exercise: Exercise) -> None:
    others = [each for each in registry.built_in() if each != exercise]
    check(exercise, beside=others)  # as of other packages
    table = exercise.table
    assert find_notebook(table["notebook"]).is_file()
    assert table["order"] not in {each.table["order"] for each in others}
    if "film" in table:
        assert exercise.file("film.svg").is_file()
    for rule in table["rules"]:
        assert any(rule in each["for"] for each in all_work().values()), rule


def test_the_extension_of_a_wing_names_what_there_is() -> None:
    exercises = registry.built_in()
    for package in mobility.EXERCISE_EXTENSIONS:
        with_it = extended(package, exercises)
        check_extension(package, exercises, with_it)
        exercises = with_it


@EVERY
def test_the_page_on_lab_data_says_what_an_exercise_compares(
    exercise: Exercise, project: Path
) -> None:
    page = (project / "docs" / "lab-data.md").read_text(encoding="utf-8")
    (row,) = re.findall(rf"^\| {exercise.name} \|.*$", page, flags=re.M)
    _, _, angles, values, times, _ = (cell.strip() for cell in row.split("|"))
    picked = exercise.table["lab"]
    described = tables.load("lab_contents")["compared"]
    words = [described[name]["words"] for name in picked["values"]]
    assert values == ", ".join(re.sub("at its | angle| of motion", "", each) for each in words)
    of_arms = {"shoulder_flexion", "elbow_flexion"} & set(picked.get("angles", ()))
    assert bool(of_arms) == ("arms" in angles)
    assert bool(times) == ("seat_off" in picked["values"])
