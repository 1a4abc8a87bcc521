"""The exercises and joints that there are, and what each exercise does.

An exercise is a folder of :mod:`mobility.exercises`, or of another package that names it under the
entry point ``mobility.exercises``. Its ``exercise.yaml`` says what it is; its modules ``analysis``,
``documents`` and ``page`` have what it does in its own way. What they leave out comes from the
exercise that it is ``like``. Rooms ask the exercise of a session, and none is named elsewhere.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import inspect
import logging
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib import import_module
from importlib.metadata import entry_points
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from types import FrameType, ModuleType
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast

import yaml

from mobility import tables
from mobility.base.options import likely, quoted
from mobility.base.parsing import YAML_LOADER
from mobility.base.provenance import imported_modules, sha256
from mobility.catalogue.exercise_table import (
    check_among,
    check_names,
    check_own_tables,
    checked_table,
)
from mobility.errors import BadInputError, MobilityError, WorkerError

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr
    from numpy.typing import NDArray

    from mobility.assessment.findings import Finding
    from mobility.assessment.verdict import Verdict
    from mobility.base.provenance import AnalysisWarning
    from mobility.reports.moments import Moment
    from mobility.sessions.record import SessionRecord, Side
    from mobility.sessions.stored_session import StoredSession

log = logging.getLogger(__name__)

ENTRY_POINTS = "mobility.exercises"
_PACKAGE = "mobility.exercises"
_BASE = f"{_PACKAGE}.repeated"
_SECTIONS = "mobility.reports.sections"
_NO_RESULTS = ("documents.py", "page.py", "joint_sections.py")
"""Modules of an exercise's folder on which no result depends."""

_LONGEST_REASON = 300
"""Characters that are told of why an exercise is left out."""


_COUNTED = "accepted_repetitions"
"""Measure that every exercise of repetitions has."""


def main_moment(moments: Mapping[str, Mapping[str, Any]]) -> str:
    """Name the moment at which an exercise measures: the first that has frames of its own."""
    return next(name for name, entry in moments.items() if {"from", "around"} & entry.keys())


