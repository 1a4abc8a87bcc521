"""Options: keyword-only, checked, misspelt ones rejected with the likely spelling."""

from __future__ import annotations

import datetime
from typing import Annotated, Literal

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from pydantic import BaseModel, Field, model_validator

from mobility.base.options import (
    Day,
    Names,
    Standing,
    check_point,
    check_table,
    check_times,
    checked,
    checked_methods,
    is_word,
    likely,
    likely_measure,
    validate,
)
from mobility.errors import BadInputError, MobilityError


@checked
def smooth(
    data: list[float],
    *,
    cutoff_hz: Annotated[float, Field(gt=0)] = 6.0,
    kind: Literal["a", "b"] = "a",
):
    """Return what was given."""
    return data, cutoff_hz, kind


def test_options_are_converted_keyword_only_and_all_faults_are_told_at_once():
    assert smooth([1.0]) == ([1.0], 6.0, "a")
    assert smooth(data=[1.0], cutoff_hz=4, kind="b") == ([1.0], 4.0, "b")
    with pytest.raises(TypeError):
        smooth([1.0], 3.0)
    with pytest.raises(
        BadInputError, match=r"options of smooth: cutof_hz: unknown; did you mean 'cutoff_hz'\?"
    ):
        smooth([1.0], cutof_hz=3)
    assert likely("zzz", ["cutoff_hz"]) == ""
    with pytest.raises(BadInputError) as error:
        smooth([1.0], cutoff_hz=-1, kind="c")
    assert set(error.value.fields) == {"cutoff_hz", "kind"}
    assert "\n" not in str(error.value)


@checked
def choose(names: Names = (), *, others: Names | None = None, curves: bool | Names = False):
    """Return what was given."""
    return names, others, curves


def test_one_name_needs_no_list():
    assert choose("knee", others="hip", curves="a") == (["knee"], ["hip"], ["a"])
    assert choose(["knee"], others=("a", "b"), curves=True) == (["knee"], ("a", "b"), True)
    assert choose() == ((), None, False)
    with pytest.raises(BadInputError, match="names"):
        choose(3)
    with pytest.raises(BadInputError, match="others"):
        choose(others=[3])


def test_a_part_of_a_name_is_answered_with_the_shortest_that_have_it():
    names = [
        "left_knee_valgus",
        "knee_flexion_bottom",
        "knee_flexion",
        "knee_x_from_hip",
        "hip_flexion",
    ]
    assert likely_measure("Knee", names).endswith(
        "mean 'knee_flexion' or 'knee_x_from_hip' or 'knee_flexion_bottom'?"
    )
    assert likely_measure("knee flexoin", names) == "; did you mean 'knee_flexion'?"
    assert likely_measure("ne", names) == likely_measure("elbow", names) == ""


def test_errors_are_one_family_with_a_status_each():
    def family(kind):
        return [kind, *(k for sub in kind.__subclasses__() for k in family(sub))]

    assert all(isinstance(kind.status, int) for kind in family(MobilityError))
    assert BadInputError.status == 400


def test_a_point_is_two_finite_numbers():
    assert check_point(["1", "2.5"]) == (1.0, 2.5)
    nan, inf = float("nan"), float("inf")
    for point in ([1], [1, 2, 3], ["a", 1], [nan, 1], [1, inf], [-1, 1], [None, 1]):
        with pytest.raises(BadInputError, match="subject: must be two numbers"):
            check_point(point, name="subject")


TIMES = {"start": 0.5, "bottom": "1.4", "end": 2}


