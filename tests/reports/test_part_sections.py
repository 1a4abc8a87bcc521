"""First page, scores and groups of the report: what they show is what the Dataset holds."""

from __future__ import annotations

import re
from dataclasses import replace

import hand_made
import numpy as np
import pytest
import xarray as xr
from demo_sessions import record
from read_pages import text_of

from mobility import tables
from mobility.assessment.comments import advise, comments
from mobility.assessment.criteria import fms_deep_squat
from mobility.assessment.findings import (
    Finding,
    all_rules,
    excess,
    find,
    in_place,
    label,
    say,
    surer_views,
)
from mobility.assessment.indices import mobility_index, quality_index
from mobility.assessment.number import GROSS
from mobility.assessment.verdict import judge
from mobility.base.formatting import capital, listed
from mobility.base.provenance import AnalysisWarning
from mobility.catalogue.registry import exercise
from mobility.documents.fill import check_rows
from mobility.exercises.repeated import page
from mobility.reports import first_page, gauges, part_sections, recording, scores, values
from mobility.reports import recording as recording_checks
from mobility.reports.origin import References
from mobility.sessions.record import Participant
from mobility.store import Store

SIDES = ["left", "right"]
SQUAT = exercise("Overhead Squat")
CHECKPOINTS = {
    name: rule["checkpoint"]["name"]
    for name, rule in in_place(SQUAT).items()
    if "checkpoint" in rule
}


def metrics(**changed: object) -> xr.Dataset:
    """Metrics of the mobility index, of known values: 60, 120 and 15 degrees."""
    data = xr.Dataset(coords={"side": SIDES})
    values = {"hip_flexion": 60.0, "knee_flexion": 120.0, "ankle_dorsiflexion": 15.0}
    for name, value in values.items():
        given = changed.get(name, [value, value])
        data[name] = ("side", np.asarray(given, float), {"units": "degree", "long_name": name})
        data[f"{name}_sd"] = ("side", [2.0, 2.0], {"units": "degree"})
    data["accepted_repetitions"] = 3
    index = mobility_index(data)
    return data.assign({**index.data_vars, **quality_index(data).data_vars})


def repetitions(count: int = 3) -> xr.Dataset:
    return xr.Dataset(
        {"accepted": ("rep", [True] * count)}, coords={"rep": np.arange(1, count + 1)}
    )


def finding(rule: str = "knee_flexion_limited", **changed: object) -> Finding:
    made = next(f for f in find(metrics()) if f.rule == rule)
    if "value" in changed:
        value = changed.pop("value")
        number = replace(made.number, value=np.nan if value is None else value)
        made = replace(made, number=number)
    return replace(made, **changed)


def squat(**changed: object) -> xr.Dataset:
    data = hand_made.metrics_of(changed)
    return data.assign({**mobility_index(data).data_vars, **quality_index(data).data_vars})


def test_the_index_shown_is_that_of_the_dataset_with_its_scale_and_parts() -> None:
    def table(data: xr.Dataset, name: str = "mobility_index") -> str:
        return text_of(scores.index_table(data, name, References()))

    data = squat(thigh_elevation=((10.0, -5.0), (0.01, 0.01)))
    shown = table(data)
    assert ": 60 , 95 % interval 60 to 60." in shown
    assert all(line in shown for line in tables.load("indices")["scale"]["lines"])
    (gauge, _) = gauges.of_indices(data)
    assert gauge.values[""].value == pytest.approx(60, abs=0.5)
    parts = table(data, "quality_index")
    assert re.search(r"Depth \[ 1 \] 10° \(10 to 10°\) at most 0° 60", parts)
    assert "is the score of its worst part" in parts
    # One that is refused says why, and shows no number.
    refused = squat(thigh_elevation=((np.nan, np.nan), (np.nan, np.nan)))
    assert not gauges.of_indices(refused)
    html = table(refused)
    assert (
        "The index is not reported: depth cannot be judged, because it is not visible enough."
        in html
    )
    assert "nan" not in html.lower()
    assert not gauges.of_indices(xr.Dataset())


