from __future__ import annotations

import re

import pytest

from mobility import tables
from mobility.assessment.advice import advise
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
