"""Names of the results of a check in findings, documents and pages."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, Literal, get_args

from mobility import tables

Status = Literal["found", "not found", "cannot be told"]
Result = Literal["outside", "borderline", "met", "inconclusive", "not_reported", "not_visible"]
RESULTS: tuple[Result, ...] = get_args(Result)
"""Results of a check, in the order of a page and of the table of their words."""

DECIDED: tuple[Result, ...] = ("outside", "borderline", "met")
"""Results that make a statement, which may be wrong."""

OF_A_VALUE: tuple[Result, ...] = (*DECIDED, "inconclusive")
"""Results that a check with a value can have."""


def in_words(result: Result) -> str:
    """Return the name of a result on pages: "outside target"."""
    return tables.sentence(f"results.{result}.word")


def in_current_words(check: Any) -> Any:
    """Return a check in its current form: the former field `answer` becomes `result`.

    Anything else is returned unchanged.
    """
    if not isinstance(check, Mapping) or "answer" not in check or "result" in check:
        return check
    former = check["answer"]
    if not isinstance(former, str):
        return check
    other_fields = {name: value for name, value in check.items() if name != "answer"}
    # It was the probability of one side of the target.
    if "beyond_margin" in other_fields:
        other_fields["beyond_margin"] = None
    return {**other_fields, "result": _former().get(former, former)}


@functools.cache
def _former() -> Mapping[str, Result]:
    """Results by their earlier words."""
    return {tables.sentence(f"results.{result}.was"): result for result in RESULTS}
