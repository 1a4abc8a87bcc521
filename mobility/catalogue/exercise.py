"""One exercise: what its folder says and does.

An exercise is a folder of :mod:`mobility.exercises`, or of another package that names it under the
entry point ``mobility.exercises``. Its ``exercise.yaml`` says what it is, and a class in its
``exercise.py`` what it does; the classes of what documents and its page show may be in its
``documents.py`` and ``page.py``. What they leave out, they inherit.
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
"""Measure that every exercise of repetitions has."""


def main_moment(moments: Mapping[str, Mapping[str, Any]]) -> str:
    """Name the moment at which an exercise measures: the first that has frames of its own."""
    return next(name for name, entry in moments.items() if {"from", "around"} & entry.keys())


@dataclass(frozen=True)
class Exercise(OfExercise):
    """One exercise.

    Attributes
    ----------
    name, slug
        As sessions have it, and as files and options have it.
    package
        Package of its modules.
    table
        Its ``exercise.yaml``, with what extensions add (docs/own-exercise.md explains its entries).
    extensions
        Packages that add measures, rules and sections to it.
    """

    name: str
    slug: str
    package: str
    table: Mapping[str, Any] = field(repr=False, compare=False)
    extensions: tuple[str, ...] = ()

    @property
    def packages(self) -> tuple[str, ...]:
        """Its package, and those of the exercises that its class inherits from."""
        parents = self.own_class.__mro__
        modules = [each.__module__ for each in parents if issubclass(each, Exercise)]
        return tuple(m.removesuffix(".exercise") for m in modules[:-1] if m.endswith(".exercise"))

    @property
    def own_class(self) -> Any:
        """The class in its folder, which is slow to import."""
        module = f"{self.package}.exercise"
        if (found := find_spec(module) and class_in(module, Exercise)) is None:
            raise BadInputError(f"{module}: defines no exercise, as in: class Mine(Repeated)")
        return found

    def loaded(self) -> Any:
        """Make it an object of its class; ``stages_of`` gives this with its type."""
        return self.own_class(**{each.name: getattr(self, each.name) for each in fields(self)})

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
        kernel = self.named("kernels", name)
        if not hasattr(kernel, "compute") or kernel.compute.__module__.startswith("mobility."):
            return kernel
        return replace(kernel, compute=quiet(kernel.compute))

    def has(self, document: str) -> bool:
        """Whether its sessions have a document of the interface: "report", "joint-mobility"..."""
        return document in self.table["documents"]

    def part(self, name: str, kind: type) -> Any:
        """Make the class of a `kind` of its module `name`, else of what it inherits from."""
        modules = [f"{each}.{name}" for each in self.packages]
        classes = (class_in(module, kind) for module in modules if find_spec(module))
        return next(filter(None, classes))()

    def named(self, part: str, name: str) -> Any:
        """Find a section or a kernel in its modules ``page`` or ``kernels``; None if there is none.

        The modules are its own, those of what it inherits from, and those of extensions.
        """
        modules = [f"{each}.{part}" for each in (*self.packages, *self.extensions)]
        found = (getattr(imported(each), name, None) for each in modules if find_spec(each))
        return next(filter(None, found), None)

    @property
    def sections(self) -> tuple[str, ...]:
        """Names of the sections of its report: shared ones, and those of its module ``page``."""
        return tuple(self.table["page"])

    def file(self, name: str) -> Path:
        """Path of a file of its folder, or of the folder of the extension that has it."""
        places = [Path(str(files(each) / name)) for each in (self.package, *self.extensions)]
        return next((place for place in places if place.is_file()), places[0])

    def own_table(self, name: str) -> Any:
        """Table ``<name>.yaml`` of its folder, with those of its extensions; empty without any."""
        return merged_table((self.package, *self.extensions), name)


def plain(name: str | None) -> str:
    """Name of an exercise without capitals, hyphens and underscores."""
    return " ".join(re.split(r"[\s_-]+", str(name).strip())).lower()
