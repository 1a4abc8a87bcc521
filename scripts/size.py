"""Print how large the package and its tests are: ``python scripts/size.py``.

A code line contains more than a comment or a docstring. A suffix is a string, formatted or not, or
an attribute that ends in ``_sd`` or ``_sem``. The core is ``mobility`` without its wings.
"""

from __future__ import annotations

import tokenize
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WINGS = ("studies", "leg_loads", "lab", "virtual_lab", "serve")
SUFFIXES = ("_sd", "_sem")
BLANK = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}


def size(file: Path) -> tuple[int, int]:
    """Count the code lines and the suffixes of a file."""
    with tokenize.open(file) as stream:
        tokens = [
            token
            for token in tokenize.generate_tokens(stream.readline)
            if token.type not in BLANK - {tokenize.NEWLINE}
        ]
    lines: set[int] = set()
    suffixes = 0
    for index, token in enumerate(tokens[:-1]):
        is_first = index == 0 or tokens[index - 1].type == tokenize.NEWLINE
        is_last = tokens[index + 1].type == tokenize.NEWLINE
        is_docstring = token.type == tokenize.STRING and is_first and is_last
        if token.type != tokenize.NEWLINE and not is_docstring:
            lines.update(range(token.start[0], token.end[0] + 1))
        is_attribute = token.type == tokenize.NAME and index and tokens[index - 1].string == "."
        if token.type == tokenize.STRING and not is_docstring:
            suffixes += token.string.rstrip("\"'").endswith(SUFFIXES)
        elif is_attribute or tokens[index + 1].type == getattr(tokenize, "FSTRING_END", None):
            suffixes += token.string.endswith(SUFFIXES)
    return len(lines), suffixes


def main() -> None:
    """Print the tables."""
    lines: Counter[str] = Counter()
    files: Counter[str] = Counter()
    suffixes: Counter[str] = Counter()
    for top in ("mobility", "tests"):
        for file in (ROOT / top).rglob("*.py"):
            path = file.relative_to(ROOT)
            room = path.parts[1] if top == "mobility" and len(path.parts) > 2 else ""
            code_lines, suffix_count = size(file)
            part = "core" if top == "mobility" and room not in WINGS else ""
            for place in {top, part, f"{top}/{room}".rstrip("/")} - {""}:
                lines[place] += code_lines
                files[place] += 1
            if top == "mobility" and suffix_count:
                suffixes[path.as_posix()] = suffix_count
    print(f"{'code lines':>10}  {'files':>5}")
    for place, count in sorted(lines.items()):
        print(f"{count:10}  {files[place]:5}  {place}")
    print(f"\n{suffixes.total()} suffixes in {len(suffixes)} files")
    for place, count in suffixes.most_common():
        print(f"{count:10}  {place}")


if __name__ == "__main__":
    main()