def test_times_of_a_repetition():
    row = {**TIMES, "rep": 1, "depth": None, "accepted": True, "complete": True, "reason": ""}
    assert check_times(row, what="repetition 1") == (0.5, 1.4, 2.0)
    assert check_times({**TIMES, "joints": 1}, others=["joints"], what="it") == (0.5, 1.4, 2.0)
    needs = "must have start, bottom"
    for given, words in (
        ({**TIMES, "joint": 1}, "'joint' is unknown; did you mean 'joints'"),
        ({**TIMES, "foo": 1}, "'foo' is unknown; choose from start, bottom, end, joints"),
        ({**TIMES, 7: 1}, "7 is unknown"),
        ({**TIMES, "start": True}, needs),
        ({**TIMES, "end": 10**400}, needs),
        ({**TIMES, "accepted": False, "reason": "shallow"}, "is marked as not accepted"),
        ({"start": 0.5, "end": 2}, needs),
        ([0.5, 1.4, 2], needs),
    ):
        with pytest.raises(BadInputError, match=f"repetition 1: {words}"):
            check_times(given, others=["joints"], what="repetition 1")


class _Pair(BaseModel):
    first: int = 0
    second: int = 0

    @model_validator(mode="after")
    def _one(self):
        if self.first and self.second:
            raise ValueError("give one, not both")
        return self


def test_a_fault_of_all_fields_together_is_told_once_and_no_object_is_refused():
    with pytest.raises(BadInputError) as error:
        validate(_Pair, {"first": 1, "second": 2}, what="the pair")
    assert str(error.value) == "the pair: give one, not both"
    for values in ([], None, "a"):
        with pytest.raises(BadInputError, match="the pair: must be an object with named fields"):
            validate(_Pair, values, what="the pair")


@checked
def stand(*, standing: Standing | None = None):
    """Return what was given."""
    return standing


def test_standing_is_a_word_or_degrees():
    for given in ("straight", "free", 12, "4.5", None):
        taken = stand(standing=given)
        assert taken == (float(given) if given in (12, "4.5") else given)
    for given in ("straigth", "fre", 61, -1, float("nan"), "inf", True, [1]):
        with pytest.raises(BadInputError, match=r"must be straight, free, or .* 60 degrees"):
            stand(standing=given)
    with pytest.raises(BadInputError, match=r"did you mean 'straight'\?"):
        stand(standing="straigth")


@checked_methods
class Shelf:
    """Methods with and without arguments."""

    def put(self, what: str, /, *, count: int = 1, **others: str) -> tuple[str, int, dict]:
        return what, count, others

    def count(self) -> int:
        return 1

    def _hidden(self, what: str) -> str:
        return what


def test_the_arguments_of_each_public_method_are_checked():
    shelf = Shelf()
    assert shelf.put("a", count=2, what="b") == ("a", 2, {"what": "b"})
    assert shelf.count() == 1
    assert shelf._hidden(3) == 3
    for wrong in (lambda: shelf.put(None), lambda: shelf.put("a", count="many")):
        with pytest.raises(BadInputError, match="put: "):
            wrong()
    with pytest.raises(TypeError, match="positional"):
        shelf.put("a", "b")


@checked
def on(day: Day) -> object:
    """Return what was given."""
    return day


def test_a_day_is_a_date_or_its_text():
    moment = datetime.datetime(2026, 11, 30, 10, 15)
    assert on(moment) == moment
    assert on(moment.date()) == moment.date()
    assert on("2026-11-30") == "2026-11-30"
    assert type(on(pd.Timestamp(moment))) is datetime.datetime
    for wrong in (pd.NaT, None, 3, np.datetime64("2026-11-30"), [moment]):
        with pytest.raises(BadInputError, match="day: must be a date"):
            on(wrong)


def test_a_table_has_each_column_once():
    table = pd.DataFrame({"a": [1], "b": [2]})
    assert check_table(table) is table
    for wrong in (table.rename(columns={"b": "a"}), table["a"], table.to_numpy(), None, {"a": [1]}):
        with pytest.raises(BadInputError, match=r"must be a DataFrame|the column 'a' twice"):
            check_table(wrong)


@pytest.mark.parametrize("value", [xr.Dataset({"a": 1}), np.array(["a", "b"]), pd.NA, None])
def test_what_cannot_be_compared_with_a_text_is_no_word(value):
    assert is_word("a", "a", "b")
    assert not is_word(value, "a", "b")
    with pytest.raises(BadInputError, match="must be straight, free"):
        stand(standing=[value])
