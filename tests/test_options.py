"""Options: keyword-only, checked, misspelt ones rejected with the likely spelling."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from pydantic import Field

from mobility.errors import BadInputError, MobilityError
from mobility.options import checked, likely


@checked
def smooth(
    data: list[float],
    *,
    cutoff_hz: Annotated[float, Field(gt=0)] = 6.0,
    kind: Literal["a", "b"] = "a",
):
    """Return what was given."""
    return data, cutoff_hz, kind


def test_valid_options_pass_and_are_converted():
    assert smooth([1.0]) == ([1.0], 6.0, "a")
    assert smooth(data=[1.0], cutoff_hz=4, kind="b") == ([1.0], 4.0, "b")


def test_unknown_option_comes_with_the_likely_spelling():
    with pytest.raises(
        BadInputError, match=r"options of smooth: cutof_hz: unknown; did you mean 'cutoff_hz'\?"
    ):
        smooth([1.0], cutof_hz=3)


def test_all_faults_at_once():
    with pytest.raises(BadInputError) as error:
        smooth([1.0], cutoff_hz=-1, kind="c")
    assert set(error.value.fields) == {"cutoff_hz", "kind"}
    assert "\n" not in str(error.value)


def test_options_are_keyword_only():
    with pytest.raises(TypeError):
        smooth([1.0], 3.0)


def test_a_far_spelling_is_not_guessed():
    assert likely("zzz", ["cutoff_hz"]) == ""


def test_errors_are_one_family_with_a_status_each():
    def family(kind):
        return [kind, *(k for sub in kind.__subclasses__() for k in family(sub))]

    assert all(isinstance(kind.status, int) for kind in family(MobilityError))
    assert BadInputError.status == 400