def test_page_and_document_have_the_same_exercises_the_first_for_the_largest_finding() -> None:
    """The table begins with the calf, whatever was found."""
    given = {"arm_fall": (50.0, 4.0), "ankle_dorsiflexion": ((27.0, 27.0), (1.0, 1.0))}
    findings = find(hand_made.metrics_of(given))
    for shown in (
        text_of(part_sections.exercises_in_short(findings)),
        text_of(part_sections.what_to_do(findings, References())),
    ):
        assert "upper back" in shown
        assert "alf stretch" not in shown.split("upper back")[0]
    given["knee_flexion"] = ((80.0, 80.0), (1.0, 1.0))
    data = hand_made.metrics_of(given)
    findings = find(data)
    names = [capital(work.name) for work in advise(findings)]
    assert len(names) > 4
    short = part_sections.exercises_in_short(findings, most=2)
    assert re.findall(r"<li>([^:]*)(?::[^<]*)?</li>", short) == [
        *names[:2],
        f"{len(names) - 2} more in the section Exercises.",
    ]
    page = text_of(part_sections.what_to_do(findings, References()))
    for content in (page, comments(data)["final_summary"]):
        places = [content.index(name) for name in names]
        assert places == sorted(places)


def test_the_largest_finding_comes_first() -> None:
    trivial, large = (
        finding(
            rule,
            status="found",
            result="outside",
            value=value,
            probability=0.9,
            interval=(value - half, value + half),
        )
        for rule, value, half in (("heel_rise", 4.1, 0.01), ("knee_flexion_limited", 90.0, 40.0))
    )
    shown = text_of(first_page.main_findings([trivial, large], judge([])))
    assert shown.index("knee") < shown.index("heel")


def test_the_expected_excess_is_that_of_draws() -> None:
    limited = finding("knee_flexion_limited", value=118.0, interval=(108.2, 127.8))
    drawn = np.random.default_rng(1).normal(118, 5, 400_000)
    expected = np.maximum(120 - drawn, 0).mean() / 10
    assert excess(limited) == pytest.approx(expected, rel=0.01)
    assert excess(finding("knee_flexion_limited", value=None)) == 0
    exact = finding("knee_flexion_limited", value=118.0, interval=(118.0, 118.0))
    assert excess(exact) == pytest.approx(0.2)
    # What lies on either side counts by its magnitude; a spread by itself.
    nan = (np.nan, np.nan)
    for rule, given, by_hand in (
        ("dowel_not_over_feet", {"dowel_offset": (-0.9, 0.0)}, (0.9 - 0.5) / 0.5),
        ("knee_flexion_varies", {"knee_flexion_variability": ((8.0, 8.0), nan)}, (8 - 3) / 10),
    ):
        one = next(each for each in find(hand_made.metrics_of(given)) if each.rule == rule)
        assert excess(one) == pytest.approx(by_hand)
    assert all(np.isfinite(excess(each)) for each in find(hand_made.metrics_of()))


DECIDED = {"found": "outside", "not found": "met", "cannot be told": "inconclusive"}


def whole_squat(**changed: str) -> list[Finding]:
    """Findings of a squat without a fault, some with another status: by rule, or rule and side."""
    statuses = {
        f: changed.get(f.id, changed.get(f.rule, "not found")) for f in find(hand_made.metrics_of())
    }
    return [
        replace(f, status=status, result=DECIDED[status], reason="dark")
        for f, status in statuses.items()
    ]


def test_without_findings_the_page_says_whether_all_have_an_answer() -> None:
    shown = text_of(first_page.main_findings(whole_squat(), judge([])))
    assert (
        shown == f"Nothing is outside its target. Target met: {listed(list(CHECKPOINTS.values()))}."
    )
    some = whole_squat(knee_flexion_asymmetry="cannot be told")
    shown = text_of(first_page.main_findings(some, judge([])))
    assert shown.startswith("No check with a clear result is outside its target.")


def test_what_is_in_order_is_said_of_both_sides_alone() -> None:
    """With or without a fault; what the verdict rules out is not in order."""
    untold = dict.fromkeys(("arms_fall_forward", "heel_rise_left"), "cannot be told")
    fault = whole_squat(**untold, knee_flexion_limited="found")
    shown = text_of(first_page.main_findings(fault, judge([])))
    assert "Your knee does not bend far enough for a full squat (120° or more)" in shown
    in_order = shown.partition("Target met: ")[2]
    assert all(part not in in_order for part in ("heels", "arms", "knee flexion"))
    assert "squat depth" in in_order
    hanging = judge([AnalysisWarning(code="hands_not_overhead", message="No overhead squat.")])
    shown = text_of(first_page.main_findings(hanging.keep(whole_squat()), hanging))
    assert "arms" not in shown
    assert "hands" not in shown
    nothing = whole_squat(**dict.fromkeys(CHECKPOINTS, "cannot be told"))
    assert first_page.in_words(nothing) == ""


