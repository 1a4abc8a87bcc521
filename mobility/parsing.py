"""JSON, YAML and TOML that somebody gave: read strictly, and refused in one line."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from typing import Any

import yaml

# The loader of libyaml reads the same ten times faster; not every build of PyYAML has it.
YAML_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

DEEPEST = 32
"""Objects and lists inside each other; what this package reads has at most ten."""


class _Once(YAML_LOADER):  # type: ignore[misc, valid-type]
    """Refuses a name that is there twice, of which YAML takes the last."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen = set()
        for key, _ in node.value:
            name = str((key.tag, key.value))
            if name in seen:
                problem = f"{key.value!r} is given twice"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            seen.add(name)
        return super().construct_mapping(node, deep)


def parse_yaml(text: str) -> Any:
    """Read YAML in which no name is there twice.

    Raises
    ------
    ValueError
        It is none, or is nested too deeply; with the line where that is known.
    """
    try:
        return _not_too_deep(lambda: yaml.load(text, Loader=_Once))  # noqa: S506, a safe loader
    except yaml.YAMLError as error:
        problem = getattr(error, "problem", None) or " ".join(str(error).split())
        mark = getattr(error, "problem_mark", None)
        line = "" if mark is None else f", line {mark.line + 1}"
        raise ValueError(f"{problem}{line}") from None
    except (AttributeError, LookupError, TypeError):
        # PyYAML on a tag that does not fit what it stands before, such as !!bool maybe.
        raise ValueError("a tag (!!) does not fit its value") from None


def parse_toml(text: str) -> Any:
    """Read TOML.

    Raises
    ------
    ValueError
        It is none, or is nested too deeply.
    """
    return _not_too_deep(lambda: tomllib.loads(text))


def parse_json(text: str | bytes) -> Any:
    """Read JSON as its standard has it: in UTF-8, without NaN, and no name twice.

    Raises
    ------
    ValueError
        It is none, or is nested too deeply.
    """

    def refuse(constant: str) -> Any:
        raise ValueError(f"{constant} is not JSON")

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, value in pairs:
            if name in found:
                raise ValueError(f"{name!r} is given twice")
            found[name] = value
        return found

    text = text.decode("utf-8") if isinstance(text, bytes) else text
    return _not_too_deep(lambda: json.loads(text, parse_constant=refuse, object_pairs_hook=once))


def _not_too_deep(read: Callable[[], Any]) -> Any:
    """Return what `read` reads, unless it is so deep that whoever walks through it would fail."""
    too_deep = f"it is nested too deeply, more than {DEEPEST} levels"
    try:
        document = read()
    except RecursionError:
        raise ValueError(too_deep) from None
    level = [document]
    for _ in range(DEEPEST + 1):
        # By identity, for an alias of YAML gives the same object many times.
        inside = {
            id(inner): inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        }
        if not inside:
            return document
        level = list(inside.values())
    raise ValueError(too_deep)