@dataclass(frozen=True)
class Exercise:
    """One exercise.

    Attributes
    ----------
    name, slug
        As sessions have it, and as files and options have it.
    package
        Package of its modules.
    table
        Its ``exercise.yaml``; CONTRIBUTING says what its entries mean.
    """

    name: str
    slug: str
    package: str
    table: Mapping[str, Any] = field(repr=False, compare=False)

    @property
    def noun(self) -> str:
        """What it is made of: "repetition" or "movement"."""
        return str(self.table["noun"])

    @property
    def joints(self) -> tuple[str, ...]:
        """Joints that may be chosen."""
        return JOINTS if self.table["joints"] == "all" else MEASURED

    def verdict_words(self, level: str) -> str:
        """Name a verdict on a recording as every page, list and table names it."""
        if level == "not_this_exercise":
            return str(self.table["not_this_exercise"])
        return str(tables.load("verdict")["levels"][level]["words"])

    @property
    def measures(self) -> dict[str, dict[str, Any]]:
        """What it measures: declarations of ``measures.yaml`` by name, its own or those for all."""
        own, shared = self.own_table("measures").get("measures", {}), tables.load("measures")
        names = [*self.table["measures"], _COUNTED]
        return {name: own.get(name) or shared["measures"][name] for name in dict.fromkeys(names)}

    @property
    def angles(self) -> tuple[str, ...]:
        """Angles that are among its measures."""
        return tuple(n for n, entry in self.measures.items() if entry["from"] == f"angles.{n}")

    @property
    def moments(self) -> dict[str, Mapping[str, Any]]:
        """Phases of a repetition, by name: what frames belong to each, and the word for it."""
        return {
            name: {"word": self._word_of(name), **entry}
            for name, entry in (
                self.table.get("moments") or tables.load("measures")["moments"]["of"]
            ).items()
        }

    def _word_of(self, moment: str) -> str:
        words = self._ways
        usual = {
            "mid_descent": f"middle of the {words['descent']}",
            "bottom": words["turn"],
            "mid_ascent": f"middle of the {words['ascent']}",
        }
        return usual.get(moment, moment.replace("_", " "))

    @property
    def _ways(self) -> dict[str, str]:
        ways = self.table.get("ways")
        there, back = ways or ("down", "up")
        descent, ascent = (f"way {there}", f"way {back}") if ways else ("descent", "ascent")
        usual = "bottom" if self.noun == "repetition" else "turn"
        turn = str(self.table.get("turn", usual))
        return {"turn": turn, "there": there, "back": back, "descent": descent, "ascent": ascent}

    @property
    def words(self) -> Mapping[str, str]:
        """Words for a repetition: its `turn`, the way `there` and `back`, and its phases.

        `at` and `within` the moment at which it measures; `moving` is when the knees are watched;
        `descent` and `ascent` name the ways.
        """
        moments = self.moments
        measured = moments[main_moment(moments)]
        at = measured.get("at")
        usual = "while moving" if "ways" in self.table else "while squatting"
        return {
            **self._ways,
            "at": at or f"at the {measured['word']}",
            "within": at or f"within the {measured['word']}",
            "moving": self.table.get("moving", usual),
            **{name: str(entry["word"]) for name, entry in moments.items()},
        }

    @property
    def short_words(self) -> list[str]:
        """Words for the phases where there is little room: "mid-descent"."""
        named = "moments" in self.table or "ways" in self.table
        return [
            str(entry["word"]) if named else name.replace("_", "-")
            for name, entry in self.moments.items()
        ]

    def kernel(self, name: str) -> Any:
        """Give what computes measures, of module ``kernels`` of its folder, or for all."""
        kernel = getattr(_part(self.package, "kernels"), name)
        if not hasattr(kernel, "compute") or kernel.compute.__module__.startswith("mobility."):
            return kernel
        return replace(kernel, compute=_quiet(kernel.compute))

    def has(self, document: str) -> bool:
        """Whether its sessions have a document of the interface: "report", "joint-mobility"..."""
        return document in self.table["documents"]

    @property
    def analysis(self) -> Analysis:
        """Its stages, and the verdict on its recording."""
        return cast("Analysis", _part(self.package, "analysis"))

    @property
    def documents(self) -> Documents:
        """What documents show of it."""
        return cast("Documents", _part(self.package, "documents"))

    @property
    def sections(self) -> tuple[str, ...]:
        """Names of the sections of its report: shared ones, and those of its module ``page``."""
        return tuple(self.table["page"])

    @property
    def page(self) -> Page:
        """Its report, with sections of its own."""
        return cast("Page", _part(self.package, "page"))

    def file(self, name: str) -> Path:
        """Path of a file of its folder."""
        return Path(str(files(self.package) / name))

    def own_table(self, name: str) -> Any:
        """Table ``<name>.yaml`` of its folder; empty where it has none."""
        return _own_table(self.package, name)

    def digest(self, *, pages: bool = False) -> str:
        """SHA-256 of what its results depend on; or its `pages`, too.

        That is its folder, that of what it is like, and those that these import.
        """
        return _digest(self.package, pages=pages)


@dataclass(frozen=True)
class Trial:
    """What a stage of an analysis has at hand; the Datasets are read when they are asked for.

    Attributes
    ----------
    exercise
        Whose trial it is.
    joints
        Joints that were chosen.
    fit
        Whether a body was fitted.
    movement
        Movement that was asked for; None where it is to be recognised.
    sex, age
        The participant's; None where unknown.
    intervals
        Repetitions that were set by hand; None where they are to be found.
    dataset
        Gives the Dataset of a stage by the stage's name.
    """

    exercise: Exercise
    joints: tuple[str, ...]
    fit: bool
    movement: str | None
    sex: str | None
    age: float | None
    intervals: Sequence[Mapping[str, Any]] | None
    dataset: Callable[[str], xr.Dataset]

    @property
    def fitted(self) -> xr.Dataset:
        """The fitted pose."""
        return self.dataset("fitted")

    @property
    def angles(self) -> xr.Dataset:
        """Its angles."""
        return self.dataset("angles")

    @property
    def repetitions(self) -> xr.Dataset:
        """Its repetitions."""
        return self.dataset("repetitions")


