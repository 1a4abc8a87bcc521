"""Tables apart from code: YAML files, each entry with its source."""

from __future__ import annotations

import functools
from importlib.resources import files
from typing import Any

import yaml


@functools.cache
def load(name: str) -> Any:
    """Read the table ``<name>.yaml`` of this package; do not change the answer."""
    return yaml.safe_load((files(__package__) / f"{name}.yaml").read_text(encoding="utf-8"))
