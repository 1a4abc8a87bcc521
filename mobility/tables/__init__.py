"""Tables apart from code: YAML files, each entry with its source."""

from __future__ import annotations

import functools
import string
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
                problem = f"{key.value!r} is given twice"
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


class _Spaced(string.Formatter):
    """Writes 9 %, where :meth:`str.format` writes 9%."""

    def format_field(self, value: Any, format_spec: str) -> str:
        text: str = super().format_field(value, format_spec)
        return f"{text[:-1]} %" if format_spec.endswith("%") else text


def sentence(key: str, /, **values: object) -> str:
    """Fill in a sentence of the tables of sentences.

    Parameters
    ----------
    key
        ``"report.no_repetition"`` is `no_repetition` in ``sentences_report.yaml``.
    **values
        What stands in braces in it; formats are those of :meth:`str.format`, but for a space
        before a percent sign.
    """
    part, *names = key.split(".")
    found = load(f"sentences_{part}")
    for name in names:
        found = found[name]
    return _Spaced().format(str(found), **values)


def warning(key: str, /, **values: object) -> dict[str, Any]:
    """Make a warning as a history keeps it: its code, its values, and the sentence made of them.

    Parameters
    ----------
    key
        As of :func:`sentence`. ``"warnings.no_squat"`` has the code `no_squat`, and so has each of
        several sentences below that name.
    **values
        As of :func:`sentence`, as JSON values; what else programs should know of it.
    """
    return {"code": key.split(".")[1], "message": sentence(key, **values), "values": values}
