"""The folder of an exercise: its tables, and the digest of its files."""

from __future__ import annotations

import functools
import hashlib
import re
import sys
from collections.abc import Mapping
from importlib.metadata import entry_points
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from mobility.base.parsing import YAML_LOADER
from mobility.base.provenance import computation, imported_modules, sha256, sha256_of_lines
from mobility.catalogue.exercise_table import checked_table
from mobility.errors import BadInputError, MobilityError

PACKAGE = "mobility.exercises"

BASE = f"{PACKAGE}.repeated"

NO_RESULTS = ("documents.py", "page.py", "joint_sections.py")
"""Modules of an exercise's folder that no result depends on."""

_LONGEST_REASON = 300
"""Number of characters shown of the reason why an exercise is left out."""


@functools.cache
def exercise_table(package: str) -> dict[str, Any]:
    """Return the checked ``exercise.yaml`` of an exercise."""
    table = own_table(package, "exercise")
    return checked_table(table, what=f"exercise.yaml of {package}")


@functools.cache
def own_table(package: str, name: str) -> Any:
    """Return the table ``<name>.yaml`` of a folder; empty if the folder has none."""
    file = files(package) / f"{name}.yaml"
    if not file.is_file():
        return {}
    try:
        return yaml.load(file.read_text(encoding="utf-8"), Loader=YAML_LOADER) or {}  # noqa: S506
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise BadInputError(
            f"{name}.yaml of {package}, line {line}: is not YAML ({error.problem}); correct this "
            "line or the line before"
        ) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise BadInputError(f"{name}.yaml of {package}: {in_short(error)}") from error


@functools.cache
def merged_table(packages: tuple[str, ...], name: str) -> Any:
    """Return the tables ``<name>.yaml`` of an exercise and of its extensions as one table."""
    first, *extensions = (own_table(package, name) for package in packages)
    merged = first if not any(extensions) else dict(first)
    for table in filter(None, extensions):
        for part, entries in table.items():
            is_part = isinstance(entries, Mapping)
            merged[part] = {**merged.get(part, {}), **entries} if is_part else entries
    return merged


@functools.cache
def files_digest(
    package: str, packages: tuple[str, ...], *, pages: bool, extensions: tuple[str, ...] = ()
) -> str:
    """SHA-256 of the files of an exercise; `packages` are those of all exercises.

    The files are those of its folder, of its `extensions`, and of the folders that these import,
    for example the folder of the class that it inherits from.
    """
    folders = followed_folders(package, *extensions, exercises=packages, pages=pages)
    asked = dict[str, Path]()
    if BASE in folders:  # whose verdict asks every exercise whether it recognises itself
        for each in packages:
            file = Path(str(files(each))) / "exercise.py"
            if file.is_file() and b"def recognised_in" in file.read_bytes():
                asked |= followed_folders(each, pages=False)
    lines, modules = list[str](), list[Path]()
    for named, with_pages in ((folders, pages), (asked, False)):
        for name, folder in sorted(named.items()):  # independent of where it is installed
            for file in _files_of(folder, pages=with_pages):
                if file.suffix == ".py" and not with_pages:
                    modules.append(file)
                else:
                    content = sha256(file) if with_pages else _sha256_of_result(file)
                    lines.append(f"{name} {file.relative_to(folder).as_posix()} {content}")
    return sha256_of_lines([*lines, *computation(modules)])


def _sha256_of_result(file: Path) -> str:
    """SHA-256 of a file, without the entries of a table that only name parts of a page."""
    content = file.read_bytes()
    if file.name in ("exercise.yaml", "extension.yaml"):
        content = re.sub(
            rb"^(page|page_after|notebook|tables):.*\n(?:[ -].*\n)*", b"", content, flags=re.M
        )
    return hashlib.sha256(content).hexdigest()


def followed_folders(
    *packages: str, exercises: tuple[str, ...] = (), pages: bool
) -> dict[str, Path]:
    """Return package folders by name, and the folders or modules that they import.

    Only imports of `exercises`, of their helpers and of :func:`_comes_with` are followed here. For
    everything else in this package, :func:`mobility.base.provenance.computation` follows the
    imports.
    """
    foreign = [package for package in packages if not package.startswith("mobility.")]
    tops = {package.partition(".")[0] for package in (*packages, *exercises)} - {"mobility"}

    def is_followed(module: str) -> bool:
        top = module.partition(".")[0]
        if top == "mobility":
            return module.startswith(f"{PACKAGE}.")
        return top in tops or any(_comes_with(each, top) for each in foreign)

    waiting, folders = [*packages], dict[str, Path]()
    while waiting:
        name = waiting.pop()
        if name in folders:
            continue
        folders[name] = _place_of(name)
        for file in _files_of(folders[name], pages=pages):
            if file.suffix == ".py":
                within = ".".join([name, *file.relative_to(folders[name]).parts[:-1]])
                modules = imported_modules(file.read_bytes(), package=within)
                waiting += [package_of(each) for each in modules if is_followed(each)]
    return folders


@functools.cache
def _comes_with(package: str, top: str) -> bool:
    """Whether a top-level module is in the distribution of a package, or is edited in place.

    Everything else that a package imports is a library of somebody else.
    """
    if top in sys.stdlib_module_names or (spec := find_spec(top)) is None or not spec.origin:
        return False
    if {"site-packages", "dist-packages"}.isdisjoint(Path(spec.origin).parts):
        return True
    points = entry_points(group=PACKAGE)  # the entry point has the same name
    found = next((point.dist for point in points if point.value == package), None)
    installed = (found.files if found else None) or ()
    return any(file.parts[0].removesuffix(".py") == top for file in installed)


def _place_of(name: str) -> Path:
    """Path of the folder of a package, or of the file of a top-level module."""
    top, *parts = name.split(".")
    spec = None if top == "mobility" else find_spec(top)
    if spec and spec.origin and not spec.submodule_search_locations:
        return Path(spec.origin)
    return Path(str(files(top))).joinpath(*parts)


def _files_of(folder: Path, *, pages: bool) -> list[Path]:
    """Files of a folder that results (or pages) depend on, without hidden files and backups."""
    return [
        file
        for file in ([folder] if folder.is_file() else sorted(folder.rglob("*")))
        if file.is_file()
        and not any(
            part[0] == "." or part == "__pycache__" for part in file.parts[len(folder.parts) :]
        )
        and not file.name.endswith("~")
        and (pages or not (file.name in NO_RESULTS or file.suffix == ".svg"))
    ]


def package_of(module: str) -> str:
    """Name the innermost package that contains a module, or a name in it, without importing it."""
    name, *parts = module.split(".")
    folder = _place_of(name)
    for part in parts:
        folder /= part
        if not (folder / "__init__.py").is_file():
            break
        name = f"{name}.{part}"
    return name


def in_short(error: BaseException) -> str:
    """Describe an exception in one line."""
    text = " ".join(str(error).split())
    if len(text) > _LONGEST_REASON:
        text = f"{text[:_LONGEST_REASON]}…"
    if not isinstance(error, MobilityError):
        text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
