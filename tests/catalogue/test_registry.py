"""Exercises of other packages: whatever is wrong with one, the others go on."""

from __future__ import annotations

import itertools
import logging
import os
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from other_processes import ended
from own_package import package_of_the_page

from mobility.assessment.exercise_stages import stages_of
from mobility.catalogue import registry
from mobility.catalogue.exercise import Exercise
from mobility.catalogue.exercise_folders import files_digest

NUMBER = itertools.count()

Installed = Callable[..., tuple[Exercise, ...]]


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Installed:
    """Give the exercises with one of another package: a squat of which some lines differ."""

    def install(
        init: str = "", findings: str = "", table: str | None = None, **lines: str
    ) -> tuple[Exercise, ...]:
        package = f"exercise_of_a_test_{next(NUMBER)}"
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text(init, encoding="utf-8")
        (tmp_path / package / "findings.yaml").write_text(findings, encoding="utf-8")
        squat = registry.exercise("squat").file("exercise.py").read_text(encoding="utf-8")
        (tmp_path / package / "exercise.py").write_text(squat, encoding="utf-8")
        text = registry.exercise("squat").file("exercise.yaml").read_text(encoding="utf-8")
        changed = {"name": "Heel Raise", "slug": "heel-raise", "order": "20"} | lines
        changed_text = "\n".join(
            f"{key}: {changed.pop(key)}" if (key := line.partition(":")[0]) in changed else line
            for line in text.splitlines()
        )
        file = tmp_path / package / "exercise.yaml"
        encoding = "utf-8" if table is None else "latin-1"
        file.write_text(changed_text if table is None else table, encoding=encoding)
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
        ({"table": "name: ["}, "line 2: is not YAML (did not find"),
        ({"findings": "rules:\n  a: ["}, "line 3: is not YAML"),
        (
            {"findings": "rules: {heel_rise: {threshold: 9}}"},
            "heel_rise is already the name of another",
        ),
        ({"name": "Squat"}, "has the same name"),
        ({"slug": "overhead-squat"}, "has the same name"),
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
        files_digest.cache_clear()
        return registry.digest(exercise), registry.digest(exercise, pages=True)

    before = digests()
    exercise.file("page.py").write_text("FIRST = 1", encoding="utf-8")
    after_page = digests()
    assert (after_page[0] == before[0], after_page[1] == before[1]) == (True, False)
    table = exercise.file("exercise.yaml")
    text = table.read_text(encoding="utf-8")
    table.write_text(text.replace("page: [first,", "page: [first,\n "), encoding="utf-8")
    after_list = digests()
    assert (after_list[0] == before[0], after_list[1] == after_page[1]) == (True, False)
    exercise.file("exercise.py").write_text("FIRST = 1", encoding="utf-8")
    assert not {*after_page} & {*digests()}


