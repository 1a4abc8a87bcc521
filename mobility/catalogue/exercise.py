"""One exercise: what its folder describes and does.

An exercise is a folder of :mod:`mobility.exercises`, or of another package that registers it under
the entry point ``mobility.exercises``. Its ``exercise.yaml`` describes it, and a class in its
``exercise.py`` defines what it does. Classes for its documents and its page may be in its
``documents.py`` and ``page.py``. Anything that they do not define is inherited.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mobility import tables
from mobility.catalogue.exercise_folders import merged_table
from mobility.catalogue.exercise_imports import OfExercise, class_in, imported, quiet
from mobility.catalogue.joints import JOINTS, MEASURED
from mobility.errors import BadInputError

_COUNTED = "accepted_repetitions"
"""Measure that every exercise with repetitions has."""


def main_moment(moments: Mapping[str, Mapping[str, Any]]) -> str:
    """Name the moment at which an exercise measures: the first with frames of its own."""
    return next(name for name, entry in moments.items() if {"from", "around"} & entry.keys())


@dataclass(frozen=True)
class Exercise(OfExercise):
    """One exercise.

    Attributes
    ----------
    name, slug
        Its name in sessions, and its name in files and options.
    package
        The package that contains its modules.
    table
        Its ``exercise.yaml``, with the additions of extensions (docs/own-exercise.md explains the
        entries).
    extensions
        Packages that add measures, rules, sections and stored results to the exercise.
    results
        Names of the Datasets that extensions add to the stored results.
    """

    name: str
    slug: str
    package: str
    table: Mapping[str, Any] = field(repr=False, compare=False)
    extensions: tuple[str, ...] = ()
    results: tuple[str, ...] = ()

    @property
    def packages(self) -> tuple[str, ...]:
        """Its own package, and the packages of the exercises that its class inherits from."""
        parents = self.own_class.__mro__
        modules = [each.__module__ for each in parents if issubclass(each, Exercise)]
        return tuple(m.removesuffix(".exercise") for m in modules[:-1] if m.endswith(".exercise"))

    @property
    def own_class(self) -> Any:
        """The class in its folder, which is slow to import."""
        module = f"{self.package}.exercise"
        if (exercise_class := find_spec(module) and class_in(module, Exercise)) is None:
            raise BadInputError(f"{module}: defines no exercise, as in: class Mine(Repeated)")
        return exercise_class

    def loaded(self) -> Any:
        """Make an object of its class; ``stages_of`` returns it typed as that class."""
        return self.own_class(**{each.name: getattr(self, each.name) for each in fields(self)})

    @property
    def noun(self) -> str:
        """What the exercise consists of: "repetition" or "movement"."""
        return str(self.table["noun"])

    @property
    def joints(self) -> tuple[str, ...]:
        """Joints that can be selected."""
        return JOINTS if self.table["joints"] == "all" else MEASURED

    def verdict_words(self, level: str) -> str:
        """Return the words for a verdict on a recording, the same on every page, list and table."""
        if level == "not_this_exercise":
            return str(self.table["not_this_exercise"])
        return str(tables.load("verdict")["levels"][level]["words"])

    @property
    def measures(self) -> dict[str, dict[str, Any]]:
        """Declarations of its measures by name, its own and the shared ones."""
        local, shared = self.own_table("measures").get("measures", {}), tables.load("measures")
        names = [*self.table["measures"], _COUNTED]
        return {name: local.get(name) or shared["measures"][name] for name in dict.fromkeys(names)}

    @property
    def angles(self) -> tuple[str, ...]:
        """The angles among its measures."""
        return tuple(n for n, entry in self.measures.items() if entry["from"] == f"angles.{n}")

    @property
    def moments(self) -> dict[str, Mapping[str, Any]]:
        """Phases of a repetition by name: the frames that belong to each phase, and its word."""
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
        """Words for a repetition: its `turn`, the ways `there` and `back`, and its phases.

        `at` and `within` name the moment at which the exercise measures. `moving` names the time
        during which the knees are watched. `descent` and `ascent` name the two ways.
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
        """Short words for the phases, for narrow places: "mid-descent"."""
        named = "moments" in self.table or "ways" in self.table
        return [
            str(entry["word"]) if named else name.replace("_", "-")
            for name, entry in self.moments.items()
        ]

    def kernel(self, name: str) -> Any:
        """Return the kernel of this name, from its own module ``kernels`` or the shared ones."""
        kernel = self.named("kernels", name)
        if not hasattr(kernel, "compute") or kernel.compute.__module__.startswith("mobility."):
            return kernel
        return replace(kernel, compute=quiet(kernel.compute))

    def has(self, document: str) -> bool:
        """Whether its sessions have a document of the interface: "report", "joint-mobility", ..."""
        return document in self.table["documents"]

    def part(self, name: str, kind: type) -> Any:
        """Make an object of the `kind` that its module `name` defines, or else an inherited one."""
        modules = [f"{each}.{name}" for each in self.packages]
        classes = (class_in(module, kind) for module in modules if find_spec(module))
        if (defined := next(filter(None, classes), None)) is None:
            raise BadInputError(f"{name}.py of {self.package}: needs a class of {kind.__name__}")
        return defined()

    def named(self, part: str, name: str) -> Any:
        """Find an object in its modules of a `part`, as in ``page.py``; None if there is none.

        Its own modules are searched first, then the inherited ones, then those of its extensions.
        """
        modules = [f"{each}.{part}" for each in (*self.packages, *self.extensions)]
        definitions = (getattr(imported(each), name, None) for each in modules if find_spec(each))
        return next(filter(None, definitions), None)

    @property
    def sections(self) -> tuple[str, ...]:
        """Names of the sections of its report: the shared ones and those of its module ``page``."""
        return tuple(self.table["page"])

    def file(self, name: str) -> Path:
        """Path of a file in its folder, or in the folder of the extension that contains it."""
        places = [Path(str(files(each) / name)) for each in (self.package, *self.extensions)]
        return next((place for place in places if place.is_file()), places[0])

    def own_table(self, name: str) -> Any:
        """Table ``<name>.yaml`` of its folder and of its extensions; empty if there is none."""
        return merged_table((self.package, *self.extensions), name)


def plain(name: str | None) -> str:
    """Return the name of an exercise in lower case, without hyphens and underscores."""
    return " ".join(re.split(r"[\s_-]+", str(name).strip())).lower()
