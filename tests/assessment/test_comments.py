from __future__ import annotations

import re

import numpy as np
import pytest
import xarray as xr

from mobility import tables
from mobility.assessment.comments import KEYS, advise, comments, recommendations
from mobility.assessment.criteria import fms_deep_squat
from mobility.assessment.findings import LEVELS, Finding
from mobility.assessment.number import Number
from mobility.base.provenance import with_history
from mobility.errors import BadInputError

TABLE = tables.load("advice")
RULES = tables.load("findings")["rules"]
by_exercise = pytest.mark.parametrize("name", TABLE["exercises"])


def finding(rule: str, status: str = "found", side: str = "") -> Finding:
    return Finding(
        id=rule,
        metric=RULES[rule]["metric"],
        group=RULES[rule]["group"],
        number=Number(1.0, units=RULES[rule]["unit"], side=side),
        interval=(0.0, 2.0),
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


NOTICE = tables.load("advice")["notice"]["text"]


def metrics() -> xr.Dataset:
    """Knees that bend too little and a left foot unlike the right one; depth is open."""
    degree = {"units": "degree"}
    values = {
        "hip_flexion": [125.0, 126.0],
        "knee_flexion": [100.0, 101.0],
        "ankle_dorsiflexion": [20.0, 36.0],
        "thigh_elevation": [0.5, -0.5],
    }
    data: dict[str, object] = {"accepted_repetitions": 5}
    for name, value in values.items():
        data[name] = ("side", value, degree)
        data[f"{name}_sd"] = ("side", [2.0, 2.0], degree)
    data["ankle_dorsiflexion_asymmetry"] = ((), 16.0, degree)
    data["ankle_dorsiflexion_asymmetry_sd"] = ((), 2.8, degree)
    data["hip_abduction"] = (
        "side",
        [np.nan, np.nan],
        {**degree, "note": tables.sentence("reasons.side_view")},
    )
    data["stance_width_m"] = ((), 0.381, {"units": "m"})
    data["stance_width_m_sd"] = ((), 0.01, {"units": "m"})
    data["stance_width"] = ((), 1.1, {"units": "1"})
    return xr.Dataset(data, coords={"side": ["left", "right"]})


@pytest.mark.parametrize("level", LEVELS)
def test_every_group_has_a_comment_and_the_whole_has_one(level):
    data = metrics()
    before = data.copy(deep=True)
    texts = comments(data, name="Ann", level=level)
    assert texts == comments(before, name="Ann", level=level)
    assert data.identical(before)
    assert tuple(texts) == KEYS
    assert texts["final_summary"].endswith(NOTICE)
    for text in texts.values():
        assert text.startswith("Ann")
        assert not any(word in text for word in ("{", "}", "nan", "None", "certainty"))
        assert "95 %" in text.splitlines()[0]
    assert all(text[0].isupper() for text in comments(data, level=level).values())
    # A name is no template.
    for say in (comments, recommendations):
        texts = say(data, name="{measured} {0}", level=level)
        assert all(text.startswith("{measured} {0}") for text in texts.values())


def test_statements_stand_under_the_heading_of_their_status():
    texts = comments(metrics(), name="Ann")
    # 100 and 101 ± 1.96 x 2 degrees.
    assert "left 100° (96 to 104°) and right 101° (97 to 105°)" in texts["knee_flexion"]
    lines = dict(
        re.split(r"[.:] ", line, maxsplit=1)
        for line in texts["ankle_dorsiflexion"].splitlines()[1:]
    )
    assert (
        "Your ankle does not bend far enough for a full squat (30° or more): left 20°"
        in lines["Outside target"]
    )
    assert "Your right ankle bends more than the other, by 16°" in lines["Outside target"]
    assert "right 36°" in lines["Met"]
    assert "This recording cannot show whether your heel stays on the floor" in lines["Not decided"]
    assert "Calf stretch against the wall, 4 sets of 30 s on each side" in lines["Exercises"]
    for group in ("hip_flexion", "hip_abduction"):  # numbers without a check
        assert texts[group].count("\n") == 0


def test_a_squat_without_raised_arms_is_said_to_be_none():
    note = tables.warning("warnings.hands_not_overhead", looks="", exercise="squat")
    data = metrics().assign(arm_fall=30.0, arm_fall_sd=2.0)
    data = data.merge(fms_deep_squat(data), combine_attrs="override")
    hanging = with_history(data, "overhead_squat", {}, warnings=[note])
    for each, is_one in ((data, True), (hanging, False)):
        text = comments(each)["final_summary"]
        assert ("No overhead squat found. The hands are" in text) is not is_one
        assert ("FMS deep squat: " in text) is is_one
        assert ("arms fall" in text.lower()) is is_one
        assert "knee flexion below 120°" in text
    for text in recommendations(hanging).values():
        assert text.splitlines()[1].startswith("No overhead squat found. The hands are not")


def test_where_no_squat_was_found_or_nothing_measured_nothing_is_found_or_advised():
    note = tables.warning("warnings.no_repetition", reason="the hips are never lowered enough")
    data = with_history(metrics(), "find_repetitions", {}, warnings=[note])
    words = ("Outside target", "Met.", "Borderline", "Exercises:")
    for text in (*comments(data).values(), *recommendations(data).values()):
        assert not any(word in text for word in (*words, "Not decided"))
        assert "the hips are never lowered enough" in text.lower()
    for text in comments(xr.Dataset(coords={"side": ["left", "right"]})).values():
        assert not any(word in text for word in words)


def test_bad_options_are_refused_with_the_likely_spelling():
    with pytest.raises(BadInputError, match="system"):
        comments(metrics(), system="imperal")
    with pytest.raises(BadInputError, match="did you mean 'level'"):
        comments(metrics(), levl="participant")
