"""ES modules of pages that load nothing: each with what it imports, as one text."""

from __future__ import annotations

import re
from pathlib import Path

_IMPORT = re.compile(r'^import [^;]+ from "(\.[^"]+)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?!default)", re.MULTILINE)


def joined(file: Path) -> str:
    """Text of a module, after that of the modules that it imports; each is there once.

    All share one scope, so that names are imported as they are, and each is used once.
    """
    texts: dict[Path, str] = {}

    def add(path: Path) -> None:
        text = path.read_text(encoding="utf-8")
        for imported in _IMPORT.findall(text):
            if (needed := (path.parent / imported).resolve()) not in texts:
                add(needed)
        texts[path] = _EXPORT.sub("", _IMPORT.sub("", text)).lstrip("\n")

    add(file.resolve())
    return "\n".join(texts.values())
