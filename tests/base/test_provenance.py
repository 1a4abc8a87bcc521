"""The keys of results are of the code that makes them, by the import contracts, and of no other."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import source_from_cache
from pathlib import Path

import pytest
from demo_sessions import beginning

import mobility
from mobility.base import provenance
from mobility.base.provenance import COMPARISON, POSE, RESULTS, Code, code_digest, package_files
from mobility.catalogue import exercise_folders
from mobility.catalogue.exercise_folders import exercise_table, files_digest, own_table
from mobility.errors import ConflictError

LIKE = {"overhead_squat", "squat", "single_leg_squat", "sit_to_stand"}
ALL = {"joint_angle_mobility", *LIKE}


@pytest.fixture
def copied(project, tmp_path, monkeypatch) -> Iterator[Path]:
    """A copy of the package, of which the digests are from now on."""
    package = tmp_path / "checkout" / "mobility"
    shutil.copytree(project / "mobility", package, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(provenance, "_HERE", package)
    # As if each look were that of a new process.
    monkeypatch.setattr(provenance, "_AT_START", {})
    code_digest.cache_clear()
    yield package
    code_digest.cache_clear()


@contextmanager
def edited(file: Path) -> Iterator[None]:
    """Another byte at the end of a file; what was there before may be nothing."""
    before = file.read_bytes() if file.is_file() else None
    file.write_bytes((before or b"") + b"\n")
    code_digest.cache_clear()
    yield
    file.unlink() if before is None else file.write_bytes(before)
    code_digest.cache_clear()


def changed(files: list[Path], *, by: Code) -> set[Path]:
    """Files of which a change changes the digest."""
    before, matter = code_digest(by), set()
    for file in files:
        with edited(file):
            matter |= {file} if code_digest(by) != before else set()
    assert code_digest(by) == before
    return matter


@pytest.fixture(scope="module")
def contracts(project) -> tuple[list[list[str]], dict[str, list[str]]]:
    """Layers of the rooms, the highest first, and what the stages may not import."""
    settings = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))
    layers, forbidden = settings["tool"]["importlinter"]["contracts"][:2]
    rows = [[name.removeprefix("mobility.") for name in r.split(" | ")] for r in layers["layers"]]
    names = {
        key: [name.removeprefix("mobility.") for name in forbidden[key]]
        for key in ("source_modules", "forbidden_modules")
    }
    return rows, names


def test_the_code_of_a_result_is_what_the_import_contracts_let_it_use(project, contracts):
    rows, stages = contracts

    def at_and_below(room: str) -> set[str]:
        floor = next(y for y, row in enumerate(rows) if room in row)
        return {room}.union(*rows[floor + 1 :])

    rooms, modules = at_and_below("assessment"), stages["source_modules"]
    assert set(POSE.modules) == at_and_below("capture")
    assert set(RESULTS.modules) == rooms | set(modules)
    of_labs = {"pipeline.lab_comparison", *at_and_below("validation")}
    assert set(COMPARISON.modules) == of_labs | set(RESULTS.modules)
    for code in (POSE, RESULTS, COMPARISON):
        for name in code.modules:
            place = project / "mobility" / name.replace(".", "/")
            assert place.is_dir() or place.with_suffix(".py").is_file(), name
    # Of all else that they could import only files of a session are allowed, and the options and
    # keypoints that were given, whose values are in the keys.
    others = {f"pipeline.{file.stem}" for file in (project / "mobility" / "pipeline").glob("*.py")}
    others |= at_and_below("pipeline") - {"pipeline", "pipeline.__init__"}
    allowed = {"sessions", "exchange", "pipeline.__init__", *RESULTS.modules}
    assert set(stages["forbidden_modules"]) == others - allowed


@pytest.mark.parametrize("code", [POSE, RESULTS, COMPARISON])
def test_the_tables_of_a_result_are_those_that_its_code_loads(project, code):
    """A result keeps warnings and reasons as texts, so sentences belong to it as numbers do."""
    numbers, sentences = set(), set()
    files = package_files(project / "mobility", code)
    if "catalogue" in code.modules:  # and what it finds, whose digest is in the keys besides
        folders = (project / "mobility" / "exercises").rglob("*.py")
        files += [file for file in folders if file.name not in exercise_folders.NO_RESULTS]
    for file in files:
        tree = ast.parse(file.read_bytes() if file.suffix == ".py" else b"")
        for node in ast.walk(tree):
            match node:
                case ast.Call(ast.Attribute(ast.Name("tables"), "sentence" | "warning"), [key, *_]):
                    sentences |= {text.partition(".")[0] for text in texts(key)}
                case ast.Call(ast.Attribute(ast.Name("tables"), "load"), [key]) if code.tables:
                    numbers |= texts(key)
    assert sentences == set(code.sentences)
    assert numbers == set(code.tables or ())


def texts(key: ast.expr) -> set[str]:
    """What an argument may be: a text, one of two, or a text that is to be filled in."""
    match key:
        case ast.IfExp(body=one, orelse=other):
            return texts(one) | texts(other)
        case ast.JoinedStr(values=[ast.Constant(value=text), *_]) | ast.Constant(value=text):
            return {text}
    raise AssertionError(f"no table can be read from {ast.unparse(key)}")


def test_a_change_of_what_computes_changes_the_key(copied):
    """A file of each room, those of the stages, every table, and a new file."""
    rooms = {
        file.relative_to(copied).parts[0]: file
        for file in package_files(copied)
        if file.suffix == ".py"
    }
    stages = {f"pipeline.{file.stem}": file for file in (copied / "pipeline").glob("*.py")}
    assert {name for name in rooms if changed([rooms[name]], by=POSE)} == {
        *("capture", "keypoints", "tables", "base", "errors.py"),
    }
    at_work = {name for name in rooms if changed([rooms[name]], by=RESULTS)}
    assert at_work >= {"assessment", "kinematics", "capture", "tables", "keypoints", "base"}
    assert at_work.isdisjoint({"widgets", "server", "reports", "documents", "cli", "sessions"})
    assert {name for name in stages if changed([stages[name]], by=RESULTS)} == {
        *("pipeline.analysis", "pipeline.metrics_table", "pipeline.overlay")
    }
    new = [copied / name for name in ("kinematics/new.py", "tables/new.nc", "kinematics/fit/n.nc")]
    assert changed(new, by=RESULTS) == set(new)
    assert changed(new, by=POSE) == set()


def test_a_change_of_a_table_changes_the_keys_of_those_who_load_it(copied):
    tables = sorted((copied / "tables").glob("*.yaml"))
    sentences = {file for file in tables if file.stem.startswith("sentences_")}
    left_out = {file.stem.removeprefix("sentences_") for file in sentences} - set(RESULTS.sentences)
    assert left_out >= {"cohort", "command_line", "report", "validation"}
    redo = changed(tables, by=RESULTS)
    assert {file.stem for file in sentences - redo} == {f"sentences_{name}" for name in left_out}
    assert redo >= set(tables) - sentences
    assert {file.stem for file in changed(tables, by=POSE)} == {
        *("angles", "capture_quality", "keypoint_names", "landmarks", "pose_model"),
        *("pose_sources", "views"),
        "sentences_capture",  # warnings are stored with the pose
    }


@pytest.fixture
def keys(copied, monkeypatch) -> Callable[[], dict[str, tuple[str, str]]]:
    """Digests of each exercise of the copied package: of its results, and with its pages."""

    def folder_of(name: str) -> Path:
        return copied.parent.joinpath(*name.split("."))

    monkeypatch.setattr(exercise_folders, "files", folder_of)

    def now() -> dict[str, tuple[str, str]]:
        for cached in (exercise_table, own_table, files_digest, code_digest):
            cached.cache_clear()
        names = sorted(path.parent.name for path in copied.glob("exercises/*/exercise.yaml"))
        packages = tuple(f"{exercise_folders.PACKAGE}.{name}" for name in names)
        return {
            name: (
                code_digest(RESULTS) + files_digest(package, packages, pages=False),
                code_digest() + files_digest(package, packages, pages=True),
            )
            for name, package in zip(names, packages, strict=True)
        }

    yield now
    monkeypatch.undo()
    for cached in (exercise_table, own_table, files_digest):
        cached.cache_clear()


def test_an_exercise_more_leaves_the_keys_of_the_others_as_they_are(copied, keys):
    before = keys()
    shutil.copytree(copied / "exercises" / "squat", copied / "exercises" / "deep_squat")
    after = keys()
    assert after.pop("deep_squat") not in before.values()
    assert after == before


@pytest.mark.parametrize(
    ("file", "of_results", "of_pages"),
    [
        ("squat/exercise.yaml", {"squat"}, {"squat"}),
        # Squats are asked whether they are rises from a chair.
        ("sit_to_stand/times.py", LIKE, LIKE),
        ("sit_to_stand/page.py", set(), {"sit_to_stand"}),
        ("single_leg_squat/page.py", set(), {"single_leg_squat"}),
        ("repeated/analysis.py", LIKE, LIKE),
        ("repeated/page.py", set(), LIKE),
        # `repeated` looks for single joints that move.
        ("joint_angle_mobility/courses.py", ALL, ALL),
        ("joint_angle_mobility/constants.yaml", ALL, ALL),
        ("../kinematics/angles.py", ALL, ALL),
    ],
)
def test_a_change_of_an_exercise_changes_the_keys_of_those_that_use_it(
    copied, keys, file, of_results, of_pages
):
    before = keys()
    with edited(copied / "exercises" / file):
        after = keys()
    for part, names in ((0, of_results), (1, of_pages)):
        assert {name for name in before if before[name][part] != after[name][part]} == names


@pytest.mark.parametrize(
    ("imports", "folders"),
    [
        ("from mobility.exercises.squat import page", {"squat"}),
        ("def late():\n    import mobility.exercises.squat.page", {"squat"}),
        ("from ..squat.page import nothing", {"squat"}),
        ("from mobility import overhead_squat", {"overhead_squat", "repeated"}),
        ("import mobility as mb", {"overhead_squat", "repeated"}),
        ("from mobility import tables", set()),
    ],
)
def test_what_an_exercise_imports_is_followed_however_it_is_written(copied, keys, imports, folders):
    alone = copied / "exercises" / "joint_angle_mobility"
    (alone / "joint_values.py").write_text(imports, encoding="utf-8")
    keys()
    followed = exercise_folders.followed_folders(
        f"{exercise_folders.PACKAGE}.{alone.name}", pages=False
    )
    assert {folder.name for folder in followed.values()} == folders | {alone.name}


def test_no_file_of_the_package_is_left_out(copied):
    """Only what the installation puts elsewhere, which tells Jupyter of the server, is none."""
    files = {file for file in copied.rglob("*") if file.is_file()}
    assert {file.name for file in files - set(package_files(copied))} == {"mobility.json"}


def test_results_are_of_the_version_of_the_code_that_made_them():
    """Also where it is installed in place: norms of a lab hold for one version."""
    assert provenance.package_versions()["mobility"] == mobility.__version__


@pytest.mark.parametrize("code", [None, RESULTS])
def test_another_version_of_a_library_is_other_code(copied, monkeypatch, code):
    versions, before = dict(provenance.package_versions()), code_digest(code)
    monkeypatch.setattr(provenance, "package_versions", lambda: versions | {"numpy": "99"})
    code_digest.cache_clear()
    assert code_digest(code) != before
    # The package itself is judged by its files: a new number on the same code changes nothing.
    monkeypatch.setattr(provenance, "package_versions", lambda: versions | {"mobility": "99"})
    code_digest.cache_clear()
    assert code_digest(code) == before


@pytest.mark.parametrize("clock", [-86_400, 86_400])
def test_code_that_was_changed_under_a_process_is_not_taken_for_its_own(copied, monkeypatch, clock):
    """Also where the clock was behind, and files are of tomorrow."""
    for file in package_files(copied):
        os.utime(file, (time.time() - clock,) * 2)
    times = {file: file.stat().st_mtime_ns for file in package_files(copied)}
    monkeypatch.setattr(provenance, "_AT_START", times)
    code_digest(None)
    with edited(copied / "kinematics" / "angles.py"):
        for code in (None, RESULTS):
            with pytest.raises(ConflictError, match=r"angles\.py of mobility was changed while"):
                code_digest(code)
        code_digest(POSE)  # of which it is no part


def test_copies_of_an_editor_are_no_code(copied):
    copies = [copied / "kinematics" / name for name in (".angles.py.swp", "angles.py~")]
    for code in (None, RESULTS):
        assert changed(copies, by=code) == set()


@pytest.mark.slow
def test_the_pose_reads_no_file_of_which_its_digest_does_not_know(
    project, demo, tmp_path, pose_model
):
    """Every file of the package that a real pose estimation opens, in all of its processes."""
    video = beginning(demo, tmp_path, frames=12)
    opened = tmp_path / "opened"
    package = project / "mobility"
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\n"
        f"place = {str(package)!r} + os.sep\n"
        f"log = os.open({str(opened)!r}, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)\n"
        "def note(event, args):\n"
        "    if event == 'open' and str(args[0]).startswith(place):\n"
        "        os.write(log, f'{args[0]}\\n'.encode())\n"
        "sys.addaudithook(note)\n"
    )
    code = f"import mobility; mobility.estimate_pose({str(video)!r}, workers=1)"
    path = os.pathsep.join([str(tmp_path), str(project)])
    subprocess.run([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": path}, check=True)
    lines = opened.read_text().splitlines()
    read = {Path(source_from_cache(line) if ".pyc" in line else line) for line in lines}
    read = {file for file in read if file.is_file()}
    assert package / "capture" / "pose_worker.py" in read
    assert read - {package / "__init__.py"} <= set(package_files(package, POSE))