class Analysis(Protocol):
    """Module ``analysis``: the stages, and the verdict."""

    DEPENDS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]]
    """By stage, the stages, options and corrections that its result depends on, where they differ
    from those of :data:`mobility.pipeline.analysis.STEPS`."""

    def subject(self, joints: Sequence[str], movement: str | None) -> Literal["moving"] | None:
        """Say who is measured among several people: who moves a joint; None: the largest."""

    def fit_options(self, cleaned: xr.Dataset) -> dict[str, Any]:
        """Give options of :func:`mobility.fit_body` that the exercise decides."""

    def joint_angles(self, trial: Trial) -> xr.Dataset:
        """Compute the angles of the fitted pose."""

    def repetitions(self, trial: Trial) -> xr.Dataset:
        """Find the repetitions, or take those that were set by hand."""

    def checked_repetitions(
        self, intervals: Sequence[Mapping[str, Any]], joints: tuple[str, ...]
    ) -> list[dict[str, Any]]:
        """Check repetitions that were set by hand."""

    def metrics(self, trial: Trial) -> xr.Dataset:
        """Measure."""

    def other_exercise(
        self, pose: xr.Dataset, frames: xr.DataArray, accepted: NDArray[np.bool_]
    ) -> list[dict[str, Any]]:
        """Warn where another exercise is shown; as for ``assessment.measures.measure``."""

    def recognised_in(self, pose: xr.Dataset) -> list[dict[str, Any]]:
        """Warn that the fitted pose of another exercise shows this one; empty where unclear."""

    def verdict(
        self,
        exercise: Exercise,
        quality: Mapping[str, Any] | None,
        metrics: xr.Dataset | None,
        fitted: Callable[[], xr.Dataset],
        warnings: Sequence[AnalysisWarning],
    ) -> Verdict:
        """Say what the recording is good for."""

    def verdict_from_counts(
        self,
        exercise: Exercise,
        session: StoredSession,
        quality: Mapping[str, Any],
        accepted: float | None,
    ) -> Verdict | None:
        """Say the same for a cohort, from the number of accepted repetitions; None: not known."""

    def reported(self, metrics: xr.Dataset) -> xr.Dataset:
        """Leave out what the report withholds."""

    def warnings_kept(
        self,
        exercise: Exercise,
        joints: Sequence[str],
        quality: Mapping[str, Any],
        metrics: xr.Dataset,
        warnings: Sequence[AnalysisWarning],
    ) -> list[AnalysisWarning]:
        """Leave out the warnings that say nothing about what is reported."""

    def angles_in_video(
        self, angles: xr.Dataset, metrics: xr.Dataset, joints: Sequence[str]
    ) -> tuple[xr.Dataset, tuple[str, ...] | None]:
        """Give the angles as the annotated video shows them, and which; None: the usual ones."""

    def compared(
        self,
        exercise: Exercise,
        angles: xr.Dataset,
        repetitions: xr.Dataset,
        metrics: xr.Dataset,
    ) -> tuple[xr.Dataset, xr.Dataset]:
        """Give angles and repetitions as they are compared with a lab's.

        ``compared(rep, [angle], side)`` of the repetitions says what each of them shows, where
        that is not all; the median of a value is taken from ``<value>_start`` to ``<value>_end``.
        """

    def compared_times(
        self,
        exercise: Exercise,
        repetitions: xr.Dataset,
        metrics: xr.Dataset,
        recordings: Sequence[xr.Dataset],
    ) -> xr.Dataset | None:
        """Give times of the repetitions beside those found in a lab's recordings.

        These are its joint centres and its angles, as far as it has them, on the clock of the
        video. The result has ``times(system, quantity, rep)`` and ``times_sd(quantity, rep)``, with
        ``units`` and ``long_name`` of each quantity, and the attribute ``refused``: what is
        lacking, and why. None: the exercise compares no times.
        """


