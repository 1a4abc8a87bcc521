"""First page, scores and groups of the report: what they show is what the Dataset holds."""

from __future__ import annotations

import datetime
import re
from dataclasses import replace

import analytic
import hand_made
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from demo_sessions import record

from mobility import tables
from mobility.assessment.advice import advise
from mobility.assessment.comments import comments
from mobility.assessment.findings import Finding, excess, find, label, say
from mobility.assessment.indices import mobility_index, quality_index
from mobility.assessment.verdict import LEVELS, headline, judge
from mobility.documents.verdicts import in_lines
from mobility.provenance import Warned
from mobility.reports import cohort_sections, first_page, gauges, groups, scores, sections
from mobility.reports.references import References
from mobility.sessions.record import Participant, verdict_in_words
from mobility.store import Store
from mobility.wording import capital

SIDES = ["left", "right"]


def metrics(**changed: object) -> xr.Dataset:
    """Metrics of the mobility index, of known values: 60, 120 and 15 degrees."""
    data = xr.Dataset(coords={"side": SIDES})
    known = {"hip_flexion": 60.0, "knee_flexion": 120.0, "ankle_dorsiflexion": 15.0}
    for name, value in known.items():
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
    return replace(next(f for f in find(metrics()) if f.rule == rule), **changed)


