from __future__ import annotations

import re

import pytest

from mobility import tables
from mobility.assessment.advice import advise, quantity, stature
from mobility.assessment.findings import Finding

TABLE = tables.load("advice")
RULES = tables.load("findings")["rules"]
by_exercise = pytest.mark.parametrize("name", TABLE["exercises"])


def finding(rule: str, status: str = "found", side: str = "") -> Finding:
    return Finding(
        id=rule,
        metric=RULES[rule]["metric"],
        side=side,
        group=RULES[rule]["group"],
        value=1.0,
        interval=(0.0, 2.0),
        units=RULES[rule]["unit"],
        threshold=0.0,
        probability=0.9,
        status=status,
        reason="",
        rule=rule,
        source="a source",
    )


@by_exercise
def test_every_exercise_has_source_dose_and_purpose(name):
    entry = TABLE["exercises"][name]
    assert len(entry["source"]) > 20
    assert entry["kind"] in ("mobility", "strength", "control")
    assert ("seconds" in entry) != ("repetitions" in entry)
    assert entry["sets"] >= 1
    assert 1 <= entry["per_week"] <= 7
    # It is said as "it lets ..."
    assert re.match(r"[a-z]+s ", entry["purpose"])
    assert set(entry["for"]) <= set(RULES)
    if "stretch" in name and name != "calf_stretch_for_the_knee":
        # Garber et al. 2011: 60 s in all for each muscle, on two days or more.
        assert entry["sets"] * entry["seconds"] >= 60
        assert entry["per_week"] >= 2


def test_every_fault_has_work():
    asked = {rule for entry in TABLE["exercises"].values() for rule in entry["for"]}
    assert asked == set(RULES)


def test_only_what_was_found_asks_for_work():
    for status in ("not found", "cannot be told"):
        assert advise([finding("heel_rise", status)]) == ()
    works = advise([finding("heel_rise"), finding("ankle_dorsiflexion_limited", "not found")])
    assert [work.id for work in works] == ["calf_stretch", "heel_raised_squat"]


def test_an_exercise_is_advised_once_for_all_that_needs_it():
    left = finding("ankle_dorsiflexion_limited", side="left")
    works = advise([left, finding("heel_rise", side="left")])
    assert [work.id for work in works].count("calf_stretch") == 1
    assert works[0].dose == "4 sets of 30 s on each side, 5 days a week"
    assert len(works[0].because) == 2


@pytest.mark.parametrize(
    ("value", "units", "system", "text"),
    # One inch is 2.54 cm and one pound 0.45359237 kg, exactly.
    [
        (0.025, "m", "metric", "2.5 cm"),
        (0.0254, "m", "imperial", "1 in"),
        (0.3, "m", "imperial", "12 in"),
        (5, "kg", "metric", "5 kg"),
        (5, "kg", "imperial", "11 lb"),
    ],
)
def test_lengths_and_masses(value, units, system, text):
    assert quantity(value, units, system=system) == text


@pytest.mark.parametrize(
    ("height", "system", "text"),
    # 1.752 m are 68.98 inches; 1.829 m are 72.0: six feet, not five and twelve inches.
    [
        (1.752, "imperial", "5 ft 9 in"),
        (1.829, "imperial", "6 ft 0 in"),
        (1.752, "metric", "175 cm"),
    ],
)
def test_the_height_of_a_person(height, system, text):
    assert stature(height, system=system) == text
