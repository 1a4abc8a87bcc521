"""Provenance of results: their ``history`` attribute, and digests of the current code."""

from __future__ import annotations

import ast
import functools
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import mobility
from mobility.errors import ConflictError

if TYPE_CHECKING:
    import xarray as xr

SCHEMA_VERSION = "1"
"""Version of the layout of Datasets and JSON documents."""

LIBRARIES = ("mediapipe", "numpy", "scipy", "xarray", "av", "opencv-contrib-python")
"""Packages, besides this one, whose version can change a number."""

_HERE = Path(mobility.__file__).parent


@functools.cache
def package_versions() -> Mapping[str, str]:
    """Return the versions of the packages that can change a number, by name."""
    # A package that is installed in place keeps the metadata of the day of its installation.
    versions = {"mobility": mobility.__version__}
    for name in LIBRARIES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "not installed"
    return versions


def sha256(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file as hexadecimal digits; the file is read in blocks."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


Code = tuple[str, ...]
"""Modules with which a computation begins. The modules that they import count too, including
imports inside functions.
"""

PAGES: Code = ()
"""Code of reports and comments: all files except those of the exercises."""

_BEYOND = ("mobility.sessions", "mobility.store")
"""Modules that are not followed, because the key of a result already contains everything that the
result needs from its session. The code that stores a result is not in the key either, because it
changes no value: a Dataset that is read equals the written one in each bit, as a test checks.
"""


@functools.cache
def code_digest(code: Code | None = PAGES) -> str:
    """Return the SHA-256 of library versions and `code`; None stands for the whole package.

    Raises
    ------
    ConflictError
        A file was changed after this process began, so the process may be running the earlier code.
    """
    # The files of this package are more specific than its version.
    versions = {name: version for name, version in package_versions().items() if name != "mobility"}
    digest = hashlib.sha256(json.dumps(versions, sort_keys=True).encode())
    if code:
        return sha256_of_lines([digest.hexdigest(), *computation(modules_of(code))])
    for file in package_files(_HERE):
        place = file.relative_to(_HERE).as_posix()
        if code is None or not place.startswith("exercises/"):
            _check_unchanged(file)
            digest.update(f"{place} {sha256(file)}\n".encode())
    return digest.hexdigest()


def package_files(package: Path) -> list[Path]:
    """Return the files that are installed with a package, without hidden files and backups."""
    folders = [init.parent for init in package.rglob("__init__.py")]
    files = (file for folder in folders for file in folder.iterdir() if file.is_file())
    return sorted(f for f in files if not (f.name.startswith(".") or f.name.endswith("~")))


_AT_START = {file: file.stat().st_mtime_ns for file in package_files(_HERE)}


def _check_unchanged(file: Path) -> None:
    # Not by time, because the clock may be behind that of the installation.
    if (time := file.stat().st_mtime_ns) != _AT_START.get(file, time):
        raise ConflictError(
            f"{file.name} of mobility was changed while this process ran; start it again"
        )


def modules_of(code: Code) -> list[Path]:
    """Return the files of the modules with which a computation begins."""
    return [file for name in code for file, _ in [_module_of(name)] if file is not None]


def computation(modules: Iterable[Path]) -> list[str]:
    """Return digests of modules, and of everything they import or name from this package.

    The digests do not depend on comments, on docstrings, or on the place and name of a module.
    """
    reached = reached_modules(modules)
    tables = {_HERE / "tables" / f"{name}.yaml" for name in named_tables(reached)}
    for file in reached | tables:
        _check_unchanged(file)
    return sorted({*map(_with_imports, reached), *map(sha256, tables)})


def reached_modules(modules: Iterable[Path]) -> set[Path]:
    """Follow the imports of modules within this package, including imports inside functions."""
    waiting, reached = [*modules], set[Path]()
    while waiting:
        if (module := waiting.pop()) not in reached:
            reached.add(module)
            targets = (_module_of(name) for _, name in _source(module).imports)
            waiting += [file for file, _ in targets if file is not None]
    return reached


def named_tables(modules: Iterable[Path]) -> set[str]:
    """Return the tables that strings in modules name: "angles", "reasons.chair" (sentences)."""
    texts = set[str]().union(*(_source(module).texts for module in modules))
    keys = {tuple(text.split(".")[:2]) for text in texts if "." in text}
    named = set()
    for file in (_HERE / "tables").glob("*.yaml"):
        sentences = file.stem.removeprefix("sentences_")
        if sentences == file.stem:
            named |= {file.stem} & texts
        else:
            lines = f"\n{file.read_text(encoding='utf-8')}"
            named |= {file.stem for part, key in keys if part == sentences and f"\n{key}" in lines}
    return named


def _with_imports(module: Path) -> str:
    """Return the SHA-256 of a module and of the code that it imports directly."""
    source = _source(module)
    imports = []
    for alias, name in source.imports:
        file, rest = _module_of(name)
        imports.append(f"{alias} {rest} {_source(file).digest if file else ''}")
    return sha256_of_lines([source.digest, *sorted(imports)])


@functools.cache
def _module_of(name: str) -> tuple[Path | None, str]:
    """Find the file of an imported name (None outside this package), and the name inside the file.

    A name of :mod:`mobility` itself is looked up in the module that defines it.
    """
    parts = name.split(".")
    if name.startswith("mobility.") and parts[1] in mobility.PUBLIC:
        parts = [*mobility.PUBLIC[parts[1]].split("."), *parts[1:]]
    for length in range(len(parts), 1, -1) if parts[0] == "mobility" else ():
        place = _HERE.joinpath(*parts[1:length])
        for file in (place.with_name(f"{place.name}.py"), place / "__init__.py"):
            if file.is_file():
                is_beyond = ".".join(parts[:2]) in _BEYOND
                return None if is_beyond else file, ".".join(parts[length:])
    return None, name


class _Source(NamedTuple):
    """What the source of a module contains.

    Attributes
    ----------
    digest
        SHA-256 of its code without imports, comments, docstrings and names of modules.
    imports
        For each import, its name in the code and its full name, as ``a.b.name``.
    texts
        Its strings, without docstrings.
    """

    digest: str
    imports: list[tuple[str, str]]
    texts: set[str]


def _source(module: Path) -> _Source:
    inside = module.relative_to(_HERE.parent).parent if module.is_relative_to(_HERE) else Path()
    return _read_source(module.read_bytes(), ".".join(inside.parts))


@functools.cache
def _read_source(source: bytes, package: str) -> _Source:
    imports, texts, code = list[tuple[str, str]](), set[str](), list[str]()
    modules, numbers = dict[str, str](), dict[str, int]()

    def read(node: ast.AST) -> None:
        if isinstance(node, ast.Import | ast.ImportFrom):
            for alias, name in _imports_of(node, package):
                if _module_of(name)[1]:
                    imports.append((alias, name))
                    continue
                if modules.get(alias, name) != name:  # the same alias in another function
                    imports.append(("", modules[alias]))
                modules[alias] = name
            return
        if isinstance(node, ast.Name) and node.id in modules:
            code.append(f"module {numbers.setdefault(node.id, len(numbers))}")
            return
        if isinstance(node, ast.Constant) and isinstance(text := node.value, str):
            texts.add(text)
            is_module = text.startswith("mobility.") and not _module_of(text)[1]
            code.append("module" if is_module else repr(text))
            return
        match node:
            case ast.Expr(ast.Constant(str())):
                return
            case ast.Attribute(ast.Name(alias), name) if (alias, "mobility") in imports:
                imports.append((name, f"mobility.{name}"))  # mb.fit_body
            case ast.Call(ast.Name("import_module"), [ast.Constant(str() as name)]):
                imports.append(("", name))
        code.append(type(node).__name__)
        for name in node._fields:
            value = getattr(node, name, None)
            # Empty fields are left out, because other versions of Python may have more of them.
            if value is None or value == [] or isinstance(value, ast.expr_context):
                continue
            code.append(name)
            for part in value if isinstance(value, list) else [value]:
                if isinstance(part, ast.AST):
                    read(part)
                else:
                    code.append(repr(part))
            code.append("end")

    read(ast.parse(source))
    imports += [(f"module {numbers.get(alias)}", name) for alias, name in modules.items()]
    return _Source(sha256_of_lines(code), imports, texts)


def _imports_of(node: ast.Import | ast.ImportFrom, package: str) -> Iterator[tuple[str, str]]:
    """List the local and the full name of each import; ``from a import b`` imports ``a.b``."""
    within = []
    if isinstance(node, ast.ImportFrom):
        above = package.split(".")[: 1 - node.level or None] if node.level else []
        within = [*above, *filter(None, [node.module])]
    for alias in node.names:
        yield alias.asname or alias.name, ".".join([*within, alias.name])


@functools.cache
def imported_modules(source: bytes, *, package: str) -> set[str]:
    """Return the modules that a source imports; ``from a import b`` imports ``a.b``.

    A name of :mod:`mobility` itself counts as its defining module.
    """
    names = {name for _, name in _read_source(source, package).imports}
    return {mobility.PUBLIC.get(name.removeprefix("mobility."), name) for name in names}


def sha256_of_lines(lines: Iterable[str]) -> str:
    """Return the SHA-256 of lines, in their order."""
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def history(dataset: xr.Dataset) -> list[dict[str, Any]]:
    """List the operations that made `dataset`, oldest first.

    A history written by another program counts as one operation, with its text.
    """
    text = dataset.attrs.get("history", "[]")
    try:
        entries = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        entries = None
    if isinstance(entries, list) and all(_is_operation(entry) for entry in entries):
        return entries
    return [{"operation": "of another program", "arguments": {}, "text": str(text)}]


def _is_operation(entry: Any) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("operation"), str)


