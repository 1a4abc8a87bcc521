"""Strict reading of JSON, YAML, TOML and CSV files from users, with errors of one line."""

from __future__ import annotations

import csv
import errno
import json
import os
import re
import stat
import tomllib
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from mobility.errors import BadInputError, NotFoundError

# The loader of libyaml is ten times as fast, but some builds of PyYAML lack it.
YAML_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

DEEPEST = 32
"""Deepest allowed nesting of objects and lists; the files that this package reads have at most ten
levels.
"""


_LARGEST_BYTES = 256 << 20
"""Limit for a document; the largest ones belong to videos of several hours."""

LARGEST_CSV_BYTES = 64 << 20

MOST_COLUMNS = 100_000
"""Limit for a table; DeepLabCut tables with twenty people and all their points have 8,000."""

_JOINERS = "\u200c\u200d"

_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")


class _UniqueKeyLoader(YAML_LOADER):  # type: ignore[misc, valid-type]
    """Loader that rejects duplicate keys; YAML would use the last one."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        names = set()
        for key, _ in node.value:
            name = str((key.tag, key.value))
            if name in names:
                problem = f"{key.value!r} is given twice"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            names.add(name)
        return super().construct_mapping(node, deep)


def require_regular(path: str | os.PathLike[str]) -> os.stat_result:
    """Return the status of a file or folder, or raise OSError. Call it before opening a path.

    Reading a pipe waits for a writer and works only once; reading a device may never end.
    """
    status = Path(path).stat()
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
        why = "it is neither a file nor a folder; save it as a file"
        raise OSError(errno.EINVAL, why, os.fspath(path))
    return status


def read_file(path: str | os.PathLike[str], *, most_bytes: int = _LARGEST_BYTES) -> bytes:
    """Read a file; raise OSError if it is not a regular file, or is too large."""
    if require_regular(path).st_size > most_bytes:
        why = (
            f"it is larger than {most_bytes >> 20} MB, the largest size that is read; use a "
            "smaller file"
        )
        raise OSError(errno.EFBIG, why, os.fspath(path))
    return Path(path).read_bytes()


def parse_yaml(text: str) -> Any:
    """Read YAML without duplicate keys.

    Raises
    ------
    ValueError
        If the text is not such YAML, or is nested too deeply. The message contains the line number,
        if it is known.
    """
    try:
        return _not_too_deep(lambda: yaml.load(text, Loader=_UniqueKeyLoader))  # noqa: S506, a safe loader
    except yaml.YAMLError as error:
        problem = getattr(error, "problem", None) or " ".join(str(error).split())
        mark = getattr(error, "problem_mark", None)
        line = "" if mark is None else f", line {mark.line + 1}"
        raise ValueError(f"{problem}{line}") from None
    except (AttributeError, LookupError, TypeError):
        # PyYAML raises these errors for a tag that does not fit its value, such as !!bool maybe.
        raise ValueError("a tag (!!) does not fit its value") from None


def parse_toml(text: str) -> Any:
    """Read TOML.

    Raises
    ------
    ValueError
        If the text is not TOML, or is nested too deeply.
    """
    return _not_too_deep(lambda: tomllib.loads(text))


def parse_json(text: str | bytes) -> Any:
    """Read standard JSON: UTF-8, without NaN, without duplicate names.

    Raises
    ------
    ValueError
        If the text is not such JSON, or is nested too deeply.
    """

    def refuse(constant: str) -> Any:
        raise ValueError(f"{constant} is not valid JSON")

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for name, value in pairs:
            if name in values:
                raise ValueError(f"{name!r} is given twice")
            values[name] = value
        return values

    text = text.decode("utf-8") if isinstance(text, bytes) else text
    return _not_too_deep(lambda: json.loads(text, parse_constant=refuse, object_pairs_hook=unique))


def read_csv(
    path: str | os.PathLike[str], *, what: str
) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Read a table with a header from a CSV file, as spreadsheets write it.

    The values are separated by commas or semicolons. Rows without any value are left out.

    Parameters
    ----------
    path
        The file, in UTF-8 with or without a byte order mark.
    what
        Name of the table, for messages ("manifest").

    Returns
    -------
    list of str
        Names of the columns, in lower case.
    list of tuple
        For each row, its line number in the file, and its values without surrounding spaces.

    Raises
    ------
    NotFoundError
        There is no such file.
    BadInputError
        It is not a CSV file, or has no rows.
    """
    file = Path(path)
    try:
        text = read_file(file, most_bytes=LARGEST_CSV_BYTES).decode("utf-8-sig")
    except FileNotFoundError:
        raise NotFoundError(f"{file}: no such file or folder") from None
    except IsADirectoryError:
        raise BadInputError(f"{file}: is a folder; name a CSV file") from None
    except OSError as error:
        raise BadInputError(f"{file}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise BadInputError(f"{file}: is not UTF-8; save it as 'CSV UTF-8'") from None
    if "\0" in text:
        raise BadInputError(f"{file}: contains NUL characters; save it as 'CSV UTF-8'")
    lines = text.splitlines(keepends=True)
    head = lines[0] if lines else ""
    if "\t" in head and not {";", ","} & set(head):
        raise BadInputError(
            f"{file}: its values are separated by tabs; save it with commas or semicolons"
        )
    delimiter = ";" if head.count(";") > head.count(",") else ","
    if max((line.count(delimiter) for line in lines), default=0) >= MOST_COLUMNS:
        raise BadInputError(
            f"{file}: has more than {MOST_COLUMNS} columns, too many for a {what}; remove some"
        )
    try:
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
        names = [name.strip().lower() for name in next(reader, [])]
        rows = [(reader.line_num, [value.strip() for value in values]) for values in reader]
    except csv.Error as error:
        raise BadInputError(
            f"{file}: is not a CSV file ({error}); save it as 'CSV UTF-8'"
        ) from None
    rows = [(number, values) for number, values in rows if any(values)]
    if not rows:
        raise BadInputError(f"{file}: has no rows below its header; add at least one")
    return names, rows


def is_control(character: str) -> bool:
    """Whether a character is invisible, moves the cursor, or changes the direction of text.

    Two such characters are allowed, because names in some scripts and emoji need them.
    """
    controls = ("Cc", "Cf", "Zl", "Zp")
    return character not in _JOINERS and unicodedata.category(character) in controls


def parse_number(text: str) -> float:
    """Read a decimal number as people write it: digits 0 to 9, with a point or a comma.

    Python itself would also accept ``1_000``, ``nan``, ``infinity`` and digits of other scripts.

    Raises
    ------
    ValueError
        If the text is not such a number.
    """
    plain = text.strip().replace(",", ".", 1)
    if _NUMBER.fullmatch(plain) is None:
        raise ValueError("must be a number")
    return float(plain)


def _not_too_deep(read: Callable[[], Any]) -> Any:
    """Return what `read` reads, unless its nesting is too deep for recursive code."""
    too_deep = f"it is nested too deeply, more than {DEEPEST} levels"
    try:
        document = read()
    except RecursionError:
        raise ValueError(too_deep) from None
    level = [document]
    for _ in range(DEEPEST + 1):
        # Compared by identity, because YAML aliases give the same object many times.
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
