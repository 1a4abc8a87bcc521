"""Sentences stand in tables, each is used, and the code fills in what it names."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import mobility
from mobility import tables

PACKAGE = Path(mobility.__file__).parent
TREES = {path: ast.parse(path.read_text("utf-8")) for path in sorted(PACKAGE.rglob("*.py"))}
PARTS = sorted(path.stem for path in (PACKAGE / "tables").glob("sentences_*.yaml"))


def _leaves(found: object, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(found, dict):
        for key, value in found.items():
            yield from _leaves(value, f"{name}.{key}")
    else:
        yield name, str(found)


SENTENCES = {
    key: text
    for part in PARTS
    for key, text in _leaves(tables.load(part), part.removeprefix("sentences_"))
}


def _calls() -> Iterator[tuple[str, str, set[str] | None]]:
    """Where, the pattern of the key, and the names that are filled in (None: a ** among them)."""
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or not ast.unparse(node.func).endswith(
                ("tables.sentence", "tables.warning")
            ):
                continue
            names = {word.arg for word in node.keywords}
            filled = None if None in names else {str(name) for name in names}
            for pattern in _patterns(node.args[0]):
                yield f"{path.relative_to(PACKAGE)}:{node.lineno}", pattern, filled


def _patterns(node: ast.expr) -> list[str]:
    """Regular expressions of the keys that an argument can be."""
    if isinstance(node, ast.Constant):
        return [re.escape(str(node.value))]
    if isinstance(node, ast.IfExp):
        return _patterns(node.body) + _patterns(node.orelse)
    if isinstance(node, ast.JoinedStr):
        parts = [
            re.escape(str(part.value)) if isinstance(part, ast.Constant) else r"[\w.]+"
            for part in node.values
        ]
        return ["".join(parts)]
    raise AssertionError(f"a key that nobody can look up: {ast.unparse(node)}")


CALLS = list(_calls())


def test_a_warning_has_the_code_of_its_key() -> None:
    found = tables.warning("warnings.joint_refused.one", side="Left", joint="knee", reason="dark")
    assert found["code"] == "joint_refused"
    assert found["message"] == "Left knee is not measured: dark."
    assert found["values"] == {"side": "Left", "joint": "knee", "reason": "dark"}


def test_every_key_is_in_a_table_its_braces_are_filled_and_every_sentence_is_used() -> None:
    faults, unused = [], set(SENTENCES)
    for where, pattern, filled in CALLS:
        texts = {key: text for key, text in SENTENCES.items() if re.fullmatch(pattern, key)}
        unused -= set(texts)
        if not texts:
            faults.append(f"{where}: no sentence {pattern}")
        for text in texts.values():
            fields = {name for _, name, _, _ in Formatter().parse(text) if name is not None}
            if filled is not None and not fields <= filled:
                faults.append(f"{where}: {fields - filled} in {text!r}")
    assert faults == []
    assert unused == set()


def test_a_share_has_a_space_before_its_sign() -> None:
    assert tables.sentence("capture.person_absent", share=0.09).count(" 9 % ") == 1
    assert [key for key, text in SENTENCES.items() if re.search(r"} ?%|[0-9]%(?!})", text)] == []
