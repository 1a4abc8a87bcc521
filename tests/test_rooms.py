"""The picture of the rooms is that of the imports."""

from __future__ import annotations

import ast
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def rooms(program) -> ModuleType:
    return program("rooms")


def test_the_picture_shows_what_is_imported_now(rooms):
    assert rooms.PICTURE.read_text(encoding="utf-8") == rooms.picture(), (
        "draw it anew: python scripts/rooms.py"
    )
    floor = {room: y for y, row in enumerate(rooms.layers()) for room in row}
    assert set(floor) == set(rooms.imports())
    shortened = rooms.without_shortcuts({"a": {"b", "c"}, "b": {"c"}, "c": set()})
    assert shortened == {"a": {"b"}, "b": {"c"}, "c": set()}


OF_EACH_EXERCISE = {"exercise.py", "documents.py", "kernels.py", "page.py"}
OF_EACH_WING = {"commands.py", "report_files.py"}


def test_a_file_is_found_by_its_name(project):
    """But for the files of each exercise and extension, and what a room has of the same name."""
    package = project / "mobility"
    exercises = {f"{folder.name}.py" for folder in package.glob("exercises/*/")}
    for top, more in (
        (package, {"__init__.py", *exercises, *OF_EACH_WING}),
        (project / "tests", {"conftest.py", "test_commands.py"}),
    ):
        files = [
            file.name
            for file in sorted(top.rglob("*.py"))
            if not (
                file.name.removeprefix("test_") in OF_EACH_EXERCISE
                and ("exercises" in file.parts or file.with_name("extension.yaml").is_file())
            )
        ]
        assert {name for name in files if files.count(name) > 1} <= more


def test_no_module_reaches_for_what_another_keeps_to_itself(project):
    reaches = []
    for file in sorted((project / "mobility").rglob("*.py")):
        tree = ast.parse(file.read_bytes())
        modules = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mobility"):
                modules |= {alias.asname or alias.name for alias in node.names}
                reaches += [
                    f"{file.name}: {alias.name}"
                    for alias in node.names
                    if alias.name.startswith("_") and alias.name != "__version__"
                ]
        reaches += [
            f"{file.name}: {node.value.id}.{node.attr}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id in modules
            and node.attr.startswith("_")
            and not node.attr.startswith("__")
            and node.attr not in {"_asdict", "_fields", "_replace"}  # of named tuples
        ]
    assert reaches == []