def test_what_is_near_its_aim_is_told_and_a_criterion_is_met_where_its_rule_is_reached() -> None:
    data = hand_made.metrics_of({"trunk_tibia_difference": (2.0, 2.0)})
    near = [each for each in find(data) if each.result == "borderline"]
    assert [each.rule for each in near] == ["trunk_leans_forward"]
    assert "Borderline" in text_of(part_sections.in_detail(near, References()))
    assert first_page.not_decided(near, data) == "<p>Every check has a clear result.</p>"
    judged = data.assign(fms_deep_squat(data).data_vars)
    shown = text_of(scores.fms_table(judged, References()))
    assert "probability is at least 0.80, unless its row gives a different threshold" in shown
    assert "above 0°; counts as met only if the probability is at least 0.95" in shown


@pytest.mark.parametrize(
    ("rule", "metric", "view", "good", "bad"),
    [
        ("dowel_not_over_feet", "dowel_offset", "front", (0.0, 0.3), (0.7, 0.5)),
        ("arms_fall_forward", "arm_fall", "front-oblique", (-5.0, 13.0), (20.0, 13.0)),
    ],
)
def test_what_is_likely_but_open_is_said_first_with_the_film_that_tells_more(
    rule, metric, view, good, bad
) -> None:
    """The pages of two people differ, though no check is sure."""
    pages = [
        text_of(first_page.main_findings(find(hand_made.metrics_of({metric: each})), judge([]),
                                      view=view))
        for each in (good, bad)
    ]  # fmt: skip
    checkpoint = all_rules()[rule]["checkpoint"]
    film = first_page.film_in_words(next(iter(surer_views(rule, view))))
    assert pages[1].startswith(f"{capital(checkpoint['may'])}. Film {film} to be sure.")
    assert checkpoint["may"] not in pages[0].lower()
    in_order, _, near = pages[0].partition("Borderline: ")
    assert checkpoint["name"] in in_order + near
    # From a view that no other one clearly betters it says no more; nor beside a fault of the rule.
    findings = find(hand_made.metrics_of({metric: bad}))
    alone = text_of(first_page.main_findings(findings, judge([])))
    assert alone.startswith(f"{capital(checkpoint['may'])}. No check with a")
    certain = [replace(f, result="met") if f.rule == rule else f for f in findings]
    assert checkpoint["may"] not in text_of(first_page.main_findings(certain, judge([]))).lower()


def test_a_gross_lean_is_stated_first_and_named_beside_its_check() -> None:
    """What the picture shows takes the place of what may be."""
    metrics = hand_made.metrics_of({"trunk_tibia_difference": (8.0, 8.0)})
    may = all_rules()["trunk_leans_forward"]["checkpoint"]["may"]
    without = find(metrics)
    assert may in text_of(first_page.main_findings(without, judge([]), view="front")).lower()
    metrics["trunk_tibia_difference"].attrs[GROSS] = "true"
    findings = find(metrics)
    shown = text_of(first_page.main_findings(findings, judge([]), view="front"))
    assert shown.startswith("The video shows that your trunk leans far forward.")
    assert may not in shown.lower()
    lines = text_of(first_page.in_lines(findings, marked={}, view="front"))
    assert "trunk lean past shins (leans far forward)" in lines
    rows = {row["rule"]: row for row in check_rows(findings, judge([]))}
    assert rows["trunk_leans_forward"]["gross"] == "leans far forward"
    assert rows["trunk_leans_forward"]["result"] == "inconclusive"
    assert {row["gross"] for rule, row in rows.items() if rule != "trunk_leans_forward"} == {""}
    assert "(leans" not in text_of(first_page.in_lines(without, marked={}, view="front"))


def test_of_two_sides_the_likely_one_is_named_and_of_many_the_largest() -> None:
    one_knee = {"knee_flexion": ((115.0, 127.0), (5.0, 4.0))}
    shown = text_of(first_page.main_findings(find(hand_made.metrics_of(one_knee)), judge([])))
    assert shown.startswith("The knees may bend too little (left). No check with a")
    many = one_knee | {
        "trunk_tibia_difference": (9.0, 5.0),
        "arm_fall": (25.0, 15.0),
        "heel_rise": ((6.0, 6.0), (4.0, 4.0)),
    }
    shown = text_of(first_page.main_findings(find(hand_made.metrics_of(many)), judge([])))
    assert shown.split(".")[0].lower().count(" may ") == first_page.MOST_LIKELY