class Documents(Protocol):
    """Module ``documents``: what documents show."""

    def report(self, session: StoredSession) -> dict[str, Any]:
        """Make the document that stands beside the report."""

    def angles(self, session: StoredSession) -> xr.Dataset:
        """Give the angles over time as the report stands for them: NaN where it refuses them."""

    def shown_angles(self, session: StoredSession) -> xr.Dataset:
        """Give the angles as documents show them."""

    def sides(self, session: StoredSession, side: Side) -> dict[str, Side]:
        """Name the side that stands for each joint, where the camera sees `side` best."""


class Page(Protocol):
    """Module ``page``: the report; besides, sections of its own."""

    def in_short(self, session: StoredSession, counted: str, verdict: Verdict) -> str:
        """Say in one line what was measured."""

    def moments(
        self, session: StoredSession, pose: xr.Dataset, findings: Sequence[Finding]
    ) -> list[Moment]:
        """Choose the moments that the first page shows in pictures."""

    def curves_first(self, record: SessionRecord) -> tuple[str, ...]:
        """Give beginnings of the names of the curves that are shown at first."""

    def pictures(self, folder: Path) -> dict[str, Any]:
        """Give the entries of the document that name pictures which the notebook drew."""


class _Part:
    """Functions of one kind of an exercise: its own, else those of what it is like."""

    def __init__(self, modules: tuple[ModuleType, ...]) -> None:
        self._modules = modules

    def __getattr__(self, name: str) -> Any:
        for module in self._modules:
            if hasattr(module, name):
                value = getattr(module, name)
                ours = not callable(value) or module.__name__.startswith(f"{_PACKAGE}.")
                return value if ours else _quiet(value)
        raise AttributeError(f"{self._modules[0].__name__} has no {name}, nor what it is like")


