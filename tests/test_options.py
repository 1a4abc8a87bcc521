"""Options: keyword-only, checked, misspelt ones rejected with the likely spelling."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, Field, model_validator

from mobility.errors import BadInputError, MobilityError
from mobility.options import Standing, check_point, check_times, checked, likely, validate


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


def test_a_point_is_two_finite_numbers():
    assert check_point(["1", "2.5"], what="subject") == (1.0, 2.5)
    for point in (
        [1],
        [1, 2, 3],
        ["a", 1],
        [float("nan"), 1],
        [1, float("inf")],
        [-1, 1],
        [None, 1],
    ):
        with pytest.raises(BadInputError, match="subject: must be two numbers"):
            check_point(point, what="subject")


TIMES = {"start": 0.5, "bottom": "1.4", "end": 2}


def test_times_of_a_repetition():
    row = {**TIMES, "rep": 1, "depth": None, "accepted": True, "complete": True, "reason": ""}
    assert check_times(row, what="repetition 1") == (0.5, 1.4, 2.0)
    assert check_times({**TIMES, "joints": 1}, others=["joints"], what="it") == (0.5, 1.4, 2.0)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({**TIMES, "joint": 1}, "repetition 1: 'joint' is unknown; did you mean 'joints'"),
        (
            {**TIMES, "foo": 1},
            "repetition 1: 'foo' is unknown; choose from start, bottom, end, joints",
        ),
        ({**TIMES, 7: 1}, "repetition 1: 7 is unknown"),
        ({**TIMES, "start": True}, "repetition 1: must have start, bottom"),
        ({**TIMES, "end": 10**400}, "repetition 1: must have start, bottom"),
        (
            {**TIMES, "accepted": False, "reason": "shallow"},
            "repetition 1: is marked as not accepted",
        ),
        ({"start": 0.5, "end": 2}, "repetition 1: must have start, bottom"),
        ([0.5, 1.4, 2], "repetition 1: must have start, bottom"),
    ],
)
def test_what_is_no_repetition_is_refused(given, words):
    with pytest.raises(BadInputError, match=words):
        check_times(given, others=["joints"], what="repetition 1")


class _Pair(BaseModel):
    first: int = 0
    second: int = 0

    @model_validator(mode="after")
    def _one(self):
        if self.first and self.second:
            raise ValueError("give one, not both")
        return self


def test_a_fault_of_all_fields_together_is_told_once():
    with pytest.raises(BadInputError) as error:
        validate(_Pair, {"first": 1, "second": 2}, what="the pair")
    assert str(error.value) == "the pair: give one, not both"


@pytest.mark.parametrize("values", [[], None, "a", 3])
def test_what_is_no_object_is_refused(values):
    with pytest.raises(BadInputError, match="the pair: must be an object with named fields"):
        validate(_Pair, values, what="the pair")


@checked
def stand(*, standing: Standing | None = None):
    """Return what was given."""
    return standing


@pytest.mark.parametrize(
    ("given", "taken"),
    [("straight", "straight"), ("free", "free"), (12, 12.0), ("-4.5", -4.5), (None, None)],
)
def test_standing_is_a_word_or_degrees(given, taken):
    assert stand(standing=given) == taken


@pytest.mark.parametrize("given", ["straigth", "fre", 61, -21, float("nan"), "inf", True, [1]])
def test_standing_that_is_neither_is_refused_in_one_line(given):
    with pytest.raises(BadInputError, match=r"standing: must be straight, free, or .* 60 degrees"):
        stand(standing=given)


def test_a_misspelt_standing_comes_with_the_likely_spelling():
    with pytest.raises(BadInputError, match=r"did you mean 'straight'\?"):
        stand(standing="straigth")