def with_history(
    dataset: xr.Dataset,
    operation: str,
    arguments: Mapping[str, Any],
    *,
    source: xr.Dataset | None = None,
    **results: Any,
) -> xr.Dataset:
    """Return `dataset` with one more entry at the end of its history.

    Parameters
    ----------
    dataset
        A new Dataset; it is not modified.
    operation
        Name of the public function that made `dataset`.
    arguments
        Options of that function, as JSON values.
    source
        The Dataset that `dataset` was made from, and whose history it continues; by default
        `dataset`.
    **results
        Counts, warnings and other by-products of the operation, as JSON values.
    """
    entries = history(dataset if source is None else source)
    entries.append(
        {
            "operation": operation,
            "arguments": dict(arguments),
            **results,
            "versions": dict(package_versions()),
        }
    )
    return dataset.assign_attrs(
        schema_version=SCHEMA_VERSION, history=json.dumps(entries, sort_keys=True)
    )


@dataclass(frozen=True)
class AnalysisWarning:
    """A warning about results: ``AnalysisWarning(**warning)`` from a history.

    Attributes
    ----------
    code, values
        For programs: the code identifies the warning; the values are those in the sentence.
    message
        For people: one line.
    """

    code: str
    message: str
    values: Mapping[str, Any] = field(default_factory=dict)


