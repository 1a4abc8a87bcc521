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
# Rooms whose sentences stand in tables, for they reach pages and documents; errors and the log stay
# where they are raised. Batch, server and widgets say theirs where they use them.
ROOMS = [
    *("assessment", "capture", "cli", "documents", "kinematics", "pipeline", "privacy"),
    *("reports", "sessions", "studies"),
]


def _leaves(node: object, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _leaves(value, f"{name}.{key}")
    else:
        yield name, str(node)


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
                ("sentence", "tables.warning")
            ):
                continue
            if ast.unparse(node.args[0]) == "key":  # of `html.sentence`, which passes it on
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
    warning = tables.warning("warnings.joint_refused.one", side="Left", joint="knee", reason="dark")
    assert warning["code"] == "joint_refused"
    assert warning["message"] == "Left knee is not measured: dark."
    assert warning["values"] == {"side": "Left", "joint": "knee", "reason": "dark"}


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


def _prose(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Literals that read as sentences: a capital, three words or more, a full stop."""
    quiet: set[int] = set()
    for node in ast.walk(tree):
        logs = isinstance(node, ast.Call) and "log" in ast.unparse(node.func).lower()
        alone = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        helps = isinstance(node, ast.keyword) and node.arg in ("help", "description")
        if isinstance(node, ast.Raise | ast.Assert) or logs or alone or helps:
            quiet |= {id(part) for part in ast.walk(node)}
        if isinstance(node, ast.Dict):  # of OpenAPI
            described = zip(node.keys, node.values, strict=True)
            quiet |= {id(v) for k, v in described if ast.unparse(k or v) == "'description'"}
        if isinstance(node, ast.JoinedStr):
            quiet |= {id(part) for part in node.values if isinstance(part, ast.Constant)}
    for node in ast.walk(tree):
        if id(node) in quiet:
            continue
        if isinstance(node, ast.JoinedStr):
            parts = [str(p.value) if isinstance(p, ast.Constant) else "X" for p in node.values]
            text = "".join(parts)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
        else:
            continue
        plain = re.sub(r"<[^>]*>", " ", text)
        if re.search(r"(^|[ ])[A-Z][^.]*( [\w{},;:°±%–-]+){3,}\.( |$)", plain.strip()):
            yield node.lineno, text


def test_no_sentence_in_code() -> None:
    faults = [
        f"{path.relative_to(PACKAGE)}:{line}: {text}"
        for path, tree in TREES.items()
        if path.relative_to(PACKAGE).parts[0] in ROOMS
        for line, text in _prose(tree)
    ]
    assert not faults, "\n".join(faults)


def test_a_share_has_a_space_before_its_sign() -> None:
    assert tables.sentence("capture.person_absent", share=0.09).count(" 9 % ") == 1
    assert [key for key, text in SENTENCES.items() if re.search(r"} ?%|[0-9]%(?!})", text)] == []
