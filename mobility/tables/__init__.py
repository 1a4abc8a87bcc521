"""Tables, kept apart from code: YAML files in which each entry has its source."""

from __future__ import annotations

import functools
import string
from importlib.resources import files
from typing import Any

import yaml

from mobility.base.parsing import YAML_LOADER


@functools.cache
def load(name: str) -> Any:
    """Read the table ``<name>.yaml`` of this package; do not change the result."""
    text = (files(__package__) / f"{name}.yaml").read_text(encoding="utf-8")
    return yaml.load(text, Loader=YAML_LOADER)  # noqa: S506, one of the two safe loaders


class _Spaced(string.Formatter):
    """Writes 9 %, with a space, unlike :meth:`str.format`, which writes 9%."""

    def format_field(self, value: Any, format_spec: str) -> str:
        text: str = super().format_field(value, format_spec)
        return f"{text[:-1]} %" if format_spec.endswith("%") else text


def sentence(key: str, /, **values: object) -> str:
    """Fill in a sentence from the tables of sentences.

    Parameters
    ----------
    key
        ``"report.no_repetition"`` is `no_repetition` in ``sentences_report.yaml``.
    **values
        Values for the braces in the sentence, with the formats of :meth:`str.format`; a space is
        put before a percent sign.
    """
    part, *names = key.split(".")
    entry = load(f"sentences_{part}")
    for name in names:
        entry = entry[name]
    return _Spaced().format(str(entry), **values)


def warning(key: str, /, **values: object) -> dict[str, Any]:
    """Make a warning for a history: its code, its values, and its sentence.

    Parameters
    ----------
    key
        As for :func:`sentence`. ``"warnings.no_squat"`` has the code `no_squat`, and so do all
        sentences below that name.
    **values
        As for :func:`sentence`, as JSON values; further values are for programs.
    """
    return {"code": key.split(".")[1], "message": sentence(key, **values), "values": values}
