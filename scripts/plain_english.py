"""Count what is not plain English: ``python scripts/plain_english.py [--list] [PATTERN ...]``.

The script reads the README, the documentation, the tables, help texts, notebooks, docstrings of
public functions and literals of errors. It prints a table of hits for each surface and pattern;
``--list`` adds the file and the sentence of each hit; if patterns are named, only of their hits.

``plain_english.yaml`` beside it has the patterns, the exceptions with their reasons, and a ceiling
for each surface and pattern: the number of hits when it was last written. The script fails if a
number rises above its ceiling, so the number of hits can only fall. After a correction, ``--write``
lowers the ceilings; it never raises one.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import sys
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).resolve().parents[1]
TABLE = Path(__file__).with_suffix(".yaml")
MOST_WORDS, MOST_WORDS_OF_A_PARAGRAPH, MOST_EXCEPTIONS = 30, 80, 0.02
LENGTHS = ("long paragraph", "long sentence", "two semicolons")
# Abbreviations whose full stop does not end a sentence.
STOP = r"(?<!\bal\.)(?<!\be\.g\.)(?<!\bi\.e\.)(?<!\bvs\.)(?<!\bcf\.)(?<!\bapprox\.)"
FILES = {
    "readme": ["README.md"],
    "docs": ["docs/*.md", "docs/tutorials/*.md"],
    "tables": ["mobility/tables/*.yaml", "mobility/exercises/*/*.yaml"],
    "notebooks": ["notebooks/[!m]*.ipynb"],
    "code": ["mobility/**/*.py"],
}
BLOCK = re.compile(r"^\s*(?:[-*+] |\d+\. |: |#+ |> ?|\[\^?\w+\]: )")
Counts = dict[str, dict[str, int]]


class Hit(NamedTuple):
    """A sentence that a pattern finds."""

    file: str
    pattern: str
    sentence: str


def written(text: str) -> str:
    """Remove front matter, code, formulas and text that a script made from a page."""
    text = re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL)
    text = re.sub(r"^( *)(`{3,}|~{3,}).*?^\1\2$", "", text, flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"<!-- made by .*?<!-- end -->|<!--.*?-->|\$\$.*?\$\$", "", text, flags=re.DOTALL)


def markdown(text: str) -> Iterator[str]:
    """Yield the paragraphs of a page, without code, tables, headings and generated text."""
    lines: list[str] = []
    for line in [*written(text).splitlines(), ""]:
        outside = not line.strip() or line.lstrip().startswith(("|", "#"))
        if outside or BLOCK.match(line):
            yield from [" ".join(lines)] * bool(lines)
            lines = []
        if not outside:
            lines.append(BLOCK.sub("", line).strip())


def plain(text: str) -> str:
    """Replace links by their text, and code, formulas and placeholders by X."""
    text = re.sub(r"!\[[^\]]*\]\([^)]*\)", "", text)
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"(:\w+:)?(``.*?``|`[^`]*`)|\$[^$]*\$|\{[^{}]*\}", "X", text)
    return re.sub(r"\s+", " ", re.sub(r"\*|(?<!\w)_(?=\w)|(?<=\w)_(?!\w)", "", text)).strip()


def sentences(paragraph: str) -> list[str]:
    """Split a paragraph."""
    return re.split(STOP + r"(?:(?<=[.!?])|(?<=[.!?][\")”’]))\s+(?=[^a-z\s])", paragraph)


def words(text: str) -> int:
    """Count the words outside brackets: a reader can skip sources and remarks."""
    text = re.sub(r"\([^()]*\)", "", text)
    return sum(any(letter.isalnum() for letter in word) for word in text.split())


def strings(node: ast.AST) -> str:
    """Return the text of a string, with X for each value that a formatted string fills in."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.BinOp):
        return strings(node.left) + strings(node.right)
    return "".join(strings(part) or "X" for part in getattr(node, "values", []))


def described(docstring: str) -> str:
    """Remove the headings of sections and the names of parameters from a docstring."""
    return re.sub(r"^\S.*\n(-{3,}$|(?= +\S))", "\n", docstring, flags=re.MULTILINE)