def test_of_a_hidden_side_nothing_is_named_but_that_it_is_hidden() -> None:
    data = hand_made.metrics_of(hidden_side="right")
    sided = [name for name, each in data.data_vars.items() if "side" in each.dims]
    data = data.assign({n: data[n].where(data["side"] == "left") for n in sided})
    findings = find(data)
    assert {f.side for f in findings if f.hidden} == {"right"}
    lines = text_of(first_page.in_lines(findings, marked={}, view="side"))
    (named, film) = re.findall(
        r"Not visible from this view: (.*)\. Film (.*?) to see them\.", lines
    )[0]
    assert film.endswith("from the front left or front right")
    assert named.count("(right)") == len([f for f in findings if f.hidden])
    assert "(left)" not in named
    reasons = text_of(first_page.not_decided(findings, data))
    assert reasons.count("the right side is hidden behind the left side") == 1
    assert "right side is hidden" in values.cell(data, "knee_flexion", side="right")


def test_a_fault_of_the_recording_stands_in_the_verdict_and_in_the_table() -> None:
    quality = {"rate": {"frame_rate": 5.0, "verdict": "poor", "advice": "mend it"}}
    shown = text_of(first_page.trust(judge([], quality)))
    assert "Recording with limits" in shown
    assert "mend it" in shown
    assert "poor mend it" in text_of(recording_checks.capture_quality(quality))
    for sd, far in (0.3, "3.7 m ± 0.6 m (fitted"), (0.01, "3.7 m (fitted"):  # no error of nothing
        distance = {"distance_m": 3.7, "distance_sd_m": sd, "known_from": "fitted body"}
        quality = {"distance": {**distance, "verdict": "ok", "advice": None}}
        assert far in text_of(recording_checks.capture_quality(quality))


def test_what_a_verdict_rules_out_is_absent_with_one_sentence_why() -> None:
    demo = Store("absent").demo("Overhead Squat")
    metrics, findings = demo.metrics(), find(demo.metrics())
    good = {"light": {"verdict": "ok", "advice": None}}
    hanging = judge(
        [AnalysisWarning(code="hands_not_overhead", message="No <overhead> squat.")], good
    )
    assert text_of(first_page.absent(hanging, "indices", "fms")) == (
        "Indices and the deep squat score are not reported, because the hands are not held "
        "above the head."
    )
    assert "Arms fall" not in text_of(scores.compensation_table(metrics, References(), hanging))
    assert "Arms fall" in text_of(scores.compensation_table(metrics, References(), judge([], good)))
    moved = [AnalysisWarning("no_squat", "", {"joints": "left <joint>"})]
    nothing = judge(moved, good)
    shown = first_page.findings_and_advice(nothing.keep(findings), nothing, most=2)
    assert text_of(shown).startswith("No findings and no advice")
    shown = first_page.main_findings(nothing.keep(findings), nothing)
    why = "the video shows a joint movement (left &lt;joint&gt;)"
    assert text_of(shown) == f"Findings are not reported, because {why}."
    assert "No overhead squat found." in first_page.trust(nothing)


def test_a_session_in_short_is_what_its_report_says(monkeypatch) -> None:
    squat, joints = (
        Store("absent").demo(exercise) for exercise in ("Overhead Squat", "Joint Angle Mobility")
    )
    summary, careful = first_page.in_short(squat)
    faults = dict.fromkeys(label(f) for f in find(squat.metrics()) if f.status == "found")
    listed = "; ".join(faults) or "nothing that could be judged"
    unsided = re.sub(r" \((?:left|right)\)", "", summary)
    assert unsided == f"repetitions: 3 accepted of 3 found; outside target: {listed}"
    # Count and reason are those of the page, in one sentence.
    verdict = squat.verdict()
    assert careful == verdict.text
    assert careful in text_of(first_page.trust(verdict))
    assert re.fullmatch(r"Good recording\. [A-Z][a-z ]+ have a clear result\.", careful)
    summary, careful = first_page.in_short(joints)
    one = joints.metrics().sel(side="left", joint="shoulder")
    end, half = float(one["end_of_range"]), 1.96 * float(one["end_of_range_sd"])
    reach = f"left shoulder flexion {end:.0f}° ± {half:.0f}°"
    # The error of how far the elbow bends is too large, that of how far it straightens is not.
    elbow = joints.metrics().sel(side="left", joint="elbow")
    end, half = float(elbow["opposite_end"]), 1.96 * float(elbow["opposite_end_sd"])
    straight = f"left elbow extension {end:.0f}° ± {half:.0f}°".replace("-", "−")
    unknown = "left elbow flexion (end of range too uncertain)"
    assert summary == f"movements: 3 accepted of 3 found; {reach}; {unknown}; {straight}"
    assert careful == "Good recording."
    # A fault of one side is named with it.
    for left, right, side in ((10.0, 40.0, " (left)"), (40.0, 10.0, " (right)"), (10.0, 10.0, "")):
        made = hand_made.metrics_of({"ankle_dorsiflexion": ((left, right), (1.0, 1.0))})
        findings = [f for f in find(made) if f.rule.startswith("ankle_dorsiflexion_")]
        monkeypatch.setattr(page, "find", lambda _, findings=findings: findings)
        summary, _ = first_page.in_short(squat)
        assert summary.endswith(f"outside target: ankle dorsiflexion below 30°{side}")


