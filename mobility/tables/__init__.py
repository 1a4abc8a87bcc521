"""Tables apart from code: YAML files, each entry with its source."""

from __future__ import annotations

import functools
from importlib.resources import files
from typing import Any

import yaml

# The loader of libyaml reads the same ten times faster; not every build of PyYAML has it.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Once(_LOADER):  # type: ignore[misc, valid-type]
    """Refuses a name that is there twice, of which YAML takes the last."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen = set()
        for key, _ in node.value:
            name = str((key.tag, key.value))
            if name in seen:
                problem = f"{key.value!r} is there twice"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            seen.add(name)
        return super().construct_mapping(node, deep)


def read_given(text: str) -> Any:
    """Read YAML that was handed in.

    Raises
    ------
    yaml.YAMLError
        It is none, or a name is there twice.
    """
    return yaml.load(text, Loader=_Once)  # noqa: S506, made of a safe loader


@functools.cache
def load(name: str) -> Any:
    """Read the table ``<name>.yaml`` of this package; do not change the answer."""
    text = (files(__package__) / f"{name}.yaml").read_text(encoding="utf-8")
    return yaml.load(text, Loader=_LOADER)  # noqa: S506, one of the two safe loaders