def code(text: str) -> Iterator[tuple[str, str]]:
    """Yield the help texts, public docstrings and error literals of a module."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield "docstrings", described(ast.get_docstring(node) or "")
        elif isinstance(node, ast.Call):
            options = (k.value for k in node.keywords if k.arg in ("help", "description"))
            yield from (("help", strings(value)) for value in options)
            if ast.unparse(node.func).endswith("Error"):
                yield from (("errors", strings(value)) for value in node.args)


def leaves(node: Any) -> Iterator[str]:
    """Yield the texts of a table, without sources and names."""
    if isinstance(node, dict):
        yield from leaves([node[key] for key in node if key not in ("source", "sources")])
    elif isinstance(node, list):
        yield from (text for value in node for text in leaves(value))
    elif isinstance(node, str) and node.count(" ") >= 2:
        yield node


def paragraphs(root: Path) -> Iterator[tuple[str, str, str]]:
    """Yield surface, file and paragraph of everything that users read."""
    for surface, globs in FILES.items():
        for path in sorted(path for glob in globs for path in root.glob(glob)):
            text, name = path.read_text("utf-8"), path.relative_to(root).as_posix()
            parts = list(code(text)) if surface == "code" else [(surface, text)]
            if surface == "tables":
                parts = [(surface, leaf) for leaf in leaves(yaml.safe_load(text))]
            elif surface == "notebooks":
                cells = [c for c in json.loads(text)["cells"] if c["cell_type"] == "markdown"]
                parts = [(surface, "".join(cell["source"])) for cell in cells]
            for where, part in parts:
                yield from ((where, name, plain(block)) for block in markdown(part))


def hits(file: str, paragraph: str, patterns: dict[str, Any]) -> Iterator[Hit]:
    """Yield the hits of a paragraph: at most one for each pattern and sentence."""
    if words(paragraph) > MOST_WORDS_OF_A_PARAGRAPH:
        yield Hit(file, LENGTHS[0], paragraph)
    for sentence in sentences(paragraph):
        if words(sentence) > MOST_WORDS:
            yield Hit(file, LENGTHS[1], sentence)
        if sentence.count(";") > 1:
            yield Hit(file, LENGTHS[2], sentence)
        for name, entry in patterns.items():
            right_here = any(part in file for part in entry.get("not_in", []))
            if not right_here and any(re.search(one, sentence) for one in entry["any"]):
                yield Hit(file, name, sentence)


def read(root: Path, table: dict[str, Any]) -> tuple[dict[str, list[Hit]], list[str]]:
    """Find the hits of each surface without the exceptions, and check the exceptions."""
    found: dict[str, list[Hit]] = {}
    exceptions, used, number = {entry["text"] for entry in table["exceptions"]}, set(), 0
    for surface, file, paragraph in paragraphs(root):
        found.setdefault(surface, [])
        number += len(sentences(paragraph))
        for hit in hits(file, paragraph, table["patterns"]):
            matching = {text for text in exceptions if text in hit.sentence}
            used |= matching
            found[surface].extend([hit] * (not matching))
    faults = [f"Delete the exception that no sentence needs: {e}" for e in exceptions - used]
    if len(exceptions) > MOST_EXCEPTIONS * number:
        faults.append(f"At most {MOST_EXCEPTIONS:.0%} of {number} sentences can be exceptions.")
    return found, faults


def rises(counts: Counts, ceilings: Counts) -> Iterator[str]:
    """Return a message for each number above its ceiling."""
    for surface, counter in counts.items():
        for pattern, count in counter.items():
            if count > (ceiling := ceilings.get(surface, {}).get(pattern, 0)):
                what = f"{surface}, {pattern}: {count} hits, more than the ceiling of {ceiling}."
                yield f"{what} Rewrite the new ones: see --list {pattern!r}."


def lowered(text: str, counts: Counts) -> str:
    """Return the table with the current numbers as ceilings, none of them higher than before."""
    today = yaml.safe_load(text).get("ceilings", {})
    for surface, counter in counts.items():
        old = today.get(surface, {})
        today[surface] = {name: min(count, old.get(name, count)) for name, count in counter.items()}
    return text.split("\nceilings:")[0].rstrip() + "\n\n" + yaml.safe_dump({"ceilings": today})


def main(arguments: Iterable[str] | None = None) -> str | None:
    """Print the table, and return what is wrong: sys.exit prints it and ends with status 1."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("patterns", nargs="*", help="List only these.")
    parser.add_argument("--list", action="store_true", help="Print each hit.")
    parser.add_argument("--write", action="store_true", help="Lower the ceilings to today's hits.")
    options = parser.parse_args(None if arguments is None else list(arguments))
    text = TABLE.read_text("utf-8")
    table = yaml.safe_load(text)
    found, faults = read(ROOT, table)
    names = sorted([*table["patterns"], *LENGTHS])
    seen = {surface: [hit.pattern for hit in part] for surface, part in found.items()}
    counts = {s: {name: part.count(name) for name in names} for s, part in seen.items()}
    for hit in chain(*found.values()):
        if options.list and hit.pattern in (options.patterns or names):
            print(*hit, sep=": ")
    print(f"{'':16}" + "".join(f"{surface:>12}" for surface in counts))
    for name in names:
        print(f"{name:16}" + "".join(f"{counter[name]:12}" for counter in counts.values()))
    if options.write:
        text = lowered(text, counts)
        TABLE.write_text(text, "utf-8")
    return "\n".join([*faults, *rises(counts, yaml.safe_load(text)["ceilings"])]) or None


if __name__ == "__main__":
    sys.exit(main())