def _quiet(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let a function of another package print to standard error."""

    @functools.wraps(function)
    def quiet(*args: Any, **options: Any) -> Any:
        with _to_stderr():
            try:
                return function(*args, **options)
            except SystemExit as error:  # it would end whatever command asked
                what = f"{function.__module__}.{function.__name__}"
                raise WorkerError(f"{what}: raised SystemExit({error.code})") from error

    return quiet


_print_lock, _printers, _stdout = threading.Lock(), 0, sys.stdout


@contextmanager
def _to_stderr() -> Iterator[None]:
    """Let what is printed go to standard error, until the last of all threads that asked ends."""
    global _printers, _stdout
    with _print_lock:
        if not _printers:
            _stdout, sys.stdout = sys.stdout, sys.stderr
        _printers += 1
    try:
        yield
    finally:
        with _print_lock:
            _printers -= 1
            if not _printers:
                sys.stdout = _stdout


@functools.cache
def _read(package: str) -> dict[str, Any]:
    table = _own_table(package, "exercise")
    return checked_table(table, what=f"exercise.yaml of {package}")


@functools.cache
def _own_table(package: str, name: str) -> Any:
    file = files(package) / f"{name}.yaml"
    if not file.is_file():
        return {}
    try:
        return yaml.load(file.read_text(encoding="utf-8"), Loader=YAML_LOADER) or {}  # noqa: S506
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise BadInputError(f"{name}.yaml of {package}: {_in_short(error)}") from error


def _line(package: str) -> list[str]:
    """Package of an exercise, and that of what it is like."""
    like = _read(package).get("like")
    return [package] if like is None else [package, f"{_PACKAGE}.{like}"]


@functools.cache
def _part(package: str, name: str) -> _Part:
    modules = [f"{each}.{name}" for each in _line(package)]
    return _Part(tuple(_imported(module) for module in modules if find_spec(module)))


@functools.cache
def _digest(package: str, *, pages: bool) -> str:
    digest = hashlib.sha256()
    folders = _folders(package, pages=pages)
    asked = dict[str, Path]()
    if _BASE in folders:  # whose verdict asks all exercises that recognise themselves
        for each in exercises():
            file = Path(str(files(each.package))) / "analysis.py"
            if file.is_file() and b"def recognised_in" in file.read_bytes():
                asked |= _folders(each.package, pages=False)
    for named, with_pages in ((folders, pages), (asked, False)):
        for name, folder in sorted(named.items()):  # wherever installed
            for file in _files_of(folder, pages=with_pages):
                place = file.relative_to(folder).as_posix()
                content = sha256(file) if with_pages else _sha256_of_result(file)
                digest.update(f"{name} {place} {content}\n".encode())
    return digest.hexdigest()


def _sha256_of_result(file: Path) -> str:
    """SHA-256 of a file without the entries of an ``exercise.yaml`` that name parts of a page."""
    content = file.read_bytes()
    if file.name == "exercise.yaml":
        content = re.sub(rb"^(page|notebook):.*\n(?:[ -].*\n)*", b"", content, flags=re.M)
    return hashlib.sha256(content).hexdigest()


def _folders(package: str, *, pages: bool) -> dict[str, Path]:
    """Give by package the folders of an exercise, of what it is like, and of what these import.

    Only imports of exercises, and of what comes with them, are followed: all else of this package
    is of :func:`mobility.base.provenance.code_digest`.
    """
    followed = f"{_PACKAGE}.", f"{package.partition('.')[0]}."
    if package.startswith(_PACKAGE):  # not all of this package
        followed = followed[0], followed[0]
    waiting, folders = _line(package), dict[str, Path]()
    while waiting:
        name = waiting.pop()
        if name in folders:
            continue
        folders[name] = Path(str(files(name)))
        for file in _files_of(folders[name], pages=pages):
            if file.suffix == ".py":
                within = ".".join([name, *file.relative_to(folders[name]).parts[:-1]])
                modules = imported_modules(file.read_bytes(), package=within)
                waiting += [_package_of(each) for each in modules if each.startswith(followed)]
    return folders


def _files_of(folder: Path, *, pages: bool) -> list[Path]:
    """Files of a folder on which results depend, or also its pages; no hidden ones and backups."""
    return [
        file
        for file in sorted(folder.rglob("*"))
        if file.is_file()
        and not any(
            part[0] == "." or part == "__pycache__" for part in file.parts[len(folder.parts) :]
        )
        and not file.name.endswith("~")
        and (pages or not (file.name in _NO_RESULTS or file.suffix == ".svg"))
    ]


def _package_of(module: str) -> str:
    """Name the innermost package that a module, or a name in it, is of, without importing it."""
    name, *parts = module.split(".")
    folder = Path(str(files(name)))
    for part in parts:
        folder /= part
        if not (folder / "__init__.py").is_file():
            break
        name = f"{name}.{part}"
    return name


@functools.cache
def exercises() -> tuple[Exercise, ...]:
    """Every exercise, in the order in which they are offered; the first is the usual one."""
    here = sorted(
        f"{_PACKAGE}.{folder.name}"
        for folder in files(_PACKAGE).iterdir()
        if (folder / "exercise.yaml").is_file()
    )
    others = sorted({point.value for point in entry_points(group=ENTRY_POINTS)} - {*here})
    loaded = [_load(package) for package in here]
    for package in others:
        try:
            _imported(package)
            exercise = _load(package)
            check(exercise, beside=loaded)
            _try_modules(package)
        except Exception as error:
            # It is not ours: whatever is wrong with it, the others go on.
            name = package if package.replace(".", "_").isidentifier() else quoted(package)
            log.warning("exercise %s is left out: %s", name, _in_short(error))
        else:
            loaded.append(exercise)
    # An exercise of another package never becomes the usual one.
    return tuple(sorted(loaded, key=lambda each: (each.package in others, each.table["order"])))


def _load(package: str) -> Exercise:
    table = _read(package)
    return Exercise(table["name"], table["slug"], package, table)


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
        if {_plain(each.name), _plain(each.slug)} & {_plain(exercise.name), _plain(exercise.slug)}:
            raise BadInputError(f"{what}: {each.package} is called that, too")
    others = [each.own_table for each in beside]
    check_own_tables(exercise.own_table, others=others, package=package)
    if not package.startswith(f"{_PACKAGE}."):  # whose notebooks are where no package brings any
        notebooks = {e.table["notebook"] for e in beside if e.table["noun"] == table["noun"]}
        hint = f"; take {' or '.join(sorted(notebooks))}"
        check_among([table["notebook"]], notebooks, f"{what}: notebook", hint)
    check_sections(exercise)
    _check_functions(package, like="like" in table)
    shared = _kernels_in(f"{_BASE}.kernels", imported=True) if "like" in table else []
    own_kernels = _kernels_in(f"{package}.kernels")
    if taken := {*shared} & {*own_kernels}:
        raise BadInputError(f"kernels.py of {package}: {taken.pop()!r} is the name of a shared one")
    kernels = {*shared, *own_kernels}
    check_names(
        table,
        exercise.own_table,
        others=others,
        kernels=kernels,
        moment=main_moment(exercise.moments),
        package=package,
    )


def check_sections(exercise: Exercise) -> None:
    """Refuse a page with a section that is neither shared nor of the exercise."""
    modules = [_SECTIONS, *(f"{each}.page" for each in _line(exercise.package))]
    there = [name for module in modules for name in _sections_in(module)]
    opening = exercise.table.get("report", {}).get("opening")
    placed = [("page", name) for name in exercise.sections]
    placed += [("report: opening", opening)] if opening else []
    for place, name in placed:
        hint = likely(name, there) or f"; there are: {', '.join(there)}"
        check_among([name], there, f"exercise.yaml of {exercise.package}: {place}", hint)


def _check_functions(package: str, *, like: bool) -> None:
    """Check what the modules of an exercise define, by module, without importing them.

    When exercises are looked for, what these import may not be there yet.
    """
    for part, protocol in (("analysis", Analysis), ("documents", Documents), ("page", Page)):
        allowed = {
            name: [*inspect.signature(function).parameters][1:]
            for name, function in vars(protocol).items()
            if not name.startswith("_") and callable(function)
        }
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
        needed = () if like else (*allowed, *protocol.__annotations__)
        if missing := [name for name in needed if name not in defined]:
            raise BadInputError(
                f"{what}: lacks {', '.join(missing[:3])}; define all, or say like: repeated"
            )


def _sections_in(module: str) -> list[str]:
    """Names of the functions of a module that are sections, without importing it."""
    return [
        node.name
        for node in _tree(module)
        if isinstance(node, ast.FunctionDef)
        and any(ast.unparse(each).startswith("section(") for each in node.decorator_list)
    ]


def _kernels_in(module: str, *, imported: bool = False) -> list[str]:
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


def _try_modules(package: str) -> None:
    """Import the modules of an exercise, as far as what they import is there by now."""
    for part in ("analysis", "documents", "page", "kernels"):
        try:
            if find_spec(f"{package}.{part}"):
                _imported(f"{package}.{part}")
        except BadInputError as error:
            # What is being imported itself is there when the exercise is used.
            if "partially initialized module" not in str(error):
                raise


def _imported(module: str) -> ModuleType:
    """Import a module of an exercise.

    One of another package ends nothing, whatever it raises, and prints to standard error.
    """
    if module.startswith(f"{_PACKAGE}."):
        return import_module(module)
    with _ctrl_c() as interrupts, _to_stderr():
        try:
            imported = import_module(module)
        except BaseException as error:
            if interrupts:
                raise KeyboardInterrupt from None
            raise BadInputError(f"{module} cannot be imported: {_in_short(error)}") from error
    if interrupts:  # the module kept the interrupt for itself
        raise KeyboardInterrupt
    if imported.__file__ is None:
        raise BadInputError(f"{module}: has no __init__.py")
    return imported


@contextmanager
def _ctrl_c() -> Iterator[list[int]]:
    """Note interrupts by a user, which no ``KeyboardInterrupt`` that a module raises is."""
    noted: list[int] = []
    usual = signal.getsignal(signal.SIGINT)
    if not callable(usual) or threading.current_thread() is not threading.main_thread():
        yield noted
        return

    def note(number: int, frame: FrameType | None) -> None:
        noted.append(number)
        usual(number, frame)

    signal.signal(signal.SIGINT, note)
    try:
        yield noted
    finally:
        signal.signal(signal.SIGINT, usual)


def _in_short(error: BaseException) -> str:
    """Say in one line what was raised."""
    text = " ".join(str(error).split())
    if len(text) > _LONGEST_REASON:
        text = f"{text[:_LONGEST_REASON]}…"
    if not isinstance(error, MobilityError):
        text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def names() -> tuple[str, ...]:
    """Names of the exercises."""
    return tuple(each.name for each in exercises())


def usual() -> Exercise:
    """Give the exercise where none is named."""
    return exercises()[0]


def exercise(name: str | None) -> Exercise:
    """Look an exercise up; capitals, hyphens and underscores make no difference.

    Raises
    ------
    BadInputError
        There is none of that name.
    """
    by_name = {_plain(each.name): each for each in exercises()}
    if _plain(name) not in by_name:
        every = ", ".join(f"{each.name!r} ({each.slug})" for each in exercises())
        choice = likely(str(name), names()) or f"; choose one of {every}"
        raise BadInputError.of({"exercise_name": f"there is no {quoted(name)}{choice}"})
    return by_name[_plain(name)]


def exercise_of(metrics: xr.Dataset | None) -> Exercise:
    """Exercise of a metrics Dataset; for older code, by its kind."""
    attrs = {} if metrics is None else metrics.attrs
    if name := attrs.get("exercise"):
        return exercise(name)
    kind = attrs.get("ds_type")
    return next((each for each in exercises() if each.table.get("ds_type") == kind), usual())


def that_have(document: str) -> tuple[Exercise, ...]:
    """Exercises whose sessions have a document of the interface."""
    return tuple(each for each in exercises() if each.has(document))


def of_single_joints() -> Exercise:
    """Give the exercise that measures single movements."""
    return next(each for each in exercises() if each.noun == "movement")


def _plain(name: str | None) -> str:
    return " ".join(re.split(r"[\s_-]+", str(name).strip())).lower()


@functools.cache
def joint_table() -> Mapping[str, Mapping[str, Any]]:
    """Describe each joint, in the order of documents."""
    joints: Mapping[str, Mapping[str, Any]] = tables.load("joints")
    return joints


def joints_that(what: str) -> tuple[str, ...]:
    """Joints for which an entry of the table is true: "named_only", "leg", "followed"."""
    return tuple(name for name, entry in joint_table().items() if entry[what])


MEASURED: tuple[str, ...] = tuple(joint_table())
SIDEWAYS: tuple[str, ...] = joints_that("named_only")
"""Joints that are measured only where they are named."""
JOINTS: tuple[str, ...] = tuple(name for name in MEASURED if name not in SIDEWAYS)
"""Joints that "all" stands for."""
ANGLE_OF_JOINT: Mapping[str, str] = {
    joint: str(entry["angle"]) for joint, entry in joint_table().items()
}
"""The angle that is meant by a joint."""

USUAL: str = usual().name
"""Name of the exercise where none is named."""

# Fields of these types refuse what is in no table, with the likely spelling.
if TYPE_CHECKING:
    ExerciseName = str
    Joint = str
    Limb = str
else:
    ExerciseName = Literal[*names()]
    Joint = Literal[*MEASURED]
    Limb = Literal[*JOINTS]
