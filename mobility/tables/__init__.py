"""Tables apart from code: YAML files, each entry with its source."""

from __future__ import annotations

import functools
from importlib.resources import files
from typing import Any

import yaml

# The loader of libyaml reads the same ten times faster; not every build of PyYAML has it.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@functools.cache
def load(name: str) -> Any:
    """Read the table ``<name>.yaml`` of this package; do not change the answer."""
    text = (files(__package__) / f"{name}.yaml").read_text(encoding="utf-8")
    return yaml.load(text, Loader=_LOADER)  # noqa: S506, one of the two safe loaders
