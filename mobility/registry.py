"""The exercises and joints that there are, and what each exercise does.

An exercise is a folder of :mod:`mobility.exercises`, or of another package that names it under the
entry point ``mobility.exercises``. Its ``exercise.yaml`` says what it is; its modules ``analysis``,
``documents`` and ``page`` have what it does in its own way. What they leave out comes from the
exercise that it is ``like``. Rooms ask the exercise of a session, and none is named elsewhere.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import entry_points
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast

import yaml

from mobility import tables
from mobility.errors import BadInputError
from mobility.exercise_table import check_names, checked_table
from mobility.options import likely
from mobility.parsing import YAML_LOADER

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr
    from markupsafe import Markup
    from numpy.typing import NDArray

    from mobility.assessment.findings import Finding
    from mobility.assessment.verdict import Verdict
    from mobility.provenance import AnalysisWarning
    from mobility.reports.moments import Moment
    from mobility.sessions.record import SessionRecord, Side
    from mobility.sessions.stored import StoredSession

log = logging.getLogger(__name__)

ENTRY_POINTS = "mobility.exercises"
_PACKAGE = "mobility.exercises"
_NO_RESULTS = ("__init__.py", "documents.py", "page.py", "sections.py")
"""Modules of an exercise's folder on which no result depends."""


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
    def page(self) -> Page:
        """Its report."""
        return cast("Page", _part(self.package, "page"))

    def file(self, name: str) -> Path:
        """Path of a file of its folder."""
        return Path(str(files(self.package) / name))

    def own_table(self, name: str) -> Any:
        """Table ``<name>.yaml`` of its folder; empty where it has none."""
        return _own_table(self.package, name)

    def digest(self, *, pages: bool = False) -> str:
        """SHA-256 of the folders of exercises on which its results depend; or its `pages`, too."""
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
    """Module ``page``: the report."""

    def in_short(self, session: StoredSession, counted: str, verdict: Verdict) -> str:
        """Say in one line what was measured."""

    def moments(
        self, session: StoredSession, pose: xr.Dataset, findings: Sequence[Finding]
    ) -> list[Moment]:
        """Choose the moments that the first page shows in pictures."""

    def scores(
        self, findings: Sequence[Finding], metrics: xr.Dataset, cite: Callable[[str], Markup]
    ) -> str:
        """Show as HTML the published tests that only this exercise has; `cite` names a source."""

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
                return getattr(module, name)
        raise AttributeError(f"{self._modules[0].__name__} has no {name}, nor what it is like")


@functools.cache
def _read(package: str) -> dict[str, Any]:
    table = _own_table(package, "exercise")
    return checked_table(table, what=f"exercise.yaml of {package}")


@functools.cache
def _own_table(package: str, name: str) -> Any:
    file = files(package) / f"{name}.yaml"
    if not file.is_file():
        return {}
    return yaml.load(file.read_text(encoding="utf-8"), Loader=YAML_LOADER) or {}  # noqa: S506


def _line(package: str) -> list[str]:
    """Package of an exercise, and that of what it is like."""
    like = _read(package).get("like")
    return [package] if like is None else [package, f"{_PACKAGE}.{like}"]


@functools.cache
def _part(package: str, name: str) -> _Part:
    modules = [f"{each}.{name}" for each in _line(package)]
    return _Part(tuple(import_module(module) for module in modules if find_spec(module)))


@functools.cache
def _digest(package: str, *, pages: bool) -> str:
    # Exercises share functions, so those of this package count as one.
    folders = dict.fromkeys(Path(str(files(each))) for each in (_PACKAGE, package))
    digest = hashlib.sha256()
    for folder in folders:  # wherever they are installed
        for file in sorted(folder.rglob("*.*")):
            if file.suffix in (".py", ".yaml") and (pages or file.name not in _NO_RESULTS):
                digest.update(file.relative_to(folder).as_posix().encode() + file.read_bytes())
    return digest.hexdigest()


@functools.cache
def exercises() -> tuple[Exercise, ...]:
    """Every exercise, in the order in which they are offered; the first is the usual one."""
    here = sorted(
        f"{_PACKAGE}.{folder.name}"
        for folder in files(_PACKAGE).iterdir()
        if (folder / "exercise.yaml").is_file()
    )
    others = sorted({point.value for point in entry_points(group=ENTRY_POINTS)} - {*here})
    loaded: list[Exercise] = []
    for package in (*here, *others):
        try:
            loaded.append(_load(package, beside=loaded))
        except Exception as error:
            if package in here:
                raise
            # It is not ours: whatever is wrong with it, the others go on.
            log.warning("exercise %s is left out: %s", package, " ".join(str(error).split()))
    # An exercise of another package never becomes the usual one.
    return tuple(sorted(loaded, key=lambda each: (each.package in others, each.table["order"])))


def _load(package: str, *, beside: Sequence[Exercise]) -> Exercise:
    table = _read(package)
    new = Exercise(table["name"], table["slug"], package, table)
    for each in beside:
        if {_plain(each.name), _plain(each.slug)} & {_plain(new.name), _plain(new.slug)}:
            raise BadInputError(f"exercise.yaml of {package}: {each.package} is called that, too")
    for part in _line(package)[1:]:
        if find_spec(part) is None:
            raise BadInputError(f"exercise.yaml of {package}: like: there is no {part}")
    for name, part in (("findings", "rules"), ("advice", "exercises")):  # one list for all
        others = [tables.load(name), *(each.own_table(name) for each in beside)]
        names_in_use = {each for table in others for each in table.get(part, {})}
        if twice := sorted(names_in_use & set(new.own_table(name).get(part, {}))):
            raise BadInputError(f"{name}.yaml of {package}: {twice[0]} is the name of another")
    if not package.startswith(f"{_PACKAGE}."):  # those of this package are tested
        check_names(
            table,
            [each.own_table for each in (*beside, new)],
            functions=_misspelt(package),
            what=f"exercise.yaml of {package}",
        )
    return new


def _misspelt(package: str) -> Iterator[str]:
    """Name the functions of an exercise's modules that are nearly those that it may have."""
    for name, protocol in (("analysis", Analysis), ("documents", Documents), ("page", Page)):
        if find_spec(f"{package}.{name}") is None:
            continue
        allowed = [each for each in vars(protocol) if not each.startswith("_")]
        for function, value in vars(import_module(f"{package}.{name}")).items():
            ours = getattr(value, "__module__", "") == f"{package}.{name}"
            if ours and function not in allowed and likely(function, allowed):
                yield function


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
        raise BadInputError.of({"exercise_name": f"there is no {name!r}{choice}"})
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
