"""The numbers of a first page, and what changed since the last visit."""

from __future__ import annotations

import itertools
import math
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from demo_sessions import taken_as_current

from mobility import tables
from mobility.assessment.findings import find, in_place
from mobility.assessment.number import Number
from mobility.assessment.verdict import judge
from mobility.base.provenance import AnalysisWarning
from mobility.catalogue.registry import exercise_of
from mobility.documents.lab_references import (
    Conditions,
    LabReferences,
    Norm,
    Norms,
    RetestError,
    RetestErrors,
)
from mobility.errors import NotFoundError
from mobility.reports import gauges, html
from mobility.reports.gauges import Gauge
from mobility.reports.page import ReportPage
from mobility.sessions.files import read_json, write_json
from mobility.sessions.record import now
from mobility.store import Store
from mobility.studies import last_visit


def knee(
    left: float,
    half: float = 5.0,
    again: float | None = None,
    lab: tuple[float, str] | None = None,
) -> Gauge:
    sem = math.nan if again is None else again / 1.96
    values = {"left": Number(left, half / 1.96, sem, side="left")}
    return Gauge(
        *("Knee flexion", values, "degree", 120.0, "aim ≥ 120°"),
        lab_retest={} if lab is None else {"left": lab},
    )


def told_least(before: Gauge, now: Gauge, *, same_view: bool) -> float:
    """The smallest change that is told."""
    (change,) = last_visit.changes([before], [now], same_view=same_view)
    return change.least


def metrics_of_demo() -> xr.Dataset:
    """Metrics of the demo, with arms that are surer than its own."""
    metrics = Store("absent").demo("Overhead Squat").metrics()
    arms = {"arm_fall": 35.0, "arm_fall_sd": 5.0}
    return metrics.assign({name: xr.full_like(metrics[name], v) for name, v in arms.items()})


def test_numbers_are_those_of_the_metrics_and_refused_ones_are_left_out() -> None:
    metrics = metrics_of_demo()
    shown = {gauge.name: gauge for gauge in gauges.of_rules(metrics)}
    assert len(shown) == 12
    bend = shown["Knee flexion"]
    assert bend.values["left"].value == float(metrics["knee_flexion"].sel(side="left"))
    assert bend.values["left"].sd == float(metrics["knee_flexion_sd"].sel(side="left"))
    assert (bend.goal, bend.goal_text) == (120.0, "≥ 120°")
    refused = metrics.assign(knee_flexion=xr.full_like(metrics["knee_flexion"], np.nan))
    assert "Knee flexion" not in {gauge.name for gauge in gauges.of_rules(refused)}
    findings = [
        replace(each, result="outside" if each.rule == "arms_fall_forward" else "inconclusive")
        for each in find(metrics)
    ]
    first, *_ = gauges.of_rules(metrics, findings=findings)
    assert first.name == "Arm alignment with trunk"
    kept = gauges.of_rules(metrics, lambda metric: metric != "hip_flexion")
    assert "Hip bend" not in {gauge.name for gauge in kept}


def test_a_recording_that_cannot_be_used_has_no_numbers_on_the_first_page() -> None:
    metrics = metrics_of_demo()
    feet = {"framing": {"verdict": "unusable", "advice": None, "outside": {"feet": 0.9}}}
    assert gauges.of_rules(metrics, judge([], feet).shows) == []
    hanging = judge([AnalysisWarning("hands_not_overhead", "", {"exercise": "squat"})]).shows
    named = {gauge.name for gauge in gauges.of_rules(metrics, hanging)}
    assert "Knee flexion" in named
    assert "Arm alignment with trunk" not in named
    page = ReportPage(Store("absent").demo("Overhead Squat"))
    vars(page).update(metrics=metrics, verdict=judge([], feet))
    assert page.gauges == []