def test_what_comes_with_an_exercise_changes_its_key(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = f"lab_{next(NUMBER)}"
    folder = package_of_the_page(project, tmp_path, name=f"{lab}/heel")
    for name in ("__init__.py", "shared.py"):
        (folder.parent / name).write_text("", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)

    def digest() -> str:
        files_digest.cache_clear()
        return files_digest(f"{lab}.heel", (), pages=False)

    before = digest()
    (folder.parent / "shared.py").write_text("LEAST = 40", encoding="utf-8")
    assert digest() == before  # nothing imports it
    with (folder / "exercise.py").open("a", encoding="utf-8") as file:
        file.write("from ..shared import LEAST\n")
    imported = digest()
    (folder.parent / "shared.py").write_text("LEAST = 50", encoding="utf-8")
    assert len({before, imported, digest()}) == 3


@pytest.mark.parametrize("site", ["edited", "site-packages"])
def test_what_its_distribution_brings_and_it_imports_changes_its_keys(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, site: str
) -> None:
    """Edited in place, or installed with a list of its files; a library beside it has a version."""
    heel, tools, pages, library = (f"{name}_{next(NUMBER)}" for name in ("a", "b", "c", "d"))
    folder = package_of_the_page(project, tmp_path / site, name=heel)
    (top := folder.parent).joinpath(pages).mkdir()
    files = [top / f"{tools}.py", top / pages / "__init__.py", top / pages / "limits.csv"]
    for file in (*files, top / f"{library}.py"):
        file.write_text("", encoding="utf-8")
    (info,) = top.glob("*.dist-info")
    names = [*folder.iterdir(), *files]
    record = "".join(f"{file.relative_to(top).as_posix()},,\n" for file in names)
    (info / "RECORD").write_text(record, encoding="utf-8")
    for name, module in (("kernels.py", tools), ("kernels.py", library), ("page.py", pages)):
        with (folder / name).open("a", encoding="utf-8") as text:
            text.write(f"\nimport {module}\nimport no_such_module_{module}\n")
    monkeypatch.syspath_prepend(top)

    def digests() -> tuple[str, str]:
        files_digest.cache_clear()
        return tuple(files_digest(heel, (), pages=shown) for shown in (False, True))

    def outdated_by(file: Path) -> list[bool]:
        before = digests()
        file.write_text("LEAST = 40", encoding="utf-8")
        return [old != new for old, new in zip(before, digests(), strict=True)]

    assert outdated_by(folder / "page.py") == [False, True]
    (folder / "page.py").write_text(f"import {pages}", encoding="utf-8")
    assert outdated_by(top / f"{tools}.py") == [True, True]
    assert outdated_by(top / pages / "limits.csv") == [False, True]
    assert outdated_by(top / f"{library}.py") == [site == "edited"] * 2


def test_the_page_of_an_exercise_that_it_inherits_from_changes_the_key_of_its_report(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if another distribution brings that exercise."""
    heel, toe = (f"{name}_{next(NUMBER)}" for name in ("heel", "toe"))
    place = tmp_path / "site-packages"
    folder = package_of_the_page(project, place, name=heel)
    (place / toe).mkdir()
    (place / toe / "__init__.py").write_text("", encoding="utf-8")
    (place / toe / "exercise.py").write_text(f"from {heel}.exercise import HeelRaise")
    monkeypatch.syspath_prepend(place)

    def digest() -> str:
        files_digest.cache_clear()
        return files_digest(toe, (heel, toe), pages=True)

    before = digest()
    with (folder / "page.py").open("a", encoding="utf-8") as file:
        file.write("MOST = 1\n")
    assert digest() != before


@pytest.fixture
def of_the_page(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[Exercise, ...]]:
    """Give the exercises with that of the page, of which parts of files are replaced."""
    registry.exercises()  # kept as they are without it

    def install(*changes: tuple[str, str, str]) -> tuple[Exercise, ...]:
        package = f"heel_raise_{next(NUMBER)}"
        folder = package_of_the_page(project, tmp_path / "site", name=package)
        for name, old, new in changes:
            file = folder / name
            text = file.read_text(encoding="utf-8") if file.is_file() else ""
            assert old in text
            file.write_text(text.replace(old, new, 1) if old else text + new, encoding="utf-8")
        monkeypatch.syspath_prepend(tmp_path / "site")
        point = EntryPoint(name=package, value=package, group=registry.ENTRY_POINTS)
        monkeypatch.setattr(registry, "entry_points", lambda group: [point])
        return registry.exercises.__wrapped__()

    return install


@pytest.mark.parametrize(
    ("file", "old", "new", "why"),
    [
        ("findings.yaml", "{measured}; the target", "{nix}; the target", "found: 'nix': unknown"),
        ("findings.yaml", "{measured}; the target", "{; the target", "participant: found: "),
        ("findings.yaml", "{measured}; the target", "{measured:9}; the", "must be a name alone"),
        (
            "findings.yaml",
            "below {threshold}\n",
            "below {measured}\n",
            "label: 'measured': unknown",
        ),
        ("findings.yaml", "professional:", "profesional:", "did you mean 'professional'"),
        ("findings.yaml", "threshold: 3", "threshold: abc", "should be a valid number"),
        ("findings.yaml", "threshold: 3", "threshold: '3'", "should be a valid number"),
        ("findings.yaml", "threshold: 3", "threshold: .inf", "should be a finite number"),
        ("findings.yaml", "unit: cm", "unit: '1'", "but body_rise is in 'cm'"),
        ("findings.yaml", "large: {", "spread: false # {", "unit 'cm', needs large"),
        ("findings.yaml", "direction: below", "direction: under", "direction: input should be"),
        ("findings.yaml", "group: whole_movement", "group: heel", "group: 'heel': unknown"),
        ("findings.yaml", "metric: body_rise", "metric: body_rise_phase", "'body_rise_phase'"),
        ("findings.yaml", "rules:", "rule:", "did you mean 'rules'"),
        ("findings.yaml", "rules:", "- rules:", "must consist of named parts"),
        ("findings.yaml", "  rises_little:", "  7: {}\n  rises_little:", "name: input should be"),
        ("advice.yaml", "    repetitions: 10\n", "", "either repetitions or seconds"),
        ("advice.yaml", "sets: 3", "sets: three", "sets: input should be a valid integer"),
        ("advice.yaml", "Stand", "At {distance} stand", "how: 'distance': unknown"),
        ("advice.yaml", "for: [rises_little]", "for: [rise_little]", "did you mean 'rises_little'"),
        (
            "exercise.yaml",
            "rules:",
            "gauges: {}\nrules:",
            "gauges: unknown",
        ),
        ("findings.yaml", "    row: Rise", "    rows: Rise", "rows: unknown; did you mean 'row'"),
        (
            "findings.yaml",
            "label:",
            "margin: {value: 5}\n    label:",
            "margin.source: field required",
        ),
        ("exercise.yaml", "report:", "reports:", "reports: unknown; did you mean 'report'"),
        (
            "exercise.yaml",
            "[body_rise, kn",
            "[body_rises, kn",
            "measures: 'body_rises': unknown; did",
        ),
        (
            "exercise.yaml",
            "measures: [",
            "measures:\n  points: [",
            "measures: input should be a valid list",
        ),
        (
            "exercise.yaml",
            "cohort: [body_rise]",
            "cohort: [body_rises]",
            "cohort: 'body_rises': unknown; did you mean 'body_rise'",
        ),
        (
            "measures.yaml",
            "from: raised.",
            "from: raisd.",
            "'raisd': unknown; did you mean 'raised'",
        ),
        ("measures.yaml", "    against:", "    againts:", "unknown; did you mean 'against'"),
        (
            "measures.yaml",
            "  body_rise:",
            "  heel_rise:",
            "heel_rise is already the name of another",
        ),
        ("kernels.py", "import Values", "import Value", "kernels cannot be imported: ImportError"),
        ("exercise.yaml", "notebook: repetitions", "notebook: heel", "notebook: 'heel': unknown"),
        # As the notebook was called after an exercise.
        (
            "exercise.yaml",
            "notebook: repetitions",
            "notebook: overhead_squat",
            "notebook: 'overhead_squat': unknown; choose repetitions",
        ),
        (
            "exercise.yaml",
            "recording, method",
            "recordings, method",
            "page: 'recordings': unknown; did you mean 'recording'",
        ),
        ("page.py", "def pace", "def paces", "page: 'pace': unknown; did you mean 'paces'"),
        ("page.py", '["repetitions', '["repetition', "pace: needs: 'repetition': unknown"),
        ("page.py", "@section(", "# (", "page: 'pace': unknown; the function in page.py lacks"),
        ("exercise.yaml", "recording, method", "h, recording, method", "page: 'h': unknown"),
        ("exercise.yaml", "ranges: [", "ranges: [body_rise", "report: ranges: 'body_rise'"),
        ("exercise.yaml", "name: Heel Raise", "name: ''", "name: string should have"),
        ("exercise.yaml", "name: Heel Raise", f"name: {'A' * 10_000}", "at most 60 characters"),
        ("exercise.yaml", "name: Heel Raise", "name: '=1+1'", "must begin with a letter"),
        ("exercise.yaml", "name: Heel Raise", 'name: "Arm\\e[31m"', "must be one line"),
        ("exercise.yaml", "slug: heel-raise", f"slug: {'a' * 10_000}", "at most 60 characters"),
        ("exercise.yaml", "order: 20", "order: .nan", "order: input should be a finite number"),
        ("exercise.py", "def repetitions(", "def repetition(", "did you mean 'repetitions'"),
        ("exercise.py", "(self, trial)", "(self, trial, n)", "must accept (self, trial)"),
        ("exercise.py", "def repetitions", "def (", "invalid syntax"),
        (
            "exercise.py",
            '(("pose", "second_pose"), ',
            '("pose", ',
            "depends: each stage needs three tuples",
        ),
        ("exercise.py", '("exercise",)', '("exercise")', "depends: each stage needs three tuples"),
        ("exercise.py", "class ", "raise SystemExit\n\nclass ", "exercise cannot be imported: Sys"),
        (
            "exercise.py",
            "exercises.repeated.exercise import",
            "assessment.exercise_stages import ExerciseStages as",
            "needs a class of",
        ),
        ("exercise.py", "(Repeated)", "", "exercise: defines no exercise, as in: class"),
        ("page.py", "def moments(", "def moment(", "did you mean 'moments'"),
        (
            "page.py",
            "exercises.repeated.page import",
            "reports.exercise_page import ExercisePage as",
            "abstract class HeelRaisePage",
        ),
        ("page.py", "", "import no_such_module", "page cannot be imported: ModuleNotFoundError"),
        ("__init__.py", "", "raise SystemExit(3)", "cannot be imported: SystemExit: 3"),
        ("__init__.py", "", "raise KeyboardInterrupt", "cannot be imported: KeyboardInterrupt"),
        ("__init__.py", "", "raise OSError('a\\n\\x1b[31m' * 999)", "OSError: a \\x1b[31ma"),
    ],
)
def test_a_damaged_package_is_left_out_because_of_one_line(
    of_the_page: Installed,
    caplog: pytest.LogCaptureFixture,
    file: str,
    old: str,
    new: str,
    why: str,
) -> None:
    with caplog.at_level(logging.WARNING):
        assert tuple(each.name for each in of_the_page((file, old, new))) == registry.names()
    (message,) = caplog.messages
    assert "is left out: " in message
    assert why in message
    assert message.isprintable()
    assert len(message) < 600


def test_pages_may_import_what_imports_the_exercises(
    project: Path, tmp_path: Path, of_the_page: Installed
) -> None:
    """At that time they are only being looked for."""
    page = "from mobility.exercises.repeated.page import squat_moments as usual_moments\n"
    exercise = of_the_page(("page.py", "", page))[-1]
    assert exercise.named("page", "usual_moments")
    # Also in a new process, whatever is imported first.
    names = (
        "import mobility.{}; from mobility.catalogue import registry; print(registry.names()[-1])"
    )
    where = {"PYTHONPATH": os.pathsep.join([str(tmp_path / "site"), str(project)])}
    for first in ("cli.analysis_commands", "exercises.repeated.page"):
        new = ended([sys.executable, "-c", names.format(first)], env=os.environ | where)
        assert (new.stdout, new.stderr) == ("Heel Raise\n", "")


def test_ctrl_c_while_a_package_is_imported_is_no_fault_of_it(of_the_page: Installed) -> None:
    with pytest.raises(KeyboardInterrupt):
        of_the_page(("__init__.py", "", "import signal; signal.raise_signal(signal.SIGINT)"))


def test_what_a_package_prints_goes_to_standard_error(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], of_the_page: Installed
) -> None:
    head = "    def repetitions(self, trial):\n"
    exercise = of_the_page(
        ("__init__.py", "", "print('imported')"),
        ("exercise.py", head, f"    print('read')\n\n{head}        print('run')\n"),
    )[-1]
    with pytest.raises(AttributeError):
        stages_of(exercise).repetitions(None)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.split() == ["imported", "read", "run"]


def test_an_exercise_that_fails_to_recognise_its_movement_stops_no_other(
    of_the_page: Installed, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    head = "    def repetitions(self, trial):\n"
    failing = "    def recognised_in(self, pose):\n        return 1 / 0\n\n"
    exercises = of_the_page(("exercise.py", head, failing + head))
    squat = stages_of(next(each for each in exercises if each.slug == "squat"))
    monkeypatch.setattr(registry, "exercises", lambda: (exercises[-1],))
    assert squat.other_exercise(None, None, None) == []  # type: ignore[arg-type]
    assert "recognised_in: ZeroDivisionError" in caplog.text


def test_a_class_adds_to_what_the_classes_above_it_depend_on(of_the_page: Installed) -> None:
    exercise = of_the_page()[-1]
    assert set(stages_of(exercise).all_depends) == {"fitted", "metrics"}


def test_a_package_that_exits_ends_no_command(project: Path, tmp_path: Path) -> None:
    package = package_of_the_page(project, tmp_path / "site")
    (package / "__init__.py").write_text("print('out')\nraise SystemExit(3)\n", encoding="utf-8")
    paths = [str(tmp_path / "site"), str(project), os.environ.get("PYTHONPATH", "")]
    asked = ended(
        [sys.executable, "-m", "mobility.cli", "analyze", "--help"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))},
    )
    assert (asked.returncode, "out\n" in asked.stdout) == (0, False)
    assert "exercise heel_raise is left out: heel_raise cannot be imported" in asked.stderr
    assert len(asked.stderr.splitlines()) == 2  # and what it printed


def test_a_movement_of_a_joint_has_a_turn_and_a_repetition_a_bottom() -> None:
    assert registry.of_single_joints().words["turn"] == "turn"
    assert registry.exercise("squat").words["turn"] == "bottom"