def warnings_of(*datasets: xr.Dataset) -> list[dict[str, Any]]:
    """Collect the warnings that the operations recorded, in order and without duplicates.

    An operation records a warning as ``warnings=[tables.warning(...)]`` in its history entry. Code
    and values are for programs, and the message is for people; see :class:`AnalysisWarning`.
    """
    warnings: list[dict[str, Any]] = []
    for dataset in datasets:
        for entry in history(dataset):
            warnings += [w for w in entry.get("warnings", []) if w not in warnings]
    return warnings


def last_of(entries: list[dict[str, Any]], operation: str) -> dict[str, Any]:
    """Return the last entry of an operation in a history; empty if there is none."""
    return next((entry for entry in reversed(entries) if entry["operation"] == operation), {})


def cuts_of(dataset: xr.Dataset) -> list[float]:
    """List the times at which the video of a Dataset is cut, in seconds.

    Cuts in the videos of further cameras are included, in the time of the first camera.
    """
    return sorted(
        time + offset for entry, offset in _films_of(dataset) for time in entry.get("cuts", [])
    )


class Repeat(NamedTuple):
    """Seconds: `start` and `stop` of a shot that repeats an earlier one, and `first`, its time."""

    start: float
    stop: float
    first: float


def repeats_of(dataset: xr.Dataset) -> list[Repeat]:
    """List the shots that the video of a Dataset repeats.

    Repeats in the videos of further cameras are included, in the time of the first camera.
    """
    return [
        Repeat(*(repeat[name] + offset for name in Repeat._fields))
        for entry, offset in _films_of(dataset)
        for repeat in entry.get("repeats", [])
    ]


def _films_of(dataset: xr.Dataset) -> Iterator[tuple[dict[str, Any], float]]:
    """Yield the pose entry of each camera, and its offset from the first camera's time, s."""
    entries = history(dataset)
    yield last_of(entries, "estimate_pose"), 0.0
    further_histories = last_of(entries, "fit_body").get("further_histories", [])
    for entries, camera in zip(further_histories, cameras_of(dataset)[1:], strict=False):
        yield last_of(entries, "estimate_pose"), camera.get("time_offset_s", 0.0)


def cameras_of(*datasets: xr.Dataset) -> list[dict[str, Any]]:
    """List the cameras of a body that was fitted to several cameras.

    Empty if there was only one camera.

    Parameters
    ----------
    *datasets
        Fitted poses, or Datasets made from them. The first one with cameras in its history is used.

    Returns
    -------
    list of dict
        For each camera ``azimuth_deg`` (0 in front, 90 on the subject's right), ``distance_m``
        (horizontally from the hips), ``residual_m`` and ``residual_px`` (root mean square distance
        of the landmarks from the fitted body), ``focal_length_px``; for all but the first
        ``time_offset_s`` and ``time_offset_sd_s``, ``rotation`` and ``translation_m`` from the axes
        of the first camera.
    """
    for dataset in datasets:
        for entry in reversed(history(dataset)):
            if cameras := entry.get("cameras"):
                return list(cameras)
    return []