def test_a_target_states_its_unit_and_what_is_positive() -> None:
    """A share of the foot and a direction cannot be read the wrong way round."""
    shown = gauges.of_rules(Store("absent").demo("Overhead Squat").metrics())
    targets = {each.name: each.goal_text for each in shown}
    assert targets["Hand position over feet"] == "within ± 0.50 foot lengths (+ forward)"
    assert targets["Knee position over foot"] == "≤ 10 % (+ inwards)"
    assert targets["Knee flexion"] == "≥ 120°"


def test_an_index_says_of_how_many_parts_it_is_and_has_the_interval_of_its_draws() -> None:
    known = {"mobility_index_sd": 2.0, "mobility_index_coverage": 0.4}
    data = xr.Dataset({"mobility_index": 90.0, **known})
    (index,) = gauges.of_indices(data)
    assert index.goal_text == "of 100, from 40 % of its parts"
    assert (index.values[""].value, index.values[""].half_width) == (90.0, pytest.approx(3.92))
    # Near 0 it is not symmetrical: 3 ± 10 would be less than nothing.
    low = data.assign(
        mobility_index=3.0,
        mobility_index_interval=("bound", [0.0, 17.0]),
        bound=["lower", "upper"],
    )
    shown = gauges.show(gauges.of_indices(low), caption="Numbers")
    assert " (0 to 17)" in shown
    assert "±" not in shown
    assert 'x1="0.0%" x2="17.0%"' in shown


def test_a_bar_has_the_value_its_interval_and_the_goal_where_they_belong() -> None:
    shown = gauges.show([knee(100.0, 20.0)], caption="Numbers")
    # From 80 to 120: 100 is in the middle.
    assert 'cx="50.0%"' in shown
    assert 'x1="0.0%" x2="100.0%"' in shown
    assert '<line class="goal" x1="100.0%"' in shown  # at the end of the interval
    assert "100° " in shown.replace("<span", " <span")
    assert "± 20" in shown
    unknown = gauges.show([knee(100.0, math.nan)], caption="Numbers")
    assert "±" not in unknown
    assert "nan" not in unknown
    assert gauges.show([], caption="Numbers") == ""


def test_of_a_limit_on_both_sides_both_are_drawn() -> None:
    shown = gauges.show(
        [replace(knee(5.0, 2.0), goal=10.0, direction="outside")], caption="Numbers"
    )
    # From -10 to 10: both are at the ends of the bar.
    assert re.findall(r'<line class="goal" x1="([\d.]+)%"', shown) == ["100.0", "0.0"]


@pytest.mark.parametrize(("low", "goal", "high"), [(-1.0, 0.5, 3.0), (-40, 10, 40), (0, 1, 100)])
def test_numbers_below_a_bar_do_not_overlap_and_the_aim_is_among_them(low, goal, high) -> None:
    middle, half = (low + high) / 2, (high - low) / 2
    bar = gauges.show([replace(knee(middle, half), units="1", goal=goal)], caption="Numbers")
    ends = []
    for x, anchor, text in re.findall(
        r'<text x="([\d.]+)%" y="28" text-anchor="(\w+)">([^<]+)<', bar
    ):
        width = 6 * len(text)  # of characters of 6 pixels, on a bar of 90
        left = 0.9 * float(x) - {"start": 0.0, "middle": width / 2, "end": width}[anchor]
        ends.append((left, left + width, text))
    ends.sort()
    assert any(abs(float(text.replace("−", "-")) - goal) < 0.01 for *_, text in ends)
    assert all(before[1] < after[0] for before, after in itertools.pairwise(ends))


def test_near_is_not_green_and_every_answer_has_a_mark_and_a_word() -> None:
    marked = replace(knee(119.0, 8.0), results={"left": "borderline", "right": "outside"})
    shown = gauges.show([marked], caption="Numbers")
    assert '<span class="result borderline soft">≈ borderline</span>' in shown
    outside = gauges.show([replace(marked, results={"left": "outside"})], caption="Numbers")
    assert '<span class="result outside bad">✗ outside target</span>' in outside
    css = (Path(gauges.__file__).parent / "report.css").read_text(encoding="utf-8")
    colours = dict(re.findall(r"\.gauges \.result\.(\w+) \{([^}]*)\}", css))
    entries = tables.load("sentences_results")
    assert set(colours) == {entry["colour"] for entry in entries.values()}
    assert "--good" in colours["good"]
    assert [each for each, entry in entries.items() if entry["colour"] == "good"] == ["met"]


