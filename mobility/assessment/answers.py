"""Answers to a rule, as findings, documents and pages name them."""

from __future__ import annotations

from typing import Literal, get_args

Status = Literal["found", "not found", "cannot be told"]
Answer = Literal["fault", "near", "reached", "open", "refused", "hidden"]
ANSWERS: tuple[Answer, ...] = get_args(Answer)
"""Answers to a rule, in the order in which a page lists them."""

ANSWERED: tuple[Answer, ...] = ("fault", "near", "reached")
"""Answers that say something, and may be wrong."""
