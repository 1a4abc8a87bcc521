"""What tables of an exercise may say, and declarations of measures."""

from __future__ import annotations

from typing import Any

import pytest

from mobility import tables
from mobility.catalogue.exercise_table import (
    check_measure,
    check_own_tables,
    check_unique,
)
from mobility.catalogue.registry import exercises
from mobility.errors import BadInputError

REACH: dict[str, Any] = {
    **{"from": "reach.height", "long_name": "reach", "units": "m", "group": ""},
    **{"reference": "x", "source": "x"},
}
ANGLE = REACH | {"from": "angles.knee_flexion", "peak": "maximum", "units": "degree"}


def test_every_declaration_says_what_is_read_and_no_less() -> None:
    every = [tables.load("measures"), *(each.own_table("measures") for each in exercises())]
    declared = [item for table in every for item in table.get("measures", {}).items()]
    assert len(declared) > 50
    for name, entry in [*declared, ("reach", REACH), ("angle", ANGLE)]:
        check_measure(entry, name)


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        (REACH | {"form": "x.y"}, "form: unknown; did you mean 'from'"),
        ({**REACH, "long_nam": "x"}, "long_nam: unknown; did you mean 'long_name'"),
        ({key: REACH[key] for key in REACH if key != "from"}, "from: field required"),
        ({key: REACH[key] for key in REACH if key != "source"}, "source: field required"),
        (REACH | {"from": "reach"}, "from: string should match pattern"),
        (ANGLE | {"from": "angles.knee_flexon"}, "from: 'knee_flexon': unknown; did you mean"),
        (ANGLE | {"peak": None}, "needs peak, the extreme"),
        (REACH | {"kinds": ["medain"]}, "kinds: 'medain': unknown; did you mean 'median'"),
        (REACH | {"kinds": ["score"]}, "kinds: 'score': unknown"),
        (REACH | {"kinds": ["asymmetry", "median"]}, "list median before kinds"),
        (
            REACH | {"kinds": {"bottom": "low"}},
            "only median, descent, ascent, standing can be given a name",
        ),
        (
            REACH | {"at": {"knee_flexion": 60}},
            "at: needs an angle, within_deg, and a sentence as not_there",
        ),
        (
            REACH | {"at": {"knee": 60, "within_deg": 9}, "not_there": "no", "kinds": ["median"]},
            "at: 'knee': unknown",
        ),
        (REACH | {"over": ["start", "end"]}, "over: needs peak"),
        (REACH | {"sign": 2}, "sign: input should be 1 or -1"),
        (REACH | {"against": "sitting"}, "against: input should be 'standing'"),
        (REACH | {"error": {"of": "mean"}}, "error: needs largest_interval"),
        (
            ANGLE | {"extreme": "minimum", "over": ["start", "end"], "kinds": ["median"]},
            "has extreme and over; use only one of them",
        ),
        (ANGLE | {"extreme": "minimum"}, "extreme: needs kinds, without the kinds of the moment"),
        (ANGLE | {"units": "rad"}, "units: must be degree for an angle"),
        (ANGLE | {"largest_interval": {"value": 5, "source": "x"}}, "cannot be set for angles"),
        (
            REACH | {"kinds": ["median", "symmetry_angle"]},
            "ratios .* exist only for angles in degrees",
        ),
        (
            REACH | {"fit_error_sd": {"value": 1, "source": "x"}},
            "apply only to measures of the kernel smoothness",
        ),
        (
            REACH
            | {"error": {"of": "mean"}, "largest_interval": {"value": 5, "source": "x"}}
            | {"kinds": ["median", "phase"]},
            "error: applies only to asymmetry, bottom,",
        ),
        (REACH | {"long_name": "reach {at}"}, "long_name: 'at': unknown"),
        (REACH | {"kinds": []}, "kinds"),
        (REACH | {"largest_interval": {"value": 5}}, "largest_interval.source: field required"),
    ],
)
def test_a_declaration_that_says_what_nothing_reads_is_refused(entry: Any, why: str) -> None:
    with pytest.raises(BadInputError, match=why) as refused:
        check_measure(entry, "measures.yaml of a test: reach")
    assert str(refused.value).startswith("measures.yaml of a test: reach: ")
    assert str(refused.value).isprintable()


def test_own_measures_by_part_are_refused() -> None:
    older = {"measures": {"tempo": {"reach": REACH}}}
    with pytest.raises(BadInputError, match="tempo: declarations belong in `measures`"):
        check_own_tables(lambda name: older.get(name, {}), other_tables=[], package="x")


def test_two_numbers_of_one_name_are_refused() -> None:
    with pytest.raises(
        BadInputError, match="own and knee_flexion both have a number called knee_flexion"
    ):
        check_unique(
            {"knee_flexion": ANGLE, "own": REACH | {"kinds": {"median": "knee_flexion"}}},
            "bottom",
            "exercise.yaml",
        )
    with pytest.raises(BadInputError, match="knee_flexion_peak; rename the measure or the moment"):
        check_unique({"knee_flexion": ANGLE}, "peak", "exercise.yaml")
    check_unique({"knee_flexion": ANGLE, "reach": REACH}, "top", "exercise.yaml")