def test_a_change_counts_beyond_the_errors_of_both() -> None:
    pair = [knee(100.0, again=3.0)], [knee(106.0, again=4.0)]
    (one,) = last_visit.changes(*pair, same_view=True)
    assert (one.name, one.change, one.units) == ("Knee flexion, left", 6.0, "degree")
    assert one.least == 5.0  # the root of 3² + 4²
    assert one.whose == "from this program's stated errors"
    unknown = last_visit.changes([knee(100.0, math.nan)], [knee(106.0)], same_view=True)
    assert unknown == []
    assert last_visit.changes([], [knee(106.0, again=4.0)], same_view=True) == []


def test_from_the_same_view_the_errors_are_those_of_measuring_again() -> None:
    before, now = knee(100.0, 30.0, again=3.0), knee(106.0, 40.0, again=4.0)
    assert told_least(before, now, same_view=True) == 5.0
    # From another one the errors of the values count in addition.
    elsewhere = math.hypot(30.0, 40.0, 5.0)
    assert told_least(before, now, same_view=False) == pytest.approx(elsewhere)
    # Without one no change is claimed.
    assert last_visit.changes([knee(100.0, 3.0)], [now], same_view=True) == []


def test_the_error_of_the_lab_goes_before_that_of_the_package() -> None:
    ours, others = "from this lab's study ours with 24 people", "of this lab's 12 people, older"
    before, now = knee(100.0, 30.0, 3.0, (6.0, ours)), knee(106.0, 40.0, 4.0, (8.0, ours))
    (one,) = last_visit.changes([before], [now], same_view=True)
    assert (one.least, one.whose) == (10.0, ours)
    # From another place neither holds, and errors of two studies do not go together.
    (elsewhere,) = last_visit.changes([before], [now], same_view=False)
    assert elsewhere.least == pytest.approx(math.hypot(30.0, 40.0, 5.0))
    assert elsewhere.whose == "from this program's stated errors"
    for other in (knee(100.0, 30.0, 3.0, (6.0, others)), knee(100.0, 30.0, 3.0)):
        (mixed,) = last_visit.changes([other], [now], same_view=True)
        assert (mixed.least, mixed.whose) == (5.0, "from this program's stated errors")


CONDITIONS = Conditions(
    exercise="Overhead Squat", view="side left", method="fitted_body", cameras=1, software="0.1.0"
)


def norm_of(metric: str, people: int = 45, **about: object) -> Norm:
    return Norm.model_validate(
        {
            **{"conditions": CONDITIONS, "metric": metric, "sex": "female", "age": (20, 44)},
            **{"people": people, "mean": 100.0, "sd": 10.0, "units": "degree"},
            "percentiles": [(5, 84.0), (25, 93.0), (50, 100.0), (75, 107.0), (95, 116.0)],
            **about,
        }
    )


def of_lab(*found: Norm | RetestError) -> LabReferences:
    """References of a lab that hold for a woman of 30 years."""
    about = {"name": "ours", "made": now()}
    norms = [each for each in found if isinstance(each, Norm)]
    errors = [each for each in found if isinstance(each, RetestError)]
    kept = [Norms(norms=norms, **about), RetestErrors(errors=errors, **about)]
    return LabReferences(CONDITIONS, kept, sex="female", age=30.0)