def text(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def squat(**changed: object) -> xr.Dataset:
    data = hand_made.metrics_of(changed)
    return data.assign({**mobility_index(data).data_vars, **quality_index(data).data_vars})


def test_the_index_shown_is_that_of_the_dataset_with_its_scale_and_parts() -> None:
    def table(data: xr.Dataset, name: str = "mobility_index") -> str:
        return text(scores.index_table(data, name, References()))

    data = squat(thigh_elevation=((10.0, -5.0), (0.01, 0.01)))
    shown = table(data)
    assert ": 60 , 95 % interval 60 to 60." in shown
    assert all(line in shown for line in tables.load("indices")["scale"]["lines"])
    (gauge, _) = gauges.of_indices(data)
    assert gauge.values[""][0] == pytest.approx(60, abs=0.5)
    parts = table(data, "quality_index")
    assert re.search(r"Depth \[ 1 \] 10° \(10 to 10°\) at most 0° 60", parts)
    assert "that of the worst part" in parts
    older = data.assign(mobility_index=data["mobility_index"].assign_attrs(version="0"))
    assert len(gauges.of_indices(older)) == 1
    assert "its definition is older" in table(older)
    # One that is refused says why, and shows no number.
    refused = squat(thigh_elevation=((np.nan, np.nan), (np.nan, np.nan)))
    assert not gauges.of_indices(refused)
    told = table(refused)
    assert "No index is given: depth cannot be told, because it is not seen well enough." in told
    assert "nan" not in told.lower()
    assert not gauges.of_indices(xr.Dataset())


def test_findings_come_by_size_and_certainty() -> None:
    # A tenth of a degree that is certain, 30 of 120 that are likely; the ankle lies between.
    trivial, between, large = (
        finding(
            rule,
            **{"status": "found", "value": value, "probability": 0.9},
            interval=(value - half, value + half),
        )
        for rule, value, half in (
            ("heel_rise", 4.1, 0.01),
            ("ankle_dorsiflexion_limited", 25.0, 2.0),
            ("knee_flexion_limited", 90.0, 40.0),
        )
    )
    shown = text(first_page.main_findings([trivial, between, large], judge([])))
    assert shown.index("knee") < shown.index("ankle") < shown.index("heel")


def test_page_and_document_have_the_same_exercises_the_first_for_the_largest_finding() -> None:
    """The table begins with the calf, whatever was found."""
    given = {"arm_fall": (50.0, 4.0), "ankle_dorsiflexion": ((27.0, 27.0), (1.0, 1.0))}
    findings = find(hand_made.metrics_of(given))
    for shown in (
        text(groups.exercises_in_short(findings)),
        text(groups.what_to_do(findings, References())),
    ):
        assert "upper back" in shown
        assert "alf stretch" not in shown.split("upper back")[0]
    given["knee_flexion"] = ((80.0, 80.0), (1.0, 1.0))
    data = hand_made.metrics_of(given)
    findings = find(data)
    names = [capital(work.name) for work in advise(findings)]
    assert len(names) > 4
    short = groups.exercises_in_short(findings, most=2)
    assert re.findall(r"<li>([^:]*)(?::[^<]*)?</li>", short) == [
        *names[:2],
        f"{len(names) - 2} more in the full list of exercises.",
    ]
    page = text(groups.what_to_do(findings, References()))
    for told in (page, comments(data)["final_summary"]):
        places = [told.index(name) for name in names]
        assert places == sorted(places)


def test_each_cell_of_a_narrow_page_has_the_head_of_its_own_column() -> None:
    wide = "<td colspan='2'>cannot be told</td>"
    rows = [["a", wide, "<td class='ok'>ok</td>", "", "longer than the head"]]
    (row,) = re.findall(
        "<tbody><tr>(.*)</tr>", sections.table(["A", "B", "C", "D", "E"], rows, caption="x")
    )
    cell = "<td data-head='D' class='ok'>ok</td><td></td><td>longer than the head</td>"
    assert row == f"<th scope='row'>a</th>{wide}{cell}"
    # Why a side is missing is said once.
    data = squat(knee_flexion=((np.nan, 110.0), (np.nan, 3.0)))
    left, right, difference = sections.cells_of_sides(data, "knee_flexion", repetitions())
    assert "not measured" in left
    assert (right[:3], difference) == ("110", "–")


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
    for rule, given, known in (
        ("dowel_not_over_feet", {"dowel_offset": (-0.9, 0.0)}, (0.9 - 0.5) / 0.5),
        ("knee_flexion_varies", {"knee_flexion_variability": ((8.0, 8.0), nan)}, (8 - 3) / 10),
    ):
        one = next(each for each in find(hand_made.metrics_of(given)) if each.rule == rule)
        assert excess(one) == pytest.approx(known)
    assert all(np.isfinite(excess(each)) for each in find(hand_made.metrics_of()))


def test_a_first_page_counts_the_findings_that_it_does_not_name() -> None:
    rules = list(dict.fromkeys(each.rule for each in whole_squat()))
    for count, more in ((3, False), (5, True)):
        faults = whole_squat(**dict.fromkeys(rules[:count], "found"))
        shown = first_page.main_findings(faults, judge([]))
        assert shown.count("<li>") == 3
        assert ("2 more under Findings." in text(shown)) is more


def test_all_that_cannot_be_told_is_named_below_its_reason() -> None:
    known = find(metrics())
    notes = ("it is dark", "it is dark", "a <b> camera", "it is damp", "it is cold")
    reasons = dict(zip(dict.fromkeys(f.rule for f in known), notes, strict=False))
    unknown = [
        replace(each, status="cannot be told", probability=None, reason=reasons[each.rule])
        for each in known
        if each.rule in reasons
    ]
    close = [finding("knee_flexion_limited", status="cannot be told", probability=0.5)]
    unseen = {"compensation_probability": ((), 0.0, {"not_assessed": '{"low_back_arches": "?"}'})}
    short = first_page.cannot_be_told([*unknown, *close], xr.Dataset(unseen))
    assert short.count("<li>") == len(set(notes)) + 2
    assert text(short).startswith("Because it is dark: ")  # what keeps most from being told
    assert "Because a &lt;b&gt; camera: " in short
    assert "Too close to their limits" in short
    assert all(label(each).lower() in text(short).lower() for each in unknown)
    nothing = find(hand_made.metrics_of(dict.fromkeys(hand_made.GOOD)))
    shown = text(first_page.cannot_be_told(nothing, xr.Dataset()))
    assert shown.startswith("Because it was not measured: difference between the sides in hip")
    assert shown.count(";") == len({each.rule for each in nothing}) - 1
    assert "Every check gave a result" in first_page.cannot_be_told([], xr.Dataset())


EXPECTED = tables.load("findings")["expected"]["parts"]


def whole_squat(**changed: str) -> list[Finding]:
    """Findings of a squat without a fault, some with another status: by rule, or rule and side."""
    return [
        replace(f, status=changed.get(f.id, changed.get(f.rule, "not found")), reason="dark")
        for f in find(hand_made.metrics_of())
    ]


def test_without_findings_the_page_says_whether_all_could_be_judged() -> None:
    assert first_page.main_findings(whole_squat(), judge([])) == "<p>No fault was found.</p>"
    some = whole_squat(hip_flexion_asymmetry="cannot be told")
    shown = first_page.main_findings(some, judge([]))
    assert text(shown) == "No fault was found in what could be judged."


def test_the_first_page_names_what_could_not_be_judged() -> None:
    """With or without a fault; of one side only that side; what the verdict rules out too."""
    untold = dict.fromkeys(("arms_fall_forward", "heel_rise_left"), "cannot be told")
    shown = text(first_page.main_findings(whole_squat(**untold), judge([])))
    assert shown.endswith("Could not be judged: heels (left), arms.")
    fault = whole_squat(**untold, knee_flexion_limited="found")
    shown = text(first_page.main_findings(fault, judge([])))
    assert "Your knee bend is less" in shown
    assert shown.endswith("Could not be judged: heels (left), arms.")
    hanging = judge([Warned(code="hands_not_overhead", message="No overhead squat.")])
    shown = text(first_page.main_findings(hanging.keep(whole_squat()), hanging))
    assert shown.startswith("No fault was found in what could be judged.")
    assert shown.endswith("Could not be judged: arms, hands over the feet.")
    assert first_page.not_judged(whole_squat()) == []
    nothing = whole_squat(**dict.fromkeys(EXPECTED, "cannot be told"))
    assert first_page.not_judged(nothing) == list(EXPECTED.values())


def test_of_a_hidden_side_nothing_is_named_but_that_it_is_hidden() -> None:
    data = hand_made.metrics_of(hidden_side="right")
    sided = [name for name, each in data.data_vars.items() if "side" in each.dims]
    data = data.assign({n: data[n].where(data["side"] == "left") for n in sided})
    findings = find(data)
    assert {f.side for f in findings if f.hidden} == {"right"}
    assert not [part for part in first_page.not_judged(findings) if "(" in part]
    told = text(first_page.cannot_be_told(findings, data))
    assert told.count("the right side is hidden behind the left one") == 1
    assert "right side is hidden" in sections.cell(
        data, "knee_flexion", repetitions(), side="right"
    )


@pytest.mark.parametrize(
    ("heading", "shows"),
    [
        (5.0, "From the front it is less certain how far"),
        (-40.0, "From 40° to the left, left-right differences are less certain."),
        (62.0, "to the right, the left leg, the knees over the feet"),
        (-100.0, "to the left, the right leg, the knees over the feet"),
        (140.0, "From 140° to the right, behind the person, the knees over the feet"),
        (-176.0, "From behind the feet"),
    ],
)
def test_the_first_page_says_what_the_view_hides(squat_pose, heading, shows) -> None:
    pose = analytic.fitted(squat_pose(reps=1, fps=10, heading=heading).pose)
    assert shows in text(first_page.what_the_view_hides(pose, judge([])))
    nothing = judge([Warned("no_squat", "", {"joints": "left knee"})])
    assert first_page.what_the_view_hides(pose, nothing) == ""


def test_a_fault_of_the_recording_stands_in_the_verdict_and_in_the_table() -> None:
    quality = {"rate": {"frame_rate": 5.0, "verdict": "poor", "advice": "mend it"}}
    shown = text(first_page.trust(judge([], quality)))
    assert "Recording with limits" in shown
    assert "mend it" in shown
    assert "poor mend it" in text(sections.capture_quality(quality))
    for sd, said in (0.3, "3.7 m ± 0.6 m (fitted"), (0.01, "3.7 m (fitted"):  # no error of nothing
        distance = {"distance_m": 3.7, "distance_sd_m": sd, "known_from": "fitted body"}
        quality = {"distance": {**distance, "verdict": "ok", "advice": None}}
        assert said in text(sections.capture_quality(quality))


def test_values_that_are_left_out_are_one_line_for_all_angles() -> None:
    def refused(angle: str, share: float, limit: str) -> Warned:
        told = {"name": angle, "angle": capital(angle), "share": share, "limit": limit}
        return Warned(**tables.warning("warnings.angle_refused", **told))

    other = Warned("moving_camera", "The camera moved.")
    knee, hip = refused("knee flexion", 0.4, "± 29°"), refused("hip flexion", 0.16, "± 29°")
    lean = refused("trunk lean", 0.07, "± 20°")
    assert in_lines([knee, other, hip, lean]) == [
        "Of these angles, values are left out because their error is too large (above ± 29°: "
        "knee flexion 40 %, hip flexion 16 %; above ± 20°: trunk lean 7 %).",
        "The camera moved.",
    ]
    assert in_lines([other, knee]) == ["The camera moved.", knee.message]
    older = Warned("angle_refused", "Knee: left out.")  # of code that kept no values
    assert in_lines([older, other]) == ["Knee: left out.", "The camera moved."]
    shown = sections.distrust([knee, other, hip], xr.Dataset(), standing="One camera.")
    assert shown.count("<li>") == 2


def test_what_a_verdict_rules_out_is_absent_with_one_sentence_why() -> None:
    demo = Store("absent").demo("Overhead Squat")
    metrics, findings = demo.metrics(), find(demo.metrics())
    good = {"light": {"verdict": "ok", "advice": None}}
    hanging = judge([Warned(code="hands_not_overhead", message="No <overhead> squat.")], good)
    assert text(first_page.absent(hanging, "indices", "fms")) == (
        "Indices and the score of the deep squat are not given: the hands are not held "
        "above the head."
    )
    assert "Arms fall" not in text(scores.compensation_table(metrics, References(), hanging))
    assert "Arms fall" in text(scores.compensation_table(metrics, References(), judge([], good)))
    moved = [Warned("no_squat", "", {"joints": "left <joint>"})]
    nothing = judge(moved, good)
    page = first_page.findings_and_exercises(nothing.keep(findings), nothing, most=2)
    assert text(page) == "Findings and exercises are not given."  # why stands in the verdict
    shown = first_page.main_findings(nothing.keep(findings), nothing)
    assert text(shown) == "Findings are not given: a joint moves (left &lt;joint&gt;)."
    assert "No overhead squat found." in first_page.trust(nothing)


def test_a_session_in_short_is_what_its_report_says(monkeypatch) -> None:
    squat, joints = (
        Store("absent").demo(exercise) for exercise in ("Overhead Squat", "Joint Angle Mobility")
    )
    found, careful = first_page.in_short(squat)
    faults = dict.fromkeys(label(f) for f in find(squat.metrics()) if f.status == "found")
    told = "; ".join(faults) or "none that could be told"
    said = re.sub(r" \((?:left|right)\)", "", found)
    assert said == f"repetitions: 3 accepted of 3 found; faults: {told}"
    # Count and reason are those of the page, in one sentence.
    verdict = first_page.verdict_of(squat)
    assert careful == verdict.said
    assert careful in text(first_page.trust(verdict))
    assert re.match(r"Good recording: \d+ of \d+ checks gave a result", careful)
    found, careful = first_page.in_short(joints)
    one = joints.metrics().sel(side="left", joint="shoulder")
    end, half = float(one["end_of_range"]), 1.96 * float(one["end_of_range_sd"])
    told = f"left shoulder flexion {end:.0f}° ± {half:.0f}°"
    # The error of the elbow is too large.
    unknown = "left elbow flexion (how far cannot be told)"
    assert found == f"movements: 3 accepted of 3 found; {told}; {unknown}"
    assert careful == "Good recording."
    # A fault of one side is named with it.
    for left, right, side in ((10.0, 40.0, " (left)"), (40.0, 10.0, " (right)"), (10.0, 10.0, "")):
        made = hand_made.metrics_of({"ankle_dorsiflexion": ((left, right), (1.0, 1.0))})
        findings = [f for f in find(made) if f.rule.startswith("ankle_dorsiflexion_")]
        monkeypatch.setattr(first_page, "find", lambda _, findings=findings: findings)
        found, _ = first_page.in_short(squat)
        assert found.endswith(f"faults: ankle dorsiflexion below 30°{side}")


def test_a_probability_is_never_a_certainty_and_four_repetitions_have_no_spread() -> None:
    assert scores.probability(1.0) == "&gt; 0.99"
    assert scores.probability(1e-9) == "&lt; 0.01"
    assert scores.probability(np.nan) == "–"
    assert "from 5 accepted" in groups.spread_table(metrics(), repetitions(4))
    kinds = ("variability", "curve_variability")
    spread = {f"knee_flexion_{kind}": ("side", [1.5, 2.5]) for kind in kinds}
    assert "1.5/2.5" in groups.spread_table(metrics().assign(spread), repetitions(5))
    assert "No repetition" in groups.tempo_table(metrics(), repetitions(0), References(), judge([]))


def test_papers_are_numbered_once_whatever_stands_around_them() -> None:
    references = References()
    cook = "Cook et al. 2014, Int J Sports Phys Ther 9:396"
    for source, numbers in (
        (f"Choice: 5 degrees ({cook}); a choice of <this>", "[ 1 ]"),
        (f"Axes after Wu et al. 2002 (J Biomech 35:543), as in {cook}", "[ 1 , 2 ]"),
        ("Grood and Suntay 1983, J Biomech Eng 105:136", "[ 3 ]"),
        ("Grood & Suntay 1983 (J Biomech Eng 105:136)", "[ 3 ]"),
        ("Cook, Burton, Hoogenboom, Voight 2014, Int J Sports Phys Ther 9:396", "[ 1 ]"),
        ("A handbook <1965>", "[ 4 ]"),
    ):
        assert text(references.cite(source)) == numbers
    # What is no literature has no number.
    assert references.cite("", "–", "Choice of this package: 3 degrees.") == ""
    listed = references.listed()
    assert listed.count("<li") == 4
    assert "<li id='ref-2'>Wu et al. 2002, J Biomech 35:543</li>" in listed
    assert "&lt;1965&gt;" in listed


def test_published_ranges_are_those_of_sex_and_age() -> None:
    def of(birth_year: int | None, *angles: str) -> tuple[str, str]:
        person = Participant(user_id="p", sex="male", birth_year=birth_year)
        ranges = groups.published_ranges(list(angles), person, record(), References())
        return text(ranges), sections.person(person, record())

    # 44 or 45 years: on the border of two groups.
    for birth_year, shown in (1996, "138°"), (1981, "133° to 138°"):
        assert f"Knee flexion [ 1 ] {shown}" in of(birth_year, "knee_flexion")[0]
    # An ankle that carries the body goes farther than one that an examiner moves.
    assert "41° (SD 5°), under the body" in of(1996, "ankle_dorsiflexion")[0]
    assert "No published range" in of(1996, "trunk_lean")[0]
    # A stored birth year that cannot be right gives no age.
    for birth_year in (1900, 2091):
        assert of(birth_year, "knee_flexion") == of(None, "knee_flexion")
    newborn = Participant(user_id="p", birth_year=record().created_at.year)
    assert sections.person(newborn, record()) == "p, 0 years"


def test_smoothness_that_is_ruled_out_is_in_no_table() -> None:
    """The camera moved, and what shook is not the person."""
    demo = Store("absent").demo("Overhead Squat")
    given = demo.metrics(), demo.repetitions(), References()
    moved = judge([], {"camera": {"verdict": "poor", "advice": "Put the camera on a stand."}})
    page = text(groups.tempo_table(*given, moved))
    assert "Values of smoothness are not given: the camera moved." in page
    assert "SPARC down" not in page
    assert "over the accepted" not in page
    assert "SPARC down" in groups.tempo_table(*given, judge([]))


def test_findings_are_listed_by_what_is_told_of_them() -> None:
    findings = find(metrics(knee_flexion=[90.0, 90.0]))
    shown = text(groups.in_detail(findings, References()))
    found, _, not_found = shown.partition("Not found")
    for each in findings:
        both = [f for f in findings if (f.rule, f.status) == (each.rule, each.status)]
        told = text(say(both, "professional")) if each.status != "cannot be told" else ""
        assert told in (found if each.status == "found" else not_found), each.id
    assert "Knee flexion at the bottom below 120°" in found


def test_curves_are_shown_of_what_was_measured_only() -> None:
    time = np.arange(0, 6, 0.05)
    angles = xr.Dataset(coords={"time": time, "side": SIDES})
    for name in ("hip_flexion", "knee_flexion"):
        values = np.repeat(50 * (1 - np.cos(np.pi * time))[:, None], 2, axis=1)
        angles[name] = (("time", "side"), values, {"units": "degree", "long_name": name})
    found = repetitions(3)
    found["complete"] = found["accepted"]
    for name, shift in (("start", 0.0), ("bottom", 1.0), ("end", 2.0)):
        found[name] = ("rep", 2.0 * np.arange(3) + shift)
    refused = metrics(hip_flexion=[np.nan, np.nan])
    shown = groups.curves(angles, found, refused, ["hip_flexion", "knee_flexion"])
    assert shown.count("<img") == 1
    assert "Knee flexion over the course of a repetition" in shown
    assert groups.curves(angles, found, refused, ["hip_flexion"]) == ""


def test_a_verdict_has_one_wording_on_the_page_in_lists_and_in_tables() -> None:
    row = {"session_id": "s1", "user_id": "p", "date": datetime.datetime(2026, 1, 2), "reason": ""}
    row |= {"view": "front", "repetitions": 3}
    for exercise in ("Overhead Squat", "Joint Angle Mobility"):
        for level in LEVELS:
            words = verdict_in_words(level, exercise)
            assert headline(level, joints=exercise != "Overhead Squat") == f"{capital(words)}."
            rows = pd.DataFrame([row | {"recording": level, "exercise": exercise}])
            assert f">{words}</td>" in cohort_sections.session_table(rows)
