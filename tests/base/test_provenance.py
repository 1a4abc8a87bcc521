"""The keys of results are of the code that makes them, by the import contracts, and of no other."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import source_from_cache
from pathlib import Path

import pytest
from demo_sessions import beginning

import mobility
from mobility.base import provenance
from mobility.base.provenance import (
    PAGES,
    Code,
    code_digest,
    named_tables,
    package_files,
    reached_modules,
)
from mobility.catalogue import exercise_folders
from mobility.catalogue.exercise_folders import exercise_table, files_digest, own_table
from mobility.errors import ConflictError
from mobility.lab.lab_comparison import COMPARISON
from mobility.pipeline.analysis import POSE, RESULTS

LIKE = {"overhead_squat", "squat", "single_leg_squat", "sit_to_stand"}
ALL = {"joint_angle_mobility", *LIKE}
CODES = (POSE, RESULTS, COMPARISON)


def as_in_a_new_process() -> None:
    for cached in (code_digest, provenance._module_of, provenance._read_source):
        cached.cache_clear()


@pytest.fixture
def copied(project, tmp_path, monkeypatch) -> Iterator[Path]:
    """A copy of the package, of which the digests are from now on."""
    package = tmp_path / "checkout" / "mobility"
    shutil.copytree(project / "mobility", package, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(provenance, "_HERE", package)
    monkeypatch.setattr(provenance, "_AT_START", {})
    as_in_a_new_process()
    yield package
    as_in_a_new_process()


@contextmanager
def edited(file: Path) -> Iterator[None]:
    """Something more at the end of a file; what was there before may be nothing."""
    before = file.read_bytes() if file.is_file() else None
    file.write_bytes((before or b"") + (b"\n_MORE = 1\n" if file.suffix == ".py" else b"\n"))
    as_in_a_new_process()
    yield
    file.unlink() if before is None else file.write_bytes(before)
    as_in_a_new_process()


def changed(files: list[Path], *, by: Code) -> set[Path]:
    """Files of which a change changes the digest."""
    before, matter = code_digest(by), set()
    for file in files:
        with edited(file):
            matter |= {file} if code_digest(by) != before else set()
    assert code_digest(by) == before
    return matter


@pytest.mark.parametrize("code", CODES)
def test_the_code_of_a_result_begins_in_modules_that_exist(code):
    assert len(provenance.modules_of(code)) == len(code)


def test_no_result_depends_on_pages_documents_studies_and_ways_in(project):
    """Nor do the modules of an exercise that make results; the room of sessions is not followed."""
    package = project / "mobility"

    def rooms(modules: set[Path]) -> set[str]:
        return {module.relative_to(package).parts[0] for module in modules}

    pose = {"base", "capture", "errors.py", "keypoints", "tables"}
    assert rooms(reached_modules(provenance.modules_of(POSE))) == pose
    computing = {"assessment", "catalogue", "kinematics", "pipeline", *pose}
    results = reached_modules(provenance.modules_of(RESULTS))
    assert rooms(results) == computing
    stages = {"analysis", "metrics_table", "overlay"}
    assert {module.stem for module in results if module.parent.name == "pipeline"} == stages
    of_exercises = {
        file
        for file in (package / "exercises").rglob("*.py")
        if file.name not in exercise_folders.NO_RESULTS
    }
    reached = reached_modules(of_exercises)
    assert rooms(reached) <= {*computing, "exercises"}
    assert {file for file in reached if "exercises" in file.parts} == of_exercises


@pytest.mark.parametrize("code", CODES)
def test_the_tables_of_a_result_are_those_that_its_code_loads(project, code):
    """A result keeps warnings and reasons as texts, so sentences belong to it as numbers do."""
    modules = reached_modules(provenance.modules_of(code))
    loaded = set()
    for module in modules:
        for node in ast.walk(ast.parse(module.read_bytes())):
            match node:
                case ast.Call(ast.Attribute(ast.Name("tables"), "sentence" | "warning"), [key, *_]):
                    loaded |= {f"sentences_{text.partition('.')[0]}" for text in texts(key)}
                case ast.Call(ast.Attribute(ast.Name("tables"), "load"), [ast.Constant(name)]):
                    loaded.add(name)
    assert "sentences_capture" in loaded
    assert loaded <= named_tables(modules)


def texts(key: ast.expr) -> set[str]:
    """What an argument may be: a text, one of two, or a text that is to be filled in."""
    match key:
        case ast.IfExp(body=one, orelse=other):
            return texts(one) | texts(other)
        case ast.JoinedStr(values=[ast.Constant(value=text), *_]) | ast.Constant(value=text):
            return {text}
    raise AssertionError(f"no table can be read from {ast.unparse(key)}")


def rewrite(file: Path, pattern: str, new: str) -> None:
    content = file.read_text(encoding="utf-8")
    file.write_text(re.sub(pattern, new, content, flags=re.M), encoding="utf-8")


@pytest.mark.parametrize(
    ("file", "old", "new", "outdated"),
    [
        ("kinematics/clean.py", "^_SWAP_RATIO = 0.5", "_SWAP_RATIO = 0.6", {RESULTS, COMPARISON}),
        ("capture/survey.py", "^DENSE_S = 0.5", "DENSE_S = 0.6", {POSE, RESULTS, COMPARISON}),
        # What a name stands for.
        ("pipeline/overlay.py", "import BONES, INDEX", "import BONES, SIDES as INDEX", {RESULTS}),
        ("kinematics/clean.py", "^import numpy as np", "import cupy as np", {RESULTS, COMPARISON}),
        ("lab/pairing.py", "return ", "return not ", {COMPARISON}),
        ("reports/page.py", "return ", "return not ", set()),
        ("studies/curves.py", "return ", "return not ", set()),
        ("documents/fill.py", "return ", "return not ", set()),
        ("kinematics/clean.py", "$", "  # as measured", set()),
        ("kinematics/clean.py", r'\A"""', '"""Also ', set()),
    ],
)
def test_a_change_of_what_computes_changes_the_key(copied, file, old, new, outdated):
    before, content = [code_digest(code) for code in CODES], (copied / file).read_bytes()
    rewrite(copied / file, old, new)
    assert (copied / file).read_bytes() != content
    as_in_a_new_process()
    after = [code_digest(code) for code in CODES]
    # Whoever compares with a lab takes the results of sessions.
    outdated = outdated | ({COMPARISON} if RESULTS in outdated else set())
    pairs = zip(CODES, before, after, strict=True)
    assert {code for code, earlier, now in pairs if earlier != now} == outdated


def test_where_a_module_is_and_what_it_is_called_changes_no_key(copied):
    before = [code_digest(code) for code in CODES]
    (copied / "zeal").mkdir()
    for old, new in (("kinematics.clean", "zeal.cleaning"), ("capture.detected", "zeal.seeking")):
        place, target = (copied.joinpath(*name.split(".")) for name in (old, new))
        place.with_suffix(".py").rename(target.with_suffix(".py"))
        for file in copied.rglob("*.py"):
            rewrite(file, rf"\bmobility\.{old}\b", f"mobility.{new}")
    pose = copied / "capture" / "pose.py"
    rewrite(pose, "import detected, survey", "import survey\nfrom mobility.zeal import seeking")
    rewrite(pose, r"\bdetected\.opened", "seeking.opened")
    as_in_a_new_process()
    assert [code_digest(code) for code in CODES] == before
    rewrite(copied / "zeal" / "cleaning.py", "^_SWAP_RATIO = 0.5", "_SWAP_RATIO = 0.6")
    as_in_a_new_process()
    changed = [code_digest(code) != each for code, each in zip(CODES, before, strict=True)]
    assert changed == [False, True, True]


def test_a_change_of_a_table_changes_the_keys_of_those_who_load_it(copied):
    tables = sorted((copied / "tables").glob("*.yaml"))
    redo = {file.stem for file in changed(tables, by=RESULTS)}
    pages = {f"sentences_{name}" for name in ("cohort", "command_line", "report", "validation")}
    assert redo.isdisjoint({*pages, "sentences_studies", "cohort_columns", "merging"})
    assert redo >= {"fit", "expected_error", "landmarks", "sentences_reasons", "sentences_warnings"}
    assert {file.stem for file in changed(tables, by=POSE)} == {
        *("keypoint_names", "landmarks", "pose_model", "pose_sources"),
        "sentences_capture",  # warnings are stored with the pose
    }


@pytest.fixture
def keys(copied, monkeypatch) -> Callable[[], dict[str, tuple[str, str]]]:
    """Digests of each exercise of the copied package: of its results, and with its pages."""

    def folder_of(name: str) -> Path:
        return copied.parent.joinpath(*name.split("."))

    monkeypatch.setattr(exercise_folders, "files", folder_of)

    def now() -> dict[str, tuple[str, str]]:
        for cached in (exercise_table, own_table, files_digest):
            cached.cache_clear()
        as_in_a_new_process()
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
        ("repeated/exercise.py", LIKE, LIKE),
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
        ("from mobility.exercises.squat import page", {"squat", "repeated"}),
        ("def late():\n    import mobility.exercises.squat.page", {"squat", "repeated"}),
        ("from ..squat.page import nothing", {"squat", "repeated"}),
        ("from mobility import overhead_squat", {"overhead_squat", "repeated"}),
        ("import mobility as mb\nmb.overhead_squat", {"overhead_squat", "repeated"}),
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
    as_in_a_new_process()
    assert code_digest(code) != before
    # The package itself is judged by its files: a new number on the same code changes nothing.
    monkeypatch.setattr(provenance, "package_versions", lambda: versions | {"mobility": "99"})
    as_in_a_new_process()
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
        for code in (None, PAGES, RESULTS):
            with pytest.raises(ConflictError, match=r"angles\.py of mobility was changed while"):
                code_digest(code)
        code_digest(POSE)  # of which it is no part


def test_copies_of_an_editor_are_no_code(copied):
    copies = [copied / "kinematics" / name for name in (".angles.py.swp", "angles.py~")]
    assert changed(copies, by=None) == set()
    assert changed([copied / "kinematics" / "new.nc"], by=None)


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
    modules = reached_modules(provenance.modules_of(POSE))
    tables = {package / "tables" / f"{name}.yaml" for name in named_tables(modules)}
    # Of the folders that modules are in, only what is above them.
    rest = {file for file in read - modules - tables if file.name != "__init__.py"}
    assert not rest


def test_the_same_alias_in_two_functions_names_two_modules() -> None:
    source = b"""
def f():
    from mobility.kinematics import clean as m
def g():
    from mobility.kinematics import skeleton as m
"""
    names = {name for _, name in provenance._read_source(source, "mobility").imports}
    assert names == {"mobility.kinematics.clean", "mobility.kinematics.skeleton"}