def test_norms_of_the_lab_are_drawn_and_named() -> None:
    metrics = metrics_of_demo()
    lab = of_lab(norm_of("knee_flexion"), norm_of("ankle_dorsiflexion", 44))
    numbers = gauges.of_rules(metrics, lab=lab)
    shown = {gauge.name: gauge for gauge in numbers}
    assert shown["Knee flexion"].usual == (84.0, 116.0)
    assert math.isnan(shown["Thigh elevation"].usual[0])
    page = gauges.show(numbers, caption="Numbers")
    of_whom = "the range of 90 % of this lab&#39;s 44 to 45 people, female, 20 to 44 years (ours)"
    assert f"Numbers; shaded: {of_whom}" in page
    assert page.count('class="usual"') == 2
    few = norm_of("knee_flexion", 24, sex=None, age=None, percentiles=[(25, 93), (75, 107)])
    page = gauges.show(gauges.of_rules(metrics, lab=of_lab(few)), caption="Numbers")
    assert "shaded: the range of 50 % of this lab&#39;s 24 people (ours)" in page
    assert "shaded" not in gauges.show(gauges.of_rules(metrics), caption="Numbers")


def test_shares_are_compared_in_percent() -> None:
    metrics = metrics_of_demo()
    (metric,) = [
        rule["metric"]
        for rule in in_place(exercise_of(metrics)).values()
        if rule.get("row") == "Knee position over foot"
    ]
    error = RetestError(
        **{"conditions": CONDITIONS, "metric": metric, "side": "left", "sem": 0.01},
        **{"low": None, "high": None, "participants": 24, "units": "1"},
    )
    share = norm_of(metric, mean=0.1, sd=0.02, percentiles=[(25, 0.09), (75, 0.11)])
    shown = {g.name: g for g in gauges.of_rules(metrics, lab=of_lab(share, error))}
    knee_inside = shown["Knee position over foot"]
    factor = {"percent": 100.0}.get(knee_inside.units, 1.0)
    assert knee_inside.usual == pytest.approx((0.09 * factor, 0.11 * factor))
    half, whose = knee_inside.lab_retest["left"]
    assert half == pytest.approx(1.96 * 0.01 * factor)
    assert whose == "from this lab's study ours with 24 people"


def test_the_detailed_part_has_z_scores_and_percentiles() -> None:
    number = knee(115.0, 5.0)
    page = gauges.own_norms([replace(number, norm=(norm_of("knee_flexion"), "ours"))])
    assert "+1.5" in page
    assert "± 0.5" in page  # of the value's own error
    assert "75th to 95th" in page
    assert "84 to 116°" in page
    assert "45 people, female, 20 to 44 years (ours)" in page
    for value, words in ((120.0, "above the 95th"), (80.0, "below the 5th")):
        beyond = replace(knee(value), norm=(norm_of("knee_flexion", age=(70, None)), "ours"))
        page = gauges.own_norms([beyond])
        assert words in page
        assert "70 years and over" in page
    assert gauges.own_norms([number]) == ""


def test_gauges_have_the_retest_errors_of_the_metrics() -> None:
    metrics = Store("absent").demo("Overhead Squat").metrics()
    sem = xr.DataArray([2.0, 3.0], dims="side", attrs=metrics["knee_flexion"].attrs)
    measured = metrics.assign(knee_flexion_sem=sem)
    shown = {gauge.name: gauge for gauge in gauges.of_rules(measured)}
    sems = [number.sem for number in shown["Knee flexion"].values.values()]
    assert sems == [2.0, 3.0]