def test_a_difference_of_the_sides_is_told_where_its_interval_excludes_0() -> None:
    def shown(difference: float, sd: float) -> str:
        degree = {"units": "degree", "quantity": "knee_flexion", "kind": "asymmetry"}
        values = {"knee_flexion_asymmetry": difference, "knee_flexion_asymmetry_sd": sd}
        data = metrics().assign({name: ((), value, degree) for name, value in values.items()})
        return text_of(part_sections.symmetry_table(data, References()))

    assert "Knee flexion +8° ± 6° right larger" in shown(8.0, 3.0)
    assert "Knee flexion −8° ± 6° left larger" in shown(-8.0, 3.0)
    for difference, sd in ((8.0, 4.1), (np.nan, 3.0)):
        assert shown(difference, sd) == (
            "No difference between left and right is larger than its margin of error."
        )
    assert "error unknown" in shown(8.0, np.nan)


def test_four_repetitions_have_no_spread() -> None:
    assert "at least 5 accepted" in part_sections.spread_table(metrics(), repetitions(4))
    kinds = ("variability", "curve_variability")
    spread = {f"knee_flexion_{kind}": ("side", [1.5, 2.5]) for kind in kinds}
    assert "1.5/2.5" in part_sections.spread_table(metrics().assign(spread), repetitions(5))
    assert "No repetition" in part_sections.tempo_table(
        metrics(), repetitions(0), References(), judge([])
    )


def test_published_ranges_are_those_of_sex_and_age() -> None:
    def of(birth_year: int | None, *angles: str) -> tuple[str, str]:
        person = Participant(user_id="p", sex="male", birth_year=birth_year)
        ranges = part_sections.published_ranges(list(angles), person, record(), References())
        return text_of(ranges), recording.person(person, record())

    # 44 or 45 years: on the border of two groups.
    for birth_year, shown in (1996, "138°"), (1981, "133° to 138°"):
        assert f"Knee flexion [ 1 ] {shown}" in of(birth_year, "knee_flexion")[0]
    # An ankle that carries the body goes farther than one that an examiner moves.
    assert "41° (SD 5°), under the body" in of(1996, "ankle_dorsiflexion")[0]
    assert "no published range" in of(1996, "trunk_lean")[0]
    # A stored birth year that cannot be right gives no age.
    for birth_year in (1900, 2091):
        assert of(birth_year, "knee_flexion") == of(None, "knee_flexion")
    newborn = Participant(user_id="p", birth_year=record().created_at.year)
    assert recording.person(newborn, record()) == "p, 0 years"


def test_smoothness_that_is_ruled_out_is_in_no_table() -> None:
    """The camera moved, and what shook is not the person."""
    demo = Store("absent").demo("Overhead Squat")
    given = demo.metrics(), demo.repetitions(), References()
    moved = judge([], {"camera": {"verdict": "poor", "advice": "Put the camera on a stand."}})
    page = text_of(part_sections.tempo_table(*given, moved))
    assert "Smoothness values are not reported, because the camera moved." in page
    assert "SPARC down" not in page
    assert "over the accepted" not in page
    assert "SPARC down" in part_sections.tempo_table(*given, judge([]))


def test_findings_are_listed_by_what_is_told_of_them() -> None:
    findings = find(metrics(knee_flexion=[90.0, 90.0]))
    shown = text_of(part_sections.in_detail(findings, References()))
    faults, _, not_found = shown.partition("Not found")
    for each in findings:
        both = [f for f in findings if (f.rule, f.status) == (each.rule, each.status)]
        words = text_of(say(both, "professional")) if each.status != "cannot be told" else ""
        assert words in (faults if each.status == "found" else not_found), each.id
    assert "Knee flexion at the bottom is below 120°" in faults
