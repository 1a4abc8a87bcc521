"""Whether the folder of an exercise has what it is asked for."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from mobility.base.options import likely, quoted
from mobility.catalogue.exercise import Exercise, main_moment, plain
from mobility.catalogue.exercise_folders import BASE, PACKAGE
from mobility.catalogue.exercise_imports import imported
from mobility.catalogue.exercise_table import check_among, check_names, check_own_tables
from mobility.errors import BadInputError

_SECTIONS = "mobility.reports.sections"
_PROTOCOLS = {
    "analysis": "mobility.assessment.exercise_stages",
    "documents": "mobility.documents.exercise_documents",
    "page": "mobility.reports.exercise_page",
}
"""Modules whose protocols say which functions the modules of an exercise may have."""

_Names = tuple[str, ...]
_DEPENDS = TypeAdapter(dict[str, tuple[_Names, _Names, _Names]])


def check(exercise: Exercise, *, beside: Sequence[Exercise]) -> None:
    """Refuse an exercise whose folder does not have what it is asked for.

    Parameters
    ----------
    exercise
        Those of this package are checked by its tests, others where they are loaded.
    beside
        The others that there are.

    Raises
    ------
    BadInputError
        In one line, what is wrong in which file.
    """
    package, table = exercise.package, exercise.table
    what = f"exercise.yaml of {package}"
    for each in beside:
        if {plain(each.name), plain(each.slug)} & {plain(exercise.name), plain(exercise.slug)}:
            raise BadInputError(f"{what}: {each.package} is called that, too")
    others = [each.own_table for each in beside]
    check_own_tables(exercise.own_table, others=others, package=package)
    if not package.startswith(f"{PACKAGE}."):  # whose notebooks are where no package brings any
        notebooks = {e.table["notebook"] for e in beside if e.table["noun"] == table["noun"]}
        hint = f"; take {' or '.join(sorted(notebooks))}"
        check_among([table["notebook"]], notebooks, f"{what}: notebook", hint)
    check_sections(exercise)
    check_functions(package, like="like" in table)
    kernels = kernels_of(exercise)
    if twice := [name for name in kernels if kernels.count(name) > 1]:
        raise BadInputError(f"kernels.py of {package}: {twice[0]!r} is the name of a shared one")
    check_names(
        table,
        exercise.own_table,
        others=others,
        kernels=kernels,
        moment=main_moment(exercise.moments),
        what=what,
        package=package,
    )


def sections_of(exercise: Exercise) -> list[str]:
    """Names of the sections that the page of an exercise can show."""
    packages = (*exercise.packages, *exercise.extensions)
    return [*_sections_in(_SECTIONS), *(name for each in packages for name in sections_in(each))]


def sections_in(package: str) -> list[str]:
    """Names of the sections in ``page.py`` of a package, without importing it."""
    return _sections_in(f"{package}.page")


def kernels_of(exercise: Exercise) -> list[str]:
    """Names of the kernels that can compute the measures of an exercise."""
    packages = (*exercise.packages, *exercise.extensions)
    return [name for each in packages for name in kernels_in(each)]


def kernels_in(package: str) -> list[str]:
    """Names of the kernels in ``kernels.py`` of a package, without importing it."""
    return _kernels_in(f"{package}.kernels", imported=package == BASE)


def check_sections(exercise: Exercise) -> None:
    """Refuse a page with a section that is neither shared nor of the exercise."""
    there = sections_of(exercise)
    opening = exercise.table.get("report", {}).get("opening")
    placed = [("page", name) for name in exercise.sections]
    placed += [("report: opening", opening)] if opening else []
    for place, name in placed:
        hint = likely(name, there) or f"; there are: {', '.join(there)}"
        check_among([name], there, f"exercise.yaml of {exercise.package}: {place}", hint)


def check_functions(package: str, *, like: bool) -> None:
    """Check what the modules of an exercise define, by module, without importing them.

    When exercises are looked for, what these import may not be there yet.
    """
    for part, module in _PROTOCOLS.items():
        allowed, constants = _protocol_in(module)
        defined = _defined_in(f"{package}.{part}")
        what = f"{part}.py of {package}"
        for name, parameters in defined.items():
            if parameters is None or name.startswith("_"):
                continue
            lacking = [each for each in allowed if each not in defined]
            if name not in allowed and (meant := likely(name, lacking)):
                raise BadInputError(f"{what}: function {name!r}: unknown{meant}")
            if name in allowed and parameters != allowed[name]:
                takes = ", ".join(allowed[name])
                raise BadInputError(f"{what}: function {name!r}: must take ({takes})")
        needed = () if like else (*allowed, *constants)
        if missing := [name for name in needed if name not in defined]:
            raise BadInputError(
                f"{what}: lacks {', '.join(missing[:3])}; define all, or say like: repeated"
            )


def _protocol_in(module: str) -> tuple[dict[str, list[str]], list[str]]:
    """Functions of the protocol in a module, with their parameters, and its constants."""
    protocols = [
        node
        for node in _tree(module)
        if isinstance(node, ast.ClassDef) and "Protocol" in map(ast.unparse, node.bases)
    ]
    body = [statement for protocol in protocols for statement in protocol.body]
    functions = {
        node.name: [each.arg for each in node.args.args[1:]]
        for node in body
        if isinstance(node, ast.FunctionDef)
    }
    return functions, [ast.unparse(n.target) for n in body if isinstance(n, ast.AnnAssign)]


def _sections_in(module: str) -> list[str]:
    """Names of the functions of a module that are sections, without importing it."""
    return [
        node.name
        for node in _tree(module)
        if isinstance(node, ast.FunctionDef)
        and any(ast.unparse(each).startswith("section(") for each in node.decorator_list)
    ]


def _kernels_in(module: str, *, imported: bool) -> list[str]:
    """Names of the kernels of a module, without importing it; of those `imported`, too."""
    names = []
    for node in _tree(module):
        if isinstance(node, ast.FunctionDef):
            marks = [ast.unparse(each).partition("(")[0] for each in node.decorator_list]
            if any(mark.rpartition(".")[2] in ("of_points", "of_trial") for mark in marks):
                names.append(node.name)
        elif imported and isinstance(node, ast.ImportFrom):
            names += [str(each.asname) for each in node.names if each.asname == each.name]
    return names


def _tree(module: str) -> list[ast.stmt]:
    """Statements at the top of a module; none where there is no such module."""
    spec = find_spec(module)
    if spec is None or not str(spec.origin).endswith(".py"):
        return []
    return ast.parse(Path(str(spec.origin)).read_bytes(), f"{module}.py").body


def _defined_in(module: str) -> dict[str, list[str] | None]:
    """Names at the top of a module, with the parameters of its functions."""
    names: dict[str, list[str] | None] = {}
    for node in _tree(module):
        match node:
            case ast.FunctionDef(name=name, args=args, decorator_list=[]):
                every = (*args.posonlyargs, *args.args, *args.kwonlyargs)
                names[name] = [each.arg for each in every]
            case ast.FunctionDef(name=name) | ast.AnnAssign(target=ast.Name(id=name)):
                names[name] = None
            case ast.Import(names=imported) | ast.ImportFrom(names=imported):
                names |= {each.asname or each.name: None for each in imported}
            case ast.Assign(targets=targets):
                names |= {each.id: None for each in targets if isinstance(each, ast.Name)}
    return names


def try_modules(package: str) -> None:
    """Import the modules of an exercise, as far as what they import is there by now."""
    for part in ("analysis", "documents", "page", "kernels"):
        try:
            if find_spec(f"{package}.{part}"):
                module = imported(f"{package}.{part}")
                if part == "analysis":
                    _check_depends(getattr(module, "DEPENDS", {}), package=package)
        except BadInputError as error:
            # What is being imported itself is there when the exercise is used.
            if "partially initialized module" not in str(error):
                raise


def _check_depends(depends: object, *, package: str) -> None:
    try:
        _DEPENDS.validate_python(depends)
    except ValidationError:
        raise BadInputError(
            f"analysis.py of {package}: DEPENDS: must have by stage three tuples of names: of"
            f" stages, options and corrections (got {quoted(depends)})"
        ) from None