def test_the_last_visit_is_the_one_before_of_the_same_person(
    tmp_path: Path, demo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whoever nobody named may be anybody.
    users = dict(
        zip("abcdefg", ["p01", "p01", "p02", "p01", "p01", *["anonymous"] * 2], strict=True)
    )
    store = Store(tmp_path / "store")
    record = read_json(demo / "session.json")
    for day, (name, user) in enumerate(users.items(), start=1):
        shutil.copytree(demo, store.path / name)
        changed = {"session_id": name, "user_id": user}
        if name == "e":  # who has the code of a phone must learn nothing of other visits
            changed["phone_key"] = "0123456789ab"
        changed["created_at"] = f"2026-03-0{day}T10:00:00+00:00"
        changed["session_name"] = f"Visit {name}"
        write_json(store.path / name / "session.json", record | changed)
        taken_as_current(store.session(name))
    before = last_visit.last_visit(store.session("d"))
    assert before is not None
    assert before.id == "b"
    for first in "aeg":
        assert last_visit.last_visit(store.session(first)) is None

    def since(now: list[Gauge], then: list[Gauge], of: str = "d") -> str:
        return last_visit.since_last_visit(store.session(of), now, lambda _: then)

    # Without an error between visits nothing is claimed.
    assert since([knee(120.0)], [knee(100.0)]) == ""
    told = since([knee(120.0, again=5.0)], [knee(100.0, again=5.0)])
    assert "published value from another exercise" in told
    assert "With one repetition" not in told
    # Two sessions of a day, or of two people under one id, are told apart.
    assert "Since 2 Mar 2026, 10:00" in told
    assert "Compared with Visit b, video.mp4" in told
    assert "Knee flexion, left: +20.0°" in told
    falls = [knee(100.0, again=5.0)], [knee(120.0, again=5.0)]
    assert "Knee flexion, left: −20.0° <span" in since(*falls)
    for direction, words in (("below", "worse, farther from"), ("above", "both visits meet")):
        judged = [[replace(one, direction=direction) for one in each] for each in falls]
        assert f"Knee flexion, left: −20.0° {words}" in since(*judged)
    monkeypatch.setattr(last_visit, "fewest_repetitions", lambda session: 1 + (session.id == "b"))
    assert "With one repetition in this visit, only a large change" in since(*falls)
    monkeypatch.setattr(last_visit, "fewest_repetitions", lambda _: 1)
    assert "With one repetition in each visit, only a large change" in since(*falls)
    assert "keypoints" not in told
    file = store.path / "b" / "session.json"
    stored = read_json(file)
    made = stored["provenance"] | {"pose_source": "other", "source_software": "HRNet"}
    write_json(file, stored | {"provenance": made})
    for value in (104.0, 120.0):
        of_other = since([knee(value, again=5.0)], [knee(100.0, again=5.0)])
        assert "The keypoints come from MediaPipe today and came from HRNet then" in of_other
        assert "part of a difference may come from the model" in of_other
    write_json(file, stored)
    unchanged = (
        "No change is larger than the smallest detectable change "
        "(from this program&#39;s stated errors)."
    )
    assert unchanged in since([knee(104.0, again=5.0)], [knee(100.0, again=5.0)])
    assert since([knee(1.0)], [], of="a") == ""
    # Results of two codes are not compared.
    metrics = stored["stages"]["metrics"] | {"key": "0" * 64}
    write_json(file, stored | {"stages": stored["stages"] | {"metrics": metrics}})
    outdated = since([knee(120.0, again=5.0)], [knee(100.0, again=5.0)])
    assert (
        "Not compared with 2 Mar 2026, 10:00: that session was analysed with a different"
        in outdated
    )
    assert "+20.0°" not in outdated
    write_json(file, stored)
    # Where that visit measured nothing of it there is nothing to say.
    assert since([knee(1.0)], []) == ""
    # Of two visits with the same camera, and where its place at one is not known.
    again = [knee(104.0, 5.0, 1.0)], [knee(100.0, 5.0, 1.0)]
    assert "Knee flexion, left: +4.0°" in since(*again)
    ours = 1.0, "from this lab's study ours with 24 people"
    of_lab = since([knee(104.0, 5.0, 9.0, ours)], [knee(100.0, 5.0, 9.0, ours)])
    of_whom = "from this lab&#39;s study ours with 24 people"
    assert f"(smallest detectable change 1.4°, {of_whom})" in of_lab
    (store.path / "b" / "capture_quality.json").unlink()
    assert unchanged in since(*again)


def test_without_a_browser_a_pdf_is_one_line_of_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(html, "BROWSERS", html.BROWSERS[:-1])
    with pytest.raises(NotFoundError, match=r"PDF: no browser .* install Chromium, or print"):
        html.to_pdf(tmp_path / "page.html")
